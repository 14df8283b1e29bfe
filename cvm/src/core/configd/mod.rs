//! The user level: requests of utilities, the checks before a change, the join protocol. One per
//! node, in `vxconfigd`; it knows what its vxiod told it and what lies on the disks.
//!
//! | file | what |
//! |---|---|
//! | `requests.rs` | a request comes, waits its turn, is shipped, is answered |
//! | `plan.rs` | what a request makes of the configuration |
//! | `import.rs` | which configuration of a group is imported |
//! | `transaction.rs` | check and load, at the master and at all; the rest is vxiod's |
//! | `settle.rs` | what was decided is told when it is in force everywhere |
//! | `join.rs` | what a joiner is given and checks |
//! | `disks.rs` | what was found on the disks |
//! | `longest.rs` | how long a volume could be |
//! | `events.rs` | what watchers are told |
//! | `observe.rs` | what volumes have done, here and at other nodes |
//!
//! The master does one thing after the other: a transaction, or a join.

mod disks;
mod events;
mod import;
mod join;
mod longest;
mod observe;
mod plan;
mod requests;
mod settle;
mod transaction;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use gab::PortView;
use llt::time::earliest;
use llt::{Duration, Id, Instant, NodeId, NodeSet};

pub use self::disks::{Device, DeviceState};
use super::iod::{Command, Role, TableView, TablesView, Task, Upcall};
use super::txn::TxnId;
use super::wire::parcel::{Parcels, Way, cut};
use super::wire::v::{Announce, BusySlot};
use super::wire::w::WMessage;
use crate::disk::{Decision, RequestId};
use crate::model::{Activation, Name, Stamp, UniqueId};
use crate::request::{DiskRequest, Failure, Reply, Request};

/// How a vxconfigd is set up.
#[derive(Clone, Debug)]
pub struct ConfigdConfig {
    /// This host.
    pub host: Name,
    /// The cluster's name, stamped on shared disks.
    pub cluster: Name,
    /// Somebody that has not answered a check or a load for so long makes the transaction fail.
    pub answer_limit: Duration,
    /// The activation that groups get when they are made, imported or joined.
    pub activation: Activation,
    /// A joiner that has not answered for so long is refused.
    pub join_limit: Duration,
    /// How much the node wants to be master.
    pub preference: i32,
}

/// The user level of a node.
#[derive(Clone, Debug)]
pub struct Configd {
    me: Id,
    config: ConfigdConfig,
    role: Role,
    /// Why the node is out of the cluster, as its vxiod says.
    out_reason: String,
    /// Groups as they are in force, as vxiod has them.
    tables: BTreeMap<UniqueId, TableView>,
    /// Groups that errors have disabled, as they were.
    disabled: Vec<std::sync::Arc<crate::disk::Image>>,
    /// What is being made equal, as vxiod told last.
    tasks: Vec<Task>,
    /// Groups that wait until something is written back.
    repairing: Vec<UniqueId>,
    /// Those of which something was written back when disks were looked at last, or since.
    undone: BTreeSet<UniqueId>,
    /// vxiod has told of them.
    has_tables: bool,
    /// Stamps of groups that are not imported: what is not newer is over.
    over: BTreeMap<UniqueId, Stamp>,
    busy: Vec<BusySlot>,
    modes: Vec<(UniqueId, NodeId, Activation)>,
    /// The offer that is to be answered when vxiod has it.
    staging: Option<(NodeId, u64)>,
    /// One that came before vxiod said who is master.
    early_offer: Option<(NodeId, super::wire::w::JoinOffer)>,
    disks: BTreeMap<String, Device>,
    /// The vxconfigds on port w.
    present: NodeSet,
    parcels: Parcels,
    shipped_parcels: Parcels,
    requests: requests::Requests,
    settling: settle::Settling,
    observing: observe::Observing,
    work: Work,
    /// Nodes that wait to join, as vxiod says, and since when.
    joiners: BTreeMap<NodeId, (Announce, Instant)>,
    /// A change that is to be checked, and vxiod has not told yet what it is about.
    early_precheck: Option<(NodeId, Box<super::wire::w::Precheck>)>,
    /// The newest stamp of each group that a transaction of this node was called by.
    used: BTreeMap<UniqueId, Stamp>,
    /// What was checked here and may be loaded.
    checked: Option<Box<super::wire::w::Precheck>>,
    /// The requests of what was loaded here for the master, and was not told to be decided yet: the next may
    /// be there before that.
    loaded: BTreeMap<TxnId, RequestId>,
    /// What waits for the disks to be looked at.
    scans: VecDeque<Scan>,
    offers: u64,
    /// Seconds since 1970, as the daemon says.
    wall: u64,
    /// Counts ids that were made.
    made: u32,
    /// Newest outcomes, and of which group, for requests that no image knows.
    outcomes: VecDeque<(RequestId, UniqueId, Decision)>,
    /// Utilities that want to be told what happens.
    watchers: BTreeSet<u64>,
    out: VecDeque<ConfigdOutput>,
}

/// What it is about, one thing at a time.
#[derive(Clone, Debug)]
enum Work {
    Idle,
    Join(join::Joining),
    Txn(Box<transaction::Driven>),
}

/// Why the disks are looked at.
#[derive(Clone, Debug)]
enum Scan {
    /// The node has become master of a cluster that begins; or its vxiod has, for its own groups.
    AutoImport {
        /// Those of the cluster, or those of this host.
        shared: bool,
    },
    /// A change is checked that needs disks.
    Check(Box<super::wire::w::Precheck>, NodeId),
    /// This node joins.
    Join(Box<super::wire::w::JoinOffer>, NodeId),
    /// For listings.
    Look,
    /// A request wants it.
    Request(requests::Waiting),
}

/// What the daemon has to do for it.
#[derive(Clone, Debug)]
pub enum ConfigdOutput {
    /// To all on port w, this node included.
    Broadcast(Bytes),
    /// To vxiod.
    Command(Command),
    /// A disk of no group is initialised, or wiped: [`Configd::handle_disk`].
    Disk(RequestId, DiskRequest),
    /// Remember how much the node wants to be master: [`Configd::handle_kept`].
    KeepPreference(u64, i32),
    /// For the log, and at the master for the console (CVM-16).
    Notice(ConfigdNotice),
    /// Read the names of the nodes again: [`Configd::handle_kept`].
    Reinit(u64),
    /// To the utility that asked.
    Reply(u64, Reply),
    /// Look at all disks: [`Configd::handle_scan`].
    Scan,
    /// To the utility that asked: all that there is to list.
    Snapshot(u64),
    /// To one on port w.
    SendTo(NodeId, Bytes),
    /// To one on port u: a request, or an answer to one.
    Ship(NodeId, Bytes),
}

/// Things that people want to know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ConfigdNotice {
    /// A message that is none.
    BadMessage(NodeId),
    /// The mode that groups get by themselves could not be had.
    NotActivated {
        /// Which group.
        group: UniqueId,
        /// Why not.
        why: String,
    },
    /// A request failed at a node (CVM-16).
    Failed {
        /// Where.
        node: NodeId,
        /// What.
        text: String,
    },
    /// A node joins, or could not.
    Join {
        /// Which.
        node: NodeId,
        /// Why not.
        refused: Option<String>,
    },
}

impl Configd {
    /// A vxconfigd that knows nothing yet.
    pub fn new(me: Id, config: ConfigdConfig) -> Self {
        Self {
            me,
            config,
            role: Role::default(),
            out_reason: String::new(),
            tables: BTreeMap::new(),
            disabled: Vec::new(),
            tasks: Vec::new(),
            repairing: Vec::new(),
            undone: BTreeSet::new(),
            has_tables: false,
            over: BTreeMap::new(),
            busy: Vec::new(),
            modes: Vec::new(),
            staging: None,
            early_offer: None,
            early_precheck: None,
            used: BTreeMap::new(),
            disks: BTreeMap::new(),
            present: NodeSet::EMPTY,
            parcels: Parcels::default(),
            shipped_parcels: Parcels::default(),
            requests: requests::Requests::default(),
            settling: settle::Settling::default(),
            observing: observe::Observing::default(),
            work: Work::Idle,
            joiners: BTreeMap::new(),
            checked: None,
            loaded: BTreeMap::new(),
            scans: VecDeque::new(),
            offers: 0,
            wall: 0,
            // Two lives within a second make different ids.
            made: u32::try_from(me.incarnation.0 % 1_000_000_000).unwrap_or(0),
            outcomes: VecDeque::new(),
            watchers: BTreeSet::new(),
            out: VecDeque::new(),
        }
    }

    /// What time it is for people, in seconds since 1970.
    pub const fn set_wall_time(&mut self, seconds: u64) {
        self.wall = seconds;
    }

    /// The node's id is known once gabd runs; it is in no cluster before.
    pub fn set_node(&mut self, node: NodeId) {
        if !self.role.is_member {
            self.me.node = node;
        }
    }

    /// Activation modes of all nodes; who is not listed has the group off.
    pub fn modes(&self) -> &[(UniqueId, NodeId, Activation)] {
        &self.modes
    }

    /// Why the node is out of the cluster.
    pub fn out_reason(&self) -> &str {
        &self.out_reason
    }

    /// The set-up.
    pub const fn config(&self) -> &ConfigdConfig {
        &self.config
    }

    /// A utility asks; the answer names the session.
    pub fn handle_request(&mut self, now: Instant, session: u64, request: Request) {
        self.on_request(now, session, request);
    }

    /// A utility is gone; what it asked for goes on.
    pub fn handle_hangup(&mut self, session: u64) {
        self.requests.hang_up(session);
        self.observing.hang_up(session);
        self.watchers.remove(&session);
    }

    /// vxiod says something.
    pub fn handle_upcall(&mut self, now: Instant, upcall: Upcall) {
        match upcall {
            Upcall::Activated { group, mode, refused } => {
                self.on_activated(&group, mode, refused);
            }
            Upcall::Decided { id, request, outcome, fault } => {
                self.on_decided(now, &id, request, outcome, fault);
            }
            Upcall::GivenUp { group } => self.on_given_up(&group),
            Upcall::Joining { announce } => {
                self.on_joining(now, announce);
            }
            Upcall::Loaded { id, refused } => self.on_own_loaded(now, &id, refused),
            Upcall::Observed(ask, observed) => self.on_observed(ask, observed),
            Upcall::Out { reason } => self.on_out(now, reason),
            Upcall::Role(role) => {
                self.on_role(now, role);
                self.look_at_early_precheck();
            }
            Upcall::Staged => self.on_staged(),
            Upcall::Tasks(tasks) => self.tasks = tasks,
            Upcall::Tables(view) => {
                self.take_tables(view);
                self.fault_undone(now);
                self.look_at_early_precheck();
            }
        }
    }

    fn take_tables(&mut self, view: TablesView) {
        (self.disabled, self.repairing) = (view.disabled, view.repairing);
        self.undone.extend(self.repairing.iter().cloned());
        let before = std::mem::replace(&mut self.tables, view.tables);
        self.tell_changes(&before);
        self.answer_dropping();
        self.answer_held();
        (self.over, self.busy, self.modes) = (view.over, view.busy, view.modes);
        // Made, imported or joined (facts 3.8): whether the mode can be had does not concern that.
        let mode = self.config.activation;
        let is_new = |(id, table): &(&UniqueId, &TableView)| {
            table.image.group.is_shared() && !before.contains_key(*id)
        };
        let new = self.tables.iter().filter(is_new).map(|(id, _)| id.clone());
        let new: Vec<UniqueId> = new.filter(|_| mode != Activation::Off).collect();
        // What was there before this vxconfigd is as somebody set it.
        let is_first = !std::mem::replace(&mut self.has_tables, true);
        if is_first {
            self.scan(Scan::AutoImport { shared: false });
        }
        for group in new.into_iter().filter(|_| !is_first) {
            self.command(Command::Activate { group, mode });
        }
    }

    /// Port w has another membership.
    pub fn handle_view(&mut self, now: Instant, view: &PortView) {
        self.present = view.members;
        for node in view.left.iter() {
            self.parcels.forget(node);
        }
        self.forget_settling(view.left);
        self.forget_settling(view.joined);
        self.answer_settled();
        self.on_left(now, view.left);
        self.next_work(now);
    }

    /// Port u has another membership.
    pub fn handle_shipping_view(&mut self, now: Instant, view: &PortView) {
        for node in view.left.iter() {
            self.shipped_parcels.forget(node);
        }
        self.on_reachable(now, view);
    }

    /// Ports w and u are closed here; what was sent or would have come is lost.
    pub fn handle_ports_closed(&mut self) {
        self.present = NodeSet::EMPTY;
        self.answer_settled();
        self.on_unreachable();
    }

    /// A message on port w.
    pub fn handle_message(&mut self, now: Instant, from: NodeId, way: Way, payload: &Bytes) {
        let whole = self.parcels.take(from, way, payload).map_err(|_| ());
        let message = match whole {
            Ok(None) => return,
            Ok(Some(whole)) => WMessage::decode(whole).map_err(|_| ()),
            Err(()) => Err(()),
        };
        let Ok(message) = message else {
            self.notice(ConfigdNotice::BadMessage(from));
            return;
        };
        match message {
            WMessage::Forget { id } => self.on_forget(from, &id),
            WMessage::JoinOffer(offer) => self.on_offer(from, offer),
            WMessage::JoinAnswer { number, refused } => {
                self.on_join_answer(now, from, number, refused);
            }
            WMessage::Load { id } => self.on_load(from, &id),
            WMessage::Loaded { id, refused } => self.on_loaded(now, from, &id, refused),
            WMessage::Precheck(precheck) => self.on_precheck(from, *precheck),
            WMessage::Settled { request } => self.on_settled(from, request),
            WMessage::Vote { id, refused } => self.on_vote(now, from, &id, refused),
        }
    }

    /// A message on port u.
    pub fn handle_shipped(&mut self, now: Instant, from: NodeId, payload: &Bytes) {
        self.on_shipped(now, from, payload);
    }

    /// vxiod is here. The disks are looked at, so that listings have something to show.
    pub fn handle_iod_here(&mut self) {
        self.command(Command::Prefer(self.config.preference));
        self.scan(Scan::Look);
    }

    /// The disks were looked at, as [`ConfigdOutput::Scan`] asked.
    pub fn handle_scan(&mut self, now: Instant, found: Vec<Device>) {
        self.disks = found.into_iter().map(|disk| (disk.access.clone(), disk)).collect();
        match self.scans.pop_front() {
            None | Some(Scan::Look) => {}
            Some(Scan::AutoImport { shared }) => self.auto_import(shared),
            Some(Scan::Check(precheck, from)) => self.check(from, *precheck),
            Some(Scan::Join(offer, from)) => self.check_offer(from, *offer),
            // The role may be another by now.
            Some(Scan::Request(waiting))
                if self.is_about_shared(&waiting.request)
                    && (!self.is_master() || self.role.is_suspended) =>
            {
                self.requests.queue.push_front(waiting);
            }
            Some(Scan::Request(waiting)) => self.plan_request(now, waiting),
        }
        self.next_work(now);
    }

    /// A disk of no group was initialised or wiped, or why not.
    pub fn handle_disk(&mut self, request: RequestId, done: Result<(), String>) {
        let reply =
            done.map_or_else(|error| Reply::Failed(Failure::plain(error)), |()| Reply::Done);
        self.answer(request, reply);
        self.scan(Scan::Look);
    }

    /// What was to be done for a utility is done, or why not.
    pub fn handle_kept(&mut self, session: u64, done: Result<(), String>) {
        let reply =
            done.map_or_else(|error| Reply::Failed(Failure::plain(error)), |()| Reply::Done);
        self.reply(session, reply);
    }

    /// vxiod is gone, and with it everything that it had in force.
    pub fn handle_iod_gone(&mut self, now: Instant) {
        let before = std::mem::take(&mut self.tables);
        self.tell_changes(&before);
        self.has_tables = false;
        self.repairing.clear();
        self.lose_iod();
        self.on_out(now, "vxiod is gone".to_owned());
    }

    /// Time has passed.
    pub fn handle_timer(&mut self, now: Instant) {
        self.check_answers(now);
        self.check_settling(now);
        self.check_observing(now);
        self.next_work(now);
    }

    /// When [`handle_timer`](Self::handle_timer) has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let work = match &self.work {
            Work::Idle => None,
            Work::Join(joining) => joining.deadline(),
            Work::Txn(driven) => driven.deadline(),
        };
        earliest(work, earliest(self.settling.deadline(), self.observing.deadline()))
    }

    /// What is to be done, one after the other.
    pub fn poll_output(&mut self) -> Option<ConfigdOutput> {
        self.out.pop_front()
    }

    /// Groups as they are in force.
    pub const fn tables(&self) -> &BTreeMap<UniqueId, TableView> {
        &self.tables
    }

    /// Groups that errors have disabled, as they were.
    pub fn disabled(&self) -> impl Iterator<Item = &crate::model::Group> {
        self.disabled.iter().map(|image| &*image.group)
    }

    /// What is being made equal.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// What was found when the disks were last looked at, by access name.
    pub const fn disks(&self) -> &BTreeMap<String, Device> {
        &self.disks
    }

    /// The node in its cluster.
    pub const fn role(&self) -> &Role {
        &self.role
    }

    fn is_master(&self) -> bool {
        self.role.master == Some(self.me.node) && self.role.is_member
    }

    fn scan(&mut self, why: Scan) {
        if self.scans.is_empty() {
            self.undone = self.repairing.iter().cloned().collect();
        }
        self.scans.push_back(why);
        self.out.push_back(ConfigdOutput::Scan);
    }

    fn broadcast(&mut self, message: &WMessage) {
        for parcel in cut(&message.encode()) {
            self.out.push_back(ConfigdOutput::Broadcast(parcel));
        }
    }

    fn send_to(&mut self, node: NodeId, message: &WMessage) {
        for parcel in cut(&message.encode()) {
            self.out.push_back(ConfigdOutput::SendTo(node, parcel));
        }
    }

    fn command(&mut self, command: Command) {
        self.out.push_back(ConfigdOutput::Command(command));
    }

    fn notice(&mut self, notice: ConfigdNotice) {
        self.out.push_back(ConfigdOutput::Notice(notice));
    }
}

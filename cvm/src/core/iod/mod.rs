//! What the kernel was: the tables in force, the role of the node, and the second half of a
//! transaction. One per node, in `vxiod`; it goes on when its vxconfigd is gone.
//!
//! | file | what |
//! |---|---|
//! | `view.rs` | a view of port v: who is there, who is master, and when I/O goes on |
//! | `transaction.rs` | load, quiesce, write, commit or abandon |
//! | `repair.rs` | what may be half written is written back |
//! | `disable.rs` | what happens if it cannot be |
//! | `join.rs` | a node becomes a member; a member leaves |
//! | `apart.rs` | a disk that one node alone cannot write: it stands apart, if the group says so |
//! | `findings.rs` | what a vxiod finds out by itself becomes configuration: plexes that fail, who writes |
//! | `resync.rs` | copies of volumes are made equal, range by range |
//! | `fills.rs` | volumes get what others held, region by region |
//! | `logs.rs` | dirty region logs are read: where copies may differ after nodes were lost |
//! | `drain.rs` | which I/O may run, and what waits until the rest has come to its end |
//! | `activation.rs` | who may do what with the volumes of a group |
//! | `opens.rs` | which volumes are open, and who has those that only one node may open |
//! | `slots.rs` | what somebody else may still write is left alone |
//! | `tasks.rs` | how far copies are, and how fast they are made |
//! | `table.rs` | a group as it is in force |
//!
//! All members see the same messages and views of port v in the same order, and what is agreed on
//! depends on nothing else.

mod activation;
mod apart;
mod debts;
mod disable;
mod drain;
mod fills;
mod findings;
mod hung;
mod io;
mod join;
mod logs;
mod opens;
mod repair;
mod resync;
mod slots;
mod table;
mod tasks;
mod transaction;
mod view;
mod written;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use gab::PortView;
use llt::time::earliest;
use llt::{Duration, Id, Instant, NodeId, NodeSet};

pub use self::activation::ModeRefused;
pub use self::debts::{Debts, Owes};
pub use self::drain::{DrainTicket, VolumeIo};
pub use self::io::{DiskError, Token, Write, WriteDone};
use self::join::Missed;
pub use self::logs::{LogIo, LogToken};
pub use self::opens::{OpenRefused, OpenTicket, VolumeName};
pub use self::resync::{RangeNumber, Resync};
pub use self::table::{Table, TableView, Tables, TablesView, Tenures};
pub use self::tasks::{Pace, Task};
pub use self::transaction::RECONFIGURES;
use super::txn::TxnId;
use super::wire::v::{Announce, VMessage};
use super::wire::w::Precheck;
use crate::disk::{Decision, Image, RequestId};
use crate::model::{Activation, Epoch, Name, Rid, Sectors, Stamp, Tid, UniqueId};
use crate::stats::{Observe, Observed};

/// How a vxiod is set up.
#[derive(Clone, Debug)]
pub struct IodConfig {
    /// The greatest becomes master.
    pub preference: i32,
    /// Lowest and highest version of the protocol on port v that is spoken.
    pub versions: (u16, u16),
    /// A member that has not answered QUIESCE for so long makes the transaction fail.
    pub quiesce_limit: Duration,
    /// So long after a vxiod was lost its last write may still reach a disk: its lease and the time
    /// after which a disk gives up.
    pub write_limit: Duration,
    /// Between tries to write a configuration back.
    pub retry: Duration,
    /// A volume that was closed so long ago is said to be written no more.
    pub rest_after: Duration,
    /// A disk that another node cannot write, and that this one has not seen so long after it began to
    /// look, it does not see either.
    pub look_limit: Duration,
    /// Between looks at a disk that this node alone cannot write.
    pub look_again: Duration,
}

impl Default for IodConfig {
    fn default() -> Self {
        Self {
            preference: 0,
            versions: VERSIONS,
            quiesce_limit: Duration::from_secs(30),
            write_limit: Duration::from_secs(60),
            retry: Duration::from_secs(1),
            rest_after: Duration::from_secs(5),
            look_limit: Duration::from_secs(5),
            look_again: Duration::from_secs(10),
        }
    }
}

/// The versions of the protocols on ports v and w that this program speaks; the original's numbers
/// begin far above, ours with 1.
pub const VERSIONS: (u16, u16) = (1, 1);

/// The kernel half of a node.
#[derive(Clone, Debug)]
pub struct Iod {
    me: Id,
    config: IodConfig,
    cluster: Cluster,
    /// All groups that are imported here, private ones too.
    tables: Tables,
    /// Tables that this node, a joiner, was given: in force when it is admitted.
    staged: Tables,
    /// At most one: the master makes one after the other.
    open: Option<transaction::Open>,
    /// The newest one that a vxiod has made and that does not fit here.
    unloaded: Option<transaction::Unloaded>,
    /// What is to be loaded when the view is settled, or a plex is taken off.
    late_loads: VecDeque<Box<Precheck>>,
    /// The newest stamp of each group that was decided on, or written back: what is not newer is
    /// about something that is over.
    decided: BTreeMap<UniqueId, Stamp>,
    /// Groups that errors have disabled, as they were; they are only shown.
    disabled: BTreeMap<UniqueId, Arc<Image>>,
    /// Groups that wait until something is written back.
    repairs: BTreeMap<UniqueId, repair::Repair>,
    /// Modes of all nodes; who is not there has the group off.
    modes: BTreeMap<(UniqueId, NodeId), Activation>,
    apart: apart::Apart,
    opens: opens::Opens,
    drains: drain::Drains,
    fills: fills::Fills,
    logs: logs::Logs,
    wanted: findings::Wanted,
    resyncs: resync::Resyncs,
    tasks: tasks::Tasks,
    /// vxconfigd is connected.
    has_configd: bool,
    writes: io::Writes,
    /// Disks that owe answers.
    hung: BTreeSet<UniqueId>,
    /// Those of them that may still change what others use.
    owing: BTreeSet<UniqueId>,
    /// Slots that are left alone.
    busy: Vec<slots::Busy>,
    /// The newest view has abandoned it, and is not settled yet.
    abandoned: Option<(TxnId, RequestId)>,
    /// The latest time that was heard of, in seconds since 1970; for people.
    wall: u64,
    alarms: u64,
    out: VecDeque<IodOutput>,
}

/// Where the node stands with the cluster.
#[derive(Clone, Debug)]
enum Cluster {
    /// Not in it.
    Out {
        /// Why: one of the original's reasons (facts 3.11).
        reason: String,
    },
    /// On port v.
    In(Box<view::Membership>),
}

/// Names what is asked of the volumes of a node, until it is answered.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ObserveNumber(pub u64);

/// What vxconfigd asks of it, the stand-in for the original's ioctls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// Give the transaction up.
    Abandon {
        /// Which.
        id: TxnId,
        /// The node where it went wrong.
        node: NodeId,
        /// For people.
        why: String,
    },
    /// Leave at once, whatever is open.
    AbortNode,
    /// Another activation mode of this node.
    Activate {
        /// Which group.
        group: UniqueId,
        /// The mode.
        mode: Activation,
    },
    /// Master: the joiner has all that it needs.
    Admit {
        /// Which node.
        node: NodeId,
        /// The shared groups that it was given, as they were.
        groups: Vec<(UniqueId, Stamp)>,
    },
    /// Master: everybody has loaded it.
    Begin {
        /// Which transaction.
        id: TxnId,
    },
    /// A disabled group is deported.
    Drop {
        /// Which.
        group: UniqueId,
    },
    /// From here on joins wait until it is decided.
    Load(
        /// What the master has had checked.
        Box<Precheck>,
    ),
    /// What volumes have done here, or what happens: [`Upcall::Observed`].
    Observe(ObserveNumber, Observe),
    /// Copies of a volume are made faster, slower, or later.
    Pace {
        /// Of which group.
        group: UniqueId,
        /// Which volume.
        volume: Name,
        /// How fast.
        pace: Pace,
    },
    /// Master: the joiner cannot become a member.
    Reject {
        /// Which node.
        node: NodeId,
        /// Why.
        reason: String,
    },
    /// How much this node wants to be master; the next reconfiguration asks.
    Prefer(
        /// The highest of the members wins.
        i32,
    ),
    /// Master: another node is to be master.
    SetMaster {
        /// Which.
        node: NodeId,
    },
    /// Joiner: the groups of the cluster.
    Stage(
        /// As the master has them.
        Vec<(Arc<Image>, Tenures)>,
    ),
    /// Join the cluster.
    StartNode,
    /// Leave it when everything is closed here.
    StopNode,
}

/// What vxconfigd is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Upcall {
    /// An activation of this node was decided.
    Activated {
        /// Which group.
        group: UniqueId,
        /// The mode that was asked for.
        mode: Activation,
        /// Why it was not taken.
        refused: Option<ModeRefused>,
    },
    /// A transaction was decided.
    Decided {
        /// Which.
        id: TxnId,
        /// Whose request it was.
        request: RequestId,
        /// How it ended.
        outcome: Decision,
        /// Where it went wrong, and what, if it was abandoned.
        fault: Option<(NodeId, String)>,
    },
    /// What may be half written of a group is not written back: nobody can say what an import will find.
    GivenUp {
        /// Which group.
        group: UniqueId,
    },
    /// Master: a node of port v waits to become a member.
    Joining {
        /// Who it is.
        announce: Announce,
    },
    /// A transaction was loaded, or why not.
    Loaded {
        /// Which.
        id: TxnId,
        /// What is in its way.
        refused: Option<String>,
    },
    /// The answer to [`Command::Observe`].
    Observed(ObserveNumber, Observed),
    /// This node is out of the cluster; its shared groups are not imported any more.
    Out {
        /// Why.
        reason: String,
    },
    /// Something has changed about who is who.
    Role(Role),
    /// What was staged is here.
    Staged,
    /// Something has changed about what is imported.
    Tables(TablesView),
    /// What is being made equal, and how far it is.
    Tasks(Vec<Task>),
}

/// Who is who.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Role {
    /// The master of the cluster.
    pub master: Option<NodeId>,
    /// Members of the cluster.
    pub members: NodeSet,
    /// Members of port v that have not joined yet.
    pub joiners: NodeSet,
    /// This node has joined.
    pub is_member: bool,
    /// The generation of the last view in which somebody left: a transaction of an earlier one is
    /// over.
    pub reconfig: u64,
    /// A reconfiguration is under way.
    pub is_suspended: bool,
}

/// What the daemon has to do for it.
#[derive(Clone, Debug)]
pub enum IodOutput {
    /// Broadcast SAFE on port v.
    Broadcast(Bytes),
    /// Give up port v.
    ClosePort,
    /// What I/O may run has changed ([`Iod::io_of`]): [`Iod::handle_drained`] when that of which
    /// it may not has come to its end, in this group, or in all shared ones.
    Drain(DrainTicket, Option<UniqueId>),
    /// All members hold the range: one copy of it is read, the others are written;
    /// [`Iod::handle_copied`].
    CopyRange {
        /// Of which volume.
        volume: VolumeName,
        /// As it is held.
        number: RangeNumber,
    },
    /// What another volume holds there is copied to this one; [`Iod::handle_filled`].
    FillRange {
        /// Which volume is filled.
        volume: VolumeName,
        /// Names it.
        number: RangeNumber,
        /// What it is filled with.
        id: Rid,
        /// From which sector on.
        at: Sectors,
        /// How many.
        len: Sectors,
    },
    /// What waits for that may go on: see [`crate::volume::Volume::filled`].
    Filled {
        /// Of which volume: the one that is filled, or the other.
        volume: VolumeName,
        /// What it is filled with.
        id: Rid,
        /// From which sector on.
        at: Sectors,
        /// How many.
        len: Sectors,
    },
    /// No program changes the range of a volume from here on, but for what it has begun: when that
    /// has come to its end, [`Iod::handle_range_clear`]. What was held of the volume before is not.
    HoldRange {
        /// Of which volume.
        volume: VolumeName,
        /// Names it.
        number: RangeNumber,
        /// From which sector on.
        at: Sectors,
        /// How many.
        len: Sectors,
    },
    /// A dirty region log is read, or written; [`Iod::handle_log`].
    Log(LogToken, LogIo),
    /// Can this disk be seen, so that it could be written? [`Iod::handle_looked`].
    Look(UniqueId),
    /// For the log.
    Notice(IodNotice),
    /// What volumes have done here, or what happens: [`Iod::handle_observed`].
    Observe(ObserveNumber, Observe),
    /// A volume was opened for a program, or why not.
    Opened(OpenTicket, Result<(), OpenRefused>),
    /// Register on port v.
    OpenPort,
    /// It will be written, unless something comes in between: what is to be made of it before can
    /// begin.
    Prepare(Arc<Image>),
    /// Programs may change everything of the volume again; a copy that runs begins nothing more.
    ReleaseRange {
        /// Which volume.
        volume: VolumeName,
    },
    /// To one member of port v.
    SendTo(NodeId, Bytes),
    /// To vxconfigd.
    Tell(Upcall),
    /// To a disk; what was written is durable when it is reported as done. `true`: the disk belongs to
    /// several nodes, now or before, so that it is written under a lease.
    Write(Token, Write, bool),
}

/// Things that people want to know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum IodNotice {
    /// A node alone cannot write a disk: it does not write the volumes that need it for now.
    Apart {
        /// Of which group.
        group: UniqueId,
        /// Which disk.
        disk: UniqueId,
        /// Which node.
        node: NodeId,
    },
    /// A message on port v that is none.
    BadMessage {
        /// Who sent it.
        node: NodeId,
    },
    /// A copy of the configuration could not be written.
    CopyFailed {
        /// Of which group.
        group: UniqueId,
        /// On which disk.
        disk: UniqueId,
        /// How.
        error: DiskError,
    },
    /// Copies of a volume are equal.
    CopiesEqual {
        /// Of which group.
        group: UniqueId,
        /// Which volume.
        volume: Name,
        /// How much this node has copied for that.
        copied: Sectors,
    },
    /// A range of a volume could not be read of any copy: they are not made equal for now.
    CopyingFailed {
        /// Of which group.
        group: UniqueId,
        /// Which volume.
        volume: Name,
    },
    /// A volume cannot be filled: a region could not be read, or written, or its maps could not.
    FillFailed {
        /// Of which group.
        group: UniqueId,
        /// Which volume.
        volume: Name,
    },
    /// Nothing of a group could be written: it is disabled on all nodes.
    Disabled {
        /// Which.
        group: UniqueId,
    },
    /// Where copies of a volume may differ was looked up in its logs.
    MapsRead {
        /// Of which group.
        group: UniqueId,
        /// Which volume.
        volume: Name,
        /// How much of it may differ.
        dirty: Sectors,
        /// How long it is.
        len: Sectors,
        /// The logs could be read, and the recovery maps written.
        is_known: bool,
    },
    /// A plex is to be taken off for all nodes, because a node cannot write it.
    PlexFailed {
        /// Of which group.
        group: UniqueId,
        /// Which.
        plex: Name,
        /// Where.
        node: NodeId,
    },
    /// What may be half written could not be written back; it is tried again.
    RepairFailed {
        /// Which group.
        group: UniqueId,
    },
    /// This node sees a disk again: programs may write the volume here.
    Together {
        /// Of which group.
        group: UniqueId,
        /// Which volume.
        volume: Name,
        /// Which disk.
        disk: UniqueId,
    },
    /// A transaction was abandoned (CVM-16).
    TxnFailed {
        /// Which.
        id: TxnId,
        /// Where.
        node: NodeId,
        /// What.
        why: String,
    },
}

impl Iod {
    /// A vxiod that is in no cluster and has nothing imported. `me` tells its lives apart.
    pub fn new(me: Id, config: IodConfig) -> Self {
        Self {
            me,
            config,
            cluster: Cluster::Out { reason: String::new() },
            tables: Tables::new(),
            staged: Tables::new(),
            open: None,
            unloaded: None,
            late_loads: VecDeque::new(),
            decided: BTreeMap::new(),
            disabled: BTreeMap::new(),
            repairs: BTreeMap::new(),
            modes: BTreeMap::new(),
            apart: apart::Apart::default(),
            opens: opens::Opens::default(),
            drains: drain::Drains::default(),
            fills: fills::Fills::default(),
            logs: logs::Logs::default(),
            wanted: findings::Wanted::default(),
            resyncs: resync::Resyncs::default(),
            tasks: tasks::Tasks::default(),
            wall: 0,
            has_configd: false,
            writes: io::Writes::default(),
            hung: BTreeSet::new(),
            owing: BTreeSet::new(),
            busy: Vec::new(),
            abandoned: None,
            alarms: 0,
            out: VecDeque::new(),
        }
    }

    /// The node's id is known once gabd runs; it is in no cluster before.
    pub fn set_node(&mut self, node: NodeId) {
        if matches!(self.cluster, Cluster::Out { .. }) {
            self.me.node = node;
        }
    }

    /// vxconfigd has connected, or is gone: a transaction that is not committed yet fails with it
    /// (CVM-10).
    pub fn handle_configd(&mut self, now: Instant, is_there: bool) {
        self.has_configd = is_there;
        if is_there {
            self.tasks.tell_anew();
            self.tell_tables();
            self.tell(Upcall::Role(self.role()));
            self.tell_joiners();
        } else {
            self.lose_configd(now);
        }
    }

    /// A command of vxconfigd.
    pub fn handle_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Abandon { id, node, why } => self.abandon_asked(now, &id, node, why),
            Command::AbortNode => self.abort_node(now),
            Command::Activate { group, mode } => self.ask_activation(group, mode),
            Command::Admit { node, groups } => self.admit(node, &groups),
            Command::Begin { id } => self.begin(now, &id),
            Command::Drop { group } => self.drop_group(group),
            Command::Load(precheck) => self.load(*precheck),
            Command::Observe(ask, what) => self.out.push_back(IodOutput::Observe(ask, what)),
            Command::Pace { group, volume, pace } => self.ask_pace((group, volume), pace),
            Command::Prefer(preference) => self.config.preference = preference,
            Command::Reject { node, reason } => self.reject(node, reason),
            Command::SetMaster { node } => self.ask_master(node),
            Command::Stage(groups) => {
                self.stage(groups);
                self.tell(Upcall::Staged);
            }
            Command::StartNode => self.start_node(),
            Command::StopNode => self.stop_node(now),
        }
        self.go_on(now);
    }

    /// What this vxiod does of its own accord, if nothing is in the way any more.
    fn go_on(&mut self, now: Instant) {
        self.look_at_copies(now);
        self.make_findings_true(now);
        self.leave_if_closed();
        self.tell_tasks(now);
    }

    /// Port v is registered or has another membership.
    pub fn handle_view(&mut self, now: Instant, view: &PortView) {
        self.on_view(now, view);
    }

    /// A message on port v.
    pub fn handle_message(&mut self, now: Instant, from: NodeId, payload: Bytes) {
        let Ok(message) = VMessage::decode(payload) else {
            self.notice(IodNotice::BadMessage { node: from });
            return;
        };
        match message {
            VMessage::Abandon { id, request, wrote, node, why } => {
                self.on_abandon(now, from, &id, request, wrote, (node, why));
            }
            VMessage::Activate { group, mode } => {
                self.note_wish(from, || Missed::Activate(group.clone(), mode));
                self.on_activate(from, group, mode);
            }
            VMessage::Admit(admit) => self.on_admit(now, from, admit),
            VMessage::Apart { group, volume } => self.on_apart(from, (group, volume)),
            VMessage::Announce(announce) => self.on_announce(now, from, announce),
            VMessage::Commit { id, failed } => self.on_commit(from, &id, &failed),
            VMessage::CopyOver { group, volume, reconfig } => {
                let volume = (group, volume);
                self.note_missed(from, || Missed::CopyOver(volume.clone(), reconfig));
                self.on_copy_over(from, &volume, reconfig);
            }
            VMessage::CopyRange(range) => {
                self.note_missed(from, || Missed::CopyRange(range.clone()));
                self.on_copy_range(from, range);
            }
            VMessage::Disable { group } => self.on_disable(from, &group),
            VMessage::Drop { group } => self.on_drop(&group),
            VMessage::FillWanted { group, volume, region } => {
                self.on_fill_wanted(now, &(group, volume), region);
            }
            VMessage::Filled { group, volume, id, regions, done } => {
                self.on_filled(from, &(group, volume), id, &regions, done);
            }
            VMessage::Finding { group, finding, time } => {
                self.on_finding(now, from, &group, finding, time);
            }
            VMessage::Findings(findings) => self.on_findings(now, from, *findings),
            VMessage::Goodbye => self.on_goodbye(now, from),
            VMessage::Here { generation } => self.on_here(generation),
            VMessage::Hold { group, volume } => {
                self.note_wish(from, || Missed::Hold(group.clone(), volume.clone()));
                self.on_hold(from, group, volume);
            }
            VMessage::Master { node } => self.on_master(now, from, node),
            VMessage::MasterStays => self.on_master_stays(),
            VMessage::Pace { group, volume, pace } => self.on_pace(from, (group, volume), pace),
            VMessage::Quiesce { id } => self.on_quiesce(now, from, &id),
            VMessage::Quiesced { id } => self.on_quiesced(now, from, &id),
            VMessage::RangeClear { number, reconfig } => {
                self.on_range_clear(from, number, reconfig);
            }
            VMessage::Refuse { id, why } => self.give_up(now, &id, from, why),
            VMessage::Reject { node, reason } => self.on_reject(now, from, node, reason),
            VMessage::Release { group, volume } => {
                self.note_wish(from, || Missed::Release(group.clone(), volume.clone()));
                self.on_release(from, group, volume);
            }
            VMessage::Resume { generation, groups } => {
                self.on_resume(from, generation, &groups);
            }
            VMessage::Sight { group, disk, reconfig, sees } => {
                self.on_sight(now, from, &(group, disk), reconfig, sees);
            }
            VMessage::WantMaster { node } => self.on_want_master(from, node),
        }
        self.go_on(now);
    }

    /// GAB closed port v, or this daemon did.
    pub fn handle_closed(&mut self, now: Instant, reason: &str) {
        self.leave(now, reason);
    }

    /// A disk has done, or not done, what was asked of it.
    pub fn handle_write(&mut self, now: Instant, token: Token, done: WriteDone) {
        self.on_write(now, token, done);
        self.go_on(now);
    }

    /// What volumes have done here, or what has happened, as [`IodOutput::Observe`] asked.
    pub fn handle_observed(&mut self, ask: ObserveNumber, observed: Observed) {
        self.tell(Upcall::Observed(ask, observed));
    }

    /// Time has passed. Harmless when called too early.
    pub fn handle_timer(&mut self, now: Instant) {
        self.check_quiesce(now);
        self.free_slots(now);
        self.retry_repairs(now);
        self.look_again(now);
        self.go_on(now);
    }

    /// When [`handle_timer`](Self::handle_timer) has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let own = earliest(self.quiesce_deadline(), self.findings_deadline());
        let copies = earliest(self.resync_deadline(), self.slot_deadline());
        let copies = earliest(copies, self.tasks_deadline());
        let copies = earliest(copies, self.apart.deadline());
        earliest(earliest(own, self.repair_deadline()), copies)
    }

    /// What is to be done, one after the other.
    pub fn poll_output(&mut self) -> Option<IodOutput> {
        self.out.pop_front()
    }

    /// Groups as they are in force.
    pub const fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The stamp of the next transaction of a group; `found` is the highest on its disks, if it is not
    /// imported.
    pub fn next_stamp(&self, group: &UniqueId, found: Stamp) -> Stamp {
        let decided = self.decided.get(group).copied().unwrap_or_default().max(found);
        match self.tables.get(group) {
            Some(table) => {
                let newest = decided.max(table.stamp());
                let tid = if newest.epoch == table.epoch { newest.tid.0 + 1 } else { 1 };
                Stamp {
                    epoch: table.epoch.max(newest.epoch),
                    tid: Tid(tid.max(table.stamp().tid.0 + 1)),
                }
            }
            None => Stamp { epoch: Epoch(decided.epoch.0 + 1), tid: Tid(decided.tid.0 + 1) },
        }
    }

    /// How often something impossible was seen; fails every test.
    pub const fn alarms(&self) -> u64 {
        self.alarms
    }

    /// Why it is not in the cluster; `None` if it is.
    pub fn out_of_cluster(&self) -> Option<&str> {
        match &self.cluster {
            Cluster::Out { reason } => Some(reason),
            Cluster::In(_) => None,
        }
    }

    fn membership(&self) -> Option<&view::Membership> {
        match &self.cluster {
            Cluster::In(membership) => Some(membership),
            Cluster::Out { .. } => None,
        }
    }

    fn membership_mut(&mut self) -> Option<&mut view::Membership> {
        match &mut self.cluster {
            Cluster::In(membership) => Some(membership),
            Cluster::Out { .. } => None,
        }
    }

    fn is_master(&self) -> bool {
        self.membership().is_some_and(|membership| membership.master == Some(self.me.node))
    }

    fn broadcast(&mut self, message: &VMessage) {
        self.out.push_back(IodOutput::Broadcast(message.encode()));
    }

    fn tell(&mut self, upcall: Upcall) {
        if self.has_configd {
            self.out.push_back(IodOutput::Tell(upcall));
        }
    }

    /// After every change of what is imported.
    fn tell_tables(&mut self) {
        self.resyncs.look();
        let next = |id: &UniqueId| self.next_stamp(id, Stamp::default());
        let view = |(id, table): (&UniqueId, &Table)| {
            let (image, next) = (Arc::clone(&table.image), next(id));
            let (tenures, failed) = (table.tenures.clone(), table.failed.clone());
            (id.clone(), TableView { image, tenures, failed, next })
        };
        let tables = self.tables.iter().map(view).collect();
        let over = self.decided.iter().filter(|(id, _)| !self.tables.contains_key(*id));
        let over = over.map(|(id, stamp)| (id.clone(), *stamp)).collect();
        let modes = self.modes.iter().map(|((id, node), mode)| (id.clone(), *node, *mode));
        let (modes, busy) = (modes.collect(), self.busy_slots());
        let disabled = self.disabled.values().cloned().collect();
        let repairing = self.repairs.keys().cloned().collect();
        let view = TablesView { tables, disabled, repairing, over, busy, modes };
        self.tell(Upcall::Tables(view));
    }

    fn notice(&mut self, notice: IodNotice) {
        self.out.push_back(IodOutput::Notice(notice));
    }

    /// Something happened that only a fault of our own explains.
    fn alarm(&mut self, what: &str) {
        self.alarms += 1;
        tracing::error!(node = self.me.node.get(), what, "alarm");
    }

    /// This node's id, and which life of vxiod it is.
    pub const fn id(&self) -> Id {
        self.me
    }
}

/// The nodes of a set without one.
fn without(set: NodeSet, node: NodeId) -> NodeSet {
    let mut set = set;
    set.remove(node);
    set
}

/// Node ids as a set.
fn node_set(nodes: impl IntoIterator<Item = NodeId>) -> NodeSet {
    nodes.into_iter().collect()
}

type Announces = BTreeMap<NodeId, Announce>;

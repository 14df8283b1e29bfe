//! Requests of utilities: they wait their turn, go to the master, and are answered with what happened.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use gab::PortView;
use llt::{Instant, NodeId, NodeSet};
use serde::{Deserialize, Serialize};

use super::{Configd, ConfigdNotice, ConfigdOutput, Scan, Work};
use crate::core::iod::{Command, ModeRefused, Pace, Role, Task};
use crate::core::txn::TxnId;
use crate::core::wire::parcel::Way;
use crate::disk::{Decision, RequestId};
use crate::model::{Activation, KernelState, Name, UniqueId};
use crate::request::{ClusterRequest, Failure, GroupRequest, Reply, Request};
use crate::stats::{Reset, Stats};

/// A request and whose it is.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) id: RequestId,
    pub(super) request: Request,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    made: u64,
    /// To be done here, in this order.
    pub(super) queue: VecDeque<Waiting>,
    /// Utilities of this node that wait for an answer.
    sessions: BTreeMap<RequestId, u64>,
    /// Requests of this node that the master has.
    shipped: BTreeMap<RequestId, NodeId>,
    /// The membership of port u, to which requests can be shipped; `None` as long as nobody has said.
    pub(super) reachable: Option<PortView>,
    /// The first generation of port u that this vxconfigd was in.
    reachable_since: u64,
    /// Utilities that wait for this node to come in, or to go out.
    entering: Vec<u64>,
    leaving: Vec<u64>,
    activating: Vec<(u64, UniqueId, Activation)>,
    /// What failed, and is not written back yet.
    held: Vec<(UniqueId, RequestId, Reply)>,
    /// Disabled groups that are to be gone.
    dropping: Vec<(RequestId, UniqueId)>,
    /// Utilities that want another master.
    switching: Vec<(u64, NodeId)>,
}

impl Requests {
    /// Somebody of this node waits for the answer.
    pub(super) fn is_awaited(&self, request: RequestId) -> bool {
        self.sessions.contains_key(&request)
    }

    pub(super) fn hang_up(&mut self, session: u64) {
        self.sessions.retain(|_, waiting| *waiting != session);
        self.entering.retain(|waiting| *waiting != session);
        self.leaving.retain(|waiting| *waiting != session);
        self.activating.retain(|(waiting, ..)| *waiting != session);
        self.switching.retain(|(waiting, _)| *waiting != session);
    }
}

/// What travels on port u.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Shipment {
    Answer(RequestId, Reply),
    /// With the generation of port u that the sender has read of. It can reach a vxconfigd that has
    /// come since then, while the sender is about to read that the one it was meant for is gone.
    Ask(RequestId, u64, Box<Request>),
    /// What have volumes done there? It is counted anew from then on, if that is wanted.
    Observe(RequestId, Option<Reset>),
    /// This; nobody knows where there is no vxiod.
    Observed(RequestId, Option<Stats>),
}

impl Configd {
    /// `vxtask`: every node knows what is copied, and its vxiod tells the others.
    fn pace(&mut self, group: &Name, volume: Name, pace: Pace) -> Reply {
        let table = match self.imported(group) {
            Ok(table) => table,
            Err(failure) => return Reply::Failed(failure),
        };
        // Right after the change that begins it vxiod has not told of it yet.
        let record = table.image.group.volumes.get(&volume);
        let is_due = record.is_some_and(|record| {
            record.kernel == KernelState::Enabled && (record.fill.is_some() || record.needs_sync())
        });
        let group = table.image.group.id.clone();
        let is_it = |task: &&Task| task.group == group && task.volume == volume;
        if !is_due && !self.tasks.iter().any(|task| is_it(&task)) {
            let text = format!("no copies of volume {volume} are being made");
            return Reply::Failed(Failure::plain(text));
        }
        self.command(Command::Pace { group, volume, pace });
        Reply::Done
    }

    pub(super) fn on_request(&mut self, now: Instant, session: u64, request: Request) {
        match request {
            Request::Activate { group, mode } => self.activate(session, &group, mode),
            Request::Cluster(request) => self.on_cluster_request(session, &request),
            Request::TransState(id) => {
                let outcome = self.outcome_of(id);
                self.reply(session, Reply::TransState(outcome));
            }
            // The daemon has dealt with the rest of these.
            Request::Disable | Request::Enable => self.reply(session, Reply::Done),
            Request::Events => self.watch(session),
            Request::MaxSize { group, make } => {
                let longest = self.longest_new(&group, &make);
                self.reply(session, longest.map_or_else(Reply::Failed, Reply::Length));
            }
            Request::MaxGrow { group, volume, storage } => {
                let longest = self.longest_grown(&group, &volume, &storage);
                self.reply(session, longest.map_or_else(Reply::Failed, Reply::Length));
            }
            Request::Pace { group, volume, pace } => {
                let reply = self.pace(&group, volume, pace);
                self.reply(session, reply);
            }
            Request::Snapshot => self.out.push_back(ConfigdOutput::Snapshot(session)),
            Request::Stats { nodes, reset } => self.gather(now, session, &nodes, reset.as_ref()),
            Request::Trace(taken) => self.trace(session, taken),
            request @ (Request::Disk(_)
            | Request::Group(_)
            | Request::Op { .. }
            | Request::Scan) => {
                self.requests.made += 1;
                let id = RequestId { origin: self.me, number: self.requests.made };
                self.requests.sessions.insert(id, session);
                if matches!(request, Request::Group(_) | Request::Op { .. }) {
                    self.reply(session, Reply::Named(id));
                }
                self.dispatch(Waiting { id, request });
                self.next_work(now);
            }
        }
    }

    /// A request of this vxconfigd itself: nobody waits for the answer.
    pub(super) fn queue_own(&mut self, request: Request) {
        self.requests.made += 1;
        let id = RequestId { origin: self.me, number: self.requests.made };
        self.requests.queue.push_back(Waiting { id, request });
    }

    pub(super) fn reply(&mut self, session: u64, reply: Reply) {
        self.out.push_back(ConfigdOutput::Reply(session, reply));
    }

    /// Here, or at the master.
    fn dispatch(&mut self, waiting: Waiting) {
        let is_shared = self.is_about_shared(&waiting.request);
        if is_shared && !self.role.is_member {
            let text = "Not in cluster".to_owned();
            self.answer(waiting.id, Reply::Failed(Failure::with_id("V-5-1-3486", text)));
            return;
        }
        let master = self.role.master.filter(|master| is_shared && *master != self.me.node);
        let Some(master) = master else {
            self.requests.queue.push_back(waiting);
            return;
        };
        let Some(port) = self.requests.reachable else {
            self.requests.queue.push_back(waiting);
            return;
        };
        if !port.members.contains(master) {
            self.fail(waiting.id, super::transaction::missing(master));
            return;
        }
        let ask = Shipment::Ask(waiting.id, port.generation, Box::new(waiting.request));
        self.requests.shipped.insert(waiting.id, master);
        self.ship(master, &ask);
    }

    pub(super) fn ship(&mut self, to: NodeId, shipment: &Shipment) {
        if let Ok(json) = serde_json::to_vec(shipment) {
            for parcel in crate::core::wire::parcel::cut(&json.into()) {
                self.out.push_back(ConfigdOutput::Ship(to, parcel));
            }
        }
    }

    /// Of all nodes, or of this one.
    pub(super) fn is_about_shared(&self, request: &Request) -> bool {
        let shared = |group: &str| {
            self.table_named(group).is_some_and(|table| table.image.group.is_shared())
        };
        match request {
            Request::Group(
                GroupRequest::Init { shared, .. } | GroupRequest::Restore { shared, .. },
            ) => *shared,
            Request::Group(GroupRequest::Import(import)) => import.shared,
            Request::Group(GroupRequest::Deport { group, .. } | GroupRequest::Destroy(group))
            | Request::Op { group, .. }
            | Request::Activate { group, .. } => shared(group.as_str()),
            Request::Cluster(_)
            | Request::Disable
            | Request::Disk(_)
            | Request::Enable
            | Request::Events
            | Request::MaxGrow { .. }
            | Request::MaxSize { .. }
            | Request::Pace { .. }
            | Request::Scan
            | Request::Snapshot
            | Request::Stats { .. }
            | Request::Trace(_)
            | Request::TransState(_) => false,
        }
    }

    /// A disabled group is deported: done when it is no longer here.
    pub(super) fn drop_when_told(&mut self, request: RequestId, group: UniqueId) {
        self.requests.dropping.push((request, group.clone()));
        self.command(Command::Drop { group });
    }

    pub(super) fn answer_dropping(&mut self) {
        let (done, waits): (Vec<_>, Vec<_>) = std::mem::take(&mut self.requests.dropping)
            .into_iter()
            .partition(|(_, group)| self.disabled.iter().all(|image| image.group.id != *group));
        self.requests.dropping = waits;
        for (request, _) in done {
            self.answer(request, Reply::Done);
        }
    }

    /// A group that is imported, by name or id.
    pub(super) fn table_named(&self, name: &str) -> Option<&crate::core::iod::TableView> {
        self.tables.values().find(|table| {
            table.image.group.name.as_str() == name || table.image.group.id.to_string() == name
        })
    }

    pub(super) fn on_shipped(&mut self, now: Instant, from: NodeId, payload: &Bytes) {
        let shipment = match self.shipped_parcels.take(from, Way::Direct, payload) {
            Ok(None) => return,
            Ok(Some(whole)) => serde_json::from_slice(&whole).ok(),
            Err(_) => None,
        };
        let Some(shipment) = shipment else {
            self.notice(ConfigdNotice::BadMessage(from));
            return;
        };
        match shipment {
            Shipment::Answer(id, reply) => {
                if self.requests.shipped.get(&id) == Some(&from) {
                    self.answer(id, reply);
                }
            }
            // It was meant for another, and who asked is told that that one is gone.
            Shipment::Ask(_, generation, _) if generation < self.requests.reachable_since => {}
            Shipment::Ask(id, _, request)
                if self.is_master() && id.origin.node == from && self.is_there(from) =>
            {
                self.requests.queue.push_back(Waiting { id, request: *request });
                self.next_work(now);
            }
            Shipment::Observe(id, reset) => self.observe_for(from, id, reset),
            Shipment::Observed(id, stats) => self.gathered(id, from, stats),
            Shipment::Ask(id, ..) => {
                let reply = Reply::Failed(Failure::plain(SWITCHING));
                self.ship(from, &Shipment::Answer(id, reply));
            }
        }
    }

    /// The last that a node has shipped may come after the news that it has left.
    fn is_there(&self, node: NodeId) -> bool {
        self.role.members.contains(node) || self.role.joiners.contains(node)
    }

    /// Whoever asked is told; once.
    pub(super) fn answer(&mut self, id: RequestId, reply: Reply) {
        let reply = match reply {
            Reply::Failed(failure) => Reply::Failed(Failure { request: Some(id), ..failure }),
            reply => reply,
        };
        self.requests.shipped.remove(&id);
        self.settling.forget(id);
        if let Some(session) = self.requests.sessions.remove(&id) {
            self.reply(session, reply);
        } else if id.origin.node != self.me.node {
            self.ship(id.origin.node, &Shipment::Answer(id, reply));
        } else if let Reply::Failed(Failure { text, .. }) = reply {
            // Nobody waits: it was asked by this vxconfigd itself, or its utility is gone.
            self.notice(ConfigdNotice::Failed { node: self.me.node, text });
        }
    }

    pub(super) fn fail(&mut self, id: RequestId, failure: Failure) {
        self.answer(id, Reply::Failed(failure));
    }

    /// The next thing to do, if nothing is under way: joins first (CVM-14).
    pub(super) fn next_work(&mut self, now: Instant) {
        if !matches!(self.work, Work::Idle) || !self.scans.is_empty() {
            return;
        }
        if self.is_master() && !self.role.is_suspended && self.begin_join(now) {
            return;
        }
        while let Some(waiting) = self.requests.queue.front() {
            let is_shared = self.is_about_shared(&waiting.request);
            if is_shared && self.role.is_suspended && self.role.is_member {
                return;
            }
            let ships = is_shared && self.role.is_member && !self.is_master();
            if ships && self.requests.reachable.is_none() {
                return;
            }
            let Some(waiting) = self.requests.queue.pop_front() else { return };
            if is_shared && !self.is_master() {
                self.dispatch(waiting);
                continue;
            }
            if needs_scan(&waiting.request) {
                self.scan(Scan::Request(waiting));
                return;
            }
            self.plan_request(now, waiting);
            if !matches!(self.work, Work::Idle) {
                return;
            }
        }
    }

    /// What became of a request, as far as this node knows.
    fn outcome_of(&self, id: RequestId) -> Option<Decision> {
        let newest = self.outcomes.iter().find(|(known, ..)| *known == id);
        let in_image = || {
            let mut images = self.tables.values().map(|table| &table.image.outcomes);
            images.find_map(|outcomes| outcomes.of(id)).map(|outcome| outcome.decision)
        };
        newest.map(|(.., decision)| *decision).or_else(in_image)
    }

    pub(super) fn on_decided(
        &mut self,
        now: Instant,
        id: &TxnId,
        request: RequestId,
        outcome: Decision,
        fault: Option<(NodeId, String)>,
    ) {
        self.loaded.remove(id);
        if self.outcomes.iter().all(|(known, ..)| *known != request) {
            self.outcomes.push_front((request, id.group.clone(), outcome));
            self.outcomes.truncate(crate::disk::OUTCOMES_MAX);
        }
        let driven = match &self.work {
            Work::Txn(driven) if driven.precheck.id == *id => Some(driven.is_shared),
            Work::Idle | Work::Join(_) | Work::Txn(_) => None,
        };
        let (mine, is_shared) = (driven.is_some(), driven != Some(false));
        if mine {
            self.work = Work::Idle;
        }
        let asked_here = request.origin.node == self.me.node;
        let reply = match (outcome, fault) {
            (Decision::Committed, _) => Reply::Done,
            (Decision::Abandoned, fault) => {
                let (node, text) = fault.unwrap_or((self.me.node, String::new()));
                if mine {
                    self.notice(ConfigdNotice::Failed { node, text: text.clone() });
                }
                Reply::Failed(Failure::told(format!("node {node}: {text}")))
            }
        };
        // Every node hears what was decided: who asked needs no word of the master.
        if is_shared && outcome == Decision::Committed {
            self.requests.shipped.remove(&request);
            self.settle(now, request);
        } else if asked_here && outcome == Decision::Abandoned && self.repairing.contains(&id.group)
        {
            // Until it is written back, a total outage could still bring it into force.
            self.requests.shipped.remove(&request);
            self.requests.held.push((id.group.clone(), request, reply));
        } else if asked_here {
            self.answer(request, reply);
        }
        self.next_work(now);
    }

    /// What failed may be in force when the group is imported again: nobody can say.
    pub(super) fn on_given_up(&mut self, group: &UniqueId) {
        let (over, waits): (Vec<_>, Vec<_>) = std::mem::take(&mut self.requests.held)
            .into_iter()
            .partition(|(held, ..)| held == group);
        self.requests.held = waits;
        let is_sure = |decision| decision == Decision::Committed;
        self.outcomes.retain(|(_, of, decision)| of != group || is_sure(*decision));
        for (_, request, _) in over {
            self.answer(request, Reply::Unknown(request));
        }
    }

    /// Groups may be written back by now.
    pub(super) fn answer_held(&mut self) {
        let held = std::mem::take(&mut self.requests.held);
        let (waits, over): (Vec<_>, Vec<_>) =
            held.into_iter().partition(|(group, ..)| self.repairing.contains(group));
        self.requests.held = waits;
        for (_, request, reply) in over {
            self.answer(request, reply);
        }
    }

    pub(super) fn on_role(&mut self, now: Instant, role: Role) {
        let was = std::mem::replace(&mut self.role, role);
        self.tell_role(&was);
        self.answer_switching();
        self.answer_settled();
        if self.role.is_member && !was.is_member {
            for session in std::mem::take(&mut self.requests.entering) {
                self.reply(session, Reply::Done);
            }
            let alone = self.role.members.len() == 1 && self.is_master();
            if alone && self.tables.values().all(|table| !table.image.group.is_shared()) {
                self.scan(Scan::AutoImport { shared: true });
            }
        }
        self.joiners.retain(|node, _| self.role.joiners.contains(*node));
        self.end_join();
        if !self.role.is_member {
            self.look_at_early_offer();
        }
        if was.master != self.role.master || was.reconfig != self.role.reconfig {
            self.lose_masters();
            self.drop_work();
            self.refuse_others();
            self.forget_requests_of(was.members.difference(self.role.members));
        }
        self.next_work(now);
    }

    /// Who wants another master has it, or not.
    fn answer_switching(&mut self) {
        for (session, node) in std::mem::take(&mut self.requests.switching) {
            let text =
                "Master switching, a reconfiguration or a transaction is in progress. Try again";
            let reply = match self.role.master {
                Some(master) if master == node => Reply::Done,
                Some(_) | None => Reply::Failed(Failure::with_id("V-5-1-0", text)),
            };
            self.reply(session, reply);
        }
    }

    /// Masters that have our requests have left the cluster. What they had begun was decided in the
    /// view that they left with, and told; what is left was never begun. One that is only not master
    /// any more answers what it has not begun, and may be master again before it hears of the rest.
    fn lose_masters(&mut self) {
        let members = self.role.members;
        let lost = self.requests.shipped.iter().filter(|(_, master)| !members.contains(**master));
        let lost: Vec<RequestId> = lost.map(|(id, _)| *id).collect();
        for id in lost {
            let outcome = self.outcome_of(id);
            let reply = match outcome {
                Some(Decision::Committed) => Reply::Done,
                Some(Decision::Abandoned) | None => Reply::Failed(Failure::plain(
                    "the master left the cluster before the operation was begun; retry it",
                )),
            };
            self.answer(id, reply);
        }
    }

    /// Another node is master: what others have asked of this one is not begun any more.
    pub(super) fn refuse_others(&mut self) {
        if self.role.master.is_none_or(|master| master == self.me.node) {
            return;
        }
        let me = self.me.node;
        let queue = std::mem::take(&mut self.requests.queue).into_iter();
        let (own, others): (VecDeque<_>, VecDeque<_>) =
            queue.partition(|waiting| waiting.id.origin.node == me);
        self.requests.queue = own;
        for waiting in others {
            self.fail(waiting.id, Failure::plain(SWITCHING));
        }
    }

    /// What is not begun for who is gone never is. A node that leaves says so to whoever asked there,
    /// on the strength of a view that perhaps nobody else installs.
    fn forget_requests_of(&mut self, gone: NodeSet) {
        let me = self.me.node;
        let is_of = |waiting: &Waiting| {
            waiting.id.origin.node != me && gone.contains(waiting.id.origin.node)
        };
        self.requests.queue.retain(|waiting| !is_of(waiting));
        for scan in &mut self.scans {
            if matches!(scan, Scan::Request(waiting) if is_of(waiting)) {
                *scan = Scan::Look;
            }
        }
    }

    pub(super) fn on_out(&mut self, now: Instant, reason: String) {
        let was = std::mem::take(&mut self.role);
        self.joiners.clear();
        (self.checked, self.early_precheck) = (None, None);
        self.out_reason.clone_from(&reason);
        self.tell_role(&was);
        for session in std::mem::take(&mut self.requests.leaving) {
            self.reply(session, Reply::Done);
        }
        for session in std::mem::take(&mut self.requests.entering) {
            let text = format!("Failed to join cluster: {reason}");
            self.reply(session, Reply::Failed(Failure::plain(text)));
        }
        // Modes of a node end with its stay, and nobody is made master by one that is out.
        let activating = std::mem::take(&mut self.requests.activating).into_iter();
        let switching = std::mem::take(&mut self.requests.switching).into_iter();
        let asking = activating.map(|(session, ..)| session);
        for session in asking.chain(switching.map(|(session, _)| session)) {
            let failure = Failure::with_id("V-5-1-3486", "Not in cluster");
            self.reply(session, Reply::Failed(failure));
        }
        self.requests.reachable = None;
        // With nobody there to wait for.
        self.answer_settled();
        // Whether that was written back this node does not hear any more.
        let is_private = |group: &UniqueId| {
            self.tables.get(group).is_some_and(|table| !table.image.group.is_shared())
        };
        let (held, unknown): (Vec<_>, Vec<_>) = std::mem::take(&mut self.requests.held)
            .into_iter()
            .partition(|(group, ..)| is_private(group));
        self.requests.held = held;
        for (_, request, _) in unknown {
            self.answer(request, Reply::Unknown(request));
        }
        // A transaction that was loaded may be in force with the others.
        let loaded = match &self.work {
            Work::Txn(driven) if driven.is_shared => Some(driven.precheck.request),
            Work::Idle | Work::Join(_) | Work::Txn(_) => None,
        };
        if loaded.is_some() || matches!(self.work, Work::Join(_)) {
            self.work = Work::Idle;
        }
        self.loaded.clear();
        let shipped: Vec<RequestId> = self.requests.shipped.keys().copied().collect();
        for id in loaded.into_iter().chain(shipped) {
            self.answer(id, Reply::Unknown(id));
        }
        self.next_work(now);
    }

    /// vxiod is gone: nothing of this node is carried out any more.
    pub(super) fn lose_iod(&mut self) {
        let gone = || Failure::plain("vxiod is not running");
        if let Work::Txn(driven) = &self.work
            && !driven.is_shared
        {
            let request = driven.precheck.request;
            // What was begun may be in force: the next vxiod imports what is on the disks.
            let is_begun = driven.is_begun();
            self.work = Work::Idle;
            if is_begun {
                self.answer(request, Reply::Unknown(request));
            } else {
                self.fail(request, gone());
            }
        }
        for (session, ..) in std::mem::take(&mut self.requests.activating) {
            self.reply(session, Reply::Failed(gone()));
        }
        self.cannot_observe(&gone());
    }

    fn on_cluster_request(&mut self, session: u64, request: &ClusterRequest) {
        match request {
            ClusterRequest::Abort => {
                self.requests.leaving.push(session);
                self.command(Command::AbortNode);
            }
            // The daemon has the names.
            ClusterRequest::Reinit => self.out.push_back(ConfigdOutput::Reinit(session)),
            ClusterRequest::SetPreference(preference) => {
                self.config.preference = *preference;
                self.command(Command::Prefer(*preference));
                self.out.push_back(ConfigdOutput::KeepPreference(session, *preference));
            }
            ClusterRequest::SetMaster(node) => {
                self.requests.switching.push((session, *node));
                self.command(Command::SetMaster { node: *node });
            }
            ClusterRequest::Start if self.role.is_member => self.reply(session, Reply::Done),
            ClusterRequest::Start => {
                self.requests.entering.push(session);
                self.command(Command::StartNode);
            }
            ClusterRequest::Stop => {
                self.requests.leaving.push(session);
                self.command(Command::StopNode);
            }
        }
    }

    fn activate(&mut self, session: u64, group: &Name, mode: Activation) {
        let Some(table) = self.table_named(group.as_str()) else {
            let text = format!("Disk group {group}: No such disk group");
            let failure = Failure { exit: 11, ..Failure::with_id("V-5-1-2275", text) };
            self.reply(session, Reply::Failed(failure));
            return;
        };
        let group = table.image.group.id.clone();
        self.requests.activating.push((session, group.clone(), mode));
        self.command(Command::Activate { group, mode });
    }

    pub(super) fn on_activated(
        &mut self,
        group: &UniqueId,
        mode: Activation,
        refused: Option<ModeRefused>,
    ) {
        let of = |(_, id, asked): &(u64, UniqueId, Activation)| id == group && *asked == mode;
        let Some(place) = self.requests.activating.iter().position(of) else {
            if let Some(refused) = refused {
                let (group, why) = (group.clone(), refused.to_string());
                self.notice(ConfigdNotice::NotActivated { group, why });
            }
            return;
        };
        let (session, ..) = self.requests.activating.remove(place);
        let reply = refused.map_or(Reply::Done, |refused| {
            Reply::Failed(Failure::with_id("V-5-1-3046", refused.to_string()))
        });
        self.reply(session, reply);
    }

    /// Port u has another membership. Whether the master's vxconfigd has what was shipped to it only
    /// this port can say: port w may tell of its end when its successor has the request already.
    pub(super) fn on_reachable(&mut self, now: Instant, view: &PortView) {
        if self.requests.reachable.replace(*view).is_none() {
            self.requests.reachable_since = view.generation;
        }
        // What the master's had not loaded here it can begin no more: what is loaded is decided by
        // the vxiods, and told.
        let shipped = self.requests.shipped.iter();
        let lost =
            shipped.filter(|(id, master)| view.left.contains(**master) && !self.is_loaded(**id));
        for id in lost.map(|(id, _)| *id).collect::<Vec<_>>() {
            let text = "vxconfigd of the master is gone, and had not begun it; retry it";
            self.fail(id, Failure::plain(text));
        }
        self.forget_observers(view.left);
        self.forget_requests_of(view.left);
        self.next_work(now);
    }

    /// What comes of it is decided by the vxiods, and told.
    fn is_loaded(&self, request: RequestId) -> bool {
        self.loaded.values().any(|loaded| *loaded == request)
    }

    /// Port u is closed here: what was shipped may be done, and its answer does not come.
    pub(super) fn on_unreachable(&mut self) {
        self.requests.reachable = None;
        self.forget_observers(self.role.members);
        let lost = self.requests.shipped.keys().filter(|id| !self.is_loaded(**id));
        for id in lost.copied().collect::<Vec<_>>() {
            self.answer(id, Reply::Unknown(id));
        }
    }

    /// Vxconfigds are gone from port w.
    pub(super) fn on_left(&mut self, now: Instant, left: NodeSet) {
        self.joiner_left(now, left);
        let Some(node) = left.first() else { return };
        // CVM-10.
        self.fault(now, node, "vxconfigd is gone".to_owned());
    }
}

/// What is said by a node that is not, or no longer, the master.
const SWITCHING: &str = "Node processing a master-switch request. Retry operation.";

/// What is about disks looks at them first.
fn needs_scan(request: &Request) -> bool {
    use crate::model::op::Op;
    match request {
        Request::Disk(_)
        | Request::Group(
            GroupRequest::Import(_) | GroupRequest::Init { .. } | GroupRequest::Restore { .. },
        )
        | Request::Scan => true,
        Request::Op { op, .. } => matches!(op, Op::AddDisks(_) | Op::ReplaceDisks(_)),
        Request::Activate { .. }
        | Request::Cluster(_)
        | Request::Disable
        | Request::Enable
        | Request::Events
        | Request::Group(GroupRequest::Deport { .. } | GroupRequest::Destroy(_))
        | Request::MaxGrow { .. }
        | Request::MaxSize { .. }
        | Request::Pace { .. }
        | Request::Snapshot
        | Request::Stats { .. }
        | Request::Trace(_)
        | Request::TransState(_) => false,
    }
}

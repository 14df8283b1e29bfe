//! A view of port v: who is there, who is master, and when I/O goes on (design 3).
//!
//! ```text
//! VIEW -> shared I/O stands still -> every member ANNOUNCEs itself -> all have: roles are known
//!      -> the master writes back what is in doubt -> RESUME -> I/O goes on
//! ```
//! A further view begins anew. With no transaction in doubt no vxconfigd is needed.

use gab::PortView;
use llt::{Id, Instant, NodeId, NodeSet};

use super::drain::After;
use super::{Announces, Cluster, Iod, IodOutput, Role, Upcall, node_set};
use crate::core::wire::v::{Announce, GroupState, VMessage};
use crate::disk::Decision;

/// What a member of port v knows of the cluster.
#[derive(Clone, Debug, Default)]
pub(super) struct Membership {
    view: Option<PortView>,
    announces: Announces,
    /// Who is who, from the newest announcements.
    ids: std::collections::BTreeMap<NodeId, Id>,
    pub(super) master: Option<NodeId>,
    /// Who has joined.
    pub(super) members: NodeSet,
    pub(super) reconfig: u64,
    /// All are in this view: a message of it has come, which all of them hold.
    is_proven: bool,
    /// RESUME of this view has come.
    pub(super) is_settled: bool,
    /// Another node has been made master, and has not said RESUME yet.
    pub(super) is_handed_over: bool,
    /// Shared I/O stands still.
    pub(super) is_suspended: bool,
    /// ADMIT of this node is on its way; nothing else begins.
    pub(super) admitting: Option<NodeId>,
    /// The same of MASTER.
    pub(super) is_switching: bool,
    pub(super) leaving: super::join::Leaving,
    /// Of modes and exclusive volumes, what was ordered since the view began and this node was no
    /// member: ADMIT may tell how things stood before it.
    pub(super) missed: Vec<(NodeId, super::join::Missed)>,
    /// How many of what may be refused were heard in this view: modes, and volumes of one node.
    pub(super) wishes: u64,
}

impl Membership {
    pub(super) fn generation(&self) -> u64 {
        self.view.map_or(0, |view| view.generation)
    }

    /// Members of port v.
    pub(super) fn present(&self) -> NodeSet {
        self.view.map_or(NodeSet::EMPTY, |view| view.members)
    }

    /// Who that node is, of which life.
    pub(super) fn id_of(&self, node: NodeId) -> Option<Id> {
        self.ids.get(&node).copied()
    }

    pub(super) fn is_member(&self, node: NodeId) -> bool {
        self.members.contains(node)
    }

    pub(super) const fn announces(&self) -> &Announces {
        &self.announces
    }
}

impl Iod {
    pub(super) fn on_view(&mut self, now: Instant, view: &PortView) {
        let Some(membership) = self.membership_mut() else { return };
        membership.view = Some(*view);
        membership.announces.clear();
        membership.missed.clear();
        membership.wishes = 0;
        membership.is_settled = false;
        membership.is_handed_over = false;
        membership.is_proven = false;
        if !view.left.is_empty() {
            membership.reconfig = view.generation;
            membership.is_suspended = true;
            membership.members = membership.members.difference(view.left);
            // ADMIT, too, is of the reconfiguration before, and ignored by all.
            membership.admitting = None;
            membership.is_switching = false;
            let master = membership.master.filter(|node| view.left.contains(*node));
            let writer = master.and_then(|node| membership.id_of(node));
            if master.is_some() {
                membership.master = None;
            }
            self.modes.retain(|(_, node), _| !view.left.contains(*node));
            self.opens.nodes_left(view.left);
            self.apart.nodes_left(view.left);
            self.forget_findings();
            self.release_ranges(view.left);
            if let Some(writer) = writer {
                self.leave_repairs_alone(now, writer);
            }
            self.abandon_in_view(now, view.left, writer);
            // That it came to nothing is no reason to wait any more.
            self.try_findings_at_once();
            // It is of the reconfiguration before, and refused.
            self.load_late();
        }
        // What waits for the lease ends with it, and ends before this node announces itself.
        self.broadcast(&VMessage::Here { generation: view.generation });
        self.drain(After::Announce(view.generation));
        self.tell(Upcall::Role(self.role()));
    }

    pub(super) fn on_here(&mut self, generation: u64) {
        if let Some(membership) = self.membership_mut().filter(|of| of.generation() == generation) {
            membership.is_proven = true;
        }
    }

    /// The generation of port v in which this node may use its lease: that of the newest view, when all
    /// nodes of it are in it. One that is alone in a view, because the others have agreed on another at
    /// the same time, is told of that by none of them before they go on.
    pub fn proven_generation(&self) -> Option<u64> {
        self.membership().filter(|of| of.is_proven).map(Membership::generation)
    }

    /// I/O of before the view is over: what is announced is what this node is now.
    pub(super) fn announce(&mut self, generation: u64) {
        let me = self.me;
        let is_master = self.is_master();
        let (config, Some(membership)) = (self.config.clone(), self.membership()) else { return };
        if membership.generation() != generation {
            return;
        }
        let announce = Announce {
            generation,
            id: me,
            reconfig: membership.reconfig,
            preference: config.preference,
            versions: config.versions,
            is_master,
            is_member: membership.is_member(me.node),
            abandoned: self.abandoned.clone(),
        };
        self.broadcast(&VMessage::Announce(announce));
    }

    pub(super) fn on_announce(&mut self, now: Instant, from: NodeId, announce: Announce) {
        let Some(membership) = self.membership_mut() else { return };
        if announce.generation != membership.generation() || announce.id.node != from {
            return;
        }
        membership.ids.insert(from, announce.id);
        membership.announces.insert(from, announce);
        let announced = node_set(membership.announces.keys().copied());
        if announced == membership.present() {
            self.assign_roles(now);
        }
    }

    /// Everybody has said who it is; all compute the same of it.
    fn assign_roles(&mut self, now: Instant) {
        let me = self.me.node;
        let Some(membership) = self.membership_mut() else { return };
        let left = membership.view.and_then(|view| view.left.first());
        let Some(master) = choose_master(&membership.announces) else { return };
        let is_new = membership.announces.get(&master).is_none_or(|announce| !announce.is_master);
        let members = membership.announces.values().filter(|announce| announce.is_member);
        let known = members.clone().map(|announce| announce.reconfig).max();
        membership.members = node_set(members.map(|announce| announce.id.node));
        if membership.members.is_empty() {
            // The cluster begins with its master.
            membership.members.insert(master);
        }
        // What a joiner has seen while it waited does not count, unless nobody has seen more.
        let all = membership.announces.values().map(|announce| announce.reconfig).max();
        membership.reconfig = known.or(all).unwrap_or(0);
        membership.master = Some(master);
        let ids: Vec<Id> = membership.announces.values().map(|announce| announce.id).collect();
        let abandoned: Vec<_> = membership
            .announces
            .values()
            // What a joiner remembers is of another stay.
            .filter(|announce| announce.is_member)
            .filter_map(|announce| announce.abandoned.clone())
            .collect();
        self.free_slots_of(&ids);
        for (id, request) in &abandoned {
            self.note_abandoned(id, *request);
        }
        self.tell_tables();
        for (id, request) in abandoned {
            // Who had not loaded it has not told anybody yet.
            let fault = Some((left.unwrap_or(me), "the node left the cluster".to_owned()));
            self.tell(Upcall::Decided { id, request, outcome: Decision::Abandoned, fault });
        }
        if is_new {
            self.take_over();
        }
        if master == me {
            self.start_repairs(now);
            self.resume_if_repaired();
        }
        self.tell(Upcall::Role(self.role()));
        self.tell_joiners();
    }

    /// What an older master still writes is to lose against whatever the new one writes: everybody
    /// counts.
    fn take_over(&mut self) {
        for table in self.tables.values_mut().filter(|table| table.is_shared()) {
            table.epoch.0 += 1;
        }
        self.raise_repairs();
    }

    /// The master ends the reconfiguration.
    pub(super) fn resume_if_repaired(&mut self) {
        let me = self.me.node;
        let Some(membership) = self.membership() else { return };
        let waits = !membership.is_settled || self.repairs.values().any(|repair| repair.is_done());
        // A private group is nobody else's affair.
        let mut shared = self.repairs.values().filter(|repair| repair.is_shared());
        let all_done = shared.all(super::repair::Repair::is_done);
        // What is on its way comes before RESUME, which has to say where things stand after it.
        let is_deciding = self.open.as_ref().is_some_and(super::transaction::Open::is_deciding);
        if membership.master != Some(me) || !waits || !all_done || is_deciding {
            return;
        }
        if membership.announces.len() != membership.present().len() {
            return;
        }
        let generation = membership.generation();
        let groups = self.shared_states();
        self.broadcast(&VMessage::Resume { generation, groups });
    }

    /// Where all shared groups stand, or will with what was written back.
    pub(super) fn shared_states(&self) -> Vec<GroupState> {
        let shared = self.tables.iter().filter(|(_, table)| table.is_shared());
        let state = |(id, table): (&_, &super::Table)| {
            let mut state = table.state(id);
            if let Some((stamp, slot)) = self.repairs.get(id).and_then(|repair| repair.written()) {
                (state.stamp, state.slot) = (stamp, slot);
            }
            state
        };
        shared.map(state).collect()
    }

    pub(super) fn on_resume(&mut self, from: NodeId, generation: u64, groups: &[GroupState]) {
        let me = self.me.node;
        let Some(membership) = self.membership_mut() else { return };
        if membership.master != Some(from) || membership.generation() != generation {
            return;
        }
        membership.is_settled = true;
        membership.is_handed_over = false;
        membership.is_suspended = false;
        self.abandoned = None;
        let Some(membership) = self.membership_mut() else { return };
        let writer = membership.id_of(from);
        if membership.is_member(me) {
            for state in groups {
                self.apply_state(state, writer);
            }
            self.repairs.retain(|_, repair| !repair.is_shared());
            for table in self.tables.values_mut().filter(|table| table.is_shared()) {
                table.frozen = self
                    .open
                    .as_ref()
                    .map(|open| open.txn.id.clone())
                    .filter(|id| table.frozen.as_ref() == Some(id));
            }
        }
        self.tell_tables();
        self.tell(Upcall::Role(self.role()));
        self.load_late();
        self.tell_joiners();
        self.leave_if_closed();
    }

    pub(super) fn on_master(&mut self, now: Instant, from: NodeId, node: NodeId) {
        let me = self.me.node;
        let Some(membership) = self.membership_mut() else { return };
        membership.is_switching = false;
        if membership.master != Some(from) || !membership.is_member(node) || node == from {
            return;
        }
        membership.master = Some(node);
        membership.is_settled = false;
        membership.is_handed_over = true;
        self.release_ranges(NodeSet::EMPTY);
        self.take_over();
        if node == me {
            self.start_repairs(now);
            self.resume_if_repaired();
        }
        self.tell(Upcall::Role(self.role()));
    }

    /// A slave asks for another master, and is told if nothing comes of it.
    pub(super) fn on_want_master(&mut self, from: NodeId, node: NodeId) {
        self.ask_master(node);
        if !self.switches() {
            self.out.push_back(IodOutput::SendTo(from, VMessage::MasterStays.encode()));
        }
    }

    /// Another node is about to be master.
    pub(super) fn switches(&self) -> bool {
        self.resyncs.awaits_switch()
            || self.membership().is_some_and(|membership| membership.is_switching)
    }

    /// Nothing comes of it, which the role shows.
    pub(super) fn on_master_stays(&mut self) {
        self.tell(Upcall::Role(self.role()));
    }

    pub(super) fn ask_master(&mut self, node: NodeId) {
        let Some(membership) = self.membership() else { return };
        let may = membership.is_settled
            && membership.is_member(node)
            && membership.master != Some(node)
            && membership.admitting.is_none()
            && self.open.is_none()
            && self.wanted.is_empty()
            // What this node still may write nobody else knows of.
            && self.hung.is_empty()
            && self.repairs.values().all(|repair| !repair.is_shared());
        let is_member = membership.is_member(self.me.node);
        if !self.is_master() && may && is_member {
            self.send_to_master(&VMessage::WantMaster { node });
            return;
        }
        if !self.is_master() || !may {
            // Nothing comes of it, which the role shows.
            self.tell(Upcall::Role(self.role()));
            return;
        }
        if self.copies_shared() || self.logs.are_busy() {
            // The disks are still to answer.
            self.resyncs.switch_later(node);
            return;
        }
        if let Some(membership) = self.membership_mut() {
            membership.is_switching = true;
        }
        self.broadcast(&VMessage::Master { node });
    }

    /// Who is who.
    pub fn role(&self) -> Role {
        let Some(membership) = self.membership() else { return Role::default() };
        Role {
            master: membership.master,
            members: membership.members,
            joiners: membership.present().difference(membership.members),
            is_member: membership.is_member(self.me.node),
            reconfig: membership.reconfig,
            is_suspended: membership.is_suspended || !membership.is_settled,
        }
    }

    /// The master's vxconfigd is told of those who wait; it deals with one after the other.
    pub(super) fn tell_joiners(&mut self) {
        let Some(membership) = self.membership() else { return };
        if !self.is_master() || !membership.is_settled {
            return;
        }
        let joiner = |announce: &&Announce| !membership.is_member(announce.id.node);
        let joiners: Vec<Announce> =
            membership.announces().values().filter(joiner).cloned().collect();
        for announce in joiners {
            self.tell(Upcall::Joining { announce });
        }
    }

    /// Out of the cluster: what is shared is gone from here (CVM-34), what is private stays.
    pub(super) fn leave(&mut self, now: Instant, reason: &str) {
        if matches!(self.cluster, Cluster::Out { .. }) {
            return;
        }
        self.cluster = Cluster::Out { reason: reason.to_owned() };
        if self.open.as_ref().is_some_and(|open| open.is_shared) {
            // What became of it this node does not know: no upcall but that it is out.
            self.open = None;
        }
        self.unloaded = None;
        self.abandoned = None;
        self.drains.leave();
        self.opens.go_nowhere();
        self.apart.go_nowhere();
        self.disabled.retain(|_, image| !image.group.is_shared());
        self.tables.retain(|_, table| !table.is_shared());
        // Decisions of this stay: alone it may have come further than those who go on without it.
        self.decided.retain(|group, _| self.tables.contains_key(group));
        self.staged.clear();
        self.modes.clear();
        self.repairs.retain(|_, repair| !repair.is_shared());
        self.forget_opens();
        self.forget_findings();
        self.leave_resyncs();
        // First: who waits until something is written back is not to take this for that.
        self.tell(Upcall::Out { reason: reason.to_owned() });
        self.tell_tables();
        self.retry_repairs(now);
        // One of a private group goes on; of others vxconfigd is told that nothing comes of them.
        self.load_late();
    }

    pub(super) fn send_to_master(&mut self, message: &VMessage) {
        let master = self.membership().and_then(|membership| membership.master);
        if let Some(master) = master {
            self.out.push_back(IodOutput::SendTo(master, message.encode()));
        }
    }
}

/// The member that is master already, else the one with the highest preference, else the lowest.
fn choose_master(announces: &Announces) -> Option<NodeId> {
    let masters = announces.values().find(|announce| announce.is_master);
    // A member of the cluster knows its groups; a joiner that is preferred does not.
    let has_members = announces.values().any(|announce| announce.is_member);
    let candidates = announces.values().filter(|announce| announce.is_member || !has_members);
    let best = candidates
        .max_by_key(|announce| (announce.preference, std::cmp::Reverse(announce.id.node)));
    masters.or(best).map(|announce| announce.id.node)
}

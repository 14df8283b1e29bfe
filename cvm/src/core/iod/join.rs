//! Nodes become members, and members leave.

use std::sync::Arc;

use llt::{Instant, NodeId};

use super::drain::After;
use super::{Cluster, Iod, IodOutput, Table, Tenures, Upcall, VolumeName, without};
use crate::core::wire::v::{Admit, CopyRange, VMessage};
use crate::disk::Image;
use crate::model::{Activation, Name, Stamp, UniqueId};

/// Does the node want to leave?
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Leaving {
    /// No.
    #[default]
    No,
    /// It has said so to the others.
    Said,
    /// When the last volume is closed (CVM-22, CVM-25): there is no limit to that.
    Waiting,
}

/// What a joiner has heard of how groups stand, and has not done.
#[derive(Clone, Debug)]
pub(super) enum Missed {
    Activate(UniqueId, Activation),
    Hold(UniqueId, Name),
    Release(UniqueId, Name),
    CopyOver(VolumeName, u64),
    CopyRange(CopyRange),
}

impl Missed {
    /// The volume, if it is about a range that is copied.
    fn copied(&self) -> Option<VolumeName> {
        match self {
            Self::CopyOver(volume, _) => Some(volume.clone()),
            Self::CopyRange(range) => Some((range.group.clone(), range.volume.clone())),
            Self::Activate(..) | Self::Hold(..) | Self::Release(..) => None,
        }
    }
}

impl Iod {
    pub(super) fn start_node(&mut self) {
        if self.drains.closes() {
            self.tell_out();
        } else if matches!(self.cluster, Cluster::Out { .. }) {
            // Each stay is a life of its own: what an earlier one may still write is known by it.
            self.me.incarnation.0 += 1;
            self.cluster = Cluster::In(Box::default());
            self.out.push_back(IodOutput::OpenPort);
        }
    }

    pub(super) fn stop_node(&mut self, now: Instant) {
        let me = self.me.node;
        let Some(membership) = self.membership_mut() else { return self.tell_out() };
        if membership.leaving == Leaving::No {
            membership.leaving = Leaving::Waiting;
        }
        if membership.is_member(me) {
            self.leave_if_closed();
        } else {
            self.out.push_back(IodOutput::ClosePort);
            self.leave(now, "user initiated stop");
        }
    }

    /// CVM-26, CVM-27: not before all shared volumes are closed here, nor in a transaction or a
    /// reconfiguration.
    pub(super) fn leave_if_closed(&mut self) {
        if self.membership().is_none_or(|membership| membership.leaving != Leaving::Waiting) {
            return;
        }
        let is_open = self.has_shared_opens();
        // What this node copies, and what it writes by the configuration, comes to an end first.
        let is_busy = self.open.as_ref().is_some_and(|open| open.is_shared)
            || self.is_master() && (self.copies_shared() || self.logs.are_busy())
            || !self.writes_nothing()
            || self.owes_others();
        let Some(membership) = self.membership_mut() else { return };
        let ready =
            membership.is_settled && membership.admitting.is_none() && !membership.is_switching;
        if membership.leaving == Leaving::Waiting && ready && !is_open && !is_busy {
            membership.leaving = Leaving::Said;
            self.broadcast(&VMessage::Goodbye);
        }
    }

    pub(super) fn on_goodbye(&mut self, now: Instant, from: NodeId) {
        let me = self.me.node;
        if from == me && self.membership().is_some() {
            self.out.push_back(IodOutput::ClosePort);
            self.leave(now, "user initiated stop");
        }
    }

    /// It is out already: whoever asked is to know.
    fn tell_out(&mut self) {
        let reason = self.out_of_cluster().unwrap_or_default().to_owned();
        self.tell(Upcall::Out { reason });
    }

    pub(super) fn abort_node(&mut self, now: Instant) {
        if matches!(self.cluster, Cluster::In(_)) {
            self.leave(now, "user initiated abort");
            // What disks have been told is not taken back (facts 3.6): others are to wait for it.
            self.drain(After::ClosePort);
        } else {
            self.tell_out();
        }
    }

    pub(super) fn stage(&mut self, groups: Vec<(Arc<Image>, Tenures)>) {
        let table = |(image, tenures): (Arc<Image>, Tenures)| {
            (image.group.id.clone(), Table::new(image, tenures))
        };
        self.staged = groups.into_iter().map(table).collect();
    }

    /// CVM-14, CVM-15: between two transactions.
    pub(super) fn admit(&mut self, node: NodeId, given: &[(UniqueId, Stamp)]) {
        let is_free = self.open.is_none()
            && !self.wanted.is_loading()
            && !self.has_lost_writers()
            && self.repairs.values().all(|repair| !repair.is_shared());
        let is_master = self.is_master();
        let groups = self.shared_states();
        let mut states = groups.iter().map(|state| (&state.id, state.stamp));
        let is_same = groups.len() == given.len()
            && states.all(|state| given.iter().any(|(id, stamp)| (id, *stamp) == state));
        if !is_same {
            // A plex was taken off meanwhile: the joiner is given what is in force now.
            self.tell_joiners();
            return;
        }
        let modes = self.modes.iter().map(|((group, node), mode)| (group.clone(), *node, *mode));
        let (modes, busy) = (modes.collect(), self.busy_slots());
        let ranges = self.copy_ranges();
        let holders = self.opens.holders();
        let Some(membership) = self.membership_mut() else { return };
        let waits = membership.present().contains(node) && !membership.is_member(node);
        if is_master
            && is_free
            && waits
            && membership.is_settled
            && !membership.is_switching
            && membership.admitting.is_none()
        {
            membership.admitting = Some(node);
            let (reconfig, wishes) = (membership.reconfig, membership.wishes);
            self.broadcast(&VMessage::Admit(Admit {
                node,
                reconfig,
                groups,
                modes,
                holders,
                ranges,
                busy,
                wishes,
            }));
        }
    }

    /// A joiner takes part in nothing yet; what it misses between the master's look at how things stand
    /// and ADMIT it does when it is a member.
    pub(super) fn note_missed(&mut self, from: NodeId, missed: impl FnOnce() -> Missed) {
        let me = self.me.node;
        if let Some(membership) = self.membership_mut().filter(|m| !m.is_member(me)) {
            let missed = missed();
            if let Some(volume) = missed.copied() {
                // Of what is copied only the newest counts.
                membership.missed.retain(|(_, other)| other.copied().as_ref() != Some(&volume));
            }
            membership.missed.push((from, missed));
        }
    }

    /// What may be refused is told apart by its place, which is the same for all.
    pub(super) fn note_wish(&mut self, from: NodeId, missed: impl FnOnce() -> Missed) {
        if let Some(membership) = self.membership_mut() {
            membership.wishes += 1;
        }
        self.note_missed(from, missed);
    }

    /// The first `known` wishes the master knew of when it looked: one that was refused might not be as
    /// things stood later.
    fn make_up_for_what_was_missed(&mut self, mut known: u64) {
        let missed = self.membership_mut().map(|membership| std::mem::take(&mut membership.missed));
        for (from, missed) in missed.into_iter().flatten() {
            if known > 0 && missed.copied().is_none() {
                known -= 1;
                continue;
            }
            match missed {
                Missed::Activate(group, mode) => self.on_activate(from, group, mode),
                Missed::Hold(group, volume) => self.on_hold(from, group, volume),
                Missed::Release(group, volume) => self.on_release(from, group, volume),
                Missed::CopyOver(volume, reconfig) => self.on_copy_over(from, &volume, reconfig),
                Missed::CopyRange(range) => self.on_copy_range(from, range),
            }
        }
    }

    pub(super) fn on_admit(&mut self, now: Instant, from: NodeId, admit: Admit) {
        let me = self.me.node;
        let Some(membership) = self.membership_mut() else { return };
        if membership.master != Some(from) || membership.reconfig > admit.reconfig {
            return;
        }
        membership.admitting = None;
        // One that a view has overtaken: who is a member of that is what everybody announces, and the
        // joiner has announced that it is none. It is told of again when the view is settled.
        if !membership.is_settled
            || membership.is_member(admit.node)
            || !membership.present().contains(admit.node)
        {
            return;
        }
        membership.members.insert(admit.node);
        membership.reconfig = admit.reconfig;
        self.ask_others_again(now);
        if admit.node == me && !self.take_tables(now, &admit) {
            self.out.push_back(IodOutput::ClosePort);
            self.leave(now, "cannot obtain configuration data");
            return;
        }
        if admit.node == me {
            self.make_up_for_what_was_missed(admit.wishes);
            self.tell_tables();
        }
        self.tell(Upcall::Role(self.role()));
        self.tell_joiners();
        self.leave_if_closed();
    }

    /// The joiner takes what it was given, if it is what is in force.
    fn take_tables(&mut self, now: Instant, admit: &Admit) -> bool {
        let staged = std::mem::take(&mut self.staged);
        let same = admit
            .groups
            .iter()
            .all(|state| staged.get(&state.id).is_some_and(|table| table.stamp() == state.stamp));
        if !same || staged.len() != admit.groups.len() {
            return false;
        }
        self.tables.extend(staged);
        for state in &admit.groups {
            if let Some(table) = self.tables.get_mut(&state.id) {
                table.epoch = state.epoch;
            }
        }
        for busy in &admit.busy {
            self.note_busy(now, busy.clone());
        }
        self.opens.take_holders(&admit.holders);
        for range in &admit.ranges {
            self.tasks.set_pace((range.group.clone(), range.volume.clone()), range.pace);
            self.hold_range(range.clone());
        }
        let modes = admit.modes.iter().filter(|(.., mode)| *mode != Activation::Off);
        self.modes = modes.map(|(group, node, mode)| ((group.clone(), *node), *mode)).collect();
        true
    }

    pub(super) fn reject(&mut self, node: NodeId, reason: String) {
        let waits = self.membership().is_some_and(|membership| {
            membership.present().contains(node) && !membership.is_member(node)
        });
        if self.is_master() && waits {
            self.broadcast(&VMessage::Reject { node, reason });
        }
    }

    pub(super) fn on_reject(&mut self, now: Instant, from: NodeId, node: NodeId, reason: String) {
        let me = self.me.node;
        let Some(membership) = self.membership() else { return };
        if membership.master == Some(from) && node == me && !membership.is_member(me) {
            self.out.push_back(IodOutput::ClosePort);
            self.leave(now, &reason);
        }
    }

    /// Other members of port v, joiners and members.
    pub fn peers(&self) -> llt::NodeSet {
        let present = self.membership().map(super::view::Membership::present);
        without(present.unwrap_or(llt::NodeSet::EMPTY), self.me.node)
    }
}

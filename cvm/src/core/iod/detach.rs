//! Plexes that a node cannot write are taken off for all nodes at once (facts 2.10, CVM-48): by a
//! transaction that the master's vxiod makes itself, so that no vxconfigd is needed for I/O to go on.
//!
//! ```text
//! any       a write fails -> v PLEX_FAILED: everybody notes it
//! master    v DETACH, and when that is here: QUIESCE, write, COMMIT as in any other transaction
//! ```
//! A transaction that is under way goes first. Whatever comes in between, a failed write is made
//! anew when its volume goes on, and fails anew if the plex is still in use: so notes can be dropped
//! in every view in which somebody leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use llt::{Id, Incarnation, Instant, NodeId};

use super::slots::disks_of;
use super::{Iod, IodNotice, Table};
use crate::core::txn::TxnId;
use crate::core::wire::v::{Detach, VMessage};
use crate::core::wire::w::{Base, Precheck};
use crate::disk::RequestId;
use crate::model::change::Change;
use crate::model::{Group, KernelState, Name, PlexState, UniqueId};

/// What is known of plexes that are to be taken off.
#[derive(Clone, Debug, Default)]
pub(super) struct Detaches {
    /// Which, and when that was seen first, in seconds since 1970.
    wanted: BTreeMap<UniqueId, (BTreeSet<Name>, u64)>,
    /// DETACH of this one is on its way; nothing else begins.
    loading: Option<TxnId>,
    /// After one that came to nothing.
    not_before: Option<Instant>,
}

impl Detaches {
    /// Something of it is on its way.
    pub(super) const fn is_loading(&self) -> bool {
        self.loading.is_some()
    }

    /// Nothing is to be taken off.
    pub(super) fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.loading.is_none()
    }

    /// Somebody left: whoever still needs it will say so again.
    pub(super) fn forget_shared(&mut self, is_shared: impl Fn(&UniqueId) -> bool) {
        self.wanted.retain(|group, _| !is_shared(group));
        (self.loading, self.not_before) = (None, None);
    }
}

impl Iod {
    /// A plex of an open volume could not be written on this node. `time` is in seconds since 1970.
    pub fn handle_plex_failed(&mut self, now: Instant, group: &UniqueId, plex: Name, time: u64) {
        let Some(table) = self.tables.get(group) else { return };
        if table.is_shared() {
            self.broadcast(&VMessage::PlexFailed { group: group.clone(), plex, time });
        } else {
            self.want_detach(now, group, plex, time);
        }
    }

    /// A member has seen a plex fail.
    pub(super) fn on_plex_failed(
        &mut self,
        now: Instant,
        from: NodeId,
        group: &UniqueId,
        plex: Name,
        time: u64,
    ) {
        let me = self.me.node;
        if self.membership().is_some_and(|m| m.is_member(me) && m.is_member(from)) {
            self.notice(IodNotice::PlexFailed {
                group: group.clone(),
                plex: plex.clone(),
                node: from,
            });
            self.want_detach(now, group, plex, time);
        }
    }

    fn want_detach(&mut self, now: Instant, group: &UniqueId, plex: Name, time: u64) {
        let (plexes, since) = self.detaches.wanted.entry(group.clone()).or_default();
        plexes.insert(plex);
        *since = (*since).max(time);
        self.take_off(now);
    }

    /// Begins to take off what is to be, if nothing is in the way.
    pub(super) fn take_off(&mut self, now: Instant) {
        let waits = self.detaches.not_before.is_some_and(|at| at > now);
        if self.open.is_some() || self.detaches.is_loading() || waits {
            return;
        }
        self.detaches.not_before = None;
        self.forget_what_stays();
        let groups: Vec<UniqueId> = self.detaches.wanted.keys().cloned().collect();
        for group in groups {
            if self.may_take_off(&group) && self.take_off_of(now, &group) {
                return;
            }
        }
    }

    /// What is off already, and what is the last plex of a volume; on every node, for any may become
    /// master.
    fn forget_what_stays(&mut self) {
        let tables = &self.tables;
        self.detaches.wanted.retain(|id, (plexes, _)| {
            tables.get(id).is_some_and(|table| !detached(&table.image.group, plexes).1.is_empty())
        });
    }

    /// The master, for shared groups, while the cluster stands.
    fn may_take_off(&self, group: &UniqueId) -> bool {
        let Some(table) = self.tables.get(group) else { return true };
        let stands = self.membership().is_some_and(|m| {
            m.is_settled && !m.is_suspended && m.admitting.is_none() && !m.is_switching
        });
        let is_ours = !table.is_shared() || self.is_master() && stands;
        is_ours && !self.repairs.contains_key(group)
    }

    /// `false`: there is nothing to be done any more.
    fn take_off_of(&mut self, now: Instant, id: &UniqueId) -> bool {
        let Some((plexes, time)) = self.detaches.wanted.get(id).cloned() else { return false };
        let after = self.tables.get(id).map(|table| detached(&table.image.group, &plexes));
        let (Some(table), Some((group, _))) = (self.tables.get(id), after) else { return false };
        let disks = disks_of(&table.image.group);
        let Some(slot) = self.free_slot(Some(table.slot()), &disks) else {
            self.detaches.not_before = Some(now + self.config.retry);
            return false;
        };
        let is_shared = table.is_shared();
        let reconfig = self.membership().filter(|_| is_shared).map_or(0, |m| m.reconfig);
        let stamp = self.next_stamp(id, table.stamp());
        let copies = table.image.copies.assign(&group, &table.failed);
        let detach = Detach {
            id: TxnId { group: id.clone(), stamp, reconfig },
            base: table.stamp(),
            plexes: plexes.into_iter().collect(),
            copies: copies.iter().map(|(disk, copies)| (disk.clone(), copies)).collect(),
            time,
            slot,
        };
        if is_shared {
            self.detaches.loading = Some(detach.id.clone());
            self.broadcast(&VMessage::Detach(Box::new(detach)));
        } else {
            self.load_detach(now, self.me.node, detach);
        }
        true
    }

    /// The master takes plexes off.
    pub(super) fn on_detach(&mut self, now: Instant, from: NodeId, detach: Detach) {
        let Some(membership) = self.membership() else { return };
        if membership.master == Some(from)
            && membership.reconfig == detach.id.reconfig
            && membership.is_member(self.me.node)
        {
            self.load_detach(now, from, detach);
        }
    }

    fn load_detach(&mut self, now: Instant, from: NodeId, detach: Detach) {
        self.detaches.loading = None;
        let id = detach.id.clone();
        let table = self.tables.get(&id.group);
        // Who cannot load it refuses when it is to quiesce.
        let begins = from == self.me.node;
        let precheck = table.map(|table| precheck(table, from, detach));
        if precheck.is_some_and(|precheck| self.load_own(&precheck)) {
            if begins {
                self.begin(now, &id);
            }
        } else if begins {
            self.detach_came_to_nothing(now);
        }
    }

    /// What is off already is not wanted any more.
    pub(super) fn note_detached(&mut self, id: &UniqueId) {
        let group = self.tables.get(id).map(|table| Arc::clone(&table.image.group));
        let is_on = |name: &Name| {
            let plex = group.as_ref().and_then(|group| group.plexes.get(name));
            plex.is_some_and(|plex| plex.kernel == KernelState::Enabled)
        };
        if let Some((plexes, _)) = self.detaches.wanted.get_mut(id) {
            plexes.retain(|name| is_on(name));
        }
        self.detaches.wanted.retain(|_, (plexes, _)| !plexes.is_empty());
    }

    /// Somebody has left, or this node: whoever still needs it will say so again.
    pub(super) fn forget_detaches(&mut self) {
        let tables = &self.tables;
        self.detaches.forget_shared(|group| tables.get(group).is_none_or(Table::is_shared));
    }

    /// It is tried again, a little later.
    pub(super) fn detach_came_to_nothing(&mut self, now: Instant) {
        self.detaches.not_before = Some(now + self.config.retry);
        self.load_late();
        self.tell_joiners();
    }

    pub(super) fn detach_deadline(&self) -> Option<Instant> {
        let waits = self.open.is_none() && !self.detaches.is_loading();
        self.detaches.not_before.filter(|_| waits)
    }
}

/// The transaction, as everybody makes it of the same table.
fn precheck(table: &Table, from: NodeId, detach: Detach) -> Precheck {
    let Detach { id, base, plexes, copies, time, slot } = detach;
    let (group, volumes) = detached(&table.image.group, &plexes.into_iter().collect());
    // No utility has asked for it.
    let origin = Id { node: from, incarnation: Incarnation(0) };
    Precheck {
        id,
        request: RequestId { origin, number: 0 },
        base: Base::InForce(base),
        change: Change::between(Some(&table.image.group), &group),
        copies,
        tenures: table.tenures.clone(),
        time,
        slot,
        volumes,
        closed: Vec::new(),
        disks: Vec::new(),
    }
}

/// A group without those of `plexes` that can be taken off, and the volumes that this changes.
///
/// A plex stays if no other of its volume is current: of two that have failed the first goes.
fn detached(group: &Group, plexes: &BTreeSet<Name>) -> (Group, Vec<Name>) {
    let mut after = group.clone();
    let mut volumes = BTreeSet::new();
    for name in plexes {
        let is_on = after.plexes.get(name).is_some_and(|p| p.kernel == KernelState::Enabled);
        let Some((volume, record)) = after.volume_of(name).filter(|_| is_on) else { continue };
        let is_current = |other: &Name| {
            other != name
                && after.plexes.get(other).is_some_and(|plex| {
                    let is_good = matches!(
                        plex.state,
                        PlexState::Active | PlexState::Clean | PlexState::Empty
                    );
                    is_good && plex.kernel == KernelState::Enabled
                })
        };
        if !record.plexes.iter().any(is_current) {
            continue;
        }
        volumes.insert(volume.clone());
        if let Some(plex) = after.plexes.get_mut(name) {
            (plex.kernel, plex.state) = (KernelState::Detached, PlexState::IoFail);
        }
    }
    (after, volumes.into_iter().collect())
}

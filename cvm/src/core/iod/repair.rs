//! What may be half written is written back (design 2): by the master of the moment, under a higher
//! stamp and into another slot. Until RESUME the group's I/O stands still and nothing of it changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use llt::time::earliest;
use llt::{Id, Instant};

use super::io::Purpose;
use super::transaction::{config_disks, disks_of_txn, outcome};
use super::written::Written;
use super::{DiskError, Iod, IodNotice, Write, table};
use crate::core::txn::{Before, Txn};
use crate::core::wire::v::GroupState;
use crate::disk::{Decision, Image, Slot};
use crate::model::{Epoch, Stamp, Tid, UniqueId};

/// An abandoned transaction of which something may be on a disk.
#[derive(Clone, Debug)]
pub(super) struct Repair {
    txn: Txn,
    is_shared: bool,
    /// The transaction's, and one more for each master since.
    epoch: Epoch,
    /// Counts the tries of this node, to know whose writes come back.
    number: u64,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// Nobody, or another node, works on it.
    Idle,
    /// Every write has come back, and enough of them well.
    Done { stamp: Stamp, slot: Slot },
    /// No slot is free, or it went wrong: not before this.
    Waiting { until: Instant },
    /// Being written.
    Writing { stamp: Stamp, slot: Slot, left: usize, written: Written },
}

impl Repair {
    pub(super) const fn new(txn: Txn, is_shared: bool) -> Self {
        let epoch = txn.id.stamp.epoch;
        Self { txn, is_shared, epoch, number: 0, state: State::Idle }
    }

    /// All disks that may be written.
    pub(super) fn disks(&self) -> Vec<UniqueId> {
        self.txn.tenures.keys().cloned().collect()
    }

    /// What was abandoned.
    pub(super) const fn txn(&self) -> &Txn {
        &self.txn
    }

    /// The highest stamp that may have been written; the epoch is the same on all nodes, and the number
    /// right where it was tried.
    pub(super) const fn last_tried(&self) -> Stamp {
        Stamp { epoch: self.epoch, tid: Tid(self.txn.id.stamp.tid.0 + self.number) }
    }

    pub(super) const fn is_shared(&self) -> bool {
        self.is_shared
    }

    pub(super) const fn is_done(&self) -> bool {
        matches!(self.state, State::Done { .. })
    }

    /// What was written, and where.
    pub(super) const fn written(&self) -> Option<(Stamp, Slot)> {
        match self.state {
            State::Done { stamp, slot } => Some((stamp, slot)),
            State::Idle | State::Waiting { .. } | State::Writing { .. } => None,
        }
    }
}

impl Iod {
    /// The master, and everybody for its own groups, begins to write back.
    pub(super) fn start_repairs(&mut self, now: Instant) {
        let is_master = self.is_master();
        let due = self.repairs.iter().filter(|(_, repair)| {
            let mine = !repair.is_shared || is_master;
            let idle = match repair.state {
                State::Idle => true,
                State::Waiting { until } => until <= now,
                State::Done { .. } | State::Writing { .. } => false,
            };
            mine && idle
        });
        let due: Vec<UniqueId> = due.map(|(id, _)| id.clone()).collect();
        for id in due {
            self.start_repair(now, &id);
        }
    }

    fn start_repair(&mut self, now: Instant, id: &UniqueId) {
        // A write of ours that is under way may still land: nothing is newer than it before.
        let busy = self.has_writes(id);
        let wait = now + self.config.retry;
        let slot = self.repair_slot(id).filter(|_| !busy);
        let before = self.repairs.get(id).and_then(|repair| self.before(&repair.txn));
        let me = self.me;
        let Some(repair) = self.repairs.get_mut(id) else { return };
        let Some(slot) = slot else {
            repair.state = State::Waiting { until: wait };
            return;
        };
        repair.number += 1;
        let old = repair.txn.id.stamp;
        let epoch = repair.epoch;
        let stamp = Stamp { epoch, tid: Tid(old.tid.0 + repair.number) };
        let (number, txn) = (repair.number, repair.txn.clone());
        let writes = writes(&txn, before.as_deref(), stamp, slot, me);
        let left = writes.len();
        repair.state = State::Writing { stamp, slot, left, written: Written::default() };
        for write in writes {
            self.write(Purpose::Repair(id.clone(), number), write);
        }
    }

    /// Not the slot in force, not the transaction's, and none that somebody may still write.
    pub(super) fn repair_slot(&self, id: &UniqueId) -> Option<Slot> {
        let txn = &self.repairs.get(id)?.txn;
        let in_force = match (&txn.before, self.tables.get(id)) {
            (_, Some(table)) => Some(table.slot()),
            (Before::OnDisk(image), None) => Some(image.slot),
            (Before::InForce(_) | Before::Nothing, None) => None,
        };
        let all = self.repairs.get(id).map(Repair::disks)?;
        let free = |slot: &Slot| {
            Some(*slot) != in_force && *slot != txn.slot && !self.is_busy(*slot, &all)
        };
        Slot::ALL.into_iter().find(free)
    }

    pub(super) fn on_repair_write(
        &mut self,
        now: Instant,
        id: &UniqueId,
        number: u64,
        disk: UniqueId,
        is_image: bool,
        done: Result<(), DiskError>,
    ) {
        let retry = now + self.config.retry;
        if let Err(error) = &done {
            let (group, disk, error) = (id.clone(), disk.clone(), error.clone());
            self.notice(IodNotice::CopyFailed { group, disk, error });
        }
        let before = self.repairs.get(id).and_then(|repair| self.before(&repair.txn));
        let Some(repair) = self.repairs.get_mut(id).filter(|repair| repair.number == number) else {
            return;
        };
        let State::Writing { stamp, slot, left, written } = &mut repair.state else {
            return;
        };
        *left -= 1;
        written.note(disk, is_image, done.is_ok());
        if *left > 0 {
            return;
        }
        let is_last = number >= super::disable::TRIES;
        let (txn, before) = (&repair.txn, before.as_deref());
        let misclaimed = misclaimed(written, txn, before);
        // Where nothing was before, a claim that stays is a disk that cannot be used.
        let enough = before.is_none_or(|before| {
            written_back(before, txn).is_enough(&written.images_but(&misclaimed))
        });
        // A disk that is gone is not waited for for ever.
        let well = enough && (misclaimed.is_empty() || is_last && before.is_some());
        let (stamp, slot, is_shared) = (*stamp, *slot, repair.is_shared);
        repair.state =
            if well { State::Done { stamp, slot } } else { State::Waiting { until: retry } };
        if !well {
            self.notice(IodNotice::RepairFailed { group: id.clone() });
            if is_last {
                self.apply_fail_policy(now, id, is_shared);
            }
        } else if is_shared {
            self.resume_if_repaired();
        } else {
            let me = self.me;
            self.note_written_back(id, stamp, slot, me);
            self.tell_tables();
        }
    }

    /// The configuration in force has another stamp: it was written back.
    fn note_written_back(&mut self, id: &UniqueId, stamp: Stamp, slot: Slot, writer: Id) {
        let txn = self.repairs.remove(id).map(|repair| repair.txn);
        self.note_decided(id, stamp);
        let Some(table) = self.tables.get_mut(id) else { return };
        let image = Arc::make_mut(&mut table.image);
        if let Some(txn) = &txn {
            *image = written_back(image, txn);
        }
        (image.stamp, image.writer, image.slot, image.claiming) = (stamp, writer, slot, false);
        if let Some(txn) = txn {
            image.outcomes.note(outcome(&txn.id, txn.request, Decision::Abandoned));
        }
        (table.epoch, table.frozen) = (stamp.epoch.max(table.epoch), None);
    }

    /// RESUME says where a group stands.
    pub(super) fn apply_state(&mut self, state: &GroupState, writer: Option<Id>) {
        let Some(table) = self.tables.get_mut(&state.id) else { return };
        if state.stamp < table.stamp() {
            self.alarm("RESUME takes back what is in force");
            return;
        }
        let changed = state.stamp != table.stamp();
        table.epoch = state.epoch;
        if changed && let Some(writer) = writer {
            self.note_written_back(&state.id, state.stamp, state.slot, writer);
        }
    }

    /// There is another master.
    pub(super) fn raise_repairs(&mut self) {
        for repair in self.repairs.values_mut().filter(|repair| repair.is_shared) {
            repair.epoch.0 += 1;
            if !repair.is_done() {
                repair.state = State::Idle;
            }
        }
    }

    pub(super) fn retry_repairs(&mut self, now: Instant) {
        let settled = self
            .membership()
            .is_none_or(|membership| membership.announces().len() == membership.present().len());
        if settled {
            self.start_repairs(now);
        }
    }

    pub(super) fn repair_deadline(&self) -> Option<Instant> {
        let is_master = self.is_master();
        let repairs = self.repairs.values().filter(|repair| !repair.is_shared || is_master);
        repairs.fold(None, |first, repair| match repair.state {
            State::Waiting { until } => earliest(first, Some(until)),
            State::Done { .. } | State::Idle | State::Writing { .. } => first,
        })
    }
}

/// The configuration before, as it is written back. Whoever imports what the abandoned transaction has left
/// needs more than half of the copies of this one, too, and so finds it.
fn written_back(before: &Image, txn: &Txn) -> Image {
    let mut image = before.clone();
    if matches!(txn.before, Before::InForce(_)) {
        // It was committed: whoever finds it by the copies before finds this by its own. A disk that it
        // has removed may be another group's by now.
        image.earlier.clear();
    }
    image
}

/// Disks that may say of themselves what the abandoned transaction has made of them; `before` is what they
/// were, if their group was there at all.
fn misclaimed(written: &Written, txn: &Txn, before: Option<&Image>) -> BTreeSet<UniqueId> {
    let was = |disk: &UniqueId| before.and_then(|before| table::member(&before.group, disk));
    let differs = |disk: &&UniqueId| was(disk) != table::member(&txn.group, disk);
    written.unclaimed().filter(differs).cloned().collect()
}

/// What is written back: the configuration before, and on each disk what it was.
fn writes(txn: &Txn, before: Option<&Image>, stamp: Stamp, slot: Slot, me: Id) -> Vec<Write> {
    let tenure = |disk: &UniqueId| txn.tenures.get(disk).copied().unwrap_or(0);
    let disks = disks_of_txn(txn, before);
    let Some(before) = before else {
        // The group is not made: its disks are nobody's again.
        let free = |disk: &UniqueId| table::free(slot, disk, tenure(disk), (stamp, me), txn.time);
        return disks.iter().map(|disk| Write::Claim(Box::new(free(disk)))).collect();
    };
    let floor = before.stamp;
    let mut image = written_back(before, txn);
    (image.stamp, image.writer, image.slot, image.claiming) = (stamp, me, slot, false);
    image.outcomes.note(outcome(&txn.id, txn.request, Decision::Abandoned));
    let image = Arc::new(image);
    let claim = |disk: &UniqueId| table::claim(&image, floor, disk, tenure(disk), txn.time);
    let mut writes: Vec<Write> =
        disks.iter().map(|disk| Write::Claim(Box::new(claim(disk)))).collect();
    for disk in config_disks(&image, txn) {
        writes.push(Write::Image(disk, Arc::clone(&image)));
    }
    writes
}

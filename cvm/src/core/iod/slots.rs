//! Slots that are left alone: a vxiod that is gone may still write them (design 4).
//!
//! A process that stood still between its last look at the clock and its write goes on with the write.
//! All of a transaction goes into one slot, so that is all it can damage; and what it leaves there is
//! older than whatever its successor wrote.

use llt::{Id, Instant};

use super::Iod;
use crate::core::txn::Txn;
use crate::core::wire::v::BusySlot;
use crate::disk::Slot;
use crate::model::UniqueId;

#[derive(Clone, Debug)]
pub(super) struct Busy {
    slot: BusySlot,
    /// Not later than this.
    until: Instant,
}

impl Iod {
    /// A slot of these disks that may be written: not `in_force`, and none that is left alone.
    pub fn free_slot<'a>(
        &self,
        in_force: Option<Slot>,
        disks: impl IntoIterator<Item = &'a UniqueId>,
    ) -> Option<Slot> {
        let disks: Vec<UniqueId> = disks.into_iter().cloned().collect();
        Slot::ALL.into_iter().find(|slot| Some(*slot) != in_force && !self.is_busy(*slot, &disks))
    }

    pub(super) fn is_busy(&self, slot: Slot, disks: &[UniqueId]) -> bool {
        let mut of_slot = self.busy.iter().filter(|busy| busy.slot.slot == slot);
        of_slot.any(|busy| busy.slot.disks.iter().any(|disk| disks.contains(disk)))
    }

    /// The master of a transaction is gone, and may have written.
    pub(super) fn leave_slot_alone(&mut self, now: Instant, txn: &Txn, writer: Id) {
        let disks = txn.tenures.keys().cloned().collect();
        self.note_busy(now, BusySlot { slot: txn.slot, writer, disks });
    }

    /// The master was writing back, and is gone: its last write may still come.
    pub(super) fn leave_repairs_alone(&mut self, now: Instant, writer: Id) {
        let shared = self.repairs.iter().filter(|(_, repair)| repair.is_shared());
        let slots = shared.filter_map(|(id, repair)| {
            Some(BusySlot { slot: self.repair_slot(id)?, writer, disks: repair.disks() })
        });
        for slot in slots.collect::<Vec<_>>() {
            self.note_busy(now, slot);
        }
    }

    pub(super) fn note_busy(&mut self, now: Instant, slot: BusySlot) {
        let until = now + self.config.write_limit;
        self.busy.push(Busy { slot, until });
    }

    pub(super) fn busy_slots(&self) -> Vec<BusySlot> {
        self.busy.iter().map(|busy| busy.slot.clone()).collect()
    }

    /// Writers that are back in another life write nothing of their last one.
    pub(super) fn free_slots_of(&mut self, ids: &[Id]) {
        let back = |writer: Id| {
            ids.iter().any(|id| id.node == writer.node && id.incarnation > writer.incarnation)
        };
        self.busy.retain(|busy| !back(busy.slot.writer));
    }

    pub(super) fn free_slots(&mut self, now: Instant) {
        let before = self.busy.len();
        self.busy.retain(|busy| busy.until > now);
        if self.busy.len() < before {
            self.tell_tables();
        }
    }

    pub(super) fn slot_deadline(&self) -> Option<Instant> {
        self.busy.iter().map(|busy| busy.until).min()
    }
}

pub(super) fn disks_of(group: &crate::model::Group) -> Vec<UniqueId> {
    group.disks.values().filter_map(|disk| disk.disk.clone()).collect()
}

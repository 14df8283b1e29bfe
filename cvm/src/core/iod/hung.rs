//! Disks that owe this node answers which nobody waits for any more: what they were told may still
//! be done, at any time. A change that would have volumes use such a disk anew is refused by this node,
//! for that would be overtaken.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{Iod, Owes, VolumeName};
use crate::core::txn::Txn;
use crate::model::{Group, KernelState, Name, Rid, Sectors, Source, UniqueId, Volume};
use crate::volume::{PlexMode, VolumeMap};

impl Iod {
    /// A disk does not answer this node, or has answered all that it was told.
    pub fn handle_hangs(&mut self, disk: UniqueId, owes: Owes) {
        if owes == Owes::Changes {
            self.owing.insert(disk.clone());
        } else {
            self.owing.remove(&disk);
        }
        if owes == Owes::Nothing {
            self.hung.remove(&disk);
            // Who could not say that it stands apart can now.
            self.resyncs.look();
        } else {
            self.hung.insert(disk);
        }
        self.say_what_is_clear();
        self.leave_if_closed();
    }

    /// Disks have answered, or the volume does not use them any more.
    pub(super) fn say_what_is_clear(&mut self) {
        for (volume, number) in std::mem::take(&mut self.resyncs.owed) {
            if self.resyncs.holds(&volume, number) {
                self.handle_range_clear(&volume, number);
            }
        }
    }

    /// A disk may still change data of the volume.
    pub(super) fn owes_changes_of(&self, (group, name): &VolumeName) -> bool {
        let map = self.tables.get(group).and_then(|table| table.map(name));
        map.is_some_and(|map| data_disks(&map).any(|disk| self.owing.contains(disk)))
    }

    /// A disk may still change what others use. Who leaves them stays one of them until it has answered:
    /// they wait for it in any case, and a member that says nothing any more holds up more.
    pub(super) fn owes_others(&self) -> bool {
        !self.owing.is_empty()
    }

    /// A disk of the group that may still change something of what others get by this.
    fn owing_of(&self, before: &Group, txn: &Txn) -> Option<UniqueId> {
        let disks = before.disks.values().filter_map(|record| record.disk.as_ref());
        let mut owing = disks.filter(|disk| self.owing.contains(*disk));
        let is_given =
            |disk: &&UniqueId| txn.deports(Some(before)) || !stays(before, &txn.group, disk);
        owing.find(is_given).cloned()
    }

    /// Why a transaction is not loaded: it has a volume use a disk that hangs here, and that it did not
    /// use before; or it gives to others what the disk may still change.
    pub(super) fn hanging(&self, txn: &Txn) -> Option<String> {
        if self.hung.is_empty() {
            return None;
        }
        let before = self.tables.get(&txn.id.group).map(|table| &*table.image.group);
        if let Some(owing) = before.and_then(|before| self.owing_of(before, txn)) {
            return Some(format!("disk {owing} does not answer"));
        }
        let wanted = txn.group.volumes.keys().find_map(|volume| {
            let known = before.map(|group| used(group, volume)).unwrap_or_default();
            let now = used(&txn.group, volume);
            now.into_iter().find(|disk| self.hung.contains(disk) && !known.contains(disk))
        })?;
        Some(format!("disk {wanted} does not answer"))
    }
}

/// The disk is in the group after it, and of its blocks nothing that was not before, or what was of
/// something else.
fn stays(before: &Group, after: &Group, disk: &UniqueId) -> bool {
    let mut after_on = on(after, disk);
    let is_known = |(rid, at): (Rid, Range<Sectors>)| {
        let mut known = on(before, disk);
        known.any(|(of, known)| of == rid && known.start <= at.start && at.end <= known.end)
    };
    let mut disks = after.disks.values();
    disks.any(|record| record.disk.as_ref() == Some(disk)) && after_on.all(is_known)
}

/// Subdisks on a disk, and where.
fn on(group: &Group, disk: &UniqueId) -> impl Iterator<Item = (Rid, Range<Sectors>)> {
    group.subdisks.values().filter_map(move |subdisk| {
        let Source::Disk { dm, offset } = &subdisk.source else { return None };
        let is_it = group.disks.get(dm).is_some_and(|record| record.disk.as_ref() == Some(disk));
        is_it.then(|| (subdisk.common.rid, *offset..offset + subdisk.len))
    })
}

/// Disks that are read or written for a volume.
fn used(group: &Group, volume: &Name) -> BTreeSet<UniqueId> {
    let is_on = |volume: &Volume| volume.kernel == KernelState::Enabled;
    if !group.volumes.get(volume).is_some_and(is_on) {
        return BTreeSet::new();
    }
    let Some(map) = VolumeMap::new(group, volume.as_str()) else { return BTreeSet::new() };
    let logs = map.mirrors().iter().filter_map(|mirror| mirror.log.as_ref());
    let logs = logs.flat_map(|log| log.copies.iter().map(|copy| &map.disks()[copy.disk.0]));
    data_disks(&map).chain(logs).cloned().collect()
}

/// Disks of plexes that are in use.
fn data_disks(map: &VolumeMap) -> impl Iterator<Item = &UniqueId> {
    let plexes = map.plexes().filter(|(_, plex)| plex.mode != PlexMode::Off);
    plexes.flat_map(|(_, plex)| plex.disks().iter().map(|disk| &map.disks()[disk.0]))
}

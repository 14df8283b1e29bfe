//! What is free, and which of it a request may use.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::group::Group;
use crate::model::ids::Name;
use crate::model::limits::ALIGNMENT;
use crate::model::op::Storage;
use crate::model::record::{Disk, Source, Subdisk};
use crate::model::refused::Refused;
use crate::model::size::{Sectors, round_down, round_up};

/// A range of the public region of a disk.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Extent {
    /// The disk media name.
    pub disk: Name,
    /// Where it begins.
    pub offset: Sectors,
    /// How long it is; not 0.
    pub len: Sectors,
}

/// All that no subdisk lies on, by disk and offset: what `vxdg free` lists. Disks that nothing is put
/// on (spare, failing, taken out) are among them, as in the original's listing.
pub fn free_space(group: &Group) -> Vec<Extent> {
    let mut used: BTreeMap<&Name, Vec<(Sectors, Sectors)>> = BTreeMap::new();
    for subdisk in group.subdisks.values() {
        if let Source::Disk { dm, offset } = &subdisk.source {
            used.entry(dm).or_default().push((*offset, offset.saturating_add(subdisk.len)));
        }
    }
    let mut free = Vec::new();
    for (name, disk) in &group.disks {
        let mut ranges = used.remove(name).unwrap_or_default();
        ranges.sort_unstable();
        ranges.push((disk.public_len, disk.public_len));
        let mut end = 0;
        for (begin, next) in ranges {
            if begin > end {
                free.push(Extent { disk: name.clone(), offset: end, len: begin - end });
            }
            end = end.max(next);
        }
    }
    free
}

/// The free ranges that a request may use, disks in the order in which they are tried.
#[derive(Clone, Debug)]
pub(super) struct Space {
    pub(super) rooms: Vec<Room>,
}

/// What may be used of one disk. All holes begin and end at multiples of [`ALIGNMENT`].
#[derive(Clone, Debug)]
pub(super) struct Room {
    pub(super) disk: Name,
    pub(super) holes: Vec<Extent>,
}

impl Space {
    /// Named disks in the order of the words, else all by name; spares and reserved disks only if
    /// they are named, and excluded disks never.
    pub(super) fn of(group: &Group, storage: &[Storage]) -> Result<Self, Refused> {
        Ok(Self::on(group, choose(group, storage)?))
    }

    /// For hot relocation of what lies on `failed`: spares, then the others that may be used for it;
    /// first of either where something from there has come to lie before.
    pub(super) fn hot(group: &Group, failed: &BTreeSet<Name>) -> Self {
        let is_usable = |disk: &Disk| {
            let is_left_alone = disk.nohotuse && !disk.spare;
            unusable(disk).is_none() && !is_left_alone && !disk.reserve
        };
        let is_from_there = |subdisk: &&Subdisk| {
            subdisk.origin.as_ref().is_some_and(|origin| failed.contains(&origin.dm))
        };
        let lie = group.subdisks.values().filter(is_from_there);
        let used: BTreeSet<&Name> = lie.filter_map(|subdisk| subdisk.source.disk()).collect();
        let disks = group.disks.iter().filter(|(_, disk)| is_usable(disk));
        let mut disks: Vec<(&Name, &Disk)> = disks.collect();
        disks.sort_by_key(|(name, disk)| (!disk.spare, !used.contains(name), *name));
        Self::on(group, disks.into_iter().map(|(name, _)| (name.clone(), 0)))
    }

    /// What is free on these disks, of each from an offset on.
    fn on(group: &Group, disks: impl IntoIterator<Item = (Name, Sectors)>) -> Self {
        let mut free: BTreeMap<Name, Vec<Extent>> = BTreeMap::new();
        for extent in free_space(group) {
            free.entry(extent.disk.clone()).or_default().push(extent);
        }
        let room = |(name, from): (Name, Sectors)| {
            let holes = free.remove(&name).unwrap_or_default();
            let holes = holes.iter().filter_map(|hole| align(hole, from)).collect();
            Room { disk: name, holes }
        };
        Self { rooms: disks.into_iter().map(room).collect() }
    }

    /// The same without some disks.
    pub(super) fn without(&self, disks: &BTreeSet<Name>) -> Self {
        let rooms = self.rooms.iter().filter(|room| !disks.contains(&room.disk));
        Self { rooms: rooms.cloned().collect() }
    }

    /// Takes a range out of the hole that it lies in.
    pub(super) fn carve(&mut self, taken: &Extent) {
        let end = taken.offset + taken.len;
        for room in self.rooms.iter_mut().filter(|room| room.disk == taken.disk) {
            room.holes = room.holes.iter().flat_map(|hole| cut(hole, taken.offset, end)).collect();
        }
    }

    /// All that is free.
    pub(super) fn total(&self) -> Sectors {
        self.rooms.iter().map(Room::total).sum()
    }
}

impl Room {
    /// All that is free here.
    pub(super) fn total(&self) -> Sectors {
        self.holes.iter().map(|hole| hole.len).sum()
    }

    /// The longest range.
    pub(super) fn longest(&self) -> Sectors {
        self.holes.iter().map(|hole| hole.len).max().unwrap_or(0)
    }
}

/// Disks that may be used, with the offset from which on.
fn choose(group: &Group, storage: &[Storage]) -> Result<Vec<(Name, Sectors)>, Refused> {
    let (mut named, mut excluded) = (Vec::new(), BTreeSet::new());
    for word in storage {
        let disk = group.disks.get(&word.disk);
        let disk =
            disk.ok_or_else(|| Refused::Missing { what: "disk", name: word.disk.clone() })?;
        if word.excluded {
            excluded.insert(&word.disk);
        } else if let Some(why) = unusable(disk) {
            return Err(Refused::Unusable { disk: word.disk.clone(), why });
        } else if named.iter().all(|(name, _)| *name != word.disk) {
            named.push((word.disk.clone(), word.offset.unwrap_or(0)));
        }
    }
    if named.is_empty() {
        let free =
            group.disks.iter().filter(|(_, d)| unusable(d).is_none() && !d.spare && !d.reserve);
        named = free.map(|(name, _)| (name.clone(), 0)).collect();
    }
    named.retain(|(name, _)| !excluded.contains(name));
    Ok(named)
}

/// Why nothing new is put on a disk, even if it is named.
const fn unusable(disk: &Disk) -> Option<&'static str> {
    if disk.removed {
        Some("was taken out")
    } else if disk.disk.is_none() {
        Some("is not there")
    } else if disk.failing {
        Some("is failing")
    } else {
        None
    }
}

/// The aligned part of a hole from an offset on.
fn align(hole: &Extent, from: Sectors) -> Option<Extent> {
    // No length is near the end of the type: the group was checked.
    let begin = round_up(hole.offset.max(from.min(hole.offset + hole.len)), ALIGNMENT);
    let end = round_down(hole.offset + hole.len, ALIGNMENT);
    (begin < end).then(|| Extent { disk: hole.disk.clone(), offset: begin, len: end - begin })
}

/// What is left of a hole without a range.
fn cut(hole: &Extent, begin: Sectors, end: Sectors) -> impl Iterator<Item = Extent> {
    let hole_end = hole.offset + hole.len;
    let part = |from: Sectors, to: Sectors| {
        (from < to).then(|| Extent { disk: hole.disk.clone(), offset: from, len: to - from })
    };
    let before = part(hole.offset, begin.min(hole_end));
    let after = part(end.max(hole.offset), hole_end);
    before.into_iter().chain(after)
}

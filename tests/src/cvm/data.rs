//! What disks hold of volumes, and what programs may expect to read.

use std::collections::{BTreeMap, BTreeSet};

use cvm::model::{Rid, Sectors, UniqueId};

/// What a sector holds: the number of the write that it is of.
pub(super) type Tag = u64;

/// What was there before anybody wrote: anything.
const ANYTHING: Tag = Tag::MAX;

/// A volume, whatever it is called.
pub(super) type Identity = (UniqueId, Rid);

/// Contents of all disks, and of all volumes as programs see them.
#[derive(Debug, Default)]
pub struct Data {
    sectors: BTreeMap<(UniqueId, Sectors), Tag>,
    volumes: BTreeMap<Identity, BTreeMap<Sectors, BTreeSet<Tag>>>,
    /// How many requests had been made when each write ended; what has not is not there.
    over: BTreeMap<Tag, u64>,
    requests: u64,
}

impl Data {
    /// A number for a request.
    pub(super) const fn number(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    /// What a disk holds.
    pub(super) fn held(&self, disk: &UniqueId, at: Sectors) -> Tag {
        self.sectors.get(&(disk.clone(), at)).copied().unwrap_or(0)
    }

    /// A disk is written.
    pub(super) fn put(&mut self, disk: &UniqueId, at: Sectors, tag: Tag) {
        self.sectors.insert((disk.clone(), at), tag);
    }

    /// What a sector of a volume may hold; `None`: anything.
    pub(super) fn possible(&self, volume: &Identity, sector: Sectors) -> Option<&BTreeSet<Tag>> {
        let tags = self.volumes.get(volume)?.get(&sector)?;
        (!tags.contains(&ANYTHING)).then_some(tags)
    }

    /// Sectors of a volume that somebody has written.
    pub(super) fn written(&self, volume: &Identity) -> Vec<Sectors> {
        self.volumes.get(volume).into_iter().flat_map(BTreeMap::keys).copied().collect()
    }

    /// A program begins to write.
    pub(super) fn begin(&mut self, volume: &Identity, at: Sectors, len: Sectors, tag: Tag) {
        let sectors = self.volumes.entry(volume.clone()).or_default();
        for sector in at..at + len {
            sectors.entry(sector).or_insert_with(|| BTreeSet::from([ANYTHING])).insert(tag);
        }
    }

    /// It was told that it is done, or that it failed, or nobody is told any more: it may be there or not
    /// then.
    pub(super) fn end(
        &mut self,
        volume: &Identity,
        (at, len): (Sectors, Sectors),
        tag: Tag,
        is_done: bool,
    ) {
        if is_done && let Some(sectors) = self.volumes.get_mut(volume) {
            // What was over before it was asked for is not there any more.
            let over = &self.over;
            let is_beside =
                |other: &Tag| *other != ANYTHING && over.get(other).is_none_or(|at| *at >= tag);
            for sector in at..at + len {
                sectors.entry(sector).or_default().retain(is_beside);
                sectors.entry(sector).or_default().insert(tag);
            }
        }
        self.over.insert(tag, self.requests);
    }
}

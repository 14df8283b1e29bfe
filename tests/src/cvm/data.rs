//! What disks hold of volumes, and what programs may expect to read.

use std::collections::BTreeMap;

use cvm::model::{Group, Rid, Sectors, UniqueId};

use crate::rng::Draw;

/// What a sector holds: the number of the write that it is of.
pub(super) type Tag = u64;

/// What was there before anybody wrote: anything.
const ANYTHING: Tag = Tag::MAX;

/// What a sector of a volume may hold; nothing if nobody has written it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tags {
    now: Vec<Tag>,
    /// What was replaced by something that was not flushed since, and how many requests had been made
    /// then: it comes back if the power goes.
    before: Vec<(Tag, u64)>,
}

impl Tags {
    /// It may hold what nobody knows.
    pub(super) fn is_anything(&self) -> bool {
        self.now.is_empty() || self.now.contains(&ANYTHING)
    }

    /// Nobody has written it, or everybody knows what was written last.
    pub(super) fn is_known(&self) -> bool {
        self.now.is_empty() || self.now.len() == 1 && self.now[0] != ANYTHING
    }

    /// It may hold that.
    pub(super) fn allows(&self, tag: Tag) -> bool {
        self.is_anything() || self.now.contains(&tag)
    }
}

/// How a write of a program ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Done {
    /// It is there, whatever happens.
    Durable,
    /// It may be there or not.
    Unknown,
    /// It is there as long as there is power, or it is flushed.
    Written,
}

/// A volume, whatever it is called.
pub(super) type Identity = (UniqueId, Rid);

/// So many sectors of a disk that follow one another.
const PAGE: usize = 64;

type Page = Box<[Tag; PAGE]>;

type Pages = BTreeMap<UniqueId, BTreeMap<Sectors, Page>>;

/// Contents of all disks, and of all volumes as programs see them.
#[derive(Debug, Default)]
pub struct Data {
    /// Of each disk, by number, the pages of which anything was written.
    pages: Pages,
    /// Of pages that were written and not flushed since, what is left of them if the power goes.
    durable: Pages,
    /// The volume that each snapshot was broken off.
    origins: BTreeMap<Identity, Identity>,
    /// What each volume was filled with last, and how many requests had been made then.
    fills: BTreeMap<Identity, (Rid, u64)>,
    volumes: BTreeMap<Identity, BTreeMap<Sectors, Vec<Tags>>>,
    /// How many requests had been made when each write ended; what has not is not there.
    over: Vec<Option<u64>>,
    requests: u64,
}

impl Data {
    /// A number for a request.
    pub(super) const fn number(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    /// What a disk holds from a sector on.
    pub(super) fn read(&self, disk: &UniqueId, at: Sectors, tags: &mut [Tag]) {
        let pages = self.pages.get(disk);
        let mut rest = tags;
        for (page, first, len) in pieces(at, rest.len()) {
            let (piece, others) = rest.split_at_mut(len);
            match pages.and_then(|pages| pages.get(&page)) {
                Some(page) => piece.copy_from_slice(&page[first..first + len]),
                None => piece.fill(0),
            }
            rest = others;
        }
    }

    /// What a disk holds in a sector.
    pub(super) fn held(&self, disk: &UniqueId, at: Sectors) -> Tag {
        let mut tag = [0];
        self.read(disk, at, &mut tag);
        tag[0]
    }

    /// A disk is written from a sector on; durably, or into its cache.
    pub(super) fn write(&mut self, disk: &UniqueId, at: Sectors, tags: &[Tag], is_durable: bool) {
        let pages = self.pages.entry(disk.clone()).or_default();
        let durable = self.durable.entry(disk.clone()).or_default();
        let mut rest = tags;
        for (number, first, len) in pieces(at, rest.len()) {
            let (piece, others) = rest.split_at(len);
            let page = pages.entry(number).or_insert_with(|| Box::new([0; PAGE]));
            if !is_durable {
                durable.entry(number).or_insert_with(|| page.clone());
            } else if let Some(durable) = durable.get_mut(&number) {
                durable[first..first + len].copy_from_slice(piece);
            }
            page[first..first + len].copy_from_slice(piece);
            rest = others;
        }
    }

    /// What a disk holds is durable.
    pub(super) fn flush_disk(&mut self, disk: &UniqueId) {
        self.durable.remove(disk);
    }

    /// All disks lose their power. What they have not flushed is there or not, sector by sector.
    pub(super) fn lose_power(&mut self, draw: &mut Draw) {
        for (disk, durable) in std::mem::take(&mut self.durable) {
            let Some(pages) = self.pages.get_mut(&disk) else { continue };
            let lost = [0.0, 0.5, 1.0][draw.pick(3)];
            for (number, durable) in durable {
                let Some(page) = pages.get_mut(&number) else { continue };
                for (tag, durable) in page.iter_mut().zip(durable.iter()) {
                    if tag != durable && draw.chance(lost) {
                        *tag = *durable;
                    }
                }
            }
        }
        for tags in self.volumes.values_mut().flat_map(BTreeMap::values_mut).flatten() {
            for (tag, _) in std::mem::take(&mut tags.before) {
                if !tags.now.contains(&tag) {
                    tags.now.push(tag);
                }
            }
        }
    }

    /// What sectors of a volume may hold, each.
    pub(super) fn possible(&self, volume: &Identity, at: Sectors, len: Sectors) -> Vec<Tags> {
        let mut possible = Vec::new();
        let sectors = self.volumes.get(volume);
        for (page, first, len) in pieces(at, usize::try_from(len).unwrap_or(0)) {
            match sectors.and_then(|sectors| sectors.get(&page)) {
                Some(page) => possible.extend_from_slice(&page[first..first + len]),
                None => possible.resize(possible.len() + len, Tags::default()),
            }
        }
        possible
    }

    /// Sectors that somebody has written, of a volume or of what was ever broken off it. Some come more
    /// than once.
    pub(super) fn written<'a>(
        &'a self,
        volume: &'a Identity,
    ) -> impl Iterator<Item = Sectors> + 'a {
        let snapshots = self.origins.iter().filter(move |(_, of)| *of == volume);
        let all = snapshots.map(|(snapshot, _)| snapshot).chain([volume]);
        let pages = all.flat_map(|of| self.volumes.get(of).into_iter().flatten());
        let sectors = pages.flat_map(|(page, tags)| (page * PAGE as u64..).zip(tags.iter()));
        sectors.filter(|(_, tags)| !tags.now.is_empty()).map(|(sector, _)| sector)
    }

    /// This is in force from now on: a new snapshot holds what its volume holds, which nobody has
    /// changed yet.
    pub(super) fn in_force(&mut self, group: &Group) {
        self.filled(group);
        for volume in group.volumes.values() {
            let Some(of) = volume.snapshot_of else { continue };
            let (snapshot, volume) =
                ((group.id.clone(), volume.common.rid), (group.id.clone(), of));
            if !self.origins.contains_key(&snapshot) {
                let held = self.volumes.get(&volume).cloned().unwrap_or_default();
                self.volumes.insert(snapshot.clone(), held);
                self.origins.insert(snapshot, volume);
            }
        }
    }

    /// A volume holds from now on what another one holds.
    fn filled(&mut self, group: &Group) {
        for volume in group.volumes.values() {
            let Some(fill) = volume.fill else { continue };
            let (target, source) =
                ((group.id.clone(), volume.common.rid), (group.id.clone(), fill.from));
            if self.fills.get(&target).is_none_or(|(last, _)| *last < fill.id) {
                let held = self.volumes.get(&source).cloned().unwrap_or_default();
                self.volumes.insert(target.clone(), held);
                self.fills.insert(target, (fill.id, self.requests));
            }
        }
    }

    /// A program begins to write.
    pub(super) fn begin(&mut self, volume: &Identity, at: Sectors, len: Sectors, tag: Tag) {
        let sectors = self.volumes.entry(volume.clone()).or_default();
        for (page, first, len) in pieces(at, usize::try_from(len).unwrap_or(0)) {
            let page = sectors.entry(page).or_insert_with(|| vec![Tags::default(); PAGE]);
            for tags in &mut page[first..first + len] {
                if tags.now.is_empty() {
                    tags.now.push(ANYTHING);
                }
                tags.now.push(tag);
            }
        }
    }

    /// The volume was filled since this was asked for: by the others, when they had gone on without the
    /// node that hears only now that it was done.
    pub(super) fn is_replaced(&self, volume: &Identity, tag: Tag) -> bool {
        self.fills.get(volume).is_some_and(|(_, requests)| tag <= *requests)
    }

    /// It was told that it is done, or that it failed, or nobody is told any more: it may be there or not
    /// then.
    pub(super) fn end(
        &mut self,
        volume: &Identity,
        (at, len): (Sectors, Sectors),
        tag: Tag,
        done: Done,
    ) {
        if done != Done::Unknown
            && let Some(sectors) = self.volumes.get_mut(volume)
        {
            // What was over before it was asked for is not there any more.
            let (over, requests) = (&self.over, self.requests);
            let is_beside = |other: &Tag| {
                *other != ANYTHING && over_at(over, *other).is_none_or(|at| at >= tag)
            };
            for (page, first, len) in pieces(at, usize::try_from(len).unwrap_or(0)) {
                let page = sectors.entry(page).or_insert_with(|| vec![Tags::default(); PAGE]);
                for tags in &mut page[first..first + len] {
                    let gone = tags.now.extract_if(.., |other| !is_beside(other));
                    if done == Done::Durable {
                        gone.for_each(drop);
                        // As after a flush that was asked for when this was.
                        tags.before.retain(|(_, at)| *at >= tag);
                    } else {
                        tags.before.extend(gone.map(|other| (other, requests)));
                    }
                    if !tags.now.contains(&tag) {
                        tags.now.push(tag);
                    }
                }
            }
        }
        let place = usize::try_from(tag).unwrap_or(0);
        if self.over.len() <= place {
            self.over.resize(place + 1, None);
        }
        self.over[place] = Some(self.requests);
    }

    /// A flush is done: what had ended before it was asked for does not go any more.
    pub(super) fn flushed(&mut self, volume: &Identity, flush: u64) {
        for tags in
            self.volumes.get_mut(volume).into_iter().flat_map(BTreeMap::values_mut).flatten()
        {
            tags.before.retain(|(_, at)| *at >= flush);
        }
    }
}

/// How many requests had been made when a write ended.
fn over_at(over: &[Option<u64>], tag: Tag) -> Option<u64> {
    usize::try_from(tag).ok().and_then(|place| *over.get(place)?)
}

/// The pages of a range: which, from where on, and how much of it.
fn pieces(at: Sectors, len: usize) -> impl Iterator<Item = (Sectors, usize, usize)> {
    let first = usize::try_from(at % PAGE as u64).unwrap_or(0);
    let begin = at / PAGE as u64;
    let end = first + len;
    (begin..).zip((0..end).step_by(PAGE)).map(move |(page, from)| {
        let skipped = if from == 0 { first } else { 0 };
        (page, skipped, (end - from).min(PAGE) - skipped)
    })
}

//! What disks hold of volumes, and what programs may expect to read.

use std::collections::BTreeMap;

use cvm::model::{Rid, Sectors, UniqueId};

/// What a sector holds: the number of the write that it is of.
pub(super) type Tag = u64;

/// What was there before anybody wrote: anything.
const ANYTHING: Tag = Tag::MAX;

/// What a sector of a volume may hold; nothing if nobody has written it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tags(Vec<Tag>);

impl Tags {
    /// It may hold what nobody knows.
    pub(super) fn is_anything(&self) -> bool {
        self.0.is_empty() || self.0.contains(&ANYTHING)
    }

    /// It may hold that.
    pub(super) fn allows(&self, tag: Tag) -> bool {
        self.is_anything() || self.0.contains(&tag)
    }
}

/// A volume, whatever it is called.
pub(super) type Identity = (UniqueId, Rid);

/// So many sectors of a disk that follow one another.
const PAGE: usize = 64;

type Page = Box<[Tag; PAGE]>;

/// Contents of all disks, and of all volumes as programs see them.
#[derive(Debug, Default)]
pub struct Data {
    /// Of each disk, by number, the pages of which anything was written.
    pages: BTreeMap<UniqueId, BTreeMap<Sectors, Page>>,
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

    /// A disk is written from a sector on.
    pub(super) fn write(&mut self, disk: &UniqueId, at: Sectors, tags: &[Tag]) {
        let pages = self.pages.entry(disk.clone()).or_default();
        let mut rest = tags;
        for (page, first, len) in pieces(at, rest.len()) {
            let (piece, others) = rest.split_at(len);
            let page = pages.entry(page).or_insert_with(|| Box::new([0; PAGE]));
            page[first..first + len].copy_from_slice(piece);
            rest = others;
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

    /// Sectors of a volume that somebody has written, and what they may hold.
    pub(super) fn written(&self, volume: &Identity) -> impl Iterator<Item = (Sectors, &Tags)> {
        let pages = self.volumes.get(volume).into_iter().flatten();
        let sectors = pages.flat_map(|(page, tags)| (page * PAGE as u64..).zip(tags.iter()));
        sectors.filter(|(_, tags)| !tags.0.is_empty())
    }

    /// A program begins to write.
    pub(super) fn begin(&mut self, volume: &Identity, at: Sectors, len: Sectors, tag: Tag) {
        let sectors = self.volumes.entry(volume.clone()).or_default();
        for (page, first, len) in pieces(at, usize::try_from(len).unwrap_or(0)) {
            let page = sectors.entry(page).or_insert_with(|| vec![Tags::default(); PAGE]);
            for tags in &mut page[first..first + len] {
                if tags.0.is_empty() {
                    tags.0.push(ANYTHING);
                }
                tags.0.push(tag);
            }
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
                |other: &Tag| *other != ANYTHING && over_at(over, *other).is_none_or(|at| at >= tag);
            for (page, first, len) in pieces(at, usize::try_from(len).unwrap_or(0)) {
                let page = sectors.entry(page).or_insert_with(|| vec![Tags::default(); PAGE]);
                for tags in &mut page[first..first + len] {
                    tags.0.retain(is_beside);
                    if !tags.0.contains(&tag) {
                        tags.0.push(tag);
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

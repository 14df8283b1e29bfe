//! A volume, its disks, and everything that a program may expect of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{Group, KernelState, Name, PlexState, Sectors};
use crate::volume::{
    DiskOp, DiskWork, IoFailed, MirrorIndex, PlexMode, Request, RequestId, Target, Volume,
    VolumeMap, VolumeNote, VolumeOutput, What,
};

/// What a sector holds: the number of the write that it is of, 0 if of none.
pub(super) type Tag = u64;

/// A request as the program sees it.
struct Asked {
    request: Request,
    /// Of a read: what each sector may hold.
    allowed: BTreeMap<Sectors, BTreeSet<Tag>>,
    /// Of a read: what came.
    data: Vec<Option<Tag>>,
}

pub(super) struct World {
    pub(super) group: Group,
    pub(super) volume: Volume,
    name: Name,
    /// By number of disk in the group's names and sector.
    sectors: BTreeMap<(String, Sectors), Tag>,
    /// Disks that do nothing any more.
    pub(super) dead: BTreeSet<String>,
    /// Sectors that cannot be read until they are written.
    pub(super) bad: BTreeSet<(String, Sectors)>,
    pub(super) pending: Vec<DiskOp>,
    asked: BTreeMap<RequestId, Asked>,
    pub(super) ended: BTreeMap<RequestId, Result<(), IoFailed>>,
    /// What each sector of the volume may hold.
    possible: BTreeMap<Sectors, BTreeSet<Tag>>,
    /// How many requests had been made when each write ended.
    over: BTreeMap<Tag, u64>,
    pub(super) to_detach: BTreeSet<Name>,
    pub(super) notes: Vec<VolumeNote>,
    pub(super) is_still: bool,
    next: u64,
}

impl World {
    pub(super) fn new(group: Group, name: &str, is_alone: bool) -> Self {
        let map = VolumeMap::new(&group, name).unwrap();
        Self {
            volume: Volume::new(Arc::new(map), is_alone),
            group,
            name: name.parse().unwrap(),
            sectors: BTreeMap::new(),
            dead: BTreeSet::new(),
            bad: BTreeSet::new(),
            pending: Vec::new(),
            asked: BTreeMap::new(),
            ended: BTreeMap::new(),
            possible: BTreeMap::new(),
            over: BTreeMap::from([(0, 0)]),
            to_detach: BTreeSet::new(),
            notes: Vec::new(),
            is_still: false,
            next: 0,
        }
    }

    pub(super) fn len(&self) -> Sectors {
        self.volume.map().len()
    }

    fn may_hold(&self, sector: Sectors) -> BTreeSet<Tag> {
        self.possible.get(&sector).cloned().unwrap_or_else(|| BTreeSet::from([0]))
    }

    pub(super) fn ask(&mut self, what: What, at: Sectors, len: Sectors) -> RequestId {
        self.next += 1;
        let id = RequestId(self.next);
        let request = Request { id, what, at, len };
        let range = at..at.saturating_add(len).min(self.len());
        if let Some(tag) = tag(&request) {
            for sector in range.clone() {
                let before = self.may_hold(sector);
                self.possible.insert(sector, before.into_iter().chain([tag]).collect());
                for read in self.asked.values_mut() {
                    read.allowed.entry(sector).and_modify(|allowed| {
                        allowed.insert(tag);
                    });
                }
            }
        }
        let allowed = match what {
            What::Read => range.map(|sector| (sector, self.may_hold(sector))).collect(),
            What::Flush | What::Write { .. } | What::Zero { .. } => BTreeMap::new(),
        };
        let data = vec![None; usize::try_from(len).unwrap_or(0)];
        self.asked.insert(id, Asked { request, allowed, data });
        self.volume.submit(request);
        self.drain();
        id
    }

    /// The disk that has this operation does it, or fails.
    pub(super) fn answer(&mut self, index: usize) {
        let op = self.pending.swap_remove(index);
        let disk = self.volume.map().disks()[op.disk.0].to_string();
        let is_done = !self.dead.contains(&disk) && self.perform(&disk, &op);
        self.volume.handle_done(op.id, is_done);
        self.drain();
    }

    fn perform(&mut self, disk: &str, op: &DiskOp) -> bool {
        let Some(asked) = self.asked.get_mut(&op.request) else { panic!("{op:?} of nothing") };
        for step in 0..op.len {
            let place = (disk.to_owned(), op.at + step);
            match op.work {
                DiskWork::Flush => {}
                DiskWork::Read => {
                    if self.bad.contains(&place) {
                        return false;
                    }
                    let held = self.sectors.get(&place).copied().unwrap_or(0);
                    asked.data[usize::try_from(op.offset + step).unwrap()] = Some(held);
                }
                DiskWork::Write { .. } | DiskWork::Zero { .. } => {
                    // What a read corrects is what it has read.
                    let read = asked.data.get(usize::try_from(op.offset + step).unwrap());
                    let held = tag(&asked.request).or_else(|| read.copied().flatten());
                    self.sectors.insert(place.clone(), held.expect("something to write"));
                    self.bad.remove(&place);
                }
            }
        }
        true
    }

    pub(super) fn answer_all(&mut self) {
        while !self.pending.is_empty() {
            self.answer(0);
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.volume.poll_output() {
            match output {
                VolumeOutput::Disk(op) => {
                    assert!(!self.is_still, "{op:?} while it stands still");
                    self.pending.push(op);
                }
                VolumeOutput::Done(id, result) => self.done(id, result),
                VolumeOutput::Note(note) => self.notes.push(note),
                VolumeOutput::PlexFailed { plex } => {
                    self.to_detach.insert(plex);
                }
                VolumeOutput::Still => {
                    assert!(self.pending.is_empty(), "disks still work");
                    self.is_still = true;
                }
            }
        }
    }

    fn done(&mut self, id: RequestId, result: Result<(), IoFailed>) {
        let Some(asked) = self.asked.remove(&id) else { panic!("{id:?} is done twice") };
        let Request { what, at, len, .. } = asked.request;
        if result.is_ok() {
            let range = at..at + len;
            if let Some(tag) = tag(&asked.request) {
                // What was over before it was asked for is not there any more.
                let over = &self.over;
                let is_beside = |other: &Tag| over.get(other).is_none_or(|at| *at >= tag);
                for sector in range.clone() {
                    let before = self.possible.remove(&sector).unwrap_or_default();
                    let others = before.into_iter().filter(is_beside).chain([tag]);
                    self.possible.insert(sector, others.collect());
                }
            }
            if what == What::Read {
                for (sector, held) in range.zip(&asked.data) {
                    let held = held.expect("all of it was read");
                    let allowed = &asked.allowed[&sector];
                    assert!(allowed.contains(&held), "{sector}: {held}, not of {allowed:?}");
                }
            }
        }
        if let Some(tag) = tag(&asked.request) {
            self.over.insert(tag, self.next);
        }
        self.ended.insert(id, result);
    }

    /// All nodes stop using the plexes that have failed, as a table does that.
    pub(super) fn detach(&mut self) {
        for name in std::mem::take(&mut self.to_detach) {
            let plex = self.group.plexes.get_mut(&name).unwrap();
            (plex.kernel, plex.state) = (KernelState::Detached, PlexState::IoFail);
        }
        self.go_on();
    }

    pub(super) fn go_on(&mut self) {
        let map = VolumeMap::new(&self.group, self.name.as_str()).unwrap();
        self.is_still = false;
        let is_alone = self.volume.is_alone;
        self.volume.go_on(Arc::new(map), is_alone);
        self.drain();
    }

    pub(super) fn stand_still(&mut self) {
        self.volume.stand_still();
        self.drain();
    }

    /// All copies that are current are equal, in all layers.
    pub(super) fn assert_equal(&self) {
        self.assert_mirror(MirrorIndex::VOLUME, 0, self.len());
    }

    fn assert_mirror(&self, mirror: MirrorIndex, at: Sectors, len: Sectors) {
        let map = self.volume.map();
        let current = |index: &&_| map.plex(**index).mode == PlexMode::ReadWrite;
        let current = map.mirror(mirror).plexes.iter().filter(current);
        let mut first: Option<Vec<Option<Tag>>> = None;
        for index in current {
            let mut contents = Vec::new();
            for part in map.plex(*index).parts(at, len) {
                match part.target.unwrap() {
                    Target::Disk { disk, at } => {
                        let disk = map.disks()[disk.0].to_string();
                        let sectors = at..at + part.len;
                        contents.extend(sectors.map(|sector| {
                            Some(self.sectors.get(&(disk.clone(), sector)).copied().unwrap_or(0))
                        }));
                    }
                    Target::Layer { mirror, at } => {
                        self.assert_mirror(mirror, at, part.len);
                        contents.extend((0..part.len).map(|_| None));
                    }
                }
            }
            let first = first.get_or_insert_with(|| contents.clone());
            assert!(*first == contents, "copies of {mirror:?} differ");
        }
    }
}

/// The number of what it writes.
fn tag(request: &Request) -> Option<Tag> {
    match request.what {
        What::Write { .. } => Some(request.id.0),
        // Zeros of two requests are told apart here, though they are alike.
        What::Zero { .. } => Some(request.id.0),
        What::Flush | What::Read => None,
    }
}

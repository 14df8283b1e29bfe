//! A volume, its disks, and everything that a program may expect of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use crate::disk::{DRL_BLOCK, DrlMap, changes_of, read_map};
use crate::model::{Group, KernelState, Name, PlexState, Sectors};
use crate::volume::{
    DiskOp, DiskWork, IoFailed, MirrorIndex, OpId, PlexIndex, PlexMode, Request, RequestId, Rules,
    Target, Volume, VolumeMap, VolumeNote, VolumeOutput, What,
};

/// What a sector holds: the number of the write that it is of, 0 if of none.
pub(super) type Tag = u64;

/// What a copy holds that is being copied to: nobody reads it.
pub(super) const JUNK: Tag = Tag::MAX;

/// Rules of a volume that one node writes, and is known to.
pub(super) const MARKED: Rules = Rules {
    is_shared: false,
    is_alone: true,
    is_marked: true,
    is_apart: false,
    reads_one: false,
    log_map: Some(3),
    is_untouched: false,
    notes: None,
    fill: None,
};

/// A request as the program sees it.
struct Asked {
    request: Request,
    /// Of a read: what each sector may hold.
    allowed: BTreeMap<Sectors, BTreeSet<Tag>>,
    /// Of a read: the sectors that nobody was writing when it was asked for.
    quiet: BTreeSet<Sectors>,
    /// Of a read or a copy: what came.
    data: Vec<Option<Tag>>,
}

/// A piece of a copy that lies on a disk.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) plex: PlexIndex,
    pub(super) disk: String,
    /// Where on the disk.
    pub(super) at: Sectors,
    pub(super) len: Sectors,
    /// Where in the volume.
    pub(super) begin: Sectors,
}

pub(super) struct World {
    pub(super) group: Group,
    pub(super) volume: Volume,
    name: Name,
    /// Those of the next table.
    pub(super) rules: Rules,
    /// By number of disk in the group's names and sector.
    sectors: BTreeMap<(String, Sectors), Tag>,
    /// Disks that do nothing any more.
    pub(super) dead: BTreeSet<String>,
    /// Sectors that cannot be read until they are written.
    pub(super) bad: BTreeSet<(String, Sectors)>,
    pub(super) pending: Vec<DiskOp>,
    /// What is to be written to logs.
    log_data: BTreeMap<OpId, Vec<u8>>,
    /// Sectors of logs, as they are on disks.
    logs: BTreeMap<(String, Sectors), [u8; DRL_BLOCK]>,
    /// What programs wrote and a disk may forget when it loses its power.
    unflushed: BTreeSet<(String, Sectors)>,
    /// Sectors of a region of a log, and how many may be dirty, where it is not as in real life.
    pub(super) regions: (Sectors, usize),
    asked: BTreeMap<RequestId, Asked>,
    pub(super) ended: BTreeMap<RequestId, Result<(), IoFailed>>,
    /// What each sector of the volume may hold.
    possible: BTreeMap<Sectors, BTreeSet<Tag>>,
    /// How many requests had been made when each write ended.
    over: BTreeMap<Tag, u64>,
    pub(super) to_detach: BTreeSet<Name>,
    pub(super) notes: Vec<VolumeNote>,
    pub(super) is_still: bool,
    /// Something was to be changed for the first time under these rules.
    pub(super) is_to_be_marked: bool,
    /// Blocks that nobody changes.
    pub(super) held: BTreeMap<RequestId, Range<Sectors>>,
    /// The node does not use the volume any more.
    is_gone: bool,
    /// Copies that are not wanted any more.
    cancelled: BTreeSet<RequestId>,
    /// Nothing fails: what was read once stays as long as nobody writes there.
    pub(super) is_sound: bool,
    next: u64,
}

impl World {
    pub(super) fn new(group: Group, name: &str, rules: Rules) -> Self {
        let map = VolumeMap::new(&group, name).unwrap().with_regions(16, 4);
        Self {
            volume: Volume::new(Arc::new(map), rules),
            group,
            name: name.parse().unwrap(),
            rules,
            sectors: BTreeMap::new(),
            dead: BTreeSet::new(),
            bad: BTreeSet::new(),
            pending: Vec::new(),
            log_data: BTreeMap::new(),
            logs: BTreeMap::new(),
            unflushed: BTreeSet::new(),
            regions: (16, 4),
            asked: BTreeMap::new(),
            ended: BTreeMap::new(),
            possible: BTreeMap::new(),
            over: BTreeMap::from([(0, 0)]),
            to_detach: BTreeSet::new(),
            notes: Vec::new(),
            is_still: false,
            is_to_be_marked: false,
            held: BTreeMap::new(),
            is_gone: false,
            cancelled: BTreeSet::new(),
            is_sound: false,
            next: 0,
        }
    }

    pub(super) fn len(&self) -> Sectors {
        self.volume.map().len()
    }

    fn may_hold(&self, sector: Sectors) -> BTreeSet<Tag> {
        self.possible.get(&sector).cloned().unwrap_or_else(|| BTreeSet::from([0]))
    }

    /// Somebody writes it: who is reading may see that.
    fn may_become(&mut self, sector: Sectors, tag: Tag) {
        let before = self.may_hold(sector);
        self.possible.insert(sector, before.into_iter().chain([tag]).collect());
        for read in self.asked.values_mut() {
            read.allowed.entry(sector).and_modify(|allowed| {
                allowed.insert(tag);
            });
        }
    }

    /// Nobody is writing one of them.
    fn are_over(&self, tags: &BTreeSet<Tag>) -> bool {
        tags.iter().all(|tag| self.over.contains_key(tag))
    }

    pub(super) fn ask(&mut self, what: What, at: Sectors, len: Sectors) -> RequestId {
        self.next += 1;
        let id = RequestId(self.next);
        let request = Request { id, what, at, len };
        let range = at..at.saturating_add(len).min(self.len());
        if let Some(tag) = tag(&request) {
            for sector in range.clone() {
                self.may_become(sector, tag);
            }
        }
        let allowed: BTreeMap<Sectors, BTreeSet<Tag>> = match what {
            What::Read => range.map(|sector| (sector, self.may_hold(sector))).collect(),
            What::Copy
            | What::Fill { .. }
            | What::Flush
            | What::Hold
            | What::Write { .. }
            | What::Zero { .. } => BTreeMap::new(),
        };
        let quiet = allowed.iter().filter(|(_, tags)| self.are_over(tags));
        let quiet = quiet.map(|(sector, _)| *sector).collect();
        let data = vec![None; usize::try_from(len).unwrap_or(0)];
        self.asked.insert(id, Asked { request, allowed, quiet, data });
        self.volume.submit(request);
        self.drain();
        id
    }

    /// The disk that has this operation does it, or fails.
    pub(super) fn answer(&mut self, index: usize) {
        let op = self.pending.swap_remove(index);
        let disk = self.volume.map().disks()[op.disk.0].to_string();
        let log = self.log_data.remove(&op.id);
        let is_done = !self.dead.contains(&disk) && self.perform(&disk, &op, log);
        self.volume.handle_done(op.id, is_done);
        self.drain();
    }

    fn perform(&mut self, disk: &str, op: &DiskOp, log: Option<Vec<u8>>) -> bool {
        if op.work == DiskWork::Flush {
            self.unflushed.retain(|(other, _)| other != disk);
            return true;
        }
        if log.is_some() && op.work == DiskWork::Read {
            let is_bad = |at| self.bad.contains(&(disk.to_owned(), at));
            if (op.at..op.at + op.len).any(is_bad) {
                return false;
            }
            let blocks = (op.at..op.at + op.len).map(|at| self.logs.get(&(disk.to_owned(), at)));
            let bytes: Vec<u8> =
                blocks.flat_map(|block| block.copied().unwrap_or([0; 512])).collect();
            self.volume.handle_log_read(op.id, &bytes);
            return true;
        }
        if let Some(data) = log {
            for (step, block) in (0..).zip(data.chunks(DRL_BLOCK)) {
                self.logs.insert((disk.to_owned(), op.at + step), block.try_into().unwrap());
            }
            return true;
        }
        self.check_held(op);
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
                    if asked.request.what.changes()
                        && op.work != (DiskWork::Write { durable: true })
                    {
                        self.unflushed.insert(place.clone());
                    }
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
                    assert!(!self.cancelled.contains(&op.request), "{op:?} is not wanted");
                    self.check_held(&op);
                    self.check_mark(&op);
                    self.pending.push(op);
                }
                VolumeOutput::Log(op, data) => {
                    assert!(!self.is_still, "{op:?} while it stands still");
                    assert_eq!(data.len() as u64, op.len * DRL_BLOCK as u64);
                    self.log_data.insert(op.id, data);
                    self.pending.push(op);
                }
                VolumeOutput::ReadLog(op) => {
                    assert!(!self.is_still, "{op:?} while it stands still");
                    self.log_data.insert(op.id, Vec::new());
                    self.pending.push(op);
                }
                VolumeOutput::Done(id, result) => self.done(id, result),
                VolumeOutput::FirstChange => {
                    assert!(!self.is_still && !self.rules.is_marked, "a mark for nothing");
                    let is_needed = self.volume.map().is_mirrored() || self.rules.is_untouched;
                    assert!(is_needed, "a mark where there are no copies");
                    assert!(!self.is_to_be_marked, "it was said already");
                    self.is_to_be_marked = true;
                }
                VolumeOutput::Held(id) => self.hold(id),
                VolumeOutput::Note(note) => self.notes.push(note),
                VolumeOutput::PlexFailed { plex, disk } => {
                    assert!(disk.is_none_or(|disk| self.volume.map().disks().contains(&disk)));
                    self.to_detach.insert(plex);
                }
                VolumeOutput::Unfilled { .. } => panic!("nothing is filled here"),
                VolumeOutput::Still => {
                    assert!(self.pending.is_empty(), "disks still work");
                    self.is_still = true;
                }
            }
        }
    }

    fn hold(&mut self, id: RequestId) {
        assert!(!self.is_still, "{id:?} is held while it stands still");
        let Request { what, at, len, .. } = self.asked[&id].request;
        assert_eq!(what, What::Hold);
        let range = at..at + len;
        let mut others = self.held.values();
        assert!(!others.any(|other| meet(other, &range)), "{id:?} meets one, or is held twice");
        self.check_copies(&range);
        self.held.insert(id, at..at + len);
        for op in &self.pending {
            self.check_held(op);
        }
    }

    /// The sectors of a log that are used last, in all its copies: what a crash leaves there. `false`: a
    /// sector that was written may not be the same in all copies, and no log says so.
    fn is_marked_on_disks(&self, sector: Sectors) -> bool {
        let Some(number) = self.rules.log_map else { return false };
        self.is_on_disks(number.into(), sector)
    }

    /// It is noted as changed in all copies of the log.
    pub(super) fn is_noted_on_disks(&self, sector: Sectors) -> bool {
        let (Some(number), Some(notes)) = (self.rules.log_map, self.rules.notes) else {
            return false;
        };
        self.is_on_disks(DrlMap { number: changes_of(number), changes: notes.number }, sector)
    }

    /// A node begins anew with the volume: it knows nothing.
    pub(super) fn reopen(&mut self) {
        assert!(self.pending.is_empty() && self.volume.requests() == 0);
        self.volume = Volume::new(Arc::clone(self.volume.map()), self.rules);
        self.drain();
    }

    /// Nothing that logs say is as it was written.
    pub(super) fn damage_logs(&mut self) {
        self.logs.values_mut().for_each(|block| block[9] ^= 1);
    }

    fn is_on_disks(&self, number: DrlMap, sector: Sectors) -> bool {
        let map = self.volume.map();
        map.regions(sector, 1).into_iter().all(|(mirror, region)| {
            let log = map.mirror(mirror).log.as_ref().unwrap();
            log.copies.iter().all(|copy| {
                let disk = map.disks()[copy.disk.0].to_string();
                let first = copy.at + log.shape.at(number.number);
                let blocks = (0..u64::from(log.shape.blocks)).map(|block| first + block);
                let blocks = blocks.filter_map(|at| self.logs.get(&(disk.clone(), at)));
                let bytes: Vec<u8> = blocks.flatten().copied().collect();
                let mut dirty = fixedbitset::FixedBitSet::new();
                read_map(copy.name, log.shape, number, &bytes, &mut dirty);
                dirty.contains(region as usize)
            })
        })
    }

    /// The node has a log, and uses it.
    pub(super) fn logs(&self) -> bool {
        let map = self.volume.map();
        map.written_mirrors().next().is_some()
            && self.rules.log_map.is_some_and(|number| map.is_logged(number))
    }

    /// Invariant 5 of `docs/cvm.md`: copies that are current differ only where every copy of the log says
    /// so, be it that this node is lost now, or that disks lose what they were not told to keep.
    pub(super) fn check_marks(&self) {
        if !self.logs() {
            return;
        }
        let mut held: BTreeMap<Sectors, BTreeSet<Tag>> = BTreeMap::new();
        let mut volatile = BTreeSet::new();
        for leaf in self.leaves() {
            let is_current = self.volume.map().is_current(leaf.plex);
            for step in 0..leaf.len {
                let place = (leaf.disk.clone(), leaf.at + step);
                if is_current {
                    let tag = self.sectors.get(&place).copied().unwrap_or(0);
                    held.entry(leaf.begin + step).or_default().insert(tag);
                }
                if self.unflushed.contains(&place) {
                    volatile.insert(leaf.begin + step);
                }
            }
        }
        let differ = held.iter().filter(|(_, tags)| tags.len() > 1).map(|(sector, _)| *sector);
        for sector in differ.chain(volatile) {
            assert!(self.is_marked_on_disks(sector), "sector {sector} is nowhere marked");
        }
    }

    pub(super) fn tidy(&mut self) {
        self.volume.tidy();
        self.drain();
    }

    /// Where blocks are held nobody writes but who makes copies equal, and that one nowhere else.
    fn check_held(&self, op: &DiskOp) {
        if op.request == RequestId::NOBODY {
            return;
        }
        let Request { what, at, .. } = self.asked[&op.request].request;
        let range = at + op.offset..at + op.offset + op.len;
        let mut held = self.held.values();
        match (op.work, what) {
            // It holds nothing any more, and what disks have comes back all the same.
            _ if self.is_gone => {}
            (DiskWork::Flush | DiskWork::Read, _) => {}
            (DiskWork::Write { .. } | DiskWork::Zero { .. }, What::Copy) => {
                if self.cancelled.contains(&op.request) {
                    return;
                }
                let is_held = held.any(|held| held.start <= range.start && range.end <= held.end);
                assert!(is_held, "{op:?} copies what may change");
            }
            (DiskWork::Write { .. } | DiskWork::Zero { .. }, _) => {
                assert!(!held.any(|held| meet(held, &range)), "{op:?} changes what is held");
                self.check_copies(&range);
            }
        }
    }

    /// No disk has anything of a copy there, be it wanted or not.
    fn check_copies(&self, range: &Range<Sectors>) {
        for op in self.pending.iter().filter(|op| op.request != RequestId::NOBODY) {
            let Request { what, at, .. } = self.asked[&op.request].request;
            let copied = at + op.offset..at + op.offset + op.len;
            let meets = what == What::Copy && meet(&copied, range);
            assert!(!meets, "{op:?} is under way in {range:?}");
        }
    }

    fn check_mark(&self, op: &DiskOp) {
        if op.request == RequestId::NOBODY {
            return;
        }
        let may_change = self.rules.is_marked || !self.volume.map().is_mirrored();
        let what = self.asked[&op.request].request.what;
        assert!(may_change || !what.changes(), "{op:?} without a mark");
        if what.changes() && op.work.changes() && self.logs() {
            let begin = self.asked[&op.request].request.at + op.offset;
            for sector in begin..begin + op.len {
                assert!(self.is_marked_on_disks(sector), "{op:?}: {sector} is not marked");
                let is_noted = self.rules.notes.is_none() || self.is_noted_on_disks(sector);
                assert!(is_noted, "{op:?}: {sector} is not noted");
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
                    let is_quiet = asked.quiet.contains(&sector) && self.are_over(allowed);
                    if self.is_sound && is_quiet && self.may_hold(sector) == *allowed {
                        self.possible.insert(sector, BTreeSet::from([held]));
                    }
                }
            }
        }
        self.held.remove(&id);
        if let Some(tag) = tag(&asked.request) {
            self.over.insert(tag, self.next);
        }
        self.ended.insert(id, result);
    }

    /// All nodes stop using the plexes that have failed, as a table does that.
    pub(super) fn detach(&mut self) {
        for name in std::mem::take(&mut self.to_detach) {
            let plex = self.group.plexes.get_mut(&name).unwrap();
            let state = if plex.is_log_only() { plex.state } else { PlexState::IoFail };
            (plex.kernel, plex.state) = (KernelState::Detached, state);
        }
        self.go_on();
    }

    pub(super) fn go_on(&mut self) {
        let map = VolumeMap::new(&self.group, self.name.as_str()).unwrap();
        let map = map.with_regions(self.regions.0, self.regions.1);
        if self.is_still {
            // A transaction flushes all disks.
            self.unflushed.clear();
        }
        (self.is_still, self.is_to_be_marked) = (false, false);
        self.volume.go_on(Arc::new(map), self.rules);
        self.drain();
    }

    pub(super) fn release(&mut self, id: RequestId) {
        self.volume.release(id);
        self.drain();
    }

    pub(super) fn cancel(&mut self, id: RequestId) {
        self.cancelled.insert(id);
        self.volume.cancel(id);
        self.drain();
    }

    pub(super) fn stand_still(&mut self) {
        self.volume.stand_still();
        self.drain();
    }

    pub(super) fn handle_gone(&mut self) {
        self.is_gone = true;
        self.volume.handle_gone();
        self.drain();
    }

    /// All copies that are current are equal, in all layers.
    pub(super) fn assert_equal(&self) {
        self.assert_mirror(MirrorIndex::VOLUME, 0, self.len(), |mode| mode == PlexMode::ReadWrite);
    }

    /// Those that are being copied to are, too.
    pub(super) fn assert_all_equal(&self) {
        self.assert_mirror(MirrorIndex::VOLUME, 0, self.len(), |mode| mode != PlexMode::Off);
    }

    /// What is in the copies that take part.
    fn assert_mirror(
        &self,
        mirror: MirrorIndex,
        at: Sectors,
        len: Sectors,
        takes_part: fn(PlexMode) -> bool,
    ) -> Vec<Tag> {
        let map = self.volume.map();
        let plexes = map.mirror(mirror).plexes.iter().map(|index| map.plex(*index));
        let mut first: Option<Vec<Tag>> = None;
        for plex in plexes.filter(|plex| takes_part(plex.mode)) {
            let mut contents = Vec::new();
            for part in plex.parts(at, len) {
                match part.target.unwrap() {
                    Target::Disk { disk, at } => {
                        let disk = map.disks()[disk.0].to_string();
                        let sectors = at..at + part.len;
                        contents.extend(sectors.map(|sector| {
                            self.sectors.get(&(disk.clone(), sector)).copied().unwrap_or(0)
                        }));
                    }
                    Target::Layer { mirror, at } => {
                        contents.extend(self.assert_mirror(mirror, at, part.len, takes_part));
                    }
                }
            }
            let first = first.get_or_insert_with(|| contents.clone());
            assert!(*first == contents, "copies of {mirror:?} differ");
        }
        first.unwrap_or_else(|| vec![0; usize::try_from(len).unwrap()])
    }

    /// All pieces of all copies, in all layers.
    pub(super) fn leaves(&self) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        self.add_leaves(MirrorIndex::VOLUME, 0..self.len(), 0, &mut leaves);
        leaves
    }

    fn add_leaves(
        &self,
        mirror: MirrorIndex,
        range: Range<Sectors>,
        begin: Sectors,
        leaves: &mut Vec<Leaf>,
    ) {
        let map = self.volume.map();
        for plex in map.mirror(mirror).plexes.iter().copied() {
            for part in map.plex(plex).parts(range.start, range.end - range.start) {
                let (len, begin) = (part.len, begin + (part.at - range.start));
                match part.target {
                    None => {}
                    Some(Target::Disk { disk, at }) => {
                        let disk = map.disks()[disk.0].to_string();
                        leaves.push(Leaf { plex, disk, at, len, begin });
                    }
                    Some(Target::Layer { mirror, at }) => {
                        self.add_leaves(mirror, at..at + len, begin, leaves);
                    }
                }
            }
        }
    }

    /// The plex that an operation is for.
    pub(super) fn plex_of(&self, op: &DiskOp) -> PlexIndex {
        let disk = self.volume.map().disks()[op.disk.0].to_string();
        let has = |leaf: &Leaf| {
            leaf.disk == disk && leaf.at <= op.at && op.at + op.len <= leaf.at + leaf.len
        };
        self.leaves().into_iter().find(has).unwrap().plex
    }

    /// What a plex holds there, whoever wrote it.
    pub(super) fn put(&mut self, leaf: &Leaf, range: Range<Sectors>, tag: Tag) {
        for sector in range.start.max(leaf.begin)..range.end.min(leaf.begin + leaf.len) {
            self.sectors.insert((leaf.disk.clone(), leaf.at + sector - leaf.begin), tag);
        }
    }

    /// Another node was writing there when it was lost: any copy may have it or not.
    pub(super) fn may_have(&mut self, range: Range<Sectors>, tag: Tag) {
        self.over.insert(tag, 0);
        for sector in range {
            self.may_become(sector, tag);
        }
    }

    /// A plex by its name.
    pub(super) fn plex(&self, name: &str) -> PlexIndex {
        let mut plexes = self.volume.map().plexes();
        plexes.find(|(_, plex)| plex.name.as_str() == name).unwrap().0
    }

    /// The disks of a plex do nothing any more.
    pub(super) fn kill(&mut self, plex: PlexIndex) {
        let leaves = self.leaves().into_iter().filter(|leaf| leaf.plex == plex);
        self.dead.extend(leaves.map(|leaf| leaf.disk));
    }

    /// A piece of a copy cannot be read any more, until it is written.
    pub(super) fn spoil(&mut self, leaf: &Leaf) {
        self.bad.extend((leaf.at..leaf.at + leaf.len).map(|at| (leaf.disk.clone(), at)));
    }
}

fn meet(one: &Range<Sectors>, other: &Range<Sectors>) -> bool {
    one.start < other.end && other.start < one.end
}

/// The number of what it writes.
fn tag(request: &Request) -> Option<Tag> {
    match request.what {
        What::Write { .. } => Some(request.id.0),
        // Zeros of two requests are told apart here, though they are alike.
        What::Zero { .. } => Some(request.id.0),
        What::Copy | What::Fill { .. } | What::Flush | What::Hold | What::Read => None,
    }
}

//! The dirty region log: where copies may differ is on disks before any of them is written.
//!
//! ```text
//! a change    its regions are marked on all copies of the log -> it begins
//!             one is not: it waits, and so do all others that come meanwhile, for the same pass
//! pass        marks only              -> the log is written
//!             marks are cleared, too  -> data are flushed on all copies, then the log is written
//! ```
//! There is a map for this node, written by nobody else. It is written as a whole when it is used for
//! the first time under a table, whatever it says: nothing was under way then. A pass marks regions that
//! a sequential writer will come to, as well.
//!
//! While changes are noted for snapshots, which the rules say, there is a second map for this node, of
//! regions that it has changed since: a change waits until it is noted, too, and the same pass writes
//! both. So notes need no node to be asked, and no other one to live. What an earlier life has
//! noted is read before the first of them is written.
//!
//! Marks stay after the change; those that were not used for longest go when there are too many, and all of them some time
//! after the last change ([`Volume::tidy`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fixedbitset::FixedBitSet;

use super::map::{DiskIndex, MirrorIndex, MirrorLog, PlexIndex, VolumeMap};
use super::request::{DiskOp, DiskWork, IoFailed, OpId, RequestId, VolumeOutput};
use super::state::{Flying, State, UnderWay, Volume};
use crate::disk::{DrlMap, DrlShape, changes_of, encode_block, read_map};

/// The map of this node, of one mirror.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    /// Regions that are marked on disks, and when they were used last.
    marked: BTreeMap<u32, u64>,
    /// Regions that are noted on disks as changed.
    noted: Option<Noted>,
    /// Regions that something waits for.
    wanted: BTreeSet<u32>,
    /// The map was written as a whole: it says nothing else.
    is_written: bool,
    /// What was not used since goes with the next tidying.
    tidied: u64,
    pass: Option<Pass>,
    /// A copy of the log, or of the data, has failed: that has to be agreed on first.
    has_failed: bool,
    /// The same of the last copy of the data, which stays: it is tried again later.
    is_stuck: bool,
}

/// What has been changed since changes with this number are noted.
#[derive(Clone, Debug, Default)]
struct Noted {
    number: u32,
    regions: FixedBitSet,
}

impl Noted {
    fn new(number: u32) -> Self {
        Self { number, regions: FixedBitSet::new() }
    }

    fn has(&self, region: u32) -> bool {
        self.regions.contains(region as usize)
    }

    fn add(&mut self, regions: impl IntoIterator<Item = u32>) {
        for region in regions {
            self.regions.grow_and_insert(region as usize);
        }
    }
}

/// What is being done with the map.
#[derive(Clone, Debug)]
struct Pass {
    stage: Stage,
    sets: BTreeSet<u32>,
    clears: BTreeSet<u32>,
    /// What was read of the notes of an earlier life.
    read: FixedBitSet,
    /// Operations that disks have not answered.
    left: usize,
    /// Some of them failed.
    faults: Vec<LogOp>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// What an earlier life has noted is to stay.
    Read,
    /// What was written is to be durable before it counts as equal.
    Flush,
    Write,
}

/// An operation for a log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct LogOp {
    mirror: MirrorIndex,
    what: LogWork,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum LogWork {
    /// The data of a plex on a disk.
    Flush(PlexIndex, DiskIndex),
    /// Notes in a copy of the log, by its place among them.
    Read(usize),
    /// A copy of the log.
    Write(usize),
}

impl LogOp {
    /// The plex that is flushed for it.
    pub(super) const fn plex(self) -> Option<PlexIndex> {
        match self.what {
            LogWork::Flush(plex, _) => Some(plex),
            LogWork::Read(_) | LogWork::Write(_) => None,
        }
    }
}

impl Volume {
    /// Regions that nobody has changed since it was called last are marked no more.
    pub fn tidy(&mut self) {
        for index in 0..self.marks.len() {
            let mirror = MirrorIndex(index);
            let busy = self.busy_regions(mirror);
            let (uses, is_running) = (self.uses, self.state == State::Running);
            let Some(marks) = self.marks_of(mirror) else { continue };
            marks.is_stuck = false;
            let old = marks.marked.iter().filter(|(_, used)| **used <= marks.tidied);
            let old = old.map(|(region, _)| *region).filter(|region| !busy.contains(region));
            let clears: BTreeSet<u32> = old.collect();
            marks.tidied = uses;
            if is_running && marks.pass.is_none() && !marks.has_failed && !clears.is_empty() {
                let sets = std::mem::take(&mut marks.wanted);
                self.start_pass(mirror, sets, clears);
            }
        }
        self.settle();
    }

    /// How many regions are marked.
    pub fn marked(&self) -> usize {
        self.marks.iter().flatten().map(|marks| marks.marked.len()).sum()
    }

    /// Another table: what was marked stays so only where the log is the same.
    pub(super) fn take_logs(&mut self, before: &VolumeMap) {
        let map = Arc::clone(&self.map);
        let mut old = std::mem::take(&mut self.marks);
        self.passes += 1;
        let number = self.rules.log_map.filter(|number| map.is_logged(*number));
        if number.is_none() {
            return;
        }
        self.marks.resize(map.mirrors().len(), None);
        for (index, mirror) in map.written_mirrors() {
            let is_same =
                |other: &&super::Mirror| other.name == mirror.name && other.log == mirror.log;
            let place = before.mirrors().iter().position(|other| is_same(&other));
            let known = place.and_then(|place| old.get_mut(place)?.take());
            // Who stands apart counts as lost: others write its notes.
            let known = known
                .filter(|marks| !self.rules.is_apart && !marks.has_failed && marks.pass.is_none());
            if let Some(marks) = self.marks.get_mut(index.0) {
                *marks = Some(known.unwrap_or_default());
            }
        }
        self.begin_notes();
    }

    /// Whoever has noted nothing yet need not look what that was.
    pub(super) fn begin_notes(&mut self) {
        let Some(notes) = self.rules.notes.filter(|notes| !notes.has_begun) else { return };
        for marks in self.marks.iter_mut().flatten() {
            let is_known = marks.noted.as_ref().is_some_and(|noted| noted.number == notes.number);
            if !is_known {
                marks.noted = Some(Noted::new(notes.number));
            }
        }
    }

    /// A region is noted already, or need not be.
    fn is_noted(&self, mirror: MirrorIndex, region: u32) -> bool {
        let marks = self.marks.get(mirror.0).and_then(Option::as_ref);
        self.rules.notes.is_none_or(|notes| {
            let noted = marks.and_then(|marks| marks.noted.as_ref());
            noted.is_some_and(|noted| noted.number == notes.number && noted.has(region))
        })
    }

    fn marks_of(&mut self, mirror: MirrorIndex) -> Option<&mut Marks> {
        self.marks.get_mut(mirror.0)?.as_mut()
    }

    /// All regions of a change are marked; if not, they are going to be.
    pub(super) fn is_logged(&mut self, slot: usize) -> bool {
        if self.marks.is_empty() {
            return true;
        }
        let Some(active) = self.active.get(slot) else { return true };
        let request = active.request;
        let ends = request.at.checked_add(request.len).is_some_and(|end| end <= self.map.len());
        if !request.what.changes() || !ends {
            // What is beyond the end fails, and is not looked up in any map.
            return true;
        }
        if active.lacks_marks == Some(self.passes) {
            return false;
        }
        let mut is_logged = true;
        for (mirror, region) in self.map.regions(request.at, request.len) {
            let is_noted = self.is_noted(mirror, region);
            let Some(marks) = self.marks_of(mirror) else { continue };
            let goes = marks.pass.as_ref().is_some_and(|pass| pass.clears.contains(&region));
            if !marks.marked.contains_key(&region) || goes || !is_noted {
                let comes = marks.pass.as_ref().is_some_and(|pass| pass.sets.contains(&region));
                if !comes {
                    marks.wanted.insert(region);
                }
                is_logged = false;
            }
        }
        if !is_logged && let Some(active) = self.active.get_mut(slot) {
            active.lacks_marks = Some(self.passes);
        }
        is_logged
    }

    /// Nothing can be marked for a change, and nobody can do anything about it for now.
    pub(super) fn is_stuck(&self, slot: usize) -> bool {
        let is_stuck = |marks: &Marks| marks.is_stuck;
        let changes = self.active.get(slot).is_some_and(|active| active.request.what.changes());
        changes && self.marks.iter().flatten().any(is_stuck)
    }

    /// A change begins: its regions are in use.
    pub(super) fn use_regions(&mut self, slot: usize) {
        if self.marks.is_empty() {
            return;
        }
        let Some(active) = self.active.get(slot) else { return };
        let request = active.request;
        if !request.what.changes() {
            return;
        }
        self.uses += 1;
        let uses = self.uses;
        for (mirror, region) in self.map.regions(request.at, request.len) {
            if let Some(used) =
                self.marks_of(mirror).and_then(|marks| marks.marked.get_mut(&region))
            {
                *used = uses;
            }
        }
    }

    /// Regions of changes that have begun, and of those that wait: a mark that went while others of the
    /// same change came would have to come again, for ever.
    fn busy_regions(&self, mirror: MirrorIndex) -> BTreeSet<u32> {
        let waiting = self.waiting.iter().filter_map(|slot| self.active.get(*slot));
        let waiting = waiting.map(|active| active.request).filter(|request| request.what.changes());
        let ranges = self.held_changes().chain(waiting.map(|request| (request.at, request.len)));
        let regions = ranges.flat_map(|(at, len)| self.map.regions(at, len));
        regions.filter(|(of, _)| *of == mirror).map(|(_, region)| region).collect()
    }

    /// Begins to mark what is waited for.
    pub(super) fn start_passes(&mut self) {
        if self.state != State::Running {
            return;
        }
        let is_marked = self.rules.is_marked;
        for index in 0..self.marks.len() {
            let mirror = MirrorIndex(index);
            let limit = self.log_of(mirror).map_or(0, |log| log.limit);
            let Some(marks) = self.marks_of(mirror) else { continue };
            // What an earlier life has left there would count if this node is lost.
            let is_due = !marks.wanted.is_empty() || !marks.is_written && is_marked;
            if !is_due || marks.pass.is_some() || marks.has_failed || marks.is_stuck {
                continue;
            }
            let wanted = std::mem::take(&mut marks.wanted);
            let sets = self.with_those_ahead(mirror, wanted, limit);
            let over = self.marks_of(mirror).map_or(0, |marks| {
                let new = sets.iter().filter(|region| !marks.marked.contains_key(region)).count();
                (marks.marked.len() + new).saturating_sub(limit)
            });
            let clears = if over == 0 { BTreeSet::new() } else { self.oldest(mirror, over, limit) };
            self.start_pass(mirror, sets, clears);
        }
    }

    /// Who writes one region after the other does not wait for each of them: as many are marked before it
    /// comes there as it has left behind it without a gap, an eighth of all at most.
    fn with_those_ahead(
        &self,
        mirror: MirrorIndex,
        wanted: BTreeSet<u32>,
        limit: usize,
    ) -> BTreeSet<u32> {
        let marks = self.marks.get(mirror.0).and_then(Option::as_ref);
        let (Some(log), Some(marks)) = (self.log_of(mirror), marks) else { return wanted };
        let mut sets = wanted.clone();
        for &region in &wanted {
            let is_marked = |region: &u32| marks.marked.contains_key(region);
            let behind = (0..region).rev().take(limit / 8).take_while(is_marked).count();
            let ahead = (region + 1..log.shape.regions).take(behind);
            sets.extend(ahead.filter(|region| !is_marked(region)));
        }
        sets
    }

    /// Regions that were not used for longest: as many as have to go, and some more at the same price.
    fn oldest(&mut self, mirror: MirrorIndex, over: usize, limit: usize) -> BTreeSet<u32> {
        let busy = self.busy_regions(mirror);
        let Some(marks) = self.marks_of(mirror) else { return BTreeSet::new() };
        let idle = marks.marked.iter().filter(|(region, _)| !busy.contains(region));
        let mut idle: Vec<(u64, u32)> = idle.map(|(region, used)| (*used, *region)).collect();
        idle.sort_unstable();
        idle.into_iter().take(over.max(limit / 4)).map(|(_, region)| region).collect()
    }

    fn log_of(&self, mirror: MirrorIndex) -> Option<&MirrorLog> {
        self.map.mirror(mirror).log.as_ref()
    }

    fn start_pass(&mut self, mirror: MirrorIndex, sets: BTreeSet<u32>, clears: BTreeSet<u32>) {
        let notes = self.rules.notes;
        let Some(marks) = self.marks_of(mirror) else { return };
        let is_known = notes.is_none_or(|notes| {
            marks.noted.as_ref().is_some_and(|noted| noted.number == notes.number)
        });
        let (read, stage) = (FixedBitSet::new(), Stage::Read);
        marks.pass = Some(Pass { stage, sets, clears, read, left: 0, faults: Vec::new() });
        if is_known {
            self.flush_or_write(mirror);
        } else {
            self.read_notes(mirror);
        }
    }

    fn flush_or_write(&mut self, mirror: MirrorIndex) {
        let Some(marks) = self.marks_of(mirror) else { return };
        let is_written = marks.is_written;
        let Some(pass) = marks.pass.as_mut() else { return };
        // What the map has said before, of an earlier table or of an earlier life, is cleared, too.
        if pass.clears.is_empty() && is_written {
            pass.stage = Stage::Write;
            self.write_map(mirror);
        } else {
            pass.stage = Stage::Flush;
            self.flush_for(mirror);
        }
    }

    /// Of all copies: one may say less than was noted before it was written to the last time.
    fn read_notes(&mut self, mirror: MirrorIndex) {
        let map = Arc::clone(&self.map);
        let number = changes_of(self.rules.log_map.unwrap_or_default());
        let Some(log) = map.mirror(mirror).log.as_ref() else { return };
        for (place, copy) in log.copies.iter().enumerate() {
            let what = LogOp { mirror, what: LogWork::Read(place) };
            let (id, request, work) = (OpId::NONE, RequestId::NOBODY, DiskWork::Read);
            let (at, len) = (copy.at + log.shape.at(number), u64::from(log.shape.blocks));
            let op = DiskOp { id, request, disk: copy.disk, work, at, len, offset: 0 };
            let op = self.log_op(what, op);
            self.out.push_back(VolumeOutput::ReadLog(op));
        }
        self.pass_is_over(mirror);
    }

    /// What a disk has read for a log; that it is done is told after that.
    pub fn handle_log_read(&mut self, op: OpId, bytes: &[u8]) {
        let map = Arc::clone(&self.map);
        let flying = self.ops.get(op.0).map(|flying| flying.what);
        let Some(UnderWay::Log(LogOp { mirror, what: LogWork::Read(place) })) = flying else {
            return;
        };
        let number = changes_of(self.rules.log_map.unwrap_or_default());
        let changes = self.rules.notes.map_or(0, |notes| notes.number);
        let Some(log) = map.mirror(mirror).log.as_ref() else { return };
        let Some(copy) = log.copies.get(place) else { return };
        if let Some(pass) = self.marks_of(mirror).and_then(|marks| marks.pass.as_mut()) {
            read_map(copy.name, log.shape, DrlMap { number, changes }, bytes, &mut pass.read);
        }
    }

    fn flush_for(&mut self, mirror: MirrorIndex) {
        let map = Arc::clone(&self.map);
        let disks = map.disks_below(mirror);
        for (plex, disk) in disks {
            let what = LogOp { mirror, what: LogWork::Flush(plex, disk) };
            let (id, request, work) = (OpId::NONE, RequestId::NOBODY, DiskWork::Flush);
            let op = DiskOp { id, request, disk, work, at: 0, len: 0, offset: 0 };
            let op = self.log_op(what, op);
            self.out.push_back(VolumeOutput::Disk(op));
        }
        self.pass_is_over(mirror);
    }

    fn write_map(&mut self, mirror: MirrorIndex) {
        let map = Arc::clone(&self.map);
        let number = self.rules.log_map.unwrap_or_default();
        let Some(log) = map.mirror(mirror).log.as_ref() else { return };
        let Some(marks) = self.marks_of(mirror) else { return };
        let Some(pass) = &marks.pass else { return };
        let is_dirty = |region: &&u32| !pass.clears.contains(*region);
        let dirty: BTreeSet<u32> =
            marks.marked.keys().filter(is_dirty).chain(&pass.sets).copied().collect();
        let is_new = !marks.is_written;
        let new = pass.sets.iter().filter(|region| !marks.marked.contains_key(region));
        let changed: BTreeSet<u32> =
            new.chain(&pass.clears).map(|region| log.shape.block_of(*region)).collect();
        let blocks = (0..log.shape.blocks).filter(|block| is_new || changed.contains(block));
        let notes = self.notes_to_write(mirror, log.shape);
        for run in runs(blocks) {
            let in_block = |block| dirty.range(log.shape.regions_in(block)).copied().collect();
            self.write_blocks(mirror, DrlMap::from(number), &run, in_block);
        }
        let (changes, blocks, noted) = notes;
        let notes = DrlMap { number: changes_of(number), changes };
        for run in runs(blocks.into_iter()) {
            let is_noted = |region: &u32| noted.contains(*region as usize);
            let in_block = |block| log.shape.regions_in(block).filter(is_noted).collect();
            self.write_blocks(mirror, notes, &run, in_block);
        }
        self.pass_is_over(mirror);
    }

    /// The number of the changes, the blocks of their map that are to be written, and what they say. A map
    /// that is used for the first time is written, noted or not: what else is there would mean
    /// everything, as soon as it is asked for.
    fn notes_to_write(
        &self,
        mirror: MirrorIndex,
        shape: DrlShape,
    ) -> (u32, BTreeSet<u32>, FixedBitSet) {
        let number = changes_of(self.rules.log_map.unwrap_or_default());
        let fits = self.log_of(mirror).is_some_and(|log| number < log.maps);
        let all = || (0..shape.blocks).filter(|_| fits).collect();
        let marks = self.marks.get(mirror.0).and_then(Option::as_ref);
        let Some((marks, pass)) = marks.and_then(|marks| Some((marks, marks.pass.as_ref()?)))
        else {
            return (0, BTreeSet::new(), FixedBitSet::new());
        };
        let Some(notes) = self.rules.notes else {
            let blocks = if marks.is_written { BTreeSet::new() } else { all() };
            return (0, blocks, FixedBitSet::new());
        };
        let mut noted = marks.noted.clone().unwrap_or_default();
        let new = pass.sets.iter().filter(|region| !noted.has(**region));
        let new: BTreeSet<u32> = new.copied().collect();
        let blocks = new.iter().filter(|_| fits).map(|region| shape.block_of(*region)).collect();
        noted.add(new);
        (notes.number, if marks.is_written { blocks } else { all() }, noted.regions)
    }

    fn write_blocks(
        &mut self,
        mirror: MirrorIndex,
        number: DrlMap,
        run: &std::ops::Range<u32>,
        in_block: impl Fn(u32) -> Vec<u32>,
    ) {
        let map = Arc::clone(&self.map);
        let Some(log) = map.mirror(mirror).log.as_ref() else { return };
        for (place, copy) in log.copies.iter().enumerate() {
            let mut data = Vec::new();
            for block in run.clone() {
                let dirty = in_block(block).into_iter();
                data.extend(encode_block(copy.name, log.shape, number, block, dirty));
            }
            let what = LogOp { mirror, what: LogWork::Write(place) };
            let at = copy.at + log.shape.at(number.number) + u64::from(run.start);
            let (id, request) = (OpId::NONE, RequestId::NOBODY);
            let work = DiskWork::Write { durable: true };
            let len = u64::from(run.end - run.start);
            let op = DiskOp { id, request, disk: copy.disk, work, at, len, offset: 0 };
            let op = self.log_op(what, op);
            self.out.push_back(VolumeOutput::Log(op, data));
        }
    }

    fn log_op(&mut self, what: LogOp, op: DiskOp) -> DiskOp {
        if let Some(pass) = self.marks_of(what.mirror).and_then(|marks| marks.pass.as_mut()) {
            pass.left += 1;
        }
        Flying::launch(&mut self.ops, self.now, UnderWay::Log(what), op)
    }

    /// A disk has done what it was told for a log, or has not.
    pub(super) fn log_done(&mut self, op: LogOp, is_done: bool) {
        let Some(pass) = self.marks_of(op.mirror).and_then(|marks| marks.pass.as_mut()) else {
            return;
        };
        pass.left -= 1;
        if !is_done {
            pass.faults.push(op);
        }
        self.pass_is_over(op.mirror);
    }

    fn pass_is_over(&mut self, mirror: MirrorIndex) {
        let is_running = self.state == State::Running;
        let notes = self.rules.notes;
        let number = notes.map(|notes| notes.number);
        let log = self.log_of(mirror);
        let (regions, copies) =
            log.map_or((0, 0), |log| (log.shape.regions as usize, log.copies.len()));
        self.passes += 1;
        let Some(marks) = self.marks_of(mirror) else { return };
        let Some(mut pass) = marks.pass.take_if(|pass| pass.left == 0) else { return };
        if pass.stage == Stage::Read && !pass.faults.is_empty() {
            // What counts is in every copy: one is enough, and if there is none everything is noted from here
            // on. All is written anew, and a disk that does nothing any more fails with that.
            if pass.faults.len() == copies {
                pass.read.grow(regions);
                pass.read.insert_range(..regions);
            }
            pass.faults.clear();
            marks.is_written = false;
        }
        if !pass.faults.is_empty() {
            // Whoever waits asks again under the next table.
            *marks = Marks { has_failed: true, ..Marks::default() };
            if !self.log_failed(&pass.faults) {
                if let Some(marks) = self.marks_of(mirror) {
                    (marks.has_failed, marks.is_stuck) = (false, true);
                }
                self.fail_changes();
            }
            return;
        }
        match pass.stage {
            Stage::Read if is_running => {
                let number = notes.map_or(0, |notes| notes.number);
                marks.noted = Some(Noted { number, regions: pass.read.clone() });
                marks.pass = Some(pass);
                self.flush_or_write(mirror);
            }
            Stage::Flush if is_running => {
                marks.pass = Some(Pass { stage: Stage::Write, ..pass });
                self.write_map(mirror);
            }
            // It begins anew when I/O goes on.
            Stage::Read | Stage::Flush => marks.wanted.extend(pass.sets),
            Stage::Write => {
                marks.is_written = true;
                let noted = marks.noted.as_mut().filter(|noted| Some(noted.number) == number);
                if let Some(noted) = noted {
                    noted.add(pass.sets.iter().copied());
                }
                marks.marked.retain(|region, _| !pass.clears.contains(region));
                let uses = self.uses;
                if let Some(marks) = self.marks_of(mirror) {
                    marks.marked.extend(pass.sets.into_iter().map(|region| (region, uses)));
                }
            }
        }
    }

    /// A copy of the log, or of the data, is to be taken off. `false`: it is the last one of the data,
    /// which is never taken off.
    fn log_failed(&mut self, faults: &[LogOp]) -> bool {
        let map = Arc::clone(&self.map);
        let mut is_agreed = true;
        for fault in faults {
            let plex = match fault.what {
                LogWork::Flush(plex, disk) => Some((plex, disk)),
                LogWork::Read(place) | LogWork::Write(place) => {
                    let log = map.mirror(fault.mirror).log.as_ref();
                    let copy = log.and_then(|log| log.copies.get(place));
                    let Some(copy) = copy else { continue };
                    let data = map.plexes().find(|(_, plex)| plex.name == copy.plex);
                    if data.is_none() {
                        self.tell_failed(copy.plex.clone(), Some(copy.disk));
                    }
                    data.map(|(index, _)| (index, copy.disk))
                }
            };
            if let Some((plex, disk)) = plex {
                is_agreed &= self.report_failed(plex, disk);
            }
        }
        is_agreed
    }

    /// Nothing can be marked.
    fn fail_changes(&mut self) {
        let is_change = |slot: &usize| {
            self.active.get(*slot).is_some_and(|active| active.request.what.changes())
        };
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        let (changes, others): (Vec<usize>, Vec<usize>) = waiting.partition(is_change);
        self.waiting = others.into();
        changes.into_iter().for_each(|slot| self.end(slot, Err(IoFailed::Io)));
    }

    pub(super) fn tell_failed(&mut self, plex: crate::model::Name, disk: Option<DiskIndex>) {
        let disk = disk.map(|disk| self.map.disks()[disk.0].clone());
        let output = VolumeOutput::PlexFailed { plex, disk };
        if !self.out.contains(&output) {
            self.out.push_back(output);
        }
    }
}

/// Numbers that follow each other, as ranges.
fn runs(numbers: impl Iterator<Item = u32>) -> Vec<std::ops::Range<u32>> {
    let mut runs: Vec<std::ops::Range<u32>> = Vec::new();
    for number in numbers {
        match runs.last_mut().filter(|run| run.end == number) {
            Some(run) => run.end += 1,
            None => runs.push(number..number + 1),
        }
    }
    runs
}

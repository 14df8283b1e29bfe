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
//! a sequential writer will come to, as well. Marks stay after the change; those that were not used for longest go when there are too many, and all of them some time
//! after the last change ([`Volume::tidy`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::map::{DiskIndex, MirrorIndex, MirrorLog, PlexIndex, VolumeMap};
use super::request::{DiskOp, DiskWork, IoFailed, OpId, RequestId, VolumeOutput};
use super::state::{Flying, State, UnderWay, Volume};
use crate::disk::encode_block;

/// The map of this node, of one mirror.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    /// Regions that are marked on disks, and when they were used last.
    marked: BTreeMap<u32, u64>,
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

/// What is being done with the map.
#[derive(Clone, Debug)]
struct Pass {
    stage: Stage,
    sets: BTreeSet<u32>,
    clears: BTreeSet<u32>,
    /// Operations that disks have not answered.
    left: usize,
    /// Some of them failed.
    faults: Vec<LogOp>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
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
    /// A copy of the log, by its place among them.
    Write(usize),
}

impl LogOp {
    /// The plex that is flushed for it.
    pub(super) const fn plex(self) -> Option<PlexIndex> {
        match self.what {
            LogWork::Flush(plex, _) => Some(plex),
            LogWork::Write(_) => None,
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
            let known = known.filter(|marks| !marks.has_failed && marks.pass.is_none());
            if let Some(marks) = self.marks.get_mut(index.0) {
                *marks = Some(known.unwrap_or_default());
            }
        }
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
            let Some(marks) = self.marks_of(mirror) else { continue };
            let goes = marks.pass.as_ref().is_some_and(|pass| pass.clears.contains(&region));
            if !marks.marked.contains_key(&region) || goes {
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
            let marked = self.marks_of(mirror).map_or(0, |marks| marks.marked.len());
            let over = (marked + sets.len()).saturating_sub(limit);
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
        let Some(marks) = self.marks_of(mirror) else { return };
        // What the map has said before, of an earlier table or of an earlier life, is cleared, too.
        let flushes = !clears.is_empty() || !marks.is_written;
        let stage = if flushes { Stage::Flush } else { Stage::Write };
        marks.pass = Some(Pass { stage, sets, clears, left: 0, faults: Vec::new() });
        if flushes {
            self.flush_for(mirror);
        } else {
            self.write_map(mirror);
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
        let changed: BTreeSet<u32> = pass
            .sets
            .iter()
            .chain(&pass.clears)
            .map(|region| log.shape.block_of(*region))
            .collect();
        let blocks = (0..log.shape.blocks).filter(|block| is_new || changed.contains(block));
        for run in runs(blocks) {
            for (place, copy) in log.copies.iter().enumerate() {
                let mut data = Vec::new();
                for block in run.clone() {
                    let dirty = dirty.range(log.shape.regions_in(block)).copied();
                    data.extend(encode_block(copy.name, log.shape, number, block, dirty));
                }
                let what = LogOp { mirror, what: LogWork::Write(place) };
                let at = copy.at + log.shape.at(number) + u64::from(run.start);
                let (id, request) = (OpId::NONE, RequestId::NOBODY);
                let work = DiskWork::Write { durable: true };
                let len = u64::from(run.end - run.start);
                let op = DiskOp { id, request, disk: copy.disk, work, at, len, offset: 0 };
                let op = self.log_op(what, op);
                self.out.push_back(VolumeOutput::Log(op, data));
            }
        }
        self.pass_is_over(mirror);
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
        self.passes += 1;
        let Some(marks) = self.marks_of(mirror) else { return };
        let Some(pass) = marks.pass.take_if(|pass| pass.left == 0) else { return };
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
            Stage::Flush if is_running => {
                marks.pass = Some(Pass { stage: Stage::Write, ..pass });
                self.write_map(mirror);
            }
            // It begins anew when I/O goes on.
            Stage::Flush => marks.wanted.extend(pass.sets),
            Stage::Write => {
                marks.is_written = true;
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
                LogWork::Write(place) => {
                    let log = map.mirror(fault.mirror).log.as_ref();
                    let copy = log.and_then(|log| log.copies.get(place));
                    let Some(copy) = copy else { continue };
                    let data = map.plexes().find(|(_, plex)| plex.name == copy.plex);
                    if data.is_none() {
                        self.tell_failed(copy.plex.clone(), copy.disk);
                    }
                    data.map(|(index, _)| (index, copy.disk))
                }
            };
            if let Some((plex, disk)) = plex {
                is_agreed &= self.report(plex, disk);
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

    pub(super) fn tell_failed(&mut self, plex: crate::model::Name, disk: DiskIndex) {
        let disk = self.map.disks()[disk.0].clone();
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

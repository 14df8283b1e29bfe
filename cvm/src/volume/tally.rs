//! What a volume has done, counted where it belongs (facts 4.5): some additions for each operation.
//!
//! | object | what is counted |
//! |---|---|
//! | volume | requests, from when they come to their answer; ranges that are made equal |
//! | plex, subdisk, disk | operations, from when the disk is told to its answer |
//! | log | writes of its subdisk, and of the plex that it belongs to |
//! | layer, and what it is a part of | reads; writes of its first copy, which stand for those of all |
//!
//! While a table is in force its objects are numbers; when it ends, what they have done is kept by
//! record.

use llt::{Duration, Instant};

use super::map::{MirrorIndex, PlexIndex, PlexMode, SubdiskIndex, VolumeMap};
use super::request::{DiskOp, DiskWork, OpId, Request, RequestId, What};
use super::state::{Active, Flying, Op, UnderWay, Volume};
use crate::model::{Rid, Sectors};
use crate::stats::{Counters, Latency, ObjectStats, Objects, Reset, micros};

/// What was counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Under earlier tables.
    past: Objects,
    mirrors: Vec<Counters>,
    plexes: Vec<Counters>,
    subdisks: Vec<Counters>,
    disks: Vec<Counters>,
    latency: Latency,
}

/// Where an operation of a disk belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Placed {
    /// What it does.
    pub op: DiskOp,
    /// The plex; none is written to a log.
    pub plex: Option<PlexIndex>,
    /// The subdisk in which it begins; none is flushed.
    pub subdisk: Option<SubdiskIndex>,
    /// When the disk was told.
    pub since: Instant,
}

impl Tally {
    /// Another table is in force.
    pub(super) fn take_map(&mut self, before: &VolumeMap, map: &VolumeMap) {
        self.past = self.objects(before);
        self.latency = Latency::default();
        let none = |len| vec![Counters::default(); len];
        self.mirrors = none(map.mirrors().len());
        self.plexes = none(map.plexes().count());
        self.subdisks = none(map.subdisks().len());
        self.disks = none(map.disks().len());
    }

    /// All that was counted, by record.
    fn objects(&self, map: &VolumeMap) -> Objects {
        let mut objects = self.past.clone();
        let mut add = |rid: Rid, counters: &Counters| {
            objects.entry(rid).or_default().counters.add(counters);
        };
        let mirrors = map.mirrors().iter().map(|mirror| mirror.rid).zip(&self.mirrors);
        let plexes = map.plexes().map(|(_, plex)| plex.rid).zip(&self.plexes);
        let subdisks = map.subdisks().iter().zip(&self.subdisks);
        let disks = map.members().iter().map(|member| member.rid).zip(&self.disks);
        let logs = subdisks.clone().filter_map(|(subdisk, done)| Some((subdisk.log_of?, done)));
        let subdisks = subdisks.map(|(subdisk, done)| (subdisk.rid, done));
        let all = mirrors.chain(plexes).chain(subdisks).chain(disks).chain(logs);
        all.for_each(|(rid, done)| add(rid, done));
        if let Some(volume) = map.mirrors().first() {
            let latency = ObjectStats { latency: Some(self.latency), ..ObjectStats::default() };
            objects.entry(volume.rid).or_default().add(&latency);
        }
        objects
    }

    /// Everybody whom an operation of a plex is counted for above its disk.
    fn of_plex(
        &mut self,
        map: &VolumeMap,
        plex: PlexIndex,
        op: &DiskOp,
        count: impl Fn(&mut Counters),
    ) {
        let mut at = Some(plex);
        while let Some(plex) = at {
            self.plexes.get_mut(plex.0).into_iter().for_each(&count);
            let index = map.plex(plex).mirror;
            let mirror = map.mirror(index);
            let first = mirror.plexes.iter().find(|plex| map.plex(**plex).mode != PlexMode::Off);
            let stands_for_all = op.work == DiskWork::Read || first == Some(&plex);
            at = mirror.parent.filter(|_| stands_for_all);
            if at.is_some() {
                self.mirrors.get_mut(index.0).into_iter().for_each(&count);
                let subvolume = mirror.subvolume.and_then(|index| self.subdisks.get_mut(index.0));
                subvolume.into_iter().for_each(&count);
            }
        }
    }

    fn count_op(
        &mut self,
        map: &VolumeMap,
        plex: Option<PlexIndex>,
        op: &DiskOp,
        done: Option<Duration>,
    ) {
        let count = |counters: &mut Counters| add(counters, op.work, op.len, done);
        self.disks.get_mut(op.disk.0).into_iter().for_each(count);
        for (index, covered) in map.subdisks_at(plex, op.disk, op.at, op.len) {
            if let Some(counters) = self.subdisks.get_mut(index.0) {
                add(counters, op.work, covered, done);
            }
        }
        if let Some(plex) = plex {
            self.of_plex(map, plex, op, count);
        }
    }

    fn reset(&mut self, map: &VolumeMap, meant: &Reset) {
        self.past = self.objects(map);
        self.past.iter_mut().filter(|(rid, _)| meant.has(**rid)).for_each(|(_, it)| it.reset());
        self.latency = Latency::default();
        let present = [&mut self.mirrors, &mut self.plexes, &mut self.subdisks, &mut self.disks];
        present.into_iter().flatten().for_each(|counters| *counters = Counters::default());
    }
}

/// The plex that an operation is of; none is written to a log.
const fn plex_of(what: &UnderWay) -> Option<PlexIndex> {
    match what {
        UnderWay::Log(op) => op.plex(),
        UnderWay::Request(op) => Some(op.plex),
    }
}

/// `None` has failed.
fn add(counters: &mut Counters, work: DiskWork, len: Sectors, done: Option<Duration>) {
    match (work, done) {
        (DiskWork::Flush, Some(_)) => {}
        (DiskWork::Read, Some(took)) => counters.reads.count(len, took),
        (DiskWork::Write { .. } | DiskWork::Zero { .. }, Some(took)) => {
            counters.writes.count(len, took);
        }
        (DiskWork::Read, None) => counters.failed_reads += 1,
        (DiskWork::Flush | DiskWork::Write { .. } | DiskWork::Zero { .. }, None) => {
            counters.failed_writes += 1;
        }
    }
}

impl Volume {
    pub(super) fn count_op(&mut self, flying: &Flying, is_done: bool) {
        let took = is_done.then(|| self.now.since(flying.since));
        self.tally.count_op(&self.map, plex_of(&flying.what), &flying.op, took);
    }

    pub(super) fn count_request(&mut self, active: &Active, is_done: bool) {
        let took = self.now.since(active.since);
        let Some(counters) = self.tally.mirrors.get_mut(MirrorIndex::VOLUME.0) else { return };
        let (latency, len) = (&mut self.tally.latency, active.request.len);
        match (active.request.what, is_done) {
            (What::Copy, true) if self.rules.reads_one => counters.read_writebacks.count(len, took),
            (What::Copy | What::Fill { .. }, true) => counters.atomic_copies.count(len, took),
            (What::Read, true) => {
                counters.reads.count(len, took);
                latency.reads.count(micros(took));
            }
            (What::Write { .. } | What::Zero { .. }, true) => {
                counters.writes.count(len, took);
                latency.writes.count(micros(took));
            }
            (What::Read, false) => counters.failed_reads += 1,
            (What::Flush | What::Write { .. } | What::Zero { .. }, false) => {
                counters.failed_writes += 1;
            }
            (What::Copy | What::Fill { .. }, false) | (What::Flush, true) | (What::Hold, _) => {}
        }
    }

    /// What could not be read was written anew from another copy.
    pub(super) fn count_corrected(&mut self, op: &Op) {
        let read = DiskOp {
            id: OpId::NONE,
            request: RequestId::NOBODY,
            disk: op.disk,
            work: DiskWork::Read,
            at: op.at,
            len: op.len,
            offset: op.offset,
        };
        let count = |counters: &mut Counters| counters.corrected_reads += 1;
        let Self { tally, map, .. } = self;
        tally.disks.get_mut(op.disk.0).into_iter().for_each(count);
        for (index, _) in map.subdisks_at(Some(op.plex), op.disk, op.at, op.len) {
            tally.subdisks.get_mut(index.0).into_iter().for_each(count);
        }
        tally.of_plex(map, op.plex, &read, count);
        tally.mirrors.get_mut(MirrorIndex::VOLUME.0).into_iter().for_each(count);
    }

    /// What its objects have done, and are doing.
    pub fn stats(&self) -> Objects {
        let map = &self.map;
        let mut objects = self.tally.objects(map);
        let mut count = |rid: Rid, since: Instant| {
            objects.entry(rid).or_default().outstanding.count(self.now.since(since));
        };
        for Placed { op, plex, subdisk, since } in self.outstanding() {
            let disk = map.members().get(op.disk.0).map(|member| member.rid);
            let subdisk = subdisk.and_then(|index| map.subdisks().get(index.0));
            let plex = plex.map(|plex| map.plex(plex).rid);
            let plex = plex.or_else(|| subdisk?.log_of);
            let all = [disk, subdisk.map(|subdisk| subdisk.rid), plex];
            all.into_iter().flatten().for_each(|rid| count(rid, since));
        }
        if let Some(volume) = map.mirrors().first() {
            let is_io = |active: &&Active| active.request.what != What::Hold;
            let requests = self.active.iter().map(|(_, active)| active).filter(is_io);
            requests.for_each(|active| count(volume.rid, active.since));
        }
        objects
    }

    /// Those of its objects that are meant have done nothing yet.
    pub fn reset_stats(&mut self, meant: &Reset) {
        self.tally.reset(&self.map, meant);
    }

    /// Requests that are not done, and when they came.
    pub fn under_way(&self) -> impl Iterator<Item = (Request, Instant)> + '_ {
        self.active.iter().map(|(_, active)| (active.request, active.since))
    }

    /// What disks have not answered.
    pub fn outstanding(&self) -> impl Iterator<Item = Placed> + '_ {
        self.ops.iter().map(|(_, flying)| self.placed(flying))
    }

    /// Where an operation belongs that a disk has not answered.
    pub fn place(&self, op: OpId) -> Option<Placed> {
        self.ops.get(op.0).map(|flying| self.placed(flying))
    }

    fn placed(&self, Flying { what, op, since }: &Flying) -> Placed {
        let plex = plex_of(what);
        let subdisk = self.map.subdisks_at(plex, op.disk, op.at, op.len).next();
        Placed { op: *op, plex, subdisk: subdisk.map(|(index, _)| index), since: *since }
    }
}

//! The simple volume and the file below it, through the same engine and in this process: what a volume
//! costs by itself, without sockets, servers and clients.
//!
//! Both are read and written in the same place by the same driver, one after the other, while nobody
//! else has the volume open. What is between them is the core of the volume: where blocks lie, what
//! waits for what, what is counted.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use cvm::engine::driver::{Choice, DiskFile, Driver, Event, IoBuffer, Operation, What};
use cvm::io::Device;
use cvm::model::size::SECTOR;
use cvm::volume::{
    DiskWork, MirrorIndex, Request, RequestId, Rules, Target, Volume, VolumeMap, VolumeOutput,
};
use llt::{Duration, Instant};

use super::super::super::temporary::Temporary;
use super::super::super::volumes;
use super::super::super::wait::now;
use super::super::fio::Outcome;
use super::{Case, GROUP, Layout, NODE, SIZE};

/// Where both lie.
#[derive(Debug)]
pub(super) struct Engine {
    file: Arc<DiskFile>,
    /// From this byte of the file on are the sectors that volumes are made of.
    public: u64,
    /// And from this one on those of the volume.
    at: u64,
    map: Arc<VolumeMap>,
}

/// What is read or written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Through {
    File,
    Volume,
}

/// A run.
struct Run<'a> {
    engine: &'a Engine,
    case: Case,
    driver: Driver,
    volume: Option<Volume>,
    /// One for each request that may be under way.
    slots: Vec<Slot>,
    /// Where the next request is, in requests from the beginning.
    next: u64,
    /// How long those took that have ended.
    took: Vec<Duration>,
}

struct Slot {
    buffer: IoBuffer,
    since: Instant,
}

impl Engine {
    /// Finds the disk of the simple volume, which is in one piece.
    ///
    /// # Errors
    /// If it is not, or cannot be opened.
    pub(super) fn open(cluster: &Temporary) -> Result<Self> {
        let snapshot = volumes::snapshot(&cluster.cluster, NODE)?;
        let mut groups = snapshot.groups.into_iter().map(|shown| shown.group);
        let group = groups.find(|group| group.name.as_str() == GROUP).context("no group")?;
        let map = VolumeMap::new(&group, Layout::Simple.volume()).context("no volume")?;
        let plexes = &map.mirror(MirrorIndex::VOLUME).plexes;
        let [plex] = plexes.as_slice() else { bail!("it has {} plexes", plexes.len()) };
        let part = map.plex(*plex).parts(0, map.len()).next().context("it has no sectors")?;
        ensure!(part.len == map.len(), "the volume is in pieces");
        let Some(Target::Disk { disk, at }) = part.target else { bail!("it is on no disk") };
        for path in volumes::disk_paths(&cluster.cluster) {
            let label = Device::open(&path)?.label()?;
            if label.disk == map.disks()[disk.0] {
                let file = Arc::new(DiskFile::open(&path, true)?);
                let public = label.geometry.public().offset * SECTOR;
                let at = public + at * SECTOR;
                return Ok(Self { file, public, at, map: Arc::new(map) });
            }
        }
        bail!("its disk is not there")
    }

    /// Reads or writes for so long.
    ///
    /// # Errors
    /// If there is no driver, or a disk fails.
    pub(super) fn run(&self, through: Through, case: Case, time: Duration) -> Result<Outcome> {
        let rules = Rules { is_alone: true, is_marked: true, ..Rules::default() };
        let volume = || Volume::new(Arc::clone(&self.map), rules);
        let size = usize::try_from(case.size)?;
        let slot = |_| Slot { buffer: IoBuffer::zeroed(size), since: Instant::ZERO };
        let mut run = Run {
            engine: self,
            case,
            driver: Driver::new(Choice::Auto)?,
            volume: (through == Through::Volume).then(volume),
            slots: (0..case.depth).map(slot).collect(),
            next: 0,
            took: Vec::new(),
        };
        run.run(time)
    }
}

impl Run<'_> {
    fn run(&mut self, time: Duration) -> Result<Outcome> {
        let begin = now();
        for slot in 0..self.slots.len() {
            self.start(slot, begin);
        }
        let mut events = Vec::new();
        let mut at = begin;
        while self.driver.in_flight() > 0 {
            self.driver.wait(None, &mut events)?;
            at = now();
            for event in events.drain(..) {
                let Event::Done { key, result } = event else { continue };
                if let Err(error) = result {
                    bail!("the disk failed with error {error}");
                }
                self.done(usize::try_from(key)?, at, at.since(begin) < time);
            }
        }
        let elapsed = at.since(begin).as_secs_f64();
        self.took.sort_unstable();
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let iops = self.took.len() as f64 / elapsed;
        let us = |percent: usize| {
            let place = (self.took.len() * percent / 100).min(self.took.len() - 1);
            self.took[place].as_secs_f64() * 1e6
        };
        let mib = iops * f64::from(self.case.size) / f64::from(1 << 20);
        Ok(Outcome { iops, mib, p50_us: us(50), p99_us: us(99), max_us: us(100) })
    }

    /// A request begins, with the buffer of its slot.
    fn start(&mut self, slot: usize, at: Instant) {
        self.slots[slot].since = at;
        let place = self.place();
        match self.volume.as_mut() {
            None => {
                let what = self.what(slot, self.engine.at + place, self.case.size);
                self.submit(slot, what);
            }
            Some(volume) => {
                let what = if self.case.access.is_write() {
                    cvm::volume::What::Write { durable: false }
                } else {
                    cvm::volume::What::Read
                };
                let (at_sector, len) = (place / SECTOR, u64::from(self.case.size) / SECTOR);
                volume.set_time(at);
                volume.submit(Request { id: RequestId(slot as u64), what, at: at_sector, len });
                self.pass_on(at, true);
            }
        }
    }

    /// The byte at which the next request begins.
    fn place(&mut self) -> u64 {
        let count = SIZE / u64::from(self.case.size);
        let place = self.next % count;
        self.next = if self.case.access.is_random() {
            // Steps of a full period over a power of two: every place, in no order.
            self.next
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407)
        } else {
            self.next + 1
        };
        let place = if self.case.access.is_random() { (self.next >> 33) % count } else { place };
        place * u64::from(self.case.size)
    }

    fn what(&self, slot: usize, at: u64, len: u32) -> What {
        let (buffer, from) = (self.slots[slot].buffer.clone(), 0);
        if self.case.access.is_write() {
            What::Write { buffer, from, len, at, durable: false }
        } else {
            What::Read { buffer, from, len, at }
        }
    }

    fn submit(&mut self, key: usize, what: What) {
        let file = Arc::clone(&self.engine.file);
        self.driver.submit(key as u64, Operation { file, what });
    }

    /// An operation has ended.
    fn done(&mut self, key: usize, at: Instant, goes_on: bool) {
        match self.volume.as_mut() {
            None => self.ended(key, at, goes_on),
            Some(volume) => {
                volume.set_time(at);
                volume.handle_done(cvm::volume::OpId(key), true);
                self.pass_on(at, goes_on);
            }
        }
    }

    fn ended(&mut self, slot: usize, at: Instant, goes_on: bool) {
        self.took.push(at.since(self.slots[slot].since));
        if goes_on {
            self.start(slot, at);
        }
    }

    /// What the volume wants done.
    fn pass_on(&mut self, at: Instant, goes_on: bool) {
        while let Some(output) = self.volume.as_mut().and_then(Volume::poll_output) {
            match output {
                VolumeOutput::Disk(op) => {
                    debug_assert!(op.work != DiskWork::Flush, "nobody flushes");
                    let slot = usize::try_from(op.request.0).unwrap_or(usize::MAX);
                    let len = u32::try_from(op.len * SECTOR).unwrap_or(u32::MAX);
                    // The volume is in one piece, and so is each request.
                    let what = self.what(slot, self.engine.public + op.at * SECTOR, len);
                    self.submit(op.id.0, what);
                }
                VolumeOutput::Done(id, _) => {
                    let slot = usize::try_from(id.0).unwrap_or(usize::MAX);
                    self.ended(slot, at, goes_on);
                }
                _ => {}
            }
        }
    }
}

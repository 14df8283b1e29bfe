//! Volumes are filled with what others held (full-sized instant snapshots), by the master.
//!
//! ```text
//! master    the fill map of the volume's logs is written, empty -> finding: FILL BEGUN
//! any       a program waits for a region: v FILL WANTED, to the master
//! master    some regions are copied, durable -> they are in the map, on all copies of the log
//!           -> v FILLED, to all: who waits for them goes on
//! master    all are: finding: FILLED, and nothing waits any more
//! ```
//! No range is held for that: of the other volume nobody changes a region before it is FILLED, and of this
//! one nobody uses it ([`crate::volume::FillRule`]). What is in the map stays filled whatever happens, so that a new
//! master, which reads it, goes on there; what is not is filled once more, with the same bytes. If a region cannot
//! be read or written, or the map cannot, the volume is spoilt, and programs of the other one go on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use fixedbitset::FixedBitSet;
use llt::{Duration, Instant, NodeId};

use super::io::DiskError;
use super::logs::{LogIo, LogToken};
use super::resync::{RANGE, RangeNumber};
use super::{Iod, IodNotice, IodOutput, Table, VolumeName};
use crate::core::wire::v::VMessage;
use crate::disk::{DrlMap, DrlShape, FILL_MAP, encode_block, read_map};
use crate::model::{Fill, Finding, KernelState, Name, Rid, Sectors, UniqueId};
use crate::volume::{FillRule, IoFailed, LogCopy, MirrorIndex, VolumeMap};

/// A volume that is being filled.
#[derive(Clone, Debug)]
struct Filling {
    id: Rid,
    len: Sectors,
    /// What programs of this node wait for.
    awaited: BTreeSet<u32>,
    /// How many regions are filled, as the master has said.
    done: u32,
    /// The master: what is in the map; `None` if it was not read.
    filled: Option<FixedBitSet>,
    /// The master: what programs of all nodes wait for.
    wanted: BTreeSet<u32>,
    /// The master: everything before this region is filled.
    at: u32,
    work: Work,
    /// After a batch, if it is to go slowly; or after one that could not be copied for now.
    not_before: Option<Instant>,
}

/// What the master does with it.
#[derive(Clone, Debug)]
enum Work {
    Nothing,
    /// The map is read: what the copies say that could be read.
    Reading {
        left: BTreeMap<LogToken, LogCopy>,
        read: Option<FixedBitSet>,
    },
    /// Regions are copied: those that are not done, and those that are.
    Copying {
        left: BTreeMap<RangeNumber, u32>,
        copied: BTreeSet<u32>,
    },
    /// The map is written, with these regions; `begins`: with none, for the first time.
    Writing {
        left: BTreeSet<LogToken>,
        copied: BTreeSet<u32>,
        begins: bool,
    },
    /// Nothing comes of it: that is being said. What disks still copy is waited for.
    Spoilt {
        left: BTreeSet<RangeNumber>,
    },
}

#[derive(Clone, Debug, Default)]
pub(super) struct Fills {
    of: BTreeMap<VolumeName, Filling>,
    numbers: u64,
    /// When the master is asked again for what is awaited: it may not have known what was meant, or there
    /// may be another one. `None`: as soon as there is one.
    ask_at: Option<Instant>,
}

impl Filling {
    fn new(id: Rid, len: Sectors) -> Self {
        Self {
            id,
            len,
            awaited: BTreeSet::new(),
            done: 0,
            filled: None,
            wanted: BTreeSet::new(),
            at: 0,
            work: Work::Nothing,
            not_before: None,
        }
    }

    fn is_idle(&self) -> bool {
        match &self.work {
            Work::Nothing => true,
            Work::Spoilt { left } => left.is_empty(),
            Work::Copying { .. } | Work::Reading { .. } | Work::Writing { .. } => false,
        }
    }

    fn regions(&self) -> u32 {
        DrlShape::new(self.len).regions
    }

    fn is_filled(&self, region: u32) -> bool {
        self.filled.as_ref().is_some_and(|filled| filled.contains(region as usize))
    }

    /// The next regions: what somebody waits for, else in order.
    fn next(&self, in_order: bool) -> Vec<u32> {
        if !self.wanted.is_empty() {
            return self.wanted.iter().copied().take(BATCH).collect();
        }
        let rest = (self.at..self.regions()).filter(|region| !self.is_filled(*region));
        if in_order { rest.take(BATCH).collect() } else { Vec::new() }
    }
}

impl Fills {
    /// Something is with disks.
    pub(super) fn are_busy(&self, is_shared: impl Fn(&UniqueId) -> bool) -> bool {
        self.of.iter().any(|((group, _), filling)| is_shared(group) && !filling.is_idle())
    }

    /// Regions of this volume are copied here.
    pub(super) fn copies(&self, volume: &VolumeName) -> bool {
        let filling = self.of.get(volume);
        filling.is_some_and(|filling| match &filling.work {
            Work::Copying { .. } => true,
            Work::Spoilt { left } => !left.is_empty(),
            Work::Nothing | Work::Reading { .. } | Work::Writing { .. } => false,
        })
    }

    /// A program may wait for something that a new master does not know.
    pub(super) const fn ask_anew(&mut self) {
        self.ask_at = None;
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let ask = self.ask_at.filter(|_| self.of.values().any(|f| !f.awaited.is_empty()));
        self.of.values().filter_map(|filling| filling.not_before).chain(ask).min()
    }
}

impl Iod {
    /// What waits on a volume until regions are filled.
    pub(super) fn fill_rule(table: &Table, name: &Name) -> Option<FillRule> {
        let group = &table.image.group;
        let volume = group.volumes.get(name)?;
        if let Some(fill) = volume.fill {
            return Some(FillRule { id: fill.id, is_target: true });
        }
        let (_, target) = group.filled_from(volume.common.rid)?;
        Some(FillRule { id: target.fill?.id, is_target: false })
    }

    /// How far volumes are that are being filled: which, from what, so many of their sectors.
    pub(super) fn fills(&self) -> impl Iterator<Item = (&VolumeName, Name, Sectors)> {
        self.fills.of.iter().filter_map(|(volume, filling)| {
            let group = &self.tables.get(&volume.0)?.image.group;
            let (source, _) = group.source_of(group.volumes.get(&volume.1)?)?;
            let filled = Sectors::from(filling.done) * RANGE;
            Some((volume, source.clone(), filled.min(filling.len)))
        })
    }

    /// What is in force has changed: which volumes are to be filled.
    pub(super) fn find_fills(&mut self) {
        let mut fills = BTreeMap::new();
        for (id, table) in &self.tables {
            for (name, volume) in &table.image.group.volumes {
                let is_on = volume.kernel == KernelState::Enabled;
                if let Some(fill) = volume.fill.filter(|_| is_on) {
                    fills.insert((id.clone(), name.clone()), (fill.id, volume.len));
                }
            }
        }
        let is_same = |volume: &VolumeName, filling: &Filling| {
            fills.get(volume).is_some_and(|(id, _)| *id == filling.id)
        };
        let over = self.fills.of.keys().filter(|volume| !fills.contains_key(*volume));
        for volume in over.cloned().collect::<Vec<_>>() {
            self.tasks.forget(&volume);
        }
        self.fills.of.retain(|volume, filling| is_same(volume, filling));
        for (volume, (id, len)) in fills {
            self.fills.of.entry(volume).or_insert_with(|| Filling::new(id, len));
        }
    }

    /// Whatever has changed: what is asked of a new master, and what the master does next.
    pub(super) fn look_at_fills(&mut self, now: Instant) {
        if self.fills.of.is_empty() {
            return;
        }
        if self.fills.ask_at.is_none_or(|at| at <= now) {
            self.fills.ask_at = Some(now + ASK_AGAIN);
            let asked = |(volume, filling): (&VolumeName, &Filling)| {
                filling.awaited.iter().map(|region| (volume.clone(), *region)).collect::<Vec<_>>()
            };
            let asked: Vec<_> = self.fills.of.iter().flat_map(asked).collect();
            asked.into_iter().for_each(|(volume, region)| self.want_region(now, volume, region));
        }
        for volume in self.fills.of.keys().cloned().collect::<Vec<_>>() {
            self.fill_next(now, &volume);
        }
    }

    // ---- what programs wait for ----

    /// Something waits for regions of a volume here, which is filled, or another one from it.
    pub fn handle_unfilled(
        &mut self,
        now: Instant,
        volume: &VolumeName,
        at: Sectors,
        len: Sectors,
    ) {
        let Some(table) = self.tables.get(&volume.0) else { return };
        let group = &table.image.group;
        let Some(record) = group.volumes.get(&volume.1) else { return };
        let target = match record.fill {
            Some(_) => Some(volume.1.clone()),
            None => group.filled_from(record.common.rid).map(|(name, _)| name.clone()),
        };
        let Some(target) = target.map(|target| (volume.0.clone(), target)) else { return };
        for region in DrlShape::new(record.len).regions_of(at, len) {
            if let Some(filling) = self.fills.of.get_mut(&target) {
                filling.awaited.insert(region);
                self.want_region(now, target.clone(), region);
            }
        }
    }

    fn want_region(&mut self, now: Instant, volume: VolumeName, region: u32) {
        let is_shared = self.tables.get(&volume.0).is_some_and(Table::is_shared);
        if !is_shared || self.is_master() {
            self.region_wanted(now, &volume, region);
        } else {
            let (group, volume) = volume;
            self.send_to_master(&VMessage::FillWanted { group, volume, region });
        }
    }

    pub(super) fn on_fill_wanted(&mut self, now: Instant, volume: &VolumeName, region: u32) {
        if self.is_master() && self.tables.get(&volume.0).is_some_and(Table::is_shared) {
            self.region_wanted(now, volume, region);
        }
    }

    fn region_wanted(&mut self, now: Instant, volume: &VolumeName, region: u32) {
        let Some(filling) = self.fills.of.get_mut(volume) else { return };
        if region < filling.regions() {
            filling.wanted.insert(region);
            self.fill_next(now, volume);
        }
    }

    // ---- the master ----

    /// The master, or the only host: what is to be done next for a volume.
    fn fill_next(&mut self, now: Instant, volume: &VolumeName) {
        let Some(table) = self.tables.get(&volume.0) else { return };
        let is_shared = table.is_shared();
        let is_ours = !is_shared || self.is_master();
        let record = table.image.group.volumes.get(&volume.1);
        let fill = record.and_then(|volume| volume.fill);
        let may = self.may_make_true(&volume.0) && table.frozen.is_none();
        let may = may && !(is_shared && (self.is_about_to_leave() || self.resyncs.awaits_switch()));
        let pace = self.tasks.pace(volume);
        let (Some(filling), Some(fill)) = (self.fills.of.get_mut(volume), fill) else { return };
        filling.not_before.take_if(|at| *at <= now || !is_ours);
        if !filling.is_idle() {
            return;
        }
        if !is_ours {
            (filling.filled, filling.at) = (None, 0);
            filling.wanted.clear();
            filling.work = Work::Nothing;
        } else if may && matches!(filling.work, Work::Spoilt { .. }) {
            let spoilt = Finding::Spoilt(volume.1.clone(), fill.id);
            self.want(now, &volume.0, spoilt, self.wall);
        } else if may {
            let in_order = !pace.is_paused && filling.not_before.is_none();
            self.fill_on(now, volume, fill, in_order);
        }
    }

    fn fill_on(&mut self, now: Instant, volume: &VolumeName, fill: Fill, in_order: bool) {
        let Some(filling) = self.fills.of.get_mut(volume) else { return };
        if !fill.is_begun {
            if filling.filled.is_none() {
                self.write_fill_map(now, volume, BTreeSet::new(), true);
            } else {
                let begun = Finding::FillBegun(volume.1.clone(), fill.id);
                self.want(now, &volume.0, begun, self.wall);
            }
            return;
        }
        let Some(filled) = &filling.filled else {
            self.read_fill_map(now, volume);
            return;
        };
        let is_known = |region: &u32| filled.contains(*region as usize);
        let known = filling.wanted.iter().copied().filter(is_known).collect::<Vec<u32>>();
        filling.wanted.retain(|region| !known.contains(region));
        if filled.count_ones(..) as u64 == u64::from(filling.regions()) {
            let filled = Finding::Filled(volume.1.clone(), fill.id);
            self.want(now, &volume.0, filled, self.wall);
        } else {
            let next = filling.next(in_order);
            self.copy_regions(volume, &next);
        }
        // Whoever asks for those had not heard of it.
        self.say_filled(volume, known);
    }

    fn copy_regions(&mut self, volume: &VolumeName, regions: &[u32]) {
        let Some(filling) = self.fills.of.get_mut(volume) else { return };
        if regions.is_empty() {
            return;
        }
        let mut left = BTreeMap::new();
        for region in regions {
            self.fills.numbers += 1;
            let number = RangeNumber(self.fills.numbers);
            left.insert(number, *region);
            let at = Sectors::from(*region) * RANGE;
            let (volume, id, len) = (volume.clone(), filling.id, RANGE.min(filling.len - at));
            self.out.push_back(IodOutput::FillRange { volume, number, id, at, len });
        }
        filling.work = Work::Copying { left, copied: BTreeSet::new() };
    }

    /// A region of the other volume was copied and is durable, or why not.
    pub fn handle_filled(
        &mut self,
        now: Instant,
        volume: &VolumeName,
        number: RangeNumber,
        done: Result<(), IoFailed>,
    ) {
        let Some(filling) = self.fills.of.get_mut(volume) else { return };
        if let Work::Spoilt { left } = &mut filling.work {
            left.remove(&number);
            self.look_at_copies(now);
            self.leave_if_closed();
            return;
        }
        let Work::Copying { left, copied } = &mut filling.work else { return };
        let Some(region) = left.remove(&number) else { return };
        match done {
            Ok(()) => drop(copied.insert(region)),
            // Nothing is known to be wrong with the disks.
            Err(IoFailed::Gone) => filling.not_before = Some(now + FILL_RETRY),
            Err(IoFailed::Io | IoFailed::Range) => {
                self.spoil(now, volume);
                return;
            }
        }
        if left.is_empty() {
            let copied = std::mem::take(copied);
            filling.work = Work::Nothing;
            if !copied.is_empty() {
                self.write_fill_map(now, volume, copied, false);
            }
        }
        self.look_at_copies(now);
        self.leave_if_closed();
    }

    /// It is no point in time any more: that is said, and nothing else is done.
    fn spoil(&mut self, now: Instant, volume: &VolumeName) {
        let Some(filling) = self.fills.of.get_mut(volume) else { return };
        let left = match &filling.work {
            Work::Copying { left, .. } => left.keys().copied().collect(),
            _ => BTreeSet::new(),
        };
        filling.work = Work::Spoilt { left };
        let finding = Finding::Spoilt(volume.1.clone(), filling.id);
        let (group, name) = volume.clone();
        self.notice(IodNotice::FillFailed { group, volume: name });
        self.want(now, &volume.0, finding, self.wall);
    }

    // ---- the map ----

    /// The copies of the log, with their disks.
    fn fill_logs(
        &self,
        (group, name): &VolumeName,
    ) -> (Option<DrlShape>, Vec<(UniqueId, LogCopy)>) {
        let table = self.tables.get(group);
        let map = table.and_then(|table| VolumeMap::new(&table.image.group, name.as_str()));
        let Some(map) = map.map(Arc::new) else { return (None, Vec::new()) };
        let Some(log) = &map.mirror(MirrorIndex::VOLUME).log else { return (None, Vec::new()) };
        let copies = log
            .copies
            .iter()
            .filter_map(|copy| Some((map.disks().get(copy.disk.0)?.clone(), copy.clone())));
        (Some(log.shape), copies.collect())
    }

    fn read_fill_map(&mut self, now: Instant, volume: &VolumeName) {
        let (Some(shape), copies) = self.fill_logs(volume) else {
            self.spoil(now, volume);
            return;
        };
        let mut left = BTreeMap::new();
        for (disk, copy) in copies {
            let token = self.logs.token();
            let (at, len) = (copy.at + shape.at(FILL_MAP), u64::from(shape.blocks));
            self.out.push_back(IodOutput::Log(token, LogIo::Read { disk, at, len }));
            left.insert(token, copy);
        }
        if let Some(filling) = self.fills.of.get_mut(volume) {
            filling.work = Work::Reading { left, read: None };
        }
    }

    /// Regions that were copied are in the map, on every copy of the log, before anybody hears of it. A
    /// map of which anything is on none of them, or on some, is of no use.
    fn write_fill_map(
        &mut self,
        now: Instant,
        volume: &VolumeName,
        copied: BTreeSet<u32>,
        begins: bool,
    ) {
        let (shape, copies) = self.fill_logs(volume);
        let is_shared = self.tables.get(&volume.0).is_some_and(Table::is_shared);
        let filled = self.fills.of.get(volume).and_then(|filling| filling.filled.clone());
        let Some(shape) = shape.filter(|_| !copies.is_empty()) else {
            self.spoil(now, volume);
            return;
        };
        let mut filled = filled.unwrap_or_default();
        filled.grow(shape.regions as usize);
        copied.iter().for_each(|region| filled.insert(*region as usize));
        let blocks: BTreeSet<u32> = if begins {
            (0..shape.blocks).collect()
        } else {
            copied.iter().map(|region| shape.block_of(*region)).collect()
        };
        let mut left = BTreeSet::new();
        for (disk, copy) in copies {
            for block in &blocks {
                let set = shape.regions_in(*block).filter(|r| filled.contains(*r as usize));
                let data = encode_block(copy.name, shape, FILLED, *block, set);
                let at = copy.at + shape.at(FILL_MAP) + u64::from(*block);
                let data = Bytes::copy_from_slice(&data);
                let token = self.logs.token();
                self.logs.begin_write(token, &volume.0);
                let io = LogIo::Write { disk: disk.clone(), is_shared, at, data };
                self.out.push_back(IodOutput::Log(token, io));
                left.insert(token);
            }
        }
        if let Some(filling) = self.fills.of.get_mut(volume) {
            filling.work = Work::Writing { left, copied, begins };
        }
    }

    /// A disk has read of a fill map, or written to it, or has not; `false`: it was something else.
    pub(super) fn fill_log_done(
        &mut self,
        now: Instant,
        token: LogToken,
        done: &Result<Bytes, DiskError>,
    ) -> bool {
        let mut fillings = self.fills.of.iter_mut();
        let found = fillings.find_map(|(volume, filling)| {
            let len = filling.len;
            match &mut filling.work {
                Work::Reading { left, read } => {
                    take_map(&left.remove(&token)?, DrlShape::new(len), done, read);
                }
                Work::Writing { left, .. } => drop(left.take(&token)?),
                Work::Nothing | Work::Copying { .. } | Work::Spoilt { .. } => return None,
            }
            Some(volume.clone())
        });
        let Some(volume) = found else { return false };
        let Some(filling) = self.fills.of.get_mut(&volume) else { return true };
        match &mut filling.work {
            Work::Reading { left, read } if left.is_empty() => {
                let read = read.take();
                filling.work = Work::Nothing;
                filling.filled = read;
                if filling.filled.is_none() {
                    self.spoil(now, &volume);
                } else {
                    self.say_filled(&volume, Vec::new());
                }
            }
            // This node is not to write any more, and may never have to.
            Work::Writing { .. } if *done == Err(DiskError::NoLease) => {
                filling.work = Work::Nothing;
                filling.not_before = Some(now + FILL_RETRY);
            }
            Work::Writing { .. } if done.is_err() => self.spoil(now, &volume),
            Work::Writing { left, copied, begins } if left.is_empty() => {
                let (copied, begins) = (std::mem::take(copied), *begins);
                filling.work = Work::Nothing;
                self.map_written(now, &volume, &copied, begins);
            }
            Work::Reading { .. }
            | Work::Writing { .. }
            | Work::Nothing
            | Work::Copying { .. }
            | Work::Spoilt { .. } => {}
        }
        true
    }

    fn map_written(
        &mut self,
        now: Instant,
        volume: &VolumeName,
        copied: &BTreeSet<u32>,
        begins: bool,
    ) {
        let delay = u64::from(self.tasks.pace(volume).delay);
        let Some(filling) = self.fills.of.get_mut(volume) else { return };
        let regions = filling.regions() as usize;
        if begins {
            filling.filled = Some(FixedBitSet::with_capacity(regions));
            return;
        }
        for region in copied {
            filling.filled.iter_mut().for_each(|filled| filled.insert(*region as usize));
            filling.wanted.remove(region);
        }
        while filling.at < filling.regions() && filling.is_filled(filling.at) {
            filling.at += 1;
        }
        if delay > 0 {
            filling.not_before = Some(now + Duration::from_millis(delay));
        }
        self.say_filled(volume, copied.iter().copied().collect());
    }

    /// All nodes hear of regions that are in the map.
    fn say_filled(&mut self, volume: &VolumeName, regions: Vec<u32>) {
        let Some(filling) = self.fills.of.get(volume) else { return };
        let done = filling.filled.as_ref().map_or(0, |filled| filled.count_ones(..));
        let (id, done) = (filling.id, u32::try_from(done).unwrap_or(u32::MAX));
        if regions.is_empty() && done == filling.done {
            return;
        }
        let (group, name) = volume.clone();
        if self.tables.get(&volume.0).is_some_and(Table::is_shared) {
            self.broadcast(&VMessage::Filled { group, volume: name, id, regions, done });
        } else {
            self.hear_filled(volume, id, &regions, done);
        }
    }

    pub(super) fn on_filled(
        &mut self,
        from: NodeId,
        volume: &VolumeName,
        id: Rid,
        regions: &[u32],
        done: u32,
    ) {
        let is_shared = self.tables.get(&volume.0).is_some_and(Table::is_shared);
        if is_shared && self.membership().is_some_and(|m| m.master == Some(from)) {
            self.hear_filled(volume, id, regions, done);
        }
    }

    /// Programs that wait for these regions go on.
    fn hear_filled(&mut self, volume: &VolumeName, id: Rid, regions: &[u32], done: u32) {
        let Some(filling) = self.fills.of.get_mut(volume).filter(|filling| filling.id == id) else {
            return;
        };
        filling.done = done;
        let len = filling.len;
        filling.awaited.retain(|region| !regions.contains(region));
        let Some(table) = self.tables.get(&volume.0) else { return };
        let group = &table.image.group;
        let record = group.volumes.get(&volume.1);
        let source = record.and_then(|record| group.source_of(record));
        let both = source.map(|(name, _)| name).into_iter().chain([&volume.1]);
        for name in both.cloned().collect::<Vec<_>>() {
            for region in regions {
                let at = Sectors::from(*region) * RANGE;
                let (volume, len) = ((volume.0.clone(), name.clone()), len.saturating_sub(at));
                let len = len.min(RANGE);
                self.out.push_back(IodOutput::Filled { volume, id, at, len });
            }
        }
    }
}

/// What a copy of the map says. One that is damaged says nothing: all that counts is in every copy.
fn take_map(
    copy: &LogCopy,
    shape: DrlShape,
    bytes: &Result<Bytes, DiskError>,
    read: &mut Option<FixedBitSet>,
) {
    let Ok(bytes) = bytes else { return };
    let mut filled = FixedBitSet::new();
    if read_map(copy.name, shape, FILLED, bytes, &mut filled) == 0 {
        read.get_or_insert_default().union_with(&filled);
    }
}

/// Who fills writes the whole map first: nothing of an earlier filling is left in it.
const FILLED: DrlMap = DrlMap { number: FILL_MAP, changes: 0 };
/// So many regions are copied at a time, and said with one message.
const BATCH: usize = 4;
/// After a copy that came to nothing.
const FILL_RETRY: Duration = Duration::from_secs(1);
/// What the master was asked for and has not said.
const ASK_AGAIN: Duration = Duration::from_secs(1);

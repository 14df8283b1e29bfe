//! Maps of dirty region logs are read, and collected: where copies may differ after nodes were lost.
//!
//! ```text
//! master    writers are lost: reads their maps, and the recovery map if that counts already; all that
//!           is dirty in any copy of a log -> recovery map, written to every copy -> finding: LOST
//! master    a recovery map counts that it does not know: reads it
//! ```
//! While changes are noted for snapshots, what nodes that are lost had marked has changed, too: it may be
//! older than the snapshot, and is made equal only now. It is added to their notes in the same way, and
//! with the recovery map. Notes are read when the plex of a snapshot comes back.
//!
//! So the recovery map is on disks before the configuration says that it counts, and before the maps of
//! those who are lost may be written anew: a master that dies at any step is followed by one that finds
//! as much. Until then nobody who was lost joins again ([`Iod::has_lost_writers`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use fixedbitset::FixedBitSet;
use llt::Instant;

use super::io::DiskError;
use super::resync::RANGE;
use super::{Iod, IodNotice, IodOutput, Table, VolumeName};
use crate::disk::{
    DRL_BLOCK, DrlMap, HOST_MAP, RECOVERY_MAP, changes_of, encode_block, map_of, read_map,
};
use crate::model::{Finding, MapPlace, Name, Sectors, UniqueId};
use crate::volume::{LogCopy, MirrorIndex, MirrorLog, Notes, VolumeMap};

/// Names something that is read from a log or written to it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LogToken(pub u64);

/// What is done with a log; it lies in the public region of a disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LogIo {
    /// So many sectors from there on.
    Read {
        /// Which disk.
        disk: UniqueId,
        /// From which sector on.
        at: Sectors,
        /// How many.
        len: Sectors,
    },
    /// These bytes; they are durable when that is reported as done.
    Write {
        /// Which disk.
        disk: UniqueId,
        /// It belongs to several nodes: it is written under a lease.
        is_shared: bool,
        /// From which sector on.
        at: Sectors,
        /// Whole sectors.
        data: Bytes,
    },
}

/// What is dirty of a mirror, in maps that were read.
#[derive(Clone, Debug, Default)]
struct Dirty {
    regions: FixedBitSet,
    /// What lost nodes have noted as changed.
    changed: FixedBitSet,
    /// Maps that no copy of the log has given yet.
    missing: BTreeSet<u16>,
}

/// Maps of one volume that are being read.
#[derive(Clone, Debug)]
struct Reading {
    group: UniqueId,
    map: Arc<VolumeMap>,
    places: BTreeSet<MapPlace>,
    /// Who is lost; nobody, if only the recovery map or notes are read.
    nodes: BTreeSet<u8>,
    /// The recovery map is read.
    has_recovery: bool,
    /// Maps of changes among those that are read, and the number of the changes.
    notes: BTreeSet<u16>,
    changes: Option<u32>,
    dirty: BTreeMap<MirrorIndex, Dirty>,
    under_way: BTreeMap<LogToken, Part>,
    is_writing: bool,
    /// A copy of the log cannot be written.
    has_failed: bool,
    /// These, for what their disks have said.
    failed: BTreeSet<(Name, UniqueId)>,
}

/// A map in a copy of the log of a mirror.
#[derive(Clone, Copy, Debug)]
struct Part {
    mirror: MirrorIndex,
    copy: usize,
    map: u16,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Logs {
    next: u64,
    reading: BTreeMap<VolumeName, Reading>,
    /// What is being written, also when nobody wants it any more.
    writes: BTreeMap<LogToken, UniqueId>,
    /// What is to be copied.
    known: BTreeMap<VolumeName, Known>,
}

/// What is to be copied of a volume, as maps say.
#[derive(Clone, Debug)]
struct Known {
    /// In ranges of [`RANGE`] sectors; all of them, where nobody knows.
    ranges: FixedBitSet,
    source: DirtySource,
}

/// What decides that a range is to be copied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct DirtySource {
    /// Copies may differ there, as the recovery map says.
    pub(super) recovery: bool,
    /// It has changed since these changes began to be noted.
    pub(super) changes: Option<u32>,
}

impl Logs {
    /// Names the next thing that is read or written.
    pub(super) const fn token(&mut self) -> LogToken {
        self.next += 1;
        LogToken(self.next)
    }

    /// A log of this group is written: the end of that is waited for before anybody says that I/O has
    /// come to its end.
    pub(super) fn begin_write(&mut self, token: LogToken, group: &UniqueId) {
        self.writes.insert(token, group.clone());
    }

    /// The first range of this volume, from that one on, that is to be copied, if there is one;
    /// `None` if those maps were not read.
    pub(super) fn next_dirty(
        &self,
        volume: &VolumeName,
        source: DirtySource,
        from: usize,
    ) -> Option<Option<usize>> {
        let Known { ranges, .. } = self.known.get(volume).filter(|known| known.source == source)?;
        Some((from..ranges.len()).find(|range| ranges.contains(*range)))
    }

    /// It is over.
    pub(super) fn forget(&mut self, volume: &VolumeName) {
        self.known.remove(volume);
        self.reading.remove(volume);
    }

    /// What has changed is to be looked at again.
    pub(super) fn forget_notes(&mut self, volume: &VolumeName) {
        let is_of_notes = |source: DirtySource| source.changes.is_some();
        if self.known.get(volume).is_some_and(|known| is_of_notes(known.source)) {
            self.known.remove(volume);
        }
        if self.reading.get(volume).is_some_and(|reading| is_of_notes(reading.source())) {
            self.reading.remove(volume);
        }
    }

    /// There is another master, or other members: what this node knows may not be all.
    pub(super) fn forget_shared(&mut self, is_shared: impl Fn(&UniqueId) -> bool) {
        self.known.retain(|(group, _), _| !is_shared(group));
        self.reading.retain(|(group, _), _| !is_shared(group));
    }

    /// Something of them is with disks.
    pub(super) fn are_busy(&self) -> bool {
        !self.reading.is_empty() || !self.writes.is_empty()
    }

    /// A log is being written of one of these groups.
    pub(super) fn writes_in(&self, is_meant: impl Fn(&UniqueId) -> bool) -> bool {
        self.writes.values().any(is_meant)
    }
}

impl Iod {
    /// The map of this node in the logs of a group.
    pub(super) fn log_map(&self, table: &Table) -> u16 {
        if table.is_shared() { map_of(self.me.node.get()) } else { HOST_MAP }
    }

    /// Changes of a volume that are noted.
    pub(super) fn notes_of(&self, table: &Table, volume: &Name) -> Option<Notes> {
        let number = table.image.group.noted(volume)?;
        let changers = table.image.group.volumes.get(volume).map(|volume| &volume.changers)?;
        let me = self.me.node.get();
        let has_begun = changers.iter().any(|node| *node == me || !table.is_shared());
        Some(Notes { number, has_begun })
    }

    /// The maps of these nodes.
    fn maps_of(table: &Table, nodes: &BTreeSet<u8>) -> BTreeSet<u16> {
        if table.is_shared() {
            nodes.iter().map(|node| map_of(*node)).collect()
        } else {
            nodes.first().map(|_| HOST_MAP).into_iter().collect()
        }
    }

    /// Writers are lost: their maps are looked at. Without logs nobody knows where copies differ.
    pub(super) fn look_for_lost(&mut self, now: Instant, volume: VolumeName, nodes: BTreeSet<u8>) {
        let is_read = self.logs.reading.get(&volume).is_some_and(|reading| reading.nodes == nodes);
        if is_read || self.wanted.has_lost(&volume, &nodes) {
            return;
        }
        self.logs.forget(&volume);
        // What is about to change is looked at after that.
        let table = self.tables.get(&volume.0).filter(|table| table.frozen.is_none());
        let Some(table) = table else { return };
        let Some(record) = table.image.group.volumes.get(&volume.1) else { return };
        let is_known = record.by_map || !record.needs_sync();
        let mut maps = Self::maps_of(table, &nodes);
        let changes = table.image.group.noted(&volume.1);
        let notes = changes.map(|_| maps.iter().map(|map| changes_of(*map)).collect());
        maps.extend(record.by_map.then_some(RECOVERY_MAP));
        let wanted = Wanted { maps, notes: notes.unwrap_or_default(), changes };
        let begun = is_known && self.read_maps(&volume, wanted, &nodes);
        if !begun {
            let finding = Finding::Lost(volume.1, nodes, BTreeSet::new());
            self.want(now, &volume.0, finding, self.wall);
        }
    }

    /// The recovery map of a volume is read, or what is noted of its changes; `false`: there is none, and
    /// all of it is to be copied.
    pub(super) fn look_for_dirty(&mut self, volume: &VolumeName, source: DirtySource) -> bool {
        let Some(table) = self.tables.get(&volume.0) else { return false };
        if table.frozen.is_some() || self.logs.reading.contains_key(volume) {
            return true;
        }
        let Some(record) = table.image.group.volumes.get(&volume.1) else { return false };
        let notes = source.changes.map(|_| Self::maps_of(table, &record.changers));
        let notes: BTreeSet<u16> = notes.into_iter().flatten().map(changes_of).collect();
        let maps: BTreeSet<u16> = source.recovery.then_some(RECOVERY_MAP).into_iter().collect();
        if maps.is_empty() && notes.is_empty() {
            // Nobody has written it since.
            let ranges = FixedBitSet::with_capacity(count(record.len));
            self.logs.known.insert(volume.clone(), Known { ranges, source });
            return true;
        }
        let wanted = Wanted { maps, notes, changes: source.changes };
        self.read_maps(volume, wanted, &BTreeSet::new())
    }

    /// Begins to read; `false`: there is no log that has these maps.
    fn read_maps(&mut self, volume: &VolumeName, wanted: Wanted, nodes: &BTreeSet<u8>) -> bool {
        let Wanted { maps, notes, changes } = wanted;
        let all: BTreeSet<u16> = maps.union(&notes).copied().collect();
        let Some(table) = self.tables.get(&volume.0) else { return false };
        let group = &table.image.group;
        let Some(map) = table.map(&volume.1) else { return false };
        let mirrors: Vec<MirrorIndex> = map.written_mirrors().map(|(index, _)| index).collect();
        if mirrors.is_empty() || !all.iter().all(|number| map.is_logged(*number)) {
            return false;
        }
        let mut reading = Reading {
            group: volume.0.clone(),
            places: group.map_places(&volume.1),
            map,
            nodes: nodes.clone(),
            has_recovery: maps.contains(&RECOVERY_MAP),
            notes,
            changes,
            dirty: BTreeMap::new(),
            under_way: BTreeMap::new(),
            is_writing: false,
            has_failed: false,
            failed: BTreeSet::new(),
        };
        for mirror in mirrors {
            let missing = all.clone();
            reading.dirty.insert(mirror, Dirty { missing, ..Dirty::default() });
            for number in &all {
                self.log_io(&mut reading, mirror, *number, |log, copy, disk| LogIo::Read {
                    disk,
                    at: copy.at + log.shape.at(*number),
                    len: u64::from(log.shape.blocks),
                });
            }
        }
        self.logs.reading.insert(volume.clone(), reading);
        true
    }

    /// The same for every copy of the log of a mirror.
    fn log_io(
        &mut self,
        reading: &mut Reading,
        mirror: MirrorIndex,
        map: u16,
        io: impl Fn(&MirrorLog, &LogCopy, UniqueId) -> LogIo,
    ) {
        let volume = Arc::clone(&reading.map);
        let Some(log) = volume.mirror(mirror).log.as_ref() else { return };
        for (number, copy) in log.copies.iter().enumerate() {
            let Some(disk) = volume.disks().get(copy.disk.0).cloned() else { continue };
            let token = self.logs.token();
            reading.under_way.insert(token, Part { mirror, copy: number, map });
            if reading.is_writing {
                self.logs.begin_write(token, &reading.group);
            }
            self.out.push_back(IodOutput::Log(token, io(log, copy, disk)));
        }
    }

    /// A disk has done what was asked of it for a log, or has not; of a write there are no bytes.
    pub fn handle_log(&mut self, now: Instant, token: LogToken, done: Result<Bytes, DiskError>) {
        self.logs.writes.remove(&token);
        let is_of_fill = self.fill_log_done(now, token, &done);
        let mut reading = self.logs.reading.iter_mut().filter(|_| !is_of_fill);
        let found = reading.find_map(|(volume, reading)| {
            let part = reading.under_way.remove(&token)?;
            reading.take(part, &done);
            reading.under_way.is_empty().then(|| volume.clone())
        });
        if let Some(volume) = found {
            self.all_were_read(now, &volume);
        }
        self.drained_of_logs(now);
        self.resyncs.look();
        self.look_at_copies(now);
        self.leave_if_closed();
    }

    /// The logs lie where they lay, and who was lost is lost still.
    fn is_current(&self, volume: &VolumeName, reading: &Reading) -> bool {
        let Some(table) = self.tables.get(&volume.0) else { return false };
        let Some(record) = table.image.group.volumes.get(&volume.1) else { return false };
        let map = table.map(&volume.1);
        // While a transaction is about to change that, it is looked at again.
        table.frozen.is_none()
            && map.is_some_and(|map| map == reading.map)
            && reading.nodes.is_subset(&self.lost_writers(table, &volume.1, record))
            && (reading.changes.is_none() || reading.changes == table.image.group.noted(&volume.1))
    }

    /// All that was asked for is here, or all that was to be written is on disks.
    fn all_were_read(&mut self, now: Instant, volume: &VolumeName) {
        let Some(mut reading) = self.logs.reading.remove(volume) else { return };
        // What could not be written may be written yet, over what is to be there by then.
        for (plex, disk) in std::mem::take(&mut reading.failed) {
            self.find(now, &volume.0, Finding::PlexFailed(plex, Some(disk)), self.wall);
        }
        if !self.is_current(volume, &reading) {
            return;
        }
        let is_missing = reading.dirty.values().any(|dirty| !dirty.missing.is_empty());
        let is_useless = reading.has_failed || is_missing;
        if !is_useless && !reading.is_writing && !reading.nodes.is_empty() {
            reading.is_writing = true;
            self.write_recovery_maps(&mut reading);
            self.write_notes(&mut reading);
            self.logs.reading.insert(volume.clone(), reading);
            return;
        }
        let len = reading.map.len();
        let known = if is_useless { all(len) } else { reading.ranges() };
        self.notice(IodNotice::MapsRead {
            group: volume.0.clone(),
            volume: volume.1.clone(),
            dirty: known.count_ones(..) as u64 * RANGE,
            len,
            is_known: !is_useless,
        });
        let source = reading.source();
        self.logs.known.insert(volume.clone(), Known { ranges: known, source });
        if !reading.nodes.is_empty() {
            let maps = if is_useless { BTreeSet::new() } else { reading.places };
            let finding = Finding::Lost(volume.1.clone(), reading.nodes, maps);
            self.want(now, &volume.0, finding, self.wall);
        }
    }

    fn write_recovery_maps(&mut self, reading: &mut Reading) {
        for (mirror, dirty) in reading.dirty.clone() {
            self.write_log(reading, mirror, RECOVERY_MAP.into(), &dirty.regions);
        }
    }

    /// What lost nodes had marked is among their notes from here on. Nobody else writes those until they
    /// are back.
    fn write_notes(&mut self, reading: &mut Reading) {
        let Some(changes) = reading.changes else { return };
        for (mirror, dirty) in reading.dirty.clone() {
            let mut noted = dirty.changed;
            noted.union_with(&dirty.regions);
            for number in reading.notes.clone() {
                self.write_log(reading, mirror, DrlMap { number, changes }, &noted);
            }
        }
    }

    fn write_log(
        &mut self,
        reading: &mut Reading,
        mirror: MirrorIndex,
        map: DrlMap,
        regions: &FixedBitSet,
    ) {
        let is_shared = self.tables.get(&reading.group).is_some_and(Table::is_shared);
        self.log_io(reading, mirror, map.number, |log, copy, disk| {
            let shape = log.shape;
            let mut data = Vec::new();
            for block in 0..shape.blocks {
                let dirty = shape.regions_in(block);
                let dirty = dirty.filter(|region| regions.contains(*region as usize));
                data.extend(encode_block(copy.name, shape, map, block, dirty));
            }
            debug_assert_eq!(data.len(), shape.blocks as usize * DRL_BLOCK);
            LogIo::Write { disk, is_shared, at: copy.at + shape.at(map.number), data: data.into() }
        });
    }
}

/// Maps that are to be read.
#[derive(Clone, Debug)]
struct Wanted {
    /// Of what may differ.
    maps: BTreeSet<u16>,
    /// Of what has changed, and the number of those changes.
    notes: BTreeSet<u16>,
    changes: Option<u32>,
}

impl Reading {
    /// Every copy that can be read counts: one that is new, or was written to a part only, says more than
    /// there is, and none says less.
    fn take(&mut self, part: Part, done: &Result<Bytes, DiskError>) {
        let Ok(bytes) = done else {
            self.has_failed |= self.is_writing;
            let is_of_disk = self.is_writing && *done != Err(DiskError::NoLease);
            let log = self.map.mirror(part.mirror).log.as_ref().filter(|_| is_of_disk);
            if let Some(copy) = log.and_then(|log| log.copies.get(part.copy)) {
                self.failed.insert((copy.plex.clone(), self.map.disks()[copy.disk.0].clone()));
            }
            return;
        };
        let log = self.map.mirror(part.mirror).log.as_ref();
        let copy = log.and_then(|log| Some((log.shape, log.copies.get(part.copy)?)));
        let (Some((shape, copy)), false) = (copy, self.is_writing) else { return };
        let Some(dirty) = self.dirty.get_mut(&part.mirror) else { return };
        if self.notes.contains(&part.map) {
            let map = DrlMap { number: part.map, changes: self.changes.unwrap_or_default() };
            read_map(copy.name, shape, map, bytes, &mut dirty.changed);
        } else {
            read_map(copy.name, shape, part.map, bytes, &mut dirty.regions);
        }
        dirty.missing.remove(&part.map);
    }

    /// What is known by it: of what is lost, where copies may differ, and nothing else.
    fn source(&self) -> DirtySource {
        let is_of_lost = !self.nodes.is_empty();
        let changes = self.changes.filter(|_| !is_of_lost);
        DirtySource { recovery: is_of_lost || self.has_recovery, changes }
    }

    /// Ranges of the volume in which a region of any mirror is dirty.
    fn ranges(&self) -> FixedBitSet {
        let len = self.map.len();
        let mut ranges = FixedBitSet::with_capacity(count(len));
        let is_dirty = |(mirror, region): &(MirrorIndex, u32)| {
            let dirty = self.dirty.get(mirror);
            let (region, counts) = (*region as usize, self.nodes.is_empty());
            dirty.is_some_and(|dirty| {
                dirty.regions.contains(region) || counts && dirty.changed.contains(region)
            })
        };
        let is_clear = |dirty: &Dirty| dirty.regions.is_clear() && dirty.changed.is_clear();
        if self.dirty.values().all(is_clear) {
            return ranges;
        }
        for number in 0..ranges.len() {
            let at = number as u64 * RANGE;
            let regions = self.map.regions(at, RANGE.min(len - at));
            ranges.set(number, regions.iter().any(is_dirty));
        }
        ranges
    }
}

fn all(len: Sectors) -> FixedBitSet {
    let mut all = FixedBitSet::with_capacity(count(len));
    all.insert_range(..);
    all
}

fn count(len: Sectors) -> usize {
    usize::try_from(len.div_ceil(RANGE)).unwrap_or(usize::MAX)
}

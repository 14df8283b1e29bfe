//! Where the blocks of a volume lie (facts 2.1): made of a configuration, and right as long as that is in
//! force.
//!
//! ```text
//! mirror -> plexes, each a copy -> columns, in turns of the stripe unit -> ranges of disks, or of
//!                                                                          mirrors of a layer
//! ```
//! The first mirror is the volume itself, the others are the volumes below it in a layered one.

use crate::disk::{DrlName, DrlShape};
use crate::model::{
    Group, Layout, LogType, Name, Piece, Plex, ReadPolicy, Rid, Sectors, Source, UniqueId, Volume,
};

pub use objects::{Home, Member, SubdiskIndex, SubdiskMap};

/// Numbers a disk of a mapping.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct DiskIndex(pub usize);

/// Numbers a plex of a mapping, of whatever layer.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct PlexIndex(pub usize);

/// Numbers a mirror of a mapping; 0 is the volume.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct MirrorIndex(pub usize);

impl MirrorIndex {
    /// The volume itself.
    pub const VOLUME: Self = Self(0);
}

/// A volume as it is mapped.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VolumeMap {
    home: Option<Home>,
    mirrors: Vec<Mirror>,
    plexes: Vec<PlexMap>,
    disks: Vec<UniqueId>,
    /// What the group calls each of the disks.
    members: Vec<Member>,
    subdisks: Vec<SubdiskMap>,
    /// What it is filled from.
    source: Option<MirrorIndex>,
}

/// A volume or a layer of one: equal copies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mirror {
    /// The identity of its record.
    pub rid: Rid,
    /// Its record.
    pub name: Name,
    /// How long it is.
    pub len: Sectors,
    /// Its copies, in the order of its record; those with nothing but a log are not among them.
    pub plexes: Vec<PlexIndex>,
    /// The only one that is read as long as it can be (facts 2.2).
    pub preferred: Option<PlexIndex>,
    /// The plex that it is a part of; `None` is the volume.
    pub parent: Option<PlexIndex>,
    /// The subdisk of that plex that it is.
    pub subvolume: Option<SubdiskIndex>,
    /// Its dirty region log, if it has one that can be used.
    pub log: Option<MirrorLog>,
    /// It is of another volume, which this one is filled from: it is read, and nothing else.
    pub is_source: bool,
}

/// A dirty region log: which regions of a mirror may differ between its copies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MirrorLog {
    /// How each copy is divided.
    pub shape: DrlShape,
    /// Maps that fit into every copy.
    pub maps: u16,
    /// So many regions may be dirty at a time, beside those that are being written.
    pub limit: usize,
    /// Where it lies, at least once: every copy is written, any of them may be read.
    pub copies: Vec<LogCopy>,
}

/// A copy of a log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogCopy {
    /// The plex that it belongs to.
    pub plex: Name,
    /// Its disk.
    pub disk: DiskIndex,
    /// From this sector of the public region on.
    pub at: Sectors,
    /// What its blocks are called.
    pub name: DrlName,
}

/// What is done with a plex.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PlexMode {
    /// Nothing: it is not current and is not kept so.
    Off,
    /// Read and written.
    ReadWrite,
    /// Only written: it is being copied to.
    WriteOnly,
}

/// A copy of a volume.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlexMap {
    /// The identity of its record.
    pub rid: Rid,
    /// Its record.
    pub name: Name,
    /// The mirror that it is a copy of.
    pub mirror: MirrorIndex,
    /// What is done with it.
    pub mode: PlexMode,
    layout: Layout,
    /// The ranges of each column, by where they begin in it.
    columns: Vec<Vec<Range>>,
    /// Each disk once; those of layers not.
    disks: Vec<DiskIndex>,
    layers: Vec<MirrorIndex>,
    /// Those of its subdisks that lie on disks.
    subdisks: Vec<SubdiskIndex>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Range {
    begin: Sectors,
    len: Sectors,
    target: Target,
}

/// Where something lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target {
    /// On a disk.
    Disk {
        /// Which.
        disk: DiskIndex,
        /// From this sector of its public region on.
        at: Sectors,
    },
    /// In a mirror of a layer, with copies of its own.
    Layer {
        /// Which.
        mirror: MirrorIndex,
        /// From here on.
        at: Sectors,
    },
}

impl Target {
    const fn after(self, skipped: Sectors) -> Self {
        match self {
            Self::Disk { disk, at } => Self::Disk { disk, at: at + skipped },
            Self::Layer { mirror, at } => Self::Layer { mirror, at: at + skipped },
        }
    }
}

/// A part of a range that lies in one piece.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Part {
    /// Where it begins in the mirror.
    pub at: Sectors,
    /// How long it is.
    pub len: Sectors,
    /// Where it lies; `None` is a hole of a sparse plex, or a disk that is not there.
    pub target: Option<Target>,
}

impl VolumeMap {
    /// The mapping of a volume of a configuration that passes [`crate::model::check()`]; `None` if
    /// there is no such volume.
    pub fn new(group: &Group, name: &str) -> Option<Self> {
        let (name, volume) = group.volumes.get_key_value(name)?;
        let (id, minor) = (group.id.clone(), volume.minor);
        let home = Home { id, name: group.name.clone(), minor };
        let mut map = Self { home: Some(home), ..Self::default() };
        map.add(group, name, volume, None);
        if let Some((name, source)) = group.source_of(volume) {
            let first = map.mirrors.len();
            map.source = Some(map.add(group, name, source, None));
            map.mirrors.iter_mut().skip(first).for_each(|mirror| mirror.is_source = true);
        }
        Some(map)
    }

    /// The same with logs of small regions, so that there are many.
    #[cfg(test)]
    pub(super) fn with_regions(mut self, region: Sectors, limit: usize) -> Self {
        for mirror in &mut self.mirrors {
            let regions = u32::try_from(mirror.len.div_ceil(region)).expect("a small volume");
            if let Some(log) = &mut mirror.log {
                (log.shape.region, log.shape.regions, log.limit) = (region, regions, limit);
            }
        }
        self
    }

    fn add(
        &mut self,
        group: &Group,
        name: &Name,
        volume: &Volume,
        above: Option<(PlexIndex, SubdiskIndex)>,
    ) -> MirrorIndex {
        let index = MirrorIndex(self.mirrors.len());
        self.mirrors.push(Mirror {
            rid: volume.common.rid,
            name: name.clone(),
            len: volume.len,
            plexes: Vec::new(),
            preferred: None,
            parent: above.map(|(plex, _)| plex),
            subvolume: above.map(|(_, subdisk)| subdisk),
            log: None,
            is_source: false,
        });
        let mut plexes = Vec::new();
        for name in &volume.plexes {
            if let Some(plex) = group.plexes.get(name).filter(|plex| !plex.is_log_only()) {
                plexes.push(self.add_plex(group, name, plex, index));
            }
        }
        let preferred = self.preferred(volume, &plexes);
        let log = self.log(group, volume);
        if let Some(mirror) = self.mirrors.get_mut(index.0) {
            (mirror.plexes, mirror.preferred, mirror.log) = (plexes, preferred, log);
        }
        index
    }

    fn log(&mut self, group: &Group, volume: &Volume) -> Option<MirrorLog> {
        let shape = DrlShape::new(volume.len);
        let limit = match volume.log_type {
            LogType::None => return None,
            LogType::Region => REGIONS_MAX,
            LogType::Sequential => SEQUENTIAL_MAX,
        };
        let mut log = MirrorLog { shape, maps: u16::MAX, limit, copies: Vec::new() };
        for name in &volume.plexes {
            let Some(plex) = group.plexes.get(name).filter(|plex| plex.has_log_in_use()) else {
                continue;
            };
            let log_of = plex.log.as_ref().and_then(|log| group.subdisks.get_key_value(log));
            let Some((subdisk_name, subdisk)) = log_of else { continue };
            let Source::Disk { dm, offset } = &subdisk.source else { continue };
            // Who removes a disk takes the log off, too.
            let Some(disk) = self.disk(group, dm) else { continue };
            self.add_subdisk(subdisk_name, subdisk, Some((disk, *offset)), Some(plex.common.rid));
            let rids = (volume.common.rid, subdisk.common.rid);
            let drl = DrlName::new(&group.id, group.is_shared(), rids.0, rids.1);
            log.maps = log.maps.min(shape.maps(subdisk.len));
            log.copies.push(LogCopy { plex: name.clone(), disk, at: *offset, name: drl });
        }
        (!log.copies.is_empty()).then_some(log)
    }

    fn add_plex(
        &mut self,
        group: &Group,
        name: &Name,
        plex: &Plex,
        mirror: MirrorIndex,
    ) -> PlexIndex {
        let index = PlexIndex(self.plexes.len());
        let columns = vec![Vec::new(); usize::from(plex.layout.columns())];
        let (mode, layout) = (mode(plex), plex.layout);
        let (rid, name) = (plex.common.rid, name.clone());
        let (disks, layers, subdisks) = (Vec::new(), Vec::new(), Vec::new());
        let made = PlexMap { rid, name, mirror, mode, layout, columns, disks, layers, subdisks };
        self.plexes.push(made);
        for piece in &plex.pieces {
            let Some((name, subdisk)) = group.subdisks.get_key_value(&piece.subdisk) else {
                continue;
            };
            let place = match &subdisk.source {
                Source::Disk { dm, offset } => self.disk(group, dm).map(|disk| (disk, *offset)),
                Source::Volume(_) => None,
            };
            let number = self.add_subdisk(name, subdisk, place, None);
            let target = match &subdisk.source {
                Source::Disk { .. } => place.map(|(disk, at)| Target::Disk { disk, at }),
                // The check has seen that a layer has none of its own.
                Source::Volume(layer) => group
                    .volumes
                    .get(layer)
                    .map(|volume| self.add(group, layer, volume, Some((index, number))))
                    .map(|mirror| Target::Layer { mirror, at: 0 }),
            };
            if let (Some(target), Some(plex)) = (target, self.plexes.get_mut(index.0)) {
                plex.add(piece, subdisk.len, target);
                plex.subdisks.extend(place.map(|_| number));
            }
        }
        index
    }

    /// The disk of a member of the group, if it has one.
    fn disk(&mut self, group: &Group, dm: &Name) -> Option<DiskIndex> {
        let (name, member) = group.disks.get_key_value(dm)?;
        let disk = member.disk.as_ref()?;
        let known = self.disks.iter().position(|known| known == disk);
        Some(DiskIndex(known.unwrap_or_else(|| {
            self.disks.push(disk.clone());
            self.members.push(Member { rid: member.common.rid, name: name.clone() });
            self.disks.len() - 1
        })))
    }

    /// The plex that the read policy names: by itself, or as the only striped one.
    fn preferred(&self, volume: &Volume, plexes: &[PlexIndex]) -> Option<PlexIndex> {
        let is_striped =
            |index: &PlexIndex| matches!(self.plex(*index).layout, Layout::Stripe { .. });
        match volume.read_policy {
            ReadPolicy::Prefer => {
                let named = volume.preferred.as_ref();
                plexes.iter().copied().find(|index| Some(&self.plex(*index).name) == named)
            }
            ReadPolicy::Round => None,
            ReadPolicy::Select => {
                let mut striped = plexes.iter().copied().filter(is_striped);
                striped.next().filter(|_| striped.next().is_none())
            }
        }
    }

    /// How long the volume is.
    pub fn len(&self) -> Sectors {
        self.mirrors.first().map_or(0, |mirror| mirror.len)
    }

    /// A volume is never empty; this is what is expected beside `len`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All mirrors, the volume first.
    pub fn mirrors(&self) -> &[Mirror] {
        &self.mirrors
    }

    /// The volume that this one is filled from; its mirrors, plexes and disks are among those of this
    /// mapping.
    pub const fn source(&self) -> Option<MirrorIndex> {
        self.source
    }

    /// The disks of all plexes below a mirror that are in use.
    pub fn disks_below(&self, mirror: MirrorIndex) -> Vec<(PlexIndex, DiskIndex)> {
        let mut below = Vec::new();
        for index in self.mirror(mirror).plexes.iter().copied() {
            let plex = self.plex(index);
            if plex.mode != PlexMode::Off {
                below.extend(plex.disks.iter().map(|disk| (index, *disk)));
                below.extend(plex.layers.iter().flat_map(|layer| self.disks_below(*layer)));
            }
        }
        below
    }

    /// A mirror of this mapping.
    ///
    /// # Panics
    /// If the index is of another one.
    pub fn mirror(&self, index: MirrorIndex) -> &Mirror {
        &self.mirrors[index.0]
    }

    /// A plex of this mapping.
    ///
    /// # Panics
    /// If the index is of another one.
    pub fn plex(&self, index: PlexIndex) -> &PlexMap {
        &self.plexes[index.0]
    }

    /// The disks that it lies on, and its logs.
    pub fn disks(&self) -> &[UniqueId] {
        &self.disks
    }

    /// All plexes, of all layers.
    pub fn plexes(&self) -> impl Iterator<Item = (PlexIndex, &PlexMap)> {
        self.plexes.iter().enumerate().map(|(index, plex)| (PlexIndex(index), plex))
    }

    /// A plex is current, and so is all that it is a part of: what it holds is what may be read.
    pub fn is_current(&self, plex: PlexIndex) -> bool {
        let mut at = Some(plex);
        while let Some(plex) = at {
            let plex = self.plex(plex);
            if plex.mode != PlexMode::ReadWrite {
                return false;
            }
            at = self.mirror(plex.mirror).parent;
        }
        true
    }

    /// Mirrors that writes reach, with more than one copy to be written; those may differ.
    pub fn written_mirrors(&self) -> impl Iterator<Item = (MirrorIndex, &Mirror)> {
        let all =
            self.mirrors.iter().enumerate().map(|(index, mirror)| (MirrorIndex(index), mirror));
        all.filter(|(index, _)| self.is_written_twice(*index))
    }

    fn is_written_twice(&self, index: MirrorIndex) -> bool {
        let is_on = |plex: &PlexIndex| self.plex(*plex).mode != PlexMode::Off;
        let mirror = self.mirror(index);
        if mirror.is_source || mirror.plexes.iter().filter(|plex| is_on(plex)).count() < 2 {
            return false;
        }
        let mut above = mirror.parent;
        while let Some(plex) = above {
            if !is_on(&plex) {
                return false;
            }
            above = self.mirror(self.plex(plex).mirror).parent;
        }
        true
    }

    /// What may differ between copies after the loss of a writer is all in its maps with this number:
    /// they fit into the log of every mirror that is written.
    pub fn is_logged(&self, map: u16) -> bool {
        let has_map = |mirror: &Mirror| mirror.log.as_ref().is_some_and(|log| map < log.maps);
        self.written_mirrors().all(|(_, mirror)| has_map(mirror))
    }

    /// The regions that a range of the volume lies in, of all mirrors that are written and have a log.
    pub fn regions(&self, at: Sectors, len: Sectors) -> Vec<(MirrorIndex, u32)> {
        let mut regions = Vec::new();
        self.add_regions(MirrorIndex::VOLUME, at, len, &mut regions);
        regions
    }

    fn add_regions(
        &self,
        index: MirrorIndex,
        at: Sectors,
        len: Sectors,
        regions: &mut Vec<(MirrorIndex, u32)>,
    ) {
        let mirror = self.mirror(index);
        if let Some(log) = mirror.log.as_ref().filter(|_| self.is_written_twice(index)) {
            regions.extend(log.shape.regions_of(at, len).map(|region| (index, region)));
        }
        let plexes = mirror.plexes.iter().map(|plex| self.plex(*plex));
        for plex in plexes.filter(|plex| plex.mode != PlexMode::Off && !plex.layers.is_empty()) {
            for part in plex.parts(at, len) {
                if let Some(Target::Layer { mirror, at }) = part.target {
                    self.add_regions(mirror, at, part.len, regions);
                }
            }
        }
    }

    /// Copies are kept equal somewhere: the order of writes matters.
    pub fn is_mirrored(&self) -> bool {
        self.mirrors.iter().any(|mirror| !mirror.is_source && mirror.plexes.len() > 1)
    }
}

/// Facts 1.3: what is ENABLED takes part; of that, what is not current is only written.
const fn mode(plex: &Plex) -> PlexMode {
    if plex.is_current() {
        PlexMode::ReadWrite
    } else if plex.is_being_copied() {
        PlexMode::WriteOnly
    } else {
        PlexMode::Off
    }
}

impl PlexMap {
    fn add(&mut self, piece: &Piece, len: Sectors, target: Target) {
        if let Some(column) = self.columns.get_mut(usize::from(piece.column)) {
            column.push(Range { begin: piece.offset, len, target });
        }
        match target {
            Target::Disk { disk, .. } if !self.disks.contains(&disk) => self.disks.push(disk),
            Target::Disk { .. } => {}
            Target::Layer { mirror, .. } => self.layers.push(mirror),
        }
    }

    /// The mirrors of layers that it is made of.
    pub fn layers(&self) -> &[MirrorIndex] {
        &self.layers
    }

    /// The disks that it lies on itself; those of layers are not among them.
    pub fn disks(&self) -> &[DiskIndex] {
        &self.disks
    }

    /// The parts of a range of its mirror, one after the other and without gaps.
    pub const fn parts(&self, at: Sectors, len: Sectors) -> Parts<'_> {
        Parts { plex: self, at, end: at.saturating_add(len) }
    }

    /// It holds all of a range.
    pub fn is_whole(&self, at: Sectors, len: Sectors) -> bool {
        self.parts(at, len).all(|part| part.target.is_some())
    }

    /// The column of a sector, where it lies in it, and how many follow there.
    fn place(&self, at: Sectors) -> (usize, Sectors, Sectors) {
        match self.layout {
            Layout::Concat => (0, at, Sectors::MAX - at),
            Layout::Stripe { columns, width } => {
                let (unit, within) = (at / width, at % width);
                let columns = u64::from(columns);
                let column = usize::try_from(unit % columns).unwrap_or(0);
                (column, unit / columns * width + within, width - within)
            }
        }
    }

    /// What lies at a sector, and for how many of `run` sectors.
    fn find(&self, at: Sectors, run: Sectors) -> (Option<Target>, Sectors) {
        let (column, offset, within) = self.place(at);
        let run = run.min(within);
        let ranges = self.columns.get(column).map_or(&[][..], Vec::as_slice);
        let next = ranges.partition_point(|range| range.begin <= offset);
        let before = next.checked_sub(1).and_then(|index| ranges.get(index));
        if let Some(range) = before.filter(|range| offset - range.begin < range.len) {
            let skipped = offset - range.begin;
            return (Some(range.target.after(skipped)), run.min(range.len - skipped));
        }
        let hole = ranges.get(next).map_or(run, |range| run.min(range.begin - offset));
        (None, hole)
    }
}

/// See [`PlexMap::parts`].
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    plex: &'a PlexMap,
    at: Sectors,
    end: Sectors,
}

impl Iterator for Parts<'_> {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        if self.at >= self.end {
            return None;
        }
        let at = self.at;
        let (target, mut len) = self.plex.find(at, self.end - at);
        self.at += len;
        while self.at < self.end {
            let (next, more) = self.plex.find(self.at, self.end - self.at);
            if next != target.map(|target| target.after(len)) {
                break;
            }
            len += more;
            self.at += more;
        }
        Some(Part { at, len, target })
    }
}

/// Regions of a mirror that may be dirty; the original's `voldrl_volumemax_drtregs`.
const REGIONS_MAX: usize = 256;
/// The same where little is to be copied after a crash; its `voldrl_max_seq_dirty`.
const SEQUENTIAL_MAX: usize = 3;

mod objects;
#[cfg(test)]
mod tests;

//! Where the blocks of a volume lie (facts 2.1): made of a configuration, and right as long as that is in
//! force.
//!
//! ```text
//! volume -> plexes, each a copy -> columns, in turns of the stripe unit -> ranges of disks, or of
//!                                                                          volumes of a layer
//! ```

use std::sync::Arc;

use crate::model::{Group, KernelState, Layout, Name, Plex, PlexState, Sectors, Source, UniqueId};

/// A volume as it is mapped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VolumeMap {
    /// Its length, in sectors.
    pub len: Sectors,
    /// Its copies, in the order of its record; those with nothing but a log are not among them.
    pub plexes: Vec<PlexMap>,
}

/// A copy of a volume.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlexMap {
    /// Its record.
    pub name: Name,
    /// Accessibility.
    pub kernel: KernelState,
    /// What is known of its contents.
    pub state: PlexState,
    layout: Layout,
    /// The ranges of each column, by where they begin in it.
    columns: Vec<Vec<Range>>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Range {
    begin: Sectors,
    len: Sectors,
    target: Target,
}

/// What a range is a range of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// A disk, from a sector of its public region on.
    Disk {
        /// Which.
        disk: UniqueId,
        /// From here on.
        at: Sectors,
    },
    /// A volume of a layer, with copies of its own.
    Layer {
        /// Its mapping.
        volume: Arc<VolumeMap>,
        /// From here on.
        at: Sectors,
    },
}

impl Target {
    fn after(&self, skipped: Sectors) -> Self {
        match self {
            Self::Disk { disk, at } => Self::Disk { disk: disk.clone(), at: at + skipped },
            Self::Layer { volume, at } => {
                Self::Layer { volume: Arc::clone(volume), at: at + skipped }
            }
        }
    }
}

/// A part of a request that lies in one piece.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Part {
    /// Where it begins in the volume.
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
        let volume = group.volumes.get(name)?;
        let plexes = volume.plexes.iter().filter_map(|name| {
            let plex = group.plexes.get(name).filter(|plex| !plex.is_log_only())?;
            Some(PlexMap::new(group, name, plex))
        });
        Some(Self { len: volume.len, plexes: plexes.collect() })
    }
}

impl PlexMap {
    fn new(group: &Group, name: &Name, plex: &Plex) -> Self {
        let mut columns = vec![Vec::new(); usize::from(plex.layout.columns())];
        for piece in &plex.pieces {
            let Some(subdisk) = group.subdisks.get(&piece.subdisk) else { continue };
            let target = match &subdisk.source {
                Source::Disk { dm, offset } => {
                    let disk = group.disks.get(dm).and_then(|dm| dm.disk.clone());
                    disk.map(|disk| Target::Disk { disk, at: *offset })
                }
                // The check has seen that a layer has none of its own.
                Source::Volume(layer) => VolumeMap::new(group, layer.as_str())
                    .map(|map| Target::Layer { volume: Arc::new(map), at: 0 }),
            };
            if let (Some(target), Some(column)) =
                (target, columns.get_mut(usize::from(piece.column)))
            {
                column.push(Range { begin: piece.offset, len: subdisk.len, target });
            }
        }
        let (kernel, state, layout) = (plex.kernel, plex.state, plex.layout);
        Self { name: name.clone(), kernel, state, layout, columns }
    }

    /// The parts of a range of the volume, one after the other and without gaps.
    pub fn parts(&self, at: Sectors, len: Sectors) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        let (mut at, end) = (at, at.saturating_add(len));
        while at < end {
            let (column, offset, run) = self.place(at);
            let (target, run) = self.find(column, offset, run.min(end - at));
            match parts.last_mut() {
                Some(last) if goes_on(last, target.as_ref()) => last.len += run,
                _ => parts.push(Part { at, len: run, target }),
            }
            at += run;
        }
        parts
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

    /// What lies at an offset of a column, and for how many of `run` sectors.
    fn find(&self, column: usize, offset: Sectors, run: Sectors) -> (Option<Target>, Sectors) {
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

/// What follows a part lies right behind it.
fn goes_on(part: &Part, target: Option<&Target>) -> bool {
    match (&part.target, target) {
        (Some(Target::Disk { disk, at }), Some(Target::Disk { disk: next, at: then })) => {
            disk == next && at + part.len == *then
        }
        (Some(Target::Layer { volume, at }), Some(Target::Layer { volume: next, at: then })) => {
            Arc::ptr_eq(volume, next) && at + part.len == *then
        }
        (None, None) => true,
        (Some(_) | None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::model::apply::{Env, apply};
    use crate::model::op::{Make, NewLength, Op, Storage, VolumeLayout};
    use crate::model::sample::{self, name};

    /// Where a sector lies, by the definition: one at a time.
    fn sector(group: &Group, plex: &Plex, at: Sectors) -> Option<(UniqueId, Sectors)> {
        let (column, offset) = match plex.layout {
            Layout::Concat => (0, at),
            Layout::Stripe { columns, width } => {
                let columns = u64::from(columns);
                let row = at / (width * columns);
                let column = at / width % columns;
                (u16::try_from(column).unwrap(), row * width + at % width)
            }
        };
        let piece = plex.pieces.iter().find(|piece| {
            let len = group.subdisks[&piece.subdisk].len;
            piece.column == column && (piece.offset..piece.offset + len).contains(&offset)
        })?;
        match &group.subdisks[&piece.subdisk].source {
            Source::Disk { dm, offset: begin } => {
                Some((group.disks[dm].disk.clone()?, begin + offset - piece.offset))
            }
            Source::Volume(layer) => {
                // The first copy stands for all of them.
                let inner = &group.plexes[&group.volumes[layer].plexes[0]];
                sector(group, inner, offset - piece.offset)
            }
        }
    }

    /// The same of a part, at a distance from its beginning.
    fn within(target: &Target, distance: Sectors) -> Option<(UniqueId, Sectors)> {
        match target {
            Target::Disk { disk, at } => Some((disk.clone(), at + distance)),
            Target::Layer { volume, at } => {
                let part = volume.plexes[0].parts(at + distance, 1).remove(0);
                within(part.target.as_ref()?, 0)
            }
        }
    }

    fn eight_disks() -> Group {
        let mut group = sample::group();
        for number in 4..=8 {
            let disk = sample::disk(&mut group, number);
            group.disks.insert(name(&format!("mydg0{number}")), disk);
        }
        group
    }

    fn layouts() -> impl Strategy<Value = VolumeLayout> {
        prop::sample::select(sample::LAYOUTS.to_vec())
    }

    /// A volume of some layout that has grown once, so that its plexes have several pieces.
    fn made(layout: VolumeLayout, len: Sectors, more: Sectors) -> Group {
        let env = Env { nodes: 3, ..Env::default() };
        let make = Make { columns: Some(2), ..Make::new(name("new"), Some(len), layout) };
        let striped = matches!(
            layout,
            VolumeLayout::MirrorStripe | VolumeLayout::Stripe | VolumeLayout::StripeMirror
        );
        let make = if striped { make } else { Make { columns: None, ..make } };
        let group = apply(&eight_disks(), &Op::Make(Box::new(make)), &env).unwrap();
        let (volume, to) = (name("new"), NewLength::GrowBy(more));
        let grow = Op::Resize { volume, to, storage: Vec::<Storage>::new(), force: false };
        apply(&group, &grow, &env).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(120))]

        #[test]
        fn parts_are_where_the_definition_puts_each_sector(
            layout in layouts(),
            len in 1_u64..40,
            more in 1_u64..40,
            from in 0_u64..4000,
            count in 1_u64..3000,
        ) {
            let group = made(layout, len * 128, more * 128);
            let map = VolumeMap::new(&group, "new").unwrap();
            let volume = &group.volumes["new"];
            let from = from % map.len;
            let count = count.min(map.len - from);
            for (plex, name) in map.plexes.iter().zip(&volume.plexes) {
                let parts = plex.parts(from, count);
                let mut at = from;
                for part in &parts {
                    prop_assert_eq!(part.at, at);
                    let target = part.target.as_ref().expect("it has no holes");
                    for distance in [0, part.len / 2, part.len - 1] {
                        let expected = sector(&group, &group.plexes[name], part.at + distance);
                        prop_assert_eq!(within(target, distance), expected);
                    }
                    at += part.len;
                }
                prop_assert_eq!(at, from + count);
            }
        }

        #[test]
        fn no_two_sectors_lie_in_one_place(layout in layouts(), len in 1_u64..6, more in 1_u64..6) {
            let group = made(layout, len * 128, more * 128);
            let mut seen = BTreeSet::new();
            for name in ["new", "vol1"] {
                places(&VolumeMap::new(&group, name).unwrap(), 0, None, &mut seen);
            }
        }
    }

    /// All places of a range of a volume, in all its copies.
    fn places(
        map: &VolumeMap,
        at: Sectors,
        len: Option<Sectors>,
        seen: &mut BTreeSet<(UniqueId, Sectors)>,
    ) {
        for part in map.plexes.iter().flat_map(|plex| plex.parts(at, len.unwrap_or(map.len))) {
            match part.target.expect("it has no holes") {
                Target::Disk { disk, at } => {
                    for sector in at..at + part.len {
                        assert!(seen.insert((disk.clone(), sector)), "{disk} {sector} twice");
                    }
                }
                Target::Layer { volume, at } => places(&volume, at, Some(part.len), seen),
            }
        }
    }

    #[test]
    fn what_lies_together_is_one_part_and_holes_are_shown() {
        let mut group = sample::group();
        let plex = |group: &Group, name: &str| {
            let map = VolumeMap::new(group, "vol1").unwrap();
            map.plexes.into_iter().find(|plex| plex.name.as_str() == name).unwrap()
        };
        assert_eq!(plex(&group, "vol1-01").parts(0, 8192).len(), 1);
        // Two columns, 128 sectors each in turn.
        let parts = plex(&group, "vol1-02").parts(100, 200);
        let lens: Vec<(Sectors, Sectors)> = parts.iter().map(|part| (part.at, part.len)).collect();
        assert_eq!(lens, [(100, 28), (128, 128), (256, 44)]);
        // A disk that was taken out, and one that ends too early.
        group.disks.get_mut("mydg03").unwrap().disk = None;
        group.subdisks.get_mut("mydg01-01").unwrap().len = 8000;
        let hole = Part { at: 8000, len: 192, target: None };
        assert_eq!(plex(&group, "vol1-01").parts(7000, 1192)[1], hole);
        let parts = plex(&group, "vol1-02").parts(0, 512);
        let there: Vec<bool> = parts.iter().map(|part| part.target.is_some()).collect();
        assert_eq!(there, [true, false, true, false]);
        assert!(plex(&group, "vol1-01").parts(10, 0).is_empty());
    }
}

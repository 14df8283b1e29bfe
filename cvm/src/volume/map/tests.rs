//! Mappings against their definition, one sector at a time.

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
fn within(map: &VolumeMap, target: Target, distance: Sectors) -> Option<(UniqueId, Sectors)> {
    match target {
        Target::Disk { disk, at } => Some((map.disks()[disk.0].clone(), at + distance)),
        Target::Layer { mirror, at } => {
            let plex = map.plex(map.mirror(mirror).plexes[0]);
            within(map, plex.parts(at + distance, 1).next()?.target?, 0)
        }
    }
}

fn copies(map: &VolumeMap) -> Vec<&PlexMap> {
    map.mirror(MirrorIndex::VOLUME).plexes.iter().map(|index| map.plex(*index)).collect()
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
        let from = from % map.len();
        let count = count.min(map.len() - from);
        for (plex, name) in copies(&map).into_iter().zip(&volume.plexes) {
            let mut at = from;
            for part in plex.parts(from, count) {
                prop_assert_eq!(part.at, at);
                let target = part.target.expect("it has no holes");
                for distance in [0, part.len / 2, part.len - 1] {
                    let expected = sector(&group, &group.plexes[name], part.at + distance);
                    prop_assert_eq!(within(&map, target, distance), expected);
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
            let map = VolumeMap::new(&group, name).unwrap();
            places(&map, MirrorIndex::VOLUME, 0, map.len(), &mut seen);
        }
    }
}

/// All places of a range of a mirror, in all its copies.
fn places(
    map: &VolumeMap,
    mirror: MirrorIndex,
    at: Sectors,
    len: Sectors,
    seen: &mut BTreeSet<(UniqueId, Sectors)>,
) {
    for index in &map.mirror(mirror).plexes {
        for part in map.plex(*index).parts(at, len) {
            match part.target.expect("it has no holes") {
                Target::Disk { disk, at } => {
                    let disk = &map.disks()[disk.0];
                    for sector in at..at + part.len {
                        assert!(seen.insert((disk.clone(), sector)), "{disk} {sector} twice");
                    }
                }
                Target::Layer { mirror, at } => places(map, mirror, at, part.len, seen),
            }
        }
    }
}

#[test]
fn what_lies_together_is_one_part_and_holes_are_shown() {
    let mut group = sample::group();
    let parts = |group: &Group, name: &str, at, len| {
        let map = VolumeMap::new(group, "vol1").unwrap();
        let (_, plex) = map.plexes().find(|(_, plex)| plex.name.as_str() == name).unwrap();
        plex.parts(at, len).collect::<Vec<Part>>()
    };
    assert_eq!(parts(&group, "vol1-01", 0, 8192).len(), 1);
    // Two columns, 128 sectors each in turn.
    let striped = parts(&group, "vol1-02", 100, 200);
    let lens: Vec<(Sectors, Sectors)> = striped.iter().map(|part| (part.at, part.len)).collect();
    assert_eq!(lens, [(100, 28), (128, 128), (256, 44)]);
    // A disk that was taken out, and one that ends too early.
    group.disks.get_mut("mydg03").unwrap().disk = None;
    group.subdisks.get_mut("mydg01-01").unwrap().len = 8000;
    let hole = Part { at: 8000, len: 192, target: None };
    assert_eq!(parts(&group, "vol1-01", 7000, 1192)[1], hole);
    let striped = parts(&group, "vol1-02", 0, 512);
    let there: Vec<bool> = striped.iter().map(|part| part.target.is_some()).collect();
    assert_eq!(there, [true, false, true, false]);
    assert!(parts(&group, "vol1-01", 10, 0).is_empty());
}

//! Whatever is written is read back.

use std::collections::BTreeSet;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use llt::{Id, Incarnation, NodeId};

use super::samples::{disk_id, group_of, group_with};
use crate::disk::*;
use crate::model::sample::{self, name};
use crate::model::*;

const COUNTER: std::ops::RangeInclusive<u64> = 0..=1 << 62;

fn names() -> impl Strategy<Value = Name> {
    "[a-zA-Z0-9_+][a-zA-Z0-9_.+-]{0,30}".prop_map(|text| name(&text))
}

fn ids() -> impl Strategy<Value = UniqueId> {
    (any::<u64>(), any::<u32>(), "[a-zA-Z0-9_-]{1,31}")
        .prop_map(|(time, number, host)| UniqueId::new(time, number, &host))
}

fn stamps() -> impl Strategy<Value = Stamp> {
    (COUNTER, COUNTER).prop_map(|(epoch, tid)| Stamp { epoch: Epoch(epoch), tid: Tid(tid) })
}

fn writers() -> impl Strategy<Value = Id> {
    (0_u8..128, any::<u64>()).prop_map(|(node, incarnation)| Id {
        node: NodeId::new(node).unwrap(),
        incarnation: Incarnation(incarnation),
    })
}

fn owners() -> impl Strategy<Value = Owner> {
    prop_oneof![
        Just(Owner::Nobody),
        names().prop_map(Owner::Host),
        names().prop_map(Owner::Cluster),
    ]
}

fn slots() -> impl Strategy<Value = Slot> {
    (0_u8..3).prop_map(|number| Slot::new(number).unwrap())
}

fn claims() -> impl Strategy<Value = Claim> {
    let member = (ids(), names(), names(), owners(), any::<bool>(), COUNTER).prop_map(
        |(group, group_name, dm, owner, autoimport, serial)| Member {
            group,
            group_name,
            dm,
            owner,
            autoimport,
            serial: Serial(serial),
        },
    );
    let stamps = (stamps(), stamps());
    (slots(), ids(), option::of(member), stamps, writers(), COUNTER, COUNTER, COUNTER).prop_map(
        |(slot, disk, member, (stamp, floor), writer, tenure, updated, seqno)| Claim {
            slot,
            disk,
            member,
            tenure,
            stamp,
            floor,
            writer,
            updated,
            seqno,
        },
    )
}

fn labels() -> impl Strategy<Value = Label> {
    let lens = (any::<u64>(), PRIVATE_LEN_MIN..=PRIVATE_LEN_MAX);
    (ids(), COUNTER, any::<u32>(), lens).prop_filter_map(
        "a disk that is long enough",
        |(disk, created, sector_size, (disk_len, private_len))| {
            let geometry = Geometry::new(disk_len, private_len).ok()?;
            Some(Label { disk, created, sector_size, geometry })
        },
    )
}

/// A change of the sample group that leaves it whole.
#[derive(Clone, Debug)]
enum Spoil {
    Comment(String),
    Disk(u32),
    Flags(bool, bool, bool),
    Group(Name, UniqueId, Owner),
    Policy(Copies, Copies),
    Serials(u64),
    State(usize, usize),
    Volumes(usize),
}

impl Spoil {
    fn apply(self, group: &mut Group) {
        match self {
            Self::Comment(comment) => {
                group.disks.values_mut().for_each(|dm| dm.common.comment = comment.clone());
            }
            Self::Disk(number) => {
                let disk = sample::disk(group, number);
                group.disks.insert(name(&format!("other{number}")), disk);
            }
            Self::Flags(spare, removed, exclusive) => {
                let dm = group.disks.get_mut("mydg03").expect("it is always there");
                (dm.spare, dm.removed) = (spare, removed);
                group.volumes.values_mut().for_each(|volume| volume.exclusive = exclusive);
            }
            Self::Group(name, id, owner) => {
                (group.name, group.id, group.owner) = (name, id, owner);
            }
            Self::Policy(nconfig, nlog) => (group.nconfig, group.nlog) = (nconfig, nlog),
            Self::Serials(serial) => {
                group.serial = Serial(serial);
                group.disks.values_mut().for_each(|dm| dm.serial = Serial(serial));
            }
            Self::State(state, kernel) => {
                let state = VolumeState::ALL[state % VolumeState::ALL.len()];
                let kernel = KernelState::ALL[kernel % KernelState::ALL.len()];
                for volume in group.volumes.values_mut() {
                    (volume.state, volume.kernel) = (state, kernel);
                }
            }
            Self::Volumes(count) => {
                for (name, volume) in &group_with(count).volumes {
                    let (common, minor) = (group.common(), group.free_minor());
                    if !group.volumes.contains_key(name) {
                        let volume = Volume { common, minor, ..volume.clone() };
                        group.volumes.insert(name.clone(), volume);
                    }
                }
            }
        }
    }
}

fn groups() -> impl Strategy<Value = Group> {
    let copies = || {
        prop_oneof![Just(Copies::All), Just(Copies::Default), (1_u16..9).prop_map(Copies::Count)]
    };
    let spoil = prop_oneof![
        "[^\\p{C}]{0,10}".prop_map(Spoil::Comment),
        (4_u32..99).prop_map(Spoil::Disk),
        any::<(bool, bool, bool)>().prop_map(|(a, b, c)| Spoil::Flags(a, b, c)),
        (names(), ids(), owners()).prop_map(|(name, id, owner)| Spoil::Group(name, id, owner)),
        (copies(), copies()).prop_map(|(nconfig, nlog)| Spoil::Policy(nconfig, nlog)),
        any::<u64>().prop_map(Spoil::Serials),
        any::<(usize, usize)>().prop_map(|(state, kernel)| Spoil::State(state, kernel)),
        (0_usize..200).prop_map(Spoil::Volumes),
    ];
    vec(spoil, 0..8).prop_map(|spoils| {
        let mut group = sample::group();
        spoils.into_iter().for_each(|spoil| spoil.apply(&mut group));
        group
    })
}

fn lists() -> impl Strategy<Value = CopyList> {
    let state = || option::of(prop_oneof![Just(CopyState::Active), Just(CopyState::Failed)]);
    let copies = (state(), state()).prop_map(|(config, log)| DiskCopies { config, log });
    (ids(), btree_map(ids(), copies, 0..9)).prop_map(|(id, mut list)| {
        list.insert(id, DiskCopies { config: Some(CopyState::Active), log: None });
        list.into_iter().collect()
    })
}

fn images() -> impl Strategy<Value = Image> {
    let outcome = (writers(), any::<u64>(), any::<bool>(), any::<u64>()).prop_map(
        |(origin, number, committed, tid)| Outcome {
            request: RequestId { origin, number },
            decision: if committed { Decision::Committed } else { Decision::Abandoned },
            tid: Tid(tid),
        },
    );
    let unusable = btree_set((2_u32..99).prop_map(disk_id), 0..20);
    let what = (vec(outcome, 0..70), any::<bool>(), unusable, vec(lists(), 0..=EARLIER_MAX));
    (slots(), stamps(), writers(), what, groups()).prop_map(
        |(slot, stamp, writer, (outcomes, claiming, unusable, earlier), group)| {
            let all = CopyList::default().assign(&group, &BTreeSet::new());
            Image {
                slot,
                stamp,
                writer,
                claiming,
                outcomes: outcomes.into_iter().collect(),
                copies: all.assign(&group, &unusable),
                earlier,
                group: group.into(),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn labels_are_read_back(label in labels()) {
        let blocks = label.encode().unwrap();
        for (copy, block) in (0..).zip(&blocks) {
            prop_assert_eq!(Label::decode(copy, block), Ok(label.clone()));
        }
        let found = Label::find([Some(&blocks[0]), Some(&blocks[1])]);
        prop_assert_eq!(found, Ok(FoundLabel { label, wrong: [false, false] }));
    }

    #[test]
    fn claims_are_read_back(claim in claims()) {
        for (copy, block) in (0..).zip(claim.encode().unwrap()) {
            prop_assert_eq!(Claim::decode(claim.slot, copy, &block), Ok(claim.clone()));
        }
    }


    #[test]
    fn images_are_read_back(image in images()) {
        let bytes = image.encode(100).unwrap();
        prop_assert_eq!(bytes.len() % BLOCK, 0);
        prop_assert_eq!(&image.clone().encode(100).unwrap(), &bytes);
        let head = Head::decode(image.slot, &bytes[..BLOCK]).unwrap();
        prop_assert_eq!(head.byte_len(), bytes.len());
        prop_assert_eq!((head.stamp, &head.group), (image.stamp, &image.group.id));
        prop_assert_eq!(Image::decode(image.slot, &bytes), Ok(image));
    }
}

/// The most records that there can be, with names as long as they come.
#[test]
fn a_configuration_that_does_not_fit_is_refused() {
    let image = super::samples::image_of(group_with(2000));
    let Err(ImageError::NoSpace { blocks, room: 40 }) = image.encode(40) else { panic!("it fits") };
    assert_eq!(image.encode(blocks - 1).unwrap_err().to_string(), {
        "No more space in disk group configuration"
    });
    assert_eq!(image.encode(blocks).unwrap().len(), blocks as usize * BLOCK);
}

#[test]
fn what_nobody_could_read_is_not_written() {
    let good = super::samples::image();
    let mut image = good.clone();
    group_of(&mut image).nconfig = Copies::Count(0);
    assert!(matches!(image.encode(9), Err(ImageError::Text(_))));
    let mut image = good.clone();
    group_of(&mut image).subdisks.clear();
    assert!(matches!(image.encode(9), Err(ImageError::Broken(_))));
    let mut image = good.clone();
    image.stamp.epoch = Epoch(u64::MAX);
    assert!(matches!(image.encode(9), Err(ImageError::Field(_))));
    let image = Image { copies: CopyList::default(), ..good.clone() };
    assert!(matches!(image.encode(9), Err(ImageError::Field(_))));
    let image = Image { earlier: vec![CopyList::default()], ..good.clone() };
    assert!(matches!(image.encode(9), Err(ImageError::Field(_))));
    let image = Image { earlier: vec![good.copies.clone(); EARLIER_MAX + 1], ..good };
    assert!(matches!(image.encode(9), Err(ImageError::Field(_))));
    let mut claim = super::samples::claim(1);
    claim.seqno = u64::MAX;
    assert!(claim.encode().is_err());
}

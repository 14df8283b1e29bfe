//! `vxedit set`, `vxedit rename`, `vxdg set`, `vxdg reminor`

use super::*;
use crate::model::group::Copies;
use crate::model::op::{Attribute, GroupAttribute};
use crate::model::states::{DetachPolicy, FailPolicy};

fn set(names: &[&str], set: &[Attribute]) -> Op {
    Op::Edit { names: names.iter().map(|n| name(n)).collect(), set: set.to_vec() }
}

#[test]
fn attributes_belong_to_kinds_of_records() {
    let group = sample::group();
    let owner = Attribute::User("oracle".to_owned());
    let edited = done(&group, &set(&["vol1"], &[owner.clone(), Attribute::Mode(0o640)]));
    let permissions = &edited.volumes["vol1"].permissions;
    assert_eq!((permissions.user.as_str(), permissions.mode), ("oracle", 0o640));
    let edited = done(&group, &set(&["mydg01", "mydg02"], &[Attribute::NoHotUse(true)]));
    assert!(edited.disks["mydg02"].nohotuse && !edited.disks["mydg03"].nohotuse);
    let lock = Attribute::Putil(1, "mine".to_owned());
    let edited = done(&group, &set(&["vol1-01", "mydg01-01"], &[lock]));
    assert_eq!(edited.common_of("mydg01-01").unwrap().putil[1], "mine");
    let edited = done(&group, &set(&["mydg"], &[Attribute::Nconfig(Copies::All)]));
    assert_eq!((edited.nconfig, edited.nlog), (Copies::All, Copies::Default));

    let cases = [
        (set(&["mydg01"], std::slice::from_ref(&owner)), "mydg01 is a disk, not a volume"),
        (set(&["vol1"], &[Attribute::Spare(true)]), "vol1 is a volume, not a disk"),
        (set(&["mydg"], &[owner]), "mydg is a disk group, not a volume"),
        (set(&["vol1"], &[Attribute::Nlog(Copies::All)]), "vol1 is a volume, not a disk group"),
        (
            set(&["mydg"], &[Attribute::Nlog(Copies::Count(0))]),
            "a group has at least one copy: all, default or 1..",
        ),
        (set(&["vol9"], &[]), "record vol9 does not exist"),
        (set(&["vol1"], &[Attribute::Mode(0o1777)]), "mode 1777 is not one of 0 to 777"),
        (
            set(&["vol1"], &[Attribute::Tutil(3, String::new())]),
            "there are utility fields 0, 1 and 2, not 3",
        ),
        (
            set(&["vol1"], &[Attribute::Comment("\n".to_owned())]),
            "volume vol1: a text has a control character",
        ),
    ];
    for (op, expected) in cases {
        assert_eq!(refused(&group, &op), expected);
    }
}

#[test]
fn a_renamed_record_stays_where_it_is_used() {
    let group = sample::group();
    let rename = |from: &str, to: &str| Op::Rename { from: name(from), to: name(to) };
    let mut renamed = group.clone();
    for (from, to) in [("mydg01", "a"), ("mydg01-01", "b"), ("vol1-01", "c"), ("vol1", "d")] {
        renamed = done(&renamed, &rename(from, to));
    }
    assert_eq!(
        show(&renamed)[..3],
        ["v d ENABLED ACTIVE 8192", "pl c ENABLED ACTIVE 8192 CONCAT", "sd b a 0 8192 0/0"]
    );
    for (to, from) in [("mydg01", "a"), ("mydg01-01", "b"), ("vol1-01", "c"), ("vol1", "d")] {
        renamed = done(&renamed, &rename(from, to));
    }
    assert_eq!(renamed, group);

    let layered = with(&group_of(&[10_000; 2]), plain("vol1", 16, VolumeLayout::ConcatMirror));
    let layered = done(&layered, &rename("vol1-L01", "layer"));
    assert_eq!(show(&layered)[2], "sv vol1-S01 layer 16 0/0");

    let error = apply(&group, &rename("vol1", "mydg01"), &ENV).unwrap_err();
    assert_eq!(error.to_string(), "Record mydg01 already exists in disk group");
    assert_eq!(error.id(), Some("V-5-1-2866"));
    let error = apply(&group, &rename("vol9", "vol8"), &ENV).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.exit()), ("record vol9 does not exist", 11));
}

#[test]
fn reminor_numbers_volumes_in_their_order() {
    let mut group = group_of(&[10_000; 2]);
    for volume in ["vol2", "vol1", "vol3"] {
        group = with(&group, plain(volume, 16, VolumeLayout::Concat));
    }
    let minors = |group: &Group| -> Vec<u32> { group.volumes.values().map(|v| v.minor).collect() };
    assert_eq!(minors(&group), [1, 0, 2]);
    let group = done(&group, &Op::Reminor { base: 15_000 });
    assert_eq!((minors(&group), group.minors), (vec![15_001, 15_000, 15_002], 15_000));
    let env = Env { minors_taken: &[46_001..46_002, 50_000..50_001], ..ENV };
    let reminor = |group: &Group, base| apply(group, &Op::Reminor { base }, &env).unwrap_err();
    assert_eq!(reminor(&group_of(&[16]), 50_000), Refused::Minor(50_000));
    let error = reminor(&group, 46_000);
    assert_eq!(error.to_string(), "Cannot assign minor 46001");
    assert_eq!(error.id(), Some("V-5-1-3031"));
    assert_eq!(refused(&group, &Op::Reminor { base: u32::MAX }), "Cannot assign minor 4294967295");
}

#[test]
fn policies_of_the_group_are_set() {
    let group = done(
        &sample::group(),
        &Op::Set(vec![
            GroupAttribute::Cds(false),
            GroupAttribute::DetachPolicy(DetachPolicy::Local),
            GroupAttribute::FailPolicy(FailPolicy::Leave),
            GroupAttribute::Ssb(false),
            GroupAttribute::Nlog(Copies::Count(2)),
        ]),
    );
    assert!(!group.cds && !group.ssb && group.nlog == Copies::Count(2));
    assert_eq!((group.detach_policy, group.fail_policy), (DetachPolicy::Local, FailPolicy::Leave));
}

//! `vxassist growby`, `growto`, `shrinkby`, `shrinkto`, `maxgrow`

use super::*;
use crate::model::op::NewLength;

fn resize(to: NewLength) -> Op {
    Op::Resize { volume: name("vol1"), to, storage: Vec::new(), force: true }
}

#[test]
fn the_last_subdisk_grows_if_there_is_room_behind_it() {
    let group = with(&group_of(&[10_000; 2]), plain("vol1", 2048, VolumeLayout::Mirror));
    let grown = done(&group, &resize(NewLength::GrowBy(1000)));
    shows(
        &grown,
        "
        v vol1 ENABLED ACTIVE 3056
        pl vol1-01 ENABLED ACTIVE 3056 CONCAT
        sd mydg01-01 mydg01 0 3056 0/0
        pl vol1-02 ENABLED ACTIVE 3056 CONCAT
        sd mydg02-01 mydg02 0 3056 0/0",
    );
    let back = done(&grown, &resize(NewLength::ShrinkBy(1008)));
    assert_eq!(back, group);
}

#[test]
fn a_mirror_grows_onto_disks_that_no_other_mirror_has() {
    let group =
        with(&group_of(&[2048, 2048, 4096, 4096]), plain("vol1", 2048, VolumeLayout::Mirror));
    let grown = done(&group, &resize(NewLength::GrowTo(6000)));
    shows(
        &grown,
        "
        v vol1 ENABLED ACTIVE 6000
        pl vol1-01 ENABLED ACTIVE 6000 CONCAT
        sd mydg01-01 mydg01 0 2048 0/0
        sd mydg03-01 mydg03 0 3952 0/2048
        pl vol1-02 ENABLED ACTIVE 6000 CONCAT
        sd mydg02-01 mydg02 0 2048 0/0
        sd mydg04-01 mydg04 0 3952 0/2048",
    );
    assert_eq!(maxgrow(&group, &name("vol1"), &[]), Ok(6144));
    assert_eq!(maxgrow(&group, &name("vol1"), &storage("mydg03")), Ok(2048));
    assert_eq!(
        refused(&group, &resize(NewLength::GrowTo(6145))),
        "Cannot allocate space to grow volume to 6145 blocks"
    );
    assert_eq!(done(&grown, &resize(NewLength::ShrinkTo(2048))).subdisks, group.subdisks);
}

#[test]
fn all_columns_of_a_stripe_grow() {
    let make = Make { columns: Some(2), ..plain("vol1", 512, VolumeLayout::Stripe) };
    let group = with(&group_of(&[10_000; 2]), make);
    let grown = done(&group, &resize(NewLength::GrowBy(1)));
    shows(
        &grown,
        "
        v vol1 ENABLED ACTIVE 768
        pl vol1-01 ENABLED ACTIVE 768 STRIPE 2/128
        sd mydg01-01 mydg01 0 384 0/0
        sd mydg02-01 mydg02 0 384 1/0",
    );
    assert_eq!(maxgrow(&group, &name("vol1"), &[]), Ok(2 * 9984));
}

#[test]
fn a_layered_volume_grows_in_its_last_layers() {
    let make = Make { columns: Some(2), ..plain("vol1", 512, VolumeLayout::StripeMirror) };
    let group = with(&group_of(&[10_000; 4]), make);
    let grown = done(&group, &resize(NewLength::GrowTo(1024)));
    shows(
        &grown,
        "
        v vol1 ENABLED ACTIVE 1024
        pl vol1-01 ENABLED ACTIVE 1024 STRIPE 2/128
        sv vol1-S01 vol1-L01 512 0/0
          v vol1-L01 ENABLED ACTIVE 512
          pl vol1-P01 ENABLED ACTIVE 512 CONCAT
          sd mydg01-01 mydg01 0 512 0/0
          pl vol1-P02 ENABLED ACTIVE 512 CONCAT
          sd mydg03-01 mydg03 0 512 0/0
        sv vol1-S02 vol1-L02 512 1/0
          v vol1-L02 ENABLED ACTIVE 512
          pl vol1-P03 ENABLED ACTIVE 512 CONCAT
          sd mydg02-01 mydg02 0 512 0/0
          pl vol1-P04 ENABLED ACTIVE 512 CONCAT
          sd mydg04-01 mydg04 0 512 0/0",
    );
    assert_eq!(done(&grown, &resize(NewLength::ShrinkTo(512))), group);
}

#[test]
fn a_column_does_not_grow_onto_a_disk_of_another_column() {
    let old = |volume, len, words| Make {
        storage: storage(words),
        ..plain(volume, len, VolumeLayout::Concat)
    };
    let group = group_of(&[4096, 4096, 4096, 4096, 4096, 1024, 1024]);
    let group = with(&group, old("old1", 2048, "mydg01"));
    let group = with(&group, old("old2", 1024, "mydg02"));
    let make = Make { columns: Some(2), ..plain("vol1", 8192, VolumeLayout::StripeMirror) };
    let mut group = with(&group, make);
    // The second column's second mirror lies on two disks, each with room that is given back here.
    let tail: Vec<String> = show(&group).into_iter().rev().take(1).collect();
    assert_eq!(tail, ["  sd mydg01-02 mydg01 2048 1024 0/0"]);
    for volume in ["old1", "old2"] {
        group = done(&group, &Op::RemoveVolume { volume: name(volume), force: true });
    }
    // Three of the four mirrors of columns need another disk, and two disks are left.
    assert_eq!(
        refused(&group, &resize(NewLength::GrowBy(256))),
        "Cannot allocate space to grow volume to 8448 blocks"
    );
}

#[test]
fn shrinking_removes_whole_layers() {
    let group = group_of(&[4096, 8192, 4096]);
    let group = with(&group, plain("vol1", 8192, VolumeLayout::ConcatMirror));
    assert_eq!(group.volumes.len(), 3);
    let shrunk = done(&group, &resize(NewLength::ShrinkTo(4000)));
    shows(
        &shrunk,
        "
        v vol1 ENABLED ACTIVE 4000
        pl vol1-01 ENABLED ACTIVE 4000 CONCAT
        sv vol1-S01 vol1-L01 4000 0/0
          v vol1-L01 ENABLED ACTIVE 4000
          pl vol1-P01 ENABLED ACTIVE 4000 CONCAT
          sd mydg02-01 mydg02 0 4000 0/0
          pl vol1-P02 ENABLED ACTIVE 4000 CONCAT
          sd mydg01-01 mydg01 0 4000 0/0",
    );
}

#[test]
fn plexes_of_different_layouts_grow_together() {
    let grown = done(&sample::group(), &resize(NewLength::GrowTo(10_000)));
    shows(
        &grown,
        "
        v vol1 ENABLED ACTIVE 10240
        pl vol1-01 ENABLED ACTIVE 10240 CONCAT
        sd mydg01-01 mydg01 0 10240 0/0
        pl vol1-02 ENABLED ACTIVE 10240 STRIPE 2/128
        sd mydg02-01 mydg02 0 5120 0/0
        sd mydg03-01 mydg03 0 5120 1/0",
    );
}

#[test]
fn lengths_in_the_wrong_direction_are_refused() {
    let group = with(&group_of(&[10_000; 2]), plain("vol1", 2048, VolumeLayout::Concat));
    let cases = [
        (NewLength::GrowTo(2047), "Volume vol1 is longer than that: 2048 sectors"),
        (NewLength::ShrinkTo(2049), "Volume vol1 is shorter than that: 2048 sectors"),
        (NewLength::ShrinkTo(0), "Volume vol1 would be left with nothing of its 2048 sectors"),
        (NewLength::ShrinkBy(2048), "Volume vol1 would be left with nothing of its 2048 sectors"),
        (
            NewLength::GrowBy(u64::MAX),
            "Cannot allocate space to grow volume to 18446744073709551615 blocks",
        ),
    ];
    for (to, expected) in cases {
        assert_eq!(refused(&group, &resize(to)), expected);
    }
    assert_eq!(done(&group, &resize(NewLength::GrowTo(2048))), group);
    let unforced = |to| Op::Resize { volume: name("vol1"), to, storage: Vec::new(), force: false };
    assert_eq!(
        refused(&group, &unforced(NewLength::ShrinkTo(1024))),
        "Shrinking volume vol1 of usage type fsgen can result in loss of data: use -f"
    );
    let make = Make { init: Init::None, ..plain("vol1", 2048, VolumeLayout::Concat) };
    let empty = with(&group_of(&[10_000; 2]), make);
    assert_eq!(done(&empty, &unforced(NewLength::ShrinkTo(1024))).volumes["vol1"].len, 1024);
    let layered = with(&group_of(&[10_000; 2]), plain("vol1", 2048, VolumeLayout::ConcatMirror));
    let layer = Op::Resize {
        volume: name("vol1-L01"),
        to: NewLength::GrowBy(1),
        storage: Vec::new(),
        force: false,
    };
    assert_eq!(
        refused(&layered, &layer),
        "Volume vol1-L01 is a layer of another volume, and is changed with that one"
    );
}

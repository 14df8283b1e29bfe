//! `vxassist move`

use super::*;

fn move_op(words: &str) -> Op {
    Op::Move { volume: name("vol1"), storage: storage(words) }
}

#[test]
fn a_mirror_that_is_moved_is_copied_anew() {
    let group = with(&group_of(&[10_000; 3]), plain("vol1", 2048, VolumeLayout::Mirror));
    shows(
        &done(&group, &move_op("!mydg01")),
        "
        v vol1 ENABLED ACTIVE 2048
        pl vol1-01 ENABLED STALE 2048 CONCAT
        sd mydg03-01 mydg03 0 2048 0/0
        pl vol1-02 ENABLED ACTIVE 2048 CONCAT
        sd mydg02-01 mydg02 0 2048 0/0",
    );
    assert_eq!(
        refused(&group, &move_op("!mydg01 mydg02")),
        "Cannot allocate space for what is moved of volume vol1"
    );
    assert_eq!(
        refused(&group, &move_op("!mydg01 !mydg02")),
        "Cannot allocate space for what is moved of volume vol1"
    );
    assert_eq!(refused(&group, &move_op("!mydg03")), "Volume vol1 has nothing on mydg03");
    assert_eq!(refused(&group, &move_op("mydg03")), "which disks are to be left? (!disk)");
}

#[test]
fn what_is_being_copied_is_not_moved() {
    let group = with(&group_of(&[10_000; 3]), plain("vol1", 2048, VolumeLayout::Mirror));
    let moved = done(&group, &move_op("!mydg01"));
    assert_eq!(
        refused(&moved, &move_op("!mydg03")),
        "Plex vol1-01 is being copied: it is moved when that is over"
    );
}

#[test]
fn a_volume_without_data_is_moved_at_once() {
    let empty = Make { init: Init::None, ..plain("vol1", 2048, VolumeLayout::Concat) };
    shows(
        &done(&with(&group_of(&[10_000; 3]), empty), &move_op("!mydg01")),
        "
        v vol1 DISABLED EMPTY 2048
        pl vol1-01 DISABLED EMPTY 2048 CONCAT
        sd mydg02-01 mydg02 0 2048 0/0",
    );
}

#[test]
fn pieces_keep_their_places_and_may_be_split() {
    let make = Make { init: Init::None, ..plain("vol1", 6144, VolumeLayout::Concat) };
    let group = with(&group_of(&[2048, 4096, 3072, 3072]), make);
    assert_eq!(
        show(&group)[2..],
        ["sd mydg02-01 mydg02 0 4096 0/0", "sd mydg03-01 mydg03 0 2048 0/4096"]
    );
    shows(
        &done(&group, &move_op("!mydg02")),
        "
        v vol1 DISABLED EMPTY 6144
        pl vol1-01 DISABLED EMPTY 6144 CONCAT
        sd mydg04-01 mydg04 0 3072 0/0
        sd mydg03-02 mydg03 2048 1024 0/3072
        sd mydg03-01 mydg03 0 2048 0/4096",
    );
}

#[test]
fn logs_and_layers_are_moved_too() {
    let make = Make { logs: Some(1), ..plain("vol1", 2048, VolumeLayout::ConcatMirror) };
    let group = with(&group_of(&[10_000; 4]), make);
    assert_eq!(show(&group)[9], "  sd mydg03-01 mydg03 0 16 LOG");
    let moved = done(&group, &move_op("!mydg03 !mydg02"));
    shows(
        &moved,
        "
        v vol1 ENABLED ACTIVE 2048
        pl vol1-01 ENABLED ACTIVE 2048 CONCAT
        sv vol1-S01 vol1-L01 2048 0/0
          v vol1-L01 ENABLED ACTIVE 2048
          pl vol1-P01 ENABLED ACTIVE 2048 CONCAT
          sd mydg01-01 mydg01 0 2048 0/0
          pl vol1-P02 ENABLED STALE 2048 CONCAT
          sd mydg04-01 mydg04 0 2048 0/0
          pl vol1-P03 ENABLED LOG LOGONLY
          sd mydg01-02 mydg01 2048 16 LOG",
    );
}

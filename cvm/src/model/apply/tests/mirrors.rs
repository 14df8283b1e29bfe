//! `vxassist mirror`, `vxassist remove mirror`

use super::*;
use crate::model::states::{KernelState, PlexState};

fn mirror(layout: Option<VolumeLayout>, words: &str) -> Op {
    Op::Mirror { volume: name("vol1"), count: 1, layout, storage: storage(words) }
}

fn unmirror(count: u16, words: &str) -> Op {
    Op::RemoveMirror { volume: name("vol1"), count, storage: storage(words) }
}

#[test]
fn a_new_mirror_of_a_running_volume_is_copied_to() {
    let group = with(&group_of(&[10_000; 2]), plain("vol1", 2048, VolumeLayout::Concat));
    let mirrored = done(&group, &mirror(None, ""));
    shows(
        &mirrored,
        "
        v vol1 ENABLED ACTIVE 2048
        pl vol1-01 ENABLED ACTIVE 2048 CONCAT
        sd mydg01-01 mydg01 0 2048 0/0
        pl vol1-02 ENABLED STALE 2048 CONCAT
        sd mydg02-01 mydg02 0 2048 0/0",
    );
    assert_eq!(
        refused(&mirrored, &mirror(None, "")),
        "Cannot allocate space for a mirror of volume vol1"
    );
    let empty = Make { init: Init::None, ..plain("vol1", 2048, VolumeLayout::Concat) };
    let mirrored = done(&with(&group_of(&[10_000; 2]), empty), &mirror(None, ""));
    assert_eq!(show(&mirrored)[3], "pl vol1-02 DISABLED EMPTY 2048 CONCAT");
    let stopped = done(&group, &Op::StopVolume(name("vol1")));
    let mirrored = done(&stopped, &mirror(None, ""));
    assert_eq!(show(&mirrored)[3], "pl vol1-02 DISABLED STALE 2048 CONCAT");
}

#[test]
fn a_mirror_comes_before_the_logs() {
    let make = Make { logs: Some(1), ..plain("vol1", 2048, VolumeLayout::Mirror) };
    let group = done(&with(&group_of(&[10_000; 4]), make), &mirror(None, "mydg03"));
    let plexes: Vec<&str> = group.volumes["vol1"].plexes.iter().map(Name::as_str).collect();
    assert_eq!(plexes, ["vol1-01", "vol1-02", "vol1-04", "vol1-03"]);
}

#[test]
fn a_mirror_may_have_another_layout() {
    let group = with(&group_of(&[10_000; 4]), plain("vol1", 2000, VolumeLayout::Concat));
    let mirrored = done(&group, &mirror(Some(VolumeLayout::Stripe), ""));
    assert_eq!(show(&mirrored)[3], "pl vol1-02 ENABLED STALE 2304 STRIPE 3/128");
    assert_eq!(
        refused(&group, &mirror(Some(VolumeLayout::StripeMirror), "")),
        "Volume vol1 is not layered: neither are its mirrors"
    );
}

#[test]
fn a_layered_volume_gets_a_mirror_in_each_layer() {
    let make = Make { columns: Some(2), ..plain("vol1", 512, VolumeLayout::StripeMirror) };
    let group = with(&group_of(&[10_000; 6]), make);
    let mirrored = done(&group, &mirror(None, ""));
    let new: Vec<String> =
        show(&mirrored).into_iter().filter(|l| !show(&group).contains(l)).collect();
    assert_eq!(
        new,
        [
            "  pl vol1-P05 ENABLED STALE 256 CONCAT",
            "  sd mydg05-01 mydg05 0 256 0/0",
            "  pl vol1-P06 ENABLED STALE 256 CONCAT",
            "  sd mydg06-01 mydg06 0 256 0/0",
        ]
    );
    let back = done(&mirrored, &unmirror(1, ""));
    assert_eq!(show(&back), show(&group));
}

#[test]
fn a_mirror_is_cut_where_the_layers_are() {
    let group = group_of(&[4096, 8192, 4096, 10_000]);
    let make =
        Make { storage: storage("!mydg04"), ..plain("vol1", 8192, VolumeLayout::ConcatMirror) };
    let mirrored = done(&with(&group, make), &mirror(None, ""));
    let new: Vec<String> = show(&mirrored).into_iter().filter(|l| l.contains("mydg04")).collect();
    assert_eq!(new, ["  sd mydg04-01 mydg04 0 4096 0/0", "  sd mydg04-02 mydg04 4096 4096 0/0"]);
}

#[test]
fn mirrors_on_excluded_disks_go_first() {
    let make = Make { mirrors: Some(3), ..plain("vol1", 2048, VolumeLayout::Mirror) };
    let group = with(&group_of(&[10_000; 3]), make);
    let left = |op: &Op| {
        let group = done(&group, op);
        group.volumes["vol1"].plexes.iter().map(|p| p.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(left(&unmirror(1, "")), ["vol1-01", "vol1-02"]);
    assert_eq!(left(&unmirror(1, "!mydg01")), ["vol1-02", "vol1-03"]);
    assert_eq!(left(&unmirror(2, "mydg02")), ["vol1-02"]);
    assert_eq!(
        refused(&group, &unmirror(3, "")),
        "Volume vol1 has 3 mirrors: 1 of them stays, so that 3 cannot be removed"
    );
}

#[test]
fn the_last_complete_mirror_stays() {
    let group = with(&group_of(&[10_000; 2]), plain("vol1", 2048, VolumeLayout::Concat));
    let group = done(&group, &mirror(None, ""));
    // The first plex is the only one with the data.
    let left = done(&group, &unmirror(1, ""));
    assert_eq!(left.volumes["vol1"].plexes, [name("vol1-01")]);
    assert_eq!(
        refused(&group, &unmirror(1, "!mydg01")),
        "Volume vol1 would be left without a complete copy of its data"
    );
}

#[test]
fn a_volume_does_not_prefer_a_plex_that_is_gone() {
    let mut group = with(&group_of(&[10_000; 2]), plain("vol1", 2048, VolumeLayout::Mirror));
    let volume = group.volumes.get_mut("vol1").unwrap();
    volume.preferred = Some(name("vol1-02"));
    volume.read_policy = crate::model::ReadPolicy::Prefer;
    let left = done(&group, &unmirror(1, ""));
    assert_eq!(left.volumes["vol1"].read_policy, crate::model::ReadPolicy::Select);
    let kept = done(&group, &unmirror(1, "!mydg01"));
    assert_eq!(kept.volumes["vol1"].preferred, Some(name("vol1-02")));
    let plex = &kept.plexes["vol1-02"];
    assert_eq!((plex.kernel, plex.state), (KernelState::Enabled, PlexState::Active));
}

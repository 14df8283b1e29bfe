//! `vxplex`

use super::*;
use crate::model::op::Mend;
use crate::model::states::{KernelState, PlexState, VolumeState};

fn names(words: &str) -> Vec<Name> {
    words.split_whitespace().map(name).collect()
}

fn att(words: &str, force: bool) -> Op {
    let mut names = names(words);
    let volume = names.remove(0);
    Op::AttachPlexes { volume, plexes: names, force }
}

fn det(words: &str) -> Op {
    Op::DetachPlexes { plexes: names(words), force: false }
}

fn dis(words: &str, remove: bool, force: bool) -> Op {
    Op::DissociatePlexes { plexes: names(words), remove, force }
}

fn stop(volume: &str) -> Op {
    Op::StopVolume(name(volume))
}

/// A volume with two mirrors and a log.
fn started() -> Group {
    let make = Make { logs: Some(1), ..plain("vol1", 2048, VolumeLayout::Mirror) };
    with(&group_of(&[10_000; 4]), make)
}

fn set(group: &Group, plex: &str, kernel: KernelState, state: PlexState) -> Group {
    let mut group = group.clone();
    let plex = group.plexes.get_mut(plex).unwrap();
    (plex.kernel, plex.state) = (kernel, state);
    group
}

/// Kernel and state of a plex.
fn state(group: &Group, plex: &str) -> String {
    let plex = &group.plexes[plex];
    format!("{} {}", plex.kernel, plex.state)
}

#[test]
fn a_plex_that_was_detached_is_attached_and_copied_to() {
    let off = done(&started(), &det("vol1-02"));
    assert_eq!(state(&off, "vol1-02"), "DETACHED STALE");
    assert_eq!(off.volumes["vol1"].plexes, started().volumes["vol1"].plexes);
    let on = done(&off, &att("vol1 vol1-02", false));
    assert_eq!(state(&on, "vol1-02"), "ENABLED STALE");
    assert!(on.plexes["vol1-02"].is_being_copied());
    // It is taken off in the middle of it, too.
    assert_eq!(state(&done(&on, &det("vol1-02")), "vol1-02"), "DETACHED STALE");
    assert_eq!(refused(&off, &det("vol1-02")), "Plex vol1-02 is off already: STALE");
}

#[test]
fn every_state_of_a_plex_is_attached_or_refused() {
    for kernel in [KernelState::Detached, KernelState::Disabled] {
        for state_before in [PlexState::IoFail, PlexState::Recover, PlexState::Stale] {
            let off = set(&started(), "vol1-01", kernel, state_before);
            let on = done(&off, &att("vol1 vol1-01", false));
            assert_eq!(state(&on, "vol1-01"), "ENABLED STALE");
        }
        // It missed writes, whatever it says of itself.
        let off = set(&started(), "vol1-01", kernel, PlexState::Active);
        assert_eq!(state(&done(&off, &att("vol1 vol1-01", false)), "vol1-01"), "ENABLED STALE");
    }
    let other = "belongs to another operation";
    for (kernel, state, expected) in [
        (KernelState::Enabled, PlexState::Active, "is attached already"),
        (KernelState::Enabled, PlexState::Stale, "is being copied already"),
        (KernelState::Detached, PlexState::Offline, "is OFFLINE: vxmend on takes it back first"),
        (KernelState::Detached, PlexState::SnapDone, other),
        (KernelState::Detached, PlexState::SnapAtt, other),
        (KernelState::Detached, PlexState::SnapDis, other),
        (KernelState::Detached, PlexState::SnapTmp, other),
        (KernelState::Detached, PlexState::Temp, other),
        (KernelState::Detached, PlexState::TempRm, other),
        (KernelState::Detached, PlexState::TempRmSd, other),
    ] {
        let error = refused(&set(&started(), "vol1-01", kernel, state), &att("vol1 vol1-01", true));
        assert!(error.starts_with("Plex vol1-01 ") && error.ends_with(expected), "{error}");
    }
}

#[test]
fn a_volume_that_is_not_started_gets_plexes_for_its_start() {
    let stopped = done(&started(), &stop("vol1"));
    let off = done(&stopped, &det("vol1-02"));
    assert_eq!(state(&off, "vol1-02"), "DISABLED STALE");
    let on = done(&off, &att("vol1 vol1-02", false));
    assert_eq!(state(&on, "vol1-02"), "DISABLED STALE");
    let error = refused(&off, &att("vol1 vol1-01", false));
    assert_eq!(error, "Plex vol1-01 is CLEAN: it needs no copy");
    let failed = set(&stopped, "vol1-02", KernelState::Disabled, PlexState::IoFail);
    assert_eq!(state(&done(&failed, &att("vol1 vol1-02", false)), "vol1-02"), "DISABLED STALE");
    // Where there are no data yet they are as good as the others.
    let make = Make { init: Init::None, ..plain("vol1", 2048, VolumeLayout::Mirror) };
    let empty = with(&group_of(&[10_000; 3]), make);
    let apart = done(&empty, &dis("vol1-02", false, false));
    assert_eq!(state(&apart, "vol1-02"), "DISABLED EMPTY");
    assert_eq!(state(&done(&apart, &att("vol1 vol1-02", false)), "vol1-02"), "DISABLED EMPTY");
}

#[test]
fn nothing_is_attached_where_there_is_nothing_to_copy_from() {
    let group = started();
    let none = set(&group, "vol1-01", KernelState::Detached, PlexState::IoFail);
    let none = set(&none, "vol1-02", KernelState::Detached, PlexState::IoFail);
    assert_eq!(
        refused(&none, &att("vol1 vol1-01", true)),
        "Volume vol1 has no complete plex that others could be copied from"
    );
    // It is not started: somebody can say which one is good.
    let apart = done(&group, &dis("vol1-01 vol1-02", false, true));
    let back = done(&apart, &att("vol1 vol1-01 vol1-02", false));
    assert_eq!(state(&back, "vol1-01"), "DISABLED STALE");
    let fix = Op::Mend { name: name("vol1-01"), how: Mend::Fix(PlexState::Clean), force: false };
    let fixed = done(&back, &fix);
    let again = done(&fixed, &Op::StartVolume { volume: name("vol1"), force: false });
    assert_eq!(state(&again, "vol1-01"), "ENABLED ACTIVE");
    assert_eq!(state(&again, "vol1-02"), "ENABLED STALE");
    // Data before logs.
    assert_eq!(again.volumes["vol1"].plexes, names("vol1-01 vol1-02 vol1-03"));
}

#[test]
fn a_plex_of_no_volume_has_to_be_long_enough() {
    let group = started();
    let make = |text: &str| {
        let descriptions = text.to_owned();
        done(&group, &Op::MakeRecords { descriptions })
    };
    let long = make("sd s1 dm=mydg04 dmoffset=0 len=2048\nplex p1 sd=s1\n");
    let on = done(&long, &att("vol1 p1", false));
    assert_eq!(state(&on, "p1"), "ENABLED STALE");
    assert_eq!(on.volumes["vol1"].plexes, names("vol1-01 vol1-02 p1 vol1-03"));
    for sparse in [
        "sd s1 dm=mydg04 dmoffset=0 len=2047\nplex p1 sd=s1\n",
        "sd s1 dm=mydg04 dmoffset=0 len=2048\nplex p1 sd=s1:0/1\n",
    ] {
        let group = make(sparse);
        assert_eq!(
            refused(&group, &att("vol1 p1", false)),
            "Plex p1 is sparse: it has not all 2048 sectors of volume vol1 (-f)"
        );
        assert_eq!(state(&done(&group, &att("vol1 p1", true)), "p1"), "ENABLED STALE");
    }
}

#[test]
fn what_cannot_be_attached_is_refused() {
    let group = with(&started(), plain("vol2", 2048, VolumeLayout::Mirror));
    let apart = done(&group, &dis("vol1-03", false, false));
    for (op, expected) in [
        (att("vol1 vol2-01", true), "Plex vol2-01 is in use by vol2"),
        (att("vol1 vol9-01", true), "plex vol9-01 does not exist"),
        (att("vol9 vol1-01", true), "volume vol9 does not exist"),
        (att("vol1 mydg01", true), "mydg01 is a disk, not a plex"),
        (att("vol1-01 vol1-02", true), "vol1-01 is a plex, not a volume"),
        (att("vol1", true), "at least one plex is named"),
        (att("vol1 vol1-03", true), "Plex vol1-03 is a log: vxassist addlog gives a volume one"),
    ] {
        assert_eq!(refused(&apart, &op), expected);
    }
    let keep = Op::RemoveDisks { names: names("mydg02"), keep: true };
    let gone = done(&started(), &keep);
    assert_eq!(state(&gone, "vol1-02"), "DISABLED REMOVED");
    assert_eq!(refused(&gone, &att("vol1 vol1-02", true)), "Plex vol1-02 has a disk that is gone");
}

#[test]
fn the_last_good_plex_stays_on() {
    let no_copy = "Volume vol1 would be left without a complete copy of its data";
    let off = done(&started(), &det("vol1-01"));
    let force = |plexes: &str| Op::DetachPlexes { plexes: names(plexes), force: true };
    for op in [det("vol1-02"), force("vol1-02"), dis("vol1-02", false, false)] {
        assert_eq!(refused(&off, &op), no_copy);
    }
    for op in [det("vol1-01 vol1-02"), dis("vol1-01 vol1-02", true, false)] {
        assert_eq!(refused(&started(), &op), no_copy);
    }
    // What is still being copied is no copy.
    let on = done(&off, &att("vol1 vol1-01", false));
    assert_eq!(refused(&on, &det("vol1-02")), no_copy);
    let stopped = done(&off, &stop("vol1"));
    assert_eq!(refused(&stopped, &det("vol1-02")), no_copy);
    assert_eq!(state(&done(&stopped, &force("vol1-02")), "vol1-02"), "DISABLED STALE");
    let stopped = done(&started(), &stop("vol1"));
    assert_eq!(state(&done(&stopped, &det("vol1-02")), "vol1-02"), "DISABLED STALE");
}

#[test]
fn what_cannot_be_detached_is_refused() {
    let apart = done(&started(), &dis("vol1-02", false, false));
    for (op, expected) in [
        (det("vol1-02"), "Plex vol1-02 belongs to no volume"),
        (dis("vol1-02", true, true), "Plex vol1-02 belongs to no volume"),
        (det("vol1-03"), "Plex vol1-03 is a log: vxassist remove log takes it away"),
        (det("vol9-01"), "plex vol9-01 does not exist"),
        (dis("mydg01", false, true), "mydg01 is a disk, not a plex"),
        (det(""), "at least one plex is named"),
        (dis("", false, true), "at least one plex is named"),
    ] {
        assert_eq!(refused(&apart, &op), expected);
    }
    let make = Make { init: Init::None, ..plain("vol1", 2048, VolumeLayout::Mirror) };
    let empty = with(&group_of(&[10_000; 3]), make);
    assert_eq!(refused(&empty, &det("vol1-01")), "Plex vol1-01 is off already: EMPTY");
    assert!(done(&empty, &dis("vol1-01 vol1-02", true, false)).plexes.is_empty());
}

#[test]
fn a_plex_is_dissociated_and_may_be_removed() {
    let group = started();
    let apart = done(&group, &dis("vol1-01", false, false));
    assert_eq!(apart.volumes["vol1"].plexes, names("vol1-02 vol1-03"));
    assert_eq!(state(&apart, "vol1-01"), "DISABLED STALE");
    assert!(apart.subdisks.contains_key("mydg01-01"));
    let removed = done(&group, &dis("vol1-01", true, false));
    assert!(!removed.plexes.contains_key("vol1-01"));
    assert!(!removed.subdisks.contains_key("mydg01-01"));
    // A log is nobody's data (facts 2.5).
    let removed = done(&group, &dis("vol1-03", true, false));
    assert_eq!(removed.volumes["vol1"].log_type, LogType::None);
    assert!(!removed.plexes.contains_key("vol1-03"));
    let apart = done(&group, &dis("vol1-03", false, false));
    assert_eq!(state(&apart, "vol1-03"), "DISABLED LOG");
}

#[test]
fn a_volume_without_its_last_good_plex_is_not_started_any_more() {
    let off = done(&started(), &det("vol1-01"));
    let on = done(&off, &att("vol1 vol1-01", false));
    let left = done(&on, &dis("vol1-02", false, true));
    let volume = &left.volumes["vol1"];
    assert_eq!((volume.kernel, volume.state), (KernelState::Disabled, VolumeState::Active));
    assert_eq!(state(&left, "vol1-01"), "DISABLED STALE");
    assert_eq!(state(&left, "vol1-03"), "DISABLED LOG");
}

#[test]
fn plexes_of_layers_are_attached_and_detached_like_others() {
    let group = with(&group_of(&[10_000; 4]), plain("vol1", 2048, VolumeLayout::ConcatMirror));
    let off = done(&group, &det("vol1-P02"));
    assert_eq!(state(&off, "vol1-P02"), "DETACHED STALE");
    let on = done(&off, &att("vol1-L01 vol1-P02", false));
    assert_eq!(state(&on, "vol1-P02"), "ENABLED STALE");
    let layer = "Volume vol1-L01 would be left without a complete copy of its data";
    assert_eq!(refused(&off, &dis("vol1-P01", true, true)), layer);
    let top = "Volume vol1 would be left without a complete copy of its data";
    assert_eq!(refused(&off, &det("vol1-01")), top);

    // The layers of a plex that leaves the volume rest, and run again with it.
    let apart = done(&group, &dis("vol1-01", false, true));
    assert_eq!(apart.volumes["vol1-L01"].kernel, KernelState::Disabled);
    assert_eq!(state(&apart, "vol1-P01"), "DISABLED ACTIVE");
    let second = with(&apart, plain("vol2", 2048, VolumeLayout::Concat));
    let on = done(&second, &att("vol2 vol1-01", false));
    assert_eq!(on.volumes["vol1-L01"].kernel, KernelState::Enabled);
    assert_eq!(state(&on, "vol1-01"), "ENABLED STALE");
    assert_eq!(state(&on, "vol1-P02"), "ENABLED ACTIVE");
    let third = with(&apart, plain("vol3", 2048, VolumeLayout::ConcatMirror));
    assert_eq!(
        refused(&third, &att("vol3-L01 vol1-01", true)),
        "Plex vol1-01 consists of volumes, and volume vol3-L01 is a layer itself"
    );
    let mut broken = second;
    for plex in ["vol1-P01", "vol1-P02"] {
        broken.plexes.get_mut(plex).unwrap().state = PlexState::IoFail;
    }
    let error = "Plex vol1-01 has a layer that cannot be started";
    assert_eq!(refused(&broken, &att("vol2 vol1-01", true)), error);
}

//! `vxvol`

use std::collections::BTreeSet;

use super::*;
use crate::model::op::{InitVolume, Mend};
use crate::model::states::{KernelState, PlexState, ReadPolicy, VolumeState};

fn start(force: bool) -> Op {
    Op::StartVolume { volume: name("vol1"), force }
}

fn stop() -> Op {
    Op::StopVolume(name("vol1"))
}

fn init(how: InitVolume, plex: Option<&str>, force: bool) -> Op {
    Op::InitVolume { volume: name("vol1"), how, plex: plex.map(name), force }
}

fn policy(policy: ReadPolicy, plex: Option<&str>) -> Op {
    Op::ReadPolicy { volume: name("vol1"), policy, plex: plex.map(name) }
}

/// Two mirrors and a log.
fn mirrored() -> Group {
    let make = Make { logs: Some(1), ..plain("vol1", 2048, VolumeLayout::Mirror) };
    with(&group_of(&[10_000; 4]), make)
}

fn empty(layout: VolumeLayout) -> Group {
    with(&group_of(&[10_000; 4]), Make { init: Init::None, ..plain("vol1", 2048, layout) })
}

/// With the volume in this state, and each plex in the next ones.
fn set(group: &Group, volume: VolumeState, plexes: &[PlexState]) -> Group {
    let mut group = group.clone();
    let record = group.volumes.get_mut("vol1").unwrap();
    record.state = volume;
    for (name, state) in record.plexes.iter().zip(plexes) {
        group.plexes.get_mut(name).unwrap().state = *state;
    }
    group
}

/// States of the volume, and of its plexes.
fn states(group: &Group) -> String {
    let volume = &group.volumes["vol1"];
    let plex = |name: &Name| {
        let plex = &group.plexes[name];
        format!("{} {}", plex.kernel, plex.state)
    };
    let plexes: Vec<String> = volume.plexes.iter().map(plex).collect();
    format!("{} {}: {}", volume.kernel, volume.state, plexes.join(", "))
}

/// Facts 1.3: all CLEAN at start is the fastest start.
#[test]
fn an_orderly_stop_leaves_all_clean_and_a_start_makes_them_active() {
    let mut group = mirrored();
    group.volumes.get_mut("vol1").unwrap().writers = BTreeSet::from([0, 3]);
    let stopped = done(&group, &stop());
    assert_eq!(states(&stopped), "DISABLED CLEAN: DISABLED CLEAN, DISABLED CLEAN, DISABLED LOG");
    assert_eq!(stopped.volumes["vol1"].writers, BTreeSet::new());
    assert_eq!(done(&stopped, &start(false)), mirrored());
    assert_eq!(refused(&stopped, &stop()), "Volume vol1 is not started");
    assert_eq!(refused(&group, &start(false)), "Volume vol1 is started already");
}

#[test]
fn what_may_differ_is_made_equal_at_the_start() {
    let clean = done(&mirrored(), &stop());
    let (active, stale) = (PlexState::Active, PlexState::Stale);
    for state in [VolumeState::Active, VolumeState::NeedSync, VolumeState::Sync] {
        let group = set(&clean, state, &[active, active]);
        let started = "ENABLED SYNC: ENABLED ACTIVE, ENABLED ACTIVE, ENABLED LOG";
        assert_eq!(states(&done(&group, &start(false))), started, "{state}");
        // One has nothing to differ from.
        let group = set(&clean, state, &[active, stale]);
        let started = "ENABLED ACTIVE: ENABLED ACTIVE, ENABLED STALE, ENABLED LOG";
        assert_eq!(states(&done(&group, &start(false))), started, "{state}");
    }
    let group = set(&clean, VolumeState::Clean, &[PlexState::Clean, active]);
    assert_eq!(done(&group, &start(false)).volumes["vol1"].state, VolumeState::Sync);
    // As vxmend leaves it.
    let fix = Mend::Fix(PlexState::Active);
    let fixed = done(&clean, &Op::Mend { name: name("vol1"), how: fix, force: false });
    assert_eq!(done(&fixed, &start(false)).volumes["vol1"].state, VolumeState::Sync);
}

#[test]
fn a_volume_that_was_to_be_made_equal_still_is_after_a_stop() {
    for state in [VolumeState::NeedSync, VolumeState::Sync] {
        let group = set(&mirrored(), state, &[]);
        let stopped = done(&group, &stop());
        let expected = "DISABLED NEEDSYNC: DISABLED ACTIVE, DISABLED ACTIVE, DISABLED LOG";
        assert_eq!(states(&stopped), expected);
        assert_eq!(done(&stopped, &start(false)).volumes["vol1"].state, VolumeState::Sync);
    }
}

#[test]
fn every_state_of_a_plex_has_its_place_after_a_start() {
    let clean = done(&mirrored(), &stop());
    for (before, after) in [
        (PlexState::Active, "ENABLED ACTIVE"),
        (PlexState::Clean, "ENABLED ACTIVE"),
        (PlexState::Empty, "ENABLED STALE"),
        (PlexState::IoFail, "DETACHED IOFAIL"),
        (PlexState::NoDevice, "DISABLED NODEVICE"),
        (PlexState::Offline, "DETACHED OFFLINE"),
        (PlexState::Recover, "DETACHED RECOVER"),
        (PlexState::Removed, "DISABLED REMOVED"),
        (PlexState::SnapDone, "ENABLED SNAPATT"),
        (PlexState::Stale, "ENABLED STALE"),
    ] {
        let group = set(&clean, VolumeState::Clean, &[PlexState::Clean, before]);
        let started = states(&done(&group, &start(false)));
        assert!(started.contains(&format!(": ENABLED ACTIVE, {after},")), "{before}: {started}");
    }
}

/// Facts 1.3.
#[test]
fn what_was_never_finished_is_gone_after_a_start() {
    let clean = done(&mirrored(), &stop());
    for (state, plex_stays, subdisk_stays) in [
        (PlexState::SnapAtt, false, false),
        (PlexState::SnapDis, true, true),
        (PlexState::SnapTmp, true, true),
        (PlexState::Temp, true, true),
        (PlexState::TempRm, false, true),
        (PlexState::TempRmSd, false, false),
    ] {
        let group = set(&clean, VolumeState::Clean, &[PlexState::Clean, state]);
        let started = done(&group, &start(false));
        assert_eq!(states(&started), "ENABLED ACTIVE: ENABLED ACTIVE, ENABLED LOG", "{state}");
        assert_eq!(started.plexes.contains_key("vol1-02"), plex_stays, "{state}");
        assert_eq!(started.subdisks.contains_key("mydg02-01"), subdisk_stays, "{state}");
    }
}

#[test]
fn what_is_not_current_stays_so_over_a_stop() {
    let off = set(&mirrored(), VolumeState::Active, &[PlexState::Active, PlexState::Stale]);
    let stopped = done(&off, &stop());
    assert_eq!(states(&stopped), "DISABLED CLEAN: DISABLED CLEAN, DISABLED STALE, DISABLED LOG");
    // Off while the volume ran: what it says of itself is not so.
    let mut odd = mirrored();
    odd.plexes.get_mut("vol1-02").unwrap().kernel = KernelState::Detached;
    assert_eq!(done(&odd, &stop()).plexes["vol1-02"].state, PlexState::Stale);
}

#[test]
fn a_volume_without_a_good_plex_is_started_only_by_force() {
    let clean = done(&mirrored(), &stop());
    let none = "Volume vol1 has no complete plex that is CLEAN or ACTIVE and has all its disks";
    for (first, second, forced) in [
        (PlexState::Stale, PlexState::Offline, Ok("ENABLED ACTIVE, DETACHED OFFLINE")),
        (PlexState::IoFail, PlexState::Removed, Ok("ENABLED ACTIVE, DISABLED REMOVED")),
        (PlexState::NoDevice, PlexState::Recover, Ok("DISABLED NODEVICE, ENABLED ACTIVE")),
        (PlexState::Offline, PlexState::Offline, Err(none)),
        (
            PlexState::Stale,
            PlexState::IoFail,
            Err("Volume vol1: which of vol1-01, vol1-02 has its data? vxmend fix clean says so"),
        ),
    ] {
        let group = set(&clean, VolumeState::Clean, &[first, second]);
        assert_eq!(refused(&group, &start(false)), none);
        match forced {
            Ok(plexes) => {
                let started = states(&done(&group, &start(true)));
                assert_eq!(started, format!("ENABLED ACTIVE: {plexes}, ENABLED LOG"));
            }
            Err(error) => assert_eq!(refused(&group, &start(true)), error),
        }
    }
    // Forced or not, what is good is what counts.
    let group = set(&clean, VolumeState::Clean, &[PlexState::Clean, PlexState::Stale]);
    assert_eq!(done(&group, &start(true)), done(&group, &start(false)));
}

#[test]
fn a_volume_whose_disk_is_gone_is_not_started() {
    let group = with(&group_of(&[10_000; 2]), plain("vol1", 2048, VolumeLayout::Concat));
    let mut group = done(&group, &stop());
    group.disks.get_mut("mydg01").unwrap().disk = None;
    for force in [false, true] {
        assert!(refused(&group, &start(force)).ends_with("and has all its disks"));
    }
}

#[test]
fn layers_follow_their_volume() {
    let make = Make { columns: Some(2), ..plain("vol1", 512, VolumeLayout::StripeMirror) };
    let group = with(&group_of(&[10_000; 4]), make);
    let stopped = done(&group, &stop());
    assert!(
        show(&stopped).iter().all(|line| !line.contains("ENABLED") && !line.contains("ACTIVE"))
    );
    assert_eq!(done(&stopped, &start(false)), group);
    let layer = "Volume vol1-L01 is a layer of another volume, and is changed with that one";
    assert_eq!(refused(&group, &Op::StopVolume(name("vol1-L01"))), layer);
    let of_layer = Op::StartVolume { volume: name("vol1-L01"), force: true };
    assert_eq!(refused(&stopped, &of_layer), layer);
    // The copies of one layer may differ.
    let stopped = done(&set(&group, VolumeState::Sync, &[]), &stop());
    assert_eq!(stopped.plexes["vol1-P01"].state, PlexState::Active);
    let started = done(&stopped, &start(false));
    assert_eq!(started.volumes["vol1"].state, VolumeState::Sync);
    assert_eq!(started.volumes["vol1-L01"].state, VolumeState::Active);
    // One layer has no copy left.
    let mut broken = done(&group, &stop());
    for plex in ["vol1-P01", "vol1-P02"] {
        broken.plexes.get_mut(plex).unwrap().state = PlexState::Stale;
    }
    assert!(refused(&broken, &start(false)).starts_with("Volume vol1 has no complete plex"));
    assert!(refused(&broken, &start(true)).starts_with("Volume vol1-L01: which of vol1-P01,"));
    broken.plexes.get_mut("vol1-P02").unwrap().state = PlexState::IoFail;
    broken.plexes.get_mut("vol1-P01").unwrap().state = PlexState::Offline;
    let started = done(&broken, &start(true));
    assert_eq!(started.plexes["vol1-P02"].state, PlexState::Active);
    assert_eq!(started.plexes["vol1-P01"].kernel, KernelState::Detached);
    assert_eq!(started.volumes["vol1"].state, VolumeState::Active);
}

#[test]
fn an_empty_volume_is_initialised() {
    let group = empty(VolumeLayout::Mirror);
    assert_eq!(
        refused(&group, &start(true)),
        "Volume vol1 is EMPTY: vxvol init says what it begins with"
    );
    for (op, expected) in [
        (init(InitVolume::Active, None, false), "ENABLED ACTIVE: ENABLED ACTIVE, ENABLED ACTIVE"),
        (
            init(InitVolume::Active, Some("vol1-02"), false),
            "ENABLED ACTIVE: ENABLED STALE, ENABLED ACTIVE",
        ),
        (
            init(InitVolume::Clean, Some("vol1-01"), false),
            "DISABLED CLEAN: DISABLED CLEAN, DISABLED STALE",
        ),
        (init(InitVolume::Enable, None, false), "ENABLED EMPTY: ENABLED EMPTY, ENABLED EMPTY"),
    ] {
        assert_eq!(states(&done(&group, &op)), expected);
    }
    let single = empty(VolumeLayout::Concat);
    let clean = done(&single, &init(InitVolume::Clean, None, false));
    assert_eq!(states(&clean), "DISABLED CLEAN: DISABLED CLEAN");
    // Loaded, and then declared to be so.
    let loaded = done(&group, &init(InitVolume::Enable, None, false));
    assert_eq!(states(&done(&loaded, &stop())), "DISABLED EMPTY: DISABLED EMPTY, DISABLED EMPTY");
    let active = done(&loaded, &init(InitVolume::Active, None, false));
    assert_eq!(states(&active), "ENABLED ACTIVE: ENABLED ACTIVE, ENABLED ACTIVE");
}

#[test]
fn layers_are_initialised_with_their_volume() {
    let group = empty(VolumeLayout::ConcatMirror);
    let active = done(&group, &init(InitVolume::Active, None, false));
    let made = with(&group_of(&[10_000; 4]), plain("vol1", 2048, VolumeLayout::ConcatMirror));
    assert_eq!(active, made);
    let clean = done(&group, &init(InitVolume::Clean, None, false));
    assert_eq!(done(&clean, &start(false)), made);
}

#[test]
fn what_cannot_be_initialised_is_refused() {
    let group = empty(VolumeLayout::Mirror);
    let enabled = done(&group, &init(InitVolume::Enable, None, false));
    let clean = done(&mirrored(), &stop());
    let is_enabled = "Volume vol1 is enabled: it must be stopped first";
    let no_plex = "Plex vol1-03 is no plex of volume vol1 with data";
    for (group, op, expected) in [
        (&mirrored(), init(InitVolume::Active, None, true), is_enabled),
        (&enabled, init(InitVolume::Clean, Some("vol1-01"), true), is_enabled),
        (&enabled, init(InitVolume::Enable, None, true), is_enabled),
        (
            &clean,
            init(InitVolume::Active, None, false),
            "Volume vol1 is CLEAN: what it holds would count for nothing (-f)",
        ),
        (&clean, init(InitVolume::Active, Some("vol1-03"), true), no_plex),
        (&clean, init(InitVolume::Clean, Some("vol1-03"), true), no_plex),
        (
            &group,
            init(InitVolume::Clean, None, false),
            "which plex of volume vol1 is the good one?",
        ),
        (
            &group,
            init(InitVolume::Enable, Some("vol1-01"), false),
            "init enable enables all plexes: none is named",
        ),
    ] {
        assert_eq!(refused(group, &op), expected);
    }
    // By force it begins anew.
    let anew = done(&clean, &init(InitVolume::Active, Some("vol1-02"), true));
    assert_eq!(states(&anew), "ENABLED ACTIVE: ENABLED STALE, ENABLED ACTIVE, ENABLED LOG");
    let mut gone = group.clone();
    gone.disks.get_mut("mydg01").unwrap().disk = None;
    let none = "Volume vol1 has no complete plex with all its disks";
    assert_eq!(refused(&gone, &init(InitVolume::Active, Some("vol1-01"), false)), none);
    let rest = done(&gone, &init(InitVolume::Active, None, false));
    assert_eq!(states(&rest), "ENABLED ACTIVE: DISABLED EMPTY, ENABLED ACTIVE");
    gone.disks.get_mut("mydg02").unwrap().disk = None;
    assert_eq!(refused(&gone, &init(InitVolume::Active, None, false)), none);
}

#[test]
fn the_read_policy_is_set_with_its_plex() {
    let group = mirrored();
    let read = |op: &Op| {
        let group = done(&group, op);
        (group.volumes["vol1"].read_policy, group.volumes["vol1"].preferred.clone())
    };
    assert_eq!(read(&policy(ReadPolicy::Round, None)), (ReadPolicy::Round, None));
    assert_eq!(read(&policy(ReadPolicy::Select, None)), (ReadPolicy::Select, None));
    let prefer = policy(ReadPolicy::Prefer, Some("vol1-02"));
    assert_eq!(read(&prefer), (ReadPolicy::Prefer, Some(name("vol1-02"))));
    let back = done(&done(&group, &prefer), &policy(ReadPolicy::Select, None));
    assert_eq!(back, group);
    for (op, expected) in [
        (policy(ReadPolicy::Prefer, None), "which plex is to be preferred?"),
        (
            policy(ReadPolicy::Prefer, Some("vol1-03")),
            "Plex vol1-03 is no plex of volume vol1 with data",
        ),
        (
            policy(ReadPolicy::Prefer, Some("vol9-01")),
            "Plex vol9-01 is no plex of volume vol1 with data",
        ),
        (policy(ReadPolicy::Round, Some("vol1-01")), "ROUND prefers no plex: none is named"),
    ] {
        assert_eq!(refused(&group, &op), expected);
    }
}

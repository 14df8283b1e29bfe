//! `vxsnap prepare`, `make`, `refresh`, `restore`, and what happens meanwhile.

use super::*;
use crate::model::op::FillReason;
use crate::model::states::{KernelState, VolumeState};
use crate::model::{Fill, Finding, Rid};

fn prepare(volume: &str) -> Op {
    Op::Prepare { volume: name(volume), count: 1, storage: Vec::new() }
}

fn fill(volume: &str, from: &str, why: FillReason) -> Op {
    Op::Fill { volume: name(volume), from: name(from), why }
}

fn make_snap() -> Op {
    fill("snap", "vol1", FillReason::Make)
}

/// A volume with two mirrors, and one with one mirror and a log.
fn prepared() -> Group {
    let group = with(&group_of(&[20_000; 5]), plain("vol1", 4096, VolumeLayout::Mirror));
    done(&with(&group, plain("snap", 4096, VolumeLayout::Concat)), &prepare("snap"))
}

fn filling(group: &Group, volume: &str) -> Option<Fill> {
    group.volumes[volume].fill
}

fn id(group: &Group, volume: &str) -> Rid {
    filling(group, volume).unwrap().id
}

fn found(group: &Group, finding: Finding) -> Group {
    assert!(finding.is_new(group), "{finding:?}");
    let after = Finding::apply(group, [&finding]).group;
    assert!(!finding.is_new(&after), "{finding:?}");
    after
}

fn full(group: &Group, volume: &str) -> Group {
    let group = found(group, Finding::FillBegun(name(volume), id(group, volume)));
    assert!(filling(&group, volume).unwrap().is_begun);
    found(&group, Finding::Filled(name(volume), id(&group, volume)))
}

fn states(group: &Group, volume: &str) -> (KernelState, VolumeState) {
    let volume = &group.volumes[volume];
    (volume.kernel, volume.state)
}

const ON: (KernelState, VolumeState) = (KernelState::Enabled, VolumeState::Active);
const SPOILT: (KernelState, VolumeState) = (KernelState::Detached, VolumeState::Invalid);

#[test]
fn a_snapshot_is_made_refreshed_and_its_volume_restored() {
    let made = done(&prepared(), &make_snap());
    let vol1 = made.volumes["vol1"].common.rid;
    let first = filling(&made, "snap").unwrap();
    assert_eq!((first.from, first.is_begun, states(&made, "snap")), (vol1, false, ON));
    assert_eq!(made.volumes["snap"].snapshot_of, Some(vol1));
    let text = crate::model::text::write_group(&made);
    assert_eq!(crate::model::text::read_group(&text).as_ref(), Ok(&made));
    let refresh = fill("snap", "vol1", FillReason::Refresh);
    assert!(refused(&made, &refresh).contains("one is being filled from the other"));

    let whole = full(&made, "snap");
    assert_eq!((filling(&whole, "snap"), states(&whole, "snap")), (None, ON));
    let again = done(&whole, &refresh);
    assert!(id(&again, "snap") > first.id);

    let restore = fill("vol1", "snap", FillReason::Restore);
    assert!(refused(&whole, &restore).contains("Volume vol1 has no log that says what is filled"));
    let restored = done(&done(&whole, &prepare("vol1")), &restore);
    assert_eq!(filling(&restored, "vol1").unwrap().from, whole.volumes["snap"].common.rid);
    let restored = full(&restored, "vol1");
    assert_eq!(restored.volumes["snap"].snapshot_of, Some(vol1));
    // What was noted of other snapshots does not hold any more.
    let mut noted = done(&whole, &prepare("vol1"));
    noted.volumes.get_mut("vol1").unwrap().changes = 7;
    assert_eq!(done(&noted, &restore).volumes["vol1"].changes, 8);
}

#[test]
fn what_cannot_be_filled_is_refused() {
    let group = prepared();
    let bare = done(&group, &Op::Unprepare(name("snap")));
    assert!(bare.volumes["snap"].log_type == LogType::None);
    assert!(refused(&bare, &Op::Unprepare(name("snap"))).contains("not prepared"));
    assert!(refused(&bare, &make_snap()).contains("vxsnap prepare"));
    assert!(refused(&group, &prepare("snap")).contains("prepared already"));
    let short = with(&group, plain("short", 2048, VolumeLayout::Concat));
    let short = refused(&short, &fill("short", "vol1", FillReason::Make));
    assert!(short.contains("2048 sectors, volume vol1 4096"), "{short}");
    let itself = refused(&group, &fill("snap", "snap", FillReason::Make));
    assert_eq!(itself, "Volume snap cannot be a snapshot of itself");
    for why in [FillReason::Refresh, FillReason::Restore] {
        assert!(refused(&group, &fill("snap", "vol1", why)).contains("is no snapshot of volume"));
    }
    let stopped = done(&group, &Op::StopVolume(name("vol1")));
    assert!(refused(&stopped, &make_snap()).contains("nothing to be read of it"));
    let stopped = done(&group, &Op::StopVolume(name("snap")));
    assert!(refused(&stopped, &make_snap()).contains("Volume snap is not started"));
    let mut lost = group.clone();
    lost.volumes.get_mut("vol1").unwrap().lost.insert(1);
    assert!(refused(&lost, &make_snap()).contains("its copies may differ"));
    // One at a time.
    let made = done(&group, &make_snap());
    let other = done(&with(&made, plain("other", 4096, VolumeLayout::Concat)), &prepare("other"));
    let other = refused(&other, &fill("other", "vol1", FillReason::Make));
    assert_eq!(other, "Volume vol1 and snap: one is being filled from the other (vxsnap syncwait)");
    let whole = full(&made, "snap");
    assert_eq!(refused(&whole, &make_snap()), "Volume snap is a snapshot already");
}

#[test]
fn what_fills_go_on_by_stays() {
    let made = done(&prepared(), &make_snap());
    let log = made.volumes["snap"].plexes.last().unwrap().clone();
    assert!(made.plexes[&log].is_log_only());
    let grow = |volume| Op::Resize {
        volume: name(volume),
        to: crate::model::op::NewLength::GrowTo(6144),
        storage: Vec::new(),
        force: true,
    };
    let count = 1;
    let more = Op::AddLog {
        volume: name("snap"),
        log_type: LogType::Region,
        count,
        len: None,
        storage: Vec::new(),
    };
    let none = Op::Unprepare(name("snap"));
    let gone = Op::RemoveVolume { volume: name("vol1"), force: true };
    for (op, why) in [
        (grow("vol1"), "longer or shorter"),
        (grow("snap"), "longer or shorter"),
        (none, "a log of it has to stay"),
        (gone, "what it is filled from has to stay"),
        (Op::SnapClear(name("snap")), "being filled"),
        (Op::SnapBack { snapshot: name("snap"), from_replica: false }, "being filled"),
    ] {
        let said = refused(&made, &op);
        assert!(said.contains(why) && said.contains("snap"), "{op:?}: {said}");
    }
    // A copy of the log that knows nothing.
    let mirrored = Op::Mirror { volume: name("snap"), count, layout: None, storage: Vec::new() };
    let said = refused(&done(&made, &mirrored), &more);
    assert!(said.contains("its logs stay as they are"), "{said}");
    let gone = Op::RemoveVolume { volume: name("snap"), force: true };
    assert!(done(&made, &gone).filled_from(made.volumes["vol1"].common.rid).is_none());
}

#[test]
fn both_volumes_are_started_and_stopped_together() {
    let made = done(&prepared(), &make_snap());
    for volume in ["vol1", "snap"] {
        let stopped = done(&made, &Op::StopVolume(name(volume)));
        for volume in ["vol1", "snap"] {
            assert_eq!(states(&stopped, volume), (KernelState::Disabled, VolumeState::Clean));
        }
        assert_eq!(filling(&stopped, "snap"), filling(&made, "snap"));
        assert_eq!(done(&stopped, &Op::StopVolume(name("vol1"))), stopped);
        let start = Op::StartVolume { volume: name(volume), force: false };
        let started = done(&stopped, &start);
        assert_eq!((states(&started, "vol1"), states(&started, "snap")), (ON, ON));
        // What it is filled from can be used without it, but not the other way round.
        let mut broken = stopped.clone();
        for plex in broken.volumes["snap"].plexes.clone() {
            let plex = broken.plexes.get_mut(&plex).unwrap();
            if !plex.is_log_only() {
                plex.state = crate::model::states::PlexState::IoFail;
            }
        }
        if volume == "snap" {
            assert!(refused(&broken, &start).contains("snap"));
            continue;
        }
        let started = done(&broken, &start);
        assert_eq!((states(&started, "vol1"), filling(&started, "snap")), (ON, None));
        assert_eq!(started.volumes["snap"].state, VolumeState::Invalid);
    }
    // What it is filled from does not become anything else meanwhile, and is not held up by a log that is gone.
    let stopped = done(&made, &Op::StopVolume(name("vol1")));
    let how = crate::model::op::InitVolume::Clean;
    let plex = Some(name("vol1-01"));
    let init = Op::InitVolume { volume: name("vol1"), how, plex, force: true };
    let bare = done(&stopped, &Op::Unprepare(name("snap")));
    let started = done(&bare, &Op::StartVolume { volume: name("vol1"), force: false });
    assert_eq!((states(&started, "vol1"), states(&started, "snap")), (ON, SPOILT));
    let mut stale = stopped.clone();
    stale.plexes.get_mut("vol1-01").unwrap().state = crate::model::states::PlexState::Stale;
    assert!(refused(&stale, &init).contains("does not come from anywhere else"));
    // A copy of the log has missed something, and would be taken for a good one.
    let mut missed = made.clone();
    let log = missed.volumes["snap"].plexes.last().unwrap().clone();
    missed.plexes.get_mut(&log).unwrap().kernel = KernelState::Detached;
    let stopped = done(&missed, &Op::StopVolume(name("vol1")));
    assert_eq!(states(&stopped, "snap"), (KernelState::Disabled, VolumeState::Invalid));
}

#[test]
fn what_cannot_go_on_is_spoilt_and_can_be_filled_anew() {
    let made = done(&prepared(), &make_snap());
    let spoilt = found(&made, Finding::Spoilt(name("snap"), id(&made, "snap")));
    assert_eq!((states(&spoilt, "snap"), filling(&spoilt, "snap")), (SPOILT, None));
    assert_eq!(states(&spoilt, "vol1"), ON);
    let start = Op::StartVolume { volume: name("snap"), force: false };
    assert!(refused(&spoilt, &start).contains("INVALID"));
    let anew = done(&spoilt, &fill("snap", "vol1", FillReason::Refresh));
    assert_eq!(states(&anew, "snap"), ON);
    let stopped = done(&spoilt, &Op::StopVolume(name("snap")));
    let anew = done(&stopped, &fill("snap", "vol1", FillReason::Refresh));
    assert_eq!(states(&full(&anew, "snap"), "snap"), ON);

    // Whatever is said of writers and of plexes, it holds what nobody has ever written.
    let mut written = made.clone();
    let snap = written.volumes.get_mut("snap").unwrap();
    (snap.writers, snap.lost) = ([2].into(), [3].into());
    let spoilt = found(&written, Finding::Spoilt(name("snap"), id(&made, "snap")));
    let lost = Finding::Lost(name("snap"), [2, 3].into(), std::collections::BTreeSet::new());
    assert!(!lost.is_new(&spoilt) && spoilt.volumes["snap"].lost.is_empty());
    let mut late = spoilt.clone();
    late.volumes.get_mut("snap").unwrap().lost.insert(3);
    assert_eq!(states(&found(&late, lost), "snap"), SPOILT);
    let stopped = done(&late, &Op::StopVolume(name("snap")));
    assert_eq!(stopped.volumes["snap"].state, VolumeState::Invalid);

    // The only log fails.
    let log = made.volumes["snap"].plexes.last().unwrap().clone();
    let failed = Finding::apply(&made, [&Finding::PlexFailed(log, None)]).group;
    assert_eq!((states(&failed, "snap"), states(&failed, "vol1")), (SPOILT, ON));
    // Of something else.
    let other = Finding::Filled(name("snap"), Rid(1));
    assert!(!other.is_new(&made) && Finding::apply(&made, [&other]).group == made);
}

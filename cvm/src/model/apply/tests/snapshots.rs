//! `vxassist snapstart` and what follows it.

use super::*;
use crate::model::Finding;
use crate::model::states::{KernelState, PlexState, VolumeState};

fn start(count: u16) -> Op {
    Op::SnapStart { volume: name("vol1"), count, layout: None, storage: Vec::new() }
}

fn snapshot(word: &str) -> Op {
    Op::Snapshot { volume: name("vol1"), snapshot: Some(name(word)), count: 1 }
}

fn back(from_replica: bool) -> Op {
    Op::SnapBack { snapshot: name("snap"), from_replica }
}

fn stop(volume: &str) -> Op {
    Op::StopVolume(name(volume))
}

/// A volume with two mirrors and a log.
fn started() -> Group {
    let make = Make { logs: Some(1), ..plain("vol1", 2048, VolumeLayout::Mirror) };
    with(&group_of(&[10_000; 5]), make)
}

/// All that was to be copied is.
fn filled(group: &Group) -> Group {
    let plexes = group.volumes["vol1"].plexes.iter().cloned().collect();
    Finding::apply(group, [&Finding::Equal(name("vol1"), plexes)]).group
}

/// Its plexes, with their states.
fn plexes(group: &Group, volume: &str) -> String {
    let plexes = group.volumes[volume].plexes.iter();
    let words = plexes.map(|name| {
        let plex = &group.plexes[name];
        format!("{name} {} {}", plex.kernel, plex.state)
    });
    Vec::from_iter(words).join(", ")
}

const TWO: &str = "vol1-01 ENABLED ACTIVE, vol1-02 ENABLED ACTIVE";
const LOG: &str = "vol1-03 ENABLED LOG";

#[test]
fn a_mirror_is_filled_broken_off_and_brought_back() {
    let begun = done(&started(), &start(1));
    assert_eq!(plexes(&begun, "vol1"), format!("{TWO}, vol1-04 ENABLED SNAPATT, {LOG}"));
    assert!(begun.plexes["vol1-04"].needs_copy());
    let too_early = "Insufficient number of active snapshot mirrors in vol1.";
    assert_eq!(refused(&begun, &snapshot("snap")), too_early);

    let full = filled(&begun);
    assert_eq!(plexes(&full, "vol1"), format!("{TWO}, vol1-04 ENABLED SNAPDONE, {LOG}"));
    let plex = &full.plexes["vol1-04"];
    assert!(plex.is_being_copied() && !plex.needs_copy() && !plex.is_current());
    assert_eq!(refused(&full, &snapshot("vol1-04")), "Record vol1-04 already exists in disk group");

    let off = done(&full, &snapshot("snap"));
    assert_eq!(plexes(&off, "vol1"), format!("{TWO}, {LOG}"));
    assert_eq!(plexes(&off, "snap"), "vol1-04 ENABLED ACTIVE");
    let (snap, vol1) = (&off.volumes["snap"], &off.volumes["vol1"]);
    assert_eq!((snap.len, snap.state, snap.log_type), (2048, VolumeState::Active, LogType::None));
    assert_eq!(snap.snapshot_of, Some(vol1.common.rid));
    assert_ne!(snap.minor, vol1.minor);
    assert_eq!(
        crate::model::text::read_group(&crate::model::text::write_group(&off)).as_ref(),
        Ok(&off)
    );

    // Under whatever name.
    let (from, to) = (name("vol1"), name("other"));
    let renamed = done(&off, &Op::Rename { from, to });
    let returned = done(&renamed, &back(false));
    assert_eq!(plexes(&returned, "other"), format!("{TWO}, vol1-04 ENABLED SNAPATT, {LOG}"));
    assert!(!returned.volumes.contains_key("snap"));

    let aborted = done(&full, &Op::SnapAbort(name("vol1")));
    assert_eq!(plexes(&aborted, "vol1"), format!("{TWO}, {LOG}"));
    assert_eq!(aborted.subdisks, started().subdisks);
    let none = "Volume vol1 has no snapshot mirror";
    assert_eq!(refused(&aborted, &Op::SnapAbort(name("vol1"))), none);
}

#[test]
fn a_volume_takes_what_its_snapshot_holds() {
    let off = done(&filled(&done(&started(), &start(1))), &snapshot("snap"));
    assert_eq!(refused(&off, &back(true)), "Volume vol1 is enabled: it must be stopped first");
    let stopped = done(&off, &stop("vol1"));
    assert_eq!(refused(&stopped, &back(false)), "Volume vol1 is not started");
    let restored = done(&stopped, &back(true));
    let stale = "vol1-01 DISABLED STALE, vol1-02 DISABLED STALE, vol1-04 DISABLED CLEAN";
    assert_eq!(plexes(&restored, "vol1"), format!("{stale}, vol1-03 DISABLED LOG"));
    let volume = name("vol1");
    let started = done(&restored, &Op::StartVolume { volume, force: false });
    let copied = "vol1-01 ENABLED STALE, vol1-02 ENABLED STALE, vol1-04 ENABLED ACTIVE";
    assert_eq!(plexes(&started, "vol1"), format!("{copied}, {LOG}"));
}

/// One of them may have a write that nobody was told of.
#[test]
fn mirrors_that_are_broken_off_together_are_made_equal() {
    let full = filled(&done(&started(), &start(2)));
    let (volume, snapshot) = (name("vol1"), None);
    let off = done(&full, &Op::Snapshot { volume, snapshot, count: 2 });
    assert_eq!(plexes(&off, "SNAP-vol1"), "vol1-04 ENABLED ACTIVE, vol1-05 ENABLED ACTIVE");
    assert_eq!(off.volumes["SNAP-vol1"].state, VolumeState::Sync);
}

#[test]
fn a_mirror_that_is_to_be_broken_off_is_none_of_those_that_are_removed_or_moved() {
    let full = filled(&done(&started(), &start(1)));
    let (volume, count) = (name("vol1"), 1);
    let less = done(&full, &Op::RemoveMirror { volume, count, storage: Vec::new() });
    assert_eq!(
        plexes(&less, "vol1"),
        format!("vol1-01 ENABLED ACTIVE, vol1-04 ENABLED SNAPDONE, {LOG}")
    );
    let disk = tree::disks_of_pieces(&full, &full.plexes["vol1-04"].pieces).into_iter().next();
    let away = format!("!{}", disk.unwrap());
    let moved = Op::Move { volume: name("vol1"), storage: storage(&away) };
    let why = "Plex vol1-04 is a snapshot mirror: snapshot breaks it off, snapabort removes it";
    assert_eq!(refused(&full, &moved), why);
}

#[test]
fn what_has_lost_its_disk_is_neither_broken_off_nor_brought_back() {
    let full = filled(&done(&started(), &start(1)));
    let disk = tree::disks_of_pieces(&full, &full.plexes["vol1-04"].pieces).into_iter().next();
    let gone = |group: &Group| {
        let mut group = group.clone();
        group.disks.get_mut(disk.as_ref().unwrap()).unwrap().disk = None;
        group
    };
    // A group cannot be as it is then with a plex that is on, but for a moment.
    let off = done(&full, &snapshot("snap"));
    let mut lost = gone(&off);
    let plex = lost.plexes.get_mut("vol1-04").unwrap();
    (plex.kernel, plex.state) = (KernelState::Disabled, PlexState::NoDevice);
    lost.volumes.get_mut("snap").unwrap().kernel = KernelState::Disabled;
    let why = "Plex vol1-04 of snapshot snap cannot be filled: it is sparse or layered, or a disk of \
               it is gone (vxplex -o rm dis vol1-04 removes it)";
    assert_eq!(refused(&lost, &back(false)), why);
    let plexes = vec![name("vol1-04")];
    let bare = done(&lost, &Op::DissociatePlexes { plexes, remove: true, force: true });
    assert_eq!(refused(&bare, &back(false)), "Snapshot snap has no plex");
}

#[test]
fn what_is_no_snapshot_is_not_brought_back() {
    let group = started();
    let back = |snapshot: &str| Op::SnapBack { snapshot: name(snapshot), from_replica: false };
    assert_eq!(refused(&group, &back("vol1")), "Volume vol1 is no snapshot");
    assert_eq!(refused(&group, &back("none")), "volume none does not exist");
    let off = done(&filled(&done(&group, &start(1))), &snapshot("snap"));
    let cleared = done(&off, &Op::SnapClear(name("snap")));
    assert_eq!(refused(&cleared, &back("snap")), "Volume snap is no snapshot");
    assert_eq!(refused(&cleared, &Op::SnapClear(name("snap"))), "Volume snap is no snapshot");
    let gone = done(&off, &Op::RemoveVolume { volume: name("vol1"), force: true });
    let nobody = "The volume that snap is a snapshot of does not exist any more";
    assert_eq!(refused(&gone, &back("snap")), nobody);
    let (volume, to) = (name("vol1"), crate::model::op::NewLength::GrowBy(1024));
    let storage = Vec::new();
    let longer = done(&off, &Op::Resize { volume, to, storage, force: false });
    let lens = "Snapshot snap has 2048 sectors, volume vol1 3072: neither fits";
    assert_eq!(refused(&longer, &back("snap")), lens);
}

#[test]
fn what_cannot_be_kept_as_it_is_has_no_snapshot() {
    let group = started();
    assert_eq!(refused(&done(&group, &stop("vol1")), &start(1)), "Volume vol1 is not started");
    assert_eq!(refused(&group, &start(0)), "at least one mirror is added");
    let layered = with(&group_of(&[10_000; 6]), plain("vol1", 2048, VolumeLayout::StripeMirror));
    let none = "Volume vol1 is layered: there are no snapshots of it";
    assert_eq!(refused(&layered, &start(1)), none);
    let mut full = filled(&done(&group, &start(1)));
    full.volumes.get_mut("vol1").unwrap().state = VolumeState::Sync;
    let differs = "Volume vol1 is in recovery: its copies may differ until that is over";
    assert_eq!(refused(&full, &snapshot("snap")), differs);
    // One that was off is filled again.
    let full = filled(&done(&group, &start(1)));
    let stopped = done(&full, &stop("vol1"));
    let volume = name("vol1");
    let again = done(&stopped, &Op::StartVolume { volume, force: false });
    let plex = &again.plexes["vol1-04"];
    assert_eq!((plex.kernel, plex.state), (KernelState::Enabled, PlexState::SnapAtt));
}

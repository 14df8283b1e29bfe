//! `vxassist snapstart` and what follows it.

use std::collections::BTreeSet;

use super::*;
use crate::model::states::{KernelState, PlexState, VolumeState};
use crate::model::{Finding, Volume};

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

/// A snapshot `snap` of `vol1`, whose changes are noted.
fn noted() -> Group {
    let off = done(&filled(&done(&started(), &start(1))), &snapshot("snap"));
    assert_eq!((off.noted(&name("vol1")), off.volumes["snap"].since), (Some(1), Some(1)));
    assert!(off.volumes["vol1"].changers.is_empty());
    off
}

fn writes(group: &Group, volume: &str, node: u8) -> Group {
    Finding::apply(group, [&Finding::Writes(name(volume), node)]).group
}

#[test]
fn what_changes_after_a_snapshot_is_noted_until_it_is_back() {
    let vol1 = name("vol1");
    let full = filled(&done(&started(), &start(1)));
    let group = done(&writes(&full, "vol1", 2), &snapshot("snap"));
    assert_eq!(group.volumes["vol1"].changers, [2].into(), "it writes already");
    let group = writes(&group, "vol1", 3);
    assert_eq!(group.volumes["vol1"].changers, [2, 3].into());
    let rests = Finding::apply(&group, [&Finding::Rests(vol1.clone(), 2)]).group;
    assert_eq!(rests.volumes["vol1"].changers, [2, 3].into());
    let text = crate::model::text::write_group(&group);
    assert_eq!(crate::model::text::read_group(&text).as_ref(), Ok(&group));

    let returned = done(&group, &back(false));
    assert_eq!(returned.plexes["vol1-04"].since, Some(1));
    assert_eq!(returned.noted(&vol1), Some(1));
    let text = crate::model::text::write_group(&returned);
    assert_eq!(crate::model::text::read_group(&text).as_ref(), Ok(&returned));
    let again = filled(&returned);
    assert_eq!((again.plexes["vol1-04"].since, again.noted(&vol1)), (None, None));
    assert_eq!(again.volumes["vol1"].changes, 1);
    let next = done(&again, &snapshot("snap"));
    assert_eq!((next.noted(&vol1), next.volumes["snap"].since), (Some(2), Some(2)));
    assert_eq!(next.volumes["vol1"].changers, [2, 3].into());
    // Somebody writes the snapshot.
    let written = writes(&next, "snap", 1);
    assert_eq!((written.noted(&vol1), written.volumes["snap"].since), (None, None));
    assert_eq!(done(&written, &back(false)).plexes["vol1-04"].since, None);
    let cleared = done(&next, &Op::SnapClear(name("snap")));
    assert_eq!((cleared.noted(&vol1), cleared.volumes["snap"].since), (None, None));
}

#[test]
fn several_snapshots_use_the_notes_of_the_first() {
    let full = filled(&done(&started(), &start(2)));
    let first = writes(&done(&full, &snapshot("snap")), "vol1", 0);
    let both = done(&first, &snapshot("other"));
    assert_eq!((both.volumes["other"].since, both.volumes["vol1"].changes), (Some(1), 1));
    assert_eq!(both.volumes["vol1"].changers, [0].into());
    let returned = filled(&done(&both, &back(false)));
    assert_eq!(returned.noted(&name("vol1")), Some(1));
    // Copies that go together may differ.
    let together = Op::Snapshot { volume: name("vol1"), snapshot: None, count: 2 };
    let together = done(&full, &together);
    assert_eq!((together.volumes["SNAP-vol1"].since, together.noted(&name("vol1"))), (None, None));
}

#[test]
fn a_volume_without_a_log_or_with_a_short_one_notes_nothing() {
    let plain = with(&group_of(&[10_000; 5]), plain("vol1", 2048, VolumeLayout::Mirror));
    let off = done(&filled(&done(&plain, &start(1))), &snapshot("snap"));
    assert_eq!((off.noted(&name("vol1")), off.volumes["snap"].since), (None, None));
    let full = filled(&done(&started(), &start(1)));
    let env = Env { nodes: 20, ..ENV };
    let short = apply(&full, &snapshot("snap"), &env).unwrap();
    assert_eq!(short.volumes["snap"].since, None);
    let far = done(&writes(&full, "vol1", 40), &snapshot("snap"));
    assert_eq!(far.volumes["snap"].since, None);
}

/// Then all of it is copied.
#[test]
fn what_was_noted_is_void_when_there_may_be_more() {
    let (vol1, group) = (name("vol1"), noted());
    let op = |op: Op| done(&group, &op);
    let found = |finding: Finding| Finding::apply(&group, [&finding]).group;
    let volume = || name("vol1");
    let (log_type, storage) = (LogType::Region, Vec::new);
    let add = Op::AddLog { volume: volume(), log_type, count: 1, len: None, storage: storage() };
    let remove = Op::RemoveLog { volume: volume(), count: 1, storage: storage() };
    let mirror = Op::RemoveMirror { volume: volume(), count: 1, storage: storage() };
    let to = crate::model::op::NewLength::GrowBy(16);
    let grow = Op::Resize { volume: volume(), to, storage: storage(), force: true };
    let none = BTreeSet::new;
    let void = [
        ("log added", op(add)),
        ("log removed", op(remove)),
        ("one copy left", op(mirror)),
        ("grown", op(grow)),
        ("log failed", found(Finding::PlexFailed(name("vol1-03"), None))),
        ("a node without room", writes(&group, "vol1", 40)),
        (
            "maps unknown",
            Finding::apply(
                &writes(&group, "vol1", 1),
                [&Finding::Lost(volume(), [1].into(), none())],
            )
            .group,
        ),
        ("another mode", {
            let mut group = group.clone();
            group.volumes.values_mut().for_each(Volume::distrust_maps);
            group
        }),
    ];
    for (what, group) in void {
        assert_eq!(group.noted(&vol1), None, "{what}");
        if what != "grown" {
            assert_eq!(done(&group, &back(false)).plexes["vol1-04"].since, None, "{what}");
        }
    }
    // The volume gets what another snapshot held.
    let full = filled(&done(&started(), &start(2)));
    let both = done(&done(&full, &snapshot("other")), &snapshot("snap"));
    let restored = done(&done(&both, &stop("vol1")), &back(true));
    assert_eq!((restored.noted(&vol1), restored.volumes["other"].since), (None, Some(1)));
    // It was lost who wrote, and nobody has looked at that.
    let mut lost = writes(&group, "vol1", 1);
    lost.volumes.values_mut().for_each(Volume::lose_writers);
    assert_eq!(done(&lost, &stop("vol1")).noted(&vol1), None);
}

#[test]
fn notes_outlast_a_stop() {
    let (vol1, group) = (name("vol1"), writes(&noted(), "vol1", 1));
    let stopped = done(&done(&group, &stop("vol1")), &stop("snap"));
    assert_eq!(stopped.noted(&vol1), Some(1));
    let started = done(&stopped, &Op::StartVolume { volume: name("vol1"), force: false });
    assert_eq!((started.noted(&vol1), started.volumes["vol1"].changers.len()), (Some(1), 1));
    assert_eq!(done(&started, &back(false)).plexes["vol1-04"].since, Some(1));
    // A log that has missed something is not told from the others by the next start.
    let add = |group| {
        let (volume, log_type, storage) = (name("vol1"), LogType::Region, Vec::new());
        done(group, &Op::AddLog { volume, log_type, count: 1, len: None, storage })
    };
    let full = filled(&done(&add(&self::started()), &start(1)));
    let off = done(&full, &snapshot("snap"));
    let failed = Finding::apply(&off, [&Finding::PlexFailed(name("vol1-03"), None)]).group;
    assert_eq!(failed.noted(&vol1), Some(1), "there is another one");
    assert_eq!(done(&failed, &stop("vol1")).noted(&vol1), None);
}

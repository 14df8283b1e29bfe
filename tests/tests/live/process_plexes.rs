//! Plexes, logs, ends of volumes and copies that are changed by hand while programs write.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::process::Child;

use cvm::model::{KernelState, LogType, PlexState};
use tools::muster::temporary::Temporary;
use tools::muster::{programs, volumes, wait};

use crate::process::{LIMIT, are_missing, beside_another, run};
use crate::process_export::write_held;
use crate::process_volumes::{
    CLIENTS, check_on, copies, fio_for, group, hold, marked, prepared, qemu_io, read, succeeds,
    uri, verified, write,
};

/// Two nodes write four megabytes each, for so many seconds.
fn load(cluster: &Temporary, places: [(&str, &str); 2], seconds: u8) -> [Child; 2] {
    let load = [0, 1].map(|node| {
        let (volume, offset) = places[usize::from(node)];
        fio_for(cluster, node, volume, offset, seconds)
    });
    wait::until("both write", LIMIT, || {
        let group = group(cluster, 2);
        let writes = |node: u8| {
            let volume = places[usize::from(node)].0;
            group.volumes[volume].writers.contains(&node)
        };
        Ok((writes(0) && writes(1)).then_some(()))
    })
    .unwrap();
    load
}

/// What a plex is, as every node has it.
fn plex(cluster: &Temporary, name: &str) -> (KernelState, PlexState) {
    let seen = [0, 1, 2].map(|node| {
        let group = group(cluster, node);
        (group.plexes[name].kernel, group.plexes[name].state)
    });
    assert_eq!(seen, [seen[0]; 3]);
    seen[0]
}

/// What a command says that is refused.
fn refused(cluster: &Temporary, node: u8, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    programs::run(cluster, node, &words, "").unwrap_err().to_string()
}

const ACTIVE: (KernelState, PlexState) = (KernelState::Enabled, PlexState::Active);

/// Facts 4.4: `vxplex det`, `att`, `dis`; `vxmend off`, `on`.
#[test]
fn plexes_are_taken_off_and_put_back_under_load() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&["vol1 10m layout=mirror nmirror=3"]);
    let load = load(&cluster, [("vol1", "0"), ("vol1", "4m")], 3);
    // Each time something is written that the plex misses, in a place where the others do not write.
    run(&cluster, 2, "vxplex -g shdg det vol1-02");
    assert_eq!(plex(&cluster, "vol1-02"), (KernelState::Detached, PlexState::Stale));
    write(&cluster, 0, "vol1", 1, "8m 2m");
    assert_eq!(copies(&cluster, "vol1").len(), 2);
    run(&cluster, 0, "vxplex -g shdg att vol1 vol1-02");
    assert_eq!(plex(&cluster, "vol1-02"), ACTIVE, "it waits");

    run(&cluster, 1, "vxmend -g shdg off vol1-03");
    assert_eq!(plex(&cluster, "vol1-03"), (KernelState::Detached, PlexState::Offline));
    write(&cluster, 1, "vol1", 2, "8m 1m");
    let said = refused(&cluster, 2, "vxplex -g shdg att vol1 vol1-03");
    assert!(said.contains("is OFFLINE: vxmend on takes it back first"), "{said}");
    run(&cluster, 2, "vxrecover -g shdg");
    assert_eq!(plex(&cluster, "vol1-03").1, PlexState::Offline, "it stays so");
    run(&cluster, 0, "vxmend -g shdg on vol1-03");
    assert_eq!(plex(&cluster, "vol1-03"), (KernelState::Detached, PlexState::Stale));
    run(&cluster, 2, "vxrecover -g shdg");
    assert_eq!(plex(&cluster, "vol1-03"), ACTIVE);

    run(&cluster, 1, "vxplex -g shdg dis vol1-02");
    let after = group(&cluster, 0);
    assert_eq!(after.volumes["vol1"].plexes.len(), 2);
    assert_eq!(after.plexes["vol1-02"].subdisks().count(), 1, "it keeps its subdisk");
    write(&cluster, 0, "vol1", 3, "9m 1m");
    run(&cluster, 1, "vxplex -g shdg att vol1 vol1-02");
    assert_eq!(plex(&cluster, "vol1-02"), ACTIVE);
    assert_eq!(copies(&cluster, "vol1").len(), 3);
    run(&cluster, 2, "vxplex -g shdg -o rm dis vol1-01 vol1-03");
    let after = group(&cluster, 1);
    assert_eq!((after.plexes.len(), after.subdisks.len()), (1, 1), "they give their space back");
    let said = refused(&cluster, 0, "vxplex -g shdg det vol1-02");
    assert!(said.contains("would be left without a complete copy"), "{said}");
    load.into_iter().for_each(verified);
    // What was attached holds all that it has missed.
    let held = read(&cluster, 1, "vol1");
    assert_eq!([held[8 << 20], held[9 << 20]], [2, 3]);
    check_on(&cluster, 1, "vol1");
    cluster.down().unwrap();
}

/// Facts 4.1: the end is moved while programs write before it, and who has the volume open sees it.
#[test]
fn volumes_shrink_under_load() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&["vol1 16m layout=mirror", "sm 16m layout=stripe-mirror ncol=2"]);
    let mut held = hold(&cluster, 1, "shdg/vol1");
    assert_eq!(write_held(&mut held, 15 << 20, &[1; 512]), 0);
    write(&cluster, 0, "vol1", 2, "4m 6m");
    let load = load(&cluster, [("vol1", "0"), ("sm", "0")], 2);
    run(&cluster, 2, "vxassist -g shdg -f shrinkto vol1 12m");
    run(&cluster, 1, "vxassist -g shdg -f shrinkby vol1 2m");
    run(&cluster, 0, "vxassist -g shdg -f shrinkto sm 5m");
    let said = refused(&cluster, 2, "vxassist -g shdg -f shrinkto vol1 11m");
    assert!(said.contains("Volume vol1 is shorter than that"), "{said}");
    // What is beyond the end is refused, and what is before it is written.
    assert_ne!(write_held(&mut held, 15 << 20, &[1; 512]), 0);
    assert_ne!(write_held(&mut held, (10 << 20) - 512, &[1; 1024]), 0);
    assert_eq!(write_held(&mut held, (10 << 20) - 512, &[3; 512]), 0);
    load.into_iter().for_each(verified);
    for (volume, megabytes) in [("vol1", 10), ("sm", 5)] {
        for node in 0..2 {
            let size = succeeds("nbdinfo", &["--size", &uri(&cluster, node, volume)]);
            assert_eq!(size.trim().parse::<u64>().unwrap(), megabytes << 20, "{volume}");
        }
        let copies = copies(&cluster, volume);
        assert!(copies.iter().all(|copy| copy.len() as u64 == megabytes << 20), "{volume}");
        check_on(&cluster, 1, volume);
    }
    let kept = read(&cluster, 0, "vol1");
    assert!(kept[4 << 20..(10 << 20) - 512].iter().all(|byte| *byte == 2));
    assert_eq!(kept[(10 << 20) - 1], 3);
    // The space is free again: it is given to others.
    run(&cluster, 1, "vxassist -g shdg growto vol1 16m");
    check_on(&cluster, 1, "vol1");
    cluster.down().unwrap();
}

/// Facts 2.5: a log comes into use, goes, and comes again as one for those who write in order.
#[test]
fn logs_come_and_go_under_load() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&["vol1 24m layout=mirror"]);
    let log = |node| {
        let group = group(&cluster, node);
        let plexes = group.volumes["vol1"].plexes.iter().map(|plex| &group.plexes[plex]);
        let logs = plexes.filter(|plex| plex.is_log_only()).count();
        (group.volumes["vol1"].log_type, logs)
    };
    let load = load(&cluster, [("vol1", "0"), ("vol1", "4m")], 3);
    let is_used = || {
        wait::until("what node 1 writes is marked", LIMIT, || {
            let marks = marked(&cluster, "vol1", 1);
            Ok(marks.iter().any(|region| (4..8).contains(region)).then_some(()))
        })
        .unwrap();
    };
    run(&cluster, 2, "vxassist -g shdg addlog vol1 nlog=2");
    assert_eq!(log(1), (LogType::Region, 2));
    is_used();
    run(&cluster, 0, "vxassist -g shdg remove log vol1");
    assert_eq!(log(1), (LogType::Region, 1));
    run(&cluster, 0, "vxassist -g shdg remove log vol1");
    assert_eq!(log(2).1, 0);
    run(&cluster, 1, "vxassist -g shdg addlog vol1 logtype=drlseq");
    assert_eq!(log(0), (LogType::Sequential, 1));
    is_used();
    load.into_iter().for_each(verified);
    // Who writes one region after the other leaves few marks behind: three, and what is in use.
    let regions: Vec<String> = (8..20).map(|mib| format!("write -P 1 {mib}m 4k")).collect();
    let commands: Vec<&str> = regions.iter().map(String::as_str).collect();
    qemu_io("raw", &uri(&cluster, 1, "vol1"), &commands);
    let marks = marked(&cluster, "vol1", 1);
    assert!(marks.len() <= 4, "{marks:?}");
    check_on(&cluster, 1, "vol1");
    cluster.down().unwrap();
}

/// Begins a copy of `vol1` and stops it in its middle. One that was over before that is undone.
fn begin_paused(cluster: &Temporary, begin: &str, undo: &str) -> u32 {
    let id = group(cluster, 1).volumes["vol1"].minor;
    wait::until("a copy is stopped in its middle", LIMIT, || {
        run(cluster, 1, &format!("vxassist -g shdg -b {begin}"));
        let is_heard = programs::run(cluster, 2, &["vxtask", "pause", &id.to_string()], "").is_ok();
        let is_paused = wait::until("it is paused, or over", LIMIT, || {
            let listed = run(cluster, 2, "vxtask -H list");
            let is_paused = is_heard && listed.contains("ATCOPY/P");
            Ok((is_paused || listed.is_empty()).then_some(is_paused))
        })?;
        if !is_paused {
            run(cluster, 1, undo);
        }
        Ok(is_paused.then_some(id))
    })
    .unwrap()
}

/// Every node lists it so.
fn wait_listed(cluster: &Temporary, what: &str) {
    for node in 0..3 {
        wait::until(&format!("node {node} lists {what}"), LIMIT, || {
            Ok(run(cluster, node, "vxtask list").contains(what).then_some(()))
        })
        .unwrap();
    }
}

/// Facts 4.5: whoever copies, every node sees how far it is, and can stop it.
#[test]
fn a_copy_is_paused_resumed_and_given_up_on_any_node() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&["vol1 32m"]);
    write(&cluster, 0, "vol1", 1, "8m 24m");
    let id = begin_paused(&cluster, "mirror vol1", "vxplex -g shdg -o rm dis vol1-02");
    run(&cluster, 1, &format!("vxtask set slow=500 {id}"));
    wait_listed(&cluster, "ATCOPY/P");
    let at = || {
        let task = |node| volumes::snapshot(&cluster.cluster, node).unwrap().tasks.remove(0);
        [0, 1, 2].map(|node| task(node).at)
    };
    let paused = at();
    load(&cluster, [("vol1", "0"), ("vol1", "4m")], 2).into_iter().for_each(verified);
    // What was under way when it was stopped has come to its end, and nothing has begun.
    let last = paused.iter().max().unwrap() + 2048;
    let now = at();
    assert!(now.iter().all(|at| *at <= last), "two seconds later {now:?}, not {paused:?}");
    run(&cluster, 0, &format!("vxtask resume {id}"));
    wait_listed(&cluster, "ATCOPY/R");
    wait::until("it goes on, as all see", LIMIT, || {
        Ok(at().iter().all(|at| *at > last).then_some(()))
    })
    .unwrap();
    run(&cluster, 2, &format!("vxtask abort {id}"));
    wait::until("it is over everywhere", LIMIT, || {
        let mut tasks = (0..3).map(|node| volumes::snapshot(&cluster.cluster, node).unwrap().tasks);
        Ok(tasks.all(|tasks| tasks.is_empty()).then_some(()))
    })
    .unwrap();
    assert_eq!(plex(&cluster, "vol1-02"), (KernelState::Detached, PlexState::Stale));
    assert_eq!(copies(&cluster, "vol1").len(), 1);
    run(&cluster, 0, "vxplex -g shdg att vol1 vol1-02");
    assert_eq!(plex(&cluster, "vol1-02"), ACTIVE);
    assert_eq!(copies(&cluster, "vol1").len(), 2);
    check_on(&cluster, 1, "vol1");
    cluster.down().unwrap();
}

/// Facts 2.9: mirrors that are not wanted after all, and a snapshot that is to be a volume like any other.
#[test]
fn snapshot_mirrors_are_given_up_and_a_snapshot_is_cleared() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&["vol1 24m layout=mirror"]);
    let on = |node, line: &str| run(&cluster, node, &format!("vxassist -g shdg {line}"));
    let load = load(&cluster, [("vol1", "0"), ("vol1", "4m")], 2);
    let before = group(&cluster, 0);
    // Once in the middle of its copy, and once when it is full.
    begin_paused(&cluster, "snapstart vol1", "vxassist -g shdg snapabort vol1");
    assert_eq!(plex(&cluster, "vol1-03"), (KernelState::Enabled, PlexState::SnapAtt));
    on(1, "snapabort vol1");
    on(2, "snapstart vol1");
    assert_eq!(plex(&cluster, "vol1-03").1, PlexState::SnapDone);
    on(0, "snapabort vol1");
    let after = group(&cluster, 1);
    assert_eq!(after.volumes["vol1"].plexes, before.volumes["vol1"].plexes);
    assert_eq!(after.subdisks.len(), before.subdisks.len(), "nothing is left of them");
    let said = refused(&cluster, 2, "vxassist -g shdg snapabort vol1");
    assert!(said.contains("has no snapshot mirror"), "{said}");

    write(&cluster, 1, "vol1", 1, "8m 4m");
    on(1, "snapstart vol1");
    on(0, "snapshot vol1 monday");
    let taken = read(&cluster, 1, "monday");
    assert_eq!((taken.len(), taken[8 << 20]), (24 << 20, 1));
    on(2, "snapclear monday");
    let said = refused(&cluster, 1, "vxassist -g shdg snapback monday");
    assert!(said.contains("is no snapshot"), "{said}");
    write(&cluster, 0, "vol1", 2, "8m 4m");
    load.into_iter().for_each(verified);
    assert!(read(&cluster, 0, "monday") == taken, "it is its own");
    on(0, "-f remove volume monday");
    check_on(&cluster, 1, "vol1");
    cluster.down().unwrap();
}

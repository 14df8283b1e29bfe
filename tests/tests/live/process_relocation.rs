//! Disks that fail under load, and what was on them: hot relocation, the way back, disks that are left
//! and disks that come back.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use cvm::model::{Group, KernelState, Name, PlexState};
use rustix::process::Signal;
use tools::muster::temporary::Temporary;
use tools::muster::testbed::UpOptions;
use tools::muster::{programs, volumes, wait};

use crate::process::{LIMIT, are_missing, beside_another, options, run};
use crate::process_volumes::{CLIENTS, Unwritable, check_on, fio, group, verified};

/// Three nodes and a group on six disks, which the last two nodes write: the first one is the master.
fn prepared(relocd: bool, made: &[&str]) -> Temporary {
    let options = UpOptions { disks: 6, disk_size: 64 << 20, relocd, ..options() };
    let cluster = Temporary::up(&options).unwrap_or_else(|error| panic!("{error:#}"));
    for disk in 0..6 {
        run(&cluster, 0, &format!("vxdisksetup -i disk_{disk} privlen=4m"));
    }
    run(&cluster, 0, "vxdg -s init shdg disk_0 disk_1 disk_2 disk_3 disk_4 disk_5");
    for volume in made {
        run(&cluster, 0, &format!("vxassist -g shdg make {volume}"));
    }
    for node in 1..3 {
        run(&cluster, node, "vxdg -g shdg set activation=sw");
    }
    cluster
}

/// Names of subdisks on a disk.
fn on_disk(group: &Group, disk: &str) -> Vec<Name> {
    let all = group.subdisks.iter();
    let there = all.filter(|(_, s)| s.source.disk().is_some_and(|dm| dm.as_str() == disk));
    there.map(|(name, _)| name.clone()).collect()
}

/// Every plex of a group is in use and current.
fn is_whole(group: &Group) -> bool {
    group.plexes.values().all(|plex| {
        let is_good = matches!(plex.state, PlexState::Active | PlexState::Log);
        plex.kernel == KernelState::Enabled && is_good
    })
}

fn wait_for(cluster: &Temporary, what: &str, is_so: impl Fn(&Group) -> bool) -> Group {
    wait::until(what, LIMIT, || {
        let group = group(cluster, 1);
        Ok(is_so(&group).then_some(group))
    })
    .unwrap_or_else(|error| panic!("{error:#}: {:#?}", group(cluster, 1).plexes))
}

fn wait_written(cluster: &Temporary, volume: &str) {
    wait_for(cluster, "somebody writes", |group| !group.volumes[volume].writers.is_empty());
}

fn disk(cluster: &Temporary, number: usize) -> std::path::PathBuf {
    volumes::disk_paths(&cluster.cluster)[number].clone()
}

/// What the vxrelocds of all nodes have told.
fn told(cluster: &Temporary) -> String {
    let log = |node| cluster.cluster.root(node).join("var/log/vxrelocd.out");
    (0..3).map(|node| std::fs::read_to_string(log(node)).unwrap_or_default()).collect()
}

fn kill_relocd(cluster: &Temporary, node: u8) {
    let process = cluster.cluster.node(node).vxrelocd.unwrap();
    process.signal(Signal::KILL).unwrap();
    assert!(process.wait_gone(LIMIT).unwrap());
}

/// Facts 2.8: a spare takes over while programs write, and the disk gets everything back.
#[test]
fn what_was_on_a_failed_disk_is_relocated_under_load_and_goes_back() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let made = [
        "vol1 8m layout=mirror,log shdg01 shdg02 shdg03",
        "ms 8m layout=mirror-stripe ncol=2 shdg01 shdg02 shdg03 shdg04",
        "sm 8m layout=stripe-mirror ncol=2 shdg01 shdg02 shdg03 shdg04",
        "alone 1m shdg02",
    ];
    let cluster = prepared(true, &made);
    run(&cluster, 2, "vxedit -g shdg set spare=on shdg05");
    run(&cluster, 2, "vxedit -g shdg set nohotuse=on shdg06");
    let before = group(&cluster, 0);
    let load = [
        fio(&cluster, 1, "vol1", "0"),
        fio(&cluster, 2, "vol1", "4m"),
        fio(&cluster, 1, "ms", "0"),
        fio(&cluster, 2, "sm", "0"),
    ];
    ["vol1", "ms", "sm"].iter().for_each(|volume| wait_written(&cluster, volume));
    let Some(dead) = Unwritable::new(disk(&cluster, 1)) else {
        load.into_iter().for_each(verified);
        return;
    };
    // What cannot be relocated stays: the only copy of a volume.
    let is_over = |group: &Group| is_whole(group) && on_disk(group, "shdg02").len() == 1;
    let after = wait_for(&cluster, "all is relocated and copied", is_over);
    load.into_iter().for_each(verified);
    drop(dead);
    assert!(after.disks["shdg02"].failing, "nothing new is put there");
    assert!(on_disk(&after, "shdg06").is_empty(), "hot relocation leaves it alone");
    let from: Vec<&str> = after
        .subdisks
        .values()
        .filter_map(|subdisk| Some(subdisk.origin.as_ref()?.dm.as_str()))
        .collect();
    assert_eq!(from.len(), on_disk(&before, "shdg02").len() - 1, "{from:?}");
    assert!(from.iter().all(|dm| *dm == "shdg02"));
    assert_eq!(on_disk(&after, "shdg05").len(), from.len(), "all of it is on the spare");
    for volume in ["vol1", "ms", "sm"] {
        check_on(&cluster, 1, volume);
    }
    wait::until("it is told", LIMIT, || {
        let told = told(&cluster);
        let all = ["vol1", "ms", "sm"].iter().all(|volume| {
            told.contains(&format!("Recovery complete for volume {volume} in disk group shdg"))
        });
        let why = "Volume alone has no other complete copy of its data";
        Ok((all && told.contains(why)).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}: {}", told(&cluster)));
    goes_back(&cluster, &before);
}

/// The disk is as good as new: it is taken back, and gets back what it had.
fn goes_back(cluster: &Temporary, before: &Group) {
    assert_eq!(run(cluster, 2, "vxreattach -c disk_1"), "shdg shdg02\n");
    run(cluster, 2, "vxreattach -r disk_1");
    let load = [fio(cluster, 1, "vol1", "0"), fio(cluster, 2, "sm", "0")];
    run(cluster, 2, "vxunreloc -g shdg shdg02");
    load.into_iter().for_each(verified);
    let back = group(cluster, 0);
    assert!(is_whole(&back), "vxunreloc waits: {:#?}", back.plexes);
    let places = |group: &Group| {
        let mut all: Vec<String> = group
            .subdisks
            .values()
            .map(|subdisk| format!("{:?} {} {:?}", subdisk.source, subdisk.len, subdisk.origin))
            .collect();
        all.sort();
        all
    };
    assert_eq!(places(&back), places(before));
    for volume in ["vol1", "ms", "sm"] {
        check_on(cluster, 1, volume);
    }
    // There is nothing left to do.
    run(cluster, 0, "vxunreloc -g shdg shdg02");
    let refused = programs::run(cluster, 0, &["vxreattach", "-c", "disk_1"], "");
    assert!(refused.unwrap_err().to_string().contains("is disk shdg02 of group shdg"));
}

/// Two disks fail at once, and nobody is there who relocates: the next one finds it in the records, be it
/// the next process of the same node or the next master.
#[test]
fn whoever_comes_next_relocates_what_has_failed_before() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let made = ["vol1 8m layout=mirror shdg01 shdg02", "vol2 8m layout=mirror shdg03 shdg04"];
    let mut cluster = prepared(true, &made);
    kill_relocd(&cluster, 0);
    let load = [fio(&cluster, 1, "vol1", "0"), fio(&cluster, 2, "vol2", "0")];
    ["vol1", "vol2"].iter().for_each(|volume| wait_written(&cluster, volume));
    let dead = [1, 3].map(|number| Unwritable::new(disk(&cluster, number)));
    if dead.iter().any(Option::is_none) {
        load.into_iter().for_each(verified);
        return;
    }
    let failed = |group: &Group| {
        let off = group.plexes.values().filter(|plex| plex.state == PlexState::IoFail);
        off.count() == 2
    };
    wait_for(&cluster, "both disks have failed", failed);
    // The slaves' have seen it, too, and it is not theirs to act.
    cluster.start_volumes(0).unwrap();
    let after = wait_for(&cluster, "both are relocated", is_whole);
    load.into_iter().for_each(verified);
    assert!(on_disk(&after, "shdg02").is_empty() && on_disk(&after, "shdg04").is_empty());
    drop(dead);
    for volume in ["vol1", "vol2"] {
        check_on(&cluster, 1, volume);
    }

    // Again, and now the master dies with it undone.
    for disk in ["shdg02", "shdg04"] {
        run(&cluster, 1, &format!("vxedit -g shdg set failing=off {disk}"));
    }
    let target = on_which(&after, "vol1");
    kill_relocd(&cluster, 0);
    let load = fio(&cluster, 1, "vol1", "0");
    wait_written(&cluster, "vol1");
    let number = target.trim_start_matches("shdg").parse::<usize>().unwrap() - 1;
    let dead = Unwritable::new(disk(&cluster, number)).unwrap();
    wait_for(&cluster, "it has failed", |group| group.disks[target.as_str()].failing);
    cluster.kill(0).unwrap();
    let is_over = |group: &Group| {
        let volume = &group.volumes["vol1"];
        is_whole(group) && !lies_on(group, "vol1", &target) && !volume.needs_sync()
    };
    let after = wait_for(&cluster, "the next master has relocated it", is_over);
    verified(load);
    drop(dead);
    let mut origins = after.subdisks.values().filter_map(|subdisk| subdisk.origin.as_ref());
    assert!(origins.all(|origin| matches!(origin.dm.as_str(), "shdg02" | "shdg04")));
    cluster.start(0).unwrap();
    check_on(&cluster, 1, "vol1");
}

fn lies_on(group: &Group, volume: &str, disk: &str) -> bool {
    let plexes = group.volumes[volume].plexes.iter().map(|plex| &group.plexes[plex]);
    let mut names = plexes.flat_map(|plex| plex.subdisks());
    names.any(|name| on_disk(group, disk).contains(name))
}

/// The disk that the relocated plex of a volume lies on.
fn on_which(group: &Group, volume: &str) -> String {
    let plexes = group.volumes[volume].plexes.iter().map(|plex| &group.plexes[plex]);
    let subdisks =
        plexes.flat_map(|plex| &plex.pieces).map(|piece| &group.subdisks[&piece.subdisk]);
    let relocated = subdisks.into_iter().find(|subdisk| subdisk.origin.is_some()).unwrap();
    relocated.source.disk().unwrap().to_string()
}

/// `vxevac`: a disk is left while programs write to what lies on it, interrupted and begun again.
#[test]
fn a_disk_is_evacuated_under_load() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let made = [
        "alone 8m shdg01",
        "vol1 8m layout=mirror,log shdg01 shdg02",
        "sm 8m layout=stripe-mirror ncol=2 shdg01 shdg02 shdg03 shdg04",
        "stripe 8m layout=stripe ncol=2 shdg01 shdg02",
    ];
    let cluster = prepared(false, &made);
    let load = [
        fio(&cluster, 1, "alone", "0"),
        fio(&cluster, 2, "vol1", "0"),
        fio(&cluster, 1, "sm", "0"),
        fio(&cluster, 2, "stripe", "4m"),
    ];
    ["vol1", "sm"].iter().for_each(|volume| wait_written(&cluster, volume));
    let words = ["exec", "0", "vxevac", "-g", "shdg", "shdg01"];
    let mut evac = crate::process::muster(&cluster, &words).spawn().unwrap();
    wait_for(&cluster, "it has begun", |group| {
        group.plexes.values().any(|plex| plex.is_moved() || plex.is_being_copied())
    });
    evac.kill().unwrap();
    evac.wait().unwrap();
    run(&cluster, 2, "vxevac -g shdg shdg01");
    let after = group(&cluster, 0);
    assert!(on_disk(&after, "shdg01").is_empty());
    load.into_iter().for_each(verified);
    wait_for(&cluster, "all is copied", is_whole);
    assert_eq!(after.volumes["alone"].plexes.len(), 1, "the old plex is gone");
    for volume in ["alone", "vol1", "sm", "stripe"] {
        check_on(&cluster, 1, volume);
    }
    run(&cluster, 1, "vxevac -g shdg shdg02 shdg01 shdg05 shdg06");
    let after = group(&cluster, 0);
    assert!(on_disk(&after, "shdg02").is_empty() && is_whole(&after));
    for volume in ["alone", "vol1", "sm", "stripe"] {
        check_on(&cluster, 1, volume);
    }
    // A volume that is stopped leaves when it is started.
    run(&cluster, 1, "vxassist -g shdg make still 1m shdg02");
    run(&cluster, 1, "vxvol -g shdg stop still");
    let refused = programs::run(&cluster, 1, &["vxevac", "-g", "shdg", "shdg02"], "").unwrap_err();
    let why = "Volume still is not started: it leaves the disk when it is, and its data are copied";
    assert!(refused.to_string().contains(why), "{refused:#}");
    run(&cluster, 1, "vxvol -g shdg start still");
    wait_for(&cluster, "it has left", |group| on_disk(group, "shdg02").is_empty());
}

/// `vxreattach`: a member that was given up while its disk could not be written has it again.
#[test]
fn a_disk_that_was_taken_out_while_it_was_dead_comes_back() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(false, &["vol1 8m layout=mirror shdg01 shdg02"]);
    let load = fio(&cluster, 1, "vol1", "0");
    wait_written(&cluster, "vol1");
    let Some(dead) = Unwritable::new(disk(&cluster, 1)) else {
        verified(load);
        return;
    };
    wait_for(&cluster, "it has failed", |group| group.disks["shdg02"].failing);
    run(&cluster, 2, "vxdg -g shdg -k rmdisk shdg02");
    verified(load);
    let listed = run(&cluster, 0, "vxdisk list");
    assert!(listed.contains("removed was:disk_1"), "{listed}");
    drop(dead);
    assert_eq!(run(&cluster, 2, "vxreattach -c disk_1"), "shdg shdg02\n");
    let load = fio(&cluster, 1, "vol1", "0");
    run(&cluster, 2, "vxreattach -r");
    let after = group(&cluster, 0);
    assert!(is_whole(&after), "it waits: {:#?}", after.plexes);
    assert!(after.disks["shdg02"].disk.is_some() && !after.disks["shdg02"].failing);
    verified(load);
    check_on(&cluster, 1, "vol1");
}

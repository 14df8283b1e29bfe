//! Disks that do not answer, for one node or for all, and answer later.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Child;

use cvm::model::{KernelState, PlexState, VolumeState};
use cvm::volume::{MirrorIndex, VolumeMap};
use rustix::process::Signal;
use tools::muster::process::State;
use tools::muster::temporary::Temporary;
use tools::muster::testbed::UpOptions;
use tools::muster::{control, programs, volumes, wait};

use crate::hanging::Hanging;
use crate::process::{LIMIT, are_missing, beside_another, options, run};
use crate::process_cvm::{wait_members, wait_out};
use crate::process_fuse::{Loop, is_barred};
use crate::process_volumes::{CLIENTS, check_on, fio, group, prepared_as, verified};

/// A plex of the volume that is off because it could not be written.
fn failed(cluster: &Temporary, volume: &str) -> Option<String> {
    let group = group(cluster, 0);
    let is_off = |name: &&cvm::model::Name| {
        let plex = &group.plexes[*name];
        (plex.kernel, plex.state) == (KernelState::Detached, PlexState::IoFail)
    };
    group.volumes[volume].plexes.iter().find(is_off).map(ToString::to_string)
}

/// Design of CVM, engine: disk stalls are bounded. Nothing that was told to be written later is
/// overtaken by what the disk does when it comes back.
#[test]
fn a_disk_that_hangs_for_one_node_is_given_up_and_comes_back_when_it_has_answered() {
    if is_barred() || are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let hasty = UpOptions { io_timeout: 2, ..options() };
    let cluster = prepared_as(hasty, &["vol1 8m layout=mirror shdg01 shdg02"]);
    let disk = Hanging::instead_of(&cluster.cluster.root(1).join("dev/vx/dmp/disk_1"));
    let load = [fio(&cluster, 0, "vol1", "0"), fio(&cluster, 1, "vol1", "4m")];
    wait::until("node 1 writes", LIMIT, || {
        Ok(group(&cluster, 0).volumes["vol1"].writers.contains(&1).then_some(()))
    })
    .unwrap();
    disk.hang();
    let plex = wait::until("the plex is off", LIMIT, || Ok(failed(&cluster, "vol1"))).unwrap();
    load.into_iter().for_each(verified);
    check_on(&cluster, 0, "vol1");
    assert!(disk.waiting() > 0, "it owes answers");

    // What it may still do would come over what is copied: it stays off.
    run(&cluster, 0, "vxedit -g shdg set failing=off shdg02");
    let attach = ["vxplex", "-g", "shdg", "att", "vol1", &plex];
    let refused = programs::run(&cluster, 0, &attach, "").unwrap_err().to_string();
    assert!(refused.contains("does not answer"), "{refused}");
    assert!(refused.contains("node 1"), "{refused}");

    // The node leaves when it has, and is a member until then, of which nobody knows the difference.
    let leaving = programs::spawn(&cluster, 1, &["vxclustadm", "stopnode"]).unwrap();
    run(&cluster, 0, "vxassist -g shdg make vol2 1m shdg01");
    run(&cluster, 0, "vxedit -g shdg -rf rm vol2");
    assert!(volumes::snapshot(&cluster.cluster, 0).unwrap().cluster.nodes[1].is_member);
    assert!(disk.waiting() > 0);
    disk.answer();
    let left = leaving.wait_with_output().unwrap();
    assert!(left.status.success(), "{}", String::from_utf8_lossy(&left.stderr));
    wait_members(&cluster, 0, &[0, 2]);
    run(&cluster, 1, "vxclustadm -m vcs -t gab startnode");
    wait_members(&cluster, 0, &[0, 1, 2]);
    run(&cluster, 1, "vxdg -g shdg set activation=sw");
    wait::until("node 1 has heard the disk", LIMIT, || {
        Ok(programs::run(&cluster, 0, &attach, "").ok())
    })
    .unwrap();
    let load = [fio(&cluster, 0, "vol1", "0"), fio(&cluster, 1, "vol1", "4m")];
    load.into_iter().for_each(verified);
    assert_eq!(failed(&cluster, "vol1"), None);
    check_on(&cluster, 1, "vol1");
    drop(cluster);
}

/// What vxiod itself writes to logs is bounded, too: a view waits for it, and all that is shared with it.
#[test]
fn a_log_that_hangs_for_the_master_holds_up_nobody_for_long() {
    if is_barred() || are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let hasty = UpOptions { io_timeout: 2, ..options() };
    let mut cluster =
        prepared_as(hasty, &["vol1 8m layout=mirror,log init=active shdg01 shdg02 shdg03"]);
    let map = VolumeMap::new(&group(&cluster, 0), "vol1").unwrap();
    let copy = &map.mirror(MirrorIndex::VOLUME).log.as_ref().unwrap().copies[0];
    let member = map.members()[copy.disk.0].name.as_str();
    let number: u32 = member.trim_start_matches("shdg0").parse().unwrap();
    let path = cluster.cluster.root(0).join(format!("dev/vx/dmp/disk_{}", number - 1));
    let disk = Hanging::instead_of(&path);
    let doomed = fio(&cluster, 1, "vol1", "4m");
    wait::until("node 1 writes", LIMIT, || {
        Ok(group(&cluster, 0).volumes["vol1"].writers.contains(&1).then_some(()))
    })
    .unwrap();
    disk.hang_writes();
    cluster.kill(1).unwrap();
    let is_log_off =
        |group: &cvm::model::Group| group.plexes[&copy.plex].kernel == KernelState::Detached;
    wait::until("the copies are equal, and the log is off", LIMIT, || {
        let group = group(&cluster, 0);
        let volume = &group.volumes["vol1"];
        let is_over = volume.state == VolumeState::Active && volume.writers.is_empty();
        Ok((is_over && is_log_off(&group)).then_some(()))
    })
    .unwrap();
    assert!(disk.waiting() > 0, "it owes answers");
    drop(doomed.wait_with_output());
    verified(fio(&cluster, 0, "vol1", "0"));
    check_on(&cluster, 0, "vol1");
    disk.answer();
    cluster.start(1).unwrap();
    run(&cluster, 1, "vxdg -g shdg set activation=sw");
    verified(fio(&cluster, 1, "vol1", "4m"));
    check_on(&cluster, 1, "vol1");
    drop(cluster);
}

/// Writes to a volume of two mirrors go on at nodes 0 and 1, and the second mirror owes node 1 answers:
/// to a ring of the system, for it is a block device.
fn with_a_write_under_way(options: UpOptions) -> Owing {
    let cluster = prepared_as(options, &["vol1 8m layout=mirror init=active shdg01 shdg02"]);
    let link = cluster.cluster.root(1).join("dev/vx/dmp/disk_1");
    let below = cluster.folder().join("hanging");
    symlink(fs::canonicalize(&link).unwrap(), &below).unwrap();
    let disk = Hanging::instead_of(&below);
    let device = Loop::over(&below, "--direct-io=off");
    fs::remove_file(&link).unwrap();
    symlink(device.device(), &link).unwrap();
    let (doomed, load) = (fio(&cluster, 1, "vol1", "4m"), fio(&cluster, 0, "vol1", "0"));
    wait::until("node 1 writes", LIMIT, || {
        Ok(group(&cluster, 0).volumes["vol1"].writers.contains(&1).then_some(()))
    })
    .unwrap();
    disk.hang_writes();
    wait::until("a write is under way", LIMIT, || Ok((disk.waiting() > 0).then_some(()))).unwrap();
    Owing { cluster, doomed, load, device, disk }
}

struct Owing {
    cluster: Temporary,
    /// The load of node 1.
    doomed: Child,
    /// The load of node 0.
    load: Child,
    device: Loop,
    disk: Hanging,
}

impl Owing {
    /// gabd of node 1 ends in order: not before the disk has answered, and nobody goes on before.
    fn ends_gabd(&mut self) {
        let Self { cluster, disk, .. } = self;
        let gabd = cluster.cluster.node(1).gabd.unwrap();
        assert!(gabd.signal(Signal::TERM).unwrap());
        let log = cluster.cluster.root(1).join("var/log/gabd.log");
        wait::until("gabd waits for vxiod", LIMIT, || {
            Ok(fs::read_to_string(&log)?.contains("Port v: its client is waited for").then_some(()))
        })
        .unwrap();
        wait_out(cluster, 1);
        let ports = control::snapshot(&cluster.cluster, 0).unwrap().gab.ports;
        let port_v = ports.into_iter().find(|port| port.port == "v").unwrap();
        assert_eq!(port_v.members, [0, 1, 2], "the others wait");
        assert!(group(cluster, 0).volumes["vol1"].writers.contains(&1), "nobody has missed it");
        assert!(disk.waiting() > 0);
        assert_ne!(gabd.state(), State::Gone);
        disk.answer();
        assert!(gabd.wait_gone(LIMIT).unwrap(), "it leaves when that is over");
        assert!(!cluster.cluster.root(1).join("run/gabd.halted").exists(), "in order");
        cluster.kill(1).unwrap();
        cluster.start(1).unwrap();
    }

    /// The disk has answered and node 1 is back: copies are equal, and no acknowledged write is lost.
    fn ends_well(self) {
        let Self { cluster, doomed, load, device, disk } = self;
        drop(doomed.wait_with_output());
        verified(load);
        wait_members(&cluster, 0, &[0, 1, 2]);
        wait::until("the copies are equal", LIMIT, || {
            let volume = &group(&cluster, 0).volumes["vol1"];
            Ok((volume.state == VolumeState::Active && volume.writers.is_empty()).then_some(()))
        })
        .unwrap();
        check_on(&cluster, 0, "vol1");
        drop(cluster);
        drop((device, disk));
    }
}

/// What a process has told a block device through a ring goes on when the process is killed. Nobody may
/// make copies equal before that is done, or it comes over them.
#[test]
fn what_a_killed_vxiod_has_told_its_disks_is_waited_for() {
    if is_barred() || are_missing(CLIENTS) || are_missing(&["losetup"]) || Loop::is_barred() {
        return;
    }
    let _room = beside_another();
    let mut owing = with_a_write_under_way(options());
    let Owing { cluster, disk, .. } = &mut owing;
    let vxiod = cluster.cluster.node(1).vxiod.unwrap();
    assert!(vxiod.signal(Signal::KILL).unwrap());
    assert!(vxiod.wait_gone(LIMIT).unwrap(), "it does not wait for its disks");
    let log = cluster.cluster.root(1).join("var/log/gabd.log");
    wait::until("gabd waits for what it has left", LIMIT, || {
        Ok(fs::read_to_string(&log)?
            .contains("Port v: the process of client vxiod is gone")
            .then_some(()))
    })
    .unwrap();
    assert!(disk.waiting() > 0);
    wait_members(cluster, 0, &[0, 1, 2]);
    assert!(group(cluster, 0).volumes["vol1"].writers.contains(&1), "nobody has missed it");
    // The next one waits for it, too. It lives as long as the thread that has started it.
    let log = cluster.cluster.root(1).join("var/log/vxiod.log");
    std::thread::scope(|scope| {
        let answered = scope.spawn(|| {
            wait::until("the next vxiod waits", LIMIT, || {
                let said = fs::read_to_string(&log)?;
                Ok(said.contains("what the vxiod before has left under way").then_some(()))
            })
            .unwrap();
            assert!(disk.waiting() > 0);
            disk.answer();
        });
        cluster.start_volumes(1).unwrap();
        answered.join().unwrap();
    });
    owing.ends_well();
}

/// The same for a gabd that ends in order below a vxiod that lives.
#[test]
fn what_vxiod_has_told_its_disks_is_waited_for_when_its_node_leaves() {
    if is_barred() || are_missing(CLIENTS) || are_missing(&["losetup"]) || Loop::is_barred() {
        return;
    }
    let _room = beside_another();
    let mut owing = with_a_write_under_way(options());
    owing.ends_gabd();
    owing.ends_well();
}

/// And below one that has left the cluster at once, and closes its port when that is over.
#[test]
fn what_a_node_that_is_out_has_told_its_disks_is_waited_for_when_gabd_ends() {
    if is_barred() || are_missing(CLIENTS) || are_missing(&["losetup"]) || Loop::is_barred() {
        return;
    }
    let _room = beside_another();
    let mut owing = with_a_write_under_way(UpOptions { io_timeout: 5, ..options() });
    run(&owing.cluster, 1, "vxclustadm abortnode");
    let log = owing.cluster.cluster.root(1).join("var/log/vxiod.log");
    wait::until("the port waits for what was given up", LIMIT, || {
        Ok(fs::read_to_string(&log)?.contains("port v is closed when disks have").then_some(()))
    })
    .unwrap();
    owing.ends_gabd();
    owing.ends_well();
}

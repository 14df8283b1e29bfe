//! CVM with real processes and real files as disks: what utilities are told, what the disks hold.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;

use crate::process::{LIMIT, beside_another, options};
use crate::process_volumes::group_if_any as group;
use cvm::disk::{CopyKind, ImportRequest, choose};
use cvm::model::op::{DiskName, Init, Make, Op, VolumeLayout};
use cvm::model::{Copies, Name, Owner};
use cvm::request::{DiskRequest, GroupRequest, Reply, Request};
use tools::muster::temporary::Temporary;
use tools::muster::testbed::UpOptions;
use tools::muster::{programs, volumes, wait};

fn up() -> Temporary {
    let options = UpOptions { disks: 4, disk_size: 64 << 20, ..options() };
    Temporary::up(&options).unwrap_or_else(|error| panic!("{error:#}"))
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

#[track_caller]
fn done(cluster: &Temporary, node: u8, request: &Request) {
    let reply = volumes::ask(&cluster.cluster, node, request).unwrap();
    assert_eq!(reply, Reply::Done, "node {node}: {request:?}");
}

fn init() -> Request {
    let disk = |number| DiskName { name: None, access: format!("disk_{number}") };
    Request::Group(GroupRequest::Init {
        name: name("shdg"),
        shared: true,
        disks: (0..3).map(disk).collect(),
        minors: None,
        nconfig: Copies::Default,
        nlog: Copies::Default,
        cds: true,
    })
}

fn make(volume: &str) -> Request {
    let make =
        Make { init: Init::Active, ..Make::new(name(volume), Some(2048), VolumeLayout::Mirror) };
    Request::Op { group: name("shdg"), op: Op::Make(Box::new(make)) }
}

fn prepared() -> Temporary {
    let cluster = up();
    for number in 0..4 {
        let (access, force) = (format!("disk_{number}"), false);
        let setup = DiskRequest::Setup { access, force, private_len: Some(8192) };
        done(&cluster, 0, &Request::Disk(setup));
    }
    done(&cluster, 0, &init());
    cluster
}

fn volume_names(cluster: &Temporary, node: u8) -> BTreeSet<String> {
    let group = group(cluster, node).unwrap();
    group.volumes.keys().map(ToString::to_string).collect()
}

/// The group as its disks have it, read as an import reads them.
fn on_disk(cluster: &Temporary) -> cvm::disk::Choice {
    let found: Vec<_> = volumes::disk_paths(&cluster.cluster)
        .iter()
        .map(|path| cvm::io::Device::open(path).unwrap().examine("disk").unwrap())
        .collect();
    let id = group(cluster, master(cluster)).unwrap().id;
    let owners = vec![Owner::Cluster(name(&format!("cvm{}", cluster.cluster.cluster_id)))];
    let request = ImportRequest { group: id, owners, clear: false, force: false, select: None };
    choose(&request, &found).unwrap()
}

/// The master, as the nodes that run see it.
fn master(cluster: &Temporary) -> u8 {
    let see = |node| volumes::snapshot(&cluster.cluster, node).ok()?.cluster.master;
    cluster.cluster.running().into_iter().find_map(see).unwrap()
}

pub(crate) fn wait_members(cluster: &Temporary, node: u8, members: &[u8]) {
    wait::until(&format!("node {node} has the members {members:?}"), LIMIT, || {
        let snapshot = volumes::snapshot(&cluster.cluster, node)?;
        let nodes = snapshot.cluster.nodes.iter().filter(|node| node.is_member);
        let now: Vec<u8> = nodes.map(|node| node.node).collect();
        Ok((now == members && !snapshot.cluster.is_suspended).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}"));
}

/// The node knows that it is out, and has nothing under way any more.
pub(crate) fn wait_out(cluster: &Temporary, node: u8) {
    wait::until(&format!("node {node} is out of the cluster"), LIMIT, || {
        let state = volumes::snapshot(&cluster.cluster, node)?.cluster.state;
        Ok((state == "out of cluster").then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}"));
}

/// CVM-31, CVM-33, CVM-37, CVM-45.
#[test]
fn a_group_is_seen_and_changed_on_all_nodes_and_outlives_its_master() {
    let _room = beside_another();
    let mut cluster = prepared();
    for node in 0..3 {
        assert_eq!(group(&cluster, node), group(&cluster, 0), "node {node}");
    }
    done(&cluster, 0, &make("vol1"));
    // From a slave: the master carries it out.
    done(&cluster, 2, &make("vol2"));
    for node in 0..3 {
        assert_eq!(volume_names(&cluster, node).len(), 2, "node {node}");
    }
    assert_eq!(master(&cluster), 0);
    assert!(cluster.kill(0).unwrap());
    wait_members(&cluster, 1, &[1, 2]);
    done(&cluster, 2, &make("vol3"));
    let choice = on_disk(&cluster);
    assert_eq!(Some(&*choice.image.group), group(&cluster, 1).as_ref(), "on disk");
    assert_eq!(choice.image.copies.active(CopyKind::Config).count(), 3);
    cluster.start(0).unwrap();
    wait_members(&cluster, 0, &[0, 1, 2]);
    assert_eq!(group(&cluster, 0), group(&cluster, 1), "who comes back is told everything");
    cluster.down().unwrap();
}

/// A master that stood still in the middle of a transaction changes nothing on disk when it goes on
/// after its successor has committed another. Longer by hand: `MUSTER_FREEZES`.
#[test]
fn a_frozen_master_changes_nothing_on_disk() {
    let _room = beside_another();
    let times = std::env::var("MUSTER_FREEZES").ok().and_then(|text| text.parse().ok());
    for round in 0..times.unwrap_or(2) {
        let cluster = prepared();
        let asked = std::thread::scope(|scope| {
            let ask = || volumes::ask(&cluster.cluster, 0, &make("frozen"));
            let asked = std::thread::Builder::new().spawn_scoped(scope, ask).unwrap();
            // Somewhere in the dozen milliseconds that it takes, another place each time.
            wait::pause(std::time::Duration::from_micros(700 * ((round * 7 + 5) % 20)));
            cluster.pause(0, true).unwrap();
            wait_members(&cluster, 1, &[1, 2]);
            done(&cluster, 1, &make("next"));
            let (before, table) = (on_disk(&cluster), group(&cluster, 1).unwrap());
            assert_eq!(*before.image.group, table, "round {round}");
            cluster.pause(0, false).unwrap();
            let asked = asked.join().unwrap();
            wait_out(&cluster, 0);
            let after = on_disk(&cluster);
            assert_eq!(after.image, before.image, "round {round}: it changes nothing");
            asked
        });
        // What the utility was told is what happened.
        let is_there = volume_names(&cluster, 1).contains("frozen");
        match asked {
            Ok(Reply::Done) => assert!(is_there, "round {round}"),
            Ok(Reply::Failed(_)) => assert!(!is_there, "round {round}"),
            Ok(_) | Err(_) => {}
        }
        cluster.down().unwrap();
    }
}

fn command(cluster: &Temporary, node: u8, line: &str) -> anyhow::Result<String> {
    let words: Vec<&str> = line.split(' ').collect();
    programs::run(cluster, node, &words, "")
}

/// Facts 3.7, CVM-17, CVM-18: without a vxconfigd nothing is changed, and nothing is lost.
#[test]
fn a_vxconfigd_that_is_killed_is_missed_and_comes_back_to_what_is_in_force() {
    let _room = beside_another();
    let mut cluster = prepared();
    done(&cluster, 0, &make("vol1"));
    for gone in [2, 0] {
        let process = cluster.cluster.node(gone).vxconfigd.unwrap();
        process.signal(rustix::process::Signal::KILL).unwrap();
        assert!(process.wait_gone(LIMIT).unwrap());
        // The others notice when its ports are closed, and say who it is.
        wait::until("vxassist names the node", LIMIT, || {
            let said = command(&cluster, 1, "vxassist -g shdg make vol2 1m").unwrap_err();
            let said = format!("{said:#}");
            Ok(said.contains(&format!("V-5-1-2197 node {gone}: missing vxconfigd")).then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error:#}"));
        let mode = command(&cluster, gone, "vxdctl mode").unwrap_err();
        assert!(format!("{mode:#}").contains("exit status: 3"), "{mode:#}");
        // Listings of others go on, and the master stays master.
        assert_eq!(volume_names(&cluster, 1).len(), 1);
        cluster.start_volumes(gone).unwrap();
        wait_members(&cluster, gone, &[0, 1, 2]);
        assert_eq!(group(&cluster, gone), group(&cluster, 1));
        assert_eq!(master(&cluster), 0);
    }
    wait::until("it can be changed again", LIMIT, || {
        Ok(command(&cluster, 1, "vxassist -g shdg make vol2 1m").ok())
    })
    .unwrap_or_else(|error| panic!("{error:#}"));
    // One that takes over from another, in the background, as -k has it.
    command(&cluster, 2, "vxconfigd -k").unwrap();
    wait::until("it can be changed after -k", LIMIT, || {
        Ok(command(&cluster, 2, "vxassist -g shdg make vol3 1m").ok())
    })
    .unwrap_or_else(|error| panic!("{error:#}"));
    command(&cluster, 2, "vxdctl disable").unwrap();
    assert_eq!(command(&cluster, 2, "vxdctl -c mode").unwrap(), "mode: disabled\n");
    assert!(command(&cluster, 2, "vxassist -g shdg make vol4 1m").is_err());
    command(&cluster, 2, "vxdctl enable").unwrap();
    wait::until("it can be changed after enable", LIMIT, || {
        Ok(command(&cluster, 2, "vxassist -g shdg make vol4 1m").ok())
    })
    .unwrap_or_else(|error| panic!("{error:#}"));
    command(&cluster, 2, "vxdctl stop").unwrap();
    assert_eq!(volume_names(&cluster, 0).len(), 4);
    cluster.down().unwrap();
}

/// CVM-22, CVM-34, facts 3.11.
#[test]
fn a_node_leaves_and_another_is_made_master() {
    let _room = beside_another();
    let cluster = prepared();
    command(&cluster, 0, "vxclustadm setmaster node1").unwrap();
    wait::until("node 1 is master everywhere", LIMIT, || {
        let all = (0..3).map(|node| volumes::snapshot(&cluster.cluster, node));
        let masters: anyhow::Result<Vec<_>> = all.map(|s| s.map(|s| s.cluster.master)).collect();
        Ok(masters?.iter().all(|master| *master == Some(1)).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error:#}"));
    done(&cluster, 2, &make("vol1"));
    command(&cluster, 2, "vxclustadm setpreference 5").unwrap();
    command(&cluster, 1, "vxclustadm stopnode").unwrap();
    assert_eq!(
        command(&cluster, 1, "vxclustadm nodestate").unwrap(),
        "state: out of cluster\nreason: user initiated stop\n"
    );
    assert!(group(&cluster, 1).is_none(), "it is deported there");
    wait_members(&cluster, 0, &[0, 2]);
    assert_eq!(master(&cluster), 2, "the one that wants it most");
    done(&cluster, 0, &make("vol2"));
    command(&cluster, 1, "vxclustadm -m vcs -t gab startnode").unwrap();
    wait_members(&cluster, 1, &[0, 1, 2]);
    assert_eq!(group(&cluster, 1), group(&cluster, 0));
    cluster.down().unwrap();
}

/// `vxprint -m` and `vxmake`, `vxconfigbackup` and `vxconfigrestore`: a group is there again as it was.
#[test]
fn a_group_that_was_written_down_is_made_again() {
    let _room = beside_another();
    let cluster = prepared();
    for line in [
        "vxassist -g shdg make vol1 2m layout=mirror",
        "vxassist -g shdg make vol2 3m layout=stripe ncol=3",
        "vxassist -g shdg make vol3 1m layout=mirror logtype=drl",
    ] {
        command(&cluster, 1, line).unwrap();
    }
    let written = command(&cluster, 2, "vxprint -g shdg -m").unwrap();
    let shown = command(&cluster, 2, "vxprint -g shdg -ht").unwrap();
    command(&cluster, 0, "vxconfigbackup shdg").unwrap();
    command(&cluster, 0, "vxedit -g shdg -rf rm vol1 vol2 vol3").unwrap();
    assert_eq!(command(&cluster, 1, "vxprint -g shdg -vn").unwrap(), "");
    programs::run(&cluster, 1, &["vxmake", "-g", "shdg", "-d", "-"], &written).unwrap();
    assert_eq!(command(&cluster, 2, "vxprint -g shdg -ht").unwrap(), shown);
    command(&cluster, 0, "vxdg destroy shdg").unwrap();
    command(&cluster, 0, "vxconfigrestore -p shdg").unwrap();
    command(&cluster, 0, "vxconfigrestore -c shdg").unwrap();
    // Nobody knows whether copies are equal that are as old as the backup says.
    command(&cluster, 0, "vxrecover -g shdg").unwrap();
    for node in 0..3 {
        wait::until("all is as it was", LIMIT, || {
            let now = command(&cluster, node, "vxprint -g shdg -ht").unwrap();
            Ok((now == shown).then_some(()))
        })
        .unwrap();
    }
    cluster.down().unwrap();
}

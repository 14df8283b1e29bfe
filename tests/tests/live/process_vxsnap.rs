//! Instant snapshots with real processes: both volumes are in use on two nodes while one is filled from the
//! other, and nodes are killed.

use cvm::model::{KernelState, VolumeState};
use tools::muster::temporary::Temporary;
use tools::muster::volumes::snapshot;
use tools::muster::{programs, wait};

use crate::process::{LIMIT, are_missing, beside_another, run};
use crate::process_volumes::{
    CLIENTS, check_on, copies, fio, group, prepared, read, verified, write,
};

const MIB: usize = 1 << 20;

fn vxsnap(cluster: &Temporary, node: u8, line: &str) -> String {
    run(cluster, node, &format!("vxsnap -g shdg {line}"))
}

/// A volume of two copies, and one of one that is to be its snapshot.
fn volumes(megabytes: u32) -> Temporary {
    let (vol1, snap) =
        (format!("vol1 {megabytes}m layout=mirror"), format!("snap {megabytes}m init=active"));
    let cluster = prepared(&[&vol1, &snap]);
    vxsnap(&cluster, 1, "prepare snap");
    cluster
}

/// The byte that each megabyte consists of.
fn bytes(held: &[u8]) -> Vec<u8> {
    let one = |mib: &[u8]| {
        assert!(mib.iter().all(|byte| *byte == mib[0]));
        mib[0]
    };
    held.chunks(MIB).map(one).collect()
}

#[test]
fn a_snapshot_is_there_at_once_and_a_volume_is_restored_at_once() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let cluster = volumes(8);
    write(&cluster, 0, "vol1", 1, "0 8m");
    // Nothing is filled but what somebody wants.
    vxsnap(&cluster, 0, "make source=vol1/snapvol=snap/syncing=no");
    write(&cluster, 1, "vol1", 2, "3m 1m");
    write(&cluster, 0, "vol1", 3, "6m 1m");
    write(&cluster, 1, "snap", 4, "5m 1m");
    assert_eq!(bytes(&read(&cluster, 0, "vol1")), [1, 1, 1, 2, 1, 1, 3, 1]);
    assert_eq!(bytes(&read(&cluster, 1, "snap")), [1, 1, 1, 1, 1, 4, 1, 1]);
    assert!(read(&cluster, 0, "snap") == read(&cluster, 1, "snap"));
    vxsnap(&cluster, 1, "syncwait snap");
    let shown = vxsnap(&cluster, 0, "print");
    assert!(shown.contains("100.00") && !shown.contains("SYNCING"), "{shown}");
    assert!(copies(&cluster, "snap")[0] == read(&cluster, 0, "snap"), "it is its own by now");

    vxsnap(&cluster, 1, "refresh snap syncing=no");
    write(&cluster, 0, "vol1", 5, "0 1m");
    let shown = vxsnap(&cluster, 1, "print snap");
    assert!(shown.contains("SYNCING"), "{shown}");
    vxsnap(&cluster, 0, "syncresume snap");
    vxsnap(&cluster, 0, "syncwait snap");
    assert_eq!(bytes(&read(&cluster, 1, "snap")), [1, 1, 1, 2, 1, 1, 3, 1]);

    vxsnap(&cluster, 0, "prepare vol1");
    vxsnap(&cluster, 0, "restore vol1 source=snap syncing=no");
    write(&cluster, 1, "snap", 6, "7m 1m");
    write(&cluster, 0, "vol1", 7, "1m 1m");
    assert_eq!(bytes(&read(&cluster, 1, "vol1")), [1, 7, 1, 2, 1, 1, 3, 1]);
    vxsnap(&cluster, 0, "syncwait vol1");
    check_on(&cluster, 1, "vol1");
    assert_eq!(bytes(&read(&cluster, 0, "snap")), [1, 1, 1, 2, 1, 1, 3, 6]);
    vxsnap(&cluster, 0, "dis snap");
    assert!(group(&cluster, 1).volumes["snap"].snapshot_of.is_none());
    cluster.down().unwrap();
}

/// The master dies while both volumes are in use.
#[test]
fn a_snapshot_is_filled_to_the_end_by_another_master() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let cluster = volumes(24);
    wait::until("node 2 is master", LIMIT, || {
        Ok(programs::run(&cluster, 0, &["vxclustadm", "setmaster", "node2"], "").ok())
    })
    .unwrap();
    write(&cluster, 1, "vol1", 1, "0 24m");
    let id = group(&cluster, 1).volumes["snap"].minor;
    vxsnap(&cluster, 1, "make source=vol1/snapvol=snap/syncing=no");
    let load = fio(&cluster, 1, "vol1", "4m");
    run(&cluster, 1, &format!("vxtask set slow=200 {id}"));
    wait::until("it is being filled", LIMIT, || {
        let snapshot = snapshot(&cluster.cluster, 1).unwrap();
        let task = snapshot.tasks.iter().find(|task| task.source.is_some()).cloned();
        Ok(task.filter(|task| task.at > 2048).map(drop))
    })
    .unwrap();
    cluster.kill(2).unwrap();
    verified(load);
    let snap = read(&cluster, 1, "snap");
    assert_eq!(bytes(&snap), [1; 24]);
    vxsnap(&cluster, 1, "syncwait snap");
    assert!(copies(&cluster, "snap")[0] == snap);
    check_on(&cluster, 1, "vol1");
    let snap = &group(&cluster, 1).volumes["snap"];
    assert_eq!((snap.kernel, snap.state), (KernelState::Enabled, VolumeState::Active));
    cluster.down().unwrap();
}

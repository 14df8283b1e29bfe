//! The I/O lease with real processes: gabd stands still, vxiod does not, and no message can tell it that
//! the others have gone on.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use rustix::process::Signal;
use tools::muster::temporary::Temporary;
use tools::muster::{volumes, wait};

use crate::process::{LIMIT, are_missing, beside_another, run};
use crate::process_cvm::{wait_members, wait_out};
use crate::process_volumes::{CLIENTS, copies, fio, prepared, verified, write};

/// Waits until what node 1 writes changes no more, or changes.
fn wait_change(cluster: &Temporary, changes: bool) {
    let mut before = copies(cluster, "flat");
    wait::until(&format!("what is written changes: {changes}"), LIMIT, || {
        // Some other writes take some time.
        for byte in 1..=5 {
            write(cluster, 0, "other", byte, "0 64k");
        }
        let now = copies(cluster, "flat");
        let has_changed = std::mem::replace(&mut before, now.clone()) != now;
        Ok((has_changed == changes).then_some(()))
    })
    .unwrap();
}

/// Design of CVM, "I/O lease": nothing reaches shared disks after others have gone on.
#[test]
fn a_node_whose_gabd_stands_still_writes_nothing_after_others_have_gone_on() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&["flat 4m", "other 1m"]);
    let load = fio(&cluster, 1, "flat", "0");
    wait_change(&cluster, true);
    let gabd = cluster.cluster.node(1).gabd.unwrap();
    assert!(gabd.signal(Signal::STOP).unwrap());
    // The others go on when they have given it up; by then its lease has run out.
    wait_members(&cluster, 0, &[0, 2]);
    let kept = copies(&cluster, "flat");
    for byte in 1..=100 {
        write(&cluster, 0, "other", byte, "0 64k");
    }
    assert!(copies(&cluster, "flat") == kept, "node 1 has written");
    let snapshot = volumes::snapshot(&cluster.cluster, 1).unwrap();
    assert_eq!(snapshot.cluster.state, "cluster member", "nobody has told it");

    // It is told now: what waited fails, and has changed nothing.
    assert!(gabd.signal(Signal::CONT).unwrap());
    wait_out(&cluster, 1);
    let output = load.wait_with_output().unwrap();
    assert!(!output.status.success(), "its node was thrown out");
    assert!(copies(&cluster, "flat") == kept, "node 1 has written");
    cluster.down().unwrap();
}

/// A pause that is shorter than what the others bear costs time and nothing else.
#[test]
fn io_waits_for_a_lease_and_goes_on() {
    if are_missing(CLIENTS) {
        return;
    }
    let _room = beside_another();
    let cluster = prepared(&["flat 4m", "other 1m"]);
    let load = fio(&cluster, 1, "flat", "0");
    wait_change(&cluster, true);
    // The others bear a minute of silence from now on, node 1 is bound by its own half of a second.
    for node in [0, 2] {
        run(&cluster, node, "lltconfig -T peerinact:18000");
        run(&cluster, node, "gabconfig -S conn_wait:256");
    }
    let gabd = cluster.cluster.node(1).gabd.unwrap();
    assert!(gabd.signal(Signal::STOP).unwrap());
    wait_change(&cluster, false);
    assert!(gabd.signal(Signal::CONT).unwrap());
    wait_change(&cluster, true);
    verified(load);
    wait_members(&cluster, 1, &[0, 1, 2]);
    cluster.down().unwrap();
}

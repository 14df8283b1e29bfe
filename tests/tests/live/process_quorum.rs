//! Real daemons under a majority (`-q`): who goes on after a split, and how the others end.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;

use crate::process::{LIMIT, beside_another, muster, options, port, text};
use gab::client::{Options, Port};
use gab::{ClientEvent, CloseReason};
use rustix::process::{Pid, WaitOptions, waitpid};
use tools::muster::control;
use tools::muster::formed::wait_formed;
use tools::muster::process::State;
use tools::muster::temporary::Temporary;
use tools::muster::testbed::UpOptions;
use tools::muster::wait::until;

fn up(nodes: u8) -> Temporary {
    let options = UpOptions { nodes, quorum: true, ..options() };
    Temporary::up(&options).unwrap_or_else(|error| panic!("{error:#}"))
}

/// What `muster` prints.
fn told(cluster: &Temporary, words: &[&str]) -> String {
    text(&muster(cluster, words).output().unwrap())
}

/// Waits until the gabd of a node has ended by itself; its exit status.
fn ended(cluster: &Temporary, node: u8) -> Option<i32> {
    // Whoever looks at the process reaps it, so nothing else may look first.
    let pid = Pid::from_raw(cluster.cluster.node(node).gabd.unwrap().pid);
    let reap = || Ok(waitpid(pid, WaitOptions::NOHANG)?);
    let (_, status) = until("gabd ends", LIMIT, reap).unwrap();
    status.exit_status()
}

/// What `muster status` says of a node's gabd: the fourth column.
fn shown(cluster: &Temporary, node: u8) -> String {
    let text = told(cluster, &["status"]);
    let line = text.lines().find(|line| line.trim_start().starts_with(&format!("{node} ")));
    let columns: Vec<&str> = line.unwrap().split_whitespace().collect();
    columns[3].trim_end_matches(',').to_owned()
}

fn wait_alone(cluster: &Temporary, nodes: &[u8]) {
    wait_formed(&cluster.cluster, nodes, LIMIT).unwrap_or_else(|error| panic!("{error:#}"));
}

#[test]
fn a_node_without_the_others_halts_and_two_of_three_go_on() {
    let _room = beside_another();
    let mut cluster = up(3);
    let listing = told(&cluster, &["exec", "0", "gabconfig", "-l"]);
    assert!(listing.contains("Quorum flag          : Enabled\n"), "{listing}");
    let root = cluster.cluster.root(2);
    let client = Options { root: root.clone(), ..Options::default() };
    let mut client = Port::register(port('Q'), &client).unwrap();
    cluster.partition(&[vec![0, 1], vec![2]]).unwrap();
    assert_eq!(ended(&cluster, 2), Some(75));
    let closed = loop {
        match client.recv_timeout(LIMIT).expect("the end comes") {
            ClientEvent::Closed(reason) => break reason,
            ClientEvent::Deliver(_) | ClientEvent::Status(_) | ClientEvent::View(_) => {}
        }
    };
    assert_eq!(closed, CloseReason::Ejected, "its client learns that it was its own node");
    wait_alone(&cluster, &[0, 1]);
    assert_eq!([0, 1, 2].map(|node| shown(&cluster, node)), ["running", "running", "halted"]);
    let json: serde_json::Value =
        serde_json::from_str(&told(&cluster, &["status", "--json"])).unwrap();
    assert_eq!(json["nodes"][2]["halted"], "loss of quorum");
    assert!(json["nodes"][0]["halted"].is_null());
    let log = fs::read_to_string(root.join("var/log/gabd.log")).unwrap();
    for line in [
        "GAB WARNING quorum lost: 1 of 3 are left, ; 2 of 012",
        "GAB: Port a halting system due to loss of quorum",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    // Nobody starts it but the operator, and then it joins.
    cluster.heal().unwrap();
    assert_eq!(cluster.cluster.node(2).state(), State::Gone);
    assert!(cluster.start(2).unwrap());
    wait_alone(&cluster, &[0, 1, 2]);
    assert_eq!(shown(&cluster, 2), "running");
    cluster.down().unwrap();
}

#[test]
fn s37_node_0_is_in_the_minority_and_only_the_majority_goes_on() {
    let _room = beside_another();
    let mut cluster = up(5);
    cluster.partition(&[vec![0, 3], vec![1, 2, 4]]).unwrap();
    for node in [0, 3] {
        assert_eq!(ended(&cluster, node), Some(75));
    }
    wait_alone(&cluster, &[1, 2, 4]);
    cluster.down().unwrap();
}

#[test]
fn s38_of_two_halves_of_a_cluster_that_grew_that_with_node_0_goes_on() {
    let _room = beside_another();
    let mut cluster = up(4);
    for node in 2..4 {
        assert!(cluster.stop(node).unwrap(), "node {node} leaves in order");
    }
    wait_alone(&cluster, &[0, 1]);
    for node in 2..4 {
        assert!(cluster.start(node).unwrap(), "node {node} does not join");
    }
    wait_alone(&cluster, &[0, 1, 2, 3]);
    cluster.partition(&[vec![1, 2], vec![0, 3]]).unwrap();
    for node in 1..3 {
        assert_eq!(ended(&cluster, node), Some(75));
        assert_eq!(shown(&cluster, node), "halted");
    }
    wait_alone(&cluster, &[0, 3]);
    cluster.down().unwrap();
}

#[test]
fn the_flag_may_be_switched_off_while_gabd_runs() {
    let _room = beside_another();
    let mut cluster = up(2);
    for node in ["0", "1"] {
        told(&cluster, &["exec", node, "gabconfig", "-d"]);
        let listing = told(&cluster, &["exec", node, "gabconfig", "-l"]);
        assert!(listing.contains("Quorum flag          : Disabled\n"), "{listing}");
    }
    cluster.partition(&[vec![0], vec![1]]).unwrap();
    wait_alone(&cluster, &[0]);
    wait_alone(&cluster, &[1]);
    assert!(control::snapshot(&cluster.cluster, 1).is_ok(), "node 1 goes on without node 0");
    cluster.down().unwrap();
}

#[test]
fn with_s_both_sides_of_a_split_go_on_though_the_flag_is_on() {
    let _room = beside_another();
    let mut cluster = up(2);
    for node in ["0", "1"] {
        told(&cluster, &["exec", node, "gabconfig", "-s"]);
        let listing = told(&cluster, &["exec", node, "gabconfig", "-l"]);
        assert!(listing.contains("Quorum flag          : Enabled\n"), "{listing}");
        assert!(listing.contains("Partition arbitration: Disabled\n"), "{listing}");
    }
    cluster.partition(&[vec![0], vec![1]]).unwrap();
    wait_alone(&cluster, &[0]);
    wait_alone(&cluster, &[1]);
    cluster.heal().unwrap();
    wait_alone(&cluster, &[0, 1]);
    let log = fs::read_to_string(cluster.cluster.root(1).join("var/log/gabd.log")).unwrap();
    let warned = "GAB WARNING single network (-s): no side of a split gives up";
    assert!(log.contains(warned) && !log.contains("halting system"), "{log}");
    cluster.down().unwrap();
}

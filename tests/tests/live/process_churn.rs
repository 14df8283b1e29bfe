//! Eight real daemons that come and go: nodes are stopped, killed, unconfigured and brought back, a
//! few at a time, and clients open and close ports. Two of the eight stay, and must not grow.
//!
//! `MUSTER_CHURN=1800` lets it go on for half an hour.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::time::Duration;

use crate::process::{LIMIT, alone, options, port, size};
use gab::admin::{AdminRequest, Configured, GabConfigure, RunningConfig};
use gab::client::{Options, Port};
use gab::{ClientEvent, Level};
use llt::io::Clock;
use sim::rng::{Draw, Seed};
use tools::muster::control;
use tools::muster::process::Process;
use tools::muster::temporary::Temporary;
use tools::muster::testbed::UpOptions;
use tools::muster::wait;

const NODES: u8 = 8;
/// These two live through all of it.
const STAY: u8 = 2;

/// What a daemon that stays has of the machine.
#[derive(Debug)]
struct Held {
    descriptors: usize,
    resident: u64,
}

fn pid(cluster: &Temporary, node: u8) -> u32 {
    control::request::<RunningConfig>(&cluster.cluster, node, &AdminRequest::Config).unwrap().pid
}

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// What the daemons that stay hold while nobody is connected to them.
fn held(pids: &[u32]) -> Vec<Held> {
    let one = |&pid: &u32| {
        let resident = Process::of(pid).unwrap().resident_bytes().unwrap();
        Held { descriptors: descriptors(pid), resident }
    };
    pids.iter().map(one).collect()
}

/// A program registers, sees itself a member, hears what it says, and goes; in order or not.
fn client(cluster: &Temporary, node: u8, letter: char, draw: &mut Draw) {
    let options = Options { root: cluster.cluster.root(node), ..Options::default() };
    let Ok(mut port) = Port::register(port(letter), &options) else {
        // Its node leaves at this moment.
        return;
    };
    loop {
        match port.recv() {
            ClientEvent::View(_) if port.broadcast(b"here", Level::Safe, false).is_ok() => {}
            ClientEvent::View(_) | ClientEvent::Status(_) => {}
            ClientEvent::Deliver(_) | ClientEvent::Closed(_) => break,
        }
    }
    if draw.chance(0.5) {
        let _ = port.close();
    }
}

/// One node goes in one of three ways; the word is for the output.
fn leave(cluster: &Temporary, node: u8, draw: &mut Draw) -> &'static str {
    match draw.pick(3) {
        0 => {
            assert!(cluster.kill(node).unwrap(), "gabd of node {node} had ended");
            "killed"
        }
        1 => {
            assert!(cluster.stop(node).unwrap(), "gabd of node {node} did not end by itself");
            "stopped"
        }
        _ => {
            let request = AdminRequest::GabUnconfigure;
            control::request::<()>(&cluster.cluster, node, &request).unwrap();
            "unconfigured"
        }
    }
}

fn come_back(cluster: &mut Temporary, node: u8, how: &str) {
    if how == "unconfigured" {
        let configure = GabConfigure { configure: true, ..GabConfigure::default() };
        let request = AdminRequest::GabConfigure(configure);
        control::request::<Configured>(&cluster.cluster, node, &request).unwrap();
    } else {
        cluster.start(node).unwrap();
    }
}

fn round(cluster: &mut Temporary, draw: &mut Draw) -> usize {
    let victims: BTreeSet<u8> = (0..draw.range(1, 3))
        .map(|_| u8::try_from(draw.range(u64::from(STAY), u64::from(NODES) - 1)).unwrap())
        .collect();
    let gone: Vec<(u8, &str)> =
        victims.iter().map(|&node| (node, leave(cluster, node, draw))).collect();
    for letter in ['A', 'B'] {
        let node = u8::try_from(draw.below(u64::from(NODES))).unwrap();
        if !victims.contains(&node) {
            client(cluster, node, letter, draw);
        }
    }
    // Half of the time nobody has noticed yet.
    if draw.chance(0.5) {
        let rest: Vec<u8> = (0..NODES).filter(|node| !victims.contains(node)).collect();
        tools::muster::formed::wait_formed(&cluster.cluster, &rest, LIMIT).unwrap();
    }
    let count = gone.len();
    for (node, how) in gone {
        come_back(cluster, node, how);
    }
    cluster.wait_formed().unwrap();
    count
}

#[test]
fn daemons_that_come_and_go_leave_equal_views_and_nothing_behind() {
    let _room = alone();
    let mut cluster = Temporary::up(&UpOptions { nodes: NODES, ..options() })
        .unwrap_or_else(|error| panic!("{error:#}"));
    let time = Duration::from_secs(size("MUSTER_CHURN", 12));
    let mut draw = Seed(size("MUSTER_SEED", 1)).child("churn").draw();
    let pids: Vec<u32> = (0..STAY).map(|node| pid(&cluster, node)).collect();

    let clock = Clock::new();
    let begun = clock.now();
    let passed = || clock.now().since(begun);
    let (mut rounds, mut went, mut before) = (0, 0, None);
    while before.is_none() || passed() < time {
        went += round(&mut cluster, &mut draw);
        rounds += 1;
        // What is there after some rounds is what it takes.
        if before.is_none() && (rounds >= 3 && passed() >= time / 15) {
            before = Some(held(&pids));
        }
    }
    let before = before.unwrap();
    println!("{rounds} rounds, {went} nodes went and came back, in {:?}", passed());

    let seen = |node| {
        let gab = control::snapshot(&cluster.cluster, node).unwrap().gab;
        let ports = gab.ports.into_iter().filter(|port| !port.members.is_empty());
        let ports = ports.map(|port| (port.port, port.generation, port.members));
        (gab.view, ports.collect::<Vec<_>>())
    };
    let first = seen(0);
    for node in 1..NODES {
        assert_eq!(seen(node), first, "node {node} sees something else than node 0");
    }
    for (pid, before) in pids.iter().zip(&before) {
        let closed = || Ok((descriptors(*pid) <= before.descriptors).then_some(()));
        wait::until("descriptors of connections are closed", LIMIT, closed).unwrap();
        let resident = Process::of(*pid).unwrap().resident_bytes().unwrap();
        let most = before.resident + before.resident / 10 + (2 << 20);
        println!("gabd {pid}: {before:?}, then {resident} bytes");
        assert!(resident <= most, "gabd {pid} has {resident} bytes, {before:?} in the beginning");
    }
    cluster.down().unwrap();
}

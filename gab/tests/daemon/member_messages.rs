//! Lines of the log about members that are no good (docs/operations.md): they are slow, say nothing,
//! stall, come back, or say what cannot be.

use std::collections::BTreeMap;
use std::fs;

use bytes::Bytes;
use gab::admin::{AdminRequest, Changed, Configured, Exclude, GabConfigure, GabTunable};
use gab::client::Port;
use gab::core::ArbiterKind;
use gab::ids::{PortName, Vid};
use gab::limits::{READY_VIEWS_MAX, WINDOW_SLOTS};
use gab::wire::{Body, Entry, EntryKind, Ordered, Proposal};
use gab::{Level, Versions};
use llt::{Id, Incarnation, NodeId};
use rustix::process::Signal;

use crate::fake::{FUTURE, Fake};
use crate::node::{Node, cluster, logged, wait_for};
use crate::support::{ask, members, options, port, snapshot};

/// A gabd and a peer that is played here, both members.
fn beside(fake: usize, gabtab: &str, arbiter: ArbiterKind) -> (Vec<Node>, Fake) {
    let mut nodes = cluster(2);
    let real = 1 - fake;
    fs::write(nodes[real].root().join("etc/gabtab"), gabtab).unwrap();
    nodes[real].start(&["--testbed"]);
    let mut played = Fake::start(&nodes[fake], |gab| gab.arbiter = arbiter);
    played.play("both together", |played| {
        played.stack.gab().view().is_some() && members(&nodes[real]) == [0, 1]
    });
    (nodes, played)
}

const GABTAB: &str = "/sbin/gabconfig -c -n2 -t 100\n";

#[test]
fn a_member_that_is_heard_and_acknowledges_nothing_is_slow_and_then_thrown_out() {
    let (nodes, mut fake) = beside(1, GABTAB, ArbiterKind::None);
    let mut client = Port::register(port('A'), &options(&nodes[0])).unwrap();
    fake.play("its membership", |_| client.try_recv().is_some());
    fake.mute = true;
    let mut sent = 0;
    fake.play("more than half of a window", |_| {
        while client.try_broadcast(&[7], Level::Agreed, true).is_ok() {
            sent += 1;
        }
        client.try_flush().unwrap();
        while client.try_recv().is_some() {}
        sent > WINDOW_SLOTS
    });
    let stuck = "GAB WARNING node 1 (node1) acknowledges nothing: thrown out";
    fake.play(stuck, |_| {
        while client.try_recv().is_some() {}
        nodes[0].log().contains(stuck)
    });
    let log = nodes[0].log();
    let at = |line: &str| log.find(line).unwrap_or_else(|| panic!("no `{line}` in:\n{log}"));
    // Connected, in the view, members of the port, what is held here, nobody in jeopardy; in order.
    let sets = "nid 0 [3:0:0:0] [3:0:0:0] [3:0:0:0] [1:0:0:0] [0:0:0:0] 1 1 ";
    let dumped = at(&format!("GAB INFO V-15-1-20033 Port a[GAB_Control (refcount 1)] {sets}"));
    let port = at("GAB INFO V-15-1-20033 Port A[GAB_USER_CLIENT (refcount 0)] nid 0 ");
    assert!(at("GAB INFO node 1 (node1) is slow: ") < dumped && dumped < port && port < at(stuck));
    wait_for("node 0 alone", || members(&nodes[0]) == [0]);
}

#[test]
fn a_member_that_answers_no_view_change_stalls_it_and_is_dropped() {
    let mut nodes = cluster(3);
    let llttab = nodes[0].root().join("etc/llttab");
    let text = fs::read_to_string(&llttab).unwrap();
    // LLT shall not give up the one that stands still.
    let patient = "set-timer peertrouble:100s peertroublelo:110s peerinact:120s\n";
    fs::write(&llttab, text + patient).unwrap();
    nodes.iter_mut().for_each(|node| node.start(&["--testbed"]));
    for node in &nodes {
        wait_for("port a with everybody", || members(node) == [0, 1, 2]);
    }
    let set = vec![GabTunable::ConnWait(1)];
    let request = AdminRequest::GabConfigure(GabConfigure { set, ..GabConfigure::default() });
    let _: Configured = ask(&nodes[0], request).unwrap();
    nodes[2].signal(Signal::STOP);
    let without = AdminRequest::LltExclude(Exclude { low: 1, high: 1, exclude: true });
    let _: Changed = ask(&nodes[0], without).unwrap();
    wait_for("node 0 alone", || members(&nodes[0]) == [0]);
    let stalls = "node 2 (node2) stalls the reconfiguration: dropped after 1 stable times";
    logged(&nodes[0], &format!("GAB WARNING {stalls}"));
    // Nodes 0 and 2 are connected, all three in the view, which is frozen, and only 0 has answered.
    let sets = "nid 0 [5:0:0:0] [7:0:0:0] [7:0:0:0] [1:0:0:0] [0:0:0:0] 2 1 ";
    let dump = format!("GAB INFO V-15-1-20033 Port a[GAB_Control (refcount 1)] {sets}");
    assert!(nodes[0].log().contains(&dump), "{}", nodes[0].log());
    assert!(!nodes[0].log().contains("is back"), "it was there all the time");
}

#[test]
fn a_node_of_a_later_protocol_is_no_member() {
    let mut nodes = cluster(2);
    nodes[0].start(&["--testbed"]);
    let mut fake = Fake::start(&nodes[1], |gab| gab.versions = FUTURE);
    let text = "speaks versions 2 to 3 of GAB's protocol, and version 1 is spoken here: it cannot be a member";
    let line = format!("GAB WARNING node 1 (node1) {text}");
    fake.play(&line, |_| nodes[0].log().contains(&line));
    assert_eq!(members(&nodes[0]), [0; 0]);
}

/// A view change as its proposer makes it, up to the point where everybody is READY.
fn change(base: Vid, round: u64, members: Vec<Id>) -> (Vid, [Body; 2]) {
    let vid = Vid { round, proposer: members[0] };
    let proposal = Proposal {
        vid,
        base,
        versions: Versions::OURS,
        members: members.clone(),
        jeopardy: Vec::new(),
        cut: 0,
        sequence: 0,
        generation: 1,
        removed: BTreeMap::new(),
        ports: BTreeMap::new(),
    };
    (vid, [Body::Collect { target: members }, Body::Propose(proposal)])
}

#[test]
fn a_node_that_was_ready_for_too_many_views_says_so() {
    let gabtab = "/sbin/gabconfig -c -n2 -t 100 -q\n";
    let (nodes, mut fake) = beside(0, gabtab, ArbiterKind::Majority);
    let base = fake.stack.gab().view().unwrap().clone();
    let real = base.members[1];
    // Each time with another node that nobody else knows of; and nobody ever installs it.
    let others = (2..).filter_map(NodeId::new).take(READY_VIEWS_MAX + 1);
    for (round, node) in (base.vid.round + 1..).zip(others) {
        let other = Id { node, incarnation: Incarnation(1) };
        let members = [&base.members[..], &[other]].concat();
        let (vid, steps) = change(base.vid, round, members);
        steps.iter().for_each(|step| fake.say(real, vid, step));
    }
    let text = "this node takes part in no other until a view is formed without it";
    let line = format!("GAB WARNING {READY_VIEWS_MAX} view changes failed: {text}");
    fake.play(&line, |_| nodes[1].log().contains(&line));
    assert!(!nodes[1].log().contains("alarm"), "{}", nodes[1].log());
}

#[test]
fn two_messages_for_one_place_in_the_order_are_an_error() {
    let (nodes, mut fake) = beside(0, GABTAB, ArbiterKind::None);
    let base = fake.stack.gab().view().unwrap().clone();
    let slot = snapshot(&nodes[1]).gab.last_slot + 1;
    for mseq in 1..=2 {
        let entry = Entry {
            src: base.members[0].node,
            port: PortName::new('h').unwrap(),
            kind: EntryKind::User,
            level: Level::Agreed,
            mseq,
            len: 2,
            crc: 0,
            pack: 0,
            payload: Some(Bytes::from_static(b"hi")),
        };
        let (high, entries) = (slot, vec![entry]);
        let order = Ordered { stable: 0, high, need_ack: false, first: slot, entries };
        fake.say(base.members[1], base.vid, &Body::Ord(order));
    }
    let line = format!("GAB ERROR V-15-1-20050 Protocol error: recv dlv_seq {slot}");
    fake.play(&line, |_| nodes[1].log().contains(&line));
    assert_eq!(nodes[1].log().matches("V-15-1-20050").count(), 1);
}

#[test]
fn fewer_nodes_than_there_are_seed_nothing_under_q() {
    let mut nodes = cluster(2);
    fs::write(nodes[0].root().join("etc/gabtab"), "/sbin/gabconfig -c -n1 -q -s\n").unwrap();
    nodes[0].start(&["--testbed"]);
    let text = "with -q this node seeds by itself when all 2 nodes of llthosts are visible, not 1";
    logged(&nodes[0], &format!("GAB WARNING {text}"));
    logged(
        &nodes[0],
        "GAB WARNING single network (-s): no side of a split gives up; for tests only",
    );
    assert_eq!(members(&nodes[0]), [0; 0]);
}

//! Messages of the catalogue (docs/operations.md), made to occur by real daemons.

use std::fs;
use std::time::Duration;

use gab::Level;
use gab::admin::{
    AdminRequest, Configured, FaultRequest, GabConfigure, GabQueue, GabTunable, PortInfo,
};
use gab::client::{Options, Port, Watch};
use gab::event::SendError;
use serde_json::json;

use crate::events::event;
use crate::node::{Node, cluster, logged, wait_for};
use crate::support::{ask, deliveries, faults, members, options, port, snapshot, view};

fn configure(node: &Node, request: GabConfigure) -> Configured {
    ask(node, AdminRequest::GabConfigure(request)).unwrap()
}

#[test]
fn a_node_that_waits_for_others_says_so_and_may_be_seeded_by_hand() {
    let mut nodes = cluster(2);
    let node = &mut nodes[0];
    node.start(&["--testbed"]);
    let mut watch = Watch::start(node.root()).unwrap();
    event(&mut watch, &json!({"event": "node", "configured": true, "view": ""}));
    logged(node, "GAB INFO V-15-1-20021 GAB available");
    let waiting = "registration waiting for seed port membership";
    logged(node, &format!("V-15-1-20026 Port a[GAB_Control (refcount 1)] {waiting}"));
    let mut user = Port::register(port('A'), &options(node)).unwrap();
    logged(node, &format!("V-15-1-20005 Port A[GAB_USER_CLIENT (refcount 0)] {waiting}"));
    event(&mut watch, &json!({"event": "waiting", "port": "A"}));
    let named = Options { name: "VxFen".to_owned(), kernel: true, ..options(node) };
    let kernel = Port::register(port('B'), &named).unwrap();
    logged(node, &format!("V-15-1-20005 Port B[VxFen (refcount 1)] {waiting}"));
    configure(node, GabConfigure { seed: true, ..GabConfigure::default() });
    view(&mut user, |view| view.members.len() == 1);
    logged(node, "GAB WARNING seeded by hand (-x) with 0: no other node may have a membership");
    event(&mut watch, &json!({"event": "seeded", "members": [0], "by_hand": true}));
    event(&mut watch, &json!({"event": "node", "configured": true}));
    wait_for("port B", || snapshot(node).gab.ports.len() == 3);
    let ports = snapshot(node).gab.ports;
    let names: Vec<(&str, u32)> =
        ports.iter().map(|port| (port.name.as_str(), port.refcount)).collect();
    assert_eq!(names, [("GAB_Control", 1), ("GAB_USER_CLIENT", 0), ("VxFen", 1)]);
    let info: PortInfo = ask(node, AdminRequest::GabPort { port: "B".into() }).unwrap();
    assert_eq!((info.flags, info.members), (1 | 4, vec!["node0".to_owned()]));
    assert!(ask::<PortInfo>(node, AdminRequest::GabPort { port: "AB".into() }).is_err());
    drop(kernel);
    logged(node, "GAB INFO V-15-1-20032 Port B closed");
}

#[test]
fn classes_of_members_are_told_with_the_names_of_the_original() {
    let mut nodes = cluster(2);
    for node in &mut nodes {
        node.start(&["--testbed"]);
    }
    for node in &nodes {
        wait_for("port a with everybody", || members(node) == [0, 1]);
        logged(node, "GAB INFO V-15-1-20036 Port a gen 1 membership 01");
    }
    let mut first = Port::register(port('A'), &options(&nodes[0])).unwrap();
    for node in &nodes {
        logged(node, "GAB INFO V-15-1-20036 Port A gen 2 membership 0");
        let visible = "gen        2    visible ;1";
        logged(node, &format!("V-15-1-20040 Port A[GAB_USER_CLIENT (refcount 0)] {visible}"));
    }
    let second = Port::register(port('A'), &options(&nodes[1])).unwrap();
    view(&mut first, |view| view.members.len() == 2);
    let mut watch = Watch::start(nodes[0].root()).unwrap();
    faults(&nodes[0], FaultRequest { link: Some(0), cut: Some(true), ..FaultRequest::default() });
    logged(&nodes[0], "GAB INFO V-15-1-20037 Port a gen 1   jeopardy ;1");
    for port in ["A", "a"] {
        event(&mut watch, &json!({"event": "jeopardy", "port": port, "jeopardy": [1]}));
    }
    logged(&nodes[0], "GAB INFO V-15-1-20037 Port A gen 3   jeopardy ;1");
    second.close().unwrap();
    logged(&nodes[1], "GAB INFO V-15-1-20032 Port A closed");
    assert!(!nodes[0].log().contains("V-15-1-20032"), "it is still a member there");
}

#[test]
fn queues_of_any_length_carry_everything() {
    let mut node = Node::alone();
    node.start(&["--testbed"]);
    wait_for("port a", || snapshot(&node).gab.seeded);
    for limit in [1, 2, 7] {
        let queues = vec![GabQueue::Send(limit), GabQueue::Receive(limit)];
        configure(&node, GabConfigure { queues, ..GabConfigure::default() });
        let gab = snapshot(&node).gab;
        assert_eq!((gab.send_queue, gab.receive_queue), (limit, limit));
        let mut client = Port::register(port('A'), &options(&node)).unwrap();
        view(&mut client, |view| view.members.len() == 1);
        let (mut sent, mut full) = (0u32, false);
        let mut read = 0;
        while sent < 200 {
            match client.try_broadcast(&sent.to_be_bytes(), Level::Agreed, false) {
                Ok(()) => sent += 1,
                Err(SendError::WouldBlock) => {
                    full = true;
                    // What is sent has to be read, or the port is busy.
                    let ready = deliveries(&mut client, 1);
                    assert_eq!(ready[0].1, u32::to_be_bytes(read));
                    read += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(full, "nobody had to wait for a queue of {limit}");
        for (_, payload) in deliveries(&mut client, usize::try_from(200 - read).unwrap()) {
            assert_eq!(payload, u32::to_be_bytes(read));
            read += 1;
        }
        client.close().unwrap();
    }
    let refused = ask::<Configured>(
        &node,
        AdminRequest::GabConfigure(GabConfigure {
            queues: vec![GabQueue::Send(0)],
            ..GabConfigure::default()
        }),
    );
    assert!(refused.is_err());
    let version = GabConfigure { version: Some(2), ..GabConfigure::default() };
    let refused = ask::<Configured>(&node, AdminRequest::GabConfigure(version)).unwrap_err();
    assert!(refused.to_string().contains("-V: expected 1"), "{refused}");
    let version = GabConfigure { version: Some(1), ..GabConfigure::default() };
    assert!(configure(&node, version).already);
}

#[test]
fn gabtab_limits_queues_from_the_start() {
    let mut node = Node::alone();
    let gabtab = node.root().join("etc/gabtab");
    fs::write(&gabtab, "/sbin/gabconfig -c -n1 -Q recvq:1 -Q sendq:8 -V 1\n").unwrap();
    node.start(&["--testbed"]);
    let gab = snapshot(&node).gab;
    assert_eq!((gab.send_queue, gab.receive_queue), (8, 1));
    fs::write(&gabtab, "/sbin/gabconfig -c -n1 -K\n").unwrap();
    let (code, said) = node.run(&["--check"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("-K has no meaning here"), "{said}");
    assert!(said.contains("there is no logging daemon"), "{said}");
}

#[test]
fn the_heartbeat_of_a_supervised_client_is_shown_and_changed() {
    let mut node = Node::alone();
    node.start(&["--testbed"]);
    wait_for("port a", || snapshot(&node).gab.seeded);
    let about = || ask::<PortInfo>(&node, AdminRequest::GabPort { port: "h".into() }).unwrap();
    let change = |ms| {
        ask::<u64>(&node, AdminRequest::GabPortHeartbeat { port: "h".into(), ms })
            .map_err(|error| error.to_string())
    };
    assert_eq!(change(Some(5000)), Err("no client of this node on port h is supervised".into()));
    let supervised = Options { heartbeat: Some(Duration::from_secs(30)), ..options(&node) };
    let mut client = Port::register(port('h'), &supervised).unwrap();
    view(&mut client, |view| view.members.len() == 1);
    let info = about();
    assert_eq!((info.flags, info.heartbeat_ms, info.warn_ms), (1 | 8, 30_000, 1000));
    assert_eq!(change(Some(400)), Ok(400));
    assert_eq!(about().heartbeat_ms, 400);
    // It is asked every 27 ms now, and answers in every call.
    wait_for("heartbeats", || {
        while client.try_recv().is_some() {}
        about().buckets.iter().sum::<u64>() > 3
    });
    assert_eq!(change(None), Ok(30_000), "what it registered with");
    assert!(change(Some(99)).unwrap_err().contains("100 to 3600000"));
    client.close().unwrap();
}

#[test]
fn a_node_that_alone_has_the_quorum_flag_is_told() {
    let mut nodes = cluster(2);
    nodes.iter_mut().for_each(|node| node.start(&["--testbed"]));
    for node in &nodes {
        wait_for("port a with everybody", || members(node) == [0, 1]);
    }
    let mut watch = Watch::start(nodes[1].root()).unwrap();
    event(&mut watch, &json!({"event": "port", "port": "a"}));
    configure(&nodes[0], GabConfigure { quorum: Some(true), ..GabConfigure::default() });
    event(&mut watch, &json!({"event": "quorum-differs", "node": 0, "theirs": true}));
    logged(&nodes[0], "node 1 (node1) does not have the quorum flag (-q) and this node has");
    logged(&nodes[1], "node 0 (node0) has the quorum flag (-q) and this node has not");
}

#[test]
fn options_before_the_first_c_are_listed_and_come_into_force_with_it() {
    let mut node = Node::alone();
    fs::write(node.root().join("etc/gabtab"), "# nothing yet\n").unwrap();
    node.start(&["--testbed"]);
    let options = GabConfigure {
        count: Some(1),
        keep_killing: Some(true),
        quorum: Some(true),
        set: vec![GabTunable::ConnWait(7), GabTunable::RejoinHold(3)],
        stable_ms: Some(321),
        ..GabConfigure::default()
    };
    configure(&node, options);
    let listed = || {
        let gab = snapshot(&node).gab;
        let numbers = (gab.node_count, gab.stable_ms, gab.conn_wait, gab.rejoin_hold);
        (gab.configured, gab.quorum, gab.clients.keep_killing, numbers)
    };
    assert_eq!(listed(), (false, true, true, (1, 321, 7, 3)));
    configure(&node, GabConfigure { configure: true, ..GabConfigure::default() });
    wait_for("port a", || members(&node) == [0]);
    assert_eq!(listed(), (true, true, true, (1, 321, 7, 3)));
}

//! Nodes on raw Ethernet, whose devices come and go.
//!
//! Silence is not judged for half a minute here: whatever shows sooner, the devices have told.

use std::fs;
use std::time::Duration;

use gab::Level;
use gab::client::Port;
use llt::io::Clock;

use crate::namespace::{ip, run_again};
use crate::node::{Node, ether_cluster, logged, told, wait_for};
use crate::support::{deliveries, members, options, port, snapshot, view};

/// This test in a namespace: its body is what follows.
macro_rules! in_namespace {
    ($test:ident) => {
        if run_again(concat!(module_path!(), "::", stringify!($test))) {
            return;
        }
    };
}

/// The cable between the two nodes on this link.
fn plug(link: u8) {
    ip(&format!("link add n0l{link} type veth peer name n1l{link}"));
    for node in 0..2 {
        ip(&format!("link set n{node}l{link} up"));
    }
}

fn formed(nodes: &mut [Node]) {
    for node in nodes.iter_mut() {
        node.start(&[]);
    }
    for node in nodes.iter() {
        wait_for("port a with both", || members(node) == [0, 1]);
        for link in 0..2 {
            wait_for("every link up", || status(node, link) == "UP");
        }
    }
}

/// The state of a link to the other node.
fn status(node: &Node, link: usize) -> String {
    let nodes = snapshot(node).llt.nodes;
    let peer = nodes.into_iter().find(|node| !node.own);
    peer.map(|peer| peer.links[link].status.clone()).unwrap_or_default()
}

/// What `lltstat -l` says of link 0: why it is not open, and why it carries nothing although it is.
fn trouble(node: &Node) -> (String, String) {
    let link = snapshot(node).llt.links.swap_remove(0);
    (link.error, link.obstacle)
}

/// Waits until a link is in this state at both ends, and sooner than silence could tell.
fn both_see(nodes: &[Node], link: usize, wanted: &str) {
    let clock = Clock::new();
    let begin = clock.now();
    for node in nodes {
        let what = format!("link {link} {wanted}");
        wait_for(&what, || status(node, link) == wanted);
    }
    let took = clock.now().since(begin);
    assert!(took < Duration::from_secs(20), "{wanted} took {took:?}: not the devices told it");
}

fn clients(nodes: &[Node]) -> Vec<Port> {
    let mut clients: Vec<Port> =
        nodes.iter().map(|node| Port::register(port('A'), &options(node)).unwrap()).collect();
    for client in &mut clients {
        view(client, |view| view.members.len() == 2);
    }
    clients
}

/// A message passes, both ways.
fn talk(clients: &mut [Port]) {
    for index in 0..2 {
        clients[index].broadcast(b"still here", Level::Safe, false).unwrap();
        for client in clients.iter_mut() {
            assert_eq!(deliveries(client, 1)[0].1, b"still here");
        }
    }
}

#[test]
fn a_device_that_is_removed_is_opened_again_when_it_is_back() {
    in_namespace!(a_device_that_is_removed_is_opened_again_when_it_is_back);
    for link in 0..2 {
        plug(link);
    }
    let mut nodes = ether_cluster(2);
    formed(&mut nodes);
    let mut clients = clients(&nodes);
    for round in 1..=3 {
        ip("link del n0l0");
        both_see(&nodes, 0, "TROUBLE");
        let gone = ("there is no device n0l0".to_owned(), String::new());
        assert_eq!(trouble(&nodes[0]), gone, "it is not open");
        talk(&mut clients);
        plug(0);
        both_see(&nodes, 0, "UP");
        talk(&mut clients);
        for (id, node) in nodes.iter().enumerate() {
            logged(node, &format!("link 0 (l0) carries nothing: there is no device n{id}l0"));
            let again = "link 0 (l0) carries again";
            wait_for(again, || node.log().matches(again).count() >= round);
            // Only what is written to standard error can be an error.
            assert!(!node.stderr().contains("could not configure"), "{}", node.stderr());
        }
    }
    // The other cable alone is enough, too: the new device is as good as the old one.
    ip("link set n0l1 down");
    both_see(&nodes, 1, "TROUBLE");
    talk(&mut clients);
    assert_eq!(members(&nodes[0]), [0, 1]);
}

#[test]
fn a_device_set_down_and_up_again_is_noticed_at_once() {
    in_namespace!(a_device_set_down_and_up_again_is_noticed_at_once);
    for link in 0..2 {
        plug(link);
    }
    let mut nodes = ether_cluster(2);
    formed(&mut nodes);
    let mut clients = clients(&nodes);
    for _ in 0..5 {
        ip("link set n0l0 down");
        both_see(&nodes, 0, "TROUBLE");
        talk(&mut clients);
        for (node, why) in nodes.iter().zip(["n0l0 is down", "n1l0 has no carrier"]) {
            let open = (String::new(), why.to_owned());
            wait_for(why, || trouble(node) == open);
        }
        ip("link set n0l0 up");
        both_see(&nodes, 0, "UP");
        wait_for("no trouble", || trouble(&nodes[0]) == Default::default());
    }
    logged(&nodes[0], "link 0 (l0) carries nothing: n0l0 is down");
    logged(&nodes[1], "link 0 (l0) carries nothing: n1l0 has no carrier");
    // Down and up in one moment is no reason to lose a link.
    for _ in 0..10 {
        ip("link set n0l0 down");
        ip("link set n0l0 up");
    }
    both_see(&nodes, 0, "UP");
    talk(&mut clients);
}

#[test]
fn a_device_that_takes_less_than_the_link_needs_carries_nothing() {
    in_namespace!(a_device_that_takes_less_than_the_link_needs_carries_nothing);
    for link in 0..2 {
        plug(link);
    }
    let mut nodes = ether_cluster(2);
    formed(&mut nodes);
    let mut clients = clients(&nodes);
    ip("link set n0l0 mtu 1000");
    both_see(&nodes[..1], 0, "TROUBLE");
    let said = "carries nothing: n0l0 takes frames of 1000 bytes: expected at least 1500";
    logged(&nodes[0], said);
    talk(&mut clients);
    ip("link set n0l0 mtu 9000");
    both_see(&nodes, 0, "UP");
}

#[test]
fn a_device_with_another_address_is_opened_again() {
    in_namespace!(a_device_with_another_address_is_opened_again);
    for link in 0..2 {
        plug(link);
    }
    let mut nodes = ether_cluster(2);
    formed(&mut nodes);
    let mut clients = clients(&nodes);
    ip("link set n0l0 address 02:00:00:00:aa:01");
    let own = || snapshot(&nodes[0]).llt.links[0].address.clone();
    wait_for("the new address", || own() == "02:00:00:00:AA:01");
    logged(&nodes[0], "link l0 opened on 02:00:00:00:AA:01, MTU 1500");
    both_see(&nodes, 0, "UP");
    ip("link set n0l1 down");
    both_see(&nodes, 1, "TROUBLE");
    talk(&mut clients);
}

#[test]
fn a_device_that_is_missing_at_start_is_opened_when_it_is_there() {
    in_namespace!(a_device_that_is_missing_at_start_is_opened_when_it_is_there);
    plug(1);
    let mut nodes = ether_cluster(2);
    for node in &mut nodes {
        node.start(&[]);
    }
    for (id, node) in nodes.iter().enumerate() {
        wait_for("port a with both", || members(node) == [0, 1]);
        told(node, &format!("dlatt failed: there is no device n{id}l0; there"));
        told(node, "n1l1 (Ethernet, ");
    }
    plug(0);
    both_see(&nodes, 0, "UP");
    let links = snapshot(&nodes[0]).llt.links;
    assert!(links.iter().all(|link| link.address.len() == 17 && link.mtu == 1500), "{links:?}");
}

#[test]
fn a_card_that_is_named_and_numbered_is_one_card() {
    in_namespace!(a_card_that_is_named_and_numbered_is_one_card);
    plug(0);
    let mut nodes = ether_cluster(1);
    let mac = "02:00:00:00:00:77";
    ip(&format!("link set n0l0 address {mac}"));
    let llttab = nodes[0].root().join("etc/llttab");
    let text = fs::read_to_string(&llttab).unwrap();
    let twice = text.replace("n0l1", &format!("eth-{mac}"));
    fs::write(&llttab, &twice).unwrap();
    nodes[0].start(&[]);
    told(&nodes[0], "n0l0 carries link l0 already: expected a device of its own, or another SAP");
    wait_for("port a", || members(&nodes[0]) == [0]);
    nodes[0].stop();
    // On another ethertype there is room.
    let last = twice.lines().find(|line| line.contains("eth-")).unwrap();
    let apart = twice.replace(last, &last.replace("ether -", "ether 0x88b5"));
    fs::write(&llttab, apart).unwrap();
    nodes[0].start(&[]);
    assert!(snapshot(&nodes[0]).llt.links.iter().all(|link| link.mtu == 1500));
    assert!(!nodes[0].stderr().contains("carries link"), "{}", nodes[0].stderr());
}

#[test]
fn without_any_device_it_does_not_start() {
    in_namespace!(without_any_device_it_does_not_start);
    let mut nodes = ether_cluster(1);
    let (code, stderr) = nodes[0].run(&[]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("0 of 2 links could be opened: there is no device n0l1"), "{stderr}");
    // Nor with fewer than it is told to need.
    plug(0);
    let llttab = nodes[0].root().join("etc/llttab");
    let text = fs::read_to_string(&llttab).unwrap();
    fs::write(&llttab, text + "set-dbg-minlinks 2\n").unwrap();
    let (code, stderr) = nodes[0].run(&[]);
    assert_eq!(code, Some(1));
    let why =
        "1 of 2 links could be opened, and set-dbg-minlinks asks for 2: there is no device n0l1";
    assert!(stderr.contains(why), "{stderr}");
}

#[test]
fn jumbo_frames_are_used_where_the_devices_take_them() {
    in_namespace!(jumbo_frames_are_used_where_the_devices_take_them);
    for link in 0..2 {
        plug(link);
        for node in 0..2 {
            ip(&format!("link set n{node}l{link} mtu 9000"));
        }
    }
    let mut nodes = ether_cluster(2);
    formed(&mut nodes);
    let links = snapshot(&nodes[1]).llt.links;
    assert!(links.iter().all(|link| link.mtu == 9000), "{links:?}");
    let mut clients = clients(&nodes);
    let large = vec![7; 60_000];
    clients[0].broadcast(&large, Level::Safe, false).unwrap();
    assert_eq!(deliveries(&mut clients[1], 1)[0].1, large);
}

#[test]
fn a_udp_link_is_opened_when_its_address_is_there() {
    in_namespace!(a_udp_link_is_opened_when_its_address_is_there);
    let mut nodes = crate::node::cluster(1);
    let llttab = nodes[0].root().join("etc/llttab");
    let text = fs::read_to_string(&llttab).unwrap();
    fs::write(&llttab, text + "link far udp - udp 50999 - 10.9.0.1 -\n").unwrap();
    nodes[0].start(&[]);
    let named = "dlatt failed: cannot bind 10.9.0.1:50999";
    told(&nodes[0], named);
    ip("link add dry0 type veth peer name dry1");
    ip("link set dry0 up");
    // A try or two fail meanwhile, silently.
    ip("addr add 10.9.0.1/24 dev dry0");
    wait_for("the link", || nodes[0].log().contains("link 2 (far) carries again"));
    assert_eq!(nodes[0].stderr().matches(named).count(), 1);
}

#[test]
fn frames_that_the_system_refuses_are_told_and_go_another_way() {
    in_namespace!(frames_that_the_system_refuses_are_told_and_go_another_way);
    let mut nodes = crate::node::cluster(2);
    nodes.iter_mut().for_each(|node| node.start(&[]));
    for node in &nodes {
        wait_for("port a with both", || members(node) == [0, 1]);
        wait_for("both links up", || (0..2).all(|link| status(node, link) == "UP"));
    }
    ip("route add prohibit 127.66.0.2/32 table local");
    logged(&nodes[0], "LLT ERROR V-14-2-15300 sendto failed on link 0 (l0), ");
    wait_for("link 0 in trouble", || status(&nodes[0], 0) != "UP");
    talk(&mut clients(&nodes));
    assert_eq!(members(&nodes[0]), [0, 1]);
}

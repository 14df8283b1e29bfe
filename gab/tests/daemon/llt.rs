//! LLT changed while it runs, what its listings show, and starting beside a node with the same id.

use gab::admin::{
    AddressChange, AdminRequest, Changed, Exclude, FaultRequest, LinkAdd, RunningConfig, Setting,
};
use gab::client::{AdminFailure, Port};
use gab::snapshot::{LltSnapshot, NodeSnapshot};
use gab::{ClientEvent, Level};

use crate::node::{Node, cluster, twin, wait_for};
use crate::support::{ask, deliveries, faults, members, options, port, snapshot, view};

fn formed(size: u8) -> Vec<Node> {
    let mut nodes = cluster(size);
    for node in &mut nodes {
        node.start(&["--testbed"]);
    }
    let all: Vec<u8> = (0..size).collect();
    for node in &nodes {
        wait_for("port a with everybody", || members(node) == all);
    }
    nodes
}

fn change(node: &Node, request: AdminRequest) -> Changed {
    ask(node, request).unwrap()
}

fn refused(node: &Node, request: AdminRequest) -> String {
    match ask::<Changed>(node, request) {
        Err(AdminFailure::Refused(error)) => error.text,
        other => panic!("not refused: {other:?}"),
    }
}

fn llt(node: &Node) -> LltSnapshot {
    snapshot(node).llt
}

fn peer(node: &Node, id: u8) -> Option<NodeSnapshot> {
    llt(node).nodes.into_iter().find(|node| node.node == id)
}

fn is_up(node: &Node, id: u8, link: u8) -> bool {
    let links = peer(node, id).map(|peer| peer.links).unwrap_or_default();
    links.iter().any(|found| found.link == link && found.status == "UP")
}

fn set(name: &str, value: &str) -> Setting {
    Setting { name: name.into(), value: value.into() }
}

fn timer(node: &Node, name: &str) -> u64 {
    llt(node).timers.into_iter().find(|timer| timer.name == name).map(|timer| timer.ms).unwrap()
}

/// The line of one more link of node `id`, on a port that is free.
fn third_link(id: u8, port: u16) -> LinkAdd {
    LinkAdd {
        tag: "l2".into(),
        device: "udp".into(),
        kind: "udp".into(),
        sap: Some(port.to_string()),
        address: Some(format!("127.66.2.{}", id + 1)),
        ..LinkAdd::default()
    }
}

fn free_port() -> u16 {
    let probe = std::net::UdpSocket::bind("127.66.2.1:0").unwrap();
    probe.local_addr().unwrap().port()
}

fn add_third_link(nodes: &[Node]) {
    let port = free_port();
    for (id, node) in (0..).zip(nodes) {
        let changed = change(node, AdminRequest::LltLinkAdd(third_link(id, port)));
        assert_eq!(changed.changed, [format!("link 2 (l2): added, on 127.66.2.{}", id + 1)]);
        assert_eq!(changed.keep, [third_link(id, port).line()]);
    }
    for (id, node) in (0..).zip(nodes) {
        let (node_id, address) = (1 - id, format!("127.66.2.{}", 2 - id));
        let (node_text, tag) = (format!("node{node_id}"), "l2".to_owned());
        let set = AddressChange::Set { node: node_text, tag, address: address.clone() };
        let changed = change(node, AdminRequest::LltAddress(set));
        assert_eq!(changed.keep, [format!("set-addr {node_id} l2 {address}")]);
    }
    for (id, node) in (0..).zip(nodes) {
        wait_for("link 2 up", || is_up(node, 1 - id, 2));
    }
}

#[test]
fn timers_and_limits_change_at_once_and_together() {
    let nodes = formed(2);
    let node = &nodes[0];
    let timers = vec![set("peertrouble", "600ms"), set("heartbeat", "60ms")];
    let changed = change(node, AdminRequest::LltTimers(timers.clone()));
    assert!(changed.changed.contains(&"peertrouble: 50 -> 60".to_owned()), "{changed:?}");
    assert_eq!(changed.keep, ["set-timer peertrouble:600ms heartbeat:60ms"]);
    assert_eq!((timer(node, "peertrouble"), timer(node, "heartbeat")), (600, 60));
    let again = change(node, AdminRequest::LltTimers(timers));
    assert_eq!(again.changed, [""; 0]);

    let bad = vec![set("heartbeat", "70ms"), set("peerinact", "100ms")];
    let error = refused(node, AdminRequest::LltTimers(bad));
    assert!(error.contains("peerinact"), "{error}");
    assert_eq!(timer(node, "heartbeat"), 60, "all or nothing");

    let flow = vec![set("window", "50"), set("linkburst", "0")];
    change(node, AdminRequest::LltFlow(flow));
    let window = llt(node).flow.into_iter().find(|limit| limit.name == "window").unwrap();
    assert_eq!(window.value, 50);
    let error = refused(node, AdminRequest::LltFlow(vec![set("lowwater", "500")]));
    assert!(error.contains("highwater"), "{error}");

    let config: RunningConfig = ask(node, AdminRequest::Config).unwrap();
    assert_eq!(
        config.changed,
        ["set-timer peertrouble:600ms heartbeat:60ms", "set-flow window:50 linkburst:0"]
    );
}

#[test]
fn a_link_comes_carries_and_goes_under_load() {
    let nodes = formed(2);
    let mut a = Port::register(port('A'), &options(&nodes[0])).unwrap();
    let mut b = Port::register(port('A'), &options(&nodes[1])).unwrap();
    view(&mut a, |view| view.members.len() == 2);
    view(&mut b, |view| view.members.len() == 2);
    let mut sent = 0u32;
    let mut storm = |a: &mut Port, b: &mut Port, count: usize| {
        let first = sent;
        for _ in 0..count {
            a.broadcast(&sent.to_be_bytes(), Level::Agreed, false).unwrap();
            sent += 1;
        }
        let heard = deliveries(b, count).into_iter();
        let heard = heard.map(|(_, payload)| u32::from_be_bytes(payload[..].try_into().unwrap()));
        assert!(heard.eq(first..sent));
    };
    storm(&mut a, &mut b, 200);
    add_third_link(&nodes);
    storm(&mut a, &mut b, 500);
    let carried = llt(&nodes[0]).links.into_iter().find(|link| link.tag == "l2").unwrap();
    assert!(carried.tx_packets > 0 && carried.tx_bytes > 0, "{carried:?}");

    // The other two go out, and the new one carries everything.
    for tag in ["l0", "l1"] {
        let disable = AdminRequest::LltLinkEnable { tag: tag.into(), enabled: false };
        let changed = change(&nodes[0], disable.clone());
        assert!(changed.changed[0].ends_with(": disabled"), "{changed:?}");
        assert_eq!(change(&nodes[0], disable).changed, [""; 0]);
    }
    storm(&mut a, &mut b, 500);
    assert!(!is_up(&nodes[0], 1, 0) && !is_up(&nodes[0], 1, 1));
    let error = refused(&nodes[0], AdminRequest::LltLinkRemove { tag: "l2".into() });
    assert!(error.contains("is enabled: disable it first"), "{error}");
    let removed = change(&nodes[0], AdminRequest::LltLinkRemove { tag: "l0".into() });
    assert_eq!(removed.changed, ["link 0 (l0): removed"]);
    assert!(removed.warnings[0].contains("`link l0 udp - udp "), "{removed:?}");
    let tags: Vec<_> = llt(&nodes[0]).links.into_iter().map(|link| (link.link, link.tag)).collect();
    assert_eq!(tags, [(1, "l1".to_owned()), (2, "l2".to_owned())]);
    let error = refused(&nodes[0], AdminRequest::LltLinkRemove { tag: "l0".into() });
    assert_eq!(error, "there is no link l0: expected one of l1, l2");
    change(&nodes[0], AdminRequest::LltLinkEnable { tag: "l1".into(), enabled: true });
    wait_for("link 1 up", || is_up(&nodes[0], 1, 1));
    storm(&mut a, &mut b, 200);
    assert_eq!(members(&nodes[0]), [0, 1], "nobody was lost on the way");
}

#[test]
fn a_bad_link_is_not_added() {
    let mut node = Node::alone();
    node.start(&["--testbed"]);
    let good = third_link(0, free_port());
    let taken = LinkAdd { tag: "l1".into(), ..good.clone() };
    assert!(refused(&node, AdminRequest::LltLinkAdd(taken)).contains("l1"));
    let elsewhere = LinkAdd { address: Some("192.0.2.1".into()), ..good.clone() };
    let error = refused(&node, AdminRequest::LltLinkAdd(elsewhere));
    assert!(error.contains("192.0.2.1"), "{error}");
    let small = LinkAdd { mtu: Some("1500".into()), ..good };
    let error = refused(&node, AdminRequest::LltLinkAdd(small));
    assert!(error.contains("MTU") && error.contains("8192"), "{error}");
    assert_eq!(llt(&node).links.len(), 2);
}

#[test]
fn an_ignored_node_is_gone_until_it_is_heeded() {
    let nodes = formed(2);
    let exclude = |exclude| Exclude { low: 1, high: 7, exclude };
    let changed = change(&nodes[0], AdminRequest::LltExclude(exclude(true)));
    assert_eq!(changed.changed, ["ignored nodes: none -> 1-7"]);
    wait_for("node 0 alone", || members(&nodes[0]) == [0]);
    wait_for("node 1 is heard and ignored", || {
        llt(&nodes[0]).ignored.iter().any(|other| other.node == 1 && other.name == "node1")
    });
    let own = Exclude { low: 0, high: 3, exclude: true };
    let error = refused(&nodes[0], AdminRequest::LltExclude(own));
    assert_eq!(error, "node 0 is this node, which cannot ignore itself");
    change(&nodes[0], AdminRequest::LltExclude(exclude(false)));
    wait_for("both together", || members(&nodes[0]) == [0, 1] && members(&nodes[1]) == [0, 1]);
    assert_eq!(llt(&nodes[0]).ignored, []);
}

#[test]
fn what_was_changed_outlives_an_ejection() {
    let mut nodes = formed(3);
    // Node 2 is cut off, the others go on, and when they meet again the smaller part gives up.
    let lives = llt(&nodes[2]).incarnation;
    change(&nodes[2], AdminRequest::LltTimers(vec![set("peertrouble", "510ms")]));
    change(&nodes[2], AdminRequest::LltFlow(vec![set("window", "77")]));
    change(&nodes[2], AdminRequest::LltLinkAdd(third_link(2, free_port())));
    for enabled in [false, true] {
        change(&nodes[2], AdminRequest::LltLinkEnable { tag: "l2".into(), enabled });
    }
    change(&nodes[2], AdminRequest::LltLinkEnable { tag: "l1".into(), enabled: false });
    change(&nodes[2], AdminRequest::LltLinkRemove { tag: "l1".into() });
    change(&nodes[2], AdminRequest::LltLinkEnable { tag: "l2".into(), enabled: false });
    faults(&nodes[2], FaultRequest { cut: Some(true), ..FaultRequest::default() });
    wait_for("two parts", || members(&nodes[0]) == [0, 1] && members(&nodes[2]) == [2]);
    faults(&nodes[2], FaultRequest { clear: true, ..FaultRequest::default() });
    wait_for("a new life", || llt(&nodes[2]).incarnation > lives);
    wait_for("all together", || members(&nodes[2]) == [0, 1, 2]);
    let after = llt(&nodes[2]);
    assert_eq!(timer(&nodes[2], "peertrouble"), 510);
    assert!(after.flow.iter().any(|limit| limit.name == "window" && limit.value == 77));
    let links: Vec<_> =
        after.links.iter().map(|link| (link.link, link.tag.as_str(), link.enabled)).collect();
    assert_eq!(links, [(0, "l0", true), (2, "l2", false)]);
    for node in &mut nodes {
        node.stop();
    }
}

#[test]
fn addresses_are_set_forgotten_and_learned() {
    let nodes = formed(2);
    let node = &nodes[0];
    let of = |link: u8| {
        let links = peer(node, 1).unwrap().links;
        links.into_iter().find(|found| found.link == link).unwrap()
    };
    assert!(of(0).permanent);
    let delete = || {
        let (node, tag) = ("1".to_owned(), "l0".to_owned());
        AdminRequest::LltAddress(AddressChange::Delete { node, tag })
    };
    let changed = change(node, delete());
    assert_eq!(changed.changed, ["address of node 1 on l0: forgotten"]);
    assert!(changed.warnings[0].contains("`set-addr 1 l0 ..`"), "{changed:?}");
    // It goes on talking, and is learned.
    wait_for("learned", || of(0).address == "127.66.0.2" && !of(0).permanent);
    let told = "LLT INFO V-14-1-10499 recvarpreq link 0 for node 1 addr change from 0.0.0.0";
    let told = |line: &str| line.contains(told) && line.contains(" to 127.66.0.2");
    wait_for("a line of it", || node.log().lines().any(told));
    change(node, AdminRequest::LltAddress(AddressChange::Flush));
    wait_for("learned again", || is_up(node, 1, 0) && of(0).address == "127.66.0.2");
    let set = |node: &str, address: &str| {
        let tag = "l0".to_owned();
        AdminRequest::LltAddress(AddressChange::Set {
            node: node.into(),
            tag,
            address: address.into(),
        })
    };
    change(node, set("node1", "127.66.0.2"));
    assert!(of(0).permanent);
    for (request, said) in [
        (set("node7", "127.66.0.2"), "node7 is no node"),
        (set("1", "00:11:22:33:44:55"), "00:11:22:33:44:55"),
        (set("0", "127.66.0.2"), "node 0"),
    ] {
        let error = refused(node, request);
        assert!(error.contains(said), "{error}");
    }
    assert_eq!(members(node), [0, 1]);
}

#[test]
fn listings_show_ports_links_and_limits() {
    let nodes = formed(2);
    let all = llt(&nodes[0]);
    let ports: Vec<_> = all.ports.iter().map(|port| (port.port, port.usage.as_str())).collect();
    assert_eq!(ports, [(0, "gab"), (30, "lltping")]);
    assert_eq!(all.ports[0].opens, [0, 1]);
    wait_for("both on port 0", || llt(&nodes[0]).ports[0].connects == [0, 1]);
    for link in &all.links {
        assert_eq!((link.kind.as_str(), link.addrlen, link.mtu), ("udp", 4, 8192));
        assert!(link.tx_packets > 0 && link.rx_bytes > 0 && link.carrier, "{link:?}");
    }
    wait_for("a round trip", || llt(&nodes[0]).links[0].latency_ns > 0);
    assert_eq!(timer(&nodes[0], "peerinact"), 2000);
    assert_eq!((all.checksum, all.listening, all.sealed), (10, false, false));
}

#[test]
fn while_it_listens_it_connects_to_nobody_and_clients_wait() {
    let mut nodes = cluster(2);
    nodes[0].start(&["--testbed"]);
    nodes[1].start(&["--testbed", "--listen", "1500"]);
    let config: RunningConfig = ask(&nodes[1], AdminRequest::Config).unwrap();
    assert!(config.listening && llt(&nodes[1]).listening);
    let mut client = Port::register(port('A'), &options(&nodes[1])).unwrap();
    while llt(&nodes[1]).listening {
        assert_eq!(members(&nodes[1]), [0; 0]);
    }
    let first = view(&mut client, |_| true);
    assert_eq!(first.members.len(), 1);
    wait_for("both together", || members(&nodes[1]) == [0, 1]);
    assert!(nodes[1].log().contains("V-14-1-10009 LLT 1.0 Protocol available"));
    client.broadcast(b"x", Level::Safe, false).unwrap();
    assert!(matches!(crate::support::next(&mut client), ClientEvent::Deliver(_)));
}

#[test]
fn s51_a_second_node_with_an_id_does_not_start() {
    let mut nodes = cluster(2);
    let mut second = twin(&nodes[0]);
    for node in &mut nodes {
        node.start(&["--testbed"]);
    }
    wait_for("both together", || members(&nodes[0]) == [0, 1]);
    let (code, said) = second.run(&["--testbed", "--listen", "30000"]);
    assert_eq!(code, Some(76), "{said}");
    for words in [
        "LLT lltconfig ERROR V-14-2-15238 node 0 already exists in cluster ",
        // They cannot hear each other: node 1 tells.
        " and has the address - unknown",
        "LLT lltconfig ERROR V-14-2-15245 cluster id ",
        "LLT lltconfig ERROR V-14-2-15241 LLT not started, use -o to override this error",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(members(&nodes[0]), [0, 1], "the first one goes on");
}

/// The older of two nodes with one id sends from addresses that nobody is configured for; both see
/// node 1, and not each other.
#[test]
fn the_younger_of_two_nodes_with_an_id_halts_at_run_time() {
    let mut nodes = cluster(2);
    let mut older = twin(&nodes[0]);
    older.start(&["--testbed"]);
    for node in &mut nodes {
        node.start(&["--testbed"]);
    }
    assert_eq!(nodes[0].wait(), Some(76), "{}", nodes[0].stderr());
    let said = nodes[0].log();
    assert!(said.contains("LLT ERROR node 0 runs elsewhere already: halting"), "{said}");
    let told = "LLT ERROR V-14-2-15238 node 0 already exists in cluster ";
    wait_for("node 1 says so", || nodes[1].log().contains(told));
    assert!(!older.log().contains("halting"), "{}", older.log());
    older.signal(rustix::process::Signal::KILL);
    older.wait();
}

#[test]
fn a_gabd_without_a_link_says_so_in_the_words_of_the_original() {
    let mut node = Node::alone();
    let path = node.root().join("etc/llttab");
    let llttab = std::fs::read_to_string(&path).unwrap().replace("127.66.", "192.0.2.");
    let links: String = llttab
        .lines()
        .map(|line| match line.split_once("192.0.2.") {
            // 192.0.2.0/24 is nobody's address.
            Some((start, _)) if line.starts_with("link") => format!("{start}192.0.2.{} -\n", 1),
            Some(_) => String::new(),
            None => format!("{line}\n"),
        })
        .collect();
    std::fs::write(&path, links).unwrap();
    let (code, said) = node.run(&["--testbed"]);
    assert_eq!(code, Some(1), "{said}");
    for words in [
        "LLT lltconfig ERROR V-14-2-15336 dlatt failed: cannot bind 192.0.2.1:",
        "LLT lltconfig ERROR V-14-2-15074 cannot DL_ATTACH 0 on udp",
        "LLT lltconfig ERROR V-14-2-15664 LLT could not configure any link",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

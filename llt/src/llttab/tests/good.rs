//! A file that uses everything.

use super::*;
use crate::limits;

const GOOD: &str = "\
# three nodes, three links
set-node north
set-cluster 7
link link1 udp - udp 50000 - 127.77.0.0 -
link-lowpri link2 udp - udp 50001 1400 127.77.1.0 -
link-lowpri link3 eth-00:15:17:48:b5:80 0-2 ether 0xCAFF 9000
set-addr 1 link1 127.77.0.1
set-addr 2 link1 127.77.0.2
set-addr south link2 127.77.1.1
set-addr 0 link1 127.77.0.0
set-addr 2 link3 00:15:17:48:b4:98
set-bcasthb 0
set-arp 0
set-timer peerinact:1000ms peertrouble:30
set-timer heartbeat:50ms
set-timer peertroublelo:600ms heartbeatlo:10
set-flow window:64 linkburst:0
exclude 4-31
include 31
set-checksum 10
set-verbose 1
set-dbg-minlinks 2
start
";

#[test]
fn a_good_file_says_what_it_says() {
    let tab = parse(GOOD).unwrap();
    assert_eq!((tab.node, tab.name(), tab.cluster), (node(0), "north", ClusterId(7)));
    let [one, two, three] = &tab.links[..] else { panic!("{:?}", tab.links) };
    assert_eq!((one.tag.as_str(), one.mtu, one.lowpri), ("link1", None, false));
    assert_eq!((two.tag.as_str(), two.mtu, two.lowpri), ("link2", Some(1400), true));
    assert_eq!((three.tag.as_str(), three.mtu, three.lowpri), ("link3", Some(9000), true));
    assert_eq!(one.peers.len(), 2);
    assert_eq!(two.peers, [(node(1), LinkAddr::V4 { ip: [127, 77, 1, 1], port: 50001 })]);
    let mac = LinkAddr::Mac([0x00, 0x15, 0x17, 0x48, 0xB4, 0x98]);
    assert_eq!(three.peers, [(node(2), mac)]);
    assert_eq!(three.device, "eth-00:15:17:48:b5:80");
    assert_eq!(tab.timers.peer_trouble, core::time::Duration::from_millis(300));
    assert_eq!(tab.timers.heartbeat_lo, core::time::Duration::from_millis(100));
    assert_eq!((tab.flow.window, tab.flow.sws, tab.flow.linkburst), (64, 51, 0));
    assert_eq!(tab.excluded.len(), 27);
    assert_eq!((tab.checksum, tab.verbose, tab.links_min), (Some(10), true, 2));
    assert_eq!(tab.warnings, []);
    let config = tab.config(Incarnation(9), &[]);
    assert_eq!((config.incarnation, config.configured.len()), (Incarnation(9), 3));
    let mtus: Vec<usize> = config.links.iter().map(|link| link.mtu).collect();
    assert_eq!(mtus, [8192, 1400, 9000]);
}

#[test]
fn little_is_needed() {
    let tab = parse("set-node 0\nlink a eth1 - ether\n").unwrap();
    assert_eq!((tab.cluster, tab.links_min, tab.checksum), (ClusterId(0), 1, None));
    assert!(!tab.verbose && tab.excluded.is_empty());
}

#[test]
fn a_multicast_address_needs_no_static_ones() {
    let tab = parse("set-node 0\nlink a udp - udp 50000 - 127.0.0.1 239.1.1.1\n").unwrap();
    let group = LinkAddr::V4 { ip: [239, 1, 1, 1], port: 50000 };
    assert_eq!(tab.links[0].config(None).broadcast, Some(group));
    let errors = parse("set-node 0\nset-bcasthb 0\nlink a udp - udp 50000 - 127.0.0.1 239.1.1.1\n");
    assert_eq!(errors.unwrap_err().problems().len(), 1);
}

#[test]
fn udp6_links_look_for_nodes_by_multicast_unless_the_file_says_how_to_reach_them() {
    let group = |line: &str, more: &str| {
        let tab = parse(&format!("set-node 0\nlink z eth1 - ether\n{line}\n{more}")).unwrap();
        tab.links[1].config(None).broadcast
    };
    let direct = "link a udp - udp6 50000 - fe80::1%3 -";
    let found = LinkAddr::V6 { ip: limits::GROUP_V6.octets(), scope: 3, port: 50_000 };
    assert_eq!(group(direct, ""), Some(found));
    assert_eq!(found.to_string(), "ff12::cafe");
    assert_eq!(group(direct, "set-bcasthb 0\n"), None);
    assert_eq!(group(direct, "set-addr 1 a fe80::2\n"), None, "a routed link");
    assert_eq!(group(direct, "set-addr 0 a fe80::2\n"), None, "the same lines at every node");
    assert_eq!(group("link a udp - udp6 50000 - ::1 -", ""), None, "no multicast on the loopback");
    assert_eq!(group("link a udp - udp 50000 - 10.0.0.1 -", ""), None);
    // Nothing else is needed.
    parse(&format!("set-node 0\n{direct}\n")).unwrap();
}

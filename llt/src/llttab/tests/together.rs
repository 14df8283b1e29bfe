//! Lines that contradict each other.

use super::*;

pub(super) const CASES: &[Case] = &[
    case(
        "tags, devices and addresses of two links",
        "set-node 0\nlink a eth1 - ether - -\nlink a eth2 - ether - -\n\
         link b eth-00:15:17:48:b5:80 - ether 0xCAFE -\n\
         link-lowpri c eth-00:15:17:48:B5:80 - ether - -\nlink d udp - udp 50000 - 10.0.0.1 -\n\
         link e udp - udp 50000 - 10.0.0.1 -\nlink f udp - udp 50000 - 0.0.0.0 -\n",
    ),
    case(
        "links with one cable",
        "set-node 0\nlink a eth1 - ether - -\nlink b eth1 - ether 0xCAFF -\n\
         link c udp - udp 50000 - 10.0.0.1 10.0.0.255\nlink d udp - udp 50001 - 10.0.0.1 -\n\
         set-addr 1 d 10.0.0.2\n",
    ),
    case(
        "too many",
        "set-node 0\nlink a eth1 - ether\nlink b eth2 - ether\nlink c eth3 - ether\n\
         link d eth4 - ether\nlink e eth5 - ether\nlink f eth6 - ether\nlink g eth7 - ether\n\
         link h eth8 - ether\nlink i eth9 - ether\n",
    ),
    case(
        "too few",
        "set-node 0\nlink a eth1 - ether - -\nlink b eth2 - ether - -\nset-dbg-minlinks 3\n",
    ),
    case("none", "set-node 0\nset-dbg-minlinks 3\n"),
    case("none for this node", "set-node 0\nlink a eth1 1-2 ether - -\n"),
    case(
        "one for another node",
        "set-node 0\nlink a eth1 1-2 ether - -\nlink a eth2 0 ether - -\n\
         set-addr 1 a 00:15:17:48:b5:80\n",
    ),
    case(
        "addresses of nodes and links that are not there",
        "set-node 0\nlink a eth1 - ether - -\nset-addr west a 00:15:17:48:b5:80\n\
         set-addr 9 a 00:15:17:48:b5:80\nset-addr 1 b 00:15:17:48:b5:80\n\
         set-addr 200 c 00:15:17:48:b5:80\n",
    ),
    case(
        "addresses of a broken link are not judged",
        "set-node 0\nlink a eth1 - ethre - -\nlink b eth1 - ether - -\n\
         set-addr 1 a 00:15:17:48:b5:80\nset-dbg-minlinks 2\n",
    ),
    case(
        "addresses that do not fit the link",
        "set-node 0\nlink a eth1 - ether - -\nlink b udp - udp 50000 - 10.0.0.1 -\n\
         link c udp - udp6 50000 - fd00::1 -\nset-addr 1 a 10.0.0.2\n\
         set-addr 1 b 00:15:17:48:b5:80\nset-addr 2 b fd00::2\nset-addr 1 c 10.0.0.2\n\
         set-addr 2 a 01:00:5e:00:00:01\nset-addr 1 a 00:00:00:00:00:00\n\
         set-addr 1 b 239.1.1.1\nset-addr 1 b 0.0.0.0\n",
    ),
    case(
        "addresses that are somebody else's",
        "set-node 0\nlink a udp - udp 50000 - 10.0.0.1 -\nlink b eth-00:15:17:48:b5:80 - ether\n\
         set-addr 1 a 10.0.0.2\nset-addr 2 a 10.0.0.2\nset-addr south a 10.0.0.3\n\
         set-addr 2 a 10.0.0.1\nset-addr 2 b 00:15:17:48:b5:80\n\
         set-addr 1 b 00:15:17:48:b5:81\nset-addr 1 b 00:15:17:48:b5:82\n",
    ),
    case("nobody to reach", "set-node 0\nlink a udp - udp 50000 - 10.0.0.1 -\n"),
    case(
        "nobody to reach with broadcasts off",
        "set-node 0\nset-bcasthb 0\nset-arp 0\nlink a eth1 - ether - -\nset-addr 0 a \
         00:15:17:48:b5:80\n",
    ),
    case(
        "somebody not to be reached",
        "set-node 0\nset-bcasthb 0\nlink a udp - udp 50000 - 10.0.0.1 10.0.0.255\n\
         link b udp - udp 50001 - 10.0.1.1 -\nset-addr 1 a 10.0.0.2\n",
    ),
];

#[test]
fn contradictions_are_named_with_both_places() {
    insta::assert_snapshot!(transcript(CASES));
}

#[test]
fn a_cluster_of_one_needs_nobodys_address() {
    parse_with("set-node 0\nlink a udp - udp 50000 - 127.0.0.1 -\n", "0 alone\n").unwrap();
    parse("set-node 0\nexclude 1-127\nlink a udp - udp 50000 - 127.0.0.1 -\n").unwrap();
}

#[test]
fn what_applies_to_all_links_may_stand_anywhere() {
    let links = "link a eth1 - ether - -\nlink b udp - udp 50000 - 10.0.0.1 239.1.1.1\n";
    let addrs = "set-addr 1 a 00:15:17:48:b5:80\nset-addr south b 10.0.0.2\n";
    let mut seen = Vec::new();
    for tab in [
        format!("{addrs}set-bcasthb 0\nset-arp 0\n{links}set-node 0\n"),
        format!("set-node 0\n{links}{addrs}set-bcasthb 0\nset-arp 0\n"),
        format!("set-arp 0\n{links}set-bcasthb 0\nset-node 0\n{addrs}"),
    ] {
        seen.push(parse(&tab).unwrap().links);
    }
    let [ether, udp] = &seen[0][..] else { panic!("{:?}", seen[0]) };
    assert!(seen.iter().all(|links| *links == seen[0]));
    // A broadcast reaches everybody on an Ethernet segment, and over routed UDP it leads nowhere.
    assert_eq!(ether.medium.broadcast(), Some(LinkAddr::Mac([0xFF; 6])));
    assert_eq!(udp.medium.broadcast(), None);
    for link in [ether, udp] {
        assert!(!link.broadcast_heartbeats && !link.discover);
        assert_eq!(link.peers.len(), 1);
        let config = link.config(None);
        assert!(!config.broadcast_heartbeats && !config.discover);
    }
    assert_eq!(ether.peers[0].1, LinkAddr::Mac([0x00, 0x15, 0x17, 0x48, 0xB5, 0x80]));
}

#[test]
fn one_of_the_two_ways_to_find_peers_is_enough() {
    let ether = "set-node 0\nlink a eth1 - ether - -\n";
    for tab in [format!("{ether}set-bcasthb 0\n"), format!("{ether}set-arp 0\n")] {
        assert_eq!(parse(&tab).unwrap().warnings, [], "{tab}");
    }
}

//! Links, each by itself.

use super::*;

pub(super) const CASES: &[Case] = &[
    case(
        "types, tags and ranges",
        "set-node 0\nlink a eth1 - rdma 50000 - 10.0.0.1 10.0.0.255\nlink b eth1 - tcp\n\
         link - eth1 - ether - -\nlink d eth1 3-1 ether\nlink e eth1 all ether\n\
         link f eth1 0-128 ether\nlink ok eth9 - ether - -\n",
    ),
    case(
        "devices of an Ethernet link",
        "set-node 0\nlink a /dev/qfe:0 - ether - -\nlink b lan:1 - ether - -\n\
         link c eth-00:15:17:48:b5 - ether - -\nlink d eth-01:00:5e:00:00:01 - ether - -\n\
         link e - - ether - -\nlink f an-interface-name - ether - -\nlink g a/b - ether - -\n",
    ),
    case(
        "ethertype and MTU of an Ethernet link",
        "set-node 0\nlink a eth1 - ether 0x5ff -\nlink b eth2 - ether cafe -\n\
         link c eth3 - ether 65536 -\nlink d eth4 - ether 0x0800 -\nlink e eth5 - ether 0x8100\n\
         link f eth6 - ether - 575\nlink g eth7 - ether - 9217\nlink h eth8 - ether - big\n\
         link i eth9 - ether - - 10.0.0.1 -\nlink j eth9 - ether - - - 10.0.0.255\n",
    ),
    case(
        "fields of a UDP link",
        "set-node 0\nlink a udp - udp 0 100 127.0.0.300 -\nlink b udp - udp - - 10.0.0.1 -\n\
         link c udp - udp 65536 65508 239.1.1.1 -\nlink d udp - udp 50000 - fd00::1 -\n\
         link e udp - udp 50000 - 10.0.0.1 fd00::1\nlink f udp - udp 50000 - 10.0.0.1 10.0.0.1\n\
         link g udp - udp 50000 - 255.255.255.255 0.0.0.0\nlink h udp - udp 50000 - 10.0.0.1:5 -\n",
    ),
    case(
        "fields of a UDP link over IPv6",
        "set-node 0\nlink a udp - udp6 50000 - 10.0.0.1 -\nlink b udp - udp6 50000 - fe80::1 -\n\
         link c udp - udp6 50000 - fd00::1 fd00::2\nlink d udp - udp6 50000 - fd00::1 10.0.0.1\n\
         link e udp - udp6 50000 - ff02::1 -\nlink f udp - udp6 50000 - fe80::1% -\n\
         link g udp - udp6 50000 - fe80::1%../lo -\n",
    ),
    case(
        "links that may not open, or share their port with others",
        "set-node 0\nlink a udp - udp6 50000 - fe80::1%no-such-card ff02::77\n\
         link b udp - udp 4145 - 10.0.0.1 10.0.0.255\n",
    ),
];

#[test]
fn each_link_is_judged_by_itself() {
    insta::assert_snapshot!(transcript(CASES));
}

#[test]
fn the_published_sample_is_read() {
    let tab = "set-node north\nset-cluster 2\nlink eth1 eth1 - ether - -\n\
               link eth2 eth2 - ether - -\nlink-lowpri eth0 eth0 - ether - -\n";
    let tab = parse(tab).unwrap();
    assert_eq!((tab.cluster, tab.warnings.as_slice()), (ClusterId(2), [].as_slice()));
    let seen: Vec<_> = tab.links.iter().map(|link| (link.tag.as_str(), link.lowpri)).collect();
    assert_eq!(seen, [("eth1", false), ("eth2", false), ("eth0", true)]);
    for link in &tab.links {
        let device = Device::Name(link.tag.clone());
        assert_eq!(link.medium, Medium::Ether { device, sap: 0xCAFE });
        assert_eq!((link.mtu, link.medium.mtu()), (None, 1500));
        assert_eq!(link.medium.broadcast(), Some(LinkAddr::Mac([0xFF; 6])));
        assert!(link.broadcast_heartbeats && link.discover);
    }
}

/// INS, the appendix on UDP.
#[test]
fn the_published_samples_over_udp_are_read() {
    let direct = "set-node Node0\nset-cluster 1\n\
                  link link1 udp - udp 50000 - 192.1.2.1 192.1.2.255\n\
                  link link2 udp - udp 50001 - 192.1.3.1 192.1.3.255\n";
    let hosts = "0 Node0\n1 Node1\n";
    let tab = parse_with(direct, hosts).unwrap();
    assert_eq!(tab.warnings, []);
    let all = LinkAddr::V4 { ip: [192, 1, 2, 255], port: 50000 };
    assert_eq!(tab.links[0].medium.broadcast(), Some(all));
    assert_eq!((tab.links[0].mtu, tab.links[0].medium.mtu()), (None, 8192));
    let routed = format!(
        "{direct}set-addr 1 link1 192.1.3.1\nset-addr 1 link2 192.1.4.1\nset-bcasthb 0\nset-arp 0\n"
    );
    let tab = parse_with(&routed, hosts).unwrap();
    for (link, ip, port) in [(0, [192, 1, 3, 1], 50000), (1, [192, 1, 4, 1], 50001)] {
        let link = &tab.links[link];
        assert_eq!(link.peers, [(node(1), LinkAddr::V4 { ip, port })]);
        assert_eq!(link.medium.broadcast(), None);
        assert!(!link.broadcast_heartbeats && !link.discover);
    }
}

#[test]
fn an_ethernet_link_may_say_everything_or_little() {
    let lines = [
        ("link a eth1 - ether", None, 0xCAFE),
        ("link a eth1 - ether -", None, 0xCAFE),
        ("link a eth1 - ether - -", None, 0xCAFE),
        ("link a eth1 - ether 0xCAFF -", None, 0xCAFF),
        ("link a eth1 - ether 51967 9000", Some(9000), 0xCAFF),
        ("link a eth1 0-2 ether 0x0600 9216 - -", Some(9216), 0x0600),
        ("link a eth1 0 ether 0xffff 576", Some(576), 0xFFFF),
    ];
    for (line, mtu, sap) in lines {
        let tab = parse(&format!("set-node 0\n{line}\n")).unwrap();
        let device = Device::Name("eth1".to_owned());
        assert_eq!((tab.links[0].mtu, &tab.links[0].medium), (mtu, &Medium::Ether { device, sap }));
    }
    let tab = parse("set-node 0\nlink-lowpri a eth-00:15:17:48:b5:80 - ether\n").unwrap();
    let device = Device::Mac([0x00, 0x15, 0x17, 0x48, 0xB5, 0x80]);
    assert_eq!(tab.links[0].medium, Medium::Ether { device, sap: 0xCAFE });
}

#[test]
fn a_link_local_address_names_its_interface() {
    let tab = parse("set-node 0\nlink a udp - udp6 50000 - fe80::1%3 ff02::77\n").unwrap();
    let Medium::Udp { local: SocketAddr::V6(local), .. } = tab.links[0].medium else {
        panic!("{:?}", tab.links)
    };
    assert_eq!((local.scope_id(), local.port()), (3, 50000));
    let group = LinkAddr::V6 {
        ip: "ff02::77".parse::<std::net::Ipv6Addr>().unwrap().octets(),
        scope: 3,
        port: 50000,
    };
    assert_eq!(tab.links[0].medium.broadcast(), Some(group));
}

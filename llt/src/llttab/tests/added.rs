//! Links that are added while LLT runs.

use super::*;

/// The links that are there.
fn running() -> Vec<TabLink> {
    let tab = "set-node 0\nlink a eth1 - ether - -\nlink b udp - udp 50000 - 10.0.0.1 239.1.1.1\n";
    parse(tab).unwrap().links
}

fn add(text: &str, others: &[TabLink]) -> (Result<TabLink, ConfigErrors>, Vec<String>) {
    let hosts = parse("set-node 0\nlink a eth1 - ether - -\n").unwrap().hosts;
    let others: Vec<&TabLink> = others.iter().collect();
    let mut warnings = Vec::new();
    let link = TabLink::parse_line(text, NodeId::ZERO, &hosts, &others, &mut warnings);
    (link, warnings.iter().map(ToString::to_string).collect())
}

/// Texts that are no link to be added, beside those that are there.
const BAD: [&str; 10] = [
    "",
    "set-node 0",
    "link c eth2 - ether - -\nlink d eth3 - ether - -",
    "set-addr 1 c 00:15:17:48:b5:80",
    "link c eth2 - ether 0x10 -",
    "link a eth2 - ether - -",
    "link c eth1 - ether 0xcafe -",
    "link c udp - udp 50000 - 10.0.0.1 -",
    "link c eth2 1-2 ether - -",
    "link c eth2 - ether - -\nset-addr 9 c 00:15:17:48:b5:80\nset-addr 1 a 00:15:17:48:b5:80",
];

/// What they come to.
pub(super) fn errors() -> Vec<ConfigErrors> {
    let running = running();
    let mut eight = Vec::new();
    for index in 0..8 {
        let tag = format!("l{index}");
        let device = Device::Name(format!("eth{}", index + 10));
        let medium = Medium::Ether { device, sap: 0xCAFE };
        eight.push(TabLink { tag, medium, ..running[0].clone() });
    }
    let mut errors: Vec<ConfigErrors> =
        BAD.iter().map(|text| add(text, &running).0.expect_err(text)).collect();
    errors.push(add("link c eth2 - ether - -", &eight).0.unwrap_err());
    errors
}

#[test]
fn what_is_no_link_to_be_added_is_refused() {
    let reports: Vec<String> = errors().iter().map(render).collect();
    insta::assert_snapshot!(reports.join("\n"));
}

#[test]
fn a_line_makes_a_link() {
    let (link, warnings) = add("link-lowpri c eth2 - ether 0xCAFF 9000", &running());
    let link = link.unwrap();
    assert_eq!((link.tag.as_str(), link.lowpri, link.mtu), ("c", true, Some(9000)));
    let device = Device::Name("eth2".to_owned());
    assert_eq!(link.medium, Medium::Ether { device, sap: 0xCAFF });
    assert!(link.broadcast_heartbeats && link.discover && warnings.is_empty());
}

#[test]
fn addresses_may_come_with_the_link() {
    let text = "link c udp - udp 50001 - 10.0.1.1 -\nset-addr south c 10.0.1.2\nset-arp 0\n";
    let (link, warnings) = add(text, &running());
    let link = link.unwrap();
    assert_eq!(link.peers, [(node(1), LinkAddr::V4 { ip: [10, 0, 1, 2], port: 50001 })]);
    assert!(link.broadcast_heartbeats && !link.discover && warnings.is_empty());
}

#[test]
fn what_is_worth_a_word_is_said() {
    let (link, warnings) = add("link c udp - udp 4145 - 10.0.0.1 -", &running());
    assert!(link.is_ok());
    assert_eq!(
        warnings,
        [
            "link:1: port 4145 is below 49152: the system may have given it to another program",
            "link:1: links `b` and `c` share the address 10.0.0.1: they fail together",
            "link:1: link `c` looks for nobody by broadcast, and no node has an address on it",
        ]
    );
    let (link, warnings) = add("link c eth1 - ether 0xCAFF -", &running());
    assert!(link.is_ok());
    let text = "link:1: links `a` and `c` share the device eth1: they fail together";
    assert_eq!(warnings, [text]);
}

#[test]
fn an_address_for_a_link_is_of_its_kind() {
    let running = running();
    let [ether, udp] = &running[..] else { panic!("{running:?}") };
    let mac = LinkAddr::Mac([0x00, 0x15, 0x17, 0x48, 0xB5, 0x80]);
    assert_eq!(ether.medium.parse_address("00:15:17:48:B5:80"), Ok(mac));
    let v4 = LinkAddr::V4 { ip: [10, 0, 0, 2], port: 50000 };
    assert_eq!(udp.medium.parse_address("10.0.0.2"), Ok(v4));
    for (medium, text, error) in [
        (&ether.medium, "10.0.0.2", AddressError::Ether),
        (&ether.medium, "eth1", AddressError::Form),
        (&ether.medium, "ff:ff:ff:ff:ff:ff", AddressError::Group),
        (&udp.medium, "fd00::2", AddressError::V4),
        (&udp.medium, "239.1.1.1", AddressError::Group),
        (&udp.medium, "10.0.0.2:50000", AddressError::Form),
    ] {
        assert_eq!(medium.parse_address(text), Err(error), "{text}");
    }
}

//! `link` and `link-lowpri` lines, each by itself (facts 1.4).

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::Range;

use crate::ids::NodeSet;
use crate::io::devices;
use crate::limits::{ETHERTYPE, MTU_ETHER_MAX, MTU_MAX, MTU_MIN};
use crate::llttab::device::DeviceError;
use crate::llttab::lexer::Word;
use crate::llttab::parser::{At, Line, RawTab};
use crate::llttab::report::Problem;
use crate::llttab::values::{ethertype, node_range, number};
use crate::llttab::{Device, Medium, texts};

/// One line, by itself.
#[derive(Clone, Debug)]
pub(super) struct RawLink {
    pub(super) span: Range<usize>,
    pub(super) tag: At<String>,
    pub(super) device: String,
    pub(super) lowpri: bool,
    /// Nodes that have this link; `None` is all.
    pub(super) nodes: Option<NodeSet>,
    /// With the place of what no two links may share: the device, or the address.
    pub(super) medium: At<Medium>,
    pub(super) mtu: Option<usize>,
}

/// `link TAG DEVICE NODES ether SAP MTU`, or
/// `link TAG DEVICE NODES udp PORT MTU LOCAL BROADCAST`.
pub(super) fn parse(line: &mut Line<'_, '_>, lowpri: bool, tab: &mut RawTab) {
    match link(line, lowpri) {
        Some(link) => tab.links.push(link),
        None => {
            let tag = line.words.get(1).map(|tag| tag.text.to_owned());
            tab.broken_tags.push(tag.unwrap_or_default());
        }
    }
}

fn link(line: &mut Line<'_, '_>, lowpri: bool) -> Option<RawLink> {
    let tag = line.word(1, "a tag, a device, `-`, a link type, and what the type needs")?;
    let device = line.word(2, "a device, or `udp` for UDP links")?;
    let nodes_word = line.word(3, "a range of nodes, or `-` for all")?;
    let kind = line.word(4, "a link type: `ether`, `udp` or `udp6`")?;
    let tag_ok = tag.text != "-";
    if !tag_ok {
        line.wrong(tag, texts::tag_expected());
    }
    let nodes = nodes(line, nodes_word);
    let (medium, mtu) = match kind.text {
        "ether" => (ether(line, device), mtu(line, MTU_ETHER_MAX)),
        "udp" | "udp6" => {
            complete(line)?;
            (udp(line, kind.text == "udp6"), mtu(line, MTU_MAX))
        }
        "rdma" => {
            let (message, label) = (texts::link_type_rdma(), texts::link_type_expected());
            let problem = Problem::new(line.source, kind.span(), message, label);
            line.problems.push(problem.help(texts::link_type_help()));
            return None;
        }
        _ => {
            line.wrong(kind, texts::link_type_expected());
            return None;
        }
    };
    line.ends_after(FIELDS);
    let last = line.words[line.words.len().min(FIELDS) - 1];
    tag_ok.then_some(RawLink {
        span: line.words[0].start..last.span().end,
        tag: At::new(tag.text.to_owned(), tag),
        device: device.text.to_owned(),
        lowpri,
        nodes: nodes?,
        medium: medium?,
        mtu: mtu?,
    })
}

/// A line of a UDP link says everything; the first word that it lacks is named.
fn complete(line: &mut Line<'_, '_>) -> Option<()> {
    line.word(5, "a UDP port")?;
    line.word(6, "an MTU, or `-`")?;
    line.word(7, "the IP address of this node on the link")?;
    line.word(8, "a broadcast or multicast address, or `-`")?;
    Some(())
}

/// The inner `None` is all nodes.
#[expect(clippy::option_option, reason = "the outer is a mistake, which was reported")]
fn nodes(line: &mut Line<'_, '_>, word: Word<'_>) -> Option<Option<NodeSet>> {
    if word.text == "-" {
        return Some(None);
    }
    let range = node_range(word.text);
    if range.is_none() {
        line.wrong(word, texts::nodes_expected());
    }
    range.map(Some)
}

/// The word at `index` if there is one and it is not `-`.
fn given<'a>(line: &Line<'a, '_>, index: usize) -> Option<Word<'a>> {
    line.words.get(index).copied().filter(|word| word.text != "-")
}

/// The inner `None` is the medium's own.
#[expect(clippy::option_option, reason = "the outer is a mistake, which was reported")]
fn mtu(line: &mut Line<'_, '_>, most: usize) -> Option<Option<usize>> {
    let Some(word) = given(line, 6) else { return Some(None) };
    let mtu = number(word.text).filter(|mtu| (MTU_MIN..=most).contains(mtu));
    if mtu.is_none() {
        line.wrong(word, texts::mtu_expected(MTU_MIN, most));
    }
    mtu.map(Some)
}

fn ether(line: &mut Line<'_, '_>, word: Word<'_>) -> Option<At<Medium>> {
    let device = word.text.parse::<Device>();
    if let Err(error) = device {
        let message = match error {
            DeviceError::Foreign => texts::device_foreign(word.text),
            DeviceError::Mac => texts::device_mac(word.text),
            DeviceError::Name => texts::device_name(word.text),
        };
        line.complain(word, message, texts::device_expected());
    }
    let sap = sap(line);
    let extra = [7, 8].into_iter().find_map(|index| given(line, index));
    if let Some(extra) = extra {
        line.wrong(extra, texts::ip_of_ether());
        return None;
    }
    Some(At::new(Medium::Ether { device: device.ok()?, sap: sap? }, word))
}

fn sap(line: &mut Line<'_, '_>) -> Option<u16> {
    let Some(word) = given(line, 5) else { return Some(ETHERTYPE) };
    let Some(sap) = ethertype(word.text) else {
        line.wrong(word, texts::ethertype_expected());
        return None;
    };
    if let Some((_, name)) = TAKEN.iter().find(|(taken, _)| *taken == sap) {
        line.wrong(word, texts::ethertype_taken(name));
        return None;
    }
    Some(sap)
}

fn udp(line: &mut Line<'_, '_>, is_v6: bool) -> Option<At<Medium>> {
    let (port_word, local_word) = (line.words[5], line.words[7]);
    let port = number::<u16>(port_word.text).filter(|&port| port != 0);
    match port {
        None => line.wrong(port_word, texts::port_expected()),
        Some(port) if port < PORT_MIN => line.warn(port_word, texts::port_low(port)),
        Some(_) => {}
    }
    let local = local(line, local_word, is_v6);
    let broadcast = broadcast(line, is_v6, local);
    let mut local = local?;
    local.set_port(port?);
    Some(At::new(Medium::Udp { local, broadcast: broadcast? }, local_word))
}

/// The own address, with port 0; an IPv6 one may name its interface: `fe80::1%eth0`.
fn local(line: &mut Line<'_, '_>, word: Word<'_>, is_v6: bool) -> Option<SocketAddr> {
    if !is_v6 {
        let ip = word.text.parse().ok().filter(|ip| is_one_node(IpAddr::V4(*ip)));
        if ip.is_none() {
            line.wrong(word, texts::local_expected());
        }
        return ip.map(|ip| SocketAddr::new(IpAddr::V4(ip), 0));
    }
    let (text, interface) = match word.text.split_once('%') {
        Some((text, interface)) => (text, Some(interface)),
        None => (word.text, None),
    };
    let ip = text.parse::<Ipv6Addr>().ok().filter(|ip| is_one_node(IpAddr::V6(*ip)));
    let Some(ip) = ip.filter(|_| interface.is_none_or(is_interface)) else {
        line.wrong(word, texts::local_v6_expected());
        return None;
    };
    let scope = match interface {
        Some(interface) => scope_of(interface).unwrap_or_else(|| {
            // It may come later, and the other links must not wait for it.
            line.warn(word, texts::local_scope_unknown(interface));
            0
        }),
        None if ip.is_unicast_link_local() => {
            line.wrong(word, texts::local_scope());
            return None;
        }
        None => 0,
    };
    Some(SocketAddr::V6(SocketAddrV6::new(ip, 0, 0, scope)))
}

/// The inner `None` is none.
#[expect(clippy::option_option, reason = "the outer is a mistake, which was reported")]
fn broadcast(
    line: &mut Line<'_, '_>,
    is_v6: bool,
    local: Option<SocketAddr>,
) -> Option<Option<IpAddr>> {
    let Some(word) = given(line, 8) else { return Some(None) };
    let ip = word.text.parse::<IpAddr>().ok().filter(|ip| ip.is_ipv6() == is_v6);
    let Some(ip) = ip.filter(|ip| !ip.is_unspecified() && (!is_v6 || ip.is_multicast())) else {
        let v6 = texts::broadcast_v6_expected;
        line.wrong(word, if is_v6 { v6() } else { texts::broadcast_expected() });
        return None;
    };
    if local.is_some_and(|local| local.ip() == ip) {
        line.wrong(word, texts::broadcast_own());
        return None;
    }
    Some(Some(ip))
}

/// Not the address of a group. A subnet's broadcast address cannot be told from here.
pub(super) fn is_one_node(ip: IpAddr) -> bool {
    !ip.is_multicast() && ip != IpAddr::V4(std::net::Ipv4Addr::BROADCAST)
}

fn is_interface(name: &str) -> bool {
    number::<u32>(name).is_some() || matches!(name.parse(), Ok(Device::Name(_)))
}

/// The number of an interface; `None` if it is not there. `name` is a number or a possible name.
fn scope_of(name: &str) -> Option<u32> {
    if let Some(index) = number(name) {
        return Some(index);
    }
    // The folder /sys may be that of another network namespace: the system itself is asked.
    devices::find(&Device::Name(name.to_owned())).map(|state| state.index)
}

/// Words of a whole line.
const FIELDS: usize = 9;
/// The first UDP port that no registry gives to anybody (facts 1.4).
const PORT_MIN: u16 = 49_152;
/// Ethertypes whose frames belong to the system itself.
const TAKEN: [(u16, &str); 5] = [
    (0x0800, "that of IPv4"),
    (0x0806, "that of ARP"),
    (0x8100, "that of VLAN tags"),
    (0x86DD, "that of IPv6"),
    (0x88A8, "that of VLAN tags"),
];

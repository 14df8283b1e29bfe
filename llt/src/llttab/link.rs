//! `link` and `link-lowpri` lines.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::ops::Range;

use crate::ids::NodeSet;
use crate::limits::{MTU_MAX, MTU_MIN, MTU_UDP};
use crate::llttab::lexer::Word;
use crate::llttab::parser::{At, Line};
use crate::llttab::report::Problem;
use crate::llttab::values::{node_range, number};

/// One line, by itself.
#[derive(Clone, Debug)]
pub(super) struct RawLink {
    pub(super) span: Range<usize>,
    pub(super) tag: At<String>,
    pub(super) device: String,
    pub(super) lowpri: bool,
    /// Nodes that have this link; `None` is all.
    pub(super) nodes: Option<NodeSet>,
    pub(super) local: At<SocketAddr>,
    pub(super) mtu: usize,
    pub(super) broadcast: Option<At<IpAddr>>,
}

/// `link <tag> <device> <node-range> <link-type> <sap or port> <mtu> <IP> <broadcast>`.
pub(super) fn parse(line: &mut Line<'_, '_>, lowpri: bool) -> Option<RawLink> {
    let tag = line.word(1, "a tag, a device, `-`, the type `udp`, a port, `-`, an address, `-`")?;
    let device = line.word(2, "a device (`udp` for UDP links)")?;
    let nodes = line.word(3, "a range of nodes, or `-` for all")?;
    let kind = line.word(4, "a link type (`udp` or `udp6`)")?;
    let is_v6 = match kind.text {
        "udp" => false,
        "udp6" => true,
        "ether" => return refuse(line, kind, "raw Ethernet links are not in this version"),
        "rdma" => return refuse(line, kind, "RDMA links are not in this version"),
        _ => {
            line.wrong(kind, "expected a link type: `udp` or `udp6`");
            return None;
        }
    };
    let nodes = match nodes.text {
        "-" => Some(None),
        text => {
            let range = node_range(text);
            if range.is_none() {
                line.wrong(nodes, "expected `-`, a node id or a range of them (0-3)");
            }
            range.map(Some)
        }
    };
    let port_word = line.word(5, "a UDP port")?;
    let port = number::<u16>(port_word.text).filter(|&port| port != 0);
    if port.is_none() {
        line.wrong(port_word, "expected a UDP port, usually from 49152 to 65535");
    }
    let mtu = mtu(line)?;
    let local_word = line.word(7, "the IP address of this node on the link")?;
    let local = address(local_word.text, is_v6, port.unwrap_or(1));
    if local.is_none() {
        let expected = if is_v6 { "an IPv6 address" } else { "an IPv4 address" };
        line.wrong(local_word, format!("expected {expected} of this node"));
    }
    let broadcast = broadcast(line, is_v6, local)?;
    line.ends_after(9);
    port?;
    Some(RawLink {
        span: line.words[0].start..line.words[line.words.len().min(9) - 1].span().end,
        tag: At::new(tag.text.to_owned(), tag),
        device: device.text.to_owned(),
        lowpri,
        nodes: nodes?,
        local: At::new(local?, local_word),
        mtu: mtu?,
        broadcast: broadcast?,
    })
}

fn refuse(line: &mut Line<'_, '_>, kind: Word<'_>, text: &str) -> Option<RawLink> {
    let problem = Problem::new(line.source, kind.span(), text, "expected `udp` or `udp6`");
    line.problems.push(problem.help("a UDP line reads: link TAG udp - udp PORT - LOCAL-IP -"));
    None
}

/// The outer `None`: the word is missing. The inner: it is wrong.
#[expect(clippy::option_option, reason = "both were reported, one ends the line")]
fn mtu(line: &mut Line<'_, '_>) -> Option<Option<usize>> {
    let word = line.word(6, "an MTU, or `-`")?;
    if word.text == "-" {
        return Some(Some(MTU_UDP));
    }
    let mtu = number(word.text).filter(|mtu| (MTU_MIN..=MTU_MAX).contains(mtu));
    if mtu.is_none() {
        line.wrong(word, format!("expected `-` or a number of bytes from {MTU_MIN} to {MTU_MAX}"));
    }
    Some(mtu)
}

/// As [`mtu`], with a value that is itself optional.
#[expect(clippy::option_option, reason = "as `mtu`, and `-` is none")]
fn broadcast(
    line: &mut Line<'_, '_>,
    is_v6: bool,
    local: Option<SocketAddr>,
) -> Option<Option<Option<At<IpAddr>>>> {
    let word = line.word(8, "a broadcast or multicast address, or `-`")?;
    if word.text == "-" {
        return Some(Some(None));
    }
    let Some(ip) = word.text.parse::<IpAddr>().ok().filter(|ip| ip.is_ipv6() == is_v6) else {
        let expected =
            if is_v6 { "an IPv6 multicast address" } else { "an IPv4 broadcast address" };
        line.wrong(word, format!("expected {expected}, or `-`"));
        return Some(None);
    };
    if is_v6 && !ip.is_multicast() || local.is_some_and(|local| local.ip() == ip) {
        line.wrong(word, "expected an address that reaches every node of the link, or `-`");
        return Some(None);
    }
    Some(Some(Some(At::new(ip, word))))
}

/// An own address; an IPv6 one may name its interface: `fe80::1%eth0`.
fn address(text: &str, is_v6: bool, port: u16) -> Option<SocketAddr> {
    if !is_v6 {
        return text.parse().ok().map(|ip| SocketAddr::new(IpAddr::V4(ip), port));
    }
    let (ip, scope) = match text.split_once('%') {
        Some((ip, interface)) => (ip, scope_of(interface)?),
        None => (text, 0),
    };
    Some(SocketAddr::V6(SocketAddrV6::new(ip.parse().ok()?, port, 0, scope)))
}

fn scope_of(interface: &str) -> Option<u32> {
    if let Some(index) = number(interface) {
        return Some(index);
    }
    if interface.is_empty() || interface.contains(['/', '\0']) || interface.starts_with('.') {
        return None;
    }
    let index = std::fs::read_to_string(format!("/sys/class/net/{interface}/ifindex")).ok()?;
    number(index.trim())
}

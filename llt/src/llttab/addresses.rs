//! `set-addr` lines, and whether anybody can be reached.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use crate::ids::{LinkAddr, NodeId, NodeSet};
use crate::limits::GROUP_V6;
use crate::llttab::check::Checker;
use crate::llttab::device::is_single;
use crate::llttab::link::{RawLink, is_one_node};
use crate::llttab::parser::{At, RawAddr, RawAddress, RawTab};
use crate::llttab::report::{Problem, Source, Warning};
use crate::llttab::values::node_id;
use crate::llttab::{Device, Hosts, Medium, TabLink, at, texts};

/// The links of this node, with the addresses of others on them.
pub(super) fn links(
    checker: &mut Checker<'_>,
    raw: &RawTab,
    mine: &[&RawLink],
    own: Option<NodeId>,
) -> Vec<TabLink> {
    let mut known: BTreeMap<(usize, NodeId), Known<'_>> = BTreeMap::new();
    for line in &raw.addrs {
        let Some((link, node)) = parties(checker, raw, mine, line) else { continue };
        let Some(address) = address(checker, &mine[link].medium.value, &line.address) else {
            continue;
        };
        if Some(node) == own {
            // A list of all nodes is the same on each of them.
            continue;
        }
        if is_own(&mine[link].medium.value, line.address.value) {
            let message = texts::address_own(node);
            checker.problem(&line.address.span, message, texts::address_other());
            continue;
        }
        let twin = known.iter().find(|((at, other), known)| {
            *at == link && (*other == node || known.address == address)
        });
        if let Some((&(_, other), first)) = twin {
            let message = if other == node {
                texts::address_twice(node, &line.tag.value)
            } else {
                texts::address_shared(other, node, shown(line.address.value))
            };
            let at = line.address.span.clone();
            let problem = Problem::new(checker.source, at, message, texts::again());
            let first = first.line.address.span.clone();
            checker.problems.push(problem.and(first, texts::first_here()));
            continue;
        }
        known.insert((link, node), Known { line, address });
    }
    let tab_link = |(index, link): (usize, &&RawLink)| {
        let of_link = known.range((index, NodeId::ZERO)..).take_while(|((at, _), _)| *at == index);
        let peers = of_link.map(|((_, node), known)| (*node, known.address)).collect();
        tab_link(link, raw, peers)
    };
    mine.iter().enumerate().map(tab_link).collect()
}

struct Known<'a> {
    line: &'a RawAddr,
    address: LinkAddr,
}

/// The link, as an index into `mine`, and the node that a line speaks of. `None` if one of them
/// is unknown, which was told, or if the link is another node's.
fn parties(
    checker: &mut Checker<'_>,
    raw: &RawTab,
    mine: &[&RawLink],
    line: &RawAddr,
) -> Option<(usize, NodeId)> {
    let (node_text, tag) = (&line.node.value, &line.tag.value);
    let node = node_id(node_text).or_else(|| checker.hosts.node(node_text));
    match node {
        None => {
            let message = texts::address_node(node_text);
            checker.problem(&line.node.span, message, texts::node_expected());
        }
        Some(node) if checker.hosts_complete && checker.hosts.name(node).is_none() => {
            let span = line.node.span.clone();
            let message = texts::node_unknown(node_text);
            let problem = Problem::new(checker.source, span, message, texts::node_expected());
            checker.problems.push(problem.help(texts::address_node_help()));
        }
        Some(_) => {}
    }
    let link = mine.iter().position(|link| link.tag.value == *tag);
    let others = raw.links.iter().map(|link| &link.tag.value).chain(&raw.broken_tags);
    if link.is_none() && !others.into_iter().any(|known| known == tag) {
        let message = texts::address_link(tag);
        checker.problem(&line.tag.span, message, texts::address_link_expected());
    }
    Some((link?, node?))
}

/// The address as the link uses it; `None` if it cannot, which was told.
fn address(
    checker: &mut Checker<'_>,
    medium: &Medium,
    address: &At<RawAddress>,
) -> Option<LinkAddr> {
    let text = shown(address.value);
    let (message, label) = match medium.address(address.value) {
        Ok(found) => return Some(found),
        Err(AddressError::Group) => (texts::address_many(text), texts::address_single()),
        Err(error) => (texts::address_kind(text), error.to_string()),
    };
    checker.problem(&address.span, message, label);
    None
}

/// What was expected in place of an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddressError {
    /// The link is Ethernet.
    #[error("{}", texts::address_kind_ether())]
    Ether,
    /// Neither an IP address nor an Ethernet address.
    #[error("{}", texts::address_expected())]
    Form,
    /// Not the address of a group, nor nobody's.
    #[error("{}", texts::address_single())]
    Group,
    /// The link is UDP over IPv4.
    #[error("{}", texts::address_kind_v4())]
    V4,
    /// The link is UDP over IPv6.
    #[error("{}", texts::address_kind_v6())]
    V6,
}

impl Medium {
    /// Reads the address of another node on this link, as in `set-addr` and `lltconfig -a set`: an
    /// IP address without a port, which is that of the link, or an Ethernet address.
    ///
    /// # Errors
    /// If the text is no address of the link's kind, or not that of one node.
    pub fn parse_address(&self, text: &str) -> Result<LinkAddr, AddressError> {
        self.address(RawAddress::parse(text).ok_or(AddressError::Form)?)
    }

    fn address(&self, address: RawAddress) -> Result<LinkAddr, AddressError> {
        let (found, is_single) = match (self, address) {
            (Self::Ether { .. }, RawAddress::Mac(mac)) => (LinkAddr::Mac(mac), is_single(mac)),
            (Self::Udp { local, .. }, RawAddress::Ip(ip)) if local.is_ipv4() == ip.is_ipv4() => {
                (at(*local, ip), is_one_node(ip) && !ip.is_unspecified())
            }
            (Self::Ether { .. }, RawAddress::Ip(_)) => return Err(AddressError::Ether),
            (Self::Udp { local, .. }, _) if local.is_ipv4() => return Err(AddressError::V4),
            (Self::Udp { .. }, _) => return Err(AddressError::V6),
        };
        if is_single { Ok(found) } else { Err(AddressError::Group) }
    }
}

/// Is it this node's? The address of an interface that is given by name is not known here.
fn is_own(medium: &Medium, address: RawAddress) -> bool {
    match (medium, address) {
        (Medium::Ether { device: Device::Mac(own), .. }, RawAddress::Mac(mac)) => *own == mac,
        (Medium::Udp { local, .. }, RawAddress::Ip(ip)) => local.ip() == ip,
        (Medium::Ether { .. }, _) | (Medium::Udp { .. }, RawAddress::Mac(_)) => false,
    }
}

fn shown(address: RawAddress) -> String {
    match address {
        RawAddress::Ip(ip) => ip.to_string(),
        RawAddress::Mac(mac) => LinkAddr::Mac(mac).to_string(),
    }
}

fn tab_link(link: &RawLink, raw: &RawTab, peers: Vec<(NodeId, LinkAddr)>) -> TabLink {
    let broadcast_heartbeats = raw.broadcast_heartbeats.unwrap_or(true);
    let mut medium = link.medium.value.clone();
    if let Medium::Udp { broadcast, .. } = &mut medium
        && !broadcast_heartbeats
    {
        // Routed links carry a broadcast address in the published samples, and `set-bcasthb 0`
        // says that it leads nowhere. An Ethernet broadcast leads everywhere on the segment.
        *broadcast = None;
    } else if let Medium::Udp { local: SocketAddr::V6(local), broadcast: broadcast @ None } =
        &mut medium
        && !local.ip().is_loopback()
        && !raw.addrs.iter().any(|line| line.tag.value == link.tag.value)
    {
        // Peers are discovered by multicast, so no `set-addr` on direct links (facts 1.4): where there
        // are such lines the link is routed, and who is not named there is not looked for. The
        // loopback carries no multicast of IPv6.
        *broadcast = Some(IpAddr::V6(GROUP_V6));
    }
    TabLink {
        tag: link.tag.value.clone(),
        device: link.device.clone(),
        lowpri: link.lowpri,
        medium,
        mtu: link.mtu,
        broadcast_heartbeats,
        discover: raw.discover.unwrap_or(true),
        peers,
    }
}

/// A node that knows nobody's address waits for ever, and people search for days.
pub(super) fn reachable(
    checker: &mut Checker<'_>,
    mine: &[&RawLink],
    others: NodeSet,
    links: &[TabLink],
    warnings: &mut Vec<Warning>,
) {
    let Some(first) = mine.first() else { return };
    if others.is_empty() {
        return;
    }
    let all = links.iter().map(known).fold(NodeSet::EMPTY, NodeSet::union);
    let finds_any = links.iter().any(finds);
    if !finds_any && all.intersection(others).is_empty() {
        let (message, label) = (texts::reach_nobody(), texts::reach_nobody_here());
        let problem = Problem::new(checker.source, first.span.clone(), message, label);
        checker.problems.push(problem.help(texts::reach_help()));
        return;
    }
    for (raw, link) in mine.iter().zip(links) {
        warnings.extend(reach(checker.source, raw, others, link));
    }
    if !finds_any {
        for node in others.difference(all).iter() {
            let text = texts::reach_node(node);
            warnings.push(Warning::new(checker.source, first.span.start, text));
        }
    }
}

/// A warning if a link alone leads to none of `others`.
pub(super) fn reach(
    source: &Source,
    raw: &RawLink,
    others: NodeSet,
    link: &TabLink,
) -> Option<Warning> {
    let leads_nowhere = !finds(link) && known(link).intersection(others).is_empty();
    leads_nowhere.then(|| Warning::new(source, raw.span.start, texts::reach_link(&link.tag)))
}

/// Does it look for nodes?
fn finds(link: &TabLink) -> bool {
    link.medium.broadcast().is_some() && (link.broadcast_heartbeats || link.discover)
}

/// Nodes with an address on it.
fn known(link: &TabLink) -> NodeSet {
    link.peers.iter().map(|peer| peer.0).collect()
}

/// Nodes that this one is to find.
pub(super) fn others(hosts: &Hosts, raw: &RawTab, own: NodeId) -> NodeSet {
    let mut others = hosts.nodes().difference(raw.excluded);
    others.remove(own);
    others
}

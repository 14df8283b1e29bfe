//! What the directives and `llthosts` say together.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io;

use crate::ids::{ClusterId, LinkAddr, NodeId};
use crate::limits::LINKS_MAX;
use crate::llttab::link::RawLink;
use crate::llttab::parser::{At, RawTab};
use crate::llttab::report::{Problem, Source, Warning};
use crate::llttab::values::{node_id, show};
use crate::llttab::{Hosts, LltTab, Medium, TabLink};

/// `None` if something essential is missing, which then stands in `problems`.
pub(super) fn check(
    source: &Source,
    raw: RawTab,
    hosts: Hosts,
    read: &dyn Fn(&str) -> io::Result<Vec<u8>>,
    problems: &mut Vec<Problem>,
) -> Option<LltTab> {
    let clean_so_far = problems.is_empty();
    let mut checker = Checker { source, hosts: &hosts, problems };
    checker.timers(&raw);
    checker.flow(&raw);
    let node = checker.own_node(raw.node.as_ref(), read);
    checker.links(&raw);
    let mut warnings = raw.warnings.clone();
    let links = checker.addresses(&raw, node, &mut warnings);
    let node = node?;
    if raw.excluded.contains(node) {
        let span = raw.node.as_ref().map_or(0..0, |at| at.span.clone());
        checker.problem(span, format!("node {node} excludes itself"), "this node");
    }
    if clean_so_far && problems.is_empty() {
        reachable(source, &raw, node, &hosts, &links, problems, &mut warnings);
    }
    Some(LltTab {
        node,
        cluster: ClusterId(raw.cluster.map_or(0, |at| at.value)),
        links,
        excluded: raw.excluded,
        timers: raw.timers,
        flow: raw.flow,
        links_min: raw.links_min.map_or(1, |at| at.value),
        verbose: raw.verbose,
        warnings,
        hosts,
    })
}

struct Checker<'a> {
    source: &'a Source,
    hosts: &'a Hosts,
    problems: &'a mut Vec<Problem>,
}

impl Checker<'_> {
    fn problem(
        &mut self,
        span: std::ops::Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        self.problems.push(Problem::new(self.source, span, message, label));
    }

    /// The last byte of the file, where what is missing would stand.
    fn end(&self) -> std::ops::Range<usize> {
        let end = self.source.text().trim_end().len();
        end..end
    }

    fn timers(&mut self, raw: &RawTab) {
        let t = &raw.timers;
        let rules: [(&'static str, Duration, &'static str, Duration); 4] = [
            ("heartbeat", t.heartbeat, "peertrouble", t.peer_trouble),
            ("heartbeatlo", t.heartbeat_lo, "peertroublelo", t.peer_trouble_lo),
            ("peertrouble", t.peer_trouble, "peerinact", t.peer_inact),
            ("peertroublelo", t.peer_trouble_lo, "peerinact", t.peer_inact),
        ];
        for (low, low_value, high, high_value) in rules {
            if low_value < high_value {
                continue;
            }
            let message = format!("`{low}` must be less than `{high}`");
            let place = |name| raw.timers_set.get(name).cloned();
            let told = |name, value| format!("`{name}` is {} here", show(value));
            let problem = match (place(low), place(high)) {
                (Some(low_at), Some(high_at)) => {
                    Problem::new(self.source, low_at, message, told(low, low_value))
                        .and(high_at, told(high, high_value))
                }
                (Some(at), None) => Problem::new(self.source, at, message, told(low, low_value))
                    .help(format!("`{high}` is not set and is {}", show(high_value))),
                (None, Some(at)) => Problem::new(self.source, at, message, told(high, high_value))
                    .help(format!("`{low}` is not set and is {}", show(low_value))),
                (None, None) => continue,
            };
            self.problems.push(problem);
        }
    }

    fn flow(&mut self, raw: &RawTab) {
        if raw.flow.lowwater < raw.flow.highwater {
            return;
        }
        let place = raw.flow_set.get("lowwater").or_else(|| raw.flow_set.get("highwater"));
        let text = "`lowwater` must be less than `highwater`";
        let label = format!("they are {} and {}", raw.flow.lowwater, raw.flow.highwater);
        self.problem(place.cloned().unwrap_or(0..0), text, label);
    }

    fn own_node(
        &mut self,
        given: Option<&At<String>>,
        read: &dyn Fn(&str) -> io::Result<Vec<u8>>,
    ) -> Option<NodeId> {
        let Some(given) = given else {
            let end = self.end();
            self.problem(end, "the file does not say which node this is", "expected `set-node`");
            return None;
        };
        let span = given.span.clone();
        let mut text = given.value.clone();
        if text.starts_with('/') {
            match read(&text) {
                Ok(bytes) => text = name_in(&bytes),
                Err(error) => {
                    self.problem(span, format!("cannot read {text}: {error}"), "named here");
                    return None;
                }
            }
        }
        let node = node_id(&text).or_else(|| self.hosts.node(&text));
        let Some(node) = node else {
            let message = format!("node `{text}` is not in llthosts");
            self.problem(span, message, "expected a node id, or a name of llthosts");
            return None;
        };
        if self.hosts.name(node).is_none() {
            let message = format!("node {node} is not in llthosts");
            self.problem(span, message, "expected a node of llthosts");
            return None;
        }
        Some(node)
    }

    fn links(&mut self, raw: &RawTab) {
        if raw.links.is_empty() && self.problems.is_empty() {
            let end = self.end();
            self.problem(end, "no link is configured", "expected a `link` line");
        }
        if let Some(ninth) = raw.links.get(usize::from(LINKS_MAX)) {
            let message = format!("{} links are configured", raw.links.len());
            self.problem(ninth.span.clone(), message, format!("at most {LINKS_MAX} are possible"));
        }
        for (index, link) in raw.links.iter().enumerate() {
            for first in &raw.links[..index] {
                self.pair(first, link);
            }
        }
        if let Some(at) = &raw.links_min
            && usize::from(at.value) > raw.links.len()
        {
            let message = format!("only {} links are configured", raw.links.len());
            self.problem(at.span.clone(), message, "more than that are required here");
        }
    }

    fn pair(&mut self, first: &RawLink, second: &RawLink) {
        if first.tag.value == second.tag.value {
            let message = format!("two links have the tag `{}`", first.tag.value);
            let problem = Problem::new(self.source, second.tag.span.clone(), message, "again");
            self.problems.push(problem.and(first.tag.span.clone(), "first here"));
        }
        let (a, b) = (first.local.value, second.local.value);
        let same_ip = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
        if a.is_ipv4() == b.is_ipv4() && a.port() == b.port() && same_ip {
            let message = format!("two links share the address {b}");
            let problem =
                Problem::new(self.source, second.local.span.clone(), message, "this one too")
                    .and(first.local.span.clone(), "already taken by this link");
            self.problems.push(problem.help("each link needs an address or a port of its own"));
        }
    }

    /// Puts the `set-addr` lines to their links.
    fn addresses(
        &mut self,
        raw: &RawTab,
        own: Option<NodeId>,
        warnings: &mut Vec<Warning>,
    ) -> Vec<TabLink> {
        let mut peers: BTreeMap<(usize, NodeId), &crate::llttab::parser::RawAddr> = BTreeMap::new();
        for addr in &raw.addrs {
            let Some(node) =
                node_id(&addr.node.value).or_else(|| self.hosts.node(&addr.node.value))
            else {
                let message = format!("`{}` is no node", addr.node.value);
                self.problem(addr.node.span.clone(), message, "expected a node id");
                continue;
            };
            let Some(index) = raw.links.iter().position(|link| link.tag.value == addr.tag.value)
            else {
                // The link may be there, but wrong, which was told already.
                if raw.links.is_empty() || self.problems.is_empty() {
                    let message = format!("no link has the tag `{}`", addr.tag.value);
                    self.problem(addr.tag.span.clone(), message, "expected the tag of a link");
                }
                continue;
            };
            let local = raw.links[index].local.value;
            if local.is_ipv4() != addr.ip.value.is_ipv4() {
                let expected = if local.is_ipv4() { "an IPv4 address" } else { "an IPv6 address" };
                let message = format!("`{}` is of the other kind than the link", addr.ip.value);
                self.problem(addr.ip.span.clone(), message, format!("expected {expected}"));
                continue;
            }
            if Some(node) == own {
                continue;
            }
            if local.ip() == addr.ip.value {
                let message = format!("node {node} has this node's own address on the link");
                self.problem(addr.ip.span.clone(), message, "expected another address");
                continue;
            }
            let twin = peers.iter().find(|((at, other), known)| {
                *at == index && (*other == node || known.ip.value == addr.ip.value)
            });
            if let Some((&(_, other), first)) = twin {
                let message = if other == node {
                    format!("node {node} has two addresses on link `{}`", addr.tag.value)
                } else {
                    format!("nodes {other} and {node} share {}", addr.ip.value)
                };
                let problem = Problem::new(self.source, addr.ip.span.clone(), message, "again");
                self.problems.push(problem.and(first.ip.span.clone(), "first here"));
                continue;
            }
            peers.insert((index, node), addr);
        }
        let mut links = Vec::new();
        for (index, link) in raw.links.iter().enumerate() {
            if link.nodes.is_some_and(|nodes| own.is_some_and(|own| !nodes.contains(own))) {
                let text = format!("link `{}` is for other nodes and left out", link.tag.value);
                warnings.push(Warning::new(self.source, link.span.start, text));
                continue;
            }
            let of_link =
                peers.range((index, NodeId::ZERO)..).take_while(|((at, _), _)| *at == index);
            let local = link.local.value;
            let peers = of_link.map(|((_, node), addr)| (*node, super::at(local, addr.ip.value)));
            let peers = peers.collect();
            links.push(tab_link(link, raw.bcasthb_off, peers));
        }
        if links.is_empty() && !raw.links.is_empty() {
            let end = self.end();
            self.problem(end, "every link is for other nodes", "expected one for this node");
        }
        links
    }
}

fn tab_link(link: &RawLink, bcasthb_off: bool, peers: Vec<(NodeId, LinkAddr)>) -> TabLink {
    TabLink {
        tag: link.tag.value.clone(),
        device: link.device.clone(),
        lowpri: link.lowpri,
        medium: Medium::Udp {
            local: link.local.value,
            // Routed links carry a broadcast address in the published samples, and `set-bcasthb 0`
            // says that it leads nowhere.
            broadcast: link.broadcast.as_ref().filter(|_| !bcasthb_off).map(|at| at.value),
        },
        mtu: Some(link.mtu),
        broadcast_heartbeats: !bcasthb_off,
        discover: true,
        peers,
    }
}

/// The first word of a file that `set-node` names, cut at the first dot (facts 1.3).
fn name_in(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let word = text.split_whitespace().next().unwrap_or_default();
    word.split('.').next().unwrap_or_default().to_owned()
}

/// A node that knows nobody's address waits for ever, and people search for days.
fn reachable(
    source: &Source,
    raw: &RawTab,
    own: NodeId,
    hosts: &Hosts,
    links: &[TabLink],
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Warning>,
) {
    let mut others = hosts.nodes().difference(raw.excluded);
    others.remove(own);
    if others.is_empty() || links.iter().any(|link| link.medium.broadcast().is_some()) {
        return;
    }
    let known = links.iter().flat_map(|link| link.peers.iter().map(|&(node, _)| node)).collect();
    let unknown = others.difference(known);
    if unknown == others {
        let span = raw.links.first().map_or(0..0, |link| link.span.clone());
        let message = "no other node can be reached";
        let label = "no link has a broadcast address, and no node an address (`set-addr`)";
        let problem = Problem::new(source, span, message, label);
        problems.push(problem.help("give every other node an address: set-addr NODE TAG IP"));
        return;
    }
    for node in unknown.iter() {
        let text = format!("node {node} has no address on any link: it has to speak first");
        warnings.push(Warning::new(source, 0, text));
    }
}

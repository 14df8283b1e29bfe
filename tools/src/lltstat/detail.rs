//! `lltstat -d`, `-N`: what LLT knows of each node, and who is on the network. Layouts are ours.

use std::fmt::Write as _;

use gab::snapshot::{LinkSnapshot, LltSnapshot, NodeLinkSnapshot};
use serde::Serialize;

use super::nodes::start;

/// `lltstat -d`: for each node its incarnation, queue and round trip, and for each link how long
/// it has been silent, the last heartbeat and the address.
pub fn detail(llt: &LltSnapshot) -> String {
    let mut out = String::from(
        "LLT node detail:\n    Node                 State    Incarnation       Queue  Round trip\n",
    );
    for node in &llt.nodes {
        let trip = match node.srtt_ns {
            0 => "-".to_owned(),
            trip => format!("{}us", trip.div_ceil(1000)),
        };
        let _ = writeln!(
            out,
            "{}{:<8} {:<16x} {:>6}  {trip}",
            start(node),
            node.state,
            node.incarnation,
            node.queued
        );
        for (port, which) in [(&node.open_ports, "open"), (&node.busy_ports, "busy")] {
            if !port.is_empty() {
                let ports: Vec<String> = port.iter().map(u8::to_string).collect();
                let _ = writeln!(out, "{:25}ports {which}: {}", "", ports.join(" "));
            }
        }
        if node.own {
            continue;
        }
        for (link, seen) in llt.links.iter().zip(&node.links) {
            let _ = writeln!(out, "{:25}{}", "", path(link, seen));
        }
    }
    out
}

fn path(link: &LinkSnapshot, seen: &NodeLinkSnapshot) -> String {
    let silent = match seen.silent_ms {
        Some(ms) => format!("silent {ms}ms"),
        None => "never heard".to_owned(),
    };
    let kept = if seen.permanent { "  permanent" } else { "" };
    let address = if seen.address.is_empty() { "-" } else { &seen.address };
    let tag = &link.tag;
    let (status, heartbeat) = (&seen.status, seen.heartbeat);
    format!("{tag:<6} {status:<7}  {silent:<16} heartbeat {heartbeat:<10} {address}{kept}")
}

/// `lltstat -N`: every node heard, on which links and from where; those that LLT ignores too.
pub fn on_network(llt: &LltSnapshot) -> String {
    let mut out = String::from(
        "LLT nodes on the network:\n    Node                 State    Cluster  Link   Address\n",
    );
    for heard in heard(llt) {
        let tag = llt.links.iter().find(|link| link.link == heard.link);
        let tag = tag.map_or("?", |link| link.tag.as_str());
        let Heard { node, name, cluster, state, address, .. } = heard;
        let start = format!("    {node:>2} {name}");
        let _ = writeln!(out, "{start:<25}{state:<8} {cluster:>7}  {tag:<6} {address}");
    }
    out
}

/// `lltstat -N --json`: one for each node and link on which it was heard.
#[derive(Debug, Serialize)]
pub(super) struct Heard<'a> {
    node: u8,
    name: &'a str,
    cluster: u16,
    /// `OPEN`, `CONNWAIT`, `EXCLUDED`, or `FOREIGN` for one of another cluster.
    state: &'a str,
    link: u8,
    address: &'a str,
    silent_ms: u64,
}

pub(super) fn heard(llt: &LltSnapshot) -> Vec<Heard<'_>> {
    let mut all = Vec::new();
    for node in llt.nodes.iter().filter(|node| !node.own) {
        for (link, seen) in llt.links.iter().zip(&node.links) {
            let Some(silent_ms) = seen.silent_ms else { continue };
            let (name, state, address) = (&node.name, &node.state, &seen.address);
            let (node, cluster, link) = (node.node, llt.cluster, link.link);
            all.push(Heard { node, name, cluster, state, link, address, silent_ms });
        }
    }
    all.extend(llt.ignored.iter().map(|other| Heard {
        node: other.node,
        name: &other.name,
        cluster: other.cluster,
        state: if other.cluster == llt.cluster { "EXCLUDED" } else { "FOREIGN" },
        link: other.link,
        address: &other.address,
        silent_ms: other.silent_ms,
    }));
    all
}

#[cfg(test)]
mod tests {
    use gab::snapshot::{IgnoredSnapshot, NodeSnapshot};

    use super::*;
    use crate::golden;

    fn llt() -> LltSnapshot {
        let link =
            |link, tag: &str| LinkSnapshot { link, tag: tag.into(), ..LinkSnapshot::default() };
        let own = NodeSnapshot {
            name: "north".into(),
            own: true,
            state: "OPEN".into(),
            incarnation: 0x1a2b,
            open_ports: vec![0, 30],
            ..NodeSnapshot::default()
        };
        let heard = NodeLinkSnapshot {
            status: "UP".into(),
            address: "00:50:56:00:00:E1".into(),
            permanent: true,
            silent_ms: Some(21),
            heartbeat: 4711,
            ..NodeLinkSnapshot::default()
        };
        let never =
            NodeLinkSnapshot { link: 1, status: "DOWN".into(), ..NodeLinkSnapshot::default() };
        let south = NodeSnapshot {
            node: 1,
            name: "south".into(),
            state: "OPEN".into(),
            incarnation: 0x1a2c,
            links: vec![heard, never],
            open_ports: vec![0, 30],
            busy_ports: vec![30],
            queued: 17,
            srtt_ns: 120_400,
            ..NodeSnapshot::default()
        };
        let ignored = |node, cluster| IgnoredSnapshot {
            node,
            cluster,
            link: 1,
            address: "00:50:56:00:00:AA".into(),
            ..IgnoredSnapshot::default()
        };
        LltSnapshot {
            cluster: 7,
            links: vec![link(0, "eth1"), link(1, "eth2")],
            nodes: vec![own, south],
            ignored: vec![ignored(9, 7), ignored(1, 8)],
            ..LltSnapshot::default()
        }
    }

    #[test]
    fn each_node_is_told_in_detail() {
        golden::check("lltstat-d", &detail(&llt()));
    }

    #[test]
    fn who_is_on_the_network_includes_those_that_are_ignored() {
        golden::check("lltstat-network", &on_network(&llt()));
        golden::check_json("lltstat-network-json", &heard(&llt()));
    }
}

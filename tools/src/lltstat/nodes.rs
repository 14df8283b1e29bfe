//! `lltstat -n`: the table of nodes, with or without their links.

use std::borrow::Cow;
use std::fmt::Write as _;

use gab::snapshot::{LltSnapshot, NodeSnapshot};

use super::Only;
use super::config::nodes_max;
use super::notes;

/// The nodes to list; with `all`, every possible one.
pub(super) fn listed(llt: &LltSnapshot, only: Option<Only>, all: bool) -> Vec<NodeSnapshot> {
    let known = llt.nodes.iter().filter(|node| match only {
        None => true,
        Some(Only::Active) => node.own || node.state == "OPEN",
        Some(Only::Configured) => node.configured,
    });
    let mut nodes: Vec<_> = known.cloned().collect();
    if all {
        for id in 0..nodes_max(llt) {
            if !nodes.iter().any(|node| node.node == id) {
                let state = "CONNWAIT".to_owned();
                nodes.push(NodeSnapshot { node: id, state, ..NodeSnapshot::default() });
            }
        }
        nodes.sort_by_key(|node| node.node);
    }
    nodes
}

/// `lltstat -n`: one line per node with the number of its links that are up.
pub fn node_states(nodes: &[NodeSnapshot]) -> String {
    let mut out = String::from("LLT node information:\n    Node                 State    Links\n");
    for node in nodes {
        let up = node.links.iter().filter(|link| link.status == "UP").count();
        let _ = writeln!(out, "{}{:<8}{up:>5}", start(node), node.state);
    }
    out
}

/// `lltstat -nv`, `-nvv`: each node followed by its links. `very`: a link in trouble is shown as
/// what it is, and what is wrong follows.
pub fn node_links(llt: &LltSnapshot, nodes: &[NodeSnapshot], very: bool) -> String {
    let mut out = String::from(
        "LLT node information:\n    Node                 State    Link  Status  Address\n",
    );
    for node in nodes {
        let of_node = if very { node.notes.as_slice() } else { &[] };
        let of_node: Vec<_> = of_node.iter().map(|note| notes::on_node(llt, note)).collect();
        let on = |link: Option<u8>| {
            of_node.iter().filter(move |note| note.0 == link).map(|note| note.1.clone())
        };
        let words = [format!("{}{}", start(node), node.state)].into_iter().chain(on(None));
        let _ = writeln!(out, "{}", words.collect::<Vec<_>>().join(" "));
        for (at, link) in llt.links.iter().enumerate() {
            let seen = node.links.get(at);
            let status = seen.map_or("DOWN", |seen| match seen.status.as_str() {
                // The original's listing knows UP and DOWN, and TROUBLE if asked for everything.
                "EXPIRED" => "DOWN",
                "TROUBLE" if !very => "DOWN",
                status => status,
            });
            let address = match seen {
                Some(seen) if !seen.address.is_empty() => Cow::from(&seen.address),
                // A node needs no connection to itself.
                _ if node.own => Cow::from(&link.address),
                _ => Cow::from(""),
            };
            // An address that was learned before the link went down is no address now.
            let address = if status == "DOWN" { "" } else { &address };
            let of_link = seen.filter(|_| very).map_or(&[][..], |seen| &seen.notes);
            let of_link = of_link.iter().map(|note| notes::on_link(llt, note));
            let line = format!("{:34}{:<6} {status:<5} {address}", "", link.tag);
            let words = [line.trim_end().to_owned()].into_iter();
            let words = words.chain(of_link).chain(on(Some(link.link)));
            let _ = writeln!(out, "{}", words.collect::<Vec<_>>().join(" "));
        }
    }
    out
}

/// Mark, id and name, up to the column of the state.
pub(super) fn start(node: &NodeSnapshot) -> String {
    let mark = if node.own { '*' } else { ' ' };
    let start = format!("   {mark}{:>2} {}", node.node, node.name);
    // Columns are kept as long as the name allows; something always separates them.
    if start.len() < STATE_COLUMN { format!("{start:<STATE_COLUMN$}") } else { start + " " }
}

const STATE_COLUMN: usize = 25;

#[cfg(test)]
mod tests {
    use gab::snapshot::{LinkNote, LinkSnapshot, NodeLinkSnapshot, NodeNote};

    use super::*;
    use crate::golden;

    fn node(id: u8, name: &str, state: &str, links: &[(&str, &str)]) -> NodeSnapshot {
        let links = links
            .iter()
            .map(|&(status, address)| NodeLinkSnapshot {
                status: status.into(),
                address: address.into(),
                ..NodeLinkSnapshot::default()
            })
            .collect();
        NodeSnapshot {
            node: id,
            name: name.into(),
            configured: !name.is_empty(),
            own: id == 0,
            state: state.into(),
            links,
            ..NodeSnapshot::default()
        }
    }

    fn llt(tags: &[&str], nodes: Vec<NodeSnapshot>) -> LltSnapshot {
        let link = |(link, tag): (u8, &&str)| LinkSnapshot {
            link,
            tag: (*tag).into(),
            ..LinkSnapshot::default()
        };
        let links = (0..).zip(tags).map(link).collect();
        LltSnapshot { links, nodes, ..LltSnapshot::default() }
    }

    #[test]
    fn states_look_as_in_the_original() {
        let up = [("UP", ""), ("UP", "")];
        let nodes = [node(0, "north", "OPEN", &up), node(1, "south", "OPEN", &up)];
        golden::check("lltstat-n", &node_states(&nodes));
    }

    #[test]
    fn links_look_as_in_the_original() {
        let llt = llt(
            &["eth6", "eth5"],
            vec![
                node(
                    0,
                    "cloud-db-1",
                    "OPEN",
                    &[("UP", "00:50:56:00:00:F3"), ("UP", "00:50:56:00:00:F2")],
                ),
                node(1, "cloud-db-2", "OPEN", &[("UP", "00:50:56:00:00:E1"), ("DOWN", "x")]),
                node(2, "", "CONNWAIT", &[("DOWN", ""), ("EXPIRED", "")]),
            ],
        );
        golden::check("lltstat-nvv", &node_links(&llt, &llt.nodes, true));
        golden::check("lltstat-nv", &node_links(&llt, &llt.nodes, false));
        golden::check_json("lltstat-n-json", &listed(&llt, None, false));
    }

    #[test]
    fn trouble_shows_only_if_everything_is_asked_for() {
        let links = [("TROUBLE", "00:50:56:00:00:E1"), ("EXPIRED", "00:50:56:00:00:E2")];
        let llt = llt(&["eth1", "eth2"], vec![node(1, "south", "OPEN", &links)]);
        let lines = |very| {
            let text = node_links(&llt, &llt.nodes, very);
            text.lines().skip(3).map(|line| line.trim_start().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(lines(true), ["eth1   TROUBLE 00:50:56:00:00:E1", "eth2   DOWN"]);
        assert_eq!(lines(false), ["eth1   DOWN", "eth2   DOWN"]);
    }

    #[test]
    fn what_is_wrong_follows_the_address() {
        let mut own = node(0, "north", "OPEN", &[("UP", ""), ("UP", ""), ("UP", "")]);
        own.notes = vec![
            NodeNote::Late { times: 3, late_ms: 420, ago_ms: 17_000 },
            NodeNote::Refused {
                cause: "unknown key".into(),
                link: 1,
                from: "00:50:56:00:00:AA".into(),
                count: 7,
            },
        ];
        let links = [("DOWN", ""), ("UP", "00:50:56:00:00:E2"), ("UP", "00:50:56:00:00:E3")];
        let mut south = node(1, "south", "OPEN", &links);
        south.links[0].notes = vec![LinkNote::OneWay];
        south.links[1].notes = vec![LinkNote::Mtu { bytes: 9000 }];
        south.links[2].notes = vec![LinkNote::Crossed { with: 1 }, LinkNote::Crossed { with: 5 }];
        let mut llt = llt(&["eth1", "eth2", "eth3"], vec![own, south]);
        llt.links[0].address = "00:50:56:00:00:F1".into();
        golden::check("lltstat-nvv-notes", &node_links(&llt, &llt.nodes, true));
        assert!(!node_links(&llt, &llt.nodes, false).contains('('));
    }

    #[test]
    fn long_names_and_ids_stay_apart_from_the_state() {
        let nodes = [
            node(127, "n", "OPEN", &[("UP", ""), ("TROUBLE", ""), ("DOWN", "")]),
            node(10, "a-name-that-is-longer-than-its-column", "CONNWAIT", &[]),
        ];
        golden::check("lltstat-n-long-names", &node_states(&nodes));
    }

    #[test]
    fn a_filter_keeps_what_it_names() {
        let mut unknown = node(3, "", "OPEN", &[]);
        unknown.configured = false;
        let llt =
            llt(&["l"], vec![node(0, "a", "OPEN", &[]), node(1, "b", "CONNWAIT", &[]), unknown]);
        let ids = |only, all| listed(&llt, only, all).iter().map(|n| n.node).collect::<Vec<_>>();
        assert_eq!(ids(None, false), [0, 1, 3]);
        assert_eq!(ids(Some(Only::Active), false), [0, 3]);
        assert_eq!(ids(Some(Only::Configured), false), [0, 1]);
        assert_eq!(ids(None, true), (0..64).collect::<Vec<_>>());
    }
}

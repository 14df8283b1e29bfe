//! What is wrong, in the words of docs/llt.md: they stand in parentheses after an address.

use gab::snapshot::{LinkNote, LltSnapshot, NodeNote};

/// A note on a link to a node: `(one-way)`.
pub(super) fn on_link(llt: &LltSnapshot, note: &LinkNote) -> String {
    match note {
        LinkNote::Crossed { with } => format!("(crossed with {})", tag(llt, *with)),
        LinkNote::Lossy => "(lossy)".to_owned(),
        LinkNote::Mtu { bytes } => format!("(mtu: {bytes} bytes do not pass)"),
        LinkNote::OneWay => "(one-way)".to_owned(),
    }
}

/// A note on this node, with the link that it belongs to if it belongs to one.
pub(super) fn on_node(llt: &LltSnapshot, note: &NodeNote) -> (Option<u8>, String) {
    match note {
        NodeNote::Crossed { link, with } => {
            (Some(*link), format!("(crossed with {})", tag(llt, *with)))
        }
        NodeNote::Duplicate { node } => (None, format!("(node id {node} is used twice)")),
        NodeNote::Late { times, late_ms, ago_ms } => {
            let often = if *times == 1 { "once".to_owned() } else { format!("{times} times") };
            (None, format!("(late {often}, last by {late_ms} ms, {} s ago)", ago_ms / 1000))
        }
        NodeNote::Refused { link, .. } => (Some(*link), format!("({})", refused(llt, note))),
    }
}

/// Why frames are kept out: the cause, the source of the last one, and how many there were.
pub(super) fn refused(llt: &LltSnapshot, note: &NodeNote) -> String {
    match note {
        NodeNote::Refused { cause, link, from, count } => {
            format!("refused {count}, last: {cause}, from {from} on {}", tag(llt, *link))
        }
        NodeNote::Crossed { .. } | NodeNote::Duplicate { .. } | NodeNote::Late { .. } => {
            String::new()
        }
    }
}

/// A link's tag, or its number if this node has no such link.
fn tag(llt: &LltSnapshot, number: u8) -> String {
    let link = llt.links.iter().find(|link| link.link == number);
    link.map_or_else(|| format!("link {number}"), |link| link.tag.clone())
}

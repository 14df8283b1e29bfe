//! What happens, in the words of the original where it has some (facts 1.14, 2.15): one event is
//! one line.

use llt::NodeSet;
use llt::core::{DownReason, DuplicateScope, Event, LinkStatus};

use crate::core::Notice;
use crate::daemon::settings::Settings;
use crate::ids::PortName;

/// How loud.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Loudness {
    Debug,
    Info,
    Warn,
}

/// Logs a notice of the stack.
pub(super) fn log(settings: &Settings, notice: &Notice) {
    let (loudness, text) = match notice {
        Notice::Llt(event) => match llt_line(settings, event) {
            Some(line) => line,
            None => return,
        },
        other => gab_line(other),
    };
    match loudness {
        Loudness::Debug => tracing::debug!("{text}"),
        Loudness::Info => tracing::info!("{text}"),
        Loudness::Warn => tracing::warn!("{text}"),
    }
}

fn llt_line(settings: &Settings, event: &Event) -> Option<(Loudness, String)> {
    Some(match event {
        Event::AddressChanged { .. }
        | Event::Note { .. }
        | Event::Refused { .. }
        | Event::Requested { .. }
        | Event::Silent { .. } => (Loudness::Info, format!("LLT INFO {event:?}")),
        Event::Duplicate { node, scope } => {
            let cluster = settings.tab.cluster;
            let who = match scope {
                DuplicateScope::Peer => "two other nodes use its id",
                DuplicateScope::OwnYounger => "it is this node's id, and the other is older",
                DuplicateScope::OwnOlder => "it is this node's id, and the other is younger",
            };
            let text = "LLT ERROR V-14-2-15238 node";
            (Loudness::Warn, format!("{text} {node} already exists in cluster {cluster}: {who}"))
        }
        Event::Hole { from, link, frames } => {
            (Loudness::Debug, format!("LLT lost {frames} frames from {} link {link}", from.node))
        }
        Event::Late { late_ms } => {
            let text = "LLT INFO V-14-1-10035 timer not called for";
            (Loudness::Warn, format!("{text} {} ticks ({late_ms} ms)", late_ms / 10))
        }
        Event::Link { peer, link, status, silent_ms, .. } => {
            let tag = settings.tab.links.get(link.index()).map_or("?", |link| link.tag.as_str());
            let place = format!("link {link} ({tag}) node {}", peer.node);
            let text = match status {
                LinkStatus::Down => format!("LLT INFO {place} down: one way only or never heard"),
                LinkStatus::Expired => {
                    format!("LLT INFO V-14-1-10509 {place} expired after {silent_ms} ms")
                }
                LinkStatus::Trouble => format!("LLT INFO V-14-1-10205 {place} in trouble"),
                LinkStatus::Up => format!("LLT INFO V-14-1-10024 {place} active"),
            };
            (Loudness::Info, text)
        }
        Event::PeerDown { peer, reason } => {
            let why = match reason {
                DownReason::Excluded => "it is excluded",
                DownReason::Left => "it left",
                DownReason::Reset => "it lost or gave up the connection",
                DownReason::Restarted => "it has started anew",
                DownReason::Silent => "no link to it is left",
            };
            (Loudness::Info, format!("LLT INFO node {} disconnected: {why}", peer.node))
        }
        Event::PeerUp { peer } => (
            Loudness::Info,
            format!("LLT INFO node {} connected, incarnation {}", peer.node, peer.incarnation),
        ),
        Event::Datagram { .. } | Event::Message { .. } | Event::Writable { .. } => return None,
    })
}

fn gab_line(notice: &Notice) -> (Loudness, String) {
    match notice {
        Notice::ClientClosed { port, reason } => {
            (Loudness::Warn, format!("GAB WARNING V-15-1-20138 Port {port} isolated: {reason}"))
        }
        Notice::Ejected { by } => {
            let text = "GAB WARNING this node was thrown out of the cluster by view";
            (Loudness::Warn, format!("{text} {by}"))
        }
        Notice::Llt(_) => (Loudness::Debug, String::new()),
        Notice::Membership { port, members, .. } if members.is_empty() => {
            (Loudness::Info, format!("GAB INFO V-15-1-20032 Port {port} closed"))
        }
        Notice::Membership { port, generation, members } => {
            let set = node_columns(*members);
            let text = format!("Port {port} gen {generation:x} membership {set}");
            (Loudness::Info, format!("GAB INFO V-15-1-20036 {text}"))
        }
        Notice::SlowMember { node, behind } => {
            (Loudness::Info, format!("GAB INFO node {node} is slow: {behind} slots behind"))
        }
        Notice::StuckMember { node } => {
            (Loudness::Warn, format!("GAB WARNING node {node} acknowledges nothing: thrown out"))
        }
        Notice::WaitingForSeed { port } => {
            let id = if *port == PortName::CONTROL { 20026 } else { 20005 };
            let text = "registration waiting for seed port membership";
            (Loudness::Info, format!("GAB INFO V-15-1-{id} Port {port} {text}"))
        }
    }
}

/// A node set as `gabconfig -a` shows it (facts 2.4): a column per node, its last digit; `;` where
/// a node with the last digit 0 is absent, a blank for the others.
fn node_columns(nodes: NodeSet) -> String {
    let Some(last) = nodes.iter().last() else { return String::new() };
    (0..=last.get())
        .map(|id| {
            if nodes.iter().any(|node| node.get() == id) {
                char::from(b'0' + id % 10)
            } else if id % 10 == 0 {
                ';'
            } else {
                ' '
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use llt::NodeId;

    fn set(ids: &[u8]) -> NodeSet {
        ids.iter().filter_map(|&id| NodeId::new(id)).collect()
    }

    #[test]
    fn sets_have_a_column_for_each_node() {
        assert_eq!(node_columns(set(&[0, 1])), "01");
        assert_eq!(node_columns(set(&[1])), ";1");
        assert_eq!(node_columns(set(&[0, 2, 11])), "0 2       ;1");
        assert_eq!(node_columns(set(&[])), "");
    }

    #[test]
    fn memberships_read_as_in_the_original() {
        let port = PortName::new('h').unwrap();
        let notice = Notice::Membership { port, generation: 0x00c7_da09, members: set(&[0, 1]) };
        let line = "GAB INFO V-15-1-20036 Port h gen c7da09 membership 01";
        assert_eq!(gab_line(&notice), (Loudness::Info, line.into()));
    }
}

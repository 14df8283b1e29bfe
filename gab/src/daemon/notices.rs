//! What happens, in the words of the original where it has some (facts 1.14, 2.15): one event is
//! one line.

use llt::core::{DownReason, DuplicateScope, Event, LinkStatus, Note};
use llt::{LinkAddr, LinkId, NodeId, NodeSet};

use crate::core::{Notice, PortDump};
use crate::daemon::settings::Settings;
use crate::ids::{PortName, Versions};
use crate::stack::refused_cause;

/// How loud.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Loudness {
    Debug,
    Error,
    Info,
    Warn,
}

/// Logs a notice of the stack. `clients` tells who registered on a port.
pub(super) fn log(settings: &Settings, clients: &dyn Fn(PortName) -> PortClient, notice: &Notice) {
    let (loudness, text) = match notice {
        Notice::Llt(event) => match llt_line(settings, event) {
            Some(line) => line,
            None => return,
        },
        other => gab_line(settings, clients, other),
    };
    match loudness {
        Loudness::Debug => tracing::debug!("{text}"),
        Loudness::Error => tracing::error!("{text}"),
        Loudness::Info => tracing::info!("{text}"),
        Loudness::Warn => tracing::warn!("{text}"),
    }
}

/// LLT is started (V-14-1-10009), and GAB on it (V-15-1-20021).
pub(super) fn protocol() {
    tracing::info!("LLT INFO V-14-1-10009 LLT {PROTOCOL} Protocol available");
    tracing::info!("GAB INFO V-15-1-20021 GAB available");
}

/// What `gabconfig -C` and the log call the client of a port (facts 2.7, 2.15).
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct PortClient {
    /// Of port a GAB itself; that of a kernel-type client; of all others one name.
    pub(super) name: String,
    /// Kernel-type clients of this node on the port.
    pub(super) refcount: u32,
}

impl PortClient {
    /// Who is on a port with these kernel-type clients, by their names.
    pub(super) fn of(port: PortName, kernel: &[&str]) -> Self {
        let refcount = u32::try_from(kernel.len()).unwrap_or(u32::MAX);
        match kernel {
            _ if port == PortName::CONTROL => Self { name: CONTROL_CLIENT.to_owned(), refcount: 1 },
            [] => Self { name: USER_CLIENT.to_owned(), refcount },
            [first, ..] => Self { name: (*first).to_owned(), refcount },
        }
    }
}

impl std::fmt::Display for PortClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{} (refcount {})]", self.name, self.refcount)
    }
}

/// Another node uses our id and was heard before LLT had started (facts 1.9): it does not start.
/// The words are those of the original's `lltconfig`, which ours shows.
pub(super) fn not_started(settings: &Settings, from: Option<LinkAddr>) -> [String; 3] {
    // Another node may have told of it.
    let from = from.map_or_else(|| "unknown".to_owned(), |from| from.to_string());
    let (node, cluster) = (settings.tab.node, settings.tab.cluster);
    [
        format!("V-14-2-15238 node {node} already exists in cluster {cluster} and has the address - {from}"),
        format!("V-14-2-15245 cluster id {cluster} nodeid {node} has already been used by some other node"),
        "V-14-2-15241 LLT not started, use -o to override this error".to_owned(),
    ]
    .map(|text| format!("LLT lltconfig ERROR {text}"))
}

/// A link that cannot be opened, in the words of the original; its driver's numbers are ours of the
/// link.
pub(super) fn link_not_opened(link: usize, device: &str, why: &str) -> [String; 2] {
    [
        format!("LLT lltconfig ERROR V-14-2-15336 dlatt failed: {why}"),
        format!("LLT lltconfig ERROR V-14-2-15074 cannot DL_ATTACH {link} on {device}"),
    ]
}

/// A link whose frames the system refuses.
pub(super) fn not_sent(settings: &Settings, link: LinkId, frames: u64) -> String {
    let tag = settings.tag(link);
    format!("LLT ERROR V-14-2-15300 sendto failed on link {link} ({tag}), {frames} frames lost")
}

/// Not one link could be opened: gabd does not start.
pub(super) const NO_LINK: &str =
    "LLT lltconfig ERROR V-14-2-15664 LLT could not configure any link";

/// `-s`.
pub(super) const SINGLE_NETWORK: &str =
    "GAB WARNING single network (-s): no side of a split gives up; for tests only";

/// `-q`, and `-n` is smaller than what seeds under it.
pub(super) fn seeds_later(count: u32, nodes: u32) -> String {
    format!(
        "GAB WARNING with -q this node seeds by itself when all {nodes} nodes of llthosts are \
         visible, not {count}"
    )
}

/// A line of the log about an event; `None` if it is none that people look for.
fn llt_line(settings: &Settings, event: &Event) -> Option<(Loudness, String)> {
    let place = |link: &LinkId| format!("link {link} ({})", settings.tag(*link));
    Some(match event {
        Event::AddressChanged { node, link, from, to } => {
            let from = from.unwrap_or_else(|| nobody(*to));
            let change =
                format!("recvarpreq link {link} for node {node} addr change from {from} to {to}");
            (Loudness::Info, format!("LLT INFO V-14-1-10499 {change}"))
        }
        Event::Delayed { peer, link, ms } => {
            let text =
                format!("delayed hb {} ticks from {} {}", ms / TICK_MS, peer.node, place(link));
            (Loudness::Info, format!("LLT INFO V-14-1-10019 {text}"))
        }
        Event::Lost { peer, link, heartbeats, sequence } => {
            let from = format!("from {} {}", peer.node, place(link));
            let text = format!("lost {heartbeats} hb seq {sequence} {from}");
            (Loudness::Info, format!("LLT INFO V-14-1-10023 {text}"))
        }
        Event::Duplicate { node, scope, from } => {
            let heard = match from {
                Some((link, from)) => format!(", heard from {from} on {}", place(link)),
                None => String::new(),
            };
            (Loudness::Warn, duplicate_line(settings, *node, *scope, &heard))
        }
        Event::Hole { from, link, frames } => {
            (Loudness::Debug, format!("LLT lost {frames} frames from {} link {link}", from.node))
        }
        Event::Late { late_ms } => {
            let text = "LLT INFO V-14-1-10035 timer not called for";
            (Loudness::Warn, format!("{text} {} ticks", late_ms / TICK_MS))
        }
        Event::Link { peer, link, status, .. } => {
            let place = format!("{} node {}", place(link), peer.node);
            (Loudness::Info, status_line(&place, *status))
        }
        Event::Note { peer, link, note, found } => {
            let node = peer.map(|peer| format!(" node {}", peer.node)).unwrap_or_default();
            note_line(settings, &format!("{}{node}", place(link)), *note, *found)
        }
        Event::PeerDown { peer, reason } => {
            let why = down_reason(*reason);
            (Loudness::Info, format!("LLT INFO node {} disconnected: {why}", peer.node))
        }
        Event::PeerUp { peer, .. } => (
            Loudness::Info,
            format!("LLT INFO node {} connected, incarnation {}", peer.node, peer.incarnation),
        ),
        Event::Refused { cause, link, from } => {
            let cause = refused_cause(*cause);
            (
                Loudness::Warn,
                format!("LLT WARNING {} frame from {from} refused: {cause}", place(link)),
            )
        }
        Event::Requested { peer, link, left } => {
            let place = format!("{} node {}", place(link), peer.node);
            let text = format!("sent hbreq (NULL) on {place}. {left} more to go.");
            (Loudness::Info, format!("LLT INFO V-14-1-10510 {text}"))
        }
        Event::Silent { peer, link, seconds, sequence } => {
            let place = format!("{} node {}", place(link), peer.node);
            let text = format!("{place} inactive {seconds} sec ({sequence})");
            (Loudness::Info, format!("LLT INFO V-14-1-10032 {text}"))
        }
        Event::Datagram { .. } | Event::Message { .. } | Event::Writable { .. } => return None,
    })
}

fn duplicate_line(settings: &Settings, node: NodeId, scope: DuplicateScope, heard: &str) -> String {
    let cluster = settings.tab.cluster;
    let who = match scope {
        DuplicateScope::Peer => "two other nodes use its id",
        DuplicateScope::OwnYounger => "it is this node's id, and the other is older",
        DuplicateScope::OwnOlder => "it is this node's id, and the other is younger",
    };
    let what = format!("{node} already exists in cluster {cluster}: {who}{heard}");
    format!("LLT ERROR V-14-2-15238 node {what}")
}

fn status_line(place: &str, status: LinkStatus) -> String {
    match status {
        LinkStatus::Down => format!("LLT INFO {place} down: one way only or never heard"),
        LinkStatus::Expired => format!("LLT INFO V-14-1-10509 {place} expired"),
        LinkStatus::Trouble => format!("LLT INFO V-14-1-10205 {place} in trouble"),
        LinkStatus::Up => format!("LLT INFO V-14-1-10024 {place} active"),
    }
}

const fn down_reason(reason: DownReason) -> &'static str {
    match reason {
        DownReason::Excluded => "it is excluded",
        DownReason::Left => "it left",
        DownReason::Reset => "it lost or gave up the connection",
        DownReason::Restarted => "it has started anew",
        DownReason::Silent => "no link to it is left",
    }
}

/// What is wrong with a link, when it is found and when it is over.
fn note_line(settings: &Settings, place: &str, note: Note, found: bool) -> (Loudness, String) {
    let (what, over) = match note {
        Note::Crossed { with } => {
            let tag = settings.tag(with);
            let question = "V-14-1-10498 recvarpack cross links?";
            (
                format!("{question} {place} hears link {with} ({tag})"),
                format!("{place} is not crossed any more"),
            )
        }
        Note::Lossy => (
            format!("{place} lossy: most of its heartbeats are lost, the link is not used"),
            format!("{place} is not lossy any more"),
        ),
        Note::Mtu { sent } => (
            format!("{place} mtu: frames of {sent} bytes do not pass"),
            format!("{place} mtu: frames of {sent} bytes pass again"),
        ),
        Note::OneWay => (
            format!("{place} one-way: it is heard, and does not hear us"),
            format!("{place} is not one-way any more"),
        ),
    };
    match found {
        true => (Loudness::Warn, format!("LLT WARNING {what}")),
        false => (Loudness::Info, format!("LLT INFO {over}")),
    }
}

/// What stands for an address that was not known.
fn nobody(like: LinkAddr) -> LinkAddr {
    match like {
        LinkAddr::Mac(_) => LinkAddr::Mac([0; 6]),
        LinkAddr::V4 { port, .. } => LinkAddr::V4 { ip: [0; 4], port },
        LinkAddr::V6 { scope, port, .. } => LinkAddr::V6 { ip: [0; 16], scope, port },
    }
}

/// A node with its name, if it has one.
fn named(settings: &Settings, node: NodeId) -> String {
    match settings.tab.hosts.name(node) {
        Some(name) => format!("node {node} ({name})"),
        None => format!("node {node}"),
    }
}

fn gab_line(
    settings: &Settings,
    clients: &dyn Fn(PortName) -> PortClient,
    notice: &Notice,
) -> (Loudness, String) {
    match notice {
        // Several lines each, with what only the reactor knows (client_notices.rs).
        Notice::ClientClosed { .. }
        | Notice::ClientFailed { .. }
        | Notice::ClientKilled { .. }
        | Notice::ClientInactive { .. }
        | Notice::RegistrationExpected { .. }
        | Notice::RegistrationMissed { .. } => (Loudness::Debug, String::new()),
        Notice::Dump(dump) => (Loudness::Info, dump_line(clients, dump)),
        Notice::Ejected { by } => {
            let text = "GAB WARNING this node was thrown out of the cluster by view";
            (Loudness::Warn, format!("{text} {by}"))
        }
        Notice::Jeopardy { port, generation, nodes } => jeopardy_line(*port, *generation, *nodes),
        Notice::Llt(_) => (Loudness::Debug, String::new()),
        Notice::Membership { port, generation, members } => {
            membership_line(*port, *generation, *members)
        }
        Notice::PortClosed { port } => {
            (Loudness::Info, format!("GAB INFO V-15-1-20032 Port {port} closed"))
        }
        Notice::ProtocolError { sequence } => {
            let text = format!("Protocol error: recv dlv_seq {sequence}");
            (Loudness::Error, format!("GAB ERROR V-15-1-20050 {text}"))
        }
        Notice::QuorumDiffers { node, theirs } => {
            let who = named(settings, *node);
            let text = match theirs {
                true => "has the quorum flag (-q) and this node has not",
                false => "does not have the quorum flag (-q) and this node has",
            };
            (Loudness::Warn, format!("GAB WARNING {who} {text}"))
        }
        Notice::QuorumLost { of, present } => quorum_line(*of, *present),
        Notice::Returned { node, hold } => {
            let who = named(settings, *node);
            let text = format!("it is let in once it has been connected for {hold:?}");
            (Loudness::Warn, format!("GAB WARNING {who} is back after it was given up: {text}"))
        }
        Notice::SeededByHand { members } => {
            let text = format!("seeded by hand (-x) with {}", node_columns(*members));
            (Loudness::Warn, format!("GAB WARNING {text}: no other node may have a membership"))
        }
        Notice::VersionRefused { node, versions, ours } => {
            version_line(&named(settings, *node), *versions, *ours)
        }
        Notice::TooManyChanges { failed } => {
            let text = "takes part in no other until a view is formed without it";
            (Loudness::Warn, format!("GAB WARNING {failed} view changes failed: this node {text}"))
        }
        Notice::SlowMember { node, behind } => {
            let who = named(settings, *node);
            (Loudness::Info, format!("GAB INFO {who} is slow: {behind} slots behind"))
        }
        Notice::Stalled { node, conn_wait } => {
            let who = named(settings, *node);
            let text =
                format!("stalls the reconfiguration: dropped after {conn_wait} stable times");
            (Loudness::Warn, format!("GAB WARNING {who} {text}"))
        }
        Notice::StuckMember { node } => {
            let who = named(settings, *node);
            (Loudness::Warn, format!("GAB WARNING {who} acknowledges nothing: thrown out"))
        }
        Notice::Visible { port, generation, nodes } => {
            visible_line(*port, &clients(*port), *generation, *nodes)
        }
        Notice::WaitingForSeed { port } => waiting_line(*port, &clients(*port)),
    }
}

fn quorum_line(of: NodeSet, present: NodeSet) -> (Loudness, String) {
    let (all, here) = (of.len(), present.len());
    let text =
        format!("{here} of {all} are left, {} of {}", node_columns(present), node_columns(of));
    (Loudness::Warn, format!("GAB WARNING quorum lost: {text}"))
}

fn version_line(who: &str, theirs: Versions, ours: Versions) -> (Loudness, String) {
    let speaks = |versions: Versions| match (versions.min, versions.max) {
        (min, max) if min == max => format!("version {min}"),
        (min, max) => format!("versions {min} to {max}"),
    };
    let (theirs, ours) = (speaks(theirs), speaks(ours));
    let text = format!("speaks {theirs} of GAB's protocol, and {ours} is spoken here");
    (Loudness::Warn, format!("GAB WARNING {who} {text}: it cannot be a member"))
}

fn jeopardy_line(port: PortName, generation: u64, nodes: NodeSet) -> (Loudness, String) {
    let text = format!("Port {port} gen {generation:x}   jeopardy {}", node_columns(nodes));
    (Loudness::Info, format!("GAB INFO V-15-1-20037 {text}"))
}

fn visible_line(
    port: PortName,
    client: &PortClient,
    generation: u64,
    nodes: NodeSet,
) -> (Loudness, String) {
    let set = node_columns(nodes);
    let text = format!("Port {port}{client} gen {generation:>8x}    visible {set}");
    (Loudness::Info, format!("GAB INFO V-15-1-20040 {text}"))
}

fn waiting_line(port: PortName, client: &PortClient) -> (Loudness, String) {
    let id = if port == PortName::CONTROL { 20026 } else { 20005 };
    let text = "registration waiting for seed port membership";
    (Loudness::Info, format!("GAB INFO V-15-1-{id} Port {port}{client} {text}"))
}

/// A membership, or the end of the last one of a port.
fn membership_line(port: PortName, generation: u64, members: NodeSet) -> (Loudness, String) {
    let text = if members.is_empty() {
        format!("GAB INFO V-15-1-20032 Port {port} closed")
    } else {
        let set = node_columns(members);
        format!("GAB INFO V-15-1-20036 Port {port} gen {generation:x} membership {set}")
    };
    (Loudness::Info, text)
}

/// Where a port stands, in the form of the original's line: five bitmaps of the nodes, in words of 32
/// of them, the lowest ids first; the state, the generation and two places in the order. What stands in
/// them is ours, for nobody knows what the original's mean (docs/operations.md).
fn dump_line(clients: &dyn Fn(PortName) -> PortClient, dump: &PortDump) -> String {
    let PortDump { port, node, state, generation, held, stable, .. } = *dump;
    let words = |nodes: NodeSet| {
        let word = |at: u32| nodes.bits() >> (32 * at) & u128::from(u32::MAX);
        format!("[{:x}:{:x}:{:x}:{:x}]", word(0), word(1), word(2), word(3))
    };
    let PortDump { connected, view, members, answered, jeopardy, .. } = *dump;
    let maps = [connected, view, members, answered, jeopardy].map(words).join(" ");
    let client = clients(port);
    format!(
        "GAB INFO V-15-1-20033 Port {port}{client} nid {node} {maps} {state} {generation:x} {held} \
         {stable}"
    )
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

/// What the original calls the client of port a, and every client that is a user's process.
const CONTROL_CLIENT: &str = "GAB_Control";
const USER_CLIENT: &str = "GAB_USER_CLIENT";
/// The version of the frames on the wire.
const PROTOCOL: &str = "1.0";
/// What the original calls a tick: a hundredth of a second, the unit of its timers (facts 1.5; its
/// `delayed hb` and `lost hb` lines of one pause agree with that).
const TICK_MS: u64 = 10;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use llt::core::RefusedCause;
    use llt::llttab::{LltTab, Source};
    use llt::{Id, Incarnation, NodeId};

    pub(in crate::daemon) fn settings() -> Settings {
        let llttab = "\
set-node 0
set-cluster 8383
link eth1 udp - udp 50000 - 192.168.1.1 192.168.1.255
link eth2 udp - udp 50000 - 192.168.2.1 192.168.2.255
";
        let tab = LltTab::parse(
            &Source::new("llttab", llttab.as_bytes()),
            &Source::new("llthosts", b"0 north\n1 south\n"),
            &|_| Err(std::io::Error::other("no file")),
        );
        Settings::of(tab.unwrap())
    }

    fn lines(events: &[Event]) -> Vec<String> {
        let settings = settings();
        events.iter().filter_map(|event| llt_line(&settings, event)).map(|line| line.1).collect()
    }

    #[test]
    fn the_life_of_a_link_reads_as_in_the_original() {
        let node = NodeId::new(1).unwrap();
        let peer = Id { node, incarnation: Incarnation(7) };
        let link = LinkId::new(1).unwrap();
        let status = |status| Event::Link { peer, link, status, silent_ms: 0, links_up: 1 };
        let mut events = vec![
            status(LinkStatus::Trouble),
            Event::Silent { peer, link, seconds: 5, sequence: 510 },
        ];
        events.extend((0..5).rev().map(|left| Event::Requested { peer, link, left }));
        events.extend([status(LinkStatus::Expired), status(LinkStatus::Up)]);
        assert_eq!(
            lines(&events),
            [
                "LLT INFO V-14-1-10205 link 1 (eth2) node 1 in trouble",
                "LLT INFO V-14-1-10032 link 1 (eth2) node 1 inactive 5 sec (510)",
                "LLT INFO V-14-1-10510 sent hbreq (NULL) on link 1 (eth2) node 1. 4 more to go.",
                "LLT INFO V-14-1-10510 sent hbreq (NULL) on link 1 (eth2) node 1. 3 more to go.",
                "LLT INFO V-14-1-10510 sent hbreq (NULL) on link 1 (eth2) node 1. 2 more to go.",
                "LLT INFO V-14-1-10510 sent hbreq (NULL) on link 1 (eth2) node 1. 1 more to go.",
                "LLT INFO V-14-1-10510 sent hbreq (NULL) on link 1 (eth2) node 1. 0 more to go.",
                "LLT INFO V-14-1-10509 link 1 (eth2) node 1 expired",
                "LLT INFO V-14-1-10024 link 1 (eth2) node 1 active",
            ]
        );
    }

    #[test]
    fn other_lines_of_the_original_keep_their_words() {
        let node = NodeId::new(1).unwrap();
        let peer = Id { node, incarnation: Incarnation(7) };
        let (first, second) = (LinkId::new(0).unwrap(), LinkId::new(1).unwrap());
        let to = LinkAddr::Mac([0, 0x18, 0x8b, 0xe4, 0xde, 0x27]);
        let crossed = |found| {
            let note = Note::Crossed { with: second };
            Event::Note { peer: Some(peer), link: first, note, found }
        };
        assert_eq!(
            lines(&[
                Event::AddressChanged { node, link: first, from: None, to },
                Event::Late { late_ms: 1230 },
                crossed(true),
                crossed(false),
                Event::Delayed { peer, link: first, ms: 9_353_500 },
                Event::Lost { peer, link: first, heartbeats: 18_706, sequence: 3_448_194 },
            ]),
            [
                "LLT INFO V-14-1-10499 recvarpreq link 0 for node 1 addr change from \
                 00:00:00:00:00:00 to 00:18:8B:E4:DE:27",
                "LLT INFO V-14-1-10035 timer not called for 123 ticks",
                "LLT WARNING V-14-1-10498 recvarpack cross links? link 0 (eth1) node 1 hears link 1 (eth2)",
                "LLT INFO link 0 (eth1) node 1 is not crossed any more",
                "LLT INFO V-14-1-10019 delayed hb 935350 ticks from 1 link 0 (eth1)",
                "LLT INFO V-14-1-10023 lost 18706 hb seq 3448194 from 1 link 0 (eth1)",
            ]
        );
        assert_eq!(
            not_started(&settings(), Some(to)),
            [
                "LLT lltconfig ERROR V-14-2-15238 node 0 already exists in cluster 8383 and has the \
                 address - 00:18:8B:E4:DE:27",
                "LLT lltconfig ERROR V-14-2-15245 cluster id 8383 nodeid 0 has already been used by \
                 some other node",
                "LLT lltconfig ERROR V-14-2-15241 LLT not started, use -o to override this error",
            ]
        );
        assert_eq!(
            not_sent(&settings(), second, 3),
            "LLT ERROR V-14-2-15300 sendto failed on link 1 (eth2), 3 frames lost"
        );
        assert_eq!(
            link_not_opened(0, "eth1", "Invalid argument"),
            [
                "LLT lltconfig ERROR V-14-2-15336 dlatt failed: Invalid argument",
                "LLT lltconfig ERROR V-14-2-15074 cannot DL_ATTACH 0 on eth1",
            ]
        );
    }

    #[test]
    fn what_the_original_does_not_find_is_told_once_and_when_it_is_over() {
        let peer = Id { node: NodeId::new(1).unwrap(), incarnation: Incarnation(7) };
        let link = LinkId::new(0).unwrap();
        let note = |note, found| Event::Note { peer: Some(peer), link, note, found };
        let from = LinkAddr::V4 { ip: [10, 0, 0, 9], port: 50_000 };
        assert_eq!(
            lines(&[
                note(Note::OneWay, true),
                note(Note::OneWay, false),
                note(Note::Mtu { sent: 9000 }, true),
                note(Note::Mtu { sent: 9000 }, false),
                Event::Refused { cause: RefusedCause::UnknownKey, link, from },
            ]),
            [
                "LLT WARNING link 0 (eth1) node 1 one-way: it is heard, and does not hear us",
                "LLT INFO link 0 (eth1) node 1 is not one-way any more",
                "LLT WARNING link 0 (eth1) node 1 mtu: frames of 9000 bytes do not pass",
                "LLT INFO link 0 (eth1) node 1 mtu: frames of 9000 bytes pass again",
                "LLT WARNING link 0 (eth1) frame from 10.0.0.9 refused: unknown key",
            ]
        );
    }

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
        assert_eq!(gab_line(&settings(), &user, &notice), (Loudness::Info, line.into()));
    }

    /// Every port has user clients.
    fn user(port: PortName) -> PortClient {
        PortClient::of(port, &[])
    }

    #[test]
    fn ports_are_told_of_as_in_the_original() {
        let port = PortName::new('h').unwrap();
        let of = |clients: fn(PortName) -> PortClient, notice| {
            gab_line(&settings(), &clients, &notice).1
        };
        let kernel = |port| PortClient::of(port, &["VxFen", "VxFen"]);
        let dump = PortDump {
            port,
            node: NodeId::ZERO,
            connected: set(&[0, 1, 32, 127]),
            view: set(&[0, 1]),
            members: set(&[0, 1]),
            answered: set(&[0]),
            jeopardy: set(&[]),
            state: 2,
            generation: 0x0026_380f,
            held: 20,
            stable: 9,
        };
        let seeding = Notice::WaitingForSeed { port: PortName::CONTROL };
        assert_eq!(
            [
                of(user, Notice::Jeopardy { port, generation: 0x8d704, nodes: set(&[1]) }),
                of(user, Notice::Visible { port, generation: 0x0026_3813, nodes: set(&[0]) }),
                of(user, Notice::PortClosed { port }),
                of(user, Notice::ProtocolError { sequence: 78868 }),
                of(kernel, seeding),
                of(kernel, Notice::WaitingForSeed { port }),
                of(user, Notice::Dump(dump)),
            ],
            [
                "GAB INFO V-15-1-20037 Port h gen 8d704   jeopardy ;1",
                "GAB INFO V-15-1-20040 Port h[GAB_USER_CLIENT (refcount 0)] gen   263813    visible 0",
                "GAB INFO V-15-1-20032 Port h closed",
                "GAB ERROR V-15-1-20050 Protocol error: recv dlv_seq 78868",
                "GAB INFO V-15-1-20026 Port a[GAB_Control (refcount 1)] registration waiting for \
                 seed port membership",
                "GAB INFO V-15-1-20005 Port h[VxFen (refcount 2)] registration waiting for seed \
                 port membership",
                "GAB INFO V-15-1-20033 Port h[GAB_USER_CLIENT (refcount 0)] nid 0 \
                 [3:1:0:80000000] [3:0:0:0] [3:0:0:0] [1:0:0:0] [0:0:0:0] 2 26380f 20 9",
            ]
        );
    }

    #[test]
    fn what_becomes_of_members_is_told_by_name() {
        let node = NodeId::new(1).unwrap();
        let lines = [
            Notice::QuorumDiffers { node, theirs: false },
            Notice::QuorumLost { of: set(&[0, 1, 2]), present: set(&[1]) },
            Notice::Returned { node, hold: std::time::Duration::from_secs(30) },
            Notice::SeededByHand { members: set(&[0]) },
            Notice::SlowMember { node, behind: 1400 },
            Notice::Stalled { node, conn_wait: 12 },
            Notice::StuckMember { node: NodeId::new(7).unwrap() },
            Notice::TooManyChanges { failed: 16 },
            Notice::VersionRefused {
                node,
                versions: Versions { min: 2, max: 3 },
                ours: Versions::OURS,
            },
        ]
        .map(|notice| gab_line(&settings(), &user, &notice).1);
        assert_eq!(
            lines,
            [
                "GAB WARNING node 1 (south) does not have the quorum flag (-q) and this node has",
                "GAB WARNING quorum lost: 1 of 3 are left, ;1 of 012",
                "GAB WARNING node 1 (south) is back after it was given up: it is let in once it has \
                 been connected for 30s",
                "GAB WARNING seeded by hand (-x) with 0: no other node may have a membership",
                "GAB INFO node 1 (south) is slow: 1400 slots behind",
                "GAB WARNING node 1 (south) stalls the reconfiguration: dropped after 12 stable times",
                "GAB WARNING node 7 acknowledges nothing: thrown out",
                "GAB WARNING 16 view changes failed: this node takes part in no other until a view \
                 is formed without it",
                "GAB WARNING node 1 (south) speaks versions 2 to 3 of GAB's protocol, and version 1 is \
                 spoken here: it cannot be a member",
            ]
        );
    }
}

//! What listings show of LLT.

use llt::core::{
    Ignored, LinkState, LinkStatus, Note, OwnNote, PeerLinkStatus, PeerStatus, RefusedCause,
};
use llt::{LinkId, NodeSet};

use super::Stack;
use crate::snapshot::{
    IgnoredSnapshot, LinkNote, LinkSnapshot, LltSnapshot, NodeLinkSnapshot, NodeNote, NodeSnapshot,
};

impl Stack {
    /// LLT's part of [`Stack::snapshot`].
    pub(super) fn llt_snapshot(&self) -> LltSnapshot {
        let config = self.llt.config();
        let links: Vec<(LinkId, LinkState)> = LinkId::all()
            .zip(self.llt.links())
            .filter_map(|(id, state)| Some((id, state?)))
            .collect();
        let peers = self.llt.peers();
        let own = NodeSnapshot {
            node: config.node.get(),
            configured: config.configured.contains(config.node),
            own: true,
            state: "OPEN".to_owned(),
            incarnation: config.incarnation.0,
            links: links.iter().map(|(id, state)| own_link(*id, state)).collect(),
            open_ports: bits(self.llt.open_ports()),
            busy_ports: bits(self.llt.busy_ports()),
            notes: self.llt.own_notes().iter().map(|note| self.own_note(note)).collect(),
            ..NodeSnapshot::default()
        };
        let mut nodes: Vec<NodeSnapshot> = peers
            .iter()
            .map(|peer| node_snapshot(peer, &links, config.configured, config.excluded))
            .chain([own])
            .collect();
        nodes.sort_by_key(|node| node.node);
        let link_snapshots = links.iter().map(|(id, state)| LinkSnapshot {
            link: id.get(),
            broadcast: config.links[id.index()]
                .broadcast
                .map(|address| address.to_string())
                .unwrap_or_default(),
            lowpri: state.lowpri,
            mtu: state.mtu,
            enabled: state.enabled,
            carrier: state.carrier,
            latency_ns: latency(&peers, *id),
            ..LinkSnapshot::default()
        });
        LltSnapshot {
            node: config.node.get(),
            cluster: config.cluster.0,
            incarnation: config.incarnation.0,
            sealed: config.keys.is_some(),
            links: link_snapshots.collect(),
            nodes,
            ignored: self.llt.ignored().iter().map(ignored).collect(),
            stats: *self.llt.stats(),
            ..LltSnapshot::default()
        }
    }

    fn own_note(&self, note: &OwnNote) -> NodeNote {
        match *note {
            OwnNote::Crossed { link, with } => {
                NodeNote::Crossed { link: link.get(), with: with.get() }
            }
            OwnNote::Duplicate { node } => NodeNote::Duplicate { node: node.get() },
            OwnNote::Late { times, last_ms, at } => {
                let ago_ms = u64::try_from(self.now.since(at).as_millis()).unwrap_or(u64::MAX);
                NodeNote::Late { times, late_ms: last_ms, ago_ms }
            }
            OwnNote::Refused { cause, link, from, count } => NodeNote::Refused {
                cause: refused_cause(cause).to_owned(),
                link: link.get(),
                from: from.to_string(),
                count,
            },
        }
    }
}

/// Why a frame is none of ours, in words.
pub(crate) fn refused_cause(cause: RefusedCause) -> &'static str {
    match cause {
        RefusedCause::BadTag => "forged or damaged",
        RefusedCause::NotSealed => "not sealed",
        RefusedCause::OtherCluster => "of another cluster",
        RefusedCause::OtherVersion => "of a protocol version that is not spoken here",
        RefusedCause::Replayed => "replayed",
        RefusedCause::Sealed => "sealed, and there is no key here",
        RefusedCause::UnknownKey => "unknown key",
    }
}

fn ignored(node: &Ignored) -> IgnoredSnapshot {
    IgnoredSnapshot {
        node: node.node.get(),
        cluster: node.cluster.0,
        link: node.link.get(),
        address: node.from.to_string(),
        silent_ms: node.silent_ms,
        ..IgnoredSnapshot::default()
    }
}

/// A node has no connection to itself: its links are what they are here.
fn own_link(id: LinkId, state: &LinkState) -> NodeLinkSnapshot {
    let status = if state.enabled && state.carrier { "UP" } else { "DOWN" };
    NodeLinkSnapshot {
        link: id.get(),
        status: status.to_owned(),
        permanent: true,
        ..NodeLinkSnapshot::default()
    }
}

fn node_snapshot(
    peer: &PeerStatus,
    links: &[(LinkId, LinkState)],
    configured: NodeSet,
    excluded: NodeSet,
) -> NodeSnapshot {
    let links = links.iter().filter_map(|(id, _)| Some((*id, peer.links.get(id.index())?)));
    NodeSnapshot {
        node: peer.node.get(),
        configured: configured.contains(peer.node),
        excluded: excluded.contains(peer.node),
        state: if peer.connected { "OPEN" } else { "CONNWAIT" }.to_owned(),
        incarnation: peer.id.map_or(0, |id| id.incarnation.0),
        links: links.map(|(id, link)| node_link(id, link)).collect(),
        open_ports: bits(peer.open_ports),
        busy_ports: bits(peer.busy_ports),
        queued: peer.queued,
        srtt_ns: peer.srtt_ns,
        ..NodeSnapshot::default()
    }
}

fn node_link(id: LinkId, link: &PeerLinkStatus) -> NodeLinkSnapshot {
    let status = match link.status {
        LinkStatus::Up => "UP",
        LinkStatus::Down => "DOWN",
        LinkStatus::Trouble => "TROUBLE",
        LinkStatus::Expired => "EXPIRED",
    };
    NodeLinkSnapshot {
        link: id.get(),
        status: status.to_owned(),
        address: link.addr.map(|address| address.to_string()).unwrap_or_default(),
        permanent: link.is_static,
        silent_ms: link.silent_ms,
        heartbeat: link.heartbeat_sequence,
        notes: link.notes.iter().map(link_note).collect(),
    }
}

fn link_note(note: &Note) -> LinkNote {
    match *note {
        Note::Crossed { with } => LinkNote::Crossed { with: with.get() },
        Note::Lossy => LinkNote::Lossy,
        Note::Mtu { sent } => LinkNote::Mtu { bytes: sent },
        Note::OneWay => LinkNote::OneWay,
    }
}

/// The mean round trip to the nodes that a link is up to.
fn latency(peers: &[PeerStatus], link: LinkId) -> u64 {
    let is_up = |peer: &PeerStatus| {
        let state = peer.links.get(link.index());
        peer.srtt_ns > 0 && state.is_some_and(|link| link.status == LinkStatus::Up)
    };
    let trips: Vec<u64> =
        peers.iter().filter(|peer| is_up(peer)).map(|peer| peer.srtt_ns).collect();
    let count = u64::try_from(trips.len()).unwrap_or(u64::MAX);
    let sum = trips.iter().fold(0_u64, |sum, trip| sum.saturating_add(*trip));
    sum.checked_div(count).unwrap_or(0)
}

/// The numbers of the bits that are set.
fn bits(ports: u32) -> Vec<u8> {
    (0..32).filter(|port| ports >> port & 1 == 1).collect()
}

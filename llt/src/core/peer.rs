//! What is known of one other node.

use super::identity::Namesake;
use super::link::PeerLink;
use super::output::LinkStatus;
use super::receiver::Receiver;
use super::sender::Sender;
use crate::ids::{Id, Incarnation, LinkAddr, LinkId, NodeId};
use crate::time::Instant;

/// One other node, known or configured.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) node: NodeId,
    /// Its incarnation, once heard.
    pub(super) incarnation: Option<Incarnation>,
    /// Incarnations up to this one have said goodbye.
    pub(super) gone_up_to: Incarnation,
    /// Our session with it; 0 while its incarnation is not known.
    pub(super) session: u16,
    /// Its session with us; 0 while not known.
    pub(super) peer_session: u16,
    /// Its heartbeat that named that session first, and its newest heartbeat, on whatever link.
    pub(super) session_since: u64,
    pub(super) newest_heartbeat: u64,
    /// Both sides heard each other and know each other's session.
    pub(super) connected: bool,
    /// One per link.
    pub(super) links: Vec<PeerLink>,
    /// A greater incarnation that has to show that it does not share the node id.
    pub(super) probation: Option<Probation>,
    /// An older incarnation that goes on talking, from another address.
    pub(super) elder: Option<Namesake>,
    /// An incarnation that shares the node id with an older one: a greater one, which is not heard,
    /// or the present one.
    pub(super) rejected: Option<Rejected>,
    pub(super) sender: Sender,
    pub(super) receiver: Receiver,
    /// Packets that the peer is ready to hold out of order.
    pub(super) peer_window: usize,
    /// LLT ports that have a client there, and those whose client does not keep up, one bit each.
    pub(super) open_ports: u32,
    pub(super) busy_ports: u32,
    /// The link in use, and how many packets have gone over it in a row.
    pub(super) turn: (usize, usize),
    /// Packets wait for a link; counted once.
    pub(super) is_stalled: bool,
}

/// A greater incarnation, waiting to be believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probation {
    pub(super) incarnation: Incarnation,
    /// A heartbeat of the older one that echoes this one of ours, or a later one, shows that both
    /// live.
    pub(super) probe: u16,
    /// It is believed from here on.
    pub(super) until: Instant,
    pub(super) link: LinkId,
    pub(super) addr: LinkAddr,
}

/// An incarnation that was found to share a node id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rejected {
    pub(super) incarnation: Incarnation,
    /// When it may be told again.
    pub(super) notice_at: Instant,
    /// When the layer above may be told again.
    pub(super) event_at: Instant,
}

impl Peer {
    pub(super) fn new(node: NodeId, links: Vec<PeerLink>) -> Self {
        Self {
            node,
            incarnation: None,
            gone_up_to: Incarnation(0),
            session: 0,
            peer_session: 0,
            session_since: 0,
            newest_heartbeat: 0,
            connected: false,
            links,
            probation: None,
            elder: None,
            rejected: None,
            sender: Sender::new(),
            receiver: Receiver::default(),
            peer_window: usize::MAX,
            open_ports: 0,
            busy_ports: 0,
            turn: (0, 0),
            is_stalled: false,
        }
    }

    /// Its identity, if it was ever heard.
    pub(super) fn id(&self) -> Option<Id> {
        self.incarnation.map(|incarnation| Id { node: self.node, incarnation })
    }

    /// Links that are up.
    pub(super) fn links_up(&self) -> u8 {
        let up = self.links.iter().filter(|link| link.status == LinkStatus::Up).count();
        u8::try_from(up).unwrap_or(u8::MAX)
    }

    /// The last instant at which a link was good both ways.
    pub(super) fn last_two_way(&self) -> Option<Instant> {
        self.links.iter().filter_map(|link| link.last_two_way).max()
    }

    /// The last instant at which it was heard on any link.
    pub(super) fn last_heard(&self) -> Option<Instant> {
        self.links.iter().filter_map(|link| link.last_heard).max()
    }
}

//! What listings show of LLT: links, peers, and what is wrong with them.

use super::link::PeerLink;
use super::output::{LinkStatus, Note, RefusedCause};
use super::peer::Peer;
use crate::ids::{Id, LinkAddr, LinkId, NodeId};
use crate::time::Instant;

/// One of our links.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LinkState {
    /// Not disabled by [`Llt::enable_link`](super::Llt::enable_link).
    pub enabled: bool,
    /// The driver has not said that it carries nothing.
    pub carrier: bool,
    /// Low priority.
    pub lowpri: bool,
    /// The largest frame, header included, in bytes.
    pub mtu: usize,
}

/// What LLT knows of one peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeerStatus {
    /// Which node.
    pub node: NodeId,
    /// Its incarnation, if it was ever heard.
    pub id: Option<Id>,
    /// Connected: both sides hear each other on a link at least. `OPEN` in `lltstat`, else `CONNWAIT`.
    pub connected: bool,
    /// By the number of our link. One that was removed is down, without an address.
    pub links: Vec<PeerLinkStatus>,
    /// Packets queued or in flight to it.
    pub queued: usize,
    /// Smoothed round-trip time in nanoseconds, 0 if unknown.
    pub srtt_ns: u64,
    /// Bit n: LLT port n has a client there.
    pub open_ports: u32,
    /// Bit n: the client of LLT port n there does not keep up, so nothing is sent to it.
    pub busy_ports: u32,
}

/// One link to one peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeerLinkStatus {
    /// Its state.
    pub status: LinkStatus,
    /// The peer's address on it, if known.
    pub addr: Option<LinkAddr>,
    /// The address was configured, not learned.
    pub is_static: bool,
    /// Milliseconds without a frame of the peer's, up to the last input of this LLT; `None` if it
    /// was never heard here.
    pub silent_ms: Option<u64>,
    /// What is wrong.
    pub notes: Vec<Note>,
    /// The sequence of the last heartbeat heard here, 0 if none was.
    pub heartbeat_sequence: u64,
}

/// Something that is wrong and belongs to no peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OwnNote {
    /// Our own frames of one link come in on another: they share a broadcast domain.
    Crossed {
        /// Where they come in.
        link: LinkId,
        /// Where they were sent.
        with: LinkId,
    },
    /// Two nodes use this node id, ours or another's.
    Duplicate {
        /// Which id.
        node: NodeId,
    },
    /// Our own timer was late.
    Late {
        /// How often since the start.
        times: u64,
        /// By how much the last time, in milliseconds.
        last_ms: u64,
        /// When that was noticed.
        at: Instant,
    },
    /// Frames that the key keeps out, or of a version that we do not speak.
    Refused {
        /// Why.
        cause: RefusedCause,
        /// On which link.
        link: LinkId,
        /// The last one's sender.
        from: LinkAddr,
        /// How many since the start.
        count: u64,
    },
}

impl PeerStatus {
    /// How many of its links are up.
    pub fn links_up(&self) -> usize {
        self.links.iter().filter(|link| link.status == LinkStatus::Up).count()
    }

    pub(super) fn of(peer: &Peer, now: Instant) -> Self {
        let srtt = peer.sender.srtt().unwrap_or_default();
        Self {
            node: peer.node,
            id: peer.id(),
            connected: peer.connected,
            links: peer.links.iter().map(|link| PeerLinkStatus::of(link, now)).collect(),
            queued: peer.sender.queued(),
            srtt_ns: u64::try_from(srtt.as_nanos()).unwrap_or(u64::MAX),
            open_ports: peer.open_ports,
            busy_ports: peer.busy_ports,
        }
    }
}

impl PeerLinkStatus {
    fn of(link: &PeerLink, now: Instant) -> Self {
        let silence = link.silence(now);
        Self {
            status: link.status,
            addr: link.addr,
            is_static: link.is_static,
            silent_ms: silence.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            notes: link.notes.list(),
            heartbeat_sequence: link.heartbeat_sequence,
        }
    }
}

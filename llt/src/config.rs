//! What a node's LLT is configured with, as plain values.

use core::time::Duration;

use crate::ids::{ClusterId, Incarnation, LinkAddr, LinkId, NodeId, NodeSet};
use crate::seal::Keyring;

/// Everything that [`Llt::new`](crate::core::Llt::new) needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node.
    pub node: NodeId,
    /// This life of it.
    pub incarnation: Incarnation,
    /// Which cluster; frames of another are counted and dropped.
    pub cluster: ClusterId,
    /// Up to eight, in the order of `llttab`: the place is the number of the link. While LLT runs,
    /// one that was removed stays in its place, so that numbers never shift;
    /// [`Llt::links`](crate::core::Llt::links) tells which are there.
    pub links: Vec<LinkConfig>,
    /// Nodes that LLT ignores.
    pub excluded: NodeSet,
    /// Nodes that `llthosts` names: they are listed, and greeted where an address is known.
    pub configured: NodeSet,
    /// Timers.
    pub timers: Timers,
    /// Flow control.
    pub flow: Flow,
    /// How long to listen, before any connection is made, for another user of this node id in this
    /// cluster (facts 1.9); zero: not at all. [`Event::Duplicate`](crate::core::Event::Duplicate)
    /// about our own id within this time means: do not start.
    pub listen: Duration,
    /// With keys every frame is sealed, and no other is heard (docs/llt.md, "Keys"). `incarnation`
    /// must then never have been used before with any of them.
    pub keys: Option<Keyring>,
}

/// One link.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Heartbeats at half rate and no data until no high-priority link is left (facts 1.4).
    pub lowpri: bool,
    /// The largest frame, header and seal included, in bytes.
    pub mtu: usize,
    /// Where one frame reaches every node of the link, if the link can.
    pub broadcast: Option<LinkAddr>,
    /// Heartbeats go to `broadcast`, one for all; else one to each peer whose address is known
    /// (`set-bcasthb`).
    pub broadcast_heartbeats: bool,
    /// Peers whose address is not known are looked for at `broadcast` (`set-arp`).
    pub discover: bool,
    /// Static addresses of peers (`set-addr`); others are learned from their frames.
    pub peers: Vec<(NodeId, LinkAddr)>,
}

/// Timers (facts 1.5). [`Default`] gives the original's values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct Timers {
    /// Period of heartbeats on high-priority links.
    pub heartbeat: Duration,
    /// The same on low-priority links.
    pub heartbeat_lo: Duration,
    /// Silence after which a high-priority link is in trouble: no data on it.
    pub peer_trouble: Duration,
    /// The same for low-priority links.
    pub peer_trouble_lo: Duration,
    /// Silence after which a link has expired; when the last has, the peer is gone.
    pub peer_inact: Duration,
    /// Wait before asking again for a packet that is missing in the sequence.
    pub oos: Duration,
    /// Ceiling of the retransmission time-out; the floor comes from the measured round trip.
    pub retrans: Duration,
    /// `timetoreqhb`: silence on a link after which the peer is asked for a heartbeat; zero: never.
    pub request_after: Duration,
    /// `reqhbtime`: the time between the five requests.
    pub request_gap: Duration,
    /// `timetosendhb`: a timer that is late by so much does not hold back heartbeats any longer:
    /// they go out with whatever input comes; zero: never.
    pub starved_after: Duration,
    /// `sendhbcap`: for how long they may go out so, until the timer runs again.
    pub starved_max: Duration,
    /// `service`: how long what arrived for a client may wait; ours never waits longer than a turn.
    pub service: Duration,
    /// `arp`: learned addresses are forgotten and learned anew after this time; zero: never.
    pub forget_addresses: Duration,
    /// `arpreq`: how often peers without an address are looked for; zero: never.
    pub discover: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(500),
            heartbeat_lo: Duration::from_millis(1000),
            peer_trouble: Duration::from_millis(2000),
            peer_trouble_lo: Duration::from_millis(4000),
            peer_inact: Duration::from_millis(16_000),
            oos: Duration::from_millis(100),
            retrans: Duration::from_millis(100),
            request_after: Duration::from_millis(14_000),
            request_gap: Duration::from_millis(400),
            starved_after: Duration::from_millis(2000),
            starved_max: Duration::from_secs(180),
            service: Duration::from_millis(1000),
            forget_addresses: Duration::ZERO,
            discover: Duration::from_secs(30),
        }
    }
}

impl Timers {
    /// The testbed's fast profile: heartbeat 50 ms, trouble 300 ms, inactive 1 s (interfaces.md 2).
    pub fn fast() -> Self {
        Self {
            heartbeat: Duration::from_millis(50),
            heartbeat_lo: Duration::from_millis(100),
            peer_trouble: Duration::from_millis(300),
            peer_trouble_lo: Duration::from_millis(600),
            peer_inact: Duration::from_millis(1000),
            oos: Duration::from_millis(10),
            retrans: Duration::from_millis(100),
            request_after: Duration::from_millis(700),
            request_gap: Duration::from_millis(40),
            starved_after: Duration::from_millis(200),
            discover: Duration::from_secs(1),
            ..Self::default()
        }
    }
}

/// Flow control, in packets (facts 1.6). [`Default`] gives the original's values, but for the
/// window and `sws`, which are wider because our round trips are batches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct Flow {
    /// Length of a peer's send queue from which senders other than GAB are refused.
    pub highwater: usize,
    /// Length at which they are told to go on.
    pub lowwater: usize,
    /// Unacknowledged packets in flight per peer.
    pub window: usize,
    /// Packets on one link before the next is chosen.
    pub linkburst: usize,
    /// Packets received before an explicit acknowledgement is due.
    pub ackval: usize,
    /// `rporthighwater`: messages that wait for the client of an LLT port from which remote senders
    /// are told to stop sending to that port.
    pub receive_highwater: usize,
    /// `rportlowwater`: messages at which they may go on.
    pub receive_lowwater: usize,
    /// `sws`: once the window is full, new packets go out only when fewer than this are
    /// unacknowledged; less than the window.
    pub sws: usize,
    /// `largepktlen`, in bytes: in its turn a port gets one message of this length or more, or up
    /// to five shorter ones.
    pub large: usize,
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            highwater: 200,
            lowwater: 100,
            window: 256,
            linkburst: 32,
            ackval: 10,
            receive_highwater: 200,
            receive_lowwater: 100,
            // Four fifths of the window, as the original's 40 of 50.
            sws: 204,
            large: 1024,
        }
    }
}

impl Config {
    /// The identity this configuration gives the node.
    pub fn id(&self) -> crate::ids::Id {
        crate::ids::Id { node: self.node, incarnation: self.incarnation }
    }

    /// The numbers of the configured links, in order.
    pub fn link_ids(&self) -> impl Iterator<Item = LinkId> + use<> {
        LinkId::all().take(self.links.len())
    }
}

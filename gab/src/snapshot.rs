//! What listings show: plain values, filled by the cores, printed by the commands.
//!
//! The daemon sends them as JSON over the admin channel of `gab.sock` (see [`crate::ipc`]); the
//! names of the fields are the stable keys of `--json`.

use llt::stats::Stats;

/// State of one gabd.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct Snapshot {
    /// LLT's part.
    pub llt: LltSnapshot,
    /// GAB's part.
    pub gab: GabSnapshot,
}

/// State of LLT.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct LltSnapshot {
    /// Own node id.
    pub node: u8,
    /// Own name in `llthosts`; empty if it has none. Filled by the daemon.
    pub name: String,
    /// Cluster id.
    pub cluster: u16,
    /// Own incarnation.
    pub incarnation: u64,
    /// Links in the order of `llttab`.
    pub links: Vec<LinkSnapshot>,
    /// Every configured or known node and ourselves, by id.
    pub nodes: Vec<NodeSnapshot>,
    /// Counters.
    pub stats: Stats,
}

/// One configured link.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct LinkSnapshot {
    /// The tag. Filled by the daemon.
    pub tag: String,
    /// The device or `udp`. Filled by the daemon.
    pub device: String,
    /// Own address. Filled by the daemon.
    pub address: String,
    /// Low priority.
    pub lowpri: bool,
    /// Largest frame in bytes.
    pub mtu: usize,
    /// Frames sent. Filled by the daemon, as the counters that follow.
    pub tx_packets: u64,
    /// Bytes of them.
    pub tx_bytes: u64,
    /// Frames received.
    pub rx_packets: u64,
    /// Bytes of them.
    pub rx_bytes: u64,
}

/// One node as LLT sees it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct NodeSnapshot {
    /// Node id.
    pub node: u8,
    /// Name in `llthosts`; empty if it has none. Filled by the daemon.
    pub name: String,
    /// Named in `llthosts`.
    pub configured: bool,
    /// This is the node that answers.
    pub own: bool,
    /// `OPEN` or `CONNWAIT`.
    pub state: String,
    /// Its incarnation, 0 if never heard.
    pub incarnation: u64,
    /// One per configured link.
    pub links: Vec<NodeLinkSnapshot>,
    /// Packets queued or in flight to it.
    pub queued: usize,
    /// Smoothed round trip in nanoseconds; 0 if unknown.
    pub srtt_ns: u64,
}

/// One link to one node.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct NodeLinkSnapshot {
    /// `UP`, `DOWN`, `TROUBLE` or `EXPIRED`.
    pub status: String,
    /// The peer's address; empty if unknown.
    pub address: String,
}

/// State of GAB.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct GabSnapshot {
    /// `gabconfig -c` was done.
    pub configured: bool,
    /// Port a has a membership.
    pub seeded: bool,
    /// `-n N`, 0 if not given.
    pub node_count: u32,
    /// Stable timeout in milliseconds.
    pub stable_ms: u64,
    /// The view as `round.node/incarnation`; empty if none.
    pub view: String,
    /// Node id of the sequencer, if there is a view.
    pub sequencer: Option<u8>,
    /// Slots ordered in this view.
    pub last_slot: u64,
    /// Slots that every member holds.
    pub stable_slot: u64,
    /// A view change is under way.
    pub changing: bool,
    /// Ports with a membership at this node, by letter, port a first.
    pub ports: Vec<PortSnapshot>,
    /// Counters, by name.
    pub counters: std::collections::BTreeMap<String, u64>,
}

/// One port.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct PortSnapshot {
    /// The letter.
    pub port: String,
    /// Generation of the membership.
    pub generation: u64,
    /// Member node ids.
    pub members: Vec<u8>,
    /// Those of them with one link left.
    pub jeopardy: Vec<u8>,
    /// Nodes of the cluster without a client on it.
    pub visible: Vec<u8>,
    /// Clients of this node on it.
    pub clients: u32,
}

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
    /// It still listens for another node with its id, and connects to nobody.
    pub listening: bool,
    /// Frames are sealed with a key.
    pub sealed: bool,
    /// The level of checksums that `set-checksum` asks for; header and data of every frame have one
    /// at each of them. Filled by the daemon.
    pub checksum: u8,
    /// Links in the order of their numbers; one that was removed is not there.
    pub links: Vec<LinkSnapshot>,
    /// Every configured or known node and ourselves, by id.
    pub nodes: Vec<NodeSnapshot>,
    /// Nodes that were heard and are ignored: excluded, or of another cluster.
    pub ignored: Vec<IgnoredSnapshot>,
    /// LLT ports in use, by number. Filled by the daemon.
    pub ports: Vec<LltPortSnapshot>,
    /// Timers in force, in the order of `lltconfig -T query`. Filled by the daemon.
    pub timers: Vec<TimerSnapshot>,
    /// Limits in force, in the order of `lltconfig -F query`. Filled by the daemon.
    pub flow: Vec<LimitSnapshot>,
    /// What is fixed while gabd runs. Filled by the daemon.
    pub tunables: TunableSnapshot,
    /// Counters.
    pub stats: Stats,
}

/// One link.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct LinkSnapshot {
    /// Its number, 0 to 7.
    pub link: u8,
    /// The tag. Filled by the daemon.
    pub tag: String,
    /// The device or `udp`. Filled by the daemon.
    pub device: String,
    /// `ether`, `udp` or `udp6`. Filled by the daemon.
    pub kind: String,
    /// Own address. Filled by the daemon.
    pub address: String,
    /// Where one frame reaches every node; empty if the link has no such address.
    pub broadcast: String,
    /// The ethertype, or the UDP port. Filled by the daemon.
    pub sap: u16,
    /// Bytes of an address: 6, 4 or 16. Filled by the daemon.
    pub addrlen: u8,
    /// Low priority.
    pub lowpri: bool,
    /// Largest frame in bytes, header included.
    pub mtu: usize,
    /// Not disabled by `lltconfig -L`.
    pub enabled: bool,
    /// It is open, and its device carries.
    pub carrier: bool,
    /// Why it is not open; empty if it is. Filled by the daemon.
    pub error: String,
    /// Why it carries nothing although it is open: its device is down, has no carrier, or takes less
    /// than the link needs. Empty if it carries. Filled by the daemon.
    pub obstacle: String,
    /// Frames sent. Filled by the daemon, as the counters that follow.
    pub tx_packets: u64,
    /// Bytes of them.
    pub tx_bytes: u64,
    /// Frames received.
    pub rx_packets: u64,
    /// Bytes of them.
    pub rx_bytes: u64,
    /// Frames lost here: the queue was full, or the system refused them.
    pub tx_dropped: u64,
    /// Mean of the smoothed round trips to the nodes that the link is up to, in nanoseconds; 0 if
    /// unknown.
    pub latency_ns: u64,
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
    /// LLT ignores it (`exclude`).
    pub excluded: bool,
    /// This is the node that answers.
    pub own: bool,
    /// `OPEN` or `CONNWAIT`.
    pub state: String,
    /// Its incarnation, 0 if never heard.
    pub incarnation: u64,
    /// One per link, in the order of the links.
    pub links: Vec<NodeLinkSnapshot>,
    /// LLT ports that have a client there.
    pub open_ports: Vec<u8>,
    /// Those of them whose client does not keep up: nothing is sent to them.
    pub busy_ports: Vec<u8>,
    /// Packets queued or in flight to it.
    pub queued: usize,
    /// Smoothed round trip in nanoseconds; 0 if unknown.
    pub srtt_ns: u64,
    /// What is wrong with the node itself; only of the node that answers.
    pub notes: Vec<NodeNote>,
}

/// One link to one node.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct NodeLinkSnapshot {
    /// Its number.
    pub link: u8,
    /// `UP`, `DOWN`, `TROUBLE` or `EXPIRED`.
    pub status: String,
    /// The peer's address; empty if unknown.
    pub address: String,
    /// The address was set, not learned.
    pub permanent: bool,
    /// Milliseconds since the peer was heard here; absent if it never was.
    pub silent_ms: Option<u64>,
    /// Sequence of the last heartbeat heard here.
    pub heartbeat: u64,
    /// What is wrong with it.
    pub notes: Vec<LinkNote>,
}

/// What is wrong with a link to a node (docs/llt.md, Diagnosis).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case", tag = "note"))]
pub enum LinkNote {
    /// The link shares a broadcast domain with another link.
    Crossed {
        /// The other one's number.
        with: u8,
    },
    /// Most heartbeats of the peer are lost.
    Lossy,
    /// Frames of this size do not pass.
    Mtu {
        /// Bytes, header included.
        bytes: usize,
    },
    /// We hear the peer, it does not hear us.
    OneWay,
}

/// What is wrong with a node itself.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case", tag = "note"))]
pub enum NodeNote {
    /// One of its links hears what another sends.
    Crossed {
        /// The link that hears.
        link: u8,
        /// The link that sends.
        with: u8,
    },
    /// Another machine has the same node id.
    Duplicate {
        /// The id.
        node: u8,
    },
    /// Its own timer was late.
    Late {
        /// How often.
        times: u64,
        /// By how much the last time, in milliseconds.
        late_ms: u64,
        /// How long that is ago, in milliseconds.
        ago_ms: u64,
    },
    /// A key keeps frames out.
    Refused {
        /// `not sealed`, `unknown key`, `bad tag` or `replayed`.
        cause: String,
        /// On which link the last one came.
        link: u8,
        /// From which address.
        from: String,
        /// How many there were, of whatever cause.
        count: u64,
    },
}

/// One node that LLT heard and ignores.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct IgnoredSnapshot {
    /// Its id.
    pub node: u8,
    /// Its name in `llthosts`; empty if it has none, or is of another cluster. Filled by the daemon.
    pub name: String,
    /// Its cluster; that of ours if the node is excluded.
    pub cluster: u16,
    /// The link on which it was heard last.
    pub link: u8,
    /// The address from which.
    pub address: String,
    /// Milliseconds since then.
    pub silent_ms: u64,
}

/// One LLT port that has a client.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct LltPortSnapshot {
    /// 0 to 31.
    pub port: u8,
    /// Who uses it: `gab`, `lltping`, or the name of the client's program.
    pub usage: String,
    /// Nodes that it may reach: those in `llthosts`.
    pub opens: Vec<u8>,
    /// Connected nodes that have a client on the port, too.
    pub connects: Vec<u8>,
}

/// One timer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct TimerSnapshot {
    /// As in `set-timer`.
    pub name: String,
    /// Milliseconds; 0 is off.
    pub ms: u64,
}

/// One limit of flow control.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct LimitSnapshot {
    /// As in `set-flow`.
    pub name: String,
    /// Packets, or bytes for `largepktlen`.
    pub value: u64,
}

/// What is fixed while gabd runs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct TunableSnapshot {
    /// Real-time priority of the thread that serves links; 0 if it has none.
    pub thread_priority: u8,
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
    /// `-q`: only a majority goes on.
    pub quorum: bool,
    /// `-j`: halt when thrown out.
    pub rejoin_halt: bool,
    /// `-s`: no majority is asked for, whatever `-q` says.
    pub single_network: bool,
    /// A member that stalls changes for so many stable times is dropped.
    pub conn_wait: u32,
    /// A node that comes back after it was given up is let in after so many stable times.
    pub rejoin_hold: u32,
    /// `-Q sendq`: messages of a client that may be accepted and not yet ordered.
    pub send_queue: usize,
    /// `-Q recvq`: messages that may wait for a client.
    pub receive_queue: usize,
    /// The highest version of GAB's protocol that may be spoken now: in a view, that of the view.
    pub protocol: u8,
    /// What is done about clients.
    pub clients: ClientPolicy,
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

/// How clients are supervised; times in milliseconds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(default))]
pub struct ClientPolicy {
    /// `-S client_stall`: who does not read for so long is closed.
    pub client_stall_ms: u64,
    /// `-S drain_time`: a kernel-type client stays registered so long after its process is gone, at least.
    pub drain_ms: u64,
    /// `-f`: IOFENCE timeout.
    pub iofence_ms: u64,
    /// `-S isolate_time`: a process that was killed may live so long before the node halts.
    pub isolate_ms: u64,
    /// `-k`: keep on killing, never halt.
    pub keep_killing: bool,
    /// `-S kill_ntries`: attempts to kill a process.
    pub kill_tries: u32,
    /// `-b`: halt instead of killing.
    pub missed_heartbeat_halt: bool,
    /// `-p`: halt on process death.
    pub process_death_halt: bool,
    /// `-S rm_action:panic`: halt when a client that died did not register again.
    pub register_halt: bool,
    /// `-S rm_timeout`: how long it may take.
    pub register_timeout_ms: u64,
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
    /// What `-C` calls its client at this node: that of port a is GAB itself, a kernel-type client
    /// has the name that it gave, all others are user clients. Filled by the daemon.
    pub name: String,
    /// Kernel-type clients of this node on it; of port a 1. Filled by the daemon.
    pub refcount: u32,
}

//! What all nodes of a simulated cluster are configured with.

use bytes::Bytes;
use gab::Versions;
use gab::core::{ArbiterKind, GabConfig, Mutant, Policy};
use gab::stack::StackConfig;
use llt::config::{Flow, LinkConfig, Timers};
use llt::seal::{Key, Keyring, is_sealed, peek};
use llt::{ClusterId, Duration, Incarnation, LinkAddr, NodeId, NodeSet};
use serde::{Deserialize, Serialize};

use crate::invariants::Arbitration;

/// The cluster as configured; serialisable, because a replay starts with it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Setup {
    /// Nodes 0 to `nodes` - 1.
    pub nodes: u8,
    /// One per link.
    pub links: Vec<LinkSetup>,
    /// Cluster id.
    pub cluster: u16,
    /// LLT timers.
    pub timers: Timers,
    /// LLT flow control.
    pub flow: Flow,
    /// `-n N`.
    pub seed_count: Option<u32>,
    /// Stable timeout.
    pub stable: Duration,
    /// Acknowledgements that stand still for longer are a failure.
    pub stuck: Duration,
    /// Broadcasts up to this length travel inline.
    pub inline_max: usize,
    /// Ask the arbitration record.
    pub arbiter: bool,
    /// `-q`: only a majority goes on.
    #[serde(default)]
    pub quorum: bool,
    /// What each node speaks in each of its lives; in further ones what it spoke in the last. A node
    /// that is not named speaks what everybody does.
    #[serde(default)]
    pub versions: Vec<Vec<Versions>>,
    /// `conn_wait`; 0 for the default.
    #[serde(default)]
    pub conn_wait: u32,
    /// A client that leaves its queue full for longer is closed.
    pub client_stall: Duration,
    /// How clients are supervised.
    #[serde(default)]
    pub clients: ClientSetup,
    /// Where the sequences of links begin; 0 as they do in life.
    pub first_sequence: u32,
    /// Every node has the first test key, and seals its frames.
    #[serde(default)]
    pub sealed: bool,
    /// A rule to break, by the name of its variant.
    pub mutant: Option<String>,
}

/// One link.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct LinkSetup {
    /// One frame reaches every node.
    pub broadcast: bool,
    /// Heartbeats go to each node alone, and peers are looked for by broadcast.
    #[serde(default)]
    pub unicast: bool,
    /// Low priority.
    pub lowpri: bool,
    /// Largest frame in bytes.
    pub mtu: usize,
}

/// What is done about supervised clients, where it is not the default; times in milliseconds, 0 for
/// the default.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct ClientSetup {
    /// `-f`.
    pub iofence_ms: u32,
    /// `isolate_time`.
    pub isolate_ms: u32,
    /// `-k`.
    pub keep_killing: bool,
    /// `-b`.
    pub missed_heartbeat_halt: bool,
    /// `-p`.
    pub process_death_halt: bool,
    /// `rm_action:panic`.
    pub register_halt: bool,
    /// `rm_timeout`.
    pub register_ms: u32,
    /// `-Q recvq`, in messages.
    pub receive_queue: usize,
}

impl ClientSetup {
    fn policy(self) -> Policy {
        let default = Policy::default();
        let time = |ms: u32, default| match ms {
            0 => default,
            ms => Duration::from_millis(ms.into()),
        };
        Policy {
            iofence: time(self.iofence_ms, default.iofence),
            isolate: time(self.isolate_ms, default.isolate),
            keep_killing: self.keep_killing,
            missed_heartbeat_halt: self.missed_heartbeat_halt,
            process_death_halt: self.process_death_halt,
            register_halt: self.register_halt,
            register_timeout: time(self.register_ms, default.register_timeout),
            receive_queue: match self.receive_queue {
                0 => default.receive_queue,
                messages => messages,
            },
            ..default
        }
    }
}

impl LinkSetup {
    /// A link of high priority that cannot broadcast.
    pub const fn plain(mtu: usize) -> Self {
        Self { broadcast: false, unicast: false, lowpri: false, mtu }
    }
}

impl Setup {
    /// `nodes` nodes on two plain links with the testbed's fast timers.
    pub fn fast(nodes: u8) -> Self {
        let timers = Timers::fast();
        Self {
            nodes,
            links: vec![LinkSetup::plain(8192); 2],
            cluster: 77,
            timers,
            flow: Flow::default(),
            seed_count: Some(u32::from(nodes)),
            stable: Duration::from_millis(100),
            stuck: timers.peer_inact,
            inline_max: 1024,
            arbiter: false,
            quorum: false,
            versions: Vec::new(),
            conn_wait: 0,
            client_stall: Duration::from_secs(15),
            clients: ClientSetup::default(),
            first_sequence: 0,
            sealed: false,
            mutant: None,
        }
    }

    /// What the stack of `node` is built from in this life, of which it is the `nth`.
    pub fn stack_config(&self, node: NodeId, incarnation: Incarnation, nth: usize) -> StackConfig {
        let versions = self
            .versions
            .get(node.index())
            .and_then(|lives| lives.get(nth).or_else(|| lives.last()));
        let links = (0u8..).zip(&self.links).map(|(link, setup)| LinkConfig {
            lowpri: setup.lowpri,
            mtu: setup.mtu,
            broadcast: setup.broadcast.then(|| broadcast_addr(link)),
            broadcast_heartbeats: !setup.unicast,
            discover: true,
            peers: if setup.broadcast {
                Vec::new()
            } else {
                self.node_ids()
                    .filter(|peer| *peer != node)
                    .map(|peer| (peer, link_addr(link, peer)))
                    .collect()
            },
        });
        StackConfig {
            llt: llt::Config {
                node,
                incarnation,
                cluster: ClusterId(self.cluster),
                links: links.collect(),
                excluded: NodeSet::EMPTY,
                configured: self.node_ids().collect(),
                timers: self.timers,
                flow: self.flow,
                listen: Duration::ZERO,
                keys: self.keys(),
            },
            gab: GabConfig {
                configured: true,
                seed: self.seed_count,
                stable: self.stable,
                stuck: self.stuck,
                inline_max: self.inline_max,
                receive_room: 0,
                arbiter: match self.arbitration() {
                    Arbitration::Majority => ArbiterKind::Majority,
                    Arbitration::None => ArbiterKind::None,
                    Arbitration::Record => ArbiterKind::Record,
                },
                versions: versions.copied().unwrap_or(Versions::OURS),
                configured_nodes: u32::from(self.nodes),
                returned: false,
                policy: Policy {
                    client_stall: self.client_stall,
                    conn_wait: if self.conn_wait == 0 { 12 } else { self.conn_wait },
                    ..self.clients.policy()
                },
                mutant: self.mutant.as_deref().and_then(mutant_by_name),
            },
        }
    }

    /// Who authorises views with departures.
    pub fn arbitration(&self) -> Arbitration {
        match (self.arbiter, self.quorum) {
            (true, _) => Arbitration::Record,
            (false, true) => Arbitration::Majority,
            (false, false) => Arbitration::None,
        }
    }

    /// The keys of all nodes at their start.
    pub fn keys(&self) -> Option<Keyring> {
        self.sealed.then(|| keyring(1, None))
    }

    /// The nodes, in order.
    pub fn node_ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes).filter_map(NodeId::new)
    }
}

/// The address of `node` on `link`, as in the testbed.
pub fn link_addr(link: u8, node: NodeId) -> LinkAddr {
    LinkAddr::V4 { ip: [127, 77, link, node.get()], port: UDP_PORT }
}

/// Where one frame reaches every node of `link`.
pub fn broadcast_addr(link: u8) -> LinkAddr {
    LinkAddr::V4 { ip: [127, 77, link, BROADCAST_HOST], port: UDP_PORT }
}

/// Who listens at `addr`: one node, or `None` for everybody. Outer `None`: nobody.
pub fn resolve(addr: LinkAddr) -> Option<Option<NodeId>> {
    match addr {
        LinkAddr::V4 { ip: [127, 77, _, BROADCAST_HOST], .. } => Some(None),
        LinkAddr::V4 { ip: [127, 77, _, host], .. } => NodeId::new(host).map(Some),
        LinkAddr::Mac(_) | LinkAddr::V4 { .. } | LinkAddr::V6 { .. } => None,
    }
}

/// The plain frame in one of the wire, whichever of the test keys sealed it, if any.
pub fn plain(frame: &Bytes) -> Option<Bytes> {
    if !is_sealed(frame) {
        return Some(frame.clone());
    }
    let keys = [keyring(1, Some(2)), keyring(3, Some(4))];
    keys.iter().find_map(|keys| peek(keys, frame).ok())
}

/// The keyring of these test keys, each named by a number.
///
/// # Panics
/// If both are the same.
pub fn keyring(first: u8, second: Option<u8>) -> Keyring {
    let key = |number| Key::new([number; 32]);
    Keyring::new(key(first), second.map(key)).expect("two different keys")
}

/// The mutant with this name, as its variant is spelled.
pub fn mutant_by_name(name: &str) -> Option<Mutant> {
    mutants().into_iter().find(|mutant| format!("{mutant:?}").eq_ignore_ascii_case(name))
}

/// Every rule that can be broken.
pub fn mutants() -> Vec<Mutant> {
    Mutant::ALL.to_vec()
}

const UDP_PORT: u16 = 50_077;
/// No node has this id, so the address is free to mean everybody.
const BROADCAST_HOST: u8 = 255;

//! Three production stacks over a perfect network in virtual time, just enough to have something
//! that hostile frames can hit and real frames that they can imitate.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use gab::core::{ClientId, GabConfig};
use gab::event::OpenOptions;
use gab::stack::{Output, StackConfig};
use gab::{ClientEvent, Level, PortName, Stack};
use llt::config::{Config, Flow, LinkConfig, Timers};
use llt::seal::Keyring;
use llt::{ClusterId, Id, Incarnation, Instant, LinkAddr, LinkId, LltPort, NodeId, NodeSet};

/// The cluster.
#[derive(Debug)]
pub struct Mini {
    now: Instant,
    nodes: Vec<Node>,
    wire: VecDeque<Flying>,
    /// The last frames that were on the wire.
    seen: VecDeque<Bytes>,
    sent: u64,
}

#[derive(Debug)]
struct Node {
    stack: Stack,
    ejected: bool,
    delivered: u64,
    /// What arrived on LLT ports besides GAB's.
    arrived: Vec<(NodeId, LltPort, Bytes)>,
}

#[derive(Debug)]
struct Flying {
    to: usize,
    link: LinkId,
    from: LinkAddr,
    frame: Bytes,
}

const NODES: u8 = 3;
const LINKS: u8 = 2;
const CLIENT: ClientId = ClientId(1);
/// One turn of every node.
const TURN: Duration = Duration::from_millis(1);
const SEEN_MAX: usize = 512;

impl Mini {
    /// A cluster that has seeded, with a client on port A of each node.
    ///
    /// # Panics
    /// If it does not seed.
    pub fn new(seed: u64) -> Self {
        Self::with_keys(seed, None)
    }

    /// The same with these keys.
    ///
    /// # Panics
    /// If it does not seed.
    pub fn with_keys(seed: u64, keys: Option<&Keyring>) -> Self {
        let now = Instant::from_millis(1000);
        let nodes = (0..NODES)
            .map(|node| Node {
                stack: Stack::new(now, stack_config(node, keys), seed + u64::from(node)),
                ejected: false,
                delivered: 0,
                arrived: Vec::new(),
            })
            .collect();
        let mut mini = Self { now, nodes, wire: VecDeque::new(), seen: VecDeque::new(), sent: 0 };
        let port = PortName::new('A').expect("A is a letter");
        for node in &mut mini.nodes {
            node.stack.open(now, CLIENT, port, OpenOptions::default()).expect("the port is free");
        }
        mini.run_until("three members on port A", |mini| {
            mini.nodes.iter().all(|node| {
                let ports = node.stack.snapshot().gab.ports;
                ports.iter().any(|port| port.port == "A" && port.members == [0, 1, 2])
            })
        });
        mini
    }

    /// The identities of the nodes.
    pub fn living(&self) -> Vec<Id> {
        self.nodes.iter().map(|node| node.stack.id()).collect()
    }

    /// Takes the frames that were on the wire since the last call.
    pub fn take_seen(&mut self) -> Vec<Bytes> {
        self.seen.drain(..).collect()
    }

    /// Throws a frame at a node, as if the peer next to it had sent it.
    pub fn throw(&mut self, node: usize, link: u8, frame: Bytes) {
        let link = LinkId::new(link % LINKS).expect("two links");
        let node = node % self.nodes.len();
        let neighbour = (node + 1) % self.nodes.len();
        let from = address(u8::try_from(neighbour).expect("three nodes"), link);
        self.nodes[node].stack.handle_frame(self.now, link, from, frame);
        self.drain(node);
    }

    /// Sends on an LLT port, reliably or as a datagram.
    ///
    /// # Errors
    /// As [`Stack::llt_send`].
    pub fn llt_send(
        &mut self,
        node: usize,
        port: LltPort,
        to: NodeId,
        payload: Bytes,
        reliable: bool,
    ) -> Result<(), llt::core::SendError> {
        self.nodes[node].stack.llt_send(self.now, port, to, payload, reliable)
    }

    /// Takes what arrived at a node on LLT ports besides GAB's.
    pub fn take_arrived(&mut self, node: usize) -> Vec<(NodeId, LltPort, Bytes)> {
        std::mem::take(&mut self.nodes[node].arrived)
    }

    /// A millisecond passes: a message is broadcast, timers run, frames arrive.
    pub fn turn(&mut self) {
        self.now += TURN;
        let sender = usize::try_from(self.sent % u64::from(NODES)).expect("below three");
        let size = if self.sent.is_multiple_of(50) { 20_000 } else { 64 };
        let level = if self.sent.is_multiple_of(5) { Level::Safe } else { Level::Agreed };
        let payload = Bytes::from(vec![0x5a; size]);
        // A node that was thrown out has no client; who watches will see that.
        let _ = self.nodes[sender].stack.broadcast(self.now, CLIENT, level, payload);
        self.sent += 1;
        for node in 0..self.nodes.len() {
            self.nodes[node].stack.handle_timer(self.now);
            self.drain(node);
        }
        for _ in 0..self.wire.len() {
            let Some(Flying { to, link, from, frame }) = self.wire.pop_front() else { break };
            self.nodes[to].stack.handle_frame(self.now, link, from, frame);
            self.drain(to);
        }
    }

    /// Runs turns until `state` holds.
    ///
    /// # Panics
    /// If it does not within a minute of virtual time.
    pub fn run_until(&mut self, what: &str, state: impl Fn(&Self) -> bool) {
        for _ in 0..60_000 {
            if state(self) {
                return;
            }
            self.turn();
        }
        panic!("{what}: did not come in a minute; {:#?}", self.snapshots());
    }

    /// Was nobody thrown out, and are all three members still?
    pub fn is_whole(&self) -> bool {
        self.nodes.iter().all(|node| {
            let ports = node.stack.snapshot().gab.ports;
            !node.ejected && ports.iter().any(|port| port.port == "a" && port.members == [0, 1, 2])
        })
    }

    /// Messages delivered so far, by node.
    pub fn delivered(&self) -> Vec<u64> {
        self.nodes.iter().map(|node| node.delivered).collect()
    }

    /// What listings would show.
    pub fn snapshots(&self) -> Vec<gab::snapshot::Snapshot> {
        self.nodes.iter().map(|node| node.stack.snapshot()).collect()
    }

    fn drain(&mut self, node: usize) {
        let own = u8::try_from(node).expect("three nodes");
        while let Some(output) = self.nodes[node].stack.poll_output() {
            match output {
                Output::Client(client) => self.read(node, client),
                Output::Ejected { .. } => self.nodes[node].ejected = true,
                Output::Transmit(transmit) => {
                    let LinkAddr::V4 { ip: [.., to], .. } = transmit.to else { continue };
                    if self.seen.len() == SEEN_MAX {
                        self.seen.pop_front();
                    }
                    self.seen.push_back(transmit.frame.clone());
                    let (link, frame) = (transmit.link, transmit.frame);
                    let from = address(own, link);
                    if to < NODES {
                        self.wire.push_back(Flying { to: usize::from(to), link, from, frame });
                    }
                }
                Output::Llt { from, port, payload, .. } => {
                    self.nodes[node].arrived.push((from.node, port, payload));
                }
                Output::Arbiter(_)
                | Output::AskBeat(_)
                | Output::Signal(..)
                | Output::Halt { .. }
                | Output::Left
                | Output::LltWritable(_)
                | Output::Notice(_) => {}
            }
        }
    }

    fn read(&mut self, node: usize, client: ClientId) {
        let node = &mut self.nodes[node];
        while let Some(event) = node.stack.poll_client(self.now, client) {
            let delivered = event.into_iter().filter(|it| matches!(it, ClientEvent::Deliver(_)));
            node.delivered += delivered.count() as u64;
        }
    }
}

fn address(node: u8, link: LinkId) -> LinkAddr {
    LinkAddr::V4 { ip: [127, 77, link.get(), node], port: 50_000 + u16::from(link.get()) }
}

fn stack_config(node: u8, keys: Option<&Keyring>) -> StackConfig {
    let ids = (0..NODES).filter_map(NodeId::new);
    let link = |link: u8| LinkConfig {
        lowpri: false,
        mtu: llt::limits::MTU_UDP,
        broadcast: None,
        broadcast_heartbeats: true,
        discover: true,
        peers: ids
            .clone()
            .filter(|peer| peer.get() != node)
            .map(|peer| (peer, address(peer.get(), LinkId::new(link).expect("two links"))))
            .collect(),
    };
    StackConfig {
        llt: Config {
            node: NodeId::new(node).expect("three nodes"),
            // As large as a wall clock in nanoseconds.
            incarnation: Incarnation((1 << 60) + u64::from(node)),
            cluster: ClusterId(7),
            links: (0..LINKS).map(link).collect(),
            excluded: NodeSet::EMPTY,
            configured: ids.clone().collect(),
            timers: Timers::fast(),
            flow: Flow::default(),
            listen: Duration::ZERO,
            keys: keys.cloned(),
        },
        gab: GabConfig {
            configured: true,
            seed: Some(u32::from(NODES)),
            stable: Duration::from_millis(100),
            stuck: Timers::fast().peer_inact,
            ..GabConfig::default()
        },
    }
}

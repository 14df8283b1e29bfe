//! Production stacks over a perfect wire without sockets and clocks: what is left is what our own
//! code costs.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use gab::core::{ClientId, GabConfig};
use gab::event::OpenOptions;
use gab::pack::Pack;
use gab::stack::{Output, StackConfig};
use gab::{Level, PortName, Stack};
use llt::config::{Config, Flow, LinkConfig, Timers};
use llt::wire::{Frame, Kind};
use llt::{ClusterId, Incarnation, Instant, LinkAddr, LinkId, NodeId, NodeSet};

pub mod paths;

/// Stacks that hear each other at once.
#[derive(Debug)]
pub struct Mesh {
    now: Instant,
    nodes: Vec<Node>,
    wire: VecDeque<Flying>,
    traffic: Traffic,
    /// What goes over the wire is looked at, which costs something.
    is_watched: bool,
}

/// What went over the wire; a broadcast counts once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    /// Signs of life.
    pub heartbeats: Count,
    /// Everything else.
    pub frames: Count,
}

/// Frames of one kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// Sent.
    pub sent: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Received, by all nodes together.
    pub received: u64,
}

impl Traffic {
    fn of(&mut self, frame: &Bytes) -> &mut Count {
        match Frame::check(frame).map(|frame| frame.header.kind) {
            Ok(Kind::Heartbeat | Kind::Probe | Kind::Request) => &mut self.heartbeats,
            Ok(_) | Err(_) => &mut self.frames,
        }
    }
}

#[derive(Debug)]
struct Node {
    stack: Stack,
    is_member: bool,
    /// It takes part: its process was not killed.
    is_alive: bool,
    /// Members of its port.
    members: usize,
    /// Its client has something to read.
    is_woken: bool,
    delivered: u64,
}

/// A frame for everybody but its sender, or for one.
#[derive(Debug)]
struct Flying {
    from: u8,
    to: Option<u8>,
    frame: Bytes,
}

const CLIENT: ClientId = ClientId(1);
/// What the last byte of an address is for everybody.
const EVERYBODY: u8 = 255;
const STEP: Duration = Duration::from_micros(200);

impl Mesh {
    /// So many nodes in one view, with a client on port A of each, on one broadcast link of this MTU.
    ///
    /// # Panics
    /// If they do not form a view.
    pub fn new(nodes: u8, mtu: usize) -> Self {
        let now = Instant::from_millis(1000);
        let port = PortName::new('A').expect("A is a letter");
        let node = |id: u8| {
            let mut stack = Stack::new(now, config(id, nodes, mtu), u64::from(id) + 1);
            stack.open(now, CLIENT, port, OpenOptions::default()).expect("the port is free");
            let (is_member, is_woken, is_alive) = (false, false, true);
            Node { stack, is_member, is_alive, members: 0, is_woken, delivered: 0 }
        };
        let nodes = (0..nodes).map(node).collect();
        let (wire, traffic) = (VecDeque::new(), Traffic::default());
        let mut mesh = Self { now, nodes, wire, traffic, is_watched: false };
        for _ in 0..100_000 {
            mesh.pass(STEP);
            if mesh.nodes.iter().all(|node| node.is_member) {
                return mesh;
            }
        }
        panic!("the nodes form no view");
    }

    /// The sequencer broadcasts if this is 0; the higher, the longer its node is in the view.
    pub fn broadcast(&mut self, node: usize, level: Level, payload: Bytes) {
        let sent = self.nodes[node].stack.broadcast(self.now, CLIENT, level, payload);
        sent.expect("there is room");
    }

    /// The same of many messages at once.
    pub fn broadcast_pack(&mut self, node: usize, level: Level, pack: Pack) {
        let sent = self.nodes[node].stack.broadcast_pack(self.now, CLIENT, level, pack);
        sent.expect("there is room");
    }

    /// To the client of another node.
    pub fn send_to(&mut self, node: usize, to: u8, payload: Bytes) {
        let to = NodeId::new(to).expect("a node of the mesh");
        self.nodes[node].stack.send_to(self.now, CLIENT, to, payload).expect("there is room");
    }

    /// From now on the node says and hears nothing.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].is_alive = false;
    }

    /// Lets time pass until all who live are members with so many; answers how long that was.
    ///
    /// # Panics
    /// If it does not come in a minute.
    pub fn until_members(&mut self, members: usize) -> Duration {
        let begin = self.now;
        while !self.nodes.iter().all(|node| !node.is_alive || node.members == members) {
            self.pass(STEP);
            assert!(self.now < begin + Duration::from_secs(60), "no view of {members}");
        }
        self.now.since(begin)
    }

    /// Lets so much time pass, with what timers do.
    pub fn rest(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.pass(STEP.min(end.since(self.now)));
        }
    }

    /// What went over the wire so far.
    pub fn traffic(&mut self) -> Traffic {
        self.is_watched = true;
        self.traffic
    }

    /// Messages delivered to all clients so far.
    pub fn delivered(&self) -> u64 {
        self.nodes.iter().map(|node| node.delivered).sum()
    }

    /// Everything that can be done now is done. Frames arrive in turns, as they do at gabd.
    pub fn settle(&mut self) {
        let link = LinkId::new(0).expect("the first link");
        loop {
            for node in 0..self.nodes.len() {
                if self.nodes[node].is_alive {
                    self.drain(node);
                }
            }
            if self.wire.is_empty() {
                return;
            }
            for Flying { from, to, frame } in std::mem::take(&mut self.wire) {
                let mut unseen = Count::default();
                let count = if self.is_watched { self.traffic.of(&frame) } else { &mut unseen };
                count.sent += 1;
                count.bytes += frame.len() as u64;
                for (id, node) in (0..).zip(&mut self.nodes) {
                    if id != from && to.is_none_or(|to| to == id) && node.is_alive {
                        count.received += 1;
                        node.stack.handle_frame(self.now, link, address(from), frame.clone());
                    }
                }
            }
        }
    }

    /// So much time passes at once, and what is due then is done.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        for node in self.nodes.iter_mut().filter(|node| node.is_alive) {
            if node.stack.next_deadline().is_some_and(|deadline| deadline <= self.now) {
                node.stack.handle_timer(self.now);
            }
        }
        self.settle();
    }

    fn drain(&mut self, at: usize) {
        let from = u8::try_from(at).expect("a node of the mesh");
        loop {
            let node = &mut self.nodes[at];
            while let Some(output) = node.stack.poll_output() {
                match output {
                    Output::Client(_) => node.is_woken = true,
                    Output::Transmit(transmit) => {
                        let LinkAddr::V4 { ip: [.., to], .. } = transmit.to else { continue };
                        let to = Some(to).filter(|to| *to != EVERYBODY);
                        self.wire.push_back(Flying { from, to, frame: transmit.frame });
                    }
                    _ => {}
                }
            }
            if !std::mem::take(&mut node.is_woken) {
                return;
            }
            node.read(self.now);
        }
    }
}

impl Node {
    fn read(&mut self, now: Instant) {
        use gab::ClientEvent::{Deliver, View};
        use gab::event::PortEvent::{One, Pack};
        while let Some(event) = self.stack.poll_client(now, CLIENT) {
            match event {
                One(View(view)) => {
                    self.is_member = view.visible.is_empty();
                    self.members = view.members.len();
                }
                One(Deliver(_)) => self.delivered += 1,
                Pack(pack) => self.delivered += u64::from(pack.messages.messages()),
                One(_) => {}
            }
        }
    }
}

fn address(node: u8) -> LinkAddr {
    LinkAddr::V4 { ip: [127, 0, 0, node], port: 50_000 }
}

fn config(node: u8, nodes: u8, mtu: usize) -> StackConfig {
    let ids = (0..nodes).filter_map(NodeId::new);
    let others = ids.clone().filter(|id| id.get() != node);
    let link = LinkConfig {
        lowpri: false,
        mtu,
        broadcast: Some(address(EVERYBODY)),
        broadcast_heartbeats: true,
        discover: true,
        peers: others.map(|id| (id, address(id.get()))).collect(),
    };
    StackConfig {
        llt: Config {
            node: NodeId::new(node).expect("a node of the mesh"),
            incarnation: Incarnation(1 + u64::from(node)),
            cluster: ClusterId(7),
            links: vec![link],
            excluded: NodeSet::EMPTY,
            configured: ids.collect(),
            timers: Timers::fast(),
            flow: Flow::default(),
            listen: Duration::ZERO,
            keys: None,
        },
        gab: GabConfig {
            configured: true,
            seed: Some(u32::from(nodes)),
            stable: Duration::from_millis(100),
            stuck: Timers::fast().peer_inact,
            ..GabConfig::default()
        },
    }
}

//! The network between the nodes, as LLT leaves it to GAB: connections that carry messages in
//! order or break as a whole, and datagrams that may be lost, doubled and overtaken.

use bytes::Bytes;
use gab::wire::{Body, Message};

/// The most nodes of an instance.
pub const NODES_MAX: usize = 4;

/// A message under way.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Packet {
    /// Its sender.
    pub from: usize,
    /// Its receiver.
    pub to: usize,
    /// The bytes.
    pub payload: Bytes,
}

/// One direction between two nodes, as its receiver has it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Way {
    /// Not connected.
    Down,
    /// Cut, which the receiver has yet to notice: what was under way may still arrive before.
    Broken,
    /// Connected.
    Up,
}

/// Everything between the nodes.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Net {
    /// By sender, then receiver.
    ways: [[Way; NODES_MAX]; NODES_MAX],
    /// By sender and receiver; of each pair in the order they were sent.
    reliable: Vec<Packet>,
    /// Sorted: their order means nothing.
    datagrams: Vec<Packet>,
}

impl Default for Net {
    fn default() -> Self {
        Self {
            ways: [[Way::Down; NODES_MAX]; NODES_MAX],
            reliable: Vec::new(),
            datagrams: Vec::new(),
        }
    }
}

impl Net {
    /// How `to` is connected with `from`.
    pub fn way(&self, from: usize, to: usize) -> Way {
        self.ways[from][to]
    }

    /// Two nodes are connected.
    pub fn connect(&mut self, a: usize, b: usize) {
        self.ways[a][b] = Way::Up;
        self.ways[b][a] = Way::Up;
    }

    /// The connection is cut: nothing more gets through, and both sides notice some time.
    pub fn cut(&mut self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            if self.ways[from][to] == Way::Up {
                self.ways[from][to] = Way::Broken;
            }
        }
    }

    /// `to` notices that it lost `from`: what has not arrived by now never does.
    pub fn lose(&mut self, from: usize, to: usize) {
        self.ways[from][to] = Way::Down;
        self.reliable.retain(|packet| (packet.from, packet.to) != (from, to));
        self.datagrams.retain(|packet| (packet.from, packet.to) != (from, to));
    }

    /// A node is gone: it receives nothing more, and is lost by the others as they notice.
    pub fn remove(&mut self, node: usize) {
        for other in 0..NODES_MAX {
            self.cut(node, other);
            self.lose(other, node);
        }
    }

    /// Sends in order.
    pub fn send(&mut self, from: usize, to: usize, payload: Bytes) {
        if self.ways[from][to] == Way::Up {
            let at = self.reliable.partition_point(|p| (p.from, p.to) <= (from, to));
            self.reliable.insert(at, Packet { from, to, payload });
        }
    }

    /// Sends a datagram.
    pub fn datagram(&mut self, from: usize, to: usize, payload: Bytes) {
        if self.ways[from][to] == Way::Up {
            let packet = Packet { from, to, payload };
            let at = self.datagrams.partition_point(|other| *other <= packet);
            self.datagrams.insert(at, packet);
        }
    }

    /// The next message of each connection.
    pub fn heads(&self) -> impl Iterator<Item = &Packet> {
        let ends = |packet: &Packet| (packet.from, packet.to);
        let mut last = None;
        self.reliable.iter().filter(move |packet| last.replace(ends(packet)) != Some(ends(packet)))
    }

    /// The datagrams under way, equal ones once, with their places.
    pub fn datagrams(&self) -> impl Iterator<Item = (usize, &Packet)> {
        let mut last: Option<&Packet> = None;
        self.datagrams
            .iter()
            .enumerate()
            .filter(move |(_, packet)| last.replace(packet) != Some(packet))
    }

    /// Takes the next message of a connection.
    pub fn take(&mut self, from: usize, to: usize) -> Option<Packet> {
        let at = self.reliable.iter().position(|p| (p.from, p.to) == (from, to))?;
        Some(self.reliable.remove(at))
    }

    /// The datagram at this place; with `keep` a copy of it stays under way.
    pub fn take_datagram(&mut self, at: usize, keep: bool) -> Option<Packet> {
        if keep { self.datagrams.get(at).cloned() } else { Some(self.datagrams.remove(at)) }
    }

    /// Nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.reliable.is_empty() && self.datagrams.is_empty()
    }
}

/// How a message is called in a trail.
pub fn name(payload: &Bytes) -> &'static str {
    let Ok(message) = Message::decode(payload.clone()) else { return "garbage" };
    match message.body {
        Body::Ack => "ACK",
        Body::Collect { .. } => "COLLECT",
        Body::Data(_) => "DATA",
        Body::Hello(_) => "HELLO",
        Body::Install => "INSTALL",
        Body::P2p(_) => "P2P",
        Body::P2pAck(_) => "P2PACK",
        Body::Refuse => "REFUSE",
        Body::Nak(_) => "NAK",
        Body::Ord(_) => "ORD",
        Body::Propose(_) => "PROPOSE",
        Body::Ready => "READY",
        Body::Retr(_) => "RETR",
        Body::State(_) => "STATE",
        Body::Submit(_) => "SUBMIT",
    }
}

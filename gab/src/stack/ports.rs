//! LLT ports besides GAB's: messages of their clients, and the answers of lltping's.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use llt::core::SendError as LltError;
use llt::limits::MESSAGE_MAX;
use llt::{Id, Instant, LltPort, NodeId};

use super::{Output, Stack};
use crate::echo;
use crate::limits::Bounded;

/// What a stack knows of them.
#[derive(Debug, Default)]
pub(super) struct Ports {
    /// Who is connected, so that a node id has an incarnation.
    peers: BTreeMap<NodeId, Id>,
    /// Answers of lltping that LLT had no room for, by peer.
    answers: BTreeMap<Id, VecDeque<Bytes>>,
    /// What this node sent to itself, and whom else to tell that there is room.
    pub(super) outputs: VecDeque<Output>,
    /// Bit n: the client of port n here has more waiting than it may.
    busy: u32,
}

impl Ports {
    pub(super) fn bounded(&self) -> Bounded {
        let most = self.answers.values().map(VecDeque::len).max().unwrap_or(0);
        Bounded::new("answers of lltping", most, ANSWERS_MAX)
    }

    pub(super) fn on_peer_up(&mut self, peer: Id) {
        self.peers.insert(peer.node, peer);
    }

    /// Whoever waits for room finds out that there is nobody any more.
    pub(super) fn on_peer_down(&mut self, peer: Id) {
        self.answers.remove(&peer);
        if self.peers.get(&peer.node) == Some(&peer) {
            self.peers.remove(&peer.node);
            self.outputs.push_back(Output::LltWritable(peer.node));
        }
    }
}

impl Stack {
    /// Sends to the client of an LLT port on a node: reliably and in order, or once as a datagram
    /// of at most [`llt::Llt::datagram_max`] bytes. A node without a client there drops it.
    ///
    /// A node that sends to itself gets it back at once.
    ///
    /// # Errors
    /// The node is not connected, the message is too long, or the queue to the node is full, which
    /// [`Output::LltWritable`] ends; nothing was changed.
    pub fn llt_send(
        &mut self,
        now: Instant,
        port: LltPort,
        to: NodeId,
        payload: Bytes,
        reliable: bool,
    ) -> Result<(), LltError> {
        self.now = self.now.max(now);
        if to == self.id().node {
            return self.loop_back(port, payload, reliable);
        }
        let Some(&to) = self.ports.peers.get(&to) else { return Err(LltError::NotConnected) };
        if reliable {
            self.llt.send(now, port, to, payload)
        } else {
            self.llt.datagram(now, port, to, payload)
        }
    }

    /// Which LLT ports have a client here, and whose client has more messages waiting than
    /// `rporthighwater`: bit n for port n. GAB's and lltping's are always open and never busy.
    pub fn set_llt_ports(&mut self, now: Instant, open: u32, busy: u32) {
        self.now = self.now.max(now);
        let freed = self.ports.busy & !busy;
        self.ports.busy = busy;
        if freed != 0 {
            self.ports.outputs.push_back(Output::LltWritable(self.id().node));
        }
        self.llt.set_open_ports(now, open);
        self.llt.set_busy_ports(now, busy);
    }

    fn loop_back(&mut self, port: LltPort, payload: Bytes, reliable: bool) -> Result<(), LltError> {
        let max = if reliable { MESSAGE_MAX } else { self.llt.datagram_max() };
        if payload.len() > max {
            return Err(LltError::TooLarge { max });
        }
        if reliable && self.ports.busy >> port.get() & 1 == 1 {
            return Err(LltError::WouldBlock);
        }
        let answer = if port == LltPort::PING { echo::answer(&payload) } else { None };
        let payload = answer.unwrap_or(payload);
        let (from, datagram) = (self.id(), !reliable);
        self.ports.outputs.push_back(Output::Llt { from, port, datagram, payload });
        Ok(())
    }

    /// Something arrived: a question of lltping is answered the way it came.
    pub(super) fn on_port(
        &mut self,
        now: Instant,
        from: Id,
        port: LltPort,
        datagram: bool,
        payload: Bytes,
    ) -> Option<Output> {
        if port != LltPort::PING {
            return Some(Output::Llt { from, port, datagram, payload });
        }
        let Some(answer) = echo::answer(&payload) else {
            return Some(Output::Llt { from, port, datagram, payload });
        };
        if datagram {
            // The answer is as long as the question, which came over the same links.
            let _ = self.llt.datagram(now, port, from, answer);
        } else {
            self.answer(now, from, answer);
        }
        None
    }

    fn answer(&mut self, now: Instant, to: Id, answer: Bytes) {
        let waiting = self.ports.answers.get(&to).map_or(0, VecDeque::len);
        // Whoever asks faster than the answers leave loses them: asking must not cost memory.
        if waiting >= ANSWERS_MAX {
            return;
        }
        if waiting > 0
            || self.llt.send(now, LltPort::PING, to, answer.clone()) == Err(LltError::WouldBlock)
        {
            self.ports.answers.entry(to).or_default().push_back(answer);
        }
    }

    /// LLT has room for this peer again.
    pub(super) fn on_writable(&mut self, now: Instant, peer: Id) {
        for answer in self.ports.answers.remove(&peer).unwrap_or_default() {
            self.answer(now, peer, answer);
        }
        self.ports.outputs.push_back(Output::LltWritable(peer.node));
    }
}

/// Answers of lltping that wait for one peer: a burst of 256 KiB at most.
const ANSWERS_MAX: usize = 16;

//! LLT ports for processes: which client has which, and what waits for it and from it.
//!
//! Towards the client credit works as for GAB's ports. Towards the other nodes LLT's own flow
//! control does: what it does not take waits here, within what the client was granted, and once
//! more than `rporthighwater` messages wait for the client, the peers are told to stop.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use llt::config::Flow;
use llt::core::SendError as LltError;
use llt::limits::MESSAGE_MAX;
use llt::{Instant, LltPort, NodeId, NodeSet};

use crate::stack::Stack;

/// Which connection has which LLT port.
#[derive(Debug, Default)]
pub(super) struct LltPorts {
    by_port: BTreeMap<LltPort, BTreeSet<u32>>,
    by_client: BTreeMap<u32, LltPort>,
}

/// Why a port is not given to a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Taken {
    /// Another process of this node has it.
    #[error("LLT port {0} has a client on this node already")]
    Client(u8),
    /// Ports 0 and 31 (facts 1.11).
    #[error("LLT port {0} is GAB's")]
    Gab(u8),
}

impl LltPorts {
    /// May a client have this port? That of lltping has any number: each gets all the answers.
    pub(super) fn may_open(&self, port: LltPort) -> Result<(), Taken> {
        if port == LltPort::GAB || port.get() == GAB_CONTROL {
            return Err(Taken::Gab(port.get()));
        }
        if port != LltPort::PING && self.by_port.contains_key(&port) {
            return Err(Taken::Client(port.get()));
        }
        Ok(())
    }

    /// Notes the port that a connection has now.
    pub(super) fn note(&mut self, client: u32, port: Option<LltPort>) {
        if self.by_client.get(&client) == port.as_ref() {
            return;
        }
        if let Some(before) = self.by_client.remove(&client)
            && let Some(clients) = self.by_port.get_mut(&before)
        {
            clients.remove(&client);
            if clients.is_empty() {
                self.by_port.remove(&before);
            }
        }
        if let Some(port) = port {
            self.by_client.insert(client, port);
            self.by_port.entry(port).or_default().insert(client);
        }
    }

    /// The clients of a port.
    pub(super) fn clients(&self, port: LltPort) -> impl Iterator<Item = u32> {
        self.by_port.get(&port).into_iter().flatten().copied()
    }

    /// All clients.
    pub(super) fn all(&self) -> impl Iterator<Item = (u32, LltPort)> {
        self.by_client.iter().map(|(&client, &port)| (client, port))
    }
}

/// The client of an LLT port.
#[derive(Debug)]
pub(super) struct PortClient {
    port: LltPort,
    /// Arrived for the client, in order: from whom, as a datagram, what.
    inbox: VecDeque<(NodeId, bool, Bytes)>,
    inbox_bytes: usize,
    /// Told the peers that they should stop.
    busy: bool,
    /// From the client, by node and in order: reliably, what.
    outbox: BTreeMap<NodeId, VecDeque<(bool, Bytes)>>,
    outbox_messages: usize,
    outbox_bytes: usize,
    /// Nodes that LLT has no room for.
    blocked: NodeSet,
}

/// What became of an arrival.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Arrival {
    /// It waits for the client, or was a datagram too many.
    Done,
    /// The client has not read for so long that there is no room.
    Overrun,
}

/// A message of the client that LLT did not take.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum NotSent {
    #[error("node {0} is not connected")]
    NotConnected(NodeId),
    #[error("a datagram to node {node} may have {max} bytes")]
    TooLarge { node: NodeId, max: usize },
}

impl NotSent {
    pub(super) const fn errno(self) -> i32 {
        match self {
            Self::NotConnected(_) => 107,
            Self::TooLarge { .. } => 90,
        }
    }
}

impl PortClient {
    pub(super) fn new(port: LltPort) -> Self {
        Self {
            port,
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            busy: false,
            outbox: BTreeMap::new(),
            outbox_messages: 0,
            outbox_bytes: 0,
            blocked: NodeSet::EMPTY,
        }
    }

    pub(super) fn port(&self) -> LltPort {
        self.port
    }

    /// Something arrived on the port.
    pub(super) fn arrived(
        &mut self,
        flow: &Flow,
        from: NodeId,
        datagram: bool,
        payload: Bytes,
    ) -> Arrival {
        // What is sent without a promise is dropped rather than kept for who does not read. Nobody
        // is told to stop for lltping's sake: whoever asks may lose an answer.
        let may_drop = datagram || self.port == LltPort::PING;
        if may_drop && self.inbox.len() >= flow.receive_highwater {
            return Arrival::Done;
        }
        let bytes = self.inbox_bytes + payload.len();
        if self.inbox.len() >= INBOX_MESSAGES_MAX || bytes > INBOX_BYTES_MAX {
            return Arrival::Overrun;
        }
        self.inbox_bytes = bytes;
        self.inbox.push_back((from, datagram, payload));
        self.judge(flow);
        Arrival::Done
    }

    /// Length of the next message for the client.
    pub(super) fn next_len(&self) -> Option<usize> {
        self.inbox.front().map(|(_, _, payload)| payload.len())
    }

    /// The next message for the client: from whom, as a datagram, what.
    pub(super) fn take(&mut self) -> Option<(NodeId, bool, Bytes)> {
        let next = self.inbox.pop_front()?;
        self.inbox_bytes -= next.2.len();
        Some(next)
    }

    /// Is the client busy, by the limits in force?
    pub(super) fn judge(&mut self, flow: &Flow) {
        let waiting = self.inbox.len();
        if waiting > flow.receive_highwater && self.port != LltPort::PING {
            self.busy = true;
        } else if waiting <= flow.receive_lowwater {
            self.busy = false;
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Takes a message of the client, within what [`PortClient::room`] said.
    pub(super) fn submit(&mut self, to: NodeId, reliable: bool, payload: Bytes) {
        self.outbox_messages += 1;
        self.outbox_bytes += payload.len();
        self.outbox.entry(to).or_default().push_back((reliable, payload));
    }

    /// Gives LLT what it takes; gives back what it never will.
    pub(super) fn send(&mut self, now: Instant, stack: &mut Stack) -> Vec<NotSent> {
        let mut not_sent = Vec::new();
        for (&node, queue) in &mut self.outbox {
            if self.blocked.contains(node) {
                continue;
            }
            while let Some((reliable, payload)) = queue.front() {
                match stack.llt_send(now, self.port, node, payload.clone(), *reliable) {
                    Ok(()) => {}
                    Err(LltError::WouldBlock) => {
                        self.blocked.insert(node);
                        break;
                    }
                    Err(LltError::NotConnected) => not_sent.push(NotSent::NotConnected(node)),
                    Err(LltError::TooLarge { max }) => {
                        not_sent.push(NotSent::TooLarge { node, max });
                    }
                }
                self.outbox_messages -= 1;
                self.outbox_bytes -= payload.len();
                queue.pop_front();
            }
        }
        self.outbox.retain(|_, queue| !queue.is_empty());
        not_sent
    }

    /// There may be room for this node again.
    pub(super) fn writable(&mut self, node: NodeId) {
        self.blocked.remove(node);
    }

    /// A new life of the node has streams of its own: what the old one had no room for is nothing
    /// that this one will tell of.
    pub(super) fn restart(&mut self) {
        self.blocked = NodeSet::EMPTY;
    }

    /// How much more the client may send: messages, bytes.
    pub(super) fn room(&self) -> (usize, usize) {
        let (messages, bytes) = OUTBOX;
        (messages.saturating_sub(self.outbox_messages), bytes.saturating_sub(self.outbox_bytes))
    }

    /// Has LLT taken all that the client sent?
    pub(super) fn is_idle(&self) -> bool {
        self.outbox_messages == 0
    }
}

/// The port that GAB uses for itself in the original (facts 1.11).
const GAB_CONTROL: u8 = 31;
/// Messages of a client that LLT has not taken, and bytes of them: a few windows of one peer, and
/// sixty-four of the largest. Beyond, the client waits.
pub(super) const OUTBOX: (usize, usize) = (1024, 64 * MESSAGE_MAX);
/// Messages that wait for a client. Peers are told to stop at `rporthighwater`; what is under way
/// by then is a window from each, and a queue of those who have not heard it yet. Who is beyond
/// this has peers that do not stop.
const INBOX_MESSAGES_MAX: usize = 65_536;
/// Bytes of the same.
const INBOX_BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::tests::stack;

    #[test]
    fn a_new_life_is_offered_what_the_old_one_had_no_room_for() {
        let (now, port) = (Instant::ZERO, LltPort::new(7).expect("below 32"));
        let mut client = PortClient::new(port);
        let mut old = stack();
        let own = old.id().node;
        old.set_llt_ports(now, 1 << 7, 1 << 7);
        client.submit(own, true, Bytes::from_static(b"waits"));
        assert_eq!(client.send(now, &mut old), []);
        assert!(!client.is_idle(), "the client of the port here is busy");

        let mut new = stack();
        client.restart();
        assert_eq!(client.send(now, &mut new), []);
        assert!(client.is_idle());
    }
}

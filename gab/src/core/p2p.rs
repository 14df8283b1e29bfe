//! Point-to-point messages: reliable, in order per pair, never across a generation (precise rule 6).
//!
//! The sender keeps each message until the receiver's GAB has it in a client's queue. A change of
//! the port's membership tags what is left with the new generation and sends it again.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use llt::{Duration, Id, Instant, NodeId};

use super::clients::{Client, Clients};
use super::ports::LocalPort;
use super::{ClientId, Gab};
use crate::event::{ClientEvent, Delivery, Level, SendError};
use crate::ids::PortName;
use crate::limits::{P2P_HELD_BYTES, P2P_HELD_MESSAGES, P2P_WINDOW_BYTES, P2P_WINDOW_MESSAGES};
use crate::wire::{Body, P2p, P2pAck};

/// Sending side of one registration.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct P2pOut {
    peers: BTreeMap<NodeId, Outgoing>,
}

#[derive(Clone, Debug, Hash)]
struct Outgoing {
    /// The receiving client's incarnation; another one starts from number 1.
    to_client: u64,
    last: u64,
    queue: VecDeque<(u64, Bytes, ClientId)>,
    /// How many of them, from the front, are under way.
    sent: usize,
    sent_bytes: usize,
    /// When to send again what is under way, and the wait after that.
    retry: Option<(Instant, Duration)>,
}

/// Receiving side of one port.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct P2pPort {
    /// Per sending node: its client's incarnation and the last number taken.
    taken: BTreeMap<NodeId, (u64, u64)>,
    /// Messages of a generation that has not come here yet.
    early: VecDeque<(Id, P2p)>,
    /// The next ones of each sender, of the generation in force, for which a client had no room.
    full: VecDeque<(Id, P2p)>,
}

const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_millis(1000);

impl P2pPort {
    /// Messages of a later generation.
    pub(crate) fn early(&self) -> usize {
        self.early.len()
    }

    /// Messages that wait for room.
    pub(crate) fn full(&self) -> usize {
        self.full.len()
    }

    /// The last number from a node that was taken or waits for room.
    fn last_from(&self, from: Id) -> u64 {
        let waiting = self.full.iter().rev().find(|(sender, _)| *sender == from);
        let taken = || self.taken.get(&from.node).map_or(0, |&(_, number)| number);
        waiting.map_or_else(taken, |(_, message)| message.number)
    }

    /// Bytes of the same.
    pub(crate) fn full_bytes(&self) -> usize {
        self.full.iter().map(|(_, message)| message.payload.len()).sum()
    }

    /// May one more message of this node wait for room? Each of so many members may have its share,
    /// and one always.
    fn has_place(&self, from: Id, members: usize) -> bool {
        let waiting = self.full.iter().filter(|(sender, _)| *sender == from).count();
        let share = P2P_HELD_MESSAGES / members.max(1);
        waiting == 0 || waiting < share && self.full_bytes() < P2P_HELD_BYTES
    }

    /// Nodes whose messages are counted.
    pub(crate) fn sources(&self) -> usize {
        self.taken.len()
    }
}

impl P2pOut {
    /// Nothing is under way or waiting.
    pub(crate) fn is_empty(&self) -> bool {
        self.peers.values().all(|peer| peer.queue.is_empty())
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.peers.values().filter_map(|peer| peer.retry).map(|(at, _)| at).min()
    }

    /// Messages under way or waiting.
    pub(crate) fn len(&self) -> usize {
        self.peers.values().map(|peer| peer.queue.len()).sum()
    }
}

impl Outgoing {
    fn rewind(&mut self) {
        (self.sent, self.sent_bytes, self.retry) = (0, 0, None);
    }
}

impl Gab {
    /// Accepts a point-to-point message.
    pub(super) fn accept_p2p(
        &mut self,
        now: Instant,
        client: ClientId,
        name: PortName,
        to: NodeId,
        payload: Bytes,
    ) -> Result<(), SendError> {
        let port = self.ports.get_mut(&name).ok_or(SendError::NotMember)?;
        let &to_client = port.members.get(&to).ok_or(SendError::NotMember)?;
        let local = port.local.as_mut().ok_or(SendError::Closed)?;
        let new = Outgoing {
            to_client,
            last: 0,
            queue: VecDeque::new(),
            sent: 0,
            sent_bytes: 0,
            retry: None,
        };
        let peer = local.p2p.peers.entry(to).or_insert(new);
        peer.last += 1;
        peer.queue.push_back((peer.last, payload, client));
        self.send_p2p(now, name);
        Ok(())
    }

    /// Sends what the windows allow.
    fn send_p2p(&mut self, now: Instant, name: PortName) {
        let Some(view) = &self.view else { return };
        let members = view.members.clone();
        let Some(port) = self.ports.get_mut(&name) else { return };
        let generation = port.generation;
        let mut messages = Vec::new();
        for local in port.closing.iter_mut().chain(&mut port.local) {
            if port.members.get(&self.id.node) != Some(&local.incarnation) {
                continue;
            }
            for (&node, peer) in &mut local.p2p.peers {
                let Some(&to) = members.iter().find(|id| id.node == node) else { continue };
                while let Some((number, payload, _)) = peer.queue.get(peer.sent) {
                    let full = peer.sent >= P2P_WINDOW_MESSAGES
                        || peer.sent > 0 && peer.sent_bytes + payload.len() > P2P_WINDOW_BYTES;
                    if full {
                        break;
                    }
                    peer.sent += 1;
                    peer.sent_bytes += payload.len();
                    let wait = peer.retry.map_or(RETRY_MIN, |(_, wait)| wait);
                    peer.retry.get_or_insert((now + wait, wait));
                    let message = P2p {
                        port: name,
                        generation,
                        from_client: local.incarnation,
                        to_client: peer.to_client,
                        number: *number,
                        payload: payload.clone(),
                    };
                    messages.push((to, message));
                }
            }
        }
        for (to, message) in messages {
            if to == self.id {
                self.receive_p2p(now, to, message);
            } else {
                self.send(to, Body::P2p(message));
            }
        }
    }

    /// A message arrived.
    pub(super) fn receive_p2p(&mut self, now: Instant, from: Id, message: P2p) {
        self.take_waiting_p2p(now, message.port);
        let across = self.is_mutant_p2p();
        let me = self.id.node;
        let member = self.view.as_ref().is_some_and(|view| view.contains(from));
        let Some(port) = self.ports.get_mut(&message.port).filter(|_| member) else {
            self.counters.p2p_dropped += 1;
            return;
        };
        if message.generation > port.generation && !across {
            // Early: the sender is ahead. Its retries replace what does not fit.
            if port.p2p.early.len() < P2P_HELD_MESSAGES {
                port.p2p.early.push_back((from, message));
            }
            return;
        }
        let current = (message.generation == port.generation || across)
            && port.members.get(&me) == Some(&message.to_client)
            && port.members.get(&from.node) == Some(&message.from_client);
        if !current {
            // The sender tags it anew when it learns of the change, if it still may.
            self.counters.p2p_dropped += 1;
            return;
        }
        let taken = port.p2p.taken.entry(from.node).or_insert((message.from_client, 0));
        if taken.0 != message.from_client {
            *taken = (message.from_client, 0);
        }
        let (taken, last) = (taken.1, port.p2p.last_from(from));
        if message.number == last + 1 {
            // Its retries replace what does not fit.
            if port.p2p.has_place(from, port.members.len()) {
                let name = message.port;
                port.p2p.full.push_back((from, message));
                self.take_waiting_p2p(now, name);
            }
        } else if message.number <= taken || last == taken {
            self.p2p_acks.insert((from, message.port));
        }
    }

    /// A client has read: its port may take in what waited for room.
    pub(super) fn take_more_p2p(&mut self, now: Instant, client: ClientId) {
        if let Some(name) = self.clients.get(client).map(|client| client.port) {
            self.take_waiting_p2p(now, name);
        }
    }

    /// Hands over what waits, as far as every client of the port has room.
    fn take_waiting_p2p(&mut self, now: Instant, name: PortName) {
        let me = self.id.node;
        let Some(port) = self.ports.get_mut(&name).filter(|port| port.p2p.full() > 0) else {
            return;
        };
        let receivers: Vec<ClientId> = port.attached(me).collect();
        // A registration that is ending reads no more: its messages are taken and dropped, or two
        // that end at once would wait for each other.
        let has_room =
            |clients: &Clients, id| clients.get(id).is_some_and(Client::has_receive_room);
        while receivers.iter().all(|&id| has_room(&self.clients, id))
            && let Some((from, message)) = port.p2p.full.pop_front()
        {
            self.counters.p2p_dropped += u64::from(receivers.is_empty());
            port.p2p.taken.insert(from.node, (message.from_client, message.number));
            self.p2p_acks.insert((from, name));
            let delivery = Delivery {
                sender: from.node,
                broadcast: false,
                level: Level::Agreed,
                generation: port.generation,
                sequence: 0,
                payload: message.payload,
            };
            for &id in &receivers {
                self.clients.push(now, id, ClientEvent::Deliver(delivery.clone()));
            }
        }
    }

    /// Acknowledges what was taken since the last turn, once per sender.
    pub(super) fn flush_p2p_acks(&mut self, now: Instant) {
        for (to, name) in std::mem::take(&mut self.p2p_acks) {
            let Some(port) = self.ports.get(&name) else { continue };
            let taken = port.p2p.taken.get(&to.node).zip(port.members.get(&self.id.node));
            let Some((&(from_client, number), &to_client)) = taken else { continue };
            let ack = P2pAck { port: name, from_client, to_client, number };
            if to == self.id {
                self.receive_p2p_ack(now, to, ack);
            } else {
                self.send(to, Body::P2pAck(ack));
            }
        }
    }

    /// The receiver has taken all up to a number.
    pub(super) fn receive_p2p_ack(&mut self, now: Instant, from: Id, ack: P2pAck) {
        let Some(port) = self.ports.get_mut(&ack.port) else { return };
        let sender = port.closing.iter_mut().chain(&mut port.local);
        let Some(peer) = sender
            .filter(|local| local.incarnation == ack.from_client)
            .find_map(|local| local.p2p.peers.get_mut(&from.node))
            .filter(|peer| peer.to_client == ack.to_client)
        else {
            return;
        };
        let mut progress = false;
        while peer.queue.front().is_some_and(|&(number, ..)| number <= ack.number) {
            let Some((_, payload, client)) = peer.queue.pop_front() else { break };
            peer.sent_bytes = peer.sent_bytes.saturating_sub(payload.len());
            peer.sent = peer.sent.saturating_sub(1);
            self.clients.settle(client, 1, payload.len());
            progress = true;
        }
        if progress {
            peer.retry = if peer.sent == 0 { None } else { Some((now + RETRY_MIN, RETRY_MIN)) };
            self.send_p2p(now, ack.port);
            self.sync_local(now, ack.port);
        }
    }

    /// Sends again what has not been taken for too long: the receiver had no room, or was behind.
    pub(super) fn retry_p2p(&mut self, now: Instant) {
        let due = |local: &LocalPort| local.p2p.next_deadline().is_some_and(|at| at <= now);
        let names: Vec<PortName> = self
            .ports
            .iter()
            .filter(|(_, port)| port.closing.iter().chain(&port.local).any(due))
            .map(|(&name, _)| name)
            .collect();
        for name in names {
            let Some(port) = self.ports.get_mut(&name) else { continue };
            for local in port.closing.iter_mut().chain(&mut port.local) {
                for peer in local.p2p.peers.values_mut() {
                    let Some((at, wait)) = peer.retry else { continue };
                    if at <= now {
                        self.counters.p2p_resent += peer.sent as u64;
                        peer.rewind();
                        let wait = (wait * 2).min(RETRY_MAX);
                        peer.retry = Some((now + wait, wait));
                    }
                }
            }
            self.send_p2p(now, name);
        }
    }

    /// The port's membership changed: messages to members that are gone are dropped, all others
    /// are sent again under the new generation, and early ones may have come into their own.
    pub(super) fn p2p_membership(&mut self, now: Instant, name: PortName) {
        let Some(port) = self.ports.get_mut(&name) else { return };
        let members = &port.members;
        let mut dropped = Vec::new();
        for local in port.closing.iter_mut().chain(&mut port.local) {
            local.p2p.peers.retain(|node, peer| {
                let stays = members.get(node) == Some(&peer.to_client);
                if stays {
                    peer.rewind();
                } else {
                    dropped.extend(
                        peer.queue.drain(..).map(|(_, payload, client)| (client, payload.len())),
                    );
                }
                stays
            });
        }
        port.p2p.taken.retain(|node, &mut (client, _)| members.get(node) == Some(&client));
        if members.get(&self.id.node).is_none() {
            port.p2p.taken.clear();
        }
        // They come again under the new generation.
        port.p2p.full.clear();
        let early = std::mem::take(&mut port.p2p.early);
        self.counters.p2p_dropped += dropped.len() as u64;
        for (client, len) in dropped {
            self.clients.settle(client, 1, len);
        }
        for (from, message) in early {
            self.receive_p2p(now, from, message);
        }
        self.send_p2p(now, name);
        self.sync_local(now, name);
    }
}

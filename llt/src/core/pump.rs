//! A message's way out: packets, acknowledgements, datagrams, broadcasts.

use bytes::Bytes;

use super::context::Context;
use super::output::{LinkStatus, SendError};
use super::peer::Peer;
use crate::ids::{LltPort, NodeSet};
use crate::limits::SEND_QUEUE_PACKETS_MAX;
use crate::wire::{Kind, emit_ack, emit_data, emit_datagram};

impl Context {
    /// Queues a reliable message.
    pub(super) fn queue(
        &mut self,
        peer: &mut Peer,
        port: LltPort,
        payload: Bytes,
    ) -> Result<(), SendError> {
        let fragment = self.fragment_len(peer);
        let packets = payload.len().div_ceil(fragment).max(1);
        let queued = peer.sender.queued();
        let is_full = queued + packets > SEND_QUEUE_PACKETS_MAX
            || (port != LltPort::GAB && queued >= self.config.flow.highwater);
        if is_full {
            peer.sender.refused = true;
            self.stats.snd_no_buffer += 1;
            return Err(SendError::WouldBlock);
        }
        peer.sender.push(port, payload, fragment);
        Ok(())
    }

    /// Puts on the wires what may go: packets as far as the window allows, then one
    /// acknowledgement for all that arrived in this turn.
    pub(super) fn pump(&mut self, peer: &mut Peer) {
        if !peer.connected {
            return;
        }
        let (window, ceiling) = (self.window(peer), self.config.timers.retrans);
        while peer.sender.has_work(window) {
            let Some(link) = self.choose_link(peer) else {
                if !peer.is_stalled {
                    peer.is_stalled = true;
                    self.stats.snd_no_links += 1;
                }
                break;
            };
            peer.is_stalled = false;
            let id = self.links[link].id;
            let Some((data, again)) = peer.sender.next_packet(self.now, id, window, ceiling) else {
                self.alarm("work for the sender, but no packet");
                break;
            };
            if again {
                self.stats.snd_retransmit += 1;
            } else {
                self.stats.snd_data += 1;
            }
            self.advance(peer, link);
            let frame = emit_data(&self.header(Kind::Data, peer, link), &data);
            self.send_to(peer, link, false, frame);
        }
        if peer.receiver.is_ack_due(self.now, self.config.flow.ackval) {
            self.acknowledge(peer);
        }
    }

    fn acknowledge(&mut self, peer: &mut Peer) {
        let Some(link) = self.choose_link(peer) else {
            peer.receiver.defer_ack();
            return;
        };
        let patience = self.patience(peer);
        let (missing_before, delay, ranges) = peer.receiver.take_ack(self.now, patience);
        if missing_before == 0 {
            self.stats.snd_ack += 1;
        } else {
            self.stats.snd_nack += 1;
        }
        let delay_us = u32::try_from(delay.as_micros()).unwrap_or(u32::MAX);
        let header = self.header(Kind::Ack, peer, link);
        let frame = emit_ack(&header, missing_before, delay_us, self.busy_ports, &ranges);
        self.send_to(peer, link, true, frame);
    }

    /// Sends an unreliable datagram to one peer.
    pub(super) fn datagram(&mut self, peer: &mut Peer, port: LltPort, payload: &Bytes) {
        let Some(link) = self.choose_link(peer) else {
            self.stats.snd_no_links += 1;
            return;
        };
        self.stats.snd_datagram += 1;
        self.advance(peer, link);
        let header = self.header(Kind::Datagram, peer, link);
        let frame = emit_datagram(&header, port, NodeSet::EMPTY, payload);
        self.send_to(peer, link, false, frame);
    }

    /// Sends an unreliable datagram to every connected peer: over one link to all who are up
    /// there, over another to who is left.
    pub(super) fn broadcast(
        &mut self,
        peers: &mut [Option<Box<Peer>>],
        turn: &mut (usize, usize),
        port: LltPort,
        payload: &Bytes,
    ) {
        let mut left: NodeSet =
            peers.iter().flatten().filter(|peer| peer.connected).map(|peer| peer.node).collect();
        while !left.is_empty() {
            let Some((link, reached)) = self.choose_broadcast_link(peers, turn, left) else {
                self.stats.snd_no_links += left.len() as u64;
                return;
            };
            left = left.difference(reached);
            let own = &mut self.links[link];
            own.broadcast_sequence = own.broadcast_sequence.wrapping_add(1);
            let header = self.broadcast_header(Kind::Datagram, link);
            let frame = emit_datagram(&header, port, reached, payload);
            if let Some(to) = self.config.links[link].broadcast {
                self.stats.snd_datagram += 1;
                self.transmit(link, to, false, frame);
                continue;
            }
            for node in reached.iter() {
                let peer = peers.get(node.index()).and_then(Option::as_ref);
                if let Some(to) = peer.and_then(|peer| peer.links[link].addr) {
                    self.stats.snd_datagram += 1;
                    self.transmit(link, to, false, frame.clone());
                }
            }
        }
    }

    /// The link that reaches most of `wanted`, and whom it reaches: among equals in turn,
    /// `linkburst` broadcasts each; high-priority links before low-priority ones.
    fn choose_broadcast_link(
        &self,
        peers: &[Option<Box<Peer>>],
        turn: &mut (usize, usize),
        wanted: NodeSet,
    ) -> Option<(usize, NodeSet)> {
        let reached = |link: usize| -> NodeSet {
            let peers = wanted.iter().filter_map(|node| peers.get(node.index())?.as_ref());
            peers
                .filter(|peer| {
                    let entry = &peer.links[link];
                    entry.status == LinkStatus::Up && entry.addr.is_some()
                })
                .map(|peer| peer.node)
                .collect()
        };
        let rank = |link: usize| {
            let reached = reached(link).len();
            (reached > 0).then_some((!self.config.links[link].lowpri, reached))
        };
        let best = (0..self.links.len()).filter_map(rank).max()?;
        let (current, used) = *turn;
        let is_best = |link: usize| rank(link) == Some(best);
        if used < self.config.flow.linkburst.max(1)
            && current < self.links.len()
            && is_best(current)
        {
            *turn = (current, used + 1);
            return Some((current, reached(current)));
        }
        let count = self.links.len();
        let mut others = (1..=count).map(|step| (current + step) % count);
        let link = others.find(|&link| is_best(link))?;
        *turn = (link, 1);
        Some((link, reached(link)))
    }

    /// Takes the next position of the pair's sequence on a link.
    fn advance(&mut self, peer: &mut Peer, link: usize) {
        let entry = &mut peer.links[link];
        entry.tx_sequence = entry.tx_sequence.wrapping_add(1);
        if peer.receiver.on_piggyback() {
            self.stats.snd_piggyback_ack += 1;
        }
    }

    fn send_to(&mut self, peer: &Peer, link: usize, urgent: bool, frame: Bytes) {
        match peer.links[link].addr {
            Some(to) => self.transmit(link, to, urgent, frame),
            None => self.alarm("a link was chosen that has no address"),
        }
    }
}

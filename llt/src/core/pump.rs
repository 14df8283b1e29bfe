//! A message's way out: packets, acknowledgements, datagrams, broadcasts.

use bytes::Bytes;

use super::context::Context;
use super::output::{Event, LinkStatus, SendError};
use super::parts::split;
use super::peer::Peer;
use super::queue::bits;
use super::sender::Rules;
use crate::ids::{LltPort, NodeSet};
use crate::limits::{HEADER_LEN, SEND_QUEUE_PACKETS_MAX};
use crate::wire::{
    BROADCAST_HEADER_LEN, DATA_HEADER_LEN, DATAGRAM_HEADER_LEN, Data, Kind, emit_ack, emit_data,
    emit_datagram,
};

impl Context {
    /// Queues a reliable message.
    pub(super) fn queue(
        &mut self,
        peer: &mut Peer,
        port: LltPort,
        payload: Bytes,
    ) -> Result<(), SendError> {
        if let Err(error) = self.push(peer, port, payload) {
            peer.sender.refused |= 1 << port.get();
            return Err(error);
        }
        Ok(())
    }

    fn push(&mut self, peer: &mut Peer, port: LltPort, payload: Bytes) -> Result<(), SendError> {
        let fragment = self.fragment_len(peer);
        let packets = payload.len().div_ceil(fragment).max(1);
        let sender = &mut peer.sender;
        let is_full = sender.queued() + packets > SEND_QUEUE_PACKETS_MAX
            || (port != LltPort::GAB
                && sender.load(port, peer.busy_ports) >= self.config.flow.highwater);
        if is_full {
            self.stats.snd_no_buffer += 1;
            return Err(SendError::WouldBlock);
        }
        sender.push(port, payload, fragment);
        Ok(())
    }

    /// Tells the layer above that there is room for `peer` again, if it was refused and there is.
    pub(super) fn offer(&mut self, peer: &mut Peer) {
        if peer.sender.refused == 0 {
            return;
        }
        let has_room =
            |port: &LltPort| peer.sender.load(*port, peer.busy_ports) <= self.config.flow.lowwater;
        let free = bits(peer.sender.refused).filter(has_room).fold(0, |bits, port| {
            let bit: u32 = 1 << port.get();
            bits | bit
        });
        peer.sender.refused &= !free;
        if let Some(id) = peer.id().filter(|_| free != 0) {
            self.event(Event::Writable { peer: id });
        }
    }

    /// The peer says which LLT ports have a client that does not keep up.
    pub(super) fn on_busy_ports(&mut self, peer: &mut Peer, ports: u32) {
        if peer.busy_ports != ports {
            peer.busy_ports = ports;
            self.offer(peer);
        }
    }

    /// Puts on the wires what may go: packets as far as the window allows, then one
    /// acknowledgement for all that arrived in this turn.
    pub(super) fn pump(&mut self, peer: &mut Peer) {
        if !peer.connected {
            return;
        }
        let rules = self.rules(peer);
        while let Some(len) = peer.sender.prepare(&rules) {
            let size = HEADER_LEN + DATA_HEADER_LEN + len;
            let Some(link) = self.choose_link(peer, size) else {
                if !peer.is_stalled {
                    peer.is_stalled = true;
                    self.stats.snd_no_links += 1;
                }
                break;
            };
            peer.is_stalled = false;
            let id = self.links[link].id;
            let Some((data, again)) = peer.sender.next_packet(self.now, id, rules.ceiling) else {
                self.alarm("work for the sender, but no packet");
                break;
            };
            if again {
                self.stats.snd_retransmit += 1;
            } else {
                self.stats.snd_data += 1;
            }
            let longest = self.frame_max(peer, link);
            if size <= longest {
                self.send_data(peer, link, &data);
                continue;
            }
            for part in split(&data, longest.max(self.frame_min()) - HEADER_LEN - DATA_HEADER_LEN) {
                self.stats.snd_part += 1;
                self.send_data(peer, link, &part);
            }
        }
        if peer.receiver.is_ack_due(self.now, self.config.flow.ackval) {
            self.acknowledge(peer);
        }
    }

    fn send_data(&mut self, peer: &mut Peer, link: usize, data: &Data) {
        self.advance(peer, link);
        let frame = emit_data(&self.header(Kind::Data, peer, link), data);
        self.send_to(peer, link, false, frame);
    }

    /// What packets to `peer` have to keep to.
    fn rules(&self, peer: &Peer) -> Rules {
        let flow = &self.config.flow;
        let window = self.window(peer);
        Rules {
            window,
            sws: flow.sws.min(window - 1).max(1),
            busy: peer.busy_ports,
            large: flow.large,
            ceiling: self.config.timers.retrans,
        }
    }

    fn acknowledge(&mut self, peer: &mut Peer) {
        // An acknowledgement fits every link.
        let Some(link) = self.choose_link(peer, self.frame_min()) else {
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

    /// Sends an unreliable datagram to one peer; as a message if no path takes it.
    pub(super) fn datagram(&mut self, peer: &mut Peer, port: LltPort, payload: &Bytes) {
        let size = HEADER_LEN + DATAGRAM_HEADER_LEN + payload.len();
        let Some(link) = self.choose_link(peer, size) else {
            self.stats.snd_no_links += 1;
            return;
        };
        if self.frame_max(peer, link) < size {
            self.datagram_as_message(peer, port, payload);
            return;
        }
        self.stats.snd_datagram += 1;
        self.advance(peer, link);
        let header = self.header(Kind::Datagram, peer, link);
        let frame = emit_datagram(&header, port, NodeSet::EMPTY, payload);
        self.send_to(peer, link, false, frame);
    }

    /// The stream cuts what no frame to the peer can carry. It may be full: then the datagram is
    /// lost, as datagrams may be.
    fn datagram_as_message(&mut self, peer: &mut Peer, port: LltPort, payload: &Bytes) {
        if self.push(peer, port, payload.clone()).is_ok() {
            self.stats.snd_datagram_long += 1;
        }
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
        let size = HEADER_LEN + BROADCAST_HEADER_LEN + payload.len();
        let mut left: NodeSet =
            peers.iter().flatten().filter(|peer| peer.connected).map(|peer| peer.node).collect();
        while !left.is_empty() {
            let Some((link, reached)) = self.choose_broadcast_link(peers, turn, left, size) else {
                for node in left.iter() {
                    let Some(Some(peer)) = peers.get_mut(node.index()) else { continue };
                    if peer.links_up() > 0 {
                        self.datagram_as_message(peer, port, payload);
                    } else {
                        self.stats.snd_no_links += 1;
                    }
                }
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
            // Sealed once: each receiver has a window of its own for our counts.
            let frame = self.seal(link, frame);
            for node in reached.iter() {
                let peer = peers.get(node.index()).and_then(Option::as_ref);
                if let Some(to) = peer.and_then(|peer| peer.links[link].addr) {
                    self.stats.snd_datagram += 1;
                    self.transmit_sealed(link, to, false, frame.clone());
                }
            }
        }
    }

    /// The link that reaches most of `wanted`, and whom it reaches: among equals in turn,
    /// `linkburst` broadcasts each (0: all); high-priority links before low-priority ones.
    fn choose_broadcast_link(
        &self,
        peers: &[Option<Box<Peer>>],
        turn: &mut (usize, usize),
        wanted: NodeSet,
        size: usize,
    ) -> Option<(usize, NodeSet)> {
        let lowpri = |link: usize| self.config.links[link].lowpri;
        let is_up = |peer: &Peer, link: usize| peer.links[link].status == LinkStatus::Up;
        let is_usable = |peer: &Peer, link: usize| {
            is_up(peer, link)
                && peer.links[link].addr.is_some()
                && self.frame_max(peer, link) >= size
                && (!lowpri(link)
                    || (0..peer.links.len()).all(|high| lowpri(high) || !is_up(peer, high)))
        };
        // Who is quiet on this link is reached over another one, if there is.
        let has_better = |peer: &Peer, link: usize| {
            self.is_quiet(peer, link)
                && (0..peer.links.len())
                    .any(|other| is_usable(peer, other) && !self.is_quiet(peer, other))
        };
        let reached = |link: usize| -> NodeSet {
            let peers = wanted.iter().filter_map(|node| peers.get(node.index())?.as_ref());
            peers
                .filter(|peer| is_usable(peer, link) && !has_better(peer, link))
                .map(|peer| peer.node)
                .collect()
        };
        let rank = |link: usize| {
            let reached = reached(link).len();
            (reached > 0).then_some((!lowpri(link), reached))
        };
        let best = (0..self.links.len()).filter_map(rank).max()?;
        let (current, used) = *turn;
        let is_best = |link: usize| rank(link) == Some(best);
        let burst = self.config.flow.linkburst;
        if (burst == 0 || used < burst) && current < self.links.len() && is_best(current) {
            *turn = (current, used.saturating_add(1));
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

//! The pure core of LLT.
//!
//! [`Llt::handle_frame`] judges a frame (`receive`): was it sealed with one of our keys, if we have
//! any (`keys`), is it one of ours, of this cluster, of the present life of its sender (`identity`), of the present connection (`connect`)? Heartbeats
//! drive the links (`heartbeat`, `link`) and packets the streams (`sender`, `receiver`). What is to
//! be sent goes out at the end of the turn, when the driver has emptied the outputs (`pump`), so
//! that one acknowledgement answers a whole batch. Time passes in `timer`.

mod addresses;
mod bounds;
mod commands;
mod connect;
mod context;
mod heartbeat;
mod identity;
mod ignored;
mod keys;
mod link;
mod listing;
mod notes;
mod output;
mod parts;
mod peer;
mod probe;
mod proof;
mod pump;
mod queue;
mod receive;
mod receiver;
mod rhythm;
mod rtt;
mod sender;
mod sequence;
mod silence;
mod status;
#[cfg(test)]
mod tests;
mod timer;

pub use ignored::Ignored;
pub use keys::SetKeysError;
pub use output::{
    AddLinkError, DownReason, DuplicateScope, Event, LinkChange, LinkStatus, Note, Output,
    RefusedCause, RemoveLinkError, SendError, Transmit,
};
pub use status::{LinkState, OwnNote, PeerLinkStatus, PeerStatus};

use std::collections::VecDeque;

use bytes::Bytes;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::config::Config;
use crate::ids::{Id, LinkAddr, LinkId, LltPort, NodeId};
use crate::limits::{HEADER_LEN, LINKS_MAX, MESSAGE_MAX};
use crate::seal::Seals;
use crate::stats::Stats;
use crate::time::Instant;
use crate::wire::BROADCAST_HEADER_LEN;

use context::{Context, OwnLink};
use ignored::IgnoredNodes;
use peer::Peer;

/// LLT of one node, as a pure state machine.
///
/// * `handle_*` take what happened: they never block and never fail for network reasons.
/// * `send`, `datagram`, `broadcast` are commands of the layer above: refused means unchanged.
/// * [`Llt::poll_output`] is called until it is empty, then the driver sleeps until
///   [`Llt::next_deadline`] or the next input. Spurious calls are harmless.
///
/// The first deadline is the instant of the start: the first heartbeats are due then.
#[derive(Debug)]
pub struct Llt {
    context: Context,
    /// By node id, up to the greatest that is known.
    peers: Vec<Option<Box<Peer>>>,
    /// The link of the last broadcast, and how many it has had in a row.
    broadcast_turn: (usize, usize),
    /// We said goodbye.
    has_left: bool,
    /// When the goodbye may be repeated.
    bye_at: Instant,
    /// What `next_deadline` gives; found anew at the end of every turn.
    deadline: Option<Instant>,
    is_dirty: bool,
}

impl Llt {
    /// A core at `now`; `seed` feeds its only generator. Links beyond the eighth are ignored.
    pub fn new(now: Instant, mut config: Config, seed: u64) -> Self {
        config.links.truncate(usize::from(LINKS_MAX));
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let first_sequence = random.next_u32();
        let links = config.link_ids().map(|id| OwnLink::new(id, now, first_sequence)).collect();
        let datagram_mtu = config.links.iter().map(|link| link.mtu).min().unwrap_or(0);
        let listening = (!config.listen.is_zero()).then(|| now + config.listen);
        let context = Context {
            seals: Seals::new(config.id()),
            config,
            stats: Stats::default(),
            now,
            hold_until: Instant::ZERO,
            outputs: VecDeque::new(),
            links,
            datagram_mtu,
            open_ports: commands::ALWAYS_OPEN,
            busy_ports: 0,
            epoch: 0,
            heartbeat_sequence: 0,
            in_turn: false,
            judge_at: Instant::from_nanos(u64::MAX),
            first_sequence,
            notice_at: now,
            ignored: IgnoredNodes::default(),
            namesake: None,
            notes: notes::OwnNotes::default(),
            timer_at: now,
            starved_at: Instant::from_nanos(u64::MAX),
            listening,
        };
        let mut llt = Self {
            context,
            peers: Vec::new(),
            broadcast_turn: (0, 0),
            has_left: false,
            bye_at: now,
            deadline: None,
            is_dirty: true,
        };
        llt.add_configured_peers();
        llt.on_timer_called();
        for link in 0..llt.context.links.len() {
            llt.context.look_for_peers(link);
        }
        llt.deadline = llt.find_deadline();
        llt
    }

    fn add_configured_peers(&mut self) {
        let Self { context, peers, .. } = self;
        let config = &context.config;
        let with_address = config.links.iter().flat_map(|link| &link.peers).map(|(node, _)| *node);
        let mut nodes = config.configured.union(with_address.collect());
        nodes.remove(config.node);
        for node in nodes.difference(config.excluded).iter() {
            slot(peers, node).get_or_insert_with(|| Box::new(context.new_peer(node)));
        }
    }

    /// Lets the sequences of links begin at `position`, so that a test can see them wrap. To be
    /// called before anything else.
    #[cfg(any(test, feature = "sim"))]
    pub fn start_link_sequences_at(&mut self, position: u32) {
        self.context.first_sequence = position;
        for link in &mut self.context.links {
            link.broadcast_sequence = position;
        }
        for link in self.peers.iter_mut().flatten().flat_map(|peer| &mut peer.links) {
            link.tx_sequence = position;
        }
    }

    /// A frame arrived on `link` from `from`. Dropped frames show in [`Llt::stats`].
    pub fn handle_frame(&mut self, now: Instant, link: LinkId, from: LinkAddr, frame: Bytes) {
        self.begin(now);
        match self.context.links.get(link.index()) {
            Some(own) if own.present && own.enabled => {}
            Some(_) => {
                self.context.stats.rcv_disabled += 1;
                return;
            }
            None => {
                self.context.alarm("a frame on a link that is not configured");
                return;
            }
        }
        if let Err(refusal) = self.receive(link.index(), from, &frame) {
            tracing::trace!(%link, %from, ?refusal, "frame dropped");
            *refusal.counter(&mut self.context.stats) += 1;
            if let Some(cause) = refusal.cause() {
                self.context.note_refused(cause, link.index(), from);
            }
        }
    }

    /// The link itself changed (carrier, interface gone).
    pub fn handle_link(&mut self, now: Instant, link: LinkId, change: LinkChange) {
        self.begin(now);
        let Some(own) = self.context.own_link(link) else { return };
        own.carrier = change == LinkChange::Carrier;
        self.on_own_link(link.index());
    }

    /// Time has passed.
    pub fn handle_timer(&mut self, now: Instant) {
        self.begin(now);
        self.on_timer_called();
        if !self.has_left {
            self.run_timers();
        }
    }

    /// The connected peer `to`, in exactly this incarnation.
    fn connected(&mut self, to: Id) -> Result<(&mut Context, &mut Peer), SendError> {
        let Self { context, peers, .. } = self;
        match peers.get_mut(to.node.index()) {
            Some(Some(peer)) if peer.connected && peer.id() == Some(to) => Ok((context, peer)),
            _ => {
                context.stats.snd_not_connected += 1;
                Err(SendError::NotConnected)
            }
        }
    }

    /// Sends `payload` reliably and in order to the connected peer `to`, at most
    /// [`MESSAGE_MAX`] bytes.
    pub fn send(
        &mut self,
        now: Instant,
        port: LltPort,
        to: Id,
        payload: Bytes,
    ) -> Result<(), SendError> {
        self.begin(now);
        if payload.len() > MESSAGE_MAX {
            return Err(SendError::TooLarge { max: MESSAGE_MAX });
        }
        let (context, peer) = self.connected(to)?;
        context.queue(peer, port, payload)
    }

    /// Sends `payload` once, unreliably and unordered, to the connected peer `to`; at most
    /// [`Llt::datagram_max`] bytes.
    pub fn datagram(
        &mut self,
        now: Instant,
        port: LltPort,
        to: Id,
        payload: Bytes,
    ) -> Result<(), SendError> {
        self.begin(now);
        if payload.len() > self.datagram_max() {
            return Err(SendError::TooLarge { max: self.datagram_max() });
        }
        let (context, peer) = self.connected(to)?;
        context.datagram(peer, port, &payload);
        Ok(())
    }

    /// Sends `payload` once, unreliably and unordered, to every connected peer: one frame where a
    /// link has a broadcast address, else one to each; at most [`Llt::datagram_max`] bytes.
    pub fn broadcast(
        &mut self,
        now: Instant,
        port: LltPort,
        payload: Bytes,
    ) -> Result<(), SendError> {
        self.begin(now);
        if payload.len() > self.datagram_max() {
            return Err(SendError::TooLarge { max: self.datagram_max() });
        }
        self.context.broadcast(&mut self.peers, &mut self.broadcast_turn, port, &payload);
        Ok(())
    }

    /// Announces a clean end: every peer learns it at once, no timer needs to run out. From then
    /// on this core is silent but for repeating the goodbye to who still talks to it; the layer
    /// above gets no events any more.
    pub fn leave(&mut self, now: Instant) {
        self.begin(now);
        for _ in 0..BYE_COPIES {
            self.send_byes();
        }
        for peer in self.peers.iter_mut().flatten() {
            peer.connected = false;
        }
        self.has_left = true;
    }

    /// The next thing to do, or `None` when there is nothing until the next input.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.context.outputs.is_empty() && self.is_dirty {
            for peer in self.peers.iter_mut().flatten() {
                self.context.pump(peer);
            }
            self.is_dirty = false;
            self.deadline = self.find_deadline();
        }
        self.context.outputs.pop_front()
    }

    /// When [`Llt::handle_timer`] wants to be called, at the latest. Valid once
    /// [`Llt::poll_output`] has returned `None`.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The largest datagram that fits every link, in bytes. It stays the same as links come and go.
    pub fn datagram_max(&self) -> usize {
        let overhead = self.context.seal_len() + HEADER_LEN + BROADCAST_HEADER_LEN;
        self.context.datagram_mtu.saturating_sub(overhead)
    }

    /// Does one frame reach everybody, on every high-priority link?
    pub fn has_broadcast(&self) -> bool {
        let links = self.context.links.iter().zip(&self.context.config.links);
        let mut links = links.filter(|(own, link)| own.present && !link.lowpri);
        links.all(|(_, link)| link.broadcast.is_some())
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.context.config
    }

    /// The counters since the start or the last [`Llt::zero_stats`].
    pub fn stats(&self) -> &Stats {
        &self.context.stats
    }

    /// Sets every counter but the alarms to zero.
    pub fn zero_stats(&mut self) {
        let stats = &mut self.context.stats;
        *stats = Stats { alarms: stats.alarms, ..Stats::default() };
    }

    /// The peers that are known or configured, in order of their ids; never this node.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.peers.iter().flatten().map(|peer| PeerStatus::of(peer, self.context.now)).collect()
    }
}

/// The place of a node, made if there is none yet.
fn slot(peers: &mut Vec<Option<Box<Peer>>>, node: NodeId) -> &mut Option<Box<Peer>> {
    if peers.len() <= node.index() {
        peers.resize_with(node.index() + 1, || None);
    }
    &mut peers[node.index()]
}

/// Goodbyes on every link to every peer: one may be lost.
const BYE_COPIES: usize = 3;

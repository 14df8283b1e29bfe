//! What an administrator changes while LLT runs. Nothing in the core depends on an old value of a
//! timer or a limit, so each of them may change at any time.

use super::Llt;
use super::context::{Context, OwnLink};
use super::link::PeerLink;
use super::output::{AddLinkError, DownReason, RemoveLinkError};
use super::status::LinkState;
use crate::config::{Flow, LinkConfig, Timers};
use crate::ids::{Id, LinkAddr, LinkId, LltPort, NodeId, NodeSet};
use crate::time::{Duration, Instant};

/// Ports that are open on every node.
pub(super) const ALWAYS_OPEN: u32 = 1 << LltPort::GAB.get() | 1 << LltPort::PING.get();

impl Llt {
    /// Puts these timers in force, at once.
    pub fn set_timers(&mut self, now: Instant, timers: Timers) {
        self.begin(now);
        let context = &mut self.context;
        context.config.timers = timers;
        for link in 0..context.links.len() {
            let next = context.now + context.heartbeat(link);
            context.links[link].next_heartbeat = context.links[link].next_heartbeat.min(next);
        }
        context.judge_at = context.now;
        self.on_timer_called();
    }

    /// Puts these limits in force, at once.
    pub fn set_flow(&mut self, now: Instant, flow: Flow) {
        self.begin(now);
        self.context.config.flow = flow;
        for peer in self.peers.iter_mut().flatten() {
            self.context.offer(peer);
        }
    }

    /// Ignores these nodes from now on, and no others. Those that are connected are disconnected
    /// ([`DownReason::Excluded`]) and told so.
    pub fn set_excluded(&mut self, now: Instant, excluded: NodeSet) {
        self.begin(now);
        let context = &mut self.context;
        let heeded = context.config.excluded.difference(excluded);
        for node in heeded.iter() {
            context.ignored.forget(context.config.cluster, node);
        }
        context.config.excluded = excluded;
        for node in excluded.iter() {
            let Some(mut peer) = self.peers.get_mut(node.index()).and_then(Option::take) else {
                continue;
            };
            if peer.connected {
                context.disconnect(&mut peer, DownReason::Excluded);
                // The new session in it tells the peer that this connection is over.
                for link in 0..peer.links.len() {
                    context.send_heartbeat(&mut peer, link);
                }
            }
            for link in 0..peer.links.len() {
                context.forget_notes(&mut peer, link);
            }
        }
        self.add_configured_peers();
    }

    /// Ends the connection to this life of a peer ([`DownReason::Reset`]) and tells it so: what was
    /// under way to it is lost, and a new connection follows. Nothing happens if it is not connected.
    pub fn reset(&mut self, now: Instant, id: Id) {
        self.begin(now);
        let context = &mut self.context;
        let peer = self.peers.get_mut(id.node.index()).and_then(Option::as_mut);
        let Some(peer) = peer.filter(|peer| peer.connected && peer.id() == Some(id)) else {
            return;
        };
        context.disconnect(peer, DownReason::Reset);
        for link in 0..peer.links.len() {
            context.send_heartbeat(peer, link);
        }
    }

    /// Adds a link, which takes the lowest free number; it is enabled and has carrier.
    ///
    /// # Errors
    /// There are eight links, or its MTU is below the least that LLT was started with, which the
    /// layers above count on. Nothing was changed.
    pub fn add_link(&mut self, now: Instant, config: LinkConfig) -> Result<LinkId, AddLinkError> {
        self.begin(now);
        let context = &mut self.context;
        let free = context.links.iter().position(|own| !own.present);
        let index = free.unwrap_or(context.links.len());
        let id = LinkId::all().nth(index).ok_or(AddLinkError::TooMany)?;
        let (mtu, min) = (config.mtu, context.datagram_mtu);
        if mtu < min {
            return Err(AddLinkError::MtuTooSmall { mtu, min });
        }
        if index == context.links.len() {
            context.links.push(OwnLink::new(id, context.now, context.first_sequence));
            context.config.links.push(config);
        } else {
            // Sequences go on where they were, in case the other end is the same.
            let OwnLink { broadcast_sequence: sequence, beat, .. } = context.links[index];
            context.links[index] = OwnLink { beat, ..OwnLink::new(id, context.now, sequence) };
            context.config.links[index] = config;
        }
        for peer in self.peers.iter_mut().flatten() {
            let addr = context.static_address(peer.node, index);
            let sequence = peer.links.get(index).map(|link| link.tx_sequence);
            let link = PeerLink::new(addr, sequence.unwrap_or(context.first_sequence));
            match peer.links.get_mut(index) {
                Some(place) => *place = link,
                None => peer.links.push(link),
            }
        }
        self.context.look_for_peers(index);
        self.add_configured_peers();
        Ok(id)
    }

    /// Disables a link or enables it again (`lltconfig -L`). A disabled one carries nothing, and
    /// every peer is in trouble on it at once. `false`: there is no such link.
    pub fn enable_link(&mut self, now: Instant, link: LinkId, enabled: bool) -> bool {
        self.begin(now);
        let Some(own) = self.context.own_link(link) else { return false };
        own.enabled = enabled;
        self.on_own_link(link.index());
        true
    }

    /// Removes a disabled link. The others keep their numbers.
    ///
    /// # Errors
    /// There is none with this number, it is enabled, or it is the only one. Nothing was changed.
    pub fn remove_link(&mut self, now: Instant, link: LinkId) -> Result<(), RemoveLinkError> {
        self.begin(now);
        let context = &mut self.context;
        let count = context.links.iter().filter(|own| own.present).count();
        let own = context.own_link(link).ok_or(RemoveLinkError::NoSuchLink(link))?;
        if own.enabled {
            return Err(RemoveLinkError::Enabled(link));
        }
        if count == 1 {
            return Err(RemoveLinkError::Last(link));
        }
        own.present = false;
        context.config.links[link.index()].peers.clear();
        context.review_own_notes();
        for peer in self.peers.iter_mut().flatten() {
            context.forget_notes(peer, link.index());
            let place = &mut peer.links[link.index()];
            *place = PeerLink::new(None, place.tx_sequence);
        }
        Ok(())
    }

    /// Gives a node a static address on a link, in place of what was known. `false`: there is no
    /// such link, or the node is this one.
    pub fn set_address(
        &mut self,
        now: Instant,
        node: NodeId,
        link: LinkId,
        addr: LinkAddr,
    ) -> bool {
        self.begin(now);
        let context = &mut self.context;
        if context.own_link(link).is_none() || node == context.config.node {
            return false;
        }
        let addresses = &mut context.config.links[link.index()].peers;
        addresses.retain(|(peer, _)| *peer != node);
        addresses.push((node, addr));
        if context.config.excluded.contains(node) {
            return true;
        }
        let peer = super::slot(&mut self.peers, node)
            .get_or_insert_with(|| Box::new(context.new_peer(node)));
        let place = &mut peer.links[link.index()];
        (place.addr, place.is_static) = (Some(addr), true);
        context.send_heartbeat(peer, link.index());
        true
    }

    /// Forgets a node's address on a link, static or learned; its next frame teaches it anew.
    /// `false`: none was known.
    pub fn forget_address(&mut self, now: Instant, node: NodeId, link: LinkId) -> bool {
        self.begin(now);
        let context = &mut self.context;
        if context.own_link(link).is_none() {
            return false;
        }
        let addresses = &mut context.config.links[link.index()].peers;
        let count = addresses.len();
        addresses.retain(|(peer, _)| *peer != node);
        let was_configured = addresses.len() < count;
        let Some(Some(peer)) = self.peers.get_mut(node.index()) else { return was_configured };
        let place = &mut peer.links[link.index()];
        place.is_static = false;
        place.addr.take().is_some() || was_configured
    }

    /// Forgets every address that was learned (`lltconfig -a flush`); they are learned anew.
    pub fn forget_learned(&mut self, now: Instant) {
        self.begin(now);
        for peer in self.peers.iter_mut().flatten() {
            for link in peer.links.iter_mut().filter(|link| !link.is_static) {
                link.addr = None;
            }
        }
        for link in 0..self.context.links.len() {
            self.context.look_for_peers(link);
            if self.context.links[link].carries() {
                self.context.discover(&mut self.peers, link);
            }
        }
    }

    /// Says which LLT ports have a client here, one bit each; the peers learn it from heartbeats.
    /// GAB's and lltping's always have one.
    pub fn set_open_ports(&mut self, now: Instant, ports: u32) {
        self.begin(now);
        self.context.open_ports = ports | ALWAYS_OPEN;
    }

    /// Says which LLT ports, one bit each, have a client that does not keep up (more than
    /// `rporthighwater` messages wait for it). The peers learn it at once and begin no message for
    /// these ports, until a later call says otherwise.
    pub fn set_busy_ports(&mut self, now: Instant, ports: u32) {
        self.begin(now);
        if self.context.busy_ports == ports {
            return;
        }
        self.context.busy_ports = ports;
        for peer in self.peers.iter_mut().flatten().filter(|peer| peer.connected) {
            peer.receiver.acknowledge_soon();
        }
    }

    /// Our links by their numbers; `None` where one was removed.
    pub fn links(&self) -> Vec<Option<LinkState>> {
        let links = self.context.links.iter().zip(&self.context.config.links);
        links.map(|(own, config)| own.present.then(|| own.state(config))).collect()
    }

    /// A link of ours carries again, or nothing any more. Then the peers are told on all others, at
    /// once: they need not wait for its silence.
    pub(super) fn on_own_link(&mut self, link: usize) {
        let Self { context, peers, .. } = self;
        for peer in peers.iter_mut().flatten() {
            let silence = peer.links[link].silence(context.now).unwrap_or(Duration::ZERO);
            context.refresh(peer, link, silence);
        }
        if context.links[link].carries() {
            context.links[link].next_heartbeat = context.now;
            context.look_for_peers(link);
        } else if !self.has_left {
            for other in 0..context.links.len() {
                if context.links[other].carries() {
                    context.heartbeats(peers, other);
                }
            }
        }
    }

    /// The time of listening is over without a reason not to start: peers may connect from now on.
    pub(super) fn end_listening(&mut self) {
        let context = &mut self.context;
        context.listening = None;
        for link in &mut context.links {
            link.next_heartbeat = context.now;
        }
    }
}

impl OwnLink {
    fn state(&self, config: &LinkConfig) -> LinkState {
        LinkState {
            enabled: self.enabled,
            carrier: self.carrier,
            lowpri: config.lowpri,
            mtu: config.mtu,
        }
    }
}

impl Context {
    /// The link with this number, if there is one.
    pub(super) fn own_link(&mut self, link: LinkId) -> Option<&mut OwnLink> {
        self.links.get_mut(link.index()).filter(|own| own.present)
    }

    /// The address that a node was configured with.
    pub(super) fn static_address(&self, node: NodeId, link: usize) -> Option<LinkAddr> {
        let addresses = &self.config.links[link].peers;
        addresses.iter().find(|(peer, _)| *peer == node).map(|(_, addr)| *addr)
    }
}

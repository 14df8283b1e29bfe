//! Where peers are on a link: learned from their frames, looked for, forgotten.

use super::context::Context;
use super::output::Event;
use super::peer::Peer;
use crate::ids::LinkAddr;
use crate::time::Instant;

impl Context {
    /// Takes note of where a peer's frames come from, unless its address is configured. The layer
    /// above is told once in a trouble time at most: on crossed links addresses take turns.
    pub(super) fn learn(&mut self, peer: &mut Peer, link: usize, from: LinkAddr) {
        let entry = &mut peer.links[link];
        if entry.is_static || entry.addr == Some(from) {
            return;
        }
        entry.addr = Some(from);
        let told = entry.told_addr;
        let may_tell = told.is_none_or(|(addr, at)| {
            addr != from && self.now.since(at) >= self.config.timers.peer_trouble
        });
        if may_tell {
            entry.told_addr = Some((from, self.now));
            self.event(Event::AddressChanged {
                node: peer.node,
                link: self.links[link].id,
                from: told.map(|(addr, _)| addr),
                to: from,
            });
        }
    }

    /// Forgets learned addresses that no frame has confirmed for the time of `arp`.
    pub(super) fn forget_old_addresses(&mut self, peers: &mut [Option<Box<Peer>>], link: usize) {
        let time = self.config.timers.forget_addresses;
        if time.is_zero() {
            return;
        }
        let entries = peers.iter_mut().flatten().map(|peer| &mut peer.links[link]);
        for entry in entries.filter(|entry| !entry.is_static && entry.addr.is_some()) {
            if entry.last_heard.is_none_or(|at| self.now.since(at) >= time) {
                entry.addr = None;
            }
        }
    }

    /// Looks for peers without an address: with every heartbeat until the first one is found, and
    /// for one inactive time when some were lost; then every `arpreq`.
    pub(super) fn discover(&mut self, peers: &mut [Option<Box<Peer>>], link: usize) {
        let config = &self.config.links[link];
        let every = self.config.timers.discover;
        let Some(to) = config.broadcast.filter(|_| config.discover && !every.is_zero()) else {
            return;
        };
        let own = &self.links[link];
        let mut known = peers.iter().flatten();
        let is_first = !known.any(|peer| peer.links[link].addr.is_some());
        let mut lacking = peers.iter().flatten().filter(|peer| peer.links[link].addr.is_none());
        let is_missed = self.now < own.eager_until && lacking.any(|peer| peer.connected);
        if is_first || is_missed || self.now >= own.next_discovery {
            self.links[link].next_discovery = self.now + every;
            self.stats.snd_connect += 1;
            self.broadcast_heartbeat(peers, link, to);
        }
    }

    /// Peers may be without an address here: they are looked for soon, and often for a while.
    pub(super) fn look_for_peers(&mut self, link: usize) {
        self.links[link].eager_until = self.now + self.config.timers.peer_inact;
        self.links[link].next_discovery = Instant::ZERO;
    }
}

//! Time: when something is due, and what happens then.

use super::Llt;
use super::context::Context;
use super::link::Judge;
use super::output::{DownReason, Event};
use super::peer::Peer;
use crate::time::{Duration, Instant, earliest};

impl Llt {
    /// Every input begins here: sets the clock, and notices if we were asleep.
    pub(super) fn begin(&mut self, now: Instant) {
        let context = &mut self.context;
        let last = context.now;
        context.now = now.max(last);
        if let Some(deadline) = self.deadline {
            let expected = deadline.max(last);
            let late = context.now.since(expected);
            if late > context.config.timers.peer_trouble / 2 {
                context.stats.late_timer += 1;
                context.hold_until = context.now + context.config.timers.peer_trouble;
                let late_ms = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
                context.event(Event::Late { late_ms });
            }
        }
        self.is_dirty = true;
    }

    /// What is due at the present instant.
    pub(super) fn run_timers(&mut self) {
        let context = &mut self.context;
        let now = context.now;
        for link in 0..context.links.len() {
            if context.links[link].carries() && now >= context.links[link].next_heartbeat {
                let period = context.heartbeat(link);
                let next = context.links[link].next_heartbeat + period;
                // After a pause the missed ones are not made up for.
                context.links[link].next_heartbeat = if next <= now { now + period } else { next };
                context.heartbeats(&mut self.peers, link);
            }
        }
        if now >= context.judge_at {
            context.judge_at = Instant::from_nanos(u64::MAX);
            for peer in self.peers.iter_mut().flatten() {
                context.judge_peer(peer);
            }
        }
        for peer in self.peers.iter_mut().flatten() {
            context.peer_timers(peer);
        }
    }

    /// The earliest instant at which something is due.
    pub(super) fn find_deadline(&self) -> Option<Instant> {
        if self.has_left {
            return None;
        }
        let links = self.context.links.iter().filter(|link| link.carries());
        let heartbeats = links.map(|link| link.next_heartbeat);
        let never = Instant::from_nanos(u64::MAX);
        let judge = Some(self.context.judge_at).filter(|at| *at < never);
        let connected = self.peers.iter().flatten().filter(|peer| peer.connected);
        connected.fold(earliest(heartbeats.min(), judge), |at, peer| {
            let links = peer.links.iter();
            let claims =
                links.flat_map(|link| [link.rx_unicast.deadline(), link.rx_broadcast.deadline()]);
            let stream = earliest(peer.sender.deadline(), peer.receiver.deadline());
            earliest(at, earliest(stream, claims.flatten().min()))
        })
    }
}

impl Context {
    /// Judges a peer's links by its silence, and gives it up if none has been up for too long.
    fn judge_peer(&mut self, peer: &mut Peer) {
        let mut changes = Vec::new();
        for link in 0..peer.links.len() {
            let judge = Judge { slack: self.heartbeat(link) / 16, ..self.judge(link) };
            let entry = &peer.links[link];
            let status = entry.judge(&judge);
            if status != entry.status {
                changes.push((link, status, entry.silence(self.now).unwrap_or(Duration::ZERO)));
            }
        }
        self.set_statuses(peer, &changes);
        for link in 0..peer.links.len() {
            if let Some(at) = peer.links[link].deadline(&self.judge(link)) {
                self.judge_at = self.judge_at.min(at);
            }
        }
        if !peer.connected {
            return;
        }
        let Some(last) = peer.last_two_way() else {
            self.alarm("connected to a peer that never heard us");
            return;
        };
        let at = (last + self.config.timers.peer_inact).max(self.hold_until);
        if self.now >= at {
            self.disconnect(peer, DownReason::Silent);
        } else {
            self.judge_at = self.judge_at.min(at);
        }
    }

    fn peer_timers(&mut self, peer: &mut Peer) {
        if !peer.connected {
            return;
        }
        for link in 0..peer.links.len() {
            let entry = &mut peer.links[link];
            let holes = entry.rx_unicast.on_timer(self.now) + entry.rx_broadcast.on_timer(self.now);
            self.on_holes(peer, link, holes);
        }
        let patience = self.patience(peer);
        let has_link = peer.links_up() > 0;
        peer.sender.on_timer(self.now, has_link, self.config.timers.retrans);
        peer.receiver.on_timer(self.now, patience);
    }
}

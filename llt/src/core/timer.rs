//! Time: when something is due, and what happens then.

use super::Llt;
use super::context::Context;
use super::link::Judge;
use super::output::DownReason;
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
                context.note_late(u64::try_from(late.as_millis()).unwrap_or(u64::MAX));
            }
        }
        self.is_dirty = true;
        if self.context.now >= self.context.starved_at {
            self.beat_starved();
        }
    }

    /// The timer has not been called for long, but inputs come in: the peers must not suffer.
    fn beat_starved(&mut self) {
        let context = &self.context;
        let is_over = context.now.since(context.timer_at) > context.config.timers.starved_max;
        if !self.has_left && !is_over {
            self.due_heartbeats();
        }
    }

    /// The timer is called; from when on it will count as starved.
    pub(super) fn on_timer_called(&mut self) {
        let context = &mut self.context;
        let timers = &context.config.timers;
        context.timer_at = context.now;
        context.starved_at = if timers.starved_after.is_zero() {
            Instant::from_nanos(u64::MAX)
        } else {
            // It has to be called for every heartbeat at least.
            context.now + timers.heartbeat.max(timers.heartbeat_lo) + timers.starved_after
        };
    }

    fn due_heartbeats(&mut self) {
        let Self { context, peers, .. } = self;
        for link in 0..context.links.len() {
            let now = context.now;
            if context.links[link].carries() && now >= context.links[link].next_heartbeat {
                let period = context.heartbeat(link);
                let next = context.links[link].next_heartbeat + period;
                // After a pause the missed ones are not made up for.
                context.links[link].next_heartbeat = if next <= now { now + period } else { next };
                context.round(peers, link);
            }
        }
    }

    /// What is due at the present instant.
    pub(super) fn run_timers(&mut self) {
        if self.context.listening.is_some_and(|until| self.context.now >= until) {
            self.end_listening();
        }
        self.due_heartbeats();
        let context = &mut self.context;
        let now = context.now;
        context.review_own_notes();
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
        let own = earliest(heartbeats.min(), self.context.listening);
        connected.fold(earliest(own, judge), |at, peer| {
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
            self.on_silence(peer, link);
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

//! What is said and done while a link is silent: a line each second, and the questions whether the
//! peer is still there (facts 1.8).

use super::context::Context;
use super::link::{Judge, PeerLink};
use super::output::{Event, LinkStatus};
use super::peer::Peer;
use crate::time::{Duration, Instant};
use crate::wire::{Header, Kind, emit_request};

/// Seconds of silence from which on each one is told.
const TOLD_FROM: u32 = 5;
/// Heartbeats that are asked for in one silence.
const REQUESTS: u8 = 5;

impl PeerLink {
    /// When the next second of silence is to be told; only for a link in trouble.
    pub(super) fn tells_at(&self, judge: &Judge) -> Option<Instant> {
        let second = TOLD_FROM.max(self.told_silence.saturating_add(1));
        let silence = Duration::from_secs(u64::from(second));
        (silence < judge.inact).then_some(self.last_heard? + silence)
    }

    /// When the next heartbeat is to be asked for; only for a link in trouble.
    pub(super) fn asks_at(&self, judge: &Judge) -> Option<Instant> {
        let may_ask = self.requests < REQUESTS
            && self.addr.is_some()
            && judge.carrier
            && !self.peer_dead
            && !judge.request_after.is_zero();
        let at = (self.last_heard? + judge.request_after).max(self.request_at);
        may_ask.then_some(at)
    }
}

impl Context {
    /// A peer asks for a heartbeat. It may be of a connection that we have given up: the heartbeat
    /// says so.
    pub(super) fn on_request(&mut self, peer: &mut Peer, link: usize, header: &Header) {
        self.stats.rcv_request += 1;
        let _ = self.admit(peer, link, header);
        self.answer(peer, link);
    }

    /// Tells how long a link has been silent, and asks for a heartbeat, if either is due.
    pub(super) fn on_silence(&mut self, peer: &mut Peer, link: usize) {
        if peer.links[link].status != LinkStatus::Trouble || self.now < self.hold_until {
            return;
        }
        let Some(id) = peer.id() else { return };
        let judge = self.judge(link);
        let number = self.links[link].id;
        let entry = &mut peer.links[link];
        if entry.tells_at(&judge).is_some_and(|at| self.now >= at) {
            let silence = entry.silence(self.now).unwrap_or_default();
            entry.told_silence = u32::try_from(silence.as_secs()).unwrap_or(u32::MAX);
            let (seconds, sequence) = (entry.told_silence, entry.heartbeat_sequence);
            self.event(Event::Silent { peer: id, link: number, seconds, sequence });
        }
        let entry = &mut peer.links[link];
        if let (Some(at), Some(to)) = (entry.asks_at(&judge), entry.addr)
            && self.now >= at
        {
            entry.requests += 1;
            entry.request_at = self.now + self.config.timers.request_gap;
            let left = REQUESTS - entry.requests;
            self.stats.snd_request += 1;
            let frame = emit_request(&self.header(Kind::Request, peer, link));
            self.transmit(link, to, true, frame);
            self.event(Event::Requested { peer: id, link: number, left });
        }
    }
}

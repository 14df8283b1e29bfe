//! What all parts of the core share: configuration, counters, the clock of the turn, the outputs.

use std::collections::VecDeque;

use bytes::Bytes;

use super::identity::Namesake;
use super::ignored::IgnoredNodes;
use super::link::Judge;
use super::notes::OwnNotes;
use super::output::{Event, LinkStatus, Output, Transmit};
use super::peer::Peer;
use crate::config::Config;
use crate::ids::{Incarnation, LinkAddr, LinkId};
use crate::limits::{HEADER_LEN, MTU_MIN};
use crate::seal::{OVERHEAD, Seals};
use crate::stats::Stats;
use crate::time::{Duration, Instant};
use crate::wire::{BROADCAST_NODE, DATA_HEADER_LEN, Header, Kind};

/// Shared state of the core.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) config: Config,
    pub(super) stats: Stats,
    /// The instant of the last input.
    pub(super) now: Instant,
    /// Silence is not judged before this instant (self-pause rule, facts algorithms 2.2).
    pub(super) hold_until: Instant,
    pub(super) outputs: VecDeque<Output>,
    /// By the number of the link, as `config.links` is.
    pub(super) links: Vec<OwnLink>,
    /// The least MTU of the links that LLT was started with: what datagrams must fit.
    pub(super) datagram_mtu: usize,
    /// LLT ports that have a client here, and those whose client does not keep up.
    pub(super) open_ports: u32,
    pub(super) busy_ports: u32,
    /// The newest session that was given to any peer.
    pub(super) epoch: u16,
    /// Heartbeats sent so far.
    pub(super) heartbeat_sequence: u64,
    /// The heartbeats that are sent now are those of the period, and no answers.
    pub(super) in_turn: bool,
    /// When some link's state may change by silence; never too late, often too early.
    pub(super) judge_at: Instant,
    /// Where the sequences of links begin.
    pub(super) first_sequence: u32,
    /// When the layer above may be told again that another node has our id.
    pub(super) notice_at: Instant,
    pub(super) ignored: IgnoredNodes,
    /// Another node with our id, if there is a sign of one.
    pub(super) namesake: Option<Namesake>,
    /// What is wrong here and belongs to no peer.
    pub(super) notes: OwnNotes,
    /// When the timer was called last, and from when on it counts as starved.
    pub(super) timer_at: Instant,
    pub(super) starved_at: Instant,
    /// No connection is made before this instant: is there another node with our id?
    pub(super) listening: Option<Instant>,
    /// What sealing and opening remember.
    pub(super) seals: Seals,
}

/// One of our links.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnLink {
    pub(super) id: LinkId,
    /// It was not removed.
    pub(super) present: bool,
    pub(super) enabled: bool,
    pub(super) carrier: bool,
    pub(super) next_heartbeat: Instant,
    /// Heartbeat periods so far.
    pub(super) beat: u16,
    /// When peers without an address are looked for next, and until when that is done with every
    /// heartbeat if connected ones are among them.
    pub(super) next_discovery: Instant,
    pub(super) eager_until: Instant,
    /// Position of the last broadcast on it.
    pub(super) broadcast_sequence: u32,
}

impl OwnLink {
    pub(super) fn new(id: LinkId, next_heartbeat: Instant, broadcast_sequence: u32) -> Self {
        let (present, enabled, carrier) = (true, true, true);
        let (next_discovery, eager_until) = (Instant::ZERO, Instant::ZERO);
        Self {
            id,
            present,
            enabled,
            carrier,
            next_heartbeat,
            beat: 0,
            next_discovery,
            eager_until,
            broadcast_sequence,
        }
    }

    /// Frames go over it.
    pub(super) fn carries(&self) -> bool {
        self.present && self.enabled && self.carrier
    }
}

impl Context {
    /// Hands an event to the layer above.
    pub(super) fn event(&mut self, event: Event) {
        tracing::debug!(?event, "event");
        self.outputs.push_back(Output::Event(event));
    }

    /// Seals a frame, if we have keys, and puts it on a wire.
    pub(super) fn transmit(&mut self, link: usize, to: LinkAddr, urgent: bool, frame: Bytes) {
        let frame = self.seal(link, frame);
        self.transmit_sealed(link, to, urgent, frame);
    }

    /// Puts a frame on a wire that went through [`Context::seal`].
    pub(super) fn transmit_sealed(
        &mut self,
        link: usize,
        to: LinkAddr,
        urgent: bool,
        frame: Bytes,
    ) {
        debug_assert!(frame.len() <= self.config.links[link].mtu.max(MTU_MIN), "too long a frame");
        let link = self.links[link].id;
        self.outputs.push_back(Output::Transmit(Transmit { link, to, urgent, frame }));
    }

    /// The frame as it goes on the wire. Every call takes a new count.
    pub(super) fn seal(&mut self, link: usize, frame: Bytes) -> Bytes {
        match &self.config.keys {
            Some(keys) => self.seals.seal(keys, self.links[link].id, &frame),
            None => frame,
        }
    }

    /// Bytes of every frame that the seal takes.
    pub(super) const fn seal_len(&self) -> usize {
        if self.config.keys.is_some() { OVERHEAD } else { 0 }
    }

    /// The plain frame that every link takes, header included, in bytes.
    pub(super) const fn frame_min(&self) -> usize {
        MTU_MIN - self.seal_len()
    }

    /// Notes a state of our own making that cannot be.
    pub(super) fn alarm(&mut self, what: &'static str) {
        self.stats.alarms += 1;
        tracing::error!(what, "alarm");
    }

    /// The period of heartbeats on a link.
    pub(super) fn heartbeat(&self, link: usize) -> Duration {
        let timers = &self.config.timers;
        if self.config.links[link].lowpri { timers.heartbeat_lo } else { timers.heartbeat }
    }

    /// The measure for the state of a link.
    pub(super) fn judge(&self, link: usize) -> Judge {
        let timers = &self.config.timers;
        let lowpri = self.config.links[link].lowpri;
        Judge {
            now: self.now,
            hold_until: self.hold_until,
            trouble: if lowpri { timers.peer_trouble_lo } else { timers.peer_trouble },
            inact: timers.peer_inact,
            request_after: timers.request_after,
            carrier: self.links[link].carries(),
            slack: Duration::ZERO,
        }
    }

    /// A session number that was not in use before.
    pub(super) fn next_session(&mut self) -> u16 {
        self.epoch = self.epoch.wrapping_add(1).max(1);
        self.epoch
    }

    /// Our session with a peer, as we tell it: none before we may connect.
    pub(super) fn session(&self, peer: &Peer) -> u16 {
        if self.listening.is_some() { 0 } else { peer.session }
    }

    /// A header to a peer, on a link; the cumulative acknowledgement goes with it.
    pub(super) fn header(&self, kind: Kind, peer: &Peer, link: usize) -> Header {
        Header {
            cluster: self.config.cluster,
            kind,
            src: self.config.node.get(),
            dst: peer.node.get(),
            sequence: peer.links[link].tx_sequence,
            src_incarnation: self.config.incarnation,
            dst_incarnation: peer.incarnation.unwrap_or_default(),
            src_session: self.session(peer),
            dst_session: peer.peer_session,
            ack: if peer.connected { peer.receiver.cumulative() } else { 0 },
        }
    }

    /// A header to everybody.
    pub(super) fn broadcast_header(&self, kind: Kind, link: usize) -> Header {
        Header {
            cluster: self.config.cluster,
            kind,
            src: self.config.node.get(),
            dst: BROADCAST_NODE,
            sequence: self.links[link].broadcast_sequence,
            src_incarnation: self.config.incarnation,
            dst_incarnation: Incarnation(0),
            src_session: 0,
            dst_session: 0,
            ack: self.heartbeat_sequence,
        }
    }

    /// Bytes of a message that fit one packet to `peer`, whichever of the links in use it takes. A
    /// link whose path does not take its full size is left out while there are others.
    pub(super) fn fragment_len(&self, peer: &Peer) -> usize {
        let is_up = |link: usize| peer.links[link].status == LinkStatus::Up;
        let of =
            |lowpri: bool, link: usize| is_up(link) && self.config.links[link].lowpri == lowpri;
        let shortest = |is_in: &dyn Fn(usize) -> bool| {
            let links = (0..peer.links.len()).filter(|&link| is_in(link));
            links.map(|link| self.frame_max(peer, link)).min()
        };
        let whole = |link: usize| peer.links[link].path.limit.is_none();
        let frame = shortest(&|link| of(false, link) && whole(link))
            .or_else(|| shortest(&|link| of(false, link)))
            .or_else(|| shortest(&|link| of(true, link) && whole(link)))
            .or_else(|| shortest(&|link| of(true, link)))
            .or_else(|| shortest(&|link| self.links[link].present));
        frame.unwrap_or(0).max(self.frame_min()) - HEADER_LEN - DATA_HEADER_LEN
    }

    /// Packets in flight to `peer` at most.
    pub(super) fn window(&self, peer: &Peer) -> usize {
        self.config.flow.window.min(peer.peer_window).max(1)
    }

    /// How long a packet may be missing before it is asked for: two round trips, at most `oos`.
    pub(super) fn patience(&self, peer: &Peer) -> Duration {
        let oos = self.config.timers.oos;
        peer.sender.srtt().map_or(oos, |srtt| (srtt * 2).max(Duration::from_millis(1)).min(oos))
    }

    /// The link for the next frame to `peer`, which is of `size` bytes: high-priority ones in turn,
    /// `linkburst` frames each, low-priority ones only if no other is up (facts 1.4, 1.6). One
    /// that is quiet, and one whose path does not take it, only if there is no other.
    pub(super) fn choose_link(&self, peer: &mut Peer, size: usize) -> Option<usize> {
        [false, true].into_iter().find_map(|lowpri| {
            [(false, size), (false, 0), (true, size), (true, 0)]
                .into_iter()
                .find_map(|(quiet, size)| self.next_link(peer, lowpri, quiet, size))
        })
    }

    /// The peer has been silent on the link for half of the trouble time, which is several of its
    /// heartbeats: as long as there is another link, what goes out here would wait until the
    /// trouble is certain.
    pub(super) fn is_quiet(&self, peer: &Peer, link: usize) -> bool {
        let timers = &self.config.timers;
        let lowpri = self.config.links[link].lowpri;
        let trouble = if lowpri { timers.peer_trouble_lo } else { timers.peer_trouble };
        peer.links[link].silence(self.now).is_none_or(|silence| silence >= trouble / 2)
    }

    /// The next one in turn; quiet ones only if `quiet`.
    fn next_link(&self, peer: &mut Peer, lowpri: bool, quiet: bool, size: usize) -> Option<usize> {
        let usable = |peer: &Peer, link: usize| {
            peer.links[link].status == LinkStatus::Up
                && peer.links[link].addr.is_some()
                && self.config.links[link].lowpri == lowpri
                && (quiet || !self.is_quiet(peer, link))
                && self.frame_max(peer, link) >= size
        };
        let count = peer.links.len();
        if self.config.flow.linkburst == 0 {
            let up = (0..count).filter(|&link| usable(peer, link)).count();
            let nth = peer.node.index().checked_rem(up)?;
            return (0..count).filter(|&link| usable(peer, link)).nth(nth);
        }
        let (current, used) = peer.turn;
        if used < self.config.flow.linkburst && current < count && usable(peer, current) {
            peer.turn = (current, used + 1);
            return Some(current);
        }
        let mut others = (1..=count).map(|step| (current + step) % count);
        let link = others.find(|&link| usable(peer, link))?;
        peer.turn = (link, 1);
        Some(link)
    }

    /// Takes note of frames that are missing.
    pub(super) fn on_holes(&mut self, peer: &Peer, link: usize, frames: u32) {
        if frames == 0 {
            return;
        }
        self.stats.rcv_holes += u64::from(frames);
        if peer.connected
            && let Some(from) = peer.id()
        {
            self.event(Event::Hole { from, link: self.links[link].id, frames });
        }
    }

    /// Brings the announced state of a link up to date. `silence` is that before the input.
    pub(super) fn refresh(&mut self, peer: &mut Peer, link: usize, silence: Duration) {
        let judge = self.judge(link);
        let status = peer.links[link].judge(&judge);
        if status != peer.links[link].status {
            self.set_statuses(peer, &[(link, status, silence)]);
        }
        if let Some(at) = peer.links[link].deadline(&judge) {
            self.judge_at = self.judge_at.min(at);
        }
    }

    /// Announces new states of links, with the silence before each; what was under way on a link
    /// fails over if it is lost. What changes together is announced with its sum, so that a peer
    /// that loses all its links at once does not seem to have a last one.
    pub(super) fn set_statuses(
        &mut self,
        peer: &mut Peer,
        changes: &[(usize, LinkStatus, Duration)],
    ) {
        for &(link, status, _) in changes {
            let id = self.links[link].id;
            let entry = &mut peer.links[link];
            let before = std::mem::replace(&mut entry.status, status);
            let is_silent = matches!(status, LinkStatus::Trouble | LinkStatus::Expired);
            if is_silent {
                entry.recovering = true;
                entry.hears_us = false;
            }
            if before == LinkStatus::Up {
                entry.path.interrupt();
                peer.sender.on_link_lost(id, 0);
            }
            if is_silent {
                self.note_no_one_way(peer, link);
            }
        }
        let Some(peer_id) = peer.id() else { return };
        let links_up = peer.links_up();
        for &(link, status, silence) in changes {
            // Most of what was sent over so long was lost, though not the last of it.
            let lossy = peer.links[link].rhythm.is_lossy();
            let silence =
                if lossy { silence.max(self.heartbeat(link) * u32::BITS) } else { silence };
            let link = self.links[link].id;
            let silent_ms = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX);
            self.event(Event::Link { peer: peer_id, link, status, silent_ms, links_up });
        }
    }
}

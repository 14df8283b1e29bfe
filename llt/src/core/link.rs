//! One link to one peer: its address, its state, its sequences.

use super::notes::Notes;
use super::output::LinkStatus;
use super::probe::Path;
use super::proof::Proof;
use super::rhythm::Rhythm;
use super::sequence::Sequence;
use crate::ids::LinkAddr;
use crate::limits::MTU_MAX;
use crate::time::{Duration, Instant, earliest};

/// One link to one peer.
#[derive(Debug)]
pub(super) struct PeerLink {
    /// Where the peer is, if known, and whether that was configured rather than learned.
    pub(super) addr: Option<LinkAddr>,
    pub(super) is_static: bool,
    /// The address that the layer above was told last, and when.
    pub(super) told_addr: Option<(LinkAddr, Instant)>,
    /// The state that was last announced.
    pub(super) status: LinkStatus,
    /// The last frame of this incarnation of the peer.
    pub(super) last_heard: Option<Instant>,
    /// The last frame while the peer heard us, too.
    pub(super) last_two_way: Option<Instant>,
    /// The peer's last word on whether it hears us.
    pub(super) hears_us: bool,
    /// In trouble until a heartbeat says afresh whether the peer hears us.
    pub(super) recovering: bool,
    /// The last heartbeat that was heeded.
    pub(super) heartbeat_sequence: u64,
    /// When the last heartbeats came.
    pub(super) rhythm: Rhythm,
    /// Position of the last data frame or datagram to the peer on this link.
    pub(super) tx_sequence: u32,
    /// What arrived here for us alone.
    pub(super) rx_unicast: Sequence,
    /// What arrived here for everybody.
    pub(super) rx_broadcast: Sequence,
    /// Heartbeats that may still be sent out of turn in this period.
    pub(super) answers_left: u8,
    /// The largest frame that the peer takes on this link.
    pub(super) peer_mtu: usize,
    /// The peer's number of this link, by its last heartbeat here.
    pub(super) peer_link: Option<u8>,
    /// The peer says that this link is dead at its end.
    pub(super) peer_dead: bool,
    /// The second of the silence that the layer above was told last.
    pub(super) told_silence: u32,
    /// Heartbeats asked for in this silence, and when the next may be.
    pub(super) requests: u8,
    pub(super) request_at: Instant,
    /// Which frames get through to the peer here.
    pub(super) path: Path,
    /// What the peer has shown to have heard of us.
    pub(super) proof: Proof,
    /// What is wrong.
    pub(super) notes: Notes,
}

/// Heartbeats out of turn, per heartbeat period: a connection takes three.
pub(super) const ANSWERS_MAX: u8 = 4;

/// What judging a link needs to know besides the link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge {
    pub(super) now: Instant,
    /// Silence is not judged before this instant.
    pub(super) hold_until: Instant,
    pub(super) trouble: Duration,
    pub(super) inact: Duration,
    /// Silence after which heartbeats are asked for; zero: never.
    pub(super) request_after: Duration,
    pub(super) carrier: bool,
    /// Links that fall silent within this time of each other are in trouble together, so that a
    /// dead peer does not look like one with a last link for some microseconds.
    pub(super) slack: Duration,
}

impl PeerLink {
    pub(super) fn new(addr: Option<LinkAddr>, tx_sequence: u32) -> Self {
        Self {
            addr,
            is_static: addr.is_some(),
            told_addr: None,
            status: LinkStatus::Down,
            last_heard: None,
            last_two_way: None,
            hears_us: false,
            recovering: false,
            heartbeat_sequence: 0,
            rhythm: Rhythm::default(),
            tx_sequence,
            rx_unicast: Sequence::default(),
            rx_broadcast: Sequence::default(),
            answers_left: ANSWERS_MAX,
            peer_mtu: MTU_MAX,
            peer_link: None,
            peer_dead: false,
            told_silence: 0,
            requests: 0,
            request_at: Instant::ZERO,
            path: Path::default(),
            proof: Proof::default(),
            notes: Notes::default(),
        }
    }

    /// Forgets what was known of the peer's last incarnation. The path is still the same one.
    pub(super) fn forget(&mut self) {
        let fresh = Self::new(self.addr.filter(|_| self.is_static), self.tx_sequence);
        let old = std::mem::replace(self, fresh);
        self.told_addr = old.told_addr;
        self.path = old.path.of_next_incarnation();
        self.notes = old.notes;
    }

    /// How long the peer has been silent here; `None` if it was never heard.
    pub(super) fn silence(&self, now: Instant) -> Option<Duration> {
        self.last_heard.map(|at| now.since(at))
    }

    /// Do we hear the peer here?
    pub(super) fn is_heard(&self, judge: &Judge) -> bool {
        let held = judge.now < judge.hold_until && self.status == LinkStatus::Up;
        let silence = self.silence(judge.now);
        self.carries(judge)
            && !self.rhythm.is_lossy()
            && silence.is_some_and(|silence| held || silence < judge.trouble)
    }

    /// Neither end says that the link is dead.
    fn carries(&self, judge: &Judge) -> bool {
        judge.carrier && !self.peer_dead
    }

    /// A frame of the peer arrived.
    pub(super) fn on_heard(&mut self, now: Instant) {
        self.last_heard = Some(now);
        self.told_silence = 0;
        self.requests = 0;
        if self.hears_us && !self.rhythm.is_lossy() {
            self.last_two_way = Some(now);
        }
    }

    /// A heartbeat says whether the peer hears us.
    pub(super) fn on_report(&mut self, now: Instant, hears_us: bool) {
        self.hears_us = hears_us;
        self.recovering = false;
        if hears_us && !self.rhythm.is_lossy() {
            self.last_two_way = Some(now);
        }
    }

    /// The state as it follows from what was heard and from the time (facts 1.8).
    pub(super) fn judge(&self, judge: &Judge) -> LinkStatus {
        let Some(silence) = self.silence(judge.now) else { return LinkStatus::Down };
        if !self.carries(judge) && silence < judge.inact {
            return LinkStatus::Trouble;
        }
        let held = judge.now < judge.hold_until;
        let status = if silence >= judge.inact {
            LinkStatus::Expired
        } else if silence + judge.slack >= judge.trouble
            || self.recovering
            || self.rhythm.is_lossy()
        {
            LinkStatus::Trouble
        } else if self.hears_us {
            LinkStatus::Up
        } else {
            LinkStatus::Down
        };
        // Our own pause looks like everybody's silence: nobody gets worse until it is over.
        let worse = matches!(status, LinkStatus::Expired | LinkStatus::Trouble);
        if held && worse && silence + judge.slack >= judge.trouble { self.status } else { status }
    }

    /// When the state may change by silence alone.
    pub(super) fn deadline(&self, judge: &Judge) -> Option<Instant> {
        let at = match self.status {
            LinkStatus::Down | LinkStatus::Up => self.last_heard? + judge.trouble,
            LinkStatus::Trouble => {
                let expires = self.last_heard? + judge.inact;
                let speaks = earliest(self.tells_at(judge), self.asks_at(judge));
                speaks.map_or(expires, |at| at.min(expires))
            }
            LinkStatus::Expired => return None,
        };
        Some(at.max(judge.hold_until))
    }
}

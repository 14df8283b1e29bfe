//! The pure core of LLT.

mod output;

pub use output::{
    DownReason, DuplicateScope, Event, LinkChange, LinkStatus, Output, SendError, Transmit,
};

use bytes::Bytes;

use crate::config::Config;
use crate::ids::{Id, LinkAddr, LinkId, LltPort, NodeId};
use crate::stats::Stats;
use crate::time::Instant;

/// LLT of one node, as a pure state machine.
///
/// * `handle_*` take what happened: they never block and never fail for network reasons.
/// * `send`, `datagram`, `broadcast` are commands of the layer above: refused means unchanged.
/// * [`Llt::poll_output`] is called until it is empty, then the driver sleeps until
///   [`Llt::next_deadline`] or the next input. Spurious calls are harmless.
#[derive(Debug)]
pub struct Llt {
    config: Config,
    stats: Stats,
}

impl Llt {
    /// A core at `now`; `seed` feeds its only generator.
    pub fn new(_now: Instant, config: Config, _seed: u64) -> Self {
        Self { config, stats: Stats::default() }
    }

    /// A frame arrived on `link` from `from`.
    pub fn handle_frame(&mut self, _now: Instant, _link: LinkId, _from: LinkAddr, _frame: Bytes) {
        unimplemented!()
    }

    /// The link itself changed (carrier, interface gone).
    pub fn handle_link(&mut self, _now: Instant, _link: LinkId, _change: LinkChange) {
        unimplemented!()
    }

    /// Time has passed.
    pub fn handle_timer(&mut self, _now: Instant) {
        unimplemented!()
    }

    /// Sends `payload` reliably and in order to the connected peer `to`, at most
    /// [`MESSAGE_MAX`](crate::limits::MESSAGE_MAX) bytes.
    pub fn send(
        &mut self,
        _now: Instant,
        _port: LltPort,
        _to: Id,
        _payload: Bytes,
    ) -> Result<(), SendError> {
        unimplemented!()
    }

    /// Sends `payload` once, unreliably and unordered, to the connected peer `to`; at most
    /// [`Llt::datagram_max`] bytes.
    pub fn datagram(
        &mut self,
        _now: Instant,
        _port: LltPort,
        _to: Id,
        _payload: Bytes,
    ) -> Result<(), SendError> {
        unimplemented!()
    }

    /// Sends `payload` once, unreliably and unordered, to every connected peer: one frame where a
    /// link has a broadcast address, else one to each; at most [`Llt::datagram_max`] bytes.
    pub fn broadcast(
        &mut self,
        _now: Instant,
        _port: LltPort,
        _payload: Bytes,
    ) -> Result<(), SendError> {
        unimplemented!()
    }

    /// Announces a clean end: every peer learns it at once, no timer needs to run out.
    pub fn leave(&mut self, _now: Instant) {
        unimplemented!()
    }

    /// The next thing to do, or `None` when there is nothing until the next input.
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }

    /// When [`Llt::handle_timer`] wants to be called, at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// The largest datagram that fits every configured link, in bytes.
    pub fn datagram_max(&self) -> usize {
        self.config.links.iter().map(|link| link.mtu).min().unwrap_or(0)
    }

    /// Does one frame reach everybody, on every configured high-priority link?
    pub fn has_broadcast(&self) -> bool {
        self.config.links.iter().all(|link| link.broadcast.is_some())
    }

    /// The configuration in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The counters since the start or the last [`Llt::zero_stats`].
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Sets every counter but the alarms to zero.
    pub fn zero_stats(&mut self) {
        self.stats = Stats { alarms: self.stats.alarms, ..Stats::default() };
    }

    /// The peers that are known or configured, in order of their ids.
    pub fn peers(&self) -> Vec<PeerStatus> {
        Vec::new()
    }
}

/// What LLT knows of one peer, for listings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeerStatus {
    /// Which node.
    pub node: NodeId,
    /// Its incarnation, if it was ever heard.
    pub id: Option<Id>,
    /// Connected: both sides hear each other on a link at least. `OPEN` in `lltstat`, else `CONNWAIT`.
    pub connected: bool,
    /// One per configured link: its state and the peer's address on it.
    pub links: Vec<(LinkStatus, Option<LinkAddr>)>,
    /// Packets queued or in flight to it.
    pub queued: usize,
    /// Smoothed round-trip time in nanoseconds, 0 if unknown.
    pub srtt_ns: u64,
}

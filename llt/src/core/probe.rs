//! Does a path take frames of the full size? Probes tell, one with each heartbeat until one has
//! come through or five in a row are lost although a later heartbeat has come through.
//!
//! If they are lost the path is taken for one of the smallest frames, until shorter probes show
//! what passes. Later the full size is tried again, soon at first, for it may have been chance.

use super::context::Context;
use super::heartbeat::{is_echo_of, low_half_word};
use super::output::LinkStatus;
use super::peer::Peer;
use super::receive::Refusal;
use crate::limits::{HEADER_LEN, MTU_MIN};
use crate::time::{Duration, Instant};
use crate::wire::{DATA_HEADER_LEN, Header, Heard, Kind, Probe, emit_probe};

/// What is known of the frames that get through to a peer on a link.
#[derive(Debug, Default)]
pub(super) struct Path {
    /// The longest frames that get through, if those of the full size do not.
    pub(super) limit: Option<usize>,
    /// The number of the last probe heard from the peer here, 0 if none was.
    pub(super) heard: u16,
    /// The number of the last probe sent.
    number: u16,
    series: Option<Series>,
    /// When the full size is tried next, and how long to wait after that.
    next_at: Instant,
    wait: Duration,
}

/// Probes of one size.
#[derive(Clone, Copy, Debug)]
struct Series {
    size: usize,
    /// The number of the first, and how many were sent.
    first: u16,
    sent: u8,
    /// A heartbeat of ours that was sent after the last of them.
    mark: Option<u64>,
}

/// Probes in a row that must be lost.
const SERIES: u8 = 5;
/// Sizes below the full one that are worth a try: Ethernet, Ethernet in a tunnel, IPv6's least,
/// and something between that and ours.
const SIZES: [usize; 4] = [1500, 1400, 1280, 1024];
/// Probes on one link with one round of heartbeats: to many peers they would fill the sockets.
pub(super) const PROBES_PER_ROUND: usize = 8;

impl Path {
    /// What stays true when the peer starts anew.
    pub(super) fn of_next_incarnation(&self) -> Self {
        Self { limit: self.limit, number: self.number, ..Self::default() }
    }

    /// The link has failed: what is lost then says nothing of sizes.
    pub(super) fn interrupt(&mut self) {
        self.series = None;
        self.next_at = Instant::ZERO;
    }

    fn begin(&mut self, size: usize) {
        let first = following(self.number);
        self.series = Some(Series { size, first, sent: 0, mark: None });
    }
}

/// The number after this one; 0 is none.
fn following(number: u16) -> u16 {
    number.wrapping_add(1).max(1)
}

impl Series {
    /// Is `number` one of the probes from the first to `last`?
    fn has(&self, number: u16, last: u16) -> bool {
        number != 0
            && self.sent > 0
            && number.wrapping_sub(self.first) <= last.wrapping_sub(self.first)
    }
}

impl Context {
    /// The longest frame that may go to a peer on a link, before it is sealed.
    pub(super) fn frame_max(&self, peer: &Peer, link: usize) -> usize {
        let path = peer.links[link].path.limit.unwrap_or(usize::MAX);
        self.full_size(peer, link).min(path).saturating_sub(self.seal_len())
    }

    /// The longest frame that both ends of a link are configured for, as it goes over the wire.
    pub(super) fn full_size(&self, peer: &Peer, link: usize) -> usize {
        self.config.links[link].mtu.min(peer.links[link].peer_mtu)
    }

    /// With each round of heartbeats: sends the next probe to a peer, if it is time for one;
    /// `true` if one was sent.
    pub(super) fn probe(&mut self, peer: &mut Peer, link: usize) -> bool {
        let full = self.full_size(peer, link);
        let entry = &mut peer.links[link];
        let Some(to) = entry.addr else { return false };
        if entry.status != LinkStatus::Up || !peer.connected {
            return false;
        }
        let is_stale = entry.path.series.is_some_and(|series| series.size > full);
        if is_stale || (entry.path.series.is_none() && self.now >= entry.path.next_at) {
            entry.path.begin(full);
        }
        let Some(series) = &mut entry.path.series else { return false };
        if series.sent == SERIES {
            series.mark.get_or_insert(self.heartbeat_sequence);
            return false;
        }
        series.sent += 1;
        let size = series.size;
        entry.path.number = following(entry.path.number);
        let number = entry.path.number;
        self.stats.snd_probe += 1;
        let len = size.saturating_sub(self.seal_len());
        let frame = emit_probe(&self.header(Kind::Probe, peer, link), number, len);
        self.transmit(link, to, false, frame);
        true
    }

    /// The peer's heartbeat tells which probe it heard last, and which heartbeat.
    pub(super) fn on_probe_report(&mut self, peer: &mut Peer, link: usize, report: &Heard) {
        let path = &peer.links[link].path;
        let Some(series) = path.series else { return };
        if series.has(report.probe, path.number) {
            self.on_size(peer, link, series.size, true);
        } else if series.mark.is_some_and(|mark| is_echo_of(report.echo, low_half_word(mark))) {
            self.on_size(peer, link, series.size, false);
        }
    }

    /// Frames of this size get through, or do not.
    fn on_size(&mut self, peer: &mut Peer, link: usize, size: usize, passes: bool) {
        let full = self.full_size(peer, link);
        let inact = self.config.timers.peer_inact;
        let seal_len = self.seal_len();
        let path = &mut peer.links[link].path;
        path.series = None;
        if passes {
            path.limit = (size < full).then_some(size);
        } else {
            // What passed before may pass still, if it is shorter.
            let limit = path.limit.filter(|limit| *limit < size).unwrap_or(MTU_MIN);
            path.limit = Some(limit);
            let longest = limit - seal_len - HEADER_LEN - DATA_HEADER_LEN;
            peer.sender.on_link_lost(self.links[link].id, longest + 1);
            if let Some(&next) = SIZES.iter().find(|next| **next < size) {
                path.begin(next);
            }
        }
        if path.series.is_none() {
            path.wait = match path.limit {
                None => inact * 4,
                Some(_) => (path.wait * 2).clamp(inact / 4, inact * 4),
            };
            path.next_at = self.now + path.wait;
            if path.limit.is_none() {
                path.wait = Duration::ZERO;
            }
        }
        tracing::debug!(node = %peer.node, link, size, passes, limit = ?path.limit, "probed");
        self.note_mtu(peer, link);
    }

    /// A probe arrived: the next heartbeats say so, the first of them at once.
    pub(super) fn on_probe(
        &mut self,
        peer: &mut Peer,
        link: usize,
        header: &Header,
        probe: Probe,
    ) -> Result<(), Refusal> {
        self.admit(peer, link, header)?;
        self.stats.rcv_probe += 1;
        peer.links[link].path.heard = probe.number;
        self.answer(peer, link);
        Ok(())
    }
}

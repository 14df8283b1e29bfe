//! Missing slots: asking for them, answering, and watching members that do not keep up.

use std::collections::BTreeMap;

use llt::limits::NODES_MAX;
use llt::time::earliest;
use llt::{Duration, Id, Instant, NodeId};
use rand_core::Rng;

use super::{Gab, GabOutput, Notice};
use crate::limits::{BATCH_BYTES, Bounded, REPAIR_BYTES, WINDOW_BYTES, WINDOW_SLOTS};
use crate::wire::{Body, Entry, NAK_LEN, NAK_RANGE_LEN, Ordered, Repair};

/// State of repairing.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Repairing {
    /// When to ask for what is missing, and the wait after that.
    ask: Option<(Instant, Duration)>,
    /// How often was asked since the last progress: the holders take turns.
    attempts: u32,
    /// When LLT last missed datagrams of a node.
    holes: BTreeMap<NodeId, Instant>,
    /// When to ask what has become stable, the wait after that, and what was stable then.
    probe: Option<(Instant, Duration, u64)>,
    /// What was sent again lately, so that an impatient asker does not get it many times.
    resent: BTreeMap<(NodeId, u64), Instant>,
    /// Since when a member's acknowledgement stands still although there is more.
    standing: BTreeMap<NodeId, Standing>,
    watch_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Hash)]
struct Standing {
    since: Instant,
    behind_since: Option<Instant>,
    /// When it was last told that the member is slow.
    reported: Option<Instant>,
}

/// A hole in the stream may be mere reordering between links for so long.
const REORDER: Duration = Duration::from_micros(500);
/// A payload that travels apart comes from another node than its slot, whose turn may be long.
/// Asking for it too early costs its whole length once more.
const PAYLOAD_LATE: Duration = Duration::from_millis(4);
const ASK_MIN: Duration = Duration::from_millis(4);
const ASK_MAX: Duration = Duration::from_millis(200);
const PROBE_MIN: Duration = Duration::from_millis(20);
const PROBE_MAX: Duration = Duration::from_millis(500);
const RESEND_AFTER: Duration = Duration::from_millis(3);
const WATCH: Duration = Duration::from_millis(50);
const SLOW_AFTER: Duration = Duration::from_millis(200);
/// How often it is told while it lasts.
const SLOW_AGAIN: Duration = Duration::from_secs(10);

impl Repairing {
    pub(crate) fn bounded(&self) -> [Bounded; 3] {
        let (nodes, slots) = (usize::from(NODES_MAX), 2 * WINDOW_SLOTS);
        let slots = usize::try_from(slots).unwrap_or(usize::MAX);
        [
            Bounded::new("nodes with holes", self.holes.len(), nodes),
            Bounded::new("slots sent again lately", self.resent.len(), nodes * slots),
            Bounded::new("acknowledgements that stand still", self.standing.len(), nodes),
        ]
    }

    /// More of the stream is stable, or `all` of it: nobody asks for anything of that.
    pub(crate) fn note_stable(&mut self, all: bool) {
        if all {
            self.resent.clear();
        }
    }

    /// A member's acknowledgement moved.
    pub(crate) fn note_progress(&mut self, now: Instant, node: NodeId) {
        if let Some(standing) = self.standing.get_mut(&node) {
            standing.since = now;
        }
    }

    /// Asks at once on behalf of a view change.
    pub(crate) fn restart(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let probe = self.probe.map(|(at, ..)| at);
        earliest(earliest(self.ask.map(|(at, _)| at), probe), self.watch_at)
    }
}

impl Gab {
    /// After slots came or did not: is there a gap to be asked for?
    pub(super) fn note_gap(&mut self, now: Instant, progress: bool) {
        let Some(stream) = &self.stream else { return };
        if stream.cont >= stream.high {
            self.repair.ask = None;
            self.repair.attempts = 0;
        } else if self.repair.ask.is_none() || progress {
            // After progress something else is missing first, and has its own time to come; what
            // was asked for is coming, so the next wait is a short one again.
            let patience = self.awaited_source().map_or(REORDER, |source| {
                let hole = self.repair.holes.get(&source);
                let is_lost = hole.is_some_and(|&at| at + PAYLOAD_LATE > now);
                if is_lost { REORDER } else { PAYLOAD_LATE }
            });
            self.repair.ask = Some((now + patience, ASK_MIN));
            self.repair.attempts = 0;
        }
    }

    /// Whose payload the stream waits for, if only that is missing of the next slot.
    fn awaited_source(&self) -> Option<NodeId> {
        let stream = self.stream.as_ref()?;
        stream.get(stream.cont + 1).map(|slot| slot.entry.src)
    }

    /// LLT missed datagrams of a peer: if it was the sequencer's, the end may be unknown here; if
    /// the stream waits for its payload, that was probably among them.
    pub(super) fn suspect_hole(&mut self, now: Instant, from: Id) {
        let Some(view) = &self.view else { return };
        if self.is_frozen() || view.member(from.node) != Some(from) {
            return;
        }
        self.repair.holes.insert(from.node, now);
        let soon = now + REORDER;
        if self.repair.ask.is_none() && view.sequencer() == from {
            self.repair.ask = Some((soon, ASK_MIN));
        } else if self.repair.attempts == 0 && self.awaited_source() == Some(from.node) {
            self.repair.ask = self.repair.ask.map(|(at, wait)| (at.min(soon), wait));
        }
    }

    /// Asks for what is missing, if it is time.
    pub(super) fn repair_gaps(&mut self, now: Instant) {
        let Some((at, wait)) = self.repair.ask else { return };
        let (Some(view), Some(stream)) = (&self.view, &self.stream) else { return };
        if at > now {
            return;
        }
        let mut ranges = stream.missing(stream.high);
        let sequencer = view.sequencer();
        if ranges.is_empty() && self.repair.attempts > 0
            || sequencer == self.id && ranges.is_empty()
        {
            self.repair.ask = None;
            return;
        }
        // The sequencer first, then whoever is known to hold the first missing slot.
        let first = ranges.first().map_or(0, |&(first, _)| first);
        let holders: Vec<NodeId> =
            stream.acks().filter(|&(_, ack)| ack >= first).map(|(node, _)| node).collect();
        let mut target = sequencer;
        if (self.repair.attempts > 0 || sequencer == self.id) && !holders.is_empty() {
            let at = usize::try_from(self.rng.next_u64() % holders.len() as u64).unwrap_or(0);
            target = view.member(holders[at]).unwrap_or(sequencer);
        }
        self.repair.attempts += 1;
        self.repair.ask = Some((now + wait, (wait * 2).min(ASK_MAX)));
        if target != self.id {
            self.counters.naks_sent += 1;
            // What one datagram does not name is asked for after it: LLT would not take a longer one.
            let room = self.transport.datagram_max.saturating_sub(NAK_LEN) / NAK_RANGE_LEN;
            ranges.truncate(room.max(1));
            let nak = Body::Nak(ranges).encode(self.head());
            self.out.push_back(GabOutput::Datagram(target, nak));
        }
    }

    /// What the sequencer says to be stable comes unreliably: whoever waits for it asks, rarely.
    pub(super) fn probe_stability(&mut self, now: Instant) {
        let (Some(view), Some(stream)) = (&self.view, &self.stream) else { return };
        let stable = stream.stable();
        if stable >= stream.cont || view.sequencer() == self.id {
            self.repair.probe = None;
            return;
        }
        let (at, wait, before) =
            *self.repair.probe.get_or_insert((now + PROBE_MIN, PROBE_MIN, stable));
        if stable > before {
            self.repair.probe = Some((now + PROBE_MIN, PROBE_MIN, stable));
        } else if now >= at {
            self.repair.probe = Some((now + wait, (wait * 2).min(PROBE_MAX), stable));
            let probe = Body::Nak(Vec::new()).encode(self.head());
            let sequencer = view.sequencer();
            self.out.push_back(GabOutput::Datagram(sequencer, probe));
        }
    }

    /// Somebody misses slots, or wants to know where the stream ends.
    pub(super) fn receive_nak(&mut self, now: Instant, from: Id, ranges: &[(u64, u64)]) {
        let Some(stream) = &self.stream else { return };
        if ranges.is_empty() {
            if !self.is_frozen()
                && self.view.as_ref().is_some_and(|view| view.sequencer() == self.id)
            {
                let (stable, high) = (stream.stable(), stream.high);
                let end = Ordered { stable, high, need_ack: true, first: 0, entries: Vec::new() };
                let answer = Body::Ord(end).encode(self.head());
                self.out.push_back(GabOutput::Datagram(from, answer));
            }
            return;
        }
        let mut batch: Vec<(u64, Entry)> = Vec::new();
        let (mut size, mut total) = (0, 0);
        self.repair.resent.retain(|_, at| *at + RESEND_AFTER > now);
        let mut messages = Vec::new();
        // In a view change nothing may wait: what was sent before it was dropped there.
        let frozen = self.is_frozen();
        for held in ranges.iter().flat_map(|&(first, last)| stream.held_in(first, last)) {
            let slot = held.number;
            let lately = !frozen && self.repair.resent.contains_key(&(from.node, slot));
            if total > REPAIR_BYTES || lately {
                continue;
            }
            let len = 8 + held.entry.inline_len();
            if size + len > BATCH_BYTES && !batch.is_empty() {
                messages.push(std::mem::take(&mut batch));
                size = 0;
            }
            size += len;
            total += len;
            batch.push((slot, held.entry.clone()));
            self.repair.resent.insert((from.node, slot), now);
            self.counters.slots_resent += 1;
        }
        messages.push(batch);
        messages.retain(|batch| !batch.is_empty());
        let count = messages.len();
        for (at, slots) in messages.into_iter().enumerate() {
            self.send(from, Body::Retr(Repair { last: at + 1 == count, slots }));
        }
    }

    /// Slots that we asked for. Frozen, only those up to the cut are wanted.
    pub(super) fn receive_retr(&mut self, now: Instant, repair: Repair) {
        let frozen = self.is_frozen() && !self.is_mutant_wedged();
        let cut = if frozen { self.fetching_to() } else { u64::MAX };
        for (slot, entry) in repair.slots {
            if slot.saturating_add(entry.slots() - 1) <= cut {
                self.store_slot(slot, entry);
            } else {
                self.counters.while_frozen += 1;
            }
        }
        if frozen {
            self.advance(now);
            if repair.last || self.has_fetched() {
                self.continue_fetch(now);
            }
        } else {
            self.after_slots(now);
        }
    }

    /// Reports members that are slow, and gives up those whose acknowledgement stands still for
    /// the inactive time although they are heard.
    pub(super) fn watch_members(&mut self, now: Instant) {
        let (Some(stream), Some(view)) = (&self.stream, &self.view) else { return };
        let sequencer = view.sequencer() == self.id && view.members.len() > 1;
        if !sequencer || self.is_frozen() || stream.cont == stream.stable() {
            self.repair.watch_at = None;
            self.repair.standing.clear();
            return;
        }
        self.repair.watch_at = Some(now + WATCH);
        let (cont, stable, stuck_after) = (stream.cont, stream.stable(), self.config.stuck);
        // Large messages fill the window by their bytes, which wait for the slowest.
        let heavy = stream.held_bytes() > WINDOW_BYTES / 2;
        let mut notices = Vec::new();
        let mut stuck = Vec::new();
        for (node, ack) in stream.acks() {
            if ack >= cont {
                self.repair.standing.remove(&node);
                continue;
            }
            let fresh = Standing { since: now, behind_since: None, reported: None };
            let standing = self.repair.standing.entry(node).or_insert(fresh);
            // While it is silent on every link it is for LLT to judge, and the stable timeout applies:
            // that time does not count.
            if self.peers.get(&node).is_some_and(|peer| peer.links_up == 0) {
                standing.since = (standing.since + WATCH).min(now);
            }
            let behind = cont - ack;
            if behind <= WINDOW_SLOTS / 2 && !(heavy && ack == stable) {
                standing.behind_since = None;
                standing.reported = None;
            } else if now >= *standing.behind_since.get_or_insert(now) + SLOW_AFTER
                && standing.reported.is_none_or(|at| now >= at + SLOW_AGAIN)
            {
                standing.reported = Some(now);
                notices.push(Notice::SlowMember { node, behind });
            }
            if now >= standing.since + stuck_after {
                notices.push(Notice::StuckMember { node });
                stuck.extend(view.member(node));
            }
        }
        if !stuck.is_empty() {
            self.dump();
        }
        self.out.extend(notices.into_iter().map(GabOutput::Notice));
        for id in stuck {
            self.suspect(now, id, true);
        }
    }

    /// The watch starts with the first slot that is not stable.
    pub(super) fn start_watch(&mut self, now: Instant) {
        if self.repair.watch_at.is_none() {
            self.repair.watch_at = Some(now + WATCH);
        }
    }

    /// After an own pause nobody is to be blamed for standing still.
    pub(super) fn excuse_members(&mut self) {
        self.repair.standing.clear();
    }
}

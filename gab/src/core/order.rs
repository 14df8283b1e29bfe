//! Submitting, ordering and acknowledging: what a turn's inputs add up to, in batches.

use std::collections::VecDeque;

use bytes::Bytes;
use llt::time::earliest;
use llt::{Duration, Id, Instant};

use super::stash::Piece;
use super::stream::Stored;
use super::{Gab, GabOutput, Notice};
use crate::event::Level;
use crate::limits::{BATCH_BYTES, Bounded, DATA_AHEAD_BYTES, WINDOW_BYTES, WINDOW_SLOTS};
use crate::pack::Pack;
use crate::wire::{
    Body, DATA_LEN, Data, ENTRY_HEADER_LEN, Entry, EntryKind, Head, ORD_LEN, Ordered,
};

/// State of submitting, ordering and acknowledging.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Ordering {
    /// Own slots not yet acknowledged to the others, and when they have to be.
    unacked: u64,
    ack_at: Option<Instant>,
    ack_now: bool,
    /// The slot up to which an acknowledgement is wanted at once: that of a SAFE message, or whatever
    /// the sequencer asked for.
    ack_wanted: Option<u64>,
    /// What was said of our busy ports last.
    busy_told: u64,
    /// As sequencer: what the others were told to be stable.
    announced: u64,
    /// As sequencer: own entries that are not stable, by their last slots and how many they have; the
    /// slots of all; and when somebody else got one. What is our own is always at hand; it must not
    /// fill the window before the others' messages have arrived.
    own: VecDeque<(u64, u64)>,
    own_slots: u64,
    others_at: Option<Instant>,
    /// As sequencer: last slots of SAFE entries that are not announced as stable.
    safe: VecDeque<u64>,
    /// As sequencer: when the end of the stream is told again, and the wait after that.
    tail: Option<(Instant, Duration)>,
    /// It was told that the sequencer breaks the protocol.
    error_told: bool,
}

impl Ordering {
    pub(crate) fn bounded(&self) -> [Bounded; 2] {
        let window = usize::try_from(WINDOW_SLOTS).unwrap_or(usize::MAX);
        [
            Bounded::new("own slots that are not stable", self.own.len(), window),
            Bounded::new("safe slots that are not announced", self.safe.len(), window),
        ]
    }
}

/// An explicit acknowledgement is due after so many slots or this time.
const ACK_SLOTS: u64 = 128;
const ACK_DELAY: Duration = Duration::from_millis(10);
/// Up to this many members acknowledge to all where one frame reaches all; it saves a SAFE message
/// one delay, at the price of n acknowledgements received by each. At eight members on two processors
/// that price was higher than the delay: a tenth of throughput, and of the latency of SAFE.
const ACK_BROADCAST_MEMBERS: usize = 4;
/// The sequencer keeps to its share of the window for so long after somebody else sent.
const OTHERS_SEND: Duration = Duration::from_millis(50);
const TAIL_MIN: Duration = Duration::from_millis(5);
const TAIL_MAX: Duration = Duration::from_millis(500);
/// The same while some member's client does not keep up.
const BUSY_MAX: Duration = Duration::from_millis(40);
/// A payload that went ahead and has no slot after this long is handed to the sequencer whole.
const DATA_RETRY: Duration = Duration::from_millis(20);

impl Gab {
    /// What the inputs since the last flush add up to.
    pub(super) fn flush(&mut self) {
        let now = self.now;
        if !self.over {
            self.propose_if_due(now);
        }
        if !self.over {
            self.continue_leave(now);
            self.end_hold(now);
            if self.view.is_some() && !self.is_frozen() && !self.is_held() {
                self.submit(now);
                self.order_slots(now);
                self.acknowledge(now);
                self.repair_gaps(now);
                self.probe_stability(now);
            }
            self.flush_p2p_acks(now);
        }
        for client in self.clients.take_woken() {
            self.out.push_back(GabOutput::Client(client));
        }
    }

    /// Hands own messages to the sequencer: itself, one batch, or payloads ahead of their order.
    fn submit(&mut self, now: Instant) {
        let Some(view) = &self.view else { return };
        let sequencer = view.sequencer();
        let frame_max = self.transport.datagram_max.saturating_sub(ORD_LEN + ENTRY_HEADER_LEN);
        let mine = sequencer == self.id;
        let inline_max = if mine { frame_max } else { self.config.inline_max.min(frame_max) };
        // Without a broadcast, a payload that goes ahead costs as many frames as one that goes through
        // the sequencer, and where frames are lost that one is repaired sooner.
        let pack_max = if self.transport.has_broadcast { inline_max } else { frame_max };
        let others = view.members.len().saturating_sub(1).max(1);
        let share = self.config.receive_room / 4 / others;
        let ahead_max = share.clamp(DATA_AHEAD_BYTES, 4 * DATA_AHEAD_BYTES);
        let mut batch: Vec<Entry> = Vec::new();
        let mut size = 0;
        // The sequencer has its own payloads: it needs no other way to them.
        let retry = if mine { None } else { Some(now + DATA_RETRY) };
        while let Some(next) = self.pending.next((inline_max, pack_max), ahead_max, retry) {
            if next.by_reference {
                self.broadcast_data(&next.entry);
            }
            if mine {
                self.sequencer.offer(next.entry, !self.is_mutant_duplicates());
            } else if !next.by_reference {
                if size + next.entry.inline_len() > BATCH_BYTES {
                    self.send(sequencer, Body::Submit(std::mem::take(&mut batch)));
                    size = 0;
                }
                size += next.entry.inline_len();
                batch.push(next.entry);
            }
        }
        if !mine {
            for entry in self.pending.overdue(now, DATA_RETRY * 16) {
                if size + entry.inline_len() > BATCH_BYTES && !batch.is_empty() {
                    self.send(sequencer, Body::Submit(std::mem::take(&mut batch)));
                    size = 0;
                }
                size += entry.inline_len();
                batch.push(entry);
            }
        }
        if !batch.is_empty() {
            self.send(sequencer, Body::Submit(batch));
        }
    }

    fn broadcast_data(&mut self, entry: &Entry) {
        let head = self.head();
        let Some(payload) = &entry.payload else { return };
        let room = self.transport.datagram_max.saturating_sub(DATA_LEN).max(1);
        for start in (0..payload.len()).step_by(room) {
            let piece = payload.slice(start..payload.len().min(start + room));
            let offset = u32::try_from(start).expect("payloads are at most 64 KiB");
            let Entry { port, level, mseq, pack, len: total, .. } = *entry;
            let data = Data { port, level, mseq, pack, total, offset, piece };
            self.out.push_back(GabOutput::Broadcast(Body::Data(data).encode(head)));
        }
    }

    /// As sequencer: gives waiting messages their slots, as many as the windows allow.
    fn order_slots(&mut self, now: Instant) {
        if self.view.as_ref().is_none_or(|view| view.sequencer() != self.id) {
            return;
        }
        let busy = self.peers.values().fold(self.busy_ports(), |busy, peer| busy | peer.busy);
        let room = self.transport.datagram_max.saturating_sub(ORD_LEN);
        let mut ordered = false;
        loop {
            let (entries, first) = self.next_batch(busy, room);
            if entries.is_empty() {
                break;
            }
            ordered = true;
            // The own copy first: the window counts it, and so does the acknowledgement in the head.
            self.advance(now);
            self.broadcast_slots(now, first, entries);
        }
        if ordered {
            self.start_watch(now);
        } else {
            self.announce(now);
        }
    }

    /// Orders what fits one frame. Answers the entries as they go on the wire.
    fn next_batch(&mut self, busy: u64, room: usize) -> (Vec<Entry>, u64) {
        let Some(stream) = &mut self.stream else { return (Vec::new(), 0) };
        let first = stream.high + 1;
        let stable = stream.stable();
        let me = self.id.node;
        let members = self.view.as_ref().map_or(1, |view| view.members.len() as u64);
        let others_send = self.order.others_at.is_some_and(|at| self.now < at + OTHERS_SEND);
        while let Some((_, slots)) = self.order.own.pop_front_if(|(last, _)| *last <= stable) {
            self.order.own_slots -= slots;
        }
        // Not more than the others have on the average, but at least half of an even share: they
        // may have little to say.
        let own = self.order.own_slots;
        let average = (stream.high - stable).saturating_sub(own) / members.saturating_sub(1).max(1);
        let even = WINDOW_SLOTS / members;
        let share = average.clamp(even / 2, even);
        let mut size = 0;
        let mut entries = Vec::new();
        while stream.high - stable < WINDOW_SLOTS && stream.held_bytes() < WINDOW_BYTES {
            let wire_len = |entry: &Entry| {
                let inline = entry.crc == 0 && entry.inline_len() <= room;
                if inline { entry.inline_len() } else { ENTRY_HEADER_LEN }
            };
            let used = stream.high - stable;
            let fits = |entry: &Entry| {
                size + wire_len(entry) <= room && used + entry.slots() <= WINDOW_SLOTS
            };
            let full = others_send && self.order.own_slots >= share;
            let not_from = Some(me).filter(|_| full);
            let Some(entry) = self.sequencer.next(busy, not_from, fits) else { break };
            size += wire_len(&entry);
            let (slot, slots) = (stream.high + 1, entry.slots());
            let last = stream.high + slots;
            if entry.level == Level::Safe {
                self.order.safe.push_back(last);
            }
            if entry.src == me {
                self.order.own.push_back((last, slots));
                self.order.own_slots += slots;
            } else {
                self.order.others_at = Some(self.now);
            }
            let by_reference = wire_len(&entry) != entry.inline_len();
            let mut on_wire = entry.clone();
            if by_reference {
                on_wire.payload = None;
            }
            entries.push(on_wire);
            self.stash.forget((entry.src, entry.port, entry.mseq));
            stream.store(slot, entry);
            self.counters.ordered += slots;
        }
        (entries, first)
    }

    fn broadcast_slots(&mut self, now: Instant, first: u64, entries: Vec<Entry>) {
        let Some(stream) = &self.stream else { return };
        let stable = stream.stable();
        let used = stream.high - stable;
        let safe = entries.iter().any(|entry| entry.level == Level::Safe);
        // Own messages wait for their share of the window, which in a large view is less than what is
        // acknowledged unasked.
        let members = self.view.as_ref().map_or(1, |view| view.members.len() as u64);
        let own = self.order.own_slots >= WINDOW_SLOTS / members / 4;
        let filling = own || used > WINDOW_SLOTS / 2 || stream.held_bytes() > WINDOW_BYTES / 4;
        let ord = Ordered { stable, high: stream.high, need_ack: safe || filling, first, entries };
        self.order.tail = Some((now + TAIL_MIN, TAIL_MIN));
        self.broadcast_ord(ord);
    }

    fn broadcast_ord(&mut self, ord: Ordered) {
        self.order.announced = ord.stable;
        while self.order.safe.front().is_some_and(|&slot| slot <= ord.stable) {
            self.order.safe.pop_front();
        }
        let head = self.head();
        if self.view.as_ref().is_some_and(|view| view.members.len() > 1) {
            self.out.push_back(GabOutput::Broadcast(Body::Ord(ord).encode(head)));
        }
    }

    /// As sequencer: tells what has become stable, at once if SAFE messages wait for it, and the
    /// end of the stream as long as somebody may not know it.
    fn announce(&mut self, now: Instant) {
        let Some(stream) = &self.stream else { return };
        let (stable, high) = (stream.stable(), stream.high);
        let waiting = self.order.safe.front().is_some_and(|&slot| slot <= stable);
        let urgent = waiting && !self.acks_go_to_all();
        // A member that keeps up again says so once, unreliably: ask those that did not.
        let busy = self.peers.values().any(|peer| peer.busy != 0);
        let done = self.order.announced == high && !busy;
        if done {
            self.order.tail = None;
            return;
        }
        let (at, wait) = *self.order.tail.get_or_insert((now + TAIL_MIN, TAIL_MIN));
        if urgent || now >= at {
            let longest = if busy { BUSY_MAX } else { TAIL_MAX };
            let wait = if urgent { TAIL_MIN } else { (wait * 2).min(longest) };
            self.order.tail = Some((now + wait, wait));
            let need_ack = stable < high || busy;
            self.broadcast_ord(Ordered { stable, high, need_ack, first: 0, entries: Vec::new() });
        }
    }

    fn acks_go_to_all(&self) -> bool {
        self.transport.has_broadcast
            && self.view.as_ref().is_some_and(|view| view.members.len() <= ACK_BROADCAST_MEMBERS)
    }

    /// Acknowledges what this turn brought, if it is due.
    fn acknowledge(&mut self, now: Instant) {
        let busy = self.busy_ports();
        let due = self.order.ack_now
            || busy != self.order.busy_told
            || self.order.ack_at.is_some_and(|at| at <= now)
            || self
                .stream
                .as_ref()
                .is_some_and(|s| self.order.ack_wanted.is_some_and(|wanted| s.cont >= wanted));
        let Some(view) = self.view.as_ref().filter(|_| due) else { return };
        let sequencer = view.sequencer();
        self.order.busy_told = busy;
        (self.order.ack_now, self.order.ack_at, self.order.unacked) = (false, None, 0);
        self.order.ack_wanted = None;
        let to_all = self.acks_go_to_all();
        if view.members.len() == 1 || (sequencer == self.id && !to_all) {
            return;
        }
        self.counters.acks_sent += 1;
        let ack = Body::Ack.encode(self.head());
        self.out.push_back(match to_all {
            true => GabOutput::Broadcast(ack),
            false => GabOutput::Datagram(sequencer, ack),
        });
    }

    /// What every message of a member says: how far it holds the stream, and which ports are busy.
    pub(super) fn note_head(&mut self, now: Instant, from: Id, head: &Head) {
        let Some(stream) = &mut self.stream else { return };
        let before = stream.stable();
        if head.ack > stream.high
            && self.view.as_ref().is_some_and(|view| view.sequencer() == self.id)
        {
            // Only we make slots.
            self.counters.slots_outside += 1;
            return;
        }
        // Nobody can have acknowledged what does not exist.
        if head.ack > 0
            && head.ack <= stream.cont + 2 * WINDOW_SLOTS
            && stream.note_ack(from.node, head.ack)
        {
            let stable = stream.stable();
            self.repair.note_progress(now, from.node);
            if stable > before {
                self.deliver(now, false);
            }
        }
    }

    /// An acknowledgement in a message of its own. Only these tell which ports are busy: what
    /// waits in a reliable stream would tell of the past.
    pub(super) fn receive_ack(&mut self, from: Id, head: &Head) {
        if let Some(peer) = self.peers.get_mut(&from.node) {
            peer.busy = head.busy;
        }
    }

    /// Slots from the sequencer.
    pub(super) fn receive_ord(&mut self, now: Instant, ord: Ordered) {
        let Some(stream) = &mut self.stream else { return };
        if ord.high > stream.cont + 2 * WINDOW_SLOTS {
            self.counters.slots_outside += 1;
            return;
        }
        stream.high = stream.high.max(ord.high);
        let mut slot = ord.first;
        for entry in ord.entries {
            let slots = entry.slots();
            self.store_slot(slot, entry);
            slot += slots;
        }
        if ord.need_ack {
            // Also of a stream without any slot: it is asked which ports are busy.
            self.order.ack_wanted = self.order.ack_wanted.max(Some(ord.high));
        }
        self.after_slots(now);
        if let Some(stream) = &mut self.stream
            && ord.stable <= stream.cont
            && ord.stable > stream.stable()
        {
            stream.note_stable(ord.stable);
            self.deliver(now, false);
        }
    }

    /// Stores an entry, with its payload if that came ahead.
    pub(super) fn store_slot(&mut self, slot: u64, mut entry: Entry) {
        let key = (entry.src, entry.port, entry.mseq);
        if entry.payload.is_none() {
            let ahead = match entry.src == self.id.node {
                true => {
                    let retry = self.now + DATA_RETRY;
                    self.pending.take_note_of_slot(entry.port, entry.mseq, retry)
                }
                false => self.stash.take(key),
            };
            entry.payload = ahead.filter(|payload| self.fits_reference(&entry, payload));
        }
        if entry.payload.is_some() {
            self.stash.forget(key);
        }
        let Some(stream) = &mut self.stream else { return };
        let stored = stream.store(slot, entry);
        let sequence = stream.sequence + slot;
        match stored {
            Stored::Known | Stored::New => {}
            Stored::Other => {
                self.counters.slots_outside += 1;
                // Once in a view: repairs may bring the same again and again.
                if !std::mem::replace(&mut self.order.error_told, true) {
                    self.notice(Notice::ProtocolError { sequence });
                }
            }
            Stored::Outside => self.counters.slots_outside += 1,
        }
    }

    fn fits_reference(&self, entry: &Entry, payload: &Bytes) -> bool {
        self.is_mutant_stale_payload()
            || payload.len() == entry.len as usize
                && llt::crc::crc32c(payload) == entry.crc
                && Pack::fits(payload, entry.pack)
    }

    /// Slots were stored or payloads supplied: goes on in order and sees what to acknowledge.
    pub(super) fn after_slots(&mut self, now: Instant) {
        let before = self.stream.as_ref().map_or(0, |stream| stream.cont);
        self.advance(now);
        let Some(stream) = &self.stream else { return };
        let news = stream.cont - before;
        self.order.unacked += news;
        if self.order.unacked >= ACK_SLOTS {
            self.order.ack_now = true;
        } else if news > 0 {
            self.order.ack_at.get_or_insert(now + ACK_DELAY);
        }
        self.note_gap(now, news > 0);
    }

    /// A piece of a payload that travels apart.
    pub(super) fn receive_data(&mut self, now: Instant, from: Id, data: &Data) {
        let key = (from.node, data.port, data.mseq);
        let sequencer = self.view.as_ref().is_some_and(|view| view.sequencer() == self.id);
        let Some(stream) = &self.stream else { return };
        if stream.is_slotted(key) {
            return;
        }
        match self.stash.add(key, data) {
            Piece::Taken => {}
            Piece::Refused => self.counters.pieces_dropped += 1,
            Piece::Complete if stream.wants(key).is_some() => {
                let wanted = stream.wants(key).cloned();
                let payload = self.stash.take(key);
                let fitting = wanted
                    .zip(payload)
                    .filter(|(entry, payload)| self.fits_reference(entry, payload));
                match (fitting, &mut self.stream) {
                    (Some((_, payload)), Some(stream)) => stream.supply(key, payload),
                    _ => self.counters.pieces_dropped += 1,
                }
                self.after_slots(now);
            }
            Piece::Complete if sequencer => {
                let Some(payload) = self.stash.take(key) else { return };
                if !Pack::fits(&payload, data.pack) {
                    self.counters.pieces_dropped += 1;
                    return;
                }
                let entry = Entry {
                    src: from.node,
                    port: data.port,
                    kind: EntryKind::User,
                    level: data.level,
                    mseq: data.mseq,
                    len: data.total,
                    crc: llt::crc::crc32c(&payload),
                    pack: data.pack,
                    payload: Some(payload),
                };
                self.sequencer.offer(entry, !self.is_mutant_duplicates());
            }
            Piece::Complete => {}
        }
    }

    /// Messages to order.
    pub(super) fn receive_submit(&mut self, from: Id, entries: Vec<Entry>) {
        for entry in entries {
            if entry.src == from.node {
                self.sequencer.offer(entry, !self.is_mutant_duplicates());
            } else {
                self.counters.other_view += 1;
            }
        }
    }

    /// When flushing is due although nothing happens.
    pub(super) fn stream_deadline(&self) -> Option<Instant> {
        if self.view.is_none() || self.is_frozen() {
            return None;
        }
        if self.is_held() {
            return self.held_deadline();
        }
        let tail = self.order.tail.map(|(at, _)| at);
        let mut deadline = earliest(self.order.ack_at, tail);
        deadline = earliest(deadline, self.pending.next_deadline());
        earliest(deadline, self.repair.next_deadline())
    }
}

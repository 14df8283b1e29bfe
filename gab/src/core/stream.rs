//! The numbered slots of one view at one member: what is held, what is missing, what is stable.

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use llt::limits::NODES_MAX;
use llt::{Id, NodeId, NodeSet};

use super::table::{PortTable, Verdict};
use crate::ids::PortName;
use crate::limits::{Bounded, PORTS_MAX, WINDOW_SLOTS};
use crate::wire::{Entry, EntryKind, NAK_RANGES_MAX};

/// Names one message within a view: its source, port and number.
pub(crate) type MessageKey = (NodeId, PortName, u64);

/// A slot that is known, or as many as the pack in them has messages.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Slot {
    /// Its number; of several that of the first.
    pub(crate) number: u64,
    pub(crate) entry: Entry,
    /// What the table said when everything up to here was held.
    pub(crate) verdict: Option<Verdict>,
    pub(crate) delivered: bool,
}

/// The stream of one view.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Stream {
    /// A delivery's sequence is this plus its slot (precise rule 4).
    pub(crate) sequence: u64,
    me: NodeId,
    /// Number of the first slot that is not freed; all before are stable and delivered.
    first: u64,
    /// What is known from there on, by rising numbers; nothing overlaps.
    slots: VecDeque<Slot>,
    /// How many of them, from the front, `cont` has gone over.
    passed: usize,
    /// All of 1 to here are held, payloads included.
    pub(crate) cont: u64,
    /// The last slot that is known to exist.
    pub(crate) high: u64,
    /// What each member has acknowledged; the own value is `cont`.
    acks: BTreeMap<NodeId, u64>,
    /// Slots that wait for a payload that travels apart.
    wanted: BTreeMap<MessageKey, u64>,
    /// The highest number per source and port that has a slot here.
    slotted: BTreeMap<(NodeId, PortName), u64>,
    /// Payload bytes in slots that are not yet freed.
    bytes: usize,
    /// Members whose LEAVE is among the slots up to `cont`, or was in the view before.
    left: NodeSet,
}

/// What became of an entry that was offered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stored {
    /// It was there before.
    Known,
    /// It is stored, or completed what was stored.
    New,
    /// Another message than the slot names: no correct sequencer orders that.
    Other,
    /// Too far ahead: no correct sequencer orders that.
    Outside,
}

impl Stream {
    pub(crate) fn new(me: NodeId, members: &[Id], sequence: u64) -> Self {
        Self {
            sequence,
            me,
            first: 1,
            slots: VecDeque::new(),
            passed: 0,
            cont: 0,
            high: 0,
            acks: members.iter().map(|id| (id.node, 0)).collect(),
            wanted: BTreeMap::new(),
            slotted: BTreeMap::new(),
            bytes: 0,
            left: NodeSet::EMPTY,
        }
    }

    /// The stream that follows this one. Who has left is a member of the next view still, if only
    /// the cut delivers its LEAVE.
    pub(crate) fn next(&self, members: &[Id], sequence: u64) -> Self {
        let nodes: NodeSet = members.iter().map(|id| id.node).collect();
        Self { left: self.left.intersection(nodes), ..Self::new(self.me, members, sequence) }
    }

    pub(crate) fn bounded(&self) -> [Bounded; 3] {
        let nodes = usize::from(NODES_MAX);
        let window = usize::try_from(2 * WINDOW_SLOTS).unwrap_or(usize::MAX);
        [
            Bounded::new("members that acknowledge", self.acks.len(), nodes),
            Bounded::new("slots without their payload", self.wanted.len(), window),
            Bounded::new("sources with slots", self.slotted.len(), nodes * PORTS_MAX),
        ]
    }

    /// Is the node's LEAVE ordered?
    pub(crate) fn has_left(&self, node: NodeId) -> bool {
        self.left.contains(node)
    }

    /// No slot beyond can exist: the sequencer's window is counted from what we have acknowledged.
    pub(crate) fn reach(&self) -> u64 {
        self.high.max(self.cont) + 2 * WINDOW_SLOTS
    }

    /// Stores an entry. Storing is idempotent: a slot names one message for ever (MS5).
    pub(crate) fn store(&mut self, slot: u64, entry: Entry) -> Stored {
        if slot < self.first {
            return Stored::Known;
        }
        let last = slot.saturating_add(entry.slots() - 1);
        if last - self.first >= 2 * WINDOW_SLOTS {
            return Stored::Outside;
        }
        let key = (entry.src, entry.port, entry.mseq);
        // The next one in order is the common case.
        let at = match self.slots.back() {
            Some(back) if back.last() >= slot => self.slots.partition_point(|s| s.last() < slot),
            _ => self.slots.len(),
        };
        if let Some(known) = self.slots.get_mut(at).filter(|known| known.number <= last) {
            let same = |entry: &Entry| (entry.src, entry.port, entry.mseq, entry.len, entry.pack);
            if known.number != slot || same(&known.entry) != same(&entry) {
                return Stored::Other;
            }
            if known.entry.payload.is_some() || entry.payload.is_none() {
                return Stored::Known;
            }
            self.wanted.remove(&key);
            self.bytes += entry.len as usize;
            known.entry.payload = entry.payload;
            return Stored::New;
        }
        self.high = self.high.max(last);
        let slotted = self.slotted.entry((entry.src, entry.port)).or_default();
        *slotted = (*slotted).max(entry.mseq.saturating_add(entry.slots() - 1));
        if entry.payload.is_none() {
            self.wanted.insert(key, slot);
        } else {
            self.bytes += entry.len as usize;
        }
        self.slots.insert(at, Slot { number: slot, entry, verdict: None, delivered: false });
        Stored::New
    }

    /// The reference that waits for this payload, if any.
    pub(crate) fn wants(&self, key: MessageKey) -> Option<&Entry> {
        self.wanted.get(&key).and_then(|&slot| self.get(slot)).map(|slot| &slot.entry)
    }

    /// Hands in the payload that [`Stream::wants`] asked for.
    pub(crate) fn supply(&mut self, key: MessageKey, payload: Bytes) {
        if let Some(slot) = self.wanted.remove(&key)
            && let Some(slot) = self.get_mut(slot)
        {
            let len = payload.len();
            slot.entry.payload = Some(payload);
            self.bytes += len;
        }
    }

    /// Does the message already have a slot here?
    pub(crate) fn is_slotted(&self, (src, port, mseq): MessageKey) -> bool {
        // Numbers get their slots in order, so the highest tells for all below.
        self.slotted.get(&(src, port)).is_some_and(|&highest| mseq <= highest)
            && !self.wanted.contains_key(&(src, port, mseq))
    }

    /// Moves `cont` over the next entry if it is held, and asks the table about it. Answers its first
    /// slot.
    pub(crate) fn advance(&mut self, table: &mut PortTable) -> Option<(u64, Verdict, &Entry)> {
        let next = self.cont + 1;
        let slot = self.slots.get_mut(self.passed).filter(|slot| slot.number == next)?;
        slot.entry.payload.as_ref()?;
        self.cont = slot.last();
        self.passed += 1;
        if slot.entry.kind == EntryKind::Leave {
            self.left.insert(slot.entry.src);
        }
        let verdict = table.apply(&slot.entry);
        slot.verdict = Some(verdict);
        // What is void is as good as delivered: nobody will.
        slot.delivered = verdict == Verdict::Void;
        Some((next, verdict, &slot.entry))
    }

    /// A member has acknowledged all up to `cont`. True if that is news.
    pub(crate) fn note_ack(&mut self, node: NodeId, cont: u64) -> bool {
        let Some(ack) = self.acks.get_mut(&node) else { return false };
        if cont <= *ack {
            return false;
        }
        *ack = cont;
        self.high = self.high.max(cont);
        true
    }

    /// Every member has acknowledged all up to `stable`.
    pub(crate) fn note_stable(&mut self, stable: u64) {
        for ack in self.acks.values_mut() {
            *ack = (*ack).max(stable);
        }
    }

    /// All up to here is held by every member.
    pub(crate) fn stable(&self) -> u64 {
        let held = |(&node, &ack): (&NodeId, &u64)| if node == self.me { self.cont } else { ack };
        self.acks.iter().map(held).min().unwrap_or(0)
    }

    /// What the other members have acknowledged.
    pub(crate) fn acks(&self) -> impl Iterator<Item = (NodeId, u64)> {
        self.acks.iter().map(|(&node, &ack)| (node, ack)).filter(|&(node, _)| node != self.me)
    }

    /// What is missing up to `to`, as rising ranges, at most as many as a NAK carries.
    pub(crate) fn missing(&self, to: u64) -> Vec<(u64, u64)> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        let mut next = self.cont + 1;
        for held in self.held_beyond().filter(|held| held.number <= to) {
            if next < held.number && !add_to_ranges(&mut ranges, (next, held.number - 1)) {
                return ranges;
            }
            next = held.last() + 1;
        }
        if next <= to {
            add_to_ranges(&mut ranges, (next, to));
        }
        ranges
    }

    /// What is held of these slots, payloads included.
    pub(crate) fn held_in(&self, first: u64, last: u64) -> impl Iterator<Item = &Slot> {
        let at = self.slots.partition_point(|slot| slot.last() < first);
        let known = self.slots.iter().skip(at).take_while(move |slot| slot.number <= last);
        known.filter(|slot| slot.entry.payload.is_some())
    }

    /// What is held after the first gap, payloads included.
    fn held_beyond(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().skip(self.passed).filter(|slot| slot.entry.payload.is_some())
    }

    /// Is the slot held, payload included, or was it and is freed?
    pub(crate) fn is_held(&self, slot: u64) -> bool {
        slot < self.first || self.get(slot).is_some_and(|slot| slot.entry.payload.is_some())
    }

    /// The held slots beyond `cont`, as [`State::beyond`](crate::wire::State) has them.
    pub(crate) fn beyond(&self) -> Bytes {
        let count = self.high.saturating_sub(self.cont).min(WINDOW_SLOTS);
        let mut bits =
            BytesMut::zeroed(usize::try_from(count.div_ceil(8)).expect("within the window"));
        let end = self.cont + count;
        for slot in self.held_beyond().flat_map(|held| held.number..=held.last().min(end)) {
            let at = slot - self.cont - 1;
            bits[usize::try_from(at / 8).expect("within the window")] |= 1 << (at % 8);
        }
        bits.freeze()
    }

    /// Forgets slots that every member holds and that are delivered here (MS13).
    pub(crate) fn free(&mut self, stable: u64) {
        let end = stable.min(self.cont);
        let done = |slot: &mut Slot| slot.last() <= end && slot.delivered;
        while let Some(slot) = self.slots.pop_front_if(done) {
            self.bytes -= slot.entry.len as usize;
            self.passed -= 1;
            self.first = slot.last() + 1;
        }
    }

    /// Forgets slots beyond `cut`.
    pub(crate) fn discard_beyond(&mut self, cut: u64) {
        self.slots.truncate(self.slots.partition_point(|slot| slot.last() <= cut));
        self.passed = self.passed.min(self.slots.len());
        self.wanted.retain(|_, slot| *slot <= cut);
        self.high = self.high.min(cut.max(self.cont));
    }

    /// Slots that are known and not freed: bounded by the window (MS14).
    pub(crate) fn held_slots(&self) -> usize {
        let slots = self.slots.back().map_or(0, |back| back.last() + 1 - self.first);
        usize::try_from(slots).unwrap_or(usize::MAX)
    }

    /// Payload bytes in them.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// What is in the slot, which may be in the middle of a pack.
    pub(crate) fn get(&self, slot: u64) -> Option<&Slot> {
        let at = self.slots.partition_point(|known| known.last() < slot);
        self.slots.get(at).filter(|known| known.number <= slot)
    }

    pub(crate) fn get_mut(&mut self, slot: u64) -> Option<&mut Slot> {
        let at = self.slots.partition_point(|known| known.last() < slot);
        self.slots.get_mut(at).filter(|known| known.number <= slot)
    }
}

impl Slot {
    /// Its last number.
    pub(crate) fn last(&self) -> u64 {
        self.number + self.entry.slots() - 1
    }
}

/// Adds slots to rising ranges; `false` if it takes a range more than a NAK carries.
pub(crate) fn add_to_ranges(ranges: &mut Vec<(u64, u64)>, (first, last): (u64, u64)) -> bool {
    if let Some(range) = ranges.last_mut().filter(|range| range.1 + 1 == first) {
        range.1 = last;
        return true;
    }
    let room = ranges.len() < NAK_RANGES_MAX;
    if room {
        ranges.push((first, last));
    }
    room
}

#[cfg(test)]
mod tests {
    use llt::Incarnation;
    use proptest::prelude::*;

    use super::*;
    use crate::event::Level;
    use crate::ids::Vid;
    use crate::wire::EntryKind;

    fn id(node: u8) -> Id {
        Id { node: NodeId::new(node).unwrap(), incarnation: Incarnation(1) }
    }

    fn entry(mseq: u64, payload: Option<&'static [u8]>) -> Entry {
        Entry {
            src: id(1).node,
            port: PortName::new('A').unwrap(),
            kind: EntryKind::User,
            level: Level::Agreed,
            mseq,
            len: 3,
            crc: 0,
            pack: 0,
            payload: payload.map(Bytes::from_static),
        }
    }

    fn stream() -> Stream {
        Stream::new(id(0).node, &[id(0), id(1)], 0)
    }

    #[test]
    fn a_reference_counts_as_held_only_with_its_payload() {
        let (mut stream, mut table) = (stream(), PortTable::default());
        assert_eq!(stream.store(1, entry(1, None)), Stored::New);
        assert_eq!(stream.advance(&mut table), None);
        assert_eq!(stream.missing(1), [(1, 1)]);
        let key = (id(1).node, PortName::new('A').unwrap(), 1);
        assert!(stream.wants(key).is_some());
        stream.supply(key, Bytes::from_static(b"abc"));
        assert!(stream.is_slotted(key));
        assert!(stream.advance(&mut table).is_some());
        assert_eq!(stream.cont, 1);
    }

    #[test]
    fn stable_is_the_least_acknowledgement_and_only_stable_slots_are_freed() {
        let (mut stream, mut table) = (stream(), PortTable::default());
        for slot in 1..=3 {
            stream.store(slot, entry(slot, Some(b"abc")));
            stream.advance(&mut table);
            stream.get_mut(slot).unwrap().delivered = true;
        }
        assert_eq!(stream.stable(), 0);
        stream.note_ack(id(1).node, 2);
        stream.free(stream.stable());
        assert!(stream.get(2).is_none() && stream.get(3).is_some());
        assert_eq!((stream.held_slots(), stream.held_bytes()), (1, 3));
        assert!(stream.is_held(1), "freed is held: everybody has it");
    }

    #[test]
    fn what_no_sequencer_would_order_is_outside() {
        assert_eq!(stream().store(2 * WINDOW_SLOTS + 1, entry(1, Some(b"abc"))), Stored::Outside);
        assert_eq!(stream().store(u64::MAX, entry(1, Some(b"abc"))), Stored::Outside);
    }

    fn pack(mseq: u64, messages: u16) -> Entry {
        let len = u32::from(messages) * 5;
        let payload = Some(Bytes::from(vec![0; len as usize]));
        Entry { pack: messages, len, payload, ..entry(mseq, None) }
    }

    #[test]
    fn a_pack_takes_as_many_slots_as_it_has_messages() {
        let (mut stream, mut table) = (stream(), PortTable::default());
        assert_eq!(stream.store(4, pack(4, 5)), Stored::New);
        assert_eq!((stream.high, stream.missing(10)), (8, vec![(1, 3), (9, 10)]));
        assert_eq!(stream.store(1, pack(1, 3)), Stored::New);
        assert_eq!(stream.store(4, pack(4, 5)), Stored::Known);
        assert_eq!(stream.store(3, pack(3, 2)), Stored::Other, "it overlaps what is there");
        assert_eq!(stream.store(4, pack(4, 4)), Stored::Other);
        assert_eq!(stream.store(6, entry(6, Some(b"abc"))), Stored::Other);
        assert!((1..=8).all(|slot| stream.is_held(slot)) && !stream.is_held(9));
        assert_eq!(stream.get(6).map(|slot| (slot.number, slot.last())), Some((4, 8)));
        let key = |mseq| (id(1).node, PortName::new('A').unwrap(), mseq);
        assert!(stream.is_slotted(key(8)) && !stream.is_slotted(key(9)));
        assert_eq!(stream.advance(&mut table).map(|(slot, ..)| slot), Some(1));
        assert_eq!(stream.cont, 3);
        assert_eq!(stream.advance(&mut table).map(|(slot, ..)| slot), Some(4));
        assert_eq!((stream.cont, stream.held_slots()), (8, 8));
        for slot in [1, 4] {
            stream.get_mut(slot).unwrap().delivered = true;
        }
        stream.note_ack(id(1).node, 3);
        stream.free(stream.stable());
        assert_eq!((stream.held_slots(), stream.held_bytes()), (5, 25));
        assert_eq!(stream.held_in(1, 5).map(|slot| slot.number).collect::<Vec<_>>(), [4]);
        stream.discard_beyond(8);
        assert_eq!((stream.cont, stream.high, stream.held_slots()), (8, 8, 5));
    }

    proptest! {
        #[test]
        fn packs_in_any_order_are_held_as_their_slots_would_be(
            lens in proptest::collection::vec(1_u16..9, 1..60),
            seed in any::<u64>(),
            drop in 0_usize..4,
        ) {
            // Packs one after the other, some of which never come, in an order drawn from the seed.
            let mut first = 1;
            let mut packs: Vec<(u64, u16)> = Vec::new();
            for &len in &lens {
                packs.push((first, len));
                first += u64::from(len);
            }
            let mut order: Vec<usize> = (0..packs.len()).collect();
            order.sort_by_key(|&at| seed.wrapping_mul(at as u64 * 2 + 1) >> 7);
            let kept = &order[..order.len() - drop.min(order.len() - 1)];
            let (mut stream, mut table) = (stream(), PortTable::default());
            for &at in kept {
                let (slot, len) = packs[at];
                prop_assert_eq!(stream.store(slot, pack(slot, len)), Stored::New);
            }
            while stream.advance(&mut table).is_some() {}
            let held = |slot: u64| {
                kept.iter().any(|&at| (packs[at].0..packs[at].0 + u64::from(packs[at].1)).contains(&slot))
            };
            for slot in 1..first {
                prop_assert_eq!(stream.is_held(slot), held(slot));
                prop_assert_eq!(stream.cont < slot, !(1..=slot).all(held));
            }
            let missing: Vec<u64> =
                stream.missing(first - 1).into_iter().flat_map(|(a, b)| a..=b).collect();
            prop_assert_eq!(missing, (1..first).filter(|&slot| !held(slot)).collect::<Vec<_>>());
        }

        #[test]
        fn holdings_agree_with_a_plain_set(slots in proptest::collection::btree_set(1_u64..200, 0..120)) {
            let (mut stream, mut table) = (stream(), PortTable::default());
            for &slot in slots.iter().rev() {
                stream.store(slot, entry(slot, Some(b"abc")));
            }
            while stream.advance(&mut table).is_some() {}
            let cont = (1..).take_while(|slot| slots.contains(slot)).last().unwrap_or(0);
            prop_assert_eq!(stream.cont, cont);
            let beyond = stream.beyond();
            let state = crate::wire::State {
                installed: Vid::NONE, ready: Vid::NONE, cont, beyond, row: Vec::new(),
                versions: crate::ids::Versions::OURS, leaving: false, prepared: Vec::new(), lost_in_jeopardy: Vec::new(),
            };
            for slot in 1..210 {
                prop_assert_eq!(state.holds(slot), slots.contains(&slot) || slot <= cont);
            }
            let missing: Vec<u64> = stream.missing(150).into_iter().flat_map(|(a, b)| a..=b).collect();
            if missing.len() < 64 {
                let naive: Vec<u64> = (cont + 1..=150).filter(|slot| !slots.contains(slot)).collect();
                prop_assert_eq!(missing, naive);
            }
        }
    }
}

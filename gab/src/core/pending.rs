//! Own messages that were accepted and have no slot yet that is sure to survive.
//!
//! A message leaves when everything up to its slot is held here: from then on every cut that this
//! node survives includes it. What is left at a view change is submitted again in the new view.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};

use bytes::Bytes;
use llt::{Duration, Instant, NodeId};

use super::ClientId;
use crate::event::Level;
use crate::ids::PortName;
use crate::wire::{Entry, EntryKind};

/// Own messages by port, in order.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Pending {
    ports: BTreeMap<PortName, Queue>,
    /// Bytes broadcast whose references have not come back.
    data_ahead: usize,
}

#[derive(Clone, Debug, Default, Hash)]
struct Queue {
    /// Number of the last message in `messages` or before.
    last: u64,
    messages: VecDeque<Own>,
    /// How many of them, from the front, are submitted.
    submitted: usize,
    /// No message is overdue before.
    overdue_from: Instant,
}

#[derive(Clone, Debug, Hash)]
struct Own {
    entry: Entry,
    client: Option<ClientId>,
    accepted: Stamp,
    /// Its payload went ahead of its order.
    ahead: bool,
    /// When to hand the whole message to the sequencer instead.
    retry: Option<Instant>,
}

/// When a message of a client was accepted. It is measured and decides nothing, so states that
/// differ in it are the same state.
#[derive(Clone, Copy, Debug, Default)]
struct Stamp(Option<Instant>);

impl Hash for Stamp {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// Something that left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Settled {
    pub(crate) client: Option<ClientId>,
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// What to submit next.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) entry: Entry,
    /// The payload is to be broadcast ahead of its reference.
    pub(crate) by_reference: bool,
}

impl Pending {
    /// The most of one port.
    pub(crate) fn longest(&self) -> usize {
        self.ports.values().map(|queue| queue.messages.len()).max().unwrap_or(0)
    }

    /// Openings and closings of a port among them.
    pub(crate) fn changes(&self, port: PortName) -> usize {
        let is_change = |own: &&Own| own.entry.kind != EntryKind::User;
        self.ports.get(&port).map_or(0, |queue| queue.messages.iter().filter(is_change).count())
    }

    /// Accepts a message, or a pack of so many.
    #[expect(clippy::too_many_arguments, reason = "an entry has so many parts")]
    pub(crate) fn push(
        &mut self,
        src: NodeId,
        port: PortName,
        kind: EntryKind,
        level: Level,
        pack: u16,
        payload: Bytes,
        client: Option<ClientId>,
    ) {
        let queue = self.ports.entry(port).or_default();
        let (mseq, crc) = (queue.last + 1, 0);
        let len = u32::try_from(payload.len()).expect("checked against MESSAGE_MAX");
        let payload = Some(payload);
        let entry = Entry { src, port, kind, level, mseq, len, crc, pack, payload };
        queue.last += entry.slots();
        let accepted = Stamp::default();
        queue.messages.push_back(Own { entry, client, accepted, ahead: false, retry: None });
    }

    /// What this port took last was accepted now: its delivery is measured from here.
    pub(crate) fn stamp(&mut self, port: PortName, now: Instant) {
        if let Some(own) = self.ports.get_mut(&port).and_then(|queue| queue.messages.back_mut()) {
            own.accepted = Stamp(Some(now));
        }
    }

    /// When the first message of this port was accepted, if it is this one and is measured.
    pub(crate) fn accepted(&self, port: PortName, mseq: u64) -> Option<Instant> {
        let first = self.ports.get(&port)?.messages.front()?;
        first.accepted.0.filter(|_| first.entry.mseq == mseq)
    }

    /// The next message that was not submitted in this view. What is longer than `inline_max`, of
    /// messages and of packs, goes by reference, and waits while `ahead_max` bytes are ahead; without a
    /// slot at `retry` it is overdue.
    pub(crate) fn next(
        &mut self,
        inline_max: (usize, usize),
        ahead_max: usize,
        retry: Option<Instant>,
    ) -> Option<Submission> {
        for queue in self.ports.values_mut() {
            let Some(own) = queue.messages.get_mut(queue.submitted) else { continue };
            let len = own.entry.len as usize;
            let is_pack = own.entry.pack > 0;
            let by_reference = len > if is_pack { inline_max.1 } else { inline_max.0 };
            if by_reference {
                if self.data_ahead != 0 && self.data_ahead + len > ahead_max {
                    continue;
                }
                self.data_ahead += len;
                (own.ahead, own.retry) = (true, retry);
                if own.entry.crc == 0 {
                    own.entry.crc =
                        llt::crc::crc32c(own.entry.payload.as_deref().unwrap_or_default());
                }
            }
            queue.submitted += 1;
            return Some(Submission { entry: own.entry.clone(), by_reference });
        }
        None
    }

    /// An own message, or the pack that begins with it, has its slots and everything up to them is
    /// held. Answers its client and what it sent.
    pub(crate) fn settle(&mut self, port: PortName, mseq: u64) -> Option<Settled> {
        let queue = self.ports.get_mut(&port)?;
        if queue.messages.front()?.entry.mseq != mseq {
            return None;
        }
        let own = queue.messages.pop_front()?;
        queue.submitted = queue.submitted.saturating_sub(1);
        if own.ahead {
            self.data_ahead -= own.entry.len as usize;
        }
        let messages = usize::from(own.entry.pack.max(1));
        Some(Settled { client: own.client, messages, bytes: own.entry.message_bytes() })
    }

    /// The reference of an own message came back. Answers the payload; the sequencer has it, so it
    /// is not sent again in this view however long the slots before take. As the port's messages
    /// get their slots, none of them is overdue before `retry`.
    pub(crate) fn take_note_of_slot(
        &mut self,
        port: PortName,
        mseq: u64,
        retry: Instant,
    ) -> Option<Bytes> {
        let queue = self.ports.get_mut(&port)?;
        let at = queue.messages.binary_search_by_key(&mseq, |own| own.entry.mseq).ok()?;
        let own = queue.messages.get_mut(at)?;
        own.retry = None;
        queue.overdue_from = queue.overdue_from.max(retry);
        own.entry.payload.clone()
    }

    /// A new view: whatever is left is numbered from 1 and to be submitted again.
    pub(crate) fn restart(&mut self) {
        self.data_ahead = 0;
        self.ports.retain(|_, queue| {
            queue.last = 0;
            queue.submitted = 0;
            for own in &mut queue.messages {
                own.entry.mseq = queue.last + 1;
                queue.last += own.entry.slots();
                (own.ahead, own.retry) = (false, None);
            }
            !queue.messages.is_empty()
        });
    }

    /// Messages that went ahead and have waited too long for their slot: to be sent whole.
    pub(crate) fn overdue(&mut self, now: Instant, again: Duration) -> Vec<Entry> {
        let mut entries = Vec::new();
        for queue in self.ports.values_mut().filter(|queue| queue.overdue_from <= now) {
            for own in queue.messages.iter_mut().take(queue.submitted) {
                if own.retry.is_some_and(|retry| retry <= now) {
                    own.retry = Some(now + again);
                    entries.push(own.entry.clone());
                }
            }
        }
        entries
    }

    /// When [`Pending::overdue`] may have something.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let ahead = |queue: &Queue| {
            let retries = queue.messages.iter().take(queue.submitted).filter_map(|own| own.retry);
            retries.min().map(|retry| retry.max(queue.overdue_from))
        };
        if self.data_ahead == 0 { None } else { self.ports.values().filter_map(ahead).min() }
    }

    /// Is nothing left?
    pub(crate) fn is_empty(&self) -> bool {
        self.ports.values().all(|queue| queue.messages.is_empty())
    }

    /// Messages left.
    pub(crate) fn len(&self) -> usize {
        self.ports.values().map(|queue| queue.messages.len()).sum()
    }

    /// Takes the client's name off its messages: it is gone, its messages still count.
    pub(crate) fn forget_client(&mut self, client: ClientId) {
        for own in self.ports.values_mut().flat_map(|queue| &mut queue.messages) {
            if own.client == Some(client) {
                own.client = None;
            }
        }
    }

    /// Forgets everything: this life of the node is over.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::DATA_AHEAD_BYTES;

    fn port(letter: char) -> PortName {
        PortName::new(letter).unwrap()
    }

    fn push(pending: &mut Pending, letter: char, len: usize) {
        let payload = Bytes::from(vec![0; len]);
        let kind = EntryKind::User;
        pending.push(NodeId::ZERO, port(letter), kind, Level::Agreed, 0, payload, None);
    }

    fn drain(pending: &mut Pending) -> Vec<(char, u64, bool)> {
        std::iter::from_fn(|| {
            pending.next((100, 100), DATA_AHEAD_BYTES, Some(Instant::from_millis(5)))
        })
        .map(|s| (s.entry.port.letter(), s.entry.mseq, s.by_reference))
        .collect()
    }

    #[test]
    fn what_has_no_slot_is_submitted_again_with_new_numbers() {
        let mut pending = Pending::default();
        (0..3).for_each(|_| push(&mut pending, 'A', 1));
        push(&mut pending, 'B', 1);
        assert_eq!(drain(&mut pending).len(), 4);
        let settled = Settled { client: None, messages: 1, bytes: 1 };
        assert_eq!(pending.settle(port('A'), 1), Some(settled));
        assert_eq!(pending.settle(port('A'), 3), None, "only in order");
        pending.restart();
        assert_eq!(drain(&mut pending), [('A', 1, false), ('A', 2, false), ('B', 1, false)]);
    }

    #[test]
    fn payloads_go_ahead_only_within_their_bound() {
        let mut pending = Pending::default();
        (0..8).for_each(|_| push(&mut pending, 'A', 65_536));
        assert_eq!(drain(&mut pending).len(), DATA_AHEAD_BYTES / 65_536);
        assert_eq!(pending.overdue(Instant::from_millis(4), Duration::ZERO).len(), 0);
        assert_eq!(pending.overdue(Instant::from_millis(5), Duration::from_millis(9)).len(), 4);
        assert_eq!(pending.next_deadline(), Some(Instant::from_millis(14)));
        pending.settle(port('A'), 1);
        assert_eq!(drain(&mut pending), [('A', 5, true)]);
    }

    #[test]
    fn what_has_a_slot_is_not_overdue_and_the_rest_waits_from_there() {
        let mut pending = Pending::default();
        (0..2).for_each(|_| push(&mut pending, 'A', 65_536));
        drain(&mut pending);
        let later = Instant::from_millis(8);
        assert!(pending.take_note_of_slot(port('A'), 1, later).is_some());
        assert_eq!(pending.next_deadline(), Some(later));
        assert_eq!(pending.overdue(Instant::from_millis(7), Duration::ZERO).len(), 0);
        let overdue = pending.overdue(later, Duration::from_millis(9));
        assert_eq!(overdue.iter().map(|entry| entry.mseq).collect::<Vec<_>>(), [2]);
    }
}

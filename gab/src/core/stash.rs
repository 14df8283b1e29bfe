//! Payloads that travel apart from their order, while they are put together or wait for it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::{Bytes, BytesMut};
use llt::NodeId;
use llt::limits::NODES_MAX;

use super::stream::MessageKey;
use crate::limits::{Bounded, STASH_BYTES_PER_NODE};
use crate::wire::Data;

/// Payloads by message, bounded per source.
///
/// A payload stays until its reference takes it, until its slot got it by another way
/// ([`Stash::forget`]), or until the next view.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Stash {
    payloads: BTreeMap<MessageKey, Payload>,
    bytes: BTreeMap<NodeId, usize>,
}

#[derive(Clone, Debug, Hash)]
struct Payload {
    total: usize,
    bytes: BytesMut,
    /// Received pieces as `start -> end`, disjoint and not touching.
    pieces: BTreeMap<u32, u32>,
    complete: Option<Bytes>,
}

/// What became of a piece.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Piece {
    /// The payload is complete: [`Stash::take`] has it.
    Complete,
    /// Taken; more are missing.
    Taken,
    /// It contradicts another piece, or its source has too much under way.
    Refused,
}

impl Stash {
    pub(crate) fn bounded(&self) -> [Bounded; 2] {
        let most = self.bytes.values().copied().max().unwrap_or(0);
        [
            Bounded::new("nodes with payloads ahead", self.bytes.len(), usize::from(NODES_MAX)),
            Bounded::new("bytes of payloads ahead", most, STASH_BYTES_PER_NODE),
        ]
    }

    /// Takes a piece of the message `key`.
    pub(crate) fn add(&mut self, key: MessageKey, data: &Data) -> Piece {
        let total = data.total as usize;
        let used = self.bytes.entry(key.0).or_default();
        let payload = match self.payloads.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) if *used + total > STASH_BYTES_PER_NODE => return Piece::Refused,
            Entry::Vacant(entry) => {
                *used += total;
                entry.insert(Payload::new(total))
            }
        };
        if payload.total != total {
            return Piece::Refused;
        }
        if payload.complete.is_some() {
            return Piece::Taken;
        }
        payload.add(data);
        if payload.complete.is_some() { Piece::Complete } else { Piece::Taken }
    }

    /// Hands out a complete payload; what is incomplete stays.
    pub(crate) fn take(&mut self, key: MessageKey) -> Option<Bytes> {
        let complete = self.payloads.get(&key)?.complete.clone()?;
        self.payloads.remove(&key);
        if let Some(used) = self.bytes.get_mut(&key.0) {
            *used -= complete.len();
        }
        Some(complete)
    }

    /// The message needs no payload from here any more: whatever came of it is room for others.
    pub(crate) fn forget(&mut self, key: MessageKey) {
        // The common case: small messages have nothing here.
        if self.payloads.is_empty() {
            return;
        }
        if let Some(payload) = self.payloads.remove(&key)
            && let Some(used) = self.bytes.get_mut(&key.0)
        {
            *used -= payload.total;
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Payload {
    fn new(total: usize) -> Self {
        Self { total, bytes: BytesMut::new(), pieces: BTreeMap::new(), complete: None }
    }

    fn add(&mut self, data: &Data) {
        if data.piece.len() == self.total {
            // The common case of one frame: no copy.
            self.complete = Some(data.piece.clone());
            return;
        }
        let start = data.offset as usize;
        if start == self.bytes.len() {
            // In order, as pieces come unless links differ.
            self.bytes.reserve(self.total - start);
            self.bytes.extend_from_slice(&data.piece);
        } else {
            self.bytes.resize(self.total, 0);
            self.bytes[start..start + data.piece.len()].copy_from_slice(&data.piece);
        }
        self.note(
            data.offset,
            data.offset + u32::try_from(data.piece.len()).expect("within the total"),
        );
        if self.pieces.first_key_value() == Some((&0, &data.total)) {
            self.complete = Some(std::mem::take(&mut self.bytes).freeze());
        }
    }

    fn note(&mut self, mut start: u32, mut end: u32) {
        // Pieces that touch or overlap the new one melt into it.
        while let Some((&s, &e)) = self.pieces.range(..=end).next_back() {
            if e < start {
                break;
            }
            self.pieces.remove(&s);
            start = start.min(s);
            end = end.max(e);
        }
        self.pieces.insert(start, end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Level;
    use crate::ids::PortName;

    fn key() -> MessageKey {
        (NodeId::ZERO, PortName::new('A').unwrap(), 1)
    }

    fn piece(total: u32, offset: u32, bytes: &[u8]) -> Data {
        let piece = Bytes::copy_from_slice(bytes);
        Data { port: key().1, level: Level::Agreed, mseq: 1, pack: 0, total, offset, piece }
    }

    proptest! {
        #[test]
        fn pieces_in_any_order_and_twice_give_the_payload(
            len in 2_u32..500,
            step in 1_usize..60,
            order in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let whole: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let mut pieces: Vec<(u32, &[u8])> = whole
                .chunks(step)
                .enumerate()
                .map(|(i, chunk)| (u32::try_from(i * step).unwrap(), chunk))
                .collect();
            for index in &order {
                let at = index.index(pieces.len());
                let last = pieces.len() - 1;
                pieces.swap(at, last);
            }
            let (first, repeat) = (pieces[0], pieces.len() > 1);
            let mut stash = Stash::default();
            if repeat {
                prop_assert_eq!(stash.add(key(), &piece(len, first.0, first.1)), Piece::Taken);
            }
            let results: Vec<Piece> =
                pieces.iter().map(|(offset, bytes)| stash.add(key(), &piece(len, *offset, bytes))).collect();
            prop_assert_eq!(results.iter().filter(|result| **result == Piece::Complete).count(), 1);
            let taken = stash.take(key());
            prop_assert_eq!(taken.as_deref(), Some(&whole[..]));
            prop_assert_eq!(stash.bytes[&NodeId::ZERO], 0);
        }
    }

    #[test]
    fn a_source_cannot_make_us_hold_more_than_its_bound() {
        let mut stash = Stash::default();
        let mut mseq = 0;
        loop {
            mseq += 1;
            let key = (NodeId::ZERO, key().1, mseq);
            if stash.add(key, &piece(65_536, 0, b"x")) == Piece::Refused {
                break;
            }
        }
        assert_eq!(stash.bytes[&NodeId::ZERO], STASH_BYTES_PER_NODE);
        assert_eq!(stash.add((NodeId::ZERO, key().1, 1), &piece(9, 0, b"x")), Piece::Refused);
    }

    #[test]
    fn a_payload_that_came_another_way_gives_its_room_back() {
        let mut stash = Stash::default();
        stash.add(key(), &piece(4, 0, b"x"));
        stash.forget(key());
        assert_eq!((stash.bytes[&NodeId::ZERO], stash.payloads.len()), (0, 0));
        assert_eq!(
            stash.add(key(), &piece(4, 0, b"abcd")),
            Piece::Complete,
            "whole, but not wanted"
        );
        stash.forget(key());
        assert_eq!((stash.bytes[&NodeId::ZERO], stash.payloads.len()), (0, 0));
    }
}

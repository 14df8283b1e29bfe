//! Payloads that tell what they should be.
//!
//! ```text
//!  0        8            16         24
//!  +--------+------------+----------+---------- - -
//!  | "LLTT" | stream     | number   | filling
//!  | length |            |          |
//!  +--------+------------+----------+---------- - -
//! ```
//!
//! Magic and length have four bytes each, stream and number eight. The filling depends on stream
//! and number, byte by byte, so that neither a swapped nor a shifted message goes unnoticed.

use std::collections::BTreeMap;

use llt::NodeId;

/// Bytes before the filling.
pub(super) const HEADER_LEN: usize = 24;

/// Writes a message of `len` bytes, at least [`HEADER_LEN`]; `number` counts from 0 in each stream.
pub(super) fn write(into: &mut Vec<u8>, stream: u64, number: u64, len: usize) {
    into.clear();
    into.extend(MAGIC);
    into.extend(u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    into.extend(stream.to_be_bytes());
    into.extend(number.to_be_bytes());
    into.extend((HEADER_LEN..len).map(|at| filling(stream, number, at)));
}

fn filling(stream: u64, number: u64, at: usize) -> u8 {
    // The top byte of a product depends on all bits of what is multiplied.
    let mixed = (stream ^ number.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed.to_be_bytes()[0].wrapping_add(at.to_be_bytes()[size_of::<usize>() - 1])
}

/// Why a message is not what it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Wrong {
    /// A byte of it has changed.
    #[error("byte {at} is not what was sent")]
    Changed {
        /// Which.
        at: usize,
    },
    /// It has another length than it had.
    #[error("{got} bytes came of {sent}")]
    Length {
        /// As it came.
        got: usize,
        /// As it says.
        sent: u32,
    },
    /// It was sent without `-v`.
    #[error("nothing in it can be verified: it was sent without -v")]
    NoHeader,
    /// One came twice, too early, or one before it is missing.
    #[error("it is number {got} of its sender, expected {expected}")]
    Order {
        /// The number in it.
        got: u64,
        /// The number that was due.
        expected: u64,
    },
}

/// What was received from each node so far.
#[derive(Debug, Default)]
pub(super) struct Verifier {
    /// The stream of each node, and the number that is due in it.
    due: BTreeMap<NodeId, (u64, u64)>,
    /// Datagrams that never came, as far as later ones show.
    pub(super) lost: u64,
}

impl Verifier {
    /// Checks one message. Those that are reliable must come once and in order.
    pub(super) fn check(
        &mut self,
        from: NodeId,
        reliable: bool,
        message: &[u8],
    ) -> Result<(), Wrong> {
        if message.len() < HEADER_LEN || message[..4] != MAGIC {
            return Err(Wrong::NoHeader);
        }
        let sent = u32::from_be_bytes(array(&message[4..8]));
        if usize::try_from(sent) != Ok(message.len()) {
            return Err(Wrong::Length { got: message.len(), sent });
        }
        let stream = u64::from_be_bytes(array(&message[8..16]));
        let number = u64::from_be_bytes(array(&message[16..24]));
        let wrong = (HEADER_LEN..).zip(&message[HEADER_LEN..]);
        if let Some((at, _)) = { wrong }.find(|&(at, &byte)| byte != filling(stream, number, at)) {
            return Err(Wrong::Changed { at });
        }
        let due = self.due.entry(from).or_insert((stream, 0));
        if due.0 != stream {
            *due = (stream, 0);
        }
        let expected = due.1;
        due.1 = expected.max(number.wrapping_add(1));
        if reliable && number != expected {
            return Err(Wrong::Order { got: number, expected });
        }
        self.lost += number.saturating_sub(expected);
        Ok(())
    }
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the caller cuts as many bytes as the number has")
}

const MAGIC: [u8; 4] = *b"LLTT";

#[cfg(test)]
mod tests {
    use super::*;

    fn message(stream: u64, number: u64, len: usize) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, stream, number, len);
        assert_eq!(out.len(), len);
        out
    }

    fn node(id: u8) -> NodeId {
        NodeId::new(id).unwrap()
    }

    #[test]
    fn what_was_sent_is_what_came() {
        let mut verifier = Verifier::default();
        for number in 0..3 {
            assert_eq!(verifier.check(node(1), true, &message(7, number, 100)), Ok(()));
            assert_eq!(verifier.check(node(2), true, &message(9, number, 24)), Ok(()));
        }
        // A new transmit of the same node begins anew.
        assert_eq!(verifier.check(node(1), true, &message(8, 0, 100)), Ok(()));
    }

    #[test]
    fn every_changed_byte_is_found() {
        let good = message(7, 0, 64);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            assert!(Verifier::default().check(node(1), true, &bad).is_err(), "byte {at}");
        }
        let error = Verifier::default().check(node(1), true, &good[..40]);
        assert_eq!(error, Err(Wrong::Length { got: 40, sent: 64 }));
        assert_eq!(Verifier::default().check(node(1), true, &[0; 64]), Err(Wrong::NoHeader));
    }

    #[test]
    fn a_message_out_of_order_is_found_and_a_lost_datagram_counted() {
        let mut verifier = Verifier::default();
        verifier.check(node(1), true, &message(7, 0, 64)).unwrap();
        let error = verifier.check(node(1), true, &message(7, 2, 64));
        assert_eq!(error, Err(Wrong::Order { got: 2, expected: 1 }));
        let mut verifier = Verifier::default();
        for number in [0, 3, 1, 3] {
            verifier.check(node(1), false, &message(7, number, 64)).unwrap();
        }
        assert_eq!(verifier.lost, 2);
    }
}

//! What a storm's messages consist of: who, the how-manieth, and bytes that follow from it.

use anyhow::{Result, bail, ensure};

/// The smallest message.
pub(super) const HEADER: usize = 16;

const MAGIC: [u8; 6] = *b"storm ";

/// What a message says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Message {
    /// Who sent it.
    pub(super) sender: u8,
    /// The sender's count, from 0.
    pub(super) number: u64,
    /// Nothing follows from this sender.
    pub(super) end: bool,
}

impl Message {
    /// Writes it as a payload of `size` bytes into `payload`.
    pub(super) fn emit(self, size: usize, payload: &mut Vec<u8>) {
        payload.clear();
        payload.extend_from_slice(&MAGIC);
        payload.push(self.sender);
        payload.push(u8::from(self.end));
        payload.extend_from_slice(&self.number.to_be_bytes());
        let filler = self.filler();
        payload.extend((payload.len()..size).map(|at| filler_at(filler, at)));
    }

    /// Reads a payload, every byte of which must be what the sender wrote.
    ///
    /// # Errors
    /// If it is not; the message says where.
    pub(super) fn parse(payload: &[u8]) -> Result<Self> {
        let Some((header, rest)) = payload.split_first_chunk::<HEADER>() else {
            bail!("{} bytes are no message", payload.len());
        };
        ensure!(header.starts_with(&MAGIC), "not a message of a storm");
        let number = u64::from_be_bytes(*header.last_chunk().expect("sixteen bytes hold eight"));
        let message = Self { sender: header[6], end: header[7] == 1, number };
        let filler = message.filler();
        let wrong = rest.iter().zip(HEADER..).position(|(byte, at)| *byte != filler_at(filler, at));
        match wrong {
            None => Ok(message),
            Some(at) => {
                bail!("message {number} of node {}: byte {} is wrong", header[6], at + HEADER)
            }
        }
    }

    fn filler(self) -> u64 {
        // Any odd constant spreads the number over the bytes.
        (self.number << 8 | u64::from(self.sender)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "one byte of the pattern is wanted")]
const fn filler_at(filler: u64, at: usize) -> u8 {
    (filler >> (at % 8 * 8)) as u8 ^ at as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_and_a_flipped_bit_does_not() {
        let message = Message { sender: 3, number: 1 << 40, end: true };
        let mut payload = Vec::new();
        message.emit(100, &mut payload);
        assert_eq!(payload.len(), 100);
        assert_eq!(Message::parse(&payload).unwrap(), message);
        payload[77] ^= 4;
        let error = Message::parse(&payload).unwrap_err();
        assert!(error.to_string().contains("byte 77"), "{error}");
        assert!(Message::parse(&payload[..15]).is_err());
    }
}

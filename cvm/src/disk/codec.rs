//! Reading and writing fields, least significant byte first, every read checked.

use bytes::{Buf, BufMut};
use llt::{Incarnation, NodeId};

use super::block::BlockError;
use crate::model::ids::{NAME_MAX, UNIQUE_ID_MAX};
use crate::model::{Epoch, Name, Stamp, Tid, UniqueId};

/// Why a block is no label, no claim and no kernel log, or why something cannot be made one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FormatError {
    /// The block itself is wrong.
    #[error(transparent)]
    Block(#[from] BlockError),
    /// A field is out of range, or does not go together with others.
    #[error("Format error: {0}")]
    Field(
        /// What was expected.
        &'static str,
    ),
}

/// Counters above are refused: whoever reads one counts on from it.
pub(super) const COUNTER_MAX: u64 = 1 << 62;

/// Bytes of a name: its length, its letters, zeros.
pub(super) const NAME_LEN: usize = 1 + NAME_MAX;
/// Bytes of the identity of a disk or a group, likewise.
pub(super) const ID_LEN: usize = 1 + UNIQUE_ID_MAX;

/// Reads from the front of a slice; nothing is read past its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], FormatError> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(CUT)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, FormatError> {
        self.bytes(1).map(|mut bytes| bytes.get_u8())
    }

    pub(super) fn u16(&mut self) -> Result<u16, FormatError> {
        self.bytes(2).map(|mut bytes| bytes.get_u16_le())
    }

    pub(super) fn u32(&mut self) -> Result<u32, FormatError> {
        self.bytes(4).map(|mut bytes| bytes.get_u32_le())
    }

    pub(super) fn u64(&mut self) -> Result<u64, FormatError> {
        self.bytes(8).map(|mut bytes| bytes.get_u64_le())
    }

    /// A number that somebody will count on from.
    pub(super) fn counter(&mut self) -> Result<u64, FormatError> {
        let counter = self.u64()?;
        if counter > COUNTER_MAX { Err(COUNTER) } else { Ok(counter) }
    }

    pub(super) fn stamp(&mut self) -> Result<Stamp, FormatError> {
        Ok(Stamp { epoch: Epoch(self.counter()?), tid: Tid(self.counter()?) })
    }

    pub(super) fn node(&mut self) -> Result<NodeId, FormatError> {
        NodeId::new(self.u8()?).ok_or(FormatError::Field("a node id is below 128"))
    }

    pub(super) fn incarnation(&mut self) -> Result<Incarnation, FormatError> {
        self.u64().map(Incarnation)
    }

    pub(super) fn name(&mut self) -> Result<Name, FormatError> {
        Name::new(self.padded(NAME_LEN)?).map_err(|_| FormatError::Field("a name was expected"))
    }

    pub(super) fn unique_id(&mut self) -> Result<UniqueId, FormatError> {
        let id = self.padded(ID_LEN)?.parse();
        id.map_err(|_| FormatError::Field("an id like 1283432345.33.host1 was expected"))
    }

    /// Bytes that have no meaning.
    pub(super) fn zeros(&mut self, len: usize) -> Result<(), FormatError> {
        let zeros = self.bytes(len)?.iter().all(|byte| *byte == 0);
        if zeros { Ok(()) } else { Err(FormatError::Field("zeros were expected")) }
    }

    pub(super) fn end(self) -> Result<(), FormatError> {
        if self.rest.is_empty() { Ok(()) } else { Err(FormatError::Field("the end was expected")) }
    }

    /// The text of a field of fixed length.
    fn padded(&mut self, len: usize) -> Result<&'a str, FormatError> {
        let wrong = FormatError::Field("a text with its length was expected");
        let mut field = Self::new(self.bytes(len)?);
        let text = usize::from(field.u8()?);
        let text = field.bytes(text)?;
        field.zeros(field.rest.len())?;
        std::str::from_utf8(text).map_err(|_| wrong)
    }
}

/// The counterpart of [`Reader`] for what has no method in `BufMut`.
pub(super) trait Put {
    fn put_stamp(&mut self, stamp: Stamp);
    fn put_name(&mut self, name: &Name);
    fn put_unique_id(&mut self, id: &UniqueId);
}

impl Put for Vec<u8> {
    fn put_stamp(&mut self, stamp: Stamp) {
        self.put_u64_le(stamp.epoch.0);
        self.put_u64_le(stamp.tid.0);
    }

    fn put_name(&mut self, name: &Name) {
        put_padded(self, name.as_str(), NAME_LEN);
    }

    fn put_unique_id(&mut self, id: &UniqueId) {
        put_padded(self, &id.to_string(), ID_LEN);
    }
}

fn put_padded(to: &mut Vec<u8>, text: &str, len: usize) {
    let end = to.len() + len;
    to.put_u8(u8::try_from(text.len()).expect("names and ids are short"));
    to.extend_from_slice(text.as_bytes());
    assert!(to.len() <= end, "{text} is longer than {len} bytes");
    to.resize(end, 0);
}

/// Counters that nobody would read back are not written.
pub(super) fn check_counters(counters: &[u64]) -> Result<(), FormatError> {
    if counters.iter().all(|counter| *counter <= COUNTER_MAX) { Ok(()) } else { Err(COUNTER) }
}

/// Only the lowest `count` bits may be set; bit `n` of what comes of it is flag `n`.
pub(super) fn flags(bits: u8, count: u32) -> Result<impl Fn(u32) -> bool, FormatError> {
    if u32::from(bits) >> count == 0 {
        Ok(move |flag| bits >> flag & 1 == 1)
    } else {
        Err(FormatError::Field("a flag without a meaning"))
    }
}

const CUT: FormatError = FormatError::Field("more bytes were expected");
const COUNTER: FormatError = FormatError::Field("a counter is out of range");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_their_length_before_them_and_zeros_after_them() {
        let mut bytes = Vec::new();
        bytes.put_name(&Name::new("mydg").unwrap());
        assert_eq!(bytes.len(), NAME_LEN);
        assert_eq!(&bytes[..6], b"\x04mydg\0");
        assert_eq!(Reader::new(&bytes).name().unwrap().as_str(), "mydg");
        for (at, value) in [(0, 3), (0, 5), (0, 32), (0, 0), (1, b'-'), (2, 0xff), (31, b'x')] {
            let mut wrong = bytes.clone();
            wrong[at] = value;
            assert!(Reader::new(&wrong).name().is_err(), "{at} {value}");
        }
    }

    #[test]
    fn the_longest_texts_fit() {
        let mut bytes = Vec::new();
        let name = Name::new(&"n".repeat(NAME_MAX)).unwrap();
        let id = UniqueId::new(u64::MAX, u32::MAX, &"h".repeat(99));
        bytes.put_name(&name);
        bytes.put_unique_id(&id);
        let mut reader = Reader::new(&bytes);
        assert_eq!((reader.name(), reader.unique_id()), (Ok(name), Ok(id)));
        reader.end().unwrap();
    }

    #[test]
    fn whoever_counts_on_from_a_counter_has_room() {
        let max = COUNTER_MAX.to_le_bytes();
        assert_eq!(Reader::new(&max).counter(), Ok(COUNTER_MAX));
        let more = (COUNTER_MAX + 1).to_le_bytes();
        assert_eq!(Reader::new(&more).counter(), Err(COUNTER));
        assert_eq!(check_counters(&[0, COUNTER_MAX]), Ok(()));
        assert_eq!(check_counters(&[0, COUNTER_MAX + 1]), Err(COUNTER));
    }
}

//! Short notices: goodbye, and "your node id is used twice".

use bytes::Bytes;
use zerocopy::big_endian::U64;
use zerocopy::{FromBytes, IntoBytes};

use super::header::{Header, WireError, malformed};
use crate::ids::Incarnation;

/// The incarnation that the header addresses shares its node id with an older one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Duplicate {
    /// The older one, which stays.
    pub older: Incarnation,
}

impl Duplicate {
    pub(super) fn check(body: &[u8]) -> Result<Self, WireError> {
        let older = U64::ref_from_bytes(body).map_err(|_| malformed("a notice of 8 bytes"))?;
        Ok(Self { older: Incarnation(older.get()) })
    }
}

pub(super) fn check_bye(body: &[u8]) -> Result<(), WireError> {
    if body.is_empty() { Ok(()) } else { Err(malformed("a goodbye without a body")) }
}

/// A goodbye.
pub fn emit_bye(header: &Header) -> Bytes {
    header.emit(&[])
}

/// A notice to the younger user of a node id.
pub fn emit_duplicate(header: &Header, older: Incarnation) -> Bytes {
    header.emit(&[U64::new(older.0).as_bytes()])
}

//! Acknowledgements in frames of their own, and requests for what is missing.

use bytes::Bytes;
use zerocopy::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::header::{Header, WireError, malformed};
use crate::limits::{HEADER_LEN, MTU_MIN, SACK_RANGES_MAX};
use crate::seal;

/// Packets that arrived ahead of a missing one: from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AckRange {
    /// The first.
    pub first: u64,
    /// The last, not smaller.
    pub last: u64,
}

/// An acknowledgement. The cumulative part is in the frame's header.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ack<'a> {
    /// Every packet below this number that is neither acknowledged nor in a range is asked for
    /// now; 0 asks for nothing.
    pub missing_before: u64,
    /// How long the newest packet waited for this acknowledgement, in microseconds.
    pub delay_us: u32,
    /// Bit n: the client of LLT port n at the sender does not keep up.
    pub busy_ports: u32,
    ranges: &'a [RawRange],
}

impl<'a> Ack<'a> {
    pub(super) fn check(body: &'a [u8]) -> Result<Self, WireError> {
        let (raw, rest) = RawAck::ref_from_prefix(body)
            .map_err(|_| malformed("an acknowledgement of 16 bytes at least"))?;
        let ranges =
            <[RawRange]>::ref_from_bytes(rest).map_err(|_| malformed("ranges of 16 bytes each"))?;
        if ranges.len() > SACK_RANGES_MAX {
            return Err(malformed("at most 28 ranges"));
        }
        if ranges.iter().any(|range| range.first.get() > range.last.get()) {
            return Err(malformed("ranges that do not run backwards"));
        }
        Ok(Self {
            missing_before: raw.missing_before.get(),
            delay_us: raw.delay_us.get(),
            busy_ports: raw.busy_ports.get(),
            ranges,
        })
    }

    /// The ranges; their numbers are whatever the sender wrote.
    pub fn ranges(&self) -> impl Iterator<Item = AckRange> + use<'a> {
        self.ranges.iter().map(|raw| AckRange { first: raw.first.get(), last: raw.last.get() })
    }
}

/// An acknowledgement with these ranges, at most [`SACK_RANGES_MAX`].
pub fn emit_ack(
    header: &Header,
    missing_before: u64,
    delay_us: u32,
    busy_ports: u32,
    ranges: &[AckRange],
) -> Bytes {
    let raw = RawAck {
        missing_before: missing_before.into(),
        delay_us: delay_us.into(),
        busy_ports: busy_ports.into(),
    };
    let ranges: Vec<RawRange> = ranges
        .iter()
        .map(|range| RawRange { first: range.first.into(), last: range.last.into() })
        .collect();
    header.emit(&[raw.as_bytes(), ranges.as_bytes()])
}

#[derive(FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawAck {
    missing_before: U64,
    delay_us: U32,
    busy_ports: U32,
}

#[derive(Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq, Unaligned)]
#[repr(C)]
struct RawRange {
    first: U64,
    last: U64,
}

const LEN_MAX: usize = HEADER_LEN + size_of::<RawAck>() + SACK_RANGES_MAX * size_of::<RawRange>();
const _: () = assert!(LEN_MAX + seal::OVERHEAD <= MTU_MIN, "the longest one fits, sealed");

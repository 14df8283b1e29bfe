//! Packets of the reliable stream.

use bytes::Bytes;
use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::header::{Header, WireError, malformed};
use crate::ids::LltPort;
use crate::limits::MESSAGE_MAX;

/// Bytes of a data body before the payload.
pub const DATA_HEADER_LEN: usize = size_of::<RawData>();

/// A packet of the reliable stream: a message or a fragment of one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Data {
    /// Position in the stream, from 1.
    pub number: u64,
    /// The LLT port of the message.
    pub port: LltPort,
    /// The message begins here.
    pub first: bool,
    /// The message ends here.
    pub last: bool,
    /// Bytes of the whole message, the same in all its fragments.
    pub message_len: u32,
    /// The fragment.
    pub payload: Bytes,
}

impl Data {
    pub(super) fn check(frame: &Bytes, body: &[u8]) -> Result<Self, WireError> {
        let (raw, payload) =
            RawData::ref_from_prefix(body).map_err(|_| malformed("a data header of 16 bytes"))?;
        let port = LltPort::new(raw.port).ok_or(malformed("a port of 0 to 31"))?;
        if raw.number.get() == 0 {
            return Err(malformed("packets numbered from 1"));
        }
        if raw.flags & !(FLAG_FIRST | FLAG_LAST) != 0 {
            return Err(malformed("known flags of a packet"));
        }
        let (first, last) = (raw.flags & FLAG_FIRST != 0, raw.flags & FLAG_LAST != 0);
        let len = usize::try_from(raw.message_len.get()).unwrap_or(usize::MAX);
        if len > MESSAGE_MAX || payload.len() > len || (first && last && payload.len() != len) {
            return Err(malformed("a fragment that fits its message"));
        }
        Ok(Self {
            number: raw.number.get(),
            port,
            first,
            last,
            message_len: raw.message_len.get(),
            payload: frame.slice_ref(payload),
        })
    }
}

/// A frame with this packet.
pub fn emit_data(header: &Header, data: &Data) -> Bytes {
    let raw = RawData {
        number: data.number.into(),
        message_len: data.message_len.into(),
        port: data.port.get(),
        flags: if data.first { FLAG_FIRST } else { 0 } | if data.last { FLAG_LAST } else { 0 },
        reserved: U16::ZERO,
    };
    header.emit(&[raw.as_bytes(), &data.payload])
}

#[derive(FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawData {
    number: U64,
    message_len: U32,
    port: u8,
    flags: u8,
    reserved: U16,
}

const FLAG_FIRST: u8 = 0x01;
const FLAG_LAST: u8 = 0x02;
const _: () = assert!(DATA_HEADER_LEN == 16);

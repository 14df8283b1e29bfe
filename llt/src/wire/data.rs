//! Packets of the reliable stream.

use bytes::Bytes;
use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::header::{Header, WireError, malformed};
use crate::ids::LltPort;
use crate::limits::MESSAGE_MAX;

/// Bytes of a data body before the payload.
pub const DATA_HEADER_LEN: usize = size_of::<RawData>();

/// A packet of the reliable stream, a message or a fragment of one; or a part of a packet.
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
    /// Where in the packet's payload this begins; 0 unless the packet travels in parts.
    pub offset: u16,
    /// Another part of the packet follows this one.
    pub more: bool,
    /// The fragment, or this part of it.
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
        if raw.flags & !(FLAG_FIRST | FLAG_LAST | FLAG_MORE) != 0 {
            return Err(malformed("known flags of a packet"));
        }
        let (first, last) = (raw.flags & FLAG_FIRST != 0, raw.flags & FLAG_LAST != 0);
        let len = usize::try_from(raw.message_len.get()).unwrap_or(usize::MAX);
        let (offset, more) = (raw.offset.get(), raw.flags & FLAG_MORE != 0);
        let end = usize::from(offset) + payload.len();
        // A message in one packet ends where its last part does.
        let is_end = first && last && !more;
        if len > MESSAGE_MAX || end > len || (is_end && end != len) {
            return Err(malformed("a fragment that fits its message"));
        }
        if (offset != 0 || more) && payload.is_empty() {
            return Err(malformed("parts that are not empty"));
        }
        Ok(Self {
            number: raw.number.get(),
            port,
            first,
            last,
            message_len: raw.message_len.get(),
            offset,
            more,
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
        flags: if data.first { FLAG_FIRST } else { 0 }
            | if data.last { FLAG_LAST } else { 0 }
            | if data.more { FLAG_MORE } else { 0 },
        offset: data.offset.into(),
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
    offset: U16,
}

const FLAG_FIRST: u8 = 0x01;
const FLAG_LAST: u8 = 0x02;
const FLAG_MORE: u8 = 0x04;
const _: () = assert!(DATA_HEADER_LEN == 16);

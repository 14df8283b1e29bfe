//! Unreliable datagrams, to one node or to a set of them.

use bytes::Bytes;
use zerocopy::big_endian::U128;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::header::{Header, WireError, malformed};
use crate::ids::{LltPort, NodeSet};

/// Bytes of a datagram's body before the payload, if it is for one node.
pub const DATAGRAM_HEADER_LEN: usize = size_of::<RawDatagram>();
/// The same for a broadcast.
pub const BROADCAST_HEADER_LEN: usize = size_of::<RawDatagram>() + size_of::<U128>();

/// An unreliable datagram.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Datagram {
    /// The LLT port.
    pub port: LltPort,
    /// Broadcasts: the nodes that the sender is connected with and reaches by this frame. A wire
    /// may carry it to others, whom it does not concern.
    pub recipients: NodeSet,
    /// The bytes.
    pub payload: Bytes,
}

impl Datagram {
    pub(super) fn check(frame: &Bytes, body: &[u8], broadcast: bool) -> Result<Self, WireError> {
        let (raw, rest) = RawDatagram::ref_from_prefix(body)
            .map_err(|_| malformed("a datagram header of 4 bytes"))?;
        let port = LltPort::new(raw.port).ok_or(malformed("a port of 0 to 31"))?;
        let (recipients, payload) = if broadcast {
            let (set, payload) = U128::ref_from_prefix(rest)
                .map_err(|_| malformed("a set of recipients of 16 bytes"))?;
            (NodeSet::from_bits(set.get()), payload)
        } else {
            (NodeSet::EMPTY, rest)
        };
        Ok(Self { port, recipients, payload: frame.slice_ref(payload) })
    }
}

/// A datagram; the recipients are written only if the header says broadcast.
pub fn emit_datagram(header: &Header, port: LltPort, recipients: NodeSet, payload: &[u8]) -> Bytes {
    let raw = RawDatagram { port: port.get(), reserved: [0; 3] };
    let set = U128::new(recipients.bits());
    let set: &[u8] = if header.is_broadcast() { set.as_bytes() } else { &[] };
    header.emit(&[raw.as_bytes(), set, payload])
}

#[derive(FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawDatagram {
    port: u8,
    reserved: [u8; 3],
}

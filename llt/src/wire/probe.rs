//! Questions about a link: does a frame of the full size get through, and is the peer there?

use bytes::Bytes;
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, IntoBytes};

use super::header::{Header, WireError, malformed};
use crate::limits::HEADER_LEN;

/// Bytes of a probe's body before the padding.
pub const PROBE_LEN: usize = size_of::<U16>();

/// A frame that is as long as it can be. Who hears it says so in its heartbeats.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Probe {
    /// Rises with every probe of this sender to this receiver on this link; never 0.
    pub number: u16,
}

impl Probe {
    pub(super) fn check(body: &[u8]) -> Result<Self, WireError> {
        let (number, _) =
            U16::ref_from_prefix(body).map_err(|_| malformed("a probe of 2 bytes at least"))?;
        if number.get() == 0 {
            return Err(malformed("probes numbered from 1"));
        }
        Ok(Self { number: number.get() })
    }
}

pub(super) fn check_request(body: &[u8]) -> Result<(), WireError> {
    if body.is_empty() { Ok(()) } else { Err(malformed("a request without a body")) }
}

/// A probe that makes a frame of `size` bytes, header included; at least one of 50 bytes.
pub fn emit_probe(header: &Header, number: u16, size: usize) -> Bytes {
    let padding = vec![0; size.saturating_sub(HEADER_LEN + PROBE_LEN)];
    header.emit(&[U16::new(number).as_bytes(), &padding])
}

/// A request for a heartbeat.
pub fn emit_request(header: &Header) -> Bytes {
    header.emit(&[])
}

//! Frames on the wire: one file per kind of body, each with its layout, its checked view and its
//! emission. `docs/wire.md` draws them byte by byte.
//!
//! [`Frame::check`] is the only way in: after it succeeds no accessor can fail or panic, whatever
//! the bytes were. It judges the form of a frame only; who may say what, and when, is the core's.

mod ack;
mod data;
mod datagram;
mod describe;
mod header;
mod heartbeat;
mod notice;
mod probe;
#[cfg(test)]
mod tests;

pub use ack::{Ack, AckRange, emit_ack};
pub use data::{DATA_HEADER_LEN, Data, emit_data};
pub use datagram::{BROADCAST_HEADER_LEN, DATAGRAM_HEADER_LEN, Datagram, emit_datagram};
pub use describe::{Description, describe, describe_error};
pub(crate) use header::MAGIC;
pub use header::{BROADCAST_NODE, Header, Kind, Parties, VERSION_MAX, VERSION_MIN, WireError};
pub use heartbeat::{
    ENTRY_LEN, HEARTBEAT_HEADER_LEN, Heard, Heartbeat, HeartbeatHeader, emit_heartbeat,
};
pub use notice::{Duplicate, emit_bye, emit_duplicate};
pub use probe::{PROBE_LEN, Probe, emit_probe, emit_request};

use bytes::Bytes;

/// A frame whose form has been checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame<'a> {
    /// The header.
    pub header: Header,
    /// What follows it.
    pub body: Body<'a>,
}

/// The body of a frame, by kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Body<'a> {
    /// Selective acknowledgement and request for missing packets.
    Ack(Ack<'a>),
    /// The sender's incarnation ends here.
    Bye,
    /// A packet of the reliable stream.
    Data(Data),
    /// An unreliable datagram.
    Datagram(Datagram),
    /// The receiver's node id is used twice.
    Duplicate(Duplicate),
    /// A sign of life and what its sender hears.
    Heartbeat(Heartbeat<'a>),
    /// A frame of the full size: does it get through?
    Probe(Probe),
    /// A sign of life is asked for.
    Request,
}

impl<'a> Frame<'a> {
    /// Checks the form of `frame` and gives its parts. Payloads share the frame's memory.
    pub fn check(frame: &'a Bytes) -> Result<Self, WireError> {
        let (header, body) = Header::check(frame)?;
        let body = match header.kind {
            Kind::Ack => Body::Ack(Ack::check(body)?),
            Kind::Bye => notice::check_bye(body).map(|()| Body::Bye)?,
            Kind::Data => Body::Data(Data::check(frame, body)?),
            Kind::Datagram => Body::Datagram(Datagram::check(frame, body, header.is_broadcast())?),
            Kind::Duplicate => Body::Duplicate(Duplicate::check(body)?),
            Kind::Heartbeat => Body::Heartbeat(Heartbeat::check(body)?),
            Kind::Probe => Body::Probe(Probe::check(body)?),
            Kind::Request => probe::check_request(body).map(|()| Body::Request)?,
        };
        Ok(Self { header, body })
    }
}

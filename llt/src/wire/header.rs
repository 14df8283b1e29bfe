//! The header that every frame begins with.

use bytes::{Bytes, BytesMut};
use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::crc::crc32c_of;
use crate::ids::{ClusterId, Incarnation};
use crate::limits::HEADER_LEN;

/// The newest protocol version that we speak.
pub const VERSION_MAX: u8 = 1;
/// The oldest protocol version that we speak.
pub const VERSION_MIN: u8 = 1;
/// The destination of a frame for every node.
pub const BROADCAST_NODE: u8 = 0xFF;

/// What a frame is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Selective acknowledgement and request for missing packets.
    Ack,
    /// The sender's incarnation ends here.
    Bye,
    /// A packet of the reliable stream.
    Data,
    /// An unreliable datagram.
    Datagram,
    /// The receiver's node id is used twice.
    Duplicate,
    /// A sign of life.
    Heartbeat,
    /// A frame of the full size: does it get through?
    Probe,
    /// A sign of life is asked for.
    Request,
}

/// The header of a frame, as numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Which cluster.
    pub cluster: ClusterId,
    /// What follows.
    pub kind: Kind,
    /// The sender's node id; 128 and more is for the core to refuse.
    pub src: u8,
    /// The receiver's node id, or [`BROADCAST_NODE`].
    pub dst: u8,
    /// Data and datagrams: position in their sequence on this link, which is the link's for
    /// broadcasts and the pair's for all others. Other kinds repeat the pair's last position.
    pub sequence: u32,
    /// The sender's incarnation.
    pub src_incarnation: Incarnation,
    /// The receiver's incarnation as far as the sender knows it; 0 if not, and in broadcasts.
    pub dst_incarnation: Incarnation,
    /// The sender's session with the receiver, 0 if there is none yet, and in broadcasts.
    pub src_session: u16,
    /// The receiver's session with the sender as far as the sender knows it; 0 if not, and in
    /// broadcasts.
    pub dst_session: u16,
    /// All packets of the receiver's reliable stream up to this number have arrived; in broadcasts
    /// how many heartbeats the sender has sent, which tells the session (`core::connect`).
    pub ack: u64,
}

/// Why a frame is refused for its form alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WireError {
    /// The checksum does not match.
    #[error("the checksum does not match")]
    Checksum,
    /// Cut short, too long, of no known kind or inconsistent.
    #[error("{what}")]
    Malformed {
        /// What was expected.
        what: &'static str,
    },
    /// No version in common.
    #[error("the sender speaks versions {min} to {max}")]
    Version {
        /// Its oldest.
        min: u8,
        /// Its newest.
        max: u8,
    },
}

/// Between whom a frame passes, as its header says: what a sealed frame repeats in the clear.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Parties {
    /// The sender's node id.
    pub src: u8,
    /// The receiver's node id, or [`BROADCAST_NODE`].
    pub dst: u8,
    /// The sender's incarnation.
    pub src_incarnation: Incarnation,
}

impl Parties {
    /// Reads them off a frame whose form nobody has checked; `None` if it has no whole header.
    pub fn of(frame: &[u8]) -> Option<Self> {
        let (raw, _) = RawHeader::ref_from_prefix(frame).ok()?;
        let src_incarnation = Incarnation(raw.src_incarnation.get());
        Some(Self { src: raw.src, dst: raw.dst, src_incarnation })
    }
}

/// Shorthand for [`WireError::Malformed`].
pub(super) const fn malformed(what: &'static str) -> WireError {
    WireError::Malformed { what }
}

impl Header {
    /// Is the frame for every node?
    pub const fn is_broadcast(&self) -> bool {
        self.dst == BROADCAST_NODE
    }

    /// Checks the header and the checksum of a frame; gives the header and the body.
    pub(super) fn check(frame: &[u8]) -> Result<(Self, &[u8]), WireError> {
        let (raw, body) =
            RawHeader::ref_from_prefix(frame).map_err(|_| malformed("a header of 48 bytes"))?;
        if raw.magic.get() != MAGIC {
            return Err(malformed("the magic number"));
        }
        // The first four bytes are the same in every version; nothing else may be read before.
        let (min, max) = (raw.version_min, raw.version_max);
        if min > max || min > VERSION_MAX || max < VERSION_MIN {
            return Err(WireError::Version { min, max });
        }
        if usize::from(raw.body_len.get()) != body.len() {
            return Err(malformed("a body as long as the header says"));
        }
        if raw.crc.get() != checksum(raw, body) {
            return Err(WireError::Checksum);
        }
        let kind = Kind::from_byte(raw.kind).ok_or(malformed("a known kind"))?;
        let broadcast = raw.dst == BROADCAST_NODE;
        if raw.flags != if broadcast { FLAG_BROADCAST } else { 0 } {
            return Err(malformed("flags that agree with the destination"));
        }
        if broadcast && !matches!(kind, Kind::Bye | Kind::Datagram | Kind::Heartbeat) {
            return Err(malformed("a destination, for this kind"));
        }
        let header = Self {
            cluster: ClusterId(raw.cluster.get()),
            kind,
            src: raw.src,
            dst: raw.dst,
            sequence: raw.sequence.get(),
            src_incarnation: Incarnation(raw.src_incarnation.get()),
            dst_incarnation: Incarnation(raw.dst_incarnation.get()),
            src_session: raw.src_session.get(),
            dst_session: raw.dst_session.get(),
            ack: raw.ack.get(),
        };
        Ok((header, body))
    }

    /// A frame of this header and the body that `parts` make up, at most 65,459 bytes.
    pub(super) fn emit(&self, parts: &[&[u8]]) -> Bytes {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let mut raw = RawHeader {
            magic: MAGIC.into(),
            version_max: VERSION_MAX,
            version_min: VERSION_MIN,
            cluster: self.cluster.0.into(),
            kind: self.kind.to_byte(),
            flags: if self.is_broadcast() { FLAG_BROADCAST } else { 0 },
            src: self.src,
            dst: self.dst,
            body_len: u16::try_from(len).expect("frames are bounded by the MTU").into(),
            sequence: self.sequence.into(),
            src_incarnation: self.src_incarnation.0.into(),
            dst_incarnation: self.dst_incarnation.0.into(),
            src_session: self.src_session.into(),
            dst_session: self.dst_session.into(),
            ack: self.ack.into(),
            crc: U32::ZERO,
        };
        let mut frame = BytesMut::with_capacity(HEADER_LEN + len);
        frame.extend_from_slice(raw.as_bytes());
        for part in parts {
            frame.extend_from_slice(part);
        }
        raw.crc = checksum(&raw, &frame[HEADER_LEN..]).into();
        frame[..HEADER_LEN].copy_from_slice(raw.as_bytes());
        frame.freeze()
    }
}

impl Kind {
    const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x0a => Self::Heartbeat,
            0x0b => Self::Data,
            0x0c => Self::Ack,
            0x0d => Self::Datagram,
            0x0e => Self::Bye,
            0x0f => Self::Duplicate,
            0x10 => Self::Probe,
            0x11 => Self::Request,
            _ => return None,
        })
    }

    const fn to_byte(self) -> u8 {
        match self {
            Self::Heartbeat => 0x0a,
            Self::Data => 0x0b,
            Self::Ack => 0x0c,
            Self::Datagram => 0x0d,
            Self::Bye => 0x0e,
            Self::Duplicate => 0x0f,
            Self::Probe => 0x10,
            Self::Request => 0x11,
        }
    }
}

#[derive(FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawHeader {
    magic: U16,
    version_max: u8,
    version_min: u8,
    cluster: U16,
    kind: u8,
    flags: u8,
    src: u8,
    dst: u8,
    body_len: U16,
    sequence: U32,
    src_incarnation: U64,
    dst_incarnation: U64,
    src_session: U16,
    dst_session: U16,
    ack: U64,
    crc: U32,
}

const _: () = assert!(size_of::<RawHeader>() == HEADER_LEN);

/// CRC-32C of the header with its last field taken as zero, then of the body.
fn checksum(raw: &RawHeader, body: &[u8]) -> u32 {
    let mut head = [0; HEADER_LEN];
    let summed = HEADER_LEN - size_of::<U32>();
    head[..summed].copy_from_slice(&raw.as_bytes()[..summed]);
    crc32c_of(&head, body)
}

/// "LL", so that a foreign datagram on our port is seen for what it is.
pub(crate) const MAGIC: u16 = 0x4C4C;
const FLAG_BROADCAST: u8 = 0x01;

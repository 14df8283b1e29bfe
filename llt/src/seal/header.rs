//! The part of a sealed frame that is in the clear.

use core::fmt;

use zerocopy::big_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{CLEAR_LEN, TAG_LEN, Unopened};
use crate::ids::{Incarnation, LinkId};
use crate::limits::HEADER_LEN;
use crate::wire::{MAGIC, VERSION_MAX, VERSION_MIN};

/// Names a key without giving anything of it away.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId(pub [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a sealed frame says in the clear. The tag covers it, so once that was found right it is as
/// true as the rest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClearHeader {
    /// Which key.
    pub key: KeyId,
    /// The sender's node id; 128 and more is for the opener to refuse.
    pub src: u8,
    /// The receiver's node id, or [`BROADCAST_NODE`](crate::wire::BROADCAST_NODE).
    pub dst: u8,
    /// The sender's number of the link.
    pub link: LinkId,
    /// The sender's incarnation.
    pub incarnation: Incarnation,
    /// How many frames this incarnation has sealed on this link, this one included.
    pub count: u64,
}

/// Does the frame begin like a sealed one?
pub fn is_sealed(frame: &[u8]) -> bool {
    frame.starts_with(&MAGIC_SEALED.to_be_bytes())
}

impl ClearHeader {
    /// Reads the clear part of a frame; its tag is not looked at.
    ///
    /// # Errors
    /// `NotSealed`, `Malformed` or `Version`.
    pub fn check(frame: &[u8]) -> Result<Self, Unopened> {
        if !is_sealed(frame) {
            let is_plain = frame.starts_with(&MAGIC.to_be_bytes());
            return Err(if is_plain { Unopened::NotSealed } else { Unopened::Malformed });
        }
        // No plain frame is shorter than its header.
        if frame.len() < CLEAR_LEN + HEADER_LEN + TAG_LEN {
            return Err(Unopened::Malformed);
        }
        let (raw, _) = RawClear::ref_from_prefix(frame).map_err(|_| Unopened::Malformed)?;
        if raw.version_min > VERSION_MAX || raw.version_max < VERSION_MIN {
            return Err(Unopened::Version);
        }
        let link = LinkId::new(raw.link).ok_or(Unopened::Malformed)?;
        if raw.count.get() == 0 {
            return Err(Unopened::Malformed);
        }
        Ok(Self {
            key: KeyId(raw.key),
            src: raw.src,
            dst: raw.dst,
            link,
            incarnation: Incarnation(raw.incarnation.get()),
            count: raw.count.get(),
        })
    }

    /// The bytes.
    #[cfg(feature = "auth")]
    pub(super) fn emit(&self) -> [u8; CLEAR_LEN] {
        let raw = RawClear {
            magic: MAGIC_SEALED.into(),
            version_max: VERSION_MAX,
            version_min: VERSION_MIN,
            key: self.key.0,
            src: self.src,
            dst: self.dst,
            link: self.link.get(),
            reserved: 0,
            incarnation: self.incarnation.0.into(),
            count: self.count.into(),
        };
        let mut bytes = [0; CLEAR_LEN];
        bytes.copy_from_slice(raw.as_bytes());
        bytes
    }
}

#[derive(FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawClear {
    magic: U16,
    version_max: u8,
    version_min: u8,
    key: [u8; 4],
    src: u8,
    dst: u8,
    link: u8,
    reserved: u8,
    incarnation: U64,
    count: U64,
}

const _: () = assert!(size_of::<RawClear>() == CLEAR_LEN);

/// "LS".
const MAGIC_SEALED: u16 = 0x4C53;

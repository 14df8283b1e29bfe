//! One entry of the ordered stream.

use bytes::{BufMut, Bytes, BytesMut};
use llt::NodeId;

use super::codec::{Malformed, Reader};
use crate::event::Level;
use crate::ids::PortName;
use crate::limits::{MESSAGE_MAX, PACK_MESSAGES_MAX};
use crate::pack::{LENGTH_LEN, Pack};

/// What an entry is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EntryKind {
    /// The client of this incarnation closes the port on the source node.
    Close {
        /// Numbered by the source node, never used twice in one of its lives.
        client: u64,
    },
    /// The source node leaves the cluster.
    Leave,
    /// A client of this incarnation opens the port on the source node.
    Open {
        /// Numbered by the source node, never used twice in one of its lives.
        client: u64,
    },
    /// A client's message.
    User,
}

/// One message with its place of origin.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Entry {
    /// The node that sent it.
    pub src: NodeId,
    /// The port.
    pub port: PortName,
    /// What it is.
    pub kind: EntryKind,
    /// When it may be delivered.
    pub level: Level,
    /// Number among the source's messages on this port in this view, from 1; of a pack that of its
    /// first.
    pub mseq: u64,
    /// Length of the payload in bytes.
    pub len: u32,
    /// CRC-32C of the payload, for a payload that travels apart; else 0.
    pub crc: u32,
    /// How many messages the payload is a [`Pack`] of; 0 if it is one message.
    pub pack: u16,
    /// The payload; `None` while it is known by reference only.
    pub payload: Option<Bytes>,
}

/// Bytes of an entry before its payload.
pub const ENTRY_HEADER_LEN: usize = 24;

const FLAG_SAFE: u8 = 1;
const FLAG_REF: u8 = 2;

impl Entry {
    /// Bytes on the wire when inline.
    pub fn inline_len(&self) -> usize {
        ENTRY_HEADER_LEN + self.len as usize
    }

    /// Slots of the order that it takes, and as many numbers of its source.
    pub fn slots(&self) -> u64 {
        u64::from(self.pack.max(1))
    }

    /// Bytes of its messages: those of the payload, without the lengths in a pack.
    pub fn message_bytes(&self) -> usize {
        self.len as usize - usize::from(self.pack) * LENGTH_LEN
    }

    /// Is this a client's message?
    pub fn is_user(&self) -> bool {
        self.kind == EntryKind::User
    }

    /// Writes the entry with its payload.
    ///
    /// # Panics
    /// If the payload is not held: callers look before they offer an entry to others.
    pub fn put_inline(&self, out: &mut BytesMut) {
        self.put_header(out, 0);
        out.put_slice(self.payload.as_ref().expect("only held entries are sent inline"));
    }

    /// Writes the entry without its payload.
    pub fn put_reference(&self, out: &mut BytesMut) {
        self.put_header(out, FLAG_REF);
    }

    fn put_header(&self, out: &mut BytesMut, flags: u8) {
        let (kind, client) = match self.kind {
            EntryKind::User => (0, 0),
            EntryKind::Open { client } => (1, client),
            EntryKind::Close { client } => (2, client),
            EntryKind::Leave => (3, 0),
        };
        out.put_u8(self.src.get());
        out.put_u8(self.port.byte());
        out.put_u8(kind);
        out.put_u8(flags | if self.level == Level::Safe { FLAG_SAFE } else { 0 });
        out.put_u64(self.mseq);
        out.put_u32(self.len);
        if self.is_user() {
            out.put_u32(self.crc);
            out.put_u16(self.pack);
            out.put_u16(0);
        } else {
            out.put_u64(client);
        }
    }

    pub(super) fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        let src = reader.node()?;
        let port = reader.port()?;
        let kind = reader.u8("an entry kind")?;
        let flags = reader.u8("entry flags")?;
        let mseq = reader.u64("an entry number")?;
        let len = reader.u32("a length")?;
        let extra = reader.u64("an entry header")?;
        if len as usize > MESSAGE_MAX {
            return Err(Malformed::new("a payload of at most 65536 bytes"));
        }
        let kind = match kind {
            0 => EntryKind::User,
            1 => EntryKind::Open { client: extra },
            2 => EntryKind::Close { client: extra },
            3 => EntryKind::Leave,
            _ => return Err(Malformed::new("an entry kind from 0 to 3")),
        };
        let user = kind == EntryKind::User;
        if mseq == 0
            || flags & !(FLAG_SAFE | FLAG_REF) != 0
            || (!user && (len, flags) != (0, FLAG_SAFE))
        {
            return Err(Malformed::new("a consistent entry"));
        }
        let [c0, c1, c2, c3, p0, p1, z0, z1] = extra.to_be_bytes();
        let (crc, pack) = match user {
            true => (u32::from_be_bytes([c0, c1, c2, c3]), u16::from_be_bytes([p0, p1])),
            false => (0, 0),
        };
        if user && [z0, z1] != [0, 0] || !fits_pack(pack, len as usize) {
            return Err(Malformed::new("a consistent entry"));
        }
        let payload = if flags & FLAG_REF == 0 {
            Some(packed(pack, reader.bytes(len as usize, "a payload")?)?)
        } else {
            None
        };
        let level = if flags & FLAG_SAFE == 0 { Level::Agreed } else { Level::Safe };
        Ok(Self { src, port, kind, level, mseq, len, crc, pack, payload })
    }
}

/// May so many bytes be a pack of so many messages?
pub(super) fn fits_pack(pack: u16, len: usize) -> bool {
    usize::from(pack) <= PACK_MESSAGES_MAX && len >= usize::from(pack) * LENGTH_LEN
}

/// The payload, if it is the pack that it is said to be.
pub(super) fn packed(pack: u16, payload: Bytes) -> Result<Bytes, Malformed> {
    if Pack::fits(&payload, pack) {
        Ok(payload)
    } else {
        Err(Malformed::new("as many whole messages as the pack is to have"))
    }
}

//! Heartbeats: a sign of life, and what its sender hears on this link.

use bytes::Bytes;
use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::header::{Header, WireError, malformed};
use crate::ids::{Incarnation, NodeId};

/// Bytes of a heartbeat's body before the list.
pub const HEARTBEAT_HEADER_LEN: usize = size_of::<RawHeartbeat>();
/// Bytes of one element of the list.
pub const ENTRY_LEN: usize = size_of::<RawEntry>();

/// The fixed part of a heartbeat.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeartbeatHeader {
    /// Rises with every heartbeat that this incarnation sends, on whatever link.
    pub sequence: u64,
    /// Position of the last broadcast on this link, so that the loss of the last one shows.
    pub broadcast_sequence: u32,
    /// The sender's MTU on this link, in bytes.
    pub mtu: u16,
    /// Packets that the sender of this heartbeat is ready to hold out of order.
    pub window: u16,
    /// The sender's number of this link.
    pub link: u8,
    /// Bit n: the sender's link n carries nothing, so nobody needs to wait for its silence.
    pub dead: u8,
    /// Bit n: LLT port n has a client at the sender.
    pub open_ports: u32,
    /// Bit n: the client of LLT port n at the sender does not keep up.
    pub busy_ports: u32,
    /// The first and the last node that the list speaks of; one of them that it does not name is
    /// not heard.
    pub covers: (u8, u8),
}

impl HeartbeatHeader {
    /// Does the sender's link `number` carry nothing?
    pub fn is_dead(&self, number: u8) -> bool {
        self.dead.checked_shr(number.into()).unwrap_or(0) & 1 == 1
    }
}

/// One element of the list: a node that the sender knows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Heard {
    /// Which node.
    pub node: NodeId,
    /// Heard on this link within the trouble time.
    pub heard: bool,
    /// The sender counts the node as connected.
    pub connected: bool,
    /// The sender's session with it.
    pub session: u16,
    /// Its session with the sender, as far as known; 0 if not.
    pub peer_session: u16,
    /// The lower half-word of the sequence of its last heartbeat on this link: what is echoed
    /// was sent before, so its sender was alive after that.
    pub echo: u16,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// The last probe of the full size that was heard from it on this link, 0 if none was.
    pub probe: u16,
}

/// A heartbeat whose form has been checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Heartbeat<'a> {
    /// The fixed part.
    pub header: HeartbeatHeader,
    entries: &'a [RawEntry],
}

impl<'a> Heartbeat<'a> {
    pub(super) fn check(body: &'a [u8]) -> Result<Self, WireError> {
        let (raw, rest) = RawHeartbeat::ref_from_prefix(body)
            .map_err(|_| malformed("a heartbeat of 32 bytes at least"))?;
        let entries =
            <[RawEntry]>::ref_from_bytes(rest).map_err(|_| malformed("a list of 18 bytes each"))?;
        if entries.len() != usize::from(raw.count) {
            return Err(malformed("a list as long as the heartbeat says"));
        }
        if entries.iter().any(|entry| NodeId::new(entry.node).is_none()) {
            return Err(malformed("node ids of 0 to 127 in the list"));
        }
        let header = HeartbeatHeader {
            sequence: raw.sequence.get(),
            broadcast_sequence: raw.broadcast_sequence.get(),
            mtu: raw.mtu.get(),
            window: raw.window.get(),
            link: raw.link,
            dead: raw.dead,
            open_ports: raw.open_ports.get(),
            busy_ports: raw.busy_ports.get(),
            covers: (raw.covers_first, raw.covers_last),
        };
        Ok(Self { header, entries })
    }

    /// Does the list speak of `node`, be it by not naming it?
    pub fn covers(&self, node: NodeId) -> bool {
        (self.header.covers.0..=self.header.covers.1).contains(&node.get())
    }

    /// The nodes of the list.
    pub fn entries(&self) -> impl Iterator<Item = Heard> + use<'a> {
        self.entries.iter().filter_map(|raw| {
            Some(Heard {
                node: NodeId::new(raw.node)?,
                heard: raw.flags & FLAG_HEARD != 0,
                connected: raw.flags & FLAG_CONNECTED != 0,
                session: raw.session.get(),
                peer_session: raw.peer_session.get(),
                echo: raw.echo.get(),
                incarnation: Incarnation(raw.incarnation.get()),
                probe: raw.probe.get(),
            })
        })
    }

    /// What the list says of `node`.
    pub fn entry(&self, node: NodeId) -> Option<Heard> {
        self.entries().find(|entry| entry.node == node)
    }
}

/// A heartbeat with this list, at most 255 long.
pub fn emit_heartbeat(header: &Header, fixed: &HeartbeatHeader, list: &[Heard]) -> Bytes {
    let raw = RawHeartbeat {
        sequence: fixed.sequence.into(),
        broadcast_sequence: fixed.broadcast_sequence.into(),
        mtu: fixed.mtu.into(),
        window: fixed.window.into(),
        link: fixed.link,
        covers_first: fixed.covers.0,
        covers_last: fixed.covers.1,
        count: u8::try_from(list.len()).expect("at most 128 nodes"),
        dead: fixed.dead,
        reserved: [0; 3],
        open_ports: fixed.open_ports.into(),
        busy_ports: fixed.busy_ports.into(),
    };
    let entries: Vec<RawEntry> = list
        .iter()
        .map(|entry| RawEntry {
            node: entry.node.get(),
            flags: if entry.heard { FLAG_HEARD } else { 0 }
                | if entry.connected { FLAG_CONNECTED } else { 0 },
            session: entry.session.into(),
            peer_session: entry.peer_session.into(),
            echo: entry.echo.into(),
            incarnation: entry.incarnation.0.into(),
            probe: entry.probe.into(),
        })
        .collect();
    header.emit(&[raw.as_bytes(), entries.as_bytes()])
}

#[derive(FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct RawHeartbeat {
    sequence: U64,
    broadcast_sequence: U32,
    mtu: U16,
    window: U16,
    link: u8,
    covers_first: u8,
    covers_last: u8,
    count: u8,
    dead: u8,
    reserved: [u8; 3],
    open_ports: U32,
    busy_ports: U32,
}

#[derive(Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq, Unaligned)]
#[repr(C)]
struct RawEntry {
    node: u8,
    flags: u8,
    session: U16,
    peer_session: U16,
    echo: U16,
    incarnation: U64,
    probe: U16,
}

const FLAG_HEARD: u8 = 0x01;
const FLAG_CONNECTED: u8 = 0x02;
const _: () = assert!(HEARTBEAT_HEADER_LEN == 32 && ENTRY_LEN == 18);

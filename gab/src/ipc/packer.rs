//! Records on their way into datagrams.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use llt::NodeId;

use super::{HEADER_LEN, Record, put_header};
use crate::event::Level;
use crate::limits::{IPC_DATAGRAM_MAX, MESSAGE_MAX, PACK_MESSAGES_MAX, PACKED_MAX};
use crate::pack::{self, LENGTH_LEN};

/// Packs records into as few datagrams as possible, in order. Both ends of the socket use it.
#[derive(Debug, Default)]
pub struct Packer {
    full: VecDeque<Bytes>,
    open: BytesMut,
    /// What stands last in `open`, if more messages can join it.
    pack: Option<OpenPack>,
}

/// A `Pack` record that is being filled.
#[derive(Debug)]
struct OpenPack {
    /// Where it starts.
    at: usize,
    level: Level,
    messages: usize,
}

impl Packer {
    /// Appends a record to the last datagram, or to a new one if it does not fit.
    pub fn push(&mut self, record: &Record) {
        self.make_room(record.encoded_len());
        self.pack = None;
        record.encode(&mut self.open);
    }

    /// Appends a `Broadcast`, without the copy that making a record of it would cost. A short one
    /// becomes or joins a `Pack`.
    ///
    /// # Panics
    /// If the payload is longer than [`MESSAGE_MAX`].
    pub fn push_broadcast(&mut self, level: Level, payload: &[u8]) {
        if payload.len() > PACKED_MAX {
            return self.push_message(2, u8::from(level == Level::Safe), None, payload);
        }
        let len = LENGTH_LEN + payload.len();
        let joins = self.pack.as_ref().is_some_and(|pack| {
            pack.level == level
                && pack.messages < PACK_MESSAGES_MAX
                && self.open.len() + len <= IPC_DATAGRAM_MAX
        });
        if !joins {
            self.make_room(HEADER_LEN + len);
            self.pack = Some(OpenPack { at: self.open.len(), level, messages: 0 });
            put_header(&mut self.open, HEADER_LEN, 13, u8::from(level == Level::Safe), None);
        }
        pack::push(&mut self.open, payload);
        if let Some(pack) = &mut self.pack {
            pack.messages += 1;
            let len = u32::try_from(self.open.len() - pack.at).expect("less than a datagram");
            self.open[pack.at..pack.at + 4].copy_from_slice(&len.to_be_bytes());
        }
    }

    /// Appends an `LltSend`, likewise.
    ///
    /// # Panics
    /// If the payload is longer than [`llt::limits::MESSAGE_MAX`].
    pub fn push_llt_send(&mut self, node: NodeId, reliable: bool, payload: &[u8]) {
        assert!(payload.len() <= llt::limits::MESSAGE_MAX, "a message of {} bytes", payload.len());
        self.push_slice(9, u8::from(!reliable), Some(node), payload);
    }

    /// Appends a `Send`, likewise.
    ///
    /// # Panics
    /// If the payload is longer than [`MESSAGE_MAX`].
    pub fn push_send(&mut self, node: NodeId, payload: &[u8]) {
        self.push_message(3, 0, Some(node), payload);
    }

    fn push_message(&mut self, kind: u8, flags: u8, node: Option<NodeId>, payload: &[u8]) {
        assert!(payload.len() <= MESSAGE_MAX, "a message of {} bytes", payload.len());
        self.push_slice(kind, flags, node, payload);
    }

    fn push_slice(&mut self, kind: u8, flags: u8, node: Option<NodeId>, payload: &[u8]) {
        let len = HEADER_LEN + payload.len();
        self.make_room(len);
        self.pack = None;
        put_header(&mut self.open, len, kind, flags, node);
        self.open.put_slice(payload);
    }

    fn make_room(&mut self, len: usize) {
        if self.open.len() + len > IPC_DATAGRAM_MAX {
            self.full.push_back(self.open.split().freeze());
            self.pack = None;
        }
    }

    /// The next datagram that is full; the last one stays open for more.
    pub fn pop_full(&mut self) -> Option<Bytes> {
        self.full.pop_front()
    }

    /// The next datagram, full or not. `None` when there is nothing to send.
    pub fn pop(&mut self) -> Option<Bytes> {
        self.pop_full().or_else(|| {
            self.pack = None;
            if self.open.is_empty() { None } else { Some(self.open.split().freeze()) }
        })
    }

    /// Bytes that wait to be taken.
    pub fn queued_bytes(&self) -> usize {
        self.full.iter().map(Bytes::len).sum::<usize>() + self.open.len()
    }

    /// Is there nothing to send?
    pub fn is_empty(&self) -> bool {
        self.full.is_empty() && self.open.is_empty()
    }
}

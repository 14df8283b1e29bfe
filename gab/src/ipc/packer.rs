//! Records on their way into datagrams.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use llt::NodeId;

use super::{HEADER_LEN, Record, put_header};
use crate::event::Level;
use crate::limits::{IPC_DATAGRAM_MAX, MESSAGE_MAX};

/// Packs records into as few datagrams as possible, in order. Both ends of the socket use it.
#[derive(Debug, Default)]
pub struct Packer {
    full: VecDeque<Bytes>,
    open: BytesMut,
}

impl Packer {
    /// Appends a record to the last datagram, or to a new one if it does not fit.
    pub fn push(&mut self, record: &Record) {
        self.make_room(record.encoded_len());
        record.encode(&mut self.open);
    }

    /// Appends a `Broadcast`, without the copy that making a record of it would cost.
    ///
    /// # Panics
    /// If the payload is longer than [`MESSAGE_MAX`].
    pub fn push_broadcast(&mut self, level: Level, payload: &[u8]) {
        self.push_message(2, u8::from(level == Level::Safe), None, payload);
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
        put_header(&mut self.open, len, kind, flags, node);
        self.open.put_slice(payload);
    }

    fn make_room(&mut self, len: usize) {
        if self.open.len() + len > IPC_DATAGRAM_MAX {
            self.full.push_back(self.open.split().freeze());
        }
    }

    /// The next datagram that is full; the last one stays open for more.
    pub fn pop_full(&mut self) -> Option<Bytes> {
        self.full.pop_front()
    }

    /// The next datagram, full or not. `None` when there is nothing to send.
    pub fn pop(&mut self) -> Option<Bytes> {
        self.pop_full()
            .or_else(|| if self.open.is_empty() { None } else { Some(self.open.split().freeze()) })
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

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
    full: VecDeque<Datagram>,
    /// The datagram that is being filled: pieces, and what comes after them.
    pieces: Datagram,
    open: BytesMut,
    /// What stands last in `open`, if more messages can join it.
    pack: Option<OpenPack>,
}

/// One datagram in pieces, which one call sends: long payloads are not copied together.
#[derive(Clone, Debug, Default)]
pub struct Datagram {
    pieces: Vec<Bytes>,
    len: usize,
}

impl Datagram {
    /// The pieces, in order; none is empty.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    fn add(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.len += piece.len();
            self.pieces.push(piece);
        }
    }

    /// As one piece.
    fn join(mut self) -> Bytes {
        match (self.pieces.len(), self.pieces.pop()) {
            (1, Some(only)) => only,
            (_, last) => self.pieces.into_iter().chain(last).flatten().collect(),
        }
    }
}

/// A short message that more can join: a `Broadcast` so far, or a `Pack` once there are more.
#[derive(Debug)]
struct OpenPack {
    /// Where it starts.
    at: usize,
    level: Level,
    messages: usize,
}

impl OpenPack {
    fn join(&mut self, open: &mut BytesMut, payload: &[u8]) {
        let first = self.at + HEADER_LEN;
        if self.messages == 1 {
            // The first message gets its length, too.
            let end = open.len();
            let len = u32::try_from(end - first).expect("messages are short");
            open.put_u32(0);
            open.copy_within(first..end, first + LENGTH_LEN);
            open[first..first + LENGTH_LEN].copy_from_slice(&len.to_be_bytes());
            open[self.at + 4] = PACK;
        }
        pack::push(open, payload);
        self.messages += 1;
        let len = u32::try_from(open.len() - self.at).expect("less than a datagram");
        open[self.at..self.at + 4].copy_from_slice(&len.to_be_bytes());
    }
}

impl Packer {
    /// Appends a record to the last datagram, or to a new one if it does not fit.
    pub fn push(&mut self, record: &Record) {
        self.make_room(record.encoded_len());
        self.pack = None;
        match record.encode_head(&mut self.open) {
            Some(body) if body.len() >= SHARED_MIN => {
                self.pieces.add(self.open.split().freeze());
                self.pieces.add(body.clone());
            }
            Some(body) => self.open.put_slice(body),
            None => {}
        }
    }

    /// Appends a `Broadcast`, without the copy that making a record of it would cost. Short ones that
    /// follow each other become a `Pack`.
    ///
    /// # Panics
    /// If the payload is longer than [`MESSAGE_MAX`].
    pub fn push_broadcast(&mut self, level: Level, payload: &[u8]) {
        let room = IPC_DATAGRAM_MAX - self.open_len();
        if let Some(pack) = &mut self.pack
            && (pack.level, payload.len() <= PACKED_MAX) == (level, true)
            && pack.messages < PACK_MESSAGES_MAX
            && 2 * LENGTH_LEN + payload.len() <= room
        {
            pack.join(&mut self.open, payload);
            return;
        }
        self.push_message(2, u8::from(level == Level::Safe), None, payload);
        let at = self.open.len() - HEADER_LEN - payload.len();
        self.pack = (payload.len() <= PACKED_MAX).then_some(OpenPack { at, level, messages: 1 });
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
        if self.open_len() + len > IPC_DATAGRAM_MAX {
            self.end();
        }
    }

    fn open_len(&self) -> usize {
        self.pieces.len + self.open.len()
    }

    /// Nothing joins the open datagram any more.
    fn end(&mut self) {
        self.pack = None;
        self.pieces.add(self.open.split().freeze());
        self.full.push_back(std::mem::take(&mut self.pieces));
    }

    /// The next datagram that is full; the last one stays open for more.
    pub fn pop_full(&mut self) -> Option<Bytes> {
        self.full.pop_front().map(Datagram::join)
    }

    /// The next datagram, full or not. `None` when there is nothing to send.
    pub fn pop(&mut self) -> Option<Bytes> {
        self.pop_pieces().map(Datagram::join)
    }

    /// The same as it is, for who can send pieces.
    pub fn pop_pieces(&mut self) -> Option<Datagram> {
        if self.full.is_empty() && self.open_len() > 0 {
            self.end();
        }
        self.full.pop_front()
    }

    /// Bytes that wait to be taken.
    pub fn queued_bytes(&self) -> usize {
        self.full.iter().map(|datagram| datagram.len).sum::<usize>() + self.open_len()
    }

    /// Is there nothing to send?
    pub fn is_empty(&self) -> bool {
        self.full.is_empty() && self.open_len() == 0
    }
}

/// The kind of a `Pack`, the fifth byte of its record.
const PACK: u8 = 13;
/// Bytes that are cheaper to point to than to copy.
const SHARED_MIN: usize = 1024;

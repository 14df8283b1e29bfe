//! Requests under way on a connection, and what their replies mean. No I/O of its own.
//!
//! Replies come in any order, and one to a read may come in several pieces. What comes is checked
//! before it is believed: after a message that cannot be right nobody knows where the next begins.

use std::collections::{BTreeMap, VecDeque};

use rustix::io::Errno;

use super::wire::{
    CHUNK_DONE, CHUNK_ERROR_BIT, CHUNK_ERROR_OFFSET, CHUNK_NONE, CHUNK_OFFSET_DATA,
    CHUNK_OFFSET_HOLE, Command, REQUEST_LEN, Reader, SIMPLE_MAGIC, STRUCTURED_MAGIC, request,
};
use crate::fuse::volume::{Done, IoFailed, ReadDone};

/// What becomes of a request.
pub(super) enum Answer {
    Other(Done),
    Read(ReadDone),
}

/// A request as it is handed in.
pub(super) struct Asked {
    pub(super) command: Command,
    pub(super) flags: u16,
    pub(super) offset: u64,
    pub(super) len: u32,
    /// Of a write.
    pub(super) data: Vec<u8>,
    pub(super) answer: Answer,
}

/// Requests of a connection.
#[derive(Default)]
pub(super) struct Pipeline {
    next: u64,
    /// Until they are answered, those that are still queued included.
    pending: BTreeMap<u64, Pending>,
    queue: VecDeque<Outgoing>,
    /// The socket took no more; whoever waits for it goes on.
    pub(super) is_stuck: bool,
    /// Nothing more is asked; the server closes the connection.
    is_leaving: bool,
    has_ended: bool,
}

struct Pending {
    offset: u64,
    /// Of a read, in bytes; else 0.
    len: usize,
    /// Pieces that have come, and how much they are.
    pieces: Option<(Vec<u8>, usize)>,
    failed: Option<Errno>,
    answer: Answer,
}

/// A request that is to be sent.
pub(super) struct Outgoing {
    head: [u8; REQUEST_LEN],
    data: Vec<u8>,
    sent: usize,
}

/// What a message says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Head {
    cookie: u64,
    form: Form,
    is_last: bool,
    /// Of the head, and of what follows, in bytes.
    pub(super) len: usize,
    pub(super) body: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    Data,
    Error { has_offset: bool },
    Hole,
    Nothing,
    Simple { error: u32 },
}

/// A request that is answered; [`Finished::tell`] says so.
pub(super) struct Finished {
    answer: Answer,
    outcome: Outcome,
}

enum Outcome {
    Failed(IoFailed),
    Pieces(Vec<u8>),
    /// The data are the end of the message.
    Whole(usize),
}

/// Why a connection cannot go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Garbage {
    #[error("a reply has a part of type {0:#x}, which is not known")]
    Chunk(u16),
    #[error("a reply to a request that was not made")]
    Cookie,
    #[error("a reply ends before all that was read has come")]
    Incomplete,
    #[error("a part of a reply is of a length that it cannot have")]
    Length,
    #[error("{0:#010x} where a reply begins")]
    Magic(u32),
    #[error("data of a range that was not asked for")]
    Range,
}

impl Pipeline {
    /// A request waits for its turn.
    ///
    /// # Errors
    /// If the connection has ended.
    pub(super) fn submit(&mut self, asked: Asked) -> Result<(), Answer> {
        let Asked { command, flags, offset, len, data, answer } = asked;
        if self.has_ended || self.is_leaving {
            return Err(answer);
        }
        self.next += 1;
        let cookie = self.next;
        let head = request(command, flags, cookie, offset, len);
        self.queue.push_back(Outgoing { head, data, sent: 0 });
        let len = match answer {
            Answer::Read(_) => usize::try_from(len).unwrap_or(usize::MAX),
            Answer::Other(_) => 0,
        };
        let pending = Pending { offset, len, pieces: None, failed: None, answer };
        self.pending.insert(cookie, pending);
        Ok(())
    }

    /// No request will follow.
    pub(super) fn leave(&mut self) {
        if !self.has_ended && !self.is_leaving {
            self.is_leaving = true;
            let head = request(Command::Disconnect, 0, 0, 0, 0);
            self.queue.push_back(Outgoing { head, data: Vec::new(), sent: 0 });
        }
    }

    pub(super) const fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// The server knows that no request will follow.
    pub(super) fn has_said_all(&self) -> bool {
        self.is_leaving && self.queue.is_empty()
    }

    /// The parts of the next request that are to be sent, if one may be.
    pub(super) fn to_send(&self) -> Option<[&[u8]; 2]> {
        let first = self.queue.front()?;
        let waiting = self.queue.len() - usize::from(first.sent > 0);
        // The last in the queue may be one that has no answer.
        let under_way = self.pending.len().saturating_sub(waiting);
        if first.sent == 0 && under_way >= UNDER_WAY_MAX {
            return None;
        }
        let data = first.sent.saturating_sub(REQUEST_LEN);
        Some([first.head.get(first.sent..).unwrap_or_default(), &first.data[data..]])
    }

    /// So much of it went out.
    pub(super) fn on_sent(&mut self, count: usize) {
        if let Some(first) = self.queue.front_mut() {
            first.sent += count;
            if first.sent >= REQUEST_LEN + first.data.len() {
                self.queue.pop_front();
            }
        }
    }

    /// The connection is no more: nothing is answered any more, and these are not.
    pub(super) fn end(&mut self) -> Vec<Answer> {
        self.has_ended = true;
        self.queue.clear();
        std::mem::take(&mut self.pending).into_values().map(|pending| pending.answer).collect()
    }

    /// Reads the head of a message; `None`: more of it has to come.
    ///
    /// # Errors
    /// If it cannot be one. What it says to follow is no longer than what was asked for.
    pub(super) fn read_head(&self, bytes: &[u8]) -> Result<Option<Head>, Garbage> {
        let mut reader = Reader(bytes);
        match reader.u32() {
            None => Ok(None),
            Some(SIMPLE_MAGIC) => match (reader.u32(), reader.u64()) {
                (Some(error), Some(cookie)) => {
                    let len = self.pending.get(&cookie).ok_or(Garbage::Cookie)?.len;
                    let (form, body) = (Form::Simple { error }, if error == 0 { len } else { 0 });
                    Ok(Some(Head { cookie, form, is_last: true, len: 16, body }))
                }
                _ => Ok(None),
            },
            Some(STRUCTURED_MAGIC) => {
                let flags_and_kind = reader.u16().zip(reader.u16());
                match (flags_and_kind, reader.u64(), reader.u32()) {
                    (Some((flags, kind)), Some(cookie), Some(body)) => {
                        self.read_chunk(flags, kind, cookie, body).map(Some)
                    }
                    _ => Ok(None),
                }
            }
            Some(magic) => Err(Garbage::Magic(magic)),
        }
    }

    fn read_chunk(&self, flags: u16, kind: u16, cookie: u64, body: u32) -> Result<Head, Garbage> {
        let pending = self.pending.get(&cookie).ok_or(Garbage::Cookie)?;
        let body = usize::try_from(body).unwrap_or(usize::MAX);
        let (form, lengths) = match kind {
            CHUNK_NONE => (Form::Nothing, 0..=0),
            CHUNK_OFFSET_DATA => (Form::Data, 9..=pending.len.saturating_add(8)),
            CHUNK_OFFSET_HOLE => (Form::Hole, 12..=12),
            _ if kind & CHUNK_ERROR_BIT != 0 => {
                let has_offset = kind == CHUNK_ERROR_OFFSET;
                (Form::Error { has_offset }, 6..=ERROR_MAX)
            }
            _ => return Err(Garbage::Chunk(kind)),
        };
        if !lengths.contains(&body) {
            return Err(Garbage::Length);
        }
        Ok(Head { cookie, form, is_last: flags & CHUNK_DONE != 0, len: 20, body })
    }

    /// A message has come whole. `None`: more of this reply follows.
    ///
    /// # Errors
    /// If it cannot be right.
    pub(super) fn take(&mut self, head: &Head, body: &[u8]) -> Result<Option<Finished>, Garbage> {
        let pending = self.pending.get_mut(&head.cookie).ok_or(Garbage::Cookie)?;
        let whole = match head.form {
            Form::Simple { error: 0 } => Some(body.len()),
            Form::Simple { error } => {
                pending.failed = Some(errno(error));
                None
            }
            Form::Data | Form::Hole => pending.take_piece(head, body)?,
            Form::Error { has_offset } => {
                let mut reader = Reader(body);
                let error = reader.u32().ok_or(Garbage::Length)?;
                let text = reader.u16().and_then(|len| reader.bytes(usize::from(len)));
                let text = text.ok_or(Garbage::Length)?;
                if has_offset && reader.u64().is_none() {
                    return Err(Garbage::Length);
                }
                let text = String::from_utf8_lossy(text);
                tracing::debug!(error, "a request failed: {text}");
                pending.failed = Some(errno(error));
                None
            }
            Form::Nothing => None,
        };
        if !head.is_last {
            return Ok(None);
        }
        let Some(pending) = self.pending.remove(&head.cookie) else { return Ok(None) };
        let outcome = match (pending.failed, whole, pending.pieces) {
            (Some(failed), _, _) => Outcome::Failed(IoFailed::Told(failed)),
            (None, Some(len), _) => Outcome::Whole(len),
            (None, None, Some((bytes, got))) if got == pending.len => Outcome::Pieces(bytes),
            (None, None, None) if pending.len == 0 => Outcome::Whole(0),
            (None, None, _) => {
                self.pending.insert(head.cookie, Pending { pieces: None, ..pending });
                return Err(Garbage::Incomplete);
            }
        };
        Ok(Some(Finished { answer: pending.answer, outcome }))
    }
}

impl Pending {
    /// A part of the data of a read; the length of all of it if it is all, and did not come in parts.
    fn take_piece(&mut self, head: &Head, body: &[u8]) -> Result<Option<usize>, Garbage> {
        let mut reader = Reader(body);
        let at = reader.u64().and_then(|at| at.checked_sub(self.offset));
        let at = at.and_then(|at| usize::try_from(at).ok()).ok_or(Garbage::Range)?;
        let data = match head.form {
            Form::Hole => None,
            Form::Data | Form::Error { .. } | Form::Nothing | Form::Simple { .. } => Some(reader.0),
        };
        let len = match data {
            Some(data) => data.len(),
            None => {
                reader.u32().and_then(|len| usize::try_from(len).ok()).ok_or(Garbage::Length)?
            }
        };
        let end = at.checked_add(len).filter(|end| *end <= self.len).ok_or(Garbage::Range)?;
        if data.is_some() && len == self.len && head.is_last && self.pieces.is_none() {
            return Ok(Some(len));
        }
        let (bytes, got) = self.pieces.get_or_insert_with(|| (vec![0; self.len], 0));
        if let Some(data) = data {
            bytes[at..end].copy_from_slice(data);
        }
        *got += len;
        // "Structured reply types": pieces do not meet.
        if *got > self.len { Err(Garbage::Range) } else { Ok(None) }
    }
}

impl Finished {
    /// Tells who has asked; `body` is that of the last message.
    pub(super) fn tell(self, body: &[u8]) {
        match (self.answer, self.outcome) {
            (answer, Outcome::Failed(failed)) => answer.fail(failed),
            (Answer::Other(done), Outcome::Pieces(_) | Outcome::Whole(_)) => done(Ok(())),
            (Answer::Read(done), Outcome::Pieces(bytes)) => done(Ok(&bytes)),
            (Answer::Read(done), Outcome::Whole(len)) => done(Ok(&body[body.len() - len..])),
        }
    }
}

impl Answer {
    pub(super) fn fail(self, failed: IoFailed) {
        match self {
            Self::Other(done) => done(Err(failed)),
            Self::Read(done) => done(Err(failed)),
        }
    }
}

/// "Error values": the numbers are those of Linux.
fn errno(error: u32) -> Errno {
    match error {
        1 => Errno::PERM,
        12 => Errno::NOMEM,
        22 => Errno::INVAL,
        28 => Errno::NOSPC,
        95 => Errno::OPNOTSUPP,
        _ => Errno::IO,
    }
}

/// So many requests are sent and not answered; the server takes 256.
pub(super) const UNDER_WAY_MAX: usize = 64;
/// A text of 4096 bytes and what goes with it.
const ERROR_MAX: usize = 4096 + 14;

//! A client of the NBD protocol after its handshake: requests come in, replies go out, in any order.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};

use bytes::{Bytes, BytesMut};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, getsockname, recv, sendmsg,
};

use super::VolumeNumber;
use super::driver::{IoBuffer, Pool};
use crate::export::nbd::{
    BadRequest, Command, Export, NbdError, REQUEST_LEN, Replies, RequestHead, Session,
};
use crate::model::size::SECTOR;
use crate::volume::{IoFailed, What};

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) volume: VolumeNumber,
    /// Its process, if it is one of this machine.
    pub(super) pid: Option<u32>,
    socket: OwnedFd,
    export: Export,
    replies: Replies,
    /// What has come and is not read yet: from `begin` to `end`.
    input: Vec<u8>,
    begin: usize,
    end: usize,
    /// A write whose data are still to come.
    payload: Option<Payload>,
    out: VecDeque<Chunk>,
    /// Of the first of them, so much is sent.
    sent: usize,
    /// Requests that are not answered, and the bytes that they have room for.
    requests: usize,
    bytes: usize,
    state: State,
    /// All that had come was taken: the socket tells when there is more, and is not asked before. Data of
    /// a write are: they come while they are copied.
    is_drained: bool,
    /// The socket is watched, for either.
    is_heard: bool,
    pub(super) is_awaited: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// It is gone, or is to go at once.
    Broken,
    /// What was asked is answered, and that is all.
    Ending,
    Serving,
}

#[derive(Debug)]
struct Payload {
    head: RequestHead,
    buffer: IoBuffer,
    has: usize,
}

#[derive(Debug)]
enum Chunk {
    Data(IoBuffer, usize),
    Head(Bytes),
}

impl Chunk {
    fn len(&self) -> usize {
        match self {
            Self::Data(_, len) => *len,
            Self::Head(bytes) => bytes.len(),
        }
    }
}

/// A request to a volume.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) what: What,
    pub(super) head: RequestHead,
    /// Its data; none where it has none.
    pub(super) buffer: Option<IoBuffer>,
}

impl Client {
    pub(super) fn new(volume: VolumeNumber, socket: OwnedFd, session: Session) -> Self {
        let Session { export, replies, rest } = session;
        let mut input = vec![0; INPUT.max(rest.len())];
        input[..rest.len()].copy_from_slice(&rest);
        Self {
            volume,
            pid: pid_of(&socket),
            socket,
            export,
            replies,
            input,
            begin: 0,
            end: rest.len(),
            payload: None,
            out: VecDeque::new(),
            sent: 0,
            requests: 0,
            bytes: 0,
            state: State::Serving,
            is_drained: false,
            is_heard: false,
            is_awaited: false,
        }
    }

    pub(super) fn socket(&self) -> impl AsFd + '_ {
        self.socket.as_fd()
    }

    /// There is more to be sent than the socket takes.
    pub(super) fn has_unsent(&self) -> bool {
        !self.out.is_empty() && self.state != State::Broken
    }

    /// More of it may come.
    pub(super) fn listens(&self) -> bool {
        self.state == State::Serving
            && self.requests < REQUESTS_MAX
            && self.bytes < BYTES_MAX
            && self.out.len() < REQUESTS_MAX
    }

    /// Nothing is left of it to be done.
    pub(super) fn is_over(&self) -> bool {
        let is_done = self.requests == 0;
        match self.state {
            State::Broken => is_done,
            State::Ending => is_done && self.out.is_empty(),
            State::Serving => false,
        }
    }

    /// There is something to be heard that does not wait for the socket.
    pub(super) fn is_cut_short(&self) -> bool {
        let has_head = self.payload.is_none() && self.end - self.begin >= REQUEST_LEN;
        let has_data = self.payload.is_some() && self.end > self.begin;
        self.listens() && (has_head || has_data)
    }

    /// The next request that has come whole; replies to those that are refused are queued. `None`:
    /// there is none, for now or for ever, or `budget` is used up: what a client may have done for it
    /// before others have their turn, in bytes.
    pub(super) fn hear(&mut self, pool: &mut Pool, budget: &mut usize) -> Option<Asked> {
        while self.listens() && *budget > 0 {
            *budget = budget.saturating_sub(STEP);
            if let Some(payload) = &self.payload {
                let has = payload.has;
                if has < payload.buffer_len() {
                    if !self.fill_payload() {
                        return None;
                    }
                    let got = self.payload.as_ref().map_or(0, |payload| payload.has - has);
                    *budget = budget.saturating_sub(got);
                } else if let Some(asked) = self.take_payload() {
                    return Some(asked);
                }
            } else if self.end - self.begin >= REQUEST_LEN {
                if let Some(asked) = self.read_head(pool) {
                    return Some(asked);
                }
            } else if !self.receive() {
                return None;
            }
        }
        None
    }

    /// More of it has come, or it is gone.
    pub(super) fn may_be_heard(&mut self) {
        (self.is_heard, self.is_drained) = (false, false);
    }

    /// It is to be watched for more; not if it is already.
    pub(super) fn wants_watch(&mut self) -> bool {
        self.listens() && !std::mem::replace(&mut self.is_heard, true)
    }

    /// `false`: no more has come.
    fn receive(&mut self) -> bool {
        if self.is_drained {
            return false;
        }
        self.input.copy_within(self.begin..self.end, 0);
        (self.begin, self.end) = (0, self.end - self.begin);
        let room = &mut self.input[self.end..];
        match recv(&self.socket, &mut *room, RecvFlags::DONTWAIT) {
            Ok((count, _)) if count > 0 => {
                self.is_drained = count < room.len();
                self.end += count;
                true
            }
            other => self.not_received(other.map(|_| ())),
        }
    }

    /// The data of a write go where they will be written from.
    fn fill_payload(&mut self) -> bool {
        let Some(payload) = &mut self.payload else { return false };
        let len = payload.buffer_len();
        let until = len.min(payload.has + PAYLOAD);
        let Ok(mut room) = payload.buffer.fill(payload.has..until) else { return false };
        let here = (self.end - self.begin).min(room.len());
        if here > 0 {
            room[..here].copy_from_slice(&self.input[self.begin..self.begin + here]);
            self.begin += here;
            payload.has += here;
            return true;
        }
        let received = recv(&self.socket, &mut room[..], RecvFlags::DONTWAIT);
        drop(room);
        match received {
            Ok((count, _)) if count > 0 => {
                payload.has += count;
                true
            }
            other => self.not_received(other.map(|_| ())),
        }
    }

    fn not_received(&mut self, result: Result<(), Errno>) -> bool {
        match result {
            Err(Errno::INTR) => return true,
            Err(Errno::AGAIN) => self.is_drained = true,
            Ok(()) | Err(_) => self.state = State::Broken,
        }
        false
    }

    fn read_head(&mut self, pool: &mut Pool) -> Option<Asked> {
        let head = self.input[self.begin..].first_chunk().map(RequestHead::decode);
        self.begin += REQUEST_LEN;
        let head = match head {
            Some(Ok(head)) => head,
            Some(Err(error @ (BadRequest::Magic(_) | BadRequest::Payload(_)))) => {
                tracing::info!(export = self.export.name, "a client is cut off: {error}");
                self.state = State::Broken;
                return None;
            }
            None => return None,
        };
        if head.command == Command::Disconnect {
            self.state = State::Ending;
            return None;
        }
        let len = usize::try_from(head.payload_len()).unwrap_or(0);
        if len > 0 {
            self.payload = Some(Payload { head, buffer: pool.take(len), has: 0 });
            return None;
        }
        self.asked(head, None, pool)
    }

    fn take_payload(&mut self) -> Option<Asked> {
        let Payload { head, buffer, .. } = self.payload.take()?;
        match head.check(&self.export, self.replies) {
            Ok(()) => {
                let what = What::Write { durable: head.has_fua() };
                Some(self.begin_request(what, head, Some(buffer)))
            }
            Err(error) => {
                self.refuse(&head, error);
                None
            }
        }
    }

    fn asked(
        &mut self,
        head: RequestHead,
        buffer: Option<IoBuffer>,
        pool: &mut Pool,
    ) -> Option<Asked> {
        if let Err(error) = head.check(&self.export, self.replies) {
            self.refuse(&head, error);
            return None;
        }
        let durable = head.has_fua();
        let what = match head.command {
            Command::Flush => What::Flush,
            Command::Read => What::Read,
            Command::Write => What::Write { durable },
            // Copies stay equal only if what is read afterwards is said: zeros.
            Command::Trim => What::Zero { durable, may_unmap: true },
            Command::WriteZeroes => What::Zero { durable, may_unmap: !head.has_no_hole() },
            Command::BlockStatus | Command::Cache | Command::Disconnect | Command::Unknown(_) => {
                self.refuse(&head, NbdError::Inval);
                return None;
            }
        };
        let len = usize::try_from(head.length).unwrap_or(0);
        let buffer = buffer.or_else(|| (what == What::Read).then(|| pool.take(len)));
        Some(self.begin_request(what, head, buffer))
    }

    fn begin_request(&mut self, what: What, head: RequestHead, buffer: Option<IoBuffer>) -> Asked {
        self.requests += 1;
        self.bytes += buffer.as_ref().map_or(0, IoBuffer::len);
        Asked { what, head, buffer }
    }

    /// A request has come to its end.
    pub(super) fn answer(&mut self, asked: Asked, result: Result<(), IoFailed>, pool: &mut Pool) {
        let Asked { what, head, buffer } = asked;
        self.requests -= 1;
        let len = buffer.as_ref().map_or(0, IoBuffer::len);
        if self.state == State::Broken {
            self.bytes -= len;
            return;
        }
        let mut out = BytesMut::with_capacity(HEAD_MAX);
        match (result, what) {
            (Err(failed), _) => {
                let error = match failed {
                    IoFailed::Gone => NbdError::Shutdown,
                    IoFailed::Io => NbdError::Io,
                    // The volume has become shorter since the client came.
                    IoFailed::Range if what == What::Read => NbdError::Inval,
                    IoFailed::Range => NbdError::NoSpc,
                };
                self.replies.put_error(&mut out, head.cookie, error, &failed.to_string());
            }
            (Ok(()), What::Read) => {
                self.replies.put_data_head(&mut out, head.cookie, head.offset, head.length);
                self.out.push_back(Chunk::Head(out.split().freeze()));
                let len = usize::try_from(head.length).unwrap_or(0);
                if let Some(buffer) = buffer {
                    // It counts until it is sent.
                    self.out.push_back(Chunk::Data(buffer, len));
                }
                return;
            }
            (
                Ok(()),
                What::Copy
                | What::Fill { .. }
                | What::Flush
                | What::Hold
                | What::Write { .. }
                | What::Zero { .. },
            ) => {
                self.replies.put_done(&mut out, head.cookie);
            }
        }
        self.out.push_back(Chunk::Head(out.freeze()));
        self.bytes -= len;
        if let Some(buffer) = buffer {
            pool.give_back(buffer);
        }
    }

    fn refuse(&mut self, head: &RequestHead, error: NbdError) {
        let mut out = BytesMut::with_capacity(HEAD_MAX);
        self.replies.put_error(&mut out, head.cookie, error, &error.to_string());
        self.out.push_back(Chunk::Head(out.freeze()));
    }

    /// Sends what there is, as far as the socket takes it.
    pub(super) fn speak(&mut self, pool: &mut Pool) {
        while self.has_unsent() {
            let sent = self.send_some();
            match sent {
                Ok(0) | Err(Errno::AGAIN) => return,
                Ok(count) => self.forget_sent(count, pool),
                Err(Errno::INTR) => {}
                Err(_) => self.state = State::Broken,
            }
        }
        if self.state == State::Broken {
            self.out.clear();
        }
    }

    fn send_some(&self) -> Result<usize, Errno> {
        let chunks = self.out.iter().take(CHUNKS);
        let views = chunks.map(|chunk| match chunk {
            // It was read, and nobody fills it any more.
            Chunk::Data(buffer, len) => (None, buffer.view(0..*len).ok()),
            Chunk::Head(bytes) => (Some(bytes), None),
        });
        let views: Vec<_> = views.collect();
        let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(views.len());
        let mut skipped = self.sent;
        for (head, view) in &views {
            let bytes = match (head, view) {
                (Some(bytes), _) => &bytes[..],
                (None, Some(view)) => &view[..],
                (None, None) => return Err(Errno::IO),
            };
            slices.push(IoSlice::new(bytes.get(skipped..).unwrap_or_default()));
            skipped = 0;
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        sendmsg(&self.socket, &slices, &mut SendAncillaryBuffer::default(), flags)
    }

    fn forget_sent(&mut self, count: usize, pool: &mut Pool) {
        self.sent += count;
        while let Some(chunk) = self.out.front().filter(|chunk| chunk.len() <= self.sent) {
            self.sent -= chunk.len();
            if let Some(Chunk::Data(buffer, _)) = self.out.pop_front() {
                self.bytes -= buffer.len();
                pool.give_back(buffer);
            }
        }
    }
}

fn pid_of(socket: &OwnedFd) -> Option<u32> {
    let address = getsockname(socket).ok()?;
    if address.address_family() != AddressFamily::UNIX {
        return None;
    }
    let pid = socket_peercred(socket).ok()?.pid;
    u32::try_from(pid.as_raw_nonzero().get()).ok()
}

impl Payload {
    fn buffer_len(&self) -> usize {
        usize::try_from(self.head.payload_len()).unwrap_or(0)
    }
}

/// In sectors, which requests are multiples of.
pub(super) fn range(head: &RequestHead) -> (u64, u64) {
    (head.offset / SECTOR, u64::from(head.length) / SECTOR)
}

/// What is read of a socket at once, in bytes; and of the data of a write.
const INPUT: usize = 128 << 10;
const PAYLOAD: usize = 1 << 20;
/// So much a client may have asked for, until it hears of some of it.
const REQUESTS_MAX: usize = 256;
const BYTES_MAX: usize = 64 << 20;
/// What a step of reading a request costs of a budget at least; it reads no more than
/// [`PAYLOAD`].
const STEP: usize = 4 << 10;
/// Sent at once.
const CHUNKS: usize = 64;
/// The longest reply without data, but for texts.
const HEAD_MAX: usize = 96;

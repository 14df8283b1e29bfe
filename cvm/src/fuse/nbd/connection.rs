//! A connection to an export: one open file, as far as the server counts.
//!
//! Whoever asks sends as much as the socket takes at once and does not wait. One thread per
//! connection reads replies, calls those who wait for them, and sends what was left. It ends with the
//! connection, whatever ends that, and fails all that was not answered.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, sendmsg, shutdown};

use super::handshake::Export;
use super::pipeline::{Answer, Asked, Garbage, Pipeline};
use super::wire::{
    Command, FLAG_DF, FLAG_FUA, FLAG_NO_HOLE, SEND_DF, SEND_FLUSH, SEND_FUA, SEND_TRIM,
    SEND_WRITE_ZEROES,
};
use crate::fuse::volume::{Done, IoFailed, ReadDone, Volume};

/// An export that is open. It is closed when this is dropped.
pub(super) struct Connection {
    link: Arc<Link>,
}

struct Link {
    name: String,
    export: Export,
    /// Flags of every read.
    read_flags: u16,
    socket: UnixStream,
    /// Written when the socket is full: the thread is to wait until it is not.
    wake: OwnedFd,
    pipeline: Mutex<Pipeline>,
}

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the server closed it")]
    Closed,
    #[error("the server is not understood: {0}")]
    Garbage(#[from] Garbage),
    #[error("{0}")]
    Socket(#[from] Errno),
}

impl Connection {
    /// Goes on behind the handshake.
    ///
    /// # Errors
    /// If there is no thread or no descriptor for it.
    pub(super) fn start(
        name: String,
        export: Export,
        is_structured: bool,
        socket: UnixStream,
    ) -> io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let has_df = is_structured && export.flags & SEND_DF != 0;
        let read_flags = if has_df { FLAG_DF } else { 0 };
        let pipeline = Mutex::default();
        let link = Arc::new(Link { name, export, read_flags, socket, wake, pipeline });
        let reader = Arc::clone(&link);
        std::thread::Builder::new().name("nbd".to_owned()).spawn(move || reader.run())?;
        Ok(Self { link })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut pipeline = self.link.lock();
        pipeline.leave();
        self.link.pump(&mut pipeline);
    }
}

impl Volume for Connection {
    fn size(&self) -> u64 {
        self.link.export.size
    }

    fn block(&self) -> u32 {
        self.link.export.block
    }

    fn read(&self, offset: u64, len: u32, done: ReadDone) {
        let (command, flags, data) = (Command::Read, self.link.read_flags, Vec::new());
        self.link.submit(Asked { command, flags, offset, len, data, answer: Answer::Read(done) });
    }

    fn write(&self, offset: u64, data: Vec<u8>, durable: bool, done: Done) {
        let has_fua = self.link.offers(SEND_FUA);
        let flags = if durable && has_fua { FLAG_FUA } else { 0 };
        let done = if durable && !has_fua {
            let link = Arc::clone(&self.link);
            Box::new(move |result: Result<(), IoFailed>| match result {
                Ok(()) => link.flush(done),
                Err(failed) => done(Err(failed)),
            })
        } else {
            done
        };
        let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let (command, answer) = (Command::Write, Answer::Other(done));
        self.link.submit(Asked { command, flags, offset, len, data, answer });
    }

    fn flush(&self, done: Done) {
        self.link.flush(done);
    }

    fn trim(&self, offset: u64, len: u32, done: Done) {
        self.link.clear(SEND_TRIM, Command::Trim, 0, (offset, len), done);
    }

    fn zero(&self, offset: u64, len: u32, done: Done) {
        let (flag, command) = (SEND_WRITE_ZEROES, Command::WriteZeroes);
        self.link.clear(flag, command, FLAG_NO_HOLE, (offset, len), done);
    }
}

impl Link {
    fn lock(&self) -> MutexGuard<'_, Pipeline> {
        self.pipeline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    const fn offers(&self, flag: u16) -> bool {
        self.export.flags & flag != 0
    }

    fn flush(&self, done: Done) {
        // Without it all that is answered is safe, as far as the server knows.
        if !self.offers(SEND_FLUSH) {
            return done(Ok(()));
        }
        let (command, data, answer) = (Command::Flush, Vec::new(), Answer::Other(done));
        self.submit(Asked { command, flags: 0, offset: 0, len: 0, data, answer });
    }

    fn clear(
        &self,
        offer: u16,
        command: Command,
        flags: u16,
        (offset, len): (u64, u32),
        done: Done,
    ) {
        if !self.offers(offer) {
            return done(Err(IoFailed::Told(Errno::OPNOTSUPP)));
        }
        let (data, answer) = (Vec::new(), Answer::Other(done));
        self.submit(Asked { command, flags, offset, len, data, answer });
    }

    fn submit(&self, asked: Asked) {
        let mut pipeline = self.lock();
        match pipeline.submit(asked) {
            Ok(()) => self.pump(&mut pipeline),
            Err(answer) => {
                drop(pipeline);
                answer.fail(IoFailed::Gone);
            }
        }
    }

    /// Sends what may be sent, as far as the socket takes it.
    fn pump(&self, pipeline: &mut Pipeline) {
        while !pipeline.is_stuck {
            let Some(parts) = pipeline.to_send() else { break };
            let parts = parts.map(IoSlice::new);
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match sendmsg(&self.socket, &parts, &mut SendAncillaryBuffer::default(), flags) {
                Ok(count) => pipeline.on_sent(count),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    pipeline.is_stuck = true;
                    let _ = rustix::io::write(&self.wake, &ONE);
                }
                Err(_) => {
                    // The thread hears of it, and fails everything.
                    let _ = shutdown(&self.socket, Shutdown::Both);
                    return;
                }
            }
        }
        // A server that waits for more than it was told hears that there is none.
        if pipeline.has_said_all() {
            let _ = shutdown(&self.socket, Shutdown::Write);
        }
    }

    fn run(&self) {
        let mut inbox = Inbox::default();
        let ended = loop {
            if let Err(ended) = self.turn(&mut inbox) {
                break ended;
            }
        };
        let _ = shutdown(&self.socket, Shutdown::Both);
        let (is_leaving, unanswered) = {
            let mut pipeline = self.lock();
            (pipeline.is_leaving(), pipeline.end())
        };
        let (name, count) = (&self.name, unanswered.len());
        if is_leaving && count == 0 {
            tracing::debug!("{name}: closed");
        } else {
            tracing::warn!(
                "{name}: the connection is over: {ended}; requests that failed: {count}"
            );
        }
        unanswered.into_iter().for_each(|answer| answer.fail(IoFailed::Gone));
    }

    /// Waits until something can be done, and does it.
    fn turn(&self, inbox: &mut Inbox) -> Result<(), Ended> {
        let is_stuck = self.lock().is_stuck;
        let out = if is_stuck { PollFlags::OUT } else { PollFlags::empty() };
        let mut fds = [
            PollFd::new(&self.socket, PollFlags::IN | out),
            PollFd::new(&self.wake, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let [socket, wake] = fds.map(|fd| fd.revents());
        if !wake.is_empty() {
            let mut count = [0; 8];
            let _ = rustix::io::read(&self.wake, &mut count);
        }
        if socket.contains(PollFlags::OUT) {
            self.lock().is_stuck = false;
        }
        if socket.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            inbox.receive(&self.socket)?;
            self.hear(inbox)?;
        }
        self.pump(&mut self.lock());
        Ok(())
    }

    /// Goes through the replies that have come whole.
    fn hear(&self, inbox: &mut Inbox) -> Result<(), Ended> {
        loop {
            let bytes = inbox.bytes();
            let Some(head) = self.lock().read_head(bytes)? else { return Ok(()) };
            let len = head.len + head.body;
            let Some(body) = bytes.get(head.len..len) else {
                inbox.make_room(len);
                return Ok(());
            };
            let finished = self.lock().take(&head, body)?;
            if let Some(finished) = finished {
                finished.tell(body);
            }
            inbox.consume(len);
        }
    }
}

/// What has come and is not read yet: from `begin` to `end`.
struct Inbox {
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
}

impl Default for Inbox {
    fn default() -> Self {
        Self { buffer: vec![0; INBOX], begin: 0, end: 0 }
    }
}

impl Inbox {
    fn bytes(&self) -> &[u8] {
        &self.buffer[self.begin..self.end]
    }

    fn consume(&mut self, count: usize) {
        self.begin += count;
    }

    /// A message is so long.
    fn make_room(&mut self, len: usize) {
        if self.buffer.len() < len {
            self.buffer.resize(len, 0);
        }
    }

    fn receive(&mut self, socket: &UnixStream) -> Result<(), Ended> {
        self.buffer.copy_within(self.begin..self.end, 0);
        (self.begin, self.end) = (0, self.end - self.begin);
        match recv(socket, &mut self.buffer[self.end..], RecvFlags::DONTWAIT) {
            Ok((0, _)) => Err(Ended::Closed),
            Ok((count, _)) => {
                self.end += count;
                Ok(())
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// As eventfd wants it; any number will do.
const ONE: [u8; 8] = [1, 0, 0, 0, 0, 0, 0, 0];
/// Room for what has come, to begin with: longer messages make it larger. In bytes.
const INBOX: usize = 128 << 10;

//! A registration on a GAB port, over the socket of gabd.

use std::path::PathBuf;
use std::time::Duration;

use llt::NodeId;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::core::{AckError, ClientCore};
use super::driver::{Driver, OpenFailure};
use super::socket::{ConnectError, Connection, Deadline, default_root};
use crate::event::{ClientEvent, CloseReason, Level, OpenError, OpenOptions, SendError};
use crate::ids::PortName;

/// A registration on a port.
///
/// Calls block unless they are named `try_*`. In an event loop, wait until [`as_fd`](Self::as_fd)
/// is readable, then call [`try_recv`](Self::try_recv) until it gives `None`.
///
/// A program that sends must also receive: what is delivered to it takes room that flow-controls
/// all senders of the port, itself included, and who does not read for long is closed with
/// [`CloseReason::NotReading`]. A blocking send that waits for room receives nothing for the
/// program; one that sends much without a pause uses [`try_broadcast`](Self::try_broadcast), and
/// receives and [`wait`](Self::wait)s when it would block.
///
/// Dropping a port unregisters without waiting; [`close`](Self::close) waits until all that was
/// accepted is ordered.
#[derive(Debug)]
pub struct Port {
    driver: Driver<ClientCore>,
    node: NodeId,
    supervised: bool,
}

/// How to register.
#[derive(Clone, Debug)]
pub struct Options {
    /// The node's root folder; by default `MUSTER_ROOT`, or `/`.
    pub root: PathBuf,
    /// For listings; cut after 64 bytes. By default the name of the program.
    pub name: String,
    /// Each view is acknowledged with [`Port::ack`]; the next one waits for it.
    pub ack: bool,
    /// Supervised: while the program is in no call for so long, gabd takes it for hung and kills it;
    /// any call counts, and one that waits counts all the time. 100 ms to an hour.
    pub heartbeat: Option<Duration>,
    /// A kernel-type client: it dies only with its process and whatever holds its
    /// [socket](Port::socket) after that, and its ejection halts the node.
    pub kernel: bool,
    /// Several clients of this node share the port as one member.
    pub shared: bool,
    /// Deliver `Status` events too.
    pub status: bool,
    /// A call that waits looks so long without sleeping first: less latency, for processor time that
    /// nobody else wants. By default `MUSTER_BUSY_POLL` in microseconds, or not at all.
    pub busy_poll: Duration,
}

/// The environment variable that [`Options::busy_poll`] and gabd's `--busy-poll` have their default
/// from: microseconds, up to 1000.
pub const BUSY_POLL: &str = "MUSTER_BUSY_POLL";

pub(super) fn busy_poll() -> Duration {
    let micros = std::env::var(BUSY_POLL).ok().and_then(|text| text.parse::<u64>().ok());
    Duration::from_micros(micros.unwrap_or(0))
}

impl Default for Options {
    fn default() -> Self {
        let program = std::env::args_os().next().map(PathBuf::from);
        let name = program.as_deref().and_then(|path| path.file_name());
        Self {
            root: default_root(),
            name: name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            ack: false,
            heartbeat: None,
            kernel: false,
            shared: false,
            status: false,
            busy_poll: busy_poll(),
        }
    }
}

/// Why a registration failed; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// gabd closed the connection instead of answering.
    #[error(transparent)]
    Closed(CloseReason),
    /// There is no connection to gabd.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// gabd refused it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// gabd refused it for another reason.
    #[error("gabd refused the registration: {text}")]
    Refused {
        /// A positive errno.
        errno: i32,
        /// gabd's words.
        text: String,
    },
    /// This process has no descriptors or memory left.
    #[error("cannot make the port's descriptor")]
    System(#[source] std::io::Error),
    /// gabd does not answer (`ETIMEDOUT`).
    #[error("gabd does not answer")]
    TimedOut,
}

impl RegisterError {
    /// The positive errno that C clients see negated.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Closed(reason) => reason.errno(),
            Self::Connect(error) => error.errno(),
            Self::Open(error) => error.errno(),
            Self::Refused { errno, .. } => *errno,
            Self::System(error) => error.raw_os_error().unwrap_or(12),
            Self::TimedOut => 110,
        }
    }
}

/// Why a port did not close in order; the registration is over all the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CloseError {
    /// GAB closed it first: what was accepted last may be lost.
    #[error(transparent)]
    Closed(CloseReason),
    /// The end of the order was not seen in time (`ETIMEDOUT`).
    #[error("gabd did not confirm the close")]
    TimedOut,
}

impl CloseError {
    /// The positive errno that C clients see negated.
    pub const fn errno(self) -> i32 {
        match self {
            Self::Closed(reason) => reason.errno(),
            Self::TimedOut => 110,
        }
    }
}

impl Port {
    /// Registers on `port`. Returns when gabd has accepted; the first view comes as an event, at
    /// once or when the cluster has seeded.
    pub fn register(port: PortName, options: &Options) -> Result<Self, RegisterError> {
        Self::over(Connection::connect(&options.root)?, port, options)
    }

    /// Registers over a socket that somebody connected and made nonblocking.
    pub fn register_over(
        socket: OwnedFd,
        port: PortName,
        options: &Options,
    ) -> Result<Self, RegisterError> {
        Self::over(Connection::new(socket), port, options)
    }

    /// Broadcasts to every member of the port, this one included. Waits for room, but never for
    /// the delivery. With `more` the message may be held until the next call without it,
    /// [`flush`](Self::flush), or a receive: many then travel as one.
    ///
    /// Accepted means ordered, unless a `Closed` event says otherwise. Refused means unchanged.
    pub fn broadcast(&mut self, payload: &[u8], level: Level, more: bool) -> Result<(), SendError> {
        self.send(true, more, |core| core.broadcast(level, payload))
    }

    /// [`broadcast`](Self::broadcast) that gives `WouldBlock` instead of waiting for room.
    pub fn try_broadcast(
        &mut self,
        payload: &[u8],
        level: Level,
        more: bool,
    ) -> Result<(), SendError> {
        self.send(false, more, |core| core.broadcast(level, payload))
    }

    /// Sends to the port's client on `node`, reliably and in order. Waits for room.
    ///
    /// A message to a client that leaves the port meanwhile is dropped; the next view tells that
    /// it left.
    pub fn send_to(&mut self, node: NodeId, payload: &[u8], more: bool) -> Result<(), SendError> {
        self.send(true, more, |core| core.send_to(node, payload))
    }

    /// [`send_to`](Self::send_to) that gives `WouldBlock` instead of waiting for room.
    pub fn try_send_to(
        &mut self,
        node: NodeId,
        payload: &[u8],
        more: bool,
    ) -> Result<(), SendError> {
        self.send(false, more, |core| core.send_to(node, payload))
    }

    /// Hands everything that was held to gabd. Fails only once the port is closed.
    pub fn flush(&mut self) -> Result<(), SendError> {
        self.driver.flush_all();
        self.show_life();
        self.driver.watch();
        if self.driver.core.is_over() { Err(SendError::Closed) } else { Ok(()) }
    }

    /// [`flush`](Self::flush) that does not wait: hands gabd what its socket takes now, and `false`
    /// if that is not all. The rest goes with later calls; [`as_fd`](Self::as_fd) tells when.
    pub fn try_flush(&mut self) -> Result<bool, SendError> {
        let flushed = self.driver.try_flush();
        self.show_life();
        self.driver.watch();
        if self.driver.core.is_over() { Err(SendError::Closed) } else { Ok(flushed) }
    }

    /// The next event; waits for it. After `Closed` it gives the same `Closed` again.
    pub fn recv(&mut self) -> ClientEvent {
        loop {
            if let Some(event) = self.recv_until(Deadline::Never) {
                return event;
            }
        }
    }

    /// The next event, or `None` if there is none within `timeout`.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Option<ClientEvent> {
        self.recv_until(Deadline::after(timeout))
    }

    /// The next event, if there is one already.
    pub fn try_recv(&mut self) -> Option<ClientEvent> {
        self.show_life();
        self.driver.try_recv()
    }

    /// Waits until gabd says something, at most for `timeout`: an event that can be received now,
    /// or room to send. `false` if it said nothing. For programs that use `try_broadcast`, receive
    /// what there is, and then have nothing else to do.
    pub fn wait(&mut self, timeout: Option<Duration>) -> bool {
        self.driver.wait(timeout.map_or(Deadline::Never, Deadline::after))
    }

    /// The client has recovered from the view of this generation, the newest it received.
    pub fn ack(&mut self, generation: u64) -> Result<(), AckError> {
        self.driver.core.ack(generation)?;
        self.driver.transmit(false);
        self.driver.watch();
        Ok(())
    }

    /// The own node id.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The socket to gabd, for who waits apart from the port, for room to send say: something came
    /// when it is readable. It may only be polled, and duplicated; use [`as_fd`](Self::as_fd) to wait for
    /// events. What holds a duplicate keeps the registration of a kernel-type client alive: a ring of
    /// `io_uring` that has it among its files, until its last operation is over.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.driver.socket()
    }

    /// Is something accepted that gabd's socket had no room for yet? It goes with a later call,
    /// once [`socket`](Self::socket) is writable.
    pub fn has_unsent(&self) -> bool {
        self.driver.has_unsent()
    }

    /// Has the registration ended? The reason is its last event.
    pub fn is_closed(&self) -> bool {
        self.driver.core.is_over()
    }

    /// How much may be sent without waiting: messages, bytes.
    pub fn send_credit(&self) -> (usize, usize) {
        self.driver.core.send_credit()
    }

    /// Unregisters. Loses nothing that was accepted: waits until gabd has ordered it, at most a
    /// minute, which is longer than a change of membership takes. Events that were not received
    /// are dropped.
    pub fn close(mut self) -> Result<(), CloseError> {
        self.driver.close()
    }

    fn over(socket: Connection, port: PortName, options: &Options) -> Result<Self, RegisterError> {
        let Options { ack, heartbeat, kernel, shared, status, .. } = *options;
        let open = OpenOptions { ack, heartbeat, kernel, shared, status };
        let core = ClientCore::new(port, open, &options.name);
        let mut driver = Driver::new(core, socket, options.busy_poll)
            .map_err(|errno| RegisterError::System(errno.into()))?;
        let node = driver.open().map_err(|failure| match failure {
            OpenFailure::Closed(reason) => RegisterError::Closed(reason),
            OpenFailure::Refused { errno, text } => match OpenError::from_errno(errno) {
                Some(error) => error.into(),
                None => RegisterError::Refused { errno, text },
            },
            OpenFailure::TimedOut => RegisterError::TimedOut,
        })?;
        Ok(Self { driver, node, supervised: heartbeat.is_some() })
    }

    /// A call that need not have talked to gabd: if gabd asks for a sign of life, this was one. The
    /// question may lie behind everything that the program has not read; credit bounds that.
    fn show_life(&mut self) {
        while self.supervised && self.driver.receive() {}
    }

    fn recv_until(&mut self, deadline: Deadline) -> Option<ClientEvent> {
        loop {
            let event = self.try_recv();
            if event.is_some() || !self.driver.sleep(deadline) {
                return event;
            }
        }
    }

    fn send(
        &mut self,
        wait: bool,
        more: bool,
        send: impl Fn(&mut ClientCore) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let result = loop {
            let result = send(&mut self.driver.core);
            if !matches!(result, Err(SendError::NotMember | SendError::WouldBlock)) {
                break result;
            }
            // What would change the answer may have arrived, or wait for what we hold back.
            self.driver.transmit(false);
            if self.driver.receive() || self.driver.core.is_over() {
                continue;
            }
            if !wait || result == Err(SendError::NotMember) {
                break result;
            }
            self.driver.sleep(Deadline::Never);
        };
        if result.is_ok() && more {
            self.driver.transmit(true);
            self.show_life();
        } else if result.is_ok() && wait {
            self.driver.flush_all();
        } else {
            self.driver.transmit(false);
        }
        self.driver.watch();
        result
    }
}

/// Readable when a receive would return at once, also when the event is in the port's own queue.
/// It may be readable for nothing (gabd granted credit): use [`Port::try_recv`] after it.
impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.driver.as_fd()
    }
}

impl AsRawFd for Port {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.driver.hang_up();
    }
}

#[cfg(test)]
mod tests;

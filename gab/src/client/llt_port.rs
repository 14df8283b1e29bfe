//! An LLT port, over the socket of gabd.

use std::path::Path;
use std::time::Duration;

use llt::NodeId;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use super::driver::{Driver, OpenFailure};
use super::llt_core::{LltCore, LltEvent, LltSendError};
use super::port::CloseError;
use super::port::busy_poll;
use super::session::Core as _;
use super::socket::{ConnectError, Connection, Deadline};
use crate::event::CloseReason;

/// A process's LLT port: messages to and from the clients of the same port on other nodes, below
/// GAB. There is no membership and no common order: per node and port messages are in order, once
/// and whole, for as long as the connection of the two nodes lasts. What was under way when it broke
/// is lost, and nobody is told.
///
/// Ports 1 to 29 are free for programs, one client each and node. Calls block unless they are named
/// `try_*`. In an event loop, wait until [`as_fd`](AsFd::as_fd) is readable, then call
/// [`try_recv`](Self::try_recv) until it gives `None`.
///
/// Who does not read stops those who send to this port on this node, and nobody else.
///
/// Dropping it gives the port up without waiting; [`close`](Self::close) waits until LLT has taken
/// all that was accepted.
#[derive(Debug)]
pub struct LltPort {
    driver: Driver<LltCore>,
    node: NodeId,
}

/// Why a port was not opened; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum LltOpenError {
    /// Another client of this node has it, or it is GAB's (`EBUSY`).
    #[error("{text}")]
    Busy {
        /// gabd's words.
        text: String,
    },
    /// gabd closed the connection instead of answering.
    #[error(transparent)]
    Closed(CloseReason),
    /// There is no connection to gabd.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// gabd refused it for another reason.
    #[error("gabd refused the LLT port: {text}")]
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

impl LltOpenError {
    /// The positive errno that C clients see negated.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Busy { .. } => EBUSY,
            Self::Closed(reason) => reason.errno(),
            Self::Connect(error) => error.errno(),
            Self::Refused { errno, .. } => *errno,
            Self::System(error) => error.raw_os_error().unwrap_or(12),
            Self::TimedOut => 110,
        }
    }
}

impl LltPort {
    /// Opens an LLT port of the node with this root.
    ///
    /// # Errors
    /// See [`LltOpenError`]; nothing was changed.
    pub fn open(root: &Path, port: llt::LltPort) -> Result<Self, LltOpenError> {
        let mut driver = Driver::new(LltCore::new(port), Connection::connect(root)?, busy_poll())
            .map_err(|errno| LltOpenError::System(errno.into()))?;
        let node = driver.open().map_err(|failure| match failure {
            OpenFailure::Closed(reason) => LltOpenError::Closed(reason),
            OpenFailure::Refused { errno: EBUSY, text } => LltOpenError::Busy { text },
            OpenFailure::Refused { errno, text } => LltOpenError::Refused { errno, text },
            OpenFailure::TimedOut => LltOpenError::TimedOut,
        })?;
        Ok(Self { driver, node })
    }

    /// Sends to the client of the port on `node`, this node included: reliably and in order, or
    /// once as a datagram, which has to fit one frame. Waits for room.
    ///
    /// Accepted is not arrived: a node that is not connected shows as [`LltEvent::NotSent`], and
    /// one without a client on the port drops it.
    ///
    /// # Errors
    /// See [`LltSendError`]; nothing was changed.
    pub fn send(
        &mut self,
        node: NodeId,
        payload: &[u8],
        reliable: bool,
    ) -> Result<(), LltSendError> {
        self.queue(node, payload, reliable)?;
        self.flush()
    }

    /// [`send`](Self::send) that holds the message until the next call of another kind: many then
    /// travel to gabd as one.
    ///
    /// # Errors
    /// See [`LltSendError`]; nothing was changed.
    pub fn queue(
        &mut self,
        node: NodeId,
        payload: &[u8],
        reliable: bool,
    ) -> Result<(), LltSendError> {
        loop {
            match self.driver.core.send(node, payload, reliable) {
                Err(LltSendError::WouldBlock) => {
                    self.driver.transmit(false);
                    if !self.driver.receive() && !self.driver.core.session().is_over() {
                        self.driver.sleep(Deadline::Never);
                    }
                }
                result => {
                    self.driver.transmit(true);
                    self.driver.watch();
                    return result;
                }
            }
        }
    }

    /// [`send`](Self::send) that gives `WouldBlock` instead of waiting for room.
    ///
    /// # Errors
    /// See [`LltSendError`]; nothing was changed.
    pub fn try_send(
        &mut self,
        node: NodeId,
        payload: &[u8],
        reliable: bool,
    ) -> Result<(), LltSendError> {
        let result = loop {
            let result = self.driver.core.send(node, payload, reliable);
            // Room may have been granted already.
            if result != Err(LltSendError::WouldBlock) || !self.driver.receive() {
                break result;
            }
        };
        self.driver.transmit(false);
        self.driver.watch();
        result
    }

    /// Hands everything that was held to gabd.
    ///
    /// # Errors
    /// Only once the port is closed.
    pub fn flush(&mut self) -> Result<(), LltSendError> {
        self.driver.flush_all();
        self.driver.watch();
        if self.driver.core.session().is_over() { Err(LltSendError::Closed) } else { Ok(()) }
    }

    /// The next event; waits for it, for ever or for `timeout`. `None` if there was none in time.
    /// After `Closed` it gives the same `Closed` again.
    pub fn recv(&mut self, timeout: Option<Duration>) -> Option<LltEvent> {
        self.driver.recv(timeout.map_or(Deadline::Never, Deadline::after))
    }

    /// The next event, if there is one already.
    pub fn try_recv(&mut self) -> Option<LltEvent> {
        self.driver.try_recv()
    }

    /// Waits until gabd says something, at most for `timeout`: an event that can be received now,
    /// or room to send. `false` if it said nothing.
    pub fn wait(&mut self, timeout: Option<Duration>) -> bool {
        self.driver.wait(timeout.map_or(Deadline::Never, Deadline::after))
    }

    /// The own node id.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// How much may be sent without waiting: messages, bytes.
    pub fn send_credit(&self) -> (usize, usize) {
        self.driver.core.send_credit()
    }

    /// Messages that were accepted and, as far as gabd has said, not sent after all: each is also
    /// an [`LltEvent::NotSent`] among the events.
    pub fn not_sent(&self) -> u64 {
        self.driver.core.not_sent()
    }

    /// Gives the port up, once LLT has taken all that was accepted; waits for that at most a
    /// minute. Events that were not received are dropped.
    ///
    /// # Errors
    /// gabd ended the connection first, or a node took nothing for so long: what was accepted last
    /// is lost.
    pub fn close(mut self) -> Result<(), CloseError> {
        self.driver.close()
    }
}

/// Readable when a receive would return at once; it may be readable for nothing.
impl AsFd for LltPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.driver.as_fd()
    }
}

impl AsRawFd for LltPort {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl Drop for LltPort {
    fn drop(&mut self) {
        self.driver.hang_up();
    }
}

const EBUSY: i32 = 16;

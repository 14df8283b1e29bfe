//! A client's state machine and the socket that it talks over: what all kinds of clients share.

use std::time::Duration;

use bytes::Bytes;
use llt::NodeId;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;

use super::core::ClientState;
use super::port::CloseError;
use super::readiness::Readiness;
use super::session::{Core, SessionEvent};
use super::socket::{Connection, Deadline, Received, Sent};
use crate::event::CloseReason;

/// See the module.
#[derive(Debug)]
pub(super) struct Driver<C> {
    pub(super) core: C,
    socket: Connection,
    readiness: Readiness,
    /// A datagram that the socket had no room for.
    unsent: Option<Bytes>,
    /// How long to look before sleeping.
    busy_poll: Duration,
}

/// Why there is no open port.
#[derive(Debug)]
pub(super) enum OpenFailure {
    Closed(CloseReason),
    Refused { errno: i32, text: String },
    TimedOut,
}

impl<C: Core> Driver<C> {
    pub(super) fn new(core: C, socket: Connection, busy_poll: Duration) -> Result<Self, Errno> {
        let readiness = Readiness::new(socket.as_fd())?;
        Ok(Self { core, socket, readiness, unsent: None, busy_poll })
    }

    /// Sends what there is to send, without waiting. With `full_only` the last datagram stays
    /// open for more.
    pub(super) fn transmit(&mut self, full_only: bool) {
        loop {
            let next = self.unsent.take().or_else(|| {
                if full_only {
                    self.core.session_mut().out.pop_full()
                } else {
                    self.core.poll_transmit()
                }
            });
            let Some(datagram) = next else {
                return;
            };
            match self.socket.send(&datagram) {
                Sent::Whole => {}
                Sent::WouldBlock => {
                    self.unsent = Some(datagram);
                    return;
                }
                Sent::HungUp => {
                    // gabd may have said why before it hung up.
                    while self.receive() {}
                    self.core.session_mut().end(CloseReason::Died);
                    return;
                }
            }
        }
    }

    /// Sends what there is to send, and reads meanwhile, so that two full sockets cannot wait for
    /// each other: what comes in is bounded by its credit.
    pub(super) fn flush_all(&mut self) {
        while !self.try_flush() {
            self.socket.wait(true, Deadline::Never);
        }
    }

    /// The same without waiting; `false` if the socket has no room for all, and nothing to read.
    pub(super) fn try_flush(&mut self) -> bool {
        loop {
            self.transmit(false);
            if self.core.session().is_over() {
                self.unsent = None;
            }
            if self.unsent.is_none() {
                return true;
            }
            if !self.receive() {
                return false;
            }
        }
    }

    /// The socket, to be polled.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Is there a datagram that the socket had no room for?
    pub(super) const fn has_unsent(&self) -> bool {
        self.unsent.is_some()
    }

    /// Takes one datagram; `false` if there was none or the connection is over.
    pub(super) fn receive(&mut self) -> bool {
        if self.core.session().is_over() {
            return false;
        }
        match self.socket.receive() {
            Received::Datagram(datagram) => {
                self.core.handle_datagram(datagram);
                if self.core.owes_answer() {
                    self.transmit(false);
                }
                true
            }
            Received::HungUp => {
                self.core.session_mut().end(CloseReason::Died);
                false
            }
            Received::Nothing => false,
        }
    }

    /// Sleeps until gabd says something or the deadline. `false` once that has passed. Wakes early
    /// now and then.
    pub(super) fn sleep(&self, deadline: Deadline) -> bool {
        let writable = self.unsent.is_some();
        let time = deadline.at_most(self.busy_poll);
        self.socket.spin(writable, time) || self.socket.wait(writable, deadline)
    }

    /// Waits until gabd says something; `false` if it did not by then. What waits to be sent goes out
    /// meanwhile, as the socket takes it.
    pub(super) fn wait(&mut self, deadline: Deadline) -> bool {
        let said = loop {
            self.transmit(false);
            if self.core.session().has_event() || self.core.session().is_over() || self.receive() {
                break true;
            }
            // It also wakes when the socket takes more, which nobody has asked for.
            if !self.sleep(deadline) {
                break false;
            }
        };
        self.watch();
        said
    }

    /// The next event; waits for it until the deadline.
    pub(super) fn recv(&mut self, deadline: Deadline) -> Option<C::Event> {
        let event = loop {
            let event = self.poll();
            if event.is_some() || !self.sleep(deadline) {
                break event;
            }
        };
        self.watch();
        event
    }

    /// The next event, if there is one already. After the last it gives that again.
    pub(super) fn try_recv(&mut self) -> Option<C::Event> {
        let event = self.poll();
        self.watch();
        event
    }

    fn poll(&mut self) -> Option<C::Event> {
        self.transmit(false);
        loop {
            if let Some(event) = self.core.poll_event() {
                return Some(event);
            }
            if let ClientState::Closed(reason) = self.core.session().state {
                return Some(C::Event::closed(reason));
            }
            if !self.receive() {
                return None;
            }
        }
    }

    /// Waits until gabd has taken or refused the port.
    pub(super) fn open(&mut self) -> Result<NodeId, OpenFailure> {
        let deadline = Deadline::after(OPEN_TIMEOUT);
        loop {
            self.transmit(false);
            let idle = !self.receive();
            match &self.core.session().state {
                ClientState::Open(node) => {
                    let node = *node;
                    self.watch();
                    return Ok(node);
                }
                ClientState::Opening if idle && !self.sleep(deadline) => {
                    // Whenever gabd reads the question, it reads that nobody wants it any more.
                    self.hang_up();
                    return Err(OpenFailure::TimedOut);
                }
                ClientState::Opening => {}
                ClientState::Refused { errno, text } => {
                    return Err(OpenFailure::Refused { errno: *errno, text: text.clone() });
                }
                // It may have been open for a moment; the caller never saw it.
                ClientState::Closed(reason) => return Err(OpenFailure::Closed(*reason)),
                ClientState::Closing | ClientState::Done => {
                    unreachable!("nobody called close on this core")
                }
            }
        }
    }

    /// Ends the connection after all that was accepted, and waits for that.
    pub(super) fn close(&mut self) -> Result<(), CloseError> {
        self.core.close();
        if !self.finish(Deadline::after(CLOSE_TIMEOUT)) {
            return Err(CloseError::TimedOut);
        }
        match self.core.session().state {
            ClientState::Closed(reason) => Err(CloseError::Closed(reason)),
            ClientState::Closing
            | ClientState::Done
            | ClientState::Open(_)
            | ClientState::Opening
            | ClientState::Refused { .. } => Ok(()),
        }
    }

    /// Says that the connection ends, without waiting.
    pub(super) fn hang_up(&mut self) {
        self.core.close();
        self.transmit(false);
    }

    /// Sends and receives until the core is over; `false` if it is not by then.
    fn finish(&mut self, deadline: Deadline) -> bool {
        while !self.core.session().is_over() {
            let idle = !self.receive();
            self.transmit(false);
            if idle && !self.core.session().is_over() && !self.sleep(deadline) {
                return false;
            }
        }
        true
    }

    /// Brings the descriptor up to date.
    pub(super) fn watch(&mut self) {
        let queued = self.core.session().has_event() || self.core.session().is_over();
        self.readiness.watch(self.socket.as_fd(), queued, self.unsent.is_some());
    }
}

/// Readable when there is an event, also when it is in the queue of the core.
impl<C> AsFd for Driver<C> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.readiness.as_fd()
    }
}

/// gabd answers an `Open` in the turn in which it reads it.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
/// Longer than a change of membership takes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(60);

//! A client's state machine and the socket that it talks over: what all kinds of clients share.

use bytes::Bytes;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;

use super::readiness::Readiness;
use super::socket::{Connection, Deadline, Received, Sent};

/// A state machine over `gab.sock`, as its driver sees it.
pub(super) trait Core {
    /// A datagram arrived.
    fn handle_datagram(&mut self, datagram: Bytes);
    /// gabd hung up.
    fn handle_hang_up(&mut self);
    /// The next datagram to send.
    fn poll_transmit(&mut self) -> Option<Bytes>;
    /// The next datagram to send that is full.
    fn poll_full_transmit(&mut self) -> Option<Bytes>;
    /// Does gabd wait for an answer that must not wait for the next call?
    fn owes_answer(&self) -> bool {
        false
    }
    /// Is there an event for the user?
    fn has_event(&self) -> bool;
    /// Is nothing more worth sending or receiving?
    fn is_over(&self) -> bool;
}

/// See the module.
#[derive(Debug)]
pub(super) struct Driver<C> {
    pub(super) core: C,
    socket: Connection,
    readiness: Readiness,
    /// A datagram that the socket had no room for.
    unsent: Option<Bytes>,
}

impl<C: Core> Driver<C> {
    pub(super) fn new(core: C, socket: Connection) -> Result<Self, Errno> {
        let readiness = Readiness::new(socket.as_fd())?;
        Ok(Self { core, socket, readiness, unsent: None })
    }

    /// Sends what there is to send, without waiting. With `full_only` the last datagram stays
    /// open for more.
    pub(super) fn transmit(&mut self, full_only: bool) {
        loop {
            let next = self.unsent.take().or_else(|| {
                if full_only { self.core.poll_full_transmit() } else { self.core.poll_transmit() }
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
                    self.core.handle_hang_up();
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
            if self.core.is_over() {
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
        if self.core.is_over() {
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
                self.core.handle_hang_up();
                false
            }
            Received::Nothing => false,
        }
    }

    /// Sleeps until gabd says something or the deadline. `false` once that has passed. Wakes early
    /// now and then.
    pub(super) fn sleep(&self, deadline: Deadline) -> bool {
        self.socket.wait(self.unsent.is_some(), deadline)
    }

    /// Waits until gabd says something; `false` if it did not by then. What waits to be sent goes out
    /// meanwhile, as the socket takes it.
    pub(super) fn wait(&mut self, deadline: Deadline) -> bool {
        let said = loop {
            self.transmit(false);
            if self.core.has_event() || self.core.is_over() || self.receive() {
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

    /// Sends and receives until the core is over; `false` if it is not by then.
    pub(super) fn finish(&mut self, deadline: Deadline) -> bool {
        while !self.core.is_over() {
            let idle = !self.receive();
            self.transmit(false);
            if idle && !self.core.is_over() && !self.sleep(deadline) {
                return false;
            }
        }
        true
    }

    /// Brings the descriptor up to date.
    pub(super) fn watch(&mut self) {
        let queued = self.core.has_event() || self.core.is_over();
        self.readiness.watch(self.socket.as_fd(), queued, self.unsent.is_some());
    }
}

/// Readable when there is an event, also when it is in the queue of the core.
impl<C> AsFd for Driver<C> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.readiness.as_fd()
    }
}

//! A port that several threads may use: what a `gab_port` is.
//!
//! A lock guards the port, and nobody sleeps with it held: whoever waits polls a descriptor
//! outside and then looks again. So one thread can wait for events while others send.
//!
//! * A receiver waits on the port's descriptor, which stays readable as long as an event is
//!   queued: whoever read it from the socket, the receiver wakes.
//! * A sender waits for credit, which a receiver may read from the socket before the sender polls
//!   it. So it polls an eventfd, too, that is set by whoever sees credit come while it waits.
//!   Waiting senders take turns: one waits, the others wait for it.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::PortName;
use client::client::{Options, Port};
use client::event::{ClientEvent, SendError};
use llt::NodeId;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use crate::abi::Event;

/// See the module.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Held by the sender that waits, or is about to.
    turn: Mutex<()>,
    /// The port's descriptors once more, to be polled while others use the port.
    events: OwnedFd,
    socket: OwnedFd,
    /// Set when credit came while a sender waited.
    credit: OwnedFd,
    node: NodeId,
}

#[derive(Debug)]
struct State {
    port: Port,
    /// What the data of the last event points to.
    payload: Bytes,
    sender_waits: bool,
}

/// Whether to wait for room, and what else to do with a send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Send {
    /// Wait for room.
    pub(crate) wait: bool,
    /// More follows.
    pub(crate) more: bool,
}

impl Shared {
    /// Registers.
    pub(crate) fn open(name: PortName, options: &Options) -> Result<Self, Errno> {
        let port = Port::register(name, options)
            .map_err(|error| Errno::from_raw_os_error(error.errno()))?;
        Self::over(port)
    }

    fn over(port: Port) -> Result<Self, Errno> {
        Ok(Self {
            turn: Mutex::new(()),
            events: fcntl_dupfd_cloexec(&port, 0)?,
            socket: fcntl_dupfd_cloexec(port.socket(), 0)?,
            credit: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            node: port.node(),
            state: Mutex::new(State { port, payload: Bytes::new(), sender_waits: false }),
        })
    }

    /// The own node id.
    pub(crate) const fn node(&self) -> NodeId {
        self.node
    }

    /// The descriptor for the program's event loop.
    pub(crate) fn fd(&self) -> RawFd {
        self.events.as_raw_fd()
    }

    /// The next event, `None` if there was none by the deadline. Its data is valid until the next
    /// call.
    pub(crate) fn recv(&self, deadline: Deadline) -> Result<Option<Event>, Errno> {
        loop {
            let event = self.with(|state| {
                state.payload = Bytes::new();
                let event = state.port.try_recv()?;
                let for_c = Event::new(&event);
                if let ClientEvent::Deliver(delivery) = event {
                    state.payload = delivery.payload;
                }
                Some(for_c)
            })?;
            if event.is_some() {
                return Ok(event);
            }
            let Some(left) = deadline.left() else { return Ok(None) };
            poll(&mut [PollFd::new(&self.events, PollFlags::IN)], left)?;
        }
    }

    /// Sends with `attempt`, which does not wait.
    pub(crate) fn send(
        &self,
        how: Send,
        attempt: impl Fn(&mut Port) -> Result<(), SendError>,
    ) -> Result<(), Errno> {
        let mut result = self.with(|state| attempt(&mut state.port))?;
        if how.wait && result == Err(SendError::WouldBlock) {
            let _turn = self.turn.lock().map_err(poisoned)?;
            loop {
                let mut interest = PollFlags::IN;
                result = self.with(|state| {
                    let result = attempt(&mut state.port);
                    // In one go: credit that comes from now on is told, by whoever reads it.
                    state.sender_waits = result == Err(SendError::WouldBlock);
                    interest.set(PollFlags::OUT, state.port.has_unsent());
                    result
                })?;
                if result != Err(SendError::WouldBlock) {
                    break;
                }
                self.wait_for_credit(interest)?;
            }
        }
        result.map_err(|error| Errno::from_raw_os_error(error.errno()))?;
        if how.wait && !how.more {
            // It is accepted: whatever ends the wait, it goes with a later call at the latest.
            match self.flush() {
                Ok(()) | Err(Errno::INTR | Errno::PIPE) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Hands gabd everything that was accepted.
    pub(crate) fn flush(&self) -> Result<(), Errno> {
        loop {
            let flushed = self.with(|state| state.port.try_flush())?;
            if flushed.map_err(|error| Errno::from_raw_os_error(error.errno()))? {
                return Ok(());
            }
            let interest = PollFlags::IN | PollFlags::OUT;
            poll(&mut [PollFd::new(&self.socket, interest)], None)?;
        }
    }

    /// Acknowledges a view.
    pub(crate) fn ack(&self, generation: u64) -> Result<(), Errno> {
        self.with(|state| state.port.ack(generation))?
            .map_err(|error| Errno::from_raw_os_error(error.errno()))
    }

    /// Unregisters, after all that was accepted.
    pub(crate) fn close(self) -> Result<(), Errno> {
        let state = self.state.into_inner().map_err(poisoned)?;
        state.port.close().map_err(|error| Errno::from_raw_os_error(error.errno()))
    }

    /// Uses the port, and wakes the waiting sender if that brought credit or the end.
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> Result<T, Errno> {
        let mut state = self.lock()?;
        let (waits, before) = (state.sender_waits, state.port.send_credit());
        let result = act(&mut state);
        if waits && (state.port.send_credit() != before || state.port.is_closed()) {
            // Any number but zero sets it, and only one that is set already refuses it.
            let _ = rustix::io::write(&self.credit, &[1; 8]);
        }
        Ok(result)
    }

    /// Waits until there may be more credit, or the end, or the socket takes more if that is of
    /// interest. The caller has said that it waits.
    fn wait_for_credit(&self, interest: PollFlags) -> Result<(), Errno> {
        let mut fds =
            [PollFd::new(&self.socket, interest), PollFd::new(&self.credit, PollFlags::IN)];
        let result = poll(&mut fds, None);
        self.lock()?.sender_waits = false;
        // Whatever it was set for, the sender looks for it next.
        let _ = rustix::io::read(&self.credit, &mut [0u8; 8]);
        result
    }

    fn lock(&self) -> Result<MutexGuard<'_, State>, Errno> {
        self.state.lock().map_err(poisoned)
    }
}

/// Until when to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deadline {
    At(Instant),
    Never,
}

impl Deadline {
    /// As `poll(2)` counts: -1 never passes. `None` for other negative numbers.
    pub(crate) fn after_ms(timeout_ms: i32) -> Option<Self> {
        match u64::try_from(timeout_ms) {
            Ok(timeout) => Some(Self::At(now() + Duration::from_millis(timeout))),
            Err(_) if timeout_ms == -1 => Some(Self::Never),
            Err(_) => None,
        }
    }

    /// `None` if it has passed, `Some(None)` if it never does.
    fn left(self) -> Option<Option<Duration>> {
        match self {
            Self::At(at) => {
                at.checked_duration_since(now()).filter(|left| !left.is_zero()).map(Some)
            }
            Self::Never => Some(None),
        }
    }
}

/// Sleeps until one of them is ready, or so long. Fails when a signal was handled meanwhile.
fn poll(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<(), Errno> {
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    rustix::event::poll(fds, timeout.as_ref()).map(|_| ())
}

/// The C library's clock: that of rustix crashes under valgrind.
#[expect(clippy::disallowed_methods, reason = "deadlines of a blocking call are no input")]
fn now() -> Instant {
    Instant::now()
}

/// A thread panicked inside a call: the state of the port is not known any more.
fn poisoned<T>(_: T) -> Errno {
    Errno::NOTRECOVERABLE
}

#[cfg(test)]
mod tests;

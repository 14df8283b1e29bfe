//! One descriptor that is readable when a port has something to do.
//!
//! The socket alone would not do: an event that was read together with another waits in the
//! port's queue, where no poll sees it. So the descriptor is an epoll instance over the socket and
//! an eventfd that is always readable, and which of the two it watches changes.

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

/// See the module.
#[derive(Debug)]
pub(super) struct Readiness {
    epoll: OwnedFd,
    always: OwnedFd,
    /// What the epoll instance watches now: is an event queued, is a datagram unsent.
    watched: (bool, bool),
}

impl Readiness {
    pub(super) fn new(socket: BorrowedFd<'_>) -> Result<Self, Errno> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let always = eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, socket, EventData::new_u64(0), EventFlags::IN)?;
        epoll::add(&epoll, &always, EventData::new_u64(1), EventFlags::empty())?;
        Ok(Self { epoll, always, watched: (false, false) })
    }

    /// Readable from now on if an event is `queued`, if the socket is readable, or, while a
    /// datagram is `unsent`, if it is writable.
    pub(super) fn watch(&mut self, socket: BorrowedFd<'_>, queued: bool, unsent: bool) {
        let set = |source: BorrowedFd<'_>, data: u64, flags: EventFlags| {
            // Both are registered for as long as we exist; only memory can lack.
            if let Err(errno) = epoll::modify(&self.epoll, source, EventData::new_u64(data), flags)
            {
                tracing::warn!(%errno, "cannot change what the port's descriptor watches");
            }
        };
        if queued != self.watched.0 {
            set(self.always.as_fd(), 1, if queued { EventFlags::IN } else { EventFlags::empty() });
        }
        if unsent != self.watched.1 {
            let flags = if unsent { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            set(socket, 0, flags);
        }
        self.watched = (queued, unsent);
    }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

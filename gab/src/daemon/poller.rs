//! What the reactor waits for.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use llt::Instant;
use llt::io::Clock;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::Timespec;

/// Whose descriptor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Token {
    /// The socket of a client.
    Client(u32),
    /// What tells of network devices.
    Devices,
    /// A link, by its index.
    Link(u32),
    /// Where clients connect.
    Listener,
    /// The exporter wants to know how things are.
    Metrics,
    /// The process of a kernel-type client.
    Process(u32),
    /// Signals.
    Signals,
}

/// What is ready; neither flag means that it can be written to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) token: Token,
    pub(super) readable: bool,
    /// The other end is gone; what it sent before can still be read.
    pub(super) hung_up: bool,
}

/// An epoll instance, level-triggered: what is left over for the next turn reports itself again.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    pub(super) fn add(&self, fd: impl AsFd, token: Token) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, token.data(), EventFlags::IN)?)
    }

    /// A client's socket: read from it, and write to it, as soon as possible?
    pub(super) fn interest(
        &self,
        fd: impl AsFd,
        token: Token,
        read: bool,
        write: bool,
    ) -> io::Result<()> {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, read);
        flags.set(EventFlags::OUT, write);
        Ok(epoll::modify(&self.epoll, fd, token.data(), flags)?)
    }

    pub(super) fn remove(&self, fd: impl AsFd) {
        // A descriptor that is not in, or about to be closed, is as good as removed.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits until something is ready or `deadline` has come. `None` waits for ever, a deadline in
    /// the past only looks.
    pub(super) fn wait(
        &self,
        clock: Clock,
        deadline: Option<Instant>,
        into: &mut Vec<Ready>,
    ) -> io::Result<()> {
        let timeout = deadline.map(|deadline| {
            let wait = deadline.since(clock.now());
            Timespec {
                tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(wait.subsec_nanos()),
            }
        });
        let mut events = Vec::with_capacity(EVENTS);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        into.clear();
        into.extend(events.iter().filter_map(|event| {
            let flags = event.flags;
            let failed = flags.intersects(EventFlags::ERR | EventFlags::HUP);
            Some(Ready {
                token: Token::from_data(event.data)?,
                readable: flags.contains(EventFlags::IN) || failed,
                hung_up: failed,
            })
        }));
        Ok(())
    }
}

impl Token {
    fn data(self) -> EventData {
        let (kind, number) = match self {
            Self::Client(number) => (0, number),
            Self::Link(number) => (1, number),
            Self::Listener => (2, 0),
            Self::Process(number) => (3, number),
            Self::Signals => (4, 0),
            Self::Devices => (5, 0),
            Self::Metrics => (6, 0),
        };
        EventData::new_u64(kind << 32 | u64::from(number))
    }

    fn from_data(data: EventData) -> Option<Self> {
        let number = u32::try_from(data.u64() & u64::from(u32::MAX)).ok()?;
        Some(match data.u64() >> 32 {
            0 => Self::Client(number),
            1 => Self::Link(number),
            2 => Self::Listener,
            3 => Self::Process(number),
            4 => Self::Signals,
            5 => Self::Devices,
            6 => Self::Metrics,
            _ => return None,
        })
    }
}

/// Descriptors reported by one call; what is ready beyond is reported by the next.
pub(super) const EVENTS: usize = 128;

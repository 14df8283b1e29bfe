//! The disk I/O of one thread: operations on disks and the readiness of sockets, in one wait.
//!
//! ```text
//! shard --submit, watch--> Driver --io_uring_enter, one for all of them--> disks, sockets
//!   ^                        |  or
//!   +------wait: Events------+  8 threads that read and write, and poll
//! ```
//! - [`IoBuffer`] and [`Pool`]: memory for direct I/O, and who may touch it when.
//! - [`DiskFile`]: a file or block device.
//! - [`Operation`]: what is done; [`Driver`]: does it, by the ring or by threads.
//!
//! A disk keeps its length: to write or zero beyond its end is `ENOSPC`, to read there `EIO`. What
//! the system does in part is done to the end. Operations in flight are in no order among each
//! other: a flush is for the writes whose end was told before it was submitted.
//!
//! Nothing here decides anything: no retries on other disks, no checks whether a disk may be
//! written now, no limit on what is in flight. The shard keeps one per disk, so that a disk that
//! hangs holds up no other: there is room for some thousand operations in the ring, and for 8 with
//! the threads.

mod buffer;
mod calls;
mod file;
mod pool;
mod ring;
mod threads;
mod uses;
mod work;

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

pub use buffer::{Filling, IoBuffer, View, ViewError};
pub use file::{Alignment, DiskFile, OpenError};
pub use pool::Pool;

use ring::{Ring, Setup};
use threads::Threads;

/// Does the operations of one thread.
///
/// It is made in the thread that uses it and stays there: the system lets no other one submit, and
/// does its part of the work when that thread waits.
///
/// When it is dropped it waits until nothing is in flight any more. Operations that did not get as
/// far as the system are not done then; nobody learns of the end of the others.
#[derive(Debug)]
pub struct Driver {
    inner: Inner,
    /// Not `Send`.
    here: PhantomData<*const ()>,
}

#[derive(Debug)]
enum Inner {
    Ring(Box<Ring>),
    Threads(Box<Threads>),
}

/// What does the operations.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Choice {
    /// The ring if the system has it, else threads.
    #[default]
    Auto,
    /// `io_uring`: one system call for all that is to be done and all that is done.
    Ring,
    /// 8 threads.
    Threads,
}

/// Why there is no driver.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The system has no `io_uring`, or not for us.
    #[error("no io_uring: {0}")]
    Ring(io::Error),
    /// The system has no threads or descriptors left.
    #[error("no threads for disks: {0}")]
    Threads(io::Error),
}

/// An operation on a disk.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The disk.
    pub file: Arc<DiskFile>,
    /// What is done with it.
    pub what: What,
}

/// What is done with a disk. What is empty is done at once.
#[derive(Clone, Debug)]
pub enum What {
    /// Everything that was written, and whose end was told, is made durable.
    Flush,
    /// Reads.
    Read {
        /// Into this.
        buffer: IoBuffer,
        /// From this byte of it on.
        from: usize,
        /// So many bytes.
        len: u32,
        /// From this byte of the disk on.
        at: u64,
    },
    /// Writes.
    Write {
        /// Out of this.
        buffer: IoBuffer,
        /// From this byte of it on.
        from: usize,
        /// So many bytes.
        len: u32,
        /// To this byte of the disk and on.
        at: u64,
        /// It is over only when it is durable, too.
        durable: bool,
    },
    /// Sets to zero: by the disk itself if it can, else by writing.
    Zero {
        /// From this byte of the disk on.
        at: u64,
        /// So many bytes.
        len: u64,
        /// The disk need not keep room for it.
        may_unmap: bool,
    },
}

/// What is tied to what is in flight; each by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Knot {
    /// The registration on port v.
    Lease,
    /// The lock of the process.
    Lock,
}

/// What [`Driver::wait`] tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// An operation is over, and has let go of its buffer and its disk.
    Done {
        /// As it was submitted.
        key: u64,
        /// The error is one of the system. After an error any part may have been done. `EBUSY`: its
        /// buffer was looked at or filled when it was submitted. `EINVAL`: it is shorter, or the
        /// disk takes no such range.
        result: Result<(), i32>,
    },
    /// A descriptor can be read or written, was closed by its peer, or cannot be watched; or it was
    /// so since it is watched. It is watched no more.
    Ready {
        /// As it was to be watched.
        key: u64,
    },
}

impl Driver {
    /// A driver for this thread.
    ///
    /// # Errors
    /// If the system does not have what was chosen.
    pub fn new(choice: Choice) -> Result<Self, DriverError> {
        match choice {
            Choice::Auto => Self::with_ring().or_else(|error| {
                tracing::info!(%error, "threads read and write the disks");
                Self::with_threads()
            }),
            Choice::Ring => Self::with_ring(),
            Choice::Threads => Self::with_threads(),
        }
    }

    fn with_ring() -> Result<Self, DriverError> {
        let ring = Ring::new(&Setup::ALL).map_err(DriverError::Ring)?;
        Ok(Self::of(Inner::Ring(Box::new(ring))))
    }

    fn with_threads() -> Result<Self, DriverError> {
        let threads = Threads::new().map_err(DriverError::Threads)?;
        Ok(Self::of(Inner::Threads(Box::new(threads))))
    }

    const fn of(inner: Inner) -> Self {
        Self { inner, here: PhantomData }
    }

    /// What does the operations: never [`Choice::Auto`].
    pub const fn choice(&self) -> Choice {
        match &self.inner {
            Inner::Ring(_) => Choice::Ring,
            Inner::Threads(_) => Choice::Threads,
        }
    }

    /// Takes an operation, which begins with the next [`Self::wait`] or [`Self::flush`] at the
    /// latest. Its end is told by an [`Event::Done`] with this key, once, whatever happens.
    pub fn submit(&mut self, key: u64, operation: Operation) {
        match &mut self.inner {
            Inner::Ring(ring) => ring.submit(key, operation),
            Inner::Threads(threads) => threads.submit(key, operation),
        }
    }

    /// How many operations were submitted whose end was not told.
    pub fn in_flight(&self) -> usize {
        match &self.inner {
            Inner::Ring(ring) => ring.in_flight(),
            Inner::Threads(threads) => threads.in_flight(),
        }
    }

    /// Tells once, by an [`Event::Ready`] with this key, when a descriptor can be read, or written.
    ///
    /// If it can be already, the next [`Self::wait`] tells. After that it is watched again only by
    /// another call, which costs nothing by itself. A key has one watch, and a new one takes the
    /// place of an old one: to wait for both directions takes two keys. The keys of operations are
    /// others.
    ///
    /// The descriptor must stay open as long as it is watched; if it does not, the worst that
    /// happens is an event for nothing, or none.
    pub fn watch(&mut self, fd: &impl AsFd, key: u64, for_write: bool) {
        let fd = fd.as_fd().as_raw_fd();
        match &mut self.inner {
            Inner::Ring(ring) => ring.watch(fd, key, for_write),
            Inner::Threads(threads) => threads.watch(fd, key, for_write),
        }
    }

    /// Watches no more: no event with this key is told until it is watched again. The descriptor
    /// may be closed then; its peer may learn of it only with the next [`Self::wait`] or
    /// [`Self::flush`].
    pub fn unwatch(&mut self, key: u64) {
        match &mut self.inner {
            Inner::Ring(ring) => ring.unwatch(key),
            Inner::Threads(threads) => threads.unwatch(key),
        }
    }

    /// Ties a descriptor to what is in flight, instead of the one with this knot before: when this process ends,
    /// however, what it leads to stays open until nothing is in flight any more.
    ///
    /// Threads that are in the middle of an operation keep all descriptors of the process open anyway. A
    /// ring outlives it.
    ///
    /// # Errors
    /// If the system does not take it: what was tied before is so still.
    pub fn tie(&mut self, knot: Knot, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        match &mut self.inner {
            Inner::Ring(ring) => ring.tie(knot, fd),
            Inner::Threads(_) => Ok(()),
        }
    }

    /// Begins what was submitted, without waiting. [`Self::wait`] does the same.
    pub fn flush(&mut self) {
        match &mut self.inner {
            Inner::Ring(ring) => ring.flush(),
            Inner::Threads(threads) => threads.flush(),
        }
    }

    /// Begins what was submitted, and waits until there is an event, or the time is over; then adds
    /// all the events that there are.
    ///
    /// It may return earlier, and with nothing: after a signal, or when a part of an operation is
    /// done.
    ///
    /// # Errors
    /// If the system fails in a way that waiting does not help against. Events may have been added.
    pub fn wait(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<()> {
        // The system takes no time beyond all bounds; this is one at which nothing is missed.
        let timeout = timeout.map(|timeout| timeout.min(TIMEOUT_MAX));
        match &mut self.inner {
            Inner::Ring(ring) => ring.wait(timeout, events),
            Inner::Threads(threads) => threads.wait(timeout, events),
        }
    }
}

/// A day.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests;

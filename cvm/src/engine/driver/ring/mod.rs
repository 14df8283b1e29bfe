//! The driver that uses `io_uring`: what was submitted goes to the system, and what is over comes
//! back, with the one call that waits.
//!
//! ```text
//!                room in the queue                      the system
//! submit -> works ----------------> submission queue ------------> completion queue -> events
//!             `--> waiting -'  ^                                         |
//!                              `------------- done in part <-------------'
//! ```
//! An operation stays in `works` from its submission until its completion, at the place that its
//! entry names. That keeps its buffer and its file, whatever becomes of whoever submitted it.

mod buffers;
mod entry;
mod files;
mod setup;
mod slab;
mod watches;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::time::Duration;

use io_uring::{EnterFlags, IoUring, types};

use super::work::{Step, Work};
use super::{Event, Knot, Operation};
use buffers::Buffers;
use entry::Tag;
use files::Files;
pub(super) use setup::Setup;
use slab::Slab;
use watches::Watches;

/// See [`super::Driver`].
pub(super) struct Ring {
    ring: IoUring,
    works: Slab<Work>,
    /// Works that are neither in the queue nor in the system.
    waiting: VecDeque<u32>,
    /// How many works are.
    in_system: usize,
    watches: Watches,
    /// What the queue had no room for, of everything that is no work.
    unsent: VecDeque<Item>,
    /// What was over when it was submitted.
    over: Vec<Event>,
    files: Files,
    buffers: Buffers,
}

/// What is put into the queue.
#[derive(Clone, Copy, Debug)]
enum Item {
    Unwatch { place: u32 },
    Watch { place: u32, fd: RawFd, for_write: bool },
    Work { place: u32 },
}

impl Ring {
    /// A ring that is set up in the first of these ways that the system knows.
    pub(super) fn new(setups: &[Setup]) -> io::Result<Self> {
        let ring = setup::build(setups)?;
        let (files, buffers) = (Files::new(&ring.submitter()), Buffers::new(&ring.submitter()));
        let (works, watches) = (Slab::new(), Watches::new());
        let (waiting, unsent, over) = (VecDeque::new(), VecDeque::new(), Vec::new());
        Ok(Self { ring, works, waiting, in_system: 0, watches, unsent, over, files, buffers })
    }

    pub(super) fn submit(&mut self, key: u64, operation: Operation) {
        let work = match Work::new(key, operation) {
            Ok(work) => work,
            Err(result) => return self.over.push(Event::Done { key, result }),
        };
        let place = self.works.insert(work);
        if !self.waiting.is_empty() || !self.push(Item::Work { place }) {
            self.waiting.push_back(place);
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.works.len() + self.over.len()
    }

    pub(super) fn watch(&mut self, fd: RawFd, key: u64, for_write: bool) {
        self.unwatch(key);
        let place = self.watches.add(key);
        self.push_other(Item::Watch { place, fd, for_write });
    }

    pub(super) fn unwatch(&mut self, key: u64) {
        if let Some(place) = self.watches.end(key) {
            self.push_other(Item::Unwatch { place });
        }
    }

    pub(super) fn tie(&mut self, knot: Knot, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        self.files.tie(knot, fd, &self.ring.submitter())
    }

    pub(super) fn flush(&mut self) {
        self.files.sweep(&self.ring.submitter());
        self.buffers.sweep(&self.ring.submitter());
        self.refill();
        if !self.ring.submission().is_empty() {
            // What fails now does so again when the shard waits.
            let _ = self.ring.submit();
        }
    }

    pub(super) fn wait(
        &mut self,
        timeout: Option<Duration>,
        events: &mut Vec<Event>,
    ) -> io::Result<()> {
        self.files.sweep(&self.ring.submitter());
        self.buffers.sweep(&self.ring.submitter());
        self.refill();
        let has_some = !self.over.is_empty() || !self.ring.completion().is_empty();
        events.append(&mut self.over);
        let entered = if has_some { self.ring.submit() } else { self.enter(timeout) };
        self.reap(events);
        match entered {
            Err(error) if !is_passing(&error) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Submits what is in the queue, and waits for one completion.
    fn enter(&self, timeout: Option<Duration>) -> io::Result<usize> {
        let params = self.ring.params();
        // A thread that waits for clients does not wait for disks, and is not to be counted so.
        let is_idle = self.works.len() == 0 && params.is_feature_no_iowait();
        let flags = if is_idle { EnterFlags::NO_IOWAIT } else { EnterFlags::empty() };
        let submitter = self.ring.submitter();
        let Some(timeout) = timeout else {
            return submitter.submit_with_args_and_flags(1, &types::SubmitArgs::new(), flags);
        };
        let time = types::Timespec::from(timeout);
        let arguments = types::SubmitArgs::new().timespec(&time);
        submitter.submit_with_args_and_flags(1, &arguments, flags)
    }

    /// Puts into the queue what waits for room in it.
    fn refill(&mut self) {
        while let Some(item) = self.unsent.pop_front() {
            if !self.push(item) {
                self.unsent.push_front(item);
                break;
            }
        }
        while let Some(&place) = self.waiting.front() {
            if !self.push(Item::Work { place }) {
                break;
            }
            self.waiting.pop_front();
        }
    }

    /// Puts something into the queue that is no work, in the order in which it came.
    fn push_other(&mut self, item: Item) {
        if !self.unsent.is_empty() || !self.push(item) {
            self.unsent.push_back(item);
        }
    }

    /// Puts something into the queue, if there is room there and in the system.
    #[expect(unsafe_code, reason = "entries name memory")]
    fn push(&mut self, item: Item) -> bool {
        let is_work = matches!(item, Item::Work { .. });
        if is_work && self.in_system >= WORKS_MAX {
            return false;
        }
        // If the system takes nothing, there is no room.
        if self.ring.submission().is_full() && self.ring.submit().is_err() {
            return false;
        }
        let entry = match item {
            Item::Unwatch { place } => entry::unwatch(place),
            Item::Watch { place, fd, for_write } => entry::watch(place, fd, for_write),
            Item::Work { place } => {
                let Some(work) = self.works.at(place) else { return true };
                let submitter = self.ring.submitter();
                let file = self.files.index(work.file(), &submitter);
                let buffer = work.hold().and_then(|hold| self.buffers.index(hold, &submitter));
                entry::work(place, work, file, buffer)
            }
        };
        // SAFETY: only entries of works have pointers, and those are to memory that may be used as
        // long as the work is kept. It is removed from `works` when the completion of this entry is
        // seen, and not before, or leaked with all of them.
        let is_pushed = unsafe { self.ring.submission().push(&entry) }.is_ok();
        self.in_system += usize::from(is_work && is_pushed);
        is_pushed
    }

    /// Takes what the system has done.
    fn reap(&mut self, events: &mut Vec<Event>) {
        let Self { ring, works, waiting, in_system, watches, .. } = self;
        loop {
            for completion in ring.completion() {
                match Tag::decode(completion.user_data()) {
                    Tag::Other => {}
                    Tag::Watch(place) => {
                        events.extend(watches.take(place).map(|key| Event::Ready { key }));
                    }
                    Tag::Work(place) => {
                        let Some(work) = works.at_mut(place) else { continue };
                        *in_system = in_system.saturating_sub(1);
                        let result = completion.result();
                        let result = u32::try_from(result).map_err(|_| result.saturating_neg());
                        let (key, step) = (work.key(), work.on_result(result));
                        match step {
                            Step::Again => waiting.push_back(place),
                            Step::Over(result) => {
                                works.remove(place);
                                events.push(Event::Done { key, result });
                            }
                        }
                    }
                }
            }
            // What the queue had no room for waits in the system.
            if !ring.submission().cq_overflow() || ring.submit().is_err() {
                return;
            }
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let mut events = Vec::new();
        while self.in_system > 0 {
            let entered = self.ring.submit_and_wait(1);
            self.reap(&mut events);
            if let Err(error) = entered
                && !is_passing(&error)
            {
                // The system may use their memory still, and nobody will ever know.
                tracing::error!(%error, in_system = self.in_system, "operations are left behind");
                std::mem::forget(std::mem::take(&mut self.works));
                return;
            }
        }
        // The ring is taken down later than it is closed; the disks are not to stay open so long.
        let _ = self.ring.submitter().unregister_files();
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("works", &self.works.len())
            .field("in_system", &self.in_system)
            .finish_non_exhaustive()
    }
}

/// An error that comes of the time being over, of a signal, or of the system being short of
/// something at the moment.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::EBUSY | libc::EINTR | libc::ENOMEM | libc::ETIME)
    )
}

/// Works in the system: less than completions find room, for others are of watches.
const WORKS_MAX: usize = 4096;

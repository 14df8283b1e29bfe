//! A driver for systems without `io_uring`: threads that each do one call after the other.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};
use libc::pollfd;
use rustix::event::{EventfdFlags, eventfd};

use super::work::{Step, Work};
use super::{Event, Operation, calls};

/// See [`super::Driver`].
#[derive(Debug)]
pub(super) struct Threads {
    /// `None` when the threads are to end.
    jobs: Option<Sender<Work>>,
    ends: Receiver<End>,
    wake: Arc<Wake>,
    workers: Vec<JoinHandle<()>>,
    /// How many jobs the threads have.
    with_workers: usize,
    /// What they have no room for yet.
    waiting: VecDeque<Work>,
    /// What was over when it was submitted.
    over: Vec<Event>,
    watched: Watched,
}

/// The key of an operation, and its result.
type End = (u64, Result<(), i32>);

/// How the threads wake the driver, and it them.
#[derive(Debug)]
struct Wake {
    fd: OwnedFd,
    /// The descriptor is readable, or will be presently.
    is_told: AtomicBool,
    /// No further job is to be done.
    is_over: AtomicBool,
}

/// The first is that of [`Wake`]; keys stand where their descriptors do.
#[derive(Debug)]
struct Watched {
    fds: Vec<pollfd>,
    keys: Vec<u64>,
}

impl Threads {
    pub(super) fn new() -> io::Result<Self> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let mut watched = Watched { fds: Vec::new(), keys: Vec::new() };
        watched.add(fd.as_raw_fd(), 0, libc::POLLIN);
        let (is_told, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
        let wake = Arc::new(Wake { fd, is_told, is_over });
        // As many ends as jobs: neither sender ever waits.
        let (jobs, waiting) = bounded::<Work>(JOBS_MAX);
        let (end, ends) = bounded(JOBS_MAX);
        let mut threads = Self {
            jobs: Some(jobs),
            ends,
            wake,
            workers: Vec::with_capacity(WORKERS),
            with_workers: 0,
            waiting: VecDeque::new(),
            over: Vec::new(),
            watched,
        };
        for number in 0..WORKERS {
            let (wake, waiting, end) = (Arc::clone(&threads.wake), waiting.clone(), end.clone());
            let worker = std::thread::Builder::new().name(format!("vxiod-io-{number}"));
            let worker = worker.spawn(move || run(&wake, &waiting, &end))?;
            threads.workers.push(worker);
        }
        Ok(threads)
    }

    pub(super) fn submit(&mut self, key: u64, operation: Operation) {
        match Work::new(key, operation) {
            Ok(work) => self.waiting.push_back(work),
            Err(result) => self.over.push(Event::Done { key, result }),
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.with_workers + self.waiting.len() + self.over.len()
    }

    pub(super) fn watch(&mut self, fd: RawFd, key: u64, for_write: bool) {
        self.unwatch(key);
        self.watched.add(fd, key, if for_write { libc::POLLOUT } else { libc::POLLIN });
    }

    pub(super) fn unwatch(&mut self, key: u64) {
        let keys = self.watched.keys.iter().enumerate().skip(1);
        let place = keys.into_iter().find(|(_, one)| **one == key).map(|(place, _)| place);
        if let Some(place) = place {
            self.watched.remove(place);
        }
    }

    pub(super) fn flush(&mut self) {
        let Some(jobs) = &self.jobs else { return };
        while self.with_workers < JOBS_MAX
            && let Some(work) = self.waiting.pop_front()
        {
            match jobs.try_send(work) {
                Ok(()) => self.with_workers += 1,
                Err(refused) => {
                    self.waiting.push_front(refused.into_inner());
                    return;
                }
            }
        }
    }

    pub(super) fn wait(
        &mut self,
        timeout: Option<Duration>,
        events: &mut Vec<Event>,
    ) -> io::Result<()> {
        self.flush();
        let had = events.len();
        events.append(&mut self.over);
        self.collect(events);
        // The sockets have their turn though disks never rest.
        let timeout = if events.len() == had { timeout } else { Some(Duration::ZERO) };
        match calls::poll(&mut self.watched.fds, timeout) {
            Ok(()) => self.watched.take_ready(events),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        self.collect(events);
        self.flush();
        Ok(())
    }

    /// Takes what is over.
    fn collect(&mut self, events: &mut Vec<Event>) {
        if self.watched.fds[0].revents == 0 && !self.wake.is_told.load(Ordering::Relaxed) {
            return;
        }
        let mut count = [0; 8];
        // Nothing there is fine: the ends tell.
        let _ = rustix::io::read(&self.wake.fd, &mut count);
        // Whoever has an end after this tells again, and what they had before is seen below.
        self.wake.is_told.swap(false, Ordering::AcqRel);
        for (key, result) in self.ends.try_iter() {
            self.with_workers -= 1;
            events.push(Event::Done { key, result });
        }
        self.watched.fds[0].revents = 0;
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.wake.is_over.store(true, Ordering::Relaxed);
        self.jobs = None;
        for worker in self.workers.drain(..) {
            // Threads do not panic, and there is nothing to be done if one did.
            let _ = worker.join();
        }
    }
}

impl Watched {
    fn add(&mut self, fd: RawFd, key: u64, events: i16) {
        self.fds.push(pollfd { fd, events, revents: 0 });
        self.keys.push(key);
    }

    fn remove(&mut self, place: usize) {
        self.fds.swap_remove(place);
        self.keys.swap_remove(place);
    }

    /// Tells which are ready, and watches them no more.
    fn take_ready(&mut self, events: &mut Vec<Event>) {
        for place in (1..self.fds.len()).rev() {
            if self.fds[place].revents != 0 {
                events.push(Event::Ready { key: self.keys[place] });
                self.remove(place);
            }
        }
    }
}

/// A thread.
fn run(wake: &Wake, waiting: &Receiver<Work>, end: &Sender<End>) {
    for work in waiting {
        if wake.is_over.load(Ordering::Relaxed) {
            continue;
        }
        let (key, result) = (work.key(), perform(work, wake));
        if end.send((key, result)).is_err() {
            return;
        }
        if !wake.is_told.swap(true, Ordering::AcqRel) {
            // A full counter wakes, too.
            let _ = rustix::io::write(&wake.fd, &ONE);
        }
    }
}

/// Does an operation to its end, unless everything is to end. It has let go of its buffer when this
/// returns.
fn perform(mut work: Work, wake: &Wake) -> Result<(), i32> {
    loop {
        let result = calls::make(&work);
        match work.on_result(result) {
            Step::Again if wake.is_over.load(Ordering::Relaxed) => return Err(libc::ECANCELED),
            Step::Again => {}
            Step::Over(result) => return result,
        }
    }
}

/// A counter in the byte order of this machine, as eventfd wants it; any one that is not 0 will do.
const ONE: [u8; 8] = [1, 0, 0, 0, 0, 0, 0, 0];
const WORKERS: usize = 8;
/// What the threads have at a time, done or not.
const JOBS_MAX: usize = 256;

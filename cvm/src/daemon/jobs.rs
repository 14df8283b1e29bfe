//! What waits for disks is done by threads of its own; the reactor is woken when something is done.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender, unbounded};
use rustix::event::{EventfdFlags, eventfd};

/// A counter in the byte order of this machine, as eventfd wants it; any one that is not 0 will do.
const ONE: [u8; 8] = [1, 0, 0, 0, 0, 0, 0, 0];

/// The results of jobs, and the descriptor that tells of them.
#[derive(Debug)]
pub(crate) struct Jobs<R> {
    results: Receiver<R>,
    done: Sender<R>,
    wake: Arc<OwnedFd>,
}

impl<R: Send + 'static> Jobs<R> {
    /// # Errors
    /// If the system has no descriptor left.
    pub(crate) fn new() -> io::Result<Self> {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (done, results) = unbounded();
        Ok(Self { results, done, wake })
    }

    /// A thread that does one job after the other, until the sender is dropped.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub(crate) fn worker<J: Send + 'static>(
        &self,
        name: &str,
        mut work: impl FnMut(J) -> R + Send + 'static,
    ) -> io::Result<Sender<J>> {
        let (jobs, waiting) = unbounded();
        let (done, wake) = (self.done.clone(), Arc::clone(&self.wake));
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            for job in waiting {
                if done.send(work(job)).is_err() {
                    return;
                }
                // A full counter wakes, too.
                let _ = rustix::io::write(&*wake, &ONE);
            }
        })?;
        Ok(jobs)
    }

    /// What is done.
    pub(crate) fn results(&self) -> Vec<R> {
        let mut count = [0; 8];
        // Nothing there is fine: the results tell.
        let _ = rustix::io::read(&*self.wake, &mut count);
        self.results.try_iter().collect()
    }
}

impl<R> AsFd for Jobs<R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

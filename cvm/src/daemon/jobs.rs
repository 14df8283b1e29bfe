//! What waits for disks is done by threads of its own; the reactor is woken when something is done.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crossbeam::channel::{Sender, unbounded};

use super::mail::{Inbox, Mail, mailbox};

/// The results of jobs, and the descriptor that tells of them.
#[derive(Debug)]
pub(crate) struct Jobs<R> {
    results: Inbox<R>,
    done: Mail<R>,
}

impl<R: Send + 'static> Jobs<R> {
    /// # Errors
    /// If the system has no descriptor left.
    pub(crate) fn new() -> io::Result<Self> {
        let (done, results) = mailbox()?;
        Ok(Self { results, done })
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
        let done = self.done.clone();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            for job in waiting {
                if !done.send(work(job)) {
                    return;
                }
            }
        })?;
        Ok(jobs)
    }

    /// What is done.
    pub(crate) fn results(&self) -> Vec<R> {
        self.results.take()
    }
}

impl<R> AsFd for Jobs<R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.results.as_fd()
    }
}

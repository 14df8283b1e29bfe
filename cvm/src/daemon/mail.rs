//! Messages to a thread that waits for descriptors: one of them tells that something has come.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crossbeam::channel::{Receiver, Sender, unbounded};
use rustix::event::{EventfdFlags, eventfd};

/// A counter in the byte order of this machine, as eventfd wants it; any one that is not 0 will do.
const ONE: [u8; 8] = [1, 0, 0, 0, 0, 0, 0, 0];

/// A place to put messages.
#[derive(Debug)]
pub(crate) struct Mail<T> {
    sender: Sender<T>,
    wake: Arc<OwnedFd>,
}

/// Where they arrive, in the order in which they were put.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    receiver: Receiver<T>,
    wake: Arc<OwnedFd>,
}

/// Both ends.
///
/// # Errors
/// If the system has no descriptor left.
pub(crate) fn mailbox<T>() -> io::Result<(Mail<T>, Inbox<T>)> {
    let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let (sender, receiver) = unbounded();
    Ok((Mail { sender, wake: Arc::clone(&wake) }, Inbox { receiver, wake }))
}

impl<T> Mail<T> {
    /// `false`: nobody reads any more.
    pub(crate) fn send(&self, message: T) -> bool {
        let sent = self.sender.send(message).is_ok();
        // A full counter wakes, too.
        let _ = rustix::io::write(&*self.wake, &ONE);
        sent
    }
}

impl<T> Clone for Mail<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), wake: Arc::clone(&self.wake) }
    }
}

impl<T> Inbox<T> {
    /// What has come.
    pub(crate) fn take(&self) -> Vec<T> {
        let mut count = [0; 8];
        // Nothing there is fine: the messages tell.
        let _ = rustix::io::read(&*self.wake, &mut count);
        self.receiver.try_iter().collect()
    }
}

impl<T> AsFd for Inbox<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

//! Signals, as a descriptor.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// SIGTERM and SIGINT make it readable; SIGHUP is ignored.
#[derive(Debug)]
pub(super) struct Signals {
    pipe: UnixStream,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        let (pipe, write) = UnixStream::pair()?;
        pipe.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGTERM, write.try_clone()?)?;
        signal_hook::low_level::pipe::register(SIGINT, write)?;
        // A handler that does nothing: the terminal that started a testbed may close.
        signal_hook::flag::register(SIGHUP, Arc::new(AtomicBool::new(false)))?;
        Ok(Self { pipe })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// How many signals have arrived since.
    pub(super) fn take(&mut self) -> usize {
        let mut buffer = [0; 16];
        // An error is "nothing there".
        self.pipe.read(&mut buffer).unwrap_or(0)
    }
}

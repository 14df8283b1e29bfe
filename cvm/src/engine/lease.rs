//! The lease on shared disks: asked right before each operation on one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use gab::PortName;
use gab::client::Port;
use gab::lease::Lease;

/// Of one registration on port v.
#[derive(Debug)]
pub(crate) struct IoLease {
    page: Lease,
    /// Of the registration: as long as something holds it, others do not go on without this node.
    socket: OwnedFd,
    /// The membership that vxiod was told last, if all are known to be in it.
    generation: AtomicU64,
}

impl IoLease {
    /// After port v is open, by this socket.
    ///
    /// # Errors
    /// See [`Lease::open`]; and if there are no descriptors left.
    pub(crate) fn open(root: &Path, name: PortName, port: &Port) -> std::io::Result<Self> {
        let socket = port.socket().try_clone_to_owned()?;
        Ok(Self { page: Lease::open(root, name)?, socket, generation: AtomicU64::new(NONE) })
    }

    /// What vxiod does from here on is of that membership; `None`: it waits, for nobody knows yet whether
    /// all are in the newest.
    pub(crate) fn note_proven(&self, generation: Option<u64>) {
        self.generation.store(generation.unwrap_or(NONE), Ordering::Release);
    }

    /// Do the others count on this node? Without that its operations wait: others may have gone on
    /// without it.
    pub(crate) fn holds(&self) -> bool {
        self.page.holds(self.generation.load(Ordering::Acquire))
    }
}

impl AsFd for IoLease {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// No membership has it: they are counted from 1.
const NONE: u64 = 0;

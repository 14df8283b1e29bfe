//! The lease on shared disks: asked right before each operation on one.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use gab::PortName;
use gab::lease::Lease;

/// Of one registration on port v.
#[derive(Debug)]
pub(crate) struct IoLease {
    page: Lease,
    /// The membership that vxiod was told last.
    generation: AtomicU64,
}

impl IoLease {
    /// After port v is open.
    ///
    /// # Errors
    /// See [`Lease::open`].
    pub(crate) fn open(root: &Path, port: PortName) -> std::io::Result<Self> {
        Ok(Self { page: Lease::open(root, port)?, generation: AtomicU64::new(0) })
    }

    /// vxiod hears of another membership: what it does from here on is of that.
    pub(crate) fn note_view(&self, generation: u64) {
        self.generation.store(generation, Ordering::Release);
    }

    /// Do the others count on this node? Without that its operations wait: others may have gone on
    /// without it.
    pub(crate) fn holds(&self) -> bool {
        self.page.holds(self.generation.load(Ordering::Acquire))
    }
}

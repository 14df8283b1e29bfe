//! Disks that the ring knows by number, which saves the system a look-up for each operation.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Arc, Weak};

use io_uring::Submitter;

use super::super::{DiskFile, Knot};

/// The registered disks of a ring: each has a place, by its serial number, if no other one has it.
#[derive(Debug)]
pub(super) struct Files {
    /// Empty if the system does not register any.
    places: Vec<Option<Place>>,
    /// It has registered some, and takes no more.
    is_refused: bool,
    /// How many were closed, in all of the process, when it was last looked whether one of these
    /// is.
    closed: u64,
}

#[derive(Debug)]
struct Place {
    serial: u64,
    /// Operations own their file: one that is gone is in no entry and in no work.
    file: Weak<DiskFile>,
}

impl Files {
    pub(super) fn new(submitter: &Submitter<'_>) -> Self {
        let mut places = Vec::new();
        match submitter.register_files_sparse(PLACES + KNOTS) {
            Ok(()) => places.resize_with(PLACES as usize, || None),
            Err(error) => tracing::debug!(%error, "disks are not registered"),
        }
        Self { places, is_refused: false, closed: DiskFile::closed() }
    }

    /// The number of a disk. `None` if it has none, and is named by its descriptor.
    pub(super) fn index(&mut self, file: &Arc<DiskFile>, submitter: &Submitter<'_>) -> Option<u32> {
        let index = u32::try_from(file.serial() % u64::from(PLACES)).ok()?;
        let place = self.places.get_mut(index as usize)?;
        match place {
            Some(place) if place.serial == file.serial() => return Some(index),
            Some(place) if place.file.strong_count() > 0 => return None,
            Some(_) | None if self.is_refused => return None,
            Some(_) | None => {}
        }
        if let Err(error) = submitter.register_files_update(index, &[file.as_raw_fd()]) {
            tracing::debug!(%error, "disks are registered no more");
            self.is_refused = true;
            return None;
        }
        *place = Some(Place { serial: file.serial(), file: Arc::downgrade(file) });
        Some(index)
    }

    /// The ring holds what a descriptor leads to until its last operation is over: it lets go of what is
    /// registered with the rest of it, which the end of the process alone does not bring about.
    pub(super) fn tie(
        &self,
        knot: Knot,
        fd: Option<BorrowedFd<'_>>,
        submitter: &Submitter<'_>,
    ) -> io::Result<()> {
        let fd = fd.map_or(-1, |fd| fd.as_raw_fd());
        submitter.register_files_update(PLACES + knot as u32, &[fd]).map(drop)
    }

    /// Lets go of disks that were closed.
    pub(super) fn sweep(&mut self, submitter: &Submitter<'_>) {
        let closed = DiskFile::closed();
        if closed == self.closed {
            return;
        }
        self.closed = closed;
        for (index, place) in (0..).zip(&mut self.places) {
            let is_gone = place.as_ref().is_some_and(|place| place.file.strong_count() == 0);
            if is_gone && submitter.register_files_update(index, &[-1]).is_ok() {
                *place = None;
            }
        }
    }
}

/// The last places are for what is tied to the ring.
const PLACES: u32 = 256;
const KNOTS: u32 = 2;

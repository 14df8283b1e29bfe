//! Memory that the ring knows by number, which saves the system looking up its pages for each operation.

use std::sync::Weak;

use io_uring::Submitter;

use super::super::buffer::{Hold, Memory};

/// The registered buffers of a ring: each has a place, by its serial number, if no other one has it.
/// Those that are kept for later uses come again and again; others are too long for that.
#[derive(Debug)]
pub(super) struct Buffers {
    /// Empty if the system does not register any.
    places: Vec<Option<Place>>,
    /// It has registered some, and takes no more.
    is_refused: bool,
    /// How many were freed, in all of the process, when it was last looked whether one of these is.
    freed: u64,
}

#[derive(Debug)]
struct Place {
    serial: u64,
    /// Operations own their buffer: one that is gone is in no entry and in no work.
    memory: Weak<Memory>,
}

impl Buffers {
    pub(super) fn new(submitter: &Submitter<'_>) -> Self {
        let mut places = Vec::new();
        match submitter.register_buffers_sparse(PLACES) {
            Ok(()) => places.resize_with(PLACES as usize, || None),
            Err(error) => tracing::debug!(%error, "buffers are not registered"),
        }
        Self { places, is_refused: false, freed: Memory::freed() }
    }

    /// The number of the buffer of an operation. `None` if it has none, and is named by its address.
    pub(super) fn index(&mut self, hold: &Hold, submitter: &Submitter<'_>) -> Option<u16> {
        let memory = hold.memory();
        let serial = memory.serial()?;
        let index = u32::try_from(serial % u64::from(PLACES)).ok()?;
        let place = self.places.get_mut(index as usize)?;
        let number = u16::try_from(index).ok();
        match place {
            Some(place) if place.serial == serial => return number,
            Some(place) if place.memory.strong_count() > 0 => return None,
            Some(_) | None if self.is_refused => return None,
            Some(_) | None => {}
        }
        let (start, len) = memory.whole();
        let range = libc::iovec { iov_base: start.as_ptr().cast(), iov_len: len };
        if let Err(error) = register(submitter, index, range) {
            tracing::debug!(%error, "buffers are registered no more");
            self.is_refused = true;
            *place = None;
            return None;
        }
        *place = Some(Place { serial, memory: hold.weak() });
        number
    }

    /// Lets go of buffers that were freed: the system keeps their pages as long as they have a place.
    pub(super) fn sweep(&mut self, submitter: &Submitter<'_>) {
        let freed = Memory::freed();
        if freed == self.freed {
            return;
        }
        self.freed = freed;
        let nothing = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        for (index, place) in (0..).zip(&mut self.places) {
            let is_gone = place.as_ref().is_some_and(|place| place.memory.strong_count() == 0);
            if is_gone && register(submitter, index, nothing).is_ok() {
                *place = None;
            }
        }
    }
}

/// The place stands for this range from here on.
#[expect(unsafe_code, reason = "the system is to know memory")]
fn register(submitter: &Submitter<'_>, index: u32, range: libc::iovec) -> std::io::Result<()> {
    // SAFETY: the memory is there now. The system keeps its pages, whatever becomes of it; and a place is named by
    // operations only while they own the buffer that it stands for.
    unsafe { submitter.register_buffers_update(index, &[range], None) }
}

const PLACES: u32 = 1024;

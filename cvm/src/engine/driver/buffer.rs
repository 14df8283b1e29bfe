//! Memory that disks are read into and written from, past the cache of the system.
//!
//! A buffer is shared: by the request that it belongs to, by its views, and by the operations in
//! flight, for which the system reads or fills it while nobody looks. Each of these is a *use*, and
//! the buffer counts its uses, so that what would give somebody memory that changes under them is
//! refused instead. Uses are of the whole buffer, not of a range: the rules are the same whatever
//! the ranges are.
//!
//! ```text
//!                          beside it, and in which range
//! use                      reads   writes   views   a filling, or zeroing
//! operation that reads     any     any      none    none
//! operation that writes    any     any      any     none
//! view                     none    any      any     none
//! filling                  none    none     none    none
//! zeroing, or copying out  others  others   none    none
//! ```
//! "Any" is a matter of contents, not of memory: two reads into the same range leave a mixture of
//! both, and a write of a range that is read into at that time writes one. Zeroing is for holes
//! next to what is being read; in the same range the contents are anybody's guess afterwards.
//!
//! An operation's use begins when it is submitted and is over before its end is told. As long as it
//! lasts it owns a clone of the buffer, which the driver keeps until the system has let go of the
//! memory, or, if that cannot be found out, for ever.
//!
//! What is short enough to be kept for later (see [`super::Pool`]) has a serial number, by which a ring
//! knows it.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::uses::{Use, Uses};

/// Where memory begins, and what its length is a multiple of: the most that direct I/O asks for.
pub(super) const BLOCK: usize = 4096;

/// The length of the longest that is kept for later: 1 MiB.
pub(super) const KEPT_MAX: usize = BLOCK << 8;

static SERIALS: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);

/// Memory for direct I/O; clones are the same memory.
#[derive(Clone)]
pub struct IoBuffer {
    memory: Arc<Memory>,
}

/// Why there is no view.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ViewError {
    /// Something else is done with the buffer that does not go with it.
    #[error("the buffer is in use")]
    InUse,
    /// The buffer is shorter.
    #[error("the buffer is shorter")]
    Range,
}

impl IoBuffer {
    /// Memory of `len` bytes, all of them 0.
    ///
    /// # Panics
    /// If no memory can be that long.
    pub fn zeroed(len: usize) -> Self {
        Self { memory: Arc::new(Memory::zeroed(len)) }
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.memory.len
    }

    /// It has no bytes.
    pub fn is_empty(&self) -> bool {
        self.memory.len == 0
    }

    /// There is no clone of it: it is in no request and in no operation.
    pub fn is_last(&self) -> bool {
        Arc::strong_count(&self.memory) == 1
    }

    /// Nobody else has it, and it is as good as new but for its contents.
    pub(super) fn is_free(&mut self) -> bool {
        // Rings that know it look whether it is still there, and never at what is in it.
        self.is_last() && self.memory.uses.is_none()
    }

    /// A range, to look at.
    ///
    /// # Errors
    /// If it is being read into or filled, or is shorter.
    pub fn view(&self, range: Range<usize>) -> Result<View<'_>, ViewError> {
        let (start, len) = self.memory.find(&range)?;
        if !self.memory.uses.begin(Use::View) {
            return Err(ViewError::InUse);
        }
        Ok(View { memory: &self.memory, start, len })
    }

    /// A range, to be filled. What is in it is from before.
    ///
    /// # Errors
    /// If the buffer is used for anything else, or is shorter.
    pub fn fill(&self, range: Range<usize>) -> Result<Filling<'_>, ViewError> {
        let (start, len) = self.memory.find(&range)?;
        if !self.memory.uses.begin(Use::Fill) {
            return Err(ViewError::InUse);
        }
        Ok(Filling { memory: &self.memory, start, len })
    }

    /// Sets a range to 0, while operations may be in flight with other ranges of the buffer.
    ///
    /// # Errors
    /// If somebody looks at the buffer, or it is shorter; nothing is changed then.
    #[expect(unsafe_code, reason = "other ranges may be in flight")]
    pub fn zero(&self, range: Range<usize>) -> Result<(), ViewError> {
        let (start, len) = self.memory.find(&range)?;
        if !self.memory.uses.begin(Use::Zero) {
            return Err(ViewError::InUse);
        }
        // SAFETY: `find` has seen that the range lies in the memory. Until `end` nobody has a
        // reference into it or makes one, and nobody else writes here except for the system.
        unsafe { start.write_bytes(0, len) };
        self.memory.uses.end(Use::Zero);
        Ok(())
    }

    /// Copies a range to the same place in other memory, while operations may be in flight with other
    /// ranges of this one.
    ///
    /// # Errors
    /// If somebody looks at this buffer, the other one is used or the same, or either is shorter.
    #[expect(unsafe_code, reason = "other ranges may be in flight")]
    pub fn copy_to(&self, to: &Self, range: Range<usize>) -> Result<(), ViewError> {
        let (start, len) = self.memory.find(&range)?;
        let mut room = to.fill(range)?;
        if !self.memory.uses.begin(Use::Zero) {
            return Err(ViewError::InUse);
        }
        // SAFETY: `find` has seen that the range lies in this memory, `fill` that it lies in the other,
        // which is not this one, for that would be in use. Until `end` nobody has a reference into this
        // one or makes one, and nobody else writes here except for the system, in other ranges.
        unsafe { start.copy_to_nonoverlapping(NonNull::from(&mut *room).cast(), len) };
        self.memory.uses.end(Use::Zero);
        Ok(())
    }

    /// A range for an operation that reads a disk, or for one that writes.
    ///
    /// # Errors
    /// `EBUSY` if the buffer is looked at or filled, `EINVAL` if it is shorter.
    pub(super) fn hold(self, from: usize, len: u32, is_read: bool) -> Result<Hold, i32> {
        let whole = usize::try_from(len).ok().and_then(|len| from.checked_add(len));
        let range = from..whole.ok_or(libc::EINVAL)?;
        let (start, _) = self.memory.find(&range).map_err(|_| libc::EINVAL)?;
        let kind = if is_read { Use::Read } else { Use::Write };
        let is_taken = self.memory.uses.begin(kind);
        if is_taken { Ok(Hold { buffer: self, start, len, kind }) } else { Err(libc::EBUSY) }
    }

    /// Where it begins. The memory may be used only as long as a clone of the buffer is kept.
    pub(super) fn address(&self) -> NonNull<u8> {
        self.memory.start
    }
}

impl fmt::Debug for IoBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoBuffer").field("len", &self.memory.len).finish_non_exhaustive()
    }
}

/// A range that is looked at.
#[derive(Debug)]
pub struct View<'a> {
    memory: &'a Memory,
    // Not a reference: it would still be one while the use is given up.
    start: NonNull<u8>,
    len: usize,
}

impl Deref for View<'_> {
    type Target = [u8];

    #[expect(unsafe_code, reason = "the memory of a buffer is shared")]
    fn deref(&self) -> &[u8] {
        // SAFETY: the range lies in the memory, all of which is initialised, and which lives as
        // long as what this borrows. Nobody fills it as long as this use lasts, and the reference
        // does not last longer.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        self.memory.uses.end(Use::View);
    }
}

/// A range that is filled.
#[derive(Debug)]
pub struct Filling<'a> {
    memory: &'a Memory,
    start: NonNull<u8>,
    len: usize,
}

impl Deref for Filling<'_> {
    type Target = [u8];

    #[expect(unsafe_code, reason = "the memory of a buffer is shared")]
    fn deref(&self) -> &[u8] {
        // SAFETY: as in `deref_mut`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Filling<'_> {
    #[expect(unsafe_code, reason = "the memory of a buffer is shared")]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the range lies in the memory, all of which is initialised, and which lives as
        // long as what this borrows. There is no other use as long as this one lasts, and the
        // reference borrows it.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Filling<'_> {
    fn drop(&mut self) {
        self.memory.uses.end(Use::Fill);
    }
}

/// A range that an operation uses: the system may read it, or fill it, as long as this is kept.
#[derive(Debug)]
pub(super) struct Hold {
    buffer: IoBuffer,
    start: NonNull<u8>,
    len: u32,
    kind: Use,
}

impl Hold {
    pub(super) fn memory(&self) -> &Memory {
        &self.buffer.memory
    }

    /// To see whether the memory is still there.
    pub(super) fn weak(&self) -> Weak<Memory> {
        Arc::downgrade(&self.buffer.memory)
    }

    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    /// The rest of the range, from `done` on.
    pub(super) fn rest(&self, done: u32) -> (*mut u8, u32) {
        let done = done.min(self.len);
        // Within the range, which lies in memory: nothing wraps.
        (self.start.as_ptr().wrapping_add(done as usize), self.len - done)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.buffer.memory.uses.end(self.kind);
    }
}

#[expect(unsafe_code, reason = "the pointer is to the buffer that moves with it")]
// SAFETY: nothing is done with the pointer here, the memory is that of the buffer, and buffers may
// be sent.
unsafe impl Send for Hold {}

pub(super) struct Memory {
    /// No other one in the process has it; `None` is too long to be kept.
    serial: Option<u64>,
    start: NonNull<u8>,
    /// What was asked for.
    len: usize,
    layout: Layout,
    uses: Uses,
}

impl Memory {
    #[expect(unsafe_code, reason = "`Vec` has no alignment")]
    fn zeroed(len: usize) -> Self {
        let rounded = len.max(1).checked_next_multiple_of(BLOCK);
        let layout = rounded.and_then(|size| Layout::from_size_align(size, BLOCK).ok());
        let layout = layout.expect("memory is never that long");
        // SAFETY: the layout has a length of one block at least.
        let start = unsafe { alloc_zeroed(layout) };
        let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout));
        let serial = (len <= KEPT_MAX).then(|| SERIALS.fetch_add(1, Ordering::Relaxed));
        Self { serial, start, len, layout, uses: Uses::default() }
    }

    pub(super) const fn serial(&self) -> Option<u64> {
        self.serial
    }

    /// All of it, to the end of its last page.
    pub(super) const fn whole(&self) -> (NonNull<u8>, usize) {
        (self.start, self.layout.size())
    }

    /// How many that have a serial number were freed, in all of the process.
    pub(super) fn freed() -> u64 {
        FREED.load(Ordering::Relaxed)
    }

    fn find(&self, range: &Range<usize>) -> Result<(NonNull<u8>, usize), ViewError> {
        let is_inside = range.start <= range.end && range.end <= self.len;
        let len = is_inside.then(|| range.end - range.start).ok_or(ViewError::Range)?;
        let start = self.start.as_ptr().wrapping_add(range.start);
        NonNull::new(start).map(|start| (start, len)).ok_or(ViewError::Range)
    }
}

impl Drop for Memory {
    #[expect(unsafe_code, reason = "`Vec` has no alignment")]
    fn drop(&mut self) {
        if self.serial.is_some() {
            FREED.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: it was allocated with this layout. Views borrow a clone of the buffer and
        // operations own one, so that none of them is left.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("len", &self.len).finish_non_exhaustive()
    }
}

#[expect(unsafe_code, reason = "the memory of a buffer is shared")]
// SAFETY: `Memory` owns what it points to, and references into it are made only under a use that
// excludes those that would change it, whichever thread they are in.
unsafe impl Send for Memory {}
#[expect(unsafe_code, reason = "the memory of a buffer is shared")]
// SAFETY: as above.
unsafe impl Sync for Memory {}

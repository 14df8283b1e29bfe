//! Buffers that were used before, so that no memory is asked for in the steady state.

use super::IoBuffer;
use super::buffer::{BLOCK, KEPT_MAX};

/// Buffers that are kept, by length: powers of two from 4 KiB to 1 MiB.
#[derive(Debug)]
pub struct Pool {
    shelves: [Vec<IoBuffer>; SHELVES],
    kept: usize,
    kept_max: usize,
}

/// 4 KiB, and eight times twice as much.
const SHELVES: usize = 9;
const _: () = assert!(KEPT_MAX == BLOCK << (SHELVES - 1), "the last shelf has the longest");

impl Pool {
    /// An empty one that keeps at most `kept_max` bytes.
    pub fn new(kept_max: usize) -> Self {
        Self { shelves: Default::default(), kept: 0, kept_max }
    }

    /// A buffer of at least `len` bytes. What it holds may be of an earlier use.
    ///
    /// # Panics
    /// If no memory can be that long.
    pub fn take(&mut self, len: usize) -> IoBuffer {
        let Some(shelf) = Self::shelf(len) else { return IoBuffer::zeroed(len) };
        let Some(buffer) = self.shelves[shelf].pop() else {
            return IoBuffer::zeroed(BLOCK << shelf);
        };
        self.kept -= buffer.len();
        buffer
    }

    /// Keeps it for later, if nobody else has it, it is not too long, and there is room; it is as
    /// if dropped otherwise, and the last who has it frees it.
    pub fn give_back(&mut self, mut buffer: IoBuffer) {
        let len = buffer.len();
        let shelf = Self::shelf(len).filter(|&shelf| len == BLOCK << shelf);
        let has_room = self.kept.saturating_add(len) <= self.kept_max;
        if let (Some(shelf), true, true) = (shelf, has_room, buffer.is_free()) {
            self.kept += len;
            self.shelves[shelf].push(buffer);
        }
    }

    /// How many bytes it keeps.
    pub const fn kept(&self) -> usize {
        self.kept
    }

    /// The first one where buffers are long enough.
    fn shelf(len: usize) -> Option<usize> {
        if len > KEPT_MAX {
            return None;
        }
        let blocks = len.div_ceil(BLOCK).next_power_of_two();
        usize::try_from(blocks.trailing_zeros()).ok()
    }
}

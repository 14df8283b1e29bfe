//! Memory that direct I/O takes: whole blocks at multiples of their length.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::disk::BLOCK;

#[derive(Clone, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C, align(4096))]
struct Block([u8; BLOCK]);

/// Some blocks.
pub(super) struct Blocks(Vec<Block>);

impl Blocks {
    pub(super) fn zeroed(count: usize) -> Self {
        Self(vec![Block([0; BLOCK]); count])
    }

    /// A copy of `bytes`, filled up with zeros to whole blocks.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut blocks = Self::zeroed(bytes.len().div_ceil(BLOCK));
        blocks.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        blocks
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.0.as_mut_bytes()
    }
}

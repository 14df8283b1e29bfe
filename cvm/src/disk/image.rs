//! The image: a whole configuration of a group, as it lies in a slot of a configuration copy.
//!
//! ```text
//! block 0                                   block 1                  block n
//! | stamp | head | outcomes, copies, text ..| stamp | .. text ..     | stamp | .. text |
//! ```
//! Every block has the stamp, so that one that was not written is told from its neighbours, and the
//! head has a checksum over all that follows it. What lies in the slot behind an image is left from
//! longer ones. Equal images have equal bytes, on every disk.

mod decode;
mod encode;

use std::collections::BTreeSet;
use std::sync::Arc;

use llt::Id;

use super::block::{BLOCK, BlockError, PAYLOAD_MAX};
use super::codec::{FormatError, ID_LEN};
use super::copies::{CopyKind, CopyList};
use super::outcome::Outcomes;
use super::slot::Slot;
use crate::model::text::TextError;
use crate::model::{Broken, Group, Stamp, UniqueId};

/// A configuration as a writer puts it on disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Image {
    /// Where it is written, on all disks.
    pub slot: Slot,
    /// Which configurations it is newer than.
    pub stamp: Stamp,
    /// Who writes it.
    pub writer: Id,
    /// The group is being imported: the serials of its disks were raised in this image, and their
    /// claims are about to be written. The first image after that has it no more.
    pub claiming: bool,
    /// What became of the last requests.
    pub outcomes: Outcomes,
    /// Where the copies are.
    pub copies: CopyList,
    /// Where the copies of the configurations are that it follows, as far as those are others: see
    /// [`Image::earlier_for`]. Without any the image is settled.
    pub earlier: Vec<CopyList>,
    /// The configuration. Who has it in force, who changes it and who lists it share it.
    pub group: Arc<Group>,
}

/// How many lists of copies an image can have beside its own. There is more than one only if imports
/// were cut short.
pub const EARLIER_MAX: usize = 7;

impl Image {
    /// The earlier lists of an image that follows this one, which was committed, and names the
    /// copies `new`. Whether this one was committed is not known at an import; see
    /// [`Choice::earlier_for`](super::Choice::earlier_for).
    ///
    /// If there are any, the configuration is written once more when the image is committed: until
    /// then an import needs copies that may have been given up for good.
    pub fn earlier_for(&self, new: &CopyList) -> Vec<CopyList> {
        let own = self.copies.only_active();
        if own == new.only_active() { Vec::new() } else { vec![own] }
    }

    /// The same if it is not known whether this image was committed: what it follows may be in force.
    pub fn earlier_in_doubt(&self, new: &CopyList) -> Vec<CopyList> {
        let mut earlier = self.earlier_for(new);
        for list in &self.earlier {
            if !earlier.contains(list) && *list != new.only_active() {
                earlier.push(list.clone());
            }
        }
        earlier
    }

    /// It may be committed when it is safe on the disks `written`: no import will pass it over. It is
    /// written to all active copies that it names, the earlier ones, too.
    pub fn is_enough(&self, written: &BTreeSet<UniqueId>) -> bool {
        self.lists().all(|list| list.is_written(CopyKind::Config, written))
    }

    /// Its own list of copies, and the earlier ones: it is written to the active copies of all.
    pub fn lists(&self) -> impl Iterator<Item = &CopyList> {
        std::iter::once(&self.copies).chain(&self.earlier)
    }
}

/// What the first block of an image says of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Head {
    /// The group.
    pub group: UniqueId,
    /// Which configurations it is newer than.
    pub stamp: Stamp,
    /// Who wrote it.
    pub writer: Id,
    /// How many blocks it has, this one included.
    pub blocks: u32,
    claiming: bool,
    outcomes: usize,
    copies: usize,
    text: usize,
    sum: u32,
}

/// Why a slot has no image, or an image cannot be written. Nothing was changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ImageError {
    /// A block is damaged, or was never written.
    #[error("{error} (block {number})")]
    Block {
        /// Of the image.
        number: u32,
        /// What is wrong with it.
        error: BlockError,
    },
    /// The records do not go together.
    #[error("Configuration records are inconsistent: {0}")]
    Broken(#[from] Broken),
    /// Something else is wrong with its fields.
    #[error("Format error in configuration copy: {0}")]
    Field(
        /// What was expected.
        &'static str,
    ),
    /// A block is of another image: this one was not written to its end.
    #[error("Format error in configuration copy: block {number} is of another configuration")]
    Mixed {
        /// Of the image.
        number: u32,
    },
    /// It is longer than the slot.
    #[error("No more space in disk group configuration")]
    NoSpace {
        /// Blocks that it has.
        blocks: u32,
        /// Blocks of the slot.
        room: u32,
    },
    /// Its end was not read.
    #[error("Format error in configuration copy: {blocks} blocks, and {read} bytes of them")]
    Short {
        /// Blocks that it has.
        blocks: u32,
        /// Bytes that were there.
        read: usize,
    },
    /// The text of the configuration cannot be read.
    #[error("Format error in configuration copy: {0}")]
    Text(#[from] TextError),
}

impl ImageError {
    /// There is nothing in the slot, and never was.
    pub const fn is_blank(&self) -> bool {
        matches!(self, Self::Block { number: 0, error: BlockError::Blank })
    }
}

impl From<FormatError> for ImageError {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::Block(error) => Self::Block { number: 0, error },
            FormatError::Field(what) => Self::Field(what),
        }
    }
}

/// Bytes of each block for the stamp.
const STAMP: usize = 16;
/// Bytes of the first block for the head.
const HEAD: usize = 24 + ID_LEN;
/// Bytes of an outcome.
const OUTCOME: usize = 26;
/// Bytes of a disk with copies.
const COPY: usize = ID_LEN + 3;
/// What follows the head in the first block, and the stamp in each other.
const FIRST: usize = PAYLOAD_MAX - STAMP - HEAD;
const OTHER: usize = PAYLOAD_MAX - STAMP;
const CLAIMING: u8 = 1;

/// Blocks that an image has with so many bytes after its head.
fn blocks_for(stream: usize) -> usize {
    1 + stream.saturating_sub(FIRST).div_ceil(OTHER)
}

const _: () = assert!(FIRST > 0 && OTHER < BLOCK);

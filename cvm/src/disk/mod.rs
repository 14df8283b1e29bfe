//! What lies on the disks of a group (design 4), drawn byte by byte in `docs/ondisk.md`.
//!
//! Bytes in, bytes out: nothing here reads or writes a disk. A disk has a private region, in blocks
//! of [`BLOCK`] bytes, and behind it the public region, of which this module knows the dirty region logs
//! ([`DrlShape`]) and nothing else.
//!
//! | part | says | written | when |
//! |---|---|---|---|
//! | [`Label`] | which disk this is, and where its parts are | twice | once, by `vxdisksetup` |
//! | [`Claim`] | to which group it belongs, and whose that is | three slots, twice each | import, deport, add, remove |
//! | [`Image`] | the whole configuration of the group | three slots | every change |
//!
//! Nothing is written over what is in force: a writer takes [`next_slot`], and a torn write leaves
//! what was there before. [`choose()`] says what counts when a group is imported, [`CopyList`] on which
//! disks its configuration is.

mod block;
mod choose;
mod claim;
mod codec;
mod copies;
mod drl;
mod geometry;
mod image;
mod label;
mod outcome;
mod pools;
mod regions;
mod slot;

pub use block::{BLOCK, BLOCK_SECTORS, BlockError, BlockKind, PAYLOAD_MAX, Place, forge_checksum};
pub use choose::{
    Choice, Damaged, FoundDisk, FoundSlot, ImportError, ImportRequest, Split, choose, groups,
};
pub use claim::{Claim, Claims, Member};
pub use codec::FormatError;
pub use copies::{CopyKind, CopyList, CopyState, DiskCopies};
pub use drl::{
    DRL_BLOCK, DRL_REGION, DrlMap, DrlName, DrlShape, FILL_MAP, HOST_MAP, RECOVERY_MAP, changes_of,
    encode_block, map_of, read_map,
};
pub use geometry::{
    COPIES, Geometry, GeometryError, LABELS_AT, PRIVATE_LEN_DEFAULT, PRIVATE_LEN_MAX,
    PRIVATE_LEN_MIN, PRIVATE_OFFSET,
};
pub use image::{EARLIER_MAX, Head, Image, ImageError};
pub use label::{FoundLabel, Label};
pub use outcome::{Decision, OUTCOMES_MAX, Outcome, Outcomes, RequestId};
pub use pools::{Pool, pools};
pub use regions::{Blocks, DefinedRegion, Extent, RegionKind};
pub use slot::{Held, SLOTS, Slot, next_slot};

#[cfg(test)]
mod tests;

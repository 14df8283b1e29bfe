//! Volumes, pure: what is asked of a volume becomes operations on disks, and their ends become its
//! end. No clocks, files or threads: what time it is it is told ([`Volume::set_time`]), and counts by.
//!
//! | file | what |
//! |---|---|
//! | `map.rs` | where blocks lie |
//! | `request.rs` | the words between a volume, its programs and its disks |
//! | `state.rs` | a volume with its requests: what runs, what waits, what stands still |
//! | `wait.rs` | what waits for what |
//! | `fill.rs` | a volume that gets what another one held: what waits until a region is filled |
//! | `log.rs` | the dirty region log: marks that are on disks before data are |
//! | `issue.rs` | a request becomes operations: which plex is read, all that are written |
//! | `finish.rs` | what comes of it when the disks have answered |
//! | `tally.rs` | what it has done is counted, by volume, plex, subdisk and disk |
//!
//! ```text
//! submit -> waits -> runs -> done
//!             ^        |
//!             +--------+  a plex failed: another is read; or it is off for all nodes, and the write
//!                         is made anew
//! ```
//! A request waits while the volume stands still, because its table changes or its cluster does, and
//! behind writes of the same blocks where copies could become different. What was parked because a
//! plex failed is made anew under whatever table comes next: the same bytes once more.
//!
//! Copies that may differ are made equal from outside, a range after the other: [`What::Hold`], then
//! [`What::Copy`] in it, then [`Volume::release`]. Until all of them are, everybody reads the same
//! copy ([`Rules::reads_one`]), and what was read once stays.

mod fill;
mod finish;
mod issue;
mod log;
mod map;
mod request;
mod state;
mod tally;
#[cfg(test)]
mod tests;
mod wait;

pub use map::{
    DiskIndex, Home, LogCopy, Member, Mirror, MirrorIndex, MirrorLog, Part, Parts, PlexIndex,
    PlexMap, PlexMode, SubdiskIndex, SubdiskMap, Target, VolumeMap,
};
pub use request::{
    DiskOp, DiskWork, FillRule, IoFailed, Notes, OpId, Request, RequestId, Rules, VolumeNote,
    VolumeOutput, What,
};
pub use state::Volume;
pub use tally::Placed;

//! The I/O of volumes: threads, each with some volumes, their clients and the disks below them.
//!
//! ```text
//! client <--socket--> Client --Request--> Volume --DiskOp--> Disks --Operation--> Driver --> disks
//!                              (pure)       |
//!                                           +-- a plex failed, stands still --> vxiod's reactor
//! ```
//! All of a volume happens in one thread, its *shard*: a request that comes from a client goes to the
//! disks, and its answer back, without a lock and without meeting another thread. The reactor of
//! vxiod says which volumes there are and whether their I/O may run (`ToShard`), and hears what is
//! to be agreed on with other nodes (`FromShard`).
//!
//! | file | what |
//! |---|---|
//! | `shard.rs` | the thread: what has happened, and what comes of it |
//! | `client.rs` | a client of the NBD protocol: requests in, replies out |
//! | `disks.rs` | files of disks, as they are found |
//! | `hung.rs` | disks that do not answer |
//! | `lease.rs` | whether shared disks may be told anything at present |
//! | `trace.rs` | what has happened last, for `vxtrace` |
//! | `notes.rs` | errors of disks as lines of the log |
//! | `ranges.rs` | ranges of volumes that nobody changes, and the copies that are made of them |
//! | `driver/` | reads, writes and waits by `io_uring` or threads |

mod client;
mod disks;
pub mod driver;
mod hung;
mod lease;
mod notes;
mod ranges;
mod shard;
mod trace;

use std::os::fd::OwnedFd;
use std::sync::Arc;

pub(crate) use disks::Found;
pub(crate) use driver::DiskFile;
pub(crate) use hung::HungDisks;
pub(crate) use lease::IoLease;
pub(crate) use shard::start;
pub(crate) use trace::Taken;

use crate::core::iod::{RangeNumber, VolumeIo};
use crate::export::nbd::Session;
use crate::model::{Name, Rid, Sectors, UniqueId};
use crate::stats::{Reset, Stats};
use crate::volume::IoFailed;

/// Threads for the I/O of volumes: one for each processor, and not more than this.
pub(crate) const SHARDS_MAX: usize = 4;

/// Names an open volume.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct VolumeNumber(pub(crate) u64);

/// What a shard is told.
#[derive(Debug)]
pub(crate) enum ToShard {
    /// Nobody has the volume open any more.
    Close(VolumeNumber),
    /// A disk was looked for.
    Disk(UniqueId, Option<Arc<Found>>),
    /// What the I/O of a volume may do; the first time, it is opened. The number comes back when it
    /// stands still.
    Io(VolumeNumber, VolumeIo, u64),
    /// The range of a volume that is held is made equal on all copies.
    Copy(VolumeNumber, RangeNumber),
    /// What another volume holds there is copied to this one.
    Fill {
        /// Which volume is filled.
        volume: VolumeNumber,
        /// Names it.
        number: RangeNumber,
        /// What it is filled with.
        id: Rid,
        /// From which sector on.
        at: Sectors,
        /// How many.
        len: Sectors,
    },
    /// So many sectors from there on are filled; the number tells with what.
    Filled(VolumeNumber, Rid, Sectors, Sectors),
    /// Nobody changes a range of a volume from here on; one that was held before is not.
    Hold {
        /// Of which volume.
        volume: VolumeNumber,
        /// Names it.
        number: RangeNumber,
        /// From which sector on.
        at: Sectors,
        /// How many.
        len: Sectors,
    },
    /// What is asked before shared disks are told anything; without one they are told nothing.
    Lease(Option<Arc<IoLease>>),
    /// Nothing of the volume is held any more.
    Release(VolumeNumber),
    /// A client of a volume.
    Serve(VolumeNumber, OwnedFd, Box<Session>),
    /// What has been done? Then it is counted anew from there on, if that is wanted.
    Stats(AskNumber, Option<Reset>),
    /// What has happened?
    Trace {
        /// Comes back with the answer.
        ask: AskNumber,
        /// Since the last time; `None`: from now on.
        next: Option<u64>,
        /// So many events are to be kept until the next time.
        room: u32,
    },
}

/// Names a question to all shards.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct AskNumber(pub(crate) u64);

/// What a shard tells.
#[derive(Debug)]
pub(crate) enum FromShard {
    /// Nothing that was begun changes the range any more.
    Clear(VolumeNumber, RangeNumber),
    /// The copies of the range are equal, or could not be made so.
    Copied(VolumeNumber, RangeNumber, bool),
    /// What another volume holds was copied, or why not.
    FillDone(VolumeNumber, RangeNumber, Result<(), IoFailed>),
    /// A client wants to change a volume that this node does not write yet.
    FirstChange(VolumeNumber),
    /// Where is this disk?
    Find(UniqueId),
    /// A disk does not answer, or has answered all that it was told.
    Hangs(UniqueId),
    /// A client has gone.
    Left(VolumeNumber),
    /// Nobody must use this plex any more; because of this disk, if one has failed.
    PlexFailed(VolumeNumber, Name, Option<UniqueId>),
    /// What its volumes have done, also those that nobody has open any more.
    Stats(AskNumber, Stats),
    /// Disks have answered all that they were told for the volume before it was to stand still.
    Still(VolumeNumber, u64),
    /// What has happened, in which shard.
    Traced(AskNumber, usize, Taken),
    /// Something waits until so many sectors from there on are filled.
    Unfilled(VolumeNumber, Sectors, Sectors),
}

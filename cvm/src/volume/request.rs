//! What is asked of a volume, and what it asks of disks.

use super::map::DiskIndex;
use crate::model::{Name, Rid, Sectors, UniqueId};

/// Names a request until it is done; whoever makes it chooses.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub u64);

impl RequestId {
    /// What is done for no request.
    pub const NOBODY: Self = Self(u64::MAX);
}

/// What a volume may do on this node while a table is in force.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Rules {
    /// The disks belong to several nodes: they are told nothing without a lease, which is for whoever
    /// drives the volume to see to.
    pub is_shared: bool,
    /// Nobody else writes: what cannot be read of one plex may be written from another.
    pub is_alone: bool,
    /// The cluster knows that this node writes: after its loss the copies are made equal.
    pub is_marked: bool,
    /// This node alone cannot write a disk of it: changes and flushes fail here.
    pub is_apart: bool,
    /// Copies may differ: all nodes read the same one of them.
    pub reads_one: bool,
    /// The map of this node in dirty region logs, where there are any.
    pub log_map: Option<u16>,
    /// It is a snapshot that nobody has written: before anybody does the record says so.
    pub is_untouched: bool,
    /// Changes are noted, for snapshots that are to come back.
    pub notes: Option<Notes>,
    /// It is being filled, or another volume from it.
    pub fill: Option<FillRule>,
}

/// What waits until a region is filled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FillRule {
    /// Tells it from what was filled before.
    pub id: Rid,
    /// This volume is filled: all waits; else another one is, and what waits are changes.
    pub is_target: bool,
}

/// Changes that are noted in dirty region logs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Notes {
    /// The number of them.
    pub number: u32,
    /// This node may have noted some already; else nothing that its map says counts.
    pub has_begun: bool,
}

/// What is wanted of a volume.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum What {
    /// Not for clients: all copies become equal, in blocks that a [`Hold`](Self::Hold) keeps on every
    /// node that writes them. One copy is read into the data of the request, the others are written
    /// from there; where copies are known to be equal, only those that are not read yet. Nothing is
    /// durable before a flush. [`Volume::cancel`](super::Volume::cancel) ends it early.
    Copy,
    /// Not for clients: blocks of another volume, as [`VolumeMap::source`](super::VolumeMap::source) has
    /// them, are read into the data of the request and written to all copies. Done means durable.
    /// It fails as gone, without harm, when the volume is filled with something else by then.
    Fill {
        /// What the rules are to say that it is filled with.
        id: Rid,
    },
    /// What was written and reported as done is to be durable.
    Flush,
    /// Not for clients: nobody changes blocks through this volume, from
    /// [`VolumeOutput::Held`] until [`Volume::release`](super::Volume::release).
    Hold,
    /// Blocks.
    Read,
    /// Blocks are replaced.
    Write {
        /// They are durable when it is done.
        durable: bool,
    },
    /// Blocks become zero.
    Zero {
        /// They are durable when it is done.
        durable: bool,
        /// They need not take room.
        may_unmap: bool,
    },
}

impl What {
    /// It changes blocks: what was read there before is not what is read there later.
    pub const fn changes(self) -> bool {
        match self {
            Self::Write { .. } | Self::Zero { .. } => true,
            Self::Copy | Self::Fill { .. } | Self::Flush | Self::Hold | Self::Read => false,
        }
    }
}

/// A request. Its data, if it has any, are kept by whoever makes it, and do not change before it is
/// done: all copies are written from the same bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Request {
    /// Its name.
    pub id: RequestId,
    /// What is wanted.
    pub what: What,
    /// From which sector of the volume on.
    pub at: Sectors,
    /// How many sectors.
    pub len: Sectors,
}

/// Names an operation until it is done.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OpId(pub usize);

impl OpId {
    /// Of an operation that has no number yet.
    pub(super) const NONE: Self = Self(usize::MAX);
}

/// What a disk is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DiskWork {
    /// All that it has reported as done becomes durable.
    Flush,
    /// Read into the data of the request.
    Read,
    /// Write from the data of the request.
    Write {
        /// Done means durable.
        durable: bool,
    },
    /// Make it read as zeros.
    Zero {
        /// It need not take room.
        may_unmap: bool,
    },
}

impl DiskWork {
    /// It needs a disk that can be written.
    pub const fn changes(self) -> bool {
        match self {
            Self::Write { .. } | Self::Zero { .. } => true,
            Self::Flush | Self::Read => false,
        }
    }
}

/// An operation on one disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DiskOp {
    /// Its name.
    pub id: OpId,
    /// Whose data; [`RequestId::NOBODY`]'s are given with it, or there are none.
    pub request: RequestId,
    /// Which disk.
    pub disk: DiskIndex,
    /// What.
    pub work: DiskWork,
    /// From which sector of the public region on.
    pub at: Sectors,
    /// How many sectors.
    pub len: Sectors,
    /// From which sector of the data of the request on.
    pub offset: Sectors,
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IoFailed {
    /// No copy could be read, or none could be written. Of a write, any part may be on disks.
    #[error("I/O error")]
    Io,
    /// The volume ends before. Nothing was done.
    #[error("beyond the end of the volume")]
    Range,
    /// The volume is not there any more, or this node may not use it. Of a write, any part may be on
    /// disks.
    #[error("the volume is not available on this node")]
    Gone,
}

/// What whoever drives a volume has to do for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum VolumeOutput {
    /// For a disk; [`Volume::handle_done`](super::Volume::handle_done) takes the answer.
    Disk(DiskOp),
    /// The end of a request.
    Done(RequestId, Result<(), IoFailed>),
    /// Something is to be changed for the first time under rules without a mark: it waits for
    /// [`Volume::go_on`](super::Volume::go_on) with one.
    FirstChange,
    /// A [`What::Hold`] has its blocks.
    Held(RequestId),
    /// For a disk: these bytes are written, and are durable when that is done.
    Log(DiskOp, Vec<u8>),
    /// For a disk: what it reads is for [`Volume::handle_log_read`](super::Volume::handle_log_read), and
    /// then the operation is done.
    ReadLog(DiskOp),
    /// For people, and for counters.
    Note(VolumeNote),
    /// Nobody must use this plex any more, which has to be agreed on: writes wait for that.
    PlexFailed {
        /// Which.
        plex: Name,
        /// The disk that did not do what it was told; none if it is the plex that was to be copied to it.
        disk: Option<UniqueId>,
    },
    /// It was to stand still, and does.
    Still,
    /// These regions have to be filled, for something that waits: [`Volume::filled`](super::Volume::filled).
    Unfilled {
        /// From this sector of the volume on.
        at: Sectors,
        /// How many sectors.
        len: Sectors,
    },
}

/// Things that people want to know of a volume.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum VolumeNote {
    /// What could not be read of a plex was read from another and written there.
    Corrected {
        /// Which.
        plex: Name,
        /// Where on the disk.
        at: Sectors,
        /// How many sectors.
        len: Sectors,
    },
    /// Something could not be read; another plex was.
    ReadFailed {
        /// Which.
        plex: Name,
        /// Where on the disk.
        at: Sectors,
        /// How many sectors.
        len: Sectors,
    },
    /// Something could not be written.
    WriteFailed {
        /// Which.
        plex: Name,
        /// Where on the disk.
        at: Sectors,
        /// How many sectors.
        len: Sectors,
    },
}

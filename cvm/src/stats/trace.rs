//! What `vxtrace` shows: the beginnings and the ends of requests to volumes and of what disks do for
//! them.
//!
//! Each shard keeps what has happened last in a ring, as long as somebody asks for it. Who asks says
//! where the last answer has ended, and what has fallen out of the ring in between is counted: so
//! nobody is waited for, and several may look at the same time.

use serde::{Deserialize, Serialize};

use crate::model::{Sectors, UniqueId};

/// How far somebody has seen the events of all shards.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct TraceTaken {
    /// The next event of each shard; empty at the beginning: from now on.
    pub next: Vec<u64>,
    /// So many events a shard is to keep; the largest number that somebody asks for.
    pub room: u32,
}

/// Events that were asked for.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Traced {
    /// Those of one shard are in the order in which they happened.
    pub events: Vec<TraceEvent>,
    /// How many are missing, because the rings had no room for them.
    pub lost: u64,
    /// For the next time.
    pub taken: TraceTaken,
}

/// Something begins, or ends, or does not end.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TraceEvent {
    /// Numbers the operation: its beginning and its end have the same.
    pub op: u64,
    /// Of what disks do: the operation of the volume that it is a part of; none is done for the volume
    /// itself, such as writing its log.
    pub parent: Option<u64>,
    /// What happens.
    pub stage: Stage,
    /// What is done.
    pub work: TracedWork,
    /// The volume's group, by id and by name.
    pub group: UniqueId,
    /// Its name.
    pub group_name: String,
    /// The volume.
    pub volume: TraceObject,
    /// The number of its device.
    pub minor: u32,
    /// The plex, of what disks do.
    pub plex: Option<TraceObject>,
    /// The subdisk; of a flush there is none.
    pub subdisk: Option<TraceObject>,
    /// The disk.
    pub disk: Option<TraceObject>,
    /// How many blocks.
    pub len: Sectors,
    /// The process that asks, if it is one of this machine.
    pub pid: Option<u32>,
    /// Microseconds since 1970.
    pub time: u64,
}

/// An object, and where in it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TraceObject {
    /// Its name.
    pub name: String,
    /// From which block on; of a disk, of its public region.
    pub block: Sectors,
}

/// What happens to an operation.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It is over.
    End {
        /// How long it took, in microseconds.
        micros: u64,
        /// It was done; else it has failed.
        is_done: bool,
    },
    /// It has not come back.
    Stall {
        /// For how long, in microseconds.
        micros: u64,
    },
    /// It begins.
    Start {
        /// So many are under way at the volume, this one included.
        concurrency: u64,
    },
}

/// What is done.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TracedWork {
    /// Copies are made equal.
    Copy,
    /// What was written becomes durable.
    Flush,
    /// Blocks are read.
    Read,
    /// Blocks are written.
    Write,
    /// Blocks become zero.
    Zero,
}

impl TracedWork {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Flush => "flush",
            Self::Read => "read",
            Self::Write => "write",
            Self::Zero => "zero",
        }
    }
}

//! Writes that are under way.

use std::collections::BTreeMap;
use std::sync::Arc;

use llt::Instant;

use super::{Iod, IodOutput};
use crate::core::txn::TxnId;
use crate::disk::{Claim, Image};
use crate::model::UniqueId;

/// Names a write until it is done.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Token(pub u64);

/// What is written.
#[derive(Clone, Debug)]
pub enum Write {
    /// What a disk says of itself.
    Claim(
        /// It names the disk and the slot.
        Box<Claim>,
    ),
    /// A copy of the configuration, which names the slot.
    Image(
        /// Which disk.
        UniqueId,
        /// What.
        Arc<Image>,
    ),
}

impl Write {
    /// The disk that is written.
    pub const fn disk(&self) -> &UniqueId {
        match self {
            Self::Claim(claim) => &claim.disk,
            Self::Image(disk, _) => disk,
        }
    }
}

/// How a write ended; durable if it did well.
pub type WriteDone = Result<(), DiskError>;

/// Why a disk did not do what it was asked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DiskError {
    /// The others may have gone on without this node.
    #[error("this node is not a member of the cluster any more")]
    NoLease,
    /// This node has no path to it.
    #[error("no path to the disk")]
    NoPath,
    /// The configuration is larger than its place.
    #[error("No more space in disk group configuration")]
    NoSpace,
    /// It answered with an error.
    #[error("I/O error {0}")]
    Failed(i32),
}

/// What a write belongs to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// The transaction.
    Commit(TxnId),
    /// Writing back, the try with this number.
    Repair(UniqueId, u64),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Writes {
    next: u64,
    under_way: BTreeMap<Token, (Purpose, UniqueId, bool)>,
}

impl Iod {
    /// Issues a write.
    pub(super) fn write(&mut self, purpose: Purpose, write: Write) {
        let token = Token(self.writes.next);
        self.writes.next += 1;
        let is_image = matches!(write, Write::Image(..));
        // Also what makes a shared group private, or ends it.
        let is_shared = match &purpose {
            Purpose::Commit(_) => self.open.as_ref().is_none_or(|open| open.is_shared),
            Purpose::Repair(group, _) => {
                self.repairs.get(group).is_none_or(super::repair::Repair::is_shared)
            }
        };
        self.writes.under_way.insert(token, (purpose, write.disk().clone(), is_image));
        self.out.push_back(IodOutput::Write(token, write, is_shared));
    }

    /// Is a write into a group's slots under way, whatever for?
    pub(super) fn has_writes(&self, group: &UniqueId) -> bool {
        self.writes.under_way.values().any(|(purpose, ..)| match purpose {
            Purpose::Commit(id) => id.group == *group,
            Purpose::Repair(id, _) => id == group,
        })
    }

    pub(super) fn on_write(&mut self, now: Instant, token: Token, done: Result<(), DiskError>) {
        let Some((purpose, disk, is_image)) = self.writes.under_way.remove(&token) else {
            self.alarm("a write that nobody asked for is done");
            return;
        };
        match purpose {
            Purpose::Commit(id) => self.on_commit_write(now, &id, disk, is_image, done),
            Purpose::Repair(group, number) => {
                self.on_repair_write(now, &group, number, disk, is_image, done);
            }
        }
    }
}

//! What is written to disks: a group's configuration, and what a disk says of its membership.

use std::sync::Arc;

use llt::Id;

use super::txn::{Outcome, RequestId};
use crate::model::{Group, Name, Owner, Serial, Stamp, UniqueId};

/// How many outcomes of requests an image remembers.
pub const OUTCOMES_MAX: usize = 64;

/// A configuration as it lies on a disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Image {
    /// Which of several is the newer one.
    pub stamp: Stamp,
    /// Whose vxiod wrote it.
    pub writer: Id,
    /// The configuration.
    pub group: Arc<Group>,
    /// Disks that have a copy; those that could not be written when it was last tried are failed.
    pub copies: Vec<Copy>,
    /// What became of the newest requests, the newest last.
    pub outcomes: Vec<(RequestId, Outcome)>,
}

/// A disk with a copy of the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Copy {
    /// Which disk.
    pub disk: UniqueId,
    /// It could not be written.
    pub is_failed: bool,
}

impl Image {
    /// Adds what became of a request.
    pub fn note(&mut self, request: RequestId, outcome: Outcome) {
        if self.outcomes.iter().any(|(known, _)| *known == request) {
            return;
        }
        self.outcomes.push((request, outcome));
        let surplus = self.outcomes.len().saturating_sub(OUTCOMES_MAX);
        self.outcomes.drain(..surplus);
    }

    /// What a disk of the group says of itself.
    pub fn claim(&self, disk: &UniqueId) -> Claim {
        let member = self.group.disks.iter().find(|(_, dm)| dm.disk.as_ref() == Some(disk));
        let member = member.filter(|_| !self.group.destroyed).map(|(name, dm)| Membership {
            dm: name.clone(),
            group: self.group.name.clone(),
            group_id: self.group.id.clone(),
            owner: self.group.owner.clone(),
            autoimport: self.group.autoimport,
            serial: dm.serial,
        });
        Claim { stamp: self.stamp, writer: self.writer, member }
    }
}

/// What a disk says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// Which of several is the newer one.
    pub stamp: Stamp,
    /// Whose vxiod wrote it.
    pub writer: Id,
    /// The group that it belongs to.
    pub member: Option<Membership>,
}

/// The place of a disk in a group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Membership {
    /// The record that stands for it.
    pub dm: Name,
    /// The group's name.
    pub group: Name,
    /// The group's identity.
    pub group_id: UniqueId,
    /// Who may import it.
    pub owner: Owner,
    /// Imported by itself.
    pub autoimport: bool,
    /// Counts the imports that it took part in.
    pub serial: Serial,
}

//! Why a group is not imported.

use std::fmt;

use crate::model::{Name, Owner, Serial, Stamp, UniqueId};

use super::Damaged;

/// Why a group cannot be imported, in the words of the original where it has any (facts 3.18).
/// Nothing was changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ImportError {
    /// Two disks have one identity: a copy of a disk, or two paths to one.
    #[error("Duplicate disk id {disk}: {}, {}", access[0], access[1])]
    DuplicateDisk {
        /// The identity.
        disk: UniqueId,
        /// How this node calls them.
        access: [String; 2],
    },
    /// A disk is stamped by somebody else. `vxdg -C` takes it in spite of that.
    #[error("{}", in_use(owner))]
    InUse {
        /// How this node calls it.
        access: String,
        /// By whom.
        owner: Owner,
    },
    /// Two configurations have one stamp: two masters wrote at the same time. One of them must be
    /// selected.
    #[error("Configuration records are inconsistent")]
    Inconsistent {
        /// That of both.
        stamp: Stamp,
    },
    /// No disk says that it belongs to the group.
    #[error("No such disk group")]
    NoSuchGroup,
    /// No disk has a whole configuration, or the selected one has none.
    #[error("Disk group has no valid configuration copies")]
    NoValidCopies {
        /// What they have instead.
        damaged: Vec<Damaged>,
    },
    /// A disk knows of a newer configuration than any that was found. `vxdg -f` imports in spite of
    /// that.
    #[error("Disk for disk group not found")]
    Older {
        /// The newest that was found.
        newest: Stamp,
        /// What the disk knows of: this one or a newer one is on the others.
        floor: Stamp,
    },
    /// Parts of the group were imported apart from each other. A configuration must be selected.
    #[error("Serial Split Brain detected. Run vxsplitlines")]
    SplitBrain {
        /// The disks that were elsewhere.
        splits: Vec<Split>,
    },
    /// Not more than half of the copies of the configuration were found: a newer configuration may be on the others. `vxdg
    /// -f` imports in spite of that.
    #[error("Disk for disk group not found")]
    TooFewCopies {
        /// How many were found.
        found: usize,
        /// How many count.
        active: usize,
    },
}

const fn in_use(owner: &Owner) -> &'static str {
    match owner {
        Owner::Cluster(_) => "Disk in use by another cluster",
        Owner::Host(_) | Owner::Nobody => "Disk is in use by another host",
    }
}

/// A disk that does not have the serial that the configuration expects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Split {
    /// Its record.
    pub dm: Name,
    /// Its identity.
    pub disk: UniqueId,
    /// What the disk says.
    pub actual: Serial,
    /// What its record says.
    pub expected: Serial,
}

impl fmt::Display for Split {
    /// The text of V-5-0-33.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dm, actual, expected, .. } = self;
        write!(f, "Split Brain. da id is {actual}, while dm id is {expected} for DM {dm}")
    }
}

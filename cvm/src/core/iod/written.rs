//! What came of the writes of a configuration.

use std::collections::BTreeSet;

use crate::model::UniqueId;

#[derive(Clone, Debug, Default)]
pub(super) struct Written {
    /// Disks that have it.
    images: BTreeSet<UniqueId>,
    /// Disks that say of themselves what they said before.
    unclaimed: BTreeSet<UniqueId>,
}

impl Written {
    /// A disk has its image, or its claim, or has not.
    pub(super) fn note(&mut self, disk: UniqueId, is_image: bool, is_well: bool) {
        if is_image && is_well {
            self.images.insert(disk);
        } else if !is_image && !is_well {
            self.unclaimed.insert(disk);
        }
    }

    /// Disks that have it and say so: a copy on one that says that it is somebody else's is no copy.
    pub(super) fn safe(&self) -> BTreeSet<UniqueId> {
        self.images_but(&self.unclaimed)
    }

    /// Disks that have it, without these.
    pub(super) fn images_but(&self, but: &BTreeSet<UniqueId>) -> BTreeSet<UniqueId> {
        self.images.difference(but).cloned().collect()
    }

    /// Disks that say of themselves what they said before.
    pub(super) fn unclaimed(&self) -> impl Iterator<Item = &UniqueId> {
        self.unclaimed.iter()
    }
}

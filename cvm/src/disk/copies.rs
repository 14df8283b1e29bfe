//! Which disks of a group hold the copies that count, of the configuration and of the kernel log.
//!
//! Every disk has room for a kernel log, and `nlog` of them are named, as in the original; nothing is
//! written there, so that no import asks for them.
//!
//! Every image names them. An import needs more than half of the configuration copies that the image
//! names; so whoever writes an image must reach half of them at least, to be found by any import.
//! Half is enough, unlike more than half: a group of two disks can go on when one of them dies.
//!
//! An image that names other copies than the one before it names those of before, too
//! ([`Image::earlier`](super::Image::earlier)), and needs as many of them: whoever sees only the new
//! copies cannot know whether it was committed, and whoever sees only the old ones does not find it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Copies, Group, UniqueId};

/// Whether a copy counts.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum CopyState {
    /// It has every image; of a kernel log: it is named.
    Active,
    /// It could not be written and has missed some.
    Failed,
}

/// What there is a copy of.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum CopyKind {
    /// The configuration.
    Config,
    /// The kernel log.
    Log,
}

/// The copies on one disk; `None` is a disk on which nobody looks for any.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct DiskCopies {
    /// Of the configuration.
    pub config: Option<CopyState>,
    /// Of the kernel log.
    pub log: Option<CopyState>,
}

impl DiskCopies {
    /// Of one kind.
    pub const fn of(self, kind: CopyKind) -> Option<CopyState> {
        match kind {
            CopyKind::Config => self.config,
            CopyKind::Log => self.log,
        }
    }

    const fn of_mut(&mut self, kind: CopyKind) -> &mut Option<CopyState> {
        match kind {
            CopyKind::Config => &mut self.config,
            CopyKind::Log => &mut self.log,
        }
    }
}

/// The copies of a group. A disk without any is not listed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CopyList(BTreeMap<UniqueId, DiskCopies>);

impl CopyList {
    /// The copies that a group is to have, made of those that it has. `unusable` are disks that are
    /// not there or could not be written.
    ///
    /// As many as the policy of the group wants, on disks that are members, not removed and usable:
    /// first those that hold an active copy already, then those without one that failed, then by
    /// name. A copy that an unusable disk had is failed, and forgotten when the disk leaves the
    /// group or is usable again.
    pub fn assign(&self, group: &Group, unusable: &BTreeSet<UniqueId>) -> Self {
        let mut list = Self::default();
        for (kind, policy) in [(CopyKind::Config, group.nconfig), (CopyKind::Log, group.nlog)] {
            self.assign_kind(kind, policy, group, unusable, &mut list);
        }
        list
    }

    fn assign_kind(
        &self,
        kind: CopyKind,
        policy: Copies,
        group: &Group,
        unusable: &BTreeSet<UniqueId>,
        list: &mut Self,
    ) {
        let members = group.disks.values().filter_map(|disk| {
            let id = disk.disk.as_ref()?;
            Some((id, disk.removed || unusable.contains(id)))
        });
        let (lost, usable): (Vec<_>, Vec<_>) = members.partition(|(_, lost)| *lost);
        for (id, _) in lost {
            if self.state(id, kind).is_some() {
                *list.0.entry(id.clone()).or_default().of_mut(kind) = Some(CopyState::Failed);
            }
        }
        let mut usable: Vec<_> = usable.into_iter().map(|(id, _)| id).collect();
        // A stable sort: those that are alike stay in the order of their names.
        usable.sort_by_key(|id| match self.state(id, kind) {
            Some(CopyState::Active) => 0,
            None => 1,
            Some(CopyState::Failed) => 2,
        });
        for id in usable.iter().take(policy.of(usable.len())) {
            *list.0.entry((*id).clone()).or_default().of_mut(kind) = Some(CopyState::Active);
        }
    }

    /// The copy on a disk, if there is one.
    pub fn state(&self, disk: &UniqueId, kind: CopyKind) -> Option<CopyState> {
        self.0.get(disk).and_then(|copies| copies.of(kind))
    }

    /// The disks whose copies count.
    pub fn active(&self, kind: CopyKind) -> impl Iterator<Item = &UniqueId> {
        let active = move |copies: &DiskCopies| copies.of(kind) == Some(CopyState::Active);
        self.0.iter().filter(move |(_, copies)| active(copies)).map(|(id, _)| id)
    }

    /// How many active copies are on `disks`, and how many there are.
    pub fn count(&self, kind: CopyKind, disks: &BTreeSet<UniqueId>) -> (usize, usize) {
        let there = self.active(kind).filter(|id| disks.contains(*id)).count();
        (there, self.active(kind).count())
    }

    /// What is safe on `disks` is seen by every import: they have half of the active copies.
    pub fn is_written(&self, kind: CopyKind, disks: &BTreeSet<UniqueId>) -> bool {
        let (there, active) = self.count(kind, disks);
        there > 0 && 2 * there >= active
    }

    /// An import that sees `disks` misses nothing that was [written](Self::is_written): they have
    /// more than half of the active copies.
    pub fn is_seen(&self, kind: CopyKind, disks: &BTreeSet<UniqueId>) -> bool {
        let (there, active) = self.count(kind, disks);
        2 * there > active
    }

    /// Only the active copies.
    pub fn only_active(&self) -> Self {
        let active = |state: Option<CopyState>| state.filter(|state| *state == CopyState::Active);
        self.iter()
            .map(|(id, copies)| {
                let (config, log) = (active(copies.config), active(copies.log));
                (id.clone(), DiskCopies { config, log })
            })
            .collect()
    }

    /// By disk.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&UniqueId, DiskCopies)> {
        self.0.iter().map(|(id, copies)| (id, *copies))
    }
}

impl FromIterator<(UniqueId, DiskCopies)> for CopyList {
    fn from_iter<T: IntoIterator<Item = (UniqueId, DiskCopies)>>(list: T) -> Self {
        let listed = |(_, copies): &(UniqueId, DiskCopies)| *copies != DiskCopies::default();
        Self(list.into_iter().filter(listed).collect())
    }
}

//! What was found on the disks of this node, when it last looked.

use std::collections::BTreeMap;

use crate::disk::{Claim, FoundDisk, FoundSlot, Image, Slot};
use crate::model::{Stamp, UniqueId};

/// A path to a disk, as the daemon has found it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Device {
    /// Its access name: how this node calls the path.
    pub access: String,
    /// What is on it.
    pub state: DeviceState,
}

/// What is on a disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DeviceState {
    /// It cannot be read; the system's reason.
    Error(String),
    /// Nothing that was written by vxdisksetup; what was wrong with it.
    Invalid(String),
    /// A disk for groups.
    Ready(Box<FoundDisk>),
}

impl super::Configd {
    /// All prepared disks.
    pub(super) fn found(&self) -> impl Iterator<Item = &FoundDisk> {
        self.disks.values().filter_map(|disk| match &disk.state {
            DeviceState::Ready(found) => Some(&**found),
            DeviceState::Error(_) | DeviceState::Invalid(_) => None,
        })
    }

    /// The disk with this identity, if this node has a path to it.
    pub(super) fn found_by_id(&self, id: &UniqueId) -> Option<&FoundDisk> {
        self.found().find(|disk| disk.label.disk == *id)
    }

    /// A disk by access name, or what is wrong with it.
    pub(super) fn found_at(&self, access: &str) -> Result<&FoundDisk, String> {
        match self.disks.get(access).map(|disk| &disk.state) {
            None => Err(format!("Device {access}: no such device")),
            Some(DeviceState::Error(error) | DeviceState::Invalid(error)) => {
                Err(format!("Device {access}: {error}"))
            }
            Some(DeviceState::Ready(found)) => Ok(found),
        }
    }

    /// The tenure that each disk has in a group: one more if it belonged to none, or another.
    pub(super) fn tenures<'a>(
        &self,
        group: &UniqueId,
        disks: impl Iterator<Item = &'a UniqueId>,
    ) -> BTreeMap<UniqueId, u64> {
        let known = self.tables.get(group).map(|table| &table.tenures);
        let tenure = |disk: &UniqueId| {
            known.and_then(|known| known.get(disk).copied()).unwrap_or_else(|| {
                let newest = self.found_by_id(disk).and_then(|disk| disk.claims.newest.as_ref());
                next_tenure(newest, group)
            })
        };
        disks.map(|disk| (disk.clone(), tenure(disk))).collect()
    }

    /// Somebody who is gone may still write this slot of one of the disks.
    pub(super) fn busy_on<'a>(
        &self,
        slot: Slot,
        disks: impl IntoIterator<Item = &'a UniqueId>,
    ) -> bool {
        let mut disks = disks.into_iter();
        disks
            .any(|disk| self.busy.iter().any(|busy| busy.slot == slot && busy.disks.contains(disk)))
    }
}

fn next_tenure(newest: Option<&Claim>, group: &UniqueId) -> u64 {
    let member = newest.and_then(|claim| claim.member.as_ref());
    let is_same = member.is_some_and(|member| member.group == *group);
    newest.map_or(0, |claim| claim.tenure) + u64::from(!is_same)
}

/// The images of a group on a disk.
pub(super) fn images<'a>(
    disk: &'a FoundDisk,
    group: &'a UniqueId,
) -> impl Iterator<Item = &'a Image> {
    disk.slots.iter().filter_map(move |slot| match slot {
        FoundSlot::Image(image) if image.group.id == *group => Some(&**image),
        FoundSlot::Image(_) | FoundSlot::Invalid { .. } | FoundSlot::Unreadable => None,
    })
}

/// The highest stamp of a group that these disks know of.
pub(super) fn highest_stamp<'a>(
    disks: impl Iterator<Item = &'a FoundDisk>,
    group: &UniqueId,
) -> Stamp {
    let of_disk = |disk: &FoundDisk| {
        let claim = disk.claims.newest.as_ref();
        let claim = claim
            .filter(|claim| claim.member.as_ref().is_some_and(|member| member.group == *group));
        let claim = claim.map(|claim| claim.stamp);
        images(disk, group).map(|image| image.stamp).chain(claim).max().unwrap_or_default()
    };
    disks.map(of_disk).max().unwrap_or_default()
}

//! What was found on the disks of this node, when it last looked.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::image::{Claim, Image};
use crate::core::txn::Slot;
use crate::model::{Sectors, UniqueId};

/// A disk that this node has a path to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundDisk {
    /// Its access name: how this node calls the path.
    pub access: String,
    /// What is on it.
    pub state: DiskState,
}

/// What is on a disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DiskState {
    /// It cannot be read; the system's reason.
    Error(String),
    /// Nothing that was written by vxdisksetup.
    Invalid,
    /// A disk for groups.
    Ready(Box<ReadyDisk>),
}

/// A disk that vxdisksetup has prepared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReadyDisk {
    /// Its identity.
    pub id: UniqueId,
    /// Length of the public region.
    pub public_len: Sectors,
    /// Length of the private region.
    pub private_len: Sectors,
    /// The newest valid claim.
    pub claim: Option<Claim>,
    /// The configurations that it holds.
    pub images: BTreeMap<Slot, Arc<Image>>,
}

impl super::Configd {
    /// The disk with this identity, if this node has a path to it.
    pub(super) fn ready(&self, id: &UniqueId) -> Option<&ReadyDisk> {
        self.all_ready().map(|(_, disk)| disk).find(|disk| disk.id == *id)
    }

    /// All prepared disks, by access name.
    pub(super) fn all_ready(&self) -> impl Iterator<Item = (&str, &ReadyDisk)> {
        self.disks.values().filter_map(|disk| match &disk.state {
            DiskState::Ready(ready) => Some((disk.access.as_str(), &**ready)),
            DiskState::Error(_) | DiskState::Invalid => None,
        })
    }

    /// A disk by access name, with what is wrong with it.
    pub(super) fn disk_at(&self, access: &str) -> Result<&ReadyDisk, String> {
        match self.disks.get(access).map(|disk| &disk.state) {
            None => Err(format!("Device {access}: no such device")),
            Some(DiskState::Error(error)) => Err(format!("Device {access}: {error}")),
            Some(DiskState::Invalid) => {
                Err(format!("Device {access} is not a VxVM disk: initialise it with vxdisksetup"))
            }
            Some(DiskState::Ready(ready)) => Ok(ready),
        }
    }
}

//! A group as it is in force on a node.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::image::Image;
use crate::core::txn::{Slot, TxnId};
use crate::core::wire::v::GroupState;
use crate::model::{Epoch, Stamp, UniqueId};

/// All groups that are imported here.
pub type Tables = BTreeMap<UniqueId, Table>;

/// A group as it is in force.
#[derive(Clone, Debug)]
pub struct Table {
    /// The configuration.
    pub image: Arc<Image>,
    /// The next transaction has this epoch.
    pub epoch: Epoch,
    /// Where the configuration lies on the disks.
    pub slot: Slot,
    /// Its I/O stands still for this transaction.
    pub(super) frozen: Option<TxnId>,
}

/// A group as vxconfigd is told of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TableView {
    /// The configuration in force.
    pub image: Arc<Image>,
    /// Where it lies.
    pub slot: Slot,
    /// The stamp of the next transaction.
    pub next: Stamp,
}

impl Table {
    pub(super) fn new(image: Arc<Image>, slot: Slot) -> Self {
        let epoch = image.stamp.epoch;
        Self { image, epoch, slot, frozen: None }
    }

    /// The stamp of the configuration in force.
    pub fn stamp(&self) -> Stamp {
        self.image.stamp
    }

    /// It is for all nodes of the cluster.
    pub fn is_shared(&self) -> bool {
        self.image.group.is_shared()
    }

    pub(super) fn state(&self, id: &UniqueId) -> GroupState {
        GroupState { id: id.clone(), epoch: self.epoch, stamp: self.stamp(), slot: self.slot }
    }
}

//! A group as it is in force on a node.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use llt::{Id, NodeId};

use crate::core::txn::TxnId;
use crate::core::wire::v::{BusySlot, GroupState};
use crate::disk::{Claim, Image, Member, Slot};
use crate::model::{Activation, Epoch, Group, Name, Stamp, UniqueId};
use crate::volume::VolumeMap;

/// All groups that are imported here.
pub type Tables = BTreeMap<UniqueId, Table>;

/// A group as it is in force.
#[derive(Clone, Debug)]
pub struct Table {
    /// The configuration.
    pub image: Arc<Image>,
    /// The next transaction has this epoch.
    pub epoch: Epoch,
    /// How often each disk was given to a group, the last time to this one.
    pub tenures: Tenures,
    /// Disks whose copy of the configuration missed the last one: the next names them as failed.
    pub failed: BTreeSet<UniqueId>,
    /// Its I/O stands still for this transaction.
    pub(super) frozen: Option<TxnId>,
    maps: Maps,
}

/// Where blocks of volumes lie under an image: that is asked after every message, and changes seldom.
#[derive(Clone, Debug, Default)]
struct Maps {
    of: RefCell<Option<Arc<Image>>>,
    known: RefCell<BTreeMap<Name, Arc<VolumeMap>>>,
}

/// How often disks were given to a group: stamps of two groups cannot be compared, so that says which
/// claim of a disk is the newer one.
pub type Tenures = BTreeMap<UniqueId, u64>;

/// A group as vxconfigd is told of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TableView {
    /// The configuration in force.
    pub image: Arc<Image>,
    /// How often each disk was given to a group.
    pub tenures: Tenures,
    /// Disks whose copy of the configuration missed the last one.
    pub failed: BTreeSet<UniqueId>,
    /// The stamp of the next transaction.
    pub next: Stamp,
}

/// What vxconfigd is told of all groups.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TablesView {
    /// Groups that are imported here.
    pub tables: BTreeMap<UniqueId, TableView>,
    /// Groups that errors have disabled, as they were.
    pub disabled: Vec<Arc<Image>>,
    /// Groups that wait until something is written back.
    pub repairing: Vec<UniqueId>,
    /// Stamps of groups that are not: what is not newer is over.
    pub over: BTreeMap<UniqueId, Stamp>,
    /// Slots that nobody may write for now.
    pub busy: Vec<BusySlot>,
    /// Who may do what with shared groups; who is not listed has them off.
    pub modes: Vec<(UniqueId, NodeId, Activation)>,
}

impl Table {
    pub(super) fn new(image: Arc<Image>, tenures: Tenures) -> Self {
        let epoch = image.stamp.epoch;
        Self { image, epoch, tenures, failed: BTreeSet::new(), frozen: None, maps: Maps::default() }
    }

    /// Where the blocks of a volume lie, if there is one.
    pub(super) fn map(&self, volume: &Name) -> Option<Arc<VolumeMap>> {
        let mut known = self.maps.known.borrow_mut();
        let mut of = self.maps.of.borrow_mut();
        if !of.as_ref().is_some_and(|image| Arc::ptr_eq(image, &self.image)) {
            known.clear();
            *of = Some(Arc::clone(&self.image));
        }
        if let Some(map) = known.get(volume) {
            return Some(Arc::clone(map));
        }
        let map = Arc::new(VolumeMap::new(&self.image.group, volume.as_str())?);
        known.insert(volume.clone(), Arc::clone(&map));
        Some(map)
    }

    /// Where the configuration lies on the disks.
    pub fn slot(&self) -> Slot {
        self.image.slot
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
        GroupState { id: id.clone(), epoch: self.epoch, stamp: self.stamp(), slot: self.slot() }
    }
}

/// What a disk says of itself when a configuration is written: a member of the group, or nobody's.
pub(super) fn claim(image: &Image, floor: Stamp, disk: &UniqueId, tenure: u64, time: u64) -> Claim {
    let claim = free(image.slot, disk, tenure, (image.stamp, image.writer), time);
    Claim { member: member(&image.group, disk), floor, ..claim }
}

/// What a disk of a group is; nothing if it is not in it.
pub(super) fn member(group: &Group, disk: &UniqueId) -> Option<Member> {
    let member = group.disks.iter().find(|(_, dm)| dm.disk.as_ref() == Some(disk));
    member.filter(|_| !group.destroyed).map(|(name, dm)| Member {
        group: group.id.clone(),
        group_name: group.name.clone(),
        dm: name.clone(),
        owner: group.owner.clone(),
        autoimport: group.autoimport,
        serial: dm.serial,
    })
}

/// What a disk says of itself that belongs to nobody.
pub(super) fn free(
    slot: Slot,
    disk: &UniqueId,
    tenure: u64,
    (stamp, writer): (Stamp, Id),
    time: u64,
) -> Claim {
    // The stamp tells claims of one tenure apart; the number is for listings.
    let (seqno, disk) = (stamp.tid.0, disk.clone());
    let (member, floor) = (None, Stamp::default());
    Claim { slot, disk, member, tenure, stamp, floor, writer, updated: time, seqno }
}

//! Disks with three slots, written when their time comes, and read as an import reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use llt::NodeId;

use crate::core::configd::{Device, DeviceState};
use crate::core::iod::{DiskError, LogIo, Write, WriteDone};
use crate::disk::{
    Choice, Claim, Claims, DRL_BLOCK, FoundDisk, FoundSlot, Geometry, Image, ImageError,
    ImportError, ImportRequest, Label, Slot, choose,
};
use crate::model::{Name, Owner, Sectors, UniqueId};

/// The cluster that the disks are shared by.
pub const CLUSTER: &str = "clus1";

/// What lies in a slot of a disk.
#[derive(Clone, Debug, Default)]
struct Place {
    claim: Option<Claim>,
    image: Option<Arc<Image>>,
    /// A write of an image was cut short.
    is_torn: bool,
}

/// All disks of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Disks {
    known: Vec<UniqueId>,
    slots: BTreeMap<(UniqueId, Slot), Place>,
    /// Sectors of public regions that logs lie in.
    logs: BTreeMap<(UniqueId, Sectors), [u8; DRL_BLOCK]>,
    /// Nodes that do not reach a disk.
    cut: BTreeSet<(NodeId, UniqueId)>,
    /// Disks that answer nobody.
    dead: BTreeSet<UniqueId>,
}

impl Disks {
    /// Disks that were prepared and belong to nobody, with a path from every node.
    pub const fn new(known: Vec<UniqueId>) -> Self {
        let logs = BTreeMap::new();
        let slots = BTreeMap::new();
        Self { known, slots, logs, cut: BTreeSet::new(), dead: BTreeSet::new() }
    }

    /// All there are.
    pub fn known(&self) -> &[UniqueId] {
        &self.known
    }

    /// The node loses its path to the disk, or has it again.
    pub fn set_path(&mut self, node: NodeId, disk: &UniqueId, has_path: bool) {
        if has_path {
            self.cut.remove(&(node, disk.clone()));
        } else {
            self.cut.insert((node, disk.clone()));
        }
    }

    /// The disk dies, or answers again with what it had.
    pub fn set_dead(&mut self, disk: &UniqueId, is_dead: bool) {
        if is_dead {
            self.dead.insert(disk.clone());
        } else {
            self.dead.remove(disk);
        }
    }

    /// All paths are there, and all disks answer.
    pub fn mend(&mut self) {
        self.cut.clear();
        self.dead.clear();
    }

    /// May the node do anything with the disk?
    pub fn is_reached(&self, node: NodeId, disk: &UniqueId) -> WriteDone {
        if self.dead.contains(disk) {
            Err(DiskError::Failed(EIO))
        } else if self.cut.contains(&(node, disk.clone())) {
            Err(DiskError::NoPath)
        } else {
            Ok(())
        }
    }

    /// A write takes place.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Claim(claim) => {
                let key = (claim.disk.clone(), claim.slot);
                self.slots.entry(key).or_default().claim = Some((**claim).clone());
            }
            Write::Image(disk, image) => {
                let place = self.slots.entry((disk.clone(), image.slot)).or_default();
                (place.image, place.is_torn) = (Some(Arc::clone(image)), false);
            }
        }
    }

    /// A log is read, or written.
    ///
    /// # Errors
    /// If the node does not reach the disk.
    pub fn log(&mut self, node: NodeId, io: &LogIo) -> Result<Bytes, DiskError> {
        match io {
            LogIo::Read { disk, at, len } => {
                self.is_reached(node, disk)?;
                let block = |at: Sectors| self.logs.get(&(disk.clone(), at)).copied();
                let blocks = (*at..at + len).map(|at| block(at).unwrap_or([0; DRL_BLOCK]));
                Ok(blocks.flatten().collect())
            }
            LogIo::Write { disk, at, data, .. } => {
                self.is_reached(node, disk)?;
                for (at, block) in (*at..).zip(data.chunks(DRL_BLOCK)) {
                    if let Ok(block) = block.try_into() {
                        self.logs.insert((disk.clone(), at), block);
                    }
                }
                Ok(Bytes::new())
            }
        }
    }

    /// A write is cut short. One of the two copies of a claim is always whole, here the old one; of an
    /// image nothing is left.
    pub fn tear(&mut self, write: &Write) {
        if let Write::Image(disk, image) = write {
            let place = self.slots.entry((disk.clone(), image.slot)).or_default();
            (place.image, place.is_torn) = (None, true);
        }
    }

    /// What an import by a node of the cluster finds that has a path to every disk.
    ///
    /// # Errors
    /// What such an import would be told.
    pub fn import(&self, group: &UniqueId) -> Result<Choice, ImportError> {
        import(&self.found(), group)
    }

    /// What is on all disks that answer.
    pub fn found(&self) -> Vec<FoundDisk> {
        let answers = self.known.iter().filter(|disk| !self.dead.contains(*disk));
        answers.map(|disk| self.found_on(disk)).collect()
    }

    /// What a node finds when it looks at all disks. Those without a path are not there; one that is
    /// dead is there and cannot be read.
    pub fn devices(&self, node: NodeId) -> Vec<Device> {
        let mut devices = Vec::new();
        for disk in &self.known {
            let state = match self.is_reached(node, disk) {
                Ok(()) => DeviceState::Ready(Box::new(self.found_on(disk))),
                Err(DiskError::NoLease | DiskError::NoPath | DiskError::NoSpace) => continue,
                Err(error @ DiskError::Failed(_)) => DeviceState::Error(error.to_string()),
            };
            devices.push(Device { access: access(disk), state });
        }
        devices
    }

    fn found_on(&self, disk: &UniqueId) -> FoundDisk {
        let slot = |slot| match self.slots.get(&(disk.clone(), slot)) {
            Some(Place { image: Some(image), .. }) => FoundSlot::Image(Box::new((**image).clone())),
            Some(Place { is_torn: true, .. }) => {
                FoundSlot::Invalid { error: ImageError::Mixed { number: 1 }, head: None }
            }
            Some(Place { .. }) | None => empty(slot),
        };
        FoundDisk {
            access: access(disk),
            label: Label {
                disk: disk.clone(),
                created: 0,
                sector_size: 512,
                geometry: Geometry::new(1 << 20, 65_536).expect("these lengths are in range"),
            },
            claims: Claims { newest: self.claim(disk), damaged: 0 },
            slots: Slot::ALL.map(slot),
        }
    }

    /// What a disk says of itself.
    pub fn claim(&self, disk: &UniqueId) -> Option<Claim> {
        let claims = Slot::ALL.into_iter().filter_map(|slot| {
            self.slots.get(&(disk.clone(), slot)).and_then(|place| place.claim.clone())
        });
        claims.max_by_key(Claim::order)
    }
}

/// What such an import finds on these disks.
///
/// # Errors
/// What it would be told.
pub fn import(found: &[FoundDisk], group: &UniqueId) -> Result<Choice, ImportError> {
    let owners = Name::new(CLUSTER).map(Owner::Cluster).into_iter().collect();
    let group = group.clone();
    let request = ImportRequest { group, owners, clear: false, force: false, select: None };
    choose(&request, found)
}

/// A slot that nobody has written. Checksums take their time, and disks are looked at often.
fn empty(slot: Slot) -> FoundSlot {
    static EMPTY: OnceLock<[FoundSlot; 3]> = OnceLock::new();
    let slots = EMPTY.get_or_init(|| Slot::ALL.map(|slot| FoundSlot::decode(slot, &[0; 4096])));
    let place = Slot::ALL.iter().position(|of| *of == slot).unwrap_or(0);
    slots[place].clone()
}

/// How all nodes call a disk.
pub fn access(disk: &UniqueId) -> String {
    let number = disk.to_string();
    format!("disk_{}", number.split('.').nth(1).unwrap_or_default())
}

/// What a dead disk answers.
const EIO: i32 = 5;

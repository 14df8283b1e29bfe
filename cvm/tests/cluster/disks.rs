//! Disks with three slots, written when their time comes, and read as an import reads them.

use std::collections::BTreeMap;
use std::sync::Arc;

use cvm::core::configd::{Device, DeviceState};
use cvm::core::iod::{Token, Write};
use cvm::disk::{
    Claim, Claims, FoundDisk, FoundSlot, Geometry, Image, ImageError, ImportError, ImportRequest,
    Label, Slot, choose,
};
use cvm::model::{Name, Owner, UniqueId};
use llt::NodeId;

/// What lies in a slot of a disk.
#[derive(Clone, Debug, Default)]
struct Place {
    claim: Option<Claim>,
    image: Option<Arc<Image>>,
    /// A write of an image was cut short.
    is_torn: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Disks {
    /// All that all nodes have a path to.
    pub(crate) known: Vec<UniqueId>,
    slots: BTreeMap<(UniqueId, Slot), Place>,
    /// Under way: of which node, what for, what.
    writes: Vec<(NodeId, Token, Write)>,
}

/// What becomes of the writes of a node that is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// They come when everything else is over.
    Late,
    /// Done.
    Landed,
    /// Not done.
    Lost,
    /// Every second one is half done.
    Torn,
}

impl Disks {
    pub(crate) fn new(known: Vec<UniqueId>) -> Self {
        Self { known, ..Self::default() }
    }

    pub(crate) fn submit(&mut self, node: NodeId, token: Token, write: Write) {
        self.writes.push((node, token, write));
    }

    /// The next write of a node is done.
    pub(crate) fn next_of(&mut self, node: NodeId) -> Option<Token> {
        let place = self.writes.iter().position(|(of, ..)| *of == node)?;
        let (_, token, write) = self.writes.remove(place);
        self.apply(write);
        Some(token)
    }

    fn apply(&mut self, write: Write) {
        match write {
            Write::Claim(claim) => {
                let key = (claim.disk.clone(), claim.slot);
                self.slots.entry(key).or_default().claim = Some(*claim);
            }
            Write::Image(disk, image) => {
                let place = self.slots.entry((disk, image.slot)).or_default();
                (place.image, place.is_torn) = (Some(image), false);
            }
        }
    }

    /// One of the two copies of a claim is always whole: the old one or the new one.
    fn tear(&mut self, write: Write) {
        if let Write::Image(disk, image) = write {
            let place = self.slots.entry((disk, image.slot)).or_default();
            (place.image, place.is_torn) = (None, true);
        }
    }

    /// A node is gone with writes under way. Late ones are given back, to be applied at the end.
    pub(crate) fn orphan(&mut self, node: NodeId, fate: Fate) -> Vec<Write> {
        let (mine, rest): (Vec<_>, Vec<_>) =
            self.writes.drain(..).partition(|(of, ..)| *of == node);
        self.writes = rest;
        let mut late = Vec::new();
        for (number, (_, _, write)) in mine.into_iter().enumerate() {
            match fate {
                Fate::Landed => self.apply(write),
                Fate::Late => late.push(write),
                Fate::Lost => {}
                Fate::Torn if number % 2 == 0 => self.tear(write),
                Fate::Torn => self.apply(write),
            }
        }
        late
    }

    pub(crate) fn land(&mut self, late: Vec<Write>) {
        late.into_iter().for_each(|write| self.apply(write));
    }

    /// What an import finds of a group, as whoever may import it.
    pub(crate) fn import(&self, group: &UniqueId) -> Result<Image, ImportError> {
        let found: Vec<FoundDisk> = self.known.iter().map(|disk| self.found(disk)).collect();
        let owners = vec![Owner::Cluster(Name::new("clus1").unwrap())];
        let group = group.clone();
        let request = ImportRequest { group, owners, clear: false, force: false, select: None };
        choose(&request, &found).map(|choice| choice.image)
    }

    /// What a node finds when it looks at all disks.
    pub(crate) fn devices(&self) -> Vec<Device> {
        let device = |disk: &UniqueId| {
            let found = self.found(disk);
            Device { access: found.access.clone(), state: DeviceState::Ready(Box::new(found)) }
        };
        self.known.iter().map(device).collect()
    }

    fn found(&self, disk: &UniqueId) -> FoundDisk {
        let place = |slot| self.slots.get(&(disk.clone(), slot)).cloned().unwrap_or_default();
        let slot = |slot| match place(slot) {
            Place { image: Some(image), .. } => FoundSlot::Image(Box::new((*image).clone())),
            Place { is_torn: true, .. } => {
                FoundSlot::Invalid { error: ImageError::Mixed { number: 1 }, head: None }
            }
            Place { .. } => FoundSlot::decode(slot, &[0; 4096]),
        };
        FoundDisk {
            access: access(disk),
            label: Label {
                disk: disk.clone(),
                created: 0,
                sector_size: 512,
                geometry: Geometry::new(1 << 20, 65_536).unwrap(),
            },
            claims: Claims { newest: self.claim(disk), damaged: 0 },
            slots: Slot::ALL.map(slot),
            log: true,
        }
    }

    /// What a disk says of itself.
    pub(crate) fn claim(&self, disk: &UniqueId) -> Option<Claim> {
        let claims = Slot::ALL.into_iter().filter_map(|slot| {
            self.slots.get(&(disk.clone(), slot)).and_then(|place| place.claim.clone())
        });
        claims.max_by_key(Claim::order)
    }
}

/// How all nodes call a disk.
pub(crate) fn access(disk: &UniqueId) -> String {
    let number = disk.to_string();
    format!("disk_{}", number.split('.').nth(1).unwrap_or_default())
}

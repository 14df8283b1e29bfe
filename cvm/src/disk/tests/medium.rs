//! A disk in memory, and what an import reads from it.

use std::collections::BTreeSet;

use super::samples::{claim, geometry, group_id, label};
use crate::disk::*;
use crate::model::Owner;

/// Sectors that a write of power that fails leaves whole.
pub(super) const SECTOR: usize = 512;

#[derive(Clone)]
pub(super) struct Medium {
    number: u32,
    bytes: Vec<u8>,
}

impl Medium {
    /// A member of the sample group without an image.
    pub(super) fn member(number: u32) -> Self {
        let geometry = geometry();
        let mut medium = Self {
            number,
            bytes: vec![0; usize::try_from(geometry.public().offset * 512).unwrap()],
        };
        for (at, block) in LABELS_AT.into_iter().zip(label(number).encode().unwrap()) {
            medium.write(at, &block);
        }
        medium.claim(&claim(number));
        medium
    }

    pub(super) fn claim(&mut self, claim: &Claim) {
        let places = geometry().claim_at(claim.slot);
        for (at, block) in places.into_iter().zip(claim.encode().unwrap()) {
            self.write(at, &block);
        }
    }

    pub(super) fn image(&mut self, image: &Image) {
        self.write(geometry().image_at(image.slot), &bytes_of(image));
    }

    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) {
        self.write_torn(at, bytes, |_| true);
    }

    /// Only the sectors of the write arrive for which `arrives` is true.
    pub(super) fn write_torn(&mut self, at: u64, bytes: &[u8], arrives: impl Fn(usize) -> bool) {
        let at = usize::try_from(at).unwrap();
        for (number, sector) in bytes.chunks(SECTOR).enumerate().filter(|(n, _)| arrives(*n)) {
            let at = at + number * SECTOR;
            self.bytes[at..at + sector.len()].copy_from_slice(sector);
        }
    }

    fn block(&self, at: u64) -> Option<&[u8]> {
        let at = usize::try_from(at).unwrap();
        self.bytes.get(at..at + BLOCK)
    }

    pub(super) fn label(&self) -> Result<FoundLabel, FormatError> {
        Label::find(LABELS_AT.map(|at| self.block(at)))
    }

    pub(super) fn claims(&self) -> Claims {
        let blocks = Slot::ALL.map(|slot| geometry().claim_at(slot).map(|at| self.block(at)));
        Claims::read(&super::samples::disk_id(self.number), &blocks)
    }

    pub(super) fn found(&self) -> FoundDisk {
        let geometry = geometry();
        let len = usize::try_from(geometry.slot_blocks()).unwrap() * BLOCK;
        let slots = Slot::ALL.map(|slot| {
            let at = usize::try_from(geometry.image_at(slot)).unwrap();
            FoundSlot::decode(slot, &self.bytes[at..at + len])
        });
        FoundDisk {
            access: format!("disk_{}", self.number),
            label: self.label().unwrap().label,
            claims: self.claims(),
            slots,
        }
    }
}

pub(super) fn bytes_of(image: &Image) -> Vec<u8> {
    image.encode(geometry().slot_blocks()).unwrap()
}

/// An import of the sample group by its cluster.
pub(super) fn request() -> ImportRequest {
    ImportRequest {
        group: group_id(),
        owners: vec![super::samples::cluster()],
        clear: false,
        force: false,
        select: None,
    }
}

pub(super) fn import(media: &[Medium]) -> Result<Choice, ImportError> {
    let found: Vec<_> = media.iter().map(Medium::found).collect();
    choose(&request(), &found)
}

/// Slots by their numbers.
pub(super) fn slots(numbers: &[u8]) -> BTreeSet<Slot> {
    numbers.iter().map(|number| Slot::new(*number).unwrap()).collect()
}

pub(super) fn host(name: &str) -> Owner {
    Owner::Host(crate::model::sample::name(name))
}

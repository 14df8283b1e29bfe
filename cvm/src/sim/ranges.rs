//! Ranges of volumes that a node holds and copies, without data: what is promised can be checked.

use std::collections::{BTreeMap, VecDeque};

use crate::core::iod::{RangeNumber, VolumeName};

/// Those of one node.
#[derive(Clone, Debug, Default)]
pub struct Ranges {
    held: BTreeMap<VolumeName, RangeNumber>,
    clears: VecDeque<(VolumeName, RangeNumber)>,
    copies: VecDeque<Copy>,
}

/// A copy that the disks work on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Copy {
    /// Of which volume.
    pub volume: VolumeName,
    /// Which range.
    pub number: RangeNumber,
    /// It was given back meanwhile: it is not reported as done.
    pub is_cancelled: bool,
}

impl Ranges {
    /// No program changes the range from here on.
    pub fn hold(&mut self, volume: VolumeName, number: RangeNumber) {
        self.cancel(&volume);
        self.held.insert(volume.clone(), number);
        self.clears.push_back((volume, number));
    }

    /// A copy of the range begins.
    pub fn copy(&mut self, volume: VolumeName, number: RangeNumber) {
        let is_cancelled = self.held.get(&volume) != Some(&number);
        self.copies.push_back(Copy { volume, number, is_cancelled });
    }

    /// Programs may change all of the volume again.
    pub fn release(&mut self, volume: &VolumeName) {
        self.cancel(volume);
        self.held.remove(volume);
        self.clears.retain(|(held, _)| held != volume);
    }

    fn cancel(&mut self, volume: &VolumeName) {
        for copy in self.copies.iter_mut().filter(|copy| copy.volume == *volume) {
            copy.is_cancelled = true;
        }
    }

    /// What was begun in a range that is held has come to its end.
    pub fn cleared(&mut self) -> Option<(VolumeName, RangeNumber)> {
        self.clears.pop_front()
    }

    /// A copy has come to its end.
    pub fn copied(&mut self) -> Option<Copy> {
        self.copies.pop_front()
    }

    /// Copies that disks work on.
    pub fn copies(&self) -> impl Iterator<Item = &Copy> {
        self.copies.iter()
    }

    /// What is held of a volume.
    pub fn held(&self, volume: &VolumeName) -> Option<RangeNumber> {
        self.held.get(volume).copied()
    }

    /// Nothing is to be told.
    pub fn is_quiet(&self) -> bool {
        self.clears.is_empty() && self.copies.is_empty()
    }
}

//! Slots: a claim and an image are never written over the one that counts.

use std::collections::BTreeSet;
use std::fmt;

use super::block::Place;
use crate::model::Stamp;

/// One of the three places where a claim or an image can lie.
///
/// A change of the configuration has one slot, the same on all disks. With three of them there is
/// one for the configuration in force, one that a writer that is gone may still have a write under
/// way to, and one for the next change.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Slot(u8);

/// How many there are.
pub const SLOTS: usize = 3;

impl Slot {
    /// All of them.
    pub const ALL: [Self; SLOTS] = [Self(0), Self(1), Self(2)];

    /// `None` if there is no such slot.
    pub const fn new(number: u8) -> Option<Self> {
        if (number as usize) < SLOTS { Some(Self(number)) } else { None }
    }

    /// From 0.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// From 0.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    pub(super) const fn place(self, number: u32) -> Place {
        Place { slot: self.0, number }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The newest configuration that each slot has on any disk.
pub type Held = [Option<Stamp>; SLOTS];

/// The slot that the next change may write: not that of the configuration in force, and not a busy
/// one, into which a departed writer may still write. Of those left it is the one with the oldest
/// contents, so that as much as can be of what was there before is kept.
///
/// `None` if there is none until a busy one is free. Something newer than the configuration in force
/// may be written over: it is what an abandoned change has left.
pub fn next_slot(held: &Held, in_force: Option<Slot>, busy: &BTreeSet<Slot>) -> Option<Slot> {
    let free = |slot: &Slot| Some(*slot) != in_force && !busy.contains(slot);
    Slot::ALL.into_iter().filter(free).min_by_key(|slot| held[slot.index()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Epoch, Tid};

    fn slots(list: &[u8]) -> BTreeSet<Slot> {
        list.iter().map(|number| Slot::new(*number).unwrap()).collect()
    }

    fn next(held: [u64; SLOTS], in_force: u8, busy: &[u8]) -> Option<u8> {
        let stamp = |tid| (tid > 0).then_some(Stamp { epoch: Epoch(1), tid: Tid(tid) });
        next_slot(&held.map(stamp), Slot::new(in_force), &slots(busy)).map(Slot::get)
    }

    #[test]
    fn the_configuration_in_force_is_never_written_over() {
        assert_eq!(next([0, 0, 0], 9, &[]), Some(0));
        assert_eq!(next([1, 0, 0], 0, &[]), Some(1));
        assert_eq!(next([1, 2, 0], 1, &[]), Some(2));
        assert_eq!(next([1, 2, 3], 2, &[]), Some(0));
        assert_eq!(next([4, 2, 3], 0, &[]), Some(1));
    }

    /// However many changes are abandoned after it.
    #[test]
    fn abandoned_changes_are_written_over() {
        assert_eq!(next([4, 5, 3], 0, &[]), Some(2));
        assert_eq!(next([4, 5, 6], 0, &[]), Some(1));
        assert_eq!(next([4, 7, 6], 0, &[1]), Some(2));
        assert_eq!(next([4, 4, 0], 0, &[2]), Some(1));
    }

    #[test]
    fn a_slot_with_a_write_under_way_is_left_alone() {
        assert_eq!(next([1, 2, 3], 2, &[0]), Some(1));
        assert_eq!(next([1, 2, 3], 2, &[2]), Some(0));
        assert_eq!(next([1, 2, 3], 2, &[0, 1]), None);
        assert_eq!(next([1, 2, 3], 2, &[0, 1, 2]), None);
        assert_eq!(next([3, 0, 0], 0, &[1]), Some(2));
    }

    #[test]
    fn there_are_three() {
        assert_eq!(Slot::new(2), Some(Slot::ALL[2]));
        assert_eq!(Slot::new(3), None);
    }
}

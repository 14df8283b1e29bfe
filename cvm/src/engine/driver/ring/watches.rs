//! Which descriptors the ring watches for whom.

use super::slab::Slab;

/// The watches of a ring.
#[derive(Debug)]
pub(super) struct Watches {
    /// Those that the system has not told the end of.
    all: Slab<Watch>,
    /// Those that somebody waits for, by key.
    wanted: Vec<(u64, u32)>,
}

#[derive(Debug)]
struct Watch {
    key: u64,
    /// It was not called off.
    is_wanted: bool,
}

impl Watches {
    pub(super) const fn new() -> Self {
        Self { all: Slab::new(), wanted: Vec::new() }
    }

    /// One with a key that no other one has.
    pub(super) fn add(&mut self, key: u64) -> u32 {
        let place = self.all.insert(Watch { key, is_wanted: true });
        let at = self.wanted.partition_point(|(other, _)| *other < key);
        self.wanted.insert(at, (key, place));
        place
    }

    /// Calls it off: the system is to be told of this place.
    pub(super) fn end(&mut self, key: u64) -> Option<u32> {
        let place = self.forget(key)?;
        if let Some(watch) = self.all.at_mut(place) {
            watch.is_wanted = false;
        }
        Some(place)
    }

    /// The system has told the end of it: who is waiting for it.
    pub(super) fn take(&mut self, place: u32) -> Option<u64> {
        let watch = self.all.remove(place).filter(|watch| watch.is_wanted)?;
        self.forget(watch.key)?;
        Some(watch.key)
    }

    fn forget(&mut self, key: u64) -> Option<u32> {
        let at = self.wanted.binary_search_by_key(&key, |(key, _)| *key).ok()?;
        Some(self.wanted.remove(at).1)
    }
}

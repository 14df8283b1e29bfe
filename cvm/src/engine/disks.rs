//! Files of disks, as they are found.
//!
//! Where a disk is, its own thread of vxiod finds out: it may hang. Operations wait for that, and fail
//! if it is nowhere. A disk that fails is looked for anew: its path may lead elsewhere by now.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::driver::DiskFile;
use crate::model::{Sectors, UniqueId};

/// A disk that is there.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its file.
    pub(crate) file: Arc<DiskFile>,
    /// Where its public region begins.
    pub(crate) public_at: Sectors,
    /// How long that is.
    pub(crate) public_len: Sectors,
}

/// The disks of a shard; `T` is what waits for one.
#[derive(Debug)]
pub(super) struct Disks<T> {
    known: BTreeMap<UniqueId, Known<T>>,
}

#[derive(Debug)]
enum Known<T> {
    Here(Arc<Found>),
    /// It is looked for, and so much waits for it.
    Sought(Vec<T>),
}

/// Where an operation goes.
#[derive(Debug)]
pub(super) enum Way {
    /// To this file.
    Go(Arc<Found>),
    /// It waits, and the disk is to be looked for.
    Seek,
    /// It waits.
    Wait,
}

impl<T> Default for Disks<T> {
    fn default() -> Self {
        Self { known: BTreeMap::new() }
    }
}

impl<T> Disks<T> {
    /// The way of an operation, which is kept if it has to wait.
    pub(super) fn way(&mut self, disk: &UniqueId, waits: impl FnOnce() -> T) -> Way {
        match self.known.get_mut(disk) {
            Some(Known::Here(found)) => Way::Go(Arc::clone(found)),
            Some(Known::Sought(waiting)) => {
                waiting.push(waits());
                Way::Wait
            }
            None => {
                self.known.insert(disk.clone(), Known::Sought(vec![waits()]));
                Way::Seek
            }
        }
    }

    /// It was looked for: what has waited for it.
    pub(super) fn found(&mut self, disk: UniqueId, found: Option<&Arc<Found>>) -> Vec<T> {
        let before = match found {
            Some(found) => self.known.insert(disk, Known::Here(Arc::clone(found))),
            None => self.known.remove(&disk),
        };
        match before {
            Some(Known::Sought(waiting)) => waiting,
            Some(Known::Here(_)) | None => Vec::new(),
        }
    }

    /// Whoever has waited for too long, whatever disk they wait for.
    pub(super) fn give_up(&mut self, is_late: impl Fn(&T) -> bool) -> Vec<T> {
        let sought = self.known.values_mut().filter_map(|known| match known {
            Known::Sought(waiting) => Some(waiting),
            Known::Here(_) => None,
        });
        sought.flat_map(|waiting| waiting.extract_if(.., |one| is_late(one))).collect()
    }

    /// It could only be read when it was found: who is to write it has it looked for.
    pub(super) fn forget_unwritable(&mut self, disk: &UniqueId) {
        if matches!(self.known.get(disk), Some(Known::Here(found)) if !found.file.is_writable()) {
            self.known.remove(disk);
        }
    }

    /// It has failed: whoever wants it next has it looked for.
    pub(super) fn forget(&mut self, disk: &UniqueId) {
        if matches!(self.known.get(disk), Some(Known::Here(_))) {
            self.known.remove(disk);
        }
    }
}

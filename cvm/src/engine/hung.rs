//! Disks that do not answer. After a limit what they were told counts as failed, so that requests, views
//! and transactions do not wait for ever: another copy is read, the plex is taken off.
//!
//! The system may still do it, whenever the disk comes back, and no call takes it away. So the disk
//! counts as gone on this node until it has answered all that it was told: nothing that was written
//! later is overtaken by it. What it may still read into is memory that nobody uses any more.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::FromShard;
use super::shard::{Flight, Shard};
use crate::core::iod::{Debts, Owes};
use crate::model::UniqueId;
use crate::model::size::SECTOR;
use crate::volume::{DiskWork, RequestId};

/// Disks that owe answers for which nobody waits any more: of all shards, for volumes change theirs, and
/// of what vxiod itself does with logs.
#[derive(Debug)]
pub(crate) struct HungDisks {
    limit: Option<Duration>,
    /// There may be one.
    any: AtomicBool,
    owed: Mutex<Debts>,
}

impl HungDisks {
    /// Disks have so long to answer; `None`: for ever.
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        Self { limit, any: AtomicBool::new(false), owed: Mutex::default() }
    }

    /// How long they have.
    pub(crate) const fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// Is it gone until it has answered?
    pub(crate) fn has(&self, disk: &UniqueId) -> bool {
        self.any.load(Ordering::Acquire) && self.owed.lock().has(disk)
    }

    /// What it owes now.
    pub(crate) fn owes(&self, disk: &UniqueId) -> Owes {
        self.owed.lock().owes(disk)
    }

    /// [`Debts::give_up`].
    pub(crate) fn give_up(&self, disk: &UniqueId, is_change: bool) -> Option<Owes> {
        let mut owed = self.owed.lock();
        self.any.store(true, Ordering::Release);
        owed.give_up(disk, is_change)
    }

    /// [`Debts::answers`].
    pub(crate) fn answers(&self, disk: &UniqueId, is_change: bool) -> Option<Owes> {
        let mut owed = self.owed.lock();
        let owes = owed.answers(disk, is_change);
        self.any.store(!owed.is_empty(), Ordering::Release);
        owes
    }
}

impl Shard {
    /// What disks have not answered for too long is not waited for any more.
    pub(super) fn give_up_hung(&mut self) {
        let Some(limit) = self.hung.limit else { return };
        let now = self.now;
        let is_late = |flight: &Flight| now.since(flight.begun) >= limit;
        let reads = |flight: &Flight| flight.op.work == DiskWork::Read;
        let live = || self.flights.iter().filter(|(_, flight)| !flight.is_given_up);
        // The data of a request get new memory: nobody may be reading into the old that is waited for.
        let reading: BTreeSet<RequestId> = live()
            .filter(|(_, flight)| reads(flight) && !is_late(flight))
            .map(|(_, flight)| flight.op.request)
            .collect();
        let late = live().filter(|(_, flight)| is_late(flight));
        let late =
            late.filter(|(_, flight)| !(reads(flight) && reading.contains(&flight.op.request)));
        let late: Vec<usize> = late.map(|(key, _)| key).collect();
        let mut lost: BTreeMap<RequestId, Vec<Range<usize>>> = BTreeMap::new();
        for key in &late {
            let flight = &mut self.flights[*key];
            flight.is_given_up = true;
            if reads(flight) {
                lost.entry(flight.op.request).or_default().extend(bytes(flight));
            }
            let disk = flight.disk.clone();
            if let Some(owes) = self.hung.give_up(&disk, flight.lease.is_some()) {
                tracing::error!("disk {disk} has not answered for {} s: {owes}", limit.as_secs());
                self.out.send(FromShard::Hangs(disk));
            }
        }
        for (request, ranges) in lost {
            self.renew(request, ranges);
        }
        for key in late {
            let flight = self.flights[key].clone();
            self.landed(flight, false);
        }
        for flight in self.disks.give_up(is_late) {
            tracing::error!("disk {} is not found for {} s", flight.disk, limit.as_secs());
            self.landed(flight, false);
        }
    }

    /// A disk may still read into these ranges of a request's data: they move to other memory.
    fn renew(&mut self, request: RequestId, mut lost: Vec<Range<usize>>) {
        let place = usize::try_from(request.0).unwrap_or(usize::MAX);
        let Some(buffer) = self.requests.get_mut(place).and_then(|asking| asking.buffer_mut())
        else {
            return;
        };
        let fresh = self.pool.take(buffer.len());
        lost.sort_by_key(|range| range.start);
        let mut begin = 0;
        for range in lost.into_iter().chain(std::iter::once(buffer.len()..buffer.len())) {
            if begin < range.start && buffer.copy_to(&fresh, begin..range.start).is_err() {
                tracing::error!("data of a request are in use, and cannot be moved");
            }
            begin = begin.max(range.end);
        }
        *buffer = fresh;
    }

    /// An answer came for which nobody waits any more.
    pub(super) fn answered_late(&mut self, flight: &Flight) {
        if let Some(owes) = self.hung.answers(&flight.disk, flight.lease.is_some()) {
            tracing::info!("disk {} has answered: {owes}", flight.disk);
            self.out.send(FromShard::Hangs(flight.disk.clone()));
        }
    }
}

/// Where the data of an operation are in those of its request.
fn bytes(flight: &Flight) -> Option<Range<usize>> {
    let place = |sectors: u64| usize::try_from(sectors.checked_mul(SECTOR)?).ok();
    let begin = place(flight.op.offset)?;
    Some(begin..begin.checked_add(place(flight.op.len)?)?)
}

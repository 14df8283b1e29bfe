//! Ranges of volumes that the cluster holds, and the copies that this node makes of them.

use super::shard::{Asking, Shard};
use super::{FromShard, VolumeNumber};
use crate::core::iod::RangeNumber;
use crate::model::Sectors;
use crate::model::size::SECTOR;
use crate::volume::{Request, RequestId, What};

/// A range that no program changes.
#[derive(Debug)]
pub(super) struct Held {
    number: RangeNumber,
    hold: RequestId,
    at: Sectors,
    len: Sectors,
    copy: Option<RequestId>,
}

impl Shard {
    /// The range that was held before is given back only when the new one has its place in the queue.
    pub(super) fn hold(
        &mut self,
        volume: VolumeNumber,
        number: RangeNumber,
        at: Sectors,
        len: Sectors,
    ) {
        let asking = self.requests.insert(Asking::Hold(volume, number));
        let hold = RequestId(asking as u64);
        self.ask_volume(volume, Request { id: hold, what: What::Hold, at, len });
        let held = Held { number, hold, at, len, copy: None };
        if let Some(before) = self.ranges.insert(volume, held) {
            self.give_back(volume, &before);
        }
    }

    pub(super) fn release(&mut self, volume: VolumeNumber) {
        if let Some(held) = self.ranges.remove(&volume) {
            self.give_back(volume, &held);
        }
    }

    fn give_back(&mut self, number: VolumeNumber, held: &Held) {
        if let Some(volume) = self.volume(number) {
            held.copy.into_iter().for_each(|copy| volume.cancel(copy));
            volume.release(held.hold);
            self.busy.push(number);
        }
    }

    /// Makes the copies of the range that is held equal.
    pub(super) fn copy(&mut self, volume: VolumeNumber, number: RangeNumber) {
        let held = self.ranges.get_mut(&volume).filter(|held| held.number == number);
        let Some(held) = held.filter(|held| held.copy.is_none()) else {
            // It was given back meanwhile.
            self.out.send(FromShard::Copied(volume, number, false));
            return;
        };
        let bytes = usize::try_from(held.len.saturating_mul(SECTOR)).unwrap_or(usize::MAX);
        let buffer = self.pool.take(bytes);
        let (at, len) = (held.at, held.len);
        let asking = self.requests.insert(Asking::Copy(volume, number, buffer));
        let id = RequestId(asking as u64);
        held.copy = Some(id);
        self.ask_volume(volume, Request { id, what: What::Copy, at, len });
    }

    /// Copies a range from the volume that this one is filled from.
    pub(super) fn fill(
        &mut self,
        volume: VolumeNumber,
        number: RangeNumber,
        what: What,
        (at, len): (Sectors, Sectors),
    ) {
        let bytes = usize::try_from(len.saturating_mul(SECTOR)).unwrap_or(usize::MAX);
        let buffer = self.pool.take(bytes);
        let asking = self.requests.insert(Asking::Fill(volume, number, buffer));
        let id = RequestId(asking as u64);
        self.ask_volume(volume, Request { id, what, at, len });
    }

    /// Nothing changes the range any more but what is told to.
    pub(super) fn held(&mut self, request: RequestId) {
        let place = usize::try_from(request.0).unwrap_or(usize::MAX);
        if let Some(Asking::Hold(volume, number)) = self.requests.get(place) {
            self.out.send(FromShard::Clear(*volume, *number));
        }
    }

    pub(super) fn copied(&mut self, volume: VolumeNumber, number: RangeNumber, is_equal: bool) {
        if let Some(held) = self.ranges.get_mut(&volume).filter(|held| held.number == number) {
            held.copy = None;
        }
        self.out.send(FromShard::Copied(volume, number, is_equal));
    }

    /// Its request is over, and may soon be another one's number. Of a volume that is gone, or ends
    /// before, nothing is changed there.
    pub(super) fn held_no_more(
        &mut self,
        volume: VolumeNumber,
        number: RangeNumber,
        is_refused: bool,
    ) {
        if is_refused {
            self.out.send(FromShard::Clear(volume, number));
        }
        if self.ranges.get(&volume).is_some_and(|held| held.number == number) {
            self.ranges.remove(&volume);
        }
    }

    /// Nobody asks for anything of the volume any more.
    pub(super) fn forget_range(&mut self, volume: VolumeNumber) {
        if let Some(held) = self.ranges.remove(&volume) {
            self.requests.try_remove(usize::try_from(held.hold.0).unwrap_or(usize::MAX));
        }
    }

    fn ask_volume(&mut self, number: VolumeNumber, request: Request) {
        self.volumes.entry(number).or_insert_with(super::shard::waiting);
        self.submit(number, request, None);
    }
}

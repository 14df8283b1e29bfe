//! Volumes that are open on this node: which shard has which, and what it was told of their I/O.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use anyhow::Result;

use super::asks::Asks;
use crate::core::iod::{DrainTicket, Iod, ObserveNumber, RangeNumber, VolumeIo, VolumeName};
use crate::daemon::{Inbox, Lock, Mail, mailbox};
use crate::engine::{
    Found, FromShard, HungDisks, IoLease, SHARDS_MAX, ToShard, VolumeNumber, start,
};
use crate::export::nbd::Session;
use crate::model::{Rid, Sectors, UniqueId};
use crate::stats::{ObjectStats, Objects, Observe, Stats};

/// The shards, and the volumes in them.
#[derive(Debug)]
pub(super) struct Plane {
    shards: Vec<Mail<ToShard>>,
    news: Inbox<FromShard>,
    volumes: BTreeMap<VolumeNumber, Served>,
    /// Those that new clients get.
    by_name: BTreeMap<VolumeName, VolumeNumber>,
    /// What nobody changes, also of volumes that nobody has open here.
    ranges: BTreeMap<VolumeName, HeldRange>,
    /// Ranges that nobody changes who has the volume open now.
    clears: Vec<(VolumeName, RangeNumber)>,
    /// What is to be told when all that must stands still.
    drains: Vec<(DrainTicket, Option<UniqueId>)>,
    /// What shards were asked, and have not all answered.
    pub(super) asks: Asks,
    next: u64,
    said: u64,
}

/// A range of a volume that nobody changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeldRange {
    pub(super) number: RangeNumber,
    pub(super) at: Sectors,
    pub(super) len: Sectors,
}

/// A volume that clients have open, or that is copied.
#[derive(Debug)]
struct Served {
    name: VolumeName,
    shard: usize,
    clients: usize,
    /// Ranges of it that its shard copies.
    copies: usize,
    /// What was told last, and the number of that.
    told: Option<VolumeIo>,
    said: u64,
    /// Its shard has said that disks have answered.
    is_still: bool,
    /// Nobody wants it any more: it is closed when it stands still.
    closes: bool,
    /// It is of a shared group, or was.
    is_shared: bool,
}

impl Served {
    /// It was told to stand still, and does not yet.
    fn moves(&self) -> bool {
        !self.is_still && matches!(self.told, Some(VolumeIo::Gone | VolumeIo::Still))
    }
}

impl Plane {
    /// # Errors
    /// If there are no threads, or they cannot get at disks.
    pub(super) fn new(hung: &Arc<HungDisks>, lock: Arc<Lock>) -> Result<Self> {
        let (out, news) = mailbox()?;
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(SHARDS_MAX);
        let shard = |number| -> Result<Mail<ToShard>> {
            let (mail, inbox) = mailbox()?;
            start(number, inbox, Mail::clone(&out), Arc::clone(hung), Arc::clone(&lock))?;
            Ok(mail)
        };
        let shards = (0..count).map(shard).collect::<Result<Vec<_>>>()?;
        let (volumes, by_name, ranges) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let clears = Vec::new();
        let (drains, asks, next, said) = (Vec::new(), Asks::default(), 0, 0);
        Ok(Self { shards, news, volumes, by_name, ranges, clears, drains, asks, next, said })
    }

    /// Port v is open, or closed.
    pub(super) fn set_lease(&self, lease: Option<&Arc<IoLease>>) {
        for shard in &self.shards {
            shard.send(ToShard::Lease(lease.cloned()));
        }
    }

    /// What shards have told.
    pub(super) fn news(&self) -> Vec<FromShard> {
        self.news.take()
    }

    /// A client of a volume that the core has opened for it.
    pub(super) fn serve(&mut self, name: &VolumeName, socket: OwnedFd, session: Session) {
        let number = self.by_name.get(name).copied().unwrap_or_else(|| self.add(name));
        let Some(served) = self.volumes.get_mut(&number) else { return };
        served.clients += 1;
        served.closes = false;
        let shard = served.shard;
        self.send(shard, ToShard::Serve(number, socket, Box::new(session)));
    }

    fn add(&mut self, name: &VolumeName) -> VolumeNumber {
        self.next += 1;
        let number = VolumeNumber(self.next);
        let shard = usize::try_from(self.next).unwrap_or(0) % self.shards.len().max(1);
        let name = name.clone();
        self.by_name.insert(name.clone(), number);
        let (told, is_still, is_shared) = (None, false, true);
        let (range, clients, copies) = (self.ranges.get(&name).copied(), 0, 0);
        let (said, closes) = (0, false);
        let served =
            Served { name, shard, clients, copies, told, said, is_still, closes, is_shared };
        self.volumes.insert(number, served);
        if let Some(range) = range {
            // Before anything else is asked of it.
            self.send(shard, hold(number, range));
        }
        number
    }

    /// Nobody changes a range of a volume: [`clear`](Self::clear) says when.
    pub(super) fn hold(&mut self, name: &VolumeName, range: HeldRange) {
        self.ranges.insert(name.clone(), range);
        self.clears.retain(|(of, _)| of != name);
        let Some(number) = self.by_name.get(name).copied() else {
            // Nobody has it open here.
            self.clears.push((name.clone(), range.number));
            return;
        };
        if let Some(served) = self.volumes.get_mut(&number) {
            served.closes = false;
            let shard = served.shard;
            self.send(shard, hold(number, range));
        }
    }

    /// The volume as it is now changes nothing in the range any more.
    pub(super) fn is_clear(&mut self, number: VolumeNumber, range: RangeNumber) {
        let name = self.name(number).cloned();
        self.clears.extend(name.map(|name| (name, range)));
    }

    /// Ranges that nobody changes here any more, nor what has gone and was the volume before: disks may
    /// still work for that.
    pub(super) fn clear(&mut self) -> Vec<(VolumeName, RangeNumber)> {
        let volumes = &self.volumes;
        let goes = |name: &VolumeName| {
            let is_gone = |served: &Served| served.told == Some(VolumeIo::Gone);
            volumes.values().any(|served| served.name == *name && is_gone(served) && served.moves())
        };
        let clear = self.clears.extract_if(.., |(name, _)| !goes(name));
        clear.collect()
    }

    /// The copies of a range that is held are made equal; [`FromShard::Copied`] says when.
    pub(super) fn copy(&mut self, name: &VolumeName, range: RangeNumber) {
        if let Some((shard, number)) = self.begin_copy(name) {
            self.send(shard, ToShard::Copy(number, range));
        }
    }

    /// A range is copied from another volume; [`FromShard::FillDone`] says when.
    pub(super) fn fill(&mut self, name: &VolumeName, id: Rid, range: HeldRange) {
        if let Some((shard, volume)) = self.begin_copy(name) {
            let HeldRange { number, at, len } = range;
            self.send(shard, ToShard::Fill { volume, number, id, at, len });
        }
    }

    fn begin_copy(&mut self, name: &VolumeName) -> Option<(usize, VolumeNumber)> {
        let number = self.by_name.get(name).copied().unwrap_or_else(|| self.add(name));
        let served = self.volumes.get_mut(&number)?;
        served.copies += 1;
        served.closes = false;
        Some((served.shard, number))
    }

    /// A range is filled: who has the volume open here may be waiting for that.
    pub(super) fn filled(&self, name: &VolumeName, id: Rid, at: Sectors, len: Sectors) {
        let number = self.by_name.get(name).copied();
        if let Some((number, served)) = number.and_then(|n| Some((n, self.volumes.get(&n)?))) {
            self.send(served.shard, ToShard::Filled(number, id, at, len));
        }
    }

    /// A copy has come to its end: of which volume.
    pub(super) fn copied(&mut self, number: VolumeNumber) -> Option<VolumeName> {
        let served = self.volumes.get_mut(&number)?;
        served.copies = served.copies.saturating_sub(1);
        let name = served.name.clone();
        self.close_unused();
        Some(name)
    }

    /// Nothing of the volume is held any more.
    pub(super) fn release(&mut self, name: &VolumeName) {
        self.ranges.remove(name);
        self.clears.retain(|(of, _)| of != name);
        let number = self.by_name.get(name).copied();
        if let Some((number, served)) = number.and_then(|n| Some((n, self.volumes.get(&n)?))) {
            self.send(served.shard, ToShard::Release(number));
        }
        self.close_unused();
    }

    /// Volumes that nobody has open and nobody copies. What they have given to disks, for their logs, is
    /// waited for: it must not come after what the next one gives.
    fn close_unused(&mut self) {
        for served in self.volumes.values_mut() {
            let is_held = served.told != Some(VolumeIo::Gone);
            let is_held = is_held && self.ranges.contains_key(&served.name);
            served.closes = served.clients == 0 && served.copies == 0 && !is_held;
        }
        let moving = self.volumes.iter_mut().filter(|(_, served)| served.closes);
        for (number, served) in moving {
            if matches!(served.told, Some(VolumeIo::Runs { .. })) {
                self.said += 1;
                (served.said, served.is_still) = (self.said, false);
                served.told = Some(VolumeIo::Still);
                if let Some(shard) = self.shards.get(served.shard) {
                    shard.send(ToShard::Io(*number, VolumeIo::Still, self.said));
                }
            }
        }
        let is_over = |served: &Served| served.closes && !served.moves();
        let over = self.volumes.iter().filter(|(_, served)| is_over(served));
        for number in over.map(|(number, _)| *number).collect::<Vec<_>>() {
            if let Some(served) = self.volumes.remove(&number) {
                self.by_name.retain(|_, of| *of != number);
                self.send(served.shard, ToShard::Close(number));
            }
        }
    }

    /// A client has gone: the volume that the core is to close, if it has it open.
    pub(super) fn left(&mut self, number: VolumeNumber) -> Option<VolumeName> {
        let served = self.volumes.get_mut(&number)?;
        served.clients -= 1;
        let name = served.name.clone();
        let is_open = self.by_name.get(&name) == Some(&number);
        self.close_unused();
        is_open.then_some(name)
    }

    /// The name of an open volume.
    pub(super) fn name(&self, number: VolumeNumber) -> Option<&VolumeName> {
        self.volumes.get(&number).map(|served| &served.name)
    }

    /// Tells shards what has changed. Of those volumes that have gone, the core is to close what
    /// clients had open.
    pub(super) fn look(&mut self, iod: &Iod) -> Vec<VolumeName> {
        let mut gone = Vec::new();
        for (number, served) in &mut self.volumes {
            if served.told == Some(VolumeIo::Gone) || served.closes {
                continue;
            }
            let io = iod.io_of(&served.name);
            if let Some(table) = iod.tables().get(&served.name.0) {
                served.is_shared = table.is_shared();
            }
            // Under another table it goes on when disks have answered; that is then looked at again.
            let is_early = served.moves() && matches!(io, VolumeIo::Runs { .. });
            if served.told.as_ref() == Some(&io) || is_early {
                continue;
            }
            self.said += 1;
            (served.said, served.is_still) = (self.said, false);
            if io == VolumeIo::Gone {
                gone.extend(std::iter::repeat_n(served.name.clone(), served.clients));
                self.by_name.remove(&served.name);
            }
            served.told = Some(io.clone());
            if let Some(shard) = self.shards.get(served.shard) {
                shard.send(ToShard::Io(*number, io, self.said));
            }
        }
        if !self.volumes.is_empty() {
            self.close_unused();
        }
        gone
    }

    /// To be told when everything that must stands still.
    pub(super) fn drain(&mut self, ticket: DrainTicket, group: Option<UniqueId>) {
        self.drains.push((ticket, group));
    }

    /// A volume stands still.
    pub(super) fn still(&mut self, number: VolumeNumber, said: u64) {
        if let Some(served) = self.volumes.get_mut(&number).filter(|served| served.said == said) {
            served.is_still = true;
        }
        self.close_unused();
    }

    /// Tickets of what has come to its end.
    pub(super) fn drained(&mut self) -> Vec<DrainTicket> {
        let moving: Vec<&Served> = self.volumes.values().filter(|served| served.moves()).collect();
        let waits = |group: &Option<UniqueId>| {
            moving.iter().any(|served| match group {
                Some(group) => served.name.0 == *group,
                None => served.is_shared,
            })
        };
        let (still, waiting) = self.drains.drain(..).partition(|(_, group)| !waits(group));
        self.drains = waiting;
        let still: Vec<(DrainTicket, Option<UniqueId>)> = still;
        still.into_iter().map(|(ticket, _)| ticket).collect()
    }

    /// Clients that have a volume.
    pub(super) fn clients(&self) -> usize {
        self.volumes.values().map(|served| served.clients).sum()
    }

    /// Who has volumes open is added to what they have done.
    pub(super) fn add_opens(&self, iod: &Iod, stats: &mut Stats) {
        for served in self.volumes.values().filter(|served| served.clients > 0) {
            let (group, volume) = &served.name;
            let table = iod.tables().get(group);
            let record = table.and_then(|table| table.image.group.volumes.get(volume));
            let Some(record) = record else { continue };
            let opens = u64::try_from(served.clients).unwrap_or(u64::MAX);
            let open = ObjectStats { opens, ..ObjectStats::default() };
            stats.add_objects(group, &Objects::from([(record.common.rid, open)]));
        }
    }

    /// All shards are asked; [`Asks`] puts their answers together.
    pub(super) fn observe(&mut self, ask: ObserveNumber, what: Observe) {
        let number = self.asks.begin(ask, &what, self.shards.len());
        for (place, shard) in self.shards.iter().enumerate() {
            shard.send(match &what {
                Observe::Stats { reset } => ToShard::Stats(number, reset.clone()),
                Observe::Trace(taken) => {
                    let (next, room) = (taken.next.get(place).copied(), taken.room);
                    ToShard::Trace { ask: number, next, room }
                }
            });
        }
    }

    /// A disk was looked for; who does not wait for it keeps it for later.
    pub(super) fn found(&self, disk: &UniqueId, found: Option<&Arc<Found>>) {
        for shard in &self.shards {
            shard.send(ToShard::Disk(disk.clone(), found.cloned()));
        }
    }

    fn send(&self, shard: usize, message: ToShard) {
        if let Some(shard) = self.shards.get(shard) {
            shard.send(message);
        }
    }
}

impl AsFd for Plane {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }
}

fn hold(volume: VolumeNumber, HeldRange { number, at, len }: HeldRange) -> ToShard {
    ToShard::Hold { volume, number, at, len }
}

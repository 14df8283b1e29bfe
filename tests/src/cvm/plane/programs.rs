//! Programs open volumes and use them, and know what they may read.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use cvm::core::iod::{OpenTicket, VolumeName};
use cvm::model::{Group, KernelState, PlexState, Sectors, VolumeState};
use cvm::volume::{IoFailed, Request, RequestId, VolumeMap, What};

use super::{Asked, Of, TIDY};
use crate::cvm::data::{Done, Identity, Tag, Tags};
use crate::cvm::driver::Driver;

impl Driver {
    /// A program opens a volume, uses it or closes it, if it is time.
    pub(super) fn program(&mut self, node: usize) -> bool {
        let now = self.world.now();
        if self.nodes[node].plane.program_at > now {
            return false;
        }
        let mean = if self.programs_run { 1_500 } else { 500 };
        self.nodes[node].plane.program_at =
            now + self.draw.exponential(Duration::from_micros(mean));
        if self.draw.chance(TIDY) {
            let volumes = self.nodes[node].plane.volumes.values_mut();
            volumes.for_each(|open| open.volume.tidy());
        }
        let used = self.nodes[node].plane.volumes.iter().filter(|(_, open)| open.is_used);
        let used: Vec<u64> = used.map(|(number, _)| *number).collect();
        let opens = self.programs_run && used.len() < 3 && self.draw.chance(0.2);
        if opens {
            self.open_volume(node);
        } else if !used.is_empty() {
            let number = used[self.draw.pick(used.len())];
            self.use_volume(node, number);
        }
        self.collected(node);
        true
    }

    fn open_volume(&mut self, node: usize) {
        let number = self.data.number();
        let which = self.draw.bits();
        let state = &mut self.nodes[node];
        let Some(iod) = &mut state.iod else { return };
        let volumes = iod.tables().iter().flat_map(|(id, table)| {
            let volumes = table.image.group.volumes.iter();
            let started = volumes.filter(|(_, v)| !v.layer && v.kernel == KernelState::Enabled);
            started.map(|(name, _)| (id.clone(), name.clone()))
        });
        let volumes: Vec<VolumeName> = volumes.collect();
        let place = usize::try_from(which % volumes.len().max(1) as u64).unwrap_or(0);
        let Some(name) = volumes.get(place) else { return };
        if iod.open_count(&name.0, &name.1) > 0 || state.plane.opening.values().any(|o| o == name) {
            return;
        }
        state.plane.opening.insert(number, name.clone());
        iod.open_volume(OpenTicket(number), &name.0, &name.1, true);
    }

    /// The answer to a program that wants a volume.
    pub(in crate::cvm) fn opened(&mut self, node: usize, ticket: OpenTicket, is_open: bool) {
        let plane = &mut self.nodes[node].plane;
        let Some(name) = plane.opening.remove(&ticket.0) else { return };
        if is_open {
            let number = plane.number(&name);
            if let Some(open) = plane.volumes.get_mut(&number) {
                (open.is_used, open.closes) = (true, false);
            }
        }
    }

    fn use_volume(&mut self, node: usize, number: u64) {
        let local = self.local(node);
        let (programs_run, roll) = (self.programs_run, self.draw.pick(40));
        let (place, len) = (self.draw.below(512), 1 + self.draw.below(24));
        // Few places, in all regions. Where several nodes write at the same time copies may differ: that
        // is the affair of programs, so each has places of its own.
        let of = if roll <= 16 { self.draw.pick(self.nodes.len()) } else { node };
        let state = &mut self.nodes[node];
        let (Some(iod), Some(open)) = (&mut state.iod, state.plane.volumes.get_mut(&number)) else {
            return;
        };
        let name = open.name.clone();
        let table = iod.tables().get(&name.0);
        let record = table.and_then(|table| table.image.group.volumes.get(&name.1));
        let is_snapshot = record.is_some_and(|record| record.snapshot_of.is_some());
        // What is open does not come back to its volume.
        open.closes |= !programs_run || roll == 0 || is_snapshot && roll < 6;
        let is_busy = open.asked.values().any(|asked| matches!(asked.of, Of::Program(..)));
        if open.closes {
            if !is_busy {
                open.is_used = false;
                iod.close_volume(local, &name.0, &name.1);
            }
            return;
        }
        let Some(record) = record else { return };
        let volume = (name.0, record.common.rid);
        let parts = (record.len / 512).max(1);
        let at = place / 32 % parts * 512 + 64 * (of as u64 % 8) + place % 32;
        let (at, len) = (at.min(record.len - 1), len.min(record.len - at.min(record.len - 1)));
        let is_kept = is_snapshot && volume.1.0 % 2 == 0;
        let what = match roll {
            // Some snapshots nobody writes.
            _ if is_kept => What::Read,
            1..=2 => What::Flush,
            3..=16 => What::Read,
            17..=19 => What::Zero { durable: false, may_unmap: false },
            _ => What::Write { durable: roll % 4 == 0 },
        };
        let (at, len) = if what == What::Flush { (0, 0) } else { (at, len) };
        let id = self.data.number();
        let read = if what == What::Read { len } else { 0 };
        let expected = self.data.possible(&volume, at, read);
        if what.changes() {
            self.data.begin(&volume, at, len, id);
        }
        let request = Request { id: RequestId(id), what, at, len };
        let data = vec![0; usize::try_from(len).unwrap_or(0)];
        let asked = Asked { request, of: Of::Program(volume, expected), data };
        if let Some(open) = self.nodes[node].plane.volumes.get_mut(&number) {
            open.asked.insert(request.id, asked);
            open.volume.submit(request);
        }
    }

    pub(super) fn done(
        &mut self,
        node: usize,
        number: u64,
        id: RequestId,
        result: Result<(), IoFailed>,
    ) {
        let local = self.local(node);
        let state = &mut self.nodes[node];
        let Some(open) = state.plane.volumes.get_mut(&number) else { return };
        let Some(Asked { request, of, data }) = open.asked.remove(&id) else { return };
        let (name, map) = (open.name.clone(), Arc::clone(open.volume.map()));
        match of {
            Of::Copy(range) => {
                open.copy.take_if(|copy| *copy == id);
                if let Some(iod) = &mut state.iod {
                    iod.handle_copied(local, &name, range, result.is_ok());
                }
            }
            Of::Fill(range) => {
                if let Some(iod) = &mut state.iod {
                    iod.handle_filled(local, &name, range, result);
                }
            }
            Of::Hold(range) => {
                // Of a volume that is gone nothing is changed.
                if result.is_err() {
                    state.plane.clears.push((name, range));
                }
            }
            Of::Program(volume, _) if request.what.changes() => {
                let done = match request.what {
                    _ if result.is_err() || self.data.is_replaced(&volume, id.0) => Done::Unknown,
                    What::Write { durable: true } | What::Zero { durable: true, .. } => {
                        Done::Durable
                    }
                    _ => Done::Written,
                };
                let range = (request.at, request.len);
                if done == Done::Unknown {
                    state.overdue.insert(id, (volume, range));
                } else {
                    self.data.end(&volume, range, id.0, done);
                    self.check_answered(node, &volume, &request, &map);
                }
            }
            Of::Program(volume, _) if result.is_ok() && request.what == What::Flush => {
                self.data.flushed(&volume, id.0);
            }
            Of::Program(volume, expected) if result.is_ok() => {
                self.check_read(&volume, &request, &expected, &data);
            }
            Of::Program(..) => {}
        }
    }

    fn check_read(&mut self, volume: &Identity, request: &Request, before: &[Tags], data: &[Tag]) {
        for ((sector, before), held) in (request.at..).zip(before).zip(data) {
            // What was there when it was asked for, and what came since.
            let is_late = *held > request.id.0;
            if !before.allows(*held) && !is_late {
                let text = format!("{volume:?} sector {sector}: {held}, of {before:?}");
                self.fault("cvm-read", || text);
                return;
            }
        }
    }

    /// At rest: every copy of every volume holds what programs may expect.
    pub(in crate::cvm) fn check_data(&mut self) {
        let Some(iod) = &self.nodes[0].iod else { return };
        let mut wrong = Vec::new();
        for (id, table) in iod.tables() {
            for (name, record) in &table.image.group.volumes {
                if record.state == VolumeState::Invalid {
                    continue;
                }
                let Some(map) = VolumeMap::new(&table.image.group, name.as_str()) else { continue };
                let volume = (id.clone(), record.common.rid);
                for sector in self.data.written(&volume).collect::<BTreeSet<_>>() {
                    let possible = &self.data.possible(&volume, sector, 1)[0];
                    let (read, kept) = self.copies_of(&table.image.group, &map, sector);
                    let held: BTreeSet<Tag> = read.union(&kept).copied().collect();
                    let is_equal =
                        if possible.is_known() { held.len() < 2 } else { read.len() < 2 };
                    if !is_equal || !held.iter().all(|tag| possible.allows(*tag)) {
                        let held = format!("{read:?}, to be broken off {kept:?}");
                        wrong
                            .push(format!("{name} of {id}, sector {sector}: {held}, {possible:?}"));
                        break;
                    }
                }
            }
        }
        for text in wrong {
            self.fault("cvm-data", || text);
        }
    }

    /// What the copies of a sector hold that are read, and those that are to be broken off. Where a
    /// volume has but one of the former, a write that fails there may have been made on the latter.
    pub(in crate::cvm) fn copies_of(
        &self,
        group: &Group,
        map: &VolumeMap,
        sector: Sectors,
    ) -> (BTreeSet<Tag>, BTreeSet<Tag>) {
        use cvm::volume::{MirrorIndex, PlexMap, PlexMode, Target};
        let (mut read, mut kept) = (BTreeSet::new(), BTreeSet::new());
        let mut mirrors = vec![(MirrorIndex::VOLUME, sector)];
        while let Some((mirror, at)) = mirrors.pop() {
            let plexes = map.mirror(mirror).plexes.iter().map(|plex| map.plex(*plex));
            let is_done = |plex: &PlexMap| {
                let record = group.plexes.get(&plex.name);
                record.is_some_and(|record| record.state == PlexState::SnapDone)
            };
            for plex in plexes {
                let held = match plex.mode {
                    PlexMode::ReadWrite => &mut read,
                    PlexMode::WriteOnly if is_done(plex) => &mut kept,
                    PlexMode::Off | PlexMode::WriteOnly => continue,
                };
                for part in plex.parts(at, 1) {
                    match part.target {
                        Some(Target::Disk { disk, at }) => {
                            held.insert(self.data.held(&map.disks()[disk.0], at));
                        }
                        Some(Target::Layer { mirror, at }) => mirrors.push((mirror, at)),
                        None => {}
                    }
                }
            }
        }
        (read, kept)
    }
}

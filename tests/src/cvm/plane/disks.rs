//! Disks do what volumes have told them, and may be told only under a lease.

use core::time::Duration;
use std::collections::BTreeSet;

use cvm::core::iod::{Iod, LogIo, RangeNumber, VolumeName};
use cvm::disk::DRL_BLOCK;
use cvm::model::{Sectors, UniqueId};
use cvm::volume::{DiskOp, DiskWork, PlexMode, Request, RequestId, VolumeMap};
use gab::PortName;
use gab::core::Mutant;
use llt::Instant;

use super::{Flight, LEFT_MAX, Of, SLOWEST};
use crate::cvm::data::Done;
use crate::cvm::driver::Driver;
use crate::cvm::node::Node;

impl Driver {
    /// Disks do what they have come to, also for nodes that stand still.
    pub(in crate::cvm) fn disks_step(&mut self) {
        let now = self.world.now();
        for node in 0..self.nodes.len() {
            for place in 0..self.nodes[node].plane.flights.len() {
                let flight = &self.nodes[node].plane.flights[place];
                if flight.due <= now && flight.done.is_none() {
                    let mut flight = flight.clone();
                    let answers = self.waits_for(&mut flight);
                    if flight.due <= now {
                        let is_done = self.perform(node, &mut flight);
                        flight.done = Some((is_done, answers));
                    }
                    self.nodes[node].plane.flights[place] = flight;
                }
            }
            for mut flight in std::mem::take(&mut self.nodes[node].left) {
                if flight.due <= now {
                    self.waits_for(&mut flight);
                }
                if flight.due <= now {
                    let _ = self.perform(node, &mut flight);
                } else {
                    self.nodes[node].left.push(flight);
                }
            }
            self.end_overdue(node);
            self.leave_port(node);
            self.close_if_still(node);
        }
    }

    /// When a disk answers that has come to something. One that stalls does it now, and says so later, or
    /// comes to it only then.
    fn waits_for(&mut self, flight: &mut Flight) -> Instant {
        let now = self.world.now();
        let Some(until) = self.storage.stalled(&flight.disk) else { return now };
        flight.is_stalled = true;
        let at = until + self.draw.exponential(Duration::from_millis(2));
        if self.draw.chance(0.5) {
            flight.due = at;
        }
        at
    }

    /// Programs are told that a change has failed when its time is over, and it is over when no disk does it
    /// any more.
    fn end_overdue(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        let flights = || state.plane.flights.iter().chain(&state.left);
        let is_over = |id: &RequestId| {
            !flights().any(|flight| flight.op.request == *id && flight.done.is_none())
        };
        let over = state.overdue.extract_if(.., |id, _| is_over(id)).collect::<Vec<_>>();
        for (id, (volume, range)) in over {
            self.data.end(&volume, range, id.0, Done::Unknown);
        }
    }

    /// What a disk has not done in time counts as failed.
    fn give_up(&mut self, node: usize) -> bool {
        let Some(limit) = self.storage.limit() else { return false };
        let now = self.world.now();
        let state = &mut self.nodes[node];
        let is_late = |flight: &&mut Flight| !flight.is_given_up && flight.begun + limit <= now;
        let Some(flight) = state.plane.flights.iter_mut().find(is_late) else { return false };
        flight.is_given_up = true;
        let owes = state.debts.give_up(&flight.disk, flight.changes_shared());
        let (disk, volume, op) = (flight.disk.clone(), flight.volume, flight.op);
        if let Some(open) = state.plane.volumes.get_mut(&volume) {
            open.volume.handle_done(op.id, false);
        }
        self.hangs(node, &disk, owes);
        self.note(node, 14, op.at);
        true
    }

    /// An operation comes back, or goes to its disk after it has waited for the lease.
    pub(super) fn landed(&mut self, node: usize) -> bool {
        let has_lease = !self.nodes[node].plane.leaseless.is_empty() && self.has_lease(node);
        let plane = &mut self.nodes[node].plane;
        let volumes = &plane.volumes;
        let is_gone = |volume: &u64| volumes.get(volume).is_none_or(|open| open.volume.is_gone());
        let moves = |(volume, ..): &(u64, DiskOp, _)| has_lease || is_gone(volume);
        if let Some(place) = plane.leaseless.iter().position(moves) {
            let is_gone = is_gone(&plane.leaseless[place].0);
            let (volume, op, log) = plane.leaseless.remove(place);
            if !is_gone {
                self.launch(node, volume, op, log);
            } else if let Some(open) = plane.volumes.get_mut(&volume) {
                open.volume.handle_done(op.id, false);
            }
            self.note(node, 13, op.at);
            return true;
        }
        let now = self.world.now();
        let answers = |flight: &Flight| flight.done.is_some_and(|(_, at)| at <= now);
        let Some(place) = plane.flights.iter().position(answers) else {
            return self.give_up(node);
        };
        let flight = plane.flights.remove(place);
        if flight.is_given_up {
            let state = &mut self.nodes[node];
            let owes = state.debts.answers(&flight.disk, flight.changes_shared());
            self.hangs(node, &flight.disk, owes);
        } else if let Some(open) = plane.volumes.get_mut(&flight.volume) {
            let is_done = flight.done.is_some_and(|(is_done, _)| is_done);
            if let Some(data) = flight.log.filter(|_| is_done && flight.op.work == DiskWork::Read) {
                open.volume.handle_log_read(flight.op.id, &data);
            }
            open.volume.handle_done(flight.op.id, is_done);
        }
        self.note(node, 11, flight.op.at);
        true
    }

    pub(super) fn launch(&mut self, node: usize, volume: u64, op: DiskOp, log: Option<Vec<u8>>) {
        let open = self.nodes[node].plane.volumes.get(&volume);
        let is_shared = open.is_some_and(|open| open.volume.rules().is_shared);
        if is_shared && !self.has_lease(node) {
            self.nodes[node].plane.leaseless.push((volume, op, log));
            return;
        }
        let slow = self.draw.chance(0.05);
        let mean = Duration::from_micros(if slow { 20_000 } else { 400 });
        let begun = self.world.now();
        let due = begun + self.draw.exponential(mean).min(SLOWEST);
        let stay = self.stands_in(node);
        let state = &mut self.nodes[node];
        let life = state.life;
        let plane = &mut state.plane;
        let tags = if log.is_none() && op.work.changes() {
            plane.changed_to(volume, &op)
        } else {
            Vec::new()
        };
        let Some(open) = plane.volumes.get_mut(&volume) else { return };
        let disk = open.volume.map().disks()[op.disk.0].clone();
        if state.debts.has(&disk) {
            open.volume.handle_done(op.id, false);
            return;
        }
        let request = open.asked.get(&op.request).filter(|_| log.is_none());
        let place = request.map(|asked| asked.request.at + op.offset);
        let name = open.name.clone();
        plane.flights.push(Flight {
            begun,
            due,
            volume,
            name,
            disk,
            op,
            log,
            is_shared,
            place,
            tags,
            stay,
            life,
            is_stalled: false,
            done: None,
            is_given_up: false,
        });
    }

    /// A disk does what it is told. What fails may be done in part.
    fn perform(&mut self, node: usize, flight: &mut Flight) -> bool {
        let (id, op) = (self.nodes[node].id, flight.op);
        if self.is_fenced(node, flight) {
            return false;
        }
        if flight.changes_shared() && self.is_left_behind(node, flight.stay) {
            self.fault("cvm-lease", || format!("node {node} changes {flight:?}"));
        }
        if self.storage.disks.is_reached(id, &flight.disk).is_err() {
            return false;
        }
        let is_done = !self.draw.chance(self.storage.errors);
        if op.work == DiskWork::Flush {
            if is_done && self.broken != Some(Mutant::FlushForgotten) {
                self.data.flush_disk(&flight.disk);
            }
            return is_done;
        }
        let len = if is_done { op.len } else { op.len / 2 };
        if flight.log.is_some() {
            return self.perform_log(node, flight, len) && is_done;
        }
        let (begin, len) = (usize::try_from(op.offset), usize::try_from(len));
        let (begin, len) = (begin.unwrap_or(usize::MAX), len.unwrap_or(usize::MAX));
        if op.work.changes() {
            // The plex of what is given up is off, or the volume has no other.
            if !flight.is_given_up {
                self.check_marked(node, flight);
            }
            let is_durable = op.work == (DiskWork::Write { durable: true });
            let is_lost = self.broken == Some(Mutant::WritesLost) && op.request.0 % 64 == 0;
            if !is_lost {
                let tags = flight.tags.get(..len).unwrap_or_default();
                self.data.write(&flight.disk, op.at, tags, is_durable);
            }
            return is_done;
        }
        if flight.is_given_up {
            // The request has other memory by now.
            return is_done;
        }
        if !self.is_left_behind(node, flight.stay) {
            self.check_current(node, flight, &op);
        }
        let volume = self.nodes[node].plane.volumes.get_mut(&flight.volume);
        if let Some(asked) = volume.and_then(|open| open.asked.get_mut(&op.request)) {
            self.data.read(&flight.disk, op.at, &mut asked.data[begin..begin + len]);
        }
        is_done
    }

    /// So many sectors of a log are read or written; false if that fails.
    fn perform_log(&mut self, node: usize, flight: &mut Flight, len: Sectors) -> bool {
        let (id, op) = (self.nodes[node].id, flight.op);
        let disk = flight.disk.clone();
        let Some(data) = &mut flight.log else { return false };
        if op.work == DiskWork::Read {
            let read = self.storage.disks.log(id, &LogIo::Read { disk, at: op.at, len: op.len });
            *data = read.map(|bytes| bytes.to_vec()).unwrap_or_default();
            return !data.is_empty();
        }
        if op.work != (DiskWork::Write { durable: true }) {
            self.fault("cvm-log-volatile", || format!("node {node} writes {flight:?}"));
            return false;
        }
        let data = data[..usize::try_from(len).unwrap_or(0) * DRL_BLOCK].to_vec();
        if !flight.is_given_up {
            self.check_cleared(node, flight, &data);
        }
        if self.broken == Some(Mutant::WritesUnmarked) && op.at % 2 == 0 {
            let io = LogIo::Read { disk: disk.clone(), at: op.at, len: 1 };
            let before = self.storage.disks.log(id, &io).unwrap_or_default();
            // One that was never written says that all may differ.
            if before.iter().any(|byte| *byte != 0) {
                return true;
            }
        }
        let io = LogIo::Write { disk, is_shared: true, at: op.at, data: data.into() };
        self.storage.disks.log(id, &io).is_ok()
    }

    /// All others of port v count on this node, as far as its gabd knows.
    pub(in crate::cvm) fn has_lease(&self, node: usize) -> bool {
        let (local, port) = (self.local(node), PortName::new('v').expect("a letter"));
        let stack = self.world.hosts.stack(node);
        let standing = stack.and_then(|stack| Some((stack, stack.standing(local, port)?)));
        standing.is_some_and(|(stack, standing)| {
            let proven = self.nodes[node].iod.as_ref().and_then(|iod| iod.proven_generation());
            Some(standing.generation) == proven && local < standing.since + stack.lease_length()
        })
    }

    /// The generation of port v and the reconfiguration that its vxiod is in.
    pub(in crate::cvm) fn stands_in(&self, node: usize) -> (u64, u64) {
        let reconfig = self.nodes[node].iod.as_ref().map_or(0, |iod| iod.role().reconfig);
        (self.nodes[node].generation, reconfig)
    }

    /// Others have gone on without the node that has been told no more than this. Reconfigurations are counted anew
    /// where nobody has stayed who knows of the last one: who is of an older generation, and has no lease,
    /// is left behind itself.
    pub(in crate::cvm) fn is_left_behind(
        &self,
        node: usize,
        (generation, reconfig): (u64, u64),
    ) -> bool {
        let id = self.nodes[node].id;
        let goes_on = |other: usize| {
            let state = &self.nodes[other];
            let role = state.member().map(Iod::role);
            // A view that nobody else of it has come to is none.
            let is_proven = state.member().and_then(Iod::proven_generation).is_some();
            is_proven
                && role.is_some_and(|role| role.reconfig > reconfig && !role.members.contains(id))
                && (state.generation >= generation || self.has_lease(other))
        };
        (0..self.nodes.len()).any(goes_on)
    }

    /// The gabd is no more that it was told under, nor is any member of those days: nobody is left who would
    /// wait for it, and others have begun anew.
    fn is_forgotten(&self, node: usize, flight: &Flight) -> bool {
        let stays = |other: usize| {
            let since = self.nodes[other].member_since;
            since.is_some_and(|since| since <= flight.begun) && self.has_lease(other)
        };
        let begins = |state: &Node| state.member_since.is_some_and(|since| since > flight.begun);
        self.nodes[node].life != flight.life
            && self.nodes.iter().any(begins)
            && !(0..self.nodes.len()).any(stays)
    }

    /// No lease helps against a disk that takes longer than it lasts: that is for fences.
    fn is_fenced(&self, node: usize, flight: &Flight) -> bool {
        flight.is_stalled
            && flight.changes_shared()
            && (self.is_left_behind(node, flight.stay) || self.is_forgotten(node, flight))
    }

    /// No disk that a volume uses has anything to change of a range that is about to be copied.
    pub(in crate::cvm) fn check_still(
        &mut self,
        node: usize,
        name: &VolumeName,
        number: RangeNumber,
    ) {
        if self.is_left_behind(node, self.stands_in(node)) {
            // It has no lease, and copies nothing.
            return;
        }
        let table = self.nodes[node].iod.as_ref().and_then(|iod| iod.tables().get(&name.0));
        let map = table.and_then(|table| VolumeMap::new(&table.image.group, name.1.as_str()));
        let (Some(map), Some(range)) = (map, self.nodes[node].plane.range(name, number)) else {
            return;
        };
        let plexes = map.plexes().filter(|(_, plex)| plex.mode != PlexMode::Off);
        let disks =
            plexes.flat_map(|(_, plex)| plex.disks().iter().map(|disk| &map.disks()[disk.0]));
        let disks: BTreeSet<&UniqueId> = disks.collect();
        let is_wrong = |other: usize, flight: &&Flight| {
            let is_there = flight.is_in(name, range) && disks.contains(&flight.disk);
            is_there && !self.is_fenced(other, flight)
        };
        let wrong = (0..self.nodes.len()).find_map(|other| {
            let state = &self.nodes[other];
            let mut flights = state.plane.flights.iter().chain(&state.left);
            Some(format!("{other}: {:?}", flights.find(|flight| is_wrong(other, flight))?))
        });
        if let Some(wrong) = wrong {
            self.fault("cvm-overtaken", || {
                format!("node {node} copies {range:?} of {name:?}, beside node {wrong}")
            });
        }
    }

    /// The vxiod of a node is gone, with its machine or by itself: what its volumes had given to disks
    /// lands, at once or later, or does not.
    pub(in crate::cvm) fn end_plane(&mut self, node: usize, with_machine: bool) {
        let flights = std::mem::take(&mut self.nodes[node].plane.flights);
        for mut flight in flights.into_iter().filter(|flight| flight.done.is_none()) {
            if self.draw.chance(0.5) {
                continue;
            }
            if with_machine {
                let _ = self.perform(node, &mut flight);
            } else {
                flight.due += self.draw.between(Duration::ZERO, LEFT_MAX);
                self.nodes[node].left.push(flight);
            }
        }
        if with_machine {
            for mut flight in std::mem::take(&mut self.nodes[node].left) {
                if self.draw.chance(0.5) {
                    let _ = self.perform(node, &mut flight);
                }
            }
        }
        let plane = std::mem::take(&mut self.nodes[node].plane);
        for asked in plane.volumes.into_values().flat_map(|open| open.asked.into_values()) {
            if let Of::Program(volume, _) = asked.of
                && asked.request.what.changes()
            {
                let Request { id, at, len, .. } = asked.request;
                self.nodes[node].overdue.insert(id, (volume, (at, len)));
            }
        }
        self.end_overdue(node);
    }
}

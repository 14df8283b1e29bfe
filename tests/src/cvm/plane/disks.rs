//! Disks do what volumes have told them, and may be told only under a lease.

use core::time::Duration;

use cvm::core::iod::{Iod, LogIo};
use cvm::disk::DRL_BLOCK;
use cvm::model::Sectors;
use cvm::volume::{DiskOp, DiskWork, Request};
use gab::PortName;
use gab::core::Mutant;

use super::{Flight, LEFT_MAX, Left, Of};
use crate::cvm::data::Done;
use crate::cvm::driver::Driver;

impl Driver {
    /// Disks do what they have come to, also for nodes that stand still.
    pub(in crate::cvm) fn disks_step(&mut self) {
        let now = self.world.now();
        for node in 0..self.nodes.len() {
            for place in 0..self.nodes[node].plane.flights.len() {
                let flight = &self.nodes[node].plane.flights[place];
                if flight.due <= now && flight.done.is_none() {
                    let mut flight = flight.clone();
                    flight.done = Some(self.perform(node, &mut flight));
                    self.nodes[node].plane.flights[place] = flight;
                }
            }
            let left = self.nodes[node].left.extract_if(.., |flight| flight.due <= now);
            for mut flight in left.collect::<Vec<_>>() {
                let _ = self.perform(node, &mut flight);
            }
            self.leave_port(node);
            self.close_if_still(node);
        }
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
        let Some(place) = plane.flights.iter().position(|flight| flight.done.is_some()) else {
            return false;
        };
        let flight = plane.flights.remove(place);
        if let Some(open) = plane.volumes.get_mut(&flight.volume) {
            let is_done = flight.done == Some(true);
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
        let due = self.world.now() + self.draw.exponential(mean);
        let plane = &mut self.nodes[node].plane;
        let Some(open) = plane.volumes.get(&volume) else { return };
        let disk = open.volume.map().disks()[op.disk.0].clone();
        plane.flights.push(Flight {
            due,
            volume,
            disk,
            op,
            log,
            is_shared,
            left: None,
            done: None,
        });
    }

    /// A disk does what it is told. What fails may be done in part.
    fn perform(&mut self, node: usize, flight: &mut Flight) -> bool {
        let (id, op) = (self.nodes[node].id, flight.op);
        if flight.is_shared && op.work.changes() && self.is_left_behind(node, flight) {
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
            self.check_marked(node, flight);
            let tags = match flight.left.take() {
                Some(left) => left.tags,
                None => self.nodes[node].plane.changed_to(flight),
            };
            if let Some(tags) = tags {
                let is_durable = op.work == (DiskWork::Write { durable: true });
                let is_lost = self.broken == Some(Mutant::WritesLost) && op.request.0 % 64 == 0;
                if !is_lost {
                    self.data.write(&flight.disk, op.at, &tags[..len], is_durable);
                }
            }
            return is_done;
        }
        if !self.is_left_behind(node, flight) {
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
        self.check_cleared(node, flight, &data);
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
    fn stands_in(&self, node: usize) -> (u64, u64) {
        let reconfig = self.nodes[node].iod.as_ref().map_or(0, |iod| iod.role().reconfig);
        (self.nodes[node].generation, reconfig)
    }

    /// Others have gone on without the node that has told a disk this. Reconfigurations are counted anew where nobody has stayed who knows
    /// of the last one: who is of an older generation, and has no lease, is left behind itself.
    fn is_left_behind(&self, node: usize, flight: &Flight) -> bool {
        let id = self.nodes[node].id;
        let (generation, reconfig) = match &flight.left {
            Some(left) => (left.generation, left.reconfig),
            None => self.stands_in(node),
        };
        let goes_on = |other: usize| {
            let state = &self.nodes[other];
            let role = state.member().map(Iod::role);
            role.is_some_and(|role| role.reconfig > reconfig && !role.members.contains(id))
                && (state.generation >= generation || self.has_lease(other))
        };
        (0..self.nodes.len()).any(goes_on)
    }

    /// The vxiod of a node is gone, with its machine or by itself: what its volumes had given to disks
    /// lands, at once or later, or does not.
    pub(in crate::cvm) fn end_plane(&mut self, node: usize, with_machine: bool) {
        let (generation, reconfig) = self.stands_in(node);
        let flights = std::mem::take(&mut self.nodes[node].plane.flights);
        for mut flight in flights.into_iter().filter(|flight| flight.done.is_none()) {
            if self.draw.chance(0.5) {
                continue;
            }
            if with_machine {
                let _ = self.perform(node, &mut flight);
            } else {
                flight.due += self.draw.between(Duration::ZERO, LEFT_MAX);
                let tags = self.nodes[node].plane.changed_to(&flight);
                flight.left = Some(Left { tags, generation, reconfig });
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
                self.data.end(&volume, (at, len), id.0, Done::Unknown);
            }
        }
    }
}

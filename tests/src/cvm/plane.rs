//! Volumes in use on a node: programs, the cores of volumes, and their disks, as the daemon has them
//! (`cvm/src/iod/plane.rs`, `cvm/src/engine`).
//!
//! What a node gives to disks they do when they come to it, whatever has become of the node. What they
//! had not come to when it fails with its machine they do at once, or not at all; when only vxiod is
//! killed they come to it later, and port v is its own until they have. To shared disks it gives nothing
//! without a lease, which is what keeps anything from landing when others have gone on without it
//! (`cvm-lease`).

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cvm::core::iod::{
    DrainTicket, Iod, LogIo, OpenTicket, RangeNumber, Resync, VolumeIo, VolumeName,
};
use cvm::disk::DRL_BLOCK;
use cvm::model::{Group, KernelState, Name, PlexState, Rid, Sectors, UniqueId, VolumeState};
use cvm::volume::{
    DiskOp, DiskWork, IoFailed, Request, RequestId, Rules, Volume, VolumeMap, VolumeOutput, What,
};
use gab::PortName;
use gab::core::Mutant;
use llt::Instant;

use super::data::{Done, Identity, Tag, Tags};
use super::driver::Driver;
use super::node::Vxiod;

/// The volumes of one node.
#[derive(Debug, Default)]
pub struct Plane {
    volumes: BTreeMap<u64, Open>,
    by_name: BTreeMap<VolumeName, u64>,
    ranges: BTreeMap<VolumeName, Range>,
    drains: Vec<(DrainTicket, Option<UniqueId>)>,
    flights: Vec<Flight>,
    /// What waits for a lease.
    leaseless: Vec<(u64, DiskOp, Option<Vec<u8>>)>,
    /// Programs that wait until their volume is open.
    opening: BTreeMap<u64, VolumeName>,
    next: u64,
    program_at: Instant,
    /// How often vxiod had changed when volumes were told; 0: they are to be told in any case.
    told: u64,
}

#[derive(Clone, Copy, Debug)]
struct Range {
    number: RangeNumber,
    at: Sectors,
    len: Sectors,
}

/// A volume that is open, or copied.
#[derive(Debug)]
struct Open {
    name: VolumeName,
    volume: Volume,
    told: Option<VolumeIo>,
    is_still: bool,
    is_shared: bool,
    /// A program has it open.
    is_used: bool,
    /// It makes no more requests.
    closes: bool,
    hold: Option<(RangeNumber, RequestId)>,
    copy: Option<RequestId>,
    /// What that is for.
    aim: Option<Resync>,
    asked: BTreeMap<RequestId, Asked>,
}

/// A copy on which disks still work.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnderWay<'a> {
    pub(super) volume: &'a VolumeName,
    pub(super) number: RangeNumber,
    at: Sectors,
    aim: &'a Resync,
}

impl UnderWay<'_> {
    /// More is to be copied now than this is for, all of it from before on: what it still writes is
    /// written once more.
    pub(super) fn is_done_anew(&self, iod: &Iod) -> bool {
        let now = iod.resyncs().find(|(volume, _)| *volume == self.volume);
        now.is_some_and(|(_, now)| {
            let is_same = now.is_whole == self.aim.is_whole;
            now.at <= self.at && !(is_same && self.aim.plexes.is_superset(&now.plexes))
        })
    }
}

/// A request to a volume.
#[derive(Debug)]
struct Asked {
    request: Request,
    of: Of,
    /// What is read.
    data: Vec<Tag>,
}

#[derive(Debug)]
enum Of {
    Copy(RangeNumber),
    Fill(RangeNumber),
    Hold(RangeNumber),
    /// A program, which expects of a read one of these for each sector.
    Program(Identity, Vec<Tags>),
}

/// An operation on its way to a disk and back.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    due: Instant,
    volume: u64,
    pub(super) disk: UniqueId,
    pub(super) op: DiskOp,
    log: Option<Vec<u8>>,
    is_shared: bool,
    /// Of a vxiod that is there no more.
    left: Option<Left>,
    /// The disk has done it, or has failed.
    done: Option<bool>,
}

/// What is known of an operation once nobody is there who could be asked.
#[derive(Clone, Debug)]
struct Left {
    /// What it changes sectors to.
    tags: Option<Vec<Tag>>,
    /// In which generation of port v and which reconfiguration its vxiod ended.
    generation: u64,
    reconfig: u64,
}

/// What a vxiod that was killed has left lands so much later at most.
const LEFT_MAX: Duration = Duration::from_millis(50);
/// How likely marks in logs that nobody uses go, each time that a program does something.
const TIDY: f64 = 0.003;
/// Requests of the cluster.
const OWN: u64 = 1 << 62;

impl Open {
    fn moves(&self) -> bool {
        !self.is_still && matches!(self.told, Some(VolumeIo::Gone | VolumeIo::Still))
    }
}

impl Plane {
    /// A disk of several nodes has something to change still.
    pub(super) fn changes_shared(&self) -> bool {
        let changes = |flight: &Flight| flight.is_shared && flight.op.work.changes();
        self.flights.iter().any(|flight| changes(flight) && flight.done.is_none())
    }

    /// What is still used, or with a disk.
    pub(super) fn unsettled(&self) -> Option<String> {
        let is_idle = self.flights.is_empty() && self.leaseless.is_empty();
        if !self.drains.is_empty() || !is_idle || !self.opening.is_empty() {
            let (drains, flights, opening) = (&self.drains, &self.flights, &self.opening);
            let leaseless = &self.leaseless;
            return Some(format!("{drains:?} wait for {flights:?}, {leaseless:?}, {opening:?}"));
        }
        let is_busy = |open: &&Open| open.is_used || open.copy.is_some();
        self.volumes.values().find(is_busy).map(|open| format!("{open:?}"))
    }

    pub(super) fn drain(&mut self, ticket: DrainTicket, group: Option<UniqueId>) {
        self.drains.push((ticket, group));
    }

    fn add(&mut self, name: &VolumeName) -> u64 {
        self.next += 1;
        let number = self.next;
        let mut volume = Volume::new(Arc::default(), Rules::default());
        volume.stand_still();
        let open = Open {
            name: name.clone(),
            volume,
            told: None,
            is_still: false,
            is_shared: true,
            is_used: false,
            closes: false,
            hold: None,
            copy: None,
            aim: None,
            asked: BTreeMap::new(),
        };
        self.volumes.insert(number, open);
        self.told = 0;
        self.by_name.insert(name.clone(), number);
        if let Some(range) = self.ranges.get(name).copied() {
            self.hold_in(number, range);
        }
        number
    }

    fn number(&mut self, name: &VolumeName) -> u64 {
        self.by_name.get(name).copied().unwrap_or_else(|| self.add(name))
    }

    fn submit(
        &mut self,
        number: u64,
        what: What,
        (at, len): (Sectors, Sectors),
        of: Of,
    ) -> RequestId {
        self.next += 1;
        // Those of programs are numbered by the data.
        let id = RequestId(self.next | OWN);
        let request = Request { id, what, at, len };
        let data = vec![0; usize::try_from(len).unwrap_or(0)];
        if let Some(open) = self.volumes.get_mut(&number) {
            open.asked.insert(id, Asked { request, of, data });
            open.volume.submit(request);
        }
        id
    }

    fn hold_in(&mut self, number: u64, range: Range) {
        let hold = (range.at, range.len);
        let id = self.submit(number, What::Hold, hold, Of::Hold(range.number));
        let Some(open) = self.volumes.get_mut(&number) else { return };
        if let Some((_, before)) = open.hold.replace((range.number, id)) {
            open.copy.into_iter().for_each(|copy| open.volume.cancel(copy));
            open.volume.release(before);
        }
    }

    /// Nobody changes the range; `true`: nobody has the volume open here.
    pub(super) fn hold(
        &mut self,
        name: &VolumeName,
        number: RangeNumber,
        (at, len): (Sectors, Sectors),
    ) -> bool {
        let range = Range { number, at, len };
        self.ranges.insert(name.clone(), range);
        match self.by_name.get(name).copied() {
            Some(number) => self.hold_in(number, range),
            None => return true,
        }
        false
    }

    /// The copies of the range are made equal; `false`: it was given back meanwhile.
    pub(super) fn copy(
        &mut self,
        name: &VolumeName,
        range: RangeNumber,
        aim: Option<Resync>,
    ) -> bool {
        let number = self.number(name);
        let held = self.ranges.get(name).copied().filter(|held| held.number == range);
        let Some(Range { at, len, .. }) = held else { return false };
        let id = self.submit(number, What::Copy, (at, len), Of::Copy(range));
        if let Some(open) = self.volumes.get_mut(&number) {
            (open.copy, open.aim) = (Some(id), aim);
        }
        true
    }

    /// A range is copied from another volume.
    pub(super) fn fill(
        &mut self,
        name: &VolumeName,
        range: RangeNumber,
        id: Rid,
        at: (Sectors, Sectors),
    ) {
        let number = self.number(name);
        self.submit(number, What::Fill { id }, at, Of::Fill(range));
    }

    /// A range is filled: who waits for that goes on.
    pub(super) fn filled(&mut self, name: &VolumeName, id: Rid, (at, len): (Sectors, Sectors)) {
        let number = self.by_name.get(name).copied();
        if let Some(open) = number.and_then(|number| self.volumes.get_mut(&number)) {
            open.volume.filled(id, at, len);
        }
    }

    pub(super) fn release(&mut self, name: &VolumeName) {
        self.ranges.remove(name);
        let number = self.by_name.get(name).copied();
        if let Some(open) = number.and_then(|number| self.volumes.get_mut(&number))
            && let Some((_, hold)) = open.hold.take()
        {
            open.copy.into_iter().for_each(|copy| open.volume.cancel(copy));
            open.volume.release(hold);
        }
    }

    /// What is held of a volume here.
    pub(super) fn held(&self, name: &VolumeName) -> Option<RangeNumber> {
        self.ranges.get(name).map(|range| range.number)
    }

    /// Copies that are under way: one that has come to its end does nothing more, though nobody may have
    /// taken note of that yet.
    pub(super) fn copies(&self) -> impl Iterator<Item = UnderWay<'_>> {
        self.volumes.values().filter_map(|open| {
            let asked = open.asked.get(&open.copy?)?;
            let Of::Copy(number) = asked.of else { return None };
            let mut under_way = open.volume.under_way();
            let is_it = under_way.any(|(request, _)| request == asked.request);
            let (at, aim) = (asked.request.at, open.aim.as_ref()?);
            is_it.then_some(UnderWay { volume: &open.name, number, at, aim })
        })
    }

    /// Tells volumes what has changed; those whose program has lost them. Nothing has if vxiod is as it
    /// was, no volume is new and none has come to stand still.
    fn look(&mut self, iod: &Vxiod, broken: Option<Mutant>) -> (bool, Vec<VolumeName>) {
        let (mut lost, mut is_new) = (Vec::new(), false);
        if std::mem::replace(&mut self.told, iod.changes()) == iod.changes() {
            return (is_new, lost);
        }
        for (number, open) in &mut self.volumes {
            if open.told == Some(VolumeIo::Gone) {
                continue;
            }
            let io = iod.io_of(&open.name);
            if let Some(table) = iod.tables().get(&open.name.0) {
                open.is_shared = table.is_shared();
            }
            let is_early = open.moves() && matches!(io, VolumeIo::Runs { .. });
            if open.told.as_ref() == Some(&io) || is_early {
                continue;
            }
            (open.is_still, is_new) = (false, true);
            match &io {
                VolumeIo::Gone => {
                    open.volume.handle_gone();
                    if std::mem::take(&mut open.is_used) {
                        lost.push(open.name.clone());
                    }
                    self.by_name.retain(|_, of| of != number);
                }
                VolumeIo::Runs { map, rules } => {
                    let notes = rules.notes.filter(|_| broken != Some(Mutant::ChangesUnnoted));
                    let mut fill = rules.fill;
                    if broken == Some(Mutant::FillUnawaited) {
                        fill.take_if(|fill| !fill.is_target);
                    }
                    open.volume.go_on(Arc::clone(map), Rules { notes, fill, ..*rules });
                }
                VolumeIo::Still => open.volume.stand_still(),
            }
            open.told = Some(io);
        }
        (is_new, lost)
    }

    fn forget_unused(&mut self) {
        let is_wanted = |number: &u64, open: &Open| {
            open.is_used
                || open.copy.is_some()
                || open.asked.values().any(|asked| matches!(asked.of, Of::Fill(_)))
                || self.flights.iter().any(|flight| flight.volume == *number)
                || self.leaseless.iter().any(|(volume, ..)| volume == number)
                || open.told != Some(VolumeIo::Gone) && self.ranges.contains_key(&open.name)
        };
        if self.volumes.iter().all(|(number, open)| is_wanted(number, open)) {
            return;
        }
        self.volumes.retain(|number, open| is_wanted(number, open));
        let volumes = &self.volumes;
        self.by_name.retain(|_, number| volumes.contains_key(number));
    }

    /// What an operation changes sectors to.
    fn changed_to(&self, flight: &Flight) -> Option<Vec<Tag>> {
        let op = &flight.op;
        let asked = self.volumes.get(&flight.volume)?.asked.get(&op.request)?;
        let (begin, len) = (usize::try_from(op.offset).ok()?, usize::try_from(op.len).ok()?);
        if asked.request.what.changes() {
            return Some(vec![op.request.0; len]);
        }
        asked.data.get(begin..begin + len).map(<[Tag]>::to_vec)
    }

    /// Of data that a client changes in a volume with a log: its map, the map of this node in the log, and
    /// where in the volume they lie.
    pub(super) fn logged(&self, flight: &Flight) -> Option<(Arc<VolumeMap>, u16, Sectors)> {
        let open = self.volumes.get(&flight.volume)?;
        let request = open.asked.get(&flight.op.request)?.request;
        let is_of_client =
            flight.log.is_none() && flight.op.work.changes() && request.what.changes();
        let number = open.volume.rules().log_map.filter(|_| is_of_client)?;
        let map = Arc::clone(open.volume.map());
        Some((map, number, request.at + flight.op.offset))
    }

    /// Of what is written to a log: of which volume, its map, and the map of this node in the log.
    pub(super) fn log_of(&self, flight: &Flight) -> Option<(VolumeName, Arc<VolumeMap>, u16)> {
        let open = self.volumes.get(&flight.volume)?;
        let number = open.volume.rules().log_map?;
        Some((open.name.clone(), Arc::clone(open.volume.map()), number))
    }

    /// Which plex of which volume is read for a program.
    pub(super) fn read_for_program(
        &self,
        flight: &Flight,
        op: &DiskOp,
    ) -> Option<(VolumeName, Name)> {
        let open = self.volumes.get(&flight.volume)?;
        let asked = open.asked.get(&op.request)?;
        let is_it = op.work == DiskWork::Read && matches!(asked.of, Of::Program(..));
        let plex = open.volume.place(op.id).filter(|_| is_it)?.plex?;
        Some((open.name.clone(), open.volume.map().plex(plex).name.clone()))
    }

    /// Tickets of what has come to its end.
    fn drained(&mut self) -> Option<DrainTicket> {
        if self.drains.is_empty() {
            return None;
        }
        let moving: Vec<&Open> = self.volumes.values().filter(|open| open.moves()).collect();
        let waits = |group: &Option<UniqueId>| {
            moving.iter().any(|open| match group {
                Some(group) => open.name.0 == *group,
                None => open.is_shared,
            })
        };
        let place = self.drains.iter().position(|(_, group)| !waits(group))?;
        Some(self.drains.remove(place).0)
    }
}

impl Driver {
    /// One thing that the volumes of a node do, if there is one.
    pub(super) fn plane_step(&mut self, node: usize) -> bool {
        self.landed(node)
            || self.tell_volumes(node)
            || self.hear_volumes(node)
            || self.program(node)
    }

    /// Disks do what they have come to, also for nodes that stand still.
    pub(super) fn disks_step(&mut self) {
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
    fn landed(&mut self, node: usize) -> bool {
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

    /// All others of port v count on this node, as far as its gabd knows.
    pub(super) fn has_lease(&self, node: usize) -> bool {
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

    fn tell_volumes(&mut self, node: usize) -> bool {
        let local = self.local(node);
        let state = &mut self.nodes[node];
        let Some(iod) = &mut state.iod else { return false };
        let (is_new, lost) = state.plane.look(iod, self.broken);
        for (group, volume) in &lost {
            iod.close_volume(local, group, volume);
        }
        state.plane.forget_unused();
        let drained = state.plane.drained();
        if let Some(ticket) = drained {
            iod.handle_drained(local, ticket);
        }
        if !is_new && drained.is_none() {
            return false;
        }
        self.note(node, 8, drained.map_or(0, |ticket| ticket.0));
        self.collected(node);
        true
    }

    fn hear_volumes(&mut self, node: usize) -> bool {
        let mut volumes = self.nodes[node].plane.volumes.iter_mut();
        let said = volumes.find_map(|(number, open)| Some((*number, open.volume.poll_output()?)));
        let Some((number, output)) = said else { return false };
        let (local, wall) = (self.local(node), 1_283_432_400);
        match output {
            VolumeOutput::Disk(op) => self.launch(node, number, op, None),
            VolumeOutput::Log(op, data) => self.launch(node, number, op, Some(data)),
            VolumeOutput::ReadLog(op) => self.launch(node, number, op, Some(Vec::new())),
            VolumeOutput::Done(request, result) => self.done(node, number, request, result),
            VolumeOutput::FirstChange => {
                let state = &mut self.nodes[node];
                let open = state.plane.volumes.get(&number);
                if let (Some(open), Some(iod)) = (open, &mut state.iod) {
                    iod.handle_first_change(local, &open.name, wall);
                }
            }
            VolumeOutput::Held(request) => {
                let state = &mut self.nodes[node];
                let open = state.plane.volumes.get(&number);
                if let (Some(open), Some(iod)) = (open, &mut state.iod)
                    && let Some(Of::Hold(range)) = open.asked.get(&request).map(|asked| &asked.of)
                {
                    iod.handle_range_clear(&open.name, *range);
                }
            }
            VolumeOutput::Note(_) => {}
            VolumeOutput::PlexFailed { plex, disk } => {
                let state = &mut self.nodes[node];
                let open = state.plane.volumes.get(&number);
                if let (Some(open), Some(iod)) = (open, &mut state.iod) {
                    iod.handle_plex_failed(local, &open.name.0, plex, disk, wall);
                }
            }
            VolumeOutput::Unfilled { at, len } => {
                let state = &mut self.nodes[node];
                let open = state.plane.volumes.get(&number);
                if let (Some(open), Some(iod)) = (open, &mut state.iod) {
                    iod.handle_unfilled(local, &open.name, at, len);
                }
            }
            VolumeOutput::Still => {
                if let Some(open) = self.nodes[node].plane.volumes.get_mut(&number) {
                    open.is_still = true;
                }
                self.nodes[node].plane.told = 0;
            }
        }
        self.note(node, 12, number);
        self.collected(node);
        true
    }

    fn launch(&mut self, node: usize, volume: u64, op: DiskOp, log: Option<Vec<u8>>) {
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

    fn done(&mut self, node: usize, number: u64, id: RequestId, result: Result<(), IoFailed>) {
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
                if let (Err(_), Some(iod)) = (result, &mut state.iod) {
                    iod.handle_range_clear(&name, range);
                }
            }
            Of::Program(volume, _) if request.what.changes() => {
                let done = match request.what {
                    _ if result.is_err() => Done::Unknown,
                    What::Write { durable: true } | What::Zero { durable: true, .. } => {
                        Done::Durable
                    }
                    _ => Done::Written,
                };
                self.data.end(&volume, (request.at, request.len), id.0, done);
                if done != Done::Unknown {
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

    // ---- programs ----

    /// A program opens a volume, uses it or closes it, if it is time.
    fn program(&mut self, node: usize) -> bool {
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
    pub(super) fn opened(&mut self, node: usize, ticket: OpenTicket, is_open: bool) {
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

    /// The vxiod of a node is gone, with its machine or by itself: what its volumes had given to disks
    /// lands, at once or later, or does not.
    pub(super) fn end_plane(&mut self, node: usize, with_machine: bool) {
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

    /// At rest: every copy of every volume holds what programs may expect.
    pub(super) fn check_data(&mut self) {
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
    pub(super) fn copies_of(
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

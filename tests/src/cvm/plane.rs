//! Volumes in use on a node: programs, the cores of volumes, and their disks, as the daemon has them
//! (`cvm/src/iod/plane.rs`, `cvm/src/engine`).
//!
//! What a node gives to disks they do when they come to it, whatever has become of the node. What they
//! had not come to when it fails with its machine they do at once, or not at all; when only vxiod is
//! killed they come to it later, and port v is its own until they have. To shared disks it gives nothing
//! without a lease, which is what keeps anything from landing when others have gone on without it
//! (`cvm-lease`).

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

use cvm::core::iod::{DrainTicket, Iod, RangeNumber, Resync, VolumeIo, VolumeName};
use cvm::model::{Name, Rid, Sectors, UniqueId};
use cvm::volume::{
    DiskOp, DiskWork, Request, RequestId, Rules, Volume, VolumeMap, VolumeOutput, What,
};
use gab::core::Mutant;
use llt::Instant;

use super::data::{Identity, Tag, Tags};
use super::driver::Driver;
use super::node::Vxiod;

mod disks;
mod programs;

/// The volumes of one node.
#[derive(Debug, Default)]
pub struct Plane {
    volumes: BTreeMap<u64, Open>,
    by_name: BTreeMap<VolumeName, u64>,
    ranges: BTreeMap<VolumeName, Range>,
    /// Ranges that nobody changes who has the volume open now.
    clears: Vec<(VolumeName, RangeNumber)>,
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
    begun: Instant,
    due: Instant,
    volume: u64,
    name: VolumeName,
    pub(super) disk: UniqueId,
    pub(super) op: DiskOp,
    log: Option<Vec<u8>>,
    is_shared: bool,
    /// Where in the volume its data are, if they are no log's.
    place: Option<Sectors>,
    /// What it changes sectors to.
    tags: Vec<Tag>,
    /// In which generation of port v and which reconfiguration it was begun.
    stay: (u64, u64),
    /// With which life of gabd.
    life: Option<usize>,
    /// The disk has let it wait.
    is_stalled: bool,
    /// The disk has done it, or has failed, and answers then.
    done: Option<(bool, Instant)>,
    /// Nobody waits for that any more.
    is_given_up: bool,
}

impl Flight {
    /// It may change what others use.
    fn changes_shared(&self) -> bool {
        self.is_shared && self.op.work.changes()
    }

    /// It has yet to change something of this range of a volume.
    fn is_in(&self, name: &VolumeName, (at, len): (Sectors, Sectors)) -> bool {
        let is_there = self.place.is_some_and(|place| place < at + len && at < place + self.op.len);
        self.done.is_none() && self.changes_shared() && self.name == *name && is_there
    }
}

/// A disk that does not stall takes no longer: what a node has told it with a lease is done when others go
/// on without that.
const SLOWEST: Duration = Duration::from_millis(40);
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
        self.flights.iter().any(|flight| flight.changes_shared() && flight.done.is_none())
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

    /// Nobody changes the range: [`Plane::clear`] says when.
    pub(super) fn hold(
        &mut self,
        name: &VolumeName,
        number: RangeNumber,
        (at, len): (Sectors, Sectors),
    ) {
        let range = Range { number, at, len };
        self.ranges.insert(name.clone(), range);
        self.clears.retain(|(of, _)| of != name);
        match self.by_name.get(name).copied() {
            Some(number) => self.hold_in(number, range),
            None => self.clears.push((name.clone(), number)),
        }
    }

    /// A range that nobody changes here any more, nor what has gone and was the volume before.
    fn clear(&mut self) -> Option<(VolumeName, RangeNumber)> {
        let goes = |name: &VolumeName| {
            let is_gone = |open: &Open| open.told == Some(VolumeIo::Gone);
            self.volumes.values().any(|open| open.name == *name && is_gone(open) && open.moves())
        };
        let place = self.clears.iter().position(|(name, _)| !goes(name))?;
        Some(self.clears.remove(place))
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
        self.clears.retain(|(of, _)| of != name);
        let number = self.by_name.get(name).copied();
        if let Some(open) = number.and_then(|number| self.volumes.get_mut(&number))
            && let Some((_, hold)) = open.hold.take()
        {
            open.copy.into_iter().for_each(|copy| open.volume.cancel(copy));
            open.volume.release(hold);
        }
    }

    /// Where a range is that is held here.
    fn range(&self, name: &VolumeName, number: RangeNumber) -> Option<(Sectors, Sectors)> {
        let range = self.ranges.get(name).filter(|range| range.number == number)?;
        Some((range.at, range.len))
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
    fn changed_to(&self, number: u64, op: &DiskOp) -> Vec<Tag> {
        let asked = self.volumes.get(&number).and_then(|open| open.asked.get(&op.request));
        let (Some(asked), Ok(begin), Ok(len)) =
            (asked, usize::try_from(op.offset), usize::try_from(op.len))
        else {
            return Vec::new();
        };
        if asked.request.what.changes() {
            return vec![op.request.0; len];
        }
        asked.data.get(begin..begin + len).map(<[Tag]>::to_vec).unwrap_or_default()
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

    /// What volumes may do; `false`: they know it.
    pub(super) fn tell_io(&mut self, node: usize) -> bool {
        let local = self.local(node);
        let state = &mut self.nodes[node];
        let Some(iod) = &mut state.iod else { return false };
        let (is_new, lost) = state.plane.look(iod, self.broken);
        for (group, volume) in &lost {
            iod.close_volume(local, group, volume);
        }
        is_new
    }

    fn tell_volumes(&mut self, node: usize) -> bool {
        let is_new = self.tell_io(node);
        let local = self.local(node);
        let state = &mut self.nodes[node];
        let Some(iod) = &mut state.iod else { return false };
        state.plane.forget_unused();
        let (drained, clear) = (state.plane.drained(), state.plane.clear());
        if let Some(ticket) = drained {
            iod.handle_drained(local, ticket);
        }
        if let Some((volume, number)) = &clear {
            iod.handle_range_clear(volume, *number);
        }
        if !is_new && drained.is_none() && clear.is_none() {
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
                let plane = &mut self.nodes[node].plane;
                if let Some(open) = plane.volumes.get(&number)
                    && let Some(Of::Hold(range)) = open.asked.get(&request).map(|asked| &asked.of)
                {
                    plane.clears.push((open.name.clone(), *range));
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
}

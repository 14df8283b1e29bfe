//! A volume with its requests.

use std::collections::VecDeque;
use std::sync::Arc;

use llt::Instant;
use slab::Slab;

use super::fill::Filling;
use super::issue::Planned;
use super::log::{LogOp, Marks};
use super::map::{DiskIndex, PlexIndex, VolumeMap};
use super::request::{
    DiskOp, DiskWork, IoFailed, OpId, Request, RequestId, Rules, VolumeNote, VolumeOutput, What,
};
use super::tally::Tally;
use super::wait::Held;
use crate::model::Sectors;

/// An open volume on one node.
#[derive(Clone, Debug)]
pub struct Volume {
    pub(super) map: Arc<VolumeMap>,
    pub(super) rules: Rules,
    pub(super) state: State,
    /// It was asked to stand still, and has not said yet that it does.
    owes_still: bool,
    pub(super) active: Slab<Active>,
    pub(super) ops: Slab<Flying>,
    /// The time of what is done to it next.
    pub(super) now: Instant,
    pub(super) tally: Tally,
    /// Those of `active` that have not begun, in the order in which they came.
    pub(super) waiting: VecDeque<usize>,
    /// The blocks that nobody else may change while a request has begun and has not ended.
    pub(super) held: Vec<Held>,
    /// It was said that something is to be changed and there is no mark.
    pub(super) has_told_change: bool,
    /// Those whose step has come to its end.
    pub(super) ended: VecDeque<usize>,
    /// The plex of each mirror that is read next.
    pub(super) turns: Vec<usize>,
    /// Plexes that have failed; they are to be taken off.
    pub(super) failed: Vec<PlexIndex>,
    /// What this node has marked in the log of each mirror; empty without logs.
    pub(super) marks: Vec<Option<Marks>>,
    /// Counts changes: which regions were not used for longest.
    pub(super) uses: u64,
    /// Counts what could give a change the marks that it lacks.
    pub(super) passes: u64,
    pub(super) filling: Filling,
    /// Room for what is about to be issued.
    pub(super) plan: Vec<Planned>,
    pub(super) out: VecDeque<VolumeOutput>,
}

/// Whether disks are given anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// Nothing, ever.
    Gone,
    Running,
    /// Nothing, until there is a table.
    Still,
}

/// A request that is not done.
#[derive(Clone, Debug)]
pub(super) struct Active {
    pub(super) request: Request,
    /// When it came.
    pub(super) since: Instant,
    pub(super) phase: Phase,
    pub(super) step: Step,
    /// Operations that disks have not answered.
    pub(super) left: usize,
    /// No plex that is current holds all of its range.
    pub(super) is_lost: bool,
    /// Plexes that could not be read.
    pub(super) avoid: Vec<PlexIndex>,
    /// Operations of this step that failed.
    pub(super) faults: Vec<Op>,
    /// Reads that failed, to be corrected.
    pub(super) bad: Vec<Op>,
    /// What is read of the copies, to be written to the others.
    pub(super) source: Vec<Op>,
    /// It ends when disks have answered.
    pub(super) is_cancelled: bool,
    /// It lacked marks when it was looked at last, after so many passes.
    pub(super) lacks_marks: Option<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// It has its blocks, and does nothing with them.
    Held,
    /// A plex that it was to be written to has failed.
    Parked,
    /// Disks work on it.
    Running,
    /// It has not begun, or begins anew.
    Waiting,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// What it asks for.
    Begin,
    /// A plex could not be read: another is, and nobody writes there.
    Reread,
    /// What was read is written to the other copies.
    Copy,
    /// What could not be read is written.
    Correct,
    /// What was zeroed becomes durable.
    Flush,
}

/// What a disk has been told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Flying {
    pub(super) what: UnderWay,
    pub(super) op: DiskOp,
    /// When it was told.
    pub(super) since: Instant,
}

impl Flying {
    /// The operation gets its number.
    pub(super) fn launch(
        ops: &mut Slab<Self>,
        since: Instant,
        what: UnderWay,
        op: DiskOp,
    ) -> DiskOp {
        let entry = ops.vacant_entry();
        let op = DiskOp { id: OpId(entry.key()), ..op };
        entry.insert(Self { what, op, since });
        op
    }
}

/// Whose it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum UnderWay {
    Log(LogOp),
    Request(Op),
}

/// An operation of a request, beside what the disk is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Op {
    /// Its request, in `active`.
    pub(super) slot: usize,
    pub(super) plex: PlexIndex,
    pub(super) disk: DiskIndex,
    pub(super) at: Sectors,
    pub(super) len: Sectors,
    pub(super) offset: Sectors,
}

impl Volume {
    /// A volume of which nothing has been asked yet.
    pub fn new(map: Arc<VolumeMap>, rules: Rules) -> Self {
        let mut volume = Self {
            map: Arc::default(),
            rules,
            state: State::Running,
            owes_still: false,
            active: Slab::new(),
            ops: Slab::new(),
            now: Instant::ZERO,
            tally: Tally::default(),
            waiting: VecDeque::new(),
            held: Vec::new(),
            has_told_change: false,
            ended: VecDeque::new(),
            turns: Vec::new(),
            failed: Vec::new(),
            marks: Vec::new(),
            uses: 0,
            passes: 0,
            filling: Filling::default(),
            plan: Vec::new(),
            out: VecDeque::new(),
        };
        volume.fill_anew();
        volume.take_map(map);
        volume
    }

    /// What time it is at whatever is done to it next: how long things take is counted by that.
    pub const fn set_time(&mut self, now: Instant) {
        self.now = now;
    }

    /// Something is wanted.
    pub fn submit(&mut self, request: Request) {
        let slot = self.active.insert(Active {
            request,
            since: self.now,
            phase: Phase::Waiting,
            step: Step::Begin,
            left: 0,
            is_lost: false,
            avoid: Vec::new(),
            faults: Vec::new(),
            bad: Vec::new(),
            source: Vec::new(),
            is_cancelled: false,
            lacks_marks: None,
        });
        self.wait(slot);
        self.settle();
    }

    /// The blocks of a [`What::Hold`] may be changed again, or it is not wanted any more.
    pub fn release(&mut self, id: RequestId) {
        if let Some(slot) = self.find(id, What::Hold) {
            self.waiting.retain(|waiting| *waiting != slot);
            self.end(slot, Ok(()));
            self.settle();
        }
    }

    /// A [`What::Copy`] is not wanted any more: it ends as soon as no disk works on it, and fails. What
    /// it has written stays.
    pub fn cancel(&mut self, id: RequestId) {
        let Some(slot) = self.find(id, What::Copy) else { return };
        let Some(active) = self.active.get_mut(slot) else { return };
        active.is_cancelled = true;
        if active.left == 0 {
            self.waiting.retain(|waiting| *waiting != slot);
            self.end(slot, Err(IoFailed::Gone));
        }
    }

    fn find(&self, id: RequestId, what: What) -> Option<usize> {
        let is_it = |active: &Active| active.request.id == id && active.request.what == what;
        self.active.iter().find(|(_, active)| is_it(active)).map(|(slot, _)| slot)
    }

    /// A disk has done what it was told, or has not.
    ///
    /// # Panics
    /// If no such operation is under way.
    pub fn handle_done(&mut self, op: OpId, is_done: bool) {
        let flying = self.ops.remove(op.0);
        self.count_op(&flying, is_done);
        match flying.what {
            UnderWay::Log(op) => {
                self.log_done(op, is_done);
                self.settle();
            }
            UnderWay::Request(op) => self.op_done(op, is_done),
        }
    }

    fn op_done(&mut self, op: Op, is_done: bool) {
        let Some(active) = self.active.get_mut(op.slot) else { return };
        active.left -= 1;
        if !is_done {
            active.faults.push(op);
        }
        if active.left == 0 {
            self.ended.push_back(op.slot);
            self.settle();
        }
    }

    /// Nothing new goes to disks until [`go_on`](Self::go_on); [`VolumeOutput::Still`] says when all
    /// that is there already has come back.
    pub fn stand_still(&mut self) {
        if self.state == State::Running {
            self.state = State::Still;
        }
        self.owes_still = true;
    }

    /// I/O goes on, with this table and these rules. The volume stands still, or has done nothing yet.
    /// What has its blocks by [`What::Hold`] keeps them.
    ///
    /// # Panics
    /// If disks still work under another table.
    pub fn go_on(&mut self, map: Arc<VolumeMap>, rules: Rules) {
        if self.state == State::Gone {
            return;
        }
        (self.rules, self.has_told_change) = (rules, false);
        (self.state, self.owes_still) = (State::Running, false);
        self.fill_anew();
        if !self.ops.is_empty() {
            assert!(*self.map == *map, "a table changes while I/O runs under it");
            self.begin_notes();
            self.settle();
            return;
        }
        self.take_map(map);
        for slot in 0..self.active.capacity() {
            let Some(active) = self.active.get_mut(slot) else { continue };
            // Indices are of the map of before.
            active.avoid.clear();
            active.bad.clear();
            active.source.clear();
            active.step = Step::Begin;
            if active.phase == Phase::Parked {
                // It had begun before all that wait.
                active.phase = Phase::Waiting;
                self.waiting.push_front(slot);
                self.let_go(slot);
            }
        }
        self.settle();
    }

    /// The volume is gone from this node: everything that is not with a disk fails, and what is, when
    /// it comes back.
    pub fn handle_gone(&mut self) {
        (self.state, self.owes_still) = (State::Gone, true);
        self.waiting.clear();
        let idle = self.active.iter().filter(|(_, active)| active.left == 0);
        for slot in idle.map(|(slot, _)| slot).collect::<Vec<usize>>() {
            self.end(slot, Err(IoFailed::Gone));
        }
    }

    /// What is to be done, one after the other. That it stands still is the last thing, and true when it
    /// is said: what has been queued for long may be of an earlier time.
    pub fn poll_output(&mut self) -> Option<VolumeOutput> {
        let is_still = self.out.is_empty() && self.owes_still && self.ops.is_empty();
        self.owes_still &= !is_still;
        if is_still { Some(VolumeOutput::Still) } else { self.out.pop_front() }
    }

    /// What of its I/O is up to whoever drives it.
    pub const fn rules(&self) -> Rules {
        self.rules
    }

    /// Nothing is done any more.
    pub fn is_gone(&self) -> bool {
        self.state == State::Gone
    }

    /// The table in force.
    pub const fn map(&self) -> &Arc<VolumeMap> {
        &self.map
    }

    /// Requests that are not done.
    pub fn requests(&self) -> usize {
        self.active.len()
    }

    /// Operations that disks have not answered.
    pub fn in_flight(&self) -> usize {
        self.ops.len()
    }

    fn take_map(&mut self, map: Arc<VolumeMap>) {
        self.turns.resize(map.plexes().count(), 0);
        self.failed.clear();
        let before = std::mem::replace(&mut self.map, map);
        self.tally.take_map(&before, &self.map);
        self.take_logs(&before);
    }

    /// It begins when it can, after those that came before.
    pub(super) fn wait(&mut self, slot: usize) {
        self.let_go(slot);
        if self.state == State::Gone {
            self.end(slot, Err(IoFailed::Gone));
        } else if let Some(active) = self.active.get_mut(slot) {
            active.phase = Phase::Waiting;
            self.waiting.push_back(slot);
        }
    }

    /// Everything that can begin or end.
    pub(super) fn settle(&mut self) {
        loop {
            while let Some(slot) = self.ended.pop_front() {
                self.finish(slot);
            }
            self.start_waiting();
            self.start_passes();
            if self.ended.is_empty() {
                return;
            }
        }
    }

    /// A request is over.
    pub(super) fn end(&mut self, slot: usize, result: Result<(), IoFailed>) {
        if let Some(active) = self.active.try_remove(slot) {
            self.let_go(slot);
            self.count_request(&active, result.is_ok());
            self.out.push_back(VolumeOutput::Done(active.request.id, result));
        }
    }

    pub(super) fn note(&mut self, op: &Op, note: impl FnOnce(crate::model::Name) -> VolumeNote) {
        let name = self.map.plex(op.plex).name.clone();
        self.out.push_back(VolumeOutput::Note(note(name)));
    }

    pub(super) fn begin(&mut self, slot: usize) {
        let held = self.holds(slot);
        self.held.extend(held);
        self.use_regions(slot);
        let Some(active) = self.active.get_mut(slot) else { return };
        active.phase = Phase::Running;
        let Request { what, at, len, .. } = active.request;
        if at.checked_add(len).is_none_or(|end| end > self.map.len()) {
            self.end(slot, Err(IoFailed::Range));
            return;
        }
        match what {
            What::Copy | What::Fill { .. } | What::Read => self.issue_read(slot),
            What::Flush => self.issue_flush(slot),
            What::Hold => {
                active.phase = Phase::Held;
                let id = active.request.id;
                self.out.push_back(VolumeOutput::Held(id));
            }
            What::Write { durable } => self.issue_change(slot, DiskWork::Write { durable }),
            What::Zero { may_unmap, .. } => self.issue_change(slot, DiskWork::Zero { may_unmap }),
        }
    }
}

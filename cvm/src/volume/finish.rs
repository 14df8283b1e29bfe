//! What comes of a request when the disks have answered.

use std::sync::Arc;

use super::map::{DiskIndex, PlexIndex, PlexMode};
use super::request::{IoFailed, VolumeNote, What};
use super::state::{Op, Phase, State, Step, Volume};

impl Volume {
    /// All operations of a step of a request have come back.
    pub(super) fn finish(&mut self, slot: usize) {
        let Some(active) = self.active.get_mut(slot) else { return };
        let faults = std::mem::take(&mut active.faults);
        let (what, step, is_lost) = (active.request.what, active.step, active.is_lost);
        match (what, step) {
            (What::Read, Step::Correct) => self.corrected(slot, &faults),
            (What::Read, Step::Begin | Step::Copy | Step::Flush | Step::Reread) => {
                self.read(slot, &faults);
            }
            (
                What::Copy | What::Fill { .. },
                Step::Begin | Step::Correct | Step::Flush | Step::Reread,
            ) => {
                self.copy_read(slot, &faults);
            }
            _ if !faults.is_empty() => self.not_written(slot, &faults),
            _ if is_lost => self.end(slot, Err(IoFailed::Io)),
            (What::Zero { durable: true, .. }, Step::Begin) => self.zeroed(slot),
            (What::Copy | What::Fill { .. }, Step::Copy) => self.copied(slot),
            (What::Flush | What::Hold | What::Write { .. } | What::Zero { .. }, _) => {
                self.end(slot, Ok(()));
            }
        }
    }

    /// What was zeroed is to be durable. It begins anew if that has to wait.
    fn zeroed(&mut self, slot: usize) {
        if self.state != State::Running {
            self.wait(slot);
        } else if let Some(active) = self.active.get_mut(slot) {
            active.step = Step::Flush;
            self.issue_flush(slot);
        }
    }

    fn read(&mut self, slot: usize, faults: &[Op]) {
        // It may not have been alone in its blocks, and what was read there be old by now.
        let is_allowed = self.rules.is_alone && !self.rules.is_apart;
        let may_write = is_allowed && self.state == State::Running && self.owns(slot);
        let Some(active) = self.active.get_mut(slot) else { return };
        if faults.is_empty() {
            // What stands still does not write: the next read meets it again.
            if active.bad.is_empty() || !may_write {
                self.end(slot, Ok(()));
            } else {
                active.step = Step::Correct;
                self.issue_correction(slot);
            }
            return;
        }
        active.bad.extend_from_slice(faults);
        self.reread(slot, faults);
    }

    /// Another plex is read.
    fn reread(&mut self, slot: usize, faults: &[Op]) {
        for op in faults {
            let (at, len) = (op.at, op.len);
            self.note(op, |plex| VolumeNote::ReadFailed { plex, at, len });
        }
        if let Some(active) = self.active.get_mut(slot) {
            active.avoid.extend(faults.iter().map(|op| op.plex));
            active.step = Step::Reread;
            self.wait(slot);
        }
    }

    /// A copy was read, or not: the others are written now.
    fn copy_read(&mut self, slot: usize, faults: &[Op]) {
        if self.is_cancelled(slot) {
            self.end(slot, Err(IoFailed::Gone));
        } else if !faults.is_empty() {
            self.reread(slot, faults);
        } else if let Some(active) = self.active.get_mut(slot) {
            if self.state == State::Running {
                active.step = Step::Copy;
                if matches!(active.request.what, What::Fill { .. }) {
                    self.issue_fill(slot);
                } else {
                    self.issue_copy(slot);
                }
            } else {
                // Other copies may take part by then.
                active.step = Step::Begin;
                self.wait(slot);
            }
        }
    }

    fn copied(&mut self, slot: usize) {
        let result = if self.is_cancelled(slot) { Err(IoFailed::Gone) } else { Ok(()) };
        self.end(slot, result);
    }

    fn corrected(&mut self, slot: usize, faults: &[Op]) {
        let bad = self.active.get_mut(slot).map(|active| std::mem::take(&mut active.bad));
        for op in bad.into_iter().flatten() {
            let (at, len) = (op.at, op.len);
            if !faults.contains(&op) {
                self.count_corrected(&op);
                self.note(&op, |plex| VolumeNote::Corrected { plex, at, len });
            }
        }
        // What was read is good, whatever becomes of the plex.
        self.end(slot, Ok(()));
        for op in faults {
            let _ = self.report_failed(op.plex, op.disk);
        }
    }

    fn is_cancelled(&self, slot: usize) -> bool {
        self.active.get(slot).is_some_and(|active| active.is_cancelled)
    }

    /// Something could not be written: it is not done before all nodes have stopped using the plex.
    fn not_written(&mut self, slot: usize, faults: &[Op]) {
        let mut waits = false;
        for op in faults {
            let (at, len) = (op.at, op.len);
            self.note(op, |plex| VolumeNote::WriteFailed { plex, at, len });
            waits |= self.report_failed(op.plex, op.disk) || self.report_ahead(op.plex);
        }
        if self.state == State::Gone || self.is_cancelled(slot) {
            self.end(slot, Err(IoFailed::Gone));
        } else if !waits {
            self.end(slot, Err(IoFailed::Io));
        } else if let Some(active) = self.active.get_mut(slot) {
            (active.phase, active.step) = (Phase::Parked, Step::Begin);
        }
    }

    /// Has a plex taken off; of a layer that has no other, the plex that the layer is a part of.
    /// `false`: it is the last one, which is never taken off.
    pub(super) fn report_failed(&mut self, plex: PlexIndex, disk: DiskIndex) -> bool {
        let mut at = Some(plex);
        while let Some(plex) = at {
            if self.failed.contains(&plex) {
                return true;
            }
            let mirror = self.map.mirror(self.map.plex(plex).mirror);
            let is_other = |other: &&PlexIndex| {
                **other != plex
                    && self.map.plex(**other).mode == PlexMode::ReadWrite
                    && !self.failed.contains(*other)
            };
            if mirror.plexes.iter().any(|other| is_other(&other)) {
                self.failed.push(plex);
                let plex = self.map.plex(plex).name.clone();
                self.tell_failed(plex, Some(disk));
                return true;
            }
            // Others of this mirror have failed already: one of them goes first.
            if mirror.plexes.iter().any(|other| self.failed.contains(other)) {
                return true;
            }
            at = mirror.parent;
        }
        false
    }

    /// The last plex could not be written: what is written beside it, or beside the plexes that it is a
    /// part of, and not read yet, is taken off. It may hold what the last one does not, in blocks that
    /// were copied already. `false`: there is nothing.
    fn report_ahead(&mut self, plex: PlexIndex) -> bool {
        let map = Arc::clone(&self.map);
        let mut at = Some(plex);
        let mut are_some = false;
        while let Some(plex) = at {
            let mirror = map.mirror(map.plex(plex).mirror);
            let is_ahead = |plex: &&PlexIndex| map.plex(**plex).mode == PlexMode::WriteOnly;
            for ahead in mirror.plexes.iter().filter(is_ahead) {
                are_some = true;
                if !self.failed.contains(ahead) {
                    self.failed.push(*ahead);
                    self.tell_failed(map.plex(*ahead).name.clone(), None);
                }
            }
            at = mirror.parent;
        }
        are_some
    }
}

//! A request becomes operations on disks.

use std::sync::Arc;

use super::map::{MirrorIndex, PlexIndex, PlexMode, Target, VolumeMap};
use super::request::{DiskOp, DiskWork, IoFailed, OpId, VolumeOutput, What};
use super::state::{Flying, Op, UnderWay, Volume};
use crate::model::Sectors;

/// An operation that is not issued yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    op: Op,
    work: DiskWork,
}

/// A range of a mirror, and where its data lie in those of the request.
#[derive(Clone, Copy)]
struct Span {
    mirror: MirrorIndex,
    at: Sectors,
    len: Sectors,
    offset: Sectors,
}

impl Volume {
    /// Reads from one plex of each mirror, as the read policies say, or the first one.
    pub(super) fn issue_read(&mut self, slot: usize) {
        let map = Arc::clone(&self.map);
        let mut span = self.whole(slot);
        self.plan.clear();
        if self.is_fill(slot) {
            let Some(source) = map.source() else {
                self.end(slot, Err(IoFailed::Gone));
                return;
            };
            span.mirror = source;
        }
        let is_copy = self.active.get(slot).is_some_and(|active| active.request.what == What::Copy);
        let reads_one = is_copy || self.rules.reads_one;
        if !self.plan_read(&map, slot, span, reads_one) {
            self.end(slot, Err(IoFailed::Io));
            return;
        }
        if is_copy && let Some(active) = self.active.get_mut(slot) {
            // Each part of a layer may come from another plex.
            active.source.clear();
            active.source.extend(self.plan.iter().map(|planned| planned.op));
        }
        self.issue(slot);
    }

    /// Writes what was read to the other copies; to all of them, or if they are known to be equal to
    /// those that are not current.
    pub(super) fn issue_copy(&mut self, slot: usize) {
        let map = Arc::clone(&self.map);
        let span = self.whole(slot);
        self.plan.clear();
        // It was read, so it is kept.
        let _ = self.plan_change(&map, slot, span, DiskWork::Write { durable: false });
        // A plex is cut into the same operations, whether it is read or written.
        let Some(active) = self.active.get(slot) else { return };
        let (source, reads_one) = (&active.source, self.rules.reads_one);
        let is_written =
            |op: &Op| if reads_one { !source.contains(op) } else { !map.is_current(op.plex) };
        self.plan.retain(|planned| is_written(&planned.op));
        self.issue(slot);
    }

    /// Writes what was read of another volume to all copies.
    pub(super) fn issue_fill(&mut self, slot: usize) {
        self.issue_change(slot, DiskWork::Write { durable: true });
    }

    /// Writes, or zeroes, all plexes that take part.
    pub(super) fn issue_change(&mut self, slot: usize, work: DiskWork) {
        let map = Arc::clone(&self.map);
        let span = self.whole(slot);
        self.plan.clear();
        let is_kept = self.plan_change(&map, slot, span, work);
        if let Some(active) = self.active.get_mut(slot) {
            active.is_lost = !is_kept;
        }
        self.issue(slot);
    }

    /// Flushes the disks of all plexes that take part.
    pub(super) fn issue_flush(&mut self, slot: usize) {
        self.plan.clear();
        for (plex, disk) in self.map.disks_below(MirrorIndex::VOLUME) {
            let op = Op { slot, plex, disk, at: 0, len: 0, offset: 0 };
            self.plan.push(Planned { op, work: DiskWork::Flush });
        }
        self.issue(slot);
    }

    /// Writes what was read from another plex to where it could not be read.
    pub(super) fn issue_correction(&mut self, slot: usize) {
        self.plan.clear();
        let bad = self.active.get(slot).map(|active| active.bad.as_slice()).unwrap_or_default();
        let work = DiskWork::Write { durable: false };
        self.plan.extend(bad.iter().map(|op| Planned { op: *op, work }));
        self.issue(slot);
    }

    pub(super) fn is_fill(&self, slot: usize) -> bool {
        self.active.get(slot).is_some_and(|active| matches!(active.request.what, What::Fill { .. }))
    }

    fn whole(&self, slot: usize) -> Span {
        let request = self.active.get(slot).map(|active| active.request);
        let (at, len) = request.map_or((0, 0), |request| (request.at, request.len));
        Span { mirror: MirrorIndex::VOLUME, at, len, offset: 0 }
    }

    /// `false`: there is no plex left that has it. `reads_one`: it is the first that has it, not the
    /// one whose turn it is.
    fn plan_read(&mut self, map: &VolumeMap, slot: usize, span: Span, reads_one: bool) -> bool {
        let mirror = map.mirror(span.mirror);
        let count = mirror.plexes.len();
        let first = if reads_one { 0 } else { self.turn(span.mirror, count) };
        let in_turn = (0..count).filter_map(|step| mirror.plexes.get((first + step) % count));
        let preferred = mirror.preferred.iter().filter(|_| !reads_one);
        let candidates = preferred.chain(in_turn);
        let before = self.plan.len();
        for plex in candidates.copied() {
            if !self.is_readable(map, slot, plex, span) {
                continue;
            }
            let planned = map.plex(plex).parts(span.at, span.len).all(|part| {
                let offset = span.offset + (part.at - span.at);
                match part.target {
                    None => false,
                    Some(Target::Disk { disk, at }) => {
                        let op = Op { slot, plex, disk, at, len: part.len, offset };
                        self.plan.push(Planned { op, work: DiskWork::Read });
                        true
                    }
                    Some(Target::Layer { mirror, at }) => {
                        let span = Span { mirror, at, len: part.len, offset };
                        self.plan_read(map, slot, span, reads_one)
                    }
                }
            });
            if planned {
                return true;
            }
            self.plan.truncate(before);
        }
        false
    }

    fn is_readable(&self, map: &VolumeMap, slot: usize, plex: PlexIndex, span: Span) -> bool {
        let avoided = self.active.get(slot).is_some_and(|active| active.avoid.contains(&plex));
        let plex_map = map.plex(plex);
        plex_map.mode == PlexMode::ReadWrite
            && !avoided
            && !self.failed.contains(&plex)
            && plex_map.is_whole(span.at, span.len)
    }

    /// Which plex of a mirror is read this time.
    fn turn(&mut self, mirror: MirrorIndex, count: usize) -> usize {
        let Some(turn) = self.turns.get_mut(mirror.0) else { return 0 };
        *turn = turn.wrapping_add(1);
        if count == 0 { 0 } else { *turn % count }
    }

    /// `false`: no plex that is current holds all of it.
    fn plan_change(&mut self, map: &VolumeMap, slot: usize, span: Span, work: DiskWork) -> bool {
        let mut is_kept = false;
        for plex in map.mirror(span.mirror).plexes.iter().copied() {
            let mode = map.plex(plex).mode;
            if mode == PlexMode::Off {
                continue;
            }
            let mut is_whole = mode == PlexMode::ReadWrite;
            for part in map.plex(plex).parts(span.at, span.len) {
                let offset = span.offset + (part.at - span.at);
                match part.target {
                    None => is_whole = false,
                    Some(Target::Disk { disk, at }) => {
                        let op = Op { slot, plex, disk, at, len: part.len, offset };
                        self.plan.push(Planned { op, work });
                    }
                    Some(Target::Layer { mirror, at }) => {
                        let span = Span { mirror, at, len: part.len, offset };
                        is_whole &= self.plan_change(map, slot, span, work);
                    }
                }
            }
            is_kept |= is_whole;
        }
        is_kept
    }

    /// Gives what is planned to the disks.
    fn issue(&mut self, slot: usize) {
        let Some(active) = self.active.get_mut(slot) else { return };
        active.left = self.plan.len();
        active.faults.clear();
        let request = active.request.id;
        for Planned { op, work } in self.plan.drain(..) {
            let (what, Op { disk, at, len, offset, .. }) = (UnderWay::Request(op), op);
            let op = DiskOp { id: OpId::NONE, request, disk, work, at, len, offset };
            let op = Flying::launch(&mut self.ops, self.now, what, op);
            self.out.push_back(VolumeOutput::Disk(op));
        }
        if self.active.get(slot).is_some_and(|active| active.left == 0) {
            self.ended.push_back(slot);
        }
    }
}

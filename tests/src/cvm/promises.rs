//! What the I/O of volumes promises at every moment, not only at rest (algorithms 6.6): CV7 when a change
//! is answered, CV8 when data reach a disk, CV9 and CV10 when a mark goes, CV12 when a disk is read.

use std::sync::Arc;

use cvm::core::iod::LogIo;
use cvm::disk::{DRL_BLOCK, Image, RECOVERY_MAP, map_of, read_map};
use cvm::model::KernelState;
use cvm::volume::{DiskOp, MirrorIndex, MirrorLog, Request, VolumeMap};
use fixedbitset::FixedBitSet;

use super::data::Identity;
use super::driver::Driver;
use super::plane::Flight;

impl Driver {
    /// CV7: all copies that are read hold a change that was answered, or what is written at the same time.
    pub(super) fn check_answered(
        &mut self,
        node: usize,
        volume: &Identity,
        request: &Request,
        map: &VolumeMap,
    ) {
        let Some(image) = self.image(node, volume) else { return };
        if self.is_left_behind(node, self.stands_in(node)) {
            // It does not know what is read now; at rest nothing that it answered is missing.
            return;
        }
        let mut wrong = None;
        for sector in [request.at, request.at + request.len.saturating_sub(1)] {
            let (read, _) = self.copies_of(&image.group, map, sector);
            let possible = self.data.possible(volume, sector, 1);
            if !read.iter().all(|tag| possible[0].allows(*tag)) {
                wrong = Some((sector, read, possible));
            }
        }
        if let Some((sector, read, possible)) = wrong {
            self.fault("cv7-answered", || {
                format!("node {node}: {request:?} of {volume:?} is done, sector {sector} holds {read:?}, of {possible:?}")
            });
        }
    }

    /// What is in force on a node of the group of a volume.
    fn image(&self, node: usize, volume: &Identity) -> Option<Arc<Image>> {
        let table = self.nodes[node].iod.as_ref()?.tables().get(&volume.0)?;
        Some(Arc::clone(&table.image))
    }

    /// CV8: the regions of a client's data are marked on all copies of the log before.
    pub(super) fn check_marked(&mut self, node: usize, flight: &Flight) {
        let Some((map, number, at)) = self.nodes[node].plane.logged(flight) else { return };
        if !map.is_logged(number) {
            return;
        }
        for (mirror, region) in map.regions(at, flight.op.len) {
            let Some(log) = map.mirror(mirror).log.as_ref() else { continue };
            for copy in 0..log.copies.len() {
                let marks = self.marks(node, &map, log, copy, number);
                if marks.is_some_and(|marks| !marks.contains(region as usize)) {
                    self.fault("cv8-unmarked", || {
                        let op = &flight.op;
                        format!("node {node}: {op:?} at {at}, region {region}, log copy {copy}")
                    });
                    return;
                }
            }
        }
    }

    /// What a map of a copy of a log says; nothing if this node cannot read it.
    fn marks(
        &mut self,
        node: usize,
        map: &VolumeMap,
        log: &MirrorLog,
        copy: usize,
        number: u16,
    ) -> Option<FixedBitSet> {
        let copy = &log.copies[copy];
        let disk = map.disks()[copy.disk.0].clone();
        let (at, len) = (copy.at + log.shape.at(number), u64::from(log.shape.blocks));
        let io = LogIo::Read { disk, at, len };
        let bytes = self.storage.disks.log(self.nodes[node].id, &io).ok()?;
        let mut marks = FixedBitSet::new();
        read_map(copy.name, log.shape, number, &bytes, &mut marks);
        Some(marks)
    }

    /// CV9, CV10: where copies differ in a region whose mark goes, some other map says so. `data` is what
    /// is about to be written to a log.
    pub(super) fn check_cleared(&mut self, node: usize, flight: &Flight, data: &[u8]) {
        let Some((name, map, number)) = self.nodes[node].plane.log_of(flight) else { return };
        let Some(log) = map.mirror(MirrorIndex::VOLUME).log.as_ref() else { return };
        let written = |copy: &usize| {
            let copy = &log.copies[*copy];
            let begin = copy.at + log.shape.at(number);
            let is_in = (begin..begin + u64::from(log.shape.blocks)).contains(&flight.op.at);
            is_in && map.disks()[copy.disk.0] == flight.disk
        };
        let Some(copy) = (0..log.copies.len()).find(written) else { return };
        let Some(before) = self.marks(node, &map, log, copy, number) else { return };
        let first = flight.op.at - log.copies[copy].at - log.shape.at(number);
        let mut after = before.clone();
        for (block, bytes) in (u32::try_from(first).unwrap_or(0)..).zip(data.chunks(DRL_BLOCK)) {
            let mut said = FixedBitSet::new();
            let mut whole = vec![0; DRL_BLOCK * log.shape.blocks as usize];
            let begin = DRL_BLOCK * block as usize;
            whole[begin..begin + bytes.len()].copy_from_slice(bytes);
            read_map(log.copies[copy].name, log.shape, number, &whole, &mut said);
            for region in log.shape.regions_in(block) {
                after.set(region as usize, said.contains(region as usize));
            }
        }
        let mut gone: FixedBitSet = before;
        gone.difference_with(&after);
        if gone.is_clear() {
            return;
        }
        let Some(image) = self.nodes[node].iod.as_ref().and_then(|iod| iod.tables().get(&name.0))
        else {
            return;
        };
        let image = Arc::clone(&image.image);
        let Some(record) = image.group.volumes.get(&name.1) else { return };
        if record.needs_sync() && !record.by_map {
            return;
        }
        let volume = (name.0.clone(), record.common.rid);
        let others = (0..self.nodes.len()).map(|node| map_of(self.nodes[node].id.get()));
        for other in
            others.chain([RECOVERY_MAP]).filter(|other| *other != number).collect::<Vec<_>>()
        {
            let Some(marks) = self.marks(node, &map, log, copy, other) else { return };
            gone.difference_with(&marks);
        }
        let mut wrong = None;
        for sector in self.data.written(&volume) {
            let region = sector / log.shape.region;
            if usize::try_from(region).is_ok_and(|region| gone.contains(region)) {
                let (read, _) = self.copies_of(&image.group, &map, sector);
                if read.len() > 1 {
                    wrong = Some((sector, read));
                }
            }
        }
        if let Some((sector, read)) = wrong {
            self.fault("cv9-unmarked", || {
                format!("node {node}: a mark of {name:?} goes, and sector {sector} holds {read:?}")
            });
        }
    }

    /// CV12: what is read for a program is of a plex that counts in the newest configuration in force.
    pub(super) fn check_current(&mut self, node: usize, flight: &Flight, op: &DiskOp) {
        let Some((name, plex)) = self.nodes[node].plane.read_for_program(flight, op) else {
            return;
        };
        let tables = self.nodes.iter().filter_map(|node| node.member()?.tables().get(&name.0));
        let Some(newest) = tables.max_by_key(|table| table.stamp()) else { return };
        let record = newest.image.group.plexes.get(&plex);
        if record.is_none_or(|record| record.kernel != KernelState::Enabled) {
            self.fault("cv12-stale", || format!("node {node} reads plex {plex} of {name:?}"));
        }
    }
}

//! The kernel log: what a node notes on disk without changing the configuration, because it cannot
//! wait for that: which volumes it writes, and which plexes were detached.
//!
//! Every node has two blocks of its own on each disk with a log, and alternates between them by
//! generation: a write that is torn on all disks at once, in a power cut, leaves what was there
//! before, with the detaches that were already acted upon.
//!
//! A note is safe when it is on half of the active copies of the log
//! ([`CopyList::is_written`](super::CopyList::is_written)); an import needs more than half of them.

use std::collections::BTreeMap;

use bytes::BufMut;
use llt::{Id, NodeId};

use super::block::{BlockError, BlockKind, PAYLOAD_MAX, Place, open, seal};
use super::codec::{FormatError, ID_LEN, Put, Reader, check_counters, flags};
use super::geometry::COPIES;
use crate::model::{Rid, Stamp, UniqueId};

/// Volumes that one node can have open for writing, in one group.
pub const KLOG_VOLUMES_MAX: usize = 256;

/// Detaches that one node can have noted and vxconfigd not yet put into the configuration.
pub const KLOG_DETACHES_MAX: usize = 64;

/// What one node has noted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Klog {
    /// Which node, in which life.
    pub writer: Id,
    /// The group that it is about. One of another group was there before.
    pub group: UniqueId,
    /// The configuration in force when it was written.
    pub stamp: Stamp,
    /// Rises with each write; a new life of a node counts on.
    pub generation: u64,
    /// What the node does to volumes; one that it does not write is not listed.
    pub volumes: BTreeMap<Rid, VolumeFlags>,
    /// Plexes that were detached, each with the stamp of its detach: a configuration with that or a
    /// higher one knows of it. So nothing without the detach may be written with such a stamp.
    pub detached: BTreeMap<Rid, Stamp>,
}

/// A volume in a [`Klog`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct VolumeFlags {
    /// Its plexes may differ if the node dies.
    pub dirty: bool,
    /// Its dirty region log says where; without it everything has to be copied.
    pub drl: bool,
}

/// Why a kernel log cannot be written. Nothing was.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KlogError {
    /// A counter is out of range.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// More volumes or more detaches than fit.
    #[error("Kernel log full")]
    Full,
}

/// What was found where the kernel log of one node is, on one disk.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FoundKlog {
    /// The one that counts.
    pub newest: Option<Klog>,
    /// How many blocks were unreadable or damaged.
    pub damaged: usize,
}

impl Klog {
    /// Which of the node's two blocks this generation is written to.
    pub const fn copy(&self) -> usize {
        if self.generation.is_multiple_of(2) { 0 } else { 1 }
    }

    /// Its block.
    pub fn encode(&self) -> Result<Vec<u8>, KlogError> {
        if self.volumes.len() > KLOG_VOLUMES_MAX || self.detached.len() > KLOG_DETACHES_MAX {
            return Err(KlogError::Full);
        }
        let Stamp { epoch, tid } = self.stamp;
        check_counters(&[self.generation, epoch.0, tid.0])?;
        let count = |count| u16::try_from(count).map_err(|_| KlogError::Full);
        let mut payload = Vec::with_capacity(PAYLOAD_MAX);
        payload.put_u8(self.writer.node.get());
        payload.put_u8(0);
        payload.put_u16_le(count(self.volumes.len())?);
        payload.put_u16_le(count(self.detached.len())?);
        payload.put_u16_le(0);
        payload.put_u64_le(self.writer.incarnation.0);
        payload.put_u64_le(self.generation);
        payload.put_stamp(self.stamp);
        payload.put_unique_id(&self.group);
        for (volume, flags) in &self.volumes {
            payload.put_u64_le(volume.0);
            payload.put_u8(u8::from(flags.dirty) | u8::from(flags.drl) << 1);
        }
        for (plex, stamp) in &self.detached {
            check_counters(&[stamp.epoch.0, stamp.tid.0])?;
            payload.put_u64_le(plex.0);
            payload.put_stamp(*stamp);
        }
        Ok(seal(BlockKind::Log, place(self.writer.node, self.copy()), &payload))
    }

    /// What a block of a node holds, the first (0) or the second (1).
    pub fn decode(node: NodeId, copy: usize, block: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(open(BlockKind::Log, place(node, copy), block)?);
        if reader.node()? != node {
            return Err(FormatError::Field("the node that the block belongs to"));
        }
        reader.zeros(1)?;
        let (volumes, detached) = (usize::from(reader.u16()?), usize::from(reader.u16()?));
        if volumes > KLOG_VOLUMES_MAX || detached > KLOG_DETACHES_MAX {
            return Err(FormatError::Field("a kernel log that fits its block"));
        }
        reader.zeros(2)?;
        let mut log = Self {
            writer: Id { node, incarnation: reader.incarnation()? },
            generation: reader.counter()?,
            stamp: reader.stamp()?,
            group: reader.unique_id()?,
            volumes: BTreeMap::new(),
            detached: BTreeMap::new(),
        };
        for _ in 0..volumes {
            let rid = next_rid(&mut reader, log.volumes.last_key_value())?;
            let flag = flags(reader.u8()?, 2)?;
            log.volumes.insert(rid, VolumeFlags { dirty: flag(0), drl: flag(1) });
        }
        for _ in 0..detached {
            let rid = next_rid(&mut reader, log.detached.last_key_value())?;
            log.detached.insert(rid, reader.stamp()?);
        }
        reader.end()?;
        if log.copy() == copy {
            Ok(log)
        } else {
            Err(FormatError::Field("the block that the generation belongs to"))
        }
    }

    /// What counts of a node's two blocks on one disk; `None` is one that cannot be read.
    pub fn read(node: NodeId, group: &UniqueId, blocks: [Option<&[u8]>; COPIES]) -> FoundKlog {
        let mut found = FoundKlog::default();
        for (copy, block) in blocks.into_iter().enumerate() {
            match block.map(|block| Self::decode(node, copy, block)) {
                Some(Ok(log)) if log.group == *group => {
                    if found.newest.as_ref().is_none_or(|newest| newest.order() < log.order()) {
                        found.newest = Some(log);
                    }
                }
                Some(Ok(_)) | Some(Err(FormatError::Block(BlockError::Blank))) => {}
                Some(Err(_)) | None => found.damaged += 1,
            }
        }
        found
    }

    /// What orders the logs of one node, on all disks.
    const fn order(&self) -> (u64, u64) {
        (self.writer.incarnation.0, self.generation)
    }
}

/// What the logs of all nodes say beyond the configuration, to be done when a group is imported.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Pending {
    /// Plexes that were detached, and the configuration does not know it.
    pub detached: BTreeMap<Rid, Stamp>,
    /// Volumes that somebody was writing, and who.
    pub volumes: BTreeMap<Rid, BTreeMap<NodeId, VolumeFlags>>,
}

impl Pending {
    /// From the logs of all nodes on all disks: the newest of each node counts. Detaches up to
    /// `image` are in the configuration already.
    pub fn collect<'a>(logs: impl IntoIterator<Item = &'a Klog>, image: Stamp) -> Self {
        let mut newest: BTreeMap<NodeId, &Klog> = BTreeMap::new();
        for log in logs {
            let kept = newest.entry(log.writer.node).or_insert(log);
            if kept.order() < log.order() {
                *kept = log;
            }
        }
        let mut pending = Self::default();
        for (node, log) in newest {
            for (volume, flags) in &log.volumes {
                pending.volumes.entry(*volume).or_default().insert(node, *flags);
            }
            for (plex, stamp) in log.detached.iter().filter(|(_, stamp)| **stamp > image) {
                let kept = pending.detached.entry(*plex).or_default();
                *kept = (*kept).max(*stamp);
            }
        }
        pending
    }
}

/// Rids rise, so that there is one way to write a log.
fn next_rid<T>(reader: &mut Reader<'_>, last: Option<(&Rid, &T)>) -> Result<Rid, FormatError> {
    let rid = Rid(reader.u64()?);
    match last {
        Some((last, _)) if *last >= rid => Err(FormatError::Field("records in order")),
        Some(_) | None => Ok(rid),
    }
}

fn place(node: NodeId, copy: usize) -> Place {
    let copy = u32::from(copy != 0);
    Place { slot: 0, number: 2 * u32::from(node.get()) + copy }
}

const FIXED: usize = 8 + 4 * 8 + ID_LEN;
const _: () = assert!(FIXED + KLOG_VOLUMES_MAX * 9 + KLOG_DETACHES_MAX * 24 <= PAYLOAD_MAX);

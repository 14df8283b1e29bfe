//! Dirty region logs (facts 2.3, 2.5): which regions of a volume may differ between its copies.
//!
//! ```text
//! log:  recovery map | fill map | map of node 0 | changes of node 0 | map of node 1 | ...
//!       (of a private group: recovery map | fill map | map of its host | changes of its host)
//! map:  a block for each 2 GB of the volume
//! ```
//! Block of 512 bytes, little endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0 to 3 | `MDRS` in a shared group, `MDRP` in a private one |
//! | 4 to 7 | crc32c of all that follows |
//! | 8 to 9 | version, 3 |
//! | 10 to 11 | number of the map: 0 is for recovery, 1 says what is filled, 2 + twice a node's id is that node's, the one after that has its changes |
//! | 12 to 15 | number of the block in its map |
//! | 16 to 19 | blocks of a map |
//! | 20 to 23 | sectors of a region |
//! | 24 to 27 | crc32c of the id of the group |
//! | 28 to 31 | in maps of changes, the number of the changes; else 0 |
//! | 32 to 39 | rid of the volume |
//! | 40 to 47 | rid of the subdisk that the log lies on |
//! | 48 to 255 | 0 |
//! | 256 to 511 | a bit for each region, the lowest of a byte first: 1 is dirty |
//!
//! A block that is not as it should be means that any of its regions may be dirty: that costs time, and
//! loses nothing. A map of changes with another number has none of those that are asked for. In the fill map 1
//! is filled: there a block that is not as it should be says nothing at all.

use std::ops::Range;

use fixedbitset::FixedBitSet;

use crate::model::{Rid, Sectors, UniqueId};

/// Bytes of a block, which is a sector.
pub const DRL_BLOCK: usize = 512;

/// Sectors of a region.
pub const DRL_REGION: Sectors = 2048;

/// Regions of a block.
const DRL_BITS: u32 = 2048;

/// The map that what is to be made equal is collected in.
pub const RECOVERY_MAP: u16 = 0;

/// The map of regions that are filled with what another volume holds.
pub const FILL_MAP: u16 = 1;

/// The map of the host of a private group.
pub const HOST_MAP: u16 = 2;

/// The map of a node in a shared group.
pub const fn map_of(node: u8) -> u16 {
    2 + 2 * node as u16
}

/// The map that whoever writes this one notes changes in.
pub const fn changes_of(map: u16) -> u16 {
    map.saturating_add(1)
}

/// Which map, and what it is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DrlMap {
    /// Its number in the log.
    pub number: u16,
    /// Of a map of changes, the number of those; else 0.
    pub changes: u32,
}

impl From<u16> for DrlMap {
    fn from(number: u16) -> Self {
        Self { number, changes: 0 }
    }
}

/// What tells a log from every other one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DrlName {
    is_shared: bool,
    group: u32,
    volume: Rid,
    log: Rid,
}

impl DrlName {
    /// The log of a volume on one subdisk.
    pub fn new(group: &UniqueId, is_shared: bool, volume: Rid, log: Rid) -> Self {
        Self { is_shared, group: crc32c::crc32c(group.to_string().as_bytes()), volume, log }
    }
}

/// How a log is divided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DrlShape {
    /// Sectors of a region.
    pub region: Sectors,
    /// Regions of the volume.
    pub regions: u32,
    /// Blocks of a map.
    pub blocks: u32,
}

impl DrlShape {
    /// Of the log of a volume of this length; longer than 8 EB there are none.
    pub fn new(volume: Sectors) -> Self {
        let regions = u32::try_from(volume.div_ceil(DRL_REGION)).unwrap_or(u32::MAX);
        Self { region: DRL_REGION, regions, blocks: regions.div_ceil(DRL_BITS).max(1) }
    }

    /// How many maps fit into a log of this length.
    pub fn maps(&self, log: Sectors) -> u16 {
        u16::try_from(log / u64::from(self.blocks)).unwrap_or(u16::MAX)
    }

    /// Where a map begins in the log.
    pub fn at(&self, map: u16) -> Sectors {
        u64::from(self.blocks) * u64::from(map)
    }

    /// The regions that a range of the volume lies in.
    pub fn regions_of(&self, at: Sectors, len: Sectors) -> Range<u32> {
        if len == 0 {
            return 0..0;
        }
        let region = |sector: Sectors| u32::try_from(sector / self.region).unwrap_or(u32::MAX);
        region(at)..region(at.saturating_add(len - 1)).saturating_add(1)
    }

    /// The block of a map that a region is in.
    pub const fn block_of(&self, region: u32) -> u32 {
        region / DRL_BITS
    }

    /// The regions that a block is about.
    pub fn regions_in(&self, block: u32) -> Range<u32> {
        let first = block.saturating_mul(DRL_BITS);
        first..first.saturating_add(DRL_BITS).min(self.regions.max(first))
    }
}

/// A block of a map in which these regions are dirty; those of other blocks are passed over.
pub fn encode_block(
    name: DrlName,
    shape: DrlShape,
    map: impl Into<DrlMap>,
    block: u32,
    dirty: impl Iterator<Item = u32>,
) -> [u8; DRL_BLOCK] {
    let mut bytes = [0; DRL_BLOCK];
    put_header(&mut bytes, name, shape, map.into(), block);
    let regions = shape.regions_in(block);
    for region in dirty.filter(|region| regions.contains(region)) {
        let bit = (region - regions.start) as usize;
        bytes[BITS_AT + bit / 8] |= 1 << (bit % 8);
    }
    let sum = crc32c::crc32c(&bytes[CRC_END..]);
    bytes[CRC_AT..CRC_END].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn put_header(
    bytes: &mut [u8; DRL_BLOCK],
    name: DrlName,
    shape: DrlShape,
    map: DrlMap,
    block: u32,
) {
    let DrlName { is_shared, group, volume, log } = name;
    bytes[..CRC_AT].copy_from_slice(if is_shared { b"MDRS" } else { b"MDRP" });
    bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
    bytes[10..12].copy_from_slice(&map.number.to_le_bytes());
    bytes[12..16].copy_from_slice(&block.to_le_bytes());
    bytes[16..20].copy_from_slice(&shape.blocks.to_le_bytes());
    let region = u32::try_from(shape.region).unwrap_or(u32::MAX);
    bytes[20..24].copy_from_slice(&region.to_le_bytes());
    bytes[24..28].copy_from_slice(&group.to_le_bytes());
    bytes[CHANGES_AT].copy_from_slice(&map.changes.to_le_bytes());
    bytes[32..40].copy_from_slice(&volume.0.to_le_bytes());
    bytes[40..48].copy_from_slice(&log.0.to_le_bytes());
}

/// Adds the dirty regions of a map, as it was read from a disk; how many of its blocks say nothing,
/// so that all their regions count as dirty.
pub fn read_map(
    name: DrlName,
    shape: DrlShape,
    map: impl Into<DrlMap>,
    bytes: &[u8],
    dirty: &mut FixedBitSet,
) -> u32 {
    let map = map.into();
    dirty.grow(shape.regions as usize);
    let mut blocks = bytes.chunks(DRL_BLOCK);
    let mut bad = 0;
    for number in 0..shape.blocks {
        let regions = shape.regions_in(number);
        let block = blocks.next().and_then(|block| <&[u8; DRL_BLOCK]>::try_from(block).ok());
        let Some(block) = block.filter(|block| is_whole(block, name, shape, map, number)) else {
            bad += 1;
            dirty.insert_range(regions.start as usize..regions.end as usize);
            continue;
        };
        if changes(block) != map.changes {
            continue;
        }
        for (bit, region) in regions.enumerate() {
            if block[BITS_AT + bit / 8] & (1 << (bit % 8)) != 0 {
                dirty.insert(region as usize);
            }
        }
    }
    bad
}

fn is_whole(
    block: &[u8; DRL_BLOCK],
    name: DrlName,
    shape: DrlShape,
    map: DrlMap,
    number: u32,
) -> bool {
    let mut header = [0; DRL_BLOCK];
    // Of changes that nobody asks for the block may be as whole.
    let map = if map.changes == 0 { map } else { DrlMap { changes: changes(block), ..map } };
    put_header(&mut header, name, shape, map, number);
    let sum = crc32c::crc32c(&block[CRC_END..]).to_le_bytes();
    block[..CRC_AT] == header[..CRC_AT]
        && block[CRC_AT..CRC_END] == sum
        && block[CRC_END..BITS_AT] == header[CRC_END..BITS_AT]
}

fn changes(block: &[u8; DRL_BLOCK]) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&block[CHANGES_AT]);
    u32::from_le_bytes(number)
}

const VERSION: u16 = 3;
const CHANGES_AT: Range<usize> = 28..32;
const CRC_AT: usize = 4;
const CRC_END: usize = 8;
const BITS_AT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn name(is_shared: bool) -> DrlName {
        DrlName::new(&UniqueId::new(1, 2, "host"), is_shared, Rid(0x0102), Rid(7))
    }

    /// 5 GB: three blocks, the last of them half used.
    fn shape() -> DrlShape {
        DrlShape::new((5 << 21) - 1)
    }

    fn map(dirty: &[u32]) -> Vec<u8> {
        let blocks = 0..shape().blocks;
        blocks
            .flat_map(|block| encode_block(name(true), shape(), 3, block, dirty.iter().copied()))
            .collect()
    }

    fn read(bytes: &[u8], name: DrlName, map: u16) -> (u32, Vec<usize>) {
        let mut dirty = FixedBitSet::new();
        let bad = read_map(name, shape(), map, bytes, &mut dirty);
        (bad, dirty.ones().collect())
    }

    #[test]
    fn a_log_is_divided_as_the_facts_say() {
        // Facts 2.5: for 4 GB and 4 nodes 10 blocks, 8 more for their changes, and 2 for what is filled.
        let shape = DrlShape::new(4 << 21);
        assert_eq!((shape.blocks, shape.at(map_of(3)), shape.at(RECOVERY_MAP)), (2, 16, 0));
        assert_eq!((shape.maps(10), shape.maps(9), shape.maps(1)), (5, 4, 0));
        assert_eq!(DrlShape::new(1).blocks, 1);
        let shape = DrlShape::new((4 << 21) + 1);
        assert_eq!((shape.regions, shape.blocks), (4097, 3));
        assert_eq!(shape.regions_in(2), 4096..4097);
        assert_eq!(shape.regions_of(2047, 2), 0..2);
        assert_eq!((shape.regions_of(2048, 2048), shape.regions_of(9, 0)), (1..2, 0..0));
    }

    #[test]
    fn a_block_is_drawn_in_ondisk_md() {
        let block = encode_block(name(true), shape(), 3, 1, [2048, 2057, 4095, 4096].into_iter());
        assert_eq!(&block[..4], b"MDRS");
        assert_eq!(block[4..8], crc32c::crc32c(&block[8..]).to_le_bytes());
        assert_eq!(block[8..24], [3, 0, 3, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0, 8, 0, 0]);
        assert_eq!(block[24..28], crc32c::crc32c(b"1.2.host").to_le_bytes());
        assert_eq!(block[32..48], [2, 1, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
        let bits: Vec<(usize, u8)> =
            block[48..].iter().copied().enumerate().filter(|(_, byte)| *byte != 0).collect();
        assert_eq!(bits, [(208, 1), (209, 2), (463, 0x80)]);
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(read(&map(&[]), name(true), 3), (0, vec![]));
        assert_eq!(
            read(&map(&[0, 2047, 2048, 5119]), name(true), 3),
            (0, vec![0, 2047, 2048, 5119])
        );
    }

    #[test]
    fn changes_of_another_number_are_none() {
        let block = |number, changes| {
            encode_block(
                name(true),
                DrlShape::new(1),
                DrlMap { number, changes },
                0,
                [0].into_iter(),
            )
        };
        let read = |bytes: &[u8], changes| {
            let mut dirty = FixedBitSet::new();
            let map = DrlMap { number: 4, changes };
            let bad = read_map(name(true), DrlShape::new(1), map, bytes, &mut dirty);
            (bad, dirty.count_ones(..))
        };
        assert_eq!(block(4, 0x0203)[28..32], [3, 2, 0, 0]);
        assert_eq!(read(&block(4, 7), 7), (0, 1));
        for other in [0, 6, 8] {
            assert_eq!(read(&block(4, other), 7), (0, 0), "{other}");
        }
        assert_eq!(read(&block(3, 7), 7), (1, 1), "another map");
        assert_eq!(read(&block(4, 7), 0), (1, 1), "no map of changes is asked for");
        let mut damaged = block(4, 6);
        damaged[29] ^= 1;
        assert_eq!(read(&damaged, 7), (1, 1));
    }

    #[test]
    fn a_block_that_is_damaged_or_foreign_is_dirty_all_over() {
        let good = map(&[1]);
        let all = |range: Range<usize>| range.collect::<Vec<usize>>();
        for byte in [0, 4, 8, 10, 12, 16, 20, 24, 28, 32, 40, 48, 255, 256, 511] {
            let mut wrong = good.clone();
            wrong[512 + byte] ^= 1;
            let dirty: Vec<usize> = [1].into_iter().chain(2048..4096).collect();
            assert_eq!(read(&wrong, name(true), 3), (1, dirty), "{byte}");
        }
        assert_eq!(read(&good, name(false), 3), (3, all(0..5120)), "of a private group");
        assert_eq!(read(&good, name(true), 2), (3, all(0..5120)), "of another node");
        assert_eq!(read(&[0; 1536], name(true), 3), (3, all(0..5120)), "never written");
        assert_eq!(read(&good[..1000], name(true), 3).0, 2, "cut off");
        // Another length of the volume, though the checksums are right.
        let mut dirty = FixedBitSet::new();
        assert_eq!(read_map(name(true), DrlShape::new(100), 3, &good, &mut dirty), 1);
    }
}

//! Where everything lies on a disk.
//!
//! ```text
//! sector 0          128                                            128 + privlen
//! | not ours        | private region                               | public region ...
//!                   | block 0: label, 1: claims, 4: kernel log, 260: lock region,
//!                   |       388: claims again, 391: label again, 392: three slots for images
//! ```
//! Both labels are in fixed places, so that the second one is found without the first. Everything
//! else is where the label says.

use llt::NodeId;
use llt::limits::NODES_MAX;

use super::block::BLOCK_SECTORS;
use super::regions::{Blocks, DefinedRegion, Extent, RegionKind};
use super::slot::{SLOTS, Slot};
use crate::model::Sectors;
use crate::model::limits::ALIGNMENT;
use crate::model::size::{LENGTH_MAX, SECTOR, round_down, round_up};

/// Where the private region begins. What is before belongs to partition tables and boot loaders.
pub const PRIVATE_OFFSET: Sectors = 128;

/// Length of a private region if nobody says otherwise: 32 MiB, as in the original since 5.0.
pub const PRIVATE_LEN_DEFAULT: Sectors = 65_536;

/// The shortest private region: 2 MiB. The kernel log of 128 nodes takes one of them.
pub const PRIVATE_LEN_MIN: Sectors = 4096;

/// The longest: 1 GiB. An image is held in memory as a whole.
pub const PRIVATE_LEN_MAX: Sectors = 1 << 21;

/// Copies of each label and each claim.
pub const COPIES: usize = 2;

/// Byte offsets on the disk of the blocks where a label can be.
pub const LABELS_AT: [u64; COPIES] = [byte_of(LABELS[0]), byte_of(LABELS[1])];

/// How many regions a private region has.
pub(super) const REGIONS: usize = 7;

/// The layout of one disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Geometry {
    private: Extent,
    public: Extent,
    claims: [u32; COPIES],
    log: u32,
    lock: Blocks,
    config: Blocks,
}

/// Why a disk cannot have the layout that was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum GeometryError {
    /// Nothing would be left for the public region.
    #[error("the disk has {len} sectors, and at least {least} are needed")]
    DiskTooShort {
        /// Its length.
        len: Sectors,
        /// With the shortest public region.
        least: Sectors,
    },
    /// The private region is too short or too long.
    #[error(
        "a private region of {len} sectors: it has {PRIVATE_LEN_MIN} to {PRIVATE_LEN_MAX} of them"
    )]
    PrivateLength {
        /// What was asked for.
        len: Sectors,
    },
    /// A layout that a label describes is none: parts overlap or reach beyond their end.
    #[error("the regions of the disk do not go together")]
    Table,
}

impl Geometry {
    /// The layout of a disk of `disk_len` sectors; `private_len` is rounded up to 8 KiB, so that the
    /// public region is aligned.
    pub fn new(disk_len: Sectors, private_len: Sectors) -> Result<Self, GeometryError> {
        if !(PRIVATE_LEN_MIN..=PRIVATE_LEN_MAX).contains(&private_len) {
            return Err(GeometryError::PrivateLength { len: private_len });
        }
        let private = Extent { offset: PRIVATE_OFFSET, len: round_up(private_len, ALIGNMENT) };
        let offset = private.offset + private.len;
        let len = round_down(disk_len.min(LENGTH_MAX).saturating_sub(offset), ALIGNMENT);
        if len == 0 {
            return Err(GeometryError::DiskTooShort { len: disk_len, least: offset + ALIGNMENT });
        }
        let blocks = u32::try_from(private.len / BLOCK_SECTORS).expect("less than PRIVATE_LEN_MAX");
        let config = blocks - CONFIG;
        Ok(Self {
            private,
            public: Extent { offset, len },
            claims: [LABELS[0] + 1, LOCK.first + LOCK.len],
            log: LOG,
            lock: LOCK,
            config: Blocks { first: CONFIG, len: config - config % SLOTS_U32 },
        })
    }

    /// The private region.
    pub const fn private(&self) -> Extent {
        self.private
    }

    /// The public region.
    pub const fn public(&self) -> Extent {
        self.public
    }

    /// Blocks of a slot: no image may be longer.
    pub const fn slot_blocks(&self) -> u32 {
        self.config.len / SLOTS_U32
    }

    /// Byte offset on the disk of a slot for images.
    pub fn image_at(&self, slot: Slot) -> u64 {
        byte_of(self.config.first + self.slot_blocks() * u32::from(slot.get()))
    }

    /// Byte offsets on the disk of both copies of a claim. The second one is written when the first
    /// one is safe.
    pub fn claim_at(&self, slot: Slot) -> [u64; COPIES] {
        self.claims.map(|first| byte_of(first + u32::from(slot.get())))
    }

    /// Byte offsets on the disk of the two blocks that a node's kernel log alternates between; that
    /// of a generation is the one at the index `generation % 2`.
    pub fn log_at(&self, node: NodeId) -> [u64; COPIES] {
        let first = self.log + 2 * u32::from(node.get());
        [byte_of(first), byte_of(first + 1)]
    }

    /// Where the labels are in the private region, `headers:` of `vxdisk list`.
    pub fn headers(&self) -> [Sectors; COPIES] {
        LABELS.map(sectors)
    }

    /// Length of the configuration copy with all its slots, `configs:` of `vxdisk list`.
    pub fn config_len(&self) -> Sectors {
        sectors(self.config.len)
    }

    /// Length of the kernel log, `logs:` of `vxdisk list`.
    pub fn log_len(&self) -> Sectors {
        sectors(LOG_BLOCKS)
    }

    /// The lines of "Defined regions" of `vxdisk list`.
    pub fn defined_regions(&self) -> [DefinedRegion; 3] {
        let region = |kind, blocks: Blocks| DefinedRegion {
            kind,
            offset: sectors(blocks.first),
            len: sectors(blocks.len),
        };
        [
            region(RegionKind::Config, self.config),
            region(RegionKind::Log, Blocks { first: self.log, len: LOG_BLOCKS }),
            region(RegionKind::Lock, self.lock),
        ]
    }

    /// All regions in the order in which they lie.
    pub(super) fn table(&self) -> [(RegionKind, Blocks); REGIONS] {
        let claim = |first| Blocks { first, len: SLOTS_U32 };
        let [label, other] = LABELS.map(|first| Blocks { first, len: 1 });
        [
            (RegionKind::Label, label),
            (RegionKind::Claim, claim(self.claims[0])),
            (RegionKind::Log, Blocks { first: self.log, len: LOG_BLOCKS }),
            (RegionKind::Lock, self.lock),
            (RegionKind::Claim, claim(self.claims[1])),
            (RegionKind::Label, other),
            (RegionKind::Config, self.config),
        ]
    }

    /// The layout that a label describes.
    pub(super) fn from_table(
        private: Extent,
        public: Extent,
        table: &[(RegionKind, Blocks); REGIONS],
    ) -> Result<Self, GeometryError> {
        let [_, (_, claims), (_, log), (_, lock), (_, others), _, (_, config)] = *table;
        let claims = [claims.first, others.first];
        let geometry = Self { private, public, claims, log: log.first, lock, config };
        if geometry.is_whole() && geometry.table() == *table {
            Ok(geometry)
        } else {
            Err(GeometryError::Table)
        }
    }

    /// Nothing overlaps, and everything has the length that it needs.
    fn is_whole(&self) -> bool {
        let mut end = 0;
        let apart = self.table().into_iter().all(|(_, blocks)| {
            let behind = u64::from(blocks.first) >= end;
            end = u64::from(blocks.first) + u64::from(blocks.len);
            behind
        });
        let aligned = [self.private, self.public].iter().all(|extent| {
            extent.offset.is_multiple_of(ALIGNMENT) && extent.len.is_multiple_of(ALIGNMENT)
        });
        apart
            && aligned
            && end * BLOCK_SECTORS <= self.private.len
            && self.config.len >= SLOTS_U32
            && self.config.len.is_multiple_of(SLOTS_U32)
            && self.private.offset == PRIVATE_OFFSET
            && self.private.len <= PRIVATE_LEN_MAX
            && self.public.offset >= PRIVATE_OFFSET + self.private.len
            && self.public.len > 0
            && self.public.len <= LENGTH_MAX
            && self.public.offset <= LENGTH_MAX - self.public.len
    }
}

/// Byte offset on the disk of a block of the private region.
const fn byte_of(block: u32) -> u64 {
    (PRIVATE_OFFSET + block as u64 * BLOCK_SECTORS) * SECTOR
}

fn sectors(blocks: u32) -> Sectors {
    u64::from(blocks) * BLOCK_SECTORS
}

/// Blocks of the private region.
const LABELS: [u32; COPIES] = [0, LOCK.first + LOCK.len + SLOTS_U32];
const LOG: u32 = 1 + SLOTS_U32;
/// Two for each node.
const LOG_BLOCKS: u32 = 2 * NODES_MAX as u32;
/// One for each node.
const LOCK: Blocks = Blocks { first: LOG + LOG_BLOCKS, len: NODES_MAX as u32 };
const CONFIG: u32 = LABELS[1] + 1;
const SLOTS_U32: u32 = 3;
const _: () = assert!(SLOTS == SLOTS_U32 as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_of_1_gib_with_a_private_region_of_32_mib() {
        let geometry = Geometry::new(1 << 21, PRIVATE_LEN_DEFAULT).unwrap();
        assert_eq!(geometry.private(), Extent { offset: 128, len: 65_536 });
        assert_eq!(geometry.public(), Extent { offset: 65_664, len: 2_031_488 });
        assert_eq!(geometry.headers(), [0, 3128]);
        assert_eq!((geometry.config_len(), geometry.log_len()), (62_400, 2048));
        // 10 MiB and more, as `RECORDS_MAX` expects.
        assert_eq!(geometry.slot_blocks(), 2600);
        let lines: Vec<_> = geometry.defined_regions().iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "config   priv 003136-065535[062400]: copy=01 offset=000000",
                "log      priv 000032-002079[002048]: copy=01 offset=000000",
                "lockrgn  priv 002080-003103[001024]: part=00 offset=000000",
            ]
        );
    }

    #[test]
    fn everything_has_its_byte() {
        assert_eq!(LABELS_AT, [0x1_0000, 0x19_7000]);
        let geometry = Geometry::new(1 << 21, PRIVATE_LEN_DEFAULT).unwrap();
        let [first, second, last] = Slot::ALL;
        assert_eq!(geometry.claim_at(first), [0x1_1000, 0x19_4000]);
        assert_eq!(geometry.claim_at(last), [0x1_3000, 0x19_6000]);
        assert_eq!(geometry.log_at(NodeId::ZERO), [0x1_4000, 0x1_5000]);
        let node = NodeId::new(127).unwrap();
        assert_eq!(geometry.log_at(node), [0x11_2000, 0x11_3000]);
        assert_eq!(geometry.image_at(first), 0x19_8000);
        assert_eq!(geometry.image_at(second), 0x19_8000 + 2600 * 4096);
        let end = geometry.image_at(last) + u64::from(geometry.slot_blocks()) * 4096;
        assert_eq!(end, geometry.public().offset * SECTOR);
    }

    #[test]
    fn what_is_too_short_is_refused() {
        for wrong in [0, 2048, PRIVATE_LEN_MIN - 1, PRIVATE_LEN_MAX + 1, u64::MAX] {
            let error = GeometryError::PrivateLength { len: wrong };
            assert_eq!(Geometry::new(u64::MAX, wrong), Err(error));
        }
        let least = PRIVATE_OFFSET + PRIVATE_LEN_MIN + ALIGNMENT;
        let smallest = Geometry::new(least, PRIVATE_LEN_MIN).unwrap();
        assert_eq!((smallest.slot_blocks(), smallest.public().len), (40, ALIGNMENT));
        let error = GeometryError::DiskTooShort { len: least - 1, least };
        assert_eq!(Geometry::new(least - 1, PRIVATE_LEN_MIN), Err(error));
        assert_eq!(Geometry::new(0, PRIVATE_LEN_MIN).unwrap_err().to_string(), {
            "the disk has 0 sectors, and at least 4240 are needed"
        });
    }

    #[test]
    fn odd_lengths_are_rounded() {
        let geometry = Geometry::new(100_001, 5001).unwrap();
        assert_eq!(geometry.private().len, 5008);
        assert_eq!(geometry.public(), Extent { offset: 5136, len: 94_864 });
        assert_eq!(geometry.slot_blocks(), (626 - 392) / 3);
        Geometry::new(u64::MAX, PRIVATE_LEN_MAX).unwrap();
    }

    #[test]
    fn a_table_is_what_it_was_made_from() {
        let geometry = Geometry::new(1 << 21, PRIVATE_LEN_DEFAULT).unwrap();
        let (private, public, table) = (geometry.private(), geometry.public(), geometry.table());
        assert_eq!(Geometry::from_table(private, public, &table), Ok(geometry));
        for (region, first, len) in [
            (0, 1, 1),           // a label elsewhere
            (1, 0, 3),           // over the label
            (2, 5, 256),         // over the lock region
            (2, 4, 255),         // too short
            (4, 389, 3),         // over the label
            (6, 391, 7800),      // likewise
            (6, 392, 7803),      // too long
            (6, 392, 7799),      // slots of different lengths
            (6, 392, 0),         // no slot
            (6, u32::MAX, 7800), // out of the world
        ] {
            let mut wrong = table;
            wrong[region].1 = Blocks { first, len };
            let made = Geometry::from_table(private, public, &wrong);
            assert_eq!(made, Err(GeometryError::Table), "{region} {first} {len}");
        }
        for wrong in [
            Extent { offset: 65_648, ..public },
            Extent { offset: 65_665, ..public },
            Extent { len: 0, ..public },
            Extent { len: LENGTH_MAX, ..public },
        ] {
            assert_eq!(Geometry::from_table(private, wrong, &table), Err(GeometryError::Table));
        }
    }
}

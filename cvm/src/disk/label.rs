//! The label: what `vxdisksetup` writes once, and nobody changes afterwards.
//!
//! It says which disk this is and where its regions are. There are two copies in fixed places
//! ([`LABELS_AT`](super::LABELS_AT)); the first one that can be read counts. `vxdisksetup` writes the
//! first, waits until it is safe, then the second: a disk that is initialised again has its old label
//! until the first copy is there as a whole, and its new one from then on.

use bytes::BufMut;

use super::block::{BlockKind, PAYLOAD_MAX, Place, open, seal};
use super::codec::{FormatError, Put, Reader, check_counters};
use super::geometry::{COPIES, Geometry, REGIONS};
use super::regions::{Blocks, Extent, RegionKind};
use crate::model::UniqueId;

/// What a disk is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Label {
    /// Its identity.
    pub disk: UniqueId,
    /// When it was initialised, in seconds since 1970.
    pub created: u64,
    /// The length of its sectors when it was initialised, in bytes; for listings only.
    pub sector_size: u32,
    /// Where everything is.
    pub geometry: Geometry,
}

/// What was found where labels are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FoundLabel {
    /// The label of the disk.
    pub label: Label,
    /// Copies that are not this label: unreadable, damaged or of before. They are written anew when
    /// the disk is next imported.
    pub wrong: [bool; COPIES],
}

impl Label {
    /// The version of the whole format. It changes when an older reader would go wrong.
    pub const VERSION: u16 = 1;

    /// The blocks of both copies, in the order in which they are written.
    pub fn encode(&self) -> Result<[Vec<u8>; COPIES], FormatError> {
        check_counters(&[self.created])?;
        let mut payload = Vec::with_capacity(PAYLOAD_MAX);
        let table = self.geometry.table();
        payload.put_u16_le(Self::VERSION);
        payload.put_u16_le(u16::try_from(table.len()).expect("seven regions"));
        payload.put_u32_le(self.sector_size);
        payload.put_u64_le(self.created);
        for extent in [self.geometry.private(), self.geometry.public()] {
            payload.put_u64_le(extent.offset);
            payload.put_u64_le(extent.len);
        }
        payload.put_unique_id(&self.disk);
        for (kind, blocks) in table {
            payload.extend_from_slice(&word(kind));
            payload.put_u32_le(blocks.first);
            payload.put_u32_le(blocks.len);
        }
        Ok(PLACES.map(|place| seal(BlockKind::Label, place, &payload)))
    }

    /// One copy, 0 or 1, from its block.
    pub fn decode(copy: u32, block: &[u8]) -> Result<Self, FormatError> {
        let mut reader =
            Reader::new(open(BlockKind::Label, Place { slot: 0, number: copy }, block)?);
        if reader.u16()? != Self::VERSION {
            return Err(FormatError::Field("another version of the format"));
        }
        if usize::from(reader.u16()?) != REGIONS {
            return Err(FormatError::Field("a label has seven regions"));
        }
        let sector_size = reader.u32()?;
        let created = reader.counter()?;
        let private = Extent { offset: reader.u64()?, len: reader.u64()? };
        let public = Extent { offset: reader.u64()?, len: reader.u64()? };
        let disk = reader.unique_id()?;
        let mut table = [(RegionKind::Label, Blocks { first: 0, len: 0 }); REGIONS];
        for (region, kind) in table.iter_mut().zip(ORDER) {
            if reader.bytes(WORD)? != word(kind) {
                return Err(FormatError::Field("the regions in the order in which they lie"));
            }
            *region = (kind, Blocks { first: reader.u32()?, len: reader.u32()? });
        }
        reader.end()?;
        let geometry = Geometry::from_table(private, public, &table)
            .map_err(|_| FormatError::Field("regions that go together"))?;
        Ok(Self { disk, created, sector_size, geometry })
    }

    /// The label of a disk from both blocks; `None` is one that cannot be read. The error is that of
    /// the copy that came further: of a disk of somebody else both have no magic number.
    pub fn find(blocks: [Option<&[u8]>; COPIES]) -> Result<FoundLabel, FormatError> {
        let [first, second] = [0, 1].map(|copy: u32| {
            let block = blocks[copy as usize];
            block.map(|block| Self::decode(copy, block))
        });
        let other =
            matches!((&first, &second), (Some(Ok(first)), Some(Ok(second))) if first != second);
        match (first, second) {
            (Some(Ok(label)), Some(Ok(_))) => Ok(FoundLabel { label, wrong: [false, other] }),
            (Some(Ok(label)), Some(Err(_)) | None) => {
                Ok(FoundLabel { label, wrong: [false, true] })
            }
            (Some(Err(_)) | None, Some(Ok(label))) => {
                Ok(FoundLabel { label, wrong: [true, false] })
            }
            (Some(Err(first)), Some(Err(second))) => {
                Err(if matches!(first, FormatError::Block(_)) { second } else { first })
            }
            (Some(Err(error)), None) | (None, Some(Err(error))) => Err(error),
            (None, None) => Err(FormatError::Field("a label that can be read")),
        }
    }

    /// How long a disk must be at least that has this label: a shorter one was cut off.
    pub const fn disk_len_min(&self) -> u64 {
        let public = self.geometry.public();
        public.offset + public.len
    }
}

fn word(kind: RegionKind) -> [u8; WORD] {
    let mut word = [0; WORD];
    let letters = kind.word().as_bytes();
    word[..letters.len()].copy_from_slice(letters);
    word
}

const WORD: usize = 8;
const PLACES: [Place; COPIES] = [Place { slot: 0, number: 0 }, Place { slot: 0, number: 1 }];
const ORDER: [RegionKind; REGIONS] = [
    RegionKind::Label,
    RegionKind::Claim,
    RegionKind::Log,
    RegionKind::Lock,
    RegionKind::Claim,
    RegionKind::Label,
    RegionKind::Config,
];

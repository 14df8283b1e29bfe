//! The envelope of every block of a private region.
//!
//! A block is read or written as a whole, at a multiple of its length: that works on disks with
//! sectors of 512 and of 4096 bytes. Its envelope tells a block that was written in part, one that
//! rotted, and one that was written to another place than it was meant for.

/// Bytes of a block.
pub const BLOCK: usize = 4096;

/// Sectors of a block.
pub const BLOCK_SECTORS: u64 = 8;

/// Bytes of a block that its envelope leaves.
pub const PAYLOAD_MAX: usize = BLOCK - HEADER;

/// What a block is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum BlockKind {
    /// A [`Claim`](super::Claim).
    Claim,
    /// A part of an [`Image`](super::Image).
    Image,
    /// A [`Label`](super::Label).
    Label,
}

impl BlockKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Claim, Self::Image, Self::Label];

    /// The first bytes of such a block.
    pub const fn magic(self) -> [u8; 4] {
        match self {
            Self::Claim => *b"MCLM",
            Self::Image => *b"MIMG",
            Self::Label => *b"MLBL",
        }
    }
}

/// Where a block belongs, among those of its kind on one disk. Nothing of it depends on how long the
/// private region is, so that an image has the same bytes on every disk.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The slot of a claim or an image, else 0.
    pub slot: u8,
    /// The copy of a label or claim, the block of an image.
    pub number: u32,
}

/// What is wrong with a block.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BlockError {
    /// It is all zeros: nothing was ever written there.
    #[error("The block is empty")]
    Blank,
    /// It was written in part, or changed afterwards.
    #[error("Invalid checksum")]
    Checksum,
    /// Its envelope has values that nobody writes.
    #[error("Invalid block header")]
    Header,
    /// So many bytes are no block.
    #[error("{0} bytes are not a block")]
    Length(usize),
    /// It is something else.
    #[error("Invalid magic number")]
    Magic,
    /// It was written for another place.
    #[error("Invalid block number")]
    Place,
}

/// A block of these contents, which [`PAYLOAD_MAX`] limits.
///
/// # Panics
/// If there is more of them than fits.
pub(super) fn seal(kind: BlockKind, place: Place, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() <= PAYLOAD_MAX, "{} bytes for one block", payload.len());
    let len = u16::try_from(payload.len()).expect("less than a block");
    let mut block = Vec::with_capacity(BLOCK);
    block.extend_from_slice(&kind.magic());
    block.extend_from_slice(&[0; 4]);
    block.extend_from_slice(&place.number.to_le_bytes());
    block.extend_from_slice(&[place.slot, 0]);
    block.extend_from_slice(&len.to_le_bytes());
    block.extend_from_slice(payload);
    block.resize(BLOCK, 0);
    let sum = crc32c::crc32c(&block[CRC_END..]);
    block[CRC_AT..CRC_END].copy_from_slice(&sum.to_le_bytes());
    block
}

/// The contents of a block that is whole, of this kind, and where it belongs.
pub(super) fn open(kind: BlockKind, place: Place, block: &[u8]) -> Result<&[u8], BlockError> {
    let whole: &[u8; BLOCK] = block.try_into().map_err(|_| BlockError::Length(block.len()))?;
    if whole[..CRC_AT] != kind.magic() {
        let blank = whole.iter().all(|byte| *byte == 0);
        return Err(if blank { BlockError::Blank } else { BlockError::Magic });
    }
    if whole[CRC_AT..CRC_END] != crc32c::crc32c(&whole[CRC_END..]).to_le_bytes() {
        return Err(BlockError::Checksum);
    }
    let [n0, n1, n2, n3, slot, zero, l0, l1] = whole[CRC_END..HEADER] else {
        return Err(BlockError::Header);
    };
    if (Place { slot, number: u32::from_le_bytes([n0, n1, n2, n3]) }) != place {
        return Err(BlockError::Place);
    }
    let len = usize::from(u16::from_le_bytes([l0, l1]));
    let contents = &whole[HEADER..];
    match contents.split_at_checked(len) {
        Some((payload, rest)) if zero == 0 && rest.iter().all(|byte| *byte == 0) => Ok(payload),
        Some(_) | None => Err(BlockError::Header),
    }
}

/// Makes the checksum of a block right, whatever is in it: a fuzzer does not find it by itself, and
/// nearly everything lies behind it. Not for anything else.
pub fn forge_checksum(block: &mut [u8]) {
    if block.len() == BLOCK {
        let sum = crc32c::crc32c(&block[CRC_END..]);
        block[CRC_AT..CRC_END].copy_from_slice(&sum.to_le_bytes());
    }
}

const CRC_AT: usize = 4;
const CRC_END: usize = 8;
const HEADER: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place = Place { slot: 2, number: 0x0102_0304 };

    #[test]
    fn a_block_is_drawn_in_ondisk_md() {
        let block = seal(BlockKind::Claim, HERE, b"abc");
        assert_eq!(block.len(), BLOCK);
        assert_eq!(&block[..4], b"MCLM");
        assert_eq!(block[4..8], crc32c::crc32c(&block[8..]).to_le_bytes());
        assert_eq!(block[8..16], [4, 3, 2, 1, 2, 0, 3, 0]);
        assert_eq!(&block[16..19], b"abc");
        assert!(block[19..].iter().all(|byte| *byte == 0));
        assert_eq!(open(BlockKind::Claim, HERE, &block), Ok(&b"abc"[..]));
    }

    #[test]
    fn a_block_says_what_is_wrong_with_it() {
        let block = seal(BlockKind::Label, HERE, &[7; PAYLOAD_MAX]);
        assert_eq!(open(BlockKind::Label, HERE, &block), Ok(&[7; PAYLOAD_MAX][..]));
        assert_eq!(open(BlockKind::Image, HERE, &block), Err(BlockError::Magic));
        let elsewhere = Place { number: HERE.number + 1, ..HERE };
        assert_eq!(open(BlockKind::Label, elsewhere, &block), Err(BlockError::Place));
        let elsewhere = Place { slot: 1, ..HERE };
        assert_eq!(open(BlockKind::Label, elsewhere, &block), Err(BlockError::Place));
        assert_eq!(open(BlockKind::Label, HERE, &[0; BLOCK]), Err(BlockError::Blank));
        assert_eq!(open(BlockKind::Label, HERE, &block[1..]), Err(BlockError::Length(4095)));
        assert_eq!(open(BlockKind::Label, HERE, &[]), Err(BlockError::Length(0)));
        for at in [4, 8, 12, 13, 14, 16, 4095] {
            let mut wrong = block.clone();
            wrong[at] ^= 1;
            assert_eq!(open(BlockKind::Label, HERE, &wrong), Err(BlockError::Checksum), "{at}");
        }
    }

    /// What nobody writes is not read either, though its checksum is right.
    #[test]
    fn a_forged_block_must_look_as_we_write_it() {
        for (at, value) in [(13, 1), (14, 2), (15, 0xff)] {
            let mut wrong = seal(BlockKind::Label, HERE, b"abc");
            wrong[at] = value;
            forge_checksum(&mut wrong);
            assert_eq!(open(BlockKind::Label, HERE, &wrong), Err(BlockError::Header), "{at}");
        }
    }
}

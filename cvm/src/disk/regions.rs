//! The parts of a disk, as labels and listings name them.

use std::fmt;

use crate::model::Sectors;

/// A range of a disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Extent {
    /// Where it begins on the disk.
    pub offset: Sectors,
    /// How long it is.
    pub len: Sectors,
}

/// A range of blocks of the private region.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Blocks {
    /// From the beginning of the private region.
    pub first: u32,
    /// How many.
    pub len: u32,
}

/// What a part of the private region is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RegionKind {
    /// Claims, one of the two copies.
    Claim,
    /// The three slots for images.
    Config,
    /// The label, one of the two copies.
    Label,
    /// A block for each node, not used yet.
    Lock,
    /// The kernel log.
    Log,
}

impl RegionKind {
    /// The word for it in listings and in the label.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Config => "config",
            Self::Label => "label",
            Self::Lock => "lockrgn",
            Self::Log => "log",
        }
    }
}

/// A line of "Defined regions" of `vxdisk list`, up to the word that says whether the group uses it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DefinedRegion {
    /// What it is for.
    pub kind: RegionKind,
    /// Where it begins in the private region.
    pub offset: Sectors,
    /// How long it is.
    pub len: Sectors,
}

impl fmt::Display for DefinedRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, first) = (self.kind.word(), self.offset);
        let last = (first + self.len).saturating_sub(1);
        write!(f, "{word:<8} priv {first:06}-{last:06}[{:06}]: ", self.len)?;
        match self.kind {
            RegionKind::Lock => write!(f, "part=00 offset=000000"),
            RegionKind::Claim | RegionKind::Config | RegionKind::Label | RegionKind::Log => {
                write!(f, "copy=01 offset=000000")
            }
        }
    }
}

//! Why a request cannot be done, in the words and with the numbers of the original where the facts
//! know them (facts 3.18).

use super::check::Broken;
use super::group::Kind;
use super::ids::Name;
use super::size::Sectors;
use super::text::TextError;

/// Why an [`Op`](super::op::Op) cannot be done. Nothing was changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// The result would not be whole: something that was given does not go together.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// A volume that is enabled cannot be removed or mended.
    #[error("Volume {0} is enabled: it must be stopped first")]
    Enabled(Name),
    /// The name of a new record is taken.
    #[error("Record {0} already exists in disk group")]
    Exists(Name),
    /// More records than a copy of the configuration holds.
    #[error("No more space in disk group configuration")]
    Full,
    /// The record is used by another.
    #[error("{what} {name} is in use by {user}")]
    InUse {
        /// Its kind.
        what: &'static str,
        /// Its name.
        name: Name,
        /// Who uses it.
        user: Name,
    },
    /// What was asked for has no meaning; the sentence says what was expected.
    #[error("{0}")]
    Invalid(String),
    /// A disk of the group is the last one that could hold its configuration.
    #[error("Cannot remove last disk group configuration copy")]
    LastCopy,
    /// Layers are changed with the volume that they are parts of.
    #[error("Volume {0} is a layer of another volume, and is changed with that one")]
    Layer(Name),
    /// The number belongs to another group, or is out of range.
    #[error("Cannot assign minor {0}")]
    Minor(u32),
    /// There is no such record.
    #[error("{what} {name} does not exist")]
    Missing {
        /// Which kind was looked for.
        what: &'static str,
        /// Its name.
        name: Name,
    },
    /// The name of a new disk is taken.
    #[error("Disk {0}: Name is already used")]
    NameUsed(Name),
    /// Less snapshot mirrors are full than are to be broken off.
    #[error("Insufficient number of active snapshot mirrors in {0}.")]
    NoSnapshot(Name),
    /// The last complete copy of the data would be lost.
    #[error("Volume {0} would be left without a complete copy of its data")]
    NoCopy(Name),
    /// There is no such disk, or it is not initialised, or it belongs to some group.
    #[error("Device {0} is not an initialised disk of no disk group on this node")]
    NoDevice(String),
    /// No room for a volume.
    #[error("Cannot allocate space for {0} block volume")]
    NoSpace(Sectors),
    /// No room for a part of a volume.
    #[error("Cannot allocate space for {part} of volume {volume}")]
    NoSpaceFor {
        /// Which part.
        part: &'static str,
        /// Of which volume.
        volume: Name,
    },
    /// No room for anything that fits what was asked for.
    #[error("No free space remaining in diskgroup {0} with given constraints")]
    NoSpaceLeft(Name),
    /// No room for more of a volume.
    #[error("Cannot allocate space to grow volume to {0} blocks")]
    NoSpaceToGrow(Sectors),
    /// The disk is a member of a group already.
    #[error("Device {access} appears to be owned by disk group {group}.")]
    Owned {
        /// Its access name.
        access: String,
        /// The group.
        group: Name,
    },
    /// Something lies on a disk that is to be taken out.
    #[error("Disk {0} is used by one or more subdisks; use -k to keep its records")]
    OnDisk(Name),
    /// A record is removed with its parts, or not at all.
    #[error("{what} {name} has associated {parts}; use -r to remove them with it")]
    Parts {
        /// Its kind.
        what: &'static str,
        /// Its name.
        name: Name,
        /// What it consists of.
        parts: &'static str,
    },
    /// A log with fewer blocks than the maps of all nodes need.
    #[error("Insufficient DRL log size: volume {volume} needs {needed} blocks")]
    ShortLog {
        /// Which volume.
        volume: Name,
        /// How long a log of it is at least.
        needed: Sectors,
    },
    /// A description is wrong.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A dirty region log tells mirrors apart; there are none.
    #[error("Volume {0} is not mirrored: a dirty region log needs at least two mirrors")]
    Unmirrored(Name),
    /// Nothing of a volume could be read.
    #[error("Volume {0} has no complete plex that is CLEAN or ACTIVE and has all its disks")]
    Unstartable(Name),
    /// The disk was named, and nothing can be put on it.
    #[error("Disk {disk} {why}: nothing is put there")]
    Unusable {
        /// Which disk.
        disk: Name,
        /// What is the matter with it.
        why: &'static str,
    },
    /// Of which kind is it?
    #[error("{name} is a {}, not a {expected}", kind_word(*kind))]
    WrongKind {
        /// What was expected.
        expected: &'static str,
        /// Its name.
        name: Name,
        /// What it is.
        kind: Kind,
    },
}

impl Refused {
    /// The number of the original's message, where the facts know it.
    pub const fn id(&self) -> Option<&'static str> {
        match self {
            Self::Exists(_) => Some("V-5-1-2866"),
            Self::Full => Some("V-5-1-2935"),
            Self::LastCopy => Some("V-5-1-2933"),
            Self::Minor(_) => Some("V-5-1-3031"),
            Self::NameUsed(_) => Some("V-5-1-3009"),
            Self::NoSpaceLeft(_) => Some("V-5-1-15809"),
            Self::Owned { .. } => Some("V-5-1-2349"),
            Self::NoSnapshot(_) => Some("V-5-1-5150"),
            Self::ShortLog { .. } => Some("V-5-1-3212"),
            Self::Broken(_)
            | Self::Enabled(_)
            | Self::InUse { .. }
            | Self::Invalid(_)
            | Self::Layer(_)
            | Self::Missing { .. }
            | Self::NoCopy(_)
            | Self::NoDevice(_)
            | Self::NoSpace(_)
            | Self::NoSpaceFor { .. }
            | Self::NoSpaceToGrow(_)
            | Self::OnDisk(_)
            | Self::Parts { .. }
            | Self::Text(_)
            | Self::Unmirrored(_)
            | Self::Unstartable(_)
            | Self::Unusable { .. }
            | Self::WrongKind { .. } => None,
        }
    }

    /// The exit status of a utility that ends with it: 11 is the original's for what does not exist
    /// (facts part 4), everything else is 1.
    pub const fn exit(&self) -> u8 {
        match self {
            Self::Missing { .. } => 11,
            Self::Broken(_)
            | Self::Enabled(_)
            | Self::Exists(_)
            | Self::Full
            | Self::InUse { .. }
            | Self::Invalid(_)
            | Self::LastCopy
            | Self::Layer(_)
            | Self::Minor(_)
            | Self::NameUsed(_)
            | Self::NoCopy(_)
            | Self::NoDevice(_)
            | Self::NoSpace(_)
            | Self::NoSpaceFor { .. }
            | Self::NoSpaceLeft(_)
            | Self::NoSpaceToGrow(_)
            | Self::NoSnapshot(_)
            | Self::OnDisk(_)
            | Self::Owned { .. }
            | Self::Parts { .. }
            | Self::ShortLog { .. }
            | Self::Text(_)
            | Self::Unmirrored(_)
            | Self::Unstartable(_)
            | Self::Unusable { .. }
            | Self::WrongKind { .. } => 1,
        }
    }
}

const fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Disk => "disk",
        Kind::Plex => "plex",
        Kind::Subdisk => "subdisk",
        Kind::Volume => "volume",
    }
}

//! The records of a group: disks, subdisks, plexes and volumes (facts 1.1).
//!
//! A record names what it consists of: a volume its plexes, a plex its subdisks, a subdisk its disk.
//! Who uses a record is looked up ([`super::Group::users`]), so that nothing is said twice.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::ids::{Name, Rid, Serial, UniqueId};
use super::size::Sectors;
use super::states::{KernelState, LogType, PlexState, ReadPolicy, VolumeState};

/// What every record has.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Common {
    /// Its identity in the group.
    pub rid: Rid,
    /// A line for people, at most [`super::limits::TEXT_MAX`] bytes.
    pub comment: String,
    /// Locks of operations of several steps, gone when the group is imported anew.
    pub tutil: [String; 3],
    /// The same, kept.
    pub putil: [String; 3],
}

/// A disk media record: a disk as a member of the group, whatever path leads to it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Disk {
    /// Identity, comment, locks.
    pub common: Common,
    /// The disk that it stands for; `None` when it was taken out and not replaced.
    pub disk: Option<UniqueId>,
    /// The access name under which the node that wrote this record last saw it.
    pub access: String,
    /// Length of its public region.
    pub public_len: Sectors,
    /// Length of its private region.
    pub private_len: Sectors,
    /// How often the group was imported with it, to be compared with what the disk says.
    pub serial: Serial,
    /// Free space of it is for hot relocation only.
    pub spare: bool,
    /// Hot relocation leaves it alone.
    pub nohotuse: bool,
    /// Taken only when it is named.
    pub reserve: bool,
    /// Errors were seen: nothing new is put there.
    pub failing: bool,
    /// Taken out for replacement by the administrator.
    pub removed: bool,
}

/// What a subdisk is a range of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Source {
    /// The public region of a disk.
    Disk {
        /// The disk media record.
        dm: Name,
        /// Where it begins in the public region.
        offset: Sectors,
    },
    /// A volume from its beginning: the subdisk is a subvolume of a layered volume.
    Volume(
        /// The layer's volume.
        Name,
    ),
}

impl Source {
    /// The disk media record that it lies on; a layer's volume lies on none.
    pub const fn disk(&self) -> Option<&Name> {
        match self {
            Self::Disk { dm, .. } => Some(dm),
            Self::Volume(_) => None,
        }
    }
}

/// A range of a disk, or a whole layer's volume.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Subdisk {
    /// Identity, comment, locks.
    pub common: Common,
    /// Where its blocks are.
    pub source: Source,
    /// How many.
    pub len: Sectors,
    /// Where hot relocation has taken it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// The place that a relocated subdisk had (the original's `orig_dmname`, `orig_dmoffset`). The disk
/// may have left the group since.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Origin {
    /// The disk media record.
    pub dm: Name,
    /// Where it began in the public region.
    pub offset: Sectors,
}

/// How a plex arranges its subdisks.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Layout {
    /// One after the other.
    Concat,
    /// In turns of `width` over the columns.
    Stripe {
        /// At least 2.
        columns: u16,
        /// The stripe unit.
        width: Sectors,
    },
}

impl Layout {
    /// How many columns; a concatenation is one.
    pub const fn columns(self) -> u16 {
        match self {
            Self::Concat => 1,
            Self::Stripe { columns, .. } => columns,
        }
    }
}

/// The place of a subdisk in its plex.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Piece {
    /// Which subdisk.
    pub subdisk: Name,
    /// Its column, 0 in a concatenation.
    pub column: u16,
    /// Where it begins in the column.
    pub offset: Sectors,
}

/// One copy of a volume's data, or of its log.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Plex {
    /// Identity, comment, locks.
    pub common: Common,
    /// Accessibility.
    pub kernel: KernelState,
    /// What is known of its contents.
    pub state: PlexState,
    /// How the pieces lie.
    pub layout: Layout,
    /// By column, then by offset.
    pub pieces: Vec<Piece>,
    /// The subdisk with a dirty region log. A plex with nothing else is a log plex.
    pub log: Option<Name>,
    /// It is SNAPATT and holds what its volume held when changes with this number began to be noted:
    /// only those are copied to it, as long as it is the number of the volume ([`Volume::changes`]).
    #[serde(default)]
    pub since: Option<u32>,
}

impl Plex {
    /// In `putil0` of a plex that goes as soon as another one, which has just been made for it, is
    /// current.
    pub const MOVED: &str = "MOVE";
    /// The same of one that leaves its volume, and stays a plex, when that is current which
    /// [`ARRIVES`](Self::ARRIVES) for it (`vxplex mv`).
    pub const LEAVES: &str = "MVOLD";
    /// The same of one that is removed then.
    pub const LEAVES_AND_GOES: &str = "MVOLDRM";
    /// The same of the plex that comes in its place.
    pub const ARRIVES: &str = "MVNEW";
    /// The same of one that leaves its volume as soon as it is current itself (`vxplex cp`).
    pub const COPIED: &str = "CPNEW";

    /// It goes when another plex of its volume is current.
    pub fn is_moved(&self) -> bool {
        self.common.putil[0] == Self::MOVED
    }

    /// It leaves its volume as soon as it is current.
    pub fn is_only_copied(&self) -> bool {
        self.common.putil[0] == Self::COPIED
    }

    /// It has left its volume: what was to become of it there does not matter any more.
    pub(super) fn forget_moves(&mut self) {
        let marks = [Self::LEAVES, Self::LEAVES_AND_GOES, Self::ARRIVES, Self::COPIED];
        let [mark, ..] = &mut self.common.putil;
        if marks.contains(&mark.as_str()) {
            mark.clear();
        }
    }

    /// It holds a log and no data.
    pub fn is_log_only(&self) -> bool {
        self.log.is_some() && self.pieces.is_empty()
    }

    /// Its log is written and counts.
    pub const fn has_log_in_use(&self) -> bool {
        self.log.is_some() && matches!(self.kernel, KernelState::Enabled)
    }

    /// It is read and written.
    pub const fn is_current(&self) -> bool {
        matches!(
            (self.kernel, self.state),
            (KernelState::Enabled, PlexState::Active | PlexState::Clean | PlexState::Empty)
        )
    }

    /// It is written and not read: until somebody has copied to it, or it is broken off.
    pub const fn is_being_copied(&self) -> bool {
        match (self.kernel, self.state) {
            (
                KernelState::Enabled,
                PlexState::SnapAtt
                | PlexState::SnapDis
                | PlexState::SnapDone
                | PlexState::SnapTmp
                | PlexState::Stale
                | PlexState::Temp
                | PlexState::TempRm
                | PlexState::TempRmSd,
            ) => true,
            (
                KernelState::Enabled,
                PlexState::Active
                | PlexState::Clean
                | PlexState::Empty
                | PlexState::IoFail
                | PlexState::Log
                | PlexState::NoDevice
                | PlexState::Offline
                | PlexState::Recover
                | PlexState::Removed,
            )
            | (KernelState::Detached | KernelState::Disabled, _) => false,
        }
    }

    /// Somebody has to copy to it before it is as good as the others.
    pub const fn needs_copy(&self) -> bool {
        self.is_being_copied() && !matches!(self.state, PlexState::SnapDone)
    }

    /// All its subdisks, the log last.
    pub fn subdisks(&self) -> impl Iterator<Item = &Name> {
        self.pieces.iter().map(|piece| &piece.subdisk).chain(&self.log)
    }
}

/// Owner and rights of the device node of a volume.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Permissions {
    /// Name of the user.
    pub user: String,
    /// Name of the group of users.
    pub group: String,
    /// Bits of the mode, `0o777` at most.
    pub mode: u32,
}

impl Default for Permissions {
    fn default() -> Self {
        Self { user: "root".to_owned(), group: "root".to_owned(), mode: 0o600 }
    }
}

/// A virtual disk; its plexes are equal copies.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Volume {
    /// Identity, comment, locks.
    pub common: Common,
    /// Accessibility.
    pub kernel: KernelState,
    /// What is known of its contents.
    pub state: VolumeState,
    /// How much applications see.
    pub len: Sectors,
    /// `fsgen` or `gen`.
    pub usage: String,
    /// How a plex is chosen for reading.
    pub read_policy: ReadPolicy,
    /// Which one [`ReadPolicy::Prefer`] means.
    pub preferred: Option<Name>,
    /// The number of its device.
    pub minor: u32,
    /// Its dirty region log.
    pub log_type: LogType,
    /// Only one node at a time may have it open.
    pub exclusive: bool,
    /// It is a part of a layered volume and not for applications.
    pub layer: bool,
    /// Owner and rights.
    pub permissions: Permissions,
    /// Data plexes and log plexes.
    pub plexes: Vec<Name>,
    /// Nodes that may be writing it: once they are lost its copies may differ. Never of a layer.
    #[serde(default)]
    pub writers: BTreeSet<u8>,
    /// Nodes that were writing it when the group was in use elsewhere, or all nodes were lost: its
    /// copies may differ, and what maps of logs say of that is still to be looked at. Never of a layer.
    #[serde(default)]
    pub lost: BTreeSet<u8>,
    /// Where copies may differ is in the recovery maps of its logs, or of those of its layers; else they
    /// may anywhere.
    #[serde(default)]
    pub by_map: bool,
    /// The volume that it was broken off from.
    #[serde(default)]
    pub snapshot_of: Option<Rid>,
    /// The number of the changes that are noted in its logs, from a snapshot on; 0 if never any were.
    /// Another number makes all that was noted before void.
    #[serde(default)]
    pub changes: u32,
    /// Nodes whose notes count.
    #[serde(default)]
    pub changers: BTreeSet<u8>,
    /// It is a snapshot that nobody has written: what it holds its volume held when changes with this
    /// number began to be noted, but for those.
    #[serde(default)]
    pub since: Option<u32>,
    /// It gets what another volume holds, region by region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<Fill>,
}

/// A volume that is to hold what another one held when this began. No region of the other is changed,
/// and none of this one is used, before it is filled; which those are is in the fill maps of the logs of
/// this volume.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Fill {
    /// The other volume.
    pub from: Rid,
    /// Tells it from what the volume was filled with before.
    pub id: Rid,
    /// The maps say what is filled: until then nothing is.
    pub is_begun: bool,
}

impl Volume {
    /// Its copies may differ until they are made equal.
    pub const fn needs_sync(&self) -> bool {
        matches!(self.state, VolumeState::NeedSync | VolumeState::Sync)
    }

    /// The same, or it is still to be looked at whether they do.
    pub fn may_differ(&self) -> bool {
        self.needs_sync() || !self.lost.is_empty()
    }

    /// The group has come from elsewhere, or all nodes were lost: whoever was writing is lost, too.
    pub fn lose_writers(&mut self) {
        self.lost.append(&mut self.writers);
    }

    /// What was noted of its changes does not count any more: a snapshot that comes back is copied to as
    /// a whole.
    pub const fn forget_changes(&mut self) {
        if self.changes > 0 {
            // There are none with the number 0.
            self.changes = match self.changes.checked_add(1) {
                Some(next) => next,
                None => 0,
            };
        }
    }

    /// Its copies may differ, and nobody knows where. One that has no data yet has none that differ.
    pub fn needs_full_sync(&mut self) {
        self.forget_changes();
        self.writers.clear();
        self.lost.clear();
        self.by_map = false;
        self.state = match (self.state, self.kernel) {
            (state @ (VolumeState::Empty | VolumeState::Invalid), _) => state,
            (_, KernelState::Enabled) => VolumeState::Sync,
            (_, KernelState::Detached | KernelState::Disabled) => VolumeState::NeedSync,
        };
    }

    /// It cannot be filled any more: what it holds is nothing that another volume has ever held, and no
    /// program is to see it.
    pub fn spoil(&mut self) {
        if self.fill.is_some() {
            self.forget_changes();
            self.fill = None;
            // It is filled anew, or is of no use: where its copies differ does not matter.
            self.writers.clear();
            self.lost.clear();
            self.by_map = false;
            self.state = VolumeState::Invalid;
            if matches!(self.kernel, KernelState::Enabled) {
                self.kernel = KernelState::Detached;
            }
        }
    }

    /// What maps of its logs say does not count, if it was to be looked at.
    pub fn distrust_maps(&mut self) {
        self.forget_changes();
        if self.by_map || !self.lost.is_empty() {
            self.needs_full_sync();
        }
    }
}

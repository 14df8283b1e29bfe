//! What an administrator asks of a group: the typed form of `vxassist`, `vxmake`, `vxedit`, `vxmend`,
//! `vxplex`, `vxvol` and of the parts of `vxdg` that change a group that is imported.
//!
//! [`super::apply()`] makes the new configuration of the old one; it decides names, places and states.
//! Nothing of it is carried out before a transaction has committed it.

use serde::{Deserialize, Serialize};

use super::group::Copies;
use super::ids::Name;
use super::record::Permissions;
use super::size::Sectors;
use super::states::{DetachPolicy, FailPolicy, LogType, PlexState, ReadPolicy};

/// A change of one group.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum Op {
    /// `vxdg adddisk`: disks of no group become members. The one who asks knows of a disk only its
    /// access name; see [`super::apply::NewDisk`].
    AddDisks(
        /// In this order.
        Vec<DiskName>,
    ),
    /// `vxassist addlog vol`
    AddLog {
        /// Which volume.
        volume: Name,
        /// Region or sequential.
        log_type: LogType,
        /// How many log plexes.
        count: u16,
        /// Length of each; by the size of the volume if not given.
        len: Option<Sectors>,
        /// Where.
        storage: Vec<Storage>,
    },
    /// `vxplex att`: plexes of the volume that are off, or of none, become copies of it.
    AttachPlexes {
        /// Which volume.
        volume: Name,
        /// Which plexes.
        plexes: Vec<Name>,
        /// Even if one does not hold all of the volume.
        force: bool,
    },
    /// `vxplex cp`: plexes of no volume are copied to, and belong to none again when they are full.
    CopyPlexes {
        /// From which volume.
        volume: Name,
        /// To which plexes.
        plexes: Vec<Name>,
    },
    /// `vxplex det`: plexes are not read or written any more, and stay plexes of their volumes.
    DetachPlexes {
        /// Which.
        plexes: Vec<Name>,
        /// Even the last good ones of a volume that is not started.
        force: bool,
    },
    /// `vxplex dis`: plexes belong to no volume any more.
    DissociatePlexes {
        /// Which.
        plexes: Vec<Name>,
        /// With their subdisks they are removed (`-o rm`).
        remove: bool,
        /// Even the last good ones of a volume.
        force: bool,
    },
    /// `vxedit set`: attributes of records.
    Edit {
        /// Records of any kind, or the group itself by its name.
        names: Vec<Name>,
        /// What they get.
        set: Vec<Attribute>,
    },
    /// `vxsnap make`, `refresh`, `restore`: a volume that nobody has open holds from now on what another
    /// one holds.
    Fill {
        /// Which volume.
        volume: Name,
        /// The other one.
        from: Name,
        /// What for.
        why: FillReason,
    },
    /// `vxsnap prepare`: the volume gets logs, so that it can be filled, and notes what is changed.
    Prepare {
        /// Which volume.
        volume: Name,
        /// How many logs.
        count: u16,
        /// Where.
        storage: Vec<Storage>,
    },
    /// `vxsnap unprepare`: the logs of the volume are removed.
    Unprepare(
        /// Which volume.
        Name,
    ),
    /// `vxvol init`
    InitVolume {
        /// Which volume.
        volume: Name,
        /// What becomes of it.
        how: InitVolume,
        /// The only good plex; all of them are if not given.
        plex: Option<Name>,
        /// Although it has data.
        force: bool,
    },
    /// `vxvol rdpol`
    ReadPolicy {
        /// Which volume.
        volume: Name,
        /// How plexes are chosen.
        policy: ReadPolicy,
        /// The plex that [`ReadPolicy::Prefer`] means.
        plex: Option<Name>,
    },
    /// `vxassist growby`, `growto`, `shrinkby`, `shrinkto`
    Resize {
        /// Which volume.
        volume: Name,
        /// How long it is to be.
        to: NewLength,
        /// Where, if it grows.
        storage: Vec<Storage>,
        /// Shrink although a file system could be cut.
        force: bool,
    },
    /// `vxassist make`
    Make(
        /// All of it.
        Box<Make>,
    ),
    /// `vxmake`: records as they are described.
    MakeRecords {
        /// Text in the format of [`super::text`]; what is left out is filled in.
        descriptions: String,
    },
    /// `vxmend`
    Mend {
        /// A volume or plex, or for `clear` any record.
        name: Name,
        /// What is done to it.
        how: Mend,
        /// In spite of what its state says.
        force: bool,
    },
    /// `vxassist mirror vol`
    Mirror {
        /// Which volume.
        volume: Name,
        /// How many plexes are added.
        count: u16,
        /// How they lie; as the volume's first plex if not given.
        layout: Option<VolumeLayout>,
        /// Where.
        storage: Vec<Storage>,
    },
    /// `vxassist move vol !from to`, `vxevac`: what lies on some disks goes to others. It is copied from
    /// another plex. Where there is none a new plex is made, and the old one goes when that is current.
    Move {
        /// Which volume.
        volume: Name,
        /// From where and to where.
        storage: Vec<Storage>,
    },
    /// `vxplex mv`: a plex of no volume comes in the place of one that leaves its volume when the other is
    /// full.
    MovePlex {
        /// Which leaves.
        from: Name,
        /// Which comes.
        to: Name,
        /// With its subdisks it is removed then (`-o rm`).
        remove: bool,
    },
    /// Hot relocation: what of a plex has failed with its disk goes to other disks, and is copied from
    /// another plex ([`super::apply::Failed`]).
    Relocate {
        /// Which plex, of data or with a log.
        plex: Name,
    },
    /// `vxassist remove log vol`
    RemoveLog {
        /// Which volume.
        volume: Name,
        /// How many of its logs.
        count: u16,
        /// Those on excluded disks go first; what lies on named disks stays longest.
        storage: Vec<Storage>,
    },
    /// `vxassist remove mirror vol`
    RemoveMirror {
        /// Which volume.
        volume: Name,
        /// How many plexes.
        count: u16,
        /// Those on excluded disks go first; what lies on named disks stays longest.
        storage: Vec<Storage>,
    },
    /// `vxedit rm`
    RemoveRecords {
        /// Which.
        names: Vec<Name>,
        /// With all that they consist of.
        recursive: bool,
        /// Even if they are in use by other records, or started.
        force: bool,
    },
    /// `vxassist remove volume`: with plexes and subdisks.
    RemoveVolume {
        /// Which volume.
        volume: Name,
        /// Even if it is started.
        force: bool,
    },
    /// `vxdg rmdisk`
    RemoveDisks {
        /// Which.
        names: Vec<Name>,
        /// Keep the records, for a replacement (`-k`).
        keep: bool,
    },
    /// `vxedit rename`
    Rename {
        /// The old name.
        from: Name,
        /// The new one.
        to: Name,
    },
    /// `vxdg reminor`
    Reminor {
        /// The new base.
        base: u32,
    },
    /// `vxdg repldisk`, and `adddisk -k`: a member that has no disk gets one.
    ReplaceDisks(
        /// Member and access name.
        Vec<(Name, String)>,
    ),
    /// `vxdg set` for all nodes.
    Set(
        /// Attributes of the group.
        Vec<GroupAttribute>,
    ),
    /// `vxassist snapabort`: snapshot mirrors of the volume are removed.
    SnapAbort(
        /// Which volume.
        Name,
    ),
    /// `vxassist snapback`: the plexes of a snapshot become snapshot mirrors of its volume again, and
    /// the snapshot is removed.
    SnapBack {
        /// Which snapshot.
        snapshot: Name,
        /// The volume, which is stopped, gets what the snapshot holds.
        from_replica: bool,
    },
    /// `vxassist snapclear`: the snapshot has nothing to do with its volume any more.
    SnapClear(
        /// Which snapshot.
        Name,
    ),
    /// `vxassist snapstart`: the volume gets snapshot mirrors, which are filled.
    SnapStart {
        /// Which volume.
        volume: Name,
        /// How many.
        count: u16,
        /// How they lie; as the volume's first plex if not given.
        layout: Option<VolumeLayout>,
        /// Where.
        storage: Vec<Storage>,
    },
    /// `vxassist snapshot`: snapshot mirrors that are full become a volume.
    Snapshot {
        /// Of which volume.
        volume: Name,
        /// What it is called; `SNAP-` and the volume's name if not given.
        snapshot: Option<Name>,
        /// How many mirrors it takes.
        count: u16,
    },
    /// `vxunreloc`: what hot relocation has taken from a disk goes back.
    Unrelocate {
        /// Which volume.
        volume: Name,
        /// The disk that it was on.
        from: Name,
        /// Another disk instead of that, from the same offsets on.
        to: Option<Name>,
        /// To other offsets if these are not free.
        force: bool,
    },
    /// `vxvol start`
    StartVolume {
        /// Which volume.
        volume: Name,
        /// If no plex is good, the only one that may be counts as good.
        force: bool,
    },
    /// `vxvol stop`. Everybody has closed it, and who was writing it and is lost is in its writers no
    /// more: that is for the caller to see to.
    StopVolume(
        /// Which volume.
        Name,
    ),
}

/// Why a volume is filled.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum FillReason {
    /// It becomes a snapshot of the other one.
    Make,
    /// It is one, and holds from now on what the other one holds now.
    Refresh,
    /// The other one is a snapshot of it.
    Restore,
}

/// `[dm=]da`: a disk that becomes a member.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DiskName {
    /// What it is called in the group; made from the group's name if not given.
    pub name: Option<Name>,
    /// Its access name on the node where the command was given.
    pub access: String,
}

/// How long a volume is to be.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum NewLength {
    /// Longer by so much.
    GrowBy(Sectors),
    /// So long, and not shorter than it is.
    GrowTo(Sectors),
    /// Shorter by so much.
    ShrinkBy(Sectors),
    /// So long, and not longer than it is.
    ShrinkTo(Sectors),
}

/// A word of a storage specification.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Storage {
    /// A disk of the group.
    pub disk: Name,
    /// `!disk`: anywhere but there.
    pub excluded: bool,
    /// `disk,offset`: from there on.
    pub offset: Option<Sectors>,
}

/// `layout=`: how a volume is put together (facts 2.1).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum VolumeLayout {
    /// Ranges one after the other, unmirrored unless `nmirror` says so.
    Concat,
    /// A concatenation of mirrors, layered: `concat-mirror`.
    ConcatMirror,
    /// Mirrored concatenations, or stripes if columns are asked for: `mirror`, `mirror-concat`.
    Mirror,
    /// Mirrored stripes: `mirror-stripe`.
    MirrorStripe,
    /// One stripe.
    Stripe,
    /// A stripe of mirrors, layered: `stripe-mirror`.
    StripeMirror,
}

/// `vxassist make`
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Make {
    /// The volume's name.
    pub name: Name,
    /// How long; the longest possible if not given.
    pub len: Option<Sectors>,
    /// How it is put together.
    pub layout: VolumeLayout,
    /// Columns of a stripe; as many as there are disks, up to 8, if not given.
    pub columns: Option<u16>,
    /// Stripe unit; 128 sectors if not given.
    pub width: Option<Sectors>,
    /// Mirrors; 2 if not given and the layout mirrors.
    pub mirrors: Option<u16>,
    /// Dirty region log.
    pub log_type: LogType,
    /// How many log plexes; 1 if not given and there is a log type.
    pub logs: Option<u16>,
    /// What the volume begins with.
    pub init: Init,
    /// Only one node may have it open.
    pub exclusive: bool,
    /// `fsgen` or `gen`.
    pub usage: String,
    /// Owner and rights of its device.
    pub permissions: Permissions,
    /// For people.
    pub comment: String,
    /// Each plex, or column of a plex, is one range of one disk.
    pub contiguous: bool,
    /// Where.
    pub storage: Vec<Storage>,
}

impl Make {
    /// `vxassist make NAME LENGTH layout=LAYOUT`, and everything else as it is without being said.
    pub fn new(name: Name, len: Option<Sectors>, layout: VolumeLayout) -> Self {
        Self {
            name,
            len,
            layout,
            columns: None,
            width: None,
            mirrors: None,
            log_type: LogType::None,
            logs: None,
            init: Init::Default,
            exclusive: false,
            usage: "fsgen".to_owned(),
            permissions: Permissions::default(),
            comment: String::new(),
            contiguous: false,
            storage: Vec::new(),
        }
    }
}

/// `init=`
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Init {
    /// Enabled with whatever is on the disks: the plexes count as equal.
    Active,
    /// The standard: enabled, and plexes of a mirror are made equal (SYNC) while it is used.
    #[default]
    Default,
    /// Not enabled, EMPTY.
    None,
}

/// `vxvol init`
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum InitVolume {
    /// It is started with whatever is on the disks: the good plexes count as equal.
    Active,
    /// The same, not started.
    Clean,
    /// It is started and stays EMPTY, for somebody to load its data.
    Enable,
}

/// `vxmend`
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Mend {
    /// `clear tutil0`, `clear putil1`, `clear tutil`, `clear all`.
    Clear {
        /// The temporary ones.
        tutil: bool,
        /// The permanent ones.
        putil: bool,
        /// Only the one with this number.
        number: Option<u8>,
    },
    /// `fix clean|active|stale|empty`
    Fix(
        /// The state: `Clean`, `Active`, `Stale` or `Empty`.
        PlexState,
    ),
    /// `off`
    Off,
    /// `on`
    On,
}

/// An attribute of a record that `vxedit set` changes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Attribute {
    /// A line for people.
    Comment(String),
    /// `group=` of a volume.
    Group(String),
    /// `mode=` of a volume.
    Mode(u32),
    /// Copies of the configuration, of the group.
    Nconfig(Copies),
    /// Copies of the log, of the group.
    Nlog(Copies),
    /// Hot relocation leaves the disk alone.
    NoHotUse(bool),
    /// A permanent lock, 0 to 2.
    Putil(u8, String),
    /// The disk is taken only when it is named.
    Reserve(bool),
    /// The disk is a spare.
    Spare(bool),
    /// The disk has shown errors.
    Failing(bool),
    /// A temporary lock, 0 to 2.
    Tutil(u8, String),
    /// `user=` of a volume.
    User(String),
    /// Only one node may have the volume open.
    Exclusive(bool),
}

/// An attribute of a group that `vxdg set` changes for all nodes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum GroupAttribute {
    /// Objects for any platform.
    Cds(bool),
    /// Who detaches.
    DetachPolicy(DetachPolicy),
    /// What a master does that cannot write.
    FailPolicy(FailPolicy),
    /// Copies of the configuration.
    Nconfig(Copies),
    /// Copies of the log.
    Nlog(Copies),
    /// Serial split brain is looked for.
    Ssb(bool),
}

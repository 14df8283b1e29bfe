//! A group for tests: two disks, a volume with a concatenated and a striped plex.

use std::collections::BTreeSet;

use super::group::{Group, Owner};
use super::ids::{Name, Serial, UniqueId};
use super::op::VolumeLayout;
use super::record::{Disk, Layout, Permissions, Piece, Plex, Source, Subdisk, Volume};
use super::records::Records;
use super::states::{KernelState, LogType, PlexState, ReadPolicy, VolumeState};

/// All ways to put a volume together.
pub(crate) const LAYOUTS: [VolumeLayout; 6] = [
    VolumeLayout::Concat,
    VolumeLayout::ConcatMirror,
    VolumeLayout::Mirror,
    VolumeLayout::MirrorStripe,
    VolumeLayout::Stripe,
    VolumeLayout::StripeMirror,
];

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A member of a group that is 64 MiB long.
pub(crate) fn disk(group: &mut Group, number: u32) -> Disk {
    Disk {
        common: group.common(),
        disk: Some(UniqueId::new(1_283_432_300, number, "host1")),
        access: format!("disk_{number}"),
        public_len: 131_072,
        private_len: 65_536,
        serial: Serial(1),
        spare: false,
        nohotuse: false,
        reserve: false,
        failing: false,
        removed: false,
    }
}

pub(crate) fn group() -> Group {
    let owner = Owner::Cluster(name("clus1"));
    let mut group = Group::new(name("mydg"), UniqueId::new(1_283_432_345, 33, "host1"), owner);
    for number in 1..=3 {
        let disk = disk(&mut group, number);
        group.disks.insert(name(&format!("mydg0{number}")), disk);
    }
    let mut subdisk = |dm: &str, offset, len| {
        let source = Source::Disk { dm: name(dm), offset };
        let subdisk = Subdisk { common: group.common(), source, len, origin: None };
        let name = group.free_name(dm, "-").unwrap();
        group.subdisks.insert(name.clone(), subdisk);
        name
    };
    let piece = |subdisk, column, offset| Piece { subdisk, column, offset };
    let concat = vec![piece(subdisk("mydg01", 0, 8192), 0, 0)];
    let stripe =
        vec![piece(subdisk("mydg02", 0, 4096), 0, 0), piece(subdisk("mydg03", 0, 4096), 1, 0)];
    let mut plexes = Records::new();
    for (plex, layout, pieces) in [
        ("vol1-01", Layout::Concat, concat),
        ("vol1-02", Layout::Stripe { columns: 2, width: 128 }, stripe),
    ] {
        let (kernel, state) = (KernelState::Enabled, PlexState::Active);
        let plex_record =
            Plex { common: group.common(), kernel, state, layout, pieces, log: None, since: None };
        plexes.insert(name(plex), plex_record);
    }
    group.plexes = plexes;
    let volume = Volume {
        common: group.common(),
        kernel: KernelState::Enabled,
        state: VolumeState::Active,
        len: 8192,
        usage: "fsgen".to_owned(),
        read_policy: ReadPolicy::Select,
        preferred: None,
        minor: 0,
        log_type: LogType::None,
        exclusive: false,
        layer: false,
        permissions: Permissions::default(),
        plexes: vec![name("vol1-01"), name("vol1-02")],
        writers: BTreeSet::new(),
        lost: BTreeSet::new(),
        by_map: false,
        snapshot_of: None,
        changes: 0,
        changers: BTreeSet::new(),
        since: None,
        fill: None,
    };
    group.volumes.insert(name("vol1"), volume);
    group
}

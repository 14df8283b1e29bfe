//! A group as this node sees it: which of its disks have a path here, and who uses which record.

use std::collections::BTreeMap;

use cvm::model::{
    Disk, Group, KernelState, Layout, Name, Plex, PlexState, Sectors, Source, Subdisk, Volume,
};
use cvm::snapshot::{DiskSnapshot, GroupSnapshot, Snapshot};

use super::opens::Opens;
use super::{GroupOption, volboot};
use crate::common::{Failure, Root};

/// A record of a group, or the group itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Record<'a> {
    Disk(&'a Name, &'a Disk),
    Group(&'a Group),
    Plex(&'a Name, &'a Plex),
    Subdisk(&'a Name, &'a Subdisk),
    Volume(&'a Name, &'a Volume),
}

impl<'a> Record<'a> {
    pub(super) const fn name(self) -> &'a Name {
        match self {
            Self::Group(group) => &group.name,
            Self::Disk(name, _)
            | Self::Plex(name, _)
            | Self::Subdisk(name, _)
            | Self::Volume(name, _) => name,
        }
    }

    /// The word that a line about it begins with.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Disk(..) => "dm",
            Self::Group(_) => "dg",
            Self::Plex(..) => "pl",
            Self::Subdisk(_, Subdisk { source: Source::Disk { .. }, .. }) => "sd",
            Self::Subdisk(_, Subdisk { source: Source::Volume(_), .. }) => "sv",
            Self::Volume(..) => "v",
        }
    }
}

/// Where a subdisk lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) plex: &'a Name,
    /// How the plex arranges its subdisks.
    pub(super) layout: Layout,
    /// Column and offset; none is the log.
    pub(super) at: Option<(u16, Sectors)>,
}

/// A group as this node sees it.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) shown: &'a GroupSnapshot,
    pub(super) group: &'a Group,
    devices: BTreeMap<&'a Name, &'a DiskSnapshot>,
    users: BTreeMap<&'a Name, &'a Name>,
    places: BTreeMap<&'a Name, Place<'a>>,
    /// Who has volumes open, if that was asked.
    pub(super) opens: Option<&'a Opens>,
}

impl<'a> View<'a> {
    pub(super) fn new(shown: &'a GroupSnapshot, disks: &'a [DiskSnapshot]) -> Self {
        let group = &shown.group;
        // Whoever cannot be read, or has no label, says no id.
        let by_id: BTreeMap<&str, &DiskSnapshot> =
            disks.iter().map(|disk| (disk.id.as_str(), disk)).collect();
        let device = |(name, dm): (&'a Name, &'a Disk)| {
            let id = dm.disk.as_ref()?.to_string();
            Some((name, *by_id.get(id.as_str())?))
        };
        let mut places = BTreeMap::new();
        for (plex, record) in &group.plexes {
            let layout = record.layout;
            for piece in &record.pieces {
                let at = Some((piece.column, piece.offset));
                places.insert(&piece.subdisk, Place { plex, layout, at });
            }
            if let Some(log) = &record.log {
                places.insert(log, Place { plex, layout, at: None });
            }
        }
        Self {
            shown,
            group,
            devices: group.disks.iter().filter_map(device).collect(),
            users: group.users(),
            places,
            opens: None,
        }
    }

    /// The same, with those who have volumes open.
    pub(super) fn with_opens(self, opens: Option<&'a Opens>) -> Self {
        Self { opens, ..self }
    }

    /// The access name of a disk of the group; none if this node has no path to it.
    pub(super) fn device(&self, dm: &Name) -> Option<&'a str> {
        self.devices.get(dm).map(|disk| disk.access.as_str())
    }

    /// The path that it is reached by.
    pub(super) fn path(&self, dm: &Name) -> Option<&'a str> {
        let path = self.devices.get(dm).map(|disk| disk.path.as_str());
        path.filter(|path| !path.is_empty())
    }

    /// What uses a record: the plex of a subdisk, the volume of a plex, the subvolume of a layer.
    pub(super) fn user(&self, name: &Name) -> Option<&'a Name> {
        self.users.get(name).copied()
    }

    /// Where a subdisk lies, if a plex has it.
    pub(super) fn place(&self, subdisk: &Name) -> Option<Place<'a>> {
        self.places.get(subdisk).copied()
    }

    /// What is to be said of a disk; nothing of most.
    pub(super) fn disk_state(&self, name: &Name, disk: &Disk) -> Option<&'static str> {
        let states = [
            (disk.removed, "REMOVED"),
            (self.device(name).is_none(), "NODEVICE"),
            (disk.failing, "FAILING"),
            (disk.spare, "SPARE"),
            (disk.nohotuse, "NOHOTUSE"),
            (disk.reserve, "RESERVED"),
        ];
        states.into_iter().find(|(is, _)| *is).map(|(_, state)| state)
    }

    /// Whether blocks of a subdisk can be reached, in the word for it.
    pub(super) fn subdisk_mode(&self, subdisk: &Subdisk) -> &'static str {
        match &subdisk.source {
            Source::Disk { dm, .. } => match self.group.disks.get(dm) {
                Some(disk) if disk.removed => "RMOV",
                _ if self.device(dm).is_none() => "NDEV",
                _ => "ENA",
            },
            Source::Volume(name) => match self.group.volumes.get(name) {
                Some(volume) if volume.kernel == KernelState::Enabled => "ENA",
                _ => "DIS",
            },
        }
    }

    /// Data plexes of a volume: those that take part, and all.
    pub(super) fn mirrors(&self, volume: &Volume) -> (usize, usize) {
        let plexes = self.plexes(volume).filter(|(_, plex)| !plex.is_log_only());
        let active =
            |plex: &Plex| plex.kernel == KernelState::Enabled && plex.state == PlexState::Active;
        plexes.fold((0, 0), |(ready, all), (_, plex)| (ready + usize::from(active(plex)), all + 1))
    }

    /// The plexes of a volume.
    pub(super) fn plexes(
        &self,
        volume: &'a Volume,
    ) -> impl Iterator<Item = (&'a Name, &'a Plex)> + use<'a> {
        let group = self.group;
        volume.plexes.iter().filter_map(|name| group.plexes.get_key_value(name))
    }

    /// The subdisks of a plex, the log last.
    pub(super) fn subdisks(
        &self,
        plex: &'a Plex,
    ) -> impl Iterator<Item = (&'a Name, &'a Subdisk)> + use<'a> {
        let group = self.group;
        plex.subdisks().filter_map(|name| group.subdisks.get_key_value(name))
    }

    /// The records with this name: a group may be called as one of its records is.
    pub(super) fn find(&self, name: &Name) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let Group { volumes, plexes, subdisks, disks, .. } = self.group;
        let volume = volumes.get_key_value(name).map(|(name, it)| Record::Volume(name, it));
        let plex = plexes.get_key_value(name).map(|(name, it)| Record::Plex(name, it));
        let subdisk = subdisks.get_key_value(name).map(|(name, it)| Record::Subdisk(name, it));
        let disk = disks.get_key_value(name).map(|(name, it)| Record::Disk(name, it));
        let group = (self.group.name == *name).then_some(Record::Group(self.group));
        [volume, plex, subdisk, disk, group].into_iter().flatten()
    }
}

/// The state of a plex as listings show it: a log that is kept is active (facts 1.5), although its
/// record says LOG.
pub(super) fn plex_state(plex: &Plex) -> &'static str {
    match (plex.state, plex.kernel) {
        (PlexState::Log, KernelState::Enabled) => PlexState::Active.as_str(),
        (state, _) => state.as_str(),
    }
}

/// The group that a listing is about: that of `-g`, else the default one. None are all.
///
/// # Errors
/// If what says which is the default one is wrong.
pub(super) fn wanted(option: &GroupOption, root: &Root) -> Result<Option<Name>, Failure> {
    if option.given().is_some() || std::env::var_os("VXVM_DEFAULTDG").is_some() {
        return option.resolve(root).map(Some);
    }
    Ok(volboot::read(root)?.default_group)
}

/// That group, or all, by name.
///
/// # Errors
/// If it is not imported here.
pub(super) fn chosen<'a>(
    snapshot: &'a Snapshot,
    wanted: Option<&Name>,
) -> Result<Vec<&'a GroupSnapshot>, Failure> {
    let is_wanted = |shown: &&GroupSnapshot| wanted.is_none_or(|name| shown.group.name == *name);
    let groups: Vec<_> = snapshot.groups.iter().filter(is_wanted).collect();
    match wanted {
        Some(name) if groups.is_empty() => Err(Failure::Operation {
            id: Some("V-5-1-2275".to_owned()),
            text: format!("Disk group {name}: No such disk group"),
        }),
        _ => Ok(groups),
    }
}

/// The group that is called so, or has this id; none if it is not imported here.
pub(super) fn named<'a>(snapshot: &'a Snapshot, group: &Name) -> Option<&'a Group> {
    let mut groups = snapshot.groups.iter().map(|shown| &shown.group);
    groups.find(|known| known.name == *group || known.id.to_string() == group.as_str())
}

/// The same of a group that was there a moment ago.
///
/// # Errors
/// If it is not any more.
pub(super) fn still<'a>(snapshot: &'a Snapshot, group: &Name) -> Result<&'a Group, Failure> {
    let gone = || Failure::operation(format!("Disk group {group} was just deported"));
    named(snapshot, group).ok_or_else(gone)
}

/// A volume, and those of its layers.
pub(super) fn with_layers<'a>(group: &'a Group, volume: &Name) -> Vec<(&'a Name, &'a Volume)> {
    let Some((name, volume)) = group.volumes.get_key_value(volume) else { return Vec::new() };
    let plexes = volume.plexes.iter().filter_map(|plex| group.plexes.get(plex));
    let subdisks = plexes.flat_map(|plex| &plex.pieces).map(|piece| &piece.subdisk);
    let layers = subdisks.filter_map(|subdisk| match &group.subdisks.get(subdisk)?.source {
        Source::Disk { .. } => None,
        Source::Volume(layer) => group.volumes.get_key_value(layer),
    });
    std::iter::once((name, volume)).chain(layers).collect()
}

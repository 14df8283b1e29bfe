//! `vxassist remove volume` and `vxedit rm`.

use std::collections::BTreeSet;

use super::{disks, tree};
use crate::model::group::{Group, Kind};
use crate::model::ids::Name;
use crate::model::record::{Plex, Source};
use crate::model::refused::Refused;
use crate::model::states::{KernelState, PlexState};

/// `vxassist remove volume`
pub(super) fn volume(group: &mut Group, name: &Name, force: bool) -> Result<(), Refused> {
    let volume = tree::top(group, name)?;
    if volume.kernel != KernelState::Disabled && !force {
        return Err(Refused::Enabled(name.clone()));
    }
    tree::remove_volume(group, name);
    Ok(())
}

/// `vxedit rm`
pub(super) fn records(
    group: &mut Group,
    names: &[Name],
    recursive: bool,
    force: bool,
) -> Result<(), Refused> {
    let mut going = Going::default();
    for name in names {
        let kind = group.kind_of(name.as_str());
        let missing = || Refused::Missing { what: "record", name: name.clone() };
        going.add(group, kind.ok_or_else(missing)?, name, recursive);
    }
    if !recursive {
        going.check_parts(group)?;
    }
    if !force {
        going.check_use(group)?;
    }
    let removes_disks = !going.disks.is_empty();
    going.carry_out(group);
    if removes_disks { disks::check_copies(group) } else { Ok(()) }
}

/// All records that are removed.
#[derive(Default)]
struct Going {
    disks: BTreeSet<Name>,
    subdisks: BTreeSet<Name>,
    plexes: BTreeSet<Name>,
    volumes: BTreeSet<Name>,
}

impl Going {
    /// Adds a record, and all that it consists of.
    fn add(&mut self, group: &Group, kind: Kind, name: &Name, recursive: bool) {
        let set = match kind {
            Kind::Disk => &mut self.disks,
            Kind::Plex => &mut self.plexes,
            Kind::Subdisk => &mut self.subdisks,
            Kind::Volume => &mut self.volumes,
        };
        if !set.insert(name.clone()) || !recursive {
            return;
        }
        match kind {
            Kind::Disk => {
                let on_disk = group.subdisks.iter().filter(|(_, subdisk)| match &subdisk.source {
                    Source::Disk { dm, .. } => dm == name,
                    Source::Volume(_) => false,
                });
                on_disk.for_each(|(subdisk, _)| self.add(group, Kind::Subdisk, subdisk, true));
            }
            Kind::Plex => {
                let subdisks = group.plexes.get(name).into_iter().flat_map(Plex::subdisks);
                subdisks.for_each(|subdisk| self.add(group, Kind::Subdisk, subdisk, true));
            }
            Kind::Subdisk => {
                if let Some(layer) = tree::layer(group, name) {
                    self.add(group, Kind::Volume, layer, true);
                }
            }
            Kind::Volume => {
                let plexes = group.volumes.get(name).into_iter().flat_map(|v| &v.plexes);
                plexes.for_each(|plex| self.add(group, Kind::Plex, plex, true));
            }
        }
    }

    /// Without `-r`, what has parts that would stay is refused.
    fn check_parts(&self, group: &Group) -> Result<(), Refused> {
        let parts =
            |what, name: &Name, parts| Err(Refused::Parts { what, name: name.clone(), parts });
        for name in &self.volumes {
            let mut plexes = group.volumes.get(name).into_iter().flat_map(|v| &v.plexes);
            if plexes.any(|plex| !self.plexes.contains(plex)) {
                return parts("Volume", name, "plexes");
            }
        }
        for name in &self.plexes {
            let mut subdisks = group.plexes.get(name).into_iter().flat_map(Plex::subdisks);
            if subdisks.any(|subdisk| !self.subdisks.contains(subdisk)) {
                return parts("Plex", name, "subdisks");
            }
        }
        for (name, subdisk) in &group.subdisks {
            if let Source::Disk { dm, .. } = &subdisk.source
                && self.disks.contains(dm)
                && !self.subdisks.contains(name)
            {
                return Err(Refused::OnDisk(dm.clone()));
            }
        }
        Ok(())
    }

    /// Without `-f`, what is enabled, or used by what stays, is refused.
    fn check_use(&self, group: &Group) -> Result<(), Refused> {
        let enabled = |name: &&Name| {
            group.volumes.get(*name).is_some_and(|v| v.kernel != KernelState::Disabled)
        };
        if let Some(volume) = self.volumes.iter().find(enabled) {
            return Err(Refused::Enabled(volume.clone()));
        }
        for (used, user) in group.users() {
            let goes = |name: &Name| {
                self.subdisks.contains(name)
                    || self.plexes.contains(name)
                    || self.volumes.contains(name)
            };
            if goes(used) && !goes(user) {
                let what = group.kind_of(used.as_str()).map_or("Record", word);
                return Err(Refused::InUse { what, name: used.clone(), user: user.clone() });
            }
        }
        Ok(())
    }

    /// Removes the records, and whatever mentions them in others.
    fn carry_out(mut self, group: &mut Group) {
        // A subvolume without its volume is nothing.
        for (name, subdisk) in &group.subdisks {
            if matches!(&subdisk.source, Source::Volume(layer) if self.volumes.contains(layer)) {
                self.subdisks.insert(name.clone());
            }
        }
        let touched = self.touched(group);
        group.volumes.retain(|name, _| !self.volumes.contains(name));
        group.plexes.retain(|name, _| !self.plexes.contains(name));
        group.subdisks.retain(|name, _| !self.subdisks.contains(name));
        group.disks.retain(|name, _| !self.disks.contains(name));
        for plex in group.plexes.values_mut() {
            without(plex, &self.subdisks);
        }
        for volume in group.volumes.values_mut() {
            volume.plexes.retain(|plex| !self.plexes.contains(plex));
        }
        touched.iter().for_each(|volume| tree::settle(group, volume));
    }

    /// Volumes that lose a plex, or a part of one.
    fn touched(&self, group: &Group) -> Vec<Name> {
        let loses = |name: &Name| {
            let mut subdisks = group.plexes.get(name).into_iter().flat_map(Plex::subdisks);
            self.plexes.contains(name) || subdisks.any(|subdisk| self.subdisks.contains(subdisk))
        };
        let volumes = group.volumes.iter().filter(|(_, volume)| volume.plexes.iter().any(loses));
        volumes.map(|(name, _)| name.clone()).collect()
    }
}

/// A plex after some subdisks of it are gone: it may have become a log plex, or stopped being one.
fn without(plex: &mut Plex, subdisks: &BTreeSet<Name>) {
    plex.pieces.retain(|piece| !subdisks.contains(&piece.subdisk));
    plex.log = plex.log.take().filter(|log| !subdisks.contains(log));
    if plex.is_log_only() {
        plex.state = PlexState::Log;
    } else if plex.state == PlexState::Log {
        plex.state = PlexState::Empty;
        plex.kernel = KernelState::Disabled;
    }
}

const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Disk => "Disk",
        Kind::Plex => "Plex",
        Kind::Subdisk => "Subdisk",
        Kind::Volume => "Volume",
    }
}

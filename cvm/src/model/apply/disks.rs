//! Disks that come into a group, leave it, or are replaced.

use std::collections::BTreeSet;

use super::{Env, NewDisk, build, tree};
use crate::model::group::{Group, Kind};
use crate::model::ids::Name;
use crate::model::op::DiskName;
use crate::model::record::{Disk, Plex, Source};
use crate::model::refused::Refused;
use crate::model::size::Sectors;
use crate::model::states::{KernelState, PlexState, VolumeState};

/// `vxdg adddisk`
pub(super) fn add(group: &mut Group, disks: &[DiskName], env: &Env<'_>) -> Result<(), Refused> {
    for DiskName { name, access } in disks {
        let new = find(group, access, env)?;
        let name = match name {
            Some(name) if group.kind_of(name.as_str()).is_some() => {
                return Err(Refused::NameUsed(name.clone()));
            }
            Some(name) => name.clone(),
            None => build::free_name(group, group.name.as_str(), "")?,
        };
        let disk = Disk {
            common: group.common(),
            disk: Some(new.id.clone()),
            access: new.access.clone(),
            public_len: new.public_len,
            private_len: new.private_len,
            serial: group.serial,
            spare: false,
            nohotuse: false,
            reserve: false,
            failing: false,
            removed: false,
        };
        group.disks.insert(name, disk);
    }
    Ok(())
}

/// What is known of a free disk.
fn find<'a>(group: &Group, access: &str, env: &Env<'a>) -> Result<&'a NewDisk, Refused> {
    let owned = || Refused::Owned { access: access.to_owned(), group: group.name.clone() };
    let known = env.disks.iter().find(|disk| disk.access == access);
    let Some(new) = known else {
        let mut members = group.disks.values();
        let member = members.any(|disk| disk.disk.is_some() && disk.access == access);
        return Err(if member { owned() } else { Refused::NoDevice(access.to_owned()) });
    };
    let member = group.disks.values().any(|disk| disk.disk.as_ref() == Some(&new.id));
    if member { Err(owned()) } else { Ok(new) }
}

/// `vxdg rmdisk`. With `keep` the records stay and wait for another disk.
pub(super) fn remove(group: &mut Group, names: &[Name], keep: bool) -> Result<(), Refused> {
    for name in names {
        check_member(group, name)?;
        if keep {
            take_out(group, name)?;
        } else if !subdisks_on(group, name).is_empty() {
            return Err(Refused::OnDisk(name.clone()));
        } else {
            group.disks.remove(name);
        }
    }
    check_copies(group)
}

/// A group without disks has nowhere to keep its configuration.
pub(super) fn check_copies(group: &Group) -> Result<(), Refused> {
    let left = group.disks.values().any(|disk| disk.disk.is_some());
    if left { Ok(()) } else { Err(Refused::LastCopy) }
}

fn check_member(group: &Group, name: &Name) -> Result<(), Refused> {
    match group.kind_of(name.as_str()) {
        Some(Kind::Disk) => Ok(()),
        Some(kind @ (Kind::Plex | Kind::Subdisk | Kind::Volume)) => {
            Err(Refused::WrongKind { expected: "disk", name: name.clone(), kind })
        }
        None => Err(Refused::Missing { what: "disk", name: name.clone() }),
    }
}

fn subdisks_on(group: &Group, disk: &Name) -> BTreeSet<Name> {
    let on = group.subdisks.iter().filter(|(_, subdisk)| match &subdisk.source {
        Source::Disk { dm, .. } => dm == disk,
        Source::Volume(_) => false,
    });
    on.map(|(name, _)| name.clone()).collect()
}

/// Plexes that lie on a disk, if only in part.
fn plexes_on(group: &Group, disk: &Name) -> Vec<Name> {
    let subdisks = subdisks_on(group, disk);
    let on = |plex: &Plex| plex.subdisks().any(|subdisk| subdisks.contains(subdisk));
    group.plexes.iter().filter(|(_, plex)| on(plex)).map(|(name, _)| name.clone()).collect()
}

/// The member has no disk any more. Plexes on it are not used; a volume that is enabled keeps a
/// complete plex, or else nothing is done.
fn take_out(group: &mut Group, name: &Name) -> Result<(), Refused> {
    match without_disk(group, name).into_iter().next() {
        Some(volume) => Err(Refused::NoCopy(volume)),
        None => Ok(()),
    }
}

/// The same of a disk that is gone, whatever that means: a volume that has no complete plex left is
/// disabled.
pub fn lose_disk(group: &mut Group, name: &Name) {
    for volume in without_disk(group, name) {
        if let Some(volume) = group.volumes.get_mut(&volume) {
            volume.kernel = KernelState::Disabled;
        }
    }
}

/// Takes the disk of a member out; volumes that are enabled and have no complete plex then.
fn without_disk(group: &mut Group, name: &Name) -> Vec<Name> {
    let plexes = plexes_on(group, name);
    for plex in &plexes {
        if let Some(plex) = group.plexes.get_mut(plex) {
            plex.kernel = KernelState::Disabled;
            if plex.state != PlexState::Log {
                plex.state = PlexState::Removed;
            }
        }
    }
    let mut unserved = Vec::new();
    for plex in &plexes {
        let Some((volume_name, volume)) = group.volume_of(plex) else { continue };
        let mut data = tree::data_plexes(group, volume);
        let served = data.any(|(_, plex)| tree::is_current(group, volume, plex));
        if volume.kernel == KernelState::Enabled && !served {
            unserved.push(volume_name.clone());
        }
    }
    if let Some(disk) = group.disks.get_mut(name) {
        disk.disk = None;
        disk.removed = true;
    }
    unserved
}

/// `vxdg repldisk`, and `adddisk -k`
pub(super) fn replace(
    group: &mut Group,
    pairs: &[(Name, String)],
    env: &Env<'_>,
) -> Result<(), Refused> {
    for (name, access) in pairs {
        check_member(group, name)?;
        let new = find(group, access, env)?.clone();
        let used = end_of_use(group, name);
        let Some(disk) = group.disks.get_mut(name) else { continue };
        if disk.disk.is_some() {
            let what = format!("Disk {name} is there: only one that was taken out is replaced");
            return Err(Refused::Invalid(what));
        }
        if new.public_len < used {
            let what = format!(
                "Device {access} is too small for disk {name}: {} sectors, and {used} are needed",
                new.public_len
            );
            return Err(Refused::Invalid(what));
        }
        disk.disk = Some(new.id);
        disk.access = new.access;
        disk.public_len = new.public_len;
        disk.private_len = new.private_len;
        disk.serial = group.serial;
        disk.removed = false;
        disk.failing = false;
        for plex in plexes_on(group, name) {
            bring_back(group, &plex);
        }
    }
    Ok(())
}

/// Where the last subdisk of a disk ends.
fn end_of_use(group: &Group, disk: &Name) -> Sectors {
    let ends = group.subdisks.values().filter_map(|subdisk| match &subdisk.source {
        Source::Disk { dm, offset } if dm == disk => Some(offset.saturating_add(subdisk.len)),
        Source::Disk { .. } | Source::Volume(_) => None,
    });
    ends.max().unwrap_or(0)
}

/// All disks of a plex may be there again: then it waits for a recovery, because a new disk has
/// nothing on it. Log plexes are enabled when the volume is started, or logs are added.
fn bring_back(group: &mut Group, name: &Name) {
    let Some(plex) = group.plexes.get(name) else { return };
    let disks = tree::disks_of_pieces(group, &plex.pieces);
    let here = |disk: &Name| group.disks.get(disk).is_some_and(|disk| disk.disk.is_some());
    let empty = group.volume_of(name).is_some_and(|(_, v)| v.state == VolumeState::Empty);
    let waits = matches!(plex.state, PlexState::Removed | PlexState::NoDevice);
    if waits && disks.iter().all(here) {
        let state = if empty { PlexState::Empty } else { PlexState::Recover };
        if let Some(plex) = group.plexes.get_mut(name) {
            plex.state = state;
        }
    }
}

//! `vxplex att`, `det` and `dis` (facts 1.3, 4.4): plexes become copies of a volume, stop being read
//! and written, or leave it. Nothing is copied here: that follows from the states.

use std::collections::BTreeSet;

use super::{mirror, run, tree};
use crate::model::group::{Group, Kind};
use crate::model::ids::Name;
use crate::model::record::{Plex, Volume};
use crate::model::refused::Refused;
use crate::model::states::{KernelState, LogType, PlexState, VolumeState};

/// `vxplex att`: of a volume that is started they are copied to, else when it is started.
pub(super) fn attach(
    group: &mut Group,
    name: &Name,
    plexes: &[Name],
    force: bool,
) -> Result<(), Refused> {
    check_some(plexes)?;
    let volume = tree::volume(group, name)?;
    let states = mirror::begin(volume);
    if volume.kernel == KernelState::Enabled && !tree::has_copy(group, volume, |_| true) {
        let what = format!("Volume {name} has no complete plex that others could be copied from");
        return Err(Refused::Invalid(what));
    }
    for plex in plexes {
        let volume = tree::volume(group, name)?;
        check_attach(group, (name, volume), plex, force)?;
        if !volume.plexes.contains(plex) {
            mirror::associate(group, name, plex.clone());
        }
        let Some(record) = group.plexes.get_mut(plex) else { continue };
        (record.kernel, record.state) = states;
        let logged = record.log.is_some();
        if states.0 == KernelState::Enabled {
            run::enable_layers(group, plex);
        }
        if let Some(volume) = group.volumes.get_mut(name)
            && logged
            && volume.log_type == LogType::None
        {
            volume.log_type = LogType::Region;
        }
    }
    Ok(())
}

fn check_some(plexes: &[Name]) -> Result<(), Refused> {
    let none = || Refused::Invalid("at least one plex is named".to_owned());
    if plexes.is_empty() { Err(none()) } else { Ok(()) }
}

/// The record with this name, which has to be a plex.
pub(super) fn plex<'a>(group: &'a Group, name: &Name) -> Result<&'a Plex, Refused> {
    let missing = || Refused::Missing { what: "plex", name: name.clone() };
    match group.kind_of(name.as_str()).ok_or_else(missing)? {
        Kind::Plex => group.plexes.get(name).ok_or_else(missing),
        kind @ (Kind::Disk | Kind::Subdisk | Kind::Volume) => {
            Err(Refused::WrongKind { expected: "plex", name: name.clone(), kind })
        }
    }
}

fn check_attach(
    group: &Group,
    (name, volume): (&Name, &Volume),
    plex_name: &Name,
    force: bool,
) -> Result<(), Refused> {
    let plex = plex(group, plex_name)?;
    let wrong = |what: String| Err(Refused::Invalid(format!("Plex {plex_name} {what}")));
    if plex.is_log_only() {
        return wrong("is a log: vxassist addlog gives a volume one".to_owned());
    }
    match group.volume_of(plex_name) {
        Some((user, _)) if user != name => {
            let (name, user) = (plex_name.clone(), user.clone());
            return Err(Refused::InUse { what: "Plex", name, user });
        }
        Some(_) => check_is_off(volume, plex_name, plex)?,
        None if volume.layer && !tree::layers(group, plex).is_empty() => {
            return wrong(format!("consists of volumes, and volume {name} is a layer itself"));
        }
        None => {}
    }
    // Nothing is copied to what has no data, nor from it.
    let is_empty = volume.state == VolumeState::Empty;
    let good = if is_empty { tree::is_any } else { tree::is_good };
    if !tree::is_there(group, plex, good) {
        let has_layers = !tree::layers(group, plex).is_empty();
        let what =
            if has_layers { "a layer that cannot be started" } else { "a disk that is gone" };
        return wrong(format!("has {what}"));
    }
    if !force && !tree::is_complete(group, volume.len, plex) {
        let len = volume.len;
        return wrong(format!("is sparse: it has not all {len} sectors of volume {name} (-f)"));
    }
    Ok(())
}

/// A plex of the volume needs a copy, and may have one.
fn check_is_off(volume: &Volume, name: &Name, plex: &Plex) -> Result<(), Refused> {
    let wrong = |what: &str| Err(Refused::Invalid(format!("Plex {name} {what}")));
    if plex.is_being_copied() {
        return wrong("is being copied already");
    }
    match plex.state {
        PlexState::Active | PlexState::Clean | PlexState::Empty => {
            // What is off while the volume runs misses writes, whatever it says of itself.
            if plex.kernel == KernelState::Enabled {
                wrong("is attached already")
            } else if volume.kernel == KernelState::Disabled && plex.state != PlexState::Empty {
                wrong(&format!("is {}: it needs no copy", plex.state))
            } else {
                Ok(())
            }
        }
        PlexState::IoFail
        | PlexState::NoDevice
        | PlexState::Recover
        | PlexState::Removed
        | PlexState::Stale => Ok(()),
        PlexState::Log => wrong("is a log"),
        PlexState::Offline => wrong("is OFFLINE: vxmend on takes it back first"),
        PlexState::SnapAtt
        | PlexState::SnapDis
        | PlexState::SnapDone
        | PlexState::SnapTmp
        | PlexState::Temp
        | PlexState::TempRm
        | PlexState::TempRmSd => {
            wrong(&format!("is {}: it belongs to another operation", plex.state))
        }
    }
}

/// `vxplex det`: they miss writes from now on. A volume that is started keeps a complete plex
/// whatever the force.
pub(super) fn detach(group: &mut Group, plexes: &[Name], force: bool) -> Result<(), Refused> {
    let volumes = volumes_of(group, plexes)?;
    for name in plexes {
        check_is_on(group, name)?;
    }
    for name in &volumes {
        let volume = tree::volume(group, name)?;
        let started = volume.kernel != KernelState::Disabled;
        if !keeps_copy(group, volume, plexes) && (started || !force) {
            return Err(Refused::NoCopy(name.clone()));
        }
        let kernel = if started { KernelState::Detached } else { KernelState::Disabled };
        let own: Vec<Name> =
            volume.plexes.iter().filter(|plex| plexes.contains(plex)).cloned().collect();
        for plex in own {
            if let Some(plex) = group.plexes.get_mut(&plex) {
                (plex.kernel, plex.state) = (kernel, PlexState::Stale);
            }
        }
    }
    Ok(())
}

/// The volumes of some plexes; all of them have to belong to one.
fn volumes_of(group: &Group, plexes: &[Name]) -> Result<BTreeSet<Name>, Refused> {
    check_some(plexes)?;
    let volume = |name: &Name| {
        plex(group, name)?;
        let none = || Refused::Invalid(format!("Plex {name} belongs to no volume"));
        group.volume_of(name).map(|(volume, _)| volume.clone()).ok_or_else(none)
    };
    plexes.iter().map(volume).collect()
}

fn check_is_on(group: &Group, name: &Name) -> Result<(), Refused> {
    let record = plex(group, name)?;
    let wrong = |what: String| Err(Refused::Invalid(format!("Plex {name} {what}")));
    if record.is_log_only() {
        return wrong("is a log: vxassist remove log takes it away".to_owned());
    }
    let started =
        group.volume_of(name).is_some_and(|(_, volume)| volume.kernel != KernelState::Disabled);
    let is_on = record.kernel == KernelState::Enabled || !started && tree::is_good(record.state);
    if is_on { Ok(()) } else { wrong(format!("is off already: {}", record.state)) }
}

/// Without these plexes a volume has a copy of its data, or it has no data.
fn keeps_copy(group: &Group, volume: &Volume, plexes: &[Name]) -> bool {
    let has_data = volume.state != VolumeState::Empty || volume.kernel == KernelState::Enabled;
    !has_data || tree::has_copy(group, volume, |name| !plexes.contains(name))
}

/// `vxplex dis`: a volume that has no good plex left is not started any more.
pub(super) fn dissociate(
    group: &mut Group,
    plexes: &[Name],
    remove: bool,
    force: bool,
) -> Result<(), Refused> {
    for name in volumes_of(group, plexes)? {
        let volume = tree::volume(group, &name)?;
        let is_data =
            |plex: &&Name| group.plexes.get(*plex).is_some_and(|record| !record.is_log_only());
        let own: Vec<Name> =
            volume.plexes.iter().filter(|plex| plexes.contains(plex)).cloned().collect();
        let lost = own.iter().any(|plex| is_data(&plex)) && !keeps_copy(group, volume, plexes);
        // Without its last copy a layer would leave the volume above it with holes.
        if lost && (!force || volume.layer) {
            return Err(Refused::NoCopy(name));
        }
        for plex in own {
            release(group, &name, &plex);
            if remove {
                tree::remove_plex(group, &plex);
            }
        }
        if lost {
            run::rest(group, &name, false);
        }
        tree::settle(group, &name);
    }
    Ok(())
}

/// Takes a plex from its volume; it is stale from now on.
pub(super) fn release(group: &mut Group, volume: &Name, name: &Name) {
    let Some(volume) = group.volumes.get_mut(volume) else { return };
    volume.plexes.retain(|plex| plex != name);
    let is_empty = volume.state == VolumeState::Empty;
    let Some(plex) = group.plexes.get_mut(name) else { return };
    plex.kernel = KernelState::Disabled;
    plex.forget_moves();
    // What these say of the log and of disks stays true.
    if !matches!(plex.state, PlexState::Log | PlexState::NoDevice | PlexState::Removed) {
        plex.state = if is_empty { PlexState::Empty } else { PlexState::Stale };
    }
    let layers = group.plexes.get(name).map(|plex| tree::layers(group, plex));
    layers.into_iter().flatten().for_each(|layer| run::rest(group, &layer, false));
}

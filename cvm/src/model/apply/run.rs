//! `vxvol`: volumes are started, stopped and declared to have data, and how they are read (facts 1.2,
//! 1.3, 2.2). The layers of a layered volume follow it.
//!
//! | before a start | after it |
//! |---|---|
//! | plex ACTIVE or CLEAN | ENABLED ACTIVE |
//! | plex STALE or EMPTY, complete | ENABLED STALE: it is copied to |
//! | plex IOFAIL, OFFLINE, RECOVER | DETACHED, as it is: `vxplex att`, `vxrecover` |
//! | plex TEMP, TEMPRM, TEMPRMSD, SNAPATT | gone: what it belonged to was never finished |
//! | plex SNAPDONE | ENABLED SNAPATT: it is filled anew |
//! | volume CLEAN, or with one good plex | ACTIVE |
//! | any other | SYNC: its good plexes may differ, and are made equal |

use super::{attach, tree};
use crate::model::group::Group;
use crate::model::ids::Name;
use crate::model::op::InitVolume;
use crate::model::record::{Plex, Volume};
use crate::model::refused::Refused;
use crate::model::size::Sectors;
use crate::model::states::{KernelState, PlexState, ReadPolicy, VolumeState};

fn wrong(what: String) -> Refused {
    Refused::Invalid(what)
}

/// `vxvol start`: of two volumes of which one is being filled from the other both, for neither is of use
/// alone.
pub(super) fn start(group: &mut Group, name: &Name, force: bool) -> Result<(), Refused> {
    let Some(other) = group.filled_with(name).cloned() else {
        return start_one(group, name, force);
    };
    if tree::top(group, name)?.kernel == KernelState::Enabled {
        // With the other one.
        return Ok(());
    }
    start_one(group, name, force)?;
    let started = start_one(group, &other, force);
    let is_filled = group.volumes.get(name).is_some_and(|volume| volume.fill.is_some());
    let has_map = !group.map_places(if is_filled { name } else { &other }).is_empty();
    if (started.is_err() || !has_map) && !is_filled {
        // Nothing is kept from changing for it any more.
        group.volumes.get_mut(&other).into_iter().for_each(Volume::spoil);
        return Ok(());
    }
    started
}

fn start_one(group: &mut Group, name: &Name, force: bool) -> Result<(), Refused> {
    let volume = tree::top(group, name)?;
    if volume.kernel == KernelState::Enabled {
        return Err(wrong(format!("Volume {name} is started already")));
    }
    if volume.state == VolumeState::Invalid {
        let what = format!("Volume {name} is INVALID: it was not filled to the end");
        return Err(wrong(format!("{what} (vxsnap refresh)")));
    }
    if volume.state == VolumeState::Empty {
        return Err(wrong(format!("Volume {name} is EMPTY: vxvol init says what it begins with")));
    }
    drop_unfinished(group, name);
    if force {
        declare(group, name)?;
    }
    if !tree::serves(group, name, tree::is_good) {
        return Err(Refused::Unstartable(name.clone()));
    }
    if enable(group, name, true)
        && let Some(volume) = group.volumes.get_mut(name)
    {
        volume.state = VolumeState::Sync;
    }
    Ok(())
}

/// What an operation of several steps has left behind goes (facts 1.3).
fn drop_unfinished(group: &mut Group, name: &Name) {
    let plexes = group.volumes.get(name).map(|volume| volume.plexes.clone());
    for name_of_plex in plexes.unwrap_or_default() {
        let Some(plex) = group.plexes.get(&name_of_plex) else { continue };
        match plex.state {
            PlexState::SnapDis | PlexState::SnapTmp | PlexState::Temp => {
                attach::release(group, name, &name_of_plex);
            }
            PlexState::TempRm => {
                attach::release(group, name, &name_of_plex);
                group.plexes.remove(&name_of_plex);
            }
            PlexState::SnapAtt | PlexState::TempRmSd => {
                attach::release(group, name, &name_of_plex);
                tree::remove_plex(group, &name_of_plex);
            }
            PlexState::Active
            | PlexState::Clean
            | PlexState::Empty
            | PlexState::IoFail
            | PlexState::Log
            | PlexState::NoDevice
            | PlexState::Offline
            | PlexState::Recover
            | PlexState::Removed
            | PlexState::SnapDone
            | PlexState::Stale => {}
        }
    }
    tree::settle(group, name);
}

/// Where no plex is good, the only one that may be is; the same in layers.
fn declare(group: &mut Group, name: &Name) -> Result<(), Refused> {
    if tree::serves(group, name, tree::is_good) {
        return Ok(());
    }
    let Some(volume) = group.volumes.get(name) else { return Ok(()) };
    let plexes = tree::data_plexes(group, volume);
    for layer in plexes.flat_map(|(_, plex)| tree::layers(group, plex)).collect::<Vec<_>>() {
        declare(group, &layer)?;
    }
    let volume = tree::volume(group, name)?;
    let may_be = |state| {
        let had_data = [PlexState::IoFail, PlexState::Recover, PlexState::Stale];
        tree::is_good(state) || had_data.contains(&state)
    };
    let candidates = tree::data_plexes(group, volume).filter(|(_, plex)| {
        let complete = tree::is_complete(group, volume.len, plex);
        may_be(plex.state) && complete && tree::is_there(group, plex, tree::is_good)
    });
    let candidates: Vec<Name> = candidates.map(|(name, _)| name.clone()).collect();
    match candidates.as_slice() {
        [] => Err(Refused::Unstartable(name.clone())),
        [only] => {
            if let Some(plex) = group.plexes.get_mut(only) {
                plex.state = PlexState::Active;
            }
            Ok(())
        }
        [..] => {
            let names: Vec<&str> = candidates.iter().map(Name::as_str).collect();
            let names = names.join(", ");
            let what =
                format!("Volume {name}: which of {names} has its data? vxmend fix clean says so");
            Err(wrong(what))
        }
    }
}

/// Whether plexes of it may differ, that will be read. `equal`: the volume above says that they do
/// not.
fn enable(group: &mut Group, name: &Name, equal: bool) -> bool {
    let Some(volume) = group.volumes.get_mut(name) else { return false };
    let equal = equal && volume.state == VolumeState::Clean;
    (volume.kernel, volume.state) = (KernelState::Enabled, VolumeState::Active);
    let (len, plexes) = (volume.len, volume.plexes.clone());
    let (mut good, mut clean, mut layers_differ) = (0, 0, false);
    for name in plexes {
        let Some(plex) = group.plexes.get(&name) else { continue };
        let (kernel, state) = started(group, len, plex);
        let is_good = state == PlexState::Active;
        good += usize::from(is_good);
        clean += usize::from(is_good && plex.state == PlexState::Clean);
        if kernel == KernelState::Enabled {
            for layer in tree::layers(group, plex) {
                // What is copied to is equal in the end.
                layers_differ |= enable(group, &layer, equal) && is_good;
            }
        }
        if let Some(plex) = group.plexes.get_mut(&name) {
            (plex.kernel, plex.state) = (kernel, state);
        }
    }
    layers_differ || good > 1 && !(equal && clean == good)
}

/// The layers of a plex that is to be copied to, and was off.
pub(super) fn enable_layers(group: &mut Group, plex: &Name) {
    let layers = group.plexes.get(plex).map(|plex| tree::layers(group, plex));
    for layer in layers.into_iter().flatten() {
        let volume = group.volumes.get(&layer);
        if volume.is_some_and(|volume| volume.kernel != KernelState::Enabled) {
            enable(group, &layer, false);
        }
    }
}

/// The states of a plex once its volume is started.
fn started(group: &Group, len: Sectors, plex: &Plex) -> (KernelState, PlexState) {
    let is_there = tree::is_there(group, plex, tree::is_good);
    let log_is_there = || {
        let disk = tree::disk_of_log(group, plex).and_then(|disk| group.disks.get(disk));
        disk.is_some_and(|disk| disk.disk.is_some())
    };
    match plex.state {
        PlexState::Active | PlexState::Clean if is_there => {
            (KernelState::Enabled, PlexState::Active)
        }
        PlexState::Empty | PlexState::Stale if is_there && tree::is_complete(group, len, plex) => {
            (KernelState::Enabled, PlexState::Stale)
        }
        PlexState::Active | PlexState::Clean | PlexState::Empty | PlexState::Stale => {
            (KernelState::Detached, PlexState::Stale)
        }
        // It was off, like all of them, but is not told from the others by more than its state.
        PlexState::SnapDone if is_there && tree::is_complete(group, len, plex) => {
            (KernelState::Enabled, PlexState::SnapAtt)
        }
        PlexState::Log if log_is_there() => (KernelState::Enabled, PlexState::Log),
        PlexState::Log | PlexState::NoDevice | PlexState::Removed => {
            (KernelState::Disabled, plex.state)
        }
        PlexState::IoFail
        | PlexState::Offline
        | PlexState::Recover
        | PlexState::SnapAtt
        | PlexState::SnapDis
        | PlexState::SnapDone
        | PlexState::SnapTmp
        | PlexState::Temp
        | PlexState::TempRm
        | PlexState::TempRmSd => (KernelState::Detached, plex.state),
    }
}

/// `vxvol stop`: of two volumes of which one is being filled from the other both.
pub(super) fn stop(group: &mut Group, name: &Name) -> Result<(), Refused> {
    let Some(other) = group.filled_with(name).cloned() else { return stop_one(group, name) };
    if tree::top(group, name)?.kernel == KernelState::Disabled {
        return Ok(());
    }
    stop_one(group, name)?;
    stop_one(group, &other)
}

fn stop_one(group: &mut Group, name: &Name) -> Result<(), Refused> {
    let volume = tree::top(group, name)?;
    if volume.kernel == KernelState::Disabled {
        return Err(wrong(format!("Volume {name} is not started")));
    }
    let equal = !volume.needs_sync() && volume.lost.is_empty();
    rest(group, name, equal);
    if let Some(volume) = group.volumes.get_mut(name) {
        volume.writers.clear();
        if !equal && volume.state != VolumeState::Invalid {
            // What was lost and not looked at yet nobody knows from here on.
            volume.by_map &= volume.lost.is_empty();
            if !volume.lost.is_empty() {
                volume.forget_changes();
            }
            volume.lost.clear();
            volume.state = VolumeState::NeedSync;
        }
    }
    Ok(())
}

/// A volume and its layers do not run any more. If their plexes are equal, they are CLEAN.
pub(super) fn rest(group: &mut Group, name: &Name, equal: bool) {
    let Some(volume) = group.volumes.get_mut(name) else { return };
    let ran = volume.kernel == KernelState::Enabled;
    volume.kernel = KernelState::Disabled;
    let has_missed_notes = |plex: &Plex| plex.log.is_some() && plex.kernel != KernelState::Enabled;
    let mut plexes = volume.plexes.iter().filter_map(|plex| group.plexes.get(plex));
    if ran && plexes.any(has_missed_notes) {
        // It is not told from the others by the next start.
        volume.forget_changes();
        volume.spoil();
        volume.kernel = KernelState::Disabled;
    }
    if ran && equal && volume.state == VolumeState::Active {
        volume.state = VolumeState::Clean;
    }
    for plex in volume.plexes.clone() {
        let Some(record) = group.plexes.get_mut(&plex) else { continue };
        let was_on = record.kernel == KernelState::Enabled;
        record.kernel = KernelState::Disabled;
        if ran && tree::is_good(record.state) {
            record.state = match (was_on, equal) {
                (true, true) => PlexState::Clean,
                (true, false) => PlexState::Active,
                // It missed what was written.
                (false, _) => PlexState::Stale,
            };
        }
        let layers = group.plexes.get(&plex).map(|plex| tree::layers(group, plex));
        layers.into_iter().flatten().for_each(|layer| rest(group, &layer, equal));
    }
}

/// `vxvol init`
pub(super) fn init(
    group: &mut Group,
    name: &Name,
    how: InitVolume,
    plex: Option<&Name>,
    force: bool,
) -> Result<(), Refused> {
    let volume = tree::volume(group, name)?;
    let (is_started, is_empty) =
        (volume.kernel != KernelState::Disabled, volume.state == VolumeState::Empty);
    // One that was enabled to be loaded becomes active.
    if is_started && !(is_empty && how == InitVolume::Active) {
        return Err(Refused::Enabled(name.clone()));
    }
    if !is_empty && !force {
        let what =
            format!("Volume {name} is {}: what it holds would count for nothing", volume.state);
        return Err(wrong(format!("{what} (-f)")));
    }
    let data: Vec<&Name> = tree::data_plexes(group, volume).map(|(name, _)| name).collect();
    match (how, plex) {
        (_, Some(plex)) if !data.contains(&plex) => {
            return Err(wrong(format!("Plex {plex} is no plex of volume {name} with data")));
        }
        (InitVolume::Enable, Some(_)) => {
            return Err(wrong("init enable enables all plexes: none is named".to_owned()));
        }
        (InitVolume::Clean, None) if data.len() > 1 => {
            return Err(wrong(format!("which plex of volume {name} is the good one?")));
        }
        (InitVolume::Active | InitVolume::Clean | InitVolume::Enable, _) => {}
    }
    let named = plex.and_then(|plex| group.plexes.get(plex));
    let is_usable = named.is_none_or(|plex| {
        tree::is_complete(group, volume.len, plex) && tree::is_there(group, plex, tree::is_any)
    });
    if !is_usable || !tree::serves(group, name, tree::is_any) {
        return Err(wrong(format!("Volume {name} has no complete plex with all its disks")));
    }
    begin(group, name, how, plex);
    Ok(())
}

/// Plexes that have not all their disks, or not all blocks, stay as they are.
fn begin(group: &mut Group, name: &Name, how: InitVolume, good: Option<&Name>) {
    let Some(volume) = group.volumes.get_mut(name) else { return };
    let (kernel, state) = match how {
        InitVolume::Active => (KernelState::Enabled, VolumeState::Active),
        InitVolume::Clean => (KernelState::Disabled, VolumeState::Clean),
        InitVolume::Enable => (KernelState::Enabled, VolumeState::Empty),
    };
    (volume.kernel, volume.state) = (kernel, state);
    let (len, plexes) = (volume.len, volume.plexes.clone());
    for name in plexes {
        let Some(plex) = group.plexes.get(&name) else { continue };
        if plex.is_log_only() {
            if kernel == KernelState::Enabled {
                let states = started(group, len, plex);
                set(group, &name, states);
            }
            continue;
        }
        if !tree::is_complete(group, len, plex) || !tree::is_there(group, plex, tree::is_any) {
            continue;
        }
        for layer in tree::layers(group, plex) {
            begin(group, &layer, how, None);
        }
        let state = match how {
            InitVolume::Enable => PlexState::Empty,
            InitVolume::Active | InitVolume::Clean if good.is_some_and(|good| *good != name) => {
                PlexState::Stale
            }
            InitVolume::Active => PlexState::Active,
            InitVolume::Clean => PlexState::Clean,
        };
        set(group, &name, (kernel, state));
    }
}

fn set(group: &mut Group, plex: &Name, (kernel, state): (KernelState, PlexState)) {
    if let Some(plex) = group.plexes.get_mut(plex) {
        (plex.kernel, plex.state) = (kernel, state);
    }
}

/// `vxvol rdpol`
pub(super) fn read_policy(
    group: &mut Group,
    name: &Name,
    policy: ReadPolicy,
    plex: Option<&Name>,
) -> Result<(), Refused> {
    let volume = tree::volume(group, name)?;
    let has = |plex: &Name| tree::data_plexes(group, volume).any(|(name, _)| name == plex);
    match (policy, plex) {
        (ReadPolicy::Prefer, Some(plex)) if !has(plex) => {
            return Err(wrong(format!("Plex {plex} is no plex of volume {name} with data")));
        }
        (ReadPolicy::Prefer, None) => {
            return Err(wrong("which plex is to be preferred?".to_owned()));
        }
        (ReadPolicy::Round | ReadPolicy::Select, Some(_)) => {
            return Err(wrong(format!("{policy} prefers no plex: none is named")));
        }
        (ReadPolicy::Prefer, Some(_)) | (ReadPolicy::Round | ReadPolicy::Select, None) => {}
    }
    if let Some(volume) = group.volumes.get_mut(name) {
        (volume.read_policy, volume.preferred) = (policy, plex.cloned());
    }
    Ok(())
}

//! Third-mirror snapshots (facts 2.7): one more copy of a volume, which is broken off and becomes a
//! volume of its own.
//!
//! ```text
//! snapstart -> SNAPATT, copied to like any new plex -> SNAPDONE, written like the others and read by nobody
//! snapshot  -> the plex, with what programs had written until then, is that of a new volume
//! snapback  -> it is SNAPATT again in the volume that it came from, and the new volume is gone
//! ```
//! Where the volume has a dirty region log, its changes are noted there from `snapshot` on, under a
//! number; a snapshot that nobody has written, and its plex when it comes back, name that number, and
//! only those changes are copied ([`Group::noted`]). Nothing is copied here: that follows from the states. What belongs together is kept as the rid of
//! the first volume, which renaming does not change; of a volume that is removed nobody is a snapshot.

use std::collections::BTreeSet;

use super::mirror::{self, Mirrors};
use super::{Env, attach, free_minor, log, tree};
use crate::model::group::Group;
use crate::model::ids::Name;
use crate::model::op::{Storage, VolumeLayout};
use crate::model::record::{Plex, Volume};
use crate::model::refused::Refused;
use crate::model::states::{KernelState, LogType, PlexState, ReadPolicy, VolumeState};

/// A new plex of a volume that is started, to be broken off.
const BEGUN: (KernelState, PlexState) = (KernelState::Enabled, PlexState::SnapAtt);

/// `vxassist snapstart`: adds plexes that are filled, and then kept equal to the others.
pub(super) fn start(
    group: &mut Group,
    name: &Name,
    count: u16,
    layout: Option<VolumeLayout>,
    storage: &[Storage],
) -> Result<(), Refused> {
    let volume = single_layer(group, name)?;
    check_is_on(name, volume)?;
    if volume.state == VolumeState::Empty {
        let what = format!("Volume {name} is EMPTY: there is nothing to keep of it");
        return Err(Refused::Invalid(what));
    }
    let mirrors = Mirrors::of(group, name, count, storage)?;
    let layout = mirrors.layout(group, layout)?;
    mirrors.add_plexes(group, layout, BEGUN)
}

/// `vxassist snapabort`: plexes that were to be broken off go.
pub(super) fn abort(group: &mut Group, name: &Name) -> Result<(), Refused> {
    let volume = tree::top(group, name)?;
    let is_one = |state| matches!(state, PlexState::SnapAtt | PlexState::SnapDone);
    let plexes = tree::data_plexes(group, volume).filter(|(_, plex)| is_one(plex.state));
    let plexes: Vec<Name> = plexes.map(|(name, _)| name.clone()).collect();
    if plexes.is_empty() {
        return Err(Refused::Invalid(format!("Volume {name} has no snapshot mirror")));
    }
    for plex in plexes {
        attach::release(group, name, &plex);
        tree::remove_plex(group, &plex);
    }
    tree::settle(group, name);
    Ok(())
}

/// `vxassist snapshot`: breaks plexes off, which become those of a new volume.
pub(super) fn break_off(
    group: &mut Group,
    name: &Name,
    snapshot: Option<&Name>,
    count: u16,
    env: &Env<'_>,
) -> Result<(), Refused> {
    let volume = tree::top(group, name)?;
    check_is_on(name, volume)?;
    if volume.may_differ() {
        let what =
            format!("Volume {name} is in recovery: its copies may differ until that is over");
        return Err(Refused::Invalid(what));
    }
    check_is_filled(name, volume)?;
    let is_ready = |plex: &Plex| {
        let is_full = (plex.kernel, plex.state) == (KernelState::Enabled, PlexState::SnapDone);
        is_full && is_there(group, volume, plex)
    };
    let ready = tree::data_plexes(group, volume).filter(|(_, plex)| is_ready(plex));
    let plexes: Vec<Name> = ready.map(|(name, _)| name.clone()).take(count.into()).collect();
    if count == 0 || plexes.len() < usize::from(count) {
        return Err(Refused::NoSnapshot(name.clone()));
    }
    let original = volume.clone();
    let snapshot = match snapshot {
        Some(snapshot) => snapshot.clone(),
        None => name_for(name)?,
    };
    if group.kind_of(snapshot.as_str()).is_some() {
        return Err(Refused::Exists(snapshot));
    }
    for plex in &plexes {
        attach::release(group, name, plex);
        if let Some(plex) = group.plexes.get_mut(plex) {
            (plex.kernel, plex.state) = (KernelState::Enabled, PlexState::Active);
        }
    }
    tree::settle(group, name);
    let since = begin_notes(group, name, plexes.len(), env);
    let volume = Volume {
        common: group.common(),
        kernel: KernelState::Enabled,
        state: VolumeState::Active,
        read_policy: ReadPolicy::Select,
        preferred: None,
        minor: free_minor(group, env)?,
        log_type: LogType::None,
        permissions: original.permissions.clone(),
        plexes,
        writers: BTreeSet::new(),
        lost: BTreeSet::new(),
        by_map: false,
        snapshot_of: Some(original.common.rid),
        changes: 0,
        changers: BTreeSet::new(),
        since,
        fill: None,
        ..original
    };
    group.volumes.insert(snapshot.clone(), volume);
    if let Some(volume) = group.volumes.get_mut(&snapshot)
        && volume.plexes.len() > 1
    {
        // A write that was not answered may be on one of them only, and nobody makes it anew here.
        volume.needs_full_sync();
    }
    Ok(())
}

/// From here on the changes of the volume are noted, if its logs have room for that; the number of them.
/// Of several snapshots all use the notes of the first: it is noted more than the later ones need, and
/// nothing is noted twice. Copies that go together may differ from each other, and are copied as a whole.
fn begin_notes(group: &mut Group, name: &Name, plexes: usize, env: &Env<'_>) -> Option<u32> {
    let begun = group.noted(name);
    let is_short = !log::short_logs(group, name, env).is_empty();
    let is_new = begun.is_none();
    let volume = group.volumes.get(name)?;
    let has_room = volume.writers.iter().all(|node| group.has_room(name, *node));
    let has_logs = !group.map_places(name).is_empty() && !is_short && has_room;
    let may = group.has_copies(volume) && has_logs;
    if plexes != 1 || is_new && !may {
        return None;
    }
    let volume = group.volumes.get_mut(name)?;
    if is_new {
        volume.changes = volume.changes.checked_add(1)?;
        volume.changers.clone_from(&volume.writers);
    }
    Some(volume.changes)
}

/// `vxassist snapback`: the plexes of a snapshot become snapshot mirrors of its volume again, and the
/// snapshot is gone. `from_replica`: what it holds is what the volume holds from then on.
pub(super) fn back(group: &mut Group, name: &Name, from_replica: bool) -> Result<(), Refused> {
    let snapshot = tree::top(group, name)?;
    let (original, volume) = original_of(group, name, snapshot)?;
    if snapshot.len != volume.len {
        let (own, other) = (snapshot.len, volume.len);
        let what =
            format!("Snapshot {name} has {own} sectors, volume {original} {other}: neither fits");
        return Err(Refused::Invalid(what));
    }
    check_is_filled(name, snapshot)?;
    check_plexes(group, (name, snapshot), volume)?;
    if from_replica {
        if volume.kernel != KernelState::Disabled {
            return Err(Refused::Enabled(original));
        }
        check_is_whole(group, name, snapshot)?;
    } else {
        check_is_on(&original, volume)?;
    }
    let plexes = |volume: &Volume| -> Vec<Name> {
        tree::data_plexes(group, volume).map(|(name, _)| name.clone()).collect()
    };
    let (own, others) = (plexes(snapshot), plexes(volume));
    let since = snapshot.since.filter(|since| !from_replica && *since == volume.changes);
    let states = if from_replica { (KernelState::Disabled, PlexState::Clean) } else { BEGUN };
    for plex in &own {
        let is_good = |plex: &Plex| plex.is_current() || plex.state == PlexState::Clean;
        let is_good = group.plexes.get(plex).is_some_and(is_good);
        attach::release(group, name, plex);
        if let Some(plex) = group.plexes.get_mut(plex) {
            plex.since = since.filter(|_| is_good);
            (plex.kernel, plex.state) = states;
        }
        mirror::associate(group, &original, plex.clone());
    }
    for plex in others.iter().filter(|_| from_replica) {
        if let Some(plex) = group.plexes.get_mut(plex)
            && tree::is_good(plex.state)
        {
            plex.state = PlexState::Stale;
        }
    }
    // What is left of it are logs.
    tree::remove_volume(group, name);
    Ok(())
}

/// `vxassist snapclear`: the snapshot is a volume like any other.
pub(super) fn clear(group: &mut Group, name: &Name) -> Result<(), Refused> {
    let snapshot = tree::top(group, name)?;
    if snapshot.snapshot_of.is_none() {
        return Err(no_snapshot(name));
    }
    check_is_filled(name, snapshot)?;
    if let Some(volume) = group.volumes.get_mut(name) {
        (volume.snapshot_of, volume.since) = (None, None);
    }
    Ok(())
}

/// What a layered volume is made equal by are maps of its layers, which know nothing of a plex above
/// them.
fn single_layer<'a>(group: &'a Group, name: &Name) -> Result<&'a Volume, Refused> {
    let volume = tree::top(group, name)?;
    if tree::leaves(group, name) == [name.clone()] {
        Ok(volume)
    } else {
        Err(Refused::Invalid(format!("Volume {name} is layered: there are no snapshots of it")))
    }
}

/// All that a snapshot consists of can be filled with what the volume holds.
fn check_plexes(
    group: &Group,
    (name, snapshot): (&Name, &Volume),
    volume: &Volume,
) -> Result<(), Refused> {
    let mut plexes = tree::data_plexes(group, snapshot).peekable();
    if plexes.peek().is_none() {
        return Err(Refused::Invalid(format!("Snapshot {name} has no plex")));
    }
    if let Some((plex, _)) = plexes.find(|(_, plex)| !is_there(group, volume, plex)) {
        let what = format!(
            "Plex {plex} of snapshot {name} cannot be filled: it is sparse or layered, or a disk of it \
             is gone (vxplex -o rm dis {plex} removes it)"
        );
        return Err(Refused::Invalid(what));
    }
    Ok(())
}

/// The plex has room for every block of the volume, on disks that are there.
fn is_there(group: &Group, volume: &Volume, plex: &Plex) -> bool {
    tree::is_complete(group, volume.len, plex)
        && tree::is_there(group, plex, tree::is_any)
        && tree::layers(group, plex).is_empty()
}

fn check_is_on(name: &Name, volume: &Volume) -> Result<(), Refused> {
    if volume.kernel == KernelState::Enabled {
        Ok(())
    } else {
        Err(Refused::Invalid(format!("Volume {name} is not started")))
    }
}

fn check_is_filled(name: &Name, volume: &Volume) -> Result<(), Refused> {
    if volume.fill.is_none() {
        return Ok(());
    }
    Err(Refused::Invalid(format!("Volume {name} is being filled (vxsnap syncwait)")))
}

/// All plexes of a snapshot that is stopped, or is about to be, hold the same.
fn check_is_whole(group: &Group, name: &Name, snapshot: &Volume) -> Result<(), Refused> {
    let is_good = tree::data_plexes(group, snapshot).all(|(_, plex)| tree::is_good(plex.state));
    let has_none = matches!(snapshot.state, VolumeState::Empty | VolumeState::Invalid);
    if is_good && !has_none && !snapshot.may_differ() {
        return Ok(());
    }
    let what = format!("Snapshot {name} has plexes that differ, or are off: it is recovered first");
    Err(Refused::Invalid(what))
}

fn original_of<'a>(
    group: &'a Group,
    name: &Name,
    snapshot: &Volume,
) -> Result<(Name, &'a Volume), Refused> {
    if snapshot.snapshot_of.is_none() {
        return Err(no_snapshot(name));
    }
    let original = group.original_of(snapshot).map(|(name, volume)| (name.clone(), volume));
    original.ok_or_else(|| {
        Refused::Invalid(format!("The volume that {name} is a snapshot of does not exist any more"))
    })
}

fn no_snapshot(name: &Name) -> Refused {
    Refused::Invalid(format!("Volume {name} is no snapshot"))
}

/// As the original does: `SNAP-vol1`.
fn name_for(volume: &Name) -> Result<Name, Refused> {
    let name = format!("SNAP-{volume}");
    Name::new(&name).map_err(|error| Refused::Invalid(format!("{name}: {error}")))
}

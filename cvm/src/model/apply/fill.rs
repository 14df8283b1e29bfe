//! Full-sized instant snapshots (facts 2.7): a volume holds at once what another one held at that moment,
//! and is filled meanwhile.
//!
//! ```text
//! make, refresh   the snapshot is filled from the volume
//! restore         the volume is filled from the snapshot
//! ```
//! What is filled is in the fill maps of its logs, so it has to have some (`prepare`). Nothing is copied
//! here: whoever does volume I/O sees to it that no region of the other volume is changed, and none of
//! this one is used, before it is filled ([`crate::model::Fill`]).

use super::{Env, log, run, tree};
use crate::disk::{DrlShape, FILL_MAP};
use crate::model::group::Group;
use crate::model::ids::Name;
use crate::model::op::{FillReason, Storage};
use crate::model::record::{Fill, Volume};
use crate::model::refused::Refused;
use crate::model::states::{KernelState, LogType, VolumeState};

fn wrong(what: String) -> Refused {
    Refused::Invalid(what)
}

/// `vxsnap prepare`
pub(super) fn prepare(
    group: &mut Group,
    name: &Name,
    count: u16,
    storage: &[Storage],
    env: &Env<'_>,
) -> Result<(), Refused> {
    let volume = tree::top(group, name)?;
    if volume.log_type != LogType::None {
        return Err(wrong(format!("Volume {name} is prepared already: it has logs")));
    }
    log::add_any(group, name, (LogType::Region, count, None), storage, env)
}

/// `vxsnap unprepare`
pub(super) fn unprepare(group: &mut Group, name: &Name) -> Result<(), Refused> {
    tree::top(group, name)?;
    let mut is_prepared = false;
    for leaf in tree::leaves(group, name) {
        let volume = tree::volume(group, &leaf)?;
        let logs: Vec<Name> =
            tree::log_plexes(group, volume).map(|(name, _)| name.clone()).collect();
        is_prepared |= !logs.is_empty();
        logs.iter().for_each(|plex| log::detach(group, &leaf, plex));
        tree::settle(group, &leaf);
    }
    if is_prepared {
        Ok(())
    } else {
        Err(wrong(format!("Volume {name} is not prepared: it has no logs")))
    }
}

/// `vxsnap make`, `refresh`, `restore`: `name` is filled from `source`.
pub(super) fn fill(
    group: &mut Group,
    name: &Name,
    source: &Name,
    why: FillReason,
) -> Result<(), Refused> {
    let (volume, from) = (tree::top(group, name)?, tree::top(group, source)?);
    check_relation(group, (name, volume), (source, from), why)?;
    if volume.len != from.len {
        let (own, other) = (volume.len, from.len);
        let what = format!("Volume {name} has {own} sectors, volume {source} {other}");
        return Err(wrong(format!("{what}: they have to be as long as each other")));
    }
    for (name, volume) in [(name, volume), (source, from)] {
        if volume.fill.is_some() || group.filled_from(volume.common.rid).is_some() {
            let other = group.filled_with(name).map_or("", Name::as_str);
            let what = format!("Volume {name} and {other}: one is being filled from the other");
            return Err(wrong(format!("{what} (vxsnap syncwait)")));
        }
    }
    check_source(source, from)?;
    check_target(group, name, volume)?;
    let from = from.common.rid;
    if volume.kernel != KernelState::Enabled
        && let Some(volume) = group.volumes.get_mut(name)
    {
        // It was to be filled before, and could not be.
        volume.state = VolumeState::Clean;
        run::start(group, name, false)?;
    }
    let id = group.common().rid;
    let Some(volume) = group.volumes.get_mut(name) else { return Ok(()) };
    volume.forget_changes();
    volume.state = VolumeState::Active;
    volume.by_map = false;
    volume.since = None;
    volume.fill = Some(Fill { from, id, is_begun: false });
    if why == FillReason::Make {
        volume.snapshot_of = Some(from);
    }
    if check_log(group, name) {
        return Ok(());
    }
    let what = format!("Volume {name} has no log that says what is filled (vxsnap prepare)");
    Err(wrong(what))
}

/// Who is whose snapshot.
fn check_relation(
    group: &Group,
    (name, volume): (&Name, &Volume),
    (source, from): (&Name, &Volume),
    why: FillReason,
) -> Result<(), Refused> {
    let is_right = match why {
        FillReason::Make => {
            if name == source {
                return Err(wrong(format!("Volume {name} cannot be a snapshot of itself")));
            }
            let mut volumes = group.volumes.values();
            let is_original = volumes.any(|v| v.snapshot_of == Some(volume.common.rid));
            if is_original || volume.snapshot_of.is_some() {
                let what = if is_original { "has snapshots" } else { "is a snapshot already" };
                return Err(wrong(format!("Volume {name} {what}")));
            }
            true
        }
        FillReason::Refresh => volume.snapshot_of == Some(from.common.rid),
        FillReason::Restore => from.snapshot_of == Some(volume.common.rid),
    };
    let (snapshot, original) =
        if why == FillReason::Restore { (source, name) } else { (name, source) };
    let what = || wrong(format!("Volume {snapshot} is no snapshot of volume {original}"));
    is_right.then_some(()).ok_or_else(what)
}

/// It holds one thing, which can be read.
fn check_source(name: &Name, volume: &Volume) -> Result<(), Refused> {
    if volume.kernel != KernelState::Enabled || volume.state == VolumeState::Empty {
        let what = format!("Volume {name} is {} {}", volume.kernel, volume.state);
        return Err(wrong(format!("{what}: there is nothing to be read of it")));
    }
    if volume.may_differ() {
        let what = "its copies may differ until that is over";
        return Err(wrong(format!("Volume {name} is in recovery: {what}")));
    }
    Ok(())
}

/// It can be written, and one map tells which of its regions are filled.
fn check_target(group: &Group, name: &Name, volume: &Volume) -> Result<(), Refused> {
    if tree::leaves(group, name) != [name.clone()] {
        return Err(wrong(format!("Volume {name} is layered: it cannot be filled")));
    }
    if volume.state == VolumeState::Invalid {
        return Ok(());
    }
    if volume.kernel != KernelState::Enabled || volume.state == VolumeState::Empty {
        let what = "is not started, or was never initialised (vxvol init active)";
        return Err(wrong(format!("Volume {name} {what}")));
    }
    if volume.may_differ() {
        return Err(wrong(format!("Volume {name} is in recovery: it is filled after that")));
    }
    Ok(())
}

fn check_log(group: &Group, name: &Name) -> bool {
    let mut places = group.map_places(name).into_iter().peekable();
    let len = |log| group.subdisks.values().find(|subdisk| subdisk.common.rid == log);
    let has_room = |place: crate::model::MapPlace| {
        let maps = len(place.log).map_or(0, |log| DrlShape::new(place.len).maps(log.len));
        FILL_MAP < maps
    };
    places.peek().is_some() && places.all(has_room)
}

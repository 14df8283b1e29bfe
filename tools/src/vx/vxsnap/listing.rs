//! `vxsnap print` and `list`: volumes with their snapshots, and mirrors that are to be broken off (facts
//! 2.7).

use std::fmt::Write;

use cvm::model::size::SECTOR;
use cvm::model::{Group, KernelState, Name, PlexState, Sectors, Volume, VolumeState};
use cvm::snapshot::Snapshot;
use serde::Serialize;

use super::volume_of;
use crate::common::Failure;
use crate::vx::view;

/// A volume that has snapshots, or is one, or is being filled.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Shown {
    volume: Name,
    length: Sectors,
    kernel: KernelState,
    state: VolumeState,
    /// The volume that it is a snapshot of, if that is still there.
    snapshot_of: Option<Name>,
    snapshots: Vec<Name>,
    /// What it is being filled from.
    source: Option<Name>,
    /// How much of it is filled, in hundredths of a per cent.
    valid: u32,
    /// What kind of snapshot it is.
    snaptype: Option<SnapType>,
    /// How much is copied if it comes back; nothing if only the maps of its volume say so.
    changed: Option<Sectors>,
    /// Mirrors that are to be broken off.
    mirrors: Vec<Mirror>,
    #[serde(skip)]
    group: Name,
}

/// Kinds of snapshots, in the words of the original. An instant one is told from one that was broken off by
/// its log, without which it cannot be filled (`refresh`).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum SnapType {
    FullInst,
    MirBrk,
}

impl SnapType {
    fn of(group: &Group, volume: &Volume) -> Option<Self> {
        volume.snapshot_of?;
        let mut plexes = volume.plexes.iter().filter_map(|plex| group.plexes.get(plex));
        let is_filled = volume.fill.is_some() || volume.state == VolumeState::Invalid;
        let is_instant = is_filled || plexes.any(|plex| plex.log.is_some());
        Some(if is_instant { Self::FullInst } else { Self::MirBrk })
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::FullInst => "fullinst",
            Self::MirBrk => "mirbrk",
        }
    }
}

/// A mirror that is to be broken off.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
struct Mirror {
    plex: Name,
    /// How much of it is filled, in hundredths of a per cent.
    valid: u32,
}

/// What there is to tell of these volumes, or of all.
///
/// # Errors
/// If one of them does not exist.
pub(super) fn shown(
    snapshot: &Snapshot,
    group_name: &Name,
    volumes: &[Name],
) -> Result<Vec<Shown>, Failure> {
    let group = view::still(snapshot, group_name)?;
    volumes.iter().try_for_each(|volume| volume_of(group, volume).map(drop))?;
    let mut shown = Vec::new();
    for (name, volume) in &group.volumes {
        let snapshots = group.volumes.iter().filter(|(_, other)| is_of(other, volume));
        let snapshots: Vec<Name> = snapshots.map(|(name, _)| name.clone()).collect();
        let source = group.source_of(volume).map(|(name, _)| name.clone());
        let mirrors = mirrors(snapshot, group, volume);
        let is_one = volume.snapshot_of.is_some() || source.is_some() || !mirrors.is_empty();
        if is_one || !snapshots.is_empty() || volumes.contains(name) {
            shown.push(Shown {
                volume: name.clone(),
                length: volume.len,
                kernel: volume.kernel,
                state: volume.state,
                snapshot_of: group.original_of(volume).map(|(name, _)| name.clone()),
                snapshots,
                source,
                valid: valid(snapshot, group, name, volume),
                snaptype: SnapType::of(group, volume),
                changed: changed(group, volume),
                mirrors,
                group: group.name.clone(),
            });
        }
    }
    shown.retain(|shown| {
        volumes.is_empty()
            || volumes.contains(&shown.volume)
            || shown.snapshot_of.as_ref().is_some_and(|of| volumes.contains(of))
    });
    Ok(shown)
}

fn is_of(snapshot: &Volume, volume: &Volume) -> bool {
    snapshot.snapshot_of == Some(volume.common.rid)
}

fn valid(snapshot: &Snapshot, group: &Group, name: &Name, volume: &Volume) -> u32 {
    if volume.state == VolumeState::Invalid {
        return 0;
    }
    if volume.fill.is_none() {
        return 10_000;
    }
    let is_it = |task: &&cvm::snapshot::TaskSnapshot| {
        task.source.is_some() && task.group == group.name.as_str() && task.volume == name.as_str()
    };
    let filled = snapshot.tasks.iter().find(is_it).map_or(0, |task| task.at);
    share(filled, volume.len)
}

/// Nothing, if nobody has written either of the two since then. What was written is in maps on disks.
fn changed(group: &Group, snapshot: &Volume) -> Option<Sectors> {
    let (_, volume) = group.original_of(snapshot)?;
    let is_noted = snapshot.since.is_some() && snapshot.since == Some(volume.changes);
    (is_noted && volume.changers.is_empty()).then_some(0)
}

fn mirrors(snapshot: &Snapshot, group: &Group, volume: &Volume) -> Vec<Mirror> {
    let is_filled = |plex: &Name| {
        let mut tasks = snapshot.tasks.iter().filter(|task| task.group == group.name.as_str());
        let task = tasks.find(|task| task.plexes.iter().any(|name| name == plex.as_str()));
        task.map_or(0, |task| share(task.at, task.len))
    };
    let mirror = |name: &Name| {
        let valid = match group.plexes.get(name)?.state {
            PlexState::SnapAtt => is_filled(name),
            PlexState::SnapDone => 10_000,
            _ => return None,
        };
        Some(Mirror { plex: name.clone(), valid })
    };
    volume.plexes.iter().filter_map(mirror).collect()
}

/// In hundredths of a per cent.
fn share(part: Sectors, whole: Sectors) -> u32 {
    let share = part.saturating_mul(10_000).checked_div(whole).unwrap_or(0);
    u32::try_from(share).unwrap_or(0)
}

fn per_cent(share: u32) -> String {
    format!("{}.{:02}", share / 100, share % 100)
}

/// A dash where there is nothing.
fn or_dash(name: Option<&Name>) -> String {
    name.map_or_else(|| "--".to_owned(), ToString::to_string)
}

pub(super) fn print(shown: &[Shown]) -> String {
    let mut text = format!(
        "{:<16} {:<16} {:<16} {:<10} {:>7}\n",
        "NAME", "SNAPSHOT", "PARENT", "STATE", "%VALID"
    );
    for Shown { volume, snapshots, mirrors, snapshot_of, source, state, valid, .. } in shown {
        let mut all = snapshots.iter().chain(mirrors.iter().map(|mirror| &mirror.plex));
        let state = if source.is_some() { "SYNCING".to_owned() } else { state.to_string() };
        let (first, of) = (or_dash(all.next()), or_dash(snapshot_of.as_ref()));
        let valid = per_cent(*valid);
        // Writing to a string does not fail.
        let _ = writeln!(text, "{volume:<16} {first:<16} {of:<16} {state:<10} {valid:>7}");
        for more in all {
            let _ = writeln!(text, "{:<16} {more}", "");
        }
    }
    text
}

/// The columns of the original. When a snapshot was made is not kept.
pub(super) fn list(shown: &[Shown]) -> String {
    let mut text = row(&[
        "NAME",
        "DG",
        "OBJTYPE",
        "SNAPTYPE",
        "PARENT",
        "PARENTDG",
        "SNAPDATE",
        "CHANGE_DATA",
        "SYNCED_DATA",
    ]);
    for Shown { volume, snapshot_of, length, valid, snaptype, changed, mirrors, group, .. } in shown
    {
        let (name, group) = (volume.as_str(), group.as_str());
        let kind = snaptype.map_or("-", SnapType::as_str);
        let parent = snapshot_of.as_ref().map_or("-", Name::as_str);
        let parent_group = if snapshot_of.is_some() { group } else { "-" };
        let changed = changed.map_or_else(|| "-".to_owned(), |changed| data(changed, *length));
        let synced = data(length.saturating_mul(u64::from(*valid)) / 10_000, *length);
        text += &row(&[name, group, "vol", kind, parent, parent_group, "-", &changed, &synced]);
        for Mirror { plex, valid } in mirrors {
            let synced = data(length.saturating_mul(u64::from(*valid)) / 10_000, *length);
            let plex = plex.as_str();
            text += &row(&[plex, group, "plex", "snapmir", name, group, "-", "-", &synced]);
        }
    }
    text
}

fn row(cells: &[&str; 9]) -> String {
    let [name, group, object, kind, parent, parent_group, date, changed, synced] = cells;
    format!(
        "{name:<16} {group:<12} {object:<8} {kind:<9} {parent:<16} {parent_group:<12} {date:<9} \
         {changed:<16} {synced}\n"
    )
}

/// `60M (0.60%)`
fn data(part: Sectors, whole: Sectors) -> String {
    format!("{}M ({}%)", part / SECTORS_PER_MB, per_cent(share(part, whole)))
}

const SECTORS_PER_MB: Sectors = (1 << 20) / SECTOR;

//! `vxsnap print` and `list`: volumes with their snapshots.

use std::fmt::Write;

use cvm::model::{Group, KernelState, Name, Sectors, Volume, VolumeState};
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
    #[serde(skip)]
    group: Name,
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
        let is_one = volume.snapshot_of.is_some() || source.is_some();
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
    let share = filled.saturating_mul(10_000).checked_div(volume.len).unwrap_or(0);
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
    for Shown { volume, snapshots, snapshot_of, source, state, valid, .. } in shown {
        let state = if source.is_some() { "SYNCING".to_owned() } else { state.to_string() };
        let (first, of) = (or_dash(snapshots.first()), or_dash(snapshot_of.as_ref()));
        let valid = per_cent(*valid);
        // Writing to a string does not fail.
        let _ = writeln!(text, "{volume:<16} {first:<16} {of:<16} {state:<10} {valid:>7}");
        for more in snapshots.iter().skip(1) {
            let _ = writeln!(text, "{:<16} {more}", "");
        }
    }
    text
}

pub(super) fn list(shown: &[Shown]) -> String {
    let mut text = format!(
        "{:<16} {:<12} {:<8} {:<9} {:<16} {}\n",
        "NAME", "DG", "OBJTYPE", "SNAPTYPE", "PARENT", "SYNCED_DATA"
    );
    for Shown { volume, snapshot_of, source, length, valid, group, .. } in shown {
        let kind = match (source, snapshot_of) {
            (Some(_), _) => "fullinst",
            (None, Some(_)) => "snap",
            (None, None) => "--",
        };
        let parent = or_dash(snapshot_of.as_ref());
        let synced = length.saturating_mul(u64::from(*valid)) / 10_000 / 2048;
        let share = per_cent(*valid);
        let _ = writeln!(
            text,
            "{volume:<16} {group:<12} {:<8} {kind:<9} {parent:<16} {synced}M ({share}%)",
            "vol"
        );
    }
    text
}

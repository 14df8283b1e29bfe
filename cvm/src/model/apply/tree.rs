//! What hangs below a volume: its plexes, their subdisks, and in a layered volume whole volumes.
//!
//! A volume whose plexes consist of subvolumes is called layered here; its layers are the volumes
//! that have mirrors, logs and states of their own.

use std::collections::BTreeSet;

use crate::model::group::{Group, Kind};
use crate::model::ids::Name;
use crate::model::record::{Layout, Piece, Plex, Source, Subdisk, Volume};
use crate::model::refused::Refused;
use crate::model::size::{Sectors, round_up};
use crate::model::states::{KernelState, PlexState, VolumeState};

/// The record with this name, which has to be a volume.
pub(super) fn volume<'a>(group: &'a Group, name: &Name) -> Result<&'a Volume, Refused> {
    match group.kind_of(name.as_str()) {
        Some(Kind::Volume) => {}
        Some(kind) => {
            return Err(Refused::WrongKind { expected: "volume", name: name.clone(), kind });
        }
        None => return Err(Refused::Missing { what: "volume", name: name.clone() }),
    }
    group.volumes.get(name).ok_or_else(|| Refused::Missing { what: "volume", name: name.clone() })
}

/// The same, and not a layer of another volume.
pub(super) fn top<'a>(group: &'a Group, name: &Name) -> Result<&'a Volume, Refused> {
    let volume = volume(group, name)?;
    if volume.layer { Err(Refused::Layer(name.clone())) } else { Ok(volume) }
}

/// The plexes of a volume that hold data.
pub(super) fn data_plexes<'a>(
    group: &'a Group,
    volume: &'a Volume,
) -> impl Iterator<Item = (&'a Name, &'a Plex)> {
    plexes(group, volume).filter(|(_, plex)| !plex.is_log_only())
}

/// The plexes of a volume that are logs.
pub(super) fn log_plexes<'a>(
    group: &'a Group,
    volume: &'a Volume,
) -> impl Iterator<Item = (&'a Name, &'a Plex)> {
    plexes(group, volume).filter(|(_, plex)| plex.is_log_only())
}

fn plexes<'a>(group: &'a Group, volume: &'a Volume) -> impl Iterator<Item = (&'a Name, &'a Plex)> {
    volume.plexes.iter().filter_map(|name| group.plexes.get_key_value(name))
}

/// A piece of a plex with its subdisk, if that is there.
pub(super) fn subdisk<'a>(group: &'a Group, piece: &Piece) -> Option<&'a Subdisk> {
    group.subdisks.get(&piece.subdisk)
}

/// The layer's volume that a subdisk stands for.
pub(super) fn layer<'a>(group: &'a Group, subdisk: &Name) -> Option<&'a Name> {
    match &group.subdisks.get(subdisk)?.source {
        Source::Disk { .. } => None,
        Source::Volume(volume) => Some(volume),
    }
}

/// The volumes that have data on disks below this one: itself, or its layers.
pub(super) fn leaves(group: &Group, name: &Name) -> Vec<Name> {
    let volume = group.volumes.get(name);
    let pieces = volume.into_iter().flat_map(|volume| data_plexes(group, volume));
    let pieces = pieces.flat_map(|(_, plex)| &plex.pieces);
    let layers: Vec<Name> =
        pieces.filter_map(|piece| layer(group, &piece.subdisk)).cloned().collect();
    if layers.is_empty() { vec![name.clone()] } else { layers }
}

/// The disks with data of a volume, or of its layers.
pub(super) fn disks_of_volume(group: &Group, name: &Name) -> BTreeSet<Name> {
    let volume = group.volumes.get(name);
    let plexes = volume.into_iter().flat_map(|volume| data_plexes(group, volume));
    plexes.flat_map(|(_, plex)| disks_of_pieces(group, &plex.pieces)).collect()
}

/// The disks that mirrors and columns of a volume, or of a layer of `top`, must not share: its own, and
/// if the layer is a column of a stripe those of the other columns.
pub(super) fn disks_beside(group: &Group, top: &Name, name: &Name) -> BTreeSet<Name> {
    let above = group.volumes.get(top).filter(|_| top != name);
    let plexes = above.into_iter().flat_map(|volume| data_plexes(group, volume));
    let is_column = plexes.into_iter().any(|(_, plex)| plex.layout != Layout::Concat);
    disks_of_volume(group, if is_column { top } else { name })
}

/// The disks below some pieces of a plex.
pub(super) fn disks_of_pieces<'a>(
    group: &Group,
    pieces: impl IntoIterator<Item = &'a Piece>,
) -> BTreeSet<Name> {
    let mut disks = BTreeSet::new();
    for piece in pieces {
        match subdisk(group, piece).map(|subdisk| &subdisk.source) {
            Some(Source::Disk { dm, .. }) => drop(disks.insert(dm.clone())),
            Some(Source::Volume(volume)) => disks.append(&mut disks_of_volume(group, volume)),
            None => {}
        }
    }
    disks
}

/// The disk of the log of a plex.
pub(super) fn disk_of_log<'a>(group: &'a Group, plex: &Plex) -> Option<&'a Name> {
    match &group.subdisks.get(plex.log.as_ref()?)?.source {
        Source::Disk { dm, .. } => Some(dm),
        Source::Volume(_) => None,
    }
}

/// Where the last piece of a column ends.
pub(super) fn column_end(group: &Group, plex: &Plex, column: u16) -> Sectors {
    let pieces = plex.pieces.iter().filter(|piece| piece.column == column);
    let end = |piece: &Piece| {
        piece.offset.saturating_add(subdisk(group, piece).map_or(0, |subdisk| subdisk.len))
    };
    pieces.map(end).max().unwrap_or(0)
}

/// How long a column must be for a plex of this layout to hold a volume of this length.
pub(super) const fn column_len(layout: Layout, volume: Sectors) -> Sectors {
    match layout {
        Layout::Concat => volume,
        Layout::Stripe { columns, width } => {
            // Both are checked to be above zero wherever a layout is made.
            round_up(volume.div_ceil(columns as u64), width)
        }
    }
}

/// It has every block of a volume of this length: it is not too short, and there are no holes.
pub(super) fn is_complete(group: &Group, len: Sectors, plex: &Plex) -> bool {
    let needed = column_len(plex.layout, len);
    let whole = |column: u16| {
        let pieces = plex.pieces.iter().filter(|piece| piece.column == column);
        pieces.fold(0, |end: Sectors, piece| {
            let len = subdisk(group, piece).map_or(0, |subdisk| subdisk.len);
            // They are in order: behind a hole nothing counts.
            if piece.offset > end { end } else { end.max(piece.offset.saturating_add(len)) }
        })
    };
    (0..plex.layout.columns()).all(|column| whole(column) >= needed)
}

/// What a plex of a volume with data has to be to be read.
pub(super) const fn is_good(state: PlexState) -> bool {
    matches!(state, PlexState::Active | PlexState::Clean)
}

/// The same where there are no data yet.
pub(super) const fn is_any(_: PlexState) -> bool {
    true
}

/// It holds all the data as they are now (or there are no data yet).
pub(super) fn is_current(group: &Group, volume: &Volume, plex: &Plex) -> bool {
    let empty = volume.state == VolumeState::Empty && plex.state == PlexState::Empty;
    (is_good(plex.state) || empty) && is_complete(group, volume.len, plex)
}

/// Of the plexes that are kept one is current and, if the volume is started, in use.
pub(super) fn has_copy(group: &Group, volume: &Volume, kept: impl Fn(&Name) -> bool) -> bool {
    let started = volume.kernel != KernelState::Disabled;
    data_plexes(group, volume).any(|(name, plex)| {
        let usable = plex.kernel == KernelState::Enabled || !started;
        kept(name) && usable && is_current(group, volume, plex)
    })
}

/// A volume could be started if plexes in these states were good: one of them is complete, and has
/// all its disks.
pub(super) fn serves(group: &Group, name: &Name, good: fn(PlexState) -> bool) -> bool {
    group.volumes.get(name).is_some_and(|volume| {
        data_plexes(group, volume).any(|(_, plex)| {
            let complete = is_complete(group, volume.len, plex);
            good(plex.state) && complete && is_there(group, plex, good)
        })
    })
}

/// All that a plex consists of is there: disks, and layers that could be started.
pub(super) fn is_there(group: &Group, plex: &Plex, good: fn(PlexState) -> bool) -> bool {
    plex.pieces.iter().all(|piece| match subdisk(group, piece).map(|subdisk| &subdisk.source) {
        Some(Source::Disk { dm, .. }) => group.disks.get(dm).is_some_and(|dm| dm.disk.is_some()),
        Some(Source::Volume(layer)) => serves(group, layer, good),
        None => false,
    })
}

/// The volumes of layers that a plex consists of.
pub(super) fn layers(group: &Group, plex: &Plex) -> Vec<Name> {
    plex.pieces.iter().filter_map(|piece| layer(group, &piece.subdisk)).cloned().collect()
}

/// Puts a volume right after plexes were taken from it: what it says of them must be true.
pub(super) fn settle(group: &mut Group, name: &Name) {
    let Some(volume) = group.volumes.get(name) else { return };
    let logged = plexes(group, volume).any(|(_, plex)| plex.log.is_some());
    let data = data_plexes(group, volume).next().is_some();
    let Some(volume) = group.volumes.get_mut(name) else { return };
    if volume.preferred.as_ref().is_some_and(|plex| !volume.plexes.contains(plex)) {
        volume.preferred = None;
        volume.read_policy = crate::model::states::ReadPolicy::Select;
    }
    if !logged {
        volume.log_type = crate::model::states::LogType::None;
    }
    if !data {
        volume.kernel = KernelState::Disabled;
    }
}

/// Removes a plex with its subdisks and, below subvolumes, whole layers.
pub(super) fn remove_plex(group: &mut Group, name: &Name) {
    let Some(plex) = group.plexes.remove(name) else { return };
    for subdisk in plex.subdisks() {
        remove_subdisk(group, subdisk);
    }
}

/// Removes a subdisk and, if it is a subvolume, the layer's volume.
pub(super) fn remove_subdisk(group: &mut Group, name: &Name) {
    let Some(subdisk) = group.subdisks.remove(name) else { return };
    match subdisk.source {
        Source::Disk { .. } => {}
        Source::Volume(volume) => remove_volume(group, &volume),
    }
}

/// Removes a volume and all that it consists of.
pub(super) fn remove_volume(group: &mut Group, name: &Name) {
    let Some(volume) = group.volumes.remove(name) else { return };
    for plex in &volume.plexes {
        remove_plex(group, plex);
    }
}

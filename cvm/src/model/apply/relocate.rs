//! `vxassist move`: what lies on some disks goes to others, in the configuration. Nobody copies data
//! here, so that a mirror that is moved is stale afterwards and another one must be complete: it is
//! copied from that.

use std::collections::BTreeSet;

use super::log::{self, Words};
use super::mirror::{self, Take};
use super::place::{self, Lane};
use super::space::{Extent, Space};
use super::{build, resize, tree};
use crate::model::group::Group;
use crate::model::ids::Name;
use crate::model::limits::ALIGNMENT;
use crate::model::op::Storage;
use crate::model::record::{Piece, Plex, Source};
use crate::model::refused::Refused;
use crate::model::size::{Sectors, round_up};
use crate::model::states::VolumeState;

pub(super) fn volume(group: &mut Group, name: &Name, storage: &[Storage]) -> Result<(), Refused> {
    tree::top(group, name)?;
    let words = Words::of(group, storage)?;
    let from = words.excluded();
    if from.is_empty() {
        return Err(Refused::Invalid("which disks are to be left? (!disk)".to_owned()));
    }
    let space = Space::of(group, storage)?;
    let mut volumes = tree::leaves(group, name);
    if !volumes.contains(name) {
        volumes.push(name.clone());
    }
    let columns: Vec<Leaving> =
        volumes.iter().flat_map(|volume| Leaving::of(group, volume, from)).collect();
    check_copies(group, &columns)?;
    let logs = leaving_logs(group, &volumes, from);
    if columns.is_empty() && logs.is_empty() {
        let disks: Vec<&str> = from.iter().map(Name::as_str).collect();
        let what = format!("Volume {name} has nothing on {}", disks.join(", "));
        return Err(Refused::Invalid(what));
    }
    let space = move_columns(group, name, &columns, space)?;
    make_stale(group, &volumes, &columns)?;
    move_logs(group, name, &logs, space)
}

/// Whoever copies goes on where he was, and what was copied would be left behind.
fn check_copies(group: &Group, columns: &[Leaving]) -> Result<(), Refused> {
    let copied =
        |column: &&Leaving| group.plexes.get(&column.plex).is_some_and(Plex::is_being_copied);
    match columns.iter().find(copied) {
        None => Ok(()),
        Some(Leaving { plex, .. }) => {
            let what = format!("Plex {plex} is being copied: it is moved when it is ACTIVE");
            Err(Refused::Invalid(what))
        }
    }
}

/// A column with subdisks that have to go.
struct Leaving {
    volume: Name,
    plex: Name,
    pieces: Vec<(Piece, Sectors)>,
    /// Disks of subdisks that stay.
    own: BTreeSet<Name>,
}

impl Leaving {
    fn of(group: &Group, name: &Name, from: &BTreeSet<Name>) -> Vec<Self> {
        let mut columns = Vec::new();
        let Some(volume) = group.volumes.get(name) else { return columns };
        for (plex_name, plex) in tree::data_plexes(group, volume) {
            for column in 0..plex.layout.columns() {
                let all = plex.pieces.iter().filter(|piece| piece.column == column);
                let mut pieces = Vec::new();
                let mut own = BTreeSet::new();
                for piece in all {
                    let Some(subdisk) = tree::subdisk(group, piece) else { continue };
                    match &subdisk.source {
                        Source::Disk { dm, .. } if from.contains(dm) => {
                            pieces.push((piece.clone(), subdisk.len));
                        }
                        Source::Disk { dm, .. } => drop(own.insert(dm.clone())),
                        Source::Volume(_) => {}
                    }
                }
                if !pieces.is_empty() {
                    let (volume, plex) = (name.clone(), plex_name.clone());
                    columns.push(Self { volume, plex, pieces, own });
                }
            }
        }
        columns
    }
}

/// Puts all columns elsewhere; what is left of the space is returned.
fn move_columns(
    group: &mut Group,
    name: &Name,
    columns: &[Leaving],
    space: Space,
) -> Result<Space, Refused> {
    let aligned = |len: &Sectors| round_up(*len, ALIGNMENT);
    let lane = |column: &Leaving| Lane {
        need: column.pieces.iter().map(|(_, len)| aligned(len)).sum(),
        own: column.own.clone(),
        after: None,
    };
    let lanes: Vec<Lane> = columns.iter().map(lane).collect();
    let own: BTreeSet<&Name> = lanes.iter().flat_map(|lane| &lane.own).collect();
    let others = tree::disks_of_volume(group, name);
    let others = others.into_iter().filter(|disk| !own.contains(disk)).collect();
    let placed = place::place(&space.without(&others), &lanes, false);
    let no_space = || Refused::NoSpaceFor { part: "what is moved", volume: name.clone() };
    let mut space = space;
    for (column, extents) in columns.iter().zip(placed.ok_or_else(no_space)?) {
        extents.iter().for_each(|extent| space.carve(extent));
        let mut extents = Take(extents.into_iter().rev().collect());
        for (piece, len) in &column.pieces {
            let mut new = extents.take(aligned(len));
            // A subdisk that was made by hand may end anywhere: its copies end there, too.
            if let Some(last) = new.last_mut() {
                last.len -= aligned(len) - len;
            }
            replace(group, &column.plex, piece, &new)?;
        }
    }
    Ok(space)
}

fn replace(group: &mut Group, plex: &Name, piece: &Piece, new: &[Extent]) -> Result<(), Refused> {
    tree::remove_subdisk(group, &piece.subdisk);
    if let Some(plex) = group.plexes.get_mut(plex) {
        plex.pieces.retain(|other| other.subdisk != piece.subdisk);
    }
    let pieces = build::pieces(group, piece.column, piece.offset, new)?;
    resize::add_pieces(group, plex, pieces);
    Ok(())
}

/// What was moved is no copy any more. The volume must have another one, or no data.
fn make_stale(group: &mut Group, volumes: &[Name], columns: &[Leaving]) -> Result<(), Refused> {
    for name in volumes {
        let moved: BTreeSet<&Name> =
            columns.iter().filter(|c| c.volume == *name).map(|column| &column.plex).collect();
        let Some(volume) = group.volumes.get(name) else { continue };
        if moved.is_empty() || volume.state == VolumeState::Empty {
            continue;
        }
        let kept =
            |(plex, record)| !moved.contains(plex) && tree::is_current(group, volume, record);
        if !tree::data_plexes(group, volume).any(kept) {
            return Err(Refused::NoCopy(name.clone()));
        }
        let states = mirror::begin(volume);
        for plex in moved {
            if let Some(plex) = group.plexes.get_mut(plex).filter(|p| tree::is_good(p.state)) {
                (plex.kernel, plex.state) = states;
            }
        }
    }
    Ok(())
}

/// Log subdisks that have to go, with the volume and the plex that they are in.
fn leaving_logs(
    group: &Group,
    volumes: &[Name],
    from: &BTreeSet<Name>,
) -> Vec<(Name, Name, Name, Sectors)> {
    let mut logs = Vec::new();
    for name in volumes {
        let Some(volume) = group.volumes.get(name) else { continue };
        let plexes = volume.plexes.iter().filter_map(|name| group.plexes.get_key_value(name));
        for (plex_name, plex) in plexes {
            let (Some(log), Some(disk)) = (&plex.log, tree::disk_of_log(group, plex)) else {
                continue;
            };
            if let Some(subdisk) = group.subdisks.get(log).filter(|_| from.contains(disk)) {
                logs.push((name.clone(), plex_name.clone(), log.clone(), subdisk.len));
            }
        }
    }
    logs
}

/// A log that is moved begins anew, like one that is added.
fn move_logs(
    group: &mut Group,
    name: &Name,
    logs: &[(Name, Name, Name, Sectors)],
    mut space: Space,
) -> Result<(), Refused> {
    let data = tree::disks_of_volume(group, name);
    for (volume, plex_name, log, len) in logs {
        let volume = tree::volume(group, volume)?;
        let others = tree::log_plexes(group, volume);
        let others = others.filter_map(|(_, plex)| tree::disk_of_log(group, plex)).cloned();
        let space_for_it = space.without(&others.collect());
        let place = log::place(&space_for_it, &data, true, 1, round_up(*len, ALIGNMENT));
        let no_space = || Refused::NoSpaceFor { part: "a log", volume: name.clone() };
        let place = place.and_then(|mut places| places.pop()).ok_or_else(no_space)?;
        space.carve(&place);
        tree::remove_subdisk(group, log);
        let new = build::subdisk(group, &place)?;
        if let Some(plex) = group.plexes.get_mut(plex_name) {
            plex.log = Some(new);
        }
    }
    Ok(())
}

//! `vxassist move`: what lies on some disks goes to others, in the configuration. Nobody copies data
//! here, so that a mirror that is moved is stale afterwards and another one must be complete: it is
//! copied from that. The only complete plex of a volume is left as it is: a new one is made elsewhere,
//! and when that is current the old one goes in the same transaction ([`end_moves`]).

use std::collections::BTreeSet;

use super::build::Naming;
use super::log::{self, Words};
use super::mirror::{self, Take};
use super::place::{self, Lane};
use super::space::{Extent, Space};
use super::{build, copy, resize, tree};
use crate::model::group::Group;
use crate::model::ids::Name;
use crate::model::limits::ALIGNMENT;
use crate::model::op::Storage;
use crate::model::record::{Origin, Piece, Plex, Source, Subdisk};
use crate::model::refused::Refused;
use crate::model::size::{Sectors, round_up};
use crate::model::states::{PlexState, VolumeState};

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
    let (columns, only) = part(group, columns);
    let space = move_columns(group, name, &columns, space)?;
    make_stale(group, &volumes, &columns)?;
    let space = move_logs(group, name, &logs, space)?;
    only.iter().try_fold(space, |space, plex| make_another(group, name, plex, space)).map(drop)
}

/// Columns that can be copied from another plex, or need not be, and the plexes of the others: each is
/// the only complete one of its volume, or all of those are to move.
fn part(group: &Group, columns: Vec<Leaving>) -> (Vec<Leaving>, BTreeSet<Name>) {
    let moved: BTreeSet<&Name> = columns.iter().map(|column| &column.plex).collect();
    let is_only = |column: &Leaving| {
        let Some(volume) = group.volumes.get(&column.volume) else { return false };
        let mut plexes = tree::data_plexes(group, volume);
        let has_other = plexes
            .any(|(name, plex)| !moved.contains(name) && tree::is_current(group, volume, plex));
        let is_current = |plex: &Plex| tree::is_current(group, volume, plex);
        let has_data = volume.state != VolumeState::Empty;
        has_data && !has_other && group.plexes.get(&column.plex).is_some_and(is_current)
    };
    let only = columns.iter().filter(|column| is_only(column)).map(|column| column.plex.clone());
    let only: BTreeSet<Name> = only.collect();
    (columns.into_iter().filter(|column| !only.contains(&column.plex)).collect(), only)
}

/// A plex that lies elsewhere, for one that goes when it is current.
fn make_another(
    group: &mut Group,
    name: &Name,
    plex: &Name,
    mut space: Space,
) -> Result<Space, Refused> {
    let Some((leaf, volume)) = group.volume_of(plex) else { return Ok(space) };
    let (leaf, states) = (leaf.clone(), mirror::begin(volume));
    let Some(old) = group.plexes.get(plex) else { return Ok(space) };
    let waits = |other: &Name| group.plexes.get(other).is_some_and(|o| o.state == PlexState::Stale);
    if old.is_moved() && volume.plexes.iter().any(waits) {
        let what = format!("Plex {plex} is moved already: it goes when another one is ACTIVE");
        return Err(Refused::Invalid(what));
    }
    let (layout, naming) = (old.layout, Naming::of(name.as_str(), volume.layer));
    let need = round_up(tree::column_len(layout, volume.len), ALIGNMENT);
    let lanes = vec![Lane { need, ..Lane::default() }; usize::from(layout.columns())];
    let elsewhere = space.without(&tree::disks_of_volume(group, name));
    let no_space = || Refused::NoSpaceFor { part: "what is moved", volume: name.clone() };
    let placed = place::place(&elsewhere, &lanes, false).ok_or_else(no_space)?;
    placed.iter().flatten().for_each(|extent| space.carve(extent));
    let new = build::plex(group, naming, layout, &placed, states)?;
    mirror::associate(group, &leaf, new);
    if let Some(old) = group.plexes.get_mut(plex) {
        old.common.putil[0] = Plex::MOVED.to_owned();
    }
    Ok(space)
}

/// A plex has become current: those of its volume that go for that go now.
pub(in crate::model) fn end_moves(group: &mut Group, plex: &Name) {
    copy::end(group, plex);
    let Some((name, volume)) = group.volume_of(plex) else { return };
    let (name, plexes) = (name.clone(), volume.plexes.clone());
    let is_moved = |name: &Name| group.plexes.get(name).is_some_and(Plex::is_moved);
    if !tree::has_copy(group, volume, |name| !is_moved(name)) {
        return;
    }
    for old in plexes.iter().filter(|name| is_moved(name)).cloned().collect::<Vec<_>>() {
        log::detach(group, &name, &old);
    }
    tree::settle(group, &name);
}

/// Whoever copies goes on where he was, and what was copied would be left behind.
pub(super) fn check_copies(group: &Group, columns: &[Leaving]) -> Result<(), Refused> {
    let copied =
        |column: &&Leaving| group.plexes.get(&column.plex).is_some_and(Plex::is_being_copied);
    match columns.iter().find(copied) {
        None => Ok(()),
        Some(Leaving { plex, .. }) => {
            let is_copied = group.plexes.get(plex).is_some_and(Plex::needs_copy);
            let what = if is_copied {
                format!("Plex {plex} is being copied: it is moved when that is over")
            } else {
                format!(
                    "Plex {plex} is a snapshot mirror: snapshot breaks it off, snapabort removes it"
                )
            };
            Err(Refused::Invalid(what))
        }
    }
}

/// A column with subdisks that have to go.
pub(super) struct Leaving {
    pub(super) volume: Name,
    pub(super) plex: Name,
    pub(super) pieces: Vec<(Piece, Sectors)>,
    /// Disks of subdisks that stay.
    pub(super) own: BTreeSet<Name>,
}

impl Leaving {
    /// What of a volume lies on some disks.
    pub(super) fn of(group: &Group, name: &Name, from: &BTreeSet<Name>) -> Vec<Self> {
        Self::chosen(group, name, |_, subdisk| {
            subdisk.source.disk().is_some_and(|disk| from.contains(disk))
        })
    }

    /// What of a volume's plexes `goes`, if anything of a column does.
    pub(super) fn chosen(
        group: &Group,
        name: &Name,
        goes: impl Fn(&Name, &Subdisk) -> bool,
    ) -> Vec<Self> {
        let mut columns = Vec::new();
        let Some(volume) = group.volumes.get(name) else { return columns };
        for (plex_name, plex) in tree::data_plexes(group, volume) {
            for column in 0..plex.layout.columns() {
                let all = plex.pieces.iter().filter(|piece| piece.column == column);
                let mut pieces = Vec::new();
                let mut own = BTreeSet::new();
                for piece in all {
                    let Some(subdisk) = tree::subdisk(group, piece) else { continue };
                    if goes(plex_name, subdisk) {
                        pieces.push((piece.clone(), subdisk.len));
                    } else if let Some(disk) = subdisk.source.disk() {
                        own.insert(disk.clone());
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

/// Puts all columns elsewhere, volume by volume; what is left of the space is returned.
fn move_columns(
    group: &mut Group,
    name: &Name,
    columns: &[Leaving],
    mut space: Space,
) -> Result<Space, Refused> {
    for columns in columns.chunk_by(|one, other| one.volume == other.volume) {
        space = move_those(group, name, columns, space)?;
    }
    Ok(space)
}

fn move_those(
    group: &mut Group,
    name: &Name,
    columns: &[Leaving],
    mut space: Space,
) -> Result<Space, Refused> {
    let no_space = || Refused::NoSpaceFor { part: "what is moved", volume: name.clone() };
    let placed = place_columns(group, name, columns, &space).ok_or_else(no_space)?;
    for (column, pieces) in columns.iter().zip(placed) {
        for ((piece, _), new) in column.pieces.iter().zip(pieces) {
            for extent in &new {
                space.carve(&Extent { len: round_up(extent.len, ALIGNMENT), ..extent.clone() });
            }
            replace(group, &column.plex, piece, &new, None)?;
        }
    }
    Ok(space)
}

/// Places for the pieces of all columns of one volume, or one layer of `top`, each on disks that no
/// other mirror or column lies on.
pub(super) fn place_columns(
    group: &Group,
    top: &Name,
    columns: &[Leaving],
    space: &Space,
) -> Option<Vec<Vec<Vec<Extent>>>> {
    let aligned = |len: &Sectors| round_up(*len, ALIGNMENT);
    let lane = |column: &Leaving| Lane {
        need: column.pieces.iter().map(|(_, len)| aligned(len)).sum(),
        own: column.own.clone(),
        after: None,
    };
    let lanes: Vec<Lane> = columns.iter().map(lane).collect();
    let own: BTreeSet<&Name> = lanes.iter().flat_map(|lane| &lane.own).collect();
    let volume = columns.first().map_or(top, |column| &column.volume);
    let others = tree::disks_beside(group, top, volume);
    let others = others.into_iter().filter(|disk| !own.contains(disk)).collect();
    let placed = place::place(&space.without(&others), &lanes, false)?;
    let pieces = |(column, extents): (&Leaving, Vec<Extent>)| {
        let mut extents = Take(extents.into_iter().rev().collect());
        let piece = |(_, len): &(Piece, Sectors)| {
            let mut new = extents.take(aligned(len));
            // A subdisk that was made by hand may end anywhere: its copies end there, too.
            if let Some(last) = new.last_mut() {
                last.len -= aligned(len) - len;
            }
            new
        };
        column.pieces.iter().map(piece).collect()
    };
    Some(columns.iter().zip(placed).map(pieces).collect())
}

/// Puts ranges in the place of a piece of a plex. Those of a piece that was relocated know where the
/// piece was.
pub(super) fn replace(
    group: &mut Group,
    plex: &Name,
    piece: &Piece,
    new: &[Extent],
    origin: Option<Origin>,
) -> Result<(), Refused> {
    tree::remove_subdisk(group, &piece.subdisk);
    if let Some(plex) = group.plexes.get_mut(plex) {
        plex.pieces.retain(|other| other.subdisk != piece.subdisk);
    }
    let pieces = build::pieces(group, piece.column, piece.offset, new)?;
    let mut origin = origin;
    for piece in &pieces {
        if let (Some(subdisk), Some(from)) = (group.subdisks.get_mut(&piece.subdisk), &mut origin) {
            subdisk.origin = Some(from.clone()).filter(|origin| !is_at(subdisk, origin));
            from.offset += subdisk.len;
        }
    }
    resize::add_pieces(group, plex, pieces);
    Ok(())
}

/// What was moved is no copy any more. The volume must have another one, or no data.
pub(super) fn make_stale(
    group: &mut Group,
    volumes: &[Name],
    columns: &[Leaving],
) -> Result<(), Refused> {
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
) -> Result<Space, Refused> {
    let data = tree::disks_of_volume(group, name);
    for (volume, plex_name, log, len) in logs {
        let place = place_log(group, volume, &data, &space, *len);
        let no_space = || Refused::NoSpaceFor { part: "a log", volume: name.clone() };
        let place = place.ok_or_else(no_space)?;
        space.carve(&place);
        replace_log(group, plex_name, log, &place, None)?;
    }
    Ok(space)
}

/// A place for a log of a volume, on a disk that has no other log of it.
pub(super) fn place_log(
    group: &Group,
    volume: &Name,
    data: &BTreeSet<Name>,
    space: &Space,
    len: Sectors,
) -> Option<Extent> {
    let volume = group.volumes.get(volume)?;
    let others = tree::log_plexes(group, volume);
    let others = others.filter_map(|(_, plex)| tree::disk_of_log(group, plex)).cloned();
    let space = space.without(&others.collect());
    log::place(&space, data, true, 1, round_up(len, ALIGNMENT))?.pop()
}

/// It has come back to where it was.
fn is_at(subdisk: &Subdisk, origin: &Origin) -> bool {
    subdisk.source == Source::Disk { dm: origin.dm.clone(), offset: origin.offset }
}

/// Puts a range in the place of the log of a plex.
pub(super) fn replace_log(
    group: &mut Group,
    plex: &Name,
    log: &Name,
    place: &Extent,
    origin: Option<Origin>,
) -> Result<(), Refused> {
    tree::remove_subdisk(group, log);
    let new = build::subdisk(group, place)?;
    if let Some(subdisk) = group.subdisks.get_mut(&new) {
        subdisk.origin = origin.filter(|origin| !is_at(subdisk, origin));
    }
    if let Some(plex) = group.plexes.get_mut(plex) {
        plex.log = Some(new);
    }
    Ok(())
}

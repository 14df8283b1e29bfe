//! `vxunreloc`: what hot relocation has taken from a disk goes back to where it was.

use std::collections::BTreeSet;

use super::place::{self, Lane};
use super::relocate::{self, Leaving};
use super::space::{Extent, Space, free_space};
use super::tree;
use crate::model::group::Group;
use crate::model::ids::Name;
use crate::model::limits::ALIGNMENT;
use crate::model::op::Storage;
use crate::model::record::{Origin, Subdisk};
use crate::model::refused::Refused;
use crate::model::size::{Sectors, round_up};

/// What of a volume was on `from` goes there, or to `to`. `force`: it may come to lie elsewhere there.
pub(super) fn volume(
    group: &mut Group,
    name: &Name,
    from: &Name,
    to: Option<&Name>,
    force: bool,
) -> Result<(), Refused> {
    tree::top(group, name)?;
    let disk = to.unwrap_or(from);
    // It has to be there, and in order.
    let word = Storage { disk: disk.clone(), excluded: false, offset: None };
    let space = Space::of(group, &[word])?;
    let mut volumes = tree::leaves(group, name);
    if !volumes.contains(name) {
        volumes.push(name.clone());
    }
    let was_there = |subdisk: &Subdisk| subdisk.origin.as_ref().is_some_and(|o| o.dm == *from);
    let columns: Vec<Leaving> = volumes
        .iter()
        .flat_map(|volume| Leaving::chosen(group, volume, |_, subdisk| was_there(subdisk)))
        .collect();
    let logs = logs(group, &volumes, was_there);
    if columns.is_empty() && logs.is_empty() {
        let what = format!("Volume {name} has nothing that was relocated from {from}");
        return Err(Refused::Invalid(what));
    }
    relocate::check_copies(group, &columns)?;
    let mut back = Back { name, disk, space, force };
    for column in &columns {
        back.column(group, column)?;
    }
    relocate::make_stale(group, &volumes, &columns)?;
    for (plex, log) in &logs {
        back.log(group, plex, log)?;
    }
    Ok(())
}

/// Subdisks with logs that were there, with their plexes.
fn logs(
    group: &Group,
    volumes: &[Name],
    was_there: impl Fn(&Subdisk) -> bool,
) -> Vec<(Name, Name)> {
    let volumes = volumes.iter().filter_map(|name| group.volumes.get(name));
    let plexes = volumes.flat_map(|volume| &volume.plexes);
    let log = |plex: &Name| {
        let log = group.plexes.get(plex)?.log.clone()?;
        let is_it = group.subdisks.get(&log).is_some_and(&was_there);
        is_it.then(|| (plex.clone(), log))
    };
    plexes.filter_map(log).collect()
}

/// Where it goes.
struct Back<'a> {
    name: &'a Name,
    disk: &'a Name,
    /// What is free there.
    space: Space,
    force: bool,
}

impl Back<'_> {
    fn column(&mut self, group: &mut Group, column: &Leaving) -> Result<(), Refused> {
        let pieces: BTreeSet<&Name> =
            column.pieces.iter().map(|(piece, _)| &piece.subdisk).collect();
        if self.holds_others(group, column, &pieces) {
            let (disk, name) = (self.disk, self.name);
            let what = format!("Disk {disk} holds another mirror or column of volume {name}");
            return Err(Refused::Invalid(what));
        }
        for (piece, len) in &column.pieces {
            let new = self.place(group, &piece.subdisk, *len)?;
            relocate::replace(group, &column.plex, piece, &new, None)?;
        }
        Ok(())
    }

    /// Something of the volume lies there that is not of this column.
    fn holds_others(&self, group: &Group, column: &Leaving, pieces: &BTreeSet<&Name>) -> bool {
        let is_there = tree::disks_beside(group, self.name, &column.volume).contains(self.disk);
        // Pieces of this column that have gone back already, or never went.
        let goes = column.own.contains(self.disk)
            || group.subdisks.iter().any(|(name, subdisk)| {
                pieces.contains(name) && subdisk.source.disk() == Some(self.disk)
            });
        is_there && !goes
    }

    fn log(&mut self, group: &mut Group, plex: &Name, log: &Name) -> Result<(), Refused> {
        let len = group.subdisks.get(log).map_or(0, |log| log.len);
        let new = self.place(group, log, len)?;
        match new.as_slice() {
            [place] => relocate::replace_log(group, plex, log, place, None),
            _ => Err(self.no_space()),
        }
    }

    /// The place that a subdisk had; another one on the disk if that is not free.
    fn place(
        &mut self,
        group: &Group,
        subdisk: &Name,
        len: Sectors,
    ) -> Result<Vec<Extent>, Refused> {
        let origin = group.subdisks.get(subdisk).and_then(|subdisk| subdisk.origin.as_ref());
        let exact = origin.and_then(|Origin { offset, .. }| {
            let free = free_space(group).into_iter().filter(|free| free.disk == *self.disk);
            let end = offset.checked_add(len)?;
            let mut holes =
                free.filter(|hole| hole.offset <= *offset && end <= hole.offset + hole.len);
            holes.next().map(|hole| Extent { offset: *offset, len, ..hole })
        });
        let new = match exact {
            Some(extent) => vec![extent],
            None if self.force => self.elsewhere(len).ok_or_else(|| self.no_space())?,
            None => {
                let disk = self.disk;
                let what = format!(
                    "The place on disk {disk} that {subdisk} goes back to is not free; \
                     -f puts it elsewhere there"
                );
                return Err(Refused::Invalid(what));
            }
        };
        for extent in &new {
            self.space.carve(&Extent { len: round_up(extent.len, ALIGNMENT), ..extent.clone() });
        }
        Ok(new)
    }

    fn elsewhere(&self, len: Sectors) -> Option<Vec<Extent>> {
        let lane = Lane { need: round_up(len, ALIGNMENT), ..Lane::default() };
        let mut new = place::place(&self.space, &[lane], false)?.pop()?;
        if let Some(last) = new.last_mut() {
            last.len -= round_up(len, ALIGNMENT) - len;
        }
        Some(new)
    }

    fn no_space(&self) -> Refused {
        Refused::NoSpaceFor { part: "what goes back", volume: self.name.clone() }
    }
}

//! Hot relocation (facts 2.8): what has failed with its disk is put elsewhere, so that the volume has
//! all its copies again before anybody has replaced the disk.
//!
//! Whoever cares ([`failed`]) reads in the records what has failed and could be relocated, and asks for
//! it plex by plex; a record says nothing of that afterwards but where it was. So nothing is undone or
//! half done, whoever has asked and is lost.

use std::collections::BTreeSet;

use super::relocate::{self, Leaving};
use super::space::{Extent, Space};
use super::{mirror, tree};
use crate::model::group::Group;
use crate::model::ids::Name;
use crate::model::record::{Origin, Piece, Plex, Source, Subdisk, Volume};
use crate::model::refused::Refused;
use crate::model::size::Sectors;
use crate::model::states::{KernelState, PlexState};

/// What a plex has on disks that have failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failed {
    /// The volume, or the layer of one.
    pub volume: Name,
    /// The volume that an administrator knows: the same, or that above the layer.
    pub top: Name,
    /// Its plex.
    pub plex: Name,
    /// The subdisks, or the one with the log, each with the disk that it lies on. A subvolume is named
    /// with every failed disk below it.
    pub subdisks: Vec<(Name, Name)>,
}

/// What comes of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Relocation {
    /// The plex that the data are copied from; a log begins anew.
    pub from: Option<Name>,
    /// The new places of each subdisk, in the order of [`Failed::subdisks`].
    pub places: Vec<Vec<Extent>>,
}

/// All that has failed in a group with a disk that is failing: plexes that were taken off for it, and
/// the only copies of volumes, which never are.
pub fn failed(group: &Group) -> Vec<Failed> {
    let disks = failing(group);
    if disks.is_empty() {
        return Vec::new();
    }
    let users = group.users();
    let mut all = Vec::new();
    for (name, volume) in &group.volumes {
        // A layer is used by a subvolume, and that by the plex of the volume above.
        let above = users.get(name).and_then(|subdisk| users.get(users.get(subdisk)?));
        let top = above.map_or(name, |top| *top);
        for plex_name in &volume.plexes {
            let Some(plex) = group.plexes.get(plex_name) else { continue };
            if !has_failed(group, volume, plex_name, plex) {
                continue;
            }
            let subdisks = lying_on(group, plex, &disks);
            if !subdisks.is_empty() {
                let (volume, top) = (name.clone(), top.clone());
                all.push(Failed { volume, top, plex: plex_name.clone(), subdisks });
            }
        }
    }
    all
}

impl Failed {
    /// Where it goes: to spares, else to what is free on disks that are not to be left alone; never to
    /// a disk with another mirror, column or log of the volume.
    ///
    /// # Errors
    /// Why it goes nowhere.
    pub fn plan(&self, group: &Group) -> Result<Relocation, Refused> {
        let volume = tree::volume(group, &self.volume)?;
        let gone = || Refused::Missing { what: "plex", name: self.plex.clone() };
        let plex = group.plexes.get(&self.plex).ok_or_else(gone)?;
        if plex.is_log_only() {
            return self.plan_log(group, plex);
        }
        let other = tree::data_plexes(group, volume).find(|(name, other)| {
            **name != self.plex && usable(volume, other) && tree::is_current(group, volume, other)
        });
        let Some((from, _)) = other else {
            let what = format!("Volume {} has no other complete copy of its data", self.volume);
            return Err(Refused::Invalid(what));
        };
        if let Some(log) = &plex.log {
            let what = format!("Plex {} has a log in it ({log})", self.plex);
            return Err(Refused::Invalid(what));
        }
        let columns = self.columns(group);
        let pieces = columns.iter().map(|column| column.pieces.len()).sum::<usize>();
        if pieces < self.subdisks.len() {
            let what = format!("Plex {} has a layer without another copy", self.plex);
            return Err(Refused::Invalid(what));
        }
        let place = |space: &Space| relocate::place_columns(group, &self.top, &columns, space);
        let placed = self.in_turn(group, place).ok_or_else(|| self.no_space("what has failed"))?;
        let places = placed.into_iter().flatten().collect();
        Ok(Relocation { from: Some(from.clone()), places })
    }

    fn plan_log(&self, group: &Group, plex: &Plex) -> Result<Relocation, Refused> {
        let data = tree::disks_of_volume(group, &self.top);
        let log = plex.log.as_ref().and_then(|log| group.subdisks.get(log));
        let len = log.map_or(0, |log| log.len);
        let place = |space: &Space| relocate::place_log(group, &self.volume, &data, space, len);
        let place = self.in_turn(group, place).ok_or_else(|| self.no_space("a log"))?;
        Ok(Relocation { from: None, places: vec![vec![place]] })
    }

    /// On spares alone if that works.
    fn in_turn<T>(&self, group: &Group, place: impl Fn(&Space) -> Option<T>) -> Option<T> {
        let all = Space::hot(group, &self.disks());
        let is_spare = |disk: &Name| group.disks.get(disk).is_some_and(|disk| disk.spare);
        let others = group.disks.keys().filter(|disk| !is_spare(disk)).cloned().collect();
        place(&all.without(&others)).or_else(|| place(&all))
    }

    /// The disks that have failed.
    pub fn disks(&self) -> BTreeSet<Name> {
        self.subdisks.iter().map(|(_, disk)| disk.clone()).collect()
    }

    fn columns(&self, group: &Group) -> Vec<Leaving> {
        let disks = self.disks();
        Leaving::chosen(group, &self.volume, |plex, subdisk| {
            *plex == self.plex && subdisk.source.disk().is_some_and(|disk| disks.contains(disk))
        })
    }

    fn no_space(&self, part: &'static str) -> Refused {
        Refused::NoSpaceFor { part, volume: self.top.clone() }
    }
}

/// Disks on which something has failed.
fn failing(group: &Group) -> BTreeSet<&Name> {
    group.disks.iter().filter(|(_, disk)| disk.failing).map(|(name, _)| name).collect()
}

/// A plex was taken off, or would have been if it were not the only one.
fn has_failed(group: &Group, volume: &Volume, name: &Name, plex: &Plex) -> bool {
    let is_on = plex.kernel == KernelState::Enabled;
    if plex.is_log_only() {
        return !is_on && volume.kernel == KernelState::Enabled;
    }
    match plex.state {
        PlexState::IoFail => !is_on,
        PlexState::Active | PlexState::Clean => {
            !volume.layer && !tree::has_copy(group, volume, |other| other != name)
        }
        PlexState::Empty
        | PlexState::Log
        | PlexState::NoDevice
        | PlexState::Offline
        | PlexState::Recover
        | PlexState::Removed
        | PlexState::SnapAtt
        | PlexState::SnapDis
        | PlexState::SnapDone
        | PlexState::SnapTmp
        | PlexState::Stale
        | PlexState::Temp
        | PlexState::TempRm
        | PlexState::TempRmSd => false,
    }
}

/// It can be copied from, now or when its volume is started.
fn usable(volume: &Volume, plex: &Plex) -> bool {
    plex.kernel == KernelState::Enabled || volume.kernel == KernelState::Disabled
}

/// The subdisks of a plex on some disks, or with layers that lie there.
fn lying_on(group: &Group, plex: &Plex, disks: &BTreeSet<&Name>) -> Vec<(Name, Name)> {
    let on = |name: &Name| -> Vec<(Name, Name)> {
        let Some(subdisk) = group.subdisks.get(name) else { return Vec::new() };
        let of = match &subdisk.source {
            Source::Disk { dm, .. } => BTreeSet::from([dm.clone()]),
            // Mirrors of a layer fail by themselves.
            Source::Volume(_) if plex.state != PlexState::IoFail => BTreeSet::new(),
            Source::Volume(layer) => tree::disks_of_volume(group, layer),
        };
        let failed = of.into_iter().filter(|disk| disks.contains(disk));
        failed.map(|disk| (name.clone(), disk)).collect()
    };
    let log = plex.log.iter().filter(|_| plex.is_log_only());
    plex.pieces.iter().map(|piece| &piece.subdisk).chain(log).flat_map(on).collect()
}

/// Hot relocation of one plex.
pub(super) fn relocate(group: &mut Group, plex: &Name) -> Result<(), Refused> {
    if !group.plexes.contains_key(plex) {
        return Err(Refused::Missing { what: "plex", name: plex.clone() });
    }
    let Some(failed) = failed(group).into_iter().find(|failed| failed.plex == *plex) else {
        let what = format!("Plex {plex} has nothing that has failed with its disk");
        return Err(Refused::Invalid(what));
    };
    let plan = failed.plan(group)?;
    let Some(states) = group.volumes.get(&failed.volume).map(mirror::begin) else { return Ok(()) };
    let is_log = group.plexes.get(plex).is_some_and(Plex::is_log_only);
    for ((name, _), places) in failed.subdisks.iter().zip(&plan.places) {
        let origin = group.subdisks.get(name).and_then(origin);
        if let (true, Some(place)) = (is_log, places.first()) {
            relocate::replace_log(group, plex, name, place, origin)?;
        } else if let Some(piece) = piece(group, plex, name) {
            relocate::replace(group, plex, &piece, places, origin)?;
        }
    }
    if let Some(plex) = group.plexes.get_mut(plex) {
        let (kernel, state) = states;
        (plex.kernel, plex.state) = (kernel, if is_log { plex.state } else { state });
    }
    Ok(())
}

fn piece(group: &Group, plex: &Name, subdisk: &Name) -> Option<Piece> {
    let pieces = &group.plexes.get(plex)?.pieces;
    pieces.iter().find(|piece| piece.subdisk == *subdisk).cloned()
}

/// Where a subdisk was before it was relocated for the first time.
fn origin(subdisk: &Subdisk) -> Option<Origin> {
    let here = |(dm, offset): (&Name, Sectors)| Origin { dm: dm.clone(), offset };
    match &subdisk.source {
        Source::Disk { dm, offset } => subdisk.origin.clone().or_else(|| Some(here((dm, *offset)))),
        Source::Volume(_) => None,
    }
}

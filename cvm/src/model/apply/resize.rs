//! `vxassist growby`, `growto`, `shrinkby`, `shrinkto`: all plexes of a volume get longer or shorter
//! together, and in a layered volume the last layer of each column.
//!
//! Logs stay as they are: [`super::short_logs`] names those that are too short afterwards.

use std::collections::{BTreeMap, BTreeSet};

use super::place::{self, Lane, Lanes};
use super::space::{Extent, Space};
use super::{build, plan, shrink, tree};
use crate::model::group::Group;
use crate::model::ids::Name;
use crate::model::limits::ALIGNMENT;
use crate::model::op::{NewLength, Storage};
use crate::model::record::{Layout, Piece, Plex, Source, Volume};
use crate::model::refused::Refused;
use crate::model::size::{LENGTH_MAX, Sectors, round_down, round_up};
use crate::model::states::VolumeState;

/// The length that the volume can be grown to; its length now if there is no room at all. The group
/// is as it was.
pub fn maxgrow(group: &Group, name: &Name, storage: &[Storage]) -> Result<Sectors, Refused> {
    let volume = tree::top(group, name)?;
    let space = Space::of(group, storage)?;
    Ok(most(group, name, volume, &space)?.map_or(volume.len, |most| most.len))
}

pub(super) fn resize(
    group: &mut Group,
    name: &Name,
    to: NewLength,
    storage: &[Storage],
    force: bool,
) -> Result<(), Refused> {
    let volume = tree::top(group, name)?;
    let len = volume.len;
    let unit = unit(group, volume)?;
    let wrong = |what: String| Err(Refused::Invalid(what));
    let (to, grows) = match to {
        NewLength::GrowBy(by) => (len.saturating_add(by), true),
        NewLength::GrowTo(to) => (to, true),
        NewLength::ShrinkBy(by) => (len.saturating_sub(by), false),
        NewLength::ShrinkTo(to) => (to, false),
    };
    if grows {
        if to < len {
            return wrong(format!("Volume {name} is longer than that: {len} sectors"));
        }
        return if to == len { Ok(()) } else { grow(group, name, to, unit, storage) };
    }
    if to > len {
        return wrong(format!("Volume {name} is shorter than that: {len} sectors"));
    }
    if to == 0 {
        return wrong(format!("Volume {name} would be left with nothing of its {len} sectors"));
    }
    let (may_be_cut, empty) = (volume.usage == "fsgen", volume.state == VolumeState::Empty);
    let to = round_up(to, unit).min(len);
    if to < len && may_be_cut && !empty && !force {
        // The original's rule for this usage type.
        return wrong(format!(
            "Shrinking volume {name} of usage type fsgen can result in loss of data: use -f"
        ));
    }
    shrink::volume(group, name, to);
    Ok(())
}

/// What the length of a volume is a multiple of: what its plexes' lengths are.
fn unit(group: &Group, volume: &Volume) -> Result<Sectors, Refused> {
    let units = tree::data_plexes(group, volume).map(|(_, plex)| plan::unit(plex.layout));
    let none = || Refused::Invalid("a volume without plexes has no length to change".to_owned());
    units.max().ok_or_else(none)
}

fn grow(
    group: &mut Group,
    name: &Name,
    to: Sectors,
    unit: Sectors,
    storage: &[Storage],
) -> Result<(), Refused> {
    let no_space = || Refused::NoSpaceToGrow(to);
    let volume = tree::top(group, name)?;
    let space = Space::of(group, storage)?;
    let most = most(group, name, volume, &space)?.ok_or_else(no_space)?;
    if to > most.len {
        return Err(no_space());
    }
    // The most is a multiple of the unit, too.
    let growth = Growth::of(group, name, round_up(to, unit));
    let lanes = growth.lanes();
    let placed = place::fewest(&growth.usable(&space), &lanes, false);
    let placed = placed.or_else(|| growth.as_most(&space, &lanes, &most)).ok_or_else(no_space)?;
    growth.carry_out(group, &placed)
}

/// The longest that a volume can get, and the disks that each column then has.
struct Most {
    len: Sectors,
    disks: BTreeMap<(Name, u16), Vec<Name>>,
}

/// Nothing if there is no room to grow.
fn most(
    group: &Group,
    name: &Name,
    volume: &Volume,
    space: &Space,
) -> Result<Option<Most>, Refused> {
    let unit = unit(group, volume)?;
    let lens = tree::data_plexes(group, volume).map(|(_, plex)| group.plex_len(plex));
    let to = lens.max().unwrap_or(0).saturating_add(space.total()).min(LENGTH_MAX);
    let fits = |len| {
        let growth = Growth::of(group, name, len);
        let usable = growth.usable(space);
        let deal = place::deal(&usable, &growth.lanes(), false)?;
        let keys = growth.lanes.iter().map(|lane| (lane.plex.clone(), lane.column));
        let disk = |room: usize| usable.rooms[room].disk.clone();
        let disks = deal.into_iter().map(|rooms| rooms.into_iter().map(disk).collect());
        Some(Most { len, disks: keys.zip(disks).collect() })
    };
    // The length may be no multiple itself, if the volume was made by hand.
    let most = place::largest(unit, round_down(volume.len, unit), to, fits);
    Ok(most.map(|(_, most)| most).filter(|most| most.len > volume.len))
}

/// What has to be done for a volume to get longer.
struct Growth {
    lanes: Vec<GrowingColumn>,
    /// Disks with data of the volume.
    used: BTreeSet<Name>,
    /// The volume and layers of it, with their new lengths.
    volumes: BTreeMap<Name, Sectors>,
    subvolumes: BTreeMap<Name, Sectors>,
}

/// A column that ranges of disks are added to.
struct GrowingColumn {
    plex: Name,
    column: u16,
    /// Where it ends now.
    end: Sectors,
    lane: Lane,
}

impl Growth {
    fn of(group: &Group, name: &Name, to: Sectors) -> Self {
        let mut growth = Self {
            lanes: Vec::new(),
            used: tree::disks_of_volume(group, name),
            volumes: BTreeMap::new(),
            subvolumes: BTreeMap::new(),
        };
        growth.volume(group, name, to);
        growth
    }

    fn volume(&mut self, group: &Group, name: &Name, to: Sectors) {
        let Some(volume) = group.volumes.get(name) else { return };
        for (plex_name, plex) in tree::data_plexes(group, volume) {
            let needed = tree::column_len(plex.layout, to);
            for column in 0..plex.layout.columns() {
                let end = tree::column_end(group, plex, column);
                if end < needed {
                    self.column(group, (plex_name, plex), column, end, needed - end);
                }
            }
        }
        self.volumes.insert(name.clone(), to);
    }

    fn column(
        &mut self,
        group: &Group,
        (name, plex): (&Name, &Plex),
        column: u16,
        end: Sectors,
        more: Sectors,
    ) {
        let more = round_up(more, ALIGNMENT);
        let pieces = plex.pieces.iter().filter(|piece| piece.column == column);
        let last = pieces.clone().max_by_key(|piece| piece.offset);
        let last = last.and_then(|piece| Some((piece, tree::subdisk(group, piece)?)));
        let after = match last.map(|(piece, subdisk)| (piece, subdisk, &subdisk.source)) {
            None => None,
            Some((_, subdisk, Source::Disk { dm, offset })) => {
                Some((dm.clone(), offset + subdisk.len))
            }
            Some((piece, subdisk, Source::Volume(layer))) => {
                let len = subdisk.len + more;
                self.subvolumes.insert(piece.subdisk.clone(), len);
                if group.volumes.get(layer).is_some_and(|volume| volume.len < len) {
                    self.volume(group, layer, len);
                }
                return;
            }
        };
        let own = tree::disks_of_pieces(group, pieces);
        let lane = Lane { need: more, own, after };
        self.lanes.push(GrowingColumn { plex: name.clone(), column, end, lane });
    }

    fn lanes(&self) -> Vec<Lane> {
        self.lanes.iter().map(|column| column.lane.clone()).collect()
    }

    /// Disks of mirrors and columns that do not grow here are not for those that do.
    fn usable(&self, space: &Space) -> Space {
        let own: BTreeSet<&Name> = self.lanes.iter().flat_map(|column| &column.lane.own).collect();
        let others = self.used.iter().filter(|disk| !own.contains(disk)).cloned();
        space.without(&others.collect())
    }

    /// On the disks that columns have when the volume is as long as it can get: the columns that
    /// grow now are among those that grow then.
    fn as_most(&self, space: &Space, lanes: &[Lane], most: &Most) -> Option<Lanes> {
        let mut deal = Vec::new();
        for lane in &self.lanes {
            let disks = most.disks.get(&(lane.plex.clone(), lane.column))?;
            let place = |disk: &Name| space.rooms.iter().position(|room| room.disk == *disk);
            deal.push(disks.iter().filter_map(place).collect());
        }
        place::fill_all(space, lanes, &deal, false)
    }

    fn carry_out(self, group: &mut Group, placed: &Lanes) -> Result<(), Refused> {
        for (lane, extents) in self.lanes.iter().zip(placed) {
            let (taken, rest) = lane.go_on(group, extents);
            let pieces = build::pieces(group, lane.column, lane.end + taken, rest)?;
            add_pieces(group, &lane.plex, pieces);
        }
        for (name, len) in self.subvolumes {
            if let Some(subdisk) = group.subdisks.get_mut(&name) {
                subdisk.len = len;
            }
        }
        for (name, len) in self.volumes {
            if let Some(volume) = group.volumes.get_mut(&name) {
                volume.len = len;
            }
        }
        Ok(())
    }
}

impl GrowingColumn {
    /// Lets the last subdisk grow if the first range is right behind it; what is left to be added.
    fn go_on<'a>(&self, group: &mut Group, extents: &'a [Extent]) -> (Sectors, &'a [Extent]) {
        let Some((first, rest)) = extents.split_first() else { return (0, extents) };
        let behind = (first.disk.clone(), first.offset);
        if self.lane.after.as_ref() != Some(&behind) {
            return (0, extents);
        }
        let plex = group.plexes.get(&self.plex);
        let pieces = plex.into_iter().flat_map(|plex| &plex.pieces);
        let last = pieces.filter(|piece| piece.column == self.column).max_by_key(|p| p.offset);
        match last.and_then(|piece| group.subdisks.get_mut(&piece.subdisk)) {
            Some(subdisk) => {
                subdisk.len += first.len;
                (first.len, rest)
            }
            None => (0, extents),
        }
    }
}

/// Puts pieces into a plex, in the order that it keeps them in.
pub(super) fn add_pieces(group: &mut Group, plex: &Name, mut pieces: Vec<Piece>) {
    if let Some(plex) = group.plexes.get_mut(plex) {
        plex.pieces.append(&mut pieces);
        plex.pieces.sort_by_key(|piece| (piece.column, piece.offset));
        debug_assert!(plex.layout != Layout::Concat || plex.pieces.iter().all(|p| p.column == 0));
    }
}

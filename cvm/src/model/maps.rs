//! Maps of logs (facts 2.5): whether what a record says of them is still so. That is about recovery, and
//! about changes that are noted for snapshots which are to come back.

use std::collections::BTreeSet;

use super::apply::drl_len;
use super::group::Group;
use super::ids::{Name, Rid};
use super::record::{Plex, Source, Volume};
use super::size::Sectors;
use super::states::{KernelState, PlexState};

/// A log with a recovery map. One of another length is divided in another way.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct MapPlace {
    /// The volume, or the layer, that it is of.
    pub volume: Rid,
    /// The length of that.
    pub len: Sectors,
    /// The subdisk that it lies on.
    pub log: Rid,
}

impl Group {
    /// The logs in use of a volume and of its layers.
    pub fn map_places(&self, name: &Name) -> BTreeSet<MapPlace> {
        let mut places = BTreeSet::new();
        if let Some(volume) = self.volumes.get(name) {
            self.add_places(volume, &mut places);
        }
        places
    }

    fn add_places(&self, volume: &Volume, places: &mut BTreeSet<MapPlace>) {
        for plex in volume.plexes.iter().filter_map(|plex| self.plexes.get(plex)) {
            let log = plex.log.as_ref().filter(|_| plex.has_log_in_use());
            if let Some(log) = log.and_then(|log| self.subdisks.get(log)) {
                let (volume, len, log) = (volume.common.rid, volume.len, log.common.rid);
                places.insert(MapPlace { volume, len, log });
            }
            for piece in &plex.pieces {
                let subdisk = self.subdisks.get(&piece.subdisk);
                if let Some(Source::Volume(layer)) = subdisk.map(|subdisk| &subdisk.source)
                    && let Some(layer) = self.volumes.get(layer)
                {
                    self.add_places(layer, places);
                }
            }
        }
    }

    /// There are copies of a volume, or of a layer of it, that writes reach, and that could differ.
    pub(super) fn has_copies(&self, volume: &Volume) -> bool {
        self.has_several(volume, |plex| plex.is_current() || plex.is_being_copied())
    }

    /// The same, in use or not.
    pub fn is_mirrored(&self, volume: &Volume) -> bool {
        self.has_several(volume, |_| true)
    }

    fn has_several(&self, volume: &Volume, is_meant: fn(&Plex) -> bool) -> bool {
        let plexes = volume.plexes.iter().filter_map(|plex| self.plexes.get(plex));
        let on: Vec<&Plex> = plexes.filter(|plex| is_meant(plex) && !plex.is_log_only()).collect();
        let layers = on.iter().flat_map(|plex| &plex.pieces).filter_map(|piece| {
            match &self.subdisks.get(&piece.subdisk)?.source {
                Source::Volume(layer) => self.volumes.get(layer),
                Source::Disk { .. } => None,
            }
        });
        on.len() > 1 || layers.into_iter().any(|layer| self.has_several(layer, is_meant))
    }

    /// After a change: what volumes say of their recovery maps holds only if no log is new since.
    pub(super) fn keep_maps(&mut self, before: &Self) {
        let by_map = self.volumes.iter().filter(|(_, volume)| volume.by_map);
        let is_void = |name: &Name, volume: &Volume| {
            let places = self.map_places(name);
            let is_new = !places.is_subset(&before.map_places(name));
            !volume.needs_sync() || places.is_empty() || is_new
        };
        let void: Vec<Name> = by_map
            .filter(|(name, volume)| is_void(name, volume))
            .map(|(name, _)| name.clone())
            .collect();
        for name in void {
            if let Some(volume) = self.volumes.get_mut(&name) {
                volume.by_map = false;
            }
        }
    }

    /// The number under which changes of a volume are noted: a snapshot that nobody has written, or a plex
    /// of one that is back and not full yet, needs them.
    pub fn noted(&self, name: &Name) -> Option<u32> {
        let volume = self.volumes.get(name).filter(|volume| volume.changes > 0)?;
        let (rid, number) = (volume.common.rid, Some(volume.changes));
        let mut snapshots = self.volumes.values().filter(|other| other.snapshot_of == Some(rid));
        let mut plexes = volume.plexes.iter().filter_map(|plex| self.plexes.get(plex));
        let is_needed = snapshots.any(|snapshot| snapshot.since == number)
            || plexes.any(|plex| plex.since == number);
        number.filter(|_| is_needed)
    }

    /// A node begins to write a volume: what it notes counts. Where it has no room for that, nothing does.
    pub(super) fn note_changer(&mut self, name: &Name, node: u8) {
        if self.noted(name).is_none() {
            return;
        }
        let has_room = self.has_room(name, node);
        let Some(volume) = self.volumes.get_mut(name) else { return };
        if has_room {
            volume.changers.insert(node);
        } else {
            volume.forget_changes();
        }
    }

    /// The logs of a volume are long enough for what this node notes.
    pub(super) fn has_room(&self, name: &Name, node: u8) -> bool {
        let needed = |len| if self.is_shared() { drl_len(len, u16::from(node) + 1) } else { 0 };
        let len = |log| self.subdisks.values().find(|subdisk| subdisk.common.rid == log);
        let mut places = self.map_places(name).into_iter();
        places.all(|place| len(place.log).is_some_and(|log| needed(place.len) <= log.len))
    }

    /// After a change: what was noted of changes counts only in logs that were there all the time, of a
    /// volume that has copies, for others use no log.
    pub(super) fn keep_noted_logs(&mut self, before: &Self) {
        let is_void = |(name, volume): &(&Name, &Volume)| {
            let Some((old_name, old)) = before.volume_with(volume.common.rid) else { return true };
            let is_on = |volume: &Volume| volume.kernel == KernelState::Enabled;
            let logs = |group: &Self, name: &Name, volume: &Volume| {
                if is_on(volume) { group.map_places(name) } else { group.all_logs(volume) }
            };
            let places = logs(self, name, volume);
            places.is_empty()
                || !places.is_subset(&logs(before, old_name, old))
                || is_on(volume) && !self.has_copies(volume)
        };
        let noted = self.volumes.iter().filter(|(name, _)| self.noted(name).is_some());
        let void: Vec<Name> = noted.filter(is_void).map(|(name, _)| name.clone()).collect();
        for name in void {
            self.volumes.get_mut(&name).into_iter().for_each(Volume::forget_changes);
        }
    }

    /// After what administrators have done: changes that were noted, and snapshots that nobody has
    /// written, are all that there is to know only if blocks have not come from anywhere else.
    pub(super) fn keep_notes(&mut self, before: &Self) {
        self.keep_noted_logs(before);
        let changed: Vec<Name> = self
            .volumes
            .iter()
            .filter(|(_, volume)| volume.changes > 0 || volume.since.is_some())
            .filter(|(_, volume)| !self.holds_the_same(before, volume))
            .map(|(name, _)| name.clone())
            .collect();
        for name in &changed {
            if let Some(volume) = self.volumes.get_mut(name) {
                volume.forget_changes();
                volume.since = None;
            }
        }
        for (name, plex) in &mut self.plexes {
            let old = before.plexes.get(name).filter(|old| old.since.is_some());
            let state = |plex: &Plex| (plex.kernel, plex.state, plex.pieces.clone());
            if plex.since.is_some() && old.is_some_and(|old| state(old) != state(plex)) {
                plex.since = None;
            }
        }
    }

    /// It is new, or as long as it was, and no plex of it is good that was not good before.
    pub(super) fn holds_the_same(&self, before: &Self, volume: &Volume) -> bool {
        let is_good = |plex: &&Plex| {
            matches!(plex.state, PlexState::Active | PlexState::Clean) && !plex.is_log_only()
        };
        let good = |group: &Self, volume: &Volume| -> BTreeSet<Rid> {
            let plexes = volume.plexes.iter().filter_map(|plex| group.plexes.get(plex));
            plexes.filter(is_good).map(|plex| plex.common.rid).collect()
        };
        before.volume_with(volume.common.rid).is_none_or(|(_, old)| {
            old.len == volume.len && good(self, volume).is_subset(&good(before, old))
        })
    }

    /// The logs of a volume, in use or not.
    fn all_logs(&self, volume: &Volume) -> BTreeSet<MapPlace> {
        let plexes = volume.plexes.iter().filter_map(|plex| self.plexes.get(plex));
        let logs = plexes.filter_map(|plex| self.subdisks.get(plex.log.as_ref()?));
        let (rid, len) = (volume.common.rid, volume.len);
        logs.map(|log| MapPlace { volume: rid, len, log: log.common.rid }).collect()
    }
}

//! Recovery maps (facts 2.5): whether what a record says of them is still so.

use std::collections::BTreeSet;

use super::group::Group;
use super::ids::{Name, Rid};
use super::record::{Plex, Source, Volume};
use super::size::Sectors;
use super::states::KernelState;

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

    /// There are copies in use of a volume, or of a layer of it, that could differ.
    pub(super) fn has_copies(&self, volume: &Volume) -> bool {
        self.has_several(volume, |plex| plex.kernel == KernelState::Enabled)
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
}

//! The records behind a mapping: what is counted, and under which name it is shown.

use super::{DiskIndex, PlexIndex, VolumeMap};
use crate::model::{Name, Rid, Sectors, Subdisk, UniqueId};

/// Numbers a subdisk of a mapping, of whatever layer.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct SubdiskIndex(pub usize);

/// The group of a volume, and its device there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Home {
    /// Its identity.
    pub id: UniqueId,
    /// Its name.
    pub name: Name,
    /// The number of the volume's device.
    pub minor: u32,
}

/// A disk as a member of the group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    /// The identity of its record.
    pub rid: Rid,
    /// Its record.
    pub name: Name,
}

/// A subdisk: a range of a disk, or a layer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SubdiskMap {
    /// The identity of its record.
    pub rid: Rid,
    /// Its record.
    pub name: Name,
    /// Its disk, and where it begins in the public region; a layer has none, nor has a disk that is not
    /// there.
    pub place: Option<(DiskIndex, Sectors)>,
    /// How long it is.
    pub len: Sectors,
    /// It holds a log: the record of the plex that it belongs to.
    pub log_of: Option<Rid>,
}

impl SubdiskMap {
    /// How much of a range of a disk is in it.
    fn covers(&self, disk: DiskIndex, at: Sectors, len: Sectors) -> Option<Sectors> {
        let (_, begin) = self.place.filter(|(mine, _)| *mine == disk)?;
        let end = (begin + self.len).min(at.saturating_add(len));
        end.checked_sub(begin.max(at)).filter(|covered| *covered > 0)
    }
}

impl VolumeMap {
    pub(super) fn add_subdisk(
        &mut self,
        name: &Name,
        subdisk: &Subdisk,
        place: Option<(DiskIndex, Sectors)>,
        log_of: Option<Rid>,
    ) -> SubdiskIndex {
        let (rid, name, len) = (subdisk.common.rid, name.clone(), subdisk.len);
        self.subdisks.push(SubdiskMap { rid, name, place, len, log_of });
        SubdiskIndex(self.subdisks.len() - 1)
    }

    /// The group of the volume; nothing is known of a mapping of nothing.
    pub const fn home(&self) -> Option<&Home> {
        self.home.as_ref()
    }

    /// The members of the group that the disks are, in their order.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// All subdisks, of all layers, and those with logs that are in use.
    pub fn subdisks(&self) -> &[SubdiskMap] {
        &self.subdisks
    }

    /// The subdisks that a range of a disk lies in, and how much of it in each: those of a plex, or
    /// those with logs.
    pub fn subdisks_at(
        &self,
        plex: Option<PlexIndex>,
        disk: DiskIndex,
        at: Sectors,
        len: Sectors,
    ) -> impl Iterator<Item = (SubdiskIndex, Sectors)> + '_ {
        let of_plex = plex.map(|plex| self.plex(plex).subdisks.as_slice()).unwrap_or_default();
        let others = if plex.is_none() { self.subdisks.as_slice() } else { &[] };
        let logs = others.iter().enumerate().filter(|(_, subdisk)| subdisk.log_of.is_some());
        let logs = logs.map(|(index, _)| SubdiskIndex(index));
        of_plex.iter().copied().chain(logs).filter_map(move |index| {
            let covered = self.subdisks.get(index.0)?.covers(disk, at, len)?;
            Some((index, covered))
        })
    }
}

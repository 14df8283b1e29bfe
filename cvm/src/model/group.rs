//! A disk group: its own attributes and all its records.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ids::{Name, Rid, Serial, UniqueId};
use super::record::{Common, Disk, Layout, Plex, Source, Subdisk, Volume};
use super::records::Records;
use super::size::Sectors;
use super::states::{DetachPolicy, FailPolicy};

/// How many disks of a group keep a copy of its configuration, or of its kernel log (facts 1.4).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Copies {
    /// All that are there.
    All,
    /// So many, at least one.
    Count(u16),
    /// Five.
    #[default]
    Default,
}

impl Copies {
    /// How many of `disks` hold a copy.
    pub fn of(self, disks: usize) -> usize {
        match self {
            Self::All => disks,
            Self::Count(count) => usize::from(count).min(disks),
            Self::Default => disks.min(5),
        }
    }
}

/// Who may import a group: what is stamped on its disks (facts 3.10).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Owner {
    /// A shared group of this cluster.
    Cluster(Name),
    /// A private group of this host.
    Host(Name),
    /// Nobody: it is deported.
    Nobody,
}

/// A disk group.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Group {
    /// Its name.
    pub name: Name,
    /// Its identity, which renaming does not change.
    pub id: UniqueId,
    /// Version of the format, see [`Group::VERSION`].
    pub version: u32,
    /// Who may import it.
    pub owner: Owner,
    /// Imported by itself when its owner starts.
    pub autoimport: bool,
    /// It was destroyed: nothing of it counts any more.
    pub destroyed: bool,
    /// Objects lie so that any platform can use them.
    pub cds: bool,
    /// Volumes get minor numbers from here on.
    pub minors: u32,
    /// How many copies of the configuration.
    pub nconfig: Copies,
    /// How many copies of the kernel log.
    pub nlog: Copies,
    /// Who detaches.
    pub detach_policy: DetachPolicy,
    /// What a master does that cannot write the configuration.
    pub fail_policy: FailPolicy,
    /// Serial split brain is looked for.
    pub ssb: bool,
    /// Counts imports; each disk has its own, which is the same unless it was away.
    pub serial: Serial,
    /// The next record gets it.
    pub next_rid: Rid,
    /// Disk media records.
    pub disks: Records<Disk>,
    /// Subdisks and subvolumes.
    pub subdisks: Records<Subdisk>,
    /// Plexes.
    pub plexes: Records<Plex>,
    /// Volumes.
    pub volumes: Records<Volume>,
}

/// The kind of a record, in the order in which listings have them.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Kind {
    /// `dm`
    Disk,
    /// `sd`, or `sv` for a subvolume
    Subdisk,
    /// `pl`
    Plex,
    /// `v`
    Volume,
}

impl Group {
    /// The version of groups that are made here; the original's of 5.0 and later.
    pub const VERSION: u32 = 140;

    /// A group without disks.
    pub fn new(name: Name, id: UniqueId, owner: Owner) -> Self {
        Self {
            name,
            id,
            version: Self::VERSION,
            owner,
            autoimport: true,
            destroyed: false,
            cds: true,
            minors: 0,
            nconfig: Copies::Default,
            nlog: Copies::Default,
            detach_policy: DetachPolicy::Global,
            fail_policy: FailPolicy::DgDisable,
            ssb: true,
            serial: Serial(0),
            next_rid: Rid(1024),
            disks: Records::new(),
            subdisks: Records::new(),
            plexes: Records::new(),
            volumes: Records::new(),
        }
    }

    /// It is for all nodes of a cluster.
    pub const fn is_shared(&self) -> bool {
        matches!(self.owner, Owner::Cluster(_))
    }

    /// What a new record begins with.
    pub fn common(&mut self) -> Common {
        let rid = self.next_rid;
        self.next_rid.0 += 1;
        Common { rid, ..Common::default() }
    }

    /// Which record has this name: names are unique in a group, whatever they name.
    pub fn kind_of(&self, name: &str) -> Option<Kind> {
        if self.volumes.contains_key(name) {
            Some(Kind::Volume)
        } else if self.plexes.contains_key(name) {
            Some(Kind::Plex)
        } else if self.subdisks.contains_key(name) {
            Some(Kind::Subdisk)
        } else if self.disks.contains_key(name) {
            Some(Kind::Disk)
        } else {
            None
        }
    }

    /// The volume that a snapshot was broken off from; none if it is no snapshot, or that is gone.
    pub fn original_of(&self, snapshot: &Volume) -> Option<(&Name, &Volume)> {
        self.volume_with(snapshot.snapshot_of?)
    }

    /// The volume with this identity.
    pub(super) fn volume_with(&self, rid: Rid) -> Option<(&Name, &Volume)> {
        self.volumes.iter().find(|(_, volume)| volume.common.rid == rid)
    }

    /// How many records there are.
    pub fn record_count(&self) -> usize {
        self.disks.len() + self.subdisks.len() + self.plexes.len() + self.volumes.len()
    }

    /// Identity, comment and locks of a record.
    pub fn common_of(&self, name: &str) -> Option<&Common> {
        let volume = self.volumes.get(name).map(|volume| &volume.common);
        let plex = || self.plexes.get(name).map(|plex| &plex.common);
        let subdisk = || self.subdisks.get(name).map(|subdisk| &subdisk.common);
        let disk = || self.disks.get(name).map(|disk| &disk.common);
        volume.or_else(plex).or_else(subdisk).or_else(disk)
    }

    /// The same, to be changed.
    pub fn common_mut(&mut self, name: &str) -> Option<&mut Common> {
        match self.kind_of(name)? {
            Kind::Disk => self.disks.get_mut(name).map(|disk| &mut disk.common),
            Kind::Plex => self.plexes.get_mut(name).map(|plex| &mut plex.common),
            Kind::Subdisk => self.subdisks.get_mut(name).map(|subdisk| &mut subdisk.common),
            Kind::Volume => self.volumes.get_mut(name).map(|volume| &mut volume.common),
        }
    }

    /// Who uses each record: the plex of a subdisk, the volume of a plex, the subdisk of a layer's
    /// volume. Disks are not listed.
    pub fn users(&self) -> BTreeMap<&Name, &Name> {
        let mut users = BTreeMap::new();
        for (name, volume) in &self.volumes {
            users.extend(volume.plexes.iter().map(|plex| (plex, name)));
        }
        for (name, plex) in &self.plexes {
            users.extend(plex.subdisks().map(|subdisk| (subdisk, name)));
        }
        for (name, subdisk) in &self.subdisks {
            if let Source::Volume(volume) = &subdisk.source {
                users.insert(volume, name);
            }
        }
        users
    }

    /// How much of a volume a plex can hold. A column that is shorter than the others limits a
    /// stripe; a gap does not count as an end.
    pub fn plex_len(&self, plex: &Plex) -> Sectors {
        let end = |column: u16| {
            let pieces = plex.pieces.iter().filter(|piece| piece.column == column);
            let end = |piece: &super::record::Piece| {
                let len = self.subdisks.get(&piece.subdisk).map_or(0, |subdisk| subdisk.len);
                piece.offset.saturating_add(len)
            };
            pieces.map(end).max().unwrap_or(0)
        };
        match plex.layout {
            Layout::Concat => end(0),
            Layout::Stripe { columns, width } => {
                let shortest = (0..columns).map(end).min().unwrap_or(0);
                (shortest / width.max(1)).saturating_mul(width).saturating_mul(u64::from(columns))
            }
        }
    }

    /// The volume that a plex belongs to.
    pub fn volume_of(&self, plex: &Name) -> Option<(&Name, &Volume)> {
        self.volumes.iter().find(|(_, volume)| volume.plexes.contains(plex))
    }

    /// A block of the plex, of a layer below it or of its log is on this disk.
    pub fn lies_on(&self, plex: &Name, disk: &UniqueId) -> bool {
        let Some(plex) = self.plexes.get(plex) else { return false };
        let mut subdisks = plex.subdisks().filter_map(|name| self.subdisks.get(name));
        subdisks.any(|subdisk| match &subdisk.source {
            Source::Disk { dm, .. } => {
                self.disks.get(dm).is_some_and(|record| record.disk.as_ref() == Some(disk))
            }
            Source::Volume(layer) => {
                let layer = self.volumes.get(layer);
                layer.is_some_and(|layer| layer.plexes.iter().any(|plex| self.lies_on(plex, disk)))
            }
        })
    }

    /// The lowest number from the base on that no volume has.
    pub fn free_minor(&self) -> u32 {
        let mut taken: Vec<u32> = self.volumes.values().map(|volume| volume.minor).collect();
        taken.sort_unstable();
        let mut free = self.minors;
        for minor in taken {
            if minor == free {
                free += 1;
            }
        }
        free
    }

    /// `<stem><separator>01`, `02` and so on, the first that no record has.
    pub fn free_name(&self, stem: &str, separator: &str) -> Option<Name> {
        let name = |number| Name::new(&format!("{stem}{separator}{number:02}")).ok();
        let mut names = (1..=self.record_count() + 1).map_while(name);
        names.find(|name| self.kind_of(name.as_str()).is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_five_unless_somebody_says_otherwise() {
        assert_eq!((Copies::Default.of(3), Copies::Default.of(9)), (3, 5));
        assert_eq!((Copies::Count(2).of(9), Copies::Count(12).of(9)), (2, 9));
        assert_eq!(Copies::All.of(9), 9);
    }
}

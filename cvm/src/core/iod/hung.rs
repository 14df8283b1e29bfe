//! Disks that owe this node answers which nobody waits for any more: what they were told may still
//! be done, at any time. A change that would have volumes use such a disk anew is refused by this node,
//! for that would be overtaken.

use std::collections::BTreeSet;
use std::fmt;

use super::Iod;
use crate::core::txn::Txn;
use crate::model::{Group, KernelState, Name, UniqueId, Volume};
use crate::volume::{PlexMode, VolumeMap};

/// What a disk may still do of what this node has told it and waits for no more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Owes {
    /// Nothing: it does not hang.
    Nothing,
    /// What concerns this node alone: it may read, or change a disk that is private.
    Answers,
    /// It may change what others use, too.
    Changes,
}

impl fmt::Display for Owes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Nothing => "it owes nothing any more",
            Self::Answers => "it is gone until it has answered all",
            Self::Changes => {
                "it is gone until it has answered all, and so long nobody goes on without us"
            }
        })
    }
}

impl Iod {
    /// A disk does not answer this node, or has answered all that it was told.
    pub fn handle_hangs(&mut self, disk: UniqueId, owes: Owes) {
        if owes == Owes::Changes {
            self.owing.insert(disk.clone());
        } else {
            self.owing.remove(&disk);
        }
        if owes == Owes::Nothing {
            self.hung.remove(&disk);
            // Who could not say that it stands apart can now.
            self.resyncs.look();
        } else {
            self.hung.insert(disk);
        }
        self.leave_if_closed();
    }

    /// A disk may still change what others use. Who leaves them stays one of them until it has answered:
    /// they wait for it in any case, and a member that says nothing any more holds up more.
    pub(super) fn owes_others(&self) -> bool {
        !self.owing.is_empty()
    }

    /// Why a transaction is not loaded: it has a volume use a disk that hangs here, and that it did not
    /// use before.
    pub(super) fn hanging(&self, txn: &Txn) -> Option<String> {
        if self.hung.is_empty() {
            return None;
        }
        let before = self.tables.get(&txn.id.group).map(|table| &table.image.group);
        let wanted = txn.group.volumes.keys().find_map(|volume| {
            let known = before.map(|group| used(group, volume)).unwrap_or_default();
            let now = used(&txn.group, volume);
            now.into_iter().find(|disk| self.hung.contains(disk) && !known.contains(disk))
        })?;
        Some(format!("disk {wanted} does not answer"))
    }
}

/// Disks that are read or written for a volume.
fn used(group: &Group, volume: &Name) -> BTreeSet<UniqueId> {
    let is_on = |volume: &Volume| volume.kernel == KernelState::Enabled;
    if !group.volumes.get(volume).is_some_and(is_on) {
        return BTreeSet::new();
    }
    let Some(map) = VolumeMap::new(group, volume.as_str()) else { return BTreeSet::new() };
    let plexes = map.plexes().filter(|(_, plex)| plex.mode != PlexMode::Off);
    let data = plexes.flat_map(|(_, plex)| plex.disks());
    let logs = map.mirrors().iter().filter_map(|mirror| mirror.log.as_ref());
    let logs = logs.flat_map(|log| log.copies.iter().map(|copy| &copy.disk));
    data.chain(logs).map(|disk| map.disks()[disk.0].clone()).collect()
}

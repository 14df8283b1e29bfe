//! Which volumes are open here, and who has those that only one node may open (facts 3.9).
//!
//! A volume that is not exclusive is opened without a word to anybody. For one that is, the node asks
//! for it on port v; the first that is heard has it, everywhere, until it has closed it or left.

use std::collections::{BTreeMap, BTreeSet};

use llt::{Instant, NodeId, NodeSet};

use super::join::Leaving;
use super::{Iod, IodOutput, Table};
use crate::core::wire::v::{Holder, VMessage};
use crate::model::{Group, KernelState, Name, UniqueId};

/// A volume of a group.
pub type VolumeName = (UniqueId, Name);

/// Why a volume cannot be opened. Nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenRefused {
    /// There is no such volume, or no such group.
    #[error("no such volume")]
    NoVolume,
    /// It is not started.
    #[error("the volume is not started")]
    NotStarted,
    /// The group's mode here does not allow it.
    #[error("the disk group is not activated for this on this node")]
    NotActivated,
    /// The node leaves the cluster, or the volume is about to be removed.
    #[error("the volume is being taken away")]
    GoingAway,
    /// Only one node may have it open, and another one has.
    #[error("the volume is exclusive, and node {0} has it open")]
    Exclusive(NodeId),
}

/// Names an open that is asked for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct OpenTicket(pub u64);

#[derive(Clone, Debug, Default)]
pub(super) struct Opens {
    /// How often each volume is open here.
    counts: BTreeMap<VolumeName, u32>,
    /// Who has exclusive volumes; the same on all nodes.
    holders: BTreeMap<VolumeName, NodeId>,
    /// Those that this node has, and has not begun to give back.
    held: BTreeSet<VolumeName>,
    /// Groups that are about to be off here: nothing of them is opened.
    off: BTreeSet<UniqueId>,
    /// Programs that wait until this node has one.
    waiting: BTreeMap<VolumeName, Vec<OpenTicket>>,
}

impl Opens {
    pub(super) fn has(&self, volume: &VolumeName) -> bool {
        self.counts.contains_key(volume) || self.waiting.contains_key(volume)
    }

    /// Any of a group.
    pub(super) fn of_group(&self, group: &UniqueId) -> bool {
        let mut all = self.counts.keys().chain(self.waiting.keys());
        all.any(|(open, _)| open == group)
    }

    pub(super) fn going_off(&mut self, group: UniqueId) {
        self.off.insert(group);
    }

    pub(super) fn went_off(&mut self, group: &UniqueId) {
        self.off.remove(group);
    }

    /// This node is in no cluster any more.
    pub(super) fn go_nowhere(&mut self) {
        self.off.clear();
    }

    pub(super) fn holders(&self) -> Vec<Holder> {
        let holder = |((group, volume), node): (&VolumeName, &NodeId)| Holder {
            group: group.clone(),
            volume: volume.clone(),
            node: *node,
        };
        self.holders.iter().map(holder).collect()
    }

    pub(super) fn take_holders(&mut self, holders: &[Holder]) {
        let entry = |holder: &Holder| ((holder.group.clone(), holder.volume.clone()), holder.node);
        self.holders = holders.iter().map(entry).collect();
    }

    pub(super) fn nodes_left(&mut self, left: NodeSet) {
        self.holders.retain(|_, node| !left.contains(*node));
    }
}

impl Iod {
    /// Opens a volume for a program on this node: [`IodOutput::Opened`] names the ticket, at once or
    /// when the others have agreed.
    pub fn open_volume(
        &mut self,
        ticket: OpenTicket,
        group: &UniqueId,
        volume: &Name,
        writable: bool,
    ) {
        let key = (group.clone(), volume.clone());
        match self.may_open(&key, writable) {
            Err(refused) => self.opened(ticket, Err(refused)),
            Ok(true) => {
                *self.opens.counts.entry(key).or_default() += 1;
                self.opened(ticket, Ok(()));
            }
            Ok(false) => {
                let waiting = self.opens.waiting.entry(key).or_default();
                waiting.push(ticket);
                if waiting.len() == 1 {
                    let (group, volume) = (group.clone(), volume.clone());
                    self.broadcast(&VMessage::Hold { group, volume });
                }
            }
        }
    }

    fn opened(&mut self, ticket: OpenTicket, result: Result<(), OpenRefused>) {
        self.resyncs.look();
        self.out.push_back(IodOutput::Opened(ticket, result));
    }

    /// `Ok(false)`: the others have to agree first.
    fn may_open(&self, key: &VolumeName, writable: bool) -> Result<bool, OpenRefused> {
        let (group, name) = key;
        let table = self.tables.get(group).ok_or(OpenRefused::NoVolume)?;
        let volume = table.image.group.volumes.get(name).filter(|volume| !volume.layer);
        let volume = volume.ok_or(OpenRefused::NoVolume)?;
        if volume.kernel != KernelState::Enabled {
            return Err(OpenRefused::NotStarted);
        }
        if table.is_shared() {
            let mode = self.mode_of(group, self.me.node);
            if !mode.reads() || writable && !mode.writes() {
                return Err(OpenRefused::NotActivated);
            }
            let leaves = self.membership().is_none_or(|m| m.leaving != Leaving::No);
            if leaves || self.opens.off.contains(group) {
                return Err(OpenRefused::GoingAway);
            }
        }
        let changing = self.open.as_ref().filter(|open| open.txn.id.group == *group);
        if changing.is_some_and(|open| {
            open.txn.closed.contains(name)
                || becomes_exclusive(&table.image.group, &open.txn.group).any(|new| new == name)
        }) {
            return Err(OpenRefused::GoingAway);
        }
        if !volume.exclusive || !table.is_shared() || self.opens.held.contains(key) {
            return Ok(true);
        }
        match self.opens.holders.get(key) {
            Some(node) if *node != self.me.node => Err(OpenRefused::Exclusive(*node)),
            Some(_) | None => Ok(false),
        }
    }

    /// Somebody wants an exclusive volume: at the same place of the order everywhere.
    pub(super) fn on_hold(&mut self, from: NodeId, group: UniqueId, volume: Name) {
        let me = self.me.node;
        let is_member = self.membership().is_some_and(|m| m.is_member(me) && m.is_member(from));
        if !is_member {
            return;
        }
        let key = (group, volume);
        let is_there = |table: &Table| table.image.group.volumes.contains_key(&key.1);
        let result = if self.tables.get(&key.0).is_some_and(is_there) {
            let holder = *self.opens.holders.entry(key.clone()).or_insert(from);
            if holder == from { Ok(()) } else { Err(OpenRefused::Exclusive(holder)) }
        } else {
            Err(OpenRefused::NoVolume)
        };
        if from != me {
            return;
        }
        let waiting = self.opens.waiting.remove(&key).unwrap_or_default();
        if result.is_ok() {
            self.opens.held.insert(key.clone());
            *self.opens.counts.entry(key).or_default() +=
                u32::try_from(waiting.len()).unwrap_or(u32::MAX);
        }
        waiting.into_iter().for_each(|ticket| self.opened(ticket, result));
    }

    /// Who had an exclusive volume has closed it.
    pub(super) fn on_release(&mut self, from: NodeId, group: UniqueId, volume: Name) {
        let key = (group, volume);
        if self.opens.holders.get(&key) == Some(&from) {
            self.opens.holders.remove(&key);
        }
    }

    /// A program closes a volume that it has opened.
    pub fn close_volume(&mut self, now: Instant, group: &UniqueId, volume: &Name) {
        let key = (group.clone(), volume.clone());
        let Some(count) = self.opens.counts.get_mut(&key) else { return };
        *count -= 1;
        if *count == 0 {
            self.opens.counts.remove(&key);
            if self.opens.held.remove(&key) {
                let (group, volume) = key;
                self.broadcast(&VMessage::Release { group, volume });
            }
            self.resyncs.look();
            self.look_at_copies(now);
        }
        self.leave_if_closed();
    }

    /// How often a volume is open here.
    pub fn open_count(&self, group: &UniqueId, volume: &Name) -> u32 {
        self.opens.counts.get(&(group.clone(), volume.clone())).copied().unwrap_or(0)
    }

    /// Any volume of a shared group.
    pub(super) fn has_shared_opens(&self) -> bool {
        let is_shared = |id: &UniqueId| self.tables.get(id).is_some_and(Table::is_shared);
        let mut all = self.opens.counts.keys().chain(self.opens.waiting.keys());
        all.any(|(group, _)| is_shared(group))
    }

    /// Groups that are no longer imported here have no open volumes, and who waits is told.
    pub(super) fn forget_opens(&mut self) {
        let gone = |key: &VolumeName| !self.tables.contains_key(&key.0);
        self.opens.counts.retain(|key, _| self.tables.contains_key(&key.0));
        self.opens.held.retain(|key| self.tables.contains_key(&key.0));
        self.opens.holders.retain(|key, _| self.tables.contains_key(&key.0));
        let lost: Vec<VolumeName> =
            self.opens.waiting.keys().filter(|key| gone(key)).cloned().collect();
        for key in lost {
            for ticket in self.opens.waiting.remove(&key).unwrap_or_default() {
                self.opened(ticket, Err(OpenRefused::NoVolume));
            }
        }
    }

    /// What a transaction must not meet open: volumes that go, and those that are to be exclusive,
    /// for nobody knows then whether only one node has them.
    pub(super) fn in_use(&self, closed: &[Name], group: &UniqueId, after: &Group) -> Option<Name> {
        let is_open = |name: &&Name| self.opens.has(&(group.clone(), (*name).clone()));
        let before = self.tables.get(group).map(|table| &table.image.group);
        let exclusive = before.into_iter().flat_map(|before| becomes_exclusive(before, after));
        closed.iter().chain(exclusive).find(is_open).cloned()
    }
}

/// Volumes that only one node may open, and any could before.
fn becomes_exclusive<'a>(before: &'a Group, after: &'a Group) -> impl Iterator<Item = &'a Name> {
    let was = |name: &Name| before.volumes.get(name).is_some_and(|volume| !volume.exclusive);
    let exclusive = after.volumes.iter().filter(|(_, volume)| volume.exclusive);
    exclusive.map(|(name, _)| name).filter(move |name| was(name))
}

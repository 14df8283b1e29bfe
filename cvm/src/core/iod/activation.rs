//! Activation modes, and which volumes are open here (facts 3.8).

use llt::NodeId;

use super::{Iod, Table, Upcall};
use crate::core::wire::v::VMessage;
use crate::model::{Activation, Name, UniqueId};

/// Why a mode was not taken. Nothing was changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ModeRefused {
    /// Another node has a mode that does not go with it.
    #[error("Node activation conflict: node {node} has {mode}")]
    Conflict {
        /// Which node.
        node: NodeId,
        /// Its mode.
        mode: Activation,
    },
    /// From one mode to another the way is over `off`.
    #[error("it is {0}: set it off first")]
    NotOff(Activation),
    /// A volume is open here that the mode forbids.
    #[error("Some volumes in the disk group are in use")]
    InUse,
    /// The group is not imported, or not shared.
    #[error("No such disk group")]
    NoGroup,
}

/// Why a volume cannot be opened. Nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenRefused {
    /// There is no such volume, or no such group.
    #[error("no such volume")]
    NoVolume,
    /// The group's mode here does not allow it.
    #[error("the disk group is not activated for this on this node")]
    NotActivated,
    /// The node leaves the cluster, or the volume is about to be removed.
    #[error("the volume is being taken away")]
    GoingAway,
}

impl Iod {
    pub(super) fn ask_activation(&mut self, group: UniqueId, mode: Activation) {
        if mode == Activation::Off && self.opens.keys().any(|(open, _)| *open == group) {
            let refused = Some(ModeRefused::InUse);
            self.tell(Upcall::Activated { group, mode, refused });
        } else if self.tables.get(&group).is_some_and(Table::is_shared) {
            self.broadcast(&VMessage::Activate { group, mode });
        } else {
            let refused = Some(ModeRefused::NoGroup);
            self.tell(Upcall::Activated { group, mode, refused });
        }
    }

    /// Decided at the same place of the order everywhere, so by all alike.
    pub(super) fn on_activate(&mut self, from: NodeId, group: UniqueId, mode: Activation) {
        let me = self.me.node;
        let is_member = self.membership().is_some_and(|m| m.is_member(me) && m.is_member(from));
        if !is_member {
            return;
        }
        let refused = self.mode_refused(from, &group, mode);
        if refused.is_none() {
            if mode == Activation::Off {
                self.modes.remove(&(group.clone(), from));
            } else {
                self.modes.insert((group.clone(), from), mode);
            }
        }
        self.tell_tables();
        if from == me {
            self.tell(Upcall::Activated { group, mode, refused });
        }
    }

    fn mode_refused(
        &self,
        node: NodeId,
        group: &UniqueId,
        mode: Activation,
    ) -> Option<ModeRefused> {
        if !self.tables.get(group).is_some_and(Table::is_shared) {
            return Some(ModeRefused::NoGroup);
        }
        let now = self.mode_of(group, node);
        if now == mode || mode == Activation::Off {
            return None;
        }
        if now != Activation::Off {
            return Some(ModeRefused::NotOff(now));
        }
        let others = self.modes_of(group).filter(|(other, _)| *other != node);
        let mut in_the_way = others.filter(|(_, held)| !held.agrees_with(mode));
        in_the_way.next().map(|(node, mode)| ModeRefused::Conflict { node, mode })
    }

    /// The mode of a node for a group.
    pub fn mode_of(&self, group: &UniqueId, node: NodeId) -> Activation {
        self.modes.get(&(group.clone(), node)).copied().unwrap_or(Activation::Off)
    }

    /// All nodes that have the group activated, with their modes.
    pub fn modes_of(&self, group: &UniqueId) -> impl Iterator<Item = (NodeId, Activation)> {
        let of_group = self.modes.iter().filter(move |((id, _), _)| id == group);
        of_group.map(|((_, node), mode)| (*node, *mode))
    }

    /// Opens a volume for a program on this node.
    ///
    /// # Errors
    /// [`OpenRefused`]; nothing was changed.
    pub fn open_volume(
        &mut self,
        group: &UniqueId,
        volume: &Name,
        writable: bool,
    ) -> Result<(), OpenRefused> {
        let table = self.tables.get(group).ok_or(OpenRefused::NoVolume)?;
        let found = table.image.group.volumes.get(volume).filter(|volume| !volume.layer);
        found.ok_or(OpenRefused::NoVolume)?;
        if table.is_shared() {
            let mode = self.mode_of(group, self.me.node);
            if !mode.reads() || writable && !mode.writes() {
                return Err(OpenRefused::NotActivated);
            }
            if self.membership().is_none_or(|m| m.leaving != super::join::Leaving::No) {
                return Err(OpenRefused::GoingAway);
            }
        }
        let closes = self
            .open
            .as_ref()
            .is_some_and(|open| open.txn.id.group == *group && open.txn.closed.contains(volume));
        if closes {
            return Err(OpenRefused::GoingAway);
        }
        *self.opens.entry((group.clone(), volume.clone())).or_default() += 1;
        Ok(())
    }

    /// A program closes a volume that it has opened.
    pub fn close_volume(&mut self, group: &UniqueId, volume: &Name) {
        let key = (group.clone(), volume.clone());
        if let Some(count) = self.opens.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.opens.remove(&key);
            }
        }
        self.leave_if_closed();
    }

    /// How often a volume is open here.
    pub fn open_count(&self, group: &UniqueId, volume: &Name) -> u32 {
        self.opens.get(&(group.clone(), volume.clone())).copied().unwrap_or(0)
    }
}

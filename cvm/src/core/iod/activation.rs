//! Activation modes (facts 3.8).

use llt::NodeId;

use super::{Iod, Table, Upcall};
use crate::core::wire::v::VMessage;
use crate::model::{Activation, UniqueId};

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

impl Iod {
    pub(super) fn ask_activation(&mut self, group: UniqueId, mode: Activation) {
        if mode == Activation::Off && self.opens.of_group(&group) {
            let refused = Some(ModeRefused::InUse);
            self.tell(Upcall::Activated { group, mode, refused });
        } else if self.tables.get(&group).is_some_and(Table::is_shared) {
            if mode == Activation::Off {
                self.opens.going_off(group.clone());
            }
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
            self.opens.went_off(&group);
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
}

//! What happens when the master cannot write a configuration anywhere (facts 2.10, `dgfailpolicy`).
//!
//! After some tries in vain to write back what may be half written, the group's policy decides:
//! `leave` makes the master leave the cluster, so that another one tries that may have paths;
//! `dgdisable` disables the group on all nodes. Nothing else of the cluster waits for it any more.

use llt::{Instant, NodeId};

use super::{Iod, IodNotice, IodOutput};
use crate::core::wire::v::VMessage;
use crate::model::{FailPolicy, UniqueId};

/// Tries to write back, none of which reached a disk.
pub(super) const TRIES: u64 = 3;

impl Iod {
    /// Nothing of a group can be written here.
    pub(super) fn apply_fail_policy(&mut self, now: Instant, group: &UniqueId, is_shared: bool) {
        let policy = self.tables.get(group).map(|table| table.image.group.fail_policy);
        match policy {
            Some(FailPolicy::Leave) if is_shared => {
                self.out.push_back(IodOutput::ClosePort);
                self.leave(now, "cvm config update failed");
            }
            // A group that is not imported is not made, or not imported, and that is all.
            None | Some(FailPolicy::DgDisable | FailPolicy::Leave) if is_shared => {
                self.broadcast(&VMessage::Disable { group: group.clone() });
            }
            None | Some(FailPolicy::DgDisable | FailPolicy::Leave) => self.disable(group),
        }
    }

    pub(super) fn on_disable(&mut self, from: NodeId, group: &UniqueId) {
        if self.membership().is_some_and(|membership| membership.master == Some(from)) {
            self.disable(group);
            self.resume_if_repaired();
        }
    }

    fn disable(&mut self, group: &UniqueId) {
        self.repairs.remove(group);
        if let Some(table) = self.tables.get_mut(group) {
            table.is_disabled = true;
            table.frozen = None;
            self.modes.retain(|(id, _), _| id != group);
            self.opens.forget_group(group);
        }
        self.notice(IodNotice::Disabled { group: group.clone() });
        self.tell_tables();
        self.leave_if_closed();
    }

    /// Master: a disabled group is deported, which writes nothing.
    pub(super) fn drop_group(&mut self, group: UniqueId) {
        let Some(table) = self.tables.get(&group).filter(|table| table.is_disabled) else { return };
        if !table.is_shared() {
            self.tables.remove(&group);
            self.tell_tables();
        } else if self.is_master() {
            self.broadcast(&VMessage::Drop { group });
        }
    }

    pub(super) fn on_drop(&mut self, from: NodeId, group: &UniqueId) {
        let is_master = self.membership().is_some_and(|m| m.master == Some(from));
        if is_master && self.tables.get(group).is_some_and(|table| table.is_disabled) {
            self.tables.remove(group);
            self.tell_tables();
        }
    }
}

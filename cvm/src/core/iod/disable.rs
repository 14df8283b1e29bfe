//! What happens when the master cannot write a configuration anywhere (facts 2.10, `dgfailpolicy`).
//!
//! After some tries in vain to write back what may be half written, the group's policy decides:
//! `leave` makes the master leave the cluster, so that another one tries that may have paths;
//! `dgdisable` disables the group on all nodes: it is imported nowhere any more, and shown as disabled
//! until it is imported or deported. Nothing else of the cluster waits for it.

use llt::{Instant, NodeId};

use super::drain::After;
use super::{Iod, IodNotice, Upcall};
use crate::core::wire::v::VMessage;
use crate::model::{FailPolicy, UniqueId};

/// Tries to write back, none of which reached enough disks.
pub(super) const TRIES: u64 = 3;

impl Iod {
    /// A group cannot be written here.
    pub(super) fn apply_fail_policy(&mut self, now: Instant, group: &UniqueId, is_shared: bool) {
        let policy = self.tables.get(group).map(|table| table.image.group.fail_policy);
        match policy {
            Some(FailPolicy::Leave) if is_shared => {
                self.leave(now, "cvm config update failed");
                self.drain(After::ClosePort);
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
            // Who was to be admitted meanwhile waits for that to be over.
            self.tell_joiners();
        }
    }

    /// It is not imported any more; that it was is only shown.
    fn disable(&mut self, group: &UniqueId) {
        if let Some(repair) = self.repairs.remove(group) {
            // What was tried may be on disks: the next import has a stamp of its own.
            self.note_decided(group, repair.last_tried());
        }
        if let Some(table) = self.tables.remove(group) {
            self.disabled.insert(group.clone(), table.image);
            self.modes.retain(|(id, _), _| id != group);
            self.forget_opens();
        }
        self.notice(IodNotice::Disabled { group: group.clone() });
        self.tell(Upcall::GivenUp { group: group.clone() });
        self.tell_tables();
        self.leave_if_closed();
    }

    /// A disabled group is deported, which writes nothing: nobody shows it any more.
    pub(super) fn drop_group(&mut self, group: UniqueId) {
        let Some(image) = self.disabled.get(&group) else { return self.tell_tables() };
        if image.group.is_shared() {
            self.broadcast(&VMessage::Drop { group });
        } else {
            self.on_drop(&group);
        }
    }

    pub(super) fn on_drop(&mut self, group: &UniqueId) {
        self.disabled.remove(group);
        self.tell_tables();
    }
}

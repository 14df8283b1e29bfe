//! I/O of volumes comes to an end before this node says anything that promises so.
//!
//! What may run is a question to [`Iod::io_of`], whose answer changes with every table, transaction and
//! view. [`IodOutput::Drain`] asks whoever does the I/O to look, to stop what may not run any more, and
//! to say when disks have answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use llt::Instant;

use super::{Iod, IodOutput, Table, VolumeName};
use crate::core::txn::{Txn, TxnId};
use crate::model::{Activation, Group, KernelState, Name};
use crate::volume::{Rules, VolumeMap};

/// Names a wait for I/O that comes to an end.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct DrainTicket(pub u64);

/// What the I/O of a volume may do on this node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum VolumeIo {
    /// Nothing any more.
    Gone,
    /// Nothing for now.
    Still,
    /// It runs.
    Runs {
        /// Where its blocks lie.
        map: Arc<VolumeMap>,
        /// How.
        rules: Rules,
    },
}

/// What happens when I/O has come to its end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum After {
    /// This node says who it is, in the view with this generation.
    Announce(u64),
    /// This node stands apart from the volume.
    Apart(VolumeName),
    /// Port v is given up.
    ClosePort,
    /// This node has quiesced.
    Quiesced(TxnId),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Drains {
    next: u64,
    waiting: BTreeMap<DrainTicket, After>,
    /// Programs' I/O has come to its end, and logs are still being written.
    logs: Vec<After>,
}

impl Drains {
    /// What this node would have said to the others is not said any more.
    pub(super) fn leave(&mut self) {
        // One of a private group goes on; of another, nothing is loaded any more.
        let is_kept = |after: &After| !matches!(after, After::Announce(_) | After::Apart(_));
        self.waiting.retain(|_, after| is_kept(after));
        self.logs.retain(is_kept);
    }

    /// Port v is about to be given up.
    pub(super) fn closes(&self) -> bool {
        self.waiting.values().chain(&self.logs).any(|after| *after == After::ClosePort)
    }
}

impl Iod {
    pub(super) fn drain(&mut self, after: After) {
        self.drains.next += 1;
        let ticket = DrainTicket(self.drains.next);
        let group = match &after {
            After::Announce(_) | After::ClosePort => None,
            After::Apart((group, _)) => Some(group.clone()),
            After::Quiesced(id) => Some(id.group.clone()),
        };
        self.drains.waiting.insert(ticket, after);
        self.out.push_back(IodOutput::Drain(ticket, group));
    }

    /// I/O that may not run any more since the ticket was given has come to its end.
    pub fn handle_drained(&mut self, now: Instant, ticket: DrainTicket) {
        let after = self.drains.waiting.remove(&ticket);
        self.drains.logs.extend(after);
        self.drained_of_logs(now);
    }

    /// What is written to logs by vxiod itself counts like what programs write.
    pub(super) fn drained_of_logs(&mut self, now: Instant) {
        for after in std::mem::take(&mut self.drains.logs) {
            let waits = self.logs.writes_in(|group| match &after {
                After::Announce(_) | After::ClosePort => {
                    self.tables.get(group).is_none_or(Table::is_shared)
                }
                After::Apart((of, _)) => group == of,
                After::Quiesced(id) => *group == id.group,
            });
            if waits {
                self.drains.logs.push(after);
                continue;
            }
            match after {
                After::Announce(generation) => self.announce(generation),
                After::Apart(volume) => self.say_apart(now, volume),
                After::ClosePort => self.out.push_back(IodOutput::ClosePort),
                After::Quiesced(id) => self.quiesced(now, &id),
            }
        }
    }

    /// What the I/O of a volume may do here.
    pub fn io_of(&self, volume: &VolumeName) -> VolumeIo {
        let (group, name) = volume;
        let Some(table) = self.tables.get(group) else { return VolumeIo::Gone };
        let record = table.image.group.volumes.get(name);
        let started = record.filter(|volume| volume.kernel == KernelState::Enabled);
        let Some(record) = started else { return VolumeIo::Gone };
        let waits = table.is_shared()
            && self.membership().is_none_or(|membership| {
                membership.is_suspended || !membership.is_member(self.me.node)
            });
        if waits || self.is_frozen(table, volume) || self.waits_apart(table, volume, record) {
            return VolumeIo::Still;
        }
        let mode = self.mode_of(group, self.me.node);
        // The master copies, whatever programs may do there.
        let is_copied = self.resyncs.has_range(volume) || self.fills.copies(volume);
        if table.is_shared() && !mode.reads() && !is_copied {
            return VolumeIo::Gone;
        }
        let rules = Rules {
            is_shared: table.is_shared(),
            is_alone: !table.is_shared() || mode == Activation::ExclusiveWrite,
            is_marked: self.is_marked(table, record),
            is_apart: self.stands_apart(volume),
            reads_one: self.may_differ(table, name, record),
            log_map: Some(self.log_map(table)),
            is_untouched: record.since.is_some(),
            notes: self.notes_of(table, name),
            fill: Self::fill_rule(table, name),
        };
        match table.map(name) {
            Some(map) => VolumeIo::Runs { map, rules },
            None => VolumeIo::Gone,
        }
    }

    /// A transaction that changes the volume is about to be decided, or is being written back.
    fn is_frozen(&self, table: &Table, (group, name): &VolumeName) -> bool {
        let Some(id) = &table.frozen else { return false };
        let open = self.open.as_ref().map(|open| &open.txn).filter(|txn| txn.id == *id);
        let txn = open.or_else(|| self.repairs.get(group).map(super::repair::Repair::txn));
        txn.is_none_or(|txn| touches(txn, &table.image.group, name))
    }
}

/// It changes the volume, or where any block of it lies.
fn touches(txn: &Txn, before: &Group, name: &Name) -> bool {
    let map = |group| VolumeMap::new(group, name.as_str());
    txn.volumes.contains(name) || map(before) != map(&txn.group)
}

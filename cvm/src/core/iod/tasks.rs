//! Copies that are made equal, for people: how far they are, and how fast they go (facts 2.4, 4.5).
//!
//! How far, every node knows by COPY RANGE; how fast is told to all (v PACE), so that whoever becomes
//! master keeps to it. A joiner hears of it with the next range.

use std::collections::BTreeMap;

use llt::{Duration, Instant, NodeId};
use serde::{Deserialize, Serialize};

use super::{Iod, Table, Upcall, VolumeName};
use crate::core::wire::v::VMessage;
use crate::model::{Name, Sectors, UniqueId};

/// How fast copies of a volume are made equal.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Pace {
    /// Nothing is copied for now.
    pub is_paused: bool,
    /// Milliseconds between two ranges.
    pub delay: u32,
}

/// A volume whose copies are being made equal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Task {
    /// Of which group.
    pub group: UniqueId,
    /// Which volume.
    pub volume: Name,
    /// Plexes that are current when it is over.
    pub plexes: Vec<Name>,
    /// All copies are made equal, not only those plexes.
    pub is_whole: bool,
    /// It is filled with what this other volume held.
    pub source: Option<Name>,
    /// Everything before this sector is equal; so many sectors are filled.
    pub at: Sectors,
    /// How long the volume is.
    pub len: Sectors,
    /// How fast.
    pub pace: Pace,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Tasks {
    paces: BTreeMap<VolumeName, Pace>,
    /// What vxconfigd was told, and when it may be told more.
    told: Vec<Task>,
    next: Option<Instant>,
}

impl Tasks {
    pub(super) fn pace(&self, volume: &VolumeName) -> Pace {
        self.paces.get(volume).copied().unwrap_or_default()
    }

    pub(super) fn set_pace(&mut self, volume: VolumeName, pace: Pace) {
        if pace == Pace::default() {
            self.paces.remove(&volume);
        } else {
            self.paces.insert(volume, pace);
        }
    }

    /// It is over.
    pub(super) fn forget(&mut self, volume: &VolumeName) {
        self.paces.remove(volume);
    }

    /// Another vxconfigd knows of nothing.
    pub(super) fn tell_anew(&mut self) {
        (self.told, self.next) = (Vec::new(), None);
    }
}

impl Iod {
    /// An administrator wants copies of a volume to be made faster, slower, or later.
    pub(super) fn ask_pace(&mut self, volume: VolumeName, pace: Pace) {
        let Some(table) = self.tables.get(&volume.0) else { return };
        if table.is_shared() {
            let (group, volume) = volume;
            self.broadcast(&VMessage::Pace { group, volume, pace });
        } else {
            self.tasks.set_pace(volume, pace);
        }
    }

    pub(super) fn on_pace(&mut self, from: NodeId, volume: VolumeName, pace: Pace) {
        let is_member = self.membership().is_some_and(|m| m.is_member(from));
        let is_shared = self.tables.get(&volume.0).is_some_and(Table::is_shared);
        let is_copied = self.resyncs().any(|(name, _)| *name == volume)
            || self.fills().any(|(name, ..)| *name == volume);
        if is_member && is_shared && is_copied {
            self.tasks.set_pace(volume, pace);
        }
    }

    /// What is being made equal.
    pub fn tasks(&self) -> Vec<Task> {
        let task = |(name, resync): (&VolumeName, &super::Resync)| {
            let table = self.tables.get(&name.0)?;
            let record = table.image.group.volumes.get(&name.1)?;
            Some(Task {
                group: name.0.clone(),
                volume: name.1.clone(),
                plexes: resync.plexes.iter().cloned().collect(),
                is_whole: resync.is_whole,
                source: None,
                at: resync.at,
                len: record.len,
                pace: self.tasks.pace(name),
            })
        };
        let fill = |(name, source, at): (&VolumeName, Name, Sectors)| {
            let table = self.tables.get(&name.0)?;
            Some(Task {
                group: name.0.clone(),
                volume: name.1.clone(),
                plexes: Vec::new(),
                is_whole: false,
                source: Some(source),
                at,
                len: table.image.group.volumes.get(&name.1)?.len,
                pace: self.tasks.pace(name),
            })
        };
        let mut tasks: Vec<Task> = self.resyncs().filter_map(task).collect();
        tasks.extend(self.fills().filter_map(fill));
        tasks
    }

    /// vxconfigd is told at once what begins and ends, and now and then how far it is.
    pub(super) fn tell_tasks(&mut self, now: Instant) {
        if !self.has_configd {
            return;
        }
        let tasks = self.tasks();
        let same = |(one, other): (&Task, &Task)| {
            (&one.group, &one.volume, &one.plexes, one.pace)
                == (&other.group, &other.volume, &other.plexes, other.pace)
        };
        let told = &self.tasks.told;
        let are_same = tasks.len() == told.len() && tasks.iter().zip(told).all(same);
        if are_same && (tasks == *told || self.tasks.next.is_some_and(|next| next > now)) {
            return;
        }
        (self.tasks.told, self.tasks.next) = (tasks.clone(), Some(now + BETWEEN));
        self.tell(Upcall::Tasks(tasks));
    }

    pub(super) fn tasks_deadline(&self) -> Option<Instant> {
        let is_one = self.resyncs().next().is_some() || self.fills().next().is_some();
        let waits = self.has_configd && is_one;
        self.tasks.next.filter(|_| waits && self.tasks() != self.tasks.told)
    }
}

/// Between two reports of how far something is.
const BETWEEN: Duration = Duration::from_millis(500);

//! Readers of the event stream.

use std::collections::BTreeSet;

use super::Clients;
use crate::daemon::metrics::Watching;

/// Who they are.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    all: BTreeSet<u32>,
    /// Those of them who were not told the present state yet.
    new: BTreeSet<u32>,
    /// Events that they had no room for.
    lost: u64,
}

impl Watchers {
    /// A connection reads, or does not.
    pub(super) fn note(&mut self, number: u32, reads: bool) {
        if !reads {
            self.all.remove(&number);
            self.new.remove(&number);
        } else if self.all.insert(number) {
            self.new.insert(number);
        }
    }
}

impl Clients {
    /// Does anybody read?
    pub(in crate::daemon) fn is_watched(&self) -> bool {
        !self.watchers.all.is_empty()
    }

    /// For the metrics.
    pub(in crate::daemon) fn watching(&self) -> Watching {
        Watching { readers: self.watchers.all.len(), lost: self.watchers.lost }
    }

    /// Readers that have to be told the present state before any event.
    pub(in crate::daemon) fn take_new_watchers(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.watchers.new).into_iter().collect()
    }

    /// Tells all readers that know the state.
    pub(in crate::daemon) fn event(&mut self, text: &str, wall_nanos: u64) {
        let known: Vec<u32> = self.watchers.all.difference(&self.watchers.new).copied().collect();
        for number in known {
            self.event_to(number, text, wall_nanos);
        }
    }

    /// Tells one reader.
    pub(in crate::daemon) fn event_to(&mut self, number: u32, text: &str, wall_nanos: u64) {
        if let Some(conn) = self.conns.get_mut(&number) {
            if !conn.event(text, wall_nanos) {
                self.watchers.lost += 1;
            }
            self.dirty.insert(number);
        }
    }
}

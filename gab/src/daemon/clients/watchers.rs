//! Readers of the event stream.

use std::collections::BTreeSet;

use super::Clients;
use crate::daemon::conn::Conn;
use crate::daemon::metrics::Watching;
use crate::limits::EVENT_READERS_MAX;

/// Who they are.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    all: BTreeSet<u32>,
    /// Those of them who have to be told the present state: the new ones, and those who were slow.
    new: BTreeSet<u32>,
    /// Events that they had no room for.
    lost: u64,
}

impl Watchers {
    /// A connection reads. False if too many do.
    pub(super) fn add(&mut self, number: u32) -> bool {
        if !self.all.contains(&number) {
            if self.all.len() >= EVENT_READERS_MAX {
                return false;
            }
            self.all.insert(number);
            self.new.insert(number);
        }
        true
    }

    /// A connection does not read any more.
    pub(super) fn remove(&mut self, number: u32) {
        self.all.remove(&number);
        self.new.remove(&number);
    }

    /// A reader that was slow has room again, and does not know what it missed.
    pub(super) fn renew(&mut self, number: u32) {
        self.new.insert(number);
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

    /// Tells all readers that know the state; those who missed events miss one more.
    pub(in crate::daemon) fn event(&mut self, text: &str) {
        for number in self.watchers.all.clone() {
            let misses = self.conns.get(&number).is_some_and(Conn::misses_events);
            if self.watchers.new.contains(&number) && !misses {
                // It is told the state after this.
                continue;
            }
            self.event_to(number, text);
        }
    }

    /// Tells one reader the present state, after how many events it missed if it was slow.
    pub(in crate::daemon) fn state_to(&mut self, number: u32, state: &[String], wall_nanos: u64) {
        if let Some(conn) = self.conns.get_mut(&number) {
            conn.resume_events(wall_nanos);
            state.iter().for_each(|text| self.event_to(number, text));
        }
    }

    /// Tells one reader.
    fn event_to(&mut self, number: u32, text: &str) {
        if let Some(conn) = self.conns.get_mut(&number) {
            if !conn.event(text) {
                self.watchers.lost += 1;
            }
            self.dirty.insert(number);
        }
    }
}

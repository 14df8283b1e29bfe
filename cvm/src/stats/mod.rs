//! What volumes have done (facts 4.5): sums for `vxstat`, and what happens for `vxtrace`.
//!
//! vxiod counts, each shard for its own volumes, and adds them up when it is asked; sums of several
//! nodes are made by whoever asks. Times are in microseconds, and so are the buckets of
//! [`Histogram`]s. The names of the fields are the stable keys of `--json`.

mod histogram;
mod trace;

use std::collections::{BTreeMap, BTreeSet};

use llt::Duration;
use serde::{Deserialize, Serialize};

pub use histogram::Histogram;
pub use trace::{Stage, TraceEvent, TraceObject, TraceTaken, Traced, TracedWork};

use crate::model::{Rid, Sectors, UniqueId};

/// Operations of one kind, and what they were about.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ops {
    /// How many have come to their end.
    pub ops: u64,
    /// Blocks of 512 bytes.
    pub sectors: u64,
    /// How long they took, together.
    pub micros: u64,
    /// How long the slowest took.
    pub max_micros: u64,
}

impl Ops {
    /// One more.
    pub fn count(&mut self, sectors: Sectors, took: Duration) {
        let micros = micros(took);
        self.ops += 1;
        self.sectors += sectors;
        self.micros += micros;
        self.max_micros = self.max_micros.max(micros);
    }

    /// Those of another node, or of another time.
    pub fn add(&mut self, other: &Self) {
        self.ops += other.ops;
        self.sectors += other.sectors;
        self.micros += other.micros;
        self.max_micros = self.max_micros.max(other.max_micros);
    }

    /// What has come since `before`; all, if they were reset in between. The slowest is that of all.
    pub const fn since(&self, before: &Self) -> Self {
        if self.ops < before.ops {
            return *self;
        }
        Self {
            ops: self.ops - before.ops,
            sectors: self.sectors.saturating_sub(before.sectors),
            micros: self.micros.saturating_sub(before.micros),
            max_micros: self.max_micros,
        }
    }
}

/// What one object has done.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Counters {
    /// Reads that were done.
    pub reads: Ops,
    /// Writes that were done, of zeros too.
    pub writes: Ops,
    /// Reads that failed.
    pub failed_reads: u64,
    /// Writes and flushes that failed.
    pub failed_writes: u64,
    /// Reads that failed, and whose blocks were written anew from another copy.
    pub corrected_reads: u64,
    /// Of a volume: ranges that were copied to plexes that are filled.
    pub atomic_copies: Ops,
    /// Of a volume: ranges whose copies were made equal, because they may have differed.
    pub read_writebacks: Ops,
}

impl Counters {
    /// Those of another node, or of another time.
    pub fn add(&mut self, other: &Self) {
        self.reads.add(&other.reads);
        self.writes.add(&other.writes);
        self.failed_reads += other.failed_reads;
        self.failed_writes += other.failed_writes;
        self.corrected_reads += other.corrected_reads;
        self.atomic_copies.add(&other.atomic_copies);
        self.read_writebacks.add(&other.read_writebacks);
    }

    /// What has come since `before`.
    pub const fn since(&self, before: &Self) -> Self {
        Self {
            reads: self.reads.since(&before.reads),
            writes: self.writes.since(&before.writes),
            failed_reads: self.failed_reads.saturating_sub(before.failed_reads),
            failed_writes: self.failed_writes.saturating_sub(before.failed_writes),
            corrected_reads: self.corrected_reads.saturating_sub(before.corrected_reads),
            atomic_copies: self.atomic_copies.since(&before.atomic_copies),
            read_writebacks: self.read_writebacks.since(&before.read_writebacks),
        }
    }
}

/// Operations that have begun and have not come to their end.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Outstanding {
    /// How many.
    pub ops: u64,
    /// For how long the oldest of them is on its way; 0 if there is none.
    pub oldest_micros: u64,
}

impl Outstanding {
    /// One more.
    pub fn count(&mut self, age: Duration) {
        self.add(&Self { ops: 1, oldest_micros: micros(age) });
    }

    /// Those of another node.
    pub fn add(&mut self, other: &Self) {
        self.ops += other.ops;
        self.oldest_micros = self.oldest_micros.max(other.oldest_micros);
    }
}

/// How long requests to a volume took.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Latency {
    /// Reads.
    pub reads: Histogram,
    /// Writes.
    pub writes: Histogram,
}

/// What is known of one object.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ObjectStats {
    /// What it has done.
    pub counters: Counters,
    /// What it is doing.
    pub outstanding: Outstanding,
    /// Of a volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Of a volume: how many programs have it open.
    #[serde(default)]
    pub opens: u64,
}

impl ObjectStats {
    /// That of another node, or of another time.
    pub fn add(&mut self, other: &Self) {
        self.counters.add(&other.counters);
        self.outstanding.add(&other.outstanding);
        self.opens += other.opens;
        if let Some(latency) = &other.latency {
            let mine = self.latency.get_or_insert_default();
            mine.reads.add(&latency.reads);
            mine.writes.add(&latency.writes);
        }
    }

    /// Nothing was done yet. What is under way is, and who has it open.
    pub fn reset(&mut self) {
        let (outstanding, opens) = (self.outstanding, self.opens);
        *self = Self { outstanding, opens, ..Self::default() };
    }
}

/// Objects of a volume, or of a group, by record.
pub type Objects = BTreeMap<Rid, ObjectStats>;

/// What one node, or several, have done: by group and record, for names may change.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Stats {
    /// Objects that have done nothing may be missing.
    pub groups: BTreeMap<UniqueId, Objects>,
}

impl Stats {
    /// Objects of a group that were counted elsewhere.
    pub fn add_objects(&mut self, group: &UniqueId, objects: &Objects) {
        if !self.groups.contains_key(group) {
            self.groups.insert(group.clone(), Objects::new());
        }
        let Some(mine) = self.groups.get_mut(group) else { return };
        for (rid, object) in objects {
            mine.entry(*rid).or_default().add(object);
        }
    }

    /// Those of another node, or of another shard.
    pub fn add(&mut self, other: &Self) {
        for (group, objects) in &other.groups {
            self.add_objects(group, objects);
        }
    }

    /// What is known of an object; nothing was counted of one that has done nothing.
    pub fn of(&self, group: &UniqueId, rid: Rid) -> ObjectStats {
        self.groups.get(group).and_then(|objects| objects.get(&rid)).copied().unwrap_or_default()
    }

    /// Nothing was done yet by those that are meant.
    pub fn reset(&mut self, meant: &Reset) {
        for (rid, object) in self.groups.get_mut(&meant.group).into_iter().flatten() {
            if meant.has(*rid) {
                object.reset();
            }
        }
    }
}

/// What is counted anew from here on.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Reset {
    /// In which group.
    pub group: UniqueId,
    /// Which of its records; none are all.
    pub records: BTreeSet<Rid>,
}

impl Reset {
    /// It is meant.
    pub fn has(&self, rid: Rid) -> bool {
        self.records.is_empty() || self.records.contains(&rid)
    }
}

/// What vxiod is asked about its volumes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Observe {
    /// What they have done; then it is counted anew from there on, if that is wanted.
    Stats {
        /// What is.
        reset: Option<Reset>,
    },
    /// What happens.
    Trace(
        /// Where the last answer ended.
        TraceTaken,
    ),
}

/// What it answers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Observed {
    /// To [`Observe::Stats`].
    Stats(Stats),
    /// To [`Observe::Trace`].
    Traced(Traced),
}

/// A time in microseconds.
pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What has been on its way to a disk for so long is shown as a stall.
pub const STALL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(ops: u64, micros: u64) -> Ops {
        let mut counted = Ops::default();
        (0..ops).for_each(|_| counted.count(8, Duration::from_micros(micros)));
        counted
    }

    fn group() -> UniqueId {
        UniqueId::new(1, 2, "host")
    }

    fn stats(rid: u64, reads: Ops) -> Stats {
        let counters = Counters { reads, failed_reads: 1, ..Counters::default() };
        let mut latency = Latency::default();
        latency.reads.count(7);
        let object = ObjectStats { counters, latency: Some(latency), ..ObjectStats::default() };
        let mut stats = Stats::default();
        stats.add_objects(&group(), &Objects::from([(Rid(rid), object)]));
        stats
    }

    #[test]
    fn sums_of_nodes_have_the_slowest_of_both() {
        let mut sum = stats(5, reads(2, 30));
        sum.add(&stats(5, reads(1, 70)));
        sum.add(&stats(6, reads(4, 1)));
        let five = sum.of(&group(), Rid(5));
        assert_eq!(five.counters.reads, Ops { ops: 3, sectors: 24, micros: 130, max_micros: 70 });
        assert_eq!(five.counters.failed_reads, 2);
        assert_eq!(five.latency.unwrap().reads.ops(), 2);
        assert_eq!(sum.of(&group(), Rid(6)).counters.reads.ops, 4);
        assert_eq!(sum.of(&group(), Rid(7)), ObjectStats::default());
    }

    #[test]
    fn an_interval_is_the_difference_and_begins_anew_after_a_reset() {
        let (before, after) = (reads(3, 10), reads(5, 10));
        let between = Ops { ops: 2, sectors: 16, micros: 20, max_micros: 10 };
        assert_eq!(after.since(&before), between);
        assert_eq!(before.since(&after), before);
    }

    #[test]
    fn a_reset_is_of_the_records_that_are_named() {
        let mut sum = stats(5, reads(2, 30));
        sum.add(&stats(6, reads(2, 30)));
        sum.reset(&Reset { group: group(), records: BTreeSet::from([Rid(6)]) });
        assert_eq!(sum.of(&group(), Rid(5)).counters.reads.ops, 2);
        assert_eq!(sum.of(&group(), Rid(6)).counters, Counters::default());
        sum.reset(&Reset { group: UniqueId::new(1, 3, "host"), records: BTreeSet::new() });
        assert_eq!(sum.of(&group(), Rid(5)).counters.reads.ops, 2);
        sum.reset(&Reset { group: group(), records: BTreeSet::new() });
        assert_eq!(sum.of(&group(), Rid(5)).counters, Counters::default());
    }

    #[test]
    fn what_nodes_tell_each_other_is_read_back() {
        let asked = Observe::Stats {
            reset: Some(Reset { group: group(), records: BTreeSet::from([Rid(6)]) }),
        };
        let json = serde_json::to_vec(&asked).unwrap();
        assert_eq!(serde_json::from_slice::<Observe>(&json).unwrap(), asked);
        let told = Observed::Stats(stats(5, reads(2, 30)));
        let json = serde_json::to_vec(&told).unwrap();
        assert_eq!(serde_json::from_slice::<Observed>(&json).unwrap(), told);
    }
}

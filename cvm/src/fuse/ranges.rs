//! Which writes of a volume wait for others.
//!
//! A write that begins or ends within a block reads that block first. If anything else writes the
//! block meanwhile, one of the two would be lost; so such a write has the blocks to itself. Writes of
//! whole blocks that meet are the program's affair, as on a disk.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How a write treats its range.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hold {
    /// It reads first: nobody else writes there.
    Alone,
    /// It only writes.
    Shared,
}

/// Goes on with a write that may begin. It is to call [`Ranges::leave`] with the ticket.
pub(super) type Job = Box<dyn FnOnce(Ticket) + Send>;

/// A write that has begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ticket(u64);

/// The writes of one volume that are under way here.
#[derive(Default)]
pub(super) struct Ranges(Mutex<State>);

#[derive(Default)]
struct State {
    next: u64,
    active: Vec<(Ticket, Claim)>,
    /// First come, first served: none overtakes one that it conflicts with.
    waiting: VecDeque<(Claim, Job)>,
    /// What may begin, and whether somebody is about to begin it.
    ready: VecDeque<(Ticket, Job)>,
    is_running: bool,
}

#[derive(Clone, Debug)]
struct Claim {
    range: Range<u64>,
    hold: Hold,
}

impl Claim {
    fn conflicts(&self, other: &Self) -> bool {
        let meets = self.range.start < other.range.end && other.range.start < self.range.end;
        meets && (self.hold == Hold::Alone || other.hold == Hold::Alone)
    }
}

impl Ranges {
    /// Runs the job, now or when what is in its way is done.
    pub(super) fn enter(&self, range: Range<u64>, hold: Hold, job: Job) {
        let claim = Claim { range, hold };
        let ticket = {
            let mut state = self.lock();
            let is_free = state.waiting.iter().all(|(waiting, _)| !waiting.conflicts(&claim));
            if !is_free || state.is_held(&claim) {
                state.waiting.push_back((claim, job));
                return;
            }
            state.begin(claim)
        };
        job(ticket);
    }

    /// A write is done, well or not; those that waited for it go on.
    ///
    /// One that fails at once leaves at once, and the next one after it: they are run one after the
    /// other here, and not one within the other.
    pub(super) fn leave(&self, ticket: Ticket) {
        let mut state = self.lock();
        state.active.retain(|(active, _)| *active != ticket);
        state.look();
        if state.is_running {
            return;
        }
        state.is_running = true;
        while let Some((ticket, job)) = state.ready.pop_front() {
            drop(state);
            job(ticket);
            state = self.lock();
        }
        state.is_running = false;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_held(&self, claim: &Claim) -> bool {
        self.active.iter().any(|(_, active)| active.conflicts(claim))
    }

    fn begin(&mut self, claim: Claim) -> Ticket {
        self.next += 1;
        let ticket = Ticket(self.next);
        self.active.push((ticket, claim));
        ticket
    }

    /// Finds those that need not wait any more.
    fn look(&mut self) {
        let mut kept: VecDeque<(Claim, Job)> = VecDeque::new();
        for (claim, job) in std::mem::take(&mut self.waiting) {
            let is_behind = kept.iter().any(|(earlier, _)| earlier.conflicts(&claim));
            if is_behind || self.is_held(&claim) {
                kept.push_back((claim, job));
            } else {
                let ticket = self.begin(claim);
                self.ready.push_back((ticket, job));
            }
        }
        self.waiting = kept;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    type Log = Arc<Mutex<Vec<(&'static str, Ticket)>>>;

    fn enter(ranges: &Ranges, log: &Log, name: &'static str, range: Range<u64>, hold: Hold) {
        let log = Arc::clone(log);
        let job = move |ticket| log.lock().unwrap().push((name, ticket));
        ranges.enter(range, hold, Box::new(job));
    }

    fn names(log: &Log) -> Vec<&'static str> {
        log.lock().unwrap().iter().map(|(name, _)| *name).collect()
    }

    #[test]
    fn a_write_that_reads_first_is_alone_and_none_overtakes_it() {
        let (ranges, log) = (Ranges::default(), Log::default());
        enter(&ranges, &log, "a", 0..1024, Hold::Shared);
        enter(&ranges, &log, "b", 512..2048, Hold::Shared);
        assert_eq!(names(&log), ["a", "b"], "whole blocks do not wait");
        enter(&ranges, &log, "edge", 1024..1536, Hold::Alone);
        enter(&ranges, &log, "behind", 1024..1536, Hold::Shared);
        enter(&ranges, &log, "aside", 4096..4608, Hold::Alone);
        assert_eq!(names(&log), ["a", "b", "aside"]);
        let ticket = |name| log.lock().unwrap().iter().find(|(n, _)| *n == name).unwrap().1;
        ranges.leave(ticket("a"));
        assert_eq!(names(&log), ["a", "b", "aside"], "it is the other that is in the way");
        ranges.leave(ticket("b"));
        assert_eq!(names(&log), ["a", "b", "aside", "edge"]);
        ranges.leave(ticket("edge"));
        assert_eq!(names(&log), ["a", "b", "aside", "edge", "behind"]);
    }

    #[test]
    fn however_many_fail_at_once_the_stack_does_not_grow() {
        let ranges = Arc::new(Ranges::default());
        let log = Log::default();
        enter(&ranges, &log, "first", 0..512, Hold::Alone);
        for _ in 0..3000 {
            let (all, log) = (Arc::clone(&ranges), Arc::clone(&log));
            let fails = move |ticket| {
                log.lock().unwrap().push(("failed", ticket));
                let frame = std::hint::black_box([0_u8; 4096]);
                all.leave(ticket);
                assert_eq!(std::hint::black_box(frame)[0], 0);
            };
            ranges.enter(0..512, Hold::Alone, Box::new(fails));
        }
        let first = log.lock().unwrap()[0].1;
        ranges.leave(first);
        assert_eq!(names(&log).len(), 3001);
    }
}

//! What all shards are asked, and their answers, put together.

use std::collections::BTreeMap;

use crate::core::iod::ObserveNumber;
use crate::engine::{AskNumber, Taken};
use crate::stats::{Observe, Observed, Stats, TraceTaken, Traced};

/// Questions that not all shards have answered yet. All of them do: a shard waits for no disk.
#[derive(Debug, Default)]
pub(super) struct Asks {
    next: u64,
    asked: BTreeMap<AskNumber, Asked>,
}

#[derive(Debug)]
struct Asked {
    whose: ObserveNumber,
    /// How many have not answered.
    left: usize,
    answer: Observed,
}

impl Asks {
    /// So many shards are asked.
    pub(super) fn begin(
        &mut self,
        whose: ObserveNumber,
        what: &Observe,
        shards: usize,
    ) -> AskNumber {
        self.next += 1;
        let number = AskNumber(self.next);
        let answer = match what {
            Observe::Stats { .. } => Observed::Stats(Stats::default()),
            Observe::Trace(taken) => {
                let taken = TraceTaken { next: vec![0; shards], room: taken.room };
                Observed::Traced(Traced { taken, ..Traced::default() })
            }
        };
        self.asked.insert(number, Asked { whose, left: shards, answer });
        number
    }

    /// What a shard has counted; the answer, if it was the last one.
    pub(super) fn counted(
        &mut self,
        ask: AskNumber,
        stats: &Stats,
    ) -> Option<(ObserveNumber, Observed)> {
        if let Some(Asked { answer: Observed::Stats(sum), .. }) = self.asked.get_mut(&ask) {
            sum.add(stats);
        }
        self.answered(ask)
    }

    /// What has happened in a shard; the answer, if it was the last one.
    pub(super) fn traced(
        &mut self,
        ask: AskNumber,
        shard: usize,
        taken: Taken,
    ) -> Option<(ObserveNumber, Observed)> {
        if let Some(Asked { answer: Observed::Traced(traced), .. }) = self.asked.get_mut(&ask) {
            traced.events.extend(taken.events);
            traced.lost += taken.lost;
            if let Some(next) = traced.taken.next.get_mut(shard) {
                *next = taken.next;
            }
        }
        self.answered(ask)
    }

    fn answered(&mut self, ask: AskNumber) -> Option<(ObserveNumber, Observed)> {
        let asked = self.asked.get_mut(&ask)?;
        asked.left = asked.left.saturating_sub(1);
        if asked.left > 0 {
            return None;
        }
        let Asked { whose, mut answer, .. } = self.asked.remove(&ask)?;
        if let Observed::Traced(traced) = &mut answer {
            // Each shard has its own, in order.
            traced.events.sort_by_key(|event| event.time);
        }
        Some((whose, answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Rid, UniqueId};
    use crate::stats::{Counters, ObjectStats, Objects};

    fn stats(failed_reads: u64) -> Stats {
        let counters = Counters { failed_reads, ..Counters::default() };
        let objects = Objects::from([(Rid(1), ObjectStats { counters, ..ObjectStats::default() })]);
        let mut stats = Stats::default();
        stats.add_objects(&UniqueId::new(1, 2, "host"), &objects);
        stats
    }

    #[test]
    fn the_answer_is_the_sum_of_all_shards() {
        let mut asks = Asks::default();
        let what = Observe::Stats { reset: None };
        let (one, other) =
            (asks.begin(ObserveNumber(7), &what, 2), asks.begin(ObserveNumber(8), &what, 2));
        assert_eq!(asks.counted(one, &stats(1)), None);
        assert_eq!(asks.counted(other, &stats(5)), None);
        let sum = Some((ObserveNumber(7), Observed::Stats(stats(3))));
        assert_eq!(asks.counted(one, &stats(2)), sum);
        assert_eq!(asks.counted(one, &stats(2)), None, "it was answered");
    }

    #[test]
    fn each_shard_goes_on_where_it_was() {
        let mut asks = Asks::default();
        let what = Observe::Trace(TraceTaken { next: Vec::new(), room: 9 });
        let ask = asks.begin(ObserveNumber(7), &what, 2);
        let taken = |next| Taken { events: Vec::new(), lost: 2, next };
        assert_eq!(asks.traced(ask, 1, taken(40)), None);
        let taken = asks.traced(ask, 0, taken(30));
        let Some((_, Observed::Traced(traced))) = taken else { panic!("{taken:?}") };
        assert_eq!((traced.taken.next, traced.taken.room, traced.lost), (vec![30, 40], 9, 4));
    }
}

//! The arbitration record: one value, changed by compare-and-swap, atomic because it is one
//! function call (facts algorithms 3.2; protocols.md, precise rule 10).

use gab::core::{Record, RecordChange};
use gab::ids::Vid;
use llt::Id;

/// The record and the rule by which it changes.
#[derive(Clone, Debug, Default)]
pub struct RecordKeeper {
    record: Option<Record>,
}

impl RecordKeeper {
    /// The record, if anybody wrote one.
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// The operator clears the record: nobody of those it names lives any more.
    pub fn clear(&mut self) {
        self.record = None;
    }

    /// Tries a change; true if the record is another one now.
    ///
    /// Who may ask is the asker's rule (it must be a member of the record and have the record's
    /// vid in its own history): a rule that mutants break, so the keeper does not repeat it.
    pub fn apply(&mut self, change: &RecordChange) -> bool {
        match change {
            RecordChange::Fence { expect, vid } => self.fence(*expect, *vid),
            RecordChange::Read => false,
            RecordChange::Swap { expect, vid, members } => self.swap(*expect, *vid, members),
        }
    }

    fn fence(&mut self, expect: Vid, vid: Vid) -> bool {
        match &mut self.record {
            Some(record) if record.vid == expect && record.promise < vid => {
                record.promise = vid;
                true
            }
            Some(_) | None => false,
        }
    }

    fn swap(&mut self, expect: Vid, vid: Vid, members: &[Id]) -> bool {
        let (current, promise) =
            self.record.as_ref().map_or((Vid::NONE, Vid::NONE), |r| (r.vid, r.promise));
        if current != expect || current >= vid || promise > vid {
            return false;
        }
        self.record = Some(Record { promise, vid, members: members.to_vec() });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llt::{Incarnation, NodeId};

    fn vid(round: u64) -> Vid {
        Vid { round, proposer: Id { node: NodeId::ZERO, incarnation: Incarnation(1) } }
    }

    fn swap(keeper: &mut RecordKeeper, expect: Vid, to: Vid) -> bool {
        keeper.apply(&RecordChange::Swap { expect, vid: to, members: Vec::new() })
    }

    #[test]
    fn of_two_racers_from_one_record_the_first_wins() {
        let mut keeper = RecordKeeper::default();
        assert!(swap(&mut keeper, Vid::NONE, vid(1)));
        assert!(swap(&mut keeper, vid(1), vid(3)));
        assert!(!swap(&mut keeper, vid(1), vid(4)), "the record moved on");
        assert_eq!(keeper.record().map(|r| r.vid), Some(vid(3)));
    }

    #[test]
    fn a_fence_shuts_out_lower_views_only() {
        let mut keeper = RecordKeeper::default();
        assert!(swap(&mut keeper, Vid::NONE, vid(1)));
        assert!(keeper.apply(&RecordChange::Fence { expect: vid(1), vid: vid(5) }));
        assert!(!swap(&mut keeper, vid(1), vid(4)));
        assert!(swap(&mut keeper, vid(1), vid(5)));
    }
}

//! Which requests wait, and for what.
//!
//! | what | waits for |
//! |---|---|
//! | a change | where there are copies: a mark in the record, marks in logs, and changes that meet it; holds and copies that meet it |
//! | a hold | changes, holds and copies that meet it |
//! | a read that could not read a plex, and may write there | changes that meet it and have begun |
//! | other reads, flushes, copies | nothing |
//! | what a volume that is filled is asked, and changes of the one that it is filled from | that it is filled there |
//!
//! All of them wait while the volume stands still, and only for what came before them or has begun.
//! There is a hold for each copy. Others wait for the copy itself, too: the hold may be given back
//! while disks still work on it.

use super::request::{IoFailed, Request, VolumeOutput, What};
use super::state::{State, Step, Volume};
use crate::model::Sectors;

/// Sectors of the volume that belong to a request for now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) slot: usize,
    claim: Claim,
    begin: Sectors,
    end: Sectors,
}

/// What a request has its sectors for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Claim {
    /// They are changed.
    Change,
    /// They are made equal.
    Copy,
    /// What could not be read of one plex is written there from another: nobody changes it between.
    Correct,
    /// Nobody changes them, as long as somebody else wants that.
    Hold,
}

impl Held {
    const fn meets(&self, other: &Self) -> bool {
        self.begin < other.end && other.begin < self.end
    }
}

impl Volume {
    pub(super) fn start_waiting(&mut self) {
        if self.state != State::Running {
            return;
        }
        let mut place = 0;
        while let Some(slot) = self.waiting.get(place).copied() {
            let lacks_mark = self.lacks_mark(slot);
            if self.is_refused(slot) {
                self.waiting.remove(place);
                self.end(slot, Err(IoFailed::Io));
            } else if lacks_mark && self.has_told_change || !self.is_free(slot, place) {
                place += 1;
            } else if lacks_mark {
                self.has_told_change = true;
                self.out.push_back(VolumeOutput::FirstChange);
                place += 1;
            } else if self.is_stuck(slot) {
                self.waiting.remove(place);
                self.end(slot, Err(IoFailed::Io));
            } else if !self.is_filled(slot) || !self.is_logged(slot) {
                place += 1;
            } else {
                self.waiting.remove(place);
                self.begin(slot);
            }
        }
    }

    /// This node would leave copies that differ, and cannot say that all are durable.
    fn is_refused(&self, slot: usize) -> bool {
        let what = self.active.get(slot).map(|active| active.request.what);
        self.rules.is_apart && what.is_some_and(|what| what.changes() || what == What::Flush)
    }

    /// It would change a copy, and nobody would make the others equal if this node were lost; or a
    /// snapshot, and nobody would know that.
    fn lacks_mark(&self, slot: usize) -> bool {
        let changes = self.active.get(slot).is_some_and(|active| active.request.what.changes());
        changes && !self.rules.is_marked && (self.map.is_mirrored() || self.rules.is_untouched)
    }

    /// Nothing is in its way: `place` is where it stands in the queue.
    fn is_free(&self, slot: usize, place: usize) -> bool {
        let Some(mine) = self.holds(slot) else { return true };
        let before = match mine.claim {
            Claim::Change | Claim::Hold => place,
            // What waits may do so for long, for a mark or behind a hold; a read is not made to.
            Claim::Copy | Claim::Correct => 0,
        };
        let before = self.waiting.iter().take(before).filter_map(|slot| self.holds(*slot));
        !self.held.iter().copied().chain(before).any(|other| self.is_in_the_way(&mine, &other))
    }

    fn is_in_the_way(&self, mine: &Held, other: &Held) -> bool {
        mine.meets(other)
            && match (mine.claim, other.claim) {
                // One of them could be left on one copy, and the other on another.
                (Claim::Change, Claim::Change) => self.map.is_mirrored(),
                (Claim::Change, Claim::Copy | Claim::Correct | Claim::Hold)
                | (Claim::Correct, Claim::Change | Claim::Correct)
                | (Claim::Hold, Claim::Change | Claim::Copy | Claim::Correct | Claim::Hold) => true,
                (Claim::Copy, _) | (Claim::Correct, Claim::Copy | Claim::Hold) => false,
            }
    }

    /// What a request holds once it has begun.
    pub(super) fn holds(&self, slot: usize) -> Option<Held> {
        let active = self.active.get(slot)?;
        let Request { what, at, len, .. } = active.request;
        let claim = match what {
            What::Copy => Claim::Copy,
            What::Fill { .. } | What::Flush => return None,
            What::Hold => Claim::Hold,
            What::Read => match active.step {
                Step::Correct | Step::Reread => Claim::Correct,
                Step::Begin | Step::Copy | Step::Flush => return None,
            },
            What::Write { .. } | What::Zero { .. } => Claim::Change,
        };
        let held = Held { slot, claim, begin: at, end: at.saturating_add(len) };
        (claim != Claim::Correct || self.may_correct(&held)).then_some(held)
    }

    /// A read that finds a hold in its way, or a copy, does not wait for it, and leaves the blocks as
    /// they are.
    fn may_correct(&self, mine: &Held) -> bool {
        let is_kept = |other: &Held| match other.claim {
            Claim::Change | Claim::Correct => false,
            Claim::Copy | Claim::Hold => mine.meets(other),
        };
        self.rules.is_alone && self.map.is_mirrored() && !self.held.iter().any(is_kept)
    }

    /// It has its blocks for itself.
    pub(super) fn owns(&self, slot: usize) -> bool {
        self.held.iter().any(|held| held.slot == slot)
    }

    /// Where changes have begun: from which sector on, and how many.
    pub(super) fn held_changes(&self) -> impl Iterator<Item = (Sectors, Sectors)> {
        let changes = self.held.iter().filter(|held| held.claim == Claim::Change);
        changes.map(|held| (held.begin, held.end - held.begin))
    }

    pub(super) fn let_go(&mut self, slot: usize) {
        self.held.retain(|held| held.slot != slot);
    }
}

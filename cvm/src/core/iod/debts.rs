//! What disks owe that did not answer in time.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::UniqueId;

/// What a disk may still do of what this node has told it and waits for no more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Owes {
    /// Nothing: it does not hang.
    Nothing,
    /// What concerns this node alone: it may read, or change a disk that is private.
    Answers,
    /// It may change what others use, too.
    Changes,
}

impl fmt::Display for Owes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Nothing => "it owes nothing any more",
            Self::Answers => "it is gone until it has answered all",
            Self::Changes => {
                "it is gone until it has answered all, and so long nobody goes on without us"
            }
        })
    }
}

/// How many answers a disk owes.
#[derive(Clone, Copy, Debug, Default)]
struct Debt {
    answers: usize,
    /// Those of them that are about changes of a disk of several nodes.
    changes: usize,
}

impl Debt {
    const fn owes(self) -> Owes {
        match self {
            Self { answers: 0, .. } => Owes::Nothing,
            Self { changes: 0, .. } => Owes::Answers,
            Self { .. } => Owes::Changes,
        }
    }
}

/// Disks that owe this node answers for which nobody waits any more.
#[derive(Clone, Debug, Default)]
pub struct Debts(BTreeMap<UniqueId, Debt>);

impl Debts {
    /// The disk is gone until it has answered.
    pub fn has(&self, disk: &UniqueId) -> bool {
        self.0.contains_key(disk)
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the disk owes now.
    pub fn owes(&self, disk: &UniqueId) -> Owes {
        self.0.get(disk).copied().unwrap_or_default().owes()
    }

    /// One more answer is not waited for; what the disk owes if that is more than before. `is_change`: of a
    /// disk of several nodes.
    pub fn give_up(&mut self, disk: &UniqueId, is_change: bool) -> Option<Owes> {
        let debt = self.0.entry(disk.clone()).or_default();
        let before = debt.owes();
        debt.answers += 1;
        debt.changes += usize::from(is_change);
        Some(debt.owes()).filter(|owes| *owes != before)
    }

    /// One has come after all, with what it was given up with; what the disk owes if that is less than
    /// before.
    pub fn answers(&mut self, disk: &UniqueId, is_change: bool) -> Option<Owes> {
        let debt = self.0.get_mut(disk)?;
        let before = debt.owes();
        debt.answers -= 1;
        debt.changes -= usize::from(is_change);
        let now = debt.owes();
        if now == Owes::Nothing {
            self.0.remove(disk);
        }
        Some(now).filter(|owes| *owes != before)
    }
}

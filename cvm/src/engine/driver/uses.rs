//! Counts what a buffer is used for, and refuses what does not go together: the table is in
//! `buffer.rs`.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is done with a buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Use {
    /// Somebody has a reference by which they change it.
    Fill,
    /// An operation reads a disk into it.
    Read,
    /// Somebody has a reference.
    View,
    /// An operation writes it to a disk.
    Write,
    /// A part of it is set to 0.
    Zero,
}

impl Use {
    /// One of these.
    const fn one(self) -> u64 {
        match self {
            Self::Fill | Self::Zero => ALONE,
            Self::Read => READ,
            Self::View => VIEW,
            Self::Write => WRITE,
        }
    }

    /// As many of these as are counted.
    const fn all(self) -> u64 {
        match self {
            Self::Fill | Self::Zero => ALONE,
            Self::Read => READS,
            Self::View => VIEWS,
            Self::Write => WRITES,
        }
    }

    /// What it does not go together with.
    const fn excludes(self) -> u64 {
        match self {
            Self::Fill => ALONE | READS | VIEWS | WRITES,
            Self::Read | Self::Zero => ALONE | VIEWS,
            Self::View => ALONE | READS,
            Self::Write => ALONE,
        }
    }
}

/// The uses of a buffer: three counters and a flag.
#[derive(Debug, Default)]
pub(super) struct Uses(AtomicU64);

impl Uses {
    /// False if it does not go together with what there is, or there are too many. One that was
    /// begun is to be ended.
    pub(super) fn begin(&self, kind: Use) -> bool {
        let fits = |uses| uses & kind.excludes() == 0 && uses & kind.all() != kind.all();
        let next = |uses| fits(uses).then(|| uses + kind.one());
        // What others did before they ended theirs has been done.
        self.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, next).is_ok()
    }

    pub(super) fn end(&self, kind: Use) {
        let before = self.0.fetch_sub(kind.one(), Ordering::Release);
        debug_assert_ne!(before & kind.all(), 0, "a use ends once");
    }

    /// It is used for nothing.
    pub(super) fn is_none(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}

const READ: u64 = 1;
const READS: u64 = COUNT;
const WRITE: u64 = 1 << BITS;
const WRITES: u64 = COUNT << BITS;
const VIEW: u64 = 1 << (2 * BITS);
const VIEWS: u64 = COUNT << (2 * BITS);
const ALONE: u64 = 1 << (3 * BITS);
const COUNT: u64 = (1 << BITS) - 1;
const BITS: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_do_not_run_over() {
        for kind in [Use::Read, Use::View, Use::Write] {
            let mut uses = Uses(AtomicU64::new(kind.all() - kind.one()));
            assert!(uses.begin(kind));
            assert!(!uses.begin(kind), "{kind:?}");
            assert_eq!(*uses.0.get_mut(), kind.all());
        }
    }
}

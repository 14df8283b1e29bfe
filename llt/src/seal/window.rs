//! Which counts have been seen: the newest, and which of those right behind it.

use core::fmt;

use super::WINDOW;

/// A sliding window over the counts of one sender on one of its links.
pub(super) struct Window {
    newest: u64,
    /// One bit for every count from `newest` - `WINDOW` + 1 to `newest`, at its remainder.
    seen: [u64; WORDS],
}

impl Window {
    /// Nothing seen. Counts begin at 1.
    pub(super) const fn new() -> Self {
        Self { newest: 0, seen: [0; WORDS] }
    }

    /// Notes that this count was seen. False, and nothing changed, if it had been before, or if it
    /// is too far behind to tell.
    pub(super) fn take(&mut self, count: u64) -> bool {
        if count > self.newest {
            if count - self.newest >= WINDOW {
                self.seen = [0; WORDS];
            } else {
                // The bits of what is skipped were those of counts that fall out behind.
                for skipped in self.newest + 1..count {
                    let (word, bit) = place(skipped);
                    self.seen[word] &= !bit;
                }
            }
            self.newest = count;
        } else {
            let (word, bit) = place(count);
            if self.newest - count >= WINDOW || self.seen[word] & bit != 0 {
                return false;
            }
        }
        let (word, bit) = place(count);
        self.seen[word] |= bit;
        true
    }
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window").field("newest", &self.newest).finish_non_exhaustive()
    }
}

/// Where the bit of a count is.
#[expect(clippy::cast_possible_truncation, reason = "less than the words of a window")]
const fn place(count: u64) -> (usize, u64) {
    ((count % WINDOW / 64) as usize, 1 << (count % 64))
}

#[expect(clippy::cast_possible_truncation, reason = "a small constant")]
const WORDS: usize = (WINDOW / 64) as usize;
const _: () = assert!(WINDOW.is_multiple_of(64));

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_count_is_taken_once_and_only_within_the_window() {
        let mut window = Window::new();
        assert!(window.take(1) && !window.take(1));
        assert!(window.take(WINDOW));
        assert!(window.take(2), "8190 behind the newest");
        assert!(window.take(WINDOW + 1));
        assert!(!window.take(1), "8192 behind the newest: nobody knows any more");
        assert!(window.take(3) && !window.take(3));
        // A jump over the whole window forgets all of it; what is behind then is refused.
        assert!(window.take(10 * WINDOW));
        assert!(!window.take(9 * WINDOW));
        assert!(window.take(9 * WINDOW + 1) && !window.take(9 * WINDOW + 1));
        assert!(window.take(u64::MAX) && !window.take(u64::MAX));
        assert!(window.take(u64::MAX - WINDOW + 1) && !window.take(u64::MAX - WINDOW));
    }

    proptest! {
        #[test]
        fn it_is_a_set_of_the_counts_behind_the_newest(
            steps in prop::collection::vec((any::<bool>(), 0..3 * WINDOW), 1..400),
        ) {
            let mut window = Window::new();
            let mut seen = BTreeSet::new();
            let mut newest = 1;
            for (ahead, distance) in steps {
                // Most steps are short, as on a network.
                let distance = if distance % 4 == 0 { distance } else { distance % 100 };
                let count: u64 = if ahead { newest + distance } else { newest - distance.min(newest - 1) };
                let expected = newest.max(count) - count < WINDOW && seen.insert(count);
                prop_assert_eq!(window.take(count), expected, "count {} of {}", count, newest);
                newest = newest.max(count);
            }
        }
    }
}

//! The clocks of the operating system. Nothing else in the project reads them.

use rustix::time::{ClockId, clock_gettime};

use crate::time::Instant;

/// The monotonic clock, as the core's [`Instant`], and the wall clock.
///
/// The zero point is that of `CLOCK_MONOTONIC`: it stands while the machine is suspended, which
/// is why a suspended node does not expire its peers on waking up, but learns of its absence.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock(());

impl Clock {
    /// A clock. All of them show the same time.
    pub const fn new() -> Self {
        Self(())
    }

    /// Now, on the monotonic clock.
    pub fn now(self) -> Instant {
        Instant::from_nanos(nanos(ClockId::Monotonic))
    }

    /// Nanoseconds since 1970, for incarnations and for people. It may jump either way.
    pub fn wall_nanos(self) -> u64 {
        nanos(ClockId::Realtime)
    }
}

/// Zero for a time before the clock's zero point, which only a wall clock can show.
fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let below = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_run_backwards() {
        let clock = Clock::new();
        let first = clock.now();
        assert!(clock.now() >= first);
    }

    #[test]
    fn the_wall_clock_is_in_this_century() {
        // 2020-01-01 in nanoseconds: incarnations must be greater than any small number.
        assert!(Clock::new().wall_nanos() > 1_577_836_800_000_000_000);
    }
}

//! The clocks: cores get the time as an input.

use llt::Instant;
use rustix::time::{ClockId, Timespec, clock_gettime};

fn nanos(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// The monotonic clock.
pub(crate) fn now() -> Instant {
    Instant::from_nanos(nanos(clock_gettime(ClockId::Monotonic)))
}

/// Seconds since 1970, for people and for ids.
pub(crate) fn wall_seconds() -> u64 {
    nanos(clock_gettime(ClockId::Realtime)) / 1_000_000_000
}

/// Microseconds since 1970, for people.
pub(crate) fn wall_micros() -> u64 {
    nanos(clock_gettime(ClockId::Realtime)) / 1000
}

/// Tells the lives of a daemon apart; a later one is greater as long as the clock is not set back.
pub(crate) fn incarnation() -> u64 {
    wall_micros()
}

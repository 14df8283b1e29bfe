//! Waiting for descriptors and for time.

use std::os::fd::AsFd;

use llt::{Duration, Instant};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A descriptor to wait for: something to read, and room to write if something is queued.
pub(crate) fn interest<F: AsFd>(fd: &F, has_unsent: bool) -> PollFd<'_> {
    let flags = if has_unsent { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
    PollFd::new(fd, flags)
}

/// Waits until one of them is ready, or `deadline`; at most a second, so that a signal that came in
/// between is seen.
pub(crate) fn wait(fds: &mut [PollFd<'_>], now: Instant, deadline: Option<Instant>) {
    let longest = Duration::from_secs(1);
    let time = deadline.map_or(longest, |deadline| deadline.since(now).min(longest));
    let timeout = Timespec::try_from(time).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
    // Interrupted or not: the caller looks at everything.
    let _ = poll(fds, Some(&timeout));
}

//! Times on a command line, and waiting for the end of a process.

use std::os::fd::AsFd;
use std::time::Duration;

use llt::io::Clock;
use rustix::event::{PollFd, PollFlags, Timespec};

/// A number of seconds, 0 included.
pub fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or("a number of seconds, such as 2 or 0.5")
}

/// A number of seconds above 0.
pub fn some_seconds(text: &str) -> Result<Duration, &'static str> {
    let time = seconds(text).ok().filter(|time| !time.is_zero());
    time.ok_or("a time is a number of seconds above 0")
}

/// Waits until `fd` can be read, which a process descriptor can once the process has ended; at most
/// so long. True if it can.
pub fn readable_within(fd: impl AsFd, wait: Duration) -> bool {
    let clock = Clock::new();
    let end = clock.now() + wait;
    loop {
        let left = Timespec::try_from(end.since(clock.now()));
        let left = left.unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
        match rustix::event::poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return ready > 0,
            // A signal is none of our business.
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_of_seconds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        assert_eq!(some_seconds("2"), Ok(Duration::from_secs(2)));
        for wrong in ["-1", "soon", "", "inf", "1e30"] {
            assert!(seconds(wrong).is_err() && some_seconds(wrong).is_err(), "{wrong}");
        }
        assert!(some_seconds("0").is_err());
    }
}

//! Waiting for states: with a deadline, in words, and until the user says stop.
//!
//! Nothing in the testbed sleeps and hopes. Whoever needs a state names it, gives the time that it
//! may take on a bad day, and looks at it often.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Result, anyhow};
use llt::Instant;
use llt::io::clock::Clock;
use rustix::event::{PollFd, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// The user asked for an end (Ctrl-C, SIGTERM, a terminal that is gone).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// The monotonic clock, which all processes of one machine share.
pub fn now() -> Instant {
    Clock::new().now()
}

/// From now on SIGINT, SIGTERM and SIGHUP do not end the process but every wait in it, so that
/// whoever waits can clean up.
///
/// # Errors
/// If the handlers cannot be installed.
pub fn catch_interrupts() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(flag()))?;
    }
    Ok(())
}

/// Fails once the user asked for an end.
///
/// # Errors
/// [`Interrupted`].
pub fn check_interrupt() -> Result<(), Interrupted> {
    if flag().load(Ordering::Relaxed) { Err(Interrupted) } else { Ok(()) }
}

/// Calls `probe` until it gives something, every 10 ms, for at most `limit`.
///
/// # Errors
/// Those of `probe` at once; [`Interrupted`]; after `limit`, that `what` did not happen.
pub fn until<T>(
    what: &str,
    limit: Duration,
    probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    until_or(limit, probe, || anyhow!("waited {} s for this in vain: {what}", limit.as_secs()))
}

/// [`until`], with an error of the caller's making when the time is over.
///
/// # Errors
/// Those of `probe` at once; [`Interrupted`]; after `limit`, what `late` says.
pub fn until_or<T>(
    limit: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
    late: impl FnOnce() -> anyhow::Error,
) -> Result<T> {
    let end = now() + limit;
    loop {
        check_interrupt()?;
        if let Some(found) = probe()? {
            return Ok(found);
        }
        if now() >= end {
            return Err(late());
        }
        pause(Duration::from_millis(10));
    }
}

/// Lets `time` pass, or less if a signal comes. For the spaces between two looks at a state.
pub fn pause(time: Duration) {
    poll_fds(&mut [], time);
}

/// Waits until one of `fds` is ready, for at most `time`; true if one is.
pub fn poll_fds(fds: &mut [PollFd<'_>], time: Duration) -> bool {
    let timeout = Timespec::try_from(time).unwrap_or(Timespec { tv_sec: 1 << 30, tv_nsec: 0 });
    matches!(poll(fds, Some(&timeout)), Ok(ready) if ready > 0)
}

fn flag() -> &'static Arc<AtomicBool> {
    static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    FLAG.get_or_init(Arc::default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_comes_is_found() {
        let mut looks = 0;
        let found = until("three looks", Duration::from_secs(60), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(found.unwrap(), 3);
    }

    #[test]
    fn a_state_that_does_not_come_is_named() {
        let error = until::<()>("the moon", Duration::ZERO, || Ok(None)).unwrap_err();
        assert!(error.to_string().contains("the moon"), "{error}");
    }
}

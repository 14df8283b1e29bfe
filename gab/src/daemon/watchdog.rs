//! The third thread: feeds a watchdog device while the reactor makes turns.
//!
//! It touches nothing else. The housekeeping thread cannot do it: a log disk that hangs would stop
//! it, and a healthy node would be reset.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{self, Receiver, RecvTimeoutError, Sender};
use llt::Instant;
use llt::io::Clock;
use parking_lot::Mutex;

use crate::daemon::housekeeping::Progress;

/// The thread, as its owner sees it.
#[derive(Debug)]
pub(super) struct Watchdog {
    /// `true`: a clean end.
    stop: Sender<bool>,
    done: Receiver<()>,
}

impl Watchdog {
    /// Opens the device, which starts it, and feeds it from now on.
    ///
    /// # Errors
    /// There is no such device, or it is taken.
    pub(super) fn start(
        clock: Clock,
        path: &Path,
        progress: Arc<Mutex<Progress>>,
    ) -> io::Result<Self> {
        let device = OpenOptions::new().write(true).open(path)?;
        let (stop, stopped) = channel::bounded(1);
        let (finished, done) = channel::bounded(1);
        let mut feeder = Feeder { clock, device, progress, failed: false };
        std::thread::Builder::new().name("watchdog".into()).spawn(move || {
            feeder.run(&stopped);
            let _ = finished.send(());
        })?;
        Ok(Self { stop, done })
    }

    /// Stops feeding. After a `clean` end the device is told to stop, too ("magic close"); else it
    /// goes on counting, and resets the machine unless the next gabd comes in time.
    pub(super) fn stop(self, clean: bool) {
        let _ = self.stop.send(clean);
        let _ = self.done.recv_timeout(STOP_MAX);
    }
}

struct Feeder {
    clock: Clock,
    device: File,
    progress: Arc<Mutex<Progress>>,
    failed: bool,
}

impl Feeder {
    fn run(&mut self, stop: &Receiver<bool>) {
        loop {
            let progress = *self.progress.lock();
            if is_alive(&progress, self.clock.now()) {
                self.write(FOOD);
            }
            match stop.recv_timeout(FEED_EVERY) {
                Ok(true) => return self.write(MAGIC_CLOSE),
                Ok(false) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn write(&mut self, byte: &[u8]) {
        if let Err(error) = self.device.write_all(byte)
            && !std::mem::replace(&mut self.failed, true)
        {
            tracing::error!("cannot feed the watchdog: {error}");
        }
    }
}

/// Is the reactor in a turn that is not too long, or in a sleep that is not over?
fn is_alive(progress: &Progress, now: Instant) -> bool {
    let since = progress.busy_since.or(progress.wake);
    since.is_none_or(|since| now.since(since) < HUNG)
}

/// What the device gets; any byte will do but the one that stops it.
const FOOD: &[u8] = b"\0";
/// The byte that lets a watchdog device stop when it is closed.
const MAGIC_CLOSE: &[u8] = b"V";
/// Watchdogs bite after ten seconds or more.
const FEED_EVERY: Duration = Duration::from_secs(1);
/// A reactor that takes longer for one turn sends no heartbeats: the others have thrown it out.
const HUNG: Duration = Duration::from_secs(5);
/// How long the end waits for the last byte.
const STOP_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reactor_that_makes_turns_is_alive() {
        let at = |secs| Instant::ZERO + Duration::from_secs(secs);
        let progress = |busy_since, wake| Progress { busy_since, wake, ..Progress::default() };
        for (progress, alive) in [
            (progress(None, None), true),
            (progress(Some(at(100)), None), true),
            (progress(Some(at(94)), None), false),
            (progress(None, Some(at(120))), true),
            (progress(None, Some(at(96))), true),
            (progress(None, Some(at(94))), false),
        ] {
            assert_eq!(is_alive(&progress, at(100)), alive, "{progress:?}");
        }
    }

    #[test]
    fn a_device_is_fed_and_stopped_only_after_a_clean_end() {
        for (clean, last) in [(true, b'V'), (false, 0)] {
            let device = tempfile::NamedTempFile::new().unwrap();
            let progress = Arc::new(Mutex::new(Progress::default()));
            let watchdog = Watchdog::start(Clock::new(), device.path(), progress).unwrap();
            watchdog.stop(clean);
            let fed = std::fs::read(device.path()).unwrap();
            assert_eq!(fed.last(), Some(&last), "{fed:?}");
        }
        let nothing = tempfile::tempdir().unwrap().path().join("watchdog");
        let progress = Arc::new(Mutex::new(Progress::default()));
        assert!(Watchdog::start(Clock::new(), &nothing, progress).is_err());
    }
}

//! The second thread: writes logs and watches the reactor.
//!
//! A disk that is full, slow or gone costs log lines, which are counted, and nothing else.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam::channel::{self, Receiver, RecvTimeoutError, Sender};
use llt::Instant;
use llt::io::Clock;
use parking_lot::Mutex;

use crate::daemon::log::{self, LogLine};
use crate::daemon::sysinfo::Sampler;
use crate::limits::LOG_LINES_MAX;

/// What the reactor publishes about itself, twice a turn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Turns so far.
    pub(super) turns: u64,
    /// Since when the present turn runs; `None` while the reactor sleeps.
    pub(super) busy_since: Option<Instant>,
    /// When the present sleep is over at the latest; `None` while it has no end, or in a turn.
    pub(super) wake: Option<Instant>,
    /// The longest turn.
    pub(super) longest: Duration,
    /// Turns that took longer than [`STALL`].
    pub(super) stalls: u64,
    /// Clients are supervised: measure what the machine does.
    pub(super) supervising: bool,
    /// A client failed: write what the machine was doing.
    pub(super) asked: bool,
}

/// The thread, as the reactor's side sees it.
#[derive(Debug)]
pub(super) struct Housekeeping {
    lines: Sender<LogLine>,
    done: Receiver<()>,
    progress: Arc<Mutex<Progress>>,
}

impl Housekeeping {
    /// Starts the thread and installs the log, down to debug lines if it is `verbose`.
    pub(super) fn start(clock: Clock, log: &Path, verbose: bool) -> io::Result<Self> {
        let (lines, receiver) = channel::bounded(LOG_LINES_MAX);
        let (finished, done) = channel::bounded(1);
        let dropped = Arc::new(AtomicU64::new(0));
        // The start is a turn, too: who hangs there is not alive.
        let starting = Progress { busy_since: Some(clock.now()), ..Progress::default() };
        let progress = Arc::new(Mutex::new(starting));
        let mut keeper = Keeper {
            clock,
            lines: receiver,
            dropped: dropped.clone(),
            dropped_told: 0,
            log: LogFile::new(log.to_owned()),
            progress: progress.clone(),
            stalled_turn: None,
            sampler: Sampler::default(),
        };
        std::thread::Builder::new().name("housekeeping".into()).spawn(move || {
            keeper.run();
            let _ = finished.send(());
        })?;
        log::install(lines.clone(), dropped, verbose);
        Ok(Self { lines, done, progress })
    }

    /// Where the reactor publishes.
    pub(super) fn progress(&self) -> Arc<Mutex<Progress>> {
        self.progress.clone()
    }

    /// Writes what is still in the channel, for a second at most: a disk that hangs must not keep
    /// gabd from ending.
    pub(super) fn stop(self) {
        let _ = self.lines.send_timeout(LogLine::Stop, STOP_MAX);
        let _ = self.done.recv_timeout(STOP_MAX);
    }
}

struct Keeper {
    clock: Clock,
    lines: Receiver<LogLine>,
    dropped: Arc<AtomicU64>,
    dropped_told: u64,
    log: LogFile,
    progress: Arc<Mutex<Progress>>,
    /// The turn whose stall was reported, and when it began.
    stalled_turn: Option<(u64, Instant)>,
    sampler: Sampler,
}

impl Keeper {
    fn run(&mut self) {
        loop {
            match self.lines.recv_timeout(WATCH_EVERY) {
                Ok(LogLine::File(line)) => self.log.write(&line),
                Ok(LogLine::Stderr(line)) => {
                    let _ = io::stderr().write_all(&line);
                }
                Ok(LogLine::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.tell_dropped();
            self.watch();
        }
    }

    fn tell_dropped(&mut self) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > self.dropped_told && self.lines.is_empty() {
            let lines = dropped - self.dropped_told;
            self.dropped_told = dropped;
            tracing::warn!("{lines} log lines were dropped: the log could not be written in time");
        }
    }

    /// "Was I late?" is the first question after any eviction.
    fn watch(&mut self) {
        let progress = {
            let mut shared = self.progress.lock();
            let progress = *shared;
            shared.asked = false;
            progress
        };
        let now = self.clock.now();
        self.look_at_the_machine(now, &progress);
        if let Some((turn, since)) = self.stalled_turn
            && (progress.turns != turn || progress.busy_since.is_none())
        {
            let late = now.since(since).as_millis();
            tracing::warn!("the reactor goes on after a turn of up to {late} ms");
            self.stalled_turn = None;
        }
        if let Some(since) = progress.busy_since
            && self.stalled_turn.is_none()
            && progress.turns > 0
            && now.since(since) > STALL
        {
            let late = now.since(since).as_millis();
            tracing::warn!("the reactor has been busy with one turn for {late} ms");
            self.stalled_turn = Some((progress.turns, since));
        }
    }
}

impl Keeper {
    fn look_at_the_machine(&mut self, now: Instant, progress: &Progress) {
        if progress.supervising {
            self.sampler.sample(now);
        }
        if progress.asked {
            self.sampler.lines(now).iter().for_each(|line| tracing::info!("{line}"));
        }
    }
}

/// The log file, opened when there is something to write, and again after an error.
struct LogFile {
    path: PathBuf,
    file: Option<File>,
    failed: bool,
}

impl LogFile {
    fn new(path: PathBuf) -> Self {
        Self { path, file: None, failed: false }
    }

    fn write(&mut self, line: &[u8]) {
        if let Err(error) = self.try_write(line) {
            self.file = None;
            if !self.failed {
                self.failed = true;
                eprintln!("gabd: cannot write {}: {error}", self.path.display());
            }
        } else {
            self.failed = false;
        }
    }

    fn try_write(&mut self, line: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(OpenOptions::new().create(true).append(true).open(&self.path)?),
        };
        file.write_all(line)
    }
}

/// How often the reactor is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(50);
/// A turn that takes longer is worth a line: heartbeats of 50 ms would have been missed.
pub(super) const STALL: Duration = Duration::from_millis(100);
/// How long the end may wait for the log.
const STOP_MAX: Duration = Duration::from_secs(1);

//! The log: what `tracing` formats goes through a bounded channel to the housekeeping thread.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam::channel::{Sender, TrySendError};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// One formatted line, or the end.
#[derive(Debug)]
pub(super) enum LogLine {
    /// For the log file.
    File(Vec<u8>),
    /// For standard error.
    Stderr(Vec<u8>),
    /// There will be no more.
    Stop,
}

/// Sends everything of level `MUSTER_LOG` (info by default, debug if `verbose`) to the file and
/// warnings to standard error. `dropped` counts lines that found the channel full.
pub(super) fn install(lines: Sender<LogLine>, dropped: Arc<AtomicU64>, verbose: bool) {
    let (filter, complaint) = filter(std::env::var("MUSTER_LOG").ok(), verbose);
    let file = Lines { lines: lines.clone(), dropped: dropped.clone(), wrap: LogLine::File };
    let stderr = Lines { lines, dropped, wrap: LogLine::Stderr };
    let to_file = fmt::layer().with_ansi(false).with_target(false).with_writer(file);
    let to_stderr =
        fmt::layer().with_ansi(false).with_target(false).without_time().with_writer(stderr);
    let installed = tracing_subscriber::registry()
        .with(to_file.with_filter(filter))
        .with(to_stderr.with_filter(LevelFilter::WARN))
        .try_init();
    // Only a test that starts two in one process gets here a second time.
    let _ = installed;
    if let Some(complaint) = complaint {
        tracing::warn!("{complaint}");
    }
}

/// The filter that the environment asks for, else the one of `set-verbose`; and a complaint if it
/// cannot be had.
fn filter(asked: Option<String>, verbose: bool) -> (EnvFilter, Option<String>) {
    let default = || EnvFilter::new(if verbose { "debug" } else { "info" });
    match asked {
        Some(text) => match EnvFilter::try_new(&text) {
            Ok(filter) => (filter, None),
            Err(error) => (default(), Some(format!("MUSTER_LOG={text}: {error}"))),
        },
        None => (default(), None),
    }
}

#[derive(Clone, Debug)]
struct Lines {
    lines: Sender<LogLine>,
    dropped: Arc<AtomicU64>,
    wrap: fn(Vec<u8>) -> LogLine,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { to: self, text: Vec::new() }
    }
}

/// Collects one event and sends it when it is complete.
#[derive(Debug)]
struct Line<'a> {
    to: &'a Lines,
    text: Vec<u8>,
}

impl io::Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let line = (self.to.wrap)(std::mem::take(&mut self.text));
        if let Err(TrySendError::Full(_)) = self.to.lines.try_send(line) {
            self.to.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_verbose_adds_debug_lines_unless_the_environment_asks_for_a_filter() {
        let of = |asked: Option<&str>, verbose| {
            let (filter, complaint) = filter(asked.map(str::to_owned), verbose);
            (filter.to_string(), complaint.is_some())
        };
        assert_eq!(of(None, false), ("info".to_owned(), false));
        assert_eq!(of(None, true), ("debug".to_owned(), false));
        assert_eq!(of(Some("warn"), true), ("warn".to_owned(), false));
        assert_eq!(of(Some("gab=loud"), true), ("debug".to_owned(), true));
    }
}

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

/// Sends everything of level `MUSTER_LOG` (info by default) to the file and warnings to standard
/// error. `dropped` counts lines that found the channel full.
pub(super) fn install(lines: Sender<LogLine>, dropped: Arc<AtomicU64>) {
    let (filter, complaint) = match std::env::var("MUSTER_LOG") {
        Ok(text) => match EnvFilter::try_new(&text) {
            Ok(filter) => (filter, None),
            Err(error) => (EnvFilter::new("info"), Some(format!("MUSTER_LOG={text}: {error}"))),
        },
        Err(_) => (EnvFilter::new("info"), None),
    };
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

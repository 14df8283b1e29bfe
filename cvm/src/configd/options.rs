//! `-m` and `-x` (facts 3.19).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result};
use clap::ValueEnum;
use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::MakeWriterExt;

/// `-m`
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Mode {
    /// As enable.
    Boot,
    /// Nothing but `vxdctl enable` is answered.
    Disable,
    /// At work.
    Enable,
}

/// `-x`
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum LogOption {
    /// How much, 0 to 9.
    Level(u8),
    /// Where to; `None` is the usual place.
    File(Option<PathBuf>),
    /// Warnings to the system's log, too.
    Syslog,
    /// Lines begin with the time, as they do anyway.
    Timestamp,
    /// Everything, to that file.
    Trace(PathBuf),
}

impl LogOption {
    /// Reads one.
    ///
    /// # Errors
    /// What was expected.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let file = |name: &str| {
            let name = text.strip_prefix(name)?.strip_prefix('=')?;
            (!name.is_empty()).then(|| PathBuf::from(name))
        };
        match text {
            "log" => Ok(Self::File(None)),
            "syslog" => Ok(Self::Syslog),
            "timestamp" => Ok(Self::Timestamp),
            _ => {
                let level = text.parse().ok().filter(|level| *level <= 9).map(Self::Level);
                let level = level.or_else(|| file("logfile").map(|path| Self::File(Some(path))));
                level.or_else(|| file("tracefile").map(Self::Trace)).ok_or_else(|| {
                    "expected 0 to 9, log, logfile=FILE, syslog, timestamp or tracefile=FILE"
                        .to_owned()
                })
            }
        }
    }
}

/// Where log lines go, and how many.
///
/// # Errors
/// If a file cannot be written.
pub(super) fn install(root: &Path, options: &[LogOption]) -> Result<()> {
    let mut path = root.join("var/log/vxconfigd.log");
    let (mut trace, mut level, mut syslog) = (None, None, None);
    for option in options {
        match option {
            LogOption::File(None) | LogOption::Timestamp => {}
            LogOption::File(Some(file)) => path.clone_from(file),
            LogOption::Level(number) => level = Some(*number),
            LogOption::Syslog => syslog = Some(Syslog::new()),
            LogOption::Trace(file) => trace = Some(open(file)?),
        }
    }
    let filter = match (&trace, level) {
        (Some(_), _) | (None, Some(9)) => "trace",
        (None, Some(5..)) => "debug",
        (None, Some(0)) => "warn",
        (None, _) => "info",
    };
    let asked = std::env::var("MUSTER_LOG").ok().filter(|_| level.is_none() && trace.is_none());
    let filter = asked
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new(filter));
    let log = Mutex::new(open(&path)?).with_max_level(Level::TRACE);
    let log = log.and(Mutex::new(Optional(trace)));
    let log = log.and(Mutex::new(Optional(syslog)).with_max_level(Level::WARN));
    let stderr = io::stderr.with_max_level(Level::WARN);
    // A log that is full is no reason to die: the error would be told on standard error, which may be
    // a file in the same place, and that would be a panic.
    let subscriber = tracing_subscriber::fmt().log_internal_errors(false);
    let subscriber = subscriber.with_ansi(false).with_target(false);
    // Only a test that starts two in one process gets here a second time.
    let _ = subscriber.with_env_filter(filter).with_writer(log.and(stderr)).try_init();
    Ok(())
}

fn open(path: &Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.with_context(|| format!("cannot write {}", path.display()))
}

/// Somewhere, or nowhere.
struct Optional<W>(Option<W>);

impl<W: Write> Write for Optional<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.as_mut().map_or(Ok(line.len()), |out| out.write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), Write::flush)
    }
}

/// The system's log. A line is a datagram; whether anybody listens is not our concern.
struct Syslog(Option<UnixDatagram>);

/// Facility daemon, severity warning.
const PRIORITY: u8 = 3 << 3 | 4;

impl Syslog {
    fn new() -> Self {
        Self(UnixDatagram::unbound().ok())
    }
}

impl Write for Syslog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(socket) = &self.0 {
            let head = format!("<{PRIORITY}>vxconfigd[{}]: ", std::process::id());
            let _ = socket.send_to(&[head.as_bytes(), line.trim_ascii_end()].concat(), "/dev/log");
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_options_are_read() {
        for (text, option) in [
            ("0", LogOption::Level(0)),
            ("9", LogOption::Level(9)),
            ("log", LogOption::File(None)),
            ("logfile=/tmp/a", LogOption::File(Some("/tmp/a".into()))),
            ("syslog", LogOption::Syslog),
            ("timestamp", LogOption::Timestamp),
            ("tracefile=t", LogOption::Trace("t".into())),
        ] {
            assert_eq!(LogOption::parse(text), Ok(option));
        }
        for wrong in ["", "10", "-1", "logfile=", "logfile", "cleartempdir", "Log"] {
            assert!(LogOption::parse(wrong).unwrap_err().starts_with("expected 0 to 9"), "{wrong}");
        }
    }
}

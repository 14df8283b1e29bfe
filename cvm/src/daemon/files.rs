//! The lock, the socket and the log of a daemon.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Error, Result, anyhow};
use llt::Duration;
use rustix::fs::{FlockOperation, fcntl_lock, flock};
use rustix::io::Errno;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::MakeWriterExt;

use super::{now, wait};

/// The root that was named, or that of the environment.
pub(crate) fn root_of(root: Option<PathBuf>) -> PathBuf {
    root.unwrap_or_else(gab::client::default_root)
}

/// One daemon of a kind per root: its pid file is locked as long as this lives. The file stays: whoever
/// waits for the lock of one that is removed would have the lock of no file.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// # Errors
    /// If another process has it, or the file cannot be written.
    pub(crate) fn acquire(root: &Path, daemon: &str) -> Result<Self> {
        let (file, path) = Self::open(root, daemon)?;
        if !is_taken(flock(&file, FlockOperation::NonBlockingLockExclusive), &path)? {
            return Err(is_running(daemon, &path));
        }
        Self::sign(file)
    }

    /// As [`Self::acquire`]. What a process has left under way holds its lock when it is gone, and is waited
    /// for. That it lives says a lock of another kind, which is the process's alone.
    ///
    /// # Errors
    /// If a process that lives has it, or the file cannot be written.
    pub(crate) fn acquire_when_over(root: &Path, daemon: &str) -> Result<Self> {
        let (file, path) = Self::open(root, daemon)?;
        if !is_taken(fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive), &path)? {
            return Err(is_running(daemon, &path));
        }
        let mut waits = false;
        while !is_taken(flock(&file, FlockOperation::NonBlockingLockExclusive), &path)? {
            if !waits {
                tracing::warn!("what the {daemon} before has left under way is waited for");
            }
            waits = true;
            wait(&mut [], now(), Some(now() + LOOK));
        }
        Self::sign(file)
    }

    fn open(root: &Path, daemon: &str) -> Result<(File, PathBuf)> {
        let folder = root.join("run");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let path = folder.join(format!("{daemon}.pid"));
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file =
            options.open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        Ok((file, path))
    }

    fn sign(mut file: File) -> Result<Self> {
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self(file))
    }
}

/// Whether a lock was to be had; others have it or not.
fn is_taken(locked: rustix::io::Result<()>, path: &Path) -> Result<bool> {
    match locked {
        Ok(()) => Ok(true),
        // Which of them depends on the kind of the lock.
        Err(Errno::ACCESS | Errno::AGAIN) => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

fn is_running(daemon: &str, path: &Path) -> Error {
    let pid = fs::read_to_string(path).unwrap_or_default();
    anyhow!("{daemon} is already running, process {} ({})", pid.trim(), path.display())
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How often it is looked whether that is over.
const LOOK: Duration = Duration::from_millis(20);

/// The socket of a daemon that holds its lock: one that a dead one left is in the way.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn listen(path: &Path) -> Result<UnixListener> {
    if path.exists() {
        fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    listener.set_nonblocking(true)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Everything of level `MUSTER_LOG` (info by default) goes to the log file; warnings to standard
/// error, too.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn install_log(root: &Path, daemon: &str) -> Result<()> {
    let folder = root.join("var/log");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(format!("{daemon}.log"));
    let file = OpenOptions::new().append(true).create(true).open(&path);
    let file = Mutex::new(file.with_context(|| format!("cannot write {}", path.display()))?);
    let filter = std::env::var("MUSTER_LOG").ok();
    let filter = filter.and_then(|text| EnvFilter::try_new(text).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new("info"));
    let stderr = std::io::stderr.with_max_level(tracing::Level::WARN);
    // A log that is full is no reason to die: the error would be told on standard error, which may be
    // a file in the same place, and that would be a panic.
    let subscriber = tracing_subscriber::fmt().log_internal_errors(false);
    let subscriber = subscriber.with_ansi(false).with_target(false);
    // Only a test that starts two in one process gets here a second time.
    let _ = subscriber.with_env_filter(filter).with_writer(file.and(stderr)).try_init();
    Ok(())
}

/// A thread that panics takes its process along: who waits for a word of that thread would wait for ever,
/// and with this node the others.
pub(crate) fn end_with_any_thread() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tell(panic);
        std::process::abort();
    }));
}

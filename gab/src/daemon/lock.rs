//! One gabd per root: the pid file and its lock.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The lock. It is held as long as this lives; the file goes with it.
#[derive(Debug)]
pub(super) struct PidLock {
    path: PathBuf,
    /// Holds the lock of the system, which a dead process cannot.
    _file: File,
    stale: Option<u32>,
}

impl PidLock {
    /// # Errors
    /// If another process holds it, which is named, or the file cannot be written.
    pub(super) fn acquire(path: &Path) -> anyhow::Result<Self> {
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .with_context(|| format!("cannot open {}", path.display()))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => match pid_in(&mut file) {
                    Some(pid) => {
                        bail!("gabd is already running, process {pid} ({})", path.display())
                    }
                    None => bail!("gabd is already starting ({})", path.display()),
                },
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
            // A predecessor may have removed the file between our open and our lock: then the lock
            // is on a file that nobody else can find.
            let same = std::fs::metadata(path)
                .and_then(|there| Ok(there.ino() == file.metadata()?.ino()))
                .unwrap_or(false);
            if !same {
                continue;
            }
            let stale = pid_in(&mut file);
            write_pid(&mut file).with_context(|| format!("cannot write {}", path.display()))?;
            return Ok(Self { path: path.to_owned(), _file: file, stale });
        }
    }

    /// The process that left the file behind, if there was one.
    pub(super) fn stale(&self) -> Option<u32> {
        self.stale
    }
}

impl Drop for PidLock {
    fn drop(&mut self) {
        // Still locked: nobody else can have taken the path.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn pid_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "{}", std::process::id())?;
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_with_the_pid_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gabd.pid");
        let lock = PidLock::acquire(&path).unwrap();
        let error = PidLock::acquire(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(lock);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_without_a_process_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gabd.pid");
        std::fs::write(&path, "4194303\n").unwrap();
        let lock = PidLock::acquire(&path).unwrap();
        assert_eq!(lock.stale(), Some(4_194_303));
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.trim(), std::process::id().to_string());
    }
}

//! `vxdctl stop`: ends the vxconfigd of this root.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::common::{Failure, Root, time};

/// Ends it, with SIGKILL if so, and waits until it has.
///
/// # Errors
/// If there is none, or it does not end.
pub(super) fn stop(root: &Root, kill: bool) -> Result<(), Failure> {
    let path = root.path().join("run/vxconfigd.pid");
    let Some(process) = holder(&path)? else {
        let text = format!("vxconfigd is not running: nobody holds {}", path.display());
        return Err(Failure::NoDaemon(text));
    };
    let signal = if kill { Signal::KILL } else { Signal::TERM };
    match pidfd_send_signal(&process, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => return Err(Failure::because(&error)),
    }
    if time::readable_within(&process, END_TIMEOUT) {
        Ok(())
    } else {
        let how = if kill { "" } else { "; vxdctl -k stop ends it in any case" };
        Err(Failure::operation(format!(
            "vxconfigd does not end within {} seconds{how}",
            END_TIMEOUT.as_secs()
        )))
    }
}

/// The process whose id stands in the file and that holds its lock. The id is looked at first, and
/// the lock after it: who still holds the lock then was alive when its descriptor was opened, so the
/// id cannot be somebody else's.
fn holder(path: &Path) -> Result<Option<OwnedFd>, Failure> {
    let cannot = |error: std::io::Error| Failure::operation(format!("{}: {error}", path.display()));
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(error)),
    };
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(cannot)?;
    let pid = text.trim().parse().ok().and_then(Pid::from_raw);
    let process = pid.map(|pid| pidfd_open(pid, PidfdFlags::empty()));
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        // Nobody holds it: a dead one left the file. The lock ends with `file`.
        Ok(()) => return Ok(None),
        Err(rustix::io::Errno::WOULDBLOCK) => {}
        Err(error) => return Err(cannot(error.into())),
    }
    let now = std::fs::read_to_string(path).map_err(cannot)?;
    match process {
        Some(Ok(process)) if now == text => Ok(Some(process)),
        Some(Err(error)) => Err(cannot(error.into())),
        // It has just started, and has not written its id yet or has taken another's place.
        Some(Ok(_)) | None => {
            let text = format!("{}: vxconfigd is just starting; try again", path.display());
            Err(Failure::operation(text))
        }
    }
}

/// Ending takes no longer than a write to a disk.
const END_TIMEOUT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_that_nobody_holds_names_no_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vxconfigd.pid");
        assert!(holder(&path).unwrap().is_none(), "no file");
        std::fs::write(&path, format!("{}\n", std::process::id())).unwrap();
        assert!(holder(&path).unwrap().is_none(), "a dead one left it");
    }

    #[test]
    fn who_holds_the_lock_is_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vxconfigd.pid");
        std::fs::write(&path, format!("{}\n", std::process::id())).unwrap();
        let lock = File::open(&path).unwrap();
        flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
        assert!(holder(&path).unwrap().is_some());
        std::fs::write(&path, "").unwrap();
        assert!(holder(&path).is_err(), "no id yet");
    }
}

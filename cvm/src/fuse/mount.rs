//! Mount points: made ready, mounted on, and given back.

use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, stat, statx};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// Where a tree is to be, ready to be mounted on.
#[derive(Clone, Debug)]
pub(super) struct MountPoint(PathBuf);

impl MountPoint {
    /// Makes the folder if there is none, and takes off what a vxfused that was killed left there.
    ///
    /// # Errors
    /// If it is in use, or cannot be made.
    pub(super) fn prepare(path: &Path) -> Result<Self> {
        let what = path.display();
        for _ in 0..LEFT_MAX {
            // Not what the kernel knew of the one who has died.
            match statx(CWD, path, AtFlags::STATX_FORCE_SYNC, StatxFlags::BASIC_STATS) {
                Err(Errno::NOTCONN) => {
                    unmount(path, UnmountFlags::DETACH)
                        .with_context(|| format!("cannot unmount what is left at {what}"))?;
                    tracing::warn!("{what} was left by a vxfused that has died: unmounted");
                }
                Err(Errno::NOENT) => {
                    fs::create_dir_all(path).with_context(|| format!("cannot make {what}"))?;
                }
                Err(error) => return Err(error).with_context(|| format!("cannot use {what}")),
                Ok(_) => {
                    // Links are not followed when it is unmounted.
                    let path = fs::canonicalize(path)?;
                    check(&path)?;
                    return Ok(Self(path));
                }
            }
        }
        bail!("{what} is mounted on again and again")
    }

    /// Mounts a file system that whoever has the descriptor serves.
    ///
    /// # Errors
    /// If it is not allowed, or FUSE is not there.
    pub(super) fn mount(&self, allow_other: bool) -> Result<OwnedFd> {
        let opened = OpenOptions::new().read(true).write(true).open(DEVICE);
        let device: File = opened.with_context(|| {
            format!("cannot open {DEVICE}, without which there are no file systems of programs")
        })?;
        // The kernel checks modes by itself.
        let mut options = format!(
            "fd={},rootmode=40000,user_id={},group_id={},default_permissions",
            device.as_raw_fd(),
            rustix::process::getuid().as_raw(),
            rustix::process::getgid().as_raw(),
        );
        if allow_other {
            options.push_str(",allow_other");
        }
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        let options = std::ffi::CString::new(options)?;
        mount("vxfused", &self.0, "fuse.vxfused", flags, options.as_c_str())
            .with_context(|| format!("cannot mount on {}", self.0.display()))?;
        Ok(device.into())
    }

    /// Gives it back. `false`: files are open, and it is gone from sight only; it ends with the last
    /// of them.
    ///
    /// # Errors
    /// If it stays.
    pub(super) fn unmount(&self) -> Result<bool> {
        let what = || format!("cannot unmount {}", self.0.display());
        match unmount(&self.0, UnmountFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::BUSY) => {
                unmount(&self.0, UnmountFlags::DETACH).with_context(what)?;
                Ok(false)
            }
            Err(error) => Err(error).with_context(what),
        }
    }

    /// Has the kernel read ahead by more than it offers by itself. Only speed depends on it.
    pub(super) fn read_ahead(&self) {
        let Ok(status) = stat(&self.0) else { return };
        let (major, minor) = (rustix::fs::major(status.st_dev), rustix::fs::minor(status.st_dev));
        let file = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
        if let Err(error) = fs::write(&file, READ_AHEAD_KIB) {
            tracing::debug!("{file} stays as it is: {error}");
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

/// A folder that nothing is mounted on and that nothing is in.
fn check(path: &Path) -> Result<()> {
    let what = path.display();
    let status = statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS)?;
    if status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        bail!("{what} is mounted already");
    }
    let mut entries = fs::read_dir(path).with_context(|| format!("{what} is no folder"))?;
    if entries.next().is_some() {
        bail!("{what} is not empty: what is there would be out of reach");
    }
    Ok(())
}

const READ_AHEAD_KIB: &str = "1024";
const DEVICE: &str = "/dev/fuse";
/// More mounts than this are not left in one place.
const LEFT_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_and_one_with_something_in_it_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dev/vx/dsk");
        MountPoint::prepare(&path).unwrap();
        MountPoint::prepare(&path).unwrap();
        fs::write(path.join("file"), "").unwrap();
        let refused = MountPoint::prepare(&path).unwrap_err().to_string();
        assert!(
            refused.ends_with("is not empty: what is there would be out of reach"),
            "{refused}"
        );
        let refused = MountPoint::prepare(&path.join("file")).unwrap_err().to_string();
        assert!(refused.ends_with("is no folder"), "{refused}");
        let refused = MountPoint::prepare(Path::new("/proc")).unwrap_err().to_string();
        assert_eq!(refused, "/proc is mounted already");
    }
}

//! Folders: where a cluster lives, and where the user's list of clusters is kept.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};

/// The folder of the cluster if `--dir` is not given: `$XDG_RUNTIME_DIR/muster`, else a private
/// one in the temporary directory.
///
/// # Errors
/// If that folder belongs to somebody else.
pub fn default_dir() -> Result<PathBuf> {
    match runtime_dir() {
        Some(runtime) => Ok(runtime.join("muster")),
        None => private_dir(),
    }
}

/// Opens the user's list of clusters, locked until it is dropped: whoever holds it is the only one
/// of this user who takes ports and cluster ids.
///
/// # Errors
/// If it cannot be created or locked.
pub fn lock_user_list() -> Result<File> {
    let path = match runtime_dir() {
        Some(runtime) => runtime.join("muster-clusters.json"),
        None => private_dir()?.join("clusters.json"),
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(nofollow())
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    flock(&file, FlockOperation::LockExclusive)
        .with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// Locks a cluster's folder itself, so that no file of ours has to outlive the cluster in it.
///
/// # Errors
/// If there is no such folder, or another muster changes the cluster at this moment.
pub fn lock_dir(dir: &Path) -> Result<File> {
    let file = File::open(dir).with_context(|| format!("cannot open {}", dir.display()))?;
    let mut locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
    if locked == Err(rustix::io::Errno::WOULDBLOCK) {
        eprintln!("muster: waiting for another muster that works on {} ...", dir.display());
        locked = flock(&file, FlockOperation::LockExclusive);
    }
    locked.with_context(|| format!("cannot lock {}", dir.display()))?;
    Ok(file)
}

fn runtime_dir() -> Option<PathBuf> {
    std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_dir())
}

/// `muster-UID` in the temporary directory, which everybody can write to: so it is made with mode
/// 0700, and refused if somebody else made it.
fn private_dir() -> Result<PathBuf> {
    let uid = rustix::process::geteuid();
    let dir = std::env::temp_dir().join(format!("muster-{}", uid.as_raw()));
    match fs::DirBuilder::new().mode(0o700).create(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("cannot create {}", dir.display()));
        }
        _ => {}
    }
    let meta = fs::symlink_metadata(&dir)?;
    if !meta.is_dir() || meta.uid() != uid.as_raw() || meta.mode() & 0o077 != 0 {
        bail!("{} is not a private folder of this user (expected mode 0700)", dir.display());
    }
    Ok(dir)
}

fn nofollow() -> i32 {
    i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).expect("a flag is one bit below 31")
}

//! Volumes as files in the testbed: the vxfused of each node, and what it has mounted.

use std::fs::{self, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Signal, geteuid};

use super::binaries::Binaries;
use super::cluster::Cluster;
use super::process::State;
use super::{daemons, wait};

/// Where the vxfused of a node mounts: any offset and length, then multiples of 512 past the page cache.
pub fn trees(cluster: &Cluster, node: u8) -> [PathBuf; 2] {
    ["dsk", "rdsk"].map(|tree| cluster.root(node).join("dev/vx").join(tree))
}

/// Can a vxfused mount anything here?
///
/// # Errors
/// If not: with what is missing.
pub fn check() -> Result<()> {
    can_mount(geteuid().is_root(), Path::new("/dev/fuse"))
}

fn can_mount(is_root: bool, device: &Path) -> Result<()> {
    if !is_root {
        bail!("--fuse needs root: nobody else may mount");
    }
    let opened = OpenOptions::new().read(true).write(true).open(device);
    opened.with_context(|| format!("--fuse needs {}, which cannot be opened", device.display()))?;
    Ok(())
}

/// Starts the vxfused of a node if it does not run, and waits until both trees are there.
///
/// # Errors
/// If it cannot be started, or ends.
pub fn start(cluster: &mut Cluster, node: u8, binaries: &Binaries) -> Result<()> {
    let known = cluster.node(node).vxfused;
    if known.is_some_and(|process| process.state() != State::Gone) {
        return Ok(());
    }
    let process = daemons::spawn(cluster, node, binaries, "vxfused", &[])?;
    cluster.node_mut(node).vxfused = process;
    let name = &cluster.node(node).name;
    wait::until(&format!("the volumes of {name} are files"), cluster.timers.patience(), || {
        if process.is_none_or(|process| process.state() == State::Gone) {
            bail!("vxfused of {name} ended");
        }
        Ok(trees(cluster, node).iter().all(|tree| is_served(tree)).then_some(()))
    })
}

/// Asks the vxfuseds of `nodes` to end, waits `grace` for all of them together, kills those that
/// remain, and takes off whatever is mounted still: by one that was killed, or that somebody else
/// started.
///
/// # Errors
/// If one can neither be ended nor killed, or a mount stays.
pub fn stop(cluster: &Cluster, nodes: &[u8], grace: Duration) -> Result<()> {
    let end = wait::now() + grace;
    let processes = nodes.iter().filter_map(|node| cluster.node(*node).vxfused);
    for process in processes.clone() {
        process.signal(Signal::TERM)?;
        // One that is paused could not even listen.
        process.signal(Signal::CONT)?;
    }
    for process in processes {
        // It stays as long as a file is open.
        if !process.wait_gone(end.since(wait::now()))? {
            process.signal(Signal::KILL)?;
            if !process.wait_gone(Duration::from_secs(30))? {
                bail!("vxfused {} does not die", process.pid);
            }
        }
    }
    nodes.iter().flat_map(|node| trees(cluster, *node)).try_for_each(|tree| take_off(&tree))
}

/// Is a file system mounted there, and served? One whose server was killed is not.
fn is_served(tree: &Path) -> bool {
    // Not what the kernel knew of one that has died.
    let status = statx(CWD, tree, AtFlags::STATX_FORCE_SYNC, StatxFlags::BASIC_STATS);
    status.is_ok_and(|status| status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Unmounts all that is mounted there, out of sight at once, and for good when the last file is closed.
fn take_off(tree: &Path) -> Result<()> {
    while is_mounted(tree)? {
        unmount(tree, UnmountFlags::DETACH)
            .with_context(|| format!("cannot unmount {}", tree.display()))?;
    }
    Ok(())
}

/// Is anything mounted there? The answer waits for no server, as that of a look at the folder would.
///
/// # Errors
/// If the list of mounts cannot be read.
pub fn is_mounted(tree: &Path) -> Result<bool> {
    let table = fs::read("/proc/self/mountinfo").context("cannot read the list of mounts")?;
    let wanted = escaped(tree);
    let mut lines = table.split(|byte| *byte == b'\n');
    Ok(lines.any(|line| line.split(|byte| *byte == b' ').nth(4) == Some(&wanted)))
}

/// A path as the list of mounts has it, in the fifth word of a line (proc_pid_mountinfo(5)).
fn escaped(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => text.extend(format!("\\{byte:03o}").as_bytes()),
            _ => text.push(*byte),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let device = folder.path().join("fuse");
        let said = can_mount(false, &device).unwrap_err().to_string();
        assert_eq!(said, "--fuse needs root: nobody else may mount");
        let said = format!("{:#}", can_mount(true, &device).unwrap_err());
        let expected = format!("--fuse needs {}, which cannot be opened", device.display());
        assert!(said.starts_with(&expected) && said.contains("No such file"), "{said}");
        fs::write(&device, "").unwrap();
        can_mount(true, &device).unwrap();
    }

    #[test]
    fn mounts_are_found_by_their_paths() {
        assert!(is_mounted(Path::new("/proc")).unwrap());
        assert!(!is_mounted(Path::new("/proc/self")).unwrap());
        assert_eq!(escaped(Path::new("/a b\\c\td/e")), b"/a\\040b\\134c\\011d/e");
        take_off(Path::new("/proc/self")).unwrap();
    }
}

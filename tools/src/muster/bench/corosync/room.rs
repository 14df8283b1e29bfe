//! Where one Corosync runs: in a node's network, with a `/run` and a `/dev/shm` of its own.
//!
//! All instances of a machine would write the same pid file, and libqb leaves its rings in
//! `/dev/shm` if its end is sudden. In a mount namespace of their own both go with the last
//! process in it. Its sockets are abstract names, which belong to the network namespace.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::setpgid;
use rustix::thread::{ThreadNameSpaceType, UnshareFlags, move_into_thread_name_spaces};

use super::super::super::cli::BenchCorosyncArgs;
use super::super::super::daemons;
use super::super::super::netns;
use super::super::super::process::Process;

/// What is there for each.
const OWN: [&str; 2] = ["/run", "/dev/shm"];

/// Where it keeps its state: a part of [`OWN`].
pub(super) const STATE_DIR: &str = "/run";

/// `muster bench-corosync`: makes the room and becomes the daemon, which dies with the thread that
/// started this.
///
/// # Errors
/// Returns only if that fails.
pub fn run(args: &BenchCorosyncArgs) -> Result<()> {
    // A signal of the terminal does not reach it. A session of its own would be a group of its own
    // for the scheduler, too, and it and its clients would interrupt each other far more often.
    setpgid(None, None).context("cannot make a process group")?;
    // Before the folder that it lies in may be covered.
    let config = &args.config;
    let text = fs::read(config).with_context(|| format!("cannot read {}", config.display()))?;
    args.place.enter()?;
    netns::holder::unshare(UnshareFlags::NEWNS).context("cannot make a mount namespace")?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).context("cannot separate the mount namespace from its parent")?;
    for path in OWN {
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("tmpfs", path, "tmpfs", flags, None)
            .with_context(|| format!("cannot mount a tmpfs on {path}"))?;
    }
    let config = Path::new(STATE_DIR).join("corosync.conf");
    fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
    daemons::die_with(Some(args.parent))?;
    let command = [args.program.as_os_str(), "-f".as_ref(), "-c".as_ref()];
    let mut command = command.map(ToOwned::to_owned).to_vec();
    command.push(config.into_os_string());
    daemons::become_program(&command)
}

/// Goes into the namespaces of a daemon; this process must have one thread.
pub(super) fn enter(daemon: Process) -> Result<()> {
    let gone = || format!("corosync, process {}, is gone", daemon.pid);
    let pidfd = daemon.open()?.with_context(gone)?;
    let mut which = ThreadNameSpaceType::NETWORK | ThreadNameSpaceType::MOUNT;
    let user = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user"));
    // Who is in a user namespace already may not enter it again.
    if user("self")? != user(&daemon.pid.to_string()).with_context(gone)? {
        which |= ThreadNameSpaceType::USER;
    }
    move_into_thread_name_spaces(std::os::fd::AsFd::as_fd(&pidfd), which)
        .with_context(|| format!("cannot enter the namespaces of corosync {}", daemon.pid))
}

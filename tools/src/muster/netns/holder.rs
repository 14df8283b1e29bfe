//! The process that keeps a cluster's namespaces alive.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use super::super::{daemons, wait};
use super::refusal;

/// The namespace of node N is descriptor `FIRST_FD` + N of the holder; its own is the switch.
pub const FIRST_FD: i32 = 100;
/// What the holder waits for on its standard input: whoever started it has then written down that
/// it is there. If it hears anything else, it ends and has made nothing.
pub const GO: &[u8] = b"go\n";

/// What the holder says, as one line of JSON.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The namespaces are there.
    Ready {
        /// In a user namespace.
        user: bool,
    },
    /// They are not.
    Refused {
        /// For people, over several lines.
        why: String,
    },
}

/// `muster hold`: makes the switch's namespace and those of `nodes` nodes, and keeps them until it
/// is killed. With `parent`, it dies with the thread that started it.
///
/// # Errors
/// If nobody hears the answer.
pub fn run(nodes: u8, parent: Option<i32>) -> Result<()> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    if line.as_bytes() != GO {
        return Ok(());
    }
    let made = make(nodes);
    // The credentials have changed since it was asked for first, which may have undone it.
    daemons::die_with(parent)?;
    let (answer, held) = match made {
        Ok((user, held)) => (Answer::Ready { user }, Some(held)),
        Err(error) => (Answer::Refused { why: format!("{error:#}") }, None),
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    std::io::stdout().write_all(&text)?;
    let Some(_held) = held else { return Ok(()) };
    loop {
        wait::pause(Duration::from_secs(3600));
    }
}

/// The namespaces of the nodes; this process is in that of the switch.
fn make(nodes: u8) -> Result<(bool, Vec<OwnedFd>)> {
    let user = leave()?;
    silence();
    let switch = own_network()?;
    let mut held = Vec::new();
    for node in 0..nodes {
        unshare(UnshareFlags::NEWNET)
            .with_context(|| format!("cannot make the network namespace of node {node}"))?;
        let number = FIRST_FD + i32::from(node);
        let fd = rustix::io::fcntl_dupfd_cloexec(own_network()?, number)?;
        anyhow::ensure!(std::os::fd::AsRawFd::as_raw_fd(&fd) == number, "{number} was taken");
        held.push(fd);
    }
    move_into_link_name_space(switch.as_fd(), Some(LinkNameSpaceType::Network))
        .context("cannot go back to the namespace of the switch")?;
    Ok((user, held))
}

/// Goes into a network namespace of its own; true if that took a user namespace.
fn leave() -> Result<bool> {
    let plain = match unshare(UnshareFlags::NEWNET) {
        Ok(()) => return Ok(false),
        Err(error) => error,
    };
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let user = unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET)
        .map_err(|error| ("unshare(CLONE_NEWUSER | CLONE_NEWNET)", error.into()))
        .and_then(|()| {
            // Root inside is who we are outside; only that needs no privilege. It has to be root,
            // for only root keeps its capabilities when it becomes another program.
            write_self("/proc/self/setgroups", "deny".to_owned())?;
            write_self("/proc/self/uid_map", format!("0 {} 1", uid.as_raw()))?;
            write_self("/proc/self/gid_map", format!("0 {} 1", gid.as_raw()))
        });
    match user {
        Ok(()) => Ok(true),
        Err((call, error)) => Err(refusal::explain(plain, call, &error)),
    }
}

fn write_self(file: &'static str, text: String) -> Result<(), (&'static str, std::io::Error)> {
    fs::write(file, text).map_err(|error| (file, error))
}

/// The devices of the switch are to pass frames on and to say nothing of their own.
fn silence() {
    for which in ["all", "default"] {
        // Without IPv6 in the kernel there is nothing to switch off.
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"), "1");
    }
}

fn own_network() -> Result<File> {
    File::open("/proc/thread-self/ns/net").context("cannot open /proc/thread-self/ns/net")
}

pub(in super::super) fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    #[expect(unsafe_code, reason = "the system call has no safe wrapper")]
    // SAFETY: what makes unshare unsafe is CLONE_FILES, after which descriptors mean different
    // things to different threads. No caller passes it.
    unsafe {
        rustix::thread::unshare_unsafe(flags)
    }
}

//! Network namespaces: a small network of Ethernet cables for each cluster.
//!
//! Each node has a namespace of its own with the devices `eth0`, `eth1`, ..., one per link. Their
//! other ends, `node2-link0` and so on, are ports of the bridges `link0`, `link1`, ..., which stand
//! in one more namespace of the cluster's own, the *switch*. Nothing appears in the user's network.
//!
//! One process per cluster, the [`holder`], keeps the namespaces alive by open descriptors, and
//! whoever wants to be in one [enters](place::Place::enter) it through `/proc/HOLDER`. With the
//! holder, the daemons and what `exec` started there, the namespaces go, and with a namespace its
//! devices: there is nothing that a `down` could forget, and nothing that survives a crash.
//!
//! The same code runs with and without root. Who may not make a network namespace makes a user
//! namespace around it, in which he is root and owns what he makes.
//!
//! Devices are made by `ip` rather than over netlink: a batch of it says in the administrator's own
//! language what is done, can be repeated by hand with `muster exec switch ip ...`, and needs no
//! code of ours that speaks to the kernel. What comes after `up` (cables, one-way loss) is a
//! command as well.

pub mod holder;
pub mod place;
mod refusal;
pub mod switch;
pub(super) mod system;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Error, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::binaries::Binaries;
use super::cluster::Cluster;
use super::daemons;
use super::process::{Process, State};
use holder::Answer;
use place::{At, Place};

/// The system, or this user's rights, have no namespaces for us: what was tried, and what forbids
/// it or is missing.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// The namespaces of a cluster, as `cluster.json` has them.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Namespaces {
    /// The process that keeps them, as soon as there is one.
    pub holder: Option<Process>,
    /// They are in a user namespace of the holder's: who made them was not root.
    pub user: bool,
    /// MTU of every device, in bytes.
    pub mtu: u32,
    /// The switch can lose frames one way by nftables; else the taps of the nodes have to.
    pub nft: bool,
}

impl Namespaces {
    /// None yet, to have devices with this MTU.
    pub fn new(mtu: u32) -> Self {
        Self { holder: None, user: false, mtu, nft: false }
    }

    /// Somewhere in them.
    ///
    /// # Errors
    /// If the holder is gone.
    pub fn place(&self, at: At) -> Result<Place> {
        match self.holder {
            Some(holder) if holder.state() != State::Gone => {
                Ok(Place { holder, user: self.user, at })
            }
            _ => bail!(
                "the process that holds the cluster's namespaces is gone, and the cables with it: \
                 take the cluster down and up again"
            ),
        }
    }
}

/// Makes the namespaces of a cluster and the devices in them, if it is to have any.
///
/// The cluster is saved before anything is made, so that a `down` finds the holder whatever
/// happens afterwards.
///
/// # Errors
/// [`Unavailable`]; if `ip` fails. The holder, if it was started, stands in `cluster`.
pub fn make(cluster: &mut Cluster, binaries: &Binaries) -> Result<()> {
    if cluster.netns.is_none() {
        return Ok(());
    }
    // Says what is missing before anything is made.
    system::ip()?;
    let mut command = daemons::detached(cluster, binaries, None);
    command.arg(binaries.path("muster")).arg("hold").arg("--nodes");
    command.arg(cluster.nodes.len().to_string());
    if cluster.attached {
        command.arg("--parent").arg(std::process::id().to_string());
    }
    command.current_dir("/");
    // Nothing of the caller's stays open in it: a pipe would wait for its end.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start the holder of the namespaces")?;
    change(cluster, |netns| netns.holder = Process::of(child.id()));
    cluster.save()?;
    let mut stdin = child.stdin.take().context("it was piped")?;
    let mut stdout = BufReader::new(child.stdout.take().context("it was piped")?);
    stdin.write_all(holder::GO).context("the holder of the namespaces ended at once")?;
    let mut line = String::new();
    stdout.read_line(&mut line)?;
    match serde_json::from_str(&line) {
        Ok(Answer::Ready { user }) => change(cluster, |netns| netns.user = user),
        Ok(Answer::Refused { why }) => return Err(Unavailable(why).into()),
        Err(_) => return Err(ended(child)),
    }
    switch::build(cluster, binaries)?;
    let nft = switch::has_nft(cluster, binaries);
    change(cluster, |netns| netns.nft = nft);
    cluster.save()
}

/// Why the holder did not answer: what it said, and how it ended.
fn ended(child: Child) -> Error {
    match child.wait_with_output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            anyhow!("the holder of the namespaces ended ({}): {}", output.status, said.trim_end())
        }
        Err(error) => anyhow!("the holder of the namespaces ended: {error}"),
    }
}

/// A command that runs in one of the cluster's namespaces.
///
/// # Errors
/// If the cluster has none, or whoever held them is gone.
pub fn inside(cluster: &Cluster, binaries: &Binaries, at: At) -> Result<Command> {
    let netns =
        cluster.netns.context("this cluster is one without --netns: it has no namespaces")?;
    let mut command = Command::new(binaries.path("muster"));
    command.arg("inside").arg(netns.place(at)?.to_string()).arg("--");
    Ok(command)
}

/// Ends the holder; what is left of the namespaces then ends with the processes in them.
///
/// # Errors
/// If it cannot be killed.
pub fn release(cluster: &Cluster) -> Result<()> {
    let Some(holder) = cluster.netns.and_then(|netns| netns.holder) else { return Ok(()) };
    // It has nothing to clean up.
    holder.signal(rustix::process::Signal::KILL)?;
    if !holder.wait_gone(std::time::Duration::from_secs(30))? {
        bail!("the holder of the namespaces, process {}, does not die", holder.pid);
    }
    Ok(())
}

fn change(cluster: &mut Cluster, change: impl FnOnce(&mut Namespaces)) {
    change(cluster.netns.as_mut().expect("whoever calls this has looked"));
}

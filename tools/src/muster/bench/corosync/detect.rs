//! The workload `detect` on Corosync: how soon the others have a group without a node that died.
//!
//! A ring is made for each round, because one that has lost a daemon does not become whole again
//! without being disturbed once more. A client on every node tells of each configuration of the group
//! that it is given; then the highest daemon is killed.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::super::super::process::Process;
use super::super::super::wait;
use super::super::bus::Bus;
use super::super::changes::Times;
use super::super::client::say;
use super::super::client_process::Client;
use super::{Ring, Settings, connect};

/// What a client tells.
#[derive(Debug, Deserialize, Serialize)]
struct Changed {
    members: usize,
    /// Monotonic time in nanoseconds.
    at_ns: u64,
}

/// How long it may take: default settings need seconds, and more with each node.
const PATIENCE: Duration = Duration::from_secs(120);

/// The client: tells of every change until it ends.
///
/// # Errors
/// If the connection ends.
pub(in super::super) fn watch(daemon: Process, members: u8) -> Result<()> {
    let mut group = connect(daemon, members)?;
    say(&group.wait_everybody()?)?;
    loop {
        let members = group.wait_change()?;
        say(&Changed { members, at_ns: wait::now().as_nanos() })?;
    }
}

/// One round on a ring of its own.
///
/// # Errors
/// If the ring does not form, or is not that of the survivors in time.
pub(in super::super) fn measure(nodes: u8, settings: &Settings) -> Result<Times> {
    let ring = Ring::up(nodes, settings)?;
    let mut clients = Vec::new();
    for node in 0..nodes {
        let mut command = ring.client(node);
        command.arg("--watch");
        if node == nodes - 1 {
            // It ends with its daemon, and would say so.
            command.stderr(Stdio::null());
        }
        clients.push(Client::start(command, node)?);
    }
    clients.iter_mut().try_for_each(|client| client.expect_ready(nodes))?;
    let victim = ring.daemons().last().context("a ring has nodes")?;
    let start = wait::now();
    ensure!(victim.signal(Signal::KILL)?, "the corosync of node {} ended", nodes - 1);
    let survivors = clients.len() - 1;
    let mut last = 0;
    for client in &mut clients[..survivors] {
        loop {
            let changed: Changed = client.hear(PATIENCE)?;
            if changed.members == survivors {
                last = last.max(changed.at_ns);
                break;
            }
        }
    }
    let view = Duration::from_nanos(last.saturating_sub(start.as_nanos()));
    Ok(Times { view, change: None })
}

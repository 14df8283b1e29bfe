//! Corosync beside us: its daemons on a network of the same kind, and its clients.
//!
//! `config` has the settings that are tried, `room` is where a daemon runs, `cpg` the calls of its
//! client library and `bus` what a client makes of them; `detect` kills a daemon. Nothing is installed, and nothing is left.

mod bus;
mod config;
mod cpg;
pub(super) mod detect;
pub mod room;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::super::netns::system;
use super::super::process::{Process, State};
use super::super::wait;
use super::wires::Wires;
use bus::Group;
pub(super) use config::{CANDIDATES, DETECTORS, Settings};

/// Corosync's daemons, one per node; gone when it is dropped, and with the thread that made it.
#[derive(Debug)]
pub(super) struct Ring {
    daemons: Vec<Process>,
    // Dropped after the daemons.
    wires: Wires,
}

/// A daemon was there, and is no more.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the corosync of node {0} ended")]
struct Ended(u8);

/// What it takes to find each other on a bad day: knet's links are up after seconds, and each
/// further node adds to the time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Daemons that start together can end at once, mostly over multicast: "totemsrp.c: orf_token_rtr:
/// Assertion `range < QUEUE_RTR_ITEMS_SIZE_MAX' failed" while their rings merge.
const TRIES: u32 = 10;

impl Ring {
    /// Starts a daemon per node and waits until they are one ring.
    ///
    /// # Errors
    /// If a part of Corosync is not installed, with the name of its package; if there are no
    /// namespaces; if the ring does not form: with the end of the logs.
    pub(super) fn up(nodes: u8, settings: &Settings) -> Result<Self> {
        let program = installed()?;
        for _ in 1..TRIES {
            let ring = Self::start(nodes, settings, &program)?;
            match ring.wait_formed() {
                Ok(()) => return Ok(ring),
                Err(error) if error.is::<Ended>() => {}
                Err(error) => return Err(error.context(ring.logs(settings))),
            }
        }
        let ring = Self::start(nodes, settings, &program)?;
        match ring.wait_formed() {
            Ok(()) => Ok(ring),
            Err(error) => Err(error.context(ring.logs(settings))),
        }
    }

    fn start(nodes: u8, settings: &Settings, program: &Path) -> Result<Self> {
        let wires = Wires::up(nodes, config::MTU)?;
        let mut ring = Self { daemons: Vec::new(), wires };
        let cluster = ring.wires.cluster();
        let addresses: Vec<_> = cluster.ids().map(|id| cluster.address(id, 0)).collect();
        let path = ring.wires.folder().join("corosync.conf");
        fs::write(&path, settings.text(&addresses, room::STATE_DIR))
            .with_context(|| format!("cannot write {}", path.display()))?;
        for id in ring.wires.cluster().ids() {
            let log = File::create(ring.log(id)).context("cannot make a log file")?;
            let mut command = Command::new(ring.wires.binaries().path("muster"));
            command.arg("bench-corosync").arg("--parent").arg(std::process::id().to_string());
            command.arg("--place").arg(ring.wires.place(id)?.to_string());
            command.arg("--config").arg(&path).arg("--program").arg(program);
            command.current_dir("/").stdin(Stdio::null());
            command.stdout(log.try_clone()?).stderr(log);
            let child = command.spawn().context("cannot start corosync")?;
            let daemon = Process::of(child.id()).context("corosync ended at once")?;
            ring.daemons.push(daemon);
        }
        Ok(ring)
    }

    /// The daemons, by node.
    pub(super) fn daemons(&self) -> &[Process] {
        &self.daemons
    }

    /// A client of a node.
    pub(super) fn client(&self, node: u8) -> Command {
        let Process { pid, start } = self.daemons[usize::from(node)];
        let mut command = Command::new(self.wires.binaries().path("muster"));
        command.arg("bench-client").arg("--corosync").arg(format!("{pid}:{start}"));
        command.arg("--members").arg(self.daemons.len().to_string()).current_dir("/");
        command
    }

    fn log(&self, node: u8) -> PathBuf {
        self.wires.folder().join(format!("corosync-{node}.log"))
    }

    fn wait_formed(&self) -> Result<()> {
        let all = self.daemons.len();
        wait::until(&format!("{all} corosyncs are one ring"), PATIENCE, || {
            for (id, daemon) in (0..).zip(&self.daemons) {
                if daemon.state() == State::Gone {
                    return Err(Ended(id).into());
                }
            }
            let formed = |id| {
                let log = fs::read_to_string(self.log(id)).unwrap_or_default();
                members(&log) == Some(all)
            };
            Ok(self.wires.cluster().ids().all(formed).then_some(()))
        })
    }

    /// Last lines of all logs.
    fn logs(&self, settings: &Settings) -> String {
        let mut text = format!("corosync ({}):\n", settings.name);
        for id in self.wires.cluster().ids() {
            let log = fs::read_to_string(self.log(id)).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(8)..].join("\n");
            text.push_str(&format!("--- node {id}\n{tail}\n"));
        }
        text
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // They have nothing to clean up: all of it is in their namespaces.
        for daemon in &self.daemons {
            let _ = daemon.signal(Signal::KILL);
        }
        for daemon in &self.daemons {
            if !daemon.wait_gone(Duration::from_secs(30)).unwrap_or(false) {
                eprintln!("muster: corosync, process {}, does not die", daemon.pid);
            }
        }
    }
}

/// The client of the bench on the node of this daemon, when `members` are expected.
pub(super) fn connect(daemon: Process, members: u8) -> Result<Group> {
    Group::join(daemon, members)
}

/// The daemon's program, if all is there that is needed.
fn installed() -> Result<PathBuf> {
    let program = system::find("corosync").context(
        "--peer corosync needs corosync (Debian: apt-get install corosync): not on the PATH, nor \
         in /usr/sbin or /sbin",
    )?;
    cpg::Calls::load()?;
    Ok(program)
}

/// Nodes in the last membership of a log, once it is complete.
fn members(log: &str) -> Option<usize> {
    let (_, rest) = log.rsplit_once("Sync members[")?;
    let count = rest.split_once(']')?.0.parse().ok();
    rest.contains("Completed service synchronization").then_some(count).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_membership_of_a_log_counts() {
        assert_eq!(members("notice  [TOTEM ] Initializing transport (UDP/IP Unicast).\n"), None);
        let log = "notice  [QUORUM] Sync members[1]: 1\n\
                   notice  [MAIN  ] Completed service synchronization, ready to provide service.\n\
                   notice  [QUORUM] Sync members[12]: 1 2 3 4 5 6 7 8 9 10 11 12\n\
                   notice  [QUORUM] Sync joined[11]: 2 3 4 5 6 7 8 9 10 11 12\n";
        assert_eq!(members(log), None);
        let log = format!("{log}notice  [MAIN  ] Completed service synchronization, ready\n");
        assert_eq!(members(&log), Some(12));
    }
}

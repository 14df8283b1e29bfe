//! What the tests with real processes share.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use gab::PortName;
use tools::muster::cluster::TimerProfile;
use tools::muster::control;
use tools::muster::temporary::Temporary;
use tools::muster::testbed::UpOptions;

/// No state may take longer, however busy the machine is.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Clusters that run at the same time: most of a test is waiting for timers.
const AT_ONCE: usize = 3;

static RUNNING: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// Room for a cluster.
pub(crate) struct Room(usize);

impl Drop for Room {
    fn drop(&mut self) {
        let (running, changed) = &RUNNING;
        *running.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        changed.notify_all();
    }
}

fn room(wanted: usize) -> Room {
    let (running, changed) = &RUNNING;
    let full = |running: &mut usize| *running + wanted > AT_ONCE;
    let running = running.lock().unwrap_or_else(PoisonError::into_inner);
    let running = changed.wait_while(running, full);
    *running.unwrap_or_else(PoisonError::into_inner) += wanted;
    Room(wanted)
}

/// A small cluster that mostly waits: others may run beside it.
pub(crate) fn beside_another() -> Room {
    room(1)
}

/// A cluster that needs both cores: nothing else runs.
pub(crate) fn alone() -> Room {
    room(AT_ONCE)
}

/// Three nodes with two links. Its timers bear that the machine does something else for a second.
pub(crate) fn three_nodes() -> Temporary {
    Temporary::up(&options()).unwrap_or_else(|error| panic!("{error:#}"))
}

pub(crate) fn options() -> UpOptions {
    UpOptions { timers: TimerProfile::Patient, ..UpOptions::default() }
}

pub(crate) fn roots(cluster: &Temporary) -> BTreeMap<u8, PathBuf> {
    cluster.cluster.ids().map(|id| (id, cluster.cluster.root(id))).collect()
}

pub(crate) fn port(letter: char) -> PortName {
    PortName::new(letter).unwrap()
}

pub(crate) fn sequencer(cluster: &Temporary) -> u8 {
    control::snapshot(&cluster.cluster, 0).unwrap().gab.sequencer.expect("the cluster has formed")
}

pub(crate) fn incarnation(cluster: &Temporary, node: u8) -> u64 {
    control::snapshot(&cluster.cluster, node).unwrap().llt.incarnation
}

/// `muster --dir DIR WORDS`, which builds nothing.
pub(crate) fn muster(cluster: &Temporary, words: &[&str]) -> Command {
    let mut command = Command::new(cluster.binaries.path("muster"));
    command.env("MUSTER_NO_BUILD", "1").arg("--dir").arg(&cluster.cluster.dir).args(words);
    command
}

/// What a command that succeeded printed.
#[track_caller]
pub(crate) fn text(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The number in this variable, for runs by hand that are larger than those of every day.
pub(crate) fn size(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Err(_) => default,
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")),
    }
}

/// Programs that a test needs and that others wrote. In CI they have to be there.
pub(crate) fn are_missing(programs: &[&str]) -> bool {
    let missing = |program: &&&str| Command::new(program).arg("--version").output().is_err();
    let missing: Vec<_> = programs.iter().filter(missing).collect();
    if !missing.is_empty() {
        assert!(std::env::var_os("CI").is_none(), "CI must have {missing:?}");
        println!("skipped: {missing:?} are not installed");
    }
    !missing.is_empty()
}

/// A command line of a node, which has to succeed: what it printed.
#[track_caller]
pub(crate) fn run(cluster: &Temporary, node: u8, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let output = tools::muster::programs::run(cluster, node, &words, "");
    output.unwrap_or_else(|error| panic!("{error:#}"))
}

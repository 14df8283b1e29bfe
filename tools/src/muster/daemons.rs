//! Starting gabd for a node, and ending it.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, getppid, set_parent_process_death_signal, setpgid, setsid};

use super::binaries::Binaries;
use super::cluster::Cluster;
use super::netns::place::{At, Place};
use super::process::{Process, State};

/// Starts the gabd of a node.
///
/// # Errors
/// If it runs already or cannot be started.
pub fn start(cluster: &mut Cluster, node: u8, binaries: &Binaries) -> Result<()> {
    if cluster.node(node).state() != State::Gone {
        bail!("{}: gabd runs already", cluster.node(node).name);
    }
    let process = spawn(cluster, node, binaries, "gabd", &["--testbed"])?;
    cluster.node_mut(node).gabd = process;
    Ok(())
}

/// Starts a daemon of a node, in a session of its own, with its output in `var/log/NAME.out`.
///
/// # Errors
/// If it cannot be started.
pub(super) fn spawn(
    cluster: &Cluster,
    node: u8,
    binaries: &Binaries,
    daemon: &str,
    arguments: &[&str],
) -> Result<Option<Process>> {
    let root = cluster.root(node);
    let path = root.join(format!("var/log/{daemon}.out"));
    let output = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    let place = cluster.netns.map(|netns| netns.place(At::Node(node))).transpose()?;
    let mut command = detached(cluster, binaries, place);
    command.arg(binaries.path(daemon)).args(arguments).arg("--root").arg(&root);
    command.env_remove("MUSTER_ROOT").current_dir(&root);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let child = command.spawn().with_context(|| format!("cannot start {daemon}"))?;
    Ok(Process::of(child.id()))
}

/// The beginning of a command line: what is appended to it runs in a session of its own, in
/// `place` if there is one, and no longer than this thread if the cluster is attached.
pub(super) fn detached(cluster: &Cluster, binaries: &Binaries, place: Option<Place>) -> Command {
    let mut command = Command::new(binaries.path("muster"));
    command.arg("detach");
    if cluster.attached {
        command.arg("--parent").arg(std::process::id().to_string());
    }
    if let Some(place) = place {
        command.arg("--place").arg(place.to_string());
    }
    command.arg("--");
    command
}

/// `muster detach`: leaves the caller's session, or only its process group if it has a `parent`, goes
/// to `place` and becomes `command`.
///
/// A signal of the terminal then does not reach the daemon, and no code has to run between fork
/// and exec. With `parent`, the daemon dies with the thread that started it, however that ends.
///
/// # Errors
/// Returns only if that fails.
pub fn detach(parent: Option<i32>, place: Option<Place>, command: &[OsString]) -> Result<()> {
    // Who lives no longer than its parent stays in its session: where the system shares the
    // processors among sessions, what works together is to be in one.
    match parent {
        Some(_) => setpgid(None, None).context("cannot leave the process group")?,
        None => drop(setsid().context("cannot leave the session")?),
    }
    if let Some(place) = place {
        place.enter()?;
    }
    // After that, for a change of credentials undoes it.
    die_with(parent)?;
    become_program(command)
}

/// From now on this process is killed when the thread of process `parent` that started it ends.
///
/// # Errors
/// If it has ended already.
pub(super) fn die_with(parent: Option<i32>) -> Result<()> {
    let Some(parent) = parent else { return Ok(()) };
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before the line above.
    if getppid().is_none_or(|pid| pid.as_raw_nonzero().get() != parent) {
        bail!("process {parent} is gone");
    }
    Ok(())
}

/// Becomes another program.
///
/// # Errors
/// Returns only if that fails.
pub fn become_program(command: &[OsString]) -> Result<()> {
    let (program, arguments) = command.split_first().context("no command to run")?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run {}", Path::new(program).display()))
}

/// Kills the gabd of a node as kill -9 does and waits until it is gone; false if it did not run.
///
/// # Errors
/// If it cannot be signalled.
pub fn kill(cluster: &Cluster, node: u8) -> Result<bool> {
    let Some(process) = cluster.node(node).gabd else { return Ok(false) };
    let ran = process.signal(Signal::KILL)?;
    if !process.wait_gone(Duration::from_secs(30))? {
        bail!("{}: gabd {} does not die", cluster.node(node).name, process.pid);
    }
    Ok(ran)
}

/// Asks the gabds of `nodes` to end, waits `grace` for all of them together, then kills those that
/// remain; gives the nodes whose gabd had to be killed.
///
/// # Errors
/// If one can neither be ended nor killed.
pub fn stop(cluster: &Cluster, nodes: &[u8], grace: Duration) -> Result<Vec<u8>> {
    let end = super::wait::now() + grace;
    for process in nodes.iter().filter_map(|node| cluster.node(*node).gabd) {
        process.signal(Signal::TERM)?;
        // One that is paused could not even listen.
        process.signal(Signal::CONT)?;
    }
    let mut killed = Vec::new();
    for node in nodes {
        let Some(process) = cluster.node(*node).gabd else { continue };
        if !process.wait_gone(end.since(super::wait::now()))? {
            kill(cluster, *node)?;
            killed.push(*node);
        }
    }
    Ok(killed)
}

/// The last lines of what a node's daemons wrote, for error messages.
pub fn log_tail(cluster: &Cluster, node: u8, lines: usize) -> String {
    let folder = cluster.root(node).join("var/log");
    let mut paths: Vec<_> =
        fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut text = String::new();
    for path in paths {
        let tail = tail(&path, lines);
        if !tail.is_empty() {
            text.push_str(&format!("--- {}\n{tail}", path.display()));
        }
    }
    text
}

fn tail(path: &Path, lines: usize) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(16 << 10)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| format!("{line}\n")).collect()
}

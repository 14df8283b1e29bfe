//! vxconfigd: the user level of a node as a process.

mod disks;
mod host;
mod reactor;
mod snapshot;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use rustix::process::{Pid, Signal, kill_process};

use crate::client::socket_path;
use crate::daemon::{Lock, install_log, listen, root_of};

/// Keeps the configuration of disk groups and carries out what utilities ask.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "vxconfigd",
    version,
    max_term_width = 100,
    after_help = "\
Files, below the root: run/vxconfigd.sock (for utilities), run/vxconfigd.pid, var/log/vxconfigd.log,
etc/default/vxdg (default_activation_mode); dev/vx/dmp holds the disks.

Killing and starting it again disturbs no volume: vxiod keeps the tables in force.

Environment: MUSTER_ROOT is the default of --root; MUSTER_LOG is a filter of the log."
)]
pub struct Args {
    /// Folder that holds etc, run, var and dev of this node; else that of MUSTER_ROOT, else /
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// End one that runs already first
    #[arg(short = 'k')]
    kill: bool,
    /// Stay in the foreground; it always does
    #[arg(short = 'f')]
    foreground: bool,
}

/// Runs vxconfigd until it is told to end.
pub fn run() -> ExitCode {
    let args = Args::parse();
    let root = root_of(args.root);
    let started = || {
        if args.kill {
            end_other(&root)?;
        }
        let lock = Lock::acquire(&root, "vxconfigd")?;
        install_log(&root, "vxconfigd")?;
        let listener = listen(&socket_path(&root))?;
        let reactor = reactor::Reactor::new(root.clone(), listener)?;
        anyhow::Ok((lock, reactor))
    };
    let ended = started().and_then(|(_lock, mut reactor)| reactor.run());
    if let Err(error) = ended {
        eprintln!("VxVM vxconfigd ERROR {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Ends the vxconfigd of this root, if there is one.
fn end_other(root: &Path) -> Result<()> {
    let path = root.join("run/vxconfigd.pid");
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(()) };
    if Lock::acquire(root, "vxconfigd").is_ok() {
        // Nobody holds it: a dead one left the file.
        return Ok(());
    }
    let pid = text.trim().parse().ok().and_then(Pid::from_raw);
    let pid = pid.with_context(|| format!("{} holds no process id", path.display()))?;
    kill_process(pid, Signal::KILL).with_context(|| format!("cannot kill process {text}"))?;
    for _ in 0..100 {
        if Lock::acquire(root, "vxconfigd").is_ok() {
            return Ok(());
        }
        crate::daemon::wait(&mut [], crate::daemon::now(), Some(crate::daemon::now() + TRY));
    }
    bail!("process {} does not end", text.trim())
}

/// Between two looks whether the other one is gone.
const TRY: llt::Duration = llt::Duration::from_millis(50);

//! vxiod: the kernel half of a node as a process.

mod disks;
mod reactor;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::daemon::{Lock, install_log, listen, root_of};

/// Holds the tables of imported disk groups, carries transactions out, and does the I/O of volumes
#[derive(Clone, Debug, Parser)]
#[command(
    name = "vxiod",
    version,
    max_term_width = 100,
    after_help = "\
Files, below the root: run/vxiod.sock (for vxconfigd), run/vxiod.pid, var/log/vxiod.log;
dev/vx/dmp holds the disks: files, block devices, or links to them.

Environment: MUSTER_ROOT is the default of --root; MUSTER_LOG is a filter of the log.

Ending vxiod is leaving the cluster uncleanly: `vxclustadm stopnode` first."
)]
pub struct Args {
    /// Folder that holds etc, run, var and dev of this node; else that of MUSTER_ROOT, else /
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Args::command()
}

/// Runs vxiod until it is told to end.
pub fn run() -> ExitCode {
    let args = Args::parse();
    let root = root_of(args.root);
    let started = || {
        let lock = Lock::acquire(&root, "vxiod")?;
        install_log(&root, "vxiod")?;
        let listener = listen(&root.join("run/vxiod.sock"))?;
        let reactor = reactor::Reactor::new(root.clone(), listener)?;
        anyhow::Ok((lock, reactor))
    };
    let ended = started().and_then(|(_lock, mut reactor)| reactor.run());
    if let Err(error) = ended {
        eprintln!("VxVM vxiod ERROR {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

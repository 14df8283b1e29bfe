//! vxiod: the kernel half of a node as a process.

mod asks;
mod disks;
mod door;
mod names;
mod plane;
mod reactor;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory, Parser};

use crate::daemon::{Lock, end_with_any_thread, install_log, listen, root_of};

/// Holds the tables of imported disk groups, carries transactions out, and does the I/O of volumes
#[derive(Clone, Debug, Parser)]
#[command(
    name = "vxiod",
    version,
    max_term_width = 100,
    after_help = "\
Files, below the root: run/vxiod.sock (for vxconfigd), run/nbd.sock (for clients of volumes, by the
NBD protocol; the name of an export is GROUP/VOLUME), run/vxiod.pid, var/log/vxiod.log; dev/vx/dmp holds the disks: files, block devices, or links to them.

Environment: MUSTER_ROOT is the default of --root; MUSTER_LOG is a filter of the log.

Ending vxiod is leaving the cluster uncleanly: `vxclustadm stopnode` first."
)]
pub struct Args {
    /// Folder that holds etc, run, var and dev of this node; else that of MUSTER_ROOT, else /
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Serve volumes over TCP, too, to whoever connects: there is no TLS
    #[arg(long, value_name = "ADDRESS:PORT")]
    nbd: Option<SocketAddr>,
    /// A disk that has not answered for so long counts as failed until it has; 0: it is waited for
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    io_timeout: u64,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Args::command()
}

/// Runs vxiod until it is told to end.
pub fn run() -> ExitCode {
    end_with_any_thread();
    let args = Args::parse();
    let root = root_of(args.root);
    let io_timeout = Some(Duration::from_secs(args.io_timeout)).filter(|time| !time.is_zero());
    let started = || {
        install_log(&root, "vxiod")?;
        let socket = root.join("run/vxiod.sock");
        let lock = Arc::new(Lock::acquire_when_over(&root, "vxiod")?);
        reactor::Reactor::new(root.clone(), listen(&socket)?, args.nbd, io_timeout, lock)
    };
    let ended = started().and_then(|mut reactor| reactor.run());
    if let Err(error) = ended {
        eprintln!("VxVM vxiod ERROR {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

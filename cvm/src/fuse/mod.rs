//! vxfused: the volumes of a node as files, `dev/vx/dsk/GROUP/VOLUME` and `dev/vx/rdsk/GROUP/VOLUME`.
//!
//! It is a client of vxiod's NBD server like any other: who may open what is decided there, and an
//! open file is a connection. What it adds is the tree, and offsets that are no multiples of a block.
//!
//! | file | what |
//! |---|---|
//! | `volume.rs` | what is needed of volumes, wherever they are |
//! | `nbd/` | those behind an NBD server |
//! | `ranges.rs` | which writes wait for others |
//! | `file.rs` | an open file: any bytes, in blocks |
//! | `inodes.rs`, `tree.rs` | names, numbers, attributes, open files |
//! | `workers.rs` | threads for what may take long |
//! | `filesystem.rs` | the kernel's requests |
//! | `mount.rs`, `serve.rs` | mount points, and the life of the process |
//!
//! ```text
//! kernel -- /dev/fuse --> Served --+--> worker ----> Volumes::{list, info, open}  one connection each
//!    ^                   (threads  |
//!    |                  of fuser)  +--> OpenFile --> Volume::{read, write, ..} --> socket --> vxiod
//!    |                                   Ranges                                               |
//!    +----------------------------------------------- thread of the connection <-- socket <---+
//! ```
//!
//! There are two mounts, `dsk` and `rdsk`: `dev/vx` itself has the node's disks in it, `dmp`.

mod file;
mod filesystem;
mod inodes;
mod mount;
pub mod nbd;
mod ranges;
mod serve;
mod tree;
pub mod volume;
mod workers;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use self::serve::Serve;
use crate::daemon::{Lock, install_log, root_of};

/// Shows the volumes of a node as files
#[derive(Clone, Debug, Parser)]
#[command(
    name = "vxfused",
    version,
    max_term_width = 100,
    after_help = "\
Mounts two trees of the same volumes, GROUP/VOLUME below dsk and rdsk. Files below dsk take any
offset and length, through the page cache, which an open empties; those below rdsk go past it and
take multiples of 512. They do not see each other's writes before the next open.

Who may open a volume is what vxiod says: `vxdg -g GROUP set activation=MODE` comes first. A file
that is open keeps its volume open. When vxiod ends, open files fail with an input/output error for
good; files that are opened later work as soon as it is back.

SIGTERM and SIGINT unmount and end it. Where files are open the trees go out of sight, and vxfused
ends when the last is closed, or at a second signal.

Files, below the root: run/nbd.sock (of vxiod), run/vxfused.pid, var/log/vxfused.log.

Exit codes: 0 ended in order, 1 failed, 2 usage.

Environment: MUSTER_ROOT is the default of --root; MUSTER_LOG is a filter of the log."
)]
pub struct Args {
    /// Folder that holds etc, run, var and dev of this node; else that of MUSTER_ROOT, else /
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Folder that dsk and rdsk are made and mounted in; else dev/vx below the root
    #[arg(long, value_name = "DIR")]
    mount: Option<PathBuf>,
    /// Let other users see the trees; what they may open is still root's
    #[arg(long)]
    allow_other: bool,
    /// Stay in the foreground, as it does anyway
    #[arg(long)]
    foreground: bool,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Args::command()
}

/// Runs vxfused until it is told to end, or both trees are unmounted.
pub fn run() -> ExitCode {
    let args = Args::parse();
    let root = root_of(args.root);
    let folder = args.mount.unwrap_or_else(|| root.join("dev/vx"));
    let started = || {
        let lock = Lock::acquire(&root, "vxfused")?;
        install_log(&root, "vxfused")?;
        let serve = Serve::start(&root.join("run/nbd.sock"), &folder, args.allow_other)?;
        anyhow::Ok((lock, serve))
    };
    let ended = started().and_then(|(_lock, serve)| serve.run());
    if let Err(error) = ended {
        // There may be nobody to hear it.
        let _ = writeln!(std::io::stderr(), "VxVM vxfused ERROR {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

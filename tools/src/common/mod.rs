//! What the commands share: exit codes, output, options that this version does not have.

mod failure;
pub mod node;
mod not_yet;
pub mod output;
pub mod time;

pub use failure::{Failure, exit};
pub use not_yet::NotYet;

use std::path::{Path, PathBuf};

use clap::Args;
use gab::admin::AdminRequest;
use gab::client::{Admin, default_root};
use gab::snapshot::Snapshot;

/// Adds `--version`, without the `-V` that the originals use for something else.
pub fn with_version(command: clap::Command) -> clap::Command {
    let version = clap::Arg::new("version").long("version").help("Print version");
    command.disable_version_flag(true).arg(version.action(clap::ArgAction::Version))
}

/// `--root`, which every command has.
#[derive(Args, Clone, Debug)]
pub struct Root {
    /// Folder below which the node's etc, run and var lie; else that of MUSTER_ROOT, else /
    #[arg(
        long = "root",
        value_name = "DIR",
        default_value_os_t = default_root(),
        global = true,
        hide_default_value = true
    )]
    path: PathBuf,
}

impl Root {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A connection to the node's gabd.
    pub fn admin(&self) -> Result<Admin, Failure> {
        Ok(Admin::connect(&self.path)?)
    }

    /// The state of the node's gabd.
    pub fn snapshot(&self) -> Result<Snapshot, Failure> {
        Ok(self.admin()?.request(&AdminRequest::Snapshot)?)
    }
}

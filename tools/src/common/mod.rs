//! What the commands share: exit codes, output, options that this version does not have.

mod failure;
mod not_yet;
pub mod output;

pub use failure::{Failure, exit};
pub use not_yet::NotYet;

use std::path::{Path, PathBuf};

use clap::Args;
use gab::admin::AdminRequest;
use gab::client::Admin;
use gab::snapshot::Snapshot;

/// `--root`, which every command has.
#[derive(Args, Clone, Debug)]
pub struct Root {
    /// Folder below which the node's etc, run and var lie
    #[arg(
        long = "root",
        value_name = "DIR",
        env = "MUSTER_ROOT",
        default_value = "/",
        global = true
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

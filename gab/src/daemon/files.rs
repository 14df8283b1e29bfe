//! Where everything lies below the root.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The files of one node.
#[derive(Clone, Debug)]
pub(super) struct Files {
    root: PathBuf,
}

impl Files {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn llttab(&self) -> PathBuf {
        self.root.join("etc/llttab")
    }

    pub(super) fn llthosts(&self) -> PathBuf {
        self.root.join("etc/llthosts")
    }

    pub(super) fn gabtab(&self) -> PathBuf {
        self.root.join("etc/gabtab")
    }

    pub(super) fn keys(&self) -> PathBuf {
        self.root.join("etc/muster.key")
    }

    pub(super) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.run().join("gab.sock")
    }

    pub(super) fn lease(&self) -> PathBuf {
        self.root.join(crate::lease::FILE)
    }

    /// Where the metrics are.
    pub(super) fn metrics(&self) -> PathBuf {
        self.run().join("metrics.sock")
    }

    pub(super) fn pid(&self) -> PathBuf {
        self.run().join("gabd.pid")
    }

    /// Why the last gabd halted this node; gone when the next one starts.
    pub(super) fn halted(&self) -> PathBuf {
        self.run().join("gabd.halted")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.root.join("var/log/gabd.log")
    }

    pub(super) fn incarnation(&self) -> PathBuf {
        self.root.join("var/incarnation")
    }

    /// `run` must be there; without `var/log` gabd runs, but says nothing on disk.
    pub(super) fn make_folders(&self) -> anyhow::Result<()> {
        let run = self.run();
        fs::create_dir_all(&run).with_context(|| format!("cannot make {}", run.display()))?;
        if let Some(folder) = self.log().parent()
            && let Err(error) = fs::create_dir_all(folder)
        {
            eprintln!("gabd: cannot make {}: {error}", folder.display());
        }
        Ok(())
    }
}

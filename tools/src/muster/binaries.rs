//! Where gabd and the commands are, and how they come to be there.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::wait;

/// The folder with gabd, muster and the commands.
#[derive(Clone, Debug)]
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// Finds them beside this executable, and builds them first if cargo started it.
    ///
    /// `cargo run --bin muster` builds muster alone, and `cargo test` builds no program of another
    /// package: without this, a fresh clone would find no gabd, or worse, an old one. Whoever
    /// installed muster has no `CARGO` in the environment and gets what lies beside it.
    ///
    /// # Errors
    /// If the build fails (its output is shown) or gabd is not there.
    pub fn locate() -> Result<Self> {
        static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let found = FOUND.get_or_init(|| find().map_err(|error| format!("{error:#}")));
        match found {
            Ok(folder) => Ok(Self { folder: folder.clone() }),
            Err(error) => bail!("{error}"),
        }
    }

    /// Path of one of them.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The PATH for commands that run on a node: ours first.
    ///
    /// # Errors
    /// If the folder's name contains a colon, PATH cannot hold it.
    pub fn search_path(&self) -> Result<OsString> {
        let rest = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.folder.clone()).chain(std::env::split_paths(&rest));
        std::env::join_paths(folders).context("the commands' folder does not fit into PATH")
    }
}

fn find() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this executable")?;
    let mut folder = own.parent().context("this executable lies in no folder")?;
    // Test programs lie one folder below the others.
    let mut what = PROGRAMS;
    if folder.ends_with("deps") {
        folder = folder.parent().context("deps lies in no folder")?;
        what = FOR_TESTS;
    }
    if let Some(build) = Build::from_cargo(folder, what) {
        build.run()?;
    }
    for name in ["gabd", "muster"] {
        if !folder.join(name).is_file() {
            bail!("{name} is not beside {}: build or install it there", own.display());
        }
    }
    Ok(folder.to_owned())
}

/// A nested `cargo build` with the same profile and target as this executable.
struct Build {
    cargo: OsString,
    workspace: PathBuf,
    what: &'static [&'static str],
    target_dir: PathBuf,
    triple: Option<OsString>,
    profile: OsString,
}

/// What `cargo run --bin muster` needs: the programs as they are shipped.
const PROGRAMS: &[&str] = &["-p", "gab", "-p", "cvm", "-p", "tools", "--bins"];

/// What tests need: the programs and the C library, with the features that `cargo test --workspace`
/// builds everything with, so that nothing is compiled a second time. Cargo counts what only tests
/// depend on if a test is among what it builds; this one is small.
const FOR_TESTS: &[&str] = &["--workspace", "--lib", "--bins", "--test", "source_rules"];

impl Build {
    /// `None` unless cargo started us, out of this workspace, and nobody forbids it.
    fn from_cargo(folder: &Path, what: &'static [&'static str]) -> Option<Self> {
        if std::env::var_os("MUSTER_NO_BUILD").is_some() {
            return None;
        }
        let cargo = std::env::var_os("CARGO")?;
        let manifest_dir = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR")?);
        let is_ours = |folder: &&Path| folder.join("gab/src/bin/gabd.rs").is_file();
        let workspace = manifest_dir.ancestors().find(is_ours)?.to_owned();
        // Cargo marks the root of its output; between it and us are [triple and] profile.
        let marked = |path: &Path| path.join("CACHEDIR.TAG").is_file();
        let above = folder.parent()?;
        let (target_dir, triple) = if marked(above) {
            (above, None)
        } else {
            (above.parent().filter(|path| marked(path))?, above.file_name())
        };
        let profile = match folder.file_name()? {
            name if name == "debug" => "dev".into(),
            name => name.to_owned(),
        };
        Some(Self {
            cargo,
            workspace,
            what,
            target_dir: target_dir.to_owned(),
            triple: triple.map(ToOwned::to_owned),
            profile,
        })
    }

    /// Runs it, silently if it is quick and succeeds.
    fn run(&self) -> Result<()> {
        let mut output = tempfile::tempfile().context("cannot keep the build's output")?;
        let mut command = Command::new(&self.cargo);
        command.arg("build").args(self.what);
        command.arg("--manifest-path").arg(self.workspace.join("Cargo.toml"));
        command.arg("--target-dir").arg(&self.target_dir).arg("--profile").arg(&self.profile);
        if let Some(triple) = &self.triple {
            command.arg("--target").arg(triple);
        }
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?);
        let mut child = command.spawn().context("cannot run cargo")?;
        if !ends_soon(&child)? {
            eprintln!("muster: building gabd and the commands ...");
        }
        let status = child.wait()?;
        if !status.success() {
            bail!("gabd and the commands cannot be built:\n{}", read_back(&mut output)?);
        }
        Ok(())
    }
}

/// Waits two seconds for the build; true if it is done.
fn ends_soon(child: &Child) -> Result<bool> {
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())
        .context("cannot watch the build")?;
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    Ok(wait::poll_fds(&mut fds, Duration::from_secs(2)))
}

fn read_back(output: &mut File) -> Result<String> {
    let mut text = Vec::new();
    output.rewind()?;
    output.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

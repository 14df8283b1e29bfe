//! Man pages and shell completions, from the definitions that the commands parse with.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Command, CommandFactory, Parser};
use clap_complete::Shell;

use crate::common::{Failure, exit, output};
use crate::{gabconfig, gabport, lltconfig, lltdump, lltping, lltstat, llttest, muster, vx};

/// Write the man pages and shell completions of all commands
#[derive(Debug, Parser)]
#[command(name = "muster-docs", version, after_help = EXAMPLES)]
enum Cli {
    /// Completions, in one folder per shell
    Completions {
        /// Where to; made if it is missing
        dir: PathBuf,
    },
    /// Man pages of section 1
    Man {
        /// Where to; made if it is missing
        dir: PathBuf,
    },
}

/// The definitions of all commands.
pub fn commands() -> Vec<Command> {
    vec![
        gab::daemon::command(),
        gabconfig::command(),
        gabport::command(),
        lltconfig::command(),
        lltdump::command(),
        lltping::command(),
        lltstat::command(),
        llttest::command(),
        muster::cli::Cli::command(),
        vx::vxassist::command(),
        vx::vxclustadm::command(),
        vx::vxconfigbackup::command(),
        cvm::configd::command(),
        vx::vxconfigrestore::command(),
        vx::vxdctl::command(),
        vx::vxdg::command(),
        vx::vxdisk::command(),
        vx::vxdisksetup::command(),
        vx::vxdiskunsetup::command(),
        vx::vxedit::command(),
        vx::vxevac::command(),
        cvm::fuse::command(),
        vx::vxinfo::command(),
        cvm::iod::command(),
        vx::vxmake::command(),
        vx::vxmend::command(),
        vx::vxnotify::command(),
        vx::vxplex::command(),
        vx::vxprint::command(),
        vx::vxreattach::command(),
        vx::vxrecover::command(),
        vx::vxrelocd::command(),
        vx::vxsnap::command(),
        vx::vxsplitlines::command(),
        vx::vxstat::command(),
        vx::vxtask::command(),
        vx::vxtrace::command(),
        vx::vxunreloc::command(),
        vx::vxvol::command(),
    ]
}

/// The program.
pub fn main() -> ExitCode {
    let result = match Cli::parse() {
        Cli::Completions { dir } => completions(&dir),
        Cli::Man { dir } => man(&dir),
    };
    exit("muster-docs", result)
}

fn man(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir).map_err(|error| cannot_write(dir, &error))?;
    for command in commands() {
        clap_mangen::generate_to(command, dir).map_err(|error| cannot_write(dir, &error))?;
    }
    output::print(&format!("man pages are in {}\n", dir.display()))
}

fn completions(dir: &Path) -> Result<(), Failure> {
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        let dir = dir.join(shell.to_string());
        std::fs::create_dir_all(&dir).map_err(|error| cannot_write(&dir, &error))?;
        for mut command in commands() {
            let name = command.get_name().to_owned();
            clap_complete::generate_to(shell, &mut command, name, &dir)
                .map_err(|error| cannot_write(&dir, &error))?;
        }
    }
    output::print(&format!("completions are in {}\n", dir.display()))
}

fn cannot_write(dir: &Path, error: &std::io::Error) -> Failure {
    Failure::operation(format!("cannot write to {}: {error}", dir.display()))
}

const EXAMPLES: &str = "\
Examples:
  muster-docs man target/man
  muster-docs completions target/completions";

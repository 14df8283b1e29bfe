//! `vxdiskunsetup`: takes the label off a disk (facts 4.1).

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use cvm::request::{DiskRequest, Request};

use super::operand::access;
use super::{Daemon, exit};
use crate::common::{Failure, NotYet, Root, with_version};

/// Take the label off a disk
#[derive(Debug, Parser)]
#[command(name = "vxdiskunsetup", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    /// Although the disk says that it belongs to a group, which is not imported
    #[arg(short = 'C')]
    clear: bool,
    /// Taken, and changes nothing: what is in use is refused all the same
    #[arg(short = 'f')]
    force: bool,
    /// The disk, by access name
    #[arg(value_name = "DISK")]
    disk: String,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    with_version(Cli::command())
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxdiskunsetup", NotYet::parse(&[], command()).and_then(|cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let request = request(cli)?;
    Daemon::connect(&cli.root)?.change(&request)
}

fn request(cli: &Cli) -> Result<Request, Failure> {
    let access = access(&cli.disk)?;
    Ok(Request::Disk(DiskRequest::Unsetup { access, force: cli.clear }))
}

const EXAMPLES: &str = "\
Examples:
  vxdiskunsetup disk_0
  vxdiskunsetup -C disk_0  although a group that is not imported says that it has it

A disk of a group that is imported is refused in any case: vxdg rmdisk takes it out first.

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running.";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Request> {
        let matches = command().try_get_matches_from(line.split(' ')).ok()?;
        request(&<Cli as clap::FromArgMatches>::from_arg_matches(&matches).ok()?).ok()
    }

    #[test]
    fn a_line_becomes_a_request() {
        command().debug_assert();
        let unsetup = |force| {
            Some(Request::Disk(DiskRequest::Unsetup { access: "disk_0".to_owned(), force }))
        };
        for (line, request) in [
            ("vxdiskunsetup disk_0", unsetup(false)),
            ("vxdiskunsetup -C disk_0", unsetup(true)),
            ("vxdiskunsetup -f disk_0", unsetup(false)),
            ("vxdiskunsetup -Cf disk_0", unsetup(true)),
            ("vxdiskunsetup", None),
            ("vxdiskunsetup disk_0 disk_1", None),
            ("vxdiskunsetup -i disk_0", None),
            ("vxdiskunsetup a=b", None),
            ("vxdiskunsetup ../x", None),
        ] {
            assert_eq!(read(line), request, "{line}");
        }
    }
}

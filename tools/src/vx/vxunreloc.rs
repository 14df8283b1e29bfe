//! `vxunreloc`: what hot relocation has taken from a disk goes back there (facts 2.8).

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use cvm::model::op::Op;
use cvm::model::{Group, Name};

use super::moves::{check_disk, group, one_by_one, volumes_with};
use super::{Daemon, GroupOption, exit, name, several};
use crate::common::{Failure, NotYet, Root, with_version};

/// Move back to a disk what hot relocation has taken from it
#[derive(Debug, Parser)]
#[command(name = "vxunreloc", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    #[command(flatten)]
    dg: GroupOption,
    /// Elsewhere on the disk where the old place is not free any more
    #[arg(short = 'f')]
    force: bool,
    /// To this disk instead
    #[arg(short = 'n', value_name = "TO", value_parser = name)]
    to: Option<Name>,
    /// The disk that it was on
    #[arg(value_name = "DISK", value_parser = name)]
    disk: Name,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    with_version(Cli::command())
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxunreloc", NotYet::parse(REFUSED, command()).and_then(|cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let name = cli.dg.resolve(&cli.root)?;
    let mut daemon = Daemon::connect(&cli.root)?;
    let before = group(&mut daemon, &name)?;
    let volumes = relocated_from(&before, &cli.disk);
    if volumes.is_empty() {
        // All is back; but a disk that never was does not count as that.
        check_disk(&before, &cli.disk)?;
    }
    check_disk(&before, cli.to.as_ref().unwrap_or(&cli.disk))?;
    let back = |volume: Name| {
        let (from, to, force) = (cli.disk.clone(), cli.to.clone(), cli.force);
        (volume.clone(), Op::Unrelocate { volume, from, to, force })
    };
    let changes = volumes.into_iter().map(back).collect();
    let (_, failures) = one_by_one(&mut daemon, &cli.root, &name, changes, |group| {
        relocated_from(group, &cli.disk)
    })?;
    several("vxunreloc", failures)
}

fn relocated_from(group: &Group, disk: &Name) -> Vec<Name> {
    volumes_with(group, |_, subdisk| {
        subdisk.origin.as_ref().is_some_and(|origin| origin.dm == *disk)
    })
}

/// Options of the original that are not here.
const REFUSED: &[NotYet] =
    &[NotYet::value('e', "attributes of allocation"), NotYet::value('t', "tags of tasks")];

const EXAMPLES: &str = "\
Examples:
  vxunreloc -g mydg mydg02
                       after mydg02 was replaced (vxdg repldisk) or has come back (vxreattach)
  vxunreloc -g mydg -n mydg05 mydg02
                       to mydg05, from the same offsets on
  vxunreloc -g mydg -f mydg02
                       elsewhere on mydg02 where the old place is taken

Every subdisk that was relocated knows where it was (orig_dmname and orig_dmoffset of vxprint -m). Volumes
are moved one after the other, as vxassist move does it: what goes back is copied from another plex. It
ends when all is copied; what fails for one volume is told and does not keep the others. When it is
interrupted, what is being copied goes on, and vxunreloc does the rest. If nothing is to go back there
is nothing to do.

Exit codes: 0 done, 1 failed for one at least, 2 usage, 3 vxconfigd is not running.";

#[cfg(test)]
mod tests {
    use cvm::model::Origin;

    use super::*;
    use crate::vx::vxprint::sample;

    #[test]
    fn lines_are_understood() {
        command().debug_assert();
        NotYet::recognise(REFUSED, command()).debug_assert();
        let parse = |line: &str| {
            Cli::try_parse_from(format!("vxunreloc {line}").split_whitespace())
                .map_err(|error| error.kind())
        };
        let cli = parse("-g mydg -f -n mydg05 mydg02").unwrap();
        assert!(cli.force && cli.to == name("mydg05").ok() && cli.disk.as_str() == "mydg02");
        for line in ["", "-n mydg05", "mydg01 mydg02", "-x mydg01", "a/b"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn volumes_with_something_from_a_disk_are_found() {
        let mut group = sample::facts().groups[0].group.clone();
        let from = name("mydg09").unwrap();
        assert!(relocated_from(&group, &from).is_empty());
        let subdisk = group.subdisks.get_mut("mydg01-02").unwrap();
        subdisk.origin = Some(Origin { dm: from.clone(), offset: 0 });
        assert_eq!(relocated_from(&group, &from), [name("vol1").unwrap()]);
    }
}

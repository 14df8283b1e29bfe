//! `vxevac`: moves all volumes off a disk while they are used (facts 4.1). It is `vxassist move` of each
//! of them.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use cvm::model::op::{Op, Storage};
use cvm::model::{Group, KernelState, Name};

use super::moves::{check_disk, group, one_by_one, volumes_with};
use super::{Daemon, GroupOption, exit, name, several};
use crate::common::output::print;
use crate::common::{Failure, Root};

/// Move all that lies on a disk to other disks
#[derive(Debug, Parser)]
#[command(name = "vxevac", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    #[command(flatten)]
    dg: GroupOption,
    /// Print what is done, as commands that do the same
    #[arg(short = 'v')]
    verbose: bool,
    /// The disk that is left, by its name in the group
    #[arg(value_name = "FROM", value_parser = name)]
    from: Name,
    /// Disks that it goes to; any that volumes are put on if none is named
    #[arg(value_name = "TO", value_parser = name)]
    to: Vec<Name>,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxevac", run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    if cli.to.contains(&cli.from) {
        return Err(Failure::Usage(format!("{} is left: it is no disk to go to", cli.from)));
    }
    let name = cli.dg.resolve(&cli.root)?;
    let mut daemon = Daemon::connect(&cli.root)?;
    let before = group(&mut daemon, &name)?;
    for disk in std::iter::once(&cli.from).chain(&cli.to) {
        check_disk(&before, disk)?;
    }
    let volumes = on_disk(&before, &cli.from);
    if cli.verbose {
        print(&volumes.iter().map(|volume| text(cli, &name, volume)).collect::<String>())?;
    }
    let changes = volumes.into_iter().map(|volume| (volume.clone(), leave(cli, volume)));
    let changes = changes.collect();
    let (failed, mut failures) =
        one_by_one(&mut daemon, &cli.root, &name, changes, |group| on_disk(group, &cli.from))?;
    failures.extend(left(&group(&mut daemon, &name)?, &cli.from, &failed));
    several("vxevac", failures)
}

fn on_disk(group: &Group, disk: &Name) -> Vec<Name> {
    volumes_with(group, |_, subdisk| subdisk.source.disk() == Some(disk))
}

fn leave(cli: &Cli, volume: Name) -> Op {
    let word = |disk: &Name, excluded| Storage { disk: disk.clone(), excluded, offset: None };
    let to = cli.to.iter().map(|disk| word(disk, false));
    let storage = std::iter::once(word(&cli.from, true)).chain(to).collect();
    Op::Move { volume, storage }
}

/// The command that does the same.
fn text(cli: &Cli, group: &Name, volume: &Name) -> String {
    let to: String = cli.to.iter().map(|disk| format!(" {disk}")).collect();
    format!("vxassist -g {group} move {volume} '!{}'{to}\n", cli.from)
}

/// What lies there still, and was not told before.
fn left(group: &Group, disk: &Name, failed: &BTreeSet<Name>) -> Vec<Failure> {
    let mut failures = Vec::new();
    for volume in on_disk(group, disk).iter().filter(|volume| !failed.contains(*volume)) {
        let is_on = group.volumes.get(volume).is_some_and(|v| v.kernel == KernelState::Enabled);
        let why = if is_on {
            "has come to lie there meanwhile"
        } else {
            "is not started: it leaves the disk when it is, and its data are copied"
        };
        failures.push(Failure::operation(format!("Volume {volume} {why}")));
    }
    let users = group.users();
    for (name, subdisk) in &group.subdisks {
        let is_there = subdisk.source.disk() == Some(disk);
        let volume = users.get(name).and_then(|plex| users.get(plex));
        if is_there && volume.is_none() {
            let text = format!("Subdisk {name} belongs to no volume: it stays on {disk}");
            failures.push(Failure::operation(text));
        }
    }
    failures
}

const EXAMPLES: &str = "\
Examples:
  vxevac -g mydg mydg02
                       to wherever there is room
  vxevac -g mydg mydg02 mydg04 mydg05
                       to these disks

Volumes are moved one after the other, as vxassist move does it: what lies on the disk is put on disks
that no other mirror or column of the volume lies on, and copied from another plex; the volume has a
copy less meanwhile. One that has no other complete plex gets a new one, and the old one goes when
that is ACTIVE. Volumes are read and written all the time.

It ends when nothing lies on the disk any more. What fails for one volume is told and does not keep the
others. When it is interrupted, what is being copied goes on, and vxevac does the rest. Spares and
reserved disks are taken only if they are named.

Exit codes: 0 done, 1 something is on the disk still, 2 usage, 3 vxconfigd is not running.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vx::vxprint::sample;

    fn parse(line: &str) -> Result<Cli, clap::error::ErrorKind> {
        let words = format!("vxevac {line}");
        Cli::try_parse_from(words.split_whitespace()).map_err(|error| error.kind())
    }

    #[test]
    fn lines_are_understood() {
        command().debug_assert();
        let cli = parse("-g mydg -v mydg01 mydg02 mydg03").unwrap();
        let (group, volume) = (name("mydg").unwrap(), name("vol1").unwrap());
        let expected = "vxassist -g mydg move vol1 '!mydg01' mydg02 mydg03\n";
        assert_eq!(text(&cli, &group, &volume), expected);
        let Op::Move { storage, .. } = leave(&cli, volume) else { panic!("it moves") };
        let words: Vec<_> =
            storage.iter().map(|word| (word.disk.as_str(), word.excluded)).collect();
        assert_eq!(words, [("mydg01", true), ("mydg02", false), ("mydg03", false)]);
        for line in ["", "-x mydg01", "a/b", "-g mydg", "mydg01 --json"] {
            assert!(parse(line).is_err(), "{line}");
        }
        let failure = run(&parse("mydg01 mydg02 mydg01").unwrap()).unwrap_err();
        assert_eq!(failure.to_string(), "mydg01 is left: it is no disk to go to");
        assert!(matches!(failure, Failure::Usage(_)));
    }

    #[test]
    fn what_is_left_is_told() {
        let mut group = sample::facts().groups[0].group.clone();
        let disk = name("mydg01").unwrap();
        let told = |group: &Group, failed: &[&str]| {
            let failed = failed.iter().map(|text| name(text).unwrap()).collect();
            let all = left(group, &disk, &failed);
            all.iter().map(Failure::to_string).collect::<Vec<_>>()
        };
        assert_eq!(told(&group, &["vol1"]), [""; 0]);
        assert_eq!(told(&group, &[]), ["Volume vol1 has come to lie there meanwhile"]);
        let volume = group.volumes.get_mut("vol1").unwrap();
        volume.kernel = KernelState::Disabled;
        assert!(told(&group, &[])[0].starts_with("Volume vol1 is not started: it leaves"));
        group.volumes.get_mut("vol1").unwrap().plexes.retain(|plex| plex.as_str() != "vol1-01");
        let said = "Subdisk mydg01-01 belongs to no volume: it stays on mydg01";
        assert!(told(&group, &["vol1"]).contains(&said.to_owned()));
    }
}

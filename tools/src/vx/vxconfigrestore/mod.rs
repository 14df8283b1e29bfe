//! `vxconfigrestore`: makes a disk group of what `vxconfigbackup` kept (facts 4.4), in two steps, so
//! that an administrator sees what will become of it.

mod plan;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use cvm::model::text::{read_group, write_group};
use cvm::model::{Group, Name};
use cvm::request::{GroupRequest, Request};

use super::vxconfigbackup::{Backup, base};
use super::{Daemon, exit, name};
use crate::common::output::{print, print_json};
use crate::common::{Failure, Root};

/// Restore the configuration of a disk group from its backup
#[derive(Debug, Parser)]
#[command(name = "vxconfigrestore", version, after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("step").required(true).multiple(false))]
struct Cli {
    #[command(flatten)]
    root: Root,
    /// Commit: make the group
    #[arg(short = 'c', group = "step")]
    commit: bool,
    /// Decommit: forget what was precommitted
    #[arg(short = 'd', group = "step")]
    decommit: bool,
    /// Precommit, on the very disks of the backup: no other takes the place of one
    #[arg(short = 'n', group = "step")]
    no_replacement: bool,
    /// Precommit: look for the disks, and tell what the group will be
    #[arg(short = 'p', group = "step")]
    precommit: bool,
    /// Folder of backups instead of etc/vx/cbr/bk
    #[arg(short = 'l', value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Print what the group will be as JSON
    #[arg(long, conflicts_with_all = ["commit", "decommit"])]
    json: bool,
    /// Name or id of the group
    #[arg(value_name = "GROUP", value_parser = name)]
    group: Name,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxconfigrestore", run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let base = base(&cli.root, cli.folder.as_deref());
    let backup = Backup::find(&base, cli.group.as_str())?;
    let precommitted = backup.file(PRECOMMIT);
    if cli.decommit {
        remove(&precommitted, &cli.group)?;
        return print(&format!("{}'s diskgroup restoration is aborted.\n", cli.group));
    }
    if cli.commit {
        let request = commit(&precommitted, &cli.group)?;
        Daemon::connect(&cli.root)?.change(&request)?;
        remove(&precommitted, &cli.group)?;
        let group = &cli.group;
        return print(&format!("{group}'s diskgroup configuration restoration is committed.\n"));
    }
    let group = read(&backup.file("cfgrec"))?;
    let snapshot = Daemon::connect(&cli.root)?.snapshot()?;
    let plan = plan::plan(group, &snapshot, !cli.no_replacement)?;
    backup.write(PRECOMMIT, &write_group(&plan.group))?;
    if cli.json { print_json(&plan.report) } else { print(&plan.report.text()) }
}

fn read(path: &Path) -> Result<Group, Failure> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| Failure::operation(format!("{}: {error}", path.display())))?;
    read_group(&text).map_err(|error| {
        Failure::operation(format!("{}:{}: {}", path.display(), error.line, error.what))
    })
}

/// The request that makes the group that was precommitted.
fn commit(precommitted: &Path, name: &Name) -> Result<Request, Failure> {
    if !precommitted.exists() {
        return Err(nothing(name));
    }
    let group = read(precommitted)?;
    let (description, shared) = (write_group(&group), group.is_shared());
    Ok(Request::Group(GroupRequest::Restore { description, shared }))
}

fn remove(precommitted: &Path, name: &Name) -> Result<(), Failure> {
    match std::fs::remove_file(precommitted) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(nothing(name)),
        Err(error) => {
            let text = format!("{}: {error}", precommitted.display());
            Err(Failure::operation(text))
        }
    }
}

fn nothing(name: &Name) -> Failure {
    Failure::operation(format!(
        "nothing is precommitted for disk group {name}: vxconfigrestore -p {name} comes first"
    ))
}

/// The file beside the backup that a commit takes.
const PRECOMMIT: &str = "precommit";

const EXAMPLES: &str = "\
Examples:
  vxconfigrestore -p mydg
                       look for the disks, and tell what will be; nothing is changed
  vxconfigrestore -c mydg
                       make the group of that
  vxconfigrestore -d mydg
                       or forget it

A disk is found by its id, under any name. With -p one that has the access name of a disk that is not
found, is initialised and belongs to no group takes its place: vxdisksetup -i makes one of a new disk.
It has none of the data: plexes on it will be STALE, and volumes without another copy are named. With
-n all disks must be those of the backup.

The group must not be imported; it is shared if it was. The newest backup is taken, from
etc/vx/cbr/bk/GROUP.ID/ID.cfgrec; to take an older one, copy ID.cfgrec.1 to .4 there. What was
precommitted is in ID.precommit beside it.

JSON of -p and -n: an object with group, group_id, shared, disks (a list of {dm, access, id, replaces}:
replaces is the id in the backup, or null), stale (plexes) and lost (volumes).

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running.";

#[cfg(test)]
mod tests {
    use super::super::vxconfigbackup::sample;
    use super::*;

    #[test]
    fn steps_exclude_each_other() {
        command().debug_assert();
        let parse = |line: &str| {
            let words = format!("vxconfigrestore {line}");
            Cli::try_parse_from(words.split_whitespace()).map_err(|error| error.kind())
        };
        for line in ["-p mydg", "-n -l /x mydg", "-c mydg", "-d 1.2.host1", "-p --json mydg"] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        for line in ["", "mydg", "-p", "-p -c mydg", "-c --json mydg", "-p a b", "-p a/b", "-x a"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_commit_restores_what_was_precommitted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("1.precommit");
        let mydg = name("mydg").unwrap();
        let error = commit(&file, &mydg).unwrap_err().to_string();
        assert!(error.contains("vxconfigrestore -p mydg comes first"), "{error}");
        assert!(remove(&file, &mydg).is_err());
        let description = write_group(&sample::group().group);
        std::fs::write(&file, &description).unwrap();
        let expected = Request::Group(GroupRequest::Restore { description, shared: true });
        assert_eq!(commit(&file, &mydg).unwrap(), expected);
        std::fs::write(&file, "dg mydg\n").unwrap();
        let error = commit(&file, &mydg).unwrap_err().to_string();
        assert!(error.ends_with("1.precommit:1: dg mydg has no dgid"), "{error}");
        remove(&file, &mydg).unwrap();
        assert!(!file.exists());
    }
}

//! `vxconfigbackup`: keeps the configuration of disk groups where `vxconfigrestore` finds it (facts
//! 4.4). No data: those of volumes are for other programs.

mod files;
#[cfg(test)]
pub(super) mod sample;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use cvm::model::Name;
use cvm::snapshot::{GroupSnapshot, Snapshot};

use super::{Daemon, exit, name};
use crate::common::output::print;
use crate::common::{Failure, Root};

pub(super) use files::{Backup, base};

/// Back up the configuration of disk groups
#[derive(Debug, Parser)]
#[command(name = "vxconfigbackup", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    /// Folder of backups instead of etc/vx/cbr/bk
    #[arg(short = 'l', value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Names or ids of imported groups; all of them if none is named
    #[arg(value_name = "GROUP", value_parser = name)]
    groups: Vec<Name>,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxconfigbackup", run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let snapshot = Daemon::connect(&cli.root)?.snapshot()?;
    let base = base(&cli.root, cli.folder.as_deref());
    for group in chosen(&snapshot, &cli.groups)? {
        let (name, id) = (&group.group.name, &group.group.id);
        let backup = Backup::of(&base, name.as_str(), id);
        let folder = backup.folder.display();
        print(&format!("Start backing up diskgroup {name} to {folder} ...\n"))?;
        print(&if backup.save(group)? {
            format!("VxVM  NOTICE V-5-2-3100 Backup complete for diskgroup: {name}\n")
        } else {
            format!("the configuration of {name} is as it was: nothing is written\n")
        })?;
    }
    Ok(())
}

/// The groups that are named, or all.
fn chosen<'a>(all: &'a Snapshot, names: &[Name]) -> Result<Vec<&'a GroupSnapshot>, Failure> {
    if names.is_empty() {
        return Ok(all.groups.iter().collect());
    }
    let find = |name: &Name| {
        let is_it = |group: &&GroupSnapshot| {
            group.group.name == *name || group.group.id.to_string() == name.as_str()
        };
        all.groups.iter().find(is_it).ok_or_else(|| Failure::Operation {
            id: Some("V-5-1-2275".to_owned()),
            text: format!("Disk group {name}: No such disk group"),
        })
    };
    names.iter().map(find).collect()
}

const EXAMPLES: &str = "\
Examples:
  vxconfigbackup       all imported groups
  vxconfigbackup mydg  one of them
  vxconfigbackup -l /backup mydg
                       somewhere else

Files: etc/vx/cbr/bk/GROUP.ID/ID.KIND, where KIND is
  dginfo     what vxdg list says of the group
  diskinfo   access name, name in the group and id of each disk
  binconfig  all that vxconfigd knows of the group, as JSON
  cfgrec     the configuration as vxprint -m writes it: what is restored
The newest five are kept: those before have .1 (the last one) to .4 at the end of their names. A
configuration that is as it was is not written again.

Data of volumes are not backed up. vxconfigrestore makes a group of a backup.

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_chosen_by_name_and_by_id() {
        command().debug_assert();
        let all = Snapshot { groups: vec![sample::group()], ..Snapshot::default() };
        let chosen = |names: &[&str]| {
            let names: Vec<Name> = names.iter().map(|text| name(text).unwrap()).collect();
            chosen(&all, &names).map(|groups| groups.len()).map_err(|error| error.to_string())
        };
        assert_eq!(chosen(&[]), Ok(1));
        assert_eq!(chosen(&["1283432345.33.host1"]), Ok(1));
        let missing = "Disk group other: No such disk group".to_owned();
        assert_eq!(chosen(&["mydg", "other"]), Err(missing));
    }

    #[test]
    fn what_is_no_command_line_is_a_usage_error() {
        assert!(Cli::try_parse_from(["vxconfigbackup", "-l", "/x", "a", "b"]).is_ok());
        for line in ["vxconfigbackup -l", "vxconfigbackup a/b", "vxconfigbackup -x"] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}

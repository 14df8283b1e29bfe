//! `vxdisk`: shows disks, and looks for them (facts 1.4, 1.5, 4.1).

mod cli;
mod detail;
mod list;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::CommandFactory;
use cvm::model::Name;
use cvm::snapshot::{DiskSnapshot, Snapshot};

use crate::common::output::{print, print_json};
use crate::common::{Failure, NotYet, with_version};
use crate::vx::{Daemon, device, exit};

use cli::{Action, Cli, Form};
use list::Style;

/// The definition, for the manual.
pub fn command() -> clap::Command {
    with_version(Cli::command())
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxdisk", NotYet::parse(&REFUSED, command()).and_then(|cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let action = cli::action(cli)?;
    let mut daemon = Daemon::connect(&cli.root)?;
    let (form, words) = match action {
        Action::Ask(request) => return daemon.change(&request),
        Action::List => {
            let snapshot = daemon.snapshot()?;
            let lines = list::lines(&snapshot, group_name(cli, &snapshot)?);
            if cli.json {
                return print_json(&lines);
            }
            let style = Style {
                all_groups: cli.all_groups.is_some(),
                native: cli.native,
                quiet: cli.quiet,
            };
            return print(&list::table(&lines, style));
        }
        Action::Show(form, words) => (form, words),
    };
    let snapshot = daemon.snapshot()?;
    let group = group_name(cli, &snapshot)?;
    let of_group = |disk: &&DiskSnapshot| {
        group.is_none_or(|group| disk.imported && disk.group == group.as_str())
    };
    let disks: Vec<&DiskSnapshot> = if words.is_empty() {
        snapshot.disks.iter().filter(of_group).collect()
    } else {
        let found = words.iter().map(|word| detail::find(&snapshot, group, word));
        found.collect::<Result<_, _>>()?
    };
    if cli.json {
        return print_json(&disks);
    }
    let show = match form {
        Form::Detail => detail::detail,
        Form::Summary => detail::summary,
    };
    let texts: Vec<String> = disks.iter().map(|disk| show(disk)).collect();
    print(&texts.join("\n"))
}

/// The name of the group of -g, which may be given by its id.
fn group_name<'a>(cli: &Cli, snapshot: &'a Snapshot) -> Result<Option<&'a Name>, Failure> {
    let found = cli.group.given().map(|group| device::group(snapshot, group)).transpose()?;
    Ok(found.map(|known| &known.group.name))
}

static REFUSED: [NotYet; 3] = [
    NotYet::flag('a', "putting all disks online"),
    NotYet::flag('c', "checking for clones"),
    NotYet::flag('p', "properties of disks"),
];

const EXAMPLES: &str = "\
Examples:
  vxdisk list              disks, with the groups that they belong to
  vxdisk -o alldgs list    with groups that are not imported here, in parentheses
  vxdisk -g mydg list      those of one group
  vxdisk -e list           with their paths
  vxdisk list disk_0 mydg02
                           in detail, by access name or by the name in the group
  vxdisk -s list           identities of all disks
  vxdisk list --json
  vxdisk scandisks         look at all disks again, and find new ones
  vxdisk init disk_3 format=cdsdisk privlen=32m

Status: online, ready for use; shared, stamped with a cluster; invalid, not initialised; spare,
nohotuse and failing as vxedit or an error has set it; error, it cannot be read. Members without a
disk have a line with the device that they had: failed was:DEVICE, or removed was:DEVICE after
vxdg -k rmdisk.

Lengths are in sectors of 512 bytes.

JSON of list: a list of {device, type, disk, group, imported, status, path}; what the table shows as -
is empty there. JSON with DISK, -s or -v: a list of {access, path, error, is_invalid, id, created, dm,
group, group_id, cluster, host, autoimport, imported, spare, nohotuse, failing, serial, updated,
seqno, private_offset, private_len, public_offset, public_len, headers, config_len, log_len, regions},
regions are {kind, first, len, enabled}.

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running.";

//! `vxdg`: makes, imports, deports, changes and shows disk groups (facts 1.5, 4.2).

mod action;
mod cli;
mod detail;
mod free;
mod list;
mod replace;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::CommandFactory;
use cvm::model::Name;
use cvm::snapshot::{GroupSnapshot, Snapshot};

use crate::common::output::{print, print_json};
use crate::common::{Failure, NotYet, with_version};
use crate::vx::device::group as find;
use crate::vx::{Daemon, exit, volboot};

use action::{Action, Which};
use cli::Cli;

/// The definition, for the manual.
pub fn command() -> clap::Command {
    let help = clap::Arg::new("help").long("help").help("Print help");
    with_version(Cli::command()).arg(help.action(clap::ArgAction::Help))
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxdg", NotYet::parse(&REFUSED, command()).and_then(|cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let action = action::action(cli)?;
    let connect = || Daemon::connect(&cli.root);
    match action {
        Action::Ask(requests) => {
            let mut daemon = connect()?;
            requests.iter().try_for_each(|request| daemon.change(request))
        }
        Action::BootGroup => print("nodg\n"),
        Action::DefaultGroup => print(&default_group(volboot::read(&cli.root)?.default_group)),
        // Every transaction is on the disks before it is answered.
        Action::Flush(groups) => {
            let snapshot = connect()?.snapshot()?;
            groups.iter().try_for_each(|group| find(&snapshot, group).map(|_| ()))
        }
        Action::Free(which, names) => free(cli, &connect()?.snapshot()?, which, &names),
        Action::List => {
            let lines = list::lines(&connect()?.snapshot()?, cli.shared);
            if cli.json { print_json(&lines) } else { print(&list::table(&lines, cli.quiet)) }
        }
        Action::ListLong(names) => {
            let snapshot = connect()?.snapshot()?;
            let groups = names.iter().map(|name| find(&snapshot, name));
            let groups: Vec<&GroupSnapshot> = groups.collect::<Result<_, _>>()?;
            if cli.json {
                return print_json(&groups);
            }
            let texts = groups.iter().map(|known| detail::detail(&snapshot, known));
            print(&texts.collect::<Vec<_>>().join("\n"))
        }
        Action::Replace { group, pairs, keep } => {
            let mut daemon = connect()?;
            let steps = replace::steps(&daemon.snapshot()?, &group, &pairs, keep)?;
            replace::carry_out(&mut daemon, &steps)
        }
    }
}

fn default_group(group: Option<Name>) -> String {
    group.map_or_else(|| "nodg\n".to_owned(), |group| format!("{group}\n"))
}

fn free(cli: &Cli, snapshot: &Snapshot, which: Which, names: &[Name]) -> Result<(), Failure> {
    let groups = match cli.group.given() {
        Some(group) => vec![find(snapshot, group)?],
        None => snapshot.groups.iter().collect(),
    };
    let lines = free::lines(snapshot, &groups, which, names)?;
    if cli.json {
        return print_json(&lines);
    }
    print(&free::table(&lines, cli.group.given().is_none(), cli.quiet))
}

static REFUSED: [NotYet; 2] = [
    NotYet::flag('p', "adding a disk whose path another host has"),
    NotYet::flag('v', "details of a serial split brain"),
];

const EXAMPLES: &str = "\
Examples:
  vxdg init mydg mydg01=disk_0 mydg02=disk_1
                       a private group of two disks
  vxdg -s init shdg disk_2 disk_3 nconfig=all
                       a shared one, of which every disk has the configuration
  vxdg -g shdg set activation=sharedwrite
                       let this node read and write its volumes
  vxdg -g shdg set diskdetpolicy=local dgfailpolicy=leave
                       a disk that one node alone cannot write stays in use, and that node's
                       writes fail until it sees the disk again; a master that can write no
                       copy of the configuration leaves the cluster
  vxdg -g mydg adddisk mydg03=disk_4
  vxdg -g mydg -k rmdisk mydg02
  vxdg -g mydg -k adddisk mydg02=disk_5
                       put another disk in the place of mydg02
  vxdg -C -n newdg import mydg
                       import a group that a host left behind when it crashed, as newdg
  vxdg deport mydg shdg
  vxdg list            groups that are imported here
  vxdg -s list --json  shared ones, for programs
  vxdg list shdg       one in detail: activation of all nodes, policies, copies
  vxdg -g mydg free    free space, in sectors of 512 bytes

A shared group is changed from any node: the request travels to the master. Without -g the group is
that of VXVM_DEFAULTDG, else that of vxdctl defaultdg; free, spare and nohotuse list all groups then.
Several groups are deported or destroyed in turn, up to the first that cannot be.

Flags of free: s spare, n not for hot relocation, r reserved, f failing.

JSON of list: a list of {name, is_enabled, is_shared, cds, id}. JSON of list GROUP: a list of {group,
tid, epoch, local_activation, activations, disabled, copies, config_blocks, config_free}: group has
all records by name, activations are pairs of node id and mode, copies are {dm, access, config, log}, where true
is a copy that is in use and false one that failed. JSON of free, spare and nohotuse: a list of
{group, disk, device, tag, offset, length, spare, nohotuse, reserve, failing}, in sectors.

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running.";

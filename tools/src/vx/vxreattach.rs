//! `vxreattach`: disks that were lost and are back become the members again that they were (facts 2.10,
//! 4.1): by their identity, whatever path leads to them now.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use cvm::model::op::{Attribute, Op};
use cvm::model::{Disk, Name};
use cvm::request::Request;
use cvm::snapshot::{DiskSnapshot, Snapshot};

use super::device::device_of;
use super::operand::access;
use super::{Daemon, exit, several, vxrecover};
use crate::common::output::print;
use crate::common::{Failure, Root};

/// Take disks that are back into the groups that they belong to
#[derive(Debug, Parser)]
#[command(name = "vxreattach", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    /// In the background: with -r, do not wait until plexes are copied
    #[arg(short = 'b')]
    background: bool,
    /// Change nothing: tell which members they would be
    #[arg(short = 'c', conflicts_with_all = ["background", "recover"])]
    check: bool,
    /// Recover the plexes on them, as vxrecover does
    #[arg(short = 'r')]
    recover: bool,
    /// Only this disk, by its access name
    #[arg(value_name = "DA")]
    disk: Option<String>,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxreattach", run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let disk = cli.disk.as_deref().map(access).transpose()?;
    let mut daemon = Daemon::connect(&cli.root)?;
    // Its path may have come back since anybody looked.
    daemon.change(&Request::Scan)?;
    let snapshot = daemon.snapshot()?;
    let all = candidates(&snapshot, disk.as_deref())?;
    if cli.check {
        return print(&all.iter().map(Candidate::text).collect::<String>());
    }
    let mut failures = Vec::new();
    for candidate in &all {
        let mut refused = daemon.change_each([&candidate.request()]);
        if refused.is_empty() && cli.recover {
            let (group, disks) = (&candidate.group, std::slice::from_ref(&candidate.dm));
            let found = vxrecover::disks(&mut daemon, &cli.root, group, disks, cli.background)?;
            refused.extend(found);
        }
        failures.append(&mut refused);
    }
    several("vxreattach", failures)
}

/// A disk that can be a member again.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Candidate {
    group: Name,
    dm: Name,
    access: String,
    lost: Lost,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lost {
    /// Something on it has failed.
    Failed,
    /// The member has no disk.
    Gone,
}

impl Candidate {
    fn request(&self) -> Request {
        let op = match self.lost {
            Lost::Failed => {
                Op::Edit { names: vec![self.dm.clone()], set: vec![Attribute::Failing(false)] }
            }
            Lost::Gone => Op::ReplaceDisks(vec![(self.dm.clone(), self.access.clone())]),
        };
        Request::Op { group: self.group.clone(), op }
    }

    fn text(&self) -> String {
        format!("{} {}\n", self.group, self.dm)
    }
}

/// All, or the one that is meant.
fn candidates(snapshot: &Snapshot, disk: Option<&str>) -> Result<Vec<Candidate>, Failure> {
    let mut all = Vec::new();
    for shown in snapshot.groups.iter().filter(|shown| !shown.disabled) {
        for (name, dm) in &shown.group.disks {
            let id = shown.group.id.to_string();
            let Some((device, lost)) = back(snapshot, &id, name, dm) else { continue };
            if disk.is_none_or(|disk| disk == device.access) {
                let (group, dm) = (shown.group.name.clone(), name.clone());
                all.push(Candidate { group, dm, access: device.access.clone(), lost });
            }
        }
    }
    match disk {
        Some(disk) if all.is_empty() => Err(Failure::operation(why_not(snapshot, disk))),
        Some(_) | None => Ok(all),
    }
}

/// The device of a member that is back.
fn back<'a>(
    snapshot: &'a Snapshot,
    group: &str,
    name: &Name,
    dm: &Disk,
) -> Option<(&'a DiskSnapshot, Lost)> {
    let works = |device: &&DiskSnapshot| device.error.is_empty() && !device.is_invalid;
    if dm.disk.is_some() {
        let device = device_of(snapshot, dm).filter(|_| dm.failing);
        return device.filter(works).map(|device| (device, Lost::Failed));
    }
    // It says so itself: nobody could write on it that it is none any more.
    let mut devices = snapshot.disks.iter().filter(works);
    let is_it = |device: &&DiskSnapshot| {
        !device.imported && device.group_id == group && device.dm == name.as_str()
    };
    devices.find(is_it).map(|device| (device, Lost::Gone))
}

fn why_not(snapshot: &Snapshot, disk: &str) -> String {
    let Some(device) = snapshot.disks.iter().find(|device| device.access == disk) else {
        return format!("Device {disk}: no such device");
    };
    if !device.error.is_empty() {
        return format!("Device {disk}: {}", device.error);
    }
    if device.imported {
        return format!("Device {disk} is disk {} of group {}", device.dm, device.group);
    }
    format!("Device {disk} is no lost disk of a disk group that is imported here")
}

const EXAMPLES: &str = "\
Examples:
  vxreattach -c disk_2
                       prints the group and the member that it can be again: mydg mydg02
  vxreattach -r disk_2
                       it is that again, and its plexes are copied when the command ends
  vxreattach -rb       all disks that are back; does not wait for the copies

Two kinds of disks are taken: one on which something has failed (failing in vxdisk list) and that this
node reaches, and one that says that it is a member which has no disk by now, because it was taken
out (vxdg -k rmdisk), or given up by an import, while it could not be written. Of the first failing is
taken back. The second is the disk of that member again; what is on it counts for nothing, and its
plexes are RECOVER until they are copied. All nodes have to reach it, as when a disk is added.

What hot relocation has put elsewhere stays there: vxunreloc moves it back. Without a disk it is no
failure if there is none.

Exit codes: 0 done, or with -c possible; 1 not, for one at least; 2 usage, 3 vxconfigd is not running.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vx::name;
    use crate::vx::sample_disks;

    fn found(snapshot: &Snapshot, disk: Option<&str>) -> Result<String, String> {
        let all = candidates(snapshot, disk).map_err(|failure| failure.to_string())?;
        Ok(all.iter().map(Candidate::text).collect())
    }

    #[test]
    fn a_member_without_a_disk_gets_back_the_one_that_says_so() {
        let mut snapshot = sample_disks::snapshot();
        let failing = "mydg mydg06\n";
        assert_eq!(found(&snapshot, None).as_deref(), Ok(failing));
        let group = snapshot.groups.iter().find(|g| g.group.name.as_str() == "mydg").unwrap();
        let back = DiskSnapshot {
            access: "c1t6d0".to_owned(),
            id: "1283432300.6.serverA".to_owned(),
            dm: "mydg02".to_owned(),
            group: "mydg".to_owned(),
            group_id: group.group.id.to_string(),
            ..DiskSnapshot::default()
        };
        snapshot.disks.push(back.clone());
        assert_eq!(found(&snapshot, None).as_deref(), Ok("mydg mydg02\nmydg mydg06\n"));
        assert_eq!(found(&snapshot, Some("c1t6d0")).as_deref(), Ok("mydg mydg02\n"));
        let one = &candidates(&snapshot, Some("c1t6d0")).unwrap()[0];
        let op = Op::ReplaceDisks(vec![(name("mydg02").unwrap(), "c1t6d0".to_owned())]);
        assert_eq!(one.request(), Request::Op { group: name("mydg").unwrap(), op });
        // Of another group, or it cannot be read.
        for other in [
            DiskSnapshot { group_id: "7.7.x".to_owned(), ..back.clone() },
            DiskSnapshot { error: "I/O error".to_owned(), ..back.clone() },
            DiskSnapshot { imported: true, ..back },
        ] {
            *snapshot.disks.last_mut().unwrap() = other;
            assert_eq!(found(&snapshot, None).as_deref(), Ok(failing));
            assert!(found(&snapshot, Some("c1t6d0")).is_err());
        }
        let said = found(&snapshot, Some("c7t7d7"));
        assert_eq!(said.unwrap_err(), "Device c7t7d7: no such device");
    }

    #[test]
    fn lines_are_understood() {
        command().debug_assert();
        let parse = |line: &str| {
            Cli::try_parse_from(format!("vxreattach {line}").split_whitespace())
                .map_err(|error| error.kind())
        };
        assert!(parse("-rb disk_1").is_ok() && parse("").is_ok() && parse("-c disk_1").is_ok());
        for line in ["-cr", "-cb disk_1", "disk_1 disk_2", "-x", "-g mydg"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

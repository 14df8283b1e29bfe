//! `vxsplitlines`: which disks of a group were used apart from each other, and how to import one side
//! (facts 3.17). It reads the disks itself: a group that cannot be imported is nobody's.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use cvm::core::configd::DeviceState;
use cvm::disk::{FoundDisk, Pool, pools};
use cvm::model::Name;
use serde::Serialize;

use super::{exit, name};
use crate::common::output::{print, print_json};
use crate::common::{Failure, NotYet, Root, with_version};

/// Show which disks of a group were used apart from each other
#[derive(Debug, Parser)]
#[command(name = "vxsplitlines", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    /// Only groups of this name
    #[arg(short = 'g', value_name = "GROUP", value_parser = name)]
    group: Option<Name>,
    /// All disks of each pool, not the first alone
    #[arg(short = 'v')]
    verbose: bool,
    /// Print the pools as JSON
    #[arg(long, conflicts_with = "verbose")]
    json: bool,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    with_version(Cli::command())
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxsplitlines", NotYet::parse(&[], command()).and_then(|cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let found =
        cvm::io::scan(cli.root.path()).into_iter().filter_map(|device| match device.state {
            DeviceState::Ready(found) => Some(*found),
            DeviceState::Error(_) | DeviceState::Invalid(_) => None,
        });
    let found: Vec<FoundDisk> = found.collect();
    let splits = splits(&found, cli.group.as_ref());
    if cli.json { print_json(&splits) } else { print(&listing(&splits, cli.verbose)) }
}

/// A group that was used apart, as `--json` has it.
#[derive(Debug, Serialize)]
struct Split<'a> {
    group: &'a Name,
    id: String,
    pools: Vec<Side<'a>>,
}

/// Disks that go together.
#[derive(Debug, Serialize)]
struct Side<'a> {
    /// The newest configuration that knows them as they are; empty if there is none.
    tid: String,
    /// A disk that has it: what `selectcp` takes.
    selectcp: Option<String>,
    disks: Vec<Member<'a>>,
}

#[derive(Debug, Serialize)]
struct Member<'a> {
    access: &'a str,
    dm: &'a Name,
    id: String,
    serial: String,
}

fn splits<'a>(disks: &'a [FoundDisk], wanted: Option<&Name>) -> Vec<Split<'a>> {
    let apart = pools(disks).into_iter().filter(|(_, pools)| pools.len() > 1);
    let split = |(id, pools): (&cvm::model::UniqueId, Vec<Pool<'a>>)| {
        let first = pools.first()?.disks.first()?;
        let group = &first.claims.member()?.group_name;
        // One side may have another name by now.
        let mut members =
            pools.iter().flat_map(|pool| &pool.disks).filter_map(|disk| disk.claims.member());
        let is_wanted = wanted.is_none_or(|name| members.any(|member| member.group_name == *name));
        let pools = pools.iter().map(side).collect();
        is_wanted.then(|| Split { group, id: id.to_string(), pools })
    };
    apart.filter_map(split).collect()
}

fn side<'a>(pool: &Pool<'a>) -> Side<'a> {
    let members = pool.disks.iter().filter_map(|disk| {
        let member = disk.claims.member()?;
        Some(Member {
            access: &disk.access,
            dm: &member.dm,
            id: disk.label.disk.to_string(),
            serial: member.serial.to_string(),
        })
    });
    Side {
        tid: pool.image.map(|image| image.stamp.tid.to_string()).unwrap_or_default(),
        selectcp: pool.copy().map(ToString::to_string),
        disks: members.collect(),
    }
}

fn listing(splits: &[Split<'_>], verbose: bool) -> String {
    let mut text = String::new();
    for split in splits {
        let count = split.pools.len();
        let _ = writeln!(text, "VxVM vxsplitlines NOTICE V-5-2-2708 There are {count} pools.");
        text += "The Following are the disks in each pool. Each disk in the same pool\n";
        text += "has config copies that are similar.\n";
        for (number, pool) in split.pools.iter().enumerate() {
            let _ = writeln!(text, "VxVM vxsplitlines INFO V-5-2-2707 Pool {number}.");
            let shown = if verbose { pool.disks.len() } else { 1 };
            for disk in pool.disks.iter().take(shown) {
                let _ = writeln!(text, "{} {}", disk.access, disk.dm);
            }
            if let Some(copy) = &pool.selectcp {
                text += "To import the diskgroup with config copy from this disk use the\n";
                text += "following command\n";
                let _ = writeln!(text, "vxdg -o selectcp={copy} import {}", split.group);
            } else {
                text += "No configuration copy knows these disks as they are.\n";
            }
        }
    }
    text
}

const EXAMPLES: &str = "\
Examples:
  vxsplitlines -g mydg    which sides there are, and the command that imports each
  vxsplitlines -v -g mydg with all their disks

Prints nothing if no group was used apart. Needs no vxconfigd, for it reads the disks itself.

Exit codes: 0 done, 1 failed, 2 usage.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listing_names_each_side_and_its_command() {
        command().debug_assert();
        let (group, dm) = (Name::new("mydg").unwrap(), Name::new("mydg01").unwrap());
        let member = |access| Member {
            access,
            dm: &dm,
            id: "1.1.host1".to_owned(),
            serial: "0.2".to_owned(),
        };
        let whole = Side {
            tid: "0.12".to_owned(),
            selectcp: Some("1.1.host1".to_owned()),
            disks: vec![member("disk_0"), member("disk_1")],
        };
        let lost = Side { tid: String::new(), selectcp: None, disks: vec![member("disk_2")] };
        let split = Split { group: &group, id: "1.9.host1".to_owned(), pools: vec![whole, lost] };
        let expected = "\
VxVM vxsplitlines NOTICE V-5-2-2708 There are 2 pools.
The Following are the disks in each pool. Each disk in the same pool
has config copies that are similar.
VxVM vxsplitlines INFO V-5-2-2707 Pool 0.
disk_0 mydg01
To import the diskgroup with config copy from this disk use the
following command
vxdg -o selectcp=1.1.host1 import mydg
VxVM vxsplitlines INFO V-5-2-2707 Pool 1.
disk_2 mydg01
No configuration copy knows these disks as they are.
";
        assert_eq!(listing(std::slice::from_ref(&split), false), expected);
        assert!(listing(&[split], true).contains("disk_0 mydg01\ndisk_1 mydg01\n"));
    }
}

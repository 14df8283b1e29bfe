//! `vxedit`: removes and renames records, and changes their attributes (facts 4.4).

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use cvm::model::op::{Attribute, GroupAttribute, Op};
use cvm::model::{Copies, DetachPolicy, Name};
use cvm::request::Request;

use super::{Daemon, GroupOption, exit, name, values};
use crate::common::{Failure, Root};

/// Remove and rename records of a disk group, and change their attributes
#[derive(Debug, Parser)]
#[command(name = "vxedit", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    #[command(flatten)]
    dg: GroupOption,
    /// rm: even if records are in use by others, or started
    #[arg(short = 'f')]
    force: bool,
    /// rm: with all that the records consist of
    #[arg(short = 'r')]
    recursive: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Give a record another name
    Rename {
        /// The name that it has
        #[arg(value_parser = name)]
        old: Name,
        /// The name that it gets
        #[arg(value_parser = name)]
        new: Name,
    },
    /// Remove records
    Rm {
        /// Volumes, plexes, subdisks
        #[arg(required = true, value_parser = name, value_name = "RECORD")]
        records: Vec<Name>,
    },
    /// Change attributes of records
    Set {
        /// attribute=value..., then names of records
        #[arg(required = true, value_name = "WORD")]
        words: Vec<String>,
    },
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxedit", run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let request = request(cli, cli.dg.resolve(&cli.root)?)?;
    Daemon::connect(&cli.root)?.change(&request)
}

/// What a command line asks for.
fn request(cli: &Cli, group: Name) -> Result<Request, Failure> {
    let (recursive, force) = (cli.recursive, cli.force);
    if (recursive || force) && !matches!(cli.action, Action::Rm { .. }) {
        return Err(Failure::Usage("options -r and -f are for rm".to_owned()));
    }
    let op = match &cli.action {
        Action::Rename { old, new } => Op::Rename { from: old.clone(), to: new.clone() },
        Action::Rm { records } => Op::RemoveRecords { names: records.clone(), recursive, force },
        Action::Set { words } => set(words, &group).map_err(Failure::Usage)?,
    };
    Ok(Request::Op { group, op })
}

fn set(words: &[String], group: &Name) -> Result<Op, String> {
    let (mut set, mut policy, mut names) = (Vec::new(), None, Vec::new());
    for word in words {
        let Some((key, value)) = word.split_once('=') else {
            names.push(name(word)?);
            continue;
        };
        if !names.is_empty() {
            return Err(format!("{key}= after a record: attributes come first"));
        }
        if key == "diskdetpolicy" {
            let read = value.parse::<DetachPolicy>();
            policy = Some(read.map_err(|error| format!("diskdetpolicy=: {error}"))?);
            continue;
        }
        set.push(attribute(key, value).map_err(|what| format!("{key}=: {what}"))?);
    }
    if names.is_empty() {
        return Err("no record is named: expected attribute=value... RECORD...".to_owned());
    }
    match policy {
        None if set.is_empty() => Err("nothing is set: expected attribute=value...".to_owned()),
        None => Ok(Op::Edit { names, set }),
        Some(_) if !set.is_empty() || names != [group.clone()] => Err(format!(
            "diskdetpolicy= is an attribute of the group, and set alone: \
             vxedit -g {group} set diskdetpolicy=local {group}"
        )),
        Some(policy) => Ok(Op::Set(vec![GroupAttribute::DetachPolicy(policy)])),
    }
}

fn attribute(key: &str, value: &str) -> Result<Attribute, String> {
    let copies = || value.parse::<Copies>().map_err(|error| error.to_string());
    Ok(match key {
        "comment" => Attribute::Comment(values::text(value)?),
        "exclusive" => Attribute::Exclusive(values::switch(value)?),
        "failing" => Attribute::Failing(values::switch(value)?),
        "group" => Attribute::Group(values::owner(value)?),
        "mode" => Attribute::Mode(values::mode(value)?),
        "nconfig" => Attribute::Nconfig(copies()?),
        "nlog" => Attribute::Nlog(copies()?),
        "nohotuse" => Attribute::NoHotUse(values::switch(value)?),
        "putil0" | "putil" => Attribute::Putil(0, values::text(value)?),
        "putil1" => Attribute::Putil(1, values::text(value)?),
        "putil2" => Attribute::Putil(2, values::text(value)?),
        "reserve" => Attribute::Reserve(values::switch(value)?),
        "spare" => Attribute::Spare(values::switch(value)?),
        "tutil0" | "tutil" => Attribute::Tutil(0, values::text(value)?),
        "tutil1" => Attribute::Tutil(1, values::text(value)?),
        "tutil2" => Attribute::Tutil(2, values::text(value)?),
        "user" => Attribute::User(values::owner(value)?),
        _ => return Err(format!("no such attribute: expected one of {ATTRIBUTES}")),
    })
}

const ATTRIBUTES: &str = "comment, diskdetpolicy, exclusive, failing, group, mode, nconfig, nlog, \
                          nohotuse, putil0, putil1, putil2, reserve, spare, tutil0, tutil1, tutil2, \
                          user";

const EXAMPLES: &str = "\
Examples:
  vxedit -g mydg rm mydg01-01
                       a subdisk that no plex has
  vxedit -g mydg -rf rm vol1
                       a volume with plexes and subdisks, even if it is started
  vxedit -g mydg rename vol1 data
                       what it consists of keeps its names
  vxedit -g mydg set comment='of the old array' vol1
  vxedit -g mydg set user=oracle group=dba mode=0660 vol1 vol2
  vxedit -g mydg set spare=on mydg04
  vxedit -g mydg set nconfig=all nlog=3 mydg
                       of the group, by its name
  vxedit -g mydg set putil0= vol1
                       an empty value clears

Attributes: of any record comment, tutil0 to 2, putil0 to 2; of volumes user, group, mode (octal, or
u=rw,g=r,o=; a class that is not mentioned has no rights) and exclusive (on, off); of disks spare,
nohotuse, reserve and failing (on, off); of the group nconfig and nlog (all, default or a number),
and diskdetpolicy (global, local), which is set alone. What one command sets is set as a whole or not
at all.

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running.";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::error::ErrorKind> {
        Cli::try_parse_from(format!("vxedit {line}").split_whitespace()).map_err(|e| e.kind())
    }

    fn asked(line: &str) -> Result<Op, String> {
        let cli = parse(line).map_err(|kind| kind.to_string())?;
        match request(&cli, name("mydg").unwrap()).map_err(|failure| failure.to_string())? {
            Request::Op { group, op } if group.as_str() == "mydg" => Ok(op),
            other => panic!("{other:?}"),
        }
    }

    fn names(all: &[&str]) -> Vec<Name> {
        all.iter().map(|text| name(text).unwrap()).collect()
    }

    #[test]
    fn records_are_removed_and_renamed() {
        command().debug_assert();
        let removed = |recursive, force| Op::RemoveRecords {
            names: names(&["vol1", "vol2-01"]),
            recursive,
            force,
        };
        assert_eq!(asked("-g mydg rm vol1 vol2-01"), Ok(removed(false, false)));
        assert_eq!(asked("-rf rm vol1 vol2-01"), Ok(removed(true, true)));
        assert_eq!(asked("-r -f rm vol1 vol2-01"), Ok(removed(true, true)));
        let (from, to) = (name("vol1").unwrap(), name("data").unwrap());
        assert_eq!(asked("rename vol1 data"), Ok(Op::Rename { from, to }));
    }

    #[test]
    fn every_attribute_is_set() {
        for (word, attribute) in [
            ("comment=x", Attribute::Comment("x".to_owned())),
            ("comment=", Attribute::Comment(String::new())),
            ("exclusive=on", Attribute::Exclusive(true)),
            ("failing=off", Attribute::Failing(false)),
            ("group=dba", Attribute::Group("dba".to_owned())),
            ("mode=0640", Attribute::Mode(0o640)),
            ("mode=u=rw,g=r", Attribute::Mode(0o640)),
            ("nconfig=all", Attribute::Nconfig(Copies::All)),
            ("nlog=3", Attribute::Nlog(Copies::Count(3))),
            ("nconfig=default", Attribute::Nconfig(Copies::Default)),
            ("nohotuse=on", Attribute::NoHotUse(true)),
            ("putil0=a", Attribute::Putil(0, "a".to_owned())),
            ("putil2=", Attribute::Putil(2, String::new())),
            ("reserve=yes", Attribute::Reserve(true)),
            ("spare=on", Attribute::Spare(true)),
            ("tutil=b", Attribute::Tutil(0, "b".to_owned())),
            ("tutil1=b", Attribute::Tutil(1, "b".to_owned())),
            ("user=oracle", Attribute::User("oracle".to_owned())),
        ] {
            let expected = Op::Edit { names: names(&["x"]), set: vec![attribute] };
            assert_eq!(asked(&format!("set {word} x")), Ok(expected), "{word}");
        }
        let set = vec![Attribute::Spare(true), Attribute::NoHotUse(false)];
        let expected = Op::Edit { names: names(&["mydg01", "mydg02"]), set };
        assert_eq!(asked("set spare=on nohotuse=off mydg01 mydg02"), Ok(expected));
        let policy = Op::Set(vec![GroupAttribute::DetachPolicy(DetachPolicy::Local)]);
        assert_eq!(asked("set diskdetpolicy=local mydg"), Ok(policy));
    }

    #[test]
    fn what_makes_no_sense_says_what_was_expected() {
        for (line, said) in [
            ("-r rename a b", "are for rm"),
            ("-f set spare=on a", "are for rm"),
            ("set spare=on", "no record is named"),
            ("set mydg01", "nothing is set"),
            ("set mydg01 spare=on", "attributes come first"),
            ("set spare=maybe mydg01", "neither on nor off"),
            ("set colour=red vol1", "expected one of comment"),
            ("set putil3=x vol1", "expected one of comment"),
            ("set mode=888 vol1", "is no mode"),
            ("set nconfig=0 mydg", "all, default or a number from 1"),
            ("set user= vol1", "no name of a user"),
            ("set spare=on a/b", "is not a name"),
            ("set diskdetpolicy=some mydg", "global or local"),
            ("set diskdetpolicy=local other", "set alone"),
            ("set diskdetpolicy=local nlog=3 mydg", "set alone"),
        ] {
            let error = asked(line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
    }

    #[test]
    fn what_is_no_command_line_is_a_usage_error() {
        for line in ["", "rm", "rename a", "rename a b c", "set", "rm a/b", "del a", "-x rm a"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

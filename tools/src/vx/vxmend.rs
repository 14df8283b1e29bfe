//! `vxmend`: states that an administrator knows better than the records do (facts 4.4, 1.3).

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use cvm::model::op::{Mend, Op};
use cvm::model::{Name, PlexState};
use cvm::request::Request;

use super::{Daemon, GroupOption, exit, name};
use crate::common::{Failure, Root};

/// Mend states and locks of records of a disk group
#[derive(Debug, Parser)]
#[command(name = "vxmend", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    #[command(flatten)]
    dg: GroupOption,
    /// force: in spite of what the records say
    #[arg(short = 'o', value_name = "OPTION")]
    options: Vec<UseOption>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum UseOption {
    Force,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Clear utility fields, which lock records
    Clear {
        /// Which
        field: Lock,
        /// Records of any kind
        #[arg(required = true, value_parser = name, value_name = "RECORD")]
        records: Vec<Name>,
    },
    /// Set the state of plexes of volumes that are not started
    Fix {
        /// The state
        state: Fixed,
        /// Plexes, or volumes for all of their plexes
        #[arg(required = true, value_parser = name, value_name = "RECORD")]
        records: Vec<Name>,
    },
    /// Put plexes aside: they are not read or written any more
    Off {
        /// Plexes, or volumes for all of their plexes
        #[arg(required = true, value_parser = name, value_name = "RECORD")]
        records: Vec<Name>,
    },
    /// Take plexes back that were put aside; they are stale
    On {
        /// Plexes, or volumes for all of their plexes
        #[arg(required = true, value_parser = name, value_name = "RECORD")]
        records: Vec<Name>,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Fixed {
    Active,
    Clean,
    Empty,
    Stale,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Lock {
    All,
    Putil,
    Putil0,
    Putil1,
    Putil2,
    Tutil,
    Tutil0,
    Tutil1,
    Tutil2,
}

impl Fixed {
    const fn state(self) -> PlexState {
        match self {
            Self::Active => PlexState::Active,
            Self::Clean => PlexState::Clean,
            Self::Empty => PlexState::Empty,
            Self::Stale => PlexState::Stale,
        }
    }
}

impl Lock {
    const fn mend(self) -> Mend {
        let (tutil, putil, number) = match self {
            Self::All => (true, true, None),
            Self::Putil => (false, true, None),
            Self::Putil0 => (false, true, Some(0)),
            Self::Putil1 => (false, true, Some(1)),
            Self::Putil2 => (false, true, Some(2)),
            Self::Tutil => (true, false, None),
            Self::Tutil0 => (true, false, Some(0)),
            Self::Tutil1 => (true, false, Some(1)),
            Self::Tutil2 => (true, false, Some(2)),
        };
        Mend::Clear { tutil, putil, number }
    }
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxmend", run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let group = cli.dg.resolve(&cli.root)?;
    let records = records(cli);
    let mut daemon = Daemon::connect(&cli.root)?;
    for (done, request) in requests(cli, &group).iter().enumerate() {
        daemon.change(request).map_err(|failure| after(failure, &records[..done]))?;
    }
    Ok(())
}

/// Each record is mended in a change of its own: who asked has to know which were.
fn after(failure: Failure, done: &[Name]) -> Failure {
    match failure {
        Failure::Operation { id, text } if !done.is_empty() => {
            let done: Vec<&str> = done.iter().map(Name::as_str).collect();
            Failure::Operation { id, text: format!("{text} (done before: {})", done.join(", ")) }
        }
        failure => failure,
    }
}

fn records(cli: &Cli) -> Vec<Name> {
    match &cli.action {
        Action::Clear { records, .. }
        | Action::Fix { records, .. }
        | Action::Off { records }
        | Action::On { records } => records.clone(),
    }
}

/// What a command line asks for: a request for each record.
fn requests(cli: &Cli, group: &Name) -> Vec<Request> {
    let how = match &cli.action {
        Action::Clear { field, .. } => field.mend(),
        Action::Fix { state, .. } => Mend::Fix(state.state()),
        Action::Off { .. } => Mend::Off,
        Action::On { .. } => Mend::On,
    };
    let force = cli.options.contains(&UseOption::Force);
    let mend = |name| Request::Op { group: group.clone(), op: Op::Mend { name, how, force } };
    records(cli).into_iter().map(mend).collect()
}

const EXAMPLES: &str = "\
Examples:
  vxmend -g mydg fix stale vol1-02
  vxmend -g mydg fix clean vol1-01
                       this one is the good copy: the volume can be started
  vxmend -g mydg -o force fix empty vol1
                       its contents do not count any more
  vxmend -g mydg off vol1-02
  vxmend -g mydg on vol1-02
                       it is STALE, and gets its contents when the volume is recovered
  vxmend -g mydg clear tutil0 vol1
                       of an operation that is known to be over
  vxmend -g mydg clear all vol1 vol1-01

fix is for volumes that are not started. Without -o force only a STALE plex becomes CLEAN, and only if
no other plex of the volume is CLEAN or ACTIVE; a volume with an ACTIVE plex does not become EMPTY; and
a volume keeps a complete copy of its data that is not OFFLINE.

Several records are mended one after the other; the first that cannot be is told, with those that were
before it.

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running.";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::error::ErrorKind> {
        Cli::try_parse_from(format!("vxmend {line}").split_whitespace()).map_err(|e| e.kind())
    }

    fn asked(line: &str) -> Vec<Op> {
        let requests = requests(&parse(line).unwrap(), &name("mydg").unwrap());
        let op = |request| match request {
            Request::Op { group, op } if group.as_str() == "mydg" => op,
            other => panic!("{other:?}"),
        };
        requests.into_iter().map(op).collect()
    }

    #[test]
    fn command_lines_become_requests() {
        command().debug_assert();
        let clear = |tutil, putil, number| Mend::Clear { tutil, putil, number };
        for (line, how, force) in [
            ("fix clean x", Mend::Fix(PlexState::Clean), false),
            ("-g mydg fix active x", Mend::Fix(PlexState::Active), false),
            ("fix stale x", Mend::Fix(PlexState::Stale), false),
            ("-o force fix empty x", Mend::Fix(PlexState::Empty), true),
            ("off x", Mend::Off, false),
            ("-o force off x", Mend::Off, true),
            ("on x", Mend::On, false),
            ("clear tutil x", clear(true, false, None), false),
            ("clear tutil0 x", clear(true, false, Some(0)), false),
            ("clear tutil2 x", clear(true, false, Some(2)), false),
            ("clear putil x", clear(false, true, None), false),
            ("clear putil1 x", clear(false, true, Some(1)), false),
            ("clear all x", clear(true, true, None), false),
        ] {
            let expected = Op::Mend { name: name("x").unwrap(), how, force };
            assert_eq!(asked(line), [expected], "{line}");
        }
        assert_eq!(asked("off vol1-01 vol1-02").len(), 2);
    }

    #[test]
    fn a_failure_tells_what_was_done_before_it() {
        let done = [name("a").unwrap(), name("b").unwrap()];
        let text = |done: &[Name]| after(Failure::operation("c is not OFFLINE"), done).to_string();
        assert_eq!(text(&[]), "c is not OFFLINE");
        assert_eq!(text(&done), "c is not OFFLINE (done before: a, b)");
    }

    #[test]
    fn what_is_no_command_line_is_a_usage_error() {
        for line in [
            "",
            "fix",
            "fix clean",
            "fix log x",
            "fix x",
            "off",
            "on",
            "on a/b",
            "clear x",
            "clear tutil3 x",
            "-o what off x",
            "-f off x",
            "mend x",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

//! `gabconfig`: configures GAB and shows its memberships (facts 2.3 to 2.5).

mod listing;
mod nodeset;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use gab::admin::{AdminRequest, Configured, GabConfigure};

use crate::common::output::{print, print_json};
use crate::common::{Failure, NotYet, Root, exit, with_version};

pub use listing::{driver, memberships};
pub use nodeset::node_columns;

/// Configure GAB, and show its memberships
#[derive(Debug, Parser)]
#[command(name = "gabconfig", version, after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
#[command(group = clap::ArgGroup::new("change").multiple(true)
    .conflicts_with_all(["memberships", "driver", "unconfigure"]))]
struct Cli {
    #[command(flatten)]
    root: Root,
    /// Show the memberships of all ports
    #[arg(short = 'a', group = "what", conflicts_with_all = ["driver", "unconfigure"])]
    memberships: bool,
    /// Configure: allow registrations, and join a cluster that is seeded
    #[arg(short = 'c', groups = ["what", "change"])]
    configure: bool,
    /// Show the configuration
    #[arg(short = 'l', group = "what", conflicts_with = "unconfigure")]
    driver: bool,
    /// Seed the cluster as soon as N nodes are there
    #[arg(short = 'n', value_name = "N", requires = "configure", group = "change",
        value_parser = clap::value_parser!(u32).range(1..=128))]
    count: Option<u32>,
    /// Stable timeout in milliseconds: wait after the first change before a new membership
    #[arg(short = 't', value_name = "MS", groups = ["what", "change"],
        value_parser = clap::value_parser!(u64).range(1..=600_000))]
    stable_ms: Option<u64>,
    /// Unconfigure: leave the cluster; refused while clients are registered
    #[arg(short = 'U', group = "what")]
    unconfigure: bool,
    /// Seed the cluster now, with the nodes that are there
    #[arg(short = 'x', groups = ["what", "change"])]
    seed: bool,
    /// Print listings as JSON
    #[arg(long, conflicts_with_all = ["change", "unconfigure"])]
    json: bool,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    with_version(Cli::command())
}

/// The program.
pub fn main() -> ExitCode {
    exit("GAB gabconfig", NotYet::parse(NOT_YET, command()).and_then(|cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    if cli.memberships {
        let gab = cli.root.snapshot()?.gab;
        return if cli.json { print_json(&gab.ports) } else { print(&memberships(&gab)) };
    }
    if cli.driver {
        let gab = cli.root.snapshot()?.gab;
        return if cli.json {
            print_json(&listing::Driver::of(&gab))
        } else {
            print(&driver(&gab))
        };
    }
    let mut admin = cli.root.admin()?;
    if cli.unconfigure {
        admin.set_timeout(LEAVE_TIMEOUT);
        return Ok(admin.request(&AdminRequest::GabUnconfigure)?);
    }
    let request = GabConfigure {
        configure: cli.configure,
        count: cli.count,
        seed: cli.seed,
        stable_ms: cli.stable_ms,
    };
    let Configured { already } = admin.request(&AdminRequest::GabConfigure(request))?;
    if already { print("GAB is already configured like that\n") } else { Ok(()) }
}

/// Leaving waits for a membership without this node, however long its timers are.
const LEAVE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(120);

const NOT_YET: &[NotYet] = &[
    NotYet::flag('b', "halt instead of killing a client without a heartbeat"),
    NotYet::flag('B', "-b off"),
    NotYet::flag('C', "list names of kernel clients"),
    NotYet::flag('d', "quorum off"),
    NotYet::flag('e', "show static tunables"),
    NotYet::value('f', "IOFENCE timeout"),
    NotYet::flag('j', "halt on rejoin"),
    NotYet::flag('J', "-j off"),
    NotYet::flag('k', "keep killing"),
    NotYet::flag('K', "logging daemon off"),
    NotYet::value('m', "disk heartbeat miss count"),
    NotYet::flag('p', "halt on process death"),
    NotYet::flag('P', "-p off"),
    NotYet::flag('q', "quorum on"),
    NotYet::value('Q', "queue limits"),
    NotYet::flag('R', "restart"),
    NotYet::flag('s', "single network"),
    NotYet::value('S', "set a parameter at run time"),
    NotYet::flag('u', "undocumented"),
    NotYet::flag('v', "driver version"),
    NotYet::value('V', "set the protocol version"),
    NotYet::flag('W', "show the protocol version"),
];

const EXAMPLES: &str = "\
Examples:
  gabconfig -c -n3     configure; seed when three nodes are there (this line stands in etc/gabtab)
  gabconfig -c -x      configure, and seed now with whoever is there
  gabconfig -a         show the memberships
  gabconfig -a --json  the same for programs
  gabconfig -U         leave the cluster

Memberships: one column per node id, the last digit of the id where the node is a member; `;' marks
an absent node in columns 0, 10, 20 and so on. Generations are hexadecimal.

JSON of -a: a list of {port, generation, members, jeopardy, visible, clients}: node sets are lists of
ids, clients counts those of this node. JSON of -l: an object with configured, seeded, node_count,
stable_ms, send_queue_limit, recv_queue_limit, view, sequencer, last_slot, stable_slot, changing,
counters.

Exit codes: 0 done, 1 failed, 2 usage, 3 gabd is not running.";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::error::ErrorKind> {
        Cli::try_parse_from(line.split(' ')).map_err(|error| error.kind())
    }

    #[test]
    fn the_definition_is_consistent() {
        NotYet::recognise(NOT_YET, command()).debug_assert();
    }

    #[test]
    fn the_lines_that_stand_in_gabtab_are_understood() {
        for (line, count, seed) in [
            ("gabconfig -c -n3", Some(3), false),
            ("gabconfig -c -n 3", Some(3), false),
            ("gabconfig -cn3", Some(3), false),
            ("gabconfig -cx", None, true),
            ("gabconfig -x", None, true),
        ] {
            let cli = parse(line).unwrap();
            assert_eq!((cli.count, cli.seed), (count, seed), "{line}");
        }
        assert_eq!(parse("gabconfig -c -n2 -t 100").unwrap().stable_ms, Some(100));
    }

    #[test]
    fn what_makes_no_sense_is_a_usage_error() {
        for line in [
            "gabconfig",
            "gabconfig -n3",
            "gabconfig -c -n0",
            "gabconfig -c -n many",
            "gabconfig -a -l",
            "gabconfig -a -c",
            "gabconfig -U -x",
            "gabconfig -c --json",
            "gabconfig --json",
            "gabconfig -Z",
            "gabconfig -a extra",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

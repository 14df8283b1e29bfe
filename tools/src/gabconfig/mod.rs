//! `gabconfig`: configures GAB and shows its memberships (facts 2.3 to 2.5).

mod listing;
mod nodeset;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use gab::admin::{AdminRequest, Configured, GabConfigure, GabTunable};

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
    /// Quorum off: every side of a split goes on
    #[arg(short = 'd', groups = ["what", "change"])]
    no_quorum: bool,
    /// Halt the node when the others throw it out, even without kernel-type clients
    #[arg(short = 'j', groups = ["what", "change"])]
    rejoin_halt: bool,
    /// -j off
    #[arg(short = 'J', groups = ["what", "change"], conflicts_with = "rejoin_halt")]
    no_rejoin_halt: bool,
    /// Seed the cluster as soon as N nodes are there
    #[arg(short = 'n', value_name = "N", requires = "configure", group = "change",
        value_parser = clap::value_parser!(u32).range(1..=128))]
    count: Option<u32>,
    /// Quorum on: a side with less than half of the membership before it halts; of exact halves that
    /// with the lowest node id goes on
    #[arg(short = 'q', groups = ["what", "change"], conflicts_with = "no_quorum")]
    quorum: bool,
    /// Single network: nobody asks for a quorum. For tests only
    #[arg(short = 's', groups = ["what", "change"])]
    single_network: bool,
    /// Set a parameter: conn_wait:N, the stable times after which a member that stalls a
    /// reconfiguration is dropped (1 to 256)
    #[arg(short = 'S', value_name = "NAME:VALUE", groups = ["what", "change"])]
    set: Vec<GabTunable>,
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
    for warning in warnings(cli) {
        eprintln!("GAB gabconfig WARNING {warning}");
    }
    if cli.unconfigure {
        admin.set_timeout(LEAVE_TIMEOUT);
        return Ok(admin.request(&AdminRequest::GabUnconfigure)?);
    }
    let request = GabConfigure {
        configure: cli.configure,
        count: cli.count,
        seed: cli.seed,
        stable_ms: cli.stable_ms,
        quorum: switch(cli.quorum, cli.no_quorum),
        rejoin_halt: switch(cli.rejoin_halt, cli.no_rejoin_halt),
        single_network: cli.single_network.then_some(true),
        set: cli.set.clone(),
    };
    let Configured { already } = admin.request(&AdminRequest::GabConfigure(request))?;
    if already { print("GAB is already configured like that\n") } else { Ok(()) }
}

/// What an option and its opposite say.
fn switch(on: bool, off: bool) -> Option<bool> {
    (on || off).then_some(on)
}

/// What the operator should know before it is done.
fn warnings(cli: &Cli) -> Vec<&'static str> {
    let mut warnings = Vec::new();
    if cli.seed {
        warnings.push(
            "-x seeds this node now: make sure that no other node of the cluster has a membership, \
             or there are two clusters",
        );
    }
    if cli.single_network {
        warnings.push("-s is for tests only: no side of a split gives up");
    }
    warnings
}

/// Leaving waits for a membership without this node, however long its timers are.
const LEAVE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(120);

const NOT_YET: &[NotYet] = &[
    NotYet::flag('b', "halt instead of killing a client without a heartbeat"),
    NotYet::flag('B', "-b off"),
    NotYet::flag('C', "list names of kernel clients"),
    NotYet::flag('e', "show static tunables"),
    NotYet::value('f', "IOFENCE timeout"),
    NotYet::flag('k', "keep killing"),
    NotYet::flag('K', "logging daemon off"),
    NotYet::value('m', "disk heartbeat miss count"),
    NotYet::flag('p', "halt on process death"),
    NotYet::flag('P', "-p off"),
    NotYet::value('Q', "queue limits"),
    NotYet::flag('R', "restart"),
    NotYet::flag('u', "undocumented"),
    NotYet::flag('v', "driver version"),
    NotYet::value('V', "set the protocol version"),
    NotYet::flag('W', "show the protocol version"),
];

const EXAMPLES: &str = "\
Examples:
  gabconfig -c -n3     configure; seed when three nodes are there (this line stands in etc/gabtab)
  gabconfig -c -x      configure, and seed now with whoever is there
  gabconfig -c -n4 -q  the same with quorum: a side of a split without a majority halts
  gabconfig -S conn_wait:6
                       drop who stalls a reconfiguration after 6 stable times
  gabconfig -a         show the memberships
  gabconfig -a --json  the same for programs
  gabconfig -U         leave the cluster

Memberships: one column per node id, the last digit of the id where the node is a member; `;' marks
an absent node in columns 0, 10, 20 and so on. Generations are hexadecimal.

JSON of -a: a list of {port, generation, members, jeopardy, visible, clients}: node sets are lists of
ids, clients counts those of this node. JSON of -l: an object with configured, seeded, node_count,
stable_ms, quorum, rejoin_halt, single_network, conn_wait, send_queue_limit, recv_queue_limit, view,
sequencer, last_slot, stable_slot, changing, counters.

Quorum: every node should have the same setting; a change counts from the next membership on. A node
that halts leaves its gabd ended with status 75, until somebody starts it. With -q a node seeds by
itself only when all nodes of llthosts are visible.

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
        let cli = parse("gabconfig -cqj -s -n4 -S conn_wait:4").unwrap();
        assert!(cli.quorum && cli.rejoin_halt && cli.single_network);
        assert_eq!(cli.set, [GabTunable::ConnWait(4)]);
    }

    #[test]
    fn switches_work_without_c_and_warn_where_they_must() {
        for (line, quorum, rejoin) in [
            ("gabconfig -q", Some(true), None),
            ("gabconfig -d", Some(false), None),
            ("gabconfig -j", None, Some(true)),
            ("gabconfig -J", None, Some(false)),
            ("gabconfig -S conn_wait:256", None, None),
        ] {
            let cli = parse(line).unwrap();
            assert_eq!(switch(cli.quorum, cli.no_quorum), quorum, "{line}");
            assert_eq!(switch(cli.rejoin_halt, cli.no_rejoin_halt), rejoin, "{line}");
            assert_eq!(warnings(&cli), [""; 0], "{line}");
        }
        assert!(warnings(&parse("gabconfig -c -x").unwrap())[0].contains("two clusters"));
        assert!(warnings(&parse("gabconfig -s").unwrap())[0].contains("tests only"));
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
            "gabconfig -q -d",
            "gabconfig -j -J",
            "gabconfig -a -q",
            "gabconfig -S conn_wait:0",
            "gabconfig -S conn_wait:257",
            "gabconfig -S conn_wait",
            "gabconfig -S isolate_time:1",
            "gabconfig -c --json",
            "gabconfig --json",
            "gabconfig -Z",
            "gabconfig -a extra",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

//! `lltstat`: shows what LLT knows and counts (facts 1.11).

mod config;
mod counters;
mod nodes;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, ValueEnum};
use gab::admin::AdminRequest;
use gab::snapshot::LltSnapshot;

use crate::common::output::{print, print_json};
use crate::common::{Failure, NotYet, Root, exit, with_version};

pub use config::configuration;
pub use counters::{further, statistics};
pub use nodes::{node_links, node_states};

/// Show the state of LLT: nodes, links, counters
#[derive(Debug, Parser)]
#[command(name = "lltstat", version, after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("what").multiple(false))]
struct Cli {
    #[command(flatten)]
    root: Root,
    /// Show the configuration
    #[arg(short = 'c', group = "what")]
    configuration: bool,
    /// Show the nodes
    #[arg(short = 'n', group = "what")]
    nodes: bool,
    /// With -n: their links, too; twice: all possible nodes. Alone: all counters
    #[arg(short = 'v', action = clap::ArgAction::Count, conflicts_with_all = ["configuration", "zero"])]
    verbose: u8,
    /// Set the counters to zero
    #[arg(short = 'z', group = "what")]
    zero: bool,
    /// With -nvv: only these nodes
    #[arg(value_enum, requires = "nodes")]
    only: Option<Only>,
    /// Print listings as JSON
    #[arg(long, conflicts_with = "zero")]
    json: bool,
}

/// Which nodes `-nvv` lists.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Only {
    /// Those that are connected, and this one.
    Active,
    /// Those in llthosts.
    Configured,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    with_version(Cli::command())
}

/// The program.
pub fn main() -> ExitCode {
    exit("LLT lltstat", NotYet::parse(NOT_YET, command()).and_then(|cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    if cli.zero {
        return Ok(cli.root.admin()?.request(&AdminRequest::LltZero)?);
    }
    let llt = cli.root.snapshot()?.llt;
    if cli.json {
        return if cli.nodes {
            print_json(&nodes::listed(&llt, cli.only, false))
        } else if cli.configuration {
            print_json(&config::Configuration::of(&llt))
        } else {
            print_json(&llt.stats)
        };
    }
    print(&text(cli, &llt))
}

fn text(cli: &Cli, llt: &LltSnapshot) -> String {
    if cli.configuration {
        return configuration(llt);
    }
    if cli.nodes {
        // With a filter the list is short enough at every verbosity.
        let all = cli.verbose > 1 && cli.only.is_none();
        let nodes = nodes::listed(llt, cli.only, all);
        return if cli.verbose > 0 { node_links(llt, &nodes) } else { node_states(&nodes) };
    }
    let mut text = statistics(&llt.stats);
    if cli.verbose > 0 {
        text += &further(&llt.stats);
    }
    text
}

const NOT_YET: &[NotYet] = &[
    NotYet::flag('C', "undocumented"),
    NotYet::flag('d', "undocumented"),
    NotYet::flag('l', "links"),
    NotYet::flag('N', "nodes on the network"),
    NotYet::flag('p', "ports"),
    NotYet::flag('P', "ports in use"),
    NotYet::flag('r', "RDMA"),
    NotYet::flag('t', "kernel tunables"),
];

const EXAMPLES: &str = "\
Examples:
  lltstat                   counters; with -v all of them
  lltstat -n                nodes, and how many links each has up
  lltstat -nvv active       their links, too
  lltstat -nvv configured   the nodes of llthosts
  lltstat -c                the configuration
  lltstat -z                counters back to zero

JSON of -n: a list of {node, name, configured, own, state, incarnation, links, queued, srtt_ns}, links
a list of {status, address} in the order of llttab. JSON of -c: an object with node, name, cluster,
protocol, nodes_max, ports_max, links (a list of {tag, device, address, lowpri, mtu}), mtu, sdu_max,
incarnation. JSON otherwise: an object of all counters, snd_ for sent, rcv_ for received.

Exit codes: 0 done, 1 failed, 2 usage, 3 gabd is not running.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        NotYet::recognise(NOT_YET, command()).debug_assert();
    }

    #[test]
    fn the_usual_lines_are_understood() {
        for line in [
            "lltstat",
            "lltstat -n",
            "lltstat -nv",
            "lltstat -nvv",
            "lltstat -nvv active",
            "lltstat -nvv configured",
            "lltstat -n -vv active",
            "lltstat -c",
            "lltstat -z",
            "lltstat -n --json",
        ] {
            Cli::try_parse_from(line.split(' ')).unwrap();
        }
        for line in ["lltstat -nc", "lltstat active", "lltstat -n some", "lltstat -z --json"] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}

//! `lltstat`: shows what LLT knows and counts (facts 1.11).

mod config;
mod counters;
mod detail;
mod links;
mod nodes;
mod notes;
mod ports;
mod repeat;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, ValueEnum};
use gab::admin::AdminRequest;
use gab::client::Admin;
use gab::snapshot::{LltSnapshot, Snapshot};
use serde::Serialize;

use crate::common::output::{print, print_json};
use crate::common::{Failure, NotYet, Root, exit, with_version};

pub(crate) use config::PROTOCOL;
pub use config::{configuration, tunables};
pub use counters::{further, refusals, statistics};
pub use detail::{detail, on_network};
pub use links::links;
pub use nodes::{node_links, node_states};
pub use ports::{ports, ports_in_use};

use repeat::{Word, WordParser, Words};

/// Show the state of LLT: nodes, links, ports, counters
#[derive(Debug, Parser)]
#[command(name = "lltstat", version, after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("what").multiple(false))]
struct Cli {
    #[command(flatten)]
    root: Root,
    /// Show the configuration
    #[arg(short = 'c', group = "what")]
    configuration: bool,
    /// Print the cluster id, and nothing else
    #[arg(short = 'C', group = "what")]
    cluster: bool,
    /// Show each node in detail: silence, heartbeats, queue, round trip
    #[arg(short = 'd', group = "what")]
    detail: bool,
    /// Show the links: device, MTU, packets, bytes, latency
    #[arg(short = 'l', group = "what")]
    links: bool,
    /// Show the nodes
    #[arg(short = 'n', group = "what")]
    nodes: bool,
    /// Show every node heard on the network, those that are ignored too
    #[arg(short = 'N', group = "what")]
    network: bool,
    /// Show the LLT ports, with the nodes that each reaches
    #[arg(short = 'p', group = "what")]
    ports: bool,
    /// Show the LLT ports in use, a line each
    #[arg(short = 'P', group = "what")]
    ports_in_use: bool,
    /// Show RDMA: there is none in this version, and it says so
    #[arg(short = 'r')]
    rdma: bool,
    /// Show what is fixed while gabd runs
    #[arg(short = 't', group = "what")]
    tunables: bool,
    /// With -n: their links, too; twice: all possible nodes, and what is wrong. Alone: all counters
    #[arg(short = 'v', action = clap::ArgAction::Count)]
    verbose: u8,
    /// Set the counters to zero
    #[arg(short = 'z', group = "what", conflicts_with_all = ["words", "json", "rdma", "verbose"])]
    zero: bool,
    /// With -nv: only these nodes. INTERVAL: again after so many seconds, COUNT times in all
    #[arg(value_name = "WORD", num_args = 0..=3, value_parser = WordParser)]
    words: Vec<Word>,
    /// Print listings as JSON; repeated ones in a line each
    #[arg(long)]
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
    let usage = "lltstat [OPTIONS] [active|configured] [INTERVAL [COUNT]]";
    with_version(Cli::command()).override_usage(usage)
}

/// The program.
pub fn main() -> ExitCode {
    exit("LLT lltstat", NotYet::parse(&[], command()).and_then(|cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let words = words(cli).unwrap_or_else(|error| error.with_cmd(&command()).exit());
    if cli.zero {
        return Ok(cli.root.admin()?.request(&AdminRequest::LltZero)?);
    }
    if cli.rdma {
        return if cli.json { print("[]\n") } else { print(NO_RDMA) };
    }
    let mut admin = cli.root.admin()?;
    words.repeat(|again| show(cli, &words, &mut admin, again))
}

fn words(cli: &Cli) -> Result<Words, clap::Error> {
    let words = Words::of(&cli.words)?;
    if words.only.is_some() && !cli.nodes {
        let text = "active and configured select nodes: expected -n with them\n";
        return Err(clap::Error::raw(clap::error::ErrorKind::MissingRequiredArgument, text));
    }
    Ok(words)
}

/// Asks gabd, and prints the listing once.
fn show(cli: &Cli, words: &Words, admin: &mut Admin, again: bool) -> Result<(), Failure> {
    let snapshot: Snapshot = admin.request(&AdminRequest::Snapshot)?;
    let llt = snapshot.llt;
    if cli.json {
        return json(cli, words, &llt);
    }
    let gap = if again { "\n" } else { "" };
    print(&format!("{gap}{}", text(cli, words.only, &llt)))
}

fn text(cli: &Cli, only: Option<Only>, llt: &LltSnapshot) -> String {
    if cli.configuration {
        configuration(llt)
    } else if cli.cluster {
        format!("{}\n", llt.cluster)
    } else if cli.detail {
        detail(llt)
    } else if cli.links {
        links(llt)
    } else if cli.network {
        on_network(llt)
    } else if cli.nodes {
        // With a filter the list is short enough at every verbosity.
        let all = cli.verbose > 1 && only.is_none();
        let nodes = nodes::listed(llt, only, all);
        match cli.verbose {
            0 => node_states(&nodes),
            verbose => node_links(llt, &nodes, verbose > 1),
        }
    } else if cli.ports {
        ports(llt)
    } else if cli.ports_in_use {
        ports_in_use(llt)
    } else if cli.tunables {
        tunables(llt)
    } else if cli.verbose > 0 {
        statistics(&llt.stats) + &refusals(llt, true) + &further(&llt.stats)
    } else {
        statistics(&llt.stats) + &refusals(llt, false)
    }
}

fn json(cli: &Cli, words: &Words, llt: &LltSnapshot) -> Result<(), Failure> {
    if cli.configuration {
        put(words, &config::Configuration::of(llt))
    } else if cli.cluster {
        put(words, &llt.cluster)
    } else if cli.links {
        put(words, &llt.links)
    } else if cli.network {
        put(words, &detail::heard(llt))
    } else if cli.nodes || cli.detail {
        put(words, &nodes::listed(llt, words.only, false))
    } else if cli.ports || cli.ports_in_use {
        put(words, &llt.ports)
    } else if cli.tunables {
        put(words, &config::Tunables::of(llt))
    } else {
        put(words, &llt.stats)
    }
}

/// One listing is printed to be read; repeated ones to be taken apart line by line.
fn put(words: &Words, value: &impl Serialize) -> Result<(), Failure> {
    if words.interval.is_none() {
        return print_json(value);
    }
    let text = serde_json::to_string(value).map_err(|error| Failure::because(&error))?;
    print(&(text + "\n"))
}

const NO_RDMA: &str = "LLT RDMA information:\n    none: RDMA links are not in this version\n";

const EXAMPLES: &str = "\
Examples:
  lltstat                   counters; with -v all of them
  lltstat -n                nodes, and how many links each has up
  lltstat -nvv active       their links, too, and what is wrong with them
  lltstat -nvv configured   the nodes of llthosts
  lltstat -n 5              the nodes every five seconds, until the reader goes
  lltstat -l 1 10 --json    the links each second, ten times, a line of JSON each
  lltstat -p                who uses LLT, and whom they reach
  lltstat -c                the configuration; -C the cluster id alone
  lltstat -z                counters back to zero (not those of -l)

What is wrong stands in parentheses after an address of -nvv: (one-way), (mtu: 9000 bytes do not
pass), (crossed with eth2); at this node itself (late 2 times, ..), (refused 7, ..).

JSON, by option:
  -n, -d  a list of nodes {node, name, configured, excluded, own, state, incarnation, links, queued,
          srtt_ns, open_ports, busy_ports, notes}; links is a list of {link, status, address,
          permanent, silent_ms, heartbeat, notes}; notes is a list of {note, ..}: crossed {with},
          mtu {bytes}, one-way at a link, crossed {link, with}, duplicate {node}, late {times,
          late_ms, ago_ms}, refused {cause, link, from, count} at this node
  -l      a list of {link, tag, device, kind, address, broadcast, sap, addrlen, lowpri, mtu, enabled,
          carrier, error, obstacle, tx_packets, tx_bytes, rx_packets, rx_bytes, tx_dropped, latency_ns}; mtu
          is that of the device, and the listing shows what is left of it for data
  -p, -P  a list of {port, usage, opens, connects}
  -N      a list of {node, name, cluster, state, link, address, silent_ms}
  -c      an object with node, name, cluster, protocol, nodes_max, ports_max, links, mtu, sdu_max,
          incarnation, listening, sealed, checksum
  -t      an object with maxnids, maxports, nominpad, rthreadpri, basetimer
  -C      a number
  else    an object of all counters, snd_ for sent, rcv_ for received

Exit codes: 0 done, 1 failed, 2 usage, 3 gabd is not running.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }

    fn read(line: &str) -> Result<Words, String> {
        let cli = Cli::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?;
        words(&cli).map_err(|error| error.to_string())
    }

    #[test]
    fn the_usual_lines_are_understood() {
        for line in [
            "lltstat",
            "lltstat -v",
            "lltstat 5",
            "lltstat 0.5 3",
            "lltstat -n",
            "lltstat -nv",
            "lltstat -nvv",
            "lltstat -vvn",
            "lltstat -nv configured",
            "lltstat -nvv active",
            "lltstat -nvv configured",
            "lltstat -nvv active 5 2",
            "lltstat -n -vv active",
            "lltstat -nvv -r",
            "lltstat -C",
            "lltstat -N",
            "lltstat -P",
            "lltstat -c",
            "lltstat -d",
            "lltstat -l 1",
            "lltstat -p",
            "lltstat -r",
            "lltstat -t",
            "lltstat -z",
            "lltstat -n --json",
        ] {
            read(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        for line in [
            "lltstat -nc",
            "lltstat -lp",
            "lltstat active",
            "lltstat -l active",
            "lltstat -n some",
            "lltstat -n 5 0",
            "lltstat -n 5 active",
            "lltstat -n active 1 2 3",
            "lltstat -n -- -5",
            "lltstat -z --json",
            "lltstat -z 5",
            "lltstat -x",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}

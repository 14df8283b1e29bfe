//! `vxstat`: what volumes, plexes, subdisks and disks have done (facts 3.16, 4.5).

mod metrics;
mod objects;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, CommandFactory, Parser};
use cvm::model::{Group, Name};
use cvm::request::{NodesStats, Reply, Request};
use cvm::snapshot::{ClusterSnapshot, GroupSnapshot, Snapshot};
use cvm::stats::{ObjectStats, Reset, Stats};
use serde::Serialize;

use self::objects::{Kinds, Object, objects};
use self::table::{Field, fields, header, line};
use super::view::{chosen, wanted};
use super::{Daemon, GroupOption, exit, name};
use crate::common::output::{print, print_json};
use crate::common::time::some_seconds;
use crate::common::{Failure, Root};

/// Show what volumes, plexes, subdisks and disks have done, on all nodes or on some
#[derive(Debug, Parser)]
#[command(name = "vxstat", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    #[command(flatten)]
    dg: GroupOption,
    /// Disks; of what is named, those that it lies on
    #[arg(short = 'd')]
    disks: bool,
    /// Plexes; of what is named, those that belong to it
    #[arg(short = 'p')]
    plexes: bool,
    /// Subdisks; of what is named, those that belong to it
    #[arg(short = 's')]
    subdisks: bool,
    /// Volumes; of what is named, those that belong to it. This is the default
    #[arg(short = 'v')]
    volumes: bool,
    /// Which columns, by their letters; see below
    #[arg(short = 'f', value_name = "FIELDS", value_parser = fields, default_value = "s")]
    fields: Fields,
    /// Every so many seconds: what has come since the last time
    #[arg(short = 'i', value_name = "INTERVAL", value_parser = some_seconds)]
    interval: Option<Duration>,
    /// -i: so many times
    #[arg(short = 'c', value_name = "COUNT", requires = "interval",
        value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Only what these nodes have done, by id or name; else all nodes of the cluster
    #[arg(short = 'n', value_name = "NODE[,NODE...]", value_delimiter = ',',
        action = ArgAction::Append)]
    nodes: Vec<String>,
    /// Print nothing: from here on it is counted anew
    #[arg(short = 'r', conflicts_with_all = ["interval", "json", "metrics"])]
    reset: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "interval")]
    json: bool,
    /// Print metrics of the volumes of this node in the format of Prometheus
    #[arg(long, conflicts_with_all = ["interval", "json", "nodes", "objects", "disks", "plexes",
        "subdisks"])]
    metrics: bool,
    /// Only of these: volumes, plexes, subdisks or disks
    #[arg(value_name = "OBJECT", value_parser = name)]
    objects: Vec<Name>,
}

type Fields = Vec<Field>;

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxstat", run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let wanted = wanted(&cli.dg, &cli.root)?;
    let mut daemon = Daemon::connect(&cli.root)?;
    let snapshot = daemon.snapshot()?;
    let groups = chosen(&snapshot, wanted.as_ref())?;
    let shown = select(cli, &groups)?;
    let mut nodes = node_ids(&snapshot.cluster, &cli.nodes)?;
    if cli.metrics {
        nodes.insert(snapshot.cluster.node);
        let stats = ask(&mut daemon, Request::Stats { nodes, reset: None })?;
        print(&metrics::text(&shown, &sum(&stats)))?;
        return complain_of(&snapshot, &stats);
    }
    if cli.reset {
        return reset(&mut daemon, &snapshot, &shown, &nodes);
    }
    let request = Request::Stats { nodes, reset: None };
    match cli.interval {
        Some(interval) => repeat(cli, &mut daemon, &snapshot, &shown, &request, interval),
        None => {
            let stats = ask(&mut daemon, request)?;
            if cli.json {
                print_json(&json(&shown, &stats))?;
            } else {
                print(&listing(cli, &shown, &sum(&stats)))?;
            }
            complain_of(&snapshot, &stats)
        }
    }
}

/// What is shown of each group.
type Shown<'a> = Vec<(&'a Group, Vec<Object<'a>>)>;

fn select<'a>(cli: &Cli, groups: &[&'a GroupSnapshot]) -> Result<Shown<'a>, Failure> {
    let Cli { disks, plexes, subdisks, volumes, .. } = *cli;
    let kinds = Kinds { disks, plexes, subdisks, volumes };
    let mut missing: BTreeSet<&Name> = cli.objects.iter().collect();
    let mut shown = Vec::new();
    for group in groups.iter().map(|shown| &shown.group) {
        let found = objects(group, kinds, &cli.objects, &mut missing);
        if !found.is_empty() {
            shown.push((group, found));
        }
    }
    match missing.first() {
        Some(name) => Err(Failure::Operation {
            id: Some("V-5-1-924".to_owned()),
            text: format!("Record {name} not found"),
        }),
        None => Ok(shown),
    }
}

/// Nodes by id or name.
fn node_ids(cluster: &ClusterSnapshot, words: &[String]) -> Result<BTreeSet<u8>, Failure> {
    let id = |word: &String| {
        let named = cluster.nodes.iter().find(|node| node.name == *word).map(|node| node.node);
        named.or_else(|| word.parse().ok()).ok_or_else(|| {
            Failure::Usage(format!(
                "\"{word}\" is no node of the cluster: expected an id or a name"
            ))
        })
    };
    words.iter().map(id).collect()
}

fn ask(daemon: &mut Daemon, request: Request) -> Result<NodesStats, Failure> {
    match daemon.ask(&request)? {
        Reply::Stats(stats) => Ok(*stats),
        other => {
            Err(Failure::operation(format!("vxconfigd answered with something else: {other:?}")))
        }
    }
}

fn sum(stats: &NodesStats) -> Stats {
    let mut sum = Stats::default();
    stats.nodes.values().for_each(|node| sum.add(node));
    sum
}

/// Sums without a node are said to be so.
fn complain_of(snapshot: &Snapshot, stats: &NodesStats) -> Result<(), Failure> {
    let Some(first) = stats.silent.first() else { return Ok(()) };
    let named = |id: &u8| {
        let node = snapshot.cluster.nodes.iter().find(|node| node.node == *id);
        node.map_or_else(|| id.to_string(), |node| format!("{id} ({})", node.name))
    };
    let silent: Vec<String> = stats.silent.iter().map(named).collect();
    let text = match silent.len() {
        1 => format!("node {} does not answer: it is not counted", named(first)),
        _ => format!("nodes {} do not answer: they are not counted", silent.join(", ")),
    };
    Err(Failure::operation(text))
}

fn reset(
    daemon: &mut Daemon,
    snapshot: &Snapshot,
    shown: &Shown<'_>,
    nodes: &BTreeSet<u8>,
) -> Result<(), Failure> {
    let mut told = NodesStats::default();
    for (group, objects) in shown {
        let records = objects.iter().map(|object| object.rid).collect();
        let reset = Some(Reset { group: group.id.clone(), records });
        let answer = ask(daemon, Request::Stats { nodes: nodes.clone(), reset })?;
        told.silent.extend(answer.silent);
    }
    complain_of(snapshot, &told)
}

fn repeat(
    cli: &Cli,
    daemon: &mut Daemon,
    snapshot: &Snapshot,
    shown: &Shown<'_>,
    request: &Request,
    interval: Duration,
) -> Result<(), Failure> {
    // The first time it is all that they have ever done.
    let mut before = BTreeMap::new();
    let mut is_complete = Ok(());
    for round in 0..cli.count.unwrap_or(u64::MAX) {
        if round > 0 {
            crate::muster::wait::pause(interval);
        }
        let answer = ask(daemon, request.clone())?;
        let mut between = Stats::default();
        for (node, stats) in &answer.nodes {
            between.add(&since(stats, before.get(node)));
        }
        print(&listing(cli, shown, &between))?;
        is_complete = complain_of(snapshot, &answer);
        before.extend(answer.nodes);
    }
    is_complete
}

/// What a node has done since then.
fn since(stats: &Stats, before: Option<&Stats>) -> Stats {
    let mut between = stats.clone();
    let Some(before) = before else { return between };
    for (group, objects) in &mut between.groups {
        for (rid, object) in objects {
            object.counters = object.counters.since(&before.of(group, *rid).counters);
        }
    }
    between
}

fn listing(cli: &Cli, shown: &Shown<'_>, stats: &Stats) -> String {
    let mut text = String::new();
    for (group, objects) in shown {
        if shown.len() > 1 {
            text += &format!("Disk group: {}\n\n", group.name);
        }
        text += &header(&cli.fields);
        for object in objects {
            text += &line(&cli.fields, object, &stats.of(&group.id, object.rid));
        }
        if shown.len() > 1 || cli.interval.is_some() {
            text.push('\n');
        }
    }
    text
}

/// A group in JSON.
#[derive(Debug, Serialize)]
struct GroupJson<'a> {
    group: &'a Name,
    nodes: Vec<u8>,
    silent: Vec<u8>,
    objects: Vec<ObjectJson<'a>>,
}

#[derive(Debug, Serialize)]
struct ObjectJson<'a> {
    r#type: &'static str,
    name: &'a Name,
    #[serde(flatten)]
    stats: ObjectStats,
}

fn json<'a>(shown: &Shown<'a>, stats: &NodesStats) -> Vec<GroupJson<'a>> {
    let sum = sum(stats);
    let group = |(group, objects): &(&'a Group, Vec<Object<'a>>)| GroupJson {
        group: &group.name,
        nodes: stats.nodes.keys().copied().collect(),
        silent: stats.silent.iter().copied().collect(),
        objects: objects
            .iter()
            .map(|object| ObjectJson {
                r#type: object.kind,
                name: object.name,
                stats: sum.of(&group.id, object.rid),
            })
            .collect(),
    };
    shown.iter().map(group).collect()
}

const EXAMPLES: &str = "\
Columns, -f:
  s  operations, blocks of 512 bytes, and the average time of reads and writes (the default)
  a  ranges that were copied to plexes that are filled: operations, blocks, average time
  b  ranges whose copies were made equal, as they may have differed: the same
  c  reads that failed and were written anew from another copy; writes are never
  f  reads and writes that failed
  m  the time of the slowest read and write
  o  operations that have not come to their end, and how long the oldest of them is on its way
  v  verified reads and writes: there are none here

Without -d, -p, -s and -v what is named is shown, or all volumes. A volume counts what programs ask
of it, from then to the answer; plexes, subdisks and disks count what disks were told for it. It is
counted since vxiod was started, or since -r. A group that is not shared is known on its node only.
A node that does not answer within some seconds is named, and the exit code is 1.

Examples:
  vxstat -g mydg                   all volumes, on all nodes together
  vxstat -g mydg -n 1 -d vol1      the disks below vol1, as node 1 has used them
  vxstat -g mydg -f fo -d          what failed on disks, and what they are doing
  vxstat -g mydg -i 5 -c 12        what happens, every 5 seconds for a minute
  vxstat -g mydg -r                counts anew

JSON: a list of groups: group, nodes, silent (nodes that have not answered), objects: type (vol, pl,
sd, dm), name, counters (reads, writes, atomic_copies, read_writebacks: ops, sectors, micros,
max_micros; failed_reads, failed_writes, corrected_reads), outstanding (ops, oldest_micros), opens (of
volumes: how many programs have it open), and of volumes latency (reads, writes): how many took less than
1, 2, 4, 8... microseconds.

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running.";

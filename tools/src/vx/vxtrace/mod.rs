//! `vxtrace`: requests to volumes of this node, and what disks do for them, line by line (facts 4.5).

mod line;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, ValueEnum};
use cvm::model::Name;
use cvm::request::{Reply, Request};
use cvm::snapshot::Snapshot;
use cvm::stats::{TraceEvent, TraceTaken, Traced};

use super::{Daemon, GroupOption, exit, length, name};
use crate::common::output::print;
use crate::common::time::some_seconds;
use crate::common::{Failure, Root};
use crate::muster::wait::{now, pause};

/// Show requests to the volumes of this node, and what disks do for them, as they begin and end
#[derive(Debug, Parser)]
#[command(name = "vxtrace", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    #[command(flatten)]
    dg: GroupOption,
    /// Room for events that are not shown yet, such as 64k; from 8k to 1m
    #[arg(short = 'b', value_name = "SIZE", value_parser = room, default_value = "1m")]
    room: u32,
    /// End after so many events
    #[arg(short = 'c', value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Not what happens now, but the events of a file that --json has made; - is standard input
    #[arg(short = 'f', value_name = "FILE", conflicts_with_all = ["room", "timeout"])]
    file: Option<PathBuf>,
    /// All that is known of each event
    #[arg(short = 'l')]
    long: bool,
    /// Whose events
    #[arg(
        short = 'o',
        value_name = "TYPE[,TYPE...]",
        value_enum,
        value_delimiter = ',',
        default_value = "dev,disk"
    )]
    kinds: Vec<Kind>,
    /// End after so many seconds
    #[arg(short = 't', value_name = "TIMEOUT", value_parser = some_seconds)]
    timeout: Option<Duration>,
    /// Print each event as JSON, one on a line
    #[arg(long)]
    json: bool,
    /// Only events of these: volumes, plexes, subdisks or disks
    #[arg(value_name = "OBJECT", value_parser = name)]
    objects: Vec<Name>,
}

/// Whose events are shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Kind {
    /// All of these
    All,
    /// Requests to volumes
    #[value(alias = "logical")]
    Dev,
    /// What disks do
    #[value(alias = "physical")]
    Disk,
    /// The same, by plex
    Plex,
    /// The same, by subdisk
    #[value(alias = "subdisk")]
    Sd,
}

/// `-b`: so many events.
fn room(text: &str) -> Result<u32, String> {
    let expected = || "expected a length from 8k to 1m".to_owned();
    let bytes = length(text).map_err(|error| error.to_string())?.saturating_mul(SECTOR);
    if !(ROOM_MIN..=ROOM_MAX).contains(&bytes) {
        return Err(expected());
    }
    u32::try_from(bytes / EVENT).map_err(|_| expected())
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxtrace", run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let mut shown = Shown { cli, left: cli.count.unwrap_or(u64::MAX) };
    match cli.file.as_deref() {
        Some(path) => shown.file(path),
        None => shown.follow(),
    }
}

/// Shows events, as many as are wanted.
struct Shown<'a> {
    cli: &'a Cli,
    left: u64,
}

impl Shown<'_> {
    fn follow(&mut self) -> Result<(), Failure> {
        let end = self.cli.timeout.map(|timeout| now() + timeout);
        let mut daemon = Daemon::connect(&self.cli.root)?;
        check(self.cli, &daemon.snapshot()?)?;
        let mut taken = TraceTaken { next: Vec::new(), room: self.cli.room };
        loop {
            // What has happened until the end is shown, too.
            let is_last = end.is_some_and(|end| end <= now());
            let traced = ask(&mut daemon, taken)?;
            if self.show(&traced)? || is_last {
                return Ok(());
            }
            taken = traced.taken;
            pause(end.map_or(EVERY, |end| end.since(now()).min(EVERY)));
        }
    }

    /// True if that was the last one.
    fn show(&mut self, traced: &Traced) -> Result<bool, Failure> {
        let mut text = String::new();
        if traced.lost > 0 {
            text += &if self.cli.json {
                format!("{{\"lost\":{}}}\n", traced.lost)
            } else {
                format!("LOST {} events\n", traced.lost)
            };
        }
        for event in traced.events.iter().filter(|event| is_meant(self.cli, event)) {
            let lines = self.lines(event)?;
            if self.left == 0 || lines.is_empty() {
                continue;
            }
            self.left -= 1;
            text += &lines;
        }
        print(&text)?;
        Ok(self.left == 0)
    }

    fn lines(&self, event: &TraceEvent) -> Result<String, Failure> {
        if self.cli.json {
            let json = serde_json::to_string(event).map_err(|error| Failure::because(&error))?;
            return Ok(json + "\n");
        }
        Ok(line::lines(event, &self.cli.kinds, self.cli.long))
    }

    fn file(&mut self, path: &Path) -> Result<(), Failure> {
        let named = |error: &dyn std::fmt::Display| {
            Failure::operation(format!("{}: {error}", path.display()))
        };
        let input: Box<dyn BufRead> = if path.as_os_str() == "-" {
            Box::new(std::io::stdin().lock())
        } else {
            Box::new(BufReader::new(File::open(path).map_err(|error| named(&error))?))
        };
        for line in input.lines() {
            let line = line.map_err(|error| named(&error))?;
            let read = serde_json::from_str::<Line>(&line).map_err(|error| named(&error))?;
            let traced = match read {
                Line::Event(event) => Traced { events: vec![*event], ..Traced::default() },
                Line::Lost { lost } => Traced { lost, ..Traced::default() },
            };
            if self.show(&traced)? {
                break;
            }
        }
        Ok(())
    }
}

/// A line of a file.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged)]
enum Line {
    Event(Box<TraceEvent>),
    Lost { lost: u64 },
}

fn ask(daemon: &mut Daemon, taken: TraceTaken) -> Result<Traced, Failure> {
    match daemon.ask(&Request::Trace(taken))? {
        Reply::Traced(traced) => Ok(traced),
        other => {
            Err(Failure::operation(format!("vxconfigd answered with something else: {other:?}")))
        }
    }
}

/// What is named is there.
fn check(cli: &Cli, snapshot: &Snapshot) -> Result<(), Failure> {
    let groups = super::view::chosen(snapshot, cli.dg.given())?;
    let has = |name: &&Name| {
        groups.iter().map(|shown| &shown.group).any(|group| {
            group.volumes.contains_key(*name)
                || group.plexes.contains_key(*name)
                || group.subdisks.contains_key(*name)
                || group.disks.contains_key(*name)
        })
    };
    match cli.objects.iter().find(|name| !has(name)) {
        Some(name) => Err(Failure::Operation {
            id: Some("V-5-1-924".to_owned()),
            text: format!("Record {name} not found"),
        }),
        None => Ok(()),
    }
}

/// It is about what is named.
fn is_meant(cli: &Cli, event: &TraceEvent) -> bool {
    let TraceEvent { volume, plex, subdisk, disk, group, group_name, .. } = event;
    let objects = [Some(volume), plex.as_ref(), subdisk.as_ref(), disk.as_ref()];
    let is_named = |name: &Name| objects.iter().flatten().any(|it| it.name == name.as_str());
    let is_of =
        |wanted: &Name| wanted.as_str() == group_name || wanted.as_str() == group.to_string();
    cli.dg.given().is_none_or(is_of) && (cli.objects.is_empty() || cli.objects.iter().any(is_named))
}

/// Between two looks.
const EVERY: Duration = Duration::from_millis(100);
/// What an event counts for in `-b`, in bytes.
const EVENT: u64 = 128;
const ROOM_MIN: u64 = 8 << 10;
const ROOM_MAX: u64 = 1 << 20;
const SECTOR: u64 = 512;

const EXAMPLES: &str = "\
A line for each beginning (START) and end (END), and for what has not come back for a second (STALL);
END of what has failed says error. Requests to volumes:
  OP START WORK vdev VOLUME dg GROUP dev MAJOR,MINOR block BLOCK len BLOCKS concurrency N pid PID
  OP END WORK vdev VOLUME dg GROUP op OP block BLOCK len BLOCKS time TICKS
and what a disk does, by disk, plex or subdisk, for the request of the volume with the number after op:
  OP START WORK disk DISK op OP block BLOCK len BLOCKS
  OP END WORK disk DISK op OP block BLOCK len BLOCKS time TICKS
WORK is read, write, zero, flush or copy; blocks are of 512 bytes, on disks those of the public region;
a tick is 10 ms. pid is the process that asks: that of vxfused for its files; none for copies, and for
who is on another machine. -l adds where it belongs, microseconds, and the time of day.

Only as long as somebody looks is anything kept. What is not shown in time is lost, oldest first, and
counted: LOST N events. What has begun before is shown only if it stalls.

Examples:
  vxtrace -g mydg                  what happens to volumes of mydg on this node, and on their disks
  vxtrace -o dev vol1              requests to vol1
  vxtrace -l -o disk mydg02        what disk mydg02 does, and for whom
  vxtrace -t 10 --json > trace     keeps what happens for ten seconds
  vxtrace -f trace -o plex         shows that

JSON: an object on each line: op, parent, stage (start.concurrency, end.micros and is_done,
stall.micros), work, group, group_name, volume, minor, plex, subdisk, disk (each with name and block),
len, pid, time (microseconds since 1970); or lost.

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running.";

//! `vxtask`: copies that are being made equal, on any node (facts 4.5).

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};
use cvm::core::iod::Pace;
use cvm::model::Name;
use cvm::model::op::Op;
use cvm::request::Request;
use cvm::snapshot::TaskSnapshot;

use super::{Daemon, exit, name};
use crate::common::output::{print, print_json};
use crate::common::time::some_seconds;
use crate::common::{Failure, Root};

/// Show copies that are being made equal, and say how fast
#[derive(Debug, Parser)]
#[command(name = "vxtask", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    root: Root,
    /// Only of this disk group
    #[arg(short = 'g', value_name = "GROUP", value_parser = name)]
    group: Option<Name>,
    /// Only of this volume
    #[arg(short = 'v', value_name = "VOLUME", value_parser = name)]
    volume: Option<Name>,
    /// No header
    #[arg(short = 'H')]
    bare: bool,
    /// monitor: print it so many times at most
    #[arg(short = 'c', value_name = "TIMES")]
    count: Option<u64>,
    /// monitor: seconds in between
    #[arg(short = 'w', value_name = "SECONDS", value_parser = some_seconds, default_value = "5")]
    wait: Duration,
    /// list: print JSON
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Give up: plexes that are filled are taken off, as though they could not be written
    Abort {
        /// Which task
        task: u32,
    },
    /// Print what is under way
    List {
        /// Only these
        tasks: Vec<u32>,
    },
    /// Print it again and again, until nothing is under way
    Monitor {
        /// Only these
        tasks: Vec<u32>,
    },
    /// Copy nothing more, until it is resumed
    Pause {
        /// Which task
        task: u32,
    },
    /// Go on after a pause
    Resume {
        /// Which task
        task: u32,
    },
    /// Change a task
    Set {
        /// slow=MILLISECONDS between two megabytes; slow alone is 250
        #[arg(value_parser = slow)]
        slow: u32,
        /// Which task
        task: u32,
    },
}

/// `slow` and `slow=250`
fn slow(text: &str) -> Result<u32, String> {
    let expected = || "expected slow=MILLISECONDS, up to 60000".to_owned();
    let value = match text.split_once('=') {
        None if text == "slow" => SLOW,
        Some(("slow", value)) => value.parse().map_err(|_| expected())?,
        None | Some(_) => return Err(expected()),
    };
    if value <= SLOW_MAX { Ok(value) } else { Err(expected()) }
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxtask", run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let mut daemon = Daemon::connect(&cli.root)?;
    match &cli.action {
        Action::List { tasks } => {
            let all = under_way(&mut daemon, cli, tasks)?;
            if cli.json { print_json(&all) } else { print(&table(&all, !cli.bare)) }
        }
        Action::Monitor { tasks } => monitor(&mut daemon, cli, tasks),
        Action::Abort { task }
        | Action::Pause { task }
        | Action::Resume { task }
        | Action::Set { task, .. } => {
            let all = under_way(&mut daemon, cli, &[*task])?;
            let Some(found) = all.first() else {
                return Err(Failure::operation(format!("there is no task {task}")));
            };
            daemon.change(&request(&cli.action, found)?)
        }
    }
}

/// Tasks that are meant.
fn under_way(daemon: &mut Daemon, cli: &Cli, ids: &[u32]) -> Result<Vec<TaskSnapshot>, Failure> {
    let all = daemon.snapshot()?.tasks;
    Ok(all.into_iter().filter(|task| is_meant(cli, ids, task)).collect())
}

fn is_meant(cli: &Cli, ids: &[u32], task: &TaskSnapshot) -> bool {
    let is = |wanted: &Option<Name>, name: &str| {
        wanted.as_ref().is_none_or(|wanted| wanted.as_str() == name)
    };
    is(&cli.group, &task.group)
        && is(&cli.volume, &task.volume)
        && (ids.is_empty() || ids.contains(&task.id))
}

fn monitor(daemon: &mut Daemon, cli: &Cli, ids: &[u32]) -> Result<(), Failure> {
    let mut before: Vec<TaskSnapshot> = Vec::new();
    if !cli.bare {
        print(HEADER)?;
    }
    for _ in 0..cli.count.unwrap_or(u64::MAX) {
        let all = under_way(daemon, cli, ids)?;
        let is_over = |task: &&TaskSnapshot| all.iter().all(|other| other.id != task.id);
        for task in before.iter().filter(is_over) {
            print(&format!("{}\n", line(task, Some("EXITED"))))?;
        }
        print(&table(&all, false))?;
        if all.is_empty() {
            return Ok(());
        }
        before = all;
        crate::muster::wait::pause(cli.wait);
    }
    Ok(())
}

/// What is asked for.
fn request(action: &Action, task: &TaskSnapshot) -> Result<Request, Failure> {
    let names = |text: &str| name(text).map_err(Failure::operation);
    let (group, volume) = (names(&task.group)?, names(&task.volume)?);
    let pace = match action {
        Action::Abort { .. } if task.is_whole => {
            let text = format!(
                "task {} cannot be aborted: copies of volume {volume} may differ until it is over \
                 (vxtask pause, vxtask set slow)",
                task.id
            );
            return Err(Failure::operation(text));
        }
        Action::Abort { .. } if task.source.is_some() => {
            let text = format!(
                "task {} cannot be aborted: volume {volume} is of use to nobody before it is full \
                 (vxtask pause, vxtask set slow; vxassist remove volume)",
                task.id
            );
            return Err(Failure::operation(text));
        }
        Action::Abort { .. } => {
            let plexes = task.plexes.iter().map(|plex| names(plex)).collect::<Result<_, _>>()?;
            return Ok(Request::Op { group, op: Op::DetachPlexes { plexes, force: false } });
        }
        Action::Pause { .. } => Pace { is_paused: true, ..task.pace },
        Action::Resume { .. } => Pace { is_paused: false, ..task.pace },
        Action::Set { slow, .. } => Pace { delay: *slow, ..task.pace },
        Action::List { .. } | Action::Monitor { .. } => task.pace,
    };
    Ok(Request::Pace { group, volume, pace })
}

fn table(tasks: &[TaskSnapshot], has_header: bool) -> String {
    let mut text = if has_header { HEADER.to_owned() } else { String::new() };
    for task in tasks {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", line(task, None));
    }
    text
}

fn line(task: &TaskSnapshot, end: Option<&str>) -> String {
    let (kind, what) = match (task.is_whole, &task.source) {
        (true, _) => ("RDWRBACK", "VOLSTART"),
        (false, None) => ("ATCOPY", "PLXATT"),
        (false, Some(_)) => ("SNAPSYNC", "SNAPSYNC"),
    };
    let state = if task.pace.is_paused { "P" } else { "R" };
    let done = task.at.saturating_mul(10_000).checked_div(task.len).unwrap_or(0);
    let share = format!("{:02}.{:02}%", done / 100, done % 100);
    let mut names = task.volume.clone();
    for plex in task.plexes.iter().chain(&task.source) {
        names = names + " " + plex;
    }
    let (id, at, len, group) = (task.id, task.at, task.len, &task.group);
    let progress = end.map_or_else(|| format!("0/{len}/{at}"), str::to_owned);
    format!(
        "{id:>6}        {:<11} {share:<7} {progress} {what} {names} {group}",
        format!("{kind}/{state}")
    )
}

const HEADER: &str = "TASKID  PTID TYPE/STATE    PCT    PROGRESS\n";
/// Milliseconds, if none are given.
const SLOW: u32 = 250;
const SLOW_MAX: u32 = 60_000;

const EXAMPLES: &str = "\
The number of a task is the minor number of its volume, the same on every node. RDWRBACK: copies that
may differ are made equal; ATCOPY: a plex is filled; SNAPSYNC: a volume is filled from another one. R: it
runs, P: it is paused.

Examples:
  vxtask list
  vxtask -g mydg -w 1 monitor
  vxtask set slow=500 46000
  vxtask pause 46000

JSON: a list; id, group, volume, is_whole, plexes, source, at, len (sectors), pace.is_paused, pace.delay.

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    fn tasks() -> Vec<TaskSnapshot> {
        let task = |id, volume: &str, plexes: &[&str], at| TaskSnapshot {
            id,
            group: "mydg".to_owned(),
            volume: volume.to_owned(),
            is_whole: plexes.is_empty(),
            plexes: plexes.iter().map(|plex| (*plex).to_owned()).collect(),
            source: None,
            at,
            len: 1_228_800,
            pace: Pace { is_paused: id == 46_001, delay: 0 },
        };
        vec![task(162, "vol1", &[], 24_384), task(46_001, "vol2", &["vol2-02"], 1_228_800)]
    }

    fn asked(words: &str) -> Result<Request, String> {
        let cli = Cli::try_parse_from(["vxtask"].into_iter().chain(words.split(' ')));
        let cli = cli.map_err(|error| error.to_string())?;
        let found = tasks().into_iter().find(|task| is_meant(&cli, &[162], task));
        let plex = tasks().into_iter().find(|task| is_meant(&cli, &[46_001], task));
        let task = if words.ends_with("162") { found } else { plex };
        request(&cli.action, &task.ok_or("no such task")?).map_err(|failure| failure.to_string())
    }

    fn paced(volume: &str, pace: Pace) -> Result<Request, String> {
        let (group, volume) = (name("mydg")?, name(volume)?);
        Ok(Request::Pace { group, volume, pace })
    }

    #[test]
    fn tasks_are_listed_as_the_original_does() {
        golden::check("vxtask-list", &table(&tasks(), true));
        assert!(line(&tasks()[0], Some("EXITED")).contains("01.98%  EXITED VOLSTART"));
        assert_eq!(table(&[], false), "");
    }

    #[test]
    fn a_command_line_becomes_a_request() {
        let paused = |is_paused, delay| Pace { is_paused, delay };
        assert_eq!(asked("pause 162"), paced("vol1", paused(true, 0)));
        assert_eq!(asked("resume 46001"), paced("vol2", paused(false, 0)));
        assert_eq!(asked("set slow=20 162"), paced("vol1", paused(false, 20)));
        assert_eq!(asked("set slow 46001"), paced("vol2", paused(true, 250)));
        let plexes = vec![name("vol2-02").unwrap()];
        let op = Op::DetachPlexes { plexes, force: false };
        assert_eq!(asked("abort 46001"), Ok(Request::Op { group: name("mydg").unwrap(), op }));
        assert!(asked("abort 162").unwrap_err().contains("cannot be aborted"));
        assert_eq!(asked("-g other pause 162"), Err("no such task".to_owned()));
        assert_eq!(asked("-v vol2 pause 162"), Err("no such task".to_owned()));
    }

    #[test]
    fn what_is_no_command_line_is_a_usage_error() {
        for line in [
            "",
            "pause",
            "pause x",
            "pause 1 2",
            "set 162",
            "set slow=x 162",
            "set fast=2 162",
            "set slow=60001 162",
            "set slow=-1 162",
            "-c x monitor",
            "-w 0 monitor",
            "-g a/b list",
            "-x list",
        ] {
            let words = ["vxtask"].into_iter().chain(line.split(' ').filter(|w| !w.is_empty()));
            assert!(Cli::try_parse_from(words).is_err(), "{line}");
        }
    }
}

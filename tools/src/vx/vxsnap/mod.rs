//! `vxsnap`: snapshots that are there at once and are filled meanwhile, and those that are broken off
//! (facts 2.7).

mod listing;
mod tuple;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use cvm::core::iod::Pace;
use cvm::model::op::{FillReason, Op};
use cvm::model::{Group, Name};
use cvm::request::Request;

use self::tuple::Tuple;
use super::copies::Pending;
use super::operand::wrong;
use super::vxassist::{storage_words, volume_of};
use super::{Daemon, GroupOption, exit, name, several, view};
use crate::common::output::{print, print_json};
use crate::common::{Failure, Root};

/// Make, refresh and restore snapshots of volumes
#[derive(Debug, Parser)]
#[command(name = "vxsnap", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    root: Root,
    #[command(flatten)]
    dg: GroupOption,
    /// In the background: addmir and reattach do not wait until copies are equal
    #[arg(short = 'b')]
    background: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add mirrors that are to be broken off, and fill them
    Addmir {
        /// To which volume
        #[arg(value_parser = name)]
        volume: Name,
        /// nmirror=N (1), alloc=DISK,..., and disks
        words: Vec<String>,
    },
    /// Forget what volume a snapshot is of
    Dis(OfSnapshot),
    /// Print snapshots with their volumes, one to a line
    List(Listed),
    /// Make a snapshot: of a volume that is filled, or of mirrors that are broken off
    Make {
        /// source=VOLUME/snapvol=SNAPSHOT[/syncing=no], or source=VOLUME/newvol=SNAPSHOT[/nmirror=N]
        tuple: Vec<String>,
    },
    /// Give a volume the logs that snapshots need
    Prepare {
        /// Which volume
        #[arg(value_parser = name)]
        volume: Name,
        /// ndcomirs=N logs (as many as the volume has mirrors), drl=on, regionsize=1m, alloc=DISK,..., and
        /// disks
        words: Vec<String>,
    },
    /// Print volumes with their snapshots, and how far those are filled
    Print(Listed),
    /// Give the mirrors of a snapshot back to its volume; the snapshot is removed
    Reattach {
        /// Which snapshot
        #[arg(value_parser = name)]
        snapshot: Name,
        /// source=VOLUME
        words: Vec<String>,
    },
    /// Let a snapshot hold what its volume holds now
    Refresh {
        /// Which snapshot
        #[arg(value_parser = name)]
        snapshot: Name,
        /// source=VOLUME, syncing=no
        words: Vec<String>,
    },
    /// Let a volume hold what a snapshot of it holds
    Restore {
        /// Which volume
        #[arg(value_parser = name)]
        volume: Name,
        /// source=SNAPSHOT, destroy=no, syncing=no
        words: Vec<String>,
    },
    /// Remove mirrors that are to be broken off
    Rmmir {
        /// Of which volume
        #[arg(value_parser = name)]
        volume: Name,
    },
    /// Wait until mirrors that are to be broken off are full
    Snapwait {
        /// Of which volume
        #[arg(value_parser = name)]
        volume: Name,
    },
    /// The same as dis
    Split(OfSnapshot),
    /// Fill nothing but what programs wait for, until syncresume
    Syncpause(OfSnapshot),
    /// Go on
    Syncresume(OfSnapshot),
    /// The same as syncresume
    Syncstart(OfSnapshot),
    /// The same as syncpause
    Syncstop(OfSnapshot),
    /// Wait until a volume is filled
    Syncwait(OfSnapshot),
    /// Remove the logs of a volume
    Unprepare {
        /// Which volume
        #[arg(value_parser = name)]
        volume: Name,
    },
    #[command(external_subcommand)]
    Other(Vec<String>),
}

#[derive(Debug, clap::Args)]
struct OfSnapshot {
    /// Which snapshot
    #[arg(value_parser = name)]
    snapshot: Name,
}

#[derive(Debug, clap::Args)]
struct Listed {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Only these volumes and snapshots
    #[arg(value_parser = name)]
    volumes: Vec<Name>,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxsnap", run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    if let Action::Other(words) = &cli.action {
        return Err(Failure::Usage(other(words.first().map_or("", String::as_str))));
    }
    let group = cli.dg.resolve(&cli.root)?;
    let mut daemon = Daemon::connect(&cli.root)?;
    match &cli.action {
        Action::Print(listed) | Action::List(listed) => {
            let snapshot = daemon.snapshot()?;
            let shown = listing::shown(&snapshot, &group, &listed.volumes)?;
            if listed.json {
                return print_json(&shown);
            }
            let is_list = matches!(cli.action, Action::List(_));
            print(&if is_list { listing::list(&shown) } else { listing::print(&shown) })
        }
        Action::Syncpause(of) | Action::Syncstop(of) => pause(&mut daemon, &group, of, true),
        Action::Syncresume(of) | Action::Syncstart(of) => pause(&mut daemon, &group, of, false),
        Action::Syncwait(OfSnapshot { snapshot }) | Action::Snapwait { volume: snapshot } => {
            let now = daemon.snapshot()?;
            volume_of(view::still(&now, &group)?, snapshot)?;
            wait(cli, &group, snapshot)
        }
        action => {
            let now = daemon.snapshot()?;
            let step = step(action, view::still(&now, &group)?)?;
            daemon.change(&Request::Op { group: group.clone(), op: step.op })?;
            if step.pauses {
                let paused = set_pace(&mut daemon, &group, &step.volume, true);
                let now = daemon.snapshot()?;
                let volume = volume_of(view::still(&now, &group)?, &step.volume)?;
                // A small one may be full by now.
                return if volume.fill.is_some() { paused } else { Ok(()) };
            }
            let waits = matches!(action, Action::Addmir { .. } | Action::Reattach { .. });
            if waits && !cli.background { wait(cli, &group, &step.volume) } else { Ok(()) }
        }
    }
}

/// A change, and what follows it.
struct Step {
    op: Op,
    /// The volume that is copied to.
    volume: Name,
    /// Nothing is filled but what programs wait for.
    pauses: bool,
}

/// What is asked for.
fn step(action: &Action, group: &Group) -> Result<Step, Failure> {
    let of = |op: Op, volume: &Name| Ok(Step { op, volume: volume.clone(), pauses: false });
    match action {
        Action::Addmir { volume, words } => {
            let (count, storage) = mirrors(words)?;
            let name = volume.clone();
            of(Op::SnapStart { volume: name, count, layout: None, storage }, volume)
        }
        Action::Dis(OfSnapshot { snapshot }) | Action::Split(OfSnapshot { snapshot }) => {
            of(Op::SnapClear(snapshot.clone()), snapshot)
        }
        Action::Make { tuple } => make(tuple),
        Action::Prepare { volume, words } => {
            let (count, storage) = logs(group, volume, words)?;
            of(Op::Prepare { volume: volume.clone(), count, storage }, volume)
        }
        Action::Unprepare { volume } => of(Op::Unprepare(volume.clone()), volume),
        Action::Rmmir { volume } => of(Op::SnapAbort(volume.clone()), volume),
        Action::Reattach { snapshot, words } => {
            let mut words = Tuple::of_words(words)?;
            let original = original(group, snapshot, words.take("source"))?;
            words.end("source=VOLUME")?;
            let op = Op::SnapBack { snapshot: snapshot.clone(), from_replica: false };
            Ok(Step { op, volume: original, pauses: false })
        }
        Action::Refresh { snapshot, words } => {
            let mut words = Tuple::of_words(words)?;
            let from = original(group, snapshot, words.take("source"))?;
            let pauses = words.pauses()?;
            words.end("source=VOLUME, syncing=yes or syncing=no")?;
            let (volume, why) = (snapshot.clone(), FillReason::Refresh);
            Ok(Step { op: Op::Fill { volume, from, why }, volume: snapshot.clone(), pauses })
        }
        Action::Restore { volume, words } => restore(volume, words),
        Action::List(_)
        | Action::Print(_)
        | Action::Snapwait { .. }
        | Action::Syncpause(_)
        | Action::Syncresume(_)
        | Action::Syncstart(_)
        | Action::Syncstop(_)
        | Action::Syncwait(_)
        | Action::Other(_) => Err(wrong("this changes nothing")),
    }
}

fn make(tuples: &[String]) -> Result<Step, Failure> {
    let expected = "source=VOLUME/snapvol=SNAPSHOT or source=VOLUME/newvol=SNAPSHOT/nmirror=N";
    let [tuple] = tuples else {
        return Err(wrong(format!("expected one snapshot: {expected}")));
    };
    let mut tuple = Tuple::of(tuple)?;
    let source = tuple.take("source").ok_or_else(|| wrong(format!("expected {expected}")))?;
    let (source, pauses) = (name(&source).map_err(wrong)?, tuple.pauses()?);
    let (snapvol, newvol) = (tuple.take("snapvol"), tuple.take("newvol"));
    let count = tuple.take("nmirror");
    tuple.end(expected)?;
    match (snapvol, newvol, count) {
        (Some(snapshot), None, None) => {
            let volume = name(&snapshot).map_err(wrong)?;
            let op = Op::Fill { volume: volume.clone(), from: source, why: FillReason::Make };
            Ok(Step { op, volume, pauses })
        }
        (None, Some(_), _) if pauses => {
            Err(wrong("syncing=no: what is broken off is full already"))
        }
        (None, Some(snapshot), count) => {
            let snapshot = name(&snapshot).map_err(wrong)?;
            let count = count.map_or(Ok(1), |count| tuple::number("nmirror", &count))?;
            let op = Op::Snapshot { volume: source, snapshot: Some(snapshot.clone()), count };
            Ok(Step { op, volume: snapshot, pauses: false })
        }
        _ => Err(wrong(format!("expected {expected}"))),
    }
}

fn restore(volume: &Name, words: &[String]) -> Result<Step, Failure> {
    let expected = "source=SNAPSHOT, destroy=no, syncing=yes or syncing=no";
    let mut words = Tuple::of_words(words)?;
    let source = words.take("source").ok_or_else(|| wrong(format!("expected {expected}")))?;
    let from = name(&source).map_err(wrong)?;
    match words.take("destroy").as_deref() {
        None | Some("no") => {}
        Some("yes") => {
            let text = "destroy=yes: the snapshot is read until all is filled; vxassist remove volume \
                        removes it after that (vxsnap syncwait)";
            return Err(wrong(text));
        }
        Some(_) => return Err(wrong("expected destroy=no")),
    }
    let pauses = words.pauses()?;
    words.end(expected)?;
    let op = Op::Fill { volume: volume.clone(), from, why: FillReason::Restore };
    Ok(Step { op, volume: volume.clone(), pauses })
}

/// `nmirror=N` and storage.
fn mirrors(words: &[String]) -> Result<(u16, Vec<cvm::model::op::Storage>), Failure> {
    let (mut attributes, storage) = storage_words(words, &["nmirror"]).map_err(wrong)?;
    let count = attributes.remove("nmirror");
    let count = count.map_or(Ok(1), |count| tuple::number("nmirror", &count))?;
    Ok((count, storage))
}

/// How many logs, and where.
fn logs(
    group: &Group,
    volume: &Name,
    words: &[String],
) -> Result<(u16, Vec<cvm::model::op::Storage>), Failure> {
    let known = ["ndcomirs", "ndcomirror", "drl", "regionsize"];
    let (mut attributes, storage) = storage_words(words, &known).map_err(wrong)?;
    let count = attributes.remove("ndcomirs").or_else(|| attributes.remove("ndcomirror"));
    if let Some(drl) = attributes.get("drl").filter(|drl| *drl != "on" && *drl != "yes") {
        return Err(wrong(format!(
            "drl={drl}: logs of snapshots are dirty region logs, too (drl=on)"
        )));
    }
    if let Some(size) = attributes.get("regionsize") {
        let sectors = super::length(size).map_err(|error| wrong(error.to_string()))?;
        if sectors != cvm::disk::DRL_REGION {
            return Err(wrong(format!("regionsize={size}: regions have 1m each")));
        }
    }
    let volume = volume_of(group, volume)?;
    let data = volume.plexes.iter().filter_map(|plex| group.plexes.get(plex));
    let mirrors = u16::try_from(data.filter(|plex| !plex.is_log_only()).count()).unwrap_or(1);
    let count = count.map_or(Ok(mirrors), |count| tuple::number("ndcomirs", &count))?;
    Ok((count, storage))
}

/// The volume that a snapshot is of, which may be named.
fn original(group: &Group, snapshot: &Name, named: Option<String>) -> Result<Name, Failure> {
    let volume = volume_of(group, snapshot)?;
    let own = group.original_of(volume).map(|(name, _)| name.clone());
    match (own, named) {
        (Some(own), Some(named)) if own.as_str() != named => {
            let text = format!("Volume {snapshot} is a snapshot of {own}, not of {named}");
            Err(Failure::operation(text))
        }
        (Some(own), _) => Ok(own),
        (None, _) => Err(Failure::operation(format!("Volume {snapshot} is no snapshot"))),
    }
}

fn pause(
    daemon: &mut Daemon,
    group: &Name,
    OfSnapshot { snapshot }: &OfSnapshot,
    is_paused: bool,
) -> Result<(), Failure> {
    let now = daemon.snapshot()?;
    if volume_of(view::still(&now, group)?, snapshot)?.fill.is_none() {
        return Err(Failure::operation(format!("Volume {snapshot} is not being filled")));
    }
    set_pace(daemon, group, snapshot, is_paused)
}

fn set_pace(
    daemon: &mut Daemon,
    group: &Name,
    volume: &Name,
    is_paused: bool,
) -> Result<(), Failure> {
    let pace = Pace { is_paused, ..Pace::default() };
    daemon.change(&Request::Pace { group: group.clone(), volume: volume.clone(), pace })
}

/// Until nothing of the volume is being copied any more.
fn wait(cli: &Cli, group: &Name, volume: &Name) -> Result<(), Failure> {
    let mut pending = Pending::default();
    pending.add(view::still(&Daemon::connect(&cli.root)?.snapshot()?, group)?, volume);
    several("vxsnap", pending.wait(&cli.root)?)
}

/// Actions of the original that are not here, and words that are none.
fn other(action: &str) -> String {
    let why = match action {
        "addmap" => "logs have room for a map of each node",
        "addmirror" => return "expected addmir".to_owned(),
        "addcache" | "rmcache" => "there are no caches: snapshots are as large as their volumes",
        _ => {
            return format!(
                "\"{action}\" is no action: expected prepare, unprepare, make, addmir, rmmir, snapwait, \
                 refresh, restore, reattach, dis, split, print, list, syncwait, syncpause, syncresume, \
                 syncstart or syncstop"
            );
        }
    };
    format!("{action} is not in this version: {why}")
}

const EXAMPLES: &str = "\
A snapshot that is filled:
  vxassist -g mydg make snap1 10g init=active       as long as vol1
  vxsnap -g mydg prepare snap1                      a log, which says what is filled
  vxsnap -g mydg make source=vol1/snapvol=snap1     snap1 holds what vol1 held at this moment
  vxsnap -g mydg print                              how far it is filled
  vxsnap -g mydg refresh snap1                      ... and now this moment
  vxsnap -g mydg restore vol1 source=snap1          vol1 holds what snap1 holds
  vxsnap -g mydg syncwait vol1                      until it is filled

A snapshot that is broken off, as with vxassist snapstart and snapshot:
  vxsnap -g mydg addmir vol1
  vxsnap -g mydg make source=vol1/newvol=snap2
  vxsnap -g mydg reattach snap2

Both volumes can be used at once on all nodes. Until all is filled each region (1 MB) is copied before it is read
or written in the one that is filled, or written in the other one. Whoever is filled is not open meanwhile
when that begins. A snapshot that cannot be filled is INVALID: refresh begins anew.

SNAPTYPE of list is fullinst for a snapshot with a log, which can be filled again, mirbrk for mirrors that
were broken off, snapmir for those that are to be. SYNCED_DATA is what is filled. CHANGE_DATA is what has
been written since then, as far as that is known without reading maps on disks: nothing, or a dash.

JSON of print and list: a list of objects with volume, length, kernel, state, snapshot_of, snapshots,
source, valid (hundredths of a per cent), snaptype, changed (sectors, or null) and mirrors (plex, valid).

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running.";

#[cfg(test)]
mod tests;

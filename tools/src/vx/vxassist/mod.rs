//! `vxassist`: makes, mirrors, resizes and removes whole volumes (facts 4.3).

mod defaults;
mod help;
mod layout;
mod make;
mod snapshots;
mod words;

pub(super) use words::storage_words;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use cvm::model::op::{Make, NewLength, Op};
use cvm::model::{Group, LogType, Name, Sectors, Volume};
use cvm::request::{Reply, Request};
use serde::Serialize;

use super::copies::Pending;
use super::{Daemon, GroupOption, exit, length, name, several, view};
use crate::common::output::{print, print_json};
use crate::common::{Failure, Root};

use help::Topic;
use words::{Attributes, Key};

/// Make, mirror, resize and remove volumes
#[derive(Debug, Parser)]
#[command(name = "vxassist", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    root: Root,
    #[command(flatten)]
    dg: GroupOption,
    /// In the background: make, mirror, move, snapstart and snapback do not wait until copies are equal
    #[arg(short = 'b')]
    background: bool,
    /// Defaults from this file instead of etc/default/vxassist
    #[arg(short = 'd', value_name = "FILE")]
    defaults: Option<PathBuf>,
    /// Shrink although a file system could be cut; remove a volume that is started
    #[arg(short = 'f')]
    force: bool,
    /// force: as -f; resyncfromreplica: snapback gives the volume what the snapshot holds
    #[arg(short = 'o', value_name = "OPTION")]
    options: Vec<UseOption>,
    /// Tag of the tasks that it begins: taken, and of no effect, for tasks have no tags here
    #[arg(short = 't', value_name = "TAG")]
    tag: Option<String>,
    /// Usage type of the volume: fsgen or gen
    #[arg(short = 'U', value_name = "TYPE", value_parser = words::usage)]
    usage: Option<String>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum UseOption {
    Force,
    #[value(name = "resyncfromreplica")]
    FromReplica,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a volume
    Make {
        /// Its name
        #[arg(value_parser = name)]
        volume: Name,
        /// Its length, such as 100m, or maxsize for the longest possible
        #[arg(value_parser = wanted)]
        length: Wanted,
        /// Attributes and storage: vxassist help attrs, layout, space
        words: Vec<String>,
    },
    /// Add mirrors
    Mirror(VolumeWords),
    /// Add dirty region logs
    Addlog(VolumeWords),
    /// Remove a volume, or mirrors or logs of one
    Remove {
        /// What
        what: Part,
        #[command(flatten)]
        of: VolumeWords,
    },
    /// Move what lies on some disks to others: !mydg01 mydg02
    Move(VolumeWords),
    /// Add a mirror that is to be broken off: snapshot mirrors are filled, and then kept equal
    Snapstart(VolumeWords),
    /// Wait until the snapshot mirrors of a volume are full
    Snapwait(OfVolume),
    /// Break full snapshot mirrors off: they become a volume, with what the volume holds now
    Snapshot {
        /// Of which volume
        #[arg(value_parser = name)]
        volume: Name,
        /// What it is called (SNAP-VOLUME), and nmirror=N, how many mirrors it takes (1)
        words: Vec<String>,
    },
    /// Give the mirrors of a snapshot back to its volume; the snapshot is removed
    Snapback(OfVolume),
    /// Forget what volume a snapshot is of
    Snapclear(OfVolume),
    /// Remove the snapshot mirrors of a volume
    Snapabort(OfVolume),
    /// Tell which snapshots there are
    Snapprint {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
        /// Of these volumes; of all if none is named
        #[arg(value_parser = name)]
        volumes: Vec<Name>,
    },
    /// Make longer by a length
    Growby(Resized),
    /// Make as long as that, and not shorter
    Growto(Resized),
    /// Make shorter by a length
    Shrinkby(Resized),
    /// Make as short as that, and not longer
    Shrinkto(Resized),
    /// Tell how long a volume could be
    Maxsize {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
        /// Attributes and storage, as of make
        words: Vec<String>,
    },
    /// Tell how long a volume could become
    Maxgrow {
        /// Print it as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        of: VolumeWords,
    },
    /// Explain attributes, layouts, storage
    Help {
        /// About what
        #[arg(default_value = "usage")]
        topic: Topic,
    },
    #[command(external_subcommand)]
    Other(Vec<String>),
}

#[derive(Clone, Debug, clap::Args)]
struct VolumeWords {
    /// Which volume
    #[arg(value_parser = name)]
    volume: Name,
    /// Attributes and storage: vxassist help attrs, space
    words: Vec<String>,
}

#[derive(Clone, Debug, clap::Args)]
struct OfVolume {
    /// Which volume
    #[arg(value_parser = name)]
    volume: Name,
}

#[derive(Clone, Debug, clap::Args)]
struct Resized {
    /// Which volume
    #[arg(value_parser = name)]
    volume: Name,
    /// A length, such as 100m
    #[arg(value_parser = length)]
    length: Sectors,
    /// Storage: vxassist help space
    words: Vec<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Part {
    Log,
    Mirror,
    Volume,
}

/// `LENGTH|maxsize`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wanted {
    Length(Sectors),
    Longest,
}

fn wanted(text: &str) -> Result<Wanted, String> {
    match text {
        "maxsize" => Ok(Wanted::Longest),
        _ => match length(text) {
            Ok(0) => Err("a volume is not 0 sectors long".to_owned()),
            Ok(length) => Ok(Wanted::Length(length)),
            Err(error) => Err(format!("{error}, or maxsize")),
        },
    }
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxassist", run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    if let Action::Other(words) = &cli.action {
        return Err(Failure::Usage(other(words.first().map_or("", String::as_str))));
    }
    let standard = defaults::read(&cli.root, cli.defaults.as_deref())?;
    if let Action::Help { topic } = cli.action {
        return print(&help::page(topic, &standard)?);
    }
    let group = cli.dg.resolve(&cli.root)?;
    if let Action::Snapprint { json, volumes } = &cli.action {
        let snapshot = Daemon::connect(&cli.root)?.snapshot()?;
        let group = view::still(&snapshot, &group)?;
        volumes.iter().try_for_each(|volume| volume_of(group, volume).map(drop))?;
        let shown = snapshots::shown(group, volumes);
        return if *json { print_json(&shown) } else { print(&snapshots::text(&shown)) };
    }
    if let Action::Snapwait(OfVolume { volume }) = &cli.action {
        return snap_wait(cli, &group, volume);
    }
    let request = request(cli, group.clone(), &standard)?;
    let mut daemon = Daemon::connect(&cli.root)?;
    match &cli.action {
        Action::Snapback(OfVolume { volume }) if !cli.background => {
            // Afterwards nothing says what it was a snapshot of.
            let snapshot = daemon.snapshot()?;
            let group_now = view::still(&snapshot, &group)?;
            let original = group_now.original_of(volume_of(group_now, volume)?);
            let original = original.map(|(original, _)| original.clone());
            daemon.change(&request)?;
            original.map_or(Ok(()), |original| wait_for(cli, &group, &original))
        }
        Action::Maxsize { json, .. } => {
            let longest = Longest { length: ask_length(&mut daemon, &request)? };
            if *json { print_json(&longest) } else { print(&longest.text()) }
        }
        Action::Maxgrow { json, of } => {
            let length = ask_length(&mut daemon, &request)?;
            let snapshot = daemon.snapshot()?;
            let volume = view::still(&snapshot, &group)?.volumes.get(&of.volume);
            // It was there a moment ago.
            let gone = || Failure::operation(format!("Volume {} was just removed", of.volume));
            let now = volume.ok_or_else(gone)?.len;
            let grown = Grown { volume: of.volume.clone(), by: length.saturating_sub(now), length };
            if *json { print_json(&grown) } else { print(&grown.text()) }
        }
        Action::Make { volume, .. }
        | Action::Mirror(VolumeWords { volume, .. })
        | Action::Move(VolumeWords { volume, .. })
        | Action::Snapstart(VolumeWords { volume, .. })
            if !cli.background =>
        {
            daemon.change(&request)?;
            wait_for(cli, &group, volume)
        }
        _ => daemon.change(&request),
    }
}

/// Until nothing of the volume is being copied any more.
fn wait_for(cli: &Cli, group: &Name, volume: &Name) -> Result<(), Failure> {
    let mut pending = Pending::default();
    pending.add(view::still(&Daemon::connect(&cli.root)?.snapshot()?, group)?, volume);
    several("vxassist", pending.wait(&cli.root)?)
}

/// Until all snapshot mirrors are full; there has to be one.
fn snap_wait(cli: &Cli, group: &Name, volume: &Name) -> Result<(), Failure> {
    let has_mirrors = || -> Result<bool, Failure> {
        let snapshot = Daemon::connect(&cli.root)?.snapshot()?;
        let group = view::still(&snapshot, group)?;
        Ok(snapshots::has_mirrors(group, volume_of(group, volume)?))
    };
    if has_mirrors()? {
        wait_for(cli, group, volume)?;
    }
    if has_mirrors()? {
        Ok(())
    } else {
        let text = format!("Volume {volume} has no snapshot mirror that is filled");
        Err(Failure::operation(text))
    }
}

/// A volume of the group.
///
/// # Errors
/// If there is none of that name.
pub(super) fn volume_of<'a>(group: &'a Group, name: &Name) -> Result<&'a Volume, Failure> {
    let missing = || Failure::operation(format!("Volume {name} does not exist"));
    group.volumes.get(name).ok_or_else(missing)
}

fn ask_length(daemon: &mut Daemon, request: &Request) -> Result<Sectors, Failure> {
    match daemon.ask(request)? {
        Reply::Length(length) => Ok(length),
        other => {
            let text = format!("vxconfigd answered with something else: {other:?}");
            Err(Failure::operation(text))
        }
    }
}

/// What a command line asks for.
fn request(cli: &Cli, group: Name, standard: &Attributes) -> Result<Request, Failure> {
    let force = cli.force || cli.options.contains(&UseOption::Force);
    let from_replica = cli.options.contains(&UseOption::FromReplica);
    if from_replica && !matches!(cli.action, Action::Snapback(_)) {
        let text = "-o resyncfromreplica is for snapback".to_owned();
        return Err(Failure::Usage(text));
    }
    let asker = Asker { standard, usage: cli.usage.as_ref(), force, from_replica };
    let request = match &cli.action {
        Action::Maxsize { words, .. } => asker.max_size(group, words),
        Action::Maxgrow { of, .. } => attributes("maxgrow", &of.words, &[Key::Alloc])
            .map(|own| Request::MaxGrow { group, volume: of.volume.clone(), storage: own.storage }),
        action => asker.op(action).map(|op| Request::Op { group, op }),
    };
    request.map_err(Failure::Usage)
}

/// Attributes of an action that has only some.
fn attributes(action: &str, words: &[String], allowed: &[Key]) -> Result<Attributes, String> {
    let all = Attributes::of(words.iter().map(String::as_str))?;
    all.only(action, allowed).map(|()| all)
}

/// What counts beside the action.
#[derive(Clone, Copy)]
struct Asker<'a> {
    standard: &'a Attributes,
    usage: Option<&'a String>,
    force: bool,
    from_replica: bool,
}

impl Asker<'_> {
    fn volume(
        self,
        volume: Name,
        length: Option<Sectors>,
        words: &[String],
    ) -> Result<Box<Make>, String> {
        let mut own = attributes("make", words, MADE)?;
        own.usage = own.usage.or_else(|| self.usage.cloned());
        make::make(volume, length, own, self.standard).map(Box::new)
    }

    fn max_size(self, group: Name, words: &[String]) -> Result<Request, String> {
        // The request has a place for a name, which the answer has nothing to do with.
        let make = self.volume(name("maxsize")?, None, words)?;
        Ok(Request::MaxSize { group, make })
    }

    fn grow(self, action: &str, of: &Resized, to: NewLength) -> Result<Op, String> {
        let storage = attributes(action, &of.words, &[Key::Alloc])?.storage;
        Ok(Op::Resize { volume: of.volume.clone(), to, storage, force: self.force })
    }

    fn shrink(self, action: &str, of: &Resized, to: NewLength) -> Result<Op, String> {
        if of.words.is_empty() {
            return self.grow(action, of, to);
        }
        Err(format!("{action} takes neither attributes nor storage: it only gives some back"))
    }

    fn op(self, action: &Action) -> Result<Op, String> {
        match action {
            Action::Make { volume, length, words } => {
                let length = match length {
                    Wanted::Length(length) => Some(*length),
                    Wanted::Longest => None,
                };
                self.volume(volume.clone(), length, words).map(Op::Make)
            }
            Action::Mirror(of) => mirror(of),
            Action::Addlog(of) => add_log(of, self.standard),
            Action::Remove { what, of } => remove(*what, of, self.force),
            Action::Move(of) => move_away(of),
            Action::Snapabort(of) => Ok(Op::SnapAbort(of.volume.clone())),
            Action::Snapback(of) => {
                Ok(Op::SnapBack { snapshot: of.volume.clone(), from_replica: self.from_replica })
            }
            Action::Snapclear(of) => Ok(Op::SnapClear(of.volume.clone())),
            Action::Snapshot { volume, words } => snapshot(volume, words),
            Action::Snapstart(of) => snap_start(of),
            Action::Growby(of) => self.grow("growby", of, NewLength::GrowBy(of.length)),
            Action::Growto(of) => self.grow("growto", of, NewLength::GrowTo(of.length)),
            Action::Shrinkby(of) => self.shrink("shrinkby", of, NewLength::ShrinkBy(of.length)),
            Action::Shrinkto(of) => self.shrink("shrinkto", of, NewLength::ShrinkTo(of.length)),
            Action::Maxsize { .. }
            | Action::Maxgrow { .. }
            | Action::Help { .. }
            | Action::Snapprint { .. }
            | Action::Snapwait(_) => Err("this changes nothing".to_owned()),
            Action::Other(words) => Err(other(words.first().map_or("", String::as_str))),
        }
    }
}

fn mirror(of: &VolumeWords) -> Result<Op, String> {
    let own = attributes("mirror", &of.words, &[Key::Layout, Key::Mirrors, Key::Alloc])?;
    let (volume, layout) = (of.volume.clone(), own.layout.kind());
    Ok(Op::Mirror { volume, count: own.mirrors.unwrap_or(1), layout, storage: own.storage })
}

fn snap_start(of: &VolumeWords) -> Result<Op, String> {
    let own = attributes("snapstart", &of.words, &[Key::Layout, Key::Mirrors, Key::Alloc])?;
    let (volume, layout) = (of.volume.clone(), own.layout.kind());
    Ok(Op::SnapStart { volume, count: own.mirrors.unwrap_or(1), layout, storage: own.storage })
}

/// The name comes first, if there is one.
fn snapshot(volume: &Name, words: &[String]) -> Result<Op, String> {
    let (snapshot, rest) = match words.split_first() {
        Some((first, rest)) if !first.contains('=') => (Some(name(first)?), rest),
        Some(_) | None => (None, words),
    };
    let own = attributes("snapshot", rest, &[Key::Mirrors])?;
    if let Some(word) = own.storage.first() {
        let disk = &word.disk;
        return Err(format!("snapshot takes a name and nmirror=N, not \"{disk}\" as well"));
    }
    Ok(Op::Snapshot { volume: volume.clone(), snapshot, count: own.mirrors.unwrap_or(1) })
}

fn move_away(of: &VolumeWords) -> Result<Op, String> {
    let storage = attributes("move", &of.words, &[Key::Alloc])?.storage;
    if storage.iter().any(|word| word.excluded) {
        Ok(Op::Move { volume: of.volume.clone(), storage })
    } else {
        Err("move needs a disk to leave: !DISK".to_owned())
    }
}

fn add_log(of: &VolumeWords, standard: &Attributes) -> Result<Op, String> {
    let own = attributes("addlog", &of.words, LOGGED)?;
    let of_file = standard.log_type.filter(|log_type| *log_type != LogType::None);
    let log_type = own.log_type.or(of_file).unwrap_or(LogType::Region);
    if log_type == LogType::None || own.logs == Some(0) {
        return Err("addlog adds at least one log, of the type drl or drlseq".to_owned());
    }
    let (volume, count) = (of.volume.clone(), own.logs.unwrap_or(1));
    Ok(Op::AddLog { volume, log_type, count, len: own.log_len, storage: own.storage })
}

fn remove(what: Part, of: &VolumeWords, force: bool) -> Result<Op, String> {
    let own = Attributes::of(of.words.iter().map(String::as_str))?;
    let (volume, storage) = (of.volume.clone(), own.storage.clone());
    match what {
        Part::Log => {
            own.only("remove log", &[Key::Logs, Key::LogType, Key::Alloc])?;
            let count = own.logs.unwrap_or(1);
            if count == 0 {
                return Err("remove log removes at least one".to_owned());
            }
            Ok(Op::RemoveLog { volume, count, storage })
        }
        Part::Mirror => {
            own.only("remove mirror", &[Key::Mirrors, Key::Alloc])?;
            Ok(Op::RemoveMirror { volume, count: own.mirrors.unwrap_or(1), storage })
        }
        Part::Volume => {
            own.only("remove volume", &[])?;
            if !storage.is_empty() {
                return Err("remove volume takes no storage: it gives all of it back".to_owned());
            }
            Ok(Op::RemoveVolume { volume, force })
        }
    }
}

/// Actions of the original that are not here, and words that are none.
fn other(action: &str) -> String {
    let why = match action {
        "relayout" => "the layout of a volume cannot be changed while it has data",
        "convert" => "a layered volume cannot be made of another, nor the other way round",
        "settag" | "listtag" | "replacetag" | "removetag" | "list" => "volumes have no tags",
        _ => {
            return format!(
                "\"{action}\" is no action: expected make, mirror, addlog, remove, move, growby, \
                 growto, shrinkby, shrinkto, maxsize, maxgrow, snapstart, snapwait, snapshot, snapback, \
                 snapclear, snapabort, snapprint or help"
            );
        }
    };
    format!("{action} is not in this version: {why}")
}

/// What `maxsize` prints.
#[derive(Clone, Copy, Debug, Serialize)]
struct Longest {
    length: Sectors,
}

impl Longest {
    fn text(self) -> String {
        format!("Maximum volume size: {} ({}Mb)\n", self.length, mebibytes(self.length))
    }
}

/// What `maxgrow` prints.
#[derive(Clone, Debug, Serialize)]
struct Grown {
    volume: Name,
    by: Sectors,
    length: Sectors,
}

impl Grown {
    fn text(&self) -> String {
        let Self { volume, by, length } = self;
        let mb = mebibytes(*length);
        format!("Volume {volume} can be extended by {by} to: {length} ({mb}Mb)\n")
    }
}

const fn mebibytes(length: Sectors) -> u64 {
    length / 2048
}

/// Attributes of make and maxsize.
const MADE: &[Key] = &[
    Key::Layout,
    Key::Mirrors,
    Key::Columns,
    Key::Width,
    Key::LogType,
    Key::Logs,
    Key::Init,
    Key::User,
    Key::Group,
    Key::Mode,
    Key::Exclusive,
    Key::Usage,
    Key::Comment,
    Key::Alloc,
    Key::ColumnsLimit,
];

/// Attributes of addlog.
const LOGGED: &[Key] = &[Key::LogType, Key::Logs, Key::LogLen, Key::Alloc];

const EXAMPLES: &str = "\
Examples:
  vxassist -g mydg make vol1 1g
                       one plex, wherever there is room
  vxassist -g mydg make vol1 1g layout=mirror logtype=drl
                       two mirrors, and a dirty region log; ends when the mirrors are equal; with -b at
                       once
  vxassist -g mydg make vol1 10g layout=stripe-mirror ncol=3 mydg01 mydg02 mydg03 mydg04 mydg05 mydg06
  vxassist -g mydg make vol1 maxsize layout=stripe '!mydg01'
                       as long as possible, without mydg01
  vxassist -g mydg mirror vol1 mydg02
                       ends when the mirror has all data; with -b when it is begun
  vxassist -g mydg remove mirror vol1 '!mydg01'
                       the one on mydg01
  vxassist -g mydg snapstart vol1
                       ends when the new mirror is full
  vxassist -g mydg snapshot vol1 monday
                       monday has what vol1 held at that moment, for a backup from any node
  vxassist -g mydg snapback monday
                       for the next one: its mirror is filled anew
  vxassist -g mydg growto vol1 2g
  vxassist -g mydg maxsize layout=mirror
                       prints: Maximum volume size: 3840000 (1875Mb)
  vxassist -g mydg maxgrow vol1
                       prints: Volume vol1 can be extended by 1048576 to: 3145728 (1536Mb)
  vxassist help attrs  what attributes there are

Lengths are sectors of 512 bytes, or have a unit: s, b, k, m, g, t.

Defaults: etc/default/vxassist has lines of attributes, such as

  layout=nomirror,nostripe,span,nocontig
  nmirror=2
  user=root group=root mode=u=rw,g=,o=

A layout there is that of volumes of which none is said; numbers and sizes of mirrors, stripes and
logs count for those that have them. vxassist help showattrs prints what is in force.

JSON of snapprint: a list of objects with volume, usage, length, snapshot_of and plexes; each plex has
plex, state and dirty, hundredths of a per cent that are copied when it is brought back.

JSON of maxsize: an object with length, in sectors. Of maxgrow: volume, by and length.

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running.";

#[cfg(test)]
mod tests;

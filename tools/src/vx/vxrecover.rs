//! `vxrecover`: starts volumes, attaches plexes that can come back, and waits until all copies are equal
//! (facts 4.4, 2.4). What it does others could have said, one by one: `-v` prints it like that.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use cvm::model::op::Op;
use cvm::model::{Group, KernelState, Name, Plex, PlexState, Source};
use cvm::request::Request;
use cvm::snapshot::{GroupSnapshot, Snapshot};

use super::copies::Pending;
use super::view::{View, chosen, wanted, with_layers};
use super::{Daemon, GroupOption, exit, name, several, vxvol};
use crate::common::output::print;
use crate::common::{Failure, NotYet, Root, with_version};

/// Recover volumes: attach plexes that are stale, and start volumes
#[derive(Debug, Parser)]
#[command(name = "vxrecover", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    #[command(flatten)]
    group: GroupOption,
    /// In the background: do not wait until all is copied
    #[arg(short = 'b')]
    background: bool,
    /// Attach nothing; what runs already is not waited for
    #[arg(short = 'n')]
    nothing: bool,
    /// Start volumes that are not started
    #[arg(short = 's')]
    start: bool,
    /// Print what is done, as commands that do the same
    #[arg(short = 'v')]
    verbose: bool,
    /// Only these volumes, and those with data on these disks
    #[arg(value_name = "VOLUME|DISK", value_parser = name)]
    names: Vec<Name>,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    with_version(Cli::command())
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxrecover", NotYet::parse(REFUSED, command()).and_then(|cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let wanted = wanted(&cli.group, &cli.root)?;
    let mut daemon = Daemon::connect(&cli.root)?;
    let mut snapshot = daemon.snapshot()?;
    let targets = targets(&snapshot, wanted.as_ref(), &cli.names)?;
    let mut failures = Vec::new();
    if cli.start {
        let steps = starts(&snapshot, &targets);
        failures.append(&mut carry_out(&mut daemon, &steps, cli.verbose)?);
        snapshot = daemon.snapshot()?;
    }
    if !cli.nothing {
        let steps = attaches(&snapshot, &targets);
        failures.append(&mut carry_out(&mut daemon, &steps, cli.verbose)?);
        if !cli.background {
            let pending = pending(&daemon.snapshot()?, &targets);
            failures.append(&mut pending.wait(&cli.root)?);
        }
    }
    several("vxrecover", failures)
}

/// What `vxrecover DISK...` does: plexes of volumes on disks of a group are attached, and waited for
/// unless that is to go on in the background.
///
/// # Errors
/// If nobody can be asked any more.
pub(super) fn disks(
    daemon: &mut Daemon,
    root: &Root,
    group: &Name,
    disks: &[Name],
    background: bool,
) -> Result<Vec<Failure>, Failure> {
    let snapshot = daemon.snapshot()?;
    let targets = targets(&snapshot, Some(group), disks)?;
    let mut failures = carry_out(daemon, &attaches(&snapshot, &targets), false)?;
    if !background {
        failures.append(&mut pending(&daemon.snapshot()?, &targets).wait(root)?);
    }
    Ok(failures)
}

/// What fails for one volume does not keep the others.
fn carry_out(daemon: &mut Daemon, steps: &[Step], verbose: bool) -> Result<Vec<Failure>, Failure> {
    if verbose {
        print(&steps.iter().map(Step::text).collect::<String>())?;
    }
    let requests: Vec<Request> = steps.iter().map(Step::request).collect();
    Ok(daemon.change_each(&requests))
}

/// Volumes of groups, layers not among them.
type Targets = BTreeSet<(Name, Name)>;

/// Something that is done.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Step {
    Attach { group: Name, volume: Name, plexes: Vec<Name> },
    Start { group: Name, volume: Name },
}

impl Step {
    fn request(&self) -> Request {
        match self {
            Self::Attach { group, volume, plexes } => {
                let (volume, plexes) = (volume.clone(), plexes.clone());
                let op = Op::AttachPlexes { volume, plexes, force: false };
                Request::Op { group: group.clone(), op }
            }
            Self::Start { group, volume } => {
                let op = Op::StartVolume { volume: volume.clone(), force: false };
                Request::Op { group: group.clone(), op }
            }
        }
    }

    /// The command that does the same.
    fn text(&self) -> String {
        match self {
            Self::Attach { group, volume, plexes } => {
                let plexes: Vec<&str> = plexes.iter().map(Name::as_str).collect();
                format!("vxplex -g {group} att {volume} {}\n", plexes.join(" "))
            }
            Self::Start { group, volume } => format!("vxvol -g {group} start {volume}\n"),
        }
    }
}

/// The volumes that are meant: all, or those that are named by themselves or by a disk of theirs.
fn targets(snapshot: &Snapshot, wanted: Option<&Name>, names: &[Name]) -> Result<Targets, Failure> {
    let groups: Vec<&Group> = chosen(snapshot, wanted)?.iter().map(|shown| &shown.group).collect();
    let of = |group: &Group, is_meant: &dyn Fn(&Name) -> bool| -> Vec<(Name, Name)> {
        let volumes = group.volumes.iter().filter(|(name, v)| !v.layer && is_meant(name));
        volumes.map(|(volume, _)| (group.name.clone(), volume.clone())).collect()
    };
    if names.is_empty() {
        // One that is disabled is named, or left alone.
        let is_disabled = |group: &Group| {
            let mut groups = snapshot.groups.iter();
            groups.any(|shown| shown.disabled && shown.group.id == group.id)
        };
        let groups = groups.into_iter().filter(|group| wanted.is_some() || !is_disabled(group));
        return Ok(groups.flat_map(|group| of(group, &|_| true)).collect());
    }
    let mut targets = Targets::new();
    for operand in names {
        let mut is_known = false;
        for group in &groups {
            let is_disk = group.disks.contains_key(operand);
            let found = of(group, &|volume| {
                volume == operand || is_disk && lies_on(group, volume, operand)
            });
            is_known |= is_disk || !found.is_empty();
            targets.extend(found);
        }
        if !is_known {
            let text = format!("{operand} is neither a volume nor a disk of a disk group here");
            return Err(Failure::operation(text));
        }
    }
    Ok(targets)
}

/// A volume, or a layer of it, has data on a disk.
fn lies_on(group: &Group, volume: &Name, disk: &Name) -> bool {
    let volumes = with_layers(group, volume).into_iter();
    let plexes = volumes.flat_map(|(_, volume)| &volume.plexes);
    let pieces = plexes.filter_map(|plex| group.plexes.get(plex)).flat_map(|plex| &plex.pieces);
    pieces.filter_map(|piece| group.subdisks.get(&piece.subdisk)).any(|subdisk| {
        match &subdisk.source {
            Source::Disk { dm, .. } => dm == disk,
            Source::Volume(_) => false,
        }
    })
}

/// Volumes that are meant, with their groups.
fn each<'a>(
    snapshot: &'a Snapshot,
    targets: &'a Targets,
) -> impl Iterator<Item = (&'a GroupSnapshot, &'a Name)> {
    snapshot.groups.iter().flat_map(move |shown| {
        let of_it = targets.iter().filter(|(group, _)| *group == shown.group.name);
        of_it.map(move |(_, volume)| (shown, volume))
    })
}

/// What is not started, and has data, is started.
fn starts(snapshot: &Snapshot, targets: &Targets) -> Vec<Step> {
    let stopped = each(snapshot, targets).filter(|(shown, volume)| {
        shown.group.volumes.get(*volume).is_some_and(vxvol::is_startable)
    });
    let start = |(shown, volume): (&GroupSnapshot, &Name)| Step::Start {
        group: shown.group.name.clone(),
        volume: volume.clone(),
    };
    stopped.map(start).collect()
}

/// What is off for another reason than that somebody wants it, and can come back, is attached: to
/// volumes that are started, and layers of these.
fn attaches(snapshot: &Snapshot, targets: &Targets) -> Vec<Step> {
    let mut steps = Vec::new();
    for (shown, volume) in each(snapshot, targets) {
        let view = View::new(shown, &snapshot.disks);
        for (name, volume) in with_layers(&shown.group, volume) {
            if volume.kernel != KernelState::Enabled {
                continue;
            }
            let stale = view.plexes(volume).filter(|(_, plex)| can_come_back(&view, plex));
            let plexes: Vec<Name> = stale.map(|(plex, _)| plex.clone()).collect();
            if !plexes.is_empty() {
                let (group, volume) = (shown.group.name.clone(), name.clone());
                steps.push(Step::Attach { group, volume, plexes });
            }
        }
    }
    steps
}

/// It is stale, off, and all its disks are there and reached by this node.
fn can_come_back(view: &View<'_>, plex: &Plex) -> bool {
    let is_stale = matches!(plex.state, PlexState::IoFail | PlexState::Recover | PlexState::Stale);
    let mut sources = plex.pieces.iter().map(|piece| view.group.subdisks.get(&piece.subdisk));
    let mut is_there = || {
        sources.all(|subdisk| match subdisk.map(|subdisk| &subdisk.source) {
            Some(Source::Disk { dm, .. }) => view.device(dm).is_some(),
            // Whether it can be started is for vxconfigd to say.
            Some(Source::Volume(_)) => true,
            None => false,
        })
    };
    is_stale && plex.kernel != KernelState::Enabled && is_there()
}

fn pending(snapshot: &Snapshot, targets: &Targets) -> Pending {
    let mut pending = Pending::default();
    each(snapshot, targets).for_each(|(shown, volume)| pending.add(&shown.group, volume));
    pending
}

/// Options of the original that are not here.
const REFUSED: &[NotYet] = &[
    never('c', "the master recovers what a lost node was writing by itself"),
    never('E', "all that is off for an error is tried, not only what is there again"),
    never('m', "there is no RAID-5"),
    NotYet::value('d', "sizes and pauses of copies from a file"),
    NotYet::value('o', "pauses between copies"),
    NotYet::flag('p', "a list of volumes that can be started: vxinfo shows them"),
    NotYet::value('t', "tags of tasks"),
    NotYet::flag('V', "a mock run: vxrecover -v prints what it does"),
];

const fn never(letter: char, what: &'static str) -> NotYet {
    NotYet { letter, takes_value: false, what, meaningless: true }
}

const EXAMPLES: &str = "\
Examples:
  vxrecover -g mydg    attach what can come back, and wait until all copies of all volumes are equal
  vxrecover -g mydg -s vol1
                       start it if it is not
  vxrecover -g mydg -sb
                       the same for all volumes, without waiting
  vxrecover -g mydg -sn
                       start all volumes, and attach nothing
  vxrecover -g mydg -v mydg02
                       volumes with data on a disk that was replaced; what is done is printed

Plexes that are STALE, IOFAIL or RECOVER and off, of volumes that are started, are attached if this node
reaches all their disks; they are copied then. What is OFFLINE stays so: vxmend on takes it back.
Volumes that are EMPTY are not started. Without -g it is done for the default group, else for all.

It ends when nothing of the volumes is copied any more, with -b before that. What is copied goes on when
the command is interrupted. What fails for one volume is told and does not keep the others.

Exit codes: 0 done, 1 failed for one at least, 2 usage, 3 vxconfigd is not running.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vx::vxprint::sample;

    fn parse(line: &str) -> Result<Cli, clap::error::ErrorKind> {
        let words = format!("vxrecover {line}");
        Cli::try_parse_from(words.split_whitespace()).map_err(|error| error.kind())
    }

    fn set(snapshot: &mut Snapshot, plex: &str, kernel: KernelState, state: PlexState) {
        let plex = snapshot.groups[0].group.plexes.get_mut(plex).unwrap();
        (plex.kernel, plex.state) = (kernel, state);
    }

    fn all(snapshot: &Snapshot) -> Targets {
        targets(snapshot, None, &[]).unwrap()
    }

    fn texts(steps: &[Step]) -> String {
        steps.iter().map(Step::text).collect()
    }

    #[test]
    fn plexes_come_back_that_are_stale_and_whose_disks_are_there() {
        let mut snapshot = sample::facts();
        assert_eq!(attaches(&snapshot, &all(&snapshot)), []);
        for kernel in [KernelState::Detached, KernelState::Disabled] {
            for state in [PlexState::Stale, PlexState::IoFail, PlexState::Recover] {
                set(&mut snapshot, "vol1-02", kernel, state);
                let steps = attaches(&snapshot, &all(&snapshot));
                assert_eq!(texts(&steps), "vxplex -g mydg att vol1 vol1-02\n");
                let (volume, plexes) = (name("vol1").unwrap(), vec![name("vol1-02").unwrap()]);
                let op = Op::AttachPlexes { volume, plexes, force: false };
                let group = name("mydg").unwrap();
                assert_eq!(steps[0].request(), Request::Op { group, op });
            }
        }
        // One of its two disks has no path here.
        let mut away = snapshot.clone();
        away.disks.retain(|disk| disk.access != "c1t3d0");
        assert_eq!(attaches(&away, &all(&away)), []);
        for state in [PlexState::Offline, PlexState::Removed, PlexState::NoDevice] {
            set(&mut snapshot, "vol1-02", KernelState::Detached, state);
            assert_eq!(attaches(&snapshot, &all(&snapshot)), []);
        }
        // It is being copied already.
        set(&mut snapshot, "vol1-02", KernelState::Enabled, PlexState::Stale);
        assert_eq!(attaches(&snapshot, &all(&snapshot)), []);
        let mut waited = Pending::default();
        waited.add(&snapshot.groups[0].group, &name("vol1").unwrap());
        assert_eq!(pending(&snapshot, &all(&snapshot)), waited);
        assert_ne!(waited, Pending::default());
    }

    #[test]
    fn plexes_of_layers_come_back_to_their_layer() {
        let mut snapshot = sample::layered();
        for plex in ["vol1-P02", "vol1-P04"] {
            set(&mut snapshot, plex, KernelState::Detached, PlexState::IoFail);
        }
        let expected =
            "vxplex -g laydg att vol1-L01 vol1-P02\nvxplex -g laydg att vol1-L02 vol1-P04\n";
        assert_eq!(texts(&attaches(&snapshot, &all(&snapshot))), expected);
    }

    #[test]
    fn volumes_with_data_are_started() {
        let mut snapshot = sample::missing();
        let expected = "vxvol -g hurt start vol2\nvxvol -g hurt start vol3\n";
        assert_eq!(texts(&starts(&snapshot, &all(&snapshot))), expected);
        let vol3 = snapshot.groups[0].group.volumes.get_mut("vol3").unwrap();
        vol3.state = cvm::model::VolumeState::Empty;
        let only = starts(&snapshot, &all(&snapshot));
        assert_eq!(texts(&only), "vxvol -g hurt start vol2\n");
        // Of what is not started nothing is attached.
        set(&mut snapshot, "vol2-01", KernelState::Disabled, PlexState::Stale);
        assert_eq!(attaches(&snapshot, &all(&snapshot)), []);
    }

    #[test]
    fn volumes_are_meant_by_their_name_or_by_a_disk() {
        let mut snapshot = sample::missing();
        snapshot.groups.extend(sample::layered().groups);
        let meant = |wanted: Option<&str>, words: &str| {
            let wanted = wanted.map(|text| name(text).unwrap());
            let names: Vec<Name> = words.split(' ').map(|text| name(text).unwrap()).collect();
            let found = targets(&snapshot, wanted.as_ref(), &names).map_err(|e| e.to_string())?;
            Ok(found.iter().map(|(group, volume)| format!("{group}/{volume}")).collect::<Vec<_>>())
        };
        let paths = |all: &[&str]| Ok(all.iter().map(|path| (*path).to_owned()).collect());
        assert_eq!(meant(None, "vol2"), paths(&["hurt/vol2"]));
        assert_eq!(meant(None, "vol1"), paths(&["hurt/vol1", "laydg/vol1"]));
        assert_eq!(meant(Some("laydg"), "vol1"), paths(&["laydg/vol1"]));
        assert_eq!(meant(None, "hurt02"), paths(&["hurt/vol1", "hurt/vol2"]));
        // Below a layer.
        assert_eq!(meant(None, "laydg04 vol3"), paths(&["hurt/vol3", "laydg/vol1"]));
        let neither =
            |text: &str| Err(format!("{text} is neither a volume nor a disk of a disk group here"));
        assert_eq!(meant(Some("hurt"), "laydg04"), neither("laydg04"));
        assert_eq!(meant(None, "vol1 vol9"), neither("vol9"));
        assert_eq!(meant(None, "vol1-L01"), neither("vol1-L01"));
        let other = meant(Some("other"), "vol1").unwrap_err();
        assert_eq!(other, "Disk group other: No such disk group");
        // One that is disabled is left alone, unless it is named.
        snapshot.groups[0].disabled = true;
        assert!(all(&snapshot).iter().all(|(group, _)| group.as_str() == "laydg"));
        let hurt = name("hurt").unwrap();
        assert_eq!(targets(&snapshot, Some(&hurt), &[]).unwrap().len(), 3);
    }

    #[test]
    fn lines_are_understood() {
        command().debug_assert();
        NotYet::recognise(REFUSED, command()).debug_assert();
        let cli = parse("-g mydg -sbnv vol1 mydg02").unwrap();
        assert!(cli.start && cli.background && cli.nothing && cli.verbose);
        assert_eq!(cli.names.len(), 2);
        assert!(!parse("").unwrap().start);
        for line in ["-x", "-g", "-g a/b", "a/b", "-s=on", "--json"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

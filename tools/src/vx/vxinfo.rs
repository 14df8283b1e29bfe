//! `vxinfo`: which volumes are started, and which could be (facts 1.3, 4.4).

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use cvm::model::{KernelState, Name, Plex, PlexState, Source, Volume};
use cvm::snapshot::Snapshot;
use serde::Serialize;

use super::view::{View, chosen, plex_state, wanted};
use super::{Daemon, GroupOption, name};
use crate::common::output::{print, print_json};
use crate::common::{Failure, NotYet, Root, with_version};

/// Show which volumes are started, and which could be
#[derive(Debug, Parser)]
#[command(name = "vxinfo", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    #[command(flatten)]
    group: GroupOption,
    /// Their plexes, too
    #[arg(short = 'p')]
    plexes: bool,
    /// Only these volumes
    #[arg(value_name = "VOLUME", value_parser = name)]
    names: Vec<Name>,
    /// Print the volumes as JSON
    #[arg(long, conflicts_with = "plexes")]
    json: bool,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    with_version(Cli::command())
}

/// The program.
pub fn main() -> ExitCode {
    super::exit("vxinfo", NotYet::parse(&[], command()).and_then(|cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let wanted = wanted(&cli.group, &cli.root)?;
    let snapshot = Daemon::connect(&cli.root)?.snapshot()?;
    let volumes = volumes(&snapshot, wanted.as_ref(), &cli.names)?;
    if cli.json { print_json(&volumes) } else { print(&listing(&volumes, cli.plexes)) }
}

/// A volume, as `--json` has it.
#[derive(Debug, Serialize)]
struct Info<'a> {
    group: &'a Name,
    name: &'a Name,
    usage: &'a str,
    status: Status,
    plexes: Vec<PlexInfo<'a>>,
}

/// A plex of it.
#[derive(Debug, Serialize)]
struct PlexInfo<'a> {
    name: &'a Name,
    state: &'static str,
}

/// Can applications use it?
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
enum Status {
    /// As soon as it is started.
    Startable,
    /// Yes.
    Started,
    /// No plex of it has contents that are good and can be reached.
    Unstartable,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Startable => "Startable",
            Self::Started => "Started",
            Self::Unstartable => "Unstartable",
        }
    }
}

fn volumes<'a>(
    snapshot: &'a Snapshot,
    wanted: Option<&Name>,
    names: &[Name],
) -> Result<Vec<Info<'a>>, Failure> {
    let mut infos = Vec::new();
    for shown in chosen(snapshot, wanted)? {
        let view = View::new(shown, &snapshot.disks);
        for (name, volume) in &shown.group.volumes {
            // Layers are started and stopped with the volume that they belong to.
            let is_wanted = if names.is_empty() { !volume.layer } else { names.contains(name) };
            if is_wanted {
                infos.push(info(&view, name, volume));
            }
        }
    }
    match names.iter().find(|name| infos.iter().all(|info| info.name != *name)) {
        None => Ok(infos),
        Some(name) => Err(Failure::operation(format!("Volume {name} not found"))),
    }
}

fn info<'a>(view: &View<'a>, name: &'a Name, volume: &'a Volume) -> Info<'a> {
    let plexes = view.plexes(volume);
    Info {
        group: &view.group.name,
        name,
        usage: &volume.usage,
        status: status(view, volume),
        plexes: plexes.map(|(name, plex)| PlexInfo { name, state: plex_state(plex) }).collect(),
    }
}

fn status(view: &View<'_>, volume: &Volume) -> Status {
    if volume.kernel == KernelState::Enabled {
        return Status::Started;
    }
    let mut plexes = volume.plexes.iter().filter_map(|plex| view.group.plexes.get(plex));
    if plexes.any(|plex| is_usable(view, plex)) { Status::Startable } else { Status::Unstartable }
}

/// Its contents are good, and this node reaches them.
fn is_usable(view: &View<'_>, plex: &Plex) -> bool {
    let is_good = matches!(plex.state, PlexState::Active | PlexState::Clean);
    let mut sources = plex.pieces.iter().map(|piece| view.group.subdisks.get(&piece.subdisk));
    is_good
        && sources.all(|subdisk| match subdisk.map(|subdisk| &subdisk.source) {
            Some(Source::Disk { dm, .. }) => view.device(dm).is_some(),
            Some(Source::Volume(layer)) => {
                let layer = view.group.volumes.get(layer);
                layer.is_some_and(|layer| status(view, layer) != Status::Unstartable)
            }
            None => false,
        })
}

/// Volumes, and their plexes if asked for; several groups are told apart.
fn listing(volumes: &[Info<'_>], plexes: bool) -> String {
    let mut text = String::new();
    let several = volumes.windows(2).any(|pair| pair[0].group != pair[1].group);
    let mut last = None;
    for Info { group, name, usage, status, plexes: parts } in volumes {
        if several && last != Some(group) {
            let gap = if last.is_some() { "\n" } else { "" };
            let _ = writeln!(text, "{gap}Disk group: {group}\n");
        }
        last = Some(group);
        let word = if plexes { "vol  " } else { "" };
        let _ = writeln!(text, "{word}{name}  {usage}  {}", status.as_str());
        for PlexInfo { name, state } in parts.iter().filter(|_| plexes) {
            let _ = writeln!(text, "plex {name}  {state}");
        }
    }
    text
}

const EXAMPLES: &str = "\
Examples:
  vxinfo               the volumes of the default group, else of all groups
  vxinfo -g mydg -p    with their plexes
  vxinfo vol1 --json   one of them, for programs

A volume is Started, Startable, or Unstartable: none of its plexes is ACTIVE or CLEAN with all of
its disks in reach of this node. The volumes that a layered volume consists of are shown if they are named.

JSON: a list of {group, name, usage, status, plexes}; plexes is a list of {name, state}.

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::vx::vxprint::sample;

    fn shown(snapshot: &Snapshot, names: &[&str], plexes: bool) -> String {
        let names: Vec<_> = names.iter().map(|text| name(text).unwrap()).collect();
        listing(&volumes(snapshot, None, &names).unwrap(), plexes)
    }

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn lines_are_as_the_original_prints_them() {
        let snapshot = sample::facts();
        golden::check("vxinfo", &shown(&snapshot, &[], false));
        golden::check("vxinfo-p", &shown(&snapshot, &["vol1"], true));
        golden::check_json("vxinfo-json", &volumes(&snapshot, None, &[]).unwrap());
        assert_eq!(shown(&Snapshot::default(), &[], true), "");
    }

    #[test]
    fn a_volume_starts_if_one_plex_is_good_and_in_reach() {
        golden::check("vxinfo-p-missing", &shown(&sample::missing(), &[], true));
        let mut both = sample::missing();
        let layered = sample::layered();
        both.groups.extend(layered.groups);
        both.disks.extend(layered.disks);
        golden::check("vxinfo-p-groups", &shown(&both, &[], true));
    }

    #[test]
    fn what_is_not_there_is_told() {
        let snapshot = sample::facts();
        let missing = [name("vol7").unwrap()];
        let error = volumes(&snapshot, None, &missing).unwrap_err().to_string();
        assert_eq!(error, "Volume vol7 not found");
        let other = name("other").unwrap();
        let error = volumes(&snapshot, Some(&other), &[]).unwrap_err().to_string();
        assert_eq!(error, "Disk group other: No such disk group");
    }

    #[test]
    fn lines_are_understood() {
        for line in ["vxinfo", "vxinfo -p", "vxinfo -g mydg -p vol1 vol2", "vxinfo --json vol1"] {
            Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        for line in ["vxinfo -x", "vxinfo -g", "vxinfo -g a/b", "vxinfo a/b", "vxinfo -p --json"] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}

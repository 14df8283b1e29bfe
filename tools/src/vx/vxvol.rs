//! `vxvol`: volumes are started and stopped, and how they are read (facts 4.4, 1.2, 2.2).

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use cvm::model::op::{InitVolume, Op};
use cvm::model::{Group, KernelState, Name, ReadPolicy, Volume, VolumeState};
use cvm::request::Request;

use super::keyword::{Keywords, Refused};
use super::{Daemon, GroupOption, exit, name, several, view};
use crate::common::{Failure, Root};

/// Start and stop volumes, and say how they are read
#[derive(Debug, Parser)]
#[command(name = "vxvol", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    root: Root,
    #[command(flatten)]
    dg: GroupOption,
    /// start: although no plex is known to be good; init: although the volume has data
    #[arg(short = 'f')]
    force: bool,
    /// force: as -f; bg: copies are made in the background, as they always are here
    #[arg(short = 'o', value_name = "OPTION")]
    options: Vec<UseOption>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum UseOption {
    Bg,
    Force,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what a volume begins with that was never initialised
    Init {
        /// What
        #[arg(value_parser = Keywords::<Begin>::new(NOT_HERE))]
        how: Begin,
        /// Which volume
        #[arg(value_parser = name)]
        volume: Name,
        /// active, clean: the plex that is good; others are copied from it
        #[arg(value_parser = name)]
        plex: Option<Name>,
    },
    /// Say which plexes of a volume are read
    Rdpol {
        /// How they are chosen
        policy: Policy,
        /// Which volume
        #[arg(value_parser = name)]
        volume: Name,
        /// prefer: this one
        #[arg(value_parser = name)]
        plex: Option<Name>,
    },
    /// Start volumes: programs may use them
    Start {
        /// Which
        #[arg(required = true, value_parser = name, value_name = "VOLUME")]
        volumes: Vec<Name>,
    },
    /// Start all volumes that have data
    Startall,
    /// Stop volumes that nobody has open
    Stop {
        /// Which
        #[arg(required = true, value_parser = name, value_name = "VOLUME")]
        volumes: Vec<Name>,
    },
    /// Stop all volumes
    Stopall,
    #[command(external_subcommand)]
    Other(Vec<String>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Begin {
    /// It is started; what is on the disks are its data, equal on all plexes
    Active,
    /// The same, and it is not started
    Clean,
    /// It is started and stays EMPTY, for its data to be loaded
    Enable,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Policy {
    /// One plex as long as it can be read
    Prefer,
    /// All plexes in turn
    Round,
    /// The striped plex if there is exactly one, else all in turn
    Select,
}

const NOT_HERE: Refused =
    &[("zero", "zeros are written by who uses the volume: init enable, write them, init active")];

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxvol", run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    check(cli).map_err(Failure::Usage)?;
    let group = cli.dg.resolve(&cli.root)?;
    let mut daemon = Daemon::connect(&cli.root)?;
    let volumes = match &cli.action {
        Action::Startall => all(&mut daemon, &group, is_startable)?,
        Action::Stopall => all(&mut daemon, &group, |v| v.kernel != KernelState::Disabled)?,
        Action::Start { volumes } | Action::Stop { volumes } => volumes.clone(),
        Action::Init { volume, .. } | Action::Rdpol { volume, .. } => vec![volume.clone()],
        Action::Other(_) => Vec::new(),
    };
    let ops = volumes.into_iter().filter_map(|volume| op(cli, volume));
    let requests: Vec<Request> = ops.map(|op| Request::Op { group: group.clone(), op }).collect();
    several("vxvol", daemon.change_each(&requests))
}

/// The volumes of a group that are meant by `all`; layers follow theirs.
fn all(
    daemon: &mut Daemon,
    group: &Name,
    is_meant: impl Fn(&Volume) -> bool,
) -> Result<Vec<Name>, Failure> {
    let snapshot = daemon.snapshot()?;
    let missing = || Failure::Operation {
        id: Some("V-5-1-2275".to_owned()),
        text: format!("Disk group {group}: No such disk group"),
    };
    let group = view::named(&snapshot, group).ok_or_else(missing)?;
    Ok(chosen(group, is_meant))
}

fn chosen(group: &Group, is_meant: impl Fn(&Volume) -> bool) -> Vec<Name> {
    let volumes = group.volumes.iter().filter(|(_, volume)| !volume.layer && is_meant(volume));
    volumes.map(|(name, _)| name.clone()).collect()
}

/// It is not started, and has data that are of use.
pub(super) fn is_startable(volume: &Volume) -> bool {
    let has_none = matches!(volume.state, VolumeState::Empty | VolumeState::Invalid);
    volume.kernel != KernelState::Enabled && !has_none
}

fn is_forced(cli: &Cli) -> bool {
    cli.force || cli.options.contains(&UseOption::Force)
}

/// What goes together, and what is there.
fn check(cli: &Cli) -> Result<(), String> {
    let takes_force = match &cli.action {
        Action::Init { how: Begin::Enable, plex: Some(_), .. } => {
            return Err("init enable enables all plexes: none is named".to_owned());
        }
        Action::Rdpol { policy: Policy::Prefer, plex: None, .. } => {
            return Err("rdpol prefer needs the plex that is preferred".to_owned());
        }
        Action::Rdpol { policy: Policy::Round | Policy::Select, plex: Some(_), .. } => {
            return Err("rdpol round and select prefer no plex: none is named".to_owned());
        }
        Action::Other(words) => return Err(other(words.first().map_or("", String::as_str))),
        Action::Init { .. } | Action::Start { .. } => true,
        Action::Rdpol { .. } | Action::Startall | Action::Stop { .. } | Action::Stopall => false,
    };
    if is_forced(cli) && !takes_force {
        return Err("option -f is for start and init; a volume that is open is not stopped".into());
    }
    Ok(())
}

/// What is to be done with a volume.
fn op(cli: &Cli, volume: Name) -> Option<Op> {
    let force = is_forced(cli);
    match &cli.action {
        Action::Init { how, plex, .. } => {
            let how = match how {
                Begin::Active => InitVolume::Active,
                Begin::Clean => InitVolume::Clean,
                Begin::Enable => InitVolume::Enable,
            };
            Some(Op::InitVolume { volume, how, plex: plex.clone(), force })
        }
        Action::Rdpol { policy, plex, .. } => {
            let policy = match policy {
                Policy::Prefer => ReadPolicy::Prefer,
                Policy::Round => ReadPolicy::Round,
                Policy::Select => ReadPolicy::Select,
            };
            Some(Op::ReadPolicy { volume, policy, plex: plex.clone() })
        }
        Action::Start { .. } | Action::Startall => Some(Op::StartVolume { volume, force }),
        Action::Stop { .. } | Action::Stopall => Some(Op::StopVolume(volume)),
        Action::Other(_) => None,
    }
}

/// Actions of the original that are not here, and words that are none.
fn other(action: &str) -> String {
    let why = match action {
        "aslog" | "dislog" => "vxassist addlog and vxassist remove log do it",
        "maint" => "every change of plexes is accepted of a volume that is stopped",
        "recover" | "resync" => "what may differ is made equal by itself; vxrecover waits for it",
        "set" => {
            "vxassist growto and shrinkto change lengths, vxassist addlog logs, vxedit set exclusive="
        }
        _ => {
            return format!(
                "\"{action}\" is no action: expected init, rdpol, start, startall, stop or stopall"
            );
        }
    };
    format!("{action} is not in this version: {why}")
}

const EXAMPLES: &str = "\
Examples:
  vxvol -g mydg start vol1 vol2
  vxvol -g mydg startall
  vxvol -g mydg stop vol1
  vxvol -g mydg init active vol1
                       a volume that was made with init=none: what is on its disks are its data
  vxvol -g mydg init clean vol1 vol1-01
                       this plex has the data, and the others are copied from it at the start
  vxvol -g mydg -f start vol1
                       its only plex is not known to be good: it counts as good
  vxvol -g mydg rdpol prefer vol1 vol1-02
                       vol1-02 is read as long as it can be
  vxvol -g mydg rdpol select vol1

start makes plexes that are CLEAN or ACTIVE ACTIVE, and copies to those that are STALE, of which vxplex det
has made some. If plexes perhaps differ the volume begins as SYNC and can be used while they are made
equal. All of that happens in the background: vxrecover waits for it. Plexes that are IOFAIL, RECOVER or
OFFLINE stay off: vxrecover attaches the first two. If no plex is CLEAN or ACTIVE the volume is not
started; with -f it is, if there is exactly one plex that may have its data.

stop leaves all plexes CLEAN, or the volume NEEDSYNC if they were being made equal. A volume that a program
has open on any node is in use, and not stopped. Layers are started and stopped with their volume.

Several volumes are started or stopped one after the other; what fails for one is told and does not
keep the others. startall leaves out volumes that are EMPTY.

Exit codes: 0 done, 1 failed for one at least, 2 usage, 3 vxconfigd is not running.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vx::vxprint::sample;

    fn parse(line: &str) -> Result<Cli, clap::error::ErrorKind> {
        Cli::try_parse_from(format!("vxvol {line}").split_whitespace()).map_err(|e| e.kind())
    }

    /// Of volume `v`.
    fn asked(line: &str) -> Result<Op, String> {
        let cli = parse(line).map_err(|kind| kind.to_string())?;
        check(&cli)?;
        op(&cli, name("v").unwrap()).ok_or_else(|| "nothing".to_owned())
    }

    #[test]
    fn command_lines_become_requests() {
        command().debug_assert();
        let volume = || name("v").unwrap();
        let plex = || Some(name("p").unwrap());
        let start = |force| Ok(Op::StartVolume { volume: volume(), force });
        let init = |how, plex, force| Ok(Op::InitVolume { volume: volume(), how, plex, force });
        let read = |policy, plex| Ok(Op::ReadPolicy { volume: volume(), policy, plex });
        for (line, expected) in [
            ("-g mydg start v", start(false)),
            ("-f start v w", start(true)),
            ("-o force start v", start(true)),
            ("-o bg start v", start(false)),
            ("startall", start(false)),
            ("stop v w", Ok(Op::StopVolume(volume()))),
            ("stopall", Ok(Op::StopVolume(volume()))),
            ("init active v", init(InitVolume::Active, None, false)),
            ("init active v p", init(InitVolume::Active, plex(), false)),
            ("-f init clean v p", init(InitVolume::Clean, plex(), true)),
            ("init enable v", init(InitVolume::Enable, None, false)),
            ("rdpol round v", read(ReadPolicy::Round, None)),
            ("rdpol select v", read(ReadPolicy::Select, None)),
            ("rdpol prefer v p", read(ReadPolicy::Prefer, plex())),
        ] {
            assert_eq!(asked(line), expected, "{line}");
        }
    }

    #[test]
    fn all_volumes_are_those_that_it_can_be_done_with() {
        let names = |group: &Group, is_meant: fn(&Volume) -> bool| -> Vec<String> {
            chosen(group, is_meant).iter().map(Name::to_string).collect()
        };
        let missing = sample::missing();
        let mut group = missing.groups[0].group.clone();
        assert_eq!(names(&group, is_startable), ["vol2", "vol3"]);
        group.volumes.get_mut("vol3").unwrap().state = VolumeState::Empty;
        assert_eq!(names(&group, is_startable), ["vol2"]);
        let started: fn(&Volume) -> bool = |volume| volume.kernel != KernelState::Disabled;
        assert_eq!(names(&group, started), ["vol1"]);
        assert_eq!(names(&sample::layered().groups[0].group, started), ["vol1"]);
    }

    #[test]
    fn what_makes_no_sense_says_what_was_expected() {
        for (line, said) in [
            ("init enable v p", "none is named"),
            ("rdpol prefer v", "needs the plex"),
            ("rdpol round v p", "none is named"),
            ("rdpol select v p", "none is named"),
            ("-f stop v", "option -f is for start and init"),
            ("-f startall", "option -f is for start and init"),
            ("-o force stopall", "option -f is for start and init"),
            ("-f rdpol round v", "option -f is for start and init"),
            ("maint v", "maint is not in this version"),
            ("resync v", "vxrecover waits for it"),
            ("recover v", "vxrecover waits for it"),
            ("set exclusive=on v", "vxedit set exclusive="),
            ("aslog v p", "vxassist addlog"),
            ("begin v", "expected init, rdpol, start, startall, stop or stopall"),
        ] {
            let error = asked(line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
        let zero = Cli::try_parse_from(["vxvol", "init", "zero", "v"]).unwrap_err().to_string();
        assert!(zero.contains("zeros are written by who uses the volume"), "{zero}");
    }

    #[test]
    fn what_is_no_command_line_is_a_usage_error() {
        for line in [
            "",
            "start",
            "stop",
            "startall v",
            "stopall v",
            "init",
            "init active",
            "init stale v",
            "init active v p q",
            "rdpol",
            "rdpol round",
            "rdpol siteread v",
            "rdpol prefer v p q",
            "start a/b",
            "-o what start v",
            "-x start v",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

//! `vxplex`: plexes become copies of volumes, or stop being some (facts 4.4, 1.3).

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use cvm::model::Name;
use cvm::model::op::Op;
use cvm::request::Request;

use super::copies::Pending;
use super::{Daemon, GroupOption, exit, name, several, view};
use crate::common::{Failure, Root};

/// Attach plexes to volumes, take them off, and copy to them
#[derive(Debug, Parser)]
#[command(name = "vxplex", version, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    root: Root,
    #[command(flatten)]
    dg: GroupOption,
    /// att, cp, mv: in the background, do not wait until the plexes are copied
    #[arg(short = 'b')]
    background: bool,
    /// att: although a plex is sparse; det, dis: although it is the last good one
    #[arg(short = 'f')]
    force: bool,
    /// force: as -f; rm: dis and mv remove the plexes and their subdisks
    #[arg(short = 'o', value_name = "OPTION")]
    options: Vec<UseOption>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum UseOption {
    Force,
    Rm,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Attach plexes to a volume: they are copied, and are ACTIVE then
    Att {
        /// Which volume
        #[arg(value_parser = name)]
        volume: Name,
        /// Plexes of it that are off, or of no volume
        #[arg(required = true, value_parser = name, value_name = "PLEX")]
        plexes: Vec<Name>,
    },
    /// Copy a volume to plexes of no volume, which belong to none afterwards either
    Cp {
        /// Which volume
        #[arg(value_parser = name)]
        volume: Name,
        /// Plexes of no volume
        #[arg(required = true, value_parser = name, value_name = "PLEX")]
        plexes: Vec<Name>,
    },
    /// Detach plexes: they are not read or written any more, and stay in their volumes
    Det {
        /// Which
        #[arg(required = true, value_parser = name, value_name = "PLEX")]
        plexes: Vec<Name>,
    },
    /// Dissociate plexes from their volumes
    Dis {
        /// Which
        #[arg(required = true, value_parser = name, value_name = "PLEX")]
        plexes: Vec<Name>,
    },
    /// Copy to a plex of no volume, which takes the place of another one
    Mv {
        /// The plex that leaves its volume
        #[arg(value_parser = name)]
        old: Name,
        /// The plex that comes
        #[arg(value_parser = name)]
        new: Name,
    },
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxplex", run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let op = op(cli).map_err(Failure::Usage)?;
    let group = cli.dg.resolve(&cli.root)?;
    let mut daemon = Daemon::connect(&cli.root)?;
    daemon.change(&Request::Op { group: group.clone(), op })?;
    let mut pending = Pending::default();
    match &cli.action {
        Action::Att { volume, plexes } => {
            pending.add_plexes(view::still(&daemon.snapshot()?, &group)?, volume, plexes);
        }
        Action::Cp { plexes, .. } => pending.add_copies(&group, plexes),
        Action::Mv { new, .. } => pending.add_plex(&group, new),
        Action::Det { .. } | Action::Dis { .. } | Action::Other(_) => {}
    }
    if cli.background { Ok(()) } else { several("vxplex", pending.wait(&cli.root)?) }
}

/// What a command line asks for: of several plexes all or none.
fn op(cli: &Cli) -> Result<Op, String> {
    let force = cli.force || cli.options.contains(&UseOption::Force);
    let remove = cli.options.contains(&UseOption::Rm);
    // Whether it waits, whether it takes plexes away, and whether it may be forced.
    let (op, waits, removes, forces) = match &cli.action {
        Action::Att { volume, plexes } => {
            let (volume, plexes) = (volume.clone(), plexes.clone());
            (Op::AttachPlexes { volume, plexes, force }, true, false, true)
        }
        Action::Cp { volume, plexes } => {
            let (volume, plexes) = (volume.clone(), plexes.clone());
            (Op::CopyPlexes { volume, plexes }, true, false, false)
        }
        Action::Det { plexes } => {
            (Op::DetachPlexes { plexes: plexes.clone(), force }, false, false, true)
        }
        Action::Dis { plexes } => {
            (Op::DissociatePlexes { plexes: plexes.clone(), remove, force }, false, true, true)
        }
        Action::Mv { old, new } => {
            (Op::MovePlex { from: old.clone(), to: new.clone(), remove }, true, true, false)
        }
        Action::Other(words) => return Err(other(words.first().map_or("", String::as_str))),
    };
    if cli.background && !waits {
        return Err("option -b is for att, cp and mv: nothing else waits".to_owned());
    }
    if remove && !removes {
        return Err("option -o rm is for dis and mv".to_owned());
    }
    if force && !forces {
        return Err("option -f is for att, det and dis".to_owned());
    }
    Ok(op)
}

/// Actions of the original that are not here, and words that are none.
fn other(action: &str) -> String {
    let why = match action {
        "snapshot" | "snapstart" | "snapwait" | "snapback" | "snapclear" => {
            return format!("{action} is for volumes here: vxassist {action}, with its volume");
        }
        "convert" => {
            "vxassist snapstart makes a snapshot mirror, and vxassist snapabort removes it"
        }
        _ => return format!("\"{action}\" is no action: expected att, cp, det, dis or mv"),
    };
    format!("{action} is not in this version: {why}")
}

const EXAMPLES: &str = "\
Examples:
  vxplex -g mydg att vol1 vol1-02
                       a plex that was taken off, or was never in a volume, is copied to
  vxplex -g mydg -b att vol1 vol1-02 vol1-03
                       ends when that has begun; vxrecover waits for it
  vxplex -g mydg det vol1-02
                       it is STALE, and is attached when the volume is started again, or by att
  vxplex -g mydg dis vol1-02
                       it is in no volume any more, and keeps its subdisks
  vxplex -g mydg -o rm dis vol1-02
                       it gives its space back
  vxplex -g mydg mv vol1-01 new-01
                       new-01, of no volume, is copied to; when it is full it is a plex of vol1, and vol1-01
                       of no volume. With -o rm vol1-01 is removed then
  vxplex -g mydg cp vol1 new-01
                       new-01 is copied to, and holds what vol1 held when it was full; it is of no volume

While a plex is ENABLED and STALE it is written, not read, and copied to. att ends when all are
ACTIVE, and fails for those that were taken off before that; what is copied goes on when the command is
interrupted. Of a volume that is not started nothing is copied: att is done at once, and the plexes are
copied when it is started. A plex is attached that is STALE, IOFAIL or RECOVER; one that is OFFLINE is
taken back first (vxmend on).

A volume keeps a complete plex that is ACTIVE or CLEAN. With -f det takes it off if the volume is not
started, and dis takes it away: a volume that has no other is not started any more then. With -f
att attaches a sparse plex: one that is too short for the volume, or has holes.

What mv and cp end with happens by itself when the plex is full, whoever waits; until then putil0 of the
plexes says so: MVOLD, MVNEW, CPNEW (vxmend clear putil0 forgets it: the plexes stay). The volume is started
and used meanwhile. A plex that was taken off before it was full goes on with att, and is given up with dis.
A plex that was copied to is DISABLED and ACTIVE; vxmake vol makes a volume of it, vxvol init active
starts that.

Plexes of layers (vol1-P01) are named with the volume of their layer (vol1-L01). Of several plexes all are
changed, or none.

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running.";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::error::ErrorKind> {
        Cli::try_parse_from(format!("vxplex {line}").split_whitespace()).map_err(|e| e.kind())
    }

    fn asked(line: &str) -> Result<Op, String> {
        op(&parse(line).map_err(|kind| kind.to_string())?)
    }

    fn names(all: &str) -> Vec<Name> {
        all.split_whitespace().map(|text| name(text).unwrap()).collect()
    }

    #[test]
    fn command_lines_become_requests() {
        command().debug_assert();
        let att = |plexes: &str, force| {
            let volume = name("v").unwrap();
            Ok(Op::AttachPlexes { volume, plexes: names(plexes), force })
        };
        assert_eq!(asked("-g mydg att v p"), att("p", false));
        assert_eq!(asked("-b att v p q"), att("p q", false));
        assert_eq!(asked("-f att v p"), att("p", true));
        assert_eq!(asked("-o force att v p"), att("p", true));
        let det = |force| Ok(Op::DetachPlexes { plexes: names("p q"), force });
        assert_eq!(asked("det p q"), det(false));
        assert_eq!(asked("-f det p q"), det(true));
        let dis = |remove, force| {
            let plexes = names("p q");
            Ok(Op::DissociatePlexes { plexes, remove, force })
        };
        assert_eq!(asked("dis p q"), dis(false, false));
        assert_eq!(asked("-o rm dis p q"), dis(true, false));
        assert_eq!(asked("-f -o rm dis p q"), dis(true, true));
        assert_eq!(asked("-o rm -o force dis p q"), dis(true, true));
        let moved =
            |remove| Ok(Op::MovePlex { from: name("p").unwrap(), to: name("q").unwrap(), remove });
        assert_eq!(asked("mv p q"), moved(false));
        assert_eq!(asked("-b -o rm mv p q"), moved(true));
        let copied = Op::CopyPlexes { volume: name("v").unwrap(), plexes: names("p q") };
        assert_eq!(asked("-b cp v p q"), Ok(copied));
    }

    #[test]
    fn what_makes_no_sense_says_what_was_expected() {
        for (line, said) in [
            ("-b det p", "option -b is for att, cp and mv"),
            ("-b dis p", "option -b is for att, cp and mv"),
            ("-o rm att v p", "option -o rm is for dis and mv"),
            ("-o rm cp v p", "option -o rm is for dis and mv"),
            ("-o rm det p", "option -o rm is for dis and mv"),
            ("-f mv p q", "option -f is for att, det and dis"),
            ("-o force cp v p", "option -f is for att, det and dis"),
            ("snapstart v", "snapstart is for volumes here: vxassist snapstart"),
            ("convert state=SNAPDONE p", "vxassist snapstart makes a snapshot mirror"),
            ("attach v p", "\"attach\" is no action: expected att, cp, det, dis or mv"),
        ] {
            let error = asked(line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
    }

    #[test]
    fn what_is_no_command_line_is_a_usage_error() {
        for line in [
            "",
            "att",
            "att v",
            "mv p",
            "mv p q r",
            "cp v",
            "att v a/b",
            "det",
            "dis",
            "det -x p",
            "-g a/b det p",
            "-o what dis p",
            "-o dis p",
            "-x det p",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

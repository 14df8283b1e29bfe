//! The command line of `vxdisk`.

use clap::{Parser, ValueEnum};
use cvm::request::Request;

use crate::common::{Failure, Root};
use crate::vx::GroupOption;
use crate::vx::keyword::{Keywords, Refused, check_options};
use crate::vx::operand::{access, wrong};
use crate::vx::vxdisksetup::setup;

/// Show disks, and look for them
#[derive(Debug, Parser)]
#[command(name = "vxdisk", version, after_help = super::EXAMPLES)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) root: Root,
    #[command(flatten)]
    pub(super) group: GroupOption,
    /// list: lengths in sectors of 512 bytes, as they always are
    #[arg(short = 'b')]
    blocks: bool,
    /// list: with the paths of the disks
    #[arg(short = 'e')]
    pub(super) native: bool,
    /// init: although it is initialised already
    #[arg(short = 'f')]
    force: bool,
    /// list: alldgs shows groups that are not imported, in parentheses
    #[arg(short = 'o', value_name = "OPTION", value_parser = usage_option)]
    pub(super) all_groups: Option<AllGroups>,
    /// list: without the header
    #[arg(short = 'q')]
    pub(super) quiet: bool,
    /// list: identities, a paragraph for each disk
    #[arg(short = 's')]
    summary: bool,
    /// list: in detail, also without names
    #[arg(short = 'v')]
    verbose: bool,
    /// What to do
    #[arg(value_name = "KEYWORD", value_parser = Keywords::<Keyword>::new(REFUSED))]
    keyword: Keyword,
    /// What with: disks, attributes
    #[arg(value_name = "OPERAND")]
    operands: Vec<String>,
    /// Print listings as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Keyword {
    /// [-f] init DA [type=auto] [format=cdsdisk] [privlen=LENGTH]: the same as vxdisksetup -i
    Init,
    /// [-g GROUP] [-o alldgs] [-beqsv] list [DISK...]: list disks
    List,
    /// scandisks [new]: look at all disks again
    Scandisks,
}

/// `-o alldgs`
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct AllGroups;

fn usage_option(text: &str) -> Result<AllGroups, String> {
    match text {
        "alldgs" => Ok(AllGroups),
        "listreserve" => Err("there are no reservations on disks; expected alldgs".to_owned()),
        _ => Err("expected alldgs".to_owned()),
    }
}

/// How disks are listed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// Everything that is known.
    Detail,
    /// Identities.
    Summary,
}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    Ask(Request),
    /// A line each.
    List,
    /// These, or all.
    Show(Form, Vec<String>),
}

/// Reads a command line.
///
/// # Errors
/// If it cannot be meant.
pub(super) fn action(cli: &Cli) -> Result<Action, Failure> {
    check_options(&cli.keyword, &cli.given(), cli.keyword.takes())?;
    match cli.keyword {
        Keyword::Init => Ok(Action::Ask(setup(&cli.operands, cli.force, &["type"])?)),
        Keyword::List => {
            cli.operands.iter().try_for_each(|disk| access(disk).map(|_| ()))?;
            let form = match (cli.summary, cli.verbose) {
                (true, true) => return Err(wrong("-s and -v do not go together")),
                (true, false) => Form::Summary,
                (false, true) => Form::Detail,
                (false, false) if cli.operands.is_empty() => return Ok(Action::List),
                (false, false) => Form::Detail,
            };
            if cli.native || cli.quiet || cli.all_groups.is_some() {
                return Err(wrong("options -e, -o and -q are for the list of a line each"));
            }
            Ok(Action::Show(form, cli.operands.clone()))
        }
        Keyword::Scandisks => match cli.operands.as_slice() {
            [] => Ok(Action::Ask(Request::Scan)),
            [word] if word == "new" || word == "fabric" => Ok(Action::Ask(Request::Scan)),
            [..] => Err(wrong("expected scandisks, alone or with new: all disks are looked at")),
        },
    }
}

impl Cli {
    fn given(&self) -> [(&'static str, bool); 9] {
        [
            ("-g", self.group.given().is_some()),
            ("-b", self.blocks),
            ("-e", self.native),
            ("-f", self.force),
            ("-o", self.all_groups.is_some()),
            ("-q", self.quiet),
            ("-s", self.summary),
            ("-v", self.verbose),
            ("--json", self.json),
        ]
    }
}

impl Keyword {
    const fn takes(self) -> &'static [&'static str] {
        match self {
            Self::Init => &["-f"],
            Self::List => &["-g", "-b", "-e", "-o", "-q", "-s", "-v", "--json"],
            // The original takes it, and it changes as little here.
            Self::Scandisks => &["-f"],
        }
    }
}

const REFUSED: Refused = &[
    ("addregion", "the regions of a disk are made with it"),
    ("check", "is not in this version; vxdisk list shows which disks are in error"),
    ("clearimport", "is not in this version; vxdg -C import takes a group over"),
    ("define", "disks are those in dev/vx/dmp; vxdisk scandisks looks for new ones"),
    ("destroy", "is not in this version; vxdiskunsetup takes the label off a disk"),
    ("flush", "every change is on the disks before it is answered"),
    ("listtag", "disks have no tags"),
    ("offline", "disks cannot be put offline in this version"),
    ("online", "is not in this version; vxdisk scandisks looks at all disks again"),
    ("path", "disks have one path each; vxdisk -e list shows it"),
    ("resize", "disks are not resized in this version"),
    ("rm", "disks are those in dev/vx/dmp"),
    ("rmregion", "the regions of a disk are made with it"),
    ("rmtag", "disks have no tags"),
    ("set", "is not in this version; vxedit -g GROUP set changes members"),
    ("settag", "disks have no tags"),
    ("updateudid", "disks have no other id than their own"),
];

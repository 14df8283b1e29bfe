//! The command line of `vxdg`.

use clap::{Parser, ValueEnum};
use cvm::model::{Name, UniqueId};

use crate::common::Root;
use crate::vx::keyword::{Keywords, Refused};
use crate::vx::{GroupOption, name};

/// Make, import, deport, change and show disk groups
#[derive(Debug, Parser)]
#[command(name = "vxdg", version, after_help = super::EXAMPLES, disable_help_flag = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) root: Root,
    #[command(flatten)]
    pub(super) group: GroupOption,
    /// free: all disks, spares and those without a device too
    #[arg(short = 'a')]
    pub(super) all: bool,
    /// import: taken, and changes nothing: disks have no clones here
    #[arg(short = 'c')]
    pub(super) clones: bool,
    /// import: although its disks are stamped with another owner, as one that crashed leaves them
    #[arg(short = 'C')]
    pub(super) clear: bool,
    /// import: although disks are missing. adddisk, reminor: taken, and changes nothing
    #[arg(short = 'f')]
    pub(super) force: bool,
    /// deport: for that host, which imports the group at its next start
    #[arg(short = 'h', value_name = "HOST", value_parser = name)]
    pub(super) host: Option<Name>,
    /// rmdisk: keep the record, for another disk. adddisk: give kept records a disk. repldisk: keep
    /// the record of the disk that is taken
    #[arg(short = 'k')]
    pub(super) keep: bool,
    /// import, deport: under another name
    #[arg(short = 'n', value_name = "NEWNAME", value_parser = name)]
    pub(super) rename: Option<Name>,
    /// import: selectcp=DISKID takes the configuration of that disk after a serial split brain;
    /// reminor[=BASE] takes other minor numbers
    #[arg(short = 'o', value_name = "OPTION", value_parser = usage_option)]
    pub(super) options: Vec<UsageOption>,
    /// list, free, spare, nohotuse: without the header
    #[arg(short = 'q')]
    pub(super) quiet: bool,
    /// init, import: shared by the nodes of the cluster. list: only groups that are
    #[arg(short = 's')]
    pub(super) shared: bool,
    /// import: not by itself at the next start
    #[arg(short = 't')]
    pub(super) temporary: bool,
    /// init: version of the group; there is only 140
    #[arg(short = 'T', value_name = "VERSION", value_parser = version)]
    pub(super) group_version: Option<u32>,
    /// What to do
    #[arg(value_name = "KEYWORD", value_parser = Keywords::<Keyword>::new(REFUSED))]
    pub(super) keyword: Keyword,
    /// What with: groups, disks, attributes
    #[arg(value_name = "OPERAND")]
    pub(super) operands: Vec<String>,
    /// Print listings as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Keyword {
    /// [-g GROUP] [-k] adddisk [DM=]DA...: disks become members
    Adddisk,
    /// Print the boot disk group: there is none
    Bootdg,
    /// Print the disk group that is meant without -g
    Defaultdg,
    /// [-n NEWNAME] [-h HOST] deport GROUP...
    Deport,
    /// destroy GROUP...
    Destroy,
    /// flush [GROUP...]: see to it that the disks have the configuration
    Flush,
    /// [-g GROUP] [-qa] free [DM...]: list free space
    Free,
    /// [-Ccfst] [-n NEWNAME] [-o OPTION] import GROUP
    Import,
    /// [-s] init GROUP [cds=on|off] [minor=BASE] [nconfig=N] [nlog=N] [DM=]DA...
    Init,
    /// [-qs] list, or list GROUP...: in detail
    List,
    /// [-g GROUP] [-q] nohotuse: list free space that hot relocation leaves alone
    Nohotuse,
    /// [-g GROUP] reminor [GROUP] BASE: give the volumes other minor numbers
    Reminor,
    /// [-g GROUP] [-k] repldisk DM=SPARE...: DM has no disk, and gets that of SPARE
    Repldisk,
    /// [-g GROUP] [-k] rmdisk DM...: disks leave the group
    Rmdisk,
    /// [-g GROUP] set activation=MODE|diskdetpolicy=POLICY|dgfailpolicy=POLICY|cds=on|off|
    /// ssb=on|off|nconfig=N|nlog=N...
    Set,
    /// [-g GROUP] [-q] spare: list free space of spares
    Spare,
}

/// The value of `-o`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum UsageOption {
    /// `reminor[=base]`
    Reminor(Option<u32>),
    /// `selectcp=diskid`
    Select(UniqueId),
}

fn usage_option(text: &str) -> Result<UsageOption, String> {
    let (key, value) = text.split_once('=').map_or((text, None), |(key, v)| (key, Some(v)));
    match (key, value) {
        ("reminor", None) => Ok(UsageOption::Reminor(None)),
        ("reminor", Some(base)) => super::action::minor(base)
            .map(|base| UsageOption::Reminor(Some(base)))
            .map_err(|failure| failure.to_string()),
        ("selectcp", Some(disk)) => {
            disk.parse().map(UsageOption::Select).map_err(|error| error.to_string())
        }
        ("selectcp", None) => Err("expected selectcp=DISKID".to_owned()),
        _ => {
            let known = "expected selectcp=DISKID, reminor or reminor=BASE";
            let why = OPTIONS_REFUSED.iter().find(|(option, _)| *option == key);
            Err(why.map_or_else(|| known.to_owned(), |(_, why)| format!("{why}; {known}")))
        }
    }
}

fn version(text: &str) -> Result<u32, String> {
    let known = cvm::model::Group::VERSION;
    if text == known.to_string() { Ok(known) } else { Err(format!("the only version is {known}")) }
}

const OPTIONS_REFUSED: &[(&str, &str)] = &[
    ("clean", "nothing is left half done: every change is a transaction"),
    ("clearreserve", "there are no reservations on disks"),
    ("expand", "objects are not moved between groups in this version"),
    ("groupreserve", "there are no reservations on disks"),
    ("listreserve", "there are no reservations on disks"),
    ("noautostart", "volumes come back in the state that they were in"),
    ("noreonline", "an import always looks at all disks"),
    ("override", "destroy asks for no confirmation"),
    ("overridessb", "a disk is added only if no group has it, so it has no other side"),
    ("tag", "disks have no tags"),
    ("updateid", "disks have no clones"),
    ("useclonedev", "disks have no clones"),
    ("verify", "destroy asks for no confirmation"),
];

const REFUSED: Refused = &[
    ("addsite", "there are no sites"),
    ("join", "groups are not joined in this version"),
    ("listclone", "disks have no clones"),
    ("listmeta", "is not in this version; vxdg list GROUP shows where the copies are"),
    ("listmove", "objects are not moved between groups in this version"),
    (
        "listssbinfo",
        "is not in this version; vxdisk list DISK shows the serial of each disk as ssb",
    ),
    ("move", "objects are not moved between groups in this version"),
    ("recover", "nothing is left half done: every change is a transaction"),
    ("rmsite", "there are no sites"),
    ("split", "groups are not split in this version"),
    ("upgrade", "all groups have version 140, and there is no other"),
];

impl Cli {
    /// Options by name, and whether they were given; `--root` goes with everything.
    pub(super) fn given(&self) -> [(&'static str, bool); 14] {
        [
            ("-g", self.group.given().is_some()),
            ("-a", self.all),
            ("-c", self.clones),
            ("-C", self.clear),
            ("-f", self.force),
            ("-h", self.host.is_some()),
            ("-k", self.keep),
            ("-n", self.rename.is_some()),
            ("-o", !self.options.is_empty()),
            ("-q", self.quiet),
            ("-s", self.shared),
            ("-t", self.temporary),
            ("-T", self.group_version.is_some()),
            ("--json", self.json),
        ]
    }
}

impl Keyword {
    /// Options that go with it.
    pub(super) const fn takes(self) -> &'static [&'static str] {
        match self {
            Self::Adddisk => &["-g", "-f", "-k"],
            Self::Bootdg | Self::Defaultdg | Self::Destroy => &[],
            Self::Deport => &["-h", "-n"],
            Self::Flush => &["-g"],
            Self::Free => &["-g", "-a", "-q", "--json"],
            Self::Import => &["-c", "-C", "-f", "-n", "-o", "-s", "-t"],
            Self::Init => &["-s", "-T"],
            Self::List => &["-g", "-q", "-s", "--json"],
            Self::Nohotuse | Self::Spare => &["-g", "-q", "--json"],
            Self::Reminor => &["-f", "-g"],
            Self::Repldisk | Self::Rmdisk => &["-g", "-k"],
            Self::Set => &["-g"],
        }
    }
}

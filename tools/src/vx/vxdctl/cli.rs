//! The command line of `vxdctl`.

use clap::{Parser, ValueEnum};
use cvm::disk::RequestId;
use cvm::model::Name;

use crate::common::{Failure, Root};
use crate::vx::keyword::{Keywords, Refused, check_options, word};
use crate::vx::operand::{named, wrong};

/// Control vxconfigd and show its state
#[derive(Debug, Parser)]
#[command(name = "vxdctl", version, after_help = super::EXAMPLES)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) root: Root,
    /// mode: with the role of this node in the cluster
    #[arg(short = 'c')]
    pub(super) cluster: bool,
    /// stop: with SIGKILL
    #[arg(short = 'k')]
    kill: bool,
    /// What to do
    #[arg(value_name = "KEYWORD", value_parser = Keywords::<Keyword>::new(REFUSED))]
    keyword: Keyword,
    /// A name or id
    #[arg(value_name = "OPERAND")]
    operand: Option<String>,
    /// Print listings as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Keyword {
    /// Print the boot disk group: there is none
    Bootdg,
    /// defaultdg [GROUP|nodg]: print or set the disk group that is meant without -g
    Defaultdg,
    /// Do nothing but vxdctl enable; what is open stays open
    Disable,
    /// Look at all disks again; and be at work again after disable
    Enable,
    /// hostid HOST: set the name of this host in etc/vx/volboot
    Hostid,
    /// init [HOST]: write a new etc/vx/volboot
    Init,
    /// Print what is licensed: nothing needs to be
    License,
    /// Print etc/vx/volboot
    List,
    /// [-c] mode: print what vxconfigd does
    Mode,
    /// Print the versions of the protocol that this node speaks
    Protocolrange,
    /// Print the version of the protocol that the cluster speaks
    Protocolversion,
    /// [-k] stop: end vxconfigd
    Stop,
    /// Print all versions
    Support,
    /// transstate ID: print what became of a request
    Transstate,
}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    BootGroup,
    DefaultGroup,
    Disable,
    Enable,
    HostId(Name),
    Init(Option<Name>),
    License,
    List,
    Mode,
    ProtocolRange,
    ProtocolVersion,
    SetDefaultGroup(Option<Name>),
    Stop { kill: bool },
    Support,
    TransState(RequestId),
}

/// Reads a command line.
///
/// # Errors
/// If it cannot be meant.
pub(super) fn action(cli: &Cli) -> Result<Action, Failure> {
    let given = [("-c", cli.cluster), ("-k", cli.kill), ("--json", cli.json)];
    check_options(&cli.keyword, &given, cli.keyword.takes())?;
    let operand = cli.operand.as_deref();
    let plain = |action| match operand {
        None => Ok(action),
        Some(other) => Err(wrong(format!("\"{other}\": nothing was expected here"))),
    };
    let expected = |what: &str| wrong(format!("expected {} {what}", word(&cli.keyword)));
    match cli.keyword {
        Keyword::Bootdg if operand.is_some() => {
            Err(wrong("bootdg: the host does not start from a disk group, so none can be set"))
        }
        Keyword::Bootdg => Ok(Action::BootGroup),
        Keyword::Defaultdg => match operand {
            None => Ok(Action::DefaultGroup),
            Some("nodg") => Ok(Action::SetDefaultGroup(None)),
            Some(reserved @ ("bootdg" | "defaultdg")) => {
                Err(wrong(format!("{reserved} is a reserved word, and no name of a disk group")))
            }
            Some(group) => Ok(Action::SetDefaultGroup(Some(named(group)?))),
        },
        Keyword::Disable => plain(Action::Disable),
        Keyword::Enable => plain(Action::Enable),
        Keyword::Hostid => {
            let host = operand.ok_or_else(|| expected("HOST"))?;
            Ok(Action::HostId(named(host)?))
        }
        Keyword::Init => Ok(Action::Init(operand.map(named).transpose()?)),
        Keyword::License => match operand {
            Some("init") => Ok(Action::License),
            _ => plain(Action::License),
        },
        Keyword::List => plain(Action::List),
        Keyword::Mode => plain(Action::Mode),
        Keyword::Protocolrange => plain(Action::ProtocolRange),
        Keyword::Protocolversion => plain(Action::ProtocolVersion),
        Keyword::Stop => plain(Action::Stop { kill: cli.kill }),
        Keyword::Support => plain(Action::Support),
        Keyword::Transstate => {
            let id =
                operand.ok_or_else(|| expected("ID, as the command that lost it printed it"))?;
            Ok(Action::TransState(id.parse().map_err(|error| wrong(format!("{error}")))?))
        }
    }
}

impl Keyword {
    const fn takes(self) -> &'static [&'static str] {
        match self {
            Self::List | Self::Protocolrange | Self::Support => &["--json"],
            Self::Mode => &["-c", "--json"],
            Self::Stop => &["-k"],
            Self::Bootdg
            | Self::Defaultdg
            | Self::Disable
            | Self::Enable
            | Self::Hostid
            | Self::Init
            | Self::License
            | Self::Protocolversion
            | Self::Transstate => &[],
        }
    }
}

const REFUSED: Refused = &[
    ("add", "disks are those in dev/vx/dmp; vxdctl enable looks for new ones"),
    ("cmdcompletion", "muster-docs writes completions for shells"),
    ("debug", "set MUSTER_LOG for vxconfigd: its log is var/log/vxconfigd.log"),
    ("initdmp", "disks have one path each"),
    ("request_threads", "vxconfigd takes one request after the other"),
    ("rm", "disks are those in dev/vx/dmp"),
    ("set", "vxconfigd has no attributes"),
    ("setversion", "there is one version of the protocol"),
    ("unset", "vxconfigd has no attributes"),
    ("upgrade", "there is one version of the protocol, and all nodes speak it"),
];

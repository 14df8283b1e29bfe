//! The command line of `vxclustadm`.

use std::time::Duration;

use clap::{Parser, ValueEnum};
use cvm::request::ClusterRequest;

use crate::common::{Failure, Root};
use crate::vx::keyword::{Keywords, check_options};

/// Start, stop and show CVM on this node
#[derive(Debug, Parser)]
#[command(name = "vxclustadm", version, after_help = super::EXAMPLES)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) root: Root,
    /// startnode, reinit: the cluster manager
    #[arg(short = 'm', value_name = "MANAGER")]
    manager: Option<Manager>,
    /// startnode: how nodes talk to each other
    #[arg(short = 't', value_name = "TRANSPORT")]
    transport: Option<Transport>,
    /// startnode: name of the cluster
    #[arg(short = 'C', value_name = "CLUSTER")]
    cluster: Option<String>,
    /// startnode: wait so many seconds at most
    #[arg(short = 'j', value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    join_timeout: Option<u64>,
    /// nodestate: with members and master
    #[arg(short = 'v')]
    pub(super) verbose: bool,
    /// What to do
    #[arg(value_name = "KEYWORD", value_parser = Keywords::<Keyword>::new(&[]))]
    keyword: Keyword,
    /// A node's name, or a preference
    #[arg(value_name = "OPERAND", allow_negative_numbers = true)]
    operand: Option<String>,
    /// Print listings as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Manager {
    /// Serviceguard
    Hpsg,
    /// Cluster Server
    Vcs,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Transport {
    /// Of vcs
    Gab,
    /// Of hpsg
    Hpsg,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Keyword {
    /// Leave the cluster at once
    Abortnode,
    /// Print how much this node wants to be master
    Getpreference,
    /// List the nodes
    Nidmap,
    /// [-v] nodestate: print whether this node is in the cluster
    Nodestate,
    /// [-m MANAGER] reinit: read the names of the nodes again
    Reinit,
    /// setmaster NODE: make that node master
    Setmaster,
    /// setpreference VALUE: say how much this node wants to be master
    Setpreference,
    /// The same as setmaster
    Setprimary,
    /// [-m MANAGER] [-t TRANSPORT] [-C CLUSTER] [-j SECONDS] startnode: join the cluster
    Startnode,
    /// Leave the cluster when all is closed
    Stopnode,
}

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    Ask(ClusterRequest),
    NidMap,
    NodeState,
    Preference,
    SetMaster(String),
    /// With the longest time to wait.
    Start(Option<Duration>),
}

/// Reads a command line.
///
/// # Errors
/// If it cannot be meant.
pub(super) fn action(cli: &Cli) -> Result<Action, Failure> {
    check_options(&cli.keyword, &cli.given(), cli.keyword.takes())?;
    let operand = || {
        let is_preference = cli.keyword == Keyword::Setpreference;
        let expected = if is_preference { "a preference" } else { "the name of a node" };
        cli.operand.clone().ok_or_else(|| Failure::Usage(format!("expected {expected}")))
    };
    if let (Some(word), false) = (&cli.operand, cli.keyword.has_operand()) {
        return Err(Failure::Usage(format!("\"{word}\": nothing was expected here")));
    }
    Ok(match cli.keyword {
        Keyword::Abortnode => Action::Ask(ClusterRequest::Abort),
        Keyword::Getpreference => Action::Preference,
        Keyword::Nidmap => Action::NidMap,
        Keyword::Nodestate => Action::NodeState,
        Keyword::Reinit => Action::Ask(ClusterRequest::Reinit),
        Keyword::Setmaster | Keyword::Setprimary => Action::SetMaster(operand()?),
        Keyword::Setpreference => {
            let text = operand()?;
            let value = text.parse().map_err(|_| {
                let (low, high) = (i32::MIN, i32::MAX);
                Failure::Usage(format!("\"{text}\": expected a number from {low} to {high}"))
            })?;
            Action::Ask(ClusterRequest::SetPreference(value))
        }
        Keyword::Startnode => {
            cli.check_transport()?;
            Action::Start(cli.join_timeout.map(Duration::from_secs))
        }
        Keyword::Stopnode => Action::Ask(ClusterRequest::Stop),
    })
}

impl Cli {
    fn given(&self) -> [(&'static str, bool); 6] {
        [
            ("-m", self.manager.is_some()),
            ("-t", self.transport.is_some()),
            ("-C", self.cluster.is_some()),
            ("-j", self.join_timeout.is_some()),
            ("-v", self.verbose),
            ("--json", self.json),
        ]
    }

    /// Each manager has its own (facts 3.11).
    fn check_transport(&self) -> Result<(), Failure> {
        match (self.manager, self.transport) {
            (Some(Manager::Hpsg), Some(Transport::Gab)) => {
                Err(Failure::Usage("-m hpsg goes with -t hpsg".to_owned()))
            }
            (Some(Manager::Vcs), Some(Transport::Hpsg)) => {
                Err(Failure::Usage("-m vcs goes with -t gab".to_owned()))
            }
            (Some(Manager::Hpsg | Manager::Vcs) | None, Some(_) | None) => Ok(()),
        }
    }
}

impl Keyword {
    const fn takes(self) -> &'static [&'static str] {
        match self {
            Self::Abortnode
            | Self::Setmaster
            | Self::Setpreference
            | Self::Setprimary
            | Self::Stopnode => &[],
            Self::Getpreference | Self::Nidmap => &["--json"],
            Self::Nodestate => &["-v", "--json"],
            Self::Reinit => &["-m"],
            Self::Startnode => &["-m", "-t", "-C", "-j"],
        }
    }

    const fn has_operand(self) -> bool {
        matches!(self, Self::Setmaster | Self::Setpreference | Self::Setprimary)
    }
}

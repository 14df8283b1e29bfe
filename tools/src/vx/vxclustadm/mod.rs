//! `vxclustadm`: starts, stops and shows CVM on this node (facts 3.11).

mod cli;
mod listing;
mod stop;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory;
use cvm::client::ClientError;
use cvm::request::{ClusterRequest, Reply, Request};
use cvm::snapshot::{NodeSnapshot, Snapshot};
use llt::NodeId;

use crate::common::output::{print, print_json};
use crate::common::{Failure, NotYet, Root, with_version};
use crate::vx::{Daemon, exit};

use cli::{Action, Cli};

/// The definition, for the manual.
pub fn command() -> clap::Command {
    with_version(Cli::command())
}

/// The program.
pub fn main() -> ExitCode {
    exit("vxclustadm", NotYet::parse(&[], command()).and_then(|cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let action = cli::action(cli)?;
    let mut daemon = Daemon::connect(&cli.root)?;
    match action {
        Action::Ask(ClusterRequest::Stop) => stop::stop(&cli.root, daemon),
        Action::Ask(request) => daemon.change(&Request::Cluster(request)),
        Action::NidMap => {
            let nodes = listing::nodes(&daemon.snapshot()?);
            if cli.json { print_json(&nodes) } else { print(&listing::nidmap(&nodes)) }
        }
        Action::NodeState => {
            let cluster = daemon.snapshot()?.cluster;
            if cli.json {
                return print_json(&cluster);
            }
            print(&listing::nodestate(&cluster, cli.verbose))
        }
        Action::Preference => {
            let preference = listing::Preference::of(&daemon.snapshot()?.cluster);
            if cli.json { print_json(&preference) } else { print(&preference.text()) }
        }
        Action::SetMaster(name) => {
            let node = node_named(&daemon.snapshot()?, &name)?;
            daemon.change(&Request::Cluster(ClusterRequest::SetMaster(node)))
        }
        Action::Start(limit) => start(&cli.root, daemon, limit),
    }
}

/// Joins, which may take as long as the cluster likes, or a time limit says.
fn start(root: &Root, mut daemon: Daemon, limit: Option<Duration>) -> Result<(), Failure> {
    let request = Request::Cluster(ClusterRequest::Start);
    let Some(limit) = limit else { return daemon.change(&request) };
    let client = daemon.client();
    client.set_timeout(Some(limit)).map_err(|error| Failure::because(&error))?;
    match client.request(&request) {
        Ok(Reply::Done) => Ok(()),
        Ok(Reply::Failed(failure)) => {
            Err(Failure::Operation { id: failure.id, text: failure.text })
        }
        Ok(other) => {
            Err(Failure::operation(format!("vxconfigd answered with something else: {other:?}")))
        }
        Err(ClientError::Broken { source, .. }) if is_timeout(&source) => {
            // Another connection: this one has an answer to come.
            let state = Daemon::connect(root).and_then(|mut daemon| daemon.snapshot());
            let state = state.map_or_else(|_| "unknown".to_owned(), |known| known.cluster.state);
            Err(Failure::operation(format!(
                "not joined after {} seconds (state: {state}); the node goes on trying, and \
                 vxclustadm nodestate tells how it went",
                limit.as_secs()
            )))
        }
        Err(error) => Err(error.into()),
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock)
}

/// The node that is called so in `llthosts`.
fn node_named(snapshot: &Snapshot, name: &str) -> Result<NodeId, Failure> {
    let nodes = &snapshot.cluster.nodes;
    let found = nodes.iter().find(|node| node.name == name);
    found.and_then(|node| NodeId::new(node.node)).ok_or_else(|| {
        let names: Vec<&str> = nodes.iter().map(|node: &NodeSnapshot| node.name.as_str()).collect();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Failure::Usage(format!("no node is called \"{name}\": known nodes are {known}"))
    })
}

const EXAMPLES: &str = "\
Examples:
  vxclustadm startnode     join the cluster
  vxclustadm -m vcs -t gab -j 60 startnode
                           the same, and give up waiting after a minute
  vxclustadm nidmap        the nodes, and what each is
  vxclustadm nodestate     whether this node is a member, and else why not
  vxclustadm -v nodestate  with members and master
  vxclustadm nodestate --json
  vxclustadm setmaster serverB
                           make another node master; say it on the master
  vxclustadm setpreference 10
                           of the members the one with the highest becomes master when the master goes
  vxclustadm stopnode      leave when all shared volumes are closed here; waits for that, and says for
                           which
  vxclustadm abortnode     leave at once: applications get errors

The cluster is that of LLT and GAB, so -m, -t and -C are taken as the original has them, and change
nothing. Masks of nodestate are hexadecimal, bit n is node n. While I/O waits for a new membership
nodestate says \"reconfig: vxconfigd in join\" if a node joins, else \"reconfig: master update\".

JSON of nidmap: a list of {name, cvm_nid, cm_nid, state}, empty out of the cluster. JSON of nodestate:
an object with name, node, state, reason, master, nodes (a list of {node, name, is_member,
is_joiner}), reconfig_seqnum, preference, is_suspended, protocol_minimum, protocol_maximum, has_iod.
JSON of getpreference: {preference, preference_delta}.

Exit codes: 0 done, 1 failed, 2 usage, 3 vxconfigd is not running.";

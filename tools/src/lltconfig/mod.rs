//! `lltconfig`: starts and stops LLT, which is to say gabd, and changes it while it runs
//! (facts 1.10).

mod action;
mod change;
mod cli;
mod keys;
mod query;
mod start;
mod stop;

use std::process::ExitCode;

use clap::CommandFactory;
use gab::admin::{AdminRequest, RunningConfig};
use gab::snapshot::LltSnapshot;

use crate::common::output::{print, print_json};
use crate::common::{Failure, NotYet, Root, exit, with_version};
use crate::lltstat::PROTOCOL;

pub use query::{address_table, flow_limits, timers};

use action::Action;
use cli::{Cli, NOT_YET};

/// The definition, for the manual.
pub fn command() -> clap::Command {
    with_version(Cli::command())
}

/// The program.
pub fn main() -> ExitCode {
    exit("LLT lltconfig", NotYet::parse(NOT_YET, command()).and_then(|cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let root = &cli.root;
    match Action::of(cli)? {
        Action::Addresses => show(cli, query::addresses, address_table),
        Action::Change(request) => change::change(root, &request, cli.json),
        Action::Checksum => query::checksum(root),
        Action::Flow => show(cli, |llt| query::by_name(&llt.flow), flow_limits),
        Action::GenerateKey(file) => keys::generate(root, file),
        Action::Protocol => query::protocol(root),
        Action::ReloadKeys => keys::reload(root, cli.json),
        Action::Start { file } => {
            start::start(root, file, cli.over)?;
            if cli.verbose { tell(root) } else { Ok(()) }
        }
        Action::Status => status(cli),
        Action::Stop => stop::stop(root, cli.over),
        Action::Timers => show(cli, |llt| query::by_name(&llt.timers), timers),
        Action::Version => print(&version()),
    }
}

/// A listing, as text or as JSON.
fn show<T: serde::Serialize>(
    cli: &Cli,
    json: impl Fn(&LltSnapshot) -> T,
    text: impl Fn(&LltSnapshot) -> String,
) -> Result<(), Failure> {
    let llt = cli.root.snapshot()?.llt;
    if cli.json { print_json(&json(&llt)) } else { print(&text(&llt)) }
}

fn status(cli: &Cli) -> Result<(), Failure> {
    let config = running(&cli.root)?;
    let runs = config.as_ref().is_some_and(|config| !config.listening);
    if cli.json {
        print_json(&Status { running: runs, config })?;
    } else {
        print(state(config.as_ref()))?;
    }
    match runs {
        true if cli.verbose && !cli.json => tell(&cli.root),
        true => Ok(()),
        false => Err(Failure::Said),
    }
}

/// `-v`: who this is, on how many links.
fn tell(root: &Root) -> Result<(), Failure> {
    print(&identity(&root.snapshot()?.llt))
}

fn identity(llt: &LltSnapshot) -> String {
    let up = llt.links.iter().filter(|link| link.enabled && link.carrier).count();
    let LltSnapshot { node, name, cluster, links, .. } = llt;
    format!("node {node} ({name}), cluster {cluster}, {up} of {} links up\n", links.len())
}

/// Without options: is it running?
fn state(config: Option<&RunningConfig>) -> &'static str {
    match config {
        None => "LLT is not running\n",
        // gabd is there, but has not joined anything: the original has not started LLT then.
        Some(config) if config.listening => {
            "LLT is not running: it still listens for another node with its id\n"
        }
        Some(_) => "LLT is running\n",
    }
}

/// `-V`.
fn version() -> String {
    format!("LLT {PROTOCOL} Protocol available\n")
}

/// What gabd runs with; `None` if it does not run.
fn running(root: &Root) -> Result<Option<RunningConfig>, Failure> {
    let answer = root.admin().and_then(|mut admin| Ok(admin.request(&AdminRequest::Config)?));
    match answer {
        Ok(config) => Ok(Some(config)),
        Err(Failure::NoDaemon(_)) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// `lltconfig --json`.
#[derive(Debug, serde::Serialize)]
struct Status {
    running: bool,
    config: Option<RunningConfig>,
}

#[cfg(test)]
mod tests {
    use gab::snapshot::LinkSnapshot;

    use super::*;
    use crate::golden;

    fn config() -> RunningConfig {
        RunningConfig {
            llttab: "set-node north\nset-cluster 7\nlink eth1 eth1 - ether - -\n".into(),
            llthosts: "0 north\n1 south\n".into(),
            pid: 4711,
            changed: vec!["set-timer peertrouble:350".into()],
            warnings: vec!["frames are not authenticated: no etc/muster.key".into()],
            ..RunningConfig::default()
        }
    }

    #[test]
    fn it_says_whether_llt_runs() {
        let (runs, listens) = (config(), RunningConfig { listening: true, ..config() });
        let states = [None, Some(&listens), Some(&runs)].map(state);
        golden::check("lltconfig", &states.concat());
        golden::check_json("lltconfig-json", &Status { running: true, config: Some(runs) });
        golden::check_json("lltconfig-stopped-json", &Status { running: false, config: None });
    }

    #[test]
    fn it_says_which_node_this_is() {
        let link = |enabled, carrier| LinkSnapshot { enabled, carrier, ..LinkSnapshot::default() };
        let links = vec![link(true, true), link(true, false), link(false, true)];
        let llt = LltSnapshot { name: "north".into(), cluster: 7, links, ..LltSnapshot::default() };
        golden::check("lltconfig-verbose", &identity(&llt));
        golden::check("lltconfig-version", &version());
    }
}

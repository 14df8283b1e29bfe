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
        Action::Version => print(&format!("LLT {PROTOCOL} Protocol available\n")),
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
    } else if runs {
        print("LLT is running\n")?;
    } else if config.is_some() {
        // gabd is there, but has not joined anything: the original has not started LLT then.
        print("LLT is not running: it still listens for another node with its id\n")?;
    } else {
        print("LLT is not running\n")?;
    }
    match runs {
        true if cli.verbose && !cli.json => tell(&cli.root),
        true => Ok(()),
        false => Err(Failure::Said),
    }
}

/// `-v`: who this is, on how many links.
fn tell(root: &Root) -> Result<(), Failure> {
    let llt = root.snapshot()?.llt;
    let up = llt.links.iter().filter(|link| link.enabled && link.carrier).count();
    let LltSnapshot { node, name, cluster, links, .. } = &llt;
    print(&format!("node {node} ({name}), cluster {cluster}, {up} of {} links up\n", links.len()))
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

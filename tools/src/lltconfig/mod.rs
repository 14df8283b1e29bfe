//! `lltconfig`: starts and stops LLT, which is to say gabd (facts 1.10).

mod start;
mod stop;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use gab::admin::{AdminRequest, RunningConfig};

use crate::common::output::{print, print_json};
use crate::common::{Failure, NotYet, Root, exit, with_version};

/// Start and stop LLT; without options, say whether it runs
#[derive(Debug, Parser)]
#[command(name = "lltconfig", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    /// Check the configuration, and start LLT with it
    #[arg(short = 'c', conflicts_with = "unconfigure")]
    configure: bool,
    /// Configuration file instead of etc/llttab
    #[arg(short = 'f', value_name = "FILE", requires = "configure")]
    file: Option<PathBuf>,
    /// Stop LLT; refused while GAB is configured
    #[arg(short = 'U')]
    unconfigure: bool,
    /// With -U: do not ask
    #[arg(short = 'o', requires = "unconfigure")]
    over: bool,
    /// Print whether LLT runs, and with what, as JSON
    #[arg(long, conflicts_with_all = ["configure", "unconfigure"])]
    json: bool,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    with_version(Cli::command())
}

/// The program.
pub fn main() -> ExitCode {
    exit("LLT lltconfig", NotYet::parse(NOT_YET, command()).and_then(|cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    if cli.configure {
        return start::start(&cli.root, cli.file.as_deref());
    }
    if cli.unconfigure {
        return stop::stop(&cli.root, cli.over);
    }
    match running(&cli.root)? {
        Some(config) if cli.json => print_json(&Status { running: true, config: Some(config) }),
        Some(_) => print("LLT is running\n"),
        None => {
            if cli.json {
                print_json(&Status { running: false, config: None })?;
            } else {
                print("LLT is not running\n")?;
            }
            Err(Failure::Said)
        }
    }
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

const NOT_YET: &[NotYet] = &[
    NotYet::value('a', "address table"),
    NotYet::value('A', "address discovery"),
    NotYet::value('b', "add a link"),
    NotYet::value('B', "add a link"),
    NotYet::value('C', "set the cluster id"),
    NotYet::value('d', "add a link"),
    NotYet::value('E', "undocumented"),
    NotYet::value('F', "set a flow control limit"),
    NotYet::value('i', "include nodes"),
    NotYet::value('I', "add a link"),
    NotYet::value('j', "undocumented"),
    NotYet::value('k', "undocumented"),
    NotYet::value('K', "checksum level"),
    NotYet::flag('l', "add a low-priority link"),
    NotYet::value('L', "enable or disable a link"),
    NotYet::value('m', "add a link"),
    NotYet::flag('M', "undocumented"),
    NotYet::value('n', "set the node id"),
    NotYet::flag('N', "undocumented"),
    NotYet::flag('Q', "undocumented"),
    NotYet::value('s', "add a link"),
    NotYet::value('t', "add a link"),
    NotYet::value('T', "set a timer"),
    NotYet::value('u', "remove a link"),
    NotYet::flag('v', "verbose"),
    NotYet::flag('W', "undocumented"),
    NotYet::value('x', "exclude nodes"),
];

const EXAMPLES: &str = "\
Examples:
  lltconfig                 is LLT running?
  lltconfig -c              check etc/llttab and etc/llthosts, then start gabd with them
  lltconfig -c -f FILE      the same with another llttab
  gabconfig -U && lltconfig -U -o
                            stop everything

lltconfig -c starts LLT only; gabconfig -c then configures GAB. If gabd runs already with the same
configuration it says so and succeeds. The configuration is checked before anything else.

JSON: an object with running, and config: {llttab, llthosts, pid, testbed} or null.

Exit codes: 0 done or running, 1 failed, 2 usage, 3 not running.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        NotYet::recognise(NOT_YET, command()).debug_assert();
    }

    #[test]
    fn what_makes_no_sense_is_a_usage_error() {
        for line in ["lltconfig -f x", "lltconfig -o", "lltconfig -c -U", "lltconfig -c --json"] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}

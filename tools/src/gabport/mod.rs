//! `gabport`: registers on a GAB port from the shell: sends, listens, watches (ours); and looks at the
//! heartbeats of the port's supervised client, as the original of this name does (facts 2.12).

mod events;
mod info;
mod line;
mod listener;
mod sender;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};
use gab::admin::{AdminRequest, PortInfo};
use gab::client::{Options, Port};
use gab::{Level, PortName};
use llt::NodeId;

use crate::common::{Failure, NotYet, Root, exit, output, time, with_version};
use listener::Listen;

pub use info::{changed, info};

/// Send, receive and watch on a GAB port
///
/// Without a subcommand: show who is on the port, and how the heartbeats of its supervised client
/// come. A subcommand registers on the port, shared with other gabports of this node, for as long as
/// it runs: the node is a member of the port meanwhile.
#[derive(Debug, Parser)]
#[command(name = "gabport", version, after_help = EXAMPLES, disable_help_flag = true,
    subcommand_negates_reqs = true)]
struct Cli {
    #[command(flatten)]
    root: Root,
    /// The port, a letter; A to Z are for users
    #[arg(short = 'p', value_name = "PORT", value_parser = port_name,
        required_unless_present = "heartbeat")]
    port: Option<PortName>,
    /// Another heartbeat timeout for the supervised client of this node on the port, in milliseconds,
    /// until it registers anew; without a value: print help
    #[arg(short = 'h', value_name = "MS", num_args = 0..=1, conflicts_with = "own",
        value_parser = clap::value_parser!(u64).range(100..=3_600_000))]
    heartbeat: Option<Option<u64>>,
    /// Back to the heartbeat timeout that the client registered with
    #[arg(short = 'd')]
    own: bool,
    /// Without a subcommand: print a JSON object
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Send a message to all members of the port, in the order of the cluster
    Broadcast {
        /// The message; without one, or with -, each line of stdin
        #[arg(allow_hyphen_values = true)]
        text: Option<OsString>,
        /// Delivered nowhere before every member holds it
        #[arg(long)]
        safe: bool,
        /// Give up when there is no membership of the port for so long
        #[arg(long, value_name = "SECONDS", value_parser = time::seconds, default_value = "30")]
        timeout: Duration,
    },
    /// Print messages and memberships, one line each
    Listen {
        #[command(flatten)]
        end: End,
    },
    /// Send a message to the port's clients on one node
    Send {
        /// The node id
        #[arg(value_parser = node_id)]
        node: NodeId,
        /// The message
        #[arg(allow_hyphen_values = true)]
        text: OsString,
        /// Give up when the node is no member of the port for so long
        #[arg(long, value_name = "SECONDS", value_parser = time::seconds, default_value = "30")]
        timeout: Duration,
    },
    /// Print memberships with what changed, and changes of jeopardy and visible nodes
    Watch {
        /// Every port, without registering, and links, peers and clients: all that happens at the
        /// node; without -p
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        end: End,
    },
}

#[derive(Clone, Debug, clap::Args)]
struct End {
    /// Print each line as a JSON object
    #[arg(long)]
    json: bool,
    /// End after N messages (listen) or lines (watch)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after so long; with --count it is then a failure
    #[arg(long, value_name = "SECONDS", value_parser = time::seconds)]
    timeout: Option<Duration>,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    let help = clap::Arg::new("help").long("help").help("Print help");
    with_version(Cli::command()).arg(help.action(clap::ArgAction::Help))
}

/// The program.
pub fn main() -> ExitCode {
    exit("GAB gabport", NotYet::parse(&[], command()).and_then(run))
}

fn run(cli: Cli) -> Result<(), Failure> {
    if cli.heartbeat == Some(None) {
        return output::print(&command().render_help().to_string());
    }
    if let Some(Action::Watch { all: true, end }) = &cli.action {
        if cli.port.is_some() || cli.heartbeat.is_some() || cli.own || cli.json {
            let text = "watch --all is about every port: expected no other option before it";
            return Err(Failure::Usage(text.to_owned()));
        }
        return events::watch(&cli.root, end);
    }
    let Some(port) = cli.port else {
        let what = if cli.action.is_some() { "a subcommand" } else { "-h MS" };
        let text = format!("{what} is about a port: expected -p PORT");
        return Err(Failure::Usage(text + "\n\nUsage: gabport -p <PORT> [COMMAND]"));
    };
    match cli.action {
        None => look(&cli, port),
        Some(_) if cli.heartbeat.is_some() || cli.own || cli.json => {
            let text = "-h, -d and --json before a subcommand have no meaning";
            Err(Failure::Usage(text.to_owned()))
        }
        Some(action) => act(&cli.root, port, action),
    }
}

/// Shows the state of the port, or changes the timeout of its client.
fn look(cli: &Cli, port: PortName) -> Result<(), Failure> {
    let mut admin = cli.root.admin()?;
    let port = port.to_string();
    if cli.own || cli.heartbeat.is_some() {
        let request =
            AdminRequest::GabPortHeartbeat { port: port.clone(), ms: cli.heartbeat.flatten() };
        let ms: u64 = admin.request(&request)?;
        if cli.json {
            return output::print_json(&info::changed_json(&port, ms));
        }
        return output::print(&changed(&port, ms));
    }
    let about: PortInfo = admin.request(&AdminRequest::GabPort { port })?;
    if cli.json { output::print_json(&about) } else { output::print(&info(&about)) }
}

/// Registers on the port and does something there.
fn act(root: &Root, name: PortName, action: Action) -> Result<(), Failure> {
    let status = matches!(action, Action::Watch { .. });
    let options = Options { root: root.path().into(), shared: true, status, ..Options::default() };
    // The message is looked at first: what cannot be sent needs no registration.
    let message = match &action {
        Action::Broadcast { text: Some(text), .. } if text != "-" => Some(sender::message(text)?),
        Action::Send { text, .. } => Some(sender::message(text)?),
        Action::Broadcast { .. } | Action::Listen { .. } | Action::Watch { .. } => None,
    };
    let mut port = Port::register(name, &options)?;
    match action {
        Action::Listen { end } => {
            return listener::listen(port, &Listen { changes_only: false, end });
        }
        Action::Watch { end, .. } => {
            return listener::listen(port, &Listen { changes_only: true, end });
        }
        Action::Send { node, timeout, .. } => {
            sender::wait_for_member(&mut port, Some(node), timeout)?;
            sender::send_one(&mut port, message.unwrap_or_default(), Some(node), Level::Agreed)?;
        }
        Action::Broadcast { safe, timeout, .. } => {
            let level = if safe { Level::Safe } else { Level::Agreed };
            sender::wait_for_member(&mut port, None, timeout)?;
            match message {
                Some(message) => sender::send_one(&mut port, message, None, level)?,
                None => sender::send_lines(&mut port, level)?,
            }
        }
    }
    port.close().map_err(|error| Failure::because(&error))
}

fn port_name(text: &str) -> Result<PortName, &'static str> {
    let mut letters = text.chars();
    match (letters.next().and_then(PortName::new), letters.next()) {
        (Some(port), None) => Ok(port),
        _ => Err("a port is one letter, a to z or A to Z"),
    }
}

fn node_id(text: &str) -> Result<NodeId, &'static str> {
    text.parse().ok().and_then(NodeId::new).ok_or("a node id is a number from 0 to 127")
}

fn bytes_of(text: &OsString) -> Vec<u8> {
    text.clone().into_vec()
}

const EXAMPLES: &str = "\
Examples:
  gabport -p A listen                    everything, as every member sees it
  gabport -p A listen --count 3          the next three messages
  gabport -p A broadcast 'hello'
  seq 1000 | gabport -p A broadcast -    one message per line
  gabport -p A send 2 'hello, two'
  gabport -p A watch                     who comes and goes
  gabport watch --all --json             all that happens at this node, for programs
  gabport -p h                           who is on port h, and how the heartbeats of its client come
  gabport -p h -h 16000                  its heartbeat timeout is 16 s now
  gabport -p h -d                        it is again what the client registered with

Lines of listen, the same on every node for the same event, each written at once:
  deliver SEQ NODE TEXT        a message from NODE; SEQ rises, 0 if it was sent to this node only
  view GEN members NODE...     a membership; GEN is hexadecimal, as in gabconfig -a
  closed ERRNO REASON          the last line: GAB closed the registration
In TEXT a backslash is \\\\, a line end \\n, and any other control character or byte that is no UTF-8
is \\xNN.

Lines of watch: `view GEN members NODE...`, followed by those of `joined NODE...`, `left NODE...`,
`jeopardy NODE...`, `visible NODE...`, `ddna NODE...` that are not empty; `status GEN ...` likewise
when only jeopardy or visible changed; closed as above. ddna, daemon down node alive, are nodes that
left the port with their client and are still in the cluster.

Lines of watch --all: `SECONDS EVENT KEY VALUE...`, the time since 1970, first the node and each of its
ports as they are; what is empty is left out. With --json {\"event\", \"time\" in milliseconds, ...}:
docs/metrics.md lists the events and their keys.

Flags of the port: 1 this node has a client there, 2 it shares the port, 4 it is of kernel type, 8 it
is supervised. Without a supervised client the timeout is the default and the counts are 0. A
heartbeat is counted in the fifth of the timeout in which it came.

JSON lines: {\"event\": \"deliver\", \"sequence\", \"sender\", \"broadcast\", \"safe\", \"generation\",
\"text\" or, if it is no UTF-8, \"hex\"}; {\"event\": \"view\" or \"status\", \"generation\", \"members\",
\"joined\", \"left\", \"jeopardy\", \"visible\", \"ddna\"}; {\"event\": \"closed\", \"errno\",
\"reason\"}. Of a port: {port, flags, members (names), heartbeat_ms, warn_ms, buckets}; of -h and -d:
{port, heartbeat_ms}.

Messages are at most 65536 bytes. broadcast and send return when all that they sent is ordered.
Exit codes: 0 done, 1 failed or closed by GAB, 2 usage, 3 gabd is not running.";

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        let matches = command().try_get_matches_from(line.split(' '));
        matches.and_then(|all| Cli::from_arg_matches(&all))
    }

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn the_lines_of_the_manual_are_understood() {
        for line in [
            "gabport -p A listen",
            "gabport -pA listen --count 3 --timeout 0.5 --json",
            "gabport -p A broadcast",
            "gabport -p A broadcast -",
            "gabport -p A broadcast --safe hello",
            "gabport -p A broadcast -1",
            "gabport -p A send 2 hello",
            "gabport -p h watch --count 1",
            "gabport --root /tmp -p A watch",
            "gabport -p A watch --root /tmp",
            "gabport -p h",
            "gabport -p h --json",
            "gabport -p h -h 16000",
            "gabport -p h -d",
            "gabport -h",
            "gabport watch --all",
            "gabport watch --all --json --count 3",
        ] {
            parse(line).unwrap();
        }
    }

    #[test]
    fn what_makes_no_sense_is_a_usage_error() {
        for line in [
            "gabport",
            "gabport -p A -h 99",
            "gabport -p A -h soon",
            "gabport -p A -h 3600001",
            "gabport -p A -h 16000 -d",
            "gabport -p 1 listen",
            "gabport -p AB listen",
            "gabport -p A send x y",
            "gabport -p A send 128 y",
            "gabport -p A send 1",
            "gabport -p A listen --count 0",
            "gabport -p A listen --timeout -1",
            "gabport -p A listen --timeout soon",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

//! `gabport`: registers on a GAB port from the shell: sends, listens, watches. Ours; the original
//! of this name looks at the heartbeats of registered processes.

mod line;
mod listener;
mod sender;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};
use gab::client::{Options, Port};
use gab::{Level, PortName};
use llt::NodeId;

use crate::common::{Failure, NotYet, Root, exit, time, with_version};
use listener::Listen;

/// Send, receive and watch on a GAB port
///
/// Registers on the port, shared with other gabports of this node, for as long as it runs: the
/// node is a member of the port meanwhile.
#[derive(Debug, Parser)]
#[command(name = "gabport", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    /// The port, a letter; A to Z are for users
    #[arg(short = 'p', value_name = "PORT", value_parser = port_name)]
    port: PortName,
    #[command(subcommand)]
    action: Action,
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
    with_version(Cli::command())
}

/// The program.
pub fn main() -> ExitCode {
    exit("GAB gabport", NotYet::parse(NOT_YET, command()).and_then(run))
}

fn run(cli: Cli) -> Result<(), Failure> {
    let status = matches!(cli.action, Action::Watch { .. });
    let options =
        Options { root: cli.root.path().into(), shared: true, status, ..Options::default() };
    // The message is looked at first: what cannot be sent needs no registration.
    let message = match &cli.action {
        Action::Broadcast { text: Some(text), .. } if text != "-" => Some(sender::message(text)?),
        Action::Send { text, .. } => Some(sender::message(text)?),
        Action::Broadcast { .. } | Action::Listen { .. } | Action::Watch { .. } => None,
    };
    let mut port = Port::register(cli.port, &options)?;
    match cli.action {
        Action::Listen { end } => {
            return listener::listen(port, &Listen { changes_only: false, end });
        }
        Action::Watch { end } => {
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

const NOT_YET: &[NotYet] = &[NotYet::flag('d', "default heartbeat interval")];

const EXAMPLES: &str = "\
Examples:
  gabport -p A listen                    everything, as every member sees it
  gabport -p A listen --count 3          the next three messages
  gabport -p A broadcast 'hello'
  seq 1000 | gabport -p A broadcast -    one message per line
  gabport -p A send 2 'hello, two'
  gabport -p A watch                     who comes and goes

Lines of listen, the same on every node for the same event, each written at once:
  deliver SEQ NODE TEXT        a message from NODE; SEQ rises, 0 if it was sent to this node only
  view GEN members NODE...     a membership; GEN is hexadecimal, as in gabconfig -a
  closed ERRNO REASON          the last line: GAB closed the registration
In TEXT a backslash is \\\\, a line end \\n, and any other control character or byte that is no UTF-8
is \\xNN.

Lines of watch: `view GEN members NODE...`, followed by those of `joined NODE...`, `left NODE...`,
`jeopardy NODE...`, `visible NODE...` that are not empty; `status GEN ...` likewise when only
jeopardy or visible changed; closed as above.

JSON lines: {\"event\": \"deliver\", \"sequence\", \"sender\", \"broadcast\", \"safe\", \"generation\",
\"text\" or, if it is no UTF-8, \"hex\"}; {\"event\": \"view\" or \"status\", \"generation\", \"members\",
\"joined\", \"left\", \"jeopardy\", \"visible\"}; {\"event\": \"closed\", \"errno\", \"reason\"}.

Messages are at most 65536 bytes. broadcast and send return when all that they sent is ordered.
Exit codes: 0 done, 1 failed or closed by GAB, 2 usage, 3 gabd is not running.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        NotYet::recognise(NOT_YET, command()).debug_assert();
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
        ] {
            Cli::try_parse_from(line.split(' ')).unwrap();
        }
    }

    #[test]
    fn what_makes_no_sense_is_a_usage_error() {
        for line in [
            "gabport listen",
            "gabport -p A",
            "gabport -p 1 listen",
            "gabport -p AB listen",
            "gabport -p A send x y",
            "gabport -p A send 128 y",
            "gabport -p A send 1",
            "gabport -p A listen --count 0",
            "gabport -p A listen --timeout -1",
            "gabport -p A listen --timeout soon",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}

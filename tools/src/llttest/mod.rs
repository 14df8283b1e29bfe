//! `llttest`: exercises LLT between nodes, by commands (facts 1.12).

mod command;
mod payload;
mod report;
mod session;

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser};
use llt::LltPort;
use llt::limits::MESSAGE_MAX;

use crate::common::{Failure, Root, exit, node, output, time, with_version};
use command::Parsed;
use session::Session;

/// Exercise LLT between nodes
///
/// Opens an LLT port and reads commands from standard input, one a line: receive, transmit, packet,
/// forward, echo and more; `help` lists them. Ports 1 to 29 are free for programs.
#[derive(Debug, Parser)]
#[command(name = "llttest", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    /// The LLT port, 1 to 29, the same at all nodes that take part
    #[arg(short = 'p', value_name = "PORT", value_parser = port)]
    port: LltPort,
    /// Write payloads that can be verified, and verify what arrives; at both sides
    #[arg(short = 'v')]
    verify: bool,
    /// Bytes of a message, up to 66560; with -v at least 24
    #[arg(short = 's', value_name = "SIZE", default_value_t = 1024, value_parser = size)]
    size: usize,
    /// A command that makes no progress for so long fails; without it, it waits
    #[arg(long, value_name = "SECONDS", value_parser = time::some_seconds)]
    timeout: Option<Duration>,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    with_version(Cli::command())
}

/// The program.
pub fn main() -> ExitCode {
    let cli = Cli::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit());
    exit("LLT llttest", run(&cli))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    if cli.verify && cli.size < payload::HEADER_LEN {
        let least = payload::HEADER_LEN;
        return Err(Failure::Usage(format!("-s {}: expected {least} or more with -v", cli.size)));
    }
    let mut session = Session::open(cli.root.path(), cli.port, cli.verify, cli.size, cli.timeout)?;
    let stdin = std::io::stdin();
    let by_hand = stdin.is_terminal();
    let mut lines = stdin.lock().lines();
    for number in 1u64.. {
        if by_hand {
            output::print(PROMPT)?;
        }
        let Some(line) = lines.next().transpose()? else { break };
        let done = match command::parse(&line) {
            Parsed::Nothing => continue,
            Parsed::Quit => break,
            Parsed::Help(text) => output::print(&text),
            Parsed::Wrong(text) => Err(Failure::operation(text)),
            Parsed::Command(command) => session.run(&command),
        };
        match done {
            Ok(()) => {}
            // Somebody who types learns of a mistake and goes on; a script ends where it went wrong.
            Err(Failure::Operation { text, .. } | Failure::Usage(text)) if by_hand => {
                let _ = writeln!(std::io::stderr().lock(), "{text}");
            }
            Err(Failure::Operation { text, .. } | Failure::Usage(text)) => {
                return Err(Failure::operation(format!("line {number}: {text}")));
            }
            Err(failure) => return Err(failure),
        }
    }
    session.close()
}

/// Others may not be opened by programs, or are not free: lltping's takes clients that answer pings.
fn port(text: &str) -> Result<LltPort, &'static str> {
    let free =
        node::llt_port(text).ok().filter(|port| (1..LltPort::PING.get()).contains(&port.get()));
    free.ok_or("a port for programs is a number from 1 to 29")
}

fn size(text: &str) -> Result<usize, String> {
    let size = text.parse().ok().filter(|size| *size <= MESSAGE_MAX);
    size.ok_or_else(|| format!("a message has up to {MESSAGE_MAX} bytes"))
}

const PROMPT: &str = "llttest> ";

const EXAMPLES: &str = "\
Examples:
  llttest -p 20 -v                          by hand, then: receive -c 1000
  echo 'transmit -c 1000 -n 1' | llttest -p 20 -v
                                            a thousand messages to node 1, which verifies them
  printf 'node 1\\ncount 5000\\npacket\\n' | llttest -p 20 -s 512
                                            5000 datagrams of 512 bytes
  echo 'echo' | llttest -p 20               send everything back to its sender

Without -c a command takes the number of `count` (1 at first), without -n the node of `node`. A
command that reads from standard input that is no terminal ends at the first command that fails.

Exit codes: 0 done, 1 a command failed, 2 usage, 3 gabd is not running.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn the_lines_of_the_original_are_understood() {
        for line in
            ["llttest -p 1", "llttest -p 29", "llttest -p 5 -v -s 1024", "llttest -p 5 -s 66560"]
        {
            Cli::try_parse_from(line.split(' ')).unwrap();
        }
        for line in [
            "llttest",
            "llttest -p 0",
            "llttest -p 30",
            "llttest -p 31",
            "llttest -p 5 -s 66561",
            "llttest -p 5 receive",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}

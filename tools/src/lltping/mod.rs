//! `lltping`: asks over LLT whether a node is alive (facts 1.12).

mod asker;
mod report;
mod server;

use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser};
use gab::echo;
use llt::LltPort;

use crate::common::{Failure, Root, exit, node, output, time, with_version};
use asker::{Asker, Plan};

/// Ask over LLT whether a node is alive
///
/// Every gabd answers on LLT port 30, so nothing has to be started at the other node. With -p a
/// program on another port answers, which is `lltping -s -p PORT`.
#[derive(Debug, Parser)]
#[command(name = "lltping", version, after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("side").required(true))]
struct Cli {
    #[command(flatten)]
    root: Root,
    /// Ask this node, an id or a name in llthosts
    #[arg(short = 'c', value_name = "NODE", group = "side")]
    client: Option<String>,
    /// Answer on the port of -p until interrupted; on port 30 gabd does so itself
    #[arg(short = 's', group = "side")]
    server: bool,
    /// Print nothing; the exit code tells
    #[arg(short = 'q', conflicts_with_all = ["verbose", "json"])]
    quiet: bool,
    /// Print each question and answer
    #[arg(short = 'v')]
    verbose: bool,
    /// The LLT port
    #[arg(short = 'p', value_name = "PORT", value_parser = node::llt_port, default_value = "30")]
    port: LltPort,
    /// Measure round trips
    #[arg(short = 'T')]
    time: bool,
    /// With -T: how many
    #[arg(short = 'n', value_name = "COUNT", default_value_t = 20, requires = "time",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,
    /// With -T: print the summary only
    #[arg(short = 'a', requires = "time")]
    summary: bool,
    /// Send a checksum, which both ends verify
    #[arg(short = 'K')]
    checksum: bool,
    /// Bytes of a question, 24 to 16384
    #[arg(short = 'm', value_name = "SIZE", default_value_t = 128, value_parser = size)]
    size: u32,
    /// As a datagram: in one frame, and not sent again if it is lost
    #[arg(short = 'F')]
    datagram: bool,
    /// Give up when no answer comes for so long
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = time::some_seconds)]
    timeout: Duration,
    /// Print the result as JSON
    #[arg(long, conflicts_with = "server")]
    json: bool,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    with_version(Cli::command())
}

/// The program.
pub fn main() -> ExitCode {
    let cli = Cli::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit());
    match run(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => exit("LLT lltping", Err(failure)),
    }
}

/// Is the node alive?
fn run(cli: &Cli) -> Result<bool, Failure> {
    let llt = cli.root.snapshot()?.llt;
    let Some(name) = &cli.client else {
        return server::serve(cli, &llt).map(|()| true);
    };
    let node = node::find(&llt, name)?;
    let plan = Plan {
        size: usize::try_from(cli.size).unwrap_or(echo::ECHO_MAX),
        checked: cli.checksum,
        reliable: !cli.datagram,
        timeout: cli.timeout,
    };
    let mut asker = Asker::open(cli.root.path(), cli.port, &node, plan)?;
    let outcome = if cli.time {
        let each = !cli.quiet && !cli.summary && !cli.json;
        asker.measure(cli.count, |answer| {
            if each { output::print(&report::round_trip(&node, answer)) } else { Ok(()) }
        })?
    } else {
        let outcome = asker.is_alive()?;
        if cli.verbose && !cli.json {
            output::print(&report::round_trips(&node, &outcome))?;
        }
        outcome
    };
    let alive = outcome.is_alive();
    if cli.quiet {
        return Ok(alive);
    }
    // What has changed meanwhile may be why.
    let llt = cli.root.snapshot()?.llt;
    let node = node::find(&llt, name)?;
    if cli.json {
        output::print_json(&report::json(&llt, &node, cli.size, &outcome))?;
        return Ok(alive);
    }
    let mut text = String::new();
    if cli.time {
        text += &report::summary(&outcome);
    }
    if !cli.time || !alive {
        text += &report::verdict(&llt, &node, &outcome, cli.timeout);
    }
    output::print(&text)?;
    Ok(alive)
}

fn size(text: &str) -> Result<u32, String> {
    let range = echo::HEADER_LEN..=echo::ECHO_MAX;
    let size = text.parse().ok().filter(|size| range.contains(size));
    let size = size.and_then(|size| u32::try_from(size).ok());
    size.ok_or_else(|| format!("a question has {} to {} bytes", range.start(), range.end()))
}

const EXAMPLES: &str = "\
Examples:
  lltping -c 1               is node 1 alive? says so, and the states of its links
  lltping -c south -q        the exit code alone
  lltping -c 1 -T            20 round trips, and the least, mean and greatest time
  lltping -c 1 -T -n 1000 -a -m 8192
                             of a thousand of 8 KiB only the summary
  lltping -c 1 -T -F         as datagrams: what a bad link loses is not sent again, and counted
  lltping -s -p 20           answer on port 20; another node then asks with -c NODE -p 20

An answer has to come within 10 s. -T, -K, -m and -F are up to who asks: with -s they change nothing.
-F is not documented for the original; here it means datagrams.

JSON: an object with node, name, alive, state, size, sent, answered, damaged, min_us, mean_us, max_us,
times_us (a list, null where no answer came) and links (a list of {tag, ..}, with what lltstat -n
--json shows of a link: its status, address and more).

Exit codes: 0 alive, 1 not alive or an answer was damaged, 2 usage, 3 gabd is not running.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn the_lines_of_the_original_are_understood() {
        for line in [
            "lltping -c 0",
            "lltping -c north -v -p 20 -T -n 5 -a -K -m 16384",
            "lltping -c 0 -q",
            "lltping -s",
            "lltping -s -v -p 20 -T -K -m 128 -F",
            "lltping -c 0 -T --json",
        ] {
            Cli::try_parse_from(line.split(' ')).unwrap();
        }
        for line in [
            "lltping",
            "lltping -c 0 -s",
            "lltping -c 0 -q -v",
            "lltping -c 0 -n 5",
            "lltping -c 0 -a",
            "lltping -c 0 -m 23",
            "lltping -c 0 -m 16385",
            "lltping -c 0 -p 32",
            "lltping -c 0 -T -n 0",
            "lltping -c 0 --timeout 0",
            "lltping -s --json",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}

//! The commands that `llttest` reads, one a line.

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

/// What a line says.
#[derive(Debug)]
pub(super) enum Parsed {
    /// It asks for something.
    Command(Command),
    /// It asks what there is.
    Help(String),
    /// It is empty or a comment.
    Nothing,
    /// It ends the session.
    Quit,
    /// It is not understood; what was expected.
    Wrong(String),
}

#[derive(Debug, Parser)]
#[command(no_binary_name = true, name = "", disable_help_flag = true, infer_subcommands = false)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

/// One command.
#[derive(Clone, Debug, Eq, PartialEq, Subcommand)]
pub(super) enum Command {
    /// How many messages a command without -c is about
    Count {
        /// At least 1
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        count: u64,
    },
    /// How much to print: 0 sums, 1 each message, 2 its first bytes, too
    Debug {
        /// 0 to 2
        #[arg(value_parser = clap::value_parser!(u8).range(0..=2))]
        level: u8,
    },
    /// Receive messages and send each back to its sender
    Echo(HowMany),
    /// Receive messages and send each on to a node
    Forward(Whom),
    /// To which node a command without -n sends
    Node {
        /// An id or a name in llthosts
        node: String,
    },
    /// Send unreliable datagrams to a node
    Packet(Whom),
    /// End
    Quit,
    /// Receive messages
    Receive(HowMany),
    /// Send messages to a node
    Transmit(Whom),
}

#[derive(Args, Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct HowMany {
    /// How many messages
    #[arg(short = 'c', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
}

#[derive(Args, Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Whom {
    #[command(flatten)]
    pub(super) many: HowMany,
    /// Which node, an id or a name in llthosts
    #[arg(short = 'n', value_name = "NODE")]
    pub(super) node: Option<String>,
}

/// Reads a line.
pub(super) fn parse(line: &str) -> Parsed {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        [] => return Parsed::Nothing,
        [first, ..] if first.starts_with('#') => return Parsed::Nothing,
        ["help" | "?"] => return Parsed::Help(HELP.to_owned()),
        ["quit" | "exit"] => return Parsed::Quit,
        _ => {}
    }
    match Line::try_parse_from(&words) {
        Ok(Line { command: Command::Quit }) => Parsed::Quit,
        Ok(Line { command }) => Parsed::Command(command),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => Parsed::Help(error.to_string()),
        Err(error) => {
            let text = error.to_string();
            let what = text.lines().next().unwrap_or_default();
            let what = what.trim_start_matches("error: ");
            let expected = expected(words[0]);
            Parsed::Wrong(format!("{what}; expected {expected}"))
        }
    }
}

/// How the command is used, or which there are.
fn expected(word: &str) -> &'static str {
    let line = HELP.lines().find(|line| line.split_whitespace().next() == Some(word));
    let usage = line.map(|line| line.get(..USAGE_WIDTH).unwrap_or(line).trim());
    usage.unwrap_or("receive, transmit, packet, forward, echo, node, count, debug, help or quit")
}

/// Columns of the usage in a line of the help.
const USAGE_WIDTH: usize = 26;

const HELP: &str = "\
receive [-c N]            receive messages
transmit [-c N] [-n NODE] send messages to a node
packet [-c N] [-n NODE]   send unreliable datagrams to a node
forward [-c N] [-n NODE]  receive messages and send each on to a node
echo [-c N]               receive messages and send each back to its sender
node NODE                 to which node a command without -n sends
count N                   how many messages a command without -c is about
debug LEVEL               0 sums, 1 each message, 2 its first bytes, too
help                      this
quit                      end
";

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Command {
        match parse(line) {
            Parsed::Command(command) => command,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn wrong(line: &str) -> String {
        match parse(line) {
            Parsed::Wrong(text) => text,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_commands_of_the_original_are_understood() {
        let many = |count| HowMany { count };
        assert_eq!(command("receive"), Command::Receive(many(None)));
        assert_eq!(command("  receive  -c 10 "), Command::Receive(many(Some(10))));
        let whom = Whom { many: many(Some(5)), node: Some("south".into()) };
        assert_eq!(command("transmit -c 5 -n south"), Command::Transmit(whom.clone()));
        assert_eq!(command("packet -n south -c5"), Command::Packet(whom.clone()));
        assert_eq!(command("forward -c 5 -n south"), Command::Forward(whom));
        assert_eq!(command("echo"), Command::Echo(many(None)));
        assert_eq!(command("node 3"), Command::Node { node: "3".into() });
        assert_eq!(command("count 100"), Command::Count { count: 100 });
        assert_eq!(command("debug 2"), Command::Debug { level: 2 });
        for line in ["", "   ", "# a comment"] {
            assert!(matches!(parse(line), Parsed::Nothing), "{line}");
        }
        assert!(matches!(parse("quit"), Parsed::Quit));
    }

    #[test]
    fn help_lists_the_commands() {
        for line in ["help", "?"] {
            let Parsed::Help(text) = parse(line) else { panic!("{line} is no question") };
            crate::golden::check("llttest-help", &text);
        }
    }

    #[test]
    fn a_bad_line_says_what_was_expected() {
        assert_eq!(
            wrong("sing"),
            "unrecognized subcommand 'sing'; expected receive, transmit, packet, forward, echo, \
             node, count, debug, help or quit"
        );
        assert!(wrong("receive -c many").ends_with("; expected receive [-c N]"));
        assert!(wrong("receive -c 0").contains("0 is not in 1.."), "{}", wrong("receive -c 0"));
        assert!(wrong("transmit -x").ends_with("; expected transmit [-c N] [-n NODE]"));
        assert!(wrong("debug 3").ends_with("; expected debug LEVEL"));
        assert!(wrong("node").ends_with("; expected node NODE"));
        assert!(wrong("count").ends_with("; expected count N"));
    }
}

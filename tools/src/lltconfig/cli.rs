//! The command line of `lltconfig`.

use std::path::PathBuf;

use clap::Parser;

use crate::common::{NotYet, Root};

/// Start and stop LLT, and change it while it runs; without options, say whether it runs
#[derive(Debug, Parser)]
#[command(name = "lltconfig", version, after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("action").multiple(false))]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) root: Root,

    /// Check the configuration, and start LLT with it
    #[arg(short = 'c', group = "action", help_heading = "Start and stop")]
    pub(super) configure: bool,
    /// Check FILE; LLT starts only if etc/llttab, which gabd reads, says the same
    #[arg(
        short = 'f',
        value_name = "FILE",
        requires = "configure",
        help_heading = "Start and stop"
    )]
    pub(super) file: Option<PathBuf>,
    /// Stop LLT; refused while GAB is configured
    #[arg(short = 'U', group = "action", help_heading = "Start and stop")]
    pub(super) unconfigure: bool,
    /// With -c: do not listen for another node with this id. With -U: do not ask
    #[arg(short = 'o', help_heading = "Start and stop")]
    pub(super) over: bool,

    /// Set timers (hundredths of a second, or with a unit: 150ms, 2s), or show all: query
    #[arg(
        short = 'T',
        value_name = "NAME:VALUE | query",
        num_args = 1..,
        group = "action",
        help_heading = "Change while it runs"
    )]
    pub(super) timers: Vec<String>,
    /// Set limits of flow control (packets), or show all: query
    #[arg(
        short = 'F',
        value_name = "NAME:VALUE | query",
        num_args = 1..,
        group = "action",
        help_heading = "Change while it runs"
    )]
    pub(super) flow: Vec<String>,
    /// Addresses of nodes: list; flush the learned ones; delete NODE TAG; set NODE TAG ADDRESS
    #[arg(
        short = 'a',
        value_names = ["list | flush | delete | set", "NODE", "TAG", "ADDRESS"],
        num_args = 1..=4,
        group = "action",
        help_heading = "Change while it runs"
    )]
    pub(super) addresses: Vec<String>,
    /// Heed these nodes again: 2_31, 2-31 or 5
    #[arg(
        short = 'i',
        value_name = "LOW_HIGH",
        group = "action",
        help_heading = "Change while it runs"
    )]
    pub(super) include: Option<String>,
    /// Ignore these nodes: 2_31, 2-31 or 5
    #[arg(
        short = 'x',
        value_name = "LOW_HIGH",
        group = "action",
        help_heading = "Change while it runs"
    )]
    pub(super) exclude: Option<String>,
    /// Checksum level: 1, 2, 10 and 20 are what is done anyway, 0 is refused
    #[arg(
        short = 'K',
        value_name = "LEVEL",
        group = "action",
        help_heading = "Change while it runs"
    )]
    pub(super) checksum: Option<String>,

    /// The tag of the link to add, enable or disable
    #[arg(short = 't', value_name = "TAG", help_heading = "Links")]
    pub(super) tag: Option<String>,
    /// Add a link on this device: eth1, eth-00:15:17:48:b5:80, or a placeholder for UDP
    #[arg(short = 'd', value_name = "DEVICE", requires_all = ["tag", "kind"], group = "action", help_heading = "Links")]
    pub(super) device: Option<String>,
    /// Its type: ether, udp or udp6
    #[arg(short = 'b', value_name = "TYPE", requires = "device", help_heading = "Links")]
    pub(super) kind: Option<String>,
    /// Its ethertype or UDP port; a UDP link must have one
    #[arg(short = 's', value_name = "SAP", requires = "device", help_heading = "Links")]
    pub(super) sap: Option<String>,
    /// Its MTU
    #[arg(short = 'm', value_name = "MTU", requires = "device", help_heading = "Links")]
    pub(super) mtu: Option<String>,
    /// This node's address on it; UDP only
    #[arg(short = 'I', value_name = "ADDRESS", requires = "device", help_heading = "Links")]
    pub(super) address: Option<String>,
    /// Its broadcast or multicast address; UDP only. Without it udp6 links use the group ff12::cafe
    #[arg(short = 'B', value_name = "ADDRESS", requires = "device", help_heading = "Links")]
    pub(super) broadcast: Option<String>,
    /// Low priority
    #[arg(short = 'l', requires = "device", help_heading = "Links")]
    pub(super) lowpri: bool,
    /// With -t: enable or disable the link
    #[arg(
        short = 'L',
        value_name = "enable | disable",
        value_parser = ["enable", "disable"],
        requires = "tag",
        group = "action",
        help_heading = "Links"
    )]
    pub(super) state: Option<String>,
    /// Remove a disabled link
    #[arg(short = 'u', value_name = "TAG", group = "action", help_heading = "Links")]
    pub(super) remove: Option<String>,

    /// Write a new key of the cluster to FILE, or to etc/muster.key; never over an existing one
    #[arg(long, value_name = "FILE", num_args = 0..=1, group = "action", help_heading = "Keys")]
    pub(super) keygen: Option<Option<PathBuf>>,
    /// Let gabd read etc/muster.key again
    #[arg(long, group = "action", help_heading = "Keys")]
    pub(super) reload_keys: bool,

    /// Print the version of LLT
    #[arg(short = 'V', group = "action")]
    pub(super) show_version: bool,
    /// Print the versions of the protocol
    #[arg(short = 'W', group = "action")]
    pub(super) show_protocol: bool,
    /// Say more
    #[arg(short = 'v')]
    pub(super) verbose: bool,
    /// Print what is shown, or what changed, as JSON
    #[arg(long, conflicts_with_all = [
        "configure", "unconfigure", "checksum", "keygen", "show_version", "show_protocol",
    ])]
    pub(super) json: bool,
}

/// Options of the original that have no meaning here (facts 1.10). Those without a public
/// description are named as what they are.
pub(super) const NOT_YET: &[NotYet] = &[
    NotYet::value('A', "a switch of the original's driver, 0 or 1"),
    NotYet::value('C', "set the cluster id; set-cluster in llttab does it"),
    NotYet::value('E', "a switch of the original's driver, 0, 1 or 3"),
    NotYet::value('j', "a switch of the original's driver, 0, 1 or 2"),
    NotYet::value('k', "a switch of the original's driver: enable, disable or status"),
    NotYet::flag('M', "a query of the original's driver"),
    NotYet::value('n', "set the node id; set-node in llttab does it"),
    NotYet::flag('N', "a query of the original's driver"),
    NotYet::flag('Q', "a property of the original's links"),
];

const EXAMPLES: &str = "\
Examples:
  lltconfig                 is LLT running?
  lltconfig -c              check etc/llttab and etc/llthosts, then start gabd with them
  lltconfig -c -f FILE      the same, after making sure that etc/llttab says what FILE says
  gabconfig -U && lltconfig -U -o
                            stop everything
  lltconfig -T query        the timers
  lltconfig -T peertrouble:350 peerinact:8s
                            change two of them; peerinact too takes effect at once
  lltconfig -t eth3 -d eth3 -b ether
                            add a link
  lltconfig -t l2 -d udp -b udp -s 50002 -I 192.168.3.1 -B 192.168.3.255 -l
                            add a UDP link of low priority
  lltconfig -t eth3 -L disable && lltconfig -u eth3
                            take a link out and remove it
  lltconfig -a set 1 l2 192.168.3.2
                            set the address of node 1 on a link
  lltconfig -x 2-31         ignore these nodes
  lltconfig --keygen        make a key, then copy etc/muster.key to every node

lltconfig -c starts LLT only; gabconfig -c then configures GAB. If gabd runs already with the same
configuration it says so and succeeds. The configuration is checked before anything else. gabd reads
etc/llttab whenever it starts, so -f with a file that says something else checks that file and refuses:
put it there first. Then gabd
listens for five seconds on each link; if another machine uses the same node id in the same cluster
it does not start.

What is changed while LLT runs holds until gabd ends, and is not written to llttab: the answer says
which line to put there. Timers and limits are checked by the rules of llttab, all of one call
together; if one is refused none is changed. rpeerinact means nothing here, and service has no effect.

JSON: without options an object with running, and config: {llttab, llthosts, pid, testbed, listening,
changed, warnings (of the start)} or null. Of -T query and -F query an object of names and values, timers in milliseconds. Of
-a list a list of {link, tag, node, name, address, permanent}. Of a change an object of three lists of
strings: changed, keep (lines for llttab), warnings. Of --reload-keys an object with keys: the ids of
those in force, of which the first seals.

Exit codes: 0 done or running, 1 failed, 2 usage, 3 not running.";

/// Reads a line as the program does.
#[cfg(test)]
pub(super) fn cli(line: &str) -> Result<Cli, clap::Error> {
    use clap::FromArgMatches;
    Cli::from_arg_matches(&super::command().try_get_matches_from(line.split(' '))?)
}

#[cfg(test)]
mod tests {
    use super::super::command;
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        NotYet::recognise(NOT_YET, command()).debug_assert();
    }

    #[test]
    fn the_usual_lines_are_understood() {
        for line in [
            "lltconfig",
            "lltconfig -c -o",
            "lltconfig -oU",
            "lltconfig -v",
            "lltconfig -T query --json",
            "lltconfig -T peertrouble:350 peerinact:8s",
            "lltconfig -a set 1 l2 192.168.3.2",
            "lltconfig -t eth3 -d eth3 -b ether -s 0xCAFF -m 9000 -l",
            "lltconfig -u eth3",
            "lltconfig --keygen",
            "lltconfig --keygen /tmp/key",
            "lltconfig -V",
        ] {
            cli(line).unwrap();
        }
    }

    #[test]
    fn what_makes_no_sense_is_a_usage_error() {
        for line in [
            "lltconfig -f x",
            "lltconfig -c -U",
            "lltconfig -c --json",
            "lltconfig -T query -F query",
            "lltconfig -u eth1 -L disable -t eth1",
            "lltconfig -i 1 -x 2",
            "lltconfig -t eth1 -d eth1",
            "lltconfig -d eth1 -b ether",
            "lltconfig -L disable",
            "lltconfig -t eth1 -L off",
            "lltconfig -s 50000",
            "lltconfig -l",
            "lltconfig -T",
            "lltconfig -K 0 -K 1",
        ] {
            assert!(cli(line).is_err(), "{line}");
        }
    }
}

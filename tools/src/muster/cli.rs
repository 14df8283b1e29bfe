//! The command line of muster.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::cluster::TimerProfile;

/// Brings a cluster of real daemons up on this machine, breaks it, and shows it.
#[derive(Debug, Parser)]
#[command(name = "muster", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    /// Folder of the cluster [default: $XDG_RUNTIME_DIR/muster, else a private one in the
    /// temporary directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  muster up -n 3                   three nodes with two links each
  muster exec 0 gabconfig -a       the memberships as node 0 sees them
  muster link 2 0 down             pull the cable of node 2 on link 0
  muster partition 0,1 2           cut node 2 off
  muster heal                      and let it come back
  muster kill 1; muster start 1    kill -9, and a new life
  muster down
  muster demo                      all of it in under a minute, each step checked

NODE is a node's id or name. Exit status: 0 done, 1 failed, 2 usage, 3 not running.";

/// A subcommand.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a cluster and wait until it has formed
    Up(UpArgs),
    /// End the cluster and remove what `up` made
    Down,
    /// Nodes, links and port memberships on one screen
    Status {
        /// Repeat every second until interrupted
        #[arg(long)]
        watch: bool,
        /// JSON: `dir`, `cluster_id`, `ports`, and per node `id`, `name`, `pid`, `state` (running,
        /// paused, gone), `faults`, `snapshot` (as gabd gives it, or null)
        #[arg(long)]
        json: bool,
    },
    /// Run a command with a node's root, and the commands first on the PATH
    #[command(override_usage = "muster exec NODE COMMAND...")]
    Exec {
        /// The node, then the command with its arguments, untouched
        #[arg(
            required = true, num_args = 2.., trailing_var_arg = true, allow_hyphen_values = true,
            value_names = ["NODE", "COMMAND"]
        )]
        words: Vec<OsString>,
    },
    /// An interactive shell with a node's root, and the commands first on the PATH
    Shell {
        /// Id or name
        node: String,
    },
    /// kill -9 of a node's daemons, or of one
    Kill {
        /// Id or name
        node: String,
        /// Only this one
        #[arg(value_enum)]
        process: Option<Daemon>,
    },
    /// SIGSTOP to a node's daemons
    Pause {
        /// Id or name
        node: String,
    },
    /// SIGCONT to a node's daemons
    Resume {
        /// Id or name
        node: String,
    },
    /// Start a node's daemons and wait until it is a member again
    Start {
        /// Id or name
        node: String,
    },
    /// End a node's daemons in order and wait until they are gone
    Stop {
        /// Id or name
        node: String,
    },
    /// Pull or plug the cable of a node on one link
    Link {
        /// Id or name
        node: String,
        /// Number or tag
        link: String,
        /// Which
        #[arg(value_enum)]
        state: Cable,
    },
    /// Split the cluster: nodes of different groups do not hear each other
    Partition {
        /// Nodes with commas between; nodes that no group names form one of their own
        #[arg(required = true, value_name = "NODE,NODE...")]
        groups: Vec<String>,
    },
    /// End a partition and plug all cables
    Heal,
    /// Disturb what a node sends; without options, show how it is disturbed
    Faults(FaultsArgs),
    /// The whole story in under a minute, each step checked and timed
    Demo(DemoArgs),
    /// Measure ordered broadcast on a cluster of its own
    Bench(BenchArgs),
    /// One client of `bench`
    #[command(hide = true)]
    BenchClient {
        /// Root of its node
        #[arg(long)]
        root: PathBuf,
    },
    /// Leave the session and become another program
    #[command(hide = true)]
    Detach {
        /// Die with this parent
        #[arg(long)]
        parent: Option<i32>,
        /// Program and arguments
        #[arg(required = true, last = true)]
        command: Vec<OsString>,
    },
}

/// A daemon of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Daemon {
    /// LLT and GAB.
    Gabd,
}

/// State of a cable.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Cable {
    /// Pulled.
    Down,
    /// Plugged.
    Up,
}

/// Options of `up`.
#[derive(Args, Debug)]
pub struct UpArgs {
    /// Number of nodes
    #[arg(short = 'n', long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=128))]
    pub nodes: u8,
    /// Number of links
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub links: u8,
    /// What the links are
    #[arg(long, value_enum, default_value = "udp")]
    pub transport: Transport,
    /// Timers
    #[arg(long, value_enum, default_value = "fast")]
    pub timers: TimerProfile,
    /// Who authorises memberships with departures
    #[arg(long, value_enum, default_value = "none")]
    pub arbiter: Arbiter,
    /// One network namespace per node (not in this version)
    #[arg(long)]
    pub netns: bool,
    /// Shared disks (not in this version)
    #[arg(long)]
    pub disks: Option<u32>,
    /// Their size (not in this version)
    #[arg(long)]
    pub disk_size: Option<String>,
}

/// Kind of links.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Transport {
    /// Raw Ethernet (not in this version).
    Ether,
    /// UDP over the loopback.
    Udp,
}

/// Kind of arbitration.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Arbiter {
    /// More than half (not in this version).
    Majority,
    /// Every membership is authorised.
    None,
}

impl UpArgs {
    /// What was asked for that this version cannot do.
    pub fn refused(&self) -> Option<&'static str> {
        match self {
            Self { transport: Transport::Ether, .. } => Some("--transport ether"),
            Self { arbiter: Arbiter::Majority, .. } => Some("--arbiter majority"),
            Self { netns: true, .. } => Some("--netns"),
            Self { disks: Some(_), .. } => Some("--disks"),
            Self { disk_size: Some(_), .. } => Some("--disk-size"),
            _ => None,
        }
    }
}

/// Options of `faults`.
#[derive(Args, Debug)]
pub struct FaultsArgs {
    /// Id or name
    pub node: String,
    /// Number or tag; all links if absent
    pub link: Option<String>,
    /// Frames lost
    #[arg(long, value_parser = share, value_name = "5%")]
    pub loss: Option<f64>,
    /// Extra delay
    #[arg(long, value_parser = duration, value_name = "2ms")]
    pub delay: Option<Duration>,
    /// Frames sent twice
    #[arg(long, value_parser = share, value_name = "1%")]
    pub dup: Option<f64>,
    /// Frames with one bit flipped
    #[arg(long, value_parser = share, value_name = "0.1%")]
    pub corrupt: Option<f64>,
    /// Frames held back behind later ones
    #[arg(long, value_parser = share, value_name = "5%")]
    pub reorder: Option<f64>,
    /// Set everything back first
    #[arg(long)]
    pub clear: bool,
}

/// Options of `demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Timers
    #[arg(long, value_enum, default_value = "fast")]
    pub timers: TimerProfile,
}

/// Options of `bench`.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// What to measure [default: all]
    #[arg(long = "workload", value_enum)]
    pub workloads: Vec<Workload>,
    /// Number of nodes
    #[arg(short = 'n', long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub nodes: u8,
    /// Bytes per message, 32 to 65536 [default: 64 and 1024]
    #[arg(long = "size", value_parser = clap::value_parser!(u32).range(32..=65_536))]
    pub sizes: Vec<u32>,
    /// Repetitions of everything, interleaved
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,
    /// Seconds of sending per round
    #[arg(long, default_value = "1s", value_parser = duration)]
    pub time: Duration,
    /// What the links are
    #[arg(long, value_enum, default_value = "udp")]
    pub transport: Transport,
    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Compare with this (not in this version)
    #[arg(long)]
    pub peer: Option<String>,
    /// Draw (not in this version)
    #[arg(long, value_name = "DIR")]
    pub plot: Option<PathBuf>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub enum Workload {
    /// One sender, ordered delivery counted at every node
    #[value(name = "bcast-1")]
    Bcast1,
    /// All nodes send
    #[value(name = "bcast-all")]
    BcastAll,
    /// One message under way: until it is delivered at its sender, and elsewhere
    Latency,
}

/// A share of all frames: `5%` or `0.05`.
pub fn share(text: &str) -> Result<f64, String> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(number) => (number, 100.0),
        None => (text, 1.0),
    };
    let value: f64 = number.trim().parse().map_err(|_| expected("a share like 5% or 0.05"))?;
    let share = value / scale;
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(expected("0% to 100%")) }
}

/// A length of time: `2ms`, `500us`, `1.5s`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let scale = match &text[number.len()..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        _ => return Err(expected("a time with its unit like 2ms, 500us or 1s")),
    };
    let value: f64 = number.parse().map_err(|_| expected("a time like 2ms, 500us or 1s"))?;
    match Duration::try_from_secs_f64(value * scale) {
        Ok(time) if time <= Duration::from_secs(3600) => Ok(time),
        _ => Err(expected("a time from 0us to 3600s")),
    }
}

fn expected(what: &str) -> String {
    format!("expected {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn exec_passes_everything_after_the_node_on() {
        let line = ["muster", "--dir", "/d", "exec", "0", "gabport", "--help", "--dir", "x", "--"];
        let cli = Cli::try_parse_from(line).unwrap();
        assert_eq!(cli.dir, Some("/d".into()));
        let Command::Exec { words } = cli.command else { panic!("{:?}", cli.command) };
        assert_eq!(words, ["0", "gabport", "--help", "--dir", "x", "--"]);
    }

    #[test]
    fn exec_passes_a_dash_right_after_the_node_on() {
        let cli = Cli::try_parse_from(["muster", "exec", "0", "--json"]).unwrap();
        let Command::Exec { words } = cli.command else { panic!("{:?}", cli.command) };
        assert_eq!(words, ["0", "--json"]);
    }

    #[test]
    fn shares_and_times_have_units() {
        assert_eq!(share("5%"), Ok(0.05));
        assert_eq!(share("0.25"), Ok(0.25));
        assert!(share("101%").is_err() && share("-1%").is_err() && share("NaN").is_err());
        assert_eq!(duration("2ms"), Ok(Duration::from_millis(2)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert!(duration("2").is_err() && duration("-1s").is_err() && duration("1e99s").is_err());
    }
}

//! The command line of muster.

mod bench;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::cluster::{Cable, TimerProfile, Transport};
use super::commands::Usage;
use super::netns::place::Place;
use super::testbed::Network;
pub use bench::{
    BenchArgs, BenchClientArgs, BenchCorosyncArgs, BenchRawArgs, Peer, RawPath, Workload,
};

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
  muster up -n 3                   three nodes with two links each, on the loopback
  muster up -n 4 --netns           four, on Ethernet: a namespace each, a bridge per link
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
        /// JSON: `dir`, `cluster_id`, `links`, `transport` (udp, ether), `keyed`, `ports` (UDP, by link),
        /// `netns` (`holder`, `user`, `mtu`, `nft`; null without --netns), and per node `id`,
        /// `name`, `pid`, `state` (running, paused, gone), `halted` (why its gabd halted the node,
        /// or null), `faults`, `snapshot` (as gabd gives it, or null)
        #[arg(long)]
        json: bool,
    },
    /// Run a command with a node's root, in its namespace, and the commands first on the PATH
    ///
    /// NODE may be `switch`: the namespace of the bridges, for ip, nft, tcpdump.
    #[command(override_usage = "muster exec NODE [--] COMMAND...")]
    Exec {
        /// The node, then the command with its arguments, untouched
        #[arg(
            required = true, num_args = 2.., trailing_var_arg = true, allow_hyphen_values = true,
            value_names = ["NODE", "COMMAND"]
        )]
        words: Vec<OsString>,
    },
    /// An interactive shell with a node's root, in its namespace, and the commands first on the PATH
    Shell {
        /// Id or name, or `switch`
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
    ///
    /// With --netns, a cable that is pulled takes the carrier from the node's device, as a real one
    /// does. On the loopback there is no carrier: the node's taps lose every frame. A cable that is
    /// up again is up in every way.
    Link(LinkArgs),
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
    /// Measure a cluster of its own: ordered broadcast, and what it costs when idle
    Bench(BenchArgs),
    /// One client of `bench`
    #[command(hide = true)]
    BenchClient(BenchClientArgs),
    /// A sender or a receiver of `bench raw`
    #[command(hide = true)]
    BenchRaw(BenchRawArgs),
    /// Make room for a corosync of `bench --peer` and become it
    #[command(hide = true)]
    BenchCorosync(BenchCorosyncArgs),
    /// Keep the namespaces of a cluster
    #[command(hide = true)]
    Hold {
        /// Die with this parent
        #[arg(long)]
        parent: Option<i32>,
        /// How many besides the switch
        #[arg(long)]
        nodes: u8,
    },
    /// Become another program in a namespace
    #[command(hide = true)]
    Inside {
        /// Which
        place: Place,
        /// Program and arguments
        #[arg(required = true, last = true)]
        command: Vec<OsString>,
    },
    /// Leave the session and become another program
    #[command(hide = true)]
    Detach {
        /// Die with this parent
        #[arg(long)]
        parent: Option<i32>,
        /// In this namespace
        #[arg(long)]
        place: Option<Place>,
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

/// Options of `link`.
#[derive(Args, Debug)]
pub struct LinkArgs {
    /// Id or name
    pub node: String,
    /// Number or tag
    pub link: String,
    /// Which
    #[arg(value_enum)]
    pub state: UpDown,
    /// Lose every frame but leave the carrier: the switch fails, not the cable
    #[arg(long, conflicts_with = "one_way")]
    pub silent: bool,
    /// Lose only what comes in to the node, or only what goes out from it
    #[arg(long, value_enum, value_name = "in|out", hide_possible_values = true)]
    pub one_way: Option<Direction>,
}

/// State of a cable.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum UpDown {
    /// Pulled.
    Down,
    /// Plugged.
    Up,
}

/// Direction of frames, as their node sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Direction {
    /// To the node.
    In,
    /// From the node.
    Out,
}

impl LinkArgs {
    /// What the cable is to be.
    ///
    /// # Errors
    /// If a way to be down is given for a cable that is to be up.
    pub fn cable(&self) -> Result<Cable, Usage> {
        match (self.state, self.silent, self.one_way) {
            (UpDown::Down, true, _) => Ok(Cable::Silent),
            (UpDown::Down, false, None) => Ok(Cable::Pulled),
            (UpDown::Down, false, Some(Direction::In)) => Ok(Cable::OneWayIn),
            (UpDown::Down, false, Some(Direction::Out)) => Ok(Cable::OneWayOut),
            (UpDown::Up, false, None) => Ok(Cable::Plugged),
            (UpDown::Up, true, _) => Err(Usage("--silent is a way to be down".into())),
            (UpDown::Up, false, Some(_)) => Err(Usage("--one-way is a way to be down".into())),
        }
    }
}

/// What carries the links.
#[derive(Args, Clone, Debug)]
pub struct NetworkArgs {
    /// One network namespace per node, with a cable per link into a bridge. Without root this takes
    /// a user namespace, where the system allows it
    #[arg(long)]
    pub netns: bool,
    /// What the links are [default: ether with --netns, else udp]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "udp|ether")]
    pub transport: Option<Transport>,
    /// MTU of cables and bridges, 576 to 9216; needs --netns [default: 1500]
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(576..=9216))]
    pub mtu: Option<u32>,
}

impl NetworkArgs {
    /// The network they ask for.
    ///
    /// # Errors
    /// If there is none such.
    pub fn network(&self) -> Result<Network, Usage> {
        if self.netns {
            let transport = self.transport.unwrap_or(Transport::Ether);
            return Ok(Network::Namespaces { transport, mtu: self.mtu.unwrap_or(1500) });
        }
        if self.transport == Some(Transport::Ether) {
            return Err(Usage(
                "--transport ether needs --netns: without it all nodes share the loopback, which \
                 is no Ethernet; with it each node has Ethernet devices of its own"
                    .into(),
            ));
        }
        if self.mtu.is_some() {
            return Err(Usage("--mtu needs --netns: the loopback has an MTU of its own".into()));
        }
        Ok(Network::Loopback)
    }
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
    /// Where they run.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Timers
    #[arg(long, value_enum, default_value = "fast")]
    pub timers: TimerProfile,
    /// Make a key for the cluster: every frame is sealed
    #[arg(long)]
    pub keyed: bool,
    /// Who authorises memberships with departures: majority is gabconfig -q, a side that has none
    /// halts [default: majority with disks, else none]
    #[arg(long, value_enum)]
    pub arbiter: Option<Arbiter>,
    /// Shared disks, sparse files that all nodes see as disk_0, disk_1 and so on; CVM runs then
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=256))]
    pub disks: u32,
    /// Their size, with a unit: k, m, g
    #[arg(long, default_value = "256m", value_name = "SIZE", value_parser = disk_size)]
    pub disk_size: u64,
    /// Show the volumes of each node as files, below dev/vx of its root; needs --disks, root and
    /// /dev/fuse
    #[arg(long)]
    pub fuse: bool,
    /// Run a vxrelocd on each node: what fails with its disk is put on others; needs --disks
    #[arg(long)]
    pub relocd: bool,
    /// A disk that has not answered vxiod for so long counts as failed until it has; 0: it is waited for
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub io_timeout: u64,
}

impl UpArgs {
    /// Are volumes to be shown as files?
    ///
    /// # Errors
    /// If there cannot be any.
    pub fn with_files(&self) -> Result<bool, Usage> {
        if self.fuse && self.disks == 0 {
            return Err(Usage("--fuse needs --disks: without disks there are no volumes".into()));
        }
        Ok(self.fuse)
    }

    /// Is what has failed to be relocated?
    ///
    /// # Errors
    /// If there is nothing that could fail.
    pub fn with_relocation(&self) -> Result<bool, Usage> {
        if self.relocd && self.disks == 0 {
            return Err(Usage("--relocd needs --disks: without disks there are no volumes".into()));
        }
        Ok(self.relocd)
    }
}

/// Bytes of a disk.
fn disk_size(text: &str) -> Result<u64, String> {
    let sectors = cvm::model::size::parse(text).map_err(|error| error.to_string())?;
    let least = 64 << 20;
    let bytes = sectors.saturating_mul(cvm::model::size::SECTOR);
    if bytes < least { Err("a disk has 64m at least".to_owned()) } else { Ok(bytes) }
}

/// Kind of arbitration.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Arbiter {
    /// More than half, or half with the lowest node.
    Majority,
    /// Every membership is authorised.
    None,
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
    /// Where the nodes run.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Timers
    #[arg(long, value_enum, default_value = "fast")]
    pub timers: TimerProfile,
    /// Make a key for the cluster: every frame is sealed
    #[arg(long)]
    pub keyed: bool,
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
    fn raw_ethernet_needs_namespaces_and_is_what_they_are_for() {
        let network = |words: &[&str]| {
            let cli = Cli::try_parse_from(["muster", "up"].iter().chain(words)).unwrap();
            let Command::Up(args) = cli.command else { panic!("{:?}", cli.command) };
            args.network.network()
        };
        let ether = |mtu| Network::Namespaces { transport: Transport::Ether, mtu };
        assert_eq!(network(&[]).unwrap(), Network::Loopback);
        assert_eq!(network(&["--netns"]).unwrap(), ether(1500));
        assert_eq!(network(&["--netns", "--mtu", "9000"]).unwrap(), ether(9000));
        let udp = Network::Namespaces { transport: Transport::Udp, mtu: 1500 };
        assert_eq!(network(&["--netns", "--transport", "udp"]).unwrap(), udp);
        let refused = network(&["--transport", "ether"]).unwrap_err();
        assert!(refused.0.contains("needs --netns: without it"), "{refused}");
        assert!(network(&["--mtu", "9000"]).unwrap_err().0.contains("needs --netns"));
    }

    #[test]
    fn files_are_of_volumes_and_those_are_on_disks() {
        let with_files = |words: &[&str]| {
            let cli = Cli::try_parse_from(["muster", "up"].iter().chain(words)).unwrap();
            let Command::Up(args) = cli.command else { panic!("{:?}", cli.command) };
            args.with_files().map_err(|refused| refused.0)
        };
        assert_eq!(with_files(&["--disks", "2"]), Ok(false));
        assert_eq!(with_files(&["--disks", "2", "--fuse"]), Ok(true));
        let refused = "--fuse needs --disks: without disks there are no volumes";
        assert_eq!(with_files(&["--fuse"]), Err(refused.to_owned()));
        let relocates = |words: &[&str]| {
            let cli = Cli::try_parse_from(["muster", "up"].iter().chain(words)).unwrap();
            let Command::Up(args) = cli.command else { panic!("{:?}", cli.command) };
            args.with_relocation().map_err(|refused| refused.0)
        };
        assert_eq!(relocates(&["--disks", "2"]), Ok(false));
        assert_eq!(relocates(&["--disks", "2", "--relocd"]), Ok(true));
        assert!(relocates(&["--relocd"]).unwrap_err().starts_with("--relocd needs --disks"));
    }

    #[test]
    fn a_cable_can_be_down_in_four_ways() {
        let cable = |words: &[&str]| {
            let line = ["muster", "link", "2", "0"].iter().chain(words);
            let cli = Cli::try_parse_from(line).map_err(|error| Usage(error.to_string()))?;
            let Command::Link(args) = cli.command else { panic!("{:?}", cli.command) };
            args.cable()
        };
        assert_eq!(cable(&["up"]).unwrap(), Cable::Plugged);
        assert_eq!(cable(&["down"]).unwrap(), Cable::Pulled);
        assert_eq!(cable(&["down", "--silent"]).unwrap(), Cable::Silent);
        assert_eq!(cable(&["down", "--one-way", "in"]).unwrap(), Cable::OneWayIn);
        assert_eq!(cable(&["down", "--one-way", "out"]).unwrap(), Cable::OneWayOut);
        assert!(cable(&["up", "--silent"]).is_err());
        assert!(cable(&["up", "--one-way", "in"]).is_err());
        assert!(cable(&["down", "--silent", "--one-way", "in"]).is_err());
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

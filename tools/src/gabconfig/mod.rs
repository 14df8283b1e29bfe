//! `gabconfig`: configures GAB and shows its memberships (facts 2.3 to 2.5).

mod listing;
mod nodeset;

use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{CommandFactory, Parser};
use gab::admin::{
    AdminRequest, Configured, GabConfigure, GabQueue, GabTunable, MEANINGLESS, Meaningless,
    TIMEOUT_MS,
};
use gab::snapshot::Snapshot;

use crate::common::output::{print, print_json};
use crate::common::{Failure, NotYet, Root, exit, with_version};

pub use listing::{clients, driver, memberships, named_memberships, tunables, version, versions};
pub use nodeset::node_columns;

/// Configure GAB, and show its memberships
#[derive(Debug, Parser)]
#[command(name = "gabconfig", version, after_help = EXAMPLES, disable_help_flag = true)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
#[command(group = clap::ArgGroup::new("change").multiple(true)
    .conflicts_with_all(["listing", "unconfigure"]))]
#[command(group = clap::ArgGroup::new("listing").multiple(false).conflicts_with("unconfigure"))]
struct Cli {
    #[command(flatten)]
    root: Root,
    /// Show the memberships of all ports
    #[arg(short = 'a', groups = ["what", "listing"])]
    memberships: bool,
    /// Configure: allow registrations, and join a cluster that is seeded
    #[arg(short = 'c', groups = ["what", "change"])]
    configure: bool,
    /// Show the configuration
    #[arg(short = 'l', groups = ["what", "listing"])]
    driver: bool,
    /// Halt the node, instead of killing, when a supervised client has no heartbeat
    #[arg(short = 'b', groups = ["what", "change"])]
    missed_heartbeat_halt: bool,
    /// -b off
    #[arg(short = 'B', groups = ["what", "change"], conflicts_with = "missed_heartbeat_halt")]
    no_missed_heartbeat_halt: bool,
    /// IOFENCE timeout in milliseconds: attempts to kill a client take so long, and a supervised one
    /// may stay so long after its node was thrown out
    #[arg(short = 'f', value_name = "MS", groups = ["what", "change"],
        value_parser = clap::value_parser!(u64).range(TIMEOUT_MS))]
    iofence_ms: Option<u64>,
    /// Keep on killing: never halt the node for a client that cannot be killed
    #[arg(short = 'k', groups = ["what", "change"])]
    keep_killing: bool,
    /// Halt the node when the process of a supervised or kernel-type client dies
    #[arg(short = 'p', groups = ["what", "change"])]
    process_death_halt: bool,
    /// -p off
    #[arg(short = 'P', groups = ["what", "change"], conflicts_with = "process_death_halt")]
    no_process_death_halt: bool,
    /// List the clients of this node's ports by name; with -a: memberships with these names
    #[arg(short = 'C', group = "what",
        conflicts_with_all = ["driver", "tunables", "version_line", "versions", "change", "unconfigure"])]
    names: bool,
    /// Show what is fixed while gabd runs
    #[arg(short = 'e', groups = ["what", "listing"])]
    tunables: bool,
    /// Quorum off: every side of a split goes on
    #[arg(short = 'd', groups = ["what", "change"])]
    no_quorum: bool,
    /// Halt the node when the others throw it out, even without kernel-type clients
    #[arg(short = 'j', groups = ["what", "change"])]
    rejoin_halt: bool,
    /// -j off
    #[arg(short = 'J', groups = ["what", "change"], conflicts_with = "rejoin_halt")]
    no_rejoin_halt: bool,
    /// Print help. The original's -h MS is refused: it is about disk heartbeats
    #[arg(short = 'h', value_name = "MS", group = "what", num_args = 0..=1,
        allow_hyphen_values = true, conflicts_with_all = ["listing", "names", "change", "unconfigure"])]
    help_or_interval: Option<Option<String>>,
    /// Seed the cluster as soon as N nodes are there
    #[arg(short = 'n', value_name = "N", requires = "configure", group = "change",
        value_parser = clap::value_parser!(u32).range(1..=128))]
    count: Option<u32>,
    /// Quorum on: a side with less than half of the membership before it halts; of exact halves that
    /// with the lowest node id goes on
    #[arg(short = 'q', groups = ["what", "change"], conflicts_with = "no_quorum")]
    quorum: bool,
    /// Limit a queue of each client that registers from now on to N messages, 1 to 4096: sendq, what
    /// it sent and is not ordered yet; recvq, what it has not read. May be given twice
    #[arg(short = 'Q', value_name = "QUEUE:N", groups = ["what", "change"])]
    queues: Vec<GabQueue>,
    /// Single network: nobody asks for a quorum. For tests only
    #[arg(short = 's', groups = ["what", "change"])]
    single_network: bool,
    /// Set a parameter: conn_wait:N, the stable times after which a member that stalls a
    /// reconfiguration is dropped (1 to 256); rejoin_hold:N, the stable times for which a node that
    /// comes back alive has to be connected before it is let in again (0 to 256); those of clients
    /// are listed below
    #[arg(short = 'S', value_name = "NAME:VALUE", groups = ["what", "change"])]
    set: Vec<GabTunable>,
    /// Stable timeout in milliseconds: wait after the first change before a new membership
    #[arg(short = 't', value_name = "MS", groups = ["what", "change"],
        value_parser = clap::value_parser!(u64).range(TIMEOUT_MS))]
    stable_ms: Option<u64>,
    /// Unconfigure: leave the cluster; refused while clients are registered
    #[arg(short = 'U', group = "what")]
    unconfigure: bool,
    /// Show the version of the programs
    #[arg(short = 'v', groups = ["what", "listing"])]
    version_line: bool,
    /// Protocol version to speak
    #[arg(short = 'V', value_name = "VERSION", groups = ["what", "change"],
        value_parser = gab::admin::protocol_version)]
    speak: Option<u8>,
    /// Show protocol versions
    #[arg(short = 'W', groups = ["what", "listing"])]
    versions: bool,
    /// Seed the cluster now, with the nodes that are there
    #[arg(short = 'x', groups = ["what", "change"])]
    seed: bool,
    /// Print listings as JSON
    #[arg(long, conflicts_with_all = ["change", "unconfigure"])]
    json: bool,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    let help = clap::Arg::new("help").long("help").help("Print help");
    with_version(Cli::command()).arg(help.action(clap::ArgAction::Help))
}

/// The program.
pub fn main() -> ExitCode {
    exit("GAB gabconfig", NotYet::parse(&REFUSED, command()).and_then(|cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    match &cli.help_or_interval {
        None => {}
        Some(None) => return print(&command().render_help().to_string()),
        Some(Some(_)) => {
            let why = Meaningless::find('h').map_or("", |option| option.why);
            return Err(Failure::Usage(format!("option -h has no meaning here: {why}")));
        }
    }
    if cli.version_line {
        return if cli.json { print_json(&listing::Version::own()) } else { print(&version()) };
    }
    if cli.memberships || cli.names || cli.driver || cli.tunables || cli.versions {
        return show(cli, &cli.root.snapshot()?);
    }
    let mut admin = cli.root.admin()?;
    for warning in warnings(cli) {
        eprintln!("GAB gabconfig WARNING {warning}");
    }
    if cli.unconfigure {
        admin.set_timeout(LEAVE_TIMEOUT);
        return Ok(admin.request(&AdminRequest::GabUnconfigure)?);
    }
    let request = GabConfigure {
        configure: cli.configure,
        count: cli.count,
        seed: cli.seed,
        stable_ms: cli.stable_ms,
        quorum: switch(cli.quorum, cli.no_quorum),
        rejoin_halt: switch(cli.rejoin_halt, cli.no_rejoin_halt),
        single_network: cli.single_network.then_some(true),
        iofence_ms: cli.iofence_ms,
        keep_killing: cli.keep_killing.then_some(true),
        missed_heartbeat_halt: switch(cli.missed_heartbeat_halt, cli.no_missed_heartbeat_halt),
        process_death_halt: switch(cli.process_death_halt, cli.no_process_death_halt),
        set: cli.set.clone(),
        queues: cli.queues.clone(),
        version: cli.speak,
    };
    let Configured { already } = admin.request(&AdminRequest::GabConfigure(request))?;
    if already { print("GAB is already configured like that\n") } else { Ok(()) }
}

/// A listing of what gabd said.
fn show(cli: &Cli, all: &Snapshot) -> Result<(), Failure> {
    let gab = &all.gab;
    match (cli.memberships, cli.names) {
        (true, _) | (_, true) if cli.json => return print_json(&gab.ports),
        (true, false) => return print(&memberships(gab)),
        (true, true) => return print(&named_memberships(gab)),
        (false, true) => return print(&clients(gab)),
        (false, false) => {}
    }
    match (cli.tunables, cli.versions) {
        (true, _) if cli.json => print_json(&listing::Tunables::of(all)),
        (true, _) => print(&tunables(all)),
        (false, true) if cli.json => print_json(&listing::Version::of(gab)),
        (false, true) => print(&versions(gab)),
        (false, false) if cli.json => print_json(&listing::Driver::of(gab)),
        (false, false) => print(&driver(gab)),
    }
}

/// What an option and its opposite say.
fn switch(on: bool, off: bool) -> Option<bool> {
    (on || off).then_some(on)
}

/// What the operator should know before it is done.
fn warnings(cli: &Cli) -> Vec<&'static str> {
    let mut warnings = Vec::new();
    if cli.seed {
        warnings.push(
            "-x seeds this node now: make sure that no other node of the cluster has a membership, \
             or there are two clusters",
        );
    }
    if cli.single_network {
        warnings.push("-s is for tests only: no side of a split gives up");
    }
    warnings
}

/// Leaving waits for a membership without this node, however long its timers are.
const LEAVE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(120);

/// The options that are refused by name, as in `etc/gabtab`.
static REFUSED: LazyLock<Vec<NotYet>> = LazyLock::new(|| {
    // -h is taken for help, and refused with a value.
    let meaningless = MEANINGLESS.iter().filter(|option| option.letter != 'h');
    meaningless.map(NotYet::meaningless).collect()
});

const EXAMPLES: &str = "\
Examples:
  gabconfig -c -n3     configure; seed when three nodes are there (this line stands in etc/gabtab)
  gabconfig -c -x      configure, and seed now with whoever is there
  gabconfig -c -n4 -q  the same with quorum: a side of a split without a majority halts
  gabconfig -S conn_wait:6
                       drop who stalls a reconfiguration after 6 stable times
  gabconfig -k -f 5000 -S kill_ntries:3
                       kill a client that hangs with three signals in five seconds, and never halt
  gabconfig -a         show the memberships
  gabconfig -a --json  the same for programs
  gabconfig -a -C      the same with the names of this node's clients
  gabconfig -Q sendq:128 -Q recvq:128
                       queues as short as the original's, for clients that register from now on
  gabconfig -U         leave the cluster

Parameters of -S for clients, times in milliseconds:
  isolate_time:MS   a process that was killed may live so long before the node halts (16000 to 240000)
  kill_ntries:N     attempts to kill a process, the last one with SIGKILL (3 to 10)
  client_stall:MS   a client that does not read for so long is closed (100 to 3600000)
  drain_time:MS     a kernel-type client stays registered so long after its process is gone, at least
  rm_timeout:MS     a supervised client that died has so long to register again
  rm_action:ACTION  then: syslog, it is only told, or panic, the node halts

Memberships: one column per node id, the last digit of the id where the node is a member; `;' marks
an absent node in columns 0, 10, 20 and so on. Generations are hexadecimal.

Names: GAB_Control is GAB itself on port a, GAB_USER_CLIENT any ordinary client; a kernel-type client
has the name that it gave, and refcount counts those of this node.

Queues: a client with half a recvq of messages unread holds up its port; one that leaves it so is
closed. What is under way, up to 2048 messages, may come on top of a short recvq.

JSON of -a and -C: a list of {port, generation, members, jeopardy, visible, clients, name, refcount}:
node sets are lists of ids, clients counts those of this node. JSON of -e: an object of the names
shown. JSON of -v and -W: an object with version (of the command), supported and in_force (protocols;
in_force null for -v). JSON of -l: an object with configured, seeded, node_count,
stable_ms, quorum, rejoin_halt, rejoin_hold, single_network, conn_wait, clients, send_queue_limit,
recv_queue_limit, view, sequencer, last_slot, stable_slot, changing, counters (an object of numbers).
clients is an object with client_stall_ms, drain_ms, iofence_ms, isolate_ms, keep_killing, kill_tries,
missed_heartbeat_halt, process_death_halt, register_halt, register_timeout_ms. Without -c options are
listed, and come into force with it.

Quorum: every node should have the same setting; a change counts from the next membership on. A node
that halts leaves its gabd ended with status 75, until somebody starts it. With -q a node seeds by
itself only when all nodes of llthosts are visible.

Exit codes: 0 done, 1 failed, 2 usage, 3 gabd is not running.";

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::error::ErrorKind> {
        let matches = command().try_get_matches_from(line.split(' '));
        matches.and_then(|all| Cli::from_arg_matches(&all)).map_err(|error| error.kind())
    }

    #[test]
    fn the_definition_is_consistent() {
        NotYet::recognise(&REFUSED, command()).debug_assert();
    }

    #[test]
    fn the_lines_that_stand_in_gabtab_are_understood() {
        for (line, count, seed) in [
            ("gabconfig -c -n3", Some(3), false),
            ("gabconfig -c -n 3", Some(3), false),
            ("gabconfig -cn3", Some(3), false),
            ("gabconfig -cx", None, true),
            ("gabconfig -x", None, true),
        ] {
            let cli = parse(line).unwrap();
            assert_eq!((cli.count, cli.seed), (count, seed), "{line}");
        }
        assert_eq!(parse("gabconfig -c -n2 -t 100").unwrap().stable_ms, Some(100));
        let cli = parse("gabconfig -cqj -s -n4 -S conn_wait:4").unwrap();
        assert!(cli.quorum && cli.rejoin_halt && cli.single_network);
        assert_eq!(cli.set, [GabTunable::ConnWait(4)]);
    }

    #[test]
    fn switches_work_without_c_and_warn_where_they_must() {
        for (line, quorum, rejoin) in [
            ("gabconfig -q", Some(true), None),
            ("gabconfig -d", Some(false), None),
            ("gabconfig -j", None, Some(true)),
            ("gabconfig -J", None, Some(false)),
            ("gabconfig -S conn_wait:256", None, None),
            ("gabconfig -bpk -f 3000", None, None),
            ("gabconfig -BP", None, None),
            ("gabconfig -S isolate_time:16000 -S rm_action:panic", None, None),
        ] {
            let cli = parse(line).unwrap();
            assert_eq!(switch(cli.quorum, cli.no_quorum), quorum, "{line}");
            assert_eq!(switch(cli.rejoin_halt, cli.no_rejoin_halt), rejoin, "{line}");
            assert_eq!(warnings(&cli), [""; 0], "{line}");
        }
        assert!(warnings(&parse("gabconfig -c -x").unwrap())[0].contains("two clusters"));
        assert!(warnings(&parse("gabconfig -s").unwrap())[0].contains("tests only"));
    }

    #[test]
    fn queues_versions_and_listings_are_understood() {
        let cli = parse("gabconfig -c -Q sendq:10 -Qrecvq:20 -V 1").unwrap();
        assert_eq!(cli.queues, [GabQueue::Send(10), GabQueue::Receive(20)]);
        assert_eq!(cli.speak, Some(1));
        for line in ["-a -C", "-aC --json", "-C", "-e", "-v", "-W --json", "-h", "-h 1000"] {
            parse(&format!("gabconfig {line}")).unwrap();
        }
        assert_eq!(parse("gabconfig --help").unwrap_err(), clap::error::ErrorKind::DisplayHelp);
    }

    #[test]
    fn what_makes_no_sense_is_a_usage_error() {
        for line in [
            "gabconfig",
            "gabconfig -n3",
            "gabconfig -c -n0",
            "gabconfig -c -n many",
            "gabconfig -a -l",
            "gabconfig -a -c",
            "gabconfig -U -x",
            "gabconfig -q -d",
            "gabconfig -j -J",
            "gabconfig -a -q",
            "gabconfig -S conn_wait:0",
            "gabconfig -S conn_wait:257",
            "gabconfig -S conn_wait",
            "gabconfig -S isolate_time:1",
            "gabconfig -S rm_action:reboot",
            "gabconfig -b -B",
            "gabconfig -p -P",
            "gabconfig -f 0",
            "gabconfig -a -k",
            "gabconfig -c --json",
            "gabconfig --json",
            "gabconfig -Z",
            "gabconfig -a extra",
            "gabconfig -Q sendq:0",
            "gabconfig -Q 128",
            "gabconfig -V 2",
            "gabconfig -C -l",
            "gabconfig -C -U",
            "gabconfig -C -c",
            "gabconfig -e -a",
            "gabconfig -v -W",
            "gabconfig -W -U",
            "gabconfig -a -h",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

//! The part of the command line that is about `bench`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::super::cluster::TimerProfile;
use super::super::netns::place::Place;
use super::super::process::Process;
use super::{NetworkArgs, duration};

/// Options of `bench`.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// What to measure [default: bcast-1, bcast-all, idle, latency, p2p]
    #[arg(value_enum, value_name = "WORKLOAD")]
    pub names: Vec<Workload>,
    /// The same
    #[arg(long = "workload", value_enum, hide_possible_values = true)]
    pub workloads: Vec<Workload>,
    /// Number of nodes; of several, with commas between, a cluster each, after each other
    #[arg(
        short = 'n', long, default_value = "3", value_delimiter = ',', value_name = "N,N...",
        value_parser = clap::value_parser!(u8).range(1..=64)
    )]
    pub nodes: Vec<u8>,
    /// Bytes per message, 32 to 65536 [default: 64 and 1024]
    #[arg(long = "size", value_parser = clap::value_parser!(u32).range(32..=65_536))]
    pub sizes: Vec<u32>,
    /// Repetitions of everything, interleaved
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,
    /// Time of sending per round; `idle` takes at least two seconds
    #[arg(long, default_value = "1s", value_parser = duration)]
    pub time: Duration,
    /// Where the nodes run.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Timers
    #[arg(long, value_enum, default_value = "fast")]
    pub timers: TimerProfile,
    /// Also measure a second cluster whose frames are sealed with a key, round by round beside the
    /// first, and what sealing costs: the ratio of the two
    #[arg(long)]
    pub keyed: bool,
    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Also measure this, round by round beside us. Corosync (Debian: corosync, libcpg4) runs in
    /// namespaces with an MTU of 9000, also where we do not: with several of its fastest settings,
    /// of which the best for each line is shown, and how many times better we are. It has no SAFE:
    /// ours is compared with its AGREED. Nor has it a sequencer. `detect` is measured with its
    /// defaults and with a short token; p2p, join and leave are measured of ours only. `volume` has
    /// nbdkit and qemu-nbd (Debian: nbdkit, qemu-utils); who is not installed is left out
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "all|corosync|nbdkit|qemu-nbd"
    )]
    pub peer: Option<Peer>,
    /// Draw the figures into SVG files in this folder, too: throughput, latency, times and costs by
    /// size and by number of nodes, wherever there are two points at least
    #[arg(long, value_name = "DIR")]
    pub plot: Option<PathBuf>,
    /// Measure nothing: draw what --json wrote to this file
    #[arg(long, value_name = "FILE", requires = "plot")]
    pub from: Option<PathBuf>,
}

impl BenchArgs {
    /// All that was asked for by name.
    pub fn named(&self) -> Vec<Workload> {
        self.names.iter().chain(&self.workloads).copied().collect()
    }

    /// All that is to be measured.
    pub fn chosen(&self) -> Vec<Workload> {
        let named = self.named();
        if named.is_empty() { Workload::UNASKED.to_vec() } else { named }
    }

    /// Is Corosync measured?
    pub fn with_corosync(&self) -> bool {
        matches!(self.peer, Some(Peer::All | Peer::Corosync))
    }

    /// Is nbdkit measured?
    pub fn with_nbdkit(&self) -> bool {
        matches!(self.peer, Some(Peer::All | Peer::Nbdkit))
    }

    /// Is qemu-nbd measured?
    pub fn with_qemu_nbd(&self) -> bool {
        matches!(self.peer, Some(Peer::All | Peer::QemuNbd))
    }
}

/// What is measured beside us.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Peer {
    /// Whatever there is for the workload.
    All,
    /// Closed process groups (CPG) of Corosync.
    Corosync,
    /// A file served by `nbdkit file`.
    Nbdkit,
    /// A file served by `qemu-nbd`.
    QemuNbd,
}

/// Options of `bench-client`.
#[derive(Args, Debug)]
pub struct BenchClientArgs {
    /// Root of its node
    #[arg(long)]
    pub root: Option<PathBuf>,
    /// The corosync of its node
    #[arg(long, value_name = "PID:START", conflicts_with = "root")]
    pub corosync: Option<Process>,
    /// How many there will be
    #[arg(long, default_value_t = 0)]
    pub members: u8,
    /// Tell of changes of the membership, and do nothing else
    #[arg(long, requires = "corosync")]
    pub watch: bool,
}

/// Options of `bench-raw`.
#[derive(Args, Debug)]
pub struct BenchRawArgs {
    /// Die with this parent
    #[arg(long)]
    pub parent: i32,
    /// How packets go
    #[arg(long, value_enum)]
    pub path: RawPath,
    /// Bytes of each packet
    #[arg(long)]
    pub packet: usize,
    /// Milliseconds of sending
    #[arg(long)]
    pub time_ms: u64,
    /// Send instead of receiving
    #[arg(long)]
    pub sends: bool,
    /// To these receivers
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub to: Vec<SocketAddr>,
}

/// How packets of `raw` go.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum RawPath {
    /// Broadcasts of a packet socket, sendmmsg and recvmmsg
    Packet,
    /// A UDP packet to each receiver, sendmmsg and recvmmsg
    Udp,
    /// The same, cut and put together by the kernel (GSO, GRO)
    UdpGso,
}

/// Options of `bench-corosync`.
#[derive(Args, Debug)]
pub struct BenchCorosyncArgs {
    /// Die with this parent
    #[arg(long)]
    pub parent: i32,
    /// In this network
    #[arg(long)]
    pub place: Place,
    /// `corosync.conf`
    #[arg(long)]
    pub config: PathBuf,
    /// The daemon
    #[arg(long)]
    pub program: PathBuf,
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
    /// A node is killed, stopped, with --netns cut off: until the last survivor has the new view
    Detect,
    /// Nobody sends: CPU, memory, frames and bytes per daemon
    Idle,
    /// A daemon starts: until every node has the view with it
    Join,
    /// One message under way: until it is delivered at its sender, and elsewhere
    Latency,
    /// A daemon ends in order: until every other node has the view without it
    Leave,
    /// From one client to one other, reliably
    P2p,
    /// The limit of the machine: packets from one node to all others that nobody orders or repeats,
    /// as many as the slowest receiver gets; packet sockets (with --netns) and UDP
    Raw,
    /// What more nodes cost, for `-n 8,16,32,64`: all send 64 bytes, and one is killed
    Scale,
    /// CVM: a group of 1,000 records is made one transaction at a time, listed, imported, and its master
    /// killed; `flush` is what the disks alone take
    Txn,
    /// CVM: fio reads and writes volumes over NBD on one node, simple, striped, mirrored, mirrored with a
    /// log; 4 KiB and 1 MiB, one request under way and 32. Beside them a file by itself (io_uring),
    /// with --peer also behind other servers; and the messages that go with 1,000 writes. `-n 1` is
    /// enough; takes fio, and 2.3 GB in the temporary folder or in --dir
    Volume,
}

impl Workload {
    /// What is measured when nothing is asked for: all that leaves the membership as it is.
    const UNASKED: [Self; 5] = [Self::Bcast1, Self::BcastAll, Self::Idle, Self::Latency, Self::P2p];

    /// Is it of a cluster of a peer, too?
    pub fn is_of_peers(self) -> bool {
        match self {
            Self::Bcast1 | Self::BcastAll | Self::Idle | Self::Latency | Self::Scale => true,
            // Clusters are made for it.
            Self::Detect => false,
            Self::Join | Self::Leave | Self::P2p | Self::Raw | Self::Txn | Self::Volume => false,
        }
    }

    /// Is there nothing to measure at a node that is alone?
    pub fn needs_others(self) -> bool {
        match self {
            Self::Bcast1 | Self::BcastAll | Self::Idle | Self::Latency => false,
            Self::Txn | Self::Volume => false,
            Self::Detect | Self::Join | Self::Leave | Self::P2p | Self::Raw | Self::Scale => true,
        }
    }
}

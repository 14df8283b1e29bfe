//! `lltdump`: shows the frames of LLT as they pass (facts 1.12).

mod filter;
mod json;
mod packet;
mod seen;
mod source;
mod text;

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{CommandFactory, Parser, ValueEnum};
use llt::NodeId;
use llt::io::{Clock, keyfile};
use llt::seal::Keyring;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, TsResolution};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::common::{Failure, NotYet, Root, exit, output, time, with_version};
use filter::{Filter, KINDS, Talkers};
use packet::{LinkLayer, Parsed, Saps};
use seen::Seen;
use source::{GoesOn, Next, Source};
use text::Detail;

/// How many frames lltdump finds in a packet of an Ethernet device, a plain IP device or the device
/// `any`, whichever shows most: the way in for those who throw anything at it.
pub fn frames_in(packet: &bytes::Bytes) -> usize {
    let layers = [LinkLayer::Ethernet, LinkLayer::Ip, LinkLayer::LinuxSll];
    let count = |layer| match packet::parse(layer, Saps::Any, 0, packet) {
        Parsed::Frames(frames) => frames.len(),
        Parsed::Fragment | Parsed::Other => 0,
    };
    layers.into_iter().map(count).max().unwrap_or_default()
}

/// Show the frames of LLT as they pass
///
/// Without -f and -r these are the frames that the own gabd sends and receives, on links of every
/// type, which takes no rights. A frame that gabd could not use is shown with what is wrong with it.
#[derive(Debug, Parser)]
#[command(name = "lltdump", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    /// Listen on an Ethernet device instead; needs CAP_NET_RAW
    #[arg(short = 'f', value_name = "DEVICE")]
    device: Option<String>,
    /// Read a pcap file instead; - is standard input
    #[arg(short = 'r', value_name = "FILE", conflicts_with = "device")]
    read: Option<PathBuf>,
    /// Write a pcap file instead of text; - is standard output
    #[arg(short = 'w', value_name = "FILE", conflicts_with_all = ["verbose", "bytes", "talkers", "json"])]
    write: Option<PathBuf>,
    /// With -w: of sealed frames, write what the key opens
    #[arg(long, requires = "write")]
    open: bool,
    /// Only frames of this cluster
    #[arg(short = 'c', value_name = "CLUSTER")]
    cluster: Option<u16>,
    /// Only frames from or to this node
    #[arg(long, value_name = "ID", value_parser = node_id)]
    node: Option<u8>,
    /// Only frames of this kind; may be given several times
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<String>,
    /// Only frames of links of this type
    #[arg(short = 't', value_name = "LINKTYPE", value_enum)]
    link_type: Option<LinkType>,
    /// The ethertype of LLT, where packets are read or written
    #[arg(short = 'p', value_name = "SAP", value_parser = sap, default_value = "0xCAFE")]
    sap: u16,
    /// Any ethertype: what begins as our frames do
    #[arg(short = 'S', conflicts_with = "sap")]
    any_sap: bool,
    /// Show all fields
    #[arg(short = 'v')]
    verbose: bool,
    /// Show all fields and the bytes
    #[arg(short = 'V')]
    bytes: bool,
    /// Show only who talks, each once: cluster, node and protocol version as 7-0-1
    #[arg(short = 'D', conflicts_with_all = ["verbose", "bytes", "json"])]
    talkers: bool,
    /// End after N frames (with -D: after N of those who talk)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after so long
    #[arg(long, value_name = "SECONDS", value_parser = time::some_seconds)]
    timeout: Option<Duration>,
    /// Print each frame as a JSON object, one a line
    #[arg(long, conflicts_with_all = ["verbose", "bytes"])]
    json: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum LinkType {
    Ether,
    Udp,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    with_version(Cli::command())
}

/// The program.
pub fn main() -> ExitCode {
    exit("LLT lltdump", NotYet::parse(NOT_YET, command()).and_then(|cli| run(&cli)))
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let clock = Clock::new();
    let deadline = cli.timeout.map(|timeout| clock.now() + timeout);
    let goes_on: GoesOn = Rc::new(move || {
        !stop.load(Ordering::SeqCst) && deadline.is_none_or(|deadline| clock.now() < deadline)
    });
    let saps = if cli.any_sap { Saps::Any } else { Saps::One(cli.sap) };
    let mut source = match (&cli.device, &cli.read) {
        (Some(device), _) => Source::device(device, saps)?,
        (None, Some(file)) => Source::file(file, saps, Rc::clone(&goes_on))?,
        (None, None) => Source::gabd(cli.root.path(), &cli.root.snapshot()?.llt)?,
    };
    let filter = Filter {
        cluster: cli.cluster,
        node: cli.node,
        kinds: cli.kind.clone(),
        ether: cli.link_type.map(|link_type| link_type == LinkType::Ether),
    };
    let keys = keys(cli);
    let mut sink = Sink::open(cli)?;
    let mut left = cli.count;
    while left != Some(0) && goes_on() {
        match source.next()? {
            Next::End => break,
            Next::Frame(seen) => {
                let meaning = seen.meaning(keys.as_ref());
                if filter.passes(&seen, &meaning) && sink.put(&seen, &meaning)? {
                    left = left.map(|left| left - 1);
                }
            }
            Next::Nothing => sink.flush()?,
        }
    }
    sink.flush()?;
    if let Some(rest) = source.rest() {
        output::complain(&format!("lltdump: {rest}"));
    }
    sink.end(cli)
}

/// The keys of the node, with which sealed frames can be read. Without them they are shown as sealed.
fn keys(cli: &Cli) -> Option<Keyring> {
    match keyfile::load(&cli.root.path().join("etc/muster.key")) {
        Ok(keys) => keys,
        Err(error) => {
            output::complain(&format!("lltdump: sealed frames are not opened: {error}"));
            None
        }
    }
}

/// Where frames go.
enum Sink {
    Json,
    Pcap(Box<Pcap>),
    Talkers(Talkers),
    Text(Detail),
}

/// A pcap file in the making.
struct Pcap {
    writer: PcapWriter<Shared>,
    output: Shared,
    sap: u16,
    /// What a key opened takes the place of what was sealed.
    open: bool,
    written: u64,
    lost: u64,
}

impl Sink {
    fn open(cli: &Cli) -> Result<Self, Failure> {
        let Some(path) = &cli.write else {
            return Ok(if cli.json {
                Self::Json
            } else if cli.talkers {
                Self::Talkers(Talkers::default())
            } else if cli.bytes {
                Self::Text(Detail::Bytes)
            } else if cli.verbose {
                Self::Text(Detail::Fields)
            } else {
                Self::Text(Detail::Line)
            });
        };
        let output: Box<dyn Write> = if path == Path::new("-") {
            Box::new(io::stdout())
        } else {
            Box::new(File::create(path).map_err(|error| {
                Failure::operation(format!("cannot write to {}: {error}", path.display()))
            })?)
        };
        let header = PcapHeader {
            datalink: DataLink::ETHERNET,
            ts_resolution: TsResolution::NanoSecond,
            snaplen: SNAPLEN,
            ..PcapHeader::default()
        };
        let output = Shared(Rc::new(RefCell::new(BufWriter::new(output))));
        let writer = PcapWriter::with_header(output.clone(), header).map_err(pcap_failure)?;
        let (sap, open) = (cli.sap, cli.open);
        let pcap = Pcap { writer, output, sap, open, written: 0, lost: 0 };
        let mut sink = Self::Pcap(Box::new(pcap));
        // Whoever reads along sees at once that this is a pcap file.
        sink.flush()?;
        Ok(sink)
    }

    /// Takes a frame; false if it was nothing new.
    fn put(&mut self, seen: &Seen, meaning: &seen::Meaning) -> Result<bool, Failure> {
        match self {
            Self::Json => output::print(&format!("{}\n", json::object(seen, meaning)))?,
            Self::Pcap(pcap) => return pcap.put(seen, meaning),
            Self::Talkers(talkers) => match talkers.news(seen, meaning) {
                Some(talker) => output::print(&(talker + "\n"))?,
                None => return Ok(false),
            },
            Self::Text(detail) => output::print(&text::text(seen, meaning, *detail))?,
        }
        Ok(true)
    }

    fn flush(&mut self) -> Result<(), Failure> {
        if let Self::Pcap(pcap) = self {
            pcap.output.flush()?;
        }
        Ok(())
    }

    /// Says what was written.
    fn end(self, cli: &Cli) -> Result<(), Failure> {
        if let (Self::Pcap(pcap), Some(path)) = (self, &cli.write) {
            let Pcap { written, lost, .. } = *pcap;
            let lost = if lost > 0 { format!(", {lost} went by unseen") } else { String::new() };
            let path = path.display();
            output::complain(&format!("lltdump: {written} frames written to {path}{lost}"));
        }
        Ok(())
    }
}

impl Pcap {
    fn put(&mut self, seen: &Seen, meaning: &seen::Meaning) -> Result<bool, Failure> {
        self.lost += u64::from(seen.lost);
        let built = match &meaning.opened {
            Some(frame) if self.open => {
                packet::build(&Seen { frame: frame.clone(), ..seen.clone() }, self.sap)
            }
            _ => packet::build(seen, self.sap),
        };
        let Some(packet) = built else { return Ok(false) };
        let len = u32::try_from(packet.len()).unwrap_or(SNAPLEN);
        let time = Duration::from_nanos(seen.time_ns);
        self.writer
            .write_packet(&PcapPacket::new_owned(time, len, packet))
            .map_err(pcap_failure)?;
        self.written += 1;
        Ok(true)
    }
}

/// The output of a pcap writer, which has no way to flush it.
#[derive(Clone)]
struct Shared(Rc<RefCell<BufWriter<Box<dyn Write>>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

fn pcap_failure(error: pcap_file::PcapError) -> Failure {
    match error {
        pcap_file::PcapError::IoError(error) => error.into(),
        error => Failure::because(&error),
    }
}

fn node_id(text: &str) -> Result<u8, &'static str> {
    let node = text.parse().ok().and_then(NodeId::new);
    node.map(NodeId::get).ok_or("a node id is a number from 0 to 127")
}

fn kind(text: &str) -> Result<String, String> {
    let name = text.to_ascii_uppercase();
    if KINDS.contains(&name.as_str()) { Ok(name) } else { Err(format!("expected {KINDS:?}")) }
}

fn sap(text: &str) -> Result<u16, &'static str> {
    let sap = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    // What is less is the length of an IEEE 802.3 frame.
    sap.filter(|sap| *sap >= 0x600).ok_or("an ethertype is a number from 0x600 to 0xFFFF")
}

/// The longest packet: a frame of 64 KiB with its headers fits four times.
const SNAPLEN: u32 = 1 << 18;

const NOT_YET: &[NotYet] = &[
    NotYet::flag('A', "undocumented"),
    NotYet::flag('C', "undocumented"),
    NotYet::flag('P', "undocumented"),
    NotYet::flag('R', "undocumented"),
];

const EXAMPLES: &str = "\
Examples:
  lltdump                        what the own gabd sends and receives
  lltdump -v --kind DATA --node 1 --count 10
                                 ten packets from or to node 1 with all their fields
  lltdump -w llt.pcap --timeout 5
                                 five seconds for Wireshark (tools/wireshark has a dissector)
  lltdump -r llt.pcap -V         the same as text, with all bytes
  lltdump -f eth1 -D             who talks on a wire: cluster, node and protocol version
  lltdump -w - | wireshark -k -i -

A line has the time (UTC), the link and direction with the peer's address (or both addresses), the
nodes, and the kind with what matters of it. Kinds: HEARTBEAT, CONN_REQ (a heartbeat to a peer that is
not connected; they may abound), DATA, ACK, DATAGRAM, BYE, DUPLICATE, PROBE, HBREQ (asks for a
heartbeat), SEALED (with a key: id and count), CORRUPT (with what is wrong). Acknowledgements also ride
on DATA and DATAGRAM. Sealed frames are opened with the key of the node if it can be read; -w writes them
as they were, with --open as what the key opens. In a pcap file the frames of UDP links get headers of Ethernet, IP and UDP, with node ids in the Ethernet ones.

JSON: objects with time_ns, link, tag, direction, source_address, destination_address, lost (frames that
went by unseen before), length, kind, cluster, source, destination (null: all), summary, and fields, an
object of what -v shows.

Exit codes: 0 done, 1 failed, 2 usage, 3 gabd is not running.";

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        NotYet::recognise(NOT_YET, command()).debug_assert();
    }

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        command().try_get_matches_from(line.split(' ')).and_then(|all| Cli::from_arg_matches(&all))
    }

    #[test]
    fn the_usual_lines_are_understood() {
        for line in [
            "lltdump",
            "lltdump -f eth1 -c 7 -p 0xCAFF -v",
            "lltdump -f eth1 -S -V",
            "lltdump -f eth1 -D",
            "lltdump -r llt.pcap -t ether",
            "lltdump -w llt.pcap --count 100 --timeout 2.5",
            "lltdump --kind data --kind ACK --node 3 --json",
        ] {
            parse(line).unwrap();
        }
        for line in [
            "lltdump -f eth1 -r x",
            "lltdump -p 0x5ff",
            "lltdump -p 1 -S",
            "lltdump --kind song",
            "lltdump --node 128",
            "lltdump -D -v",
            "lltdump -w x -v",
            "lltdump -t rdma",
            "lltdump eth1",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}

//! Where frames come from: the own gabd, a pcap file, a device.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use gab::client::Trace;
use gab::snapshot::LltSnapshot;
use llt::io::Clock;
use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;
use pnet::datalink::{self, Channel, Config, DataLinkReceiver};

use super::packet::{LinkLayer, Parsed, Saps, own_address, parse};
use super::seen::Seen;
use crate::common::Failure;

/// What a source has.
#[derive(Debug)]
pub(super) enum Next {
    /// It is exhausted.
    End,
    /// A frame.
    Frame(Seen),
    /// Nothing for the moment.
    Nothing,
}

/// Where frames come from.
pub(super) enum Source {
    /// A device, with what packets of it were something else.
    Device(Box<dyn DataLinkReceiver>, Packets),
    /// A file, likewise.
    File(PcapReader<Box<dyn Read>>, LinkLayer, Packets),
    /// The own gabd; tags and addresses of its links.
    Gabd(Trace, Vec<(String, String)>),
}

/// What packets were.
#[derive(Debug)]
pub(super) struct Packets {
    saps: Saps,
    frames: VecDeque<Seen>,
    others: u64,
    fragments: u64,
}

impl Source {
    /// The frames of a running gabd.
    pub(super) fn gabd(root: &Path, llt: &LltSnapshot) -> Result<Self, Failure> {
        let links = llt.links.iter().map(|link| (link.tag.clone(), link.address.clone()));
        Ok(Self::Gabd(Trace::start(root)?, links.collect()))
    }

    /// The packets of a pcap file; `-` is standard input.
    pub(super) fn file(path: &Path, saps: Saps) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::operation(format!("cannot read {}: {error}", path.display()))
        };
        let input: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).map_err(|error| failed(&error))?)
        };
        let reader = PcapReader::new(input).map_err(|error| {
            failed(&format!(
                "{error}; expected a pcap file, which `editcap -F pcap` makes of pcapng"
            ))
        })?;
        let layer = match reader.header().datalink {
            DataLink::ETHERNET => LinkLayer::Ethernet,
            DataLink::LINUX_SLL => LinkLayer::LinuxSll,
            DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => LinkLayer::Ip,
            other => {
                let text = format!("its link type is {other:?}: expected Ethernet, SLL or raw IP");
                return Err(failed(&text));
            }
        };
        Ok(Self::File(reader, layer, Packets::new(saps)))
    }

    /// The packets of an Ethernet device.
    pub(super) fn device(name: &str, saps: Saps) -> Result<Self, Failure> {
        let interfaces = datalink::interfaces();
        let Some(interface) = interfaces.iter().find(|interface| interface.name == name) else {
            let names: Vec<&str> = interfaces.iter().map(|other| other.name.as_str()).collect();
            let text = format!("there is no device {name}; there are {}", names.join(", "));
            return Err(Failure::operation(text));
        };
        let config =
            Config { read_buffer_size: BUFFER_LEN, read_timeout: Some(TICK), ..Config::default() };
        match datalink::channel(interface, config) {
            Ok(Channel::Ethernet(_, receiver)) => Ok(Self::Device(receiver, Packets::new(saps))),
            Ok(_) => Err(Failure::operation(format!("{name} is no Ethernet device"))),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(Failure::operation(format!(
                    "listening on {name} needs the capability CAP_NET_RAW: run as root, or without \
                     -f, which shows the frames of the own gabd"
                )))
            }
            Err(error) => Err(Failure::operation(format!("cannot listen on {name}: {error}"))),
        }
    }

    /// The next frame. Waits a moment for one.
    pub(super) fn next(&mut self) -> Result<Next, Failure> {
        match self {
            Self::Gabd(trace, links) => {
                let Some(frame) = trace.recv(Some(TICK))? else { return Ok(Next::Nothing) };
                let at = usize::from(frame.link.get());
                let (tag, own) = links.get(at).cloned().unwrap_or_default();
                let tag = if tag.is_empty() { format!("link{at}") } else { tag };
                let own = own_address(&own, frame.addr);
                let (source, destination) =
                    if frame.outgoing { (own, Some(frame.addr)) } else { (Some(frame.addr), own) };
                Ok(Next::Frame(Seen {
                    time_ns: frame.time_ns,
                    link: Some((frame.link.get(), tag)),
                    outgoing: Some(frame.outgoing),
                    source,
                    destination,
                    lost: frame.lost,
                    frame: frame.frame,
                }))
            }
            Self::File(reader, layer, packets) => loop {
                if let Some(seen) = packets.frames.pop_front() {
                    return Ok(Next::Frame(seen));
                }
                let Some(packet) = reader.next_packet() else { return Ok(Next::End) };
                let packet = packet
                    .map_err(|error| Failure::operation(format!("the file is damaged: {error}")))?;
                let time_ns = u64::try_from(packet.timestamp.as_nanos()).unwrap_or(u64::MAX);
                packets.add(*layer, time_ns, Bytes::copy_from_slice(&packet.data));
            },
            Self::Device(receiver, packets) => {
                if let Some(seen) = packets.frames.pop_front() {
                    return Ok(Next::Frame(seen));
                }
                match receiver.next() {
                    Ok(packet) => {
                        let time_ns = Clock::new().wall_nanos();
                        packets.add(LinkLayer::Ethernet, time_ns, Bytes::copy_from_slice(packet));
                    }
                    Err(error)
                        if matches!(
                            error.kind(),
                            io::ErrorKind::TimedOut
                                | io::ErrorKind::Interrupted
                                | io::ErrorKind::WouldBlock
                        ) => {}
                    Err(error) => {
                        return Err(Failure::operation(format!("the device failed: {error}")));
                    }
                }
                Ok(packets.frames.pop_front().map_or(Next::Nothing, Next::Frame))
            }
        }
    }

    /// What was not shown because it is not LLT's, in words.
    pub(super) fn rest(&self) -> Option<String> {
        let (Self::Device(_, packets) | Self::File(_, _, packets)) = self else { return None };
        let Packets { others, fragments, .. } = packets;
        match (others, fragments) {
            (0, 0) => None,
            (others, 0) => Some(format!("{others} packets were not LLT's")),
            (others, fragments) => Some(format!(
                "{others} packets were not LLT's, {fragments} were parts of IP packets, which are \
                 not put together"
            )),
        }
    }
}

impl Packets {
    fn new(saps: Saps) -> Self {
        Self { saps, frames: VecDeque::new(), others: 0, fragments: 0 }
    }

    fn add(&mut self, layer: LinkLayer, time_ns: u64, packet: Bytes) {
        match parse(layer, self.saps, time_ns, &packet) {
            Parsed::Frames(frames) => self.frames.extend(frames),
            Parsed::Fragment => self.fragments += 1,
            Parsed::Other => self.others += 1,
        }
    }
}

/// How long to wait for a frame before looking for signals and the clock.
const TICK: Duration = Duration::from_millis(100);
/// A packet of a device, however much the system has put together.
const BUFFER_LEN: usize = 1 << 17;

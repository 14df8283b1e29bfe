//! Where frames come from: the own gabd, a pcap file, a device.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use gab::client::Trace;
use gab::snapshot::LltSnapshot;
use llt::LinkId;
use llt::io::Clock;
use pcap_file::pcap::PcapReader;
use pcap_file::{DataLink, PcapError};
use pnet::datalink::{self, Channel, Config, DataLinkReceiver};

use super::packet::{LinkLayer, Parsed, Saps, own_address, parse};
use super::seen::Seen;
use crate::common::{Failure, time};

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
    /// The own gabd, with its links.
    Gabd(Trace, Links),
}

/// Tags and addresses of links by their ids, which have gaps where links were removed.
#[derive(Debug)]
pub(super) struct Links(BTreeMap<u8, (String, String)>);

impl Links {
    fn new(llt: &LltSnapshot) -> Self {
        let links = llt.links.iter();
        Self(links.map(|link| (link.link, (link.tag.clone(), link.address.clone()))).collect())
    }

    /// Tag and own address of a link; one that was added since has a tag that says its id.
    fn named(&self, link: LinkId) -> (String, &str) {
        match self.0.get(&link.get()) {
            Some((tag, address)) if !tag.is_empty() => (tag.clone(), address),
            other => (format!("link{link}"), other.map_or("", |(_, address)| address)),
        }
    }
}

/// Says whether there is any use in waiting for more.
pub(super) type GoesOn = Rc<dyn Fn() -> bool>;

/// An input that is waited for while there is any use in it.
struct Awaited<T> {
    input: T,
    goes_on: GoesOn,
}

impl<T: Read + AsFd> Read for Awaited<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !time::readable_within(&self.input, TICK) {
            if !(self.goes_on)() {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        self.input.read(buffer)
    }
}

/// Did an [`Awaited`] input say that it is over?
fn is_over(error: &PcapError) -> bool {
    matches!(error, PcapError::IoError(error) if error.kind() == io::ErrorKind::TimedOut)
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
        Ok(Self::Gabd(Trace::start(root)?, Links::new(llt)))
    }

    /// The packets of a pcap file; `-` is standard input, which is waited for while `goes_on`.
    pub(super) fn file(path: &Path, saps: Saps, goes_on: GoesOn) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::operation(format!("cannot read {}: {error}", path.display()))
        };
        let input: Box<dyn Read> = if path == Path::new("-") {
            // Without the buffer of `Stdin`, in which the poll would not see what waits.
            let input = io::stdin().as_fd().try_clone_to_owned();
            Box::new(Awaited { input: File::from(input.map_err(|error| failed(&error))?), goes_on })
        } else {
            Box::new(File::open(path).map_err(|error| failed(&error))?)
        };
        let reader = PcapReader::new(input).map_err(|error| {
            if is_over(&error) {
                return failed(&"nothing came before the end");
            }
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
                let (tag, own) = links.named(frame.link);
                let own = own_address(own, frame.addr);
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
                let packet = match packet {
                    Err(error) if is_over(&error) => return Ok(Next::End),
                    other => other.map_err(|error| {
                        Failure::operation(format!("the file is damaged: {error}"))
                    })?,
                };
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

#[cfg(test)]
mod tests {
    use gab::snapshot::LinkSnapshot;

    use super::*;

    #[test]
    fn links_are_found_by_their_ids() {
        let link = |link, tag: &str| LinkSnapshot {
            link,
            tag: tag.to_owned(),
            address: format!("127.77.{link}.1"),
            ..LinkSnapshot::default()
        };
        // As after `lltconfig -u` of links 1 and 2.
        let llt =
            LltSnapshot { links: vec![link(0, "net1"), link(3, "net4")], ..LltSnapshot::default() };
        let links = Links::new(&llt);
        let named = |id| links.named(LinkId::new(id).expect("below 8"));
        assert_eq!(named(0), ("net1".to_owned(), "127.77.0.1"));
        assert_eq!(named(3), ("net4".to_owned(), "127.77.3.1"));
        assert_eq!(named(1), ("link1".to_owned(), ""));
    }
}

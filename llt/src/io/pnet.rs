//! The second backend of Ethernet links, through `pnet`: one frame per system call, with calls
//! that every sandbox lets through. [`open`](crate::io::open) takes it where the first one cannot
//! be had. And the network interfaces with their types, as `pnet` knows them.
//!
//! What it lacks against [`ether`](crate::io::ether) besides the batches: it sees the Ethernet
//! header but not what the system says of a frame, so a frame of a VLAN that this machine does not
//! have is heard if a promiscuous device lets it through.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd};
use std::time::Duration;

use bytes::Bytes;
use pnet::datalink::{
    self, Channel, ChannelType, Config, DataLinkReceiver, DataLinkSender, NetworkInterface,
};
use pnet::packet::Packet;
use pnet::packet::ethernet::{EtherType, EthernetPacket, MutableEthernetPacket};
use pnet::util::MacAddr;
use socket2::{Socket, Type};

use crate::ids::LinkAddr;
use crate::io::ether::queue::Queue;
use crate::io::ether::{EtherConfig, is_down, socket};
use crate::io::{Flushed, Link, LinkCounters, LinkError, LinkFrame, Received};

/// A link over raw Ethernet, through `pnet`.
pub struct PnetLink {
    /// The same socket as the two below have: to wait on, and to ask for errors.
    socket: Socket,
    sender: Box<dyn DataLinkSender>,
    receiver: Box<dyn DataLinkReceiver>,
    queue: Queue<Vec<u8>>,
    counters: LinkCounters,
    address: MacAddr,
    sap: EtherType,
    mtu: usize,
    buffer_len: usize,
    down: bool,
}

impl PnetLink {
    /// Opens the link.
    ///
    /// # Errors
    /// If the device does not fit, or the process may not; nothing stays behind.
    pub fn open(config: &EtherConfig) -> Result<Self, LinkError> {
        let ([a, b, c, d, e, f], mtu) = config.check()?;
        let failed = |source| socket::failed(config, source);
        // A socket of our own making: it is closed when a program is executed, and another handle
        // of it can be waited on.
        let socket = socket::new(config, Type::RAW)?;
        // One byte more than the longest frame shows that a frame was longer.
        let buffer_len = HEADER_LEN + config.device.mtu + 1;
        let settings = Config {
            read_buffer_size: buffer_len,
            read_timeout: Some(Duration::ZERO),
            write_timeout: Some(Duration::ZERO),
            channel_type: ChannelType::Layer3(config.sap),
            promiscuous: false,
            socket_fd: Some(socket.try_clone().map_err(failed)?.into_raw_fd()),
            ..Config::default()
        };
        let interface = NetworkInterface {
            name: config.device.name.clone(),
            description: String::new(),
            index: config.device.index,
            mac: Some(MacAddr(a, b, c, d, e, f)),
            ips: Vec::new(),
            flags: 0,
        };
        let Channel::Ethernet(sender, receiver) =
            datalink::channel(&interface, settings).map_err(failed)?
        else {
            return Err(LinkError::Unsupported { device: config.device.name.clone() });
        };
        Ok(Self {
            socket,
            sender,
            receiver,
            queue: Queue::new(),
            counters: LinkCounters::default(),
            address: MacAddr(a, b, c, d, e, f),
            sap: EtherType(config.sap),
            mtu,
            buffer_len,
            down: false,
        })
    }

    /// Own address.
    pub fn address(&self) -> LinkAddr {
        LinkAddr::Mac(self.address.octets())
    }

    /// The largest frame in bytes.
    pub fn mtu(&self) -> usize {
        self.mtu
    }

    /// Takes what one call received.
    fn accept(&mut self, into: &mut Vec<LinkFrame>) -> io::Result<()> {
        let Self { receiver, counters, address, sap, buffer_len, .. } = self;
        let bytes = receiver.next()?;
        let Some(packet) = EthernetPacket::new(bytes) else { return Ok(()) };
        let (from, to) = (packet.get_source(), packet.get_destination());
        let group = to.0 & 1 == 1;
        if from == *address || !(group || to == *address) || packet.get_ethertype() != *sap {
            counters.received_foreign += 1;
        } else if bytes.len() == *buffer_len {
            counters.received_large += 1;
        } else {
            let frame = Bytes::copy_from_slice(packet.payload());
            counters.received += 1;
            counters.received_bytes += frame.len() as u64;
            into.push((LinkAddr::Mac(from.octets()), frame));
        }
        Ok(())
    }
}

/// `pnet` waits before each call, and an error that is pending ends the wait without being taken:
/// it is what happened, and must be taken or the descriptor stays ready for ever.
fn pending(socket: &Socket, error: io::Error) -> io::Error {
    match socket.take_error() {
        Ok(Some(pending)) => pending,
        Ok(None) | Err(_) => error,
    }
}

impl Link for PnetLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn receive(&mut self, into: &mut Vec<LinkFrame>) -> Received {
        for _ in 0..FRAMES_MAX {
            self.counters.received_calls += 1;
            let Err(error) = self.accept(into) else { continue };
            let error = pending(&self.socket, error);
            if !matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) {
                self.counters.receive_errors += 1;
                self.down |= is_down(&error);
            }
            return Received::Drained;
        }
        Received::More
    }

    fn queue(&mut self, to: LinkAddr, urgent: bool, frame: Bytes) {
        let LinkAddr::Mac([a, b, c, d, e, f]) = to else {
            self.counters.dropped_address += 1;
            return;
        };
        if frame.len() > self.mtu {
            self.counters.dropped_large += 1;
            return;
        }
        let mut bytes = vec![0; HEADER_LEN + frame.len()];
        if let Some(mut packet) = MutableEthernetPacket::new(&mut bytes) {
            packet.set_source(self.address);
            packet.set_destination(MacAddr(a, b, c, d, e, f));
            packet.set_ethertype(self.sap);
            packet.set_payload(&frame);
        }
        self.queue.push(urgent, bytes, &mut self.counters);
    }

    fn flush(&mut self) -> Flushed {
        let Self { socket, sender, queue, counters, down, .. } = self;
        let send = |frames: &[Vec<u8>]| {
            let Some(frame) = frames.first() else { return Ok(0) };
            let error = match sender.send_to(frame, None) {
                Some(Ok(())) => return Ok(1),
                Some(Err(error)) => pending(socket, error),
                None => io::ErrorKind::Unsupported.into(),
            };
            // It has waited for room, and there was none.
            let is_full = error.kind() == io::ErrorKind::TimedOut;
            Err(if is_full { io::Error::from_raw_os_error(libc::EAGAIN) } else { error })
        };
        queue.flush(1, |frame| frame.len() - HEADER_LEN, send, counters, down)
    }

    fn counters(&self) -> &LinkCounters {
        &self.counters
    }

    fn went_down(&mut self) -> bool {
        std::mem::take(&mut self.down)
    }
}

impl fmt::Debug for PnetLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PnetLink")
            .field("socket", &self.socket)
            .field("address", &self.address)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// A network interface of this namespace, as `pnet` knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The number that the system gave it.
    pub index: u32,
    /// Its Ethernet address.
    pub mac: Option<[u8; 6]>,
    /// What it is.
    pub kind: InterfaceKind,
    /// Switched on.
    pub up: bool,
    /// Frames can pass.
    pub running: bool,
}

/// What a network interface is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InterfaceKind {
    /// Ethernet, or something that behaves so.
    Ethernet,
    /// The loopback.
    Loopback,
    /// Something else.
    Other,
    /// A line to one other end: a tunnel, a modem.
    PointToPoint,
}

impl fmt::Display for InterfaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ethernet => "Ethernet",
            Self::Loopback => "loopback",
            Self::Other => "no Ethernet",
            Self::PointToPoint => "point to point",
        })
    }
}

/// The network interfaces of this namespace, in the order of the system.
pub fn interfaces() -> Vec<Interface> {
    let kind = |interface: &NetworkInterface| {
        if interface.is_loopback() {
            InterfaceKind::Loopback
        } else if interface.is_point_to_point() {
            InterfaceKind::PointToPoint
        } else if interface.is_broadcast() && interface.mac.is_some() {
            InterfaceKind::Ethernet
        } else {
            InterfaceKind::Other
        }
    };
    let interfaces = datalink::interfaces().into_iter().map(|interface| Interface {
        kind: kind(&interface),
        up: interface.is_up(),
        running: interface.is_running(),
        mac: interface.mac.map(|mac| mac.octets()),
        index: interface.index,
        name: interface.name,
    });
    interfaces.collect()
}

/// Bytes of the Ethernet header.
const HEADER_LEN: usize = 14;
/// Frames in one receive, each a system call.
const FRAMES_MAX: usize = 64;

//! What a backend of a link does.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;

use bytes::Bytes;

use crate::ids::LinkAddr;
use crate::io::devices::Present;
use crate::llttab::Device;

/// A frame and the address it came from or goes to.
pub type LinkFrame = (LinkAddr, Bytes);

/// One link: a socket that moves frames, without blocking and without failing for good.
///
/// Errors of the network are counted and the frame is gone: LLT repairs. What the socket does not
/// take at the moment is kept, within a bound, until it does.
pub trait Link: fmt::Debug + Send {
    /// What to wait on: readable when [`Link::receive`] has work.
    fn as_fd(&self) -> BorrowedFd<'_>;

    /// Appends what one system call yields to `into`.
    fn receive(&mut self, into: &mut Vec<LinkFrame>) -> Received;

    /// Takes a frame to be sent with the next flush; `urgent` ones go first.
    fn queue(&mut self, to: LinkAddr, urgent: bool, frame: Bytes);

    /// Sends what is queued.
    fn flush(&mut self) -> Flushed;

    /// What went by and what was lost here.
    fn counters(&self) -> &LinkCounters;

    /// Did a call say, since this was last asked, that the device went down or is gone? What its
    /// state is now the monitor of devices tells, a moment later. Links without a device of their
    /// own never say so.
    fn went_down(&mut self) -> bool {
        false
    }
}

/// Outcome of a receive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Received {
    /// There is nothing more.
    Drained,
    /// There may be more.
    More,
}

/// Outcome of a flush.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flushed {
    /// The socket takes no more; the rest is kept for the next flush, a moment later: its buffer
    /// empties at the speed of the wire.
    Blocked,
    /// Nothing is left.
    Done,
}

/// What one link sent, received and lost.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LinkCounters {
    /// Frames given to the system.
    pub sent: u64,
    /// Bytes of them.
    pub sent_bytes: u64,
    /// System calls that it took.
    pub sent_calls: u64,
    /// Frames received.
    pub received: u64,
    /// Bytes of them.
    pub received_bytes: u64,
    /// System calls that it took.
    pub received_calls: u64,
    /// Frames dropped because what the socket did not take exceeded the bound.
    pub dropped_full: u64,
    /// Frames that the system refused: network or host unreachable, device down or gone.
    pub dropped_error: u64,
    /// Frames longer than the MTU of the link or of its device.
    pub dropped_large: u64,
    /// Frames for an address of another kind than the link's.
    pub dropped_address: u64,
    /// Errors of receiving, those that told of earlier sends included.
    pub receive_errors: u64,
    /// Frames received and dropped because they are not for this station: own ones that came back,
    /// and those for others that a promiscuous device lets through.
    pub received_foreign: u64,
    /// Frames received and dropped because they are longer than the MTU of the device.
    pub received_large: u64,
}

impl std::ops::AddAssign for LinkCounters {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.sent_bytes += other.sent_bytes;
        self.sent_calls += other.sent_calls;
        self.received += other.received;
        self.received_bytes += other.received_bytes;
        self.received_calls += other.received_calls;
        self.dropped_full += other.dropped_full;
        self.dropped_error += other.dropped_error;
        self.dropped_large += other.dropped_large;
        self.dropped_address += other.dropped_address;
        self.receive_errors += other.receive_errors;
        self.received_foreign += other.received_foreign;
        self.received_large += other.received_large;
    }
}

/// Why a link could not be opened; nothing stays behind.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The environment asks for a backend that there is not.
    #[error("{variable} is {value:?}: expected `packet` or `pnet`")]
    Backend {
        /// The variable of the environment.
        variable: &'static str,
        /// What it says.
        value: String,
    },
    /// The socket could not be bound.
    #[error("cannot bind {address}: {source}")]
    Bind {
        /// Address and port.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A socket on the device could not be made or prepared.
    #[error("cannot open {device}: {source}")]
    Device {
        /// The device.
        device: String,
        /// Why.
        source: io::Error,
    },
    /// The devices of the system could not be listed.
    #[error("cannot list the devices to find {device}: {source}")]
    Devices {
        /// The device as configured.
        device: Device,
        /// Why.
        source: io::Error,
    },
    /// The device carries another link of the same ethertype, whose `llttab` calls it otherwise.
    #[error("{device} carries link {tag} already: expected a device of its own, or another SAP")]
    InUse {
        /// The device.
        device: String,
        /// The other link.
        tag: String,
    },
    /// The multicast group could not be joined.
    #[error("cannot join {group} on {address}: {source}")]
    Join {
        /// The group.
        group: std::net::IpAddr,
        /// Own address.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The device carries less than is asked for, or than LLT needs.
    #[error("{device} takes frames of {mtu} bytes: expected at least {wanted}")]
    Mtu {
        /// The device.
        device: String,
        /// Its MTU in bytes.
        mtu: usize,
        /// What it would have to carry, in bytes.
        wanted: usize,
    },
    /// The system has no such device, at present.
    #[error("there is no device {device}; there are {present}")]
    NoDevice {
        /// The device as configured.
        device: Device,
        /// Those that the system has.
        present: Present,
    },
    /// The device is none of Ethernet.
    #[error("{device} is no Ethernet device; there are {present}")]
    NotEthernet {
        /// The device.
        device: String,
        /// Those that the system has.
        present: Present,
    },
    /// The process may not open raw sockets.
    #[error(
        "raw Ethernet on {device} needs the capability CAP_NET_RAW: run as root, or \
         `setcap cap_net_raw+ep` the program"
    )]
    Permission {
        /// The device.
        device: String,
    },
    /// The socket could not be made or prepared.
    #[error("cannot prepare a socket for {address}: {source}")]
    Socket {
        /// Address and port.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// This build has no backend for the device.
    #[error("no backend for {device}")]
    Unsupported {
        /// The device as configured.
        device: String,
    },
}

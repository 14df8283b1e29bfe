//! What a backend of a link does.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;

use bytes::Bytes;

use crate::ids::LinkAddr;

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
    /// Frames that the system refused: network or host unreachable, too large, no buffers.
    pub dropped_error: u64,
    /// Frames for an address of another kind than the link's.
    pub dropped_address: u64,
    /// Errors of receiving, those that told of earlier sends included.
    pub receive_errors: u64,
}

/// Why a link could not be opened; nothing stays behind.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The socket could not be bound.
    #[error("cannot bind {address}: {source}")]
    Bind {
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
    /// The socket could not be made or prepared.
    #[error("cannot prepare a socket for {address}: {source}")]
    Socket {
        /// Address and port.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
}

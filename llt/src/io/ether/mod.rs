//! Links over raw Ethernet: an `AF_PACKET` socket that is bound to one device and one ethertype,
//! and moves frames in batches (`recvmmsg`, `sendmmsg`).
//!
//! The socket is of the kind `SOCK_DGRAM`: the system writes and checks the Ethernet header, and
//! a frame of LLT is exactly its payload. A true broadcast frame reaches everybody.

mod batch;
mod packet;
pub(in crate::io) mod queue;
pub(in crate::io) mod socket;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use bytes::Bytes;
use socket2::Socket;

use crate::ids::LinkAddr;
use crate::io::devices::{DeviceState, Present};
use crate::io::ether::batch::{Incoming, Outgoing};
use crate::io::{Flushed, Link, LinkCounters, LinkError, LinkFrame, Received};
use crate::limits::{MTU_MAX, MTU_MIN};

/// What an Ethernet link is opened with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EtherConfig {
    /// The device, as it is now.
    pub device: DeviceState,
    /// The ethertype.
    pub sap: u16,
    /// The largest frame in bytes, at most what the device takes; `None` is as much.
    pub mtu: Option<usize>,
}

impl EtherConfig {
    /// Own address and MTU of the link.
    ///
    /// # Errors
    /// If the device is none of Ethernet, or takes less than the MTU.
    pub fn check(&self) -> Result<([u8; 6], usize), LinkError> {
        let DeviceState { name, mtu, .. } = &self.device;
        let (true, Some(mac)) = (self.device.ethernet, self.device.mac) else {
            return Err(LinkError::NotEthernet { device: name.clone(), present: Present::now() });
        };
        let wanted = self.mtu.unwrap_or(MTU_MIN).max(MTU_MIN);
        if *mtu < wanted {
            return Err(LinkError::Mtu { device: name.clone(), mtu: *mtu, wanted });
        }
        Ok((mac, self.mtu.unwrap_or(*mtu).min(MTU_MAX)))
    }
}

/// A link over raw Ethernet.
#[derive(Debug)]
pub struct EtherLink {
    socket: Socket,
    outgoing: Outgoing,
    incoming: Incoming,
    counters: LinkCounters,
    address: [u8; 6],
    mtu: usize,
    down: bool,
}

impl EtherLink {
    /// Opens the link. A device that is down, or without carrier, is good enough: frames pass once
    /// it has one.
    ///
    /// # Errors
    /// If the device does not fit, or the process may not; nothing stays behind.
    pub fn open(config: &EtherConfig) -> Result<Self, LinkError> {
        let (address, mtu) = config.check()?;
        let socket = socket::open(config)?;
        let mut link = Self {
            outgoing: Outgoing::new(config.device.index, config.sap, mtu),
            incoming: Incoming::new(config.device.mtu),
            socket,
            counters: LinkCounters::default(),
            address,
            mtu,
            down: false,
        };
        link.try_call(config)?;
        Ok(link)
    }

    /// A system that filters `recvmmsg` is better found out now than by a link that never hears.
    fn try_call(&mut self, config: &EtherConfig) -> Result<(), LinkError> {
        match self.incoming.call(&self.socket) {
            // What is there is thrown away: nobody can miss a frame from before the link was there.
            Ok(_) => Ok(()),
            Err(error) if is_passing(&error) => Ok(()),
            Err(source) => Err(LinkError::Device { device: config.device.name.clone(), source }),
        }
    }

    /// Own address.
    pub fn address(&self) -> LinkAddr {
        LinkAddr::Mac(self.address)
    }

    /// The largest frame in bytes.
    pub fn mtu(&self) -> usize {
        self.mtu
    }
}

impl Link for EtherLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn receive(&mut self, into: &mut Vec<LinkFrame>) -> Received {
        let Self { socket, incoming, counters, address, down, .. } = self;
        incoming.receive(socket, *address, into, counters, down)
    }

    fn queue(&mut self, to: LinkAddr, urgent: bool, frame: Bytes) {
        self.outgoing.queue(to, urgent, frame, &mut self.counters);
    }

    fn flush(&mut self) -> Flushed {
        let Self { socket, outgoing, counters, down, .. } = self;
        outgoing.flush(|batch| packet::send(socket, batch), counters, down)
    }

    fn counters(&self) -> &LinkCounters {
        &self.counters
    }

    fn went_down(&mut self) -> bool {
        std::mem::take(&mut self.down)
    }
}

/// Errors that say something of the moment or the device, not of the call.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) || is_down(error)
}

/// Errors that say that the device is down or gone.
pub(in crate::io) fn is_down(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENETDOWN | libc::ENXIO | libc::ENODEV))
}

#[cfg(test)]
mod tests;

//! Links over UDP, IPv4 and IPv6, through `quinn-udp`: GSO and GRO where the system has them.

mod batch;
mod socket;

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};

use bytes::Bytes;
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use socket2::Socket;

use crate::ids::LinkAddr;
use crate::io::udp::batch::Outgoing;
use crate::io::{Flushed, Link, LinkCounters, LinkError, LinkFrame, Received};

/// What a UDP link is opened with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UdpConfig {
    /// Own address and port.
    pub local: SocketAddr,
    /// Where one datagram reaches everybody: a broadcast address of the subnet or a multicast
    /// group. The port is that of the link.
    pub broadcast: Option<IpAddr>,
    /// The largest frame in bytes.
    pub mtu: usize,
}

/// A link over UDP.
#[derive(Debug)]
pub struct UdpLink {
    socket: Socket,
    /// A second socket where broadcasts arrive, if the first, bound to one address, does not get
    /// them.
    group: Option<Socket>,
    epoll: Option<rustix::fd::OwnedFd>,
    state: UdpSocketState,
    outgoing: Outgoing,
    incoming: Incoming,
    counters: LinkCounters,
    local: SocketAddr,
}

impl UdpLink {
    /// Opens the link.
    ///
    /// # Errors
    /// If the address cannot be bound or the group not joined; nothing stays behind.
    pub fn open(config: UdpConfig) -> Result<Self, LinkError> {
        let address = config.local;
        let opened = socket::open(config)?;
        let prepare = |source| LinkError::Socket { address, source };
        let state = socket::prepare(&opened.socket).map_err(prepare)?;
        let mut epoll = None;
        if let Some(group) = &opened.group {
            socket::prepare(group).map_err(prepare)?;
            epoll = Some(socket::join_descriptors(&opened.socket, group).map_err(prepare)?);
        }
        let local = opened.socket.local_addr().map_err(prepare)?.as_socket().unwrap_or(address);
        Ok(Self {
            incoming: Incoming::new(state.gro_segments(), config.mtu),
            outgoing: Outgoing::new(config.mtu),
            socket: opened.socket,
            group: opened.group,
            epoll,
            state,
            counters: LinkCounters::default(),
            local,
        })
    }

    /// Own address, with the port that the system chose if it was to choose.
    pub fn local(&self) -> SocketAddr {
        self.local
    }
}

impl Link for UdpLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // An epoll descriptor is readable when one of those inside is: two sockets look like one.
        self.epoll.as_ref().map_or_else(|| self.socket.as_fd(), AsFd::as_fd)
    }

    fn receive(&mut self, into: &mut Vec<LinkFrame>) -> Received {
        let (incoming, counters) = (&mut self.incoming, &mut self.counters);
        let mut received = incoming.receive(&self.state, &self.socket, into, counters);
        if let Some(group) = &self.group
            && incoming.receive(&self.state, group, into, counters) == Received::More
        {
            received = Received::More;
        }
        received
    }

    fn queue(&mut self, to: LinkAddr, urgent: bool, frame: Bytes) {
        self.outgoing.queue(to, urgent, frame, &mut self.counters);
    }

    fn flush(&mut self) -> Flushed {
        self.outgoing.flush(&self.state, &self.socket, &mut self.counters)
    }

    fn counters(&self) -> &LinkCounters {
        &self.counters
    }
}

/// The same address as the core and as the system see it.
pub fn link_addr(address: SocketAddr) -> LinkAddr {
    match address {
        SocketAddr::V4(v4) => LinkAddr::V4 { ip: v4.ip().octets(), port: v4.port() },
        SocketAddr::V6(v6) => {
            LinkAddr::V6 { ip: v6.ip().octets(), scope: v6.scope_id(), port: v6.port() }
        }
    }
}

/// The other way round; `None` for an Ethernet address.
pub fn socket_addr(address: LinkAddr) -> Option<SocketAddr> {
    match address {
        LinkAddr::Mac(_) => None,
        LinkAddr::V4 { ip, port } => Some(SocketAddr::V4(SocketAddrV4::new(ip.into(), port))),
        LinkAddr::V6 { ip, scope, port } => {
            Some(SocketAddr::V6(SocketAddrV6::new(ip.into(), port, 0, scope)))
        }
    }
}

/// Buffers for one `recvmmsg`.
struct Incoming {
    buffers: Vec<u8>,
    buffer_len: usize,
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("buffer_len", &self.buffer_len).finish_non_exhaustive()
    }
}

impl Incoming {
    fn new(gro_segments: usize, mtu: usize) -> Self {
        // With GRO the system joins datagrams of one sender up to the largest IP packet. Without,
        // one byte more than the largest frame shows that a datagram was longer.
        let buffer_len = if gro_segments > 1 { DATAGRAM_MAX } else { mtu + 1 };
        Self { buffers: vec![0; buffer_len * SLOTS], buffer_len }
    }

    fn receive(
        &mut self,
        state: &UdpSocketState,
        socket: &Socket,
        into: &mut Vec<LinkFrame>,
        counters: &mut LinkCounters,
    ) -> Received {
        let mut chunks = self.buffers.chunks_exact_mut(self.buffer_len);
        let mut slots: [IoSliceMut<'_>; SLOTS] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let mut meta = [RecvMeta::default(); SLOTS];
        counters.received_calls += 1;
        let count = match state.recv(UdpSockRef::from(socket), &mut slots, &mut meta) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Received::Drained,
            Err(_) => {
                // An ICMP message about an earlier send (port or host unreachable) arrives as an
                // error of the next call: it says nothing about what waits to be received, and if
                // something does, the socket is still readable.
                counters.receive_errors += 1;
                return Received::Drained;
            }
        };
        for (slot, meta) in slots.iter().zip(&meta).take(count) {
            let bytes = Bytes::copy_from_slice(&slot[..meta.len.min(slot.len())]);
            let from = link_addr(meta.addr);
            let stride = meta.stride.max(1);
            for start in (0..bytes.len()).step_by(stride) {
                let frame = bytes.slice(start..bytes.len().min(start + stride));
                counters.received += 1;
                counters.received_bytes += frame.len() as u64;
                into.push((from, frame));
            }
        }
        if count == SLOTS { Received::More } else { Received::Drained }
    }
}

/// Buffers given to one system call.
const SLOTS: usize = 16;
/// The largest IP packet, which is what GRO fills at most.
const DATAGRAM_MAX: usize = 65_535;

#[cfg(test)]
mod tests;

//! Making and preparing the sockets of a UDP link.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsRawFd;

use quinn_udp::{UdpSockRef, UdpSocketState};
use rustix::event::epoll;
use rustix::fd::OwnedFd;
use socket2::{Domain, Protocol, Socket, Type};

use crate::io::udp::UdpConfig;
use crate::io::{LinkError, buffers};

/// The sockets of one link.
pub(super) struct Opened {
    /// Sends, and receives what is sent to the own address.
    pub(super) socket: Socket,
    /// Receives what is sent to the broadcast or multicast address.
    pub(super) group: Option<Socket>,
}

pub(super) fn open(config: UdpConfig) -> Result<Opened, LinkError> {
    let address = config.local;
    let failed = |source| LinkError::Socket { address, source };
    let socket = new(address).map_err(failed)?;
    if config.broadcast.is_some() && address.is_ipv4() {
        socket.set_broadcast(true).map_err(failed)?;
    }
    if let (Some(group), false) = (config.broadcast, is_any(address)) {
        multicast_out(&socket, group, address).map_err(failed)?;
    }
    socket.bind(&address.into()).map_err(|source| LinkError::Bind { address, source })?;
    let Some(group) = config.broadcast else { return Ok(Opened { socket, group: None }) };
    if is_any(address) {
        join(&socket, group, address)?;
        return Ok(Opened { socket, group: None });
    }
    // A socket that is bound to a unicast address gets no broadcasts: a second one is bound to the
    // broadcast address itself. Nodes of one machine share that address, hence the reuse.
    let port = socket
        .local_addr()
        .ok()
        .and_then(|a| a.as_socket())
        .map_or_else(|| address.port(), |a| a.port());
    let mut listen = SocketAddr::new(group, port);
    if let (SocketAddr::V6(listen), SocketAddr::V6(own)) = (&mut listen, address) {
        listen.set_scope_id(interface(own));
    }
    let receiver = new(listen).map_err(failed)?;
    receiver.set_reuse_address(true).map_err(failed)?;
    receiver.bind(&listen.into()).map_err(|source| LinkError::Bind { address: listen, source })?;
    join(&receiver, group, address)?;
    Ok(Opened { socket, group: Some(receiver) })
}

fn new(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    buffers::enlarge(&socket);
    Ok(socket)
}

fn is_any(address: SocketAddr) -> bool {
    address.ip().is_unspecified()
}

fn multicast_out(socket: &Socket, group: IpAddr, address: SocketAddr) -> io::Result<()> {
    match (group, address) {
        (IpAddr::V4(group), SocketAddr::V4(own)) if group.is_multicast() => {
            socket.set_multicast_if_v4(own.ip())?;
            // Nodes of one machine hear each other; own frames are recognised and dropped by LLT.
            socket.set_multicast_loop_v4(true)
        }
        (IpAddr::V6(group), SocketAddr::V6(own)) if group.is_multicast() => {
            socket.set_multicast_if_v6(interface(own))?;
            socket.set_multicast_loop_v6(true)
        }
        _ => Ok(()),
    }
}

fn join(socket: &Socket, group: IpAddr, address: SocketAddr) -> Result<(), LinkError> {
    let joined = match (group, address) {
        (IpAddr::V4(group), SocketAddr::V4(own)) if group.is_multicast() => {
            socket.join_multicast_v4(&group, own.ip())
        }
        (IpAddr::V6(group), SocketAddr::V6(own)) if group.is_multicast() => {
            socket.join_multicast_v6(&group, interface(own))
        }
        (IpAddr::V4(Ipv4Addr { .. }) | IpAddr::V6(Ipv6Addr { .. }), _) => Ok(()),
    };
    joined.map_err(|source| LinkError::Join { group, address, source })
}

/// The interface that a link with this own address is on, which groups need: what they reach without
/// one is the first interface that there is. 0 if it is not known.
fn interface(own: SocketAddrV6) -> u32 {
    if own.scope_id() != 0 || own.ip().is_unspecified() {
        return own.scope_id();
    }
    // Of this thread, for another may be in another network namespace.
    let table = std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default();
    interface_in(&table, *own.ip()).unwrap_or(0)
}

/// Lines of an address and the number of its interface, both in hexadecimal.
fn interface_in(table: &str, own: Ipv6Addr) -> Option<u32> {
    let own = format!("{:032x}", own.to_bits());
    let mut of_own = table.lines().filter_map(|line| line.strip_prefix(&own));
    u32::from_str_radix(of_own.next()?.split_whitespace().next()?, 16).ok()
}

/// Turns on what batches need, and fragmentation, which `quinn-udp` turns off: the link's MTU may
/// be larger than the device's (the default of 8192 is, on every ordinary Ethernet).
pub(super) fn prepare(socket: &Socket) -> io::Result<UdpSocketState> {
    let state = UdpSocketState::new(UdpSockRef::from(socket))?;
    let is_v4 = socket.local_addr()?.is_ipv4();
    if is_v4 {
        set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT)?;
    } else {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DONT)?;
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, 0)?;
    }
    Ok(state)
}

#[expect(unsafe_code, reason = "socket2 and rustix have no call for these options")]
fn set_option(socket: &Socket, level: i32, name: i32, value: i32) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of::<i32>()).expect("four bytes");
    // SAFETY: the descriptor is open as long as `socket` is borrowed, and the pointer is to a
    // value of exactly the length given, which the call only reads.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), len)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// One descriptor that is readable when either socket is, and writable-waits on the first.
pub(super) fn join_descriptors(socket: &Socket, group: &Socket) -> io::Result<OwnedFd> {
    let both = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (index, one) in [socket, group].into_iter().enumerate() {
        epoll::add(&both, one, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)?;
    }
    Ok(both)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_of_an_address_is_found() {
        let table = "\
fe8000000000000000fc00fffe000001 04 40 20 80     eth0
fd000000000000000000000000000002 1a 40 00 82     eth1
";
        assert_eq!(interface_in(table, "fd00::2".parse().unwrap()), Some(26));
        assert_eq!(interface_in(table, "fd00::1".parse().unwrap()), None);
        let named =
            |ip: &str, scope| interface(SocketAddrV6::new(ip.parse().unwrap(), 0, 0, scope));
        assert_eq!(named("fe80::1", 7), 7);
        assert_eq!(named("::", 0), 0);
    }
}

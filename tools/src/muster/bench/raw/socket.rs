//! Many packets in one system call, which rustix has for neither direction.

#![expect(unsafe_code, reason = "rustix has neither recvmmsg nor addresses of AF_PACKET")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;

use libc::{c_int, iovec, mmsghdr, sockaddr_ll, socklen_t};

/// Packets in one call.
const SLOTS: usize = 64;
/// What one receive call gets at most of each: a whole datagram as GRO puts it together.
const SLOT_LEN: usize = 65_536;

/// A packet socket for one ethertype on one device.
pub(super) fn packet(device: &str) -> io::Result<(OwnedFd, sockaddr_ll)> {
    use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, netdevice, socket_with};
    let family = AddressFamily::PACKET;
    let number = Protocol::from_raw(
        std::num::NonZero::new(u32::from(ETHERTYPE.to_be())).expect("it is not zero"),
    );
    let fd = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(number))?;
    let index = netdevice::name_to_index(&fd, device)?;
    let address = sockaddr_ll {
        sll_family: family.as_raw(),
        sll_protocol: ETHERTYPE.to_be(),
        sll_ifindex: c_int::try_from(index).map_err(io::Error::other)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        // To everybody.
        sll_addr: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0],
    };
    // SAFETY: the descriptor is open, and the pointer is to a `sockaddr_ll` of the length given,
    // which the call only reads.
    let result =
        unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length::<sockaddr_ll>()) };
    if result == 0 { Ok((fd, address)) } else { Err(io::Error::last_os_error()) }
}

/// Sets an option of UDP: [`SEGMENT`] or [`GRO`].
pub(super) fn set_udp(socket: &impl AsFd, option: c_int, value: c_int) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is borrowed, and the value an int of the length given.
    let result = unsafe {
        libc::setsockopt(fd, libc::SOL_UDP, option, (&raw const value).cast(), length::<c_int>())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends the same packet many times, to `to` or where the socket is connected.
pub(super) fn send(
    socket: &impl AsFd,
    packet: &[u8],
    to: Option<&sockaddr_ll>,
) -> io::Result<usize> {
    let mut piece = iovec { iov_base: packet.as_ptr().cast_mut().cast(), iov_len: packet.len() };
    let mut header = EMPTY;
    header.msg_hdr.msg_iov = &raw mut piece;
    header.msg_hdr.msg_iovlen = 1;
    if let Some(to) = to {
        header.msg_hdr.msg_name = ptr::from_ref(to).cast_mut().cast();
        header.msg_hdr.msg_namelen = length::<sockaddr_ll>();
    }
    let mut headers = [header; SLOTS];
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is borrowed. All headers point to one piece, which points to `packet`,
    // and to `to`; all outlive the call, which only reads them.
    let result = unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), slots(), 0) };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Buffers to receive into.
#[derive(Debug)]
pub(super) struct Buffers(Vec<u8>);

impl Buffers {
    pub(super) fn new() -> Self {
        Self(vec![0; SLOTS * SLOT_LEN])
    }

    /// Receives what is there, and waits for the first as long as the socket's timeout says; gives
    /// the sum of their lengths.
    pub(super) fn receive(&mut self, socket: &impl AsFd) -> io::Result<u64> {
        let mut pieces = [iovec { iov_base: ptr::null_mut(), iov_len: 0 }; SLOTS];
        let mut headers = [EMPTY; SLOTS];
        let slots_of = self.0.chunks_exact_mut(SLOT_LEN).zip(&mut pieces).zip(&mut headers);
        for ((buffer, piece), header) in slots_of {
            *piece = iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            header.msg_hdr.msg_iov = piece;
            header.msg_hdr.msg_iovlen = 1;
        }
        let fd = socket.as_fd().as_raw_fd();
        let flags = libc::MSG_WAITFORONE;
        // SAFETY: the descriptor is borrowed. Each header points to one piece of this array, and
        // each piece to a part of the buffers of its own, which are borrowed. The timeout may be
        // null.
        let result =
            unsafe { libc::recvmmsg(fd, headers.as_mut_ptr(), slots(), flags, ptr::null_mut()) };
        let count = usize::try_from(result).map_err(|_| io::Error::last_os_error())?;
        Ok(headers.iter().take(count).map(|header| u64::from(header.msg_len)).sum())
    }
}

fn slots() -> u32 {
    u32::try_from(SLOTS).expect("a small number")
}

fn length<T>() -> socklen_t {
    socklen_t::try_from(size_of::<T>()).expect("a small structure")
}

const EMPTY: mmsghdr = mmsghdr {
    msg_hdr: libc::msghdr {
        msg_name: ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: ptr::null_mut(),
        msg_iovlen: 0,
        msg_control: ptr::null_mut(),
        msg_controllen: 0,
        msg_flags: 0,
    },
    msg_len: 0,
};

/// "Local experimental", IEEE 802.
const ETHERTYPE: u16 = 0x88b5;
/// One datagram is cut into packets of so many bytes.
pub(super) const SEGMENT: c_int = libc::UDP_SEGMENT;
/// Packets that came together are received as one datagram.
pub(super) const GRO: c_int = libc::UDP_GRO;

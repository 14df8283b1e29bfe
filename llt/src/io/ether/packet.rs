//! The calls on `AF_PACKET` sockets that neither socket2 nor rustix has.

use std::io;
use std::os::fd::AsRawFd;

use bytes::BytesMut;
use libc::{iovec, mmsghdr, msghdr, sockaddr_ll, socklen_t};
use socket2::Socket;

/// Buffers or frames given to one system call.
pub(super) const SLOTS: usize = 64;

/// Who sent a frame that was received, and what the system says of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Arrival {
    /// The sender's address.
    pub(super) from: [u8; 6],
    /// For this station or everybody: not for others, and not an own one on its way out.
    pub(super) for_us: bool,
    /// Bytes in the buffer.
    pub(super) len: usize,
    /// The frame was longer than the buffer.
    pub(super) is_cut: bool,
}

/// The address of a frame on a device.
#[derive(Clone, Copy)]
pub(super) struct Address(sockaddr_ll);

impl Address {
    pub(super) fn new(index: u32, sap: u16, mac: [u8; 6]) -> Self {
        let mut bytes = [0; 8];
        bytes[..6].copy_from_slice(&mac);
        Self(sockaddr_ll {
            sll_family: u16::try_from(libc::AF_PACKET).expect("a small number"),
            sll_protocol: sap.to_be(),
            sll_ifindex: i32::try_from(index).unwrap_or(i32::MAX),
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 6,
            sll_addr: bytes,
        })
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Address").field(&self.0.sll_addr).finish()
    }
}

/// Binds to one device and one ethertype.
#[expect(unsafe_code, reason = "socket2 and rustix have no addresses of AF_PACKET")]
pub(super) fn bind(socket: &Socket, index: u32, sap: u16) -> io::Result<()> {
    let address = Address::new(index, sap, [0; 6]);
    // SAFETY: the descriptor is open as long as `socket` is borrowed, and the pointer is to a
    // `sockaddr_ll`, of exactly the length given, which the call only reads.
    let result = unsafe {
        libc::bind(socket.as_raw_fd(), (&raw const address.0).cast(), length::<sockaddr_ll>())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Keeps frames that this machine sends from being heard by it.
#[expect(unsafe_code, reason = "socket2 and rustix have no options of AF_PACKET")]
pub(super) fn ignore_outgoing(socket: &Socket) -> io::Result<()> {
    let value: i32 = 1;
    // SAFETY: as in `bind`; the value is an `int` of exactly the length given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            PACKET_IGNORE_OUTGOING,
            (&raw const value).cast(),
            length::<i32>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Receives into `buffers`, one frame into each, as long as it has room. What arrived is told in
/// `arrivals`, as far as the number that is returned; buffers beyond are empty.
#[expect(unsafe_code, reason = "socket2 and rustix have no recvmmsg")]
pub(super) fn receive(
    socket: &Socket,
    buffers: &mut [BytesMut],
    arrivals: &mut [Arrival; SLOTS],
) -> io::Result<usize> {
    let mut names = [Address::new(0, 0, [0; 6]).0; SLOTS];
    let mut pieces = [iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; SLOTS];
    let mut headers = [EMPTY; SLOTS];
    let mut count = 0;
    for (slot, buffer) in buffers.iter_mut().take(SLOTS).enumerate() {
        buffer.clear();
        let room = buffer.spare_capacity_mut();
        pieces[slot] = iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
        headers[slot].msg_hdr.msg_iov = &raw mut pieces[slot];
        headers[slot].msg_hdr.msg_iovlen = 1;
        headers[slot].msg_hdr.msg_name = (&raw mut names[slot]).cast();
        headers[slot].msg_hdr.msg_namelen = length::<sockaddr_ll>();
        count += 1;
    }
    // SAFETY: the descriptor is open as long as `socket` is borrowed. The first `count` headers
    // each point to one name and one piece of these arrays, which live until the end of this
    // function, and each piece to the room of a buffer of its own, which is borrowed as long and may
    // be written to. The timeout may be null.
    let result = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            count,
            libc::MSG_DONTWAIT,
            std::ptr::null_mut(),
        )
    };
    let count = usize::try_from(result).map_err(|_| io::Error::last_os_error())?;
    let received = arrivals.iter_mut().zip(&headers).zip(&names).zip(buffers);
    for (((arrival, header), name), buffer) in received.take(count) {
        let mut from = [0; 6];
        from.copy_from_slice(&name.sll_addr[..6]);
        let len = usize::try_from(header.msg_len).unwrap_or(0).min(buffer.capacity());
        // SAFETY: the call has written so many bytes to the front of its room, and it had no less.
        unsafe { buffer.set_len(len) };
        *arrival = Arrival {
            from,
            for_us: name.sll_pkttype <= PACKET_MULTICAST,
            len,
            is_cut: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        };
    }
    Ok(count)
}

/// Sends the first frames of `batch`, and tells how many it were: one at least.
#[expect(unsafe_code, reason = "rustix has no addresses of AF_PACKET for its sendmmsg")]
pub(super) fn send(socket: &Socket, batch: &[(Address, bytes::Bytes)]) -> io::Result<usize> {
    let mut pieces = [iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; SLOTS];
    let mut headers = [EMPTY; SLOTS];
    let mut count = 0;
    for (slot, (to, frame)) in batch.iter().take(SLOTS).enumerate() {
        pieces[slot] = iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
        headers[slot].msg_hdr.msg_iov = &raw mut pieces[slot];
        headers[slot].msg_hdr.msg_iovlen = 1;
        headers[slot].msg_hdr.msg_name = (&raw const to.0).cast_mut().cast();
        headers[slot].msg_hdr.msg_namelen = length::<sockaddr_ll>();
        count += 1;
    }
    // SAFETY: the descriptor is open as long as `socket` is borrowed. The first `count` headers
    // each point to one piece of this array and one name of `batch`, and each piece to a frame of
    // `batch`; all of them outlive the call, which only reads names and frames, whatever the types
    // of the pointers.
    let result = unsafe {
        libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_DONTWAIT)
    };
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn length<T>() -> socklen_t {
    socklen_t::try_from(size_of::<T>()).expect("a small structure")
}

const EMPTY: mmsghdr = mmsghdr {
    msg_hdr: msghdr {
        msg_name: std::ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: std::ptr::null_mut(),
        msg_iovlen: 0,
        msg_control: std::ptr::null_mut(),
        msg_controllen: 0,
        msg_flags: 0,
    },
    msg_len: 0,
};
/// The greatest of `PACKET_HOST`, `PACKET_BROADCAST` and `PACKET_MULTICAST`; `PACKET_OTHERHOST` and
/// `PACKET_OUTGOING` are greater.
const PACKET_MULTICAST: u8 = 2;
/// `PACKET_IGNORE_OUTGOING`, since Linux 4.20.
const PACKET_IGNORE_OUTGOING: i32 = 23;

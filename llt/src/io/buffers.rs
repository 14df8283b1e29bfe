//! Room in the kernel for what a socket has received and not yet sent.

use socket2::Socket;

/// Gives the socket the largest buffers that this process may have.
pub(super) fn enlarge(socket: &Socket) {
    for bytes in BUFFER_BYTES {
        // The system may refuse or silently take less than asked for: both are good enough, since
        // whatever overflows is repaired.
        if socket.set_recv_buffer_size(bytes).is_ok() && socket.set_send_buffer_size(bytes).is_ok()
        {
            break;
        }
    }
    // Above what the administrator allows to everybody, if this process may.
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, BUFFER_BYTES[0]);
    let _ = rustix::net::sockopt::set_socket_send_buffer_size_force(socket, BUFFER_BYTES[0]);
}

/// Sizes to try: some 500 frames of the default MTU of UDP links, then less.
const BUFFER_BYTES: [usize; 3] = [4 << 20, 1 << 20, 256 << 10];

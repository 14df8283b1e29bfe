//! The server's side of the NBD protocol: bytes in, bytes out, and no I/O of its own.
//!
//! The protocol is that of `doc/proto.md` of NetworkBlockDevice/nbd; comments name its sections in
//! quotes. What the volumes are, and who may open which, is known to the caller only.
//!
//! | file | what |
//! |---|---|
//! | `handshake.rs` | the first phase: a client chooses an export |
//! | `step.rs` | what that wants of the caller |
//! | `option.rs` | what it may ask for there, as it is sent |
//! | `answer.rs` | what it is told there, as it is sent |
//! | `export.rs` | an export, and what may be done with it |
//! | `request.rs` | the second phase: requests, and which of them are refused |
//! | `reply.rs` | how they are answered |
//!
//! ```text
//!  connected
//!      | greeting
//!      v
//!  FLAGS   of the client
//!      |
//!      v                         answered
//!  OPTION <----------------------------------------------+
//!      | head of an option                               |
//!      +--> SKIP   too much data, which is thrown away --+
//!      v                                                 |
//!  DATA   of what can be answered here ------------------+
//!      | LIST, INFO, GO, EXPORT_NAME                     |
//!      v                                                 |
//!  ASKED   the caller answers ---------------------------+
//!      | GO or EXPORT_NAME of what may be opened
//!      v
//!  transmission: requests with their data, and replies in any order
//! ```
//! From everywhere the way leads to the end of the connection: ABORT and DISC want it; EXPORT_NAME
//! of what is not to be had leaves no other answer; flags or magic numbers that are not known, too
//! much data and too many options leave none either.
//!
//! **Served**: the fixed newstyle handshake; EXPORT_NAME, ABORT, LIST, INFO, GO, STRUCTURED_REPLY;
//! READ, WRITE, FLUSH, TRIM, WRITE_ZEROES, DISC; FUA with all of them, DF with structured replies;
//! several connections to one export; exports that are read only.
//!
//! **Not served**: the older handshakes (but a client that knows no better gets what it asks for by
//! EXPORT_NAME); TLS, which is refused; metadata contexts, of which there are none to be listed or
//! chosen, and with them BLOCK_STATUS; CACHE, FAST_ZERO, RESIZE and extended headers.
//!
//! Time is not known here: whoever reads from the socket closes it when a client dawdles.

mod answer;
mod export;
mod handshake;
mod option;
mod reply;
mod request;
mod step;

#[cfg(test)]
mod tests;

use bytes::{BufMut, BytesMut};

pub use self::export::{Export, Refused};
pub use self::handshake::Handshake;
pub use self::reply::{NbdError, Replies};
pub use self::request::{BadRequest, Command, PAYLOAD_MAX, REQUEST_LEN, RequestHead};
pub use self::step::{Ask, HandshakeEnd, Session, Step};

/// "Conventions": no text is longer, in bytes.
const TEXT_MAX: usize = 4096;

/// The part of a text that may be sent. Nobody makes a longer one.
fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MAX)]
}

/// Writes one part after the other.
fn put_all(out: &mut BytesMut, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.put_slice(part));
}

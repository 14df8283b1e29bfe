//! Replies: how requests are answered.
//!
//! A client that has asked for structured replies gets them where they say more than a simple one
//! does: with data, and with errors. All else is answered the short way.

use bytes::{BufMut, BytesMut};

use super::{clip, put_all};

/// The replies that a client understands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Replies {
    /// An error or none, and the data of a read right behind it.
    Simple,
    /// In chunks that say what they are.
    Structured,
}

/// What went wrong with a request, as a client is told; the values are those of Linux.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[repr(u32)]
pub enum NbdError {
    /// A write where none is allowed.
    #[error("not permitted")]
    Perm = 1,
    /// The disks did not do it.
    #[error("input/output error")]
    Io = 5,
    /// There is no memory left for it.
    #[error("out of memory")]
    NoMem = 12,
    /// The request is wrong.
    #[error("invalid argument")]
    Inval = 22,
    /// It goes beyond the end.
    #[error("no space left")]
    NoSpc = 28,
    /// It is longer than can be done at once.
    #[error("too long")]
    Overflow = 75,
    /// Reserved for a way of writing zeros that is not offered.
    #[error("not supported")]
    NotSup = 95,
    /// The server is going down.
    #[error("the server is shutting down")]
    Shutdown = 108,
}

impl NbdError {
    /// Its number.
    pub const fn wire(self) -> u32 {
        self as u32
    }
}

impl Replies {
    /// The reply to anything but a read: it is done. ("Structured reply chunk message": where no
    /// data follows either kind will do.)
    pub fn put_done(self, out: &mut BytesMut, cookie: u64) {
        match self {
            Self::Simple | Self::Structured => put_simple(out, cookie, 0),
        }
    }

    /// What goes before the data of a read, of which `length` bytes from `offset` on are to follow
    /// at once, at most [`PAYLOAD_MAX`](super::PAYLOAD_MAX). The data must be at hand: nothing can
    /// go wrong after this.
    pub fn put_data_head(self, out: &mut BytesMut, cookie: u64, offset: u64, length: u32) {
        debug_assert!(length <= super::PAYLOAD_MAX, "no read is so long");
        match self {
            Self::Simple => put_simple(out, cookie, 0),
            // "Structured reply types": a chunk of data cannot be empty.
            Self::Structured if length == 0 => put_chunk(out, CHUNK_NONE, cookie, 0),
            Self::Structured => {
                put_chunk(out, CHUNK_OFFSET_DATA, cookie, length.saturating_add(OFFSET_LEN));
                out.put_u64(offset);
            }
        }
    }

    /// The reply to any request: it is not done. The text is for people, may be empty, and not all
    /// clients get it; that of an error is what it says of itself.
    pub fn put_error(self, out: &mut BytesMut, cookie: u64, error: NbdError, text: &str) {
        match self {
            Self::Simple => put_simple(out, cookie, error.wire()),
            Self::Structured => {
                let text = clip(text);
                let text_len = u16::try_from(text.len()).expect("it is clipped");
                put_chunk(out, CHUNK_ERROR, cookie, ERROR_LEN + u32::from(text_len));
                let (error, text_len) = (error.wire().to_be_bytes(), text_len.to_be_bytes());
                put_all(out, &[&error, &text_len, text.as_bytes()]);
            }
        }
    }
}

fn put_simple(out: &mut BytesMut, cookie: u64, error: u32) {
    out.put_u32(SIMPLE_MAGIC);
    out.put_u32(error);
    out.put_u64(cookie);
}

/// The head of the only chunk of a reply.
fn put_chunk(out: &mut BytesMut, kind: u16, cookie: u64, len: u32) {
    out.put_u32(STRUCTURED_MAGIC);
    out.put_u16(CHUNK_DONE);
    out.put_u16(kind);
    out.put_u64(cookie);
    out.put_u32(len);
}

const SIMPLE_MAGIC: u32 = 0x6744_6698;
const STRUCTURED_MAGIC: u32 = 0x668e_33ef;

const CHUNK_DONE: u16 = 1;
const CHUNK_NONE: u16 = 0;
const CHUNK_OFFSET_DATA: u16 = 1;
const CHUNK_ERROR: u16 = (1 << 15) + 1;

/// Bytes before the data of a chunk with data.
const OFFSET_LEN: u32 = 8;
/// Bytes before the text of a chunk with an error.
const ERROR_LEN: u32 = 6;

//! Requests: what a client wants to be done with its export.

use bytes::Buf;

use super::export::Export;
use super::reply::{NbdError, Replies};

/// The head of a request. That of a write is followed by the data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestHead {
    /// What is to be done.
    pub command: Command,
    /// How; see [`Self::has_fua`] and [`Self::has_no_hole`].
    pub flags: u16,
    /// Stands in all replies to it.
    pub cookie: u64,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: u32,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Command {
    /// Data is to be sent.
    Read,
    /// The data that follows is to be written.
    Write,
    /// The client goes when all is answered; there is no reply to this one.
    Disconnect,
    /// All that is answered is to be made safe.
    Flush,
    /// What is there is not needed any more.
    Trim,
    /// Something will be read soon. Not served.
    Cache,
    /// As a write of zeros.
    WriteZeroes,
    /// What is known of a range. Not served.
    BlockStatus,
    /// None that is known.
    Unknown(u16),
}

/// After this nobody knows where the next request begins, or wants to wait for it: the connection
/// is to be closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadRequest {
    /// It does not begin as a request.
    #[error("the client has sent {0:#010x} where a request begins")]
    Magic(u32),
    /// More data follows than [`PAYLOAD_MAX`].
    #[error("a write has {0} bytes of data")]
    Payload(u32),
}

/// Length of a [`RequestHead`] as it is sent, in bytes.
pub const REQUEST_LEN: usize = 28;

/// "Size constraints": more data than this may follow a request only if the client is out to do
/// harm, in bytes.
pub const PAYLOAD_MAX: u32 = 32 << 20;

impl RequestHead {
    /// Reads a head.
    ///
    /// # Errors
    /// If the connection cannot go on.
    pub fn decode(bytes: &[u8; REQUEST_LEN]) -> Result<Self, BadRequest> {
        let mut bytes = &bytes[..];
        let magic = bytes.get_u32();
        if magic != REQUEST_MAGIC {
            return Err(BadRequest::Magic(magic));
        }
        let (flags, command) = (bytes.get_u16(), Command::decode(bytes.get_u16()));
        let (cookie, offset, length) = (bytes.get_u64(), bytes.get_u64(), bytes.get_u32());
        let head = Self { command, flags, cookie, offset, length };
        let payload = head.payload_len();
        if payload > PAYLOAD_MAX { Err(BadRequest::Payload(payload)) } else { Ok(head) }
    }

    /// So much data follows, at most [`PAYLOAD_MAX`] bytes; also if the request is refused.
    pub const fn payload_len(&self) -> u32 {
        match self.command {
            Command::Write => self.length,
            Command::BlockStatus
            | Command::Cache
            | Command::Disconnect
            | Command::Flush
            | Command::Read
            | Command::Trim
            | Command::Unknown(_)
            | Command::WriteZeroes => 0,
        }
    }

    /// It concerns no byte: there is nothing to be done, and the reply says that it is. That is how
    /// reads, writes, trims and zeros of length 0 are taken, which the protocol leaves open.
    pub const fn is_empty(&self) -> bool {
        match self.command {
            Command::Read | Command::Trim | Command::Write | Command::WriteZeroes => {
                self.length == 0
            }
            Command::BlockStatus
            | Command::Cache
            | Command::Disconnect
            | Command::Flush
            | Command::Unknown(_) => false,
        }
    }

    /// What it writes is to be safe before it is answered.
    pub const fn has_fua(&self) -> bool {
        self.flags & FLAG_FUA != 0
    }

    /// Zeros are to take up their place, so that a later write cannot fail for want of it.
    pub const fn has_no_hole(&self) -> bool {
        self.flags & FLAG_NO_HOLE != 0
    }

    /// Whether it may be done. If so, it lies within the export and between blocks, and a read or
    /// write is not too long; trims and zeros may be as long as the export.
    ///
    /// Flags come first, then whether anything may be written, then blocks, the end and the length:
    /// the protocol does not say what a request with several faults is told.
    ///
    /// # Errors
    /// What the client is to be told; nothing may be done then.
    pub fn check(&self, export: &Export, replies: Replies) -> Result<(), NbdError> {
        if self.flags & !self.command.flags(replies) != 0 {
            return Err(NbdError::Inval);
        }
        match self.command {
            Command::Disconnect => Ok(()),
            // "Request types": both are reserved.
            Command::Flush if self.offset == 0 && self.length == 0 => Ok(()),
            Command::Flush => Err(NbdError::Inval),
            Command::Read => {
                self.check_range(export, NbdError::Inval)?;
                self.check_length(export, too_long_read(replies))
            }
            Command::Write => {
                self.check_writable(export)?;
                self.check_range(export, NbdError::NoSpc)?;
                self.check_length(export, NbdError::Inval)
            }
            Command::Trim => {
                self.check_writable(export)?;
                self.check_range(export, NbdError::Inval)
            }
            Command::WriteZeroes => {
                self.check_writable(export)?;
                self.check_range(export, NbdError::NoSpc)
            }
            // "Error values": ENOTSUP is kept for something else.
            Command::BlockStatus | Command::Cache | Command::Unknown(_) => Err(NbdError::Inval),
        }
    }

    const fn check_writable(&self, export: &Export) -> Result<(), NbdError> {
        if export.read_only { Err(NbdError::Perm) } else { Ok(()) }
    }

    /// Between blocks, and not beyond the end.
    fn check_range(&self, export: &Export, beyond: NbdError) -> Result<(), NbdError> {
        let (length, block) = (u64::from(self.length), u64::from(export.min_block));
        if !self.offset.is_multiple_of(block) || !length.is_multiple_of(block) {
            return Err(NbdError::Inval);
        }
        let end = self.offset.checked_add(length);
        if end.is_some_and(|end| end <= export.size) { Ok(()) } else { Err(beyond) }
    }

    const fn check_length(&self, export: &Export, too_long: NbdError) -> Result<(), NbdError> {
        if self.length <= export.max_block { Ok(()) } else { Err(too_long) }
    }
}

/// "Error values": EOVERFLOW is for those who may set DF.
const fn too_long_read(replies: Replies) -> NbdError {
    match replies {
        Replies::Simple => NbdError::Inval,
        Replies::Structured => NbdError::Overflow,
    }
}

impl Command {
    const fn decode(number: u16) -> Self {
        match number {
            0 => Self::Read,
            1 => Self::Write,
            2 => Self::Disconnect,
            3 => Self::Flush,
            4 => Self::Trim,
            5 => Self::Cache,
            6 => Self::WriteZeroes,
            7 => Self::BlockStatus,
            _ => Self::Unknown(number),
        }
    }

    /// Those that may be set.
    const fn flags(self, replies: Replies) -> u16 {
        match (self, replies) {
            (Self::Read, Replies::Structured) => FLAG_FUA | FLAG_DF,
            (Self::WriteZeroes, Replies::Simple | Replies::Structured) => FLAG_FUA | FLAG_NO_HOLE,
            // Whoever goes may go.
            (Self::Disconnect, Replies::Simple | Replies::Structured) => u16::MAX,
            // "Command flags": FUA is to be accepted everywhere, as there are clients that set it.
            (Self::Read, Replies::Simple)
            | (
                Self::BlockStatus
                | Self::Cache
                | Self::Flush
                | Self::Trim
                | Self::Unknown(_)
                | Self::Write,
                Replies::Simple | Replies::Structured,
            ) => FLAG_FUA,
        }
    }
}

const REQUEST_MAGIC: u32 = 0x2560_9513;

const FLAG_FUA: u16 = 1;
const FLAG_NO_HOLE: u16 = 1 << 1;
const FLAG_DF: u16 = 1 << 2;

//! What a handshake wants of its caller.

use bytes::Bytes;

use super::export::Export;
#[cfg(doc)]
use super::handshake::Handshake;
use super::reply::Replies;

/// What is to be done next.
#[derive(Debug, Eq, PartialEq)]
pub enum Step {
    /// The question is to be answered, by [`Handshake::answer_export`] or
    /// [`Handshake::answer_list`]. It is asked again if it was not.
    Ask(Ask),
    /// The handshake is over, and requests follow.
    Begin(Session),
    /// The connection is to be closed; nothing follows.
    Close(HandshakeEnd),
    /// Something has to come first: [`Handshake::handle_input`].
    NeedInput,
    /// All of it is to be sent before the handshake is polled again.
    Send(Bytes),
}

/// What the caller knows and the handshake does not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ask {
    /// Whether there is an export, and what it is.
    Export {
        /// The name that the client uses: any text of at most 4096 bytes, which may be empty.
        name: String,
        /// If it is granted, the transmission begins; otherwise the client just wants to know.
        opens: bool,
    },
    /// The names of all exports.
    List,
}

/// What a handshake has led to.
#[derive(Debug, Eq, PartialEq)]
pub struct Session {
    /// What the client works with.
    pub export: Export,
    /// What it understands.
    pub replies: Replies,
    /// What it has sent already: the beginning of its requests, at most 64 KiB.
    pub rest: Bytes,
}

/// Why a handshake ended without a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HandshakeEnd {
    /// The client wanted it so.
    #[error("the client has ended the handshake")]
    Aborted,
    /// Polled again after the session had begun.
    #[error("the handshake is over")]
    Begun,
    /// It asked by EXPORT_NAME, which no error can be an answer to, for what it does not get.
    #[error("the client has asked by EXPORT_NAME for what it does not get")]
    ExportName,
    /// More was handed in than [`Handshake::room`] allows.
    #[error("more has come than there is room for")]
    Flooded,
    /// It sent something else than an option.
    #[error("the client has sent {0:#018x} where an option begins")]
    Magic(u64),
    /// It knows only the older handshake, and sent what is not part of that.
    #[error("a client of the old kind has sent option {0}")]
    NotFixed(u32),
    /// An option has more data than anyone wants to skip.
    #[error("an option has {0} bytes of data")]
    TooLong(u32),
    /// It goes on asking.
    #[error("the client has sent more than {OPTIONS_MAX} options")]
    TooMany,
    /// Flags that are not known mean that nothing of what follows is.
    #[error("the client has set unknown flags: {0:#x}")]
    UnknownFlags(u32),
}

/// A client that has not chosen after so many options never will.
pub(super) const OPTIONS_MAX: usize = 256;

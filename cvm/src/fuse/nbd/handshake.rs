//! The first phase of a connection: what is there, what it is like, and the way into it.
//!
//! It blocks; whoever has the socket bounds each read and write by a timeout. What the server may
//! send is bounded, too.

use std::io::{self, Read, Write};

use super::wire::{
    self, FIXED_NEWSTYLE, GREETING, INFO_BLOCK_SIZE, INFO_EXPORT, NO_ZEROES, OPT_ABORT, OPT_GO,
    OPT_INFO, OPT_LIST, OPT_STRUCTURED_REPLY, OPTION_MAGIC, OPTION_REPLY_MAGIC, READ_ONLY, REP_ACK,
    REP_ERR_POLICY, REP_ERR_UNKNOWN, REP_ERROR, REP_INFO, REP_SERVER, Reader,
};
use crate::fuse::volume::{Info, REQUEST_MAX, Refused};

/// A handshake that has begun.
#[derive(Debug)]
pub(super) struct Handshake<S> {
    socket: S,
}

/// An export, as the server tells of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Export {
    /// In bytes; whole blocks of it are used.
    pub(super) size: u64,
    pub(super) flags: u16,
    /// Requests are multiples of it, in bytes.
    pub(super) block: u32,
    /// The longest read or write, in bytes.
    pub(super) request_max: u32,
}

/// What the server says to an option.
enum Reply {
    Ack,
    Error(u32, Box<str>),
    Other(u32, Vec<u8>),
}

impl<S: Read + Write> Handshake<S> {
    /// Greets.
    ///
    /// # Errors
    /// If it is not a server of the fixed newstyle.
    pub(super) fn begin(mut socket: S) -> Result<Self, Refused> {
        let mut greeting = [0; 18];
        read(&mut socket, &mut greeting)?;
        let mut reader = Reader(&greeting);
        let (magic, kind) = (reader.u64(), reader.u64());
        if magic != Some(GREETING) || kind != Some(OPTION_MAGIC) {
            return Err(bad("it does not greet as one of NBD does"));
        }
        let flags = reader.u16().unwrap_or(0);
        if flags & FIXED_NEWSTYLE == 0 {
            return Err(bad("it does not know the fixed newstyle"));
        }
        let flags = u32::from(flags & (FIXED_NEWSTYLE | NO_ZEROES));
        write(&mut socket, &flags.to_be_bytes())?;
        Ok(Self { socket })
    }

    /// The names of all exports.
    ///
    /// # Errors
    /// If they are not told.
    pub(super) fn list(&mut self) -> Result<Vec<String>, Refused> {
        write(&mut self.socket, &wire::option(OPT_LIST, &[]))?;
        let mut names = Vec::new();
        loop {
            match self.reply(OPT_LIST)? {
                Reply::Ack => return Ok(names),
                Reply::Error(_, text) => return Err(Refused::BadServer(text)),
                Reply::Other(REP_SERVER, data) => {
                    let mut reader = Reader(&data);
                    let len = reader.u32().and_then(|len| usize::try_from(len).ok());
                    let name = len.and_then(|len| reader.bytes(len));
                    let name = name.ok_or_else(|| bad("the name of an export is cut short"))?;
                    if names.len() == EXPORTS_MAX {
                        return Err(bad("there is no end to its exports"));
                    }
                    // One that is not UTF-8 is nobody's volume.
                    names.extend(str::from_utf8(name).ok().map(ToOwned::to_owned));
                }
                Reply::Other(kind, _) => return Err(unexpected(OPT_LIST, kind)),
            }
        }
    }

    /// What an export is like, without opening it.
    ///
    /// # Errors
    /// If it is not there.
    pub(super) fn info(&mut self, name: &str) -> Result<Export, Refused> {
        self.export(OPT_INFO, name)
    }

    /// `true`: replies may be structured from now on.
    ///
    /// # Errors
    /// If the server does not answer as one of NBD.
    pub(super) fn ask_structured(&mut self) -> Result<bool, Refused> {
        write(&mut self.socket, &wire::option(OPT_STRUCTURED_REPLY, &[]))?;
        match self.reply(OPT_STRUCTURED_REPLY)? {
            Reply::Ack => Ok(true),
            Reply::Error(..) => Ok(false),
            Reply::Other(kind, _) => Err(unexpected(OPT_STRUCTURED_REPLY, kind)),
        }
    }

    /// Opens an export; the second phase begins.
    ///
    /// # Errors
    /// If it is not granted.
    pub(super) fn go(mut self, name: &str) -> Result<(Export, S), Refused> {
        let export = self.export(OPT_GO, name)?;
        Ok((export, self.socket))
    }

    /// Ends it in order. The answer does not matter.
    pub(super) fn abort(mut self) {
        let _ = write(&mut self.socket, &wire::option(OPT_ABORT, &[]));
    }

    fn export(&mut self, option: u32, name: &str) -> Result<Export, Refused> {
        write(&mut self.socket, &wire::option(option, &wire::export_wish(name)))?;
        let (mut size_and_flags, mut blocks) = (None, (1, DEFAULT_MAX));
        for _ in 0..INFOS_MAX {
            match self.reply(option)? {
                Reply::Ack => {
                    let (size, flags) =
                        size_and_flags.ok_or_else(|| bad("it does not tell the size"))?;
                    return Export::new(size, flags, blocks);
                }
                Reply::Error(kind, text) => return Err(refused(kind, text)),
                Reply::Other(REP_INFO, data) => {
                    let mut reader = Reader(&data);
                    let kind = reader.u16();
                    let cut_short = || bad("what it tells of an export is cut short");
                    if kind == Some(INFO_EXPORT) {
                        let told = reader.u64().zip(reader.u16());
                        size_and_flags = Some(told.ok_or_else(cut_short)?);
                    } else if kind == Some(INFO_BLOCK_SIZE) {
                        let min = reader.u32();
                        let told = min.zip(reader.u32().and_then(|_| reader.u32()));
                        blocks = told.ok_or_else(cut_short)?;
                    }
                }
                Reply::Other(kind, _) => return Err(unexpected(option, kind)),
            }
        }
        Err(bad("there is no end to what it tells of an export"))
    }

    fn reply(&mut self, asked: u32) -> Result<Reply, Refused> {
        let mut head = [0; 20];
        read(&mut self.socket, &mut head)?;
        let mut reader = Reader(&head);
        let magic = reader.u64();
        let (option, kind) = (reader.u32(), reader.u32().unwrap_or(REP_ERROR));
        if magic != Some(OPTION_REPLY_MAGIC) || option != Some(asked) {
            return Err(bad("its reply does not belong to what was asked"));
        }
        let len = reader.u32().and_then(|len| usize::try_from(len).ok());
        let Some(len) = len.filter(|len| *len <= REPLY_MAX) else {
            return Err(bad("its reply is too long"));
        };
        let mut data = vec![0; len];
        read(&mut self.socket, &mut data)?;
        Ok(match kind {
            REP_ACK => Reply::Ack,
            _ if kind & REP_ERROR != 0 => Reply::Error(kind, text(&data)),
            _ => Reply::Other(kind, data),
        })
    }
}

impl Export {
    /// Sizes of blocks are those that the server told, or what the protocol takes for granted.
    fn new(size: u64, flags: u16, (min, max): (u32, u32)) -> Result<Self, Refused> {
        let block = min.max(SECTOR);
        if !block.is_power_of_two() || block > BLOCK_MAX || max < block {
            return Err(bad("its blocks are of no possible size"));
        }
        let (size, request_max) = (size - size % u64::from(block), max.min(REQUEST_MAX));
        Ok(Self { size, flags, block, request_max })
    }

    pub(super) const fn is_read_only(&self) -> bool {
        self.flags & READ_ONLY != 0
    }

    pub(super) const fn as_info(&self) -> Info {
        Info { size: self.size, read_only: self.is_read_only() }
    }
}

/// The server says `VOLUME: REASON`.
fn refused(kind: u32, text: Box<str>) -> Refused {
    let reason = text.split_once(": ").map_or(&*text, |(_, reason)| reason);
    match kind {
        REP_ERR_UNKNOWN => Refused::NoVolume(text),
        REP_ERR_POLICY if reason.contains("not started") => Refused::NotStarted(text),
        REP_ERR_POLICY if reason.contains("exclusive") || reason.contains("taken away") => {
            Refused::Busy(text)
        }
        REP_ERR_POLICY => Refused::NotActivated(text),
        _ => Refused::BadServer(text),
    }
}

fn read(socket: &mut impl Read, bytes: &mut [u8]) -> Result<(), Refused> {
    socket.read_exact(bytes).map_err(|error| match error.kind() {
        // A socket with a timeout says so.
        io::ErrorKind::WouldBlock => Refused::Unreachable(io::ErrorKind::TimedOut.into()),
        io::ErrorKind::UnexpectedEof => {
            let text = "it closed the connection";
            Refused::Unreachable(io::Error::new(io::ErrorKind::UnexpectedEof, text))
        }
        _ => Refused::Unreachable(error),
    })
}

fn write(socket: &mut impl Write, bytes: &[u8]) -> Result<(), Refused> {
    socket.write_all(bytes).map_err(Refused::Unreachable)
}

/// For people and for logs: no line ends in it.
fn text(data: &[u8]) -> Box<str> {
    let text = String::from_utf8_lossy(data);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn bad(text: &str) -> Refused {
    Refused::BadServer(text.into())
}

fn unexpected(option: u32, kind: u32) -> Refused {
    bad(&format!("reply {kind:#x} to option {option}"))
}

/// In bytes, as all that follow.
const SECTOR: u32 = 512;
/// "Size constraints": no smallest block is larger.
const BLOCK_MAX: u32 = 64 << 10;
/// "Size constraints": what a server takes that does not say.
const DEFAULT_MAX: u32 = 32 << 20;
/// The longest reply to an option; names and texts have 4096 bytes.
const REPLY_MAX: usize = 16 << 10;
/// So many exports are listed, and so many replies tell of one.
const EXPORTS_MAX: usize = 1 << 18;
const INFOS_MAX: usize = 64;

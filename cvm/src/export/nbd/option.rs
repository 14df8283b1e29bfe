//! Options: what a client may ask for in the handshake, as it is sent.

use super::TEXT_MAX;

/// An option with its data.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum ClientOption {
    Abort,
    /// Something that is to be known of an export, or done with it.
    Export {
        name: String,
        wish: Wish,
    },
    List,
    /// Metadata contexts are to be listed or chosen. What follows does not depend on which, as
    /// there are none.
    MetaContext,
    StartTls,
    StructuredReply,
    Unknown,
}

/// How a client asks for an export, which is how it is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    ExportName,
    Go(Infos),
    Info(Infos),
}

/// What a client wants to know besides what it is told anyway.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Infos {
    pub(super) description: bool,
    pub(super) name: bool,
}

/// Data that is not what belongs to an option, in words for people.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Malformed(pub(super) &'static str);

type Read<T> = Result<T, Malformed>;

impl ClientOption {
    pub(super) fn decode(number: u32, data: &[u8]) -> Read<Self> {
        match number {
            EXPORT_NAME => {
                let (name, wish) = (text(data)?.to_owned(), Wish::ExportName);
                Ok(Self::Export { name, wish })
            }
            // "Option types": what comes with it is to be ignored.
            ABORT => Ok(Self::Abort),
            LIST => nothing(data).map(|()| Self::List),
            STARTTLS => nothing(data).map(|()| Self::StartTls),
            INFO => export(data, Wish::Info),
            GO => export(data, Wish::Go),
            STRUCTURED_REPLY => nothing(data).map(|()| Self::StructuredReply),
            LIST_META_CONTEXT | SET_META_CONTEXT => check_queries(data).map(|()| Self::MetaContext),
            _ => Ok(Self::Unknown),
        }
    }
}

impl Wish {
    /// The option.
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::ExportName => EXPORT_NAME,
            Self::Go(_) => GO,
            Self::Info(_) => INFO,
        }
    }

    /// The transmission begins if it is granted.
    pub(super) const fn opens(self) -> bool {
        match self {
            Self::ExportName | Self::Go(_) => true,
            Self::Info(_) => false,
        }
    }
}

/// Data of INFO and GO: a name and a list of what is to be known.
fn export(data: &[u8], wish: impl Fn(Infos) -> Wish) -> Read<ClientOption> {
    let mut reader = Reader(data);
    let name = reader.counted_text()?.to_owned();
    let count = reader.u16()?;
    let mut infos = Infos::default();
    for _ in 0..count {
        match reader.u16()? {
            INFO_NAME => infos.name = true,
            INFO_DESCRIPTION => infos.description = true,
            // Told anyway, or not known and to be ignored.
            _ => {}
        }
    }
    reader.end()?;
    Ok(ClientOption::Export { name, wish: wish(infos) })
}

/// Data of LIST_META_CONTEXT and SET_META_CONTEXT: the name of an export, and queries that begin
/// with a namespace.
fn check_queries(data: &[u8]) -> Read<()> {
    let mut reader = Reader(data);
    reader.counted_text()?;
    // There are no more of them than there is data, whatever is said here.
    let count = reader.u32()?;
    for _ in 0..count {
        // "Metadata querying": a namespace is not empty.
        let namespace = reader.counted_text()?.split_once(':').map(|(namespace, _)| namespace);
        if namespace.is_none_or(str::is_empty) {
            return Err(Malformed("a query does not begin with a namespace"));
        }
    }
    reader.end()
}

const fn nothing(data: &[u8]) -> Read<()> {
    if data.is_empty() { Ok(()) } else { Err(Malformed("this option has no data")) }
}

/// "Conventions": what a text is.
fn text(bytes: &[u8]) -> Read<&str> {
    if bytes.len() > TEXT_MAX {
        return Err(Malformed("a text is longer than 4096 bytes"));
    }
    let text = str::from_utf8(bytes).map_err(|_| Malformed("a text is not UTF-8"))?;
    if text.contains('\0') { Err(Malformed("there is a NUL in a text")) } else { Ok(text) }
}

/// Reads from the front; nothing is read past the end.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk().ok_or(CUT_SHORT)?;
        self.0 = rest;
        Ok(*head)
    }

    fn u16(&mut self) -> Read<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn counted_text(&mut self) -> Read<&'a str> {
        let len = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        let (head, rest) = self.0.split_at_checked(len).ok_or(CUT_SHORT)?;
        self.0 = rest;
        text(head)
    }

    const fn end(self) -> Read<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("there is more data than is needed")) }
    }
}

const CUT_SHORT: Malformed = Malformed("the data ends too early");

pub(super) const EXPORT_NAME: u32 = 1;
pub(super) const ABORT: u32 = 2;
pub(super) const LIST: u32 = 3;
pub(super) const STARTTLS: u32 = 5;
pub(super) const INFO: u32 = 6;
pub(super) const GO: u32 = 7;
pub(super) const STRUCTURED_REPLY: u32 = 8;
pub(super) const LIST_META_CONTEXT: u32 = 9;
pub(super) const SET_META_CONTEXT: u32 = 10;

pub(super) const INFO_EXPORT: u16 = 0;
pub(super) const INFO_NAME: u16 = 1;
pub(super) const INFO_DESCRIPTION: u16 = 2;
pub(super) const INFO_BLOCK_SIZE: u16 = 3;

//! The handshake: a client learns what is there and chooses an export.
//!
//! One option after the other: an answer has to be sent before the next option is looked at, so
//! that a client that asks and does not listen makes nothing pile up here. ("Fixed newstyle
//! negotiation" allows a client no more than one at a time; those that send more have to wait.)

use bytes::{Buf, BytesMut};

use super::answer::{self, FIXED_NEWSTYLE, NO_ZEROES, OPTION_MAGIC, OptionError};
use super::export::{Export, Refused};
use super::option::{ClientOption, EXPORT_NAME, Wish};
use super::reply::Replies;
use super::step::{Ask, HandshakeEnd, OPTIONS_MAX, Session, Step};

/// The first phase of a connection.
///
/// Whoever has the socket polls until [`Step::NeedInput`], and does what each step says.
#[derive(Debug)]
pub struct Handshake {
    state: State,
    /// What has come and was not looked at: at most `INPUT_MAX`.
    input: BytesMut,
    /// What is to be sent before anything else happens.
    output: BytesMut,
    /// From the flags of the client.
    is_fixed: bool,
    /// Zeros that follow an answer to EXPORT_NAME.
    zeros: usize,
    replies: Replies,
    /// Options that have come.
    options: usize,
}

#[derive(Debug)]
enum State {
    /// The caller has to answer.
    Asked(Question),
    /// All is said, and requests follow.
    Begin(Export),
    Closed(HandshakeEnd),
    /// The data of an option has to come.
    Data {
        option: u32,
        len: usize,
    },
    /// The flags of the client have to come.
    Flags,
    /// The head of an option has to come.
    Option,
    /// This much is thrown away.
    Skip {
        option: u32,
        left: usize,
    },
}

#[derive(Debug)]
enum Question {
    Export { name: String, wish: Wish },
    List,
}

impl Default for Handshake {
    fn default() -> Self {
        Self::new()
    }
}

impl Handshake {
    /// A client has connected; the greeting is sent first.
    pub fn new() -> Self {
        let mut output = BytesMut::new();
        answer::put_greeting(&mut output);
        let (replies, zeros) = (Replies::Simple, OLD_ZEROS);
        let (state, input) = (State::Flags, BytesMut::new());
        Self { state, input, output, is_fixed: false, zeros, replies, options: 0 }
    }

    /// So many bytes may be handed in now. Never 0 after [`Step::NeedInput`].
    pub fn room(&self) -> usize {
        match &self.state {
            State::Closed(_) => 0,
            State::Asked(_)
            | State::Begin(_)
            | State::Data { .. }
            | State::Flags
            | State::Option
            | State::Skip { .. } => INPUT_MAX - self.input.len(),
        }
    }

    /// The client has sent something: no more than there is [room](Self::room) for, else nothing of
    /// it is kept and the connection ends.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        if bytes.len() <= self.room() {
            self.input.extend_from_slice(bytes);
        } else {
            self.close(HandshakeEnd::Flooded);
        }
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Step {
        loop {
            if !self.output.is_empty() {
                return Step::Send(self.output.split().freeze());
            }
            let moves_on = match &self.state {
                State::Asked(question) => return Step::Ask(question.ask()),
                State::Begin(_) => return self.begin(),
                State::Closed(end) => return Step::Close(*end),
                State::Data { option, len } => self.poll_data(*option, *len),
                State::Flags => self.poll_flags(),
                State::Option => self.poll_head(),
                State::Skip { option, left } => self.poll_skip(*option, *left),
            };
            if !moves_on {
                return Step::NeedInput;
            }
        }
    }

    /// The answer to [`Ask::Export`]; without that question nothing happens.
    pub fn answer_export(&mut self, answer: Result<Export, Refused>) {
        let State::Asked(Question::Export { wish, .. }) = self.state else { return };
        self.state = State::Option;
        match answer {
            Ok(export) => {
                debug_assert!(export.is_sound(), "no client would understand {export:?}");
                answer::put_export(&mut self.output, wish, &export, self.replies, self.zeros);
                if wish.opens() {
                    self.state = State::Begin(export);
                }
            }
            Err(Refused::Policy(text)) => self.fail(wish.number(), OptionError::Policy, &text),
            Err(Refused::Unknown(text)) => {
                self.fail(wish.number(), OptionError::UnknownExport, &text);
            }
        }
    }

    /// The answer to [`Ask::List`]; without that question nothing happens.
    pub fn answer_list(&mut self, names: &[String]) {
        if let State::Asked(Question::List) = self.state {
            self.state = State::Option;
            answer::put_list(&mut self.output, names);
        }
    }

    /// What has come and is still here, in bytes.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.input.len()
    }

    fn begin(&mut self) -> Step {
        let over = State::Closed(HandshakeEnd::Begun);
        let State::Begin(export) = std::mem::replace(&mut self.state, over) else {
            return Step::Close(HandshakeEnd::Begun);
        };
        let (replies, rest) = (self.replies, self.input.split().freeze());
        Step::Begin(Session { export, replies, rest })
    }

    /// `false`: more has to come first. So it is with all that follow.
    fn poll_flags(&mut self) -> bool {
        if self.input.len() < FLAGS_LEN {
            return false;
        }
        let flags = self.input.get_u32();
        let (fixed, no_zeroes) = (u32::from(FIXED_NEWSTYLE), u32::from(NO_ZEROES));
        // "Client flags": the connection must not go on.
        if flags & !(fixed | no_zeroes) != 0 {
            self.close(HandshakeEnd::UnknownFlags(flags));
            return true;
        }
        self.is_fixed = flags & fixed != 0;
        self.zeros = if flags & no_zeroes != 0 { 0 } else { OLD_ZEROS };
        self.state = State::Option;
        true
    }

    fn poll_head(&mut self) -> bool {
        if self.input.len() < HEAD_LEN {
            return false;
        }
        let magic = self.input.get_u64();
        let (option, claimed) = (self.input.get_u32(), self.input.get_u32());
        let len = usize::try_from(claimed).unwrap_or(usize::MAX);
        self.options += 1;
        if magic != OPTION_MAGIC {
            self.close(HandshakeEnd::Magic(magic));
        } else if !self.is_fixed && option != EXPORT_NAME {
            self.close(HandshakeEnd::NotFixed(option));
        } else if self.options > OPTIONS_MAX {
            self.close(HandshakeEnd::TooMany);
        } else if len <= DATA_MAX {
            self.state = State::Data { option, len };
        } else if len > SKIP_MAX || option == EXPORT_NAME {
            self.close(HandshakeEnd::TooLong(claimed));
        } else {
            self.state = State::Skip { option, left: len };
        }
        true
    }

    fn poll_skip(&mut self, option: u32, left: usize) -> bool {
        let here = left.min(self.input.len());
        self.input.advance(here);
        let left = left - here;
        if left > 0 {
            self.state = State::Skip { option, left };
            return false;
        }
        self.state = State::Option;
        self.fail(option, OptionError::TooBig, "an option has at most 64 KiB of data");
        true
    }

    fn poll_data(&mut self, option: u32, len: usize) -> bool {
        if self.input.len() < len {
            return false;
        }
        let data = self.input.split_to(len);
        self.state = State::Option;
        match ClientOption::decode(option, &data) {
            Ok(known) => self.on_option(option, known),
            Err(malformed) => self.fail(option, OptionError::Invalid, malformed.0),
        }
        true
    }

    fn on_option(&mut self, number: u32, option: ClientOption) {
        match option {
            ClientOption::Abort => {
                answer::put_ack(&mut self.output, number);
                self.close(HandshakeEnd::Aborted);
            }
            ClientOption::Export { name, wish } => {
                self.state = State::Asked(Question::Export { name, wish });
            }
            ClientOption::List => self.state = State::Asked(Question::List),
            ClientOption::MetaContext => match self.replies {
                // "Option types": contexts need structured replies.
                Replies::Simple => {
                    self.fail(number, OptionError::Invalid, "structured replies come first");
                }
                // None is there, so that none is listed or chosen.
                Replies::Structured => answer::put_ack(&mut self.output, number),
            },
            ClientOption::StartTls => {
                self.fail(number, OptionError::Policy, "there is no TLS here");
            }
            ClientOption::StructuredReply => {
                self.replies = Replies::Structured;
                answer::put_ack(&mut self.output, number);
            }
            ClientOption::Unknown => {
                self.fail(number, OptionError::Unsupported, "this option is not known here");
            }
        }
    }

    /// The client is told, if it can be.
    fn fail(&mut self, option: u32, error: OptionError, text: &str) {
        // "Option types": nothing but an export can be an answer to EXPORT_NAME.
        if option == EXPORT_NAME {
            self.close(HandshakeEnd::ExportName);
        } else {
            answer::put_error(&mut self.output, option, error, text);
        }
    }

    /// What is still to be sent goes out first.
    fn close(&mut self, end: HandshakeEnd) {
        self.input.clear();
        self.state = State::Closed(end);
    }
}

impl Question {
    fn ask(&self) -> Ask {
        match self {
            Self::Export { name, wish } => Ask::Export { name: name.clone(), opens: wish.opens() },
            Self::List => Ask::List,
        }
    }
}

/// In bytes, as all that follow.
const FLAGS_LEN: usize = 4;
const HEAD_LEN: usize = 16;
/// The longest data of an option that is looked at; 4096 bytes of it may be a name.
const DATA_MAX: usize = 64 << 10;
/// The longest data that is thrown away rather than to close the connection.
const SKIP_MAX: usize = 1 << 20;
/// Whatever has to be complete before it is looked at fits.
const INPUT_MAX: usize = DATA_MAX;
/// "Newstyle negotiation": what follows an export's size and flags, unless the client waives it.
const OLD_ZEROS: usize = 124;

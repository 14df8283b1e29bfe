//! The client of an LLT port as a pure state machine, the sibling of
//! [`ClientCore`](super::ClientCore): datagrams in, events and datagrams out.

use bytes::Bytes;
use llt::limits::MESSAGE_MAX;
use llt::{LltPort, NodeId};

use super::core::ClientState;
use super::credit::Credit;
use super::session::{Core, Session, SessionEvent};
use crate::event::CloseReason;
use crate::ipc::{self, Record};
use crate::limits::{LLT_RECEIVE_BYTES, LLT_RECEIVE_MESSAGES};

/// One event on an LLT port, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LltEvent {
    /// The last event: gabd ended the connection.
    Closed(CloseReason),
    /// A message.
    Message {
        /// The node that sent it.
        from: NodeId,
        /// Sent reliably: once, in order per node. Else as a datagram, which may be lost, come
        /// twice or late.
        reliable: bool,
        /// The bytes.
        payload: Bytes,
    },
    /// A message that was accepted was not sent after all. While 256 of these have not been polled
    /// more are counted only ([`LltCore::not_sent`]).
    NotSent {
        /// A positive errno: 107 the node is not connected, 90 too long for a datagram.
        errno: i32,
        /// For people; names the node.
        text: String,
    },
}

/// Why a send was refused; nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LltSendError {
    /// The port is closed (`EPIPE`).
    #[error("the LLT port is closed")]
    Closed,
    /// Longer than [`MESSAGE_MAX`] (`EMSGSIZE`).
    #[error("the message is longer than {MESSAGE_MAX} bytes")]
    TooLarge,
    /// There is no room (`EAGAIN`).
    #[error("the send queue is full")]
    WouldBlock,
}

impl LltSendError {
    /// The positive errno that C clients see negated.
    pub const fn errno(self) -> i32 {
        match self {
            Self::Closed => 32,
            Self::TooLarge => 90,
            Self::WouldBlock => 11,
        }
    }
}

/// The client of one LLT port. Used as [`ClientCore`](super::ClientCore) is.
#[derive(Debug)]
pub struct LltCore {
    session: Session<LltEvent>,
    not_sent: u64,
    /// Those of them whose event nobody has taken yet; no more of them are kept than messages.
    untold: usize,
}

impl LltCore {
    /// Asks for a port.
    pub fn new(port: LltPort) -> Self {
        let open = Record::LltOpen { version: ipc::VERSION, port };
        let whole = Credit { messages: LLT_RECEIVE_MESSAGES, bytes: LLT_RECEIVE_BYTES };
        Self { session: Session::new(&open, whole), not_sent: 0, untold: 0 }
    }

    /// A datagram arrived. One that breaks the format or its credit ends the connection with
    /// [`CloseReason::Protocol`].
    pub fn handle_datagram(&mut self, datagram: Bytes) {
        Core::handle_datagram(self, datagram);
    }

    /// gabd hung up, or its socket failed. After a `Closed` this changes nothing.
    pub fn handle_hang_up(&mut self) {
        self.session.end(CloseReason::Died);
    }

    /// Sends to the client of the port on `node`: reliably and in order, or once as a datagram.
    ///
    /// # Errors
    /// See [`LltSendError`]; nothing was changed.
    pub fn send(
        &mut self,
        node: NodeId,
        payload: &[u8],
        reliable: bool,
    ) -> Result<(), LltSendError> {
        if payload.len() > MESSAGE_MAX {
            return Err(LltSendError::TooLarge);
        }
        match self.session.state {
            ClientState::Open(_) if self.session.send.covers(Credit::one(payload.len())) => {}
            ClientState::Open(_) | ClientState::Opening => return Err(LltSendError::WouldBlock),
            ClientState::Closed(_)
            | ClientState::Closing
            | ClientState::Done
            | ClientState::Refused { .. } => return Err(LltSendError::Closed),
        }
        self.session.send.take(Credit::one(payload.len()));
        self.session.out.push_llt_send(node, reliable, payload);
        Ok(())
    }

    /// Gives the port up, after everything that was accepted. Events that were not polled are
    /// dropped. Wait for [`ClientState::Done`].
    pub fn close(&mut self) {
        Core::close(self);
    }

    /// The next event, in order. `Closed` comes once and last.
    pub fn poll_event(&mut self) -> Option<LltEvent> {
        Core::poll_event(self)
    }

    /// How far it has come.
    pub fn state(&self) -> &ClientState {
        &self.session.state
    }

    /// How much may be sent now: messages, bytes.
    pub fn send_credit(&self) -> (usize, usize) {
        (self.session.send.messages, self.session.send.bytes)
    }

    /// Messages that were accepted and not sent after all, polled or not.
    pub fn not_sent(&self) -> u64 {
        self.not_sent
    }
}

impl SessionEvent for LltEvent {
    type Piece = std::option::IntoIter<Self>;

    fn into_piece(self) -> Self::Piece {
        Some(self).into_iter()
    }

    fn closed(reason: CloseReason) -> Self {
        Self::Closed(reason)
    }

    fn cost(&self) -> Option<usize> {
        match self {
            Self::Message { payload, .. } => Some(payload.len()),
            Self::Closed(_) | Self::NotSent { .. } => None,
        }
    }
}

impl Core for LltCore {
    type Event = LltEvent;

    fn session(&self) -> &Session<LltEvent> {
        &self.session
    }

    fn session_mut(&mut self) -> &mut Session<LltEvent> {
        &mut self.session
    }

    fn on_record(&mut self, record: Record) -> bool {
        match record {
            Record::Refused { errno, text } => {
                self.not_sent += 1;
                if self.untold < LLT_RECEIVE_MESSAGES {
                    self.untold += 1;
                    let errno = i32::try_from(errno).unwrap_or(i32::MAX);
                    self.on_event(LltEvent::NotSent { errno, text });
                }
                true
            }
            Record::LltMessage { node: from, reliable, payload } => {
                self.on_event(LltEvent::Message { from, reliable, payload })
            }
            _ => false,
        }
    }

    fn on_taken(&mut self, event: &LltEvent) {
        if matches!(event, LltEvent::NotSent { .. }) {
            self.untold -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;

    fn node(id: u8) -> NodeId {
        NodeId::new(id).unwrap()
    }

    fn datagram(records: &[Record]) -> Bytes {
        let mut out = BytesMut::new();
        records.iter().for_each(|record| record.encode(&mut out));
        out.freeze()
    }

    fn sent(core: &mut LltCore) -> Vec<Record> {
        let mut all = Vec::new();
        while let Some(datagram) = core.poll_transmit() {
            all.extend(ipc::Reader::new(datagram).map(Result::unwrap));
        }
        all
    }

    /// An open port with credit for `messages` of any length.
    fn open(messages: u32) -> LltCore {
        let mut core = LltCore::new(LltPort::new(20).unwrap());
        assert_eq!(sent(&mut core).len(), 2);
        let opened = Record::Opened { version: 1, node: node(0) };
        core.handle_datagram(datagram(&[opened, Record::Credit { messages, bytes: 1 << 20 }]));
        assert_eq!(core.state(), &ClientState::Open(node(0)));
        core
    }

    fn message(payload: &'static [u8]) -> Record {
        Record::LltMessage { node: node(1), reliable: true, payload: payload.into() }
    }

    #[test]
    fn it_sends_within_its_credit() {
        let mut core = open(1);
        let long = vec![0; MESSAGE_MAX + 1];
        assert_eq!(core.send(node(1), &long, true), Err(LltSendError::TooLarge));
        assert_eq!(core.send(node(1), b"x", false), Ok(()));
        assert_eq!(core.send(node(1), b"y", false), Err(LltSendError::WouldBlock));
        let expected = Record::LltSend { node: node(1), reliable: false, payload: "x".into() };
        assert_eq!(sent(&mut core), [expected]);
    }

    #[test]
    fn what_is_read_is_granted_again() {
        let mut core = open(0);
        for _ in 0..LLT_RECEIVE_MESSAGES {
            core.handle_datagram(datagram(&[message(b"m")]));
        }
        assert_eq!(sent(&mut core), []);
        while core.poll_event().is_some() {}
        let granted: usize = sent(&mut core)
            .iter()
            .map(|record| match record {
                Record::Credit { messages, .. } => *messages as usize,
                other => panic!("{other:?}"),
            })
            .sum();
        assert_eq!(granted, LLT_RECEIVE_MESSAGES);
    }

    #[test]
    fn a_message_beyond_the_credit_ends_it() {
        let mut core = open(0);
        for _ in 0..=LLT_RECEIVE_MESSAGES {
            core.handle_datagram(datagram(&[message(b"m")]));
        }
        assert_eq!(core.state(), &ClientState::Closed(CloseReason::Protocol));
    }

    #[test]
    fn what_was_not_sent_is_told() {
        let mut core = open(1);
        core.handle_datagram(datagram(&[Record::Refused { errno: 107, text: "no".into() }]));
        let event = LltEvent::NotSent { errno: 107, text: "no".into() };
        assert_eq!(core.not_sent(), 1);
        assert_eq!(core.poll_event(), Some(event));
        assert_eq!(core.poll_event(), None);
    }

    #[test]
    fn a_close_is_answered_and_a_refusal_is_the_end() {
        let mut core = open(1);
        core.handle_datagram(datagram(&[message(b"unread")]));
        core.close();
        assert_eq!(core.send(node(1), b"late", true), Err(LltSendError::Closed));
        core.handle_datagram(datagram(&[message(b"late"), Record::Closed(0)]));
        assert_eq!((core.state(), core.session.has_event()), (&ClientState::Done, false));

        let mut core = LltCore::new(LltPort::PING);
        core.handle_datagram(datagram(&[Record::Refused { errno: 16, text: "taken".into() }]));
        let refused = ClientState::Refused { errno: 16, text: "taken".into() };
        assert_eq!((core.state(), core.session.is_over()), (&refused, true));
    }

    #[test]
    fn what_only_clients_say_is_not_understood() {
        for record in [Record::Close, Record::Trace { on: true }, Record::Closed(108)] {
            let mut core = open(1);
            let stopped = record == Record::Closed(108);
            core.handle_datagram(datagram(&[record]));
            let reason = if stopped { CloseReason::Stopped } else { CloseReason::Protocol };
            assert_eq!(core.poll_event(), Some(LltEvent::Closed(reason)));
        }
    }
}

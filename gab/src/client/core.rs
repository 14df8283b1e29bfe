//! The client of `gab.sock` as a pure state machine: datagrams in, events and datagrams out.
//!
//! Everything that can go wrong with gabd becomes one `Closed` event. It does no I/O and knows no
//! time. What it shares with the clients of other ports is in `session.rs`.

use bytes::Bytes;
use llt::{NodeId, NodeSet};

use super::credit::Credit;
use super::session::{Core, Session, SessionEvent};
use crate::event::{
    ClientEvent, CloseReason, Level, OpenOptions, PortEvent, PortEvents, PortView, SendError,
};
use crate::ids::PortName;
use crate::ipc::{self, Record};
use crate::limits::{MESSAGE_MAX, RECEIVE_QUEUE_BYTES, RECEIVE_QUEUE_MESSAGES};

/// One client of gabd.
///
/// * [`handle_datagram`](Self::handle_datagram) and [`handle_hang_up`](Self::handle_hang_up) take
///   what the socket gave.
/// * `broadcast`, `send_to`, `ack` and `close` are commands: refused means nothing changed.
/// * [`poll_event`](Self::poll_event) and [`poll_transmit`](Self::poll_transmit) are called until
///   they are empty.
#[derive(Debug)]
pub struct ClientCore {
    session: Session<ClientEvent>,
    options: OpenOptions,
    /// Members of the newest view that gabd told of; `None` before the first.
    members: Option<NodeSet>,
    /// The generation of the newest view that the user has seen, while it is not acknowledged.
    unacked: Option<u64>,
    refused: u64,
    /// gabd asked for a sign of life, and the answer is not sent yet.
    asked: bool,
}

/// How far a registration has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ClientState {
    /// It ended; no more than a `Closed` event follows.
    Closed(CloseReason),
    /// [`ClientCore::close`] was called; what comes in is dropped.
    Closing,
    /// It ended as [`ClientCore::close`] wished: all that was accepted is ordered.
    Done,
    /// Registered, as this node.
    Open(NodeId),
    /// `Open` is on its way.
    Opening,
    /// gabd refused the registration.
    Refused {
        /// A positive errno.
        errno: i32,
        /// For people.
        text: String,
    },
}

/// Why an acknowledgement was refused; nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AckError {
    /// The registration is closed (`EPIPE`).
    #[error("the port is closed")]
    Closed,
    /// Not the generation of the newest view that was received, or acknowledged before (`ESTALE`).
    #[error("the newest view has another generation")]
    Stale,
}

impl AckError {
    /// The positive errno that C clients see negated.
    pub const fn errno(self) -> i32 {
        match self {
            Self::Closed => 32,
            Self::Stale => 116,
        }
    }
}

impl ClientCore {
    /// Asks for a registration. A name longer than [`ipc::NAME_MAX`] bytes is cut.
    pub fn new(port: PortName, options: OpenOptions, name: &str) -> Self {
        let end = (0..=name.len().min(ipc::NAME_MAX)).rev().find(|&at| name.is_char_boundary(at));
        let name = name[..end.unwrap_or(0)].to_owned();
        let open = Record::Open { version: ipc::VERSION, port, options, name };
        let whole = Credit { messages: RECEIVE_QUEUE_MESSAGES, bytes: RECEIVE_QUEUE_BYTES };
        Self {
            session: Session::new(&open, whole),
            options,
            members: None,
            unacked: None,
            refused: 0,
            asked: false,
        }
    }

    /// A datagram arrived. One that breaks the format or its credit ends the registration with
    /// [`CloseReason::Protocol`].
    pub fn handle_datagram(&mut self, datagram: Bytes) {
        Core::handle_datagram(self, datagram);
    }

    /// gabd hung up, or its socket failed. After a `Closed` this changes nothing.
    pub fn handle_hang_up(&mut self) {
        self.session.end(CloseReason::Died);
    }

    /// Broadcasts to every member of the port. It is accepted: it will be ordered unless gabd or
    /// this node's membership ends first, which is told.
    ///
    /// Refused before the first view arrived (`NotMember`) and without credit (`WouldBlock`).
    pub fn broadcast(&mut self, level: Level, payload: &[u8]) -> Result<(), SendError> {
        self.check_send(payload.len())?;
        self.session.send.take(Credit::one(payload.len()));
        self.session.out.push_broadcast(level, payload);
        Ok(())
    }

    /// Sends to the port's client on `node`, a member of the newest view.
    pub fn send_to(&mut self, node: NodeId, payload: &[u8]) -> Result<(), SendError> {
        self.check_send(payload.len())?;
        if !self.members.is_some_and(|members| members.contains(node)) {
            return Err(SendError::NotMember);
        }
        self.session.send.take(Credit::one(payload.len()));
        self.session.out.push_send(node, payload);
        Ok(())
    }

    /// The user has recovered from the view of this generation. Without the option `ack` gabd
    /// waits for nothing and is told nothing.
    pub fn ack(&mut self, generation: u64) -> Result<(), AckError> {
        if !matches!(self.session.state, ClientState::Open(_)) {
            return Err(AckError::Closed);
        }
        if self.unacked != Some(generation) {
            return Err(AckError::Stale);
        }
        self.unacked = None;
        if self.options.ack {
            self.session.out.push(&Record::Ack { generation });
        }
        Ok(())
    }

    /// Unregisters, after everything that was accepted. Events that were not polled are dropped.
    /// Wait for [`ClientState::Done`].
    pub fn close(&mut self) {
        Core::close(self);
    }

    /// The next event, in order. `Closed` comes once and last.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        Core::poll_event(self)
    }

    /// The next datagram for gabd; `None` when there is nothing to send.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        Core::poll_transmit(self)
    }

    /// The next datagram that is full: what a sender with more to say should send already.
    pub fn poll_full_transmit(&mut self) -> Option<Bytes> {
        self.session.out.pop_full()
    }

    /// Is there anything to send?
    pub fn wants_transmit(&self) -> bool {
        !self.session.out.is_empty()
    }

    /// Does gabd wait for an answer that goes with [`poll_transmit`](Self::poll_transmit)? Whoever
    /// drives a supervised client sends it as soon as it was read, or the program counts as hung.
    pub fn owes_answer(&self) -> bool {
        self.asked && !self.is_over()
    }

    /// Is there an event to poll?
    pub fn has_event(&self) -> bool {
        self.session.has_event()
    }

    /// How far the registration has come.
    pub fn state(&self) -> &ClientState {
        &self.session.state
    }

    /// How much may be sent now: messages, bytes.
    pub fn send_credit(&self) -> (usize, usize) {
        (self.session.send.messages, self.session.send.bytes)
    }

    /// Messages that gabd refused after it had taken them: their addressee had left the port
    /// meanwhile, which a view tells, too.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Is the end reached, so that nothing more is worth reading or sending?
    pub fn is_over(&self) -> bool {
        self.session.is_over()
    }

    fn on_view(&mut self, view: PortView) -> bool {
        self.members = Some(view.members);
        self.on_event(ClientEvent::View(view))
    }

    fn check_send(&self, len: usize) -> Result<(), SendError> {
        if len > MESSAGE_MAX {
            return Err(SendError::TooLarge);
        }
        match self.session.state {
            ClientState::Open(_) if self.members.is_none() => Err(SendError::NotMember),
            ClientState::Open(_) if !self.session.send.covers(Credit::one(len)) => {
                Err(SendError::WouldBlock)
            }
            ClientState::Open(_) => Ok(()),
            ClientState::Opening => Err(SendError::NotMember),
            ClientState::Closed(_)
            | ClientState::Closing
            | ClientState::Done
            | ClientState::Refused { .. } => Err(SendError::Closed),
        }
    }
}

impl SessionEvent for ClientEvent {
    type Piece = PortEvents;

    fn into_piece(self) -> PortEvents {
        PortEvent::One(self).into_iter()
    }

    fn closed(reason: CloseReason) -> Self {
        Self::Closed(reason)
    }

    fn cost(&self) -> Option<usize> {
        match self {
            Self::Closed(_) => None,
            Self::Deliver(delivery) => Some(delivery.payload.len()),
            Self::Status(_) | Self::View(_) => Some(0),
        }
    }
}

impl Core for ClientCore {
    type Event = ClientEvent;

    fn session(&self) -> &Session<ClientEvent> {
        &self.session
    }

    fn session_mut(&mut self) -> &mut Session<ClientEvent> {
        &mut self.session
    }

    fn on_record(&mut self, record: Record) -> bool {
        match record {
            Record::Refused { errno, text } => {
                tracing::debug!(errno, text, "gabd refused a message");
                self.refused += 1;
                true
            }
            // In whatever state: the program is inside a call and reads.
            Record::AskBeat { number } => {
                self.session.out.push(&Record::Beat { number });
                self.asked = true;
                true
            }
            Record::Deliver(delivery) => self.on_event(ClientEvent::Deliver(delivery)),
            Record::DeliverPack(pack) => {
                let messages = pack.messages.messages().into();
                let cost = Credit { messages, bytes: pack.messages.payload_len() };
                self.on_piece(PortEvent::Pack(pack).into_iter(), Some(cost))
            }
            Record::Status(view) => self.on_event(ClientEvent::Status(view)),
            Record::View(view) => self.on_view(view),
            _ => false,
        }
    }

    fn on_taken(&mut self, event: &ClientEvent) {
        if let ClientEvent::View(view) = event {
            self.unacked = Some(view.generation);
        }
    }

    fn owes_answer(&self) -> bool {
        self.owes_answer()
    }

    fn poll_transmit(&mut self) -> Option<Bytes> {
        self.asked = false;
        self.session.out.pop()
    }
}

#[cfg(test)]
mod tests;

//! What the clients of ports of every kind share as pure state machines: how far the connection has
//! come, credit in both directions, the queue of events, and records packed into datagrams.

use std::collections::VecDeque;

use bytes::Bytes;

use super::core::ClientState;
use super::credit::Credit;
use crate::event::CloseReason;
use crate::ipc::{self, Packer, Record};
use crate::limits::IPC_DATAGRAM_MAX;

/// An event of a kind of ports.
pub(super) trait SessionEvent: Sized {
    /// The last one.
    fn closed(reason: CloseReason) -> Self;
    /// The bytes of payload that gabd spent credit for, with one message; `None` if it cost nothing.
    fn cost(&self) -> Option<usize>;
    /// Events as they arrive: one, or many that stay together until the user takes them.
    type Piece: ExactSizeIterator<Item = Self> + std::fmt::Debug;
    /// It alone.
    fn into_piece(self) -> Self::Piece;
}

/// One connection to gabd.
#[derive(Debug)]
pub(super) struct Session<E: SessionEvent> {
    pub(super) state: ClientState,
    pub(super) out: Packer,
    /// None of them is empty.
    events: VecDeque<E::Piece>,
    /// What we may still send.
    pub(super) send: Credit,
    /// What gabd may still send.
    receive: Credit,
    /// What the user has taken from the queue since the last grant.
    taken: Credit,
    /// What gabd may send while nothing of it is unread.
    whole: Credit,
}

/// A client as a state machine, which its driver lets talk over a socket.
pub(super) trait Core {
    /// What it tells its user.
    type Event: SessionEvent;

    /// What it shares with all others.
    fn session(&self) -> &Session<Self::Event>;

    /// The same, to be changed.
    fn session_mut(&mut self) -> &mut Session<Self::Event>;

    /// A record that only this kind of client gets; `false` if gabd may not say it.
    fn on_record(&mut self, record: Record) -> bool;

    /// The user takes this event, or will never read it.
    fn on_taken(&mut self, event: &Self::Event);

    /// Does gabd wait for an answer that must not wait for the next call?
    fn owes_answer(&self) -> bool {
        false
    }

    /// The next datagram to send.
    fn poll_transmit(&mut self) -> Option<Bytes> {
        self.session_mut().out.pop()
    }

    /// A datagram arrived. One that breaks the format or its credit ends the connection.
    fn handle_datagram(&mut self, datagram: Bytes) {
        if datagram.len() > IPC_DATAGRAM_MAX {
            return self.session_mut().end(CloseReason::Protocol);
        }
        for record in ipc::Reader::new(datagram) {
            if self.session().is_over() {
                return;
            }
            let understood = match record.map(|record| self.session_mut().on_record(record)) {
                Ok(Ok(understood)) => understood,
                Ok(Err(record)) => self.on_record(record),
                Err(_) => false,
            };
            if !understood {
                self.session_mut().end(CloseReason::Protocol);
            }
        }
    }

    /// The next event, in order.
    fn poll_event(&mut self) -> Option<Self::Event> {
        let events = &mut self.session_mut().events;
        let piece = events.front_mut()?;
        let event = piece.next()?;
        if piece.len() == 0 {
            events.pop_front();
        }
        self.take(&event);
        self.session_mut().grant();
        Some(event)
    }

    /// Ends the connection, after everything that was accepted.
    fn close(&mut self) {
        let session = self.session_mut();
        if !matches!(session.state, ClientState::Open(_) | ClientState::Opening) {
            return;
        }
        session.state = ClientState::Closing;
        session.out.push(&Record::Close);
        for event in std::mem::take(&mut session.events).into_iter().flatten() {
            self.take(&event);
        }
        self.session_mut().grant();
    }

    /// Queues an event, as far as gabd may tell it; `false` if not.
    fn on_event(&mut self, event: Self::Event) -> bool {
        let cost = event.cost().map(Credit::one);
        self.on_piece(event.into_piece(), cost)
    }

    /// The same of a piece that cost so much, if anything.
    fn on_piece(
        &mut self,
        piece: <Self::Event as SessionEvent>::Piece,
        cost: Option<Credit>,
    ) -> bool {
        let session = self.session_mut();
        let is_open = matches!(session.state, ClientState::Open(_) | ClientState::Closing);
        if let Some(cost) = cost {
            if !is_open || !session.receive.covers(cost) {
                return false;
            }
            session.receive.take(cost);
        }
        if session.state == ClientState::Closing {
            // gabd may have no credit left for what it wants to say before it sees our Close.
            for event in piece {
                self.take(&event);
            }
            self.session_mut().grant();
        } else {
            session.events.push_back(piece);
        }
        true
    }

    /// The event is in no queue any more.
    fn take(&mut self, event: &Self::Event) {
        self.on_taken(event);
        if let Some(len) = event.cost() {
            self.session_mut().taken.give(len);
        }
    }
}

impl<E: SessionEvent> Session<E> {
    /// Asks for a port with `open`, and lets gabd send as much as `whole`.
    pub(super) fn new(open: &Record, whole: Credit) -> Self {
        let mut out = Packer::default();
        out.push(open);
        out.push(&whole.record());
        Self {
            state: ClientState::Opening,
            out,
            events: VecDeque::new(),
            send: Credit::default(),
            receive: whole,
            taken: Credit::default(),
            whole,
        }
    }

    /// Is there an event to poll?
    pub(super) fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    /// Is the end reached, so that nothing more is worth reading or sending?
    pub(super) fn is_over(&self) -> bool {
        match self.state {
            ClientState::Closed(_) | ClientState::Done | ClientState::Refused { .. } => true,
            ClientState::Closing | ClientState::Open(_) | ClientState::Opening => false,
        }
    }

    /// gabd ended it, or can no longer be understood. What is still to be sent is dropped.
    pub(super) fn end(&mut self, reason: CloseReason) {
        if !self.is_over() {
            self.state = ClientState::Closed(reason);
            self.out = Packer::default();
            self.events.push_back(E::closed(reason).into_piece());
        }
    }

    /// `Ok(false)` if gabd may not say this; the record comes back if it is not for all kinds.
    fn on_record(&mut self, record: Record) -> Result<bool, Record> {
        match record {
            Record::Opened { version, node } => {
                let is_known = version == ipc::VERSION;
                return Ok(is_known && self.on_opened(node));
            }
            Record::Refused { errno, text } if self.state == ClientState::Opening => {
                let errno = i32::try_from(errno).unwrap_or(i32::MAX);
                self.state = ClientState::Refused { errno, text };
            }
            Record::Credit { messages, bytes } => self.send.add(messages, bytes),
            Record::Closed(0) if self.state == ClientState::Closing => {
                self.state = ClientState::Done;
            }
            Record::Closed(errno) => {
                let reason = i32::try_from(errno).ok().and_then(CloseReason::from_errno);
                self.end(reason.unwrap_or(CloseReason::Protocol));
            }
            other => return Err(other),
        }
        Ok(true)
    }

    fn on_opened(&mut self, node: llt::NodeId) -> bool {
        match self.state {
            ClientState::Opening => self.state = ClientState::Open(node),
            // Closed before the answer came.
            ClientState::Closing => {}
            ClientState::Closed(_)
            | ClientState::Done
            | ClientState::Open(_)
            | ClientState::Refused { .. } => return false,
        }
        true
    }

    /// Grants in quarters of the whole: often enough that gabd never runs dry while the user
    /// reads, seldom enough to cost nothing.
    fn grant(&mut self) {
        let due = self.taken.messages >= self.whole.messages / 4
            || self.taken.bytes >= self.whole.bytes / 4;
        if due && !self.is_over() {
            self.out.push(&self.taken.record());
            self.receive.messages += self.taken.messages;
            self.receive.bytes += self.taken.bytes;
            self.taken = Credit::default();
        }
    }
}

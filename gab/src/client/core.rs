//! The client of `gab.sock` as a pure state machine: datagrams in, events and datagrams out.
//!
//! It keeps credit in both directions, packs records into datagrams, and turns everything that
//! can go wrong with gabd into one `Closed` event. It does no I/O and knows no time.

use std::collections::VecDeque;

use bytes::Bytes;
use llt::{NodeId, NodeSet};

use super::credit::Credit;
use super::driver::Core;
use crate::event::{ClientEvent, CloseReason, Level, OpenOptions, PortView, SendError};
use crate::ids::PortName;
use crate::ipc::{self, Packer, Record};
use crate::limits::{IPC_DATAGRAM_MAX, MESSAGE_MAX, RECEIVE_QUEUE_BYTES, RECEIVE_QUEUE_MESSAGES};

/// One client of gabd.
///
/// * [`handle_datagram`](Self::handle_datagram) and [`handle_hang_up`](Self::handle_hang_up) take
///   what the socket gave.
/// * `broadcast`, `send_to`, `ack` and `close` are commands: refused means nothing changed.
/// * [`poll_event`](Self::poll_event) and [`poll_transmit`](Self::poll_transmit) are called until
///   they are empty.
#[derive(Debug)]
pub struct ClientCore {
    state: ClientState,
    options: OpenOptions,
    out: Packer,
    events: VecDeque<ClientEvent>,
    /// Members of the newest view that gabd told of; `None` before the first.
    members: Option<NodeSet>,
    /// The generation of the newest view that the user has seen, while it is not acknowledged.
    unacked: Option<u64>,
    /// What we may still send.
    send: Credit,
    /// What gabd may still send.
    receive: Credit,
    /// What the user has taken from the queue since the last grant.
    taken: Credit,
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
        let mut out = Packer::default();
        out.push(&Record::Open { version: ipc::VERSION, port, options, name });
        let receive = Credit { messages: RECEIVE_QUEUE_MESSAGES, bytes: RECEIVE_QUEUE_BYTES };
        out.push(&receive.record());
        Self {
            state: ClientState::Opening,
            options,
            out,
            events: VecDeque::new(),
            members: None,
            unacked: None,
            send: Credit::default(),
            receive,
            taken: Credit::default(),
            refused: 0,
            asked: false,
        }
    }

    /// A datagram arrived. One that breaks the format or its credit ends the registration with
    /// [`CloseReason::Protocol`].
    pub fn handle_datagram(&mut self, datagram: Bytes) {
        if datagram.len() > IPC_DATAGRAM_MAX {
            return self.end(CloseReason::Protocol);
        }
        for record in ipc::Reader::new(datagram) {
            if self.is_over() {
                return;
            }
            let understood = record.is_ok_and(|record| self.on_record(record));
            if !understood {
                self.end(CloseReason::Protocol);
            }
        }
    }

    /// gabd hung up, or its socket failed. After a `Closed` this changes nothing.
    pub fn handle_hang_up(&mut self) {
        self.end(CloseReason::Died);
    }

    /// Broadcasts to every member of the port. It is accepted: it will be ordered unless gabd or
    /// this node's membership ends first, which is told.
    ///
    /// Refused before the first view arrived (`NotMember`) and without credit (`WouldBlock`).
    pub fn broadcast(&mut self, level: Level, payload: &[u8]) -> Result<(), SendError> {
        self.check_send(payload.len())?;
        self.send.take(payload.len());
        self.out.push_broadcast(level, payload);
        Ok(())
    }

    /// Sends to the port's client on `node`, a member of the newest view.
    pub fn send_to(&mut self, node: NodeId, payload: &[u8]) -> Result<(), SendError> {
        self.check_send(payload.len())?;
        if !self.members.is_some_and(|members| members.contains(node)) {
            return Err(SendError::NotMember);
        }
        self.send.take(payload.len());
        self.out.push_send(node, payload);
        Ok(())
    }

    /// The user has recovered from the view of this generation. Without the option `ack` gabd
    /// waits for nothing and is told nothing.
    pub fn ack(&mut self, generation: u64) -> Result<(), AckError> {
        if !matches!(self.state, ClientState::Open(_)) {
            return Err(AckError::Closed);
        }
        if self.unacked != Some(generation) {
            return Err(AckError::Stale);
        }
        self.unacked = None;
        if self.options.ack {
            self.out.push(&Record::Ack { generation });
        }
        Ok(())
    }

    /// Unregisters, after everything that was accepted. Events that were not polled are dropped.
    /// Wait for [`ClientState::Done`].
    pub fn close(&mut self) {
        if !matches!(self.state, ClientState::Open(_) | ClientState::Opening) {
            return;
        }
        self.state = ClientState::Closing;
        self.out.push(&Record::Close);
        for event in std::mem::take(&mut self.events) {
            self.give_back(&event);
        }
        self.grant();
    }

    /// The next event, in order. `Closed` comes once and last.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        let event = self.events.pop_front()?;
        if let ClientEvent::View(view) = &event {
            self.unacked = Some(view.generation);
        }
        self.give_back(&event);
        self.grant();
        Some(event)
    }

    /// The next datagram for gabd; `None` when there is nothing to send.
    pub fn poll_transmit(&mut self) -> Option<Bytes> {
        self.asked = false;
        self.out.pop()
    }

    /// The next datagram that is full: what a sender with more to say should send already.
    pub fn poll_full_transmit(&mut self) -> Option<Bytes> {
        self.out.pop_full()
    }

    /// Is there anything to send?
    pub fn wants_transmit(&self) -> bool {
        !self.out.is_empty()
    }

    /// Does gabd wait for an answer that goes with [`poll_transmit`](Self::poll_transmit)? Whoever
    /// drives a supervised client sends it as soon as it was read, or the program counts as hung.
    pub const fn owes_answer(&self) -> bool {
        self.asked
    }

    /// Is there an event to poll?
    pub fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    /// How far the registration has come.
    pub fn state(&self) -> &ClientState {
        &self.state
    }

    /// How much may be sent now: messages, bytes.
    pub fn send_credit(&self) -> (usize, usize) {
        (self.send.messages, self.send.bytes)
    }

    /// Messages that gabd refused after it had taken them: their addressee had left the port
    /// meanwhile, which a view tells, too.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Is the end reached, so that nothing more is worth reading or sending?
    pub fn is_over(&self) -> bool {
        match self.state {
            ClientState::Closed(_) | ClientState::Done | ClientState::Refused { .. } => true,
            ClientState::Closing | ClientState::Open(_) | ClientState::Opening => false,
        }
    }

    fn check_send(&self, len: usize) -> Result<(), SendError> {
        if len > MESSAGE_MAX {
            return Err(SendError::TooLarge);
        }
        match self.state {
            ClientState::Open(_) if self.members.is_none() => Err(SendError::NotMember),
            ClientState::Open(_) if !self.send.covers(len) => Err(SendError::WouldBlock),
            ClientState::Open(_) => Ok(()),
            ClientState::Opening => Err(SendError::NotMember),
            ClientState::Closed(_)
            | ClientState::Closing
            | ClientState::Done
            | ClientState::Refused { .. } => Err(SendError::Closed),
        }
    }

    /// `false` if gabd may not say this.
    fn on_record(&mut self, record: Record) -> bool {
        match record {
            Record::Opened { version, node } => {
                return version == ipc::VERSION && self.on_opened(node);
            }
            Record::Refused { errno, text } => self.on_refused(errno, text),
            Record::Credit { messages, bytes } => self.send.add(messages, bytes),
            Record::Closed(0) if self.state == ClientState::Closing => {
                self.state = ClientState::Done;
            }
            Record::Closed(errno) => {
                let reason = i32::try_from(errno).ok().and_then(CloseReason::from_errno);
                self.end(reason.unwrap_or(CloseReason::Protocol));
            }
            // In whatever state: the program is inside a call and reads.
            Record::AskBeat { number } => {
                self.out.push(&Record::Beat { number });
                self.asked = true;
            }
            Record::Deliver(delivery) => return self.on_event(ClientEvent::Deliver(delivery)),
            Record::Status(view) => return self.on_event(ClientEvent::Status(view)),
            Record::View(view) => return self.on_view(view),
            Record::Ack { .. }
            | Record::Admin { .. }
            | Record::Answer { .. }
            | Record::Beat { .. }
            | Record::Broadcast { .. }
            | Record::Close
            | Record::Event { .. }
            | Record::Frame(_)
            | Record::LltMessage { .. }
            | Record::LltOpen { .. }
            | Record::LltSend { .. }
            | Record::Open { .. }
            | Record::Send { .. }
            | Record::Trace { .. }
            | Record::Watch { .. } => return false,
        }
        true
    }

    fn on_opened(&mut self, node: NodeId) -> bool {
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

    fn on_refused(&mut self, errno: u32, text: String) {
        if self.state == ClientState::Opening {
            let errno = i32::try_from(errno).unwrap_or(i32::MAX);
            self.state = ClientState::Refused { errno, text };
        } else {
            tracing::debug!(errno, text, "gabd refused a message");
            self.refused += 1;
        }
    }

    fn on_view(&mut self, view: PortView) -> bool {
        self.members = Some(view.members);
        self.on_event(ClientEvent::View(view))
    }

    fn on_event(&mut self, event: ClientEvent) -> bool {
        let len = payload_len(&event);
        match self.state {
            ClientState::Open(_) | ClientState::Closing if self.receive.covers(len) => {
                self.receive.take(len);
            }
            _ => return false,
        }
        if self.state == ClientState::Closing {
            // gabd may have no credit left for what it wants to say before it sees our Close.
            self.give_back(&event);
            self.grant();
        } else {
            self.events.push_back(event);
        }
        true
    }

    fn give_back(&mut self, event: &ClientEvent) {
        match event {
            ClientEvent::Closed(_) => {}
            ClientEvent::Deliver(_) | ClientEvent::Status(_) | ClientEvent::View(_) => {
                self.taken.give(payload_len(event));
            }
        }
    }

    /// Grants in quarters of the whole: often enough that gabd never runs dry while the user
    /// reads, seldom enough to cost nothing.
    fn grant(&mut self) {
        let due = self.taken.messages >= RECEIVE_QUEUE_MESSAGES / 4
            || self.taken.bytes >= RECEIVE_QUEUE_BYTES / 4;
        if due && !self.is_over() {
            self.out.push(&self.taken.record());
            self.receive.messages += self.taken.messages;
            self.receive.bytes += self.taken.bytes;
            self.taken = Credit::default();
        }
    }

    fn end(&mut self, reason: CloseReason) {
        if self.is_over() {
            return;
        }
        self.state = ClientState::Closed(reason);
        self.out = Packer::default();
        self.asked = false;
        self.events.push_back(ClientEvent::Closed(reason));
    }
}

impl Core for ClientCore {
    fn handle_datagram(&mut self, datagram: Bytes) {
        self.handle_datagram(datagram);
    }

    fn handle_hang_up(&mut self) {
        self.handle_hang_up();
    }

    fn poll_transmit(&mut self) -> Option<Bytes> {
        self.poll_transmit()
    }

    fn poll_full_transmit(&mut self) -> Option<Bytes> {
        self.poll_full_transmit()
    }

    fn owes_answer(&self) -> bool {
        self.owes_answer()
    }

    fn has_event(&self) -> bool {
        self.has_event()
    }

    fn is_over(&self) -> bool {
        self.is_over()
    }
}

fn payload_len(event: &ClientEvent) -> usize {
    match event {
        ClientEvent::Deliver(delivery) => delivery.payload.len(),
        ClientEvent::Closed(_) | ClientEvent::Status(_) | ClientEvent::View(_) => 0,
    }
}

#[cfg(test)]
mod tests;

//! What must always hold, and what must happen in some schedule or the search proves nothing.

use gab::core::{GabOutput, RecordChange};
use gab::event::ClientEvent;
use gab::wire::{Body, EntryKind, Message};

/// Situations that are worth a search, as bits: what the last step of a schedule did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Seen(u16);

impl Seen {
    /// A client read a SAFE message.
    pub const SAFE_READ: Self = Self(1);
    /// A missing slot came because it was asked for.
    pub const REPAIRED: Self = Self(1 << 1);
    /// A view came into force.
    pub const VIEW: Self = Self(1 << 2);
    /// In a view change somebody asked for slots below the cut.
    pub const FETCHED: Self = Self(1 << 3);
    /// A round was refused for a higher one: there were two proposers.
    pub const REFUSED: Self = Self(1 << 4);
    /// A view that somebody had installed was completed at those who missed its INSTALL.
    pub const STRAGGLER: Self = Self(1 << 5);
    /// A message that had no slot below the cut was submitted again in the next view.
    pub const RESUBMITTED: Self = Self(1 << 6);
    /// The record was fenced before a prepared view was dropped.
    pub const FENCED: Self = Self(1 << 7);
    /// Something waits for the arbiter.
    pub const HELD: Self = Self(1 << 8);
    /// What had waited was read.
    pub const RELEASED: Self = Self(1 << 9);
    /// A node learned that it is out.
    pub const EJECTED: Self = Self(1 << 10);

    /// All of them with their names.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::SAFE_READ, "a SAFE message is read"),
        (Self::REPAIRED, "a lost slot is repaired"),
        (Self::VIEW, "a view comes into force"),
        (Self::FETCHED, "slots below the cut are fetched"),
        (Self::REFUSED, "a lower round is refused"),
        (Self::STRAGGLER, "a straggler is completed"),
        (Self::RESUBMITTED, "a message is submitted again"),
        (Self::FENCED, "the record is consulted and fenced"),
        (Self::HELD, "leftovers are held"),
        (Self::RELEASED, "what was held is released"),
        (Self::EJECTED, "a node is thrown out"),
    ];

    /// Is this among them?
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Adds what another names.
    pub const fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// These and those.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Watches one turn of a node from outside.
#[derive(Debug, Default)]
pub struct Watcher {
    seen: Seen,
    installed: bool,
    /// An INSTALL went out: if this node then starts a round anew, it was for a straggler.
    completed: bool,
    read: bool,
}

impl Watcher {
    /// A message arrives.
    pub fn arrives(&mut self, payload: &bytes::Bytes) {
        if let Ok(Message { body: Body::Retr(_), .. }) = Message::decode(payload.clone()) {
            self.seen.add(Seen::REPAIRED);
        }
    }

    /// The node has another view than before.
    pub fn installs(&mut self) {
        self.installed = true;
        self.seen.add(Seen::VIEW);
    }

    /// The node gives something out.
    pub fn goes_out(&mut self, output: &GabOutput) {
        match output {
            GabOutput::Arbiter(request) => {
                if matches!(request.change, RecordChange::Fence { .. }) {
                    self.seen.add(Seen::FENCED);
                }
            }
            GabOutput::Ejected { .. } => self.seen.add(Seen::EJECTED),
            GabOutput::Send(_, payload) => self.message(payload, true),
            GabOutput::Broadcast(payload) | GabOutput::Datagram(_, payload) => {
                self.message(payload, false);
            }
            GabOutput::AskBeat(_)
            | GabOutput::Client(_)
            | GabOutput::Halt { .. }
            | GabOutput::Left
            | GabOutput::Notice(_)
            | GabOutput::Signal(..) => {}
        }
    }

    fn message(&mut self, payload: &bytes::Bytes, reliable: bool) {
        let Ok(message) = Message::decode(payload.clone()) else { return };
        let user = |entry: &gab::wire::Entry| entry.kind == EntryKind::User;
        match message.body {
            Body::Install => self.completed = true,
            Body::Collect { .. } if self.completed => self.seen.add(Seen::STRAGGLER),
            Body::Nak(ranges) if reliable && !ranges.is_empty() => self.seen.add(Seen::FETCHED),
            Body::Refuse => self.seen.add(Seen::REFUSED),
            // No client sends in a turn that installs a view.
            Body::Submit(entries) if self.installed && entries.iter().any(user) => {
                self.seen.add(Seen::RESUBMITTED);
            }
            Body::Ord(ord) if self.installed && ord.entries.iter().any(user) => {
                self.seen.add(Seen::RESUBMITTED);
            }
            Body::Ack
            | Body::Collect { .. }
            | Body::Data(_)
            | Body::Hello(_)
            | Body::Nak(_)
            | Body::Ord(_)
            | Body::P2p(_)
            | Body::P2pAck(_)
            | Body::Propose(_)
            | Body::Ready
            | Body::Retr(_)
            | Body::State(_)
            | Body::Submit(_) => {}
        }
    }

    /// A client reads something.
    pub fn reads(&mut self, event: &ClientEvent) {
        if let ClientEvent::Deliver(delivery) = event {
            self.read = true;
            if delivery.level == gab::Level::Safe {
                self.seen.add(Seen::SAFE_READ);
            }
        }
    }

    /// The turn is over; so many items waited for the arbiter before it, and now.
    pub fn finish(mut self, held_before: usize, held_now: usize) -> Seen {
        if held_now > 0 {
            self.seen.add(Seen::HELD);
        }
        if held_before > 0 && held_now == 0 && self.read {
            self.seen.add(Seen::RELEASED);
        }
        self.seen
    }
}

//! Credit on `gab.sock`, as a client counts it.

use crate::ipc::Record;

/// Messages and bytes of payload that may go one way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Credit {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl Credit {
    /// What one message of so many bytes takes.
    pub(super) const fn one(bytes: usize) -> Self {
        Self { messages: 1, bytes }
    }

    pub(super) const fn covers(self, cost: Self) -> bool {
        self.messages >= cost.messages && self.bytes >= cost.bytes
    }

    /// Only after [`Self::covers`].
    pub(super) fn take(&mut self, cost: Self) {
        debug_assert!(self.covers(cost));
        self.messages -= cost.messages;
        self.bytes -= cost.bytes;
    }

    pub(super) fn add(&mut self, messages: u32, bytes: u32) {
        let wide = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        self.messages = self.messages.saturating_add(wide(messages));
        self.bytes = self.bytes.saturating_add(wide(bytes));
    }

    /// What a message took is free again.
    pub(super) fn give(&mut self, len: usize) {
        self.messages += 1;
        self.bytes += len;
    }

    pub(super) fn record(self) -> Record {
        // Both are bounded by the receive queue, a few million.
        let narrow = |n: usize| u32::try_from(n).expect("bounded by the receive queue");
        Record::Credit { messages: narrow(self.messages), bytes: narrow(self.bytes) }
    }
}

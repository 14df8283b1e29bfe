//! Messages that wait to be sent to one peer: a queue for each LLT port, and whose turn it is.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::ids::LltPort;
use crate::limits::LLT_PORTS;

/// A message that waits.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) payload: Bytes,
    /// Bytes of a fragment.
    pub(super) fragment: usize,
}

/// What waits, by port.
#[derive(Debug)]
pub(super) struct Queue {
    ports: Vec<VecDeque<Message>>,
    /// Bit n: port n has a message.
    filled: u32,
    /// Packets of the messages of each port, and of all.
    packets: [usize; LLT_PORTS as usize],
    total: usize,
    /// Whose message was begun last, and how many short ones it may still begin in its turn.
    turn: Option<(LltPort, u8)>,
}

/// Short messages in one turn of a port (facts 1.6, `largepktlen`).
const SHORT_IN_A_TURN: u8 = 5;

impl Message {
    pub(super) fn packets(&self) -> usize {
        self.payload.len().div_ceil(self.fragment).max(1)
    }
}

/// The bits of a set of ports.
pub(super) fn bits(ports: u32) -> impl Iterator<Item = LltPort> {
    (0..LLT_PORTS).filter(move |port| ports >> port & 1 == 1).filter_map(LltPort::new)
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            ports: std::iter::repeat_with(VecDeque::new).take(usize::from(LLT_PORTS)).collect(),
            filled: 0,
            packets: [0; LLT_PORTS as usize],
            total: 0,
            turn: None,
        }
    }

    /// Packets that wait.
    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// Packets that wait for one of `ports`.
    pub(super) fn of(&self, ports: u32) -> usize {
        bits(ports & self.filled).map(|port| self.packets[usize::from(port.get())]).sum()
    }

    pub(super) fn push(&mut self, port: LltPort, message: Message) {
        let index = usize::from(port.get());
        self.packets[index] += message.packets();
        self.total += message.packets();
        self.filled |= 1 << index;
        self.ports[index].push_back(message);
    }

    /// The next message to begin, none of the `busy` ports: those that have any take turns, and in
    /// its turn a port gets one message of `large` bytes or more, or up to five shorter ones.
    pub(super) fn next(&mut self, busy: u32, large: usize) -> Option<(LltPort, Message)> {
        let ready = self.filled & !busy;
        if ready == 0 {
            return None;
        }
        let is_short = |queue: &Self, port: LltPort| {
            let first = queue.ports[usize::from(port.get())].front();
            first.is_some_and(|message| message.payload.len() < large)
        };
        let (port, left) = match self.turn {
            Some((port, left))
                if left > 0 && ready >> port.get() & 1 == 1 && is_short(self, port) =>
            {
                (port, left - 1)
            }
            turn => {
                let after = turn.map_or(0, |(port, _)| u32::from(port.get()) + 1);
                let later = ready & u32::MAX.checked_shl(after).unwrap_or(0);
                let port = bits(if later == 0 { ready } else { later }).next()?;
                (port, if is_short(self, port) { SHORT_IN_A_TURN - 1 } else { 0 })
            }
        };
        self.turn = Some((port, left));
        let index = usize::from(port.get());
        let message = self.ports[index].pop_front()?;
        self.packets[index] -= message.packets();
        self.total -= message.packets();
        if self.ports[index].is_empty() {
            self.filled &= !(1 << index);
        }
        Some((port, message))
    }
}

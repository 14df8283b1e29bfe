//! The receiving half of a reliable stream: order, reassembly, and what to acknowledge.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::parts::Parts;
use super::rtt::ACK_DELAY;
use crate::ids::LltPort;
use crate::limits::SACK_RANGES_MAX;
use crate::time::{Duration, Instant};
use crate::wire::{AckRange, Data};

/// The receiving half of the stream from one peer, for one session.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// Everything up to this number has arrived.
    cumulative: u64,
    /// What arrived ahead of something missing; bounded by the window.
    ahead: BTreeMap<u64, Data>,
    /// Packets that come in parts.
    parts: Parts,
    /// A message whose fragments are coming in.
    assembly: Option<Assembly>,
    /// Packets since the last acknowledgement.
    unacked: usize,
    /// When they must be acknowledged, and since when the oldest waits.
    ack_at: Option<Instant>,
    newest_at: Instant,
    /// Acknowledge at the end of this turn.
    ack_now: bool,
    /// What is missing below this number at this instant is asked for.
    missing: Option<(Instant, u64)>,
    /// What to ask for in the next acknowledgement; 0 for nothing.
    missing_before: u64,
}

#[derive(Debug)]
struct Assembly {
    port: LltPort,
    len: usize,
    bytes: BytesMut,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Arrival {
    /// It is the next one.
    InOrder,
    /// Held until what is missing before it arrives.
    Ahead,
    /// Known already.
    Duplicate,
    /// In order, but not a continuation of what came before: the peer broke the format.
    Inconsistent,
    /// Beyond the window.
    OutOfWindow,
    /// A part of a packet that is not whole yet.
    Part,
}

impl Receiver {
    /// Packets that arrived ahead of something missing.
    pub(super) fn ahead(&self) -> usize {
        self.ahead.len()
    }

    /// Packets of which parts are missing.
    pub(super) fn in_parts(&self) -> usize {
        self.parts.len()
    }

    /// The cumulative acknowledgement.
    pub(super) fn cumulative(&self) -> u64 {
        self.cumulative
    }

    /// A packet arrived; `deliver` gets the messages that it completes.
    pub(super) fn on_data(
        &mut self,
        now: Instant,
        data: Data,
        window: usize,
        deliver: &mut dyn FnMut(LltPort, Bytes),
    ) -> Arrival {
        let number = data.number;
        if number <= self.cumulative || self.ahead.contains_key(&number) {
            // The acknowledgement was lost, or the packet was sent again too early.
            self.ack_now = true;
            return Arrival::Duplicate;
        }
        if number - self.cumulative > window as u64 {
            return Arrival::OutOfWindow;
        }
        let data = if data.offset == 0 && !data.more {
            data
        } else {
            match self.parts.add(data) {
                Some(whole) => whole,
                None => return Arrival::Part,
            }
        };
        self.unacked += 1;
        self.newest_at = now;
        self.ack_at.get_or_insert(now + ACK_DELAY);
        if number != self.cumulative + 1 {
            self.ahead.insert(number, data);
            self.ack_now = true;
            return Arrival::Ahead;
        }
        let mut consistent = self.take(data, deliver);
        while let Some(entry) = self.ahead.first_entry()
            && *entry.key() == self.cumulative + 1
        {
            let data = entry.remove();
            consistent &= self.take(data, deliver);
            self.ack_now = true;
        }
        if self.ahead.is_empty() {
            self.missing = None;
        }
        self.parts.forget_up_to(self.cumulative);
        if consistent { Arrival::InOrder } else { Arrival::Inconsistent }
    }

    /// Consumes the next packet in order; false if it does not fit what came before.
    fn take(&mut self, data: Data, deliver: &mut dyn FnMut(LltPort, Bytes)) -> bool {
        self.cumulative = data.number;
        let len = usize::try_from(data.message_len).expect("checked against MESSAGE_MAX");
        if data.first {
            let fits = self.assembly.take().is_none();
            if data.last {
                deliver(data.port, data.payload);
            } else {
                let mut bytes = BytesMut::with_capacity(len);
                bytes.extend_from_slice(&data.payload);
                self.assembly = Some(Assembly { port: data.port, len, bytes });
            }
            return fits;
        }
        let Some(mut assembly) = self.assembly.take() else { return false };
        let total = assembly.bytes.len() + data.payload.len();
        if assembly.port != data.port || assembly.len != len || total > len {
            return false;
        }
        assembly.bytes.extend_from_slice(&data.payload);
        if !data.last {
            self.assembly = Some(assembly);
            return true;
        }
        if total == len {
            deliver(assembly.port, assembly.bytes.freeze());
        }
        total == len
    }

    /// The cumulative acknowledgement has gone out on another frame; was it news?
    pub(super) fn on_piggyback(&mut self) -> bool {
        if self.unacked == 0 || !self.ahead.is_empty() || self.ack_now {
            return false;
        }
        self.unacked = 0;
        self.ack_at = None;
        true
    }

    /// Is an acknowledgement due at the end of this turn?
    pub(super) fn is_ack_due(&self, now: Instant, ackval: usize) -> bool {
        self.ack_now
            || self.missing_before != 0
            || self.unacked >= ackval.max(1)
            || self.ack_at.is_some_and(|at| now >= at)
    }

    /// What an acknowledgement says now: what is asked for, the delay, the ranges. It is taken as
    /// sent. `patience` is how long a packet may be missing before it is asked for.
    pub(super) fn take_ack(
        &mut self,
        now: Instant,
        patience: Duration,
    ) -> (u64, Duration, Vec<AckRange>) {
        let ranges = self.ranges();
        let delay = now.since(self.newest_at);
        let before = std::mem::take(&mut self.missing_before);
        self.unacked = 0;
        self.ack_at = None;
        self.ack_now = false;
        if self.missing.is_none() {
            self.watch(now, patience);
        }
        (before, delay, ranges)
    }

    /// Acknowledges at the end of this turn, whatever arrived.
    pub(super) fn acknowledge_soon(&mut self) {
        self.ack_now = true;
    }

    /// There is no link to acknowledge on: that waits for the first turn with one, and so does
    /// asking for what is missing.
    pub(super) fn defer_ack(&mut self) {
        self.ack_at = None;
        self.ack_now = true;
        self.missing = None;
    }

    fn ranges(&self) -> Vec<AckRange> {
        let mut ranges: Vec<AckRange> = Vec::new();
        for &number in self.ahead.keys() {
            if let Some(range) = ranges.last_mut()
                && range.last + 1 == number
            {
                range.last = number;
            } else if ranges.len() < SACK_RANGES_MAX {
                ranges.push(AckRange { first: number, last: number });
            } else {
                break;
            }
        }
        ranges
    }

    /// Starts to watch the holes that there are now.
    fn watch(&mut self, now: Instant, patience: Duration) {
        self.missing = self.ahead.last_key_value().map(|(&newest, _)| (now + patience, newest));
    }

    /// When to call [`Receiver::on_timer`].
    pub(super) fn deadline(&self) -> Option<Instant> {
        crate::time::earliest(self.ack_at, self.missing.map(|(at, _)| at))
    }

    /// Asks for what has been missing for longer than `patience`.
    pub(super) fn on_timer(&mut self, now: Instant, patience: Duration) {
        let Some((at, newest)) = self.missing else { return };
        if now >= at {
            if self.cumulative < newest {
                self.missing_before = newest;
            }
            self.watch(now, patience);
        }
    }
}

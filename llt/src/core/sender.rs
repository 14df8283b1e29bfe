//! The sending half of a reliable stream: the window, retransmission.

use std::collections::VecDeque;

use bytes::Bytes;

use super::queue::{Message, Queue};
use super::rtt::Rtt;
use crate::ids::{LinkId, LltPort};
use crate::time::{Duration, Instant, earliest};
use crate::wire::{AckRange, Data};

/// The sending half of the stream to one peer, for one session.
#[derive(Debug)]
pub(super) struct Sender {
    /// Messages that have not begun.
    queue: Queue,
    /// The message that is being cut up, how far, and its packets that are left.
    current: Option<(LltPort, Message, usize)>,
    current_packets: usize,
    /// The window was full, and is not half empty yet (`sws`).
    is_full: bool,
    /// Packets `first_unacked`, `first_unacked + 1`, ...
    in_flight: VecDeque<Packet>,
    first_unacked: u64,
    /// How many of `in_flight` are marked for sending again.
    marked: usize,
    /// When the oldest packet is taken for lost.
    rto_at: Option<Instant>,
    backoff: u32,
    /// The newest packet that is known to have arrived ahead of a missing one.
    newest_arrived: u64,
    /// When what is missing before that one is taken for lost.
    lost_at: Option<Instant>,
    rtt: Rtt,
    /// Ports, a bit each, whose sends were refused; `Writable` is owed.
    pub(super) refused: u32,
}

/// What new packets have to keep to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Packets in flight at most.
    pub(super) window: usize,
    /// Once the window was full, there is room when fewer than this are in flight; at least 1.
    pub(super) sws: usize,
    /// Ports, a bit each, for which nothing new may begin.
    pub(super) busy: u32,
    /// Messages of this length and more have a turn of their own.
    pub(super) large: usize,
    /// The longest time-out.
    pub(super) ceiling: Duration,
}

#[derive(Debug)]
struct Packet {
    data: Data,
    sent_at: Instant,
    link: LinkId,
    sends: u32,
    arrived: bool,
    again: bool,
}

/// Packets sent again when the time-out expires; the answer to them tells what else is missing.
const PROBES: usize = 4;

impl Sender {
    pub(super) fn new() -> Self {
        Self {
            queue: Queue::new(),
            current: None,
            current_packets: 0,
            is_full: false,
            in_flight: VecDeque::new(),
            first_unacked: 1,
            marked: 0,
            rto_at: None,
            backoff: 0,
            newest_arrived: 0,
            lost_at: None,
            rtt: Rtt::default(),
            refused: 0,
        }
    }

    /// Packets that wait or are in flight.
    pub(super) fn queued(&self) -> usize {
        self.queue.total() + self.current_packets + self.in_flight.len()
    }

    /// Packets in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// What counts against `port`'s limit: a busy port, for which nothing begins, has only its own
    /// packets and is not in the way of the others.
    pub(super) fn load(&self, port: LltPort, busy: u32) -> usize {
        let bit = 1 << port.get();
        if busy & bit != 0 { self.queue.of(bit) } else { self.queued() - self.queue.of(busy) }
    }

    /// The measured round trip.
    pub(super) fn srtt(&self) -> Option<Duration> {
        self.rtt.srtt()
    }

    /// Queues a message, to be cut into fragments of `fragment` bytes.
    pub(super) fn push(&mut self, port: LltPort, payload: Bytes, fragment: usize) {
        self.queue.push(port, Message { payload, fragment });
    }

    /// The length of the payload that `next_packet` will give, if there is any that may go now.
    pub(super) fn prepare(&mut self, rules: &Rules) -> Option<usize> {
        if self.marked > 0 {
            let packet = self.in_flight.iter().find(|packet| packet.again);
            return packet.map(|packet| packet.data.payload.len());
        }
        let in_flight = self.in_flight.len();
        self.is_full = in_flight >= rules.window || (self.is_full && in_flight >= rules.sws);
        if self.is_full {
            return None;
        }
        if self.current.is_none() {
            let (port, message) = self.queue.next(rules.busy, rules.large)?;
            self.current_packets = message.packets();
            self.current = Some((port, message, 0));
        }
        let (_, message, offset) = self.current.as_ref()?;
        Some(message.fragment.min(message.payload.len() - offset))
    }

    /// The packet that `prepare` found, marked as sent on `link`, and whether it was sent before.
    pub(super) fn next_packet(
        &mut self,
        now: Instant,
        link: LinkId,
        ceiling: Duration,
    ) -> Option<(Data, bool)> {
        let packet = if self.marked > 0 {
            self.marked -= 1;
            let packet = self.in_flight.iter_mut().find(|packet| packet.again);
            packet.expect("`marked` counts the marks")
        } else {
            let data = self.next_new()?;
            self.in_flight.push_back(Packet {
                data,
                sent_at: now,
                link,
                sends: 0,
                arrived: false,
                again: false,
            });
            self.in_flight.back_mut().expect("pushed above")
        };
        packet.again = false;
        packet.sends = packet.sends.saturating_add(1);
        packet.sent_at = now;
        packet.link = link;
        let sent = (packet.data.clone(), packet.sends > 1);
        if self.rto_at.is_none() {
            self.rto_at = Some(now + self.rtt.rto(self.backoff, ceiling));
        }
        Some(sent)
    }

    fn next_new(&mut self) -> Option<Data> {
        let (port, message, offset) = self.current.take()?;
        let len = message.payload.len();
        let end = (offset + message.fragment).min(len);
        let data = Data {
            number: self.first_unacked + self.in_flight.len() as u64,
            port,
            first: offset == 0,
            last: end == len,
            message_len: u32::try_from(len).expect("messages are bounded by MESSAGE_MAX"),
            offset: 0,
            more: false,
            payload: message.payload.slice(offset..end),
        };
        self.current_packets -= 1;
        if end < len {
            self.current = Some((port, message, end));
        }
        Some(data)
    }

    /// Everything up to `ack` has arrived. `None` if so much was never sent, else whether this is
    /// news.
    pub(super) fn on_ack(
        &mut self,
        now: Instant,
        ack: u64,
        delay: Duration,
        ceiling: Duration,
    ) -> Option<bool> {
        if ack >= self.first_unacked + self.in_flight.len() as u64 {
            return None;
        }
        if ack < self.first_unacked {
            return Some(false);
        }
        let mut newest = None;
        while self.first_unacked <= ack
            && let Some(packet) = self.in_flight.pop_front()
        {
            self.first_unacked += 1;
            if packet.again {
                self.marked -= 1;
            }
            newest = (packet.sends == 1 && !packet.arrived).then_some(packet.sent_at);
        }
        // Karn: a packet that was sent twice measures nothing.
        if let Some(sent_at) = newest {
            self.rtt.sample(now.since(sent_at).saturating_sub(delay));
        }
        self.backoff = 0;
        self.rto_at = (!self.in_flight.is_empty()).then(|| now + self.rtt.rto(0, ceiling));
        Some(true)
    }

    /// These have arrived too, ahead of something missing. What is missing is taken for lost as
    /// soon as it is older than a round trip: another link may only have been slower.
    pub(super) fn on_ranges(
        &mut self,
        now: Instant,
        ranges: impl Iterator<Item = AckRange>,
        ceiling: Duration,
    ) {
        for range in ranges {
            let (skip, take) = self.clip(range.first, range.last.saturating_add(1));
            for packet in self.in_flight.iter_mut().skip(skip).take(take) {
                packet.arrived = true;
                if packet.again {
                    packet.again = false;
                    self.marked -= 1;
                }
                self.newest_arrived = self.newest_arrived.max(packet.data.number);
            }
        }
        self.find_lost(now, ceiling);
    }

    /// Marks what is missing before the newest arrived packet and older than a round trip.
    fn find_lost(&mut self, now: Instant, ceiling: Duration) {
        self.lost_at = None;
        let (_, take) = self.clip(self.first_unacked, self.newest_arrived);
        let patience = self.rtt.loss(ceiling);
        for packet in self.in_flight.iter_mut().take(take) {
            if packet.arrived || packet.again {
                continue;
            }
            let at = packet.sent_at + patience;
            if now >= at {
                packet.again = true;
                self.marked += 1;
            } else {
                self.lost_at = earliest(self.lost_at, Some(at));
            }
        }
    }

    /// The peer asks for everything below `before` that it has not reported. Packets that were
    /// sent less than a round trip ago may simply not have been there yet.
    pub(super) fn on_missing(&mut self, now: Instant, before: u64) {
        let young = self.rtt.srtt().unwrap_or(Duration::from_millis(1));
        let (_, take) = self.clip(self.first_unacked, before);
        for packet in self.in_flight.iter_mut().take(take) {
            if !packet.arrived && !packet.again && now.since(packet.sent_at) >= young {
                packet.again = true;
                self.marked += 1;
            }
        }
    }

    /// A link is in trouble, or takes no payloads of `least` bytes and more: what was last sent on
    /// it goes out again at once, elsewhere or in parts.
    pub(super) fn on_link_lost(&mut self, link: LinkId, least: usize) {
        for packet in &mut self.in_flight {
            let is_lost = packet.link == link && packet.data.payload.len() >= least;
            if is_lost && !packet.arrived && !packet.again {
                packet.again = true;
                self.marked += 1;
            }
        }
    }

    /// When to call [`Sender::on_timer`].
    pub(super) fn deadline(&self) -> Option<Instant> {
        earliest(self.rto_at, self.lost_at)
    }

    /// Takes the first few packets for lost if the time-out has expired. With no link to send on
    /// the clock stands; the next packet sent starts it again.
    pub(super) fn on_timer(&mut self, now: Instant, has_link: bool, ceiling: Duration) {
        if self.lost_at.is_some_and(|at| now >= at) {
            self.find_lost(now, ceiling);
        }
        if self.rto_at.is_none_or(|at| now < at) {
            return;
        }
        if let Some(oldest) = self.in_flight.front_mut() {
            // An honest peer cannot have reported it and not acknowledged it.
            oldest.arrived = false;
        }
        let lost = self.in_flight.iter_mut().filter(|packet| !packet.arrived).take(PROBES);
        for packet in lost.filter(|packet| !packet.again) {
            packet.again = true;
            self.marked += 1;
        }
        self.backoff += 1;
        self.rto_at = (has_link && !self.in_flight.is_empty())
            .then(|| now + self.rtt.rto(self.backoff, ceiling));
    }

    /// Indices of the packets `first..end` in `in_flight`, as how many to skip and to take.
    fn clip(&self, first: u64, end: u64) -> (usize, usize) {
        let index = |number: u64| {
            let distance = number.saturating_sub(self.first_unacked);
            usize::try_from(distance).unwrap_or(usize::MAX).min(self.in_flight.len())
        };
        (index(first), index(end).saturating_sub(index(first)))
    }
}

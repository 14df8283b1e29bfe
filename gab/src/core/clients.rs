//! The clients of this node: their queues of events and their room to send.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use llt::{Duration, Instant};

use super::{ClientId, Policy};
use crate::event::{ClientEvent, CloseReason, OpenOptions, PortEvent};
use crate::ids::PortName;
use crate::limits::{
    Bounded, CLIENTS_MAX, RECEIVE_QUEUE_BYTES, RECEIVE_QUEUE_MESSAGES, SEND_QUEUE_BYTES,
    WINDOW_BYTES, WINDOW_SLOTS,
};

/// One registration.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Client {
    pub(crate) port: PortName,
    pub(crate) options: OpenOptions,
    /// Messages that may wait in its queues, as `-Q` was when it registered: what it was granted
    /// then cannot be taken back.
    receive_queue: usize,
    send_queue: usize,
    /// It has been told a view: it may send and is sent to.
    pub(crate) attached: bool,
    events: VecDeque<PortEvent>,
    /// What they count in its queue, a pack as many as it has messages, and bytes of messages.
    event_count: usize,
    event_bytes: usize,
    /// Generation of the last view handed over, and whether it was acknowledged (precise rule 7).
    handed_view: u64,
    acked: bool,
    /// Accepted and not yet settled.
    sending: usize,
    sending_bytes: usize,
    /// Since when it is behind without reading anything.
    stalled_since: Option<Instant>,
    closed: bool,
}

/// All registrations, by the driver's numbers.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Clients {
    pub(crate) by_id: BTreeMap<ClientId, Client>,
    /// Those that have something new, in order, each once.
    woken: Vec<ClientId>,
}

/// Above this length small payloads are copied out of the frames that they arrived in: a slow
/// client must not keep whole frames alive for the few bytes that are its own.
const BACKLOG_COPY: usize = 64;
const COPY_BYTES_MAX: usize = 4096;

impl Client {
    pub(crate) fn new(port: PortName, options: OpenOptions, policy: &Policy) -> Self {
        Self {
            port,
            options,
            receive_queue: policy.receive_queue,
            send_queue: policy.send_queue,
            attached: false,
            events: VecDeque::new(),
            event_count: 0,
            event_bytes: 0,
            handed_view: 0,
            acked: true,
            sending: 0,
            sending_bytes: 0,
            stalled_since: None,
            closed: false,
        }
    }

    /// Messages and bytes that it may still send.
    pub(crate) fn room(&self) -> (usize, usize) {
        if self.closed {
            return (0, 0);
        }
        let (messages, bytes) = self.whole_room();
        (messages.saturating_sub(self.sending), bytes.saturating_sub(self.sending_bytes))
    }

    /// Its room when nothing of it is under way.
    pub(crate) fn whole_room(&self) -> (usize, usize) {
        (self.send_queue, SEND_QUEUE_BYTES)
    }

    /// Is nothing of it under way?
    pub(crate) fn is_settled(&self) -> bool {
        !self.closed && self.sending == 0 && self.sending_bytes == 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// That it does not read is known: it counts from now on.
    pub(super) fn excuse(&mut self, now: Instant) {
        if let Some(since) = &mut self.stalled_since {
            *since = now;
        }
    }

    /// Half of its receive queue is full: its port is busy.
    pub(crate) fn is_behind(&self) -> bool {
        !self.closed
            && (self.event_count >= (self.receive_queue / 2).max(1)
                || self.event_bytes >= RECEIVE_QUEUE_BYTES / 2)
    }

    /// May a point-to-point message still be queued? Broadcasts have their own bound, the window.
    pub(crate) fn has_receive_room(&self) -> bool {
        self.event_count < self.receive_queue && self.event_bytes < RECEIVE_QUEUE_BYTES
    }

    /// Accepts so many messages, of so many bytes together.
    pub(crate) fn note_sending(&mut self, messages: usize, bytes: usize) {
        self.sending += messages;
        self.sending_bytes += bytes;
    }

    fn next_is_gated(&self) -> bool {
        let view = |event: &PortEvent| matches!(event, PortEvent::One(ClientEvent::View(_)));
        let next_view = self.events.front().is_some_and(view);
        next_view && self.options.ack && !self.acked
    }
}

impl Clients {
    /// Events of a client beside its messages are memberships, of which there are as many as view
    /// changes while it does not read; it is closed for that.
    pub(super) fn bounded(&self) -> [Bounded; 4] {
        let clients = || self.by_id.values();
        let window = usize::try_from(WINDOW_SLOTS).unwrap_or(usize::MAX);
        let events = clients().map(|client| client.event_count).max().unwrap_or(0);
        let bytes = clients().map(|client| client.event_bytes).max().unwrap_or(0);
        [
            Bounded::new("clients", self.by_id.len(), CLIENTS_MAX),
            Bounded::new("clients to wake", self.woken.len(), CLIENTS_MAX),
            Bounded::new("events of a client", events, 2 * RECEIVE_QUEUE_MESSAGES + window),
            Bounded::new("bytes for a client", bytes, RECEIVE_QUEUE_BYTES + 2 * WINDOW_BYTES),
        ]
    }

    pub(crate) fn get(&self, id: ClientId) -> Option<&Client> {
        self.by_id.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.by_id.get_mut(&id)
    }

    /// Queues an event for a client.
    pub(crate) fn push(&mut self, now: Instant, id: ClientId, event: impl Into<PortEvent>) {
        let Some(client) = self.by_id.get_mut(&id) else { return };
        if client.closed {
            return;
        }
        let mut event = event.into();
        if client.events.len() > BACKLOG_COPY {
            match &mut event {
                PortEvent::One(ClientEvent::Deliver(delivery))
                    if delivery.payload.len() < COPY_BYTES_MAX =>
                {
                    delivery.payload = Bytes::copy_from_slice(&delivery.payload);
                }
                PortEvent::Pack(pack) if pack.messages.bytes().len() < COPY_BYTES_MAX => {
                    pack.messages = pack.messages.in_own_memory();
                }
                PortEvent::One(_) | PortEvent::Pack(_) => {}
            }
        }
        let (count, bytes) = event.cost();
        client.event_count += count;
        client.event_bytes += bytes;
        client.closed = matches!(event, PortEvent::One(ClientEvent::Closed(_)));
        if client.closed {
            // It paces nobody any more.
            client.stalled_since = None;
        }
        let was_idle = client.events.is_empty() || client.next_is_gated();
        client.events.push_back(event);
        if client.is_behind() && client.stalled_since.is_none() {
            client.stalled_since = Some(now);
        }
        if was_idle {
            self.wake(id);
        }
    }

    /// Ends a client at once: what it did not read is dropped for the one event that says so.
    pub(crate) fn close_now(&mut self, id: ClientId, reason: CloseReason) {
        let Some(client) = self.by_id.get_mut(&id) else { return };
        client.events.clear();
        client.event_count = 1;
        client.event_bytes = 0;
        client.stalled_since = None;
        client.closed = true;
        client.events.push_back(ClientEvent::Closed(reason).into());
        self.wake(id);
    }

    /// The client's next event. After `Closed` the client is gone.
    pub(crate) fn poll(&mut self, now: Instant, id: ClientId) -> Option<PortEvent> {
        let client = self.by_id.get_mut(&id)?;
        if client.next_is_gated() && !client.closed {
            return None;
        }
        let event = client.events.pop_front()?;
        let (count, bytes) = event.cost();
        client.event_count -= count;
        client.event_bytes -= bytes;
        match &event {
            PortEvent::One(ClientEvent::View(view)) => {
                client.handed_view = view.generation;
                client.acked = false;
            }
            PortEvent::One(ClientEvent::Closed(_)) => {
                self.by_id.remove(&id);
                return Some(event);
            }
            PortEvent::One(ClientEvent::Deliver(_) | ClientEvent::Status(_))
            | PortEvent::Pack(_) => {}
        }
        client.stalled_since = if client.is_behind() { Some(now) } else { None };
        Some(event)
    }

    /// The client has recovered from a view; `false` if that is not the one it was handed last.
    pub(crate) fn ack_view(&mut self, id: ClientId, generation: u64) -> bool {
        let Some(client) = self.by_id.get_mut(&id) else { return false };
        if client.handed_view != generation {
            return false;
        }
        client.acked = true;
        if !client.events.is_empty() {
            self.wake(id);
        }
        true
    }

    /// Messages of a client are out of its send queue.
    pub(crate) fn settle(&mut self, id: ClientId, messages: usize, bytes: usize) {
        let Some(client) = self.by_id.get_mut(&id) else { return };
        let before = (client.sending, client.sending_bytes);
        client.sending = client.sending.saturating_sub(messages);
        client.sending_bytes = client.sending_bytes.saturating_sub(bytes);
        // Half empty: worth a wake-up. Each single message would not be.
        let passes = |half: usize, before: usize, after: usize| before > half && after <= half;
        if client.sending == 0
            || passes(client.send_queue / 2, before.0, client.sending)
            || passes(SEND_QUEUE_BYTES / 2, before.1, client.sending_bytes)
        {
            self.wake(id);
        }
    }

    /// Clients that have not read for `limit` although their queue is half full.
    pub(crate) fn stalled(&self, now: Instant, limit: Duration) -> Vec<ClientId> {
        let late = |client: &Client| client.stalled_since.is_some_and(|since| now >= since + limit);
        self.by_id.iter().filter(|(_, client)| late(client)).map(|(&id, _)| id).collect()
    }

    /// We slept for so long: nobody could read meanwhile.
    pub(crate) fn excuse(&mut self, now: Instant, late: Duration) {
        for since in self.by_id.values_mut().filter_map(|client| client.stalled_since.as_mut()) {
            *since = now.min(*since + late);
        }
    }

    /// When [`Clients::stalled`] may have somebody.
    pub(crate) fn next_deadline(&self, limit: Duration) -> Option<Instant> {
        self.by_id
            .values()
            .filter_map(|client| client.stalled_since)
            .min()
            .map(|since| since + limit)
    }

    pub(crate) fn wake(&mut self, id: ClientId) {
        if !self.woken.contains(&id) {
            self.woken.push(id);
        }
    }

    /// Who has something new since the last call.
    pub(crate) fn take_woken(&mut self) -> Vec<ClientId> {
        std::mem::take(&mut self.woken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ClientId = ClientId(1);

    fn clients(receive_queue: usize, send_queue: usize) -> Clients {
        let policy = Policy { receive_queue, send_queue, ..Policy::default() };
        let port = PortName::new('A').unwrap();
        let client = Client::new(port, OpenOptions::default(), &policy);
        Clients { by_id: [(ID, client)].into_iter().collect(), woken: Vec::new() }
    }

    #[test]
    fn a_send_queue_of_any_length_wakes_its_client() {
        for limit in [1, 2, 3, 4096] {
            let mut clients = clients(4096, limit);
            for sent in 0..limit {
                let client = clients.get_mut(ID).unwrap();
                assert_eq!(client.room().0, limit - sent);
                client.note_sending(1, 10);
            }
            assert_eq!(clients.get(ID).unwrap().room().0, 0, "{limit}");
            for _ in 0..limit.div_ceil(2) {
                assert!(clients.take_woken().is_empty(), "{limit}: too early");
                clients.settle(ID, 1, 10);
            }
            assert_eq!(clients.take_woken(), [ID], "{limit}");
            for _ in 0..limit / 2 {
                assert!(!clients.get(ID).unwrap().is_settled());
                clients.settle(ID, 1, 10);
            }
            assert!(clients.get(ID).unwrap().is_settled(), "{limit}");
        }
    }

    #[test]
    fn a_receive_queue_of_any_length_starts_as_not_behind() {
        for (limit, behind) in [(1, 1), (2, 1), (3, 1), (4, 2), (4096, 2048)] {
            let mut clients = clients(limit, 4096);
            for _ in 0..behind {
                assert!(!clients.get(ID).unwrap().is_behind(), "{limit}");
                let view = crate::event::PortView {
                    generation: 1,
                    members: llt::NodeSet::EMPTY,
                    joined: llt::NodeSet::EMPTY,
                    left: llt::NodeSet::EMPTY,
                    jeopardy: llt::NodeSet::EMPTY,
                    visible: llt::NodeSet::EMPTY,
                };
                clients.push(Instant::ZERO, ID, ClientEvent::Status(view));
            }
            let client = clients.get(ID).unwrap();
            assert!(client.is_behind(), "{limit}");
            assert_eq!(client.has_receive_room(), behind < limit, "{limit}");
        }
    }
}

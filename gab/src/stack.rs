//! LLT and GAB together, as one pure state machine. gabd and the simulator run exactly this.

mod listing;
mod ports;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use llt::core::{Event, LinkChange, SendError as LltError};
use llt::time::earliest;
use llt::{Duration, Id, Instant, LinkAddr, LinkId, Llt, LltPort, NodeId, NodeSet};

use crate::core::{
    ArbiterReply, ArbiterRequest, ClientSignal, Configuration, Gab, GabConfig, GabOutput,
    HaltCause, Notice, Standing, Transport,
};
use crate::event::{CloseReason, Level, OpenError, OpenOptions, PortEvent, SendError};
use crate::ids::PortName;
use crate::limits::{BLOCKED_BYTES, BLOCKED_MESSAGE_COST, Bounded};
use crate::pack::Pack;
use crate::snapshot::Snapshot;

pub use crate::core::ClientId;
#[cfg(feature = "daemon")]
pub(crate) use listing::refused_cause;
use ports::Ports;

/// One node's LLT and GAB.
#[derive(Debug)]
pub struct Stack {
    llt: Llt,
    gab: Gab,
    /// Messages that LLT had no room for, by peer, until it says that it has.
    blocked: BTreeMap<Id, Blocked>,
    /// The LLT ports besides GAB's.
    ports: Ports,
    /// The instant of the turn.
    now: Instant,
    /// GAB has to be told that time has passed.
    timer_due: bool,
}

/// One thing for the driver to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    /// Ask the arbiter; the answer goes to [`Stack::handle_arbiter`].
    Arbiter(ArbiterRequest),
    /// Ask this client for a sign of life; whatever it says goes to [`Stack::heard`].
    AskBeat(ClientId),
    /// This client has events to fetch with [`Stack::poll_client`], or room to send again.
    Client(ClientId),
    /// This node was thrown out (precise rule 11): every client has a `Closed` event waiting. Drop
    /// this stack and build one with a new incarnation, or halt if `halt`.
    Ejected {
        /// A kernel-type client was registered.
        halt: bool,
    },
    /// This node must not go on: every client has a `Closed` event waiting. Say LLT's goodbye
    /// ([`Stack::bye`]), so that nobody waits for it, and stop.
    Halt {
        /// Why.
        cause: HaltCause,
        /// The port that it is about.
        port: PortName,
    },
    /// The clean leave is done: nobody waits for this node any more.
    Left,
    /// Something arrived on an LLT port that is not GAB's: for its client, if it has one.
    Llt {
        /// Its sender; this node itself, too.
        from: Id,
        /// The LLT port.
        port: LltPort,
        /// Sent as a datagram; else reliably.
        datagram: bool,
        /// The bytes.
        payload: Bytes,
    },
    /// An [`Stack::llt_send`] to this node that was refused with `WouldBlock` may be repeated.
    LltWritable(NodeId),
    /// Something an administrator may want to read.
    Notice(Notice),
    /// Send a signal to the process of this client. With `Kill` its registration is over, and
    /// [`Stack::gone`] must be called when the process is gone.
    Signal(ClientId, ClientSignal),
    /// Put a frame on a wire.
    Transmit(llt::core::Transmit),
}

/// Messages to one peer that LLT had no room for.
#[derive(Debug, Default)]
struct Blocked {
    messages: VecDeque<Bytes>,
    /// Their bytes, and what they cost besides.
    bytes: usize,
}

/// What a [`Stack`] is built from.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// LLT's part.
    pub llt: llt::Config,
    /// GAB's part.
    pub gab: GabConfig,
}

impl Stack {
    /// A node at `now`; `seed` feeds every generator in it.
    pub fn new(now: Instant, config: StackConfig, seed: u64) -> Self {
        let id = config.llt.id();
        let llt = Llt::new(now, config.llt, seed);
        let transport =
            Transport { datagram_max: llt.datagram_max(), has_broadcast: llt.has_broadcast() };
        let gab = Gab::new(now, id, config.gab, transport, seed);
        let (blocked, ports) = (BTreeMap::new(), Ports::default());
        Self { llt, gab, blocked, ports, now, timer_due: false }
    }

    /// A frame arrived.
    pub fn handle_frame(&mut self, now: Instant, link: LinkId, from: LinkAddr, frame: Bytes) {
        self.now = self.now.max(now);
        self.llt.handle_frame(now, link, from, frame);
    }

    /// A link itself changed.
    pub fn handle_link(&mut self, now: Instant, link: LinkId, change: LinkChange) {
        self.now = self.now.max(now);
        self.llt.handle_link(now, link, change);
    }

    /// Time has passed. GAB judges by it only after it has heard what LLT says first: who is there,
    /// and whether it was we who slept.
    pub fn handle_timer(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.llt.handle_timer(now);
        self.timer_due = true;
    }

    /// The arbiter answers.
    pub fn handle_arbiter(&mut self, now: Instant, reply: ArbiterReply) {
        self.now = self.now.max(now);
        self.gab.handle_arbiter(now, reply);
    }

    /// `gabconfig -c`: allows registrations and joining; what is `None` stays.
    pub fn configure(&mut self, now: Instant, change: Configuration) {
        self.now = self.now.max(now);
        self.gab.configure(now, change);
    }

    /// `gabconfig -x`: seeds with whoever is visible now.
    pub fn seed(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.gab.seed(now);
    }

    /// The daemon is to end, and waits for clients before it leaves: nobody registers any more, and
    /// none is watched.
    pub fn prepare_leave(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.gab.prepare_leave(now);
    }

    /// `gabconfig -U` or the daemon's end: leaves the membership in order, then [`Output::Left`].
    /// LLT goes on. This life of the node is over for GAB: to join again takes a new stack.
    pub fn leave(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.gab.leave(now);
    }

    /// Announces LLT's end to every peer.
    pub fn bye(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.llt.leave(now);
    }

    /// Registers `client`, a number of the driver's choice that is not in use.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing was changed.
    pub fn open(
        &mut self,
        now: Instant,
        client: ClientId,
        port: PortName,
        options: OpenOptions,
    ) -> Result<(), OpenError> {
        self.now = self.now.max(now);
        self.gab.open(now, client, port, options)
    }

    /// Closes a registration in order: all that it sent before is ordered first. The client's
    /// number is free again at once.
    pub fn close(&mut self, now: Instant, client: ClientId) {
        self.now = self.now.max(now);
        self.gab.close(now, client);
    }

    /// The client is gone without having closed its registration: it ends as with
    /// [`Stack::close`], and what the policy says of that happens.
    pub fn died(&mut self, now: Instant, client: ClientId) {
        self.now = self.now.max(now);
        self.gab.died(now, client);
    }

    /// The client said something: a sign of life. `answer`: it answers [`Output::AskBeat`].
    pub fn heard(&mut self, now: Instant, client: ClientId, answer: bool) {
        self.now = self.now.max(now);
        self.gab.heard(now, client, answer);
    }

    /// The client cannot be served any longer: its registration ends, or its process (see
    /// [`Gab::expel`]).
    pub fn expel(&mut self, now: Instant, client: ClientId, reason: CloseReason) {
        self.now = self.now.max(now);
        self.gab.expel(now, client, reason);
    }

    /// The process of a client is gone (see [`Gab::gone`]).
    pub fn gone(&mut self, now: Instant, client: ClientId) {
        self.now = self.now.max(now);
        self.gab.gone(now, client);
    }

    /// Broadcasts to every member of the client's port.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was changed.
    pub fn broadcast(
        &mut self,
        now: Instant,
        client: ClientId,
        level: Level,
        payload: Bytes,
    ) -> Result<(), SendError> {
        self.now = self.now.max(now);
        self.gab.broadcast(now, client, level, payload)
    }

    /// Broadcasts many messages as one; see [`Gab::broadcast_pack`].
    ///
    /// # Errors
    /// See [`SendError`]; nothing was changed.
    pub fn broadcast_pack(
        &mut self,
        now: Instant,
        client: ClientId,
        level: Level,
        pack: Pack,
    ) -> Result<(), SendError> {
        self.now = self.now.max(now);
        self.gab.broadcast_pack(now, client, level, pack)
    }

    /// Sends to the client's port on `node`, reliably and in order.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was changed.
    pub fn send_to(
        &mut self,
        now: Instant,
        client: ClientId,
        node: NodeId,
        payload: Bytes,
    ) -> Result<(), SendError> {
        self.now = self.now.max(now);
        self.gab.send_to(now, client, node, payload)
    }

    /// The client has recovered from the view of this generation; `false` if that is not the one
    /// it was told last.
    pub fn ack_view(&mut self, now: Instant, client: ClientId, generation: u64) -> bool {
        self.now = self.now.max(now);
        self.gab.ack_view(now, client, generation)
    }

    /// The client's next event, or a pack of them, if any. After `Closed` the client's number is free.
    pub fn poll_client(&mut self, now: Instant, client: ClientId) -> Option<PortEvent> {
        self.now = self.now.max(now);
        self.gab.poll_client(now, client)
    }

    /// How much the client may still send: messages, bytes.
    pub fn send_room(&self, client: ClientId) -> (usize, usize) {
        self.gab.send_room(client)
    }

    /// See [`Gab::set_heartbeat`].
    pub fn set_heartbeat(
        &mut self,
        now: Instant,
        port: PortName,
        time: Option<Duration>,
    ) -> Option<Duration> {
        self.now = self.now.max(now);
        self.gab.set_heartbeat(now, port, time)
    }

    /// What [`Stack::send_room`] is when nothing of the client is under way.
    pub fn whole_send_room(&self, client: ClientId) -> (usize, usize) {
        self.gab.whole_send_room(client)
    }

    /// Is the client registered, and nothing of it under way?
    pub fn is_settled(&self, client: ClientId) -> bool {
        self.gab.is_settled(client)
    }

    /// Did GAB close the client, or never open it?
    pub fn is_closed(&self, client: ClientId) -> bool {
        self.gab.is_closed(client)
    }

    /// The next thing to do, or `None` when there is nothing until the next input.
    ///
    /// What LLT has received goes up first, what GAB makes of it goes down, and only when both
    /// have nothing more does the turn end: acknowledgements and deliveries coalesce by themselves.
    pub fn poll_output(&mut self) -> Option<Output> {
        loop {
            if let Some(output) = self.ports.outputs.pop_front() {
                return Some(output);
            }
            match self.llt.poll_output() {
                Some(llt::core::Output::Transmit(transmit)) => {
                    return Some(Output::Transmit(transmit));
                }
                Some(llt::core::Output::Event(event)) => {
                    if let Some(output) = self.pass_up(event) {
                        return Some(output);
                    }
                }
                None if std::mem::take(&mut self.timer_due) => self.gab.handle_timer(self.now),
                None => {
                    let output = self.gab.poll_output()?;
                    if let Some(output) = self.pass_down(output) {
                        return Some(output);
                    }
                }
            }
        }
    }

    /// LLT tells GAB, the client of an LLT port, or the log.
    fn pass_up(&mut self, event: Event) -> Option<Output> {
        let now = self.now;
        match event {
            Event::Message { from, port: LltPort::GAB, payload }
            | Event::Datagram { from, port: LltPort::GAB, payload } => {
                self.gab.handle_message(now, from, payload);
                return None;
            }
            Event::Message { from, port, payload } => {
                return self.on_port(now, from, port, false, payload);
            }
            Event::Datagram { from, port, payload } => {
                return self.on_port(now, from, port, true, payload);
            }
            Event::Hole { from, .. } => {
                self.gab.handle_hole(now, from);
                return None;
            }
            Event::Writable { peer } => {
                self.unblock(now, peer);
                self.on_writable(now, peer);
                return None;
            }
            Event::PeerUp { peer, links_up } => {
                self.ports.on_peer_up(peer);
                self.gab.handle_peer_up(now, peer, links_up);
            }
            Event::PeerDown { peer, reason } => {
                self.blocked.remove(&peer);
                self.ports.on_peer_down(peer);
                self.gab.handle_peer_down(now, peer, reason);
            }
            Event::Link { peer, links_up, silent_ms, .. } => {
                let silence = Duration::from_millis(silent_ms);
                self.gab.handle_links(now, peer, links_up, silence);
            }
            Event::Late { late_ms } => self.gab.handle_late(now, Duration::from_millis(late_ms)),
            Event::AddressChanged { .. }
            | Event::Delayed { .. }
            | Event::Lost { .. }
            | Event::Duplicate { .. }
            | Event::Note { .. }
            | Event::Refused { .. }
            | Event::Requested { .. }
            | Event::Silent { .. } => {}
        }
        Some(Output::Notice(Notice::Llt(event)))
    }

    /// GAB tells LLT, or the driver.
    fn pass_down(&mut self, output: GabOutput) -> Option<Output> {
        let now = self.now;
        Some(match output {
            GabOutput::Send(to, payload) => {
                self.send(now, to, payload);
                return None;
            }
            GabOutput::Datagram(to, payload) => {
                let sent = self.llt.datagram(now, LltPort::GAB, to, payload);
                self.judge_sent(sent);
                return None;
            }
            GabOutput::Broadcast(payload) => {
                let sent = self.llt.broadcast(now, LltPort::GAB, payload);
                self.judge_sent(sent);
                return None;
            }
            GabOutput::Arbiter(request) => Output::Arbiter(request),
            GabOutput::AskBeat(client) => Output::AskBeat(client),
            GabOutput::Client(client) => Output::Client(client),
            GabOutput::Ejected { halt } => Output::Ejected { halt },
            GabOutput::Halt { cause, port } => Output::Halt { cause, port },
            GabOutput::Left => Output::Left,
            GabOutput::Notice(notice) => Output::Notice(notice),
            GabOutput::Signal(client, signal) => Output::Signal(client, signal),
        })
    }

    fn send(&mut self, now: Instant, to: Id, payload: Bytes) {
        if !self.blocked.contains_key(&to) {
            let sent = self.llt.send(now, LltPort::GAB, to, payload.clone());
            if sent != Err(LltError::WouldBlock) {
                return self.judge_sent(sent);
            }
        }
        let blocked = self.blocked.entry(to).or_default();
        blocked.bytes += payload.len() + BLOCKED_MESSAGE_COST;
        blocked.messages.push_back(payload);
        if blocked.bytes > BLOCKED_BYTES {
            // Nothing may be left out of what is reliable, so it ends; the peer is told.
            self.blocked.remove(&to);
            self.llt.reset(now, to);
        }
    }

    /// GAB is told of peers that are gone by LLT itself, and does without datagrams that LLT has no
    /// room for. What can be sent to nobody it must not have made.
    fn judge_sent(&mut self, sent: Result<(), LltError>) {
        match sent {
            Ok(()) | Err(LltError::NotConnected | LltError::WouldBlock) => {}
            Err(LltError::TooLarge { .. }) => self.gab.alarm("a message is too large for LLT"),
        }
    }

    fn unblock(&mut self, now: Instant, to: Id) {
        let Some(mut blocked) = self.blocked.remove(&to) else { return };
        while let Some(payload) = blocked.messages.pop_front() {
            let sent = self.llt.send(now, LltPort::GAB, to, payload.clone());
            if sent == Err(LltError::WouldBlock) {
                blocked.messages.push_front(payload);
                self.blocked.insert(to, blocked);
                return;
            }
            blocked.bytes -= payload.len() + BLOCKED_MESSAGE_COST;
            self.judge_sent(sent);
        }
    }

    /// The most bytes that wait for one peer until LLT has room.
    fn blocked_bytes(&self) -> usize {
        self.blocked.values().map(|blocked| blocked.bytes).max().unwrap_or(0)
    }

    /// Everything in this node that could grow, and how much of it there may be.
    pub fn bounded(&self) -> Vec<Bounded> {
        let mut all = self.llt.bounded();
        all.extend(self.gab.bounded());
        all.push(Bounded::new("bytes to one peer", self.blocked_bytes(), BLOCKED_BYTES));
        all.push(self.ports.bounded());
        all
    }

    /// When [`Stack::handle_timer`] wants to be called, at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        earliest(self.llt.next_deadline(), self.gab.next_deadline())
    }

    /// This node's identity.
    pub fn id(&self) -> Id {
        self.llt.config().id()
    }

    /// What listings show; names, tags and devices are the daemon's to fill in.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { llt: self.llt_snapshot(), gab: self.gab.snapshot() }
    }

    /// Nodes that are connected.
    pub fn connected(&self) -> NodeSet {
        self.llt.peers().into_iter().filter(|peer| peer.connected).map(|peer| peer.node).collect()
    }

    /// This node's standing on a port, at `now` (see [`Gab::standing`]).
    pub fn standing(&self, now: Instant, port: PortName) -> Option<Standing> {
        self.gab.standing(now, port, |peer| self.llt.proven(peer))
    }

    /// How long a lease lasts from [`Standing::since`] on: half of the time after which others give up a
    /// node that they do not hear, or that holds up a view, whichever is shorter. What disks were told
    /// before the end of the lease they have done in the other half.
    pub fn lease_length(&self) -> Duration {
        let config = self.gab.config();
        let stalled = config.stable * config.policy.conn_wait;
        self.llt.config().timers.peer_inact.min(stalled) / 2
    }

    /// LLT's side, for statistics.
    pub fn llt(&self) -> &Llt {
        &self.llt
    }

    /// Puts these timers of LLT in force; GAB's patience with a member that makes no progress
    /// follows `peer_inact`.
    pub fn set_timers(&mut self, now: Instant, timers: llt::config::Timers) {
        self.with_llt(now, |llt| llt.set_timers(now, timers));
        self.gab.set_stuck(timers.peer_inact);
    }

    /// A command of an administrator to LLT, or something that a test wants of it.
    pub fn with_llt<T>(&mut self, now: Instant, command: impl FnOnce(&mut Llt) -> T) -> T {
        self.now = self.now.max(now);
        command(&mut self.llt)
    }

    /// GAB's side, for listings and checks.
    pub fn gab(&self) -> &Gab {
        &self.gab
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use llt::Incarnation;
    use llt::config::{Flow, Timers};
    use llt::core::DownReason;

    use super::*;

    /// A node with one link, to each other node at its address there.
    fn node(id: u8) -> Stack {
        let [zero, one] = [0, 1].map(|id| NodeId::new(id).expect("below 128"));
        let link = llt::config::LinkConfig {
            lowpri: false,
            mtu: 1452,
            broadcast: None,
            broadcast_heartbeats: true,
            discover: true,
            peers: vec![(zero, address(0)), (one, address(1))],
        };
        let llt = llt::Config {
            node: NodeId::new(id).expect("below 128"),
            incarnation: Incarnation(1),
            cluster: llt::ClusterId(7),
            links: vec![link],
            excluded: NodeSet::EMPTY,
            configured: [zero, one].into_iter().collect(),
            timers: Timers::fast(),
            flow: Flow::default(),
            listen: Duration::ZERO,
            keys: None,
        };
        Stack::new(Instant::ZERO, StackConfig { llt, gab: GabConfig::default() }, 1)
    }

    fn address(node: u8) -> LinkAddr {
        LinkAddr::Mac([2, 0, 0, 0, 0, node])
    }

    /// Node 0, alone.
    pub(crate) fn stack() -> Stack {
        node(0)
    }

    /// Carries frames between two nodes for so long. Returns what else they said.
    fn exchange(now: &mut Instant, nodes: &mut [Stack; 2], time: Duration) -> Vec<Output> {
        let link = LinkId::new(0).expect("the first");
        let until = *now + time;
        let mut said = Vec::new();
        while *now < until {
            let mut quiet = true;
            for at in 0..2_u8 {
                while let Some(output) = nodes[usize::from(at)].poll_output() {
                    quiet = false;
                    match output {
                        Output::Transmit(sent) => {
                            nodes[usize::from(1 - at)].handle_frame(
                                *now,
                                link,
                                address(at),
                                sent.frame,
                            );
                        }
                        other => said.push(other),
                    }
                }
            }
            if quiet {
                *now += Duration::from_millis(1);
                nodes.iter_mut().for_each(|node| node.handle_timer(*now));
            }
        }
        said
    }

    #[test]
    fn what_waits_for_one_peer_is_bounded() {
        let (mut now, mut nodes) = (Instant::ZERO, [node(0), node(1)]);
        exchange(&mut now, &mut nodes, Duration::from_secs(1));
        let peer = nodes[1].id();
        assert!(nodes[0].connected().contains(peer.node));

        nodes[0].blocked.insert(peer, Blocked::default());
        let message = Bytes::from(vec![0; 1 << 20]);
        for count in 1..=31 {
            nodes[0].send(now, peer, message.clone());
            assert_eq!(nodes[0].blocked_bytes(), count * ((1 << 20) + BLOCKED_MESSAGE_COST));
        }
        nodes[0].send(now, peer, message);
        assert_eq!(nodes[0].blocked_bytes(), 0, "nothing of it reaches the peer any more");

        let said = exchange(&mut now, &mut nodes, Duration::from_millis(100));
        let ends = said.iter().filter(|output| {
            let reset = DownReason::Reset;
            matches!(output, Output::Notice(Notice::Llt(Event::PeerDown { reason, .. })) if *reason == reset)
        });
        assert_eq!(ends.count(), 2, "both ends of the connection know: {said:?}");
    }

    #[test]
    fn what_waits_goes_out_in_order_and_as_far_as_there_is_room() {
        let (mut now, mut nodes) = (Instant::ZERO, [node(0), node(1)]);
        exchange(&mut now, &mut nodes, Duration::from_secs(1));
        let peer = nodes[1].id();
        let message = Bytes::from(vec![0; 60_000]);
        while nodes[0].blocked_bytes() == 0 {
            nodes[0].send(now, peer, message.clone());
        }
        for _ in 0..3 {
            nodes[0].send(now, peer, message.clone());
        }
        assert_eq!(nodes[0].blocked_bytes(), 4 * (60_000 + BLOCKED_MESSAGE_COST));
        nodes[0].unblock(now, peer);
        assert_eq!(nodes[0].blocked_bytes(), 4 * (60_000 + BLOCKED_MESSAGE_COST), "no room yet");
        exchange(&mut now, &mut nodes, Duration::from_secs(1));
        assert_eq!(nodes[0].blocked_bytes(), 0);
        assert_eq!(nodes[0].gab.counters().alarms, 0);
    }
}

//! LLT and GAB together, as one pure state machine. gabd and the simulator run exactly this.

mod ports;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use llt::core::{Event, LinkChange, LinkStatus, PeerLinkStatus, SendError as LltError};
use llt::time::earliest;
use llt::{Duration, Id, Instant, LinkAddr, LinkId, Llt, LltPort, NodeId, NodeSet};

use crate::core::{ArbiterReply, ArbiterRequest, Gab, GabConfig, GabOutput, Notice, Transport};
use crate::event::{ClientEvent, Level, OpenError, OpenOptions, SendError};
use crate::ids::PortName;
use crate::snapshot::{LinkSnapshot, LltSnapshot, NodeLinkSnapshot, NodeSnapshot, Snapshot};

pub use crate::core::ClientId;
use ports::Ports;

/// One node's LLT and GAB.
#[derive(Debug)]
pub struct Stack {
    llt: Llt,
    gab: Gab,
    /// Messages that LLT had no room for, by peer, until it says that it has.
    blocked: BTreeMap<Id, VecDeque<Bytes>>,
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
    /// This client has events to fetch with [`Stack::poll_client`], or room to send again.
    Client(ClientId),
    /// This node was thrown out (precise rule 11): every client has a `Closed` event waiting. Drop
    /// this stack and build one with a new incarnation, or halt if `halt`.
    Ejected {
        /// A kernel-type client was registered.
        halt: bool,
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
    /// Put a frame on a wire.
    Transmit(llt::core::Transmit),
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

    /// `gabconfig -c [-nN] [-t ms]`: allows registrations and joining; what is `None` stays.
    pub fn configure(&mut self, now: Instant, seed: Option<u32>, stable: Option<Duration>) {
        self.now = self.now.max(now);
        self.gab.configure(now, seed, stable);
    }

    /// `gabconfig -x`: seeds with whoever is visible now.
    pub fn seed(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.gab.seed(now);
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

    /// The client's next event, if any. After `Closed` the client's number is free.
    pub fn poll_client(&mut self, now: Instant, client: ClientId) -> Option<ClientEvent> {
        self.now = self.now.max(now);
        self.gab.poll_client(now, client)
    }

    /// How much the client may still send: messages, bytes.
    pub fn send_room(&self, client: ClientId) -> (usize, usize) {
        self.gab.send_room(client)
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
            Event::PeerUp { peer } => {
                self.ports.on_peer_up(peer);
                self.gab.handle_peer_up(now, peer);
            }
            Event::PeerDown { peer, reason } => {
                self.blocked.remove(&peer);
                self.ports.on_peer_down(peer);
                self.gab.handle_peer_down(now, peer, reason);
            }
            Event::Link { peer, links_up, .. } => self.gab.handle_links(now, peer, links_up),
            Event::Late { late_ms } => self.gab.handle_late(now, Duration::from_millis(late_ms)),
            Event::AddressChanged { .. }
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
                // Unreliable: a peer that is gone is reported by LLT itself.
                let _ = self.llt.datagram(now, LltPort::GAB, to, payload);
                return None;
            }
            GabOutput::Broadcast(payload) => {
                let _ = self.llt.broadcast(now, LltPort::GAB, payload);
                return None;
            }
            GabOutput::Arbiter(request) => Output::Arbiter(request),
            GabOutput::Client(client) => Output::Client(client),
            GabOutput::Ejected { halt } => Output::Ejected { halt },
            GabOutput::Left => Output::Left,
            GabOutput::Notice(notice) => Output::Notice(notice),
        })
    }

    fn send(&mut self, now: Instant, to: Id, payload: Bytes) {
        if let Some(queue) = self.blocked.get_mut(&to) {
            queue.push_back(payload);
            return;
        }
        // A peer that is not connected any more is reported by LLT itself.
        if self.llt.send(now, LltPort::GAB, to, payload.clone()) == Err(LltError::WouldBlock) {
            self.blocked.insert(to, VecDeque::from([payload]));
        }
    }

    fn unblock(&mut self, now: Instant, to: Id) {
        for payload in self.blocked.remove(&to).unwrap_or_default() {
            self.send(now, to, payload);
        }
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

    fn llt_snapshot(&self) -> LltSnapshot {
        let config = self.llt.config();
        let links = config.links.iter().map(|link| LinkSnapshot {
            lowpri: link.lowpri,
            mtu: link.mtu,
            ..LinkSnapshot::default()
        });
        let own = NodeSnapshot {
            node: config.node.get(),
            configured: config.configured.contains(config.node),
            own: true,
            state: "OPEN".to_owned(),
            incarnation: config.incarnation.0,
            links: config
                .links
                .iter()
                .map(|_| NodeLinkSnapshot { status: "UP".to_owned(), address: String::new() })
                .collect(),
            ..NodeSnapshot::default()
        };
        let peers = self.llt.peers().into_iter().map(|peer| NodeSnapshot {
            node: peer.node.get(),
            configured: config.configured.contains(peer.node),
            state: if peer.connected { "OPEN" } else { "CONNWAIT" }.to_owned(),
            incarnation: peer.id.map_or(0, |id| id.incarnation.0),
            links: peer.links.iter().map(link_snapshot).collect(),
            queued: peer.queued,
            srtt_ns: peer.srtt_ns,
            ..NodeSnapshot::default()
        });
        let mut nodes: Vec<NodeSnapshot> = peers.chain([own]).collect();
        nodes.sort_by_key(|node| node.node);
        LltSnapshot {
            node: config.node.get(),
            name: String::new(),
            cluster: config.cluster.0,
            incarnation: config.incarnation.0,
            links: links.collect(),
            nodes,
            stats: *self.llt.stats(),
        }
    }

    /// Nodes that are connected.
    pub fn connected(&self) -> NodeSet {
        self.llt.peers().into_iter().filter(|peer| peer.connected).map(|peer| peer.node).collect()
    }

    /// LLT's side, for statistics.
    pub fn llt(&self) -> &Llt {
        &self.llt
    }

    /// LLT's side, to zero statistics.
    pub fn llt_mut(&mut self) -> &mut Llt {
        &mut self.llt
    }

    /// GAB's side, for listings and checks.
    pub fn gab(&self) -> &Gab {
        &self.gab
    }
}

fn link_snapshot(link: &PeerLinkStatus) -> NodeLinkSnapshot {
    let status = match link.status {
        LinkStatus::Up => "UP",
        LinkStatus::Down => "DOWN",
        LinkStatus::Trouble => "TROUBLE",
        LinkStatus::Expired => "EXPIRED",
    };
    let address = link.addr.map(|address| address.to_string()).unwrap_or_default();
    NodeLinkSnapshot { status: status.to_owned(), address }
}

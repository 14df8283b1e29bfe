//! The pure core of GAB: views, one ordered stream per view, ports, clients.
//!
//! Walk a broadcast: [`Gab::broadcast`] accepts it into `pending`; at the end of the turn
//! `flush` (order.rs) submits it to the sequencer, which gives it a slot in `stream`; every member
//! stores the slot (repair.rs asks for what is missing), `advance` (ports.rs) takes it in order
//! into its port's queue, stability lets a SAFE one go, and `release` puts it into the clients'
//! queues. A view change (change.rs, install.rs) freezes all of that, agrees on one cut, and starts
//! the next stream. Who is in the next view, and when, is decided in membership.rs.

mod arbiter;
mod authorise;
mod bounds;
mod change;
mod clients;
mod config;
mod contact;
mod damping;
#[cfg(any(test, feature = "sim"))]
mod digest;
mod dump;
mod install;
mod latency;
mod lease;
mod listing;
mod membership;
mod order;
mod output;
mod p2p;
mod pending;
mod ports;
mod quorum;
mod registration;
mod repair;
mod sequencer;
mod stash;
mod stream;
mod supervise;
mod table;
#[cfg(test)]
mod told;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use llt::core::DownReason;
use llt::time::earliest;
use llt::{Id, Incarnation, Instant, NodeId};
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

pub use arbiter::{ArbiterReply, ArbiterRequest, Record, RecordChange};
#[cfg(any(test, feature = "sim"))]
pub use config::Mutant;
pub use config::{ArbiterKind, Configuration, GabConfig, Policy};
pub use latency::{BUCKETS, Delivered, Histogram};
pub use lease::Standing;
pub use listing::Sizes;
pub use output::{ClientId, ClientSignal, Counters, GabOutput, HaltCause, Notice, PortDump};
pub use supervise::BEAT_BUCKETS;
#[cfg(feature = "daemon")]
pub(crate) use supervise::{Blow, Killing};

use crate::event::{Level, PortEvent, SendError};
use crate::ids::{PortName, Versions, Vid, View};
use crate::limits::MESSAGE_MAX;
use crate::pack::{LENGTH_LEN, Pack};
use crate::wire::{Body, EntryKind, Head, Hello, Message, Prepared, Proposal};
use crate::wire::{DATA_LEN, ENTRY_HEADER_LEN, ORD_LEN};

/// GAB of one node, as a pure state machine. [`crate::stack::Stack`] puts it on top of LLT.
///
/// `handle_*` take what LLT says, the commands of clients and administrators answer at once and
/// change nothing when they refuse; [`Gab::poll_output`] is called until it is empty.
#[derive(Clone, Debug)]
pub struct Gab {
    id: Id,
    config: GabConfig,
    transport: Transport,
    rng: Xoshiro256PlusPlus,
    out: VecDeque<GabOutput>,
    counters: Counters,

    /// Connected peers by node.
    peers: BTreeMap<NodeId, Peer>,
    membership: membership::Membership,
    damping: damping::Damping,

    /// The view in force.
    view: Option<View>,
    /// What all its members speak; it runs at the highest.
    spoken: Option<Versions>,
    /// Its stream.
    stream: Option<stream::Stream>,
    /// The port table as of `stream.cont`.
    table: table::PortTable,
    /// Generation of port a.
    control_generation: u64,
    /// The highest view id that was answered: frozen while it is above the view's.
    promised: Vid,
    frozen_since: Instant,
    /// A proposal that is being fetched for.
    accepting: Option<Proposal>,
    /// A proposal that this node has said READY to.
    ready: Option<Proposal>,
    /// Every view that this node was READY for since its own came into force.
    prepared: Vec<Prepared>,
    /// The view change that this node proposes.
    change: Option<change::Change>,
    authorisation: authorise::Authorisation,

    pending: pending::Pending,
    latency: latency::Latency,
    stash: stash::Stash,
    sequencer: sequencer::Sequencer,
    order: order::Ordering,
    repair: repair::Repairing,

    ports: BTreeMap<PortName, ports::Port>,
    /// Ports with slots that are not yet delivered.
    undelivered: BTreeSet<PortName>,
    clients: clients::Clients,
    supervision: supervise::Supervision,
    next_client: u64,
    p2p_acks: BTreeSet<(Id, PortName)>,
    leaving: Option<Leaving>,
    /// It is about to leave.
    stops: bool,
    /// Thrown out or left: nothing is done any more.
    over: bool,
    now: Instant,
    /// Something happened since the last flush.
    dirty: bool,
    /// Every view that came into force and its sequence base.
    #[cfg(any(test, feature = "sim"))]
    installed: Vec<(View, u64)>,
}

/// What the layer below can do.
#[derive(Clone, Copy, Debug)]
pub struct Transport {
    /// The largest datagram in bytes.
    pub datagram_max: usize,
    /// One frame reaches everybody.
    pub has_broadcast: bool,
}

/// A connected peer.
#[derive(Clone, Debug, Hash)]
struct Peer {
    id: Id,
    /// Since when it has been connected over a good link without a break.
    since: Instant,
    /// Links to it that are neither in trouble nor expired.
    links_up: u8,
    /// What it said of itself last, and the view it named.
    hello: Option<(Vid, Hello)>,
    /// How far it has acknowledged the stream and which of its ports are busy.
    busy: u64,
}

/// A clean leave under way.
#[derive(Clone, Copy, Debug, Hash)]
struct Leaving {
    /// The LEAVE entry is accepted.
    announced: bool,
    /// Give up waiting then.
    deadline: Instant,
}

impl Gab {
    /// A node at `now` that is in no view.
    pub fn new(now: Instant, id: Id, config: GabConfig, transport: Transport, seed: u64) -> Self {
        let mut gab = Self {
            id,
            config,
            transport,
            rng: Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x4741_4200),
            out: VecDeque::new(),
            counters: Counters::default(),
            peers: BTreeMap::new(),
            membership: membership::Membership::default(),
            damping: damping::Damping::default(),
            view: None,
            spoken: None,
            stream: None,
            table: table::PortTable::default(),
            control_generation: 0,
            promised: Vid::NONE,
            frozen_since: now,
            accepting: None,
            ready: None,
            prepared: Vec::new(),
            change: None,
            authorisation: authorise::Authorisation::default(),
            pending: pending::Pending::default(),
            latency: latency::Latency::default(),
            stash: stash::Stash::default(),
            sequencer: sequencer::Sequencer::default(),
            order: order::Ordering::default(),
            repair: repair::Repairing::default(),
            ports: BTreeMap::new(),
            undelivered: BTreeSet::new(),
            clients: clients::Clients::default(),
            supervision: supervise::Supervision::default(),
            next_client: 1,
            p2p_acks: BTreeSet::new(),
            leaving: None,
            stops: false,
            over: false,
            now,
            dirty: true,
            #[cfg(any(test, feature = "sim"))]
            installed: Vec::new(),
        };
        if gab.config.configured {
            gab.await_seed();
        }
        gab
    }

    /// This node.
    pub fn id(&self) -> Id {
        self.id
    }

    /// The view in force, if any.
    pub fn view(&self) -> Option<&View> {
        self.view.as_ref()
    }

    /// Every view that came into force, with the sequence before its first slot: more than one may
    /// within a turn, and checkers must know them all.
    #[cfg(any(test, feature = "sim"))]
    pub fn installed(&self) -> &[(View, u64)] {
        &self.installed
    }

    /// The configuration in force.
    pub fn config(&self) -> &GabConfig {
        &self.config
    }

    /// Counters since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How long own messages took to be delivered here.
    pub fn delivered(&self) -> &Delivered {
        self.latency.delivered()
    }

    /// LLT connected a peer.
    pub fn handle_peer_up(&mut self, now: Instant, peer: Id, links_up: u8) {
        self.turn(now);
        self.peers.insert(peer.node, Peer { id: peer, since: now, links_up, hello: None, busy: 0 });
        self.note_jeopardy(now, peer, links_up, llt::Duration::ZERO);
        self.greet(peer);
    }

    /// LLT lost a peer: whatever was under way to or from it is lost.
    pub fn handle_peer_down(&mut self, now: Instant, peer: Id, reason: DownReason) {
        self.turn(now);
        if self.peers.get(&peer.node).is_some_and(|known| known.id == peer) {
            self.peers.remove(&peer.node);
        }
        let sure = matches!(reason, DownReason::Left | DownReason::Restarted);
        self.end_jeopardy(peer, sure);
        self.suspect(now, peer, sure);
    }

    /// The number of good links to a peer changed; the link that changed has been silent for so long.
    pub fn handle_links(&mut self, now: Instant, peer: Id, links_up: u8, silence: llt::Duration) {
        self.turn(now);
        if self.peers.get(&peer.node).is_some_and(|known| known.id == peer) {
            self.note_jeopardy(now, peer, links_up, silence);
        }
        if let Some(known) = self.peers.get_mut(&peer.node).filter(|known| known.id == peer) {
            if known.links_up == 0 && links_up > 0 {
                known.since = now;
            }
            known.links_up = links_up;
        }
        self.note_joiners(now);
        self.tell_status(now);
    }

    /// Our own timer was late: nobody is to be blamed for the silence.
    pub fn handle_late(&mut self, now: Instant, late: llt::Duration) {
        self.turn(now);
        self.note_late(now, late);
    }

    /// Datagrams of a peer are missing.
    pub fn handle_hole(&mut self, now: Instant, from: Id) {
        self.turn(now);
        self.suspect_hole(now, from);
    }

    /// A message of a connected peer, reliable or not.
    pub fn handle_message(&mut self, now: Instant, from: Id, payload: Bytes) {
        self.turn(now);
        if self.over {
            return;
        }
        let Ok(Message { head, body }) = Message::decode(payload) else {
            self.counters.malformed += 1;
            return;
        };
        match body {
            Body::Hello(hello) => self.receive_hello(now, from, head.vid, hello),
            Body::Collect { target } => self.receive_collect(now, from, head.vid, &target),
            Body::State(state) => self.receive_state(now, from, head.vid, state),
            Body::Refuse => self.receive_refuse(now, head.vid),
            Body::Propose(proposal) => self.receive_propose(now, from, proposal),
            Body::Ready => self.receive_ready(now, from, head.vid),
            Body::Install => self.receive_install(now, head.vid),
            Body::P2p(message) => self.receive_p2p(now, from, message),
            Body::P2pAck(ack) => self.receive_p2p_ack(now, from, ack),
            Body::Ord(_)
            | Body::Data(_)
            | Body::Ack
            | Body::Nak(_)
            | Body::Retr(_)
            | Body::Submit(_) => {
                self.receive_stream(now, from, head, body);
            }
        }
    }

    /// A message of the stream: only of members of the view, in the view.
    fn receive_stream(&mut self, now: Instant, from: Id, head: Head, body: Body) {
        self.prove_install(now, from, head.vid);
        let Some(view) = &self.view else {
            self.counters.other_view += 1;
            return;
        };
        let member = view.contains(from);
        if (head.vid != view.vid || !member) && !self.is_mutant_no_view_check() {
            self.counters.other_view += 1;
            return;
        }
        let sequencer = view.sequencer();
        self.note_head(now, from, &head);
        match body {
            Body::Nak(ranges) => self.receive_nak(now, from, &ranges),
            Body::Retr(repair) => self.receive_retr(now, repair),
            _ if self.is_frozen() && !self.is_mutant_wedged() => self.counters.while_frozen += 1,
            Body::Ord(ord) if from == sequencer => self.receive_ord(now, ord),
            Body::Data(data) => self.receive_data(now, from, &data),
            Body::Submit(entries) if sequencer == self.id => self.receive_submit(from, entries),
            Body::Ack => self.receive_ack(from, &head),
            _ => self.counters.other_view += 1,
        }
    }

    /// Time has passed.
    pub fn handle_timer(&mut self, now: Instant) {
        self.turn(now);
        if self.over {
            return;
        }
        self.expire_change(now);
        if self.over {
            return;
        }
        self.retry_p2p(now);
        self.watch_members(now);
        self.expel_stalled(now);
        self.supervise(now);
        self.race(now);
        self.continue_leave(now);
    }

    /// When [`Gab::handle_timer`] wants to be called, at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.over {
            return None;
        }
        let mut deadline = self.change_deadline();
        let p2p = self.ports.values().flat_map(|port| port.closing.iter().chain(&port.local));
        deadline = earliest(deadline, p2p.filter_map(|local| local.p2p.next_deadline()).min());
        deadline = earliest(deadline, self.clients.next_deadline(self.config.policy.client_stall));
        deadline = earliest(deadline, self.supervision.next_deadline(&self.config.policy));
        deadline = earliest(deadline, self.authorisation.next_deadline());
        deadline = earliest(deadline, self.leaving.map(|leaving| leaving.deadline));
        earliest(deadline, self.stream_deadline())
    }

    /// The next thing to do. When nothing is left over from the inputs, what they add up to is
    /// flushed: one batch of submissions, of slots, of acknowledgements.
    pub fn poll_output(&mut self) -> Option<GabOutput> {
        if self.out.is_empty() && std::mem::take(&mut self.dirty) {
            self.flush();
        }
        self.out.pop_front()
    }

    /// Broadcasts a client's message.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was changed.
    pub fn broadcast(
        &mut self,
        now: Instant,
        id: ClientId,
        level: Level,
        payload: Bytes,
    ) -> Result<(), SendError> {
        self.turn(now);
        let port = self.check_send(id, 1, payload.len())?;
        self.take(now, id, port, level, 0, payload);
        Ok(())
    }

    /// Broadcasts many messages of a client, in their order, as [`Gab::broadcast`] does each: all of
    /// them or none. They travel in as few packs as frames take.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was changed.
    pub fn broadcast_pack(
        &mut self,
        now: Instant,
        id: ClientId,
        level: Level,
        pack: Pack,
    ) -> Result<(), SendError> {
        self.turn(now);
        let port = self.check_send(id, pack.messages().into(), pack.payload_len())?;
        // One frame takes it, whether the sequencer orders it or it travels ahead of its order.
        let around = DATA_LEN.max(ORD_LEN + ENTRY_HEADER_LEN);
        let room = self.transport.datagram_max.saturating_sub(around).min(MESSAGE_MAX);
        let mut rest = Some(pack);
        while let Some(mut pack) = rest {
            rest = pack.split_off(room);
            match pack.messages() {
                1 => self.take(now, id, port, level, 0, pack.next_message().unwrap_or_default()),
                messages => self.take(now, id, port, level, messages, pack.bytes().clone()),
            }
        }
        Ok(())
    }

    /// A broadcast that nothing forbids.
    fn take(
        &mut self,
        now: Instant,
        id: ClientId,
        port: PortName,
        level: Level,
        pack: u16,
        payload: Bytes,
    ) {
        if let Some(client) = self.clients.get_mut(id) {
            let lengths = usize::from(pack) * LENGTH_LEN;
            client.note_sending(pack.max(1).into(), payload.len() - lengths);
        }
        self.pending.push(self.id.node, port, EntryKind::User, level, pack, payload, Some(id));
        self.pending.stamp(port, now);
    }

    /// Sends a client's message to one node.
    ///
    /// # Errors
    /// See [`SendError`]; nothing was changed.
    pub fn send_to(
        &mut self,
        now: Instant,
        id: ClientId,
        node: NodeId,
        payload: Bytes,
    ) -> Result<(), SendError> {
        self.turn(now);
        let len = payload.len();
        let port = self.check_send(id, 1, len)?;
        self.accept_p2p(now, id, port, node, payload)?;
        if let Some(client) = self.clients.get_mut(id) {
            client.note_sending(1, len);
        }
        Ok(())
    }

    fn check_send(&self, id: ClientId, count: usize, len: usize) -> Result<PortName, SendError> {
        let client = self.clients.get(id).ok_or(SendError::Closed)?;
        if client.is_closed() || self.leaving.is_some() {
            return Err(SendError::Closed);
        }
        if count == 1 && len > MESSAGE_MAX {
            return Err(SendError::TooLarge);
        }
        if !client.attached {
            return Err(SendError::NotMember);
        }
        let (messages, bytes) = client.room();
        // One message is always taken, however long: a bound on bytes below the largest message
        // must not lock a client out.
        if messages < count || bytes < len {
            return Err(SendError::WouldBlock);
        }
        Ok(client.port)
    }

    /// The client's next event, or a pack of them, if any.
    pub fn poll_client(&mut self, now: Instant, id: ClientId) -> Option<PortEvent> {
        self.turn(now);
        let event = self.clients.poll(now, id);
        self.take_more_p2p(now, id);
        event
    }

    /// The client has recovered from a view.
    pub fn ack_view(&mut self, now: Instant, id: ClientId, generation: u64) -> bool {
        self.turn(now);
        self.clients.ack_view(id, generation)
    }

    /// Messages and bytes that the client may still send.
    pub fn send_room(&self, id: ClientId) -> (usize, usize) {
        self.clients.get(id).map_or((0, 0), clients::Client::room)
    }

    /// What [`Gab::send_room`] is when nothing of the client is under way.
    pub fn whole_send_room(&self, id: ClientId) -> (usize, usize) {
        self.clients.get(id).map_or((0, 0), clients::Client::whole_room)
    }

    /// Is the client registered, and nothing of it under way?
    pub fn is_settled(&self, id: ClientId) -> bool {
        self.clients.get(id).is_some_and(clients::Client::is_settled)
    }

    /// Did GAB close the client, or never open it?
    pub fn is_closed(&self, id: ClientId) -> bool {
        self.clients.get(id).is_none_or(clients::Client::is_closed)
    }

    fn turn(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.dirty = true;
    }

    /// Frozen in a view change: the old view's stream stands still here.
    fn is_frozen(&self) -> bool {
        self.view.as_ref().is_some_and(|view| self.promised > view.vid)
    }

    fn view_id(&self) -> Vid {
        self.view.as_ref().map_or(Vid::NONE, |view| view.vid)
    }

    /// The head of a message in the view in force.
    fn head(&self) -> Head {
        let frozen = self.is_frozen() && !self.is_mutant_wedged();
        let ack = self.stream.as_ref().filter(|_| !frozen).map_or(0, |stream| stream.cont);
        Head { vid: self.view_id(), ack, busy: self.busy_ports() }
    }

    /// Sends reliably under the view in force.
    fn send(&mut self, to: Id, body: Body) {
        let head = self.head();
        self.out.push_back(GabOutput::Send(to, body.encode(head)));
    }

    /// Sends reliably about another view than the one in force.
    fn send_about(&mut self, to: Id, vid: Vid, body: &Body) {
        let head = Head { vid, ack: 0, busy: 0 };
        self.out.push_back(GabOutput::Send(to, body.encode(head)));
    }

    fn notice(&mut self, notice: Notice) {
        self.out.push_back(GabOutput::Notice(notice));
    }

    /// "Impossible" from ourselves: counted and logged, fails every test.
    pub(crate) fn alarm(&mut self, what: &'static str) {
        self.counters.alarms += 1;
        tracing::error!(node = self.id.node.get(), what, "alarm");
    }

    /// The newest incarnation of this node that was removed from a view of ours.
    fn removed(&self, node: NodeId) -> Option<Incarnation> {
        self.membership.removed.get(&node).copied()
    }
}

/// Mutants: each is one broken rule, compiled in for tests only.
macro_rules! mutants {
    ($($method:ident => $variant:ident;)*) => {
        impl Gab {$(
            #[cfg(any(test, feature = "sim"))]
            fn $method(&self) -> bool {
                self.config.mutant == Some(Mutant::$variant)
            }

            #[cfg(not(any(test, feature = "sim")))]
            const fn $method(&self) -> bool {
                false
            }
        )*}
    };
}

mutants! {
    is_mutant_wedged => WedgedAcks;
    is_mutant_leftovers_released => LeftoversBeforeArbitration;
    is_mutant_no_view_check => NoViewCheck;
    is_mutant_own_cut => CutFromProposer;
    is_mutant_majority => InstallOnMajority;
    is_mutant_safe_at_once => SafeWithoutStability;
    is_mutant_ready_late => ReadyAfterPromise;
    is_mutant_foreign => ForeignLineage;
    is_mutant_absence => AbsenceAuthorises;
    is_mutant_race => RaceOutsideChain;
    is_mutant_drop_at_ready => DropAtReady;
    is_mutant_no_stragglers => NoStragglers;
    is_mutant_readmit => Readmit;
    is_mutant_no_consult => NoConsult;
    is_mutant_resubmit_all => ResubmitAll;
    is_mutant_duplicates => NoDuplicateCheck;
    is_mutant_p2p => P2pAcrossGenerations;
    is_mutant_no_ejection => NoEjection;
    is_mutant_stale_payload => StalePayload;
    is_mutant_minority => MinorityGoesOn;
    is_mutant_ready_views => ReadyViewsNotCounted;
    is_mutant_own_jeopardy => JeopardyNotAgreed;
    is_mutant_lease => LeaseUnproven;
}

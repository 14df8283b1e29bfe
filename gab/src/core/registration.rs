//! Opening and closing ports, seeding by hand, leaving.

use bytes::Bytes;
use llt::{Duration, Id, Instant};

use super::clients::Client;
use super::p2p::P2pOut;
use super::ports::LocalPort;
use super::{ArbiterKind, ClientId, Configuration, Gab, GabOutput, Leaving, Notice};
use crate::event::{ClientEvent, CloseReason, Level, OpenError, OpenOptions};
use crate::ids::PortName;
use crate::limits::{CLIENTS_MAX, HEARTBEAT, REGISTRATIONS_UNDER_WAY};
use crate::wire::EntryKind;

/// A clean leave is given up after this long: the others then detect what we could not announce.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(3000);

impl Gab {
    /// Registers a client. Its first event is the membership of the port with itself in it.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing was changed.
    pub fn open(
        &mut self,
        now: Instant,
        id: ClientId,
        name: PortName,
        options: OpenOptions,
    ) -> Result<(), OpenError> {
        self.turn(now);
        if name == PortName::CONTROL {
            return Err(OpenError::Reserved);
        }
        if self.over || self.stops || self.leaving.is_some() {
            return Err(OpenError::Stopping);
        }
        if !self.config.configured {
            return Err(OpenError::Unconfigured);
        }
        if self.clients.by_id.len() + self.supervision.isolated() >= CLIENTS_MAX
            || self.clients.by_id.contains_key(&id)
            || self.supervision.is_isolated(id)
        {
            return Err(OpenError::Busy);
        }
        if options.heartbeat.is_some_and(|time| !HEARTBEAT.contains(&time)) {
            return Err(OpenError::Heartbeat);
        }
        let port = self.ports.entry(name).or_default();
        if port.closing.len() + self.pending.changes(name) >= REGISTRATIONS_UNDER_WAY {
            return Err(OpenError::Busy);
        }
        if let Some(local) = &mut port.local {
            if !(local.shared && options.shared) {
                return Err(OpenError::Busy);
            }
            local.clients.push(id);
            local.kernel |= options.kernel;
        } else {
            let incarnation = self.next_client;
            self.next_client += 1;
            port.local = Some(LocalPort {
                incarnation,
                clients: vec![id],
                shared: options.shared,
                kernel: options.kernel,
                opening: false,
                p2p: P2pOut::default(),
            });
        }
        self.clients.by_id.insert(id, Client::new(name, options, &self.config.policy));
        self.supervision.opened(now, id, name, options.heartbeat);
        if self.view.is_none() {
            self.notice(Notice::WaitingForSeed { port: name });
        }
        self.sync_local(now, name);
        self.attach_shared(now, name, id);
        Ok(())
    }

    /// Ends a registration in order: what it sent is ordered before its end.
    pub fn close(&mut self, now: Instant, id: ClientId) {
        self.turn(now);
        if let Some(port) = self.end_registration(now, id) {
            self.supervision.closed(id, port);
        }
    }

    /// Ends a registration whose client is gone without having closed it.
    pub fn died(&mut self, now: Instant, id: ClientId) {
        self.turn(now);
        let Some(client) = self.clients.get(id) else { return };
        let options = client.options;
        // GAB had closed it before: nothing dies with its process any more.
        let registered = !client.is_closed();
        let Some(port) = self.end_registration(now, id) else { return };
        self.supervision.forget(id);
        if options.kernel {
            self.gone(now, id);
        }
        if registered {
            self.judge_death(now, port, options);
        }
    }

    fn end_registration(&mut self, now: Instant, id: ClientId) -> Option<PortName> {
        let client = self.clients.by_id.remove(&id)?;
        self.pending.forget_client(id);
        self.detach(now, client.port, id);
        Some(client.port)
    }

    pub(super) fn detach(&mut self, now: Instant, name: PortName, id: ClientId) {
        let Some(port) = self.ports.get_mut(&name) else { return };
        let Some(local) = &mut port.local else { return };
        local.clients.retain(|&other| other != id);
        if local.clients.is_empty() {
            port.closing.extend(port.local.take());
        }
        self.sync_local(now, name);
    }

    /// Brings the port's membership entries in line with the registrations: an ended one is closed
    /// when its point-to-point messages have arrived, the next is opened after that.
    pub(super) fn sync_local(&mut self, _now: Instant, name: PortName) {
        let Some(port) = self.ports.get_mut(&name) else { return };
        let mut entries = Vec::new();
        while let Some(ending) = port.closing.front() {
            if ending.opening && !ending.p2p.is_empty() {
                return self.push_membership(name, entries);
            }
            if ending.opening {
                entries.push(EntryKind::Close { client: ending.incarnation });
            }
            port.closing.pop_front();
        }
        if let Some(local) = port.local.as_mut().filter(|local| !local.opening) {
            local.opening = true;
            entries.push(EntryKind::Open { client: local.incarnation });
        }
        self.push_membership(name, entries);
    }

    fn push_membership(&mut self, name: PortName, entries: Vec<EntryKind>) {
        for kind in entries {
            self.pending.push(self.id.node, name, kind, Level::Safe, 0, Bytes::new(), None);
        }
    }

    /// Clients that do not read must not pace their port for ever.
    pub(super) fn expel_stalled(&mut self, now: Instant) {
        for id in self.clients.stalled(now, self.config.policy.client_stall) {
            self.expel(now, id, CloseReason::NotReading);
        }
    }

    /// GAB ends a registration, whatever of it was not read yet.
    pub(super) fn close_client(
        &mut self,
        now: Instant,
        id: ClientId,
        port: PortName,
        reason: CloseReason,
    ) {
        self.notice(Notice::ClientClosed { port, reason });
        self.clients.close_now(id, reason);
        self.pending.forget_client(id);
        self.detach(now, port, id);
    }

    /// `gabconfig -c`: allows registrations and joining. Whether a majority is asked counts from
    /// the next view change on.
    pub fn configure(&mut self, now: Instant, change: Configuration) {
        self.turn(now);
        if !std::mem::replace(&mut self.config.configured, true) {
            self.await_seed();
        }
        self.config.seed = change.seed.or(self.config.seed);
        self.config.stable = change.stable.unwrap_or(self.config.stable);
        self.config.policy = change.policy.unwrap_or(self.config.policy);
        let before = self.config.arbiter;
        if let Some(quorum) = change.quorum.filter(|_| before != ArbiterKind::Record) {
            self.config.arbiter = if quorum { ArbiterKind::Majority } else { ArbiterKind::None };
        }
        self.note_joiners(now);
        if self.config.arbiter == before {
            self.greet_outsiders();
        } else {
            // The members, too, compare.
            let peers: Vec<Id> = self.peers.values().map(|peer| peer.id).collect();
            peers.into_iter().for_each(|peer| self.greet(peer));
        }
    }

    /// Registrations are allowed from now on, also where there is no view to register with yet.
    pub(super) fn await_seed(&mut self) {
        if self.view.is_none() {
            self.notice(Notice::WaitingForSeed { port: PortName::CONTROL });
        }
    }

    /// The inactive time of LLT is another one now.
    pub fn set_stuck(&mut self, stuck: Duration) {
        self.config.stuck = stuck;
    }

    /// `gabconfig -x`: seeds with whoever is visible, unless somebody is in a view already; then
    /// this node joins that.
    pub fn seed(&mut self, now: Instant) {
        self.turn(now);
        self.membership.seed_now = self.view.is_none() && !self.meets_seeded();
    }

    /// The node is about to leave: nobody registers any more, and whoever hangs or dies now is not
    /// judged.
    pub fn prepare_leave(&mut self, now: Instant) {
        self.turn(now);
        self.stops = true;
        self.supervision.clear();
    }

    /// Leaves in order: clients are told, ports are closed, what was accepted is ordered, and the
    /// others learn it without any timer. [`GabOutput::Left`] follows.
    pub fn leave(&mut self, now: Instant) {
        self.turn(now);
        if self.over || self.leaving.is_some() {
            return;
        }
        self.leaving = Some(Leaving { announced: false, deadline: now + LEAVE_TIMEOUT });
        self.supervision.clear();
        let ids: Vec<ClientId> = self.clients.by_id.keys().copied().collect();
        for id in ids {
            let Some(port) = self.clients.get(id).map(|client| client.port) else { continue };
            self.clients.push(now, id, ClientEvent::Closed(CloseReason::Stopped));
            self.pending.forget_client(id);
            self.detach(now, port, id);
        }
        self.greet_outsiders();
    }

    /// Announces the leave when nothing else is left to say.
    pub(super) fn continue_leave(&mut self, now: Instant) {
        let Some(leaving) = &mut self.leaving else { return };
        if self.over {
            return;
        }
        if self.view.is_none() || leaving.deadline <= now {
            self.finish_leave();
        } else if !leaving.announced
            && self.pending.is_empty()
            && self.ports.values().all(|port| port.closing.is_empty())
        {
            leaving.announced = true;
            let (kind, port) = (EntryKind::Leave, PortName::CONTROL);
            self.pending.push(self.id.node, port, kind, Level::Safe, 0, Bytes::new(), None);
        }
    }

    /// Our LEAVE is delivered: everybody holds it.
    pub(super) fn finish_leave(&mut self) {
        if !self.over {
            self.end();
            self.out.push_back(GabOutput::Left);
        }
    }
}

//! All connections.

mod watchers;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;

use bytes::Bytes;
use llt::time::earliest;
use llt::{Id, Instant, LltPort, NodeId};

use crate::admin::AdminRequest;
use crate::client::Buffer;
use crate::core::{ClientSignal, Policy};
use crate::daemon::conn::Conn;
use crate::daemon::llt_ports::LltPorts;
use crate::daemon::metrics::Kills;
use crate::daemon::notices::PortClient;
use crate::daemon::poller::{Poller, Ready, Token};
use crate::daemon::processes::Processes;
use crate::event::CloseReason;
use crate::ids::PortName;
use crate::ipc::TracedFrame;
use crate::limits::{CLIENTS_MAX, IPC_DATAGRAM_MAX};
use crate::stack::{ClientId, Stack};

use watchers::Watchers;

/// The connections of one gabd.
#[derive(Debug)]
pub(super) struct Clients {
    conns: BTreeMap<u32, Conn>,
    /// Of kernel-type and supervised clients, some of which have no connection any more.
    processes: Processes,
    /// Kernel-type clients whose process is gone, and that wait for their drain time or their socket.
    draining: BTreeSet<u32>,
    next: u32,
    /// Those with something to do in this turn.
    dirty: BTreeSet<u32>,
    /// Who has which LLT port, and the open and the busy ones that the stack knows of.
    ports: LltPorts,
    announced: (u32, u32),
    /// Those who are told of frames.
    tracing: BTreeSet<u32>,
    watchers: Watchers,
    buffer: Buffer,
}

impl Clients {
    pub(super) fn new() -> Self {
        Self {
            conns: BTreeMap::new(),
            processes: Processes::default(),
            draining: BTreeSet::new(),
            next: 1,
            dirty: BTreeSet::new(),
            ports: LltPorts::default(),
            announced: (0, 0),
            tracing: BTreeSet::new(),
            watchers: Watchers::default(),
            buffer: Buffer::new(IPC_DATAGRAM_MAX),
        }
    }

    /// Takes a new connection; one too many is closed at once.
    pub(super) fn add(&mut self, poller: &Poller, socket: OwnedFd) {
        if self.conns.len() >= CLIENTS_MAX {
            tracing::warn!("a client was turned away: {CLIENTS_MAX} are connected");
            return;
        }
        while self.conns.contains_key(&self.next) || self.processes.contains(self.next) {
            self.next = self.next.wrapping_add(1).max(1);
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1).max(1);
        if let Err(error) = poller.add(&socket, Token::Client(number)) {
            tracing::warn!("a client was turned away: {error}");
            return;
        }
        self.conns.insert(number, Conn::new(ClientId(number), socket));
    }

    /// A socket is ready. Returns a request of an administrator, with the connection to answer.
    pub(super) fn ready(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        poller: &Poller,
        number: u32,
        ready: Ready,
    ) -> Option<AdminRequest> {
        let conn = self.conns.get_mut(&number)?;
        self.dirty.insert(number);
        if !ready.readable {
            return None;
        }
        let heard = conn.read(now, stack, &self.ports, &mut self.buffer, DATAGRAMS_PER_TURN);
        if let Some(process) = heard.watch {
            self.processes.add(poller, number, process);
        }
        if ready.hung_up && !conn.wants().0 {
            // Nobody reads what we might still send, and it would report itself for ever.
            conn.abandon(now, stack);
        }
        if conn.is_gone() && self.processes.release(poller, number) {
            // Before the timer of this turn: it might be killed for not having hung up.
            stack.gone(now, ClientId(number));
        }
        self.ports.note(number, conn.llt_port());
        if conn.is_tracing() {
            self.tracing.insert(number);
        } else {
            self.tracing.remove(&number);
        }
        if !conn.is_watching() {
            self.watchers.remove(number);
        } else if !self.watchers.add(number) {
            conn.refuse_watching();
        }
        heard.admin
    }

    /// Something arrived on an LLT port; without a client it is dropped.
    pub(super) fn llt_arrived(
        &mut self,
        stack: &Stack,
        from: Id,
        (port, datagram): (LltPort, bool),
        payload: &Bytes,
    ) {
        for number in self.ports.clients(port) {
            if let Some(conn) = self.conns.get_mut(&number) {
                conn.llt_arrived(stack, from.node, datagram, payload.clone());
                self.dirty.insert(number);
            }
        }
    }

    /// The LLT ports that have clients, with the names of their programs.
    pub(super) fn llt_ports(&self) -> Vec<(LltPort, String)> {
        let clients = self.ports.all().filter_map(|(number, port)| {
            let program = self.conns.get(&number)?.program();
            Some((port, program.unwrap_or_else(|| "client".to_owned())))
        });
        clients.collect()
    }

    /// Who of this node is on a GAB port.
    pub(super) fn on_port(&self, port: PortName) -> PortClient {
        let kernel: Vec<&str> =
            self.conns.values().filter_map(|conn| conn.kernel_name(port)).collect();
        PortClient::of(port, &kernel)
    }

    /// What [`PortInfo::flags`](crate::admin::PortInfo) says of a GAB port.
    pub(super) fn flags(&self, port: PortName) -> u32 {
        self.conns.values().fold(0, |flags, conn| flags | conn.flags(port))
    }

    /// LLT has room for this node again.
    pub(super) fn llt_writable(&mut self, node: NodeId) {
        for (number, _) in self.ports.all() {
            if let Some(conn) = self.conns.get_mut(&number) {
                conn.llt_writable(node);
                self.dirty.insert(number);
            }
        }
    }

    /// Tells the stack which LLT ports are open and busy, if that changed or it is `new`.
    pub(super) fn announce_ports(&mut self, now: Instant, stack: &mut Stack, new: bool) {
        let (mut open, mut busy) = (0, 0);
        for (number, port) in self.ports.all() {
            if let Some(conn) = self.conns.get_mut(&number) {
                if new {
                    conn.restart_llt();
                    self.dirty.insert(number);
                }
                conn.judge_llt(stack);
                open |= 1 << port.get();
                busy |= u32::from(conn.is_llt_busy()) << port.get();
            }
        }
        if new || self.announced != (open, busy) {
            self.announced = (open, busy);
            stack.set_llt_ports(now, open, busy);
        }
    }

    /// Is anybody told of frames?
    pub(super) fn is_tracing(&self) -> bool {
        !self.tracing.is_empty()
    }

    /// A frame passed a link.
    pub(super) fn frame(&mut self, frame: &TracedFrame) {
        for number in &self.tracing {
            if let Some(conn) = self.conns.get_mut(number) {
                conn.frame(frame);
                self.dirty.insert(*number);
            }
        }
    }

    /// The process of a kernel-type or supervised client is gone.
    pub(super) fn process_gone(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        poller: &Poller,
        number: u32,
    ) {
        self.processes.gone(poller, number);
        stack.gone(now, ClientId(number));
        if let Some(conn) = self.conns.get_mut(&number) {
            conn.process_gone(now, stack);
            self.dirty.insert(number);
        }
    }

    /// The stack wants a sign of life of this client.
    pub(super) fn ask(&mut self, client: ClientId) {
        if let Some(conn) = self.conns.get_mut(&client.0) {
            conn.ask();
            self.dirty.insert(client.0);
        }
    }

    /// The stack wants a signal sent to the process of this client.
    pub(super) fn signal(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        client: ClientId,
        signal: ClientSignal,
    ) {
        if self.processes.contains(client.0) {
            self.processes.signal(client.0, signal);
        } else {
            // It is gone; what still holds its socket is some child of it.
            stack.gone(now, client);
        }
    }

    /// The process id of a client, for people.
    pub(super) fn pid(&self, client: ClientId) -> Option<i32> {
        self.processes.pid(client.0)
    }

    /// Signals sent to clients that hung.
    pub(super) fn kills(&self) -> Kills {
        self.processes.kills()
    }

    /// Is anybody supervised?
    pub(super) fn is_supervising(&self) -> bool {
        self.processes.is_supervising()
    }

    /// The node was thrown out: supervised clients have to hang up.
    pub(super) fn fence(&mut self, now: Instant, policy: &Policy) {
        self.conns.values_mut().for_each(Conn::fence);
        let fenced = |number| self.conns.get(&number).is_some_and(Conn::is_fenced);
        self.processes.fence(now, policy, fenced);
    }

    /// What is due by now. The port of a process that cannot be killed, for which the node halts.
    pub(super) fn handle_timer(&mut self, now: Instant, stack: &mut Stack) -> Option<PortName> {
        self.draining.retain(|number| {
            let Some(conn) = self.conns.get_mut(number) else { return false };
            conn.drain(now, stack);
            self.dirty.insert(*number);
            conn.drain_until(stack).is_some()
        });
        self.processes.strike(now, &stack.gab().config().policy)
    }

    /// When [`Clients::handle_timer`] has something to do.
    pub(super) fn next_deadline(&self, stack: &Stack) -> Option<Instant> {
        let draining = self.draining.iter().filter_map(|number| self.conns.get(number));
        let drained = draining.filter_map(|conn| conn.drain_until(stack)).min();
        earliest(drained, self.processes.next_deadline(&stack.gab().config().policy))
    }

    /// The stack has something for this client.
    pub(super) fn mark(&mut self, client: ClientId) {
        self.dirty.insert(client.0);
    }

    /// Answers a request of an administrator; one that has gone is not missed.
    pub(super) fn answer(&mut self, number: u32, error: bool, text: &[u8]) {
        if let Some(conn) = self.conns.get_mut(&number) {
            conn.answer(error, text);
            self.dirty.insert(number);
        }
    }

    /// Sends what there is to send. True if some of it waits for the next turn.
    pub(super) fn flush(&mut self, now: Instant, stack: &mut Stack, poller: &Poller) -> bool {
        let mut more = false;
        for number in std::mem::take(&mut self.dirty) {
            let Some(conn) = self.conns.get_mut(&number) else { continue };
            if conn.pump(now, stack) {
                self.dirty.insert(number);
                more = true;
            }
            self.ports.note(number, conn.llt_port());
            if !conn.is_tracing() {
                self.tracing.remove(&number);
            }
            if !conn.is_watching() {
                self.watchers.remove(number);
            } else if conn.has_caught_up() {
                self.watchers.renew(number);
                more = true;
            }
            if conn.is_gone() {
                poller.remove(conn.socket());
                self.conns.remove(&number);
                if self.processes.release(poller, number) {
                    stack.gone(now, ClientId(number));
                }
                continue;
            }
            if conn.drain_until(stack).is_some() {
                self.draining.insert(number);
            }
            let wants = conn.wants();
            if conn.is_orphan() {
                poller.remove(conn.socket());
            } else if wants != conn.interest {
                conn.interest = wants;
                if poller.interest(conn.socket(), Token::Client(number), wants.0, wants.1).is_err()
                {
                    tracing::error!("cannot wait for client {number}");
                }
            }
        }
        self.announce_ports(now, stack, false);
        more
    }

    /// GAB closed a registration on this port, or all (`None`).
    pub(super) fn find_closed(&mut self, now: Instant, stack: &mut Stack, port: Option<PortName>) {
        for (&number, conn) in &mut self.conns {
            if port.is_none() || conn.port() == port {
                conn.find_closed(now, stack);
                self.dirty.insert(number);
            }
        }
    }

    /// Ends every registration: the stack that knew them is gone.
    pub(super) fn stop_registered(&mut self, reason: CloseReason) {
        for (&number, conn) in &mut self.conns {
            if conn.port().is_some() {
                conn.stop(reason);
                self.dirty.insert(number);
            }
        }
    }

    /// Asks every client of the kernel type to end what it has under way, and to hang up.
    pub(super) fn stop_kernel(&mut self, now: Instant) {
        for (&number, conn) in &mut self.conns {
            if conn.is_kernel() {
                conn.ask_to_end(now, CloseReason::Stopped);
                self.dirty.insert(number);
            }
        }
    }

    /// Ends every connection.
    pub(super) fn stop_all(&mut self, reason: CloseReason) {
        for (&number, conn) in &mut self.conns {
            conn.stop(reason);
            self.dirty.insert(number);
        }
    }

    /// Kills every kernel-type client and names their ports.
    pub(super) fn kill_kernel_clients(&self) -> Vec<PortName> {
        self.processes.kill_kernel()
    }

    /// A port on which somebody is registered whom others are to wait for, whose process may be gone
    /// already.
    pub(super) fn kernel_port(&self) -> Option<PortName> {
        self.conns.values().find(|conn| conn.is_kernel()).and_then(Conn::port)
    }

    /// The same, if it has still to hang up.
    pub(super) fn holding_port(&self) -> Option<PortName> {
        let holds = |conn: &&Conn| conn.is_kernel() && !conn.is_orphan();
        self.conns.values().find(holds).and_then(Conn::port)
    }

    /// Is anybody registered?
    pub(super) fn registered(&self) -> bool {
        self.conns.values().any(|conn| conn.port().is_some())
    }

    /// Is nobody connected?
    pub(super) fn is_empty(&self) -> bool {
        self.conns.is_empty()
    }
}

/// Datagrams read from one client in one turn: the others want their share.
const DATAGRAMS_PER_TURN: usize = 4;

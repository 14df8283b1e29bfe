//! All connections.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;

use bytes::Bytes;
use llt::{Id, Instant, LltPort, NodeId};

use crate::admin::AdminRequest;
use crate::daemon::conn::Conn;
use crate::daemon::llt_ports::LltPorts;
use crate::daemon::notices::PortClient;
use crate::daemon::poller::{Poller, Ready, Token};
use crate::event::CloseReason;
use crate::ids::PortName;
use crate::ipc::TracedFrame;
use crate::limits::{CLIENTS_MAX, IPC_DATAGRAM_MAX};
use crate::stack::{ClientId, Stack};

/// The connections of one gabd.
#[derive(Debug)]
pub(super) struct Clients {
    conns: BTreeMap<u32, Conn>,
    next: u32,
    /// Those with something to do in this turn.
    dirty: BTreeSet<u32>,
    /// Who has which LLT port, and the open and the busy ones that the stack knows of.
    ports: LltPorts,
    announced: (u32, u32),
    /// Those who are told of frames.
    tracing: BTreeSet<u32>,
    scratch: Vec<u8>,
}

impl Clients {
    pub(super) fn new() -> Self {
        Self {
            conns: BTreeMap::new(),
            next: 1,
            dirty: BTreeSet::new(),
            ports: LltPorts::default(),
            announced: (0, 0),
            tracing: BTreeSet::new(),
            scratch: vec![0; IPC_DATAGRAM_MAX],
        }
    }

    /// Takes a new connection; one too many is closed at once.
    pub(super) fn add(&mut self, poller: &Poller, socket: OwnedFd) {
        if self.conns.len() >= CLIENTS_MAX {
            tracing::warn!("a client was turned away: {CLIENTS_MAX} are connected");
            return;
        }
        while self.conns.contains_key(&self.next) {
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
        let heard = conn.read(now, stack, &self.ports, &mut self.scratch, DATAGRAMS_PER_TURN);
        if heard.watch
            && let Some(process) = conn.process()
            && let Err(error) = poller.add(process, Token::Process(number))
        {
            tracing::error!("cannot watch the process of a client: {error}");
        }
        if ready.hung_up && !conn.wants().0 {
            // Nobody reads what we might still send, and it would report itself for ever.
            conn.abandon(now, stack);
        }
        self.ports.note(number, conn.llt_port());
        if conn.is_tracing() {
            self.tracing.insert(number);
        } else {
            self.tracing.remove(&number);
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

    /// The process of a kernel-type client is gone.
    pub(super) fn process_gone(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        poller: &Poller,
        number: u32,
    ) {
        if let Some(conn) = self.conns.get_mut(&number) {
            if let Some(process) = conn.process() {
                poller.remove(process);
            }
            conn.process_gone(now, stack);
            self.dirty.insert(number);
        }
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
            if conn.is_gone() {
                poller.remove(conn.socket());
                self.conns.remove(&number);
                continue;
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

    /// Ends every connection.
    pub(super) fn stop_all(&mut self, reason: CloseReason) {
        for (&number, conn) in &mut self.conns {
            conn.stop(reason);
            self.dirty.insert(number);
        }
    }

    /// Kills every kernel-type client and names their ports.
    pub(super) fn kill_kernel_clients(&self) -> Vec<PortName> {
        let kernel = self.conns.values().filter(|conn| conn.process().is_some());
        kernel.inspect(|conn| conn.kill()).filter_map(Conn::port).collect()
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

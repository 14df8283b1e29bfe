//! One client's connection: records in, records out, credit both ways (see [`crate::ipc`]).
//!
//! Nothing is buffered for a client beyond what it granted: its events stay in the stack, whose
//! queue flow-controls the senders. What the client sends is within what the stack has room for.

mod ports;
mod watch;

use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytes::Bytes;
use llt::{Duration, Instant, LltPort};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};

use crate::admin::AdminRequest;
use crate::client::Buffer;
use crate::daemon::llt_ports::{LltPorts, OUTBOX, PortClient};
use crate::daemon::processes::Process;
use crate::event::{ClientEvent, CloseReason, OpenOptions, PortEvent};
use crate::ids::PortName;
use crate::ipc::{Datagram, Packer, Reader, Record, VERSION};
use crate::limits::{IPC_DATAGRAM_MAX, MESSAGE_MAX};
use crate::stack::{ClientId, Stack};

/// One connection, and the registration on it if there is one.
#[derive(Debug)]
pub(super) struct Conn {
    id: ClientId,
    socket: OwnedFd,
    registration: Option<Registration>,
    /// Instead of a registration: it is the client of an LLT port.
    llt: Option<PortClient>,
    /// It is told of frames that pass the links; so many were dropped since the last one.
    traced: Option<u32>,
    /// It is told of events; so many were dropped since the last one.
    watched: Option<u64>,
    /// What the client may still send.
    granted: Credit,
    /// What we may still send.
    credit: Credit,
    /// Taken from the stack and not yet sent for want of credit.
    held: VecDeque<PortEvent>,
    /// The generation of the last view that was taken from there.
    view: Option<u64>,
    packer: Packer,
    /// A datagram that the socket did not take.
    sending: Option<Datagram>,
    phase: Phase,
    /// `Close` was said; it is answered when all that was sent before is ordered.
    finishing: bool,
    /// A request of an administrator is under way; no more is read before it is answered.
    answering: bool,
    /// Its process is to end: it stays known until it hangs up.
    fenced: bool,
    /// The node stops, and it is of the kernel type.
    asked_to_end: bool,
    /// Questions for signs of life so far.
    asked: u32,
    /// Interest as the poller knows it.
    pub(super) interest: (bool, bool),
}

/// What came out of reading.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// A request to be answered with [`Conn::answer`].
    pub(super) admin: Option<AdminRequest>,
    /// A kernel-type or supervised client registered: watch its process.
    pub(super) watch: Option<Process>,
}

/// What a connection is about to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Serving.
    Open,
    /// Nothing is heard any more; what is queued is sent when the client reads, however late: it
    /// may be stopped, and has to find out why it was closed. It costs a connection till then.
    Closing,
    /// The socket is gone, but the registration stays until the process is gone.
    Orphan,
    /// To be removed.
    Gone,
}

#[derive(Debug)]
struct Registration {
    port: PortName,
    /// For the log.
    name: String,
    /// It dies with its process only (precise rule 13).
    kernel: bool,
    /// When that was seen to be gone; or when one that is asked to end hung up.
    let_go: Option<Instant>,
    /// It was said that something of it is still there.
    lingers: bool,
    shared: bool,
    supervised: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Credit {
    messages: usize,
    bytes: usize,
}

impl Conn {
    pub(super) fn new(id: ClientId, socket: OwnedFd) -> Self {
        // Room for a few datagrams, as far as the system allows.
        let _ = rustix::net::sockopt::set_socket_send_buffer_size(&socket, 8 * IPC_DATAGRAM_MAX);
        Self {
            id,
            socket,
            registration: None,
            llt: None,
            traced: None,
            watched: None,
            granted: Credit::default(),
            credit: Credit::default(),
            held: VecDeque::new(),
            view: None,
            packer: Packer::default(),
            sending: None,
            phase: Phase::Open,
            finishing: false,
            answering: false,
            fenced: false,
            asked_to_end: false,
            asked: 0,
            interest: (true, false),
        }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The port it is registered on.
    pub(super) fn port(&self) -> Option<PortName> {
        self.registration.as_ref().map(|registration| registration.port)
    }

    /// What [`PortInfo::flags`](crate::admin::PortInfo) says of it, if it is on this port.
    pub(super) fn flags(&self, port: PortName) -> u32 {
        let known = self.registration.as_ref().filter(|known| known.port == port);
        known.map_or(0, |known| {
            1 | u32::from(known.shared) << 1
                | u32::from(known.kernel) << 2
                | u32::from(known.supervised) << 3
        })
    }

    /// The name that it gave, if it is a kernel-type client of this port.
    pub(super) fn kernel_name(&self, port: PortName) -> Option<&str> {
        let kernel = |known: &&Registration| known.port == port && known.kernel;
        self.registration.as_ref().filter(kernel).map(|known| known.name.as_str())
    }

    /// A registration that others go on without only when its process is gone, with what that left.
    pub(super) fn is_kernel(&self) -> bool {
        self.registration.as_ref().is_some_and(|known| known.kernel)
    }

    /// The LLT port it is the client of.
    pub(super) fn llt_port(&self) -> Option<LltPort> {
        self.llt.as_ref().map(PortClient::port)
    }

    /// Is it told of frames?
    pub(super) fn is_tracing(&self) -> bool {
        self.traced.is_some() && self.phase == Phase::Open
    }

    pub(super) fn is_gone(&self) -> bool {
        self.phase == Phase::Gone
    }

    /// Is only the process left?
    pub(super) fn is_orphan(&self) -> bool {
        self.phase == Phase::Orphan
    }

    /// Wants to read, wants to write.
    pub(super) fn wants(&self) -> (bool, bool) {
        (self.phase == Phase::Open && !self.answering, self.sending.is_some())
    }

    /// Reads up to `datagrams` and does what they say.
    pub(super) fn read(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        ports: &LltPorts,
        buffer: &mut Buffer,
        datagrams: usize,
    ) -> Heard {
        let mut heard = Heard::default();
        for _ in 0..datagrams {
            if self.phase != Phase::Open || self.answering {
                break;
            }
            let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
            let datagram = match rustix::net::recv(&self.socket, buffer.space(), flags) {
                Err(Errno::AGAIN | Errno::INTR) => break,
                Ok((_, len)) if len > IPC_DATAGRAM_MAX => {
                    self.protocol_error(now, stack, &"the datagram is too long");
                    break;
                }
                // A client that closes with something unread resets the connection. That is told
                // once, before what it sent itself, which can still be read.
                Err(Errno::CONNRESET) => continue,
                // The end: whatever was sent before has been read.
                Ok((_, 0)) | Err(_) => {
                    self.hung_up(now, stack);
                    break;
                }
                Ok(_) => buffer.take(),
            };
            if self.is_supervised() {
                stack.heard(now, self.id, false);
            }
            for record in Reader::new(datagram) {
                let done = match record {
                    Ok(record) => self.handle(now, stack, ports, record, &mut heard),
                    Err(error) => Err(error.to_string()),
                };
                if let Err(error) = done {
                    self.protocol_error(now, stack, &error);
                    break;
                }
            }
        }
        heard
    }

    /// One record; the error says how it broke the protocol.
    fn handle(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        ports: &LltPorts,
        record: Record,
        heard: &mut Heard,
    ) -> Result<(), String> {
        match record {
            Record::Ack { generation } => {
                self.registered("Ack")?;
                if !stack.ack_view(now, self.id, generation) {
                    // A newer view is on its way to the client: it acknowledges that.
                    tracing::debug!(generation, "acknowledgement of an old view");
                }
            }
            Record::Admin { json } => {
                if self.answering {
                    return Err("a second request before the answer to the first".into());
                }
                match serde_json::from_slice(&json) {
                    Ok(request) => {
                        self.answering = true;
                        heard.admin = Some(request);
                    }
                    Err(error) => return Err(format!("the request is not understood: {error}")),
                }
            }
            // It may cross the end of the registration.
            Record::Beat { .. } => stack.heard(now, self.id, true),
            Record::Broadcast { .. } | Record::Pack { .. } | Record::Send { .. } => {
                self.send(now, stack, record)?;
            }
            Record::Close => {
                // Also without a registration: the client may not know yet that it was refused.
                self.finishing = true;
                self.finish(now, stack);
            }
            Record::Credit { messages, bytes } => {
                self.credit.messages = self.credit.messages.saturating_add(size(messages));
                self.credit.bytes = self.credit.bytes.saturating_add(size(bytes));
            }
            Record::LltOpen { version, port } => {
                self.not_open_yet()?;
                self.open_llt(stack, ports, version, port);
            }
            Record::LltSend { node, reliable, payload } => {
                self.llt_send(now, stack, node, reliable, payload)?;
            }
            Record::Open { version, port, options, name } => {
                self.not_open_yet()?;
                heard.watch = self.open(now, stack, version, port, options, &name);
            }
            Record::Trace { on } => self.traced = on.then_some(0),
            Record::Watch { on } => self.watched = on.then_some(0),
            Record::Answer { .. }
            | Record::AskBeat { .. }
            | Record::Closed(_)
            | Record::Deliver(_)
            | Record::DeliverPack(_)
            | Record::Event { .. }
            | Record::Frame(_)
            | Record::LltMessage { .. }
            | Record::Opened { .. }
            | Record::Refused { .. }
            | Record::Status(_)
            | Record::View(_) => return Err("a record that only gabd may send".into()),
        }
        Ok(())
    }

    fn not_open_yet(&self) -> Result<(), String> {
        if self.registration.is_some() || self.llt.is_some() {
            return Err("a second Open".into());
        }
        Ok(())
    }

    /// Returns the process to watch, if there is one.
    fn open(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        version: u16,
        port: PortName,
        options: OpenOptions,
        name: &str,
    ) -> Option<Process> {
        if !self.speaks(version) {
            return None;
        }
        let (kernel, supervised) = (options.kernel, options.heartbeat.is_some());
        let process = || Process::at(&self.socket, port, kernel, supervised);
        let process = match (kernel || supervised).then(process).transpose() {
            Ok(process) => process,
            Err(error) => {
                self.refuse(EPERM, &format!("cannot watch the process of the client: {error}"));
                return None;
            }
        };
        if let Err(error) = stack.open(now, self.id, port, options) {
            self.refuse(errno(error.errno()), &error.to_string());
            return None;
        }
        tracing::debug!(%port, name, "registered");
        // It comes from outside, and a line of the log must stay one.
        let name = name.escape_debug().to_string();
        if kernel {
            let handle = self.id.0;
            let text = format!("Client {name} inited GAB API with handle {handle:016x}");
            tracing::info!("GAB INFO V-15-1-20230 {text}");
        }
        let shared = options.shared;
        self.registration = Some(Registration {
            port,
            name,
            kernel,
            let_go: None,
            lingers: false,
            shared,
            supervised,
        });
        self.opened(stack);
        process
    }

    fn is_supervised(&self) -> bool {
        self.registration.as_ref().is_some_and(|registration| registration.supervised)
    }

    /// Asks for a sign of life. It costs no credit and waits for nothing but the socket.
    pub(super) fn ask(&mut self) {
        if self.registration.is_some() && self.phase == Phase::Open {
            self.asked = self.asked.wrapping_add(1);
            self.packer.push(&Record::AskBeat { number: self.asked });
        }
    }

    /// The registration is no more.
    fn drop_registration(&mut self) -> bool {
        let Some(registration) = self.registration.take() else { return false };
        if registration.kernel {
            tracing::info!("GAB INFO V-15-1-20229 Client {} deiniting GAB API", registration.name);
        }
        true
    }

    /// Refuses a client of another version.
    fn speaks(&mut self, version: u16) -> bool {
        if version != VERSION {
            self.refuse(EPROTONOSUPPORT, &format!("gabd speaks version {VERSION}"));
        }
        version == VERSION
    }

    fn opened(&mut self, stack: &Stack) {
        self.packer.push(&Record::Opened { version: VERSION, node: stack.id().node });
        self.granted = Credit::default();
        self.grant(stack);
    }

    /// The name of the program at the other end, as the system shows it.
    pub(super) fn program(&self) -> Option<String> {
        let peer = rustix::net::sockopt::socket_peercred(&self.socket).ok()?;
        let name = std::fs::read_to_string(format!("/proc/{}/comm", peer.pid.as_raw_pid())).ok()?;
        Some(name.trim_end().to_owned()).filter(|name| !name.is_empty())
    }

    /// A record that costs credit.
    fn send(&mut self, now: Instant, stack: &mut Stack, record: Record) -> Result<(), String> {
        let sent = match record {
            Record::Broadcast { level, payload } => {
                self.registered("Broadcast")?;
                self.spend(1, payload.len(), "Broadcast")?;
                stack.broadcast(now, self.id, level, payload)
            }
            Record::Pack { level, messages } => {
                self.registered("Pack")?;
                self.spend(messages.messages().into(), messages.payload_len(), "Pack")?;
                stack.broadcast_pack(now, self.id, level, messages)
            }
            Record::Send { node, payload } => {
                self.registered("Send")?;
                self.spend(1, payload.len(), "Send")?;
                stack.send_to(now, self.id, node, payload)
            }
            other => return Err(format!("no message: {other:?}")),
        };
        if let Err(error) = sent {
            self.refuse(errno(error.errno()), &error.to_string());
        }
        Ok(())
    }

    fn registered(&self, what: &str) -> Result<(), String> {
        self.registration.as_ref().map(|_| ()).ok_or_else(|| format!("{what} without Open"))
    }

    /// Answers `Close` once the stack has nothing of the client under way any more.
    fn finish(&mut self, now: Instant, stack: &mut Stack) {
        let is_idle = match &self.llt {
            Some(llt) => llt.is_idle(),
            None => self.registration.is_none() || stack.is_settled(self.id),
        };
        if self.finishing && is_idle {
            self.finishing = false;
            self.unregister(now, stack, false);
            self.packer.push(&Record::Closed(0));
        }
    }

    /// Takes messages out of what the client was granted.
    fn spend(&mut self, messages: usize, bytes: usize, what: &str) -> Result<(), String> {
        if self.finishing {
            return Err(format!("{what} after Close"));
        }
        let messages = self.granted.messages.checked_sub(messages);
        let (Some(messages), Some(bytes)) = (messages, self.granted.bytes.checked_sub(bytes))
        else {
            return Err(format!("{what} without credit"));
        };
        self.granted = Credit { messages, bytes };
        Ok(())
    }

    fn refuse(&mut self, errno: u32, text: &str) {
        self.packer.push(&Record::Refused { errno, text: text.to_owned() });
    }

    /// Grants what the stack has room for and the client does not know of yet. Small amounts wait,
    /// so that a busy client gets few records, unless they are all it has.
    fn grant(&mut self, stack: &Stack) {
        let (room, whole) = match &self.llt {
            Some(llt) => (llt.room(), OUTBOX),
            None => (stack.send_room(self.id), stack.whole_send_room(self.id)),
        };
        let (messages, bytes) = room;
        if self.finishing {
            return;
        }
        let more = Credit {
            messages: messages.saturating_sub(self.granted.messages),
            bytes: bytes.saturating_sub(self.granted.bytes),
        };
        let worth = more.messages >= whole.0 / 4 || more.bytes >= whole.1 / 4;
        let starving = self.granted.messages == 0 || self.granted.bytes < MESSAGE_MAX;
        if more == Credit::default() || !(worth || starving) {
            return;
        }
        self.granted.messages += more.messages;
        self.granted.bytes += more.bytes;
        self.packer
            .push(&Record::Credit { messages: narrow(more.messages), bytes: narrow(more.bytes) });
    }

    /// Moves events of the stack to the socket, as far as credit and the socket go. True if there
    /// is more to do at once.
    pub(super) fn pump(&mut self, now: Instant, stack: &mut Stack) -> bool {
        let is_dead = |known: &Registration| known.let_go.is_some();
        let is_deaf = self.phase == Phase::Orphan || self.is_awaited();
        if is_deaf || self.registration.as_ref().is_some_and(is_dead) {
            // Nobody takes it, and no other member is to wait for that.
            self.discard(now, stack);
            if self.phase != Phase::Orphan {
                self.finish(now, stack);
                self.flush();
            }
            return false;
        }
        let mut more = false;
        self.send_waiting(now, stack);
        for _ in 0..DATAGRAMS_PER_TURN {
            more = false;
            // Not while the socket is full: what waits has its bound in the stack, where a client
            // that does not read is noticed.
            let is_open = self.registration.is_some() || self.llt.is_some();
            if self.phase == Phase::Open && is_open && self.sending.is_none() {
                self.grant(stack);
                more = if self.llt.is_some() { self.fill_llt() } else { self.fill(now, stack) };
                self.finish(now, stack);
            }
            if self.packer.is_empty() && self.sending.is_none() {
                break;
            }
            if !self.flush() {
                // The poller tells when the socket takes more.
                return false;
            }
        }
        let is_told = self.packer.is_empty() && self.sending.is_none();
        if self.phase == Phase::Closing && is_told && !self.fenced {
            self.phase = Phase::Gone;
            self.shut();
        }
        more
    }

    /// Fills one datagram. True if it is full and there may be more events: the stack announces
    /// only the first of a queue.
    fn fill(&mut self, now: Instant, stack: &mut Stack) -> bool {
        let mut filled = 0;
        while self.registration.is_some() && filled < IPC_DATAGRAM_MAX / 2 {
            let Some(event) = self.held.pop_front().or_else(|| stack.poll_client(now, self.id))
            else {
                return false;
            };
            if let PortEvent::One(ClientEvent::View(view)) = &event {
                self.view = Some(view.generation);
            }
            let cost = match &event {
                PortEvent::One(ClientEvent::Closed(_)) => Credit::default(),
                other => {
                    let (messages, bytes) = other.cost();
                    Credit { messages, bytes }
                }
            };
            if cost.messages > self.credit.messages || cost.bytes > self.credit.bytes {
                self.held.push_front(event);
                return false;
            }
            self.credit.messages -= cost.messages;
            self.credit.bytes -= cost.bytes;
            filled += cost.bytes + 128;
            self.push(event);
        }
        self.registration.is_some()
    }

    /// Nobody reads any more what is said to a client that only its process keeps; its port must not
    /// wait for that.
    fn discard(&mut self, now: Instant, stack: &mut Stack) {
        self.held.clear();
        if let Some(generation) = self.view.take() {
            stack.ack_view(now, self.id, generation);
        }
        while let Some(event) = stack.poll_client(now, self.id) {
            match event {
                PortEvent::One(ClientEvent::Closed(_)) => {
                    self.drop_registration();
                    self.phase = Phase::Gone;
                }
                PortEvent::One(ClientEvent::View(view)) => {
                    stack.ack_view(now, self.id, view.generation);
                }
                PortEvent::One(ClientEvent::Deliver(_) | ClientEvent::Status(_))
                | PortEvent::Pack(_) => {}
            }
        }
    }

    fn push(&mut self, event: PortEvent) {
        let record = match event {
            PortEvent::One(ClientEvent::Closed(reason)) => return self.closed(reason),
            PortEvent::One(ClientEvent::Deliver(delivery)) => Record::Deliver(delivery),
            PortEvent::One(ClientEvent::Status(view)) => Record::Status(view),
            PortEvent::One(ClientEvent::View(view)) => Record::View(view),
            PortEvent::Pack(pack) => Record::DeliverPack(pack),
        };
        self.packer.push(&record);
    }

    /// The registration ended; the connection follows when the client knows.
    fn closed(&mut self, reason: CloseReason) {
        if matches!(reason, CloseReason::NotReading | CloseReason::Protocol) {
            // Its registration was ended over its head.
            self.fence();
        }
        self.drop_registration();
        self.llt = None;
        self.traced = None;
        self.finishing = false;
        self.held.clear();
        self.packer.push(&Record::Closed(errno(reason.errno())));
        if self.phase == Phase::Open {
            self.phase = Phase::Closing;
        }
    }

    /// The stack closed registrations: finds the `Closed` event even if the client has no credit
    /// for what stands before it. What is found is at most what the stack's queue holds.
    pub(super) fn find_closed(&mut self, now: Instant, stack: &mut Stack) {
        if self.registration.is_none() || !stack.is_closed(self.id) {
            return;
        }
        while let Some(event) = stack.poll_client(now, self.id) {
            if let PortEvent::One(ClientEvent::Closed(reason)) = event {
                // What it has credit for it still gets.
                self.held.push_back(event);
                self.fill(now, stack);
                if self.registration.is_some() {
                    self.closed(reason);
                }
                if self.phase == Phase::Orphan {
                    self.phase = Phase::Gone;
                }
                return;
            }
            self.held.push_back(event);
        }
    }

    /// A client of the kernel type is told that it is over, and what it has under way is waited for: the
    /// others go on without it when it hangs up, whether its process is gone or not.
    pub(super) fn ask_to_end(&mut self, now: Instant, reason: CloseReason) {
        if !self.is_kernel() || self.finishing || self.asked_to_end {
            return;
        }
        match self.phase {
            Phase::Open => {
                self.held.clear();
                self.packer.push(&Record::Closed(errno(reason.errno())));
                self.phase = Phase::Closing;
            }
            Phase::Orphan => self.lets_go(now),
            // It is being killed.
            Phase::Closing | Phase::Gone => return,
        }
        self.asked_to_end = true;
    }

    /// Its process is gone, or is not what is waited for.
    fn lets_go(&mut self, now: Instant) {
        if let Some(registration) = &mut self.registration {
            registration.let_go.get_or_insert(now);
        }
    }

    /// Nothing is heard of it any more, and its hang-up is waited for.
    fn is_awaited(&self) -> bool {
        self.phase == Phase::Closing && self.is_kernel()
    }

    /// Ends the connection from our side.
    pub(super) fn stop(&mut self, reason: CloseReason) {
        if self.phase == Phase::Open {
            if self.registration.is_some() || self.llt.is_some() {
                self.closed(reason);
            }
            self.phase = Phase::Closing;
        }
    }

    /// The process of a supervised client has to notice that its registration is over: the connection
    /// stays until it hangs up.
    pub(super) fn fence(&mut self) {
        let alive = |known: &Registration| known.supervised && known.let_go.is_none();
        self.fenced |= self.registration.as_ref().is_some_and(alive);
    }

    /// Has its process to hang up still?
    pub(super) fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// The other end closed the socket. All that it sent was read and is ordered before the close.
    fn hung_up(&mut self, now: Instant, stack: &mut Stack) {
        if self.is_kernel() && !self.finishing {
            // Precise rule 13: a kernel-type client dies with its process only.
            self.phase = Phase::Orphan;
            if self.asked_to_end {
                self.lets_go(now);
            }
            return self.drain(now, stack);
        }
        self.unregister(now, stack, !self.finishing);
        self.phase = Phase::Gone;
    }

    /// The process of the client is gone.
    pub(super) fn process_gone(&mut self, now: Instant, stack: &mut Stack) {
        // What it sent before it died may not have been read yet; the hang-up of the socket follows.
        self.lets_go(now);
        self.fenced = false;
        self.drain(now, stack);
    }

    /// Ends the registration of a kernel-type client that is gone, with all that it left under way. What
    /// it has given the system to hold together with its socket is waited for, however long that takes:
    /// the others must not go on before.
    pub(super) fn drain(&mut self, now: Instant, stack: &mut Stack) {
        if self.drain_until(stack).is_none_or(|until| until > now) {
            return;
        }
        if self.phase == Phase::Orphan {
            self.unregister(now, stack, !self.finishing && !self.asked_to_end);
            self.phase = Phase::Gone;
        } else if let Some(registration) = &mut self.registration {
            registration.lingers = true;
            let Registration { port, name, .. } = registration;
            tracing::warn!(
                "Port {port}: the process of client {name} is gone, and what it left to the system, or a \
                 child of it, is not: the port stays its own until that is over"
            );
        }
    }

    /// When [`Self::drain`] has something to do for a kernel-type client whose process is gone: the end of
    /// its drain time, or, before its socket hangs up, the moment to say that something holds it.
    pub(super) fn drain_until(&self, stack: &Stack) -> Option<Instant> {
        let registration = self.registration.as_ref().filter(|registration| registration.kernel)?;
        let since = registration.let_go?;
        match self.phase {
            Phase::Orphan => Some(since + stack.gab().config().policy.drain),
            _ => (!registration.lingers).then(|| since + HANG_UP),
        }
    }

    /// The other end is gone and nothing is read any more.
    pub(super) fn abandon(&mut self, now: Instant, stack: &mut Stack) {
        if self.phase != Phase::Orphan {
            self.hung_up(now, stack);
        }
    }

    /// `died`: without having closed it.
    fn unregister(&mut self, now: Instant, stack: &mut Stack, died: bool) {
        self.llt = None;
        if self.drop_registration() {
            if died {
                stack.died(now, self.id);
            } else {
                stack.close(now, self.id);
            }
            self.held.clear();
        }
    }

    fn protocol_error(&mut self, now: Instant, stack: &mut Stack, error: &dyn std::fmt::Display) {
        tracing::warn!("a client broke the protocol of gab.sock and is closed: {error}");
        if let Some(registration) = &self.registration {
            stack.expel(now, self.id, CloseReason::Protocol);
            if registration.kernel {
                // Nothing more is heard of it; its registration ends with its process, and with what that
                // leaves.
                self.phase = Phase::Closing;
                return;
            }
            self.find_closed(now, stack);
        }
        if self.phase == Phase::Open {
            self.closed(CloseReason::Protocol);
        }
    }

    /// Answers the request under way, in parts that fit a datagram.
    pub(super) fn answer(&mut self, error: bool, text: &[u8]) {
        self.answering = false;
        let mut parts = text.chunks(ANSWER_PART).peekable();
        while let Some(part) = parts.next() {
            let more = parts.peek().is_some();
            self.packer.push(&Record::Answer { more, error, text: Bytes::copy_from_slice(part) });
        }
    }

    /// Makes sure that the client can read the last words: closing a socket with something unread
    /// in it resets the connection, which hides what was sent before.
    fn shut(&self) {
        if rustix::net::shutdown(&self.socket, Shutdown::Read).is_ok() {
            let mut rest = [0u8; 1];
            while let Ok((1.., _)) = rustix::net::recv(&self.socket, &mut rest, RecvFlags::DONTWAIT)
            {
            }
        }
    }

    /// Sends what is packed; false if the socket takes no more.
    fn flush(&mut self) -> bool {
        while let Some(datagram) = self.sending.take().or_else(|| self.packer.pop_pieces()) {
            if matches!(self.phase, Phase::Orphan | Phase::Gone) {
                continue;
            }
            let pieces: Vec<IoSlice<'_>> =
                datagram.pieces().iter().map(|piece| IoSlice::new(piece)).collect();
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            let mut nothing = SendAncillaryBuffer::default();
            match rustix::net::sendmsg(&self.socket, &pieces, &mut nothing, flags) {
                Ok(_) => {}
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => {
                    self.sending = Some(datagram);
                    return false;
                }
                Err(Errno::INTR) => self.sending = Some(datagram),
                // The other end is gone, and reading will tell; there is nobody to send to.
                Err(_) => {
                    if self.phase == Phase::Closing && !self.is_awaited() {
                        self.phase = Phase::Gone;
                    }
                }
            }
        }
        true
    }
}

/// The errno of an error of ours, which are all positive.
fn errno(number: i32) -> u32 {
    u32::try_from(number).expect("errnos are positive")
}

fn size(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Datagrams to one client in one turn: the others want their share.
const DATAGRAMS_PER_TURN: usize = 4;
/// How long the socket of a process that is gone may take to hang up before that is worth a word.
const HANG_UP: Duration = Duration::from_secs(1);
/// Bytes of an answer in one record.
const ANSWER_PART: usize = 64 << 10;

const EBUSY: u32 = 16;
const EPERM: u32 = 1;
const EPROTONOSUPPORT: u32 = 93;

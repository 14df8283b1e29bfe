//! The one door to the stacks: applies inputs, writes the history, the digest and the record.
//!
//! The world and the replay both come through here, so a replay needs neither network nor
//! randomness.

use std::collections::BTreeMap;

use bytes::Bytes;
use gab::core::{ArbiterReply, Notice};
use gab::event::{ClientEvent, CloseReason, OpenError, PortView, SendError};
use gab::pack::Pack;
use gab::stack::{Output, Stack};
use llt::core::LinkChange;
use llt::{Incarnation, Instant, LinkId, NodeId};

use crate::digest::{Digest, Recorder};
use crate::history::{ClientLog, End, Entry, History, Installed, Life, Read, Sent, What};
use crate::input::{Input, Line, RecordValue, client_id, level};
use crate::payload;
use crate::setup::{Setup, keyring, link_addr};

/// All nodes' stacks.
#[derive(Debug)]
pub struct Hosts {
    setup: Setup,
    hosts: Vec<Option<Host>>,
    /// What happened so far.
    pub history: History,
    digest: Digest,
    recorder: Option<Recorder>,
}

/// A running stack.
#[derive(Debug)]
struct Host {
    stack: Stack,
    /// When its timer is due, if nothing has happened to it since that was asked.
    deadline: Option<Option<Instant>>,
    /// Index into [`History::lives`].
    life: usize,
    /// Index into [`Life::clients`] of each registered client.
    clients: BTreeMap<u32, usize>,
    /// The clean leave is done.
    left: bool,
    /// It must not go on.
    halted: bool,
}

/// What came of an input.
#[derive(Debug)]
pub enum Applied {
    /// Nothing to tell.
    Done,
    /// `Open` was refused.
    NotOpened(OpenError),
    /// `Broadcast` or `SendTo` was refused.
    NotSent(SendError),
    /// Of `Flush`.
    Outputs(Vec<Output>),
    /// Of `Poll`.
    Polled(Polled),
}

/// What a client read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Polled {
    /// Events.
    pub events: u32,
    /// There are no more.
    pub drained: bool,
    /// The last membership among them.
    pub view: Option<PortView>,
    /// The registration ended.
    pub closed: bool,
}

impl Hosts {
    /// Nobody runs yet. The recorder, if any, gets every input.
    pub fn new(setup: Setup, mut recorder: Option<Recorder>) -> Self {
        if let Some(recorder) = &mut recorder {
            recorder.line(&Line::Setup(Box::new(setup.clone())));
        }
        Self {
            hosts: (0..setup.nodes).map(|_| None).collect(),
            setup,
            history: History::default(),
            digest: Digest::default(),
            recorder,
        }
    }

    /// The cluster's configuration.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The stack of a node that runs.
    pub fn stack(&self, node: usize) -> Option<&Stack> {
        self.hosts[node].as_ref().map(|host| &host.stack)
    }

    /// The index of the running life of a node.
    pub fn life(&self, node: usize) -> Option<usize> {
        self.hosts[node].as_ref().map(|host| host.life)
    }

    /// The log of a registered client of a running node.
    pub fn client(&self, node: usize, client: u32) -> Option<&ClientLog> {
        let host = self.hosts[node].as_ref()?;
        host.clients.get(&client).map(|at| &self.history.lives[host.life].clients[*at])
    }

    /// The hash of everything so far.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The arbitration record changed.
    pub fn record_changed(&mut self, at: Instant, record: RecordValue) {
        if let Some(recorder) = &mut self.recorder {
            recorder.line(&Line::Record { t: at.as_nanos(), record: record.clone() });
        }
        self.history.records.push((at, record));
    }

    /// Ends the record.
    pub fn finish(&mut self) -> std::io::Result<()> {
        let Some(mut recorder) = self.recorder.take() else { return Ok(()) };
        recorder.line(&Line::End { digest: format!("{:016x}", self.digest.value()) });
        recorder.finish()
    }

    /// When the timer of a node is due.
    pub fn next_deadline(&mut self, node: usize) -> Option<Instant> {
        let host = self.hosts[node].as_mut()?;
        *host.deadline.get_or_insert_with(|| host.stack.next_deadline())
    }

    /// Something happens to `node` at world time `at`, when its own clock shows `local`. Inputs to
    /// a node that does not run are ignored.
    pub fn apply(&mut self, at: Instant, node: usize, local: Instant, input: Input) -> Applied {
        self.note(at, node, local, &input);
        if let Input::Boot { incarnation, seed } = input {
            self.boot(at, node, local, Incarnation(incarnation), seed);
            return Applied::Done;
        }
        let Some(host) = self.hosts[node].as_mut() else { return Applied::Done };
        host.deadline = None;
        let mut door = Door {
            at,
            now: local,
            node,
            host,
            history: &mut self.history,
            digest: &mut self.digest,
        };
        let applied = door.apply(input, &self.setup);
        door.observe_view();
        let life = door.host.life;
        if self.history.lives[life].ended.is_some() {
            self.hosts[node] = None;
        }
        applied
    }

    fn note(&mut self, at: Instant, node: usize, local: Instant, input: &Input) {
        self.digest.word(at.as_nanos() ^ (node as u64) << 56);
        self.digest.word(input.code());
        if let Input::Frame { frame, .. } = input {
            self.digest.bytes(frame);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.line(&Line::Apply {
                t: at.as_nanos(),
                node: u8::try_from(node).expect("at most 128 nodes"),
                local: local.as_nanos(),
                input: input.clone(),
            });
        }
    }

    fn boot(&mut self, at: Instant, node: usize, local: Instant, inc: Incarnation, seed: u64) {
        let id = u8::try_from(node).ok().and_then(NodeId::new).expect("at most 128 nodes");
        let before: Vec<&Life> =
            self.history.lives.iter().filter(|life| life.id.node == id).collect();
        let mut config = self.setup.stack_config(id, inc, before.len());
        config.gab.returned = before.last().is_some_and(|life| life.goes_on);
        let mut stack = Stack::new(local, config, seed);
        if self.setup.first_sequence > 0 {
            let first = self.setup.first_sequence;
            stack.with_llt(local, |llt| llt.start_link_sequences_at(first));
        }
        self.history.lives.push(Life {
            id: stack.id(),
            started: at,
            ended: None,
            goes_on: false,
            leaves: None,
            views: Vec::new(),
            memberships: Vec::new(),
            notices: Vec::new(),
            clients: Vec::new(),
        });
        let life = self.history.lives.len() - 1;
        let (deadline, clients) = (None, BTreeMap::new());
        self.hosts[node] =
            Some(Host { stack, deadline, life, clients, left: false, halted: false });
    }
}

/// One input on its way through.
struct Door<'a> {
    at: Instant,
    now: Instant,
    node: usize,
    host: &'a mut Host,
    history: &'a mut History,
    digest: &'a mut Digest,
}

impl Door<'_> {
    fn apply(&mut self, input: Input, setup: &Setup) -> Applied {
        let now = self.now;
        let stack = &mut self.host.stack;
        match input {
            Input::Ack { client, generation } => self.ack(client, generation),
            Input::Arbiter { ticket, record } => {
                stack.handle_arbiter(now, ArbiterReply { ticket, record: record.map(Into::into) });
            }
            Input::Boot { .. } => {}
            Input::Broadcast { client, safe, uid, len } => {
                let sent =
                    stack.broadcast(now, client_id(client), level(safe), payload::encode(uid, len));
                return self.sent(client, None, safe, uid, sent);
            }
            Input::Pack { client, safe, uid, lens } => return self.pack(client, safe, uid, &lens),
            Input::Beat { client } => stack.heard(now, client_id(client), true),
            Input::Bye => stack.bye(now),
            Input::Carrier { link, carrier } => {
                let change = if carrier { LinkChange::Carrier } else { LinkChange::NoCarrier };
                if let Some(link) = LinkId::new(link) {
                    stack.handle_link(now, link, change);
                }
            }
            Input::Close { client } => self.close(client),
            Input::Died { client } => {
                self.forget(client);
                self.host.stack.died(now, client_id(client));
            }
            Input::Crash => {
                self.end(match (self.host.left, self.host.halted) {
                    (true, _) => End::Left,
                    (false, true) => End::Halted,
                    (false, false) => End::Crashed,
                });
            }
            Input::Flush => return Applied::Outputs(self.flush()),
            Input::Frame { link, from, frame } => self.frame(link, from, frame, setup),
            Input::Gone { client } => {
                // What its registration came to, nobody read.
                self.poll(client, u32::MAX);
                self.host.stack.gone(now, client_id(client));
            }
            Input::Keys { first, second } => {
                let keys = Some(keyring(first, second));
                if let Err(error) = stack.with_llt(now, |llt| llt.set_keys(now, keys)) {
                    let text = format!("node {}: {error}", self.node);
                    self.history.fault(self.at, "keys", text);
                }
            }
            Input::Leave => {
                stack.leave(now);
                let at = self.at;
                self.life().leaves.get_or_insert(at);
            }
            Input::Open { client, port, options } => {
                let opened = stack.open(now, client_id(client), port, options.into());
                if let Err(error) = opened {
                    return Applied::NotOpened(error);
                }
                self.opened(client, port, options);
            }
            Input::Poll { client, max } => return Applied::Polled(self.poll(client, max)),
            Input::Seed => stack.seed(now),
            Input::SendTo { client, to, uid, len } => {
                let bytes = payload::encode(uid, len);
                let sent = stack.send_to(now, client_id(client), to, bytes);
                return self.sent(client, Some(to), false, uid, sent);
            }
            Input::Timer => stack.handle_timer(now),
        }
        Applied::Done
    }

    fn life(&mut self) -> &mut Life {
        &mut self.history.lives[self.host.life]
    }

    fn log(&mut self, client: u32) -> Option<&mut ClientLog> {
        let index = *self.host.clients.get(&client)?;
        Some(&mut self.history.lives[self.host.life].clients[index])
    }

    fn frame(&mut self, link: u8, from: u8, frame: Bytes, setup: &Setup) {
        let (Some(id), Some(peer)) = (LinkId::new(link), NodeId::new(from)) else { return };
        debug_assert!(usize::from(link) < setup.links.len());
        self.host.stack.handle_frame(self.now, id, link_addr(link, peer), frame);
    }

    fn opened(&mut self, client: u32, port: gab::PortName, options: crate::input::OpenFlags) {
        let opened = self.at;
        let life = self.life();
        life.clients.push(ClientLog::new(client_id(client), port, options.into(), opened));
        let index = life.clients.len() - 1;
        self.host.clients.insert(client, index);
    }

    fn forget(&mut self, client: u32) {
        let at = self.at;
        if let Some(log) = self.log(client) {
            log.closed = Some(at);
        }
        self.host.clients.remove(&client);
    }

    fn close(&mut self, client: u32) {
        self.forget(client);
        self.host.stack.close(self.now, client_id(client));
    }

    fn ack(&mut self, client: u32, generation: u64) {
        self.host.stack.ack_view(self.now, client_id(client), generation);
        if let Some(log) = self.log(client) {
            log.unacked = log.unacked.filter(|waiting| *waiting != generation);
        }
    }

    /// A client broadcasts many messages at once.
    fn pack(&mut self, client: u32, safe: bool, first: u64, lens: &[u16]) -> Applied {
        let messages = (first..).zip(lens).map(|(uid, &len)| payload::encode(uid, len.into()));
        let messages: Vec<_> = messages.collect();
        let slices: Vec<&[u8]> = messages.iter().map(|bytes| &bytes[..]).collect();
        let (client_id, level, pack) = (client_id(client), level(safe), Pack::of(&slices));
        let sent = self.host.stack.broadcast_pack(self.now, client_id, level, pack);
        for (uid, _) in (first..).zip(lens) {
            if let Applied::NotSent(error) = self.sent(client, None, safe, uid, sent) {
                return Applied::NotSent(error);
            }
        }
        Applied::Done
    }

    fn sent(
        &mut self,
        client: u32,
        to: Option<NodeId>,
        safe: bool,
        uid: u64,
        result: Result<(), SendError>,
    ) -> Applied {
        if let Err(error) = result {
            return Applied::NotSent(error);
        }
        let (at, life) = (self.at, self.host.life);
        let Some(index) = self.host.clients.get(&client).copied() else {
            let text = format!("node {}: a send of closed client {client}", self.node);
            self.history.fault(at, "send-accepted-after-close", text);
            return Applied::Done;
        };
        let log = &mut self.history.lives[life].clients[index];
        let list = if to.is_some() { &mut log.directed } else { &mut log.broadcasts };
        list.push(uid);
        let sent = Sent {
            life,
            client: index,
            port: log.port,
            level: level(safe),
            to,
            at,
            generation: log.view.map_or(0, |view| view.generation),
            index: list.len() - 1,
        };
        assert_eq!(self.history.sent.len() as u64, uid, "the world numbers messages in order");
        self.history.sent.push(sent);
        Applied::Done
    }

    fn end(&mut self, how: End) {
        let at = self.at;
        self.check_alarms();
        self.life().ended = Some((at, how));
    }

    /// Alarms of both layers: each is a bug. So is a message that GAB cannot read, since LLT has
    /// dropped what was damaged on its way: somebody here made it.
    fn check_alarms(&mut self) {
        let counters = *self.host.stack.gab().counters();
        if counters.malformed > 0 {
            let text = format!("node {}: {} messages", self.node, counters.malformed);
            self.history.fault(self.at, "malformed", text);
        }
        let gab = counters.alarms;
        let llt = self.host.stack.llt().stats().alarms;
        if gab > 0 || llt > 0 {
            let text = format!("node {}: {llt} alarms in LLT, {gab} in GAB", self.node);
            self.history.fault(self.at, "alarm", text);
        }
    }

    fn flush(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(output) = self.host.stack.poll_output() {
            if let Output::Transmit(transmit) = &output {
                self.digest.bytes(&transmit.frame);
            }
            if let Output::Notice(Notice::Membership { port, generation, members }) = &output {
                let entry = (self.at, *port, *generation, *members);
                self.life().memberships.push(entry);
            }
            if let Output::Notice(notice) = &output
                && !matches!(notice, Notice::Llt(_) | Notice::Membership { .. })
            {
                let entry = (self.at, notice.clone());
                self.life().notices.push(entry);
            }
            outputs.push(output);
        }
        if self.host.stack.llt().stats().alarms > 0 {
            self.check_alarms();
        }
        if outputs.iter().any(|output| matches!(output, Output::Ejected { .. })) {
            self.observe_view();
            self.drain_all();
            self.end(End::Ejected);
            let halts = |output: &Output| matches!(output, Output::Ejected { halt: true });
            self.life().goes_on = !outputs.iter().any(halts);
        }
        if outputs.iter().any(|output| matches!(output, Output::Halt { .. })) {
            self.observe_view();
            self.drain_all();
            self.host.halted = true;
        }
        self.host.left |= outputs.iter().any(|output| matches!(output, Output::Left));
        outputs
    }

    /// The life ends inside the process: what clients can still read, they read now.
    fn drain_all(&mut self) {
        let clients: Vec<u32> = self.host.clients.keys().copied().collect();
        for client in clients {
            let polled = self.poll(client, u32::MAX);
            if !polled.closed {
                let text = format!("node {}: client {client} got no Closed event", self.node);
                self.history.fault(self.at, "ejected-client-not-told", text);
            }
        }
    }

    fn poll(&mut self, client: u32, max: u32) -> Polled {
        let mut polled = Polled::default();
        while polled.events < max {
            let Some(event) = self.host.stack.poll_client(self.now, client_id(client)) else {
                polled.drained = true;
                break;
            };
            polled.events += 1;
            for event in event {
                self.read(client, event, &mut polled);
            }
        }
        let views = self.history.lives[self.host.life].views.len();
        if polled.drained
            && !polled.closed
            && let Some(log) = self.log(client)
            && log.unacked.is_none()
        {
            log.drained = views;
        }
        if polled.closed {
            self.host.clients.remove(&client);
        }
        polled
    }

    fn read(&mut self, client: u32, event: ClientEvent, polled: &mut Polled) {
        let what = match event {
            ClientEvent::Closed(reason) => {
                polled.closed = true;
                if reason == CloseReason::NotReading {
                    // It hangs up.
                    self.host.stack.gone(self.now, client_id(client));
                }
                What::Closed(reason)
            }
            ClientEvent::Deliver(delivery) => match payload::decode(&delivery.payload) {
                Ok(uid) => What::Deliver(Read {
                    uid,
                    sender: delivery.sender,
                    broadcast: delivery.broadcast,
                    level: delivery.level,
                    generation: delivery.generation,
                    sequence: delivery.sequence,
                }),
                Err(wrong) => {
                    let text = format!("node {}: client {client}: a message is {wrong}", self.node);
                    self.history.fault(self.at, "ms1-integrity", text);
                    return;
                }
            },
            ClientEvent::Status(view) => What::Status(view),
            ClientEvent::View(view) => {
                polled.view = Some(view);
                What::View(view)
            }
        };
        self.digest_event(client, &what);
        let entry =
            Entry { at: self.at, views: self.history.lives[self.host.life].views.len(), what };
        let own = self.own_read(client, &what);
        let Some(log) = self.log(client) else {
            let text = format!("node {}: an event for unknown client {client}", self.node);
            self.history.fault(self.at, "event-after-close", text);
            return;
        };
        log.own_read += usize::from(own);
        if let What::View(view) = what {
            log.view = Some(view);
            log.unacked = log.options.ack.then_some(view.generation);
        }
        log.entries.push(entry);
    }

    /// Is this a broadcast of the client itself?
    fn own_read(&self, client: u32, what: &What) -> bool {
        let What::Deliver(read) = what else { return false };
        let sent = usize::try_from(read.uid).ok().and_then(|uid| self.history.sent.get(uid));
        sent.is_some_and(|sent| {
            read.broadcast
                && sent.life == self.host.life
                && self.host.clients.get(&client) == Some(&sent.client)
        })
    }

    fn digest_event(&mut self, client: u32, what: &What) {
        let (a, b) = match what {
            What::Closed(reason) => (1, u64::from(reason.errno().unsigned_abs())),
            What::Deliver(read) => (read.sequence ^ read.generation << 32, read.uid),
            What::Status(view) => (3, view.generation),
            What::View(view) => {
                self.digest.bytes(&view.members.bits().to_be_bytes());
                (4, view.generation)
            }
        };
        self.digest.word(u64::from(client) ^ a.rotate_left(8));
        self.digest.word(b);
    }

    /// Notes newly installed views.
    fn observe_view(&mut self) {
        let life = &mut self.history.lives[self.host.life];
        let news = &self.host.stack.gab().installed()[life.views.len()..];
        let at = self.at;
        let views =
            news.iter().map(|(view, base)| Installed { at, view: view.clone(), base: *base });
        life.views.extend(views);
    }
}

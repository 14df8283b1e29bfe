//! One port and what the commands do on it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use gab::admin::AdminRequest;
use gab::client::{Admin, CloseError, LltEvent, LltPort, LltSendError};
use gab::snapshot::Snapshot;
use llt::NodeId;
use llt::io::Clock;

use super::command::{Command, HowMany, Whom};
use super::payload::{self, Verifier};
use super::report::{self, Sum};
use crate::common::{Failure, node, output};

/// An open port, and what the commands have set.
#[derive(Debug)]
pub(super) struct Session {
    root: PathBuf,
    port: LltPort,
    size: usize,
    timeout: Option<Duration>,
    verifier: Option<Verifier>,
    /// To whom a command without `-n` sends.
    node: Option<NodeId>,
    /// About how many a command without `-c` is.
    count: u64,
    debug: u8,
    /// Each transmission is a stream of its own.
    stream: u64,
    /// Messages of ours that were not sent: so many have been told, of so many events.
    told: u64,
    seen: u64,
    clock: Clock,
}

/// A message as it came.
#[derive(Debug)]
struct Message {
    from: NodeId,
    reliable: bool,
    payload: Bytes,
}

impl Session {
    pub(super) fn open(
        root: &Path,
        port: llt::LltPort,
        verify: bool,
        size: usize,
        timeout: Option<Duration>,
    ) -> Result<Self, Failure> {
        let clock = Clock::new();
        Ok(Self {
            root: root.to_owned(),
            port: LltPort::open(root, port)?,
            size,
            timeout,
            verifier: verify.then(Verifier::default),
            node: None,
            count: 1,
            debug: 0,
            stream: clock.wall_nanos(),
            told: 0,
            seen: 0,
            clock,
        })
    }

    /// Does what a line asks for.
    pub(super) fn run(&mut self, command: &Command) -> Result<(), Failure> {
        match command {
            Command::Count { count } => self.count = *count,
            Command::Debug { level } => self.debug = *level,
            Command::Echo(many) => self.relay(many, None)?,
            Command::Forward(whom) => {
                let to = self.whom(whom)?;
                self.relay(&whom.many, Some(to))?;
            }
            Command::Node { node } => self.node = Some(self.find(node)?),
            Command::Packet(whom) => self.transmit(whom, false)?,
            Command::Quit => {}
            Command::Receive(many) => self.receive(many)?,
            Command::Transmit(whom) => self.transmit(whom, true)?,
        }
        Ok(())
    }

    /// Gives the port up once LLT has taken what was sent.
    pub(super) fn close(self) -> Result<(), Failure> {
        match self.port.close() {
            // What was said to a daemon that ends is said.
            Ok(()) | Err(CloseError::Closed(_)) => Ok(()),
            Err(error @ CloseError::TimedOut) => Err(Failure::because(&error)),
        }
    }

    fn transmit(&mut self, whom: &Whom, reliable: bool) -> Result<(), Failure> {
        let to = self.whom(whom)?;
        self.check_connected(to)?;
        let count = whom.many.count.unwrap_or(self.count);
        self.stream = self.stream.wrapping_add(1);
        let mut sum = Sum { began: Some(self.clock.now()), ..Sum::default() };
        let mut message = Vec::new();
        for number in 0..count {
            if self.verifier.is_some() {
                payload::write(&mut message, self.stream, number, self.size);
            } else {
                message.resize(self.size, 0x55);
            }
            self.send(to, &message, reliable)?;
            sum.add(&message);
            if self.debug > 0 {
                output::print(&report::message("to", to, reliable, &message, self.debug))?;
            }
        }
        self.port.flush()?;
        let not_sent = self.port.not_sent() - self.told;
        if not_sent > 0 {
            self.told += not_sent;
            return Err(Failure::operation(format!(
                "{not_sent} of {count} messages were not sent: node {to} does not take them"
            )));
        }
        let what = if reliable { "messages" } else { "datagrams" };
        output::print(&sum.line("sent", what, &format!(" to node {to}"), self.clock))
    }

    fn receive(&mut self, many: &HowMany) -> Result<(), Failure> {
        let count = many.count.unwrap_or(self.count);
        let mut sum = Sum::default();
        let lost_before = self.verifier.as_ref().map_or(0, |verifier| verifier.lost);
        while sum.messages < count {
            let message = self.next(&sum, count)?;
            sum.began.get_or_insert_with(|| self.clock.now());
            sum.add(&message.payload);
            self.look_at(&message, sum.messages)?;
        }
        let lost = self.verifier.as_ref().map(|verifier| verifier.lost - lost_before);
        let rest = lost.map(report::verified).unwrap_or_default();
        output::print(&sum.line("received", "messages", &rest, self.clock))
    }

    /// Receives and sends on, to one node or back to the sender.
    fn relay(&mut self, many: &HowMany, to: Option<NodeId>) -> Result<(), Failure> {
        let count = many.count.unwrap_or(self.count);
        if let Some(to) = to {
            self.check_connected(to)?;
        }
        let mut sum = Sum::default();
        while sum.messages < count {
            let message = self.next(&sum, count)?;
            sum.began.get_or_insert_with(|| self.clock.now());
            sum.add(&message.payload);
            self.look_at(&message, sum.messages)?;
            self.send(to.unwrap_or(message.from), &message.payload, message.reliable)?;
            self.port.flush()?;
        }
        match to {
            Some(to) => {
                let to = format!(" to node {to}");
                output::print(&sum.line("forwarded", "messages", &to, self.clock))
            }
            None => output::print(&sum.line("echoed", "messages", "", self.clock)),
        }
    }

    /// Sends one message; what it waits for is room.
    fn send(&mut self, to: NodeId, message: &[u8], reliable: bool) -> Result<(), Failure> {
        let Some(timeout) = self.timeout else {
            return Ok(self.port.queue(to, message, reliable)?);
        };
        let deadline = self.clock.now() + timeout;
        loop {
            match self.port.try_send(to, message, reliable) {
                Err(LltSendError::WouldBlock) => {}
                done => return Ok(done?),
            }
            let left = deadline.since(self.clock.now());
            if left.is_zero() {
                let seconds = timeout.as_secs_f64();
                return Err(Failure::operation(format!("node {to} took nothing for {seconds} s")));
            }
            self.port.wait(Some(left));
        }
    }

    /// The next message. One of ours that was not sent is a failure of the command that sees it.
    fn next(&mut self, sum: &Sum, count: u64) -> Result<Message, Failure> {
        loop {
            return match self.port.recv(self.timeout) {
                Some(LltEvent::Message { from, reliable, payload }) => {
                    Ok(Message { from, reliable, payload })
                }
                Some(LltEvent::NotSent { text, .. }) => {
                    self.seen += 1;
                    if self.seen <= self.told {
                        continue;
                    }
                    self.told = self.seen;
                    Err(Failure::operation(text))
                }
                Some(LltEvent::Closed(reason)) => Err(Failure::because(&reason)),
                None => {
                    let waited = self.timeout.unwrap_or_default();
                    Err(Failure::operation(report::silence(waited, sum, count)))
                }
            };
        }
    }

    /// Verifies and prints, as far as that was asked for.
    fn look_at(&mut self, message: &Message, number: u64) -> Result<(), Failure> {
        let Message { from, reliable, payload } = message;
        if self.debug > 0 {
            output::print(&report::message("from", *from, *reliable, payload, self.debug))?;
        }
        let Some(verifier) = &mut self.verifier else { return Ok(()) };
        verifier
            .check(*from, *reliable, payload)
            .map_err(|wrong| Failure::operation(report::wrong(number, *from, wrong)))
    }

    fn whom(&mut self, whom: &Whom) -> Result<NodeId, Failure> {
        match (&whom.node, self.node) {
            (Some(text), _) => self.find(text),
            (None, Some(node)) => Ok(node),
            (None, None) => {
                Err(Failure::operation("no node: expected -n NODE, or the command node before"))
            }
        }
    }

    fn find(&self, text: &str) -> Result<NodeId, Failure> {
        let node = node::find(&self.snapshot()?.llt, text)?.node;
        NodeId::new(node).ok_or_else(|| Failure::operation("no such node"))
    }

    /// Whoever sends to nobody should learn it at once.
    fn check_connected(&self, to: NodeId) -> Result<(), Failure> {
        let llt = self.snapshot()?.llt;
        let node = llt.nodes.iter().find(|node| node.node == to.get());
        let state = node.map_or("CONNWAIT", |node| node.state.as_str());
        if state == "OPEN" {
            return Ok(());
        }
        Err(Failure::operation(format!("node {to} is not connected: its state is {state}")))
    }

    fn snapshot(&self) -> Result<Snapshot, Failure> {
        Ok(Admin::connect(&self.root)?.request(&AdminRequest::Snapshot)?)
    }
}

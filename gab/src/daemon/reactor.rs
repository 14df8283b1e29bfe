//! The reactor: one thread between links, clients, the clock and the stack.
//!
//! A turn takes what is ready, within bounds, gives it to the stack, and sends everything that
//! came out, once per link and client. Nothing is sent before the end of the turn: an idle node
//! answers at once, a busy one sends in batches, and no timer delays anything.

mod changes;
mod requests;
mod telling;
mod traces;
mod unsent;

use std::process::ExitCode;
use std::sync::Arc;

use llt::core::{DuplicateScope, Event, LinkChange};
use llt::io::{Clock, Flushed, LinkFrame, Received};
use llt::time::earliest;
use llt::{Duration, Instant, LinkId};
use parking_lot::Mutex;

use crate::core::{HaltCause, Notice};
use crate::daemon::args::Args;
use crate::daemon::client_notices;
use crate::daemon::clients::Clients;
use crate::daemon::events::Events;
use crate::daemon::files::Files;
use crate::daemon::halt;
use crate::daemon::housekeeping::{Progress, STALL};
use crate::daemon::lease::Leases;
use crate::daemon::life::{self, GabState};
use crate::daemon::links::{Changes, Links};
use crate::daemon::listener::{Accepted, Listener};
use crate::daemon::metrics::Board;
use crate::daemon::notices;
use crate::daemon::poller::{EVENTS, Poller, Ready, Token};
use crate::daemon::reactor::traces::Traces;
use crate::daemon::settings::Settings;
use crate::daemon::signals::Signals;
use crate::event::CloseReason;
use crate::ids::PortName;
use crate::stack::{Output, Stack};

use unsent::Unsent;

/// How gabd ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// It left the cluster.
    Clean,
    /// An older node has our id.
    Duplicate,
    /// It must not go on: it is on the side of a split without a majority, or was thrown out with a
    /// kernel-type client registered or under `-j`.
    Halted,
    /// A second signal cut the leaving short.
    Killed,
}

impl End {
    pub(super) fn code(self) -> ExitCode {
        match self {
            Self::Clean => ExitCode::SUCCESS,
            Self::Duplicate => ExitCode::from(super::EXIT_DUPLICATE),
            Self::Halted => ExitCode::from(super::EXIT_HALTED),
            Self::Killed => ExitCode::FAILURE,
        }
    }
}

/// What a reactor is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) args: Args,
    /// Where metrics are published.
    pub(super) board: Arc<Board>,
    pub(super) clock: Clock,
    pub(super) files: Files,
    pub(super) links: Links,
    pub(super) listener: Listener,
    /// Real-time priority of the thread, 0 for none.
    pub(super) priority: u8,
    pub(super) progress: Arc<Mutex<Progress>>,
    pub(super) settings: Settings,
    pub(super) signals: Signals,
}

/// The reactor.
#[derive(Debug)]
pub(super) struct Reactor {
    parts: Parts,
    poller: Poller,
    stack: Stack,
    gab: GabState,
    clients: Clients,
    phase: Phase,
    /// Until then LLT only listens for another node with its id, and GAB seeds nothing.
    listening: Option<Instant>,
    /// Seed as soon as LLT has started.
    seed: bool,
    unsent: Unsent,
    /// When links that took no more, or a listener without descriptors, are tried again.
    retry_links: Option<Instant>,
    retry_listener: Option<Instant>,
    /// The stack's timer is not called before, whatever it asks for.
    hold_timer: Option<Instant>,
    frames: Vec<LinkFrame>,
    leases: Leases,
    traces: Traces,
    events: Events,
    /// The last turn left something to do.
    unfinished: bool,
    /// Messages that were ordered, delivered or passed on so far, and when the last were.
    messages: (u64, Instant),
}

/// What the node is doing.
#[derive(Debug)]
enum Phase {
    /// It is over.
    Ended(End),
    /// Leaving the cluster, to end then.
    Leaving { until: Instant },
    /// LLT's goodbye was said: what is queued goes out, then it ends.
    Parting { until: Instant },
    /// Serving.
    Running,
    /// To leave the cluster, as soon as what clients of the kernel type have under way is over. Those that
    /// have not hung up at that time are killed; if something holds a socket of theirs after that, too, the
    /// node halts.
    Stopping { until: Option<Instant>, are_killed: bool },
    /// `gabconfig -U`: leaving the memberships; these connections wait for the answer.
    Unconfiguring { until: Instant, waiting: Vec<u32> },
}

impl Reactor {
    pub(super) fn new(parts: Parts) -> anyhow::Result<Self> {
        let poller = Poller::new()?;
        poller.add(parts.signals.as_fd(), Token::Signals)?;
        poller.add(parts.listener.as_fd(), Token::Listener)?;
        poller.add(parts.board.as_fd(), Token::Metrics)?;
        parts.links.register(&poller)?;
        let gab = GabState::new(&parts.settings);
        let now = parts.clock.now();
        let listen = parts.args.listen();
        let listening = (!listen.is_zero()).then_some(now + listen);
        let Parts { clock, files, settings, links, .. } = &parts;
        let begun = gab.while_listening(listening.is_some());
        let stack = life::begin(*clock, now, files, settings, links, begun, listen);
        let mut reactor = Self {
            poller,
            stack,
            gab,
            clients: Clients::new(),
            phase: Phase::Running,
            listening,
            seed: parts.settings.gabtab.is_some_and(|gabtab| gabtab.seed),
            unsent: Unsent::default(),
            retry_links: None,
            retry_listener: None,
            hold_timer: None,
            frames: Vec::with_capacity(2 * FRAMES_PER_TURN),
            leases: Leases::new(&parts.files),
            traces: Traces::default(),
            events: Events::default(),
            unfinished: false,
            messages: (0, now),
            parts,
        };
        reactor.begin(now);
        if reactor.listening.is_none() {
            reactor.started(now);
        }
        Ok(reactor)
    }

    /// Nobody else has our id, or nobody listened: LLT connects from now on.
    fn started(&mut self, now: Instant) {
        notices::protocol();
        if self.gab.configured {
            self.warn_of_policy(None);
        }
        if self.listening.take().is_some() && self.gab.configured {
            self.stack.configure(now, self.gab.configuration(false));
        }
        if std::mem::take(&mut self.seed) {
            self.stack.seed(now);
        }
    }

    /// Serves until the end.
    pub(super) fn run(&mut self) -> End {
        let mut ready = Vec::new();
        loop {
            let now = self.parts.clock.now();
            self.publish(Some(now), None);
            self.turn(now, &ready);
            if let Phase::Ended(end) = self.phase {
                // What is left to do is still this turn, for the watchdog.
                tracing::info!("gabd ends");
                return end;
            }
            let deadline = if self.unfinished { Some(now) } else { self.next_deadline() };
            self.note_messages(now);
            self.publish(None, deadline);
            if let Err(error) = self.wait(deadline, &mut ready) {
                // The descriptor is our own: nothing that happens outside can break it.
                tracing::error!("cannot wait for events: {error}");
                return End::Killed;
            }
        }
    }

    /// Waits for the next turn. After a wait that took too long it is asked again what there is:
    /// whoever said something while we slept must not be judged by the timer for having been silent.
    fn wait(&self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> std::io::Result<()> {
        if !self.spin(deadline, ready)? {
            self.poller.wait(self.parts.clock, deadline, ready)?;
        }
        let now = self.parts.clock.now();
        if deadline.is_some_and(|deadline| now > deadline + LATE) && ready.len() < EVENTS {
            let mut again = Vec::new();
            self.poller.wait(self.parts.clock, Some(now), &mut again)?;
            if again.len() >= ready.len() {
                *ready = again;
            }
        }
        Ok(())
    }

    /// For `--busy-poll`: looks without sleeping for a while after the last message, and lets others
    /// run between the looks. True if there is something to do.
    fn spin(&self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> std::io::Result<bool> {
        let clock = self.parts.clock;
        let end = self.messages.1 + self.parts.args.busy_poll();
        let end = deadline.map_or(end, |deadline| deadline.min(end));
        let mut now = clock.now();
        while now < end {
            self.poller.wait(clock, Some(now), ready)?;
            if !ready.is_empty() {
                return Ok(true);
            }
            rustix::thread::sched_yield();
            now = clock.now();
        }
        Ok(false)
    }

    fn note_messages(&mut self, now: Instant) {
        let counters = self.stack.gab().counters();
        let messages = counters.ordered + counters.delivered;
        if messages != self.messages.0 {
            self.messages = (messages, now);
        }
    }

    fn turn(&mut self, now: Instant, ready: &[Ready]) {
        // Links first: whoever was heard must not be judged by the timer.
        for event in ready {
            if let Token::Link(index) = event.token {
                self.read_link(now, index);
            }
        }
        for &event in ready {
            match event.token {
                Token::Client(number) => self.client_ready(now, number, event),
                Token::Devices => {
                    let changes = self.parts.links.handle_devices(now, &self.poller);
                    self.links_changed(now, changes);
                }
                Token::Link(_) => {}
                Token::Listener => self.accept(now),
                Token::Metrics => self.publish_metrics(),
                Token::Process(number) => {
                    self.clients.process_gone(now, &mut self.stack, &self.poller, number);
                }
                Token::Signals => self.signalled(now),
            }
        }
        let due = |stack: &Stack| stack.next_deadline().is_some_and(|deadline| deadline <= now);
        self.hold_timer = None;
        let timer = due(&self.stack);
        if timer {
            self.stack.handle_timer(now);
        }
        self.own_timers(now);
        self.settle(now);
        if timer && due(&self.stack) && !self.unfinished {
            // The stack wants a timer that it has just had. Turning without a pause would starve
            // whatever else runs here.
            tracing::debug!("the stack's deadline stands still");
            self.hold_timer = Some(now + TIMER_HOLD);
        }
        self.leases.publish(self.parts.clock, &self.stack);
        self.check_phase(now);
    }

    /// Drains the stack and sends. What clients take may make the stack say more, so it is asked
    /// again, within bounds.
    fn settle(&mut self, now: Instant) {
        for _ in 0..ROUNDS_PER_TURN {
            self.drain(now);
            // Links before clients: whoever is killed between the two then leaves no client that
            // was told a message which nobody else can have.
            self.flush_links(now);
            self.unfinished = self.clients.flush(now, &mut self.stack, &self.poller);
            if !self.drain(now) {
                return;
            }
            self.unfinished = true;
        }
        self.flush_links(now);
    }

    fn flush_links(&mut self, now: Instant) {
        self.retry_links = None;
        let mut down = Vec::new();
        let Parts { links, settings, .. } = &mut self.parts;
        for (index, link) in links.endpoints_mut() {
            if link.flush(now) == Flushed::Blocked {
                self.retry_links = Some(now + LINK_RETRY);
            }
            if link.went_down() {
                down.push(index);
            }
            let lost = link.counters().dropped_error;
            let quiet = settings.tab.timers.peer_inact;
            if let Some(id) = u8::try_from(index).ok().and_then(LinkId::new)
                && let Some(frames) = self.unsent.note(now, id, lost, quiet)
            {
                tracing::warn!("{}", notices::not_sent(settings, id, frames));
            }
        }
        self.tell_traces();
        self.tell_events();
        for index in down {
            self.link_down(now, index);
        }
    }

    /// A call said that the device of a link is down: no event can be sooner.
    fn link_down(&mut self, now: Instant, index: usize) {
        let changes = self.parts.links.handle_down(now, index);
        self.links_changed(now, changes);
    }

    fn links_changed(&mut self, now: Instant, changes: Changes) {
        for (link, change) in changes {
            self.stack.handle_link(now, link, change);
        }
    }

    /// Takes what the stack has to say; false if it was nothing.
    fn drain(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some(output) = self.stack.poll_output() {
            any = true;
            match output {
                Output::Arbiter(request) => {
                    // Only configurations with a record ask, and gabd has none yet.
                    tracing::error!("no arbiter for {request:?}");
                }
                Output::AskBeat(client) => self.clients.ask(client),
                Output::Client(client) => self.clients.mark(client),
                Output::Ejected { halt } => {
                    self.ejected(now, halt);
                    return true;
                }
                Output::Halt { cause, port } => {
                    self.lost(now, cause, port);
                    return true;
                }
                Output::Left => self.left(now),
                Output::Llt { from, port, datagram, payload } => {
                    let what = (port, datagram);
                    self.clients.llt_arrived(&self.stack, from, what, &payload);
                }
                Output::LltWritable(node) => self.clients.llt_writable(node),
                Output::Notice(notice) => self.noticed(now, &notice),
                Output::Signal(client, signal) => {
                    self.clients.signal(now, &mut self.stack, client, signal);
                }
                Output::Transmit(frame) => {
                    let link = self.parts.links.endpoint_mut(frame.link.index());
                    if let Some(link) = link {
                        link.send(now, frame);
                    }
                }
            }
        }
        any
    }

    fn read_link(&mut self, now: Instant, index: u32) {
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        let Some(link) = self.parts.links.endpoint_mut(at) else { return };
        let Some(id) = u8::try_from(index).ok().and_then(LinkId::new) else { return };
        let until = now + LINK_TIME;
        let mut frames = std::mem::take(&mut self.frames);
        let mut count = 0;
        loop {
            let received = link.receive(now, &mut frames);
            count += frames.len();
            for (from, frame) in frames.drain(..) {
                self.stack.handle_frame(now, id, from, frame);
            }
            let enough = count >= FRAMES_PER_TURN || self.parts.clock.now() >= until;
            if received == Received::Drained || enough {
                break;
            }
        }
        let went_down = link.went_down();
        self.frames = frames;
        if went_down {
            self.link_down(now, at);
        }
    }

    fn accept(&mut self, now: Instant) {
        for _ in 0..ACCEPTS_PER_TURN {
            match self.parts.listener.accept() {
                Accepted::Nobody => return,
                Accepted::Socket(socket) => self.clients.add(&self.poller, socket),
                Accepted::Starved(error) => {
                    tracing::warn!("cannot accept a client: {error}");
                    self.poller.remove(self.parts.listener.as_fd());
                    self.retry_listener = Some(now + LISTENER_RETRY);
                    return;
                }
            }
        }
    }

    fn signalled(&mut self, now: Instant) {
        match (self.parts.signals.take(), &self.phase) {
            (0, _) | (_, Phase::Ended(_)) => {}
            (1, Phase::Running | Phase::Unconfiguring { .. }) => {
                tracing::info!("stopping: leaving the cluster");
                if !self.gab.configured {
                    return self.part(now);
                }
                if let Some(port) = self.clients.kernel_port() {
                    tracing::info!("Port {port}: its client is waited for, until it hangs up");
                }
                self.stack.prepare_leave(now);
                self.clients.stop_kernel(now);
                self.phase = Phase::Stopping { until: Some(now + STOP_MAX), are_killed: false };
            }
            _ => {
                tracing::warn!("stopping at once: a second signal");
                self.phase = Phase::Ended(End::Killed);
            }
        }
    }

    fn noticed(&mut self, now: Instant, notice: &Notice) {
        self.tell_notice(notice);
        match client_notices::lines(notice, |client| self.clients.pid(client)) {
            Some(lines) => lines.iter().for_each(|(loud, line)| match loud {
                true => tracing::warn!("{line}"),
                false => tracing::info!("{line}"),
            }),
            None => {
                notices::log(&self.parts.settings, &|port| self.clients.on_port(port), notice);
            }
        }
        match notice {
            Notice::ClientFailed { .. } => self.parts.progress.lock().asked = true,
            Notice::ClientClosed { port, .. } => {
                self.clients.find_closed(now, &mut self.stack, Some(*port));
            }
            Notice::Llt(Event::Duplicate { scope, from, .. })
                if self.listening.is_some() && *scope != DuplicateScope::Peer =>
            {
                let from = from.map(|(_, address)| address);
                for line in notices::not_started(&self.parts.settings, from) {
                    tracing::error!("{line}");
                }
                self.tell_halt(PortName::CONTROL, DUPLICATE);
                self.phase = Phase::Ended(End::Duplicate);
            }
            Notice::Llt(Event::Duplicate { scope: DuplicateScope::OwnYounger, node, .. }) => {
                tracing::error!("LLT ERROR node {node} runs elsewhere already: halting");
                self.tell_halt(PortName::CONTROL, DUPLICATE);
                self.phase = Phase::Ended(End::Duplicate);
            }
            _ => {}
        }
    }

    /// This node was thrown out (precise rule 11).
    fn ejected(&mut self, now: Instant, halt: bool) {
        if halt {
            self.halt(PortName::CONTROL, halt::NETWORK_FAILURE);
            return;
        }
        tracing::warn!("thrown out: every port is closed, and the node begins a new life");
        self.clients.fence(now, &self.gab.policy);
        self.clients.find_closed(now, &mut self.stack, None);
        self.clients.stop_registered(CloseReason::Ejected);
        self.gab.returned = true;
        let on_the_way = matches!(
            self.phase,
            Phase::Leaving { .. } | Phase::Stopping { .. } | Phase::Unconfiguring { .. }
        );
        if on_the_way {
            // Being thrown out is one way of having left; the new life must not join again.
            self.gab.unconfigure();
        }
        self.renew(now);
        self.left(now);
    }

    /// This node must not go on: its clients learn it, and the others that it is gone.
    fn lost(&mut self, now: Instant, cause: HaltCause, port: PortName) {
        // First of all: the others go on without this node as soon as they hear of it.
        let leaves_something = self.clients.kernel_port().is_some();
        let kernel = self.clients.kill_kernel_clients();
        self.clients.find_closed(now, &mut self.stack, None);
        self.clients.stop_registered(CloseReason::Ejected);
        // What kernel-type clients left under way has the time until the others notice.
        if !leaves_something {
            self.stack.bye(now);
        }
        self.send_last(now);
        self.flush_links(now);
        self.end_halted(kernel, port, halt::words(cause));
    }

    /// Kernel-type clients are killed, and the node halts.
    fn halt(&mut self, port: PortName, why: &str) {
        let kernel = self.clients.kill_kernel_clients();
        self.end_halted(kernel, port, why);
    }

    /// The one way to halt, once the kernel-type clients, which had these `ports`, are killed: the
    /// reason is said in the words of the original's panic, and the process ends. What the halt
    /// policy wants besides follows when all threads are done ([`serve`](super::serve)).
    fn end_halted(&mut self, mut ports: Vec<PortName>, port: PortName, why: &str) {
        if port != PortName::CONTROL || ports.is_empty() {
            ports = vec![port];
        }
        halt::announce(&self.parts.files, &ports, why);
        self.tell_halt(port, why);
        self.phase = Phase::Ended(End::Halted);
    }

    /// Policies that an operator should know of, once when they come into force.
    fn warn_of_policy(&self, before: Option<GabState>) {
        let GabState { quorum, policy, count, .. } = self.gab;
        if policy.single_network && before.is_none_or(|before| !before.policy.single_network) {
            tracing::warn!("{}", notices::SINGLE_NETWORK);
        }
        let nodes = self.parts.settings.nodes();
        let news = before.is_none_or(|before| (before.quorum, before.count) != (quorum, count));
        if let Some(count) = count.filter(|&count| quorum && news && count < nodes) {
            tracing::warn!("{}", notices::seeds_later(count, nodes));
        }
    }

    /// Ends this life of the node, with the frames that it still wants to send, and begins a new
    /// one on the same links.
    fn renew(&mut self, now: Instant) {
        self.send_last(now);
        let Parts { clock, files, settings, links, .. } = &self.parts;
        let listen = self.listening.map_or(Duration::ZERO, |until| until.since(now));
        let begun = self.gab.while_listening(self.listening.is_some());
        self.stack = life::begin(*clock, now, files, settings, links, begun, listen);
        self.begin(now);
    }

    /// What this life of the stack has to say still.
    fn send_last(&mut self, now: Instant) {
        self.clients.flush(now, &mut self.stack, &self.poller);
        while let Some(output) = self.stack.poll_output() {
            if let Output::Transmit(frame) = output
                && let Some(link) = self.parts.links.endpoint_mut(frame.link.index())
            {
                link.send(now, frame);
            }
        }
    }

    /// A new stack learns which links are dead from the start, and which LLT ports are open.
    fn begin(&mut self, now: Instant) {
        self.clients.announce_ports(now, &mut self.stack, true);
        self.parts.links.begin(now);
        for (link, entry) in self.parts.links.all() {
            if !entry.carries() {
                self.stack.handle_link(now, link, LinkChange::NoCarrier);
            }
            if !entry.is_enabled() {
                self.stack.with_llt(now, |llt| llt.enable_link(now, link, false));
            }
            if entry.is_removed() {
                // It is only there to keep the numbers of the others, and never the last.
                let _ = self.stack.with_llt(now, |llt| llt.remove_link(now, link));
            }
        }
    }

    /// The memberships have been left.
    fn left(&mut self, now: Instant) {
        self.events.look_again();
        match std::mem::replace(&mut self.phase, Phase::Running) {
            Phase::Leaving { .. } | Phase::Stopping { .. } => self.part(now),
            Phase::Unconfiguring { waiting, .. } => {
                if self.gab.configured {
                    self.gab.unconfigure();
                    self.stack.bye(now);
                    self.clients.fence(now, &self.gab.policy);
                    self.renew(now);
                }
                tracing::info!("GAB is unconfigured");
                let (error, text) = super::admin::good(&());
                for number in waiting {
                    self.clients.answer(number, error, &text);
                }
            }
            other => self.phase = other,
        }
    }

    /// The last thing: every connection is ended and LLT says goodbye.
    fn part(&mut self, now: Instant) {
        self.phase = Phase::Parting { until: now + PART_MAX };
        self.events.look_again();
        self.tell_events();
        self.clients.stop_all(CloseReason::Stopped);
        self.stack.bye(now);
        self.unfinished = true;
    }

    fn check_phase(&mut self, now: Instant) {
        match &self.phase {
            // Others go on without this node as soon as it leaves.
            Phase::Stopping { .. } if self.clients.kernel_port().is_none() => {
                self.phase = Phase::Leaving { until: now + LEAVE_MAX };
                self.stack.leave(now);
                self.unfinished = true;
            }
            Phase::Stopping { until: Some(until), are_killed } if *until <= now => {
                match self.clients.holding_port() {
                    // The drain time of those that have hung up is all that is waited for.
                    None => self.phase = Phase::Stopping { until: None, are_killed: true },
                    Some(port) if *are_killed => self.lost(now, HaltCause::ClientFailure, port),
                    Some(port) => {
                        tracing::warn!("Port {port}: its client does not hang up, and is killed");
                        self.clients.kill_kernel_clients();
                        let until = Some(now + KILL_MAX);
                        self.phase = Phase::Stopping { until, are_killed: true };
                    }
                }
            }
            Phase::Leaving { until } if *until <= now => {
                tracing::warn!("the cluster did not acknowledge our leaving in time");
                self.part(now);
                self.settle(now);
            }
            Phase::Unconfiguring { until, .. } if *until <= now => {
                tracing::warn!("the cluster did not acknowledge our leaving in time");
                self.left(now);
            }
            Phase::Parting { until } => {
                let sent =
                    self.clients.is_empty() && self.retry_links.is_none() && !self.unfinished;
                if sent || *until <= now {
                    self.phase = Phase::Ended(End::Clean);
                }
            }
            Phase::Ended(_)
            | Phase::Leaving { .. }
            | Phase::Running
            | Phase::Stopping { .. }
            | Phase::Unconfiguring { .. } => {}
        }
    }

    fn own_timers(&mut self, now: Instant) {
        if self.listening.is_some_and(|until| until <= now) {
            self.started(now);
        }
        let changes = self.parts.links.handle_timer(now, &self.poller);
        self.links_changed(now, changes);
        if let Some(port) = self.clients.handle_timer(now, &mut self.stack) {
            self.lost(now, HaltCause::ClientFailure, port);
        }
        if self.retry_listener.is_some_and(|at| at <= now) {
            self.retry_listener = None;
            if let Err(error) = self.poller.add(self.parts.listener.as_fd(), Token::Listener) {
                tracing::error!("cannot listen any more: {error}");
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Leaving { until }
            | Phase::Parting { until }
            | Phase::Unconfiguring { until, .. } => Some(*until),
            Phase::Stopping { until, .. } => *until,
            Phase::Ended(_) | Phase::Running => None,
        };
        let links = self.parts.links.next_deadline();
        let stack = self.hold_timer.or_else(|| self.stack.next_deadline());
        let clients = self.clients.next_deadline(&self.stack);
        let retries = earliest(self.retry_links, self.retry_listener);
        let own = [phase, links, clients, self.listening, retries, self.leases.next_deadline()];
        own.into_iter().fold(stack, earliest)
    }

    fn publish(&self, busy_since: Option<Instant>, wake: Option<Instant>) {
        let mut progress = self.parts.progress.lock();
        if let (Some(since), None) = (progress.busy_since, busy_since) {
            progress.turns += 1;
            let took = self.parts.clock.now().since(since);
            progress.longest = progress.longest.max(took);
            progress.stalls += u64::from(took > STALL);
        }
        progress.busy_since = busy_since;
        progress.wake = wake;
        progress.supervising = self.clients.is_supervising();
    }
}

/// Why a node ends, in its last event, that is not the first with its id.
const DUPLICATE: &str = "another node has this id";
/// Frames of one link in one turn, and the time they may take: heartbeats stay on time under any
/// load (architecture.md 5).
const FRAMES_PER_TURN: usize = 256;
const LINK_TIME: Duration = Duration::from_micros(100);
/// New clients in one turn.
const ACCEPTS_PER_TURN: usize = 16;
/// How often the stack is asked again in one turn.
const ROUNDS_PER_TURN: usize = 3;
/// A wait that ends so much after its time was no wait but a sleep.
const LATE: Duration = Duration::from_millis(5);
/// When a link that took no more is tried again: a socket's buffer of 256 KiB is empty after two
/// milliseconds at one Gbit/s.
const LINK_RETRY: Duration = Duration::from_millis(1);
/// The pause before a timer that the stack has just had.
const TIMER_HOLD: Duration = Duration::from_millis(1);
/// When a listener without descriptors is tried again.
const LISTENER_RETRY: Duration = Duration::from_secs(1);
/// How long the cluster may take to let us go.
const LEAVE_MAX: Duration = Duration::from_secs(10);
/// How long clients of the kernel type may take to end what they have under way.
const STOP_MAX: Duration = Duration::from_secs(20);
/// How long it may take until they are gone when they are killed, with what they leave.
const KILL_MAX: Duration = Duration::from_secs(5);
/// How long goodbyes and the last words to clients may take.
const PART_MAX: Duration = Duration::from_secs(2);

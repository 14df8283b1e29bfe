//! One turn of a node's reactor, in the order in which gabd does things.

use core::time::Duration;

use gab::event::SendError;
use gab::stack::Output;
use llt::Instant;

use super::{Happening, Held, Packet, Trace, Verdict, World, members};
use crate::client::Act;
use crate::host::Applied;
use crate::input::Input;
use crate::invariants::wire::{
    invariant_ms11_safe_messages_are_held_by_every_member as check_stability,
    invariant_ms12_a_frozen_node_acknowledges_nothing_more as check_freeze,
};
use crate::node::State;
use crate::setup::resolve;

impl World {
    /// The reactor of `node` should run soon.
    pub(super) fn wake(&mut self, node: usize) {
        self.wake_at(node, self.now);
    }

    fn wake_at(&mut self, node: usize, at: Instant) {
        let process = &mut self.processes[node];
        if process.state != State::Running {
            return;
        }
        let start = at.max(process.busy_until).max(self.now);
        if process.turn_at.is_some_and(|planned| planned <= start) {
            return;
        }
        let at = start + process.draw.between(Duration::ZERO, process.pace.latency);
        if process.turn_at.is_some_and(|planned| planned <= at) {
            return;
        }
        process.turn_at = Some(at);
        self.schedule(at, Happening::Turn { node });
    }

    /// A script did something at `node`: its reactor runs soon.
    pub fn kick(&mut self, node: usize) {
        self.wake(node);
    }

    /// A script added an agent: it starts now.
    pub fn start_agent(&mut self, node: usize, agent: usize) {
        self.schedule(self.now, Happening::Agent { node, agent });
    }

    /// An agent's own timer.
    pub(super) fn wake_agent(&mut self, node: usize, agent: usize) {
        let wake = self.agents[node][agent].next_wake(self.now);
        self.schedule(wake, Happening::Agent { node, agent });
        if self.processes[node].state == State::Running {
            self.processes[node].due.insert(agent);
            self.wake(node);
        }
    }

    /// Frames, then clients, then the timer, then outputs until there are none.
    pub(super) fn turn(&mut self, node: usize) {
        self.stats.turns += 1;
        self.tell_carrier(node);
        let frames = self.drain_frames(node);
        self.run_agents(node);
        let local = self.processes[node].clock.local(self.now);
        let due = self.hosts.next_deadline(node);
        if due.is_some_and(|deadline| deadline <= local) {
            self.apply(node, Input::Timer);
        }
        for _ in 0..ROUNDS_MAX {
            self.flush(node);
            if !self.read_clients(node) {
                break;
            }
        }
        let process = &mut self.processes[node];
        process.busy_until = self.now + Duration::from_micros(2) + process.pace.per_frame * frames;
        if process.has_frames() {
            self.wake(node);
        }
        if let Some(deadline) = self.hosts.next_deadline(node) {
            let at = self.processes[node].clock.world(deadline);
            // A deadline in the past would turn the world on the spot.
            self.wake_at(node, at.max(self.now + Duration::from_micros(1)));
        }
    }

    /// The stack learns which cables are pulled, and which are plugged in again.
    fn tell_carrier(&mut self, node: usize) {
        for link in 0..self.net.links() {
            let pulled = self.processes[node].pulled[link];
            if self.processes[node].told[link] != pulled {
                self.processes[node].told[link] = pulled;
                let link = u8::try_from(link).expect("at most 8 links");
                self.apply(node, Input::Carrier { link, carrier: !pulled });
            }
        }
    }

    fn drain_frames(&mut self, node: usize) -> u32 {
        let mut count = 0;
        for link in 0..self.net.links() {
            for _ in 0..FRAMES_PER_TURN {
                let Some((from, frame)) = self.processes[node].take(link) else { break };
                count += 1;
                self.processes[node].heard[usize::from(from)] = self.now;
                let link = u8::try_from(link).expect("at most 8 links");
                self.apply(node, Input::Frame { link, from, frame });
            }
        }
        count
    }

    fn run_agents(&mut self, node: usize) {
        let due = core::mem::take(&mut self.processes[node].due);
        if self.processes[node].leaving || self.hosts.stack(node).is_none() {
            return;
        }
        let mut acts = Vec::new();
        for agent in due {
            acts.clear();
            let (now, busy) = (self.now, self.busy);
            self.agents[node][agent].act(now, busy, &mut acts);
            for act in &acts {
                if !self.act(node, agent, *act) {
                    break;
                }
            }
        }
    }

    /// Does what an agent wants; false if it was refused and the rest may wait.
    pub fn act(&mut self, node: usize, agent: usize, act: Act) -> bool {
        let uid = self.hosts.history.sent.len() as u64;
        let client = self.agents[node][agent].client;
        let input = match (act, client) {
            (Act::Open, None) => return self.open(node, agent),
            (Act::Ack(generation), Some(client)) => Input::Ack { client, generation },
            (Act::Broadcast { safe, len }, Some(client)) => {
                Input::Broadcast { client, safe, uid, len }
            }
            (Act::Pack { safe, lens }, Some(client)) => {
                let lens = lens.into_iter().filter(|&len| len != 0).collect();
                Input::Pack { client, safe, uid, lens }
            }
            (Act::Close, Some(client)) => {
                self.agents[node][agent].closed();
                Input::Close { client }
            }
            (Act::Read, Some(client)) => {
                self.processes[node].readable.insert(client);
                return true;
            }
            (Act::SendTo { rank, len }, Some(client)) => {
                let members = self.agents[node][agent].view.map(|view| view.members);
                let Some(to) = members.and_then(|members| members.iter().nth(rank)) else {
                    return false;
                };
                Input::SendTo { client, to, uid, len }
            }
            (Act::Stall(until), Some(_)) => {
                self.agents[node][agent].stalled_until = Some(until);
                return true;
            }
            (Act::Open, Some(_)) | (_, None) => return false,
        };
        let broadcast = matches!(input, Input::Broadcast { .. });
        match self.apply(node, input) {
            Applied::NotSent(error) => {
                self.judge_refusal(node, agent, error);
                false
            }
            Applied::Done => {
                if let (true, Act::Broadcast { safe, .. }) = (broadcast, act) {
                    let probes = &mut self.agents[node][agent].probes;
                    let count = if safe { &mut probes.1 } else { &mut probes.0 };
                    *count = count.saturating_sub(1);
                }
                true
            }
            Applied::NotOpened(_) | Applied::Outputs(_) | Applied::Polled(_) => true,
        }
    }

    fn judge_refusal(&mut self, node: usize, agent: usize, error: SendError) {
        match error {
            // The client learns of the end of its registration by reading.
            SendError::Closed | SendError::NotMember | SendError::WouldBlock => {}
            SendError::TooLarge => {
                let text = format!("node {node}, agent {agent}: refused as too large");
                self.hosts.history.fault(self.now, "send-refused", text);
            }
        }
    }

    fn open(&mut self, node: usize, agent: usize) -> bool {
        let plan = self.agents[node][agent].plan;
        let client = self.next_client;
        let input = Input::Open { client, port: plan.port, options: plan.options };
        match self.apply(node, input) {
            Applied::Done => {
                self.next_client += 1;
                self.agents[node][agent].client = Some(client);
                true
            }
            Applied::NotOpened(_)
            | Applied::NotSent(_)
            | Applied::Outputs(_)
            | Applied::Polled(_) => false,
        }
    }

    /// Lets clients read; true if any did.
    fn read_clients(&mut self, node: usize) -> bool {
        let mut any = false;
        for agent in 0..self.agents[node].len() {
            let Some(client) = self.agents[node][agent].client else { continue };
            let reading = self.agents[node][agent].is_reading();
            if !reading || !self.processes[node].readable.remove(&client) {
                continue;
            }
            any = true;
            let Applied::Polled(polled) = self.apply(node, Input::Poll { client, max: u32::MAX })
            else {
                continue;
            };
            check_stability(self, node, client, polled.events);
            let (now, state) = (self.now, &mut self.agents[node][agent]);
            if let Some(view) = polled.view {
                state.read_view(now, view);
            }
            if polled.closed {
                state.closed();
            }
        }
        any
    }

    /// Does what the stack wants done.
    pub(super) fn flush(&mut self, node: usize) {
        let Applied::Outputs(outputs) = self.apply(node, Input::Flush) else { return };
        for output in outputs {
            match output {
                Output::Arbiter(request) => {
                    let Some(life) = self.hosts.life(node) else { continue };
                    let delay = self.arbiter.exponential(self.profile.arbiter_mean);
                    let at = self.now + self.arbiter_delay[node] + delay;
                    self.schedule(at, Happening::Ask { node, life, request });
                }
                Output::AskBeat(client) => self.ask_client(node, client.0),
                Output::Client(client) => {
                    self.processes[node].readable.insert(client.0);
                }
                Output::Ejected { halt } => self.ejected(node, halt),
                Output::Halt { .. } => self.halted(node),
                Output::Left => self.left(node),
                // No agent of a story is the client of an LLT port.
                Output::Llt { .. } | Output::LltWritable(_) => {}
                Output::Notice(notice) => self.say(|| format!("node {node}: {notice:?}")),
                Output::Signal(client, signal) => self.signal_client(node, client.0, signal),
                Output::Transmit(transmit) => self.transmit(node, &transmit),
            }
        }
        if self.trace >= Trace::Events {
            self.say_view(node);
        }
    }

    fn say_view(&self, node: usize) {
        let Some(installed) =
            self.hosts.life(node).and_then(|life| self.hosts.history.lives[life].views.last())
        else {
            return;
        };
        if installed.at == self.now {
            let (view, base) = (&installed.view, installed.base);
            eprintln!(
                "{} node {node}: view {} of {:?} from {base}",
                self.now,
                view.vid,
                members(&view.members)
            );
        }
    }

    /// A node in a view change says nothing that a frozen one must not.
    fn check_frozen(&mut self, node: usize, frame: &bytes::Bytes) {
        let stack = self.hosts.stack(node);
        // Only while a view change is under way, for decoding every frame costs time.
        if stack.is_some_and(|stack| stack.gab().is_changing())
            && let Some(life) = self.hosts.life(node)
            && let Some(message) = crate::scenario::message_of(frame)
            && let Some(text) = check_freeze(&mut self.freeze, life, &message)
        {
            let text = format!("node {node}: {text}");
            self.hosts.history.fault(self.now, "ms12-freeze", text);
        }
    }

    fn transmit(&mut self, node: usize, transmit: &llt::core::Transmit) {
        self.check_frozen(node, &transmit.frame);
        let link = transmit.link.index();
        match resolve(transmit.to) {
            Some(Some(to)) => self.offer(link, node, to.index(), &transmit.frame),
            Some(None) => {
                // The sender hears its own broadcast too, as on some networks.
                for to in 0..self.nodes() {
                    self.offer(link, node, to, &transmit.frame);
                }
            }
            None => {
                let text = format!("node {node} sends to {:?}", transmit.to);
                self.hosts.history.fault(self.now, "frame-to-nobody", text);
            }
        }
        let mtu = self.profile.setup.links[link].mtu;
        if transmit.frame.len() > mtu {
            let text = format!("node {node}: {} bytes on link {link}", transmit.frame.len());
            self.hosts.history.fault(self.now, "frame-over-mtu", text);
        }
    }

    /// A frame meets the filter, then the network.
    fn offer(&mut self, link: usize, from: usize, to: usize, frame: &bytes::Bytes) {
        if to >= self.nodes() {
            return;
        }
        if self.trace >= Trace::Messages
            && let Some(message) = crate::scenario::message_of(frame)
        {
            let (name, head) = (message.name(), message.head);
            eprintln!(
                "{} {from} to {to} link {link}: {name} {} ack {}",
                self.now, head.vid, head.ack
            );
        }
        if let Some(mut filter) = self.filter.take() {
            let verdict = filter(&Packet { at: self.now, link, from, to, frame });
            self.filter = Some(filter);
            match verdict {
                Verdict::Drop => return,
                Verdict::Hold => {
                    self.held.push(Held { link, from, to, frame: frame.clone() });
                    return;
                }
                Verdict::Copies(copies) => {
                    for _ in 1..copies {
                        self.enter(link, from, to, frame);
                    }
                }
                Verdict::Pass => {}
                Verdict::Replace(other) => {
                    self.enter(link, from, to, &other);
                    return;
                }
            }
        }
        self.enter(link, from, to, frame);
    }
}

/// Reading gives credit back, which may give the stack something to do, and so on; gabd goes to
/// sleep in between, so a bound loses nothing.
const ROUNDS_MAX: usize = 4;
/// As many as gabd drains from one link in one turn.
const FRAMES_PER_TURN: usize = 256;

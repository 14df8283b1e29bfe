//! A model checker over the real core: every schedule of a small cluster, not some of many.
//!
//! [`stateright`] walks the states; a state ([`state::State`]) holds one [`gab::core::Gab`] per
//! node, the very one that gabd runs, what is under way between them ([`net`]), and what the
//! clients saw, which the invariants of the simulator judge ([`crate::invariants`]) whenever
//! anything is seen. LLT is modelled by what it promises: connections in order that break as a
//! whole, datagrams without any promise. [`properties`] says what some schedule must reach.
//!
//! Time is a step like any other: a node's clock stands still until its timer comes, so every
//! order of timers and messages is a schedule, whatever the waits are. `docs/testing.md` says what
//! this leaves out.

pub mod net;
pub mod properties;
pub mod state;

use std::fmt;

use gab::Level;
use gab::core::{ArbiterKind, Mutant};
use stateright::{HasDiscoveries, Model, Property};

use net::Way;
use properties::Seen;
use state::{Budget, State};

/// A cluster small enough for all its schedules.
#[derive(Clone, Debug)]
pub struct Instance {
    /// What it is called.
    pub name: &'static str,
    /// Nodes, at most [`net::NODES_MAX`].
    pub nodes: usize,
    /// So many of them are in the first view.
    pub start: usize,
    /// One frame reaches everybody.
    pub has_broadcast: bool,
    /// Who authorises views.
    pub arbiter: ArbiterKind,
    /// Who sends, and how; each once, at any time.
    pub messages: Vec<(usize, Level)>,
    /// What may go wrong.
    pub budget: Budget,
    /// What some schedule must reach.
    pub reaches: Vec<Seen>,
    /// A rule to break.
    pub mutant: Option<Mutant>,
}

/// The instances of facts algorithms 4.2.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Which {
    /// Normal case: two messages, a loss, a duplicate.
    M1,
    /// View change: a crash, or a wrong suspicion.
    M2,
    /// A third node joins, and one crashes.
    M3,
    /// A partition, and the record decides.
    M4,
}

impl Which {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::M1, Self::M2, Self::M3, Self::M4];
}

/// How far a search goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Size {
    /// Seconds, for every change of the code.
    Small,
    /// All that the budgets are meant to allow: up to hours, and by hand.
    Full,
}

impl Instance {
    /// An instance in a size.
    pub fn new(which: Which, size: Size) -> Self {
        let full = size == Size::Full;
        let pick = |small, large| if full { large } else { small };
        let messages = vec![(1, Level::Agreed), (2, Level::Safe)];
        let base = Self {
            name: "",
            nodes: 3,
            start: 3,
            has_broadcast: false,
            arbiter: ArbiterKind::None,
            messages,
            budget: Budget::default(),
            reaches: Vec::new(),
            mutant: None,
        };
        let none = Budget::default();
        match which {
            Which::M1 => Self {
                name: "M1",
                budget: Budget { losses: 1, duplicates: pick(0, 1), timers: pick(1, 2), ..none },
                reaches: vec![Seen::SAFE_READ, Seen::REPAIRED],
                ..base
            },
            Which::M2 => Self {
                name: "M2",
                budget: Budget { crashes: 1, cuts: pick(0, 1), timers: pick(0, 1), ..none },
                reaches: vec![Seen::SAFE_READ, Seen::VIEW, Seen::FETCHED, Seen::RESUBMITTED],
                ..base
            },
            Which::M3 => Self {
                name: "M3",
                start: 2,
                messages: if full { vec![(0, Level::Safe)] } else { Vec::new() },
                budget: Budget { crashes: 1, joins: 1, timers: 1, ..none },
                reaches: vec![Seen::VIEW, Seen::STRAGGLER, Seen::REFUSED],
                ..base
            },
            Which::M4 => Self {
                name: "M4",
                arbiter: ArbiterKind::Record,
                messages: vec![(1, Level::Safe)],
                budget: Budget {
                    partitions: 1,
                    timers: pick(0, 1),
                    reconnects: pick(0, 1),
                    ..none
                },
                reaches: vec![
                    Seen::SAFE_READ,
                    Seen::VIEW,
                    Seen::HELD,
                    Seen::RELEASED,
                    Seen::EJECTED,
                ],
                ..base
            },
        }
    }
}

/// One step of a schedule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// The arbiter's answer arrives at the node.
    Answer(usize),
    /// The arbiter decides the node's request.
    Arbitrate(usize),
    /// The node dies.
    Crash(usize),
    /// The connection of two nodes is cut.
    Cut(usize, usize),
    /// The datagram at this place arrives.
    Datagram(usize),
    /// The next message from the first to the second node arrives.
    Deliver(usize, usize),
    /// The datagram at this place arrives, and will again.
    Duplicate(usize),
    /// The node starts.
    Join(usize),
    /// The datagram at this place is lost.
    Lose(usize),
    /// The second node notices that it lost the first.
    Notice(usize, usize),
    /// The node is cut off from all others.
    Partition(usize),
    /// Two nodes are connected again.
    Reconnect(usize, usize),
    /// The client of this message sends it.
    Send(usize),
    /// Time passes at the node.
    Timer(usize),
}

/// An instance, as [`stateright`] walks it.
#[derive(Clone, Debug)]
pub struct Cluster(pub Instance);

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.0)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.wrong.is_some() {
            // What follows on that proves nothing.
            return;
        }
        let (budget, net, nodes) = (state.budget, &state.net, 0..self.0.nodes);
        actions.extend(net.heads().map(|packet| Action::Deliver(packet.from, packet.to)));
        for (at, _) in net.datagrams() {
            actions.push(Action::Datagram(at));
            actions.extend((budget.losses > 0).then_some(Action::Lose(at)));
            actions.extend((budget.duplicates > 0).then_some(Action::Duplicate(at)));
        }
        let messages = self.0.messages.iter().enumerate();
        let unsent = |at: &usize| {
            // Messages of one sender are sent in their order: all others are the same, renamed.
            let (sender, _) = self.0.messages[*at];
            let before = &self.0.messages[..*at];
            state.is_unsent(*at)
                && state.is_alive(sender)
                && before.iter().enumerate().all(|(at, m)| m.0 != sender || !state.is_unsent(at))
        };
        actions.extend(messages.map(|(at, _)| at).filter(unsent).map(Action::Send));
        for node in nodes.clone() {
            actions.extend(state.asks(node).then_some(Action::Arbitrate(node)));
            actions.extend(state.is_answered(node).then_some(Action::Answer(node)));
            if state.is_absent(node) {
                actions.extend((budget.joins > 0).then_some(Action::Join(node)));
            }
            if !state.is_alive(node) {
                continue;
            }
            let timer = budget.timers > 0 && state.deadline(node).is_some();
            actions.extend(timer.then_some(Action::Timer(node)));
            actions.extend((budget.crashes > 0).then_some(Action::Crash(node)));
            actions.extend((budget.partitions > 0).then_some(Action::Partition(node)));
            for other in nodes.clone() {
                let broken = net.way(other, node) == Way::Broken;
                actions.extend(broken.then_some(Action::Notice(other, node)));
                if other >= node {
                    continue;
                }
                let (there, back) = (net.way(other, node), net.way(node, other));
                let up = there == Way::Up && back == Way::Up;
                let down = there == Way::Down && back == Way::Down && state.is_alive(other);
                actions.extend((up && budget.cuts > 0).then_some(Action::Cut(other, node)));
                let again = down && budget.reconnects > 0;
                actions.extend(again.then_some(Action::Reconnect(other, node)));
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        state.seen = Seen::default();
        let budget = &mut state.budget;
        match action {
            Action::Answer(node) => state.answer(node),
            Action::Arbitrate(node) => state.arbitrate(node),
            Action::Crash(node) => {
                budget.crashes -= 1;
                state.crash(node);
            }
            Action::Cut(a, b) => {
                budget.cuts -= 1;
                state.net.cut(a, b);
            }
            Action::Datagram(at) => state.datagram(at, false),
            Action::Deliver(from, to) => state.deliver(from, to),
            Action::Duplicate(at) => {
                budget.duplicates -= 1;
                state.datagram(at, true);
            }
            Action::Join(node) => {
                budget.joins -= 1;
                state.join(&self.0, node);
            }
            Action::Lose(at) => {
                budget.losses -= 1;
                state.net.take_datagram(at, false);
            }
            Action::Notice(from, to) => state.lose(from, to),
            Action::Partition(node) => {
                budget.partitions -= 1;
                (0..self.0.nodes).for_each(|other| state.net.cut(node, other));
            }
            Action::Reconnect(a, b) => {
                budget.reconnects -= 1;
                state.connect(a, b);
            }
            Action::Send(message) => {
                if !state.send(&self.0, message) {
                    return None;
                }
            }
            Action::Timer(node) => {
                budget.timers -= 1;
                state.timer(node);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = vec![Property::always(ALWAYS, |_, state: &State| state.wrong.is_none())];
        for seen in &self.0.reaches {
            all.extend(sometimes(*seen));
        }
        all
    }
}

/// The one property that always holds: no invariant of the simulator is violated, no alarm rings.
pub const ALWAYS: &str = "the invariants hold";

/// `stateright` takes functions without captures, so each situation has one of its own.
fn sometimes(seen: Seen) -> Option<Property<Cluster>> {
    let name = Seen::ALL.iter().find(|(each, _)| *each == seen).map(|(_, name)| *name)?;
    let condition: fn(&Cluster, &State) -> bool = match seen {
        Seen::SAFE_READ => |_, state| state.seen.has(Seen::SAFE_READ),
        Seen::REPAIRED => |_, state| state.seen.has(Seen::REPAIRED),
        Seen::VIEW => |_, state| state.seen.has(Seen::VIEW),
        Seen::FETCHED => |_, state| state.seen.has(Seen::FETCHED),
        Seen::REFUSED => |_, state| state.seen.has(Seen::REFUSED),
        Seen::STRAGGLER => |_, state| state.seen.has(Seen::STRAGGLER),
        Seen::RESUBMITTED => |_, state| state.seen.has(Seen::RESUBMITTED),
        Seen::FENCED => |_, state| state.seen.has(Seen::FENCED),
        Seen::HELD => |_, state| state.seen.has(Seen::HELD),
        Seen::RELEASED => |_, state| state.seen.has(Seen::RELEASED),
        Seen::EJECTED => |_, state| state.seen.has(Seen::EJECTED),
        _ => return None,
    };
    Some(Property::sometimes(name, condition))
}

/// How to search.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// Threads.
    pub threads: usize,
    /// No schedule is longer; `None`: until the budgets are used up and nothing is left to do.
    pub depth: Option<usize>,
    /// Deep first: takes less memory; the counterexamples are not the shortest, and with a depth
    /// it may leave out what it met too deep at first.
    pub deep_first: bool,
    /// Stop at this many states, seen before or not.
    pub states: Option<usize>,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Different states.
    pub unique: usize,
    /// States, those that were reached again counted again.
    pub states: usize,
    /// Steps of the longest schedule.
    pub depth: usize,
    /// What must be reached and was not.
    pub missed: Vec<&'static str>,
    /// The steps that lead to a violation, and which.
    pub counterexample: Option<Vec<String>>,
}

/// Walks an instance.
pub fn run(instance: Instance, search: Search) -> Report {
    let mut builder = Cluster(instance).checker();
    builder = builder.threads(search.threads).finish_when(HasDiscoveries::AnyFailures);
    if let Some(depth) = search.depth {
        builder = builder.target_max_depth(depth);
    }
    if let Some(states) = search.states {
        builder = builder.target_state_count(states);
    }
    if search.deep_first { report(builder.spawn_dfs()) } else { report(builder.spawn_bfs()) }
}

fn report(checker: impl stateright::Checker<Cluster>) -> Report {
    let checker = checker.join();
    let found = |name: &'static str| checker.discovery(name);
    let counterexample = found(ALWAYS).map(|path| {
        let mut trail = Vec::new();
        for (state, action) in path.into_vec() {
            match action {
                Some(action) => trail.push(describe(&state, action)),
                None => trail.push(format!("{state:?}")),
            }
        }
        trail
    });
    let properties = checker.model().properties();
    let missed = properties.iter().map(|property| property.name);
    let missed = missed.filter(|name| *name != ALWAYS && found(name).is_none()).collect();
    Report {
        unique: checker.unique_state_count(),
        states: checker.state_count(),
        depth: checker.max_depth(),
        missed,
        counterexample,
    }
}

/// A step in words, with the message that it is about.
fn describe(state: &State, action: Action) -> String {
    let packet = match action {
        Action::Datagram(at) | Action::Duplicate(at) | Action::Lose(at) => {
            state.net.datagrams().find(|(place, _)| *place == at).map(|(_, packet)| packet)
        }
        Action::Deliver(from, to) => {
            state.net.heads().find(|packet| (packet.from, packet.to) == (from, to))
        }
        _ => None,
    };
    match packet {
        Some(packet) => {
            let name = net::name(&packet.payload);
            format!("{action:?}: {name} from {} to {}", packet.from, packet.to)
        }
        None => format!("{action:?}"),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unique, states, depth, missed, counterexample } = self;
        write!(f, "{unique} states, {states} steps, {depth} deep")?;
        for name in missed {
            write!(f, "\n  never: {name}")?;
        }
        for step in counterexample.iter().flatten() {
            write!(f, "\n  {step}")?;
        }
        Ok(())
    }
}

use bytes::Bytes;
use llt::{Id, Incarnation, NodeId};

use super::*;
use crate::core::{GabConfig, Transport};
use crate::event::{ClientEvent, Level};

/// One node that is a cluster of its own, on a clock that jumps from deadline to deadline.
struct Node {
    gab: Gab,
    start: Instant,
    now: Instant,
    /// Clients that answer.
    living: Vec<ClientId>,
    /// What came out, with the time in milliseconds.
    out: Vec<(u128, GabOutput)>,
}

const CLIENT: ClientId = ClientId(7);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn port() -> PortName {
    PortName::new('h').unwrap()
}

fn supervised() -> OpenOptions {
    OpenOptions { heartbeat: Some(secs(15)), ..OpenOptions::default() }
}

impl Node {
    fn new(policy: Policy) -> Self {
        let start = Instant::ZERO + secs(1000);
        let id = Id { node: NodeId::ZERO, incarnation: Incarnation(1) };
        let config = GabConfig { configured: true, seed: Some(1), policy, ..GabConfig::default() };
        let transport = Transport { datagram_max: 1400, has_broadcast: false };
        let gab = Gab::new(start, id, config, transport, 1);
        let mut node = Self { gab, start, now: start, living: Vec::new(), out: Vec::new() };
        node.until(10);
        assert!(node.gab.view().is_some());
        node.start = node.now;
        node.out.clear();
        node
    }

    /// With one supervised client, registered now.
    fn with_client(policy: Policy) -> Self {
        let mut node = Self::new(policy);
        node.open(supervised());
        node
    }

    fn open(&mut self, options: OpenOptions) {
        self.gab.open(self.now, CLIENT, port(), options).unwrap();
        self.drain();
        while self.gab.poll_client(self.now, CLIENT).is_some() {}
    }

    /// Lets time pass up to so many seconds after the start.
    fn until(&mut self, seconds: u64) {
        let end = self.start + secs(seconds);
        while let Some(deadline) = self.gab.next_deadline().filter(|&at| at <= end) {
            self.turn(deadline);
        }
        self.now = end;
    }

    fn turn(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.gab.handle_timer(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.gab.poll_output() {
            if let GabOutput::AskBeat(id) = output
                && self.living.contains(&id)
            {
                self.gab.heard(self.now, id, true);
            }
            self.out.push((self.now.since(self.start).as_millis(), output));
        }
    }

    /// When something like this came out, in seconds.
    fn times(&self, mut like: impl FnMut(&GabOutput) -> bool) -> Vec<u128> {
        self.out.iter().filter(|(_, output)| like(output)).map(|(ms, _)| ms / 1000).collect()
    }

    fn signals(&self, signal: ClientSignal) -> Vec<u128> {
        self.times(|output| *output == GabOutput::Signal(CLIENT, signal))
    }

    fn halts(&self) -> Vec<(u128, HaltCause)> {
        let halts = self.out.iter().filter_map(|(ms, output)| match output {
            GabOutput::Halt { cause, port: at } if *at == port() => Some((ms / 1000, *cause)),
            _ => None,
        });
        halts.collect()
    }

    fn beats(&self) -> Option<[u64; BEAT_BUCKETS]> {
        self.out.iter().find_map(|(_, output)| match output {
            GabOutput::Notice(Notice::ClientFailed { beats, timeout, .. }) => {
                assert_eq!(*timeout, secs(15));
                Some(*beats)
            }
            _ => None,
        })
    }
}

fn is_ask(output: &GabOutput) -> bool {
    *output == GabOutput::AskBeat(CLIENT)
}

fn is_warning(output: &GabOutput) -> bool {
    matches!(output, GabOutput::Notice(Notice::ClientInactive { .. }))
}

#[test]
fn a_client_that_answers_is_asked_twice_a_second_and_left_alone() {
    let mut node = Node::with_client(Policy::default());
    node.living.push(CLIENT);
    node.until(60);
    assert_eq!(node.times(is_ask).len(), 120);
    assert_eq!(node.times(is_warning), [0u128; 0]);
    assert_eq!(node.signals(ClientSignal::Abort), [0u128; 0]);
    assert!(node.halts().is_empty());
}

#[test]
fn a_silent_client_is_warned_of_aborted_killed_and_the_node_halts() {
    let mut node = Node::with_client(Policy::default());
    node.until(26);
    assert_eq!(node.times(is_ask).len(), 1, "one question at a time");
    assert_eq!(node.times(is_warning), (1..15).collect::<Vec<u128>>());
    assert_eq!(node.signals(ClientSignal::Abort), [15, 18, 21, 24]);
    assert_eq!(node.beats(), Some([0; 5]));
    node.until(30);
    assert_eq!(node.signals(ClientSignal::Kill), [27]);
    let closed = node.gab.poll_client(node.now, CLIENT);
    assert_eq!(closed, Some(ClientEvent::Closed(CloseReason::NoHeartbeat).into()));
    assert!(node.gab.open(node.now, CLIENT, port(), supervised()).is_err(), "its number is taken");
    node.until(300);
    assert_eq!(node.halts(), [(147, HaltCause::ClientFailure)]);
    assert_eq!(node.signals(ClientSignal::Kill), [27]);
}

#[test]
fn a_process_that_is_gone_halts_nobody() {
    let mut node = Node::with_client(Policy::default());
    node.until(28);
    node.gab.gone(node.now, CLIENT);
    assert!(node.gab.poll_client(node.now, CLIENT).is_some());
    node.until(190);
    assert!(node.halts().is_empty());
    assert!(node.gab.open(node.now, CLIENT, port(), supervised()).is_ok());
}

#[test]
fn a_kernel_type_client_is_one_until_its_process_is_gone() {
    let options = OpenOptions { kernel: true, ..supervised() };
    let hung = || {
        let mut node = Node::new(Policy::default());
        node.open(options);
        node.until(30);
        assert_eq!(node.signals(ClientSignal::Kill), [27]);
        assert_eq!(node.gab.poll_client(node.now, CLIENT), None, "it is not closed");
        node
    };
    let mut node = hung();
    node.until(300);
    assert_eq!(node.halts(), [(147, HaltCause::ClientFailure)]);
    let mut node = hung();
    node.gab.died(node.now, CLIENT);
    node.until(300);
    assert!(node.halts().is_empty());
}

#[test]
fn keep_killing_goes_on_until_the_process_is_gone() {
    let mut node = Node::with_client(Policy { keep_killing: true, ..Policy::default() });
    node.until(40);
    assert_eq!(node.signals(ClientSignal::Kill), [27, 30, 33, 36, 39]);
    node.gab.gone(node.now, CLIENT);
    node.until(190);
    assert_eq!(node.signals(ClientSignal::Kill).len(), 5);
    assert!(node.halts().is_empty());
}

#[test]
fn attempts_and_times_are_those_of_the_policy() {
    let policy = Policy { kill_tries: 3, iofence: secs(9), isolate: secs(20), ..Policy::default() };
    let mut node = Node::with_client(policy);
    node.until(60);
    assert_eq!(node.signals(ClientSignal::Abort), [15, 18]);
    assert_eq!(node.signals(ClientSignal::Kill), [21]);
    assert_eq!(node.halts(), [(41, HaltCause::ClientFailure)]);
}

#[test]
fn a_missed_heartbeat_halts_at_once_if_asked_to() {
    let mut node = Node::with_client(Policy { missed_heartbeat_halt: true, ..Policy::default() });
    node.until(60);
    assert_eq!(node.halts(), [(15, HaltCause::ClientFailure)]);
    assert_eq!(node.signals(ClientSignal::Abort), [0u128; 0]);
}

#[test]
fn signs_of_life_are_counted_by_fifths_and_come_too_late_after_the_first_signal() {
    let mut node = Node::with_client(Policy::default());
    for at in [2, 7, 14, 26] {
        node.until(at);
        node.gab.heard(node.now, CLIENT, false);
    }
    node.until(42);
    node.gab.heard(node.now, CLIENT, true);
    node.until(60);
    // 2 s, 5 s, 7 s and 12 s after the one before.
    assert_eq!(node.beats(), Some([1, 1, 1, 0, 1]));
    assert_eq!(node.signals(ClientSignal::Abort), [41, 44, 47, 50]);
    assert_eq!(node.signals(ClientSignal::Kill), [53]);
    assert_eq!(node.times(is_ask).len(), 1, "the first is not answered");
}

#[test]
fn whoever_slept_blames_nobody() {
    let mut node = Node::with_client(Policy::default());
    node.living.push(CLIENT);
    node.until(5);
    node.turn(node.start + secs(100));
    node.until(130);
    assert_eq!(node.signals(ClientSignal::Abort), [0u128; 0]);
    // LLT tells of a pause, too.
    node.living.clear();
    node.until(140);
    node.gab.handle_late(node.now, secs(1));
    node.until(148);
    assert_eq!(node.signals(ClientSignal::Abort), [146], "one second more than its fifteen");
}

#[test]
fn a_pause_that_llt_saw_the_end_of_only_is_excused_as_a_whole() {
    let mut node = Node::with_client(Policy::default());
    node.living.push(CLIENT);
    node.until(5);
    // Asleep for twenty seconds; LLT was to do something four seconds before the end.
    node.now = node.start + secs(25);
    node.gab.handle_late(node.now, secs(4));
    node.turn(node.now);
    node.until(60);
    assert_eq!(node.signals(ClientSignal::Abort), [0u128; 0]);
}

#[test]
fn a_node_that_is_late_all_the_time_judges_by_the_time_that_it_was_awake() {
    let mut node = Node::with_client(Policy::default());
    for second in (2..200).step_by(6) {
        // Three of six seconds are lost: after one it would be warned.
        node.until(second);
        node.turn(node.start + secs(second + 4));
    }
    let first = node.signals(ClientSignal::Abort)[0];
    assert_eq!(first, 30);
    assert_eq!(node.signals(ClientSignal::Kill).len(), 1);
}

#[test]
fn a_client_that_answers_late_excuses_no_other() {
    let mut node = Node::with_client(Policy::default());
    let slow = ClientId(8);
    node.gab.open(node.now, slow, PortName::new('d').unwrap(), supervised()).unwrap();
    node.drain();
    while node.gab.poll_client(node.now, slow).is_some() {}
    for second in (2..40).step_by(2) {
        node.until(second);
        node.gab.heard(node.now, slow, true);
    }
    assert_eq!(node.signals(ClientSignal::Abort)[0], 15);
}

/// With a client that answers and does not read: its queue of two events is full at once.
fn deaf(options: OpenOptions, policy: Policy) -> Node {
    let mut node = Node::new(Policy { receive_queue: 2, ..policy });
    node.open(options);
    node.living.push(CLIENT);
    for _ in 0..2 {
        node.gab.broadcast(node.now, CLIENT, Level::Agreed, Bytes::new()).unwrap();
    }
    node
}

fn is_closed(output: &GabOutput) -> bool {
    let reason = CloseReason::NotReading;
    *output == GabOutput::Notice(Notice::ClientClosed { port: port(), reason })
}

#[test]
fn a_supervised_client_that_does_not_read_is_closed_and_has_to_hang_up() {
    let mut node = deaf(supervised(), Policy::default());
    node.until(20);
    assert_eq!(node.times(is_closed), [15]);
    node.until(300);
    assert_eq!(node.signals(ClientSignal::Abort), [30, 33, 36, 39]);
    assert_eq!(node.signals(ClientSignal::Kill), [42]);
    assert_eq!(node.halts(), [(162, HaltCause::ClientFailure)]);

    let mut node = deaf(supervised(), Policy { missed_heartbeat_halt: true, ..Policy::default() });
    node.until(300);
    assert_eq!(node.halts(), [(30, HaltCause::ClientFailure)]);

    let mut node = deaf(supervised(), Policy { register_halt: true, ..Policy::default() });
    node.until(20);
    node.gab.gone(node.now, CLIENT);
    node.until(300);
    assert_eq!(node.signals(ClientSignal::Abort), [0u128; 0]);
    assert_eq!(node.halts(), [(215, HaltCause::Registration)], "it is expected back");
}

#[test]
fn a_kernel_type_client_that_does_not_read_is_killed_and_stays_until_it_is_gone() {
    for options in [OpenOptions::default(), supervised()] {
        let options = OpenOptions { kernel: true, ..options };
        let mut node = deaf(options, Policy::default());
        node.until(100);
        assert_eq!(node.signals(ClientSignal::Kill), [15]);
        assert_eq!(node.signals(ClientSignal::Abort), [0u128; 0]);
        assert_eq!(node.times(is_closed), [0u128; 0]);
        assert!(node.gab.clients.get(CLIENT).is_some());
        let mut gone = node.gab.clone();
        node.until(300);
        assert_eq!(node.halts(), [(135, HaltCause::ClientFailure)]);
        std::mem::swap(&mut node.gab, &mut gone);
        node.out.clear();
        node.gab.died(node.now, CLIENT);
        node.until(600);
        assert!(node.halts().is_empty());
        assert!(node.gab.clients.get(CLIENT).is_none());
    }
}

#[test]
fn who_died_is_expected_back() {
    for halt in [false, true] {
        let mut node = Node::with_client(Policy { register_halt: halt, ..Policy::default() });
        node.gab.died(node.now, CLIENT);
        node.until(250);
        let expected = node.times(|output| {
            matches!(output, GabOutput::Notice(Notice::RegistrationExpected { .. }))
        });
        assert_eq!(expected, (1..=13).map(|step| step * 15).collect::<Vec<u128>>());
        let missed = GabOutput::Notice(Notice::RegistrationMissed { port: port() });
        assert_eq!(node.times(|output| *output == missed), [200]);
        let halts = if halt { vec![(200, HaltCause::Registration)] } else { Vec::new() };
        assert_eq!(node.halts(), halts);
    }
}

#[test]
fn nobody_is_expected_who_came_back_or_left_in_order() {
    let mut node = Node::with_client(Policy { register_halt: true, ..Policy::default() });
    node.gab.died(node.now, CLIENT);
    node.until(20);
    node.open(OpenOptions::default());
    node.until(300);
    node.gab.close(node.now, CLIENT);
    node.open(supervised());
    node.living.push(CLIENT);
    node.until(310);
    node.gab.close(node.now, CLIENT);
    node.until(600);
    assert!(node.halts().is_empty());
}

#[test]
fn a_death_halts_only_if_asked_to_and_only_for_clients_that_matter() {
    let kernel = OpenOptions { kernel: true, ..OpenOptions::default() };
    for (options, on, halts) in [
        (supervised(), true, true),
        (kernel, true, true),
        (OpenOptions::default(), true, false),
        (supervised(), false, false),
    ] {
        let mut node = Node::new(Policy { process_death_halt: on, ..Policy::default() });
        node.open(options);
        node.gab.died(node.now, CLIENT);
        node.drain();
        assert_eq!(!node.halts().is_empty(), halts, "{options:?}");
    }
}

#[test]
fn heartbeat_times_have_bounds() {
    let mut node = Node::new(Policy::default());
    for ms in [0, 99, 3_600_001] {
        let heartbeat = Some(Duration::from_millis(ms));
        let options = OpenOptions { heartbeat, ..OpenOptions::default() };
        let refused = node.gab.open(node.now, CLIENT, port(), options);
        assert_eq!(refused, Err(crate::event::OpenError::Heartbeat));
    }
}

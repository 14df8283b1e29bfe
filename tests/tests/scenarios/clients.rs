//! Clients that hang, die or do not read: what their node does about it (facts 2.11, 2.12).

use std::time::Duration;

use gab::core::{ClientSignal, Notice};
use gab::event::CloseReason;
use sim::history::End;
use sim::input::OpenFlags;
use sim::node::State;
use sim::profile::{Kind, Profile};
use sim::rng::Seed;
use sim::run;
use sim::scenario::{Client, Stage, log_of};
use sim::setup::{ClientSetup, Setup};
use sim::world::World;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A second and a half without a sign of life are too long.
const SUPERVISED: OpenFlags =
    OpenFlags { ack: false, heartbeat_ms: 1500, kernel: false, shared: false, status: false };

/// Five attempts to kill within a second, and two more seconds to be gone.
const SHORT: ClientSetup = ClientSetup {
    iofence_ms: 1000,
    isolate_ms: 2000,
    keep_killing: false,
    missed_heartbeat_halt: false,
    process_death_halt: false,
    register_halt: false,
    register_ms: 3000,
    receive_queue: 0,
};

fn stage(clients: ClientSetup) -> Stage {
    Stage::formed_with(Setup { clients, ..Setup::fast(3) })
}

/// Port H with a plain client on node 0 and a supervised one on node 1.
fn opened(stage: &mut Stage) -> (Client, Client) {
    let peer = stage.open(0, 'H');
    (peer, stage.open_with(1, 'H', SUPERVISED))
}

fn set_stuck(stage: &mut Stage, client: Client, stuck: bool, unkillable: bool) {
    let agent = &mut stage.world.agents[client.node][client.agent];
    (agent.stuck, agent.unkillable) = (stuck, unkillable);
}

/// The signals so far, with the milliseconds since `start`.
fn signals(stage: &Stage, start: llt::Instant) -> Vec<(ClientSignal, u128)> {
    let signals = stage.world.signals.iter();
    signals.map(|(at, _, signal)| (*signal, at.since(start).as_millis())).collect()
}

/// Waits until this client sees the port with so many members.
fn wait_members(stage: &mut Stage, client: Client, count: usize) {
    stage.wait(&format!("a port with {count} members"), |world| {
        let view = log_of(world, client).and_then(|log| log.view);
        view.is_some_and(|view| view.members.len() == count)
    });
}

#[test]
fn c01_a_client_that_does_not_read_slows_its_port_for_its_limit_and_no_other_port() {
    let stall = ms(1500);
    let mut stage = Stage::formed_with(Setup { client_stall: stall, ..Setup::fast(3) });
    let flooded = stage.open_all('A');
    let other = stage.open_all('B');
    let deaf = flooded[1];
    set_stuck(&mut stage, deaf, true, false);
    let start = stage.now();
    let mut held_back = 0;
    let mut slowest = Duration::ZERO;
    while stage.closings(deaf).is_empty() && stage.world.agents[1][deaf.agent].client.is_some() {
        // Far more than the deaf one's queue holds; the port is flow-controlled then.
        for _ in 0..64 {
            let act = sim::client::Act::Broadcast { safe: false, len: 64 };
            held_back += u32::from(!stage.world.act(0, flooded[0].agent, act));
        }
        stage.world.kick(0);
        let asked = stage.now();
        let uid = stage.broadcast(other[0], false);
        stage.wait_read(&other, &[uid]);
        slowest = slowest.max(stage.now().since(asked));
        let closed = stage.noticed(1, |notice| {
            matches!(notice, Notice::ClientClosed { reason: CloseReason::NotReading, .. })
        });
        if closed {
            break;
        }
        stage.pass(ms(20));
        assert!(stage.now().since(start) < 4 * stall, "it is never closed");
    }
    assert!(held_back > 0, "the flood was not held back");
    assert!(slowest < ms(50), "port B waited for {slowest:?}");
    set_stuck(&mut stage, deaf, false, false);
    wait_members(&mut stage, flooded[0], 3);
    assert_eq!(stage.closings(deaf), [CloseReason::NotReading]);
    let uid = stage.broadcast(flooded[2], true);
    stage.wait_read(&flooded[..1], &[uid]);
    stage.conclude();
}

#[test]
fn c02_a_client_that_hangs_is_warned_of_aborted_and_killed_and_the_others_go_on() {
    let mut stage = stage(SHORT);
    let (peer, client) = opened(&mut stage);
    stage.pass(ms(4000));
    assert!(stage.world.signals.is_empty(), "it answers");
    let start = stage.now();
    set_stuck(&mut stage, client, true, false);
    wait_members(&mut stage, peer, 1);
    let (kinds, times): (Vec<_>, Vec<_>) = signals(&stage, start).into_iter().unzip();
    use ClientSignal::{Abort, Kill};
    assert_eq!(kinds, [Abort, Abort, Abort, Abort, Kill]);
    assert!((1400..=1500).contains(&times[0]), "{times:?}");
    let gaps: Vec<u128> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| (200..210).contains(gap)), "{gaps:?}");
    let inactive = |notice: &Notice| matches!(notice, Notice::ClientInactive { seconds: 1, .. });
    assert!(stage.noticed(1, inactive));
    let failed = |notice: &Notice| match notice {
        Notice::ClientFailed { beats, .. } => beats[0] > 30 && beats[1..] == [0; 4],
        _ => false,
    };
    assert!(stage.noticed(1, failed));
    // Its supervisor starts the program again.
    wait_members(&mut stage, peer, 2);
    assert_eq!(stage.closings(client), [CloseReason::NoHeartbeat]);
    stage.pass(ms(5000));
    assert_eq!((stage.world.stats.halts, stage.world.signals.len()), (0, 5));
    stage.conclude();
}

#[test]
fn c02_a_process_that_cannot_be_killed_halts_its_node_and_no_other() {
    let mut stage = stage(SHORT);
    let (peer, client) = opened(&mut stage);
    let start = stage.now();
    set_stuck(&mut stage, client, true, true);
    stage.wait("node 1 halts", |world| world.stats.halts == 1);
    // Its time, the attempts, and the time to be gone.
    let took = stage.now().since(start);
    assert!((ms(4200)..ms(4400)).contains(&took), "{took:?}");
    assert_eq!(stage.ends(1), [End::Halted]);
    set_stuck(&mut stage, client, false, false);
    stage.wait_view(&[0, 1, 2]);
    wait_members(&mut stage, peer, 2);
    stage.conclude();
}

#[test]
fn c03_keep_killing_never_halts_the_node() {
    let mut stage = stage(ClientSetup { keep_killing: true, ..SHORT });
    let (peer, client) = opened(&mut stage);
    set_stuck(&mut stage, client, true, true);
    wait_members(&mut stage, peer, 1);
    stage.pass(ms(6000));
    let kills = |stage: &Stage| {
        stage.world.signals.iter().filter(|(_, _, signal)| *signal == ClientSignal::Kill).count()
    };
    assert!((30..=32).contains(&kills(&stage)), "{}", kills(&stage));
    set_stuck(&mut stage, client, true, false);
    wait_members(&mut stage, peer, 2);
    let before = kills(&stage);
    stage.pass(ms(3000));
    assert_eq!((kills(&stage), stage.world.stats.halts), (before, 0));
    stage.conclude();
}

#[test]
fn c04_a_missed_heartbeat_halts_at_once_if_asked_to() {
    let mut stage = stage(ClientSetup { missed_heartbeat_halt: true, ..SHORT });
    let (peer, client) = opened(&mut stage);
    let start = stage.now();
    set_stuck(&mut stage, client, true, false);
    stage.wait("node 1 halts", |world| world.stats.halts == 1);
    assert!(stage.now().since(start) < ms(1600));
    assert!(stage.world.signals.is_empty());
    assert_eq!(stage.ends(1), [End::Halted]);
    set_stuck(&mut stage, client, false, false);
    wait_members(&mut stage, peer, 2);
    stage.conclude();
}

#[test]
fn c05_the_death_of_a_process_halts_if_asked_to_and_if_it_matters() {
    let mut stage = stage(ClientSetup { process_death_halt: true, ..SHORT });
    let (peer, client) = opened(&mut stage);
    stage.world.kill_client(peer.node, peer.agent);
    wait_members(&mut stage, client, 1);
    wait_members(&mut stage, client, 2);
    assert_eq!(stage.world.stats.halts, 0, "nobody supervises that one");
    stage.world.kill_client(client.node, client.agent);
    stage.wait("node 1 halts", |world| world.stats.halts == 1);
    assert_eq!(stage.ends(1), [End::Halted]);
    stage.conclude();
}

#[test]
fn c06_who_died_is_expected_to_register_again() {
    let mut stage = stage(ClientSetup { register_halt: true, ..SHORT });
    let (peer, client) = opened(&mut stage);
    stage.world.kill_client(client.node, client.agent);
    wait_members(&mut stage, peer, 1);
    wait_members(&mut stage, peer, 2);
    stage.pass(ms(4000));
    assert_eq!(stage.world.stats.halts, 0, "it came back");
    stage.world.agents[client.node][client.agent].retired = true;
    let start = stage.now();
    stage.world.kill_client(client.node, client.agent);
    stage.wait("node 1 halts", |world| world.stats.halts == 1);
    let took = stage.now().since(start);
    assert!((ms(3000)..ms(3100)).contains(&took), "{took:?}");
    stage.conclude();
}

#[test]
fn c07_a_node_that_slept_does_not_blame_its_clients() {
    let mut stage = stage(SHORT);
    let flags = OpenFlags { heartbeat_ms: 300, ..SUPERVISED };
    let client = stage.open_with(1, 'H', flags);
    for _ in 0..4 {
        stage.world.pause(1, ms(700));
        stage.wait("it goes on", |world| world.state(1) == State::Running);
        stage.pass(ms(300));
    }
    assert!(stage.world.signals.is_empty(), "{:?}", stage.world.signals);
    assert_eq!(stage.closings(client), []);
    stage.conclude();
}

#[test]
fn c12_whatever_happens_to_nodes_no_client_that_answers_is_killed() {
    for (kind, seed) in [Kind::Swarm, Kind::Pause]
        .into_iter()
        .flat_map(|kind| (1..=4).map(move |seed| (kind, Seed(seed))))
    {
        let mut profile = Profile::draw(kind, seed, None, None);
        for plan in profile.agents.iter_mut().flatten() {
            plan.options.heartbeat_ms = 300;
        }
        let mut world = World::new(profile, seed, None);
        let rested = run::drive(&mut world);
        assert!(world.signals.is_empty(), "{kind:?} {seed:?}: {:?}", world.signals);
        let outcome = run::verdict(&world, rested);
        let violations = outcome.violations.list();
        assert!(
            outcome.violations.is_empty() && rested.is_some(),
            "{kind:?} {seed:?}: {violations:#?}"
        );
    }
}

#[test]
fn c11_a_client_that_has_not_recovered_from_a_view_is_alive_all_the_same() {
    let mut stage = stage(SHORT);
    let flags = OpenFlags { ack: true, heartbeat_ms: 300, ..SUPERVISED };
    let client = stage.open_with(1, 'H', flags);
    // It acknowledges nothing from now on, and what it is to be told waits.
    stage.world.agents[1][client.agent].plan.ack_mean = Duration::from_secs(3600);
    stage.world.agents[1][client.agent].ack = None;
    for _ in 0..3 {
        let other = stage.add(0, 'H', OpenFlags::default());
        stage.pass(ms(500));
        stage.world.agents[0][other.agent].retired = true;
        stage.world.kill_client(0, other.agent);
        stage.pass(ms(500));
    }
    assert!(stage.world.signals.is_empty(), "{:?}", stage.world.signals);
}

#[test]
fn c13_messages_to_a_client_with_the_shortest_queue_wait_for_nothing_but_its_reading() {
    let clients = ClientSetup { receive_queue: 1, ..ClientSetup::default() };
    let mut stage = stage(clients);
    let all = stage.open_all('A');
    for &client in &all {
        wait_members(&mut stage, client, 3);
    }
    let start = stage.now();
    let sent: Vec<u64> =
        (0..60).flat_map(|_| [0, 2].map(|from| stage.send_to(all[from], 1))).collect();
    stage.wait_read(&all[1..2], &sent);
    let took = stage.now().since(start);
    assert!(took < ms(50), "some had to be sent again: {took:?}");
    stage.conclude();
}

#[test]
fn c14_a_client_that_never_acknowledges_a_view_is_paced_and_closed_and_the_others_go_on() {
    let mut stage = Stage::formed_with(Setup { client_stall: ms(1500), ..Setup::fast(3) });
    let first = stage.open(0, 'A');
    let deaf = stage.open_with(1, 'A', OpenFlags { ack: true, ..OpenFlags::default() });
    stage.world.agents[1][deaf.agent].plan.ack_mean = Duration::from_secs(3600);
    stage.world.agents[1][deaf.agent].ack = None;
    stage.world.agents[1][deaf.agent].retired = true;
    // A view that it is not told before it has acknowledged the last one, nor anything after it.
    let others = [first, stage.open(2, 'A')];
    let start = stage.now();
    let mut held_back = 0;
    while stage.closings(deaf).is_empty() {
        for _ in 0..64 {
            let act = sim::client::Act::Broadcast { safe: false, len: 64 };
            held_back += u32::from(!stage.world.act(0, others[0].agent, act));
        }
        stage.world.kick(0);
        stage.pass(ms(20));
        assert!(stage.now().since(start) < ms(9000), "it is never closed");
    }
    assert!(held_back > 0, "the flood was not held back");
    assert_eq!(stage.closings(deaf), [CloseReason::NotReading]);
    let uid = stage.broadcast(others[1], true);
    stage.wait_read(&others, &[uid]);
    stage.conclude();
}

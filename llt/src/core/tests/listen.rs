//! Listening before the first connection: is there another node with our id?

use super::net::{Net, broadcast_address, config};
use crate::config::{Config, Timers};
use crate::core::{DuplicateScope, Event, Llt};
use crate::ids::Incarnation;
use crate::time::Duration;

const MS: Duration = Duration::from_millis(1);
const LISTEN: Duration = Duration::from_secs(5);

/// Three nodes with the original's timers, the last of which listens; on links that broadcast, or
/// whose every heartbeat has one addressee.
fn listening(broadcast: bool) -> Vec<Config> {
    let one = |me| {
        let mut config = config(me, 3, 2);
        config.timers = Timers::default();
        for (index, link) in (0..).zip(&mut config.links) {
            if broadcast {
                link.broadcast = Some(broadcast_address(index));
                link.peers.clear();
            }
        }
        config
    };
    let mut configs: Vec<Config> = (0..3).map(one).collect();
    configs[2].listen = LISTEN;
    configs
}

fn duplicates(net: &mut Net, index: usize) -> Vec<(u8, DuplicateScope)> {
    let events = net.take_events(index).into_iter();
    events
        .filter_map(|event| match event {
            Event::Duplicate { node, scope } => Some((node.get(), scope)),
            _ => None,
        })
        .collect()
}

fn is_quiet(net: &mut Net, index: usize) -> bool {
    !net.take_events(index).iter().any(|event| {
        matches!(event, Event::PeerUp { .. } | Event::PeerDown { .. } | Event::Note { .. })
    })
}

#[test]
fn nobody_connects_with_a_node_that_listens_and_then_everybody_at_once() {
    for broadcast in [false, true] {
        let mut net = Net::with(listening(broadcast), 1);
        net.stopped[2] = true;
        net.connect_only(&[0, 1]);
        net.run(Duration::from_secs(3));
        let mut late = listening(broadcast).remove(2);
        late.incarnation = Incarnation(300);
        net.stopped[2] = false;
        net.nodes[2] = Some(Llt::new(net.now, late, 7));
        (0..3).for_each(|index| drop(net.take_events(index)));
        net.keep_sent = true;
        let start = net.now;
        net.run(LISTEN - MS);
        assert!((0..3).all(|index| is_quiet(&mut net, index)), "broadcast: {broadcast}");
        // It speaks in its rhythm all the time, and is not shouted at.
        let sent = |from| net.sent.iter().filter(|(_, sender, _)| *sender == from).count();
        assert!((20..60).contains(&sent(2)), "{}", sent(2));
        assert!((20..60).contains(&sent(0)), "{}", sent(0));
        net.connect();
        assert!(net.now.since(start) <= LISTEN + 5 * MS, "{:?}", net.now.since(start));
        assert_eq!(duplicates(&mut net, 2), []);
        net.check_alarms();
    }
}

#[test]
fn nodes_that_listen_together_connect_together() {
    for broadcast in [false, true] {
        let mut configs = listening(broadcast);
        configs.iter_mut().for_each(|config| config.listen = LISTEN);
        let mut net = Net::with(configs, 2);
        let start = net.now;
        net.connect();
        let after = net.now.since(start);
        assert!(after >= LISTEN && after < LISTEN + 5 * MS, "{after:?}");
    }
}

/// Node 2 lives; a second one with its id and this incarnation listens. What is it told?
fn twin(broadcast: bool, incarnation: u64) -> Vec<(u8, DuplicateScope)> {
    let mut configs = listening(broadcast);
    configs[2].listen = Duration::ZERO;
    let mut second = listening(broadcast).remove(2);
    second.incarnation = Incarnation(incarnation);
    configs.push(second.clone());
    let mut net = Net::with(configs, 3);
    net.separate_address(3, 66);
    net.stopped[3] = true;
    net.connect_only(&[0, 1, 2]);
    net.run(Duration::from_secs(3));
    net.stopped[3] = false;
    net.nodes[3] = Some(Llt::new(net.now, second, 8));
    (0..4).for_each(|index| drop(net.take_events(index)));
    net.run(LISTEN);
    for index in 0..3 {
        assert!(is_quiet(&mut net, index), "the cluster stays as it is");
    }
    assert!(net.llt(3).peers().iter().all(|peer| !peer.connected));
    duplicates(&mut net, 3)
}

#[test]
fn a_twin_is_found_while_listening_wherever_the_heartbeats_go() {
    assert_eq!(twin(true, 200), [(2, DuplicateScope::OwnYounger)]);
    assert_eq!(twin(true, 50), [(2, DuplicateScope::OwnOlder)]);
    // Where heartbeats are for one node each, only the peers can tell.
    assert_eq!(twin(false, 200), [(2, DuplicateScope::OwnYounger)]);
    assert_eq!(twin(false, 50), [(2, DuplicateScope::OwnOlder)]);
}

#[test]
fn a_quick_restart_is_no_twin_of_itself() {
    for broadcast in [false, true] {
        for delay in [1, 30] {
            let mut configs = listening(broadcast);
            configs[2].listen = Duration::ZERO;
            let mut restarted = listening(broadcast).remove(2);
            restarted.incarnation = Incarnation(101);
            let mut net = Net::with(configs, 4);
            net.loops_back = true;
            net.delay = (Duration::from_micros(50), MS * delay);
            net.connect();
            net.run(Duration::from_secs(3));
            net.take_events(2);
            let start = net.now;
            net.nodes[2] = Some(Llt::new(net.now, restarted, 9));
            net.connect();
            let after = net.now.since(start);
            assert!(after >= LISTEN && after < LISTEN + 600 * MS, "{after:?}");
            net.run(Duration::from_secs(10));
            for index in 0..3 {
                assert_eq!(duplicates(&mut net, index), [], "broadcast: {broadcast}");
            }
        }
    }
}

//! What is wrong with links is found, told once, and told once when it is over.

use super::net::{Net, broadcast_address, config, link, node};
use crate::config::Config;
use crate::core::{Event, LinkStatus, Note, OwnNote, RefusedCause};
use crate::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// The notes among the events since the last look: of whom, on which link, what, found or over.
fn told(net: &mut Net, index: usize) -> Vec<(Option<u8>, u8, Note, bool)> {
    let events = net.take_events(index).into_iter();
    events
        .filter_map(|event| match event {
            Event::Note { peer, link, note, found } => {
                Some((peer.map(|peer| peer.node.get()), link.get(), note, found))
            }
            _ => None,
        })
        .collect()
}

fn crossed(with: u8) -> Note {
    Note::Crossed { with: link(with) }
}

/// Two nodes with two links that broadcast their heartbeats.
fn broadcasting() -> Vec<Config> {
    let one = |me| {
        let mut config = config(me, 2, 2);
        config.timers.discover = 200 * MS;
        for (index, link) in (0..).zip(&mut config.links) {
            link.broadcast = Some(broadcast_address(index));
            link.peers.clear();
        }
        config
    };
    (0..2).map(one).collect()
}

#[test]
fn a_link_that_works_one_way_only_is_named_by_whoever_is_not_heard() {
    let mut net = Net::new(2, 2, 1);
    net.connect();
    net.run(500 * MS);
    net.cuts = vec![(0, 0, 1)];
    // Node 1 says so after its trouble time, and then the note needs another one.
    net.run(560 * MS);
    assert_eq!(told(&mut net, 0), []);
    net.run(200 * MS);
    assert_eq!(told(&mut net, 0), [(Some(1), 0, Note::OneWay, true)]);
    assert_eq!(told(&mut net, 1), []);
    assert_eq!(net.llt(0).peers()[0].links[0].notes, [Note::OneWay]);
    net.run(2000 * MS);
    assert_eq!(told(&mut net, 0), []);
    net.cuts.clear();
    net.run(100 * MS);
    assert_eq!(told(&mut net, 0), [(Some(1), 0, Note::OneWay, false)]);
    assert_eq!(net.llt(0).peers()[0].links[0].status, LinkStatus::Up);
    // Silence both ways is another matter.
    net.cuts = vec![(0, 0, 1)];
    net.run(900 * MS);
    assert_eq!(told(&mut net, 0), [(Some(1), 0, Note::OneWay, true)]);
    net.cuts = vec![(0, 0, 1), (0, 1, 0)];
    net.run(400 * MS);
    assert_eq!(told(&mut net, 0), [(Some(1), 0, Note::OneWay, false)]);
}

#[test]
fn two_links_in_one_broadcast_domain_are_crossed() {
    let mut net = Net::with(broadcasting(), 2);
    net.connect();
    net.run(1000 * MS);
    assert_eq!(told(&mut net, 0), []);
    net.crossed = vec![0, 1];
    net.run(300 * MS);
    let mut found = told(&mut net, 0);
    found.sort_by_key(|(peer, link, ..)| (*peer, *link));
    let all = [
        (None, 0, crossed(1), true),
        (None, 1, crossed(0), true),
        (Some(1), 0, crossed(1), true),
        (Some(1), 1, crossed(0), true),
    ];
    assert_eq!(found, all);
    assert_eq!(net.llt(0).peers()[0].links[1].notes, [crossed(0)]);
    let own =
        [(0, 1), (1, 0)].map(|(on, with)| OwnNote::Crossed { link: link(on), with: link(with) });
    assert_eq!(net.llt(0).own_notes(), own);
    net.run(2000 * MS);
    assert_eq!(told(&mut net, 0), []);
    assert!(net.is_connected());
    net.crossed.clear();
    net.run(1500 * MS);
    let mut over = told(&mut net, 0);
    over.sort_by_key(|(peer, link, ..)| (*peer, *link));
    assert_eq!(over, all.map(|(peer, link, note, _)| (peer, link, note, false)));
    assert_eq!(net.llt(0).own_notes(), []);
    net.check_alarms();
}

#[test]
fn crossed_links_show_with_unicast_heartbeats_as_well() {
    let mut configs = broadcasting();
    for link in configs.iter_mut().flat_map(|config| &mut config.links) {
        link.broadcast_heartbeats = false;
    }
    let mut net = Net::with(configs, 3);
    net.crossed = vec![0, 1];
    net.run(2000 * MS);
    let found = told(&mut net, 0);
    assert!(found.contains(&(None, 0, crossed(1), true)), "{found:?}");
    assert!(found.iter().all(|(.., found)| *found), "{found:?}");
    net.run(2000 * MS);
    assert_eq!(told(&mut net, 0), []);
}

#[test]
fn own_frames_on_the_link_they_were_sent_on_are_not_crossed() {
    let mut net = Net::with(broadcasting(), 4);
    net.loops_back = true;
    net.connect();
    net.run(1000 * MS);
    assert_eq!(told(&mut net, 0), []);
    assert!(net.llt(0).stats().snd_loopback > 10);
}

#[test]
fn a_link_that_gets_another_number_is_not_crossed() {
    let mut net = Net::new(2, 3, 5);
    net.connect();
    net.run(500 * MS);
    // Node 1 takes its link 0 away and gives its wire the number 3.
    let now = net.now;
    let again = config(1, 2, 1).links.remove(0);
    assert!(net.llt(1).enable_link(now, link(0), false));
    net.llt(1).remove_link(now, link(0)).unwrap();
    net.swapped[1] = Some((0, 3));
    let fourth = config(1, 2, 4).links.remove(3);
    assert_eq!(net.llt(1).add_link(now, fourth), Ok(link(0)));
    assert!(net.llt(1).enable_link(now, link(0), false));
    assert_eq!(net.llt(1).add_link(now, again), Ok(link(3)));
    net.run(500 * MS);
    assert_eq!(told(&mut net, 0), []);
    assert_eq!(net.llt(0).peers()[0].links[0].status, LinkStatus::Up);
    assert_eq!(net.llt(0).stats().rcv_holes, 0);
}

#[test]
fn what_is_wrong_with_a_removed_link_or_an_excluded_peer_is_over() {
    let mut net = Net::new(2, 2, 6);
    net.connect();
    net.run(500 * MS);
    net.cuts = vec![(0, 0, 1), (1, 0, 1)];
    net.run(800 * MS);
    assert_eq!(told(&mut net, 0).len(), 2);
    let now = net.now;
    assert!(net.llt(0).enable_link(now, link(1), false));
    net.llt(0).remove_link(now, link(1)).unwrap();
    net.drain(0);
    assert_eq!(told(&mut net, 0), [(Some(1), 1, Note::OneWay, false)]);
    net.llt(0).set_excluded(now, [node(1)].into_iter().collect());
    net.drain(0);
    assert_eq!(told(&mut net, 0), [(Some(1), 0, Note::OneWay, false)]);
}

#[test]
fn late_timers_are_counted_by_the_node_itself() {
    let mut net = Net::new(2, 1, 7);
    net.connect();
    net.run(500 * MS);
    for times in 1..3 {
        net.paused[0] = true;
        net.run(400 * MS);
        net.paused[0] = false;
        net.run(400 * MS);
        let notes = net.llt(0).own_notes();
        assert!(
            matches!(notes[..], [OwnNote::Late { times: found, last_ms: 350..=400, .. }] if found == times),
            "{notes:?}"
        );
    }
}

#[test]
fn a_node_id_that_is_used_twice_is_noted_while_it_is() {
    let mut configs: Vec<_> = (0..2).map(|me| config(me, 2, 1)).collect();
    let mut younger = config(1, 2, 1);
    younger.incarnation.0 = 200;
    configs.push(younger);
    let mut net = Net::with(configs, 8);
    net.separate_address(2, 66);
    net.stopped[2] = true;
    net.connect_only(&[0, 1]);
    net.run(500 * MS);
    assert_eq!(net.llt(0).own_notes(), []);
    net.stopped[2] = false;
    net.run(1000 * MS);
    let duplicate = OwnNote::Duplicate { node: node(1) };
    assert_eq!(net.llt(0).own_notes(), [duplicate]);
    assert!(net.llt(2).own_notes().contains(&duplicate));
    net.nodes[2] = None;
    net.run(2200 * MS);
    assert_eq!(net.llt(0).own_notes(), []);
}

#[test]
fn refused_frames_are_told_once_in_an_inactive_time() {
    let mut net = Net::new(1, 1, 9);
    net.run(500 * MS);
    let from = super::net::address(0, 9);
    let causes = [RefusedCause::BadTag, RefusedCause::Replayed];
    let start = net.now;
    while net.now.since(start) < 2500 * MS {
        for cause in causes {
            net.llt(0).refuse(cause, 0, from);
        }
        net.run(100 * MS);
    }
    let events = net.take_events(0);
    for cause in causes {
        let refused = Event::Refused { cause, link: link(0), from };
        assert_eq!(events.iter().filter(|event| **event == refused).count(), 3);
    }
    let own = causes.map(|cause| OwnNote::Refused { cause, link: link(0), from, count: 25 });
    assert_eq!(net.llt(0).own_notes(), own);
}

#[test]
fn strangers_are_told_of_once_in_a_minute() {
    let mut net = Net::new(1, 1, 9);
    net.run(500 * MS);
    let from = super::net::address(0, 9);
    let causes = [RefusedCause::OtherCluster, RefusedCause::OtherVersion];
    let start = net.now;
    while net.now.since(start) < 150_000 * MS {
        for cause in causes {
            net.llt(0).refuse(cause, 0, from);
        }
        net.run(1000 * MS);
    }
    let events = net.take_events(0);
    for cause in causes {
        let refused = Event::Refused { cause, link: link(0), from };
        assert_eq!(events.iter().filter(|event| **event == refused).count(), 3);
    }
    // Another cluster on the wire is nothing wrong, a version that nobody speaks is.
    let cause = RefusedCause::OtherVersion;
    let own = [OwnNote::Refused { cause, link: link(0), from, count: 150 }];
    assert_eq!(net.llt(0).own_notes(), own);
}

#[test]
fn a_peer_most_of_whose_heartbeats_are_lost_is_given_up_until_they_arrive_again() {
    let mut net = Net::new(2, 2, 5);
    net.connect();
    net.run(3000 * MS);
    assert_eq!(told(&mut net, 0), []);
    net.loss = 800;
    net.run(5000 * MS);
    for index in 0..2 {
        let peer = &net.llt(index).peers()[0];
        assert!(!peer.connected);
        for link in &peer.links {
            assert_eq!(link.status, LinkStatus::Trouble);
            assert!(link.notes.contains(&Note::Lossy), "{:?}", link.notes);
        }
    }
    // It was bad for as long as that takes to tell, though something came a moment ago.
    let bad = net.take_events(0).into_iter().filter_map(|event| match event {
        Event::Link { status: LinkStatus::Trouble, silent_ms, .. } => Some(silent_ms),
        _ => None,
    });
    let least = net.llt(0).config().timers.heartbeat * 32;
    assert!(bad.map(Duration::from_millis).any(|bad| bad >= least));
    // A few frames would do to connect; they must not.
    net.run(10_000 * MS);
    assert!(!net.take_events(0).iter().any(|event| matches!(event, Event::PeerUp { .. })));
    net.loss = 0;
    net.run(2000 * MS);
    assert!(net.is_connected());
    let over = told(&mut net, 0);
    assert!((0..2).all(|link| over.contains(&(Some(1), link, Note::Lossy, false))), "{over:?}");
    net.check_alarms();
}

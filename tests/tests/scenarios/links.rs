//! Scenarios 23, 24, 26, 27, 29 to 33: pauses and cables while there is traffic.

use std::time::Duration;

use gab::PortName;
use gab::event::CloseReason;
use gab::snapshot::LinkNote;
use llt::config::Timers;
use sim::client::{Act, Plan};
use sim::scenario::{Client, Note, Stage, link_of, members_at};
use sim::setup::{LinkSetup, Setup};
use sim::world::Verdict;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn s23_a_virtual_machine_moves_for_seven_seconds_under_load() {
    let mut stage = Stage::formed(3);
    let plan = Plan {
        burst_max: 20,
        safe: 0.3,
        directed: 0.2,
        large: 0.02,
        period: ms(5),
        ..Plan::watcher(PortName::new('G').unwrap())
    };
    let clients: Vec<_> = (0..3).map(|node| stage.add_agent(node, plan)).collect();
    stage.world.busy = true;
    stage.wait("there is traffic", |world| {
        clients.iter().all(|client| {
            sim::scenario::log_of(world, *client).is_some_and(|log| log.reads().count() > 500)
        })
    });
    let old = stage.life(2).id;
    stage.world.pause(2, ms(7000));
    stage.wait_view(&[0, 1]);
    stage.wait_view(&[0, 1, 2]);
    stage.world.busy = false;
    assert_eq!(stage.world.stats.ejections, 1);
    assert!(stage.life(2).id > old, "it is back as another incarnation");
    assert_eq!(stage.closings(clients[2]), [CloseReason::Ejected]);
    stage.conclude();
}

#[test]
fn s24_a_node_is_stopped_with_half_a_message() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let before = stage.broadcast(clients[1], false);
    stage.wait_read(&clients, &[before]);
    let note = Note::default();
    let inner = note.clone();
    // Two long frames of each kind of message reach node 2; the rest is under way until it stops.
    stage.filter(move |gram| {
        if gram.packet.to != 2 || gram.packet.frame.len() < 2000 || inner.says("stopped") {
            return Verdict::Pass;
        }
        let piece = if gram.kind() == "DATA" { "broadcast" } else { "fragment" };
        inner.write(piece);
        if inner.count(piece) > 2 { Verdict::Hold } else { Verdict::Pass }
    });
    let large = stage.broadcast_len(clients[1], false, 60_000);
    let direct = stage.world.hosts.history.sent.len() as u64;
    let accepted = stage.world.act(1, clients[1].agent, Act::SendTo { rank: 2, len: 60_000 });
    assert!(accepted);
    stage.world.kick(1);
    stage.wait("two pieces of each have left", |_| {
        note.count("broadcast") > 2 && note.count("fragment") > 2
    });
    stage.pass(ms(1));
    let old = stage.life(2).id;
    assert!(!stage.has_read(clients[2], large) && !stage.has_read(clients[2], direct));
    stage.world.pause(2, ms(4000));
    note.write("stopped");
    assert!(stage.world.held() > 4, "the rest is under way");
    stage.world.release_held();
    stage.wait_view(&[0, 1]);
    stage.wait_read(&clients[..2], &[large]);
    stage.wait_view(&[0, 1, 2]);
    stage.wait("its client is back", |world| {
        sim::scenario::log_of(world, clients[2]).is_some_and(|log| log.view.is_some())
    });
    assert!(stage.life(2).id > old);
    // Whole or not at all, and not in the next life; that it is whole is checked with every read.
    let lives = stage.world.hosts.history.lives.iter();
    for life in lives.filter(|life| life.id.node.index() == 2) {
        let reads = || life.clients.iter().flat_map(|log| log.reads());
        for uid in [large, direct] {
            let count = reads().filter(|(_, read)| read.uid == uid).count();
            assert!(count <= usize::from(life.id == old), "{uid} {count} times in {}", life.id);
        }
    }
    let next = stage.broadcast_len(clients[1], false, 60_000);
    stage.wait_read(&clients, &[next]);
    stage.conclude();
}

#[test]
fn s26_a_node_that_is_deaf_every_other_twenty_seconds_is_removed_once() {
    one_way_loss_comes_and_goes(|others| (others, 2));
}

/// It hears the whole time what the others do, and that it is out.
#[test]
fn s26_a_node_that_is_not_heard_every_other_twenty_seconds_is_removed_once() {
    one_way_loss_comes_and_goes(|others| (2, others));
}

/// Node 2 and the others; `way` gives from whom to whom frames are lost.
fn one_way_loss_comes_and_goes(way: impl Fn(usize) -> (usize, usize)) {
    let timers = Timers::default();
    let setup = Setup { timers, stable: ms(5000), stuck: timers.peer_inact, ..Setup::fast(4) };
    let mut stage = Stage::formed_with(Setup { links: vec![LinkSetup::plain(8192)], ..setup });
    let clients = stage.open_all('G');
    let begun = stage.now();
    for round in 0..15 {
        for other in [0, 1, 3] {
            let ((from, to), now) = (way(other), stage.now());
            stage.world.net.set_cut(now, 0, from, to, round % 2 == 0);
        }
        stage.pass(ms(20_000));
    }
    assert!(stage.now() >= begun + ms(300_000));
    let with = |stage: &Stage| {
        let views = stage.views_at(0).into_iter();
        views.map(|(_, nodes)| nodes.contains(&2)).collect::<Vec<_>>()
    };
    assert_eq!(with(&stage), [true, false], "it was never in for long enough");
    let told = stage.noticed(
        0,
        |notice| matches!(notice, gab::core::Notice::Returned { hold, .. } if *hold == ms(30_000)),
    );
    assert!(told);
    // The last round was bad again: from now on all is well, and half a minute later it is in.
    for other in [0, 1, 3] {
        let ((from, to), now) = (way(other), stage.now());
        stage.world.net.set_cut(now, 0, from, to, false);
    }
    stage.pass(ms(28_000));
    assert_eq!(with(&stage), [true, false]);
    stage.wait_view(&[0, 1, 2, 3]);
    assert_eq!(stage.closings(clients[2]), [CloseReason::Ejected]);
    stage.conclude();
}

/// The median time from a SAFE broadcast of the first client to its being read by all of them.
fn safe_latency(stage: &mut Stage, clients: &[Client]) -> Duration {
    let mut times: Vec<Duration> = (0..21)
        .map(|_| {
            let begun = stage.now();
            let uid = stage.broadcast(clients[0], true);
            stage.wait_read(clients, &[uid]);
            stage.now().since(begun)
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

#[test]
fn s27_a_node_that_hears_one_frame_in_five_is_removed() {
    // The sequencer, or another one.
    for deaf in [0, 2] {
        // Who is thrown out begins a new life, in which the loss has to be noticed again: it takes
        // 32 heartbeats, and it is held back for longer.
        let mut stage = Stage::formed_with(Setup { stable: ms(500), ..Setup::fast(4) });
        let clients = stage.open_all('G');
        let others: Vec<usize> = (0..4).filter(|&node| node != deaf).collect();
        let sound: Vec<Client> = others.iter().map(|&node| clients[node]).collect();
        let before = safe_latency(&mut stage, &sound);
        let hear = |stage: &mut Stage, loss: f64| {
            for (link, &from) in (0..2).flat_map(|link| others.iter().map(move |from| (link, from)))
            {
                stage.world.net.set_loss(link, from, deaf, loss);
            }
        };
        hear(&mut stage, 0.8);
        stage.wait_view(&others);
        let after = safe_latency(&mut stage, &sound);
        assert!(after <= before * 2, "{before:?} before, {after:?} after");
        let other = others[0];
        stage.wait("the deaf node finds its links lossy", |world| {
            (0..2).all(|link| link_of(world, deaf, other, link).notes.contains(&LinkNote::Lossy))
        });
        // One frame in five is enough to connect, and must not do.
        let vid = stage.vid(others[0]);
        stage.pass(ms(10_000));
        assert_eq!(stage.vid(others[0]), vid);
        hear(&mut stage, 0.0);
        stage.wait_view(&[0, 1, 2, 3]);
        stage.conclude();
    }
}

#[test]
fn s29_the_sequencer_is_reached_over_one_node_only() {
    the_sequencer_is_reached_over_one_node_only(5);
}

/// Here the sequencer and the bridge are half of the nodes.
#[test]
fn s29_the_sequencer_of_four_is_reached_over_one_node_only() {
    the_sequencer_is_reached_over_one_node_only(4);
}

fn the_sequencer_is_reached_over_one_node_only(nodes: u8) {
    let mut stage = Stage::formed(nodes);
    let others: Vec<usize> = (1..usize::from(nodes)).collect();
    let clients = stage.open_all('G');
    let old = stage.life(0).id;
    for &node in &others[1..] {
        stage.world.cut_pair(0, node, true);
    }
    let bridge = stage.life(1).id;
    stage.wait_view(&others);
    stage.wait("they have settled", |world| {
        let seen = |client| sim::scenario::log_of(world, client).and_then(|log| log.view);
        clients[1..]
            .iter()
            .all(|client| seen(*client).is_some_and(|view| view.members.len() == others.len()))
    });
    stage.wait("node 0 learns that it is out", |world| members_at(world, 0).is_empty());
    assert_eq!(stage.closings(clients[0]), [CloseReason::Ejected]);
    let uid = stage.broadcast(clients[1], true);
    stage.wait_read(&clients[1..], &[uid]);
    // It hears one of them and would like to come in. No client may notice that, and the tries to
    // let it in become rare: after 0.8 s, 1.6 s, 3.2 s and so on.
    let seen = |stage: &Stage| {
        let log = |client: &Client| stage.log(*client).and_then(|log| log.view);
        clients[1..].iter().map(log).collect::<Vec<_>>()
    };
    let (before, views) = (seen(&stage), stage.views());
    stage.pass(ms(10_000));
    assert!(stage.view(0).is_none() && stage.life(0).id > old);
    assert_eq!(members_at(&stage.world, 1), others);
    assert_eq!(stage.life(1).id, bridge, "who hears everybody stays");
    assert_eq!(seen(&stage), before);
    let after = stage.views() - views;
    assert!(after <= 4, "{after} views");
    stage.conclude();
}

#[test]
fn s30_one_of_two_links_flaps_for_ten_minutes() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let views = stage.views();
    let sum = |stage: &Stage| {
        let stacks = (0..3).filter_map(|node| stage.world.hosts.stack(node));
        stacks.fold((0, 0), |(data, again), stack| {
            let stats = stack.llt().stats();
            (data + stats.snd_data, again + stats.snd_retransmit)
        })
    };
    let again_before = sum(&stage).1;
    let (mut noticed, mut periods, mut at_risk) = (0, 0, 0);
    let end = stage.now() + Duration::from_secs(600);
    while stage.now() < end {
        for cut in [true, false] {
            stage.world.cut_node_link(1, 0, cut);
            let before = sum(&stage).0;
            let sent = [stage.broadcast(clients[0], true), stage.broadcast(clients[1], false)];
            for _ in 0..5 {
                stage.send_to(clients[1], 2);
            }
            let direct = stage.send_to(clients[2], 1);
            stage.pass(ms(500));
            for client in &clients {
                assert!(sent.iter().all(|uid| stage.has_read(*client, *uid)), "over the other");
            }
            assert!(stage.has_read(clients[1], direct));
            at_risk += if cut { sum(&stage).0 - before } else { 0 };
            noticed += usize::from(cut && link_of(&stage.world, 0, 1, 0).status != "UP");
        }
        periods += 1;
    }
    assert!(noticed == periods, "the flaps are long enough: {noticed} of {periods}");
    assert_eq!(stage.views(), views, "no view change");
    let again = sum(&stage).1 - again_before;
    assert!(again <= at_risk, "{again} again of {at_risk} packets on a cut link: no storm");
    stage.conclude();
}

#[test]
fn s31_a_link_that_took_short_frames_only_is_whole_again() {
    let setup = Setup { links: vec![LinkSetup::plain(8192)], ..Setup::fast(3) };
    let mut stage = Stage::formed_with(setup);
    let clients = stage.open_all('G');
    let views = stage.views();
    let short = |world: &sim::world::World| {
        let link = link_of(world, 1, 2, 0);
        link.notes.iter().any(|note| matches!(note, LinkNote::Mtu { .. }))
    };
    stage.world.net.set_longest(0, 1, 2, 1300);
    let uid = stage.broadcast_len(clients[1], true, 60_000);
    stage.wait("the link is known to take short frames only", short);
    stage.wait_read(&clients, &[uid]);
    // The cable is pulled and plugged in again, somewhere better.
    stage.world.cut_node_link(1, 0, true);
    stage.wait("the link is in trouble", |world| link_of(world, 1, 2, 0).status != "UP");
    stage.world.net.set_longest(0, 1, 2, usize::MAX);
    stage.world.cut_node_link(1, 0, false);
    let start = stage.now();
    stage.wait("the link is usable", |world| link_of(world, 1, 2, 0).status == "UP");
    let uid = stage.broadcast_len(clients[1], true, 60_000);
    stage.wait_read(&clients, &[uid]);
    let took = stage.now().since(start);
    assert!(took <= stage.world.hosts.setup().timers.peer_trouble, "{took:?}");
    stage.wait("long frames are trusted again", |world| !short(world));
    assert_eq!(stage.views(), views, "no view change");
    stage.conclude();
}

/// All links of a node are lost for this time, which is less than the inactive time.
fn all_links_are_lost_for(setup: Setup, time: Duration) {
    assert!(time < setup.timers.peer_inact);
    let mut stage = Stage::formed_with(setup);
    let clients = stage.open_all('G');
    let views = stage.views();
    stage.world.cut_node(2, None, true);
    let mut sent = Vec::new();
    for round in 0..10 {
        sent.extend(clients.iter().map(|client| stage.broadcast(*client, round % 2 == 0)));
        stage.send_to(clients[0], 2);
        stage.send_to(clients[2], 1);
        stage.pass(time / 10);
    }
    let silent = [0, 1].map(|link| link_of(&stage.world, 0, 2, link).status);
    assert!(silent.iter().all(|status| status != "UP"), "{silent:?}");
    assert!(!stage.has_read(clients[0], sent[0]), "SAFE waits for node 2");
    assert!(!stage.has_read(clients[2], sent[1]));
    stage.world.mend();
    stage.wait_read(&clients, &sent);
    assert_eq!(stage.views(), views, "no view change");
    assert!(clients.iter().all(|client| stage.closings(*client).is_empty()));
    stage.conclude();
}

#[test]
fn s32_all_links_are_lost_for_less_than_the_inactive_time() {
    all_links_are_lost_for(Setup::fast(3), ms(600));
}

#[test]
fn s32_all_links_are_lost_for_five_seconds() {
    let timers = Timers::default();
    let stable = ms(5000);
    all_links_are_lost_for(
        Setup { timers, stable, stuck: timers.peer_inact, ..Setup::fast(3) },
        ms(5000),
    );
}

#[test]
fn s33_all_interfaces_of_a_node_are_taken_down() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let old = stage.life(2).id;
    for link in 0..2 {
        stage.world.take_down(2, link);
    }
    stage.wait_view(&[0, 1]);
    stage.wait_view(&[2]);
    // It talks to itself, and nobody else ever hears of that.
    let alone = stage.broadcast(clients[2], true);
    stage.wait_read(&clients[2..], &[alone]);
    let together = stage.broadcast(clients[0], true);
    stage.wait_read(&clients[..2], &[together]);
    stage.world.mend();
    stage.wait_view(&[0, 1, 2]);
    assert_eq!(stage.closings(clients[2]), [CloseReason::Ejected]);
    assert!(stage.closings(clients[0]).is_empty() && stage.closings(clients[1]).is_empty());
    assert!(stage.life(2).id > old);
    assert!(clients[..2].iter().all(|client| !stage.has_read(*client, alone)));
    stage.conclude();
}

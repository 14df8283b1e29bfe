//! Scenarios 25, 28, 35, 36, 41, 42, 75: splits, one-way cuts, and the arbitration record.

use std::time::Duration;

use gab::event::CloseReason;
use sim::scenario::{Note, Stage};
use sim::setup::{LinkSetup, Setup};
use sim::world::Verdict;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn with_record(nodes: u8) -> Setup {
    Setup { arbiter: true, ..Setup::fast(nodes) }
}

#[test]
fn s25_one_way_loss_on_the_only_link() {
    let link = LinkSetup::plain(8192);
    let setup = Setup { links: vec![link], ..Setup::fast(3) };
    let mut stage = Stage::formed_with(setup);
    let clients = stage.open_all('G');
    let views = stage.views();
    let now = stage.now();
    // Node 1 hears nothing of node 0; node 0 hears node 1.
    stage.world.net.set_cut(now, 0, 0, 1, true);
    stage.wait("one of the two is out", |world| {
        (0..3).any(|node| sim::scenario::members_at(world, node).len() == 2)
    });
    stage.pass(ms(10_000));
    let down = |node: usize, peer: usize| {
        let stack = stage.world.hosts.stack(node).expect("it runs");
        stack.llt().peers().iter().any(|p| p.node.index() == peer && !p.connected)
    };
    assert!(down(0, 1) && down(1, 0), "the link counts as down on both sides");
    let after = stage.views() - views;
    assert!(after <= 5, "{after} views: no flapping");
    let survivors: Vec<usize> =
        (0..3).filter(|node| sim::scenario::members_at(&stage.world, *node).len() == 2).collect();
    assert_eq!(survivors.len(), 2, "one clique survives");
    let uid = stage.broadcast(clients[survivors[0]], true);
    stage.wait_read(&[clients[survivors[1]]], &[uid]);
    stage.conclude();
}

#[test]
fn s28_two_nodes_do_not_hear_each_other_but_both_hear_the_third() {
    let pair = || {
        let mut stage = Stage::formed(3);
        stage.open_all('G');
        stage.world.cut_pair(0, 2, true);
        stage.wait("a pair forms", |world| {
            (0..3).any(|node| sim::scenario::members_at(world, node).len() == 2)
        });
        stage.pass(ms(5000));
        let members = sim::scenario::members_at(&stage.world, 1);
        assert_eq!(members.len(), 2, "node 1 is in the pair");
        let out = (0..3).find(|node| !members.contains(node)).expect("a third");
        assert!(stage.view(out).is_none(), "the third is out");
        stage.conclude();
        members
    };
    assert_eq!(pair(), pair(), "the choice is not a matter of chance");
}

#[test]
fn s35_a_split_in_halves_with_a_record() {
    let mut stage = Stage::formed_with(with_record(4));
    let clients = stage.open_all('w');
    let sent: Vec<_> = (0..4).map(|node| stage.broadcast(clients[node], true)).collect();
    stage.wait_read(&clients, &sent);
    stage.split(&[&[0, 1], &[2, 3]]);
    let split: Vec<_> = (0..4).map(|node| stage.broadcast(clients[node], true)).collect();
    stage.wait("one side is authorised", |world| {
        world.keeper.record().is_some_and(|record| record.members.len() == 2)
    });
    let winners: Vec<usize> = stage
        .world
        .keeper
        .record()
        .map_or(Vec::new(), |record| record.members.iter().map(|id| id.node.index()).collect());
    let losers: Vec<usize> = (0..4).filter(|node| !winners.contains(node)).collect();
    let mine: Vec<_> = winners.iter().map(|node| split[*node]).collect();
    let winning: Vec<_> = winners.iter().map(|node| clients[*node]).collect();
    stage.wait_read(&winning, &mine);
    stage.wait("the other side has lost", |world| {
        losers.iter().all(|node| {
            let stack = world.hosts.stack(*node);
            stack.is_some_and(|stack| stack.gab().view().is_none())
        })
    });
    for node in losers {
        assert_eq!(stage.closings(clients[node]), [CloseReason::Ejected]);
    }
    stage.conclude();
}

#[test]
fn s36_a_single_node_wins_the_race_against_three() {
    let mut stage = Stage::formed_with(with_record(4));
    let clients = stage.open_all('w');
    let sent = stage.broadcast(clients[3], true);
    stage.wait_read(&clients, &[sent]);
    for node in 0..3 {
        stage.world.set_arbiter_delay(node, ms(3000));
    }
    stage.split(&[&[0, 1, 2], &[3]]);
    stage.wait("node 3 wins", |world| {
        world.keeper.record().is_some_and(|record| record.members.len() == 1)
    });
    let alone = stage.broadcast(clients[3], true);
    stage.wait_read(&clients[3..], &[alone]);
    stage.wait("the three have lost", |world| {
        (0..3).all(|node| {
            let stack = world.hosts.stack(node);
            stack.is_some_and(|stack| stack.gab().view().is_none())
        })
    });
    for (node, client) in clients[..3].iter().enumerate() {
        stage.world.set_arbiter_delay(node, Duration::ZERO);
        assert_eq!(stage.closings(*client), [CloseReason::Ejected]);
    }
    stage.conclude();
}

#[test]
fn s41_a_racer_of_an_old_view_comes_late() {
    let mut stage = Stage::formed_with(with_record(4));
    stage.open_all('w');
    let first = stage.world.keeper.record().cloned().expect("the seeding view is authorised");
    // What node 0 asks reaches the arbiter seconds later, when its view is history.
    stage.world.set_arbiter_delay(0, ms(4000));
    stage.world.crash(3);
    stage.wait_view(&[0, 1, 2]);
    let racing = stage.vid(0);
    stage.world.partition(&[0, 1, 1, 1]);
    stage.wait("the others go on", |world| {
        world.keeper.record().is_some_and(|record| record.vid > racing)
    });
    let record = stage.world.keeper.record().cloned().expect("a record");
    stage.world.set_arbiter_delay(0, Duration::ZERO);
    stage.pass(ms(6000));
    let after = stage.world.keeper.record().cloned().expect("a record");
    assert!(record.vid > first.vid);
    assert!(after.vid >= record.vid, "the late question changed nothing");
    assert!(after.members.iter().all(|id| id.node.get() != 0));
    stage.conclude();
}

#[test]
fn s42_a_joiner_is_wanted_by_two_components() {
    let mut stage = Stage::formed_with(with_record(4));
    stage.open_all('w');
    stage.world.crash(3);
    stage.wait_view(&[0, 1, 2]);
    let note = Note::default();
    let inner = note.clone();
    stage.filter(move |gram| {
        if gram.kind() == "COLLECT" && gram.packet.to == 3 {
            inner.write(format!("asked by {}", gram.packet.from));
        }
        Verdict::Pass
    });
    // The joiner hears both sides of the split.
    for one in 0..2 {
        stage.world.cut_pair(one, 2, true);
    }
    stage.world.boot(3);
    stage.wait("somebody asks the joiner", |_| note.says_like("asked by"));
    stage.pass(ms(8000));
    let records = &stage.world.hosts.history.records;
    let joined: Vec<_> = records
        .iter()
        .filter(|(_, record)| record.members.iter().any(|id| *id == stage.life(3).id))
        .collect();
    let sides = [0u8, 2].map(|side| {
        joined.iter().any(|(_, record)| record.members.iter().any(|id| id.node.get() == side))
    });
    assert!(!(sides[0] && sides[1]), "its key serves one chain only");
    stage.conclude();
}

#[test]
fn s75_a_safe_leftover_at_the_flush_of_the_losing_side() {
    let mut stage = Stage::formed_with(with_record(4));
    let clients = stage.open_all('w');
    // The losers ask late; nobody acknowledges to them.
    for node in 2..4 {
        stage.world.set_arbiter_delay(node, ms(3000));
    }
    let leftover = std::rc::Rc::new(std::cell::Cell::new(u64::MAX));
    let inner = leftover.clone();
    let note = Note::default();
    let seen = note.clone();
    stage.filter(move |gram| {
        if gram.carries(inner.get()) && gram.kind() == "ORD" && gram.packet.to >= 2 {
            seen.write("ordered");
        }
        // Node 1 never hears of the slot, so nobody can think it stable.
        let hidden = gram.packet.to == 1
            && (gram.carries(inner.get()) || matches!(gram.kind(), "ORD" | "RETR" | "ACK"));
        if hidden && seen.count("split") == 0 { Verdict::Drop } else { Verdict::Pass }
    });
    leftover.set(stage.world.hosts.history.sent.len() as u64);
    let uid = stage.broadcast(clients[2], true);
    stage.wait("the losers hold the slot", |_| note.says("ordered"));
    stage.pass(ms(20));
    note.write("split");
    stage.split(&[&[0, 1], &[2, 3]]);
    stage.wait("the losers install their view", |world| {
        (2..4).all(|node| sim::scenario::members_at(world, node) == [2, 3])
    });
    stage.wait("they have lost", |world| {
        (2..4).all(|node| {
            let stack = world.hosts.stack(node);
            stack.is_some_and(|stack| stack.gab().view().is_none())
        })
    });
    let history = &stage.world.hosts.history;
    let lost = history.lives.iter().filter(|life| life.id.node.get() >= 2);
    for log in lost.flat_map(|life| &life.clients) {
        let read = log.reads().find(|(_, read)| read.uid == uid);
        assert!(read.is_none(), "never read there: {read:?}");
    }
    stage.conclude();
}

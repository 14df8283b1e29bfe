//! Scenarios 37, 38 and precise rule 9: splits under a majority (`-q`).

use std::time::Duration;

use gab::core::Notice;
use gab::event::CloseReason;
use sim::history::End;
use sim::profile::Profile;
use sim::scenario::{Stage, members_at};
use sim::scripts;
use sim::setup::Setup;
use sim::world::Verdict;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn with_quorum(nodes: u8) -> Setup {
    Setup { quorum: true, ..Setup::fast(nodes) }
}

/// These nodes halted, once each, and their clients were told that it was they who are out.
fn assert_halted(stage: &Stage, nodes: &[usize]) {
    for node in 0..stage.world.nodes() {
        let halts = stage.ends(node).iter().filter(|end| **end == End::Halted).count();
        assert_eq!(halts, usize::from(nodes.contains(&node)), "halts of node {node}");
    }
}

#[test]
fn s37_the_lowest_node_is_in_the_minority_and_only_the_majority_goes_on() {
    let mut stage = Stage::formed_with(with_quorum(5));
    let clients = stage.open_all('G');
    stage.split(&[&[0, 1], &[2, 3, 4]]);
    stage.wait_view(&[2, 3, 4]);
    stage.wait("the two have halted", |world| world.stats.halts == 2);
    assert_halted(&stage, &[0, 1]);
    for (node, client) in clients[..2].iter().enumerate() {
        assert_eq!(stage.closings(*client), [CloseReason::Ejected]);
        assert!(stage.noticed(node, |notice| matches!(notice, Notice::QuorumLost { .. })));
    }
    let uid = stage.broadcast(clients[2], true);
    stage.wait_read(&clients[2..], &[uid]);
    stage.pass(ms(5000));
    for node in 0..2 {
        assert!(stage.view(node).is_none(), "nothing is seeded without the others");
    }
    stage.conclude();
}

/// Two nodes, seeded by hand, then two more; then this split. Which two go on?
fn grown_to_four(sides: [&[usize]; 2]) -> Vec<usize> {
    let mut stage = Stage::new(Profile::quiet(with_quorum(4)));
    stage.world.boot(0);
    stage.world.boot(1);
    stage.wait("they hear each other", |world| {
        let up = |node: usize| world.hosts.stack(node).map_or(0, |stack| stack.connected().len());
        up(0) > 0 && up(1) > 0
    });
    stage.pass(ms(200));
    stage.world.seed(0);
    stage.wait_view(&[0, 1]);
    stage.world.boot(2);
    stage.world.boot(3);
    stage.wait_view(&[0, 1, 2, 3]);
    stage.split(&sides);
    stage.wait("one half has halted", |world| world.stats.halts == 2);
    stage.pass(ms(3000));
    let winners = usize::from(stage.view(sides[0][0]).is_none());
    let losers = 1 - winners;
    assert_halted(&stage, sides[losers]);
    for node in sides[winners] {
        assert_eq!(members_at(&stage.world, *node), sides[winners]);
    }
    let winners = sides[winners].to_vec();
    stage.conclude();
    winners
}

#[test]
fn s38_a_cluster_that_grew_is_split_in_halves_and_that_with_the_lowest_node_goes_on() {
    assert_eq!(grown_to_four([&[0, 1], &[2, 3]]), [0, 1]);
    assert_eq!(grown_to_four([&[1, 2], &[0, 3]]), [0, 3]);
}

#[test]
fn rule_9_a_view_that_was_only_prepared_counts() {
    let stage = scripts::cut_off_when_ready(None);
    assert_halted(&stage, &[2, 3, 4]);
    stage.conclude();
}

#[test]
fn members_that_fail_one_after_the_other_leave_the_last_but_one() {
    let mut stage = Stage::formed_with(with_quorum(4));
    stage.world.crash(3);
    stage.wait_view(&[0, 1, 2]);
    stage.world.crash(2);
    stage.wait_view(&[0, 1]);
    stage.world.crash(1);
    stage.wait_view(&[0]);
    stage.world.boot(1);
    stage.wait_view(&[0, 1]);
    stage.world.crash(0);
    stage.wait("node 1 has halted", |world| world.stats.halts == 1);
    assert_halted(&stage, &[1]);
    stage.conclude();
}

#[test]
fn who_leaves_in_order_is_not_missed() {
    let mut stage = Stage::formed_with(with_quorum(4));
    let clients = stage.open_all('G');
    let long = ms(600_000);
    // Two at once, the lowest among them, then the lower of the two that are left.
    stage.world.leave(0, long);
    stage.world.leave(2, long);
    stage
        .wait("two are left", |world| [1, 3].iter().all(|node| members_at(world, *node) == [1, 3]));
    // They come back, but find nobody.
    stage.split(&[&[1, 3]]);
    stage.world.leave(1, long);
    stage.wait("one is left", |world| members_at(world, 3) == [3]);
    let uid = stage.broadcast(clients[3], true);
    stage.wait_read(&clients[3..], &[uid]);
    assert_eq!(stage.world.stats.halts, 0);
    stage.conclude();
}

#[test]
fn sleepers_do_not_outvote_the_majority_that_went_on() {
    let mut stage = Stage::formed_with(with_quorum(5));
    let clients = stage.open_all('G');
    stage.world.crash(4);
    stage.wait_view(&[0, 1, 2, 3]);
    // Nodes 2 and 3 sleep, 0 and 1 go on as half of four; then node 1 fails, too.
    for node in 2..4 {
        stage.world.pause(node, ms(5000));
    }
    stage.wait("half of them goes on", |world| members_at(world, 0) == [0, 1]);
    stage.world.crash(1);
    stage.wait("one is left", |world| members_at(world, 0) == [0]);
    let uid = stage.broadcast(clients[0], true);
    stage.wait_read(&clients[..1], &[uid]);
    stage.pass(ms(8000));
    assert_eq!(stage.ends(0), [], "two that slept do not throw out the one that worked");
    stage.conclude();
}

#[test]
fn without_a_majority_nobody_seeds_before_all_are_there() {
    let setup = Setup { seed_count: Some(2), ..with_quorum(3) };
    let mut stage = Stage::new(Profile::quiet(setup));
    stage.world.boot(0);
    stage.world.boot(1);
    stage.pass(ms(5000));
    assert!(stage.view(0).is_none() && stage.view(1).is_none(), "an older node may have a view");
    stage.world.boot(2);
    stage.wait_view(&[0, 1, 2]);
    stage.conclude();
}

#[test]
fn seeding_by_hand_is_forgotten_when_there_is_a_cluster_to_join() {
    let setup = Setup { seed_count: None, ..Setup::fast(3) };
    let mut stage = Stage::new(Profile::quiet(setup));
    stage.world.boot(0);
    stage.pass(ms(500));
    stage.world.seed(0);
    stage.wait_view(&[0]);
    // Node 1 hears of the cluster, and may not join before it is gone.
    stage.filter(|gram| {
        let join = matches!(gram.kind(), "COLLECT" | "PROPOSE");
        if join { Verdict::Drop } else { Verdict::Pass }
    });
    stage.world.boot(1);
    stage.wait("they hear each other", |world| {
        world.hosts.stack(1).is_some_and(|stack| stack.connected().len() == 1)
    });
    stage.pass(ms(100));
    stage.world.seed(1);
    stage.pass(ms(100));
    stage.world.crash(0);
    stage.pass(ms(5000));
    assert!(stage.view(1).is_none(), "what was said then does not count now");
    stage.world.seed(1);
    stage.wait_view(&[1]);
    assert!(stage.noticed(1, |notice| matches!(notice, Notice::SeededByHand { .. })));
    stage.unfilter();
    stage.world.boot(0);
    stage.wait_view(&[0, 1]);
    stage.conclude();
}

#[test]
fn a_member_that_never_answers_a_change_is_dropped_after_conn_wait() {
    let setup = Setup { conn_wait: 20, stuck: ms(60_000), ..Setup::fast(4) };
    let stable = setup.stable;
    let mut stage = Stage::formed_with(setup);
    stage.open_all('G');
    stage.filter(|gram| {
        let silent = gram.packet.from == 2 && matches!(gram.kind(), "STATE" | "READY");
        if silent { Verdict::Drop } else { Verdict::Pass }
    });
    stage.world.crash(3);
    stage.wait("the change has begun", |world| {
        world.hosts.stack(0).is_some_and(|stack| stack.gab().snapshot().changing)
    });
    let begun = stage.now();
    stage.wait("the two go on", |world| (0..2).all(|node| members_at(world, node) == [0, 1]));
    assert!(stage.now().since(begun) >= stable * 20, "it had its time");
    let told = |notice: &Notice| matches!(notice, Notice::Stalled { node, conn_wait: 20 } if node.get() == 2);
    assert!(stage.noticed(0, told));
    let dump = |notice: &Notice| matches!(notice, Notice::Dump(dump) if dump.state > 1);
    assert!(stage.noticed(0, dump), "and where every port stood meanwhile");
    stage.conclude();
}

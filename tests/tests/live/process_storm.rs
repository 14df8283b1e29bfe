//! Real daemons that are killed or frozen in the middle of a storm of three senders.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::time::Duration;

use crate::process::{LIMIT, alone, incarnation, port, roots, sequencer, size, three_nodes};
use gab::CloseReason;
use tools::muster::formed::wait_formed;
use tools::muster::storm::{Plan, Storm, Summary, check};
use tools::muster::temporary::Temporary;
use tools::muster::wait;

/// What is done to the victim.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Blow {
    Freeze,
    Kill,
}

/// One storm with one blow; afterwards all three are one cluster again.
fn storm(cluster: &mut Temporary, victim: u8, blow: Blow, plan: Plan, progress: u64) -> Summary {
    let before = incarnation(cluster, victim);
    let storm = Storm::start(&roots(cluster), plan, LIMIT).unwrap();
    storm.wait_progress(victim, progress, LIMIT).unwrap();
    let begin = wait::now();
    match blow {
        Blow::Freeze => cluster.pause(victim, true).unwrap(),
        Blow::Kill => assert!(cluster.kill(victim).unwrap(), "gabd of node {victim} had ended"),
    }
    let survivors: Vec<u8> = cluster.cluster.ids().filter(|id| *id != victim).collect();
    wait_formed(&cluster.cluster, &survivors, LIMIT).unwrap();
    for survivor in &survivors {
        storm.wait_progress(*survivor, 500, LIMIT).unwrap();
    }
    if blow == Blow::Freeze {
        // As long as a virtual machine that moves.
        let end = begin + Duration::from_secs(7);
        while wait::now() < end {
            wait::pause(end.since(wait::now()));
        }
        cluster.pause(victim, false).unwrap();
        let told = || Ok(storm.is_closed(victim).then_some(()));
        wait::until("the woken node's client is closed", LIMIT, told).unwrap();
    }
    let logs = storm.finish(LIMIT).unwrap();
    let expected = match blow {
        Blow::Freeze => CloseReason::Ejected,
        Blow::Kill => CloseReason::Died,
    };
    assert_eq!(logs[&victim].closed, Some(expected), "what the client of node {victim} was told");
    let summary = check(&logs, &[victim]).unwrap_or_else(|broken| panic!("{broken}"));
    if blow == Blow::Kill {
        assert!(cluster.start(victim).unwrap(), "node {victim} did not join again");
    }
    cluster.wait_formed().unwrap();
    assert!(incarnation(cluster, victim) > before, "node {victim} came back in its old life");
    summary
}

/// Storms one after the other, on the sequencer and on the others in turn.
fn storms(blow: Blow, count: u64) {
    let _room = alone();
    let mut cluster = three_nodes();
    for repetition in 0..count {
        // 0: the sequencer itself.
        let distance = u8::try_from(repetition % 3).unwrap();
        let victim = (sequencer(&cluster) + distance) % 3;
        // Half of the storms are SAFE throughout, the first one of frozen nodes among them.
        let mixed = (repetition % 2 == 0) == (blow == Blow::Kill);
        let plan = Plan { safe_every: if mixed { 8 } else { 1 }, ..Plan::on(port('S')) };
        // The blow falls at another place each time.
        let progress = 300 + repetition * 7919 % 2500;
        let role = if distance == 0 { ", the sequencer" } else { "" };
        println!("{blow:?} {repetition}: node {victim}{role} after {progress}, mixed: {mixed}");
        let summary = storm(&mut cluster, victim, blow, plan, progress);
        println!("  {summary:?}");
        assert_eq!(summary.alone, 0, "the lost node's log is not a prefix of the survivors'");
    }
    cluster.down().unwrap();
}

/// Repetitions: `MUSTER_REPS`.
#[test]
fn s01_kill_9_in_a_storm_leaves_equal_logs() {
    storms(Blow::Kill, size("MUSTER_REPS", 2));
}

/// Repetitions: `MUSTER_FREEZES`.
#[test]
fn s19_s20_s23_a_node_frozen_for_seven_seconds_learns_that_it_was_thrown_out() {
    storms(Blow::Freeze, size("MUSTER_FREEZES", 1));
}

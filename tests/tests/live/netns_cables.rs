//! Cables that are pulled, plugged, flap or carry one way only, in network namespaces.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::time::Duration;

use crate::netns::{ethernet, trouble, up, wait_shown};
use crate::process::{LIMIT, beside_another, port, roots, size};
use tools::muster::cluster::Cable;
use tools::muster::storm::{Plan, Storm, Summary, check};
use tools::muster::temporary::Temporary;
use tools::muster::wait;

fn start(cluster: &Temporary) -> Storm {
    let storm = Storm::start(&roots(cluster), Plan::on(port('S')), LIMIT).unwrap();
    wait_progress(cluster, &storm, 1000);
    storm
}

fn wait_progress(cluster: &Temporary, storm: &Storm, count: u64) {
    for node in cluster.cluster.ids() {
        storm.wait_progress(node, count, LIMIT).unwrap();
    }
}

/// Ends the storm: nothing was lost, everybody was told the same, and nobody was ever thrown out.
fn finish(storm: Storm) -> Summary {
    let logs = storm.finish(LIMIT).unwrap();
    let summary = check(&logs, &[]).unwrap_or_else(|broken| panic!("{broken}"));
    assert_eq!(summary.views, 1, "the membership changed");
    summary
}

/// The longest that any client waited for its next message since the last call.
fn longest_gap(cluster: &Temporary, storm: &Storm) -> Duration {
    cluster.cluster.ids().map(|node| storm.take_longest_gap(node)).max().unwrap()
}

/// Pulls link 0 of node 1 five times during a storm; the longest gap between two deliveries at
/// any node after each pull, sorted.
fn pull(cluster: &mut Temporary, how: Cable) -> Vec<Duration> {
    let storm = start(cluster);
    longest_gap(cluster, &storm);
    wait_progress(cluster, &storm, 2000);
    println!("longest gap with nothing pulled: {:?}", longest_gap(cluster, &storm));
    let mut gaps = Vec::new();
    for _ in 0..5 {
        longest_gap(cluster, &storm);
        cluster.set_cable(1, 0, how).unwrap();
        wait_shown(cluster, 0, "link 0 to node 1 is not UP", |snapshot| {
            snapshot.llt.nodes[1].links[0].status != "UP"
        });
        wait_progress(cluster, &storm, 2000);
        gaps.push(longest_gap(cluster, &storm));
        cluster.set_cable(1, 0, Cable::Plugged).unwrap();
        cluster.wait_formed().unwrap();
        wait_progress(cluster, &storm, 500);
    }
    gaps.sort();
    println!("longest gap after each pull of a cable ({how:?}): {gaps:?}");
    println!("  {:?}", finish(storm));
    gaps
}

#[test]
fn a_pulled_cable_is_noticed_by_its_carrier_and_loses_nothing() {
    let _room = beside_another();
    let Some(mut cluster) = up(&ethernet()) else { return };
    let gaps = pull(&mut cluster, Cable::Pulled);
    // The goal is 20 ms, which a quiet machine is held to with MUSTER_STALL_MS=20; a busy one is
    // given the time that a silent link takes.
    let busy = u64::try_from(trouble(&cluster).as_millis()).unwrap();
    let limit = Duration::from_millis(size("MUSTER_STALL_MS", busy));
    assert!(gaps[2] < limit, "{gaps:?}, median at most {limit:?}");
    cluster.down().unwrap();
}

#[test]
fn a_link_that_fails_silently_stalls_for_less_than_the_trouble_time() {
    let _room = beside_another();
    let Some(mut cluster) = up(&ethernet()) else { return };
    let gaps = pull(&mut cluster, Cable::Silent);
    // Half of it until the link is avoided, the rest to catch up.
    assert!(gaps[2] < trouble(&cluster), "{gaps:?}");
    cluster.down().unwrap();
}

/// A cable that is out for a little less than the trouble time, and in for as long, again and
/// again: in some of the rounds the link is found to be in trouble, in others just not.
fn flap(how: Cable) {
    let _room = beside_another();
    let Some(mut cluster) = up(&ethernet()) else { return };
    let storm = start(&cluster);
    let period = trouble(&cluster).mul_f64(0.9);
    let begin = wait::now();
    for flip in 0..20 {
        let cable = if flip % 2 == 0 { how } else { Cable::Plugged };
        cluster.set_cable(1, 0, cable).unwrap();
        let next = begin + period * (flip + 1);
        while wait::now() < next {
            wait::pause(next.since(wait::now()));
        }
    }
    cluster.wait_formed().unwrap();
    wait_progress(&cluster, &storm, 500);
    println!("{:?}", finish(storm));
    cluster.down().unwrap();
}

#[test]
fn s30_a_cable_that_flaps_around_the_trouble_time_changes_no_membership() {
    flap(Cable::Pulled);
}

#[test]
fn s30_a_switch_that_flaps_around_the_trouble_time_changes_no_membership() {
    flap(Cable::Silent);
}

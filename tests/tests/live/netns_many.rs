//! Many daemons on one machine, idle, in network namespaces.

use std::time::Duration;

use crate::netns::{ethernet, log, up};
use crate::process::{alone, size};
use tools::muster::cluster::TimerProfile;
use tools::muster::temporary::Temporary;
use tools::muster::testbed::UpOptions;
use tools::muster::{control, wait};

/// Lines of all logs that tell of a link in trouble or of a membership.
fn told(cluster: &Temporary) -> Vec<String> {
    let mut told = Vec::new();
    for node in cluster.cluster.ids() {
        let text = log(cluster, node);
        let bad = |line: &&str| {
            ["in trouble", "expired", "disconnected", " down: ", "membership"]
                .iter()
                .any(|word| line.contains(word))
        };
        told.extend(text.lines().filter(bad).map(|line| format!("node {node}: {line}")));
    }
    told
}

/// Daemons: `MUSTER_DAEMONS`; seconds that they have to stay up: `MUSTER_SECONDS`.
#[test]
fn s66_many_idle_daemons_stay_one_membership_with_every_link_up() {
    let _room = alone();
    let nodes = u8::try_from(size("MUSTER_DAEMONS", 16)).unwrap();
    let seconds = size("MUSTER_SECONDS", 20);
    // The original's timers: fast ones would be a load of their own with so many.
    let options = UpOptions { nodes, timers: TimerProfile::Default, ..ethernet() };
    let Some(cluster) = up(&options) else { return };
    // It has formed, with every link UP both ways; from here on nothing may happen.
    let before = told(&cluster);
    let start = wait::now();
    let end = start + Duration::from_secs(seconds);
    let cpu = || -> Duration {
        let gabds = cluster.cluster.nodes.iter().filter_map(|node| node.gabd);
        gabds.map(|gabd| gabd.cpu_time().expect("no daemon ends")).sum()
    };
    let used = cpu();
    while wait::now() < end {
        wait::pause(end.since(wait::now()).min(Duration::from_secs(1)));
        for node in cluster.cluster.ids() {
            assert!(cluster.cluster.node(node).gabd.unwrap().cpu_time().is_some(), "node {node}");
        }
    }
    let (passed, used) = (wait::now().since(start), cpu() - used);
    let after = told(&cluster);
    let news: Vec<&String> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(news.is_empty(), "{news:#?}");
    let mut late = 0;
    for node in cluster.cluster.ids() {
        let snapshot = control::snapshot(&cluster.cluster, node).unwrap();
        assert_eq!(snapshot.gab.ports[0].members.len(), usize::from(nodes));
        late += snapshot.llt.stats.late_timer;
    }
    let share = used.as_secs_f64() / passed.as_secs_f64() / f64::from(nodes) * 100.0;
    println!("{nodes} daemons for {passed:?}: {share:.2} % of a core each, {late} late timers");
    cluster.down().unwrap();
}

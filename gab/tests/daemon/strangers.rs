//! Two clusters on one wire.

use std::fs;

use crate::node::{cluster, twin, wait_for};
use crate::support::{members, snapshot};

#[test]
fn s57_frames_of_another_cluster_are_ignored_counted_and_told_once_a_minute() {
    let mut nodes = cluster(2);
    // It sends to node 1, whom it takes for one of its own cluster.
    let mut stranger = twin(&nodes[0]);
    let llttab = stranger.root().join("etc/llttab");
    let text = fs::read_to_string(&llttab).unwrap();
    let number = |line: &str| line.strip_prefix("set-cluster ").map(|n| n.parse::<u16>().unwrap());
    let ours = text.lines().find_map(number).unwrap();
    let theirs = ours ^ 1;
    let moved = text.replace(&format!("set-cluster {ours}\n"), &format!("set-cluster {theirs}\n"));
    fs::write(&llttab, moved).unwrap();
    for node in nodes.iter_mut().chain([&mut stranger]) {
        node.start(&["--testbed"]);
    }
    for node in &nodes {
        wait_for("both together", || members(node) == [0, 1]);
    }
    wait_for("strange frames", || snapshot(&nodes[1]).llt.stats.rcv_bad_cluster >= 100);
    let snapshot = snapshot(&nodes[1]);
    assert!(!snapshot.llt.ignored.is_empty());
    let known = |node: &gab::snapshot::IgnoredSnapshot| (node.node, node.cluster) == (0, theirs);
    assert!(snapshot.llt.ignored.iter().all(known), "{:?}", snapshot.llt.ignored);
    let log = nodes[1].log();
    for link in 0..2 {
        let begin = format!("LLT WARNING link {link} (l{link}) frame from 127.66.{link}.101 ");
        let told =
            |line: &&str| line.contains(&begin) && line.ends_with("refused: of another cluster");
        // A hundred frames come in some three seconds.
        assert_eq!(log.lines().filter(told).count(), 1, "{log}");
    }
    assert_eq!(members(&nodes[0]), [0, 1]);
    assert!(members(&stranger).is_empty(), "it is alone, and two are needed");
}

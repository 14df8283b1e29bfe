//! Heartbeats that do not come, and nodes that are heard and not heeded.

use super::net::{Net, address, config, link, node};
use crate::core::{Event, Ignored};
use crate::ids::{ClusterId, NodeSet};
use crate::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// Of what node 0 told since the last look, the lost heartbeats and the delays, by link.
fn told(net: &mut Net) -> Vec<(u8, u16, u64)> {
    let events = net.take_events(0).into_iter();
    events
        .filter_map(|event| match event {
            Event::Delayed { link, ms, .. } => Some((link.get(), 0, ms)),
            Event::Lost { link, heartbeats, .. } => Some((link.get(), heartbeats, 0)),
            _ => None,
        })
        .collect()
}

#[test]
fn heartbeats_that_a_cable_swallowed_are_counted_when_it_is_back() {
    let mut net = Net::new(2, 2, 1);
    net.connect();
    net.run(1000 * MS);
    assert_eq!(told(&mut net), [], "nothing was lost");
    // The fast profile: a heartbeat each 50 ms.
    net.cuts = vec![(1, 1, 0)];
    net.run(500 * MS);
    net.cuts.clear();
    net.run(500 * MS);
    let told = told(&mut net);
    let lost: Vec<u16> = told.iter().map(|told| told.1).filter(|lost| *lost > 0).collect();
    assert!(told.iter().all(|told| told.0 == 1), "link 0 was well: {told:?}");
    assert_eq!(lost.len(), 1, "{told:?}");
    assert!((9..=10).contains(&lost[0]), "{told:?}");
    let delays: Vec<u64> = told.iter().map(|told| told.2).filter(|ms| *ms > 0).collect();
    assert_eq!(delays.len(), 1, "{told:?}");
    assert!((500..=550).contains(&delays[0]), "{told:?}");
}

#[test]
fn a_node_that_stood_still_is_late_and_nothing_is_lost() {
    let mut net = Net::new(2, 1, 1);
    net.connect();
    net.run(500 * MS);
    told(&mut net);
    net.paused[1] = true;
    net.run(250 * MS);
    net.paused[1] = false;
    net.run(250 * MS);
    let told = told(&mut net);
    assert!(matches!(told[..], [(0, 0, 250..=300)]), "{told:?}");
}

#[test]
fn excluded_nodes_and_other_clusters_are_remembered() {
    let mut configs: Vec<_> = (0..3).map(|me| config(me, 3, 1)).collect();
    configs[0].excluded.insert(node(1));
    configs[2].cluster = ClusterId(8);
    let mut net = Net::with(configs, 1);
    net.run(500 * MS);
    let ignored = net.llt(0).ignored();
    let who: Vec<_> = ignored.iter().map(|seen| (seen.cluster.0, seen.node.get())).collect();
    assert_eq!(who, [(7, 1), (8, 2)]);
    let Ignored { link: on, from, silent_ms, .. } = ignored[0];
    assert_eq!((on, from), (link(0), address(0, 1)));
    assert!(silent_ms <= 100, "{silent_ms}");
    let now = net.now;
    net.llt(0).set_excluded(now, NodeSet::EMPTY);
    let ignored = net.llt(0).ignored();
    assert_eq!(ignored.iter().map(|seen| seen.node.get()).collect::<Vec<_>>(), [2]);
}

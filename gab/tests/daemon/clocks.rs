//! What clocks show is nothing to a gabd, only what passes.

use std::time::Duration;

use gab::client::Port;
use gab::{ClientEvent, Level};
use llt::io::Clock;

use crate::namespace::run_again_at;
use crate::node::{cluster, wait_for};
use crate::support::{deliveries, members, options, port, snapshot, view};

/// Milliseconds of an uptime of fifty days do not fit 32 bits any more.
const WRAP_MS: u64 = 1 << 32;

#[test]
fn s68_clocks_pass_fifty_days_of_milliseconds() {
    let before = Duration::from_secs(8);
    let start = WRAP_MS / 1000 - before.as_secs();
    if run_again_at(concat!(module_path!(), "::s68_clocks_pass_fifty_days_of_milliseconds"), start)
    {
        return;
    }
    let mut nodes = cluster(2);
    for node in &mut nodes {
        node.start(&["--testbed"]);
    }
    for node in &nodes {
        wait_for("both together", || members(node) == [0, 1]);
    }
    let mut clients: Vec<Port> =
        nodes.iter().map(|node| Port::register(port('A'), &options(node)).unwrap()).collect();
    for client in &mut clients {
        view(client, |view| view.members.len() == 2);
    }
    let formed = snapshot(&nodes[0]).gab.view;
    let uptime_ms = || Clock::new().now().as_nanos() / 1_000_000;
    let mut said = 0;
    // On both sides of it, whenever this machine let us begin.
    while said < 20 || uptime_ms() < WRAP_MS + 1000 {
        clients[0].broadcast(b"tick", Level::Safe, false).unwrap();
        for client in &mut clients {
            assert_eq!(deliveries(client, 1)[0].1, b"tick");
        }
        // Idle for a while: nothing is to come, and timers alone keep the members together.
        let event = clients[1].recv_timeout(Duration::from_millis(50));
        assert!(!matches!(event, Some(ClientEvent::View(_))), "{event:?}");
        said += 1;
    }
    for node in &nodes {
        assert_eq!(snapshot(node).gab.view, formed, "the membership stays");
        let links = snapshot(node).llt.nodes.into_iter().flat_map(|node| node.links);
        assert!(links.filter(|link| link.silent_ms.is_some()).all(|link| link.status == "UP"));
    }
}

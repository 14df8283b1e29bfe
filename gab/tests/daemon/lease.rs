//! The lease, as a client reads it (`gab::lease`).

use gab::admin::{AdminRequest, Changed};
use gab::client::{Options, Port};
use gab::lease::Lease;
use llt::io::Clock;
use rustix::process::Signal;

use crate::node::{Node, cluster, wait_for};
use crate::support::{ask, options, port, view};

/// Registers on port v, and waits for a view of so many nodes and its lease.
fn registered(node: &Node, count: usize) -> (Port, Lease, u64) {
    let kernel = Options { kernel: true, ..options(node) };
    let mut client = Port::register(port('v'), &kernel).unwrap();
    let generation = view(&mut client, |view| view.members.len() == count).generation;
    let lease = Lease::open(node.root(), port('v')).unwrap();
    wait_for("a lease", || lease.holds(generation));
    assert!(!lease.holds(generation + 1) && !lease.holds(generation - 1));
    (client, lease, generation)
}

/// A node that is alone has nobody to hear from, and no link to speak on: nothing wakes it but itself.
#[test]
fn who_is_alone_without_a_link_keeps_its_lease() {
    let mut node = Node::alone();
    node.start(&["--testbed"]);
    let (_client, lease, generation) = registered(&node, 1);
    for tag in ["l0", "l1"] {
        let disable = AdminRequest::LltLinkEnable { tag: tag.into(), enabled: false };
        ask::<Changed>(&node, disable).unwrap();
    }
    // It is granted for a second at a time.
    let (clock, begin) = (Clock::new(), Clock::new().now());
    wait_for("three seconds", || clock.now().since(begin).as_secs() >= 3);
    wait_for("a lease that is renewed", || lease.holds(generation));
}

#[test]
fn a_lease_ends_while_gabd_stands_still() {
    let mut nodes = cluster(2);
    nodes.iter_mut().for_each(|node| node.start(&["--testbed"]));
    let kernel = Options { kernel: true, ..options(&nodes[1]) };
    let other = Port::register(port('v'), &kernel).unwrap();
    let (mut client, lease, generation) = registered(&nodes[0], 2);
    nodes[0].signal(Signal::STOP);
    wait_for("the end of the lease", || !lease.holds(generation));
    nodes[0].signal(Signal::CONT);
    // It may have been thrown out meanwhile, and is not afterwards: one of these comes.
    wait_for("a lease again, or the end", || {
        lease.holds(generation) || matches!(client.try_recv(), Some(gab::ClientEvent::Closed(_)))
    });
    drop((client, other));
}

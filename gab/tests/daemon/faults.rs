//! Faults: cut links, partitions, frozen processes, clients that do not read or die.

use std::process::{Command, Stdio};

use gab::admin::{AdminRequest, Configured, FaultRates, FaultRequest, GabConfigure, GabTunable};
use gab::client::{Options, Port};
use gab::{ClientEvent, CloseReason, Level};
use rustix::process::Signal;

use crate::node::{Node, cluster, logged, wait_for};
use crate::support::{ask, deliveries, faults, members, next, options, port, snapshot, view};

fn formed(size: u8) -> Vec<Node> {
    let mut nodes = cluster(size);
    for node in &mut nodes {
        node.start(&["--testbed"]);
    }
    let all: Vec<u8> = (0..size).collect();
    for node in &nodes {
        wait_for("port a with everybody", || members(node) == all);
    }
    nodes
}

fn link_status(node: &Node, peer: u8, link: usize) -> String {
    let nodes = snapshot(node).llt.nodes;
    let found = nodes.into_iter().find(|node| node.node == peer);
    found.map(|node| node.links[link].status.clone()).unwrap_or_default()
}

#[test]
fn a_cut_link_shows_and_heals_and_costs_nobody_anything() {
    let nodes = formed(2);
    let mut a = Port::register(port('A'), &options(&nodes[0])).unwrap();
    let mut b = Port::register(port('A'), &options(&nodes[1])).unwrap();
    view(&mut a, |view| view.members.len() == 2);
    view(&mut b, |view| view.members.len() == 2);
    faults(&nodes[0], FaultRequest { link: Some(0), cut: Some(true), ..FaultRequest::default() });
    wait_for("link 0 down", || link_status(&nodes[1], 0, 0) != "UP");
    assert_eq!(link_status(&nodes[1], 0, 1), "UP");
    a.broadcast(b"over the other link", Level::Safe, false).unwrap();
    assert_eq!(deliveries(&mut b, 1)[0].1, b"over the other link");
    wait_for("jeopardy", || {
        let ports = snapshot(&nodes[0]).gab.ports;
        ports.iter().any(|port| port.port == "a" && port.jeopardy == [1])
    });
    faults(&nodes[0], FaultRequest { clear: true, ..FaultRequest::default() });
    wait_for("link 0 up", || link_status(&nodes[1], 0, 0) == "UP");
    assert_eq!(members(&nodes[0]), [0, 1]);
}

#[test]
fn messages_pass_a_bad_network_in_order() {
    let nodes = formed(2);
    let rates =
        FaultRates { loss: 0.05, dup: 0.05, corrupt: 0.02, reorder: 0.1, ..FaultRates::default() };
    for node in &nodes {
        faults(node, FaultRequest { rates: Some(rates), ..FaultRequest::default() });
    }
    let mut clients: Vec<Port> =
        nodes.iter().map(|node| Port::register(port('A'), &options(node)).unwrap()).collect();
    for client in &mut clients {
        view(client, |view| view.members.len() == 2);
    }
    // Both speak and listen at once: who does not read is cut off.
    let run = |index: u8, mut client: Port| {
        for number in 0..500u32 {
            let mut payload = number.to_be_bytes().to_vec();
            payload.resize(usize::try_from(number * 20 + 4).unwrap(), index);
            client.broadcast(&payload, Level::Agreed, true).unwrap();
        }
        client.flush().unwrap();
        deliveries(&mut client, 1000)
    };
    let orders: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0u8..)
            .zip(clients)
            .map(|(index, client)| scope.spawn(move || run(index, client)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(orders[0], orders[1]);
}

#[test]
fn a_partition_ejects_one_side_and_its_clients_are_told() {
    let nodes = formed(3);
    let mut clients: Vec<Port> =
        nodes.iter().map(|node| Port::register(port('A'), &options(node)).unwrap()).collect();
    for client in &mut clients {
        view(client, |view| view.members.len() == 3);
    }
    let first_life = snapshot(&nodes[2]).llt.incarnation;
    faults(&nodes[2], FaultRequest { blocked: Some(vec![0, 1]), ..FaultRequest::default() });
    for client in &mut clients[..2] {
        view(client, |view| view.left.len() == 1);
    }
    view(&mut clients[2], |view| view.members.len() == 1);
    faults(&nodes[2], FaultRequest { clear: true, ..FaultRequest::default() });
    // The smaller side gives up, in the same process, and joins again in a new life.
    loop {
        match next(&mut clients[2]) {
            ClientEvent::Closed(reason) => break assert_eq!(reason, CloseReason::Ejected),
            ClientEvent::Deliver(_) | ClientEvent::Status(_) | ClientEvent::View(_) => {}
        }
    }
    for node in &nodes {
        wait_for("port a with everybody", || members(node) == [0, 1, 2]);
    }
    assert!(snapshot(&nodes[2]).llt.incarnation > first_life);
    logged(&nodes[0], "LLT INFO node 2 disconnected: no link to it is left");
    let back = "is back after it was given up: it is let in once it has been connected for 600ms";
    logged(&nodes[0], &format!("GAB WARNING node 2 (node2) {back}"));
    logged(&nodes[2], "GAB WARNING this node was thrown out of the cluster by view ");
    let mut again = Port::register(port('A'), &options(&nodes[2])).unwrap();
    view(&mut again, |view| view.members.len() == 3);
    clients[0].broadcast(b"welcome", Level::Safe, false).unwrap();
    assert_eq!(deliveries(&mut again, 1)[0].1, b"welcome");
}

#[test]
fn a_node_that_is_to_halt_on_rejoin_halts_without_a_kernel_type_client() {
    let mut nodes = formed(3);
    let request = GabConfigure { rejoin_halt: Some(true), ..GabConfigure::default() };
    let done: Configured = ask(&nodes[2], AdminRequest::GabConfigure(request)).unwrap();
    assert!(!done.already && snapshot(&nodes[2]).gab.rejoin_halt);
    faults(&nodes[2], FaultRequest { blocked: Some(vec![0, 1]), ..FaultRequest::default() });
    wait_for("it goes on alone", || members(&nodes[2]) == [2]);
    faults(&nodes[2], FaultRequest { clear: true, ..FaultRequest::default() });
    assert_eq!(nodes[2].wait(), Some(75));
    let why = std::fs::read_to_string(nodes[2].root().join("run/gabd.halted")).unwrap();
    assert_eq!(why, "network failure\n");
    assert!(nodes[2].log().contains("Port a halting system due to network failure"));
    assert_eq!(members(&nodes[0]), [0, 1]);
    nodes[2].start(&["--testbed"]);
    assert!(!nodes[2].root().join("run/gabd.halted").exists());
    wait_for("it joins", || members(&nodes[2]) == [0, 1, 2]);
}

#[test]
fn a_frozen_node_learns_that_it_was_thrown_out() {
    let nodes = formed(3);
    let mut clients: Vec<Port> =
        nodes.iter().map(|node| Port::register(port('A'), &options(node)).unwrap()).collect();
    for client in &mut clients {
        view(client, |view| view.members.len() == 3);
    }
    nodes[0].signal(Signal::STOP);
    for client in &mut clients[1..] {
        view(client, |view| view.left.len() == 1);
    }
    nodes[0].signal(Signal::CONT);
    loop {
        match next(&mut clients[0]) {
            ClientEvent::Closed(reason) => break assert_eq!(reason, CloseReason::Ejected),
            ClientEvent::Deliver(_) | ClientEvent::Status(_) | ClientEvent::View(_) => {}
        }
    }
    for node in &nodes {
        wait_for("port a with everybody", || members(node) == [0, 1, 2]);
    }
}

#[test]
fn a_kernel_type_client_dies_with_its_process_only() {
    let nodes = formed(1);
    let kernel = Options { kernel: true, ..options(&nodes[0]) };
    let client = Port::register(port('A'), &kernel).unwrap();
    wait_for("the membership", || snapshot(&nodes[0]).gab.ports.iter().any(|p| p.port == "A"));
    // The socket goes without a word, the process (this one) stays.
    let ports = || snapshot(&nodes[0]).gab.ports;
    client.close().unwrap();
    wait_for("an orderly close", || !ports().iter().any(|port| port.port == "A"));
    let socket = nodes[0].connect();
    let mut open = vec![0, 0, 0, 12, 1, 2, 0, 0, 0, 1, b'A', b'x'];
    open.extend([0, 0, 0, 16, 5, 0, 0, 0, 0, 0, 0, 99, 0, 0, 99, 0]);
    rustix::net::send(&socket, &open, rustix::net::SendFlags::empty()).unwrap();
    wait_for("the membership", || ports().iter().any(|port| port.port == "A"));
    drop(socket);
    // The port is still taken: an exclusive registration is refused.
    assert!(Port::register(port('A'), &options(&nodes[0])).is_err());
    assert!(ports().iter().any(|port| port.port == "A"));
}

/// What such a client has under way is over when it hangs up, and only then may the others go on.
#[test]
fn a_node_stops_when_its_kernel_type_clients_have_hung_up() {
    let mut nodes = formed(2);
    let kernel = |node| Options { kernel: true, ..options(node) };
    let mut client = Port::register(port('A'), &kernel(&nodes[1])).unwrap();
    let mut watcher = Port::register(port('A'), &kernel(&nodes[0])).unwrap();
    view(&mut watcher, |view| view.members.len() == 2);
    nodes[1].signal(Signal::TERM);
    loop {
        match next(&mut client) {
            ClientEvent::Closed(reason) => break assert_eq!(reason, CloseReason::Stopped),
            ClientEvent::Deliver(_) | ClientEvent::Status(_) | ClientEvent::View(_) => {}
        }
    }
    // It is a member, and holds up nobody: neither with messages nor with views.
    watcher.broadcast(b"still here", Level::Safe, true).unwrap();
    assert_eq!(deliveries(&mut watcher, 1)[0].1, b"still here");
    let shared = Options { shared: true, ..kernel(&nodes[0]) };
    let mut other = Port::register(port('B'), &shared).unwrap();
    view(&mut other, |view| view.members.len() == 1);
    let on_port = snapshot(&nodes[0]).gab.ports.into_iter().find(|port| port.port == "A");
    assert_eq!(on_port.unwrap().members, [0, 1]);
    // Nobody else comes instead.
    let late = Port::register(port('A'), &kernel(&nodes[1]));
    assert!(late.is_err(), "{late:?}");
    drop(client);
    let left = view(&mut watcher, |view| view.members.len() == 1);
    assert_eq!(left.left.len(), 1);
    assert_eq!(nodes[1].wait(), Some(0));
}

#[test]
fn a_killed_client_leaves_its_port_at_once() {
    // The process that is killed is this test again.
    if let Some(root) = std::env::var_os("VICTIM_ROOT") {
        let options = Options { root: root.into(), ..Options::default() };
        let mut client = Port::register(port('A'), &options).unwrap();
        while !matches!(client.recv(), ClientEvent::Closed(_)) {}
        return;
    }
    let nodes = formed(2);
    let mut watcher = Port::register(port('A'), &options(&nodes[0])).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "faults::a_killed_client_leaves_its_port_at_once", "--nocapture"])
        .env("VICTIM_ROOT", nodes[1].root())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    view(&mut watcher, |view| view.members.len() == 2);
    child.kill().unwrap();
    child.wait().unwrap();
    view(&mut watcher, |view| view.left.len() == 1);
}

#[test]
fn a_client_that_does_not_read_flow_controls_and_is_then_closed() {
    let nodes = formed(1);
    let set = vec![GabTunable::ClientStall(2000)];
    let request = AdminRequest::GabConfigure(GabConfigure { set, ..GabConfigure::default() });
    ask::<Configured>(&nodes[0], request).unwrap();
    let shared = Options { shared: true, ..options(&nodes[0]) };
    let mut speaker = Port::register(port('A'), &shared).unwrap();
    view(&mut speaker, |_| true);
    let mut deaf = Port::register(port('A'), &shared).unwrap();
    view(&mut deaf, |_| true);
    // Far more than every queue on the way holds, so that the deaf one stops it.
    let payload = [7; 16 << 10];
    let mut sent = 0;
    let mut heard = 0;
    while heard < 2000 {
        if sent < 2000 && speaker.try_broadcast(&payload, Level::Agreed, false).is_ok() {
            sent += 1;
            continue;
        }
        // Once the deaf client is closed, after its limit, everything goes on.
        if let ClientEvent::Deliver(_) = next(&mut speaker) {
            heard += 1;
        }
    }
    loop {
        match next(&mut deaf) {
            ClientEvent::Closed(reason) => {
                break assert_eq!(reason, CloseReason::NotReading);
            }
            ClientEvent::Deliver(_) | ClientEvent::Status(_) | ClientEvent::View(_) => {}
        }
    }
}

//! Its files, its signals, its socket.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};

use gab::admin::{AdminRequest, Configured, FaultRates, FaultRequest, GabConfigure, RunningConfig};
use gab::client::{AdminFailure, Options, Port, RegisterError};
use gab::event::OpenError;
use gab::{ClientEvent, CloseReason, Level};
use rustix::process::Signal;

use crate::node::{Node, cluster, told, wait_for};
use crate::support::{ask, deliveries, members, next, options, port, snapshot, view};

#[test]
fn a_bad_file_stops_it_before_anything_starts() {
    let mut node = Node::alone();
    fs::write(node.root().join("etc/llttab"), "set-node 0\nset-cluster x\n").unwrap();
    fs::write(node.root().join("etc/gabtab"), "/sbin/gabconfig -c -Z\n").unwrap();
    let (code, stderr) = node.run(&[]);
    assert_eq!(code, Some(1), "{stderr}");
    for part in ["etc/llttab:2:13]", "expected a cluster id from 0 to 65535", "etc/gabtab:1:20]"] {
        assert!(stderr.contains(part), "{part} is missing in:\n{stderr}");
    }
    assert!(!node.root().join("run").exists());
}

#[test]
fn a_missing_file_is_named_with_what_it_is_for() {
    let mut node = Node::alone();
    fs::remove_file(node.root().join("etc/llthosts")).unwrap();
    let (code, stderr) = node.run(&[]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("etc/llthosts: No such file"), "{stderr}");
    assert!(stderr.contains("expected a line with id and name of each node"), "{stderr}");
}

#[test]
fn check_says_whether_the_files_are_good_and_starts_nothing() {
    let mut node = Node::alone();
    let (code, stderr) = node.run(&["--check"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!node.root().join("run").exists());
}

#[test]
fn a_second_gabd_is_refused_with_the_pid_of_the_first() {
    let mut node = Node::alone();
    node.start(&[]);
    let (code, stderr) = node.run(&[]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains(&format!("already running, process {}", node.pid())), "{stderr}");
    snapshot(&node);
}

#[test]
fn what_a_killed_gabd_left_behind_is_replaced() {
    let mut node = Node::alone();
    node.start(&[]);
    let first = snapshot(&node).llt.incarnation;
    node.signal(Signal::KILL);
    node.wait();
    assert!(node.root().join("run/gab.sock").exists() && node.root().join("run/gabd.pid").exists());
    node.start(&[]);
    assert!(snapshot(&node).llt.incarnation > first);
}

#[test]
fn something_else_in_the_place_of_the_socket_is_left_alone() {
    let mut node = Node::alone();
    let socket = node.root().join("run/gab.sock");
    fs::create_dir_all(node.root().join("run")).unwrap();
    fs::write(&socket, "precious").unwrap();
    let (code, stderr) = node.run(&[]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("is no socket"), "{stderr}");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
}

#[test]
fn sigterm_leaves_in_order_and_removes_the_files() {
    let mut node = Node::alone();
    node.start(&[]);
    let mut client = Port::register(port('A'), &options(&node)).unwrap();
    assert!(matches!(next(&mut client), ClientEvent::View(_)));
    let mode = fs::metadata(node.root().join("run/gab.sock")).unwrap();
    assert!(mode.file_type().is_socket());
    assert_eq!(mode.permissions().mode() & 0o777, 0o660);
    node.signal(Signal::HUP);
    node.signal(Signal::TERM);
    assert_eq!(next(&mut client), ClientEvent::Closed(CloseReason::Stopped));
    assert_eq!(node.wait(), Some(0));
    assert_eq!(fs::read_dir(node.root().join("run")).unwrap().count(), 0);
    let log = node.log();
    assert!(log.contains("V-15-1-20036 Port a gen 1 membership 0"), "{log}");
    assert!(log.ends_with("gabd ends\n"), "{log}");
}

#[test]
fn without_gabtab_gab_waits_for_gabconfig() {
    let mut node = Node::alone();
    node.start(&["--llt-only"]);
    let refused = Port::register(port('A'), &options(&node)).unwrap_err();
    assert!(matches!(refused, RegisterError::Open(OpenError::Unconfigured)), "{refused:?}");
    let request = GabConfigure { configure: true, count: Some(1), ..GabConfigure::default() };
    let done: Configured = ask(&node, AdminRequest::GabConfigure(request.clone())).unwrap();
    assert!(!done.already);
    let again: Configured = ask(&node, AdminRequest::GabConfigure(request)).unwrap();
    assert!(again.already);
    let mut client = Port::register(port('A'), &options(&node)).unwrap();
    assert!(matches!(next(&mut client), ClientEvent::View(view) if view.members.len() == 1));
}

#[test]
fn unconfiguring_is_refused_while_clients_are_registered() {
    let mut node = Node::alone();
    node.start(&[]);
    let client = Port::register(port('A'), &options(&node)).unwrap();
    let refused = ask::<()>(&node, AdminRequest::GabUnconfigure).unwrap_err();
    let AdminFailure::Refused(error) = refused else { panic!("{refused:?}") };
    assert_eq!(error.id.as_deref(), Some("V-15-1-20015"));
    assert_eq!(error.text, "unconfigure failed: clients still registered");
    assert!(ask::<()>(&node, AdminRequest::LltUnconfigure).is_err());
    client.close().unwrap();
    ask::<()>(&node, AdminRequest::GabUnconfigure).unwrap();
    assert!(!snapshot(&node).gab.configured);
    // And back: a node that has left can join again.
    let request = GabConfigure { configure: true, count: Some(1), ..GabConfigure::default() };
    let _: Configured = ask(&node, AdminRequest::GabConfigure(request)).unwrap();
    wait_for("port a", || snapshot(&node).gab.seeded);
    ask::<()>(&node, AdminRequest::GabUnconfigure).unwrap();
    ask::<()>(&node, AdminRequest::LltUnconfigure).unwrap();
    assert_eq!(node.wait(), Some(0));
}

#[test]
fn faults_are_for_testbeds_only() {
    let mut node = Node::alone();
    node.start(&[]);
    let request = FaultRequest { cut: Some(true), ..FaultRequest::default() };
    let refused = ask::<()>(&node, AdminRequest::Faults(request.clone())).unwrap_err();
    assert!(matches!(refused, AdminFailure::Refused(_)), "{refused:?}");
    let mut bed = Node::alone();
    bed.start(&["--testbed"]);
    ask::<()>(&bed, AdminRequest::Faults(request)).unwrap();
    let rates = Some(FaultRates { loss: 2.0, ..FaultRates::default() });
    let wrong = FaultRequest { rates, ..FaultRequest::default() };
    assert!(ask::<()>(&bed, AdminRequest::Faults(wrong)).is_err());
    let running: RunningConfig = ask(&bed, AdminRequest::Config).unwrap();
    assert!(running.testbed && running.llttab.contains("set-cluster"));
}

#[test]
fn a_client_that_breaks_the_protocol_is_closed_and_nobody_else() {
    let mut node = Node::alone();
    node.start(&[]);
    let mut good = Port::register(port('A'), &options(&node)).unwrap();
    assert!(matches!(next(&mut good), ClientEvent::View(_)));
    let unknown_kind = [0, 0, 0, 8, 99, 0, 0, 0];
    let send_without_open = [0, 0, 0, 8, 2, 0, 0, 0];
    for garbage in [&b"x"[..], &unknown_kind, &send_without_open, &[0xff; 70_000]] {
        let socket = node.connect();
        rustix::net::send(&socket, garbage, rustix::net::SendFlags::empty()).unwrap();
        let mut answer = [0; 64];
        let flags = rustix::net::RecvFlags::empty();
        let (len, _) = rustix::net::recv(&socket, &mut answer, flags).unwrap();
        // One Closed record with EPROTO, then the end.
        assert_eq!(answer[..len], [0, 0, 0, 12, 70, 0, 0, 0, 0, 0, 0, 71]);
        assert_eq!(rustix::net::recv(&socket, &mut answer, flags).unwrap().0, 0);
    }
    good.broadcast(b"still here", Level::Safe, false).unwrap();
    let ClientEvent::Deliver(delivery) = next(&mut good) else { panic!("a message was sent") };
    assert_eq!(&delivery.payload[..], b"still here");
}

#[test]
fn all_that_was_sent_before_a_hang_up_is_ordered() {
    let mut node = Node::alone();
    node.start(&[]);
    let shared = Options { shared: true, ..options(&node) };
    let mut listener = Port::register(port('A'), &shared).unwrap();
    assert!(matches!(next(&mut listener), ClientEvent::View(_)));
    let mut speaker = Port::register(port('A'), &shared).unwrap();
    assert!(matches!(next(&mut speaker), ClientEvent::View(_)));
    for number in 0..1000u32 {
        speaker.broadcast(&number.to_be_bytes(), Level::Agreed, false).unwrap();
    }
    drop(speaker);
    let mut heard = Vec::new();
    while heard.len() < 1000 {
        if let ClientEvent::Deliver(delivery) = next(&mut listener) {
            heard.push(u32::from_be_bytes(delivery.payload[..].try_into().unwrap()));
        }
    }
    assert_eq!(heard, (0..1000).collect::<Vec<_>>());
}

#[test]
fn a_close_is_answered_when_all_is_ordered() {
    let mut node = Node::alone();
    node.start(&[]);
    let shared = Options { shared: true, ..options(&node) };
    let mut listener = Port::register(port('A'), &shared).unwrap();
    assert!(matches!(next(&mut listener), ClientEvent::View(_)));
    let mut speaker = Port::register(port('A'), &shared).unwrap();
    assert!(matches!(next(&mut speaker), ClientEvent::View(_)));
    for _ in 0..100 {
        speaker.broadcast(&[7; 1000], Level::Safe, true).unwrap();
    }
    speaker.close().unwrap();
    for _ in 0..100 {
        assert!(matches!(next(&mut listener), ClientEvent::Deliver(_)));
    }
}

#[test]
fn s70_the_disk_of_the_log_hangs() {
    let mut nodes = cluster(3);
    let folder = nodes[0].root().join("var/log");
    fs::create_dir_all(&folder).unwrap();
    // Whoever opens it to write waits until somebody reads.
    let log = folder.join("gabd.log");
    let made = std::process::Command::new("mkfifo").arg(&log).status().unwrap();
    assert!(made.success());
    for node in &mut nodes {
        node.start(&[]);
    }
    for node in &nodes {
        wait_for("port a with all three", || members(node) == [0, 1, 2]);
    }
    let mut clients: Vec<Port> =
        nodes.iter().map(|node| Port::register(port('A'), &options(node)).unwrap()).collect();
    for client in &mut clients {
        view(client, |view| view.members.len() == 3);
    }
    let before = snapshot(&nodes[1]).gab.view;
    let seconds = std::env::var("MUSTER_SECONDS").ok().and_then(|text| text.parse().ok());
    let clock = llt::io::Clock::new();
    let until = clock.now() + std::time::Duration::from_secs(seconds.unwrap_or(3));
    while clock.now() < until {
        clients[0].broadcast(b"on", Level::Safe, false).unwrap();
        for client in &mut clients {
            assert_eq!(deliveries(client, 1)[0].1, b"on");
        }
    }
    for node in &nodes {
        let links = snapshot(node).llt.nodes.into_iter().flat_map(|node| node.links);
        assert!(links.filter(|link| link.silent_ms.is_some()).all(|link| link.status == "UP"));
    }
    assert_eq!(snapshot(&nodes[1]).gab.view, before, "the membership stays");

    let mut text = String::new();
    let reader = std::io::BufReader::new(fs::File::open(&log).unwrap());
    for line in std::io::BufRead::lines(reader) {
        text.push_str(&line.unwrap());
        if text.contains("node 0 begins") && text.contains("Port A gen") {
            break;
        }
    }
    drop(clients);
    nodes[0].stop();
}

#[test]
fn s71_full_disks_disturb_nobody() {
    let mut node = Node::alone();
    fs::create_dir_all(node.root().join("var/log")).unwrap();
    std::os::unix::fs::symlink("/dev/full", node.root().join("var/log/gabd.log")).unwrap();
    // Nothing can be written there.
    fs::create_dir_all(node.root().join("var/incarnation")).unwrap();
    node.start(&[]);
    told(&node, "the incarnation comes from the wall clock alone");
    let mut client = Port::register(port('A'), &options(&node)).unwrap();
    assert!(matches!(next(&mut client), ClientEvent::View(_)));
    node.signal(Signal::TERM);
    assert_eq!(node.wait(), Some(0));
    assert!(node.stderr().contains("cannot write"), "{}", node.stderr());
}

#[test]
fn a_link_that_cannot_be_bound_is_named_and_the_others_go_on() {
    let mut node = Node::alone();
    let llttab = node.root().join("etc/llttab");
    let mut text = fs::read_to_string(&llttab).unwrap();
    text.push_str("link far udp - udp 50999 - 192.0.2.7 -\n");
    fs::write(&llttab, &text).unwrap();
    node.start(&[]);
    wait_for("port a", || snapshot(&node).gab.seeded);
    told(&node, "V-14-2-15336 dlatt failed: cannot bind 192.0.2.7:50999");
    told(&node, "V-14-2-15074 cannot DL_ATTACH 2 on udp");
    let links = snapshot(&node).llt.links;
    assert_eq!(links.iter().map(|link| link.tag.as_str()).collect::<Vec<_>>(), ["l0", "l1", "far"]);
}

#[test]
fn three_nodes_form_order_and_lose_one() {
    let mut nodes = cluster(3);
    for node in &mut nodes {
        node.start(&["--testbed"]);
    }
    for node in &nodes {
        wait_for("port a with all three", || members(node) == [0, 1, 2]);
    }
    let mut clients: Vec<Port> =
        nodes.iter().map(|node| Port::register(port('A'), &options(node)).unwrap()).collect();
    for client in &mut clients {
        view(client, |view| view.members.len() == 3);
    }
    for (index, client) in (0u8..).zip(&mut clients) {
        for number in 0..200u8 {
            client.broadcast(&[index, number], Level::Safe, true).unwrap();
        }
        client.flush().unwrap();
    }
    let orders: Vec<_> = clients.iter_mut().map(|client| deliveries(client, 600)).collect();
    assert_eq!(orders[0], orders[1]);
    assert_eq!(orders[0], orders[2]);
    nodes[2].signal(Signal::KILL);
    for client in &mut clients[..2] {
        view(client, |view| view.left.len() == 1);
    }
    for node in &mut nodes[..2] {
        node.signal(Signal::TERM);
        assert_eq!(node.wait(), Some(0));
    }
}

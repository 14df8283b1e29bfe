//! The key file: who has another key or none is not heard, and the key changes while gabd runs.

use std::fs::{self, Permissions};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use gab::Level;
use gab::admin::{AdminRequest, KeysInForce};
use gab::client::{AdminFailure, Port};
use llt::io::keyfile;
use llt::seal::Key;

use crate::node::{Node, cluster, told, wait_for};
use crate::support::{ask, deliveries, members, options, port, snapshot, view};

fn path(node: &Node) -> PathBuf {
    node.root().join("etc/muster.key")
}

/// The test key of this number.
fn key(number: u8) -> Key {
    Key::new([number; 32])
}

/// Writes these keys, the first of which seals.
fn set_keys(node: &Node, numbers: &[u8]) {
    let lines: String =
        numbers.iter().map(|number| keyfile::line(&key(*number)).to_string()).collect();
    fs::write(path(node), lines).unwrap();
    fs::set_permissions(path(node), Permissions::from_mode(0o600)).unwrap();
}

/// The ids of the keys then in force, or why nothing was changed.
fn reload(node: &Node) -> Result<Vec<String>, String> {
    match ask::<KeysInForce>(node, AdminRequest::ReloadKeys) {
        Ok(answer) => Ok(answer.keys),
        Err(AdminFailure::Refused(error)) => Err(error.text),
        Err(other) => panic!("{other:?}"),
    }
}

fn id(number: u8) -> String {
    key(number).id().to_string()
}

/// Nodes whose GAB forms with two.
fn nodes(size: u8) -> Vec<Node> {
    let nodes = cluster(size);
    for node in &nodes {
        fs::write(node.root().join("etc/gabtab"), "/sbin/gabconfig -c -n2 -t 100\n").unwrap();
    }
    nodes
}

#[test]
fn a_bad_key_file_stops_it_with_the_reason() {
    let mut node = Node::alone();
    set_keys(&node, &[1]);
    fs::set_permissions(path(&node), Permissions::from_mode(0o640)).unwrap();
    let (code, stderr) = node.run(&[]);
    assert_eq!(code, Some(1));
    let chmod = format!("expected 0600: chmod 600 {}", path(&node).display());
    assert!(stderr.contains("its mode is 0640") && stderr.contains(&chmod), "{stderr}");
    set_keys(&node, &[1, 1]);
    let (code, stderr) = node.run(&["--check"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("muster.key:2: expected another key than that of line 1"), "{stderr}");
    assert!(!node.root().join("run").exists());
}

#[test]
fn without_a_key_one_warning_says_so_and_none_is_taken_later() {
    let mut node = Node::alone();
    node.start(&[]);
    let warning = "frames are not authenticated: no etc/muster.key";
    told(&node, warning);
    assert_eq!(reload(&node), Ok(vec![]));
    set_keys(&node, &[1]);
    let refused = reload(&node).unwrap_err();
    assert!(refused.starts_with("LLT runs without keys; it takes them only when it"), "{refused}");
    assert_eq!(node.stderr().matches(warning).count(), 1);
}

#[test]
fn only_who_has_the_key_is_heard() {
    let mut nodes = nodes(4);
    set_keys(&nodes[0], &[1]);
    set_keys(&nodes[1], &[1]);
    set_keys(&nodes[2], &[2]);
    for node in &mut nodes {
        node.start(&[]);
    }
    for node in &nodes[..2] {
        wait_for("port a with both", || members(node) == [0, 1]);
    }
    let heard = |node: &Node| {
        let stats = snapshot(node).llt.stats;
        [stats.rcv_unknown_key, stats.rcv_not_sealed, stats.rcv_sealed].map(|count| count > 10)
    };
    wait_for("node 0 counts the others", || heard(&nodes[0]) == [true, true, false]);
    wait_for("node 2 counts the others", || heard(&nodes[2]) == [true, true, false]);
    wait_for("node 3 counts the others", || heard(&nodes[3]) == [false, false, true]);
    assert_eq!(members(&nodes[0]), [0, 1]);
    for node in &nodes[2..] {
        assert_eq!(members(node), Vec::<u8>::new());
    }
    for (node, from, why) in
        [(0, 3, "unknown key"), (0, 4, "not sealed"), (3, 1, "sealed, and there is no key here")]
    {
        let from = format!("LLT WARNING link 0 (l0) frame from 127.66.0.{from}");
        let line = |line: &str| line.contains(&from) && line.ends_with(&format!(" refused: {why}"));
        wait_for(why, || nodes[node].log().lines().any(line));
    }
    let log = nodes[0].log();
    assert!(log.contains(&format!("frames are sealed, key {}", id(1))), "{log}");
    assert!(!nodes[0].stderr().contains("authenticated"));
}

#[test]
fn what_was_recorded_or_forged_is_refused_and_told() {
    let mut nodes = nodes(2);
    nodes.iter().for_each(|node| set_keys(node, &[1]));
    // What node 0 says to node 1 on link 1 comes here.
    let llttab = nodes[0].root().join("etc/llttab");
    let text = fs::read_to_string(&llttab).unwrap();
    let line = text.lines().find(|line| line.starts_with("link l1 ")).unwrap();
    let port: u16 = line.split(' ').nth(5).unwrap().parse().unwrap();
    fs::write(&llttab, text.replace("1 l1 127.66.1.2", "1 l1 127.66.1.102")).unwrap();
    let between = UdpSocket::bind(("127.66.1.102", port)).unwrap();
    between.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    nodes.iter_mut().for_each(|node| node.start(&["--testbed"]));
    for node in &nodes {
        wait_for("port a with both", || members(node) == [0, 1]);
    }
    let mut frame = [0; 9000];
    let len = between.recv(&mut frame).unwrap();
    let send = |frame: &[u8]| between.send_to(frame, ("127.66.1.2", port)).unwrap();
    send(&frame[..len]);
    send(&frame[..len]);
    let len = between.recv(&mut frame).unwrap();
    frame[len - 1] ^= 1;
    send(&frame[..len]);
    for why in ["replayed", "forged or damaged"] {
        let from = "LLT WARNING link 1 (l1) frame from 127.66.1.102";
        let line = |line: &str| line.contains(from) && line.ends_with(&format!(" refused: {why}"));
        wait_for(why, || nodes[1].log().lines().any(line));
    }
    assert_eq!(members(&nodes[1]), [0, 1]);
}

#[test]
fn the_key_is_changed_while_messages_flow_and_a_bad_file_changes_nothing() {
    let mut nodes = nodes(2);
    for node in &mut nodes {
        set_keys(node, &[1]);
        node.start(&[]);
    }
    let mut clients: Vec<Port> =
        nodes.iter().map(|node| Port::register(port('A'), &options(node)).unwrap()).collect();
    for client in &mut clients {
        view(client, |view| view.members.len() == 2);
    }
    let steps: [&[u8]; 3] = [&[1, 2], &[2, 1], &[2]];
    let mut sent = 0;
    for step in steps {
        for node in &nodes {
            for number in 0..50u8 {
                clients[0].broadcast(&[number; 100], Level::Safe, true).unwrap();
            }
            sent += 50;
            clients[0].flush().unwrap();
            set_keys(node, step);
            assert_eq!(reload(node).unwrap(), step.iter().map(|key| id(*key)).collect::<Vec<_>>());
        }
    }
    let orders: Vec<_> = clients.iter_mut().map(|client| deliveries(client, sent)).collect();
    assert_eq!(orders[0], orders[1]);
    for node in &nodes {
        let stats = snapshot(node).llt.stats;
        assert_eq!((stats.rcv_unknown_key, stats.rcv_bad_tag, stats.rcv_replayed), (0, 0, 0));
        let log = node.log();
        assert!(!log.contains("in trouble") && !log.contains("disconnected"), "{log}");
        assert!(log.contains(&format!("key {}; {} is accepted, too", id(2), id(1))), "{log}");
    }
    fs::write(path(&nodes[0]), "key 00\n").unwrap();
    let refused = reload(&nodes[0]).unwrap_err();
    assert!(refused.contains("muster.key:1: expected 64 hexadecimal digits"), "{refused}");
    assert!(refused.ends_with("; the keys stay as they are"), "{refused}");
    set_keys(&nodes[0], &[3]);
    let refused = reload(&nodes[0]).unwrap_err();
    assert!(refused.starts_with("no key in force is among the new ones"), "{refused}");
    fs::remove_file(path(&nodes[0])).unwrap();
    let refused = reload(&nodes[0]).unwrap_err();
    assert!(refused.starts_with("LLT runs with keys"), "{refused}");
    clients[1].broadcast(b"still here", Level::Safe, true).unwrap();
    clients[1].flush().unwrap();
    assert_eq!(deliveries(&mut clients[0], 1)[0].1, b"still here");
}

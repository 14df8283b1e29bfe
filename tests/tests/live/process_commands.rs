//! The commands on real daemons, through muster.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use crate::process::{LIMIT, beside_another, muster, port, text, three_nodes};
use gab::client::{Options, Port};
use gab::{ClientEvent, CloseReason};
use tools::muster::binaries::Binaries;
use tools::muster::control;
use tools::muster::process::State;
use tools::muster::programs::{self, Listener};
use tools::muster::temporary::Temporary;

#[test]
fn exec_prints_the_table_of_gabconfig_byte_for_byte() {
    let _room = beside_another();
    let cluster = three_nodes();
    let snapshot = control::snapshot(&cluster.cluster, 0).unwrap();
    let generation = snapshot.gab.ports[0].generation;
    let expected = format!(
        "GAB Port Memberships\n\
         ===============================================================\n\
         Port a gen {generation:>8x} membership 012\n"
    );
    for node in ["0", "node1", "2"] {
        assert_eq!(
            text(&muster(&cluster, &["exec", node, "gabconfig", "-a"]).output().unwrap()),
            expected
        );
    }
    cluster.down().unwrap();
}

#[test]
fn exec_hands_arguments_and_exit_status_on() {
    let _room = beside_another();
    let cluster = three_nodes();
    let script = r#"printf '%s|' "$@" "$MUSTER_ROOT"; exit 7"#;
    let words = ["exec", "1", "sh", "-c", script, "sh", "--dir", "a b", "-n", "--help", "--"];
    let output = muster(&cluster, &words).output().unwrap();
    let root = cluster.cluster.root(1);
    let expected = format!("--dir|a b|-n|--help|--|{}|", root.display());
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    assert_eq!(output.status.code(), Some(7));
    cluster.down().unwrap();
}

#[test]
fn three_listeners_print_the_same_lines_while_three_broadcast() {
    const EACH: usize = 200;
    let _room = beside_another();
    let cluster = three_nodes();
    let mut listeners: Vec<Listener> = (0..3)
        .map(|node| Listener::start(&cluster, node, 'A', cluster.folder()).unwrap())
        .collect();
    programs::wait_lines(&mut listeners, 0, LIMIT).unwrap();
    let mut senders = Vec::new();
    for node in 0..3 {
        let words = ["gabport", "-p", "A", "broadcast", "-"];
        let mut child = programs::spawn(&cluster, node, &words).unwrap();
        senders.push((child.stdin.take().unwrap(), child));
    }
    for number in 0..EACH {
        for (node, (stdin, _)) in senders.iter_mut().enumerate() {
            writeln!(stdin, "node {node} says {number}").unwrap();
        }
    }
    for (stdin, child) in senders {
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let lines = programs::wait_lines(&mut listeners, 3 * EACH, LIMIT).unwrap();
    assert_eq!(lines[0], lines[1]);
    assert_eq!(lines[0], lines[2]);
    for node in 0..3 {
        for number in 0..EACH {
            let text = format!(" node {node} says {number}");
            let count = lines[0].iter().filter(|line| line.ends_with(&text)).count();
            assert_eq!(count, 1, "{text:?} in the listeners' lines");
        }
    }
    drop(listeners);
    cluster.down().unwrap();
}

#[test]
fn a_client_is_told_that_its_daemon_died() {
    let _room = beside_another();
    let cluster = three_nodes();
    let root = cluster.cluster.root(1);
    let options = Options { root, ..Options::default() };
    let mut client = Port::register(port('D'), &options).unwrap();
    assert!(matches!(client.recv_timeout(LIMIT), Some(ClientEvent::View(_))));
    assert!(cluster.kill(1).unwrap());
    let closed = loop {
        match client.recv_timeout(LIMIT) {
            Some(ClientEvent::Closed(reason)) => break reason,
            Some(_) => {}
            None => panic!("the client was not told"),
        }
    };
    assert_eq!(closed, CloseReason::Died);
    cluster.down().unwrap();
}

#[test]
fn up_over_a_cluster_is_refused_and_leaves_it_alone() {
    let _room = beside_another();
    let cluster = three_nodes();
    let output = muster(&cluster, &["up"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("3 nodes, 3 running") && said.contains("muster down"), "{said}");
    assert!(cluster.cluster.ids().all(|id| cluster.cluster.node(id).state() == State::Running));
    cluster.down().unwrap();
}

#[test]
fn down_leaves_the_files_of_others_alone() {
    let _room = beside_another();
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("notes.txt");
    std::fs::write(&foreign, "mine").unwrap();
    let cluster = Temporary::up_in(folder.path(), &crate::process::options()).unwrap();
    let daemons: Vec<_> = cluster.cluster.nodes.iter().filter_map(|node| node.gabd).collect();
    assert_eq!(daemons.len(), 3);
    cluster.down().unwrap();
    assert!(daemons.iter().all(|daemon| daemon.state() == State::Gone));
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(std::fs::read_to_string(foreign).unwrap(), "mine");
}

#[test]
fn a_stopped_node_leaves_at_once_and_comes_back() {
    let _room = beside_another();
    let mut cluster = three_nodes();
    let started = tools::muster::wait::now();
    assert!(cluster.stop(2).unwrap(), "gabd did not end by itself");
    tools::muster::formed::wait_formed(&cluster.cluster, &[0, 1], LIMIT).unwrap();
    let inactive = cluster.cluster.timers.llt().peer_inact;
    let took = tools::muster::wait::now().since(started);
    // Announced, not detected. On a machine so busy that it takes longer, this shows nothing.
    assert!(took < inactive + Duration::from_secs(5), "a clean leave took {took:?}");
    assert!(cluster.start(2).unwrap());
    cluster.wait_formed().unwrap();
    cluster.down().unwrap();
}

/// A cluster in the hands of the command line alone.
struct ByHand {
    folder: tempfile::TempDir,
    binaries: Binaries,
}

impl ByHand {
    fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(self.binaries.path("muster"));
        command.env("MUSTER_NO_BUILD", "1").arg("--dir").arg(self.dir()).args(words);
        command.output().unwrap()
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("cluster")
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        // What fails here failed before, too.
        let _ = self.run(&["down"]);
    }
}

#[test]
fn the_command_line_breaks_shows_and_mends_a_cluster() {
    let _room = beside_another();
    let hand =
        ByHand { folder: tempfile::tempdir().unwrap(), binaries: Binaries::locate().unwrap() };
    let run = |words: &[&str]| text(&hand.run(words));
    assert!(run(&["up", "-n", "2"]).starts_with("2 nodes with 2 links are up in "));

    run(&["faults", "1", "--loss", "5%", "--delay", "2ms", "link1"]);
    let shown = run(&["faults", "node1"]);
    assert_eq!(shown, "node1 link0: no faults\nnode1 link1: loss 5%, delay 2ms\n");
    run(&["faults", "1", "--clear"]);
    assert_eq!(run(&["faults", "1", "1"]), "node1 link1: no faults\n");

    run(&["kill", "1"]);
    assert_eq!(hand.run(&["kill", "1"]).status.code(), Some(3), "it does not run any more");
    let status: serde_json::Value = serde_json::from_str(&run(&["status", "--json"])).unwrap();
    assert_eq!(status["nodes"][0]["state"], "running");
    assert_eq!(status["nodes"][1]["state"], "gone");
    run(&["start", "1"]);
    run(&["pause", "0"]);
    assert!(run(&["status"]).contains("paused"));
    run(&["resume", "0"]);
    assert_eq!(hand.run(&["partition", "0", "0,1"]).status.code(), Some(2), "0 is in two groups");
    assert_eq!(hand.run(&["exec", "7", "true"]).status.code(), Some(1), "there is no node 7");

    run(&["down"]);
    assert!(!hand.dir().exists());
}

#[test]
fn disks_that_are_too_small_are_refused() {
    let hand =
        ByHand { folder: tempfile::tempdir().unwrap(), binaries: Binaries::locate().unwrap() };
    let output = hand.run(&["up", "--disks", "4", "--disk-size", "1m"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--disk-size") && said.contains("64m at least"), "{said}");
}

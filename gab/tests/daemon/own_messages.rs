//! Lines of the log about gabd itself (docs/operations.md): it was busy, its log had to wait, and it
//! may not kill.

use std::fs;
use std::path::Path;
use std::process::Command;

use gab::admin::{AdminRequest, Changed, Configured, GabConfigure, GabTunable, Setting};
use gab::client::Admin;
use gab::limits::LOG_LINES_MAX;
use rustix::process::Signal;

use crate::node::{Node, logged, told, wait_for};
use crate::supervision::{Life, Victim};
use crate::support::{ask, members};

/// A file where whoever opens it waits for somebody at the other end: a disk that hangs.
fn hanging(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _ = fs::remove_file(path);
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_reactor_that_is_busy_for_long_is_told_of() {
    let mut node = Node::alone();
    node.start(&["--testbed"]);
    wait_for("port a", || members(&node) == [0]);
    // A new life reads the last incarnation.
    let incarnation = node.root().join("var/incarnation");
    hanging(&incarnation);
    std::thread::scope(|scope| {
        let unconfigured = scope.spawn(|| ask::<()>(&node, AdminRequest::GabUnconfigure));
        logged(&node, "the reactor has been busy with one turn for ");
        fs::write(&incarnation, "1\n").unwrap();
        unconfigured.join().unwrap().unwrap();
    });
    logged(&node, "the reactor goes on after a turn of up to ");
}

#[test]
fn lines_that_the_log_did_not_take_in_time_are_counted() {
    let mut node = Node::alone();
    let log = node.root().join("var/log/gabd.log");
    hanging(&log);
    node.start(&["--testbed"]);
    let mut admin = Admin::connect(node.root()).unwrap();
    // Each of these is a line.
    let names = ["heartbeat", "heartbeatlo", "peertrouble", "peertroublelo", "peerinact"];
    for round in 0..LOG_LINES_MAX / names.len() + 10 {
        let of = |at: usize| format!("{}ms", 1000 * (at + 1) + round % 2);
        let set = |(at, name): (usize, &&str)| Setting { name: (*name).into(), value: of(at) };
        let request = AdminRequest::LltTimers(names.iter().enumerate().map(set).collect());
        let changed: Changed = admin.request(&request).unwrap();
        assert!(changed.changed.len() >= names.len(), "{changed:?}");
    }
    std::thread::scope(|scope| {
        let reader =
            scope.spawn(|| std::io::copy(&mut fs::File::open(&log)?, &mut std::io::sink()));
        told(&node, " log lines were dropped: the log could not be written in time");
        node.signal(Signal::KILL);
        assert!(reader.join().unwrap().unwrap() > 0);
    });
}

#[test]
fn a_process_that_gabd_may_not_kill_is_named() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    let mut node = Node::alone();
    if let Err(error) = node.start_as(NOBODY, &["--testbed"]) {
        println!("skipped: another user may not run gabd: {error}");
        return;
    }
    wait_for("port a", || members(&node) == [0]);
    let set = vec![GabTunable::KillNtries(3)];
    let request = GabConfigure { iofence_ms: Some(300), set, ..GabConfigure::default() };
    let _: Configured = ask(&node, AdminRequest::GabConfigure(request)).unwrap();
    let victim = Victim::start(&node, 'h', 400, false, Life::Serve);
    victim.signal(Signal::STOP);
    logged(&node, "GAB WARNING V-15-1-20138 Port h isolated due to client process failure");
    let pid = victim.pid();
    let line = format!(
        "cannot kill process {pid}: Operation not permitted (os error 1); its port is closed all the same"
    );
    assert_eq!(node.log().matches(&line).count(), 1, "{}", node.log());
}

/// A user that may do nothing to processes of root.
const NOBODY: u32 = 65_534;

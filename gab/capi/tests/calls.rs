//! Small C programs that try every call, on a cluster of one node.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use common::{Program, cluster, compile};
use rustix::process::Signal;

/// Compiles and runs one, to its end.
fn run(source: &str) {
    let folder = tempfile::tempdir().unwrap();
    let program = compile(source, folder.path());
    let nodes = cluster(1);
    let output = Program::start(&nodes[0], &mut Command::new(program)).succeed();
    assert_eq!(output, "done\n");
}

#[test]
fn every_call_does_what_the_header_says_and_refuses_the_rest() {
    run("tests/c/calls.c");
}

#[test]
fn threads_share_a_port_and_use_others() {
    run("tests/c/threads.c");
}

#[test]
fn a_handled_signal_ends_a_wait() {
    run("tests/c/interrupted.c");
}

#[test]
fn a_supervised_program_lives_while_it_calls_and_is_killed_when_it_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let program = compile("tests/c/supervised.c", folder.path());
    let nodes = cluster(1);
    let program = Program::start(&nodes[0], &mut Command::new(program));
    let (status, stdout, stderr) = program.finish();
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{status}\n{stderr}");
    assert_eq!(stdout, "hangs\n");
}

#[test]
fn a_change_of_what_is_visible_is_a_status() {
    let folder = tempfile::tempdir().unwrap();
    let program = compile("tests/c/status.c", folder.path());
    let nodes = cluster(2);
    let program = Program::start(&nodes[0], &mut Command::new(program));
    program.wait_for_line("visible");
    nodes[1].end(Signal::TERM);
    assert_eq!(program.succeed(), "visible\ngone\n");
}

/// A program that was told by its descriptor, sent all it could, and whose gabd then ends.
fn flood(end: Signal, closed: &str) {
    let folder = tempfile::tempdir().unwrap();
    let program = compile("tests/c/flood.c", folder.path());
    let nodes = cluster(1);
    let program = Program::start(&nodes[0], &mut Command::new(program));
    common::wait_for("the flood", || program.output().starts_with("sent "));
    nodes[0].end(end);
    let output = program.succeed();
    assert!(output.ends_with(closed), "{output}");
}

#[test]
fn a_full_port_refuses_without_waiting_and_loses_nothing_and_a_stop_is_told() {
    flood(Signal::TERM, "closed 108 gabd was stopped\n");
}

#[test]
fn the_death_of_gabd_is_told() {
    flood(Signal::KILL, "closed 104 gabd is gone\n");
}

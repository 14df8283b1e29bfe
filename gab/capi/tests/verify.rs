//! The example that checks what it is given, on what `muster up` makes. It was written by somebody
//! who saw the header and the manual only.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use common::{Program, built, compile, wait_for};
use rustix::process::Signal;

/// A cluster of three that `muster up` has made, with the program; `muster down` ends it.
struct Up {
    folder: tempfile::TempDir,
    verify: PathBuf,
}

impl Up {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let verify = compile("examples/verify.c", folder.path());
        let up = Self { folder, verify };
        up.succeed(&["up", "-n", "3", "--timers", "patient"]);
        up
    }

    fn muster(&self, words: &[&str]) -> Command {
        let mut command = Command::new(built("muster"));
        command
            .env("MUSTER_NO_BUILD", "1")
            .arg("--dir")
            .arg(self.folder.path().join("cluster"))
            .args(words);
        command
    }

    fn succeed(&self, words: &[&str]) {
        let output = self.muster(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The program on a node, with these arguments.
    fn verify(&self, node: usize, words: &str) -> Program {
        let mut command = self.muster(&["exec", &node.to_string(), "--"]);
        Program::spawn(command.arg(&self.verify).args(words.split(' ')))
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.muster(&["down"]).output();
    }
}

/// The last line of a program that succeeds, which names the hash over all that it was given.
fn verified(program: Program) -> String {
    let output = program.succeed();
    let last = output.lines().last().unwrap();
    assert!(last.starts_with("verified ") && last.contains(" hash "), "{output}");
    last.to_owned()
}

/// Each of them was given the same.
fn equal(programs: Vec<Program>) -> String {
    let mut lines: Vec<String> = programs.into_iter().map(verified).collect();
    lines.dedup();
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

#[test]
fn all_are_given_the_same_and_all_of_it() {
    let up = Up::new();
    let programs = (0..3).map(|node| up.verify(node, "A -n 1000 -m 3")).collect();
    let line = equal(programs);
    assert!(line.starts_with("verified 3000 messages "), "{line}");
}

#[test]
fn the_others_agree_when_one_is_killed() {
    let up = Up::new();
    let mut programs: Vec<Program> = (0..3).map(|node| up.verify(node, "A -n 5000 -m 3")).collect();
    wait_for("the beginning", || programs[1].output().contains("members 0 1 2"));
    programs.remove(1).signal(Signal::KILL);
    equal(programs);
}

#[test]
fn who_is_stopped_for_a_while_goes_on() {
    let up = Up::new();
    let programs: Vec<Program> = (0..3).map(|node| up.verify(node, "A -n 5000 -m 3")).collect();
    wait_for("the beginning", || programs[1].output().contains("members 0 1 2"));
    programs[1].signal(Signal::STOP);
    let end = common::now() + Duration::from_secs(2);
    wait_for("the end of the stop", || common::now() >= end);
    programs[1].signal(Signal::CONT);
    equal(programs);
}

#[test]
fn a_full_socket_refuses_and_who_does_not_read_is_closed() {
    let up = Up::new();
    up.succeed(&["exec", "1", "--", "gabconfig", "-S", "client_stall:2000"]);
    let reads = up.verify(0, "A -q");
    let stopped = up.verify(1, "A -q");
    stopped.wait_for_line("members 0 1");
    stopped.signal(Signal::STOP);
    let sends = up.verify(2, "A -f");
    wait_for("no room", || sends.output().contains("\nfull "));
    // The stopped one is closed, and the others go on.
    reads.wait_for_line("members 0 2");
    stopped.signal(Signal::CONT);
    let (status, stdout, _) = stopped.finish();
    assert_eq!(status.code(), Some(2), "{stdout}");
    assert!(stdout.contains("\nclosed 105 "), "{stdout}");
    sends.signal(Signal::TERM);
    sends.succeed();
    reads.signal(Signal::TERM);
    reads.succeed();
}

#[test]
fn the_end_of_the_cluster_is_told() {
    let up = Up::new();
    let programs: Vec<Program> = (0..3).map(|node| up.verify(node, "A -f")).collect();
    for program in &programs {
        wait_for("all three", || program.output().contains("members 0 1 2"));
    }
    up.succeed(&["down"]);
    for program in programs {
        let (status, stdout, stderr) = program.finish();
        assert_eq!(status.code(), Some(2), "{stdout}{stderr}");
        assert!(stdout.contains("\nclosed 108 "), "{stdout}");
    }
}

//! No leak and no wild access, by valgrind.

mod common;

use std::path::Path;
use std::process::Command;

use common::{Program, cluster, compile, has, skip};
use rustix::process::Signal;

/// The program under valgrind, or `None` without it.
fn valgrind(program: &Path) -> Option<Command> {
    if !has("valgrind", "--version") {
        skip("valgrind is not installed");
        return None;
    }
    let mut command = Command::new("valgrind");
    command.args(["--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=all"]);
    command.args(["--show-leak-kinds=all", "--track-fds=yes", "--num-callers=30"]);
    command.arg(program);
    Some(command)
}

/// What valgrind said of a program that is to succeed.
fn check(program: Program) {
    let (status, stdout, stderr) = program.finish();
    assert!(status.success(), "{status}\n{stdout}\n{stderr}");
    assert!(stderr.contains("ERROR SUMMARY: 0 errors"), "{stderr}");
    // The standard three, and whatever we were started with.
    let inherited = stderr.matches("<inherited from parent>").count();
    let expected = format!("FILE DESCRIPTORS: {} open (3 std) at exit", 3 + inherited);
    assert!(stderr.contains(&expected), "{stderr}");
}

#[test]
fn the_example_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let chat = compile("examples/chat.c", folder.path());
    let Some(mut command) = valgrind(&chat) else { return };
    let nodes = cluster(2);
    let mut other = Program::chat(&nodes[1], &chat, " 1");
    let mut program = Program::start(&nodes[0], command.arg("A"));
    program.wait_for_line("members 0 1");
    for n in 0..100 {
        program.say(&format!("{n}\n"));
        other.say(&format!("{n}\n"));
    }
    program.wait_for_line(" 0 99");
    program.wait_for_line(" 1 99");
    other.signal(Signal::KILL);
    common::wait_for("a view without it", || program.output().ends_with("members 0\n"));
    check(program);
}

#[test]
fn every_call_is_clean() {
    let folder = tempfile::tempdir().unwrap();
    let calls = compile("tests/c/calls.c", folder.path());
    let Some(mut command) = valgrind(&calls) else { return };
    let nodes = cluster(1);
    check(Program::start(&nodes[0], &mut command));
}

#[test]
fn threads_are_clean() {
    let folder = tempfile::tempdir().unwrap();
    let threads = compile("tests/c/threads.c", folder.path());
    let Some(mut command) = valgrind(&threads) else { return };
    let nodes = cluster(1);
    check(Program::start(&nodes[0], &mut command));
}

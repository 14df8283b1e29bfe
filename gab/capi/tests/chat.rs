//! The example on real clusters: one order, and what becomes of a program that is killed, stopped
//! or does not read.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::path::PathBuf;
use std::time::Duration;

use common::{Program, cluster, compile, wait_for};
use rustix::process::Signal;

fn chat() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let program = compile("examples/chat.c", folder.path());
    (folder, program)
}

/// Its deliveries; `until` all of this number are there.
fn deliveries(chat: &Program, until: usize) -> Vec<String> {
    let lines = || -> Vec<String> {
        let output = chat.output();
        output.lines().filter(|line| line.starts_with("deliver ")).map(str::to_owned).collect()
    };
    wait_for(&format!("{until} deliveries"), || lines().len() >= until);
    lines()
}

#[test]
fn three_programs_see_one_order() {
    let (_folder, chat) = chat();
    let nodes = cluster(3);
    let mut chats: Vec<Program> = Vec::new();
    for node in &nodes {
        chats.push(Program::start(node, std::process::Command::new(&chat).arg("A")));
    }
    chats.iter().for_each(|chat| chat.wait_for_line("members 0 1 2"));
    for (id, chat) in chats.iter_mut().enumerate() {
        let lines: String = (0..200).map(|n| format!("{n} of {id}\n")).collect();
        chat.say(&lines);
    }
    let orders: Vec<_> = chats.iter().map(|chat| deliveries(chat, 600)).collect();
    assert_eq!(orders[0].len(), 600);
    assert_eq!(orders[0], orders[1]);
    assert_eq!(orders[0], orders[2]);
    // What one said comes in the order in which it said it.
    let of_one = orders[0].iter().filter(|line| line.ends_with(" of 1"));
    let numbers: Vec<&str> = of_one.filter_map(|line| line.split(' ').nth(3)).collect();
    assert_eq!(numbers, (0..200).map(|n| n.to_string()).collect::<Vec<_>>());
    // In order, and what was said last is not lost.
    chats[2].say("farewell\n");
    chats.pop().unwrap().succeed();
    for chat in &chats {
        chat.wait_for_line(" 2 farewell");
        chat.wait_for_line("members 0 1");
    }
}

#[test]
fn a_killed_program_leaves_its_port_and_a_terminated_one_closes_it() {
    let (_folder, chat) = chat();
    let nodes = cluster(2);
    let stays = Program::chat(&nodes[0], &chat, " 0");
    let killed = Program::chat(&nodes[1], &chat, " 0 1");
    stays.wait_for_line("members 0 1");
    killed.signal(Signal::KILL);
    wait_for("a view without it", || stays.output().ends_with("members 0\n"));
    // The port is free at once.
    let again = Program::chat(&nodes[1], &chat, " 0 1");
    again.signal(Signal::TERM);
    again.succeed();
    wait_for("a view without it", || stays.output().ends_with("members 0\n"));
    stays.succeed();
}

/// It paces the others while it may still come back, and then they go on without it. Its gabd, which
/// still has something for it, once turned without a pause from five seconds later on.
#[test]
fn a_stopped_program_paces_the_others_is_closed_costs_nothing_and_is_told_why() {
    let (_folder, chat) = chat();
    let nodes = cluster(2);
    let mut talks = Program::chat(&nodes[0], &chat, " 0");
    let stopped = Program::chat(&nodes[1], &chat, " 0 1");
    talks.wait_for_line("members 0 1");
    stopped.signal(Signal::STOP);
    // More than all queues hold: the last line goes only when the stopped one is out.
    let line = format!("{}\n", "x".repeat(3000));
    let mut said = 0;
    while said < 8000 {
        talks.say(&line);
        said += 1;
    }
    assert_eq!(deliveries(&talks, said).len(), said);
    talks.wait_for_line("members 0");
    let (span, busy) = (Duration::from_secs(8), nodes[1].processor_time());
    let end = common::now() + span;
    wait_for("the end of the span", || common::now() >= end);
    assert!(nodes[1].processor_time() - busy < span / 8, "gabd is busy with a stopped program");
    stopped.signal(Signal::CONT);
    stopped.wait_for_line("closed 105 the program did not read its messages");
    let (status, _, stderr) = stopped.finish();
    assert_eq!(status.code(), Some(1));
    assert!(stderr.contains("the program did not read its messages"), "{stderr}");
    talks.succeed();
}

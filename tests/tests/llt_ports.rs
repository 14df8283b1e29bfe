//! LLT ports besides GAB's, between pure stacks: the node of the simulator answers lltping, too.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use bytes::Bytes;
use gab::echo::{self, Echo};
use llt::core::SendError;
use llt::{LltPort, NodeId};
use sim::fuzz::Mini;

fn node(id: u8) -> NodeId {
    NodeId::new(id).unwrap()
}

/// What arrives at node 0 within a second of virtual time.
fn arrived(mini: &mut Mini, count: usize) -> Vec<(NodeId, LltPort, Bytes)> {
    let mut all = Vec::new();
    for _ in 0..1000 {
        mini.turn();
        all.extend(mini.take_arrived(0));
        if all.len() >= count {
            break;
        }
    }
    all
}

#[test]
fn every_stack_answers_lltping_the_way_the_question_came() {
    let mut mini = Mini::new(7);
    for to in 0..3 {
        for reliable in [true, false] {
            let question = echo::question(9, u64::from(to), 200, true);
            mini.llt_send(0, LltPort::PING, node(to), question.clone(), reliable).unwrap();
            let answers = arrived(&mut mini, 1);
            let [(from, port, answer)] = answers.as_slice() else { panic!("{answers:?}") };
            assert_eq!((*from, *port), (node(to), LltPort::PING));
            let echo = Echo::read(answer).unwrap();
            assert!(echo.answer && echo.is_whole(answer) && echo.number == u64::from(to));
            assert_eq!(answer.len(), question.len());
        }
    }
    // Nobody but the asker heard of it.
    assert!(mini.take_arrived(1).is_empty() && mini.take_arrived(2).is_empty());
}

#[test]
fn a_flood_of_questions_is_answered_within_bounds() {
    let mut mini = Mini::new(8);
    let mut sent = 0;
    for number in 0..5000 {
        match mini.llt_send(0, LltPort::PING, node(1), echo::question(1, number, 900, false), true)
        {
            Ok(()) => sent += 1,
            Err(error) => assert_eq!(error, SendError::WouldBlock),
        }
    }
    assert!(sent < 1000, "LLT took {sent} messages at once");
    let answers = arrived(&mut mini, sent);
    assert!(answers.len() > sent / 2, "{} answers to {sent} questions", answers.len());
    assert!(mini.is_whole(), "GAB goes on");
}

#[test]
fn messages_keep_their_order_and_port() {
    let mut mini = Mini::new(9);
    let port = LltPort::new(20).unwrap();
    for number in 0..100u8 {
        mini.llt_send(2, port, node(0), Bytes::from(vec![number; 5000]), true).unwrap();
        if number % 10 == 0 {
            mini.turn();
        }
    }
    let messages = arrived(&mut mini, 100);
    assert_eq!(messages.len(), 100);
    for ((from, on, payload), number) in messages.iter().zip(0..) {
        assert_eq!((*from, *on, payload.len()), (node(2), port, 5000));
        assert!(payload.iter().all(|byte| *byte == number));
    }
    let nobody = mini.llt_send(0, port, node(9), Bytes::new(), true);
    assert_eq!(nobody, Err(SendError::NotConnected));
    let long = mini.llt_send(0, port, node(1), Bytes::from(vec![0; 66_561]), true);
    assert!(matches!(long, Err(SendError::TooLarge { .. })));
}

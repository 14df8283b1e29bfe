use std::collections::BTreeSet;

use llt::core::{DuplicateScope, RefusedCause};
use llt::{Duration, Id, Incarnation, LinkAddr, LinkId};

use super::*;
use crate::core::HaltCause;
use crate::daemon::halt::words;
use crate::daemon::notices;
use crate::event::CloseReason;
use crate::ids::{PortName, Versions, Vid};

fn node(id: u8) -> NodeId {
    NodeId::new(id).unwrap()
}

fn set(nodes: &[u8]) -> NodeSet {
    nodes.iter().map(|&id| node(id)).collect()
}

/// Everything that GAB may tell, once.
fn notices_of_gab() -> Vec<Notice> {
    let (client, port) = (ClientId(7), PortName::new('h').unwrap());
    let reason = CloseReason::NotReading;
    let timeout = Duration::from_secs(15);
    vec![
        Notice::ClientInactive { client, port, seconds: 7 },
        Notice::ClientFailed { client, port, timeout, beats: [1, 2, 3, 4, 5] },
        Notice::ClientKilled { client, port, reason },
        Notice::ClientClosed { port, reason },
        Notice::RegistrationExpected { port, left: Duration::from_secs(185), halt: true },
        Notice::RegistrationMissed { port },
        Notice::Ejected { by: Vid::NONE },
        Notice::ProtocolError { sequence: 78 },
        Notice::QuorumDiffers { node: node(1), theirs: true },
        Notice::QuorumLost { of: set(&[0, 1, 2]), present: set(&[1]) },
        Notice::Returned { node: node(1), hold: Duration::from_secs(30) },
        Notice::SeededByHand { members: set(&[0, 1]) },
        Notice::SlowMember { node: node(1), behind: 1400 },
        Notice::Stalled { node: node(1), conn_wait: 12 },
        Notice::StuckMember { node: node(7) },
        Notice::TooManyChanges { failed: 16 },
        Notice::VersionRefused {
            node: node(1),
            versions: Versions { min: 2, max: 3 },
            ours: Versions::OURS,
        },
        Notice::WaitingForSeed { port },
    ]
}

/// Everything of LLT that is told, once.
fn events_of_llt() -> Vec<Event> {
    let peer = Id { node: node(1), incarnation: Incarnation(7) };
    let (link, with) = (LinkId::new(0).unwrap(), LinkId::new(1).unwrap());
    let from = LinkAddr::Mac([2, 0, 0, 0, 0, 9]);
    let status = |status| Event::Link { peer, link, status, silent_ms: 0, links_up: 1 };
    let note = |note| Event::Note { peer: Some(peer), link, note, found: true };
    let down = |reason| Event::PeerDown { peer, reason };
    vec![
        Event::PeerUp { peer, links_up: 1 },
        down(DownReason::Left),
        down(DownReason::Restarted),
        down(DownReason::Silent),
        down(DownReason::Reset),
        down(DownReason::Excluded),
        status(LinkStatus::Up),
        status(LinkStatus::Trouble),
        status(LinkStatus::Expired),
        status(LinkStatus::Down),
        note(Note::Crossed { with }),
        note(Note::Lossy),
        note(Note::OneWay),
        Event::Duplicate { scope: DuplicateScope::Peer, node: node(1), from: None },
        Event::Late { late_ms: 1230 },
        Event::Refused { cause: RefusedCause::Replayed, link, from },
    ]
}

fn all() -> Vec<Value> {
    let settings = notices::tests::settings();
    let llt = events_of_llt().into_iter().map(Notice::Llt);
    let told = notices_of_gab().into_iter().chain(llt);
    let told = told.map(|notice| of_notice(&settings, &notice, |_| Some(2305)).expect("an event"));
    let port = PortSnapshot {
        port: "h".to_owned(),
        generation: 3,
        members: vec![0, 1],
        jeopardy: vec![1],
        visible: vec![2],
        ..PortSnapshot::default()
    };
    let state = ["port", "jeopardy", "visible"].map(|event| port_event(event, &port));
    let mut known = port.clone();
    let changed = change(&mut known, 4, vec![0, 3], set(&[0, 1, 3]));
    let node = of_node(&settings, &GabSnapshot { configured: true, ..GabSnapshot::default() });
    let ends = [halt("h", words(HaltCause::ClientFailure)), lost(12)];
    std::iter::once(node).chain(state).chain([changed]).chain(told).chain(ends).collect()
}

#[test]
fn every_event_has_these_keys() {
    let lines: Vec<String> = all().iter().map(Value::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn the_documentation_lists_the_events_that_there_are() {
    let text = include_str!("../../../../docs/metrics.md");
    let table = text.lines().skip_while(|line| *line != "| event | keys | when |").skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    let listed: BTreeSet<&str> = rows
        .flat_map(|row| row.split('|').nth(1).unwrap().split(','))
        .map(|name| name.trim().trim_matches('`'))
        .collect();
    let all = all();
    let told: BTreeSet<&str> = all.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(listed, told);
}

/// What a reader is told of a port that this node left, or was thrown out of, without a notice.
#[test]
fn a_port_that_is_gone_has_no_members_any_more() {
    let settings = notices::tests::settings();
    let port = |letter: &str, members: &[u8]| PortSnapshot {
        port: letter.to_owned(),
        generation: 3,
        members: members.to_vec(),
        ..PortSnapshot::default()
    };
    let before = GabSnapshot { ports: vec![port("a", &[0, 1])], ..GabSnapshot::default() };
    let mut events = Events::default();
    events.begin(&settings, &before);
    let now = GabSnapshot { view: "1.0/1".to_owned(), ..GabSnapshot::default() };
    assert!(events.of_state(&settings, || unreachable!("nothing has happened")).is_empty());
    events.look_again();
    let told = events.of_state(&settings, || now.clone());
    assert_eq!(
        told,
        [
            json!({"event": "membership", "port": "a", "generation": 3, "members": [],
                   "joined": [], "left": [0, 1], "ddna": []}),
            of_node(&settings, &now),
        ]
    );
    events.look_again();
    assert!(events.of_state(&settings, || now).is_empty(), "it is told once");
}

//! Scenarios 1 to 9 and 48: crashes at the worst moments of a broadcast and of a view change.

use std::time::Duration;

use gab::wire::Body;
use llt::config::Timers;
use sim::scenario::{Note, Stage};
use sim::setup::Setup;
use sim::world::Verdict;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn s01_sequencer_crashes_with_slots_seen_by_one_survivor_only() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    // Node 1 gets nothing of the stream any more: neither the slot nor a repair of it.
    stage.filter(|gram| match gram.kind() {
        "ORD" | "RETR" if gram.packet.to == 1 => Verdict::Drop,
        _ => Verdict::Pass,
    });
    let uid = stage.broadcast(clients[0], false);
    stage.wait_read(&clients[2..], &[uid]);
    stage.world.crash(0);
    assert!(!stage.has_read(clients[1], uid), "only node 2 may hold the slot");
    stage.unfilter();
    stage.wait_view(&[1, 2]);
    stage.wait_read(&clients[1..], &[uid]);
    stage.conclude();
}

/// 16 s of silence, then 5 s in which nothing else happens (facts 2.3 and 2.6).
#[test]
fn a_crash_is_a_new_view_after_21_seconds_with_the_timers_of_the_original() {
    let stable = Duration::from_secs(5);
    let stuck = Duration::from_secs(16);
    let setup = Setup { timers: Timers::default(), stable, stuck, ..Setup::fast(4) };
    let mut stage = Stage::formed_with(setup);
    let clients = stage.open_all('G');
    stage.pass(ms(3000));
    stage.world.crash(2);
    let start = stage.now();
    let uid = stage.broadcast(clients[0], true);
    stage.wait_view(&[0, 1, 3]);
    let took = stage.now().since(start);
    assert!((ms(20_400)..ms(21_600)).contains(&took), "{took:?}");
    stage.wait_read(&[clients[0], clients[1], clients[3]], &[uid]);
    stage.conclude();
}

#[test]
fn s02_sequencer_crashes_before_any_frame_leaves() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let note = Note::default();
    let inner = note.clone();
    stage.filter(move |gram| match gram.kind() {
        "SUBMIT" => {
            inner.write("submitted");
            Verdict::Pass
        }
        "ORD" | "RETR" => Verdict::Drop,
        _ => Verdict::Pass,
    });
    let uid = stage.broadcast(clients[1], false);
    // The sequencer orders it and reads it itself, and nobody else hears of that.
    stage.wait_read(&clients[..1], &[uid]);
    assert!(note.says("submitted"));
    assert!(!stage.has_read(clients[1], uid) && !stage.has_read(clients[2], uid));
    stage.world.crash(0);
    stage.unfilter();
    stage.wait_view(&[1, 2]);
    stage.wait_read(&clients[1..], &[uid]);
    for client in &clients[1..] {
        let copies = stage.reads(*client).iter().filter(|other| **other == uid).count();
        assert_eq!(copies, 1);
    }
    stage.conclude();
}

#[test]
fn s03_sender_crashes_after_its_submission_was_lost() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let note = Note::default();
    let inner = note.clone();
    stage.filter(move |gram| match gram.kind() {
        "SUBMIT" if gram.packet.from == 2 => {
            inner.write("lost");
            Verdict::Drop
        }
        _ => Verdict::Pass,
    });
    let lost = stage.broadcast(clients[2], false);
    stage.wait("the submission is lost", |_| note.says("lost"));
    stage.world.crash(2);
    stage.unfilter();
    let next = stage.broadcast(clients[1], false);
    stage.wait_read(&clients[..2], &[next]);
    stage.wait_view(&[0, 1]);
    let after = stage.broadcast(clients[1], true);
    stage.wait_read(&clients[..2], &[after]);
    for client in &clients[..2] {
        assert_eq!(stage.reads(*client), [next, after], "no hole, and {lost} is nowhere");
    }
    stage.conclude();
}

#[test]
fn s04_sender_and_sequencer_crash_with_the_payload_of_a_reference() {
    let setup = Setup { inline_max: 128, ..Setup::fast(4) };
    let mut stage = Stage::formed_with(setup);
    let clients = stage.open_all('G');
    let note = Note::default();
    let inner = note.clone();
    // The payload of node 1 reaches the sequencer only; the reference to it reaches everybody.
    stage.filter(move |gram| {
        let far = gram.packet.to >= 2 && gram.packet.from < 2;
        match gram.message.as_ref().map(|message| &message.body) {
            Some(Body::Data(_)) if far => {
                inner.write("payload lost");
                Verdict::Drop
            }
            Some(Body::Retr(_)) if far => Verdict::Drop,
            Some(Body::Ord(ord)) if far => {
                if ord.entries.iter().any(|entry| entry.payload.is_none()) {
                    inner.write("reference passed");
                }
                Verdict::Pass
            }
            _ => Verdict::Pass,
        }
    });
    let large = stage.broadcast_len(clients[1], false, 5000);
    stage.wait_read(&clients[..2], &[large]);
    stage.wait("the reference is out", |_| note.says("reference passed"));
    assert!(note.says("payload lost"));
    let later = stage.broadcast(clients[2], false);
    stage.wait_read(&clients[..2], &[later]);
    assert!(!stage.has_read(clients[2], later) && !stage.has_read(clients[3], later));
    stage.world.crash(0);
    stage.world.crash(1);
    stage.unfilter();
    stage.wait_view(&[2, 3]);
    stage.wait_read(&clients[2..], &[later]);
    for client in &clients[2..] {
        assert_eq!(stage.reads(*client), [later], "the cut stops before {large}");
    }
    stage.conclude();
}

#[test]
fn s05_proposer_crashes_after_install_reached_one_node() {
    let mut stage = Stage::formed(4);
    stage.open_all('G');
    let old = stage.vid(0);
    // Node 2 hears nothing of the new view once it is ready for it.
    stage.filter(move |gram| match gram.kind() {
        "" | "COLLECT" | "PROPOSE" | "STATE" | "READY" => Verdict::Pass,
        _ if gram.packet.to == 2 && gram.vid() > old => Verdict::Drop,
        _ => Verdict::Pass,
    });
    stage.world.crash(3);
    stage.wait("node 1 installs the next view", |world| {
        sim::scenario::members_at(world, 1) == [0, 1, 2]
    });
    let vid = stage.vid(1);
    stage.world.crash(0);
    assert_eq!(stage.vid(2), old, "only node 1 may have installed the view");
    stage.unfilter();
    stage.wait_view(&[1, 2]);
    let passed = stage.life(2).views.iter().any(|installed| installed.view.vid == vid);
    assert!(passed, "node 2 passes through {vid} too");
    stage.conclude();
}

#[test]
fn s06_proposer_crashes_after_some_were_ready() {
    let mut stage = Stage::formed(4);
    let clients = stage.open_all('G');
    let note = Note::default();
    let inner = note.clone();
    stage.filter(move |gram| match gram.kind() {
        "READY" if gram.packet.to == 0 => {
            inner.write(format!("ready {}", gram.packet.from));
            if gram.packet.from == 2 { Verdict::Drop } else { Verdict::Pass }
        }
        _ => Verdict::Pass,
    });
    let uid = stage.broadcast(clients[1], false);
    stage.world.crash(3);
    stage.wait("node 1 and 2 are ready", |_| note.says("ready 1") && note.says("ready 2"));
    let dropped = stage.views();
    stage.world.crash(0);
    stage.unfilter();
    assert_eq!(stage.views(), dropped, "nobody installed the view");
    stage.wait_view(&[1, 2]);
    stage.wait_read(&clients[1..3], &[uid]);
    stage.conclude();
}

#[test]
fn s07_next_leader_takes_over_while_a_proposal_is_half_echoed() {
    let mut stage = Stage::formed(4);
    let clients = stage.open_all('G');
    let note = Note::default();
    let inner = note.clone();
    stage.filter(move |gram| match gram.kind() {
        "PROPOSE" if gram.packet.from == 0 => {
            inner.write(format!("proposed to {}", gram.packet.to));
            if gram.packet.to == 1 { Verdict::Pass } else { Verdict::Drop }
        }
        "READY" if gram.packet.to == 0 => Verdict::Drop,
        _ => Verdict::Pass,
    });
    stage.world.crash(3);
    stage.wait("node 0 proposes", |_| note.says("proposed to 1") && note.says("proposed to 2"));
    stage.world.pause(0, ms(3000));
    stage.wait_view(&[1, 2]);
    stage.unfilter();
    let uid = stage.broadcast(clients[2], true);
    stage.wait_read(&clients[1..3], &[uid]);
    // The old leader finds the others gone on, and comes back as another.
    stage.conclude();
}

#[test]
fn s08_two_proposers_duel() {
    let mut stage = Stage::formed(4);
    stage.open_all('G');
    let old = stage.vid(0);
    let note = Note::default();
    let inner = note.clone();
    // Node 0 collects in vain until node 1 has lost patience; from then on both can.
    stage.filter(move |gram| {
        if gram.kind() == "COLLECT" && gram.packet.from < 2 {
            inner.write(format!("collect {}", gram.packet.from));
        }
        let early = !inner.says("collect 1");
        match gram.kind() {
            "COLLECT" if gram.packet.from == 0 && early => Verdict::Drop,
            _ => Verdict::Pass,
        }
    });
    stage.world.crash(3);
    stage.wait("both proposers try", |_| note.says("collect 0") && note.says("collect 1"));
    stage.wait_view(&[0, 1, 2]);
    let rounds = stage.vid(0).round - old.round;
    assert!(rounds <= 4, "{rounds} rounds");
    stage.conclude();
}

#[test]
fn s09_failures_cascade_down_to_one_node() {
    let mut stage = Stage::formed(4);
    let clients = stage.open_all('G');
    let note = Note::default();
    let inner = note.clone();
    stage.filter(move |gram| {
        if gram.kind() == "PROPOSE" {
            inner.write(format!("round {}", gram.vid().round));
        }
        // Nobody gets to READY as long as others are still to die.
        if gram.kind() == "READY" && !inner.says("enough") { Verdict::Drop } else { Verdict::Pass }
    });
    let uid = stage.broadcast(clients[0], false);
    let before = stage.views();
    stage.world.crash(3);
    stage.wait("a first change is under way", |_| note.says_like("round"));
    stage.world.crash(2);
    stage.pass(ms(300));
    stage.world.crash(1);
    note.write("enough");
    assert_eq!(stage.views(), before, "no view came in between");
    stage.wait_view(&[0]);
    stage.wait_read(&clients[..1], &[uid]);
    stage.conclude();
}

#[test]
fn s48_a_node_restarts_faster_than_anybody_notices() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let (old, id) = (stage.vid(0), stage.life(2).id);
    stage.world.crash(2);
    let crashed = stage.now();
    stage.world.restart_after(2, ms(200));
    stage.wait("the old life is removed", |world| {
        world.hosts.stack(0).and_then(|s| s.gab().view()).is_some_and(|view| !view.contains(id))
    });
    let took = stage.now().since(crashed);
    let inactive = stage.world.hosts.setup().timers.peer_inact;
    assert!(took < inactive, "the new life tells: removed after {took:?}");
    stage.wait_view(&[0, 1, 2]);
    assert!(stage.vid(0) > old);
    let uid = stage.broadcast(clients[0], true);
    stage.wait_read(&clients[..2], &[uid]);
    stage.conclude();
}

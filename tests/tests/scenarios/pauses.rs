//! Scenarios 18 to 22 and 69: stopped processes and odd clocks.

use std::time::Duration;

use gab::event::CloseReason;
use sim::history::What;
use sim::node::Clock;
use sim::profile::Profile;
use sim::scenario::{Note, Stage};
use sim::setup::Setup;
use sim::world::Verdict;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn s18_a_member_is_stopped_for_less_than_the_inactive_time() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let views = stage.views();
    stage.world.pause(2, ms(600));
    let agreed = stage.broadcast(clients[1], false);
    let safe = stage.broadcast(clients[1], true);
    stage.wait_read(&clients[..2], &[agreed]);
    stage.pass(ms(200));
    assert!(!stage.has_read(clients[0], safe), "SAFE waits for the stopped member");
    stage.wait_read(&clients, &[agreed, safe]);
    assert_eq!(stage.views(), views, "no view change");
    stage.conclude();
}

#[test]
fn s19_a_member_is_stopped_for_longer_than_the_inactive_time() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let before = stage.broadcast(clients[0], false);
    stage.wait_read(&clients, &[before]);
    let old = stage.life(2).id;
    let note = Note::default();
    let inner = note.clone();
    stage.filter(move |gram| {
        let queued = gram.kind() == "SUBMIT" && gram.packet.from == 2 && !inner.says("back");
        if queued { Verdict::Drop } else { Verdict::Pass }
    });
    let queued = stage.broadcast(clients[2], false);
    stage.pass(ms(5));
    stage.world.pause(2, ms(4000));
    stage.wait_view(&[0, 1]);
    let meanwhile = stage.broadcast(clients[1], true);
    stage.wait_read(&clients[..2], &[meanwhile]);
    note.write("back");
    stage.wait_view(&[0, 1, 2]);
    assert!(stage.life(2).id > old, "it comes back as another incarnation");
    let lives = &stage.world.hosts.history.lives;
    let frozen = lives.iter().find(|life| life.id == old).expect("its life");
    let read: Vec<_> = frozen.clients[0].reads().map(|(_, read)| read.uid).collect();
    assert_eq!(read, [before], "a prefix of its old view");
    for client in &clients[..2] {
        assert!(!stage.has_read(*client, queued), "what it had queued is nowhere");
    }
    stage.conclude();
}

#[test]
fn s20_clients_of_a_frozen_node_learn_that_they_were_out() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let old = stage.life(2).id;
    stage.world.pause(2, ms(4000));
    stage.wait_view(&[0, 1]);
    stage.wait_view(&[0, 1, 2]);
    assert_eq!(stage.closings(clients[2]), [CloseReason::Ejected]);
    let lives = &stage.world.hosts.history.lives;
    let frozen = lives.iter().find(|life| life.id == old).expect("its life");
    let losses = frozen.clients[0]
        .entries
        .iter()
        .filter(|entry| matches!(&entry.what, What::View(view) if !view.left.is_empty()));
    assert_eq!(losses.count(), 0, "it was not told that the others left");
    stage.conclude();
}

#[test]
fn s21_the_sequencer_is_stopped_for_a_while() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let views = stage.views();
    stage.world.pause(0, ms(700));
    let sent: Vec<_> = (0..20).map(|n| stage.broadcast(clients[1 + n % 2], n % 3 == 0)).collect();
    stage.pass(ms(500));
    assert!(!stage.has_read(clients[1], sent[0]), "ordering stands still");
    stage.wait_read(&clients, &sent);
    assert_eq!(stage.views(), views, "no view change");
    stage.conclude();
}

#[test]
fn s22_all_nodes_are_stopped_at_once() {
    let mut stage = Stage::formed(4);
    let clients = stage.open_all('G');
    let sent = stage.broadcast(clients[3], true);
    let views = stage.views();
    for node in 0..4 {
        stage.world.pause(node, ms(20_000));
    }
    stage.pass(ms(25_000));
    let after = stage.views() - views;
    assert!(after <= 1, "{after} views: no storm of suspicions");
    stage.wait_view(&[0, 1, 2, 3]);
    stage.wait_read(&clients, &[sent]);
    stage.conclude();
}

#[test]
fn s22_nobody_is_blamed_for_what_all_slept_through() {
    let mut stage = Stage::formed(3);
    let clients = stage.open_all('G');
    let views = stage.views();
    let note = Note::default();
    let inner = note.clone();
    stage.filter(move |gram| {
        let lost = gram.kind() == "ACK" && !inner.says("awake");
        if lost { Verdict::Drop } else { Verdict::Pass }
    });
    let sent = stage.broadcast(clients[0], true);
    // Long enough that the sequencer waits for the others' acknowledgements.
    stage.pass(ms(200));
    for node in 0..3 {
        stage.world.pause(node, ms(4000));
    }
    stage.pass(ms(3900));
    note.write("awake");
    stage.wait_read(&clients, &[sent]);
    assert_eq!(stage.views(), views, "no view change");
    stage.conclude();
}

#[test]
fn s69_clocks_drift_and_start_anywhere() {
    let mut profile = Profile::quiet(Setup::fast(3));
    profile.clocks[0] = Clock { offset_ns: 0, rate_ppm: 900_000 };
    profile.clocks[1] = Clock { offset_ns: 4_294_967_296_000_000, rate_ppm: 1_100_000 };
    let mut stage = Stage::new(profile);
    stage.world.boot_all();
    stage.wait_view(&[0, 1, 2]);
    let clients = stage.open_all('G');
    let views = stage.views();
    for _ in 0..100 {
        let uid = stage.broadcast(clients[1], true);
        stage.wait_read(&clients, &[uid]);
        stage.pass(ms(100));
    }
    assert_eq!(stage.views(), views, "no effect on the membership");
    stage.conclude();
}

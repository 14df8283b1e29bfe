//! Who learns what from the arbitration record, and when; scenario 47.

use std::time::Duration;

use gab::event::CloseReason;
use sim::history::End;
use sim::input::OpenFlags;
use sim::profile::Profile;
use sim::scenario::{Note, Stage, log_of, members_at};
use sim::scripts;
use sim::setup::Setup;
use sim::world::Verdict;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn with_record(nodes: u8) -> Setup {
    Setup { arbiter: true, stable: ms(250), ..Setup::fast(nodes) }
}

#[test]
fn a_member_that_read_the_record_before_the_race_looks_again() {
    let mut stage = Stage::formed_with(with_record(3));
    let clients = stage.open_all('w');
    // The others are slow to tell the record that they went on without node 2, which is connected.
    for node in 0..2 {
        stage.world.set_arbiter_delay(node, ms(1000));
    }
    stage.filter(|gram| match gram.kind() {
        "ORD" | "RETR" | "DATA" if gram.packet.to == 2 => Verdict::Drop,
        _ => Verdict::Pass,
    });
    stage.broadcast(clients[0], true);
    stage.wait_view(&[0, 1]);
    let went_on = stage.now();
    stage.wait("the record names the two", |world| {
        world.keeper.record().is_some_and(|record| record.members.len() == 2)
    });
    assert!(stage.now().since(went_on) > ms(500), "node 2 has looked in between");
    stage.wait("node 2 learns that it is out", |world| {
        world.hosts.stack(2).is_some_and(|stack| stack.gab().view().is_none())
    });
    assert_eq!(stage.closings(clients[2]), [CloseReason::Ejected]);
    stage.conclude();
}

#[test]
fn a_view_below_what_the_record_promises_is_made_anew() {
    let mut stage = Stage::formed_with(with_record(3));
    let clients = stage.open_all('w');
    // Node 0 asks late. Node 1 is READY for its view but never hears that it is in force.
    stage.world.set_arbiter_delay(0, ms(60_000));
    let note = Note::default();
    stage.filter(move |gram| {
        if gram.is_from_to(1, 0) && gram.kind() == "READY" {
            note.write("ready");
        }
        let lost = gram.is_from_to(0, 1) && !gram.kind().is_empty() && note.says("ready");
        if lost { Verdict::Drop } else { Verdict::Pass }
    });
    stage.world.crash(2);
    stage.wait("node 0 installs the view of the two", |world| members_at(world, 0) == [0, 1]);
    stage.split(&[&[0], &[1]]);
    // Node 1 shuts that view out, to make one of its own, and dies.
    let promised = stage.vid(0);
    stage.wait("node 1 raises the promise", |world| {
        world.keeper.record().is_some_and(|record| record.promise > promised)
    });
    stage.world.crash(1);
    stage.wait("node 0 is alone", |world| members_at(world, 0) == [0]);
    let uid = stage.broadcast(clients[0], true);
    stage.world.set_arbiter_delay(0, Duration::ZERO);
    stage.wait("node 0 is authorised", |world| {
        world.keeper.record().is_some_and(|record| record.members.len() == 1)
    });
    stage.wait_read(&clients[..1], &[uid]);
    stage.conclude();
}

#[test]
fn a_member_named_for_a_view_outside_its_history_gives_up() {
    let violations = scripts::named_for_a_foreign_view(None);
    assert!(violations.is_empty(), "{:#?}", violations.list());
}

/// What a start-up check finds on coordination points waits for them; the record alone lets one
/// side go on.
#[test]
fn s47_both_sides_of_a_partition_are_seeded_by_hand() {
    let mut stage = Stage::new(Profile::quiet(Setup { seed_count: None, ..with_record(4) }));
    stage.split(&[&[0, 1], &[2, 3]]);
    (0..4).for_each(|node| stage.world.boot(node));
    stage.pass(ms(500));
    stage.seed(0);
    stage.seed(2);
    stage.wait("both sides have a view", |world| {
        members_at(world, 0) == [0, 1] && members_at(world, 2) == [2, 3]
    });
    let clients: Vec<_> = (0..4).map(|node| stage.add(node, 'w', OpenFlags::default())).collect();
    stage.wait("one side is in the record", |world| world.keeper.record().is_some());
    let named: Vec<usize> = stage
        .world
        .keeper
        .record()
        .map_or(Vec::new(), |record| record.members.iter().map(|id| id.node.index()).collect());
    let (won, lost) = if named.contains(&0) { ([0, 1], [2, 3]) } else { ([2, 3], [0, 1]) };
    stage.wait("the winners' clients hear of each other", |world| {
        let seen = |node: usize| log_of(world, clients[node]).and_then(|log| log.view);
        won.iter().all(|node| seen(*node).is_some_and(|view| view.members.len() == 2))
    });
    stage.pass(ms(3000));
    for node in lost {
        let log = stage.log(clients[node]);
        assert!(log.is_none_or(|log| log.view.is_none()), "the port is held on the other side");
    }
    stage.world.mend();
    stage.wait_view(&[0, 1, 2, 3]);
    assert!(lost.iter().all(|&node| stage.ends(node).contains(&End::Ejected)));
    assert!(won.iter().all(|&node| stage.ends(node).is_empty()));
    stage.conclude();
}

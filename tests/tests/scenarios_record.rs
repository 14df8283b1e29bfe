//! Who learns what from the arbitration record, and when: what no numbered scenario covers.

use std::time::Duration;

use gab::event::CloseReason;
use sim::scenario::Stage;
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

//! One script per rule that is broken too rarely by chance: the schedule in which it matters.
//!
//! With all rules in force a script ends without a violation; with its rule broken it must not.

use std::time::Duration;

use gab::core::Mutant;

use crate::invariants::Violations;
use crate::profile::Profile;
use crate::scenario::{Note, Stage, members_at};
use crate::setup::Setup;
use crate::world::Verdict;

/// Runs a schedule, with this rule broken or with none, and judges it.
pub type Script = fn(Option<Mutant>) -> Violations;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Steps of a view change have all the time that they may have: the scripts below hold some up.
fn setup(nodes: u8, mutant: Option<Mutant>) -> Setup {
    let mutant = mutant.map(|mutant| format!("{mutant:?}"));
    Setup { stable: ms(250), mutant, ..Setup::fast(nodes) }
}

/// Node 3 has died. Node 2 never gets the PROPOSE of the view of 0, 1 and 2, nor a message that is
/// below its cut, and stays where it is. Nobody may install that view.
///
/// What is then read in it at nodes 0 and 1, and lost with them, node 2 cannot know to be missing.
/// No client can tell that from a partition, so the script looks at the views themselves.
pub fn installed_without_a_member(mutant: Option<Mutant>) -> Violations {
    let patient = Setup { stuck: ms(10_000), ..setup(4, mutant) };
    let mut stage = Stage::formed_with(patient);
    let clients = stage.open_all('G');
    let note = Note::default();
    let seen = note.clone();
    stage.filter(move |gram| match gram.kind() {
        "COLLECT" if gram.is_from_to(0, 1) => {
            seen.write("collect");
            Verdict::Pass
        }
        "ORD" | "RETR" | "PROPOSE" if gram.packet.to == 2 => Verdict::Drop,
        _ => Verdict::Pass,
    });
    stage.world.crash(3);
    stage.broadcast(clients[0], true);
    stage.wait("node 0 installs its view, or tries again", |world| {
        members_at(world, 0) == [0, 1, 2] || note.count("collect") > 1
    });
    let ready = stage.world.hosts.stack(2).and_then(|stack| stack.gab().prepared());
    if members_at(&stage.world, 0) == [0, 1, 2] && ready.is_none_or(|view| view.vid < stage.vid(0))
    {
        let (now, vid) = (stage.now(), stage.vid(0));
        let text = format!("{vid} is in force, and node 2 is not READY for it");
        stage.world.hosts.history.fault(now, "install-without-ready", text);
    }
    stage.world.crash(0);
    stage.world.crash(1);
    stage.wait("node 2 goes on alone", |world| members_at(world, 2) == [2]);
    stage.finish()
}

/// Nodes 0 and 1 lose each other and both want node 2. Node 2 promises node 0 first, then node 1,
/// whose view is the higher, and is READY for that. Only then, before it hears that node 1 has
/// installed it, the late PROPOSE of node 0 arrives.
///
/// Who answers it lets node 0 complete a view that node 1 had reason to drop, and goes there after
/// others have installed the higher one (VW4).
pub fn late_proposal(mutant: Option<Mutant>) -> Violations {
    let mut stage = Stage::formed_with(setup(3, mutant));
    stage.open_all('G');
    let note = Note::default();
    let seen = note.clone();
    stage.filter(move |gram| {
        let (from, to) = (gram.packet.from, gram.packet.to);
        let lost = match (from, to, gram.kind()) {
            (0, 2, "PROPOSE") => {
                seen.write("node 0 proposes");
                !seen.says("node 1 installs")
            }
            (1, 2, "COLLECT") => !seen.says("node 0 proposes"),
            (1, 2, "INSTALL") => {
                seen.write("node 1 installs");
                !seen.says("enough")
            }
            // What comes after INSTALL would prove it.
            (1, 2, kind) => {
                !kind.is_empty() && seen.says("node 1 installs") && !seen.says("enough")
            }
            _ => false,
        };
        if lost { Verdict::Drop } else { Verdict::Pass }
    });
    stage.world.cut_pair(0, 1, true);
    stage.wait("node 1 installs its view", |world| members_at(world, 1) == [1, 2]);
    stage.pass(ms(200));
    note.write("enough");
    stage.pass(ms(200));
    stage.finish()
}

/// Node 1 has installed a view with node 2, which never hears of it: it is READY for a higher view
/// of node 0 by then. Node 0 dies, and node 2 makes the next view, from the one that all three had.
///
/// Who takes node 1 in has two histories in one view (VW5). Two places keep it out: the proposer
/// counts only those in its own view, and nobody is READY for a proposal that builds on another
/// view than the own.
pub fn member_of_another_view(mutant: Option<Mutant>) -> Violations {
    // Node 1 shall not give up node 2, which does not acknowledge, before node 2 makes its view.
    let patient = Setup { stuck: ms(10_000), ..setup(3, mutant) };
    let mut stage = Stage::formed_with(patient);
    let clients = stage.open_all('G');
    let note = Note::default();
    let seen = note.clone();
    stage.filter(move |gram| {
        let (from, to) = (gram.packet.from, gram.packet.to);
        let lost = match (from, to, gram.kind()) {
            (0, 2, "COLLECT") => !seen.says("node 1 installs"),
            (2, 0, "READY") => {
                seen.write("node 2 is ready for node 0");
                true
            }
            (1, 2, kind) => {
                if kind == "INSTALL" {
                    seen.write("node 1 installs");
                }
                let late = seen.says("node 2 is ready for node 0");
                !kind.is_empty() && seen.says("node 1 installs") && !late
            }
            _ => false,
        };
        if lost { Verdict::Drop } else { Verdict::Pass }
    });
    stage.world.cut_pair(0, 1, true);
    stage.wait("node 1 installs its view", |world| members_at(world, 1) == [1, 2]);
    // So much that the old view's cut lies within what node 1 has in the new one.
    for _ in 0..20 {
        stage.broadcast(clients[1], false);
    }
    stage.wait("node 2 is ready for node 0", |_| note.says("node 2 is ready for node 0"));
    stage.world.crash(0);
    stage.pass(ms(4000));
    stage.finish()
}

/// The record names nodes 0 and 1; node 2 has joined since, which nobody has told the record. Then
/// nodes 0 and 1 lose each other and both want node 2. It is READY for the view of node 1, which
/// installs it. Node 2 does not hear that, and goes on with node 0: it cannot know better, for it
/// may not fence. Then node 1 is authorised, for a view with node 2.
///
/// So the record names node 2, for a view that is not in its history. Who swaps it from there lets
/// a second chain begin (PC1). Node 2 has to give up: nobody in its history is ever authorised.
pub fn named_for_a_foreign_view(mutant: Option<Mutant>) -> Violations {
    let two = Setup { arbiter: true, seed_count: Some(2), ..setup(3, mutant) };
    let mut stage = Stage::new(Profile::quiet(two));
    stage.world.boot(0);
    stage.world.boot(1);
    stage.wait_view(&[0, 1]);
    stage.wait("the first view is authorised", |world| world.keeper.record().is_some());
    for node in 0..2 {
        stage.world.set_arbiter_delay(node, ms(60_000));
    }
    stage.world.boot(2);
    stage.wait_view(&[0, 1, 2]);
    let note = Note::default();
    stage.filter(move |gram| {
        let (from, to) = (gram.packet.from, gram.packet.to);
        let lost = match (from, to, gram.kind()) {
            (0, 2, "COLLECT") => !note.says("node 1 installs"),
            (1, 2, kind) => {
                if kind == "INSTALL" {
                    note.write("node 1 installs");
                }
                !kind.is_empty() && note.says("node 1 installs")
            }
            _ => false,
        };
        if lost { Verdict::Drop } else { Verdict::Pass }
    });
    stage.world.cut_pair(0, 1, true);
    stage.wait("node 1 installs its view", |world| members_at(world, 1) == [1, 2]);
    stage.wait("node 2 goes on with node 0", |world| {
        (0..=2).step_by(2).all(|node| members_at(world, node) == [0, 2])
    });
    let old = stage.life(2).id;
    stage.world.set_arbiter_delay(1, Duration::ZERO);
    stage.wait("node 1 is authorised", |world| {
        world.keeper.record().is_some_and(|record| record.members.contains(&old))
    });
    stage.pass(ms(2000));
    stage.world.set_arbiter_delay(0, Duration::ZERO);
    stage.finish()
}

/// Of five nodes 0, 1 and 2 agree on a view without 3 and 4, whom 0 and 1 do not hear any more. Node
/// 0 installs it, and node 1 does; before node 2 hears of that it is cut off, together with 3 and 4.
///
/// The three are most of the view that all five had. But nodes 0 and 1 are most of the view that they
/// went on to, and go on: there would be two (PC6). Node 2 was READY for it, says so, and that counts.
pub fn quorum_of_ready_views(mutant: Option<Mutant>) -> Violations {
    cut_off_when_ready(mutant).finish()
}

/// [`quorum_of_ready_views`], up to where nodes 0 and 1 have gone on and node 2 is with 3 and 4.
pub fn cut_off_when_ready(mutant: Option<Mutant>) -> Stage {
    let mut stage = Stage::formed_with(Setup { quorum: true, ..setup(5, mutant) });
    stage.open_all('G');
    let note = Note::default();
    let seen = note.clone();
    stage.filter(move |gram| {
        let (from, to) = (gram.packet.from, gram.packet.to);
        let lost = match (from, to, gram.kind()) {
            // Node 0 is the first to ask node 2.
            (3..=4, 2, "COLLECT") => !seen.says("node 0 installs"),
            (0..=1, 2, kind) => {
                if (from, kind) == (0, "INSTALL") {
                    seen.write("node 0 installs");
                }
                // What comes after INSTALL would prove it.
                !kind.is_empty() && seen.says("node 0 installs")
            }
            _ => false,
        };
        if lost { Verdict::Drop } else { Verdict::Pass }
    });
    for one in 0..2 {
        for other in 3..5 {
            stage.world.cut_pair(one, other, true);
        }
    }
    stage.wait("two install the view of three", |world| {
        (0..2).all(|node| members_at(world, node) == [0, 1, 2])
    });
    for one in 0..2 {
        stage.world.cut_pair(one, 2, true);
    }
    stage.wait("the two go on", |world| (0..2).all(|node| members_at(world, node) == [0, 1]));
    stage.pass(ms(2000));
    stage
}

//! Every schedule of small clusters of the bare core (`docs/testing.md`, Model checking).

use gab::core::Mutant;
use sim::model::properties::Seen;
use sim::model::state::Budget;
use sim::model::{Instance, Report, Search, Size, Which, run};

/// To the end, in little memory.
const ALL: Search = Search { threads: 1, depth: None, deep_first: true, states: None };
/// The shortest counterexample first.
const SHORTEST: Search = Search { deep_first: false, ..ALL };

fn holds(which: Which) {
    let report = run(Instance::new(which, Size::Small), ALL);
    println!("{which:?}: {report}");
    assert!(report.counterexample.is_none() && report.missed.is_empty(), "{report}");
}

#[test]
fn m1_messages_with_a_lost_datagram() {
    holds(Which::M1);
}

#[test]
fn m1_messages_with_datagrams_that_arrive_twice() {
    let mut instance = Instance::new(Which::M1, Size::Small);
    instance.budget = Budget { losses: 0, duplicates: 2, timers: 0, ..instance.budget };
    // Nothing is lost, so there is nothing to repair.
    instance.reaches.retain(|seen| *seen != Seen::REPAIRED);
    let report = run(instance, ALL);
    println!("{report}");
    assert!(report.counterexample.is_none() && report.missed.is_empty(), "{report}");
}

#[test]
fn m2_a_view_change_with_messages_under_way() {
    holds(Which::M2);
}

#[test]
fn m3_a_join_with_a_crash() {
    holds(Which::M3);
}

#[test]
fn m4_a_partition_that_the_record_decides() {
    holds(Which::M4);
}

fn broken(which: Which, mutant: Mutant) -> Report {
    run(Instance { mutant: Some(mutant), ..Instance::new(which, Size::Small) }, SHORTEST)
}

#[test]
fn a_broken_rule_has_a_counterexample() {
    for mutant in [
        Mutant::CutFromProposer,
        Mutant::ResubmitAll,
        Mutant::SafeWithoutStability,
        Mutant::WedgedAcks,
    ] {
        let report = broken(Which::M2, mutant);
        println!("{mutant:?}: {report}");
        let steps = report.counterexample.as_ref().map(Vec::len);
        assert!(steps.is_some(), "{mutant:?} goes unnoticed: {report}");
    }
    let report = broken(Which::M4, Mutant::LeftoversBeforeArbitration);
    println!("{report}");
    assert!(report.counterexample.is_some(), "leftovers go unnoticed: {report}");
}

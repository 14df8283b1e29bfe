//! Broken rules that show within a few seeds: proof that the checkers look.
//! `sim --mutants --seeds 20000` breaks all of them.

use gab::core::Mutant;
use sim::mutants::{Expected, expected};
use sim::run::{Order, run};
use sim::world::Trace;

/// The first seed that shows it, among this many.
fn caught(mutant: Mutant, seeds: u64) -> Option<u64> {
    let Expected::Caught(kind) = expected(mutant) else { return None };
    (1..=seeds).find(|seed| {
        let mutant = Some(format!("{mutant:?}"));
        let order =
            Order { seed: *seed, kind, nodes: None, mutant, sealed: None, trace: Trace::Silent };
        !run(&order, None).violations.is_empty()
    })
}

#[test]
fn broken_rules_are_noticed() {
    let quick = [
        Mutant::CutFromProposer,
        Mutant::LeftoversBeforeArbitration,
        Mutant::NoViewCheck,
        Mutant::ResubmitAll,
        Mutant::SafeWithoutStability,
    ];
    let missed: Vec<Mutant> =
        quick.into_iter().filter(|mutant| caught(*mutant, 300).is_none()).collect();
    assert!(missed.is_empty(), "{missed:?} went unnoticed");
}

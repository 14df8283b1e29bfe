//! Every broken rule shows, or it is said why it cannot: proof that the checkers look.
//! `sim --mutants --seeds 500` tells how soon; the harmless ones are tried there as well.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use gab::core::Mutant;
use sim::mutants::{Expected, expected};
use sim::profile::Kind;
use sim::run::{Order, run};
use sim::setup::mutants;
use sim::world::Trace;

/// The first seed that shows it, among this many.
fn caught(mutant: Mutant, kind: Kind, seeds: u64) -> Option<u64> {
    (1..=seeds).find(|seed| {
        let mutant = Some(format!("{mutant:?}"));
        let order = Order {
            seed: *seed,
            kind,
            nodes: None,
            mutant,
            sealed: None,
            length: None,
            trace: Trace::Silent,
        };
        !run(&order, None).violations.is_empty()
    })
}

#[test]
fn broken_rules_are_noticed_by_chance() {
    let by_chance: Vec<(Mutant, Kind)> = mutants()
        .into_iter()
        .filter_map(|mutant| match expected(mutant) {
            Expected::Caught(kind) => Some((mutant, kind)),
            Expected::CaughtBy(_) | Expected::Harmless(_) => None,
        })
        .collect();
    let next = AtomicUsize::new(0);
    let missed = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((mutant, kind)) = by_chance.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    if caught(*mutant, *kind, 500).is_none() {
                        missed.lock().unwrap().push(*mutant);
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "{missed:?} went unnoticed");
}

#[test]
fn broken_rules_are_noticed_in_their_scripts() {
    for mutant in mutants() {
        let Expected::CaughtBy(script) = expected(mutant) else { continue };
        let whole = script(None);
        assert!(whole.is_empty(), "with all rules in force: {:#?}", whole.list());
        assert!(!script(Some(mutant)).is_empty(), "{mutant:?} went unnoticed");
    }
}

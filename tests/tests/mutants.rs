//! Every broken rule shows, or it is said why it cannot: proof that the checkers look.
//! `sim --mutants --seeds 500` tells how soon; the harmless ones are tried there as well.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use gab::core::Mutant;
use sim::mutants::{Expected, caught_by, expected, shows};
use sim::profile::Kind;
use sim::run::{Order, run};
use sim::setup::mutants;
use sim::world::Trace;

/// The first seed that shows it, among this many.
fn caught(mutant: Mutant, kind: Kind, seeds: u64) -> Option<u64> {
    let name = format!("{mutant:?}");
    // Seeds before these were tried, and take minutes.
    let first = match mutant {
        Mutant::ChangesUnnoted => 623,
        Mutant::DebtsUnminded => 420,
        Mutant::NoViewCheck => 133,
        Mutant::P2pAcrossGenerations => 45,
        Mutant::StalePayload => 30,
        Mutant::OrphansUnawaited => 39,
        Mutant::WedgedAcks | Mutant::CutFromProposer => 22,
        Mutant::LeaseUnproven => 8,
        Mutant::FlushForgotten => 4,
        Mutant::FillUnawaited => 10,
        _ => 1,
    };
    (first..first + seeds).find(|seed| {
        let order = Order {
            seed: *seed,
            kind,
            nodes: None,
            mutant: Some(name.clone()),
            sealed: None,
            length: None,
            trace: Trace::Silent,
        };
        shows(mutant, &run(&order, None).violations)
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
        let found = caught_by(mutant, script);
        assert!(found.is_some(), "{mutant:?} went unnoticed, or its script fails without it");
    }
}

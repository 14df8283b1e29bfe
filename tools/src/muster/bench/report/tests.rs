//! Figures are put together, and what people and programs see of them is compared with files.

use super::super::job::{Outcome, Send};
use super::super::table;
use super::*;
use crate::golden;

#[test]
fn a_spread_has_the_median_of_odd_and_even_counts() {
    let spread = Spread::of(&[3.0, 1.0, 2.0], "us");
    assert_eq!((spread.min, spread.median, spread.max), (1.0, 2.0, 3.0));
    assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 3.0], "us").median, 2.5);
}

#[test]
fn ratios_are_of_values_of_the_same_round() {
    assert_eq!(ratios(&[1.0, 6.0, 5.0], &[2.0, 3.0, 0.0]), [0.5, 2.0]);
    let mut figures = Figures::new(&super::super::super::cluster::tests::cluster());
    for (ours, sealed) in [(100.0, 80.0), (200.0, 100.0), (50.0, 45.0)] {
        figures.add_cost(Measured::Ours, Cost::Frames, ours);
        figures.add_cost(Measured::Sealed, Cost::Frames, sealed);
    }
    figures.add_cost(Measured::Ours, Cost::Bytes, 7.0);
    let lines = figures.json();
    let ratio = lines[0].beside["sealed"].ratio;
    assert_eq!((ratio.min, ratio.median, ratio.max), (0.5, 0.8, 0.9));
    assert!(lines[1].beside.is_empty());
    let table = table::of(&lines);
    let row = table.lines().find(|row| row.contains("sealed : plain")).unwrap();
    assert!(row.ends_with("0.80  0.50  0.90  ratio"), "{table}");
}

#[test]
fn the_settings_with_the_best_first_figure_stand_for_the_peer_in_all_figures() {
    let mut figures = Figures::new(&super::super::super::cluster::tests::cluster());
    let key = Key::new(Workload::BcastAll, 2, 64);
    for (of, rate, cpu) in [
        (Measured::Ours, 300.0, 2.0),
        (Measured::Corosync(0), 50.0, 4.0),
        (Measured::Corosync(1), 100.0, 8.0),
    ] {
        figures.push(of, key, Metric::Rate, rate);
        figures.push(of, key, Metric::Cost(Cost::Delivery), cpu);
    }
    let theirs = |lines: &[Line]| {
        let of = |line: &Line| {
            (line.beside["corosync"].figure.median, line.beside["corosync"].ratio.median)
        };
        lines.iter().map(of).collect::<Vec<_>>()
    };
    // More messages, and less CPU time for each, are both better: the ratio is above 1.
    assert_eq!(theirs(&figures.json()), [(100.0, 3.0), (8.0, 4.0)]);
    figures.forget(Measured::Corosync(1));
    assert_eq!(theirs(&figures.json()), [(50.0, 6.0), (4.0, 2.0)]);
}

#[test]
fn how_soon_a_peer_misses_a_node_is_shown_for_all_of_its_settings() {
    let mut figures = Figures::new(&super::super::super::cluster::tests::cluster());
    let sides =
        [(Measured::Ours, 100), (Measured::Detector(0), 6600), (Measured::Detector(1), 330)];
    for (of, ms) in sides {
        let times = Times { view: Duration::from_millis(ms), change: None };
        figures.add_times(of, Workload::Detect, Cause::Kill, &times);
    }
    let lines = figures.json();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let ratios = DETECTORS.iter().map(|settings| line.beside[settings.name].ratio.median);
    assert!(ratios.eq([66.0, 3.3]), "{line:?}");
}

/// What two clients saw of a round in which node 1 sent so many messages in a second.
fn flood(delivered: u64) -> Round {
    let outcome = |first_send_ns| Outcome {
        delivered,
        first_send_ns,
        last_delivery_ns: 8_000_000_000,
        ..Outcome::default()
    };
    let outcomes = [(0, outcome(None)), (1, outcome(Some(7_000_000_000)))].into();
    Round { outcomes, cpu: Duration::from_millis(1500) }
}

/// The same of messages one by one, of which one in a hundred takes twice as long and a few ten
/// times.
fn one_by_one(own_us: u64, remote_us: u64) -> Round {
    let outcome = |us: u64| Outcome {
        latencies: vec![(us * 1000, 980), (us * 2000, 15), (us * 10_000, 5)],
        ..Outcome::default()
    };
    let outcomes = [(0, outcome(remote_us)), (1, outcome(own_us))].into();
    Round { outcomes, cpu: Duration::from_millis(1500) }
}

fn measured(sides: &[Measured]) -> Figures {
    let mut figures = Figures::new(&super::super::super::cluster::tests::cluster());
    let key = |workload, size| Key::new(workload, 2, size);
    let job =
        Job { round: 0, senders: vec![1], members: 2, size: 64, time_ms: 1000, send: Send::Flood };
    for round in 0..3u32 {
        for of in sides {
            let slower = match of {
                Measured::Ours => 1u32,
                Measured::Detector(_) | Measured::Sealed => 2,
                Measured::Nbdkit | Measured::QemuNbd(_) | Measured::RawFile => 2,
                Measured::SameEngine | Measured::Simple => 2,
                Measured::Corosync(index) => 4 - u32::try_from(*index).unwrap(),
            };
            for (cost, value) in [
                (Cost::Cpu, 0.41),
                (Cost::Memory, 6.5),
                (Cost::Frames, 84.0),
                (Cost::Bytes, 8232.0),
            ] {
                figures.add_cost(*of, cost, value * f64::from(round + slower));
            }
            for (workload, size, rate) in [
                (Workload::Bcast1, 64, 240_000),
                (Workload::Bcast1, 1024, 90_000),
                (Workload::BcastAll, 64, 300_000),
            ] {
                let rate = (rate + u64::from(round) * 1000) / u64::from(slower);
                figures.add(*of, &key(workload, size), &job, &flood(rate)).unwrap();
            }
            for (level, from, us) in [("agreed", "sequencer", 40), ("safe", "other", 110)] {
                let latency = key(Workload::Latency, 64);
                let latency = Key { level: Some(level), from: Some(from), ..latency };
                let us = us * u64::from(slower);
                let outcomes = one_by_one(us, us + 2 + u64::from(round));
                let job = Job { send: Send::One { safe: false }, ..job.clone() };
                figures.add(*of, &latency, &job, &outcomes).unwrap();
            }
        }
    }
    figures
}

#[test]
fn figures_are_a_table_and_a_list() {
    let plain = measured(&[Measured::Ours]).json();
    golden::check("muster-bench", &table::of(&plain));
    golden::check_json("muster-bench-json", &plain);
    let keyed = measured(&[Measured::Ours, Measured::Sealed]).json();
    golden::check("muster-bench-keyed", &table::of(&keyed));
    golden::check_json("muster-bench-keyed-json", &keyed);
    let peer = [Measured::Ours, Measured::Corosync(0), Measured::Corosync(1)];
    let peer = measured(&peer).json();
    golden::check("muster-bench-peer", &table::of(&peer));
    golden::check_json("muster-bench-peer-json", &peer);
}

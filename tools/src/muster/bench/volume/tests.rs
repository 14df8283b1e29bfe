//! Figures of volumes, as people and programs see them.

use super::super::table;
use super::*;
use crate::golden;

fn outcome(iops: f64, size: u32, us: f64) -> Outcome {
    let mib = iops * f64::from(size) / f64::from(1 << 20);
    Outcome { iops, mib, p50_us: us, p99_us: us * 3.0, max_us: us * 9.0 }
}

/// Three rounds with made-up figures, the peers among them.
fn measured(peers: &[Measured]) -> Figures {
    let mut figures = Figures::new(&super::super::super::cluster::tests::cluster());
    let key = |case: Case, layout| Key {
        test: Some(Test { access: case.access, depth: case.depth, layout }),
        ..Key::new(Workload::Volume, 1, case.size)
    };
    for round in [0_u32, 1, 2] {
        for case in cases() {
            let of = |slower: f64| {
                let iops = f64::from(case.depth) * (1000.0 + 100.0 * f64::from(round)) / slower;
                outcome(iops, case.size, slower * 200.0 / f64::from(round + 1))
            };
            for layout in Layout::ALL {
                let slower = if layout.has_copies() && case.access.is_write() { 1.25 } else { 1.0 };
                figures.add_run(Measured::Ours, key(case, layout), &of(slower));
                if slower > 1.0 {
                    figures.add_run(Measured::Simple, key(case, layout), &of(1.0));
                }
                for (slower, peer) in [0.8, 2.0, 1.6].into_iter().zip(peers) {
                    figures.add_run(*peer, key(case, layout), &of(slower));
                }
            }
        }
        let case = Case { access: Access::RandomWrite, size: SMALL, depth: DEEP };
        for layout in copied() {
            let value = f64::from(round) / 4.0;
            figures.add_cost_of(Measured::Ours, &key(case, layout), Cost::Messages, value);
        }
    }
    figures
}

#[test]
fn volumes_are_a_table_of_their_own_and_a_list() {
    let peers = [Measured::RawFile, Measured::Nbdkit, Measured::QemuNbd(Aio::IoUring)];
    let all = measured(&peers).json();
    golden::check("muster-bench-volume", &table::of(&all));
    // One volume stands for all.
    let is_shown = |line: &&super::super::report::Line| {
        line.layout == Some("mirror") && line.access == Some("random write")
    };
    let shown: Vec<_> = all.iter().filter(is_shown).collect();
    golden::check_json("muster-bench-volume-json", &shown);
    let alone = measured(&peers[..1]).json();
    let alone = table::of(&alone);
    assert!(!alone.contains("nbdkit"), "{alone}");
}

#[test]
fn ratios_are_above_one_where_a_volume_is_better_but_for_what_copies_cost() {
    let lines = measured(&[Measured::RawFile, Measured::Nbdkit]).json();
    let is_it = |line: &&super::super::report::Line| {
        line.layout == Some("mirror")
            && line.access == Some("random write")
            && line.depth == Some(1)
    };
    let mut count = 0;
    for line in lines.iter().filter(is_it) {
        let median = |name| (line.beside[name].ratio.median * 1000.0).round() / 1000.0;
        assert_eq!([median("raw file"), median("nbdkit"), median("simple")], [0.64, 1.6, 1.25]);
        count += 1;
    }
    assert_eq!(count, 3, "IOPS, p50, p99");
}

#[test]
fn every_case_is_measured_one_by_one_and_with_many_under_way() {
    let all: Vec<_> = cases().iter().map(|case| (case.access, case.size, case.depth)).collect();
    assert_eq!(all.len(), 8);
    assert!(all.contains(&(Access::RandomRead, 4096, 1)));
    assert!(all.contains(&(Access::SequentialWrite, 1 << 20, 32)));
    assert!(copied().eq([Layout::Mirror, Layout::MirrorLog]));
}

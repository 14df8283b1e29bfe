//! What volumes of this node have done, in the exposition format of Prometheus.

use std::fmt::Write as _;

use cvm::model::Name;
use cvm::stats::{Counters, Histogram, ObjectStats, Ops, Stats};

use super::Shown;

/// All metrics of the volumes that are shown.
pub(super) fn text(shown: &Shown<'_>, stats: &Stats) -> String {
    let volumes: Vec<(String, ObjectStats)> = shown
        .iter()
        .flat_map(|(group, objects)| {
            objects.iter().map(|object| {
                let label = labels(&group.name, object.name);
                (label, stats.of(&group.id, object.rid))
            })
        })
        .collect();
    let mut text = String::new();
    for (name, help, value) in COUNTERS {
        head(&mut text, name, help, if name.ends_with("_total") { "counter" } else { "gauge" });
        for (labels, object) in &volumes {
            let _ = writeln!(text, "{name}{{{labels}}} {}", value(object));
        }
    }
    for (name, help, of) in HISTOGRAMS {
        head(&mut text, name, help, "histogram");
        for (labels, object) in &volumes {
            let (histogram, ops) = of(object);
            histogram_of(&mut text, name, labels, &histogram, &ops);
        }
    }
    text
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn labels(group: &Name, volume: &Name) -> String {
    format!("group=\"{group}\",volume=\"{volume}\"")
}

fn histogram_of(text: &mut String, name: &str, labels: &str, histogram: &Histogram, ops: &Ops) {
    let mut sum = 0;
    for (bucket, count) in histogram.counts().iter().enumerate() {
        sum += count;
        if let Some(below) = Histogram::below(bucket) {
            let le = seconds(below);
            let _ = writeln!(text, "{name}_bucket{{{labels},le=\"{le}\"}} {sum}");
        }
    }
    let all = histogram.ops();
    let _ = writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {all}");
    let _ = writeln!(text, "{name}_sum{{{labels}}} {}", seconds(ops.micros));
    let _ = writeln!(text, "{name}_count{{{labels}}} {all}");
}

/// Microseconds as seconds.
fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

type Value = fn(&ObjectStats) -> String;

const COUNTERS: [(&str, &str, Value); 7] = [
    ("muster_volume_read_bytes_total", "Bytes that were read.", |it| {
        bytes(&it.counters.reads).to_string()
    }),
    ("muster_volume_written_bytes_total", "Bytes that were written.", |it| {
        bytes(&it.counters.writes).to_string()
    }),
    ("muster_volume_failed_reads_total", "Reads that failed.", |it| {
        it.counters.failed_reads.to_string()
    }),
    ("muster_volume_failed_writes_total", "Writes and flushes that failed.", |it| {
        it.counters.failed_writes.to_string()
    }),
    (
        "muster_volume_corrected_reads_total",
        "Reads whose blocks were written anew from another copy.",
        |it| it.counters.corrected_reads.to_string(),
    ),
    ("muster_volume_outstanding", "Requests that are not answered.", |it| {
        it.outstanding.ops.to_string()
    }),
    (
        "muster_volume_oldest_outstanding_seconds",
        "For how long the oldest of them is on its way.",
        |it| seconds(it.outstanding.oldest_micros),
    ),
];

type Timed = fn(&ObjectStats) -> (Histogram, Ops);

const HISTOGRAMS: [(&str, &str, Timed); 2] = [
    ("muster_volume_read_seconds", "From a read to its answer.", |it| {
        let Counters { reads, .. } = it.counters;
        (it.latency.unwrap_or_default().reads, reads)
    }),
    ("muster_volume_write_seconds", "From a write to its answer.", |it| {
        let Counters { writes, .. } = it.counters;
        (it.latency.unwrap_or_default().writes, writes)
    }),
];

const fn bytes(ops: &Ops) -> u64 {
    ops.sectors.saturating_mul(512)
}

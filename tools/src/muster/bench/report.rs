//! Figures of `bench`: collected by round, shown as a table and as JSON (interfaces.md 2).

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::super::cli::Workload;
use super::super::cluster::{Cluster, Transport};
use super::changes::{Cause, Times};
use super::job::{Job, Outcome};

/// What a figure is of.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Key {
    /// Which workload.
    pub(super) workload: Workload,
    /// Nodes.
    pub(super) n: u8,
    /// Bytes per message; 0 where there are none.
    pub(super) size: u32,
    /// `agreed` or `safe`; latency only.
    pub(super) level: Option<&'static str>,
    /// `sequencer` or `other`; latency only.
    pub(super) from: Option<&'static str>,
}

/// Which of the figures of a workload.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Metric {
    /// Messages per second.
    Rate,
    /// A latency.
    Latency {
        /// `own`: delivery at the sender; `remote`: at another node.
        to: &'static str,
        percentile: &'static str,
    },
    /// What a daemon costs.
    Cost(Cost),
    /// How long a change of the membership takes.
    Time {
        /// What was done to a node.
        cause: &'static str,
        /// `view`: from that to the view at the last node; `change`: from the first suspicion.
        time: &'static str,
    },
}

/// What a daemon costs, or a client.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Cost {
    /// Per cent of one core.
    Cpu,
    /// MiB resident.
    Memory,
    /// Frames sent and received per second.
    Frames,
    /// Bytes of them.
    Bytes,
    /// MiB resident in a client.
    ClientMemory,
}

/// Which cluster a figure is of.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Measured {
    /// The one that was asked for.
    Ours,
    /// The same with sealed frames.
    Sealed,
}

/// All figures: one value per round, of costs one per round and daemon.
#[derive(Debug)]
pub(super) struct Figures {
    transport: &'static str,
    netns: bool,
    n: u8,
    values: BTreeMap<(Key, Metric), BTreeMap<Measured, Vec<f64>>>,
}

/// One line of the JSON.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    workload: &'static str,
    n: u8,
    size: u32,
    transport: &'static str,
    netns: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percentile: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<&'static str>,
    ours: Spread,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<Spread>,
    /// Sealed to ours, of values of the same round.
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed_ratio: Option<Spread>,
}

/// Median and extremes over the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
    unit: &'static str,
}

const PERCENTILES: [(&str, f64); 3] = [("p50", 50.0), ("p99", 99.0), ("p99.9", 99.9)];

impl Figures {
    /// None yet, of this cluster.
    pub(super) fn new(cluster: &Cluster) -> Self {
        let transport = match cluster.transport {
            Transport::Ether => "ether",
            Transport::Udp => "udp",
        };
        let n = u8::try_from(cluster.nodes.len()).expect("up made at most 128");
        Self { transport, netns: cluster.netns.is_some(), n, values: BTreeMap::new() }
    }

    /// Adds what one daemon has cost in one round.
    pub(super) fn add_cost(&mut self, of: Measured, cost: Cost, value: f64) {
        let key = Key { workload: Workload::Idle, n: self.n, size: 0, level: None, from: None };
        self.add_cost_of(of, &key, cost, value);
    }

    /// Adds what one process has cost in one round of a workload.
    pub(super) fn add_cost_of(&mut self, of: Measured, key: &Key, cost: Cost, value: f64) {
        self.push(of, *key, Metric::Cost(cost), value);
    }

    /// Adds how long one change of the membership took.
    pub(super) fn add_times(
        &mut self,
        of: Measured,
        workload: Workload,
        cause: Cause,
        times: &Times,
    ) {
        let key = Key { workload, n: self.n, size: 0, level: None, from: None };
        let all = [("view", Some(times.view)), ("change", times.change)];
        for (time, value) in all.into_iter().filter_map(|(time, value)| Some((time, value?))) {
            let metric = Metric::Time { cause: cause.name(), time };
            self.push(of, key, metric, value.as_secs_f64() * 1000.0);
        }
    }

    /// Takes over the figures of another cluster, of another number of nodes.
    pub(super) fn absorb(&mut self, other: Self) {
        self.values.extend(other.values);
    }

    fn push(&mut self, of: Measured, key: Key, metric: Metric, value: f64) {
        self.values.entry((key, metric)).or_default().entry(of).or_default().push(value);
    }

    /// Adds what one round gave.
    pub(super) fn add(
        &mut self,
        of: Measured,
        key: &Key,
        job: &Job,
        outcomes: &BTreeMap<u8, Outcome>,
    ) -> Result<()> {
        if job.send.is_flood() {
            let start = outcomes.values().filter_map(|outcome| outcome.first_send_ns).min();
            let end = outcomes.values().map(|outcome| outcome.last_delivery_ns).max();
            let (start, end) = start.zip(end).context("nothing was sent")?;
            let delivered = outcomes.values().map(|outcome| outcome.delivered).max().unwrap_or(0);
            #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
            let rate = delivered as f64 * 1e9 / end.saturating_sub(start).max(1) as f64;
            self.push(of, *key, Metric::Rate, rate);
            return Ok(());
        }
        // What a sender of `p2p` measures is the way there and back.
        let own = if key.workload == Workload::P2p { "back" } else { "own" };
        for to in [own, "remote"] {
            let mut all = Histogram::<u64>::new(3)?;
            for (node, outcome) in outcomes {
                if job.senders.contains(node) == (to == own) {
                    for (value, count) in &outcome.latencies {
                        all.record_n(*value, *count)?;
                    }
                }
            }
            if all.is_empty() {
                continue;
            }
            for (percentile, rank) in PERCENTILES {
                #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
                let us = all.value_at_percentile(rank) as f64 / 1000.0;
                self.push(of, *key, Metric::Latency { to, percentile }, us);
            }
        }
        Ok(())
    }

    /// The list that `--json` writes.
    pub(super) fn json(&self) -> Vec<Line> {
        let line = |((key, metric), values): (&(Key, Metric), &BTreeMap<Measured, Vec<f64>>)| {
            let (to, percentile) = match metric {
                Metric::Latency { to, percentile } => (Some(*to), Some(*percentile)),
                Metric::Cost(_) | Metric::Rate | Metric::Time { .. } => (None, None),
            };
            let (cause, time) = match metric {
                Metric::Time { cause, time } => (Some(*cause), Some(*time)),
                Metric::Cost(_) | Metric::Latency { .. } | Metric::Rate => (None, None),
            };
            let values = |of| values.get(&of);
            let ours = values(Measured::Ours).map_or(&[][..], Vec::as_slice);
            let sealed = values(Measured::Sealed);
            let (cost, unit) = match metric {
                Metric::Rate => (None, "messages/s"),
                Metric::Latency { .. } => (None, "us"),
                Metric::Cost(Cost::Cpu) => (Some("cpu"), "% of a core"),
                Metric::Cost(Cost::Memory) => (Some("memory"), "MiB"),
                Metric::Cost(Cost::Frames) => (Some("frames"), "frames/s"),
                Metric::Cost(Cost::Bytes) => (Some("bytes"), "bytes/s"),
                Metric::Cost(Cost::ClientMemory) => (Some("client memory"), "MiB"),
                Metric::Time { .. } => (None, "ms"),
            };
            Line {
                workload: match key.workload {
                    Workload::Bcast1 => "bcast-1",
                    Workload::BcastAll => "bcast-all",
                    Workload::Detect => "detect",
                    Workload::Idle => "idle",
                    Workload::Join => "join",
                    Workload::Latency => "latency",
                    Workload::Leave => "leave",
                    Workload::P2p => "p2p",
                    Workload::Scale => "scale",
                },
                n: key.n,
                size: key.size,
                transport: self.transport,
                netns: self.netns,
                level: key.level,
                from: key.from,
                to,
                percentile,
                cost,
                cause,
                time,
                ours: Spread::of(ours, unit),
                sealed: sealed.map(|sealed| Spread::of(sealed, unit)),
                sealed_ratio: sealed.map(|sealed| Spread::of(&ratios(sealed, ours), "ratio")),
            }
        };
        self.values.iter().map(line).collect()
    }

    /// The same for people.
    pub(super) fn table(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::NOTHING);
        table.set_header(["workload", "n", "size", "", "median", "min", "max", "unit"]);
        for line in self.json() {
            let words = [line.level, line.from.map(|_| "from"), line.from].into_iter().chain([
                line.to.map(|_| "to"),
                line.to,
                line.percentile,
                line.cost,
                line.cause,
                line.time,
            ]);
            let what = words.flatten().collect::<Vec<_>>().join(" ");
            let spreads = [
                (None, Some(line.ours)),
                (Some("sealed"), line.sealed),
                (Some("sealed : plain"), line.sealed_ratio),
            ];
            for (of, spread) in spreads {
                let Some(Spread { median, min, max, unit }) = spread else { continue };
                let show = |value: f64| match unit {
                    "us" | "ms" | "MiB" => format!("{value:.1}"),
                    "% of a core" | "ratio" => format!("{value:.2}"),
                    _ => format!("{value:.0}"),
                };
                let size = if line.size == 0 { "-".to_owned() } else { line.size.to_string() };
                let words = [what.as_str(), of.unwrap_or_default()];
                let what = words.join(" ").trim().to_owned();
                let mut row = vec![line.workload.to_owned(), line.n.to_string(), size];
                row.extend([what, show(median), show(min), show(max), unit.to_owned()]);
                table.add_row(row);
            }
        }
        for column in [1, 2, 4, 5, 6] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(comfy_table::CellAlignment::Right);
            }
        }
        table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
    }
}

/// Each value to the one of the same round.
fn ratios(values: &[f64], to: &[f64]) -> Vec<f64> {
    let pairs = values.iter().zip(to).filter(|(_, to)| **to > 0.0);
    pairs.map(|(value, to)| value / to).collect()
}

impl Spread {
    fn of(values: &[f64], unit: &'static str) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(0.0);
        let median = f64::midpoint(at((sorted.len().max(1) - 1) / 2), at(sorted.len() / 2));
        Self { median, min: at(0), max: at(sorted.len().max(1) - 1), unit }
    }
}

#[cfg(test)]
mod tests {
    use super::super::job::Send;
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
        let ratio = lines[0].sealed_ratio.unwrap();
        assert_eq!((ratio.min, ratio.median, ratio.max), (0.5, 0.8, 0.9));
        assert!(lines[1].sealed.is_none() && lines[1].sealed_ratio.is_none());
        let table = figures.table();
        let row = table.lines().find(|row| row.contains("sealed : plain")).unwrap();
        assert!(row.ends_with("0.80  0.50  0.90  ratio"), "{table}");
    }

    /// What two clients saw of a round in which node 1 sent so many messages in a second.
    fn flood(delivered: u64) -> BTreeMap<u8, Outcome> {
        let outcome = |first_send_ns| Outcome {
            delivered,
            first_send_ns,
            last_delivery_ns: 8_000_000_000,
            ..Outcome::default()
        };
        [(0, outcome(None)), (1, outcome(Some(7_000_000_000)))].into()
    }

    /// The same of messages one by one, of which one in a hundred takes twice as long and a few ten
    /// times.
    fn one_by_one(own_us: u64, remote_us: u64) -> BTreeMap<u8, Outcome> {
        let outcome = |us: u64| Outcome {
            latencies: vec![(us * 1000, 980), (us * 2000, 15), (us * 10_000, 5)],
            ..Outcome::default()
        };
        [(0, outcome(remote_us)), (1, outcome(own_us))].into()
    }

    fn measured(sides: &[Measured]) -> Figures {
        let mut figures = Figures::new(&super::super::super::cluster::tests::cluster());
        let key = |workload, size| Key { workload, n: 2, size, level: None, from: None };
        let job = Job {
            round: 0,
            senders: vec![1],
            members: 2,
            size: 64,
            time_ms: 1000,
            send: Send::Flood,
        };
        for round in 0..3u32 {
            for of in sides {
                let slower = if *of == Measured::Sealed { 2u32 } else { 1 };
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
        let plain = measured(&[Measured::Ours]);
        golden::check("muster-bench", &plain.table());
        golden::check_json("muster-bench-json", &plain.json());
        let keyed = measured(&[Measured::Ours, Measured::Sealed]);
        golden::check("muster-bench-keyed", &keyed.table());
        golden::check_json("muster-bench-keyed-json", &keyed.json());
    }
}

//! Figures of `bench`: collected by round, and put side by side (interfaces.md 2).

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::super::cli::Workload;
use super::super::cluster::{Cluster, Transport};
use super::changes::{Cause, Times};
use super::corosync::{CANDIDATES, DETECTORS};
use super::fio::Outcome;
use super::job::Job;
use super::side::Round;
use super::volume::{Aio, NBDKIT, Test};

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
    /// How frames went; `raw` only.
    pub(super) path: Option<&'static str>,
    /// What is done to which volume; `volume` only.
    pub(super) test: Option<Test>,
}

impl Key {
    /// Where there is nothing to tell apart but sizes.
    pub(super) fn new(workload: Workload, n: u8, size: u32) -> Self {
        Self { workload, n, size, level: None, from: None, path: None, test: None }
    }
}

/// Which of the figures of a workload. The first in this order decides which of the settings of a
/// peer were best.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Metric {
    /// Messages per second.
    Rate,
    /// Requests to a volume per second.
    Requests,
    /// MiB per second of a volume.
    Throughput,
    /// A latency.
    Latency {
        /// `own`: delivery at the sender; `remote`: at another node.
        to: &'static str,
        percentile: &'static str,
    },
    /// What it costs.
    Cost(Cost),
    /// How long a change of the membership takes.
    Time {
        /// What was done to a node.
        cause: &'static str,
        /// `view`: from that to the view at the last node; `change`: from the first suspicion.
        time: &'static str,
    },
}

/// What a daemon costs, or a client, or a message.
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
    /// Microseconds of CPU time of daemons and clients for each message and node.
    Delivery,
    /// Messages of the cluster for a thousand requests to a volume.
    Messages,
}

/// Which cluster a figure is of.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Measured {
    /// Corosync with these of its settings.
    Corosync(usize),
    /// Corosync with these of those settings that decide how soon a node is missed.
    Detector(usize),
    /// A file that nbdkit serves.
    Nbdkit,
    /// The one that was asked for.
    Ours,
    /// A file that qemu-nbd serves.
    QemuNbd(Aio),
    /// A file by itself.
    RawFile,
    /// The file below a volume, through the same engine.
    SameEngine,
    /// The same with sealed frames.
    Sealed,
    /// A volume with one copy, beside one with several.
    Simple,
}

/// All figures: one value per round, of costs one per round and daemon.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    transport: &'static str,
    netns: bool,
    n: u8,
    values: BTreeMap<(Key, Metric), BTreeMap<Measured, Vec<f64>>>,
}

/// One line of the JSON.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) workload: &'static str,
    pub(super) n: u8,
    pub(super) size: u32,
    pub(super) transport: &'static str,
    pub(super) netns: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) level: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) percentile: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cost: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) access: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) depth: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) layout: Option<&'static str>,
    pub(super) ours: Spread,
    /// What was measured beside ours, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) beside: BTreeMap<&'static str, Beside>,
}

/// What was measured beside ours.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Beside {
    #[serde(flatten)]
    pub(super) figure: Spread,
    /// Of several settings, those with the best figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) settings: Option<&'static str>,
    /// Of values of the same round.
    pub(super) ratio: Spread,
    /// What to what.
    #[serde(skip)]
    pub(super) ratio_name: &'static str,
}

/// Median and extremes over the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) unit: &'static str,
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
        let key = Key::new(Workload::Idle, self.n, 0);
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
        let key = Key::new(workload, self.n, 0);
        let all = [("view", Some(times.view)), ("change", times.change)];
        for (time, value) in all.into_iter().filter_map(|(time, value)| Some((time, value?))) {
            let metric = Metric::Time { cause: cause.name(), time };
            self.push(of, key, metric, value.as_secs_f64() * 1000.0);
        }
    }

    /// Adds how long something took.
    pub(super) fn add_span(
        &mut self,
        key: Key,
        cause: &'static str,
        time: &'static str,
        span: Duration,
    ) {
        self.push(Measured::Ours, key, Metric::Time { cause, time }, span.as_secs_f64() * 1000.0);
    }

    /// Adds how long many things took, in nanoseconds.
    pub(super) fn add_latencies(
        &mut self,
        of: Measured,
        key: Key,
        to: &'static str,
        all: &Histogram<u64>,
    ) {
        for (percentile, rank) in PERCENTILES {
            #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
            let us = all.value_at_percentile(rank) as f64 / 1000.0;
            self.push(of, key, Metric::Latency { to, percentile }, us);
        }
    }

    /// Adds what one run of fio gave: of small requests their number counts, of large ones their bytes,
    /// of one after the other how long each takes, too.
    pub(super) fn add_run(&mut self, of: Measured, key: Key, outcome: &Outcome) {
        let (metric, value) = if key.size < 1 << 20 {
            (Metric::Requests, outcome.iops)
        } else {
            (Metric::Throughput, outcome.mib)
        };
        self.push(of, key, metric, value);
        if key.test.is_some_and(|test| test.depth == 1) {
            for (percentile, us) in [("p50", outcome.p50_us), ("p99", outcome.p99_us)] {
                self.push(of, key, Metric::Latency { to: "answer", percentile }, us);
            }
        }
    }

    /// Takes over the figures of other clusters, of another number of nodes.
    pub(super) fn absorb(&mut self, other: Self) {
        self.values.extend(other.values);
    }

    fn push(&mut self, of: Measured, key: Key, metric: Metric, value: f64) {
        self.values.entry((key, metric)).or_default().entry(of).or_default().push(value);
    }

    /// Adds what one round gave.
    pub(super) fn add(&mut self, of: Measured, key: &Key, job: &Job, round: &Round) -> Result<()> {
        let outcomes = &round.outcomes;
        if job.send.is_flood() {
            let start = outcomes.values().filter_map(|outcome| outcome.first_send_ns).min();
            let end = outcomes.values().map(|outcome| outcome.last_delivery_ns).max();
            let (start, end) = start.zip(end).context("nothing was sent")?;
            let delivered = outcomes.values().map(|outcome| outcome.delivered).max().unwrap_or(0);
            #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
            let rate = delivered as f64 * 1e9 / end.saturating_sub(start).max(1) as f64;
            self.push(of, *key, Metric::Rate, rate);
            let all = outcomes.values().map(|outcome| outcome.delivered).sum();
            self.push(of, *key, Metric::Cost(Cost::Delivery), each(round.cpu, all));
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
            self.add_latencies(of, *key, to, &all);
        }
        Ok(())
    }

    /// Adds how many messages per second went some way of the machine's.
    pub(super) fn add_rate(&mut self, key: Key, rate: f64) {
        self.push(Measured::Ours, key, Metric::Rate, rate);
    }

    /// Forgets a cluster that failed.
    pub(super) fn forget(&mut self, of: Measured) {
        for values in self.values.values_mut() {
            values.remove(&of);
        }
    }

    /// The list that `--json` writes.
    pub(super) fn json(&self) -> Vec<Line> {
        let mut best = BTreeMap::new();
        for ((key, metric), values) in &self.values {
            best.entry(*key).or_insert_with(|| best_settings(*metric, values));
        }
        let line = |((key, metric), values): (&(Key, Metric), &BTreeMap<Measured, Vec<f64>>)| {
            let best = best.get(key).copied().flatten();
            self.line(key, *metric, values, best)
        };
        self.values.iter().map(line).collect()
    }

    fn line(
        &self,
        key: &Key,
        metric: Metric,
        values: &BTreeMap<Measured, Vec<f64>>,
        best: Option<usize>,
    ) -> Line {
        let (to, percentile) = match metric {
            Metric::Latency { to, percentile } => (Some(to), Some(percentile)),
            Metric::Cost(_) | Metric::Time { .. } => (None, None),
            Metric::Rate | Metric::Requests | Metric::Throughput => (None, None),
        };
        let (cause, time) = match metric {
            Metric::Time { cause, time } => (Some(cause), Some(time)),
            Metric::Cost(_) | Metric::Latency { .. } => (None, None),
            Metric::Rate | Metric::Requests | Metric::Throughput => (None, None),
        };
        let (cost, unit) = metric.unit();
        let ours = values.get(&Measured::Ours).map_or(&[][..], Vec::as_slice);
        let mut beside = BTreeMap::new();
        for (of, theirs) in values {
            if let Some((name, settings, ratio, ratio_name)) =
                compared(*of, metric, ours, theirs, best)
            {
                let ratio = Spread::of(&ratio, "ratio");
                let figure = Spread::of(theirs, unit);
                beside.insert(name, Beside { figure, settings, ratio, ratio_name });
            }
        }
        Line {
            workload: name(key.workload),
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
            path: key.path,
            access: key.test.map(|test| test.access.name()),
            depth: key.test.map(|test| test.depth),
            layout: key.test.map(|test| test.layout.name()),
            ours: Spread::of(ours, unit),
            beside,
        }
    }
}

impl Metric {
    /// What it is in JSON, if it is a cost, and its unit.
    fn unit(self) -> (Option<&'static str>, &'static str) {
        match self {
            Self::Rate => (None, "messages/s"),
            Self::Requests => (None, "IOPS"),
            Self::Throughput => (None, "MiB/s"),
            Self::Latency { .. } => (None, "us"),
            Self::Time { .. } => (None, "ms"),
            Self::Cost(Cost::Cpu) => (Some("cpu"), "% of a core"),
            Self::Cost(Cost::Memory) => (Some("memory"), "MiB"),
            Self::Cost(Cost::Frames) => (Some("frames"), "frames/s"),
            Self::Cost(Cost::Bytes) => (Some("bytes"), "bytes/s"),
            Self::Cost(Cost::ClientMemory) => (Some("client memory"), "MiB"),
            Self::Cost(Cost::Delivery) => (Some("cpu per delivery"), "us of CPU"),
            Self::Cost(Cost::Messages) => (Some("messages"), "per 1000 I/Os"),
        }
    }

    /// Is more of it better?
    fn is_rate(self) -> bool {
        match self {
            Self::Rate | Self::Requests | Self::Throughput => true,
            Self::Cost(_) | Self::Latency { .. } | Self::Time { .. } => false,
        }
    }
}

/// In JSON and tables.
fn name(workload: Workload) -> &'static str {
    match workload {
        Workload::Bcast1 => "bcast-1",
        Workload::BcastAll => "bcast-all",
        Workload::Detect => "detect",
        Workload::Idle => "idle",
        Workload::Join => "join",
        Workload::Latency => "latency",
        Workload::Leave => "leave",
        Workload::P2p => "p2p",
        Workload::Raw => "raw",
        Workload::Scale => "scale",
        Workload::Txn => "txn",
        Workload::Volume => "volume",
    }
}

/// What is said of something that was measured beside ours: its name, its settings, the ratios, and
/// what to what they are. Nothing of settings that were not the best.
type Compared = (&'static str, Option<&'static str>, Vec<f64>, &'static str);

fn compared(
    of: Measured,
    metric: Metric,
    ours: &[f64],
    theirs: &[f64],
    best: Option<usize>,
) -> Option<Compared> {
    let better = || if metric.is_rate() { ratios(ours, theirs) } else { ratios(theirs, ours) };
    let than = "better than that";
    Some(match of {
        Measured::Ours => return None,
        Measured::Corosync(index) if Some(index) == best => {
            let settings = CANDIDATES.get(index).map(|settings| settings.name);
            ("corosync", settings, better(), "better than corosync")
        }
        Measured::Corosync(_) => return None,
        Measured::Detector(index) => (DETECTORS.get(index)?.name, None, better(), than),
        Measured::Nbdkit => ("nbdkit", Some(NBDKIT), better(), than),
        Measured::QemuNbd(aio) => ("qemu-nbd", Some(aio.settings()), better(), than),
        Measured::RawFile => ("raw file", None, better(), than),
        Measured::SameEngine => ("same engine", Some(SAME_ENGINE), better(), than),
        Measured::Sealed => ("sealed", None, ratios(theirs, ours), "sealed : plain"),
        Measured::Simple => {
            // What a copy costs: above 1 where ours is worse.
            let cost = if metric.is_rate() { ratios(theirs, ours) } else { ratios(ours, theirs) };
            ("simple", None, cost, "times that")
        }
    })
}

/// What the engine is compared with.
const SAME_ENGINE: &str =
    "the file below the simple volume, by the same driver and in this process";

/// Which of the settings of Corosync has the best median.
fn best_settings(metric: Metric, values: &BTreeMap<Measured, Vec<f64>>) -> Option<usize> {
    let medians = values.iter().filter_map(|(of, values)| match of {
        Measured::Corosync(index) => {
            let median = Spread::of(values, "").median;
            Some((*index, if metric.is_rate() { -median } else { median }))
        }
        Measured::Detector(_) | Measured::Nbdkit | Measured::Ours | Measured::QemuNbd(_) => None,
        Measured::RawFile | Measured::SameEngine => None,
        Measured::Sealed | Measured::Simple => None,
    });
    medians.min_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(index, _)| index)
}

/// Microseconds for each of `count`.
fn each(time: Duration, count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let count = count.max(1) as f64;
    time.as_secs_f64() * 1e6 / count
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
mod tests;

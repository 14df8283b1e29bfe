//! Which plots there are, and what is in them.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One line of the list that `--json` writes, with all that was measured beside each other.
#[derive(Clone, Debug, Deserialize)]
pub(in super::super) struct Line {
    workload: String,
    n: u8,
    size: u32,
    transport: String,
    netns: bool,
    level: Option<String>,
    from: Option<String>,
    to: Option<String>,
    percentile: Option<String>,
    cost: Option<String>,
    cause: Option<String>,
    time: Option<String>,
    path: Option<String>,
    ours: Spread,
    /// By name.
    #[serde(default)]
    beside: BTreeMap<String, Spread>,
}

/// A value with its least and its greatest.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
    unit: String,
}

/// One plot.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plot {
    /// Of its file, without the ending.
    pub(super) name: String,
    /// Above it.
    pub(super) title: String,
    /// What goes to the right.
    pub(super) axis: Axis,
    /// What goes up, with its unit.
    pub(super) y_label: String,
    /// The lines in it.
    pub(super) series: Vec<Series>,
}

/// What a plot is over.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Axis {
    /// Number of nodes.
    Nodes,
    /// Bytes per message.
    Size,
}

/// One line of a plot.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    /// For the legend.
    pub(super) label: String,
    /// By what goes to the right, ascending.
    pub(super) points: Vec<(f64, Spread)>,
}

/// What lines of one plot have in common, in the order of the files.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Group {
    workload: String,
    qualifiers: Vec<String>,
    /// The same for people.
    words: String,
    carrier: &'static str,
    unit: String,
    axis: Axis,
    /// What does not go to the right: the size by nodes, the nodes by size.
    fixed: u32,
}

/// The lines of a plot by rank and label, and their points.
type Lines = BTreeMap<(usize, String), BTreeMap<u32, Spread>>;

/// All plots that have a line of two points at least.
pub(super) fn plots(lines: &[Line]) -> Vec<Plot> {
    let mut groups: BTreeMap<Group, Lines> = BTreeMap::new();
    // Volumes have two sizes, one counted in requests and one in bytes: that makes no curve.
    for line in lines.iter().filter(|line| line.workload != "volume") {
        for (side, spread) in line.sides() {
            for axis in [Axis::Nodes, Axis::Size] {
                let (x, fixed) = match axis {
                    Axis::Nodes => (u32::from(line.n), line.size),
                    Axis::Size => (line.size, u32::from(line.n)),
                };
                let group = line.group(axis, fixed, &spread.unit);
                // Ours comes first in every legend, and so has the same colour everywhere.
                let key = (usize::from(side != "ours"), line.label(side));
                groups.entry(group).or_default().entry(key).or_default().insert(x, spread.clone());
            }
        }
    }
    let drawn = groups.into_iter().filter(|(_, series)| series.values().any(|s| s.len() > 1));
    drawn.map(|(group, series)| plot(&group, series)).collect()
}

fn plot(group: &Group, series: Lines) -> Plot {
    let what = std::iter::once(group.workload.as_str());
    let what = what.chain(group.qualifiers.iter().map(String::as_str)).collect::<Vec<_>>();
    let fixed = group.fixed;
    let (name, words) = match group.axis {
        Axis::Nodes if fixed == 0 => ("by-n".to_owned(), String::new()),
        Axis::Nodes => (format!("by-n-size{fixed}"), format!(", messages of {}", bytes(fixed))),
        Axis::Size => (format!("by-size-n{fixed}"), format!(", {fixed} nodes")),
    };
    let by = match group.axis {
        Axis::Nodes => "number of nodes",
        Axis::Size => "size",
    };
    let (measure, unit) = match group.unit.as_str() {
        "messages/s" => ("throughput", "messages/s"),
        "us" => ("latency", "µs"),
        "ms" => ("time", "ms"),
        "MiB" => ("resident memory", "MiB"),
        "% of a core" => ("CPU", "% of a core"),
        "us of CPU" => ("CPU time", "µs"),
        other => ("cost", other),
    };
    let series = series.into_iter().map(|((_, label), points)| Series {
        label,
        points: points.into_iter().map(|(x, spread)| (f64::from(x), spread)).collect(),
    });
    Plot {
        name: format!("{}-{name}", what.join("-").replace(' ', "-")),
        title: format!(
            "{}{}: {measure} by {by}{words} ({})",
            group.workload, group.words, group.carrier
        ),
        axis: group.axis,
        y_label: format!("{measure}, {unit}"),
        series: series.collect(),
    }
}

impl Line {
    /// All that was measured, but for what has no values.
    fn sides(&self) -> impl Iterator<Item = (&str, &Spread)> {
        let beside = self.beside.iter().map(|(side, spread)| (side.as_str(), spread));
        std::iter::once(("ours", &self.ours)).chain(beside).filter(|(_, spread)| spread.max > 0.0)
    }

    fn group(&self, axis: Axis, fixed: u32, unit: &str) -> Group {
        let qualifiers = [&self.level, &self.from, &self.to, &self.cost, &self.cause];
        let (level, from, to, cost, cause) =
            (&self.level, &self.from, &self.to, &self.cost, &self.cause);
        let words = [("", level), ("from ", from), ("to ", to), ("", cost), ("", cause)];
        let words =
            words.iter().filter_map(|(word, what)| Some(format!(" {word}{}", what.as_ref()?)));
        Group {
            workload: self.workload.clone(),
            qualifiers: qualifiers.into_iter().flatten().cloned().collect(),
            words: words.collect(),
            carrier: match (self.transport.as_str(), self.netns) {
                ("ether", _) => "raw Ethernet",
                (_, true) => "UDP between namespaces",
                (_, false) => "UDP on the loopback",
            },
            unit: unit.to_owned(),
            axis,
            fixed,
        }
    }

    /// In the legend.
    fn label(&self, side: &str) -> String {
        // Where packets went some way of the machine's, nothing of it is ours.
        let side = self.path.as_deref().unwrap_or(side);
        let words = [Some(side), self.percentile.as_deref(), self.time.as_deref()];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// A size in words.
pub(super) fn bytes(size: u32) -> String {
    if size >= 1024 && size.is_multiple_of(1024) {
        format!("{} KiB", size / 1024)
    } else {
        format!("{size} B")
    }
}

//! The figures of `bench` for people.

use std::collections::BTreeMap;

use super::report::{Line, Spread};
use super::volume;

/// All figures; those of volumes in a table of their own.
pub(super) fn of(lines: &[Line]) -> String {
    let (volumes, others): (Vec<&Line>, Vec<&Line>) =
        lines.iter().partition(|line| line.layout.is_some());
    let mut texts = Vec::new();
    if !others.is_empty() || volumes.is_empty() {
        texts.push(figures(&others));
    }
    if !volumes.is_empty() {
        texts.push(volume::table::of(&volumes));
    }
    texts.join("\n")
}

/// A row for each figure, and the settings that stand in it.
fn figures(lines: &[&Line]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["workload", "n", "size", "", "median", "min", "max", "unit"]);
    let mut notes = BTreeMap::new();
    for line in lines {
        let words = [line.level, line.path, line.from.map(|_| "from"), line.from];
        let words = words.into_iter().chain([line.to.map(|_| "to"), line.to, line.percentile]);
        let words = words.chain([line.cost, line.cause, line.time]);
        let what = words.flatten().collect::<Vec<_>>().join(" ");
        let size = if line.size == 0 { "-".to_owned() } else { line.size.to_string() };
        let mut add = |of: &str, spread: &Spread| {
            let what = [what.as_str(), of].join(" ").trim().to_owned();
            let mut row = vec![line.workload.to_owned(), line.n.to_string(), size.clone(), what];
            row.extend(
                [spread.median, spread.min, spread.max].map(|value| show(value, spread.unit)),
            );
            row.push(spread.unit.to_owned());
            table.add_row(row);
        };
        add("", &line.ours);
        for (name, beside) in &line.beside {
            // Settings are told apart by their first word.
            let (word, rest) =
                beside.settings.and_then(|settings| settings.split_once(' ')).unwrap_or_default();
            let name = format!("{name} {}", word.trim_end_matches(','));
            if !rest.is_empty() {
                notes.insert(name.clone(), rest);
            }
            add(name.trim_end(), &beside.figure);
            add(beside.ratio_name, &beside.ratio);
        }
    }
    for column in [1, 2, 4, 5, 6] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    let notes = notes.iter().map(|(name, settings)| format!("{name}: {settings}\n"));
    table.lines().map(|line| line.trim_end().to_owned() + "\n").chain(notes).collect()
}

/// A figure with as many digits as are of use.
pub(super) fn show(value: f64, unit: &str) -> String {
    match unit {
        "us" | "ms" | "MiB" => format!("{value:.1}"),
        "% of a core" | "per 1000 I/Os" | "ratio" | "us of CPU" => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    }
}

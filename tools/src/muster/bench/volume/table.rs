//! The figures of volumes for people: a row for each volume and each peer, and beside a volume how
//! it compares with the others.

use std::collections::BTreeMap;

use super::super::report::{Line, Spread};
use super::super::table::show;

/// What rows have in common that stand together.
type Group<'a> = (u8, u32, Option<&'a str>, Option<u32>, &'a str);

/// Whom a volume is compared with, as the JSON names them, and the heads of their columns.
const OTHERS: [&str; 5] = ["raw file", "nbdkit", "qemu-nbd", "same engine", SIMPLE];
/// Not a row: it has one of its own.
const SIMPLE: &str = "simple";

/// The table, and what stands below it.
pub(in super::super) fn of(lines: &[&Line]) -> String {
    let is_there = |name: &&str| lines.iter().any(|line| line.beside.contains_key(name));
    let others: Vec<&str> = OTHERS.into_iter().filter(is_there).collect();
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    let head = ["n", "volume", "size", "depth", "", "of", "median", "min", "max", "unit"];
    let beside = others.iter().map(|name| {
        if *name == SIMPLE { "times a simple write".to_owned() } else { format!("to {name}") }
    });
    table.set_header(head.map(str::to_owned).into_iter().chain(beside));
    let mut notes = BTreeMap::new();
    for (group, lines) in groups(lines) {
        for line in &lines {
            let ratios = others.iter().map(|name| {
                line.beside.get(name).map_or_else(String::new, |beside| ratio(&beside.ratio))
            });
            table.add_row(row(group, line.layout.unwrap_or_default(), &line.ours).chain(ratios));
        }
        // What a peer has done is the same beside each of the volumes that it is compared with.
        for name in OTHERS.into_iter().filter(|name| *name != SIMPLE) {
            let Some(beside) = lines.iter().find_map(|line| line.beside.get(name)) else {
                continue;
            };
            table.add_row(row(group, name, &beside.figure));
            notes.extend(beside.settings.map(|settings| (name, settings)));
        }
    }
    for column in [0, 3, 6, 7, 8] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
    let mut text: String = table.lines().map(|line| line.trim_end().to_owned() + "\n").collect();
    if !others.is_empty() {
        text += "to ...: how many times better, of the same round, median (min to max)\n";
    }
    for (name, settings) in notes {
        text += &format!("{name}: {settings}\n");
    }
    text
}

/// Lines that stand together, in the order of the list.
fn groups<'a>(lines: &[&'a Line]) -> Vec<(Group<'a>, Vec<&'a Line>)> {
    let mut groups: Vec<(Group<'a>, Vec<&'a Line>)> = Vec::new();
    for line in lines {
        let what = line.percentile.or(line.cost).unwrap_or("rate");
        let group = (line.n, line.size, line.access, line.depth, what);
        match groups.iter_mut().find(|(of, _)| *of == group) {
            Some((_, lines)) => lines.push(line),
            None => groups.push((group, vec![line])),
        }
    }
    groups
}

fn row<'a>(
    group: Group<'a>,
    of: &'a str,
    spread: &'a Spread,
) -> impl Iterator<Item = String> + use<'a> {
    let (n, size, access, depth, what) = group;
    let size =
        if size >= 1 << 20 { format!("{} MiB", size >> 20) } else { format!("{} KiB", size >> 10) };
    let depth = depth.map_or_else(String::new, |depth| depth.to_string());
    let head = [n.to_string(), access.unwrap_or_default().to_owned(), size, depth];
    let figures = [spread.median, spread.min, spread.max].map(|value| show(value, spread.unit));
    let named = [what.to_owned(), of.to_owned()];
    head.into_iter().chain(named).chain(figures).chain([spread.unit.to_owned()])
}

fn ratio(spread: &Spread) -> String {
    let [median, min, max] = [spread.median, spread.min, spread.max].map(|v| show(v, spread.unit));
    format!("{median} ({min} to {max})")
}

//! `-D`: groups from descriptions instead of from vxconfigd.

use std::io::Read as _;

use cvm::model::{Disk, Group, check, text};
use cvm::snapshot::{DiskSnapshot, GroupSnapshot, Snapshot};

use crate::common::Failure;

/// Reads a file; `-` is standard input.
pub(super) fn read(file: &str) -> Result<Snapshot, Failure> {
    let cannot = |error: std::io::Error| Failure::operation(format!("{file}: {error}"));
    let text = if file == "-" {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map_err(cannot)?;
        text
    } else {
        std::fs::read_to_string(file).map_err(cannot)?
    };
    parse(&text).map_err(|error| Failure::operation(format!("{file}: {error}")))
}

/// A snapshot of what is described: one group or several, one after the other.
pub(super) fn parse(text: &str) -> Result<Snapshot, String> {
    let mut snapshot = Snapshot::default();
    for (line, text) in groups(text) {
        let group = text::read_group(text).map_err(|error| {
            let line = line + error.line;
            format!("line {line}: {}", error.what)
        })?;
        // Listings go along what records name; they rely on it to be there.
        check(&group).map_err(|error| error.to_string())?;
        snapshot.disks.extend(group.disks.values().filter_map(disk));
        snapshot.groups.push(shown(group));
    }
    Ok(snapshot)
}

/// The descriptions of groups in a text, and how many lines come before each.
fn groups(text: &str) -> Vec<(usize, &str)> {
    let is_group = |line: &str| line.split_whitespace().next() == Some("dg");
    let mut begins = Vec::new();
    let (mut at, mut lines) = (0, 0);
    for line in text.split_inclusive('\n') {
        if !line.starts_with([' ', '\t']) && is_group(line) {
            begins.push((lines, at));
        }
        at += line.len();
        lines += 1;
    }
    // What comes before the first group is an error of it.
    match begins.first_mut() {
        Some(first) => *first = (0, 0),
        None => begins.push((0, 0)),
    }
    let ends = begins.iter().skip(1).map(|(_, at)| *at).chain([text.len()]);
    begins.iter().zip(ends).map(|((line, at), end)| (*line, &text[*at..end])).collect()
}

fn shown(group: Group) -> GroupSnapshot {
    GroupSnapshot {
        group,
        tid: "0.0".to_owned(),
        epoch: 0,
        local_activation: None,
        activations: Vec::new(),
        disabled: false,
        copies: Vec::new(),
        config_blocks: 0,
        config_free: 0,
    }
}

/// A disk that a description names, as if this node had a path to it.
fn disk(disk: &Disk) -> Option<DiskSnapshot> {
    let id = disk.disk.as_ref()?.to_string();
    Some(DiskSnapshot { id, access: disk.access.clone(), ..DiskSnapshot::default() })
}

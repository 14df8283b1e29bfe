//! `vxdg list`: imported groups, a line each.

use std::fmt::Write as _;

use cvm::snapshot::{GroupSnapshot, Snapshot};
use serde::Serialize;

/// A line of the listing.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Line {
    name: String,
    is_enabled: bool,
    is_shared: bool,
    cds: bool,
    id: String,
}

/// All groups, or those that are shared.
pub(super) fn lines(snapshot: &Snapshot, only_shared: bool) -> Vec<Line> {
    let line = |known: &GroupSnapshot| Line {
        name: known.group.name.to_string(),
        is_enabled: is_enabled(snapshot, known),
        is_shared: known.group.is_shared(),
        cds: known.group.cds,
        id: known.group.id.to_string(),
    };
    let lines = snapshot.groups.iter().map(line);
    lines.filter(|line| line.is_shared || !only_shared).collect()
}

/// One that errors have disabled cannot be changed; neither can a shared one whose master is not known
/// (facts 1.5).
fn is_enabled(snapshot: &Snapshot, known: &GroupSnapshot) -> bool {
    !known.disabled && (!known.group.is_shared() || snapshot.cluster.master.is_some())
}

/// The listing.
pub(super) fn table(lines: &[Line], quiet: bool) -> String {
    let mut text = String::new();
    if !quiet {
        text += "NAME         STATE                 ID\n";
    }
    for line in lines {
        let mut state = if line.is_enabled { "enabled" } else { "disabled" }.to_owned();
        if line.is_shared {
            state += ",shared";
        }
        if line.cds {
            state += ",cds";
        }
        let _ = writeln!(text, "{:<12} {state:<21} {}", line.name, line.id);
    }
    text
}

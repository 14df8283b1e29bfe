//! `vxdisk list`: disks, a line each (facts 1.5).

use std::fmt::Write as _;

use cvm::model::{Disk, Name};
use cvm::snapshot::{DiskSnapshot, Snapshot};
use serde::Serialize;

use crate::vx::device::device_of;

/// A line of the listing.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Line {
    /// Empty for a member without a disk.
    device: String,
    r#type: String,
    /// The member; empty if the group is not imported.
    disk: String,
    group: String,
    /// The group is imported here.
    imported: bool,
    status: String,
    path: String,
}

/// Disks by access name, then members without a disk; of one group or of all.
pub(super) fn lines(snapshot: &Snapshot, group: Option<&Name>) -> Vec<Line> {
    let is_wanted = |disk: &&DiskSnapshot| {
        group.is_none_or(|group| disk.imported && disk.group == group.as_str())
    };
    let mut lines: Vec<Line> =
        snapshot.disks.iter().filter(is_wanted).map(|disk| line(snapshot, disk)).collect();
    for known in &snapshot.groups {
        if group.is_some_and(|group| *group != known.group.name) {
            continue;
        }
        let all = known.group.disks.iter();
        let lost = all.filter(|(_, dm)| device_of(snapshot, dm).is_none());
        lines.extend(lost.map(|(name, dm)| Line {
            device: String::new(),
            r#type: String::new(),
            disk: name.to_string(),
            group: known.group.name.to_string(),
            imported: true,
            status: was(dm),
            path: String::new(),
        }));
    }
    lines
}

fn line(snapshot: &Snapshot, disk: &DiskSnapshot) -> Line {
    let mut groups = snapshot.groups.iter().filter(|known| known.disabled);
    let is_disabled = groups.any(|known| known.group.id.to_string() == disk.group_id);
    Line {
        device: disk.access.clone(),
        r#type: kind(disk).to_owned(),
        disk: if disk.imported { disk.dm.clone() } else { String::new() },
        group: disk.group.clone(),
        imported: disk.imported,
        status: status(disk, is_disabled),
        path: disk.path.clone(),
    }
}

/// Type and format.
fn kind(disk: &DiskSnapshot) -> &'static str {
    if !disk.error.is_empty() {
        "auto"
    } else if disk.is_invalid {
        "auto:none"
    } else {
        "auto:cdsdisk"
    }
}

fn status(disk: &DiskSnapshot, is_disabled: bool) -> String {
    if !disk.error.is_empty() {
        return "error".to_owned();
    }
    let mut status = "online".to_owned();
    let words = [
        (disk.is_invalid, " invalid"),
        (is_disabled, " dgdisabled"),
        (!disk.cluster.is_empty() && !is_disabled, " shared"),
        (disk.spare, " spare"),
        (disk.nohotuse, " nohotuse"),
        (disk.failing, " failing"),
    ];
    words.iter().filter(|(is_so, _)| *is_so).for_each(|(_, word)| status += word);
    status
}

/// What became of the disk of a member that has none.
pub(super) fn was(dm: &Disk) -> String {
    let how = if dm.removed { "removed" } else { "failed" };
    if dm.access.is_empty() { how.to_owned() } else { format!("{how} was:{}", dm.access) }
}

/// How the listing is printed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Style {
    /// Groups that are not imported, in parentheses.
    pub(super) all_groups: bool,
    /// With the paths.
    pub(super) native: bool,
    /// Without the header.
    pub(super) quiet: bool,
}

/// The listing.
pub(super) fn table(lines: &[Line], style: Style) -> String {
    let mut text = String::new();
    let mut put = |columns: [&str; 5], path: &str| {
        let [device, kind, disk, group, status] = columns;
        let _ = write!(text, "{device:<12} {kind:<15} {disk:<12} {group:<12} ");
        let _ = if style.native {
            writeln!(text, "{status:<20} {path}")
        } else {
            writeln!(text, "{status}")
        };
    };
    if !style.quiet {
        put(["DEVICE", "TYPE", "DISK", "GROUP", "STATUS"], "OS_NATIVE_NAME");
    }
    for line in lines {
        let group = match (line.imported, style.all_groups) {
            (true, _) => line.group.clone(),
            (false, true) if !line.group.is_empty() => format!("({})", line.group),
            (false, _) => String::new(),
        };
        put(
            [dash(&line.device), dash(&line.r#type), dash(&line.disk), dash(&group), &line.status],
            dash(&line.path),
        );
    }
    text
}

fn dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

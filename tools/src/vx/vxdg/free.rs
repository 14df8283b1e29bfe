//! `vxdg free`, `vxdg spare` and `vxdg nohotuse`: what no subdisk lies on (facts 4.2).

use std::fmt::Write as _;

use cvm::model::apply::free_space;
use cvm::model::{Disk, Name, Sectors};
use cvm::snapshot::{GroupSnapshot, Snapshot};
use serde::Serialize;

use super::action::Which;
use crate::common::Failure;
use crate::vx::device::access_of;

/// A free range.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(super) struct Line {
    group: String,
    disk: String,
    device: String,
    tag: String,
    offset: Sectors,
    length: Sectors,
    spare: bool,
    nohotuse: bool,
    reserve: bool,
    failing: bool,
}

/// What is free in these groups, on the members that are named, or on all that `which` says.
///
/// # Errors
/// If there is no such member.
pub(super) fn lines(
    snapshot: &Snapshot,
    groups: &[&GroupSnapshot],
    which: Which,
    names: &[Name],
) -> Result<Vec<Line>, Failure> {
    let is_known = |name: &&Name| !groups.iter().any(|known| known.group.disks.contains_key(*name));
    if let Some(name) = names.iter().find(is_known) {
        return Err(Failure::operation(format!("disk {name} does not exist")));
    }
    let mut lines = Vec::new();
    for known in groups {
        for extent in free_space(&known.group) {
            let Some(dm) = known.group.disks.get(&extent.disk) else { continue };
            let wanted =
                if names.is_empty() { is_listed(dm, which) } else { names.contains(&extent.disk) };
            if wanted {
                let device = access_of(snapshot, dm);
                lines.push(Line {
                    group: known.group.name.to_string(),
                    disk: extent.disk.to_string(),
                    tag: device.clone(),
                    device,
                    offset: extent.offset,
                    length: extent.len,
                    spare: dm.spare,
                    nohotuse: dm.nohotuse,
                    reserve: dm.reserve,
                    failing: dm.failing,
                });
            }
        }
    }
    Ok(lines)
}

fn is_listed(dm: &Disk, which: Which) -> bool {
    match which {
        Which::All => true,
        Which::NoHotUse => dm.nohotuse,
        Which::Spare => dm.spare,
        Which::Usual => !dm.spare && dm.disk.is_some(),
    }
}

/// The listing, with the groups if more than one may be meant.
pub(super) fn table(lines: &[Line], with_group: bool, quiet: bool) -> String {
    let mut text = String::new();
    let group = |name: &str| if with_group { format!("{name:<12} ") } else { String::new() };
    if !quiet {
        let head = "DISK         DEVICE       TAG          OFFSET    LENGTH    FLAGS";
        let _ = writeln!(text, "{}{head}", group("GROUP"));
    }
    for line in lines {
        let Line { disk, device, tag, offset, length, .. } = line;
        let _ = writeln!(
            text,
            "{}{disk:<12} {device:<12} {tag:<12} {offset:<9} {length:<9} {}",
            group(&line.group),
            flags(line)
        );
    }
    text
}

fn flags(line: &Line) -> String {
    let all = [(line.spare, 's'), (line.nohotuse, 'n'), (line.reserve, 'r'), (line.failing, 'f')];
    let set: String = all.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| *flag).collect();
    if set.is_empty() { "-".to_owned() } else { set }
}

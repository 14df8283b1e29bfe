//! `vxdisk list DISK` and `vxdisk -s list`: disks in detail (facts 1.4).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cvm::model::{Name, Serial};
use cvm::snapshot::{DiskSnapshot, RegionSnapshot, Snapshot};

use super::list::was;
use crate::common::Failure;
use crate::vx::device::device_of;

/// The disk that a word means: a device, or a member of a group that is imported.
///
/// # Errors
/// If it means none, or more than one.
pub(super) fn find<'a>(
    snapshot: &'a Snapshot,
    group: Option<&Name>,
    word: &str,
) -> Result<&'a DiskSnapshot, Failure> {
    let is_wanted = |name: &str| group.is_none_or(|group| group.as_str() == name);
    let device = snapshot.disks.iter().find(|disk| disk.access == word);
    if let Some(device) = device.filter(|device| group.is_none() || is_wanted(&device.group)) {
        return Ok(device);
    }
    let members = snapshot.groups.iter().filter(|known| is_wanted(known.group.name.as_str()));
    let members = members.filter_map(|known| Some((known, known.group.disks.get(word)?)));
    match members.collect::<Vec<_>>().as_slice() {
        [] => Err(Failure::operation(format!("Disk {word}: no such device, and no member"))),
        [(_, dm)] => device_of(snapshot, dm)
            .ok_or_else(|| Failure::operation(format!("Disk {word} has no device: {}", was(dm)))),
        [..] => {
            let text = format!("Disk {word} is a member of several groups: say which with -g");
            Err(Failure::operation(text))
        }
    }
}

/// Everything that is known of a disk.
pub(super) fn detail(disk: &DiskSnapshot) -> String {
    let mut text = Text::new(11);
    text.line("Device", &disk.access);
    text.line("devicetag", &disk.access);
    text.line("type", "auto");
    let is_ready = disk.error.is_empty() && !disk.is_invalid;
    if is_ready {
        owner(&mut text, disk);
        text.line("disk", &format!("name={} id={}", disk.dm, disk.id));
        text.line("group", &format!("name={} id={}", disk.group, disk.group_id));
    }
    text.line("info", &info(disk));
    text.line("flags", &flags(disk));
    text.line("pubpaths", &format!("block={}", disk.path));
    // Disks have no other ids than their own, and there are no sites: as the original shows it.
    ["guid", "udid", "site"].iter().for_each(|label| text.line(label, "-"));
    if is_ready {
        let Serial(serial) = disk.serial.parse().unwrap_or_default();
        text.line("version", "3.1");
        text.line("iosize", "min=512 (bytes) max=2048 (blocks)");
        let region = |offset, len| format!("slice=0 offset={offset} len={len} disk_offset=0");
        text.line("public", &region(disk.public_offset, disk.public_len));
        text.line("private", &region(disk.private_offset, disk.private_len));
        text.line("update", &format!("time={} seqno={}", disk.updated, Serial(disk.seqno)));
        text.line("ssb", &format!("actual_seqno={}", Serial(serial)));
        let [first, second] = disk.headers;
        text.line("headers", &format!("{first} {second}"));
        text.line("configs", &format!("count=1 len={}", disk.config_len));
        text.line("logs", &format!("count=1 len={}", disk.log_len));
        text.all += "Defined regions:\n";
        text.all += &regions(&disk.regions);
    } else if !disk.error.is_empty() {
        text.line("errno", &disk.error);
    }
    text.all += "Multipathing information:\n";
    text.all += "numpaths:   1\n";
    let state = if disk.error.is_empty() { "enabled" } else { "disabled" };
    let _ = writeln!(text.all, "{}  state={state}", disk.access);
    text.all
}

/// The identities of a disk.
pub(super) fn summary(disk: &DiskSnapshot) -> String {
    let mut text = Text::new(11);
    text.line("Disk", &disk.access);
    text.line("type", "auto");
    text.line("flags", &flags(disk));
    if disk.error.is_empty() && !disk.is_invalid {
        text.line("diskid", &disk.id);
        text.line("dgname", &disk.group);
        text.line("dgid", &disk.group_id);
        owner(&mut text, disk);
    }
    text.line("info", &info(disk));
    text.all
}

fn owner(text: &mut Text, disk: &DiskSnapshot) {
    if disk.cluster.is_empty() {
        text.line("hostid", &disk.host);
    } else {
        text.line("clusterid", &disk.cluster);
    }
}

fn info(disk: &DiskSnapshot) -> String {
    if disk.error.is_empty() && !disk.is_invalid {
        let offset = disk.private_offset;
        format!("format=cdsdisk,privoffset={offset},pubslice=0,privslice=0")
    } else {
        "format=none".to_owned()
    }
}

fn flags(disk: &DiskSnapshot) -> String {
    let has_group = !disk.group.is_empty();
    let words = [
        (disk.error.is_empty(), "online ready"),
        (!disk.error.is_empty(), "error"),
        (true, "private autoconfig"),
        (disk.is_invalid, "invalid"),
        (!disk.cluster.is_empty(), "shared"),
        (has_group && disk.autoimport, "autoimport"),
        (has_group && !disk.autoimport, "noautoimport"),
        (disk.imported, "imported"),
        (disk.spare, "spare"),
        (disk.nohotuse, "nohotuse"),
        (disk.failing, "failing"),
    ];
    let set: Vec<&str> = words.iter().filter(|(is_so, _)| *is_so).map(|(_, word)| *word).collect();
    set.join(" ")
}

/// Parts of one copy follow each other, wherever they lie.
fn regions(regions: &[RegionSnapshot]) -> String {
    let mut text = String::new();
    let mut offsets: BTreeMap<&str, u64> = BTreeMap::new();
    for region in regions {
        let RegionSnapshot { kind, first, len, enabled } = region;
        let last = (first + len).saturating_sub(1);
        let _ = write!(text, " {kind:<8} priv {first:06}-{last:06}[{len:06}]: ");
        if kind == "lockrgn" {
            text += "part=00 offset=000000\n";
            continue;
        }
        let offset = offsets.entry(kind.as_str()).or_default();
        let state = if *enabled { "enabled" } else { "disabled" };
        let _ = writeln!(text, "copy=01 offset={offset:06} {state}");
        *offset += len;
    }
    text
}

/// Lines of a label and a value.
struct Text {
    all: String,
    width: usize,
}

impl Text {
    fn new(width: usize) -> Self {
        Self { all: String::new(), width }
    }

    fn line(&mut self, label: &str, value: &str) {
        let label = format!("{label}:");
        let line = format!("{label:<width$}{value}", width = self.width);
        self.all += line.trim_end();
        self.all.push('\n');
    }
}

//! `vxdg list GROUP`: a group in detail (facts 1.5).

use std::fmt::Write as _;

use cvm::model::{Copies, Disk};
use cvm::snapshot::{CopySnapshot, GroupSnapshot, Snapshot};

use crate::vx::device::{access_of, device_of, node_name};

/// The listing.
pub(super) fn detail(snapshot: &Snapshot, known: &GroupSnapshot) -> String {
    let group = &known.group;
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "{}", format!("{label}: {value}").trim_end());
    };
    line("Group", group.name.as_str());
    line("dgid", &group.id.to_string());
    // The serial counts imports, which is what an import id tells apart.
    line("import-id", &group.serial.to_string());
    line("flags", &flags(known));
    line("version", &group.version.to_string());
    line("alignment", "8192 (bytes)");
    line("ssb", if group.ssb { "on" } else { "off" });
    if group.is_shared() {
        if let Some(mode) = known.local_activation {
            line("local-activation", mode.as_str());
        }
        let mode = |(node, mode): &(u8, cvm::model::Activation)| {
            format!("{}={}", node_name(snapshot, *node), mode.short())
        };
        let modes: Vec<String> = known.activations.iter().map(mode).collect();
        line("cluster-actv-modes", &modes.join(" "));
    }
    line("detach-policy", group.detach_policy.as_str());
    line("dg-fail-policy", group.fail_policy.as_str());
    let (nconfig, nlog) = (copies(group.nconfig), copies(group.nlog));
    line("copies", &format!("nconfig={nconfig} nlog={nlog}"));
    // A change is written as a whole beside the configuration that it replaces.
    let used = known.config_blocks.saturating_sub(known.config_free);
    line(
        "config",
        &format!(
            "seqno={} permlen={} free={} templen={used} loglen={}",
            known.tid,
            known.config_blocks,
            known.config_free,
            log_len(snapshot, known)
        ),
    );
    text + &disks(snapshot, known)
}

fn flags(known: &GroupSnapshot) -> String {
    let group = &known.group;
    let flags = [
        (group.is_shared(), "shared"),
        (group.cds, "cds"),
        (!group.autoimport, "noautoimport"),
        (group.destroyed, "destroyed"),
    ];
    let set: Vec<&str> = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, f)| *f).collect();
    set.join(" ")
}

fn copies(copies: Copies) -> String {
    match copies {
        Copies::All => "all".to_owned(),
        Copies::Count(count) => count.to_string(),
        Copies::Default => "default".to_owned(),
    }
}

/// The shortest log of its disks.
fn log_len(snapshot: &Snapshot, known: &GroupSnapshot) -> u64 {
    let here = known.group.disks.values().filter_map(|dm| device_of(snapshot, dm));
    here.map(|disk| disk.log_len).min().unwrap_or(0)
}

/// Where copies are, and where they could be: members with a disk, by name.
fn disks(snapshot: &Snapshot, known: &GroupSnapshot) -> String {
    let with_disk = known.group.disks.iter().filter(|(_, dm)| dm.disk.is_some());
    let (mut config, mut log) = (String::new(), String::new());
    for (name, dm) in with_disk {
        let copy = known.copies.iter().find(|copy| copy.dm == name.as_str());
        let state = |of: fn(&CopySnapshot) -> Option<bool>| copy.and_then(of);
        let (access, len) = (access_of(snapshot, dm), known.config_blocks);
        let how = match state(|copy| copy.config) {
            Some(true) => "state=clean online",
            Some(false) => "state=clean failed",
            None => "disabled",
        };
        let _ = writeln!(config, "config disk {access} copy 1 len={len} {how}");
        let how = match state(|copy| copy.log) {
            Some(true) => "",
            Some(false) => " failed",
            None => " disabled",
        };
        let len = own_log(snapshot, dm);
        let _ = writeln!(log, "log disk {access} copy 1 len={len}{how}");
    }
    config + &log
}

fn own_log(snapshot: &Snapshot, dm: &Disk) -> u64 {
    device_of(snapshot, dm).map_or(0, |disk| disk.log_len)
}

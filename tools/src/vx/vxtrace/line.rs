//! An event as lines, one for each kind of object that is wanted.

use cvm::stats::{Stage, TraceEvent, TraceObject};

use super::Kind;

/// The lines of an event; none if it is of no kind that is wanted.
pub(super) fn lines(event: &TraceEvent, kinds: &[Kind], is_long: bool) -> String {
    let is_wanted = |kind| kinds.contains(&Kind::All) || kinds.contains(&kind);
    let TraceEvent { plex, subdisk, disk, .. } = event;
    let Some(disk) = disk else {
        return if is_wanted(Kind::Dev) { of_volume(event, is_long) } else { String::new() };
    };
    let of_disk = [
        (Kind::Plex, "plex", plex.as_ref()),
        (Kind::Sd, "sd", subdisk.as_ref()),
        (Kind::Disk, "disk", Some(disk)),
    ];
    let wanted = of_disk.into_iter().filter(|(kind, ..)| is_wanted(*kind));
    wanted.filter_map(|(_, word, object)| Some(of_object(event, word, object?, is_long))).collect()
}

fn of_volume(event: &TraceEvent, is_long: bool) -> String {
    let TraceEvent { op, volume, group_name, minor, len, pid, .. } = event;
    let TraceObject { name, block } = volume;
    let mut line = format!("{} vdev {name} dg {group_name}", begin(event));
    match event.stage {
        Stage::Start { concurrency } => {
            line += &format!(" dev {MAJOR},{minor} block {block} len {len}");
            line += &format!(" concurrency {concurrency} pid {}", pid.unwrap_or(0));
        }
        Stage::End { .. } | Stage::Stall { .. } => {
            line += &format!(" op {op} block {block} len {len}{}", time(event.stage));
        }
    }
    if is_long {
        line += &long(event);
    }
    line + "\n"
}

fn of_object(event: &TraceEvent, word: &str, object: &TraceObject, is_long: bool) -> String {
    let TraceObject { name, block } = object;
    let mut line = format!("{} {word} {name}", begin(event));
    if let Some(parent) = event.parent {
        line += &format!(" op {parent}");
    }
    line += &format!(" block {block} len {}{}", event.len, time(event.stage));
    if is_long {
        let TraceEvent { volume, group_name, plex, subdisk, disk, .. } = event;
        line += &format!(" vdev {} dg {group_name}", volume.name);
        for (word, object) in [("plex", plex), ("sd", subdisk), ("disk", disk)] {
            if let Some(TraceObject { name, block }) = object {
                line += &format!(" {word} {name},{block}");
            }
        }
        line += &long(event);
    }
    line + "\n"
}

fn begin(event: &TraceEvent) -> String {
    let stage = match event.stage {
        Stage::End { .. } => "END",
        Stage::Stall { .. } => "STALL",
        Stage::Start { .. } => "START",
    };
    format!("{} {stage} {}", event.op, event.work.word())
}

fn time(stage: Stage) -> String {
    match stage {
        Stage::End { micros, is_done } => {
            let error = if is_done { "" } else { " error" };
            format!(" time {}{error}", micros / TICK)
        }
        Stage::Stall { micros } => format!(" time {}", micros / TICK),
        Stage::Start { .. } => String::new(),
    }
}

/// What only the long form has: how long, and when.
fn long(event: &TraceEvent) -> String {
    let micros = match event.stage {
        Stage::End { micros, .. } | Stage::Stall { micros } => format!(" micros {micros}"),
        Stage::Start { .. } => String::new(),
    };
    format!("{micros} at {}.{:06}", event.time / 1_000_000, event.time % 1_000_000)
}

/// A tick of the original in microseconds.
const TICK: u64 = 10_000;
/// Devices of volumes have this number in the original.
const MAJOR: u32 = 199;

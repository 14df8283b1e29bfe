//! Requests and what comes of them.

mod attach;
mod copies;
mod disks;
mod edit;
mod fills;
mod hot;
mod logs;
mod make;
mod mend;
mod mirrors;
mod random;
mod relocate;
mod remove;
mod resize;
mod run;
mod snapshots;
mod vxmake;

use super::*;
use crate::model::group::Owner;
use crate::model::ids::Name;
use crate::model::op::{Init, Make, Storage, VolumeLayout};
use crate::model::record::{Disk, Layout, Permissions, Source};
use crate::model::sample::{self, name};
use crate::model::states::LogType;

/// A shared group with disks `mydg01` and so on of these lengths.
fn group_of(lens: &[Sectors]) -> Group {
    let owner = Owner::Cluster(name("clus1"));
    let mut group = Group::new(name("mydg"), UniqueId::new(1_283_432_345, 33, "host1"), owner);
    for (number, len) in (1..).zip(lens) {
        let disk = Disk { public_len: *len, ..sample::disk(&mut group, number) };
        group.disks.insert(name(&format!("mydg{number:02}")), disk);
    }
    group
}

/// Four nodes, no other groups and no other disks.
const ENV: Env<'static> = Env { disks: &[], minors_taken: &[], nodes: 4 };

/// `vxassist make init=active` with nothing but the layout.
fn plain(volume: &str, len: Sectors, layout: VolumeLayout) -> Make {
    Make { init: Init::Active, ..Make::new(name(volume), Some(len), layout) }
}

fn make_op(make: Make) -> Op {
    Op::Make(Box::new(make))
}

/// A group with one volume more.
fn with(group: &Group, make: Make) -> Group {
    done(group, &make_op(make))
}

fn done(group: &Group, op: &Op) -> Group {
    apply(group, op, &ENV).unwrap_or_else(|error| panic!("{op:?}: {error}"))
}

fn refused(group: &Group, op: &Op) -> String {
    match apply(group, op, &ENV) {
        Ok(_) => panic!("{op:?} was done"),
        Err(error) => error.to_string(),
    }
}

/// `mydg01 !mydg02 mydg03,1024`
fn storage(words: &str) -> Vec<Storage> {
    let word = |word: &str| {
        let (excluded, rest) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
        let (disk, offset) = rest.split_once(',').map_or((rest, None), |(d, o)| (d, Some(o)));
        let offset = offset.map(|offset| offset.parse().unwrap());
        Storage { disk: name(disk), excluded, offset }
    };
    words.split_whitespace().map(word).collect()
}

/// All volumes with what they consist of, as a listing shows them; layers are indented.
fn show(group: &Group) -> Vec<String> {
    let tops = group.volumes.iter().filter(|(_, volume)| !volume.layer);
    tops.flat_map(|(name, _)| show_volume(group, name, "")).collect()
}

fn show_volume(group: &Group, name: &Name, indent: &str) -> Vec<String> {
    let volume = &group.volumes[name];
    let mut lines =
        vec![format!("{indent}v {name} {} {} {}", volume.kernel, volume.state, volume.len)];
    for plex in &volume.plexes {
        lines.extend(show_plex(group, plex, indent));
    }
    lines
}

fn show_plex(group: &Group, name: &Name, indent: &str) -> Vec<String> {
    let plex = &group.plexes[name];
    let layout = match plex.layout {
        _ if plex.is_log_only() => "LOGONLY".to_owned(),
        Layout::Concat => format!("{} CONCAT", group.plex_len(plex)),
        Layout::Stripe { columns, width } => {
            format!("{} STRIPE {columns}/{width}", group.plex_len(plex))
        }
    };
    let mut lines = vec![format!("{indent}pl {name} {} {} {layout}", plex.kernel, plex.state)];
    let places = plex.pieces.iter().map(|p| (&p.subdisk, format!("{}/{}", p.column, p.offset)));
    for (subdisk, place) in places.chain(plex.log.iter().map(|log| (log, "LOG".to_owned()))) {
        let record = &group.subdisks[subdisk];
        match &record.source {
            Source::Disk { dm, offset } => {
                lines.push(format!("{indent}sd {subdisk} {dm} {offset} {} {place}", record.len));
            }
            Source::Volume(volume) => {
                lines.push(format!("{indent}sv {subdisk} {volume} {} {place}", record.len));
                lines.extend(show_volume(group, volume, &format!("{indent}  ")));
            }
        }
    }
    lines
}

/// `show`, to be compared with lines of a text.
#[track_caller]
fn shows(group: &Group, expected: &str) {
    let lines: Vec<&str> = expected.lines().filter(|line| !line.trim().is_empty()).collect();
    let shown = show(group);
    let margin = lines.iter().map(|l| l.len() - l.trim_start().len()).min().unwrap_or(0);
    let expected: Vec<&str> = lines.iter().map(|line| &line[margin..]).collect();
    assert_eq!(shown, expected, "\n{}\n", shown.join("\n"));
}

/// The group without the identities of its records, which count up for ever.
fn without_rids(group: &Group) -> Group {
    let mut group = group.clone();
    let names: Vec<Name> = group
        .disks
        .keys()
        .chain(group.subdisks.keys())
        .chain(group.plexes.keys())
        .chain(group.volumes.keys())
        .cloned()
        .collect();
    for name in names {
        group.common_mut(name.as_str()).unwrap().rid = crate::model::Rid(0);
    }
    group.next_rid = crate::model::Rid(0);
    group
}

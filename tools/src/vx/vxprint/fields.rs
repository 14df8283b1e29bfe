//! What `-F` prints of records and `-e` compares: fields by name. Those that descriptions have
//! (`-m`) have the same names here.

use cvm::model::{Common, Disk, Group, Layout, Name, Owner, Plex, Source, Subdisk, Volume};

use super::long::{log_len, path};
use super::table::{copies, plex_len, plex_mode};
use crate::vx::view::{Record, View, plex_state};

/// All fields; which of them a record has is up to its kind.
pub(super) const FIELDS: [&str; 65] = [
    "assoc",
    "autoimport",
    "cds",
    "cluster",
    "column",
    "comment",
    "device",
    "dgfailpolicy",
    "dgid",
    "dgname",
    "diskdetpolicy",
    "diskid",
    "dm",
    "dmoffset",
    "exclusive",
    "failing",
    "group",
    "host",
    "kstate",
    "layer",
    "layout",
    "len",
    "log",
    "loglen",
    "logtype",
    "minor",
    "minors",
    "mode",
    "name",
    "nconfig",
    "ncolumn",
    "nlog",
    "nohotuse",
    "orig_dmname",
    "orig_dmoffset",
    "path",
    "plex",
    "ploffset",
    "pref_plex",
    "privlen",
    "publen",
    "putil0",
    "putil1",
    "putil2",
    "read_pol",
    "removed",
    "reserve",
    "rid",
    "sd",
    "serial",
    "shared",
    "spare",
    "ssb",
    "state",
    "stwidth",
    "tutil0",
    "tutil1",
    "tutil2",
    "type",
    "use_type",
    "user",
    "version",
    "vol",
    "volume",
    "next_rid",
];

/// The name as it stands in [`FIELDS`].
///
/// # Errors
/// If there is no such field.
pub(super) fn known(name: &str) -> Result<&'static str, String> {
    FIELDS.iter().find(|field| **field == name).copied().ok_or_else(|| {
        format!("{name} is no field of records; the fields are listed in vxprint --help")
    })
}

/// The field of a record; none if records of its kind do not have it, or it has no value.
pub(super) fn field(view: &View<'_>, record: Record<'_>, key: &str) -> Option<String> {
    let value = match key {
        "name" => Some(record.name().to_string()),
        "type" => Some(record.word().to_owned()),
        "dgname" => Some(view.group.name.to_string()),
        _ => match record {
            Record::Disk(name, disk) => {
                disk_field(view, name, disk, key).or_else(|| common_field(&disk.common, key))
            }
            Record::Group(group) => group_field(group, key),
            Record::Plex(name, plex) => {
                plex_field(view, name, plex, key).or_else(|| common_field(&plex.common, key))
            }
            Record::Subdisk(name, subdisk) => subdisk_field(view, name, subdisk, key)
                .or_else(|| common_field(&subdisk.common, key)),
            Record::Volume(name, volume) => {
                volume_field(view, name, volume, key).or_else(|| common_field(&volume.common, key))
            }
        },
    };
    value.filter(|value| !value.is_empty())
}

fn switch(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

fn common_field(common: &Common, key: &str) -> Option<String> {
    Some(match key {
        "comment" => common.comment.clone(),
        "rid" => common.rid.to_string(),
        "tutil0" => common.tutil[0].clone(),
        "tutil1" => common.tutil[1].clone(),
        "tutil2" => common.tutil[2].clone(),
        "putil0" => common.putil[0].clone(),
        "putil1" => common.putil[1].clone(),
        "putil2" => common.putil[2].clone(),
        _ => return None,
    })
}

fn group_field(group: &Group, key: &str) -> Option<String> {
    Some(match (key, &group.owner) {
        ("assoc", _) => group.name.to_string(),
        ("autoimport", _) => switch(group.autoimport),
        ("cds", _) => switch(group.cds),
        ("cluster", Owner::Cluster(name)) | ("host", Owner::Host(name)) => name.to_string(),
        ("dgfailpolicy", _) => group.fail_policy.to_string(),
        ("dgid", _) => group.id.to_string(),
        ("diskdetpolicy", _) => group.detach_policy.to_string(),
        ("minors", _) => group.minors.to_string(),
        ("nconfig", _) => copies(group.nconfig),
        ("next_rid", _) => group.next_rid.to_string(),
        ("nlog", _) => copies(group.nlog),
        ("serial", _) => group.serial.to_string(),
        ("shared", _) => switch(group.is_shared()),
        ("ssb", _) => switch(group.ssb),
        ("version", _) => group.version.to_string(),
        _ => return None,
    })
}

fn disk_field(view: &View<'_>, name: &Name, disk: &Disk, key: &str) -> Option<String> {
    Some(match key {
        "assoc" | "device" => view.device(name)?.to_owned(),
        "diskid" => disk.disk.as_ref()?.to_string(),
        "dm" => name.to_string(),
        "failing" => switch(disk.failing),
        "len" | "publen" => disk.public_len.to_string(),
        "nohotuse" => switch(disk.nohotuse),
        "path" => view.path(name)?.to_owned(),
        "privlen" => disk.private_len.to_string(),
        "removed" => switch(disk.removed),
        "reserve" => switch(disk.reserve),
        "serial" => disk.serial.to_string(),
        "spare" => switch(disk.spare),
        "state" => view.disk_state(name, disk)?.to_owned(),
        _ => return None,
    })
}

fn subdisk_field(view: &View<'_>, name: &Name, subdisk: &Subdisk, key: &str) -> Option<String> {
    let place = view.place(name);
    let disk = || match &subdisk.source {
        Source::Disk { dm, offset } => Some((dm, *offset)),
        Source::Volume(_) => None,
    };
    Some(match key {
        "assoc" | "plex" => place?.plex.to_string(),
        "column" => place?.at?.0.to_string(),
        "device" => view.device(disk()?.0)?.to_owned(),
        "dm" => disk()?.0.to_string(),
        "dmoffset" => disk()?.1.to_string(),
        "len" => subdisk.len.to_string(),
        "orig_dmname" => subdisk.origin.as_ref()?.dm.to_string(),
        "orig_dmoffset" => subdisk.origin.as_ref()?.offset.to_string(),
        "mode" => view.subdisk_mode(subdisk).to_owned(),
        "path" => view.path(disk()?.0)?.to_owned(),
        "ploffset" => match place?.at {
            Some((_, offset)) => offset.to_string(),
            None => "LOG".to_owned(),
        },
        "sd" => name.to_string(),
        "vol" => view.user(place?.plex)?.to_string(),
        "volume" => match &subdisk.source {
            Source::Disk { .. } => return None,
            Source::Volume(volume) => volume.to_string(),
        },
        _ => return None,
    })
}

fn plex_field(view: &View<'_>, name: &Name, plex: &Plex, key: &str) -> Option<String> {
    let stripe = || match plex.layout {
        Layout::Concat => None,
        Layout::Stripe { columns, width } => Some((columns, width)),
    };
    Some(match key {
        "assoc" | "vol" => view.user(name)?.to_string(),
        "kstate" => plex.kernel.to_string(),
        "layout" => if stripe().is_some() { "STRIPE" } else { "CONCAT" }.to_owned(),
        "len" => plex_len(view, plex),
        "log" => plex.log.as_ref()?.to_string(),
        "loglen" => log_len(view, plex)?.to_string(),
        "mode" => plex_mode(plex).to_owned(),
        "ncolumn" => stripe()?.0.to_string(),
        "plex" => name.to_string(),
        "sd" => joined(plex.pieces.iter().map(|piece| &piece.subdisk)),
        "state" => plex_state(plex).to_owned(),
        "stwidth" => stripe()?.1.to_string(),
        _ => return None,
    })
}

fn volume_field(view: &View<'_>, name: &Name, volume: &Volume, key: &str) -> Option<String> {
    let log = || {
        let plexes = volume.plexes.iter().filter_map(|plex| view.group.plexes.get(plex));
        plexes.into_iter().find_map(|plex| log_len(view, plex))
    };
    Some(match key {
        "assoc" | "use_type" => volume.usage.clone(),
        "exclusive" => switch(volume.exclusive),
        "group" => volume.permissions.group.clone(),
        "kstate" => volume.kernel.to_string(),
        "layer" => switch(volume.layer),
        "len" => volume.len.to_string(),
        "loglen" => log()?.to_string(),
        "logtype" => volume.log_type.to_string(),
        "minor" => volume.minor.to_string(),
        "mode" => format!("{:04o}", volume.permissions.mode),
        "path" => path(view.group, name),
        "plex" => joined(volume.plexes.iter()),
        "pref_plex" => volume.preferred.as_ref()?.to_string(),
        "read_pol" => volume.read_policy.to_string(),
        "state" => volume.state.to_string(),
        "user" => volume.permissions.user.clone(),
        "vol" => name.to_string(),
        _ => return None,
    })
}

fn joined<'a>(names: impl Iterator<Item = &'a Name>) -> String {
    names.map(Name::as_str).collect::<Vec<_>>().join(",")
}

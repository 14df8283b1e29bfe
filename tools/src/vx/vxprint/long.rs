//! `-l`: all that is known of a record, in lines with a word before each (facts 1.5).
//!
//! What there is no such thing of here is left out: the device numbers of a volume and its guid, the map
//! of its log. Whether a volume is open is said if all nodes could be asked, and who has it open.

use std::fmt::Write as _;

use cvm::model::limits::{ALIGNMENT, RECORDS_MAX};
use cvm::model::size::SECTOR;
use cvm::model::{
    Disk, Group, Layout, LogType, Name, Plex, ReadPolicy, Sectors, Source, Subdisk, Volume,
};

use super::table::{copies, plex_mode};
use crate::vx::view::{Record, View, plex_state};

/// The lines about a record.
pub(super) fn long(view: &View<'_>, record: Record<'_>) -> String {
    let lines = match record {
        Record::Disk(name, disk) => disk_lines(view, name, disk),
        Record::Group(group) => group_lines(view, group),
        Record::Plex(name, plex) => plex_lines(view, name, plex),
        Record::Subdisk(name, subdisk) => subdisk_lines(view, name, subdisk),
        Record::Volume(name, volume) => volume_lines(view, name, volume),
    };
    let mut text = String::new();
    for (word, line) in lines {
        // Some have no word of their own.
        let _ = match word {
            "" => writeln!(text, "{line}"),
            word => writeln!(text, "{word}: {}", line.trim_end()),
        };
    }
    let common = match record {
        Record::Group(_) => None,
        Record::Disk(_, Disk { common, .. })
        | Record::Plex(_, Plex { common, .. })
        | Record::Subdisk(_, Subdisk { common, .. })
        | Record::Volume(_, Volume { common, .. }) => Some(common),
    };
    if let Some(common) = common {
        let locks = ["tutil0", "tutil1", "tutil2", "putil0", "putil1", "putil2"];
        let locks = locks.into_iter().zip(common.tutil.iter().chain(&common.putil));
        let locks: Vec<_> = locks.filter(|(_, text)| !text.is_empty()).collect();
        if !locks.is_empty() {
            let locks: Vec<_> = locks.iter().map(|(key, text)| format!("{key}={text}")).collect();
            let _ = writeln!(text, "utils: {}", locks.join(" "));
        }
        if !common.comment.is_empty() {
            let _ = writeln!(text, "comment: {}", common.comment);
        }
    }
    text
}

type Lines = Vec<(&'static str, String)>;

fn group_lines(view: &View<'_>, group: &Group) -> Lines {
    let noautoimport = if group.autoimport { "" } else { " noautoimport" };
    let activation = match view.shown.local_activation {
        Some(mode) => mode.as_str(),
        None if group.is_shared() => "off",
        None => "read-write",
    };
    let (nconfig, nlog) = (copies(group.nconfig), copies(group.nlog));
    let volumes = group.volumes.len();
    vec![
        ("Group", group.name.to_string()),
        ("info", format!("dgid={}{noautoimport}", group.id)),
        ("version", group.version.to_string()),
        ("alignment", format!("{} (bytes)", ALIGNMENT * SECTOR)),
        ("activation", activation.to_owned()),
        ("detach-policy", group.detach_policy.to_string()),
        ("dg-fail-policy", group.fail_policy.to_string()),
        ("copies", format!("nconfig={nconfig} nlog={nlog}")),
        ("devices", format!("max={RECORDS_MAX} cur={volumes}")),
        ("minors", format!(">= {}", group.minors)),
        ("", format!("cds={}", if group.cds { "on" } else { "off" })),
    ]
}

fn disk_lines(view: &View<'_>, name: &Name, disk: &Disk) -> Lines {
    let id = disk.disk.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let device = view.device(name).unwrap_or("-");
    let flags = [
        (true, "autoconfig"),
        (disk.spare, "spare"),
        (disk.nohotuse, "nohotuse"),
        (disk.reserve, "reserved"),
        (disk.failing, "failing"),
        (disk.removed, "removed"),
        (!disk.removed && view.device(name).is_none(), "nodevice"),
    ];
    let mut lines = vec![
        ("Disk", name.to_string()),
        ("info", format!("diskid={id}")),
        ("assoc", format!("device={device} type=auto")),
        ("flags", flagged(&flags)),
    ];
    lines.extend(view.path(name).map(|path| ("device", format!("path={path}"))));
    let (public, private) = (disk.public_len, disk.private_len);
    lines.push(("devinfo", format!("publen={public} privlen={private}")));
    lines
}

fn subdisk_lines(view: &View<'_>, name: &Name, subdisk: &Subdisk) -> Lines {
    let len = subdisk.len;
    let source = match &subdisk.source {
        Source::Disk { dm, offset } => {
            let origin = subdisk.origin.as_ref();
            let was = origin.map_or_else(String::new, |origin| {
                format!(" orig_dmname={} orig_dmoffset={}", origin.dm, origin.offset)
            });
            format!("disk={dm} offset={offset} len={len}{was}")
        }
        Source::Volume(volume) => format!("volume={volume} len={len}"),
    };
    let assoc = view.place(name).map_or_else(
        || "vol=(dissoc) plex=(dissoc)".to_owned(),
        |place| {
            let volume = view.user(place.plex).map_or("(dissoc)", Name::as_str);
            let at = match (place.at, place.layout) {
                (None, _) => "log".to_owned(),
                (Some((_, offset)), Layout::Concat) => format!("offset={offset}"),
                (Some((column, offset)), Layout::Stripe { .. }) => {
                    format!("column={column} offset={offset}")
                }
            };
            format!("vol={volume} plex={} ({at})", place.plex)
        },
    );
    let flags = match view.subdisk_mode(subdisk) {
        "ENA" => "enabled",
        "NDEV" => "nodevice",
        "RMOV" => "removed",
        _ => "disabled",
    };
    let mut lines = vec![
        ("Subdisk", name.to_string()),
        ("info", source),
        ("assoc", assoc),
        ("flags", flags.to_owned()),
    ];
    if let Source::Disk { dm, .. } = &subdisk.source
        && let Some(device) = view.device(dm)
    {
        let path = view.path(dm).map_or_else(String::new, |path| format!(" path={path}"));
        lines.push(("device", format!("device={device}{path}")));
    }
    lines
}

fn plex_lines(view: &View<'_>, name: &Name, plex: &Plex) -> Lines {
    let len = match log_len(view, plex) {
        Some(log) if plex.is_log_only() => format!("len=LOGONLY loglen={log}"),
        Some(log) => format!("len={} loglen={log}", view.group.plex_len(plex)),
        None => format!("len={}", view.group.plex_len(plex)),
    };
    let layout = match plex.layout {
        Layout::Concat => "layout=CONCAT".to_owned(),
        Layout::Stripe { columns, width } => {
            format!("layout=STRIPE columns={columns} width={width}")
        }
    };
    let io = if plex_mode(plex) == "WO" { "write-only" } else { "read-write" };
    let user = view.user(name);
    let volume = user.map_or("(dissoc)", Name::as_str);
    let subdisks: Vec<_> = plex.subdisks().map(Name::as_str).collect();
    // A log plex is whole as it is; a plex of no volume has nothing to be as long as.
    let wanted = user.and_then(|name| view.group.volumes.get(name)).map_or(0, |volume| volume.len);
    let flags = [
        (plex.is_log_only(), "logonly"),
        (!plex.is_log_only() && view.group.plex_len(plex) >= wanted, "complete"),
        (!plex.is_log_only() && view.group.plex_len(plex) < wanted, "sparse"),
    ];
    vec![
        ("Plex", name.to_string()),
        ("info", len),
        ("type", layout),
        ("state", format!("state={} kernel={} io={io}", plex_state(plex), plex.kernel)),
        ("assoc", format!("vol={volume} sd={}", subdisks.join(","))),
        ("flags", flagged(&flags)),
    ]
}

fn volume_lines(view: &View<'_>, name: &Name, volume: &Volume) -> Lines {
    let plexes: Vec<_> = volume.plexes.iter().map(Name::as_str).collect();
    // A layer is open with its volume.
    let opens = view.opens.filter(|_| !volume.layer);
    let is_open = opens.and_then(|opens| opens.is_open(view.group, volume));
    let flags = [
        (is_open == Some(true), "open"),
        (is_open == Some(false), "closed"),
        (volume.exclusive, "exclusive"),
        (volume.layer, "layered"),
        (true, "writecopy"),
        (true, "writeback"),
    ];
    let log = view.plexes(volume).find_map(|(_, plex)| log_len(view, plex)).unwrap_or(0);
    let is_logged = volume.log_type != LogType::None && log > 0;
    let logged = if is_logged { "enabled" } else { "disabled" };
    let permissions = &volume.permissions;
    let (user, owners, mode) = (&permissions.user, &permissions.group, permissions.mode);
    let mut lines = vec![
        ("Volume", name.to_string()),
        ("info", format!("len={}", volume.len)),
        ("type", format!("usetype={}", volume.usage)),
        (
            "state",
            format!("state={} kernel={} cdsrecovery=0/0 (clean)", volume.state, volume.kernel),
        ),
        ("assoc", format!("plexes={}", plexes.join(","))),
        ("policies", format!("read={} exceptions=GEN_DET_SPARSE", read_policy(view, volume))),
        ("flags", flagged(&flags)),
    ];
    if is_open == Some(true) {
        let opens = opens.into_iter().flat_map(|opens| opens.by_node(view.group, volume));
        let opens: Vec<_> = opens.map(|(node, opens)| format!("{node}={opens}")).collect();
        lines.push(("opens", opens.join(" ")));
    }
    lines.extend([
        ("logging", format!("type={} loglen={log} serial=0/0 ({logged})", volume.log_type)),
        ("apprecov", "seqno=0/0".to_owned()),
        ("recovery", "mode=default".to_owned()),
        ("", "recov_id=0".to_owned()),
        ("device", format!("minor={} path={}", volume.minor, path(view.group, name))),
        ("perms", format!("user={user} group={owners} mode={mode:04o}")),
    ]);
    lines
}

/// What the device of a volume is called (facts 1.1).
pub(super) fn path(group: &Group, volume: &Name) -> String {
    format!("/dev/vx/dsk/{}/{volume}", group.name)
}

/// The policy, and what it comes to (facts 2.2).
fn read_policy(view: &View<'_>, volume: &Volume) -> String {
    let striped = |plex: &Plex| matches!(plex.layout, Layout::Stripe { .. });
    let mut stripes = view
        .group
        .plexes
        .iter()
        .filter(|(name, plex)| volume.plexes.contains(name) && striped(plex));
    match (volume.read_policy, &volume.preferred) {
        (ReadPolicy::Prefer, Some(plex)) => format!("PREFER ({plex})"),
        (ReadPolicy::Prefer, None) => "PREFER".to_owned(),
        (ReadPolicy::Round, _) => "ROUND".to_owned(),
        (ReadPolicy::Select, _) => match (stripes.next(), stripes.next()) {
            (Some((plex, _)), None) => format!("SELECT (prefer {plex})"),
            _ => "SELECT (round-robin)".to_owned(),
        },
    }
}

/// Length of the log in a plex.
pub(super) fn log_len(view: &View<'_>, plex: &Plex) -> Option<Sectors> {
    Some(view.group.subdisks.get(plex.log.as_ref()?)?.len)
}

fn flagged(flags: &[(bool, &str)]) -> String {
    let set: Vec<_> = flags.iter().filter(|(is, _)| *is).map(|(_, flag)| *flag).collect();
    set.join(" ")
}

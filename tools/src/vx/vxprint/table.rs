//! The listings with a line per record: the default one and that of `-t` (facts 1.5).

use std::fmt::Write as _;

use cvm::model::{Copies, Layout, Name, Plex, ReadPolicy, Source, Subdisk, Volume};

use super::list::{Kinds, Listed};
use crate::vx::view::{Record, View, plex_state};

/// Where the columns of the default listing begin.
const BRIEF: [usize; 9] = [0, 3, 16, 29, 38, 47, 56, 65, 73];
/// Those of `-t`.
const TABLE: [usize; 9] = [0, 3, 16, 29, 38, 47, 56, 66, 75];

/// The header of the default listing.
pub(super) const BRIEF_HEADER: &str =
    "TY NAME         ASSOC        KSTATE   LENGTH   PLOFFS   STATE    TUTIL0  PUTIL0\n";

/// Headers of `-t` by kind of record, in their order.
const HEADERS: [(&str, &str); 8] = [
    ("dg", "DG NAME         NCONFIG      NLOG     MINORS   GROUP-ID"),
    ("dm", "DM NAME         DEVICE       TYPE     PRIVLEN  PUBLEN   STATE"),
    ("v", "V  NAME         RVG/VSET/CO  KSTATE   STATE    LENGTH   READPOL   PREFPLEX UTYPE"),
    ("pl", "PL NAME         VOLUME       KSTATE   STATE    LENGTH   LAYOUT    NCOL/WID MODE"),
    ("sd", "SD NAME         PLEX         DISK     DISKOFFS LENGTH   [COL/]OFF DEVICE   MODE"),
    ("sd", "SV NAME         PLEX         VOLNAME  NVOLLAYR LENGTH   [COL/]OFF AM/NM    MODE"),
    ("v", "DC NAME         PARENTVOL    LOGVOL"),
    ("v", "SP NAME         SNAPVOL      DCO"),
];

/// The headers of `-t` for records of these kinds.
pub(super) fn headers(kinds: Kinds, hierarchy: bool) -> String {
    let all = kinds.is_empty();
    let plexes = kinds.plexes || (kinds.volumes && hierarchy);
    let subdisks = kinds.subdisks || (plexes && hierarchy);
    let wanted = |kind: &str| match kind {
        "dg" => kinds.groups,
        "dm" => kinds.disks,
        "v" => kinds.volumes,
        "pl" => plexes,
        _ => subdisks,
    };
    let lines = HEADERS.iter().filter(|(kind, _)| all || wanted(kind));
    lines.fold(String::new(), |text, (_, line)| text + line + "\n")
}

/// Words in columns. One that is too long moves the next ones on, up to where they fit again.
fn row(columns: &[usize], words: &[&str]) -> String {
    let mut line = String::new();
    for (word, column) in words.iter().zip(columns) {
        if !line.is_empty() {
            let width = (line.len() + 1).max(*column);
            line = format!("{line:<width$}");
        }
        line += if word.is_empty() { "-" } else { word };
    }
    line + "\n"
}

/// `v`, and `v2` for what a layered volume consists of.
fn word(listed: &Listed<'_>) -> String {
    let word = listed.record.word();
    match listed.level {
        0 => word.to_owned(),
        level => format!("{}{}", &word[..1], level + 1),
    }
}

/// A line of the default listing.
pub(super) fn brief(view: &View<'_>, listed: &Listed<'_>) -> String {
    let word = word(listed);
    let name = listed.record.name().as_str();
    match listed.record {
        Record::Group(_) => row(&BRIEF, &[&word, name, name, "-", "-", "-", "-", "-", "-"]),
        Record::Disk(id, disk) => {
            let state = view.disk_state(id, disk).unwrap_or_default();
            let gone = view.device(id).is_none();
            let len = if gone { String::new() } else { disk.public_len.to_string() };
            let (tutil, putil) = (&disk.common.tutil[0], &disk.common.putil[0]);
            let device = view.device(id).unwrap_or_default();
            row(&BRIEF, &[&word, name, device, "-", &len, "-", state, tutil, putil])
        }
        Record::Subdisk(id, subdisk) => {
            let plex = view.user(id).map_or("", Name::as_str);
            let kernel = match view.subdisk_mode(subdisk) {
                "ENA" => "ENABLED",
                _ => "DISABLED",
            };
            let offset = view.place(id).map(|place| place.at);
            let offset = match offset {
                None => String::new(),
                Some(None) => "LOG".to_owned(),
                Some(Some((_, offset))) => offset.to_string(),
            };
            let len = subdisk.len.to_string();
            let (tutil, putil) = (&subdisk.common.tutil[0], &subdisk.common.putil[0]);
            row(&BRIEF, &[&word, name, plex, kernel, &len, &offset, "-", tutil, putil])
        }
        Record::Plex(id, plex) => {
            let volume = view.user(id).map_or("", Name::as_str);
            let (kernel, state) = (plex.kernel.as_str(), plex_state(plex));
            let (tutil, putil) = (&plex.common.tutil[0], &plex.common.putil[0]);
            let len = plex_len(view, plex);
            row(&BRIEF, &[&word, name, volume, kernel, &len, "-", state, tutil, putil])
        }
        Record::Volume(_, volume) => {
            let (kernel, state) = (volume.kernel.as_str(), volume.state.as_str());
            let (tutil, putil) = (&volume.common.tutil[0], &volume.common.putil[0]);
            let len = volume.len.to_string();
            row(&BRIEF, &[&word, name, &volume.usage, kernel, &len, "-", state, tutil, putil])
        }
    }
}

/// A line of `-t`.
pub(super) fn table(view: &View<'_>, listed: &Listed<'_>) -> String {
    let word = word(listed);
    let name = listed.record.name().as_str();
    match listed.record {
        Record::Group(group) => {
            let (nconfig, nlog) = (copies(group.nconfig), copies(group.nlog));
            let (minors, id) = (group.minors.to_string(), group.id.to_string());
            row(&TABLE, &[&word, name, &nconfig, &nlog, &minors, &id])
        }
        Record::Disk(id, disk) => {
            let state = view.disk_state(id, disk).unwrap_or_default();
            let Some(device) = view.device(id) else {
                return row(&TABLE, &[&word, name, "-", "-", "-", "-", state]);
            };
            let (private, public) = (disk.private_len.to_string(), disk.public_len.to_string());
            row(&TABLE, &[&word, name, device, "auto", &private, &public, state])
        }
        Record::Subdisk(id, subdisk) => subdisk_row(view, &word, id, subdisk),
        Record::Plex(id, plex) => {
            let owner = view.user(id).map_or("", Name::as_str);
            let (kernel, state) = (plex.kernel.as_str(), plex_state(plex));
            let (layout, columns) = match plex.layout {
                Layout::Concat => ("CONCAT", String::new()),
                Layout::Stripe { columns, width } => ("STRIPE", format!("{columns}/{width}")),
            };
            let (len, mode) = (plex_len(view, plex), plex_mode(plex));
            row(&TABLE, &[&word, name, owner, kernel, state, &len, layout, &columns, mode])
        }
        Record::Volume(_, volume) => {
            let (kernel, state) = (volume.kernel.as_str(), volume.state.as_str());
            let (policy, preferred) = (volume.read_policy.as_str(), preferred(volume));
            let (len, usage) = (volume.len.to_string(), &volume.usage);
            row(&TABLE, &[&word, name, "-", kernel, state, &len, policy, preferred, usage])
        }
    }
}

fn subdisk_row(view: &View<'_>, word: &str, name: &Name, subdisk: &Subdisk) -> String {
    let plex = view.user(name).map_or("", Name::as_str);
    let len = subdisk.len.to_string();
    let place = offset(view, name);
    let mode = view.subdisk_mode(subdisk);
    let name = name.as_str();
    match &subdisk.source {
        Source::Disk { dm, offset } => {
            let (dm, device) = (dm.as_str(), view.device(dm).unwrap_or_default());
            let offset = offset.to_string();
            row(&TABLE, &[word, name, plex, dm, &offset, &len, &place, device, mode])
        }
        Source::Volume(layer) => {
            let volume = view.group.volumes.get(layer);
            let (active, all) = volume.map_or((0, 0), |volume| view.mirrors(volume));
            let mirrors = format!("{active}/{all}");
            // One layer of volumes: there are no layers in layers.
            row(&TABLE, &[word, name, plex, layer.as_str(), "1", &len, &place, &mirrors, mode])
        }
    }
}

/// `0`, in a stripe `1/0`, of a log `LOG`.
fn offset(view: &View<'_>, subdisk: &Name) -> String {
    let Some(place) = view.place(subdisk) else { return String::new() };
    match (place.at, place.layout) {
        (None, _) => "LOG".to_owned(),
        (Some((_, offset)), Layout::Concat) => offset.to_string(),
        (Some((column, offset)), Layout::Stripe { .. }) => format!("{column}/{offset}"),
    }
}

pub(super) fn plex_len(view: &View<'_>, plex: &Plex) -> String {
    if plex.is_log_only() { "LOGONLY".to_owned() } else { view.group.plex_len(plex).to_string() }
}

/// A plex that is being copied to, or is to be broken off, is written and not read.
pub(super) fn plex_mode(plex: &Plex) -> &'static str {
    if plex.is_being_copied() { "WO" } else { "RW" }
}

fn preferred(volume: &Volume) -> &str {
    match (volume.read_policy, &volume.preferred) {
        (ReadPolicy::Prefer, Some(plex)) => plex.as_str(),
        (ReadPolicy::Prefer | ReadPolicy::Round | ReadPolicy::Select, _) => "",
    }
}

/// `default`, `all` or a number.
pub(super) fn copies(copies: Copies) -> String {
    match copies {
        Copies::All => "all".to_owned(),
        Copies::Count(count) => count.to_string(),
        Copies::Default => "default".to_owned(),
    }
}

/// `-S`: how many records there are, and how many of them nothing uses.
pub(super) fn summary(view: &View<'_>) -> String {
    let group = view.group;
    let unused = |name: &&Name| view.user(name).is_none();
    let counts = [
        group.subdisks.len(),
        group.plexes.len(),
        group.volumes.len(),
        group.subdisks.keys().filter(unused).count(),
        group.plexes.keys().filter(unused).count(),
    ];
    let mut text = String::new();
    for (number, count) in counts.iter().enumerate() {
        let _ = write!(text, "{}{count:<9}", if number == 0 { "" } else { " " });
    }
    text.trim_end().to_owned() + "\n"
}

/// Above [`summary`].
pub(super) const SUMMARY_HEADER: &str = "SUBDISKS  PLEXES    VOLUMES   UNASSOCSD UNASSOCPL\n";

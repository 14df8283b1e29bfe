//! What a backup becomes on the disks that are there now.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use cvm::model::{Group, KernelState, Name, PlexState, Source, UniqueId, check};
use cvm::snapshot::{DiskSnapshot, Snapshot};
use serde::Serialize;

use crate::common::Failure;

/// A group that can be restored.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// As it will be.
    pub(super) group: Group,
    pub(super) report: Report,
}

/// What will be done; the keys of `--json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Report {
    group: Name,
    group_id: UniqueId,
    shared: bool,
    disks: Vec<Found>,
    /// Plexes that have to be copied from another one.
    stale: Vec<Name>,
    /// Volumes of which some data are on no disk any more.
    lost: Vec<Name>,
}

/// A disk of the group.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Found {
    dm: Name,
    access: String,
    id: UniqueId,
    /// The disk that it takes the place of.
    replaces: Option<UniqueId>,
}

/// Looks for the disks of a group; with `replace` one with the same access name takes the place of a
/// disk that is not found.
///
/// # Errors
/// All that stands against it.
pub(super) fn plan(mut group: Group, now: &Snapshot, replace: bool) -> Result<Plan, Failure> {
    let mut wrong = Vec::new();
    let same = |other: &Group| other.name == group.name || other.id == group.id;
    if let Some(other) = now.groups.iter().map(|other| &other.group).find(|other| same(other)) {
        let text =
            format!("V-5-1-2922 Disk group {}: Disk group exists and is imported", other.name);
        wrong.push(text);
    }
    let by_id: BTreeMap<&str, &DiskSnapshot> =
        now.disks.iter().map(|disk| (disk.id.as_str(), disk)).collect();
    let needed: BTreeSet<String> =
        group.disks.values().filter_map(|dm| dm.disk.as_ref()).map(UniqueId::to_string).collect();
    let (name, id) = (group.name.clone(), group.id.clone());
    let (mut disks, mut replaced) = (Vec::new(), BTreeSet::new());
    for (dm, record) in &mut group.disks {
        let Some(wanted) = record.disk.clone() else { continue };
        let found = by_id.get(wanted.to_string().as_str()).copied();
        // Who is there under the old name, and is not one of the others.
        let other = || {
            let named = now.disks.iter().find(|disk| disk.access == record.access);
            named.filter(|disk| replace && !needed.contains(&disk.id))
        };
        let Some(disk) = found.or_else(other) else {
            wrong.push(format!("V-5-1-546 Disk {dm} in group {name}: Disk device not found"));
            continue;
        };
        match usable(disk, &id, record.public_len, found.is_some()) {
            Ok(id) => {
                let replaces = (id != wanted).then_some(wanted);
                if replaces.is_some() {
                    replaced.insert(dm.clone());
                }
                record.disk = Some(id.clone());
                record.access.clone_from(&disk.access);
                disks.push(Found { dm: dm.clone(), access: disk.access.clone(), id, replaces });
            }
            Err(text) => wrong.push(text),
        }
    }
    let (stale, lost) = distrust(&mut group, &replaced);
    if let Err(broken) = check(&group) {
        wrong.push(format!("the backup is not whole: {broken}"));
    }
    if !wrong.is_empty() {
        let error = |text: &String| format!("VxVM vxconfigrestore ERROR {text}\n");
        return Err(Failure::Report(wrong.iter().map(error).collect()));
    }
    let shared = group.is_shared();
    let report = Report { group: name, group_id: id, shared, disks, stale, lost };
    Ok(Plan { group, report })
}

/// The identity of a disk that may be used for the group.
fn usable(
    disk: &DiskSnapshot,
    group: &UniqueId,
    public_len: u64,
    is_the_one: bool,
) -> Result<UniqueId, String> {
    let access = &disk.access;
    if disk.is_invalid || disk.id.is_empty() {
        return Err(format!(
            "Device {access} is not initialised: after vxdisksetup -i {access} it can be used"
        ));
    }
    if !disk.error.is_empty() {
        return Err(format!("Device {access}: {}", disk.error));
    }
    let is_of_it = is_the_one && disk.group_id == group.to_string();
    if !disk.group.is_empty() && !is_of_it {
        let owner = &disk.group;
        return Err(format!(
            "V-5-1-2349 Device {access} appears to be owned by disk group {owner}."
        ));
    }
    if disk.public_len < public_len {
        return Err(format!("Device {access} is too short: {public_len} sectors are needed"));
    }
    disk.id.parse().map_err(|error| format!("Device {access}: {error}"))
}

/// A disk that takes the place of another has nothing of its data. Plexes on it are stale where there
/// is another copy; volumes without one are named.
fn distrust(group: &mut Group, replaced: &BTreeSet<Name>) -> (Vec<Name>, Vec<Name>) {
    let on_replaced = |subdisk: &Name| {
        let subdisk = group.subdisks.get(subdisk);
        subdisk.is_some_and(|subdisk| match &subdisk.source {
            Source::Disk { dm, .. } => replaced.contains(dm),
            Source::Volume(_) => false,
        })
    };
    let is_touched = |plex: &Name| {
        let plex = group.plexes.get(plex);
        plex.is_some_and(|plex| plex.pieces.iter().any(|piece| on_replaced(&piece.subdisk)))
    };
    let is_good = |plex: &Name| {
        let plex = group.plexes.get(plex).filter(|plex| !plex.is_log_only());
        plex.is_some_and(|plex| matches!(plex.state, PlexState::Active | PlexState::Clean))
    };
    let (mut stale, mut lost) = (Vec::new(), Vec::new());
    for (name, volume) in &group.volumes {
        let touched: Vec<&Name> = volume.plexes.iter().filter(|plex| is_touched(plex)).collect();
        if touched.is_empty() {
            continue;
        }
        if volume.plexes.iter().any(|plex| is_good(plex) && !is_touched(plex)) {
            let kernel = match volume.kernel {
                KernelState::Disabled => KernelState::Disabled,
                KernelState::Detached | KernelState::Enabled => KernelState::Detached,
            };
            stale.extend(touched.into_iter().map(|plex| (plex.clone(), kernel)));
        } else {
            lost.push(name.clone());
        }
    }
    for (name, kernel) in &stale {
        if let Some(plex) = group.plexes.get_mut(name) {
            (plex.state, plex.kernel) = (PlexState::Stale, *kernel);
        }
    }
    (stale.into_iter().map(|(name, _)| name).collect(), lost)
}

impl Report {
    /// For people.
    pub(super) fn text(&self) -> String {
        let Self { group, group_id, .. } = self;
        let kind = if self.shared { "shared" } else { "private" };
        let mut text = format!("Diskgroup {group} ({group_id}, {kind}) can be restored:\n");
        // Writing to a string does not fail.
        for Found { dm, access, id, replaces } in &self.disks {
            let _ = match replaces {
                None => writeln!(text, "  disk {dm} is {access} ({id})"),
                Some(old) => {
                    writeln!(text, "  disk {dm} will be {access} ({id}) in place of {old}")
                }
            };
        }
        for plex in &self.stale {
            let _ = writeln!(text, "  plex {plex} will be STALE: its disk has no data of it");
        }
        for volume in &self.lost {
            let _ = writeln!(text, "  volume {volume} loses data: restore them from elsewhere");
        }
        let _ = write!(
            text,
            "Nothing is changed yet. Run:\n  \
             vxconfigrestore -c {group} ==> to commit the restoration.\n  \
             vxconfigrestore -d {group} ==> to abort the restoration.\n"
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::vx::name;
    use crate::vx::vxconfigbackup::sample;

    fn disk(number: u32, id: u32) -> DiskSnapshot {
        DiskSnapshot {
            access: format!("disk_{number}"),
            id: format!("1283432300.{id}.host1"),
            public_len: 131_072,
            ..DiskSnapshot::default()
        }
    }

    fn now(disks: Vec<DiskSnapshot>) -> Snapshot {
        Snapshot { disks, ..Snapshot::default() }
    }

    #[test]
    fn disks_are_found_by_their_ids_under_any_name() {
        let group = sample::group().group;
        let plan = plan(group, &now(vec![disk(7, 1), disk(1, 2)]), true).unwrap();
        assert_eq!(plan.group.disks["mydg01"].access, "disk_7");
        assert_eq!(plan.group.disks["mydg02"].access, "disk_1");
        assert_eq!((plan.report.stale.len(), plan.report.lost.len()), (0, 0));
        golden::check("vxconfigrestore-p", &plan.report.text());
    }

    #[test]
    fn a_new_disk_under_the_old_name_takes_the_place_and_is_not_trusted() {
        let group = sample::group().group;
        let disks = now(vec![disk(1, 1), disk(2, 9)]);
        let made = plan(group.clone(), &disks, true).unwrap();
        let id = made.group.disks["mydg02"].disk.as_ref().unwrap().to_string();
        assert_eq!(id, "1283432300.9.host1");
        let plex = &made.group.plexes["vol1-02"];
        assert_eq!((plex.state, plex.kernel), (PlexState::Stale, KernelState::Detached));
        assert_eq!(made.report.lost, [name("vol2").unwrap()]);
        golden::check("vxconfigrestore-p-replaced", &made.report.text());
        golden::check_json("vxconfigrestore-p-json", &made.report);
        let error = plan(group, &disks, false).unwrap_err().to_string();
        assert!(error.contains("Disk mydg02 in group mydg: Disk device not found"), "{error}");
    }

    #[test]
    fn all_that_stands_against_it_is_told() {
        let group = || sample::group().group;
        let with = |change: fn(&mut DiskSnapshot)| {
            let mut second = disk(2, 9);
            change(&mut second);
            plan(group(), &now(vec![disk(1, 1), second]), true).unwrap_err().to_string()
        };
        let error = with(|disk| disk.group = "other".to_owned());
        assert!(
            error.contains("V-5-1-2349 Device disk_2 appears to be owned by disk group other.")
        );
        assert!(with(|disk| disk.public_len = 8).contains("too short"));
        assert!(with(|disk| disk.is_invalid = true).contains("vxdisksetup -i disk_2"));
        assert!(with(|disk| disk.error = "no path".to_owned()).contains("disk_2: no path"));
        let error = plan(group(), &now(vec![]), true).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 2, "{error}");
        let groups = vec![sample::group()];
        let now = Snapshot { groups, ..now(vec![disk(1, 1), disk(2, 2)]) };
        let error = plan(group(), &now, true).unwrap_err().to_string();
        assert!(error.contains("V-5-1-2922 Disk group mydg: Disk group exists"), "{error}");
        // It belongs to the group that is restored, and to nobody else.
        let mut own = disk(2, 2);
        (own.group, own.group_id) = ("mydg".to_owned(), group().id.to_string());
        let now = Snapshot { disks: vec![disk(1, 1), own], ..Snapshot::default() };
        plan(group(), &now, false).unwrap();
    }
}

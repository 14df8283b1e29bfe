//! Which configuration of a group is imported, and as what (facts 3.10, 3.17).

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::Configd;
use super::disks::highest_stamp;
use super::plan::{Plan, free_base};
use crate::core::txn::Before;
use crate::disk::{self, Choice, CopyKind, FoundDisk, ImportError, Slot, choose, next_slot};
use crate::model::apply::{Env, apply, lose_disk};
use crate::model::op::Op;
use crate::model::{Epoch, Group, Stamp, Tid, UniqueId, Volume};
use crate::request::{Failure, GroupRequest, Import, Request};

/// Why nothing that was found of a group counts.
pub(super) const UNDONE: &str = "what was abandoned is being written back; retry it";

fn failed(import: &Import, reason: &str) -> Failure {
    let text = format!("Disk group {}: import failed: {reason}", import.group);
    Failure::with_id("V-5-1-587", text)
}

impl Configd {
    pub(super) fn plan_import(&mut self, import: &Import) -> Result<Plan, Failure> {
        let rename = import.rename.iter().map(|name| name.as_str());
        for name in rename.chain([import.group.as_str()]) {
            if self.table_named(name).is_some() {
                return Err(failed(import, "Disk group exists and is imported"));
            }
        }
        let found: Vec<FoundDisk> = self.found().cloned().collect();
        let mut choice = self.choose_import(import, &found)?;
        let id = choice.image.group.id.clone();
        let group = self.renumbered(import, self.imported_group(import, &choice))?;
        let missing: BTreeSet<UniqueId> = choice.missing.values().cloned().collect();
        let ids: Vec<UniqueId> = group.disks.values().filter_map(|dm| dm.disk.clone()).collect();
        let check: Vec<UniqueId> =
            ids.iter().filter(|id| !missing.contains(*id)).cloned().collect();
        let busy = Slot::ALL.into_iter().filter(|slot| self.busy_on(*slot, ids.iter())).collect();
        let slot = next_slot(&choice.held, Some(choice.image.slot), &busy).ok_or_else(|| {
            let why = "a node that was lost may still write to its disks. Retry operation.";
            failed(import, why)
        })?;
        let over = self.over.get(&id).copied().unwrap_or_default();
        let highest = highest_stamp(found.iter(), &id).max(over);
        let epoch = Epoch(choice.epoch.max(highest.epoch).0 + 1);
        let stamp = Stamp { epoch, tid: Tid(highest.tid.max(choice.image.stamp.tid).0 + 1) };
        let copies = choice.image.copies.assign(&group, &missing);
        if choice.forced {
            // What was not seen is given up: neither the import nor writing back waits for it.
            choice.image.earlier.clear();
            choice.image.copies = copies.only_active();
        }
        // A disk that has only a copy, and is nobody else's, has a say in what counts.
        let lists = std::iter::once(&choice.image.copies).chain(&choice.image.earlier);
        let is_ours = |disk: &&UniqueId| {
            let found = self.found_by_id(disk);
            found.is_some_and(|found| found.claims.member().is_none_or(|of| of.group == id))
        };
        let copies_of = lists.flat_map(|list| list.active(CopyKind::Config)).filter(is_ours);
        let written: BTreeSet<UniqueId> = ids.iter().chain(copies_of).cloned().collect();
        Ok(Plan {
            is_shared: import.shared,
            copies,
            before: Before::OnDisk(Arc::new(choice.image)),
            stamp,
            slot,
            tenures: self.tenures(&id, written.iter()),
            time: self.wall,
            volumes: Vec::new(),
            closed: Vec::new(),
            check,
            group,
        })
    }

    /// The configuration that counts, of the group that is meant.
    fn choose_import(&self, import: &Import, found: &[FoundDisk]) -> Result<Choice, Failure> {
        let groups = disk::groups(found);
        let named = groups.iter().filter(|(id, names)| {
            id.to_string() == import.group || names.iter().any(|n| n.as_str() == import.group)
        });
        let ids: Vec<&UniqueId> = named.map(|(id, _)| id).collect();
        let id = match ids.as_slice() {
            [] => return Err(failed(import, "No such disk group")),
            [id] => (*id).clone(),
            [..] => return Err(failed(import, "several groups have this name: use the id")),
        };
        // It may be found because it was about to be made, which was given up.
        if self.undone.contains(&id) {
            return Err(failed(import, UNDONE));
        }
        let request = disk::ImportRequest {
            group: id.clone(),
            owners: vec![self.owner(import.shared)],
            clear: import.clear,
            force: import.force,
            select: import.select.clone(),
        };
        let mut choice = choose(&request, found)
            .map_err(|error: ImportError| failed(import, &error.to_string()))?;
        if choice.image.group.destroyed {
            return Err(failed(import, "No such disk group"));
        }
        // A disk that was about to be added, and says so not yet, is here all the same.
        choice.missing.retain(|_, disk| {
            let found = self.found_by_id(disk);
            found.and_then(|found| found.claims.member()).is_some_and(|member| member.group != id)
                || found.is_none()
        });
        if !choice.missing.is_empty() && !import.force {
            return Err(failed(import, "Disk for disk group not found"));
        }
        Ok(choice)
    }

    /// Minor numbers that another group has are in the way, or are replaced (facts 1.1).
    fn renumbered(&self, import: &Import, group: Group) -> Result<Group, Failure> {
        let taken = self.minors_taken(Some(&group.id));
        let Some(base) = import.reminor else {
            if conflict(&group, &taken) {
                let why = "minor number conflict; -o reminor takes other numbers";
                return Err(failed(import, why));
            }
            return Ok(group);
        };
        let base = base.unwrap_or_else(|| free_base(&taken));
        let env = Env { disks: &[], minors_taken: &taken, nodes: 1 };
        Ok(apply(&group, &Op::Reminor { base }, &env)?)
    }

    /// The group as it is when it is imported: another owner, and all serials raised (facts 3.17).
    fn imported_group(&self, import: &Import, choice: &Choice) -> Group {
        let mut group = Group::clone(&choice.image.group);
        let was_shared = group.is_shared();
        group.owner = self.owner(import.shared);
        group.autoimport = !import.temporary;
        if let Some(name) = &import.rename {
            group.name = name.clone();
        }
        group.serial.0 += 1;
        // What is there and is another group's by now stays that, forced or not.
        let others = choice.missing.iter().filter(|(_, disk)| self.found_by_id(disk).is_some());
        for (name, _) in others {
            lose_disk(&mut group, name);
        }
        for (name, dm) in &mut group.disks {
            if !choice.missing.contains_key(name) && dm.disk.is_some() {
                dm.serial.0 += 1;
            }
        }
        // All of them were closed, or whoever had them open is lost.
        group.volumes.values_mut().for_each(Volume::lose_writers);
        if group.is_shared() != was_shared {
            // Maps of logs have other numbers then, and those of before may still be there.
            group.volumes.values_mut().for_each(Volume::distrust_maps);
        }
        if !choice.missing.is_empty() {
            // Disks that are not here may know of somebody who has changed something since.
            group.volumes.values_mut().for_each(Volume::forget_changes);
        }
        let is_chosen = import.force || import.select.is_some();
        if group.is_shared() != was_shared || !choice.missing.is_empty() || is_chosen {
            // The same holds of what is filled.
            group.volumes.values_mut().for_each(Volume::spoil);
        }
        let volumes = group.volumes.values_mut().map(|volume| &mut volume.common);
        let plexes = group.plexes.values_mut().map(|plex| &mut plex.common);
        for common in volumes.chain(plexes) {
            common.tutil = Default::default();
        }
        group
    }

    /// CVM-30: all groups of this cluster, or of this host, unless they are not to be imported by
    /// themselves.
    pub(super) fn auto_import(&mut self, shared: bool) {
        let ours = self.owner(shared);
        let members = self.found().filter_map(|disk| disk.claims.member());
        let wanted = members.filter(|member| member.owner == ours && member.autoimport);
        let groups: BTreeSet<UniqueId> = wanted.map(|member| member.group.clone()).collect();
        for group in
            groups.into_iter().filter(|group| !self.tables.contains_key(group)).collect::<Vec<_>>()
        {
            let import = Import {
                group: group.to_string(),
                shared,
                force: false,
                clear: false,
                temporary: false,
                rename: None,
                select: None,
                reminor: None,
            };
            self.queue_own(Request::Group(GroupRequest::Import(import)));
        }
    }
}

/// A volume has a number that is taken.
fn conflict(group: &Group, taken: &[Range<u32>]) -> bool {
    group.volumes.values().any(|volume| taken.iter().any(|range| range.contains(&volume.minor)))
}

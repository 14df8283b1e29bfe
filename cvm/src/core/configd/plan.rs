//! What a request makes of the configuration, and everything that is decided with it: disks, slot,
//! stamp, copies. Nothing is done here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use llt::{Instant, NodeId};

use super::disks::{highest_stamp, images};
use super::requests::Waiting;
use super::{Configd, ConfigdOutput, DeviceState, Work};
use crate::core::iod::TableView;
use crate::core::txn::Before;
use crate::disk::{CopyKind, CopyList, FoundDisk, Held, SLOTS, Slot, next_slot};
use crate::model::apply::{Env, NewDisk, apply};
use crate::model::op::{DiskName, Op};
use crate::model::text::read_group;
use crate::model::{
    Copies, Epoch, Group, KernelState, Name, Owner, Serial, Stamp, Tid, UniqueId, Volume,
};
use crate::request::{DiskRequest, Failure, GroupRequest, Reply, Request};

/// A transaction to be.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) is_shared: bool,
    pub(super) before: Before,
    pub(super) group: Group,
    pub(super) stamp: Stamp,
    pub(super) slot: Slot,
    pub(super) copies: CopyList,
    pub(super) tenures: BTreeMap<UniqueId, u64>,
    pub(super) time: u64,
    pub(super) volumes: Vec<Name>,
    pub(super) closed: Vec<Name>,
    /// Disks that every node has to reach.
    pub(super) check: Vec<UniqueId>,
}

impl Configd {
    /// Carries a request out, or says why not.
    pub(super) fn plan_request(&mut self, now: Instant, waiting: Waiting) {
        if let Request::Group(GroupRequest::Deport { group, .. }) = &waiting.request
            && let Some(id) = self.disabled_named(group).map(|group| group.id.clone())
        {
            // Nothing of it can be written.
            self.drop_when_told(waiting.id, id);
            return;
        }
        let plan = match &waiting.request {
            Request::Group(GroupRequest::Deport { group, rename, host }) => {
                self.plan_deport(group, rename.as_ref(), host.as_ref())
            }
            Request::Group(GroupRequest::Destroy(group)) => self.plan_destroy(group),
            Request::Group(GroupRequest::Import(import)) => self.plan_import(import),
            Request::Group(request @ GroupRequest::Init { .. }) => self.plan_init(request),
            Request::Group(GroupRequest::Restore { description, shared }) => {
                self.plan_restore(description, *shared)
            }
            Request::Op { group, op } => self.plan_op(group, op),
            Request::Disk(request) => {
                match self.check_disk_request(request) {
                    Ok(()) => {
                        let disk = ConfigdOutput::Disk(waiting.id, request.clone());
                        self.out.push_back(disk);
                    }
                    Err(failure) => self.fail(waiting.id, failure),
                }
                return;
            }
            Request::Activate { .. }
            | Request::Cluster(_)
            | Request::Disable
            | Request::Enable
            | Request::Events
            | Request::MaxGrow { .. }
            | Request::MaxSize { .. }
            | Request::Pace { .. }
            | Request::Scan
            | Request::Snapshot
            | Request::Stats { .. }
            | Request::Trace(_)
            | Request::TransState(_) => {
                self.answer(waiting.id, Reply::Done);
                return;
            }
        };
        match plan {
            // Nobody could import it any more, and nothing could be written back.
            Ok(plan) if plan.copies.active(CopyKind::Config).next().is_none() => {
                let text = "no copy of the configuration would be left that can be written";
                self.fail(waiting.id, Failure::plain(text));
            }
            Ok(plan) => self.drive(now, waiting, plan),
            Err(failure) => self.fail(waiting.id, failure),
        }
        debug_assert!(!matches!(self.work, Work::Join(_)), "one thing at a time");
    }

    pub(super) fn imported(&self, group: &Name) -> Result<&TableView, Failure> {
        self.table_named(group.as_str()).ok_or_else(|| {
            if self.disabled_named(group).is_some() {
                let text = format!("Disk group {group}: Disabled by errors");
                return Failure::with_id("V-5-1-123", text);
            }
            let text = format!("Disk group {group}: No such disk group");
            Failure { exit: 11, ..Failure::with_id("V-5-1-2275", text) }
        })
    }

    fn disabled_named(&self, name: &Name) -> Option<&Group> {
        let mut all = self.disabled.iter().map(|image| &*image.group);
        all.find(|group| group.name == *name || group.id.to_string() == name.as_str())
    }

    /// A change of a group that is imported.
    fn plan_of(&self, table: &TableView, group: Group) -> Result<Plan, Failure> {
        let old = &table.image.group;
        let disks = |group: &Group| -> BTreeSet<UniqueId> {
            group.disks.values().filter_map(|dm| dm.disk.clone()).collect()
        };
        let (before, after) = (disks(old), disks(&group));
        let all: BTreeSet<&UniqueId> = before.union(&after).collect();
        let free =
            |slot: &Slot| *slot != table.image.slot && !self.busy_on(*slot, all.iter().copied());
        let slot = Slot::ALL.into_iter().find(free).ok_or_else(|| {
            Failure::plain("a node that was lost may still write to the disks. Retry operation.")
        })?;
        Ok(Plan {
            is_shared: old.is_shared(),
            before: Before::InForce(table.image.stamp),
            stamp: table.next,
            slot,
            copies: table.image.copies.assign(&group, &table.failed),
            tenures: self.tenures(&old.id, all.iter().copied()),
            time: self.wall,
            volumes: touched(old, &group),
            closed: taken_away(old, &group),
            check: after.difference(&before).cloned().collect(),
            group,
        })
    }

    fn plan_op(&self, name: &Name, op: &Op) -> Result<Plan, Failure> {
        let table = self.imported(name)?;
        let is_back =
            |disk: &FoundDisk| matches!(op, Op::ReplaceDisks(_)) && self.is_back(disk, table);
        let may_be_taken = |disk: &&FoundDisk| self.is_free(disk) || is_back(disk);
        let free: Vec<NewDisk> = self.found().filter(may_be_taken).map(new_disk).collect();
        if let Op::AddDisks(disks) = op {
            disks.iter().try_for_each(|disk| self.check_free(&disk.access))?;
        }
        let minors = self.minors_taken(Some(&table.image.group.id));
        let env = Env { disks: &free, minors_taken: &minors, nodes: self.node_count() };
        let before = &*table.image.group;
        let group = match op {
            Op::StopVolume(name) | Op::SnapBack { snapshot: name, .. } => {
                let mut closed = before.clone();
                // Of a pair of which one is being filled both are stopped.
                let names = [Some(name), before.filled_with(name)];
                for name in names.into_iter().flatten() {
                    if let Some(volume) = closed.volumes.get_mut(name) {
                        self.close(before.is_shared(), volume);
                    }
                }
                apply(&closed, op, &env)?
            }
            Op::Snapshot { volume: name, .. } => apply(&self.with_lost(before, [name]), op, &env)?,
            Op::Fill { volume, from, .. } => {
                apply(&self.with_lost(before, [volume, from]), op, &env)?
            }
            _ => apply(before, op, &env)?,
        };
        self.plan_of(table, group)
    }

    /// Nodes that logs have to have room for: there is a map for each id.
    pub(super) fn node_count(&self) -> u16 {
        self.role.members.iter().map(|node| u16::from(node.get()) + 1).max().unwrap_or(1)
    }

    fn plan_deport(
        &self,
        name: &Name,
        rename: Option<&Name>,
        host: Option<&Name>,
    ) -> Result<Plan, Failure> {
        let table = self.imported(name)?;
        let mut group = Group::clone(&table.image.group);
        group.owner = host.map_or(Owner::Nobody, |host| Owner::Host(host.clone()));
        if let Some(rename) = rename {
            group.name = rename.clone();
        }
        let is_shared = table.image.group.is_shared();
        group.volumes.values_mut().for_each(|volume| self.close(is_shared, volume));
        let mut plan = self.plan_of(table, group)?;
        plan.closed = plan.group.volumes.keys().cloned().collect();
        plan.volumes.clone_from(&plan.closed);
        Ok(plan)
    }

    /// The group with all writers of these volumes that are lost.
    fn with_lost<'a>(&self, group: &Group, names: impl IntoIterator<Item = &'a Name>) -> Group {
        let mut known = group.clone();
        for name in names {
            if let Some(volume) = known.volumes.get_mut(name) {
                self.lose(group.is_shared(), volume);
            }
        }
        known
    }

    /// What is planned is carried out when all members have closed the volume; writers that are lost
    /// have not.
    fn close(&self, is_shared: bool, volume: &mut Volume) {
        self.lose(is_shared, volume);
        volume.writers.clear();
    }

    /// Writers that are no members are lost, though nobody has looked yet at what that means.
    fn lose(&self, is_shared: bool, volume: &mut Volume) {
        let is_here = |node: &u8| {
            let is_member = NodeId::new(*node).is_some_and(|node| self.role.members.contains(node));
            is_member || !is_shared
        };
        let writers = std::mem::take(&mut volume.writers).into_iter();
        let (here, mut lost): (BTreeSet<u8>, BTreeSet<u8>) = writers.partition(is_here);
        volume.writers = here;
        volume.lost.append(&mut lost);
    }

    fn plan_destroy(&self, name: &Name) -> Result<Plan, Failure> {
        let table = self.imported(name)?;
        let mut group = Group::clone(&table.image.group);
        group.destroyed = true;
        let mut plan = self.plan_of(table, group)?;
        plan.closed = plan.group.volumes.keys().cloned().collect();
        plan.volumes.clone_from(&plan.closed);
        Ok(plan)
    }

    fn plan_init(&mut self, request: &GroupRequest) -> Result<Plan, Failure> {
        let GroupRequest::Init { name, shared, disks, minors, nconfig, nlog, cds } = request else {
            return Err(Failure::plain("this is no request to make a group"));
        };
        if self.table_named(name.as_str()).is_some() {
            // CVM-01.
            let text =
                format!("Disk group {name}: cannot create: Disk group exists and is imported");
            return Err(Failure::with_id("V-5-1-585", text));
        }
        if disks.is_empty() {
            return Err(Failure::plain("a disk group needs a disk"));
        }
        if [nconfig, nlog].contains(&&Copies::Count(0)) {
            return Err(Failure::plain("a disk group has one copy at least"));
        }
        disks.iter().try_for_each(|disk| self.check_free(&disk.access))?;
        self.made += 1;
        let id = UniqueId::new(self.wall, self.made, self.config.host.as_str());
        let mut group = Group::new(name.clone(), id, self.owner(*shared));
        (group.nconfig, group.nlog, group.cds) = (*nconfig, *nlog, *cds);
        group.serial = Serial(1);
        group.minors = minors.unwrap_or_else(|| free_base(&self.minors_taken(None)));
        let group = self.with_disks(&group, disks)?;
        self.plan_new(group, Stamp { epoch: Epoch(1), tid: Tid(1) })
    }

    /// A group that is on no disk yet.
    fn plan_new(&self, group: Group, stamp: Stamp) -> Result<Plan, Failure> {
        let ids: Vec<UniqueId> = group.disks.values().filter_map(|dm| dm.disk.clone()).collect();
        let slot = self.slot_for_new(&ids)?;
        Ok(Plan {
            is_shared: group.is_shared(),
            before: Before::Nothing,
            stamp,
            slot,
            copies: CopyList::default().assign(&group, &BTreeSet::new()),
            tenures: self.tenures(&group.id, ids.iter()),
            time: self.wall,
            volumes: Vec::new(),
            closed: Vec::new(),
            check: ids,
            group,
        })
    }

    /// A group as a backup has it, above whatever its disks still hold of it.
    fn plan_restore(&self, description: &str, shared: bool) -> Result<Plan, Failure> {
        let mut group = read_group(description).map_err(|error| {
            Failure::plain(format!("the backup is no description of a disk group: {error}"))
        })?;
        for name in [group.name.to_string(), group.id.to_string()] {
            if self.table_named(&name).is_some() {
                let text = format!("Disk group {name}: Disk group exists and is imported");
                return Err(Failure::with_id("V-5-1-2922", text));
            }
        }
        for (name, dm) in &group.disks {
            let Some(id) = &dm.disk else { continue };
            let Some(found) = self.found_by_id(id) else {
                let text = format!("Disk {name} in group {}: Disk device not found", group.name);
                return Err(Failure::with_id("V-5-1-546", text));
            };
            let of_it = found.claims.member().is_some_and(|member| member.group == group.id);
            if !of_it {
                self.check_free(&found.access)?;
            }
            if found.label.geometry.public().len < dm.public_len {
                let text = format!("Disk {name}: device {} is too short for it", found.access);
                return Err(Failure::plain(text));
            }
        }
        group.owner = self.owner(shared);
        group.serial.0 += 1;
        // What has been written since the backup was made, and by whom, it does not say.
        let volumes = group.volumes.iter().filter(|(_, volume)| !volume.layer);
        let mirrored = volumes.filter(|(_, volume)| group.is_mirrored(volume));
        for name in mirrored.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            group.volumes.get_mut(&name).into_iter().for_each(Volume::needs_full_sync);
        }
        group.volumes.values_mut().for_each(Volume::forget_changes);
        // Nor what was filled, and with what.
        group.volumes.values_mut().for_each(Volume::spoil);
        for dm in group.disks.values_mut() {
            dm.serial = group.serial;
        }
        let seen = highest_stamp(self.found(), &group.id);
        let over = self.over.get(&group.id).copied().unwrap_or_default();
        let highest = seen.max(over);
        self.plan_new(
            group,
            Stamp { epoch: Epoch(highest.epoch.0 + 1), tid: Tid(highest.tid.0 + 1) },
        )
    }

    fn with_disks(&self, group: &Group, disks: &[DiskName]) -> Result<Group, Failure> {
        let free: Vec<NewDisk> = self.found().map(new_disk).collect();
        let env = Env { disks: &free, minors_taken: &[], nodes: 1 };
        apply(group, &Op::AddDisks(disks.to_vec()), &env)
            .map_err(|refused| Failure::plain(refused.to_string()))
    }

    pub(super) fn owner(&self, shared: bool) -> Owner {
        if shared {
            Owner::Cluster(self.config.cluster.clone())
        } else {
            Owner::Host(self.config.host.clone())
        }
    }

    /// It belongs to no group, or to one that is no more: the newest configuration that any disk has says
    /// that the group was destroyed, and whoever did that did not live to say so on every disk.
    fn is_free(&self, disk: &FoundDisk) -> bool {
        let is_nobodys = disk.claims.member().is_none_or(|member| {
            let all = self.found().flat_map(|disk| images(disk, &member.group));
            let newest = all.max_by_key(|image| image.stamp);
            newest.is_some_and(|image| image.group.destroyed)
        });
        is_nobodys && !self.is_in_use(&disk.label.disk)
    }

    /// It says that it belongs to this group, of which it is no member any more: nobody could write on it
    /// when it was taken out (`vxreattach`). One that knows of later changes was in use elsewhere.
    fn is_back(&self, disk: &FoundDisk, table: &TableView) -> bool {
        let group = &table.image.group.id;
        let is_of_it = disk.claims.member().is_some_and(|member| member.group == *group);
        let is_older = highest_stamp(std::iter::once(disk), group) < table.next;
        is_of_it && is_older && !self.is_in_use(&disk.label.disk)
    }

    fn is_in_use(&self, id: &UniqueId) -> bool {
        let mut tables = self.tables.values();
        tables.any(|table| table.image.group.disks.values().any(|dm| dm.disk.as_ref() == Some(id)))
    }

    fn check_free(&self, access: &str) -> Result<(), Failure> {
        let disk = self.found_at(access).map_err(Failure::plain)?;
        if self.is_free(disk) {
            return Ok(());
        }
        let group = disk.claims.member().map(|member| member.group_name.clone());
        let group = group.map_or_else(|| "another".to_owned(), |group| group.to_string());
        let text = format!("Device {access} appears to be owned by disk group {group}.");
        Err(Failure::with_id("V-5-1-2349", text))
    }

    /// A disk that a group has is left as it is.
    fn check_disk_request(&self, request: &DiskRequest) -> Result<(), Failure> {
        let (access, force, is_setup) = match request {
            DiskRequest::Setup { access, force, .. } => (access, *force, true),
            DiskRequest::Unsetup { access, force } => (access, *force, false),
        };
        let Some(device) = self.disks.get(access) else {
            return Err(Failure::plain(format!("Device {access}: no such device")));
        };
        let found = match &device.state {
            DeviceState::Error(error) => {
                return Err(Failure::plain(format!("Device {access}: {error}")));
            }
            DeviceState::Invalid(_) if is_setup => return Ok(()),
            DeviceState::Invalid(error) => {
                return Err(Failure::plain(format!("Device {access}: {error}")));
            }
            DeviceState::Ready(found) => found,
        };
        if self.is_in_use(&found.label.disk) {
            let member = found.claims.member().map(|member| member.group_name.to_string());
            let text = format!(
                "Disk {access} belongs to an imported disk group: {}",
                member.unwrap_or_default()
            );
            return Err(Failure::plain(text));
        }
        if force {
            return Ok(());
        }
        self.check_free(access)?;
        if is_setup {
            let text = format!("Device {access} is already initialised; -f does it again");
            return Err(Failure::plain(text));
        }
        Ok(())
    }

    /// A slot of disks that belong to no group: rather not the one with their newest claims.
    fn slot_for_new(&self, disks: &[UniqueId]) -> Result<Slot, Failure> {
        let mut held: Held = [None; SLOTS];
        for disk in disks.iter().filter_map(|id| self.found_by_id(id)) {
            if let Some(claim) = &disk.claims.newest {
                let newest = &mut held[claim.slot.index()];
                *newest = (*newest).max(Some(claim.stamp));
            }
        }
        let busy = Slot::ALL.into_iter().filter(|slot| self.busy_on(*slot, disks)).collect();
        next_slot(&held, None, &busy).ok_or_else(|| {
            Failure::plain("a node that was lost may still write to the disks. Retry operation.")
        })
    }

    /// Minor numbers of all groups but one.
    pub(super) fn minors_taken(&self, but: Option<&UniqueId>) -> Vec<Range<u32>> {
        let others = self.tables.values().filter(|table| Some(&table.image.group.id) != but);
        others.map(|table| minors_of(&table.image.group)).collect()
    }
}

/// From the base to the last volume; at least a hundred, so that volumes can be added.
fn minors_of(group: &Group) -> Range<u32> {
    let last = group.volumes.values().map(|volume| volume.minor + 1).max().unwrap_or(0);
    group.minors..last.max(group.minors.saturating_add(100))
}

/// The lowest multiple of a thousand that no group uses.
pub(super) fn free_base(taken: &[Range<u32>]) -> u32 {
    let free =
        |base: &u32| taken.iter().all(|range| range.end <= *base || *base + 1000 <= range.start);
    (1..1000).map(|thousand| thousand * 1000).find(free).unwrap_or(0)
}

fn new_disk(disk: &FoundDisk) -> NewDisk {
    NewDisk {
        access: disk.access.clone(),
        id: disk.label.disk.clone(),
        public_len: disk.label.geometry.public().len,
        private_len: disk.label.geometry.private().len,
    }
}

/// Volumes that nobody may have open: they are removed, or not started any more, or hold something else
/// from now on.
fn taken_away(old: &Group, new: &Group) -> Vec<Name> {
    let is_started = |volume: &Volume| volume.kernel == KernelState::Enabled;
    let stays = |(name, volume): &(&Name, &Volume)| {
        new.volumes.get(*name).is_some_and(|new| {
            (is_started(new) || !is_started(volume)) && !is_filled_anew(volume, new)
        })
    };
    old.volumes.iter().filter(|volume| !stays(volume)).map(|(name, _)| name.clone()).collect()
}

fn is_filled_anew(old: &Volume, new: &Volume) -> bool {
    new.fill.is_some_and(|fill| old.fill.is_none_or(|old| old.id != fill.id))
}

/// Volumes of both configurations of which anything is different, or another one is to hold what they
/// hold now.
fn touched(old: &Group, new: &Group) -> Vec<Name> {
    let is_source = |volume: &Volume| {
        new.filled_from(volume.common.rid).is_some_and(|(name, target)| {
            old.volumes.get(name).is_none_or(|old| is_filled_anew(old, target))
        })
    };
    let same = |name: &Name| {
        let (Some(a), Some(b)) = (old.volumes.get(name), new.volumes.get(name)) else {
            return false;
        };
        let plexes = |plex: &Name| {
            let (a, b) = (old.plexes.get(plex), new.plexes.get(plex));
            let subdisks = a.into_iter().flat_map(|plex| plex.subdisks());
            a == b && subdisks.into_iter().all(|sd| old.subdisks.get(sd) == new.subdisks.get(sd))
        };
        a == b && a.plexes.iter().all(plexes) && !is_source(b)
    };
    let names: BTreeSet<&Name> = old.volumes.keys().chain(new.volumes.keys()).collect();
    names.into_iter().filter(|name| !same(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::op::{Make, VolumeLayout};
    use crate::model::sample::{self, name};

    fn done(group: &Group, op: &Op) -> Group {
        let env = Env { nodes: 2, ..Env::default() };
        apply(group, op, &env).unwrap_or_else(|error| panic!("{op:?}: {error}"))
    }

    #[test]
    fn what_is_removed_or_stopped_has_to_be_closed_and_what_is_started_has_not() {
        let group = sample::group();
        let make = Make::new(name("vol2"), Some(2048), VolumeLayout::Concat);
        let more = done(&group, &Op::Make(Box::new(make)));
        assert_eq!(taken_away(&group, &more), []);
        assert_eq!(taken_away(&more, &group), [name("vol2")]);
        let stopped = done(&more, &Op::StopVolume(name("vol1")));
        assert_eq!(taken_away(&more, &stopped), [name("vol1")]);
        assert_eq!(touched(&more, &stopped), [name("vol1")]);
        assert_eq!(taken_away(&stopped, &more), []);
        // Nobody has it open.
        let gone = done(&stopped, &Op::RemoveVolume { volume: name("vol1"), force: false });
        assert_eq!(taken_away(&stopped, &gone), [name("vol1")]);
    }
}

//! What `vxnotify` is told: the difference between what was and what is.

use std::collections::BTreeMap;

use super::{Configd, DeviceState};
use crate::core::iod::{Role, TableView};
use crate::model::{
    Disk, Group, KernelState, Name, Plex, PlexState, UniqueId, Volume, VolumeState,
};
use crate::request::{Event, EventGroup, Reply};

impl Configd {
    pub(super) fn watch(&mut self, session: u64) {
        self.watchers.insert(session);
        self.reply(session, Reply::Event(Event::Connected));
    }

    fn tell(&mut self, event: &Event) {
        for session in self.watchers.iter().copied().collect::<Vec<_>>() {
            self.reply(session, Reply::Event(event.clone()));
        }
    }

    /// The groups were `before`, and are others now.
    pub(super) fn tell_changes(&mut self, before: &BTreeMap<UniqueId, TableView>) {
        if self.watchers.is_empty() {
            return;
        }
        let gone = before.iter().filter(|(id, _)| !self.tables.contains_key(*id));
        let mut events: Vec<Event> =
            gone.map(|(id, table)| self.gone_event(id, &table.image.group)).collect();
        for (id, table) in &self.tables {
            let group = &table.image.group;
            match before.get(id).map(|table| &table.image.group) {
                None => events.push(Event::Imported(named(group))),
                Some(old) if old != group => {
                    events.extend(self.detach_events(old, group));
                    events.extend(self.disk_events(old, group));
                    events.push(Event::Changed(named(group)));
                }
                Some(_) => {}
            }
        }
        for event in events {
            self.tell(&event);
        }
    }

    fn gone_event(&self, id: &UniqueId, group: &Group) -> Event {
        if self.disabled.iter().any(|image| image.group.id == *id) {
            Event::Disabled(named(group))
        } else {
            Event::Deported(named(group))
        }
    }

    /// What an error, or the loss of a disk, has taken away: the disk, plexes, volumes.
    fn detach_events(&self, old: &Group, new: &Group) -> Vec<Event> {
        let both = new.disks.iter().filter_map(|(name, dm)| Some((name, old.disks.get(name)?, dm)));
        let disks = both.filter(|(_, was, is)| is_disk_detached(was, is));
        let mut events: Vec<Event> = disks
            .map(|(name, was, _)| Event::DiskDetached {
                access: self.access_of(was.disk.as_ref()),
                dm: name.to_string(),
                group: named(new),
            })
            .collect();
        for (name, is) in &new.plexes {
            if old.plexes.get(name).is_some_and(|was| is_plex_detached(was, is))
                && let Some((volume, _)) = new.volume_of(name)
            {
                let (plex, volume, group) = (name.to_string(), volume.to_string(), named(new));
                events.push(Event::PlexDetached { plex, volume, group });
            }
        }
        for (name, is) in &new.volumes {
            if old.volumes.get(name).is_some_and(|was| is_volume_detached(was, is)) {
                let (volume, group) = (name.to_string(), named(new));
                events.push(Event::VolumeDetached { volume, group });
            }
        }
        events
    }

    fn disk_events(&self, old: &Group, new: &Group) -> Vec<Event> {
        let changed = new.disks.iter().filter(|(name, dm)| old.disks.get(*name) != Some(*dm));
        let event = |(name, dm): (&Name, &Disk)| Event::DiskChanged {
            access: self.access_of(dm.disk.as_ref()),
            dm: name.to_string(),
            group: named(new),
        };
        changed.map(event).collect()
    }

    fn access_of(&self, id: Option<&UniqueId>) -> String {
        let is_it = |state: &DeviceState| match state {
            DeviceState::Ready(found) => Some(&found.label.disk) == id,
            DeviceState::Error(_) | DeviceState::Invalid(_) => false,
        };
        let found = self.disks.values().find(|device| is_it(&device.state));
        found.map(|device| device.access.clone()).unwrap_or_default()
    }

    /// The role was another.
    pub(super) fn tell_role(&mut self, was: &Role) {
        let is = &self.role;
        let event = match (was.is_member, is.is_member) {
            (false, true) => Event::Joined { is_master: self.is_master() },
            (true, false) => Event::Left { reason: self.out_reason.clone() },
            (true, true) if was.master != is.master => match is.master {
                Some(node) => Event::Master { node: node.get() },
                None => return,
            },
            (true, true) | (false, false) => return,
        };
        self.tell(&event);
    }
}

fn is_disk_detached(was: &Disk, is: &Disk) -> bool {
    !was.failing && is.failing || was.disk.is_some() && is.disk.is_none()
}

/// A plex of a volume that is stopped is DISABLED as it is.
fn is_plex_detached(was: &Plex, is: &Plex) -> bool {
    let is_off = match is.kernel {
        KernelState::Enabled => false,
        KernelState::Detached => true,
        KernelState::Disabled => matches!(is.state, PlexState::NoDevice | PlexState::Removed),
    };
    was.kernel == KernelState::Enabled && is_off
}

/// One that is stopped is CLEAN, or NEEDSYNC, or has no data that counts.
fn is_volume_detached(was: &Volume, is: &Volume) -> bool {
    let is_off = match is.kernel {
        KernelState::Enabled => false,
        KernelState::Detached => true,
        KernelState::Disabled => matches!(is.state, VolumeState::Active | VolumeState::Sync),
    };
    was.kernel == KernelState::Enabled && is_off
}

fn named(group: &Group) -> EventGroup {
    EventGroup { name: group.name.to_string(), id: group.id.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Finding;
    use crate::model::op::Op;
    use crate::model::{Env, apply, sample};

    /// Which plexes and volumes are told to be detached.
    fn detached(old: &Group, new: &Group) -> (Vec<String>, Vec<String>, Vec<String>) {
        let disks = new.disks.iter().filter(|(name, is)| is_disk_detached(&old.disks[*name], is));
        let plexes =
            new.plexes.iter().filter(|(name, is)| is_plex_detached(&old.plexes[*name], is));
        let volumes =
            new.volumes.iter().filter(|(name, is)| is_volume_detached(&old.volumes[*name], is));
        (
            disks.map(|(name, _)| name.to_string()).collect(),
            plexes.map(|(name, _)| name.to_string()).collect(),
            volumes.map(|(name, _)| name.to_string()).collect(),
        )
    }

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_fails_or_is_taken_out_is_detached() {
        let group = sample::group();
        let disk = group.disks["mydg03"].disk.clone();
        let failed = Finding::PlexFailed(sample::name("vol1-02"), disk);
        let after = Finding::apply(&group, [&failed]).group;
        assert_eq!(detached(&group, &after), (names(&["mydg03"]), names(&["vol1-02"]), Vec::new()));
        // It is off already.
        let mut gone = after.clone();
        apply::lose_disk(&mut gone, &sample::name("mydg03"));
        assert_eq!(detached(&after, &gone), (names(&["mydg03"]), Vec::new(), Vec::new()));
        // The last copy goes with its disk.
        let mut lost = after.clone();
        apply::lose_disk(&mut lost, &sample::name("mydg01"));
        assert_eq!(
            detached(&after, &lost),
            (names(&["mydg01"]), names(&["vol1-01"]), names(&["vol1"]))
        );
    }

    #[test]
    fn what_is_stopped_or_taken_out_of_its_volume_is_not_detached() {
        let group = sample::group();
        let none = (Vec::new(), Vec::new(), Vec::new());
        let done = |group: &Group, op| apply(group, &op, &Env::default()).unwrap();
        let stopped = done(&group, Op::StopVolume(sample::name("vol1")));
        assert_eq!(detached(&group, &stopped), none);
        let started =
            done(&stopped, Op::StartVolume { volume: sample::name("vol1"), force: false });
        assert_eq!(detached(&stopped, &started), none);
        let plexes = vec![sample::name("vol1-02")];
        let (remove, force) = (false, false);
        let out = done(&group, Op::DissociatePlexes { plexes: plexes.clone(), remove, force });
        assert_eq!(detached(&group, &out), none);
        // As the original says it of what is asked for, too.
        let det = done(&group, Op::DetachPlexes { plexes, force });
        assert_eq!(detached(&group, &det), (Vec::new(), names(&["vol1-02"]), Vec::new()));
    }
}

//! What `vxnotify` is told: the difference between what was and what is.

use std::collections::BTreeMap;

use super::{Configd, DeviceState};
use crate::core::iod::{Role, TableView};
use crate::model::{Group, UniqueId};
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

    fn disk_events(&self, old: &Group, new: &Group) -> Vec<Event> {
        let changed = new.disks.iter().filter(|(name, dm)| old.disks.get(*name) != Some(*dm));
        let event = |(name, dm): (&crate::model::Name, &crate::model::Disk)| Event::DiskChanged {
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

fn named(group: &Group) -> EventGroup {
    EventGroup { name: group.name.to_string(), id: group.id.to_string() }
}

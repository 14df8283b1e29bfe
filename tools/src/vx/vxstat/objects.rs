//! Which objects are shown.

use std::collections::BTreeSet;

use cvm::model::{Group, Name, Rid, Source};

/// What is wanted, by kind. None: what is named, or all volumes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kinds {
    pub(super) disks: bool,
    pub(super) plexes: bool,
    pub(super) subdisks: bool,
    pub(super) volumes: bool,
}

/// An object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object<'a> {
    /// The word that its line begins with.
    pub(super) kind: &'static str,
    pub(super) name: &'a Name,
    pub(super) rid: Rid,
}

/// Records of a group, by kind.
#[derive(Debug, Default)]
struct Set<'a> {
    volumes: BTreeSet<&'a Name>,
    plexes: BTreeSet<&'a Name>,
    subdisks: BTreeSet<&'a Name>,
    disks: BTreeSet<&'a Name>,
}

/// What is to be shown of a group: all of the kinds that are wanted, or of these the ones that belong
/// to what is named. Names that were found are missing no more.
pub(super) fn objects<'a>(
    group: &'a Group,
    kinds: Kinds,
    names: &[Name],
    missing: &mut BTreeSet<&Name>,
) -> Vec<Object<'a>> {
    let Kinds { disks, plexes, subdisks, volumes } = kinds;
    let has_kinds = disks || plexes || subdisks || volumes;
    let mut set = Set::default();
    if names.is_empty() {
        set.volumes.extend(group.volumes.keys());
        set.plexes.extend(group.plexes.keys());
        set.subdisks.extend(group.subdisks.keys());
        set.disks.extend(group.disks.keys());
    }
    for name in names {
        let found = Set::named(group, name);
        if found.is_empty() {
            continue;
        }
        missing.remove(name);
        set.add(if has_kinds { found.with_relatives(group) } else { found });
    }
    let shows = |is_wanted: bool| is_wanted || !has_kinds && !names.is_empty();
    let mut shown = Vec::new();
    if shows(volumes) || !has_kinds {
        shown.extend(set.volumes.iter().filter_map(|name| {
            Some(Object { kind: "vol", name, rid: group.volumes.get(*name)?.common.rid })
        }));
    }
    if shows(plexes) {
        shown.extend(set.plexes.iter().filter_map(|name| {
            Some(Object { kind: "pl", name, rid: group.plexes.get(*name)?.common.rid })
        }));
    }
    if shows(subdisks) {
        shown.extend(set.subdisks.iter().filter_map(|name| {
            Some(Object { kind: "sd", name, rid: group.subdisks.get(*name)?.common.rid })
        }));
    }
    if shows(disks) {
        shown.extend(set.disks.iter().filter_map(|name| {
            Some(Object { kind: "dm", name, rid: group.disks.get(*name)?.common.rid })
        }));
    }
    shown
}

impl<'a> Set<'a> {
    /// The records that are called so: of different kinds there may be several.
    fn named(group: &'a Group, name: &Name) -> Self {
        Self {
            volumes: group.volumes.get_key_value(name).into_iter().map(|(name, _)| name).collect(),
            plexes: group.plexes.get_key_value(name).into_iter().map(|(name, _)| name).collect(),
            subdisks: group.subdisks.get_key_value(name).into_iter().map(|(it, _)| it).collect(),
            disks: group.disks.get_key_value(name).into_iter().map(|(name, _)| name).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        [&self.volumes, &self.plexes, &self.subdisks, &self.disks].iter().all(|set| set.is_empty())
    }

    fn add(&mut self, other: Self) {
        self.volumes.extend(other.volumes);
        self.plexes.extend(other.plexes);
        self.subdisks.extend(other.subdisks);
        self.disks.extend(other.disks);
    }

    /// With what they consist of and what they are a part of: all that shares a subdisk with them.
    fn with_relatives(mut self, group: &'a Group) -> Self {
        let of_volume = |name: &&Name| group.volumes.get(*name).map(|volume| &volume.plexes);
        let of_plex = |name: &&Name| group.plexes.get(*name).map(|plex| plex.subdisks());
        let plexes: Vec<&Name> = self.volumes.iter().filter_map(of_volume).flatten().collect();
        let plexes = plexes.iter().chain(&self.plexes);
        let mut waiting: Vec<&Name> = plexes.filter_map(of_plex).flatten().collect();
        waiting.extend(&self.subdisks);
        waiting.extend(group.subdisks.iter().filter_map(|(name, subdisk)| match &subdisk.source {
            Source::Disk { dm, .. } => self.disks.contains(dm).then_some(name),
            Source::Volume(_) => None,
        }));
        while let Some(name) = waiting.pop() {
            let Some((name, subdisk)) = group.subdisks.get_key_value(name) else { continue };
            self.subdisks.insert(name);
            match &subdisk.source {
                Source::Disk { dm, .. } => drop(self.disks.insert(dm)),
                Source::Volume(layer) => {
                    let plexes = of_volume(&layer).into_iter().flatten();
                    waiting.extend(plexes.filter_map(|name| of_plex(&name)).flatten());
                }
            }
        }
        for (name, plex) in &group.plexes {
            if plex.subdisks().any(|name| self.subdisks.contains(name)) {
                self.plexes.insert(name);
            }
        }
        for (name, volume) in &group.volumes {
            if volume.plexes.iter().any(|name| self.plexes.contains(name)) {
                self.volumes.insert(name);
            }
        }
        self
    }
}

//! Which records are listed, and in which order.

use std::collections::BTreeSet;

use cvm::model::{Name, Source};

use super::pattern::Pattern;
use crate::vx::view::{Record, View};

/// What the command line selects.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    /// Of these kinds only; none are all.
    pub(super) kinds: Kinds,
    /// With these names only, in this order; none are all.
    pub(super) names: Vec<Name>,
    /// Of which this holds.
    pub(super) pattern: Option<Pattern>,
    /// With all that they consist of.
    pub(super) hierarchy: bool,
    /// What a layered volume consists of.
    pub(super) layers: Layers,
}

/// Kinds of records, by their options.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Kinds {
    pub(super) groups: bool,
    pub(super) disks: bool,
    pub(super) subdisks: bool,
    pub(super) plexes: bool,
    pub(super) volumes: bool,
}

impl Kinds {
    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }

    fn has(self, record: Record<'_>) -> bool {
        let is_named = match record {
            Record::Disk(..) => self.disks,
            Record::Group(_) => self.groups,
            Record::Plex(..) => self.plexes,
            Record::Subdisk(..) => self.subdisks,
            Record::Volume(..) => self.volumes,
        };
        is_named || self.is_empty()
    }
}

/// How hierarchies show the volumes that a layered volume consists of.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Layers {
    /// Up to the subvolumes.
    #[default]
    Hidden,
    /// `-r`: below the subvolume that each stands for.
    Nested,
    /// `-L`: as volumes of their own.
    Beside,
}

/// A record in a listing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed<'a> {
    pub(super) record: Record<'a>,
    /// 1 for what a layered volume has below its subvolumes.
    pub(super) level: usize,
    /// It was selected, and not what it belongs to.
    pub(super) is_top: bool,
}

/// The records that are listed.
pub(super) fn list<'a>(view: &View<'a>, selection: &Selection) -> Vec<Listed<'a>> {
    let mut listing =
        Listing { view, layers: selection.layers, seen: BTreeSet::new(), out: vec![] };
    for record in selected(view, selection) {
        if selection.hierarchy {
            listing.tree(record, 0, true);
        } else {
            listing.push(record, 0, true);
        }
    }
    listing.out
}

/// The record with this name that is of one of these kinds.
pub(super) fn named<'a>(view: &View<'a>, kinds: Kinds, name: &Name) -> Option<Record<'a>> {
    view.find(name).find(|record| kinds.has(*record))
}

fn selected<'a>(view: &View<'a>, selection: &Selection) -> Vec<Record<'a>> {
    let Selection { kinds, names, pattern, hierarchy, layers } = selection;
    let mut records = if names.is_empty() {
        all(view, *hierarchy)
    } else {
        names.iter().filter_map(|name| named(view, *kinds, name)).collect()
    };
    if names.is_empty() && *hierarchy && kinds.is_empty() {
        records.retain(|record| match record {
            Record::Disk(..) | Record::Group(_) => true,
            Record::Plex(name, _) | Record::Subdisk(name, _) => view.user(name).is_none(),
            Record::Volume(name, _) => *layers == Layers::Beside || view.user(name).is_none(),
        });
    } else if names.is_empty() && *hierarchy && *layers != Layers::Beside {
        records.retain(|record| match record {
            Record::Volume(name, _) => view.user(name).is_none(),
            _ => true,
        });
    }
    records.retain(|record| {
        kinds.has(*record) && pattern.as_ref().is_none_or(|pattern| pattern.holds(view, *record))
    });
    records
}

/// All records. Hierarchies go from volumes down; lists have what others consist of first.
fn all<'a>(view: &View<'a>, hierarchy: bool) -> Vec<Record<'a>> {
    let group = view.group;
    let disks = group.disks.iter().map(|(name, disk)| Record::Disk(name, disk));
    let mut subdisks: Vec<_> = group.subdisks.iter().collect();
    subdisks.sort_by_key(|(name, subdisk)| match &subdisk.source {
        Source::Disk { dm, offset } => (0, dm, *offset),
        Source::Volume(_) => (1, *name, 0),
    });
    let subdisks = subdisks.into_iter().map(|(name, subdisk)| Record::Subdisk(name, subdisk));
    let plexes = group.plexes.iter().map(|(name, plex)| Record::Plex(name, plex));
    let volumes = group.volumes.iter().map(|(name, volume)| Record::Volume(name, volume));
    let head = std::iter::once(Record::Group(group)).chain(disks);
    if hierarchy {
        head.chain(volumes).chain(plexes).chain(subdisks).collect()
    } else {
        head.chain(subdisks).chain(plexes).chain(volumes).collect()
    }
}

struct Listing<'a, 'v> {
    view: &'v View<'a>,
    layers: Layers,
    /// Nothing is listed twice, but for what was asked for twice.
    seen: BTreeSet<&'a Name>,
    out: Vec<Listed<'a>>,
}

impl<'a> Listing<'a, '_> {
    fn push(&mut self, record: Record<'a>, level: usize, is_top: bool) {
        if !matches!(record, Record::Group(_)) {
            self.seen.insert(record.name());
        }
        self.out.push(Listed { record, level, is_top });
    }

    fn tree(&mut self, record: Record<'a>, level: usize, is_top: bool) {
        if !matches!(record, Record::Group(_)) && self.seen.contains(record.name()) {
            return;
        }
        self.push(record, level, is_top);
        let view = self.view;
        match record {
            Record::Disk(..) | Record::Group(_) => {}
            Record::Plex(_, plex) => {
                for (name, subdisk) in view.subdisks(plex) {
                    self.tree(Record::Subdisk(name, subdisk), level, false);
                }
            }
            Record::Subdisk(_, subdisk) => {
                if let Source::Volume(layer) = &subdisk.source
                    && self.layers == Layers::Nested
                    && let Some((name, volume)) = view.group.volumes.get_key_value(layer)
                {
                    self.tree(Record::Volume(name, volume), level + 1, false);
                }
            }
            Record::Volume(_, volume) => {
                for (name, plex) in view.plexes(volume) {
                    self.tree(Record::Plex(name, plex), level, false);
                }
            }
        }
    }
}

//! What vxiods find out about volumes by themselves, and what a configuration becomes by it.
//!
//! Pure, and the same on every node: findings travel as they are, and what they change everybody makes
//! of the configuration in force.

use std::collections::BTreeSet;

use super::apply::end_moves;
use super::group::Group;
use super::ids::{Name, Rid, UniqueId};
use super::maps::MapPlace;
use super::record::{Disk, Fill, Plex};
use super::states::{KernelState, PlexState, VolumeState};

/// Something that belongs into the configuration without anybody having asked for it.
/// Their order is the order in which they are applied: what was made equal is lost after that.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Finding {
    /// A node cannot write this plex, because of this disk if it is known.
    PlexFailed(Name, Option<UniqueId>),
    /// All copies have been made equal, and these plexes with them, which were not current before.
    Equal(Name, BTreeSet<Name>),
    /// The node begins to write a volume with copies: from here on they may differ if it is lost.
    Writes(Name, u8),
    /// It has closed the volume: all copies have what it has written.
    Rests(Name, u8),
    /// Nodes that were writing the volume are lost: its copies may differ. Where they do is in the
    /// recovery maps in these logs; if there are none, nobody knows.
    Lost(Name, BTreeSet<u8>, BTreeSet<MapPlace>),
    /// Fill maps of this volume are written, which is filled under this number.
    FillBegun(Name, Rid),
    /// It is filled.
    Filled(Name, Rid),
    /// It cannot be: a region cannot be read, or written, or its maps cannot.
    Spoilt(Name, Rid),
}

/// What findings make of a group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The group after it; as before if nothing of it was new.
    pub group: Group,
    /// Volumes whose I/O has to stand still meanwhile.
    pub volumes: BTreeSet<Name>,
}

impl Finding {
    /// What it is about, volume or plex.
    pub const fn name(&self) -> &Name {
        match self {
            Self::PlexFailed(name, _)
            | Self::Writes(name, _)
            | Self::Rests(name, _)
            | Self::Lost(name, ..)
            | Self::FillBegun(name, _)
            | Self::Filled(name, _)
            | Self::Spoilt(name, _)
            | Self::Equal(name, _) => name,
        }
    }

    /// Bytes that it takes in a message, about.
    pub fn size(&self) -> usize {
        let more = match self {
            Self::Rests(..)
            | Self::Writes(..)
            | Self::FillBegun(..)
            | Self::Filled(..)
            | Self::Spoilt(..) => 8,
            Self::PlexFailed(..) => 32,
            Self::Lost(_, nodes, maps) => nodes.len() + 24 * maps.len(),
            Self::Equal(_, plexes) => 33 * plexes.len(),
        };
        40 + more
    }

    /// The opposite of it, which does not hold any more.
    pub fn undone(&self) -> Option<Self> {
        match self {
            Self::Writes(name, node) => Some(Self::Rests(name.clone(), *node)),
            Self::Rests(name, node) => Some(Self::Writes(name.clone(), *node)),
            Self::PlexFailed(..)
            | Self::Lost(..)
            | Self::FillBegun(..)
            | Self::Filled(..)
            | Self::Spoilt(..)
            | Self::Equal(..) => None,
        }
    }

    /// It can become true at once. Nobody writes before it is known what those who are lost have left:
    /// a node that is back would write its map anew.
    pub fn can_be_made(&self, group: &Group) -> bool {
        match self {
            Self::Writes(volume, _) => {
                group.volumes.get(volume).is_none_or(|volume| volume.lost.is_empty())
            }
            Self::PlexFailed(..)
            | Self::Equal(..)
            | Self::Rests(..)
            | Self::FillBegun(..)
            | Self::Filled(..)
            | Self::Spoilt(..)
            | Self::Lost(..) => true,
        }
    }

    /// It changes something of the group.
    pub fn is_new(&self, group: &Group) -> bool {
        match self {
            Self::PlexFailed(plex, disk) => can_be_taken_off(group, plex, disk.as_ref()),
            Self::Writes(volume, node) => {
                group.volumes.get(volume).is_some_and(|volume| !volume.writers.contains(node))
            }
            Self::Rests(volume, node) => {
                group.volumes.get(volume).is_some_and(|volume| volume.writers.contains(node))
            }
            Self::Lost(volume, nodes, _) => group.volumes.get(volume).is_some_and(|volume| {
                !volume.writers.is_disjoint(nodes) || !volume.lost.is_disjoint(nodes)
            }),
            Self::Equal(volume, plexes) => {
                let is_copied = |plex| group.plexes.get(plex).is_some_and(Plex::needs_copy);
                let volume = group.volumes.get(volume);
                volume.is_some_and(|v| v.needs_sync() || plexes.iter().any(is_copied))
            }
            Self::FillBegun(volume, id) => {
                fill_of(group, volume, *id).is_some_and(|fill| !fill.is_begun)
            }
            Self::Filled(volume, id) | Self::Spoilt(volume, id) => {
                fill_of(group, volume, *id).is_some()
            }
        }
    }

    /// A group with these findings. What it has already, what is about records that are gone, and
    /// what would take off the last good plex of a volume, changes nothing.
    pub fn apply<'a>(group: &Group, findings: impl IntoIterator<Item = &'a Self>) -> Found {
        let mut found = Found { group: group.clone(), volumes: BTreeSet::new() };
        for finding in findings {
            match finding {
                Self::PlexFailed(plex, disk) => found.take_off(plex, disk.as_ref()),
                Self::Writes(volume, node) => {
                    if let Some(volume) = found.group.volumes.get_mut(volume) {
                        volume.writers.insert(*node);
                        // A snapshot is not any more what it was when it was broken off.
                        volume.since = None;
                    }
                    found.group.note_changer(volume, *node);
                }
                Self::Rests(volume, node) => found.rests(volume, *node),
                Self::Lost(volume, nodes, maps) => found.lose(volume, nodes, maps),
                Self::Equal(volume, plexes) => found.equal(volume, plexes),
                Self::FillBegun(volume, _) | Self::Filled(volume, _) | Self::Spoilt(volume, _) => {
                    if finding.is_new(&found.group) {
                        found.fill(volume, finding);
                    }
                }
            }
        }
        found.group.keep_maps(group);
        found.group.keep_noted_logs(group);
        found.group.end_fills(group);
        found
    }
}

/// What a volume is being filled with, if that is still what is meant.
fn fill_of(group: &Group, name: &Name, id: Rid) -> Option<Fill> {
    group.volumes.get(name)?.fill.filter(|fill| fill.id == id)
}

/// It is in use, and not the last good one of its volume. It may have left the disk that failed by then.
fn can_be_taken_off(group: &Group, name: &Name, disk: Option<&UniqueId>) -> bool {
    if disk.is_some_and(|disk| !group.lies_on(name, disk)) {
        return false;
    }
    let plex = group.plexes.get(name).filter(|plex| plex.kernel == KernelState::Enabled);
    let Some((plex, (_, volume))) = plex.and_then(|plex| Some((plex, group.volume_of(name)?)))
    else {
        return false;
    };
    if plex.is_log_only() {
        return true;
    }
    let is_current =
        |other: &Name| other != name && group.plexes.get(other).is_some_and(Plex::is_current);
    volume.plexes.iter().any(is_current)
}

impl Found {
    /// Of two plexes that have failed the first goes: one stays. Nothing new is put on the disk from
    /// then on, and hot relocation knows by it what of the plex is to be put elsewhere.
    fn take_off(&mut self, name: &Name, disk: Option<&UniqueId>) {
        if !can_be_taken_off(&self.group, name, disk) {
            return;
        }
        let volume = self.group.volume_of(name).map(|(volume, _)| volume.clone());
        self.volumes.extend(volume);
        if let Some(plex) = self.group.plexes.get_mut(name) {
            let state = if plex.is_log_only() { plex.state } else { PlexState::IoFail };
            (plex.kernel, plex.state) = (KernelState::Detached, state);
            plex.since = None;
        }
        let is_it = |member: &&mut Disk| disk.is_some() && member.disk.as_ref() == disk;
        if let Some(member) = self.group.disks.values_mut().find(is_it) {
            member.failing = true;
        }
    }

    /// Writers that are lost leave copies that may differ.
    fn lose(&mut self, name: &Name, nodes: &BTreeSet<u8>, maps: &BTreeSet<MapPlace>) {
        let has_maps = !maps.is_empty() && self.group.map_places(name) == *maps;
        let has_copies = self.group.volumes.get(name).is_some_and(|v| self.group.has_copies(v));
        let Some(volume) = self.group.volumes.get_mut(name) else { return };
        let before = volume.writers.len() + volume.lost.len();
        volume.writers.retain(|node| !nodes.contains(node));
        volume.lost.retain(|node| !nodes.contains(node));
        let is_new = volume.writers.len() + volume.lost.len() < before;
        if is_new && !has_maps {
            // What they had begun before a snapshot is made equal after it, and nobody knows where.
            volume.forget_changes();
        }
        let is_off = volume.kernel != KernelState::Enabled;
        let has_none = matches!(volume.state, VolumeState::Empty | VolumeState::Invalid);
        if !is_new || !(has_copies || is_off) || has_none {
            return;
        }
        // What differs already was to be in those maps, too.
        volume.by_map = has_maps && (volume.by_map || !volume.needs_sync());
        volume.state = match volume.kernel {
            KernelState::Enabled => VolumeState::Sync,
            KernelState::Detached | KernelState::Disabled => VolumeState::NeedSync,
        };
    }

    fn fill(&mut self, name: &Name, finding: &Finding) {
        let Some(volume) = self.group.volumes.get_mut(name) else { return };
        self.volumes.insert(name.clone());
        match (finding, &mut volume.fill) {
            (Finding::FillBegun(..), Some(fill)) => fill.is_begun = true,
            (Finding::Filled(..), fill) => *fill = None,
            _ => volume.spoil(),
        }
    }

    /// Whoever has it open again before that is in force asks anew.
    fn rests(&mut self, name: &Name, node: u8) {
        if let Some(volume) = self.group.volumes.get_mut(name)
            && volume.writers.remove(&node)
        {
            self.volumes.insert(name.clone());
        }
    }

    fn equal(&mut self, name: &Name, plexes: &BTreeSet<Name>) {
        let Some(volume) = self.group.volumes.get_mut(name) else { return };
        if volume.needs_sync() {
            (volume.state, volume.by_map) = (VolumeState::Active, false);
        }
        for plex_name in plexes {
            if let Some(plex) = self.group.plexes.get_mut(plex_name)
                && plex.needs_copy()
            {
                plex.since = None;
                plex.state = match plex.state {
                    PlexState::SnapAtt => PlexState::SnapDone,
                    _ => PlexState::Active,
                };
                self.volumes.insert(name.clone());
            }
            end_moves(&mut self.group, plex_name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::op::Op;
    use crate::model::{Env, LogType, Volume, apply, sample};

    // The sample group: see its description.
    fn mirrored() -> (Group, Name) {
        let group = sample::group();
        let mut volumes = group.volumes.iter();
        let mirrored = volumes.find(|(_, volume)| volume.plexes.len() > 1).unwrap().0.clone();
        (group, mirrored)
    }

    #[test]
    fn whoever_writes_and_is_lost_leaves_copies_that_may_differ() {
        let (group, name) = mirrored();
        let writes = [Finding::Writes(name.clone(), 3), Finding::Writes(name.clone(), 5)];
        let group = Finding::apply(&group, &writes).group;
        assert_eq!(group.volumes[&name].writers, BTreeSet::from([3, 5]));

        let other = [Finding::Lost(name.clone(), BTreeSet::from([1]), BTreeSet::new())];
        assert_eq!(Finding::apply(&group, &other).group, group);

        let lost = [Finding::Lost(name.clone(), BTreeSet::from([1, 5]), BTreeSet::new())];
        let group = Finding::apply(&group, &lost).group;
        assert_eq!(group.volumes[&name].writers, BTreeSet::from([3]));
        assert_eq!(group.volumes[&name].state, VolumeState::Sync);

        let equal = [Finding::Equal(name.clone(), BTreeSet::new())];
        for finding in lost.iter().chain(&equal) {
            let is_new = Finding::apply(&group, [finding]).group != group;
            assert_eq!(finding.is_new(&group), is_new, "{finding:?}");
        }
        let group = Finding::apply(&group, &equal).group;
        assert_eq!(group.volumes[&name].state, VolumeState::Active);
    }

    /// The same group with a log of that volume; where it lies.
    fn logged() -> (Group, Name, BTreeSet<MapPlace>) {
        let (group, name) = mirrored();
        let (volume, log_type) = (name.clone(), LogType::Region);
        let op = Op::AddLog { volume, log_type, count: 1, len: None, storage: Vec::new() };
        let group = apply(&group, &op, &Env { nodes: 4, ..Env::default() }).unwrap();
        let places = group.map_places(&name);
        assert_eq!(places.len(), 1);
        (group, name, places)
    }

    #[test]
    fn what_is_in_recovery_maps_is_known_as_long_as_they_are() {
        let (before, name, places) = logged();
        let with = |volume: &dyn Fn(&mut Volume)| {
            let mut group = before.clone();
            volume(group.volumes.get_mut(&name).unwrap());
            group
        };
        let lost = |nodes: [u8; 1], maps: &BTreeSet<MapPlace>| {
            Finding::Lost(name.clone(), BTreeSet::from(nodes), maps.clone())
        };
        let group = with(&|volume| volume.writers = BTreeSet::from([1, 2]));
        let after = Finding::apply(&group, [&lost([1], &places)]).group;
        assert!(after.volumes[&name].by_map && after.volumes[&name].needs_sync());
        // Another one, whose maps could not be read.
        let whole = Finding::apply(&after, [&lost([2], &BTreeSet::new())]).group;
        assert!(!whole.volumes[&name].by_map && whole.volumes[&name].needs_sync());
        // What differed anywhere does so still.
        let group = with(&|volume| {
            (volume.state, volume.lost) = (VolumeState::Sync, BTreeSet::from([2]));
        });
        let whole = Finding::apply(&group, [&lost([2], &places)]).group;
        assert!(!whole.volumes[&name].by_map && whole.volumes[&name].lost.is_empty());
        // The maps are in logs of before.
        let others = places.iter().map(|place| MapPlace { len: 1, ..*place }).collect();
        let group = with(&|volume| volume.lost = BTreeSet::from([2]));
        let whole = Finding::apply(&group, [&lost([2], &others)]).group;
        assert!(!whole.volumes[&name].by_map);
        // The only log fails, or is replaced.
        let log = after.volumes[&name].plexes.last().unwrap().clone();
        let failed = Finding::apply(&after, [&Finding::PlexFailed(log.clone(), None)]).group;
        assert_eq!(failed.plexes[&log].kernel, KernelState::Detached);
        assert_eq!(failed.plexes[&log].state, PlexState::Log);
        assert!(!failed.volumes[&name].by_map && failed.volumes[&name].needs_sync());
        let equal = Finding::Equal(name.clone(), BTreeSet::new());
        let equal = Finding::apply(&after, [&equal]).group;
        assert!(!equal.volumes[&name].by_map && !equal.volumes[&name].needs_sync());
    }

    #[test]
    fn what_has_one_copy_or_no_data_has_nothing_that_differs() {
        let (mut group, name) = mirrored();
        let volume = group.volumes.get_mut(&name).unwrap();
        volume.writers = BTreeSet::from([3]);
        let lost = Finding::Lost(name.clone(), BTreeSet::from([3]), BTreeSet::new());
        let mut empty = group.clone();
        empty.volumes.get_mut(&name).unwrap().state = VolumeState::Empty;
        let empty = Finding::apply(&empty, [&lost]).group;
        let volume = &empty.volumes[&name];
        assert_eq!((volume.state, volume.writers.len()), (VolumeState::Empty, 0));
        let plexes = group.volumes[&name].plexes.clone();
        for plex in &plexes[1..] {
            group.plexes.get_mut(plex).unwrap().kernel = KernelState::Detached;
        }
        let single = Finding::apply(&group, [&lost]).group;
        let volume = &single.volumes[&name];
        assert_eq!((volume.state, volume.writers.len()), (VolumeState::Active, 0));
    }

    #[test]
    fn maps_are_trusted_only_where_they_were_written() {
        let (mut group, name) = mirrored();
        let volume = group.volumes.get_mut(&name).unwrap();
        volume.distrust_maps();
        assert_eq!(volume.state, VolumeState::Active);
        volume.lost = BTreeSet::from([2]);
        volume.distrust_maps();
        assert_eq!((volume.state, volume.by_map), (VolumeState::Sync, false));
        assert!(volume.lost.is_empty());
        (volume.by_map, volume.kernel) = (true, KernelState::Disabled);
        volume.distrust_maps();
        assert_eq!((volume.state, volume.by_map), (VolumeState::NeedSync, false));
    }

    #[test]
    fn nobody_writes_before_it_is_known_what_was_lost() {
        let (mut group, name) = mirrored();
        let writes = Finding::Writes(name.clone(), 3);
        assert!(writes.can_be_made(&group));
        group.volumes.get_mut(&name).unwrap().lost = BTreeSet::from([3]);
        assert!(!writes.can_be_made(&group) && writes.is_new(&group));
    }

    #[test]
    fn whoever_has_closed_it_leaves_nothing_behind() {
        let (before, name) = mirrored();
        let group = Finding::apply(&before, &[Finding::Writes(name.clone(), 3)]).group;
        let found = Finding::apply(&group, &[Finding::Rests(name.clone(), 3)]);
        assert_eq!((found.group, found.volumes), (before.clone(), BTreeSet::from([name.clone()])));
        let found = Finding::apply(&before, &[Finding::Rests(name, 3)]);
        assert_eq!((found.group, found.volumes), (before, BTreeSet::new()));
    }

    #[test]
    fn what_was_copied_is_current_and_the_rest_is_not() {
        let (mut group, name) = mirrored();
        let plexes = group.volumes[&name].plexes.clone();
        for plex in &plexes[1..] {
            group.plexes.get_mut(plex).unwrap().state = PlexState::Stale;
        }
        let none = Finding::Equal(name.clone(), BTreeSet::new());
        assert_eq!(Finding::apply(&group, [&none]).group, group);
        let copied = Finding::Equal(name, BTreeSet::from([plexes[1].clone()]));
        let found = Finding::apply(&group, [&copied]);
        assert_eq!(found.group.plexes[&plexes[1]].state, PlexState::Active);
    }

    #[test]
    fn the_last_good_plex_is_never_taken_off() {
        let (group, name) = mirrored();
        let plexes = group.volumes[&name].plexes.clone();
        let all: Vec<Finding> =
            plexes.iter().map(|plex| Finding::PlexFailed(plex.clone(), None)).collect();
        let after = Finding::apply(&group, &all).group;
        let good = plexes.iter().filter(|name| after.plexes[*name].state == PlexState::Active);
        assert_eq!(good.count(), 1);
    }

    #[test]
    fn the_disk_that_a_plex_has_failed_on_is_failing() {
        let (group, name) = mirrored();
        let plexes = group.volumes[&name].plexes.clone();
        let disk = group.disks["mydg03"].disk.clone();
        let failed = |number: usize| Finding::PlexFailed(plexes[number].clone(), disk.clone());
        let after = Finding::apply(&group, [&failed(1)]).group;
        let failing = |group: &Group| {
            let failing = group.disks.iter().filter(|(_, disk)| disk.failing);
            failing.map(|(name, _)| name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(failing(&after), ["mydg03"]);
        // It is the last one, or the disk is none of the group any more.
        assert_eq!(Finding::apply(&after, [&failed(0)]).group, after);
        let other = Some(UniqueId::new(7, 7, "elsewhere"));
        let other = Finding::PlexFailed(plexes[1].clone(), other);
        assert!(failing(&Finding::apply(&group, [&other]).group).is_empty());
    }
}

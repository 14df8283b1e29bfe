//! The local detach policy (facts 2.10): a disk that one node alone cannot write stays in use, and that
//! node does not write the volume any more.
//!
//! ```text
//! any       cannot write a plex: v FINDING, as under the global policy
//! others    each looks at the disk -> v SIGHT; who asks has seen it, unless it still owes answers
//! all       somebody does not see it, or cannot write it either: the plex is taken off
//!           all others see it: the node's I/O of the volume stands still -> v APART
//! master    from APART on the node counts as lost to the volume: where it may have left copies that
//!           differ is looked up in its maps, and made equal (`logs.rs`, `resync.rs`)
//! the node  the configuration does not say any more that it writes: its I/O goes on, and changes fail;
//!           it looks at the disk from time to time, and writes again when it sees it
//! ```
//! A write that has failed is not answered before that: who reads a copy that has it and then one that has
//! not would see it come and go. The master is asked nothing: what it cannot write it cannot make equal,
//! so that the plex is taken off for all. So it is when a node that stands apart becomes master.

use std::collections::{BTreeMap, BTreeSet};

use llt::{Instant, NodeId, NodeSet};

use super::drain::After;
use super::{Iod, IodNotice, IodOutput, Table, VolumeName, without};
use crate::core::wire::v::VMessage;
use crate::model::{DetachPolicy, Finding, Group, KernelState, Name, Plex, UniqueId, Volume};

/// A disk of a group.
type DiskName = (UniqueId, UniqueId);

#[derive(Clone, Debug, Default)]
pub(super) struct Apart {
    /// Disks that a node cannot write; the same on all members.
    questions: BTreeMap<DiskName, Question>,
    /// What this node looks at because others cannot write it, and by when it has to have said something.
    looks: BTreeMap<DiskName, Instant>,
    /// Volumes that this node is about to say that it stands apart from.
    saying: BTreeSet<VolumeName>,
    /// Nodes that write a volume no more, though the configuration may still say so; the same on all.
    stopped: BTreeSet<(VolumeName, NodeId)>,
    /// What this node does not write, because of which disk.
    own: BTreeMap<(VolumeName, UniqueId), Own>,
}

#[derive(Clone, Debug)]
struct Question {
    /// Who cannot write it.
    node: NodeId,
    /// What is to be taken off if others cannot either, and when that was found.
    plexes: BTreeSet<Name>,
    time: u64,
    /// Who has not said yet whether it sees it.
    voters: NodeSet,
}

#[derive(Clone, Debug)]
struct Own {
    /// What it cannot write.
    plexes: BTreeSet<Name>,
    /// When it looks at the disk again; `None` while it does.
    look_at: Option<Instant>,
}

impl Apart {
    /// Somebody has left: whoever still cannot write says so again.
    pub(super) fn forget_questions(&mut self) {
        self.questions.clear();
        self.looks.clear();
    }

    pub(super) fn nodes_left(&mut self, left: NodeSet) {
        self.stopped.retain(|(_, node)| !left.contains(*node));
    }

    /// This node is in no cluster any more.
    pub(super) fn go_nowhere(&mut self) {
        *self = Self::default();
    }

    fn is_asked(&self, disk: &UniqueId) -> bool {
        self.looks.keys().any(|(_, asked)| asked == disk)
            || self.own.iter().any(|((_, asked), own)| asked == disk && own.look_at.is_none())
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let own = self.own.values().filter_map(|own| own.look_at);
        self.looks.values().copied().chain(own).min()
    }
}

impl Iod {
    // ---- what others see ----

    /// Others are asked before this is taken off: it was found by a node that may be the only one.
    pub(super) fn asks_others(
        &mut self,
        now: Instant,
        from: NodeId,
        group: &UniqueId,
        finding: &Finding,
        time: u64,
    ) -> bool {
        let Finding::PlexFailed(plex, Some(disk)) = finding else { return false };
        let Some(membership) = self.membership() else { return false };
        let voters = membership.members;
        let others = without(voters, from);
        let may_be_alone = membership.master != Some(from) && !others.is_empty();
        let table = self.tables.get(group).map(|table| &*table.image.group);
        if !may_be_alone || !table.is_some_and(|group| is_local(group, finding, plex)) {
            return false;
        }
        let key = (group.clone(), disk.clone());
        let known = self.apart.questions.get_mut(&key);
        if known.as_ref().is_some_and(|known| known.node != from) {
            // Two cannot write it.
            self.take_off(now, &key);
            return false;
        }
        if let Some(known) = known {
            known.plexes.insert(plex.clone());
            return true;
        }
        let (is_voter, asks) = (voters.contains(self.me.node), from == self.me.node);
        let plexes = BTreeSet::from([plex.clone()]);
        self.apart.questions.insert(key.clone(), Question { node: from, plexes, time, voters });
        if asks {
            // What it still may do would come over what is made equal: nobody uses it then.
            let sees = !self.hung.contains(disk);
            self.say_sight(key, sees);
        } else if is_voter {
            self.look_at_disk(disk);
            self.apart.looks.insert(key, now + self.config.look_limit);
        }
        true
    }

    /// A joiner knows of no question: whoever cannot write something says so again.
    pub(super) fn ask_others_again(&mut self, now: Instant) {
        self.apart.looks.clear();
        for ((group, disk), question) in std::mem::take(&mut self.apart.questions) {
            let plexes =
                if question.node == self.me.node { question.plexes } else { BTreeSet::new() };
            for plex in plexes {
                let finding = Finding::PlexFailed(plex, Some(disk.clone()));
                self.find(now, &group, finding, question.time);
            }
        }
    }

    fn look_at_disk(&mut self, disk: &UniqueId) {
        if !self.apart.is_asked(disk) {
            self.out.push_back(IodOutput::Look(disk.clone()));
        }
    }

    /// This node has a path to the disk by which it could be written, or has none.
    pub fn handle_looked(&mut self, now: Instant, disk: &UniqueId, sees: bool) {
        let sees = sees && !self.hung.contains(disk);
        // What this node cannot write itself it has seen before, too.
        let is_own = self.apart.own.keys().any(|(_, of)| of == disk);
        let asked = self.apart.looks.keys().filter(|(_, asked)| asked == disk);
        for key in asked.cloned().collect::<Vec<_>>() {
            self.say_sight(key, sees && !is_own);
        }
        let again = now + self.config.look_again;
        let own =
            self.apart.own.iter_mut().filter(|((_, of), own)| of == disk && own.look_at.is_none());
        own.for_each(|(_, own)| own.look_at = Some(again));
        if sees {
            self.write_again(|_, of| of == disk);
        }
    }

    fn say_sight(&mut self, key: DiskName, sees: bool) {
        self.apart.looks.remove(&key);
        let reconfig = self.membership().map_or(0, |membership| membership.reconfig);
        let (group, disk) = key;
        self.broadcast(&VMessage::Sight { group, disk, reconfig, sees });
    }

    pub(super) fn on_sight(
        &mut self,
        now: Instant,
        from: NodeId,
        key: &DiskName,
        reconfig: u64,
        sees: bool,
    ) {
        let is_of = self.membership().is_some_and(|membership| membership.reconfig == reconfig);
        let question = self.apart.questions.get_mut(key).filter(|_| is_of);
        let Some(question) = question.filter(|question| question.voters.contains(from)) else {
            return;
        };
        question.voters.remove(from);
        if !sees {
            self.take_off(now, key);
        } else if question.voters.is_empty() {
            self.leave_apart(now, key);
        }
    }

    /// It is not one node alone: as under the global policy.
    fn take_off(&mut self, now: Instant, key: &DiskName) {
        self.apart.looks.remove(key);
        let Some(Question { node, plexes, time, .. }) = self.apart.questions.remove(key) else {
            return;
        };
        let (group, disk) = key;
        for plex in plexes {
            self.notice(IodNotice::PlexFailed { group: group.clone(), plex: plex.clone(), node });
            self.want(now, group, Finding::PlexFailed(plex, Some(disk.clone())), time);
        }
    }

    /// It is one node alone.
    fn leave_apart(&mut self, now: Instant, key: &DiskName) {
        let Some(Question { node, plexes, .. }) = self.apart.questions.remove(key) else { return };
        let (group, disk) = key.clone();
        self.notice(IodNotice::Apart { group: group.clone(), disk: disk.clone(), node });
        if node != self.me.node {
            return;
        }
        for volume in self.volumes_of(&group, &plexes) {
            let look_at = Some(now + self.config.look_again);
            let own = Own { plexes: plexes.clone(), look_at };
            let volume = (group.clone(), volume);
            self.apart.own.insert((volume.clone(), disk.clone()), own);
            self.stand_apart(volume);
        }
    }

    /// Volumes that programs see, of which these are plexes, or plexes of their layers.
    fn volumes_of(&self, group: &UniqueId, plexes: &BTreeSet<Name>) -> Vec<Name> {
        let Some(table) = self.tables.get(group) else { return Vec::new() };
        let volumes = table.image.group.volumes.iter().filter(|(_, volume)| !volume.layer);
        let has_any = |name: &&Name| {
            let map = table.map(name);
            map.is_some_and(|map| map.plexes().any(|(_, plex)| plexes.contains(&plex.name)))
        };
        volumes.map(|(name, _)| name).filter(has_any).cloned().collect()
    }

    // ---- who stands apart ----

    /// It is said when this node's I/O of the volume has come to its end.
    fn stand_apart(&mut self, volume: VolumeName) {
        if self.apart.saying.insert(volume.clone()) {
            self.drain(After::Apart(volume));
        }
    }

    pub(super) fn say_apart(&mut self, now: Instant, volume: VolumeName) {
        if !self.stands_apart(&volume) {
            self.apart.saying.remove(&volume);
        } else if let Some(disk) = self.owing_disk(&volume) {
            // What was given up meanwhile may still be done: the plexes are taken off for all. Views may
            // come in between: it is said again whenever something has changed.
            self.apart.saying.remove(&volume);
            let own = self.apart.own.iter().filter(|((of, _), _)| *of == volume);
            let plexes: BTreeSet<Name> = own.flat_map(|(_, own)| own.plexes.clone()).collect();
            for plex in plexes {
                let finding = Finding::PlexFailed(plex, Some(disk.clone()));
                self.find(now, &volume.0, finding, self.wall);
            }
        } else {
            let (group, volume) = volume;
            self.broadcast(&VMessage::Apart { group, volume });
        }
    }

    /// A disk of the volume that owes this node answers.
    fn owing_disk(&self, (group, name): &VolumeName) -> Option<UniqueId> {
        let map = self.tables.get(group)?.map(name)?;
        map.disks().iter().find(|disk| self.hung.contains(*disk)).cloned()
    }

    /// It writes nothing of the volume any more: what that leaves is looked at as though it were lost.
    pub(super) fn on_apart(&mut self, from: NodeId, volume: VolumeName) {
        if from == self.me.node {
            self.apart.saying.remove(&volume);
        }
        self.copy_anew(&volume);
        self.apart.stopped.insert((volume, from));
        self.resyncs.look();
    }

    /// What is in force has changed, or who is master.
    pub(super) fn forget_apart(&mut self) {
        let tables = &self.tables;
        let record = |(group, name): &VolumeName| tables.get(group)?.image.group.volumes.get(name);
        let writes = |(volume, node): &(VolumeName, NodeId)| {
            // A joiner has no tables yet.
            !tables.contains_key(&volume.0)
                || record(volume).is_some_and(|record| record.writers.contains(&node.get()))
        };
        self.apart.stopped.retain(writes);
        if self.apart.own.is_empty() {
            self.apart.saying.clear();
            return;
        }
        let is_master = self.is_master();
        // A plex may have been moved away from the disk meanwhile.
        let is_kept = |(group, _): &VolumeName, disk: &UniqueId, own: &Own| {
            let group = tables.get(group).map(|table| &table.image.group);
            !is_master
                && group.is_some_and(|group| {
                    let on = |plex: &Name| group.plexes.get(plex).is_some_and(is_on);
                    group.detach_policy == DetachPolicy::Local
                        && own.plexes.iter().any(|plex| on(plex) && group.lies_on(plex, disk))
                })
        };
        self.apart.own.retain(|(volume, disk), own| is_kept(volume, disk, own));
        let own: BTreeSet<VolumeName> = self.apart.own.keys().map(|(of, _)| of.clone()).collect();
        self.apart.saying.retain(|volume| own.contains(volume));
        // That it begins to write may have been on its way when it stopped.
        let mut marked = BTreeSet::new();
        for (volume, _) in self.apart.own.keys() {
            let is_told = self.apart_from(volume).any(|node| node == self.me.node.get());
            let table = self.tables.get(&volume.0).filter(|_| !is_told);
            let record = table.and_then(|table| table.image.group.volumes.get(&volume.1));
            if table.zip(record).is_some_and(|(table, record)| self.is_marked(table, record)) {
                marked.insert(volume.clone());
            }
        }
        marked.into_iter().for_each(|volume| self.stand_apart(volume));
    }

    /// Nodes that do not write the volume any more count as lost to it.
    pub(super) fn apart_from<'a>(&'a self, volume: &'a VolumeName) -> impl Iterator<Item = u8> {
        let of = self.apart.stopped.iter().filter(move |(of, _)| of == volume);
        of.map(|(_, node)| node.get())
    }

    /// Nothing of the volume goes to disks here before it is known what this node has left there.
    pub(super) fn waits_apart(&self, table: &Table, volume: &VolumeName, record: &Volume) -> bool {
        let me = self.me.node;
        self.is_marked(table, record)
            && (self.stands_apart(volume) || self.apart_from(volume).any(|node| node == me.get()))
    }

    /// This node does not write the volume.
    pub(super) fn stands_apart(&self, volume: &VolumeName) -> bool {
        self.apart.own.keys().any(|(of, _)| of == volume)
    }

    /// Disks that are to be looked at again, and those that have not answered in time.
    pub(super) fn look_again(&mut self, now: Instant) {
        let late = self.apart.looks.iter().filter(|(_, limit)| **limit <= now);
        for key in late.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.say_sight(key, false);
        }
        let due = self.apart.own.iter().filter(|(_, own)| own.look_at.is_some_and(|at| at <= now));
        for key in due.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.look_at_disk(&key.1);
            if let Some(own) = self.apart.own.get_mut(&key) {
                own.look_at = None;
            }
        }
    }

    /// Volumes that the configuration does not say any more that this node writes: programs may try.
    fn write_again(&mut self, is_meant: impl Fn(&VolumeName, &UniqueId) -> bool) {
        let is_over = |(volume, disk): &(VolumeName, UniqueId)| {
            let table = self.tables.get(&volume.0);
            let record = table.and_then(|table| table.image.group.volumes.get(&volume.1));
            let waits = table
                .zip(record)
                .is_some_and(|(table, record)| self.waits_apart(table, volume, record));
            is_meant(volume, disk) && !waits
        };
        let over = self.apart.own.keys().filter(|key| is_over(key)).cloned().collect::<Vec<_>>();
        for key in over {
            self.apart.own.remove(&key);
            let ((group, volume), disk) = key;
            self.notice(IodNotice::Together { group, volume, disk });
        }
    }
}

/// It is a plex with data, and not the last one, of a group in which nodes may stand apart.
fn is_local(group: &Group, finding: &Finding, plex: &Name) -> bool {
    let is_data = group.plexes.get(plex).is_some_and(|plex| !plex.is_log_only());
    group.detach_policy == DetachPolicy::Local
        && group.is_shared()
        && is_data
        && finding.is_new(group)
}

fn is_on(plex: &Plex) -> bool {
    plex.kernel == KernelState::Enabled
}

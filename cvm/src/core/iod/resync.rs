//! Copies of volumes are made equal: after a node was lost that was writing, and for plexes that are
//! new.
//!
//! ```text
//! master    v COPY_RANGE -> every member: nobody changes the range from here on, and when what is
//!           under way has come to its end -> RANGE_CLEAR
//! master    all have said so: one copy of the range is read, the others are written; the next
//!           COPY_RANGE, which gives this one back; at the end a finding: the copies are equal
//! ```
//! How far it has come everybody knows from that: a new master goes on there. Meanwhile all nodes read
//! the same copy ([`VolumeIo`](super::VolumeIo)), so that nobody sees that they differ. In a view in
//! which somebody left all ranges are given back before I/O goes on.

use std::collections::{BTreeMap, BTreeSet};

use llt::{Duration, Instant, NodeId, NodeSet};

use super::join::Leaving;
use super::logs::DirtySource;
use super::{Iod, IodNotice, IodOutput, Table, VolumeName};
use crate::core::wire::v::{CopyRange, VMessage};
use crate::model::{Finding, Group, KernelState, Name, Plex, Sectors, UniqueId, Volume};
use crate::volume::PlexMode;

/// Names a range that nobody changes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct RangeNumber(pub u64);

/// How far a volume is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Resync {
    /// Everything before this sector is equal.
    pub at: Sectors,
    /// Plexes that are current when all is.
    pub plexes: BTreeSet<Name>,
    /// All copies are made equal, not only those plexes.
    pub is_whole: bool,
    /// It begins anew when its range has come back: what was equal is not any more.
    begins_anew: bool,
    /// How much this node has copied.
    pub copied: Sectors,
    range: Option<Range>,
    /// After an error.
    not_before: Option<Instant>,
}

/// What nobody changes.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Range {
    number: RangeNumber,
    at: Sectors,
    len: Sectors,
    /// Members that change nothing in it any more; the master counts them, and may hear of the first
    /// before it has heard itself.
    clear: NodeSet,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// The master has said so, and has not heard it yet.
    Said,
    /// It is held; not all members have said that it is clear.
    Clearing,
    /// The master's disks are at work.
    Copying,
    /// They have done it; the range is still to be given back.
    Copied,
}

/// What there is to copy.
#[derive(Clone, Debug)]
struct Needed {
    plexes: BTreeSet<Name>,
    is_whole: bool,
    len: Sectors,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Resyncs {
    of: BTreeMap<VolumeName, Resync>,
    /// The last number.
    numbers: u64,
    /// What is in force has changed, or what is open.
    looks: bool,
    /// This node is to be master when no range is copied any more.
    switch: Option<NodeId>,
    /// Volumes that this node writes and has closed: when that is to be said, or it is said already.
    resting: BTreeMap<VolumeName, Option<Instant>>,
    /// What is clear here but for changes that a disk owes and nobody waits for.
    pub(super) owed: Vec<(VolumeName, RangeNumber)>,
}

impl Resync {
    fn is_copying(&self) -> bool {
        self.range.as_ref().is_some_and(|range| range.phase != Phase::Copied)
    }
}

impl Resyncs {
    /// Something has changed that decides what is to be done.
    pub(super) const fn look(&mut self) {
        self.looks = true;
    }

    /// That it rests, if it was said, does not hold any more.
    pub(super) fn is_written(&mut self, volume: &VolumeName) {
        self.resting.remove(volume);
        self.look();
    }

    /// This node becomes master when no range is copied any more.
    pub(super) const fn switch_later(&mut self, node: NodeId) {
        self.switch = Some(node);
    }

    /// Another node waits to become master.
    pub(super) const fn awaits_switch(&self) -> bool {
        self.switch.is_some()
    }

    /// This range of the volume is held here still.
    pub(super) fn holds(&self, volume: &VolumeName, number: RangeNumber) -> bool {
        let range = self.of.get(volume).and_then(|resync| resync.range.as_ref());
        range.is_some_and(|range| range.number == number)
    }

    /// Ranges of this volume are held here, or copied.
    pub(super) fn has_range(&self, volume: &VolumeName) -> bool {
        self.of.get(volume).is_some_and(|resync| resync.range.is_some())
    }
}

impl Iod {
    /// Volumes whose copies are being made equal.
    pub fn resyncs(&self) -> impl Iterator<Item = (&VolumeName, &Resync)> {
        self.resyncs.of.iter()
    }

    /// Whatever has changed: what is lost, what rests, and what is to be copied next.
    pub(super) fn look_at_copies(&mut self, now: Instant) {
        if std::mem::take(&mut self.resyncs.looks) {
            self.forget_apart();
            self.say_what_is_clear();
            self.find_fills();
            self.forget_resyncs();
            self.find_resyncs();
            self.find_resting(now);
            self.find_lost(now);
        }
        self.say_what_rests(now);
        let mut others = self.resyncs.of.values().filter(|resync| resync.is_copying()).count();
        for volume in self.resyncs.of.keys().cloned().collect::<Vec<_>>() {
            self.copy_next(now, &volume, &mut others);
        }
        self.look_at_fills(now);
        let may_switch = !self.copies_shared() && !self.logs.are_busy();
        if let Some(node) = self.resyncs.switch.take_if(|_| may_switch) {
            self.ask_master(node);
            if !self.switches() {
                // Whoever asked is to know.
                for node in self.peers().iter() {
                    self.out.push_back(IodOutput::SendTo(node, VMessage::MasterStays.encode()));
                }
            }
        }
    }

    pub(super) fn resync_deadline(&self) -> Option<Instant> {
        let again = self.resyncs.of.values().filter_map(|resync| resync.not_before);
        let resting = self.resyncs.resting.values().copied().flatten();
        again.chain(resting).chain(self.fills.deadline()).min()
    }

    // ---- who writes ----

    /// Its copies may differ: all nodes read the same one.
    pub(super) fn may_differ(&self, table: &Table, name: &Name, volume: &Volume) -> bool {
        volume.needs_sync() || !self.lost_writers(table, name, volume).is_empty()
    }

    /// The configuration says that this node writes the volume.
    pub(super) fn is_marked(&self, table: &Table, volume: &Volume) -> bool {
        if table.is_shared() {
            volume.writers.contains(&self.me.node.get())
        } else {
            // A private group has one host, whatever its node is called.
            !volume.writers.is_empty()
        }
    }

    /// This node writes no shared volume any more.
    pub(super) fn writes_nothing(&self) -> bool {
        let shared = self.tables.values().filter(|table| table.is_shared());
        let me = self.me.node.get();
        let mut volumes = shared.flat_map(|table| table.image.group.volumes.values());
        volumes.all(|volume| !volume.writers.contains(&me))
    }

    /// A node that was writing is lost, and the configuration does not say yet what that means. It
    /// cannot join again before, for then nobody could tell, and it would write its maps anew.
    pub(super) fn has_lost_writers(&self) -> bool {
        self.tables.values().filter(|table| table.is_shared()).any(|table| {
            let mut volumes = table.image.group.volumes.iter();
            volumes.any(|(name, volume)| !self.lost_writers(table, name, volume).is_empty())
        })
    }

    /// Who was writing and is lost, or stands apart.
    pub(super) fn lost_writers(&self, table: &Table, name: &Name, volume: &Volume) -> BTreeSet<u8> {
        let mut lost = volume.lost.clone();
        if table.is_shared() {
            let members = self.membership().map_or(NodeSet::EMPTY, |membership| membership.members);
            let is_lost =
                |node: &&u8| NodeId::new(**node).is_none_or(|node| !members.contains(node));
            lost.extend(volume.writers.iter().filter(is_lost));
            let key = (table.image.group.id.clone(), name.clone());
            lost.extend(self.apart_from(&key).filter(|node| volume.writers.contains(node)));
        }
        lost
    }

    /// The master, or the only host: writers that are no members any more have left copies that may
    /// differ.
    fn find_lost(&mut self, now: Instant) {
        let stands = self.is_master() && self.membership().is_some_and(|m| m.is_settled);
        let mut lost = Vec::new();
        for (id, table) in self.tables.iter().filter(|(_, table)| stands || !table.is_shared()) {
            for (name, volume) in &table.image.group.volumes {
                let gone = self.lost_writers(table, name, volume);
                if !gone.is_empty() {
                    lost.push(((id.clone(), name.clone()), gone));
                }
            }
        }
        for (volume, gone) in lost {
            self.look_for_lost(now, volume, gone);
        }
    }

    /// Volumes that this node writes and that are open no more.
    fn find_resting(&mut self, now: Instant) {
        let due = Some(now + self.config.rest_after);
        let mut resting = BTreeMap::new();
        let mut opened = Vec::new();
        for (id, table) in &self.tables {
            for (name, volume) in &table.image.group.volumes {
                if !self.is_marked(table, volume) {
                    continue;
                }
                let key = (id.clone(), name.clone());
                let known = self.resyncs.resting.get(&key).copied();
                if self.open_count(id, name) == 0 {
                    resting.insert(key, known.unwrap_or(due));
                } else if known == Some(None) {
                    opened.push(key);
                }
            }
        }
        self.resyncs.resting = resting;
        // It was said, and does not hold any more.
        for volume in opened {
            self.handle_first_change(now, &volume, self.wall);
        }
    }

    /// Of volumes that were closed a while ago, or now if the node leaves.
    fn say_what_rests(&mut self, now: Instant) {
        let leaves = self.membership().is_some_and(|m| m.leaving != Leaving::No);
        let is_due = |due: &Option<Instant>| due.is_some_and(|due| due <= now || leaves);
        let due = self.resyncs.resting.iter().filter(|(_, due)| is_due(due));
        for volume in due.map(|(volume, _)| volume.clone()).collect::<Vec<_>>() {
            self.resyncs.resting.insert(volume.clone(), None);
            let Some(table) = self.tables.get(&volume.0) else { continue };
            let (me, is_shared) = (self.me.node.get(), table.is_shared());
            let writers = table.image.group.volumes.get(&volume.1).map(|v| v.writers.clone());
            let ours = writers.into_iter().flatten().filter(|node| *node == me || !is_shared);
            for node in ours {
                self.find(now, &volume.0, Finding::Rests(volume.1.clone(), node), self.wall);
            }
        }
    }

    // ---- what is copied ----

    /// What is not to be copied any more.
    fn forget_resyncs(&mut self) {
        let over = self.resyncs.of.keys().filter(|volume| self.needed(volume).is_none());
        for volume in over.cloned().collect::<Vec<_>>() {
            self.release(&volume);
            self.logs.forget(&volume);
            self.tasks.forget(&volume);
            if let Some(Resync { copied, .. }) = self.resyncs.of.remove(&volume)
                && copied > 0
            {
                let (group, volume) = volume;
                self.notice(IodNotice::CopiesEqual { group, volume, copied });
            }
        }
    }

    /// What is to be copied. A volume of which more has to be copied than was begun begins anew.
    fn find_resyncs(&mut self) {
        let mut needed = Vec::new();
        for (id, table) in &self.tables {
            let group = &table.image.group;
            let is_new = group.plexes.values().any(Plex::needs_copy);
            let volumes = group.volumes.iter().filter(|(_, v)| is_new || v.needs_sync());
            needed.extend(volumes.map(|(name, _)| (id.clone(), name.clone())));
        }
        for volume in needed {
            if let Some(needed) = self.needed(&volume) {
                self.adapt(volume, needed);
            }
        }
    }

    /// Copies may differ where they were made equal already.
    pub(super) fn copy_anew(&mut self, volume: &VolumeName) {
        if let Some(resync) = self.resyncs.of.get_mut(volume) {
            resync.begins_anew = true;
            self.wanted.forget_equal(volume);
        }
    }

    /// The same on all nodes, for it depends on what is in force and on nothing else. A plex that was
    /// off meanwhile has missed what was copied: a volume of which more has to be copied than was begun
    /// begins anew, and ranges of before promise too little.
    fn adapt(&mut self, volume: VolumeName, needed: Needed) {
        let known = self.resyncs.of.get_mut(&volume);
        let goes_on = known.as_ref().is_some_and(|known| {
            known.is_whole == needed.is_whole && known.plexes.is_superset(&needed.plexes)
        });
        if let Some(known) = known.filter(|_| goes_on) {
            if known.at < needed.len {
                // The volume has become longer: there is more to copy than was thought.
                self.wanted.forget_equal(&volume);
            }
            known.plexes = needed.plexes;
            known.at = known.at.min(needed.len);
            let is_cut = |range: &Range| range.at + range.len > needed.len;
            if known.range.as_ref().is_some_and(is_cut) {
                self.release(&volume);
            }
            return;
        }
        self.release(&volume);
        self.wanted.forget_equal(&volume);
        // What has changed since then is missing in a plex that comes later.
        self.logs.forget_notes(&volume);
        let Needed { plexes, is_whole, .. } = needed;
        let (range, not_before, copied, begins_anew) = (None, None, 0, false);
        let resync = Resync { at: 0, plexes, is_whole, begins_anew, copied, range, not_before };
        self.resyncs.of.insert(volume, resync);
    }

    /// A transaction is under way that says that copies are equal, or no more to be made so. Others may hear
    /// first that it is in force, and change what is copied here.
    fn ends_copies(&self, (group, name): &VolumeName) -> bool {
        let Some(open) = self.open.as_ref().filter(|open| open.txn.id.group == *group) else {
            return false;
        };
        let Some(table) = self.tables.get(group) else { return false };
        let due = |group: &Group| {
            let new = group.plexes.iter().filter(|(_, plex)| plex.needs_copy());
            let new: BTreeSet<Name> = new.map(|(name, _)| name.clone()).collect();
            (group.volumes.get(name).is_some_and(Volume::needs_sync), new)
        };
        due(&table.image.group) != due(&open.txn.group)
    }

    /// What there is to copy of a volume.
    fn needed(&self, (group, name): &VolumeName) -> Option<Needed> {
        let table = self.tables.get(group)?;
        let group = &table.image.group;
        let volume = group.volumes.get(name)?;
        // What is filled is equal by that, and copied to others after it.
        if volume.layer || volume.kernel != KernelState::Enabled || volume.fill.is_some() {
            return None;
        }
        let map = table.map(name)?;
        let is_new = |name: &Name| group.plexes.get(name).is_some_and(Plex::needs_copy);
        let new = map.plexes().filter(|(_, plex)| plex.mode == PlexMode::WriteOnly);
        let new = new.filter(|(_, plex)| is_new(&plex.name));
        let plexes: BTreeSet<Name> = new.map(|(_, plex)| plex.name.clone()).collect();
        let is_whole = volume.needs_sync();
        let needed = Needed { plexes, is_whole, len: volume.len };
        (is_whole || !needed.plexes.is_empty()).then_some(needed)
    }

    /// The master, or the only host: the next range of a volume, or its end. `others` are copied now.
    ///
    /// What was copied is not flushed by itself: the finding that copies are equal is a transaction, which
    /// flushes every disk of the group before it commits.
    fn copy_next(&mut self, now: Instant, volume: &VolumeName, others: &mut usize) {
        let Some(table) = self.tables.get(&volume.0) else { return };
        let is_shared = table.is_shared();
        let is_ours = !is_shared || self.is_master();
        let may = self.may_make_true(&volume.0)
            && !(is_shared && (self.is_about_to_leave() || self.resyncs.awaits_switch()));
        let record = table.image.group.volumes.get(&volume.1);
        let len = record.map_or(0, |volume| volume.len);
        let is_lost = |record| !self.lost_writers(table, &volume.1, record).is_empty();
        let may = may && record.is_some_and(|record| !is_lost(record)) && !self.ends_copies(volume);
        let Some(resync) = self.resyncs.of.get_mut(volume) else { return };
        resync.not_before.take_if(|at| *at <= now || !is_ours);
        if resync.is_copying() || !is_ours {
            return;
        }
        if std::mem::take(&mut resync.begins_anew) {
            resync.at = 0;
        }
        if may && !self.skip_equal(volume, len) {
            return;
        }
        let is_paused = self.tasks.pace(volume).is_paused;
        let Some(resync) = self.resyncs.of.get_mut(volume) else { return };
        let len = len.saturating_sub(resync.at).min(RANGE);
        if may && !is_paused && resync.not_before.is_none() && len > 0 && *others < RANGES_MAX {
            *others += 1;
            self.say_range(volume, len);
            return;
        }
        let plexes = resync.plexes.clone();
        self.give_back(volume);
        if len == 0 && may {
            self.want(now, &volume.0, Finding::Equal(volume.1.clone(), plexes), self.wall);
        }
    }

    /// What is to be copied is in maps, if that is so: where copies may differ, and what has changed since
    /// the plexes were broken off. Plexes that are new need everything.
    fn dirty_source(&self, (id, name): &VolumeName, resync: &Resync) -> Option<DirtySource> {
        let group = &self.tables.get(id)?.image.group;
        let volume = group.volumes.get(name)?;
        let changes = group.noted(name).filter(|_| !resync.plexes.is_empty());
        let since = |plex: &Name| group.plexes.get(plex).and_then(|plex| plex.since);
        let may_skip = |plex: &Name| changes.is_some() && since(plex) == changes;
        let is_known = (!resync.is_whole || volume.by_map) && resync.plexes.iter().all(may_skip);
        is_known.then_some(DirtySource { recovery: resync.is_whole, changes })
    }

    /// Only what maps say is copied, where they do. `false`: what they say is not known yet.
    fn skip_equal(&mut self, volume: &VolumeName, len: Sectors) -> bool {
        let Some(resync) = self.resyncs.of.get(volume) else { return true };
        let Some(source) = self.dirty_source(volume, resync) else { return true };
        let from = usize::try_from(resync.at / RANGE).unwrap_or(usize::MAX);
        let mut next = self.logs.next_dirty(volume, source, from);
        if next.is_none() {
            if !self.look_for_dirty(volume, source) {
                return true;
            }
            next = self.logs.next_dirty(volume, source, from);
        }
        let Some(next) = next else { return false };
        let at = next.map_or(len, |range| range as u64 * RANGE);
        if let Some(resync) = self.resyncs.of.get_mut(volume) {
            resync.at = resync.at.max(at).min(len);
        }
        true
    }

    /// Nothing is open or written here any more: what is copied is the last thing to be waited for.
    pub(super) fn is_about_to_leave(&self) -> bool {
        let leaves = self.membership().is_some_and(|m| m.leaving != Leaving::No);
        leaves && !self.has_shared_opens() && self.writes_nothing()
    }

    /// A range of a shared volume is being copied, or is about to be.
    pub(super) fn copies_shared(&self) -> bool {
        let is_shared = |group: &UniqueId| self.tables.get(group).is_some_and(Table::is_shared);
        let mut of = self.resyncs.of.iter();
        of.any(|((group, _), resync)| resync.is_copying() && is_shared(group))
            || self.fills.are_busy(is_shared)
    }

    fn say_range(&mut self, volume: &VolumeName, len: Sectors) {
        self.resyncs.numbers += 1;
        let number = RangeNumber(self.resyncs.numbers);
        let is_shared = self.tables.get(&volume.0).is_some_and(Table::is_shared);
        let Some(resync) = self.resyncs.of.get_mut(volume) else { return };
        let (at, clear) = (resync.at, NodeSet::EMPTY);
        resync.range = Some(Range { number, at, len, clear, phase: Phase::Said });
        let Some(range) = self.copy_range(volume) else { return };
        if is_shared {
            self.broadcast(&VMessage::CopyRange(range));
        } else {
            self.hold_range(range);
        }
    }

    fn copy_range(&self, volume: &VolumeName) -> Option<CopyRange> {
        let resync = self.resyncs.of.get(volume)?;
        let range = resync.range.as_ref()?;
        Some(CopyRange {
            group: volume.0.clone(),
            volume: volume.1.clone(),
            number: range.number.0,
            reconfig: self.membership().map_or(0, |membership| membership.reconfig),
            at: range.at,
            len: range.len,
            plexes: resync.plexes.iter().cloned().collect(),
            is_whole: resync.is_whole,
            pace: self.tasks.pace(volume),
        })
    }

    /// What a joiner has to hold, too.
    pub(super) fn copy_ranges(&self) -> Vec<CopyRange> {
        let is_shared = |id: &UniqueId| self.tables.get(id).is_some_and(Table::is_shared);
        let is_heard =
            |resync: &Resync| resync.range.as_ref().is_some_and(|range| range.phase != Phase::Said);
        let of = self.resyncs.of.iter();
        let shared = of.filter(|((group, _), resync)| is_shared(group) && is_heard(resync));
        shared.filter_map(|(volume, _)| self.copy_range(volume)).collect()
    }

    pub(super) fn on_copy_range(&mut self, from: NodeId, range: CopyRange) {
        let Some(membership) = self.membership() else { return };
        if membership.master == Some(from)
            && membership.reconfig == range.reconfig
            && membership.is_member(self.me.node)
        {
            self.hold_range(range);
        }
    }

    /// Nobody changes the range here from now on.
    pub(super) fn hold_range(&mut self, range: CopyRange) {
        let CopyRange { group, volume, number, at, len, plexes, is_whole, .. } = range;
        let (volume, number) = ((group, volume), RangeNumber(number));
        let Some(needed) = self.needed(&volume) else { return };
        let plexes: BTreeSet<Name> =
            plexes.into_iter().filter(|p| needed.plexes.contains(p)).collect();
        // More has to be copied than the master knew when it said so, or there is less to copy from: it
        // begins anew.
        if needed.is_whole != is_whole || plexes != needed.plexes || at + len > needed.len {
            return;
        }
        // Whoever becomes master after this one goes on with numbers of its own.
        self.resyncs.numbers = self.resyncs.numbers.max(number.0);
        let said = self.resyncs.of.get(&volume).and_then(|resync| resync.range.as_ref());
        let clear = said.filter(|said| said.number == number).map_or(NodeSet::EMPTY, |r| r.clear);
        let range = Some(Range { number, at, len, clear, phase: Phase::Clearing });
        let known = self.resyncs.of.get(&volume);
        let copied = known.map_or(0, |resync| resync.copied);
        // The master may have said that before it began anew.
        let begins_anew = at > 0 && known.is_some_and(|resync| resync.begins_anew);
        let not_before = None;
        let resync = Resync { at, plexes, is_whole, begins_anew, copied, range, not_before };
        self.resyncs.of.insert(volume.clone(), resync);
        // Numbers may begin anew with another master.
        self.resyncs.owed.retain(|(of, _)| *of != volume);
        self.out.push_back(IodOutput::HoldRange { volume, number, at, len });
    }

    /// No change of the range is under way on this node any more.
    pub fn handle_range_clear(&mut self, volume: &VolumeName, number: RangeNumber) {
        let Some(table) = self.tables.get(&volume.0) else { return };
        let is_shared = table.is_shared();
        if self.owes_changes_of(volume) {
            // They could be done after the range was copied.
            self.resyncs.owed.push((volume.clone(), number));
            return;
        }
        if !is_shared || self.is_master() {
            self.count_clear(self.me.node, number, is_shared);
        } else {
            let reconfig = self.membership().map_or(0, |membership| membership.reconfig);
            self.send_to_master(&VMessage::RangeClear { number: number.0, reconfig });
        }
    }

    pub(super) fn on_range_clear(&mut self, from: NodeId, number: u64, reconfig: u64) {
        if self.is_master() && self.membership().is_some_and(|m| m.reconfig == reconfig) {
            self.count_clear(from, RangeNumber(number), true);
        }
    }

    /// A member has nothing under way there; when none has, it is copied.
    fn count_clear(&mut self, from: NodeId, number: RangeNumber, is_shared: bool) {
        let members = self.membership().map_or(NodeSet::EMPTY, |membership| membership.members);
        let tables = &self.tables;
        let is_of = |group| tables.get(group).is_some_and(|table| table.is_shared() == is_shared);
        for (volume, resync) in self.resyncs.of.iter_mut().filter(|((group, _), _)| is_of(group)) {
            let Some(range) = resync.range.as_mut().filter(|range| range.number == number) else {
                continue;
            };
            range.clear.insert(from);
            let is_clear = !is_shared || members.difference(range.clear).is_empty();
            if is_clear && range.phase == Phase::Clearing {
                range.phase = Phase::Copying;
                let volume = volume.clone();
                self.out.push_back(IodOutput::CopyRange { volume, number });
            }
        }
    }

    /// The copies of the range are equal, or could not be made so.
    pub fn handle_copied(
        &mut self,
        now: Instant,
        volume: &VolumeName,
        number: RangeNumber,
        is_equal: bool,
    ) {
        let Some(resync) = self.resyncs.of.get_mut(volume) else { return };
        let is_it = |range: &&mut Range| range.number == number && range.phase == Phase::Copying;
        let Some(range) = resync.range.as_mut().filter(is_it) else { return };
        range.phase = Phase::Copied;
        if is_equal {
            resync.at = range.at + range.len;
            resync.copied += range.len;
            let delay = u64::from(self.tasks.pace(volume).delay);
            resync.not_before = (delay > 0).then(|| now + Duration::from_millis(delay));
        } else {
            resync.not_before = Some(now + COPY_RETRY);
            let (group, volume) = volume.clone();
            self.notice(IodNotice::CopyingFailed { group, volume });
        }
        self.look_at_copies(now);
        self.leave_if_closed();
        self.tell_tasks(now);
    }

    /// The master: what is held of a volume is held no more, everywhere.
    fn give_back(&mut self, volume: &VolumeName) {
        let Some(resync) = self.resyncs.of.get_mut(volume) else { return };
        if resync.range.take().is_none() {
            return;
        }
        if self.tables.get(&volume.0).is_some_and(Table::is_shared) {
            let reconfig = self.membership().map_or(0, |membership| membership.reconfig);
            let (group, name) = volume.clone();
            self.broadcast(&VMessage::CopyOver { group, volume: name, reconfig });
        } else {
            self.out.push_back(IodOutput::ReleaseRange { volume: volume.clone() });
        }
    }

    pub(super) fn on_copy_over(&mut self, from: NodeId, volume: &VolumeName, reconfig: u64) {
        let is_current = self.membership().is_some_and(|membership| {
            membership.master == Some(from) && membership.reconfig == reconfig
        });
        if !is_current {
            return;
        }
        if let Some(resync) = self.resyncs.of.get_mut(volume) {
            // The master may have begun another one since.
            resync.range.take_if(|range| range.phase != Phase::Said);
        }
        self.out.push_back(IodOutput::ReleaseRange { volume: volume.clone() });
    }

    /// What is held of a volume is held no more on this node; whatever was said of that may still be on
    /// its way, and of the reconfiguration before.
    fn release(&mut self, volume: &VolumeName) {
        if let Some(resync) = self.resyncs.of.get_mut(volume) {
            resync.range = None;
        }
        self.out.push_back(IodOutput::ReleaseRange { volume: volume.clone() });
    }

    /// Nodes have left, or there is another master: before I/O goes on, all that was held is given
    /// back. What the lost ones were writing begins anew.
    pub(super) fn release_ranges(&mut self, left: NodeSet) {
        self.resyncs.switch = None;
        self.resyncs.resting.clear();
        for volume in self.resyncs.of.keys().cloned().collect::<Vec<_>>() {
            let Some(table) = self.tables.get(&volume.0).filter(|table| table.is_shared()) else {
                continue;
            };
            let record = table.image.group.volumes.get(&volume.1);
            let writes = |node: &u8| NodeId::new(*node).is_some_and(|node| left.contains(node));
            let begins_anew = record.is_some_and(|record| record.writers.iter().any(writes));
            self.release(&volume);
            if let Some(resync) = self.resyncs.of.get_mut(&volume).filter(|_| begins_anew) {
                resync.at = 0;
            }
        }
        self.forget_logs();
        self.fills.ask_anew();
        self.resyncs.look();
    }

    /// This node is in no cluster any more.
    pub(super) fn leave_resyncs(&mut self) {
        let tables = &self.tables;
        let is_shared = |(group, _): &&VolumeName| tables.get(group).is_none_or(Table::is_shared);
        let shared = self.resyncs.of.keys().filter(is_shared).cloned().collect::<Vec<_>>();
        for volume in shared {
            self.release(&volume);
            self.resyncs.of.remove(&volume);
        }
        self.resyncs.switch = None;
        self.forget_logs();
        self.resyncs.look();
    }

    fn forget_logs(&mut self) {
        let tables = &self.tables;
        self.logs.forget_shared(|group| tables.get(group).is_none_or(Table::is_shared));
    }
}

/// A range, in sectors: while it is copied nobody changes it, so it is soon over.
pub(super) const RANGE: Sectors = 2048;
/// So many volumes are copied at the same time.
const RANGES_MAX: usize = 4;
/// After a copy that could not be read.
const COPY_RETRY: Duration = Duration::from_secs(30);

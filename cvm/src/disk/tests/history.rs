//! Any history of changes, failed writes and abandoned changes: no import passes a committed
//! configuration over.

use std::collections::{BTreeMap, BTreeSet};

use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::medium::request;
use super::samples::*;
use crate::disk::*;
use crate::model::sample;
use crate::model::{Copies, Group, Stamp, UniqueId};

/// A group of so many disks, 2 at least, without volumes.
fn group(disks: u32) -> Group {
    let mut group = sample::group();
    group.volumes.clear();
    group.plexes.clear();
    group.subdisks.clear();
    group.disks.clear();
    for number in 1..=disks {
        let disk = sample::disk(&mut group, number);
        group.disks.insert(dm(number), disk);
    }
    group
}

struct History {
    rng: Xoshiro256PlusPlus,
    disks: Vec<FoundDisk>,
    group: Group,
    /// The lists that an image on disk may name.
    lists: Vec<CopyList>,
    /// The last one that was committed, and where it is.
    committed: Stamp,
    in_force: Slot,
    /// The disks that have it.
    current: BTreeSet<UniqueId>,
    tid: u64,
    changes: [u32; 2],
}

impl History {
    fn new(seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let count = 1 + rng.next_u32() % 7;
        let group = group(count);
        let first = Image { slot: slot(0), stamp: stamp(2, 1), ..image_of(group.clone()) };
        let disk = |number| FoundDisk {
            access: format!("disk_{number}"),
            label: label(number),
            claims: Claims {
                newest: Some(Claim { floor: stamp(0, 0), ..claim(number) }),
                damaged: 0,
            },
            slots: [
                FoundSlot::Image(Box::new(first.clone())),
                FoundSlot::decode(slot(1), &[0; BLOCK]),
                FoundSlot::decode(slot(2), &[0; BLOCK]),
            ],
            log: true,
        };
        Self {
            disks: (1..=count).map(disk).collect(),
            rng,
            group,
            lists: vec![first.copies],
            committed: first.stamp,
            in_force: first.slot,
            current: (1..=count).map(disk_id).collect(),
            tid: 1,
            changes: [0; 2],
        }
    }

    /// Some of the disks, more often many than few.
    fn some(&mut self) -> BTreeSet<UniqueId> {
        let of = 1 + self.rng.next_u32() % 5;
        let ids: Vec<_> = self.disks.iter().map(|disk| disk.label.disk.clone()).collect();
        ids.into_iter().filter(|_| !self.rng.next_u32().is_multiple_of(of)).collect()
    }

    fn held(&self) -> Held {
        let mut held = [None; SLOTS];
        for disk in &self.disks {
            for (held, slot) in held.iter_mut().zip(&disk.slots) {
                if let FoundSlot::Image(image) = slot {
                    *held = (*held).max(Some(image.stamp));
                }
            }
        }
        held
    }

    /// A change is written wherever that works, and committed if that is enough. The next one goes
    /// on from there, whatever came of this.
    fn change(&mut self) {
        if self.rng.next_u32().is_multiple_of(4) {
            let counts = [Copies::All, Copies::Default, Copies::Count(1), Copies::Count(2)];
            self.group.nconfig = counts[self.rng.next_u32() as usize % counts.len()];
        }
        let working = self.some();
        let broken: BTreeSet<_> = self
            .disks
            .iter()
            .map(|disk| disk.label.disk.clone())
            .filter(|id| !working.contains(id))
            .collect();
        let current = &self.lists[0];
        let copies = current.assign(&self.group, &broken);
        if copies.active(CopyKind::Config).next().is_none() {
            return;
        }
        self.tid += 1;
        let free = next_slot(&self.held(), Some(self.in_force), &BTreeSet::new())
            .expect("nothing is busy");
        let image = Image {
            slot: free,
            stamp: stamp(2, self.tid),
            copies: copies.clone(),
            ..image_of(self.group.clone())
        };
        // It may end anywhere.
        let reached = self.some();
        let (torn, claimed) = (self.some(), self.some());
        let lists = &self.lists;
        let mut written = BTreeSet::new();
        for disk in &mut self.disks {
            let id = &disk.label.disk;
            let listed = |list: &CopyList| list.state(id, CopyKind::Config).is_some();
            if !(listed(&copies) || lists.iter().any(listed)) || !working.contains(id) {
                continue;
            }
            if !self.current.contains(id) {
                if !claimed.contains(id) {
                    continue;
                }
                disk.claims.newest.as_mut().expect("each has one").floor = self.committed;
            }
            if reached.contains(id) {
                disk.slots[free.index()] = FoundSlot::Image(Box::new(image.clone()));
                written.insert(id.clone());
            } else if torn.contains(id) {
                disk.slots[free.index()] = FoundSlot::decode(free, &[7; BLOCK]);
            }
        }
        let earlier: Vec<_> = self.lists.iter().collect();
        if is_enough(&earlier, &copies, &written) {
            self.lists = vec![copies];
            (self.committed, self.in_force, self.current) = (image.stamp, free, written);
            self.changes[0] += 1;
        } else {
            self.lists.push(copies);
            self.changes[1] += 1;
        }
    }

    /// True if something was imported.
    fn import(&mut self) -> bool {
        let everything = self.import_of(&self.disks.clone());
        assert!(everything, "all disks are there");
        let there = self.some();
        let found: Vec<_> =
            self.disks.iter().filter(|disk| there.contains(&disk.label.disk)).cloned().collect();
        self.import_of(&found)
    }

    fn import_of(&self, found: &[FoundDisk]) -> bool {
        match choose(&request(), found) {
            Ok(choice) => {
                assert!(
                    choice.image.stamp >= self.committed,
                    "{} was imported after {} was committed; missing: {:?}",
                    choice.image.stamp,
                    self.committed,
                    choice.missing
                );
                true
            }
            Err(error) => {
                assert!(matches!(
                    error,
                    ImportError::TooFewCopies { .. }
                        | ImportError::NoSuchGroup
                        | ImportError::NoValidCopies { .. }
                        | ImportError::Older { .. }
                ));
                false
            }
        }
    }
}

#[test]
fn no_import_passes_a_committed_configuration_over() {
    let mut changes = [0; 2];
    let mut imports: BTreeMap<bool, u32> = BTreeMap::new();
    for seed in 0..1500 {
        let mut history = History::new(seed);
        for _ in 0..12 {
            history.change();
            *imports.entry(history.import()).or_default() += 1;
        }
        changes[0] += history.changes[0];
        changes[1] += history.changes[1];
    }
    assert!(changes.iter().all(|count| *count > 1000), "{changes:?}");
    assert!(imports.values().all(|count| *count > 1000), "{imports:?}");
}

/// What a group of two disks needs most.
#[test]
fn a_group_of_two_disks_goes_on_with_one() {
    let group = group(2);
    let both = CopyList::default().assign(&group, &BTreeSet::new());
    let (first, second) = (BTreeSet::from([disk_id(1)]), BTreeSet::from([disk_id(2)]));
    let one = both.assign(&group, &second);
    assert!(is_enough(&[&both], &one, &first));
    // The one that it lost is not imported alone, the other one is.
    assert!(!both.is_seen(CopyKind::Config, &second) && one.is_seen(CopyKind::Config, &first));
    assert!(!is_enough(&[&both], &one, &BTreeSet::new()));
    assert!(!is_enough(&[&both], &one, &second));
}

#[test]
fn copies_stay_where_they_are_as_long_as_they_can() {
    let mut group = group(7);
    let states = |list: &CopyList| -> String {
        let letter = |number| match list.state(&disk_id(number), CopyKind::Config) {
            None => '-',
            Some(CopyState::Active) => 'a',
            Some(CopyState::Failed) => 'f',
        };
        (1..=7).map(letter).collect()
    };
    let unusable = |numbers: &[u32]| numbers.iter().map(|number| disk_id(*number)).collect();
    let mut list = CopyList::default().assign(&group, &unusable(&[]));
    assert_eq!(states(&list), "aaaaa--");
    list = list.assign(&group, &unusable(&[2]));
    assert_eq!(states(&list), "afaaaa-");
    list = list.assign(&group, &unusable(&[2, 7]));
    assert_eq!(states(&list), "afaaaa-", "nothing was on it");
    list = list.assign(&group, &unusable(&[]));
    assert_eq!(states(&list), "a-aaaa-", "it is back, and not needed");
    group.nconfig = Copies::Count(2);
    list = list.assign(&group, &unusable(&[]));
    assert_eq!(states(&list), "a-a----");
    group.nconfig = Copies::All;
    group.disks.get_mut("mydg05").unwrap().removed = true;
    group.disks.remove("mydg01");
    list = list.assign(&group, &unusable(&[3]));
    assert_eq!(states(&list), "-afa-aa");
    group.nlog = Copies::Count(1);
    list = list.assign(&group, &unusable(&[]));
    let logs: Vec<_> = list.active(CopyKind::Log).cloned().collect();
    assert_eq!(logs, [disk_id(2)]);
    list = list.assign(&group, &(1..=7).map(disk_id).collect());
    assert_eq!(list.active(CopyKind::Config).count(), 0);
}

//! Any history of changes, failed writes and abandoned changes: no import passes a committed
//! configuration over.

use std::collections::{BTreeMap, BTreeSet};

use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::medium::{Medium, import, request};
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

/// A cluster that changes the configuration of a group, loses disks in the middle, dies and imports
/// it again from what is there.
struct History {
    rng: Xoshiro256PlusPlus,
    disks: Vec<FoundDisk>,
    group: Group,
    /// The last configuration that was committed: nothing older may be imported.
    committed: Stamp,
    /// While the group is imported.
    session: Option<Session>,
    /// A write that somebody who is gone has still under way, and to which disks.
    frozen: Option<(Image, BTreeSet<UniqueId>)>,
    epoch: u64,
    tid: u64,
    tally: BTreeMap<&'static str, u32>,
}

struct Session {
    /// The configuration that the next one follows.
    in_force: Image,
    /// The lists that the next image has to name if it names these copies.
    imported: Option<Choice>,
    /// The disks that have it.
    current: BTreeSet<UniqueId>,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let count = 1 + rng.next_u32() % 7;
        let group = group(count);
        let first = Image { slot: slot(0), stamp: stamp(1, 1), ..image_of(group.clone()) };
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
        };
        Self {
            disks: (1..=count).map(disk).collect(),
            rng,
            group,
            committed: first.stamp,
            session: None,
            frozen: None,
            epoch: 1,
            tid: 1,
            tally: BTreeMap::new(),
        }
    }

    fn ids(&self) -> BTreeSet<UniqueId> {
        self.disks.iter().map(|disk| disk.label.disk.clone()).collect()
    }

    /// Some of the disks, more often many than few.
    fn some(&mut self) -> BTreeSet<UniqueId> {
        let of = 1 + self.rng.next_u32() % 5;
        self.ids().into_iter().filter(|_| !self.rng.next_u32().is_multiple_of(of)).collect()
    }

    fn note(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
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

    fn step(&mut self) {
        if self.rng.next_u32().is_multiple_of(3) {
            self.land();
        }
        match self.session.take() {
            None => self.import(),
            Some(session) if self.rng.next_u32().is_multiple_of(5) => self.die(session),
            Some(session) => self.change(session),
        }
    }

    /// Everybody dies, wherever they were; one of them may be only frozen.
    fn die(&mut self, session: Session) {
        self.note("deaths");
        if self.frozen.is_none()
            && session.imported.is_none()
            && let Some(image) = self.next_image(&session, &BTreeSet::new())
        {
            let to = session.current.intersection(&self.some()).cloned().collect();
            self.frozen = Some((image, to));
        }
    }

    /// What is under way arrives, in whole or in part. After that nobody waits for it any more.
    fn land(&mut self) {
        let Some((image, to)) = self.frozen.take() else { return };
        self.note("landed");
        let torn = self.some();
        for disk in self.disks.iter_mut().filter(|disk| to.contains(&disk.label.disk)) {
            disk.slots[image.slot.index()] = if torn.contains(&disk.label.disk) {
                FoundSlot::decode(image.slot, &[7; BLOCK])
            } else {
                FoundSlot::Image(Box::new(image.clone()))
            };
        }
    }

    fn import(&mut self) {
        let all = self.choose(&self.ids());
        assert!(all.is_some(), "all disks are there");
        let there = self.some();
        let Some(choice) = self.choose(&there) else { return self.note("refused") };
        self.note("imports");
        self.epoch = self.epoch.max(choice.epoch.0) + 1;
        let in_force = choice.image.clone();
        let has = |disk: &&FoundDisk| {
            there.contains(&disk.label.disk)
                && disk.slots[in_force.slot.index()] == FoundSlot::Image(Box::new(in_force.clone()))
        };
        let current = self.disks.iter().filter(has).map(|disk| disk.label.disk.clone()).collect();
        self.session = Some(Session { in_force, imported: Some(choice), current });
    }

    /// What an import of these disks would take.
    fn choose(&self, there: &BTreeSet<UniqueId>) -> Option<Choice> {
        let found: Vec<_> =
            self.disks.iter().filter(|disk| there.contains(&disk.label.disk)).cloned().collect();
        match choose(&request(), &found) {
            Ok(choice) => {
                assert!(
                    choice.image.stamp >= self.committed,
                    "{} was imported after {} was committed; missing: {:?}",
                    choice.image.stamp,
                    self.committed,
                    choice.missing
                );
                Some(choice)
            }
            Err(error) => {
                assert!(matches!(
                    error,
                    ImportError::TooFewCopies { .. }
                        | ImportError::NoSuchGroup
                        | ImportError::NoValidCopies { .. }
                        | ImportError::Older { .. }
                ));
                None
            }
        }
    }

    /// The next change, if there are a disk and a slot for it.
    fn next_image(&mut self, session: &Session, broken: &BTreeSet<UniqueId>) -> Option<Image> {
        let copies = session.in_force.copies.assign(&self.group, broken);
        copies.active(CopyKind::Config).next()?;
        let earlier = match &session.imported {
            Some(choice) => choice.earlier_for(&copies),
            None => session.in_force.earlier_for(&copies),
        };
        if earlier.len() > 1 {
            self.note("several earlier lists");
        }
        let busy = self.frozen.iter().map(|(image, _)| image.slot).collect();
        let Some(slot) = next_slot(&self.held(), Some(session.in_force.slot), &busy) else {
            self.note("no slot");
            return None;
        };
        self.tid += 1;
        let stamp = stamp(self.epoch, self.tid);
        Some(Image { slot, stamp, copies, earlier, ..image_of(self.group.clone()) })
    }

    /// A change is written wherever that works, and committed if that is enough. If it is not, it is
    /// abandoned, and the next one goes on from there; nobody remembers it.
    fn change(&mut self, mut session: Session) {
        if self.rng.next_u32().is_multiple_of(4) {
            let counts = [Copies::All, Copies::Default, Copies::Count(1), Copies::Count(2)];
            self.group.nconfig = counts[self.rng.next_u32() as usize % counts.len()];
        }
        let working = self.some();
        let broken = self.ids().difference(&working).cloned().collect();
        let Some(image) = self.next_image(&session, &broken) else {
            self.session = Some(session);
            return;
        };
        let written = self.write(&session, &image, &working);
        let is_enough = image.is_enough(&written);
        if is_enough {
            self.committed = image.stamp;
            session = Session { in_force: image, imported: None, current: written };
        }
        self.note(if is_enough { "committed" } else { "abandoned" });
        // An import is over with its first image.
        if is_enough || session.imported.is_none() {
            self.session = Some(session);
        }
    }

    /// It may end anywhere. What comes of it are the disks that have all of it.
    fn write(
        &mut self,
        session: &Session,
        image: &Image,
        working: &BTreeSet<UniqueId>,
    ) -> BTreeSet<UniqueId> {
        let (reached, torn, claimed) = (self.some(), self.some(), self.some());
        let mut written = BTreeSet::new();
        for disk in &mut self.disks {
            let id = &disk.label.disk;
            let listed = image.lists().any(|list| list.active(CopyKind::Config).any(|a| a == id));
            if !listed || !working.contains(id) {
                continue;
            }
            if !session.current.contains(id) {
                if !claimed.contains(id) {
                    continue;
                }
                disk.claims.newest.as_mut().expect("each has one").floor = session.in_force.stamp;
            }
            if reached.contains(id) {
                disk.slots[image.slot.index()] = FoundSlot::Image(Box::new(image.clone()));
                written.insert(id.clone());
            } else if torn.contains(id) {
                disk.slots[image.slot.index()] = FoundSlot::decode(image.slot, &[7; BLOCK]);
            }
        }
        written
    }
}

/// `HISTORIES` says how many, when the test is built: nothing here reads the environment.
#[test]
fn no_import_passes_a_committed_configuration_over() {
    let count = option_env!("HISTORIES").and_then(|text| text.parse().ok());
    let mut tally: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in 0..count.unwrap_or(1500) {
        let mut history = History::new(seed);
        (0..20).for_each(|_| history.step());
        for (what, count) in history.tally {
            *tally.entry(what).or_default() += count;
        }
    }
    for what in ["abandoned", "committed", "deaths", "imports", "landed", "refused"] {
        assert!(tally.get(what).is_some_and(|count| *count > 1000), "{what}: {tally:?}");
    }
    assert!(tally.contains_key("several earlier lists"), "{tally:?}");
}

/// What a group of two disks needs most.
#[test]
fn a_group_of_two_disks_goes_on_with_one() {
    let before = image_of(group(2));
    let (first, second) = (BTreeSet::from([disk_id(1)]), BTreeSet::from([disk_id(2)]));
    let copies = before.copies.assign(&before.group, &second);
    let earlier = before.earlier_for(&copies);
    let after = Image { stamp: stamp(2, 8), copies, earlier, ..before.clone() };
    assert!(after.is_enough(&first));
    assert!(!after.is_enough(&second) && !after.is_enough(&BTreeSet::new()));
    // It is written once more, for both disks are needed until then.
    let copies = after.copies.clone();
    let earlier = after.earlier_for(&copies);
    let settled = Image { slot: slot(0), stamp: stamp(2, 9), copies, earlier, ..after.clone() };
    assert!(!after.earlier.is_empty() && settled.earlier.is_empty());
    let disk = |number, images: &[&Image]| {
        let mut medium = Medium::member(number);
        images.iter().for_each(|image| medium.image(image));
        medium
    };
    let lost = disk(2, &[&before]);
    import(&[disk(1, &[&after])]).unwrap_err();
    assert_eq!(import(&[disk(1, &[&after, &settled])]).unwrap().image, settled);
    import(std::slice::from_ref(&lost)).unwrap_err();
    assert_eq!(import(&[disk(1, &[&after, &settled]), lost]).unwrap().image, settled);
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

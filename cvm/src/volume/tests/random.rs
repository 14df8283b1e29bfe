//! Random requests, answers in any order, disks that die, tables that change, marks that come late,
//! and copies that are made equal meanwhile.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::groups::{deep, logged, made, make_current, make_stale};
use super::world::{JUNK, World};
use crate::model::op::VolumeLayout;
use crate::model::sample;
use crate::model::{Group, KernelState, LogType, Name, ReadPolicy, Sectors};
use crate::volume::{IoFailed, Notes, RequestId, Rules, VolumeMap, What};

struct Dice(Xoshiro256PlusPlus);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(u64::try_from(len).unwrap())).unwrap()
    }

    /// Few places, so that they meet.
    fn range(&mut self, len: Sectors) -> (Sectors, Sectors) {
        let at = self.below(len / 32) * 32;
        (at, (1 + self.below(200)).min(len - at))
    }
}

/// `reads`: how many of twenty are reads.
fn request(dice: &mut Dice, world: &mut World, reads: u64) {
    let what = match dice.below(20) {
        0 => What::Flush,
        roll if roll < reads => What::Read,
        18..=19 => What::Zero { durable: dice.below(2) == 0, may_unmap: false },
        _ => What::Write { durable: dice.below(4) == 0 },
    };
    let (at, count) = dice.range(world.len());
    let (at, count) = if what == What::Flush { (0, 0) } else { (at, count) };
    world.ask(what, at, count);
}

fn answer(dice: &mut Dice, world: &mut World) {
    if !world.pending.is_empty() {
        let index = dice.index(world.pending.len());
        world.answer(index);
    }
}

/// A sector of a copy cannot be read until it is written.
fn spoil_one(dice: &mut Dice, world: &mut World) {
    let mut leaves = world.leaves();
    let leaf = leaves.swap_remove(dice.index(leaves.len()));
    world.bad.insert((leaf.disk, leaf.at + dice.below(leaf.len)));
}

/// Somebody makes the copies equal, a range after the other.
struct Pass {
    at: Sectors,
    stage: Stage,
    /// How rarely it gives up what takes long.
    patience: u64,
    /// What was copied by now may differ again.
    is_void: bool,
}

#[derive(Clone, Copy)]
enum Stage {
    Idle,
    Holds(RequestId),
    Copies { hold: RequestId, copy: RequestId },
    Over,
}

impl Pass {
    const fn new(patience: u64) -> Self {
        Self { at: 0, stage: Stage::Idle, patience, is_void: false }
    }

    const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// The next step of it, if that is possible by now.
    fn go(&mut self, dice: &mut Dice, world: &mut World) {
        self.stage = match self.stage {
            Stage::Idle if self.at == world.len() => Stage::Over,
            Stage::Idle => {
                let len = (1 + dice.below(200)).min(world.len() - self.at);
                Stage::Holds(world.ask(What::Hold, self.at, len))
            }
            Stage::Holds(hold) => match world.held.get(&hold).cloned() {
                Some(held) => {
                    let copy = world.ask(What::Copy, held.start, held.end - held.start);
                    Stage::Copies { hold, copy }
                }
                None if dice.below(self.patience) == 0 => {
                    world.release(hold);
                    assert_eq!(world.ended[&hold], Ok(()));
                    Stage::Idle
                }
                None => self.stage,
            },
            Stage::Copies { hold, copy } => match world.ended.get(&copy) {
                // It is given back although disks may work on the copy.
                None if dice.below(self.patience) == 0 => {
                    world.cancel(copy);
                    world.release(hold);
                    Stage::Idle
                }
                None if dice.below(self.patience) == 0 => {
                    world.cancel(copy);
                    self.stage
                }
                None => self.stage,
                Some(result) => {
                    if result.is_ok() {
                        let is_void = std::mem::take(&mut self.is_void);
                        self.at = if is_void { 0 } else { world.held[&hold].end };
                    }
                    world.release(hold);
                    assert_eq!(world.ended[&hold], Ok(()));
                    Stage::Idle
                }
            },
            Stage::Over => Stage::Over,
        };
    }

    /// It begins anew, after what is copied at present.
    fn void(&mut self) {
        match self.stage {
            Stage::Copies { .. } | Stage::Holds(_) => self.is_void = true,
            Stage::Idle | Stage::Over => (self.at, self.stage) = (0, Stage::Idle),
        }
    }

    /// It is given up.
    fn stop(&mut self, world: &mut World) {
        match self.stage {
            Stage::Idle | Stage::Over => {}
            Stage::Holds(hold) => world.release(hold),
            Stage::Copies { hold, copy } => {
                world.cancel(copy);
                world.answer_all();
                world.release(hold);
            }
        }
        if !self.is_over() {
            self.stage = Stage::Idle;
        }
    }
}

/// A run of one volume.
struct Run {
    dice: Dice,
    world: World,
    /// A plex that is written and not read.
    stale: Option<Name>,
    pass: Pass,
    /// What others hold.
    holds: Vec<RequestId>,
    /// How many of twenty requests are reads.
    reads: u64,
    /// Copies may differ.
    may_differ: bool,
    /// How much other nodes were writing when they were lost.
    lost: u64,
}

impl Run {
    fn new(seed: u64, layout: Option<VolumeLayout>, policy: ReadPolicy) -> Self {
        let mut dice = Dice(Xoshiro256PlusPlus::seed_from_u64(seed));
        let mut group = layout.map_or_else(|| deep(policy), |layout| made(layout, policy));
        let is_mirrored = VolumeMap::new(&group, "new").unwrap().is_mirrored();
        if is_mirrored && layout.is_some() && dice.below(2) == 0 {
            let log_type = if dice.below(3) == 0 { LogType::Sequential } else { LogType::Region };
            let count = if dice.below(2) == 0 { 1 } else { 2 };
            group = logged(&group, "new", log_type, count);
        }
        let stale = stale(&mut dice, &mut group);
        let rules = Rules {
            log_map: Some(1),
            is_shared: false,
            is_alone: dice.below(2) == 0,
            is_marked: dice.below(2) == 0,
            is_apart: false,
            reads_one: dice.below(2) == 0,
            is_untouched: false,
            notes: None,
            fill: None,
        };
        let mut world = World::new(group, "new", rules);
        world.is_sound = dice.below(3) == 0;
        // With many, regions ahead are marked, too.
        world.regions.1 = if dice.below(2) == 0 { 4 } else { 24 };
        let reads = if dice.below(2) == 0 { 10 } else { 18 };
        let (pass, holds) = (Pass::new(16), Vec::new());
        let mut run = Self { dice, world, stale, pass, holds, reads, may_differ: false, lost: 0 };
        run.spoil_stale();
        if rules.reads_one {
            run.diverge();
        }
        run
    }

    /// Nothing of what is not current may be read.
    fn spoil_stale(&mut self) {
        for leaf in self.world.leaves() {
            if !self.world.volume.map().is_current(leaf.plex) {
                self.world.put(&leaf, 0..512, JUNK);
            }
        }
    }

    /// A node was lost while it wrote: some copies have it, others not.
    fn diverge(&mut self) {
        self.may_differ = true;
        self.world.rules.reads_one = true;
        self.pass.void();
        for _ in 0..6 {
            let (at, len) = self.dice.range(self.world.len());
            self.lost += 1;
            let (range, tag) = (at..at + len, JUNK - self.lost);
            self.world.may_have(range.clone(), tag);
            for leaf in self.world.leaves() {
                let is_current = self.world.volume.map().is_current(leaf.plex);
                if is_current && self.dice.below(2) == 0 {
                    self.world.put(&leaf, range.clone(), tag);
                }
            }
        }
    }

    fn step(&mut self) {
        let Self { dice, world, reads, .. } = self;
        let may_fail = !world.is_sound;
        match dice.below(120) {
            0..=39 => request(dice, world, *reads),
            40..=89 if !world.pending.is_empty() => answer(dice, world),
            90 if may_fail && world.dead.len() < 2 => {
                let disks = world.volume.map().disks();
                let disk = disks[dice.index(disks.len())].to_string();
                world.dead.insert(disk);
            }
            91..=93 if may_fail => spoil_one(dice, world),
            94..=95 => world.stand_still(),
            96..=98 if world.is_to_be_marked => {
                // The table is the same: disks may work.
                world.rules.is_marked = true;
                world.go_on();
            }
            99..=108 => {
                self.pass.go(dice, world);
                if self.pass.is_over() {
                    // From now on nothing that fails can make them differ.
                    (world.rules.reads_one, self.may_differ) = (false, false);
                }
            }
            109 if self.holds.len() < 2 => {
                let (at, len) = dice.range(world.len());
                self.holds.push(world.ask(What::Hold, at, len));
            }
            110..=112 if !self.holds.is_empty() => {
                let hold = self.holds.swap_remove(dice.index(self.holds.len()));
                world.release(hold);
            }
            114..=115 => world.tidy(),
            // Nobody has these.
            113 => {
                world.release(RequestId(u64::MAX - 1));
                world.cancel(RequestId(u64::MAX - 1));
            }
            _ if world.is_still => self.table(),
            _ if !world.to_detach.is_empty() => world.stand_still(),
            _ => {}
        }
    }

    /// Another table.
    fn table(&mut self) {
        let world = &mut self.world;
        if world.is_to_be_marked {
            world.rules.is_marked = true;
        } else if self.dice.below(4) == 0 {
            world.rules.is_marked = false;
        }
        if self.dice.below(3) == 0 {
            // A snapshot was made: what has changed since is another thing.
            let number = world.rules.notes.map_or(1, |notes| notes.number + 1);
            world.rules.notes = Some(Notes { number, has_begun: world.rules.is_marked });
        }
        if world.rules.is_marked {
            world.rules.notes.iter_mut().for_each(|notes| notes.has_begun = true);
        }
        if self.dice.below(8) == 0 {
            self.diverge();
        }
        if self.pass.is_over() && !self.has_lost() {
            self.promote();
        }
        self.world.detach();
    }

    /// A write that failed on the last plex that is current may be on others.
    fn has_lost(&self) -> bool {
        self.world.ended.values().any(|result| *result == Err(IoFailed::Io))
    }

    /// What was copied to is read.
    fn promote(&mut self) {
        let Some(plex) = self.stale.take() else { return };
        let is_there = self.world.group.plexes[&plex].kernel == KernelState::Enabled;
        if is_there && !self.world.to_detach.contains(&plex) {
            make_current(&mut self.world.group, plex.as_str());
        }
    }

    /// Everything comes to an end: who waits for a plex to be taken off gets it, and who needs a mark.
    fn settle(&mut self) {
        for _ in 0..100 {
            self.world.answer_all();
            self.pass.stop(&mut self.world);
            for hold in self.holds.drain(..) {
                self.world.release(hold);
            }
            self.world.answer_all();
            let world = &mut self.world;
            if world.volume.requests() == 0 && world.to_detach.is_empty() && !world.is_still {
                return;
            }
            world.rules.is_marked |= world.is_to_be_marked;
            world.stand_still();
            world.answer_all();
            world.detach();
        }
        panic!("{} requests never end", self.world.volume.requests());
    }

    /// All copies are made equal while programs go on; no disk fails any more but for a sector, for a
    /// while.
    fn copy_all(&mut self) {
        self.world.dead.clear();
        self.world.bad.clear();
        self.pass = Pass::new(300);
        self.spoil_stale();
        if self.dice.below(2) == 0 {
            self.diverge();
        }
        self.world.go_on();
        for _ in 0..20_000 {
            let Self { dice, world, pass, reads, .. } = self;
            if world.is_to_be_marked {
                world.rules.is_marked = true;
                world.go_on();
            }
            match dice.below(80) {
                79 if world.is_sound => {}
                79 if world.bad.is_empty() => spoil_one(dice, world),
                79 => world.bad.clear(),
                0..=9 if world.volume.requests() < 20 => request(dice, world, *reads),
                0..=49 => answer(dice, world),
                _ => pass.go(dice, world),
            }
            if pass.is_over() {
                return;
            }
        }
        panic!("copies never become equal");
    }

    fn go(&mut self) {
        for number in 0..400 {
            self.step();
            if number % 8 == 0 && !self.may_differ && !self.has_lost() {
                self.world.check_marks();
            }
        }
        self.settle();
        if !self.may_differ {
            self.world.assert_equal();
        }
        self.copy_all();
        self.settle();
        self.world.assert_all_equal();
        // Whichever copy is read has it.
        self.world.bad.clear();
        self.promote();
        self.world.rules.reads_one = false;
        self.world.stand_still();
        self.world.detach();
        for _ in 0..4 {
            let id = self.world.ask(What::Read, 0, self.world.len());
            self.world.answer_all();
            assert_eq!(self.world.ended[&id], Ok(()));
        }
        self.world.assert_equal();
    }
}

/// One of several copies is not current yet, of whatever layer.
fn stale(dice: &mut Dice, group: &mut Group) -> Option<Name> {
    let map = VolumeMap::new(group, "new").unwrap();
    let plexes = map.plexes().filter(|(_, plex)| map.mirror(plex.mirror).plexes.len() > 1);
    let plexes: Vec<Name> = plexes.map(|(_, plex)| plex.name.clone()).collect();
    if plexes.is_empty() || dice.below(2) == 0 {
        return None;
    }
    let plex = plexes[dice.index(plexes.len())].clone();
    make_stale(group, plex.as_str());
    Some(plex)
}

/// Invariants 4, 5 and 7 of `docs/cvm.md`: what was acknowledged is read, and copies are equal.
#[test]
fn what_was_acknowledged_is_read_whatever_fails() {
    // Set when it is compiled: nothing here reads what it runs in.
    let seeds = option_env!("VOLUME_SEEDS").and_then(|count| count.parse().ok());
    for seed in 0..seeds.unwrap_or(12) {
        for layout in sample::LAYOUTS.into_iter().map(Some).chain([None]) {
            for policy in [ReadPolicy::Round, ReadPolicy::Select] {
                Run::new(seed, layout, policy).go();
            }
        }
    }
}

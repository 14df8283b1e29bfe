//! Random requests, answers in any order, disks that die, and tables that change.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::world::World;
use crate::model::apply::{Env, apply};
use crate::model::op::{Make, Op, VolumeLayout};
use crate::model::sample::{self, name};
use crate::model::{Group, ReadPolicy};
use crate::volume::What;

struct Dice(Xoshiro256PlusPlus);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit
    }

    fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(u64::try_from(len).unwrap())).unwrap()
    }
}

/// A volume of four stripe units over eight disks.
fn group(layout: VolumeLayout, policy: ReadPolicy) -> Group {
    let mut group = sample::group();
    for number in 4..=8 {
        let disk = sample::disk(&mut group, number);
        group.disks.insert(name(&format!("mydg0{number}")), disk);
    }
    let striped = matches!(
        layout,
        VolumeLayout::MirrorStripe | VolumeLayout::Stripe | VolumeLayout::StripeMirror
    );
    let columns = striped.then_some(2);
    let make = Make { columns, ..Make::new(name("new"), Some(512), layout) };
    let env = Env { nodes: 3, ..Env::default() };
    let mut group = apply(&group, &Op::Make(Box::new(make)), &env).unwrap();
    group.volumes.get_mut("new").unwrap().read_policy = policy;
    group
}

fn request(dice: &mut Dice, world: &mut World) {
    let what = match dice.below(10) {
        0 => What::Flush,
        1 => What::Zero { durable: dice.below(2) == 0, may_unmap: false },
        2..=5 => What::Read,
        _ => What::Write { durable: dice.below(4) == 0 },
    };
    let len = world.len();
    // Few places, so that they meet.
    let at = dice.below(len / 32) * 32;
    let count = (1 + dice.below(200)).min(len - at);
    let (at, count) = if what == What::Flush { (0, 0) } else { (at, count) };
    world.ask(what, at, count);
}

fn run(seed: u64, layout: VolumeLayout, policy: ReadPolicy) {
    let mut dice = Dice(Xoshiro256PlusPlus::seed_from_u64(seed));
    let is_alone = dice.below(2) == 0;
    let mut world = World::new(group(layout, policy), "new", is_alone);
    let may_die = dice.below(3);
    for _ in 0..300 {
        match dice.below(100) {
            0..=39 => request(&mut dice, &mut world),
            40..=89 if !world.pending.is_empty() => {
                let index = dice.index(world.pending.len());
                world.answer(index);
            }
            90 if may_die > 0 && world.dead.len() < 2 => {
                let disks = world.volume.map().disks();
                let disk = disks[dice.index(disks.len())].to_string();
                world.dead.insert(disk);
            }
            91..=93 => {
                let disks = world.volume.map().disks();
                let disk = disks[dice.index(disks.len())].to_string();
                let at = dice.below(64);
                world.bad.insert((disk, at));
            }
            94..=95 => world.stand_still(),
            _ if world.is_still => world.detach(),
            _ if !world.to_detach.is_empty() => world.stand_still(),
            _ => {}
        }
    }
    // Everything comes to an end: who waits for a plex to be taken off gets it.
    for _ in 0..100 {
        world.answer_all();
        if world.volume.requests() == 0 && world.to_detach.is_empty() && !world.is_still {
            world.assert_equal();
            return;
        }
        world.stand_still();
        world.answer_all();
        world.detach();
    }
    panic!("{} requests never end", world.volume.requests());
}

/// Invariants 4, 5 and 7 of `docs/cvm.md`: what was acknowledged is read, and copies are equal.
#[test]
fn what_was_acknowledged_is_read_whatever_fails() {
    // Set when it is compiled: nothing here reads what it runs in.
    let seeds = option_env!("VOLUME_SEEDS").and_then(|count| count.parse().ok());
    for seed in 0..seeds.unwrap_or(12) {
        for layout in sample::LAYOUTS {
            for policy in [ReadPolicy::Round, ReadPolicy::Select] {
                run(seed, layout, policy);
            }
        }
    }
}

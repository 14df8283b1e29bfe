//! What breaks, when: the schedule of faults of a run.

use core::time::Duration;

use crate::node::State;
use crate::rng::Draw;
use crate::world::World;

/// How faults follow each other.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChaosPlan {
    /// What is likely.
    pub weights: Weights,
    /// Mean time between two faults.
    pub period: Duration,
    /// Nothing breaks before.
    pub start: Duration,
    /// From `start` to the last fault.
    pub length: Duration,
}

/// Relative likelihood of each kind of fault.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weights {
    /// A path delivers nothing for a while, then everything.
    pub clog: u32,
    /// A process dies and comes back after a while.
    pub crash: u32,
    /// All that is cut is mended.
    pub heal: u32,
    /// A node keeps one link only.
    pub last_link: u32,
    /// A node leaves in order and comes back.
    pub leave: u32,
    /// One link of one node is cut both ways.
    pub link_cut: u32,
    /// One path loses many frames.
    pub lossy: u32,
    /// A card receives but does not send.
    pub mute: u32,
    /// A node does not hear another, which hears it.
    pub one_way: u32,
    /// Two nodes do not hear each other; others hear both.
    pub pair_cut: u32,
    /// The nodes fall into groups.
    pub partition: u32,
    /// A process is stopped, then goes on.
    pub pause: u32,
    /// A process dies and is back before anybody notices.
    pub quick: u32,
    /// Turns of a node take long.
    pub slow: u32,
}

impl Weights {
    /// Nothing breaks.
    pub const NONE: Self = Self {
        clog: 0,
        crash: 0,
        heal: 0,
        last_link: 0,
        leave: 0,
        link_cut: 0,
        lossy: 0,
        mute: 0,
        one_way: 0,
        pair_cut: 0,
        partition: 0,
        pause: 0,
        quick: 0,
        slow: 0,
    };

    /// Everything is equally likely.
    pub const fn all(weight: u32) -> Self {
        Self {
            clog: weight,
            crash: weight,
            heal: weight * 4,
            last_link: weight,
            leave: weight,
            link_cut: weight,
            lossy: weight,
            mute: weight,
            one_way: weight,
            pair_cut: weight,
            partition: weight,
            pause: weight,
            quick: weight,
            slow: weight,
        }
    }

    /// Swarm testing: each kind is switched off, normal or favoured by a draw, because a run in
    /// which everything happens leaves many combinations unseen.
    pub fn scramble(&mut self, draw: &mut Draw) {
        for weight in self.each() {
            *weight *= [0, 0, 1, 5][draw.pick(4)];
        }
        self.heal = self.heal.max(10);
    }

    fn each(&mut self) -> [&mut u32; 14] {
        [
            &mut self.clog,
            &mut self.crash,
            &mut self.heal,
            &mut self.last_link,
            &mut self.leave,
            &mut self.link_cut,
            &mut self.lossy,
            &mut self.mute,
            &mut self.one_way,
            &mut self.pair_cut,
            &mut self.partition,
            &mut self.pause,
            &mut self.quick,
            &mut self.slow,
        ]
    }
}

/// Lets one fault happen.
pub fn strike(world: &mut World, mut weights: Weights, draw: &mut Draw) {
    let list = weights.each().map(|weight| *weight);
    if list.iter().all(|weight| *weight == 0) {
        return;
    }
    let nodes = world.nodes();
    let node = draw.pick(nodes);
    let other = (node + 1 + draw.pick(nodes.max(2) - 1)) % nodes;
    let link = draw.pick(world.net.links());
    match draw.weighted(&list) {
        0 => {
            let until = world.now() + draw.between(millis(1), millis(1500));
            world.net.clog(link, node, other, until);
        }
        1 => crash(world, node, draw.between(millis(300), millis(4000))),
        2 => world.mend(),
        3 => world.cut_node(node, Some(link), true),
        4 => world.leave(node, draw.between(millis(50), millis(2000))),
        5 => world.pull_cable(node, link),
        6 => world.net.set_loss(link, node, other, draw.unit()),
        7 => world.net.set_mute(link, node, true),
        8 => world.cut_pair(node, other, false),
        9 => world.cut_pair(node, other, true),
        10 => partition(world, draw),
        11 => pause(world, node, draw),
        12 => crash(world, node, draw.between(millis(0), millis(300))),
        _ => world.slow(node, draw.between(millis(1), millis(60))),
    }
}

fn crash(world: &mut World, node: usize, down: Duration) {
    world.crash(node);
    world.restart_after(node, down);
}

fn partition(world: &mut World, draw: &mut Draw) {
    let groups = 2 + draw.below(2);
    let sides: Vec<u64> = (0..world.nodes()).map(|_| draw.below(groups)).collect();
    world.partition(&sides);
}

fn pause(world: &mut World, node: usize, draw: &mut Draw) {
    if world.state(node) != State::Running {
        return;
    }
    // Around the inactive time of the fast timers: short of it, at it, beyond it.
    let (low, high) = [(5, 300), (700, 1300), (1000, 4000)][draw.pick(3)];
    let length = draw.between(millis(low), millis(high));
    let everybody = draw.chance(0.1);
    for index in 0..world.nodes() {
        if index == node || everybody {
            world.pause(index, length);
        }
    }
}

const fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

//! What breaks besides processes and cables: daemons of CVM alone, paths, disks, whole rooms.

use core::time::Duration;

use llt::Instant;

use super::driver::Driver;
use crate::rng::{Draw, Seed};

/// When the next thing breaks.
#[derive(Debug)]
pub struct Chaos {
    draw: Draw,
    next: Instant,
    period: Duration,
    weights: [u32; 11],
}

impl Chaos {
    /// Of a seed: each kind is off, normal or favoured.
    pub fn new(seed: Seed) -> Self {
        let mut draw = seed.child("chaos").draw();
        let weights = [5, 3, 6, 6, 14, 5, 6, 3, 2, 6, 8];
        let weights = weights.map(|weight| weight * [0, 1, 1, 4][draw.pick(4)]);
        let period = Duration::from_millis(draw.range(300, 2500));
        Self { next: Instant::ZERO + draw.exponential(period), draw, period, weights }
    }

    /// Lets something break if it is time.
    pub fn strike(&mut self, driver: &mut Driver) {
        let now = driver.now();
        if now < self.next {
            return;
        }
        let draw = &mut self.draw;
        self.next = now + draw.exponential(self.period);
        let node = draw.pick(driver.nodes.len());
        let known = driver.storage.disks.known();
        let disk = known[draw.pick(known.len())].clone();
        let id = driver.nodes[node].id;
        let time = draw.between(Duration::from_millis(20), Duration::from_millis(3000));
        match draw.weighted(&self.weights) {
            0 => driver.kill_configd(node, time / 2),
            1 => driver.kill_iod(node, time / 2),
            2 => {
                driver.say(|| format!("node {node}: no path to {disk}"));
                driver.storage.disks.set_path(id, &disk, false);
            }
            3 => driver.storage.disks.set_path(id, &disk, true),
            4 => {
                driver.say(|| format!("disk {disk} stalls for {time:?}"));
                driver.storage.stall(&disk, now + time);
            }
            5 => {
                driver.say(|| format!("disk {disk} is dead"));
                driver.storage.disks.set_dead(&disk, true);
            }
            6 => {
                driver.say(|| format!("disk {disk} is not dead"));
                driver.storage.disks.set_dead(&disk, false);
            }
            7 => driver.storage.errors = [0.0, 0.02, 0.3][draw.pick(3)],
            8 => {
                let with_disks = draw.chance(0.7);
                for node in 0..driver.nodes.len() {
                    driver.crash(node);
                }
                if with_disks {
                    driver.lose_power();
                }
                for node in 0..driver.nodes.len() {
                    let down = draw.between(Duration::from_millis(1), Duration::from_millis(900));
                    driver.world.restart_after(node, down);
                }
            }
            9 => driver.fail_plex(node, draw.bits()),
            _ => {
                if draw.chance(0.5) {
                    driver.hang_configd(node, time);
                } else {
                    driver.say(|| "all disks are mended".to_owned());
                    driver.storage.mend();
                }
            }
        }
    }
}

//! Shared disks in virtual time.

use core::time::Duration;
use std::collections::BTreeMap;

use cvm::core::iod::{Token, Write};
use cvm::model::UniqueId;
use cvm::sim::{Course, Disks, Ended, Fate, Writes};
use llt::{Instant, NodeId};

use crate::rng::Draw;

/// The disks of a cluster, and what is on its way there.
#[derive(Debug)]
pub struct Storage {
    /// What lies on them, and who reaches them.
    pub disks: Disks,
    /// What nodes that live have submitted.
    pub writes: Writes,
    /// What nodes that are gone have, and when it lands.
    late: Vec<(Instant, NodeId, Write)>,
    /// Disks that answer nobody for a while.
    stalled: BTreeMap<UniqueId, Instant>,
    /// How likely a write ends with an error.
    pub errors: f64,
    draw: Draw,
}

/// The last write of a node that is gone lands within this time: its lease and the time after which a
/// disk gives up.
const LATE_MAX: Duration = Duration::from_secs(5);

impl Storage {
    /// So many disks that belong to nobody.
    pub fn new(disks: u32, draw: Draw) -> Self {
        let known = (1..=disks).map(|number| UniqueId::new(1_283_432_300, number, "host1"));
        Self {
            disks: Disks::new(known.collect()),
            writes: Writes::default(),
            late: Vec::new(),
            stalled: BTreeMap::new(),
            errors: 0.0,
            draw,
        }
    }

    /// A vxiod wants something written.
    pub fn submit(&mut self, node: NodeId, token: Token, write: Write, is_shared: bool) {
        let slow = self.draw.chance(0.05);
        let most = Duration::from_millis(if slow { 60 } else { 4 });
        let course = Course {
            takes: self.draw.between(Duration::from_micros(100), most),
            error: self.draw.chance(self.errors).then_some(5),
            failed: [Fate::Landed, Fate::Lost, Fate::Torn][self.draw.pick(3)],
        };
        self.writes.submit(node, token, write, is_shared, course);
    }

    /// A disk answers nobody before this.
    pub fn stall(&mut self, disk: &UniqueId, until: Instant) {
        self.stalled.insert(disk.clone(), until);
    }

    /// What is issued, what has ended, and what lands late.
    pub fn step(&mut self, now: Instant, may: impl FnMut(NodeId, bool) -> bool) -> Vec<Ended> {
        self.writes.issue(now, may);
        self.stalled.retain(|_, until| *until > now);
        for (disk, until) in &self.stalled {
            self.writes.stall(disk, *until);
        }
        for (_, node, write) in self.late.extract_if(.., |(at, ..)| *at <= now).collect::<Vec<_>>()
        {
            self.land(node, &write);
        }
        self.writes.end(now, &mut self.disks)
    }

    fn land(&mut self, node: NodeId, write: &Write) {
        if self.disks.is_reached(node, write.disk()).is_ok() {
            self.disks.apply(write);
        }
    }

    /// The vxiod of a node is gone, with what it had submitted.
    pub fn orphan(&mut self, now: Instant, node: NodeId) {
        let draw = &mut self.draw;
        let late = self.writes.orphan(node, &mut self.disks, |is_issued| match draw.pick(6) {
            _ if !is_issued => Fate::Lost,
            0 => Fate::Landed,
            1 => Fate::Lost,
            2 => Fate::Torn,
            _ => Fate::Late,
        });
        for write in late {
            let at = now + draw.between(Duration::ZERO, LATE_MAX);
            self.late.push((at, node, write));
        }
    }

    /// A vxiod starts on a node: its predecessor is gone for good, and writes nothing any more.
    pub fn end_late(&mut self, node: NodeId) {
        let (mine, rest): (Vec<_>, Vec<_>) =
            self.late.drain(..).partition(|(_, of, _)| *of == node);
        self.late = rest;
        for (_, node, write) in mine {
            if self.draw.chance(0.5) {
                self.land(node, &write);
            }
        }
    }

    /// All disks answer, everybody reaches them, and nothing fails any more.
    pub fn mend(&mut self) {
        self.disks.mend();
        self.stalled.clear();
        self.errors = 0.0;
    }

    /// Nothing is on its way, of nodes that live and of others.
    pub fn is_quiet(&self) -> bool {
        self.writes.is_empty() && self.late.is_empty()
    }
}

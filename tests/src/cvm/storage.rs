//! Shared disks in virtual time.

use core::time::Duration;
use std::collections::BTreeMap;

use cvm::model::UniqueId;
use cvm::sim::{Course, Disks, Ended, Fate, Job, Jobs};
use llt::{Instant, NodeId};

use crate::rng::Draw;

/// The disks of a cluster, and what is on its way there.
#[derive(Debug)]
pub struct Storage {
    /// What lies on them, and who reaches them.
    pub disks: Disks,
    /// What vxiods that live have them do.
    pub jobs: Jobs,
    /// What those that are gone have, and when it lands.
    late: Vec<(Instant, NodeId, Job)>,
    /// What a disk has not done in this time is given up.
    limit: Option<Duration>,
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
    /// So many disks that belong to nobody, and how long they have to answer.
    pub fn new(disks: u32, limit: Option<Duration>, draw: Draw) -> Self {
        let known = (1..=disks).map(|number| UniqueId::new(1_283_432_300, number, "host1"));
        Self {
            disks: Disks::new(known.collect()),
            jobs: Jobs::default(),
            late: Vec::new(),
            limit,
            stalled: BTreeMap::new(),
            errors: 0.0,
            draw,
        }
    }

    /// How long disks have to answer.
    pub const fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// A vxiod wants something done.
    pub fn submit(&mut self, node: NodeId, job: Job, is_shared: bool) {
        let slow = self.draw.chance(0.05);
        let most = Duration::from_millis(if slow { 60 } else { 4 });
        let course = Course {
            takes: self.draw.between(Duration::from_micros(100), most),
            error: self.draw.chance(self.errors).then_some(5),
            failed: [Fate::Landed, Fate::Lost, Fate::Torn][self.draw.pick(3)],
        };
        self.jobs.submit(node, job, is_shared, course);
    }

    /// A disk answers nobody before this.
    pub fn stall(&mut self, disk: &UniqueId, until: Instant) {
        self.stalled.insert(disk.clone(), until);
    }

    /// When a disk answers again that does not now.
    pub fn stalled(&self, disk: &UniqueId) -> Option<Instant> {
        self.stalled.get(disk).copied()
    }

    /// What is issued, what has ended, what is given up, and what lands late. `may` is asked of a node, and
    /// whether it is of a shared group.
    pub fn step(&mut self, now: Instant, mut may: impl FnMut(NodeId, bool) -> bool) -> Vec<Ended> {
        self.stalled.retain(|_, until| *until > now);
        self.jobs.issue(now, &mut may);
        for (disk, until) in &self.stalled {
            self.jobs.stall(disk, *until);
        }
        for (_, node, job) in self.late.extract_if(.., |(at, ..)| *at <= now).collect::<Vec<_>>() {
            self.land(node, &job);
        }
        let mut ended = self.jobs.end(now, &mut self.disks);
        if let Some(limit) = self.limit {
            ended.extend(self.jobs.give_up(now, limit, |node| may(node, false)));
        }
        ended
    }

    fn land(&mut self, node: NodeId, job: &Job) {
        if self.disks.is_reached(node, job.disk()).is_ok() {
            let _ = self.disks.perform(node, job);
        }
    }

    /// The vxiod of a node is gone, with what it had submitted.
    pub fn orphan(&mut self, now: Instant, node: NodeId) {
        let draw = &mut self.draw;
        let late = self.jobs.orphan(node, &mut self.disks, |job, is_issued| match draw.pick(6) {
            _ if !is_issued => Fate::Lost,
            0 => Fate::Landed,
            1 => Fate::Lost,
            2 => Fate::Torn,
            // Nobody keeps a place free for it.
            _ if matches!(job, Job::Log(..)) => Fate::Landed,
            _ => Fate::Late,
        });
        for job in late {
            let at = now + draw.between(Duration::ZERO, LATE_MAX);
            self.late.push((at, node, job));
        }
    }

    /// A vxiod starts on a node: its predecessor is gone for good, and writes nothing any more.
    pub fn end_late(&mut self, node: NodeId) {
        let (mine, rest): (Vec<_>, Vec<_>) =
            self.late.drain(..).partition(|(_, of, _)| *of == node);
        self.late = rest;
        for (_, node, job) in mine {
            if self.draw.chance(0.5) {
                self.land(node, &job);
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
        self.jobs.is_empty() && self.late.is_empty()
    }
}

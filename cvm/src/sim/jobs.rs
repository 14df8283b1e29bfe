//! What vxiods have their disks do besides the I/O of volumes.
//!
//! As in vxiod, a thread for each disk: of one node and one disk the next job is issued when the one
//! before has ended. What was issued goes on when its node stands still, and may go on when it is
//! killed; what was not is issued when the node goes on, and never if it is killed. What a disk has not
//! done in time is given up, and is still done when the disk answers.

use bytes::Bytes;
use llt::{Duration, Instant, NodeId};

use super::Disks;
use crate::core::iod::{DiskError, LogIo, LogToken, Token, Write, WriteDone};
use crate::disk::DRL_BLOCK;
use crate::model::UniqueId;

/// What becomes of a job that nobody waits for any more, or that is reported as failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It comes later, when its time has come.
    Late,
    /// It is done.
    Landed,
    /// It is not done.
    Lost,
    /// It is cut short.
    Torn,
}

/// How a job goes.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// From its issue to its end.
    pub takes: Duration,
    /// It ends with this error.
    pub error: Option<i32>,
    /// What lies on the disk when it has failed, with this error or for want of a path.
    pub failed: Fate,
}

/// What a disk is to do.
#[derive(Clone, Debug)]
pub enum Job {
    /// A log is read or written.
    Log(LogToken, LogIo),
    /// It shows whether it is there.
    Look(UniqueId),
    /// A claim or a configuration is written.
    Write(Token, Write),
}

impl Job {
    /// Which disk.
    pub const fn disk(&self) -> &UniqueId {
        match self {
            Self::Log(_, LogIo::Read { disk, .. } | LogIo::Write { disk, .. })
            | Self::Look(disk) => disk,
            Self::Write(_, write) => write.disk(),
        }
    }

    /// The disk is another one after it.
    const fn changes(&self) -> bool {
        match self {
            Self::Log(_, LogIo::Write { .. }) | Self::Write(..) => true,
            Self::Log(_, LogIo::Read { .. }) | Self::Look(_) => false,
        }
    }

    fn failed(&self, error: DiskError) -> Answer {
        match self {
            Self::Log(token, _) => Answer::Log(*token, Err(error)),
            Self::Look(disk) => Answer::Look(disk.clone(), false),
            Self::Write(token, _) => Answer::Write(*token, Err(error)),
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// What was read of a log, or nothing if it was written.
    Log(LogToken, Result<Bytes, DiskError>),
    /// The disk is there.
    Look(UniqueId, bool),
    /// Something was written, or was not.
    Write(Token, WriteDone),
}

/// When a job has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// Nobody waits for it any more, and it counts as failed.
    GivenUp,
    /// The disk has answered.
    InTime,
    /// It has been given up before.
    Late,
}

#[derive(Clone, Debug)]
struct UnderWay {
    node: NodeId,
    job: Job,
    /// It changes what belongs to several nodes: it is done under a lease.
    is_shared: bool,
    course: Course,
    /// When the thread of its disk got it.
    since: Option<Instant>,
    /// When it ends; `None` if it is not issued yet.
    ends: Option<Instant>,
    is_given_up: bool,
}

/// A job that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Whose it was.
    pub node: NodeId,
    /// What it was.
    pub job: Job,
    /// It changes what belongs to several nodes.
    pub is_shared: bool,
    /// When it ended.
    pub ending: Ending,
    /// How.
    pub answer: Answer,
}

/// All that is under way, in the order in which it was submitted.
#[derive(Clone, Debug, Default)]
pub struct Jobs(Vec<UnderWay>);

impl Jobs {
    /// A node wants something done, with what is shared or not.
    pub fn submit(&mut self, node: NodeId, job: Job, is_shared: bool, course: Course) {
        let is_shared = is_shared && job.changes();
        let (since, ends) = (None, None);
        self.0.push(UnderWay { node, job, is_shared, course, since, ends, is_given_up: false });
    }

    /// How many of a node's jobs are under way.
    pub fn of(&self, node: NodeId) -> usize {
        self.0.iter().filter(|under_way| under_way.node == node).count()
    }

    /// A disk has something to change for this node that others use.
    pub fn changes_shared(&self, node: NodeId) -> bool {
        self.0.iter().any(|o| o.node == node && o.is_shared && o.ends.is_some())
    }

    /// Nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Issues what may be issued, one for each disk of a node: `may` is asked of a node, and whether it
    /// is of a shared group.
    pub fn issue(&mut self, now: Instant, mut may: impl FnMut(NodeId, bool) -> bool) {
        for place in 0..self.0.len() {
            let (before, rest) = self.0.split_at_mut(place);
            let Some(next) = rest.first_mut().filter(|next| next.ends.is_none()) else { continue };
            if !may(next.node, next.is_shared) {
                continue;
            }
            next.since.get_or_insert(now);
            let disk = next.job.disk();
            if !before.iter().any(|o| o.node == next.node && o.job.disk() == disk) {
                next.ends = Some(now + next.course.takes);
            }
        }
    }

    /// What the disks of the nodes that `may` notice it have not done within `limit` is given up.
    pub fn give_up(
        &mut self,
        now: Instant,
        limit: Duration,
        mut may: impl FnMut(NodeId) -> bool,
    ) -> Vec<Ended> {
        let is_late = |o: &&mut UnderWay| {
            let is_waited_for = !o.is_given_up && !matches!(o.job, Job::Look(_));
            is_waited_for && o.since.is_some_and(|since| since + limit <= now) && may(o.node)
        };
        let late = self.0.iter_mut().filter(is_late);
        let given_up = late.map(|o| {
            o.is_given_up = true;
            let answer = o.job.failed(DiskError::NoPath);
            let (node, job, is_shared) = (o.node, o.job.clone(), o.is_shared);
            Ended { node, job, is_shared, ending: Ending::GivenUp, answer }
        });
        given_up.collect()
    }

    /// A node has given up its lease: what of shared groups it has not issued fails.
    pub fn refuse(&mut self, node: NodeId) -> Vec<Ended> {
        let waits = |o: &mut UnderWay| o.node == node && o.is_shared && o.ends.is_none();
        let refused = self.0.extract_if(.., waits);
        let ended = refused.map(|under_way| {
            let answer = under_way.job.failed(DiskError::NoLease);
            under_way.ended(answer)
        });
        ended.collect()
    }

    /// A disk answers nobody before this.
    pub fn stall(&mut self, disk: &UniqueId, until: Instant) {
        for under_way in self.0.iter_mut().filter(|under_way| under_way.job.disk() == disk) {
            under_way.ends = under_way.ends.map(|ends| ends.max(until));
        }
    }

    /// What has ended by now takes place, the earliest first.
    pub fn end(&mut self, now: Instant, disks: &mut Disks) -> Vec<Ended> {
        let is_due = |under_way: &UnderWay| under_way.ends.is_some_and(|ends| ends <= now);
        let mut due: Vec<_> = self.0.extract_if(.., |under_way| is_due(under_way)).collect();
        due.sort_by_key(|under_way| under_way.ends);
        due.into_iter().map(|under_way| under_way.perform(disks)).collect()
    }

    /// The oldest job of a node takes place now, whatever time it was to take.
    pub fn end_next(&mut self, node: NodeId, disks: &mut Disks) -> Option<Ended> {
        let place = self.0.iter().position(|under_way| under_way.node == node)?;
        Some(self.0.remove(place).perform(disks))
    }

    /// The process of a node is gone. `fate` is asked about each job that was under way, and
    /// whether it was issued; late ones are given back, for [`Disks::perform`] when their time comes.
    pub fn orphan(
        &mut self,
        node: NodeId,
        disks: &mut Disks,
        mut fate: impl FnMut(&Job, bool) -> Fate,
    ) -> Vec<Job> {
        let (mine, rest): (Vec<_>, Vec<_>) =
            self.0.drain(..).partition(|under_way| under_way.node == node);
        self.0 = rest;
        let mut late = Vec::new();
        for under_way in mine {
            let fate = fate(&under_way.job, under_way.ends.is_some());
            if fate == Fate::Late {
                late.push(under_way.job);
            } else {
                disks.leave(node, &under_way.job, fate);
            }
        }
        late
    }
}

impl UnderWay {
    fn ended(self, answer: Answer) -> Ended {
        let ending = if self.is_given_up { Ending::Late } else { Ending::InTime };
        let Self { node, job, is_shared, .. } = self;
        Ended { node, job, is_shared, ending, answer }
    }

    fn perform(self, disks: &mut Disks) -> Ended {
        let reached = disks.is_reached(self.node, self.job.disk());
        let answer = match (reached, self.course.error) {
            (Err(error), _) => self.job.failed(error),
            (Ok(()), Some(error)) => {
                disks.leave(self.node, &self.job, self.course.failed);
                self.job.failed(DiskError::Failed(error))
            }
            (Ok(()), None) => disks.perform(self.node, &self.job),
        };
        self.ended(answer)
    }
}

impl Disks {
    /// A disk that is reached does what it is told.
    pub fn perform(&mut self, node: NodeId, job: &Job) -> Answer {
        match job {
            Job::Log(token, io) => Answer::Log(*token, self.log(node, io)),
            Job::Look(disk) => Answer::Look(disk.clone(), self.is_reached(node, disk).is_ok()),
            Job::Write(token, write) => {
                self.apply(write);
                Answer::Write(*token, Ok(()))
            }
        }
    }

    /// What is left of a job on its disk.
    fn leave(&mut self, node: NodeId, job: &Job, fate: Fate) {
        match (fate, job) {
            (Fate::Landed, _) => drop(self.perform(node, job)),
            (Fate::Torn, Job::Write(_, write)) => self.tear(write),
            (Fate::Torn, Job::Log(_, LogIo::Write { disk, is_shared, at, data })) => {
                // Half of the blocks.
                let data = data.slice(..data.len() / DRL_BLOCK / 2 * DRL_BLOCK);
                let (disk, is_shared, at) = (disk.clone(), *is_shared, *at);
                drop(self.log(node, &LogIo::Write { disk, is_shared, at, data }));
            }
            (Fate::Late | Fate::Lost | Fate::Torn, _) => {}
        }
    }
}

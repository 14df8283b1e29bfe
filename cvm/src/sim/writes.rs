//! Writes that are on their way to disks.
//!
//! As in vxiod, a thread for each disk: of one node and one disk the next write is issued when the one
//! before has ended. What was issued goes on when its node stands still, and may go on when it is
//! killed; what was not is issued when the node goes on, and never if it is killed.

use llt::{Duration, Instant, NodeId};

use super::Disks;
use crate::core::iod::{DiskError, Token, Write, WriteDone};
use crate::model::UniqueId;

/// What becomes of a write that nobody waits for any more, or that is reported as failed.
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

/// How a write goes.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    /// From its issue to its end.
    pub takes: Duration,
    /// It ends with this error.
    pub error: Option<i32>,
    /// What lies on the disk when it has failed, with this error or for want of a path.
    pub failed: Fate,
}

#[derive(Clone, Debug)]
struct UnderWay {
    node: NodeId,
    token: Token,
    write: Write,
    /// It is of a shared group.
    is_shared: bool,
    course: Course,
    /// When it ends; `None` if it is not issued yet.
    ends: Option<Instant>,
}

/// A write that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Whose it was.
    pub node: NodeId,
    /// Which.
    pub token: Token,
    /// What it was.
    pub write: Write,
    /// How it ended.
    pub done: WriteDone,
}

/// All that is on its way, in the order in which it was submitted.
#[derive(Clone, Debug, Default)]
pub struct Writes(Vec<UnderWay>);

impl Writes {
    /// A node wants something written, of a shared group or not.
    pub fn submit(
        &mut self,
        node: NodeId,
        token: Token,
        write: Write,
        is_shared: bool,
        course: Course,
    ) {
        self.0.push(UnderWay { node, token, write, is_shared, course, ends: None });
    }

    /// How many of a node's writes are on their way.
    pub fn of(&self, node: NodeId) -> usize {
        self.0.iter().filter(|under_way| under_way.node == node).count()
    }

    /// A disk has something to change for this node that others use.
    pub fn changes_shared(&self, node: NodeId) -> bool {
        self.0.iter().any(|o| o.node == node && o.is_shared && o.ends.is_some())
    }

    /// Nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Issues what may be issued, one for each disk of a node: `may` is asked of a node, and whether it
    /// is of a shared group.
    pub fn issue(&mut self, now: Instant, mut may: impl FnMut(NodeId, bool) -> bool) {
        for place in 0..self.0.len() {
            let (before, rest) = self.0.split_at_mut(place);
            let Some(next) = rest.first_mut().filter(|next| next.ends.is_none()) else { continue };
            let disk = next.write.disk();
            let waits = before.iter().any(|o| o.node == next.node && o.write.disk() == disk);
            if !waits && may(next.node, next.is_shared) {
                next.ends = Some(now + next.course.takes);
            }
        }
    }

    /// A node has given up its lease: what of shared groups it has not issued fails.
    pub fn refuse(&mut self, node: NodeId) -> Vec<Ended> {
        let waits = |o: &mut UnderWay| o.node == node && o.is_shared && o.ends.is_none();
        let refused = self.0.extract_if(.., waits);
        let ended = refused.map(|UnderWay { node, token, write, .. }| Ended {
            node,
            token,
            write,
            done: Err(DiskError::NoLease),
        });
        ended.collect()
    }

    /// A disk answers nobody before this.
    pub fn stall(&mut self, disk: &UniqueId, until: Instant) {
        for under_way in self.0.iter_mut().filter(|under_way| under_way.write.disk() == disk) {
            under_way.ends = under_way.ends.map(|ends| ends.max(until));
        }
    }

    /// What has ended by now takes place, the earliest first.
    pub fn end(&mut self, now: Instant, disks: &mut Disks) -> Vec<Ended> {
        let is_due = |under_way: &UnderWay| under_way.ends.is_some_and(|ends| ends <= now);
        let mut due: Vec<_> = self.0.extract_if(.., |under_way| is_due(under_way)).collect();
        due.sort_by_key(|under_way| under_way.ends);
        due.into_iter().map(|under_way| perform(under_way, disks)).collect()
    }

    /// The oldest write of a node takes place now, whatever time it was to take.
    pub fn end_next(&mut self, node: NodeId, disks: &mut Disks) -> Option<Ended> {
        let place = self.0.iter().position(|under_way| under_way.node == node)?;
        Some(perform(self.0.remove(place), disks))
    }

    /// The process of a node is gone. `fate` is asked about each write that was on its way, and
    /// whether it was issued; late ones are given back, for [`Disks::apply`] when their time comes.
    pub fn orphan(
        &mut self,
        node: NodeId,
        disks: &mut Disks,
        mut fate: impl FnMut(bool) -> Fate,
    ) -> Vec<Write> {
        let (mine, rest): (Vec<_>, Vec<_>) =
            self.0.drain(..).partition(|under_way| under_way.node == node);
        self.0 = rest;
        let mut late = Vec::new();
        for under_way in mine {
            let fate = fate(under_way.ends.is_some());
            if fate == Fate::Late {
                late.push(under_way.write);
            } else {
                leave(&under_way.write, fate, disks);
            }
        }
        late
    }
}

fn perform(under_way: UnderWay, disks: &mut Disks) -> Ended {
    let UnderWay { node, token, write, course, .. } = under_way;
    let error = course.error.map_or(Ok(()), |error| Err(DiskError::Failed(error)));
    let reached = disks.is_reached(node, write.disk());
    match (&reached, &error) {
        (Ok(()), Ok(())) => disks.apply(&write),
        (Ok(()), Err(_)) => leave(&write, course.failed, disks),
        (Err(_), _) => {}
    }
    Ended { node, token, write, done: reached.and(error) }
}

/// What is left of a write on its disk.
fn leave(write: &Write, fate: Fate, disks: &mut Disks) {
    match fate {
        Fate::Landed => disks.apply(write),
        Fate::Late | Fate::Lost => {}
        Fate::Torn => disks.tear(write),
    }
}

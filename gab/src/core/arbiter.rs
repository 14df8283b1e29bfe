//! The seam to whoever authorises views with departures.
//!
//! The core asks ([`ArbiterRequest`]), the driver answers ([`ArbiterReply`]) whenever it can; the
//! core never waits. How a record is kept (one server, three disks) is the driver's business as
//! long as each change is atomic.

use llt::Id;

use crate::ids::Vid;

/// The authorisation record R of facts algorithms 3.2.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Record {
    /// Views below may not be authorised any more.
    pub promise: Vid,
    /// The authorised view.
    pub vid: Vid,
    /// Its members.
    pub members: Vec<Id>,
}

/// A question to the arbiter. Each is answered by one [`ArbiterReply`] with the same `ticket`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ArbiterRequest {
    /// Echoed in the answer.
    pub ticket: u64,
    /// What to change; the answer is the record after it.
    pub change: RecordChange,
}

/// An atomic compare-and-swap on the record.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum RecordChange {
    /// If the record's vid is still `expect`: `promise = max(promise, vid)`.
    Fence {
        /// The vid that the asker read.
        expect: Vid,
        /// The asker's own.
        vid: Vid,
    },
    /// Nothing: read it.
    Read,
    /// If the record's vid is still `expect` (or there is no record and `expect` is none), it is
    /// less than `vid` and the promise is not greater: the record becomes this view.
    Swap {
        /// The vid that the asker read.
        expect: Vid,
        /// The view to authorise.
        vid: Vid,
        /// Its members.
        members: Vec<Id>,
    },
}

/// The arbiter's answer: the record as it stands after the change was tried.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ArbiterReply {
    /// Of the request.
    pub ticket: u64,
    /// The record; `None` if there is none.
    pub record: Option<Record>,
}

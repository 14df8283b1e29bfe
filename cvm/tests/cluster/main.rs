//! Whole clusters of control planes over a port that keeps GAB's promises and nothing more, and
//! over disks that are written when the test says so. What the real GAB makes of it is shown by the
//! simulator; here every step of every transaction can be the last of every node.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod activation;
mod answers;
mod apart;
mod bus;
mod crashes;
mod detach;
mod failures;
mod fills;
mod hung;
mod logs;
mod notes;
mod opens;
mod requirements;
mod resync;
mod stats;
mod world;

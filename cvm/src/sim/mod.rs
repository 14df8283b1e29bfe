//! What tests put under the control plane instead of real disks: pure, in the time of the caller.
//!
//! [`Disks`] is what lies on disks and who reaches them, [`Jobs`] what they are to do,
//! [`Ranges`] what is copied. Model
//! tests of this crate complete one write after the other; the simulator lets each take its time.

mod disks;
mod jobs;
mod ranges;

pub use disks::{CLUSTER, Disks, access, import};
pub use jobs::{Answer, Course, Ended, Ending, Fate, Job, Jobs};
pub use ranges::{Copy, Ranges};

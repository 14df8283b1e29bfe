//! What tests put under the control plane instead of real disks: pure, in the time of the caller.
//!
//! [`Disks`] is what lies on disks and who reaches them, [`Writes`] what is on its way there. Model
//! tests of this crate complete one write after the other; the simulator lets each take its time.

mod disks;
mod writes;

pub use disks::{CLUSTER, Disks, access};
pub use writes::{Course, Ended, Fate, Writes};

//! What tests put under the control plane instead of real disks: pure, in the time of the caller.
//!
//! [`Disks`] is what lies on disks and who reaches them, [`Writes`] what is on its way there,
//! [`Ranges`] what is copied. Model
//! tests of this crate complete one write after the other; the simulator lets each take its time.

mod disks;
mod ranges;
mod writes;

pub use disks::{CLUSTER, Disks, access, import};
pub use ranges::{Copy, Ranges};
pub use writes::{Course, Ended, Fate, Writes};

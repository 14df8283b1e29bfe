//! Tests of the format as a whole, on disks in memory.

mod bytes;
mod choose;
mod damage;
mod fuzz;
mod history;
mod medium;
mod round_trip;
mod samples;
mod torn;

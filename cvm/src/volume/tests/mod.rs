//! Volumes against disks in memory that fail, and a model of what a read may return.

mod copies;
mod fill;
mod groups;
mod holds;
mod logs;
mod marks;
mod notes;
mod random;
mod steps;
mod tally;
mod world;

//! Volumes against disks in memory that fail, and a model of what a read may return.

mod random;
mod steps;
mod world;

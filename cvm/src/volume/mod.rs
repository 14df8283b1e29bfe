//! Volumes, pure: where their blocks lie. What is done with them, and by whom, comes on top of it.

mod map;

pub use map::{Part, PlexMap, Target, VolumeMap};

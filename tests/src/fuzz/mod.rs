//! Hostile input: the frames, and a small cluster in memory that must bear them.
//!
//! The command `fuzz-decoders` drives them against everything that reads bytes of others without
//! a socket; the process test `process_fuzz` throws the same frames at live daemons. [`entry`] has
//! the decoders as functions of any bytes, which `cargo fuzz` drives (`tests/fuzz`).

mod blocks;
pub mod corpus;
pub mod entry;
pub mod frames;
pub mod insider;
pub mod mini;

pub use frames::{Forgery, Frames, Malice};
pub use insider::Insider;
pub use mini::Mini;

/// Resident memory of this process in bytes.
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

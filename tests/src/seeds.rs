//! Seeds that once showed something wrong, with what it was.

use crate::profile::Kind;

/// A seed that failed.
#[derive(Clone, Copy, Debug)]
pub struct Regression {
    /// The seed.
    pub seed: u64,
    /// The profile it failed with.
    pub kind: Kind,
    /// What went wrong, in one line.
    pub story: &'static str,
}

/// All of them. A seed loses its meaning when a profile draws differently; its line then stays as
/// the story, and its run is one more seed.
pub const REGRESSIONS: &[Regression] = &[];

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
pub const REGRESSIONS: &[Regression] = &[
    failed(
        Kind::Cvm,
        76,
        "a check took members that nobody counts on any more for those who go on",
    ),
    failed(
        Kind::Cvm,
        3_000_663,
        "a write that failed on the last plex was kept by the one that was copied from it, and had been there already",
    ),
    failed(
        Kind::Cvm,
        3_001_638,
        "a volume that could not be filled was never said to be invalid, for a program had it open",
    ),
    failed(
        Kind::Cvm,
        4_004_102,
        "a member was given up for stalling a view while it had a lease still",
    ),
    failed(
        Kind::Cvm,
        4_005_443,
        "a node that was alone in the view that it had proposed used its lease there",
    ),
    failed(
        Kind::Cvm,
        4_006_755,
        "a node left the cluster while a disk had still to change something for it",
    ),
    failed(
        Kind::Cvm,
        6_007_021,
        "that a volume stood still was heard after it had gone on and was to stand still again",
    ),
    failed(
        Kind::Cvm,
        6_007_762,
        "the model had a master that was frozen write its configuration without a lease",
    ),
    failed(Kind::Jeopardy, 48, "a proposer that does not fit the clique kept freezing the others"),
    failed(Kind::Pause, 257, "a proposer that does not fit the clique kept freezing the others"),
    failed(Kind::Record, 7, "leftovers of a view were released before arbitration"),
    failed(Kind::Record, 12, "leftovers of a view were released before arbitration"),
    failed(Kind::Record, 32, "leftovers of a view were released before arbitration"),
    failed(Kind::Record, 71, "the last announcement of stability was lost and never repeated"),
    failed(Kind::Record, 236, "a view that nobody may race for was waited for"),
    failed(Kind::Record, 293, "who read the record before it was changed never looked again"),
    failed(Kind::Record, 470, "who read the record before it was changed never looked again"),
    failed(Kind::Record, 602, "of two views announced together a check took one for the other"),
    failed(Kind::Swarm, 11, "two proposers froze each other for ever"),
    failed(Kind::Swarm, 29, "two registrations that end at once waited for each other's acks"),
    failed(Kind::Swarm, 34, "two registrations that end at once waited for each other's acks"),
    failed(
        Kind::Swarm,
        58,
        "a sequencer that had not heard INSTALL dropped the first submissions of its view",
    ),
    failed(Kind::Swarm, 69, "two proposers froze each other for ever"),
    failed(
        Kind::Swarm,
        86,
        "a sequencer that had not heard INSTALL dropped the first submissions of its view",
    ),
    failed(Kind::Swarm, 97, "two registrations that end at once waited for each other's acks"),
    failed(Kind::Swarm, 345, "a joiner removed before it learned of its view was refused for ever"),
    failed(
        Kind::Swarm,
        769,
        "a sequencer that had not heard INSTALL dropped the first submissions of its view",
    ),
    failed(Kind::Swarm, 823, "a joiner once skipped was never looked at again"),
    failed(Kind::Swarm, 2010, "two nodes that seed overtook each other"),
    failed(Kind::Swarm, 2469, "a joiner admitted one that its own first view removed"),
    failed(
        Kind::Swarm,
        5458,
        "a check took clusters of different lives, with equal generations, for one",
    ),
    failed(
        Kind::Swarm,
        7139,
        "a check took clusters of different lives, with equal generations, for one",
    ),
    failed(
        Kind::Swarm,
        14_093,
        "a check took clusters of different lives, with equal generations, for one",
    ),
    failed(
        Kind::Swarm,
        16_680,
        "a joiner that had lost two lives of a node reported both, and nobody could read that",
    ),
    failed(Kind::Swarm, 19_593, "two nodes that seed overtook each other"),
    failed(Kind::Swarm, 23_020, "two nodes that seed overtook each other"),
    failed(Kind::Swarm, 23_861, "two nodes that seed overtook each other"),
    failed(Kind::Swarm, 24_154, "two nodes that seed overtook each other"),
    failed(Kind::Swarm, 100_035, "failed on a build between two commits; the cause is not known"),
    failed(Kind::Swarm, 100_764, "failed on a build between two commits; the cause is not known"),
    failed(Kind::Swarm, 101_110, "failed on a build between two commits; the cause is not known"),
    failed(
        Kind::Swarm,
        40_001_797,
        "in a view without a slot nobody answered which ports are busy, and one stayed so",
    ),
    failed(
        Kind::Swarm,
        90_002_619,
        "after a pause of which LLT saw the end only, clients that live were judged by the rest",
    ),
    failed(
        Kind::Pause,
        90_160_880,
        "a client that was to hang up was killed after a pause that left it no time for it",
    ),
];

const fn failed(kind: Kind, seed: u64, story: &'static str) -> Regression {
    Regression { seed, kind, story }
}

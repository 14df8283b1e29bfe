//! What the simulator must see when a rule is broken, rule by rule (facts algorithms 1.14).

use gab::core::Mutant;

use crate::profile::Kind;

/// What a broken rule must lead to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// A violation, under the profile that finds it soonest.
    Caught(Kind),
    /// No violation of safety, for the reason given.
    Harmless(&'static str),
}

/// What breaking this rule must lead to.
pub const fn expected(mutant: Mutant) -> Expected {
    match mutant {
        Mutant::AbsenceAuthorises
        | Mutant::LeftoversBeforeArbitration
        | Mutant::RaceOutsideChain => Expected::Caught(Kind::Record),
        Mutant::CutFromProposer
        | Mutant::InstallOnMajority
        | Mutant::NoDuplicateCheck
        | Mutant::NoViewCheck
        | Mutant::P2pAcrossGenerations
        | Mutant::ReadyAfterPromise
        | Mutant::ResubmitAll
        | Mutant::SafeWithoutStability
        | Mutant::StalePayload
        | Mutant::WedgedAcks => Expected::Caught(Kind::Swarm),
        Mutant::ForeignLineage | Mutant::NoEjection => Expected::Caught(Kind::Split),
        Mutant::DropAtReady => Expected::Harmless(
            "slots beyond the cut were delivered by nobody alive; a later round recovers less",
        ),
        Mutant::NoConsult => Expected::Harmless(
            "a prepared view that is dropped unasked is fenced by nobody: clusters get stuck more \
             often, none diverges",
        ),
        Mutant::NoStragglers => Expected::Harmless(
            "who missed an INSTALL is thrown out instead of helped: more ejections",
        ),
        Mutant::Readmit => Expected::Harmless(
            "an old incarnation cannot come back anyway: its stack ends when it is thrown out",
        ),
    }
}

//! What the simulator must see when a rule is broken, rule by rule (facts algorithms 1.14).

use gab::core::Mutant;

use crate::profile::Kind;
use crate::scripts::{self, Script};

/// What a broken rule must lead to.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// A violation, under the profile that finds it soonest.
    Caught(Kind),
    /// A violation in this schedule; chance finds it too rarely.
    CaughtBy(Script),
    /// No violation of safety, for the reason given.
    Harmless(&'static str),
}

/// What breaking this rule must lead to.
pub const fn expected(mutant: Mutant) -> Expected {
    match mutant {
        Mutant::AbsenceAuthorises | Mutant::LeftoversBeforeArbitration => {
            Expected::Caught(Kind::Record)
        }
        Mutant::CutFromProposer
        | Mutant::NoDuplicateCheck
        | Mutant::NoViewCheck
        | Mutant::P2pAcrossGenerations
        | Mutant::ResubmitAll
        | Mutant::SafeWithoutStability
        | Mutant::StalePayload
        | Mutant::WedgedAcks => Expected::Caught(Kind::Swarm),
        Mutant::NoEjection => Expected::Caught(Kind::Split),
        Mutant::JeopardyNotAgreed => Expected::Caught(Kind::Jeopardy),
        Mutant::MinorityGoesOn => Expected::Caught(Kind::Quorum),
        Mutant::ForeignLineage => Expected::CaughtBy(scripts::member_of_another_view),
        Mutant::InstallOnMajority => Expected::CaughtBy(scripts::installed_without_a_member),
        Mutant::RaceOutsideChain => Expected::CaughtBy(scripts::named_for_a_foreign_view),
        Mutant::ReadyViewsNotCounted => Expected::CaughtBy(scripts::quorum_of_ready_views),
        Mutant::ReadyAfterPromise => Expected::CaughtBy(scripts::late_proposal),
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

/// The kinds of violations that a script shows when this rule is broken. None if there are none, or
/// if there are some with all rules in force as well.
pub fn caught_by(mutant: Mutant, script: Script) -> Option<String> {
    let found = script(Some(mutant)).kinds();
    (!found.is_empty() && script(None).is_empty()).then_some(found)
}

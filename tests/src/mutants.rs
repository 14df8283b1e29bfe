//! What the simulator must see when a rule is broken, rule by rule (facts algorithms 1.14).

use gab::core::Mutant;

use crate::invariants::Violations;
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
        Mutant::ChangesUnnoted
        | Mutant::DebtsUnminded
        | Mutant::FillUnawaited
        | Mutant::FlushForgotten
        | Mutant::LeaseUnproven
        | Mutant::OrphansUnawaited
        | Mutant::WritesLost
        | Mutant::WritesUnmarked => Expected::Caught(Kind::Cvm),
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

/// The kinds of violations of which breaking this rule must show at least one. None where it is
/// harmless, or shows in ways that nobody foresees.
pub const fn kinds(mutant: Mutant) -> &'static [&'static str] {
    match mutant {
        Mutant::AbsenceAuthorises | Mutant::LeftoversBeforeArbitration => &["pc3-held"],
        Mutant::ChangesUnnoted | Mutant::FillUnawaited => &["cvm-data", "cvm-read"],
        Mutant::CutFromProposer => &["ms5-gap"],
        Mutant::DebtsUnminded => &["cvm-overtaken"],
        Mutant::FlushForgotten => &["cvm-data", "cvm-read"],
        Mutant::ForeignLineage => &["vw5-same-sequence"],
        Mutant::InstallOnMajority => &["install-without-ready"],
        Mutant::JeopardyNotAgreed => &["pt3-jeopardy"],
        Mutant::LeaseUnproven | Mutant::OrphansUnawaited => &["cvm-lease"],
        Mutant::MinorityGoesOn => &["pc6-majority"],
        Mutant::NoDuplicateCheck | Mutant::ResubmitAll => &["ms2-duplicate"],
        Mutant::NoEjection => &["liveness"],
        Mutant::P2pAcrossGenerations => &["ms3-right-view", "ms4-sending-view"],
        Mutant::RaceOutsideChain => &["pc1-chain"],
        Mutant::ReadyAfterPromise => &["vw4-no-half-view"],
        Mutant::ReadyViewsNotCounted => &["pc6-chain"],
        Mutant::SafeWithoutStability => &["ms10-safe-uniform", "ms11-stability"],
        Mutant::StalePayload => &["ms5-gap", "ms5-total-order"],
        Mutant::WritesLost => &["cv7-answered"],
        Mutant::WritesUnmarked => &["cv8-unmarked"],
        Mutant::WedgedAcks => &["ms10-safe-uniform", "ms12-freeze"],
        // Two streams that mix may do anything, and stand still first of all.
        Mutant::NoViewCheck => &[],
        Mutant::DropAtReady | Mutant::NoConsult | Mutant::NoStragglers | Mutant::Readmit => &[],
    }
}

/// Do these violations show that this rule is broken?
pub fn shows(mutant: Mutant, found: &Violations) -> bool {
    let kinds = kinds(mutant);
    !found.is_empty() && (kinds.is_empty() || kinds.iter().any(|kind| found.has(kind)))
}

/// The kinds of violations that a script shows when this rule is broken. None if they do not show
/// it, or if there are some with all rules in force as well.
pub fn caught_by(mutant: Mutant, script: Script) -> Option<String> {
    let found = script(Some(mutant));
    (shows(mutant, &found) && script(None).is_empty()).then(|| found.kinds())
}

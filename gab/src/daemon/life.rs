//! One life of the node: a stack with an incarnation of its own.

use std::time::Duration;

use llt::Instant;
use llt::io::{Clock, incarnation};
use llt::llttab::LltTab;

use crate::admin::{GabQueue, GabTunable};
use crate::core::{ArbiterKind, Configuration, GabConfig, Policy};
use crate::daemon::files::Files;
use crate::daemon::links::Links;
use crate::daemon::settings::Settings;
use crate::snapshot::GabSnapshot;
use crate::stack::{Stack, StackConfig};

/// How GAB is configured now; it survives an ejection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct GabState {
    /// Registrations and joining are allowed.
    pub(super) configured: bool,
    /// `-n N`.
    pub(super) count: Option<u32>,
    /// `-t`.
    pub(super) stable: Duration,
    /// `-q`.
    pub(super) quorum: bool,
    /// What else options change.
    pub(super) policy: Policy,
    /// The life before was thrown out.
    pub(super) returned: bool,
}

impl GabState {
    /// Lists what is configured and not in force yet.
    pub(super) fn show(&self, gab: &mut GabSnapshot) {
        let now = std::mem::take(gab);
        *gab = GabSnapshot {
            configured: now.configured,
            seeded: now.seeded,
            node_count: self.count.unwrap_or(0),
            stable_ms: u64::try_from(self.stable.as_millis()).unwrap_or(u64::MAX),
            quorum: self.quorum,
            protocol: now.protocol,
            ports: now.ports,
            counters: now.counters,
            ..GabSnapshot::of_policy(&self.policy)
        };
    }

    pub(super) fn new(settings: &Settings) -> Self {
        let default = GabConfig::default();
        let gabtab = settings.gabtab.unwrap_or_default();
        Self {
            configured: gabtab.configure,
            count: gabtab.count,
            stable: gabtab.stable.unwrap_or(default.stable),
            quorum: gabtab.quorum.unwrap_or(false),
            policy: gabtab.policy(),
            returned: false,
        }
    }

    /// All of it, for a stack; seeding waits while LLT only listens.
    pub(super) fn configuration(&self, listening: bool) -> Configuration {
        Configuration {
            seed: self.count.filter(|_| !listening),
            stable: Some(self.stable),
            quorum: Some(self.quorum),
            policy: Some(self.policy),
        }
    }

    /// `-U`, or thrown out on the way to it. A stack that has left stays out for good, and what
    /// was said before does not make the next `-c` seed: alone, it joins a seeded cluster only.
    pub(super) fn unconfigure(&mut self) {
        self.configured = false;
        self.count = None;
        self.returned = false;
    }

    /// What of it is in force while LLT only listens: clients may register and wait, and nothing is
    /// seeded that nobody else could see.
    pub(super) fn while_listening(self, listening: bool) -> Self {
        Self { count: self.count.filter(|_| !listening), ..self }
    }
}

/// Puts a parameter of `-S` in force.
pub(super) fn tune(policy: &mut Policy, tunable: GabTunable) {
    let time = |ms: u32| Duration::from_millis(ms.into());
    match tunable {
        GabTunable::ClientStall(ms) => policy.client_stall = time(ms),
        GabTunable::ConnWait(times) => policy.conn_wait = times,
        GabTunable::RejoinHold(times) => policy.rejoin_hold = times,
        GabTunable::DrainTime(ms) => policy.drain = time(ms),
        GabTunable::IsolateTime(ms) => policy.isolate = time(ms),
        GabTunable::KillNtries(tries) => policy.kill_tries = tries,
        GabTunable::RmAction { halt } => policy.register_halt = halt,
        GabTunable::RmTimeout(ms) => policy.register_timeout = time(ms),
    }
}

/// Puts a limit of `-Q` in force.
pub(super) fn limit(policy: &mut Policy, queue: GabQueue) {
    match queue {
        GabQueue::Receive(limit) => policy.receive_queue = limit,
        GabQueue::Send(limit) => policy.send_queue = limit,
    }
}

/// A stack in a new life, with the links as they are. An incarnation that could not be stored is
/// told, and used. `listen`: for so long it connects to nobody, and looks for another node with its
/// id.
pub(super) fn begin(
    clock: Clock,
    now: Instant,
    files: &Files,
    settings: &Settings,
    links: &Links,
    gab: GabState,
    listen: Duration,
) -> Stack {
    let fresh = incarnation::next(&files.incarnation(), clock);
    if let Some(alarm) = fresh.alarm {
        tracing::error!("the incarnation comes from the wall clock alone: {alarm}");
    }
    let incarnation = fresh.incarnation;
    tracing::info!("node {} begins, incarnation {incarnation}", settings.tab.node);
    let tab = LltTab { links: links.tabs(), ..settings.tab.clone() };
    let llt = tab.config(incarnation, &links.mtus());
    let config = StackConfig {
        llt: llt::Config { keys: settings.keys.clone(), listen, ..llt },
        gab: GabConfig {
            configured: gab.configured,
            seed: gab.count,
            stable: gab.stable,
            arbiter: if gab.quorum { ArbiterKind::Majority } else { ArbiterKind::None },
            configured_nodes: settings.nodes(),
            returned: gab.returned,
            policy: gab.policy,
            receive_room: links.receive_room(),
            stuck: settings.tab.timers.peer_inact,
            ..GabConfig::default()
        },
    };
    Stack::new(now, config, seed(incarnation.0))
}

/// Random where the system gives it; else the incarnation, which no other life has.
fn seed(incarnation: u64) -> u64 {
    let mut bytes = [0; 8];
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
        Ok(8) => u64::from_le_bytes(bytes),
        Ok(_) | Err(_) => incarnation,
    }
}

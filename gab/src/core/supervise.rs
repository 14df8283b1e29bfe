//! Supervision of clients (facts 2.11, 2.12): who gives no sign of life is killed, and a node where
//! that fails halts.
//!
//! A supervised client is asked for a sign of life some fifteen times in its heartbeat time, one
//! question at a time; whatever it says counts, too. It is warned of each second, and when its time
//! is over its process gets SIGABRT, again and again within the IOFENCE time, and at last SIGKILL.
//! With that its registration is over for everybody ("isolated"), and the process may live so long
//! before the node halts, since it may still do harm in the name of a member that is none.
//!
//! A supervised client that dies without a word is expected back: a program that is to be restarted
//! and is not is told of, or halts the node.

use std::collections::BTreeMap;

use llt::time::earliest;
use llt::{Duration, Instant};

use super::{ClientId, ClientSignal, Gab, GabOutput, HaltCause, Notice, Policy};
use crate::event::{CloseReason, OpenOptions};
use crate::ids::PortName;
use crate::limits::{Bounded, CLIENTS_MAX, HEARTBEAT, PORTS_MAX};

/// Fifths of the heartbeat time, for statistics (facts 2.12).
pub const BEAT_BUCKETS: usize = 5;

/// Everybody who is watched.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Supervision {
    clients: BTreeMap<ClientId, Watched>,
    /// Whose process has to go and is not known to have gone: it was killed, or its registration was
    /// ended over its head.
    isolated: BTreeMap<ClientId, (PortName, Killing)>,
    expected: BTreeMap<PortName, Expected>,
    /// Until then we are known to have slept at times, and who was silent meanwhile is excused.
    excused: Instant,
}

/// A supervised registration.
#[derive(Clone, Debug, Hash)]
struct Watched {
    port: PortName,
    timeout: Duration,
    /// Its last sign of life.
    last: Instant,
    /// A question is on its way: there is never a second, or they would pile up before a client that
    /// does not read.
    asked: bool,
    ask_at: Instant,
    /// Seconds of silence that were told.
    told: u32,
    beats: [u64; BEAT_BUCKETS],
    killing: Option<Killing>,
}

/// The port of a client that died, until somebody registers there.
#[derive(Clone, Debug, Hash)]
struct Expected {
    since: Instant,
    told: u32,
}

/// A process on its way out: what is done to it next, and when.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Killing {
    tries: u32,
    next: Instant,
    /// SIGKILL was sent then.
    isolated: Option<Instant>,
}

/// What is done to a process.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Blow {
    /// SIGABRT.
    Abort,
    /// SIGKILL, the first: its registration is over.
    Isolate,
    /// SIGKILL again (`-k`).
    Again,
    /// It outlives everything: the node halts.
    Halt,
}

impl Killing {
    /// The first blow is due at `first`.
    pub(crate) const fn from(first: Instant) -> Self {
        Self { tries: 0, next: first, isolated: None }
    }

    /// SIGKILL was sent at `since`.
    pub(crate) const fn isolated(since: Instant) -> Self {
        Self { tries: 0, next: since, isolated: Some(since) }
    }

    /// What is due now; each blow is given once.
    pub(crate) fn strike(&mut self, now: Instant, policy: &Policy) -> Option<Blow> {
        if self.deadline(policy) > now {
            return None;
        }
        self.next = now + gap(policy);
        if self.isolated.is_some() {
            return Some(if policy.keep_killing { Blow::Again } else { Blow::Halt });
        }
        self.tries += 1;
        if self.tries < policy.kill_tries {
            return Some(Blow::Abort);
        }
        self.isolated = Some(now);
        Some(Blow::Isolate)
    }

    /// We slept for so long: who may hang up has had no time for it, and who was killed none to go.
    fn excuse(&mut self, now: Instant, late: Duration) {
        match &mut self.isolated {
            Some(since) => *since = now.min(*since + late),
            None if self.tries == 0 => self.next += late,
            None => {}
        }
    }

    /// When the next one is due.
    pub(crate) fn deadline(&self, policy: &Policy) -> Instant {
        match self.isolated {
            Some(since) if !policy.keep_killing => since + policy.isolate,
            Some(_) | None => self.next,
        }
    }
}

/// Between two attempts: all of them take the IOFENCE time.
fn gap(policy: &Policy) -> Duration {
    (policy.iofence / policy.kill_tries.max(1)).max(Duration::from_millis(1))
}

impl Watched {
    fn new(now: Instant, port: PortName, timeout: Duration) -> Self {
        Self {
            port,
            timeout,
            last: now,
            asked: false,
            ask_at: now + ask_every(timeout),
            told: 0,
            beats: [0; BEAT_BUCKETS],
            killing: None,
        }
    }

    /// When the next second of silence is told.
    fn warn_at(&self) -> Instant {
        self.last + WARN_EVERY * (self.told + 1)
    }

    fn deadline(&self, policy: &Policy) -> Instant {
        if let Some(killing) = &self.killing {
            return killing.deadline(policy);
        }
        let judged = self.warn_at().min(self.last + self.timeout);
        if self.asked { judged } else { judged.min(self.ask_at) }
    }

    fn heard(&mut self, now: Instant, answer: bool) {
        if self.killing.is_some() {
            // Too late: it has been given up, as the original does.
            return;
        }
        let fifth = now.since(self.last).as_nanos() * 5 / self.timeout.as_nanos().max(1);
        let fifth = usize::try_from(fifth).unwrap_or(usize::MAX).min(BEAT_BUCKETS - 1);
        self.beats[fifth] += 1;
        (self.last, self.told) = (now, 0);
        if answer {
            // The next question is due now at the earliest: that the last one was not answered in
            // time is no lateness of ours.
            (self.asked, self.ask_at) = (false, self.ask_at.max(now));
        }
    }

    /// It could not be heard for so long, for it was we who slept. Only that does not count: with
    /// each beginning anew, a node that is late all the time would never judge anybody.
    fn excuse(&mut self, now: Instant, late: Duration) {
        self.last = now.min(self.last + late);
        if let Some(killing) = &mut self.killing {
            killing.excuse(now, late);
        }
    }
}

fn ask_every(timeout: Duration) -> Duration {
    (timeout / 15).clamp(ASK_LEAST, ASK_MOST)
}

impl Supervision {
    /// A client has registered; whoever was expected on the port is there.
    pub(super) fn opened(
        &mut self,
        now: Instant,
        id: ClientId,
        port: PortName,
        heartbeat: Option<Duration>,
    ) {
        self.expected.remove(&port);
        if let Some(timeout) = heartbeat {
            self.clients.insert(id, Watched::new(now, port, timeout));
        }
    }

    /// A client has closed its registration in order: nobody is expected there any more.
    pub(super) fn closed(&mut self, id: ClientId, port: PortName) {
        self.clients.remove(&id);
        self.expected.remove(&port);
    }

    /// The registration of a client is over.
    pub(super) fn forget(&mut self, id: ClientId) {
        self.clients.remove(&id);
    }

    /// Nobody is watched any more: the life of the node is over.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn bounded(&self) -> [Bounded; 3] {
        [
            Bounded::new("supervised clients", self.clients.len(), CLIENTS_MAX),
            Bounded::new("isolated clients", self.isolated.len(), CLIENTS_MAX),
            Bounded::new("ports that wait for a client", self.expected.len(), PORTS_MAX),
        ]
    }

    /// How many have to go whose process is not known to have gone.
    pub(super) fn isolated(&self) -> usize {
        self.isolated.len()
    }

    /// Has it to go, and is not known to have gone?
    pub(super) fn is_isolated(&self, id: ClientId) -> bool {
        self.isolated.contains_key(&id)
    }

    /// Its process is gone.
    fn gone(&mut self, id: ClientId) {
        self.isolated.remove(&id);
    }

    /// We slept for so long, as LLT says, or since somebody here was to be asked or judged, which may
    /// be longer: nobody could be heard meanwhile.
    pub(super) fn note_late(&mut self, now: Instant, policy: &Policy, told: Duration) {
        let asked = self.next_question(policy);
        let late = asked.map_or(told, |at| told.max(now.since(at.max(self.excused))));
        if late > LATE {
            self.clients.values_mut().for_each(|watched| watched.excuse(now, late));
            self.isolated.values_mut().for_each(|(_, killing)| killing.excuse(now, late));
            self.excused = now;
        }
    }

    /// When one of those who are watched is asked or judged next.
    fn next_question(&self, policy: &Policy) -> Option<Instant> {
        self.clients.values().map(|watched| watched.deadline(policy)).min()
    }

    pub(super) fn next_deadline(&self, policy: &Policy) -> Option<Instant> {
        let clients = self.next_question(policy);
        let isolated = self.isolated.values().map(|(_, killing)| killing.deadline(policy)).min();
        let expected = self.expected.values().map(|expected| expected.deadline(policy)).min();
        earliest(earliest(clients, isolated), expected)
    }
}

impl Expected {
    fn deadline(&self, policy: &Policy) -> Instant {
        let told = self.since + EXPECT_EVERY * (self.told + 1);
        told.min(self.since + policy.register_timeout)
    }
}

impl Gab {
    /// The heartbeat time of the supervised client on a port, and how many of its signs of life came
    /// within each fifth of it; of several that share the port, of the one that registered first.
    pub fn heartbeat(&self, port: PortName) -> Option<(Duration, [u64; BEAT_BUCKETS])> {
        let watched = self.supervision.clients.values().find(|watched| watched.port == port)?;
        Some((watched.timeout, watched.beats))
    }

    /// Another heartbeat time for the supervised clients on a port, or the one that each registered
    /// with; counting begins anew. The time in force, as in [`Gab::heartbeat`]; `None`, and nothing
    /// changed, if there are none, or `time` is none that a client may register with.
    pub fn set_heartbeat(
        &mut self,
        now: Instant,
        port: PortName,
        time: Option<Duration>,
    ) -> Option<Duration> {
        self.turn(now);
        if time.is_some_and(|time| !HEARTBEAT.contains(&time)) {
            return None;
        }
        for (id, watched) in &mut self.supervision.clients {
            let own = self.clients.get(*id).and_then(|client| client.options.heartbeat);
            if watched.port == port
                && watched.killing.is_none()
                && let Some(timeout) = time.or(own)
            {
                *watched = Watched { asked: watched.asked, ..Watched::new(now, port, timeout) };
            }
        }
        self.heartbeat(port).map(|(timeout, _)| timeout)
    }

    /// A client said something. `answer`: it answered the question of [`GabOutput::AskBeat`].
    pub fn heard(&mut self, now: Instant, id: ClientId, answer: bool) {
        self.now = self.now.max(now);
        if let Some(watched) = self.supervision.clients.get_mut(&id) {
            watched.heard(now, answer);
        }
    }

    /// The process of a client is gone, or has hung up on a registration that was ended over its
    /// head. What becomes of a registration that it has still is another matter ([`Gab::died`]); but
    /// a kernel-type client, which keeps it for its drain time, is asked for no sign of life any more.
    pub fn gone(&mut self, now: Instant, id: ClientId) {
        self.now = self.now.max(now);
        self.supervision.gone(id);
        if self.clients.get(id).is_some_and(|client| client.options.kernel) {
            self.supervision.forget(id);
        }
    }

    /// A client cannot be served any longer. GAB ends its registration, and a supervised one has the
    /// IOFENCE time to hang up before it is killed like one that is silent. A kernel-type client is
    /// one as long as its process lives (precise rule 13), so that is killed at once.
    pub fn expel(&mut self, now: Instant, id: ClientId, reason: CloseReason) {
        self.turn(now);
        let Some(client) = self.clients.get_mut(id).filter(|client| !client.is_closed()) else {
            return;
        };
        let (port, options) = (client.port, client.options);
        client.excuse(now);
        let begun = self.supervision.clients.get(&id).and_then(|watched| watched.killing);
        if options.kernel && (begun.is_some() || self.supervision.is_isolated(id)) {
            return;
        }
        self.supervision.forget(id);
        if options.kernel {
            self.supervision.isolated.insert(id, (port, Killing::isolated(now)));
            self.notice(Notice::ClientKilled { client: id, port, reason });
            return self.signal(id, ClientSignal::Kill);
        }
        if options.heartbeat.is_some() {
            let hang_up = now + self.config.policy.iofence;
            let killing = begun.unwrap_or_else(|| Killing::from(hang_up));
            self.supervision.isolated.insert(id, (port, killing));
            self.supervision.expected.insert(port, Expected { since: now, told: 0 });
        }
        self.close_client(now, id, port, reason);
    }

    /// Everything that is due by now.
    pub(super) fn supervise(&mut self, now: Instant) {
        let policy = self.config.policy;
        self.supervision.note_late(now, &policy, Duration::ZERO);
        let is_due = |(id, watched): (&ClientId, &Watched)| {
            (watched.deadline(&policy) <= now).then_some(*id)
        };
        let due: Vec<ClientId> = self.supervision.clients.iter().filter_map(is_due).collect();
        for id in due {
            self.judge_client(now, id, &policy);
        }
        self.strike_isolated(now, &policy);
        self.expect_registrations(now, &policy);
    }

    fn judge_client(&mut self, now: Instant, id: ClientId, policy: &Policy) {
        let Some(watched) = self.supervision.clients.get_mut(&id) else { return };
        if let Some(killing) = &mut watched.killing {
            let (port, blow) = (watched.port, killing.strike(now, policy));
            let killing = *killing;
            let kernel = self.clients.get(id).is_some_and(|client| client.options.kernel);
            return match blow {
                None => {}
                Some(Blow::Abort) => self.signal(id, ClientSignal::Abort),
                Some(Blow::Isolate) if !kernel => self.isolate(now, id, port, killing),
                // A kernel-type client is one as long as its process lives (precise rule 13).
                Some(Blow::Again | Blow::Isolate) => self.signal(id, ClientSignal::Kill),
                Some(Blow::Halt) => self.halt(now, HaltCause::ClientFailure, port),
            };
        }
        let (client, port, timeout) = (id, watched.port, watched.timeout);
        let silence = now.since(watched.last);
        if silence >= timeout {
            watched.killing = Some(Killing::from(now));
            let beats = watched.beats;
            self.notice(Notice::ClientFailed { client, port, timeout, beats });
            if policy.missed_heartbeat_halt {
                return self.halt(now, HaltCause::ClientFailure, port);
            }
            return self.judge_client(now, id, policy);
        }
        let mut warned = None;
        if watched.warn_at() <= now {
            let seconds = silence.as_secs();
            watched.told = u32::try_from(seconds).unwrap_or(u32::MAX);
            warned = Some(Notice::ClientInactive { client, port, seconds });
        }
        let ask = !watched.asked && watched.ask_at <= now;
        if ask {
            watched.asked = true;
            watched.ask_at = now + ask_every(timeout);
        }
        if let Some(warned) = warned {
            self.notice(warned);
        }
        if ask {
            self.out.push_back(GabOutput::AskBeat(id));
        }
    }

    fn signal(&mut self, id: ClientId, signal: ClientSignal) {
        self.out.push_back(GabOutput::Signal(id, signal));
    }

    /// The last attempt: from here on the client is none, whether its process lives or not.
    fn isolate(&mut self, now: Instant, id: ClientId, port: PortName, killing: Killing) {
        self.signal(id, ClientSignal::Kill);
        self.supervision.clients.remove(&id);
        self.supervision.isolated.insert(id, (port, killing));
        self.supervision.expected.insert(port, Expected { since: now, told: 0 });
        self.close_client(now, id, port, CloseReason::NoHeartbeat);
    }

    fn strike_isolated(&mut self, now: Instant, policy: &Policy) {
        let mut blows = Vec::new();
        for (id, (port, killing)) in &mut self.supervision.isolated {
            blows.extend(killing.strike(now, policy).map(|blow| (*id, *port, blow)));
        }
        for (id, port, blow) in blows {
            match blow {
                // It did not hang up: a failure of the client like silence.
                Blow::Abort if policy.missed_heartbeat_halt => {
                    return self.halt(now, HaltCause::ClientFailure, port);
                }
                Blow::Abort => self.signal(id, ClientSignal::Abort),
                Blow::Isolate | Blow::Again => self.signal(id, ClientSignal::Kill),
                Blow::Halt => return self.halt(now, HaltCause::ClientFailure, port),
            }
        }
    }

    fn expect_registrations(&mut self, now: Instant, policy: &Policy) {
        let (mut notices, mut missed) = (Vec::new(), None);
        self.supervision.expected.retain(|&port, expected| {
            if expected.deadline(policy) > now {
                return true;
            }
            let waited = now.since(expected.since);
            if waited >= policy.register_timeout {
                notices.push(Notice::RegistrationMissed { port });
                missed = missed.or(Some(port));
                return false;
            }
            let steps = waited.as_nanos() / EXPECT_EVERY.as_nanos();
            expected.told = u32::try_from(steps).unwrap_or(u32::MAX);
            let (left, halt) = (policy.register_timeout - waited, policy.register_halt);
            notices.push(Notice::RegistrationExpected { port, left, halt });
            true
        });
        notices.into_iter().for_each(|notice| self.notice(notice));
        if let Some(port) = missed.filter(|_| policy.register_halt) {
            self.halt(now, HaltCause::Registration, port);
        }
    }

    /// A client has died without closing its registration.
    pub(super) fn judge_death(&mut self, now: Instant, port: PortName, options: OpenOptions) {
        if self.over || self.stops || self.leaving.is_some() {
            return;
        }
        if options.heartbeat.is_some() {
            self.supervision.expected.insert(port, Expected { since: now, told: 0 });
        }
        let counts = options.heartbeat.is_some() || options.kernel;
        if counts && self.config.policy.process_death_halt {
            self.halt(now, HaltCause::ProcessDeath, port);
        }
    }
}

/// How often a client is asked: often enough that an answer that is late by a fifth of its time
/// shows in the statistics, in time before it is warned of, and not so often that asking costs
/// anything.
const ASK_LEAST: Duration = Duration::from_millis(10);
const ASK_MOST: Duration = Duration::from_millis(500);
/// Less is no sleep.
const LATE: Duration = Duration::from_millis(1);
/// The original's warn interval (facts 2.12).
const WARN_EVERY: Duration = Duration::from_millis(1000);
/// How often it is said that a registration is expected (facts 2.12).
const EXPECT_EVERY: Duration = Duration::from_millis(15_000);

#[cfg(test)]
mod tests;

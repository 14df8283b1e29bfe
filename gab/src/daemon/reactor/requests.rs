//! Requests of administrators.

use llt::io::keyfile;
use llt::seal::Keyring;
use llt::{Duration, Instant};

use crate::admin::{AdminRequest, Configured, FaultRequest, GabConfigure, KeysInForce};
use crate::core::Configuration;
use crate::daemon::admin::{self, Answer, good, refused};
use crate::daemon::life;
use crate::daemon::poller::Ready;
use crate::daemon::reactor::{LEAVE_MAX, Parts, Phase, Reactor};
use crate::snapshot::LltSnapshot;

impl Reactor {
    pub(super) fn client_ready(&mut self, now: Instant, number: u32, ready: Ready) {
        let Self { clients, stack, poller, .. } = self;
        let request = clients.ready(now, stack, poller, number, ready);
        if let Some(request) = request
            && let Some((error, text)) = self.request(now, number, request)
        {
            self.clients.answer(number, error, &text);
        }
    }

    /// `None`: the answer comes later.
    fn request(&mut self, now: Instant, number: u32, request: AdminRequest) -> Option<Answer> {
        Some(match request {
            AdminRequest::Config => {
                let Parts { settings, args, .. } = &self.parts;
                let listening = self.listening.is_some();
                good(&admin::running_config(settings, args.testbed, listening))
            }
            AdminRequest::Faults(request) => self.faults(&request),
            AdminRequest::GabConfigure(request) => self.configure(now, &request),
            AdminRequest::GabUnconfigure => return self.unconfigure(now, number),
            AdminRequest::LltAddress(change) => self.change(|to| to.change_address(now, change)),
            AdminRequest::LltExclude(request) => self.change(|to| to.exclude(now, request)),
            AdminRequest::LltFlow(settings) => self.change(|to| to.set_flow(now, &settings)),
            AdminRequest::LltLinkAdd(request) => self.change(|to| to.add_link(now, &request)),
            AdminRequest::LltLinkEnable { tag, enabled } => {
                self.change(|to| to.enable_link(now, &tag, enabled))
            }
            AdminRequest::LltLinkRemove { tag } => self.change(|to| to.remove_link(now, &tag)),
            AdminRequest::LltTimers(settings) => self.change(|to| to.set_timers(now, &settings)),
            AdminRequest::LltUnconfigure => self.llt_unconfigure(now),
            AdminRequest::LltZero => {
                self.stack.with_llt(now, llt::Llt::zero_stats);
                good(&())
            }
            AdminRequest::ReloadKeys => self.reload_keys(now),
            AdminRequest::Snapshot => {
                let mut snapshot = self.stack.snapshot();
                self.complete(&mut snapshot.llt);
                good(&snapshot)
            }
        })
    }

    /// The file is a few lines on a local disk, as `var/incarnation` is at the start of a life.
    fn reload_keys(&mut self, now: Instant) -> Answer {
        let keys = match keyfile::load(&self.parts.files.keys()) {
            Ok(keys) => keys,
            Err(error) => return refused(None, &format!("{error}; the keys stay as they are")),
        };
        if let Err(error) = self.stack.with_llt(now, |llt| llt.set_keys(now, keys.clone())) {
            return refused(None, &format!("{error}; the keys stay as they are"));
        }
        if let Some(keys) = &keys {
            tracing::info!("frames are sealed, {}", admin::name_keys(keys));
        }
        let ids = keys.iter().flat_map(Keyring::ids).map(|id| id.to_string()).collect();
        self.parts.settings.keys = keys;
        good(&KeysInForce { keys: ids })
    }

    /// What only the daemon knows of LLT.
    pub(super) fn complete(&self, llt: &mut LltSnapshot) {
        let Parts { settings, links, priority, .. } = &self.parts;
        admin::complete(llt, settings, links, &self.clients.llt_ports());
        llt.listening = self.listening.is_some();
        llt.tunables.thread_priority = *priority;
    }

    fn faults(&mut self, request: &FaultRequest) -> Answer {
        if !self.parts.args.testbed {
            return refused(None, "faults are injected only into a gabd started with --testbed");
        }
        let links: Vec<_> = self.parts.links.iter().map(|(link, _)| link.index()).collect();
        let links = match admin::fault_links(request, &links) {
            Ok(links) => links,
            Err(error) => return refused(None, &error),
        };
        // All are judged before any is changed.
        let mut changed = Vec::new();
        for &index in &links {
            let Some(tap) = self.parts.links.endpoint_mut(index).and_then(|link| link.tap_mut())
            else {
                continue;
            };
            match admin::faults(request, tap.faults()) {
                Ok(faults) => changed.push((index, faults)),
                Err(error) => return refused(None, &error),
            }
        }
        for (index, faults) in changed {
            if let Some(tap) = self.parts.links.endpoint_mut(index).and_then(|link| link.tap_mut())
            {
                tap.set_faults(faults);
            }
        }
        tracing::info!("faults: {request:?}");
        good(&())
    }

    fn configure(&mut self, now: Instant, request: &GabConfigure) -> Answer {
        if !matches!(self.phase, Phase::Running) {
            return refused(None, "gabd is stopping or GAB is being unconfigured");
        }
        if request.seed && !(self.gab.configured || request.configure) {
            return refused(None, "GAB is not configured: expected -c with -x");
        }
        let before = self.gab;
        if request.configure {
            self.gab.configured = true;
        }
        self.gab.count = request.count.or(before.count);
        self.gab.stable = request.stable_ms.map_or(before.stable, Duration::from_millis);
        self.gab.quorum = request.quorum.unwrap_or(before.quorum);
        let policy = &mut self.gab.policy;
        policy.rejoin_halt = request.rejoin_halt.unwrap_or(policy.rejoin_halt);
        policy.single_network = request.single_network.unwrap_or(policy.single_network);
        policy.iofence = request.iofence_ms.map_or(policy.iofence, Duration::from_millis);
        policy.keep_killing = request.keep_killing.unwrap_or(policy.keep_killing);
        policy.missed_heartbeat_halt =
            request.missed_heartbeat_halt.unwrap_or(policy.missed_heartbeat_halt);
        policy.process_death_halt = request.process_death_halt.unwrap_or(policy.process_death_halt);
        request.set.iter().for_each(|&tunable| life::tune(policy, tunable));
        let already = self.gab == before && !request.seed;
        let listening = self.listening.is_some();
        if self.gab.configured && self.gab != before {
            self.warn_of_policy(Some(before));
            // Seeding waits until LLT has started.
            let seed = request.count.filter(|_| !listening);
            let change = self.gab.configuration(listening);
            self.stack.configure(now, Configuration { seed, ..change });
        }
        if request.seed && listening {
            self.seed = true;
        } else if request.seed {
            self.stack.seed(now);
        }
        good(&Configured { already })
    }

    fn unconfigure(&mut self, now: Instant, number: u32) -> Option<Answer> {
        if self.clients.registered() {
            let text = "unconfigure failed: clients still registered";
            return Some(refused(Some("V-15-1-20015"), text));
        }
        match &mut self.phase {
            Phase::Unconfiguring { waiting, .. } => waiting.push(number),
            Phase::Running if !self.gab.configured => return Some(good(&())),
            Phase::Running => {
                self.phase = Phase::Unconfiguring { until: now + LEAVE_MAX, waiting: vec![number] };
                self.stack.leave(now);
            }
            Phase::Ended(_) | Phase::Leaving { .. } | Phase::Parting { .. } => {
                return Some(refused(None, "gabd is stopping"));
            }
        }
        None
    }

    fn llt_unconfigure(&mut self, now: Instant) -> Answer {
        if self.gab.configured {
            return refused(None, "LLT cannot be unconfigured while GAB is configured");
        }
        tracing::info!("stopping: LLT is unconfigured");
        // The connections end once what is queued for them, the answer included, is out.
        self.part(now);
        good(&())
    }
}

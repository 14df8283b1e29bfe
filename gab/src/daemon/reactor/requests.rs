//! Requests of administrators.

use llt::io::keyfile;
use llt::seal::Keyring;
use llt::{Duration, Instant, NodeId};

use crate::admin::{AdminRequest, Configured, FaultRequest, GabConfigure, KeysInForce, PortInfo};
use crate::core::Configuration;
use crate::daemon::admin::{self, Answer, good, refused};
use crate::daemon::life;
use crate::daemon::poller::Ready;
use crate::daemon::reactor::{LEAVE_MAX, Parts, Phase, Reactor};
use crate::ids::PortName;
use crate::limits::HEARTBEAT;
use crate::snapshot::{GabSnapshot, LltSnapshot};

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
            AdminRequest::GabPort { port } => self.port_info(&port),
            AdminRequest::GabPortHeartbeat { port, ms } => self.port_heartbeat(now, &port, ms),
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
                self.complete_gab(&mut snapshot.gab);
                good(&snapshot)
            }
        })
    }

    /// Who is on a port, and how its supervised client fares.
    fn port_info(&self, port: &str) -> Answer {
        let Some(name) = single(port) else { return refused(None, NO_PORT) };
        let members =
            self.stack.gab().snapshot().ports.into_iter().find(|known| known.port == port);
        let members = members.map(|known| known.members).unwrap_or_default();
        let hosts = &self.parts.settings.tab.hosts;
        let host = |id: u8| {
            let host = NodeId::new(id).and_then(|node| hosts.name(node));
            host.map_or_else(|| id.to_string(), str::to_owned)
        };
        let nobody = PortInfo::unsupervised(port);
        let heartbeat = self.stack.gab().heartbeat(name);
        good(&PortInfo {
            flags: self.clients.flags(name),
            members: members.into_iter().map(host).collect(),
            heartbeat_ms: heartbeat.map_or(nobody.heartbeat_ms, |(time, _)| millis(time)),
            buckets: heartbeat.map_or(nobody.buckets, |(_, beats)| beats),
            ..nobody
        })
    }

    fn port_heartbeat(&mut self, now: Instant, port: &str, ms: Option<u64>) -> Answer {
        let Some(name) = single(port) else { return refused(None, NO_PORT) };
        let time = ms.map(Duration::from_millis);
        if time.is_some_and(|time| !HEARTBEAT.contains(&time)) {
            return refused(None, "a heartbeat timeout is 100 to 3600000 milliseconds");
        }
        match self.stack.set_heartbeat(now, name, time) {
            Some(time) => good(&millis(time)),
            None => refused(None, &format!("no client of this node on port {name} is supervised")),
        }
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

    /// What only the daemon knows of GAB: what it is to be configured with, and who its clients are.
    fn complete_gab(&self, gab: &mut GabSnapshot) {
        if !self.gab.configured {
            self.gab.show(gab);
        }
        for port in &mut gab.ports {
            let Some(name) = single(&port.port) else { continue };
            let client = self.clients.on_port(name);
            port.name = client.name;
            port.refcount = client.refcount;
        }
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
        if let Err(error) = request.check() {
            return refused(None, &error);
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
        request.queues.iter().for_each(|&queue| life::limit(policy, queue));
        let already = self.gab == before && self.gab.configured && !request.seed;
        let listening = self.listening.is_some();
        if self.gab.configured && self.gab != before {
            self.warn_of_policy(Some(before));
            // Seeding waits until LLT has started.
            let count = if before.configured { request.count } else { self.gab.count };
            let seed = count.filter(|_| !listening);
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
            Phase::Ended(_)
            | Phase::Leaving { .. }
            | Phase::Parting { .. }
            | Phase::Stopping { .. } => {
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

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The port with this letter.
fn single(port: &str) -> Option<PortName> {
    let mut letters = port.chars();
    letters.next().and_then(PortName::new).filter(|_| letters.next().is_none())
}

const NO_PORT: &str = "a port is one letter, a to z or A to Z";

//! What volumes have done, at this node and at others: `vxstat` and `vxtrace`.
//!
//! Each vxiod knows it of its own node only. The vxconfigd that a utility asks has that of other nodes
//! shipped to it (port u), and waits for none of them for long: who does not answer is named.

use std::collections::{BTreeMap, BTreeSet};

use llt::{Duration, Instant, NodeId, NodeSet};

use super::Configd;
use super::requests::Shipment;
use crate::core::iod::{Command, ObserveNumber};
use crate::disk::RequestId;
use crate::request::{Failure, NodesStats, Reply};
use crate::stats::{Observe, Observed, Reset, Stats, TraceTaken};

/// Who waits for what.
#[derive(Clone, Debug, Default)]
pub(super) struct Observing {
    made: u64,
    /// What the vxiod of this node was asked.
    asked: BTreeMap<ObserveNumber, Whose>,
    /// What is gathered of several nodes.
    gathers: BTreeMap<RequestId, Gather>,
}

/// For whom vxiod was asked.
#[derive(Clone, Copy, Debug)]
enum Whose {
    /// A utility that wants to know of several nodes; of this one or another node.
    Gather(NodeId, RequestId),
    /// A utility of this node.
    Session(u64),
}

#[derive(Clone, Debug)]
struct Gather {
    session: u64,
    missing: NodeSet,
    stats: NodesStats,
    deadline: Instant,
}

impl Observing {
    /// A utility is gone.
    pub(super) fn hang_up(&mut self, session: u64) {
        self.gathers.retain(|_, gather| gather.session != session);
        self.asked.retain(|_, whose| !matches!(whose, Whose::Session(of) if *of == session));
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.gathers.values().map(|gather| gather.deadline).min()
    }
}

impl Configd {
    /// `vxstat`: nodes are asked, all at the same time.
    pub(super) fn gather(
        &mut self,
        now: Instant,
        session: u64,
        nodes: &BTreeSet<u8>,
        reset: Option<&Reset>,
    ) {
        let mut there = if self.role.is_member { self.role.members } else { NodeSet::EMPTY };
        there.insert(self.me.node);
        let is_there = |node: u8| NodeId::new(node).is_some_and(|node| there.contains(node));
        if let Some(node) = nodes.iter().find(|node| !is_there(**node)) {
            let failure = Failure::plain(format!("node {node} is not in the cluster"));
            self.reply(session, Reply::Failed(failure));
            return;
        }
        let named = nodes.iter().copied().filter_map(NodeId::new);
        let missing = if nodes.is_empty() { there } else { named.collect() };
        self.observing.made += 1;
        let id = RequestId { origin: self.me, number: self.observing.made };
        let (stats, deadline) = (NodesStats::default(), now + PATIENCE);
        self.observing.gathers.insert(id, Gather { session, missing, stats, deadline });
        for node in missing.iter() {
            let is_reachable = self.requests.reachable.is_some_and(|u| u.members.contains(node));
            if node == self.me.node {
                self.observe_for(node, id, reset.cloned());
            } else if is_reachable {
                self.ship(node, &Shipment::Observe(id, reset.cloned()));
            } else {
                self.gathered(id, node, None);
            }
        }
    }

    /// A vxconfigd, of this or of another node, wants to know what volumes have done here.
    pub(super) fn observe_for(&mut self, from: NodeId, id: RequestId, reset: Option<Reset>) {
        self.observe(Whose::Gather(from, id), Observe::Stats { reset });
    }

    /// `vxtrace`
    pub(super) fn trace(&mut self, session: u64, taken: TraceTaken) {
        self.observe(Whose::Session(session), Observe::Trace(taken));
    }

    fn observe(&mut self, whose: Whose, what: Observe) {
        self.observing.made += 1;
        let number = ObserveNumber(self.observing.made);
        self.observing.asked.insert(number, whose);
        self.command(Command::Observe(number, what));
    }

    pub(super) fn on_observed(&mut self, ask: ObserveNumber, observed: Observed) {
        match (self.observing.asked.remove(&ask), observed) {
            (Some(Whose::Gather(node, id)), Observed::Stats(stats)) => {
                self.tell_observed(node, id, Some(stats));
            }
            (Some(Whose::Session(session)), Observed::Traced(traced)) => {
                self.reply(session, Reply::Traced(traced));
            }
            // Who asked is gone; nobody is answered something else.
            (None, _)
            | (Some(Whose::Gather(..)), Observed::Traced(_))
            | (Some(Whose::Session(_)), Observed::Stats(_)) => {}
        }
    }

    fn tell_observed(&mut self, node: NodeId, id: RequestId, stats: Option<Stats>) {
        if node == self.me.node {
            self.gathered(id, node, stats);
        } else {
            self.ship(node, &Shipment::Observed(id, stats));
        }
    }

    /// A node has answered; `None`: it does not.
    pub(super) fn gathered(&mut self, id: RequestId, node: NodeId, stats: Option<Stats>) {
        let Some(gather) = self.observing.gathers.get_mut(&id) else { return };
        if !gather.missing.contains(node) {
            return;
        }
        gather.missing.remove(node);
        match stats {
            Some(stats) => drop(gather.stats.nodes.insert(node.get(), stats)),
            None => drop(gather.stats.silent.insert(node.get())),
        }
        if gather.missing.is_empty()
            && let Some(Gather { session, stats, .. }) = self.observing.gathers.remove(&id)
        {
            self.reply(session, Reply::Stats(Box::new(stats)));
        }
    }

    /// Their vxconfigds are gone.
    pub(super) fn forget_observers(&mut self, left: NodeSet) {
        let ids: Vec<RequestId> = self.observing.gathers.keys().copied().collect();
        let mut others = left;
        others.remove(self.me.node);
        for node in others.iter() {
            ids.iter().for_each(|id| self.gathered(*id, node, None));
        }
    }

    /// vxiod is gone.
    pub(super) fn cannot_observe(&mut self, failure: &Failure) {
        for whose in std::mem::take(&mut self.observing.asked).into_values() {
            match whose {
                Whose::Gather(node, id) => self.tell_observed(node, id, None),
                Whose::Session(session) => self.reply(session, Reply::Failed(failure.clone())),
            }
        }
    }

    pub(super) fn check_observing(&mut self, now: Instant) {
        let late = self.observing.gathers.iter().filter(|(_, gather)| gather.deadline <= now);
        let late = late.map(|(id, gather)| (*id, gather.missing)).collect::<Vec<_>>();
        for (id, missing) in late {
            missing.iter().for_each(|node| self.gathered(id, node, None));
        }
    }
}

/// So long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

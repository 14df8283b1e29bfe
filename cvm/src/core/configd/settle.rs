//! A change is told as done when it can be seen on every node, not only on the one that asked: the
//! next command may be given anywhere.
//!
//! Whoever hears of a commit says so to the vxconfigd whose request it was (w SETTLED), and that one
//! answers when all have. Nothing depends on it: who is gone, out, or silent for too long is not
//! waited for, for what was decided is decided.

use std::collections::BTreeMap;

use llt::{Instant, NodeId, NodeSet};

use super::{Configd, ConfigdNotice};
use crate::core::wire::w::WMessage;
use crate::disk::RequestId;
use crate::request::Reply;

/// Requests of this node that are committed, or about to be.
#[derive(Clone, Debug, Default)]
pub(super) struct Settling {
    /// Who has said so, also before this node has heard of it.
    settled: BTreeMap<RequestId, NodeSet>,
    /// Those that are committed here: who has not said so, and until when that is awaited.
    awaited: BTreeMap<RequestId, (NodeSet, Instant)>,
}

impl Settling {
    pub(super) fn forget(&mut self, request: RequestId) {
        self.settled.remove(&request);
        self.awaited.remove(&request);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.awaited.values().map(|(_, deadline)| *deadline).min()
    }
}

impl Configd {
    /// A change of a shared group is in force here.
    pub(super) fn settle(&mut self, now: Instant, request: RequestId) {
        if request.origin.node != self.me.node {
            self.send_to(request.origin.node, &WMessage::Settled { request });
            return;
        }
        if !self.requests.is_awaited(request) {
            self.settling.forget(request);
            return;
        }
        let settled = self.settling.settled.remove(&request).unwrap_or(NodeSet::EMPTY);
        let mut missing = self.role.members.difference(settled);
        missing.remove(self.me.node);
        self.settling.awaited.insert(request, (missing, now + self.config.answer_limit));
        self.answer_settled();
    }

    pub(super) fn on_settled(&mut self, from: NodeId, request: RequestId) {
        if let Some((missing, _)) = self.settling.awaited.get_mut(&request) {
            missing.remove(from);
            self.answer_settled();
        } else if self.requests.is_awaited(request) {
            self.settling.settled.entry(request).or_insert(NodeSet::EMPTY).insert(from);
        }
    }

    /// Who was gone from port w for a moment knows nothing of it, and need not: its vxiod has told it.
    pub(super) fn forget_settling(&mut self, nodes: NodeSet) {
        for (missing, _) in self.settling.awaited.values_mut() {
            *missing = missing.difference(nodes);
        }
    }

    /// Who has said it, or cannot.
    pub(super) fn answer_settled(&mut self) {
        let there = self.role.members.intersection(self.present);
        let is_over = |missing: &NodeSet| missing.intersection(there).is_empty();
        let over = self.settling.awaited.iter().filter(|(_, (missing, _))| is_over(missing));
        for request in over.map(|(request, _)| *request).collect::<Vec<_>>() {
            self.answer(request, Reply::Done);
        }
    }

    pub(super) fn check_settling(&mut self, now: Instant) {
        let late = self.settling.awaited.iter().filter(|(_, (_, deadline))| *deadline <= now);
        for (request, missing) in late.map(|(id, (missing, _))| (*id, *missing)).collect::<Vec<_>>()
        {
            if let Some(node) = missing.first() {
                let text = "vxconfigd does not say that a change is in force there".to_owned();
                self.notice(ConfigdNotice::Failed { node, text });
            }
            self.answer(request, Reply::Done);
        }
    }
}

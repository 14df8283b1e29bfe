//! What happens at this node, for programs: one JSON object per event (docs/metrics.md).
//!
//! The same notices as in the log, but for the state of the ports, which is kept here: a reader gets
//! it when it begins, and from then on every change of it.

use std::collections::BTreeMap;

use llt::core::{DownReason, Event, LinkStatus, Note};
use llt::{NodeId, NodeSet};
use serde_json::{Value, json};

use crate::core::{ClientId, Notice};
use crate::daemon::settings::Settings;
use crate::snapshot::{GabSnapshot, PortSnapshot};
use crate::stack::refused_cause;

/// The state that readers know.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// The node itself.
    node: Value,
    /// By letter; `None` while nobody reads.
    ports: Option<BTreeMap<String, PortSnapshot>>,
    /// Something happened that may have changed what no notice tells.
    stale: bool,
}

impl Events {
    /// Does anybody read?
    pub(super) const fn is_on(&self) -> bool {
        self.ports.is_some()
    }

    /// Nobody reads any more.
    pub(super) fn stop(&mut self) {
        *self = Self::default();
    }

    /// The first reader.
    pub(super) fn begin(&mut self, settings: &Settings, gab: &GabSnapshot) {
        self.node = of_node(settings, gab);
        self.ports = Some(by_letter(gab));
        self.stale = false;
    }

    /// What a new reader is told first: the node, and every port of it.
    pub(super) fn state(&self) -> Vec<Value> {
        let ports = self.ports.iter().flat_map(BTreeMap::values);
        std::iter::once(self.node.clone())
            .chain(ports.map(|port| port_event("port", port)))
            .collect()
    }

    /// The events of a notice.
    pub(super) fn of_notice(
        &mut self,
        settings: &Settings,
        notice: &Notice,
        pid: impl Fn(ClientId) -> Option<i32>,
        cluster: NodeSet,
    ) -> Vec<Value> {
        let Some(ports) = &mut self.ports else { return Vec::new() };
        self.stale = true;
        if let Notice::Membership { port, generation, members } = notice {
            let letter = port.to_string();
            let known = ports.entry(letter.clone()).or_default();
            let members = ids(*members);
            if (known.generation, &known.members) == (*generation, &members) {
                // A reader that has begun since was told already.
                return Vec::new();
            }
            known.port = letter;
            return vec![change(known, *generation, members, cluster)];
        }
        of_notice(settings, notice, pid).into_iter().collect()
    }

    /// The state may have changed without a notice: this node has left, or begins anew.
    pub(super) fn look_again(&mut self) {
        self.stale = true;
    }

    /// What has changed without a notice of its own, now that all notices are told.
    pub(super) fn of_state(
        &mut self,
        settings: &Settings,
        snapshot: impl FnOnce() -> GabSnapshot,
    ) -> Vec<Value> {
        let Some(ports) = self.ports.as_mut().filter(|_| self.stale) else { return Vec::new() };
        self.stale = false;
        let gab = snapshot();
        let now = by_letter(&gab);
        let mut events = Vec::new();
        for (letter, before) in &mut *ports {
            if now.get(letter).is_none_or(|port| port.members.is_empty())
                && !before.members.is_empty()
            {
                // It was left, or this node was thrown out: no view tells.
                let generation = before.generation;
                events.push(change(before, generation, Vec::new(), NodeSet::EMPTY));
            }
        }
        for (letter, port) in &now {
            let before = ports.get(letter).cloned().unwrap_or_default();
            if before.generation != port.generation || before.members != port.members {
                let known = ports.entry(letter.clone()).or_default();
                known.port.clone_from(letter);
                let cluster = nodes(&gab);
                events.push(change(known, port.generation, port.members.clone(), cluster));
            }
            if before.jeopardy != port.jeopardy {
                events.push(port_event("jeopardy", port));
            }
            if before.visible != port.visible {
                events.push(port_event("visible", port));
            }
        }
        *ports = now;
        let node = of_node(settings, &gab);
        if node != self.node {
            self.node.clone_from(&node);
            events.push(node);
        }
        events
    }
}

fn of_node(settings: &Settings, gab: &GabSnapshot) -> Value {
    let tab = &settings.tab;
    json!({
        "event": "node",
        "node": tab.node.get(),
        "name": tab.hosts.name(tab.node).map(ToString::to_string),
        "cluster": tab.cluster.0,
        "configured": gab.configured,
        "view": gab.view,
    })
}

/// This node halts.
pub(super) fn halt(port: &str, why: &str) -> Value {
    json!({"event": "halt", "port": port, "reason": why})
}

/// A reader was slow.
pub(super) fn lost(events: u64) -> Value {
    json!({"event": "lost", "events": events})
}

/// With the time, in milliseconds since 1970, as it goes out.
pub(super) fn stamped(mut event: Value, wall_nanos: u64) -> String {
    event["time"] = (wall_nanos / 1_000_000).into();
    event.to_string()
}

fn by_letter(gab: &GabSnapshot) -> BTreeMap<String, PortSnapshot> {
    gab.ports.iter().map(|port| (port.port.clone(), port.clone())).collect()
}

/// The nodes of the view, which are the members of port a.
fn nodes(gab: &GabSnapshot) -> NodeSet {
    let control = gab.ports.iter().find(|port| port.port == "a");
    control.iter().flat_map(|port| &port.members).filter_map(|&id| NodeId::new(id)).collect()
}

fn ids(nodes: NodeSet) -> Vec<u8> {
    nodes.iter().map(NodeId::get).collect()
}

/// A new membership; `known` is what it was, and is then what it is.
fn change(known: &mut PortSnapshot, generation: u64, members: Vec<u8>, cluster: NodeSet) -> Value {
    let without = |these: &[u8], those: &[u8]| -> Vec<u8> {
        these.iter().copied().filter(|id| !those.contains(id)).collect()
    };
    let joined = without(&members, &known.members);
    let left = without(&known.members, &members);
    // "Daemon down, node alive": only the client is gone.
    let ddna: Vec<u8> = left.iter().copied().filter(|id| ids(cluster).contains(id)).collect();
    (known.generation, known.members) = (generation, members);
    json!({
        "event": "membership",
        "port": known.port,
        "generation": generation,
        "members": known.members,
        "joined": joined,
        "left": left,
        "ddna": ddna,
    })
}

fn port_event(event: &str, port: &PortSnapshot) -> Value {
    json!({
        "event": event,
        "port": port.port,
        "generation": port.generation,
        "members": port.members,
        "jeopardy": port.jeopardy,
        "visible": port.visible,
    })
}

fn of_notice(
    settings: &Settings,
    notice: &Notice,
    pid: impl Fn(ClientId) -> Option<i32>,
) -> Option<Value> {
    let name = |node: NodeId| settings.tab.hosts.name(node).map(ToString::to_string);
    let client = |what: &str, port: crate::ids::PortName, pid: Option<i32>| json!({"event": "client", "port": port.to_string(), "what": what, "pid": pid});
    let node =
        |event: &str, node: NodeId| json!({"event": event, "node": node.get(), "name": name(node)});
    let with = |mut event: Value, key: &str, value: Value| {
        event[key] = value;
        event
    };
    Some(match notice {
        Notice::ClientClosed { port, reason } => {
            with(client("closed", *port, None), "reason", reason.to_string().into())
        }
        Notice::ClientFailed { client: id, port, timeout, .. } => {
            let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            with(client("failed", *port, pid(*id)), "heartbeat_ms", ms.into())
        }
        Notice::ClientKilled { client: id, port, reason } => {
            with(client("killed", *port, pid(*id)), "reason", reason.to_string().into())
        }
        Notice::ClientInactive { client: id, port, seconds } => {
            with(client("inactive", *port, pid(*id)), "seconds", (*seconds).into())
        }
        Notice::RegistrationExpected { port, left, halt } => {
            let event = with(client("expected", *port, None), "seconds", left.as_secs().into());
            with(event, "halt", (*halt).into())
        }
        Notice::RegistrationMissed { port } => client("missed", *port, None),
        Notice::ProtocolError { sequence } => {
            json!({"event": "protocol-error", "sequence": sequence})
        }
        Notice::Ejected { by } => json!({"event": "ejected", "view": by.to_string()}),
        Notice::Llt(event) => return of_llt(event, &name),
        // What becomes of a port is told from what is known of it; where ports stand in a moment of
        // trouble is for the log.
        Notice::Dump(_)
        | Notice::Jeopardy { .. }
        | Notice::Membership { .. }
        | Notice::PortClosed { .. }
        | Notice::Visible { .. } => return None,
        Notice::QuorumDiffers { node: id, theirs } => {
            with(node("quorum-differs", *id), "theirs", (*theirs).into())
        }
        Notice::QuorumLost { of, present } => {
            json!({"event": "quorum-lost", "of": ids(*of), "present": ids(*present)})
        }
        Notice::Returned { node: id, hold } => {
            let ms = u64::try_from(hold.as_millis()).unwrap_or(u64::MAX);
            with(node("returned", *id), "hold_ms", ms.into())
        }
        Notice::SeededByHand { members } => {
            json!({"event": "seeded", "members": ids(*members), "by_hand": true})
        }
        Notice::SlowMember { node: id, behind } => {
            with(node("slow", *id), "behind", (*behind).into())
        }
        Notice::Stalled { node: id, conn_wait } => {
            with(node("stalled", *id), "conn_wait", (*conn_wait).into())
        }
        Notice::StuckMember { node: id } => node("stuck", *id),
        Notice::TooManyChanges { failed } => {
            json!({"event": "too-many-changes", "failed": failed})
        }
        Notice::VersionRefused { node: id, versions, ours } => {
            let range = |of: &crate::ids::Versions| json!([of.min, of.max]);
            with(with(node("version", *id), "versions", range(versions)), "ours", range(ours))
        }
        Notice::WaitingForSeed { port } => {
            json!({"event": "waiting", "port": port.to_string()})
        }
    })
}

/// Of LLT what bears on memberships: peers, the state of links, and what is wrong with them.
fn of_llt(event: &Event, name: &impl Fn(NodeId) -> Option<String>) -> Option<Value> {
    let link = |node: Option<NodeId>, link: llt::LinkId, status: &str| {
        json!({
            "event": "link",
            "link": link.get(),
            "node": node.map(NodeId::get),
            "name": node.and_then(name),
            "status": status,
        })
    };
    Some(match event {
        Event::Link { peer, link: id, status, .. } => {
            let status = match status {
                LinkStatus::Down => "down",
                LinkStatus::Expired => "expired",
                LinkStatus::Trouble => "trouble",
                LinkStatus::Up => "up",
            };
            link(Some(peer.node), *id, status)
        }
        Event::Note { peer, link: id, note, found } => {
            let note = match note {
                Note::Crossed { .. } => "crossed",
                Note::Lossy => "lossy",
                Note::Mtu { .. } => "mtu",
                Note::OneWay => "one-way",
            };
            let mut event = link(peer.map(|peer| peer.node), *id, note);
            event["found"] = (*found).into();
            event
        }
        Event::PeerUp { peer, .. } => json!({
            "event": "peer", "node": peer.node.get(), "name": name(peer.node), "connected": true,
        }),
        Event::PeerDown { peer, reason } => {
            let reason = match reason {
                DownReason::Excluded => "excluded",
                DownReason::Left => "left",
                DownReason::Reset => "reset",
                DownReason::Restarted => "restarted",
                DownReason::Silent => "silent",
            };
            json!({
                "event": "peer", "node": peer.node.get(), "name": name(peer.node),
                "connected": false, "reason": reason,
            })
        }
        Event::Duplicate { node, .. } => {
            json!({"event": "duplicate", "node": node.get(), "name": name(*node)})
        }
        Event::Late { late_ms } => json!({"event": "late", "ms": late_ms}),
        Event::Refused { cause, link, from } => json!({
            "event": "refused", "link": link.get(), "from": from.to_string(),
            "reason": refused_cause(*cause),
        }),
        Event::AddressChanged { .. }
        | Event::Datagram { .. }
        | Event::Delayed { .. }
        | Event::Hole { .. }
        | Event::Lost { .. }
        | Event::Message { .. }
        | Event::Requested { .. }
        | Event::Silent { .. }
        | Event::Writable { .. } => return None,
    })
}

#[cfg(test)]
mod tests;

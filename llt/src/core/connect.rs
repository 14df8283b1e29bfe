//! Connecting and giving up: sessions.
//!
//! A connection is named by a pair of sessions, one of each side, besides the incarnations. A side
//! that ends a connection takes a session that it never used before, so a pair never comes back
//! and nothing of an old connection can be taken for the new one. A side that is not connected
//! keeps its session whatever the other does: that is why two sides cannot chase each other.
//!
//! Which of two sessions of the peer is the newer one, its heartbeats tell, which are numbered
//! across all links. The same numbers admit broadcasts, which cannot name a session of each
//! receiver: one that was sent after a heartbeat that named the session is of that session or a
//! newer one, and the list of recipients keeps out the newer.

use super::context::Context;
use super::link::ANSWERS_MAX;
use super::output::{DownReason, Event, LinkStatus};
use super::peer::Peer;
use super::proof::Proof;
use super::receiver::Receiver;
use super::sender::Sender;
use super::sequence::Sequence;
use crate::ids::{Incarnation, LinkAddr};
use crate::time::Duration;

impl Context {
    /// Both sides hear each other and know each other's session.
    pub(super) fn connect(&mut self, peer: &mut Peer) {
        let Some(id) = peer.id() else {
            self.alarm("connected to a peer without an incarnation");
            return;
        };
        peer.connected = true;
        peer.sender = Sender::new();
        peer.receiver = Receiver::default();
        peer.is_stalled = false;
        for link in &mut peer.links {
            link.rx_unicast = Sequence::default();
            link.rx_broadcast = Sequence::default();
        }
        for link in 0..peer.links.len() {
            if peer.links[link].addr.is_none() {
                self.look_for_peers(link);
            }
        }
        self.event(Event::PeerUp { peer: id, links_up: peer.links_up() });
    }

    /// What was known of the peer's incarnation on its links is void.
    pub(super) fn forget_links(&mut self, peer: &mut Peer) {
        for link in 0..peer.links.len() {
            self.forget_words(peer, link);
            peer.links[link].forget();
        }
    }

    /// The connection, if there is one, is over. Its session is never used again.
    pub(super) fn disconnect(&mut self, peer: &mut Peer, reason: DownReason) {
        if !peer.connected {
            return;
        }
        let Some(id) = peer.id() else { return };
        tracing::debug!(peer = %id, ?reason, "disconnected");
        peer.connected = false;
        peer.session = self.next_session();
        peer.sender = Sender::new();
        peer.receiver = Receiver::default();
        self.event(Event::PeerDown { peer: id, reason });
        let mut changes = Vec::new();
        for (index, link) in peer.links.iter_mut().enumerate() {
            // What the peer said it heard belonged to the old session.
            link.hears_us = false;
            link.last_two_way = None;
            link.proof = Proof::default();
            if link.status == LinkStatus::Up {
                let silence = link.silence(self.now).unwrap_or(Duration::ZERO);
                changes.push((index, LinkStatus::Down, silence));
            }
        }
        self.set_statuses(peer, &changes);
    }

    /// The peer's heartbeat `sequence` names its session with us, or 0 if it has none; false if
    /// it is an old one.
    pub(super) fn on_peer_session(&mut self, peer: &mut Peer, session: u16, sequence: u64) -> bool {
        if session != peer.peer_session {
            if sequence < peer.newest_heartbeat || (session == 0 && peer.connected) {
                return false;
            }
            self.disconnect(peer, DownReason::Reset);
            peer.peer_session = session;
            peer.session_since = sequence;
        }
        peer.newest_heartbeat = peer.newest_heartbeat.max(sequence);
        true
    }

    /// From now on the peer is this incarnation; what there was of an older one is over.
    pub(super) fn adopt(
        &mut self,
        peer: &mut Peer,
        incarnation: Incarnation,
        link: usize,
        from: LinkAddr,
    ) {
        self.disconnect(peer, DownReason::Restarted);
        self.forget_links(peer);
        peer.incarnation = Some(incarnation);
        peer.session = self.next_session();
        peer.peer_session = 0;
        peer.newest_heartbeat = 0;
        peer.probation = None;
        peer.rejected = None;
        peer.elder = None;
        peer.peer_window = usize::MAX;
        peer.open_ports = 0;
        peer.busy_ports = 0;
        self.learn(peer, link, from);
        for link in &mut peer.links {
            link.answers_left = ANSWERS_MAX;
        }
    }
}

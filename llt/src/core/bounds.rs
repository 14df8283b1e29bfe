//! The size of everything that could grow, with its limit.

use super::Llt;
use super::ignored::IGNORED_MAX;
use super::peer::Peer;
use crate::limits::{Bounded, LINKS_MAX, NODES_MAX, SEND_QUEUE_PACKETS_MAX};

impl Llt {
    /// Everything in LLT that could grow, and how much of it there may be. Of what each peer has
    /// for itself it is the largest.
    pub fn bounded(&self) -> Vec<Bounded> {
        let peers = || self.peers.iter().flatten();
        let most = |of: fn(&Peer) -> usize| peers().map(|peer| of(peer)).max().unwrap_or(0);
        let (context, window) = (&self.context, self.context.config.flow.window);
        let mut all = vec![
            Bounded::new("llt peers", peers().count(), usize::from(NODES_MAX)),
            Bounded::new("llt links", context.links.len(), usize::from(LINKS_MAX)),
            Bounded::new("llt ignored nodes", context.ignored.len(), IGNORED_MAX),
            Bounded::new("llt queue", most(|peer| peer.sender.queued()), SEND_QUEUE_PACKETS_MAX),
            Bounded::new("llt in flight", most(|peer| peer.sender.in_flight()), window),
            Bounded::new("llt ahead of a hole", most(|peer| peer.receiver.ahead()), window),
            Bounded::new("llt in parts", most(|peer| peer.receiver.in_parts()), window),
        ];
        all.extend(context.notes.bounded());
        all
    }
}

//! For how long the others still count on this node: the basis of the I/O lease.
//!
//! Who is a member of a port may use what the members share. One that the others go on without must
//! have stopped before they do, and no message can tell it so. It stops by its own clock: whoever
//! goes on without it has not heard it for `peerinact`, so as long as *every* other member has shown
//! lately that it hears us, nobody has gone on. That is every member of the view, whatever ports it has
//! open: each of them may throw us out. One that fell silent takes the lease away, until a view without it is
//! in force.

use llt::{Id, Instant};

use super::Gab;
use crate::ids::PortName;

/// A node's part in a port, as far as the others have confirmed it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standing {
    /// The membership that it is a part of, which clients may not have been told yet.
    pub generation: u64,
    /// Every other member of the view counts on this node until `peerinact` after this at least.
    pub since: Instant,
}

impl Gab {
    /// This node's standing on a port, at `now`; `proven` says when the newest heartbeat of ours was
    /// sent that a peer has shown to have heard ([`llt::Llt::proven`]). `None` if this node is no
    /// member, or waits for its view to be authorised, or a member is suspected or has not shown
    /// anything. Who is
    /// alone is never gone on without.
    pub fn standing(
        &self,
        now: Instant,
        name: PortName,
        proven: impl Fn(Id) -> Option<Instant>,
    ) -> Option<Standing> {
        let me = self.id.node;
        let (view, port) = (self.view.as_ref()?, self.ports.get(&name)?);
        let is_member = port.members.contains_key(&me);
        // Who was lost once is out, or we are, though it is heard again: that takes a view.
        let is_lost = |id: &Id| self.membership.suspects.contains_key(id);
        let is_whole = self.is_mutant_lease() || !view.members.iter().any(is_lost);
        let is_up = !self.over && self.leaving.is_none() && is_whole;
        if !is_up || !is_member || !self.may_release(name) {
            return None;
        }
        let mut others = view.members.iter().filter(|id| id.node != me);
        let since = others.try_fold(now, |since, id| {
            let proven = if self.is_mutant_lease() { Some(now) } else { proven(*id) };
            Some(since.min(proven?))
        });
        Some(Standing { generation: port.generation, since: since? })
    }

    /// Ports that this node is registered on.
    pub fn own_ports(&self) -> impl Iterator<Item = PortName> {
        self.ports.iter().filter(|(_, port)| port.local.is_some()).map(|(name, _)| *name)
    }
}

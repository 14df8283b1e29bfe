//! Leases of the ports of this node, as clients read them (`gab::lease`).

use llt::Instant;
use llt::io::Clock;

use crate::daemon::files::Files;
use crate::ids::PortName;
use crate::lease::{LeaseWriter, boot_nanos};
use crate::stack::Stack;

/// gabd's leases.
#[derive(Debug)]
pub(super) struct Leases {
    /// Without it nobody has one.
    writer: Option<LeaseWriter>,
    granted: Vec<PortName>,
    /// When what is granted is to be renewed, if no turn is sooner: a node that hears nobody has none.
    renew_at: Option<Instant>,
    /// How far the clock that goes on while the machine is suspended is ahead of ours.
    ahead: u64,
    /// What others have shown before this counts no more: the machine was suspended since.
    counts_from: Instant,
}

impl Leases {
    pub(super) fn new(files: &Files) -> Self {
        let path = files.lease();
        let writer = LeaseWriter::create(&path);
        let writer = writer.inspect_err(|error| {
            tracing::error!("cannot make {}: {error}; nobody has a lease", path.display());
        });
        let (granted, renew_at, ahead) = (Vec::new(), None, 0);
        Self { writer: writer.ok(), granted, renew_at, ahead, counts_from: Instant::ZERO }
    }

    /// When the next turn is due at the latest.
    pub(super) const fn next_deadline(&self) -> Option<Instant> {
        self.renew_at
    }

    /// At the end of a turn: what it has changed.
    pub(super) fn publish(&mut self, clock: Clock, stack: &Stack) {
        let Some(writer) = &self.writer else { return };
        let mut granted = Vec::new();
        // Whoever has none to grant needs no clock.
        let mut now = None;
        for port in stack.gab().own_ports() {
            let now = *now.get_or_insert_with(|| {
                let now = clock.now();
                let ahead = boot_nanos().saturating_sub(now.as_nanos());
                if ahead > self.ahead + SLEPT {
                    self.counts_from = now;
                }
                self.ahead = ahead;
                now
            });
            let Some(standing) = stack.standing(now, port) else { continue };
            if standing.since >= self.counts_from {
                let until = standing.since + stack.lease_length();
                writer.grant(port, standing.generation, until.as_nanos() + self.ahead);
                granted.push(port);
            }
        }
        let renewed = now.filter(|_| !granted.is_empty());
        self.renew_at = renewed.map(|now| now + stack.lease_length() / 4);
        for port in std::mem::replace(&mut self.granted, granted) {
            if !self.granted.contains(&port) {
                writer.clear(port);
            }
        }
    }
}

/// Clocks that come apart by so many nanoseconds show that the machine was suspended, or this process
/// between two looks at them.
const SLEPT: u64 = 10_000_000;

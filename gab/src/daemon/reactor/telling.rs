//! What others are told of this node: metrics, when the exporter asks.

use crate::daemon::metrics::{Published, Watching};
use crate::daemon::reactor::Reactor;

impl Reactor {
    /// The exporter has asked.
    pub(super) fn publish_metrics(&self) {
        let board = &self.parts.board;
        board.take();
        let mut snapshot = self.stack.snapshot();
        self.complete(&mut snapshot.llt);
        board.publish(Published {
            // Later than whatever was asked before.
            at: self.parts.clock.now(),
            snapshot,
            bounded: self.stack.bounded(),
            delivered: *self.stack.gab().delivered(),
            kills: self.clients.kills(),
            watching: Watching::default(),
        });
    }
}

//! What others are told of this node: metrics, when the exporter asks, and events, to those who read
//! them. Without any nothing is kept.

use serde_json::Value;

use crate::core::Notice;
use crate::daemon::events;
use crate::daemon::metrics::Published;
use crate::daemon::reactor::Reactor;
use crate::ids::PortName;

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
            watching: self.clients.watching(),
        });
    }

    /// The stack said something.
    pub(super) fn tell_notice(&mut self, notice: &Notice) {
        if !self.events.is_on() {
            return;
        }
        let cluster = self.stack.gab().view().map(crate::ids::View::nodes).unwrap_or_default();
        let pid = |client| self.clients.pid(client);
        let events = self.events.of_notice(&self.parts.settings, notice, pid, cluster);
        self.say(events);
    }

    /// All that the stack had to say is told: what changed without a word of it, and the present
    /// state for new readers.
    pub(super) fn tell_events(&mut self) {
        if !self.clients.is_watched() {
            return self.events.stop();
        }
        if self.events.is_on() {
            let gab = self.stack.gab();
            let events = self.events.of_state(&self.parts.settings, || gab.snapshot());
            self.say(events);
        } else {
            self.events.begin(&self.parts.settings, &self.stack.gab().snapshot());
        }
        let new = self.clients.take_new_watchers();
        if new.is_empty() {
            return;
        }
        let wall = self.parts.clock.wall_nanos();
        let state = self.events.state().into_iter();
        let state: Vec<String> = state.map(|event| events::stamped(event, wall)).collect();
        new.into_iter().for_each(|number| self.clients.state_to(number, &state, wall));
    }

    /// The last event: nothing is sent after it.
    pub(super) fn tell_halt(&mut self, port: PortName, why: &str) {
        if self.events.is_on() {
            self.say(vec![events::halt(&port.to_string(), why)]);
            let now = self.parts.clock.now();
            self.clients.flush(now, &mut self.stack, &self.poller);
        }
    }

    fn say(&mut self, events: Vec<Value>) {
        let wall = self.parts.clock.wall_nanos();
        for event in events {
            self.clients.event(&events::stamped(event, wall));
        }
    }
}

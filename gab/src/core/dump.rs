//! Where every port stands, for the log, when a member is about to be given up (facts 2.14).

use llt::{NodeId, NodeSet};

use super::{Gab, Notice, PortDump};
use crate::ids::PortName;

impl Gab {
    /// Tells where every port stands.
    pub(super) fn dump(&mut self) {
        for dump in self.dumps() {
            self.notice(Notice::Dump(dump));
        }
    }

    fn dumps(&self) -> Vec<PortDump> {
        let me: NodeSet = [self.id.node].into_iter().collect();
        let (held, _, stable) = self.progress();
        let state = match (self.is_frozen(), &self.ready) {
            (false, _) => 1,
            (true, None) => 2,
            (true, Some(_)) => 3,
        };
        let control = PortDump {
            port: PortName::CONTROL,
            node: self.id.node,
            connected: self.peers.keys().copied().collect::<NodeSet>().union(me),
            view: self.cluster_nodes(),
            members: self.cluster_nodes(),
            answered: self.answered(held).union(me),
            jeopardy: self.jeopardy(),
            state,
            generation: self.control_generation,
            held,
            stable,
        };
        let ports = self.ports.iter().filter(|(_, port)| !port.members.is_empty());
        let ports = ports.map(|(&name, port)| PortDump {
            port: name,
            members: port.nodes(),
            jeopardy: control.jeopardy.intersection(port.nodes()),
            generation: port.generation,
            ..control
        });
        std::iter::once(control).chain(ports).collect()
    }

    /// Others who did what is awaited of them.
    fn answered(&self, held: u64) -> NodeSet {
        if let Some(answered) = self.change_answered() {
            return answered;
        }
        let acks = self.stream.iter().flat_map(super::stream::Stream::acks);
        acks.filter(|(_, ack)| *ack >= held).map(|(node, _): (NodeId, u64)| node).collect()
    }
}

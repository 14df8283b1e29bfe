//! The replicated table of port memberships, as of a place in the stream.
//!
//! Every member applies the same entries in slot order, so tables are equal at equal places (PT1).
//! The table runs ahead of delivery: it stands at the last slot held without a gap, delivery may
//! still wait for stability.

use std::collections::BTreeMap;

use llt::{Id, NodeSet};

use crate::ids::PortName;
use crate::wire::{Entry, EntryKind, PortTableEntry};

/// Port memberships and the generation counter after some slot.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct PortTable {
    /// The cluster-wide counter (precise rule 3).
    pub(crate) generation: u64,
    /// Ports that have or had members, with the generation of their last change.
    pub(crate) ports: BTreeMap<PortName, PortTableEntry>,
}

/// What an entry turned out to be at its place in the order.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Verdict {
    /// Changes the port's membership, under this generation.
    Change(u64),
    /// From a node that is not a member of the port at this place: nobody delivers it (PT2).
    Void,
    /// To be delivered.
    Valid,
}

impl PortTable {
    /// Applies the next entry in slot order.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Verdict {
        match entry.kind {
            EntryKind::User => {
                let member =
                    self.ports.get(&entry.port).is_some_and(|t| t.members.contains_key(&entry.src));
                if member { Verdict::Valid } else { Verdict::Void }
            }
            EntryKind::Leave => Verdict::Valid,
            EntryKind::Open { client } => {
                self.generation += 1;
                let table = self.ports.entry(entry.port).or_default();
                table.members.insert(entry.src, client);
                table.generation = self.generation;
                Verdict::Change(self.generation)
            }
            EntryKind::Close { client } => {
                self.generation += 1;
                let table = self.ports.entry(entry.port).or_default();
                if table.members.get(&entry.src) == Some(&client) {
                    table.members.remove(&entry.src);
                }
                table.generation = self.generation;
                Verdict::Change(self.generation)
            }
        }
    }

    /// A view without some members takes effect: port a first, then every port that lost a member,
    /// in letter order, takes the next generation. Answers those ports with their generations.
    pub(crate) fn install(&mut self, members: &[Id]) -> Vec<(PortName, u64)> {
        let nodes: NodeSet = members.iter().map(|id| id.node).collect();
        self.generation += 1;
        let mut changed = vec![(PortName::CONTROL, self.generation)];
        // Letter order is a..z before A..Z as users read it, but any fixed order serves.
        for (&port, table) in &mut self.ports {
            let before = table.members.len();
            table.members.retain(|&node, _| nodes.contains(node));
            if table.members.len() != before {
                self.generation += 1;
                table.generation = self.generation;
                changed.push((port, self.generation));
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use llt::{Incarnation, NodeId};

    use super::*;
    use crate::event::Level;

    fn entry(src: u8, port: char, kind: EntryKind) -> Entry {
        Entry {
            src: NodeId::new(src).unwrap(),
            port: PortName::new(port).unwrap(),
            kind,
            level: Level::Safe,
            mseq: 1,
            len: 0,
            crc: 0,
            pack: 0,
            payload: Some(Bytes::new()),
        }
    }

    #[test]
    fn every_change_takes_the_next_generation_and_outsiders_are_void() {
        let mut table = PortTable::default();
        assert_eq!(table.apply(&entry(1, 'h', EntryKind::User)), Verdict::Void);
        assert_eq!(table.apply(&entry(1, 'h', EntryKind::Open { client: 7 })), Verdict::Change(1));
        assert_eq!(table.apply(&entry(1, 'h', EntryKind::User)), Verdict::Valid);
        assert_eq!(table.apply(&entry(1, 'd', EntryKind::User)), Verdict::Void);
        assert_eq!(table.apply(&entry(1, 'h', EntryKind::Close { client: 7 })), Verdict::Change(2));
        assert_eq!(table.apply(&entry(1, 'h', EntryKind::User)), Verdict::Void);
    }

    #[test]
    fn a_view_changes_port_a_and_only_the_ports_that_lost_a_member() {
        let mut table = PortTable::default();
        for (node, port) in [(0, 'h'), (1, 'h'), (0, 'd'), (1, 'v')] {
            table.apply(&entry(node, port, EntryKind::Open { client: 1 }));
        }
        let survivor = Id { node: NodeId::ZERO, incarnation: Incarnation(1) };
        let changed: Vec<(char, u64)> = table
            .install(&[survivor])
            .into_iter()
            .map(|(port, gen_)| (port.letter(), gen_))
            .collect();
        assert_eq!(changed, [('a', 5), ('h', 6), ('v', 7)]);
    }

    #[test]
    fn a_late_close_of_an_earlier_client_leaves_the_new_one_in() {
        let mut table = PortTable::default();
        table.apply(&entry(1, 'h', EntryKind::Open { client: 7 }));
        table.apply(&entry(1, 'h', EntryKind::Open { client: 8 }));
        table.apply(&entry(1, 'h', EntryKind::Close { client: 7 }));
        let h = PortName::new('h').unwrap();
        assert_eq!(table.ports[&h].members[&NodeId::new(1).unwrap()], 8);
    }
}

//! The messages of the view change.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use llt::{Id, Incarnation, NodeId};

use super::codec::{COUNTER_MAX, Malformed, Put, Reader};
use crate::ids::{PortName, Versions, Vid};
use crate::limits::{PORTS_MAX, READY_VIEWS_MAX, WINDOW_SLOTS};

/// Who a node is and which view it is in.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Hello {
    /// `gabconfig -c` was done.
    pub configured: bool,
    /// It was frozen for longer than the inactive time and knows it.
    pub was_frozen: bool,
    /// The addressee's incarnation was removed from the sender's lineage: it can only come back
    /// with a new one.
    pub refused: bool,
    /// It asks a majority (`-q`).
    pub quorum: bool,
    /// The life of this node before this one was thrown out, and went on as this.
    pub returned: bool,
    /// What it speaks; in a view, what all its members speak.
    pub versions: Versions,
    /// From how many visible nodes on it seeds; 0 if it does not.
    pub seed: u32,
    /// Members of its view (the head names it); none if it is in no view.
    pub members: Vec<Id>,
}

/// Answer to COLLECT: what a node has.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct State {
    /// The view that it has installed, or none.
    pub installed: Vid,
    /// The view that it is ready for, or none.
    pub ready: Vid,
    /// All slots up to here are held.
    pub cont: u64,
    /// Slots beyond that are held: bit i of byte j stands for `cont + 1 + 8 j + i`.
    pub beyond: Bytes,
    /// Whom it is connected with.
    pub row: Vec<Connection>,
    /// What it speaks.
    pub versions: Versions,
    /// It has announced that it leaves.
    pub leaving: bool,
    /// Members of it that had one link left before they were lost.
    pub lost_in_jeopardy: Vec<Id>,
    /// Every view that it was ready for since `installed` came into force, each list of members
    /// once.
    pub prepared: Vec<Prepared>,
}

/// A view that a node was ready for.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Prepared {
    /// Its id, the greatest if there were several with these members.
    pub vid: Vid,
    /// Its members.
    pub members: Vec<Id>,
}

/// One entry of a node's row of the connectivity matrix.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Connection {
    /// With whom.
    pub peer: Id,
    /// Over one link only.
    pub jeopardy: bool,
}

/// What will be the view.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Proposal {
    /// Its id.
    pub vid: Vid,
    /// The view that it follows, or none.
    pub base: Vid,
    /// What all members speak; it runs at the highest.
    pub versions: Versions,
    /// Its members in rank order.
    pub members: Vec<Id>,
    /// Members of the base that were in jeopardy when they were lost.
    pub jeopardy: Vec<Id>,
    /// The cut: all slots of the base up to here are delivered before it.
    pub cut: u64,
    /// The sequence that the new view's slot 0 stands for.
    pub sequence: u64,
    /// The generation counter after the cut.
    pub generation: u64,
    /// The newest incarnation of each node that was removed: none up to it is admitted again.
    pub removed: BTreeMap<NodeId, Incarnation>,
    /// Every port's membership after the cut, by port.
    pub ports: BTreeMap<PortName, PortTableEntry>,
}

/// The membership of one port.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct PortTableEntry {
    /// Its generation.
    pub generation: u64,
    /// Its members and the incarnation of the client of each.
    pub members: BTreeMap<NodeId, u64>,
}

impl Hello {
    pub(super) fn put(&self, out: &mut BytesMut) {
        out.put_u8(
            u8::from(self.configured)
                | u8::from(self.was_frozen) << 1
                | u8::from(self.refused) << 2
                | u8::from(self.quorum) << 3
                | u8::from(self.returned) << 4,
        );
        out.put_versions(self.versions);
        out.put_u32(self.seed);
        out.put_ids(&self.members);
    }

    pub(super) fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        let flags = reader.u8("flags")?;
        Ok(Self {
            configured: flags & 1 != 0,
            was_frozen: flags & 2 != 0,
            refused: flags & 4 != 0,
            quorum: flags & 8 != 0,
            returned: flags & 16 != 0,
            versions: reader.versions()?,
            seed: reader.u32("a seed count")?,
            members: reader.ids()?,
        })
    }
}

impl State {
    /// Does the reporter hold this slot?
    pub fn holds(&self, slot: u64) -> bool {
        if slot <= self.cont {
            return true;
        }
        let at = slot - self.cont - 1;
        usize::try_from(at / 8)
            .ok()
            .and_then(|byte| self.beyond.get(byte))
            .is_some_and(|byte| byte >> (at % 8) & 1 == 1)
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        out.put_vid(self.installed);
        out.put_vid(self.ready);
        out.put_u64(self.cont);
        out.put_u16(u16::try_from(self.beyond.len()).expect("bounded by the window"));
        out.put_slice(&self.beyond);
        out.put_u8(u8::try_from(self.row.len()).expect("at most 128 nodes"));
        for connection in &self.row {
            out.put_id(connection.peer);
            out.put_u8(u8::from(connection.jeopardy));
        }
        out.put_versions(self.versions);
        out.put_u8(u8::from(self.leaving));
        out.put_ids(&self.lost_in_jeopardy);
        out.put_u8(u8::try_from(self.prepared.len()).expect("bounded where it is collected"));
        for prepared in &self.prepared {
            out.put_vid(prepared.vid);
            out.put_ids(&prepared.members);
        }
    }

    pub(super) fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        let installed = reader.vid()?;
        let ready = reader.vid()?;
        let cont = reader.u64("a slot")?;
        let len = reader.u16("a length")?;
        if u64::from(len) * 8 > WINDOW_SLOTS + 8 {
            return Err(Malformed::new("slots within the window"));
        }
        let beyond = reader.bytes(usize::from(len), "a bitmap")?;
        let count = reader.u8("a count")?;
        let mut row = Vec::new();
        for _ in 0..count {
            row.push(Connection { peer: reader.id()?, jeopardy: reader.u8("a flag")? != 0 });
        }
        let versions = reader.versions()?;
        let leaving = reader.u8("a flag")? != 0;
        let lost_in_jeopardy = reader.ids()?;
        let count = reader.u8("a count of views")?;
        if usize::from(count) > READY_VIEWS_MAX {
            return Err(Malformed::new("views that can be remembered"));
        }
        let mut prepared = Vec::new();
        for _ in 0..count {
            prepared.push(Prepared { vid: reader.vid()?, members: reader.ids()? });
        }
        if cont > COUNTER_MAX {
            return Err(Malformed::new("a slot that can exist"));
        }
        Ok(Self {
            installed,
            ready,
            cont,
            beyond,
            row,
            versions,
            leaving,
            lost_in_jeopardy,
            prepared,
        })
    }
}

impl Proposal {
    pub(super) fn put(&self, out: &mut BytesMut) {
        out.put_vid(self.base);
        out.put_vid(self.vid);
        out.put_versions(self.versions);
        out.put_ids(&self.members);
        out.put_ids(&self.jeopardy);
        out.put_u64(self.cut);
        out.put_u64(self.sequence);
        out.put_u64(self.generation);
        let removed: Vec<Id> =
            self.removed.iter().map(|(&node, &incarnation)| Id { node, incarnation }).collect();
        out.put_ids(&removed);
        out.put_u8(u8::try_from(self.ports.len()).expect("at most 52 ports"));
        for (port, table) in &self.ports {
            out.put_u8(port.byte());
            out.put_u64(table.generation);
            out.put_u8(u8::try_from(table.members.len()).expect("at most 128 nodes"));
            for (node, client) in &table.members {
                out.put_u8(node.get());
                out.put_u64(*client);
            }
        }
    }

    pub(super) fn read(reader: &mut Reader) -> Result<Self, Malformed> {
        let base = reader.vid()?;
        let vid = reader.vid()?;
        let versions = reader.versions()?;
        let members = reader.ids()?;
        let jeopardy = reader.ids()?;
        let cut = reader.u64("a cut")?;
        let sequence = reader.u64("a sequence")?;
        let generation = reader.u64("a generation")?;
        let removed = reader.ids()?.into_iter().map(|id| (id.node, id.incarnation)).collect();
        let count = reader.u8("a count of ports")?;
        let mut ports = BTreeMap::new();
        for _ in 0..count {
            let port = reader.port()?;
            let mut table =
                PortTableEntry { generation: reader.u64("a generation")?, ..Default::default() };
            for _ in 0..reader.u8("a count of members")? {
                table.members.insert(reader.node()?, reader.u64("a client")?);
            }
            ports.insert(port, table);
        }
        if cut.max(sequence).max(generation) > COUNTER_MAX {
            return Err(Malformed::new("counters that leave room for the next ones"));
        }
        if members.is_empty() || vid <= base || ports.len() > PORTS_MAX {
            return Err(Malformed::new("a view after its base"));
        }
        Ok(Self {
            vid,
            base,
            versions,
            members,
            jeopardy,
            cut,
            sequence,
            generation,
            removed,
            ports,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(node: u8) -> Id {
        Id { node: NodeId::new(node).unwrap(), incarnation: Incarnation(u64::from(node) + 1) }
    }

    fn vid(round: u64) -> Vid {
        Vid { round, proposer: id(0) }
    }

    fn state() -> State {
        let prepared =
            [3, 4].map(|round| Prepared { vid: vid(round), members: vec![id(0), id(1)] });
        State {
            installed: vid(2),
            ready: vid(4),
            cont: 9,
            beyond: Bytes::from_static(&[0b10]),
            row: vec![Connection { peer: id(1), jeopardy: true }],
            versions: Versions { min: 1, max: 3 },
            leaving: true,
            lost_in_jeopardy: vec![id(1)],
            prepared: prepared.to_vec(),
        }
    }

    fn bytes(state: &State) -> Bytes {
        let mut out = BytesMut::new();
        state.put(&mut out);
        out.freeze()
    }

    #[test]
    fn a_state_ends_with_what_it_was_ready_for() {
        let bytes = bytes(&state());
        let tail = bytes.slice(17 + 17 + 8 + 2 + 1 + 1 + 10..);
        let (a, b) = ([0, 0, 0, 0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0, 0, 0, 2]);
        let view = |round: u8| {
            let head = [0, 0, 0, 0, 0, 0, 0, round];
            [&head[..], &a, &[2], &a, &b].concat()
        };
        assert_eq!(tail, [&[1, 3, 1, 1][..], &b, &[2], &view(3), &view(4)].concat());
        assert_eq!(State::read(&mut Reader::new(bytes)).unwrap(), state());
    }

    #[test]
    fn more_views_than_can_be_remembered_are_refused() {
        let one = state().prepared[0].clone();
        let many = |count| State { prepared: vec![one.clone(); count], ..state() };
        assert!(State::read(&mut Reader::new(bytes(&many(READY_VIEWS_MAX)))).is_ok());
        assert!(State::read(&mut Reader::new(bytes(&many(READY_VIEWS_MAX + 1)))).is_err());
    }

    #[test]
    fn flags_of_hello_do_not_touch_each_other() {
        for bit in 0..5 {
            let hello = Hello {
                configured: bit == 0,
                was_frozen: bit == 1,
                refused: bit == 2,
                quorum: bit == 3,
                returned: bit == 4,
                versions: Versions { min: 1, max: 2 },
                seed: 5,
                members: vec![id(1)],
            };
            let mut out = BytesMut::new();
            hello.put(&mut out);
            assert_eq!(out[0], 1 << bit);
            assert_eq!(Hello::read(&mut Reader::new(out.freeze())).unwrap(), hello);
        }
    }
}

//! What the sequencer has to order: every source's messages by port, in the source's order.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use llt::NodeId;

use crate::ids::PortName;
use crate::wire::Entry;

type Source = (NodeId, PortName);

/// Messages that wait for a slot.
///
/// Each source may have as much here as its send queue allows, so the sum is bounded by the
/// members' send queues.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Sequencer {
    sources: BTreeMap<Source, Queue>,
    /// Sources whose next message is here.
    ready: BTreeSet<Source>,
    /// Who was served last: the next one in order is served next (fairness).
    cursor: Option<Source>,
}

#[derive(Clone, Debug, Default, Hash)]
struct Queue {
    /// Number of the last message that got its slot.
    ordered: u64,
    waiting: BTreeMap<u64, Entry>,
}

impl Sequencer {
    /// Ports of nodes that anything came from.
    pub(crate) fn sources(&self) -> usize {
        self.sources.len()
    }

    /// Takes a message to order. A number that was ordered or is waiting is a duplicate and
    /// dropped: it came by two ways.
    pub(crate) fn offer(&mut self, entry: Entry, check_duplicates: bool) {
        let source = (entry.src, entry.port);
        let queue = self.sources.entry(source).or_default();
        if check_duplicates && entry.mseq <= queue.ordered {
            return;
        }
        if !check_duplicates && entry.mseq <= queue.ordered {
            // Only a mutant comes here: it takes the old number as the next one.
            queue.ordered = entry.mseq - 1;
        }
        queue.waiting.entry(entry.mseq).or_insert(entry);
        if queue.waiting.contains_key(&(queue.ordered + 1)) {
            self.ready.insert(source);
        }
    }

    /// The next message to get a slot: sources in turn, none whose port is in `busy`, none of the
    /// node `not_from`.
    pub(crate) fn next(
        &mut self,
        busy: u64,
        not_from: Option<NodeId>,
        fits: impl Fn(&Entry) -> bool,
    ) -> Option<Entry> {
        let after = self.cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let upper = self.ready.range((after, Bound::Unbounded));
        let lower = self
            .ready
            .range((Bound::Unbounded, self.cursor.map_or(Bound::Unbounded, Bound::Included)));
        let again = if self.cursor.is_some() { Some(lower) } else { None };
        let source = upper
            .chain(again.into_iter().flatten())
            .find(|(node, port)| busy >> port.index() & 1 == 0 && not_from != Some(*node))
            .copied()?;
        let queue = self.sources.get_mut(&source)?;
        let number = queue.ordered + 1;
        if !queue.waiting.get(&number).is_some_and(fits) {
            return None;
        }
        let entry = queue.waiting.remove(&number)?;
        queue.ordered += entry.slots();
        // Nothing that a pack has numbered already; no correct source sends that.
        while queue.waiting.first_key_value().is_some_and(|(&mseq, _)| mseq <= queue.ordered) {
            queue.waiting.pop_first();
        }
        if !queue.waiting.contains_key(&(queue.ordered + 1)) {
            self.ready.remove(&source);
        }
        self.cursor = Some(source);
        Some(entry)
    }

    /// Messages waiting.
    pub(crate) fn len(&self) -> usize {
        self.sources.values().map(|queue| queue.waiting.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::event::Level;
    use crate::wire::EntryKind;

    fn entry(src: u8, port: char, mseq: u64) -> Entry {
        Entry {
            src: NodeId::new(src).unwrap(),
            port: PortName::new(port).unwrap(),
            kind: EntryKind::User,
            level: Level::Agreed,
            mseq,
            len: 0,
            crc: 0,
            pack: 0,
            payload: Some(Bytes::new()),
        }
    }

    fn drain(sequencer: &mut Sequencer, busy: u64) -> Vec<(u8, char, u64)> {
        std::iter::from_fn(|| sequencer.next(busy, None, |_| true))
            .map(|e| (e.src.get(), e.port.letter(), e.mseq))
            .collect()
    }

    #[test]
    fn sources_take_turns_and_each_keeps_its_order() {
        let mut sequencer = Sequencer::default();
        for mseq in [2, 1, 3, 3, 1] {
            sequencer.offer(entry(0, 'A', mseq), true);
        }
        sequencer.offer(entry(1, 'A', 1), true);
        sequencer.offer(entry(1, 'A', 3), true);
        let order = drain(&mut sequencer, 0);
        assert_eq!(order, [(0, 'A', 1), (1, 'A', 1), (0, 'A', 2), (0, 'A', 3)]);
        sequencer.offer(entry(0, 'A', 2), true);
        assert_eq!(drain(&mut sequencer, 0), [], "a duplicate gets no second slot");
        sequencer.offer(entry(1, 'A', 2), true);
        assert_eq!(drain(&mut sequencer, 0), [(1, 'A', 2), (1, 'A', 3)]);
    }

    #[test]
    fn a_pack_takes_the_numbers_of_its_messages() {
        let mut sequencer = Sequencer::default();
        sequencer.offer(entry(0, 'A', 4), true);
        sequencer.offer(Entry { pack: 3, ..entry(0, 'A', 1) }, true);
        sequencer.offer(entry(0, 'A', 2), true);
        assert_eq!(drain(&mut sequencer, 0), [(0, 'A', 1), (0, 'A', 4)]);
        assert_eq!(sequencer.len(), 0, "the second number is taken by the pack");
        sequencer.offer(Entry { pack: 3, ..entry(0, 'A', 1) }, true);
        assert_eq!(drain(&mut sequencer, 0), [], "it has its slots");
    }

    #[test]
    fn a_busy_port_waits_and_the_others_go_on() {
        let mut sequencer = Sequencer::default();
        sequencer.offer(entry(0, 'A', 1), true);
        sequencer.offer(entry(0, 'B', 1), true);
        let busy = 1 << PortName::new('A').unwrap().index();
        assert_eq!(drain(&mut sequencer, busy), [(0, 'B', 1)]);
        assert_eq!(drain(&mut sequencer, busy), []);
        assert_eq!(drain(&mut sequencer, 0), [(0, 'A', 1)]);
    }
}

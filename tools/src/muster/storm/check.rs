//! What must be true of the logs of a storm, whatever was broken meanwhile.

use std::collections::BTreeMap;

use gab::Level;
use llt::{NodeId, NodeSet};

use super::{Item, Log};

/// Figures of a storm that broke no rule.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// Messages that every survivor was told.
    pub delivered: u64,
    /// Memberships that every survivor was told, the first one included.
    pub views: u64,
    /// AGREED messages that a client told of last, alone, before its node was lost. The promise
    /// of AGREED allows them (facts algorithms 1.13); that of SAFE does not.
    pub alone: u64,
}

/// A broken rule, in words.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

/// Checks the logs of all clients of a storm. Those of `lost` nodes had their daemon killed or
/// were thrown out; the others must not have been closed.
///
/// # Errors
/// The first rule that is broken, and where.
pub fn check(logs: &BTreeMap<u8, Log>, lost: &[u8]) -> Result<Summary, Violation> {
    let everybody: NodeSet = logs.keys().filter_map(|node| NodeId::new(*node)).collect();
    let mut cut = BTreeMap::new();
    for (node, log) in logs {
        if let Some(damage) = log.damaged.first() {
            return Err(Violation(format!("node {node}: {damage}")));
        }
        let items = from_full_view(log, everybody)?;
        check_ascending(*node, items)?;
        check_each_sender(*node, items, logs)?;
        cut.insert(*node, items);
    }
    let survivors: Vec<u8> = logs.keys().copied().filter(|node| !lost.contains(node)).collect();
    let Some(first) = survivors.first() else {
        return Err(Violation("nobody survived".into()));
    };
    let reference = cut[first];
    for node in &survivors {
        if let Some(reason) = logs[node].closed {
            return Err(Violation(format!("node {node} was not lost, but closed: {reason}")));
        }
        if let Some(at) = first_difference(reference, cut[node]) {
            return Err(Violation(format!(
                "survivors {first} and {node} differ at entry {at}: {} against {}",
                show(reference.get(at)),
                show(cut[node].get(at))
            )));
        }
    }
    for sender in &survivors {
        check_complete(&logs[sender], *first, reference)?;
    }
    let mut summary = Summary::default();
    for item in reference {
        match item {
            Item::Deliver { .. } => summary.delivered += 1,
            Item::View { .. } => summary.views += 1,
        }
    }
    for node in lost.iter().filter(|node| cut.contains_key(node)) {
        summary.alone += check_prefix(*node, cut[node], reference)?;
    }
    Ok(summary)
}

/// The log from the first membership of all on. Nobody sends before.
fn from_full_view(log: &Log, everybody: NodeSet) -> Result<&[Item], Violation> {
    let full = |item: &Item| matches!(item, Item::View { members, .. } if *members == everybody);
    let Some(start) = log.items.iter().position(full) else {
        return Err(Violation(format!("node {} never saw everybody", log.node)));
    };
    let early = log.items[..start].iter().find(|item| matches!(item, Item::Deliver { .. }));
    match early {
        Some(item) => Err(Violation(format!("node {}: {item} came before its start", log.node))),
        None => Ok(&log.items[start..]),
    }
}

/// Sequences and generations rise strictly.
fn check_ascending(node: u8, items: &[Item]) -> Result<(), Violation> {
    let (mut last_sequence, mut last_generation) = (0, 0);
    for item in items {
        let (last, next) = match item {
            Item::Deliver { sequence, .. } => (&mut last_sequence, *sequence),
            Item::View { generation, .. } => (&mut last_generation, *generation),
        };
        if next <= *last {
            return Err(Violation(format!("node {node}: {item} comes after {last}")));
        }
        *last = next;
    }
    Ok(())
}

/// Messages of one sender come in its order, once, without a gap, and were sent.
fn check_each_sender(node: u8, items: &[Item], logs: &BTreeMap<u8, Log>) -> Result<(), Violation> {
    let mut next: BTreeMap<u8, u64> = BTreeMap::new();
    for item in items {
        let Item::Deliver { sender, number, .. } = item else { continue };
        let expected = next.entry(*sender).or_default();
        if number != expected {
            return Err(Violation(format!("node {node}: {item}, expected number {expected}")));
        }
        *expected += 1;
        if logs.get(sender).is_none_or(|log| *number >= log.accepted) {
            return Err(Violation(format!("node {node}: {item} was never sent")));
        }
    }
    Ok(())
}

/// Every message that `sender` sent is in the log of `node`. Each is there at most once and none
/// before its predecessor, as was checked before: so their number decides.
fn check_complete(sender: &Log, node: u8, items: &[Item]) -> Result<(), Violation> {
    let from = |item: &&Item| matches!(item, Item::Deliver { sender: s, .. } if *s == sender.node);
    let delivered = u64::try_from(items.iter().filter(from).count()).expect("memory is smaller");
    if delivered == sender.accepted {
        return Ok(());
    }
    Err(Violation(format!(
        "node {node} never got message {delivered} of node {}, which survived",
        sender.node
    )))
}

/// What a lost client was told is the beginning of what the survivors were told, but for AGREED
/// messages at its very end, whose number is given.
fn check_prefix(node: u8, items: &[Item], reference: &[Item]) -> Result<u64, Violation> {
    let common = items.iter().zip(reference).take_while(|(own, other)| own == other).count();
    for (at, item) in items.iter().enumerate().skip(common) {
        if !matches!(item, Item::Deliver { level: Level::Agreed, .. }) {
            return Err(Violation(format!(
                "lost node {node} differs from the survivors at entry {common} ({} against {}) \
                 and was then told {item}, at {at}",
                show(items.get(common)),
                show(reference.get(common))
            )));
        }
    }
    Ok(u64::try_from(items.len() - common).expect("memory is smaller"))
}

fn first_difference(a: &[Item], b: &[Item]) -> Option<usize> {
    let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    (common < a.len().max(b.len())).then_some(common)
}

fn show(item: Option<&Item>) -> String {
    item.map_or_else(|| "its end".to_owned(), Item::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gab::CloseReason;

    fn set(nodes: &[u8]) -> NodeSet {
        nodes.iter().filter_map(|node| NodeId::new(*node)).collect()
    }

    fn view(generation: u64, nodes: &[u8]) -> Item {
        Item::View { generation, members: set(nodes) }
    }

    fn message(sequence: u64, sender: u8, number: u64) -> Item {
        Item::Deliver { sequence, sender, number, level: Level::Agreed }
    }

    /// Nodes 0 and 1 survive node 2.
    fn good() -> BTreeMap<u8, Log> {
        let items = vec![
            view(5, &[0, 1, 2]),
            message(1, 0, 0),
            message(2, 2, 0),
            message(3, 1, 0),
            view(6, &[0, 1]),
            message(9, 0, 1),
        ];
        let log = |node: u8, items: &[Item], accepted| Log {
            node,
            items: items.to_vec(),
            accepted,
            ..Log::default()
        };
        let mut logs = BTreeMap::new();
        // Node 0 was there first.
        logs.insert(0, log(0, &[&[view(4, &[0])], &items[..]].concat(), 2));
        logs.insert(1, log(1, &items, 1));
        logs.insert(2, Log { closed: Some(CloseReason::Died), ..log(2, &items[..3], 4) });
        logs
    }

    fn refused(logs: &BTreeMap<u8, Log>, why: &str) {
        let error = check(logs, &[2]).unwrap_err();
        assert!(error.0.contains(why), "{error}");
    }

    #[test]
    fn a_good_storm_passes() {
        let summary = check(&good(), &[2]).unwrap();
        assert_eq!(summary, Summary { delivered: 4, views: 2, alone: 0 });
    }

    #[test]
    fn survivors_that_differ_are_found() {
        let mut logs = good();
        logs.get_mut(&1).unwrap().items.swap(1, 2);
        refused(&logs, "comes after");
        let mut logs = good();
        let items = &mut logs.get_mut(&1).unwrap().items;
        items[1] = message(1, 2, 0);
        items[2] = message(2, 0, 0);
        refused(&logs, "survivors 0 and 1 differ at entry 1");
    }

    #[test]
    fn a_lost_message_of_a_survivor_is_found() {
        let mut logs = good();
        logs.get_mut(&1).unwrap().accepted = 2;
        refused(&logs, "never got message 1 of node 1");
    }

    #[test]
    fn a_message_that_comes_twice_or_was_not_sent_is_found() {
        let mut logs = good();
        for node in [0, 1] {
            logs.get_mut(&node).unwrap().items.push(message(10, 0, 1));
        }
        refused(&logs, "expected number 2");
        let mut logs = good();
        logs.get_mut(&2).unwrap().accepted = 0;
        refused(&logs, "was never sent");
    }

    #[test]
    fn a_survivor_that_was_closed_is_found() {
        let mut logs = good();
        logs.get_mut(&1).unwrap().closed = Some(CloseReason::Ejected);
        refused(&logs, "was not lost");
    }

    #[test]
    fn the_lost_node_may_be_alone_with_agreed_messages_only() {
        let mut logs = good();
        logs.get_mut(&2).unwrap().items.push(message(3, 2, 1));
        assert_eq!(check(&logs, &[2]).unwrap().alone, 1);
        let alone = Item::Deliver { sequence: 4, sender: 2, number: 2, level: Level::Safe };
        logs.get_mut(&2).unwrap().items.push(alone);
        refused(&logs, "lost node 2 differs");
    }
}

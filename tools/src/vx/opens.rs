//! Who has volumes open: every vxiod knows it of its own node.

use std::collections::{BTreeMap, BTreeSet};

use cvm::model::{Group, Name, Volume};
use cvm::request::{NodesStats, Reply, Request};
use cvm::snapshot::Snapshot;

use super::Daemon;
use super::device::node_name;
use crate::common::Failure;

/// How often volumes are open, node by node.
#[derive(Clone, Debug, Default)]
pub(super) struct Opens {
    stats: NodesStats,
    names: BTreeMap<u8, String>,
}

impl Opens {
    /// Of some nodes, or of all. A node that does not answer holds that up for some seconds.
    ///
    /// # Errors
    /// If vxconfigd is not heard.
    pub(super) fn ask(
        daemon: &mut Daemon,
        snapshot: &Snapshot,
        nodes: BTreeSet<u8>,
    ) -> Result<Self, Failure> {
        match daemon.ask(&Request::Stats { nodes, reset: None })? {
            Reply::Stats(stats) => Ok(Self::of(*stats, snapshot)),
            other => {
                let text = format!("vxconfigd answered with something else: {other:?}");
                Err(Failure::operation(text))
            }
        }
    }

    pub(super) fn of(stats: NodesStats, snapshot: &Snapshot) -> Self {
        let names = stats.nodes.keys().map(|node| (*node, node_name(snapshot, *node))).collect();
        Self { stats, names }
    }

    /// Whether anybody has a volume open. Nobody knows if those who have answered have not, and others
    /// have not answered.
    pub(super) fn is_open(&self, group: &Group, volume: &Volume) -> Option<bool> {
        let is_open = self.by_node(group, volume).next().is_some();
        (is_open || self.stats.silent.is_empty()).then_some(is_open)
    }

    /// Nodes that have a volume open, and how many programs on each.
    pub(super) fn by_node(
        &self,
        group: &Group,
        volume: &Volume,
    ) -> impl Iterator<Item = (&str, u64)> {
        let opens = self.stats.nodes.iter().map(|(node, stats)| {
            let name = self.names.get(node).map_or("-", String::as_str);
            (name, stats.of(&group.id, volume.common.rid).opens)
        });
        opens.filter(|(_, opens)| *opens > 0)
    }

    /// All volumes of shared groups that are open, as `GROUP/VOLUME (2)`.
    pub(super) fn shared(&self, snapshot: &Snapshot) -> Vec<String> {
        let groups = snapshot.groups.iter().map(|shown| &shown.group);
        let volumes = groups.filter(|group| group.is_shared()).flat_map(|group| {
            group.volumes.iter().map(move |(name, volume)| (group, name, volume))
        });
        let told = |(group, name, volume): (&Group, &Name, &Volume)| {
            let opens: u64 = self.by_node(group, volume).map(|(_, opens)| opens).sum();
            (opens > 0).then(|| format!("{}/{name} ({opens})", group.name))
        };
        volumes.filter_map(told).collect()
    }
}

/// Of the facts' volume: who has it open, and who does not answer.
#[cfg(test)]
pub(super) fn sample(opens: &[(u8, u64)], silent: &[u8]) -> Opens {
    use cvm::stats::{ObjectStats, Objects, Stats};
    let snapshot = super::vxprint::sample::facts();
    let group = &snapshot.groups[0].group;
    let of = |(node, opens): &(u8, u64)| {
        let object = ObjectStats { opens: *opens, ..ObjectStats::default() };
        let mut stats = Stats::default();
        stats.add_objects(&group.id, &Objects::from([(group.volumes["vol1"].common.rid, object)]));
        (*node, stats)
    };
    let nodes = opens.iter().map(of).collect();
    Opens::of(NodesStats { nodes, silent: silent.iter().copied().collect() }, &snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_open_if_any_node_has_it_and_closed_if_all_say_so() {
        let snapshot = super::super::vxprint::sample::facts();
        let group = &snapshot.groups[0].group;
        let volume = &group.volumes["vol1"];
        for (opens, silent, expected) in [
            (&[(0, 0), (1, 0)][..], &[][..], Some(false)),
            (&[(0, 0), (1, 2)], &[], Some(true)),
            (&[(0, 0)], &[1], None),
            (&[(0, 1)], &[1], Some(true)),
        ] {
            assert_eq!(sample(opens, silent).is_open(group, volume), expected);
        }
        let opens = sample(&[(0, 1), (1, 0), (2, 3)], &[]);
        let by_node: Vec<(&str, u64)> = opens.by_node(group, volume).collect();
        assert_eq!(by_node, [("node0", 1), ("node2", 3)]);
        assert_eq!(opens.shared(&snapshot), ["mydg/vol1 (4)"]);
        assert!(sample(&[(0, 0)], &[]).shared(&snapshot).is_empty());
    }
}

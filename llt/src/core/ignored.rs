//! Who is on the network and is ignored: excluded nodes, and nodes of other clusters. They are
//! remembered for `lltstat -N`, and for nothing else.

use std::collections::BTreeMap;

use super::Llt;
use super::context::Context;
use crate::ids::{ClusterId, LinkAddr, LinkId, NodeId};
use crate::time::Instant;

/// A node that was heard and is ignored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ignored {
    /// Its cluster; ours if the node is excluded.
    pub cluster: ClusterId,
    /// Its id.
    pub node: NodeId,
    /// The link on which it was heard last.
    pub link: LinkId,
    /// The address from which.
    pub from: LinkAddr,
    /// Milliseconds since then, up to the last input of this LLT.
    pub silent_ms: u64,
}

/// All of them, within a bound.
#[derive(Clone, Debug, Default)]
pub(super) struct IgnoredNodes {
    nodes: BTreeMap<(ClusterId, NodeId), Sighting>,
}

#[derive(Clone, Copy, Debug)]
struct Sighting {
    link: LinkId,
    from: LinkAddr,
    at: Instant,
}

impl IgnoredNodes {
    /// A frame came in that is not heeded. If there are too many, the one that has been silent for
    /// the longest time is forgotten.
    pub(super) fn note(
        &mut self,
        now: Instant,
        (cluster, node): (ClusterId, NodeId),
        link: LinkId,
        from: LinkAddr,
    ) {
        self.nodes.insert((cluster, node), Sighting { link, from, at: now });
        if self.nodes.len() > IGNORED_MAX
            && let Some(oldest) =
                self.nodes.iter().min_by_key(|(_, seen)| seen.at).map(|(who, _)| *who)
        {
            self.nodes.remove(&oldest);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// This node is heeded from now on.
    pub(super) fn forget(&mut self, cluster: ClusterId, node: NodeId) {
        self.nodes.remove(&(cluster, node));
    }
}

impl Context {
    /// A frame of this node came in and is not heeded.
    pub(super) fn ignore(&mut self, cluster: ClusterId, node: NodeId, link: usize, from: LinkAddr) {
        let link = self.links[link].id;
        self.ignored.note(self.now, (cluster, node), link, from);
    }
}

impl Llt {
    /// Nodes that were heard since the start and are ignored, by cluster and id; at most as many
    /// as there are node ids.
    pub fn ignored(&self) -> Vec<Ignored> {
        let now = self.context.now;
        let nodes = self.context.ignored.nodes.iter();
        let nodes = nodes.map(|(&(cluster, node), seen)| Ignored {
            cluster,
            node,
            link: seen.link,
            from: seen.from,
            silent_ms: u64::try_from(now.since(seen.at).as_millis()).unwrap_or(u64::MAX),
        });
        nodes.collect()
    }
}

/// As many as a cluster can have: whoever forges cluster ids pushes out only other strangers.
pub(super) const IGNORED_MAX: usize = crate::limits::NODES_MAX as usize;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    #[test]
    fn the_longest_silent_one_makes_room() {
        let mut ignored = IgnoredNodes::default();
        let link = LinkId::new(0).unwrap();
        let from = LinkAddr::Mac([2; 6]);
        let at = |ms| Instant::ZERO + Duration::from_millis(ms);
        for n in 0..200 {
            let who = (ClusterId(n), NodeId::ZERO);
            ignored.note(at(u64::from(n)), who, link, from);
            // The first one goes on talking.
            ignored.note(at(u64::from(n)), (ClusterId(0), NodeId::ZERO), link, from);
        }
        assert_eq!(ignored.nodes.len(), IGNORED_MAX);
        assert!(ignored.nodes.contains_key(&(ClusterId(0), NodeId::ZERO)));
        assert!(ignored.nodes.contains_key(&(ClusterId(199), NodeId::ZERO)));
        assert!(!ignored.nodes.contains_key(&(ClusterId(1), NodeId::ZERO)));
        ignored.forget(ClusterId(0), NodeId::ZERO);
        assert!(!ignored.nodes.contains_key(&(ClusterId(0), NodeId::ZERO)));
    }
}

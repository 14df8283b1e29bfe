//! Numbers of the files of a tree.
//!
//! A name has the same number as long as vxfused runs, whether it is there or not: there are no more
//! than there were volumes, and nothing has to be told when one goes.

use std::collections::BTreeMap;

use super::volume::VolumeName;

/// A file or a folder.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Node {
    /// The folder of a disk group.
    Group(String),
    /// Where it is mounted.
    Root,
    /// A volume.
    Volume(VolumeName),
}

/// What has a number.
#[derive(Debug)]
pub(super) struct Inodes {
    by_number: BTreeMap<u64, Node>,
    by_node: BTreeMap<Node, u64>,
}

impl Default for Inodes {
    fn default() -> Self {
        let (by_number, by_node) = (BTreeMap::new(), BTreeMap::new());
        let mut inodes = Self { by_number, by_node };
        inodes.number(&Node::Root);
        inodes
    }
}

impl Inodes {
    pub(super) fn node(&self, number: u64) -> Option<Node> {
        self.by_number.get(&number).cloned()
    }

    /// Its number, which it gets if it has none.
    pub(super) fn number(&mut self, node: &Node) -> u64 {
        if let Some(number) = self.by_node.get(node) {
            return *number;
        }
        // The root is the first; nothing is ever taken away.
        let number = self.by_number.last_key_value().map_or(ROOT, |(last, _)| last + 1);
        self.by_number.insert(number, node.clone());
        self.by_node.insert(node.clone(), number);
        number
    }
}

/// What the kernel calls the root.
pub(super) const ROOT: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number() {
        let mut inodes = Inodes::default();
        assert_eq!(inodes.node(ROOT), Some(Node::Root));
        let group = Node::Group("mydg".to_owned());
        let number = inodes.number(&group);
        assert_ne!(number, ROOT);
        let volume = inodes.number(&Node::Volume(VolumeName::of_export("mydg/vol1").unwrap()));
        assert_ne!(volume, number);
        assert_eq!(inodes.number(&group), number);
        assert_eq!((inodes.node(number), inodes.node(99)), (Some(group), None));
    }
}

//! `llthosts`: node ids and their names.

use std::collections::BTreeMap;

use crate::ids::{NodeId, NodeSet};
use crate::llttab::lexer::words;
use crate::llttab::report::{Problem, Source};
use crate::llttab::values::{expected_node, node_id};

/// Names of nodes, unique both ways.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Hosts {
    names: BTreeMap<NodeId, String>,
}

impl Hosts {
    /// The name of a node.
    pub fn name(&self, node: NodeId) -> Option<&str> {
        self.names.get(&node).map(String::as_str)
    }

    /// The node with this name.
    pub fn node(&self, name: &str) -> Option<NodeId> {
        self.names.iter().find(|(_, known)| *known == name).map(|(&node, _)| node)
    }

    /// All that have a name.
    pub fn nodes(&self) -> NodeSet {
        self.names.keys().copied().collect()
    }

    /// Reads `llthosts`; what is wrong goes to `problems`.
    pub(super) fn parse(source: &Source, problems: &mut Vec<Problem>) -> Self {
        problems.extend(source.encoding_problem());
        let mut hosts = Self::default();
        let mut places: BTreeMap<NodeId, std::ops::Range<usize>> = BTreeMap::new();
        for line in words(source.text()) {
            let id = line[0];
            let Some(node) = node_id(id.text) else {
                problems.push(expected_node(source, id));
                continue;
            };
            let Some(name) = line.get(1) else {
                problems.push(Problem::new(
                    source,
                    id.span(),
                    format!("node {node} has no name"),
                    "expected a name after the node id",
                ));
                continue;
            };
            if let Some(extra) = line.get(2) {
                problems.push(Problem::new(
                    source,
                    extra.span(),
                    "a line of llthosts is a node id and a name",
                    "nothing was expected here",
                ));
            }
            if let Some(first) = places.get(&node) {
                problems.push(
                    Problem::new(source, id.span(), format!("node {node} is named twice"), "again")
                        .and(first.clone(), "first here"),
                );
                continue;
            }
            if let Some(other) = hosts.node(name.text) {
                let text = format!("{} is the name of two nodes", name.text);
                problems.push(
                    Problem::new(source, name.span(), text, format!("and of node {node} here"))
                        .and(places[&other].clone(), format!("the name of node {other} here")),
                );
            }
            places.insert(node, id.span());
            hosts.names.insert(node, name.text.to_owned());
        }
        if hosts.names.is_empty() && problems.is_empty() {
            problems.push(Problem::new(
                source,
                0..0,
                "llthosts names no node",
                "expected lines of a node id and a name",
            ));
        }
        hosts
    }
}

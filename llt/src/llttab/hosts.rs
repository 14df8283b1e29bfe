//! `llthosts`: node ids and their names.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::ids::{NodeId, NodeSet};
use crate::limits::NODES_MAX;
use crate::llttab::lexer::{Word, words};
use crate::llttab::report::{ConfigErrors, Problem, Source};
use crate::llttab::texts;
use crate::llttab::values::node_id;

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

    /// Reads `llthosts` by itself.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(source: &Source) -> Result<Self, ConfigErrors> {
        let mut problems = Vec::new();
        let hosts = Self::parse(source, &mut problems);
        if problems.is_empty() { Ok(hosts) } else { Err(ConfigErrors::new(problems)) }
    }

    /// Reads `llthosts`; what is wrong goes to `problems`.
    pub(super) fn parse(source: &Source, problems: &mut Vec<Problem>) -> Self {
        problems.extend(source.encoding_problem());
        let mut hosts = Self::default();
        let mut places: BTreeMap<NodeId, Range<usize>> = BTreeMap::new();
        for line in words(source.text()) {
            let mut problem = |word: Word<'_>, message: String, label: String| {
                problems.push(Problem::new(source, word.span(), message, label));
            };
            let id = line[0];
            let Some(node) = node_id(id.text) else {
                problem(id, texts::host_id(id.text), texts::host_id_expected(NODES_MAX - 1));
                continue;
            };
            let Some(&name) = line.get(1) else {
                problem(id, texts::host_name_missing(node), texts::host_name_expected());
                continue;
            };
            if let Some(&extra) = line.get(2) {
                problem(extra, texts::host_extra(), texts::nothing_expected());
            }
            if name.text.bytes().all(|byte| byte.is_ascii_digit()) {
                problem(name, texts::host_name_digits(name.text), texts::host_name_letters());
            }
            if let Some(first) = places.get(&node) {
                let message = texts::host_twice(node);
                let problem = Problem::new(source, id.span(), message, texts::again());
                problems.push(problem.and(first.clone(), texts::first_here()));
                continue;
            }
            if let Some(other) = hosts.node(name.text) {
                let (message, label) =
                    (texts::host_name_twice(name.text), texts::host_name_this(node));
                let problem = Problem::new(source, name.span(), message, label);
                let label = texts::host_name_other(other);
                problems.push(problem.and(places[&other].clone(), label));
            }
            places.insert(node, id.span());
            hosts.names.insert(node, name.text.to_owned());
        }
        if hosts.names.is_empty() && problems.is_empty() {
            let (message, label) = (texts::host_none(), texts::host_none_expected());
            problems.push(Problem::new(source, 0..0, message, label));
        }
        hosts
    }
}

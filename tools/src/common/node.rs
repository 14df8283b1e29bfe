//! Nodes and LLT ports on a command line.

use gab::snapshot::{LltSnapshot, NodeSnapshot};
use llt::{LltPort, NodeId};

use super::Failure;

/// The node with this id or name, as this node's LLT knows it. A node that nobody has heard of yet
/// has an id all the same.
///
/// # Errors
/// A usage error if it is neither an id nor a name in `llthosts`.
pub fn find(llt: &LltSnapshot, text: &str) -> Result<NodeSnapshot, Failure> {
    if let Some(node) = llt.nodes.iter().find(|node| !node.name.is_empty() && node.name == text) {
        return Ok(node.clone());
    }
    let Some(id) = text.parse().ok().and_then(NodeId::new) else {
        return Err(Failure::Usage(format!(
            "{text} is no node: expected an id from 0 to 127 or a name in llthosts"
        )));
    };
    let known = llt.nodes.iter().find(|node| node.node == id.get()).cloned();
    Ok(known.unwrap_or_else(|| NodeSnapshot {
        node: id.get(),
        state: "CONNWAIT".to_owned(),
        ..NodeSnapshot::default()
    }))
}

/// The value of `-p`.
pub fn llt_port(text: &str) -> Result<LltPort, &'static str> {
    text.parse().ok().and_then(LltPort::new).ok_or("an LLT port is a number from 0 to 31")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_named_or_numbered() {
        let node = |node, name: &str| NodeSnapshot {
            node,
            name: name.into(),
            state: "OPEN".into(),
            ..NodeSnapshot::default()
        };
        let nodes = vec![node(0, "north"), node(1, "7"), node(9, "")];
        let llt = LltSnapshot { nodes, ..LltSnapshot::default() };
        let found = |text| find(&llt, text).map(|node| (node.node, node.state)).ok();
        assert_eq!(found("north"), Some((0, "OPEN".into())));
        assert_eq!(found("7"), Some((1, "OPEN".into())), "a name goes before an id");
        assert_eq!(found("9"), Some((9, "OPEN".into())));
        assert_eq!(found("3"), Some((3, "CONNWAIT".into())));
        for wrong in ["", "128", "south", "-1"] {
            let error = find(&llt, wrong).unwrap_err();
            assert!(matches!(error, Failure::Usage(_)), "{wrong}: {error}");
        }
    }
}

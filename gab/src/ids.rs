//! Identities of GAB: ports, view ids, views.

use core::fmt;

use llt::{Id, Incarnation, NodeId, NodeSet};

/// A GAB port, `a` to `z` or `A` to `Z`. Letters of the original keep their meaning (facts 2.7).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
#[cfg_attr(feature = "serde", serde(into = "char", try_from = "char"))]
pub struct PortName(u8);

impl PortName {
    /// GAB's own control port: its membership is the node membership.
    pub const CONTROL: Self = Self(b'a');

    /// `None` if `letter` is not an ASCII letter.
    pub const fn new(letter: char) -> Option<Self> {
        if letter.is_ascii_alphabetic() { Some(Self(letter as u8)) } else { None }
    }

    /// The letter.
    pub const fn letter(self) -> char {
        self.0 as char
    }

    /// The letter as its ASCII byte.
    pub const fn byte(self) -> u8 {
        self.0
    }

    /// 0 to 51: `A` to `Z`, then `a` to `z`.
    pub const fn index(self) -> usize {
        (if self.0 >= b'a' { self.0 - b'a' + 26 } else { self.0 - b'A' }) as usize
    }

    /// Is delivery on this port held until an arbiter has authorised the view (precise rule 12)?
    pub const fn is_arbitrated(self) -> bool {
        matches!(self.0, b'd' | b'f' | b'h' | b'u' | b'v' | b'w' | b'y')
    }
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.letter().fmt(f)
    }
}

impl From<PortName> for char {
    fn from(port: PortName) -> Self {
        port.letter()
    }
}

impl TryFrom<char> for PortName {
    type Error = &'static str;

    fn try_from(letter: char) -> Result<Self, Self::Error> {
        Self::new(letter).ok_or("a port is one letter, a to z or A to Z")
    }
}

/// A view id: round first, then its proposer. Compared as a whole, greater is newer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct Vid {
    /// The round; 0 only in [`Vid::NONE`].
    pub round: u64,
    /// Who proposed it.
    pub proposer: Id,
}

impl Vid {
    /// Less than the id of every view: "no view installed".
    pub const NONE: Self =
        Self { round: 0, proposer: Id { node: NodeId::ZERO, incarnation: Incarnation(0) } };

    /// Is this [`Vid::NONE`]?
    pub fn is_none(self) -> bool {
        self.round == 0
    }
}

impl fmt::Display for Vid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.round, self.proposer)
    }
}

/// Versions of GAB's protocol that a node speaks: all from one to the other.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct Versions {
    /// The lowest, from 1 on.
    pub min: u8,
    /// The highest.
    pub max: u8,
}

impl Versions {
    /// What this code speaks.
    pub const OURS: Self = Self { min: 1, max: 1 };

    /// Those that both speak, if there are any.
    pub fn common(self, other: Self) -> Option<Self> {
        let both = Self { min: self.min.max(other.min), max: self.max.min(other.max) };
        (both.min <= both.max).then_some(both)
    }
}

/// An installed view: who is a member, in rank order. The first is the sequencer.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct View {
    /// Its id.
    pub vid: Vid,
    /// Survivors of the view before in their order, then joiners by node id.
    pub members: Vec<Id>,
}

impl View {
    /// The member that numbers the stream. A view has at least one member.
    pub fn sequencer(&self) -> Id {
        self.members[0]
    }

    /// Is this identity a member?
    pub fn contains(&self, id: Id) -> bool {
        self.members.contains(&id)
    }

    /// The member with this node id, in whichever life.
    pub fn member(&self, node: NodeId) -> Option<Id> {
        self.members.iter().copied().find(|id| id.node == node)
    }

    /// The node ids of the members.
    pub fn nodes(&self) -> NodeSet {
        self.members.iter().map(|id| id.node).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_one_letter() {
        assert_eq!(PortName::new('a'), Some(PortName::CONTROL));
        assert_eq!(PortName::new('é'), None);
        assert_eq!(PortName::new('1'), None);
        let all: Vec<usize> =
            ('A'..='Z').chain('a'..='z').filter_map(PortName::new).map(PortName::index).collect();
        assert_eq!(all, (0..52).collect::<Vec<_>>());
    }
}

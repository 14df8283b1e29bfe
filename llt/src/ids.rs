//! Identities: nodes, incarnations, links, ports, addresses.

use core::fmt;

use crate::limits::{LINKS_MAX, LLT_PORTS, NODES_MAX};

/// A node id, 0 to 127 (facts 1.2; the original stops at 63).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct NodeId(u8);

impl NodeId {
    /// Node 0.
    pub const ZERO: Self = Self(0);

    /// `None` if `id` is 128 or more.
    pub const fn new(id: u8) -> Option<Self> {
        if id < NODES_MAX { Some(Self(id)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The number as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A life of a node: new and greater at every start of its stack (protocols.md, precise rule 1).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// Identity everywhere: a node in one of its lives. Another incarnation is another node.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct Id {
    /// Which node.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: Incarnation,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.node, self.incarnation)
    }
}

/// A link of this node, 0 to 7: in the order of `llttab`, then the lowest that is free.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct LinkId(u8);

impl LinkId {
    /// `None` if `id` is 8 or more.
    pub const fn new(id: u8) -> Option<Self> {
        if id < LINKS_MAX { Some(Self(id)) } else { None }
    }

    /// All that there can be, in rising order.
    pub fn all() -> impl Iterator<Item = Self> + use<> {
        (0..LINKS_MAX).map(Self)
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The number as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A cluster id, 0 to 65535.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize, serde::Serialize))]
pub struct ClusterId(pub u16);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An LLT port, 0 to 31: 0 carries GAB, 30 lltping.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LltPort(u8);

impl LltPort {
    /// GAB.
    pub const GAB: Self = Self(0);
    /// `lltping`, answered by every gabd.
    pub const PING: Self = Self(30);

    /// `None` if `port` is 32 or more.
    pub const fn new(port: u8) -> Option<Self> {
        if port < LLT_PORTS { Some(Self(port)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// An address on a link. The core compares and copies it; only `io` gives it a meaning.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum LinkAddr {
    /// An Ethernet address.
    Mac([u8; 6]),
    /// An IPv4 address and a UDP port.
    V4 {
        /// The address, most significant byte first.
        ip: [u8; 4],
        /// The UDP port.
        port: u16,
    },
    /// An IPv6 address, a scope and a UDP port.
    V6 {
        /// The address, most significant byte first.
        ip: [u8; 16],
        /// The interface index of a link-local address, else 0.
        scope: u32,
        /// The UDP port.
        port: u16,
    },
}

impl fmt::Display for LinkAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac([a, b, c, d, e, g]) => {
                write!(f, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{g:02X}")
            }
            Self::V4 { ip: [a, b, c, d], .. } => write!(f, "{a}.{b}.{c}.{d}"),
            Self::V6 { ip, .. } => core::net::Ipv6Addr::from(*ip).fmt(f),
        }
    }
}

/// A set of nodes, one bit each.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeSet(u128);

impl NodeSet {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// The set whose member n is bit n of `bits`.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// Bit n is member n.
    pub const fn bits(self) -> u128 {
        self.0
    }

    /// Adds `node`; true if it was not in.
    pub fn insert(&mut self, node: NodeId) -> bool {
        let before = self.0;
        self.0 |= 1 << node.0;
        before != self.0
    }

    /// Removes `node`; true if it was in.
    pub fn remove(&mut self, node: NodeId) -> bool {
        let before = self.0;
        self.0 &= !(1 << node.0);
        before != self.0
    }

    /// Is `node` in?
    pub const fn contains(self, node: NodeId) -> bool {
        self.0 >> node.0 & 1 == 1
    }

    /// How many are in.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Is nobody in?
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in `self` but not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The members in rising order.
    pub fn iter(self) -> impl Iterator<Item = NodeId> {
        let mut bits = self.0;
        core::iter::from_fn(move || {
            if bits == 0 {
                return None;
            }
            #[expect(clippy::cast_possible_truncation, reason = "at most 127")]
            let node = NodeId(bits.trailing_zeros() as u8);
            bits &= bits - 1;
            Some(node)
        })
    }

    /// The lowest member.
    pub fn first(self) -> Option<NodeId> {
        self.iter().next()
    }
}

impl FromIterator<NodeId> for NodeSet {
    fn from_iter<T: IntoIterator<Item = NodeId>>(nodes: T) -> Self {
        let mut set = Self::EMPTY;
        for node in nodes {
            set.insert(node);
        }
        set
    }
}

impl fmt::Display for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(NodeId::get)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_what_is_out_of_range() {
        assert_eq!(NodeId::new(127).map(NodeId::get), Some(127));
        assert_eq!(NodeId::new(128), None);
        assert_eq!(LinkId::new(8), None);
        assert_eq!(LltPort::new(32), None);
    }

    #[test]
    fn a_set_holds_its_members_in_order() {
        let set: NodeSet = [127, 0, 64].into_iter().filter_map(NodeId::new).collect();
        assert_eq!(set.iter().map(NodeId::get).collect::<Vec<_>>(), [0, 64, 127]);
        assert_eq!(set.len(), 3);
        let top = NodeSet::from_bits(1 << 127);
        assert_eq!(set.difference(top).iter().count(), 2);
        assert_eq!(set.intersection(top), top);
    }

    #[test]
    fn addresses_read_as_lltstat_shows_them() {
        assert_eq!(LinkAddr::Mac([0, 0x50, 0x56, 0, 0, 0xf3]).to_string(), "00:50:56:00:00:F3");
        assert_eq!(LinkAddr::V4 { ip: [127, 77, 0, 1], port: 50000 }.to_string(), "127.77.0.1");
    }
}

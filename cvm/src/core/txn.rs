//! What a transaction is called, and what it carries.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use llt::{Id, Incarnation, NodeId};
use serde::{Deserialize, Serialize};

use super::image::Image;
use crate::model::{Group, Name, ParseIdError, Stamp, UniqueId};

/// What a utility's request is called: made by the vxconfigd of its own node, and what `vxdctl
/// transstate` asks about.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(into = "String", try_from = "String")]
pub struct RequestId {
    /// The node, and the life of its gabd, where the request came in.
    pub origin: Id,
    /// Counts the requests of that life.
    pub number: u64,
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.origin.node, self.origin.incarnation.0, self.number)
    }
}

impl FromStr for RequestId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let read = || {
            let mut parts = text.split('.');
            let node = NodeId::new(parts.next()?.parse().ok()?)?;
            let incarnation = Incarnation(parts.next()?.parse().ok()?);
            let number = parts.next()?.parse().ok()?;
            parts.next().is_none().then_some(Self { origin: Id { node, incarnation }, number })
        };
        let expected = "the id of a request like 0.1283432345.7";
        read().ok_or_else(|| ParseIdError { text: text.to_owned(), expected })
    }
}

impl TryFrom<String> for RequestId {
    type Error = ParseIdError;

    fn try_from(text: String) -> Result<Self, ParseIdError> {
        text.parse()
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.to_string()
    }
}

/// The name of a transaction in every message about it. What does not have it is about another one,
/// or about one of another time, and is ignored.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TxnId {
    /// Which group.
    pub group: UniqueId,
    /// What its configuration becomes.
    pub stamp: Stamp,
    /// The reconfiguration in which it began: the generation of the last view of port v in which
    /// somebody left.
    pub reconfig: u64,
}

impl fmt::Display for TxnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} in {}", self.group, self.stamp, self.reconfig)
    }
}

/// One of the three places of a configuration on each disk (design 4).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Slot(u8);

impl Slot {
    /// How many there are.
    pub const COUNT: u8 = 3;

    /// The slot with this number, from 0.
    pub const fn new(slot: u8) -> Option<Self> {
        if slot < Self::COUNT { Some(Self(slot)) } else { None }
    }

    /// Its number.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }
}

/// A change of one group, as it is loaded into every vxiod.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Txn {
    /// Its name.
    pub id: TxnId,
    /// Whose request it is.
    pub request: RequestId,
    /// What it changes.
    pub before: Before,
    /// The configuration in force after it; one that nobody owns, or that is destroyed, is imported
    /// nowhere any more.
    pub group: Arc<Group>,
    /// Disks with an active copy of the configuration after it.
    pub copies: Vec<UniqueId>,
    /// Where it is written.
    pub slot: Slot,
    /// Volumes whose I/O stands still until it is decided.
    pub volumes: Vec<Name>,
    /// Volumes that nobody may have open.
    pub closed: Vec<Name>,
}

/// What a transaction begins with, and what is written back where it is abandoned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Before {
    /// The group is imported with this configuration.
    InForce(Stamp),
    /// The group is made.
    Nothing,
    /// The group is imported: this was found on its disks.
    OnDisk {
        /// The newest configuration.
        image: Arc<Image>,
        /// Where it lies.
        slot: Slot,
    },
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum Outcome {
    /// Everywhere as though it had never been.
    Abandoned,
    /// Everywhere.
    Committed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_read_what_they_print() {
        let origin = Id { node: NodeId::new(3).unwrap(), incarnation: Incarnation(17) };
        let id = RequestId { origin, number: 4 };
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "1.2", "1.2.3.4", "200.1.1", "a.b.c"] {
            assert!(wrong.parse::<RequestId>().is_err(), "{wrong}");
        }
    }
}

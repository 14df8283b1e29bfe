//! What a transaction is called, and what it carries.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::wire::w::{Base, Precheck};
use crate::disk::{CopyList, Image, RequestId, Slot};
use crate::model::{Group, Name, Owner, Stamp, UniqueId};

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

/// A change of one group, as it is loaded in a vxiod: what a [`Precheck`] makes of the configuration
/// that is in force there.
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
    /// Where the copies of the configuration are after it.
    pub copies: CopyList,
    /// How often each disk was given to a group, this time included: of both configurations, and those
    /// that only have a copy. No other is written.
    pub tenures: BTreeMap<UniqueId, u64>,
    /// When it was made, in seconds since 1970; for people.
    pub time: u64,
    /// Where it is written.
    pub slot: Slot,
    /// Volumes whose I/O stands still until it is decided.
    pub volumes: Vec<Name>,
    /// Volumes that nobody may have open.
    pub closed: Vec<Name>,
}

impl Txn {
    /// What `precheck` makes where `in_force` is the configuration of its group, if it is imported.
    ///
    /// # Errors
    /// Why it does not fit, for people.
    pub fn of(precheck: &Precheck, in_force: Option<&Arc<Image>>) -> Result<Self, String> {
        let before = match &precheck.base {
            Base::InForce(stamp) => Before::InForce(*stamp),
            Base::Nothing => Before::Nothing,
            Base::OnDisk(bytes, slot) => {
                let image = Image::decode(*slot, bytes).map_err(|error| error.to_string())?;
                Before::OnDisk(Arc::new(image))
            }
        };
        let old = match &before {
            Before::InForce(stamp) => {
                let image = in_force.filter(|image| image.stamp == *stamp);
                Some(image.ok_or("Cluster master out of sync?")?)
            }
            Before::Nothing => None,
            Before::OnDisk(image) => Some(image),
        };
        let group = precheck.change.apply(old.map(|image| &*image.group));
        let group = Arc::new(group.map_err(|error| error.to_string())?);
        Ok(Self {
            id: precheck.id.clone(),
            request: precheck.request,
            before,
            group,
            copies: precheck.copies.iter().cloned().collect(),
            tenures: precheck.tenures.clone(),
            time: precheck.time,
            slot: precheck.slot,
            volumes: precheck.volumes.clone(),
            closed: precheck.closed.clone(),
        })
    }

    /// The group is imported nowhere after it; `old` is what it was before, where it is imported.
    pub fn deports(&self, old: Option<&Group>) -> bool {
        let other_owner = old.is_some_and(|old| old.owner != self.group.owner);
        self.group.destroyed || self.group.owner == Owner::Nobody || other_owner
    }
}

/// What a transaction begins with, and what is written back where it is abandoned.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Before {
    /// The group is imported with this configuration.
    InForce(Stamp),
    /// The group is made.
    Nothing,
    /// The group is imported: this was found on its disks.
    OnDisk(
        /// The newest configuration.
        Arc<Image>,
    ),
}

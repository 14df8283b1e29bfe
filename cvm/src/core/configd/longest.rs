//! `vxassist maxsize` and `maxgrow`: answered by every node from what it has, without the master.

use super::Configd;
use crate::model::apply::{Env, maxgrow, maxsize};
use crate::model::op::{Make, Storage};
use crate::model::{Name, Sectors};
use crate::request::Failure;

impl Configd {
    pub(super) fn longest_new(&self, group: &Name, make: &Make) -> Result<Sectors, Failure> {
        let group = &self.imported(group)?.image.group;
        let env = Env { disks: &[], minors_taken: &[], nodes: self.node_count() };
        Ok(maxsize(group, make, &env)?)
    }

    pub(super) fn longest_grown(
        &self,
        group: &Name,
        volume: &Name,
        storage: &[Storage],
    ) -> Result<Sectors, Failure> {
        Ok(maxgrow(&self.imported(group)?.image.group, volume, storage)?)
    }
}

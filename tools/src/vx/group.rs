//! `-g`: the disk group that is meant (facts part 4).

use clap::Args;
use cvm::model::Name;

use super::{name, volboot};
use crate::common::{Failure, Root};

/// `-g`, which almost every command has.
#[derive(Args, Clone, Debug)]
pub struct GroupOption {
    /// The disk group; else that of VXVM_DEFAULTDG, else that of vxdctl defaultdg
    #[arg(short = 'g', value_name = "GROUP", value_parser = name)]
    group: Option<Name>,
}

impl GroupOption {
    /// What `-g` says.
    pub const fn given(&self) -> Option<&Name> {
        self.group.as_ref()
    }

    /// The group that is meant.
    ///
    /// # Errors
    /// If nothing says which.
    pub fn resolve(&self, root: &Root) -> Result<Name, Failure> {
        if let Some(group) = &self.group {
            return Ok(group.clone());
        }
        if let Some(group) = std::env::var_os("VXVM_DEFAULTDG") {
            let group = group.to_string_lossy();
            return name(&group)
                .map_err(|error| Failure::Usage(format!("VXVM_DEFAULTDG: {error}")));
        }
        volboot::read(root)?.default_group.ok_or_else(|| {
            let ways = "use -g, set VXVM_DEFAULTDG, or say vxdctl defaultdg";
            Failure::Usage(format!("no disk group is named: {ways}"))
        })
    }
}

//! What groups are called: the core speaks of them by their identity, people know their names.

use std::collections::BTreeMap;

use crate::core::iod::TablesView;
use crate::model::{Group, Name, UniqueId};

/// Names of groups that are imported, or about to be.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<UniqueId, Name>);

impl Names {
    /// A group is going to be written.
    pub(super) fn add(&mut self, group: &Group) {
        self.0.insert(group.id.clone(), group.name.clone());
    }

    /// These groups are imported, or were before errors disabled them; no others are.
    pub(super) fn renew(&mut self, view: &TablesView) {
        let imported = view.tables.values().map(|table| &table.image);
        self.renew_with(imported.chain(&view.disabled).map(|image| &*image.group));
    }

    fn renew_with<'a>(&mut self, groups: impl Iterator<Item = &'a Group>) {
        self.0.clear();
        groups.for_each(|group| self.add(group));
    }

    /// The name of a group; its identity, if it is not known here.
    pub(super) fn of(&self, group: &UniqueId) -> String {
        self.0.get(group).map_or_else(|| group.to_string(), Name::to_string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_its_name_as_long_as_it_is_known() {
        let group = crate::model::sample::group();
        let mut names = Names::default();
        assert_eq!(names.of(&group.id), group.id.to_string());
        names.add(&group);
        assert_eq!(names.of(&group.id), "mydg");
        names.renew_with([&group].into_iter());
        assert_eq!(names.of(&group.id), "mydg");
        names.renew(&TablesView::default());
        assert_eq!(names.of(&group.id), group.id.to_string());
    }
}

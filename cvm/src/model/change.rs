//! What differs between two configurations of a group: what nodes send each other.

use super::check::{Broken, check};
use super::group::{Group, Kind};
use super::ids::Name;
use super::records::Records;
use super::text::{self, TextError, word};

/// The records that go and the descriptions of those that are new or different. A change is a
/// text, so that it is read by the code that reads configurations.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    text: String,
}

/// Why a change does not fit a configuration. Nothing was changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChangeError {
    /// What comes of it is not whole.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// A record that it removes is not there.
    #[error("there is no {0} to remove")]
    Missing(Name),
    /// It is no description.
    #[error(transparent)]
    Text(#[from] TextError),
}

/// The word before what is removed: `rm vol vol1` has the kind as a field.
const REMOVE: &str = "rm";

impl Change {
    /// From `old`, or from nothing, to `new`.
    pub fn between(old: Option<&Group>, new: &Group) -> Self {
        let Some(old) = old else { return Self { text: text::write_group(new) } };
        let mut change = String::new();
        let mut differ = |kind: Kind, gone: Vec<&Name>, here: Vec<&Name>| {
            for name in gone {
                change.push_str(&format!("{REMOVE} {name} kind={}\n", word(kind)));
            }
            for name in here {
                change.push_str(&text::write_record(new, Some(kind), name.as_str()));
            }
        };
        let (gone, here) = difference(&old.disks, &new.disks);
        differ(Kind::Disk, gone, here);
        let (gone, here) = difference(&old.subdisks, &new.subdisks);
        differ(Kind::Subdisk, gone, here);
        let (gone, here) = difference(&old.plexes, &new.plexes);
        differ(Kind::Plex, gone, here);
        let (gone, here) = difference(&old.volumes, &new.volumes);
        differ(Kind::Volume, gone, here);
        change.insert_str(0, &text::write_record(new, None, ""));
        Self { text: change }
    }

    /// As it was received; whether it is one shows when it is applied.
    pub const fn from_text(text: String) -> Self {
        Self { text }
    }

    /// As it is sent.
    pub fn as_text(&self) -> &str {
        &self.text
    }

    /// The configuration that it makes of `old`, checked.
    pub fn apply(&self, old: Option<&Group>) -> Result<Group, ChangeError> {
        let new = self.apply_checked(old)?;
        check(&new)?;
        Ok(new)
    }

    /// The same for a change whose result somebody has checked who is trusted.
    pub fn apply_checked(&self, old: Option<&Group>) -> Result<Group, ChangeError> {
        let Some(old) = old else { return Ok(text::read_group(&self.text)?) };
        let mut new = old.clone();
        let (removed, records): (Vec<_>, Vec<_>) =
            text::parse(&self.text)?.into_iter().partition(|record| record.kind == REMOVE);
        for mut record in removed {
            let kind: String = record.required("kind")?;
            let name = record.name.as_str();
            let gone = match kind.as_str() {
                "dm" => new.disks.remove(name).is_some(),
                "sd" => new.subdisks.remove(name).is_some(),
                "plex" => new.plexes.remove(name).is_some(),
                "vol" => new.volumes.remove(name).is_some(),
                _ => false,
            };
            if !gone {
                return Err(ChangeError::Missing(record.name));
            }
        }
        text::read_into(&mut new, records)?;
        Ok(new)
    }
}

/// Names that are only in `old`, and names whose record is new or different in `new`.
fn difference<'a, T: PartialEq>(
    old: &'a Records<T>,
    new: &'a Records<T>,
) -> (Vec<&'a Name>, Vec<&'a Name>) {
    let (mut gone, mut here) = (Vec::new(), Vec::new());
    for (name, _, new) in old.differences(new) {
        if new.is_some() { here.push(name) } else { gone.push(name) }
    }
    (gone, here)
}

#[cfg(test)]
mod tests {
    use super::super::sample::{group, name};
    use super::*;

    fn passes(old: Option<&Group>, new: &Group) -> Change {
        let change = Change::between(old, new);
        assert_eq!(change.apply(old).as_ref(), Ok(new), "{}", change.as_text());
        change
    }

    #[test]
    fn a_change_makes_the_new_of_the_old() {
        let old = group();
        passes(None, &old);
        assert_eq!(passes(Some(&old), &old).as_text().lines().next(), Some("dg mydg"));

        let mut new = old.clone();
        new.volumes.remove("vol1");
        new.plexes.clear();
        new.subdisks.remove("mydg01-01");
        passes(Some(&old), &new);
        passes(Some(&new), &old);

        let mut new = old.clone();
        new.name = name("other");
        let subdisk = new.subdisks.remove("mydg01-01").unwrap();
        new.subdisks.insert(name("renamed"), subdisk);
        new.plexes.get_mut("vol1-01").unwrap().pieces[0].subdisk = name("renamed");
        passes(Some(&old), &new);
    }

    #[test]
    fn a_change_that_does_not_fit_is_refused() {
        let old = group();
        let mut new = old.clone();
        new.volumes.remove("vol1");
        let change = Change::between(Some(&old), &new);
        assert_eq!(change.apply(Some(&new)), Err(ChangeError::Missing(name("vol1"))));
        let change = Change::from_text("rm mydg01 kind=dm\n".to_owned());
        let Err(ChangeError::Broken(broken)) = change.apply(Some(&old)) else { panic!("it fits") };
        assert_eq!(broken.to_string(), "subdisk mydg01-01: mydg01 does not exist");
    }
}

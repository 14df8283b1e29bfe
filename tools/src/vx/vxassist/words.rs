//! The words after the length: attributes and storage (facts 4.3).

use std::collections::{BTreeMap, BTreeSet};

use cvm::model::limits::{COLUMNS_MAX, PLEXES_MAX};
use cvm::model::op::{Init, Storage};
use cvm::model::{LogType, Sectors};

use super::layout::LayoutWords;
use crate::vx::{length, name, values};

/// An attribute, whatever it is called.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Key {
    Alloc,
    Columns,
    ColumnsLimit,
    Comment,
    Exclusive,
    Group,
    Init,
    Layout,
    LogLen,
    LogType,
    Logs,
    Mirrors,
    Mode,
    Raid5,
    Usage,
    User,
    Width,
}

/// Their names; the first of each is the one that messages use.
const KEYS: &[(&str, Key)] = &[
    ("alloc", Key::Alloc),
    ("comment", Key::Comment),
    ("exclusive", Key::Exclusive),
    ("group", Key::Group),
    ("init", Key::Init),
    ("layout", Key::Layout),
    ("loglen", Key::LogLen),
    ("logtype", Key::LogType),
    ("mode", Key::Mode),
    ("ncol", Key::Columns),
    ("nlog", Key::Logs),
    ("nmirror", Key::Mirrors),
    ("stripeunit", Key::Width),
    ("user", Key::User),
    ("usetype", Key::Usage),
    ("mirror", Key::Mirrors),
    ("ncolumn", Key::Columns),
    ("ncolumns", Key::Columns),
    ("nregionlog", Key::Logs),
    ("stripe_stwid", Key::Width),
    ("stripe_stripeunit", Key::Width),
    ("stwidth", Key::Width),
    ("max_nstripe", Key::ColumnsLimit),
    ("max_ncolumn", Key::ColumnsLimit),
    ("min_nstripe", Key::ColumnsLimit),
    ("min_ncolumn", Key::ColumnsLimit),
    ("max_nraid5stripe", Key::Raid5),
    ("min_nraid5stripe", Key::Raid5),
    ("nraid5log", Key::Raid5),
    ("raid5_stwid", Key::Raid5),
    ("raid5_stripeunit", Key::Raid5),
];

/// What attributes say; nothing where none of them said it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Attributes {
    pub(super) layout: LayoutWords,
    pub(super) columns: Option<u16>,
    pub(super) width: Option<Sectors>,
    pub(super) mirrors: Option<u16>,
    pub(super) log_type: Option<LogType>,
    pub(super) logs: Option<u16>,
    pub(super) log_len: Option<Sectors>,
    pub(super) init: Option<Init>,
    pub(super) exclusive: Option<bool>,
    pub(super) usage: Option<String>,
    pub(super) user: Option<String>,
    pub(super) group: Option<String>,
    pub(super) mode: Option<u32>,
    pub(super) comment: Option<String>,
    pub(super) storage: Vec<Storage>,
    given: BTreeSet<Key>,
}

impl Attributes {
    /// Reads the words of a command line.
    ///
    /// # Errors
    /// What is wrong with the first wrong one, and what was expected.
    pub(super) fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut attributes = Self::default();
        for word in words {
            match word.split_once('=') {
                Some((key, value)) => {
                    if attributes.add(key, value)? == Key::Raid5 {
                        return Err(format!("{key}=: there is no RAID-5 here"));
                    }
                }
                None => attributes.storage.push(storage(word)?),
            }
        }
        Ok(attributes)
    }

    /// Adds `key=value`.
    ///
    /// # Errors
    /// If there is no such attribute, it cannot be that, or it was said before.
    pub(super) fn add(&mut self, name: &str, value: &str) -> Result<Key, String> {
        let key = KEYS.iter().find(|(known, _)| *known == name).map(|(_, key)| *key);
        let Some(key) = key else {
            let known =
                KEYS.iter().take_while(|(known, _)| *known != "mirror").map(|(name, _)| *name);
            let known: Vec<&str> = known.collect();
            return Err(format!(
                "\"{name}\" is no attribute: expected one of {}",
                known.join(", ")
            ));
        };
        let mut set = || -> Result<(), String> {
            match key {
                Key::Alloc => {
                    let words = value.split([',', ' ']).filter(|word| !word.is_empty());
                    let storage: Result<Vec<Storage>, String> = words.map(storage).collect();
                    self.storage.extend(storage?);
                }
                Key::Columns => self.columns = Some(number(value, 2, COLUMNS_MAX)?),
                Key::ColumnsLimit => limit(name, value)?,
                Key::Comment => self.comment = Some(values::text(value)?),
                Key::Exclusive => self.exclusive = Some(values::switch(value)?),
                Key::Group => self.group = Some(values::owner(value)?),
                Key::Init => self.init = Some(init(value)?),
                Key::Layout => self.layout.add(value)?,
                Key::LogLen => self.log_len = Some(some_length(value)?),
                Key::LogType => self.log_type = Some(log_type(value)?),
                Key::Logs => self.logs = Some(number(value, 0, PLEXES)?),
                Key::Mirrors if name == "mirror" => self.mirror(value)?,
                Key::Mirrors => self.mirrors = Some(number(value, 1, PLEXES)?),
                Key::Mode => self.mode = Some(values::mode(value)?),
                Key::Raid5 => {}
                Key::Usage => self.usage = Some(usage(value)?),
                Key::User => self.user = Some(values::owner(value)?),
                Key::Width => self.width = Some(some_length(value)?),
            }
            Ok(())
        };
        set().map_err(|what| {
            if what.starts_with("layout=") { what } else { format!("{name}=: {what}") }
        })?;
        // Layouts and storage add up; so does what is not taken in at all.
        let adds_up = matches!(key, Key::Alloc | Key::ColumnsLimit | Key::Layout | Key::Raid5);
        let in_words = name == "mirror" && value.parse::<u16>().is_err();
        if in_words || self.given.insert(key) || adds_up {
            Ok(key)
        } else {
            Err(format!("{name}= was said before"))
        }
    }

    /// `mirror=` says between what mirrors are told apart, or how many there are.
    fn mirror(&mut self, value: &str) -> Result<(), String> {
        match value {
            "disk" => Ok(()),
            "yes" | "no" => {
                self.given.insert(Key::Layout);
                self.layout.add(if value == "yes" { "mirror" } else { "nomirror" })
            }
            "ctlr" | "enclr" | "enclosure" | "target" => Err(format!(
                "\"{value}\": controllers, targets and enclosures of disks are not known here. \
                 Mirrors always lie on different disks (mirror=disk)"
            )),
            _ => {
                let number = number(value, 1, PLEXES);
                self.mirrors = Some(number.map_err(|what| format!("{what}, or disk, yes, no"))?);
                Ok(())
            }
        }
    }

    /// Refuses what has no meaning for an action.
    ///
    /// # Errors
    /// The first attribute that is none of `allowed`.
    pub(super) fn only(&self, action: &str, allowed: &[Key]) -> Result<(), String> {
        let Some(wrong) = self.given.iter().find(|key| !allowed.contains(key)) else {
            return Ok(());
        };
        if *wrong == Key::LogLen {
            return Err(format!("loglen= is for addlog: {action} takes the length that is needed"));
        }
        let allowed: Vec<String> = allowed.iter().map(|key| format!("{}=", key.name())).collect();
        let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
        Err(format!("{}= is no attribute of {action}: it has {allowed}", wrong.name()))
    }
}

impl Key {
    fn name(self) -> &'static str {
        KEYS.iter().find(|(_, key)| *key == self).map_or("", |(name, _)| name)
    }
}

/// Words of another command that puts something somewhere: these attributes, and storage.
///
/// # Errors
/// If one is neither, or an attribute is there twice.
pub(in crate::vx) fn storage_words(
    words: &[String],
    known: &[&str],
) -> Result<(BTreeMap<String, String>, Vec<Storage>), String> {
    let (mut given, mut places) = (BTreeMap::new(), Vec::new());
    for word in words {
        match word.split_once('=') {
            Some(("alloc", value)) => {
                let words = value.split([',', ' ']).filter(|word| !word.is_empty());
                places.extend(words.map(storage).collect::<Result<Vec<_>, _>>()?);
            }
            Some((key, value)) if known.contains(&key) => {
                if given.insert(key.to_owned(), value.to_owned()).is_some() {
                    return Err(format!("{key}= was said before"));
                }
            }
            Some((key, _)) => {
                let known: Vec<String> = known.iter().map(|key| format!("{key}=")).collect();
                let known = known.join(", ");
                return Err(format!("{key}=: expected one of {known}, alloc=, or disks"));
            }
            None => places.push(storage(word)?),
        }
    }
    Ok((given, places))
}

/// A storage word: `dm`, `!dm` or `dm,offset`.
fn storage(word: &str) -> Result<Storage, String> {
    if word.contains(':') {
        return Err(format!(
            "\"{word}\": controllers, targets and enclosures of disks are not known here. \
             Expected names of disks of the group: {STORAGE}"
        ));
    }
    let (excluded, rest) = match word.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let (disk, offset) = match rest.split_once(',') {
        Some((disk, offset)) => (disk, Some(offset)),
        None => (rest, None),
    };
    let wrong = || format!("\"{word}\" is no storage: expected {STORAGE}, or attribute=value");
    let offset = offset.map(length).transpose().map_err(|_| wrong())?;
    if excluded && offset.is_some() {
        return Err(wrong());
    }
    Ok(Storage { disk: name(disk).map_err(|_| wrong())?, excluded, offset })
}

fn number(text: &str, least: u16, most: u16) -> Result<u16, String> {
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("\"{text}\" is no number from {least} to {most}"))
}

fn some_length(text: &str) -> Result<Sectors, String> {
    match length(text) {
        Ok(0) => Err("0 is no length".to_owned()),
        Ok(length) => Ok(length),
        Err(error) => Err(error.to_string()),
    }
}

/// Limits that are fixed here: a file of defaults may say what is so anyway.
fn limit(name: &str, value: &str) -> Result<(), String> {
    let is = if name.starts_with("max") { "8" } else { "2" };
    if value == is {
        return Ok(());
    }
    Err(format!("this limit of columns is always {is} here; ncol= says how many there are to be"))
}

fn init(text: &str) -> Result<Init, String> {
    match text {
        "active" => Ok(Init::Active),
        "default" => Ok(Init::Default),
        "none" => Ok(Init::None),
        "zero" => Err("blocks are not zeroed here: make it, and write zeros to it".to_owned()),
        _ => Err(format!("\"{text}\" is none of active, default, none")),
    }
}

fn log_type(text: &str) -> Result<LogType, String> {
    match text {
        "drl" | "region" => Ok(LogType::Region),
        "drlseq" => Ok(LogType::Sequential),
        "none" => Ok(LogType::None),
        "raid5" => Err("there is no RAID-5 here, and no log of it".to_owned()),
        "dco" => Err("there are no data change objects here".to_owned()),
        _ => Err(format!("\"{text}\" is none of drl, drlseq, none")),
    }
}

/// `usetype=`
pub(super) fn usage(text: &str) -> Result<String, String> {
    match text {
        "fsgen" | "gen" => Ok(text.to_owned()),
        "raid5" => Err("there is no RAID-5 here; expected fsgen or gen".to_owned()),
        _ => Err(format!("\"{text}\" is neither fsgen nor gen")),
    }
}

const STORAGE: &str = "dm, !dm or dm,offset";
#[expect(clippy::cast_possible_truncation, reason = "a constant: 32")]
const PLEXES: u16 = PLEXES_MAX as u16;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Attributes, String> {
        Attributes::of(line.split(' ').filter(|word| !word.is_empty()))
    }

    #[test]
    fn every_attribute_is_understood() {
        let all = read(
            "layout=mirror layout=log nmirror=3 ncolumn=4 stripe_stwid=64k logtype=drlseq nlog=2 \
             init=none user=oracle group=dba mode=u=rw,g=r,o= exclusive=on usetype=gen comment=x \
             mydg01 !mydg02 mydg03,1m alloc=mydg04,!mydg05",
        )
        .unwrap();
        assert_eq!((all.mirrors, all.columns, all.width), (Some(3), Some(4), Some(128)));
        assert_eq!((all.log_type, all.logs), (Some(LogType::Sequential), Some(2)));
        assert_eq!((all.mode, all.exclusive), (Some(0o640), Some(true)));
        assert_eq!((all.layout.mirror, all.layout.log), (Some(true), Some(true)));
        let storage =
            |disk: &str, excluded, offset| Storage { disk: name(disk).unwrap(), excluded, offset };
        let expected = [
            storage("mydg01", false, None),
            storage("mydg02", true, None),
            storage("mydg03", false, Some(2048)),
            storage("mydg04", false, None),
            storage("mydg05", true, None),
        ];
        assert_eq!(all.storage, expected);
        assert_eq!(read("mirror=disk mirror=2").unwrap().mirrors, Some(2));
    }

    #[test]
    fn what_is_wrong_is_told_with_what_was_expected() {
        for (line, said) in [
            ("ctlr:c1", "controllers, targets and enclosures"),
            ("enclosure:emc", "controllers, targets and enclosures"),
            ("target:c1t0", "controllers, targets and enclosures"),
            ("!mydg01,5", "is no storage: expected dm"),
            ("mydg01,mydg02", "is no storage: expected dm"),
            ("a/b", "is no storage: expected dm"),
            ("!", "is no storage: expected dm"),
            ("colour=red", "is no attribute: expected one of alloc, comment"),
            ("nmirror=0", "number from 1 to 32"),
            ("nmirror=33", "number from 1 to 32"),
            ("ncol=1", "number from 2 to 256"),
            ("nlog=many", "number from 0 to 32"),
            ("stripeunit=0", "0 is no length"),
            ("stripeunit=64q", "is not a length"),
            ("logtype=raid5", "no RAID-5"),
            ("logtype=dirty", "none of drl, drlseq, none"),
            ("usetype=raid5", "no RAID-5"),
            ("raid5_stwid=16k", "no RAID-5"),
            ("init=clean", "none of active"),
            ("init=zero", "not zeroed here"),
            ("exclusive=maybe", "neither on nor off"),
            ("mode=999", "is no mode"),
            ("mirror=ctlr", "Mirrors always lie on different disks"),
            ("mirror=often", "or disk, yes, no"),
            ("nmirror=2 nmirror=3", "was said before"),
            ("nmirror=2 mirror=3", "was said before"),
            ("max_nstripe=4", "always 8 here"),
            ("user=", "no name of a user"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
    }

    #[test]
    fn actions_have_their_own_attributes() {
        let error = read("layout=stripe").unwrap().only("growby", &[Key::Alloc]).unwrap_err();
        assert_eq!(error, "layout= is no attribute of growby: it has alloc=");
        assert!(read("loglen=1m").unwrap().only("make", &[]).unwrap_err().contains("for addlog"));
        read("alloc=mydg01 mydg02").unwrap().only("growby", &[Key::Alloc]).unwrap();
    }
}

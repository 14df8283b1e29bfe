//! Identities of disks, groups and records.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest text of a [`UniqueId`]: it has to fit the fields of a disk header.
pub const UNIQUE_ID_MAX: usize = 63;

/// The identity of a disk or of a disk group, `<unix time>.<number>.<host>`, where the host is the
/// one that made it and never changes (facts 1.1).
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(into = "String", try_from = "String")]
pub struct UniqueId {
    time: u64,
    number: u32,
    host: Arc<str>,
}

/// A text that is no identity, rid, transaction id or name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("\"{text}\" is not {expected}")]
pub struct ParseIdError {
    /// What was read.
    pub text: String,
    /// What would have been right.
    pub expected: &'static str,
}

impl UniqueId {
    /// `time` in seconds since 1970; `number` tells ids of one second apart. What a disk cannot hold
    /// of the host's name is cut.
    pub fn new(time: u64, number: u32, host: &str) -> Self {
        let plain = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        // Up to the first dot: the id has two of its own.
        let host: String = host.chars().take_while(plain).take(31).collect();
        let host = if host.is_empty() { "localhost" } else { host.as_str() };
        Self { time, number, host: host.into() }
    }

    /// Seconds since 1970 when it was made.
    pub const fn time(&self) -> u64 {
        self.time
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.time, self.number, self.host)
    }
}

impl FromStr for UniqueId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let wrong =
            || ParseIdError { text: text.to_owned(), expected: "an id like 1283432345.33.host1" };
        let mut parts = text.splitn(3, '.');
        let (time, number, host) = (parts.next(), parts.next(), parts.next());
        let time = time.and_then(digits).ok_or_else(wrong)?;
        let number = number.and_then(digits).ok_or_else(wrong)?;
        let number = u32::try_from(number).map_err(|_| wrong())?;
        let id = Self::new(time, number, host.unwrap_or_default());
        if text.len() <= UNIQUE_ID_MAX && Some(&*id.host) == host { Ok(id) } else { Err(wrong()) }
    }
}

impl TryFrom<String> for UniqueId {
    type Error = ParseIdError;

    fn try_from(text: String) -> Result<Self, ParseIdError> {
        text.parse()
    }
}

impl From<UniqueId> for String {
    fn from(id: UniqueId) -> Self {
        id.to_string()
    }
}

/// Decimal digits only, in the one way to write the number: no sign, no leading zero.
fn digits(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    let all = canonical && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| all)
}

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
        )]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            /// High and low half, as the original shows it: `0.1976`.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}.{}", self.0 >> 32, self.0 & 0xffff_ffff)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let halves = text.split_once('.').and_then(|(high, low)| {
                    let half = |text| u32::try_from(digits(text)?).ok();
                    Some((u64::from(half(high)?) << 32) | u64::from(half(low)?))
                });
                let expected = "two numbers like 0.1976";
                halves.map(Self).ok_or_else(|| ParseIdError { text: text.to_owned(), expected })
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseIdError;

            fn try_from(text: String) -> Result<Self, ParseIdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}

counter! {
    /// The identity of a record inside its group; never used again there.
    Rid
}

counter! {
    /// The number of a committed change of a group's configuration; rises with each.
    Tid
}

counter! {
    /// Counts the imports of a group, on the disk and in its record: two halves of a group that were
    /// used apart from each other are told by it (serial split brain, facts 3.17).
    Serial
}

/// Who has the last word about a group: raised at each import and each takeover by a new master, so
/// that what an older one still writes loses against whatever the newer one wrote (design 4).
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
pub struct Epoch(pub u64);

/// Which of two configurations is the newer one: by epoch, then by tid.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
pub struct Stamp {
    /// First.
    pub epoch: Epoch,
    /// Among those of one epoch.
    pub tid: Tid,
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.epoch.0, self.tid)
    }
}

/// Longest name of an object.
pub const NAME_MAX: usize = 31;

/// The name of a record, of a group or of a host: 1 to 31 letters, digits and `_ . - +`, the first of
/// which is not `-` or `.` (names become file names, and arguments).
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(into = "String", try_from = "String")]
// Configurations are cloned in every transaction, and are full of names.
pub struct Name(Arc<str>);

impl Name {
    /// Checks a text.
    pub fn new(text: &str) -> Result<Self, ParseIdError> {
        let letter =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'+');
        let first = text.bytes().next().is_some_and(|byte| !matches!(byte, b'-' | b'.'));
        if first && text.len() <= NAME_MAX && text.bytes().all(letter) {
            Ok(Self(text.into()))
        } else {
            let expected = "a name of 1 to 31 letters, digits and _ . - +";
            Err(ParseIdError { text: text.to_owned(), expected })
        }
    }

    /// Its letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Name {
    type Error = ParseIdError;

    fn try_from(text: String) -> Result<Self, ParseIdError> {
        Self::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_what_they_print() {
        let id: UniqueId = "1283432345.33.host1".parse().unwrap();
        assert_eq!(id, UniqueId::new(1_283_432_345, 33, "host1.example.org"));
        assert_eq!(id.to_string(), "1283432345.33.host1");
        for wrong in ["", "1.2", "1.2.", "01.2.h", "1.2.h.x", "+1.2.h", "1.2.h h", "1.4294967296.h"]
        {
            assert!(wrong.parse::<UniqueId>().is_err(), "{wrong}");
        }
        assert_eq!(UniqueId::new(1, 2, "").to_string(), "1.2.localhost");
    }

    #[test]
    fn counters_show_their_halves() {
        assert_eq!(Tid(1976).to_string(), "0.1976");
        assert_eq!("32768.1749".parse(), Ok(Rid((32768 << 32) | 1749)));
        assert!("1".parse::<Tid>().is_err() && "0.4294967296".parse::<Tid>().is_err());
    }

    #[test]
    fn names_are_short_and_plain() {
        for fine in ["vol1", "vol1-01", "a", "_x", "0", &"a".repeat(31)] {
            assert_eq!(Name::new(fine).map(String::from), Ok(fine.to_owned()));
        }
        for wrong in ["", "-a", ".a", "a b", "a/b", "ä", &"a".repeat(32)] {
            assert!(Name::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_newer_configuration_is_the_one_of_the_newer_epoch() {
        let stamp = |epoch, tid| Stamp { epoch: Epoch(epoch), tid: Tid(tid) };
        assert!(stamp(2, 1) > stamp(1, 9) && stamp(1, 2) > stamp(1, 1));
    }
}

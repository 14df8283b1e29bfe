//! `source=vol1/snapvol=snap1`: attributes in one word, or in several.

use std::collections::BTreeMap;

use crate::common::Failure;
use crate::vx::operand::wrong;

/// Attributes that were given and not looked at yet.
#[derive(Debug, Default)]
pub(super) struct Tuple(BTreeMap<String, String>);

impl Tuple {
    /// Attributes with `/` between them.
    ///
    /// # Errors
    /// If one is none, or is there twice.
    pub(super) fn of(word: &str) -> Result<Self, Failure> {
        Self::read(word.split('/'))
    }

    /// Each a word of its own.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub(super) fn of_words(words: &[String]) -> Result<Self, Failure> {
        Self::read(words.iter().map(String::as_str))
    }

    fn read<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, Failure> {
        let mut all = BTreeMap::new();
        for word in words {
            let Some((key, value)) = word.split_once('=').filter(|(_, value)| !value.is_empty())
            else {
                return Err(wrong(format!("\"{word}\": expected attribute=value")));
            };
            if all.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(wrong(format!("{key}= is there twice")));
            }
        }
        Ok(Self(all))
    }

    pub(super) fn take(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)
    }

    /// `syncing=no`
    ///
    /// # Errors
    /// If it is neither that nor `syncing=yes`.
    pub(super) fn pauses(&mut self) -> Result<bool, Failure> {
        match self.take("syncing").as_deref() {
            None | Some("yes" | "on") => Ok(false),
            Some("no" | "off") => Ok(true),
            Some(other) => Err(wrong(format!("syncing={other}: expected yes or no"))),
        }
    }

    /// All have been looked at.
    ///
    /// # Errors
    /// If there is another one.
    pub(super) fn end(self, expected: &str) -> Result<(), Failure> {
        let why = match self.0.keys().next().map(String::as_str) {
            None => return Ok(()),
            Some("cache" | "cachesize") => {
                "there are no caches: a snapshot is as large as its volume"
            }
            Some("plex") => "plexes that are full are taken in their order (nmirror=N)",
            Some("infrontof") => "snapshots do not depend on each other",
            Some(key) => return Err(wrong(format!("{key}=: expected {expected}"))),
        };
        let key = self.0.into_keys().next().unwrap_or_default();
        Err(wrong(format!("{key}= is not in this version: {why}")))
    }
}

/// A number above 0.
///
/// # Errors
/// If it is none.
pub(super) fn number(key: &str, value: &str) -> Result<u16, Failure> {
    let number = value.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| wrong(format!("{key}={value}: expected a number from 1 on")))
}

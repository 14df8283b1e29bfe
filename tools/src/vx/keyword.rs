//! The word that says what a command does (`vxdg import`), and which options go with it.

use std::ffi::OsStr;
use std::marker::PhantomData;

use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Command, ValueEnum};

use crate::common::Failure;

/// Words of the original that are not in this version, each with a sentence that says why.
pub(super) type Refused = &'static [(&'static str, &'static str)];

/// Reads such a word, and names all of them for help and completions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keywords<K> {
    refused: Refused,
    words: PhantomData<K>,
}

impl<K> Keywords<K> {
    /// Those of `K`; the refused ones are told from mistakes.
    pub(super) const fn new(refused: Refused) -> Self {
        Self { refused, words: PhantomData }
    }
}

impl<K: Send + Sync + ValueEnum + 'static> TypedValueParser for Keywords<K> {
    type Value = K;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<K, clap::Error> {
        if let Some((word, why)) = self.refused.iter().find(|(word, _)| value == *word) {
            let text = format!("{word}: {why}\n");
            return Err(clap::Error::raw(ErrorKind::InvalidValue, text).with_cmd(command));
        }
        EnumValueParser::<K>::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(K::value_variants().iter().filter_map(K::to_possible_value)))
    }
}

/// Checks that of `given`, options and whether they were, only those are that `keyword` takes.
///
/// # Errors
/// The first other one.
pub(super) fn check_options<K: ValueEnum>(
    keyword: &K,
    given: &[(&str, bool)],
    takes: &[&str],
) -> Result<(), Failure> {
    let wrong = given.iter().find(|(option, is_given)| *is_given && !takes.contains(option));
    let Some((option, _)) = wrong else { return Ok(()) };
    let word = word(keyword);
    Err(Failure::Usage(if takes.is_empty() {
        format!("option {option} does not go with {word}, which takes none")
    } else {
        format!("option {option} does not go with {word}, which takes {}", takes.join(", "))
    }))
}

/// The word itself.
pub(super) fn word<K: ValueEnum>(keyword: &K) -> String {
    keyword.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

//! `lltstat ... INTERVAL [COUNT]`: the same listing again and again.

use std::time::Duration;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use rustix::event::{PollFd, PollFlags, Timespec};

use super::Only;
use crate::common::Failure;

/// One word after the options.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Word {
    /// `active` or `configured`.
    Only(Only),
    /// An interval or a count.
    Number(f64),
}

/// Reads a [`Word`], and names the two that are no numbers for help and completions.
#[derive(Clone, Copy, Debug)]
pub(super) struct WordParser;

impl TypedValueParser for WordParser {
    type Value = Word;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Word, clap::Error> {
        let text = value.to_str().unwrap_or_default();
        if let Ok(only) = <Only as clap::ValueEnum>::from_str(text, false) {
            return Ok(Word::Only(only));
        }
        match text.parse() {
            Ok(number) => Ok(Word::Number(number)),
            Err(_) => clap::builder::EnumValueParser::<Only>::new()
                .parse_ref(command, arg, value)
                .map(Word::Only),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        use clap::ValueEnum;
        Some(Box::new(Only::value_variants().iter().filter_map(Only::to_possible_value)))
    }
}

/// What the words after the options say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Words {
    pub(super) only: Option<Only>,
    /// Again after so long; not at all if absent.
    pub(super) interval: Option<Duration>,
    /// How often in all; for ever if absent.
    pub(super) count: Option<u64>,
}

impl Words {
    /// Orders them: a filter first, then the interval, then the count.
    pub(super) fn of(words: &[Word]) -> Result<Self, clap::Error> {
        let wrong = |text: String| clap::Error::raw(ErrorKind::ValueValidation, text + "\n");
        let mut read = Self::default();
        let mut numbers = words;
        if let [Word::Only(only), rest @ ..] = words {
            read.only = Some(*only);
            numbers = rest;
        }
        for (at, word) in numbers.iter().enumerate() {
            match (at, word) {
                (0, Word::Number(seconds)) if (INTERVAL_MIN..=INTERVAL_MAX).contains(seconds) => {
                    read.interval = Some(Duration::from_secs_f64(*seconds));
                }
                (0, Word::Number(seconds)) => {
                    return Err(wrong(format!(
                        "{seconds} is no interval: expected seconds from {INTERVAL_MIN} to {INTERVAL_MAX}"
                    )));
                }
                (1, Word::Number(count)) if *count >= 1.0 && count.fract() == 0.0 => {
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a whole number that is not negative; what is too large is very often"
                    )]
                    let count = *count as u64;
                    read.count = Some(count);
                }
                (1, Word::Number(count)) => {
                    let text = format!("{count} is no count: expected a whole number from 1 on");
                    return Err(wrong(text));
                }
                _ => {
                    let text = "too many words: expected [active|configured] [INTERVAL [COUNT]]";
                    return Err(wrong(text.to_owned()));
                }
            }
        }
        Ok(read)
    }

    /// Shows once, or as often as the words say, until the reader of the output has gone. The
    /// argument of `show` says that it is not the first time.
    pub(super) fn repeat(
        &self,
        mut show: impl FnMut(bool) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        show(false)?;
        let Some(interval) = self.interval else { return Ok(()) };
        let mut left = self.count.map(|count| count - 1);
        while left != Some(0) {
            if is_closed_after(interval)? {
                return Err(Failure::ClosedOutput);
            }
            show(true)?;
            left = left.map(|left| left - 1);
        }
        Ok(())
    }
}

/// Waits, but no longer than somebody reads.
fn is_closed_after(interval: Duration) -> Result<bool, Failure> {
    let stdout = std::io::stdout();
    let timeout = Timespec::try_from(interval).map_err(|error| Failure::because(&error))?;
    // Asked for nothing, it tells only that the other end was closed.
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    match rustix::event::poll(&mut fds, Some(&timeout)) {
        Ok(count) => Ok(count > 0),
        // Stopped and continued: the interval is over early, once.
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(Failure::because(&error)),
    }
}

const INTERVAL_MIN: f64 = 0.01;
const INTERVAL_MAX: f64 = 86_400.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_an_order() {
        let active = Word::Only(Only::Active);
        let read = |words: &[Word]| Words::of(words).map_err(|error| error.to_string());
        assert_eq!(read(&[]), Ok(Words::default()));
        let only = Words { only: Some(Only::Active), ..Words::default() };
        assert_eq!(read(&[active]), Ok(only));
        let second = Some(Duration::from_secs(1));
        let all = Words { interval: second, count: Some(3), ..only };
        assert_eq!(read(&[active, Word::Number(1.0), Word::Number(3.0)]), Ok(all));
        let half = Words { interval: Some(Duration::from_millis(500)), ..Words::default() };
        assert_eq!(read(&[Word::Number(0.5)]), Ok(half));
    }

    #[test]
    fn impossible_words_say_what_was_expected() {
        let active = Word::Only(Only::Active);
        for (words, said) in [
            (&[Word::Number(0.0)][..], "0 is no interval: expected seconds from"),
            (&[Word::Number(f64::NAN)], "NaN is no interval"),
            (&[Word::Number(-1.0)], "-1 is no interval"),
            (&[Word::Number(1.0), Word::Number(0.0)], "0 is no count"),
            (&[Word::Number(1.0), Word::Number(1.5)], "1.5 is no count"),
            (&[Word::Number(1.0), active], "too many words"),
            (&[active, active], "too many words"),
        ] {
            let error = Words::of(words).unwrap_err().to_string();
            assert!(error.contains(said), "{words:?}: {error}");
        }
    }

    #[test]
    fn a_count_ends_the_repetition() {
        let mut calls = Vec::new();
        let interval = Some(Duration::from_millis(1));
        let words = Words { only: None, interval, count: Some(3) };
        words
            .repeat(|again| {
                calls.push(again);
                Ok(())
            })
            .unwrap();
        assert_eq!(calls, [false, true, true]);
    }
}

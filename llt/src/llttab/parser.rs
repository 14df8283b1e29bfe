//! `llttab`, line by line: what each directive says, before anything is compared.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use crate::config::{Flow, Timers};
use crate::ids::NodeSet;
use crate::llttab::directives;
use crate::llttab::lexer::{Word, words};
use crate::llttab::link::RawLink;
use crate::llttab::report::{Problem, Source, Warning};

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

impl<T> At<T> {
    pub(super) fn new(value: T, word: Word<'_>) -> Self {
        Self { value, span: word.span() }
    }
}

/// A `set-addr` line.
#[derive(Clone, Debug)]
pub(super) struct RawAddr {
    pub(super) node: At<String>,
    pub(super) tag: At<String>,
    pub(super) ip: At<IpAddr>,
}

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct RawTab {
    pub(super) node: Option<At<String>>,
    pub(super) cluster: Option<At<u16>>,
    pub(super) links: Vec<RawLink>,
    pub(super) addrs: Vec<RawAddr>,
    pub(super) excluded: NodeSet,
    pub(super) timers: Timers,
    /// Where a timer was set, by its name.
    pub(super) timers_set: BTreeMap<&'static str, Range<usize>>,
    pub(super) flow: Flow,
    pub(super) flow_set: BTreeMap<&'static str, Range<usize>>,
    pub(super) bcasthb_off: bool,
    pub(super) verbose: bool,
    pub(super) links_min: Option<At<u8>>,
    pub(super) started: Option<Range<usize>>,
    pub(super) warnings: Vec<Warning>,
}

/// One line and where to complain.
pub(super) struct Line<'a, 'p> {
    pub(super) source: &'a Source,
    pub(super) words: &'p [Word<'a>],
    pub(super) problems: &'p mut Vec<Problem>,
}

impl<'a> Line<'a, '_> {
    /// The word at `index`, or a complaint that `expected` is missing.
    pub(super) fn word(&mut self, index: usize, expected: &str) -> Option<Word<'a>> {
        let word = self.words.get(index).copied();
        if word.is_none() {
            let last = self.words[self.words.len() - 1];
            let end = last.span().end;
            self.problems.push(Problem::new(
                self.source,
                end..end,
                format!("`{}` is not complete", self.words[0].text),
                format!("expected {expected} after this"),
            ));
        }
        word
    }

    /// A complaint about `word`.
    pub(super) fn wrong(&mut self, word: Word<'_>, expected: impl Into<String>) {
        let message = format!("`{}` does not belong here", word.text);
        self.problems.push(Problem::new(self.source, word.span(), message, expected));
    }

    /// Complains about words beyond the first `count`.
    pub(super) fn ends_after(&mut self, count: usize) {
        if let Some(&extra) = self.words.get(count) {
            let text = format!("`{}` ends before this", self.words[0].text);
            self.problems.push(Problem::new(
                self.source,
                extra.span(),
                text,
                "nothing was expected here",
            ));
        }
    }

    pub(super) fn warning(&self, word: Word<'_>, text: impl Into<String>) -> Warning {
        Warning::new(self.source, word.start, text)
    }
}

pub(super) fn parse(source: &Source, problems: &mut Vec<Problem>) -> RawTab {
    problems.extend(source.encoding_problem());
    let mut tab = RawTab::default();
    for words in words(source.text()) {
        if let Some(start) = &tab.started {
            problems.push(
                Problem::new(source, words[0].span(), "there is a line after `start`", "this one")
                    .and(start.clone(), "must be the last line"),
            );
            break;
        }
        directives::line(&mut Line { source, words: &words, problems }, &mut tab);
    }
    tab
}

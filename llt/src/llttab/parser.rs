//! `llttab`, line by line: what each directive says, before anything is compared.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Range;

use crate::config::{Flow, Timers};
use crate::ids::NodeSet;
use crate::llttab::lexer::{Word, words};
use crate::llttab::link::RawLink;
use crate::llttab::report::{Problem, Source, Warning};
use crate::llttab::values::mac;
use crate::llttab::{directives, texts};

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
    pub(super) address: At<RawAddress>,
}

/// An address without the port of its link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum RawAddress {
    Ip(IpAddr),
    Mac([u8; 6]),
}

impl RawAddress {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let ip = text.parse::<IpAddr>().ok().map(Self::Ip);
        ip.or_else(|| mac(text).map(Self::Mac))
    }
}

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct RawTab {
    pub(super) node: Option<At<String>>,
    pub(super) cluster: Option<At<u16>>,
    pub(super) links: Vec<RawLink>,
    /// Tags of lines that are wrong: what refers to them is not to blame.
    pub(super) broken_tags: Vec<String>,
    pub(super) addrs: Vec<RawAddr>,
    pub(super) excluded: NodeSet,
    /// The `exclude` words.
    pub(super) excludes: Vec<At<NodeSet>>,
    pub(super) timers: Timers,
    /// Where a timer was set, by its name.
    pub(super) timers_set: BTreeMap<&'static str, Range<usize>>,
    pub(super) flow: Flow,
    pub(super) flow_set: BTreeMap<&'static str, Range<usize>>,
    pub(super) broadcast_heartbeats: Option<bool>,
    pub(super) discover: Option<bool>,
    pub(super) checksum: Option<u8>,
    pub(super) verbose: Option<bool>,
    pub(super) links_min: Option<At<u8>>,
    pub(super) started: Option<Range<usize>>,
    pub(super) warnings: Vec<Warning>,
}

/// One line and where to complain.
pub(super) struct Line<'a, 'p> {
    pub(super) source: &'a Source,
    pub(super) words: &'p [Word<'a>],
    pub(super) problems: &'p mut Vec<Problem>,
    pub(super) warnings: &'p mut Vec<Warning>,
}

impl<'a> Line<'a, '_> {
    /// The word at `index`, or a complaint that `expected` is missing.
    pub(super) fn word(&mut self, index: usize, expected: &str) -> Option<Word<'a>> {
        let word = self.words.get(index).copied();
        if word.is_none() {
            let end = self.words[self.words.len() - 1].span().end;
            let message = texts::incomplete(self.words[0].text);
            let label = texts::word_missing(expected);
            self.problems.push(Problem::new(self.source, end..end, message, label));
        }
        word
    }

    /// A complaint about `word`.
    pub(super) fn wrong(&mut self, word: Word<'_>, expected: impl Into<String>) {
        self.complain(word, texts::not_here(word.text), expected);
    }

    /// The same with another message.
    pub(super) fn complain(&mut self, word: Word<'_>, message: String, label: impl Into<String>) {
        self.problems.push(Problem::new(self.source, word.span(), message, label));
    }

    /// Complains about words beyond the first `count`.
    pub(super) fn ends_after(&mut self, count: usize) {
        if let Some(&extra) = self.words.get(count) {
            let message = texts::line_ends(self.words[0].text);
            self.complain(extra, message, texts::nothing_expected());
        }
    }

    /// Accepts `word`, and says what about it.
    pub(super) fn warn(&mut self, word: Word<'_>, text: String) {
        self.warnings.push(Warning::new(self.source, word.start, text));
    }
}

pub(super) fn parse(source: &Source, problems: &mut Vec<Problem>) -> RawTab {
    problems.extend(source.encoding_problem());
    let mut tab = RawTab::default();
    let mut warnings = Vec::new();
    for words in words(source.text()) {
        if let Some(start) = &tab.started {
            let at = words[0].span();
            let problem = Problem::new(source, at, texts::start_not_last(), texts::start_line());
            problems.push(problem.and(start.clone(), texts::start_last()));
            break;
        }
        let warnings = &mut warnings;
        directives::line(&mut Line { source, words: &words, problems, warnings }, &mut tab);
    }
    tab.warnings = warnings;
    tab
}

//! What is wrong with a configuration file, and where.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

use crate::llttab::texts;

/// The text of one file, with the name to show.
#[derive(Clone, Debug)]
pub struct Source {
    name: String,
    text: Arc<str>,
    invalid_at: Option<usize>,
}

impl Source {
    /// A file's bytes. Bytes that are no UTF-8 are shown as U+FFFD, and reported by the lexer.
    pub fn new(name: impl Into<String>, bytes: &[u8]) -> Self {
        let invalid_at = std::str::from_utf8(bytes).err().map(|error| error.valid_up_to());
        let mut text = String::from_utf8_lossy(bytes).into_owned();
        if !text.ends_with('\n') {
            // A place at the end of the last line is shown only if the line ends.
            text.push('\n');
        }
        Self { name: name.into(), text: text.into(), invalid_at }
    }

    /// The name to show.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A problem if the bytes were no UTF-8.
    pub fn encoding_problem(&self) -> Option<Problem> {
        let at = self.invalid_at?;
        let end = self.text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
        Some(Problem::new(self, at..end, texts::bytes_wrong(), texts::bytes_expected()))
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    pub fn position(&self, at: usize) -> (usize, usize) {
        let before = &self.text[..at.min(self.text.len())];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// One thing that is wrong: file, place, what, and what was expected.
#[derive(Clone, Debug)]
pub struct Problem {
    source: NamedSource<Arc<str>>,
    position: (usize, usize),
    message: String,
    labels: Vec<LabeledSpan>,
    help: Option<String>,
}

impl Problem {
    /// A problem at `at`; `label` says there what was expected.
    pub fn new(
        source: &Source,
        at: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Self {
            source: NamedSource::new(&source.name, source.text.clone()),
            position: source.position(at.start),
            message: message.into(),
            labels: vec![LabeledSpan::new_primary_with_span(Some(label.into()), at)],
            help: None,
        }
    }

    /// Points to a second place in the same file.
    #[must_use]
    pub fn and(mut self, at: Range<usize>, label: impl Into<String>) -> Self {
        self.labels.push(LabeledSpan::new_with_span(Some(label.into()), at));
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Line and column, both from 1.
    pub fn position(&self) -> (usize, usize) {
        self.position
    }

    /// Is it about this file?
    pub(super) fn is_in(&self, source: &Source) -> bool {
        self.source.name() == source.name
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message.fmt(f)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// Everything that is wrong.
#[derive(Clone, Debug)]
pub struct ConfigErrors {
    problems: Vec<Problem>,
}

impl ConfigErrors {
    /// Sorted by place within each file, in the order in which the files were read.
    pub fn new(problems: Vec<Problem>) -> Self {
        let mut names: Vec<String> = Vec::new();
        for problem in &problems {
            if !names.iter().any(|name| name == problem.source.name()) {
                names.push(problem.source.name().to_owned());
            }
        }
        let mut problems = problems;
        problems.sort_by_key(|problem| {
            (names.iter().position(|name| name == problem.source.name()), problem.position)
        });
        Self { problems }
    }

    /// Adds those of another file.
    pub fn append(&mut self, mut other: Self) {
        self.problems.append(&mut other.problems);
    }

    /// One by one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => f.write_str("the configuration has an error"),
            count => write!(f, "the configuration has {count} errors"),
        }
    }
}

impl std::error::Error for ConfigErrors {}

impl Diagnostic for ConfigErrors {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}

/// A line that was accepted, but is worth a word.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Warning {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What and why.
    pub text: String,
}

impl Warning {
    /// A warning about the byte at `at`.
    pub fn new(source: &Source, at: usize, text: impl Into<String>) -> Self {
        Self { file: source.name.clone(), line: source.position(at).0, text: text.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.text)
    }
}

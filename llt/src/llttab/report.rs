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
    /// Where each line begins, ascending.
    line_starts: Arc<[usize]>,
    excess: Option<Excess>,
    invalid: Option<Invalid>,
}

/// More than anybody writes by hand, and than a report can show.
#[derive(Clone, Copy, Debug)]
enum Excess {
    File,
    /// The line that begins there.
    Line(usize),
}

/// What is no text.
#[derive(Clone, Copy, Debug)]
enum Invalid {
    Control(usize),
    Encoding(usize),
}

impl Source {
    /// A file's bytes, of which only the first MiB is kept, and only the beginning of a line over
    /// 4 KiB: [`Source::size_problem`] reports both. What is no UTF-8, and control characters, which
    /// would reach the terminal with a report, are U+FFFD in the text;
    /// [`Source::encoding_problem`] reports the first.
    pub fn new(name: impl Into<String>, bytes: &[u8]) -> Self {
        let mut excess = (bytes.len() > FILE_MAX).then_some(Excess::File);
        let bytes = &bytes[..bytes.len().min(FILE_MAX)];
        let mut invalid =
            std::str::from_utf8(bytes).err().map(|error| Invalid::Encoding(error.valid_up_to()));
        let mut text = String::with_capacity(bytes.len() + 1);
        let mut line_starts = Vec::new();
        for line in String::from_utf8_lossy(bytes).split_inclusive('\n') {
            let start = text.len();
            line_starts.push(start);
            let content = line.strip_suffix('\n').unwrap_or(line);
            let content = content.strip_suffix('\r').unwrap_or(content);
            let shown = if line.len() > LINE_MAX {
                excess.get_or_insert(Excess::Line(start));
                CUT_LINE_CHARS
            } else {
                LINE_MAX
            };
            for c in content.chars().take(shown) {
                let is_control = c.is_control() && c != '\t';
                // Up to the first thing that is wrong, places in bytes and text are the same.
                if is_control && invalid.is_none_or(|invalid| text.len() < invalid.at()) {
                    invalid = Some(Invalid::Control(text.len()));
                }
                text.push(if is_control { char::REPLACEMENT_CHARACTER } else { c });
            }
            // A place at the end of the last line is shown only if the line ends.
            text.push_str(if line.ends_with('\n') { &line[content.len()..] } else { "\n" });
        }
        if text.is_empty() {
            text.push('\n');
        }
        Self {
            name: name.into(),
            text: text.into(),
            line_starts: line_starts.into(),
            excess,
            invalid: invalid.filter(|_| excess.is_none()),
        }
    }

    /// The name to show.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A problem if the bytes were no UTF-8, or had control characters other than tabs and line
    /// ends among them.
    pub fn encoding_problem(&self) -> Option<Problem> {
        let invalid = self.invalid?;
        let label = match invalid {
            Invalid::Control(_) => texts::bytes_control(),
            Invalid::Encoding(_) => texts::bytes_expected(),
        };
        Some(self.problem_at(invalid.at(), texts::bytes_wrong(), label))
    }

    /// A problem if the file is over 1 MiB, or one of its lines over 4 KiB. Nothing else that can be
    /// said of such a file means anything, for the rest is not there.
    pub fn size_problem(&self) -> Option<Problem> {
        Some(match self.excess? {
            Excess::File => {
                let (message, label) =
                    (texts::file_long(FILE_MAX), texts::file_long_expected(FILE_MAX));
                self.problem_at(0, message, label)
            }
            Excess::Line(at) => {
                let (message, label) =
                    (texts::line_long(LINE_MAX), texts::line_long_expected(LINE_MAX));
                self.problem_at(at, message, label)
            }
        })
    }

    fn problem_at(&self, at: usize, message: String, label: String) -> Problem {
        let end = self.text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
        Problem::new(self, at..end, message, label)
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    pub fn position(&self, at: usize) -> (usize, usize) {
        let at = at.min(self.text.len());
        let line = self.line_starts.partition_point(|&start| start <= at).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or_default();
        (line, self.text[start..at].chars().count() + 1)
    }
}

impl Invalid {
    const fn at(self) -> usize {
        match self {
            Self::Control(at) | Self::Encoding(at) => at,
        }
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

/// Everything that is wrong. A report shows the first twenty.
#[derive(Clone, Debug)]
pub struct ConfigErrors {
    problems: Vec<Problem>,
    more: Option<More>,
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
        let more = More::of(&problems);
        Self { problems, more }
    }

    /// Adds those of another file.
    pub fn append(&mut self, mut other: Self) {
        self.problems.append(&mut other.problems);
        self.more = More::of(&self.problems);
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
        let shown = self.problems.iter().take(PROBLEMS_SHOWN);
        let shown = shown.map(|problem| problem as &dyn Diagnostic);
        Some(Box::new(shown.chain(self.more.as_ref().map(|more| more as &dyn Diagnostic))))
    }
}

/// Stands in a report for the problems that it does not show.
#[derive(Clone, Copy, Debug)]
struct More(usize);

impl More {
    fn of(problems: &[Problem]) -> Option<Self> {
        let count = problems.len().saturating_sub(PROBLEMS_SHOWN);
        (count > 0).then_some(Self(count))
    }
}

impl fmt::Display for More {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "and {} more", self.0)
    }
}

impl std::error::Error for More {}

impl Diagnostic for More {}

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

/// The longest file, in bytes. With 128 nodes and eight links, llttab has 40 KiB.
const FILE_MAX: usize = 1 << 20;
/// The longest line, in bytes. A report cannot point beyond column 65,535.
const LINE_MAX: usize = 4096;
/// What is kept of a longer one.
const CUT_LINE_CHARS: usize = 60;
/// Problems in a report: more than that is another file, given by mistake.
const PROBLEMS_SHOWN: usize = 20;

//! The columns (facts 3.16; those of `-f` other than `s` are of the same kind).

use cvm::stats::{Counters, ObjectStats, Ops};

use super::Fields;
use super::objects::Object;

/// Some columns that belong together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Field {
    AtomicCopies,
    Corrected,
    Failed,
    Outstanding,
    ReadWritebacks,
    Slowest,
    Standard,
    Verified,
}

impl Field {
    fn of(letter: char) -> Result<Self, String> {
        match letter {
            'a' => Ok(Self::AtomicCopies),
            'b' => Ok(Self::ReadWritebacks),
            'c' => Ok(Self::Corrected),
            'f' => Ok(Self::Failed),
            'm' => Ok(Self::Slowest),
            'o' => Ok(Self::Outstanding),
            's' => Ok(Self::Standard),
            'v' => Ok(Self::Verified),
            '0' | 'O' => Err(format!("{letter} has no meaning here: there is no RAID-5")),
            'w' => Err("w is not in this version".to_owned()),
            _ => Err(format!("\"{letter}\" is no field: expected some of abcfmosv")),
        }
    }

    /// What stands above the names of its columns.
    const fn title(self) -> &'static str {
        match self {
            Self::AtomicCopies => "           ATOMIC COPIES",
            Self::Corrected => "       CORRECTED",
            Self::Failed => "         FAILED",
            Self::Outstanding => "      OUTSTANDING",
            Self::ReadWritebacks => "          READ-WRITEBACK",
            Self::Slowest => "  MAX TIME(ms)",
            Self::Standard => "    OPERATIONS           BLOCKS           AVG TIME(ms)",
            Self::Verified => "    VERIFIED             BLOCKS           AVG TIME(ms)",
        }
    }

    /// Names and widths of its columns.
    const fn columns(self) -> &'static [(&'static str, usize)] {
        match self {
            Self::AtomicCopies | Self::ReadWritebacks => {
                &[("OPS", 8), ("BLOCKS", 10), ("AVG(ms)", 8)]
            }
            Self::Corrected | Self::Failed => &[("READS", 8), ("WRITES", 8)],
            Self::Outstanding => &[("OPS", 8), ("OLDEST(ms)", 11)],
            Self::Slowest => &[("READ", 8), ("WRITE", 8)],
            Self::Standard | Self::Verified => &[
                ("READ", 8),
                ("WRITE", 10),
                ("READ", 10),
                ("WRITE", 10),
                ("READ", 7),
                ("WRITE", 7),
            ],
        }
    }

    fn values(self, ObjectStats { counters, outstanding, .. }: &ObjectStats) -> Vec<String> {
        let Counters { reads, writes, atomic_copies, read_writebacks, .. } = counters;
        let copies = |ops: &Ops| vec![ops.ops.to_string(), ops.sectors.to_string(), mean(ops)];
        let pair = |reads: u64, writes: u64| vec![reads.to_string(), writes.to_string()];
        let both = |reads: &Ops, writes: &Ops| {
            let counts = [reads.ops, writes.ops, reads.sectors, writes.sectors];
            let counts = counts.iter().map(ToString::to_string);
            counts.chain([mean(reads), mean(writes)]).collect()
        };
        match self {
            Self::AtomicCopies => copies(atomic_copies),
            Self::Corrected => pair(counters.corrected_reads, 0),
            Self::Failed => pair(counters.failed_reads, counters.failed_writes),
            Self::Outstanding => {
                vec![outstanding.ops.to_string(), millis(outstanding.oldest_micros)]
            }
            Self::ReadWritebacks => copies(read_writebacks),
            Self::Slowest => vec![millis(reads.max_micros), millis(writes.max_micros)],
            Self::Standard => both(reads, writes),
            Self::Verified => both(&Ops::default(), &Ops::default()),
        }
    }
}

/// `-f`: at least one letter.
pub(super) fn fields(text: &str) -> Result<Fields, String> {
    if text.is_empty() {
        return Err("expected some of abcfmosv".to_owned());
    }
    text.chars().map(Field::of).collect()
}

/// The two lines above all others.
pub(super) fn header(fields: &Fields) -> String {
    let (mut titles, mut names) = (String::new(), format!("{:<NAMES$}", "TYP NAME"));
    for field in fields {
        let begin = names.len();
        titles = format!("{titles:<begin$}");
        // A title may reach into the columns that follow.
        let reached = titles.len() - begin;
        titles += field.title().get(reached..).unwrap_or_default();
        for (name, width) in field.columns() {
            names += &format!("{name:>width$}");
        }
    }
    format!("{titles}\n{names}\n")
}

/// An object.
pub(super) fn line(fields: &Fields, object: &Object<'_>, stats: &ObjectStats) -> String {
    let width = NAMES - 5;
    let mut line = format!("{:<3} {:<width$} ", object.kind, object.name.as_str());
    for field in fields {
        let mut columns = field.columns().iter();
        for value in field.values(stats) {
            // What is wider than its column still stands apart from the one before.
            let width = columns.next().map_or(0, |(_, width)| *width - 1);
            line += &format!(" {value:>width$}");
        }
    }
    line + "\n"
}

/// How long one took on average.
fn mean(ops: &Ops) -> String {
    millis(ops.micros.checked_div(ops.ops).unwrap_or(0))
}

/// Milliseconds, with tenths.
fn millis(micros: u64) -> String {
    let tenths = micros.saturating_add(50) / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// The columns of the kind and the name.
const NAMES: usize = 18;

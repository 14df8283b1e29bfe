//! The incarnation of a node: greater at every start (protocols.md, precise rule 1).

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::ids::Incarnation;
use crate::io::Clock;

/// A fresh incarnation.
#[derive(Debug)]
pub struct Fresh {
    /// The greater of the stored value + 1 and the wall clock in nanoseconds; the wall clock alone
    /// if the stored value could not be read.
    pub incarnation: Incarnation,
    /// Set if the value could not be read or stored: the next start has only the wall clock to be
    /// newer by, and somebody should know.
    pub alarm: Option<IncarnationError>,
}

/// Why an incarnation could not be read or stored.
#[derive(Debug, thiserror::Error)]
pub enum IncarnationError {
    /// The file holds something else than one decimal number.
    #[error("{}: expected one decimal number, found {text:?}", path.display())]
    Garbage {
        /// The file.
        path: PathBuf,
        /// Its beginning.
        text: String,
    },
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file could not be written; what it held before is still there.
    #[error("cannot store {}: {source}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Takes the next incarnation and stores it in `path` (atomically: the old or the new value is
/// there, whatever dies in between).
pub fn next(path: &Path, clock: Clock) -> Fresh {
    let wall = clock.wall_nanos();
    let (stored, mut alarm) = match read(path) {
        Ok(stored) => (stored, None),
        Err(error) => (None, Some(error)),
    };
    let value = stored.map_or(wall, |stored| wall.max(stored.saturating_add(1)));
    if let Err(source) = store(path, value) {
        alarm.get_or_insert_with(|| IncarnationError::Store { path: path.to_owned(), source });
    }
    Fresh { incarnation: Incarnation(value), alarm }
}

/// The stored value, `None` if there is no file yet.
fn read(path: &Path) -> Result<Option<u64>, IncarnationError> {
    let text = match fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(IncarnationError::Read { path: path.to_owned(), source }),
    };
    text.trim().parse().map(Some).map_err(|_| IncarnationError::Garbage {
        path: path.to_owned(),
        text: text.chars().take(40).collect(),
    })
}

fn store(path: &Path, value: u64) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    fs::create_dir_all(folder)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = File::create(&beside)?;
    writeln!(file, "{value}")?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    // The rename itself must survive a power failure, too.
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_start_is_greater_even_if_the_clock_went_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("var/incarnation");
        let first = next(&path, Clock::new());
        assert!(first.alarm.is_none(), "{:?}", first.alarm);
        // A stored value far in the future is what a clock that was set back leaves.
        fs::write(&path, "9000000000000000000\n").unwrap();
        let second = next(&path, Clock::new());
        assert_eq!(second.incarnation, Incarnation(9_000_000_000_000_000_001));
        assert_eq!(next(&path, Clock::new()).incarnation, Incarnation(9_000_000_000_000_000_002));
    }

    #[test]
    fn what_cannot_be_read_or_stored_is_an_alarm_and_the_wall_clock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("incarnation");
        fs::write(&path, "seven").unwrap();
        let fresh = next(&path, Clock::new());
        assert!(fresh.incarnation.0 > 1_577_836_800_000_000_000);
        assert!(matches!(fresh.alarm, Some(IncarnationError::Garbage { .. })));
        // The parent is a file: nothing can be stored below it.
        let fresh = next(&path.join("below"), Clock::new());
        assert!(fresh.alarm.is_some());
    }
}

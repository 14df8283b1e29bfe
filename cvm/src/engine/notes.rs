//! What volumes tell of errors of disks, as lines of the log: whose blocks they are, and where (facts
//! 3.18).
//!
//! A volume says which plex an error is of, and where it was on the disk. Columns of a plex lie at equal
//! places of several disks, so the subdisk is looked up while the disk is still known: when its answer
//! comes.

use std::collections::VecDeque;
use std::fmt;

use super::VolumeNumber;
use crate::model::{Name, Sectors};
use crate::volume::{OpId, Volume, VolumeMap, VolumeNote};

/// What disks did not do last.
#[derive(Debug, Default)]
pub(super) struct Faults(VecDeque<Fault>);

#[derive(Debug)]
struct Fault {
    volume: VolumeNumber,
    /// Where it was on the disk, as the volume will say it.
    at: Sectors,
    len: Sectors,
    place: Place,
}

/// Blocks of a subdisk, by the records that they belong to.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Place {
    subdisk: Name,
    plex: Name,
    /// Of the volume, or of a layer of it.
    volume: Name,
    /// From this sector of the subdisk on.
    start: Sectors,
    len: Sectors,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subdisk, plex, volume, start, len } = self;
        write!(f, "{subdisk} of mirror {plex} in volume {volume} (start {start}, length {len})")
    }
}

impl Faults {
    /// A disk did not do what it was told, and the volume is about to hear that. What is done to logs no
    /// volume tells of.
    pub(super) fn remember(&mut self, number: VolumeNumber, volume: &Volume, op: OpId) {
        let Some(placed) = volume.place(op) else { return };
        let map = volume.map();
        let (at, len) = (placed.op.at, placed.op.len);
        let place = placed.plex.zip(placed.subdisk).and_then(|(plex, subdisk)| {
            let (plex, subdisk) = (map.plex(plex), map.subdisks().get(subdisk.0)?);
            let (_, begin) = subdisk.place?;
            Some(Place {
                subdisk: subdisk.name.clone(),
                plex: plex.name.clone(),
                volume: map.mirror(plex.mirror).name.clone(),
                start: at.saturating_sub(begin),
                len,
            })
        });
        let Some(place) = place else { return };
        if self.0.len() >= FAULTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Fault { volume: number, at, len, place });
    }

    fn place(
        &self,
        number: VolumeNumber,
        plex: &Name,
        at: Sectors,
        len: Sectors,
    ) -> Option<&Place> {
        let is_it = |fault: &&Fault| {
            (fault.volume, fault.at, fault.len) == (number, at, len) && fault.place.plex == *plex
        };
        self.0.iter().rfind(is_it).map(|fault| &fault.place)
    }

    /// The line of a note.
    fn line(&self, number: VolumeNumber, note: &VolumeNote) -> String {
        let (VolumeNote::Corrected { plex, at, len }
        | VolumeNote::ReadFailed { plex, at, len }
        | VolumeNote::WriteFailed { plex, at, len }) = note;
        // So many have failed meanwhile that this one is forgotten: the plex is known.
        let place = self.place(number, plex, *at, *len).map_or_else(
            || format!("{plex} (sector {at} of its disk, length {len})"),
            Place::to_string,
        );
        match note {
            VolumeNote::Corrected { .. } => {
                format!("V-5-0-252 read error on object {place} corrected.")
            }
            VolumeNote::ReadFailed { .. } => format!("read error on object {place}"),
            VolumeNote::WriteFailed { .. } => format!("write error on object {place}"),
        }
    }

    /// One event, one line.
    pub(super) fn tell(&self, number: VolumeNumber, map: &VolumeMap, note: &VolumeNote) {
        let line = self.line(number, note);
        let group = map.home().map_or("-", |home| home.name.as_str());
        match note {
            VolumeNote::Corrected { .. } => tracing::info!(group, "{line}"),
            VolumeNote::ReadFailed { .. } | VolumeNote::WriteFailed { .. } => {
                tracing::warn!(group, "{line}");
            }
        }
    }
}

/// Errors that are kept: a note follows as soon as all disks of its request have answered, a correction
/// when another plex was read.
const FAULTS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::volume::{Request, RequestId, Rules, VolumeOutput, What};

    const NUMBER: VolumeNumber = VolumeNumber(3);

    /// A read of a volume with two plexes, and the lines that are told when its first disk fails and
    /// all others do not.
    fn lines(at: Sectors, len: Sectors) -> Vec<String> {
        let map = VolumeMap::new(&crate::model::sample::group(), "vol1").unwrap();
        let rules = Rules { is_alone: true, is_marked: true, ..Rules::default() };
        let mut volume = Volume::new(Arc::new(map), rules);
        volume.submit(Request { id: RequestId(7), what: What::Read, at, len });
        let (mut faults, mut lines, mut is_done) = (Faults::default(), Vec::new(), false);
        while let Some(output) = volume.poll_output() {
            match output {
                VolumeOutput::Disk(op) => {
                    if !is_done {
                        faults.remember(NUMBER, &volume, op.id);
                    }
                    volume.handle_done(op.id, is_done);
                    is_done = true;
                }
                VolumeOutput::Note(note) => lines.push(faults.line(NUMBER, &note)),
                _ => {}
            }
        }
        lines
    }

    /// Facts 3.18.
    #[test]
    fn an_error_names_the_subdisk_the_plex_and_the_volume() {
        // The striped plex is preferred: the second column lies where the first one does, elsewhere.
        let place = "mydg03-01 of mirror vol1-02 in volume vol1 (start 8, length 16)";
        let expected = [
            format!("read error on object {place}"),
            format!("V-5-0-252 read error on object {place} corrected."),
        ];
        assert_eq!(lines(128 + 8, 16), expected);
    }

    #[test]
    fn of_an_error_that_is_forgotten_the_plex_is_named() {
        let plex = crate::model::sample::name("vol1-02");
        let note = VolumeNote::WriteFailed { plex, at: 8, len: 16 };
        let line = Faults::default().line(NUMBER, &note);
        assert_eq!(line, "write error on object vol1-02 (sector 8 of its disk, length 16)");
    }
}

//! Where backups of configurations lie, and what is in them (facts 4.4).
//!
//! `<folder>/<dg>.<dgid>/<dgid>.{dginfo,diskinfo,binconfig,cfgrec}`; older ones have `.1` (the one
//! before) to `.4` at the end of their names. What a restoration needs is in `cfgrec` alone, which is
//! written last.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use cvm::model::text::write_group;
use cvm::model::{Copies, UniqueId};
use cvm::snapshot::GroupSnapshot;

use crate::common::{Failure, Root};

/// How many are kept, the newest included.
const KEPT: usize = 5;

/// The folder that has one for each group.
pub(in crate::vx) fn base(root: &Root, given: Option<&Path>) -> PathBuf {
    given.map_or_else(|| root.path().join("etc/vx/cbr/bk"), Path::to_path_buf)
}

/// The backup of one group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::vx) struct Backup {
    /// Its folder.
    pub(in crate::vx) folder: PathBuf,
    /// The group's identity.
    pub(in crate::vx) id: UniqueId,
}

impl Backup {
    /// Of this group.
    pub(super) fn of(base: &Path, name: &str, id: &UniqueId) -> Self {
        Self { folder: base.join(format!("{name}.{id}")), id: id.clone() }
    }

    /// Finds that of a group by its name or id.
    ///
    /// # Errors
    /// If there is none, or several groups had the name.
    pub(in crate::vx) fn find(base: &Path, wanted: &str) -> Result<Self, Failure> {
        let cannot = |e: std::io::Error| Failure::operation(format!("{}: {e}", base.display()));
        let mut found = Vec::new();
        let entries = match std::fs::read_dir(base) {
            Ok(entries) => entries.collect::<Result<Vec<_>, _>>().map_err(cannot)?,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(cannot(error)),
        };
        for entry in entries {
            let folder = entry.file_name();
            let Some((name, id)) = folder.to_str().and_then(name_and_id) else { continue };
            if name == wanted || id.to_string() == wanted {
                found.push(Self { folder: entry.path(), id });
            }
        }
        found.sort_by(|a, b| a.folder.cmp(&b.folder));
        match found.as_slice() {
            [backup] => Ok(backup.clone()),
            [] => {
                let text =
                    format!("there is no backup of disk group {wanted} in {}", base.display());
                Err(Failure::operation(text))
            }
            several => {
                let ids: Vec<String> = several.iter().map(|one| one.id.to_string()).collect();
                let ids = ids.join(", ");
                let text =
                    format!("several groups were called {wanted}: name one by its id: {ids}");
                Err(Failure::operation(text))
            }
        }
    }

    /// The file of a kind.
    pub(in crate::vx) fn file(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("{}.{kind}", self.id))
    }

    /// Writes a file of it as a whole.
    ///
    /// # Errors
    /// If it cannot be written; what was there before still is.
    pub(in crate::vx) fn write(&self, kind: &str, text: &str) -> Result<(), Failure> {
        let path = self.file(kind);
        let cannot = |e: std::io::Error| Failure::operation(format!("{}: {e}", path.display()));
        std::fs::create_dir_all(&self.folder).map_err(cannot)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).map_err(cannot)?;
        file.write_all(text.as_bytes()).map_err(cannot)?;
        file.as_file().sync_all().map_err(cannot)?;
        file.persist(&path).map_err(|error| cannot(error.error))?;
        Ok(())
    }

    /// Writes all files of a group; the ones before get a number. False if the configuration is the
    /// one that was written last.
    ///
    /// # Errors
    /// If something cannot be written.
    pub(super) fn save(&self, group: &GroupSnapshot) -> Result<bool, Failure> {
        let [.., (kind, text)] = &contents(group)?;
        if std::fs::read(self.file(kind)).is_ok_and(|before| before == text.as_bytes()) {
            return Ok(false);
        }
        for (kind, text) in contents(group)? {
            self.age(kind)?;
            self.write(kind, &text)?;
        }
        Ok(true)
    }

    /// Makes way for a newer file; the newest one stays where it is until it is replaced.
    fn age(&self, kind: &str) -> Result<(), Failure> {
        let path = self.file(kind);
        let aged = |number: usize| PathBuf::from(format!("{}.{number}", path.display()));
        let ignore_missing = |result: std::io::Result<()>| match result {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Failure::operation(format!("{}: {error}", path.display())))
            }
            Ok(()) | Err(_) => Ok(()),
        };
        for number in (1..KEPT - 1).rev() {
            ignore_missing(std::fs::rename(aged(number), aged(number + 1)))?;
        }
        ignore_missing(std::fs::hard_link(&path, aged(1)))
    }
}

/// `mydg.1283432345.33.host1`: names have dots as well.
fn name_and_id(folder: &str) -> Option<(&str, UniqueId)> {
    let dots = folder.match_indices('.').map(|(at, _)| at);
    // A host's name has none: only one of them begins an id.
    dots.filter_map(|at| Some((&folder[..at], folder[at + 1..].parse().ok()?))).next_back()
}

/// What the files say, in the order in which they are written.
fn contents(snapshot: &GroupSnapshot) -> Result<[(&'static str, String); 4], Failure> {
    let json = serde_json::to_string_pretty(snapshot).map_err(|e| Failure::because(&e))?;
    Ok([
        ("dginfo", dginfo(snapshot)),
        ("diskinfo", diskinfo(snapshot)),
        ("binconfig", json + "\n"),
        ("cfgrec", write_group(&snapshot.group)),
    ])
}

fn dginfo(snapshot: &GroupSnapshot) -> String {
    let group = &snapshot.group;
    let copies = |copies: Copies| match copies {
        Copies::All => "all".to_owned(),
        Copies::Count(count) => count.to_string(),
        Copies::Default => "default".to_owned(),
    };
    let flags = [(group.is_shared(), "shared"), (group.cds, "cds")];
    let flags: Vec<&str> = flags.iter().filter(|(on, _)| *on).map(|(_, flag)| *flag).collect();
    let (nconfig, nlog) = (copies(group.nconfig), copies(group.nlog));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(text, "Group: {}\ndgid: {}", group.name, group.id);
    let _ = writeln!(text, "flags: {}\nversion: {}", flags.join(" "), group.version);
    let _ = writeln!(text, "detach-policy: {}", group.detach_policy);
    let _ = writeln!(text, "dg-fail-policy: {}", group.fail_policy);
    let _ = writeln!(text, "copies: nconfig={nconfig} nlog={nlog}");
    let GroupSnapshot { tid, config_blocks, config_free, .. } = snapshot;
    let _ = writeln!(text, "config: seqno={tid} permlen={config_blocks} free={config_free}");
    let (disks, volumes) = (group.disks.len(), group.volumes.len());
    let _ = writeln!(text, "records: disks={disks} volumes={volumes}");
    text
}

/// Access name, dm name, disk id; `-` for a disk that is not there.
fn diskinfo(snapshot: &GroupSnapshot) -> String {
    let mut text = String::new();
    for (name, disk) in &snapshot.group.disks {
        let access = if disk.access.is_empty() { "-" } else { &disk.access };
        let id = disk.disk.as_ref().map_or_else(|| "-".to_owned(), UniqueId::to_string);
        let _ = writeln!(text, "{access} {name} {id}");
    }
    text
}

#[cfg(test)]
mod tests {
    use cvm::model::text::read_group;

    use super::*;
    use crate::golden;
    use crate::vx::vxconfigbackup::sample;

    #[test]
    fn four_files_describe_a_group() {
        for (kind, text) in contents(&sample::group()).unwrap() {
            match kind {
                "dginfo" => golden::check("vxconfigbackup-dginfo", &text),
                "diskinfo" => golden::check("vxconfigbackup-diskinfo", &text),
                "cfgrec" => assert_eq!(read_group(&text).unwrap(), sample::group().group),
                _ => {
                    let back: GroupSnapshot = serde_json::from_str(&text).unwrap();
                    assert_eq!(back, sample::group());
                }
            }
        }
    }

    #[test]
    fn the_newest_five_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut group = sample::group();
        let backup = Backup::of(folder.path(), "mydg", &group.group.id);
        for minors in 1..=7 {
            group.group.minors = minors;
            assert!(backup.save(&group).unwrap());
        }
        assert!(!backup.save(&group).unwrap(), "nothing is new");
        let minors = |suffix: &str| {
            let text = std::fs::read_to_string(backup.file(&format!("cfgrec{suffix}"))).unwrap();
            read_group(&text).unwrap().minors
        };
        assert_eq!(["", ".1", ".2", ".3", ".4"].map(minors), [7, 6, 5, 4, 3]);
        assert_eq!(std::fs::read_dir(&backup.folder).unwrap().count(), 4 * KEPT);
    }

    #[test]
    fn a_backup_is_found_by_name_and_by_id() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["my.dg.1283432345.33.host1", "other.1.1.a", "other.2.1.b", "lost+found"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let find = |wanted| Backup::find(folder.path(), wanted).map_err(|error| error.to_string());
        let id = "1283432345.33.host1";
        assert_eq!(find("my.dg").unwrap().id.to_string(), id);
        assert_eq!(find(id), find("my.dg"));
        assert!(find("other").unwrap_err().ends_with("by its id: 1.1.a, 2.1.b"));
        assert!(find("mydg").unwrap_err().starts_with("there is no backup of disk group mydg"));
        assert!(Backup::find(&folder.path().join("none"), "mydg").is_err());
    }
}

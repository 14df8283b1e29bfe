//! `etc/vx/volboot`: 512 bytes of text that say who this host is to CVM (facts 3.12).

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use crate::model::Name;

/// Length of the file.
const LEN: usize = 512;
const FORMAT: &str = "3/1";

/// What stands in it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Volboot {
    /// Raised by each change.
    pub seqno: u32,
    /// `hostid`; else the host's name is taken.
    pub host: Option<Name>,
    /// `defaultdg`
    pub default_group: Option<Name>,
}

/// Why it cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum VolbootError {
    /// The system says so.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// It says something else than it should.
    #[error("{path}:{what}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, and what was expected.
        what: String,
    },
}

fn path(root: &Path) -> PathBuf {
    root.join("etc/vx/volboot")
}

/// What stands in the file; nothing if there is none.
///
/// # Errors
/// If it cannot be read, or says something else.
pub fn read(root: &Path) -> Result<Volboot, VolbootError> {
    let path = path(root);
    match fs::read_to_string(&path) {
        Ok(text) => parse(&text).map_err(|what| VolbootError::Wrong { path, what }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Volboot::default()),
        Err(source) => Err(VolbootError::Io { path, source }),
    }
}

/// Writes it as a whole, one number higher.
///
/// # Errors
/// If it cannot be written; the old one is still there then.
pub fn write(root: &Path, volboot: &Volboot) -> Result<(), VolbootError> {
    let path = path(root);
    let next = Volboot { seqno: volboot.seqno + 1, ..volboot.clone() };
    let new = path.with_extension("new");
    let written = || {
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        let mut file = File::create(&new)?;
        file.write_all(text(&next).as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)
    };
    written().map_err(|source| VolbootError::Io { path: path.clone(), source })
}

fn text(volboot: &Volboot) -> String {
    let mut text = format!("volboot {FORMAT} 0.{}\n", volboot.seqno);
    if let Some(host) = &volboot.host {
        let _ = writeln!(text, "hostid {host}");
    }
    if let Some(group) = &volboot.default_group {
        let _ = writeln!(text, "defaultdg {group}");
    }
    text += "end\n";
    let padding = LEN.saturating_sub(text.len() + 1);
    text += &"#".repeat(padding);
    text + "\n"
}

fn parse(text: &str) -> Result<Volboot, String> {
    let mut volboot = Volboot::default();
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim_end()));
    let seqno = lines.next().and_then(|(_, line)| {
        let number = line.strip_prefix("volboot ")?.split_once(' ')?.1.split(' ').next()?;
        number.strip_prefix("0.")?.parse().ok()
    });
    volboot.seqno = seqno.ok_or_else(|| format!("1: expected \"volboot {FORMAT} 0.<number>\""))?;
    for (at, line) in lines {
        let value = |text: &str| Name::new(text).map(Some).map_err(|e| format!("{at}: {e}"));
        match line.split_once(' ') {
            _ if line == "end" => return Ok(volboot),
            Some(("hostid", host)) => volboot.host = value(host)?,
            Some(("defaultdg", group)) => volboot.default_group = value(group)?,
            _ => return Err(format!("{at}: \"{line}\": expected hostid, defaultdg or end")),
        }
    }
    Err("the line \"end\" is missing".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let full = Volboot {
            seqno: 19,
            host: Name::new("giga").ok(),
            default_group: Name::new("mydg").ok(),
        };
        for volboot in [Volboot::default(), full] {
            assert_eq!(text(&volboot).len(), LEN);
            assert_eq!(parse(&text(&volboot)), Ok(volboot));
        }
    }

    #[test]
    fn what_is_no_volboot_is_told_with_its_line() {
        for (wrong, expected) in [
            ("", "1: "),
            ("volboot 3/1\nend\n", "1: "),
            ("volboot 3/1 0.1\nhostid a b\nend\n", "2: "),
            ("volboot 3/1 0.1\nhost a\nend\n", "2: "),
            ("volboot 3/1 0.1\nhostid a\n", "the line \"end\" is missing"),
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.starts_with(expected), "{wrong:?}: {error}");
        }
    }
}

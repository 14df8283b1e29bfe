//! The configuration files and the key file, read and checked together.

use std::io;
use std::path::{Path, PathBuf};

use llt::io::keyfile::{self, KeyFileError};
use llt::llttab::{ConfigErrors, LltTab, Source};
use llt::seal::Keyring;

use crate::daemon::files::Files;
use crate::daemon::gabtab::Gabtab;

/// What gabd is configured with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) tab: LltTab,
    /// Absent: GAB waits for `gabconfig -c`.
    pub(super) gabtab: Option<Gabtab>,
    /// Absent: frames are not authenticated.
    pub(super) keys: Option<Keyring>,
    /// For `lltconfig`, which compares.
    pub(super) llttab_text: String,
    pub(super) llthosts_text: String,
}

/// Why there are no settings; nothing was started.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    /// What is in a file is wrong.
    #[error(transparent)]
    Content(#[from] ConfigErrors),
    /// The key file is there and cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// A file cannot be read.
    #[error("cannot read {}: {source}; expected {expected}", path.display())]
    Read { path: PathBuf, source: io::Error, expected: &'static str },
}

impl Settings {
    pub(super) fn load(files: &Files, llt_only: bool) -> Result<Self, SettingsError> {
        let llttab = read(&files.llttab(), "the configuration of LLT")?;
        let llthosts = read(&files.llthosts(), "a line with id and name of each node")?;
        let gabtab = files.gabtab();
        let gabtab_source = match read(&gabtab, "a line /sbin/gabconfig -c -nN") {
            _ if llt_only => None,
            Ok(source) => Some(source),
            Err(SettingsError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                None
            }
            Err(error) => return Err(error),
        };
        let node_file = |path: &str| std::fs::read(files.below(path));
        let tab = LltTab::parse(&llttab, &llthosts, &node_file);
        let parsed = gabtab_source.as_ref().map(Gabtab::parse).transpose();
        let (tab, gabtab) = match (tab, parsed) {
            (Ok(tab), Ok(gabtab)) => (tab, gabtab),
            (Err(errors), Ok(_)) | (Ok(_), Err(errors)) => return Err(errors.into()),
            (Err(mut errors), Err(more)) => {
                errors.append(more);
                return Err(errors.into());
            }
        };
        let keys = keyfile::load(&files.keys())?;
        Ok(Self {
            tab,
            gabtab,
            keys,
            llttab_text: llttab.text().to_owned(),
            llthosts_text: llthosts.text().to_owned(),
        })
    }
}

/// For the log at start.
pub(super) const UNAUTHENTICATED: &str = "frames are not authenticated: no etc/muster.key";

fn read(path: &Path, expected: &'static str) -> Result<Source, SettingsError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Source::new(path.display().to_string(), &bytes)),
        Err(source) => Err(SettingsError::Read { path: path.to_owned(), source, expected }),
    }
}

//! The configuration files and the key file, read and checked together, and what was changed since.

use std::io;
use std::path::{Path, PathBuf};

use llt::LinkId;
use llt::io::keyfile::{self, KeyFileError};
use llt::llttab::{ConfigErrors, LltTab, Source, read_below};
use llt::seal::Keyring;

use crate::admin::Changed;
use crate::daemon::files::Files;
use crate::daemon::gabtab::Gabtab;

/// What gabd is configured with. Timers, limits and ignored nodes that are changed at run time are
/// changed here, too, and links in [`Links`](super::links::Links): each life of the node begins
/// with them.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) tab: LltTab,
    /// Tags of links by number, also of those that were added or removed.
    tags: Vec<String>,
    /// What was changed at run time, oldest first: lines of `llttab`, or sentences.
    pub(super) changed: Vec<String>,
    /// What was complained of at start, for `lltconfig -c`.
    pub(super) warnings: Vec<String>,
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
        let node_file = |path: &str| read_below(files.root(), path);
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
            gabtab,
            keys,
            llttab_text: llttab.text().to_owned(),
            llthosts_text: llthosts.text().to_owned(),
            ..Self::of(tab)
        })
    }

    /// As `tab` says, and nothing else.
    pub(super) fn of(tab: LltTab) -> Self {
        Self {
            tags: tab.links.iter().map(|link| link.tag.clone()).collect(),
            tab,
            changed: Vec::new(),
            warnings: Vec::new(),
            gabtab: None,
            keys: None,
            llttab_text: String::new(),
            llthosts_text: String::new(),
        }
    }

    /// How many nodes `llthosts` names.
    pub(super) fn nodes(&self) -> u32 {
        u32::try_from(self.tab.hosts.nodes().len()).unwrap_or(u32::MAX)
    }

    /// The tag of a link, also of one that was removed.
    pub(super) fn tag(&self, link: LinkId) -> &str {
        self.tags.get(link.index()).map_or("?", String::as_str)
    }

    /// The link of this number is another one now.
    pub(super) fn set_tag(&mut self, link: LinkId, tag: &str) {
        if self.tags.len() <= link.index() {
            self.tags.resize(link.index() + 1, String::new());
        }
        self.tags[link.index()] = tag.to_owned();
    }

    /// Remembers a change for `lltconfig -c`, which compares files.
    pub(super) fn note(&mut self, changed: &Changed) {
        if changed.changed.is_empty() {
            return;
        }
        let lines = if changed.keep.is_empty() { &changed.changed } else { &changed.keep };
        self.changed.extend(lines.iter().cloned());
        let surplus = self.changed.len().saturating_sub(CHANGES_MAX);
        self.changed.drain(..surplus);
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

/// Changes that are remembered: a screen full.
const CHANGES_MAX: usize = 24;

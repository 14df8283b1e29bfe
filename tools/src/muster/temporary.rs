//! A cluster in a folder of its own that is taken down whatever happens.

use std::path::Path;

use anyhow::{Context, Result};

use super::testbed::{Down, Testbed, UpOptions};

/// The cluster; gone when it is dropped. Its daemons die with the thread that made it even if
/// that is killed.
#[derive(Debug)]
pub struct Temporary {
    testbed: Option<Testbed>,
    folder: tempfile::TempDir,
}

impl Temporary {
    /// Makes a cluster in a temporary folder.
    ///
    /// # Errors
    /// Those of [`Testbed::up`].
    pub fn up(options: &UpOptions) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("muster-").tempdir()?;
        let dir = folder.path().join("cluster");
        Self::make(folder, &dir, options)
    }

    /// Makes a cluster in `dir`, which stays if it was there before.
    ///
    /// # Errors
    /// Those of [`Testbed::up`].
    pub fn up_in(dir: &Path, options: &UpOptions) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("muster-").tempdir()?;
        Self::make(folder, dir, options)
    }

    fn make(folder: tempfile::TempDir, dir: &Path, options: &UpOptions) -> Result<Self> {
        let options = UpOptions { attached: true, ..options.clone() };
        let testbed = Testbed::up(dir, &options)?;
        Ok(Self { testbed: Some(testbed), folder })
    }

    /// A folder for files beside the cluster, gone with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Takes it down and says if that failed.
    ///
    /// # Errors
    /// Those of [`Testbed::down`].
    pub fn down(mut self) -> Result<()> {
        self.testbed.take().context("it is up until here")?.down(Down::Fast)
    }
}

impl std::ops::Deref for Temporary {
    type Target = Testbed;

    fn deref(&self) -> &Testbed {
        self.testbed.as_ref().expect("only down takes it, and the value with it")
    }
}

impl std::ops::DerefMut for Temporary {
    fn deref_mut(&mut self) -> &mut Testbed {
        self.testbed.as_mut().expect("only down takes it, and the value with it")
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(testbed) = self.testbed.take()
            && let Err(error) = testbed.down(Down::Fast)
        {
            eprintln!("muster: cannot clean up: {error:#}");
        }
    }
}

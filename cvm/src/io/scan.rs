//! Which disks there are: everything in the folder `dev/vx/dmp` below the root is one (a file, a
//! block device, or a link to one), and its name there is its access name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::device::{Device, DeviceError};
use crate::core::configd;

/// The folder of disks.
const FOLDER: &str = "dev/vx/dmp";

/// Access names and paths; none if the folder is not there.
pub fn devices(root: &Path) -> BTreeMap<String, PathBuf> {
    let Ok(entries) = std::fs::read_dir(root.join(FOLDER)) else { return BTreeMap::new() };
    let named = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        (!name.starts_with('.')).then(|| (name, entry.path()))
    });
    named.collect()
}

/// Looks at all of them.
pub fn scan(root: &Path) -> Vec<configd::Device> {
    let look = |(access, path): (String, PathBuf)| {
        let examined = Device::open(&path).and_then(|device| device.examine(&access));
        let state = match examined {
            Ok(found) => configd::DeviceState::Ready(Box::new(found)),
            // Something of it is there: it is not to be initialised without being asked twice.
            Err(error @ (DeviceError::Io(_) | DeviceError::Kind | DeviceError::Short { .. })) => {
                configd::DeviceState::Error(error.to_string())
            }
            Err(error) => configd::DeviceState::Invalid(error.to_string()),
        };
        configd::Device { access, state }
    };
    devices(root).into_iter().map(look).collect()
}

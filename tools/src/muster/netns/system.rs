//! The system's programs that the switch is set up with.

use std::env;
use std::path::PathBuf;

use super::Unavailable;

/// `ip` of iproute2.
///
/// # Errors
/// If it is not installed; the message names the package.
pub(super) fn ip() -> Result<PathBuf, Unavailable> {
    find("ip").ok_or_else(|| {
        let text =
            "--netns needs `ip` (package iproute2): not on the PATH, nor in /usr/sbin or /sbin";
        Unavailable(text.to_owned())
    })
}

/// `nft` of nftables, if it is installed.
pub(super) fn nft() -> Option<PathBuf> {
    find("nft")
}

/// Administrators' programs are not on the PATH of everybody.
pub(in super::super) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let also = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(also).map(|dir| dir.join(name)).find(|path| path.is_file())
}

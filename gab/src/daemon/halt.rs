//! The node halts: the original's deliberate panic, in user space (facts 2.13).

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;

use crate::core::HaltCause;
use crate::daemon::files::Files;
use crate::ids::PortName;

/// What halting means.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum HaltPolicy {
    /// gabd kills the kernel-type clients and ends
    Exit,
    /// The machine is rebooted at once, too
    Reboot,
}

/// Thrown out, with a kernel-type client registered or under `-j`.
pub(super) const NETWORK_FAILURE: &str = "network failure";
/// Why, where a process cannot be killed or is not to be.
pub(super) const CLIENT_FAILURE: &str = "client process failure";

/// Why a node halts itself, in the original's panic and for `muster status`.
pub(super) const fn words(cause: HaltCause) -> &'static str {
    match cause {
        HaltCause::ClientFailure => CLIENT_FAILURE,
        HaltCause::ProcessDeath => "client process death",
        HaltCause::Quorum => "loss of quorum",
        HaltCause::Registration => "client process not registering again",
    }
}

/// Says so, in the log and for whoever finds the node later.
pub(super) fn announce(files: &Files, ports: &[PortName], why: &str) {
    for port in ports {
        tracing::error!("GAB: Port {port} halting system due to {why}");
    }
    let path = files.halted();
    if let Err(error) = std::fs::write(&path, format!("{why}\n")) {
        tracing::warn!("cannot write {}: {error}", path.display());
    }
}

/// Reboots the machine without another word to anything on it, through the kernel's `sysrq-trigger`
/// at `sysrq`.
///
/// # Errors
/// The machine goes on, and was not changed.
pub(super) fn reboot(sysrq: &Path) -> io::Result<()> {
    // Never made by us: a file of that name that nobody reads would reboot nothing.
    OpenOptions::new().write(true).open(sysrq)?.write_all(b"b")
}

//! `lltconfig -U`.

use std::io::Write;
use std::time::Duration;

use gab::admin::{AdminRequest, RunningConfig};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::common::{Failure, Root, output, time};

/// Stops LLT, after asking unless `sure`, and waits until gabd is gone.
pub(super) fn stop(root: &Root, sure: bool) -> Result<(), Failure> {
    let mut admin = match root.admin() {
        Ok(admin) => admin,
        Err(Failure::NoDaemon(_)) => {
            output::print("LLT is not running\n")?;
            return Err(Failure::Said);
        }
        Err(failure) => return Err(failure),
    };
    if !sure && !confirm()? {
        return Err(Failure::operation("LLT was not stopped: it was not confirmed"));
    }
    let config: RunningConfig = admin.request(&AdminRequest::Config)?;
    let pid = i32::try_from(config.pid).ok().and_then(Pid::from_raw);
    let process = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    let () = admin.request(&AdminRequest::LltUnconfigure)?;
    // Until it has ended, no other gabd can start.
    match process {
        Some(process) if !time::readable_within(&process, END_TIMEOUT) => {
            Err(Failure::operation("gabd has stopped LLT, but does not end"))
        }
        _ => Ok(()),
    }
}

/// Asks, and takes the answer from stdin whatever it is: scripts of the original pipe a `y` in.
fn confirm() -> Result<bool, Failure> {
    let mut err = std::io::stderr().lock();
    let _ = write!(err, "lltconfig: this will attempt to stop and reset LLT. Confirm (y/n)? ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|error| Failure::because(&error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

const END_TIMEOUT: Duration = Duration::from_secs(30);

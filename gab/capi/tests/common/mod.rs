//! What the tests of the C library share: real nodes, C programs, and how to wait for them.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod node;
mod program;

use std::path::{Path, PathBuf};
use std::time::Duration;

#[allow(unused_imports, reason = "each test program uses a part of it")]
pub(crate) use node::{Node, cluster};
#[allow(unused_imports, reason = "each test program uses a part of it")]
pub(crate) use program::{Program, compile};
use tools::muster::binaries::Binaries;

/// The folder of this crate.
pub(crate) fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program or library of this build.
pub(crate) fn built(name: &str) -> PathBuf {
    let binaries = Binaries::locate().unwrap_or_else(|error| panic!("{error:#}"));
    let path = binaries.path(name);
    assert!(path.is_file(), "no {}", path.display());
    path
}

/// The folder with the libraries of this build.
pub(crate) fn library_folder() -> PathBuf {
    built("libgab.so").parent().unwrap().to_owned()
}

/// Must a test whose tool is missing fail? Else it says that it is skipped, and why.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("skipped: {why}");
}

/// Can this program be run?
pub(crate) fn has(program: &str, version: &str) -> bool {
    std::process::Command::new(program).arg(version).output().is_ok_and(|o| o.status.success())
}

/// Waits until `done`, for as long as a machine that is busy with other tests may need.
pub(crate) fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = now() + Duration::from_secs(120);
    while !done() {
        assert!(now() < deadline, "{what} did not come");
        let moment = rustix::time::Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        rustix::event::poll(&mut [], Some(&moment)).unwrap();
    }
}

/// Time on the monotonic clock.
pub(crate) fn now() -> Duration {
    rustix::time::clock_gettime(rustix::time::ClockId::Monotonic).try_into().unwrap()
}

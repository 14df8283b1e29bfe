//! What the tests run: `cargo test` builds neither programs of other packages nor a library that
//! tests cannot link to, so we do.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The folder with the libraries of this build.
pub(crate) fn library_folder() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(build);
    let folder = output_folder();
    assert!(folder.join("libgab.so").is_file(), "no libgab.so in {}", folder.display());
    folder
}

/// gabd of this build.
pub(super) fn gabd() -> PathBuf {
    library_folder().join("gabd")
}

/// Where programs and libraries lie: one above the test programs.
fn output_folder() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().and_then(Path::parent).unwrap().to_owned()
}

/// Builds with the profile and target of this test, unless `MUSTER_NO_BUILD` forbids it: together
/// with what the testbed builds, so that everything has the same features and nobody builds anew
/// what the other built.
fn build() {
    if std::env::var_os("MUSTER_NO_BUILD").is_some() {
        return;
    }
    // Cargo marks the root of its output; between it and us are [triple and] profile.
    let folder = output_folder();
    let marked = |path: &Path| path.join("CACHEDIR.TAG").is_file();
    let above = folder.parent().unwrap();
    let profile = folder.file_name().unwrap().to_str().unwrap();
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "-p", "gab", "-p", "gab-capi", "-p", "tools", "--manifest-path"]);
    command.arg(super::here().join("../../Cargo.toml"));
    command.args(["--profile", if profile == "debug" { "dev" } else { profile }]);
    if marked(above) {
        command.arg("--target-dir").arg(above);
    } else {
        command.arg("--target-dir").arg(above.parent().unwrap());
        command.arg("--target").arg(above.file_name().unwrap());
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "gabd and libgab cannot be built:\n{stderr}");
}

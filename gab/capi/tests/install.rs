//! `install.sh` puts everything where pkg-config and compilers look for it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Program, cluster, has, here, library_folder, skip};

/// Installs into `prefix`, or says what it said.
fn install(prefix: &Path, from: &Path) -> Result<(), String> {
    let mut script = Command::new(here().join("install.sh"));
    let output = script.arg("--prefix").arg(prefix).arg("--from").arg(from).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(stderr) }
}

/// What pkg-config says about gab in `prefix`.
fn pkg_config(prefix: &Path, what: &[&str]) -> Vec<String> {
    let output = Command::new("pkg-config")
        .args(what)
        .arg("gab")
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().split_whitespace().map(str::to_owned).collect()
}

/// Builds the example in `prefix` with these arguments after it.
fn build(prefix: &Path, name: &str, arguments: &[String]) -> std::path::PathBuf {
    let program = prefix.join(name);
    let source = here().join("examples/chat.c");
    let mut cc = Command::new("cc");
    cc.arg(source).args(arguments).arg("-o").arg(&program);
    let output = cc.output().unwrap();
    assert!(output.status.success(), "{cc:?}: {}", String::from_utf8_lossy(&output.stderr));
    program
}

#[test]
fn a_program_is_built_with_pkg_config_and_runs_shared_and_static() {
    if !has("pkg-config", "--version") {
        return skip("pkg-config is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("usr");
    install(&prefix, &library_folder()).unwrap();
    assert_eq!(pkg_config(&prefix, &["--modversion"]), [env!("CARGO_PKG_VERSION")]);
    for page in ["gab_open.3", "gab_send.3"] {
        assert!(prefix.join("share/man/man3").join(page).is_file(), "{page}");
    }

    let shared = build(&prefix, "shared", &pkg_config(&prefix, &["--cflags", "--libs"]));
    let mut arguments = pkg_config(&prefix, &["--cflags", "--libs", "--static"]);
    for argument in &mut arguments {
        if argument == "-lgab" {
            *argument = prefix.join("lib/libgab.a").to_str().unwrap().to_owned();
        }
    }
    let fixed = build(&prefix, "static", &arguments);
    // It needs the library no more.
    fs::remove_file(prefix.join("lib/libgab.a")).unwrap();
    let nodes = cluster(1);
    for program in [shared, fixed] {
        let chat = Program::chat(&nodes[0], &program, " 0");
        chat.succeed();
    }
}

#[test]
fn without_a_build_it_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let error = install(&folder.path().join("usr"), folder.path()).unwrap_err();
    assert!(error.contains("cargo build --release -p gab-capi"), "{error}");
    assert!(!folder.path().join("usr").exists());
}

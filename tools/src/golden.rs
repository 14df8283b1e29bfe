//! Listings byte for byte: each is rendered from a fixed state and compared with a file of
//! `tools/tests/golden`. `GOLDEN=1 cargo test -p tools --lib` writes the files anew; the difference
//! is then for people to judge.

use std::path::{Path, PathBuf};

/// Where the files are.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Compares `text` with the file of this name.
///
/// # Panics
/// If they differ, or there is no such file.
#[track_caller]
pub(crate) fn check(name: &str, text: &str) {
    let path = folder().join(format!("{name}.txt"));
    if std::env::var_os("GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let expected = std::fs::read_to_string(&path);
    let expected = expected.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(text, expected, "{name}; GOLDEN=1 writes it anew");
}

/// The same for what `--json` prints.
#[track_caller]
pub(crate) fn check_json(name: &str, value: &impl serde::Serialize) {
    let text = serde_json::to_string_pretty(value).expect("it is JSON");
    check(name, &(text + "\n"));
}

#[test]
fn every_file_is_compared_with_something() {
    let mut sources = String::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                sources += &std::fs::read_to_string(&path).unwrap();
            }
        }
    }
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(sources.contains(&format!("\"{name}\"")), "nothing is compared with {name}");
    }
}

//! Rules over the source tree: pure modules stay pure, files stay small.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules that never touch sockets, files, threads, the clock or OS randomness.
const PURE: &[&str] = &[
    "llt/src/wire",
    "llt/src/core",
    "llt/src/seal",
    "llt/src/time.rs",
    "llt/src/ids.rs",
    "gab/src/wire",
    "gab/src/core",
    "gab/src/echo.rs",
    "gab/src/stack.rs",
    "gab/src/stack",
    "gab/src/ipc.rs",
    "gab/src/ipc",
    "gab/src/client/core.rs",
    "gab/src/client/credit.rs",
    "gab/src/client/llt_core.rs",
];

/// What they must not even mention.
const IMPURE: &[&str] = &[
    "std::net",
    "core::net",
    "std::fs",
    "std::thread",
    "std::process",
    "std::env",
    "std::time",
    "SystemTime",
    "Instant::now",
    "getrandom",
    "rand::rng",
    "libc::",
    "rustix::",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a crate of the workspace").to_path_buf()
}

/// All `.rs` files below `path`, or `path` itself.
fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_path_buf()];
    }
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let mut list: Vec<PathBuf> = entries
        .flat_map(|entry| {
            let path = entry.expect("a readable folder").path();
            let skip = path.ends_with("target") || path.ends_with(".git");
            if skip { Vec::new() } else { sources(&path) }
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    list.sort();
    list
}

#[test]
fn pure_modules_mention_nothing_of_the_operating_system() {
    let root = root();
    let mut files = 0;
    let mut found = Vec::new();
    for path in PURE.iter().flat_map(|path| sources(&root.join(path))) {
        files += 1;
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(word) = IMPURE.iter().find(|word| line.contains(**word)) {
                found.push(format!("{}:{number}: {word}", path.display()));
            }
        }
    }
    assert!(files > 20, "only {files} pure files were found");
    // `core::net` formats an address; it opens nothing.
    found.retain(|line| !line.contains("ids.rs") || !line.ends_with("core::net"));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_source_file_is_longer_than_a_thousand_lines_and_half_are_short() {
    let root = root();
    let mut lengths: Vec<(usize, PathBuf)> = ["llt", "gab", "tools", "tests"]
        .iter()
        .flat_map(|part| sources(&root.join(part)))
        .map(|path| (fs::read_to_string(&path).unwrap().lines().count(), path))
        .collect();
    lengths.sort();
    let (longest, path) = lengths.last().unwrap();
    assert!(*longest <= 1000, "{} has {longest} lines", path.display());
    let median = lengths[lengths.len() / 2].0;
    assert!(median < 250, "the median file has {median} lines");
}

/// The numbers of messages in a text: `V-15-1-20036`, and where they are put together the bare 20036.
fn numbers(text: &str) -> Vec<String> {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    let mut found = Vec::new();
    for family in ["V-14-1-", "V-14-2-", "V-15-1-"] {
        found.extend(text.split(family).skip(1).map(digits).filter(|number| number.len() == 5));
    }
    let plain = text.replace('_', "");
    let words = plain.split(|letter: char| !letter.is_ascii_alphanumeric());
    let of_gab = |word: &&str| word.len() == 5 && word.starts_with("20") && digits(word) == *word;
    found.extend(words.filter(of_gab).map(str::to_owned));
    found
}

#[test]
fn the_catalogue_lists_every_message() {
    let root = root();
    let docs = fs::read_to_string(root.join("docs/operations.md")).unwrap();
    let parts = ["gab/src/daemon", "llt/src/io", "tools/src/lltconfig"];
    let mut count = 0;
    let is_test = |path: &PathBuf| path.file_stem().is_some_and(|name| name == "tests");
    let files = parts.iter().flat_map(|part| sources(&root.join(part)));
    for path in files.filter(|path| !is_test(path)) {
        let text = fs::read_to_string(&path).unwrap();
        // What only tests say need not be listed.
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        for number in numbers(text) {
            count += 1;
            assert!(
                docs.contains(&number),
                "{}: {number} is not in docs/operations.md",
                path.display()
            );
        }
    }
    assert!(count > 25, "only {count} messages were found");
}

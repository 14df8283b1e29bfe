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
    "cvm/src/core",
    "cvm/src/disk",
    "cvm/src/export",
    "cvm/src/model",
    "cvm/src/sim",
    "cvm/src/volume",
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

/// Scenario 69: what may jump is for people, and for incarnations, which are also kept in a file.
#[test]
fn the_wall_clock_is_for_times_that_people_read_and_for_incarnations() {
    let root = root();
    let mut users: Vec<String> = ["llt/src", "gab/src"]
        .iter()
        .flat_map(|part| sources(&root.join(part)))
        .filter(|path| fs::read_to_string(path).unwrap().contains("clock.wall_nanos()"))
        .map(|path| path.strip_prefix(&root).unwrap().display().to_string())
        .collect();
    users.sort();
    let known = [
        "gab/src/daemon/reactor/telling.rs",
        "gab/src/daemon/reactor/traces.rs",
        "llt/src/io/incarnation.rs",
    ];
    assert_eq!(users, known);
    for path in ["llt", "gab"].iter().flat_map(|part| sources(&root.join(part))) {
        let text = fs::read_to_string(&path).unwrap();
        let reads = text.contains("SystemTime") || text.contains("ClockId::Realtime");
        assert!(!reads || path.ends_with("llt/src/io/clock.rs"), "{}", path.display());
    }
}

#[test]
fn no_source_file_is_longer_than_a_thousand_lines_and_half_are_short() {
    let root = root();
    let mut lengths: Vec<(usize, PathBuf)> = ["llt", "gab", "cvm", "tools", "tests"]
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

/// Scenarios of the design that concern LLT and GAB; the others are those of arbitration and of
/// volumes.
fn scenarios() -> impl Iterator<Item = u32> {
    (1..=34).chain(37..=38).chain(46..=75)
}

/// They are about disks, which the simulator does not have: real files show them.
const WITHOUT_SIMULATOR: [u32; 2] = [70, 71];

/// The numbers that the name of a test begins with: `s52_s53_frames` has two.
fn numbers_of(name: &str) -> Vec<u32> {
    let number = |word: &str| {
        let digits = word.strip_prefix('s').filter(|digits| digits.len() == 2)?;
        digits.parse().ok()
    };
    name.split('_').map_while(number).collect()
}

/// The names of the functions of a source file.
fn functions(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let name = |line: &str| {
        let rest = line.trim_start().strip_prefix("fn ")?;
        Some(rest.split('(').next()?.to_owned())
    };
    text.lines().filter_map(name).collect()
}

#[test]
fn every_scenario_has_a_test_in_the_simulator() {
    let root = root();
    let files = sources(&root.join("tests/tests/scenarios")).into_iter();
    let mut shown: Vec<u32> =
        files.flat_map(|path| functions(&path)).flat_map(|name| numbers_of(&name)).collect();
    shown.extend(WITHOUT_SIMULATOR);
    let missing: Vec<u32> = scenarios().filter(|number| !shown.contains(number)).collect();
    assert!(missing.is_empty(), "no test begins with the numbers {missing:?}");
}

#[test]
fn the_table_of_scenarios_names_tests_that_exist() {
    let root = root();
    let docs = fs::read_to_string(root.join("docs/testing.md")).unwrap();
    let (_, section) =
        docs.split_once("\n## Scenarios\n").expect("docs/testing.md has the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut listed = Vec::new();
    for row in section.lines().filter(|line| line.starts_with('|')) {
        let Some(number) = row.split('|').nth(1).and_then(|cell| cell.trim().parse().ok()) else {
            continue;
        };
        let tests: Vec<(&str, &str)> =
            row.split('`').filter_map(|quoted| quoted.split_once("::")).collect();
        assert!(!tests.is_empty(), "scenario {number} of docs/testing.md names no test");
        for (file, name) in tests {
            let paths =
                ["", "tests/tests"].map(|folder| root.join(folder).join(format!("{file}.rs")));
            let path = paths.iter().find(|path| path.exists()).unwrap_or(&paths[0]);
            let there = functions(path).iter().any(|function| function == name);
            assert!(there, "{name}, which docs/testing.md names, is not in {}", path.display());
            assert!(numbers_of(name).contains(&number), "{name} does not show scenario {number}");
        }
        listed.push(number);
    }
    let missing: Vec<u32> = scenarios().filter(|number| !listed.contains(number)).collect();
    assert!(missing.is_empty(), "docs/testing.md does not list the scenarios {missing:?}");
}

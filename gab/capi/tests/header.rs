//! `gab.h` and `libgab.so` agree with each other, whatever the compiler.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod common;

use std::fs;
use std::process::Command;

use common::{has, here, library_folder, skip};

/// The functions that the header declares.
fn declared() -> Vec<String> {
    let header = fs::read_to_string(here().join("include/gab.h")).unwrap();
    let mut names: Vec<String> = header
        .lines()
        .filter(|line| line.starts_with("int ") || line.starts_with("const char *"))
        .filter_map(|line| line.split('(').next()?.rsplit([' ', '*']).next())
        .map(str::to_owned)
        .collect();
    names.sort();
    assert_eq!(names.len(), 10, "{names:?}");
    names
}

/// What binutils' readers print of the library.
fn dynamic(program: &str, args: &[&str]) -> Option<String> {
    if !has(program, "--version") {
        skip(&format!("{program} (binutils) is not installed"));
        return None;
    }
    let output =
        Command::new(program).args(args).arg(library_folder().join("libgab.so")).output().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_library_exports_what_the_header_declares_and_nothing_else() {
    let Some(table) = dynamic("nm", &["-D", "--defined-only"]) else { return };
    let mut exported: Vec<&str> =
        table.lines().filter_map(|line| line.split_whitespace().last()).collect();
    exported.sort_unstable();
    assert_eq!(exported, declared());
}

#[test]
fn the_library_is_found_as_libgab_so_at_run_time() {
    let Some(entries) = dynamic("readelf", &["-d"]) else { return };
    let soname = entries.lines().find(|line| line.contains("(SONAME)")).unwrap();
    assert!(soname.ends_with("[libgab.so]"), "{soname}");
}

#[test]
fn every_function_has_a_page_in_the_manual() {
    for name in declared() {
        let page = here().join(format!("man/{name}.3"));
        let text = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{name}: {error}"));
        // A page of several functions is linked to by the others.
        let text = match text.strip_prefix(".so man3/") {
            Some(other) => fs::read_to_string(here().join("man").join(other.trim())).unwrap(),
            None => text,
        };
        assert!(text.contains(&format!(".Nm {name}")), "{name}");
        assert!(text.contains(&format!(".Fo {name}")), "{name}");
    }
}

#[test]
fn old_compilers_and_those_of_other_languages_take_the_header() {
    let source = here().join("tests/c/layout.c");
    let mut dialects = vec![("cc", vec!["-std=c89"]), ("cc", vec!["-std=c11"])];
    if has("c++", "--version") {
        dialects.push(("c++", vec!["-x", "c++", "-std=c++11"]));
    } else {
        skip("no C++ compiler (g++)");
    }
    for (compiler, arguments) in dialects {
        let output = Command::new(compiler)
            .args(&arguments)
            .args(["-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"])
            .arg(here().join("include"))
            .arg(&source)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{compiler} {arguments:?}: {stderr}");
    }
}

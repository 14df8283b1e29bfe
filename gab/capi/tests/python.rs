//! The Python package on a real node.

mod common;

use std::process::Command;

use common::{Program, cluster, has, here, library_folder, skip, wait_for};

/// Python with the package and its library, or `None` if there is no Python.
fn python() -> Option<Command> {
    if !has("python3", "--version") {
        skip("python3 is not installed");
        return None;
    }
    let mut python = Command::new("python3");
    python.arg("-B").env("PYTHONPATH", here().join("../python"));
    python.env("GAB_LIBRARY", library_folder().join("libgab.so"));
    Some(python)
}

#[test]
fn the_tests_of_the_python_package_pass() {
    let Some(mut python) = python() else { return };
    let nodes = cluster(1);
    python.args(["-W", "error"]).arg(here().join("../python/tests/test_port.py")).arg("-v");
    let (status, _, stderr) = Program::start(&nodes[0], &mut python).finish();
    assert!(status.success(), "{stderr}");
    assert!(stderr.contains("\nOK"), "{stderr}");
}

#[test]
fn the_python_example_greets_every_node() {
    let nodes = cluster(2);
    let mut programs = Vec::new();
    for node in &nodes {
        let Some(mut python) = python() else { return };
        programs.push(Program::start(node, python.arg(here().join("../python/examples/hello.py"))));
    }
    for program in &programs {
        let both = || {
            let output = program.output();
            output.contains("\n0 hello from 0\n") && output.contains("\n1 hello from 1\n")
        };
        wait_for("both greetings", both);
    }
}

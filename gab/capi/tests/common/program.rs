//! C programs: compiled against `gab.h`, run on a node.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{Node, here, library_folder, wait_for};

/// Compiles one file, given from the folder of this crate, strictly, into `folder`.
pub(crate) fn compile(source: &str, folder: &Path) -> PathBuf {
    let source = here().join(source);
    let program = folder.join(source.file_stem().unwrap());
    let mut command = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
    command.args(["-std=c99", "-D_GNU_SOURCE", "-pedantic", "-Wall", "-Wextra", "-Werror", "-g"]);
    command.arg("-I").arg(here().join("include")).arg(&source).arg("-o").arg(&program);
    command.arg("-L").arg(library_folder()).args(["-lgab", "-pthread"]);
    let output = command.output().expect("a C compiler");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}:\n{stderr}", source.display());
    program
}

/// A program that runs on a node. Killed with it.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    folder: tempfile::TempDir,
}

impl Program {
    /// Starts it with its library and node in the environment.
    pub(crate) fn start(node: &Node, command: &mut Command) -> Self {
        Self::spawn(command.env("MUSTER_ROOT", node.root()))
    }

    /// Starts it with its library in the environment.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name| fs::File::create(folder.path().join(name)).unwrap();
        command.env("LD_LIBRARY_PATH", library_folder());
        command.stdin(Stdio::piped()).stdout(file("stdout")).stderr(file("stderr"));
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, folder }
    }

    /// The example, on port A, once it has seen these members.
    pub(crate) fn chat(node: &Node, chat: &Path, members: &str) -> Self {
        let program = Self::start(node, Command::new(chat).arg("A"));
        program.wait_for_line(&format!("members{members}"));
        program
    }

    /// Writes to its input.
    pub(crate) fn say(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// What it has printed.
    pub(crate) fn output(&self) -> String {
        self.read("stdout")
    }

    /// Waits for a line that ends so.
    pub(crate) fn wait_for_line(&self, end: &str) {
        let found = || self.output().lines().any(|line| line.ends_with(end));
        wait_for(&format!("a line that ends with `{end}`"), found);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends its input and waits for its end; what it said.
    pub(crate) fn finish(mut self) -> (ExitStatus, String, String) {
        drop(self.child.stdin.take());
        let mut status = None;
        wait_for("the end of the program", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        (status.unwrap(), self.output(), self.read("stderr"))
    }

    /// The same for a program that has to succeed; its output.
    pub(crate) fn succeed(self) -> String {
        let (status, stdout, stderr) = self.finish();
        assert!(status.success(), "{status}\n{stdout}\n{stderr}");
        stdout
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join(name)).unwrap()).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

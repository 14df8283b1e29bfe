//! The real commands, run on nodes and listened to.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::commands::on_node;
use super::testbed::Testbed;
use super::wait;

/// Runs a command on a node with `input` and gives what it printed.
///
/// # Errors
/// If it cannot be run or fails; with what it said.
pub fn run(testbed: &Testbed, node: u8, words: &[&str], input: &str) -> Result<String> {
    let mut child = spawn(testbed, node, words)?;
    let mut stdin = child.stdin.take().expect("it was piped");
    // Who does not read its input may have closed it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("node {node}: {} failed ({}): {}", words.join(" "), output.status, said.trim_end());
    }
    String::from_utf8(output.stdout).context("the command printed what is not UTF-8")
}

/// Starts a command on a node with pipes to it.
///
/// # Errors
/// If it cannot be started.
pub fn spawn(testbed: &Testbed, node: u8, words: &[&str]) -> Result<Child> {
    let (program, arguments) = words.split_first().context("no command")?;
    let program = testbed.binaries.path(program);
    let mut command = on_node(&testbed.cluster, node, &testbed.binaries, &program)?;
    command.args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().with_context(|| format!("cannot run {}", program.display()))
}

/// A `gabport listen` that runs until it is dropped.
#[derive(Debug)]
pub struct Listener {
    node: u8,
    child: Child,
    output: PathBuf,
}

impl Listener {
    /// Starts one on a port of a node; its output goes to a file in `folder`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(testbed: &Testbed, node: u8, port: char, folder: &Path) -> Result<Self> {
        let output = folder.join(format!("listen-{port}-{node}"));
        let file = File::create(&output)?;
        let program = testbed.binaries.path("gabport");
        let mut command = on_node(&testbed.cluster, node, &testbed.binaries, &program)?;
        command.arg("-p").arg(port.to_string()).arg("listen");
        command.stdin(Stdio::null()).stdout(file);
        let child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
        Ok(Self { node, child, output })
    }

    /// The complete lines that it has printed from the first membership of `members` nodes on.
    ///
    /// # Errors
    /// If it has ended.
    pub fn lines(&mut self, members: usize) -> Result<Vec<String>> {
        if let Some(status) = self.child.try_wait()? {
            bail!("gabport listen on node {} ended: {status}", self.node);
        }
        let text = std::fs::read_to_string(&self.output)?;
        let complete = text.rfind('\n').map_or("", |end| &text[..=end]);
        let full = |line: &&str| {
            let mut words = line.split(' ');
            words.next() == Some("view")
                && words.nth(1) == Some("members")
                && words.take_while(|word| word.parse::<u8>().is_ok()).count() == members
        };
        Ok(complete.lines().skip_while(|line| !full(line)).map(str::to_owned).collect())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until every listener has printed the membership of all and `deliveries` messages, and
/// gives each one's lines up to there.
///
/// # Errors
/// If one ends, or it takes longer than `limit`.
pub fn wait_lines(
    listeners: &mut [Listener],
    deliveries: usize,
    limit: Duration,
) -> Result<Vec<Vec<String>>> {
    let members = listeners.len();
    let what = format!("{members} listeners print {deliveries} messages each");
    wait::until(&what, limit, || {
        let mut all = Vec::new();
        for listener in &mut *listeners {
            let lines = listener.lines(members)?;
            let is_delivery = |line: &&String| line.starts_with("deliver ");
            let place = match deliveries {
                0 if lines.is_empty() => None,
                0 => Some(0),
                n => {
                    lines.iter().enumerate().filter(|(_, l)| is_delivery(l)).nth(n - 1).map(|d| d.0)
                }
            };
            let Some(place) = place else { return Ok(None) };
            all.push(lines[..=place].to_vec());
        }
        Ok(Some(all))
    })
}

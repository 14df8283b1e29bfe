//! A client, as the bench sees it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::super::wait;

/// A process, which ends when it is dropped.
#[derive(Debug)]
pub(super) struct Client {
    /// Where it runs.
    pub(super) node: u8,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Client {
    /// Starts it.
    pub(super) fn start(mut command: Command, node: u8) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start a client")?;
        let stdin = child.stdin.take().context("it was piped")?;
        let stdout = BufReader::new(child.stdout.take().context("it was piped")?);
        Ok(Self { node, child, stdin, stdout })
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells it one line of JSON.
    pub(super) fn say(&mut self, what: &impl serde::Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        self.stdin.write_all(&line).with_context(|| format!("client {} is gone", self.node))
    }

    /// One line of JSON, which comes within `limit`.
    pub(super) fn hear<T: serde::de::DeserializeOwned>(&mut self, limit: Duration) -> Result<T> {
        use rustix::event::{PollFd, PollFlags};
        let end = wait::now() + limit;
        // One line is asked for at a time and read whole: the buffer is empty here.
        while !wait::poll_fds(
            &mut [PollFd::new(self.stdout.get_ref(), PollFlags::IN)],
            Duration::from_millis(200),
        ) {
            wait::check_interrupt()?;
            if wait::now() >= end {
                bail!("client {} says nothing for {} s", self.node, limit.as_secs());
            }
        }
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("client {} ended", self.node))
    }

    /// It sees all members.
    pub(super) fn expect_ready(&mut self, members: u8) -> Result<()> {
        let seen: u8 = self.hear(Duration::from_secs(60))?;
        ensure!(seen == members, "client {} sees {seen} members", self.node);
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

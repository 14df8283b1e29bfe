//! Processes by an identity that is never reused.
//!
//! A process id alone may belong to somebody else by the time it is used. Together with the time
//! at which the process started it is unique, and a pidfd that was opened before the comparison
//! keeps it so until the signal is sent.

use std::os::fd::OwnedFd;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid,
};
use serde::{Deserialize, Serialize};

use super::wait;

/// One process, in one life.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Process {
    /// Process id.
    pub pid: i32,
    /// Its start in clock ticks since boot, field 22 of `/proc/PID/stat`.
    pub start: u64,
}

/// What a process does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is no more, or a zombie.
    Gone,
    /// Stopped by a signal.
    Paused,
    /// Alive.
    Running,
}

impl Process {
    /// The process that has this id now, if any.
    pub fn of(pid: u32) -> Option<Self> {
        let pid = i32::try_from(pid).ok()?;
        let (_, start) = stat(pid)?;
        Some(Self { pid, start })
    }

    /// What it does now.
    pub fn state(self) -> State {
        self.reap();
        match stat(self.pid) {
            Some((letter, start)) if start == self.start => match letter {
                'Z' | 'X' | 'x' => State::Gone,
                'T' | 't' => State::Paused,
                _ => State::Running,
            },
            _ => State::Gone,
        }
    }

    /// Sends `signal`; false if the process is gone.
    ///
    /// # Errors
    /// If the system refuses, nothing was sent.
    pub fn signal(self, signal: Signal) -> Result<bool> {
        let Some(pidfd) = self.open()? else { return Ok(false) };
        match pidfd_send_signal(&pidfd, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot signal process {}", self.pid)),
        }
    }

    /// Waits until it is gone, for at most `limit`; true if it is.
    ///
    /// # Errors
    /// If the process cannot be watched.
    pub fn wait_gone(self, limit: Duration) -> Result<bool> {
        let end = wait::now() + limit;
        loop {
            let Some(pidfd) = self.open()? else { return Ok(true) };
            let now = wait::now();
            if now >= end {
                return Ok(false);
            }
            wait::poll_fds(&mut [PollFd::new(&pidfd, PollFlags::IN)], end.since(now));
        }
    }

    /// Resident memory in bytes; `None` if it is gone.
    pub fn resident_bytes(self) -> Option<u64> {
        self.status_bytes("VmRSS:")
    }

    /// The most that was resident since [`Self::reset_peak`], or since its start; `None` if it is
    /// gone.
    pub fn peak_resident_bytes(self) -> Option<u64> {
        self.status_bytes("VmHWM:")
    }

    /// Counts the most that is resident anew; false if the system does not allow it.
    pub fn reset_peak(self) -> bool {
        self.state() != State::Gone
            && std::fs::write(format!("/proc/{}/clear_refs", self.pid), "5").is_ok()
    }

    /// A size of `/proc/PID/status`.
    fn status_bytes(self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        (self.state() != State::Gone).then_some(kib << 10)
    }

    /// CPU time that all its threads have had; `None` if it is gone, or the system does not count.
    pub fn cpu_time(self) -> Option<Duration> {
        let mut total = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.pid)).ok()? {
            // The first number is in nanoseconds, where field 14 of stat has hundredths.
            let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            total += text.split_ascii_whitespace().next()?.parse::<u64>().ok()?;
        }
        (self.state() != State::Gone).then_some(Duration::from_nanos(total))
    }

    /// A descriptor of exactly this process, or `None` if it is gone.
    pub(super) fn open(self) -> Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        // First the descriptor, then the comparison: if the number was given to another process
        // in between, the comparison shows it, and afterwards the descriptor cannot change hands.
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Ok((self.state() != State::Gone).then_some(pidfd)),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot watch process {}", self.pid)),
        }
    }

    /// Takes the exit status of our own child, so that no zombie remains. Other processes'
    /// children are not ours to reap, and the call says so.
    fn reap(self) {
        if let Some(pid) = Pid::from_raw(self.pid) {
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// As a word of a command line: `PID:START`.
impl FromStr for Process {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (pid, start) = text.split_once(':')?;
            Some(Self { pid: pid.parse().ok()?, start: start.parse().ok()? })
        };
        parse().ok_or_else(|| "expected PID:START".to_owned())
    }
}

/// State letter and start time of `/proc/PID/stat`. The name in it may contain anything, so the
/// fields are counted from the last parenthesis on.
///
/// The letter is that of the first thread, which can be a zombie while others still hold what the
/// process had open, its locks among them: until they are gone too, it runs.
fn stat(pid: i32) -> Option<(char, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = text.get(text.rfind(')')? + 1..)?;
    let mut fields = fields.split_ascii_whitespace();
    let letter = fields.next()?.chars().next()?;
    // `next` took field 3; field 20 is the seventeenth after it, field 22 the second after that.
    let threads: u32 = fields.nth(16)?.parse().ok()?;
    let start = fields.nth(1)?.parse().ok()?;
    Some((if letter == 'Z' && threads > 1 { 'R' } else { letter }, start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_recycled_pid_is_another_process() {
        let own = Process::of(std::process::id()).unwrap();
        assert_eq!(own.state(), State::Running);
        let other = Process { start: own.start - 1, ..own };
        assert_eq!(other.state(), State::Gone);
        // The signal would end the test if it went to the wrong life.
        assert!(!other.signal(Signal::KILL).unwrap());
    }

    #[test]
    #[expect(clippy::zombie_processes, reason = "looking at the process reaps it")]
    fn a_child_is_paused_resumed_and_killed() {
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        let process = Process::of(child.id()).unwrap();
        let limit = Duration::from_secs(30);
        assert!(process.signal(Signal::STOP).unwrap());
        wait::until("stopped", limit, || Ok((process.state() == State::Paused).then_some(())))
            .unwrap();
        assert!(process.signal(Signal::CONT).unwrap());
        wait::until("running", limit, || Ok((process.state() == State::Running).then_some(())))
            .unwrap();
        assert!(process.signal(Signal::KILL).unwrap());
        assert!(process.wait_gone(limit).unwrap());
        assert!(!process.signal(Signal::KILL).unwrap());
    }
}

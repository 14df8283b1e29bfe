//! One of a cluster's namespaces, and how a process gets into it.

use std::fmt;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use rustix::thread::{
    LinkNameSpaceType, ThreadNameSpaceType, move_into_link_name_space, move_into_thread_name_spaces,
};

use super::super::process::{Process, State};
use super::holder::FIRST_FD;

/// A namespace that a holder keeps. As a word of a command line: `PID:START:user:switch`,
/// `PID:START:plain:3`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// Who keeps it.
    pub holder: Process,
    /// It is in the holder's user namespace.
    pub user: bool,
    /// Which of those that he keeps.
    pub at: At,
}

/// Which namespace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum At {
    /// A node's.
    Node(u8),
    /// That of the bridges.
    Switch,
}

impl Place {
    /// Moves this process, which must have one thread, into the namespace.
    ///
    /// # Errors
    /// If the holder is gone, or the system refuses; the process is then not to be used further.
    pub fn enter(self) -> Result<()> {
        let gone = || format!("process {}, which holds the namespaces, is gone", self.holder.pid);
        let holder = self.holder.open()?.with_context(gone)?;
        let path = self.path();
        let network = File::open(&path).with_context(|| format!("cannot open {path}"))?;
        // It lived until now: what was opened by its number was its own.
        if self.holder.state() == State::Gone {
            bail!(gone());
        }
        // Who is inside already, as a shell of `muster shell`, may not enter again.
        if self.user && !self.is_inside()? {
            move_into_thread_name_spaces(holder.as_fd(), ThreadNameSpaceType::USER).with_context(
                || format!("cannot enter the user namespace of {}", self.holder.pid),
            )?;
        }
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
            .with_context(|| format!("cannot enter the network namespace {path}"))
    }

    /// The name of the network namespace, for this system's other tools, too: `nsenter --net=...`.
    pub fn path(self) -> String {
        let pid = self.holder.pid;
        match self.at {
            At::Node(node) => format!("/proc/{pid}/fd/{}", FIRST_FD + i32::from(node)),
            At::Switch => format!("/proc/{pid}/ns/net"),
        }
    }

    fn is_inside(self) -> Result<bool> {
        let theirs = fs::read_link(format!("/proc/{}/ns/user", self.holder.pid));
        let theirs = theirs.context("cannot look at the holder's user namespace")?;
        Ok(fs::read_link("/proc/self/ns/user").context("/proc is not mounted")? == theirs)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Process { pid, start } = self.holder;
        let user = if self.user { "user" } else { "plain" };
        match self.at {
            At::Node(node) => write!(f, "{pid}:{start}:{user}:{node}"),
            At::Switch => write!(f, "{pid}:{start}:{user}:switch"),
        }
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let mut words = text.split(':');
            let holder =
                Process { pid: words.next()?.parse().ok()?, start: words.next()?.parse().ok()? };
            let user = match words.next()? {
                "user" => true,
                "plain" => false,
                _ => return None,
            };
            let at = match words.next()? {
                "switch" => At::Switch,
                node => At::Node(node.parse().ok()?),
            };
            words.next().is_none().then_some(Self { holder, user, at })
        };
        parse().ok_or_else(|| "expected PID:START:user|plain:NODE|switch".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_the_command_line() {
        let holder = Process { pid: 4711, start: 99 };
        for (user, at) in [(true, At::Switch), (false, At::Node(127))] {
            let place = Place { holder, user, at };
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for wrong in ["", "1:2:user", "1:2:root:switch", "1:2:user:3:4", "1:2:user:300"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }
}

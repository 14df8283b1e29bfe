//! A closed process group of Corosync as a [`Bus`].

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use gab::Level;
use rustix::event::{PollFd, PollFlags};

use super::super::super::process::Process;
use super::super::super::wait;
use super::super::bus::Bus;
use super::config::NODE_ID_FIRST;
use super::cpg::{Calls, Cpg, Event};
use super::room;

/// A member of the group.
#[derive(Debug)]
pub(in super::super) struct Group {
    cpg: Cpg,
    own: u8,
    members: usize,
    everybody: usize,
    /// How long it lets messages gather before it looks at them.
    gather: Duration,
}

/// Corosync wakes its client for each message, and the client is back before the next one is there,
/// so that everybody switches all the time. If it stays away for a while, and a sender for a shorter
/// one, more get through: at n = 4 on two processors, by a third to a half.
const GATHER: Duration = Duration::from_millis(2);
const GATHER_SENDER: Duration = Duration::from_micros(200);

/// A daemon that starts answers late on a bad day.
const PATIENCE: Duration = Duration::from_secs(60);

impl Group {
    /// Goes to where `daemon` is and joins; `everybody` are so many.
    pub(in super::super) fn join(daemon: Process, everybody: u8) -> Result<Self> {
        // The library is loaded first: afterwards this process sees the daemon's files.
        let mut calls = Some(Calls::load()?);
        room::enter(daemon)?;
        let mut cpg = wait::until("corosync takes a client", PATIENCE, || {
            match Cpg::connect(calls.take().context("it was given back")?) {
                Ok(cpg) => Ok(Some(cpg)),
                Err((back, failed)) if failed.is_for_now() || failed.is_unconnected() => {
                    calls = Some(back);
                    Ok(None)
                }
                Err((_, failed)) => Err(failed.into()),
            }
        })?;
        wait::until("corosync takes a member of a group", PATIENCE, || {
            match cpg.join("muster-bench") {
                Ok(()) => Ok(Some(())),
                Err(failed) if failed.is_for_now() => Ok(None),
                Err(failed) => Err(failed.into()),
            }
        })?;
        let own = node(cpg.local()?)?;
        Ok(Self { cpg, own, members: 0, everybody: usize::from(everybody), gather: Duration::ZERO })
    }

    /// Waits until the group has changed; gives how many members it has then.
    pub(super) fn wait_change(&mut self) -> Result<usize> {
        let mut changed = None;
        while changed.is_none() {
            wait::poll_fds(&mut [PollFd::new(&self.cpg.fd(), PollFlags::IN)], PATIENCE);
            self.cpg.dispatch(&mut |event| {
                if let Event::Members(count) = event {
                    changed = Some(count);
                }
            })?;
        }
        self.members = changed.context("it has changed")?;
        Ok(self.members)
    }
}

fn node(id: u32) -> Result<u8> {
    let node = id.checked_sub(NODE_ID_FIRST).and_then(|node| u8::try_from(node).ok());
    node.with_context(|| format!("corosync has no node {id} in its file"))
}

impl Bus for Group {
    fn own(&self) -> u8 {
        self.own
    }

    fn wait_everybody(&mut self) -> Result<usize> {
        let end = wait::now() + PATIENCE;
        while self.members < self.everybody {
            let now = wait::now();
            ensure!(
                now < end,
                "the group has {} members, expected {}",
                self.members,
                self.everybody
            );
            wait::poll_fds(&mut [PollFd::new(&self.cpg.fd(), PollFlags::IN)], end.since(now));
            let (mut early, members) = (false, &mut self.members);
            self.cpg.dispatch(&mut |event| match event {
                Event::Members(count) => *members = count,
                Event::Message { .. } => early = true,
            })?;
            ensure!(!early, "a message before the first round");
        }
        Ok(self.members)
    }

    fn begin(&mut self, flood: bool, sends: bool) {
        self.gather = match (flood, sends) {
            (false, _) => Duration::ZERO,
            (true, false) => GATHER,
            (true, true) => GATHER_SENDER,
        };
    }

    fn try_broadcast(&mut self, payload: &[u8], _: Level, _: bool) -> Result<bool> {
        match self.cpg.broadcast(payload) {
            Ok(()) => Ok(true),
            Err(failed) if failed.is_for_now() => Ok(false),
            Err(failed) => Err(failed.into()),
        }
    }

    /// Nothing waits.
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn receive(
        &mut self,
        patience: Duration,
        sink: &mut impl FnMut(u8, &[u8]) -> Result<()>,
    ) -> Result<bool> {
        if !wait::poll_fds(&mut [PollFd::new(&self.cpg.fd(), PollFlags::IN)], patience) {
            return Ok(false);
        }
        if !self.gather.is_zero() {
            wait::pause(self.gather);
        }
        let (mut result, mut members) = (Ok(()), None);
        self.cpg.dispatch(&mut |event| match event {
            Event::Message { node: id, payload } => {
                // After an error nothing counts any more.
                if result.is_ok() {
                    result = node(id).and_then(|sender| sink(sender, payload));
                }
            }
            Event::Members(count) => members = Some(count),
        })?;
        if let Some(count) = members {
            bail!("the membership changed to {count} nodes");
        }
        result.map(|()| true)
    }
}

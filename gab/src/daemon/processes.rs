//! Processes of clients that matter beyond their connections: those of kernel-type clients, and the
//! supervised ones, which may have to be killed.
//!
//! They are known and signalled by pidfd only: a process id may be another process a moment later.
//! A process that was killed stays known until it is gone, whatever becomes of its connection and of
//! the stack that wanted it dead (precise rule 11).

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};

use llt::Instant;
use llt::time::earliest;
use rustix::io::Errno;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::core::{Blow, ClientSignal, Killing, Policy};
use crate::daemon::metrics::Kills;
use crate::daemon::poller::{Poller, Token};
use crate::ids::PortName;

/// One process.
#[derive(Debug)]
pub(super) struct Process {
    fd: OwnedFd,
    pid: i32,
    port: PortName,
    kernel: bool,
    supervised: bool,
    /// It got SIGKILL, and its registration is over.
    isolated: bool,
    /// Once the stack that watched it is gone, its end is brought about here.
    killing: Option<Killing>,
}

/// All of them, by the number of the client.
#[derive(Debug, Default)]
pub(super) struct Processes {
    by_number: BTreeMap<u32, Process>,
    /// It was said that signals are refused.
    told: bool,
    kills: Kills,
}

impl Process {
    /// The process at the other end of a connection. Fails if there is none in our sight.
    pub(super) fn at(
        socket: impl AsFd,
        port: PortName,
        kernel: bool,
        supervised: bool,
    ) -> Result<Self, Errno> {
        let peer = rustix::net::sockopt::socket_peercred(socket)?;
        let fd = pidfd_open(peer.pid, PidfdFlags::empty())?;
        let pid = peer.pid.as_raw_pid();
        Ok(Self { fd, pid, port, kernel, supervised, isolated: false, killing: None })
    }
}

impl Processes {
    /// From now on its end is told as that of this client.
    pub(super) fn add(&mut self, poller: &Poller, number: u32, process: Process) {
        if let Err(error) = poller.add(&process.fd, Token::Process(number)) {
            tracing::error!("cannot watch the process of a client: {error}");
        }
        self.by_number.insert(number, process);
    }

    /// Is the number in use still?
    pub(super) fn contains(&self, number: u32) -> bool {
        self.by_number.contains_key(&number)
    }

    /// Is anybody supervised?
    pub(super) fn is_supervising(&self) -> bool {
        self.by_number.values().any(|process| process.supervised)
    }

    /// Signals sent to clients that hung.
    pub(super) const fn kills(&self) -> Kills {
        self.kills
    }

    /// The process id, for people.
    pub(super) fn pid(&self, number: u32) -> Option<i32> {
        self.by_number.get(&number).map(|process| process.pid)
    }

    /// The connection is gone, and nothing depends on the process any more unless it was killed:
    /// false if it was.
    pub(super) fn release(&mut self, poller: &Poller, number: u32) -> bool {
        let free = self.by_number.get(&number).is_none_or(|process| !process.isolated);
        if free {
            self.gone(poller, number);
        }
        free
    }

    /// The process is gone.
    pub(super) fn gone(&mut self, poller: &Poller, number: u32) {
        if let Some(process) = self.by_number.remove(&number) {
            poller.remove(&process.fd);
        }
    }

    /// An attempt to kill a client's process.
    pub(super) fn signal(&mut self, number: u32, signal: ClientSignal) {
        let Self { by_number, told, kills } = self;
        let Some(process) = by_number.get_mut(&number) else { return };
        process.isolated |= signal == ClientSignal::Kill;
        let port = process.port;
        tracing::warn!(
            "GAB WARNING V-15-1-20035 Port {port} attempting to kill process due to client process \
             failure"
        );
        let signal = match signal {
            ClientSignal::Abort => Signal::ABORT,
            ClientSignal::Kill => Signal::KILL,
        };
        let sent = pidfd_send_signal(&process.fd, signal);
        if sent.is_ok() {
            let count = if signal == Signal::KILL { &mut kills.kill } else { &mut kills.abort };
            *count += 1;
        }
        match sent {
            // Gone already, which its descriptor tells in a moment.
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) if !*told => {
                *told = true;
                let pid = process.pid;
                tracing::error!(
                    "cannot kill process {pid}: {error}; its port is closed all the same"
                );
            }
            Err(_) => {}
        }
    }

    /// Kills every kernel-type client, for the node halts, and names their ports.
    pub(super) fn kill_kernel(&self) -> Vec<PortName> {
        let kernel = self.by_number.values().filter(|process| process.kernel);
        let killed = kernel.map(|process| {
            let _ = pidfd_send_signal(&process.fd, Signal::KILL);
            process.port
        });
        killed.collect()
    }

    /// The life of the node is over, but not the process's: what its stack had begun is carried on,
    /// and whoever is fenced has the IOFENCE time to hang up.
    pub(super) fn fence(&mut self, now: Instant, policy: &Policy, is_fenced: impl Fn(u32) -> bool) {
        for (&number, process) in &mut self.by_number {
            if process.killing.is_some() {
                continue;
            }
            if process.isolated {
                process.killing = Some(Killing::isolated(now));
            } else if is_fenced(number) {
                process.killing = Some(Killing::from(now + policy.iofence));
            }
        }
    }

    /// What is due to processes that no stack watches. The port of one that outlives everything: the
    /// node must halt.
    pub(super) fn strike(&mut self, now: Instant, policy: &Policy) -> Option<PortName> {
        let mut blows = Vec::new();
        for (&number, process) in &mut self.by_number {
            let blow = process.killing.as_mut().and_then(|killing| killing.strike(now, policy));
            blows.extend(blow.map(|blow| (number, process.port, blow)));
        }
        for (number, port, blow) in blows {
            match blow {
                Blow::Abort => self.signal(number, ClientSignal::Abort),
                Blow::Again | Blow::Isolate => self.signal(number, ClientSignal::Kill),
                Blow::Halt => return Some(port),
            }
        }
        None
    }

    /// When [`Processes::strike`] has something to do.
    pub(super) fn next_deadline(&self, policy: &Policy) -> Option<Instant> {
        let killings = self.by_number.values().filter_map(|process| process.killing.as_ref());
        killings
            .map(|killing| killing.deadline(policy))
            .fold(None, |least, at| earliest(least, Some(at)))
    }
}

//! `vxrelocd`: puts what has failed with its disk on other disks (facts 2.8).
//!
//! It listens to what `vxnotify` tells, and looks at all groups whenever anything happens: what has
//! failed is in the records, and so is what was done about it. So it may be killed at any moment,
//! together with the master or not, and whoever acts next finds what is left to do. One runs on each
//! node. For shared groups that of the master acts, for private ones that of their node.

mod decide;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use cvm::client::ClientError;
use cvm::model::Name;
use cvm::model::op::Op;
use cvm::request::{Reply, Request};
use cvm::snapshot::Snapshot;

use super::{Daemon, exit};
use crate::common::time::readable_within;
use crate::common::{Failure, Root};
use crate::muster::wait::pause;

use decide::{Found, Key, found, outcome};
use tell::Teller;

/// Relocate what has failed with its disk to spares, and to free space
#[derive(Debug, Parser)]
#[command(name = "vxrelocd", version, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    root: Root,
    /// Give what is told to this command, too, on its standard input; a line of sh
    #[arg(long, value_name = "COMMAND")]
    mail: Option<String>,
}

/// The definition, for the manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut relocator = Relocator {
        root: cli.root,
        teller: Teller::new(cli.mail),
        told: BTreeMap::new(),
        copied: BTreeMap::new(),
    };
    exit("vxrelocd", relocator.run())
}

/// What it does, and what it has said of it.
struct Relocator {
    root: Root,
    teller: Teller,
    /// Why something was not relocated, as it was told.
    told: BTreeMap<Key, String>,
    /// What was relocated here and is being copied, with its volume.
    copied: BTreeMap<Key, Name>,
}

impl Relocator {
    /// Goes on for ever; vxconfigd may come and go.
    fn run(&mut self) -> Result<(), Failure> {
        loop {
            match Daemon::connect(&self.root) {
                Ok(events) => self.listen(events)?,
                Err(Failure::NoDaemon(_)) => {}
                Err(failure) => return Err(failure),
            }
            pause(RETRY);
        }
    }

    /// Looks whenever anything was told, and at once; until vxconfigd is gone.
    fn listen(&mut self, mut events: Daemon) -> Result<(), Failure> {
        let mut reply = events.client().request(&Request::Events);
        loop {
            match reply {
                Ok(Reply::Event(_)) => {}
                Ok(other) => {
                    let text = format!("vxconfigd answered with something else: {other:?}");
                    return Err(Failure::operation(text));
                }
                Err(ClientError::Broken { .. }) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            // One look is enough for all that was told meanwhile.
            if !readable_within(&*events.client(), Duration::ZERO) {
                while self.look()? && !readable_within(&*events.client(), RETRY) {}
            }
            reply = events.client().answer();
        }
    }

    /// Does what there is to do, one thing after the other; true if something of it is to be tried again.
    fn look(&mut self) -> Result<bool, Failure> {
        let looked = self.relocate_all();
        self.teller.mail();
        match looked {
            Ok(again) => Ok(again),
            // vxconfigd is gone, or about to go: that is seen where events come from.
            Err(Failure::NoDaemon(_) | Failure::Operation { .. }) => Ok(true),
            Err(failure) => Err(failure),
        }
    }

    fn relocate_all(&mut self) -> Result<bool, Failure> {
        let mut daemon = Daemon::connect(&self.root)?;
        let mut tried = BTreeSet::new();
        let mut again = false;
        loop {
            // Each relocation may change what is to be said of the others.
            let snapshot = daemon.snapshot()?;
            self.tell_copied(&snapshot)?;
            let all = found(&snapshot);
            self.told.retain(|key, _| all.iter().any(|found| found.key == *key));
            let next = all.iter().find(|found| found.plan.is_ok() && !tried.contains(&found.key));
            let Some(next) = next else {
                self.tell_refused(&all)?;
                return Ok(again);
            };
            tried.insert(next.key.clone());
            again |= !self.relocate(&mut daemon, next)?;
        }
    }

    /// False if that was refused.
    fn relocate(&mut self, daemon: &mut Daemon, found: &Found) -> Result<bool, Failure> {
        let (group, plex) = (found.group.clone(), found.failed.plex.clone());
        let request = Request::Op { group, op: Op::Relocate { plex } };
        let refused = daemon.change_each([&request]).pop();
        let Some(failure) = refused else {
            self.teller.info(&found.lines())?;
            if !found.is_log {
                self.copied.insert(found.key.clone(), found.failed.top.clone());
            }
            return Ok(true);
        };
        self.tell_once(&found.key, found.not_done(&failure.to_string()))?;
        Ok(false)
    }

    fn tell_refused(&mut self, all: &[Found]) -> Result<(), Failure> {
        for found in all {
            if let Err(why) = &found.plan {
                self.tell_once(&found.key, found.not_done(&why.to_string()))?;
            }
        }
        Ok(())
    }

    fn tell_once(&mut self, key: &Key, line: String) -> Result<(), Failure> {
        if self.told.get(key) != Some(&line) {
            self.teller.warn(std::slice::from_ref(&line))?;
            self.told.insert(key.clone(), line);
        }
        Ok(())
    }

    /// What came of copies that were begun.
    fn tell_copied(&mut self, snapshot: &Snapshot) -> Result<(), Failure> {
        for (key, volume) in std::mem::take(&mut self.copied) {
            match outcome(snapshot, &key, &volume) {
                None => drop(self.copied.insert(key, volume)),
                Some(Ok(line)) => self.teller.info(&[line])?,
                Some(Err(line)) => self.teller.warn(&[line])?,
            }
        }
        Ok(())
    }
}

/// Between two looks for a vxconfigd that is gone, and before what was refused is tried again.
const RETRY: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  vxrelocd             as a service, or in the background: it stays in the foreground
  vxrelocd --mail 'mail -s \"volumes of $(hostname)\" root'
                       what is told is mailed, too
  muster up --disks 6 --relocd
                       one on each node of a testbed

It acts when a plex was taken off because a disk could not be written: the plex is IOFAIL (of a log:
DETACHED), and the disk failing. What of it lies on that disk is put on spares (vxedit set spare=on), else
where something is free, but not on disks with nohotuse=on or reserve=on; never on a disk with another
mirror or column of the volume. Then it is copied from another plex. A log begins anew. Of several
subdisks of one disk all go to one place if they fit. vxunreloc moves them back.

What stays where it is is told once, with the reason: a volume without another copy of its data, no room,
a log within a plex with data. The space on the disk that has failed stays as it is.

For shared groups the vxrelocd of the master acts, so that one should run on every node; for a private
group that of its node. It waits for a vxconfigd that is not there.

Exit codes: 1 failed, 2 usage. It ends only by a signal, or when nobody reads what it tells.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood() {
        command().debug_assert();
        let cli = Cli::try_parse_from(["vxrelocd", "--mail", "cat > x"]).unwrap();
        assert_eq!(cli.mail.as_deref(), Some("cat > x"));
        for line in [&["vxrelocd", "mydg"][..], &["vxrelocd", "--mail"], &["vxrelocd", "-g", "a"]] {
            assert!(Cli::try_parse_from(line).is_err(), "{line:?}");
        }
    }
}

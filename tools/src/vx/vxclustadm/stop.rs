//! `stopnode`: the node leaves when all is closed, which may take as long as programs like; who waits is
//! told for what (CVM-25, CVM-28).

use std::collections::BTreeSet;
use std::time::Duration;

use cvm::request::{ClusterRequest, Reply, Request};
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::common::{Failure, Root};
use crate::vx::Daemon;
use crate::vx::opens::Opens;

/// Leaves. Volumes that are open for longer are told, and whenever they are others.
pub(super) fn stop(root: &Root, mut daemon: Daemon) -> Result<(), Failure> {
    daemon.client().send(&Request::Cluster(ClusterRequest::Stop))?;
    let (mut told, mut looks) = (Vec::new(), 0);
    while !is_answered(&mut daemon)? {
        // Whoever cannot be asked is not: the node goes on leaving.
        let open = open_here(root).unwrap_or_default();
        if !open.is_empty() && open != told {
            eprintln!(
                "VxVM vxclustadm NOTICE waits until these are closed here: {}",
                open.join(", ")
            );
            told = open;
            looks = 0;
        }
        looks += 1;
        if looks == PATIENCE {
            eprintln!(
                "VxVM vxclustadm NOTICE waits for what is under way here, or for disks that have not \
                 answered (see the log of vxiod); abortnode does not"
            );
        }
    }
    match daemon.answer()? {
        Reply::Done => Ok(()),
        other => {
            Err(Failure::operation(format!("vxconfigd answered with something else: {other:?}")))
        }
    }
}

/// Shared volumes that are open on this node. The connection is another one: that of the request has an
/// answer to come.
fn open_here(root: &Root) -> Result<Vec<String>, Failure> {
    let mut daemon = Daemon::connect(root)?;
    let snapshot = daemon.snapshot()?;
    let here = BTreeSet::from([snapshot.cluster.node]);
    Ok(Opens::ask(&mut daemon, &snapshot, here)?.shared(&snapshot))
}

/// There is an answer, or vxconfigd is gone; if not, a while has passed.
fn is_answered(daemon: &mut Daemon) -> Result<bool, Failure> {
    let while_ = Timespec::try_from(LOOK).map_err(|error| Failure::because(&error))?;
    let client = &*daemon.client();
    match rustix::event::poll(&mut [PollFd::new(client, PollFlags::IN)], Some(&while_)) {
        Ok(count) => Ok(count > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(Failure::because(&error)),
    }
}

/// As many looks at which nothing was new until that is worth a word.
const PATIENCE: u32 = 5;
/// Between two looks at what is open.
const LOOK: Duration = Duration::from_secs(2);

//! Nodes for the tests: those of a cluster that is up, as `muster up` makes it.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::Signal;
use tools::muster::cluster::TimerProfile;
use tools::muster::temporary::Temporary;
use tools::muster::testbed::UpOptions;

/// One node; its cluster is taken down with the last.
#[derive(Debug)]
pub(crate) struct Node {
    cluster: Rc<Temporary>,
    id: u8,
}

/// So many running nodes, of one cluster on two links over the loopback.
pub(crate) fn cluster(nodes: u8) -> Vec<Node> {
    // The timers bear that the machine does something else for a while.
    let options = UpOptions { nodes, timers: TimerProfile::Patient, ..UpOptions::default() };
    let cluster = Temporary::up(&options).unwrap_or_else(|error| panic!("{error:#}"));
    let cluster = Rc::new(cluster);
    (0..nodes).map(|id| Node { cluster: Rc::clone(&cluster), id }).collect()
}

impl Node {
    pub(crate) fn root(&self) -> PathBuf {
        self.cluster.cluster.root(self.id)
    }

    /// Stops gabd in order, or kills it.
    pub(crate) fn end(&self, signal: Signal) {
        let obeyed = match signal {
            Signal::TERM => self.cluster.stop(self.id),
            Signal::KILL => self.cluster.kill(self.id),
            other => panic!("{other:?} is no end"),
        };
        assert!(obeyed.unwrap());
    }

    /// What gabd has used of a processor so far.
    pub(crate) fn processor_time(&self) -> Duration {
        self.cluster.cluster.node(self.id).gabd.and_then(|gabd| gabd.cpu_time()).unwrap()
    }
}

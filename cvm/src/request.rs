//! What utilities ask of vxconfigd, as JSON over `run/vxconfigd.sock`. Ours.
//!
//! A request about a shared group that is given on a slave travels to the master as it is (command
//! shipping, facts 3.13).

use llt::NodeId;
use serde::{Deserialize, Serialize};

use crate::disk::{Decision, RequestId};
use crate::model::op::{DiskName, Op};
use crate::model::{Activation, Copies, Name, Sectors};
use crate::snapshot::Snapshot;

/// One request. The answer is a [`Reply`].
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum Request {
    /// `vxdg -g dg set activation=mode`: of this node.
    Activate {
        /// Which group.
        group: Name,
        /// The mode.
        mode: Activation,
    },
    /// `vxclustadm`
    Cluster(ClusterRequest),
    /// `vxdg`: a group as a whole.
    Group(GroupRequest),
    /// A change of what is in a group.
    Op {
        /// Which group.
        group: Name,
        /// What is to be done.
        op: Op,
    },
    /// `vxdisksetup`, `vxdiskunsetup`
    Disk(DiskRequest),
    /// `vxdisk scandisks`: looks at all disks again.
    Scan,
    /// What listings show. The answer is [`Reply::Snapshot`].
    Snapshot,
    /// `vxdctl transstate`: what became of a request.
    TransState(
        /// Which.
        RequestId,
    ),
}

/// `vxclustadm`
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum ClusterRequest {
    /// Leave at once.
    Abort,
    /// Another node is to be master.
    SetMaster(
        /// Which.
        NodeId,
    ),
    /// Join the cluster.
    Start,
    /// Leave when all is closed.
    Stop,
}

/// A disk of no group.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum DiskRequest {
    /// `vxdisksetup -i`: makes a disk of it.
    Setup {
        /// Its access name.
        access: String,
        /// `-f`: although it is one already.
        force: bool,
        /// Length of its private region; 32 MiB if not given.
        private_len: Option<Sectors>,
    },
    /// `vxdiskunsetup`: takes the label away.
    Unsetup {
        /// Its access name.
        access: String,
        /// `-C`: although it says that it belongs to a group that is not imported.
        force: bool,
    },
}

/// `vxdg` for a whole group.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum GroupRequest {
    /// `vxdg deport`
    Deport {
        /// Which.
        group: Name,
        /// `-n`: under another name.
        rename: Option<Name>,
        /// `-h`: for that host.
        host: Option<Name>,
    },
    /// `vxdg destroy`
    Destroy(
        /// Which.
        Name,
    ),
    /// `vxdg import`
    Import(
        /// How.
        Import,
    ),
    /// `vxdg init`
    Init {
        /// Its name.
        name: Name,
        /// `-s`
        shared: bool,
        /// Its disks, at least one.
        disks: Vec<DiskName>,
        /// The base of its minor numbers; chosen if not given.
        minors: Option<u32>,
        /// Copies of the configuration.
        nconfig: Copies,
        /// Copies of the log.
        nlog: Copies,
        /// Objects for any platform.
        cds: bool,
    },
}

/// `vxdg import`
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Import {
    /// A name, or an id.
    pub group: String,
    /// `-s`
    pub shared: bool,
    /// `-f`: although disks are missing.
    pub force: bool,
    /// `-C`: although it is stamped with another owner.
    pub clear: bool,
    /// `-t`: not by itself at the next start.
    pub temporary: bool,
    /// `-n`: under another name.
    pub rename: Option<Name>,
}

/// What came of a request.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum Reply {
    /// It is done, everywhere.
    Done,
    /// It is not, and nothing was changed.
    Failed(Failure),
    /// Of [`Request::Snapshot`].
    Snapshot(Box<Snapshot>),
    /// Of [`Request::TransState`]; `None` is unknown: it was never loaded, or is long forgotten.
    TransState(Option<Decision>),
    /// It may or may not be done: this node was thrown out of the cluster before it was decided.
    Unknown(
        /// What to ask about.
        RequestId,
    ),
}

/// Why a request was not done.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Failure {
    /// The original's id of the message, where it has one.
    pub id: Option<String>,
    /// For people.
    pub text: String,
    /// The exit status of the utility.
    pub exit: u8,
    /// The request, if it came so far as to have a name.
    pub request: Option<RequestId>,
}

impl Failure {
    /// A failure with a message of the original.
    pub fn with_id(id: &str, text: impl Into<String>) -> Self {
        Self { id: Some(id.to_owned()), ..Self::plain(text) }
    }

    /// A failure in a plain sentence.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { id: None, text: text.into(), exit: 1, request: None }
    }
}

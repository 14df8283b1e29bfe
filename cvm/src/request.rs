//! What utilities ask of vxconfigd, as JSON over `run/vxconfigd.sock`. Ours.
//!
//! A request about a shared group that is given on a slave travels to the master as it is (command
//! shipping, facts 3.13).

use std::collections::{BTreeMap, BTreeSet};

use llt::NodeId;
use serde::{Deserialize, Deserializer, Serialize};

use crate::core::iod::Pace;
use crate::disk::{Decision, RequestId};
use crate::model::op::{DiskName, Make, Op, Storage};
use crate::model::{Activation, Copies, Name, Refused, Sectors, UniqueId};
use crate::snapshot::Snapshot;
use crate::stats::{Reset, Stats, TraceTaken, Traced};

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
    /// `vxdctl disable`: nothing but `vxdctl enable` is done from now on. What is open stays open.
    Disable,
    /// `vxdisksetup`, `vxdiskunsetup`
    Disk(DiskRequest),
    /// `vxdctl enable`: at work again; and looks at all disks.
    Enable,
    /// `vxnotify`: what happens from now on. Answers are [`Reply::Event`] until the connection is closed.
    Events,
    /// `vxassist maxsize`: how long a volume could be. The answer is [`Reply::Length`].
    MaxSize {
        /// Which group.
        group: Name,
        /// The volume as it would be made; its length counts for nothing.
        make: Box<Make>,
    },
    /// `vxassist maxgrow`: how long a volume could become. The answer is [`Reply::Length`].
    MaxGrow {
        /// Which group.
        group: Name,
        /// Which volume.
        volume: Name,
        /// Where.
        storage: Vec<Storage>,
    },
    /// `vxtask`: copies of a volume are made faster, slower, or later.
    Pace {
        /// Which group.
        group: Name,
        /// Which volume.
        volume: Name,
        /// How fast.
        pace: Pace,
    },
    /// `vxdisk scandisks`: looks at all disks again.
    Scan,
    /// What listings show. The answer is [`Reply::Snapshot`].
    Snapshot,
    /// `vxstat`: what volumes have done. The answer is [`Reply::Stats`].
    Stats {
        /// At these nodes; none are all that are in the cluster, or this one if it is in none.
        nodes: BTreeSet<u8>,
        /// What is counted anew from there on.
        reset: Option<Reset>,
    },
    /// `vxtrace`: what happens to volumes of this node. The answer is [`Reply::Traced`].
    Trace(
        /// Where the last answer has ended.
        TraceTaken,
    ),
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
    /// Read the names of the nodes again.
    Reinit,
    /// How much this node wants to be master: the highest of the members is, when the master leaves.
    SetPreference(
        /// 0 if nothing was ever said.
        i32,
    ),
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
    /// `vxconfigrestore -c`: a group as a backup describes it, on the disks that it names by id.
    Restore {
        /// The group in the format of [`crate::model::text`], as `vxprint -m` writes it.
        description: String,
        /// `-s`: shared.
        shared: bool,
    },
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

/// What a `vxnotify` prints (facts 4.5).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The configuration of a group is another.
    Changed(EventGroup),
    /// vxconfigd is heard.
    Connected,
    /// A group is no longer imported here.
    Deported(EventGroup),
    /// A group cannot be used here.
    Disabled(EventGroup),
    /// A disk of a group has shown errors, and is failing from now on; or it is not there any more.
    DiskDetached {
        /// Its access name here; empty if it has no path.
        access: String,
        /// The member.
        dm: String,
        /// Whose.
        group: EventGroup,
    },
    /// A disk of a group is another, or has other attributes.
    DiskChanged {
        /// Its access name here; empty if it has no path.
        access: String,
        /// The member.
        dm: String,
        /// Whose.
        group: EventGroup,
    },
    /// A group was imported here.
    Imported(EventGroup),
    /// This node joined the cluster.
    Joined {
        /// As master.
        is_master: bool,
    },
    /// This node is out of the cluster.
    Left {
        /// Why (facts 3.11).
        reason: String,
    },
    /// There is another master.
    Master {
        /// Its node id.
        node: u8,
    },
    /// A plex was in use and is not any more, although its volume was not stopped.
    PlexDetached {
        /// Which.
        plex: String,
        /// Of which volume.
        volume: String,
        /// Of which group.
        group: EventGroup,
    },
    /// A volume cannot be used any more, and was not stopped.
    VolumeDetached {
        /// Which.
        volume: String,
        /// Of which group.
        group: EventGroup,
    },
}

/// The group that an event is about.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct EventGroup {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub id: String,
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
    /// `-o selectcp=`: of the configurations of a serial split brain the one that this disk has.
    pub select: Option<UniqueId>,
    /// `-o reminor`: another base of the minor numbers; `Some(None)`: one that is free.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub reminor: Option<Option<u32>>,
}

/// What is there is meant, `null` too: that it is not given is said by leaving it out.
fn given<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(input).map(Some)
}

/// What volumes have done, node by node.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct NodesStats {
    /// By id of the node.
    pub nodes: BTreeMap<u8, Stats>,
    /// Nodes that have not answered, or have no vxiod.
    pub silent: BTreeSet<u8>,
}

/// What came of a request.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum Reply {
    /// It is done, everywhere.
    Done,
    /// Of [`Request::Events`].
    Event(Event),
    /// It is not, and nothing was changed.
    Failed(Failure),
    /// Of [`Request::MaxSize`] and [`Request::MaxGrow`].
    Length(Sectors),
    /// Comes before the answer: what to ask about if the connection breaks.
    Named(RequestId),
    /// Of [`Request::Snapshot`].
    Snapshot(Box<Snapshot>),
    /// Of [`Request::Stats`].
    Stats(Box<NodesStats>),
    /// Of [`Request::Trace`].
    Traced(Traced),
    /// Of [`Request::TransState`]; `None` is unknown: it was never loaded, or is long forgotten.
    TransState(Option<Decision>),
    /// It may or may not be done: this node was thrown out of the cluster before it was decided, or it
    /// failed and could not be undone on the disks.
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

/// Texts that nodes tell each other, and the ids that the original gives them (facts 3.18).
const KNOWN: [(&str, &str); 6] = [
    ("Some volumes in the disk group are in use", "V-5-1-584"),
    ("Transaction already in progress", "V-5-1-2860"),
    ("Disk group exists and is imported", "V-5-1-2922"),
    ("Disk device not found", "V-5-1-546"),
    ("Cluster master out of sync?", "V-5-1-3022"),
    ("Join in progress", "V-5-1-3033"),
];

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self {
            id: refused.id().map(str::to_owned),
            exit: refused.exit(),
            ..Self::plain(refused.to_string())
        }
    }
}

impl Failure {
    /// A failure with a message of the original.
    pub fn with_id(id: &str, text: impl Into<String>) -> Self {
        Self { id: Some(id.to_owned()), ..Self::plain(text) }
    }

    /// A failure that a node has put into words; texts of the original get their ids.
    pub fn told(text: impl Into<String>) -> Self {
        let text = text.into();
        let known = KNOWN.iter().find(|(known, _)| text.contains(known));
        Self { id: known.map(|(_, id)| (*id).to_owned()), ..Self::plain(text) }
    }

    /// A failure in a plain sentence.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { id: None, text: text.into(), exit: 1, request: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `vxdg -o reminor import` without a base, which is not the same as without `-o reminor`.
    #[test]
    fn an_import_is_read_as_it_was_written() {
        for reminor in [None, Some(None), Some(Some(32_000))] {
            let import = Import {
                group: "shdg".to_owned(),
                shared: true,
                force: false,
                clear: false,
                temporary: false,
                rename: None,
                select: None,
                reminor,
            };
            let request = Request::Group(GroupRequest::Import(import));
            let json = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<Request>(&json).unwrap(), request, "{json}");
        }
    }
}

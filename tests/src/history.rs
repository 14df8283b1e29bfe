//! What happened, one log per life of a node and per client: what the invariants judge.

use gab::core::{ClientId, Notice};
use gab::event::{CloseReason, Level, OpenOptions, PortView};
use gab::{PortName, View};
use llt::{Id, Instant, NodeId, NodeSet};

use crate::input::RecordValue;
use crate::payload::Uid;

/// A whole run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Every life of every node, in the order of their starts.
    pub lives: Vec<Life>,
    /// Every accepted message; its index is its [`Uid`].
    pub sent: Vec<Sent>,
    /// The values that the arbitration record had, in order.
    pub records: Vec<(Instant, RecordValue)>,
    /// What was wrong the moment it happened: damaged payloads, alarms.
    pub faults: Vec<Fault>,
}

/// Something that is wrong whatever else happens.
#[derive(Clone, Debug)]
pub struct Fault {
    /// When.
    pub at: Instant,
    /// Which invariant.
    pub kind: &'static str,
    /// For people.
    pub text: String,
}

/// One life of a node.
#[derive(Clone, Debug)]
pub struct Life {
    /// Node and incarnation.
    pub id: Id,
    /// World time.
    pub started: Instant,
    /// World time and how; `None` while it lives.
    pub ended: Option<(Instant, End)>,
    /// It was thrown out, and its process goes on as another life.
    pub goes_on: bool,
    /// When it was asked to leave in order.
    pub leaves: Option<Instant>,
    /// Installed views in order.
    pub views: Vec<Installed>,
    /// Memberships that GAB announced: time, port, generation, members.
    pub memberships: Vec<(Instant, PortName, u64, NodeSet)>,
    /// What GAB said besides, LLT's part left out.
    pub notices: Vec<(Instant, Notice)>,
    /// Clients in the order of their registrations.
    pub clients: Vec<ClientLog>,
}

/// How a life ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// Killed.
    Crashed,
    /// Thrown out by the others.
    Ejected,
    /// By itself, on the side of a split without a majority.
    Halted,
    /// Left in order.
    Left,
}

/// A view that a node installed.
#[derive(Clone, Debug)]
pub struct Installed {
    /// World time.
    pub at: Instant,
    /// The view.
    pub view: View,
    /// The sequence before its first slot.
    pub base: u64,
}

/// One registration.
#[derive(Clone, Debug)]
pub struct ClientLog {
    /// Its number.
    pub client: ClientId,
    /// Its port.
    pub port: PortName,
    /// Its options.
    pub options: OpenOptions,
    /// World time of the registration.
    pub opened: Instant,
    /// What it read, in order.
    pub entries: Vec<Entry>,
    /// World time at which it closed itself.
    pub closed: Option<Instant>,
    /// The last time that it had read everything there was: the number of views that the node had
    /// installed by then.
    pub drained: usize,
    /// A view that it still has to acknowledge.
    pub unacked: Option<u64>,
    /// Its accepted broadcasts.
    pub broadcasts: Vec<Uid>,
    /// Its accepted point-to-point messages.
    pub directed: Vec<Uid>,
    /// How many of its own broadcasts it has read.
    pub own_read: usize,
    /// The last membership that it read.
    pub view: Option<PortView>,
}

/// One event that a client read.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// World time.
    pub at: Instant,
    /// Views that the node had installed by then.
    pub views: usize,
    /// What.
    pub what: What,
}

/// What a client read.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// The registration ended.
    Closed(CloseReason),
    /// A message.
    Deliver(Read),
    /// Only jeopardy or visible changed.
    Status(PortView),
    /// A membership.
    View(PortView),
}

/// A message as read.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// Which.
    pub uid: Uid,
    /// Who sent it, as the delivery says.
    pub sender: NodeId,
    /// By broadcast.
    pub broadcast: bool,
    /// As SAFE.
    pub level: Level,
    /// The generation it was delivered in.
    pub generation: u64,
    /// Position in the order; 0 for point-to-point.
    pub sequence: u64,
}

/// An accepted message.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Index of the sender's life.
    pub life: usize,
    /// Index of the client in that life.
    pub client: usize,
    /// Its port.
    pub port: PortName,
    /// SAFE or AGREED; AGREED for point-to-point.
    pub level: Level,
    /// The addressed node; `None` for a broadcast.
    pub to: Option<NodeId>,
    /// World time.
    pub at: Instant,
    /// Generation of the last membership that the sender had read.
    pub generation: u64,
    /// Position among the accepted broadcasts, or point-to-point messages, of its client.
    pub index: usize,
}

impl History {
    /// Records something that is wrong whatever else happens.
    pub fn fault(&mut self, at: Instant, kind: &'static str, text: String) {
        /// A broken run says the same thing thousands of times.
        const FAULTS_MAX: usize = 100;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault { at, kind, text });
        }
    }

    /// Messages that any client read.
    pub fn deliveries(&self) -> usize {
        self.lives.iter().flat_map(|life| &life.clients).map(|log| log.reads().count()).sum()
    }

    /// The index of the life with this identity.
    pub fn life_of(&self, id: Id) -> Option<usize> {
        self.lives.iter().position(|life| life.id == id)
    }
}

impl Life {
    /// Does it live?
    pub fn is_alive(&self) -> bool {
        self.ended.is_none()
    }

    /// The position in [`Life::views`] of the view in which `sequence` was ordered.
    pub fn view_of(&self, sequence: u64) -> Option<usize> {
        // The last view that starts before it: an empty view shares its base with the next.
        self.views.iter().rposition(|installed| installed.base < sequence)
    }
}

impl ClientLog {
    /// A registration that nothing has happened to yet.
    pub fn new(client: ClientId, port: PortName, options: OpenOptions, opened: Instant) -> Self {
        Self {
            client,
            port,
            options,
            opened,
            entries: Vec::new(),
            closed: None,
            drained: 0,
            unacked: None,
            broadcasts: Vec::new(),
            directed: Vec::new(),
            own_read: 0,
            view: None,
        }
    }

    /// The messages it read, in order.
    pub fn reads(&self) -> impl Iterator<Item = (&Entry, &Read)> {
        self.entries.iter().filter_map(|entry| match &entry.what {
            What::Deliver(read) => Some((entry, read)),
            What::Closed(_) | What::Status(_) | What::View(_) => None,
        })
    }

    /// The memberships it read, in order.
    pub fn port_views(&self) -> impl Iterator<Item = (&Entry, &PortView)> {
        self.entries.iter().filter_map(|entry| match &entry.what {
            What::View(view) => Some((entry, view)),
            What::Closed(_) | What::Deliver(_) | What::Status(_) => None,
        })
    }

    /// Is the registration open as far as the client knows?
    pub fn is_open(&self) -> bool {
        self.closed.is_none()
            && !matches!(self.entries.last(), Some(Entry { what: What::Closed(_), .. }))
    }
}

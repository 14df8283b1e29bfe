//! LLT and GAB together, as one pure state machine. gabd and the simulator run exactly this.

use bytes::Bytes;
use llt::core::LinkChange;
use llt::{Id, Instant, LinkAddr, LinkId, Llt, NodeId};

use crate::core::{ArbiterReply, ArbiterRequest, Gab, GabConfig, Notice};
use crate::event::{ClientEvent, Level, OpenError, OpenOptions, SendError};
use crate::ids::PortName;
use crate::snapshot::Snapshot;

pub use crate::core::ClientId;

/// One node's LLT and GAB.
#[derive(Debug)]
pub struct Stack {
    llt: Llt,
    gab: Gab,
}

/// One thing for the driver to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    /// Ask the arbiter; the answer goes to [`Stack::handle_arbiter`].
    Arbiter(ArbiterRequest),
    /// This client has events to fetch with [`Stack::poll_client`], or room to send again.
    Client(ClientId),
    /// This node was thrown out (precise rule 11): every client has a `Closed` event waiting. Drop
    /// this stack and build one with a new incarnation, or halt if `halt`.
    Ejected {
        /// A kernel-type client was registered.
        halt: bool,
    },
    /// The clean leave is done: nobody waits for this node any more.
    Left,
    /// Something an administrator may want to read.
    Notice(Notice),
    /// Put a frame on a wire.
    Transmit(llt::core::Transmit),
}

/// What a [`Stack`] is built from.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// LLT's part.
    pub llt: llt::Config,
    /// GAB's part.
    pub gab: GabConfig,
}

impl Stack {
    /// A node at `now`; `seed` feeds every generator in it.
    pub fn new(now: Instant, config: StackConfig, seed: u64) -> Self {
        let id = config.llt.id();
        Self { llt: Llt::new(now, config.llt, seed), gab: Gab::new(now, id, config.gab, seed) }
    }

    /// A frame arrived.
    pub fn handle_frame(&mut self, _now: Instant, _link: LinkId, _from: LinkAddr, _frame: Bytes) {
        unimplemented!()
    }

    /// A link itself changed.
    pub fn handle_link(&mut self, _now: Instant, _link: LinkId, _change: LinkChange) {
        unimplemented!()
    }

    /// Time has passed.
    pub fn handle_timer(&mut self, _now: Instant) {
        unimplemented!()
    }

    /// The arbiter answers.
    pub fn handle_arbiter(&mut self, _now: Instant, _reply: ArbiterReply) {
        unimplemented!()
    }

    /// `gabconfig -c [-nN]`: allows registrations and joining; `seed` as in [`GabConfig`].
    pub fn configure(&mut self, _now: Instant, _seed: Option<u32>) {
        unimplemented!()
    }

    /// `gabconfig -x`: seeds with whoever is visible now.
    pub fn seed(&mut self, _now: Instant) {
        unimplemented!()
    }

    /// `gabconfig -U` or the daemon's end: leaves the membership in order, then `Output::Left`.
    /// LLT goes on; `bye` announces the end of LLT, too.
    pub fn leave(&mut self, _now: Instant) {
        unimplemented!()
    }

    /// Announces LLT's end to every peer.
    pub fn bye(&mut self, _now: Instant) {
        unimplemented!()
    }

    /// Registers `client`, a number of the driver's choice that is not in use.
    pub fn open(
        &mut self,
        _now: Instant,
        _client: ClientId,
        _port: PortName,
        _options: OpenOptions,
    ) -> Result<(), OpenError> {
        unimplemented!()
    }

    /// Closes a registration in order: all that it sent before is ordered first. The client's
    /// number is free again at once.
    pub fn close(&mut self, _now: Instant, _client: ClientId) {
        unimplemented!()
    }

    /// Broadcasts to every member of the client's port.
    pub fn broadcast(
        &mut self,
        _now: Instant,
        _client: ClientId,
        _level: Level,
        _payload: Bytes,
    ) -> Result<(), SendError> {
        unimplemented!()
    }

    /// Sends to the client's port on `node`, reliably and in order.
    pub fn send_to(
        &mut self,
        _now: Instant,
        _client: ClientId,
        _node: NodeId,
        _payload: Bytes,
    ) -> Result<(), SendError> {
        unimplemented!()
    }

    /// The client has recovered from the view of this generation; `false` if it is an old one.
    pub fn ack_view(&mut self, _now: Instant, _client: ClientId, _generation: u64) -> bool {
        unimplemented!()
    }

    /// The client's next event, if any.
    pub fn poll_client(&mut self, _now: Instant, _client: ClientId) -> Option<ClientEvent> {
        unimplemented!()
    }

    /// How much the client may still send: messages, bytes.
    pub fn send_room(&self, _client: ClientId) -> (usize, usize) {
        unimplemented!()
    }

    /// The next thing to do, or `None` when there is nothing until the next input.
    pub fn poll_output(&mut self) -> Option<Output> {
        unimplemented!()
    }

    /// When [`Stack::handle_timer`] wants to be called, at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        unimplemented!()
    }

    /// This node's identity.
    pub fn id(&self) -> Id {
        self.llt.config().id()
    }

    /// What listings show.
    pub fn snapshot(&self) -> Snapshot {
        unimplemented!()
    }

    /// LLT's side, for statistics.
    pub fn llt(&self) -> &Llt {
        &self.llt
    }

    /// LLT's side, to zero statistics.
    pub fn llt_mut(&mut self) -> &mut Llt {
        &mut self.llt
    }

    /// GAB's side, for listings and checks.
    pub fn gab(&self) -> &Gab {
        &self.gab
    }
}

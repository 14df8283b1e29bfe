//! What the client of `bench` needs of a stack that orders messages, and ours as one.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gab::client::{Options, Port};
use gab::event::SendError;
use gab::{ClientEvent, Level, PortName};

/// A connection to one node of an ordered broadcast.
pub(super) trait Bus {
    /// The own node.
    fn own(&self) -> u8;

    /// The port below, if it is one of ours.
    fn port(&mut self) -> Option<&mut Port> {
        None
    }

    /// Waits until all nodes are members; gives how many they are.
    fn wait_everybody(&mut self) -> Result<usize>;

    /// A round begins in which many messages are under way, or one; and in which this node sends.
    fn begin(&mut self, flood: bool, sends: bool);

    /// Sends to everybody, the own node too; false if there is no room now. With `more`, it may
    /// wait for [`Bus::flush`].
    fn try_broadcast(&mut self, payload: &[u8], level: Level, more: bool) -> Result<bool>;

    /// Nothing may wait any longer.
    fn flush(&mut self) -> Result<()>;

    /// Waits for at most `patience` until something is there, and gives the sender and the payload
    /// of every message that is there, in place, to `sink`; false if nothing came. A change of the
    /// membership is an error.
    fn receive(
        &mut self,
        patience: Duration,
        sink: &mut impl FnMut(u8, &[u8]) -> Result<()>,
    ) -> Result<bool>;
}

/// A port of our own.
#[derive(Debug)]
pub(super) struct Gab(Port);

impl Gab {
    /// On the node with this root.
    pub(super) fn connect(root: &Path) -> Result<Self> {
        let name = PortName::new('B').context("B is a letter")?;
        let options = Options { root: root.to_owned(), name: "bench".into(), ..Options::default() };
        Ok(Self(Port::register(name, &options)?))
    }
}

impl Bus for Gab {
    fn own(&self) -> u8 {
        self.0.node().get()
    }

    fn port(&mut self) -> Option<&mut Port> {
        Some(&mut self.0)
    }

    /// A membership without nodes of the cluster outside.
    fn wait_everybody(&mut self) -> Result<usize> {
        loop {
            match self.0.recv() {
                ClientEvent::View(view) if view.visible.is_empty() => {
                    return Ok(view.members.len());
                }
                ClientEvent::View(_) | ClientEvent::Status(_) => {}
                ClientEvent::Closed(reason) => bail!("the port closed: {reason}"),
                ClientEvent::Deliver(_) => bail!("a message before the first round"),
            }
        }
    }

    fn begin(&mut self, _: bool, _: bool) {}

    fn try_broadcast(&mut self, payload: &[u8], level: Level, more: bool) -> Result<bool> {
        match self.0.try_broadcast(payload, level, more) {
            Ok(()) => Ok(true),
            Err(SendError::WouldBlock) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn flush(&mut self) -> Result<()> {
        Ok(self.0.flush()?)
    }

    fn receive(
        &mut self,
        patience: Duration,
        sink: &mut impl FnMut(u8, &[u8]) -> Result<()>,
    ) -> Result<bool> {
        let mut next = self.0.recv_timeout(patience);
        let any = next.is_some();
        while let Some(event) = next {
            match event {
                ClientEvent::Deliver(delivery) => sink(delivery.sender.get(), &delivery.payload)?,
                ClientEvent::Closed(reason) => bail!("the port closed: {reason}"),
                ClientEvent::Status(_) => {}
                ClientEvent::View(view) => bail!("the membership changed to {}", view.members),
            }
            next = self.0.try_recv();
        }
        Ok(any)
    }
}

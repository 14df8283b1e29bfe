//! A port of CVM: an agent of the simulator that registers, sends and closes when its program says so,
//! and whose program reads when it gets round to it.

use std::collections::BTreeMap;

use bytes::Bytes;
use gab::PortView;
use gab::core::ClientId;
use llt::NodeId;

use crate::client::Act;
use crate::history::{Read, What};
use crate::payload::Uid;
use crate::world::World;

/// What was really said, by message.
pub(super) type Said = BTreeMap<Uid, Bytes>;

/// What a program reads from its port.
#[derive(Clone, Debug)]
pub enum Event {
    /// The port is closed; why.
    Closed(String),
    /// A message.
    Message(Read),
    /// Another membership.
    View(PortView),
}

/// One port of one node.
#[derive(Clone, Debug)]
pub struct Port {
    node: usize,
    agent: usize,
    at: Option<Place>,
    /// gabd has died, which only the socket says.
    is_lost: bool,
}

/// How far a registration was read.
#[derive(Clone, Copy, Debug)]
struct Place {
    life: usize,
    client: usize,
    next: usize,
}

impl Port {
    /// A port that is not open.
    pub const fn new(node: usize, agent: usize) -> Self {
        Self { node, agent, at: None, is_lost: false }
    }

    /// It was opened, and its program has not read that it is closed.
    pub const fn is_open(&self) -> bool {
        self.at.is_some()
    }

    /// Registers; false if that cannot be.
    pub fn open(&mut self, world: &mut World) -> bool {
        self.close(world);
        world.act(self.node, self.agent, Act::Open);
        let registered = world.agents[self.node][self.agent].client.is_some();
        if let Some(life) = world.hosts.life(self.node).filter(|_| registered) {
            let clients = &world.hosts.history.lives[life].clients;
            self.at = clients.len().checked_sub(1).map(|client| Place { life, client, next: 0 });
        }
        world.kick(self.node);
        self.is_open()
    }

    /// Closes the registration, if there is one; what is not read is lost.
    pub fn close(&mut self, world: &mut World) {
        if world.agents[self.node][self.agent].client.is_some() {
            world.act(self.node, self.agent, Act::Close);
            world.kick(self.node);
        }
        self.forget();
    }

    /// The program is gone.
    pub const fn forget(&mut self) {
        (self.at, self.is_lost) = (None, false);
    }

    /// gabd has died: so much was read from its socket, and nothing more comes.
    pub const fn lose(&mut self) {
        self.is_lost = true;
    }

    /// The next thing to read.
    pub fn next(&mut self, world: &World) -> Option<Event> {
        let place = self.at.as_mut()?;
        let log = &world.hosts.history.lives[place.life].clients[place.client];
        while let Some(entry) = log.entries.get(place.next) {
            place.next += 1;
            match entry.what {
                What::Closed(reason) => {
                    self.forget();
                    return Some(Event::Closed(reason.to_string()));
                }
                What::Deliver(read) => return Some(Event::Message(read)),
                What::Status(_) => {}
                What::View(view) => return Some(Event::View(view)),
            }
        }
        if self.is_lost {
            self.forget();
            return Some(Event::Closed("gabd is gone".to_owned()));
        }
        None
    }

    /// It is open, all that came was read, and all that was sent has come back.
    pub(super) fn is_read(&self, world: &World) -> bool {
        self.at.is_some_and(|place| {
            let log = &world.hosts.history.lives[place.life].clients[place.client];
            let is_read = log.entries.len() == place.next && !self.is_lost;
            is_read && log.own_read == log.broadcasts.len()
        })
    }

    /// Sends, to one node or to all. False if there is no room: the program waits until there is.
    /// What cannot be sent at all is dropped, and the program learns why by reading.
    pub fn send(
        &self,
        world: &mut World,
        said: &mut Said,
        to: Option<NodeId>,
        safe: bool,
        payload: &Bytes,
    ) -> bool {
        let agent = &world.agents[self.node][self.agent];
        let (Some(client), true) = (agent.client, self.is_open()) else { return true };
        let len = payload.len();
        let Some(stack) = world.hosts.stack(self.node) else { return true };
        let (messages, bytes) = stack.send_room(ClientId(client));
        if (messages < 1 || bytes < len) && !stack.is_closed(ClientId(client)) {
            return false;
        }
        let act = match to {
            None => Act::Broadcast { safe, len },
            Some(to) => {
                let members = agent.view.map(|view| view.members).unwrap_or_default();
                let Some(rank) = members.iter().position(|node| node == to) else { return true };
                Act::SendTo { rank, len }
            }
        };
        let uid = world.hosts.history.sent.len() as Uid;
        if world.act(self.node, self.agent, act) && world.hosts.history.sent.len() as Uid > uid {
            said.insert(uid, payload.clone());
        }
        world.kick(self.node);
        true
    }
}

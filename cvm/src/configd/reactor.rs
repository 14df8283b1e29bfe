//! The loop of vxconfigd: utilities, vxiod, ports w and u, and what disks have done.

use std::collections::BTreeMap;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use bytes::Bytes;
use gab::client::{Options, Port};
use gab::{ClientEvent, Delivery, Level, PortName};
use llt::time::earliest;
use llt::{Duration, Id, Incarnation, Instant};

use super::disks::{Disks, Done};
use super::host::{
    default_activation, gab_host, keep_preference, preference, read_names, warn_without_arbiter,
};
use super::snapshot::{Surroundings, snapshot};
use crate::core::configd::{Configd, ConfigdConfig, ConfigdNotice, ConfigdOutput};
use crate::core::iod::{Command, Upcall};
use crate::core::wire::local::{UpcallReader, encode_command};
use crate::core::wire::parcel::Way;
use crate::daemon::{Framed, incarnation, interest, now, wait, wall_seconds};
use crate::model::UniqueId;
use crate::request::{Failure, Reply, Request};
use crate::snapshot::Snapshot;

pub(super) struct Reactor {
    root: PathBuf,
    configd: Configd,
    listener: UnixListener,
    utilities: BTreeMap<u64, Framed>,
    sessions: u64,
    iod: Option<Framed>,
    /// Of this connection to vxiod.
    upcalls: UpcallReader,
    /// When vxiod is looked for again.
    iod_retry: Instant,
    /// When ports that are not open are tried again.
    port_retry: Instant,
    /// Configuration, and shipped commands.
    ports: Option<(Port, Port)>,
    disks: Disks,
    around: Surroundings,
    made: u32,
    ends: Arc<AtomicBool>,
    /// Not `-m disable`.
    is_enabled: bool,
}

/// Between two tries to open ports w and u.
const PORT_RETRY: Duration = Duration::from_secs(1);
/// Between two tries to reach vxiod.
const IOD_RETRY: Duration = Duration::from_millis(200);

impl Reactor {
    pub(super) fn new(root: PathBuf, listener: UnixListener, is_enabled: bool) -> Result<Self> {
        let ends = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
            signal_hook::flag::register(signal, Arc::clone(&ends))?;
        }
        let host = gab_host(&root);
        let me = Id { node: host.node, incarnation: Incarnation(incarnation()) };
        let config = ConfigdConfig {
            host: host.name,
            cluster: host.cluster,
            answer_limit: Duration::from_secs(30),
            activation: default_activation(&root),
            join_limit: Duration::from_secs(30),
            preference: preference(&root),
        };
        let around =
            Surroundings { names: host.names, node: host.node.get(), ..Surroundings::default() };
        let disks = Disks::new(&root)?;
        Ok(Self {
            root,
            configd: Configd::new(me, config),
            listener,
            utilities: BTreeMap::new(),
            sessions: 0,
            iod: None,
            upcalls: UpcallReader::default(),
            iod_retry: now(),
            port_retry: now(),
            ports: None,
            disks,
            around,
            made: 0,
            ends,
            is_enabled,
        })
    }

    /// Until a signal ends it.
    pub(super) fn run(&mut self) -> Result<()> {
        tracing::info!("vxconfigd started");
        while !self.ends.load(Ordering::Relaxed) {
            self.turn();
            let mut fds = vec![interest(&self.listener, false), interest(&self.disks, false)];
            fds.extend(self.utilities.values().map(|conn| interest(conn, conn.has_unsent())));
            fds.extend(self.iod.iter().map(|conn| interest(conn, conn.has_unsent())));
            if let Some((w, u)) = &self.ports {
                fds.extend([interest(w, false), interest(u, false)]);
            }
            let looks = self.iod.is_none() && self.is_enabled;
            let retry = looks.then_some(self.iod_retry);
            wait(&mut fds, now(), earliest(self.configd.next_deadline(), retry));
        }
        tracing::info!("vxconfigd ends");
        Ok(())
    }

    fn turn(&mut self) {
        self.configd.set_wall_time(wall_seconds());
        self.reach_iod();
        self.hear_iod();
        if self.needs_ports() && self.port_retry <= now() {
            self.open_ports();
        }
        self.hear_ports();
        for done in self.disks.done() {
            match done {
                Done::Disk(id, done) => self.configd.handle_disk(id, done),
                Done::Scan(found) => {
                    self.around.paths = crate::io::devices(&self.root);
                    self.configd.handle_scan(now(), found);
                }
            }
        }
        self.accept();
        self.hear_utilities();
        self.configd.handle_timer(now());
        self.drain();
        if let Some((w, u)) = &mut self.ports {
            let _ = (w.try_flush(), u.try_flush());
        }
        if self.iod.as_mut().is_some_and(|conn| conn.flush().is_err()) {
            self.lose_iod();
        }
        self.utilities.retain(|_, conn| conn.flush().is_ok());
    }

    fn reach_iod(&mut self) {
        if self.iod.is_some() || self.iod_retry > now() || !self.is_enabled {
            return;
        }
        self.iod_retry = now() + IOD_RETRY;
        let socket = UnixStream::connect(self.root.join("run/vxiod.sock"));
        if let Ok(conn) = socket.and_then(Framed::new) {
            (self.iod, self.upcalls) = (Some(conn), UpcallReader::default());
            self.around.has_iod = true;
            tracing::info!("vxiod is here");
            self.configd.handle_iod_here();
        }
    }

    fn lose_iod(&mut self) {
        self.iod = None;
        self.around.has_iod = false;
        self.around.is_joining = false;
        self.close_ports();
        tracing::warn!("vxiod is gone");
        self.configd.handle_iod_gone(now());
    }

    fn hear_iod(&mut self) {
        let Some(conn) = &mut self.iod else { return };
        let Ok(messages) = conn.receive() else {
            self.lose_iod();
            return;
        };
        for message in messages {
            if self.iod.is_none() {
                // It was lost over one of them: the rest is of a vxiod that is gone.
                return;
            }
            match self.upcalls.decode(message) {
                Ok(upcall) => self.hear(upcall),
                Err(error) => {
                    tracing::error!(%error, "vxiod sent what is no upcall");
                    self.lose_iod();
                    return;
                }
            }
        }
    }

    fn hear(&mut self, upcall: Upcall) {
        match &upcall {
            Upcall::Out { reason } => {
                self.around.is_joining = false;
                self.close_ports();
                tracing::info!("out of cluster: {reason}");
            }
            Upcall::Role(role) if role.is_member => self.around.is_joining = false,
            Upcall::Role(role) if role.master.is_some() || !role.joiners.is_empty() => {
                // vxiod has gone on without us: the others are to be heard again.
                self.open_ports();
            }
            Upcall::Activated { .. }
            | Upcall::Decided { .. }
            | Upcall::GivenUp { .. }
            | Upcall::Joining { .. }
            | Upcall::Loaded { .. }
            | Upcall::Observed(..)
            | Upcall::Role(_)
            | Upcall::Staged
            | Upcall::Tables(_)
            | Upcall::Tasks(_) => {}
        }
        if matches!(&upcall, Upcall::Role(role) if role.is_member) {
            self.open_ports();
        }
        self.configd.handle_upcall(now(), upcall);
        self.drain();
    }

    /// In the cluster, or on the way, and not heard.
    fn needs_ports(&self) -> bool {
        let role = self.configd.role();
        self.ports.is_none() && self.iod.is_some() && (role.is_member || self.around.is_joining)
    }

    fn open_ports(&mut self) {
        if self.ports.is_some() {
            return;
        }
        self.port_retry = now() + PORT_RETRY;
        let open = |letter| {
            let name = PortName::new(letter).expect("a letter");
            let (root, name_of) = (self.root.clone(), "vxconfigd".to_owned());
            Port::register(name, &Options { root, name: name_of, ..Options::default() })
        };
        match (open('w'), open('u')) {
            (Ok(w), Ok(u)) => {
                let node = w.node();
                self.configd.set_node(node);
                self.around.node = node.get();
                self.ports = Some((w, u));
            }
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!("cannot open ports w and u: {error}");
            }
        }
    }

    fn hear_ports(&mut self) {
        while let Some(event) = self.ports.as_mut().and_then(|(w, _)| w.try_recv()) {
            match event {
                ClientEvent::Closed(reason) => {
                    tracing::warn!("port w: {reason}");
                    self.close_ports();
                }
                ClientEvent::Deliver(delivery) => {
                    let way = way_of(&delivery);
                    let (from, payload) = (delivery.sender, &delivery.payload);
                    self.configd.handle_message(now(), from, way, payload);
                }
                ClientEvent::Status(_) => {}
                ClientEvent::View(view) => self.configd.handle_view(now(), &view),
            }
            self.drain();
        }
        while let Some(event) = self.ports.as_mut().and_then(|(_, u)| u.try_recv()) {
            match event {
                ClientEvent::Closed(_) => self.close_ports(),
                ClientEvent::Deliver(delivery) => {
                    self.configd.handle_shipped(now(), delivery.sender, &delivery.payload);
                }
                ClientEvent::Status(_) => {}
                ClientEvent::View(view) => self.configd.handle_shipping_view(now(), &view),
            }
            self.drain();
        }
    }

    fn close_ports(&mut self) {
        if self.ports.take().is_some() {
            self.configd.handle_ports_closed();
        }
    }

    fn accept(&mut self) {
        while let Ok((socket, _)) = self.listener.accept() {
            if let Ok(conn) = Framed::new(socket) {
                self.sessions += 1;
                self.utilities.insert(self.sessions, conn);
            }
        }
    }

    fn hear_utilities(&mut self) {
        let mut requests: Vec<(u64, Bytes)> = Vec::new();
        let mut gone = Vec::new();
        for (session, conn) in &mut self.utilities {
            match conn.receive() {
                Ok(messages) => requests.extend(messages.into_iter().map(|m| (*session, m))),
                Err(_) => gone.push(*session),
            }
        }
        for session in gone {
            self.utilities.remove(&session);
            self.configd.handle_hangup(session);
        }
        for (session, message) in requests {
            match serde_json::from_slice(&message) {
                Ok(Request::Enable) if !self.is_enabled => {
                    tracing::info!("enabled");
                    self.is_enabled = true;
                    self.reach_iod();
                    self.configd.handle_request(now(), session, Request::Scan);
                }
                Ok(Request::Enable) => self.configd.handle_request(now(), session, Request::Scan),
                Ok(Request::Disable) => {
                    tracing::warn!("disabled: nothing but vxdctl enable is answered");
                    self.is_enabled = false;
                    if self.iod.is_some() {
                        self.lose_iod();
                    }
                    self.reply(session, &Reply::Done);
                }
                Ok(Request::Snapshot) if !self.is_enabled => {
                    let shown = snapshot(&self.configd, &self.around);
                    let shown = Snapshot { mode: "disabled".to_owned(), ..shown };
                    self.reply(session, &Reply::Snapshot(Box::new(shown)));
                }
                Ok(_) if !self.is_enabled => {
                    let text = "vxconfigd is not enabled; vxdctl enable does that";
                    self.reply(session, &Reply::Failed(Failure::plain(text)));
                }
                Ok(request) => self.configd.handle_request(now(), session, request),
                Err(error) => {
                    let text = format!("this is no request: {error}");
                    self.reply(session, &Reply::Failed(Failure::plain(text)));
                }
            }
            self.drain();
        }
    }

    fn reply(&mut self, session: u64, reply: &Reply) {
        let Some(conn) = self.utilities.get_mut(&session) else { return };
        let json = serde_json::to_vec(reply).unwrap_or_default();
        if conn.send(&json).is_err() {
            self.utilities.remove(&session);
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.configd.poll_output() {
            match output {
                ConfigdOutput::Broadcast(payload) => {
                    self.send(|(w, _)| w.broadcast(&payload, Level::Agreed, true));
                }
                ConfigdOutput::Command(command) => self.command(&command),
                ConfigdOutput::Disk(id, request) => {
                    self.made += 1;
                    let number = u32::try_from(incarnation() % 1_000_000).unwrap_or(0);
                    let host = self.configd.config().host.to_string();
                    let disk = UniqueId::new(wall_seconds(), number.wrapping_add(self.made), &host);
                    self.disks.change(id, request, disk, wall_seconds());
                }
                ConfigdOutput::KeepPreference(session, preference) => {
                    let kept = keep_preference(&self.root, preference);
                    self.configd.handle_kept(session, kept.map_err(|error| format!("{error:#}")));
                }
                ConfigdOutput::Notice(notice) => tell(&notice),
                ConfigdOutput::Reinit(session) => {
                    let read = read_names(&self.root).map(|names| self.around.names = names);
                    self.configd.handle_kept(session, read.map_err(|error| format!("{error:#}")));
                }
                ConfigdOutput::Reply(session, reply) => self.reply(session, &reply),
                ConfigdOutput::Scan => self.disks.scan(),
                ConfigdOutput::SendTo(to, payload) if to.get() == self.around.node => {
                    self.configd.handle_message(now(), to, Way::Direct, &payload);
                }
                ConfigdOutput::SendTo(to, payload) => {
                    self.send(|(w, _)| w.send_to(to, &payload, true));
                }
                ConfigdOutput::Ship(to, payload) => {
                    self.send(|(_, u)| u.send_to(to, &payload, true));
                }
                ConfigdOutput::Snapshot(session) => {
                    let shown = Reply::Snapshot(Box::new(snapshot(&self.configd, &self.around)));
                    self.reply(session, &shown);
                }
            }
        }
    }

    fn command(&mut self, command: &Command) {
        if matches!(command, Command::StartNode) {
            self.around.is_joining = true;
            warn_without_arbiter(&self.root);
            self.open_ports();
        }
        let sent = self.iod.as_mut().map(|conn| conn.send(&encode_command(command)));
        match sent {
            Some(Ok(())) => {}
            Some(Err(_)) => self.lose_iod(),
            None => {
                self.around.is_joining = false;
                self.configd.handle_iod_gone(now());
            }
        }
    }

    fn send(&mut self, send: impl FnOnce(&mut (Port, Port)) -> Result<(), gab::event::SendError>) {
        if let Some(Err(error)) = self.ports.as_mut().map(send) {
            tracing::debug!(%error, "not sent");
        }
    }
}

const fn way_of(delivery: &Delivery) -> Way {
    if delivery.broadcast { Way::Broadcast } else { Way::Direct }
}

/// One event, one line. What failed is said where the master is (CVM-16).
fn tell(notice: &ConfigdNotice) {
    match notice {
        ConfigdNotice::BadMessage(node) => {
            tracing::warn!("node {node} sent a message that is none");
        }
        ConfigdNotice::Failed { node, text } => {
            tracing::warn!("an operation failed on node {node}: {text}");
        }
        ConfigdNotice::NotActivated { group, why } => {
            tracing::warn!("group {group} is not activated by itself: {why}");
        }
        ConfigdNotice::Join { node, refused: None } => {
            tracing::info!("join completed for node {node}");
        }
        ConfigdNotice::Join { node, refused: Some(why) } => {
            tracing::warn!("node {node} cannot join: {why}");
        }
    }
}

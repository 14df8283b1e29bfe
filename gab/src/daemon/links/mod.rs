//! The table of links: what is configured, what is open, and what the devices say.
//!
//! A link keeps its number for the life of gabd, whether it is open or not, since the other nodes
//! count the same way. One that cannot be opened is tried again: over Ethernet when its device
//! shows up, over UDP every second. What the stack has to know comes back as [`LinkChange`]s.

mod commands;
mod entry;

use std::collections::BTreeMap;
use std::io;

use anyhow::bail;
use llt::core::LinkChange;
use llt::io::devices::{self, DeviceEvent, DeviceState, Monitor, Present};
use llt::io::{self as link_io, Endpoint, LinkError, Opened};
use llt::llttab::{LltTab, Medium, TabLink};
use llt::time::earliest;
use llt::{Duration, Instant, LinkAddr, LinkId, NodeId};

pub(super) use crate::daemon::links::entry::Entry;
use crate::daemon::notices;
use crate::daemon::poller::{Poller, Token};

/// What the stack is to be told, in order.
pub(super) type Changes = Vec<(LinkId, LinkChange)>;

/// The links of this node.
#[derive(Debug)]
pub(super) struct Links {
    node: NodeId,
    testbed: bool,
    entries: Vec<Entry>,
    devices: BTreeMap<u32, DeviceState>,
    /// There is one as soon as there is an Ethernet link, if the system gives one.
    monitor: Option<Monitor>,
    /// When what failed is tried again.
    retry: Option<Instant>,
}

impl Links {
    /// Opens the links in the order of `llttab`. What is said of those that cannot be opened is added
    /// to `warnings`, too.
    ///
    /// # Errors
    /// If fewer than required (one, or `set-dbg-minlinks`) could be opened.
    pub(super) fn open(
        tab: &LltTab,
        testbed: bool,
        warnings: &mut Vec<String>,
    ) -> anyhow::Result<Self> {
        let mut links = Self {
            node: tab.node,
            testbed,
            entries: Vec::new(),
            devices: BTreeMap::new(),
            monitor: None,
            retry: None,
        };
        if tab.links.iter().any(is_ether) {
            links.watch();
        }
        let mut last = None;
        for link in &tab.links {
            let index = links.entries.len();
            links.entries.push(Entry::new(link.clone(), links.tap_seed(index)));
            match links.backend(index, link.mtu) {
                Ok(opened) => links.entries[index].opened(opened),
                Err(error) => {
                    let error_text = error.to_string();
                    for line in notices::link_not_opened(index, &link.device, &error_text) {
                        tracing::error!("{line}");
                        warnings.push(line);
                    }
                    links.entries[index].error = error_text;
                    last = Some(error);
                }
            }
            links.entries[index].told = links.obstacle(index);
        }
        let open = links.entries.iter().filter(|entry| entry.endpoint.is_open()).count();
        if open < usize::from(tab.links_min) {
            if open == 0 {
                tracing::error!("{}", notices::NO_LINK);
            }
            let required = match tab.links_min {
                1 => String::new(),
                min => format!(", and set-dbg-minlinks asks for {min}"),
            };
            match last {
                Some(error) => {
                    bail!("{open} of {} links could be opened{required}: {error}", links.len())
                }
                None => bail!("{open} links are configured{required}"),
            }
        }
        Ok(links)
    }

    /// Lets the poller wait for what is open.
    ///
    /// # Errors
    /// If the poller takes no more.
    pub(super) fn register(&self, poller: &Poller) -> io::Result<()> {
        if let Some(monitor) = &self.monitor {
            poller.add(monitor.as_fd(), Token::Devices)?;
        }
        for (index, entry) in self.entries.iter().enumerate() {
            if let Some(fd) = entry.endpoint.as_fd() {
                poller.add(fd, token(index))?;
            }
        }
        Ok(())
    }

    /// How many numbers are in use or were: links that were removed leave a hole.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The links that there are, with their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (LinkId, &Entry)> {
        self.all().filter(|(_, entry)| !entry.removed)
    }

    /// The links that there are or were, as in [`Links::tabs`].
    pub(super) fn all(&self) -> impl Iterator<Item = (LinkId, &Entry)> {
        let entries = self.entries.iter().enumerate();
        entries.filter_map(|(index, entry)| Some((number(index)?, entry)))
    }

    /// The endpoint of a link, open or not.
    pub(super) fn endpoint_mut(&mut self, index: usize) -> Option<&mut Endpoint> {
        let entry = self.entries.get_mut(index).filter(|entry| !entry.removed);
        entry.map(|entry| &mut entry.endpoint)
    }

    /// All endpoints, with the numbers of their links.
    pub(super) fn endpoints_mut(&mut self) -> impl Iterator<Item = (usize, &mut Endpoint)> {
        let entries = self.entries.iter_mut().enumerate();
        entries.map(|(index, entry)| (index, &mut entry.endpoint))
    }

    /// The links as the core is to be configured with, in a new life: those that were removed are
    /// among them, so that nothing changes its number.
    pub(super) fn tabs(&self) -> Vec<TabLink> {
        self.entries.iter().map(|entry| entry.tab.clone()).collect()
    }

    /// Their MTUs, in the same order.
    pub(super) fn mtus(&self) -> Vec<usize> {
        self.entries.iter().map(|entry| entry.mtu).collect()
    }

    /// Bytes that the socket of each link may hold until they are read; 0 if that is not known.
    pub(super) fn receive_room(&self) -> usize {
        let room = |entry: &Entry| {
            let socket = entry.endpoint.as_fd()?;
            rustix::net::sockopt::socket_recv_buffer_size(socket).ok()
        };
        self.entries.iter().filter(|entry| !entry.removed).filter_map(room).min().unwrap_or(0)
    }

    /// Why a link carries nothing, for people; `None` if it does.
    pub(super) fn obstacle(&self, index: usize) -> Option<String> {
        let entry = self.entries.get(index)?;
        let device = entry.device.and_then(|device| self.devices.get(&device));
        entry.obstacle(device)
    }

    /// Something happened to devices.
    pub(super) fn handle_devices(&mut self, now: Instant, poller: &Poller) -> Changes {
        let events = self.monitor.as_mut().map(Monitor::read).unwrap_or_default();
        for event in events {
            match event {
                DeviceEvent::Changed(state) => self.device_changed(poller, state),
                DeviceEvent::Gone { index, .. } => {
                    self.devices.remove(&index);
                    for at in self.on_device(index) {
                        self.close(poller, at);
                    }
                }
            }
        }
        self.reopen(poller, is_ether);
        self.arm(now);
        self.changes()
    }

    /// A call on the link said that its device went down. What is true now, an event tells; if
    /// none does, [`Links::handle_timer`] asks.
    pub(super) fn handle_down(&mut self, now: Instant, index: usize) -> Changes {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.suspect = true;
        }
        self.arm(now);
        self.changes()
    }

    /// When [`Links::handle_timer`] wants to be called, or a tap has something to give out.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let taps = self.entries.iter().filter_map(|entry| entry.endpoint.next_deadline()).min();
        earliest(taps, self.retry)
    }

    /// Tries again what failed.
    pub(super) fn handle_timer(&mut self, now: Instant, poller: &Poller) -> Changes {
        if self.retry.is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.retry = None;
        match &mut self.monitor {
            Some(monitor) => {
                let suspect = self.entries.iter().any(|entry| entry.suspect);
                if suspect && let Err(error) = monitor.refresh() {
                    tracing::warn!("cannot ask for the state of the devices: {error}");
                }
            }
            None => self.list_devices(poller),
        }
        let watched = self.monitor.is_some();
        self.reopen(poller, |tab| !(watched && is_ether(tab)));
        self.arm(now);
        self.changes()
    }

    /// What has changed between the links and the stack. One line for each change, and for each new
    /// reason.
    fn changes(&mut self) -> Changes {
        let mut changes = Vec::new();
        for index in 0..self.entries.len() {
            let obstacle = self.obstacle(index);
            let entry = &mut self.entries[index];
            if entry.removed || entry.told == obstacle {
                continue;
            }
            let place = format!("link {index} ({})", entry.tab.tag);
            let carried = entry.told.is_none();
            let change = match &obstacle {
                Some(text) => {
                    tracing::warn!("LLT WARNING {place} carries nothing: {text}");
                    carried.then_some(LinkChange::NoCarrier)
                }
                None => {
                    tracing::info!("LLT INFO {place} carries again");
                    Some(LinkChange::Carrier)
                }
            };
            entry.told = obstacle;
            if let (Some(link), Some(change)) = (number(index), change) {
                changes.push((link, change));
            }
        }
        changes
    }

    /// Watches the devices from now on; where that cannot be, they are looked at every second.
    fn watch(&mut self) {
        match Monitor::open() {
            Ok(monitor) => self.monitor = Some(monitor),
            Err(error) => tracing::warn!("cannot watch the network devices: {error}"),
        }
        match devices::list() {
            Ok(list) => self.devices = list.into_iter().map(|state| (state.index, state)).collect(),
            Err(error) => tracing::warn!("cannot list the network devices: {error}"),
        }
    }

    fn list_devices(&mut self, poller: &Poller) {
        if !self.entries.iter().any(|entry| is_ether(&entry.tab)) {
            return;
        }
        let Ok(list) = devices::list() else { return };
        let gone: Vec<u32> = self.devices.keys().copied().collect();
        for index in gone.into_iter().filter(|index| list.iter().all(|now| now.index != *index)) {
            self.devices.remove(&index);
            for at in self.on_device(index) {
                self.close(poller, at);
            }
        }
        for state in list {
            self.device_changed(poller, state);
        }
    }

    fn device_changed(&mut self, poller: &Poller, state: DeviceState) {
        for at in self.on_device(state.index) {
            let entry = &mut self.entries[at];
            entry.suspect = false;
            if entry.address != state.mac.map(LinkAddr::Mac) {
                // Backends know their own address, and drop what comes from it.
                self.close(poller, at);
            }
        }
        self.devices.insert(state.index, state);
    }

    /// The links that are open on this device.
    fn on_device(&self, device: u32) -> Vec<usize> {
        let entries = self.entries.iter().enumerate();
        entries.filter(|(_, entry)| entry.device == Some(device)).map(|(index, _)| index).collect()
    }

    fn close(&mut self, poller: &Poller, index: usize) {
        let entry = &mut self.entries[index];
        if let Some(fd) = entry.endpoint.as_fd() {
            poller.remove(fd);
        }
        entry.closed();
    }

    /// Opens the links that are not open, of those that `which` selects.
    fn reopen(&mut self, poller: &Poller, which: impl Fn(&TabLink) -> bool) {
        for index in 0..self.entries.len() {
            let entry = &self.entries[index];
            if entry.removed || entry.endpoint.is_open() || !which(&entry.tab) {
                continue;
            }
            if let Medium::Ether { device, .. } = &entry.tab.medium
                && devices::select(self.devices.values(), device).is_none()
            {
                continue;
            }
            // Frames of the MTU that the stack counts on have to pass.
            let opened = self.backend(index, Some(entry.mtu));
            let entry = &mut self.entries[index];
            match opened {
                Ok(opened) => entry.opened(opened),
                Err(error) => {
                    entry.error = error.to_string();
                    continue;
                }
            }
            if let Some(fd) = entry.endpoint.as_fd()
                && let Err(error) = poller.add(fd, token(index))
            {
                entry.closed();
                entry.error = format!("cannot wait for it: {error}");
            }
        }
    }

    fn backend(&self, index: usize, mtu: Option<usize>) -> Result<OpenedOn, LinkError> {
        self.backend_of(&self.entries[index].tab, mtu)
    }

    /// A backend for a link that is not open.
    fn backend_of(&self, tab: &TabLink, mtu: Option<usize>) -> Result<OpenedOn, LinkError> {
        let tab = TabLink { mtu, ..tab.clone() };
        let Medium::Ether { device, sap } = &tab.medium else {
            return Ok(OpenedOn { opened: link_io::open(&tab)?, device: None });
        };
        let Some(state) = devices::select(self.devices.values(), device) else {
            let device = device.clone();
            return Err(LinkError::NoDevice { device, present: Present::now() });
        };
        // `llttab` may call one card by its name and by its address.
        let twin = self.on_device(state.index).into_iter().map(|at| &self.entries[at]);
        if let Some(twin) = twin.into_iter().find(|entry| entry.sap() == *sap) {
            let (device, tag) = (state.name.clone(), twin.tab.tag.clone());
            return Err(LinkError::InUse { device, tag });
        }
        Ok(OpenedOn { opened: link_io::open_on(&tab, state)?, device: Some(state.index) })
    }

    /// Sets the time of the next try, if there is anything to try.
    fn arm(&mut self, now: Instant) {
        let watched = self.monitor.is_some();
        let waits = self.entries.iter().filter(|entry| !entry.removed).any(|entry| {
            let comes_by_itself = watched && is_ether(&entry.tab);
            entry.suspect || (!entry.endpoint.is_open() && !comes_by_itself)
        });
        // Without a monitor, devices that are there have to be looked at, too.
        let blind = !watched && self.entries.iter().any(|entry| is_ether(&entry.tab));
        self.retry = if waits || blind { self.retry.or(Some(now + RETRY)) } else { None };
    }

    /// There is a stack to be told: from now on what failed is tried again.
    pub(super) fn begin(&mut self, now: Instant) {
        self.arm(now);
    }

    /// Taps of different nodes and links draw differently.
    fn tap_seed(&self, index: usize) -> Option<u64> {
        self.testbed.then(|| u64::from(self.node.get()) << 8 | index as u64)
    }
}

/// A backend, and the device that it is on.
#[derive(Debug)]
struct OpenedOn {
    opened: Opened,
    device: Option<u32>,
}

fn is_ether(tab: &TabLink) -> bool {
    matches!(tab.medium, Medium::Ether { .. })
}

fn number(index: usize) -> Option<LinkId> {
    u8::try_from(index).ok().and_then(LinkId::new)
}

fn token(index: usize) -> Token {
    Token::Link(u32::try_from(index).expect("links are few"))
}

/// The time between two tries to open a link, or to look at a device.
const RETRY: Duration = Duration::from_secs(1);

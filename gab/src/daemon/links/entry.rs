//! One link of the table.

use llt::LinkAddr;
use llt::io::devices::DeviceState;
use llt::io::tap::Tap;
use llt::io::{Endpoint, LinkCounters};
use llt::llttab::{Medium, TabLink};

use crate::daemon::links::OpenedOn;

/// One link.
#[derive(Debug)]
pub(in crate::daemon) struct Entry {
    pub(super) tab: TabLink,
    pub(super) endpoint: Endpoint,
    /// The MTU that the stack counts on; where the link was never open, what it will have to be.
    pub(super) mtu: usize,
    /// Own address, as long as it is open.
    pub(super) address: Option<LinkAddr>,
    /// The number of the device that it is open on.
    pub(super) device: Option<u32>,
    /// Why it is not open; empty if its device is not there.
    pub(super) error: String,
    /// A call said that the device is down, and no event has said anything since.
    pub(super) suspect: bool,
    /// Why it carries nothing, as the stack and the log were told.
    pub(super) told: Option<String>,
    pub(super) enabled: bool,
    pub(super) removed: bool,
}

impl Entry {
    /// A link that is not open yet; with a tap if there is a seed for one.
    pub(super) fn new(tab: TabLink, tap_seed: Option<u64>) -> Self {
        let tap = tap_seed.map(|seed| Tap::new(&tab.peers, seed));
        Self {
            mtu: tab.mtu.unwrap_or_else(|| tab.medium.mtu()),
            tab,
            endpoint: Endpoint::new(tap),
            address: None,
            device: None,
            error: String::new(),
            suspect: false,
            told: None,
            enabled: true,
            removed: false,
        }
    }

    /// As configured.
    pub(in crate::daemon) fn tab(&self) -> &TabLink {
        &self.tab
    }

    /// Own address, if it is open.
    pub(in crate::daemon) fn address(&self) -> Option<LinkAddr> {
        self.address
    }

    /// No administrator has disabled it.
    pub(in crate::daemon) fn is_enabled(&self) -> bool {
        self.enabled && !self.removed
    }

    /// An administrator has removed it, and its number is free.
    pub(in crate::daemon) fn is_removed(&self) -> bool {
        self.removed
    }

    /// It carries, as far as the stack was told.
    pub(in crate::daemon) fn carries(&self) -> bool {
        self.told.is_none() && !self.removed
    }

    pub(super) fn opened(&mut self, on: OpenedOn) {
        let opened = on.opened;
        self.mtu = opened.mtu;
        self.address = Some(opened.address);
        self.endpoint.open(opened.link);
        self.device = on.device;
        self.error.clear();
        self.suspect = false;
        let Self { tab, mtu, .. } = self;
        tracing::info!("link {} opened on {}, MTU {mtu}", tab.tag, opened.address);
    }

    pub(super) fn closed(&mut self) {
        self.endpoint.close();
        (self.address, self.device, self.suspect) = (None, None, false);
        self.error.clear();
    }

    /// Why it carries nothing, given the state of its device.
    pub(super) fn obstacle(&self, device: Option<&DeviceState>) -> Option<String> {
        if !self.endpoint.is_open() {
            let gone = || format!("there is no device {}", self.tab.device);
            return Some(if self.error.is_empty() { gone() } else { self.error.clone() });
        }
        // Only Ethernet links have a device.
        let state = device?;
        let (name, mtu) = (&state.name, state.mtu);
        if !state.up || self.suspect {
            Some(format!("{name} is down"))
        } else if !state.carrier {
            Some(format!("{name} has no carrier"))
        } else if mtu < self.mtu {
            Some(format!("{name} takes frames of {mtu} bytes: expected at least {}", self.mtu))
        } else {
            None
        }
    }

    /// What went by and what was lost.
    pub(in crate::daemon) fn counters(&self) -> LinkCounters {
        self.endpoint.counters()
    }

    /// The ethertype, or the UDP port.
    pub(in crate::daemon) fn sap(&self) -> u16 {
        match &self.tab.medium {
            Medium::Ether { sap, .. } => *sap,
            Medium::Udp { local, .. } => local.port(),
        }
    }
}

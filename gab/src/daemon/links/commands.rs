//! What an administrator changes of the table while gabd runs.

use std::io;

use llt::io::LinkError;
use llt::limits::LINKS_MAX;
use llt::llttab::TabLink;
use llt::{LinkAddr, LinkId};

use crate::daemon::links::{Entry, Links, is_ether, number, token};
use crate::daemon::poller::{Poller, Token};

/// A link that was added.
#[derive(Debug)]
pub(in crate::daemon) struct Added {
    /// Its number: the lowest that is free.
    pub(in crate::daemon) link: LinkId,
    /// Own address on it.
    pub(in crate::daemon) address: LinkAddr,
    /// The largest frame in bytes.
    pub(in crate::daemon) mtu: usize,
    /// Its device has a carrier; else the stack must be told that it has none.
    pub(in crate::daemon) carries: bool,
}

/// Why a link was not added; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(in crate::daemon) enum AddError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("cannot watch the link: {0}")]
    Poller(#[source] io::Error),
    #[error("there are {LINKS_MAX} links already, which is the most")]
    TooMany,
}

impl Links {
    /// What is known of a link; `None` if there is none with this number.
    pub(in crate::daemon) fn get(&self, index: usize) -> Option<&Entry> {
        self.entries.get(index).filter(|entry| !entry.removed)
    }

    /// The configuration of a link, to change what of it has been changed at run time.
    pub(in crate::daemon) fn tab_mut(&mut self, link: LinkId) -> Option<&mut TabLink> {
        let entry = self.entries.get_mut(link.index()).filter(|entry| !entry.removed);
        entry.map(|entry| &mut entry.tab)
    }

    /// Adds a link, open.
    ///
    /// # Errors
    /// See [`AddError`]; nothing was changed.
    pub(in crate::daemon) fn add(
        &mut self,
        poller: &Poller,
        tab: TabLink,
    ) -> Result<Added, AddError> {
        let free = self.entries.iter().position(|entry| entry.removed);
        let index = free.unwrap_or(self.entries.len());
        let link = number(index).ok_or(AddError::TooMany)?;
        if is_ether(&tab) && self.monitor.is_none() {
            self.watch();
            if let Some(monitor) = &self.monitor
                && let Err(error) = poller.add(monitor.as_fd(), Token::Devices)
            {
                // Nobody would ever be woken by it: the next link opens another.
                self.monitor = None;
                return Err(AddError::Poller(error));
            }
        }
        let mtu = tab.mtu;
        let mut entry = Entry::new(tab, self.tap_seed(index));
        entry.opened(self.backend_of(&entry.tab, mtu)?);
        if let Some(fd) = entry.endpoint.as_fd() {
            poller.add(fd, token(index)).map_err(AddError::Poller)?;
        }
        let (address, mtu) = (entry.address, entry.mtu);
        if index == self.entries.len() {
            self.entries.push(entry);
        } else {
            self.entries[index] = entry;
        }
        let obstacle = self.obstacle(index);
        let carries = obstacle.is_none();
        self.entries[index].told = obstacle;
        let address = address.expect("an open link has an address");
        Ok(Added { link, address, mtu, carries })
    }

    /// Removes a link and closes it. Its number is free. False if there was none.
    pub(in crate::daemon) fn remove(&mut self, poller: &Poller, link: LinkId) -> bool {
        if self.get(link.index()).is_none() {
            return false;
        }
        self.close(poller, link.index());
        let entry = &mut self.entries[link.index()];
        entry.removed = true;
        tracing::info!("link {link} ({}) removed", entry.tab.tag);
        true
    }

    /// Notes that a link was disabled or enabled by an administrator, for the next life's sake.
    pub(in crate::daemon) fn set_enabled(&mut self, link: LinkId, enabled: bool) {
        if let Some(entry) = self.entries.get_mut(link.index()) {
            entry.enabled = enabled;
        }
    }
}

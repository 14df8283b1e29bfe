//! Changes of LLT while it runs (`lltconfig`): done here, once [`changes`] has judged them.
//!
//! What changes is kept in the settings and in the table of links, too: the next life of the node
//! has it.

use llt::core::{AddLinkError, LinkChange, RemoveLinkError};
use llt::llttab::TabLink;
use llt::{Instant, LinkId};

use crate::admin::{AddressChange, Changed, Exclude, LinkAdd, Setting};
use crate::daemon::admin::{Answer, good, refused};
use crate::daemon::changes;
use crate::daemon::links::Links;
use crate::daemon::reactor::{Parts, Reactor};

impl Reactor {
    /// Does one of the requests that change LLT, and tells what it did.
    pub(super) fn change(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<Changed, String>,
    ) -> Answer {
        match change(self) {
            Ok(changed) => {
                for line in &changed.changed {
                    tracing::info!("LLT INFO changed: {line}");
                }
                self.parts.settings.note(&changed);
                good(&changed)
            }
            Err(error) => refused(None, &error),
        }
    }

    pub(super) fn set_timers(
        &mut self,
        now: Instant,
        settings: &[Setting],
    ) -> Result<Changed, String> {
        let (timers, changed) = changes::timers(&self.parts.settings.tab.timers, settings)?;
        self.parts.settings.tab.timers = timers;
        self.stack.set_timers(now, timers);
        Ok(changed)
    }

    pub(super) fn set_flow(
        &mut self,
        now: Instant,
        settings: &[Setting],
    ) -> Result<Changed, String> {
        let (flow, changed) = changes::flow(&self.parts.settings.tab.flow, settings)?;
        self.parts.settings.tab.flow = flow;
        self.stack.with_llt(now, |llt| llt.set_flow(now, flow));
        Ok(changed)
    }

    pub(super) fn exclude(&mut self, now: Instant, request: Exclude) -> Result<Changed, String> {
        let tab = &mut self.parts.settings.tab;
        let (excluded, changed) = changes::exclude(tab.node, tab.excluded, request)?;
        tab.excluded = excluded;
        self.stack.with_llt(now, |llt| llt.set_excluded(now, excluded));
        Ok(changed)
    }

    pub(super) fn change_address(
        &mut self,
        now: Instant,
        change: AddressChange,
    ) -> Result<Changed, String> {
        let Parts { settings, links, .. } = &mut self.parts;
        let mut changed = Changed::default();
        match change {
            AddressChange::Flush => {
                self.stack.with_llt(now, |llt| llt.forget_learned(now));
                changed.changed.push("learned addresses: forgotten".to_owned());
            }
            AddressChange::Delete { node, tag } => {
                let node = changes::node(&settings.tab, &node)?;
                let (link, _) = changes::find(&known(links), &tag)?;
                if node == settings.tab.node {
                    return Err(format!("{}, whose address is that of {tag}", changes::own(node)));
                }
                if !self.stack.with_llt(now, |llt| llt.forget_address(now, node, link)) {
                    return Err(format!("no address of node {node} is known on {tag}"));
                }
                let peers = links.tab_mut(link).map(|link| &mut link.peers);
                if let Some(peers) = peers.filter(|peers| peers.iter().any(|peer| peer.0 == node)) {
                    peers.retain(|(known, _)| *known != node);
                    changed.warnings.push(format!(
                        "the next gabd reads `set-addr {node} {tag} ..` again, if it stands in llttab"
                    ));
                }
                changed.changed.push(format!("address of node {node} on {tag}: forgotten"));
            }
            AddressChange::Set { node, tag, address } => {
                let (link, entry) = changes::find(&known(links), &tag)?;
                let (node, addr) = changes::address(&settings.tab, entry, &node, &address)?;
                if !self.stack.with_llt(now, |llt| llt.set_address(now, node, link, addr)) {
                    return Err(changes::own(node));
                }
                if let Some(entry) = links.tab_mut(link)
                    && !entry.peers.contains(&(node, addr))
                {
                    entry.peers.retain(|(known, _)| *known != node);
                    entry.peers.push((node, addr));
                    changed.changed.push(format!("address of node {node} on {tag}: {addr}"));
                    changed.keep.push(format!("set-addr {node} {tag} {address}"));
                }
            }
        }
        Ok(changed)
    }

    pub(super) fn add_link(&mut self, now: Instant, request: &LinkAdd) -> Result<Changed, String> {
        let Self { parts: Parts { settings, links, .. }, poller, stack, .. } = self;
        let (tab, warnings) = changes::link(&settings.tab, &known(links), request)?;
        let tag = tab.tag.clone();
        let added = links.add(poller, tab.clone()).map_err(|error| error.to_string())?;
        let config = tab.config(Some(added.mtu));
        let link = match stack.with_llt(now, |llt| llt.add_link(now, config)) {
            Ok(link) => link,
            Err(error @ (AddLinkError::MtuTooSmall { .. } | AddLinkError::TooMany)) => {
                links.remove(poller, added.link);
                return Err(error.to_string());
            }
        };
        debug_assert_eq!(link, added.link, "both take the lowest number that is free");
        if !added.carries {
            stack.handle_link(now, link, LinkChange::NoCarrier);
        }
        settings.set_tag(link, &tag);
        Ok(Changed {
            changed: vec![format!("link {link} ({tag}): added, on {}", added.address)],
            keep: vec![request.line()],
            warnings: warnings.into_iter().map(|warning| warning.text).collect(),
        })
    }

    pub(super) fn enable_link(
        &mut self,
        now: Instant,
        tag: &str,
        enabled: bool,
    ) -> Result<Changed, String> {
        let links = &mut self.parts.links;
        let (link, _) = changes::find(&known(links), tag)?;
        let mut changed = Changed::default();
        if links.get(link.index()).is_some_and(|entry| entry.is_enabled() == enabled) {
            return Ok(changed);
        }
        links.set_enabled(link, enabled);
        self.stack.with_llt(now, |llt| llt.enable_link(now, link, enabled));
        let state = if enabled { "enabled" } else { "disabled" };
        changed.changed.push(format!("link {link} ({tag}): {state}"));
        if !links.iter().any(|(_, entry)| entry.is_enabled()) {
            changed.warnings.push("no link is enabled: this node is alone".to_owned());
        }
        Ok(changed)
    }

    pub(super) fn remove_link(&mut self, now: Instant, tag: &str) -> Result<Changed, String> {
        let links = &mut self.parts.links;
        let (link, entry) = changes::find(&known(links), tag)?;
        let line = changes::line(entry);
        match self.stack.with_llt(now, |llt| llt.remove_link(now, link)) {
            Ok(()) => {}
            Err(RemoveLinkError::Enabled(_)) => {
                return Err(format!(
                    "link {link} ({tag}) is enabled: disable it first (lltconfig -t {tag} -L disable)"
                ));
            }
            Err(error @ (RemoveLinkError::Last(_) | RemoveLinkError::NoSuchLink(_))) => {
                return Err(error.to_string());
            }
        }
        links.remove(&self.poller, link);
        Ok(Changed {
            changed: vec![format!("link {link} ({tag}): removed")],
            warnings: vec![format!("the next gabd reads `{line}` again, if it stands in llttab")],
            ..Changed::default()
        })
    }
}

/// The links that there are, as configured.
fn known(links: &Links) -> Vec<(LinkId, &TabLink)> {
    links.iter().map(|(link, entry)| (link, entry.tab())).collect()
}

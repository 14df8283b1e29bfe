//! Changes of LLT while it runs (`lltconfig`): done here, once [`changes`] has judged them.
//!
//! What changes is kept in the settings, too, so that the next life of the node has it.

use llt::core::{AddLinkError, RemoveLinkError};
use llt::{Instant, LinkId, NodeSet};

use crate::admin::{AddressChange, AdminRequest, Changed, Exclude, LinkAdd, Setting};
use crate::daemon::admin::{Answer, good, refused};
use crate::daemon::changes;
use crate::daemon::reactor::Reactor;

impl Reactor {
    /// Does one of the requests that change LLT, and tells what it did.
    pub(super) fn change(&mut self, now: Instant, request: AdminRequest) -> Answer {
        let changed = match request {
            AdminRequest::LltAddress(change) => self.change_address(now, change),
            AdminRequest::LltExclude(request) => self.exclude(now, request),
            AdminRequest::LltFlow(settings) => self.set_flow(now, &settings),
            AdminRequest::LltKeys => self.reload_keys(now),
            AdminRequest::LltLinkAdd(request) => self.add_link(now, &request),
            AdminRequest::LltLinkEnable { tag, enabled } => self.enable_link(now, &tag, enabled),
            AdminRequest::LltLinkRemove { tag } => self.remove_link(now, &tag),
            AdminRequest::LltTimers(settings) => self.set_timers(now, &settings),
            other => Err(format!("{other:?} changes nothing of LLT")),
        };
        match changed {
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

    fn set_timers(&mut self, now: Instant, settings: &[Setting]) -> Result<Changed, String> {
        let (timers, changed) = changes::timers(&self.parts.settings.tab.timers, settings)?;
        self.parts.settings.tab.timers = timers;
        self.stack.set_timers(now, timers);
        Ok(changed)
    }

    fn set_flow(&mut self, now: Instant, settings: &[Setting]) -> Result<Changed, String> {
        let (flow, changed) = changes::flow(&self.parts.settings.tab.flow, settings)?;
        self.parts.settings.tab.flow = flow;
        self.stack.with_llt(now, |llt| llt.set_flow(now, flow));
        Ok(changed)
    }

    fn exclude(&mut self, now: Instant, request: Exclude) -> Result<Changed, String> {
        let tab = &mut self.parts.settings.tab;
        let (excluded, changed) = changes::exclude(tab.node, tab.excluded, request)?;
        tab.excluded = excluded;
        self.stack.with_llt(now, |llt| llt.set_excluded(now, excluded));
        Ok(changed)
    }

    fn change_address(&mut self, now: Instant, change: AddressChange) -> Result<Changed, String> {
        let settings = &mut self.parts.settings;
        let mut changed = Changed::default();
        match change {
            AddressChange::Flush => {
                self.stack.with_llt(now, |llt| llt.forget_learned(now));
                changed.changed.push("learned addresses: forgotten".to_owned());
            }
            AddressChange::Delete { node, tag } => {
                let node = changes::node(settings, &node)?;
                let (link, _) = changes::find(settings, &tag)?;
                if !self.stack.with_llt(now, |llt| llt.forget_address(now, node, link)) {
                    return Err(format!("no address of node {node} is known on {tag}"));
                }
                let peers = &mut settings.tab.links[link.index()].peers;
                let set = peers.iter().any(|(known, _)| *known == node);
                peers.retain(|(known, _)| *known != node);
                changed.changed.push(format!("address of node {node} on {tag}: forgotten"));
                if set {
                    let line = format!("set-addr {node} {tag}");
                    changed.warnings.push(format!("the next gabd reads `{line} ..` again"));
                }
            }
            AddressChange::Set { node, tag, address } => {
                let (link, known) = changes::find(settings, &tag)?;
                let (node, addr) = changes::address(settings, known, &node, &address)?;
                if !self.stack.with_llt(now, |llt| llt.set_address(now, node, link, addr)) {
                    return Err(format!("node {node} is this node"));
                }
                let peers = &mut settings.tab.links[link.index()].peers;
                if !peers.contains(&(node, addr)) {
                    peers.retain(|(known, _)| *known != node);
                    peers.push((node, addr));
                    changed.changed.push(format!("address of node {node} on {tag}: {addr}"));
                }
                changed.keep.push(format!("set-addr {node} {tag} {address}"));
            }
        }
        Ok(changed)
    }

    fn add_link(&mut self, now: Instant, request: &LinkAdd) -> Result<Changed, String> {
        let (link, warnings) = changes::link(&self.parts.settings, request)?;
        let tag = link.tag.clone();
        let opened = self.open_link(&link)?;
        let config = link.config(Some(opened.mtu));
        let added = self.stack.with_llt(now, |llt| llt.add_link(now, config));
        let id = match added {
            Ok(id) => id,
            Err(error @ (AddLinkError::MtuTooSmall { .. } | AddLinkError::TooMany)) => {
                return Err(error.to_string());
            }
        };
        self.put_link(id, link, opened);
        let address = self.parts.settings.address(id);
        Ok(Changed {
            changed: vec![format!("link {id} ({tag}): added, on {address}")],
            keep: vec![request.line()],
            warnings: warnings.into_iter().map(|warning| warning.text).collect(),
        })
    }

    fn enable_link(&mut self, now: Instant, tag: &str, enabled: bool) -> Result<Changed, String> {
        let (id, _) = changes::find(&self.parts.settings, tag)?;
        let disabled = &mut self.parts.settings.disabled;
        let news = if enabled { disabled.remove(&id) } else { disabled.insert(id) };
        let mut changed = Changed::default();
        if !news {
            return Ok(changed);
        }
        self.stack.with_llt(now, |llt| llt.enable_link(now, id, enabled));
        let state = if enabled { "enabled" } else { "disabled" };
        changed.changed.push(format!("link {id} ({tag}): {state}"));
        if self.stack.llt().links().iter().flatten().all(|link| !link.enabled) {
            changed.warnings.push("no link is enabled: this node is alone".to_owned());
        }
        Ok(changed)
    }

    fn remove_link(&mut self, now: Instant, tag: &str) -> Result<Changed, String> {
        let (id, link) = changes::find(&self.parts.settings, tag)?;
        let line = changes::line(link);
        match self.stack.with_llt(now, |llt| llt.remove_link(now, id)) {
            Ok(()) => {}
            Err(RemoveLinkError::Enabled(_)) => {
                return Err(format!(
                    "link {id} ({tag}) is enabled: disable it first (lltconfig -t {tag} -L disable)"
                ));
            }
            Err(error @ (RemoveLinkError::Last(_) | RemoveLinkError::NoSuchLink(_))) => {
                return Err(error.to_string());
            }
        }
        self.drop_link(id);
        Ok(Changed {
            changed: vec![format!("link {id} ({tag}): removed")],
            warnings: vec![format!("the next gabd reads `{line}` again, if it stands in llttab")],
            ..Changed::default()
        })
    }

    /// A new stack knows the links of the settings only: it learns which were removed or disabled.
    pub(super) fn repeat_changes(&mut self, now: Instant) {
        let settings = &self.parts.settings;
        for &id in settings.disabled.iter().chain(&settings.removed) {
            self.stack.with_llt(now, |llt| llt.enable_link(now, id, false));
        }
        for &id in &settings.removed {
            let removed = self.stack.with_llt(now, |llt| llt.remove_link(now, id));
            debug_assert_eq!(removed, Ok(()), "it was removed before, and another one is left");
        }
    }
}

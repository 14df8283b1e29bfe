//! Answers to administrators.

use llt::io::tap::{Faults, Rates};
use llt::seal::Keyring;
use llt::{Duration, NodeId, NodeSet};
use serde::Serialize;

use crate::admin::{AdminError, FaultRequest, RunningConfig};
use crate::daemon::links::{Entry, Links};
use crate::daemon::settings::Settings;
use crate::snapshot::Snapshot;

/// An answer as it goes out: is it an error, and its JSON.
pub(super) type Answer = (bool, Vec<u8>);

/// The answer that something was done or what it is.
pub(super) fn good(value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(text) => (false, text),
        Err(error) => refused(None, &format!("the answer cannot be written: {error}")),
    }
}

/// The answer that it was not done.
pub(super) fn refused(id: Option<&str>, text: &str) -> Answer {
    let error = AdminError { id: id.map(str::to_owned), text: text.to_owned() };
    (true, serde_json::to_vec(&error).expect("two strings are JSON"))
}

/// What the log says of keys: their ids, which give nothing away.
pub(super) fn name_keys(keys: &Keyring) -> String {
    let ids: Vec<_> = keys.ids().map(|id| id.to_string()).collect();
    match &ids[..] {
        [sealing, others @ ..] if !others.is_empty() => {
            format!("key {sealing}; {} is accepted, too", others.join(", "))
        }
        ids => format!("key {}", ids.join(", ")),
    }
}

pub(super) fn running_config(settings: &Settings, testbed: bool) -> RunningConfig {
    RunningConfig {
        llttab: settings.llttab_text.clone(),
        llthosts: settings.llthosts_text.clone(),
        pid: std::process::id(),
        testbed,
    }
}

/// Fills in what only the files know: names, tags, own addresses.
pub(super) fn complete(snapshot: &mut Snapshot, settings: &Settings, links: &Links) {
    let tab = &settings.tab;
    let name = |node| NodeId::new(node).and_then(|node| tab.hosts.name(node)).unwrap_or_default();
    snapshot.llt.name = tab.name().to_owned();
    let address = |entry: &Entry| entry.address().map(|own| own.to_string()).unwrap_or_default();
    for (id, entry) in links.iter() {
        if let Some(link) = snapshot.llt.links.get_mut(id.index()) {
            link.tag.clone_from(&entry.tab().tag);
            link.device.clone_from(&entry.tab().device);
            link.address = address(entry);
            let counters = entry.counters();
            link.tx_packets = counters.sent;
            link.tx_bytes = counters.sent_bytes;
            link.rx_packets = counters.received;
            link.rx_bytes = counters.received_bytes;
        }
    }
    for node in &mut snapshot.llt.nodes {
        node.name = name(node.node).to_owned();
        if node.own {
            for (id, entry) in links.iter() {
                if let Some(link) = node.links.get_mut(id.index()) {
                    link.address = address(entry);
                }
            }
        }
    }
}

/// The links that a request names; an error says what is wrong with it.
pub(super) fn fault_links(request: &FaultRequest, links: usize) -> Result<Vec<usize>, String> {
    match request.link.map(usize::from) {
        None => Ok((0..links).collect()),
        Some(link) if link < links => Ok(vec![link]),
        Some(link) => Err(format!("there is no link {link}: expected 0 to {}", links - 1)),
    }
}

/// What the tap of one link does after a request.
pub(super) fn faults(request: &FaultRequest, before: Faults) -> Result<Faults, String> {
    let mut faults = if request.clear { Faults::default() } else { before };
    if let Some(cut) = request.cut {
        faults.cut = cut;
    }
    faults.deaf = request.deaf.unwrap_or(faults.deaf);
    faults.mute = request.mute.unwrap_or(faults.mute);
    if let Some(blocked) = &request.blocked {
        faults.blocked = NodeSet::EMPTY;
        for &id in blocked {
            let node = NodeId::new(id);
            faults
                .blocked
                .insert(node.ok_or_else(|| format!("{id} is no node: expected 0 to 127"))?);
        }
    }
    if let Some(rates) = request.rates {
        for (name, rate) in [
            ("loss", rates.loss),
            ("dup", rates.dup),
            ("corrupt", rates.corrupt),
            ("reorder", rates.reorder),
        ] {
            if !(0.0..=1.0).contains(&rate) {
                return Err(format!("{name} is {rate}: expected a probability from 0 to 1"));
            }
        }
        faults.rates = Rates {
            loss: rates.loss,
            dup: rates.dup,
            corrupt: rates.corrupt,
            reorder: rates.reorder,
            delay: Duration::from_micros(rates.delay_us),
        };
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::FaultRates;

    #[test]
    fn a_request_changes_only_what_it_names() {
        let before = Faults { cut: true, ..Faults::default() };
        let request = FaultRequest { blocked: Some(vec![2]), ..FaultRequest::default() };
        let after = faults(&request, before).unwrap();
        assert!(after.cut);
        assert_eq!(after.blocked.len(), 1);
        let clear = FaultRequest { clear: true, ..FaultRequest::default() };
        assert_eq!(faults(&clear, after).unwrap(), Faults::default());
    }

    #[test]
    fn impossible_requests_are_refused_with_the_reason() {
        let rates = Some(FaultRates { loss: 5.0, ..FaultRates::default() });
        let request = FaultRequest { rates, ..FaultRequest::default() };
        let error = faults(&request, Faults::default()).unwrap_err();
        assert_eq!(error, "loss is 5: expected a probability from 0 to 1");
        let request = FaultRequest { link: Some(2), ..FaultRequest::default() };
        assert_eq!(fault_links(&request, 2).unwrap_err(), "there is no link 2: expected 0 to 1");
        let request = FaultRequest { blocked: Some(vec![200]), ..FaultRequest::default() };
        assert!(faults(&request, Faults::default()).is_err());
    }
}

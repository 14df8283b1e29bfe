//! Answers to administrators.

use llt::io::tap::{Faults, Rates};
use llt::llttab::{Medium, flow_rows, timer_rows};
use llt::seal::Keyring;
use llt::{Duration, LinkId, LltPort, NodeId, NodeSet};
use serde::Serialize;

use crate::admin::{AdminError, FaultRequest, RunningConfig};
use crate::daemon::links::{Entry, Links};
use crate::daemon::settings::Settings;
use crate::snapshot::{LimitSnapshot, LinkSnapshot, LltPortSnapshot, LltSnapshot, TimerSnapshot};

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

pub(super) fn running_config(settings: &Settings, testbed: bool, listening: bool) -> RunningConfig {
    RunningConfig {
        llttab: settings.llttab_text.clone(),
        llthosts: settings.llthosts_text.clone(),
        pid: std::process::id(),
        testbed,
        listening,
        changed: settings.changed.clone(),
        warnings: settings.warnings.clone(),
    }
}

/// Fills in what only the files and the links know.
pub(super) fn complete(
    llt: &mut LltSnapshot,
    settings: &Settings,
    links: &Links,
    clients: &[(LltPort, String)],
) {
    let tab = &settings.tab;
    let name = |node| {
        let name = NodeId::new(node).and_then(|node| tab.hosts.name(node));
        name.unwrap_or_default().to_owned()
    };
    llt.name = tab.name().to_owned();
    llt.checksum = checksum(tab.checksum);
    let by_number = |number: u8| LinkId::new(number).and_then(|link| links.get(link.index()));
    for link in &mut llt.links {
        if let Some(entry) = by_number(link.link) {
            complete_link(link, entry, links.obstacle(usize::from(link.link)));
        }
    }
    for node in &mut llt.nodes {
        node.name = name(node.node);
        for link in node.links.iter_mut().filter(|_| node.own) {
            link.address = by_number(link.link).map(own_address).unwrap_or_default();
        }
    }
    for other in llt.ignored.iter_mut().filter(|other| other.cluster == tab.cluster.0) {
        other.name = name(other.node);
    }
    llt.timers = timer_rows(&tab.timers).into_iter().map(timer).collect();
    llt.flow = flow_rows(&tab.flow).into_iter().map(limit).collect();
    let configured = tab.hosts.nodes();
    // GAB is on its port whether it is configured or not, and everybody answers lltping.
    let mut ports = vec![(LltPort::GAB, "gab"), (LltPort::PING, "lltping")];
    let clients = clients.iter().map(|(port, program)| (*port, program.as_str()));
    ports.extend(clients.filter(|(port, _)| *port != LltPort::PING));
    ports.sort();
    llt.ports = ports.iter().map(|(port, usage)| llt_port(llt, configured, *port, usage)).collect();
}

fn complete_link(link: &mut LinkSnapshot, entry: &Entry, obstacle: Option<String>) {
    let counters = entry.counters();
    let (kind, addrlen) = match &entry.tab().medium {
        Medium::Ether { .. } => ("ether", 6),
        Medium::Udp { local, .. } if local.is_ipv4() => ("udp", 4),
        Medium::Udp { .. } => ("udp6", 16),
    };
    link.tag.clone_from(&entry.tab().tag);
    link.device.clone_from(&entry.tab().device);
    link.kind = kind.to_owned();
    link.address = own_address(entry);
    link.sap = entry.sap();
    link.addrlen = addrlen;
    let obstacle = obstacle.unwrap_or_default();
    if entry.address().is_some() {
        link.obstacle = obstacle;
    } else {
        link.error = obstacle;
    }
    link.tx_packets = counters.sent;
    link.tx_bytes = counters.sent_bytes;
    link.rx_packets = counters.received;
    link.rx_bytes = counters.received_bytes;
    link.tx_dropped = counters.dropped_full + counters.dropped_error + counters.dropped_address;
}

/// The level in force. 0 is not: checksums cannot be turned off.
fn checksum(asked: Option<u8>) -> u8 {
    asked.filter(|&level| level != 0).unwrap_or(CHECKSUM)
}

fn own_address(entry: &Entry) -> String {
    entry.address().map(|address| address.to_string()).unwrap_or_default()
}

/// A row of `lltconfig -T query` in milliseconds.
fn timer((name, value): (&str, String)) -> TimerSnapshot {
    let ms = match value.strip_suffix("ms") {
        Some(ms) => ms.parse().ok(),
        None => value.parse::<u64>().ok().and_then(|hundredths| hundredths.checked_mul(10)),
    };
    TimerSnapshot { name: name.to_owned(), ms: ms.expect("rows are numbers, at most a day") }
}

fn limit((name, value): (&str, usize)) -> LimitSnapshot {
    LimitSnapshot { name: name.to_owned(), value: u64::try_from(value).unwrap_or(u64::MAX) }
}

/// An LLT port that has a client here, and where else it has one.
fn llt_port(llt: &LltSnapshot, configured: NodeSet, port: LltPort, usage: &str) -> LltPortSnapshot {
    let connected = llt.nodes.iter().filter(|node| node.state == "OPEN");
    let connects = connected.filter(|node| node.open_ports.contains(&port.get()));
    LltPortSnapshot {
        port: port.get(),
        usage: usage.to_owned(),
        opens: configured.iter().map(NodeId::get).collect(),
        connects: connects.map(|node| node.node).collect(),
    }
}

/// Those of the links that a request names; an error says what is wrong with it.
pub(super) fn fault_links(request: &FaultRequest, links: &[usize]) -> Result<Vec<usize>, String> {
    match request.link.map(usize::from) {
        None => Ok(links.to_vec()),
        Some(link) if links.contains(&link) => Ok(vec![link]),
        Some(link) => {
            let links: Vec<_> = links.iter().map(usize::to_string).collect();
            Err(format!("there is no link {link}: expected one of {}", links.join(", ")))
        }
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

/// The level of checksums that `lltstat -c` shows if `llttab` names none or 0: what is done is header
/// and data of every frame.
const CHECKSUM: u8 = 10;

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
    fn the_level_of_checksums_is_the_one_in_force() {
        assert_eq!([None, Some(0), Some(10)].map(checksum), [10; 3]);
        assert_eq!([Some(1), Some(2), Some(20)].map(checksum), [1, 2, 20]);
    }

    #[test]
    fn impossible_requests_are_refused_with_the_reason() {
        let rates = Some(FaultRates { loss: 5.0, ..FaultRates::default() });
        let request = FaultRequest { rates, ..FaultRequest::default() };
        let error = faults(&request, Faults::default()).unwrap_err();
        assert_eq!(error, "loss is 5: expected a probability from 0 to 1");
        let request = FaultRequest { link: Some(2), ..FaultRequest::default() };
        let error = fault_links(&request, &[0, 1, 3]).unwrap_err();
        assert_eq!(error, "there is no link 2: expected one of 0, 1, 3");
        let request = FaultRequest { blocked: Some(vec![200]), ..FaultRequest::default() };
        assert!(faults(&request, Faults::default()).is_err());
    }
}

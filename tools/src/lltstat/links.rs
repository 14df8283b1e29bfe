//! `lltstat -l`: the links.

use std::fmt::Write as _;

use gab::snapshot::{LinkSnapshot, LltSnapshot};
use llt::limits::HEADER_LEN;

/// `lltstat -l` (facts 1.11). What is wrong with a link is ours, and follows its priority.
pub fn links(llt: &LltSnapshot) -> String {
    let mut out = String::from("LLT link information:\n");
    for link in &llt.links {
        let LinkSnapshot { link: number, tag, device, .. } = link;
        let priority = if link.lowpri { "lowpri" } else { "hipri" };
        let _ = writeln!(out, "link {number:>2}  {tag} on {device} {priority}{}", trouble(link));
        let sap = match link.kind.as_str() {
            "udp" | "udp6" => link.sap.to_string(),
            _ => format!("{:#06x}", link.sap),
        };
        let broadcast = if link.broadcast.is_empty() { "-" } else { &link.broadcast };
        let mtu = link.mtu.saturating_sub(HEADER_LEN);
        let addrlen = link.addrlen;
        let _ =
            writeln!(out, "     mtu {mtu}, sap {sap}, broadcast {broadcast}, addrlen {addrlen}");
        let _ = writeln!(out, "     txpkts {}  txbytes {}", link.tx_packets, link.tx_bytes);
        let _ = writeln!(out, "     rxpkts {}  rxbytes {}", link.rx_packets, link.rx_bytes);
        let _ = writeln!(out, "     latency {}us", link.latency_ns.div_ceil(1000));
    }
    out
}

fn trouble(link: &LinkSnapshot) -> String {
    if !link.enabled {
        " (disabled)".to_owned()
    } else if !link.error.is_empty() {
        format!(" (not open: {})", link.error)
    } else if !link.obstacle.is_empty() {
        format!(" (carries nothing: {})", link.obstacle)
    } else if link.tx_dropped > 0 {
        format!(" ({} frames were not sent)", link.tx_dropped)
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    fn ether() -> LinkSnapshot {
        LinkSnapshot {
            tag: "eth1".into(),
            device: "eth-00:15:17:48:b5:80".into(),
            kind: "ether".into(),
            broadcast: "FF:FF:FF:FF:FF:FF".into(),
            sap: 0xcafe,
            addrlen: 6,
            mtu: 1500,
            enabled: true,
            carrier: true,
            tx_packets: 6478,
            tx_bytes: 362_496,
            rx_packets: 12_917,
            rx_bytes: 682_912,
            latency_ns: 99_500,
            ..LinkSnapshot::default()
        }
    }

    #[test]
    fn links_look_as_in_the_original() {
        let llt = LltSnapshot { links: vec![ether()], ..LltSnapshot::default() };
        golden::check("lltstat-l", &links(&llt));
        golden::check_json("lltstat-l-json", &llt.links);
    }

    #[test]
    fn a_udp_link_shows_its_port_and_what_is_wrong_with_it() {
        let udp = LinkSnapshot {
            link: 7,
            tag: "l7".into(),
            device: "udp".into(),
            kind: "udp".into(),
            sap: 50_000,
            addrlen: 4,
            mtu: 8192,
            lowpri: true,
            error: "cannot bind 10.0.0.1:50000".into(),
            enabled: true,
            ..LinkSnapshot::default()
        };
        let llt = LltSnapshot { links: vec![udp], ..LltSnapshot::default() };
        golden::check("lltstat-l-udp", &links(&llt));
    }

    #[test]
    fn the_gravest_trouble_is_named() {
        let mut link = LinkSnapshot { tx_dropped: 3, ..ether() };
        assert_eq!(trouble(&link), " (3 frames were not sent)");
        link.carrier = false;
        link.obstacle = "eth1 has no carrier".into();
        assert_eq!(trouble(&link), " (carries nothing: eth1 has no carrier)");
        link.obstacle.clear();
        link.error = "there is no device eth1".into();
        assert_eq!(trouble(&link), " (not open: there is no device eth1)");
        link.enabled = false;
        assert_eq!(trouble(&link), " (disabled)");
    }
}

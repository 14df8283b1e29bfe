//! What a change of LLT at run time comes to: judged here, by the rules of `llttab`, before
//! anything is done. All of a request is good, or nothing of it is done.

use llt::config::{Flow, Timers};
use llt::llttab::{
    Applied, ConfigErrors, LltTab, Medium, SettingError, TabLink, Warning, check_flow,
    check_timers, flow_rows, parse_flow, parse_timer, timer_rows,
};
use llt::{LinkAddr, LinkId, NodeId, NodeSet};
use miette::Diagnostic;

use crate::admin::{Changed, Exclude, LinkAdd, Setting};

/// `lltconfig -T`.
pub(super) fn timers(before: &Timers, settings: &[Setting]) -> Result<(Timers, Changed), String> {
    let mut after = *before;
    let mut changed = apply("timer", &mut after, settings, parse_timer)?;
    check_timers(&after).map_err(|error| error.to_string())?;
    let rows = timer_rows(before).into_iter().zip(timer_rows(&after));
    changed.changed = rows.filter_map(|(before, after)| row(before, after)).collect();
    Ok((after, changed))
}

/// `lltconfig -F`.
pub(super) fn flow(before: &Flow, settings: &[Setting]) -> Result<(Flow, Changed), String> {
    let mut after = *before;
    let mut changed = apply("flow", &mut after, settings, parse_flow)?;
    check_flow(&after).map_err(|error| error.to_string())?;
    let rows = flow_rows(before).into_iter().zip(flow_rows(&after));
    changed.changed = rows.filter_map(|(before, after)| row(before, after)).collect();
    Ok((after, changed))
}

fn apply<T>(
    what: &str,
    values: &mut T,
    settings: &[Setting],
    set: fn(&mut T, &str) -> Result<Applied, SettingError>,
) -> Result<Changed, String> {
    let mut changed = Changed::default();
    let mut keep = format!("set-{what}");
    for Setting { name, value } in settings {
        let text = format!("{name}:{value}");
        let applied = set(values, &text).map_err(|error| format!("{text}: {error}"))?;
        changed.warnings.extend(applied.warning());
        match applied {
            Applied::Ignored(_) => {}
            Applied::Idle(_) | Applied::Set(_) => keep += &format!(" {text}"),
        }
    }
    if keep.contains(' ') {
        changed.keep.push(keep);
    }
    Ok(changed)
}

/// A row of a listing that is another one now.
fn row<T: PartialEq + std::fmt::Display>(
    (name, before): (&str, T),
    (_, after): (&str, T),
) -> Option<String> {
    (before != after).then(|| format!("{name}: {before} -> {after}"))
}

/// `lltconfig -i`, `-x`.
pub(super) fn exclude(
    own: NodeId,
    before: NodeSet,
    request: Exclude,
) -> Result<(NodeSet, Changed), String> {
    let Exclude { low, high, exclude } = request;
    let (Some(first), Some(last)) = (NodeId::new(low), NodeId::new(high)) else {
        return Err(format!("{low}-{high} is no range of nodes: expected 0 to 127"));
    };
    if first > last {
        return Err(format!("{low}-{high} is no range of nodes: expected the lower one first"));
    }
    let range: NodeSet = (low..=high).filter_map(NodeId::new).collect();
    if exclude && range.contains(own) {
        return Err(format!("node {own} is this node, which cannot ignore itself"));
    }
    let after = if exclude { before.union(range) } else { before.difference(range) };
    let mut changed = Changed::default();
    if after != before {
        changed.changed.push(format!("ignored nodes: {} -> {}", ranges(before), ranges(after)));
    }
    let directive = if exclude { "exclude" } else { "include" };
    changed.keep.push(format!("{directive} {}", ranges(range)));
    Ok((after, changed))
}

/// A set as ranges: `2-31, 40`; `none` if it is empty.
fn ranges(nodes: NodeSet) -> String {
    let mut ranges: Vec<(u8, u8)> = Vec::new();
    for node in nodes.iter().map(NodeId::get) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == node => *last = node,
            _ => ranges.push((node, node)),
        }
    }
    if ranges.is_empty() {
        return "none".to_owned();
    }
    let show = |(first, last): &(u8, u8)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.iter().map(show).collect::<Vec<_>>().join(", ")
}

/// `lltconfig -t TAG -d DEVICE`: the link, and what was accepted but is worth a word.
pub(super) fn link(
    tab: &LltTab,
    others: &[(LinkId, &TabLink)],
    request: &LinkAdd,
) -> Result<(TabLink, Vec<Warning>), String> {
    let others: Vec<&TabLink> = others.iter().map(|(_, link)| *link).collect();
    parse(tab, &request.line(), &others)
}

/// `lltconfig -a set`: a node, and its address as the link uses it.
pub(super) fn address(
    tab: &LltTab,
    link: &TabLink,
    node: &str,
    address: &str,
) -> Result<(NodeId, LinkAddr), String> {
    let node = self::node(tab, node)?;
    // It is read as a line of llttab, where a blank begins the next field.
    if address.is_empty() || address.contains(|c: char| c.is_whitespace() || c == '#') {
        return Err(format!("{address:?} is no address"));
    }
    let tag = &link.tag;
    let mut text = line(link);
    // What the others have must not be given again.
    for (other, address) in link.peers.iter().filter(|(other, _)| *other != node) {
        text += &format!("\nset-addr {other} {tag} {address}");
    }
    text += &format!("\nset-addr {node} {tag} {address}");
    let (read, _) = parse(tab, &text, &[])?;
    let found = read.peers.into_iter().find(|(found, _)| *found == node);
    found.ok_or_else(|| own(node))
}

/// What can be said of other nodes only was said of the own one.
pub(super) fn own(node: NodeId) -> String {
    format!("node {node} is this node")
}

/// A node by its name in `llthosts` or by its id.
pub(super) fn node(tab: &LltTab, text: &str) -> Result<NodeId, String> {
    let by_id = || text.parse().ok().and_then(NodeId::new);
    let node = tab.hosts.node(text).or_else(by_id);
    node.ok_or_else(|| format!("{text} is no node: expected an id, or a name of llthosts"))
}

/// A link by its tag.
pub(super) fn find<'a>(
    links: &[(LinkId, &'a TabLink)],
    tag: &str,
) -> Result<(LinkId, &'a TabLink), String> {
    links.iter().find(|(_, link)| link.tag == tag).copied().ok_or_else(|| {
        let tags: Vec<&str> = links.iter().map(|(_, link)| link.tag.as_str()).collect();
        format!("there is no link {tag}: expected one of {}", tags.join(", "))
    })
}

fn parse(tab: &LltTab, text: &str, others: &[&TabLink]) -> Result<(TabLink, Vec<Warning>), String> {
    let mut warnings = Vec::new();
    let link = TabLink::parse_line(text, tab.node, &tab.hosts, others, &mut warnings);
    Ok((link.map_err(|errors| problems(&errors))?, warnings))
}

/// A link as its line in `llttab`.
pub(super) fn line(link: &TabLink) -> String {
    let directive = if link.lowpri { "link-lowpri" } else { "link" };
    let mtu = link.mtu.map_or_else(|| "-".to_owned(), |mtu| mtu.to_string());
    let start = format!("{directive} {} {} -", link.tag, link.device);
    match &link.medium {
        Medium::Ether { sap, .. } => format!("{start} ether {sap:#06x} {mtu}"),
        Medium::Udp { local, broadcast } => {
            let kind = if local.is_ipv4() { "udp" } else { "udp6" };
            let broadcast = broadcast.map_or_else(|| "-".to_owned(), |ip| ip.to_string());
            let scope = match local {
                std::net::SocketAddr::V6(local) if local.scope_id() != 0 => {
                    format!("%{}", local.scope_id())
                }
                std::net::SocketAddr::V4(_) | std::net::SocketAddr::V6(_) => String::new(),
            };
            format!("{start} {kind} {} {mtu} {}{scope} {broadcast}", local.port(), local.ip())
        }
    }
}

/// What is wrong, in one line: the message and what was expected at the place.
fn problems(errors: &ConfigErrors) -> String {
    let problems = errors.problems().iter().map(|problem| {
        let label = problem.labels().and_then(|mut labels| labels.next());
        match label.as_ref().and_then(|label| label.label()) {
            Some(label) => format!("{problem}: {label}"),
            None => problem.to_string(),
        }
    });
    problems.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use llt::llttab::Source;

    use super::*;

    fn tab() -> LltTab {
        let llttab = "\
set-node north
set-cluster 7
link l0 udp - udp 50000 - 192.168.1.1 192.168.1.255
link-lowpri eth9 eth9 - ether - -
";
        let tab = LltTab::parse(
            &Source::new("llttab", llttab.as_bytes()),
            &Source::new("llthosts", b"0 north\n1 south\n2 east\n"),
            &|_| Err(std::io::Error::other("no file")),
        );
        tab.unwrap()
    }

    fn links(tab: &LltTab) -> Vec<(LinkId, &TabLink)> {
        LinkId::all().zip(&tab.links).collect()
    }

    fn set(name: &str, value: &str) -> Setting {
        Setting { name: name.into(), value: value.into() }
    }

    #[test]
    fn timers_tell_what_they_were() {
        let before = Timers::default();
        let (after, changed) =
            timers(&before, &[set("peertrouble", "350"), set("rpeerinact", "600")]).unwrap();
        assert_eq!(after.peer_trouble.as_millis(), 3500);
        assert!(changed.changed.contains(&"peertrouble: 200 -> 350".to_owned()), "{changed:?}");
        assert_eq!(changed.keep, ["set-timer peertrouble:350"]);
        let said = "`rpeerinact` means nothing here and is ignored: there are no RDMA links";
        assert_eq!(changed.warnings, [said]);
        // One that means nothing changes nothing; one that has no effect is shown all the same.
        let (_, changed) = timers(&before, &[set("rpeerinact", "5")]).unwrap();
        assert_eq!((changed.changed.len(), changed.keep.len()), (0, 0));
        let (_, changed) = timers(&before, &[set("service", "1")]).unwrap();
        assert_eq!(changed.changed, ["service: 100 -> 1"]);
        assert!(changed.warnings[0].starts_with("`service` has no effect: "), "{changed:?}");
    }

    #[test]
    fn settings_that_contradict_each_other_change_nothing() {
        let error = timers(&Timers::default(), &[set("peerinact", "100")]).unwrap_err();
        assert!(error.contains("peerinact") && error.contains("peertrouble"), "{error}");
        let error = timers(&Timers::default(), &[set("peerinakt", "100")]).unwrap_err();
        assert!(error.starts_with("peerinakt:100: "), "{error}");
        let error = flow(&Flow::default(), &[set("highwater", "50")]).unwrap_err();
        assert!(error.contains("lowwater"), "{error}");
        // Together they are possible.
        let (after, changed) =
            flow(&Flow::default(), &[set("highwater", "50"), set("lowwater", "20")]).unwrap();
        assert_eq!((after.highwater, after.lowwater), (50, 20));
        assert_eq!(changed.changed, ["highwater: 200 -> 50", "lowwater: 100 -> 20"]);
        assert_eq!(changed.keep, ["set-flow highwater:50 lowwater:20"]);
    }

    #[test]
    fn ignored_nodes_are_shown_as_ranges() {
        let (own, none) = (NodeId::ZERO, NodeSet::EMPTY);
        let request = Exclude { low: 2, high: 31, exclude: true };
        let (after, changed) = exclude(own, none, request).unwrap();
        assert_eq!(after.len(), 30);
        assert_eq!(changed.changed, ["ignored nodes: none -> 2-31"]);
        assert_eq!(changed.keep, ["exclude 2-31"]);
        let request = Exclude { low: 5, high: 5, exclude: false };
        let (_, changed) = exclude(own, after, request).unwrap();
        assert_eq!(changed.changed, ["ignored nodes: 2-31 -> 2-4, 6-31"]);
        assert_eq!(exclude(own, none, request).unwrap().1.changed, [""; 0]);
        for (low, high, said) in
            [(0, 3, "cannot ignore itself"), (9, 3, "lower one first"), (3, 128, "0 to 127")]
        {
            let error = exclude(own, none, Exclude { low, high, exclude: true }).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn links_are_read_by_the_rules_of_llttab() {
        let tab = tab();
        let mut request = LinkAdd {
            tag: "l1".into(),
            device: "udp".into(),
            kind: "udp".into(),
            sap: Some("50001".into()),
            address: Some("192.168.2.1".into()),
            ..LinkAdd::default()
        };
        let (added, _) = link(&tab, &links(&tab), &request).unwrap();
        assert_eq!((added.tag.as_str(), added.lowpri), ("l1", false));
        request.tag = "l0".into();
        let error = link(&tab, &links(&tab), &request).unwrap_err();
        assert!(error.contains("l0"), "{error}");
        request.mtu = Some("12".into());
        assert!(link(&tab, &links(&tab), &request).unwrap_err().contains("576"), "{error}");
    }

    #[test]
    fn a_line_reads_back() {
        let tab = tab();
        for link in &tab.links {
            let (read, _) = parse(&tab, &line(link), &[]).unwrap();
            assert_eq!(read, *link);
        }
        let (_, lowpri) = find(&links(&tab), "eth9").unwrap();
        assert_eq!(line(lowpri), "link-lowpri eth9 eth9 - ether 0xcafe -");
    }

    #[test]
    fn an_address_that_another_node_has_is_refused() {
        let tab = tab();
        let south = NodeId::new(1).unwrap();
        let east = NodeId::new(2).unwrap();
        for (link, taken) in [("l0", "192.168.1.2"), ("eth9", "00:15:17:48:B4:98")] {
            let mut link = find(&links(&tab), link).unwrap().1.clone();
            link.peers = vec![(south, link.medium.parse_address(taken).unwrap())];
            let error = address(&tab, &link, "east", taken).unwrap_err();
            assert_eq!(error, format!("nodes 1 and 2 share {taken}: again"));
            // Its own may be given again, and a free one to both.
            assert!(address(&tab, &link, "south", taken).is_ok());
            let free = taken.replace("98", "99").replace(".2", ".3");
            assert_eq!(address(&tab, &link, "south", &free).unwrap().0, south);
            assert_eq!(address(&tab, &link, "east", &free).unwrap().0, east);
        }
        let mut link = find(&links(&tab), "l0").unwrap().1.clone();
        link.medium = Medium::Udp { local: "[fe80::1%3]:50000".parse().unwrap(), broadcast: None };
        link.peers = vec![(south, link.medium.parse_address("fe80::2").unwrap())];
        assert!(address(&tab, &link, "east", "fe80::2").unwrap_err().contains("share fe80::2"));
        let (_, found) = address(&tab, &link, "east", "fe80::3").unwrap();
        assert_eq!(found, link.medium.parse_address("fe80::3").unwrap());
    }

    #[test]
    fn a_link_that_leads_to_nobody_is_worth_a_word() {
        let tab = tab();
        let mut request = LinkAdd {
            tag: "x".into(),
            device: "udp".into(),
            kind: "udp".into(),
            sap: Some("50999".into()),
            address: Some("127.0.0.9".into()),
            ..LinkAdd::default()
        };
        let said = |request: &LinkAdd| -> Vec<String> {
            let (_, warnings) = link(&tab, &links(&tab), request).unwrap();
            warnings.into_iter().map(|warning| warning.text).collect()
        };
        let nobody = "link `x` looks for nobody by broadcast, and no node has an address on it";
        assert_eq!(said(&request), [nobody]);
        request.broadcast = Some("127.0.0.255".into());
        assert_eq!(said(&request), [""; 0]);
    }

    #[test]
    fn addresses_are_of_the_kind_of_the_link() {
        let tab = tab();
        let (_, udp) = find(&links(&tab), "l0").unwrap();
        let (_, ether) = find(&links(&tab), "eth9").unwrap();
        let (node, addr) = address(&tab, udp, "south", "192.168.1.2").unwrap();
        assert_eq!((node.get(), addr), (1, LinkAddr::V4 { ip: [192, 168, 1, 2], port: 50_000 }));
        let (_, addr) = address(&tab, ether, "1", "00:15:17:48:B4:98").unwrap();
        assert_eq!(addr, LinkAddr::Mac([0, 0x15, 0x17, 0x48, 0xb4, 0x98]));
        for (link, node, text) in [
            (udp, "1", "00:15:17:48:B4:98"),
            (ether, "1", "192.168.1.2"),
            (udp, "west", "192.168.1.2"),
            (udp, "1", "192.168.1.2\nset-arp 0"),
            (udp, "1", ""),
        ] {
            assert!(address(&tab, link, node, text).is_err(), "{node} {text}");
        }
        let error = find(&links(&tab), "eth1").unwrap_err();
        assert_eq!(error, "there is no link eth1: expected one of l0, eth9");
    }
}

//! What a command line asks for: one thing.

use std::path::Path;

use gab::admin::{AddressChange, AdminRequest, Exclude, LinkAdd, Setting};
use llt::limits::NODES_MAX;

use super::cli::Cli;
use crate::common::Failure;

/// One thing.
#[derive(Debug, PartialEq)]
pub(super) enum Action<'a> {
    /// `-a list`.
    Addresses,
    /// Something that gabd changes.
    Change(AdminRequest),
    /// `-K` with a level that is in force anyway.
    Checksum,
    /// `-F query`.
    Flow,
    /// `--keygen`.
    GenerateKey(Option<&'a Path>),
    /// `-W`.
    Protocol,
    /// `--reload-keys`.
    ReloadKeys,
    /// `-c`.
    Start {
        /// `-f`.
        file: Option<&'a Path>,
    },
    /// Nothing: is it running?
    Status,
    /// `-U`.
    Stop,
    /// `-T query`.
    Timers,
    /// `-V`.
    Version,
}

impl<'a> Action<'a> {
    /// # Errors
    /// What cannot be meant; nothing was done.
    pub(super) fn of(cli: &'a Cli) -> Result<Self, Failure> {
        if cli.over && !(cli.configure || cli.unconfigure) {
            return usage("-o goes with -c (do not listen) or -U (do not ask)");
        }
        if cli.tag.is_some() && cli.device.is_none() && cli.state.is_none() {
            return usage(
                "-t names a link: expected -d DEVICE -b TYPE or -L enable|disable with it",
            );
        }
        let change = |request| Ok(Self::Change(request));
        if cli.configure {
            return Ok(Self::Start { file: cli.file.as_deref() });
        }
        if cli.unconfigure {
            return Ok(Self::Stop);
        }
        if cli.show_version {
            return Ok(Self::Version);
        }
        if cli.show_protocol {
            return Ok(Self::Protocol);
        }
        if let Some(file) = &cli.keygen {
            return Ok(Self::GenerateKey(file.as_deref()));
        }
        if cli.reload_keys {
            return Ok(Self::ReloadKeys);
        }
        if let Some(level) = &cli.checksum {
            return checksum(level);
        }
        if let Some(range) = &cli.include {
            return change(AdminRequest::LltExclude(nodes(range, false)?));
        }
        if let Some(range) = &cli.exclude {
            return change(AdminRequest::LltExclude(nodes(range, true)?));
        }
        if let Some(tag) = &cli.remove {
            return change(AdminRequest::LltLinkRemove { tag: tag.clone() });
        }
        if let (Some(tag), Some(state)) = (&cli.tag, &cli.state) {
            let (tag, enabled) = (tag.clone(), state == "enable");
            return change(AdminRequest::LltLinkEnable { tag, enabled });
        }
        if let (Some(tag), Some(device), Some(kind)) = (&cli.tag, &cli.device, &cli.kind) {
            return change(AdminRequest::LltLinkAdd(link(cli, tag, device, kind)?));
        }
        match (settings(&cli.timers, "timers")?, settings(&cli.flow, "limits")?) {
            (Settings::Query, _) => return Ok(Self::Timers),
            (_, Settings::Query) => return Ok(Self::Flow),
            (Settings::Set(timers), _) => return change(AdminRequest::LltTimers(timers)),
            (_, Settings::Set(flow)) => return change(AdminRequest::LltFlow(flow)),
            (Settings::None, Settings::None) => {}
        }
        match addresses(&cli.addresses)? {
            Some(action) => Ok(action),
            None => Ok(Self::Status),
        }
    }
}

fn usage<T>(text: &str) -> Result<T, Failure> {
    Err(Failure::Usage(text.to_owned()))
}

fn checksum<'a>(level: &str) -> Result<Action<'a>, Failure> {
    match level {
        "0" => Err(Failure::operation(
            "checksums cannot be turned off: a frame that was corrupted on its way must not be taken \
             for what somebody said",
        )),
        "1" | "10" | "2" | "20" => Ok(Action::Checksum),
        _ => {
            Err(Failure::Usage(format!("{level} is no checksum level: expected 0, 1, 10, 2 or 20")))
        }
    }
}

/// `2_31`, `2-31` or `5`.
fn nodes(range: &str, exclude: bool) -> Result<Exclude, Failure> {
    let (low, high) = range.split_once(['_', '-']).unwrap_or((range, range));
    let node = |text: &str| text.parse().ok().filter(|&node: &u8| node < NODES_MAX);
    match (node(low), node(high)) {
        (Some(low), Some(high)) if low <= high => Ok(Exclude { low, high, exclude }),
        _ => Err(Failure::Usage(format!(
            "{range} is no range of nodes: expected 2_31, 2-31 or 5, up to {}",
            NODES_MAX - 1
        ))),
    }
}

fn link(cli: &Cli, tag: &str, device: &str, kind: &str) -> Result<LinkAdd, Failure> {
    let has_address = cli.address.is_some() || cli.broadcast.is_some();
    match kind {
        "ether" if has_address => return usage("-I and -B are for links of type udp or udp6"),
        "udp" | "udp6" if cli.address.is_none() => {
            return usage("a UDP link has an address of this node: expected -I ADDRESS");
        }
        "udp" | "udp6" if cli.sap.is_none() => {
            return usage("a UDP link has a port: expected -s PORT");
        }
        "ether" | "udp" | "udp6" => {}
        "rdma" => return usage("RDMA links are not in this version: expected ether, udp or udp6"),
        _ => {
            let text = format!("{kind} is no type of link: expected ether, udp or udp6");
            return Err(Failure::Usage(text));
        }
    }
    // gabd reads them as a line of llttab, where a blank begins the next field.
    let fields = [Some(tag), Some(device)].into_iter();
    let optional = [&cli.sap, &cli.mtu, &cli.address, &cli.broadcast];
    for field in fields.chain(optional.map(Option::as_deref)).flatten() {
        if field.is_empty() || field.contains(|c: char| c.is_whitespace() || c == '#') {
            return Err(Failure::Usage(format!("{field:?} has a blank in it, or is empty")));
        }
    }
    Ok(LinkAdd {
        tag: tag.to_owned(),
        device: device.to_owned(),
        kind: kind.to_owned(),
        sap: cli.sap.clone(),
        mtu: cli.mtu.clone(),
        address: cli.address.clone(),
        broadcast: cli.broadcast.clone(),
        lowpri: cli.lowpri,
    })
}

/// The words of `-T` or `-F`.
enum Settings {
    None,
    Query,
    Set(Vec<Setting>),
}

fn settings(words: &[String], what: &str) -> Result<Settings, Failure> {
    match words {
        [] => return Ok(Settings::None),
        [word] if word == "query" => return Ok(Settings::Query),
        _ => {}
    }
    let read = |word: &String| match word.split_once(':') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok(Setting { name: name.to_owned(), value: value.to_owned() })
        }
        _ => Err(Failure::Usage(format!(
            "{word} is not understood: expected name:value for {what}, or query alone"
        ))),
    };
    Ok(Settings::Set(words.iter().map(read).collect::<Result<_, _>>()?))
}

fn addresses<'a>(words: &[String]) -> Result<Option<Action<'a>>, Failure> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let request = match words[..] {
        [] => return Ok(None),
        ["list"] => return Ok(Some(Action::Addresses)),
        ["flush"] => AddressChange::Flush,
        ["delete", node, tag] => {
            AddressChange::Delete { node: node.to_owned(), tag: tag.to_owned() }
        }
        ["set", node, tag, address] => AddressChange::Set {
            node: node.to_owned(),
            tag: tag.to_owned(),
            address: address.to_owned(),
        },
        _ => {
            return usage(
                "expected -a list, -a flush, -a delete NODE TAG or -a set NODE TAG ADDRESS",
            );
        }
    };
    Ok(Some(Action::Change(AdminRequest::LltAddress(request))))
}

#[cfg(test)]
mod tests {
    use super::super::cli::cli;
    use super::*;

    fn error(line: &str) -> String {
        let cli = cli(line).unwrap();
        Action::of(&cli).unwrap_err().to_string()
    }

    fn request(line: &str) -> AdminRequest {
        let cli = cli(line).unwrap();
        match Action::of(&cli).unwrap() {
            Action::Change(request) => request,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn each_change_is_one_request() {
        let setting = |name: &str, value: &str| Setting { name: name.into(), value: value.into() };
        let timers = vec![setting("peertrouble", "350"), setting("peerinact", "8s")];
        assert_eq!(
            request("lltconfig -T peertrouble:350 peerinact:8s"),
            AdminRequest::LltTimers(timers)
        );
        let flow = vec![setting("window", "50")];
        assert_eq!(request("lltconfig -F window:50"), AdminRequest::LltFlow(flow));
        for range in ["2_31", "2-31"] {
            let exclude = Exclude { low: 2, high: 31, exclude: true };
            let line = format!("lltconfig -x {range}");
            assert_eq!(request(&line), AdminRequest::LltExclude(exclude));
        }
        let include = Exclude { low: 5, high: 5, exclude: false };
        assert_eq!(request("lltconfig -i 5"), AdminRequest::LltExclude(include));
        let disable = AdminRequest::LltLinkEnable { tag: "eth3".into(), enabled: false };
        assert_eq!(request("lltconfig -t eth3 -L disable"), disable);
        let AdminRequest::LltLinkAdd(link) = request("lltconfig -t eth3 -d eth3 -b ether -l")
        else {
            panic!("another request");
        };
        assert_eq!(link.line(), "link-lowpri eth3 eth3 - ether - -");
        let set = AddressChange::Set {
            node: "south".into(),
            tag: "l2".into(),
            address: "192.168.3.2".into(),
        };
        assert_eq!(request("lltconfig -a set south l2 192.168.3.2"), AdminRequest::LltAddress(set));
        assert_eq!(request("lltconfig -a flush"), AdminRequest::LltAddress(AddressChange::Flush));
    }

    #[test]
    fn what_cannot_be_meant_says_what_was_expected() {
        for (line, said) in [
            ("lltconfig -o", "-o goes with -c"),
            ("lltconfig -t eth1", "-t names a link: expected -d DEVICE"),
            ("lltconfig -K 0", "checksums cannot be turned off"),
            ("lltconfig -K 7", "7 is no checksum level: expected 0, 1, 10, 2 or 20"),
            ("lltconfig -x 31_2", "31_2 is no range of nodes: expected 2_31, 2-31 or 5, up to 127"),
            ("lltconfig -x 0-128", "0-128 is no range of nodes"),
            ("lltconfig -i all", "all is no range of nodes"),
            ("lltconfig -T query heartbeat:50", "query is not understood: expected name:value"),
            ("lltconfig -T heartbeat", "heartbeat is not understood"),
            ("lltconfig -F :7", ":7 is not understood"),
            ("lltconfig -a show", "expected -a list, -a flush, -a delete NODE TAG or"),
            ("lltconfig -a set 1 l2", "expected -a list"),
            ("lltconfig -t a -d b -b rdma", "RDMA links are not in this version"),
            ("lltconfig -t a -d b -b wifi", "wifi is no type of link"),
            ("lltconfig -t a -d b -b ether -I 1.2.3.4", "-I and -B are for links of type udp"),
            ("lltconfig -t a -d udp -b udp -s 50000", "expected -I ADDRESS"),
            ("lltconfig -t a -d udp -b udp -I 1.2.3.4", "expected -s PORT"),
            ("lltconfig -t a#b -d eth1 -b ether", "\"a#b\" has a blank in it"),
        ] {
            let error = error(line);
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}

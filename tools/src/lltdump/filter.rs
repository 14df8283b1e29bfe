//! Which frames to show.

use std::collections::BTreeSet;

use llt::wire::BROADCAST_NODE;

use super::seen::{Meaning, Seen};

/// What a frame has to be.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Filter {
    /// Of this cluster.
    pub(super) cluster: Option<u16>,
    /// From or to this node; broadcasts are to all.
    pub(super) node: Option<u8>,
    /// Of one of these kinds, by their names.
    pub(super) kinds: Vec<String>,
    /// Over Ethernet, or over UDP.
    pub(super) ether: Option<bool>,
}

impl Filter {
    /// Is this frame one of them? What a corrupt one says of itself is not believed.
    pub(super) fn passes(&self, seen: &Seen, meaning: &Meaning) -> bool {
        let name = meaning.words.name;
        let of_cluster = |cluster| meaning.cluster == Some(cluster);
        let of_node = |node| {
            meaning.source == Some(node)
                || matches!(meaning.destination, Some(to) if to == node || to == BROADCAST_NODE)
        };
        self.cluster.is_none_or(of_cluster)
            && self.node.is_none_or(of_node)
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| kind == name))
            && self.ether.is_none_or(|ether| seen.is_ether() == Some(ether))
    }
}

/// `-D`: who talks, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Talkers(BTreeSet<String>);

impl Talkers {
    /// Cluster, node and version of the sender as `7-0-1`, if they are new. Of a version that we do
    /// not speak the rest is not known.
    pub(super) fn news(&mut self, seen: &Seen, meaning: &Meaning) -> Option<String> {
        let version = seen.frame.get(VERSION_AT)?;
        let talker = match (meaning.source, meaning.foreign) {
            (Some(node), _) => {
                // Sealed frames hide the cluster.
                let cluster = meaning.cluster.map(|cluster| cluster.to_string());
                format!("{}-{node}-{version}", cluster.as_deref().unwrap_or("?"))
            }
            (None, Some(newest)) => format!("?-?-{newest}"),
            (None, None) => return None,
        };
        self.0.insert(talker.clone()).then_some(talker)
    }
}

/// The names that `--kind` knows.
pub(super) const KINDS: [&str; 11] = [
    "ACK",
    "BYE",
    "CONN_REQ",
    "CORRUPT",
    "DATA",
    "DATAGRAM",
    "DUPLICATE",
    "HBREQ",
    "HEARTBEAT",
    "PROBE",
    "SEALED",
];

/// Where the frame header holds the newest version that its sender speaks.
const VERSION_AT: usize = 2;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use llt::wire::{Header, Kind, emit_bye};
    use llt::{ClusterId, Incarnation, LinkAddr};

    use super::*;

    fn seen(cluster: u16, src: u8, dst: u8) -> Seen {
        let header = Header {
            cluster: ClusterId(cluster),
            kind: Kind::Bye,
            src,
            dst,
            sequence: 0,
            src_incarnation: Incarnation(1),
            dst_incarnation: Incarnation(0),
            src_session: 0,
            dst_session: 0,
            ack: 0,
        };
        Seen {
            time_ns: 0,
            link: None,
            outgoing: None,
            source: Some(LinkAddr::Mac([0; 6])),
            destination: None,
            lost: 0,
            frame: emit_bye(&header),
        }
    }

    fn passes(filter: &Filter, seen: &Seen) -> bool {
        filter.passes(seen, &seen.meaning(None))
    }

    #[test]
    fn each_condition_must_hold() {
        let any = Filter::default();
        let (bye, all) = (seen(7, 1, 2), seen(7, 1, 0xff));
        let broken = Seen { frame: Bytes::from_static(b"LL"), ..bye.clone() };
        assert!(passes(&any, &bye) && passes(&any, &broken));
        let cluster = |cluster| Filter { cluster: Some(cluster), ..Filter::default() };
        assert!(passes(&cluster(7), &bye));
        assert!(!passes(&cluster(8), &bye) && !passes(&cluster(7), &broken));
        let node = |node| Filter { node: Some(node), ..Filter::default() };
        assert!(passes(&node(1), &bye) && passes(&node(2), &bye) && !passes(&node(3), &bye));
        assert!(passes(&node(3), &all));
        let kind = |kind: &str| Filter { kinds: vec![kind.to_owned()], ..Filter::default() };
        assert!(passes(&kind("BYE"), &bye) && !passes(&kind("DATA"), &bye));
        assert!(passes(&kind("CORRUPT"), &broken));
        let ether = |ether| Filter { ether: Some(ether), ..Filter::default() };
        assert!(passes(&ether(true), &bye) && !passes(&ether(false), &bye));
        assert!(KINDS.is_sorted());
    }

    #[test]
    fn each_talker_is_named_once() {
        let mut talkers = Talkers::default();
        let mut news = |seen: &Seen| talkers.news(seen, &seen.meaning(None));
        assert_eq!(news(&seen(7, 0, 1)), Some("7-0-1".to_owned()));
        assert_eq!(news(&seen(7, 0, 2)), None);
        assert_eq!(news(&seen(7, 1, 0)), Some("7-1-1".to_owned()));
        assert_eq!(news(&seen(8, 0, 1)), Some("8-0-1".to_owned()));
        let mut foreign = seen(9, 9, 9).frame.to_vec();
        (foreign[2], foreign[3]) = (5, 4);
        let foreign = Seen { frame: foreign.into(), ..seen(9, 9, 9) };
        assert_eq!(news(&foreign), Some("?-?-5".to_owned()));
    }
}

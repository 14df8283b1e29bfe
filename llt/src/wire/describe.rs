//! Frames in words, for logs and `lltdump`: the names are the original's where it has one (facts
//! 1.12), ours elsewhere.

use core::fmt::Write as _;

use super::{Ack, Body, Data, Datagram, Frame, Header, Heartbeat, WireError};
use crate::ids::{NodeId, NodeSet};

/// A frame in words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Description {
    /// The name of its kind: `HEARTBEAT`, `CONN_REQ` (a heartbeat to a peer that is not connected),
    /// `DATA`, `ACK`, `DATAGRAM`, `BYE`, `DUPLICATE`, `PROBE`, `HBREQ`, `CORRUPT`.
    pub name: &'static str,
    /// What matters of it, on one line.
    pub summary: String,
    /// All of its fields, each with its value.
    pub fields: Vec<(&'static str, String)>,
}

/// A frame in words.
pub fn describe(frame: &Frame<'_>) -> Description {
    let mut fields = header(&frame.header);
    let (name, summary) = match &frame.body {
        Body::Ack(body) => ack(&frame.header, body, &mut fields),
        Body::Bye => ("BYE", "the sender's incarnation ends".to_owned()),
        Body::Data(body) => data(body, &mut fields),
        Body::Datagram(body) => datagram(&frame.header, body, &mut fields),
        Body::Duplicate(body) => {
            fields.push(("older", body.older.to_string()));
            ("DUPLICATE", format!("incarnation {} has the receiver's node id, too", body.older))
        }
        Body::Heartbeat(body) => heartbeat(&frame.header, body, &mut fields),
        Body::Probe(body) => {
            fields.push(("probe", body.number.to_string()));
            ("PROBE", format!("number {}: does the full size get through?", body.number))
        }
        Body::Request => ("HBREQ", "asks for a heartbeat".to_owned()),
    };
    Description { name, summary, fields }
}

/// What is wrong with bytes that are no frame.
pub fn describe_error(error: WireError) -> Description {
    let summary = match error {
        WireError::Checksum | WireError::Version { .. } => error.to_string(),
        WireError::Malformed { what } => format!("expected {what}"),
    };
    Description { name: "CORRUPT", summary, fields: Vec::new() }
}

fn header(header: &Header) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("cluster", header.cluster.to_string()),
        ("source", header.src.to_string()),
        ("destination", receiver(header)),
        ("source incarnation", header.src_incarnation.to_string()),
    ];
    if !header.is_broadcast() {
        fields.push(("destination incarnation", header.dst_incarnation.to_string()));
        fields.push(("sessions", format!("{} {}", header.src_session, header.dst_session)));
        fields.push(("acknowledged", header.ack.to_string()));
    } else {
        fields.push(("heartbeats sent", header.ack.to_string()));
    }
    fields.push(("link sequence", header.sequence.to_string()));
    fields
}

fn receiver(header: &Header) -> String {
    if header.is_broadcast() { "all".to_owned() } else { header.dst.to_string() }
}

fn heartbeat(
    header: &Header,
    body: &Heartbeat<'_>,
    fields: &mut Vec<(&'static str, String)>,
) -> (&'static str, String) {
    let fixed = &body.header;
    let heard: NodeSet =
        body.entries().filter(|entry| entry.heard).map(|entry| entry.node).collect();
    let connected: NodeSet =
        body.entries().filter(|entry| entry.connected).map(|entry| entry.node).collect();
    fields.push(("heartbeat", fixed.sequence.to_string()));
    fields.push(("last broadcast", fixed.broadcast_sequence.to_string()));
    fields.push(("link", fixed.link.to_string()));
    fields.push(("mtu", fixed.mtu.to_string()));
    fields.push(("window", fixed.window.to_string()));
    fields.push(("dead links", bits(u32::from(fixed.dead))));
    fields.push(("beat", fixed.beat.to_string()));
    fields.push(("open ports", bits(fixed.open_ports)));
    fields.push(("busy ports", bits(fixed.busy_ports)));
    fields.push(("speaks of", format!("{} to {}", fixed.covers.0, fixed.covers.1)));
    for entry in body.entries() {
        let said = format!(
            "{}{}{}, incarnation {}, sessions {} {}, echo {}, probe {}",
            entry.node,
            if entry.heard { " heard" } else { " not heard" },
            if entry.connected { ", connected" } else { "" },
            entry.incarnation,
            entry.session,
            entry.peer_session,
            entry.echo,
            entry.probe
        );
        fields.push(("node", said));
    }
    // To a peer that is not connected a heartbeat asks for a connection.
    let asks = match NodeId::new(header.dst) {
        Some(peer) if !header.is_broadcast() => !connected.contains(peer),
        _ => false,
    };
    let mut summary = format!("{} on link {}, hears {}", fixed.sequence, fixed.link, nodes(heard));
    if connected != heard {
        let _ = write!(summary, ", connected with {}", nodes(connected));
    }
    if fixed.dead != 0 {
        let _ = write!(summary, ", dead links {}", bits(u32::from(fixed.dead)));
    }
    if fixed.busy_ports != 0 {
        let _ = write!(summary, ", busy ports {}", bits(fixed.busy_ports));
    }
    (if asks { "CONN_REQ" } else { "HEARTBEAT" }, summary)
}

fn ack(
    header: &Header,
    body: &Ack<'_>,
    fields: &mut Vec<(&'static str, String)>,
) -> (&'static str, String) {
    let mut ranges = String::new();
    for range in body.ranges() {
        let separator = if ranges.is_empty() { "" } else { " " };
        let _ = if range.first == range.last {
            write!(ranges, "{separator}{}", range.first)
        } else {
            write!(ranges, "{separator}{}-{}", range.first, range.last)
        };
    }
    let mut summary = format!("up to {}", header.ack);
    if !ranges.is_empty() {
        let _ = write!(summary, ", and {ranges}");
    }
    if body.missing_before != 0 {
        let _ = write!(summary, ", asks for what is missing below {}", body.missing_before);
    }
    if body.busy_ports != 0 {
        let _ = write!(summary, ", busy ports {}", bits(body.busy_ports));
    }
    fields.push(("ranges", if ranges.is_empty() { "none".to_owned() } else { ranges }));
    fields.push(("missing before", body.missing_before.to_string()));
    fields.push(("delay", format!("{} us", body.delay_us)));
    fields.push(("busy ports", bits(body.busy_ports)));
    ("ACK", summary)
}

fn data(body: &Data, fields: &mut Vec<(&'static str, String)>) -> (&'static str, String) {
    let fragment = match (body.first, body.last) {
        (true, true) => "whole message",
        (true, false) => "first fragment",
        (false, false) => "fragment",
        (false, true) => "last fragment",
    };
    // A packet that is too long for the path goes in parts.
    let part = match (body.offset, body.more) {
        (0, false) => String::new(),
        (offset, more) => {
            format!(", part from {offset} on{}", if more { "" } else { ", the last" })
        }
    };
    let (port, len) = (body.port.get(), body.payload.len());
    fields.push(("packet", body.number.to_string()));
    fields.push(("port", port.to_string()));
    fields.push(("message", format!("{} bytes", body.message_len)));
    fields.push(("payload", format!("{len} bytes, {fragment}{part}")));
    let summary = if body.first && body.last && part.is_empty() {
        format!("packet {} port {port}, message of {len} bytes", body.number)
    } else {
        let of = body.message_len;
        format!("packet {} port {port}, {fragment}{part}, {len} of {of} bytes", body.number)
    };
    ("DATA", summary)
}

fn datagram(
    header: &Header,
    body: &Datagram,
    fields: &mut Vec<(&'static str, String)>,
) -> (&'static str, String) {
    let (port, len) = (body.port.get(), body.payload.len());
    fields.push(("port", port.to_string()));
    fields.push(("payload", format!("{len} bytes")));
    let mut summary = format!("port {port}, {len} bytes");
    if header.is_broadcast() {
        fields.push(("recipients", nodes(body.recipients)));
        let _ = write!(summary, " for {}", nodes(body.recipients));
    }
    ("DATAGRAM", summary)
}

/// `0 2 5`, or `nobody`.
fn nodes(set: NodeSet) -> String {
    if set.is_empty() {
        return "nobody".to_owned();
    }
    let mut out = String::new();
    for node in set.iter() {
        let separator = if out.is_empty() { "" } else { " " };
        let _ = write!(out, "{separator}{node}");
    }
    out
}

/// The numbers of the bits that are set, or `none`.
fn bits(set: u32) -> String {
    let mut out = String::new();
    for bit in (0..32).filter(|bit| set >> bit & 1 == 1) {
        let separator = if out.is_empty() { "" } else { " " };
        let _ = write!(out, "{separator}{bit}");
    }
    if out.is_empty() { "none".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::*;
    use super::*;
    use crate::ids::{ClusterId, Incarnation, LltPort};

    fn head(kind: Kind, dst: u8) -> Header {
        Header {
            cluster: ClusterId(7),
            kind,
            src: 0,
            dst,
            sequence: 12,
            src_incarnation: Incarnation(0xa0),
            dst_incarnation: Incarnation(if dst == BROADCAST_NODE { 0 } else { 0xb0 }),
            src_session: 1,
            dst_session: 2,
            ack: 510,
        }
    }

    fn said(frame: &Bytes) -> String {
        let description = match Frame::check(frame) {
            Ok(frame) => describe(&frame),
            Err(error) => describe_error(error),
        };
        format!("{} {}", description.name, description.summary)
    }

    fn node(id: u8) -> NodeId {
        NodeId::new(id).unwrap()
    }

    fn heard(id: u8, connected: bool) -> Heard {
        Heard {
            node: node(id),
            heard: true,
            connected,
            session: 3,
            peer_session: 4,
            echo: 5,
            incarnation: Incarnation(0xb0),
            probe: 6,
        }
    }

    const FIXED: HeartbeatHeader = HeartbeatHeader {
        sequence: 99,
        broadcast_sequence: 1,
        mtu: 1500,
        window: 256,
        link: 1,
        dead: 0,
        beat: 7,
        open_ports: 1 | 1 << 30,
        busy_ports: 0,
        covers: (0, 127),
    };

    #[test]
    fn heartbeats_say_whom_they_hear_and_ask_for_connections() {
        let list = [heard(1, true), heard(2, false)];
        let frame = emit_heartbeat(&head(Kind::Heartbeat, 1), &FIXED, &list);
        assert_eq!(said(&frame), "HEARTBEAT 99 on link 1, hears 1 2, connected with 1");
        let frame = emit_heartbeat(&head(Kind::Heartbeat, 2), &FIXED, &list);
        assert_eq!(said(&frame), "CONN_REQ 99 on link 1, hears 1 2, connected with 1");
        let fixed = HeartbeatHeader { dead: 0b10, busy_ports: 1 << 20 | 1 << 5, ..FIXED };
        let frame = emit_heartbeat(&head(Kind::Heartbeat, BROADCAST_NODE), &fixed, &[]);
        let expected = "HEARTBEAT 99 on link 1, hears nobody, dead links 1, busy ports 5 20";
        assert_eq!(said(&frame), expected);
    }

    #[test]
    fn all_fields_of_a_heartbeat_are_there() {
        let frame = emit_heartbeat(&head(Kind::Heartbeat, 1), &FIXED, &[heard(1, true)]);
        let lines: Vec<String> = describe(&Frame::check(&frame).unwrap())
            .fields
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        assert_eq!(
            lines,
            [
                "cluster: 7",
                "source: 0",
                "destination: 1",
                "source incarnation: a0",
                "destination incarnation: b0",
                "sessions: 1 2",
                "acknowledged: 510",
                "link sequence: 12",
                "heartbeat: 99",
                "last broadcast: 1",
                "link: 1",
                "mtu: 1500",
                "window: 256",
                "dead links: none",
                "beat: 7",
                "open ports: 0 30",
                "busy ports: none",
                "speaks of: 0 to 127",
                "node: 1 heard, connected, incarnation b0, sessions 3 4, echo 5, probe 6",
            ]
        );
    }

    #[test]
    fn packets_say_which_part_of_what_they_are() {
        let mut data = Data {
            number: 42,
            port: LltPort::GAB,
            first: true,
            last: true,
            message_len: 3,
            offset: 0,
            more: false,
            payload: Bytes::from_static(b"abc"),
        };
        let frame = emit_data(&head(Kind::Data, 1), &data);
        assert_eq!(said(&frame), "DATA packet 42 port 0, message of 3 bytes");
        data.message_len = 5000;
        data.last = false;
        let frame = emit_data(&head(Kind::Data, 1), &data);
        assert_eq!(said(&frame), "DATA packet 42 port 0, first fragment, 3 of 5000 bytes");
        (data.offset, data.more) = (1400, true);
        let frame = emit_data(&head(Kind::Data, 1), &data);
        assert_eq!(
            said(&frame),
            "DATA packet 42 port 0, first fragment, part from 1400 on, 3 of 5000 bytes"
        );
    }

    #[test]
    fn acknowledgements_say_what_is_there_and_what_is_not() {
        let frame = emit_ack(&head(Kind::Ack, 1), 0, 0, 0, &[]);
        assert_eq!(said(&frame), "ACK up to 510");
        let ranges = [AckRange { first: 512, last: 515 }, AckRange { first: 517, last: 517 }];
        let frame = emit_ack(&head(Kind::Ack, 1), 517, 9, 1 << 20, &ranges);
        let expected = "ACK up to 510, and 512-515 517, asks for what is missing below 517, busy \
                        ports 20";
        assert_eq!(said(&frame), expected);
    }

    #[test]
    fn the_short_kinds_have_their_names() {
        let recipients = [node(1), node(2)].into_iter().collect();
        let header = head(Kind::Datagram, BROADCAST_NODE);
        let frame = emit_datagram(&header, LltPort::GAB, recipients, b"xyz");
        assert_eq!(said(&frame), "DATAGRAM port 0, 3 bytes for 1 2");
        let frame = emit_datagram(&head(Kind::Datagram, 1), LltPort::PING, NodeSet::EMPTY, b"x");
        assert_eq!(said(&frame), "DATAGRAM port 30, 1 bytes");
        assert_eq!(said(&emit_bye(&head(Kind::Bye, 1))), "BYE the sender's incarnation ends");
        let frame = emit_duplicate(&head(Kind::Duplicate, 1), Incarnation(0x9));
        assert_eq!(said(&frame), "DUPLICATE incarnation 9 has the receiver's node id, too");
        assert_eq!(said(&emit_request(&head(Kind::Request, 1))), "HBREQ asks for a heartbeat");
    }

    #[test]
    fn what_is_no_frame_says_why() {
        let frame = emit_bye(&head(Kind::Bye, 1));
        let mut damaged = frame.to_vec();
        damaged[20] ^= 1;
        assert_eq!(said(&Bytes::from(damaged)), "CORRUPT the checksum does not match");
        assert_eq!(said(&frame.slice(..20)), "CORRUPT expected a header of 48 bytes");
        let mut other = frame.to_vec();
        (other[2], other[3]) = (9, 8);
        assert_eq!(said(&Bytes::from(other)), "CORRUPT the sender speaks versions 8 to 9");
    }
}

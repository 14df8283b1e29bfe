//! Between frames and the packets that a wire or a pcap file has.
//!
//! A frame of an Ethernet link is the payload of an Ethernet packet. One of a UDP link gets the
//! headers that it had on the wire, made anew: the Ethernet addresses in them are `02:00:00:00:00:`
//! and the node id, for nobody knows the real ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use etherparse::{
    EtherType, Ethernet2Header, NetSlice, PacketBuilder, SlicedPacket, TransportSlice,
};
use llt::LinkAddr;
use llt::limits::HEADER_LEN;
use llt::seal::is_sealed;
use llt::wire::BROADCAST_NODE;

use super::seen::Seen;

/// What begins a packet in a file or on a device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum LinkLayer {
    /// An Ethernet header.
    Ethernet,
    /// An IP header.
    Ip,
    /// The header that Linux gives packets of the device `any`.
    LinuxSll,
}

/// Which ethertypes carry LLT.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Saps {
    /// Whatever begins as our frames do.
    Any,
    /// This one.
    One(u16),
}

/// What a packet turned out to be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Parsed {
    /// One of LLT; or several, where the system shows what it will cut into packets later.
    Frames(Vec<Seen>),
    /// A part of an IP packet, of which nobody knows whose.
    Fragment,
    /// Something else.
    Other,
}

/// Finds the frame in a packet.
pub(super) fn parse(layer: LinkLayer, saps: Saps, time_ns: u64, packet: &Bytes) -> Parsed {
    let sliced = match layer {
        LinkLayer::Ethernet => SlicedPacket::from_ethernet(packet),
        LinkLayer::Ip => SlicedPacket::from_ip(packet),
        LinkLayer::LinuxSll => SlicedPacket::from_linux_sll(packet),
    };
    let Ok(sliced) = sliced else { return Parsed::Other };
    let seen = |source, destination, payload: &[u8]| {
        let frames = split(payload).into_iter().map(|frame| Seen {
            time_ns,
            link: None,
            outgoing: None,
            source,
            destination,
            lost: 0,
            frame: packet.slice_ref(frame),
        });
        Parsed::Frames(frames.collect())
    };
    if sliced.is_ip_payload_fragmented() {
        return Parsed::Fragment;
    }
    if let Some(TransportSlice::Udp(udp)) = &sliced.transport {
        // Whoever has another protocol on a port of ours has another first word.
        if !is_ours(udp.payload()) {
            return Parsed::Other;
        }
        let (source, destination) = match &sliced.net {
            Some(NetSlice::Ipv4(ip)) => (
                v4(ip.header().source(), udp.source_port()),
                v4(ip.header().destination(), udp.destination_port()),
            ),
            Some(NetSlice::Ipv6(ip)) => (
                v6(ip.header().source(), udp.source_port()),
                v6(ip.header().destination(), udp.destination_port()),
            ),
            _ => return Parsed::Other,
        };
        return seen(Some(source), Some(destination), udp.payload());
    }
    let Some(payload) = sliced.ether_payload() else { return Parsed::Other };
    let is_llt = match saps {
        Saps::One(sap) => payload.ether_type == EtherType(sap),
        Saps::Any => is_ours(payload.payload),
    };
    if sliced.net.is_some() || !is_llt {
        return Parsed::Other;
    }
    let (source, destination) = match (layer, packet.get(0..12)) {
        (LinkLayer::Ethernet, Some(macs)) => {
            let mac = |bytes: &[u8]| bytes.try_into().ok().map(LinkAddr::Mac);
            (mac(&macs[6..]), mac(&macs[..6]))
        }
        _ => (None, None),
    };
    seen(source, destination, payload.payload)
}

/// A packet with this frame, from the Ethernet header on. `None` if it fits no packet.
pub(super) fn build(seen: &Seen, sap: u16) -> Option<Vec<u8>> {
    let frame = &seen.frame[..];
    let mut out = Vec::with_capacity(frame.len() + 64);
    let peer = seen.source.or(seen.destination)?;
    if let LinkAddr::Mac(_) = peer {
        let mac = |addr: Option<LinkAddr>, node| match addr {
            Some(LinkAddr::Mac(mac)) => mac,
            _ => made_up(node),
        };
        let header = Ethernet2Header {
            source: mac(seen.source, frame.get(SOURCE_AT)),
            destination: mac(seen.destination, frame.get(DESTINATION_AT)),
            ether_type: EtherType(sap),
        };
        header.write(&mut out).ok()?;
        out.extend_from_slice(frame);
        return Some(out);
    }
    let ethernet =
        PacketBuilder::ethernet2(made_up(frame.get(SOURCE_AT)), made_up(frame.get(DESTINATION_AT)));
    let (from, from_port) = ip(seen.source, peer);
    let (to, to_port) = ip(seen.destination, peer);
    let built = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ethernet
            .ipv4(from.octets(), to.octets(), HOPS)
            .udp(from_port, to_port)
            .write(&mut out, frame),
        (from, to) => ethernet
            .ipv6(v6_octets(from), v6_octets(to), HOPS)
            .udp(from_port, to_port)
            .write(&mut out, frame),
    };
    built.ok().map(|()| out)
}

/// Cuts a payload into frames, by the lengths that their headers tell. A sender may hand several of
/// one length to the system at once, of which the last may be shorter; a device shows them as it
/// got them.
fn split(mut payload: &[u8]) -> Vec<&[u8]> {
    if is_sealed(payload) {
        return split_sealed(payload);
    }
    let mut frames = Vec::new();
    while let Some(&[high, low]) = payload.get(LENGTH_AT..LENGTH_AT + 2) {
        let len = HEADER_LEN + usize::from(u16::from_be_bytes([high, low]));
        match payload.get(len..) {
            Some(rest) if is_ours(rest) => {
                frames.push(&payload[..len]);
                payload = rest;
            }
            _ => break,
        }
    }
    frames.push(payload);
    frames
}

/// What is sealed does not tell its length, but all frames of one sender to one receiver on a link
/// begin alike; within one, what is sealed looks like that as seldom as any noise does.
fn split_sealed(payload: &[u8]) -> Vec<&[u8]> {
    let Some(begin) = payload.get(..SEALED_BEGIN) else { return vec![payload] };
    let next = (SEALED_BEGIN..payload.len()).find(|at| payload[*at..].starts_with(begin));
    payload.chunks(next.unwrap_or(payload.len())).collect()
}

/// An address of ours as listings show it; the port is that of the peer, as on every link.
pub(super) fn own_address(text: &str, peer: LinkAddr) -> Option<LinkAddr> {
    match peer {
        LinkAddr::Mac(_) => {
            let mut mac = [0; 6];
            let mut parts = text.split(':');
            for byte in &mut mac {
                *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
            }
            parts.next().is_none().then_some(LinkAddr::Mac(mac))
        }
        LinkAddr::V4 { port, .. } => text.parse().ok().map(|ip: Ipv4Addr| v4(ip.octets(), port)),
        LinkAddr::V6 { port, .. } => text.parse().ok().map(|ip: Ipv6Addr| v6(ip.octets(), port)),
    }
}

/// Is this the beginning of a frame of ours?
fn is_ours(payload: &[u8]) -> bool {
    payload.starts_with(b"LL") || is_sealed(payload)
}

const fn v4(ip: [u8; 4], port: u16) -> LinkAddr {
    LinkAddr::V4 { ip, port }
}

const fn v6(ip: [u8; 16], port: u16) -> LinkAddr {
    LinkAddr::V6 { ip, scope: 0, port }
}

/// Address and port; where they are not known, nobody's address of the peer's kind and its port.
fn ip(addr: Option<LinkAddr>, peer: LinkAddr) -> (IpAddr, u16) {
    let nobody = match peer {
        LinkAddr::V6 { port, .. } => LinkAddr::V6 { ip: [0; 16], scope: 0, port },
        LinkAddr::V4 { port, .. } => LinkAddr::V4 { ip: [0; 4], port },
        LinkAddr::Mac(_) => LinkAddr::V4 { ip: [0; 4], port: 0 },
    };
    match addr.unwrap_or(nobody) {
        LinkAddr::V4 { ip, port } => (IpAddr::from(ip), port),
        LinkAddr::V6 { ip, port, .. } => (IpAddr::from(ip), port),
        LinkAddr::Mac(_) => (IpAddr::from([0; 4]), 0),
    }
}

fn v6_octets(addr: IpAddr) -> [u8; 16] {
    match addr {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
    .octets()
}

/// A locally administered Ethernet address for a node.
fn made_up(node: Option<&u8>) -> [u8; 6] {
    match node.copied() {
        Some(BROADCAST_NODE) => [0xff; 6],
        node => [2, 0, 0, 0, 0, node.unwrap_or_default()],
    }
}

/// Where the frame header holds the length of the body (docs/wire.md).
const LENGTH_AT: usize = 10;
/// Where the frame header holds the source node (docs/wire.md).
const SOURCE_AT: usize = 8;
/// Where the frame header holds the destination node (docs/wire.md).
const DESTINATION_AT: usize = 9;
/// How much of a sealed frame is the same in the next of its sender, receiver and link: all that is
/// in the clear but the count (docs/wire.md).
const SEALED_BEGIN: usize = 20;
const HOPS: u8 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const SAP: u16 = 0xCAFE;

    fn seen(source: LinkAddr, destination: LinkAddr) -> Seen {
        let mut frame = vec![0; 60];
        frame[..2].copy_from_slice(b"LL");
        (frame[SOURCE_AT], frame[DESTINATION_AT]) = (3, BROADCAST_NODE);
        Seen {
            time_ns: 7,
            link: None,
            outgoing: None,
            source: Some(source),
            destination: Some(destination),
            lost: 0,
            frame: frame.into(),
        }
    }

    #[test]
    fn a_frame_comes_out_of_its_packet_as_it_went_in() {
        let mac = |last| LinkAddr::Mac([0, 1, 2, 3, 4, last]);
        let ip6 = |last: u8| {
            let mut ip = Ipv6Addr::LOCALHOST.octets();
            ip[15] = last;
            v6(ip, 50_000)
        };
        for (source, destination) in [
            (mac(1), mac(2)),
            (v4([127, 77, 0, 1], 50_000), v4([127, 77, 0, 2], 50_001)),
            (ip6(1), ip6(2)),
        ] {
            let seen = seen(source, destination);
            let packet = Bytes::from(build(&seen, SAP).unwrap());
            for saps in [Saps::One(SAP), Saps::Any] {
                let parsed = parse(LinkLayer::Ethernet, saps, 7, &packet);
                assert_eq!(parsed, Parsed::Frames(vec![seen.clone()]));
            }
        }
    }

    #[test]
    fn a_udp_frame_shows_the_nodes_as_ethernet_addresses() {
        let seen = seen(v4([10, 0, 0, 1], 50_000), v4([10, 0, 0, 255], 50_000));
        let packet = build(&seen, SAP).unwrap();
        assert_eq!(packet[..6], [0xff; 6]);
        assert_eq!(packet[6..14], [2, 0, 0, 0, 0, 3, 8, 0]);
    }

    #[test]
    fn sealed_frames_that_the_system_shows_as_one_packet_are_several() {
        let id = |node| llt::Id {
            node: llt::NodeId::new(node).unwrap(),
            incarnation: llt::Incarnation(1 << 60),
        };
        let key = llt::seal::Key::new([7; 32]);
        let mut sealer = llt::seal::Sealer::new(id(1), llt::LinkId::new(0).unwrap());
        let frames: Vec<Bytes> =
            [200, 200, 90].map(|len| sealer.seal(&key, 2, &vec![1; len])).into();
        for count in 1..=3 {
            let payload = frames[..count].concat();
            let cut = split(&payload);
            assert_eq!(cut, frames[..count].iter().map(|frame| &frame[..]).collect::<Vec<_>>());
        }
        let short = &frames[0][..10];
        assert_eq!(split(short), [short]);
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let mac = LinkAddr::Mac([0; 6]);
        let packet = Bytes::from(build(&seen(mac, mac), 0x88b5).unwrap());
        assert_eq!(parse(LinkLayer::Ethernet, Saps::One(SAP), 0, &packet), Parsed::Other);
        assert!(matches!(parse(LinkLayer::Ethernet, Saps::Any, 0, &packet), Parsed::Frames(_)));
        let mut other = seen(v4([10, 0, 0, 1], 1), v4([10, 0, 0, 2], 2));
        other.frame = Bytes::from_static(b"GET / HTTP/1.0");
        let packet = Bytes::from(build(&other, SAP).unwrap());
        assert_eq!(parse(LinkLayer::Ethernet, Saps::Any, 0, &packet), Parsed::Other);
        for len in 0..packet.len() {
            parse(LinkLayer::Ethernet, Saps::Any, 0, &packet.slice(..len));
            parse(LinkLayer::Ip, Saps::Any, 0, &packet.slice(..len));
            parse(LinkLayer::LinuxSll, Saps::Any, 0, &packet.slice(..len));
        }
    }

    #[test]
    fn frames_that_the_system_will_cut_apart_are_told_apart() {
        let mut two = seen(v4([10, 0, 0, 1], 1), v4([10, 0, 0, 2], 2));
        let mut frame = two.frame.to_vec();
        frame[LENGTH_AT + 1] = 12;
        two.frame = Bytes::from(frame.repeat(2));
        let packet = Bytes::from(build(&two, SAP).unwrap());
        let Parsed::Frames(frames) = parse(LinkLayer::Ethernet, Saps::Any, 0, &packet) else {
            panic!("frames");
        };
        assert_eq!(frames.iter().map(|seen| &seen.frame[..]).collect::<Vec<_>>(), [&frame; 2]);
    }

    #[test]
    fn own_addresses_are_read_as_listings_show_them() {
        let mac = LinkAddr::Mac([0, 0x50, 0x56, 0, 0, 0xf3]);
        assert_eq!(own_address("00:50:56:00:00:F3", LinkAddr::Mac([0; 6])), Some(mac));
        let peer = v4([127, 77, 0, 1], 50_000);
        assert_eq!(own_address("127.77.0.0", peer), Some(v4([127, 77, 0, 0], 50_000)));
        for wrong in ["", "::1", "00:50:56:00:00:F3:1"] {
            assert_eq!(own_address(wrong, peer), None);
            assert_eq!(own_address(wrong, LinkAddr::Mac([0; 6])), None);
        }
    }

    #[test]
    fn a_fragment_is_named_as_such() {
        let seen = seen(v4([10, 0, 0, 1], 1), v4([10, 0, 0, 2], 2));
        let mut packet = build(&seen, SAP).unwrap();
        // More fragments follow.
        packet[14 + 6] = 0x20;
        let packet = Bytes::from(packet);
        assert_eq!(parse(LinkLayer::Ethernet, Saps::Any, 0, &packet), Parsed::Fragment);
    }
}

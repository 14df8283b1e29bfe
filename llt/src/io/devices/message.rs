//! The messages of the routing socket (`rtnetlink`) that tell of devices.
//!
//! Only the attributes that matter are read: a kernel that says more, or says other things
//! differently, is understood as well.

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_MULTIPART, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR,
    NetlinkBuffer, NetlinkMessage, NetlinkPayload, NlasIterator, parse_string, parse_u32,
};
use netlink_packet_route::link::{
    LinkAttribute, LinkExtentMask, LinkFlags, LinkHeader, LinkLayerType, LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::io::devices::DeviceState;

/// One message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Message {
    /// This device is gone.
    Gone(u32),
    /// The listing is over; incomplete, if devices changed meanwhile or the system refused.
    Listed {
        /// Every device was in it, as it was at one time.
        complete: bool,
    },
    /// A device, or what changed of it.
    Seen(Seen),
}

/// What a message says of a device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Seen {
    pub(super) index: u32,
    /// It is the answer to a listing.
    pub(super) listed: bool,
    flags: LinkFlags,
    layer: LinkLayerType,
    name: Option<String>,
    mac: Option<[u8; 6]>,
    mtu: Option<u32>,
}

impl Seen {
    /// The state that follows. `None` if the message leaves out what was not known before.
    pub(super) fn over(self, before: Option<&DeviceState>) -> Option<DeviceState> {
        let mtu = self.mtu.and_then(|mtu| usize::try_from(mtu).ok());
        let ethernet = self.layer == LinkLayerType::Ether;
        Some(DeviceState {
            index: self.index,
            name: self.name.or_else(|| before.map(|state| state.name.clone()))?,
            mac: self.mac.or_else(|| before.and_then(|state| state.mac)),
            mtu: mtu.or_else(|| before.map(|state| state.mtu))?,
            carrier: self.flags.contains(LinkFlags::LowerUp | LinkFlags::Running),
            up: self.flags.contains(LinkFlags::Up),
            ethernet,
        })
    }
}

/// The request to list every device.
pub(super) fn list_request() -> Vec<u8> {
    let mut link = LinkMessage::default();
    // Statistics are the larger part of an answer, and nobody reads them.
    link.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    let payload = NetlinkPayload::from(RouteNetlinkMessage::GetLink(link));
    let mut message = NetlinkMessage::new(Default::default(), payload);
    message.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// The messages of one datagram; what is cut short or of another kind is left out.
pub(super) fn parse(datagram: &[u8]) -> Vec<Message> {
    let mut rest = datagram;
    let mut messages = Vec::new();
    while let Ok(packet) = NetlinkBuffer::new_checked(rest) {
        let length = usize::try_from(packet.length()).unwrap_or(usize::MAX);
        let whole = packet.flags() & NLM_F_DUMP_INTR == 0;
        match packet.message_type() {
            NLMSG_DONE => messages.push(Message::Listed { complete: whole }),
            NLMSG_ERROR => messages.push(Message::Listed { complete: false }),
            NEW_LINK | DELETE_LINK => messages.extend(device(&packet)),
            _ => {}
        }
        let next = length.next_multiple_of(ALIGN);
        if next == 0 || next >= rest.len() {
            break;
        }
        rest = &rest[next..];
    }
    messages
}

fn device(packet: &NetlinkBuffer<&[u8]>) -> Option<Message> {
    let payload = packet.payload();
    let header = LinkHeader::parse(payload).ok()?;
    // A bridge tells of its ports in the same messages: one that leaves the bridge is not gone.
    if header.interface_family != AddressFamily::Unspec {
        return None;
    }
    if packet.message_type() == DELETE_LINK {
        return Some(Message::Gone(header.index));
    }
    let mut seen = Seen {
        index: header.index,
        listed: packet.flags() & NLM_F_MULTIPART != 0,
        flags: header.flags,
        layer: header.link_layer_type,
        name: None,
        mac: None,
        mtu: None,
    };
    for attribute in NlasIterator::new(payload.get(LINK_HEADER_LEN..)?).map_while(Result::ok) {
        match attribute.kind() {
            libc::IFLA_ADDRESS => seen.mac = attribute.value().try_into().ok(),
            libc::IFLA_IFNAME => seen.name = parse_string(attribute.value()).ok(),
            libc::IFLA_MTU => seen.mtu = parse_u32(attribute.value()).ok(),
            _ => {}
        }
    }
    Some(Message::Seen(seen))
}

/// `RTM_NEWLINK`, `RTM_DELLINK`.
const NEW_LINK: u16 = libc::RTM_NEWLINK;
const DELETE_LINK: u16 = libc::RTM_DELLINK;
/// Bytes of `struct ifinfomsg`.
const LINK_HEADER_LEN: usize = 16;
/// Messages in one datagram begin at multiples of this.
const ALIGN: usize = 4;

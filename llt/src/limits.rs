//! Every bound of LLT, with the reason for its value.

use core::net::Ipv6Addr;

/// Node ids are 0 to 127; the original stops at 64 (facts 1.2), the design's upper limit is 128.
pub const NODES_MAX: u8 = 128;
/// Links of one node (facts 1.2).
pub const LINKS_MAX: u8 = 8;
/// LLT ports (facts 1.2).
pub const LLT_PORTS: u8 = 32;
/// The largest message: 64 KiB of payload and 1 KiB for the headers of the layers above (facts 1.2).
pub const MESSAGE_MAX: usize = 66_560;
/// Bytes of the frame header (docs/wire.md); the original also takes 48 from the MTU (facts 1.2).
pub const HEADER_LEN: usize = 48;
/// The longest heartbeat, in bytes: it must get through where frames of the full size do not, and
/// names 66 nodes. Longer lists go in several.
pub const HEARTBEAT_MAX: usize = 1280;
/// The smallest MTU of a link: one acknowledgement with all its ranges, or a heartbeat that names
/// 27 nodes.
pub const MTU_MIN: usize = 576;
/// The largest: a UDP datagram over IPv4.
pub const MTU_MAX: usize = 65_507;
/// The MTU of an Ethernet link whose device is not there to ask.
pub const MTU_ETHER: usize = 1500;
/// The largest MTU of an Ethernet link: jumbo frames of the cards that have the longest.
pub const MTU_ETHER_MAX: usize = 9216;
/// The default ethertype ("SAP") of Ethernet links; not registered with anybody (facts 1.1).
pub const ETHERTYPE: u16 = 0xCAFE;
/// The default group of UDP links over IPv6, of this interface only (`ff12`: link-local, of nobody's
/// register). Ours: the original's is not published.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xFF12, 0, 0, 0, 0, 0, 0, 0xCAFE);
/// The default MTU of a UDP link (facts 1.2).
pub const MTU_UDP: usize = 8192;
/// Packets that one peer's send queue may hold before even the layer above is refused: four
/// MiB of submitted messages at an MTU of 1500 and as much again for repairs, per peer.
pub const SEND_QUEUE_PACKETS_MAX: usize = 8192;
/// Selective-ack ranges in one ack frame: what fits the smallest MTU, sealed. A window of 256 has at
/// most 128 holes; what is not named this time is named next time.
pub const SACK_RANGES_MAX: usize = 28;

/// How much of something there is, and how much there may be. For listings of everything that could
/// grow, which the simulator holds against the limits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounded {
    /// Of what.
    pub name: &'static str,
    /// How much there is.
    pub size: usize,
    /// The most there may be.
    pub limit: usize,
}

impl Bounded {
    /// So much of something, which may be so much at most.
    pub const fn new(name: &'static str, size: usize, limit: usize) -> Self {
        Self { name, size, limit }
    }
}

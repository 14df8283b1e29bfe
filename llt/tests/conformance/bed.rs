//! Stations on one wire, for every backend.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use llt::LinkAddr;
use llt::io::memory::Cable;
use llt::io::{Clock, Flushed, Link, LinkFrame, Opened, Received, devices, udp};
use llt::llttab::{Device, LltTab, Medium, Source, TabLink};
use rustix::event::{PollFd, PollFlags, poll};

use crate::namespace::ip;

/// What is tested.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Backend {
    Memory,
    Packet { mtu: usize },
    Pnet { mtu: usize },
    Udp,
    Udp6,
    Udp6Multicast,
    UdpBroadcast,
    UdpMulticast,
}

/// Three stations on one wire.
#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) stations: Vec<Station>,
    pub(crate) broadcast: Option<LinkAddr>,
    pub(crate) mtu: usize,
    /// An address of the right kind where nobody is.
    pub(crate) nobody: LinkAddr,
}

#[derive(Debug)]
pub(crate) struct Station {
    pub(crate) link: Box<dyn Link>,
    pub(crate) address: LinkAddr,
    /// How it was opened; not for memory.
    pub(crate) tab: Option<TabLink>,
}

impl Backend {
    /// Needs a namespace.
    pub(crate) fn is_elsewhere(self) -> bool {
        matches!(self, Self::Packet { .. } | Self::Pnet { .. } | Self::Udp6Multicast)
    }

    pub(crate) fn environment(self) -> Vec<(&'static str, &'static str)> {
        match self {
            Self::Packet { .. } => vec![(llt::io::ETHER_BACKEND, "packet")],
            Self::Pnet { .. } => vec![(llt::io::ETHER_BACKEND, "pnet")],
            _ => Vec::new(),
        }
    }

    pub(crate) fn bed(self) -> Bed {
        match self {
            Self::Memory => memory(),
            Self::Packet { mtu } | Self::Pnet { mtu } => ether(mtu),
            Self::Udp => udp4(None),
            Self::UdpBroadcast => udp4(Some("127.255.255.255")),
            Self::UdpMulticast => udp4(Some("239.255.78.1")),
            Self::Udp6 => udp6(),
            Self::Udp6Multicast => udp6_multicast(),
        }
    }
}

impl Station {
    pub(crate) fn open(tab: TabLink) -> Self {
        let Opened { link, address, .. } = llt::io::open(&tab).unwrap();
        Self { link, address, tab: Some(tab) }
    }

    pub(crate) fn queue(&mut self, to: LinkAddr, frame: Vec<u8>) {
        self.link.queue(to, false, frame.into());
    }

    /// Sends all that is queued.
    pub(crate) fn flush(&mut self) {
        let end = Deadline::new("the socket takes everything");
        while self.link.flush() == Flushed::Blocked {
            end.pause();
        }
    }

    /// Waits until `count` frames have been received since the call.
    pub(crate) fn receive(&mut self, count: usize) -> Vec<LinkFrame> {
        let end = Deadline::new("frames");
        let mut frames = Vec::new();
        while frames.len() < count {
            end.check(|| format!("{} of {count}: {:?}", frames.len(), self.link));
            self.wait_readable(Duration::from_secs(1));
            while self.link.receive(&mut frames) == Received::More {}
        }
        frames
    }

    /// What is there now.
    pub(crate) fn drain(&mut self) -> Vec<LinkFrame> {
        let mut frames = Vec::new();
        while self.link.receive(&mut frames) == Received::More {}
        frames
    }

    pub(crate) fn wait_readable(&self, patience: Duration) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.link.as_fd(), PollFlags::IN)];
        let time = rustix::time::Timespec {
            tv_sec: i64::try_from(patience.as_secs()).unwrap(),
            tv_nsec: i64::from(patience.subsec_nanos()),
        };
        poll(&mut fds, Some(&time)).unwrap() > 0
    }
}

impl Bed {
    /// Two stations at once.
    pub(crate) fn pair(&mut self, a: usize, b: usize) -> (&mut Station, &mut Station) {
        let [a, b] = self.stations.get_disjoint_mut([a, b]).unwrap();
        (a, b)
    }

    pub(crate) fn address(&self, station: usize) -> LinkAddr {
        self.stations[station].address
    }

    /// Everybody has been heard by the wire, so that a bridge knows where they are.
    pub(crate) fn introduce(&mut self) {
        let Some(broadcast) = self.broadcast else { return };
        for station in &mut self.stations {
            station.queue(broadcast, vec![0; 48]);
            station.flush();
        }
        let count = self.stations.len();
        for station in &mut self.stations {
            let heard = station.receive(count - 1);
            // One's own may come back, later than the others.
            if heard.iter().any(|(from, _)| *from == station.address) && heard.len() < count {
                station.receive(1);
            }
        }
        for station in &mut self.stations {
            station.drain();
        }
    }
}

/// Far beyond what a busy machine needs.
#[derive(Debug)]
pub(crate) struct Deadline {
    what: &'static str,
    end: llt::Instant,
}

impl Deadline {
    pub(crate) fn new(what: &'static str) -> Self {
        Self { what, end: Clock::new().now() + Duration::from_secs(30) }
    }

    pub(crate) fn check(&self, state: impl FnOnce() -> String) {
        assert!(Clock::new().now() < self.end, "{} did not come: {}", self.what, state());
    }

    /// A millisecond, within the deadline.
    pub(crate) fn pause(&self) {
        self.check(String::new);
        let moment = rustix::time::Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        poll(&mut [], Some(&moment)).unwrap();
    }
}

pub(crate) fn tab_link(device: &str, medium: Medium) -> TabLink {
    TabLink {
        tag: "wire".into(),
        device: device.into(),
        lowpri: false,
        medium,
        mtu: None,
        broadcast_heartbeats: true,
        discover: true,
        peers: Vec::new(),
    }
}

fn memory() -> Bed {
    let address = |port| LinkAddr::V4 { ip: [10, 0, 0, 1], port };
    let cable = Cable::new(address(0), 8192);
    let station = |port| {
        let link = Box::new(cable.plug(address(port)).unwrap());
        Station { link, address: address(port), tab: None }
    };
    Bed {
        stations: (1..=3).map(station).collect(),
        broadcast: Some(address(0)),
        mtu: 8192,
        nobody: address(99),
    }
}

/// Three devices on a bridge. They are made with addresses that tell them apart in a trace.
fn ether(mtu: usize) -> Bed {
    ip("link add wire type bridge mcast_snooping 0");
    for end in 0..3 {
        ip(&format!("link add p{end} type veth peer name e{end} address 02:00:00:00:00:0{end}"));
        for name in ["p", "e"] {
            ip(&format!("link set {name}{end} mtu {mtu} up"));
        }
        ip(&format!("link set p{end} master wire"));
    }
    ip(&format!("link set wire mtu {mtu} up"));
    for end in 0..3 {
        wait_for_carrier(&format!("e{end}"));
    }
    let stations = (0..3).map(|end| {
        let name = format!("e{end}");
        let device = Device::Name(name.clone());
        Station::open(tab_link(&name, Medium::Ether { device, sap: 0xCAFE }))
    });
    let mut bed = Bed {
        stations: stations.collect(),
        broadcast: Some(LinkAddr::Mac([0xFF; 6])),
        mtu,
        nobody: LinkAddr::Mac([2, 0, 0, 0, 0, 0x99]),
    };
    bed.introduce();
    bed
}

pub(crate) fn wait_for_carrier(name: &str) {
    let end = Deadline::new("a carrier");
    while !devices::find(&Device::Name(name.into())).is_some_and(|device| device.carrier) {
        end.pause();
    }
}

/// Stations with an address each and one port for all.
fn udp4(broadcast: Option<&str>) -> Bed {
    let probe = UdpSocket::bind("127.78.0.1:0").unwrap();
    let port = probe.local_addr().unwrap().port();
    drop(probe);
    let broadcast: Option<IpAddr> = broadcast.map(|ip| ip.parse().unwrap());
    let at = |end| SocketAddr::from(([127, 78, 0, end], port));
    let station = |end| Station::open(tab_link("udp", Medium::Udp { local: at(end), broadcast }));
    Bed {
        stations: (1..=3).map(station).collect(),
        broadcast: broadcast.map(|ip| udp::link_addr(SocketAddr::new(ip, port))),
        mtu: 8192,
        nobody: udp::link_addr(at(99)),
    }
}

/// The loopback has one address of IPv6: stations have a port each.
fn udp6() -> Bed {
    let local = "[::1]:0".parse().unwrap();
    let station = |_| Station::open(tab_link("udp6", Medium::Udp { local, broadcast: None }));
    let gone = station(0);
    Bed {
        stations: (0..3).map(station).collect(),
        broadcast: None,
        mtu: 8192,
        nobody: gone.address,
    }
}

/// A device with an address for each station, and no group in the file. The loopback would not do: it
/// carries no multicast of IPv6.
fn udp6_multicast() -> Bed {
    ip("link set lo up");
    ip("link add mc0 type veth peer name mc1");
    ip("link set mc0 up");
    ip("link set mc1 up");
    wait_for_carrier("mc0");
    let own = |end| format!("fd00::{end}");
    for end in 1..=3 {
        ip(&format!("addr add {}/64 dev mc0 nodad", own(end)));
    }
    // The address is there at once, the way to it a moment later.
    let ready = Deadline::new("the way to the own addresses");
    while ip("-6 route show table local").matches("local fd00::").count() < 3 {
        ready.pause();
    }
    let link = |end: u32| {
        let text = format!("set-node 0\nlink udp6 udp - udp6 50000 - {} -\n", own(end));
        let llttab = Source::new("llttab", text.as_bytes());
        let llthosts = Source::new("llthosts", b"0 a\n1 b\n");
        let none = |_: &str| Err(std::io::Error::other("no file"));
        LltTab::parse(&llttab, &llthosts, &none).unwrap().links.remove(0)
    };
    Bed {
        stations: (1..=3).map(|end| Station::open(link(end))).collect(),
        broadcast: link(1).medium.broadcast(),
        mtu: 8192,
        nobody: link(1).medium.parse_address(&own(99)).unwrap(),
    }
}

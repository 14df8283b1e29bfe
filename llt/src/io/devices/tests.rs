use super::*;
use crate::io::devices::message::parse;

/// `RTM_NEWLINK` of device 7 `ve0` as Linux sends it, less the attributes that nobody reads.
fn new_link(flags: u32, mtu: u32) -> Vec<u8> {
    let mut bytes = vec![0u8; 16];
    bytes[4] = 16; // RTM_NEWLINK
    bytes.extend([0, 0, 1, 0, 7, 0, 0, 0]); // AF_UNSPEC, ARPHRD_ETHER, index 7
    bytes.extend(flags.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend([8, 0, 3, 0]); // IFLA_IFNAME
    bytes.extend(*b"ve0\0");
    bytes.extend([8, 0, 4, 0]); // IFLA_MTU
    bytes.extend(mtu.to_le_bytes());
    bytes.extend([10, 0, 1, 0, 2, 0, 0, 0, 0, 1, 0, 0]); // IFLA_ADDRESS, padded
    bytes[0] = u8::try_from(bytes.len()).unwrap();
    bytes
}

fn monitor() -> Monitor {
    let mut monitor = Monitor::new(0).unwrap();
    monitor.listing = None;
    monitor
}

fn feed(monitor: &mut Monitor, datagram: &[u8]) -> Vec<DeviceEvent> {
    let mut events = Vec::new();
    for message in parse(datagram) {
        monitor.apply(message, &mut events);
    }
    events
}

const UP: u32 = 1;
const RUNNING: u32 = 1 << 6 | 1 << 16;

#[cfg(target_endian = "little")]
#[test]
fn carrier_mtu_and_end_of_a_device_are_told_once_each() {
    let mut monitor = monitor();
    let mut both = new_link(UP, 1500);
    both.extend(new_link(UP | RUNNING, 1500));
    let state = |carrier| DeviceState {
        index: 7,
        name: "ve0".into(),
        mac: Some([2, 0, 0, 0, 0, 1]),
        mtu: 1500,
        carrier,
        up: true,
        ethernet: true,
    };
    let events = feed(&mut monitor, &both);
    assert_eq!(events, [false, true].map(|carrier| DeviceEvent::Changed(state(carrier))));
    assert_eq!(feed(&mut monitor, &new_link(UP | RUNNING, 1500)), []);
    let lower = DeviceState { mtu: 1400, ..state(true) };
    let events = feed(&mut monitor, &new_link(UP | RUNNING, 1400));
    assert_eq!(events, [DeviceEvent::Changed(lower)]);
    let mut gone = new_link(0, 1400);
    gone[4] = 17; // RTM_DELLINK
    // A port that leaves its bridge (AF_BRIDGE) is there as before.
    let mut left = gone.clone();
    left[16] = 7;
    assert_eq!(feed(&mut monitor, &left), []);
    let name = "ve0".to_owned();
    assert_eq!(feed(&mut monitor, &gone), [DeviceEvent::Gone { index: 7, name }]);
    assert_eq!(feed(&mut monitor, &gone), []);
}

#[cfg(target_endian = "little")]
#[test]
fn a_listing_tells_what_is_there_and_what_is_not_any_more() {
    let mut monitor = monitor();
    feed(&mut monitor, &new_link(UP, 1500));
    monitor.listing = Some(Listing::default());
    let done = [16, 0, 0, 0, 3, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut listed = new_link(UP, 1500);
    listed[6] = 2; // NLM_F_MULTI
    // Told although nothing of it is new.
    assert_eq!(feed(&mut monitor, &listed).len(), 1);
    assert_eq!(feed(&mut monitor, &done), []);
    monitor.listing = Some(Listing::default());
    // This waited in the socket since before the listing, and counts for nothing.
    assert_eq!(feed(&mut monitor, &new_link(UP, 1400)).len(), 1);
    assert_eq!(feed(&mut monitor, &done).len(), 1);
    assert!(monitor.known.is_empty());
}

#[test]
fn whatever_arrives_is_no_panic() {
    let whole = new_link(UP, 1500);
    for cut in 0..whole.len() {
        parse(&whole[..cut]);
        for value in [0, 1, 3, 0xFF] {
            let mut bytes = whole.clone();
            bytes[cut] = value;
            parse(&bytes);
        }
    }
}

#[test]
fn the_devices_of_this_machine_have_names_and_types() {
    let devices = list().unwrap();
    let lo = devices.iter().find(|state| state.name == "lo").expect("every system has it");
    assert!(!lo.ethernet && lo.mtu >= 1500, "{lo:?}");
    assert_eq!(find(&Device::Name("lo".into())).as_ref().map(|found| found.index), Some(lo.index));
    assert!(find(&Device::Name("nothing0".into())).is_none());
    assert!(Present::now().to_string().contains("lo (loopback)"), "{}", Present::now());
}

#[test]
fn of_devices_with_one_address_the_first_is_meant() {
    let device = |index, name: &str| DeviceState {
        index,
        name: name.into(),
        mac: Some([2; 6]),
        mtu: 1500,
        carrier: true,
        up: true,
        ethernet: true,
    };
    let devices = [device(9, "br0"), device(3, "eth1"), device(12, "eth1.5")];
    let by_address = select(&devices, &Device::Mac([2; 6])).unwrap();
    assert_eq!(by_address.name, "eth1");
    assert_eq!(select(&devices, &Device::Name("br0".into())).unwrap().index, 9);
}

//! Devices that go down, away, and change; and errors that name them.

use std::process::Command;
use std::time::Duration;

use llt::LinkAddr;
use llt::io::devices::{DeviceEvent, DeviceState, Monitor};
use llt::io::{Opened, devices};
use llt::llttab::{Device, Medium};
use rustix::event::{PollFd, PollFlags, poll};

use crate::bed::{Bed, Deadline, Station, tab_link, wait_for_carrier};
use crate::namespace::{ip, run_again};

/// For both backends of Ethernet links.
macro_rules! for_both {
    ($($case:ident),* $(,)?) => {
        mod packet {
            $(#[test]
            fn $case() {
                let name = concat!(module_path!(), "::", stringify!($case));
                crate::run(crate::Backend::Packet { mtu: 1500 }, name, super::$case);
            })*
        }
        mod pnet {
            $(#[test]
            fn $case() {
                let name = concat!(module_path!(), "::", stringify!($case));
                crate::run(crate::Backend::Pnet { mtu: 1500 }, name, super::$case);
            })*
        }
    };
}

for_both! {
    a_device_that_is_down_says_so_and_drops_until_it_is_up,
    a_device_that_is_gone_says_so,
    frames_for_others_are_not_heard,
    a_device_that_carries_less_drops_what_does_not_fit,
    a_frame_longer_than_the_own_device_takes_is_recognised,
    the_device_can_be_given_by_its_address,
    what_cannot_be_opened_is_named,
    two_links_of_one_device_have_an_ethertype_each,
}

fn open(name: &str, sap: u16, mtu: Option<usize>) -> Result<Opened, String> {
    let tab = tab_link(name, Medium::Ether { device: named(name), sap });
    let tab = llt::llttab::TabLink { mtu, ..tab };
    llt::io::open(&tab).map_err(|error| error.to_string())
}

fn named(name: &str) -> Device {
    Device::Name(name.to_owned())
}

fn went_down(station: &mut Station) {
    let end = Deadline::new("word that the device went down");
    loop {
        station.wait_readable(Duration::from_millis(50));
        station.drain();
        if station.link.went_down() {
            return;
        }
        end.check(String::new);
    }
}

fn a_device_that_is_down_says_so_and_drops_until_it_is_up(bed: &mut Bed) {
    ip("link set e0 down");
    let (a, b) = bed.pair(0, 1);
    assert!(!a.link.went_down(), "nobody has asked the system yet");
    went_down(a);
    assert!(!a.link.went_down(), "once is enough");
    assert!(!a.wait_readable(Duration::ZERO), "the error has been taken");
    for _ in 0..200 {
        a.queue(b.address, vec![1; 100]);
    }
    a.flush();
    let counters = a.link.counters();
    assert_eq!((counters.dropped_error, counters.receive_errors), (200, 1));
    assert!(counters.sent_calls < 10, "all meet the same: {counters:?}");
    assert!(a.link.went_down());
    ip("link set e0 up");
    wait_for_carrier("e0");
    a.queue(b.address, vec![2; 100]);
    a.flush();
    assert_eq!(b.receive(1)[0].1[0], 2);
    b.queue(a.address, vec![3; 100]);
    b.flush();
    assert_eq!(a.receive(1)[0].1[0], 3);
}

fn a_device_that_is_gone_says_so(bed: &mut Bed) {
    ip("link del e0");
    let (a, b) = bed.pair(0, 1);
    went_down(a);
    a.queue(b.address, vec![1; 100]);
    a.flush();
    assert_eq!(a.link.counters().dropped_error, 1);
    assert!(a.link.went_down());
}

fn frames_for_others_are_not_heard(bed: &mut Bed) {
    ip("link set e1 promisc on");
    let nobody = bed.nobody;
    let (a, b) = bed.pair(0, 1);
    a.queue(nobody, vec![1; 100]);
    a.queue(b.address, vec![2; 100]);
    a.flush();
    assert_eq!(b.receive(1)[0].1[0], 2);
    assert_eq!(b.link.counters().received_foreign, 1, "the bridge floods, the device lets through");
}

fn a_device_that_carries_less_drops_what_does_not_fit(bed: &mut Bed) {
    ip("link set e0 mtu 1000");
    let (a, b) = bed.pair(0, 1);
    for len in [1500, 1000, 1001, 100] {
        a.queue(b.address, vec![1; len]);
    }
    a.flush();
    let lengths: Vec<usize> = b.receive(2).iter().map(|(_, frame)| frame.len()).collect();
    assert_eq!(lengths, [1000, 100]);
    assert_eq!(a.link.counters().dropped_large, 2);
}

fn a_frame_longer_than_the_own_device_takes_is_recognised(bed: &mut Bed) {
    // The others may send more than this one was opened for.
    for end in 0..2 {
        ip(&format!("link set e{end} mtu 3000"));
        ip(&format!("link set p{end} mtu 3000"));
    }
    ip("link set wire mtu 3000");
    let to = bed.address(1);
    let mut large = open("e0", 0xCAFE, None).unwrap();
    assert_eq!(large.mtu, 3000);
    for len in [3000, 1501, 1500] {
        large.link.queue(to, false, vec![1; len].into());
    }
    large.link.flush();
    let frames = bed.stations[1].receive(1);
    assert_eq!(frames[0].1.len(), 1500, "never a part of a frame");
    assert_eq!(bed.stations[1].link.counters().received_large, 2);
}

fn the_device_can_be_given_by_its_address(bed: &mut Bed) {
    let mac = [2, 0, 0, 0, 0, 1];
    let tab = tab_link("eth-02:00:00:00:00:01", Medium::Ether { device: Device::Mac(mac), sap: 9 });
    let opened = llt::io::open(&tab).unwrap();
    assert_eq!((opened.address, opened.mtu), (LinkAddr::Mac(mac), 1500));
    assert_eq!(opened.address, bed.address(1));
}

fn what_cannot_be_opened_is_named(_: &mut Bed) {
    let missing = open("eth9", 0xCAFE, None).unwrap_err();
    assert!(missing.starts_with("there is no device eth9; there are "), "{missing}");
    assert!(missing.contains("e1 (Ethernet, 02:00:00:00:00:01)"), "{missing}");
    let loopback = open("lo", 0xCAFE, None).unwrap_err();
    assert!(loopback.starts_with("lo is no Ethernet device; there are "), "{loopback}");
    let large = open("e0", 0xCAFE, Some(9000)).unwrap_err();
    assert_eq!(large, "e0 takes frames of 1500 bytes: expected at least 9000");
    let lower = open("e0", 0xCAFE, Some(1400)).unwrap();
    assert_eq!(lower.mtu, 1400);
    let device = Device::Mac([2, 9, 9, 9, 9, 9]);
    let tab = tab_link("eth-02:09:09:09:09:09", Medium::Ether { device, sap: 0xCAFE });
    let error = llt::io::open(&tab).unwrap_err().to_string();
    assert!(
        error.to_lowercase().starts_with("there is no device eth-02:09:09:09:09:09;"),
        "{error}"
    );
    // A device that is down is no error.
    ip("link set e2 down");
    assert!(open("e2", 0xCAFE, None).is_ok());
}

fn two_links_of_one_device_have_an_ethertype_each(bed: &mut Bed) {
    let to = bed.address(1);
    let mut other =
        Station::open(tab_link("e1", Medium::Ether { device: named("e1"), sap: 0xCAFF }));
    let mut sender = open("e0", 0xCAFF, None).unwrap();
    sender.link.queue(to, false, vec![1; 60].into());
    sender.link.flush();
    assert_eq!(other.receive(1).len(), 1);
    assert_eq!(bed.stations[1].drain(), []);
}

/// Without the capability the error says which one it is.
#[test]
fn a_missing_right_is_named() {
    let name = concat!(module_path!(), "::a_missing_right_is_named");
    if std::env::var_os("LLT_TEST_NO_RIGHTS").is_some() {
        let error = open("dry0", 0xCAFE, None).unwrap_err();
        assert!(
            error.starts_with("raw Ethernet on dry0 needs the capability CAP_NET_RAW"),
            "{error}"
        );
        return;
    }
    if run_again(name, &[]) {
        return;
    }
    ip("link add dry0 type veth peer name dry1");
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]);
    command.arg(std::env::current_exe().unwrap());
    command.args(["--exact", "devices::a_missing_right_is_named", "--nocapture"]);
    let output = command.env("LLT_TEST_NO_RIGHTS", "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

/// Without the calls for batches, as in some sandboxes, the second backend is taken by itself.
#[test]
fn where_batches_are_filtered_pnet_is_taken() {
    if run_again(concat!(module_path!(), "::where_batches_are_filtered_pnet_is_taken"), &[]) {
        return;
    }
    ip("link add ve0 type veth peer name ve1");
    for name in ["ve0", "ve1"] {
        ip(&format!("link set {name} up"));
    }
    wait_for_carrier("ve0");
    let first = open("ve0", 0xCAFE, None).unwrap();
    assert!(format!("{:?}", first.link).starts_with("EtherLink"), "{:?}", first.link);
    refuse_recvmmsg();
    let mut links = ["ve0", "ve1"].map(|name| open(name, 0xCAFE, None).unwrap());
    for opened in &links {
        assert!(format!("{:?}", opened.link).starts_with("PnetLink"), "{:?}", opened.link);
    }
    let [from, to] = &mut links;
    from.link.queue(to.address, false, vec![7; 100].into());
    from.link.flush();
    let end = Deadline::new("the frame");
    let mut frames = Vec::new();
    while frames.is_empty() {
        to.link.receive(&mut frames);
        end.pause();
    }
    assert_eq!((frames[0].0, frames[0].1.len()), (from.address, 100));
}

/// From now on this thread gets `ENOSYS` for `recvmmsg`.
#[expect(unsafe_code, reason = "no crate here installs system call filters")]
fn refuse_recvmmsg() {
    let number = u32::try_from(libc::SYS_recvmmsg).unwrap();
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let load = u16::try_from(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS).unwrap();
    let equal = u16::try_from(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K).unwrap();
    let answer = u16::try_from(libc::BPF_RET | libc::BPF_K).unwrap();
    let refused = libc::SECCOMP_RET_ERRNO | u32::try_from(libc::ENOSYS).unwrap();
    let mut program = [
        step(load, 0, 0, 0),
        step(equal, 0, 1, number),
        step(answer, 0, 0, refused),
        step(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    let pointer = &raw const program;
    // SAFETY: both calls only read their arguments; the pointer is to a program whose length and
    // steps are those above, and which lives until the end of this function.
    let result = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, pointer)
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Events until one fits; it is returned.
fn event(monitor: &mut Monitor, fits: impl Fn(&DeviceEvent) -> bool) -> DeviceEvent {
    let end = Deadline::new("an event");
    loop {
        if let Some(event) = monitor.read().into_iter().find(|event| fits(event)) {
            return event;
        }
        let mut fds = [PollFd::from_borrowed_fd(monitor.as_fd(), PollFlags::IN)];
        let second = rustix::time::Timespec { tv_sec: 1, tv_nsec: 0 };
        poll(&mut fds, Some(&second)).unwrap();
        end.check(String::new);
    }
}

fn changed(monitor: &mut Monitor, name: &str, fits: impl Fn(&DeviceState) -> bool) -> DeviceState {
    let found = event(
        monitor,
        |event| matches!(event, DeviceEvent::Changed(state) if state.name == name && fits(state)),
    );
    let DeviceEvent::Changed(state) = found else { panic!("{found:?}") };
    state
}

/// The whole life of a device, as the monitor tells it.
#[test]
fn the_monitor_tells_what_happens_to_devices() {
    if run_again(concat!(module_path!(), "::the_monitor_tells_what_happens_to_devices"), &[]) {
        return;
    }
    let mut monitor = Monitor::open().unwrap();
    // The first thing is what there is.
    assert!(!changed(&mut monitor, "lo", |_| true).ethernet);
    ip("link add ve0 address 02:00:00:00:00:07 type veth peer name ve1");
    let made = changed(&mut monitor, "ve0", |state| state.mac == Some([2, 0, 0, 0, 0, 7]));
    assert!(made.ethernet && !made.up && !made.carrier && made.mtu == 1500, "{made:?}");
    ip("link set ve0 up");
    assert!(!changed(&mut monitor, "ve0", |state| state.up).carrier, "the other end is down");
    ip("link set ve1 up");
    let up = changed(&mut monitor, "ve0", |state| state.carrier);
    assert_eq!(devices::find(&named("ve0")), Some(up));
    ip("link set ve1 down");
    assert!(changed(&mut monitor, "ve0", |state| !state.carrier).up);
    ip("link set ve0 mtu 1400");
    changed(&mut monitor, "ve0", |state| state.mtu == 1400);
    // What leaves a bridge is still there.
    ip("link add br0 type bridge");
    ip("link set ve0 master br0");
    ip("link set ve0 nomaster");
    ip("link set ve0 name renamed");
    let index = changed(&mut monitor, "renamed", |_| true).index;
    assert_eq!(index, made.index);
    ip("link del renamed");
    let gone = event(&mut monitor, |event| matches!(event, DeviceEvent::Gone { .. }));
    assert_eq!(gone, DeviceEvent::Gone { index, name: "renamed".into() });
    assert!(devices::find(&named("renamed")).is_none());
}

/// More changes than the socket holds: what counts is how it ended.
#[test]
fn a_storm_of_changes_is_survived() {
    if run_again(concat!(module_path!(), "::a_storm_of_changes_is_survived"), &[]) {
        return;
    }
    let mut monitor = Monitor::open().unwrap();
    ip("link add ve0 type veth peer name ve1");
    changed(&mut monitor, "ve0", |_| true);
    // A batch is one process: some hundred thousand bytes of events, unread.
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut lines = String::new();
    for round in 0..2000 {
        lines += &format!("link set ve0 mtu {}\n", 1000 + round % 7);
    }
    lines += "link set ve0 mtu 1234\nlink add last type veth peer name end\nlink del ve0\n";
    std::fs::write(file.path(), lines).unwrap();
    ip(&format!("-batch {}", file.path().display()));
    let (mut last, mut gone) = (false, false);
    let end = Deadline::new("the end of the storm");
    while !(last && gone) {
        for event in monitor.read() {
            match event {
                DeviceEvent::Changed(state) => last |= state.name == "last",
                DeviceEvent::Gone { name, .. } => gone |= name == "ve0",
            }
        }
        end.pause();
    }
}

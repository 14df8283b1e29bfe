//! What threads do to each other, at the moments at which it matters. The gabd is a socket that
//! has its answers in it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use bytes::BytesMut;
use client::ipc::Record;
use client::{CloseReason, Delivery, Level, PortView};
use llt::NodeSet;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, socketpair};

use super::*;

/// A port without credit to send, and gabd's end of its socket. The first view is received.
fn opened() -> (Shared, OwnedFd) {
    let (ours, gabd) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    rustix::io::ioctl_fionbio(&ours, true).unwrap();
    let none = NodeSet::EMPTY;
    let members = NodeSet::from_bits(1);
    let view = PortView {
        generation: 1,
        members,
        joined: members,
        left: none,
        jeopardy: none,
        visible: none,
    };
    say(&gabd, &[Record::Opened { version: 1, node: NodeId::ZERO }, Record::View(view)]);
    let name = PortName::new('A').unwrap();
    let port = Port::register_over(ours, name, &Options::default()).unwrap();
    let shared = Shared::over(port).unwrap();
    assert!(shared.recv(soon()).unwrap().is_some());
    (shared, gabd)
}

fn say(gabd: &OwnedFd, records: &[Record]) {
    let mut out = BytesMut::new();
    records.iter().for_each(|record| record.encode(&mut out));
    rustix::net::send(gabd, &out, SendFlags::NOSIGNAL).unwrap();
}

fn credit() -> Record {
    Record::Credit { messages: 1, bytes: 10 }
}

fn delivery() -> Record {
    let (sender, broadcast, level) = (NodeId::ZERO, true, Level::Agreed);
    let payload = Bytes::from_static(b"hello");
    Record::Deliver(Delivery { sender, broadcast, level, generation: 1, sequence: 1, payload })
}

fn soon() -> Deadline {
    Deadline::after_ms(60_000).unwrap()
}

/// A send that waits for room.
fn broadcast(shared: &Shared) -> Result<(), Errno> {
    let how = Send { wait: true, more: false };
    shared.send(how, |port| port.try_broadcast(b"x", Level::Agreed, false))
}

/// Runs `wait` beside `act`; fails if it does not come back.
fn beside<T: std::marker::Send>(
    gabd: &OwnedFd,
    wait: impl FnOnce() -> T + std::marker::Send,
    act: impl FnOnce(),
) -> T {
    let (done, result) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || done.send(wait()));
        act();
        let result = result.recv_timeout(Duration::from_secs(60));
        // Whatever it waits for, the thread has to end, too.
        let _ = rustix::net::shutdown(gabd, rustix::net::Shutdown::Both);
        result.expect("the thread came back")
    })
}

#[test]
fn credit_that_a_receiver_reads_wakes_the_sender_that_is_about_to_sleep() {
    let (shared, gabd) = opened();
    // The sender has found no room and has let go of the lock ...
    shared.lock().unwrap().sender_waits = true;
    // ... when a receiver takes the credit from the socket ...
    say(&gabd, &[credit(), delivery()]);
    assert!(shared.recv(soon()).unwrap().is_some());
    // ... and only then it goes to sleep.
    beside(&gabd, || shared.wait_for_credit(PollFlags::IN), || {}).unwrap();
    assert!(!shared.lock().unwrap().sender_waits);
}

#[test]
fn a_sender_waits_until_there_is_room() {
    let (shared, gabd) = opened();
    let act = || {
        while !shared.lock().unwrap().sender_waits {
            std::thread::yield_now();
        }
        say(&gabd, &[credit()]);
    };
    beside(&gabd, || broadcast(&shared), act).unwrap();
}

#[test]
fn the_end_of_the_port_wakes_a_sender_and_a_receiver() {
    let (shared, gabd) = opened();
    let act = || {
        while !shared.lock().unwrap().sender_waits {
            std::thread::yield_now();
        }
        say(&gabd, &[Record::Closed(116)]);
        let event = shared.recv(soon()).unwrap();
        let closed = Event::new(&ClientEvent::Closed(CloseReason::Ejected));
        assert_eq!(format!("{event:?}"), format!("{:?}", Some(closed)));
    };
    assert_eq!(beside(&gabd, || broadcast(&shared), act), Err(Errno::PIPE));
}

#[test]
fn a_receiver_that_waits_for_ever_gets_what_a_sender_read() {
    let (shared, gabd) = opened();
    let act = || {
        say(&gabd, &[delivery()]);
        // It finds the delivery when it looks for room. Whoever is first: nothing is lost.
        let how = Send { wait: false, more: false };
        let sent = shared.send(how, |port| port.try_broadcast(b"x", Level::Agreed, false));
        assert_eq!(sent, Err(Errno::AGAIN));
    };
    let event = beside(&gabd, || shared.recv(Deadline::Never).map(|event| event.is_some()), act);
    assert_eq!(event, Ok(true));
}

#[test]
fn after_a_panic_under_the_lock_every_call_fails() {
    let (shared, _gabd) = opened();
    let panic = AssertUnwindSafe(|| shared.with(|_| panic!("on purpose")));
    assert!(catch_unwind(panic).is_err());
    assert_eq!(shared.recv(soon()).map(|_| ()), Err(Errno::NOTRECOVERABLE));
    assert_eq!(broadcast(&shared), Err(Errno::NOTRECOVERABLE));
    assert_eq!(shared.flush(), Err(Errno::NOTRECOVERABLE));
    assert_eq!(shared.ack(1), Err(Errno::NOTRECOVERABLE));
    assert_eq!(shared.close(), Err(Errno::NOTRECOVERABLE));
}

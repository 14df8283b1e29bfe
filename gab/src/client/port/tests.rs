//! A port against a gabd of this test's own, a thread at the other end of a real socket.

use std::path::Path;
use std::thread::JoinHandle;

use bytes::{Bytes, BytesMut};
use llt::NodeSet;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use super::*;
use crate::event::{Delivery, PortView};
use crate::ipc::{Reader, Record};
use crate::limits::IPC_DATAGRAM_MAX;

/// gabd's end of one connection; it blocks.
struct Gabd {
    fd: OwnedFd,
    read: std::collections::VecDeque<Record>,
}

impl Gabd {
    /// The next record, or `None` once the client has hung up.
    fn next(&mut self) -> Option<Record> {
        if self.read.is_empty() {
            let mut buffer = vec![0; IPC_DATAGRAM_MAX];
            let (_, len) =
                rustix::net::recv(&self.fd, buffer.as_mut_slice(), RecvFlags::empty()).ok()?;
            buffer.truncate(len);
            self.read.extend(Reader::new(buffer.into()).map(Result::unwrap));
        }
        self.read.pop_front()
    }

    fn say(&self, records: &[Record]) {
        let mut out = BytesMut::new();
        records.iter().for_each(|record| record.encode(&mut out));
        rustix::net::send(&self.fd, &out, SendFlags::NOSIGNAL).unwrap();
    }

    /// Accepts a registration, with this credit and the view {0}.
    fn open(&mut self, messages: u32, bytes: u32) {
        assert!(matches!(self.next(), Some(Record::Open { .. })));
        assert!(matches!(self.next(), Some(Record::Credit { .. })));
        self.say(&[
            Record::Opened { version: 1, node: NodeId::ZERO },
            Record::Credit { messages, bytes },
            Record::View(view(1)),
        ]);
    }
}

fn view(generation: u64) -> PortView {
    PortView {
        generation,
        members: NodeSet::from_bits(1),
        joined: NodeSet::EMPTY,
        left: NodeSet::EMPTY,
        jeopardy: NodeSet::EMPTY,
        visible: NodeSet::EMPTY,
    }
}

fn deliver(sequence: u64, payload: Bytes) -> Record {
    Record::Deliver(delivery(sequence, payload))
}

fn delivery(sequence: u64, payload: Bytes) -> Delivery {
    let (sender, broadcast, level, generation) = (NodeId::ZERO, true, Level::Agreed, 1);
    Delivery { sender, broadcast, level, generation, sequence, payload }
}

fn spawn<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::Builder::new().name("gabd".into()).spawn(run).unwrap()
}

fn pair() -> (OwnedFd, Gabd) {
    let (ours, theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    rustix::io::ioctl_fionbio(&ours, true).unwrap();
    (ours, Gabd { fd: theirs, read: std::collections::VecDeque::new() })
}

fn port_g() -> PortName {
    PortName::new('G').unwrap()
}

/// A registered port whose gabd goes on with `script`; the first view is received.
fn with<T: Send + 'static>(
    (messages, bytes): (u32, u32),
    script: impl FnOnce(Gabd) -> T + Send + 'static,
) -> (Port, JoinHandle<T>) {
    let (socket, mut gabd) = pair();
    let thread = spawn(move || {
        gabd.open(messages, bytes);
        script(gabd)
    });
    let mut port = Port::register_over(socket, port_g(), &Options::default()).unwrap();
    assert_eq!(port.recv(), ClientEvent::View(view(1)));
    (port, thread)
}

fn is_readable(port: &Port, wait: Duration) -> bool {
    let mut fds = [PollFd::new(port, PollFlags::IN)];
    let timeout = Timespec::try_from(wait).unwrap();
    rustix::event::poll(&mut fds, Some(&timeout)).unwrap() == 1
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_message_goes_out_and_a_delivery_comes_back() {
    let (mut port, gabd) = with((8, 1000), |mut gabd| {
        let Some(Record::Broadcast { level, payload }) = gabd.next() else {
            panic!("a broadcast");
        };
        assert_eq!(level, Level::Safe);
        gabd.say(&[deliver(9, payload)]);
        gabd
    });
    assert_eq!(port.node(), NodeId::ZERO);
    port.broadcast(b"hello", Level::Safe, false).unwrap();
    let event = port.recv_timeout(LONG).unwrap();
    assert_eq!(event, ClientEvent::Deliver(delivery(9, Bytes::from_static(b"hello"))));
    assert_eq!(port.try_recv(), None);
    assert_eq!(port.recv_timeout(Duration::from_millis(1)), None);
    gabd.join().unwrap();
}

#[test]
fn held_messages_travel_together_and_at_the_latest_with_a_flush() {
    let (mut port, gabd) = with((8, 1000), |mut gabd| {
        let first = gabd.next();
        (first, gabd.read.len())
    });
    for _ in 0..3 {
        port.broadcast(b"x", Level::Agreed, true).unwrap();
    }
    port.flush().unwrap();
    let (first, others) = gabd.join().unwrap();
    let Some(Record::Pack { messages, .. }) = first else { panic!("{first:?}") };
    assert_eq!((messages.messages(), others), (3, 0));
}

#[test]
fn a_send_without_credit_waits_for_it() {
    let (mut port, gabd) = with((1, 10), |mut gabd| {
        assert!(matches!(gabd.next(), Some(Record::Broadcast { .. })));
        gabd.say(&[Record::Credit { messages: 1, bytes: 10 }]);
        gabd.next()
    });
    assert_eq!(port.try_broadcast(b"1", Level::Agreed, true), Ok(()));
    port.broadcast(b"2", Level::Agreed, false).unwrap();
    let second = Record::Broadcast { level: Level::Agreed, payload: Bytes::from_static(b"2") };
    assert_eq!(gabd.join().unwrap(), Some(second));
    assert_eq!(port.try_broadcast(b"3", Level::Agreed, false), Err(SendError::Closed));
}

#[test]
fn a_nonblocking_send_without_credit_would_block() {
    let (mut port, gabd) = with((0, 0), |mut gabd| gabd.next());
    assert_eq!(port.try_broadcast(b"x", Level::Agreed, false), Err(SendError::WouldBlock));
    assert_eq!(port.try_send_to(NodeId::ZERO, b"", false), Err(SendError::WouldBlock));
    drop(port);
    assert_eq!(gabd.join().unwrap(), Some(Record::Close));
}

#[test]
fn a_wait_ends_with_room_to_send_and_with_an_event() {
    let (mut port, gabd) = with((0, 0), |mut gabd| {
        gabd.say(&[Record::Credit { messages: 1, bytes: 10 }]);
        assert!(matches!(gabd.next(), Some(Record::Broadcast { .. })));
        gabd.say(&[deliver(1, Bytes::new())]);
        gabd.next()
    });
    assert!(port.wait(Some(LONG)));
    assert_eq!(port.try_broadcast(b"x", Level::Agreed, false), Ok(()));
    assert!(port.wait(Some(LONG)));
    assert!(port.try_recv().is_some());
    assert!(!port.wait(Some(Duration::from_millis(1))));
    drop(port);
    gabd.join().unwrap();
}

#[test]
fn the_descriptor_is_readable_while_events_are_queued() {
    let (mut port, gabd) = with((0, 0), |mut gabd| {
        gabd.say(&[deliver(1, Bytes::new()), deliver(2, Bytes::new())]);
        gabd.next()
    });
    assert!(is_readable(&port, LONG));
    assert!(port.try_recv().is_some());
    // The socket is empty now; the second event is in the port.
    assert!(is_readable(&port, Duration::ZERO));
    assert!(port.try_recv().is_some());
    assert!(!is_readable(&port, Duration::ZERO));
    assert_eq!(port.try_recv(), None);
    drop(port);
    gabd.join().unwrap();
}

#[test]
fn a_dead_gabd_is_a_closed_event_that_stays() {
    let (mut port, gabd) = with((1, 10), drop);
    gabd.join().unwrap();
    let died = ClientEvent::Closed(CloseReason::Died);
    assert!(is_readable(&port, LONG));
    assert_eq!(port.recv(), died);
    assert_eq!(port.recv(), died);
    assert_eq!(port.try_recv(), Some(died.clone()));
    assert_eq!(port.recv_timeout(Duration::ZERO), Some(died));
    assert!(is_readable(&port, Duration::ZERO));
    assert_eq!(port.broadcast(b"x", Level::Agreed, false), Err(SendError::Closed));
    assert_eq!(port.flush(), Err(SendError::Closed));
    assert_eq!(port.ack(1), Err(AckError::Closed));
    assert_eq!(port.close(), Err(CloseError::Closed(CloseReason::Died)));
}

#[test]
fn the_reason_that_gabd_gave_survives_a_failing_send() {
    let (mut port, gabd) = with((1, 10), |gabd| {
        gabd.say(&[deliver(1, Bytes::new()), Record::Closed(116)]);
    });
    gabd.join().unwrap();
    // The send finds the hang-up before anybody has read the reason.
    let _ = port.try_broadcast(b"x", Level::Agreed, false);
    assert!(matches!(port.recv(), ClientEvent::Deliver(_)));
    assert_eq!(port.recv(), ClientEvent::Closed(CloseReason::Ejected));
}

#[test]
fn a_close_waits_until_all_is_ordered() {
    let (mut port, gabd) = with((8, 1000), |mut gabd| {
        let records: Vec<_> = std::iter::from_fn(|| gabd.next())
            .take_while(|record| *record != Record::Close)
            .collect();
        // Full socket buffers and deliveries on the way must not stop it.
        for sequence in 0..100 {
            gabd.say(&[deliver(sequence, vec![0; 1000].into())]);
        }
        gabd.say(&[Record::Closed(0)]);
        records.len()
    });
    port.broadcast(b"held", Level::Agreed, true).unwrap();
    port.send_to(NodeId::ZERO, b"held too", true).unwrap();
    assert_eq!(port.close(), Ok(()));
    assert_eq!(gabd.join().unwrap(), 2);
}

#[test]
fn megabytes_both_ways_do_not_lock_up() {
    const MESSAGES: u32 = 400;
    let (mut port, gabd) = with((MESSAGES, MESSAGES * 60_000), |mut gabd| {
        let mut back = 0;
        while back < MESSAGES {
            // Both sides have all their credit: gabd sends before it reads the next.
            match gabd.next().unwrap() {
                Record::Broadcast { payload, .. } => {
                    back += 1;
                    gabd.say(&[deliver(u64::from(back), payload)]);
                }
                Record::Credit { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        gabd.next()
    });
    let mut received = 0;
    for n in 0..MESSAGES {
        port.broadcast(&vec![1; 60_000], Level::Agreed, false).unwrap();
        // Stay within the 4 MiB that the port grants, as a reading user does.
        if n % 32 == 31 {
            while received <= n {
                assert!(matches!(port.recv(), ClientEvent::Deliver(_)));
                received += 1;
            }
        }
    }
    while received < MESSAGES {
        assert!(matches!(port.recv(), ClientEvent::Deliver(_)));
        received += 1;
    }
    drop(port);
    gabd.join().unwrap();
}

#[test]
fn a_refusal_is_told_with_its_errno() {
    for (errno, text) in [(16, "the port is taken"), (95, "gabd refused the registration: no")] {
        let (socket, mut gabd) = pair();
        let gabd = spawn(move || {
            gabd.next();
            gabd.say(&[Record::Refused { errno, text: "no".into() }]);
        });
        let error = Port::register_over(socket, port_g(), &Options::default()).unwrap_err();
        assert_eq!((error.errno(), error.to_string().as_str()), (errno.cast_signed(), text));
        gabd.join().unwrap();
    }
}

#[test]
fn a_gabd_that_hangs_up_instead_of_answering_is_told() {
    let (socket, gabd) = pair();
    drop(gabd);
    let error = Port::register_over(socket, port_g(), &Options::default()).unwrap_err();
    assert!(matches!(error, RegisterError::Closed(CloseReason::Died)), "{error:?}");
}

#[test]
fn a_missing_daemon_is_an_error_of_its_own() {
    let root = tempfile::tempdir().unwrap();
    let options = Options { root: root.path().into(), ..Options::default() };
    for run in [false, true] {
        if run {
            std::fs::create_dir(root.path().join("run")).unwrap();
        }
        let error = Port::register(port_g(), &options).unwrap_err();
        assert!(matches!(error, RegisterError::Connect(ConnectError::NoDaemon { .. })));
        assert_eq!(error.errno(), 111);
    }
    // A stale socket: the name is there, nobody listens.
    drop(listen(&root.path().join("run/gab.sock")));
    assert_eq!(Port::register(port_g(), &options).unwrap_err().errno(), 111);
}

#[test]
fn a_root_deeper_than_a_socket_address_works() {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("d".repeat(60)).join("e".repeat(60));
    std::fs::create_dir_all(root.join("run")).unwrap();
    let short = tempfile::tempdir_in("/tmp").unwrap();
    std::os::unix::fs::symlink(root.join("run"), short.path().join("run")).unwrap();
    let listener = listen(&short.path().join("run/gab.sock"));
    let gabd = spawn(move || {
        let fd = rustix::net::accept(&listener).unwrap();
        let mut gabd = Gabd { fd, read: std::collections::VecDeque::new() };
        gabd.open(1, 1);
        gabd.next()
    });
    let options = Options { root, ..Options::default() };
    let port = Port::register(port_g(), &options).unwrap();
    drop(port);
    assert_eq!(gabd.join().unwrap(), Some(Record::Close));
}

fn listen(path: &Path) -> OwnedFd {
    let flags = SocketFlags::CLOEXEC;
    let fd =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    rustix::net::bind(&fd, &SocketAddrUnix::new(path).unwrap()).unwrap();
    rustix::net::listen(&fd, 4).unwrap();
    fd
}

#[test]
fn what_the_socket_had_no_room_for_goes_with_a_later_flush() {
    const MESSAGES: u32 = 1000;
    let (told, wait) = std::sync::mpsc::channel::<()>();
    let (mut port, gabd) = with((MESSAGES, MESSAGES * 60_000), move |mut gabd| {
        wait.recv().unwrap();
        std::iter::from_fn(|| gabd.next()).filter(|record| *record != Record::Close).count()
    });
    let mut sent = 0;
    while !port.has_unsent() {
        port.try_broadcast(&vec![1; 60_000], Level::Agreed, false).unwrap();
        sent += 1;
    }
    assert_eq!(port.try_flush(), Ok(false));
    told.send(()).unwrap();
    while !port.try_flush().unwrap() {
        let mut fds = [PollFd::from_borrowed_fd(port.socket(), PollFlags::IN | PollFlags::OUT)];
        let timeout = Timespec::try_from(LONG).unwrap();
        assert_eq!(rustix::event::poll(&mut fds, Some(&timeout)), Ok(1));
    }
    assert!(!port.has_unsent() && !port.is_closed());
    drop(port);
    assert_eq!(gabd.join().unwrap(), sent);
}
